"""Tables that people bring: rows of numbers in .npy, .npz and .csv files, and where a wrong value stands."""

from __future__ import annotations

import csv
import math
import warnings
import zipfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgm_rbm.cli.files import unreadable
from pgm_rbm.cli.program import RequestError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["ArrayName", "DataFile", "Table", "Threshold", "read_rows", "states"]

DataFile = Annotated[
    Path,
    typer.Argument(metavar="DATA", help="A .npy, .npz or .csv file with one example per row and one unit per column."),
]
ArrayName = Annotated[
    str | None, typer.Option("--array", metavar="NAME", help="Which array of an .npz file holds the data.")
]
Threshold = Annotated[
    float | None,
    typer.Option(metavar="T", help="Make the data binary first: 1 where a value is above T, else 0."),
]


@dataclass(frozen=True)
class Table:
    """Rows read from a file.

    Attributes:
        source: the file, for messages.
        values: real numbers, shape (rows, columns).
        text: the file if it is text, and the line that row 0 stands on, counted from 1.
    """

    source: str
    values: npt.NDArray[Any]
    text: tuple[Path, int] | None = None

    def place(self, row: int, column: int) -> str:
        """Return where a value stands, for messages."""
        if self.text is None:
            return f"{self.source}, row {row}, column {column} (counted from 0)"
        path, first = self.text
        with path.open(encoding="utf-8-sig") as stream:
            lines = (number for number, line in enumerate(stream, start=1) if number >= first and line.strip())
            number = next(islice(lines, row, None))
        return f"{self.source}, line {number}, column {column + 1}"


def read_rows(path: Path, array: str | None = None) -> Table:
    """Return the two-axis array in a .npy, .npz or .csv file.

    Args:
        path: the file; its ending says how to read it. A .csv may have a header and commas, semicolons, tabs or spaces.
        array: for an .npz file that holds several arrays, the name of the one to take.

    Raises:
        RequestError: there is no such file, it cannot be read in the way its ending says, or it has no rows.
    """
    if not path.exists():
        raise RequestError(f"there is no file {path}.")
    if path.is_dir():
        raise RequestError(f"{path} is a folder. Name a .npy, .npz or .csv file in it.")
    ending = path.suffix.lower()
    if array is not None and ending != ".npz":
        raise RequestError(f"--array is for .npz files. Got {path.name}.")
    if ending == ".npy":
        table = Table(str(path), _npy(path))
    elif ending == ".npz":
        table = _npz(path, array)
    elif ending in (".csv", ".tsv", ".txt"):
        table = _csv(path)
    else:
        raise RequestError(f"{path.name} must end in .npy, .npz or .csv; the ending says how to read it.")
    values = table.values
    if values.dtype.kind not in "fiub":
        raise RequestError(f"{table.source} must hold real numbers. Got an array of dtype {values.dtype}.")
    if values.ndim != 2:
        raise RequestError(
            f"{table.source} must have two axes, (rows, columns). Got shape {values.shape}; reshape it so that each "
            f"row is one example."
        )
    if 0 in values.shape:
        raise RequestError(f"{table.source} is empty. Got shape {values.shape}.")
    return table


def _npy(path: Path) -> npt.NDArray[Any]:
    import numpy as np

    try:
        loaded = np.load(path, allow_pickle=False)
    except MemoryError:
        raise RequestError(f"{path} is larger than the memory of this machine, or damaged.") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise unreadable(path, error) from error
    if not isinstance(loaded, np.ndarray):
        raise RequestError(f"{path} is an .npz archive with the ending .npy. Rename it.")
    return loaded


def _npz(path: Path, name: str | None) -> Table:
    import numpy as np

    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise RequestError(f"{path} is a .npy file with the ending .npz. Rename it.")
        with archive:
            names = archive.files
            if name is None and len(names) == 1:
                name = names[0]
            if name not in names:
                asked = "Choose one with --array" if name is None else f"Got --array {name}"
                raise RequestError(f"{path} holds the arrays: {', '.join(names) or 'none'}. {asked}.")
            return Table(f"{path}[{name}]", archive[name])
    except MemoryError:
        raise RequestError(f"{path} is larger than the memory of this machine, or damaged.") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise unreadable(path, error) from error


def _csv(path: Path) -> Table:
    import numpy as np

    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first, head = _first_line(stream, path)
            delimiter = next((sign for sign in ",;\t" if sign in head), None)
            cells = head.split(delimiter)
            header = not all(_is_number(cell) for cell in cells) or _numbered(cells)
            if header and any(_is_number(cell) for cell in cells) and not _numbered(cells):
                _find_fault(path, first, delimiter, len(cells))
            start = first + header
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            values = np.loadtxt(
                path,
                delimiter=delimiter,
                skiprows=start - 1,
                comments=None,
                quotechar='"',
                ndmin=2,
                encoding="utf-8-sig",
            )
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{path} is not UTF-8 text (byte {error.start} is {error.object[error.start]:#04x})."
        ) from None
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        _find_fault(path, start, delimiter, None)
        raise RequestError(f"{path} cannot be read: {error}.") from error
    if values.size == 0:
        raise RequestError(f"{path} is empty: it has a header and no rows.")
    return Table(str(path), values, (path, start))


def _first_line(stream: Any, path: Path) -> tuple[int, str]:
    for number, line in enumerate(stream, start=1):
        if line.strip():
            return number, line.strip()
    raise RequestError(f"{path} is empty.")


def _numbered(cells: list[str]) -> bool:
    """Return whether these are the numbers 0, 1, 2, …, a common header of tables whose columns have no names."""
    return len(cells) > 2 and [cell.strip().strip('"') for cell in cells] == [str(n) for n in range(len(cells))]


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().strip('"'))
    except ValueError:
        return False
    return True


def _find_fault(path: Path, start: int, delimiter: str | None, width: int | None) -> None:
    """Check every line of a table, to name the one that cannot be read.

    Raises:
        RequestError: a line has another number of columns than the first, or a cell is not a number.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for number, line in enumerate(stream, start=1):
            if number < start or not line.strip():
                continue
            cells = line.split() if delimiter is None else next(csv.reader([line], delimiter=delimiter))
            for column, cell in enumerate(cells, start=1):
                if not _is_number(cell):
                    found = f"{cell.strip()[:40]!r}" if cell.strip() else "nothing"
                    raise RequestError(f"{path}, line {number}, column {column}: expected a number. Got {found}.")
            width = len(cells) if width is None else width
            if len(cells) != width:
                raise RequestError(f"{path}, line {number}: expected {width} columns. Got {len(cells)}.")


def states(
    table: Table, unit: str, *, threshold: float | None = None, model: tuple[str, int, int] | None = None
) -> npt.NDArray[Any]:
    """Return the rows of a table as states of units.

    Args:
        table: from `read_rows`.
        unit: the type of the units, as in `symbolic.units`.
        threshold: 1 where a value is above it, else 0, for binary units; None to take the values as they are.
        model: (file, visible units, hidden units) of the model that the rows are for; None for a new one.

    Raises:
        RequestError: the width is wrong, or a value is NaN or not a state of the unit.
    """
    import numpy as np

    from pgm_rbm.model.domains import listed, outside

    values = table.values
    if model is not None and values.shape[1] != model[1]:
        raise RequestError(
            f"{table.source} has {values.shape[1]} columns (shape {values.shape}), and the model {model[0]} has "
            f"{model[1]} visible units (shape {model[1:]}). They must be the same."
        )
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise RequestError(
            f"{_place(table, np.isnan(values))}: the value is NaN. Remove such rows or fill in the values first."
        )
    if threshold is not None:
        if not math.isfinite(threshold):
            raise RequestError(f"--threshold must be a finite number. Got {threshold}.")
        if unit != "binary":
            raise RequestError(f"--threshold makes binary values, and the visible units are {unit}. Leave it out.")
        return (values > threshold).astype(np.uint8)
    wrong = outside(values, unit)
    if wrong.any():
        value = values[wrong].flat[0]
        remedy = (
            "Use --threshold T to make values above T one and the others zero, or --visible-units for units that take "
            "such values."
            if unit == "binary"
            else "Convert such values first."
        )
        raise RequestError(f"{_place(table, wrong)}: a {unit} unit is {listed(unit)}. Got {value:g}. {remedy}")
    return values


def _place(table: Table, where: npt.NDArray[np.bool_]) -> str:
    return table.place(*divmod(int(where.argmax()), where.shape[1]))
