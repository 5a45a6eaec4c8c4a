"""φ, the log-weight of one unit, which every formula of a row takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sympy import Add, Expr, Mul, S, Symbol, sympify

from symbolic.errors import EnergyError
from symbolic.language.binders import IndexSum, contracted
from symbolic.language.layers import Component, Coordinate, Index, State, StateAxis

__all__ = ["Potential", "field", "precision", "rate"]


class Potential:
    """φ, the log-weight of one unit as a function of its state.

    Args:
        terms: (dependence on the state, coefficient) pairs; φ is the sum of their products.
        state: the placeholder that stands for the state in the dependences.
        unit: what the unit is called in messages, such as ``"layer h"``.
    """

    def __init__(self, terms: tuple[tuple[Expr, Expr], ...], state: Expr, unit: str = "the unit"):
        self.terms = terms
        self.state = state
        self.unit = unit

    def __call__(self, value: Any) -> Expr:
        """Return φ in the state ``value``."""
        value = sympify(value)
        total = Add(*(part.xreplace({self.state: value}) * coefficient for part, coefficient in self.terms))
        return contracted(total) if self.has_coordinates else total

    @property
    def has_coordinates(self) -> bool:
        """Whether the terms hold coordinates of the state, a label or a vector, and not the state itself."""
        return any(part.has(Coordinate) for part, _ in self.terms)

    def coefficients(self, degree: int) -> tuple[Expr, ...]:
        """Return (c_0, …, c_degree) of φ(s) = c_0 + c_1 s + c_2 s² + …

        Raises:
            EnergyError: φ has a term that is not such a power of s; the message names the term.
        """
        found: list[Expr] = [S.Zero] * (degree + 1)
        for part, coefficient in self.terms:
            base, exponent = (part, S.Zero) if part == 1 else part.as_base_exp()
            if part != 1 and (base != self.state or not exponent.is_Integer or not 0 < exponent <= degree):
                powers = {1: "linear", 2: "at most quadratic"}[degree]
                raise EnergyError(
                    f"the term {self.shown(part * coefficient)} of −E is not {powers} in the states of {self.unit}, "
                    f"and its units have a closed form only for terms that are; write it with such terms or choose "
                    f"other units."
                )
            found[int(exponent)] += coefficient
        return tuple(found)

    def combine(self, known: Mapping[Expr, tuple[int, ...]]) -> tuple[Expr, ...]:
        """Return the coefficients of φ(s) = c_0 f_0(s) + c_1 f_1(s) + …

        Args:
            known: for each function of the state that φ may hold, an expression in :attr:`state`, how often it counts
                for each coefficient.

        Raises:
            EnergyError: φ has a term that is not a multiple of any of them; the message names the term.
        """
        found: list[Expr] = [S.Zero] * len(next(iter(known.values())))
        for part, coefficient in self.terms:
            if part not in known:
                functions = ", ".join(str(function.xreplace({self.state: Symbol("s")})) for function in known)
                raise EnergyError(
                    f"the term {self.shown(part * coefficient)} of −E is not a multiple of a function of the states "
                    f"of {self.unit} for which its units have a closed form; those are {functions}. Write it with them "
                    "or choose other units."
                )
            for place, count in enumerate(known[part]):
                found[place] += count * coefficient
        return tuple(found)

    def is_polynomial(self, degree: int) -> bool:
        """Return whether φ is a polynomial of this degree in the state."""
        try:
            self.coefficients(degree)
        except EnergyError:
            return False
        return True

    @property
    def labels(self) -> StateAxis:
        """The axis of the labels that the state is one of.

        Raises:
            EnergyError: the state is not a label.
        """
        assert isinstance(self.state, State)
        return self.state.layer.states

    def field(self, place: Expr) -> Expr:
        """Return x_α of φ(s) = c_0 + Σ_α x_α s_α, for a state that is a vector.

        Raises:
            EnergyError: φ has a term that is not linear in the components; the message names the term.
        """
        for part, coefficient in self.terms:
            body = part.as_coeff_Mul()[1]
            body = body.body if isinstance(body, IndexSum) else body
            own = [factor for factor in Mul.make_args(body) if factor.has(self.state)]
            if part != 1 and (len(own) != 1 or not isinstance(own[0], Component)):
                raise EnergyError(
                    f"the term {self.shown(part * coefficient)} of −E is not linear in the components of the states "
                    f"of {self.unit}, and its units have a closed form only for terms that are."
                )
        return self(place) - self(0)

    def shown(self, term: Expr) -> str:
        """Return a term as the energy has it, summed over the layer's units: no message shows an index of ours."""
        if not isinstance(self.state, State) or not isinstance(self.state.index, Index):
            return str(term)
        return str(IndexSum(term.xreplace({self.state: self.state.layer[self.state.index]}), self.state.index))

    def in_field(self, field: Expr, degree: int | None, place: Expr | None = None) -> tuple[Potential, Expr]:
        """Return φ with a linear term in ``field``, to differentiate by, and the value of the field at which it is φ.

        In a polynomial of the degree the field takes the place of the linear coefficient; else it is added to φ, and
        that value is 0. Where the state is a vector, ``place`` says which of its components the field acts on.
        """
        if degree is None or not self.is_polynomial(degree):
            part = self.state if place is None else Component(self.state, place)
            return Potential((*self.terms, (part, field)), self.state, self.unit), S.Zero
        c0, c1, *rest = self.coefficients(degree)
        powers = tuple((self.state**power, c) for power, c in enumerate(rest, 2) if c != 0)
        return Potential(((S.One, c0), (self.state, field), *powers), self.state, self.unit), c1


def field(phi: Potential) -> tuple[Expr, ...]:
    """Return (c_1,), for samplers that take the field of φ(s) = c_0 + c_1 s."""
    return (phi.coefficients(1)[1],)


def rate(phi: Potential) -> tuple[Expr, ...]:
    """Return (−c_1,), what must be positive for ∫ e^{c_0 + c_1 s} ds or Σ_s e^{c_0 + c_1 s} to be finite."""
    return (-phi.coefficients(1)[1],)


def precision(phi: Potential) -> tuple[Expr, ...]:
    """Return (q,) = (−2 c_2,), what must be positive for ∫ e^{c_0 + c_1 s + c_2 s²} ds to be finite."""
    return (-2 * phi.coefficients(2)[2],)
