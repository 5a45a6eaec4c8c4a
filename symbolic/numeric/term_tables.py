"""The terms of an energy as tables over the states of single units, for graphs of them.

The log-weight −E is multiplied out into products of functions of single units, and each product is evaluated for all
its indices and all states at once.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sympy import Add, Basic, Expr, Mul, NumberSymbol, Pow, Symbol

from symbolic.codegen.runtime import numpy
from symbolic.derivation.separation import monomials
from symbolic.errors import NotSeparableError
from symbolic.language.binders import IndexSum, written_out
from symbolic.language.expressions import Delta
from symbolic.language.layers import Index, Indicator, KnownAxis, Layer, State
from symbolic.language.parameters import Entry, Parameter
from symbolic.units import lookup

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = ["Term", "axis_length", "terms"]

Floats = npt.NDArray[np.float64]
Unit = tuple[str, int]


def terms(energy: Energy, given: Collection[str] = ()) -> Iterator[Term]:
    """The terms of −E, in which the states of the layers ``given`` are known.

    Raises:
        NotSeparableError: one takes a function of a sum over units.
    """
    for factors, binders in monomials(-energy.function.definition):
        written = [written_out(factor) for factor in factors]
        states = sorted({s for factor in written for s in factor.atoms(State) if s.layer.name not in given}, key=str)
        for factor in written:
            if any(total.has(*states) for total in factor.atoms(IndexSum) if states):
                raise NotSeparableError(
                    f"the term {IndexSum(Mul(*factors), *binders)} of -E takes a function of a sum over units, which "
                    "would be one table over all of them. Enumerate a layer, or sample."
                )
        yield Term(tuple(written), binders, tuple(states))


@dataclass(frozen=True)
class Term:
    """A product of functions of single units and of parameters, summed over indices.

    Attributes:
        factors: what is multiplied.
        binders: the indices of the sum.
        states: the units' states in it that are variables.
    """

    factors: tuple[Expr, ...]
    binders: tuple[Index, ...]
    states: tuple[State, ...]

    @property
    def linear(self) -> bool:
        """Whether the states are multiplied by what does not depend on them."""
        return set(self.states) <= set(self.factors) and not any(
            other.has(*self.states) for other in self._others if self.states
        )

    @property
    def _others(self) -> list[Expr]:
        return [factor for factor in self.factors if factor not in self.states]

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The axes of its values: one for each index, and unless it is linear one for each state."""
        over_states = () if self.linear else tuple(len(_states(state.layer.unit)) for state in self.states)
        return (*(axis_length(index.layer, sizes) for index in self.binders), *over_states)

    def tables(
        self, parameters: Mapping[str, Floats], sizes: Mapping[str, int], given: Mapping[str, Floats]
    ) -> Iterator[tuple[list[Unit], Floats]]:
        """Units with a table over their states that is not zero, or a coefficient if it is linear."""
        shape = self.shape(sizes)
        values = _Values(self, parameters, sizes, given)
        product = np.ones(shape)
        for factor in self._others if self.linear else self.factors:
            product = product * values.of(factor)
        owned = set().union(*(state.index.free_symbols for state in self.states)) if self.states else set()
        product = product.sum(axis=tuple(place for place, index in enumerate(self.binders) if index not in owned))
        kept = [index for index in self.binders if index in owned]
        present = (product != 0).any(axis=tuple(range(len(kept), product.ndim)))
        for place in np.argwhere(present) if kept else [()] if present else []:
            units = dict(zip(kept, map(int, place), strict=True))
            nodes = [(state.layer.name, int(units.get(state.index, state.index))) for state in self.states]
            yield nodes, product[tuple(place)]


def axis_length(axis: Layer, sizes: Mapping[str, int]) -> int:
    """How many places an axis has: units of a layer, or labels."""
    return int(axis.size) if isinstance(axis, KnownAxis) else sizes[axis.name]


def _states(unit: str) -> Floats:
    return np.array([float(state) for state in lookup(unit).states])


class _Values:
    """The parts of a term as arrays over its indices and its units' states, that broadcast with each other."""

    def __init__(
        self, term: Term, parameters: Mapping[str, Floats], sizes: Mapping[str, int], given: Mapping[str, Floats]
    ):
        self.parameters, self.sizes, self.given = parameters, sizes, given
        dimensions = len(term.shape(sizes))
        self.known: dict[Basic, Any] = {}
        axes: list[tuple[Basic, npt.NDArray[Any]]] = [
            (index, np.arange(axis_length(index.layer, sizes))) for index in term.binders
        ]
        if not term.linear:
            axes += [(state, _states(state.layer.unit)) for state in term.states]
        for place, (node, values) in enumerate(axes):
            self.known[node] = values.reshape([-1 if axis == place else 1 for axis in range(dimensions)])

    def of(self, node: Basic) -> Any:
        """The values of an expression."""
        if node in self.known:
            return self.known[node]
        if node.is_Number or isinstance(node, NumberSymbol):
            return float(node)
        if isinstance(node, State):
            return self.given[node.layer.name][self._place(node.index)]
        if isinstance(node, Entry):
            return self.parameters[node.parameter.name][tuple(map(self._place, node.indices))]
        if isinstance(node, Parameter):
            return self.parameters[node.name][()]
        if isinstance(node, Symbol):  # the number of a layer's units
            return float(next(size for name, size in self.sizes.items() if Layer(name).size == node))
        if isinstance(node, (Delta, Indicator)):
            return np.equal(*map(self.of, node.args)).astype(np.float64)
        if isinstance(node, IndexSum):
            return self._summed(node)
        arguments = [self.of(argument) for argument in node.args]
        if isinstance(node, (Add, Mul)):
            return reduce(operator.add if isinstance(node, Add) else operator.mul, arguments)
        if isinstance(node, Pow):
            return np.power(np.float64(arguments[0]), arguments[1])
        name = type(node).__name__
        return getattr(numpy if name in numpy.__all__ else np, name)(np.float64(*arguments))

    def _summed(self, total: IndexSum) -> Any:
        """A sum that stands within a function, of parameters and known states."""
        body, indices = total.open()
        result: Any = 0.0
        for place in np.ndindex(*(axis_length(index.layer, self.sizes) for index in indices)):
            self.known.update(zip(indices, place, strict=True))
            result = result + self.of(body)
        return result

    def _place(self, index: Basic) -> Any:
        return int(index) if index.is_Integer else self.known[index]
