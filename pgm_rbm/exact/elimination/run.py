"""Exact answers by variable elimination: ln Z, marginals, the most probable configuration and samples.

A model is a list of ``(scope, log_table)``: the names of the variables that the table's axes stand for, and
the logarithms of its potentials, ``-inf`` for a potential of zero. The variables are summed out one at a time
(Koller & Friedman, Probabilistic Graphical Models, 2009, chapters 9 and 10). The tables that hold variable x when its
turn comes are multiplied to C(x, s), where s are the other variables in them, and the message m(s) = Σ_x C(x, s) takes
their place. Parts that share no variable factor by themselves: each ends in a number, and the numbers multiply.

The way back goes through the variables from the last to the first and needs, for each, only

    p(x | s) = C(x, s) / m(s).

Drawing x from it gives independent samples; p(x, s) = p(x | s) p(s) gives every marginal; and with max in place of Σ,
the largest entry gives the most probable configuration. Probabilities are at most 1 and never divided by one another,
so the way back needs no logarithms however large the potentials are; the way forward uses them where it
must (:mod:`pgm_rbm.exact.elimination.tables`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgm_rbm.exact.elimination.order import EliminationPlan, Segment
from pgm_rbm.exact.elimination.tables import (
    Contradiction,
    FloatArray,
    LogTable,
    Scope,
    Table,
    align,
    from_logs,
    from_potentials,
    log_sum_exp,
    product,
    reductions,
    size_of,
)
from pgm_rbm.machine.progress import Progress
from pgm_rbm.machine.workers import workers

__all__ = [
    "Meter",
    "SumRun",
    "log_marginal",
    "log_partition",
    "marginals",
    "most_probable",
    "sample",
]

# Tables of one variable are multiplied once and for all while their product has at most this many entries. On a grid of
# 9 × 9 variables of three states ln Z takes 9 ms, and 13 ms with 8 entries; 4,096 gain nothing (2 cores, 2026-12).
_MERGED = 512
# How often progress is told: a bar needs no more, and a call costs about a microsecond.
_REPORTS = 200


def log_partition(
    tables: Sequence[LogTable],
    cardinalities: Mapping[Hashable, int],
    chosen: EliminationPlan,
    *,
    progress: Progress | None = None,
) -> float:
    """Return ln Σ_x Π_f φ_f(x_f), the sum over all assignments of the product of the tables.

    Args:
        tables: (scope, log_table) pairs; an entry is finite or ``-inf``.
        cardinalities: number of states of every variable, also of those in no table.
        chosen: the plan for these scopes.
        progress: called with (table entries computed, table entries in all).

    Returns:
        ln Z; ``-inf`` when every assignment has potential zero.
    """
    with workers(1):
        run = SumRun(tables, cardinalities, chosen.order, Meter(progress, chosen.operations))
        try:
            run.forward()
        except Contradiction:
            return -math.inf
        return run.constant()


def log_marginal(
    tables: Sequence[LogTable],
    cardinalities: Mapping[Hashable, int],
    keep: Sequence[Hashable],
    chosen: EliminationPlan,
    *,
    progress: Progress | None = None,
) -> FloatArray:
    """Return ln Σ Π_f φ_f(x_f) for each assignment of the variables in ``keep``: their unnormalised joint marginal.

    Args:
        tables: (scope, log_table) pairs.
        cardinalities: number of states of every variable.
        keep: variables to keep, each once; the result's axes follow this order.
        chosen: the plan for these scopes and ``keep``.
        progress: as for :func:`log_partition`.

    Returns:
        Array of shape ``[cardinalities[name] for name in keep]``; its log-sum-exp is ln Z.

    Raises:
        Contradiction: every assignment has potential zero.
    """
    free = [name for name in keep if cardinalities[name] > 1]
    with workers(1):
        run = SumRun(tables, cardinalities, [*chosen.order, *free], Meter(progress, chosen.operations))
        kept = run.forward(len(chosen.order))
        total, _ = product(kept, tuple(range(len(chosen.order), len(run.order))), run.sizes, logs=True)
    return np.asarray(total.reshape([cardinalities[name] for name in keep]) + run.constant())


def marginals(
    tables: Sequence[LogTable],
    cardinalities: Mapping[Hashable, int],
    wanted: Iterable[tuple[Hashable, ...]],
    chosen: EliminationPlan,
    segment: Segment | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[float, dict[tuple[Hashable, ...], FloatArray]]:
    """Return the marginals over many scopes, by one way forward and one back.

    Args:
        tables: (scope, log_table) pairs.
        cardinalities: number of states of every variable.
        wanted: scopes, each of one variable or within a scope that ``chosen`` was made for.
        chosen: the plan for these scopes.
        segment: how the way back is divided, so that few enough messages are held; not at all by default.
        progress: as for :func:`log_partition`.

    Returns:
        ln Z, and for every wanted scope an array with an axis for each of its variables, in their order, that sums to
        one.

    Raises:
        Contradiction: every assignment has potential zero.
    """
    segment = segment or Segment(0, len(chosen.order))
    meter = Meter(progress, _forward(chosen, segment) + sum(chosen.sizes))
    with workers(1):
        run = SumRun(tables, cardinalities, chosen.order, meter)
        place = {name: step for step, name in enumerate(run.order)}
        asked: dict[int, dict[Scope, list[tuple[Hashable, ...]]]] = {}
        found: dict[tuple[Hashable, ...], FloatArray] = {}
        for names in wanted:
            scope = tuple(sorted(place[name] for name in names if name in place))
            if scope:
                asked.setdefault(scope[0], {}).setdefault(scope, []).append(names)
            else:
                found[names] = np.ones([1] * len(names))

        def keep(scope: Scope, belief: FloatArray) -> None:
            belief = belief / belief.sum()
            for names in asked[scope[0]][scope]:
                places = [place[name] for name in names if name in place]
                axes = [scope.index(step) for step in places]
                found[names] = np.ascontiguousarray(
                    belief.transpose(axes).reshape([cardinalities[name] for name in names])
                )

        _Beliefs(run, {step: set(scopes) for step, scopes in asked.items()}, keep).back(segment)
        return run.constant(), found


def most_probable(
    tables: Sequence[LogTable],
    cardinalities: Mapping[Hashable, int],
    chosen: EliminationPlan,
    segment: Segment | None = None,
    *,
    progress: Progress | None = None,
) -> dict[Hashable, int]:
    """Return argmax_x Π_f φ_f(x_f).

    Among several, each variable takes the first of its best states given those that are summed out after it.

    Args:
        tables, cardinalities, chosen, segment, progress: as for :func:`marginals`.

    Returns:
        Variable -> index of its state.

    Raises:
        Contradiction: every assignment has potential zero.
    """
    segment = segment or Segment(0, len(chosen.order))
    with workers(1):
        run = MaxRun(tables, cardinalities, chosen.order, Meter(progress, _forward(chosen, segment)))
        found = [0] * len(run.order)

        def choose(step: int, inputs: Sequence[Table]) -> None:
            total = np.zeros(run.sizes[step])
            for table in inputs:
                where: tuple[Any, ...] = (slice(None), *(found[axis] for axis in table.scope[1:]))
                total += table.array(True)[where]
            found[step] = int(total.argmax())

        run.back(segment, choose)
    chosen_states = dict.fromkeys(cardinalities, 0)
    chosen_states.update(zip(run.order, found, strict=True))
    return chosen_states


def sample(
    tables: Sequence[LogTable],
    cardinalities: Mapping[Hashable, int],
    n: int,
    uniforms: Callable[[Hashable], FloatArray],
    chosen: EliminationPlan,
    segment: Segment | None = None,
    *,
    progress: Progress | None = None,
) -> dict[Hashable, NDArray[np.intp]]:
    """Return independent assignments, each drawn with its probability.

    Args:
        tables, cardinalities, chosen, segment, progress: as for :func:`marginals`.
        n: how many.
        uniforms: gives for a variable the n numbers in [0, 1) that its states are chosen by.

    Returns:
        Variable -> indices of its states, shape (n,).

    Raises:
        Contradiction: every assignment has potential zero.
    """
    segment = segment or Segment(0, len(chosen.order))
    with workers(1):
        run = SumRun(tables, cardinalities, chosen.order, Meter(progress, _forward(chosen, segment)))
        drawn: list[NDArray[np.intp]] = [np.zeros(0, np.intp)] * len(run.order)

        def draw(step: int, inputs: Sequence[Table]) -> None:
            logs = np.zeros((run.sizes[step], n))
            for table in inputs:
                shape = table.values.shape
                where = np.zeros(n, np.intp)
                for axis, length in zip(table.scope[1:], shape[1:], strict=True):
                    where *= length
                    where += drawn[axis]
                values = table.values.reshape(shape[0], -1)[:, where]
                if not table.in_logs:
                    with np.errstate(divide="ignore"):
                        np.log(values, out=values)
                logs += values
            cumulative = np.exp(logs - logs.max(axis=0)).cumsum(axis=0)
            total = cumulative[-1]
            # the product may round up to the total, which no state lies at
            level = np.minimum(uniforms(run.order[step]) * total, np.nextafter(total, 0.0))
            drawn[step] = (cumulative[:-1] <= level).sum(axis=0)

        run.back(segment, draw)
    states = {name: np.zeros(n, np.intp) for name in cardinalities}
    states.update(zip(run.order, drawn, strict=True))
    return states


def _forward(chosen: EliminationPlan, segment: Segment) -> int:
    """Return the number of table entries that the way forward computes."""
    return int(segment.forward([0, *itertools.accumulate(chosen.sizes)]))


class Meter:
    """Tells how far a run is, now and then."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total = progress, max(total, 1)
        self.done = 0
        self.next = 0.0

    def add(self, entries: int) -> None:
        self.done += entries
        if self.progress is not None and self.done >= self.next:
            self.next = self.done + self.total / _REPORTS
            self.progress(min(self.done, self.total), self.total)

    def end(self) -> None:
        if self.progress is not None:
            self.progress(self.total, self.total)


_Waiting = dict[int, dict[Scope, Table]]


class _Run:
    """The tables sorted into one bucket for each variable, and the way through them forwards and back.

    Variables are known by their position in the order, so that every scope is sorted by time of elimination: a step's
    own variable is axis 0 of all its tables, and what is left after its sum is sorted already. What waits is kept as
    step -> scope -> message; messages of one scope are multiplied as they come.
    """

    in_logs = False

    def __init__(
        self,
        tables: Sequence[LogTable],
        cardinalities: Mapping[Hashable, int],
        order: Sequence[Hashable],
        meter: Meter,
    ) -> None:
        self.order = tuple(order)
        self.sizes = [cardinalities[name] for name in order]
        self.meter = meter
        self.shifts: list[float] = []
        self.contradicts = False
        self.factors: list[list[Table]] = [[] for _ in order]
        place = {name: step for step, name in enumerate(order)}
        pending: dict[int, list[tuple[Scope, FloatArray]]] = {}
        for scope, table in tables:
            axes = [axis for axis, name in enumerate(scope) if name in place]
            if len(axes) < len(scope):  # what is not in the order has one state
                table = np.asarray(table).reshape([table.shape[axis] for axis in axes])
            if not axes:
                self._shift(float(table))
                continue
            steps = [place[scope[axis]] for axis in axes]
            by_time = sorted(range(len(steps)), key=steps.__getitem__)
            logs = np.asarray(table, dtype=np.float64).transpose(by_time)
            pending.setdefault(min(steps), []).append((tuple(sorted(steps)), logs))
        for step, parts in pending.items():
            self._put(step, parts)
        self.clusters, self.senders = self._follow_scopes()
        # fresh memory is slow to touch, and the products of the large steps need much of it
        self.scratch = np.empty(max((size_of(cluster, self.sizes) for cluster in self.clusters), default=0))

    def _put(self, step: int, parts: list[tuple[Scope, FloatArray]]) -> None:
        """Multiply the step's small tables, so that they are not multiplied again at every visit."""
        while parts:
            scope, logs = parts.pop()
            fresh = False
            rest = []
            for other, values in reversed(parts):
                union = scope if set(other) <= set(scope) else tuple(sorted({*scope, *other}))
                if size_of(union, self.sizes) > _MERGED:
                    rest.append((other, values))
                    continue
                logs = align(scope, logs, union, self.sizes) + align(other, values, union, self.sizes)
                scope, fresh = union, True
            parts = rest[::-1]
            table, shift = from_logs(scope, logs if fresh else np.array(logs, order="C"), keep=self.in_logs)
            self._shift(shift)
            self.factors[step].append(table)

    def _shift(self, value: float) -> None:
        self.shifts.append(value)
        self.contradicts |= value == -math.inf

    def _follow_scopes(self) -> tuple[list[Scope], dict[Scope, int]]:
        """Return every step's cluster, and the first step that sends a message of a given scope."""
        arriving: dict[int, set[Scope]] = {}
        clusters: list[Scope] = []
        first: dict[Scope, int] = {}
        for step in range(len(self.order)):
            scopes = {table.scope for table in self.factors[step]} | arriving.pop(step, set())
            cluster = tuple(sorted({step}.union(*scopes))) if len(scopes) != 1 else next(iter(scopes))
            clusters.append(cluster)
            if len(cluster) > 1:
                rest = cluster[1:]
                first.setdefault(rest, step)
                arriving.setdefault(rest[0], set()).add(rest)
        return clusters, first

    def constant(self) -> float:
        """Return ln of all that was taken out of the tables: ln Z once everything is summed out."""
        return math.fsum(self.shifts) if not self.contradicts else -math.inf

    def message(self, step: int, inputs: Sequence[Table]) -> tuple[Table, float]:
        """Return what a step sends, relative to its largest entry, and the logarithm of that entry."""
        raise NotImplementedError

    def joined(self, first: Table, second: Table) -> tuple[Table, float]:
        """Return the product of two messages of one scope."""
        values, in_logs = product((first, second), first.scope, self.sizes, logs=self.in_logs)
        if in_logs:
            return from_logs(first.scope, values, keep=self.in_logs)
        return from_potentials(first.scope, values)

    def forward(self, stop: int | None = None) -> list[Table]:
        """Go through the steps before ``stop``, and return what is left: the tables over the others."""
        stop = len(self.order) if stop is None else stop
        waiting: _Waiting = {}
        self._check()
        self._advance(waiting, 0, stop, count=True)
        self.meter.end()
        rest = range(stop, len(self.order))
        return [table for step in rest for table in (*self.factors[step], *waiting.get(step, {}).values())]

    def _check(self) -> None:
        if self.contradicts:
            raise Contradiction

    def _advance(
        self, waiting: _Waiting, start: int, stop: int, *, count: bool, held: dict[int, list[Table]] | None = None
    ) -> None:
        """Go through steps; what arrives at each is left in ``held``, and what they send in ``waiting``."""
        for step in range(start, stop):
            arrived = waiting.pop(step, None)
            inputs = self.factors[step] if arrived is None else [*self.factors[step], *arrived.values()]
            if held is not None:
                held[step] = list(arrived.values()) if arrived is not None else []
            message, shift = self.message(step, inputs)
            self.meter.add(size_of(self.clusters[step], self.sizes))
            if shift == -math.inf:
                self.contradicts = True
                raise Contradiction
            if count:
                self.shifts.append(shift)
            scope = message.scope
            if not scope:
                continue
            target = waiting.setdefault(scope[0], {})
            if scope in target:
                target[scope], shift = self.joined(target[scope], message)
                if shift == -math.inf:
                    self.contradicts = True
                    raise Contradiction
                if count:
                    self.shifts.append(shift)
            else:
                target[scope] = message

    def back(self, segment: Segment, visit: Callable[[int, Sequence[Table]], None]) -> None:
        """Go forward through all steps, and then back: ``visit`` gets each step, last first, with its tables."""
        self._check()
        self._back(segment, {}, visit, count=True)
        self.meter.end()

    def _back(
        self, segment: Segment, waiting: _Waiting, visit: Callable[[int, Sequence[Table]], None], *, count: bool
    ) -> None:
        if not segment.parts:
            held: dict[int, list[Table]] = {}
            self._advance(waiting, segment.start, segment.stop, count=count, held=held)
            waiting.clear()
            for step in reversed(range(segment.start, segment.stop)):
                visit(step, [*self.factors[step], *held.pop(step)])
            return
        starts = []
        for part in segment.parts[:-1]:
            starts.append({step: dict(messages) for step, messages in waiting.items()})
            self._advance(waiting, part.start, part.stop, count=count)
        self._back(segment.parts[-1], waiting, visit, count=count)
        for part in reversed(segment.parts[:-1]):
            self._back(part, starts.pop(), visit, count=False)


class SumRun(_Run):
    """Messages are sums."""

    def message(self, step: int, inputs: Sequence[Table]) -> tuple[Table, float]:
        cluster = self.clusters[step]
        total, in_logs = product(inputs, cluster, self.sizes, scratch=self.scratch)
        if in_logs:
            return from_logs(cluster[1:], log_sum_exp(total))
        return from_potentials(cluster[1:], np.asarray(total.sum(axis=0)))


class MaxRun(_Run):
    """Messages are maxima, in logs."""

    in_logs = True

    def message(self, step: int, inputs: Sequence[Table]) -> tuple[Table, float]:
        cluster = self.clusters[step]
        total, _ = product(inputs, cluster, self.sizes, logs=True, scratch=self.scratch)
        return from_logs(cluster[1:], np.asarray(total.max(axis=0)), keep=True)


class _Beliefs:
    """The way back that finds marginals.

    Args:
        run: the way forward.
        asked: step -> scopes whose marginals are wanted; the step is the first of each scope.
        keep: called with each of them and its table.
    """

    def __init__(self, run: SumRun, asked: Mapping[int, set[Scope]], keep: Callable[[Scope, FloatArray], None]) -> None:
        self.run, self.asked, self.keep = run, asked, keep
        self.separators: dict[Scope, FloatArray] = {}

    def back(self, segment: Segment) -> None:
        self.run.back(segment, self._visit)

    def _visit(self, step: int, inputs: Sequence[Table]) -> None:
        run, cluster = self.run, self.run.clusters[step]
        rest = cluster[1:]
        total, in_logs = product(inputs, cluster, run.sizes, scratch=run.scratch)
        above: Any = self.separators[rest] if rest else 1.0
        if in_logs:
            top = np.asarray(total.max(axis=0))
            np.copyto(top, 0.0, where=top == -math.inf)
            total -= top
            np.exp(total, out=total)
        sums = np.asarray(total.sum(axis=0))
        if float(sums.min()) > 0.0:
            total *= np.divide(above, sums, out=sums)
        else:  # where the sum is zero, so is the probability of the rest
            total *= np.divide(above, sums, out=np.zeros_like(sums), where=sums > 0.0)
        run.meter.add(total.size)
        if rest and run.senders[rest] == step:  # on the way back, the last that needs it
            del self.separators[rest]
        below = {table.scope for table in inputs[len(run.factors[step]) :]}
        asked = self.asked.get(step, set())
        wanted = below | asked
        if wanted:
            for scope, belief in reductions(total, cluster, wanted, run.sizes):
                if scope in asked:
                    self.keep(scope, belief)
                if scope in below:
                    self.separators[scope] = belief.copy() if belief.size == total.size else belief
