"""What the formulas of a unit say of single states and of sums over all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from sympy import Rational, Symbol, expand_log, lambdify

from symbolic.units.moments import log_base
from symbolic.units.potential import Potential
from symbolic.units.table import lookup

__all__ = ["has_conditions", "log_density", "log_measure_of_state"]


@cache
def has_conditions(unit: str) -> bool:
    """Return whether sums over the states are finite only under a condition, such as a positive rate or precision."""
    row = lookup(unit)
    if row.is_finite or row.is_bounded:
        return False
    state, linear, square = Symbol("s"), Symbol("c_1"), Symbol("c_2")
    terms = ((state, linear), (state**2, square)) if row.degree == 2 else ((state, linear),)
    return bool(row.conditions(Potential(terms, state)))


@cache
def log_measure_of_state(unit: str, state: float) -> float:
    """Return ln μ(s) of one state of a unit whose states are counted."""
    return float(log_base(lookup(unit), Rational(state)))


@cache
def log_density(unit: str) -> Callable[[Any], Any]:
    """Return the function ln μ(s) of arrays of states of a continuous unit."""
    state = Symbol("s", positive=True)
    found: Callable[[Any], Any] = lambdify(state, expand_log(log_base(lookup(unit), state)), "numpy")
    return found
