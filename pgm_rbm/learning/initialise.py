"""Starting points for training."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.machine.streams import Purpose, generator
from pgm_rbm.model.domains import ends, has_conditions, is_quadratic
from pgm_rbm.model.draw import resting
from pgm_rbm.model.kernels import FloatArray, Kernels, Parameters
from pgm_rbm.model.layout import Layout

__all__ = ["matching_visible_bias", "small_weights"]


def small_weights(
    shape: tuple[int, ...], seed: int, dtype: npt.DTypeLike, scale: float = 0.01, *, place: int = 0
) -> FloatArray:
    """Independent normal weights of standard deviation ``scale`` (Hinton 2012, "A practical guide to training
    restricted Boltzmann machines", section 8); ``place`` tells several arrays of one model apart."""
    stream = generator(seed, Purpose.WEIGHTS, *((place,) if place else ()))
    drawn: FloatArray = scale * stream.standard_normal(shape)
    return drawn.astype(dtype)


def matching_visible_bias(
    kernels: Kernels, parameters: Parameters, x: npt.NDArray[Any], smoothing: float = 1.0
) -> FloatArray:
    """Visible biases with which, were all weights zero, every visible unit's mean is its smoothed mean in the data.

    The unit's own conditional mean is inverted by bisection, so this holds for any unit whose mean rises with its
    bias; for binary units it gives the log-odds (Hinton 2012, section 8). A unit that needs a positive rate is
    looked for among negative biases.

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
    unit = kernels.layers[layer]
    name = next(key for key, layers in kernels.parameters.items() if layers == (layer,))
    free = {key: np.zeros(value.shape) for key, value in parameters.items()}
    (other,) = (key for key in kernels.layers if key != layer)
    nothing = resting(Layout.of(kernels, parameters), other, 1, np.float64)
    rated = has_conditions(unit) and not is_quadratic(unit)

    def bias(place: FloatArray) -> FloatArray:
        return -np.exp(-place) if rated else place

    def mean(place: FloatArray) -> FloatArray:
        found: FloatArray = kernels.mean(layer, {other: nothing}, **(free | {name: bias(place)}))[0]
        return found

    neutral = mean(np.zeros_like(free[name]))
    target = (x.sum(axis=0, dtype=np.float64) + smoothing * neutral) / (len(x) + smoothing)
    reach = 32.0 if rated or (np.isinf(ends(unit)).any() and not is_quadratic(unit)) else 64.0
    if is_quadratic(unit):
        reach = max(reach, 64 * float(np.abs(target).max()))
    low, high = np.full_like(free[name], -reach), np.full_like(free[name], reach)
    for _ in range(64):
        place = (low + high) / 2
        below = mean(place) < target
        low, high = np.where(below, place, low), np.where(below, high, place)
    return bias((low + high) / 2).astype(parameters[name].dtype)
