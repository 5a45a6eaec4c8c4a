"""What an elimination costs, in bytes and in seconds on this machine, and whether a budget allows it.

An elimination is planned from scopes alone, so that a model too dense for its tables is refused before one is built.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pgm_rbm.errors import IntractableError
from pgm_rbm.exact.elimination import pace as paces
from pgm_rbm.exact.elimination import run
from pgm_rbm.exact.elimination.network import Network, Spread
from pgm_rbm.exact.elimination.order import EliminationPlan, Segment, WayBack, plan
from pgm_rbm.exact.elimination.tables import LOWEST, FloatArray
from pgm_rbm.exact.tractability import QUICK, Way
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.quantities import format_bytes, format_seconds
from pgm_rbm.partition.result import LogPartition

__all__ = ["OTHER_QUESTIONS", "Elimination", "Enumerable", "Question", "in_logs", "other_questions"]

Question = Literal["ln Z", "marginals", "most probable", "samples"]

OTHER_QUESTIONS: tuple[tuple[str, Question, int], ...] = (
    ("all marginals", "marginals", 1),
    ("most probable", "most probable", 1),
    ("1,000 samples", "samples", 1000),
)
"""What a report asks elimination besides ln Z: its words, the question, and for how many samples."""

# What no machine exceeds, all passes and the way back included. Measured are 1e-4 s per step, 1.2e-7 s per entry in
# logs and 9e-8 s per draw and step (2 cores, 2026-12).
_MOST_SECONDS_A_STEP = 2e-3
_MOST_SECONDS_AN_ENTRY = 2e-7
_MOST_SECONDS_A_DRAW = 1e-5


class Enumerable(Protocol):
    """An enumeration that may do in place of an elimination."""

    @property
    def detail(self) -> str:
        """What is enumerated, in words."""
        ...

    @property
    def seconds(self) -> float:
        """How long it is expected to take."""
        ...

    @property
    def exceeded(self) -> tuple[str, str]:
        """The argument that limits it, and the limit in words."""
        ...


@dataclass(frozen=True, eq=False)
class Elimination:
    """An elimination that is asked for: its order and what it would cost. No table has been computed.

    Attributes:
        network: what is eliminated.
        plan: the order.
        question: what it is to answer; ``"ln Z"`` is also the joint marginal of variables that are kept.
        budget: bytes and seconds that it may take.
        draws: how many samples.
        linked: how many scopes the order was found for besides those of the network.
        planning: seconds that it took to find the order, which are spent again with every answer.
    """

    network: Network
    plan: EliminationPlan
    question: Question
    budget: Budget
    draws: int = 1
    linked: int = 0
    planning: float = 0.0
    name = "elimination"

    @classmethod
    def of(
        cls,
        network: Network,
        question: Question,
        budget: Budget,
        *,
        keep: Sequence[Hashable] = (),
        linked: Sequence[tuple[Hashable, ...]] = (),
        draws: int = 1,
    ) -> Elimination:
        """Plan an elimination from the scopes alone, as tables of a dense model may not fit in memory.

        Args:
            network, question, budget, draws: the attributes.
            keep: variables that are not summed out.
            linked: scopes that must meet in one table although no table of the network has them.
        """
        begin = time.perf_counter()
        found = plan([*network.scopes, *linked], network.cardinalities, keep)
        return cls(network, found, question, budget, draws, len(linked), time.perf_counter() - begin)

    def asking(self, question: Question, draws: int = 1) -> Elimination:
        """Return the same elimination, asked another question."""
        return replace(self, question=question, draws=draws)

    @cached_property
    def _way(self) -> WayBack:
        return self.plan.way_back(self.budget.memory - self._drawn)

    @property
    def segment(self) -> Segment:
        """How the way back is divided."""
        return self._way.segment

    @property
    def _drawn(self) -> int:
        """Bytes that samples take; a single draw, such as the most probable configuration, counts as none."""
        return 2 * 8 * len(self.network.cardinalities) * self.draws if self.draws > 1 else 0

    @property
    def memory(self) -> int:
        """Bytes at the peak."""
        if self.question == "ln Z" or not self.plan.complete:
            return self.plan.memory
        return self._way.memory + self._drawn

    @property
    def operations(self) -> int:
        """Table entries that are computed, forwards and back."""
        if self.question == "ln Z" or not self.plan.complete:
            return self.plan.operations
        forward = int(self.segment.forward([0, *itertools.accumulate(self.plan.sizes)]))
        return forward + (self.plan.operations if self.question in ("marginals", "most probable") else 0)

    @property
    def _read(self) -> int:
        """How many variables and tables are made ready."""
        return len(self.network.cardinalities) + len(self.network.scopes) + self.linked

    @cached_property
    def seconds(self) -> float:
        """How long it is expected to take on this machine; infinite where no order was found."""
        if not self.plan.complete:
            return math.inf
        bits = np.log2(np.array(self.plan.sizes, dtype=np.float64))
        logged = in_logs(self.plan, self.network.spreads())

        def steps(work: str) -> FloatArray:
            found = paces.pace(work)(bits) if len(bits) else bits
            return np.where(logged, paces.pace(f"{work} in logs")(bits), found) if logged.any() else found

        def forward(each: FloatArray) -> float:
            return self.segment.forward([0.0, *np.cumsum(each).tolist()])

        reading = self._read * paces.preparation()
        total = self.planning + reading
        if self.question == "ln Z":
            return total + float(steps("sum").sum())
        if self.question == "marginals":
            return total + forward(steps("sum")) + float(steps("marginals").sum())
        back = float((paces.pace("point")(bits) + (self.draws - 1) * paces.pace("draw")(bits)).sum())
        if self.question == "samples":
            return total + forward(steps("sum")) + back
        # ln Z and the largest potential are two eliminations, each with tables of its own
        return total + reading + float(steps("sum").sum()) + forward(paces.pace("maximum")(bits)) + back

    @property
    def _at_most(self) -> float:
        """More seconds than it takes on any machine."""
        steps, entries = len(self.plan.order), float(min(self.operations, 10**300))
        drawn = _MOST_SECONDS_A_DRAW * steps * self.draws
        return (
            _MOST_SECONDS_A_STEP * self._read + _MOST_SECONDS_A_STEP * steps + _MOST_SECONDS_AN_ENTRY * entries + drawn
        )

    def takes_at_most(self, seconds: float) -> bool:
        """Return whether it is expected to take no longer; no trial is made where there is no doubt."""
        return self.plan.complete and (self._at_most <= seconds or self.seconds <= seconds)

    @property
    def fits(self) -> bool:
        """Whether it is within the budget."""
        return self.plan.complete and self.memory <= self.budget.memory and self.takes_at_most(self.budget.seconds)

    @property
    def quick(self) -> bool:
        """Whether it takes a second at most."""
        return self.takes_at_most(QUICK)

    @property
    def needs(self) -> str:
        """What it would take, in words."""
        bound = "" if self.plan.complete else "at least "
        took = "" if self.seconds == math.inf else f" and about {format_seconds(self.seconds)} on this machine"
        return (
            f"an induced width of {bound}{self.plan.induced_width}, that is {bound}{format_bytes(self.memory)} of "
            f"tables{took}"
        )

    @property
    def exceeded(self) -> tuple[str, str]:
        """The argument that limits it, and the limit in words; no argument where no limit would do."""
        if not self.plan.complete:
            return "", "no order was found whose tables any machine could hold"
        if self.memory > self.budget.memory:
            return "memory_limit", f"memory_limit allows {format_bytes(int(self.budget.memory))}"
        return "time_limit", f"time_limit allows {format_seconds(self.budget.seconds)}"

    def refusal(self, instead: str, *, besides: Enumerable | None = None) -> IntractableError:
        """Return the error for an elimination that does not fit.

        Args:
            instead: what the caller can do besides raising the limit.
            besides: an enumeration that would do as well and does not fit either.
        """
        argument, limit = self.exceeded
        arguments = [argument] if argument else []
        more = ""
        if besides is not None and besides.seconds < math.inf:
            raised, other = besides.exceeded
            more = f" Enumerating {besides.detail}, would take about {format_seconds(besides.seconds)}; {other}."
            arguments += [raised] if raised not in arguments else []
        remedy = f"pass a larger {' or '.join(arguments)}, or {instead}" if arguments else instead
        return IntractableError(
            f"Exact elimination needs {self.needs}; {limit}.{more} {remedy[0].upper()}{remedy[1:]}.",
            induced_width=self.plan.induced_width,
            memory=self.memory,
            memory_limit=self.budget.memory,
            seconds=self.seconds,
            time_limit=self.budget.seconds,
        )

    def way(self, question: str, taken: bool = False) -> Way:
        """Return its line of a report."""
        detail = f"{len(self.plan.order):,} variables" if self.plan.complete else "all variables"
        return Way(
            self.name,
            question,
            self.operations,
            self.memory,
            self.seconds,
            self.fits,
            detail,
            bounded=self.plan.complete,
            taken=taken,
        )

    def log_partition(self, budget: Budget) -> LogPartition:
        """Return ln Z given the evidence; ``-inf`` when every assignment that agrees with it has potential zero."""
        network = self.network
        with budget.showing("ln Z") as shown:
            found = run.log_partition(network.tables, network.cardinalities, self.plan, progress=shown)
        return LogPartition(found, self.name)

    def require(self, instead: str = "") -> Elimination:
        """Return itself, if it fits.

        Args:
            instead: what the caller can do besides raising the limit; what a graph offers by default.

        Raises:
            IntractableError: names the induced width, memory, time, the limit, and what to do.
        """
        if not self.fits:
            raise self.refusal(instead or self.instead)
        return self

    @property
    def instead(self) -> str:
        """What can be done with a graph where exact answers cost too much, besides raising the limits."""
        cut = "observe variables that cut the graph (evidence=...)"
        if self.network.zero() is not None:
            return cut
        return f'{cut}, or draw approximate samples with sample(n, method="gibbs")'


def other_questions(eliminated: Elimination) -> list[Way]:
    """Return what elimination would take to answer what needs a way back."""
    return [eliminated.asking(question, draws).way(label) for label, question, draws in OTHER_QUESTIONS]


# The logarithms of a message range over about half of what its tables would allow, since their extremes do not meet:
# 0.40 to 0.55 of it on grids and random graphs of degree 3 (2026-12).
_MEETING = 0.5


def in_logs(plan: EliminationPlan, spreads: Iterable[Spread]) -> NDArray[np.bool_]:
    """Return which steps are expected to form their products in logs.

    The logarithms of a message over s range over no more than those of the tables that hold some of s range over
    together: what else went into the message does not depend on s.
    """
    last = len(plan.order)
    place = {name: step for step, name in enumerate(plan.order)}
    # by step, what the tables that come to it range over together, by the last step that each is over
    held: list[dict[int, float]] = [{} for _ in plan.order]
    for scope, spread in spreads:
        steps = [place.get(name, last) for name in scope]
        if steps and min(steps) < last:
            here = held[min(steps)]
            here[max(steps)] = here.get(max(steps), 0.0) + spread
    found = np.zeros(last, dtype=bool)
    for step, target in enumerate(plan.targets):
        found[step] = _MEETING * sum(held[step].values()) > -LOWEST
        if target < last:
            for end, spread in held[step].items():
                if end > step:
                    held[target][end] = held[target].get(end, 0.0) + spread
        held[step] = {}
    return found
