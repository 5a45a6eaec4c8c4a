"""Writers of lectures: one module per format, each with a function from the document to the bytes of a file.

A writer gives the same bytes for the same lecture. A new format is a new row of :data:`WRITERS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from symbolic.errors import SymbolicError
from symbolic.files import replacing, require_place
from symbolic.lecture.document import Lecture
from symbolic.lecture.writers import html

__all__ = ["WRITERS", "Writer", "write_file", "writer_for"]

Writer: TypeAlias = Callable[[Lecture], bytes]

WRITERS: dict[str, Writer] = {".html": html.write}
"""File ending to writer; a format is called as its ending, without the dot."""

# Endings that contain another one: "rbm.slides.html" asks for slides and must not become a page.
_COMPOUND_ENDINGS = (".slides.html",)


def write_file(lecture: Lecture, path: str | os.PathLike[str], format: str | None = None) -> Path:
    """Write a lecture as :meth:`Lecture.write` says, and return the path."""
    target = Path(path)
    content = writer_for(target.name, format)(lecture)
    try:
        require_place(target)
    except OSError as error:
        raise SymbolicError(str(error)) from None
    with replacing(target) as whole:
        whole.write_bytes(content)
    return target


def writer_for(filename: str, format: str | None = None) -> Writer:
    """Return the writer for a format, or for a file's ending where no format is named.

    Raises:
        SymbolicError: there is none; the message lists those there are.
    """
    available = ", ".join(f"{ending} (format={ending[1:]!r})" for ending in WRITERS)
    if format is not None:
        if f".{format}" not in WRITERS:
            raise SymbolicError(f"format: a lecture cannot be written as {format!r}. Available: {available}.")
        return WRITERS[f".{format}"]
    lower = filename.lower()
    endings = sorted({*WRITERS, *_COMPOUND_ENDINGS}, key=len, reverse=True)
    ending = next((known for known in endings if lower.endswith(known)), "")
    if ending in WRITERS:
        return WRITERS[ending]
    dot = lower.rfind(".")
    got = ending or (lower[dot:] if dot > 0 else "a name without an ending")
    raise SymbolicError(f"path: no writer for {got} (in {filename!r}). Available: {available}.")
