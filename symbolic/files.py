"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing", "require_place"]


def require_place(path: str | os.PathLike[str]) -> Path:
    """Return the file that ``path`` leads to, links followed.

    Raises:
        IsADirectoryError: it is a folder.
        FileNotFoundError: the folder it would be in does not exist.
        OSError: it is a device or a pipe, which a file must not take the place of.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name a file in it.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {Path(path).parent}. Make it first, or write elsewhere.")
    if target.exists() and not target.is_file():
        raise OSError(f"{path} is a device or a pipe. Name a file.")
    return target


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a place to write a file that takes ``path`` once all of it is on the disk.

    When anything fails, ``path`` is as it was and no other file is left. A file that was there before passes on its
    permissions.

    Raises:
        OSError: as `require_place`, or the file cannot be written; the message names ``path``.
    """
    target = require_place(path)
    try:
        # A folder of its own lets the file keep its name, whose ending some writers go by.
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=target.parent) as folder:
            whole = Path(folder) / target.name
            yield whole
            with open(whole, "rb+") as file:
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, whole)
            os.replace(whole, target)
    except OSError as error:
        failed = type(error)(f"{path} cannot be written: {error.strerror or error}.")
        failed.errno = error.errno
        raise failed from error
