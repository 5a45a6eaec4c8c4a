"""What every expression of the language is made of: a base class, e^x, Kronecker's delta, and checked input."""

from __future__ import annotations

from typing import Any

from sympy import Add, Expr, FiniteSet, Mul, Pow, S, SympifyError, exp, sympify

from symbolic.errors import EnergyError

__all__ = ["Delta", "Unassuming", "as_expression", "exponential"]


def as_expression(value: Any) -> Expr:
    """Return ``value`` as a SymPy expression.

    Raises:
        EnergyError: it is not one. Text is refused above all, since SymPy would evaluate it as Python code.
    """
    if isinstance(value, Expr):
        return value
    try:
        found = sympify(value, strict=True)
    except SympifyError:
        found = None
    if not isinstance(found, Expr):
        hint = "; Energy.parse reads text" if isinstance(value, str) else ""
        raise EnergyError(f"an energy is made of unit states, parameters and numbers{hint}. Got {value!r}.")
    return found


class Unassuming(Expr):
    """An expression about which SymPy's assumptions know nothing, and say so without a search.

    Nothing here depends on what SymPy could find out, and it asks at almost every step.
    """

    is_commutative = True
    stays_in_exp = True
    is_algebraic = is_antihermitian = is_complex = is_composite = is_even = is_finite = is_hermitian = None
    is_imaginary = is_infinite = is_integer = is_irrational = is_noninteger = is_odd = is_polar = is_prime = None
    is_rational = is_real = is_transcendental = is_zero = is_nonzero = is_extended_real = is_extended_nonzero = None
    is_negative = is_nonnegative = is_nonpositive = is_positive = None
    is_extended_negative = is_extended_nonnegative = is_extended_nonpositive = is_extended_positive = None

    def extract_multiplicatively(self, c: Any) -> Expr | None:
        """Return what is left of a single factor without ``c``; exp asks this of all factors of its argument."""
        c = as_expression(c)
        return self if c is S.One else S.One if c == self else None


_ONE_ARGUMENT = FiniteSet(1)


def exponential(argument: Expr) -> Expr:
    """Return e^argument as SymPy's ``exp`` gives it, 20 times faster (38 against 730 µs; 2 cores, 2026-12).

    SymPy looks for logarithms and multiples of πi in the argument, and whether it is zero; where each of its terms has
    a factor of this language, such as a unit's state, there is nothing to be found.
    """
    if not all(map(_stays_in_exp, Add.make_args(argument))):
        return exp(argument)
    result = Expr.__new__(exp, argument)
    result.nargs = _ONE_ARGUMENT
    return result


def _stays_in_exp(term: Expr) -> bool:
    for factor in Mul.make_args(term):
        if getattr(factor, "stays_in_exp", False):
            return True
        if isinstance(factor, (Pow, exp)) and any(map(_stays_in_exp, Add.make_args(factor.args[0]))):
            return True
        if isinstance(factor, Add) and all(map(_stays_in_exp, factor.args)):
            return True
    return False


class Delta(Unassuming):
    """Kronecker's delta of two indices of one layer, or of two states: 1 if they are equal, else 0.

    Index sets are typed, so a sum over one of the indices contracts it with no case distinction.
    """

    def __new__(cls, a: Any, b: Any) -> Expr:
        a, b = as_expression(a), as_expression(b)
        if a == b:
            return S.One
        if a.is_Integer and b.is_Integer:
            return S.Zero
        first, second = sorted((a, b), key=lambda x: x.sort_key())
        return Expr.__new__(cls, first, second)

    def _eval_derivative(self, by: Expr) -> Expr:
        return S.Zero

    def _sympystr(self, printer: Any) -> str:
        return f"delta({', '.join(map(printer._print, self.args))})"
