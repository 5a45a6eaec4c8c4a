"""The ways to exact answers about an RBM: enumeration of layers, elimination on its graph, and which one is taken."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from pgm_rbm.errors import EnumerationLimitError, ModelError
from pgm_rbm.exact.elimination.cost import OTHER_QUESTIONS, Elimination, Question
from pgm_rbm.exact.enumeration import answers
from pgm_rbm.exact.enumeration.shards import Progress
from pgm_rbm.exact.enumeration.sums import LayerSum, ProductSum
from pgm_rbm.exact.tractability import QUICK, Tractability, Way, choose
from pgm_rbm.machine.budget import CONFIGURATIONS, SECONDS, Budget
from pgm_rbm.machine.quantities import format_seconds
from pgm_rbm.model.domains import is_finite
from pgm_rbm.model.kernels import Phase
from pgm_rbm.partition.result import LogPartition

if TYPE_CHECKING:
    from pgm_rbm.graph.live import RBMGraph
    from pgm_rbm.graph.model import GraphModel
    from pgm_rbm.rbm import RBM

__all__ = [
    "INSTEAD",
    "Enumerated",
    "eliminated",
    "eliminated_log_partition",
    "graph_of",
    "require_elimination",
    "taken",
    "tractability",
]

INSTEAD = (
    "use what needs no ln Z: Gibbs samples, differences of free energies, and training by CD or PCD with the "
    "pseudo-likelihood as its monitor"
)
"""What can be done with an RBM where exact answers cost too much."""

# Up to so many configurations times units, an enumeration takes less than a second on any machine, and no trial is
# made: by products, or else by kernels.
_SURELY_QUICK_PRODUCTS, _SURELY_QUICK_KERNELS = 2**28, 2**22


@dataclass(frozen=True, eq=False)
class Enumerated:
    """Enumeration of a layer, or of all layers but some that are summed out, as one of the ways.

    Attributes:
        rbm: the model.
        limit, threads: as for `RBM.log_partition`.
        averages: whether averages are wanted besides ln Z.
    """

    rbm: RBM
    limit: int | None = None
    threads: int | None = None
    averages: bool = False

    def _plan(self, limit: int | None) -> EnumerationLimitError | None:
        """Whether so many configurations would be enumerated: nothing, or the refusal."""
        try:
            answers.make_plan(self.rbm.kernels, self.rbm.parameters, limit, self.threads, averages=self.averages)
        except EnumerationLimitError as refused:
            return refused
        return None

    @cached_property
    def refused(self) -> EnumerationLimitError | None:
        """Why it is not within the limits; None where it is.

        Raises:
            ModelError: the model cannot be enumerated, whatever that would cost.
            ValueError: a parameter is not finite, or ``limit`` is not a positive whole number.
        """
        return self._plan(self.limit)

    @cached_property
    def cost(self) -> EnumerationLimitError:
        """The error that a limit of one configuration would give, which tells what the enumeration would cost."""
        cost = self._plan(1)
        assert cost is not None
        return cost

    @property
    def fits(self) -> bool:
        return self.refused is None

    @property
    def seconds(self) -> float:
        return self.cost.seconds

    @property
    def quick(self) -> bool:
        surely = _SURELY_QUICK_PRODUCTS if isinstance(self._task, ProductSum) else _SURELY_QUICK_KERNELS
        return self._task.configurations * self.rbm._layout.units <= surely or self.seconds <= QUICK

    def way(self, question: str, taken: bool = False) -> Way:
        """Its line of the report."""
        layers, sizes = self._task.kept, self.rbm.sizes
        described = [f"layer {one}, {sizes[one]:,} {self.rbm.units[one]} units" for one in layers]
        others = sum(size for one, size in sizes.items() if one not in layers)
        return Way(
            "enumeration",
            question,
            self.cost.configurations * max(others, 1),
            self.cost.memory,
            self.seconds,
            self.fits,
            ", and ".join(described),
            taken=taken,
        )

    @property
    def _task(self) -> LayerSum:
        return answers.layer_sum(self.rbm.kernels, self.rbm.parameters, averages=self.averages)


def graph_of(rbm: RBM) -> GraphModel | str:
    """The model's graph, or the reason why it has none on which variables can be summed out."""
    if rbm._layout.given:
        return f"the model is given {', '.join(rbm._layout.given)}"
    for layer, unit in rbm.units.items():
        if not is_finite(unit):
            return f"the values of layer {layer} ({unit}) cannot be listed"
    try:
        return rbm.graph
    except ModelError as error:
        return str(error).rstrip(".")


def eliminated(rbm: RBM, question: Question, limits: Budget, draws: int = 1) -> Elimination | str:
    """What an elimination would take; marginals are those of the pairs that have a weight, too."""
    if question == "marginals" and not rbm._has_arrays_of_graph:
        return "averages of -dE/dtheta are summed on the graph of the pairwise energy only"
    graph = graph_of(rbm)
    if isinstance(graph, str):
        return graph
    linked: list[tuple[Hashable, ...]] = []
    if question == "marginals":
        arrays = cast("RBMGraph", graph).arrays
        assert arrays is not None
        linked += arrays.edges()
    return Elimination.of(graph.network(), question, limits, linked=linked, draws=draws)


def _options(
    rbm: RBM, question: Question, limits: Budget, limit: int | None, threads: int | None
) -> Iterator[Enumerated | Elimination]:
    """What ``"auto"`` chooses from; the graph is looked at where enumeration is not quick."""
    enumerated = Enumerated(rbm, limit, threads, averages=question == "marginals")
    if _exists(enumerated):
        yield enumerated
    other = eliminated(rbm, question, limits)
    if isinstance(other, Elimination):
        yield other


def _exists(enumerated: Enumerated) -> bool:
    try:
        enumerated.refused  # noqa: B018
    except ModelError:
        return False
    return True


def taken(
    rbm: RBM,
    question: Question,
    *,
    limits: Budget | None = None,
    limit: int | None = None,
    threads: int | None = None,
    raised: str = "Pass a larger {} for that.",
) -> Enumerated | Elimination:
    """The way that ``"auto"`` takes to an answer.

    Args:
        rbm: the model.
        question: ``"ln Z"``, or ``"marginals"`` for averages.
        limits: what an elimination may cost.
        limit, threads: as for `RBM.log_partition`.
        raised: how the caller can raise one of ``limits``, with a place for its name, for the message.

    Raises:
        EnumerationLimitError: no way is within the limits.
        ModelError: there is no way.
        ValueError: a parameter is not finite, or ``limit`` is not a positive whole number.
    """
    limits = limits or Budget()
    seen: list[Enumerated | Elimination] = []

    def looked_at() -> Iterator[Enumerated | Elimination]:
        for option in _options(rbm, question, limits, limit, threads):
            seen.append(option)
            yield option

    found = choose(looked_at())
    if found is not None:
        return found
    elimination = next((option for option in seen if isinstance(option, Elimination)), None)
    enumerated = next((option for option in seen if isinstance(option, Enumerated)), None)
    if enumerated is None:
        if elimination is not None:
            raise elimination.refusal(INSTEAD)
        enumerated = Enumerated(rbm, limit, threads, averages=question == "marginals")  # which says why it is no way
    refused = enumerated.refused
    assert refused is not None
    raise refused if elimination is None else _both_refused(refused, elimination, raised)


def eliminated_log_partition(rbm: RBM, limits: Budget, progress: bool | Progress | None) -> LogPartition:
    """ln Z by elimination.

    Raises:
        IntractableError: it exceeds the limits.
        ModelError: there is no graph to eliminate on.
    """
    other = eliminated(rbm, "ln Z", limits)
    if isinstance(other, str):
        raise ModelError(f"there is no graph to eliminate on: {other}. Use method='enumeration'.")
    other.require(INSTEAD)
    return rbm.graph.log_partition(
        method="elimination", memory_limit=limits.memory, time_limit=limits.seconds, progress=progress
    )


def require_elimination(
    rbm: RBM, question: Question, refused: EnumerationLimitError, raised: str, draws: int = 1
) -> None:
    """Check that elimination answers what an enumeration has refused.

    Raises:
        EnumerationLimitError: it does not, either; arguments as for `taken`.
    """
    other = eliminated(rbm, question, Budget(), draws)
    if isinstance(other, str):
        raise refused
    if not other.fits:
        raise _both_refused(refused, other, raised)


def eliminated_term_b(
    rbm: RBM, steps: int, limit: int | None, refused: EnumerationLimitError, raised: str
) -> Callable[[], Phase]:
    """What finds the averages under the model by elimination, in each of so many steps of learning.

    Raises:
        EnumerationLimitError: that exceeds the limits, too; arguments as for `taken`.
    """
    require_elimination(rbm, "marginals", refused, raised)
    other = eliminated(rbm, "marginals", Budget())
    assert isinstance(other, Elimination)
    seconds = steps * other.seconds
    if limit is None and seconds > SECONDS:
        raise EnumerationLimitError(
            f"fit would take about {format_seconds(seconds)}, for {steps} exact steps of about "
            f"{format_seconds(other.seconds)} by elimination, and it stops at {format_seconds(SECONDS)} where no limit "
            f"is given. Pass a limit= to run it all the same; or fewer epochs or larger batches; or algorithm='pcd'.",
            configurations=refused.configurations,
            limit=refused.limit,
            seconds=seconds,
            memory=other.memory,
        )
    return lambda: rbm._averages(limit, None, None, None, every_pair=rbm.mask is None).phase


def _both_refused(refused: EnumerationLimitError, other: Elimination, raised: str) -> EnumerationLimitError:
    """The refusal of an enumeration, with that of an elimination added to it."""
    argument, allowed = other.exceeded
    more = f" {raised.format(argument)}" if argument else ""
    return EnumerationLimitError(
        f"{refused} Elimination on the graph would need {other.needs}; {allowed}.{more}",
        configurations=refused.configurations,
        limit=refused.limit,
        seconds=refused.seconds,
        memory=refused.memory,
    )


def tractability(
    rbm: RBM, *, limit: int | None = None, memory_limit: float | None = None, time_limit: float | None = None
) -> Tractability:
    """The report of `RBM.tractability`; arguments as there."""
    limits = Budget.of(memory_limit=memory_limit, time_limit=time_limit)
    ways: list[Way] = []
    notes: list[str] = []
    method = "sampling"
    graph = graph_of(rbm)
    questions: tuple[tuple[str, Question], ...] = (("ln Z", "ln Z"), ("gradient, moments", "marginals"))
    for label, question in questions:
        options = list(_options(rbm, question, limits, limit, None))
        found = choose(options)
        ways += [option.way(label, option is found) for option in options]
        if question == "ln Z" and found is not None:
            method = "enumeration" if isinstance(found, Enumerated) else "elimination"
    plan = None
    if isinstance(graph, str):
        notes.append(f"There is no graph to eliminate on: {graph}.")
    else:
        other = eliminated(rbm, "ln Z", limits)
        assert isinstance(other, Elimination)
        plan = other.plan
        ways += [other.asking(question, draws).way(label) for label, question, draws in OTHER_QUESTIONS[1:]]
    enumerated = Enumerated(rbm, limit)
    try:
        enumerated.refused  # noqa: B018
        most = CONFIGURATIONS if limit is None else limit
        notes.append(f"Enumeration is within the limits up to limit={most} configurations.")
    except ModelError as error:
        notes.append(f"No layer can be enumerated: {error}")
    return Tractability(
        method=method,
        ways=tuple(sorted(ways, key=lambda way: way.question != "ln Z")),
        notes=tuple(notes),
        limits=limits,
        variables=sum(rbm.sizes.values()),
        plan=plan,
        advice=f"raise the limits, or {INSTEAD}" if ways else INSTEAD,
    )
