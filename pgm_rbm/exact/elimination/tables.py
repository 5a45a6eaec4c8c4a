"""Tables over named axes: products and sums of them, in logs where their range asks for it.

A table's scope is a sorted tuple of axis numbers, and its array has the axes in that order. Tables are kept relative
to their largest entry. Where the ranges of all factors of a product add up to less than 600 nats, no entry that is not
zero can underflow, so multiplying the potentials themselves is as accurate as adding their logarithms
and several times faster; every other product is formed in logs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LOWEST",
    "Contradiction",
    "FloatArray",
    "LogTable",
    "Scope",
    "Table",
    "align",
    "from_logs",
    "from_potentials",
    "log_sum_exp",
    "product",
    "reduced",
    "reductions",
    "size_of",
]

FloatArray = NDArray[np.float64]
Scope = tuple[int, ...]

LogTable = tuple[tuple[Hashable, ...], FloatArray]
"""The names of the variables that the axes stand for, and ln of the potentials, ``-inf`` for a potential of zero."""

LOWEST = -600.0
"""Smallest ln of an entry, relative to the largest, that is worked with out of logs: exp(-600) is 1e-261, so products
stay normal numbers, and so do their quotients by a sum that is no smaller than this."""

# Up to this many entries NumPy's overhead is all there is, and the simplest way is the quickest: the product of five
# tables takes 46 µs in place of 67 at 2^12 entries, and as long either way at 2^14 (2 cores, 2026-12).
_SMALL = 4096
# A loop of NumPy's over fewer entries than this costs more for its start than for its work: a sum over the middle axis
# takes 1.8 ns per entry where the last axis has 32, and 17 ns where it has 4 (2 cores, 2026-12).
_SHORT = 32
# From this many entries on, a sum over the middle axis is taken as a matrix product: 0.07 ms in place of 0.6 for 2^18
# entries with 8 in the last axis (2 cores, 2026-12). Its rounding is another, so that results hold to this number.
_LONG = 256
# Python's loops over short axes stop at this many turns: 8 turns take 2.4 ms in place of 25 for 2^20 entries, and 64
# take longer than NumPy's loop (2 cores, 2026-12).
_TURNS = 64
# Entries of a block that stays in a core's cache while it is gone through several times: ln Z of a grid of 17 × 17
# takes 63 ms, 84 in blocks of 2^12 and 136 in blocks of 2^18 (2 cores, 2026-12).
_BLOCK = 2**15


class Contradiction(Exception):
    """Every assignment has potential zero, so that nothing has a probability."""


class Table:
    """Potentials over some axes, relative to the largest.

    Attributes:
        scope: the axes, sorted.
        values: the potentials, at most 1, or their logarithms, at most 0.
        in_logs: which of the two.
        low: the logarithm of the smallest potential that is not zero.
    """

    __slots__ = ("_other", "in_logs", "low", "scope", "values")

    def __init__(self, scope: Scope, values: FloatArray, in_logs: bool, low: float) -> None:
        self.scope, self.values, self.in_logs, self.low = scope, values, in_logs, low
        self._other: FloatArray | None = None

    def array(self, in_logs: bool) -> FloatArray:
        """Return the potentials, or their logarithms."""
        if in_logs == self.in_logs:
            return self.values
        if self._other is not None:
            return self._other
        with np.errstate(divide="ignore"):
            other = np.asarray(np.log(self.values) if in_logs else np.exp(self.values))
        if other.size <= _SMALL:
            self._other = other
        return other


def from_logs(scope: Scope, logs: FloatArray, *, keep: bool = False) -> tuple[Table, float]:
    """Return a table from logarithms, and the largest of them, which is taken out; ``-inf`` when all are.

    Args:
        scope: the axes.
        logs: their array; overwritten.
        keep: leave them logarithms, whatever their range.
    """
    top = float(logs.max())
    if top == -math.inf:
        return Table(scope, logs, True, 0.0), top
    logs -= top
    low = float(logs.min())
    if low == -math.inf:
        low = float(logs.min(initial=0.0, where=logs > -math.inf))
    if low > LOWEST and not keep:
        return Table(scope, np.asarray(np.exp(logs, out=logs)), False, low), top
    return Table(scope, logs, True, low), top


def from_potentials(scope: Scope, values: FloatArray) -> tuple[Table, float]:
    """Return a table from potentials, and ln of the largest, which is taken out; ``-inf`` when all are zero.

    Args:
        scope: the axes.
        values: their array; overwritten.
    """
    top = float(values.max())
    if top == 0.0:
        return Table(scope, values, False, 0.0), -math.inf
    values *= 1.0 / top
    low = float(values.min())
    if low == 0.0:
        low = float(values.min(initial=1.0, where=values > 0.0))
    return Table(scope, values, False, math.log(low)), math.log(top)


def log_sum_exp(logs: FloatArray) -> FloatArray:
    """Return ln Σ exp over axis 0; ``logs`` is overwritten with exponentials relative to the maximum."""
    top = np.asarray(logs.max(axis=0))
    np.copyto(top, 0.0, where=top == -math.inf)
    logs -= top
    np.exp(logs, out=logs)
    total = np.asarray(logs.sum(axis=0))
    with np.errstate(divide="ignore"):
        np.log(total, out=total)
    total += top
    return total


def size_of(scope: Collection[int], sizes: Sequence[int]) -> int:
    """Return the number of entries of a table over these axes."""
    return math.prod(sizes[axis] for axis in scope)


def align(scope: Scope, values: FloatArray, cluster: Scope, sizes: Sequence[int]) -> FloatArray:
    """Return a view with an axis of length 1 for every axis of ``cluster`` that the table does not have."""
    if len(scope) == len(cluster):
        return values
    inside = set(scope)
    return values.reshape([sizes[axis] if axis in inside else 1 for axis in cluster])


def product(
    tables: Sequence[Table],
    cluster: Scope,
    sizes: Sequence[int],
    *,
    logs: bool = False,
    scratch: FloatArray | None = None,
) -> tuple[FloatArray, bool]:
    """Return the product of tables as an array over all axes of ``cluster`` that belongs to the caller.

    Args:
        tables: over axes of the cluster.
        cluster: sorted axes.
        sizes: length of every axis.
        logs: form it in logs, whatever the ranges.
        scratch: an array of one axis that a large product is written to, where it is long enough.

    Returns:
        The array, and whether it holds logarithms.
    """
    in_logs = logs or sum(table.low for table in tables) < LOWEST
    operation: np.ufunc = np.add if in_logs else np.multiply
    parts = [(table.scope, table.array(in_logs)) for table in tables]
    shape = tuple(sizes[axis] for axis in cluster)
    if math.prod(shape) <= _SMALL:
        total = np.full(shape, 0.0 if in_logs else 1.0)
        for scope, values in parts:
            operation(total, align(scope, values, cluster, sizes), out=total)
        return total, in_logs
    count = math.prod(shape)
    into = np.empty(count) if scratch is None or scratch.size < count else scratch[:count]
    scope, total = _large_product(parts, sizes, operation, cluster, into.reshape(shape))
    if len(scope) < len(cluster):  # no table has the axis that is left out
        total = np.array(np.broadcast_to(align(scope, total, cluster, sizes), shape))
    return total, in_logs


def _large_product(
    parts: list[tuple[Scope, FloatArray]],
    sizes: Sequence[int],
    operation: np.ufunc,
    cluster: Scope,
    out: FloatArray,
) -> tuple[Scope, FloatArray]:
    if not parts:
        return (), np.full((), 0.0 if operation is np.add else 1.0)
    # Small tables first, those over late axes before those over early ones: the partial products then grow at the
    # front, and what is copied along the new axes lies in one piece.
    small = [part for part in parts if part[1].size <= _SMALL]
    small.sort(key=lambda part: [-axis for axis in reversed(part[0])])
    large = sorted((part for part in parts if part[1].size > _SMALL), key=lambda part: part[1].size)
    total: tuple[Scope, FloatArray] | None = None
    gathered: list[tuple[Scope, FloatArray]] = []
    for part in small:
        if total is not None and size_of(set(total[0]) | set(part[0]), sizes) > _SMALL:
            gathered.append(total)
            total = None
        total = part if total is None else _pair(total, part, sizes, operation)
    if total is not None:
        gathered.append(total)
    gathered += large
    scope, values = gathered[0]
    if len(gathered) == 1:
        if scope == cluster:
            np.copyto(out, values)
            return scope, out
        return scope, values
    for other in gathered[1:]:
        whole = len({*scope, *other[0]}) == len(cluster)
        scope, values = _pair((scope, values), other, sizes, operation, out if whole else None)
    return scope, values


def _pair(
    first: tuple[Scope, FloatArray],
    second: tuple[Scope, FloatArray],
    sizes: Sequence[int],
    operation: np.ufunc,
    out: FloatArray | None = None,
) -> tuple[Scope, FloatArray]:
    """Return the product of two tables over the union of their axes."""
    union = tuple(sorted({*first[0], *second[0]}))
    inside = [(axis in first[0], axis in second[0]) for axis in union]
    # runs of axes that the same tables have are one axis
    lengths: list[int] = []
    shapes: tuple[list[int], list[int]] = ([], [])
    for (in_first, in_second), run in itertools.groupby(zip(inside, union, strict=True), key=lambda entry: entry[0]):
        length = math.prod(sizes[axis] for _, axis in run)
        lengths.append(length)
        shapes[0].append(length if in_first else 1)
        shapes[1].append(length if in_second else 1)
    if out is None:
        out = np.empty([sizes[axis] for axis in union])
    a, b, c = first[1].reshape(shapes[0]), second[1].reshape(shapes[1]), out.reshape(lengths)
    if c.size <= _BLOCK:
        operation(a, b, out=c)
        return union, out
    # short axes at the end are gone through here, so that NumPy's inner loops are over long ones
    inner, turns = len(lengths), 1
    while inner > 1 and lengths[inner - 1] < _SHORT and turns * lengths[inner - 1] <= _TURNS:
        inner -= 1
        turns *= lengths[inner]
    longest = max(range(inner), key=lengths.__getitem__)
    columns = [
        tuple(_column(array, tail) for array in (a, b, c))
        for tail in itertools.product(*(range(length) for length in lengths[inner:]))
    ]
    block = lengths[longest] if turns == 1 else max(_SHORT, _BLOCK * lengths[longest] // c.size)
    for start in range(0, lengths[longest], block):
        rows = (slice(None),) * longest + (slice(start, start + block),)
        for one, other, into in columns:
            operation(
                one[rows] if one.shape[longest] > 1 else one,
                other[rows] if other.shape[longest] > 1 else other,
                out=into[rows],
            )
    return union, out


def _column(array: FloatArray, tail: tuple[int, ...]) -> FloatArray:
    """Return the entries at one place of the last axes, where an axis of length 1 stands for any place."""
    lengths = array.shape[array.ndim - len(tail) :]
    where: tuple[Any, ...] = tuple(place if length > 1 else 0 for place, length in zip(tail, lengths, strict=True))
    return array[(..., *where)]


def reduced(values: FloatArray, scope: Scope, wanted: Scope, sizes: Sequence[int]) -> FloatArray:
    """Return the sum over all axes that are not wanted, ``values`` itself if all are; both scopes are sorted."""
    if len(wanted) == len(scope):
        return values
    if values.size <= _SMALL:
        keep = set(wanted)
        return np.asarray(values.sum(axis=tuple(place for place, axis in enumerate(scope) if axis not in keep)))
    keep = set(wanted)
    lengths: list[int] = []
    kept: list[bool] = []
    for is_kept, run in itertools.groupby(scope, key=keep.__contains__):
        lengths.append(math.prod(sizes[axis] for axis in run))
        kept.append(is_kept)
    while not all(kept):
        place = max((k for k in range(len(lengths)) if not kept[k]), key=lengths.__getitem__)
        before, length, after = math.prod(lengths[:place]), lengths[place], math.prod(lengths[place + 1 :])
        values = _sum_middle(values.reshape(before, length, after))
        del lengths[place], kept[place]
    return values.reshape([sizes[axis] for axis in wanted])


def _sum_middle(values: FloatArray) -> FloatArray:
    """Return the sum over the middle one of three axes, however short the last is."""
    before, length, after = values.shape
    if 1 < after < _SHORT and length >= _LONG:
        return np.asarray(np.matmul(np.ones((1, length)), values)[:, 0])
    if after >= _SHORT or before < _LONG or length * after > _TURNS:
        return np.asarray(values.sum(axis=1))
    total = np.empty((before, after))
    for place in range(after):
        column = values[:, 0, place]
        for step in range(1, length):
            column = column + values[:, step, place]
        total[:, place] = column
    return total


def reductions(
    values: FloatArray, scope: Scope, wanted: Collection[Scope], sizes: Sequence[int]
) -> Iterator[tuple[Scope, FloatArray]]:
    """Yield the sums to many scopes; what several of them need is summed once.

    Args:
        values: a table.
        scope: its axes, sorted.
        wanted: scopes within it, sorted.
        sizes: length of every axis.

    Yields:
        Each wanted scope with its table.
    """
    union = tuple(sorted(set().union(*wanted)))
    if len(union) < len(scope):
        values, scope = reduced(values, scope, union, sizes), union
    ordered = sorted(wanted)
    if len(ordered) == 1:
        yield ordered[0], values
    elif values.size <= _SMALL:
        for target in ordered:
            yield target, reduced(values, scope, target, sizes)
    else:
        middle = len(ordered) // 2
        yield from reductions(values, scope, ordered[:middle], sizes)
        yield from reductions(values, scope, ordered[middle:], sizes)
