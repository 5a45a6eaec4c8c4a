"""Which shapes the arrays of a call have: those that layers and parameters ask for, and that fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symbolic.codegen.arrays import ForeignArrays, NumpyArrays
from symbolic.errors import ArgumentError
from symbolic.units import axis_length, lookup

__all__ = ["Shapes"]

Array = Any


class Shapes:
    """The shapes that an energy asks for.

    Attributes:
        layers: unit by layer.
        parameters: for each parameter the layers of its axes.
        least: for layers of which the energy names single units, how many units that takes.
        dimensions: the number of components of a unit's state, by layer.
    """

    def __init__(
        self,
        layers: dict[str, str],
        parameters: dict[str, tuple[str, ...]],
        least: dict[str, int],
        arrays: NumpyArrays | ForeignArrays,
    ):
        self.layers, self.parameters, self.least = layers, parameters, least
        self._arrays = arrays
        axes = {axis for own in parameters.values() for axis in own}
        self._known = {axis: length for axis in axes if (length := axis_length(axis, layers))}
        self.dimensions = {name: lookup(unit).dimension for name, unit in layers.items()}

    def checked(
        self, states: dict[str, Array], parameters: dict[str, Array], told: Mapping[str, int]
    ) -> dict[str, int]:
        """Return the number of units of each layer, as the parameters have it.

        Args:
            states: by layer.
            parameters: by name.
            told: the numbers of units that no parameter tells.

        Raises:
            ArgumentError: names, dtypes or shapes are not those of the energy.
        """
        if parameters.keys() != self.parameters.keys():
            self._report_names(parameters)
        self._arrays.check({**states, **parameters})
        sizes = self._known | dict(told)
        for name in self.parameters:
            self._check_parameter(name, parameters[name], sizes, told)
        self._check_states(states, sizes)
        for layer, least in self.least.items():
            units = sizes.get(layer)
            if units is None and layer in states:
                units = states[layer].shape[1] // self.dimensions[layer]
            if units is not None and units < least:
                raise ArgumentError(
                    f"the energy names unit {least - 1} of layer {layer}, which has {units} units here."
                )
        return sizes

    def _check_states(self, states: dict[str, Array], sizes: dict[str, int]) -> None:
        rows: int | None = None
        for name, array in states.items():
            shape, dimension = tuple(array.shape), self.dimensions[name]
            columns = sizes[name] * dimension if name in sizes else None
            if len(shape) != 2 or shape[1] != (columns or shape[1]) or shape[1] % dimension:
                hint = f"; use {name}[None, :] for one configuration" if len(shape) == 1 else ""
                wanted = columns or (f"n_{name}" if dimension == 1 else f"{dimension} n_{name}")
                raise ArgumentError(f"{name} must have shape (rows, {wanted}){hint}. Got {shape}.")
            rows = shape[0] if rows is None else rows
            if shape[0] != rows:
                raise ArgumentError(f"{name} must have as many rows as {next(iter(states))}, {rows}. Got {shape[0]}.")

    def _check_parameter(self, name: str, array: Array, sizes: dict[str, int], told: Mapping[str, int]) -> None:
        layers = self.parameters[name]
        lengths = ", ".join(str(self._known.get(layer, f"n_{layer}")) for layer in layers)
        wanted = f"({lengths}{',' if len(layers) == 1 else ''})"
        shape = tuple(array.shape)
        if len(shape) != len(layers):
            raise ArgumentError(f"{name} must have {len(layers)} axes, {wanted}. Got shape {shape}.")
        for layer, size in zip(layers, shape, strict=True):
            if layer in self._known and size != sizes[layer]:
                of, _, kind = layer.partition(".")
                why = f"layer {of} has {self.layers[of]} units" if kind == "states" else f"{of} units are vectors"
                raise ArgumentError(f"{name} must have shape {wanted}, since {why}. Got shape {shape}.")
            if sizes.setdefault(layer, size) != size:
                by = "sized()" if layer in told else "another parameter"
                raise ArgumentError(
                    f"{name} must have shape {wanted}, and n_{layer} is {sizes[layer]} by {by}. Got shape {shape}."
                )

    def _report_names(self, parameters: dict[str, Array]) -> None:
        for name in parameters:
            if name not in self.parameters:
                raise ArgumentError(
                    f"there is no parameter {name!r}; this energy has: {', '.join(self.parameters) or 'none'}."
                )
        missing = next(name for name in self.parameters if name not in parameters)
        axes = ", ".join(f"n_{layer}" for layer in self.parameters[missing])
        raise ArgumentError(f"parameter {missing} is missing: pass {missing}=…, an array of shape ({axes}).")
