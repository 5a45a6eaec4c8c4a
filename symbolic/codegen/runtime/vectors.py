"""What generated modules call for units whose states are labels or vectors.

The functions take arrays of any library that follows the array API standard, NumPy's among them. Labels and components
run along the last axis.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symbolic.codegen.runtime import numpy
from symbolic.codegen.runtime.array_api import functions_of, library
from symbolic.codegen.runtime.sums import identity, largest

__all__ = ["draw_heisenberg", "draw_label", "log_sum_exp", "one_hot"]


def one_hot(states: Any, labels: int) -> Any:
    """Iverson's brackets [v_i = s] of labels, in their type; shape (..., labels)."""
    xp = library(states)
    if xp is np:
        return (states[..., None] == np.arange(labels)).astype(states.dtype)
    every = xp.arange(labels, dtype=states.dtype, device=states.device)
    return xp.astype(states[..., None] == every, states.dtype)


def log_sum_exp(x: Any) -> Any:
    """ln Σ_s e^{x_s} over the last axis, from the largest x_s, so that nothing overflows."""
    xp = library(x)
    highest = largest(x, -1)
    return xp.log(xp.sum(xp.exp(x - highest[..., None]), axis=-1)) + highest


def _fine(numbers: Any, array: Any) -> Any:
    """One number for each row and unit: those given, or those of the streams."""
    return numpy.fine_uniform(numbers, array.shape[-2]) if isinstance(numbers, tuple) else numbers


def draw_label(numbers: Any, probabilities: Any) -> Any:
    """Random labels: the first s whose probability, added to those of the labels before it, passes a uniform number.

    Args:
        numbers: uniform numbers, shape (rows, units), or the streams of random bits of the rows.
        probabilities: shape (rows, units, labels).

    Returns:
        shape (rows, units), in the type of the probabilities.
    """
    xp = library(probabilities)
    numbers = _fine(numbers, probabilities)
    total = probabilities[..., 0]
    label = xp.zeros_like(total)
    for state in range(1, probabilities.shape[-1]):
        passed = numbers >= total
        label = xp.where(passed, xp.full_like(label, state), label)
        total = total + probabilities[..., state]
    return label


def draw_heisenberg(numbers: Any, field: Any) -> Any:
    """Random directions in space, of density e^{x·s} in a field x.

    Args:
        numbers: uniform numbers, shape (rows, units), or the streams of random bits of the rows. Of the 52 bits of each
            the first half says how far from the field the direction lies, the second where around it.
        field: shape (rows, units, 3).

    Returns:
        vectors of length 1, shape (rows, units, 3), in the type of the field.

    Sources: the angle to the field by inversion, as in N. I. Fisher, T. Lewis and B. J. J. Embleton, "Statistical
    analysis of spherical data" (1987), section 3.6.2; the axes across it by T. Duff and others, "Building an
    orthonormal basis, revisited" (Journal of Computer Graphics Techniques 6, 2017).
    """
    xp = library(field)
    numbers = _fine(numbers, field)
    first = xp.floor(numbers * 2.0**26)
    second = numbers * 2.0**26 - first
    x, y, z = (_wide(xp, field[..., k]) for k in range(3))
    length = xp.sqrt(x * x + y * y + z * z)
    # Where the field is zero, any direction may stand for its own.
    none = length < 1e-150
    x, y, z = (xp.where(none, 0 * part, part / xp.where(none, 1 + 0 * length, length)) for part in (x, y, z))
    z = xp.where(none, 1 + 0 * z, z)
    # (1 − cos θ) / 2 has the distribution of a number on [0, 1] in the field −2|x|.
    back = functions_of(xp)["uniform_quantile"]((first + 0.5) * 2.0**-26, -2 * length)
    across = 2 * xp.sqrt(back * (1 - back))
    along = 1 - 2 * back
    right, up = across * xp.cos(2 * math.pi * second), across * xp.sin(2 * math.pi * second)
    sign = xp.where(z < 0, -1 + 0 * z, 1 + 0 * z)
    a = -1 / (sign + z)
    b = x * y * a
    drawn = (
        along * x + right * (1 + sign * x * x * a) + up * b,
        along * y + right * sign * b + up * (sign + y * y * a),
        along * z - right * sign * x - up * y,
    )
    axes = identity(3, x)
    return _as(xp, sum(part[..., None] * axes[k, :] for k, part in enumerate(drawn)), field)


def _wide(xp: Any, x: Any) -> Any:
    return x.astype(np.float64) if xp is np else xp.astype(x, xp.float64)


def _as(xp: Any, x: Any, like: Any) -> Any:
    return x.astype(like.dtype) if xp is np else xp.astype(x, like.dtype)
