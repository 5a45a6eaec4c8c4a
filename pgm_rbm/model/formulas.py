"""The formulas of a model that one call of a kernel answers: energies, means and draws of a layer."""

from __future__ import annotations

from pgm_rbm.errors import ModelError
from pgm_rbm.machine.streams import resolve_seed
from pgm_rbm.model.draw import draw_layer, layer_key
from pgm_rbm.model.kernels import FloatArray
from pgm_rbm.model.model import Model
from pgm_rbm.model.states import States, layer_states, states_around, states_of_all

__all__ = ["draw", "energy", "mean"]


def energy(model: Model, *states: States, **named: States) -> FloatArray:
    """Return E(v, h) per row; arguments and errors as `RBM.energy`."""
    return model.kernels.energy(**states_of_all(model, states, named), **model.parameters)


def mean(model: Model, layer: str, states: States) -> FloatArray:
    """Return the mean of every unit of a layer given all others; arguments and errors as `RBM.mean`."""
    held = states_around(model, layer, states)
    if not model.layout.in_closed_form(f"mean_of_{layer}"):
        raise ModelError(
            f"the energy ties units of layer {layer} together, so their means are not known in closed form. Sample "
            f"them instead."
        )
    return model.kernels.mean(layer, held, **model.parameters)


def draw(model: Model, layer: str, states: States, seed: int | None = None) -> FloatArray:
    """Return random states of a layer given all others; arguments and errors as `RBM.draw`."""
    tied = layer in model.units and model.layout.tied(layer)
    held = layer_states(model, states, tuple(model.units)) if tied else states_around(model, layer, states)
    return draw_layer(model, layer, held, layer_key(model.layout, resolve_seed(seed), layer), 0)
