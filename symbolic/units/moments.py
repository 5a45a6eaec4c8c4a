"""What follows from a row for any unit: mean and variance, probabilities of states, sums over listed ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from sympy import Dummy, Expr, S, Symbol, log, sympify

from symbolic.language.expressions import exponential
from symbolic.language.functions import Logsumexp
from symbolic.units.potential import Potential
from symbolic.units.unit import Unit

__all__ = [
    "closed_or_listed",
    "cumulant",
    "finite_draw",
    "label_draw",
    "log_base",
    "probability",
    "two_states_draw",
    "uniform_number",
]


@cache
def uniform_number() -> Expr:
    """Return u, the symbol of a uniform random number, 0 < u < 1, in the expression of a ``"quantile"`` sampler."""
    return Symbol("u", positive=True)


def cumulant(unit: Unit, potential: Potential, order: int, place: Expr | None = None) -> Expr:
    """Return the mean (order 1) or variance (order 2) of a unit: Γ′ or Γ″ by the field in its potential.

    Where the state is a vector, ``place`` says of which component.
    """
    x = Dummy("x", real=True)
    shifted, here = potential.in_field(x, unit.degree, place)
    derivative = unit.log_partition(shifted)
    for _ in range(order):
        derivative = derivative.diff(x)
    return derivative.xreplace({x: here})


def log_base(unit: Unit, state: Expr) -> Expr:
    """Return ln μ(s)."""
    return S.Zero if unit.base is None else log(unit.base(state))


def probability(unit: Unit, phi: Potential) -> Expr:
    """Return e^{φ(s) − Γ}, the probability of the label s of a categorical unit, in the index ``s`` over its labels."""
    return exponential(phi(phi.labels.index("s")) - unit.log_partition(phi))


def closed_or_listed(unit: Unit, closed: Callable[[Potential], Expr], phi: Potential) -> Expr:
    """Return Γ in a unit's closed form, or as the sum over its states."""
    return Logsumexp(*_log_weights(unit, phi)) if unit.is_written_out(phi) else closed(phi)


def label_draw(unit: Unit, phi: Potential) -> tuple[Expr, ...]:
    """Return the probability of each label."""
    return (probability(unit, phi),)


def two_states_draw(unit: Unit, phi: Potential) -> tuple[Expr, ...]:
    """Return the mean, which a uniform number is compared with."""
    return (cumulant(unit, phi, 1),)


def finite_draw(unit: Unit, phi: Potential) -> tuple[Expr, ...]:
    """Return the logarithms of the weights of the states, and the states."""
    return (*_log_weights(unit, phi), *map(sympify, unit.states))


def _log_weights(unit: Unit, phi: Potential) -> tuple[Expr, ...]:
    return tuple(phi(state) + log_base(unit, state) for state in map(sympify, unit.states))
