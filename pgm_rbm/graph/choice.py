"""The ways to ln Z of a graph model: what each would cost, how it answers, and which one is taken.

Elimination serves every model. Where the graph is bipartite with couplings alone, one side can be enumerated while the
other one is summed in closed form (:mod:`pgm_rbm.exact.enumeration.answers`); and a model of few variables can be
summed assignment by assignment, in one table over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np

from pgm_rbm.errors import EnumerationLimitError, ModelError
from pgm_rbm.exact.elimination import pace as paces
from pgm_rbm.exact.elimination import run
from pgm_rbm.exact.elimination.cost import Elimination, other_questions
from pgm_rbm.exact.elimination.network import Network
from pgm_rbm.exact.elimination.order import plan
from pgm_rbm.exact.enumeration import answers as enumerated
from pgm_rbm.exact.enumeration.cost import Estimate, estimate
from pgm_rbm.exact.enumeration.plan import task_of
from pgm_rbm.exact.tractability import QUICK, Tractability, Way, choose
from pgm_rbm.graph.bipartite import two_sides
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.quantities import format_bytes, format_count, format_seconds
from pgm_rbm.model.kernels import Kernels, pairwise_kernels
from pgm_rbm.model.model import Model
from pgm_rbm.partition.result import LogPartition

__all__ = ["Layers", "layers", "log_partition", "tractability"]

# An enumeration of more configurations takes over 10 years even at 10^10 a second, more than any machine of today:
# no estimate of the time changes the answer.
_HOPELESS_CONFIGURATIONS = 2**60


@dataclass(frozen=True, eq=False)
class _Enumeration:
    """Something that can be enumerated, as one of the ways to ln Z.

    Attributes:
        network: the model and its evidence.
        budget: what it may cost.
    """

    network: Network
    budget: Budget
    name = "enumeration"

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

    def log_partition(self, budget: Budget) -> LogPartition:
        """Return ln Z given the evidence; ``-inf`` when every assignment has potential zero."""
        raise NotImplementedError

    @property
    def seconds(self) -> float:
        """How long it is expected to take."""
        return self.cost.seconds

    @property
    def fits(self) -> bool:
        """Whether it is within the budget."""
        return self.budget.allows(self.cost.memory, self.cost.seconds)

    @property
    def quick(self) -> bool:
        """Whether it takes a second at most."""
        return self.seconds <= QUICK

    def way(self, question: str, taken: bool = False) -> Way:
        """Return its line of a report."""
        cost = self.cost
        return Way(self.name, question, cost.operations, cost.memory, cost.seconds, self.fits, self.detail, taken=taken)

    @property
    def exceeded(self) -> tuple[str, str]:
        """The argument that limits it, and the limit in words."""
        if self.cost.memory > self.budget.memory:
            return "memory_limit", f"memory_limit allows {format_bytes(int(self.budget.memory))}"
        return "time_limit", f"time_limit allows {format_seconds(self.budget.seconds)}"

    def refusal(self, instead: str, because: str = "") -> EnumerationLimitError:
        """Return the error for an enumeration that does not fit.

        Args:
            instead: what the caller can do besides raising the limit.
            because: why this and no less is enumerated.
        """
        cost, (argument, allowed) = self.cost, self.exceeded
        share = min(self.budget.memory / cost.memory, self.budget.seconds / cost.seconds)
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
    """

    small: Sequence[Hashable]
    large: Sequence[Hashable]

    @property
    def units(self) -> tuple[str, str]:
        """The unit types of the small and of the large side."""
        variables = self.network.variables
        return variables[self.small[0]].units, variables[self.large[0]].units

    @property
    def configurations(self) -> int:
        return len(self.network.variables[self.small[0]].kind.values) ** len(self.small)

    @property
    def detail(self) -> str:
        return f"one side, {len(self.small):,} {self.units[0]} units"

    @cached_property
    def cost(self) -> Estimate:
        weights = len(self.large) * len(self.small)
        if self.configurations > _HOPELESS_CONFIGURATIONS:
            return Estimate(self.configurations * len(self.large), math.inf, 8 * weights)
        cost = estimate(task_of(Model.of(self.kernels, self.arrays()[0]), "h"), self.budget.thread_count)
        return replace(cost, memory=cost.memory + 8 * weights)

    @property
    def kernels(self) -> Kernels:
        """The kernels of the large side as the visible layer and the small one as the hidden one."""
        return pairwise_kernels(self.units[1], self.units[0], "numba")

    def arrays(self) -> tuple[dict[str, Any], float]:
        """Return weights and biases with the large side as the visible layer, and the constant of the evidence."""
        variables, names = self.network.variables, self.network.names
        place = {name: (0, k) for k, name in enumerate(self.large)}
        place |= {name: (1, k) for k, name in enumerate(self.small)}
        biases = [np.array([float(variables[name].bias) for name in layer]) for layer in (self.large, self.small)]
        weights = np.zeros((len(self.large), len(self.small)))
        value = {name: variables[name].kind.values[state] for name, state in self.network.observed.items()}
        constant = 0.0
        for name, state in self.network.observed.items():
            _, kind, given = variables[name]
            bias = np.asarray(given)
            constant += float(bias[state]) if bias.ndim else float(bias) * value[name]
            constant += kind.log_measure[state] if kind.log_measure else 0.0
        for first, second, weight in zip(*(part.tolist() for part in self.network.couplings), strict=True):
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

    def log_partition(self, budget: Budget) -> LogPartition:
        parameters, constant = self.arrays()
        found = enumerated.log_partition(
            Model.of(self.kernels, parameters), replace(budget, configurations=self.configurations)
        )
        return LogPartition(float(found) + constant, self.name)


@dataclass(frozen=True, eq=False)
class _JointTable(_Enumeration):
    """All variables in one table."""

    @cached_property
    def configurations(self) -> int:
        return math.prod(self.network.cardinalities.values())

    @property
    def detail(self) -> str:
        return f"all {len(self.network.cardinalities):,} variables at once"

    @cached_property
    def cost(self) -> Estimate:
        operations = self.configurations * max(1, len(self.network.scopes))
        # Each table is multiplied in over all configurations, much as a step of an elimination does.
        seconds = math.inf
        if operations < _HOPELESS_CONFIGURATIONS:
            seconds = float(paces.pace("sum")(np.array([math.log2(operations)]))[0])
        return Estimate(operations, seconds, 3 * 8 * self.configurations)

    def log_partition(self, budget: Budget) -> LogPartition:
        tables, cardinalities = self.network.tables, self.network.cardinalities
        names = list(cardinalities)
        chosen = plan(self.network.scopes, cardinalities, names)
        with budget.showing("ln Z") as shown, self.network.possible():
            logs = run.log_marginal(tables, cardinalities, names, chosen, progress=shown)
        top = float(logs.max())
        return LogPartition(top + math.log(float(np.exp(logs - top).sum())) if top > -math.inf else top, self.name)


def layers(graph: nx.Graph, network: Network, budget: Budget) -> Layers | str:
    """Return the two layers of a graph, or the reason why it has none that can be enumerated.

    Args:
        graph: tells the sides apart, as `bipartition` does.
        network: the graph as it is read, with the evidence.
        budget: what the enumeration may cost.
    """
    if network.factors:
        return "it has factors besides couplings"
    found = two_sides(graph)
    if isinstance(found, ModelError):
        return "its graph is not bipartite"
    sides = [[name for name in side if name not in network.observed] for side in found]
    if not all(sides):
        return "one side of its graph is empty or all observed"
    kinds = [{network.variables[name].kind for name in side} for side in sides]
    if any(len(kind) > 1 for kind in kinds):
        return "one side of its graph has units of several types"
    if any(kind.labels for several in kinds for kind in several):
        return "its variables are categorical"
    states = [len(kind.pop().values) for kind in kinds]
    small = min((0, 1), key=lambda side: len(sides[side]) * math.log(states[side]))
    return Layers(network, budget, sides[small], sides[1 - small])


def _ways(eliminated: Elimination, graph: nx.Graph) -> Iterator[Elimination | Layers]:
    """Yield what ``"auto"`` chooses from; layers are looked for where elimination is not quick."""
    yield eliminated
    found = layers(graph, eliminated.network, eliminated.budget)
    if isinstance(found, Layers):
        yield found


def log_partition(graph: nx.Graph, network: Network, method: str, budget: Budget) -> LogPartition:
    """Return ln Z given the evidence by the method asked for.

    Args:
        graph, network: as for `layers`.
        method: "auto", "elimination" or "enumeration".
        budget: what it may take.

    Raises:
        IntractableError: elimination, and whatever else ``"auto"`` may take, exceeds a limit.
        EnumerationLimitError: enumeration was asked for and exceeds a limit.
        ImpossibleEvidenceError: every assignment has potential zero.
        ValueError: there is no such method.
    """
    if method not in ("auto", "elimination", "enumeration"):
        raise ValueError(f"method must be 'auto', 'elimination' or 'enumeration'. Got {method!r}.")
    eliminated = Elimination.of(network, "ln Z", budget)
    if method == "elimination":
        taken: Elimination | _Enumeration = eliminated.require()
    elif method == "enumeration":
        taken = _enumeration(graph, eliminated)
    else:
        taken = _taken(graph, eliminated)
    found = taken.log_partition(budget)
    if found == -math.inf:
        raise network.impossible()
    return found


def _enumeration(graph: nx.Graph, eliminated: Elimination) -> _Enumeration:
    """Return the enumeration of one side, or else of all variables at once, if it fits."""
    network, budget = eliminated.network, eliminated.budget
    found = layers(graph, network, budget)
    way = found if isinstance(found, Layers) else _JointTable(network, budget)
    if not way.fits:
        because = f" (the model has no layers, as {found})" if isinstance(found, str) else ""
        raise way.refusal('use method="elimination"' if eliminated.fits else eliminated.instead, because)
    return way


def _taken(graph: nx.Graph, eliminated: Elimination) -> Elimination | Layers:
    """Return the way that ``"auto"`` takes."""
    taken = choose(_ways(eliminated, graph))
    if taken is None:
        besides = layers(graph, eliminated.network, eliminated.budget)
        raise eliminated.refusal(eliminated.instead, besides=besides if isinstance(besides, Layers) else None)
    return taken


def tractability(graph: nx.Graph, network: Network, budget: Budget) -> Tractability:
    """Return what every way would cost; nothing is computed but an elimination order and trials.

    Args:
        graph, network: as for `layers`.
        budget: what an answer may take.
    """
    eliminated = Elimination.of(network, "ln Z", budget)
    taken = choose(_ways(eliminated, graph))
    found = layers(graph, network, budget)
    notes = [f"One side of the graph cannot be enumerated: {found}."] if isinstance(found, str) else []
    other = _JointTable(network, budget) if isinstance(found, str) else found
    return Tractability(
        method="sampling" if taken is None else taken.name,
        ways=(
            eliminated.way("ln Z", taken is eliminated),
            other.way("ln Z", isinstance(taken, Layers)),
            *other_questions(eliminated),
        ),
        notes=tuple(notes),
        limits=budget,
        variables=len(network.cardinalities),
        plan=eliminated.plan,
        advice=f"raise the limits, or {eliminated.instead}",
    )
