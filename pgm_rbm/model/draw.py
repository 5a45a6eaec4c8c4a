"""Draw one layer given all others, the step that every chain consists of.

Where the units of a layer are independent given the rest, the generated sampler draws them all at once. Where the
energy ties them together, they are drawn one after another, each given all others: unit i takes state s with
p(s | rest) ∝ μ(s) e^{−E(…, v_i = s, …)}, from the energy's own kernel. Both draws are functions of the key, the row and
the unit alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import DivergentError, ModelError
from pgm_rbm.machine.streams import Purpose, derive_key, uniforms
from pgm_rbm.model.domains import is_bounded, is_finite, log_measure, resting_state, states_of
from pgm_rbm.model.kernels import FloatArray
from pgm_rbm.model.layout import Layout, States
from pgm_rbm.model.model import Model

__all__ = ["draw_hidden", "draw_layer", "layer_key", "require_drawable", "resting"]


def require_drawable(layout: Layout) -> None:
    """Check that every layer that is not given can be drawn.

    Raises:
        ModelError: the units of a layer are tied together and have infinitely many states.
    """
    for layer in (*layout.visible, *layout.hidden):
        unit, name = layout.kernels.layers[layer], f"sample_of_{layer}"
        if name not in layout.kernels.methods and not is_finite(unit):
            try:
                layout.kernels.sample(layer, {}, 0)
            except ValueError as reason:
                raise ModelError(f"the {unit} units of layer {layer} cannot be drawn: {reason}") from None


def layer_key(layout: Layout, seed: int, layer: str, *counters: int, purpose: Purpose | None = None) -> int:
    """Return the key of a layer's draw; its place on its side enters for all layers but the first."""
    visible = layer in layout.visible
    place = (layout.visible if visible else layout.kernels.hidden).index(layer)
    if purpose is None:
        purpose = Purpose.VISIBLE if visible else Purpose.HIDDEN
    return derive_key(seed, purpose, *counters, *((place,) if place else ()))


def resting(layout: Layout, layer: str, rows: int, dtype: npt.DTypeLike) -> FloatArray:
    """Return every unit in the state nearest to zero; shape (rows, units)."""
    state = np.asarray(resting_state(layout.kernels.layers[layer]), dtype)
    return np.tile(state, (rows, layout.sizes[layer]))


def draw_layer(
    model: Model,
    layer: str,
    states: States,
    key: int,
    first_row: int,
    kept: Sequence[int] = (),
) -> FloatArray:
    """Return random states of ``layer`` given all others.

    Args:
        model: the model.
        layer: the layer to draw.
        states: by layer, shape (rows, units). Where the layer's units are tied together, its own states are read too,
            and the draw starts from them.
        key: 64-bit key of this draw.
        first_row: number of row 0, as for the kernels.
        kept: units that keep their states where units are drawn one by one; otherwise the caller clamps them after the
            draw.

    Raises:
        ModelError: see `require_drawable`.
        DivergentError: a state is no longer finite.
    """
    if all(map(is_bounded, model.units.values())):
        return _drawn(model, layer, states, key, first_row, kept)
    with np.errstate(over="ignore", invalid="ignore"):
        drawn = _drawn(model, layer, states, key, first_row, kept)
    if not np.isfinite(drawn).all():
        row, column = (int(k) for k in np.argwhere(~np.isfinite(drawn))[0])
        raise DivergentError(
            f"a chain has run away: {model.units[layer]} unit {column} of layer {layer} was drawn as "
            f"{drawn[row, column]} at row {row}. Either the model has no Z or its states are too large for "
            f"{drawn.dtype}; make its weights smaller."
        )
    return drawn


def _drawn(
    model: Model,
    layer: str,
    states: States,
    key: int,
    first_row: int,
    kept: Sequence[int],
) -> FloatArray:
    layout, kernels = model.layout, model.kernels
    if not layout.tied(layer):
        return kernels.sample(layer, layout.around(layer, states), key, first_row=first_row, **model.parameters)
    if layout.one_by_one(layer) and not kept:
        return kernels.sample(layer, states, key, first_row=first_row, **model.parameters)
    return _one_by_one(model, layer, states, key, first_row, kept)


def _one_by_one(
    model: Model,
    layer: str,
    states: States,
    key: int,
    first_row: int,
    kept: Sequence[int],
) -> FloatArray:
    unit = model.units[layer]
    if not is_finite(unit):
        raise ModelError(
            f"the {unit} units of layer {layer} are tied together and have infinitely many states, so they are drawn "
            f"only where none of them is clamped. Leave the layer out of given."
        )
    values = np.asarray(states_of(unit))
    measure = log_measure(unit, values)
    drawn = states[layer].copy()
    rows, units = drawn.shape
    u = uniforms(key, first_row, rows, units)
    # All states of a unit go through the kernel in one call.
    around = {one: np.tile(value, (len(values), 1)) for one, value in states.items() if one != layer}
    for i in range(units):
        if i in kept:
            continue
        tried = np.tile(drawn, (len(values), 1))
        tried[:, i] = np.repeat(values, rows)
        energies = model.kernels.energy(**{**around, layer: tried}, **model.parameters)
        logs = -energies.reshape(len(values), rows).astype(np.float64)
        if measure is not None:
            logs += measure[:, None]
        weights = np.cumsum(np.exp(logs - logs.max(axis=0)), axis=0)
        chosen = (weights < u[:, i] * weights[-1]).sum(axis=0)
        drawn[:, i] = values[np.minimum(chosen, len(values) - 1)]
    return drawn


def draw_hidden(
    model: Model,
    states: States,
    key_of: Callable[[str, int], int],
    first_row: int,
    sweeps: int = 1,
) -> States:
    """Return hidden states given the visible ones, after ``sweeps`` Gibbs sweeps over the hidden layers.

    One sweep is exact where there is a single hidden layer whose units are independent given the visible ones.

    Args:
        model: the model.
        states: of the visible and the given layers; of hidden layers, the states to start from, else they start at
            rest.
        key_of: from layer and sweep, the key of that draw.
        first_row: number of row 0.
        sweeps: how many sweeps.

    Returns:
        The states of all layers, with new hidden ones.
    """
    rows = len(next(iter(states.values())))
    held = dict(states)
    for layer in model.layout.hidden:
        if layer not in held:
            held[layer] = resting(model.layout, layer, rows, model.dtype)
    for sweep in range(sweeps):
        for layer in model.layout.hidden:
            held[layer] = draw_layer(model, layer, held, key_of(layer, sweep), first_row)
    return held
