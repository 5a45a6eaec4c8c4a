"""Restricted Boltzmann machines as graph models.

One energy gives the derivation of the gradient, the kernels that compute it and the model that learns by it. The
names below are loaded when they are first asked for, so importing the package is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgm_rbm.graph.compose import compose
    from pgm_rbm.graph.model import GraphModel
    from pgm_rbm.rbm import RBM

__all__ = ["RBM", "GraphModel", "__version__", "compose"]

__version__ = "0.1.0"

_HOMES = {
    "RBM": "pgm_rbm.rbm",
    "GraphModel": "pgm_rbm.graph.model",
    "compose": "pgm_rbm.graph.compose",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
