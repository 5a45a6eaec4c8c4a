"""RBMs and their training in model files: energy, parameters, mask, history, and the state of training.

The pairwise energy is named by the units of its layers. Any other is written as text, which `Energy.parse` reads;
nothing in a file is ever run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.formats import model_file
from pgm_rbm.learning.checkpoint import pack, unpack
from pgm_rbm.learning.history import History
from pgm_rbm.learning.settings import Training
from pgm_rbm.model.checks import checked_parameters
from pgm_rbm.model.kernels import dtype_of
from pgm_rbm.model.model import Model
from pgm_rbm.model.pairwise import from_arrays

__all__ = ["read", "write"]


def write(path: str | os.PathLike[str], model: Model, training: Training) -> None:
    """Write a model and its training; see `RBM.save`."""
    header: dict[str, Any] = {
        "layers": dict(model.units),
        "target": model.kernels.target,
        "seed": model.seed,
        "history": training.history.as_data(),
    }
    if model.energy is not None:
        from symbolic.language.as_data import energy_to_data

        header["energy"] = energy_to_data(model.energy)
        header["sizes"] = dict(model.sizes)
    arrays: dict[str, npt.NDArray[Any]] = {
        f"parameters.{name}": checked_parameters(value, name, value.shape) for name, value in model.parameters.items()
    }
    if model.mask is not None:
        arrays["mask"] = model.mask
    if training.state is not None:
        header["training"], held = pack(training.state)
        arrays |= {f"training.{name}": value for name, value in held.items()}
    model_file.write(path, "rbm", header, arrays)


def read(path: str | os.PathLike[str]) -> tuple[Model, Training]:
    """Return the model and the training that `write` wrote; see `RBM.load`."""
    header, arrays = model_file.read(path, "rbm")
    try:
        model = _model(header, arrays)
        training = Training(history=History.from_data(header["history"]))
        if "training" in header:
            training.state = unpack(header["training"], _within(arrays, "training."), model)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise model_file.ModelFileError(f"{path} is damaged: its parts do not fit together ({error}).") from error
    return model, training


def _model(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Model:
    parameters = _within(arrays, "parameters.")
    dtype = dtype_of(parameters)
    if "energy" not in header:
        w, a, b = (parameters[name] for name in ("w", "a", "b"))
        units = header["layers"]["v"], header["layers"]["h"]
        return from_arrays(w, a, b, units, header["seed"], arrays.get("mask"), w.dtype, header["target"])
    if any(array.dtype != dtype for array in parameters.values()):
        raise ValueError("its parameters differ in dtype")
    from pgm_rbm.model.of_energy import of_energy
    from symbolic.language.as_data import energy_from_data

    energy = energy_from_data(header["energy"])
    return of_energy(energy, header.get("sizes"), parameters, header["seed"], np.dtype(dtype), header["target"])


def _within(arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
