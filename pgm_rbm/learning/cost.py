"""Estimate how long exact learning takes before it starts."""

from __future__ import annotations

import math

from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.exact.enumeration import fisher
from pgm_rbm.exact.enumeration.cost import estimate
from pgm_rbm.exact.enumeration.plan import SURE, task_of
from pgm_rbm.machine.budget import CONFIGURATIONS, SECONDS, Budget
from pgm_rbm.machine.quantities import format_seconds
from pgm_rbm.model.model import Model

__all__ = ["require_time"]


def require_time(
    model: Model,
    *,
    steps: int,
    measures: int,
    natural: bool = False,
    budget: Budget = Budget(),
) -> None:
    """Raise if exact steps and measures are expected to take more than the default time of one enumeration.

    Args:
        model: the model.
        steps: how many exact gradients will be computed.
        measures: how many times ln Z will be computed to measure the model.
        natural: whether every step also computes the Fisher information.
        budget: how many threads will run.

    Raises:
        EnumerationLimitError: they would take more; nothing has begun.
    """
    asked = [(steps, task_of(model, averages=True))] if steps else []
    asked += [(measures, task_of(model))] if measures else []
    weights = math.prod(model.sizes.values())
    if not asked or (not natural and sum(many * task.configurations * weights for many, task in asked) <= SURE):
        return
    count = budget.thread_count
    found = [estimate(task, count) for _, task in asked]
    each = [one.seconds for one in found]
    if natural:
        each[0] += fisher.expected_seconds(model, count)
    seconds = sum(many * one for (many, _), one in zip(asked, each, strict=True))
    if seconds <= SECONDS:
        return
    names = ("steps",) * bool(steps) + ("measures of the model",) * bool(measures)
    parts = " and ".join(
        f"{many} exact {name} of about {format_seconds(one)}"
        for (many, _), name, one in zip(asked, names, each, strict=True)
    )
    most = max(task.configurations for _, task in asked)
    raise EnumerationLimitError(
        f"fit would take about {format_seconds(seconds)} on {count} thread{'s' if count > 1 else ''}, for {parts}, and "
        f"it stops at {format_seconds(SECONDS)} where no limit is given. Pass limit={most} to run it all the "
        f"same; or fewer epochs or larger batches; or algorithm='pcd' with monitor='pseudo', which need no ln Z.",
        configurations=most,
        limit=CONFIGURATIONS,
        seconds=seconds,
        memory=max(one.memory for one in found),
    )
