"""The units of layers: one row each, plain facts and the places of its formulas (:mod:`symbolic.units.table`).

Facts load no SymPy; what is mathematics is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from symbolic.language.domains import Circle, Domain, Finite, Integers, Interval, Sphere, StateValue
from symbolic.units.table import FAMILIES, TABLE, axis_length, installed_units, is_own, known_units, lookup
from symbolic.units.unit import Formula, Sampler, Statistics, Unit

if TYPE_CHECKING:
    from symbolic.units.measures import has_conditions, log_density, log_measure_of_state
    from symbolic.units.moments import cumulant, log_base, probability, uniform_number
    from symbolic.units.potential import Potential

_MATHEMATICS = {
    "Potential": "potential",
    "cumulant": "moments",
    "has_conditions": "measures",
    "log_density": "measures",
    "log_measure_of_state": "measures",
    "log_base": "moments",
    "probability": "moments",
    "uniform_number": "moments",
}

__all__ = [
    "FAMILIES",
    "TABLE",
    "Circle",
    "Domain",
    "Finite",
    "Formula",
    "Integers",
    "Interval",
    "Potential",
    "Sampler",
    "Sphere",
    "StateValue",
    "Statistics",
    "Unit",
    "axis_length",
    "cumulant",
    "has_conditions",
    "installed_units",
    "is_own",
    "known_units",
    "log_base",
    "log_density",
    "log_measure_of_state",
    "lookup",
    "probability",
    "uniform_number",
]


def __getattr__(name: str) -> Any:
    if name not in _MATHEMATICS:
        raise AttributeError(f"module 'symbolic.units' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"symbolic.units.{_MATHEMATICS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
