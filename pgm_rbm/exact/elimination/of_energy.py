"""The terms of any energy over units with finitely many values, as biases, couplings and factors of these units.

Of the terms of −E, a number times one unit is a bias, a number times two is a coupling, and all else is a factor.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pgm_rbm.errors import ModelError, NoFiniteDomainError
from pgm_rbm.exact.elimination.network import Couplings, Factor, Network, Variable, read_log_table
from pgm_rbm.exact.elimination.of_arrays import Node
from pgm_rbm.exact.elimination.tables import FloatArray
from pgm_rbm.model.domains import is_finite
from pgm_rbm.model.variables import canonical, finite_number, has_labels, kind_of, read_bias
from symbolic import Energy
from symbolic.errors import NotSeparableError
from symbolic.numeric.term_tables import Term, axis_length, terms

__all__ = ["UnitTerms", "hindrance", "read_energy"]

# Numbers, over all indices and states of all terms, beyond which a graph is not a way to look at a model: it takes 4 s
# to make one of 2^18 weights, and 16 s of 2^18 factors (2 cores, 2026-12).
_MOST_NUMBERS = 2**18


@dataclass(frozen=True)
class UnitTerms:
    """−E as terms of single units.

    Attributes:
        units: what each unit is, in order.
        biases: a number per unit, or where its values are labels an array.
        couplings: a weight per pair of units in their order; in the order in which the terms are met.
        factors: ln φ per scope, likewise.
        constant: what depends on no unit.
    """

    units: Mapping[Node, str]
    biases: Mapping[Node, float | FloatArray]
    couplings: Mapping[tuple[Node, Node], float]
    factors: Mapping[tuple[Node, ...], FloatArray]
    constant: float

    def network(self) -> Network:
        """Return the network of the units, with everything in the order in which a graph of them is read.

        Raises:
            ModelError: there is a constant and no unit, or a table is not one of logarithms.
        """
        place = {node: k for k, node in enumerate(self.units)}

        def first(nodes: tuple[Node, ...]) -> int:
            return min(place[node] for node in nodes)

        variables: dict[Hashable, Variable] = {}
        for node, units in self.units.items():
            kind = kind_of(node, {"units": units})
            variables[node] = Variable(units, kind, read_bias(node, {"units": units}, self.biases[node]))
        pairs = sorted(self.couplings, key=first)
        weights = [finite_number(self.couplings[pair], f"weight of {pair!r}") for pair in pairs]
        present = [(place[u], place[v], weight) for (u, v), weight in zip(pairs, weights, strict=True) if weight]
        factors = [
            (scope, read_log_table(self.factors[scope], "log_table"), f"phi({', '.join(map(str, scope))})")
            for scope in self.factors
        ]
        if self.constant:
            if not self.units:
                raise ModelError("A constant needs a variable to be held by. Add a variable first.")
            node = next(iter(self.units))
            factors.append(((node,), np.full(len(variables[node].kind.values), self.constant), "constant"))
        factors.sort(key=lambda factor: first(factor[0]))
        ends = np.array([pair[:2] for pair in present], np.intp).reshape(-1, 2).T
        couplings = Couplings(ends[0], ends[1], np.array([weight for *_, weight in present], np.float64))
        return Network(variables, couplings, [Factor(name, scope, logs) for scope, logs, name in factors])


def read_energy(
    energy: Energy,
    parameters: Mapping[str, ArrayLike],
    sizes: Mapping[str, int],
    given: Mapping[str, ArrayLike],
) -> UnitTerms:
    """Return the terms of an energy; arguments and errors as for `GraphModel.from_energy`."""
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
    found = _terms(energy, known, sizes)
    if isinstance(found, str):
        raise ModelError(found)
    arrays = {
        name: _array(parameters[name], name, tuple(axis_length(axis, sizes) for axis in parameter.layers))
        for name, parameter in energy.parameters.items()
    }
    units = {
        (layer.name, unit): canonical(layer.name, layer.unit) for layer in layers for unit in range(sizes[layer.name])
    }
    sums = _Sums(units)
    for term in found:
        for nodes, table in term.tables(arrays, sizes, known):
            sums.add(tuple(nodes), table, term.linear)
    return sums.terms()


def hindrance(energy: Energy, sizes: Mapping[str, int]) -> str | None:
    """Return why the energy makes no graph of units of these numbers; None where it makes one."""
    found = _terms(energy, {}, sizes)
    return found if isinstance(found, str) else None


def _terms(energy: Energy, known: Mapping[str, FloatArray], sizes: Mapping[str, int]) -> list[Term] | str:
    """Return the terms of −E, or the reason why they make no graph."""
    try:
        found = list(terms(energy, known))
    except NotSeparableError as error:
        return str(error)
    wanted = sum(math.prod(term.shape(sizes)) for term in found)
    if wanted > _MOST_NUMBERS:
        return (
            f"the terms of the energy come to {wanted:,} numbers; a graph model is made of {_MOST_NUMBERS:,} at most. "
            "Enumerate a layer, or sample."
        )
    return found


class _Sums:
    """Terms of −E, added up as they come."""

    def __init__(self, units: Mapping[Node, str]):
        self.units = units
        self.places = {node: place for place, node in enumerate(units)}
        self.biases = {node: read_bias(node, {"units": unit}, None) for node, unit in units.items()}
        self.couplings: dict[tuple[Node, Node], float] = {}
        self.factors: dict[tuple[Node, ...], FloatArray] = {}
        self.constant = 0.0

    def add(self, nodes: tuple[Node, ...], table: FloatArray, linear: bool) -> None:
        """Add a term.

        Args:
            nodes: the units that it ties together; one may stand there more than once.
            table: its values over theirs, or where it is linear a coefficient.
            linear: whether it is a coefficient times the product of the units' values.
        """
        distinct = tuple(sorted(set(nodes), key=self.places.__getitem__))
        if not nodes:
            self.constant += float(table)
        elif linear and len(nodes) == 1:
            self.biases[nodes[0]] += float(table)
        elif linear and len(distinct) == len(nodes) == 2:
            first, second = distinct
            self.couplings[first, second] = self.couplings.get((first, second), 0.0) + float(table)
        else:
            if linear:
                domains = (kind_of(node, {"units": self.units[node]}).domain for node in nodes)
                table = table * math.prod(np.ix_(*(domain.astype(float) for domain in domains)))
            axes = [[distinct.index(node) for node in some] for some in (nodes, distinct)]
            table = np.einsum(table, axes[0], axes[1])  # type: ignore[arg-type]  # axes by number
            self.factors[distinct] = self.factors.get(distinct, 0.0) + table

    def terms(self) -> UnitTerms:
        """Return what has been added, with the tables of single units of labels as biases."""
        factors, biases = dict(self.factors), dict(self.biases)
        for scope in self.factors:
            if len(scope) == 1 and has_labels(scope[0], {"units": self.units[scope[0]]}):
                biases[scope[0]] = biases[scope[0]] + factors.pop(scope)
        return UnitTerms(self.units, biases, self.couplings, factors, self.constant)


def _require_names(mapping: Mapping[str, Any], names: Collection[str], argument: str) -> None:
    if set(mapping) != set(names):
        raise ModelError(
            f"{argument} must name {', '.join(names) or 'nothing'}, as the energy does. "
            f"Got {', '.join(sorted(mapping)) or 'nothing'}."
        )


def _array(value: ArrayLike, name: str, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(value, np.float64)
    if array.shape != shape:
        raise ModelError(f"{name} must have shape {shape}. Got {array.shape}.")
    if not np.isfinite(array).all():
        raise ModelError(f"{name} must hold finite numbers. Got NaN or infinity.")
    return array
