"""Colour classes of a graph: sets of nodes without an edge between them, which Gibbs chains draw at once."""

from __future__ import annotations

from collections.abc import Hashable

import networkx as nx

__all__ = ["colour_classes"]


def colour_classes(graph: nx.Graph) -> list[list[Hashable]]:
    """Return the nodes in classes that hold no edge, so that a class can be resampled at once.

    A bipartite graph gets at most two classes; other graphs get few, though not always the fewest: those of fewest
    neighbours are coloured last (Matula and Beck, "Smallest-last ordering and clustering and graph coloring
    algorithms", 1983).

    Args:
        graph: any undirected networkx graph without self-loops.

    Returns:
        The classes, each in the order of the graph's nodes.
    """
    try:
        colours = nx.bipartite.color(graph)
    except nx.NetworkXError:
        colours = nx.greedy_color(graph, strategy="smallest_last")
    classes: list[list[Hashable]] = [[] for _ in range(max(colours.values(), default=-1) + 1)]
    for node in graph:
        classes[colours[node]].append(node)
    return classes
