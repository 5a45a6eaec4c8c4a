"""Starting points for training."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import NotPairwiseError
from pgm_rbm.model.domains import ends, has_conditions, is_quadratic
from pgm_rbm.model.draw import resting
from pgm_rbm.model.kernels import FloatArray
from pgm_rbm.model.model import Model

__all__ = ["matching_visible_bias"]


def matching_visible_bias(model: Model, x: npt.NDArray[Any], smoothing: float = 1.0) -> FloatArray:
    """Return the visible biases for which, at zero weights, every visible unit's mean is its smoothed mean in the data.

    Bisection inverts the unit's own conditional mean, so this holds for any unit whose mean rises with its bias; for
    binary units it gives the log-odds (Hinton 2012, section 8). The biases of units that need a positive rate are
    negative.

    Args:
        model: of the pairwise energy, for its shapes and its units.
        x: visible states, shape (rows, n_visible).
        smoothing: how many rows at the mean of a unit without bias are added to the data; it keeps the bias of a
            constant column finite.

    Raises:
        NotPairwiseError: the energy is another one.
        ValueError: ``smoothing`` is not positive.
    """
    if not model.is_pairwise:
        raise NotPairwiseError(
            "visible biases are matched for the pairwise energy. Pass parameters to from_energy, or set_parameters."
        )
    if not smoothing > 0 or not np.isfinite(smoothing):
        raise ValueError(f"smoothing must be positive and finite. Got {smoothing!r}.")
    kernels, parameters = model.kernels, model.parameters
    layer = kernels.visible[0]
    unit = kernels.layers[layer]
    name = next(key for key, layers in kernels.parameters.items() if layers == (layer,))
    free = {key: np.zeros(value.shape) for key, value in parameters.items()}
    (other,) = (key for key in kernels.layers if key != layer)
    nothing = resting(model.layout, other, 1, np.float64)
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
