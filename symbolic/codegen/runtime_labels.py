"""What generated modules call for categorical units, whose states are labels.

The functions take arrays of any library that follows the array API standard, NumPy's among them. Labels run along the
last axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symbolic.codegen import runtime_numpy

__all__ = ["draw_label", "log_sum_exp", "one_hot"]


def _namespace(x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic)):
        return np
    from symbolic.codegen.runtime_array_api import namespace

    return namespace(x)


def one_hot(states: Any, labels: int) -> Any:
    """Iverson's brackets [v_i = s] of labels, in their type; shape (..., labels)."""
    xp = _namespace(states)
    if xp is np:
        return (states[..., None] == np.arange(labels)).astype(states.dtype)
    every = xp.arange(labels, dtype=states.dtype, device=states.device)
    return xp.astype(states[..., None] == every, states.dtype)


def log_sum_exp(x: Any) -> Any:
    """ln Σ_s e^{x_s} over the last axis, from the largest x_s, so that nothing overflows."""
    xp = _namespace(x)
    highest = xp.max(x, axis=-1, keepdims=True)
    return xp.log(xp.sum(xp.exp(x - highest), axis=-1)) + highest[..., 0]


def draw_label(numbers: Any, probabilities: Any) -> Any:
    """Random labels: the first s whose probability, added to those of the labels before it, passes a uniform number.

    Args:
        numbers: uniform numbers, shape (rows, units), or the streams of random bits of the rows.
        probabilities: shape (rows, units, labels).

    Returns:
        shape (rows, units), in the type of the probabilities.
    """
    if isinstance(numbers, tuple):
        numbers = runtime_numpy.fine_uniform(numbers, probabilities.shape[-2])
    xp = _namespace(probabilities)
    total = probabilities[..., 0]
    label = xp.zeros_like(total)
    for state in range(1, probabilities.shape[-1]):
        passed = numbers >= total
        label = xp.where(passed, xp.full_like(label, state), label)
        total = total + probabilities[..., state]
    return label
