"""What an enumeration would cost, from a trial of a few milliseconds, and the refusal of what costs too much."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.exact.products import Problem, tables_of
from pgm_rbm.exact.sums import KernelSum, LayerSum, ProductSum
from pgm_rbm.kernels import layer_sizes
from pgm_rbm.workers import workers

__all__ = ["MEMORY", "SECONDS", "Estimate", "duration", "estimate", "refusal"]

SECONDS, MEMORY = 600.0, 2**30
"""What an enumeration may take and hold where the caller sets no limit."""

_YEAR = 31_557_600.0
_TRIAL_DIGITS, _TRIAL_UNITS = 5, 2**15
# What the averages take over ln Z alone: the benchmarks measure it.
_AVERAGES = 4


@dataclass(frozen=True)
class Estimate:
    """What an enumeration would cost.

    Attributes:
        operations: configurations times units of the other layer.
        seconds: on so many threads of this machine; infinite beyond what a float holds.
        memory: bytes at the peak.
    """

    operations: int
    seconds: float
    memory: int


def estimate(task: LayerSum, threads: int) -> Estimate:
    """What a task would cost, from a trial on this machine.

    Args:
        task: what is to be enumerated.
        threads: how many threads it would run on.
    """
    if isinstance(task, ProductSum):
        return _of_products(task, threads)
    assert isinstance(task, KernelSum)
    return _of_kernels(task, threads)


def _of_products(task: ProductSum, threads: int) -> Estimate:
    from pgm_rbm.exact import product_loops

    problem, layout = task.problem, task.problem.layout
    n, m = problem.coupling.shape
    fast = np.array(layout.order[: layout.inner + _TRIAL_DIGITS])
    # Small numbers in the same places take as long, and are in range whatever part of the units is taken.
    tried = np.linspace(0, n - 1, min(n, _TRIAL_UNITS)).astype(np.intp)
    coupling = np.where(problem.coupling[np.ix_(tried, fast)] != 0, 2.0**-10, 0.0)
    trial = Problem(np.zeros(len(fast)), np.zeros(len(tried)), coupling, problem.states, problem.other_states)
    tables, outer = tables_of(trial).tables, trial.layout.outer
    product_loops.total(tables, 0, 1)
    taken = _quickest(lambda: product_loops.total(tables, 0, outer)) * n / len(tried)
    rows = n * (len(problem.other_states) - 1)
    lanes = rows * layout.lanes
    walk = rows * layout.depth * (len(problem.states) + 1)
    held = lanes + walk + threads * (walk + (lanes + 4 * rows * m if task.with_averages else 0))
    return Estimate(
        task.configurations * n,
        _times(taken * (_AVERAGES if task.with_averages else 1), layout.outer, outer * threads),
        8 * held,
    )


def _of_kernels(task: KernelSum, threads: int) -> Estimate:
    rows = np.full((task.block, task.units), task.domain.states[0])
    with workers(1):
        task.kernels.free_energy(rows, of=task.layer, **task.parameters)
        taken = _quickest(lambda: task.kernels.free_energy(rows, of=task.layer, **task.parameters))
    sizes = layer_sizes(task.kernels, task.parameters)
    other = sum(sizes.values()) - task.units
    held = threads * (task.block * 4 * sum(sizes.values()) + 2 * math.prod(sizes.values()))
    cost = taken * (_AVERAGES if task.with_averages else 1)
    return Estimate(task.configurations * other, _times(cost, task.configurations, task.block * threads), 8 * held)


def _quickest(work: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def _times(seconds: float, whole: int, part: int) -> float:
    """``seconds`` · whole / part; the whole can outnumber what a float holds."""
    ratio = -(-whole // part)
    return seconds * ratio if ratio < 2**1000 else math.inf


def refusal(
    task: LayerSum, cost: Estimate, units: str, states: int, n_units: int, name: str, limit: int, threads: int
) -> EnumerationLimitError:
    """The error for a task with more configurations, time or memory than were allowed.

    Args:
        task: what is not going to be enumerated.
        cost: what it would cost.
        units, states, n_units, name: what its layer's units are, how many states one has, how many units it has, and
            whether it is visible or hidden.
        limit: configurations allowed.
        threads: how many threads it would run on.
    """
    stops = f"limit={limit}"
    if task.configurations <= limit:
        stops = f"{duration(SECONDS)} and {MEMORY / 2**20:.0f} MiB where no limit is given"
    many = f"{states}**{n_units}"
    anyway = f"Pass limit={many} to run it all the same; or " if cost.seconds < _YEAR else "Instead, "
    return EnumerationLimitError(
        f"The layer to be enumerated ({name}, {n_units} {units} units) has {many} configurations, and "
        f"enumeration stops at {stops}. This one would take about {duration(cost.seconds)} on "
        f"{threads} thread{'s' if threads > 1 else ''} and {cost.memory / 2**20:.0f} MiB. {anyway}eliminate on "
        f"the graph if few pairs of units have a weight; or use what needs no ln Z: Gibbs samples, differences of free "
        f"energies, and training by CD or PCD with the pseudo-likelihood as its monitor.",
        configurations=task.configurations,
        limit=limit,
        seconds=cost.seconds,
        memory=cost.memory,
    )


def duration(seconds: float) -> str:
    """A time as people say it."""
    for size, unit in ((_YEAR, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} seconds"
