"""The values of a unit and their base measure, read from the table of units and applied to whole arrays.

A state s has a base measure μ(s): 1 for most units, 1/k! for a count with a Poisson distribution. Energies leave it out
(see `symbolic.units`), so the probability of a single configuration takes ln μ from here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

import symbolic.units
from symbolic.units import lookup

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

# A message lists at most this many states; it describes larger domains by their ends.
_LISTED = 16


def is_finite(unit: str) -> bool:
    """Return whether the states of a unit can be listed."""
    return bool(lookup(unit).is_finite)


def is_continuous(unit: str) -> bool:
    """Return whether the states are real numbers, so that p is a density in them."""
    return bool(lookup(unit).is_continuous)


def dimension(unit: str) -> int:
    """Return how many columns a state takes in an array: more than one if it is a vector."""
    return int(lookup(unit).dimension)


def is_plain(unit: str) -> bool:
    """Return whether a state is a number that couples as such: a pairwise model then has a weight per pair of units
    and a bias per unit."""
    return bool(lookup(unit).is_plain)


def is_bounded(unit: str) -> bool:
    """Return whether all states lie between two numbers, so that sums over them are finite for all parameters."""
    return bool(lookup(unit).is_bounded)


def is_quadratic(unit: str) -> bool:
    """Return whether the energy may hold the square of a state, so that a precision bounds its spread."""
    return bool(lookup(unit).degree == 2)


def has_conditions(unit: str) -> bool:
    """Return whether sums over the states are finite only under a condition, such as a positive rate or precision."""
    row = lookup(unit)
    return not (row.is_finite or row.is_bounded) and symbolic.units.has_conditions(unit)


def has_measure(unit: str) -> bool:
    """Return whether μ(s) differs from 1."""
    return lookup(unit).base is not None


def states_of(unit: str) -> tuple[float, ...]:
    """Return the finite set of states of a unit, in increasing order.

    Raises:
        ValueError: there is no such unit, or its states cannot be listed.
    """
    return tuple(float(state) for state in lookup(unit).states)


@cache
def ends(unit: str) -> tuple[float, float]:
    """Return the lowest and the highest state, infinite where there is none; for vectors, those of a component."""
    found: tuple[float, float] = lookup(unit).ends
    return found


def resting_state(unit: str) -> tuple[float, ...]:
    """Return the state nearest to zero, a number per column; for directions, all equally near, the last axis."""
    if is_finite(unit):
        return (min(states_of(unit), key=lambda state: (abs(state), -state)),)
    low, high = ends(unit)
    return (*(0.0,) * (dimension(unit) - 1), 1.0) if dimension(unit) > 1 else (float(min(max(0.0, low), high)),)


def describe(unit: str) -> str:
    """Return the domain as messages name it, such as ``{0, 1}`` or ``the real numbers``."""
    if is_finite(unit) and len(states_of(unit)) <= _LISTED:
        return "{" + ", ".join(f"{state:g}" for state in states_of(unit)) + "}"
    return str(lookup(unit).domain)


def listed(unit: str) -> str:
    """Return the domain in words, such as ``0 or 1`` or ``in [0, 1]``."""
    if is_finite(unit) and len(states_of(unit)) <= _LISTED:
        *first, last = (f"{state:g}" for state in states_of(unit))
        return f"{', '.join(first)} or {last}"
    return f"in {describe(unit)}"


def outside(values: npt.NDArray[Any], unit: str) -> npt.NDArray[np.bool_]:
    """Return where an array does not hold a state of the unit, NaN and infinity included; shape of ``values``.

    The components of a vector lie side by side; its length may differ from 1 by ``LENGTH_TOLERANCE``.
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
    """Return ln μ of every value, shape of ``values``; None where μ is 1 throughout."""
    row = lookup(unit)
    if row.base is None:
        return None
    if is_continuous(unit):
        with np.errstate(divide="ignore"):
            found: npt.NDArray[np.float64] = np.asarray(
                symbolic.units.log_density(unit)(values.astype(np.float64)), dtype=np.float64
            )
        return found
    distinct, places = np.unique(values, return_inverse=True)
    logs = np.array([symbolic.units.log_measure_of_state(unit, float(state)) for state in distinct])
    return logs[places].reshape(values.shape)
