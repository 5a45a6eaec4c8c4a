"""The layer sizes and parameter arrays of a new model: check given ones, or make those to start training from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import DivergentError, ModelError
from pgm_rbm.machine.streams import Purpose, generator
from pgm_rbm.model.checks import checked_parameters
from pgm_rbm.model.kernels import FloatArray, Kernels, layer_axes, parameter_shapes
from pgm_rbm.model.layout import Layout
from pgm_rbm.model.model import Conditions, symmetric_parameters
from symbolic.units import axis_length

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = [
    "checked_arrays",
    "checked_sizes",
    "checked_symmetry",
    "first_parameters",
    "loose_sizes",
    "sizes_of_arrays",
    "small_weights",
]


def checked_sizes(
    kernels: Kernels, sizes: Mapping[str, int] | None, parameters: Mapping[str, Any] | None
) -> dict[str, int]:
    """Return the number of units of every layer, as given or from the shapes of the parameters.

    Raises:
        ModelError: a layer is missing or unknown, its number is not positive, or the energy names a unit beyond it.
    """
    layers = kernels.layers
    if sizes is None:
        if parameters is None:
            wanted = ", ".join(f"{one!r}: …" for one in layers)
            raise ModelError(f"sizes is missing: give every layer's number of units, as in sizes={{{wanted}}}.")
        sizes = sizes_of_arrays(kernels, parameters)
    if not isinstance(sizes, Mapping):
        raise TypeError(f"sizes must be a dict from layers to numbers of units. Got {sizes!r}.")
    for name in sizes:
        if name not in layers:
            raise ModelError(
                f"sizes names a layer {name!r} that the energy does not have; it has: {', '.join(layers)}."
            )
    for name in layers:
        if name not in sizes:
            raise ModelError(f"sizes lacks the layer {name!r}. Add its number of units.")
        size = sizes[name]
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ModelError(f"sizes[{name!r}] must be a positive whole number of units. Got {size!r}.")
        if size < kernels.least.get(name, 0):
            least = kernels.least[name]
            raise ModelError(
                f"the energy names unit {least - 1} of layer {name}, so it has {least} units or more. Got {size}."
            )
    return {name: int(sizes[name]) for name in layers}


def loose_sizes(kernels: Kernels, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes of the layers over which no parameter has an axis, since their units share all weights."""
    told = {layer for axes in kernels.parameters.values() for layer in axes}
    return {layer: size for layer, size in sizes.items() if layer not in told}


def sizes_of_arrays(kernels: Kernels, parameters: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of units of every layer that is an axis of one of these arrays."""
    _check_names(kernels, parameters)
    sizes: dict[str, int] = {}
    for name, layers in kernels.parameters.items():
        shape = np.shape(parameters[name])
        if len(shape) != len(layers):
            raise ModelError(
                f"parameter {name} must have {len(layers)} axes ({', '.join(layers) or 'a single number'}). Got shape "
                f"{shape}."
            )
        for layer, size in zip(layers, shape, strict=True):
            if layer not in kernels.layers:
                wanted = axis_length(layer, kernels.layers)
                if size != wanted:
                    what = "labels" if layer.endswith(".states") else "components"
                    raise ModelError(f"parameter {name} must have {wanted} {what} on its axis {layer}. Got {size}.")
                continue
            if sizes.setdefault(layer, size) != size:
                raise ModelError(
                    f"parameter {name} has {size} units on its axis over layer {layer}, and another parameter has "
                    f"{sizes[layer]}. Give all arrays the same."
                )
    return sizes


def _check_names(kernels: Kernels, parameters: Mapping[str, Any]) -> None:
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters must be a dict from names to arrays. Got {type(parameters).__name__}.")
    for name in parameters:
        if name not in kernels.parameters:
            raise ModelError(
                f"parameters holds {name!r}, which the energy does not have; it has: "
                f"{', '.join(kernels.parameters) or 'none'}."
            )
    for name, layers in kernels.parameters.items():
        if name not in parameters:
            axes = ", ".join(f"n_{layer}" for layer in layers)
            raise ModelError(f"parameters lacks {name!r}. Add an array of shape ({axes}).")


def checked_arrays(
    kernels: Kernels,
    sizes: Mapping[str, int],
    parameters: Mapping[str, Any],
    dtype: npt.DTypeLike,
    symmetric: frozenset[str],
) -> dict[str, FloatArray]:
    """Return copies of the arrays, in ``dtype``.

    Raises:
        ModelError: one is missing or unknown, or not symmetric with a diagonal of zeros where it must be.
        TypeError, ValueError: as `checked_parameters`.
    """
    _check_names(kernels, parameters)
    found = {}
    for name, shape in parameter_shapes(kernels, sizes).items():
        array = checked_parameters(parameters[name], name, shape, dtype)
        if name in symmetric:
            checked_symmetry(name, array)
        found[name] = np.array(array, dtype=dtype, order="C")
    return found


def checked_symmetry(name: str, array: FloatArray) -> None:
    """Check that a parameter is symmetric with a diagonal of zeros.

    Raises:
        ModelError: it is not.
    """
    if np.diagonal(array).any():
        k = int(np.flatnonzero(np.diagonal(array))[0])
        raise ModelError(f"parameter {name} must have zeros on its diagonal. Got {array[k, k]:.6g} at ({k}, {k}).")
    if (array != array.T).any():
        i, k = (int(place) for place in np.argwhere(array != array.T)[0])
        raise ModelError(
            f"parameter {name} must be symmetric. Got {array[i, k]:.6g} at ({i}, {k}) and {array[k, i]:.6g} at "
            f"({k}, {i}); use ({name} + {name}.T) / 2."
        )


def first_parameters(
    layout: Layout, seed: int, dtype: npt.DTypeLike, energy: Energy | None, conditions: Conditions | None
) -> dict[str, FloatArray]:
    """Return parameters to start training from: small normal weights, and the rest from `convergence.starting_values`.

    Args:
        layout: the model's layers.
        seed: of the weights.
        dtype: of the arrays.
        energy: None for the pairwise one.
        conditions: what must hold for the model to have a Z.

    Raises:
        DivergentError: no weights with a Z were found.
    """
    pairwise = energy is None
    start: dict[str, float] = {}
    if not pairwise or conditions is not None:
        from pgm_rbm.model.convergence import starting_values

        start = starting_values(layout, energy)
    symmetric = frozenset() if energy is None else symmetric_parameters(energy)
    found: dict[str, FloatArray] = {}
    for place, (name, shape) in enumerate(parameter_shapes(layout.kernels, layout.sizes).items()):
        if len(layer_axes(layout.kernels.parameters[name])) < 2:
            found[name] = np.full(shape, start.get(name, 0.0), dtype)
            continue
        weights = small_weights(shape, seed, dtype, place=0 if pairwise else place)
        if name in symmetric:
            weights = np.triu(weights, 1) + np.triu(weights, 1).T
        found[name] = np.ascontiguousarray(weights)
    if conditions is not None:
        _shrunk(conditions, found)
    return found


def small_weights(
    shape: tuple[int, ...], seed: int, dtype: npt.DTypeLike, scale: float = 0.01, *, place: int = 0
) -> FloatArray:
    """Return independent normal weights of standard deviation ``scale`` (Hinton 2012, "A practical guide to training
    restricted Boltzmann machines", section 8); ``place`` gives each array of a model its own stream."""
    stream = generator(seed, Purpose.WEIGHTS, *((place,) if place else ()))
    drawn: FloatArray = scale * stream.standard_normal(shape)
    return drawn.astype(dtype)


def _shrunk(conditions: Conditions, parameters: dict[str, FloatArray]) -> None:
    """Give weights the sign that they must have, and halve them until the model has a Z."""
    weights = [value for value in parameters.values() if value.ndim > 1]
    conditions.turn(parameters)
    for _ in range(10):
        if conditions.problem(parameters) is None:
            return
        for value in weights:
            value /= 2
    raise DivergentError(
        f"no parameters to start from were found: {conditions.problem(parameters)}. Pass parameters=…."
    )
