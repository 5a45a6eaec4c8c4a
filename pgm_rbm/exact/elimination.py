"""Variable elimination in logs: ln Z and marginals of any product of tables.

A model is a list of ``(scope, log_table)``: the names of the variables that the table's axes stand for, and
the logarithms of its potentials, ``-inf`` for a potential of zero. The variables are summed out one at a
time; each sum is a log-sum-exp shifted by its own maximum, so potentials of any size stay finite (Koller &
Friedman, Probabilistic Graphical Models, 2009, chapters 9 and 10). Parts that share no variable factor by
themselves: each ends in a number, and the numbers add up.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pgm_rbm.errors import IntractableError
from pgm_rbm.graph.structure import DEFAULT_MEMORY_LIMIT, EliminationPlan, format_bytes, plan_elimination

__all__ = [
    "LogTable",
    "condition",
    "log_marginal",
    "log_marginals",
    "log_partition",
    "plan",
    "require_tractable",
]

# Table entries that one elimination for each of many variables may compute in all; about a minute's work.
_PATIENCE = 10**10

FloatArray = NDArray[np.float64]
LogTable = tuple[tuple[Hashable, ...], FloatArray]


def condition(tables: Iterable[LogTable], evidence: Mapping[Hashable, int]) -> list[LogTable]:
    """Slice every table at the observed states.

    Args:
        tables: (scope, log_table) pairs.
        evidence: variable -> index of its observed state.

    Returns:
        Tables over the variables that are left; a table whose whole scope is observed becomes a number of
        shape ().
    """
    if not evidence:
        return list(tables)
    sliced: list[LogTable] = []
    for scope, table in tables:
        if any(name in evidence for name in scope):
            where = tuple(evidence.get(name, slice(None)) for name in scope)
            scope, table = tuple(name for name in scope if name not in evidence), np.asarray(table[where])
        sliced.append((scope, table))
    return sliced


def plan(
    scopes: Iterable[Sequence[Hashable]],
    cardinalities: Mapping[Hashable, int],
    keep: Sequence[Hashable] = (),
) -> EliminationPlan:
    """The order in which this module sums variables out, and its cost; no table is needed.

    Args:
        scopes: the variables of each table.
        cardinalities: number of states of every variable.
        keep: variables that are not summed out.
    """
    fixed = {name for name, size in cardinalities.items() if size == 1}
    return plan_elimination(
        [[name for name in scope if name not in fixed] for scope in scopes],
        {name: size for name, size in cardinalities.items() if name not in fixed},
        [name for name in keep if name not in fixed],
    )


def require_tractable(
    scopes: Iterable[Sequence[Hashable]],
    cardinalities: Mapping[Hashable, int],
    keep: Sequence[Hashable] = (),
    *,
    memory_limit: int = DEFAULT_MEMORY_LIMIT,
) -> EliminationPlan:
    """Plan, and refuse before any table is built if the plan exceeds the limit.

    Raises:
        IntractableError: names the induced width, the memory, how to raise the limit, and the alternative.
    """
    chosen = plan(scopes, cardinalities, keep)
    if chosen.complete and chosen.memory <= memory_limit:
        return chosen
    bound = "" if chosen.complete else "at least "
    raise IntractableError(
        f"Exact elimination needs an induced width of {bound}{chosen.induced_width}, that is {bound}"
        f"{format_bytes(chosen.memory)} of tables; memory_limit allows {format_bytes(memory_limit)}. "
        "Pass a larger memory_limit (in bytes), observe variables that cut the graph, or use sampling "
        "for an approximate answer.",
        induced_width=chosen.induced_width,
        memory=chosen.memory,
        memory_limit=memory_limit,
    )


def log_partition(
    tables: Sequence[LogTable],
    cardinalities: Mapping[Hashable, int],
    *,
    memory_limit: int = DEFAULT_MEMORY_LIMIT,
    chosen: EliminationPlan | None = None,
) -> float:
    """ln of the sum, over all assignments, of the product of the tables.

    Args:
        tables: (scope, log_table) pairs; an entry is finite or ``-inf``.
        cardinalities: number of states of every variable, also of those in no table.
        memory_limit: bytes the largest step may hold.
        chosen: what :func:`require_tractable` has returned for these scopes, so as not to plan again.

    Returns:
        ln Z; ``-inf`` when every assignment has potential zero.

    Raises:
        IntractableError: the best order found would exceed ``memory_limit``. Nothing has been computed then.
    """
    if chosen is None:
        chosen = require_tractable([scope for scope, _ in tables], cardinalities, memory_limit=memory_limit)
    return float(_Buckets(tables, cardinalities, chosen.order).eliminate())


def log_marginal(
    tables: Sequence[LogTable],
    cardinalities: Mapping[Hashable, int],
    keep: Sequence[Hashable],
    *,
    memory_limit: int = DEFAULT_MEMORY_LIMIT,
    chosen: EliminationPlan | None = None,
) -> FloatArray:
    """The logarithm of the unnormalised joint marginal of the variables in ``keep``.

    Args:
        tables: (scope, log_table) pairs.
        cardinalities: number of states of every variable.
        keep: variables to keep, each once; the result's axes follow this order.
        memory_limit: bytes the largest step may hold.
        chosen: what :func:`require_tractable` has returned for these scopes and ``keep``.

    Returns:
        Array of shape ``[cardinalities[name] for name in keep]``; its log-sum-exp is ln Z.

    Raises:
        IntractableError: as for :func:`log_partition`; the table over ``keep`` counts too.
    """
    if chosen is None:
        chosen = require_tractable([scope for scope, _ in tables], cardinalities, keep, memory_limit=memory_limit)
    free = [name for name in keep if cardinalities[name] > 1]
    table = _Buckets(tables, cardinalities, [*chosen.order, *free]).eliminate(keep=len(free))
    return table.reshape([cardinalities[name] for name in keep])


def log_marginals(
    tables: Sequence[LogTable],
    cardinalities: Mapping[Hashable, int],
    variables: Sequence[Hashable],
    *,
    memory_limit: int = DEFAULT_MEMORY_LIMIT,
    chosen: EliminationPlan | None = None,
) -> dict[Hashable, FloatArray]:
    """The single marginals of many variables, as logarithms, each up to a constant of its own.

    Two passes over the bucket tree give all of them at about three times the cost of ln Z, provided that its
    messages fit the memory limit; otherwise each marginal is an elimination of its own, if that ends in reasonable
    time.

    Args:
        tables: (scope, log_table) pairs.
        cardinalities: number of states of every variable.
        variables: those whose marginals are wanted.
        memory_limit: bytes the largest step may hold.
        chosen: what :func:`require_tractable` has returned for these scopes.

    Returns:
        Variable -> array of shape ``(cardinalities[variable],)``; all ``-inf`` when Z is zero.

    Raises:
        IntractableError: neither way fits; the error says what the two passes need.
    """
    if len(variables) > 1:
        if chosen is None:
            chosen = require_tractable([scope for scope, _ in tables], cardinalities, memory_limit=memory_limit)
        if chosen.marginal_memory <= memory_limit:
            buckets = _Buckets(tables, cardinalities, chosen.order)
            found = buckets.marginals()
            if buckets.constant == -math.inf:  # whichever part holds the contradiction, no variable has a marginal
                return {name: np.full(cardinalities[name], -math.inf) for name in variables}
            return {name: found[name] if name in found else np.zeros(1) for name in variables}
        if len(variables) * chosen.operations > _PATIENCE:
            raise IntractableError(
                f"{len(variables)} marginals in two passes need {format_bytes(chosen.marginal_memory)} of messages; "
                f"memory_limit allows {format_bytes(memory_limit)}, and one elimination for each of them would take "
                "too long. Pass a larger memory_limit (in bytes), ask for fewer variables, or use sampling for an "
                "approximate answer.",
                induced_width=chosen.induced_width,
                memory=chosen.marginal_memory,
                memory_limit=memory_limit,
            )
    return {name: log_marginal(tables, cardinalities, [name], memory_limit=memory_limit) for name in variables}


@dataclass
class _Bucket:
    """The tables that are summed over when one variable goes, in terms of positions in the order."""

    tables: list[tuple[tuple[int, ...], FloatArray]] = field(default_factory=list)
    messages: list[tuple[int, tuple[int, ...], FloatArray]] = field(default_factory=list)


class _Buckets:
    """The tables sorted into one bucket for each variable of the order.

    Variables are renamed to their position in the order, so that every scope is sorted by time of elimination. A
    bucket's variable is then always axis 0, what is left after its sum is sorted already, and aligning two
    tables needs no transposition.
    """

    def __init__(
        self, tables: Sequence[LogTable], cardinalities: Mapping[Hashable, int], order: Sequence[Hashable]
    ) -> None:
        self.order = tuple(order)
        self.sizes = [cardinalities[name] for name in order]
        self.buckets = [_Bucket() for _ in order]
        self.constant = 0.0
        position = {name: place for place, name in enumerate(order)}
        for scope, table in tables:
            axes = [axis for axis, name in enumerate(scope) if name in position]
            if len(axes) < len(scope):  # what is not in the order has one state
                table = np.asarray(table).reshape([table.shape[axis] for axis in axes])
                scope = tuple(scope[axis] for axis in axes)
            if not scope:
                self.constant += float(table)
                continue
            places = [position[name] for name in scope]
            by_time = sorted(range(len(places)), key=places.__getitem__)
            sorted_places = tuple(places[axis] for axis in by_time)
            log_table = np.asarray(table, dtype=np.float64).transpose(by_time)
            self.buckets[sorted_places[0]].tables.append((sorted_places, log_table))

    def eliminate(self, keep: int = 0) -> FloatArray:
        """Sum out all but the last ``keep`` variables; the log table over those, of shape () for
        ``keep=0``."""
        summed = len(self.order) - keep
        for place in range(summed):
            bucket = self.buckets[place]
            scope, total = self._sum(bucket.tables, place)
            self._pass_on(scope[1:], _log_sum_exp_first(total))
            bucket.tables.clear()
        rest = [entry for bucket in self.buckets[summed:] for entry in bucket.tables]
        total = self._expand(rest, tuple(range(summed, len(self.order))))
        return total + self.constant

    def _pass_on(self, scope: tuple[int, ...], message: FloatArray) -> None:
        if scope:
            self.buckets[scope[0]].tables.append((scope, message))
        else:
            self.constant += float(message)

    def marginals(self) -> dict[Hashable, FloatArray]:
        """Every variable's log marginal, up to a constant each; ``constant`` is ln Z afterwards."""
        clusters: list[tuple[int, ...]] = []
        for place, bucket in enumerate(self.buckets):
            incoming = [(scope, message) for _, scope, message in bucket.messages]
            scope, total = self._sum(bucket.tables + incoming, place)
            clusters.append(scope)
            message = _log_sum_exp_first(total)
            if len(scope) > 1:
                self.buckets[scope[1]].messages.append((place, scope[1:], message))
            else:
                self.constant += float(message)
        found: dict[Hashable, FloatArray] = {}
        from_above: dict[int, FloatArray] = {}
        for place in reversed(range(len(self.order))):
            bucket, cluster = self.buckets[place], clusters[place]
            own = list(bucket.tables)
            if place in from_above:
                own.append((cluster[1:], from_above.pop(place)))
            base = self._expand(own, cluster)
            rests = self._leave_one_out(base, [(scope, message) for _, scope, message in bucket.messages], cluster)
            belief: FloatArray | None = None
            for (child, scope, message), rest in zip(bucket.messages, rests, strict=True):
                gone = tuple(axis for axis, variable in enumerate(cluster) if variable not in scope)
                downward = _log_sum_exp(rest, gone)
                top = downward.max()
                from_above[child] = downward - top if top > -math.inf else downward
                belief = rest + self._align(scope, message, cluster)
            found[self.order[place]] = _log_sum_exp(base if belief is None else belief, tuple(range(1, len(cluster))))
            bucket.messages = []
        return found

    def _leave_one_out(
        self, base: FloatArray, messages: list[tuple[tuple[int, ...], FloatArray]], cluster: tuple[int, ...]
    ) -> Iterator[FloatArray]:
        """For each message in turn, ``base`` plus all the others.

        Halving the list at each level needs no subtraction, which zeros would not survive, and holds only as many
        tables at a time as there are levels.
        """
        if len(messages) <= 1:
            yield from [base] * len(messages)
            return
        middle = len(messages) // 2
        for inside, outside in ((messages[:middle], messages[middle:]), (messages[middle:], messages[:middle])):
            around = base.copy()
            for scope, message in outside:
                around += self._align(scope, message, cluster)
            yield from self._leave_one_out(around, inside, cluster)

    def _sum(self, tables: list[tuple[tuple[int, ...], FloatArray]], place: int) -> tuple[tuple[int, ...], FloatArray]:
        members = {place}.union(*(scope for scope, _ in tables)) if tables else {place}
        cluster = tuple(sorted(members))
        return cluster, self._expand(tables, cluster)

    def _expand(self, tables: list[tuple[tuple[int, ...], FloatArray]], cluster: tuple[int, ...]) -> FloatArray:
        """The sum of the tables as one new array with an axis for each variable of ``cluster``.

        Small tables are added to each other first: the partial sums then grow with the union of their scopes,
        and only the last few additions are of full size.
        """
        shape = [self.sizes[variable] for variable in cluster]
        total: FloatArray = np.zeros([1] * len(cluster))
        for scope, table in sorted(tables, key=lambda entry: entry[1].size):
            aligned = self._align(scope, table, cluster)
            if total.shape == np.broadcast_shapes(total.shape, aligned.shape):
                total += aligned
            else:
                total = total + aligned
        return total if list(total.shape) == shape else np.array(np.broadcast_to(total, shape))

    def _align(self, scope: tuple[int, ...], table: FloatArray, cluster: tuple[int, ...]) -> FloatArray:
        inside = set(scope)
        return table.reshape([self.sizes[variable] if variable in inside else 1 for variable in cluster])


def _log_sum_exp_first(table: FloatArray) -> FloatArray:
    """ln sum exp over axis 0; overwrites ``table``."""
    top = np.asarray(table.max(axis=0))
    shift = np.where(top == -math.inf, 0.0, top)
    table -= shift
    np.exp(table, out=table)
    total = np.asarray(table.sum(axis=0))
    with np.errstate(divide="ignore"):
        np.log(total, out=total)
    total += shift
    return total


def _log_sum_exp(table: FloatArray, axes: tuple[int, ...]) -> FloatArray:
    """ln sum exp over ``axes``; leaves ``table`` as it is."""
    if not axes:
        return table
    top = table.max(axis=axes, keepdims=True)
    shift = np.where(top == -math.inf, 0.0, top)
    total = np.asarray(np.exp(table - shift).sum(axis=axes))
    with np.errstate(divide="ignore"):
        np.log(total, out=total)
    total += shift.reshape(total.shape)
    return total
