"""Spin models on graphs, and how near exact answers come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pgm_rbm.graph.model import GraphModel

# Sums of a few thousand terms in float64, taken in another order: 1e-12 relative is some hundred roundings.
RELATIVE = 1e-12


def spins(count: Any, edges: Iterable[tuple[Any, Any]], coupling: float, bias: float = 0.0) -> GraphModel:
    model = GraphModel()
    for name in count if not isinstance(count, int) else range(count):
        model.add_variable(name, "spin", bias=bias)
    for u, v in edges:
        model.add_coupling(u, v, coupling)
    return model


def grid(rows: int, columns: int, coupling: float, *, periodic: bool) -> GraphModel:
    sites = [(i, j) for i in range(rows) for j in range(columns)]
    right = [((i, j), (i, (j + 1) % columns)) for i, j in sites if periodic or j + 1 < columns]
    down = [((i, j), ((i + 1) % rows, j)) for i, j in sites if periodic or i + 1 < rows]
    return spins(sites, right + down, coupling)
