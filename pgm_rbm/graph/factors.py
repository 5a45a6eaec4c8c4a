"""Factors of a graph model: tables that are kept in the attributes of the nodes of their scope."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from pgm_rbm.errors import ModelError
from pgm_rbm.exact.elimination.network import Factor
from pgm_rbm.exact.elimination.tables import FloatArray

__all__ = ["Factor", "FactorAxis", "factor_key", "read_factors"]


@dataclass(frozen=True, eq=False)
class FactorAxis:
    """One variable's share of a factor: kept in the attributes of every node of the scope.

    A factor is part of a model exactly when all its axes are present. Cutting a node away takes the factor
    with it, as it takes an edge; renaming nodes renames the scope.
    """

    name: str
    log_table: FloatArray
    axis: int

    def shares_table(self, other: FactorAxis) -> bool:
        return self.log_table is other.log_table or np.array_equal(self.log_table, other.log_table)


def read_factors(graph: nx.Graph) -> tuple[Factor, ...]:
    """Return the factors whose whole scope is in a graph, in the order in which their first axes are met.

    Raises:
        ModelError: two variables of a scope have been merged into one.
    """
    holders: dict[str, list[tuple[Hashable, FactorAxis]]] = {}
    for node, attributes in graph.nodes(data=True):
        for key, value in attributes.items():
            if isinstance(value, FactorAxis):
                holders.setdefault(key, []).append((node, value))
    return tuple(factor for held in holders.values() for factor in _assemble(graph, held))


def _assemble(graph: nx.Graph, held: list[tuple[Hashable, FactorAxis]]) -> list[Factor]:
    """Return the factors whose axes are held under one key: usually one, several after a disjoint union, none when
    cut."""
    groups: list[list[tuple[Hashable, FactorAxis]]] = []
    for entry in held:
        for group in groups:
            if group[0][1].shares_table(entry[1]):
                group.append(entry)
                break
        else:
            groups.append([entry])
    found: list[Factor] = []
    for group in groups:
        pieces = [group]
        if len({part.axis for _, part in group}) < len(group):
            components = nx.connected_components(graph.subgraph([node for node, _ in group]))
            pieces = [[entry for entry in group if entry[0] in component] for component in components]
        for piece in pieces:
            first = piece[0][1]
            by_axis = {part.axis: node for node, part in piece}
            if len(by_axis) < len(piece):
                raise ModelError(
                    f"factor {first.name!r} has two variables for one axis among "
                    f"{[n for n, _ in piece]!r}. "
                    "Merging nodes that share a factor needs a new factor over the merged scope."
                )
            if len(by_axis) == first.log_table.ndim:
                scope = tuple(by_axis[axis] for axis in range(first.log_table.ndim))
                found.append(Factor(first.name, scope, first.log_table))
    return found


def factor_key(name: str, scope: Sequence[Hashable]) -> str:
    """Return the attribute that holds a factor's axes.

    The scope is part of it so that factors of one name live side by side unless they are over the same variables.
    """
    return f"factor {name} over ({', '.join(map(repr, scope))})"
