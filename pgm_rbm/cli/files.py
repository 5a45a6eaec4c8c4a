"""Models and arrays as files: read with nothing unpickled, written whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgm_rbm.cli.program import RequestError, refusing
from pgm_rbm.machine.files import replacing, require_place

if TYPE_CHECKING:
    import numpy.typing as npt

    from pgm_rbm.rbm import RBM

__all__ = [
    "ARRAY_ENDINGS",
    "as_csv",
    "load_model",
    "new_output",
    "require_one_visible_layer",
    "unreadable",
    "write_array",
]

ARRAY_ENDINGS = (".npy", ".csv")


def load_model(path: Path) -> RBM:
    """The model in a file.

    Raises:
        RequestError: there is none, or it cannot be read.
    """
    from pgm_rbm import RBM

    with refusing():
        return RBM.load(path)


def require_one_visible_layer(rbm: RBM) -> None:
    """Check that a table's columns are the visible units.

    Raises:
        RequestError: the model has several visible layers, or inputs.
    """
    layers = list(rbm.model.layout.data_columns)
    if len(layers) > 1:
        raise RequestError(f"the model has data in several layers, {', '.join(layers)}. Use it from Python.")


def unreadable(path: Path, error: Exception) -> RequestError:
    """What to say of an array file that NumPy cannot read for this reason."""
    if isinstance(error, PermissionError):
        return RequestError(f"{path} cannot be read: {error.strerror}.")
    if "allow_pickle" in str(error) or "pickle" in str(error):
        return RequestError(
            f"{path} is no array file, or holds Python objects, which are never loaded. Save it again from an "
            f"array of numbers with numpy.save or numpy.savez."
        )
    return RequestError(f"{path} is damaged or no {path.suffix} file ({error}).")


def new_output(path: Path, force: bool, endings: tuple[str, ...] = ()) -> Path:
    """Make sure, before any work, that an output can go where it was asked to.

    Args:
        path: the file to be written.
        force: whether it may exist.
        endings: those it may have; any by default.

    Raises:
        RequestError: it exists, is a folder or a device, has another ending, or its folder does not exist or cannot
            be written to.
    """
    if endings and path.suffix.lower() not in endings:
        raise RequestError(f"{path.name} must end in {' or '.join(endings)}.")
    try:
        target = require_place(path)
    except OSError as error:
        raise RequestError(str(error)) from error
    if target.exists() and not force:
        raise RequestError(f"{path} exists. Use --force to overwrite it, or another name.")
    try:
        # Whether a file can be made there is known for certain once one has been.
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise RequestError(f"the folder {path.parent} cannot be written to: {error.strerror or error}.") from error
    return path


def write_array(path: Path, values: npt.NDArray[Any]) -> None:
    """Write an array as .npy or .csv, by its ending."""
    import numpy as np

    with replacing(path) as whole:
        if path.suffix.lower() == ".npy":
            np.save(whole, values, allow_pickle=False)
        else:
            whole.write_text(as_csv(values), encoding="utf-8")


def as_csv(values: npt.NDArray[Any]) -> str:
    """Numbers as lines of text with commas, exact to the last bit."""
    rows = values.reshape(len(values), -1).tolist()
    return "".join(",".join(map(repr, row)) + "\n" for row in rows)
