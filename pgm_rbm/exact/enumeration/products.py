"""Sums over all configurations of one layer as products of tables: no exponential or logarithm a configuration.

With x the enumerated layer and y the other one,

    Z = Σ_x e^{c·x} Π_i Σ_s e^{s (d_i + u_i·x)},

and e^{s (d_i + u_i·x)} is a product of one table entry a unit of x. The units of x are split: an inner group of them
spans a fixed number of configurations, lanes, whose part of the product is one table; the others are walked through
like the digits of a counter, and each step multiplies in the entries of the digits that changed. A configuration
then costs one multiplication and one multiply-add a unit of y.

Numbers of any size are kept in range like this. Every y_i has a reference state, the one that keeps the others'
weights relative to it lowest, so its factor is 1 + Σ t with t ≤ e^{gmax}, and gmax is known beforehand. The reference
states' own weights are linear in x and join c. Factors are multiplied in groups that cannot overflow, and after each
the exponent of the product is taken out of its bits and added up as a whole number. Only the size of the factors is
bounded, by gmax ≤ `REACH`, and not that of Z: `Problem.in_range` says whether a model is, and one with larger weights
is summed in logarithms (`sums.KernelSum`).

A unit of y whose neighbours are all among the slow digits is multiplied in where its last digit is set and not again
below it: in a sparse model most factors are shared by many configurations.

`Problem` is what is to be summed, plain arrays that can be sent to another process; `Tables` is what the compiled
loops of `product_loops` read.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["CHUNK", "LANES", "REACH", "Layout", "Problem", "Tables", "aligned", "require_digits", "tables_of"]

LANES = 64
"""Configurations that the innermost loop goes through at once."""

CHUNK = 32
"""Outer configurations that are gone through together, so that a row read from the outer caches serves all of them."""

REACH = 300.0
"""Nats above its reference state that a unit's states may reach for their weights to be multiplied in float64."""

# Nats that a rare state may be below the other one to be the reference state of averages. What is rarer has no weight
# in them beside what is left out of them, and fewer factors fit a float64 the larger they are.
_MOST_RARE = 50.0
# The bits of exponent a product of factors may use up; float64 has 1023, and weights and tables take some of them.
_GROUP_BITS = 900.0
_QUAD = 4
_MOST_INNER = 1600
# Nats that the terms of E may add up to: beyond it float64 leaves a sum of them hardly a digit behind the point.
_MOST_NATS = 1e15
# The exponent of two of a lane that stands for no configuration: far below those of `_MOST_NATS`, about 2^51, and of
# all of them together above where `product_loops` starts to look for the largest, −2^60.
_NEVER = -(2**58)
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Problem:
    """A layer to be enumerated and a layer to be summed out, with the pairwise weights between them.

    Problems with the same numbers are equal. The arrays must not change afterwards.

    Attributes:
        bias: c, of the enumerated layer, shape (m,), float64.
        other_bias: d, of the other layer, shape (n,), float64.
        coupling: u, shape (n, m), float64.
        states: of a unit of the enumerated layer.
        other_states: of a unit of the other layer.
        log_measure: ln of the weight that a unit's state has of itself, by state; 0 by default.
        other_log_measure: the same of the other layer.
    """

    bias: Floats
    other_bias: Floats
    coupling: Floats
    states: tuple[float, ...]
    other_states: tuple[float, ...]
    log_measure: tuple[float, ...] = ()
    other_log_measure: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for measure, states in (("log_measure", self.states), ("other_log_measure", self.other_states)):
            if not getattr(self, measure):
                object.__setattr__(self, measure, (0.0,) * len(states))

    @property
    def configurations(self) -> int:
        """How many configurations the enumerated layer has."""
        return len(self.states) ** len(self.bias)

    @cached_property
    def fingerprint(self) -> bytes:
        """Equal for equal problems only."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.bias, self.other_bias, self.coupling):
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(repr((self.states, self.other_states, self.log_measure, self.other_log_measure)).encode())
        return digest.digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @cached_property
    def layout(self) -> Layout:
        """How the enumeration goes through the configurations."""
        return Layout.of(self)

    @cached_property
    def references(self) -> References:
        """The reference state of each unit of the other layer."""
        return References.of(self)

    @cached_property
    def references_for_averages(self) -> References:
        """The same, but of two states the one that is rarer in the middle of what fields there are.

        Of a unit of two states the loops add up the probability of its reference state alone. That of the other one is
        1 less it, and has no digits left where it is small.
        """
        return References.of(self, rare=True)

    @property
    def in_range(self) -> bool:
        """Whether factors are small enough for products."""
        return bool(self.references.top.max(initial=0.0) <= REACH)

    def require_range(self) -> None:
        """Raise if no digit of ln Z would be left in float64.

        Raises:
            ValueError: the terms of E, and what states weigh of themselves, may add up to more than 10^15.
        """
        state, other = max(map(abs, self.states)), max(map(abs, self.other_states))
        with np.errstate(over="ignore"):
            require_digits(
                state * np.abs(self.bias).sum()
                + other * np.abs(self.other_bias).sum()
                + state * other * np.abs(self.coupling).sum()
                + len(self.bias) * max(map(abs, self.log_measure))
                + len(self.other_bias) * max(map(abs, self.other_log_measure))
            )

    def log_weights(self, rows: Floats) -> Floats:
        """ln of the summand of Z of these configurations by its definition, shape (len(rows),).

        The tables are held to it, and it to the generated kernels.
        """
        terms = np.asarray(self.other_states)[:, None, None] * (rows @ self.coupling.T + self.other_bias)
        terms += np.asarray(self.other_log_measure)[:, None, None]
        result: Floats = self.own_log_measure(rows) + rows @ self.bias + np.logaddexp.reduce(terms, axis=0).sum(axis=1)
        return result

    def own_log_measure(self, rows: Floats) -> Floats:
        """ln of what configurations weigh of themselves, shape (len(rows),)."""
        result: Floats = np.asarray(self.log_measure)[np.searchsorted(self.states, rows)].sum(axis=1)
        return result

    def mean_log_measure(self, rows: Floats) -> Floats:
        """ln of what (x, y) weighs of itself, averaged over y given each of these x, shape (len(rows),)."""
        terms = np.asarray(self.other_states)[:, None, None] * (rows @ self.coupling.T + self.other_bias)
        measure = np.asarray(self.other_log_measure)[:, None, None]
        terms += measure
        chances = np.exp(terms - np.logaddexp.reduce(terms, axis=0))
        result: Floats = self.own_log_measure(rows) + (measure * chances).sum(axis=(0, 2))
        return result

    def rows(self, numbers: Integers) -> Floats:
        """The configurations of these numbers, one a row, shape (len(numbers), m)."""
        layout, base = self.layout, len(self.states)
        rest, lane = np.divmod(numbers, base**layout.inner)
        digits = np.empty((len(numbers), len(self.bias)), dtype=np.intp)
        for place, unit in enumerate(layout.order):
            if place < layout.inner:
                lane, digits[:, unit] = np.divmod(lane, base)
            else:
                rest, digits[:, unit] = np.divmod(rest, base)
        return np.asarray(self.states)[digits]


def require_digits(nats: float) -> None:
    """Raise if energies of this size leave no digit of ln Z in float64.

    Raises:
        ValueError: it is more than 10^15 either way, or no number.
    """
    if not abs(nats) <= _MOST_NATS:
        raise ValueError(
            f"the parameters are so large that energies reach {nats:.1g} and overflow float64's digits. Scale them "
            f"down."
        )


@dataclass(frozen=True)
class References:
    """The reference state r of each unit of the other layer, and its other states s relative to it.

    Attributes:
        state: r, shape (n,).
        log_measure: ln of its weight of itself, shape (n,).
        steps: s − r, shape (n, states − 1).
        top: the largest ln of the weight of s relative to r over all configurations x, shape (n, states − 1).
    """

    state: Floats
    log_measure: Floats
    steps: Floats
    top: Floats

    @classmethod
    def of(cls, problem: Problem, rare: bool = False) -> References:
        others, measure = np.asarray(problem.other_states), np.asarray(problem.other_log_measure)
        low, high = problem.coupling * min(problem.states), problem.coupling * max(problem.states)
        least, most = np.minimum(low, high).sum(axis=1), np.maximum(low, high).sum(axis=1)
        # By state s, state r and unit: the largest (s − r)(d + u·x) + ln μ(s) − ln μ(r) over x.
        differences = (others[:, None] - others[None, :])[:, :, None]
        reach = differences * (problem.other_bias + np.where(differences > 0, most, least))
        reach += (measure[:, None] - measure[None, :])[:, :, None]
        highest = reach.max(axis=0)
        chosen = highest.argmin(axis=0)
        if rare and len(others) == 2:
            other = 1 - chosen
            chosen = np.where(np.take_along_axis(highest, other[None], axis=0)[0] <= _MOST_RARE, other, chosen)
        rest = np.arange(len(others)) != chosen[:, None]
        shape = len(problem.other_bias), len(others) - 1
        steps = np.broadcast_to(others, rest.shape)[rest].reshape(shape) - others[chosen][:, None]
        top = reach[:, chosen, np.arange(len(chosen))].T[rest].reshape(shape)
        return cls(others[chosen], measure[chosen], steps, top)


@dataclass(frozen=True)
class Layout:
    """The order of the digits, and where along it each unit of the other layer is complete.

    Attributes:
        order: the enumerated units, the one that changes fastest first.
        inner: how many of them the lanes span.
        lanes: lanes, a multiple of `LANES`; those past the configurations of the inner units have no weight.
        outer: configurations of the other enumerated units.
        finish: of each unit of the other layer, 0 if it depends on the inner units, 1 + l if outer digit l is the
            fastest that it depends on, and 1 + the number of outer digits if it depends on none; shape (n,).
    """

    order: tuple[int, ...]
    inner: int
    lanes: int
    outer: int
    finish: Integers

    @classmethod
    def of(cls, problem: Problem) -> Layout:
        base, m = len(problem.states), len(problem.bias)
        inner = _inner_units(base, m)
        neighbours = problem.coupling != 0
        # Past 64 units there is no enumeration, only an estimate of what it would take.
        order = tuple(range(m)) if m > 64 or neighbours.all() else _fewest_first(neighbours)
        first = np.where(neighbours.any(axis=1), neighbours[:, order].argmax(axis=1), m)
        finish = np.maximum(first - inner + 1, 0).astype(np.int64)
        lanes = -(-(base**inner) // LANES) * LANES
        return cls(order, inner, lanes, base ** (m - inner), finish)

    @property
    def depth(self) -> int:
        """How many outer digits there are."""
        return len(self.order) - self.inner


def _inner_units(base: int, m: int) -> int:
    """How many units the lanes span: as few as waste few lanes."""
    choices = [q for q in range(1, m + 1) if base**q <= max(_MOST_INNER, base)]
    return min(choices, key=lambda q: (round(-(-(base**q) // LANES) * LANES / base**q, 1), q))


def _fewest_first(neighbours: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Enumerated units such that the fast ones complete as few units of the other layer as can be."""
    left = np.ones(len(neighbours), dtype=bool)
    waiting = list(range(neighbours.shape[1]))
    order = []
    while waiting:
        counts = neighbours[np.ix_(left, np.array(waiting))].sum(axis=0)
        order.append(waiting.pop(int(counts.argmin())))
        left &= ~neighbours[:, order[-1]]
    return tuple(order)


class Tables(NamedTuple):
    """What the loops read. A *row* is one state of one unit of the other layer, other than its reference state; a unit
    has ``terms`` rows, one after another. Units come in the order in which they are complete; the first ``ends[0]``
    rows depend on the lanes, and rows ``ends[k - 1]`` to ``ends[k]`` are complete at outer digit k − 1.

    Attributes:
        terms: rows a unit.
        inner: how many digits the lanes span.
        states: of an enumerated unit, shape (base,).
        lane_states: shape (inner, lanes).
        lane_rows: entries of the rows that depend on the lanes, shape (lanes / 64, ends[0], 64), flat.
        start: each row's largest value over all configurations, shape (rows,).
        digit_rows: what it is multiplied by for each outer digit's state, at most 1, shape (outer digits, base, rows).
        ends: see above, shape (outer digits + 2,).
        groups: units at which a product's exponent is taken out.
        weight_lanes, weight_lanes_exponent: mantissa and exponent of e^{c·x}, shape (lanes,).
        weight_digits, weight_digits_exponent: of each outer digit's share of it, shape (outer digits, base).
        weight, weight_exponent: of the constant factor.
    """

    terms: int
    inner: int
    states: Floats
    lane_states: Floats
    lane_rows: Floats
    start: Floats
    digit_rows: Floats
    ends: Integers
    groups: Integers
    weight_lanes: Floats
    weight_lanes_exponent: Integers
    weight_digits: Floats
    weight_digits_exponent: Integers
    weight: float
    weight_exponent: int


@dataclass(frozen=True)
class Prepared:
    """Tables, and what is needed to read the loops' answers.

    Attributes:
        tables: see there.
        units: of each row, the unit of the other layer, or −1 for a row that only fills up.
        offset: of each unit of the other layer, shape (n,), and
        steps: of each row: a unit's mean is its offset plus the steps times the probabilities of its rows, as
            `product_loops.moments` counts them.
    """

    tables: Tables
    units: Integers
    offset: Floats
    steps: Floats


@lru_cache(maxsize=2)
def tables_of(problem: Problem, averages: bool = False) -> Prepared:
    """The tables of a problem that is in range, for ln Z or for averages; those of the last ones asked for are kept."""
    return _prepare(problem, problem.references_for_averages if averages else problem.references)


def _prepare(problem: Problem, reference: References) -> Prepared:
    problem.require_range()
    layout = problem.layout
    order, base = list(layout.order), len(problem.states)
    states = np.asarray(problem.states)
    steps, top, u = reference.steps, reference.top, problem.coupling[:, order]
    depth, terms = layout.depth, steps.shape[1]

    by_finish = np.argsort(layout.finish, kind="stable")
    bits = np.log2(1 + np.exp(top).sum(axis=1))
    packed, groups = _packed([int(i) for i in by_finish if layout.finish[i] == 0], bits, terms)
    units = np.array(packed + [int(i) for i in by_finish if layout.finish[i] > 0], dtype=np.int64)
    filler = np.repeat(units < 0, terms)
    finish = np.where(units < 0, 0, layout.finish[units])
    ends = terms * np.array([(finish <= k).sum() for k in range(depth + 2)], dtype=np.int64)
    inside = int(ends[0])

    # ln of the rows' entries: of each digit relative to the state in which it is largest, so that none is above 0.
    lane_states = _lane_states(states, layout)
    unused = np.arange(layout.lanes) >= base**layout.inner
    slope = steps[units].reshape(-1, 1) * np.repeat(u[units], terms, axis=0)
    peak = np.maximum(slope * states[0], slope * states[-1])
    lanes = slope[:inside, : layout.inner] @ lane_states - peak[:inside, : layout.inner].sum(axis=1, keepdims=True)
    digits = states[:, None] * slope.T[layout.inner :, None, :] - peak.T[layout.inner :, None, :]
    lane_rows = np.where(unused | filler[:inside, None], 0.0, np.exp(np.minimum(lanes, 0.0)))

    c, measure = problem.bias[order] + reference.state @ u, np.asarray(problem.log_measure)
    lane_measure = measure[np.searchsorted(states, lane_states)].sum(axis=0)
    weight_lanes = _split(c[: layout.inner] @ lane_states + lane_measure)
    weight_digits = _split(c[layout.inner :, None] * states + measure)
    weight = _split(reference.state @ problem.other_bias + reference.log_measure.sum())
    tables = Tables(
        terms=terms,
        inner=layout.inner,
        states=states,
        lane_states=lane_states,
        lane_rows=_by_block(lane_rows),
        start=np.where(filler, 0.0, np.exp(top[units].reshape(-1))),
        digit_rows=np.where(filler, 1.0, np.exp(digits)).ravel(),
        ends=ends,
        groups=np.array(groups, dtype=np.int64),
        weight_lanes=np.where(unused, 1.0, weight_lanes[0]),
        weight_lanes_exponent=np.where(unused, _NEVER, weight_lanes[1]),
        weight_digits=weight_digits[0].ravel(),
        weight_digits_exponent=weight_digits[1].ravel(),
        weight=weight[0].item(),
        weight_exponent=weight[1].item(),
    )
    row_steps = np.where(filler, 0.0, steps[units].reshape(-1))
    if terms == 1:
        return Prepared(tables, units, reference.state + steps[:, 0], -row_steps)
    return Prepared(tables, np.repeat(units, terms), reference.state, row_steps)


def _packed(units: list[int], bits: Floats, terms: int) -> tuple[list[int], list[int]]:
    """The units of the innermost loop in groups whose product cannot overflow, and where the groups end.

    With one term a unit the loop takes four units at once, so places are filled up with −1 where fewer fit.
    """
    size = _QUAD if terms == 1 else 1
    # The units that reach highest come first, so that those beside them still fit.
    waiting = deque(sorted(units, key=lambda i: -bits[i]) if size > 1 else units)
    packed: list[int] = []
    groups: list[int] = []
    used = 0.0
    while waiting:
        quad, total = [waiting[0]], float(bits[waiting.popleft()])
        while waiting and len(quad) < size and total + bits[waiting[0]] <= _GROUP_BITS:
            total += float(bits[waiting[0]])
            quad.append(waiting.popleft())
        if used + total > _GROUP_BITS:
            groups.append(len(packed))
            used = 0.0
        used += total
        packed += quad + [-1] * (size - len(quad))
    groups.append(len(packed))
    return packed, groups


def _lane_states(states: Floats, layout: Layout) -> Floats:
    numbers = np.arange(layout.lanes) % len(states) ** layout.inner
    out = np.empty((layout.inner, layout.lanes))
    for place in range(layout.inner):
        numbers, digit = np.divmod(numbers, len(states))
        out[place] = states[digit]
    return out


def _by_block(rows: Floats) -> Floats:
    """(rows, lanes) as (lanes / 64, rows, 64), flat, beginning with a cache line."""
    blocks = aligned(rows.size)
    split = rows.shape[0], rows.shape[1] // LANES, LANES
    blocks.reshape(split[1], split[0], LANES)[...] = rows.reshape(split).swapaxes(0, 1)
    return blocks


def aligned(size: int) -> Floats:
    """Return zeros that begin with a cache line, so that no vector of 8 of them lies across two."""
    room = np.zeros(size + 7)
    first = -(room.ctypes.data // 8) % 8
    return room[first : first + size]


def _split(logs: npt.ArrayLike) -> tuple[Floats, Integers]:
    """e^x as m · 2^k with m about 1 to 2; x in nats, of any size."""
    logs = np.asarray(logs)
    k = np.floor(logs / math.log(2))
    return np.exp((logs - k * _LN2_HIGH) - k * _LN2_LOW), k.astype(np.int64)
