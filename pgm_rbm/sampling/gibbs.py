"""Block Gibbs sampling: chains whose layers are drawn in turn, each given all others.

A chain's state is the pair (v, h). One sweep draws the visible layers and then the hidden ones, so with one layer on
each side the h that is handed out always belongs to the v beside it, and a sweep that follows needs nothing else.
Whatever subset of units is clamped keeps its values through every draw, so the chains then sample the rest given these.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import UnknownVariableError, ValueOutsideDomainError
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.quantities import require_whole
from pgm_rbm.machine.streams import Purpose, generator, resolve_seed
from pgm_rbm.machine.workers import row_blocks, workers
from pgm_rbm.model.domains import describe, dimension, is_finite, outside, states_of
from pgm_rbm.model.draw import draw_layer, layer_key, resting
from pgm_rbm.model.kernels import FloatArray
from pgm_rbm.model.layout import Layout
from pgm_rbm.model.layout import States as LayerStates
from pgm_rbm.model.model import Model
from pgm_rbm.model.states import States, data_rows

__all__ = ["Chains", "Clamp", "Given", "chains_from", "checked_given", "clamps_from", "run_chains", "start_chains"]


@dataclass(frozen=True)
class Clamp:
    """Units of one layer that keep their values.

    Attributes:
        units: columns of the units in their layer, shape (k,): the units' places, but for vectors.
        values: their states, shape (1, k) for all chains alike or (chains, k).
    """

    units: npt.NDArray[np.intp]
    values: FloatArray

    def apply(self, states: FloatArray, rows: slice) -> None:
        """Write the clamped values into these rows' states."""
        states[:, self.units] = self.values if len(self.values) == 1 else self.values[rows]


Clamps = Mapping[str, Clamp]
Given = Mapping[Hashable, npt.ArrayLike]

# Sweeps between two looks for an interrupt: 0.08 s for 100 chains of 784×500 units (2-core Xeon, 2026-12).
_SWEEPS_AT_ONCE = 32


def clamps_from(given: Given, model: Model, n: int) -> dict[str, Clamp]:
    """By layer, the units that are clamped, from a mapping such as ``{("v", 3): 1}``.

    Args:
        given: by unit, one state for all chains or an array of n states.
        model: whose units they are.
        n: the number of chains.

    Raises:
        UnknownVariableError: a unit is not in the model.
        ValueOutsideDomainError: a value is no state of its unit.
        ValueError: there are neither 1 nor n values.
    """
    sizes = model.sizes
    places: dict[str, dict[int, FloatArray]] = {}
    for node, value in given.items():
        layer, unit = node if isinstance(node, tuple) and len(node) == 2 else ("", None)
        if layer not in sizes or not isinstance(unit, (int, np.integer)) or not 0 <= unit < sizes[layer]:
            units = " and ".join(f"{(one, 0)!r} to {(one, size - 1)!r}" for one, size in sizes.items())
            raise UnknownVariableError(
                f"given names a unit that the model does not have. Got {node!r}; the units are {units}."
            )
        states = np.asarray(value)
        unit_type = model.units[layer]
        width = dimension(unit_type)
        single = () if width == 1 else (width,)
        if states.shape not in (single, (n, *single)):
            what = "one state" if width == 1 else f"one state, a vector of {width} components,"
            raise ValueError(f"given[{node!r}] must be {what} or {n} of them. Got an array of shape {states.shape}.")
        if states.dtype.kind not in "fiub" or outside(states, unit_type).any():
            kind = "one of" if is_finite(unit_type) else "in"
            raise ValueOutsideDomainError(
                f"given[{node!r}] must be {kind} {describe(unit_type).strip('{}')}. Got {value!r}."
            )
        columns = states.astype(model.dtype).reshape(-1, width)
        places.setdefault(layer, {}).update({width * int(unit) + k: columns[:, k] for k in range(width)})
    return {
        layer: Clamp(np.array(list(units)), np.stack(np.broadcast_arrays(*units.values()), axis=1))
        for layer, units in places.items()
    }


def checked_given(given: Given | None) -> Given:
    """Return ``given``, an empty dict for None.

    Raises:
        TypeError: it is not a dict.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"given must be a dict from units to values, such as {{('v', 3): 1}}. Got {given!r}.")
    return given


@dataclass(frozen=True)
class Chains:
    """Gibbs chains, one a row, as they stand; enough to go on bit for bit.

    Attributes:
        visible: states of the visible layers, side by side, shape (chains, n_visible); the inputs follow, where the
            model is given any.
        hidden: states of the hidden layers, side by side, shape (chains, n_hidden); a single hidden layer is drawn
            given ``visible``.
        seed: the seed that every draw's key is derived from.
        sweeps: how many sweeps have been made.
    """

    visible: FloatArray
    hidden: FloatArray
    seed: int
    sweeps: int = 0

    def __len__(self) -> int:
        return len(self.visible)

    def states(self, layout: Layout, rows: slice) -> LayerStates:
        """Return the states of these rows by layer, for `model.draw`."""
        return layout.data_states(self.visible[rows]) | layout.hidden_states(self.hidden[rows])

    def write(self, layout: Layout, rows: slice, held: LayerStates) -> None:
        """Write states by layer into these rows."""
        self.visible[rows], self.hidden[rows] = layout.data_array(held), layout.hidden_array(held)


class _Clamped:
    """Draws of one model's layers with some units clamped."""

    def __init__(self, model: Model, seed: int, clamps: Clamps):
        self.model, self.seed, self.clamps = model, seed, clamps

    def draw(self, layer: str, held: LayerStates, sweep: int, rows: slice) -> None:
        """Draw a layer anew, in place."""
        key = layer_key(self.model.layout, self.seed, layer, sweep)
        kept = self.clamps[layer].units.tolist() if layer in self.clamps else ()
        held[layer] = draw_layer(self.model, layer, held, key, rows.start, kept)
        self.clamp(layer, held, rows)

    def clamp(self, layer: str, held: LayerStates, rows: slice) -> None:
        """Give the clamped units their values."""
        if layer in self.clamps:
            self.clamps[layer].apply(held[layer], rows)


def start_chains(
    model: Model,
    n: int,
    seed: int,
    *,
    visible: FloatArray | None = None,
    clamps: Clamps | None = None,
    budget: Budget = Budget(),
) -> Chains:
    """Chains before their first sweep: v as given, or else drawn; then h given v.

    Where no v is given, finite units start uniformly over their states. Visible units with infinitely many are then
    drawn given these.

    Args:
        model: what to sample.
        n: the number of chains.
        seed: 64-bit seed of all draws that follow.
        visible: states to start from, shape (n, n_visible), the inputs of a conditional model after them.
        clamps: by layer, the units that keep their values.
        budget: its threads are used.
    """
    layout, dtype = model.layout, model.dtype
    draws = _Clamped(model, seed, clamps or {})
    free = (*(() if visible is not None else layout.visible), *layout.hidden)
    places = [*layout.visible, *layout.kernels.hidden]
    first: LayerStates = {} if visible is None else layout.data_states(visible)
    for layer in free:
        unit = model.units[layer]
        if is_finite(unit):
            rng = generator(seed, Purpose.START, places.index(layer))
            states = np.asarray(states_of(unit), dtype)
            first[layer] = states[rng.integers(len(states), size=(n, layout.sizes[layer]))]
        else:
            first[layer] = resting(layout, layer, n, dtype)
    out_v, out_h = (
        np.empty((n, _width(layout.data_columns)), dtype),
        np.empty((n, _width(layout.hidden_columns)), dtype),
    )

    def work(rows: slice) -> None:
        held = {layer: value[rows].copy() for layer, value in first.items()}
        for layer in held:
            draws.clamp(layer, held, rows)
        for layer in layout.visible:
            if layer in free and not is_finite(model.units[layer]):
                draws.draw(layer, held, 0, rows)
        for layer in layout.hidden:
            draws.draw(layer, held, 0, rows)
        out_v[rows], out_h[rows] = layout.data_array(held), layout.hidden_array(held)

    with workers(budget.threads) as pool:
        pool.map(work, row_blocks(n, layout.units))
    return Chains(out_v, out_h, seed)


def run_chains(
    model: Model,
    chains: Chains,
    steps: int,
    *,
    clamps: Clamps | None = None,
    budget: Budget = Budget(),
) -> Chains:
    """The chains after ``steps`` more sweeps. The ones passed in are left as they are.

    Args:
        model: what to sample.
        chains: where to go on from.
        steps: the number of sweeps; a + b sweeps in one go or in two are the same to the last bit.
        clamps: by layer, the units that keep their values.
        budget: its threads are used.
    """
    layout = model.layout
    draws = _Clamped(model, chains.seed, clamps or {})
    out_v, out_h = chains.visible.copy(), chains.hidden.copy()
    done, last = chains.sweeps, chains.sweeps + steps
    with workers(budget.threads) as pool:
        while done < last:
            # A batch of sweeps at a time, so that an interrupt is answered soon and the threads seldom wait.
            sweeps = range(done + 1, min(done + _SWEEPS_AT_ONCE, last) + 1)

            def work(rows: slice, sweeps: range = sweeps) -> None:
                held = layout.data_states(out_v[rows]) | layout.hidden_states(out_h[rows])
                for sweep in sweeps:
                    for layer in (*layout.visible, *layout.hidden):
                        draws.draw(layer, held, sweep, rows)
                out_v[rows], out_h[rows] = layout.data_array(held), layout.hidden_array(held)

            pool.map(work, row_blocks(len(chains), layout.units))
            done = sweeps[-1]
    return Chains(out_v, out_h, chains.seed, last)


def chains_from(
    model: Model,
    chains: int | Chains,
    steps: int,
    given: Given | None = None,
    seed: int | None = None,
    *,
    start: States | None = None,
    budget: Budget = Budget(),
) -> Chains:
    """Return new chains, or ones that go on, after so many sweeps; arguments and errors as `RBM.run_chains`."""
    require_whole("steps", steps, 0)
    clamped = checked_given(given)
    if isinstance(chains, Chains):
        if seed is not None or start is not None:
            raise ValueError("seed and start are for new chains. Got chains to go on with.")
        clamps = clamps_from(clamped, model, len(chains))
    else:
        require_whole("n", chains)
        clamps = clamps_from(clamped, model, chains)
        first = None if start is None else data_rows(model, start, "start", model.dtype)
        if first is None and model.layout.given:
            raise ValueError(
                f"the model is given {', '.join(model.layout.given)}: pass states to start from with start=…."
            )
        if first is not None and len(first) != chains:
            raise ValueError(f"start must have a row for each of the {chains} chains. Got {len(first)}.")
        chains = start_chains(model, chains, resolve_seed(seed), visible=first, clamps=clamps, budget=budget)
    return run_chains(model, chains, steps, clamps=clamps, budget=budget)


def _width(columns: dict[str, slice]) -> int:
    return sum(place.stop - place.start for place in columns.values())
