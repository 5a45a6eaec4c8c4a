"""How −E grows where states run away to infinity, which decides whether Z is finite.

A unit is *open* if its states have no end on some side. Of the terms of −E those matter in which states of open
units are multiplied with each other, or squared; a term in a single state to the first power matters to the unit's own
conditions alone. Open units are of two kinds. Those of *Gaussian kind* (degree 2 in the table of units) are
held together by a precision, the coefficient of −s²/2, and what is quadratic in them makes a quadratic form: the
curvature of E. Those of *lighter kind*, counts and rates, are held together by terms of lower order than s², so that no
term in which they are multiplied with another open state may be positive anywhere, nor any term of third order or more.

A state that runs in one direction only, from an end, is a *ray*; one that runs in both is a line. Where an energy names
the parts pos(s) and neg(s) of a state, each part is a ray.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

from sympy import Expr, Mul, S, cos, exp, sin, sympify

from symbolic.derivation.separation import monomials, single_out
from symbolic.errors import DivergentError, EnergyError
from symbolic.language.binders import IndexSum
from symbolic.language.energy import Energy
from symbolic.language.functions import StateFunction, neg, nonzero, pos
from symbolic.language.layers import Component, Configuration, Index, Indicator, Layer, State
from symbolic.language.parameters import Entry, Parameter
from symbolic.units import Circle, Finite, Integers, Unit, lookup

__all__ = ["Coordinate", "Growth", "Part", "Term", "growth"]


@dataclass(frozen=True)
class Coordinate:
    """The states of an open layer, or one part of them.

    Attributes:
        layer: the layer.
        side: ``""`` for the states themselves, ``"pos"`` or ``"neg"`` for a part.
    """

    layer: Layer
    side: str = ""

    @property
    def is_ray(self) -> bool:
        """Whether it takes one sign only, far out."""
        return bool(self.side) or not all(map(math.isinf, lookup(self.layer.unit).ends))

    @property
    def sign(self) -> int:
        """−1 for a ray of negative numbers, else 1."""
        return -1 if self.side == "neg" or (not self.side and lookup(self.layer.unit).ends[1] < math.inf) else 1

    @property
    def is_quadratic(self) -> bool:
        """Whether a precision holds the states together."""
        return lookup(self.layer.unit).degree == 2


@dataclass(frozen=True)
class Part:
    """A power of one open state, or of a part of it, in a term."""

    coordinate: Coordinate
    index: Expr
    power: int

    @property
    def sign(self) -> int:
        """The sign that it has in all states; 0 if it has either."""
        if self.power % 2 == 0:
            return 1
        return self.coordinate.sign if self.coordinate.is_ray else 0


@dataclass(frozen=True)
class Term:
    """A term of −E in which open states are multiplied: Σ weight · factors · Π parts.

    Attributes:
        parts: the open states.
        weight: the product of numbers and parameters.
        factors: functions of other states, which are bounded.
        indices: over which the term is summed.
    """

    parts: tuple[Part, ...]
    weight: Expr
    factors: tuple[Expr, ...]
    indices: tuple[Index, ...]

    @property
    def is_curvature(self) -> bool:
        """Whether it is quadratic in states of Gaussian kind."""
        return self.order == 2 and all(part.coordinate.is_quadratic for part in self.parts)

    @property
    def order(self) -> int:
        return sum(part.power for part in self.parts)

    @property
    def named(self) -> tuple[Index, ...]:
        """The indices of the open states."""
        return tuple(dict.fromkeys(part.index for part in self.parts if isinstance(part.index, Index)))

    @property
    def coefficient(self) -> Expr:
        """What multiplies the open states, in their indices; it depends on the states of other units."""
        rest = tuple(index for index in self.indices if index not in self.named)
        return IndexSum(Mul(self.weight, *self.factors), *rest)

    @property
    def sign(self) -> int:
        """The sign of the open states' product; 0 if it has either."""
        return math.prod(part.sign for part in self.parts)

    @property
    def range(self) -> tuple[float, float]:
        """Between which numbers the product of the factors lies, whatever the states."""
        low, high = 1.0, 1.0
        for factor in self.factors:
            ends = [0.0 if 0 in (a, b) else a * b for a in (low, high) for b in _range(factor)]
            low, high = min(ends), max(ends)
        return low, high

    @property
    def parameter(self) -> tuple[Parameter, int] | None:
        """The parameter whose entries have the sign of the weight (1) or the opposite one (−1); None where none has."""
        found, sign = None, 1
        for factor in Mul.make_args(self.weight):
            if factor.is_number:
                sign = sign if factor > 0 else -sign
            elif isinstance(factor, Entry) and found is None:
                found = factor.parameter
            elif not isinstance(factor, exp):
                return None
        return None if found is None else (found, sign)

    def shown(self) -> str:
        """Return the term as people write it, whole."""
        powers = []
        for part in self.parts:
            state = Configuration(part.coordinate.layer)[part.index]
            state = {"": lambda s: s, "pos": pos, "neg": neg}[part.coordinate.side](state)
            powers.append(state**part.power)
        return str(IndexSum(Mul(self.weight, *self.factors, *powers), *self.indices))


@dataclass(frozen=True)
class Growth:
    """The terms that decide whether Z is finite.

    Attributes:
        energy: whose they are.
        coordinates: of the open layers, in their order, those of Gaussian kind; a layer with two parts has two.
        terms: those in which open states are multiplied with each other, or squared.
        fields: those in which one open state stands, to the first power.
        unknown: terms with functions of open states whose growth is not known here, as text.
    """

    energy: Energy
    coordinates: tuple[Coordinate, ...]
    terms: tuple[Term, ...]
    fields: tuple[Term, ...]
    unknown: tuple[str, ...]

    @cached_property
    def curved(self) -> tuple[Term, ...]:
        """The terms of the quadratic form."""
        return tuple(term for term in self.terms if term.is_curvature)

    @cached_property
    def barred(self) -> tuple[Term, ...]:
        """The terms that must not be positive."""
        return tuple(term for term in self.terms if not term.is_curvature)

    def conditions(self, layer: Layer) -> tuple[Expr, ...]:
        """Return what must be positive for one unit's weights to have a finite sum given all others; parameters decide.

        Raises:
            DivergentError: a unit's weights have it for no parameters.
        """
        try:
            separation = single_out(self.energy.function, self.energy.unit_state(layer))
            return separation.conditions(self.energy.index_of[layer][0])
        except DivergentError:
            raise
        except EnergyError:
            return ()  # no closed form, so that nothing is known and nothing is drawn


@lru_cache(maxsize=64)
def growth(energy: Energy) -> Growth:
    """Return the terms that decide whether Z of an energy is finite."""
    summed = energy.visible + energy.hidden
    order = {layer: place for place, layer in enumerate(summed)}
    open_ = {Configuration(layer): layer for layer in summed if not lookup(layer.unit).is_bounded}
    split = {
        function.args[0].layer
        for kind in (pos, neg)
        for function in energy.expression.atoms(kind)
        if isinstance(function.args[0], State) and function.args[0].configuration in open_
    }
    terms: list[Term] = []
    fields: list[Term] = []
    unknown: list[str] = []

    def read(factors: list[Expr], indices: tuple[Index, ...]) -> None:
        weight: Expr = S.One
        bounded: list[Expr] = []
        powers: dict[State, dict[str, int]] = {}
        for factor in factors:
            states = [state for state in factor.atoms(State) if state.configuration in open_]
            if not factor.atoms(State):
                weight *= factor
            elif not states or isinstance(factor, (nonzero, cos, sin)):
                bounded.append(factor)
            elif (found := _power(factor)) is not None:
                side, exponent = found
                sides = powers.setdefault(states[0], {})
                sides[side] = sides.get(side, 0) + exponent
            else:
                unknown.append(str(IndexSum(Mul(*factors), *indices)))
                return
        choices = [_parts(state, sides, state.layer in split) for state, sides in powers.items()]
        for parts in itertools.product(*choices):
            ordered = sorted(parts, key=lambda part: (order[part.coordinate.layer], part.coordinate.side, part.power))
            term = Term(tuple(ordered), weight, tuple(bounded), indices)
            if parts:
                (terms if term.order > 1 else fields).append(term)

    for factors, indices in monomials(-energy.expression, squares=True):
        if any(_is_square(factor) for factor in factors):
            if _holds_back(factors, open_):
                continue
            for parts, more in monomials(IndexSum(Mul(*factors), *indices)):
                read(parts, more)
        else:
            read(factors, indices)
    coordinates = [
        Coordinate(layer, side)
        for layer in open_.values()
        if lookup(layer.unit).degree == 2
        for side in (("pos", "neg") if layer in split else ("",))
    ]
    return Growth(energy, tuple(coordinates), tuple(terms), tuple(fields), tuple(unknown))


def _power(factor: Expr) -> tuple[str, int] | None:
    """Return (side, exponent) of a power of one state or of a part of it; None for anything else."""
    base, exponent = factor.as_base_exp()
    side = {pos: "pos", neg: "neg"}.get(type(base), "")
    if side:
        base = base.args[0]
    if not isinstance(base, State) or not exponent.is_Integer or exponent < 1:
        return None
    return side, int(exponent)


def _parts(state: State, sides: dict[str, int], is_split: bool) -> list[Part]:
    """Return a product of powers of one state: a power of it, or one for each part; pos(s) neg(s) is 0."""
    total = sum(sides.values())
    named = [side for side in sides if side]
    if len(named) == 2:
        return []
    chosen = named or (["pos", "neg"] if is_split else [""])
    return [Part(Coordinate(state.layer, side), state.index, total) for side in chosen]


def _is_square(factor: Expr) -> bool:
    return bool(factor.is_Pow and factor.exp.is_Integer and factor.exp > 0 and factor.exp.is_even) and not isinstance(
        factor.base, (State, Entry, StateFunction)
    )


def _holds_back(factors: list[Expr], open_: dict[Configuration, Layer]) -> bool:
    """Return whether a term with a square is never positive, and zero where a state that multiplies it is: then −E is
    largest without it."""
    sign, can_vanish = 1, False
    for factor in factors:
        if factor.is_number:
            sign = sign if factor > 0 else -sign
        elif _is_square(factor) or isinstance(factor, exp):
            continue
        elif factor.atoms(State):
            low, high = _range(factor)
            if low < 0 < high:
                return False
            sign = -sign if low < 0 else sign
            can_vanish = can_vanish or 0 in (low, high)
        elif not (factor.is_Pow and factor.exp.is_even):
            return False
    return sign < 0 and can_vanish


def _range(factor: Expr) -> tuple[float, float]:
    """Return between which numbers a function of one state lies; everywhere if that is not known."""
    unknown = -math.inf, math.inf
    base, exponent = factor.as_base_exp()
    if isinstance(base, (Indicator, nonzero)):
        return 0.0, 1.0
    states = factor.atoms(State)
    if len(states) != 1 or factor.atoms(Entry):
        return unknown
    (state,) = states
    unit: Unit = lookup(state.layer.unit)
    if isinstance(base, (Component, cos, sin)):
        low, high = -1.0, 1.0
    elif isinstance(unit.domain, (Finite, Integers)) and unit.is_finite:
        values = [float(factor.xreplace({state: sympify(value)})) for value in unit.states]
        return min(values), max(values)
    elif base == state and not isinstance(unit.domain, Circle):
        low, high = unit.ends
    elif isinstance(base, (pos, neg)) and base.args[0] == state:
        low, high = ((max if isinstance(base, pos) else min)(end, 0.0) for end in unit.ends)
    else:
        return unknown
    if not exponent.is_Integer or exponent < 1:
        return unknown
    ends = [low ** int(exponent), high ** int(exponent)]
    if low < 0 < high and exponent.is_even:
        ends.append(0.0)
    return min(ends), max(ends)
