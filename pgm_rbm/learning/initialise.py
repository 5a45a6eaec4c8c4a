"""Starting points for training."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.kernels import FloatArray, Kernels, Parameters, layer_sizes
from pgm_rbm.sampling.streams import Purpose, generator

__all__ = ["matching_visible_bias", "small_weights"]


def small_weights(shape: tuple[int, int], seed: int, dtype: npt.DTypeLike, scale: float = 0.01) -> FloatArray:
    """Independent normal weights of standard deviation ``scale`` (Hinton 2012, "A practical guide to training
    restricted Boltzmann machines", section 8)."""
    drawn: FloatArray = scale * generator(seed, Purpose.WEIGHTS).standard_normal(shape)
    return drawn.astype(dtype)


def matching_visible_bias(
    kernels: Kernels, parameters: Parameters, x: npt.NDArray[Any], smoothing: float = 1.0
) -> FloatArray:
    """Visible biases with which, were all weights zero, every visible unit's mean is its smoothed mean in the data.

    The unit's own conditional mean is inverted by bisection, so this holds for any unit whose mean rises with its
    bias; for binary units it gives the log-odds (Hinton 2012, section 8).

    Args:
        kernels, parameters: the model, for its shapes and its units.
        x: visible states, shape (rows, n_visible).
        smoothing: how many rows at the mean of a unit without bias are added to the data; it keeps the bias of a
            constant column finite.

    Raises:
        ValueError: ``smoothing`` is not positive.
    """
    if not smoothing > 0 or not np.isfinite(smoothing):
        raise ValueError(f"smoothing must be positive and finite. Got {smoothing!r}.")
    layer = kernels.visible[0]
    name = next(key for key, layers in kernels.parameters.items() if layers == (layer,))
    free = {key: np.zeros(value.shape) for key, value in parameters.items()}
    bias = free[name]
    (other,) = (size for key, size in layer_sizes(kernels, parameters).items() if key != layer)
    nothing = np.zeros((1, other))
    neutral = kernels.mean(layer, nothing, **free)[0]
    target = (x.sum(axis=0, dtype=np.float64) + smoothing * neutral) / (len(x) + smoothing)
    low, high = np.full_like(bias, -64.0), np.full_like(bias, 64.0)
    for _ in range(64):
        free[name] = (low + high) / 2
        below = kernels.mean(layer, nothing, **free)[0] < target
        low, high = np.where(below, free[name], low), np.where(below, high, free[name])
    return free[name].astype(parameters[name].dtype)
