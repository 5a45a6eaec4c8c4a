"""The table of units: what one unit of a layer can be, and what summing it out gives.

A unit with log-weight φ(s) over its states s and base measure μ(s) has the log-partition Γ = ln Σ_s μ(s) e^{φ(s)}, an
integral where the states are real numbers. Its mean is Γ′ and its variance Γ″ in a linear field, so neither is typed in
anywhere. A row holds what SymPy and the targets need of a unit; adding a unit is adding a row.

Probabilities are relative to the base measure: p(v, h) = e^{−E(v, h)} / Z, and every sum over a layer's states counts
the state s with the weight μ(s). A Poisson unit, say, has μ(s) = 1 / s!, so that E holds linear terms only.

Another package adds units through the entry-point group ``pgm_rbm.units``: the entry point's name is the unit's, and
its object is a :class:`Unit`, or for a family such as ``binomial(4)`` a function to one from the text in parentheses.
The names of this table stay its own. :func:`symbolic.testing.assert_unit` checks such a row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache, partial
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from symbolic.errors import EnergyError

if TYPE_CHECKING:
    from sympy import Expr

    from symbolic.language.layers import StateAxis

__all__ = [
    "FAMILIES",
    "TABLE",
    "Circle",
    "Domain",
    "Finite",
    "Integers",
    "Interval",
    "Potential",
    "Sampler",
    "Sphere",
    "Statistics",
    "Unit",
    "axis_length",
    "cumulant",
    "is_own",
    "known_units",
    "lookup",
    "uniform_number",
]

StateValue: TypeAlias = "int | Fraction"

# A family such as integer(N) lists its states where they are asked for; more than this is taken for a slip.
MAX_STATES = 4096
FEW_STATES = 3
# A sum over states is written out term by term up to so many.
MOST_LISTED = 64


@dataclass(frozen=True)
class Finite:
    """A few states, listed in increasing order."""

    states: tuple[StateValue, ...]

    def __str__(self) -> str:
        return "{" + ", ".join(map(str, self.states)) + "}"


@dataclass(frozen=True)
class Integers:
    """The whole numbers from ``first`` to ``last``, or without end."""

    first: int
    last: int | None = None

    @property
    def states(self) -> tuple[int, ...] | None:
        return None if self.last is None else tuple(range(self.first, self.last + 1))

    def __str__(self) -> str:
        end = "" if self.last is None else f", {self.last}"
        return "{" + f"{self.first}, {self.first + 1}, …{end}" + "}"


@dataclass(frozen=True)
class Interval:
    """The real numbers from ``low`` to ``high``; None is infinity.

    At ``corners`` inside, in increasing order, energies may have corners or jumps; ``atoms`` are states that the base
    measure gives a weight of their own, 1, beside the lengths of intervals.
    """

    low: StateValue | None = None
    high: StateValue | None = None
    corners: tuple[StateValue, ...] = ()
    atoms: tuple[StateValue, ...] = ()
    states = None

    @property
    def pieces(self) -> tuple[Interval, ...]:
        """The parts between corners."""
        ends = (self.low, *self.corners, self.high)
        return tuple(Interval(low, high) for low, high in pairwise(ends))

    def __str__(self) -> str:
        if self.low is None and self.high is None:
            return "the real numbers"
        left = "(−∞" if self.low is None else f"[{self.low}"
        right = "∞)" if self.high is None else f"{self.high}]"
        return f"{left}, {right}"


@dataclass(frozen=True)
class Circle:
    """The angles from −π to π."""

    states = None
    low = None
    high = None
    atoms = ()

    def __str__(self) -> str:
        return "[−π, π]"


@dataclass(frozen=True)
class Sphere:
    """The vectors of length 1, with their surface for base measure."""

    dimension: int
    states = None
    atoms = ()

    def __str__(self) -> str:
        return f"the unit sphere in {self.dimension} dimensions"


Domain: TypeAlias = Finite | Integers | Interval | Circle | Sphere


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
        """φ in the state ``value``."""
        from sympy import Add, sympify

        value = sympify(value)
        total = Add(*(part.xreplace({self.state: value}) * coefficient for part, coefficient in self.terms))
        if not self.has_coordinates:
            return total
        from symbolic.language.binders import contracted

        return contracted(total)

    @property
    def has_coordinates(self) -> bool:
        """Whether the terms hold coordinates of the state, a label or a vector, and not the state itself."""
        from symbolic.language.layers import Coordinate

        return any(part.has(Coordinate) for part, _ in self.terms)

    def coefficients(self, degree: int) -> tuple[Expr, ...]:
        """(c_0, …, c_degree) of φ(s) = c_0 + c_1 s + c_2 s² + …

        Raises:
            EnergyError: φ has a term that is no such power of s; the message names the term.
        """
        from sympy import S

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
        """The coefficients of φ(s) = c_0 f_0(s) + c_1 f_1(s) + …, where ``known`` says for functions of the state, as
        expressions in :attr:`state`, how often they count for each coefficient.

        Raises:
            EnergyError: φ has a term that is none of the functions; the message names the term.
        """
        from sympy import S, Symbol

        found: list[Expr] = [S.Zero] * len(next(iter(known.values())))
        for part, coefficient in self.terms:
            if part not in known:
                functions = ", ".join(str(function.xreplace({self.state: Symbol("s")})) for function in known)
                raise EnergyError(
                    f"the term {self.shown(part * coefficient)} of −E is no multiple of a function of the states "
                    f"of {self.unit} for which its units have a closed form; those are {functions}. Write it with them "
                    "or choose other units."
                )
            for place, count in enumerate(known[part]):
                found[place] += count * coefficient
        return tuple(found)

    def is_polynomial(self, degree: int) -> bool:
        """Whether φ is a polynomial of this degree in the state."""
        try:
            self.coefficients(degree)
        except EnergyError:
            return False
        return True

    @property
    def labels(self) -> StateAxis:
        """The axis of the labels that the state is one of.

        Raises:
            EnergyError: the state is no label.
        """
        from symbolic.language.layers import State

        assert isinstance(self.state, State)
        return self.state.layer.states

    def field(self, place: Expr) -> Expr:
        """x_α of φ(s) = c_0 + Σ_α x_α s_α, for a state that is a vector.

        Raises:
            EnergyError: φ has a term that is not linear in the components; the message names the term.
        """
        from sympy import Mul

        from symbolic.language.binders import IndexSum
        from symbolic.language.layers import Component

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
        """A term as the energy has it, summed over the layer's units, so that no index of ours is shown."""
        from symbolic.language.binders import IndexSum
        from symbolic.language.layers import Index, State

        if not isinstance(self.state, State) or not isinstance(self.state.index, Index):
            return str(term)
        return str(IndexSum(term.xreplace({self.state: self.state.layer[self.state.index]}), self.state.index))

    def in_field(self, field: Expr, degree: int | None, place: Expr | None = None) -> tuple[Potential, Expr]:
        """φ with a linear term in ``field`` for derivatives to act on, and the value of the field at which it is φ.

        For a polynomial of the degree the field takes the place of the linear coefficient; else it is added to φ, and 0
        there. Where the state is a vector, ``place`` says which of its components the field acts on.
        """
        from sympy import S

        if degree is None or not self.is_polynomial(degree):
            from symbolic.language.layers import Component

            part = self.state if place is None else Component(self.state, place)
            return Potential((*self.terms, (part, field)), self.state, self.unit), S.Zero
        c0, c1, *rest = self.coefficients(degree)
        powers = tuple((self.state**power, c) for power, c in enumerate(rest, 2) if c != 0)
        return Potential(((S.One, c0), (self.state, field), *powers), self.state, self.unit), c1


@dataclass(frozen=True)
class Sampler:
    """How states of a unit are drawn.

    Attributes:
        name: of the function ``draw_<name>`` of the runtimes of generated code; or ``"two_states"``, the comparison of
            a uniform number with the mean; or ``"quantile"``, where the state is an expression in a uniform number.
        arguments: from φ, the expressions that the function takes, in its order. For ``"quantile"`` it is one
            expression, the inverse of the distribution function at the symbol :func:`uniform_number`.
    """

    name: str
    arguments: Callable[[Potential], tuple[Expr, ...]]


@dataclass(frozen=True)
class Statistics:
    """The functions of a unit's state that ready-made energies hold, each by what the names of its parameters end with.

    Attributes:
        couplings: those by which other units act on it, each with weights of its own.
        biases: those with a bias.
        squares: those with a precision, which is learnt: e^{−z}/2 times each is added to E.
    """

    couplings: Mapping[str, Expr]
    biases: Mapping[str, Expr]
    squares: Mapping[str, Expr] = field(default_factory=dict)


@cache
def uniform_number() -> Expr:
    """The symbol that stands for a uniform random number, 0 < u < 1, in the expression of a ``"quantile"`` sampler."""
    from sympy import Symbol

    return Symbol("u", positive=True)


def _none(phi: Potential) -> tuple[Expr, ...]:
    return ()


@dataclass(frozen=True)
class Unit:
    """One row of the table.

    Attributes:
        name: what people write, such as ``"binary"`` or ``"binomial(4)"``.
        domain: the states.
        log_partition: from φ, the closed form of Γ = ln Σ_s μ(s) e^{φ(s)}, in functions that have a stable form in
            generated code (:mod:`symbolic.language.functions`). Where φ is not of the unit's degree, and the states are
            64 numbers at most, the sum is written out over them instead.
        description: one line for people.
        conditions: from φ, expressions that must be positive for Γ to be finite.
        base: μ(s) as an expression in s, where it is not 1.
        degree: the closed form is for polynomials of this degree in s; for any function of s if None.
        sampler: how states are drawn. A unit with a finite set of states needs none of its own: they are drawn with the
            weights μ(s) e^{φ(s)}. None for any other unit means that it cannot be drawn.
        is_categorical: whether the states are labels, which energies compare but do not calculate with.
        statistics: from the state, what ready-made energies hold of it, where that is more than the state itself.
        held_by: what messages call that which the conditions say must be positive, such as ``"rate"``.
    """

    name: str
    domain: Domain
    log_partition: Callable[[Potential], Expr]
    description: str
    conditions: Callable[[Potential], tuple[Expr, ...]] = _none
    base: Callable[[Expr], Expr] | None = None
    degree: int | None = None
    sampler: Sampler | None = None
    is_categorical: bool = False
    statistics: Callable[[Expr], Statistics] | None = None
    held_by: str = ""

    def __post_init__(self) -> None:
        if self.sampler is None and self.is_categorical:
            object.__setattr__(self, "sampler", Sampler("label", lambda phi: (self.probability(phi),)))
        elif self.sampler is None and self.is_finite:
            name = "two_states" if len(self.states) == 2 and self.base is None else "finite"
            arguments = self._mean if name == "two_states" else self._weights
            object.__setattr__(self, "sampler", Sampler(name, arguments))
        if self.degree is not None and self.is_finite and len(self.states) <= MOST_LISTED:
            object.__setattr__(self, "log_partition", partial(_closed_or_listed, self, self.log_partition))

    def _mean(self, phi: Potential) -> tuple[Expr, ...]:
        return (cumulant(self, phi, 1),)

    def _weights(self, phi: Potential) -> tuple[Expr, ...]:
        """The logarithms of the weights of the states, and the states."""
        from sympy import sympify

        states = tuple(sympify(state) for state in self.states)
        return (*(phi(state) + self.log_base(state) for state in states), *states)

    def is_written_out(self, phi: Potential) -> bool:
        """Whether Γ is the sum over the listed states, since φ has no closed form."""
        few = self.is_finite and not self.is_categorical and len(self.states) <= MOST_LISTED
        return few and self.degree is not None and not phi.is_polynomial(self.degree)

    def sampler_of(self, phi: Potential) -> Sampler | None:
        """How states are drawn at φ: by the unit's own sampler, or by the weights of its states."""
        return Sampler("finite", self._weights) if self.is_written_out(phi) else self.sampler

    def probability(self, phi: Potential) -> Expr:
        """e^{φ(s) − Γ}, the probability of the label s of a categorical unit, in the index ``s`` over its labels."""
        from symbolic.language.layers import exponential

        return exponential(phi(phi.labels.index("s")) - self.log_partition(phi))

    @property
    def is_finite(self) -> bool:
        """Whether the states can be listed."""
        return self.domain.states is not None

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest state, infinite where there is none; of vectors, what a component can be."""
        domain = self.domain
        match domain:
            case Circle():
                return -math.pi, math.pi
            case Sphere():
                return -1.0, 1.0
            case Interval():
                low, high = domain.low, domain.high
            case Integers():
                low, high = domain.first, domain.last
            case _:
                low, high = self.states[0], self.states[-1]
        return (-math.inf if low is None else float(low), math.inf if high is None else float(high))

    @property
    def is_bounded(self) -> bool:
        """Whether all states lie between two numbers."""
        return all(map(math.isfinite, self.ends))

    @property
    def dimension(self) -> int:
        """How many numbers a state takes: more than one for a vector."""
        return self.domain.dimension if isinstance(self.domain, Sphere) else 1

    @property
    def has_few_states(self) -> bool:
        """Whether whole layers of such units are checked with the units' own states; others get a few stand-ins."""
        states = self.domain.states
        return states is not None and len(states) <= FEW_STATES

    @property
    def is_continuous(self) -> bool:
        """Whether the states are real numbers, so that sums over them are integrals."""
        return isinstance(self.domain, (Interval, Circle, Sphere))

    @property
    def is_plain(self) -> bool:
        """Whether ready-made energies hold the state itself, a number, with one weight and one bias."""
        return self.statistics is None and self.dimension == 1 and not self.is_categorical

    @property
    def has_mean(self) -> bool:
        """Whether the mean of a state says anything; that of an angle depends on where angles start."""
        return not isinstance(self.domain, Circle)

    @property
    def states(self) -> tuple[StateValue, ...]:
        """The states of a finite unit, in increasing order.

        Raises:
            EnergyError: there is no finite set of them.
        """
        states = self.domain.states
        if states is None:
            raise EnergyError(f"a {self.name} unit has no finite set of states: they are {self.domain}.")
        return states

    def log_base(self, state: Expr) -> Expr:
        """ln μ(s)."""
        from sympy import S, log

        return S.Zero if self.base is None else log(self.base(state))


def _closed_or_listed(unit: Unit, closed: Callable[[Potential], Expr], phi: Potential) -> Expr:
    """Γ in a unit's closed form, or as the sum over its states."""
    from symbolic.language.functions import Logsumexp

    return Logsumexp(*unit._weights(phi)[: len(unit.states)]) if unit.is_written_out(phi) else closed(phi)


def cumulant(unit: Unit, potential: Potential, order: int, place: Expr | None = None) -> Expr:
    """The mean (order 1) or variance (order 2) of a unit: Γ′ or Γ″ by the field in its potential.

    Where the state is a vector, ``place`` says of which component.
    """
    from sympy import Dummy

    x = Dummy("x", real=True)
    shifted, here = potential.in_field(x, unit.degree, place)
    derivative = unit.log_partition(shifted)
    for _ in range(order):
        derivative = derivative.diff(x)
    return derivative.xreplace({x: here})


# The rows. φ(s) = c_0 + c_1 s + c_2 s² throughout.


def _binary(phi: Potential) -> Expr:
    from symbolic.language.functions import softplus

    return phi(0) + softplus(phi(1) - phi(0))


def _spin(phi: Potential) -> Expr:
    from symbolic.language.functions import log2cosh

    return (phi(1) + phi(-1)) / 2 + log2cosh((phi(1) - phi(-1)) / 2)


def _finite_set(states: tuple[StateValue, ...]) -> Unit:
    from sympy import Rational

    from symbolic.language.functions import Logsumexp

    domain = Finite(states)
    values = [Rational(state.numerator, state.denominator) for state in map(Fraction, states)]
    return Unit(
        str(domain),
        domain,
        lambda phi: Logsumexp(*map(phi, values)),
        f"the states {', '.join(map(str, states))}",
    )


def _number(value: int) -> Expr:
    from sympy import Integer

    return Integer(value)


def _field(phi: Potential) -> Expr:
    return phi.coefficients(1)[1]


def _binomial(count: int) -> Unit:
    from symbolic.language.functions import softplus

    def log_partition(phi: Potential) -> Expr:
        c0, c1 = phi.coefficients(1)
        return c0 + count * softplus(c1)

    def base(state: Expr) -> Expr:
        from sympy import binomial

        return binomial(count, state)

    return Unit(
        f"binomial({count})",
        Integers(0, count),
        log_partition,
        f"how many of {count} binary units in one field are on",
        base=base,
        degree=1,
        sampler=Sampler("binomial", lambda phi: (_number(count), _field(phi))),
    )


def _integer(last: int) -> Unit:
    from sympy import Integer

    from symbolic.language.functions import lngeomsum

    def log_partition(phi: Potential) -> Expr:
        c0, c1 = phi.coefficients(1)
        return c0 + lngeomsum(Integer(last + 1), c1)

    return Unit(
        f"integer({last})",
        Integers(0, last),
        log_partition,
        f"a whole number from 0 to {last}",
        degree=1,
        sampler=Sampler("integer", lambda phi: (_number(last + 1), _field(phi))),
    )


def _potts(count: int) -> Unit:
    def log_partition(phi: Potential) -> Expr:
        from sympy import log

        from symbolic.language.binders import IndexSum
        from symbolic.language.layers import Index, exponential

        label = Index.fresh(phi.labels)
        return log(IndexSum(exponential(phi(label)), label))

    return Unit(
        f"potts({count})",
        Integers(0, count - 1),
        log_partition,
        f"one of {count} labels",
        is_categorical=True,
    )


def _poisson(phi: Potential) -> Expr:
    from symbolic.language.layers import exponential

    c0, c1 = phi.coefficients(1)
    return c0 + exponential(c1)


def _one_over_factorial(state: Expr) -> Expr:
    from sympy import factorial

    return 1 / factorial(state)


def _rate(phi: Potential) -> tuple[Expr, ...]:
    return (-phi.coefficients(1)[1],)


def _geometric(phi: Potential) -> Expr:
    from symbolic.language.functions import log1mexp

    c0, c1 = phi.coefficients(1)
    return c0 - log1mexp(-c1)


def _exponential(phi: Potential) -> Expr:
    from sympy import log

    c0, c1 = phi.coefficients(1)
    return c0 - log(-c1)


def _gamma(shape: Fraction) -> Unit:
    from sympy import Rational, log, loggamma

    alpha = Rational(shape.numerator, shape.denominator)

    def log_partition(phi: Potential) -> Expr:
        c0, c1 = phi.coefficients(1)
        return c0 + loggamma(alpha) - alpha * log(-c1)

    return Unit(
        f"gamma({shape})",
        Interval(0),
        log_partition,
        f"a positive number with a gamma distribution of shape {shape}",
        _rate,
        None if shape == 1 else lambda state: state ** (alpha - 1),
        held_by="rate",
        degree=1,
        sampler=Sampler("gamma", lambda phi: (*_rate(phi), alpha)),
    )


def _uniform(phi: Potential) -> Expr:
    from symbolic.language.functions import lnexprel

    c0, c1 = phi.coefficients(1)
    return c0 + lnexprel(c1)


def _precision(phi: Potential) -> tuple[Expr, ...]:
    return (-2 * phi.coefficients(2)[2],)


def _gaussian(phi: Potential) -> Expr:
    from symbolic.language.functions import lognorm

    c0, c1, c2 = phi.coefficients(2)
    q = -2 * c2
    return c0 + c1**2 / (2 * q) + lognorm(q)


def _gaussian_draw(phi: Potential) -> tuple[Expr, ...]:
    """Mean and standard deviation."""
    from sympy import sqrt

    _, c1, c2 = phi.coefficients(2)
    q = -2 * c2
    return c1 / q, 1 / sqrt(q)


def _rectified(phi: Potential) -> Expr:
    from sympy import log, sqrt

    from symbolic.language.functions import lnmills

    c0, c1, c2 = phi.coefficients(2)
    q = -2 * c2
    return c0 + lnmills(c1 / sqrt(q)) - log(q) / 2


def _rectified_draw(phi: Potential) -> tuple[Expr, ...]:
    """Field and standard deviation in units in which the precision is 1."""
    from sympy import sqrt

    _, c1, c2 = phi.coefficients(2)
    q = -2 * c2
    return c1 / sqrt(q), 1 / sqrt(q)


def _two_sided_statistics(state: Expr) -> Statistics:
    """Coupled by the state, with a bias and a precision for each side: Tubiana, Cocco and Monasson, "Learning protein
    constitutive motifs from sequence data" (eLife 8, 2019)."""
    from symbolic.language.functions import neg, pos

    sides = {"pos": pos(state), "neg": neg(state)}
    return Statistics({"": state}, sides, {name: side**2 for name, side in sides.items()})


def _two_sides(phi: Potential) -> tuple[tuple[Expr, Expr], tuple[Expr, Expr], Expr]:
    """(θ, γ) of the terms θ s − γ s²/2 on the positive and on the negative side, and what does not depend on s."""
    from symbolic.language.functions import neg, pos

    s = phi.state
    c0, up, up2, down, down2 = phi.combine(
        {
            s**0: (1, 0, 0, 0, 0),
            s: (0, 1, 0, 1, 0),
            s**2: (0, 0, 1, 0, 1),
            pos(s): (0, 1, 0, 0, 0),
            pos(s) ** 2: (0, 0, 1, 0, 0),
            neg(s): (0, 0, 0, 1, 0),
            neg(s) ** 2: (0, 0, 0, 0, 1),
        }
    )
    return (up, -2 * up2), (down, -2 * down2), c0


def _side(field: Expr, q: Expr) -> Expr:
    """The log-partition of a Gaussian unit on s ≥ 0."""
    from sympy import log, sqrt

    from symbolic.language.functions import lnmills

    return lnmills(field / sqrt(q)) - log(q) / 2


def _two_sided(phi: Potential) -> Expr:
    from symbolic.language.functions import Logsumexp

    (up, up_q), (down, down_q), c0 = _two_sides(phi)
    return c0 + Logsumexp(_side(up, up_q), _side(-down, down_q))


def _two_precisions(phi: Potential) -> tuple[Expr, ...]:
    (_, up_q), (_, down_q), _ = _two_sides(phi)
    return (up_q,) if up_q == down_q else (up_q, down_q)


def _two_sided_draw(phi: Potential) -> tuple[Expr, ...]:
    """The log-odds of the positive side; then field and deviation of each side, as of a rectified unit."""
    from sympy import sqrt

    (up, up_q), (down, down_q), _ = _two_sides(phi)
    odds = _side(up, up_q) - _side(-down, down_q)
    return odds, up / sqrt(up_q), 1 / sqrt(up_q), -down / sqrt(down_q), 1 / sqrt(down_q)


def _slab_statistics(state: Expr) -> Statistics:
    """A bias for how often the state is not 0, beside that of the state: Courville, Bergstra and Bengio, "A spike and
    slab restricted Boltzmann machine" (AISTATS 2011), with both in one unit."""
    from symbolic.language.functions import nonzero

    return Statistics({"": state}, {"": state, "nonzero": nonzero(state)})


def _slab(phi: Potential) -> tuple[Expr, Expr, Expr, Expr]:
    """c_0, the weight of the slab against the spike, the field and the precision."""
    from symbolic.language.functions import nonzero

    s = phi.state
    c0, bias, field, square = phi.combine(
        {s**0: (1, 0, 0, 0), nonzero(s): (0, 1, 0, 0), s: (0, 0, 1, 0), s**2: (0, 0, 0, 1)}
    )
    return c0, bias, field, -2 * square


def _slab_odds(phi: Potential) -> Expr:
    from symbolic.language.functions import lognorm

    _, bias, field, q = _slab(phi)
    return bias + field**2 / (2 * q) + lognorm(q)


def _spike_and_slab(phi: Potential) -> Expr:
    from symbolic.language.functions import softplus

    return _slab(phi)[0] + softplus(_slab_odds(phi))


def _spike_and_slab_draw(phi: Potential) -> tuple[Expr, ...]:
    """The log-odds of the slab, its mean and its standard deviation."""
    from sympy import sqrt

    _, _, field, q = _slab(phi)
    return _slab_odds(phi), field / q, 1 / sqrt(q)


def _angle_statistics(state: Expr) -> Statistics:
    from sympy import cos, sin

    parts = {"cos": cos(state), "sin": sin(state)}
    return Statistics(parts, parts)


def _components(phi: Potential) -> tuple[Expr, Expr, Expr]:
    from sympy import cos, sin

    s = phi.state
    c0, x, y = phi.combine({s**0: (1, 0, 0), cos(s): (0, 1, 0), sin(s): (0, 0, 1)})
    return c0, x, y


def _von_mises(phi: Potential) -> Expr:
    from sympy import log, pi

    from symbolic.language.functions import lnbessel

    c0, x, y = _components(phi)
    return c0 + log(2 * pi) + lnbessel(x**2 + y**2)


def _heisenberg(phi: Potential) -> Expr:
    from sympy import log, pi

    from symbolic.language.binders import IndexSum
    from symbolic.language.functions import lnsinhc
    from symbolic.language.layers import ComponentAxis, Index

    component = Index.fresh(ComponentAxis("heisenberg", 3))
    return phi(0) + log(4 * pi) + lnsinhc(IndexSum(phi.field(component) ** 2, component))


def _heisenberg_draw(phi: Potential) -> tuple[Expr, ...]:
    from symbolic.language.layers import ComponentAxis

    return (phi.field(ComponentAxis("heisenberg", 3).index("α")),)


TABLE: Mapping[str, Unit] = MappingProxyType(
    {
        unit.name: unit
        for unit in (
            Unit("binary", Finite((0, 1)), _binary, "on or off: a Bernoulli unit with states 0 and 1"),
            Unit("spin", Finite((-1, 1)), _spin, "an Ising spin with states -1 and +1"),
            Unit(
                "poisson",
                Integers(0),
                _poisson,
                "a count with a Poisson distribution",
                base=_one_over_factorial,
                degree=1,
                sampler=Sampler("poisson", lambda phi: (_field(phi),)),
            ),
            Unit(
                "geometric",
                Integers(0),
                _geometric,
                "a count with a geometric distribution",
                _rate,
                held_by="rate",
                degree=1,
                sampler=Sampler("geometric", _rate),
            ),
            Unit(
                "exponential",
                Interval(0),
                _exponential,
                "a positive number with an exponential distribution",
                _rate,
                held_by="rate",
                degree=1,
                sampler=Sampler("exponential", _rate),
            ),
            Unit(
                "uniform",
                Interval(0, 1),
                _uniform,
                "a number between 0 and 1",
                degree=1,
                sampler=Sampler("uniform", lambda phi: (_field(phi),)),
            ),
            Unit(
                "gaussian",
                Interval(),
                _gaussian,
                "a real number; its precision is the energy's coefficient of s²/2",
                _precision,
                held_by="precision",
                degree=2,
                sampler=Sampler("gaussian", _gaussian_draw),
            ),
            Unit(
                "relu",
                Interval(0),
                _rectified,
                "a rectified Gaussian: a Gaussian unit restricted to s ≥ 0",
                _precision,
                held_by="precision",
                degree=2,
                sampler=Sampler("rectified", _rectified_draw),
            ),
            Unit(
                "drelu",
                Interval(corners=(0,)),
                _two_sided,
                "a dual rectified Gaussian: field and precision for s > 0, in pos(s), and others for s < 0, in neg(s)",
                _two_precisions,
                held_by="precision",
                degree=2,
                sampler=Sampler("two_sided", _two_sided_draw),
                statistics=_two_sided_statistics,
            ),
            Unit(
                "spike_and_slab",
                Interval(corners=(0,), atoms=(0,)),
                _spike_and_slab,
                "0, or a Gaussian number; the energy's coefficient of −nonzero(s) decides between the two",
                lambda phi: (_slab(phi)[3],),
                held_by="precision",
                degree=2,
                sampler=Sampler("spike_and_slab", _spike_and_slab_draw),
                statistics=_slab_statistics,
            ),
            Unit(
                "von_mises",
                Circle(),
                _von_mises,
                "an angle in a field (x, y), in cos(s) and sin(s)",
                sampler=Sampler("von_mises", lambda phi: _components(phi)[1:]),
                statistics=_angle_statistics,
            ),
            Unit(
                "heisenberg",
                Sphere(3),
                _heisenberg,
                "a direction in space: a vector of length 1 in a field, in its three components v[i, α]",
                sampler=Sampler("heisenberg", _heisenberg_draw),
            ),
        )
    }
)


def _whole(text: str, least: int) -> int:
    if not re.fullmatch(r"\d{1,4}", text) or not least <= int(text) < MAX_STATES:
        raise EnergyError(f"expected a whole number from {least} to {MAX_STATES - 1}. Got {text!r}.")
    return int(text)


def _positive(text: str) -> Fraction:
    try:
        value = Fraction(text) if len(text) <= 20 and "e" not in text.lower() else Fraction(0)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise EnergyError(f"expected a positive number such as 2 or 5/2. Got {text!r}.")
    return value


FAMILIES: Mapping[str, Callable[[str], Unit]] = MappingProxyType(
    {
        "binomial": lambda text: _binomial(_whole(text, 1)),
        "integer": lambda text: _integer(_whole(text, 1)),
        "gamma": lambda text: _gamma(_positive(text)),
        "potts": lambda text: _potts(_whole(text, 2)),
        "categorical": lambda text: _potts(_whole(text, 2)),
    }
)


def _set_of_states(name: str) -> Unit:
    texts = name[1:-1].split(",")
    if len(texts) > MAX_STATES:
        raise EnergyError(f"a set of states has at most {MAX_STATES} of them. Got {len(texts)}.")
    try:
        if any(len(text) > 20 or "e" in text.lower() for text in texts):
            raise ValueError(name)
        values = sorted({Fraction(text.strip()) for text in texts})
    except (ValueError, ZeroDivisionError):
        raise EnergyError(f"a set of states lists numbers, as in '{{-1, 0, 1}}'. Got {name[:80]!r}.") from None
    if len(values) < 2 or len(values) != len(texts):
        raise EnergyError(f"a set of states lists two or more different numbers. Got {name[:80]!r}.")
    return _finite_set(tuple(int(value) if value.denominator == 1 else value for value in values))


@cache
def _installed() -> Mapping[str, Any]:
    """The units that other packages bring, by name; each is loaded when it is asked for. Names of this table stay its
    own."""
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group="pgm_rbm.units")}
    return {name: entry for name, entry in found.items() if name not in TABLE and name not in FAMILIES}


def known_units() -> tuple[str, ...]:
    """The names that :func:`lookup` understands, families with what goes between their parentheses."""
    arguments = {"binomial": "N", "integer": "N", "gamma": "shape", "potts": "q", "categorical": "q"}
    families = tuple(f"{name}({arguments[name]})" for name in FAMILIES)
    return (*TABLE, "{a, b, ...}", *families, *_installed())


def lookup(name: str) -> Unit:
    """The row called ``name``, such as ``"binary"``, ``"binomial(4)"``, ``"{-1, 0, 1}"`` or ``"gamma(5/2)"``.

    Raises:
        EnergyError: there is none; the message lists those there are.
    """
    try:
        unit = TABLE.get(name)
    except TypeError:
        unit = None
    if unit is not None:
        return unit
    if not isinstance(name, str):
        raise _unknown(name)
    return _made(name)


@cache
def _made(name: str) -> Unit:
    plain = name.strip()
    if plain in TABLE:
        return TABLE[plain]
    if plain.startswith("{") and plain.endswith("}"):
        return _set_of_states(plain)
    parts = re.fullmatch(r"([^()]{1,60}?)\s*(?:\(([^()]{0,60})\))?", plain)
    if parts is None:
        raise _unknown(name)
    family, argument = parts.groups()
    if argument is not None and family in FAMILIES:
        try:
            return FAMILIES[family](argument.strip())
        except EnergyError as error:
            raise EnergyError(f"there is no unit called {name!r}: {error}") from None
    if family in _installed():
        return _from_elsewhere(name, family, None if argument is None else argument.strip())
    raise _unknown(name)


def is_own(name: str) -> bool:
    """Whether the unit is one of this table, which changes with this package alone."""
    lookup(name)
    return name.strip().startswith("{") or re.split(r"[\s(]", name.strip(), maxsplit=1)[0] in {*TABLE, *FAMILIES}


def _from_elsewhere(name: str, family: str, argument: str | None) -> Unit:
    """The row of another package, under the name by which it is asked for."""
    entry = _installed()[family]
    where = f"the entry point {family!r} = {entry.value!r} of the group pgm_rbm.units"
    try:
        made = entry.load()
    except Exception as error:
        raise EnergyError(
            f"the unit {name!r} cannot be loaded: {where} fails with {type(error).__name__}: {error}. Reinstall or "
            "repair the package that brings it."
        ) from error
    if isinstance(made, Unit):
        if argument is not None:
            raise EnergyError(f"there is no unit called {name!r}: {family!r} is a single unit; leave out ({argument}).")
        return replace(made, name=family)
    if callable(made):
        if argument is None:
            raise EnergyError(f"there is no unit called {name!r}: {where} is a family; write {family}(…).")
        try:
            made = made(argument)
        except Exception as error:
            reason = (
                str(error) if isinstance(error, ValueError) else f"{where} fails with {type(error).__name__}: {error}"
            )
            raise EnergyError(f"there is no unit called {name!r}: {reason}") from error
    if not isinstance(made, Unit):
        raise EnergyError(f"{where} gives no symbolic.units.Unit for {name!r}. Got {made!r}.")
    return replace(made, name=f"{family}({argument})")


def axis_length(axis: str, layers: Mapping[str, str]) -> int | None:
    """How many labels or components an axis of a parameter runs over; None if it runs over the units of a layer.

    Args:
        axis: its name, such as ``"v.states"``, ``"heisenberg.components"`` or ``"v"``.
        layers: the unit of every layer.
    """
    owner, _, kind = axis.partition(".")
    if not kind:
        return None
    return len(lookup(layers[owner]).states) if kind == "states" else lookup(owner).dimension


def _unknown(name: object) -> EnergyError:
    return EnergyError(f"there is no unit called {name!r}; the units are: {', '.join(known_units())}.")
