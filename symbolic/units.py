"""The table of units: what one unit of a layer can be, and what summing it out gives.

A unit with log-weight φ(s) over its states s has the log-partition Γ = ln Σ_s e^{φ(s)}; its mean is Γ′ and its
variance Γ″ in a linear field, so neither is typed in anywhere. A row holds what SymPy and the targets need of a
unit; adding a unit is adding a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from symbolic.errors import EnergyError

if TYPE_CHECKING:
    from sympy import Expr

__all__ = ["TABLE", "Unit", "lookup"]


@dataclass(frozen=True)
class Unit:
    """One row of the table.

    Attributes:
        name: what people write, such as ``"binary"``.
        states: the finite set of states, in increasing order.
        log_partition: from φ, a function from a state to an expression, the closed form of ln Σ_s e^{φ(s)}.
        description: one line for people.
    """

    name: str
    states: tuple[int, ...]
    log_partition: Callable[[Callable[[int], Expr]], Expr]
    description: str


def _binary(phi: Callable[[int], Expr]) -> Expr:
    from symbolic.language.functions import softplus

    return phi(0) + softplus(phi(1) - phi(0))


def _spin(phi: Callable[[int], Expr]) -> Expr:
    from symbolic.language.functions import log2cosh

    return (phi(1) + phi(-1)) / 2 + log2cosh((phi(1) - phi(-1)) / 2)


TABLE: Mapping[str, Unit] = MappingProxyType(
    {
        unit.name: unit
        for unit in (
            Unit("binary", (0, 1), _binary, "on or off: a Bernoulli unit with states 0 and 1"),
            Unit("spin", (-1, 1), _spin, "an Ising spin with states -1 and +1"),
        )
    }
)


def lookup(name: str) -> Unit:
    """The row called ``name``.

    Raises:
        EnergyError: there is none; the message lists those there are.
    """
    try:
        return TABLE[name]
    except (KeyError, TypeError):
        known = ", ".join(TABLE)
        raise EnergyError(f"there is no unit called {name!r}; the units are: {known}.") from None
