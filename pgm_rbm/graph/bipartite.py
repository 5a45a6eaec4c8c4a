"""Two-layer graphs: telling the layers apart."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import Any

import networkx as nx

from pgm_rbm.errors import ModelError, NotBipartiteError
from pgm_rbm.exact.elimination.of_arrays import PairwiseArrays

__all__ = ["bipartition", "pairwise_arrays", "require_simple", "two_sides"]

_SIDES = {"visible": 0, "hidden": 1}


def bipartition(graph: nx.Graph) -> tuple[list[Hashable], list[Hashable]]:
    """Return the visible and the hidden nodes of a bipartite graph.

    The node attributes ``role`` ("visible" or "hidden") and ``bipartite`` (0 for visible, 1 for hidden) decide where
    a connected part has them. In a part without them, the first node and all at even distance from it are visible.

    Args:
        graph: any undirected networkx graph.

    Returns:
        Two lists of nodes, each in the order of the graph.

    Raises:
        NotBipartiteError: the graph holds an odd cycle, which the error names.
        ModelError: the attributes contradict each other or the edges, or the graph is directed or a multigraph.

    Example:
        >>> import networkx as nx
        >>> bipartition(nx.path_graph(4))
        ([0, 2], [1, 3])
        >>> bipartition(nx.cycle_graph(3))
        Traceback (most recent call last):
        pgm_rbm.errors.NotBipartiteError: The graph is not bipartite: it holds the odd cycle 0 - 1 - 2 - 0 (length 3). \
Remove an edge of this cycle, or keep the model as a GraphModel.
    """
    require_simple(graph)
    found = two_sides(graph)
    if isinstance(found, ModelError):
        raise found
    return found


def two_sides(graph: nx.Graph) -> tuple[list[Hashable], list[Hashable]] | ModelError:
    """Return what `bipartition` does, or the error that says why there are no two sides."""
    arrays = pairwise_arrays(graph)
    if arrays is not None:
        nodes = list(graph)
        return nodes[: arrays.counts[0]], nodes[arrays.counts[0] :]
    side: dict[Hashable, int] = {}
    for start in graph:
        if start not in side:
            part = _two_colour(graph, start)
            placed = part if isinstance(part, ModelError) else _placed(graph, part)
            if isinstance(placed, ModelError):
                return placed
            side.update(placed)
    return [node for node in graph if side[node] == 0], [node for node in graph if side[node] == 1]


def pairwise_arrays(graph: nx.Graph) -> PairwiseArrays | None:
    """Return the arrays that a graph reads its nodes and edges from; None for an ordinary graph."""
    arrays = getattr(graph, "arrays", None)
    return arrays if isinstance(arrays, PairwiseArrays) else None


def _placed(graph: nx.Graph, part: dict[Hashable, int]) -> dict[Hashable, int] | ModelError:
    """Return a part of two colours with the side of every node: 0 for visible, 1 for hidden."""
    given: list[tuple[Hashable, int]] = []
    for node in part:
        wanted = _side(graph, node)
        if isinstance(wanted, ModelError):
            return wanted
        if wanted is not None:
            given.append((node, wanted))
    if not given:
        return part
    first, wanted = given[0]
    if part[first] != wanted:
        part = {node: 1 - colour for node, colour in part.items()}
    for node, wanted in given:
        if part[node] != wanted:
            return ModelError(
                f"The attributes role and bipartite of nodes {first!r} and {node!r} do not fit the edges between them: "
                "neighbours must be on different sides. Correct one of the two."
            )
    return part


def _side(graph: nx.Graph, node: Hashable) -> int | ModelError | None:
    """Return the side that the attributes of a node ask for; None where they ask for none."""
    attributes = graph.nodes[node]
    found: set[int] = set()
    if "role" in attributes:
        if attributes["role"] not in _SIDES:
            return ModelError(f'role of node {node!r} must be "visible" or "hidden". Got {attributes["role"]!r}.')
        found.add(_SIDES[attributes["role"]])
    if "bipartite" in attributes:
        if attributes["bipartite"] not in (0, 1):
            return ModelError(
                f"bipartite of node {node!r} must be 0 (visible) or 1 (hidden). Got {attributes['bipartite']!r}."
            )
        found.add(int(attributes["bipartite"]))
    if len(found) == 2:
        return ModelError(
            f"Node {node!r} has role {attributes['role']!r} and bipartite {attributes['bipartite']!r}, which "
            "contradict each other. Keep one: visible is 0, hidden is 1."
        )
    return found.pop() if found else None


def _two_colour(graph: nx.Graph, start: Hashable) -> dict[Hashable, int] | NotBipartiteError:
    """Return colours 0 and 1 for the connected part of ``start``, breadth first, or the error for an odd cycle."""
    colour = {start: 0}
    parent: dict[Hashable, Hashable] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for other in graph.adj[node]:
            if other not in colour:
                colour[other] = 1 - colour[node]
                parent[other] = node
                queue.append(other)
            elif colour[other] == colour[node]:
                return NotBipartiteError(_odd_cycle(node, other, parent))
    return colour


def _odd_cycle(u: Hashable, v: Hashable, parent: Mapping[Hashable, Hashable]) -> list[Hashable]:
    """Return the cycle that the edge (u, v) closes in a breadth-first tree where both are equally far from the root."""
    left, right = [u], [v]
    while left[-1] != right[-1]:
        left.append(parent[left[-1]])
        right.append(parent[right[-1]])
    return left[::-1] + right[:-1]


def require_simple(graph: Any, argument: str = "graph") -> None:
    """Refuse what is not an undirected networkx graph without parallel edges."""
    if not isinstance(graph, nx.Graph):
        raise TypeError(f"{argument} must be a networkx.Graph. Got {type(graph).__name__}.")
    if graph.is_directed() or graph.is_multigraph():
        raise ModelError(
            f"{argument} must be undirected and without parallel edges. Got a {type(graph).__name__}; "
            "convert it with networkx.Graph(graph)."
        )
