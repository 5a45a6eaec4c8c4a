"""The network of a pairwise model of two layers, read from its arrays without a graph in between."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgm_rbm.errors import ModelError
from pgm_rbm.exact.elimination.network import Couplings, Network, Variable
from pgm_rbm.exact.elimination.tables import FloatArray
from pgm_rbm.model.variables import Kind, kind_of, read_bias

__all__ = ["Node", "PairwiseArrays"]

Node = tuple[str, int]
"""A unit: ("v", i) or ("h", j)."""


@dataclass(frozen=True, eq=False)
class PairwiseArrays:
    """The arrays of a model of two layers, which are shared and read as they are whenever something is asked.

    A layer whose values are labels has an axis of labels after its own in each array.

    Attributes:
        weights: shape (n_visible, n_hidden).
        visible_bias, hidden_bias: shapes (n_visible,) and (n_hidden,).
        visible_units, hidden_units: what the units of the layers are.
        mask: shape (n_visible, n_hidden), True where a pair has a weight; None where all have.
    """

    weights: NDArray[Any]
    visible_bias: NDArray[Any]
    hidden_bias: NDArray[Any]
    visible_units: str
    hidden_units: str
    mask: NDArray[np.bool_] | None

    @cached_property
    def counts(self) -> tuple[int, int]:
        """How many units the layers have."""
        return len(self.visible_bias), len(self.hidden_bias)

    @cached_property
    def labels(self) -> tuple[bool, bool]:
        """Whether the values of the layers are labels."""
        return self.visible_bias.ndim > 1, self.hidden_bias.ndim > 1

    @cached_property
    def kinds(self) -> tuple[Kind, Kind]:
        """What the values of the layers are."""
        visible, hidden = (kind_of(units, {"units": units}) for units in (self.visible_units, self.hidden_units))
        return visible, hidden

    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the units of each side of the pairs with a weight that is not zero."""
        if not np.isfinite(self.weights).all():
            place = tuple(int(index) for index in np.argwhere(~np.isfinite(self.weights))[0])
            raise ModelError(f"weights must be finite. Got {self.weights[place]} at {place}.")
        present = self.weights != 0
        visible_labels, hidden_labels = self.labels
        if hidden_labels:
            present = present.any(axis=-1)
        if visible_labels:
            present = present.any(axis=1)
        first, second = np.nonzero(present if self.mask is None else present & self.mask)
        return first, second

    def edges(self) -> list[tuple[Node, Node]]:
        """Return the pairs of units that have a weight: all in the mask, or without one those that are not zero."""
        sides = self.pairs() if self.mask is None else np.nonzero(self.mask)
        return [(("v", i), ("h", j)) for i, j in zip(*(side.tolist() for side in sides), strict=True)]

    def log_table(self, i: int, j: int) -> FloatArray:
        """Return what the pair (i, j) of units contributes to −E, over the values of both."""
        here = self.weights[i, ..., j, :] if self.labels[1] else self.weights[i, ..., j]
        table = np.asarray(here, dtype=np.float64)
        for axis, (kind, labels) in enumerate(zip(self.kinds, self.labels, strict=True)):
            if not labels:
                values = np.array(kind.values)
                table = np.expand_dims(table, axis) * values.reshape([-1, 1] if axis == 0 else [-1])
        return table

    def tables(self) -> list[PairTable]:
        """Return a table per pair of units with a weight where a layer's values are labels; none elsewhere."""
        if not any(self.labels):
            return []
        return [PairTable(self, i, j) for i, j in zip(*(side.tolist() for side in self.pairs()), strict=True)]

    def position(self, node: Any) -> tuple[int, int] | None:
        """Return (side, index) of a unit, None for anything else."""
        if not (isinstance(node, tuple) and len(node) == 2 and isinstance(node[1], Integral)):
            return None
        index, (n_visible, n_hidden) = int(node[1]), self.counts
        if node[0] == "v" and 0 <= index < n_visible:
            return 0, index
        if node[0] == "h" and 0 <= index < n_hidden:
            return 1, index
        return None

    def network(self) -> Network:
        """Return the network of the units.

        Raises:
            NoFiniteDomainError: the values of a layer cannot be listed.
            ModelError: a parameter is not finite.
        """
        layers = zip(
            "vh",
            (self.visible_bias, self.hidden_bias),
            (self.visible_units, self.hidden_units),
            self.kinds,
            strict=True,
        )
        variables: dict[Hashable, Variable] = {}
        for letter, biases, units, kind in layers:
            for index, bias in enumerate(biases.tolist()):
                node = letter, index
                variables[node] = Variable(units, kind, read_bias(node, {"units": units}, bias))
        return Network(variables, self._couplings(), self.tables())

    def _couplings(self) -> Couplings:
        if any(self.labels):
            nothing = np.zeros(0, np.intp)
            return Couplings(nothing, nothing, np.zeros(0))
        first, second = self.pairs()
        return Couplings(first, second + self.counts[0], self.weights[first, second].astype(np.float64))


@dataclass(frozen=True, eq=False)
class PairTable:
    """The table of a pair of units, one of which at least takes labels; it is computed when it is asked for."""

    arrays: PairwiseArrays
    i: int
    j: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"w({('v', self.i)}, {('h', self.j)})"

    @property
    def scope(self) -> tuple[Node, Node]:
        """The two units."""
        return ("v", self.i), ("h", self.j)

    @property
    def log_table(self) -> FloatArray:
        """What it contributes to −E, over the values of both."""
        return self.arrays.log_table(self.i, self.j)
