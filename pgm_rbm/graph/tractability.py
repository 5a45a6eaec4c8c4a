"""The ways to ln Z of a graph model, what each would cost, and which one is taken.

Elimination serves every model. Where the graph is bipartite with couplings alone, one side can be enumerated while the
other one is summed in closed form (:mod:`pgm_rbm.exact.enumeration`); and a model of few variables can be
summed assignment by assignment, in one table over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pgm_rbm.errors import EnumerationLimitError, ModelError
from pgm_rbm.exact import elimination
from pgm_rbm.exact.calibration import elimination_speed
from pgm_rbm.exact.costs import Estimate, estimate
from pgm_rbm.exact.elimination import EliminationLimitError, Progress
from pgm_rbm.graph.structure import EliminationPlan, Tractability, Way, format_bytes, format_count, format_seconds
from pgm_rbm.graph.variables import kind_of
from pgm_rbm.partition import LogPartition
from pgm_rbm.workers import thread_count

if TYPE_CHECKING:
    from pgm_rbm.graph.model import GraphModel
    from pgm_rbm.kernels import Kernels

__all__ = ["Layers", "Limits", "layers", "log_partition", "report"]

# Where elimination takes no longer than this, nothing quicker is looked for.
_QUICK = 1.0
# Beyond so many configurations no estimate of the time changes the answer.
_HOPELESS_CONFIGURATIONS = 2**60


@dataclass(frozen=True)
class Limits:
    """What an exact method may cost.

    Attributes:
        memory: bytes.
        seconds: as estimated.
    """

    memory: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Layers:
    """A bipartite model as two layers, evidence folded into the biases.

    Attributes:
        small, large: the variables of the layer with fewer configurations, and of the other.
        units: the unit types of the small and of the large layer.
        states: states of a unit of the small layer.
    """

    model: GraphModel
    observed: Mapping[Hashable, int]
    small: Sequence[Hashable]
    large: Sequence[Hashable]
    units: tuple[str, str]
    states: int

    @property
    def configurations(self) -> int:
        """How many configurations the small layer has."""
        return self.states ** len(self.small)

    @cached_property
    def cost(self) -> Estimate:
        """What enumerating the small layer is expected to cost on this machine."""
        from pgm_rbm.exact.enumeration import layer_sum

        weights = len(self.large) * len(self.small)
        if self.configurations > _HOPELESS_CONFIGURATIONS:
            return Estimate(self.configurations * len(self.large), math.inf, 8 * weights)
        cost = estimate(layer_sum(self.kernels, self.arrays()[0], "h"), thread_count(None))
        return replace(cost, memory=cost.memory + 8 * weights)

    @property
    def kernels(self) -> Kernels:
        """Those of the large layer as the visible one and the small one as the hidden one."""
        from pgm_rbm.kernels import pairwise_kernels

        return pairwise_kernels(self.units[1], self.units[0], "numba")

    def arrays(self) -> tuple[dict[str, Any], float]:
        """Weights and biases with the large layer as the visible one, and the constant that the evidence leaves."""
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
        """ln Z, by enumerating the small layer."""
        from pgm_rbm.exact import enumeration

        parameters, constant = self.arrays()
        found = enumeration.log_partition(self.kernels, parameters, limit=self.configurations, progress=progress)
        return float(found) + constant


def layers(model: GraphModel, observed: Mapping[Hashable, int]) -> Layers | str:
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
    return Layers(model, observed, sides[small], sides[1 - small], (units[small], units[1 - small]), states[small])


def log_partition(
    model: GraphModel,
    observed: Mapping[Hashable, int],
    method: str,
    limits: Limits,
    progress: Progress | None,
) -> LogPartition:
    """ln Z by the method asked for; ``-inf`` when every assignment has potential zero.

    Raises:
        IntractableError: elimination, and whatever else ``"auto"`` may take, exceeds a limit.
        EnumerationLimitError: enumeration was asked for and exceeds a limit.
        ValueError: there is no such method.
    """
    if method not in ("auto", "elimination", "enumeration"):
        raise ValueError(f"method must be 'auto', 'elimination' or 'enumeration'. Got {method!r}.")
    if method == "enumeration":
        return _enumerated(model, observed, limits, progress)
    cardinalities, scopes = model._cardinalities(observed), model._scopes(observed)
    try:
        chosen = elimination.require_tractable(
            scopes, cardinalities, memory_limit=limits.memory, time_limit=limits.seconds
        )
        refused = None
    except EliminationLimitError as error:
        refused = error
    if method == "auto" and (refused is not None or _longer_than(chosen, _QUICK)):
        found = layers(model, observed)
        if isinstance(found, Layers):
            seconds = found.cost.seconds
            if _fits(found.cost.memory, seconds, limits) and (
                refused is not None or seconds < elimination.estimated_seconds(chosen)
            ):
                return LogPartition(found.log_partition(progress), "enumeration")
            if refused is not None and seconds < math.inf:
                raise EliminationLimitError(
                    f"{refused} Enumerating one side of the graph ({len(found.small)} units) would take about "
                    f"{format_seconds(seconds)}; time_limit allows {format_seconds(limits.seconds)}.",
                    induced_width=refused.induced_width,
                    memory=refused.memory,
                    memory_limit=limits.memory,
                    seconds=seconds,
                    time_limit=limits.seconds,
                )
    if refused is not None:
        raise refused
    tables = elimination.condition(model.log_tables(), observed)
    return LogPartition(elimination.log_partition(tables, cardinalities, chosen, progress=progress), "elimination")


def _longer_than(chosen: EliminationPlan, seconds: float) -> bool:
    return elimination.at_most_seconds(chosen) > seconds and elimination.estimated_seconds(chosen) > seconds


def _fits(memory: int, seconds: float, limits: Limits) -> bool:
    return memory <= limits.memory and seconds <= limits.seconds


def _enumerated(
    model: GraphModel, observed: Mapping[Hashable, int], limits: Limits, progress: Progress | None
) -> LogPartition:
    found = layers(model, observed)
    if isinstance(found, Layers):
        what, configurations = f"one side of the graph ({len(found.small)} units)", found.configurations
        memory, seconds = found.cost.memory, found.cost.seconds
    else:
        what = f"all {len(model) - len(observed)} variables at once (the model has no layers, as {found})"
        configurations, memory, seconds = _joint_table(model, observed)
    if not _fits(memory, seconds, limits):
        raise EnumerationLimitError(
            f"Enumerating {what} visits {format_count(configurations)} configurations, which takes about "
            f"{format_seconds(seconds)} and {format_bytes(memory)}; time_limit allows "
            f"{format_seconds(limits.seconds)} and memory_limit {format_bytes(limits.memory)}. Pass larger "
            'ones, or use method="elimination", or sampling for an approximate answer.',
            configurations=configurations,
            limit=int(configurations * min(1.0, limits.seconds / seconds)) if seconds < math.inf else 0,
            seconds=seconds,
            memory=memory,
        )
    if isinstance(found, Layers):
        return LogPartition(found.log_partition(progress), "enumeration")
    cardinalities = model._cardinalities(observed)
    names = list(cardinalities)
    chosen = elimination.plan(model._scopes(observed), cardinalities, names)
    tables = elimination.condition(model.log_tables(), observed)
    try:
        logs = elimination.log_marginal(tables, cardinalities, names, chosen, progress=progress)
    except elimination.Contradiction:
        return LogPartition(-math.inf, "enumeration")
    top = float(logs.max())
    return LogPartition(top + math.log(float(np.exp(logs - top).sum())) if top > -math.inf else top, "enumeration")


def _joint_table(model: GraphModel, observed: Mapping[Hashable, int]) -> tuple[int, int, float]:
    """Entries, bytes and seconds of one table over all variables."""
    entries = math.prod(model._cardinalities(observed).values())
    operations = entries * max(1, len(model._scopes(observed)))
    seconds = float(operations) * elimination_speed().entry if operations < _HOPELESS_CONFIGURATIONS else math.inf
    return entries, 3 * 8 * entries, seconds


def report(model: GraphModel, observed: Mapping[Hashable, int], limits: Limits) -> Tractability:
    """What every way would cost; nothing is computed but an elimination order and trials of milliseconds."""
    cardinalities, scopes = model._cardinalities(observed), model._scopes(observed)
    chosen = elimination.plan(scopes, cardinalities)
    ways = _eliminations(chosen, limits)
    notes = []
    found = layers(model, observed)
    if isinstance(found, Layers):
        cost = found.cost
        ways.append(
            Way(
                name="enumeration",
                question="ln Z",
                detail=f"one side, {len(found.small):,} {found.units[0]} units",
                operations=cost.operations,
                memory=cost.memory,
                seconds=cost.seconds,
                fits=_fits(cost.memory, cost.seconds, limits),
            )
        )
    else:
        notes.append(f"One side of the graph cannot be enumerated: {found}.")
        entries, memory, seconds = _joint_table(model, observed)
        ways.append(
            Way(
                name="enumeration",
                question="ln Z",
                detail=f"all {len(cardinalities):,} variables at once",
                operations=entries * max(1, len(scopes)),
                memory=memory,
                seconds=seconds,
                fits=_fits(memory, seconds, limits),
            )
        )
    able = [way for way in ways if way.question == "ln Z" and way.fits]
    eliminated = ways[0]
    quick = eliminated.fits and eliminated.seconds <= _QUICK
    taken = eliminated
    if able and not quick and isinstance(found, Layers):
        taken = min(able, key=lambda way: way.seconds)
    return Tractability(
        method=taken.name if taken.fits else "sampling",
        ways=tuple(sorted(ways, key=lambda way: way.question != "ln Z")),
        notes=tuple(notes),
        order=chosen.order,
        induced_width=chosen.induced_width,
        operations=chosen.operations,
        memory=chosen.memory,
        memory_limit=limits.memory,
        seconds=taken.seconds if taken.fits else min(way.seconds for way in ways if way.question == "ln Z"),
        time_limit=limits.seconds,
        largest_table=chosen.largest_table,
        variables=len(cardinalities),
        parts=chosen.parts,
        heuristic=chosen.heuristic,
        complete=chosen.complete,
    )


def _eliminations(chosen: EliminationPlan, limits: Limits) -> list[Way]:
    """Elimination's answers to the questions that a model is asked."""
    ways = []
    back = chosen.way_back(limits.memory)
    for question, kind in (("ln Z", None), ("all marginals", "marginals"), ("most probable, samples", "point")):
        memory, passes = (chosen.memory, 1) if kind is None else (back.memory, back.segment.passes)
        seconds = elimination.estimated_seconds(chosen, passes=passes, back=kind) if chosen.complete else math.inf
        ways.append(
            Way(
                name="elimination",
                question=question,
                detail=f"{len(chosen.order):,} variables" if chosen.complete else "all variables",
                operations=chosen.operations * (passes + (kind == "marginals")),
                memory=memory,
                seconds=seconds,
                fits=chosen.complete and _fits(memory, seconds, limits),
                bounded=chosen.complete,
            )
        )
    return ways
