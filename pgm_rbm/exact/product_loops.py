"""The compiled loops of `products`: they read `Tables` and release the GIL.

The walk keeps, for every outer digit, the product of the entries of that digit and all slower ones, so a step of the
counter renews only what is faster than the slowest digit that changed. Sums are kept relative to a power of two,
``top``, which moves only when a weight outgrows it by 2^500: rescaling is exact and rare.

Two things make the loops fast and are easy to lose. Arrays are flat and indices unsigned: a signed index is checked
lane by lane for being negative, which keeps the loop from becoming one over vectors. And no view of a table is made
inside the walk: each costs an atomic operation on a counter that all threads share.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["largest", "moments", "total", "weights"]

_FAST = {"fastmath": True, "error_model": "numpy", "nogil": True, "cache": True}
_HELPER = {"fastmath": True, "error_model": "numpy", "nogil": True, "forceinline": True}
_f64, _i64, _u = np.float64, np.int64, np.uint64
_MANTISSA, _ONE = 0x000FFFFFFFFFFFFF, 0x3FF0000000000000
_SLACK = 500
_LOWEST = -(2**60)


@njit(**_HELPER)
def _power(exponent):
    """2^exponent, and 0 below the range of float64."""
    return _i64((max(exponent, _i64(-1023)) + _i64(1023)) << _i64(52)).view(_f64)


@njit(**_HELPER)
def _take_exponent(bits, exponent):
    for s in range(64):
        b = bits[s]
        exponent[s] += (b >> 52) - 1023
        bits[s] = (b & _MANTISSA) | _ONE


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
def _factor(terms, rows, base, c, first, factor):
    """1 + Σ c · row of the unit whose rows begin at ``first``."""
    for s in range(64):
        factor[s] = 1.0
    for k in range(first, first + terms):
        ck, at = c[k], _u(base + k * 64)
        for s in range(64):
            factor[s] += ck * rows[at + _u(s)]


@njit(**_HELPER)
def _wide_factor(terms, rows, exponents, base, c, c_exponent, first, factor, shift):
    """factor · 2^shift = 1 + Σ t of the wide unit whose rows begin at ``first``."""
    for s in range(64):
        shift[s] = 0
    for k in range(first, first + terms):
        up, at = c_exponent[k], _u(base + k * 64)
        for s in range(64):
            shift[s] = max(shift[s], up + exponents[at + _u(s)])
    for s in range(64):
        factor[s] = _power(-shift[s])
    for k in range(first, first + terms):
        ck, up, at = c[k], c_exponent[k], _u(base + k * 64)
        for s in range(64):
            factor[s] += ck * rows[at + _u(s)] * _power(up + exponents[at + _u(s)] - shift[s])


@njit(**_FAST)
def _several_states(terms, rows, base, c, first, end, p, factor):
    for k in range(first, end, terms):
        _factor(terms, rows, base, c, k, factor)
        for s in range(64):
            p[s] *= factor[s]


@njit(**_FAST)
def _wide_units(terms, rows, exponents, base, c, c_exponent, end, p, bits, exponent, factor, shift):
    for k in range(0, end, terms):
        if k % 16 == 0:
            _take_exponent(bits, exponent)
        _wide_factor(terms, rows, exponents, base, c, c_exponent, k, factor, shift)
        for s in range(64):
            p[s] *= factor[s]
            exponent[s] += shift[s]


@njit(**_HELPER)
def _lanes(
    terms,
    block,
    inside,
    lane_rows,
    groups,
    c,
    n_wide,
    wide_lanes,
    wide_lanes_exponent,
    wide,
    wide_exponent,
    weight_lanes,
    weight_lanes_exponent,
    p,
    bits,
    exponent,
    factor,
    shift,
):
    """Mantissa p (1 to 2) and exponent of every lane's weight but for the outer digits' share; the largest exponent."""
    for s in range(64):
        p[s] = 1.0
        exponent[s] = 0
    base = block * inside * 64
    first = 0
    last = len(groups) - 1
    for g in range(last + 1):
        end = groups[g] * terms
        if terms == 1:
            _two_states(lane_rows, base, c, first, end, p)
        else:
            _several_states(terms, lane_rows, base, c, first, end, p, factor)
        first = end
        if g < last:
            _take_exponent(bits, exponent)
    if n_wide:
        _wide_units(
            terms,
            wide_lanes,
            wide_lanes_exponent,
            block * n_wide * 64,
            wide,
            wide_exponent,
            n_wide,
            p,
            bits,
            exponent,
            factor,
            shift,
        )
    at = _u(block * 64)
    for s in range(64):
        p[s] *= weight_lanes[at + _u(s)]
    highest = _i64(_LOWEST)
    for s in range(64):
        b = bits[s]
        e = exponent[s] + (b >> 52) - 1023 + weight_lanes_exponent[at + _u(s)]
        bits[s] = (b & _MANTISSA) | _ONE
        exponent[s] = e
        highest = max(highest, e)
    return highest


@njit(**_HELPER)
def _root(start, depth):
    """Room for one row of products an outer digit and one above them, which is ``start``; flat."""
    c = np.empty((depth + 1) * len(start), start.dtype)
    c[depth * len(start) :] = start
    return c


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
def _descend(
    digits,
    changed,
    base,
    terms,
    ends,
    n_rows,
    c,
    digit_rows,
    n_wide,
    wide,
    wide_exponent,
    wide_digits,
    wide_digits_exponent,
    mantissa,
    exponent,
    weight_digits,
    weight_digits_exponent,
):
    """Renew the products of outer digits 0 to ``changed`` − 1."""
    for level in range(changed - 1, -1, -1):
        entry = level * base + digits[level]
        here, above, at = _u(level * n_rows), _u((level + 1) * n_rows), _u(entry * n_rows)
        for k in range(ends[level + 1]):
            c[here + _u(k)] = c[above + _u(k)] * digit_rows[at + _u(k)]
        if n_wide:
            here, above, at = _u(level * n_wide), _u((level + 1) * n_wide), _u(entry * n_wide)
            for k in range(n_wide):
                wide[here + _u(k)] = wide[above + _u(k)] * wide_digits[at + _u(k)]
                wide_exponent[here + _u(k)] = wide_exponent[above + _u(k)] + wide_digits_exponent[at + _u(k)]
        mantissa[level], exponent[level] = _complete(
            terms,
            c,
            level * n_rows + ends[level],
            level * n_rows + ends[level + 1],
            mantissa[level + 1] * weight_digits[entry],
            exponent[level + 1] + weight_digits_exponent[entry],
        )


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


@njit(**_FAST)
def total(tables, first, last):
    """Σ of the weights of outer configurations ``first`` to ``last``, as (exponent of two, number)."""
    (
        terms,
        _,
        states,
        _,
        lane_rows,
        start,
        digit_rows,
        ends,
        groups,
        wide_lanes,
        wide_lanes_exponent,
        wide_start,
        wide_start_exponent,
        wide_digits,
        wide_digits_exponent,
        weight_lanes,
        weight_lanes_exponent,
        weight_digits,
        weight_digits_exponent,
        weight,
        weight_exponent,
    ) = tables
    base, depth = len(states), len(ends) - 2
    inside, n_rows, n_wide, blocks = ends[0], len(start), len(wide_start), len(weight_lanes) // 64
    c, wide, wide_exponent = _root(start, depth), _root(wide_start, depth), _root(wide_start_exponent, depth)
    mantissa, exponent = np.empty(depth + 1), np.empty(depth + 1, np.int64)
    mantissa[depth], exponent[depth] = _complete(
        terms, c, depth * n_rows + ends[depth], depth * n_rows + ends[depth + 1], weight, weight_exponent
    )
    p, factor = np.empty(64), np.empty(64)
    up, shift = np.empty(64, np.int64), np.empty(64, np.int64)
    bits = p.view(np.int64)
    digits = _decode(first, base, depth)
    changed = depth
    result, top = 0.0, _i64(_LOWEST)
    for number in range(first, last):
        _descend(
            digits,
            changed,
            base,
            terms,
            ends,
            n_rows,
            c,
            digit_rows,
            n_wide,
            wide,
            wide_exponent,
            wide_digits,
            wide_digits_exponent,
            mantissa,
            exponent,
            weight_digits,
            weight_digits_exponent,
        )
        for block in range(blocks):
            highest = exponent[0] + _lanes(
                terms,
                block,
                inside,
                lane_rows,
                groups,
                c,
                n_wide,
                wide_lanes,
                wide_lanes_exponent,
                wide,
                wide_exponent,
                weight_lanes,
                weight_lanes_exponent,
                p,
                bits,
                up,
                factor,
                shift,
            )
            if highest > top + _SLACK:
                result *= _power(top - highest)
                top = highest
            lift = exponent[0] - top
            part = 0.0
            for s in range(64):
                part += p[s] * _power(up[s] + lift)
            result += part * mantissa[0]
        if number + 1 < last:
            changed = _advance(digits, base)
    return top, result


@njit(**_FAST)
def weights(tables, first, last, out, out_exponent):
    """The weight of each configuration as mantissa and exponent; arrays of shape (last − first, lanes)."""
    (
        terms,
        _,
        states,
        _,
        lane_rows,
        start,
        digit_rows,
        ends,
        groups,
        wide_lanes,
        wide_lanes_exponent,
        wide_start,
        wide_start_exponent,
        wide_digits,
        wide_digits_exponent,
        weight_lanes,
        weight_lanes_exponent,
        weight_digits,
        weight_digits_exponent,
        weight,
        weight_exponent,
    ) = tables
    base, depth = len(states), len(ends) - 2
    inside, n_rows, n_wide, blocks = ends[0], len(start), len(wide_start), len(weight_lanes) // 64
    c, wide, wide_exponent = _root(start, depth), _root(wide_start, depth), _root(wide_start_exponent, depth)
    mantissa, exponent = np.empty(depth + 1), np.empty(depth + 1, np.int64)
    mantissa[depth], exponent[depth] = _complete(
        terms, c, depth * n_rows + ends[depth], depth * n_rows + ends[depth + 1], weight, weight_exponent
    )
    p, factor = np.empty(64), np.empty(64)
    up, shift = np.empty(64, np.int64), np.empty(64, np.int64)
    bits = p.view(np.int64)
    digits = _decode(first, base, depth)
    changed = depth
    for number in range(first, last):
        _descend(
            digits,
            changed,
            base,
            terms,
            ends,
            n_rows,
            c,
            digit_rows,
            n_wide,
            wide,
            wide_exponent,
            wide_digits,
            wide_digits_exponent,
            mantissa,
            exponent,
            weight_digits,
            weight_digits_exponent,
        )
        for block in range(blocks):
            _lanes(
                terms,
                block,
                inside,
                lane_rows,
                groups,
                c,
                n_wide,
                wide_lanes,
                wide_lanes_exponent,
                wide,
                wide_exponent,
                weight_lanes,
                weight_lanes_exponent,
                p,
                bits,
                up,
                factor,
                shift,
            )
            for s in range(64):
                out[number - first, block * 64 + s] = p[s] * mantissa[0]
                out_exponent[number - first, block * 64 + s] = up[s] + exponent[0]
        if number + 1 < last:
            changed = _advance(digits, base)


@njit(**_HELPER)
def _two_states_back(rows, base, c, end, w, shares, sums):
    """Add w / (1 + t), t = c · row, to each row's ``shares``, and its sum over the lanes to ``sums``.

    One division serves two rows.
    """
    for pair in range(end // 2):
        k = pair * 2
        c0, c1 = c[k], c[k + 1]
        at = _u(base + pair * 128)
        sum0, sum1 = 0.0, 0.0
        for s in range(64):
            f0, f1 = _f64(1.0) + c0 * rows[at + _u(s)], _f64(1.0) + c1 * rows[at + _u(64 + s)]
            both = w[s] / (f0 * f1)
            share0, share1 = both * f1, both * f0
            shares[at + _u(s)] += share0
            shares[at + _u(64 + s)] += share1
            sum0 += share0
            sum1 += share1
        sums[k] += sum0
        sums[k + 1] += sum1


@njit(**_FAST)
def _several_states_back(terms, rows, base, c, end, w, shares, sums, factor):
    """Add w t / (1 + Σ t) to each row's ``shares``, and its sum over the lanes to ``sums``."""
    for unit in range(0, end, terms):
        _factor(terms, rows, base, c, unit, factor)
        for s in range(64):
            factor[s] = w[s] / factor[s]
        for k in range(unit, unit + terms):
            ck, at = c[k], _u(base + k * 64)
            result = 0.0
            for s in range(64):
                share = factor[s] * (ck * rows[at + _u(s)])
                shares[at + _u(s)] += share
                result += share
            sums[k] += result


@njit(**_FAST)
def _wide_units_back(terms, rows, exponents, base, c, c_exponent, end, w, shares, sums, at_sums, factor, shift):
    """What the two functions above do, for wide units."""
    for unit in range(0, end, terms):
        _wide_factor(terms, rows, exponents, base, c, c_exponent, unit, factor, shift)
        for k in range(unit, unit + terms):
            ck, up, at = c[k], c_exponent[k], _u(base + k * 64)
            result = 0.0
            for s in range(64):
                if terms == 1:
                    t = _power(-shift[s])
                else:
                    t = ck * rows[at + _u(s)] * _power(up + exponents[at + _u(s)] - shift[s])
                share = w[s] * (t / factor[s])
                shares[at + _u(s)] += share
                result += share
            sums[at_sums + k] += result


@njit(**_HELPER)
def _hand_up(at, here, n_all, first, last, state, sums, pairs):
    into, own, above = _u(at + first), _u(here + first), _u(here + n_all + first)
    for k in range(last - first):
        value = sums[own + _u(k)]
        pairs[into + _u(k)] += state * value
        sums[above + _u(k)] += value
        sums[own + _u(k)] = 0.0


@njit(**_FAST)
def _leave(level, digit, terms, inner, states, ends, n_rows, n_all, c, mass, means, sums, pairs):
    """All below outer digit ``level`` is summed: enter the units complete there, and add it to the level above.

    Of each level, ``mass`` is Σ w, ``means`` Σ w x by digit, and ``sums`` Σ w P(row | x); ``pairs`` is Σ w x P(row | x)
    by digit and row.
    """
    state, here = states[digit], level * n_all
    faster = inner + level
    n_digits = len(pairs) // n_all
    _enter(level, faster, terms, ends, n_rows, n_all, c, mass, means, sums, pairs, n_digits)
    _hand_up(faster * n_all, here, n_all, 0, ends[level + 1], state, sums, pairs)
    _hand_up(faster * n_all, here, n_all, n_rows, n_all, state, sums, pairs)
    own = level * n_digits
    for digit_place in range(faster):
        means[own + n_digits + digit_place] += means[own + digit_place]
        means[own + digit_place] = 0.0
    means[own + n_digits + faster] += state * mass[level]
    mass[level + 1] += mass[level]
    mass[level] = 0.0


@njit(**_HELPER)
def _enter(level, known, terms, ends, n_rows, n_all, c, mass, means, sums, pairs, n_digits):
    """Enter the units complete at ``level``: their probabilities are the same in all configurations below it."""
    for unit in range(ends[level], ends[level + 1], terms):
        factor = 1.0
        for k in range(unit, unit + terms):
            factor += c[level * n_rows + k]
        for k in range(unit, unit + terms):
            chance = (1.0 if terms == 1 else c[level * n_rows + k]) / factor
            sums[level * n_all + k] = chance * mass[level]
            for place in range(known):
                pairs[place * n_all + k] += chance * means[level * n_digits + place]


@njit(**_FAST)
def moments(tables, first, last, negligible):
    """Σ over outer configurations ``first`` to ``last`` of w, w x, w P(row | x) and w x P(row | x).

    P(row | x) is the probability of the row's state, except that a unit of two states has that of its reference state
    instead. Lanes in which no weight reaches 2^−``negligible`` of one seen before are left out.

    Returns:
        The exponent of two of all that follows; Σ w; Σ w x, shape (digits,); Σ w P(row | x), narrow rows and then wide
        ones; Σ w x P(row | x), shape (digits, rows), flat; and by lane, for what varies with the lanes only:
        Σ w, Σ w P(row | x) of narrow rows and of wide ones. The lanes' digits are to be taken from these.
    """
    (
        terms,
        inner,
        states,
        lane_states,
        lane_rows,
        start,
        digit_rows,
        ends,
        groups,
        wide_lanes,
        wide_lanes_exponent,
        wide_start,
        wide_start_exponent,
        wide_digits,
        wide_digits_exponent,
        weight_lanes,
        weight_lanes_exponent,
        weight_digits,
        weight_digits_exponent,
        weight,
        weight_exponent,
    ) = tables
    base, depth = len(states), len(ends) - 2
    inside, n_rows, n_wide, blocks = ends[0], len(start), len(wide_start), len(weight_lanes) // 64
    c, wide, wide_exponent = _root(start, depth), _root(wide_start, depth), _root(wide_start_exponent, depth)
    mantissa, exponent = np.empty(depth + 1), np.empty(depth + 1, np.int64)
    mantissa[depth], exponent[depth] = _complete(
        terms, c, depth * n_rows + ends[depth], depth * n_rows + ends[depth + 1], weight, weight_exponent
    )
    p, factor = np.empty(64), np.empty(64)
    up, shift = np.empty(64, np.int64), np.empty(64, np.int64)
    bits = p.view(np.int64)
    digits = _decode(first, base, depth)
    changed = depth
    n_all, n_digits = n_rows + n_wide, inner + depth
    shares, wide_shares, lane_mass = np.zeros(len(lane_rows)), np.zeros(len(wide_lanes)), np.zeros(blocks * 64)
    mass, means = np.zeros(depth + 1), np.zeros((depth + 1) * n_digits)
    sums, pairs = np.zeros((depth + 1) * n_all), np.zeros(n_digits * n_all)
    shared = ends[depth + 1] > inside
    w = np.empty(64)
    top = _i64(_LOWEST)
    for number in range(first, last):
        _descend(
            digits,
            changed,
            base,
            terms,
            ends,
            n_rows,
            c,
            digit_rows,
            n_wide,
            wide,
            wide_exponent,
            wide_digits,
            wide_digits_exponent,
            mantissa,
            exponent,
            weight_digits,
            weight_digits_exponent,
        )
        for block in range(blocks):
            highest = exponent[0] + _lanes(
                terms,
                block,
                inside,
                lane_rows,
                groups,
                c,
                n_wide,
                wide_lanes,
                wide_lanes_exponent,
                wide,
                wide_exponent,
                weight_lanes,
                weight_lanes_exponent,
                p,
                bits,
                up,
                factor,
                shift,
            )
            if highest > top + _SLACK:
                scale = _power(top - highest)
                for array in (shares, wide_shares, lane_mass, mass, means, sums, pairs):
                    array *= scale
                top = highest
            if highest < top - negligible:
                continue
            lift = exponent[0] - top
            part = 0.0
            for s in range(64):
                w[s] = p[s] * mantissa[0] * _power(up[s] + lift)
                part += w[s]
            mass[0] += part
            at = _u(block * 64)
            for s in range(64):
                lane_mass[at + _u(s)] += w[s]
            if shared:
                for place in range(inner):
                    part = 0.0
                    for s in range(64):
                        part += w[s] * lane_states[place, block * 64 + s]
                    means[place] += part
            if terms == 1:
                _two_states_back(lane_rows, block * inside * 64, c, inside, w, shares, sums)
            else:
                _several_states_back(terms, lane_rows, block * inside * 64, c, inside, w, shares, sums, factor)
            if n_wide:
                _wide_units_back(
                    terms,
                    wide_lanes,
                    wide_lanes_exponent,
                    block * n_wide * 64,
                    wide,
                    wide_exponent,
                    n_wide,
                    w,
                    wide_shares,
                    sums,
                    n_rows,
                    factor,
                    shift,
                )
        left = depth
        if number + 1 < last:
            left = 1
            while digits[left - 1] == base - 1:
                left += 1
        for level in range(left):
            _leave(level, digits[level], terms, inner, states, ends, n_rows, n_all, c, mass, means, sums, pairs)
        if number + 1 < last:
            changed = _advance(digits, base)
    _enter(depth, n_digits, terms, ends, n_rows, n_all, c, mass, means, sums, pairs, n_digits)
    return top, mass[depth], means[depth * n_digits :], sums[depth * n_all :], pairs, lane_mass, shares, wide_shares


@njit(**_FAST)
def largest(lane_fields, outer_fields, lane_scores, outer_scores, low, high):
    """The largest score plus Σ max(low · field, high · field), with its outer configuration and its lane.

    Fields and scores are sums of the outer configuration's and the lane's; ``lane_fields`` has shape
    (lanes / 64, units, 64), flat. Of equal ones the first is taken.
    """
    units, blocks = outer_fields.shape[1], len(lane_scores) // 64
    score = np.empty(64)
    best, best_outer, best_lane = -np.finfo(np.float64).max, 0, 0
    for number in range(len(outer_fields)):
        for block in range(blocks):
            for s in range(64):
                score[s] = lane_scores[_u(block * 64 + s)] + outer_scores[number]
            for i in range(units):
                field, at = outer_fields[number, i], _u((block * units + i) * 64)
                for s in range(64):
                    both = field + lane_fields[at + _u(s)]
                    score[s] += max(low * both, high * both)
            for s in range(64):
                if score[s] > best:
                    best, best_outer, best_lane = score[s], number, block * 64 + s
    return best, best_outer, best_lane
