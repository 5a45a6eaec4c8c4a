"""The ways to exact answers about a model: enumeration of layers, elimination on its graph, and which one is taken.

A way knows what it costs and how it answers. ``"auto"`` takes the first of them that is quick, else the quickest, of
those within the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgm_rbm.errors import EnumerationLimitError, ModelError
from pgm_rbm.exact.elimination import answers as elimination
from pgm_rbm.exact.elimination import sparse
from pgm_rbm.exact.elimination.cost import OTHER_QUESTIONS, Elimination, Question
from pgm_rbm.exact.elimination.of_model import arrays_of, network_of, no_network
from pgm_rbm.exact.enumeration import answers, configurations
from pgm_rbm.exact.enumeration.answers import Expectations
from pgm_rbm.exact.enumeration.most_probable import MostProbable, Search
from pgm_rbm.exact.enumeration.plan import Plan, make_plan, obstacle
from pgm_rbm.exact.enumeration.sums import LayerSum, ProductSum
from pgm_rbm.exact.tractability import QUICK, Tractability, Way, choose
from pgm_rbm.machine.budget import SECONDS, Budget
from pgm_rbm.machine.quantities import format_seconds
from pgm_rbm.model.kernels import FloatArray, Kernels
from pgm_rbm.model.model import Model
from pgm_rbm.partition.result import LogPartition
from pgm_rbm.sampling.gibbs import Given, checked_given, clamps_from

__all__ = [
    "INSTEAD",
    "Enumeration",
    "expectations",
    "joint_entropy",
    "log_partition",
    "most_probable",
    "sample",
    "taken",
    "tractability",
    "way_to_averages",
]

INSTEAD = (
    "use what needs no ln Z: Gibbs samples, differences of free energies, and training by CD or PCD with the "
    "pseudo-likelihood as its monitor"
)
"""What can be done with a model where exact answers cost too much."""

# How a limit of an elimination is raised by a caller of what takes none.
_ASK_GRAPH = "Ask rbm.graph, whose methods take a larger {}, for that."
_PASS_MORE = "Pass a larger {} for that."

# Up to so many configurations times units, an enumeration takes less than a second on any machine, and no trial is
# made. One core does 2^33 a second by products and 2^26 by NumPy's kernels (2-core Xeon, 2026-12): 0.03 and 0.06 s.
_SURELY_QUICK_PRODUCTS, _SURELY_QUICK_KERNELS = 2**28, 2**22


@dataclass(frozen=True, eq=False)
class Enumeration:
    """Enumeration of a layer, or of all layers but some that are summed out, as one of the ways.

    Attributes:
        model: the model.
        budget: what it may take.
        averages: whether averages are wanted besides ln Z.
    """

    model: Model
    budget: Budget
    averages: bool = False
    name = "enumeration"

    @cached_property
    def plan(self) -> Plan:
        """What is enumerated, and what that would cost."""
        return make_plan(self.model, self.budget, averages=self.averages)

    @property
    def fits(self) -> bool:
        """Whether it is within the budget."""
        return self.plan.fits

    @property
    def seconds(self) -> float:
        """How long it is expected to take."""
        return self.plan.estimate.seconds

    @property
    def quick(self) -> bool:
        """Whether it takes a second at most."""
        surely = _SURELY_QUICK_PRODUCTS if isinstance(self._task, ProductSum) else _SURELY_QUICK_KERNELS
        return self._task.configurations * self.model.layout.units <= surely or self.seconds <= QUICK

    @property
    def _task(self) -> LayerSum:
        return self.plan.task

    def way(self, question: str, taken: bool = False) -> Way:
        """Return its line of the report."""
        layers, sizes, units = self._task.kept, self.model.sizes, self.model.units
        described = [f"layer {one}, {sizes[one]:,} {units[one]} units" for one in layers]
        others = sum(size for one, size in sizes.items() if one not in layers)
        cost = self.plan.estimate
        return Way(
            self.name,
            question,
            self._task.configurations * max(others, 1),
            cost.memory,
            cost.seconds,
            self.fits,
            ", and ".join(described),
            taken=taken,
        )

    def log_partition(self, budget: Budget) -> LogPartition:
        """Return ln Z."""
        return answers.log_partition(self.model, budget)

    def expectations(self, budget: Budget) -> Expectations:
        """Return ln Z and the averages of −∂E/∂θ; those of pairs without a weight cost nothing more."""
        return answers.expectations(self.model, budget)


def _on_graph(model: Model, question: Question, budget: Budget, draws: int = 1) -> Elimination | str:
    """Return an elimination, or the reason why there is none; marginals are also those of the pairs with a weight."""
    arrays = arrays_of(model)
    if question == "marginals" and arrays is None:
        return "averages of -dE/dtheta are summed on the graph of the pairwise energy only"
    reason = no_network(model)
    if reason is not None:
        return reason
    linked = arrays.edges() if question == "marginals" and arrays is not None else []
    return Elimination.of(network_of(model), question, budget, linked=linked, draws=draws)


def _ways(model: Model, question: Question, budget: Budget) -> Iterator[Enumeration | Elimination]:
    """Yield what ``"auto"`` chooses from; the graph is looked at where enumeration is not quick."""
    averages = question == "marginals"
    if obstacle(model, averages) is None:
        yield Enumeration(model, budget, averages)
    other = _on_graph(model, question, budget)
    if isinstance(other, Elimination):
        yield other


def taken(model: Model, question: Question, budget: Budget, raised: str = _PASS_MORE) -> Enumeration | Elimination:
    """Return the way that ``"auto"`` takes to an answer.

    Args:
        model: the model.
        question: ``"ln Z"``, or ``"marginals"`` for averages.
        budget: what it may take.
        raised: how the caller can raise a limit of elimination, with a place for its name, for the message.

    Raises:
        EnumerationLimitError: no way is within the budget.
        ModelError: there is no way.
        ValueError: a parameter is not finite.
    """
    seen: list[Enumeration | Elimination] = []

    def looked_at() -> Iterator[Enumeration | Elimination]:
        for way in _ways(model, question, budget):
            seen.append(way)
            yield way

    found = choose(looked_at())
    if found is not None:
        return found
    eliminated = next((way for way in seen if isinstance(way, Elimination)), None)
    enumeration = next((way for way in seen if isinstance(way, Enumeration)), None)
    if enumeration is None:
        if eliminated is not None:
            raise eliminated.refusal(INSTEAD)
        hindrance = obstacle(model, question == "marginals")
        assert hindrance is not None
        raise hindrance
    if eliminated is None:
        raise enumeration.plan.refusal
    raise _both_refused(enumeration.plan.refusal, eliminated, raised)


def _both_refused(refused: EnumerationLimitError, other: Elimination, raised: str) -> EnumerationLimitError:
    """Return the refusal of an enumeration, with that of an elimination added to it."""
    argument, allowed = other.exceeded
    more = f" {raised.format(argument)}" if argument else ""
    return EnumerationLimitError(
        f"{refused} Elimination on the graph would need {other.needs}; {allowed}.{more}",
        configurations=refused.configurations,
        limit=refused.limit,
        seconds=refused.seconds,
        memory=refused.memory,
    )


def _instead_of(model: Model, refused: EnumerationLimitError, question: Question, draws: int = 1) -> Elimination:
    """Return the elimination that answers what an enumeration may not.

    Raises:
        EnumerationLimitError: there is none, or it is beyond the default limits, too.
    """
    other = _on_graph(model, question, Budget(), draws)
    if isinstance(other, str):
        raise refused
    if not other.fits:
        raise _both_refused(refused, other, _ASK_GRAPH)
    return other


def log_partition(model: Model, method: str, budget: Budget) -> LogPartition:
    """Return ln Z; ``method`` and errors as for `RBM.log_partition`."""
    if method == "auto":
        return taken(model, "ln Z", budget).log_partition(budget)
    if method == "enumeration":
        return answers.log_partition(model, budget)
    if method != "elimination":
        raise ValueError(f"method must be 'auto', 'enumeration' or 'elimination'. Got {method!r}.")
    other = _on_graph(model, "ln Z", budget)
    if isinstance(other, str):
        raise ModelError(f"there is no graph to eliminate on: {other}. Use method='enumeration'.")
    other.require(INSTEAD)
    return other.log_partition(budget)


def expectations(model: Model, budget: Budget, *, every_pair: bool) -> Expectations:
    """Return ln Z and the averages of −∂E/∂θ, with those of pairs of units without a weight if ``every_pair``."""
    way = taken(model, "marginals", budget, _ASK_GRAPH)
    if isinstance(way, Enumeration):
        return way.expectations(budget)
    arrays = arrays_of(model)
    assert arrays is not None
    return sparse.expectations(arrays, Budget(progress=budget.progress), every_pair=every_pair)


def joint_entropy(model: Model, tempered: Callable[[], tuple[Kernels, str]], budget: Budget) -> float:
    """Return the entropy of p(v, h) in nats; ``tempered`` as for `configurations.joint_entropy`."""
    way = taken(model, "marginals", budget, _ASK_GRAPH)
    if isinstance(way, Elimination):
        return elimination.entropy(network_of(model), Budget(progress=budget.progress))
    return configurations.joint_entropy(model, tempered, budget)


def most_probable(model: Model, given: Given | None, budget: Budget) -> MostProbable:
    """Return the (v, h) of the largest p(v, h), some units given, by enumeration or else by elimination."""
    chosen = checked_given(given)
    clamps = clamps_from(chosen, model, 1)
    search = Search(model, clamps, budget)
    if search.plan is None or search.plan.fits:
        return search.run()
    network = _instead_of(model, search.plan.refusal, "most probable").network.given(chosen)
    found, log_p, _ = elimination.most_probable(network, Budget(progress=budget.progress))
    states = [network.variables[name].kind.domain[found[name]] for name in network.names]
    n_visible = model.sizes[model.kernels.visible[0]]
    best = np.array(states, dtype=model.dtype)
    return MostProbable(best[:n_visible], best[n_visible:], log_p)


def sample(model: Model, n: int, seed: int, budget: Budget) -> FloatArray:
    """Return independent draws of the visible states, shape (n, n_visible), by enumeration or else by elimination."""
    plan = make_plan(model, budget)
    refused = configurations.no_room(plan, n) if plan.fits else plan.refusal
    if refused is None:
        return configurations.sample(model, n, seed, budget)[0]
    network = _instead_of(model, refused, "samples", n).network
    drawn = elimination.sample(network, n, seed, Budget(progress=budget.progress))
    n_visible = sum(model.sizes[layer] for layer in model.kernels.visible)
    columns = [network.variables[name].kind.domain[drawn[name]] for name in network.names[:n_visible]]
    return np.stack(columns, axis=1).astype(model.dtype)


def way_to_averages(model: Model, steps: int, budget: Budget) -> Enumeration | Elimination:
    """Return the way by which each of so many exact steps of learning finds the averages under the model.

    Raises:
        EnumerationLimitError: no way is within the budget.
    """
    enumeration = Enumeration(model, budget, averages=True)
    if enumeration.fits:
        return enumeration
    other = _instead_of(model, enumeration.plan.refusal, "marginals")
    seconds = steps * other.seconds
    if budget.configurations is None and seconds > SECONDS:
        refused = enumeration.plan.refusal
        raise EnumerationLimitError(
            f"fit would take about {format_seconds(seconds)}, for {steps} exact steps of about "
            f"{format_seconds(other.seconds)} by elimination, and it stops at {format_seconds(SECONDS)} where no limit "
            f"is given. Pass a limit= to run it all the same; or fewer epochs or larger batches; or algorithm='pcd'.",
            configurations=refused.configurations,
            limit=refused.limit,
            seconds=seconds,
            memory=other.memory,
        )
    return other


def tractability(model: Model, budget: Budget) -> Tractability:
    """Return the report of `RBM.tractability`."""
    ways: list[Way] = []
    notes: list[str] = []
    method = "sampling"
    questions: tuple[tuple[str, Question], ...] = (("ln Z", "ln Z"), ("gradient, moments", "marginals"))
    for label, question in questions:
        options = list(_ways(model, question, budget))
        found = choose(options)
        ways += [option.way(label, option is found) for option in options]
        if question == "ln Z" and found is not None:
            method = found.name
    plan = None
    other = _on_graph(model, "ln Z", budget)
    if isinstance(other, str):
        notes.append(f"There is no graph to eliminate on: {other}.")
    else:
        plan = other.plan
        ways += [other.asking(question, draws).way(label) for label, question, draws in OTHER_QUESTIONS[1:]]
    hindrance = obstacle(model)
    if hindrance is None:
        notes.append(f"Enumeration is within the limits up to limit={budget.most_configurations} configurations.")
    else:
        notes.append(f"No layer can be enumerated: {hindrance}")
    return Tractability(
        method=method,
        ways=tuple(sorted(ways, key=lambda way: way.question != "ln Z")),
        notes=tuple(notes),
        limits=budget,
        variables=sum(model.sizes.values()),
        plan=plan,
        advice=f"raise the limits, or {INSTEAD}" if ways else INSTEAD,
    )
