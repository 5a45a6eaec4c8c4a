"""Writers of lectures, one module a format.

Each has ``write(lecture) -> bytes`` and gives the same bytes for the same lecture.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path

from symbolic.errors import SymbolicError
from symbolic.files import replacing, require_place
from symbolic.lecture.document import Lecture

__all__ = ["FORMATS", "write_file", "writer_for"]

FORMATS: dict[str, tuple[str, str]] = {"html": (".html", "symbolic.lecture.writers.html")}
"""Format to file ending and module."""

# An ending that merely ends like another one's: "rbm.slides.html" asks for slides and must not become a page.
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


def writer_for(filename: str, format: str | None = None) -> Callable[[Lecture], bytes]:
    """The writer for a format, or for a file's ending where no format is named.

    Raises:
        SymbolicError: there is none; the message lists those there are.
    """
    available = ", ".join(f"{ending} (format={name!r})" for name, (ending, _) in FORMATS.items())
    if format is not None:
        if format not in FORMATS:
            raise SymbolicError(f"format: a lecture cannot be written as {format!r}. Available: {available}.")
        return _load(format)
    lower = filename.lower()
    compound = next((ending for ending in _COMPOUND_ENDINGS if lower.endswith(ending)), None)
    if compound is None:
        for name, (ending, _) in FORMATS.items():
            if lower.endswith(ending):
                return _load(name)
    dot = lower.rfind(".")
    got = compound or (lower[dot:] if dot > 0 else "a name without an ending")
    raise SymbolicError(f"path: no writer for {got} (in {filename!r}). Available: {available}.")


def _load(format: str) -> Callable[[Lecture], bytes]:
    write: Callable[[Lecture], bytes] = importlib.import_module(FORMATS[format][1]).write
    return write
