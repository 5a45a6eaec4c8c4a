"""The sets of states that a unit can take, as plain facts."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

__all__ = ["Circle", "Domain", "Finite", "Integers", "Interval", "Sphere", "StateValue"]

StateValue: TypeAlias = "int | Fraction"


@dataclass(frozen=True)
class Finite:
    """A few states, listed in increasing order."""

    states: tuple[StateValue, ...]

    def __str__(self) -> str:
        return "{" + ", ".join(map(str, self.states)) + "}"


@dataclass(frozen=True)
class Integers:
    """The whole numbers from ``first`` to ``last``; where ``last`` is None they have no end."""

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

    At the ``corners`` inside, in increasing order, energies may have corners or jumps. The base measure gives each of
    the ``atoms`` a weight of its own, 1, beside the lengths of intervals.
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
    """The vectors of length 1; their base measure is the surface."""

    dimension: int
    states = None
    atoms = ()

    def __str__(self) -> str:
        return f"the unit sphere in {self.dimension} dimensions"


Domain: TypeAlias = Finite | Integers | Interval | Circle | Sphere
