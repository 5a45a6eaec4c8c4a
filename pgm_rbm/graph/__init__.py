"""Models as networkx graphs: named variables, couplings and factors, composed under one law."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgm_rbm.exact.tractability import Tractability, Way
    from pgm_rbm.graph.arrays import arrays_from_graph
    from pgm_rbm.graph.bipartite import bipartition
    from pgm_rbm.graph.colours import colour_classes
    from pgm_rbm.graph.factors import Factor
    from pgm_rbm.graph.live import RBMGraph
    from pgm_rbm.graph.model import GraphModel
    from pgm_rbm.graph.queries import MostProbableAssignment

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
    "Factor": "pgm_rbm.graph.factors",
    "GraphModel": "pgm_rbm.graph.model",
    "MostProbableAssignment": "pgm_rbm.graph.queries",
    "RBMGraph": "pgm_rbm.graph.live",
    "Tractability": "pgm_rbm.exact.tractability",
    "Way": "pgm_rbm.exact.tractability",
    "arrays_from_graph": "pgm_rbm.graph.arrays",
    "bipartition": "pgm_rbm.graph.bipartite",
    "colour_classes": "pgm_rbm.graph.colours",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
