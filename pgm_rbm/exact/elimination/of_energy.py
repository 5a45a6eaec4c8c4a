"""A graph model made from any energy over units with finitely many values: the variables are its units.

Of the terms of −E, what is a number times one unit is a bias, what is a number times two is a coupling, and everything
else a factor.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgm_rbm.errors import ModelError, NoFiniteDomainError
from pgm_rbm.model.domains import is_finite
from pgm_rbm.model.variables import has_labels
from symbolic.errors import NotSeparableError
from symbolic.numeric.term_tables import axis_length, terms

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
    try:
        found = list(terms(energy, known))
    except NotSeparableError as error:
        raise ModelError(str(error)) from None
    wanted = sum(math.prod(term.shape(sizes)) for term in found)
    if wanted > _MOST_NUMBERS:
        raise ModelError(
            f"the terms of the energy come to {wanted:,} numbers; a graph model is made of {_MOST_NUMBERS:,} at most. "
            "Enumerate a layer, or sample."
        )
    arrays = {
        name: _array(parameters[name], name, tuple(axis_length(axis, sizes) for axis in parameter.layers))
        for name, parameter in energy.parameters.items()
    }
    order = [(layer.name, unit) for layer in layers for unit in range(sizes[layer.name])]
    for name, unit in order:
        model.add_variable((name, unit), units=energy.layer(name).unit)
    places = {node: place for place, node in enumerate(order)}
    tables: dict[tuple[Node, ...], Floats] = {}
    constant = 0.0
    for term in found:
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
