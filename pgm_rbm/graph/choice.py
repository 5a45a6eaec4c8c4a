"""The ways to ln Z of a graph model, what each would cost, and which one is taken.

Elimination serves every model. Where the graph is bipartite with couplings alone, one side can be enumerated while the
other one is summed in closed form (:mod:`pgm_rbm.exact.enumeration.answers`); and a model of few variables can be
summed assignment by assignment, in one table over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pgm_rbm.errors import EnumerationLimitError, ModelError
from pgm_rbm.exact.elimination import run
from pgm_rbm.exact.elimination.run import Elimination, Question
from pgm_rbm.exact.enumeration.cost import Estimate, estimate
from pgm_rbm.exact.enumeration.shards import Progress
from pgm_rbm.exact.tractability import QUICK, Tractability, Way, choose
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.quantities import format_bytes, format_count, format_seconds
from pgm_rbm.machine.workers import thread_count
from pgm_rbm.model.variables import kind_of
from pgm_rbm.partition.result import LogPartition

if TYPE_CHECKING:
    from pgm_rbm.graph.model import GraphModel
    from pgm_rbm.model.kernels import Kernels

__all__ = ["Layers", "layers", "log_partition", "other_questions", "report"]

OTHER_QUESTIONS: tuple[tuple[str, Question, int], ...] = (
    ("all marginals", "marginals", 1),
    ("most probable", "most probable", 1),
    ("1,000 samples", "samples", 1000),
)
"""What else elimination is asked, by the words of the report, and for how many samples."""

# Beyond so many configurations no estimate of the time changes the answer.
_HOPELESS_CONFIGURATIONS = 2**60


@dataclass(frozen=True, eq=False)
class _Enumeration:
    """Something that can be enumerated, as one of the ways to ln Z.

    Attributes:
        model, observed: the model and what is known of it, as indices into domains.
        limits: what it may cost.
        threads: how many threads to use.
    """

    model: GraphModel
    observed: Mapping[Hashable, int]
    limits: Budget
    threads: int | None

    @property
    def configurations(self) -> int:
        """How many configurations there are."""
        raise NotImplementedError

    @property
    def cost(self) -> Estimate:
        """What it is expected to cost on this machine."""
        raise NotImplementedError

    @property
    def detail(self) -> str:
        """What is summed, in words."""
        raise NotImplementedError

    def log_partition(self, progress: Progress | None) -> float:
        """ln Z."""
        raise NotImplementedError

    @property
    def seconds(self) -> float:
        return self.cost.seconds

    @property
    def fits(self) -> bool:
        return self.limits.allows(self.cost.memory, self.cost.seconds)

    @property
    def quick(self) -> bool:
        return self.seconds <= QUICK

    def way(self, question: str, taken: bool = False) -> Way:
        """Its line of the report."""
        cost = self.cost
        return Way(
            "enumeration", question, cost.operations, cost.memory, cost.seconds, self.fits, self.detail, taken=taken
        )

    @property
    def exceeded(self) -> tuple[str, str]:
        """The argument that limits it, and the limit in words."""
        if self.cost.memory > self.limits.memory:
            return "memory_limit", f"memory_limit allows {format_bytes(int(self.limits.memory))}"
        return "time_limit", f"time_limit allows {format_seconds(self.limits.seconds)}"

    def refusal(self, instead: str, because: str = "") -> EnumerationLimitError:
        """The error for what does not fit.

        Args:
            instead: what the caller can do besides raising the limit.
            because: why this and no less is enumerated.
        """
        cost, (argument, allowed) = self.cost, self.exceeded
        share = min(self.limits.memory / cost.memory, self.limits.seconds / cost.seconds)
        return EnumerationLimitError(
            f"Enumerating {self.detail}{because} visits {format_count(self.configurations)} configurations, which "
            f"takes about {format_seconds(cost.seconds)} and {format_bytes(cost.memory)}; {allowed}. Pass a larger "
            f"{argument}, or {instead}.",
            configurations=self.configurations,
            limit=int(self.configurations * share) if self.configurations < 2**1000 else 0,
            seconds=cost.seconds,
            memory=cost.memory,
        )


@dataclass(frozen=True, eq=False)
class Layers(_Enumeration):
    """One side of a bipartite model, the other one summed in closed form; evidence is folded into the biases.

    Attributes:
        small, large: the variables of the side with fewer configurations, and of the other.
        units: the unit types of the small and of the large side.
        states: states of a unit of the small side.
    """

    small: Sequence[Hashable]
    large: Sequence[Hashable]
    units: tuple[str, str]
    states: int

    @property
    def configurations(self) -> int:
        return self.states ** len(self.small)

    @property
    def detail(self) -> str:
        return f"one side, {len(self.small):,} {self.units[0]} units"

    @cached_property
    def cost(self) -> Estimate:
        from pgm_rbm.exact.enumeration.answers import layer_sum

        weights = len(self.large) * len(self.small)
        if self.configurations > _HOPELESS_CONFIGURATIONS:
            return Estimate(self.configurations * len(self.large), math.inf, 8 * weights)
        cost = estimate(layer_sum(self.kernels, self.arrays()[0], "h"), thread_count(self.threads))
        return replace(cost, memory=cost.memory + 8 * weights)

    @property
    def kernels(self) -> Kernels:
        """Those of the large side as the visible layer and the small one as the hidden one."""
        from pgm_rbm.model.kernels import pairwise_kernels

        return pairwise_kernels(self.units[1], self.units[0], "numba")

    def arrays(self) -> tuple[dict[str, Any], float]:
        """Weights and biases with the large side as the visible layer, and the constant that the evidence leaves."""
        model = self.model
        place = {name: (0, k) for k, name in enumerate(self.large)}
        place |= {name: (1, k) for k, name in enumerate(self.small)}
        biases = [np.array([float(model.bias(name)) for name in layer]) for layer in (self.large, self.small)]
        weights = np.zeros((len(self.large), len(self.small)))
        kinds = {name: kind_of(name, model.nodes[name]) for name in self.observed}
        value = {name: kinds[name].values[state] for name, state in self.observed.items()}
        constant = 0.0
        for name, state in self.observed.items():
            bias = np.asarray(model.bias(name))
            constant += float(bias[state]) if bias.ndim else float(bias) * value[name]
            constant += kinds[name].log_measure[state] if kinds[name].log_measure else 0.0
        names = model.variables
        for first, second, weight in zip(*(part.tolist() for part in model._couplings()), strict=True):
            u, v = names[first], names[second]
            if u in value and v in value:
                constant += weight * value[u] * value[v]
            elif u in value or v in value:
                known, free = (u, v) if u in value else (v, u)
                layer, k = place[free]
                biases[layer][k] += weight * value[known]
            else:
                (layer, i), (_, j) = place[u], place[v]
                weights[(i, j) if layer == 0 else (j, i)] += weight
        return {"w": weights, "a": biases[0], "b": biases[1]}, constant

    def log_partition(self, progress: Progress | None) -> float:
        from pgm_rbm.exact.enumeration import answers

        parameters, constant = self.arrays()
        found = answers.log_partition(
            self.kernels, parameters, limit=self.configurations, threads=self.threads, progress=progress
        )
        return float(found) + constant


@dataclass(frozen=True, eq=False)
class _JointTable(_Enumeration):
    """All variables in one table."""

    @cached_property
    def configurations(self) -> int:
        return math.prod(self.model._cardinalities(self.observed).values())

    @property
    def detail(self) -> str:
        return f"all {len(self.model) - len(self.observed):,} variables at once"

    @cached_property
    def cost(self) -> Estimate:
        from pgm_rbm.exact.elimination.pace import pace

        operations = self.configurations * max(1, len(self.model._scopes(self.observed)))
        # Each table is multiplied in over all configurations, much as a step of an elimination does.
        seconds = math.inf
        if operations < _HOPELESS_CONFIGURATIONS:
            seconds = float(pace("sum")(np.array([math.log2(operations)]))[0])
        return Estimate(operations, seconds, 3 * 8 * self.configurations)

    def log_partition(self, progress: Progress | None) -> float:
        model, observed = self.model, self.observed
        cardinalities = model._cardinalities(observed)
        names = list(cardinalities)
        chosen = run.plan(model._scopes(observed), cardinalities, names)
        tables = run.condition(model.log_tables(), observed)
        try:
            logs = run.log_marginal(tables, cardinalities, names, chosen, progress=progress)
        except run.Contradiction:
            return -math.inf
        top = float(logs.max())
        return top + math.log(float(np.exp(logs - top).sum())) if top > -math.inf else top


def layers(
    model: GraphModel, observed: Mapping[Hashable, int], limits: Budget | None = None, threads: int | None = None
) -> Layers | str:
    """The model's two layers, or the reason why it has none that can be enumerated."""
    from pgm_rbm.graph.bipartite import bipartition

    if model.factors:
        return "it has factors besides couplings"
    try:
        sides = [[name for name in side if name not in observed] for side in bipartition(model)]
    except ModelError:
        return "its graph is not bipartite"
    if not all(sides):
        return "one side of its graph is empty or all observed"
    kinds = [{kind_of(name, model.nodes[name]) for name in side} for side in sides]
    if any(len(kind) > 1 for kind in kinds):
        return "one side of its graph has units of several types"
    if any(kind.labels for several in kinds for kind in several):
        return "its variables are categorical"
    states = [len(kind.pop().values) for kind in kinds]
    units = [model.units(side[0]) for side in sides]
    small = min((0, 1), key=lambda side: len(sides[side]) * math.log(states[side]))
    return Layers(
        model,
        observed,
        limits or Budget(),
        threads,
        sides[small],
        sides[1 - small],
        (units[small], units[1 - small]),
        states[small],
    )


def log_partition(
    model: GraphModel,
    observed: Mapping[Hashable, int],
    method: str,
    limits: Budget,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> LogPartition:
    """ln Z by the method asked for; ``-inf`` when every assignment has potential zero.

    Raises:
        IntractableError: elimination, and whatever else ``"auto"`` may take, exceeds a limit.
        EnumerationLimitError: enumeration was asked for and exceeds a limit.
        ValueError: there is no such method.
    """
    if method not in ("auto", "elimination", "enumeration"):
        raise ValueError(f"method must be 'auto', 'elimination' or 'enumeration'. Got {method!r}.")
    instead = model._instead(observed)
    eliminated = model._elimination("ln Z", observed, limits)
    if method == "enumeration":
        found = layers(model, observed, limits, threads)
        way = found if isinstance(found, Layers) else _JointTable(model, observed, limits, threads)
        if not way.fits:
            because = f" (the model has no layers, as {found})" if isinstance(found, str) else ""
            raise way.refusal('use method="elimination"' if eliminated.fits else instead, because)
        return LogPartition(way.log_partition(progress), "enumeration")
    if method == "elimination":
        eliminated.require(instead)
    else:
        taken = choose(_options(eliminated, model, observed, limits, threads))
        if isinstance(taken, Layers):
            return LogPartition(taken.log_partition(progress), "enumeration")
        if taken is None:
            besides = layers(model, observed, limits, threads)
            raise eliminated.refusal(instead, besides=besides if isinstance(besides, Layers) else None)
    tables = run.condition(model.log_tables(), observed)
    cardinalities = model._cardinalities(observed)
    value = run.log_partition(tables, cardinalities, eliminated.plan, progress=progress)
    return LogPartition(value, "elimination")


def _options(
    eliminated: Elimination,
    model: GraphModel,
    observed: Mapping[Hashable, int],
    limits: Budget,
    threads: int | None = None,
) -> Iterator[Elimination | Layers]:
    """What ``"auto"`` chooses from; layers are looked for where elimination is not quick."""
    yield eliminated
    found = layers(model, observed, limits, threads)
    if isinstance(found, Layers):
        yield found


def report(model: GraphModel, observed: Mapping[Hashable, int], limits: Budget) -> Tractability:
    """What every way would cost; nothing is computed but an elimination order and trials."""
    eliminated = model._elimination("ln Z", observed, limits)
    found = layers(model, observed, limits)
    taken = choose(_options(eliminated, model, observed, limits))
    if isinstance(found, Layers):
        other, notes = found.way("ln Z", isinstance(taken, Layers)), []
    else:
        other = _JointTable(model, observed, limits, None).way("ln Z")
        notes = [f"One side of the graph cannot be enumerated: {found}."]
    return Tractability(
        method="sampling" if taken is None else "enumeration" if isinstance(taken, Layers) else "elimination",
        ways=(eliminated.way("ln Z", taken is eliminated), other, *other_questions(eliminated)),
        notes=tuple(notes),
        limits=limits,
        variables=len(model) - len(observed),
        plan=eliminated.plan,
        advice=f"raise the limits, or {model._instead(observed)}",
    )


def other_questions(eliminated: Elimination) -> list[Way]:
    """What elimination would take to answer what takes a way back."""
    return [
        replace(eliminated, question=question, draws=draws).way(label) for label, question, draws in OTHER_QUESTIONS
    ]
