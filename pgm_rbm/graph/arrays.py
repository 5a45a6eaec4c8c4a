"""A bipartite graph as the arrays of an RBM."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from pgm_rbm.errors import ModelError
from pgm_rbm.graph.bipartite import bipartition, pairwise_arrays, require_simple
from pgm_rbm.graph.factors import read_factors
from pgm_rbm.model.variables import canonical, finite_number, has_labels

__all__ = ["GraphArrays", "arrays_from_graph"]


class GraphArrays(NamedTuple):
    """A bipartite graph as arrays.

    Attributes:
        visible_names, hidden_names: the nodes that the rows and columns of the weights stand for.
        weights: shape (n_visible, n_hidden); zero where there is no edge.
        visible_bias, hidden_bias: shapes (n_visible,) and (n_hidden,).
        mask: shape (n_visible, n_hidden), True where there is an edge; None when every pair has one.
        units: the unit types of the visible and of the hidden layer.
    """

    visible_names: list[Hashable]
    hidden_names: list[Hashable]
    weights: NDArray[np.float64]
    visible_bias: NDArray[np.float64]
    hidden_bias: NDArray[np.float64]
    mask: NDArray[np.bool_] | None
    units: tuple[str, str]


def arrays_from_graph(graph: nx.Graph) -> GraphArrays:
    """Return a bipartite networkx graph as the arrays of an RBM.

    Args:
        graph: any bipartite networkx graph, a :class:`GraphModel` included. The edge attribute ``weight`` and the
            node attribute ``bias`` are 0.0 where missing, so that a bare graph gives the shape of a model to be
            trained; ``units`` is "binary" where missing. The layers are told apart as by :func:`bipartition`.

    Returns:
        New float64 arrays; see :class:`GraphArrays`.

    Raises:
        NotBipartiteError: the graph holds an odd cycle.
        ModelError: a layer is empty or mixes units, a weight or bias is not a finite number, or the graph has
            factors or variables whose values are labels, which arrays of an RBM cannot hold.

    Example:
        >>> import networkx as nx
        >>> graph = nx.Graph()
        >>> graph.add_edge("v0", "h0", weight=0.5)
        >>> graph.add_edge("v1", "h0", weight=-1.0)
        >>> arrays_from_graph(graph).weights
        array([[ 0.5],
               [-1. ]])
    """
    require_simple(graph)
    held = pairwise_arrays(graph)
    if held is not None:
        if any(held.labels):
            raise ModelError(
                "The values of the graph are labels, which have a weight each. Keep the model as a GraphModel."
            )
        names = list(graph)
        mask = None if held.mask is None else held.mask.copy()
        weights = np.array(held.weights, dtype=np.float64)
        return GraphArrays(
            names[: len(weights)],
            names[len(weights) :],
            weights if mask is None else np.where(mask, weights, 0.0),
            np.array(held.visible_bias, dtype=np.float64),
            np.array(held.hidden_bias, dtype=np.float64),
            mask,
            (held.visible_units, held.hidden_units),
        )
    visible, hidden = bipartition(graph)
    for layer, nodes in (("visible", visible), ("hidden", hidden)):
        if not nodes:
            raise ModelError(
                f"The {layer} layer of the graph is empty. An RBM needs a node on each side; "
                'set the node attribute role to "visible" or "hidden" where no edge decides it.'
            )
    factors = read_factors(graph)
    if factors:
        raise ModelError(
            f"The graph has the factor {factors[0].name!r}, which arrays of an RBM cannot hold. "
            "Keep it as a GraphModel, or compose the factor with the RBM."
        )
    units = (_layer_units(graph, visible, "visible"), _layer_units(graph, hidden, "hidden"))
    row = {node: position for position, node in enumerate(visible)}
    column = {node: position for position, node in enumerate(hidden)}
    weights = np.zeros((len(visible), len(hidden)))
    mask = np.zeros(weights.shape, dtype=bool)
    for u, v, weight in graph.edges(data="weight"):
        i, j = (row[u], column[v]) if u in row else (row[v], column[u])
        mask[i, j] = True
        if weight is not None:
            weights[i, j] = finite_number(weight, f"weight of edge ({u!r}, {v!r})")
    return GraphArrays(
        visible,
        hidden,
        weights,
        _layer_bias(graph, visible),
        _layer_bias(graph, hidden),
        None if mask.all() else mask,
        units,
    )


def _layer_bias(graph: nx.Graph, nodes: list[Hashable]) -> NDArray[np.float64]:
    return np.array([finite_number(graph.nodes[node].get("bias", 0.0), f"bias of {node!r}") for node in nodes])


def _layer_units(graph: nx.Graph, nodes: list[Hashable], layer: str) -> str:
    found = None
    for node in nodes:
        attributes = graph.nodes[node]
        if has_labels(node, attributes):
            raise ModelError(
                f"Node {node!r} is categorical, which arrays of an RBM cannot hold. Keep the model as a GraphModel."
            )
        units = canonical(node, attributes.get("units", "binary"))
        if units != (found := found or units):
            raise ModelError(
                f"The {layer} layer must have one unit type. Got {found!r} at {nodes[0]!r} and {units!r} at {node!r}."
            )
    assert found is not None
    return found
