"""Make models of sizes, energies and arrays, and change their parameters; the checks stand here, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import NotPairwiseError
from pgm_rbm.machine.streams import resolve_seed
from pgm_rbm.model.checks import checked_dtype, checked_parameters
from pgm_rbm.model.domains import is_bounded
from pgm_rbm.model.draw import require_drawable
from pgm_rbm.model.kernels import Kernels
from pgm_rbm.model.layout import Layout
from pgm_rbm.model.model import Conditions, Model, symmetric_parameters
from pgm_rbm.model.parameters import checked_arrays, first_parameters

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = ["assign", "assign_one", "conditions_of", "made", "masked", "named"]


def made(
    kernels: Kernels,
    sizes: Mapping[str, int],
    energy: Energy | None,
    seed: int | None,
    dtype: npt.DTypeLike,
    parameters: Mapping[str, npt.ArrayLike] | None = None,
) -> Model:
    """Return the model of ``energy`` (None: the pairwise one) with copies of ``parameters`` (None: new ones).

    Raises:
        ModelError: a parameter is missing, unknown or not symmetric, or a layer cannot be drawn.
        TypeError, ValueError: an array, the seed or the dtype is not valid.
        DivergentError: the model has no Z.
    """
    layout, own_seed, own_dtype = Layout(kernels, sizes), resolve_seed(seed), checked_dtype(dtype)
    conditions = conditions_of(layout, energy)
    if parameters is None:
        arrays = first_parameters(layout, own_seed, own_dtype, energy, conditions)
    else:
        symmetric = frozenset() if energy is None else symmetric_parameters(energy)
        arrays = checked_arrays(kernels, sizes, parameters, own_dtype, symmetric)
    model = Model(layout, arrays, energy, own_seed, None, conditions)
    if parameters is not None:
        model.require_z()
    require_drawable(layout)
    return model


def conditions_of(layout: Layout, energy: Energy | None) -> Conditions | None:
    """Return what must hold for a model to have a Z; None where all parameters give one.

    Raises:
        DivergentError: no parameters give the energy a Z, or none that couple some of its layers.
    """
    if all(map(is_bounded, layout.kernels.layers.values())):
        return None
    from pgm_rbm.model.convergence import convergence_of

    return convergence_of(layout, energy)


def masked(model: Model, mask: npt.ArrayLike | None) -> Model:
    """Return the model in which only the weights marked by ``mask`` exist; None marks all.

    Raises:
        ValueError: ``mask`` is not a bool array in the shape of the weights.
    """
    if mask is None:
        return model
    chosen, shape = np.asarray(mask), model.parameters["w"].shape
    if chosen.shape != shape or chosen.dtype != bool:
        raise ValueError(f"mask must be a bool array of shape {shape}. Got {chosen.dtype} of shape {chosen.shape}.")
    return replace(model, mask=chosen.copy())


def assign(model: Model, arrays: Mapping[str, npt.ArrayLike]) -> None:
    """Copy new values into the named parameters; see `RBM.set_parameters`."""
    whole: dict[str, npt.ArrayLike] = {**model.parameters, **arrays}
    checked = checked_arrays(model.kernels, model.sizes, whole, model.dtype, model.symmetric)
    if model.conditions is not None:
        model.conditions.require(checked)
    for name in arrays:
        model.parameters[name][...] = checked[name]


def assign_one(model: Model, attribute: str, name: str, value: npt.ArrayLike) -> None:
    """Copy ``value`` into the parameter ``name``; messages call it ``attribute``, as the user does.

    Raises:
        TypeError, ValueError: the array does not fit, or a weight that does not exist is not zero.
        DivergentError: the model would have no Z; nothing is changed.
    """
    array = checked_parameters(value, attribute, model.parameters[name].shape, model.dtype)
    if attribute == "weights" and model.mask is not None and array[~model.mask].any():
        i, j = (int(k) for k in np.argwhere((array != 0) & ~model.mask)[0])
        raise ValueError(
            f"weights must be zero where the model has no edge. Got {array[i, j]} at ({i}, {j}); make a model "
            f"with that edge instead."
        )
    assign(model, {name: array})


def named(model: Model, attribute: str) -> str:
    """Return the name of the parameter behind the attribute ``weights``, ``visible_bias`` or ``hidden_bias``.

    It is the only parameter with the axes in question, or of several the one with the usual name.

    Raises:
        NotPairwiseError: the energy has none.
    """
    kernels = model.kernels
    usual = {"weights": "w", "visible_bias": "a", "hidden_bias": "b"}[attribute]
    sides = {"w": (*kernels.visible[:1], *kernels.hidden[:1]), "a": kernels.visible[:1], "b": kernels.hidden[:1]}
    if len(kernels.layers) == 2 and len(kernels.visible) == len(kernels.hidden) == 1:
        names = [name for name, axes in kernels.parameters.items() if axes == sides[usual]]
        if len(names) == 1 or usual in names:
            return usual if usual in names else names[0]
    raise NotPairwiseError(
        f"this energy has no {attribute}; its parameters are {', '.join(model.parameters)}. Use "
        f"rbm.parameters[name] and rbm.set_parameters(name=array)."
    )
