"""What an enumeration would cost, from a trial of a few milliseconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgm_rbm.exact.enumeration.products import CHUNK, Problem, tables_of
from pgm_rbm.exact.enumeration.sums import KernelSum, LayerSum, ProductSum
from pgm_rbm.machine.workers import workers

__all__ = ["Estimate", "estimate", "extended", "quickest"]

_TRIAL_DIGITS, _TRIAL_UNITS = 5, 2**15
_TRIES, _TRIAL_SECONDS = 5, 0.05
# What the averages take over ln Z alone: the benchmarks measure it.
_AVERAGES = 4


@dataclass(frozen=True)
class Estimate:
    """What an enumeration would cost.

    Attributes:
        operations: configurations times units of the other layers.
        seconds: on so many threads of this machine; infinite beyond what a float holds.
        memory: bytes at the peak.
    """

    operations: int
    seconds: float
    memory: int


def estimate(task: LayerSum, threads: int) -> Estimate:
    """What a task would cost, from a trial on this machine, on as many threads at once as it would run on.

    Args:
        task: what is to be enumerated.
        threads: how many threads it would run on.
    """
    if isinstance(task, ProductSum):
        return _of_products(task, threads)
    assert isinstance(task, KernelSum)
    return _of_kernels(task, threads)


def _of_products(task: ProductSum, threads: int) -> Estimate:
    from pgm_rbm.exact.enumeration.product_loops import total

    problem, layout = task.problem, task.problem.layout
    n, m = problem.coupling.shape
    fast = np.array(layout.order[: layout.inner + _TRIAL_DIGITS])
    # Small numbers in the same places take as long, and are in range whatever part of the units is taken.
    tried = np.linspace(0, n - 1, min(n, _TRIAL_UNITS)).astype(np.intp)
    coupling = np.where(problem.coupling[np.ix_(tried, fast)] != 0, 2.0**-10, 0.0)
    trial = Problem(np.zeros(len(fast)), np.zeros(len(tried)), coupling, problem.states, problem.other_states)
    tables, outer = tables_of(trial).tables, trial.layout.outer
    total(tables, 0, 1)
    taken = quickest(lambda: total(tables, 0, outer), threads) * n / len(tried)
    rows = n * (len(problem.other_states) - 1)
    lanes = rows * layout.lanes
    walk = rows * layout.depth * (len(problem.states) + 1)
    chunk = CHUNK * rows
    held = lanes + walk + threads * (walk + chunk + (lanes + chunk + 4 * rows * m if task.with_averages else 0))
    return Estimate(
        task.configurations * n,
        extended(taken * (_AVERAGES if task.with_averages else 1), layout.outer, outer * threads),
        8 * held,
    )


def _of_kernels(task: KernelSum, threads: int) -> Estimate:
    held = task.numbered(np.zeros(task.block, dtype=np.int64))

    def block() -> object:
        if task.with_averages:
            task.model.kernels.phase(held, of=task.kept, **task.model.parameters)
        return task.log_weights_of(held)

    block()
    taken = quickest(block, threads)
    units = sum(task.sizes.values())
    other = sum(size for layer, size in task.sizes.items() if layer not in task.kept) or units
    weights = sum(value.size for value in task.model.parameters.values())
    memory = 8 * threads * (task.block * 4 * units + 2 * weights)
    return Estimate(task.configurations * other, extended(taken, task.configurations, task.block * threads), memory)


def quickest(work: Callable[[], object], threads: int) -> float:
    """The least time, in seconds, that work took on each of so many threads at once."""

    def timed(_: int) -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    least, begin = math.inf, time.perf_counter()
    with workers(threads) as pool:
        for _ in range(_TRIES):
            times = pool.map(timed, range(threads))
            least = min(least, sum(times) / len(times))
            if time.perf_counter() - begin > _TRIAL_SECONDS:
                break
    return least


def extended(seconds: float, whole: int, part: int) -> float:
    """What the whole takes where a part of it takes so many seconds; the whole can outnumber what a float holds."""
    ratio = -(-whole // part)
    return seconds * ratio if ratio < 2**1000 else math.inf
