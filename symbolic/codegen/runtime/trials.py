"""Draws that take several uniform numbers: what one trial of rejection sampling proposes and whether it is taken, one
text each, as in :mod:`~symbolic.codegen.runtime.special`. The loops around them are the targets' own: NumPy tries all
units that have no draw yet at once, Numba one unit until it has.

``log`` and ``log1p`` are those of any positive numbers here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import arcsin, arctan2, cos, floor, log, log1p, sin, sqrt, where

from symbolic.codegen.runtime.binding import Series
from symbolic.codegen.runtime.coefficients import LOG_FACTORIAL, STIRLING
from symbolic.codegen.runtime.special import within

__all__ = ["MOST_OF_A_KIND", "POISSON_INVERSION"]

Array = Any
PI = math.pi
ROOT_TWO = math.sqrt(2)
# The chance that none of 512 fair coins shows heads is 7e-155; of 1,024 it is 6e-309, below the normal numbers.
MOST_OF_A_KIND = 512
"""Binomial counts are drawn in parts of at most this many, so that no part's chance of 0 underflows."""
# Hörmann's rejection holds from a mean of 10; inversion takes a step per count: 129 and 151 ns at means of 20 and 29,
# where rejection takes 143 and 101 (Numba, 2 cores, 2026-12).
POISSON_INVERSION = 30.0
"""Poisson counts of a smaller mean are drawn by inversion."""
FIRST_LISTED = len(LOG_FACTORIAL)

stirling_series = Series(STIRLING)
_LISTED = np.array(LOG_FACTORIAL)


def log_factorial(k: Array) -> Array:
    """ln k! for k < 16."""
    return _LISTED[k.astype(np.intp)]


def gamma_trial(z: Array, u: Array, d: Array) -> tuple[Array, Array]:
    """A number of density s^{d − 2/3} e^{−s} by d, from a normal and a uniform one, and whether it is taken.

    Source: G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables" (ACM Transactions on
    Mathematical Software 26, 2000).
    """
    v = (1 + z / sqrt(9 * d)) ** 3
    possible = v > 0
    v = within(possible, v, 1)
    return v, possible & (log(u) < z * z / 2 + d - d * v + d * log(v))


def poisson_hat(rate: Array) -> tuple[Array, Array]:
    """The two constants of the hat function of W. Hörmann, "The transformed rejection method for generating Poisson
    random variables" (Insurance: Mathematics and Economics 12, 1993), algorithm PTRS."""
    b = 0.931 + 2.53 * sqrt(rate)
    return -0.059 + 0.02483 * b, b


def poisson_proposal(rate: Array, a: Array, b: Array, u: Array) -> tuple[Array, Array]:
    """The count that a number from −½ to ½ proposes, and how far the number is from these."""
    side = 0.5 - abs(u)
    return floor((2 * a / side + b) * u + rate + 0.43), side


def poisson_at_once(b: Array, side: Array, v: Array) -> Array:
    """Whether the proposal is taken without a look at its probability."""
    return (side >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))


def poisson_possible(k: Array, side: Array, v: Array) -> Array:
    """Whether a look at its probability is worth while."""
    return (k >= 0) & ((side >= 0.013) | (v <= side))


def poisson_taken(k: Array, rate: Array, a: Array, b: Array, side: Array, v: Array) -> Array:
    """Whether the proposal is taken by its probability."""
    return log(v * (1.1239 + 1.1328 / (b - 3.4)) / (a / (side * side) + b)) <= log_poisson(k, rate)


def log_poisson(k: Array, rate: Array) -> Array:
    """ln(rate^k e^{−rate} / k!) without the loss of large terms that cancel; rates of 30 and more."""
    small = k < FIRST_LISTED
    few, many = where(small, k, 0.0), where(small, float(FIRST_LISTED), k)
    close = few * log(rate) - rate - log_factorial(few)
    d = (rate - many) / many
    away = many * (log1p(d) - d) - 0.5 * log(2 * PI * many) - stirling_series(1 / (many * many)) / many
    return where(small, close, away)


def von_mises_excess(length: Array) -> Array:
    """r − 1 for the r of the wrapped Cauchy envelope of D. J. Best and N. I. Fisher, "Efficient simulation of the von
    Mises distribution" (Applied Statistics 28, 1979); ρ is its other parameter. The differences are written such that
    strong and weak fields lose no digits."""
    root = sqrt(1 + 4 * length * length)
    tau = 1 + root
    weak = 2 * length * sqrt(tau) / (tau * (sqrt(tau) + ROOT_TWO))
    is_strong = length > 1
    strong = within(is_strong, length, 1)
    complement = where(is_strong, (sqrt(2 * tau) - 1 - 1 / (2 * strong + root)) / (2 * strong), 1 - weak)
    rho = where(is_strong, 1 - complement, weak)
    return complement * complement / (2 * rho)


def von_mises_trial(length: Array, excess: Array, u: Array, v: Array) -> tuple[Array, Array]:
    """One minus the cosine of an angle to the field, and whether it is taken."""
    half = 0.5 * PI * u
    back = excess * 2 * sin(half) ** 2 / (excess + 2 * cos(half) ** 2)
    c = length * (excess + back)
    return back, (c * (2 - c) > v) | (log(c / v) + 1 - c >= 0)


def von_mises_angle(x: Array, y: Array, back: Array, w: Array) -> Array:
    """The angle itself, to either side of the field by w."""
    half = sqrt(back / 2)
    turn = 2 * arcsin(where(half < 1, half, 1.0))
    angle = arctan2(y, x) + where(w < 0.5, -turn, turn)
    angle = where(angle > PI, angle - 2 * PI, angle)
    return where(angle < -PI, angle + 2 * PI, angle)
