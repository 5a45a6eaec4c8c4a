"""Energies over any number of layers: which of them to enumerate, and what the hidden ones are given data.

Some layers, s, are summed out in closed form given all others, r: with F(r) the free energy of these,

    ln Z = ln Σ_r μ(r) e^{−F(r)},    ⟨f⟩ = Σ_r p(r) ⟨f⟩_r,    p(r) = μ(r) e^{−F(r)} / Z,

so all of r must have finitely many states, and s a closed form. Of the ways there are, the one is taken that leaves the
fewest configurations; in a deep model every other layer can be summed out at once. What is conditional on data is had
the same way, with the hidden layers but one enumerated for each row.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import EnumerationLimitError, ModelError
from pgm_rbm.exact.enumeration.sums import KernelSum
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.workers import row_blocks, workers
from pgm_rbm.model.domains import is_finite, log_measure, states_of
from pgm_rbm.model.kernels import FloatArray, Phase
from pgm_rbm.model.layout import NO_AVERAGE, Layout, States
from pgm_rbm.model.model import Model

__all__ = ["data_phase", "free_energy", "kept_layers", "log_probability"]

Floats = npt.NDArray[np.float64]

_BLOCK_VALUES = 2**18
_MOST_PER_ROW = 2**14


def kept_layers(layout: Layout, averages: bool) -> tuple[str, ...] | str:
    """Return the layers to enumerate, or the reason why none will do.

    They are the smallest of the sets of finite layers given which all others have a closed form.

    Args:
        layout: the model's layers.
        averages: whether averages are wanted besides ln Z.
    """
    if layout.given:
        return (
            f"Z depends on the input {layout.given[0]}, so the model has no single ln Z. Ask for energies, free "
            f"energies and means, or make the input a visible layer."
        )
    layers = layout.kernels.layers
    finite = [layer for layer, unit in layers.items() if is_finite(unit)]
    ways = {}
    for size in range(1, len(layers)):
        for kept in combinations(finite, size):
            named = [f"{what}_of_{'_'.join(kept)}" for what in ("free_energy", "phase")]
            if all(map(layout.in_closed_form, named)):
                ways[kept] = math.prod(len(states_of(layers[one])) ** layout.sizes[one] for one in kept)
    if ways:
        return min(ways, key=lambda kept: ways[kept])
    if not averages and len(finite) == len(layers):
        return tuple(layers)
    infinite = [f"{layer} ({unit})" for layer, unit in layers.items() if not is_finite(unit)]
    reason = (
        f"the states of {' and '.join(infinite)} cannot be listed"
        if infinite
        else "every layer ties its units together"
    )
    return (
        f"exact answers need some layers in closed form and all others of finitely many states, and {reason}. Use "
        f"sampling, and training by CD or PCD with monitor='none'."
    )


class _Posterior:
    """The hidden layers given data: all but one enumerated for each row, that one summed out in closed form."""

    def __init__(self, model: Model, *, averages: bool):
        self.model, self.layout = model, model.layout
        layout = model.layout
        self.summed = layout.averaged
        if averages and self.summed is None:
            raise ModelError(NO_AVERAGE)
        self.listed = tuple(one for one in layout.kernels.hidden if one != self.summed)
        infinite = [one for one in self.listed if not is_finite(layout.kernels.layers[one])]
        if infinite:
            unit = layout.kernels.layers[infinite[0]]
            raise ModelError(
                f"the {unit} units of layer {infinite[0]} have infinitely many states, so they cannot be summed out "
                f"beside layer {self.summed}. Ask for energies, or choose finite units there."
            )
        self._every = KernelSum(model, self.listed)
        self.count = self._every.configurations
        if self.count > _MOST_PER_ROW:
            raise EnumerationLimitError(
                f"F(v) sums over {self.count} configurations of {', '.join(self.listed)} for each row, and at most "
                f"{_MOST_PER_ROW} are enumerated. Use fewer hidden units there, or energies of all layers and samples.",
                configurations=self.count,
                limit=_MOST_PER_ROW,
                seconds=math.nan,
                memory=0,
            )

    def blocks(self, rows: int) -> list[slice]:
        """Rows of data that are worked on at once."""
        if self.count == 1:
            return row_blocks(rows, self.layout.units)
        step = max(1, _BLOCK_VALUES // (self.layout.units * self.count))
        return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]

    def states(self, x: npt.NDArray[Any], dtype: npt.DTypeLike) -> States:
        """Every row beside every configuration of the hidden layers that are enumerated."""
        data = self.layout.data_states(np.ascontiguousarray(x, dtype=dtype))
        if self.count == 1:
            return data
        every = self._every.numbered(np.arange(self.count))
        held = {layer: np.repeat(value, self.count, axis=0) for layer, value in data.items()}
        return held | {layer: np.tile(value.astype(dtype), (len(x), 1)) for layer, value in every.items()}

    def log_weights(self, held: States, rows: int) -> Floats:
        """−F of every row and configuration, shape (rows, configurations), with the measure of what is enumerated."""
        kernels, parameters = self.model.kernels, self.model.parameters
        if self.summed is None:
            logs = -kernels.energy(**held, **parameters)
        else:
            logs = -kernels.free_energy(held, of=self.layout.kept, **parameters)
        logs = logs + self._every.log_measure({layer: held[layer] for layer in self.listed}) if self.listed else logs
        result: Floats = logs.reshape(rows, self.count)
        return result


def free_energy(model: Model, x: npt.NDArray[Any]) -> FloatArray:
    """F(v) = −ln Σ_h e^{−E(v, h)} of every row of data, all hidden layers summed out; shape (rows,).

    Raises:
        ModelError, EnumerationLimitError: the hidden layers cannot be summed out.
    """
    dtype = model.dtype
    posterior = _Posterior(model, averages=False)
    out = np.empty(len(x), dtype)
    for block in posterior.blocks(len(x)):
        rows = x[block]
        logs = posterior.log_weights(posterior.states(rows, dtype), len(rows))
        out[block] = -np.logaddexp.reduce(logs, axis=1)
    return out


def data_phase(model: Model, x: npt.NDArray[Any], budget: Budget = Budget()) -> Phase:
    """Term A: the average of −∂E/∂θ over the rows of ``x``, all hidden layers averaged exactly, in float64."""
    raised = model.lifted()
    posterior = _Posterior(raised, averages=True)

    def work(block: slice) -> Phase:
        rows = x[block]
        held = posterior.states(rows, np.float64)
        weights = None
        if posterior.count > 1:
            logs = posterior.log_weights(held, len(rows))
            weights = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)).ravel()
        return raised.kernels.phase(held, of=raised.layout.kept, row_weights=weights, **raised.parameters)

    with workers(budget.threads) as pool:
        parts = pool.map(work, posterior.blocks(len(x)))
    return {name: sum((part[name] for part in parts[1:]), parts[0][name]) / len(x) for name in parts[0]}


def log_probability(model: Model, x: npt.NDArray[Any], log_z: float, budget: Budget = Budget()) -> Floats:
    """ln p(v) = ln μ(v) − F(v) − ln Z for every row of ``x``, in float64, shape (rows,)."""
    layout, raised = model.layout, model.lifted()
    out = np.empty(len(x))

    def work(rows: slice) -> None:
        out[rows] = -free_energy(raised, x[rows]) - log_z

    with workers(budget.threads) as pool:
        pool.map(work, row_blocks(len(x), layout.units))
    for layer, states in layout.data_states(x).items():
        measure = None if layer in layout.given else log_measure(model.units[layer], states)
        if measure is not None:
            out += measure.sum(axis=1)
    return out
