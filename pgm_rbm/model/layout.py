"""How the layers of an energy lie in arrays, and in which order they are drawn.

Visible states of a model are one array with a row for each configuration: the columns of its visible layers, then of
its given layers, side by side. Hidden states lie in a second such array. `Layout` splits them into layers, as the
kernels take them, and says which hidden layer is averaged exactly given all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.model.domains import dimension
from pgm_rbm.model.kernels import Kernels, Parameters, layer_sizes, serves

__all__ = ["NO_AVERAGE", "Layout", "States"]

NO_AVERAGE = (
    "the energy has no hidden layer that can be averaged in closed form, which training and gradients need. Let the "
    "units of one hidden layer be independent given all other layers."
)
"""The message when no hidden layer has a closed-form average, so that `Layout.averaged` is None."""

States = dict[str, npt.NDArray[Any]]
"""By layer, states of shape (rows, units)."""


@dataclass(frozen=True)
class Layout:
    """The layers of a model.

    Attributes:
        kernels: the model's kernels.
        sizes: the number of units of each layer.
    """

    kernels: Kernels
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, kernels: Kernels, parameters: Parameters) -> Layout:
        """Return the layout of a model with these parameters."""
        return cls(kernels, layer_sizes(kernels, parameters))

    @cached_property
    def given(self) -> tuple[str, ...]:
        """Layers that are always clamped."""
        return self.kernels.given

    @property
    def visible(self) -> tuple[str, ...]:
        """The visible layers."""
        return self.kernels.visible

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """The hidden layers in the order in which a sweep draws them; the averaged one comes last."""
        hidden = [layer for layer in self.kernels.hidden if layer != self.averaged]
        return (*hidden, *((self.averaged,) if self.averaged else ()))

    @cached_property
    def averaged(self) -> str | None:
        """The hidden layer that phases average exactly given all others: the last one with a closed form."""
        for layer in reversed(self.kernels.hidden):
            if self.in_closed_form("phase_of_" + "_".join(self.others(layer))):
                return layer
        return None

    @cached_property
    def two_sided(self) -> bool:
        """Whether there is one layer on each side and either can be summed out given the other."""
        sides = (self.visible, self.kernels.hidden)
        return not self.given and all(
            len(side) == 1 and self.in_closed_form(f"free_energy_of_{side[0]}") for side in sides
        )

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """All layers but the averaged and the given ones: those whose states a phase takes."""
        return tuple(one for one in self.kernels.layers if one != self.averaged and one not in self.given)

    @cached_property
    def data_columns(self) -> dict[str, slice]:
        """The columns of each visible and of each given layer in an array of data."""
        return _columns((*self.visible, *self.given), self.widths)

    @cached_property
    def hidden_columns(self) -> dict[str, slice]:
        """The columns of each hidden layer in an array of hidden states."""
        return _columns(self.kernels.hidden, self.widths)

    @cached_property
    def widths(self) -> dict[str, int]:
        """The number of columns of each layer: one per unit, and for vectors one per component."""
        return {layer: size * dimension(self.kernels.layers[layer]) for layer, size in self.sizes.items()}

    @property
    def units(self) -> int:
        """The number of units in all layers."""
        return sum(self.sizes.values())

    def others(self, layer: str) -> tuple[str, ...]:
        """Return all layers but this and the given ones, in the order of the kernels."""
        return tuple(one for one in self.kernels.layers if one != layer and one not in self.given)

    def tied(self, layer: str) -> bool:
        """Return whether the layer's units depend on each other given the rest, so that they are drawn in turn."""
        return not self.in_closed_form(f"sample_of_{layer}")

    def in_closed_form(self, name: str) -> bool:
        """Return whether there is such a generated function, with sums in closed form."""
        return serves(self.kernels, name)

    def one_by_one(self, layer: str) -> bool:
        """Return whether a generated function draws the layer's units one after another."""
        return self.kernels.methods.get(f"sample_of_{layer}") == "single-site"

    def around(self, layer: str, states: States) -> States:
        """Return the states of all other layers."""
        return {one: value for one, value in states.items() if one != layer}

    def data_states(self, x: npt.NDArray[Any]) -> States:
        """Return data split by layer, in contiguous arrays."""
        return _split(x, self.data_columns)

    def hidden_states(self, h: npt.NDArray[Any]) -> States:
        """Return hidden states split by layer, in contiguous arrays."""
        return _split(h, self.hidden_columns)

    def data_array(self, states: States) -> npt.NDArray[Any]:
        """Join the states of data layers into one array, the inverse of `data_states`."""
        return _joined(states, self.data_columns)

    def hidden_array(self, states: States) -> npt.NDArray[Any]:
        """Join hidden states into one array, the inverse of `hidden_states`."""
        return _joined(states, self.hidden_columns)


def _columns(layers: tuple[str, ...], widths: Mapping[str, int]) -> dict[str, slice]:
    columns, start = {}, 0
    for layer in layers:
        columns[layer] = slice(start, start + widths[layer])
        start += widths[layer]
    return columns


def _split(x: npt.NDArray[Any], columns: dict[str, slice]) -> States:
    if len(columns) == 1:
        return dict.fromkeys(columns, x)
    return {layer: np.ascontiguousarray(x[:, place]) for layer, place in columns.items()}


def _joined(states: States, columns: dict[str, slice]) -> npt.NDArray[Any]:
    if len(columns) == 1:
        return states[next(iter(columns))]
    if not columns:
        one = next(iter(states.values()))
        return np.empty((len(one), 0), one.dtype)
    return np.concatenate([states[layer] for layer in columns], axis=1)
