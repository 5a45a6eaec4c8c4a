"""Values where a formula reads 0/0, by power series.

A function such as ln((e^x − 1) / x) is defined at x = 0 by its limit. Its formula is expanded there, with rational
coefficients, from the series of e^x and of Bessel's functions alone.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import factorial
from typing import Any, NamedTuple

from sympy import Add, Dummy, Expr, Mul, Pow, Rational, exp, log

from symbolic.errors import CheckError
from symbolic.language.functions import StableFunction, bessel_i, by_name

__all__ = ["Limit", "limit_at_zero"]

# The terms of each series. Every cancellation loses a few: variances, which cancel three
# times, need 9 of them (8 are too few; 2026-12).
_TERMS = 12


class Limit(NamedTuple):
    """A function of z near 0: ``value`` + ``slope`` z + …, or the logarithm of that."""

    value: Fraction
    slope: Fraction
    of_logarithm: bool


@lru_cache(maxsize=256)
def limit_at_zero(name: str, *first: int) -> Limit:
    """Return the limit at z = 0 of the stable function of that name, as ``name(*first, z)``.

    Raises:
        CheckError: it has no limit there, or none with a power series.
    """
    # Roots of the argument are taken, so it is written as t².
    t = Dummy("t", positive=True)
    definition = by_name()[name](*first, t**2).definition()
    of_logarithm = isinstance(definition, log)
    series = _series(definition.args[0] if of_logarithm else definition, t)
    if series.first < 0:
        raise CheckError(f"{name} is infinite at 0.")
    return Limit(series[0], series[2], of_logarithm)


class _Series:
    """Σ_k c_k t^{first + k}, cut off after a number of terms."""

    def __init__(self, first: int, coefficients: list[Fraction]):
        zeros = next((k for k, c in enumerate(coefficients) if c), len(coefficients))
        self.first = first + zeros
        self.coefficients = coefficients[zeros:]

    def __getitem__(self, power: int) -> Fraction:
        place = power - self.first
        if place >= len(self.coefficients):
            raise CheckError("a series was cut off too early.")
        return self.coefficients[place] if place >= 0 else Fraction(0)

    @property
    def end(self) -> int:
        """Return the first power of which nothing is known."""
        return self.first + len(self.coefficients)

    def __add__(self, other: _Series) -> _Series:
        first, end = min(self.first, other.first), min(self.end, other.end)
        return _Series(first, [self[k] + other[k] for k in range(first, end)])

    def __mul__(self, other: _Series) -> _Series:
        count = min(len(self.coefficients), len(other.coefficients))
        product = [
            sum((self.coefficients[k] * other.coefficients[n - k] for k in range(n + 1)), Fraction(0))
            for n in range(count)
        ]
        return _Series(self.first + other.first, product)

    def inverse(self) -> _Series:
        if not self.coefficients:
            raise CheckError("one over zero.")
        lead, *rest = self.coefficients
        found = [1 / lead]
        for n in range(1, len(self.coefficients)):
            found.append(-sum((rest[k] * found[n - 1 - k] for k in range(n)), Fraction(0)) / lead)
        return _Series(-self.first, found)


def _number(value: Any) -> _Series:
    return _Series(0, [Fraction(value)] + [Fraction(0)] * (_TERMS - 1))


def _series(node: Expr, t: Expr) -> _Series:
    if node == t:
        return _Series(1, [Fraction(1)] + [Fraction(0)] * (_TERMS - 1))
    if isinstance(node, Rational):
        return _number(Fraction(int(node.p), int(node.q)))
    if isinstance(node, StableFunction):
        return _series(node.definition(), t)
    if isinstance(node, (Add, Mul)):
        total, *parts = (_series(part, t) for part in node.args)
        for part in parts:
            total = total + part if isinstance(node, Add) else total * part
        return total
    if isinstance(node, exp):
        return _composed(_series(node.args[0], t), lambda k: Fraction(1, factorial(k)))
    if isinstance(node, Pow) and node.exp.is_Integer:
        base = _series(node.base, t)
        base = base.inverse() if node.exp < 0 else base
        total = _number(1)
        for _ in range(abs(int(node.exp))):
            total = total * base
        return total
    if isinstance(node, bessel_i):  # I_n(x) = Σ_k (x/2)^{2k+n} / (k! (k+n)!)
        n = int(node.args[0])
        half = _series(node.args[1], t) * _number(Fraction(1, 2))

        def coefficient(power: int) -> Fraction:
            k, odd = divmod(power - n, 2)
            return Fraction(0) if odd or k < 0 else Fraction(1, factorial(k) * factorial(k + n))

        return _composed(half, coefficient)
    raise CheckError(f"{type(node).__name__} is not expanded in a series here.")


def _composed(inner: _Series, coefficient: Any) -> _Series:
    """Return Σ_k coefficient(k) x^k for a series x that vanishes at 0."""
    if inner.coefficients and inner.first < 1:
        raise CheckError("a series is expanded where its argument vanishes.")
    total, power = _number(coefficient(0)), _number(1)
    for k in range(1, _TERMS):
        power = power * inner
        total = total + power * _number(coefficient(k))
    return total
