"""Models as networkx graphs: named variables, couplings and factors, composed under one law."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgm_rbm.graph.bipartite import RBMGraph, arrays_from_graph, bipartition
    from pgm_rbm.graph.model import Factor, GraphModel, MostProbable
    from pgm_rbm.graph.structure import colour_classes
    from pgm_rbm.graph.tractability import Tractability, Way

__all__ = [
    "Factor",
    "GraphModel",
    "MostProbable",
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
    "MostProbable": "model",
    "RBMGraph": "bipartite",
    "Tractability": "tractability",
    "Way": "tractability",
    "arrays_from_graph": "bipartite",
    "bipartition": "bipartite",
    "colour_classes": "structure",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
