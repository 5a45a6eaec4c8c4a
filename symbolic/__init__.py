"""Energies of layered models, as mathematics: derive, check, typeset and generate code from one expression.

Write an energy with :class:`Layer`, :class:`Parameter` and :data:`Sum` (or as text, :meth:`Energy.parse`), then ask
it for the gradient of the log-likelihood, its free energy, its conditionals, its kernels or a lecture. Names are
loaded when first asked for, so importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from symbolic import face as _face  # noqa: F401  (it gives Energy, Derivation and Lecture their verbs)

if TYPE_CHECKING:
    from symbolic.check.verification import Check, Verification
    from symbolic.derivation.trace import Branch, Derivation, Step
    from symbolic.errors import (
        ArgumentError,
        CheckError,
        DivergentError,
        EnergyError,
        EnergySyntaxError,
        NotSeparableError,
        SymbolicError,
        UnboundError,
    )
    from symbolic.language.binders import ConfigSum, IndexProduct, IndexSum, Sum
    from symbolic.language.energy import Energy
    from symbolic.language.functions import log2cosh, sigmoid, softplus
    from symbolic.language.layers import Index, Indicator, Layer
    from symbolic.language.parameters import Parameter
    from symbolic.language.probability import EnergyCall, Expectation, FreeEnergy, Probability

_HOME = {
    "symbolic.language.layers": ("Index", "Indicator", "Layer"),
    "symbolic.language.parameters": ("Parameter",),
    "symbolic.language.binders": ("ConfigSum", "IndexProduct", "IndexSum", "Sum"),
    "symbolic.language.functions": ("log2cosh", "sigmoid", "softplus"),
    "symbolic.language.probability": ("EnergyCall", "Expectation", "FreeEnergy", "Probability"),
    "symbolic.language.energy": ("Energy",),
    "symbolic.derivation.trace": ("Branch", "Derivation", "Step"),
    "symbolic.check.verification": ("Check", "Verification"),
    "symbolic.errors": (
        "ArgumentError",
        "CheckError",
        "DivergentError",
        "EnergyError",
        "EnergySyntaxError",
        "NotSeparableError",
        "SymbolicError",
        "UnboundError",
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "ArgumentError",
    "Branch",
    "Check",
    "CheckError",
    "ConfigSum",
    "Derivation",
    "DivergentError",
    "Energy",
    "EnergyCall",
    "EnergyError",
    "EnergySyntaxError",
    "Expectation",
    "FreeEnergy",
    "Index",
    "IndexProduct",
    "IndexSum",
    "Indicator",
    "Layer",
    "NotSeparableError",
    "Parameter",
    "Probability",
    "Step",
    "Sum",
    "SymbolicError",
    "UnboundError",
    "Verification",
    "log2cosh",
    "sigmoid",
    "softplus",
]


def __getattr__(name: str) -> Any:
    try:
        module = _MODULE_OF[name]
    except KeyError:
        raise AttributeError(f"module 'symbolic' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
