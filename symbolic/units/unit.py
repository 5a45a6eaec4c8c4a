"""What a row of the table of units says: plain facts, and where the formulas of its mathematics stand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from symbolic.errors import EnergyError
from symbolic.language.domains import Circle, Domain, Integers, Interval, Sphere, StateValue

if TYPE_CHECKING:
    from sympy import Expr

__all__ = ["Formula", "Sampler", "Statistics", "Unit"]

# The checker evaluates lines in every configuration of a small model, and three states a unit keep that small: a layer
# of 3 units has 27. Units with more states are checked with a few of them as stand-ins.
FEW_STATES = 3
# A sum over states is written out term by term up to this many; generated code then has a line of 64 terms per sum.
MOST_LISTED = 64


class LogWeight(Protocol):
    """What a row itself asks of φ; formulas take a :class:`symbolic.units.Potential`."""

    def is_polynomial(self, degree: int) -> bool: ...


@dataclass(frozen=True)
class Formula:
    """A function named by where it stands in this package, such as ``"continuous:gaussian"``, and opened when called.

    It keeps a row plain: looking a unit up loads no SymPy (which takes 0.4 s; 2 cores, 2026-12), calling one of its
    formulas does.
    """

    place: str

    def __call__(self, *arguments: Any) -> Any:
        return self.opened(*arguments)

    @cached_property
    def opened(self) -> Callable[..., Any]:
        """The function itself."""
        module, name = self.place.split(":")
        found: Callable[..., Any] = getattr(import_module(f"symbolic.units.{module}"), name)
        return found


@dataclass(frozen=True)
class Sampler:
    """How states of a unit are drawn.

    Attributes:
        name: of the function ``draw_<name>`` of the runtimes of generated code; or ``"two_states"``, the comparison of
            a uniform number with the mean; or ``"quantile"``, where the state is an expression in a uniform number.
        arguments: from φ, the expressions that the function takes, in its order. For ``"quantile"`` it is one
            expression, the inverse of the distribution function at the symbol :func:`symbolic.units.uniform_number`.
    """

    name: str
    arguments: Callable[..., tuple[Expr, ...]]


@dataclass(frozen=True)
class Statistics:
    """The functions of a unit's state that ready-made energies hold, each by what the names of its parameters end with.

    Attributes:
        couplings: those by which other units act on it, each with weights of its own.
        biases: those with a bias.
        squares: those with a learnt precision: e^{−z}/2 times each is added to E.
    """

    couplings: Mapping[str, Expr]
    biases: Mapping[str, Expr]
    squares: Mapping[str, Expr] = field(default_factory=dict)


def _none(phi: LogWeight) -> tuple[Expr, ...]:
    return ()


@dataclass(frozen=True)
class Unit:
    """One row of the table.

    A formula is any function of φ or of the state; the rows of this package name theirs by a :class:`Formula`.

    Attributes:
        name: what people write, such as ``"binary"`` or ``"binomial(4)"``.
        domain: the states.
        log_partition: from φ, the closed form of Γ = ln Σ_s μ(s) e^{φ(s)}, in functions that have a stable form in
            generated code (:mod:`symbolic.language.functions`). Where φ is not of the unit's degree, and there are at
            most 64 states, which are numbers, the sum is written out over them instead.
        description: one line for people.
        conditions: from φ, expressions that must be positive for Γ to be finite.
        base: μ(s) as an expression in s, where it is not 1.
        degree: the closed form is for polynomials of this degree in s; for any function of s if None.
        sampler: how states are drawn. A unit with a finite set of states needs none of its own: they are drawn with the
            weights μ(s) e^{φ(s)}. For any other unit, None means that it cannot be drawn.
        is_categorical: whether the states are labels, which energies compare but do not calculate with.
        statistics: from the state, what ready-made energies hold of it, where that is more than the state itself.
        held_by: what messages call the quantity that the conditions need positive, such as ``"rate"``.
    """

    name: str
    domain: Domain
    log_partition: Callable[..., Expr]
    description: str
    conditions: Callable[..., tuple[Expr, ...]] = _none
    base: Callable[[Expr], Expr] | None = None
    degree: int | None = None
    sampler: Sampler | None = None
    is_categorical: bool = False
    statistics: Callable[[Expr], Statistics] | None = None
    held_by: str = ""

    def __post_init__(self) -> None:
        if self.sampler is None and (self.is_categorical or self.is_finite):
            object.__setattr__(self, "sampler", self._own_sampler())
        if self.degree is not None and self.is_finite and len(self.states) <= MOST_LISTED:
            closed_or_listed = partial(Formula("moments:closed_or_listed"), self, self.log_partition)
            object.__setattr__(self, "log_partition", closed_or_listed)

    def _own_sampler(self) -> Sampler:
        """Return the sampler of finitely many states for a row that names none."""
        if self.is_categorical:
            return Sampler("label", partial(Formula("moments:label_draw"), self))
        if len(self.states) == 2 and self.base is None:
            return Sampler("two_states", partial(Formula("moments:two_states_draw"), self))
        return self._sampler_by_weights

    @property
    def _sampler_by_weights(self) -> Sampler:
        return Sampler("finite", partial(Formula("moments:finite_draw"), self))

    def is_written_out(self, phi: LogWeight) -> bool:
        """Return whether Γ is the sum over the listed states, since φ has no closed form."""
        few = self.is_finite and not self.is_categorical and len(self.states) <= MOST_LISTED
        return few and self.degree is not None and not phi.is_polynomial(self.degree)

    def sampler_of(self, phi: LogWeight) -> Sampler | None:
        """Return the sampler at φ: by the unit's own sampler, or by the weights of its states."""
        return self._sampler_by_weights if self.is_written_out(phi) else self.sampler

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
