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

from symbolic.codegen import runtime_numpy

__all__ = ["exp", "log", "log2cosh", "sigmoid", "softplus", "sqrt", "tanh", "uniform"]

_HELPER = {"error_model": "numpy", "fastmath": {"contract"}, "forceinline": True, "nogil": True}
_f32, _f64, _i32, _i64, _u32 = np.float32, np.float64, np.int32, np.int64, np.uint32

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


# Random bits: the arithmetic of symbolic.codegen.runtime, one unit at a time. Numba widens 32-bit products to 64 bits;
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
    return runtime_numpy.softplus(x)


def sigmoid(x: Any) -> Any:
    """e^x / (1 + e^x), from e^−|x|."""
    return runtime_numpy.sigmoid(x)


def log2cosh(x: Any) -> Any:
    """ln(e^x + e^−x) as |x| + ln(1 + e^−2|x|)."""
    return runtime_numpy.log2cosh(x)


def uniform(first: Any, second: Any, unit: int, like: Any) -> Any:
    """The uniform number of one unit, in the type of ``like``; ``first`` and ``second`` are its row's stream."""
    streams = np.array([first], np.uint32), np.array([second], np.uint32)
    return runtime_numpy.uniform(streams, unit + 1, like.dtype)[0, unit]


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
