"""Putting models together: a shared name is one variable, potentials multiply, and Z is global."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import networkx as nx
import numpy as np

from pgm_rbm.errors import VariableConflictError
from pgm_rbm.graph.bipartite import require_simple
from pgm_rbm.graph.factors import FactorAxis
from pgm_rbm.graph.model import GraphModel
from pgm_rbm.model.variables import CATEGORICAL, canonical, same_kind

__all__ = ["compose"]


def compose(first: Any, second: Any, *more: Any) -> GraphModel:
    """Return the product of models: p(x) is proportional to the product of all their potentials.

    Variables of one name are one variable, whose values count with what their units weigh of themselves once. Biases
    and couplings add, factors are all kept (a second one of
    the same name over the same variables becomes "name (2)"), so the energy of the result is the sum of the
    energies, and its Z is a new, global one. A conditional table P(y | v) whose y stands nowhere else leaves
    the distribution of the rest as it was; a prior over v multiplies it (Koller & Friedman, Probabilistic
    Graphical Models, 2009, section 4.2.1).

    Two RBMs name their units alike: rename those that are not meant to be shared with ``networkx.relabel_nodes``.

    Args:
        first, second, *more: each a :class:`GraphModel`, any other undirected networkx graph (attributes ``units``,
            ``bias`` and ``weight``, with the defaults "binary", 0 and 0), or an object whose ``graph`` is one of
            these, such as an RBM. None of them is changed.

    Returns:
        A new model. Other node, edge and graph attributes are kept, those of earlier models first; ``role`` and
        ``bipartite`` are dropped from a variable on which the models differ.

    Raises:
        VariableConflictError: a shared variable has units of different values, or other labels; the error names it.
        TypeError: an argument is not a model.
        ModelError: a graph is directed or has parallel edges, or an attribute is not valid.

    Example:
        >>> from pgm_rbm import GraphModel, compose
        >>> coin = GraphModel()
        >>> coin.add_variable("x", bias=0.5)
        >>> sensor = GraphModel()
        >>> sensor.add_variable("x")
        >>> sensor.add_variable("y")
        >>> sensor.add_conditional("y", ["x"], [[0.9, 0.2], [0.1, 0.8]])  # P(y | x)
        >>> joint = compose(coin, sensor)
        >>> joint.query("x").round(4)
        array([0.3775, 0.6225])
        >>> joint.query("x", evidence={"y": 1}).round(4)
        array([0.0705, 0.9295])
    """
    product = GraphModel()
    for position, source in enumerate((first, second, *more), start=1):
        _multiply(product, _as_graph(source, position))
    return product


def _as_graph(source: Any, position: int) -> GraphModel:
    graph = source if isinstance(source, nx.Graph) else getattr(source, "graph", None)
    if not isinstance(graph, nx.Graph):
        raise TypeError(
            f"Argument {position} of compose must be a GraphModel, a networkx.Graph or a model with a graph. "
            f"Got {type(source).__name__}."
        )
    require_simple(graph, f"Argument {position} of compose")
    return graph if isinstance(graph, GraphModel) else GraphModel(graph)


def _multiply(product: GraphModel, model: GraphModel) -> None:
    for name, attributes in model.nodes(data=True):
        own = {key: value for key, value in attributes.items() if not isinstance(value, FactorAxis)}
        own |= {"units": model.units(name), "bias": model.bias(name)}
        if name not in product:
            product.add_node(name, **own)
        else:
            _merge_variable(product, name, own)
    for key, value in model.graph.items():
        product.graph.setdefault(key, value)
    for u, v, attributes in model.edges(data=True):
        if not product.has_edge(u, v):
            product.add_edge(u, v, **attributes)
            continue
        merged = product.edges[u, v]
        if attributes.get("weight") is not None:
            product.add_coupling(u, v, attributes["weight"])
        for key, value in attributes.items():
            merged.setdefault(key, value)
    for factor in model.factors:
        unique = product.unused_factor_name(factor.name, factor.scope)
        product.add_factor(factor.scope, log_table=factor.log_table, name=unique)


def _merge_variable(product: GraphModel, name: Hashable, own: Mapping[str, Any]) -> None:
    attributes = product.nodes[name]
    if not same_kind(name, attributes, own):
        here, there = _described(name, attributes), _described(name, own)
        raise VariableConflictError(
            f"Variable {name!r} has {here} in one model and {there} in another. Rename one of the two with "
            "networkx.relabel_nodes, or bring them to the same values (recoded changes binary and spin)."
        )
    if "labels" in attributes and "labels" in own and tuple(attributes["labels"]) != tuple(own["labels"]):
        raise VariableConflictError(
            f"Variable {name!r} has the labels {list(attributes['labels'])!r} in one model and "
            f"{list(own['labels'])!r} in another. Give both the same labels in the same order."
        )
    total = np.asarray(product.bias(name)) + np.asarray(own["bias"])
    attributes["bias"] = total if total.ndim else float(total)
    for key, value in own.items():
        if key in ("role", "bipartite") and key in attributes and attributes[key] != value:
            del attributes[key]
        else:
            attributes.setdefault(key, value)


def _described(name: Hashable, attributes: Mapping[str, Any]) -> str:
    units, states = canonical(name, attributes.get("units", "binary")), attributes.get("states")
    return f"units {units!r}" + (f" of {states} states" if units == CATEGORICAL else "")
