"""What generated modules call around their sums: the conditions under which these are finite, and logarithms of them.

The functions take arrays of any library that follows the array API standard, NumPy's among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from symbolic.codegen.runtime.array_api import library, made
from symbolic.errors import DivergentError

__all__ = ["RowLogSumExp", "as_states", "identity", "largest", "log_base", "positive", "unit_streams"]


def _to_numpy(x: Any) -> Any:
    if hasattr(x, "detach"):  # PyTorch
        return x.detach().cpu().numpy()
    return x.get() if hasattr(x, "get") else np.asarray(x)  # CuPy, others


def positive(values: Any, what: str, parameters: str) -> None:
    """Refuse values that are not all positive and finite.

    Args:
        values: an array over units, over rows and units, or a single number.
        what: the values' meaning, for the message.
        parameters: the names of those that set them.

    Raises:
        DivergentError: a value is zero, negative, infinite or NaN, so the unit's weights have no finite sum.
    """
    xp = library(values)
    if math.prod(values.shape) == 0 or (float(xp.min(values)) > 0 and float(xp.max(values)) < math.inf):
        return
    numbers = _to_numpy(values)
    place = tuple(int(k) for k in np.argwhere(~((numbers > 0) & (numbers < math.inf)))[0])
    names = ("row", "unit") if len(place) == 2 else ("unit",)
    where = ", ".join(f"{name} {k}" for name, k in zip(names, place, strict=False))
    raise DivergentError(
        f"{what}, must be positive and finite, or the sum over the states has no end and there is no such "
        f"distribution. Got {numbers[place]:.6g}{f' at {where}' if where else ''}; change {parameters} so that it "
        "is positive for every unit."
    )


def identity(size: int, like: Any) -> Any:
    """The identity matrix, in the library, dtype and device of ``like``: Kronecker's delta of two units."""
    if isinstance(like, np.ndarray):
        return np.eye(size, dtype=like.dtype)
    return made("eye", size, dtype=like.dtype, like=like)


def as_states(values: Any, like: Any) -> Any:
    """Numbers in float64 in the type of the array ``like``."""
    if isinstance(values, np.ndarray):
        return values.astype(like.dtype, copy=False)
    return library(values).astype(values, like.dtype)


def unit_streams(streams: tuple[Any, Any], unit: int) -> tuple[Any, Any]:
    """The streams of the rows, moved on so that what is drawn for the first unit is what unit ``unit`` gets."""
    first, second = streams
    return first + np.uint32(unit), second


def log_base(configurations: Any, states: Sequence[float], weights: Sequence[float]) -> Any:
    """Σ_i ln μ(v_i) of every row.

    Args:
        configurations: shape (rows, units).
        states: of one unit, in increasing order.
        weights: ln μ of each state.

    Returns:
        shape (rows,).
    """
    xp = library(configurations)
    total = xp.zeros_like(configurations)
    for state, weight in zip(states, weights, strict=True):
        total = total + weight * xp.where(configurations == state, xp.ones_like(total), xp.zeros_like(total))
    return xp.sum(total, axis=1)


def largest(x: Any, axis: int) -> Any:
    """The largest numbers along an axis; PyTorch's own max gives places too."""
    xp = library(x)
    return xp.amax(x, axis) if hasattr(xp, "amax") else xp.max(x, axis=axis)


class RowLogSumExp:
    """ln Σ_c e^x for each row t over blocks of x, shape (configurations, rows), none of which can overflow."""

    def __init__(self) -> None:
        self._top: Any = None
        self._sum: Any = None
        self._type: Any = None

    def add(self, x: Any) -> None:
        """Take in a block; it is added up in float64."""
        xp = library(x)
        self._type = x.dtype
        x = x.astype(np.float64) if xp is np else xp.astype(x, xp.float64)
        top = largest(x, 0)
        if self._top is not None:
            top = xp.where(top > self._top, top, self._top)
        here = xp.sum(xp.exp(x - top), axis=0)
        self._sum = here if self._top is None else self._sum * xp.exp(self._top - top) + here
        self._top = top

    @property
    def value(self) -> Any:
        """The logarithms of the sums so far, shape (rows,), in the type of the blocks."""
        xp = library(self._top)
        value = self._top + xp.log(self._sum)
        return value.astype(self._type) if xp is np else xp.astype(value, self._type)
