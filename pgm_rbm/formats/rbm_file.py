"""An RBM as a model file and back: its energy, parameters, mask, history, and where training stands.

The pairwise energy is named by the units of its layers. Any other is written as text, which `Energy.parse` reads;
nothing in a file is ever run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from pgm_rbm.formats import model_file
from pgm_rbm.learning.history import History
from pgm_rbm.model.kernels import checked_parameters, dtype_of

if TYPE_CHECKING:
    from pgm_rbm.learning.fit import LearningModel
    from pgm_rbm.rbm import RBM

__all__ = ["read", "write"]


def write(path: str | os.PathLike[str], rbm: LearningModel) -> None:
    """See `RBM.save`."""
    from pgm_rbm.learning.checkpoint import pack

    header: dict[str, Any] = {
        "layers": rbm.units,
        "target": rbm.kernels.target,
        "seed": rbm._seed,
        "history": rbm.history.as_data(),
    }
    if not rbm.is_pairwise:
        from symbolic.language.as_data import energy_to_data

        header["energy"] = energy_to_data(rbm.symbolic_energy)
        header["sizes"] = rbm.sizes
    arrays: dict[str, npt.NDArray[Any]] = {
        f"parameters.{name}": checked_parameters(value, name, value.shape) for name, value in rbm.parameters.items()
    }
    if rbm._mask is not None:
        arrays["mask"] = rbm._mask
    if rbm._training is not None:
        header["training"], held = pack(rbm._training)
        arrays |= {f"training.{name}": value for name, value in held.items()}
    model_file.write(path, "rbm", header, arrays)


def read(path: str | os.PathLike[str], kind: type[RBM]) -> RBM:
    """See `RBM.load`."""
    from pgm_rbm.learning.checkpoint import unpack

    header, arrays = model_file.read(path, "rbm")
    try:
        rbm = _model(header, arrays, kind)
        rbm._history = History.from_data(header["history"])
        if "training" in header:
            rbm._training = unpack(header["training"], _within(arrays, "training."), rbm._parameters, rbm._kernels)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise model_file.ModelFileError(f"{path} is damaged: its parts do not fit ({error}).") from error
    return rbm


def _model(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], kind: type[RBM]) -> RBM:
    parameters = _within(arrays, "parameters.")
    dtype = dtype_of(parameters)
    if "energy" in header:
        from symbolic.language.as_data import energy_from_data

        energy = energy_from_data(header["energy"])
        if any(array.dtype != dtype for array in parameters.values()):
            raise ValueError("its parameters have several dtypes")
        return kind.from_energy(
            energy, header.get("sizes"), parameters, header["seed"], dtype=dtype, target=header["target"]
        )
    return kind.from_parameters(
        parameters["w"],
        parameters["a"],
        parameters["b"],
        header["layers"]["v"],
        header["layers"]["h"],
        header["seed"],
        mask=arrays.get("mask"),
        dtype=parameters["w"].dtype,
        target=header["target"],
    )


def _within(arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
