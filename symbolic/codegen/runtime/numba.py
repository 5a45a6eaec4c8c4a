"""What generated Numba modules call inside their loops: stable scalar functions and random bits that vectorise.

Every function takes float32 or float64 and computes in that type. LLVM cannot vectorise calls of the C library's exp
and log1p, so both are written as polynomials here (near-minimax, found by Remez exchange), without branches that would
stop a loop from becoming one over vectors. Largest errors in units in the last place, with fused multiply-add, on
240,000 points of the range in which the result is a normal number:

==============  =======  =======
function        float64  float32
==============  =======  =======
exp             1.0      1.0
sigmoid         2.0      2.2
softplus        2.3      2.4
log2cosh        1.7      1.8
tanh            2.5      2.5
==============  =======  =======

Results below the smallest normal number are 0. NaN gives NaN, and ±∞ the limit of the function.

The functions of units with more than two states, and the draws from them, are the arithmetic of
:mod:`symbolic.codegen.runtime.special` in float64 for either type; the functions have no branches either.

The helpers allow the compiler one liberty, fused multiply-add. Reassociation is not among them: it would fold
the two-part constant of the range reduction into one and lose its digits. Nor is the assumption that NaN and ∞
never occur, under which a diverged model could pass for a sound one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.core.errors import TypingError
from numba.extending import overload

from symbolic.codegen.runtime import numpy
from symbolic.codegen.runtime import special as stable

__all__ = [
    "bessel_curvature",
    "bessel_slope",
    "bose",
    "draw_binomial",
    "draw_exponential",
    "draw_finite",
    "draw_gamma",
    "draw_gaussian",
    "draw_geometric",
    "draw_integer",
    "draw_poisson",
    "draw_rectified",
    "draw_spike_and_slab",
    "draw_two_sided",
    "draw_uniform",
    "draw_von_mises",
    "exp",
    "exprel_mean",
    "exprel_variance",
    "fine_uniform",
    "geomsum_mean",
    "geomsum_variance",
    "lnbessel",
    "lnexprel",
    "lngeomsum",
    "lnmills",
    "lnsinhc",
    "log",
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
    "sqrt",
    "tanh",
    "uniform",
]

_HELPER = {"error_model": "numpy", "fastmath": {"contract"}, "forceinline": True, "nogil": True}
_f32, _f64, _i32, _i64 = np.float32, np.float64, np.int32, np.int64
_u32, _u64 = np.uint32, np.uint64

# exp: x = k ln 2 + r with |r| ≤ ln 2 / 2; e^r = 1 + r + r² q(r). Adding 1.5·2^52 to x / ln 2 leaves k in the lowest
# bits of the sum.


@njit(**_HELPER)
def _split64(x):  # type: ignore[no-untyped-def]
    shifted = x * _f64(1.4426950408889634) + _f64(6755399441055744.0)
    k = shifted - _f64(6755399441055744.0)
    r = x - k * _f64(0.693147180369123816490)
    r = r - k * _f64(1.90821492927058770002e-10)
    q = _f64(2.4999836762517786e-08)
    q = q * r + _f64(2.7630522891714786e-07)
    q = q * r + _f64(2.7557588479844355e-06)
    q = q * r + _f64(2.4801492389969586e-05)
    q = q * r + _f64(1.9841269502687714e-04)
    q = q * r + _f64(1.388888894424752e-03)
    q = q * r + _f64(8.333333333496942e-03)
    q = q * r + _f64(4.166666666652811e-02)
    q = q * r + _f64(0.16666666666666408)
    q = q * r + _f64(0.5000000000000011)
    scale = _i64((_f64(shifted).view(_i64) + _i64(1023)) << _i64(52)).view(_f64)
    return r + r * r * q, scale


@njit(**_HELPER)
def _split32(x):  # type: ignore[no-untyped-def]
    shifted = x * _f32(1.44269504) + _f32(12582912.0)
    k = shifted - _f32(12582912.0)
    r = x - k * _f32(0.693359375)
    r = r + k * _f32(2.12194440e-4)
    q = _f32(1.3814320722959634e-03)
    q = q * r + _f32(8.368850974671186e-03)
    q = q * r + _f32(4.1668401051004514e-02)
    q = q * r + _f32(0.16666519526198037)
    q = q * r + _f32(0.49999993373574886)
    scale = _i32((_f32(shifted).view(_i32) + _i32(127)) << _i32(23)).view(_f32)
    return r + r * r * q, scale


@njit(**_HELPER)
def _exp_falling64(x):  # type: ignore[no-untyped-def]
    """e^x for x ≤ 0."""
    part, scale = _split64(x)
    return _f64(0.0) if x < _f64(-708.3964) else scale + scale * part


@njit(**_HELPER)
def _exp_falling32(x):  # type: ignore[no-untyped-def]
    """e^x for x ≤ 0."""
    part, scale = _split32(x)
    return _f32(0.0) if x < _f32(-87.33654) else scale + scale * part


@njit(**_HELPER)
def _expm1_falling64(x):  # type: ignore[no-untyped-def]
    """e^x − 1 for x ≤ 0, with no digits lost near 0."""
    part, scale = _split64(x)
    return _f64(-1.0) if x < _f64(-708.3964) else scale * part + (scale - _f64(1.0))


@njit(**_HELPER)
def _expm1_falling32(x):  # type: ignore[no-untyped-def]
    """e^x − 1 for x ≤ 0, with no digits lost near 0."""
    part, scale = _split32(x)
    return _f32(-1.0) if x < _f32(-87.33654) else scale * part + (scale - _f32(1.0))


@njit(**_HELPER)
def _exp64(x):  # type: ignore[no-untyped-def]
    # e^x = (e^(x − ln 2)) · 2 keeps the power of two in range up to the largest finite result.
    part, scale = _split64(x)
    half = _f64(scale * _f64(0.5))
    value = (half + half * part) * _f64(2.0)
    value = _f64(0.0) if x < _f64(-708.3964) else value
    return _f64(np.inf) if x > _f64(709.7827) else value


@njit(**_HELPER)
def _exp32(x):  # type: ignore[no-untyped-def]
    # e^x = (e^(x − ln 2)) · 2 keeps the power of two in range up to the largest finite result.
    part, scale = _split32(x)
    half = _f32(scale * _f32(0.5))
    value = (half + half * part) * _f32(2.0)
    value = _f32(0.0) if x < _f32(-87.33654) else value
    return _f32(np.inf) if x > _f32(88.72283) else value


# ln(1 + e) = 2 artanh(e / (2 + e)), and ln 2 + the same of (e − 1) / 2 above √2 − 1; artanh s = s + s³ R(s²).


@njit(**_HELPER)
def _log1p_unit64(e):  # type: ignore[no-untyped-def]
    """ln(1 + e) for 0 ≤ e ≤ 1."""
    upper = e > _f64(0.41421356)
    s = (e - _f64(1.0) if upper else e) / (e + _f64(3.0) if upper else e + _f64(2.0))
    z = s * s
    r = _f64(0.07399531105555701)
    r = r * z + _f64(0.07656878037570625)
    r = r * z + _f64(0.09091787578246659)
    r = r * z + _f64(0.11111099189289811)
    r = r * z + _f64(0.14285714372070532)
    r = r * z + _f64(0.19999999999703744)
    r = r * z + _f64(0.33333333333333676)
    double = s + s
    return (double + double * z * r) + (_f64(0.6931471805599453) if upper else _f64(0.0))


@njit(**_HELPER)
def _log1p_unit32(e):  # type: ignore[no-untyped-def]
    """ln(1 + e) for 0 ≤ e ≤ 1."""
    upper = e > _f32(0.41421356)
    s = (e - _f32(1.0) if upper else e) / (e + _f32(3.0) if upper else e + _f32(2.0))
    z = s * s
    r = _f32(0.149372083379667)
    r = r * z + _f32(0.1998872483665013)
    r = r * z + _f32(0.3333338852574672)
    double = s + s
    return (double + double * z * r) + (_f32(0.6931471805599453) if upper else _f32(0.0))


@njit(**_HELPER)
def _softplus64(x):  # type: ignore[no-untyped-def]
    return (x if x > _f64(0.0) else _f64(0.0)) + _log1p_unit64(_exp_falling64(-abs(x)))


@njit(**_HELPER)
def _softplus32(x):  # type: ignore[no-untyped-def]
    return (x if x > _f32(0.0) else _f32(0.0)) + _log1p_unit32(_exp_falling32(-abs(x)))


@njit(**_HELPER)
def _sigmoid64(x):  # type: ignore[no-untyped-def]
    falling = _exp_falling64(-abs(x))
    return (_f64(1.0) if x >= _f64(0.0) else falling) / (_f64(1.0) + falling)


@njit(**_HELPER)
def _sigmoid32(x):  # type: ignore[no-untyped-def]
    falling = _exp_falling32(-abs(x))
    return (_f32(1.0) if x >= _f32(0.0) else falling) / (_f32(1.0) + falling)


@njit(**_HELPER)
def _log2cosh64(x):  # type: ignore[no-untyped-def]
    size = abs(x)
    return size + _log1p_unit64(_exp_falling64(_f64(-2.0) * size))


@njit(**_HELPER)
def _log2cosh32(x):  # type: ignore[no-untyped-def]
    size = abs(x)
    return size + _log1p_unit32(_exp_falling32(_f32(-2.0) * size))


@njit(**_HELPER)
def _tanh64(x):  # type: ignore[no-untyped-def]
    falling = _expm1_falling64(_f64(-2.0) * abs(x))
    size = abs(falling) / (_f64(2.0) + falling)
    return size if x >= _f64(0.0) else -size


@njit(**_HELPER)
def _tanh32(x):  # type: ignore[no-untyped-def]
    falling = _expm1_falling32(_f32(-2.0) * abs(x))
    size = abs(falling) / (_f32(2.0) + falling)
    return size if x >= _f32(0.0) else -size


# Random bits: the arithmetic of `runtime.streams`, one unit at a time. Numba widens 32-bit products to 64 bits;
# cutting each result down again lets LLVM do it all in 32.


@njit(**_HELPER)
def _mix(x):  # type: ignore[no-untyped-def]
    x = _u32(x ^ _u32(x >> _u32(16)))
    x = _u32(x * _u32(0x21F0AAAD))
    x = _u32(x ^ _u32(x >> _u32(15)))
    x = _u32(x * _u32(0xD35A2D97))
    return _u32(x ^ _u32(x >> _u32(15)))


@njit(**_HELPER)
def _bits(first, second, unit):  # type: ignore[no-untyped-def]
    return _mix(_u32(_mix(_u32(_u32(unit) + first)) ^ second))


@njit(**_HELPER)
def _uniform64(first, second, unit):  # type: ignore[no-untyped-def]
    return (_f64(_bits(first, second, unit)) + _f64(0.5)) * _f64(2.0**-32)


@njit(**_HELPER)
def _uniform32(first, second, unit):  # type: ignore[no-untyped-def]
    return (_f32(_i32(_bits(first, second, unit) >> _u32(9))) + _f32(0.5)) * _f32(2.0**-23)


# The public names. Called from Python they answer as the NumPy target does; inside a compiled loop the type of the
# argument chooses the implementation.


def exp(x: Any) -> Any:
    """e^x; ∞ above the range of the type."""
    return np.exp(x)


def log(x: Any) -> Any:
    """ln x."""
    return np.log(x)


def sqrt(x: Any) -> Any:
    """√x."""
    return np.sqrt(x)


def tanh(x: Any) -> Any:
    """tanh x."""
    return np.tanh(x)


def softplus(x: Any) -> Any:
    """ln(1 + e^x) as max(x, 0) + ln(1 + e^−|x|)."""
    return numpy.softplus(x)


def sigmoid(x: Any) -> Any:
    """e^x / (1 + e^x), from e^−|x|."""
    return numpy.sigmoid(x)


def log2cosh(x: Any) -> Any:
    """ln(e^x + e^−x) as |x| + ln(1 + e^−2|x|)."""
    return numpy.log2cosh(x)


def uniform(first: Any, second: Any, unit: int, like: Any) -> Any:
    """The uniform number of one unit, in the type of ``like``; ``first`` and ``second`` are its row's stream."""
    streams = np.array([first], np.uint32), np.array([second], np.uint32)
    return numpy.uniform(streams, unit + 1, like.dtype)[0, unit]


def _checked(x: types.Type) -> types.Type:
    if x not in (types.float32, types.float64):
        raise TypingError(f"generated kernels compute in float32 or float64. Got {x}.")
    return x


def _choose(name: Callable[[Any], Any], single: Any, double: Any) -> None:
    @overload(name, jit_options=_HELPER)
    def chosen(x):  # type: ignore[no-untyped-def]
        implementation = single if _checked(x) == types.float32 else double
        return lambda x: implementation(x)


_choose(exp, _exp32, _exp64)
_choose(tanh, _tanh32, _tanh64)
_choose(softplus, _softplus32, _softplus64)
_choose(sigmoid, _sigmoid32, _sigmoid64)
_choose(log2cosh, _log2cosh32, _log2cosh64)


@overload(log, jit_options=_HELPER)
def _log(x):  # type: ignore[no-untyped-def]
    return lambda x: np.log(x)


@overload(sqrt, jit_options=_HELPER)
def _sqrt(x):  # type: ignore[no-untyped-def]
    return lambda x: np.sqrt(x)


@overload(uniform, jit_options=_HELPER)
def _uniform(first, second, unit, like):  # type: ignore[no-untyped-def]
    implementation = _uniform32 if _checked(like) == types.float32 else _uniform64
    return lambda first, second, unit, like: implementation(first, second, unit)


# Units with more than two states: :mod:`symbolic.codegen.runtime.special`, one number at a time, in float64.


def _compiled(text: str, **names: Any) -> Any:
    """The function that a text defines. Numba keeps a tuple of numbers in memory, and indexes it; written out, its
    numbers are constants of the machine code, and loops around them become loops over vectors."""
    scope = {"_f64": _f64, **globals(), **names}
    exec(text, scope)
    return scope["made"]


def _polynomial(coefficients: tuple[float, ...]) -> Any:
    lines = [f"    total = {coefficients[-1]!r}", *(f"    total = total * y + {c!r}" for c in coefficients[-2::-1])]
    return njit(**_HELPER)(_compiled("\n".join(["def made(y):", *lines, "    return total"])))


def _wide_polynomial(coefficients: tuple[float, ...]) -> Any:
    """The same by pairs, pairs of pairs and so on, most of which do not wait for one another (Estrin's scheme)."""
    lines, terms, power = [], [repr(c) for c in coefficients], "y"
    while len(terms) > 1:
        level = f"{power}{len(terms)}"
        pairs = [f"{terms[k]} + {power} * {terms[k + 1]}" for k in range(0, len(terms) - 1, 2)] + terms[
            len(terms) & ~1 :
        ]
        terms = [f"t{len(terms)}_{k}" for k in range(len(pairs))]
        lines += [f"    {term} = {pair}" for term, pair in zip(terms, pairs, strict=True)]
        lines.append(f"    {level} = {power} * {power}")
        power = level
    return njit(**_HELPER)(_compiled("\n".join(["def made(y):", *lines, f"    return {terms[0]}"])))


_log_bose_series = _polynomial(stable.LOG_BOSE)
_bose_mean_series = _polynomial(stable.BOSE_MEAN)
_bose_variance_series = _polynomial(stable.BOSE_VARIANCE)
_mills_series = _polynomial(stable.MILLS)
_mills_mean_series = _polynomial(stable.MILLS_MEAN)
_mills_variance_series = _polynomial(stable.MILLS_VARIANCE)
_bessel_series = _polynomial(stable.BESSEL)
_bessel_slope_series = _polynomial(stable.BESSEL_SLOPE)
_bessel_curvature_series = _polynomial(stable.BESSEL_CURVATURE)
_bessel_far_series = _polynomial(stable.BESSEL_FAR)
_bessel_defect_series = _polynomial(stable.BESSEL_DEFECT)
_sinhc_curvature_series = _polynomial(stable.SINHC_CURVATURE)
_stirling_series = _polynomial(stable.STIRLING)
_normal_above, _normal_below = (_wide_polynomial(part) for part in stable.NORMAL_QUANTILE)
_log_mantissa = _wide_polynomial(stable.LOG_MANTISSA)
# ln m = 2 artanh s = 2 s (1 + s²/3 + s⁴/5 + …) with s = (m − 1) / (m + 1), |s| < 0.172 for √½ ≤ m ≤ √2.
_artanh_series = _polynomial(tuple(1.0 / (2 * k + 3) for k in range(10)))


@njit(**_HELPER)
def _log64(x):  # type: ignore[no-untyped-def]
    """ln x for positive, normal x."""
    bits = _f64(x).view(_i64)
    # The exponent changes at √½ rather than at 1, so that m lies around 1.
    shifted = bits - _i64(0x3FE6A09E667F3BCD)
    k = shifted >> _i64(52)
    m = _i64(bits - (k << _i64(52))).view(_f64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    power = _f64(k)
    double = s + s
    value = power * 0.6931471803691238 + (double + (double * z * _artanh_series(z) + power * 1.9082149292705877e-10))
    value = value if x < np.inf else x
    value = -np.inf if x == 0.0 else value
    return value if x >= 0.0 else np.nan


@njit(**_HELPER)
def _log1p64(v):  # type: ignore[no-untyped-def]
    """ln(1 + v) for v > −1; the quotient makes up for the digits that 1 + v loses."""
    w = 1.0 + v
    rest = w - 1.0
    return v if rest == 0.0 else _log64(w) * (v / rest)


@njit(**_HELPER)
def _log1mexp64(x):  # type: ignore[no-untyped-def]
    return _log64(-_expm1_falling64(-x)) if x < 0.6931471805599453 else _log1p64(-_exp_falling64(-x))


@njit(**_HELPER)
def _bose64(x):  # type: ignore[no-untyped-def]
    return _exp_falling64(-x) / -_expm1_falling64(-x)


@njit(**_HELPER)
def _log_bose64(a):  # type: ignore[no-untyped-def]
    z = a * a
    return z * _log_bose_series(z) - a / 2 if a < 1.0 else _log64(-_expm1_falling64(-a) / a)


@njit(**_HELPER)
def _bose_mean64(a):  # type: ignore[no-untyped-def]
    return 0.5 - a * _bose_mean_series(a * a) if a < 1.0 else 1.0 / a - _bose64(a)


@njit(**_HELPER)
def _bose_square64(a):  # type: ignore[no-untyped-def]
    below = _expm1_falling64(-a)
    return _exp_falling64(-a) / (below * below)


@njit(**_HELPER)
def _bose_variance64(a):  # type: ignore[no-untyped-def]
    return _bose_variance_series(a * a) if a < 1.0 else 1.0 / (a * a) - _bose_square64(a)


@njit(**_HELPER)
def _positive(x):  # type: ignore[no-untyped-def]
    return x if x > 0.0 else 0.0


@njit(**_HELPER)
def _lnexprel64(x):  # type: ignore[no-untyped-def]
    return _positive(x) + _log_bose64(abs(x))


@njit(**_HELPER)
def _exprel_mean64(x):  # type: ignore[no-untyped-def]
    low = _bose_mean64(abs(x))
    return 1.0 - low if x > 0.0 else low


@njit(**_HELPER)
def _exprel_variance64(x):  # type: ignore[no-untyped-def]
    return _bose_variance64(abs(x))


@njit(**_HELPER)
def _lngeomsum64(n, x):  # type: ignore[no-untyped-def]
    a = abs(x)
    close = _log_bose64(n * a) - _log_bose64(a) + _log64(n)
    away = _log1p64(-_exp_falling64(-n * a)) - _log1p64(-_exp_falling64(-a))
    return (n - 1.0) * _positive(x) + (close if a < 1.0 else away)


@njit(**_HELPER)
def _geomsum_mean64(n, x):  # type: ignore[no-untyped-def]
    a = abs(x)
    close = n * _bose_mean64(n * a) - _bose_mean64(a)
    low = close if a < 1.0 else _bose64(a) - n * _bose64(n * a)
    return n - 1.0 - low if x > 0.0 else low


@njit(**_HELPER)
def _geomsum_variance64(n, x):  # type: ignore[no-untyped-def]
    a = abs(x)
    close = n * n * _bose_variance64(n * a) - _bose_variance64(a)
    return close if a < 1.0 else _bose_square64(a) - n * n * _bose_square64(n * a)


@njit(**_HELPER)
def _lognorm64(q):  # type: ignore[no-untyped-def]
    return 0.5 * _log64(6.283185307179586 / q)


@njit(**_HELPER)
def _mills64(t):  # type: ignore[no-untyped-def]
    return _mills_series((t - 5.0) / (t + 5.0)) / (1.0 + t)


@njit(**_HELPER)
def _hazard64(x):  # type: ignore[no-untyped-def]
    falling = _exp_falling64(-x * x / 2)
    return falling / (2.5066282746310002 - falling * _mills64(x))


@njit(**_HELPER)
def _lnmills64(x):  # type: ignore[no-untyped-def]
    up = _positive(x)
    ratio = _mills64(abs(x))
    above = 2.5066282746310002 - _exp_falling64(-up * up / 2) * ratio
    return up * up / 2 + _log64(above if x > 0.0 else ratio)


@njit(**_HELPER)
def _mills_mean64(x):  # type: ignore[no-untyped-def]
    up, down = _positive(x), _positive(-x)
    below = _mills_mean_series((down - 4.0) / (down + 4.0)) / (1.0 + down)
    return up + _hazard64(up) if x > 0.0 else below


@njit(**_HELPER)
def _mills_variance64(x):  # type: ignore[no-untyped-def]
    up, down = _positive(x), _positive(-x)
    hazard = _hazard64(up)
    below = _mills_variance_series((down - 4.0) / (down + 4.0)) / ((1.0 + down) * (1.0 + down))
    return 1.0 - hazard * (up + hazard) if x > 0.0 else below


@njit(**_HELPER)
def _lnbessel64(z):  # type: ignore[no-untyped-def]
    root = np.sqrt(z if z > 16.0 else 16.0)
    far = root - 0.5 * _log64(root) + _log64(_bessel_far_series(8.0 / root - 1.0))
    return z * _bessel_series(z / 8 - 1.0) if z <= 16.0 else far


@njit(**_HELPER)
def _bessel_slope64(z):  # type: ignore[no-untyped-def]
    root = np.sqrt(z if z > 16.0 else 16.0)
    far = (1.0 - _bessel_defect_series(8.0 / root - 1.0) / root) / (2.0 * root)
    return _bessel_slope_series(z / 8 - 1.0) if z <= 16.0 else far


@njit(**_HELPER)
def _bessel_curvature64(z):  # type: ignore[no-untyped-def]
    root = np.sqrt(z if z > 16.0 else 16.0)
    defect = _bessel_defect_series(8.0 / root - 1.0) / root
    far = (defect * (2.0 - defect) - 2.0 * (1.0 - defect) / root) / (4.0 * root * root)
    return _bessel_curvature_series(z / 8 - 1.0) if z <= 16.0 else far


@njit(**_HELPER)
def _lnsinhc64(z):  # type: ignore[no-untyped-def]
    root = np.sqrt(z if z > 0.25 else 0.25)
    far = root + _log64(-_expm1_falling64(-2.0 * root) / (2.0 * root))
    return 4.0 * z * _log_bose_series(4.0 * z) if z < 0.25 else far


@njit(**_HELPER)
def _sinhc_slope64(z):  # type: ignore[no-untyped-def]
    root = np.sqrt(z if z > 0.25 else 0.25)
    far = (1.0 - (1.0 / root - 2.0 * _bose64(2.0 * root))) / root
    return 4.0 * _bose_mean_series(4.0 * z) if z < 0.25 else far


@njit(**_HELPER)
def _sinhc_curvature64(z):  # type: ignore[no-untyped-def]
    root = np.sqrt(z if z > 0.25 else 0.25)
    defect = 1.0 / root - 2.0 * _bose64(2.0 * root)
    far = (defect * (2.0 - defect) - 3.0 * (1.0 - defect) / root) / (root * root)
    return _sinhc_curvature_series(4.0 * z) if z < 0.25 else far


@njit(**_HELPER)
def _neg64(s):  # type: ignore[no-untyped-def]
    return s if s < 0.0 else 0.0


@njit(**_HELPER)
def _nonzero64(s):  # type: ignore[no-untyped-def]
    return 1.0 if s != 0.0 else 0.0


# Draws. Words and steps as in symbolic.codegen.runtime.numpy.


@njit(**_HELPER)
def _fine(first, second, unit, step):  # type: ignore[no-untyped-def]
    salt = _u32(_u32(step) * _u32(0x3C6EF372))  # twice 0x9E3779B9: a step takes two words
    high = _bits(first, second, _u32(_u32(unit) + salt)) >> _u32(6)
    low = _bits(second, first, _u32(_u32(_u32(unit) + salt) + _u32(0x9E3779B9))) >> _u32(6)
    return (_f64(_i32(high)) * 67108864.0 + _f64(_i32(low)) + 0.5) * 2.0**-52  # 26 bits each


@njit(**_HELPER)
def _normal(p):  # type: ignore[no-untyped-def]
    # ln of the smaller of p and 1 − p, a normal number, within an absolute error: cheaper than within a relative one.
    bits = _f64(p if p < 0.5 else 1.0 - p).view(_u64)
    power = _u64(_u64(bits >> _u64(52)) | _u64(0x4330000000000000)).view(_f64) - (2.0**52 + 1023.0)
    mantissa = _u64(_u64(bits & _u64(0xFFFFFFFFFFFFF)) | _u64(0x3FF0000000000000)).view(_f64)
    w = -(power * 0.6931471805599453 + _log_mantissa(mantissa - 1.5))
    size = _normal_above(w) / _normal_below(w)
    return size if p > 0.5 else -size


@njit(**_HELPER)
def _draw_exponential(first, second, unit, rate):  # type: ignore[no-untyped-def]
    return -_log64(_fine(first, second, unit, 0)) / rate


@njit(**_HELPER)
def _draw_geometric(first, second, unit, rate):  # type: ignore[no-untyped-def]
    return np.floor(-_log64(_fine(first, second, unit, 0)) / rate)


@njit(**_HELPER)
def _draw_gaussian(first, second, unit, mean, deviation):  # type: ignore[no-untyped-def]
    return mean + deviation * _normal(_fine(first, second, unit, 0))


@njit(**_HELPER)
def _draw_uniform(first, second, unit, x):  # type: ignore[no-untyped-def]
    a = abs(x)
    a = 1e-100 if a < 1e-100 else a
    down = -_log1p64(_fine(first, second, unit, 0) * _expm1_falling64(-a)) / a
    return 1.0 - down if x > 0.0 else down


@njit(**_HELPER)
def _draw_integer(first, second, unit, n, x):  # type: ignore[no-untyped-def]
    k = np.floor(n * _draw_uniform(first, second, unit, n * x))
    return n - 1.0 if k > n - 1.0 else k


@njit(**_HELPER)
def _rectified(u, field):  # type: ignore[no-untyped-def]
    if field > 0.0:
        inside = 1.0 - _exp_falling64(-field * field / 2) * _mills64(field) / 2.5066282746310002
        return _positive(field - _normal(u * inside))
    a = -field
    level = -_log64(u)
    t = 2.0 * level / (a + np.sqrt(a * a + 2.0 * level))
    start = _mills64(a)
    for _ in range(stable.NEWTON_STEPS):
        ratio = _mills64(a + t)
        t = _positive(t - (t * (a + t / 2) - _log64(ratio / start) - level) * ratio)
    return t


@njit(**_HELPER)
def _draw_rectified(first, second, unit, field, deviation):  # type: ignore[no-untyped-def]
    return deviation * _rectified(_fine(first, second, unit, 0), field)


@njit(**_HELPER)
def _within(u, odds):  # type: ignore[no-untyped-def]
    """Whether u falls to the first of two cases with the given log-odds, and its place within the case."""
    first = _sigmoid64(odds)
    taken = u < first
    within = (u if taken else 1.0 - u) / (first if taken else _sigmoid64(-odds))
    return taken, within if within < stable.BELOW_ONE else stable.BELOW_ONE


@njit(**_HELPER)
def _draw_two_sided(first, second, unit, odds, up, up_deviation, down, down_deviation):  # type: ignore[no-untyped-def]
    taken, u = _within(_fine(first, second, unit, 0), odds)
    drawn = (up_deviation if taken else down_deviation) * _rectified(u, up if taken else down)
    return drawn if taken else -drawn


@njit(**_HELPER)
def _draw_spike_and_slab(first, second, unit, odds, mean, deviation):  # type: ignore[no-untyped-def]
    taken, u = _within(_fine(first, second, unit, 0), odds)
    return mean + deviation * _normal(u) if taken else 0.0


@njit(**_HELPER)
def _envelope(length):  # type: ignore[no-untyped-def]
    """r − 1 for the r of Best and Fisher's wrapped Cauchy envelope."""
    root = np.sqrt(1.0 + 4.0 * length * length)
    tau = 1.0 + root
    if length > 1.0:
        complement = (np.sqrt(2.0 * tau) - 1.0 - 1.0 / (2.0 * length + root)) / (2.0 * length)
        rho = 1.0 - complement
    else:
        rho = 2.0 * length * np.sqrt(tau) / (tau * (np.sqrt(tau) + 1.4142135623730951))
        complement = 1.0 - rho
    return complement * complement / (2.0 * rho)


@njit(**_HELPER)
def _draw_von_mises(first, second, unit, x, y):  # type: ignore[no-untyped-def]
    length = np.hypot(x, y)
    length = length if length > 1e-150 else 1e-150
    excess = _envelope(length)
    step = 0
    while True:
        half = 0.5 * np.pi * _fine(first, second, unit, step)
        v = _fine(first, second, unit, step + 1)
        back = excess * 2.0 * np.sin(half) ** 2 / (excess + 2.0 * np.cos(half) ** 2)
        c = length * (excess + back)
        if c * (2.0 - c) > v or np.log(c / v) + 1.0 - c >= 0.0:
            break
        step += 3
    half = np.sqrt(back / 2.0)
    turn = 2.0 * np.arcsin(half if half < 1.0 else 1.0)
    angle = np.arctan2(y, x) + (-turn if _fine(first, second, unit, step + 2) < 0.5 else turn)
    angle = angle - 2.0 * np.pi if angle > np.pi else angle
    return angle + 2.0 * np.pi if angle < -np.pi else angle


@njit(**_HELPER)
def _draw_binomial(first, second, unit, n, x):  # type: ignore[no-untyped-def]
    odds = _exp_falling64(-abs(x))
    drawn, step, left = 0.0, 0, n
    while left > 0.0:
        part = left if left < stable.MOST_OF_A_KIND else _f64(stable.MOST_OF_A_KIND)
        u = _fine(first, second, unit, step)
        chance = np.exp(-part * _log1p64(odds))
        total, k = chance, 0.0
        while u > total and k < part:
            chance = chance * ((part - k) / (k + 1.0)) * odds
            total = total + chance
            k += 1.0
        drawn += part - k if x > 0.0 else k
        left -= part
        step += 1
    return drawn


@njit(**_HELPER)
def _draw_gamma(first, second, unit, rate, shape):  # type: ignore[no-untyped-def]
    d = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
    boost = 1.0 if shape >= 1.0 else _fine(first, second, unit, 0) ** (1.0 / shape)
    step = 1
    while True:
        z = _normal(_fine(first, second, unit, step))
        u = _fine(first, second, unit, step + 1)
        step += 2
        v = (1.0 + z / np.sqrt(9.0 * d)) ** 3
        if v > 0.0 and np.log(u) < z * z / 2 + d - d * v + d * np.log(v):
            return d * v * boost / rate


_LOG_FACTORIAL = np.array(stable.LOG_FACTORIAL)


@njit(**_HELPER)
def _log_poisson(k, rate):  # type: ignore[no-untyped-def]
    if k < len(_LOG_FACTORIAL):
        return k * np.log(rate) - rate - _LOG_FACTORIAL[_i64(k)]
    d = (rate - k) / k
    tail = _stirling_series(1.0 / (k * k)) / k
    return k * (np.log1p(d) - d) - 0.5 * np.log(6.283185307179586 * k) - tail


@njit(**_HELPER)
def _draw_poisson(first, second, unit, field):  # type: ignore[no-untyped-def]
    rate = np.exp(field)
    if not rate <= 2.0**52:
        return rate
    if rate < stable.POISSON_INVERSION:
        u = _fine(first, second, unit, 0)
        chance = np.exp(-rate)
        total, k = chance, 0.0
        # Beyond the mean, chances that no longer change the sum end it where rounding has left it below u.
        while u > total and (k < rate or chance > 1e-18):
            k += 1.0
            chance = chance * (rate / k)
            total = total + chance
        return k
    b = 0.931 + 2.53 * np.sqrt(rate)
    a = -0.059 + 0.02483 * b
    step = 1
    while True:
        u = _fine(first, second, unit, step) - 0.5
        v = _fine(first, second, unit, step + 1)
        step += 2
        side = 0.5 - abs(u)
        k = np.floor((2.0 * a / side + b) * u + rate + 0.43)
        if side >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2.0):
            return k
        if k < 0.0 or (side < 0.013 and v > side):
            continue
        level = np.log(v * (1.1239 + 1.1328 / (b - 3.4)) / (a / (side * side) + b))
        if level <= _log_poisson(k, rate):
            return k


# Their public names.


def _public(name: str, arguments: str, double: Any) -> Any:
    """The function of numbers called ``name``: NumPy's from Python, ``double`` inside a compiled loop."""
    interpreted = getattr(numpy, name)

    def function(*values: Any) -> Any:
        return interpreted(*values)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = interpreted.__doc__
    wide = ", ".join(f"_f64({x})" for x in arguments.split(", "))

    @overload(function, jit_options=_HELPER, strict=False)
    def chosen(*types_of):  # type: ignore[no-untyped-def]
        cast = _f32 if _checked(types_of[-1]) == types.float32 else _f64
        return _compiled(f"def made({arguments}): return cast(double({wide}))", cast=cast, double=double)

    return function


bessel_curvature = _public("bessel_curvature", "z", _bessel_curvature64)
bessel_slope = _public("bessel_slope", "z", _bessel_slope64)
bose = _public("bose", "x", _bose64)
exprel_mean = _public("exprel_mean", "x", _exprel_mean64)
exprel_variance = _public("exprel_variance", "x", _exprel_variance64)
geomsum_mean = _public("geomsum_mean", "n, x", _geomsum_mean64)
geomsum_variance = _public("geomsum_variance", "n, x", _geomsum_variance64)
lnbessel = _public("lnbessel", "z", _lnbessel64)
lnsinhc = _public("lnsinhc", "z", _lnsinhc64)
sinhc_curvature = _public("sinhc_curvature", "z", _sinhc_curvature64)
sinhc_slope = _public("sinhc_slope", "z", _sinhc_slope64)
lnexprel = _public("lnexprel", "x", _lnexprel64)
lngeomsum = _public("lngeomsum", "n, x", _lngeomsum64)
lnmills = _public("lnmills", "x", _lnmills64)
log1mexp = _public("log1mexp", "x", _log1mexp64)
lognorm = _public("lognorm", "q", _lognorm64)
mills_mean = _public("mills_mean", "x", _mills_mean64)
mills_variance = _public("mills_variance", "x", _mills_variance64)
neg = _public("neg", "s", _neg64)
nonzero = _public("nonzero", "s", _nonzero64)
pos = _public("pos", "s", _positive)


def logsumexp(*x: Any) -> Any:
    """ln Σ_k e^{x_k}, relative to the largest."""
    return numpy.logsumexp(*x)


def softmax(k: int, *x: Any) -> Any:
    """e^{x_k} / Σ_l e^{x_l}; k counts from 1, and is written out as a number."""
    return numpy.softmax(k, *x)


def _names(letter: str, count: int) -> list[str]:
    return [f"{letter}{k}" for k in range(count)]


def _relative_to_largest(x: list[str]) -> list[str]:
    """Statements that leave e^{x_k − max x} in e0, e1, …"""
    lines = [f"    top = _f64({x[0]})"]
    lines += [f"    top = _f64({one}) if _f64({one}) > top else top" for one in x[1:]]
    return lines + [f"    e{k} = _exp_falling64(_f64({one}) - top)" for k, one in enumerate(x)]


@overload(logsumexp, jit_options=_HELPER, strict=False)
def _logsumexp(*x):  # type: ignore[no-untyped-def]
    cast = _f32 if _checked(x[-1]) == types.float32 else _f64
    names = _names("x", len(x))
    lines = [f"def made({', '.join(names)}):", *_relative_to_largest(names)]
    total = " + ".join(_names("e", len(x)))
    return _compiled("\n".join([*lines, f"    return cast(top + _log64({total}))"]), cast=cast)


@overload(softmax, jit_options=_HELPER, strict=False)
def _softmax(k, *x):  # type: ignore[no-untyped-def]
    cast = _f32 if _checked(x[-1]) == types.float32 else _f64
    names = _names("x", len(x))
    lines = [f"def made(k, {', '.join(names)}):", *_relative_to_largest(names), "    part = e0"]
    lines += [f"    part = e{place} if k == {place + 1} else part" for place in range(1, len(x))]
    total = " + ".join(_names("e", len(x)))
    return _compiled("\n".join([*lines, f"    return cast(part / ({total}))"]), cast=cast)


def fine_uniform(first: Any, second: Any, unit: int) -> Any:
    """The uniform number of one unit in float64, of 52 bits; ``first`` and ``second`` are its row's stream."""
    streams = np.array([first], np.uint32), np.array([second], np.uint32)
    return numpy.fine_uniform(streams, unit + 1)[0, unit]


@overload(fine_uniform, jit_options=_HELPER)
def _fine_uniform(first, second, unit):  # type: ignore[no-untyped-def]
    return lambda first, second, unit: _fine(first, second, unit, 0)


def _drawing(name: str, double: Any) -> Any:
    """The function ``name(stream_0, stream_1, unit, like, *arguments)``: one state, in the type of ``like``."""

    def function(first: Any, second: Any, unit: int, like: Any, *arguments: Any) -> Any:
        streams = np.array([first], np.uint32), np.array([second], np.uint32)
        row = [np.full((1, unit + 1), argument) for argument in arguments]
        if name in _NUMBER:
            row[_NUMBER[name]] = arguments[_NUMBER[name]]
        return like.dtype.type(getattr(numpy, name)(streams, *row)[0, unit])

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"One unit's draw, in the type of ``like``: :func:`~symbolic.codegen.runtime.numpy.{name}`."

    @overload(function, jit_options=_HELPER, strict=False)
    def chosen(first, second, unit, like, *arguments):  # type: ignore[no-untyped-def]
        cast = _f32 if _checked(like) == types.float32 else _f64
        names = _names("x", len(arguments))
        wide = ", ".join(f"_f64({x})" for x in names)
        draw = double(len(arguments)) if double is _finite_of else double
        signature = f"first, second, unit, like, {', '.join(names)}"
        text = f"def made({signature}): return cast(draw(first, second, unit, {wide}))"
        return _compiled(text, cast=cast, draw=draw)

    return function


def _finite_of(count: int) -> Any:
    """The draw from count / 2 states, whose log-weights come first."""
    weights, states = _names("w", count // 2), _names("s", count // 2)
    lines = [f"def made(first, second, unit, {', '.join([*weights, *states])}):", *_relative_to_largest(weights)]
    lines += [f"    e{k} = e{k - 1} + e{k}" for k in range(1, len(weights))]
    lines += [f"    threshold = _fine(first, second, unit, 0) * e{len(weights) - 1}", f"    state = {states[-1]}"]
    lines += [f"    state = s{k} if threshold < e{k} else state" for k in range(len(states) - 2, -1, -1)]
    return njit(**_HELPER)(_compiled("\n".join([*lines, "    return state"])))


# Which argument is one number for all units.
_NUMBER = {"draw_binomial": 0, "draw_gamma": 1}

draw_binomial = _drawing("draw_binomial", _draw_binomial)
draw_exponential = _drawing("draw_exponential", _draw_exponential)
draw_finite = _drawing("draw_finite", _finite_of)
draw_gamma = _drawing("draw_gamma", _draw_gamma)
draw_gaussian = _drawing("draw_gaussian", _draw_gaussian)
draw_geometric = _drawing("draw_geometric", _draw_geometric)
draw_integer = _drawing("draw_integer", _draw_integer)
draw_poisson = _drawing("draw_poisson", _draw_poisson)
draw_rectified = _drawing("draw_rectified", _draw_rectified)
draw_spike_and_slab = _drawing("draw_spike_and_slab", _draw_spike_and_slab)
draw_two_sided = _drawing("draw_two_sided", _draw_two_sided)
draw_uniform = _drawing("draw_uniform", _draw_uniform)
draw_von_mises = _drawing("draw_von_mises", _draw_von_mises)
