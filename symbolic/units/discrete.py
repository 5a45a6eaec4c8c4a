"""The formulas of units with listed states, labels or counts. φ(s) = c_0 + c_1 s where a unit's degree is 1."""

from __future__ import annotations

from fractions import Fraction

from sympy import Expr, Integer, Rational, factorial, log
from sympy import binomial as binomial_coefficient

from symbolic.language.binders import IndexSum
from symbolic.language.domains import StateValue
from symbolic.language.expressions import exponential
from symbolic.language.functions import Logsumexp, lngeomsum, log1mexp, log2cosh, softplus
from symbolic.language.layers import Index
from symbolic.units.potential import Potential

__all__ = [
    "binary",
    "binomial",
    "binomial_base",
    "binomial_draw",
    "geometric",
    "integer",
    "integer_draw",
    "listed",
    "poisson",
    "poisson_base",
    "potts",
    "spin",
]


def binary(phi: Potential) -> Expr:
    """Return Γ = φ(0) + ln(1 + e^{φ(1) − φ(0)})."""
    return phi(0) + softplus(phi(1) - phi(0))


def spin(phi: Potential) -> Expr:
    """Return Γ = (φ(1) + φ(−1))/2 + ln 2 cosh((φ(1) − φ(−1))/2)."""
    return (phi(1) + phi(-1)) / 2 + log2cosh((phi(1) - phi(-1)) / 2)


def listed(states: tuple[StateValue, ...], phi: Potential) -> Expr:
    """Return Γ = ln Σ_s e^{φ(s)} over the states listed."""
    return Logsumexp(*(phi(Rational(state.numerator, state.denominator)) for state in map(Fraction, states)))


def potts(phi: Potential) -> Expr:
    """Return Γ = ln Σ_s e^{φ(s)} over the labels."""
    label = Index.fresh(phi.labels)
    return log(IndexSum(exponential(phi(label)), label))


def binomial(count: int, phi: Potential) -> Expr:
    """Return Γ = c_0 + n ln(1 + e^{c_1})."""
    c0, c1 = phi.coefficients(1)
    return c0 + count * softplus(c1)


def binomial_base(count: int, state: Expr) -> Expr:
    """Return μ(s), the binomial coefficient n over s."""
    return binomial_coefficient(count, state)


def binomial_draw(count: int, phi: Potential) -> tuple[Expr, ...]:
    """Return n and the field of each of the n binary units."""
    return Integer(count), phi.coefficients(1)[1]


def integer(last: int, phi: Potential) -> Expr:
    """Return Γ = c_0 + ln(1 + e^{c_1} + … + e^{n c_1})."""
    c0, c1 = phi.coefficients(1)
    return c0 + lngeomsum(Integer(last + 1), c1)


def integer_draw(last: int, phi: Potential) -> tuple[Expr, ...]:
    """Return the number of states and the field."""
    return Integer(last + 1), phi.coefficients(1)[1]


def poisson(phi: Potential) -> Expr:
    """Return Γ = c_0 + e^{c_1}."""
    c0, c1 = phi.coefficients(1)
    return c0 + exponential(c1)


def poisson_base(state: Expr) -> Expr:
    """Return μ(s) = 1 / s!."""
    return 1 / factorial(state)


def geometric(phi: Potential) -> Expr:
    """Return Γ = c_0 − ln(1 − e^{c_1})."""
    c0, c1 = phi.coefficients(1)
    return c0 - log1mexp(-c1)
