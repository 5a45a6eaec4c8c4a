"""Models as networkx graphs: named variables, couplings and factors, composed under one law."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgm_rbm.exact.elimination.order import colour_classes
    from pgm_rbm.exact.tractability import Tractability, Way
    from pgm_rbm.graph.bipartite import RBMGraph, arrays_from_graph, bipartition
    from pgm_rbm.graph.model import Factor, GraphModel, MostProbableAssignment

__all__ = [
    "Factor",
    "GraphModel",
    "MostProbableAssignment",
    "RBMGraph",
    "Tractability",
    "Way",
    "arrays_from_graph",
    "bipartition",
    "colour_classes",
]

_HOMES = {
    "Factor": "model",
    "GraphModel": "model",
    "MostProbableAssignment": "model",
    "RBMGraph": "bipartite",
    "arrays_from_graph": "bipartite",
    "bipartition": "bipartite",
}
_ELSEWHERE = {
    "Tractability": "pgm_rbm.exact.tractability",
    "Way": "pgm_rbm.exact.tractability",
    "colour_classes": "pgm_rbm.exact.elimination.order",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _ELSEWHERE.get(name) or f"{__name__}.{_HOMES[name]}"
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
