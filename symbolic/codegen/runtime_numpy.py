"""What generated NumPy modules call: functions that neither overflow nor lose digits, and random draws.

Each takes float32 or float64 arrays and answers in their type. NaN gives NaN, and ±∞ the limit of the function.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from symbolic.codegen.runtime import Words, mix

__all__ = ["draw", "log2cosh", "sigmoid", "softplus", "uniform"]

Array = npt.NDArray[Any]


def softplus(x: Array) -> Array:
    """ln(1 + e^x) as max(x, 0) + log1p(e^−|x|), which holds for x of any size."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: Array) -> Array:
    """e^x / (1 + e^x), from e^−|x|."""
    falling = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, falling) / (1 + falling)


def log2cosh(x: Array) -> Array:
    """ln(e^x + e^−x) as |x| + log1p(e^−2|x|)."""
    size = np.abs(x)
    return size + np.log1p(np.exp(-2 * size))


def uniform(streams: tuple[Words, Words], units: int, dtype: npt.DTypeLike) -> Array:
    """Uniform numbers in (0, 1) for all rows of the streams; shape (rows, units).

    They are (k + ½) / 2^n, with the n = 23 leading of a unit's 32 bits in float32 and all n = 32 in float64:
    exact in the type, never 0 or 1, and off by at most 2^−(n+1) in any probability.
    """
    first, second = streams
    bits = np.arange(units, dtype=np.uint32) + first[:, None]
    bits = mix(mix(bits) ^ second[:, None])
    if np.dtype(dtype) == np.float32:
        bits >>= np.uint32(9)
        numbers: Array = bits.astype(np.float32)
        numbers += np.float32(0.5)
        numbers *= np.float32(2.0**-23)
    else:
        numbers = bits.astype(np.float64)
        numbers += 0.5
        numbers *= 2.0**-32
    return numbers


def draw(mean: Array, streams: tuple[Words, Words], low: float, high: float) -> Array:
    """States of two-state units: ``high`` with probability (mean − low) / (high − low), else ``low``.

    Args:
        mean: shape (rows, units).
        streams: of the rows, from :func:`~symbolic.codegen.runtime.row_streams`.
        low, high: the two states.
    """
    u = uniform(streams, mean.shape[1], mean.dtype)
    if (low, high) == (0, 1):
        return (u < mean).astype(mean.dtype)
    u *= high - low
    u += low
    return np.where(u < mean, mean.dtype.type(high), mean.dtype.type(low))
