"""A training state as plain data and arrays, and back: what a model file holds of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pgm_rbm.kernels import FloatArray
from pgm_rbm.learning.optimisers import optimiser_from, optimiser_settings
from pgm_rbm.learning.trainer import Settings, TrainingState
from pgm_rbm.sampling.gibbs import Chains

__all__ = ["pack", "unpack"]


def pack(state: TrainingState) -> tuple[dict[str, Any], dict[str, FloatArray]]:
    """The state as JSON data and named arrays.

    Raises:
        TypeError: the optimiser is none that can be written to a file.
    """
    data: dict[str, Any] = {
        "settings": asdict(state.settings) | {"optimiser": optimiser_settings(state.settings.optimiser)},
        **{name: getattr(state, name) for name in ("seed", "rows", "epoch", "batch", "step", "squares")},
    }
    arrays = {f"slots.{name}.{slot}": array for name, held in state.slots.items() for slot, array in held.items()}
    if state.chains is not None:
        data["chains"] = {"seed": state.chains.seed, "sweeps": state.chains.sweeps}
        arrays |= {"chains.visible": state.chains.visible, "chains.hidden": state.chains.hidden}
    return data, arrays


def unpack(data: Mapping[str, Any], arrays: Mapping[str, FloatArray]) -> TrainingState:
    """The state that `pack` took apart."""
    settings = dict(data["settings"])
    settings["optimiser"] = optimiser_from(**settings["optimiser"])
    slots: dict[str, dict[str, FloatArray]] = {}
    for name, array in arrays.items():
        if name.startswith("slots."):
            _, parameter, slot = name.split(".")
            slots.setdefault(parameter, {})[slot] = array
    chains = None
    if "chains" in data:
        chains = Chains(arrays["chains.visible"], arrays["chains.hidden"], **data["chains"])
    return TrainingState(
        Settings(**settings),
        **{name: data[name] for name in ("seed", "rows", "epoch", "batch", "step", "squares")},
        slots=slots,
        chains=chains,
    )
