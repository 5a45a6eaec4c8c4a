"""The compiled loops of `products`: they read `Tables` and release the GIL.

The walk keeps, for every outer digit, the product of the entries of that digit and all slower ones, so a step of the
counter renews only what is faster than the slowest digit that changed. `_weigh` goes forward and gives every
configuration's weight; the others ask it for a thousand configurations or so at a time, and `moments` then divides them
up among the rows. Sums are kept relative to a power of two, ``top``, which moves only when a weight
outgrows it by 2^500: rescaling is exact and rare.

Only the functions that Python calls are compiled on their own, and all others are inlined in them: machine code that
two of them shared would be that of whichever was loaded first, and could differ in the last bit from one process to
another.

Two things make the loops fast and are easy to lose. Arrays are flat and indices unsigned: a signed index is checked
lane by lane for being negative, which keeps the loop from becoming one over vectors. And no view of a table is made
inside the walk: each costs an atomic operation on a counter that all threads share.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

import numpy as np
from numba import njit

from symbolic.codegen.machine_code import compiled

__all__ = ["CHUNK", "largest", "moments", "total", "weights"]

_FAST = {"fastmath": True, "error_model": "numpy", "nogil": True}
_HELPER = {"fastmath": True, "error_model": "numpy", "nogil": True, "forceinline": True}
_f64, _i64, _u = np.float64, np.int64, np.uint64
_MANTISSA, _ONE = 0x000FFFFFFFFFFFFF, 0x3FF0000000000000
_SLACK = 500
_LOWEST = -(2**60)
# Outer configurations that are gone through together, so that a row read from the outer caches serves all of them.
CHUNK = 32


@njit(**_HELPER)
def _power(exponent):
    """2^exponent, and 0 below the range of float64."""
    return _i64((max(exponent, _i64(-1023)) + _i64(1023)) << _i64(52)).view(_f64)


@njit(**_HELPER)
def _aligned(size):
    """Zeros that begin with a cache line, so that no vector of them lies across two."""
    room = np.zeros(size + 7)
    first = (-(room.ctypes.data >> 3)) & 7
    return room[first : first + size]


@njit(**_HELPER)
def _decode(number, base, depth):
    digits = np.empty(depth, np.int64)
    for level in range(depth):
        digits[level] = number % base
        number //= base
    return digits


@njit(**_HELPER)
def _advance(digits, base):
    """Count one up; how many digits changed."""
    level = 0
    while level < len(digits) and digits[level] == base - 1:
        digits[level] = 0
        level += 1
    if level < len(digits):
        digits[level] += 1
    return min(level + 1, len(digits))


@njit(**_HELPER)
def _root(start, depth):
    """Room for one row of products an outer digit and one above them, which is ``start``; flat."""
    c = np.empty((depth + 1) * len(start))
    c[depth * len(start) :] = start
    return c


@njit(**_HELPER)
def _renew(level, entry, first, ends, n_rows, c, digit_rows):
    """The products of outer digit ``level`` from those above it, by the entries of its state, from row ``first`` on."""
    here, above, at = _u(level * n_rows), _u((level + 1) * n_rows), _u(entry * n_rows)
    for k in range(first, ends[level + 1]):
        c[here + _u(k)] = c[above + _u(k)] * digit_rows[at + _u(k)]


@njit(**_HELPER)
def _complete(terms, c, first, end, mantissa, exponent):
    """Multiply in the units of rows ``first`` to ``end``."""
    for k in range(first, end, terms):
        factor = 1.0
        for term in range(terms):
            factor += c[k + term]
        mantissa, up = math.frexp(mantissa * factor)
        exponent += up
    return mantissa, exponent


@njit(**_HELPER)
def _two_states(rows, base, c, first, end, p):
    """p times Π (1 + c · row) over rows ``first`` to ``end``, four at a time."""
    for quad in range(first // 4, end // 4):
        k = quad * 4
        c0, c1, c2, c3 = c[k], c[k + 1], c[k + 2], c[k + 3]
        at = _u(base + quad * 256)
        for s in range(64):
            one = (_f64(1.0) + c0 * rows[at + _u(s)]) * (_f64(1.0) + c1 * rows[at + _u(64 + s)])
            two = (_f64(1.0) + c2 * rows[at + _u(128 + s)]) * (_f64(1.0) + c3 * rows[at + _u(192 + s)])
            p[s] *= one * two


@njit(**_HELPER)
def _factor(terms, rows, base, c, own, first, factor):
    """1 + Σ c · row of the unit whose rows begin at ``first``; their c begin at ``own`` + ``first``."""
    for s in range(64):
        factor[s] = 1.0
    for k in range(first, first + terms):
        ck, at = c[own + k], _u(base + k * 64)
        for s in range(64):
            factor[s] += ck * rows[at + _u(s)]


@njit(**_HELPER)
def _several_states(terms, rows, base, c, first, end, p, factor):
    """p times Π (1 + Σ c · row) over the units of rows ``first`` to ``end``."""
    for k in range(first, end, terms):
        _factor(terms, rows, base, c, 0, k, factor)
        for s in range(64):
            p[s] *= factor[s]


@njit(**_HELPER)
def _weigh(tables, first, last, c, out, out_exponent):
    """The weight of each configuration as mantissa (1 to 4) and exponent; arrays of shape (last − first, lanes).

    ``c`` takes what the rows' entries are multiplied by in each outer configuration, shape (last − first, rows), flat.
    """
    terms, lane_rows, digit_rows, ends, groups = (
        tables.terms,
        tables.lane_rows,
        tables.digit_rows,
        tables.ends,
        tables.groups,
    )
    weight_lanes, weight_lanes_exponent = tables.weight_lanes, tables.weight_lanes_exponent
    weight_digits, weight_digits_exponent = tables.weight_digits, tables.weight_digits_exponent
    base, depth, inside = len(tables.states), len(ends) - 2, ends[0]
    n_rows, blocks, last_group = len(tables.start), len(weight_lanes) // 64, len(groups) - 1
    path = _root(tables.start, depth)
    mantissa, exponent = np.empty(depth + 1), np.empty(depth + 1, np.int64)
    mantissa[depth], exponent[depth] = _complete(
        terms,
        path,
        depth * n_rows + ends[depth],
        depth * n_rows + ends[depth + 1],
        tables.weight,
        tables.weight_exponent,
    )
    p, factor, up = _aligned(64), _aligned(64), np.empty(64, np.int64)
    bits = p.view(np.int64)
    digits = _decode(first, base, depth)
    changed = depth
    for number in range(first, last):
        for level in range(changed - 1, -1, -1):
            entry, here = level * base + digits[level], level * n_rows
            _renew(level, entry, 0, ends, n_rows, path, digit_rows)
            mantissa[level], exponent[level] = _complete(
                terms,
                path,
                here + ends[level],
                here + ends[level + 1],
                mantissa[level + 1] * weight_digits[entry],
                exponent[level + 1] + weight_digits_exponent[entry],
            )
        own = (number - first) * n_rows
        for k in range(inside):
            c[_u(own + k)] = path[_u(k)]
        for block in range(blocks):
            for s in range(64):
                p[s] = 1.0
                up[s] = exponent[0]
            start = 0
            for group in range(last_group + 1):
                end = groups[group] * terms
                if terms == 1:
                    _two_states(lane_rows, block * inside * 64, path, start, end, p)
                else:
                    _several_states(terms, lane_rows, block * inside * 64, path, start, end, p, factor)
                start = end
                if group < last_group:
                    for s in range(64):
                        up[s] += (bits[s] >> 52) - 1023
                        bits[s] = (bits[s] & _MANTISSA) | _ONE
            at = _u(block * 64)
            for s in range(64):
                p[s] *= weight_lanes[at + _u(s)]
            for s in range(64):
                out_exponent[number - first, block * 64 + s] = (
                    up[s] + (bits[s] >> 52) - 1023 + weight_lanes_exponent[at + _u(s)]
                )
                bits[s] = (bits[s] & _MANTISSA) | _ONE
                out[number - first, block * 64 + s] = p[s] * mantissa[0]
        if number + 1 < last:
            changed = _advance(digits, base)


@compiled(**_FAST)
def weights(tables, first, last, out, out_exponent):
    """The weight of each configuration as mantissa (1 to 4) and exponent; arrays of shape (last − first, lanes)."""
    c = np.empty(CHUNK * len(tables.start))
    for start in range(first, last, CHUNK):
        stop, at = min(start + CHUNK, last), start - first
        _weigh(tables, start, stop, c, out[at:], out_exponent[at:])


@compiled(**_FAST)
def total(tables, first, last):
    """Σ of the weights of outer configurations ``first`` to ``last``, as (exponent of two, number)."""
    lanes, c = len(tables.weight_lanes), np.empty(CHUNK * len(tables.start))
    p, exponents = np.empty((CHUNK, lanes)), np.empty((CHUNK, lanes), np.int64)
    result, top = 0.0, _i64(_LOWEST)
    for start in range(first, last, CHUNK):
        count = min(CHUNK, last - start)
        _weigh(tables, start, start + count, c, p, exponents)
        highest = exponents[:count].max()
        if highest > top + _SLACK:
            result *= _power(top - highest)
            top = highest
        for number in range(count):
            for s in range(lanes):
                result += p[number, s] * _power(exponents[number, s] - top)
    return top, result


@njit(**_HELPER)
def _two_states_back(rows, base, c, n_rows, end, numbers, count, w, shares, sums):
    """Add w / (1 + t), t = c · row, to each row's ``shares``, and its sum over the lanes to ``sums``.

    It is done for ``count`` outer configurations, ``numbers`` of those that ``c`` is about. One division serves four
    rows; `products` packs them so that their product stays in range.
    """
    for quad in range(end // 4):
        at = _u(base + quad * 256)
        for i in range(count):
            k, lane = _u(numbers[i] * n_rows + quad * 4), _u(i * 64)
            c0, c1, c2, c3 = c[k], c[k + _u(1)], c[k + _u(2)], c[k + _u(3)]
            sum0, sum1, sum2, sum3 = 0.0, 0.0, 0.0, 0.0
            for s in range(64):
                f0, f1 = _f64(1.0) + c0 * rows[at + _u(s)], _f64(1.0) + c1 * rows[at + _u(64 + s)]
                f2, f3 = _f64(1.0) + c2 * rows[at + _u(128 + s)], _f64(1.0) + c3 * rows[at + _u(192 + s)]
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
            sums[k] += sum0
            sums[k + _u(1)] += sum1
            sums[k + _u(2)] += sum2
            sums[k + _u(3)] += sum3


@njit(**_HELPER)
def _several_states_back(terms, rows, base, c, n_rows, end, numbers, count, w, shares, sums, factor):
    """Add w t / (1 + Σ t) to each row's ``shares``, and its sum over the lanes to ``sums``; as above."""
    for unit in range(0, end, terms):
        for i in range(count):
            own, lane = numbers[i] * n_rows, _u(i * 64)
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
                sums[own + k] += result


@njit(**_HELPER)
def _enter(level, known, terms, ends, n_rows, c, mass, means, sums, pairs, n_digits):
    """Enter the units complete at ``level``: their probabilities are the same in all configurations below it."""
    for unit in range(ends[level], ends[level + 1], terms):
        factor = 1.0
        for k in range(unit, unit + terms):
            factor += c[level * n_rows + k]
        for k in range(unit, unit + terms):
            chance = (1.0 if terms == 1 else c[level * n_rows + k]) / factor
            sums[level * n_rows + k] = chance * mass[level]
            for place in range(known):
                pairs[place * n_rows + k] += chance * means[level * n_digits + place]


@njit(**_HELPER)
def _leave(level, digit, terms, inner, states, ends, n_rows, c, mass, means, sums, pairs):
    """All below outer digit ``level`` is summed: enter the units complete there, and add it to the level above.

    Of each level, ``mass`` is Σ w, ``means`` Σ w x by digit, and ``sums`` Σ w P(row | x); ``pairs`` is Σ w x P(row | x)
    by digit and row.
    """
    state, faster, n_digits = states[digit], inner + level, len(pairs) // n_rows
    _enter(level, faster, terms, ends, n_rows, c, mass, means, sums, pairs, n_digits)
    into, own, above = _u(faster * n_rows), _u(level * n_rows), _u((level + 1) * n_rows)
    for k in range(ends[level + 1]):
        value = sums[own + _u(k)]
        pairs[into + _u(k)] += state * value
        sums[above + _u(k)] += value
        sums[own + _u(k)] = 0.0
    for place in range(faster):
        means[(level + 1) * n_digits + place] += means[level * n_digits + place]
        means[level * n_digits + place] = 0.0
    means[(level + 1) * n_digits + faster] += state * mass[level]
    mass[level + 1] += mass[level]
    mass[level] = 0.0


@compiled(**_FAST)
def moments(tables, first, last, negligible):
    """Σ over outer configurations ``first`` to ``last`` of w, w x, w P(row | x) and w x P(row | x).

    P(row | x) is the probability of the row's state, except that a unit of two states has that of its reference state
    instead. Lanes in which no weight reaches 2^−``negligible`` of one seen before are left out.

    Returns:
        The exponent of two of all that follows; Σ w; Σ w x, shape (digits,); Σ w P(row | x), shape (rows,);
        Σ w x P(row | x), shape (digits, rows), flat; and by lane, for what varies with the lanes only: Σ w, and
        Σ w P(row | x) as the rows' entries are. The lanes' digits are to be taken from these.
    """
    terms, inner, states, ends = tables.terms, tables.inner, tables.states, tables.ends
    lane_rows, lane_states, digit_rows = tables.lane_rows, tables.lane_states, tables.digit_rows
    base, depth, inside, n_rows = len(states), len(ends) - 2, ends[0], len(tables.start)
    lanes, n_digits = len(tables.weight_lanes), inner + depth
    shares, lane_mass, mass = _aligned(len(lane_rows)), np.zeros(lanes), np.zeros(depth + 1)
    means, sums, pairs = np.zeros((depth + 1) * n_digits), np.zeros((depth + 1) * n_rows), np.zeros(n_digits * n_rows)
    p, exponents = np.empty((CHUNK, lanes)), np.empty((CHUNK, lanes), np.int64)
    c, own_sums = np.empty(CHUNK * n_rows), np.empty(CHUNK * n_rows)
    own_mass, own_means = np.empty(CHUNK), np.empty((CHUNK, inner))
    numbers, w, factor = np.empty(CHUNK, np.int64), _aligned(CHUNK * 64), _aligned(64)
    # Units that are complete outside the lanes meet the lanes' digits through ``means``.
    shared = ends[depth + 1] > inside
    top = _i64(_LOWEST)
    path, digits, changed = _root(tables.start, depth), _decode(first, base, depth), depth
    for start in range(first, last, CHUNK):
        chunk = min(CHUNK, last - start)
        _weigh(tables, start, start + chunk, c, p, exponents)
        highest = exponents[:chunk].max()
        if highest > top + _SLACK:
            scale = _power(top - highest)
            for array in (shares, lane_mass, mass, means, sums, pairs):
                array *= scale
            top = highest
        own_sums[:] = 0.0
        own_mass[:] = 0.0
        own_means[:] = 0.0
        for block in range(lanes // 64):
            at, count = _u(block * 64), 0
            for number in range(chunk):
                highest, lane, part = _i64(_LOWEST), _u(count * 64), 0.0
                for s in range(64):
                    highest = max(highest, exponents[number, at + _u(s)])
                if highest < top - negligible:
                    continue
                for s in range(64):
                    w[lane + _u(s)] = p[number, at + _u(s)] * _power(exponents[number, at + _u(s)] - top)
                    lane_mass[at + _u(s)] += w[lane + _u(s)]
                    part += w[lane + _u(s)]
                own_mass[number] += part
                if shared:
                    for place in range(inner):
                        part = 0.0
                        for s in range(64):
                            part += w[lane + _u(s)] * lane_states[place, at + _u(s)]
                        own_means[number, place] += part
                numbers[count] = number
                count += 1
            at_rows = block * inside * 64
            if terms == 1:
                _two_states_back(lane_rows, at_rows, c, n_rows, inside, numbers, count, w, shares, own_sums)
            else:
                _several_states_back(
                    terms, lane_rows, at_rows, c, n_rows, inside, numbers, count, w, shares, own_sums, factor
                )
        for number in range(chunk):
            # Rows that depend on the lanes are done with; the others meet the sums at their own level.
            for level in range(changed - 1, -1, -1):
                _renew(level, level * base + digits[level], inside, ends, n_rows, path, digit_rows)
            mass[0] += own_mass[number]
            for place in range(inner):
                means[place] += own_means[number, place]
            for k in range(inside):
                sums[k] += own_sums[number * n_rows + k]
            left = depth
            if start + number + 1 < last:
                left = 1
                while digits[left - 1] == base - 1:
                    left += 1
            for level in range(left):
                _leave(level, digits[level], terms, inner, states, ends, n_rows, path, mass, means, sums, pairs)
            if start + number + 1 < last:
                changed = _advance(digits, base)
    _enter(depth, n_digits, terms, ends, n_rows, path, mass, means, sums, pairs, n_digits)
    return top, mass[depth], means[depth * n_digits :], sums[depth * n_rows :], pairs, lane_mass, shares


@compiled(**_FAST)
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
