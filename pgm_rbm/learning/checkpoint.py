"""Turn a training state into the plain data and arrays of a model file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy.typing as npt

from pgm_rbm.learning.settings import Settings, TrainingState
from pgm_rbm.learning.updates import optimiser_from, optimiser_settings
from pgm_rbm.model.kernels import FloatArray
from pgm_rbm.model.model import Model
from pgm_rbm.sampling.gibbs import Chains

__all__ = ["pack", "unpack"]

_COUNTERS = ("seed", "rows", "epoch", "batch", "step", "squares")


def pack(state: TrainingState) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    """Return the state as JSON data and named arrays.

    Raises:
        TypeError: the optimiser cannot be written to a file.
    """
    data: dict[str, Any] = {
        "settings": asdict(state.settings) | {"optimiser": optimiser_settings(state.settings.optimiser)},
        **{name: getattr(state, name) for name in _COUNTERS},
    }
    arrays = {f"slots.{name}.{slot}": array for name, held in state.slots.items() for slot, array in held.items()}
    if state.chains is not None:
        data["chains"] = {"seed": state.chains.seed, "sweeps": state.chains.sweeps}
        arrays |= {"chains.visible": state.chains.visible, "chains.hidden": state.chains.hidden}
    return data, arrays


def unpack(data: Mapping[str, Any], arrays: Mapping[str, FloatArray], model: Model) -> TrainingState:
    """Return the state that `pack` took apart, for this model.

    Raises:
        KeyError, TypeError, ValueError: something is missing or does not fit the model.
    """
    settings = dict(data["settings"])
    settings["optimiser"] = optimiser_from(**settings["optimiser"])
    slots: dict[str, dict[str, FloatArray]] = {}
    for name, array in arrays.items():
        if name.startswith("slots."):
            _, parameter, slot = name.split(".")
            slots.setdefault(parameter, {})[slot] = _fitting(
                array, name, model.parameters[parameter].shape, model.dtype
            )
    chains = None
    if "chains" in data:
        layout, dtype = model.layout, model.dtype
        visible, hidden = arrays["chains.visible"], arrays["chains.hidden"]
        n = len(visible)
        chains = Chains(
            _fitting(visible, "chains.visible", (n, sum(layout.widths[one] for one in layout.data_columns)), dtype),
            _fitting(hidden, "chains.hidden", (n, sum(layout.widths[one] for one in layout.hidden)), dtype),
            **data["chains"],
        )
    return TrainingState(Settings(**settings), **{name: data[name] for name in _COUNTERS}, slots=slots, chains=chains)


def _fitting(array: FloatArray, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> FloatArray:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} must be {dtype} of shape {shape}. Got {array.dtype} of shape {array.shape}.")
    return array
