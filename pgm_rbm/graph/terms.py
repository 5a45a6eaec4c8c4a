"""A graph model made from any energy over units with finitely many values: the variables are its units.

The log-weight −E is multiplied out into products of functions of single units, and each product is evaluated for all
its indices and all states at once. What is a number times one unit is a bias, what is a number times two is a coupling,
and everything else a factor.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sympy import Add, Basic, Expr, Mul, NumberSymbol, Pow, Symbol

from pgm_rbm.domains import is_finite, states_of
from pgm_rbm.errors import ModelError, NoFiniteDomainError
from pgm_rbm.graph.variables import has_labels
from symbolic.codegen import runtime_numpy
from symbolic.derivation.separation import monomials
from symbolic.language.binders import IndexSum, written_out
from symbolic.language.layers import Delta, Entry, Index, Indicator, KnownAxis, Layer, Parameter, State

if TYPE_CHECKING:
    from pgm_rbm.graph.model import GraphModel
    from symbolic import Energy

__all__ = ["fill"]

Floats = NDArray[np.float64]
Node = tuple[str, int]

# Numbers, over all indices and states of all terms, beyond which a graph is no way to look at a model.
_MOST_NUMBERS = 2**18


def fill(
    model: GraphModel,
    energy: Energy,
    parameters: Mapping[str, ArrayLike],
    sizes: Mapping[str, int],
    given: Mapping[str, ArrayLike],
) -> None:
    """Add the units and terms of an energy to a graph; arguments and errors as for `GraphModel.from_energy`."""
    _require_names(sizes, energy.layers, "sizes")
    _require_names(parameters, energy.parameters, "parameters")
    for name in given:
        energy.layer(name)
    known = {name: _array(states, name, (sizes[name],)) for name, states in given.items()}
    layers = [layer for name, layer in energy.layers.items() if name not in known]
    for layer in layers:
        if not is_finite(layer.unit):
            raise NoFiniteDomainError(
                f"the values of layer {layer.name} ({layer.unit} units) cannot be listed. A graph model needs units "
                "with finitely many values; sum that layer out first, or sample."
            )
    terms = list(_terms(energy, known))
    wanted = sum(math.prod(term.shape(sizes)) for term in terms)
    if wanted > _MOST_NUMBERS:
        raise ModelError(
            f"the terms of the energy come to {wanted:,} numbers; a graph model is made of {_MOST_NUMBERS:,} at most. "
            "Enumerate a layer, or sample."
        )
    arrays = {
        name: _array(parameters[name], name, tuple(_length(axis, sizes) for axis in parameter.layers))
        for name, parameter in energy.parameters.items()
    }
    order = [(layer.name, unit) for layer in layers for unit in range(sizes[layer.name])]
    for name, unit in order:
        model.add_variable((name, unit), units=energy.layer(name).unit)
    places = {node: place for place, node in enumerate(order)}
    tables: dict[tuple[Node, ...], Floats] = {}
    constant = 0.0
    for term in terms:
        for nodes, table in term.tables(arrays, sizes, known):
            distinct = tuple(sorted(set(nodes), key=places.__getitem__))
            if not nodes:
                constant += float(table)
            elif term.linear and len(distinct) == len(nodes) <= 2:
                _add_linear(model, nodes, float(table))
            else:
                if term.linear:
                    table = table * math.prod(np.ix_(*(model.domain(node).astype(float) for node in nodes)))
                axes = [[distinct.index(node) for node in some] for some in (nodes, distinct)]
                table = np.einsum(table, axes[0], axes[1])  # type: ignore[arg-type]  # axes by number
                tables[distinct] = tables.get(distinct, 0.0) + table
    for scope, table in tables.items():
        if len(scope) == 1 and has_labels(scope[0], model.nodes[scope[0]]):
            model.nodes[scope[0]]["bias"] = model.nodes[scope[0]]["bias"] + table
        else:
            model.add_factor(scope, log_table=table)
    if constant:
        model.add_constant(constant)


def _require_names(mapping: Mapping[str, Any], names: Collection[str], argument: str) -> None:
    if set(mapping) != set(names):
        raise ModelError(
            f"{argument} must name {', '.join(names) or 'nothing'}, as the energy does. "
            f"Got {', '.join(sorted(mapping)) or 'nothing'}."
        )


def _array(value: ArrayLike, name: str, shape: tuple[int, ...]) -> Floats:
    array = np.asarray(value, np.float64)
    if array.shape != shape:
        raise ModelError(f"{name} must have shape {shape}. Got {array.shape}.")
    if not np.isfinite(array).all():
        raise ModelError(f"{name} must hold finite numbers. Got NaN or infinity.")
    return array


def _add_linear(model: GraphModel, nodes: Sequence[Node], coefficient: float) -> None:
    first, *second = nodes
    if second:
        model.add_coupling(first, second[0], coefficient)
    else:
        model.nodes[first]["bias"] += coefficient


@dataclass(frozen=True)
class _Term:
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
        over_states = () if self.linear else tuple(len(_domain(state.layer.unit)) for state in self.states)
        return (*(_length(index.layer, sizes) for index in self.binders), *over_states)

    def tables(
        self, parameters: Mapping[str, Floats], sizes: Mapping[str, int], given: Mapping[str, Floats]
    ) -> Iterator[tuple[list[Node], Floats]]:
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


def _terms(energy: Energy, given: Collection[str]) -> Iterator[_Term]:
    """The terms of −E."""
    for factors, binders in monomials(-energy.function.definition):
        written = [written_out(factor) for factor in factors]
        states = sorted({s for factor in written for s in factor.atoms(State) if s.layer.name not in given}, key=str)
        for factor in written:
            if any(total.has(*states) for total in factor.atoms(IndexSum) if states):
                raise ModelError(
                    f"the term {IndexSum(Mul(*factors), *binders)} of -E takes a function of a sum over units, which "
                    "would be one table over all of them. Enumerate a layer, or sample."
                )
        yield _Term(tuple(written), binders, tuple(states))


def _length(axis: Layer, sizes: Mapping[str, int]) -> int:
    return int(axis.size) if isinstance(axis, KnownAxis) else sizes[axis.name]


def _domain(unit: str) -> Floats:
    return np.asarray(states_of(unit), np.float64)


class _Values:
    """The parts of a term as arrays over its indices and its units' states, that broadcast with each other."""

    def __init__(
        self, term: _Term, parameters: Mapping[str, Floats], sizes: Mapping[str, int], given: Mapping[str, Floats]
    ):
        self.parameters, self.sizes, self.given = parameters, sizes, given
        dimensions = len(term.shape(sizes))
        self.known: dict[Basic, Any] = {}
        axes: list[tuple[Basic, NDArray[Any]]] = [
            (index, np.arange(_length(index.layer, sizes))) for index in term.binders
        ]
        if not term.linear:
            axes += [(state, _domain(state.layer.unit)) for state in term.states]
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
        return getattr(runtime_numpy if name in runtime_numpy.__all__ else np, name)(np.float64(*arguments))

    def _summed(self, total: IndexSum) -> Any:
        """A sum that stands within a function, of parameters and known states."""
        body, indices = total.open()
        result: Any = 0.0
        for place in np.ndindex(*(_length(index.layer, self.sizes) for index in indices)):
            self.known.update(zip(indices, place, strict=True))
            result = result + self.of(body)
        return result

    def _place(self, index: Basic) -> Any:
        return int(index) if index.is_Integer else self.known[index]
