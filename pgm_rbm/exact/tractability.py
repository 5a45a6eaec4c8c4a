"""The ways to an exact answer: what each costs, which one ``"auto"`` takes, and the report of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pgm_rbm.exact.elimination.order import EliminationPlan
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.quantities import format_bytes, format_count, format_seconds

__all__ = ["Option", "Tractability", "Way", "choose"]

QUICK = 1.0
"""Seconds: where a way takes no longer, no quicker one is looked for, since planning another takes as long (0.6 s for a
20×20 grid, 2 cores, 2026-11)."""


@dataclass(frozen=True)
class Way:
    """One way to an exact answer, and what it would cost.

    Attributes:
        name: "elimination" or "enumeration".
        question: what it answers, such as "ln Z".
        operations: table entries or configurations' terms to compute.
        memory: bytes at the peak.
        seconds: estimated time on this machine.
        fits: whether that is within the limits.
        detail: what is summed, in words.
        bounded: False when the figures are lower bounds.
        taken: whether it is the way that ``"auto"`` takes.
    """

    name: str
    question: str
    operations: int
    memory: int
    seconds: float
    fits: bool
    detail: str
    bounded: bool = True
    taken: bool = False


class Option(Protocol):
    """A way that may be taken; what it costs is found out when it is asked for."""

    @property
    def fits(self) -> bool:
        """Whether it is within the limits."""
        ...

    @property
    def quick(self) -> bool:
        """Whether it takes `QUICK` seconds at most."""
        ...

    @property
    def seconds(self) -> float:
        """How long it is expected to take."""
        ...


AnyOption = TypeVar("AnyOption", bound=Option)


def choose(options: Iterable[AnyOption]) -> AnyOption | None:
    """The way that ``"auto"`` takes: the first that is quick, else the quickest, of those within the limits.

    Args:
        options: the ways to one answer, in the order in which they are looked at; none after one that is taken.

    Returns:
        One of them; None where none is within the limits.
    """
    able = []
    for option in options:
        if option.fits:
            if option.quick:
                return option
            able.append(option)
    return min(able, key=lambda option: option.seconds, default=None)


@dataclass(frozen=True)
class Tractability:
    """What exact inference in a model costs; ``print`` it for a summary in words.

    Attributes:
        method: the way to ln Z that ``method="auto"`` takes: "elimination" or "enumeration", or "sampling" where no
            exact way is within the limits.
        ways: every way to every question, each a :class:`Way`; those to ln Z come first.
        notes: why a way is missing, and what decides besides memory and time.
        limits: bytes and seconds allowed.
        variables: number of variables that are not evidence.
        plan: the elimination, None where the model is none of finite units on a graph.
        advice: what to do where nothing is within the limits.
    """

    method: str
    ways: tuple[Way, ...]
    notes: tuple[str, ...]
    limits: Budget
    variables: int
    plan: EliminationPlan | None
    advice: str

    @property
    def feasible(self) -> bool:
        """Whether some exact way to ln Z is within the limits."""
        return self.method != "sampling"

    @property
    def seconds(self) -> float:
        """Estimated time of the way to ln Z that is taken, or of the quickest where none is; infinite without any."""
        ways = [way for way in self.ways if way.question == "ln Z"]
        return min((way.seconds for way in ways if way.taken or not self.feasible), default=math.inf)

    @property
    def order(self) -> tuple[Hashable, ...]:
        """The elimination order; empty without a graph."""
        return () if self.plan is None else self.plan.order

    @property
    def induced_width(self) -> int | None:
        """The most neighbours that a variable has when it is summed out; None without a graph."""
        return None if self.plan is None else self.plan.induced_width

    @property
    def largest_table(self) -> int | None:
        """Entries of elimination's largest table; None without a graph."""
        return None if self.plan is None else self.plan.largest_table

    @property
    def parts(self) -> int | None:
        """Number of disconnected parts, which factor; None without a graph."""
        return None if self.plan is None else self.plan.parts

    @property
    def complete(self) -> bool:
        """False where every order looked at is hopeless and elimination's figures are those of the next table alone."""
        return self.plan is None or self.plan.complete

    def __str__(self) -> str:
        if self.feasible:
            verdict = f'ln Z is within the limits: "auto" takes {self.method}, about {format_seconds(self.seconds)}.'
        elif self.ways:
            verdict = f"No exact way to ln Z is within the limits: {self.advice}."
        else:
            verdict = f"There is no exact way to ln Z: {self.advice}."
        lines = [verdict]
        if self.plan is None:
            lines.append(f"  variables         {self.variables:,}")
        else:
            bound = "" if self.plan.complete else "at least "
            parts = "one part" if self.plan.parts == 1 else f"{self.plan.parts} parts that factor"
            lines += [
                f"  variables         {self.variables:,} in {parts}",
                f"  induced width     {bound}{self.plan.induced_width} (order found by {self.plan.heuristic})",
                f"  largest table     {bound}{format_count(self.plan.largest_table)} entries",
            ]
        lines += [f"  limits            {self.limits}", "", *(self._table() if self.ways else ())]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def _table(self) -> list[str]:
        rows = [("question", "way", "operations", "memory", "time", "within limits")]
        for way in self.ways:
            least = "" if way.bounded else ">= "
            rows.append(
                (
                    way.question,
                    f"{way.name} of {way.detail}",
                    least + format_count(way.operations),
                    least + format_bytes(way.memory),
                    least + format_seconds(way.seconds),
                    ("yes" if way.fits else "no") + (", taken" if way.taken else ""),
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return [
            "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]])
            for row in rows
        ]
