"""Which values a unit can take, and what a state weighs of itself, read from the table of units for whole arrays.

A state s has a base measure μ(s): 1 for most units, 1/k! for a count with a Poisson distribution. Energies leave it out
(see `symbolic.units`), so what is said of single configurations, p(v) above all, takes ln μ from here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "describe",
    "dimension",
    "ends",
    "has_conditions",
    "has_measure",
    "is_bounded",
    "is_continuous",
    "is_finite",
    "is_plain",
    "is_quadratic",
    "listed",
    "log_measure",
    "outside",
    "resting_state",
    "states_of",
]

LENGTH_TOLERANCE = 1e-5
"""By how much the length of a vector may differ from 1: float32 rounds it by 1e-7."""

_LISTED = 16


@cache
def _unit(name: str) -> Any:
    from symbolic.units import lookup

    return lookup(name)


def is_finite(unit: str) -> bool:
    """Whether the states of a unit can be listed."""
    return bool(_unit(unit).is_finite)


def is_continuous(unit: str) -> bool:
    """Whether the states are real numbers, so that p is a density in them."""
    return bool(_unit(unit).is_continuous)


def dimension(unit: str) -> int:
    """How many columns a state takes in an array: more than one if it is a vector."""
    return int(_unit(unit).dimension)


def is_plain(unit: str) -> bool:
    """Whether a unit is coupled by its state, a number, so that a pairwise model has a weight for each pair of units
    and a bias for each."""
    return bool(_unit(unit).is_plain)


def is_bounded(unit: str) -> bool:
    """Whether all states lie between two numbers, so that sums over them are finite whatever the parameters."""
    return bool(_unit(unit).is_bounded)


def is_quadratic(unit: str) -> bool:
    """Whether the energy may hold the square of a state, so that a precision keeps the states together."""
    return bool(_unit(unit).degree == 2)


@cache
def has_conditions(unit: str) -> bool:
    """Whether sums over the states are finite only under a condition, such as a positive rate or precision."""
    row = _unit(unit)
    if row.is_finite or is_bounded(unit):
        return False
    from sympy import Symbol

    from symbolic.units import Potential

    state, linear, square = Symbol("s"), Symbol("c_1"), Symbol("c_2")
    terms = ((state, linear), (state**2, square)) if is_quadratic(unit) else ((state, linear),)
    return bool(row.conditions(Potential(terms, state)))


def has_measure(unit: str) -> bool:
    """Whether μ(s) is other than 1."""
    return _unit(unit).base is not None


def states_of(unit: str) -> tuple[float, ...]:
    """The finite set of states of a unit, in increasing order.

    Raises:
        ValueError: there is no such unit, or its states cannot be listed.
    """
    return tuple(float(state) for state in _unit(unit).states)


@cache
def ends(unit: str) -> tuple[float, float]:
    """The lowest and the highest state, infinite where there is none; of vectors, what a component can be."""
    found: tuple[float, float] = _unit(unit).ends
    return found


def resting_state(unit: str) -> tuple[float, ...]:
    """The state nearest to zero, in as many numbers as it takes; the last axis of directions, all as near."""
    if is_finite(unit):
        return (min(states_of(unit), key=lambda state: (abs(state), -state)),)
    low, high = ends(unit)
    return (*(0.0,) * (dimension(unit) - 1), 1.0) if dimension(unit) > 1 else (float(min(max(0.0, low), high)),)


def describe(unit: str) -> str:
    """The domain as messages name it, such as ``{0, 1}`` or ``the real numbers``."""
    if is_finite(unit) and len(states_of(unit)) <= _LISTED:
        return "{" + ", ".join(f"{state:g}" for state in states_of(unit)) + "}"
    return str(_unit(unit).domain)


def listed(unit: str) -> str:
    """The domain in words, such as ``0 or 1`` or ``in [0, 1]``."""
    if is_finite(unit) and len(states_of(unit)) <= _LISTED:
        *first, last = (f"{state:g}" for state in states_of(unit))
        return f"{', '.join(first)} or {last}"
    return f"in {describe(unit)}"


def outside(values: npt.NDArray[Any], unit: str) -> npt.NDArray[np.bool_]:
    """Where an array holds what is no state of the unit, NaN and infinity included; shape of ``values``.

    The components of a vector lie side by side; its length is 1 to ``LENGTH_TOLERANCE``.
    """
    if dimension(unit) > 1:
        squares = np.square(values.astype(np.float64)).reshape(*values.shape[:-1], -1, dimension(unit)).sum(axis=-1)
        return np.repeat(~(np.abs(squares - 1) <= 2 * LENGTH_TOLERANCE), dimension(unit), axis=-1)
    if is_finite(unit) and len(states_of(unit)) <= _LISTED:
        allowed = np.zeros(values.shape, dtype=bool)
        for state in states_of(unit):
            allowed |= values == state
        return ~allowed
    low, high = ends(unit)
    wrong: npt.NDArray[np.bool_] = ~((values >= low) & (values <= high) & np.isfinite(values))
    if is_finite(unit):
        wrong |= ~np.isin(values, np.asarray(states_of(unit)))
    elif not is_continuous(unit):
        with np.errstate(invalid="ignore"):
            wrong |= np.floor(values) != values
    return wrong


def log_measure(unit: str, values: npt.NDArray[Any]) -> npt.NDArray[np.float64] | None:
    """ln μ of every value, shape of ``values``; None where μ is 1 throughout."""
    row = _unit(unit)
    if row.base is None:
        return None
    if is_continuous(unit):
        with np.errstate(divide="ignore"):
            found: npt.NDArray[np.float64] = np.asarray(_log_density(unit)(values.astype(np.float64)), dtype=np.float64)
        return found
    distinct, places = np.unique(values, return_inverse=True)
    logs = np.array([_log_of_state(unit, float(state)) for state in distinct])
    return logs[places].reshape(values.shape)


@cache
def _log_of_state(unit: str, state: float) -> float:
    from sympy import Rational

    from symbolic.units import log_base

    return float(log_base(_unit(unit), Rational(state)))


@cache
def _log_density(unit: str) -> Any:
    from sympy import Symbol, expand_log, lambdify

    from symbolic.units import log_base

    s = Symbol("s", positive=True)
    return lambdify(s, expand_log(log_base(_unit(unit), s)), "numpy")
