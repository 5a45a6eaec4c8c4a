"""The special functions of generated code, one text each.

As it stands the text is for NumPy arrays. Numba and the array libraries get the same text with other names under it
(:mod:`~symbolic.codegen.runtime.binding`), so a function is added here, and its exact counterpart in
:mod:`symbolic.language.functions`, and nowhere else. What the text may call:

==========================  ============================================================================================
``exp``, ``expm1``          of numbers ≤ 0 alone, so that nothing overflows and Numba's need no care above 0
``log``, ``log1p``, ``sqrt``
``log1p_unit``              log1p of numbers from 0 to 1
``maximum(x, y)``           the larger one; NumPy's takes 0.1 ns a number, and its ``where`` 5 (2 cores, 2026-12)
``where(c, a, b)``          a where c holds, else b
``within(c, a, other)``     a where c holds, else a harmless number; of single numbers a, since nothing warns of those
``beyond(c, a, other)``     a where c does not hold, else a harmless number; of single numbers a
``like(n, x)``              the number n in the type of x
==========================  ============================================================================================

beside operators, ``abs`` and the series below. Numbers written out must not widen float32 for functions of two-state
units, which Numba computes in the type of their argument: hence ``like``. The others it computes in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import exp, expm1, log, log1p, maximum, sqrt, where

from symbolic.codegen.runtime.binding import Series
from symbolic.codegen.runtime.coefficients import (
    BESSEL,
    BESSEL_CURVATURE,
    BESSEL_DEFECT,
    BESSEL_FAR,
    BESSEL_SLOPE,
    BOSE_MEAN,
    BOSE_VARIANCE,
    LOG_BOSE,
    MILLS,
    MILLS_MEAN,
    MILLS_VARIANCE,
    SINHC_CURVATURE,
)

__all__ = [
    "bessel_curvature",
    "bessel_slope",
    "bose",
    "exprel_mean",
    "exprel_variance",
    "geomsum_mean",
    "geomsum_variance",
    "lnbessel",
    "lnexprel",
    "lngeomsum",
    "lnmills",
    "lnsinhc",
    "log1mexp",
    "log2cosh",
    "lognorm",
    "logsumexp",
    "mills_mean",
    "mills_variance",
    "neg",
    "nonzero",
    "pos",
    "sigmoid",
    "sinhc_curvature",
    "sinhc_slope",
    "softmax",
    "softplus",
]

Array = Any
LN_2 = math.log(2)
TWO_PI = 2 * math.pi
ROOT_TWO_PI = math.sqrt(2 * math.pi)

log_bose_series, bose_mean_series, bose_variance_series = Series(LOG_BOSE), Series(BOSE_MEAN), Series(BOSE_VARIANCE)
sinhc_curvature_series = Series(SINHC_CURVATURE)
mills_series, mills_mean_series, mills_variance_series = Series(MILLS), Series(MILLS_MEAN), Series(MILLS_VARIANCE)
bessel_series, bessel_slope_series = Series(BESSEL), Series(BESSEL_SLOPE)
bessel_curvature_series, bessel_far_series = Series(BESSEL_CURVATURE), Series(BESSEL_FAR)
bessel_defect_series = Series(BESSEL_DEFECT)

# What the text calls and NumPy calls otherwise.
log1p_unit = log1p
within = where


def beyond(near: Array, a: Array, other: float) -> Array:
    """a where not near, else another number."""
    return where(near, other, a)


def like(number: float, x: Array) -> Array:
    """The number in the type of x."""
    return np.asarray(x).dtype.type(number)


# Two-state units


def pos(s: Array) -> Array:
    """max(s, 0)."""
    return where(s > 0, s, like(0, s))


def neg(s: Array) -> Array:
    """min(s, 0)."""
    return where(s < 0, s, like(0, s))


def nonzero(s: Array) -> Array:
    """1 for s ≠ 0, and 0 for s = 0."""
    return where(s != 0, like(1, s), like(0, s))


def softplus(x: Array) -> Array:
    """ln(1 + e^x) as max(x, 0) + ln(1 + e^−|x|), which holds for x of any size."""
    return maximum(x, like(0, x)) + log1p_unit(exp(-abs(x)))


def sigmoid(x: Array) -> Array:
    """e^x / (1 + e^x), from e^−|x|."""
    one, falling = like(1, x), exp(-abs(x))
    return where(x >= 0, one, falling) / (one + falling)


def log2cosh(x: Array) -> Array:
    """ln(e^x + e^−x) as |x| + ln(1 + e^−2|x|)."""
    size = abs(x)
    return size + log1p_unit(exp(like(-2, x) * size))


# Units of several states


def largest(x: tuple[Array, ...]) -> Array:
    """The largest of several."""
    top = x[0]
    for one in x[1:]:
        top = where(one > top, one, top)
    return top


def logsumexp(*x: Array) -> Array:
    """ln Σ_k e^{x_k}, relative to the largest."""
    top = largest(x)
    total = exp(x[0] - top)
    for one in x[1:]:
        total = total + exp(one - top)
    return top + log(total)


def softmax(k: int, *x: Array) -> Array:
    """e^{x_k} / Σ_l e^{x_l}; k counts from 1."""
    top = largest(x)
    parts = [exp(one - top) for one in x]
    return parts[int(k) - 1] / sum(parts[1:], parts[0])


def log1mexp(x: Array) -> Array:
    """ln(1 − e^{−x}) for x > 0."""
    near = x < LN_2
    here, far = within(near, x, 1), beyond(near, x, 1)
    return where(near, log(-expm1(-here)), log1p(-exp(-far)))


def bose(x: Array) -> Array:
    """1 / (e^x − 1) for x > 0."""
    return exp(-x) / -expm1(-x)


def log_bose(a: Array) -> Array:
    """ln((1 − e^{−a}) / a) for a ≥ 0."""
    near = a < 1
    here, far = within(near, a, 1), beyond(near, a, 1)
    z = here * here
    return where(near, z * log_bose_series(z) - here / 2, log(-expm1(-far) / far))


def bose_mean(a: Array) -> Array:
    """1 / a − 1 / (e^a − 1) for a ≥ 0."""
    near = a < 1
    here, far = within(near, a, 1), beyond(near, a, 1)
    return where(near, 0.5 - here * bose_mean_series(here * here), 1 / far - bose(far))


def bose_square(a: Array) -> Array:
    """e^a / (e^a − 1)² for a > 0."""
    below = expm1(-a)
    return exp(-a) / (below * below)


def bose_variance(a: Array) -> Array:
    """1 / a² − e^a / (e^a − 1)² for a ≥ 0."""
    near = a < 1
    here, far = within(near, a, 1), beyond(near, a, 1)
    return where(near, bose_variance_series(here * here), 1 / (far * far) - bose_square(far))


def lnexprel(x: Array) -> Array:
    """ln((e^x − 1) / x)."""
    return pos(x) + log_bose(abs(x))


def exprel_mean(x: Array) -> Array:
    """1 / (1 − e^{−x}) − 1 / x."""
    low = bose_mean(abs(x))
    return where(x > 0, 1 - low, low)


def exprel_variance(x: Array) -> Array:
    """1 / x² − e^{−x} / (1 − e^{−x})²."""
    return bose_variance(abs(x))


def lngeomsum(n: float, x: Array) -> Array:
    """ln((e^{nx} − 1) / (e^x − 1))."""
    a = abs(x)
    near = a < 1
    here, far = within(near, a, 1), beyond(near, a, 1)
    close = log_bose(n * here) - log_bose(here) + log(like(n, x))
    away = log1p(-exp(-n * far)) - log1p(-exp(-far))
    return (n - 1) * pos(x) + where(near, close, away)


def geomsum_mean(n: float, x: Array) -> Array:
    """n / (1 − e^{−nx}) − 1 / (1 − e^{−x})."""
    a = abs(x)
    near = a < 1
    here, far = within(near, a, 1), beyond(near, a, 1)
    close = n * bose_mean(n * here) - bose_mean(here)
    low = where(near, close, bose(far) - n * bose(n * far))
    return where(x > 0, n - 1 - low, low)


def geomsum_variance(n: float, x: Array) -> Array:
    """e^{−x} / (1 − e^{−x})² − n² e^{−nx} / (1 − e^{−nx})²."""
    a = abs(x)
    near = a < 1
    here, far = within(near, a, 1), beyond(near, a, 1)
    close = n * n * bose_variance(n * here) - bose_variance(here)
    return where(near, close, bose_square(far) - n * n * bose_square(n * far))


# Gaussian units, whole and cut off


def lognorm(q: Array) -> Array:
    """½ ln(2π / q)."""
    return 0.5 * log(TWO_PI / q)


def mills(t: Array) -> Array:
    """R(t), Mills' ratio, for t ≥ 0."""
    return mills_series((t - 5) / (t + 5)) / (1 + t)


def hazard(x: Array) -> Array:
    """λ(x) = e^{−x²/2} / ∫_{−x}^∞ e^{−s²/2} ds for x ≥ 0."""
    falling = exp(-x * x / 2)
    return falling / (ROOT_TWO_PI - falling * mills(x))


def lnmills(x: Array) -> Array:
    """ln ∫_0^∞ e^{xs − s²/2} ds."""
    up = pos(x)
    ratio = mills(abs(x))
    above = ROOT_TWO_PI - exp(-up * up / 2) * ratio
    return up * up / 2 + log(where(x > 0, above, ratio))


def mills_mean(x: Array) -> Array:
    """x + λ(x)."""
    up, down = pos(x), pos(-x)
    below = mills_mean_series((down - 4) / (down + 4)) / (1 + down)
    return where(x > 0, up + hazard(up), below)


def mills_variance(x: Array) -> Array:
    """1 − λ(x) (x + λ(x))."""
    up, down = pos(x), pos(-x)
    rate = hazard(up)
    below = mills_variance_series((down - 4) / (down + 4)) / ((1 + down) * (1 + down))
    return where(x > 0, 1 - rate * (up + rate), below)


# Directions in the plane and in space, by z = |x|² of their field x


def bessel_parts(z: Array) -> tuple[Array, Array, Array, Array]:
    """Whether z ≤ 16; z / 8 − 1 there; √z and 8 / √z − 1 elsewhere."""
    near = z <= 16
    root = sqrt(beyond(near, z, 16))
    return near, within(near, z, 0) / 8 - 1, root, 8 / root - 1


def lnbessel(z: Array) -> Array:
    """ln I_0(√z) for z ≥ 0."""
    near, here, root, there = bessel_parts(z)
    far = root - 0.5 * log(root) + log(bessel_far_series(there))
    return where(near, z * bessel_series(here), far)


def bessel_slope(z: Array) -> Array:
    """The derivative of ln I_0(√z) by z."""
    near, here, root, there = bessel_parts(z)
    far = (1 - bessel_defect_series(there) / root) / (2 * root)
    return where(near, bessel_slope_series(here), far)


def bessel_curvature(z: Array) -> Array:
    """The second derivative of ln I_0(√z) by z."""
    near, here, root, there = bessel_parts(z)
    defect = bessel_defect_series(there) / root
    far = (defect * (2 - defect) - 2 * (1 - defect) / root) / (4 * root * root)
    return where(near, bessel_curvature_series(here), far)


def sinhc_parts(z: Array) -> tuple[Array, Array, Array]:
    """Whether z < 1/4; 4z there; √z elsewhere."""
    near = z < 0.25
    return near, within(near, 4 * z, 0), sqrt(beyond(near, z, 1))


def lnsinhc(z: Array) -> Array:
    """ln(sinh √z / √z) for z ≥ 0."""
    near, here, root = sinhc_parts(z)
    far = root + log(-expm1(-2 * root) / (2 * root))
    return where(near, here * log_bose_series(here), far)


def sinhc_slope(z: Array) -> Array:
    """L / √z, with Langevin's function L = coth √z − 1/√z."""
    near, here, root = sinhc_parts(z)
    far = (1 - (1 / root - 2 * bose(2 * root))) / root
    return where(near, 4 * bose_mean_series(here), far)


def sinhc_curvature(z: Array) -> Array:
    """(1 − 3L/√z − L²) / z."""
    near, here, root = sinhc_parts(z)
    defect = 1 / root - 2 * bose(2 * root)
    far = (defect * (2 - defect) - 3 * (1 - defect) / root) / (root * root)
    return where(near, sinhc_curvature_series(here), far)
