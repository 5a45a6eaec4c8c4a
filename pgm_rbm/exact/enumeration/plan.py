"""What is enumerated to answer a question, what it would cost, and the refusal of what costs too much."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from pgm_rbm.errors import EnumerationLimitError, ModelError, NoFiniteDomainError
from pgm_rbm.exact.enumeration import multilayer
from pgm_rbm.exact.enumeration.cost import Estimate, estimate
from pgm_rbm.exact.enumeration.sums import (
    KernelSum,
    LayerSum,
    domain_of,
    problem_of,
    require_domain,
    require_finite,
)
from pgm_rbm.machine.budget import MEMORY, MOST_CONFIGURATIONS, SECONDS, Budget
from pgm_rbm.machine.quantities import format_bytes, format_seconds
from pgm_rbm.model.domains import states_of
from pgm_rbm.model.model import Model

__all__ = ["SURE", "Plan", "make_plan", "obstacle", "task_of"]

SURE = 2**36
"""Up to so many configurations times weights, time and memory are within the limits without a trial: one core does 2^37
a second by products and 2^30 by NumPy's kernels (784×18, 2-core Xeon, 2026-12), so these take a minute at most."""

_YEAR = 31_557_600.0


def obstacle(model: Model, averages: bool = False) -> ModelError | None:
    """Return the error that says why no layer can be enumerated, whatever that would cost; None where one can.

    Args:
        model: the model.
        averages: whether averages are wanted besides ln Z.
    """
    if not model.layout.two_sided:
        kept = multilayer.kept_layers(model.layout, averages)
        return ModelError(kept) if isinstance(kept, str) else None
    if any(domain_of(unit) is not None for unit in model.units.values()):
        return None
    units = " and ".join(f"{one} ({unit})" for one, unit in model.units.items())
    return NoFiniteDomainError(
        f"exact answers go through all states of one layer, which takes units of finitely many states on one side. "
        f"Got {units}. Choose binary, spin or other finite units in one layer, or use what needs no ln Z: Gibbs "
        f"samples, and training by CD or PCD with monitor='none'."
    )


def task_of(model: Model, layer: str | None = None, averages: bool = False) -> LayerSum:
    """Return what is to be enumerated, whatever it would cost.

    Args:
        model: the model.
        layer: which layer, where there is one on each side. By default the one with fewer configurations; of an energy
            over any number of layers the smallest set of them that leaves the others a closed form.
        averages: whether averages are wanted besides ln Z.

    Raises:
        ValueError: a parameter is NaN or infinite.
        NoFiniteDomainError: the units of the layer, or of every layer, have infinitely many states.
        ModelError: no layer can be summed out with all others of finitely many states, or the model is given inputs.
    """
    require_finite(model.parameters)
    if not model.layout.two_sided:
        kept = multilayer.kept_layers(model.layout, averages)
        if isinstance(kept, str):
            raise ModelError(kept)
        return KernelSum(model.lifted(), kept, averages)
    hindrance = obstacle(model)
    if layer is None and hindrance is not None:
        raise hindrance
    asked = [one for one in model.sizes if domain_of(model.units[one]) is not None] if layer is None else [layer]
    count = {one: len(require_domain(model.kernels, one).states) ** model.sizes[one] for one in asked}
    chosen = min(count, key=lambda one: count[one])
    if model.kernels.target == "numba":
        products = problem_of(model, chosen, averages)
        if products is not None and products.problem.in_range:
            return products
    return KernelSum(model.lifted(), (chosen,), averages)


@dataclass(frozen=True, eq=False)
class Plan:
    """An enumeration that may be carried out, and what it would cost.

    Attributes:
        model: the model.
        task: what is to be enumerated.
        budget: what it may take.
    """

    model: Model
    task: LayerSum
    budget: Budget

    @cached_property
    def estimate(self) -> Estimate:
        """What it would cost, from a trial of a few milliseconds."""
        return estimate(self.task, self.budget.thread_count)

    @property
    def _is_few(self) -> bool:
        return self.task.configurations <= min(self.budget.most_configurations, MOST_CONFIGURATIONS)

    @cached_property
    def fits(self) -> bool:
        """Whether it is within the budget; a trial is made only where there is doubt."""
        if not self._is_few:
            return False
        if self.budget.configurations is not None:
            return True
        if self.task.configurations * math.prod(self.model.sizes.values()) <= SURE:
            return True
        return self.estimate.seconds <= SECONDS and self.estimate.memory <= MEMORY

    @cached_property
    def refusal(self) -> EnumerationLimitError:
        """The error that says which limit is in the way, what the enumeration would cost and what to do instead."""
        task, budget, cost = self.task, self.budget, self.estimate
        most, count = budget.most_configurations, budget.thread_count
        stops = f"limit={most}"
        if task.configurations <= most:
            stops = f"{format_seconds(SECONDS)} and {format_bytes(MEMORY)} where no limit is given"
            if budget.configurations is not None:
                stops = "2**62, whatever the limit, since configurations are numbered in 64 bits"
        many = self._configurations
        layers, verb = ("layer", "has") if len(task.kept) == 1 else ("layers", "have")
        anyway = f"Pass limit={many} to run it all the same; or " if cost.seconds < _YEAR else "Instead, "
        finite = len(self.model.units) == 2 and all(domain_of(unit) for unit in self.model.units.values())
        graph = "eliminate on the graph if few pairs of units have a weight; or " if finite else ""
        return EnumerationLimitError(
            f"The {layers} to be enumerated ({self._described}) {verb} {many} configurations, and enumeration stops at "
            f"{stops}. This one would take about {format_seconds(cost.seconds)} on {count} "
            f"thread{'s' if count > 1 else ''} and {format_bytes(cost.memory)}. {anyway}{graph}use what needs no ln Z: "
            f"Gibbs samples, differences of free energies, and training by CD or PCD with the pseudo-likelihood as its "
            f"monitor.",
            configurations=task.configurations,
            limit=most,
            seconds=cost.seconds,
            memory=cost.memory,
        )

    @property
    def _described(self) -> str:
        """The layers as messages name them, such as ``hidden, 40 binary units``."""
        kernels, sizes, units, kept = self.model.kernels, self.model.sizes, self.model.units, self.task.kept
        if len(kernels.visible) == len(kernels.hidden) == len(kept) == 1:
            side = "visible" if kept[0] in kernels.visible else "hidden"
            return f"{side}, {sizes[kept[0]]} {units[kept[0]]} units"
        return "; ".join(f"{layer}, {sizes[layer]} {units[layer]} units" for layer in kept)

    @property
    def _configurations(self) -> str:
        """The number of configurations as people and Python write it, such as ``2**40``."""
        powers: Counter[int] = Counter()
        for layer in self.task.kept:
            powers[len(states_of(self.model.units[layer]))] += self.model.sizes[layer]
        return "*".join(f"{base}**{power}" for base, power in powers.items())

    def require(self) -> LayerSum:
        """Return the task.

        Raises:
            EnumerationLimitError: it exceeds the budget; nothing has been enumerated.
        """
        if not self.fits:
            raise self.refusal
        return self.task


def make_plan(model: Model, budget: Budget = Budget(), *, layer: str | None = None, averages: bool = False) -> Plan:
    """Return the plan of an enumeration; arguments and errors as `task_of`."""
    return Plan(model, task_of(model, layer, averages), budget)
