"""Term A and Term B of one step of training, for each learner.

The gradient of the mean ln p is ⟨−∂E/∂θ⟩ given the data less ⟨−∂E/∂θ⟩ under the model. Term A is an average over the
batch's rows; one hidden layer is averaged exactly, and the others, where there are any, are drawn given the row by a
short chain of their own (Salakhutdinov and Larochelle 2010 start theirs from a mean field). Term B is an average over
chains that start at these rows (CD, Hinton 2002), over chains that go on from step to step (PCD, Tieleman 2008), or
over all configurations (exact).

A learner is a pair of functions. Both work on one block of rows and return that block's share of the average, so that
blocks can be computed in parallel and added in their order. A new learner is a new entry of `LEARNERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pgm_rbm.exact.enumeration import multilayer
from pgm_rbm.learning.settings import Settings
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.streams import Purpose
from pgm_rbm.model.draw import draw_hidden, draw_layer, layer_key
from pgm_rbm.model.kernels import FloatArray, Phase
from pgm_rbm.model.layout import States
from pgm_rbm.model.model import Model
from pgm_rbm.sampling.gibbs import Chains

__all__ = ["LEARNERS", "Average", "Learner", "Step"]


class Average(dict[str, FloatArray]):
    """By parameter θ, a block's share of an average of −∂E/∂θ."""

    def __sub__(self, other: Phase) -> Average:
        """Return the difference, in the arrays of the left side, since these are as large as the weights."""
        for name, value in self.items():
            whole = np.asarray(value)  # the phase of a parameter that is one number is a number
            self[name] = np.subtract(whole, other[name], out=whole)
        return self

    def __neg__(self) -> Average:
        for name, value in self.items():
            whole = np.asarray(value)
            self[name] = np.negative(whole, out=whole)
        return self


@dataclass(frozen=True)
class Step:
    """The step under way, as a learner sees it.

    Attributes:
        model: the model to train.
        settings: how to train it.
        seed, number: the seed of training, and how many steps came before; every key follows from these.
        rows: the batch, shape (rows, columns of data), in any dtype.
        chains: the persistent chains, if the learner keeps some.
        expectations: returns ⟨−∂E/∂θ⟩ under the model, over all configurations.
        budget: the limits of exact averages.
    """

    model: Model
    settings: Settings
    seed: int
    number: int
    rows: npt.NDArray[np.generic]
    chains: Chains | None
    expectations: Callable[[], Phase]
    budget: Budget

    def key(self, layer: str, sweep: int, purpose: Purpose | None = None) -> int:
        """Return the key of a layer's draw in a sweep of this step."""
        return layer_key(self.model.layout, self.seed, layer, self.number, sweep, purpose=purpose)

    def shares(self, block: slice, rows: int) -> FloatArray:
        """Return the weight of each row of a block in an average over ``rows`` rows."""
        return np.full(block.stop - block.start, 1 / rows, self.model.dtype)


@dataclass(frozen=True)
class Learner:
    """The two functions that compute the phases of a block of rows.

    Attributes:
        data_phase: from the step and a block of the batch, Term A and the states that chains may start from.
        model_phase: from the step, a block of chains and their states, Term B and the states they end in.
        persistent: whether the chains go on from step to step; else they start at the data.
        exact: whether the batch is one block, and Term B is a sum over all configurations.
    """

    data_phase: Callable[[Step, slice], tuple[Average, States]]
    model_phase: Callable[[Step, slice, States], tuple[Average, States]]
    persistent: bool = False
    exact: bool = False


def _averaged(step: Step, held: States, shares: FloatArray, first_row: int, key: int | None) -> tuple[Average, States]:
    """Return ⟨−∂E/∂θ⟩ over the averaged layer given all others; with a key, also draw that layer."""
    model, layout, parameters = step.model, step.model.layout, step.model.parameters
    averaged = layout.averaged
    assert averaged is not None
    states = layout.around(averaged, held)
    if key is None:
        phase = model.kernels.phase(states, of=layout.kept, row_weights=shares, **parameters)
        return Average(phase), held
    phase, drawn = model.kernels.phase_and_sample(
        states, key, of=layout.kept, first_row=first_row, row_weights=shares, **parameters
    )
    return Average(phase), held | {averaged: drawn}


def _given_data(step: Step, block: slice, *, draw: bool) -> tuple[Average, States]:
    """Return Term A over a block, with every hidden layer but the averaged one drawn, and the states for a chain."""
    model, layout = step.model, step.model.layout
    held = layout.data_states(np.ascontiguousarray(step.rows[block], dtype=model.dtype))
    if len(layout.hidden) > 1:
        held = draw_hidden(
            model,
            held,
            lambda layer, sweep: step.key(layer, sweep, Purpose.DATA_HIDDEN),
            block.start,
            step.settings.data_sweeps,
        )
    key = step.key(layout.hidden[-1], 0, Purpose.DATA_HIDDEN) if draw else None
    return _averaged(step, held, step.shares(block, len(step.rows)), block.start, key)


def _swept(step: Step, held: States, first_row: int) -> States:
    """Return the states after k sweeps; the last sweep leaves out the averaged layer, which Term B averages."""
    layout, k = step.model.layout, step.settings.k
    for sweep in range(k):
        hidden = layout.hidden if sweep + 1 < k else layout.hidden[:-1]
        for layer in (*layout.visible, *hidden):
            held[layer] = draw_layer(step.model, layer, held, step.key(layer, sweep), first_row)
    return held


def _from_data(step: Step, block: slice, held: States) -> tuple[Average, States]:
    """Return Term B of CD-k, over chains of k sweeps from the block's own rows."""
    held = _swept(step, held, block.start)
    return _averaged(step, held, step.shares(block, len(step.rows)), block.start, None)


def _from_chains(step: Step, block: slice, held: States) -> tuple[Average, States]:
    """Return Term B of PCD-k, over persistent chains after k more sweeps."""
    assert step.chains is not None
    held = _swept(step, held, block.start)
    # The h beside the last v is drawn from the same field that Term B averages.
    key = step.key(step.model.layout.hidden[-1], step.settings.k - 1)
    return _averaged(step, held, step.shares(block, len(step.chains)), block.start, key)


def _every_row(step: Step, block: slice) -> tuple[Average, States]:
    """Return Term A with all hidden layers averaged exactly, in float64."""
    return Average(multilayer.data_phase(step.model, step.rows[block], step.budget)), {}


def _every_configuration(step: Step, block: slice, held: States) -> tuple[Average, States]:
    """Return Term B over all configurations, in float64."""
    return Average(step.expectations()), held


LEARNERS: dict[str, Learner] = {
    "cd": Learner(lambda step, block: _given_data(step, block, draw=True), _from_data),
    "pcd": Learner(lambda step, block: _given_data(step, block, draw=False), _from_chains, persistent=True),
    "exact": Learner(_every_row, _every_configuration, exact=True),
}
"""The learners, by the name of the algorithm."""
