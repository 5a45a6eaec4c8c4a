"""Real numbers of forty digits, with the interface of :class:`symbolic.check.finite_field.Field`.

Lines that have no exact value are evaluated in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Any

from sympy import E, Expr, cos, erfc, loggamma, pi, sin

from symbolic.check.compiler import Compiler
from symbolic.check.environment import MODEL, Compiled
from symbolic.check.finite_field import Vanishes
from symbolic.check.quadrature import CONTEXT, DIGITS, PI, by_mpmath, over_states, real, weight
from symbolic.errors import CheckError
from symbolic.language.functions import StateFunction, bessel_i
from symbolic.language.layers import Layer
from symbolic.language.parameters import Parameter
from symbolic.units import Unit

__all__ = ["REALS", "Reals"]

# Two values agree if they do to DIGITS less what a few hundred operations can cost.
_TOLERANCE = Decimal(10) ** -(DIGITS - 4)
# Of a larger number 12 of the 40 digits stand before the point, and e to it has fewer than 28 that are right.
_LARGEST_EXPONENT = Decimal(10) ** 12


class Reals:
    """Compiled expressions in real numbers; exponents are real numbers like all others."""

    is_exact = False
    depth = 0

    def __init__(self) -> None:
        self.constants: dict[Expr, Decimal] = {E: CONTEXT.exp(Decimal(1)), pi: PI}

    @property
    def exponents(self) -> Reals:
        return self

    number = staticmethod(real)
    weight = staticmethod(weight)

    @staticmethod
    def equal(left: Decimal, right: Decimal, size: Decimal = Decimal(0)) -> bool:
        """Return whether two values agree, beside their own size and that of the terms they are the sums of."""
        return abs(left - right) <= _TOLERANCE * max(size, abs(left), abs(right))

    # Compiled expressions

    @staticmethod
    def sum(terms: Sequence[Compiled]) -> Compiled:
        if len(terms) == 2:
            a, b = terms
            return lambda env: a(env) + b(env)
        return lambda env: sum([term(env) for term in terms])

    @staticmethod
    def product(factors: Sequence[Compiled]) -> Compiled:
        match factors:
            case [a, b]:
                return lambda env: a(env) * b(env)
            case [a, b, c]:
                return lambda env: a(env) * b(env) * c(env)
        return lambda env: reduce(lambda product, factor: product * factor(env), factors, Decimal(1))

    @staticmethod
    def sum_over(slot: int, values: Compiled, term: Compiled) -> Compiled:
        def sum_over(env: list[Any]) -> Decimal:
            before, total = env[slot], Decimal(0)
            for value in values(env):
                env[slot] = value
                total += term(env)
            env[slot] = before
            return total

        return sum_over

    @staticmethod
    def product_over(slot: int, values: Compiled, factor: Compiled) -> Compiled:
        def product_over(env: list[Any]) -> Decimal:
            before, product = env[slot], Decimal(1)
            for value in values(env):
                env[slot] = value
                product *= factor(env)
            env[slot] = before
            return product

        return product_over

    @staticmethod
    def reduced(value: Decimal) -> Decimal:
        return value

    @staticmethod
    def inverse(value: Compiled) -> Compiled:
        def inverse(env: list[Any]) -> Decimal:
            found = value(env)
            if not found:
                raise Vanishes
            return 1 / found

        return inverse

    @staticmethod
    def whole_power(base: Compiled, exponent: int) -> Compiled:
        if exponent == 2:

            def square(env: list[Any]) -> Decimal:
                x = base(env)
                return x * x

            return square
        return lambda env: base(env) ** exponent if exponent else Decimal(1)

    def power(self, base: Compiled, exponent: Callable[[list[Any]], Fraction]) -> Compiled:
        return self.any_power(base, lambda env: self.number(exponent(env)))

    @staticmethod
    def any_power(base: Compiled, exponent: Compiled) -> Compiled:
        def power(env: list[Any]) -> Decimal:
            here, n = base(env), exponent(env)
            if here < 0 and n != int(n):
                raise CheckError("a root of a negative number.")
            if not here:
                if n < 0:
                    raise Vanishes
                return Decimal(not n)
            twice = 2 * n
            if twice == int(twice) and abs(twice) < 40:
                root = here.sqrt() if twice % 2 else None
                whole = here ** int(n)  # towards zero
                return whole if root is None else whole * root if n > 0 else whole / root
            return here**n

        return power

    @staticmethod
    def exp(exponent: Compiled) -> Compiled:
        def exp(env: list[Any]) -> Decimal:
            x = exponent(env)
            if abs(x) > _LARGEST_EXPONENT:
                if x > 0:
                    raise CheckError("an exponential overflows at this point.")
                return Decimal(0)
            return x.exp()

        return exp

    @staticmethod
    def argument_of_ln(value: Compiled) -> Compiled:
        def argument(env: list[Any]) -> Decimal:
            found: Decimal = value(env)
            if found <= 0:
                raise CheckError("the logarithm of a number that is not positive.")
            return found

        return argument

    def ln(self, value: Compiled) -> Compiled:
        argument = self.argument_of_ln(value)
        return lambda env: argument(env).ln()

    @staticmethod
    def integral(unit: Unit, layer: Layer, row: int, place: int, body: Compiled) -> Compiled:
        """Return the sum over all states of the unit at a place of a row."""

        def integral(env: list[Any]) -> Decimal:
            before, at = env[row], env[place]
            model = env[MODEL]

            def integrand(state: Any) -> Decimal:
                cell = tuple((x, x) for x in state) if isinstance(state, tuple) else (state,)
                env[row] = model.with_unit(before, at, (*cell, state), layer, passing=True)
                value: Decimal = body(env)
                return value

            try:
                return over_states(unit, integrand)
            finally:
                env[row] = before

        return integral

    # Functions that have a value in real numbers only

    def function(self, compiler: Compiler, node: Any) -> Compiled | None:
        """Return the value of a function; None if it is unknown here."""
        if isinstance(node, (StateFunction, cos, sin, erfc, loggamma)):
            argument, kind = compiler.value(node.args[0]), type(node)
            if isinstance(node, StateFunction):
                return lambda env: kind.at(argument(env))
            return lambda env: by_mpmath(kind.__name__, argument(env))
        if isinstance(node, bessel_i):
            order, argument = int(node.args[0]), compiler.value(node.args[1])
            return lambda env: by_mpmath("besseli", order, argument(env))
        return None

    def slope_of_function(self, compiler: Compiler, node: Any, by: Parameter) -> Compiled | None:
        """Return the derivative of a function; None if it is unknown here."""
        inner = compiler.slope(node.args[-1], by)
        if inner is None:
            return None
        argument = compiler.value(node.args[-1])
        if isinstance(node, erfc):
            factor = -2 / PI.sqrt()
            return lambda env: factor * (-(argument(env) ** 2)).exp() * inner(env)
        if isinstance(node, bessel_i):  # I_n′ = (I_{n−1} + I_{n+1}) / 2
            order = int(node.args[0])

            def slope(env: list[Any]) -> Decimal:
                x = argument(env)
                return (by_mpmath("besseli", order - 1, x) + by_mpmath("besseli", order + 1, x)) / 2 * inner(env)

            return slope
        return None


REALS = Reals()
