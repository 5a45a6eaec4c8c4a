"""From uniform numbers to states: inverse distribution functions, one text each, as in
:mod:`~symbolic.codegen.runtime.special`.

Each function takes uniform numbers u in float64, and gives the state at which the distribution function is u, or 1 − u.
"""

from __future__ import annotations

from typing import Any

from numpy import exp, expm1, floor, log, log1p, sqrt, where

from symbolic.codegen.runtime.binding import Series
from symbolic.codegen.runtime.coefficients import NORMAL_QUANTILE
from symbolic.codegen.runtime.special import ROOT_TWO_PI, largest, like, mills, pos, sigmoid

__all__ = [
    "exponential_quantile",
    "finite_quantile",
    "gaussian_quantile",
    "geometric_quantile",
    "integer_quantile",
    "rectified_quantile",
    "spike_and_slab_quantile",
    "two_sided_quantile",
    "uniform_quantile",
]

Array = Any
# Of fields from −40 to 0 and u from 2^−53 to 1 − 2^−53, four steps leave an error of 5e-14, and five one of 2e-15, at
# which rounding keeps it (2026-12). The sixth is a margin, and part of what seeds have given so far.
NEWTON_STEPS = 6
BELOW_ONE = 1 - 2.0**-53

normal_above, normal_below = map(Series, NORMAL_QUANTILE)
log_of_tail = log


def normal_quantile(p: Array) -> Array:
    """The number below which a standard normal one falls with probability p, within 2e-12.

    Source: a quotient of polynomials as in M. J. Wichura, "Algorithm AS 241: the percentage points of the normal
    distribution" (Applied Statistics 37, 1988); in another variable, so that one does for all p.
    """
    w = -log_of_tail(where(p < 0.5, p, 1 - p))
    size = normal_above(w) / normal_below(w)
    return where(p < 0.5, -size, size)


def finite_quantile(u: Array, *arguments: Array) -> Array:
    """One of n states: n log-weights come first, then the n states."""
    half = len(arguments) // 2
    weights, states = arguments[:half], arguments[half:]
    top = largest(weights)
    sums = [exp(weights[0] - top)]
    for weight in weights[1:]:
        sums.append(sums[-1] + exp(weight - top))
    threshold = u * sums[-1]
    state = states[-1] + 0 * threshold
    for total, value in zip(reversed(sums[:-1]), reversed(states[:-1]), strict=True):
        state = where(threshold < total, value + 0 * threshold, state)
    return state


def uniform_quantile(u: Array, x: Array) -> Array:
    """A number between 0 and 1 of density proportional to e^{xs}."""
    a = abs(x)
    a = where(a < 1e-100, like(1e-100, a), a)
    down = -log1p(u * expm1(-a)) / a
    return where(x > 0, 1 - down, down)


def integer_quantile(u: Array, n: float, x: Array) -> Array:
    """A whole number from 0 to n − 1 of probability proportional to e^{xk}: the whole part of n times a number on
    [0, 1] in the field nx."""
    k = floor(n * uniform_quantile(u, n * x))
    return where(k > n - 1, n - 1 + 0 * k, k)


def exponential_quantile(u: Array, rate: Array) -> Array:
    """A positive number of density proportional to e^{−rate s}."""
    return -log(u) / rate


def geometric_quantile(u: Array, rate: Array) -> Array:
    """A whole number of probability proportional to e^{−rate k}."""
    return floor(-log(u) / rate)


def gaussian_quantile(u: Array, mean: Array, deviation: Array) -> Array:
    """A number of normal distribution."""
    return mean + deviation * normal_quantile(u)


def rectified_above(u: Array, field: Array) -> Array:
    """A number s ≥ 0 of density proportional to e^{field s − s²/2} in a field from 0, from the normal quantile."""
    inside = 1 - exp(-field * field / 2) * mills(field) / ROOT_TWO_PI
    return pos(field - normal_quantile(u * inside))


def rectified_below(u: Array, a: Array) -> Array:
    """The same in the field −a below 0.

    P(S > t) = e^{−at − t²/2} R(a + t) / R(a) is u at the root of a convex function, which Newton's method reaches from
    above.
    """
    level = -log(u)
    t = 2 * level / (a + sqrt(a * a + 2 * level))
    start = mills(a)
    for _ in range(NEWTON_STEPS):
        ratio = mills(a + t)
        t = pos(t - (t * (a + t / 2) - log(ratio / start) - level) * ratio)
    return t


def rectified_quantile(u: Array, field: Array, deviation: Array) -> Array:
    """``deviation`` times a number s ≥ 0 of density proportional to e^{field s − s²/2}."""
    return deviation * where(field > 0, rectified_above(u, pos(field)), rectified_below(u, pos(-field)))


def chosen(u: Array, odds: Array) -> tuple[Array, Array]:
    """Whether u falls to the first of two cases with the given log-odds, and its place within the case."""
    first = sigmoid(odds)
    taken = u < first
    # The share of the other case, from the odds against it, keeps its digits where it is small.
    place = where(taken, u, 1 - u) / where(taken, first, sigmoid(-odds))
    return taken, where(place < BELOW_ONE, place, like(BELOW_ONE, place))


def two_sided_quantile(
    u: Array, odds: Array, up: Array, up_deviation: Array, down: Array, down_deviation: Array
) -> Array:
    """With the given log-odds a number as of :func:`rectified_quantile`, else minus one of the other field."""
    taken, place = chosen(u, odds)
    drawn = rectified_quantile(place, where(taken, up, down), where(taken, up_deviation, down_deviation))
    return where(taken, drawn, -drawn)


def spike_and_slab_quantile(u: Array, odds: Array, mean: Array, deviation: Array) -> Array:
    """A normal number with the given log-odds, else 0."""
    taken, place = chosen(u, odds)
    return where(taken, gaussian_quantile(place, mean, deviation), like(0, place))
