"""The compiled loops of `products`: they read `Tables` and release the GIL.

The walk keeps, for every outer digit, the product of the entries of that digit and all slower ones, so a step of the
counter renews only what is faster than the slowest digit that changed. `_weigh` goes forward and gives every
configuration's weight. `_sum` and `_divide` ask it for a thousand configurations or so at a time; `_divide` then
divides each weight up among the rows. Sums are kept relative to a power of two, ``top``, which moves only when a weight
outgrows it by 2^500: rescaling is exact and rare.

Only `_sum`, `_divide` and `largest`, which Python calls, are compiled on their own, and all others are inlined in them:
machine code that two of them shared would be that of whichever was loaded first, and could differ in the last bit from
one process to another.

Two things make the loops fast and are easy to lose. Arrays are flat and indices unsigned: a signed index is checked
lane by lane for being negative, which keeps the loop from becoming one over vectors. And no view of a table is made
inside the walk.

Other things make them quick to compile: `_sum` takes 1.3 s of processor time instead of 7.5, and `_divide` 2.5 instead
of 6.2 (2 cores, 2026-12).

- Python makes all arrays. For one function that makes, slices or assigns to an array, Numba compiles up to 40 of its
  own, the texts of their errors included.
- ``several`` is None where a unit of the other layer has two states, so that the loops of the other case are never
  compiled.
- Helpers have no wrappers, since neither Python nor C calls them, and count no references, since arrays are Python's.
- A helper has arguments of the same types wherever it is called; a literal is a type of its own.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from pgm_rbm.exact.enumeration.products import CHUNK, LANES, Tables, aligned
from symbolic.codegen.machine_code import compiled

__all__ = ["Moments", "Walk", "largest", "moments", "total", "weights"]

_LEAN = {"fastmath": True, "error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True, "_nrt": False}
# LLVM inlines a small helper.
_HELPER = {**_LEAN, "no_cpython_wrapper": True, "forceinline": True}
# Numba inlines a large one, which LLVM would optimise on its own and then again where it is inlined: 0.2 s each.
# `_select` is inlined so for its bits too: on its own its sums over the lanes are taken apart in another order.
_LARGE = {**_LEAN, "no_cpython_wrapper": True, "inline": "always"}
_i64, _u = np.int64, np.uint64
_MANTISSA, _ONE = 0x000FFFFFFFFFFFFF, 0x3FF0000000000000
# A weight may outgrow ``top`` by 2^500 before sums are rescaled: half the exponents of float64 are left for the sums.
_SLACK = 500
_LOWEST = -(2**60)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Walk(NamedTuple):
    """Where the walk stands, and what it found.

    Attributes:
        path: by outer digit, and once above them, what the rows' entries are multiplied by, shape
            (outer digits + 1, rows), flat.
        mantissa, exponent: of the product of all that is complete there, shape (outer digits + 1,).
        digits: the outer digits.
        product, bits: of 64 lanes, as numbers and as bits.
        up: exponents that were taken out of the product.
        factor: of 64 lanes, the factor of one unit.
        weights, exponents: of each configuration, as mantissa (1 to 4) and exponent, shape (chunk, lanes), flat.
    """

    path: Floats
    mantissa: Floats
    exponent: Integers
    digits: Integers
    product: Floats
    bits: Integers
    up: Integers
    factor: Floats
    weights: Floats
    exponents: Integers

    @classmethod
    def at(cls, tables: Tables, first: int, chunk: int) -> Walk:
        """Return the walk before outer configuration ``first``, with room for the weights of ``chunk`` of them."""
        depth, size = len(tables.ends) - 2, chunk * len(tables.weight_lanes)
        mantissa, exponent, product = np.empty(depth + 1), np.empty(depth + 1, np.int64), aligned(LANES)
        return cls(
            _path(tables),
            mantissa,
            exponent,
            _digits(tables, first),
            product,
            product.view(np.int64),
            np.empty(LANES, np.int64),
            aligned(LANES),
            np.empty(size),
            np.empty(size, np.int64),
        )


def _path(tables: Tables) -> Floats:
    """Return room for the products of each outer digit, and above them the rows' largest values, flat."""
    depth, rows = len(tables.ends) - 2, len(tables.start)
    path = np.empty((depth + 1) * rows)
    path[depth * rows :] = tables.start
    return path


def _digits(tables: Tables, number: int) -> Integers:
    """Return the outer digits of an outer configuration."""
    base, depth = len(tables.states), len(tables.ends) - 2
    return np.array([number // base**level % base for level in range(depth)], np.int64)


def _several(tables: Tables) -> int | None:
    """Return the rows per unit, None where it is one."""
    return None if tables.terms == 1 else tables.terms


@njit(**_HELPER)
def _power(exponent):
    """Return 2^exponent, and 0 below the range of float64."""
    return _i64((exponent if exponent > -1023 else -1023) + 1023 << 52).view(np.float64)


@njit(**_HELPER)
def _turning(digits, base):
    """Return how many digits change when the counter counts one up."""
    level = 0
    while level < len(digits) and digits[level] == base - 1:
        level += 1
    return level + 1 if level < len(digits) else len(digits)


@njit(**_HELPER)
def _turn(digits, base, changed):
    """Count one up, which changes ``changed`` digits."""
    for level in range(changed):
        digits[level] = digits[level] + 1 if digits[level] < base - 1 else 0


@njit(**_HELPER)
def _renew(tables, path, level, entry, first):
    """Renew the products of outer digit ``level`` from those above it, from row ``first`` on."""
    rows, digit_rows = len(tables.start), tables.digit_rows
    here, above, at = _u(level * rows), _u((level + 1) * rows), _u(entry * rows)
    for k in range(first, tables.ends[level + 1]):
        path[here + _u(k)] = path[above + _u(k)] * digit_rows[at + _u(k)]


@njit(**_HELPER)
def _descend(tables, walk, changed):
    """Renew the products of the ``changed`` fastest outer digits, and multiply in the units complete there."""
    base, rows, terms, ends, path = len(tables.states), len(tables.start), tables.terms, tables.ends, walk.path
    for level in range(changed - 1, -1, -1):
        here, mantissa, exponent = level * rows, tables.weight, tables.weight_exponent
        if level < len(walk.digits):
            entry = level * base + walk.digits[level]
            _renew(tables, path, level, entry, _i64(0))
            mantissa = walk.mantissa[level + 1] * tables.weight_digits[entry]
            exponent = walk.exponent[level + 1] + tables.weight_digits_exponent[entry]
        for k in range(here + ends[level], here + ends[level + 1], terms):
            factor = 1.0
            for term in range(terms):
                factor += path[k + term]
            mantissa, up = math.frexp(mantissa * factor)
            exponent += up
        walk.mantissa[level] = mantissa
        walk.exponent[level] = exponent


@njit(**_HELPER)
def _two_states(rows, base, c, first, end, p):
    """Multiply p by Π (1 + c · row) over rows ``first`` to ``end``, four at a time."""
    for quad in range(first // 4, end // 4):
        k = quad * 4
        c0, c1, c2, c3 = c[k], c[k + 1], c[k + 2], c[k + 3]
        at = _u(base + quad * 256)
        for s in range(64):
            one = (1.0 + c0 * rows[at + _u(s)]) * (1.0 + c1 * rows[at + _u(64 + s)])
            two = (1.0 + c2 * rows[at + _u(128 + s)]) * (1.0 + c3 * rows[at + _u(192 + s)])
            p[s] *= one * two


@njit(**_HELPER)
def _factor(terms, rows, base, c, own, first, factor):
    """Set ``factor`` to 1 + Σ c · row of the unit whose rows begin at ``first``, and their c at ``own`` + ``first``."""
    for s in range(64):
        factor[s] = 1.0
    for k in range(first, first + terms):
        ck, at = c[own + k], _u(base + k * 64)
        for s in range(64):
            factor[s] += ck * rows[at + _u(s)]


@njit(**_HELPER)
def _several_states(terms, rows, base, walk, first, end):
    """Multiply the product by Π (1 + Σ c · row) over the units of rows ``first`` to ``end``."""
    factor, p = walk.factor, walk.product
    for k in range(first, end, terms):
        _factor(terms, rows, base, walk.path, _i64(0), k, factor)
        for s in range(64):
            p[s] *= factor[s]


@njit(**_HELPER)
def _multiply(tables, several, walk, block):
    """Set ``product`` and ``up`` to the product of all factors in 64 lanes."""
    groups, p, bits, up = tables.groups, walk.product, walk.bits, walk.up
    base, start, last = block * tables.ends[0] * 64, _i64(0), len(groups) - 1
    for s in range(64):
        p[s] = 1.0
        up[s] = walk.exponent[0]
    for group in range(last + 1):
        end = groups[group] * tables.terms
        if several is None:
            _two_states(tables.lane_rows, base, walk.path, start, end, p)
        else:
            _several_states(several, tables.lane_rows, base, walk, start, end)
        start = end
        if group < last:
            for s in range(64):
                up[s] += (bits[s] >> 52) - 1023
                bits[s] = (bits[s] & _MANTISSA) | _ONE


@njit(**_LARGE)
def _weigh(tables, several, walk, carried, chunk, changed):
    """Find the weights of the next ``chunk`` outer configurations, of which the first has ``changed`` new digits.

    ``carried`` takes what the rows' entries are multiplied by in each of them, shape (chunk, rows), flat; it may be
    None.

    Returns:
        How many digits change at the next one, and the largest exponent.
    """
    base, rows, lanes, highest = len(tables.states), len(tables.start), len(tables.weight_lanes), _i64(_LOWEST)
    path, p, up, bits = walk.path, walk.product, walk.up, walk.bits
    for number in range(chunk):
        _descend(tables, walk, changed)
        if carried is not None:
            own = number * rows
            for k in range(tables.ends[0]):
                carried[_u(own + k)] = path[_u(k)]
        for block in range(lanes // 64):
            _multiply(tables, several, walk, block)
            at, to = _u(block * 64), _u(number * lanes + block * 64)
            for s in range(64):
                p[s] *= tables.weight_lanes[at + _u(s)]
            for s in range(64):
                exponent = up[s] + (bits[s] >> 52) - 1023 + tables.weight_lanes_exponent[at + _u(s)]
                walk.exponents[to + _u(s)] = exponent
                highest = exponent if exponent > highest else highest
                bits[s] = (bits[s] & _MANTISSA) | _ONE
                walk.weights[to + _u(s)] = p[s] * walk.mantissa[0]
        changed = _turning(walk.digits, base)
        _turn(walk.digits, base, changed)
    return changed, highest


@compiled(**_LEAN)
def _sum(tables, several, walk, count, chunk):
    """Return Σ of the weights of ``count`` outer configurations, ``chunk`` at a time, as (exponent of two, number)."""
    lanes, changed = len(tables.weight_lanes), _i64(len(walk.digits) + 1)
    result, top = 0.0, _i64(_LOWEST)
    for start in range(0, count, chunk):
        here = chunk if chunk < count - start else count - start
        changed, highest = _weigh(tables, several, walk, None, here, changed)
        if highest > top + _SLACK:
            result *= _power(top - highest)
            top = highest
        for number in range(here):
            at = _u(number * lanes)
            for s in range(lanes):
                result += walk.weights[at + _u(s)] * _power(walk.exponents[at + _u(s)] - top)
    return top, result


def total(tables: Tables, first: int, last: int) -> tuple[int, float]:
    """Return Σ of the weights of outer configurations ``first`` to ``last``, as (exponent of two, number)."""
    return _sum(tables, _several(tables), Walk.at(tables, first, CHUNK), last - first, CHUNK)


def weights(tables: Tables, first: int, last: int) -> tuple[Floats, Integers]:
    """Return the weight of each configuration as mantissa (1 to 4) and exponent, shape (last − first, lanes)."""
    count = last - first
    walk = Walk.at(tables, first, count)
    _sum(tables, _several(tables), walk, count, count)
    return walk.weights.reshape(count, -1), walk.exponents.reshape(count, -1)


class Moments(NamedTuple):
    """What is summed up, by the levels of the outer digits: level l is about all that is below outer digit l.

    Attributes:
        all: every array down to ``pairs`` as one.
        shares: Σ w P(row | x) by lane, as the rows' entries are.
        lane_mass: Σ w by lane.
        mass: by level, Σ w.
        means: by level, Σ w x by digit, flat.
        sums: by level, Σ w P(row | x), flat.
        pairs: Σ w x P(row | x) by digit and row, flat.
        path, digits: where this walk stands; see `Walk`.
        carried: of a chunk, what the rows' entries are multiplied by, shape (chunk, rows), flat.
        own: the three arrays that follow as one.
        own_sums, own_mass, own_means: of each outer configuration of a chunk, the same sums, flat.
        numbers: outer configurations of a chunk that have weight in a block of lanes.
        w: their weights in that block.
    """

    all: Floats
    shares: Floats
    lane_mass: Floats
    mass: Floats
    means: Floats
    sums: Floats
    pairs: Floats
    path: Floats
    digits: Integers
    carried: Floats
    own: Floats
    own_sums: Floats
    own_mass: Floats
    own_means: Floats
    numbers: Integers
    w: Floats

    @classmethod
    def at(cls, tables: Tables, start: int) -> Moments:
        """Return zeros, before outer configuration ``start``."""
        levels, rows, lanes = len(tables.ends) - 1, len(tables.start), len(tables.weight_lanes)
        places = tables.inner + levels - 1
        sizes = len(tables.lane_rows), lanes, levels, levels * places, levels * rows, places * rows
        room, own = aligned(sum(sizes)), np.empty(CHUNK * (rows + 1 + tables.inner))
        cuts = pairwise((0, *accumulate(sizes)))
        shares, lane_mass, mass, means, sums, pairs = (room[first:last] for first, last in cuts)
        return cls(
            room,
            shares,
            lane_mass,
            mass,
            means,
            sums,
            pairs,
            _path(tables),
            _digits(tables, start),
            np.empty(CHUNK * rows),
            own,
            own[: CHUNK * rows],
            own[CHUNK * rows : CHUNK * (rows + 1)],
            own[CHUNK * (rows + 1) :],
            np.empty(CHUNK, np.int64),
            aligned(CHUNK * LANES),
        )


@njit(**_LARGE)
def _two_states_back(tables, sums, block, count):
    """Add w / (1 + t), t = c · row, to each row's ``shares``, and its sum over the lanes to ``own_sums``.

    It is done for ``count`` outer configurations, those of ``numbers``. One division serves four rows; `products` packs
    them so that their product stays in range.
    """
    rows, shares, c, w, own_sums = tables.lane_rows, sums.shares, sums.carried, sums.w, sums.own_sums
    base, n_rows = block * tables.ends[0] * 64, len(tables.start)
    for quad in range(tables.ends[0] // 4):
        at = _u(base + quad * 256)
        for i in range(count):
            k, lane = _u(sums.numbers[i] * n_rows + quad * 4), _u(i * 64)
            c0, c1, c2, c3 = c[k], c[k + _u(1)], c[k + _u(2)], c[k + _u(3)]
            sum0, sum1, sum2, sum3 = 0.0, 0.0, 0.0, 0.0
            for s in range(64):
                f0, f1 = 1.0 + c0 * rows[at + _u(s)], 1.0 + c1 * rows[at + _u(64 + s)]
                f2, f3 = 1.0 + c2 * rows[at + _u(128 + s)], 1.0 + c3 * rows[at + _u(192 + s)]
                one, two = f0 * f1, f2 * f3
                every = w[lane + _u(s)] / (one * two)
                without_one, without_two = every * two, every * one
                share0, share1, share2, share3 = without_one * f1, without_one * f0, without_two * f3, without_two * f2
                shares[at + _u(s)] += share0
                shares[at + _u(64 + s)] += share1
                shares[at + _u(128 + s)] += share2
                shares[at + _u(192 + s)] += share3
                sum0 += share0
                sum1 += share1
                sum2 += share2
                sum3 += share3
            own_sums[k] += sum0
            own_sums[k + _u(1)] += sum1
            own_sums[k + _u(2)] += sum2
            own_sums[k + _u(3)] += sum3


@njit(**_HELPER)
def _several_states_back(tables, terms, sums, factor, block, count):
    """Add w t / (1 + Σ t) to each row's ``shares``, and its sum over the lanes to ``own_sums``; as above."""
    rows, shares, c, w, own_sums = tables.lane_rows, sums.shares, sums.carried, sums.w, sums.own_sums
    base, n_rows = block * tables.ends[0] * 64, len(tables.start)
    for unit in range(0, tables.ends[0], terms):
        for i in range(count):
            own, lane = sums.numbers[i] * n_rows, _u(i * 64)
            _factor(terms, rows, base, c, own, unit, factor)
            for s in range(64):
                factor[s] = w[lane + _u(s)] / factor[s]
            for k in range(unit, unit + terms):
                ck, at = c[own + k], _u(base + k * 64)
                result = 0.0
                for s in range(64):
                    share = factor[s] * (ck * rows[at + _u(s)])
                    shares[at + _u(s)] += share
                    result += share
                own_sums[own + k] += result


@njit(**_HELPER)
def _enter(tables, several, sums, level, known):
    """Enter the units complete at ``level``: their probabilities are the same in all configurations below it.

    ``known`` is how many digits are faster than the level.
    """
    rows, c, places = len(tables.start), sums.path, tables.inner + len(sums.digits)
    for unit in range(tables.ends[level], tables.ends[level + 1], tables.terms):
        factor = 1.0
        for k in range(unit, unit + tables.terms):
            factor += c[level * rows + k]
        for k in range(unit, unit + tables.terms):
            chance = (1.0 if several is None else c[level * rows + k]) / factor
            sums.sums[level * rows + k] = chance * sums.mass[level]
            for place in range(known):
                sums.pairs[place * rows + k] += chance * sums.means[level * places + place]


@njit(**_HELPER)
def _leave(tables, sums, level):
    """Add what is below outer digit ``level``, all of which is summed, to the level above."""
    rows, faster, places = len(tables.start), tables.inner + level, tables.inner + len(sums.digits)
    state = tables.states[sums.digits[level]]
    into, own, above = _u(faster * rows), _u(level * rows), _u((level + 1) * rows)
    for k in range(tables.ends[level + 1]):
        value = sums.sums[own + _u(k)]
        sums.pairs[into + _u(k)] += state * value
        sums.sums[above + _u(k)] += value
        sums.sums[own + _u(k)] = 0.0
    for place in range(faster):
        sums.means[(level + 1) * places + place] += sums.means[level * places + place]
        sums.means[level * places + place] = 0.0
    sums.means[(level + 1) * places + faster] += state * sums.mass[level]
    sums.mass[level + 1] += sums.mass[level]
    sums.mass[level] = 0.0


@njit(**_LARGE)
def _select(tables, walk, sums, block, chunk, top, least):
    """Return how many outer configurations have a weight of exponent ``least`` or more in a block of lanes.

    ``numbers`` takes which, and ``w`` their weights there.
    """
    lanes, inner, w, count = len(tables.weight_lanes), tables.inner, sums.w, 0
    for number in range(chunk):
        highest, lane, part, at = _i64(_LOWEST), _u(count * 64), 0.0, _u(block * 64)
        own = _u(number * lanes + block * 64)
        for s in range(len(walk.up)):
            exponent = walk.exponents[own + _u(s)]
            highest = exponent if exponent > highest else highest
        if highest < least:
            continue
        for s in range(64):
            w[lane + _u(s)] = walk.weights[own + _u(s)] * _power(walk.exponents[own + _u(s)] - top)
            sums.lane_mass[at + _u(s)] += w[lane + _u(s)]
            part += w[lane + _u(s)]
        sums.own_mass[number] += part
        # Units that are complete outside the lanes meet the lanes' digits through ``means``.
        if tables.ends[len(tables.ends) - 1] > tables.ends[0]:
            for place in range(inner):
                part = 0.0
                for s in range(64):
                    part += w[lane + _u(s)] * tables.lane_states[place, at + _u(s)]
                sums.own_means[number * inner + place] += part
        sums.numbers[count] = number
        count += 1
    return count


@njit(**_LARGE)
def _gather(tables, several, sums, chunk, changed, is_last):
    """Add what a chunk's outer configurations have of their own to the levels, and leave those that are done.

    Rows that depend on the lanes are done with; the others meet the sums at their own level.
    """
    base, rows, inner, depth = len(tables.states), len(tables.start), tables.inner, len(sums.digits)
    for number in range(chunk):
        for level in range(changed - 1, -1, -1):
            _renew(tables, sums.path, level, level * base + sums.digits[level], tables.ends[0])
        sums.mass[0] += sums.own_mass[number]
        for place in range(inner):
            sums.means[place] += sums.own_means[number * inner + place]
        for k in range(tables.ends[0]):
            sums.sums[k] += sums.own_sums[number * rows + k]
        changed = depth if is_last and number + 1 == chunk else _turning(sums.digits, base)
        # After the last one the units that depend on no digit follow.
        for level in range(changed + 1 if is_last and number + 1 == chunk else changed):
            _enter(tables, several, sums, level, inner + level)
            if level < depth:
                _leave(tables, sums, level)
        _turn(sums.digits, base, changed)
    return changed


@compiled(**_LEAN)
def _divide(tables, several, walk, sums, count, negligible):
    """Add ``count`` outer configurations to ``sums``, and return the exponent of two of all its numbers."""
    top, ahead, changed = _i64(_LOWEST), _i64(len(walk.digits) + 1), _i64(len(walk.digits))
    for start in range(0, count, CHUNK):
        chunk = CHUNK if count - start > CHUNK else count - start
        ahead, highest = _weigh(tables, several, walk, sums.carried, chunk, ahead)
        if highest > top + _SLACK:
            scale = _power(top - highest)
            for k in range(len(sums.all)):
                sums.all[k] *= scale
            top = highest
        for k in range(len(sums.own)):
            sums.own[k] = 0.0
        for block in range(len(tables.weight_lanes) // 64):
            left = _select(tables, walk, sums, block, chunk, top, top - negligible)
            if several is None:
                _two_states_back(tables, sums, block, left)
            else:
                _several_states_back(tables, several, sums, walk.factor, block, left)
        changed = _gather(tables, several, sums, chunk, changed, start + chunk == count)
    return top


def moments(tables: Tables, first: int, last: int, negligible: int) -> tuple[int, Moments]:
    """Return Σ over outer configurations ``first`` to ``last`` of w, w x, w P(row | x) and w x P(row | x).

    P(row | x) is the probability of the row's state, except that a unit of two states has that of its reference state
    instead. Lanes in which no weight reaches 2^−``negligible`` of one seen before are left out. The last level of the
    sums is that of all; the digits of the lanes are to be taken from ``lane_mass`` and ``shares``.
    """
    sums = Moments.at(tables, first)
    return _divide(tables, _several(tables), Walk.at(tables, first, CHUNK), sums, last - first, negligible), sums


@compiled(**{**_LEAN, "_nrt": True})
def largest(lane_fields, outer_fields, lane_scores, outer_scores, states, log_measure):
    """The largest score plus Σ max_s (s · field + ln μ(s)), with its outer configuration and its lane.

    Fields and scores are sums of the outer configuration's and the lane's; ``lane_fields`` has shape
    (lanes / 64, units, 64), flat. Of equal ones the first is taken.
    """
    units, blocks = outer_fields.shape[1], len(lane_scores) // 64
    score, field, term = np.empty(64), np.empty(64), np.empty(64)
    s0, s1, m0, m1 = states[0], states[1], log_measure[0], log_measure[1]
    best, best_outer, best_lane = -np.finfo(np.float64).max, 0, 0
    for number in range(len(outer_fields)):
        for block in range(blocks):
            for s in range(64):
                score[s] = lane_scores[_u(block * 64 + s)] + outer_scores[number]
            for i in range(units):
                outer, at = outer_fields[number, i], _u((block * units + i) * 64)
                for s in range(64):
                    field[s] = outer + lane_fields[at + _u(s)]
                    term[s] = max(s0 * field[s] + m0, s1 * field[s] + m1)
                for k in range(2, len(states)):
                    state, measure = states[k], log_measure[k]
                    for s in range(64):
                        term[s] = max(term[s], state * field[s] + measure)
                for s in range(64):
                    score[s] += term[s]
            for s in range(64):
                if score[s] > best:
                    best, best_outer, best_lane = score[s], number, block * 64 + s
    return best, best_outer, best_lane
