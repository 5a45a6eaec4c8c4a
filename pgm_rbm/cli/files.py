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
    """Return the model in a file.

    Raises:
        RequestError: there is no such file, or it cannot be read.
    """
    from pgm_rbm import RBM

    with refusing():
        return RBM.load(path)


def require_one_visible_layer(rbm: RBM) -> None:
    """Check that a table's columns can be the visible units.

    Raises:
        RequestError: the model has several visible layers, or inputs.
    """
    layers = list(rbm.model.layout.data_columns)
    if len(layers) > 1:
        raise RequestError(f"the model has data in several layers, {', '.join(layers)}. Use it from Python.")


def unreadable(path: Path, error: Exception) -> RequestError:
    """Return what to tell a person about an array file that NumPy cannot read for this reason."""
    if isinstance(error, PermissionError):
        return RequestError(f"{path} cannot be read: {error.strerror}.")
    if "allow_pickle" in str(error) or "pickle" in str(error):
        return RequestError(
            f"{path} is not an array file, or holds Python objects, which are never loaded. Save it again from an "
            f"array of numbers with numpy.save or numpy.savez."
        )
    return RequestError(f"{path} is damaged or not a {path.suffix} file ({error}).")


def new_output(path: Path, force: bool, endings: tuple[str, ...] = ()) -> Path:
    """Check, before any work, that an output can be written; return its path.

    Args:
        path: the file to be written.
        force: whether to overwrite an existing file.
        endings: the endings it may have; any by default.

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
        # Permissions alone do not tell whether a file can be made there; making one does.
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
    """Return numbers as lines of text with commas, exact to the last bit."""
    rows = values.reshape(len(values), -1).tolist()
    return "".join(",".join(map(repr, row)) + "\n" for row in rows)
