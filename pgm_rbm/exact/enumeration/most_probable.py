"""The most probable configuration: of one layer, or of a visible and a hidden layer together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import NoFiniteDomainError
from pgm_rbm.exact.enumeration.answers import log_partition
from pgm_rbm.exact.enumeration.plan import Plan, make_plan
from pgm_rbm.exact.enumeration.products import Problem
from pgm_rbm.exact.enumeration.shards import Cuts, each
from pgm_rbm.exact.enumeration.sums import ProductSum, problem_of, require_finite
from pgm_rbm.machine.budget import Budget
from pgm_rbm.model.domains import is_finite
from pgm_rbm.model.kernels import FloatArray
from pgm_rbm.model.model import Model
from pgm_rbm.sampling.gibbs import Clamp

__all__ = ["MostProbable", "Search", "most_probable", "most_probable_of_layer"]

Floats = npt.NDArray[np.float64]
_OUTER = 256


@dataclass(frozen=True)
class MostProbable:
    """A configuration that none exceeds in probability; of several, the same one every time.

    Attributes:
        visible: v, shape (n_visible,), or None where only h was asked for.
        hidden: h, shape (n_hidden,), or None where only v was asked for.
        log_probability: ln p of what is given here, given what was given, in nats.
    """

    visible: FloatArray | None
    hidden: FloatArray | None
    log_probability: float


def most_probable_of_layer(
    model: Model,
    layer: str,
    budget: Budget = Budget(),
) -> tuple[Floats, float]:
    """The most probable configuration of one layer, the other summed out, with ln of its probability.

    Arguments as `sample`; it is ``layer`` that is enumerated.
    """
    task = make_plan(model, budget, layer=layer).require()
    runs = task.runs()

    def work(one: range) -> tuple[float, int]:
        logs = task.log_weights(one)
        place = int(logs.argmax())
        return float(logs[place]), place

    # Of equal ones the first, in whatever order they come.
    value, k, place = max((value, -k, place) for k, (value, place) in each(work, runs, budget, "most probable"))
    log_z = log_partition(model, replace(budget, progress=None)).value
    return task.states(runs[-k], np.array([place]))[layer][0], value - log_z


@dataclass(frozen=True, eq=False)
class Search:
    """The search for the (v, h) of the largest p(v, h), some units given.

    The layer with fewer configurations is enumerated. Given it, each unit of the other one is in the state s with the
    largest s · field + ln μ(s), with μ what states weigh of themselves.

    Attributes:
        model: a pairwise energy between units of finitely many states.
        clamps: by layer, the units that are given, each with one value.
        budget: what the enumeration of the units that are not given may take.

    Raises:
        NoFiniteDomainError: units have infinitely many states.
        ValueError: the energy is another one, units are labels, or a parameter is not finite.
    """

    model: Model
    clamps: Mapping[str, Clamp]
    budget: Budget

    @cached_property
    def _whole(self) -> ProductSum:
        return _require_numbers(self.model)

    @cached_property
    def _given(self) -> tuple[Floats, Floats]:
        """The two layers with NaN for what is not given."""
        (v,), (h,) = self.model.kernels.visible, self.model.kernels.hidden
        problem = self._whole.problem
        layers = {v: np.full(len(problem.bias), np.nan), h: np.full(len(problem.other_bias), np.nan)}
        for layer, clamp in self.clamps.items():
            layers[layer][clamp.units] = clamp.values[0]
        return layers[v], layers[h]

    @cached_property
    def _free(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        visible, hidden = self._given
        return np.flatnonzero(np.isnan(visible)), np.flatnonzero(np.isnan(hidden))

    @cached_property
    def _reduced(self) -> tuple[Floats, Floats, Floats]:
        """a, b and w of the units that are not given, with what the given ones add to their biases."""
        problem, (free_v, free_h) = self._whole.problem, self._free
        fixed_v, fixed_h = (np.where(np.isnan(side), 0.0, side) for side in self._given)
        w = problem.coupling.T
        a, b = problem.bias + w @ fixed_h, problem.other_bias + fixed_v @ w
        return a[free_v], b[free_h], np.ascontiguousarray(w[np.ix_(free_v, free_h)])

    @cached_property
    def plan(self) -> Plan | None:
        """The enumeration of the units that are not given; None where one layer is given whole."""
        if not all(map(len, self._free)):
            return None
        (own, other, coupling), (a, b, w) = self._whole.names, self._reduced
        rest = {own: a, other: b, coupling: np.ascontiguousarray(w.T) if self._whole.transposed else w}
        return make_plan(Model.of(self.model.kernels, rest), replace(self.budget, progress=None))

    @property
    def fits(self) -> bool:
        """Whether it is within the budget."""
        return self.plan is None or self.plan.fits

    def run(self) -> MostProbable:
        """Return the configuration.

        Raises:
            EnumerationLimitError: it exceeds the budget.
        """
        problem, (a, b, w), (free_v, free_h) = self._whole.problem, self._reduced, self._free
        visible, hidden = (side.copy() for side in self._given)
        v_states, h_states = problem.states, problem.other_states
        v_measure, h_measure = problem.log_measure, problem.other_log_measure
        log_z = 0.0
        if self.plan is not None:
            log_z = log_partition(self.plan.model, self.plan.budget).value
            if len(v_states) ** len(a) <= len(h_states) ** len(b):
                rest = Problem(a, b, np.ascontiguousarray(w.T), v_states, h_states, v_measure, h_measure)
                value, visible[free_v], hidden[free_h] = _largest(rest, self.budget)
            else:
                rest = Problem(b, a, w, h_states, v_states, h_measure, v_measure)
                value, hidden[free_h], visible[free_v] = _largest(rest, self.budget)
        else:
            of_v = free_v, a, v_states, v_measure, visible
            free, bias, states, measure, target = of_v if len(free_v) else (free_h, b, h_states, h_measure, hidden)
            value = 0.0
            if len(free):
                terms = np.asarray(states)[:, None] * bias + np.asarray(measure)[:, None]
                target[free] = np.asarray(states)[terms.argmax(axis=0)]
                value = float(terms.max(axis=0).sum())
                log_z = float(np.logaddexp.reduce(terms, axis=0).sum())
        dtype = self.model.dtype
        return MostProbable(visible.astype(dtype), hidden.astype(dtype), min(value - log_z, 0.0))


def most_probable(model: Model, clamps: Mapping[str, Clamp], budget: Budget = Budget()) -> MostProbable:
    """Return the (v, h) of the largest p(v, h); arguments and errors as `Search`."""
    return Search(model, clamps, budget).run()


def _require_numbers(model: Model) -> ProductSum:
    """The enumeration of the visible layer, of a pairwise energy between units whose states are finitely many numbers.

    Raises:
        NoFiniteDomainError, ValueError: see `most_probable`.
    """
    require_finite(model.parameters)
    whole = problem_of(model, model.kernels.visible[0])
    if whole is None:
        units = " and ".join(model.units.values())
        finite = all(map(is_finite, model.units.values()))
        raise (ValueError if finite else NoFiniteDomainError)(
            f"the most probable (v, h) is found for pairwise energies between units whose states are finitely many "
            f"numbers. Got {units} units; ask for one layer (of='v' or of='h') where its units have finitely many "
            f"states."
        )
    return whole


def _largest(problem: Problem, budget: Budget) -> tuple[float, Floats, Floats]:
    """Return the largest −E(x, y), with x and y."""
    from pgm_rbm.exact.enumeration.product_loops import largest

    layout, order = problem.layout, list(problem.layout.order)
    inside, inner = len(problem.states) ** layout.inner, layout.inner
    states, measure = np.asarray(problem.other_states), np.asarray(problem.other_log_measure)
    if not any(measure):
        # Of a linear function the largest value is at one of the ends.
        states, measure = states[[0, -1]], measure[[0, -1]]
    # Lanes that are left over stand for configuration 0 once more; of equal ones the first is taken.
    lanes = np.arange(layout.lanes)
    lane_rows = problem.rows(np.where(lanes < inside, lanes, 0))[:, order[:inner]]
    u = problem.coupling[:, order]
    fields = lane_rows @ u[:, :inner].T
    scores = lane_rows @ problem.bias[order[:inner]] + problem.own_log_measure(lane_rows)
    by_block = np.ascontiguousarray(fields.reshape(-1, 64, len(u)).swapaxes(1, 2)).ravel()
    pieces = Cuts.of(layout.outer, -(-layout.outer // _OUTER), _OUTER)

    def work(piece: range) -> tuple[float, int]:
        numbers = np.arange(piece.start, piece.stop, dtype=np.int64) * inside
        rows = problem.rows(numbers)[:, order[inner:]]
        outer_fields = rows @ u[:, inner:].T + problem.other_bias
        outer_scores = rows @ problem.bias[order[inner:]] + problem.own_log_measure(rows)
        value, k, lane = largest(by_block, outer_fields, scores, outer_scores, states, measure)
        return value, int(numbers[k]) + lane

    # Of equal ones the first, in whatever order they come.
    _, number = max((value, -number) for _, (value, number) in each(work, pieces, budget, "most probable"))
    x = problem.rows(np.array([-number]))[0]
    field = problem.coupling @ x + problem.other_bias
    terms = states[:, None] * field + measure[:, None]
    value = float(problem.bias @ x + problem.own_log_measure(x[None])[0] + terms.max(axis=0).sum())
    return value, x, states[terms.argmax(axis=0)]
