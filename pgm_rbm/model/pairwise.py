"""Make models of the pairwise energy, from sizes or from arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pgm_rbm.machine.quantities import require_whole
from pgm_rbm.model.domains import is_plain
from pgm_rbm.model.kernels import pairwise_kernels
from pgm_rbm.model.making import assign_one, made, masked, named
from pgm_rbm.model.model import Model

__all__ = ["from_arrays", "pairwise"]


def pairwise(
    n_visible: int, n_hidden: int, units: tuple[str, str], seed: int | None, dtype: npt.DTypeLike, target: str
) -> Model:
    """Return a new model of the pairwise energy; arguments as for `RBM`."""
    if not all(map(is_plain, units)):
        # Such a model holds its energy as an expression, and loading SymPy takes 0.3 s (2 cores, 2026-12).
        from pgm_rbm.model.of_energy import pairwise_of_any_units

        return pairwise_of_any_units(n_visible, n_hidden, units, seed, dtype, target)
    sizes = {
        "v": require_whole("n_visible", n_visible, of="units"),
        "h": require_whole("n_hidden", n_hidden, of="units"),
    }
    return made(pairwise_kernels(*units, target), sizes, None, seed, dtype)


def from_arrays(
    weights: npt.ArrayLike,
    visible_bias: npt.ArrayLike,
    hidden_bias: npt.ArrayLike,
    units: tuple[str, str],
    seed: int | None,
    mask: npt.ArrayLike | None,
    dtype: npt.DTypeLike | None,
    target: str,
) -> Model:
    """Return the model with copies of these arrays; arguments and errors as for `RBM.from_parameters`."""
    array = np.asarray(weights)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"weights must have two axes, (n_visible, n_hidden), neither empty. Got shape {array.shape}.")
    if dtype is None:
        dtype = np.float32 if array.dtype == np.float32 else np.float64
    model = masked(pairwise(array.shape[0], array.shape[1], units, seed, dtype, target), mask)
    for attribute, value in (("weights", array), ("visible_bias", visible_bias), ("hidden_bias", hidden_bias)):
        assign_one(model, attribute, named(model, attribute), value)
    return model
