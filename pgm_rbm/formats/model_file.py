"""Model files: safetensors with a versioned JSON header, written whole or not at all.

The file is a safetensors file, so any reader of that format can open its arrays. The model's own
data is one JSON text under the metadata key ``pgm_rbm``: ``{"version": 2, "kind": "rbm", "sha256": …, …}``; the hash
is over the arrays' bytes. Nothing in the file is ever run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from pgm_rbm.machine.files import replacing

__all__ = ["VERSION", "ModelFileError", "read", "write"]

VERSION = 2
"""The version that is written; older ones are read, newer ones refused."""

_KEY = "pgm_rbm"


class ModelFileError(ValueError):
    """A file cannot be read as a model file: it is damaged, of another kind, or from a later version."""


def write(
    path: str | os.PathLike[str], kind: str, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Write a model file, whole or not at all.

    Args:
        path: the file; its folder exists.
        kind: what the file holds, such as ``"rbm"``.
        header: data that JSON can hold.
        arrays: the arrays by name.

    Raises:
        OSError: the file cannot be written; the message names it.
    """
    held = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps({"version": VERSION, "kind": kind, "sha256": _digest(held), **header}, allow_nan=False)
    content = to_bytes(held, {_KEY: text})
    with replacing(path) as whole:
        whole.write_bytes(content)


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return the header and the arrays of a model file.

    Args:
        path: the file.
        kind: what the file must hold.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: it is damaged, not a model file, of another kind, or of an unknown version.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no model file {path}.")
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder. Name a model file in it.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path} is damaged or not a model file: {error}. Use a file that RBM.save has written."
        ) from error
    if _KEY not in metadata:
        raise ModelFileError(
            f"{path} holds arrays and not a model of this library: its metadata lack {_KEY!r}. "
            f"Use RBM.from_parameters to make a model from arrays."
        )
    try:
        header = json.loads(metadata[_KEY])
        version, found = header["version"], header["kind"]
    except (ValueError, TypeError, KeyError) as error:
        raise ModelFileError(f"{path} is damaged: its header cannot be read ({error!r}).") from error
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise ModelFileError(
            f"{path} has format version {version!r}; this library reads versions 1 to {VERSION}. "
            f"Update pgm-rbm to read a later one."
        )
    if found != kind:
        raise ModelFileError(f"{path} holds a model of kind {found!r}; this reads {kind!r}.")
    if header.pop("sha256", None) != _digest(arrays):
        raise ModelFileError(f"{path} is damaged: its arrays differ from those that were written. Use another copy.")
    return header, arrays


def _digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()
