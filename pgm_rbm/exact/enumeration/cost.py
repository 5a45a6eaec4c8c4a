"""What an enumeration would cost, from a trial of a few milliseconds, and the refusal of what costs too much."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.exact.enumeration.products import Problem, tables_of
from pgm_rbm.exact.enumeration.sums import KernelSum, LayerSum, ProductSum, domain_of
from pgm_rbm.machine.budget import CONFIGURATIONS, MEMORY, MOST_CONFIGURATIONS, SECONDS
from pgm_rbm.machine.workers import thread_count, workers
from pgm_rbm.model.domains import states_of
from pgm_rbm.model.kernels import Kernels

__all__ = [
    "Estimate",
    "allowed_configurations",
    "described",
    "estimate",
    "extended",
    "quickest",
    "require_within",
]

# Up to so many configurations times weights, time and memory are within the limits without a trial.
SURE = 2**36
_YEAR = 31_557_600.0
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
    from pgm_rbm.exact.enumeration import product_loops

    problem, layout = task.problem, task.problem.layout
    n, m = problem.coupling.shape
    fast = np.array(layout.order[: layout.inner + _TRIAL_DIGITS])
    # Small numbers in the same places take as long, and are in range whatever part of the units is taken.
    tried = np.linspace(0, n - 1, min(n, _TRIAL_UNITS)).astype(np.intp)
    coupling = np.where(problem.coupling[np.ix_(tried, fast)] != 0, 2.0**-10, 0.0)
    trial = Problem(np.zeros(len(fast)), np.zeros(len(tried)), coupling, problem.states, problem.other_states)
    tables, outer = tables_of(trial).tables, trial.layout.outer
    product_loops.total(tables, 0, 1)
    taken = quickest(lambda: product_loops.total(tables, 0, outer), threads) * n / len(tried)
    rows = n * (len(problem.other_states) - 1)
    lanes = rows * layout.lanes
    walk = rows * layout.depth * (len(problem.states) + 1)
    chunk = product_loops.CHUNK * rows
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
            task.kernels.phase(held, of=task.kept, **task.parameters)
        return task.log_weights_of(held)

    block()
    taken = quickest(block, threads)
    units = sum(task.sizes.values())
    other = sum(size for layer, size in task.sizes.items() if layer not in task.kept) or units
    weights = sum(value.size for value in task.parameters.values())
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


def allowed_configurations(limit: int | None) -> int:
    """How many configurations may be enumerated.

    Raises:
        ValueError: ``limit`` is not a positive whole number.
    """
    most = CONFIGURATIONS if limit is None else limit
    if isinstance(most, bool) or not isinstance(most, (int, np.integer)) or most < 1:
        raise ValueError(f"limit must be a positive whole number of configurations. Got {limit!r}.")
    return int(most)


def require_within(
    task: LayerSum, kernels: Kernels, sizes: dict[str, int], limit: int | None, threads: int | None
) -> None:
    """Raise if a task has more configurations than are allowed, or takes more time or memory where no limit is given.

    Args:
        task: what is to be enumerated.
        kernels, sizes: the model, and how many units its layers have.
        limit: the most configurations; None for 2^24, 10 minutes and 1 GiB.
        threads: how many threads there will be.

    Raises:
        EnumerationLimitError: it exceeds that; nothing has been enumerated.
        ValueError: ``limit`` is not a positive whole number.
    """
    most, count = allowed_configurations(limit), thread_count(threads)
    few = task.configurations <= min(most, MOST_CONFIGURATIONS)
    if few and (limit is not None or task.configurations * math.prod(sizes.values()) <= SURE):
        return
    cost = estimate(task, count)
    if few and cost.seconds <= SECONDS and cost.memory <= MEMORY:
        return
    # Networkx is imported along, which takes a while.
    from pgm_rbm.machine.quantities import format_bytes, format_seconds

    stops = f"limit={most}"
    if task.configurations <= most:
        stops = f"{format_seconds(SECONDS)} and {format_bytes(MEMORY)} where no limit is given"
        if limit is not None:
            stops = "2**62, whatever the limit, since configurations are numbered in 64 bits"
    many = _product(kernels, sizes, task.kept)
    layers = "layer" if len(task.kept) == 1 else "layers"
    verb = "has" if len(task.kept) == 1 else "have"
    anyway = f"Pass limit={many} to run it all the same; or " if cost.seconds < _YEAR else "Instead, "
    finite = len(kernels.layers) == 2 and all(domain_of(unit) for unit in kernels.layers.values())
    graph = "eliminate on the graph if few pairs of units have a weight; or " if finite else ""
    raise EnumerationLimitError(
        f"The {layers} to be enumerated ({described(kernels, sizes, task.kept)}) {verb} {many} configurations, and "
        f"enumeration stops at {stops}. This one would take about {format_seconds(cost.seconds)} on "
        f"{count} thread{'s' if count > 1 else ''} and {format_bytes(cost.memory)}. {anyway}{graph}use what needs no "
        f"ln Z: Gibbs samples, differences of free energies, and training by CD or PCD with the pseudo-likelihood as "
        f"its monitor.",
        configurations=task.configurations,
        limit=most,
        seconds=cost.seconds,
        memory=cost.memory,
    )


def described(kernels: Kernels, sizes: dict[str, int], layers: tuple[str, ...]) -> str:
    """Layers as messages name them, such as ``hidden, 40 binary units``."""
    if len(kernels.visible) == len(kernels.hidden) == len(layers) == 1:
        side = "visible" if layers[0] in kernels.visible else "hidden"
        return f"{side}, {sizes[layers[0]]} {kernels.layers[layers[0]]} units"
    return "; ".join(f"{layer}, {sizes[layer]} {kernels.layers[layer]} units" for layer in layers)


def _product(kernels: Kernels, sizes: dict[str, int], layers: tuple[str, ...]) -> str:
    """The number of configurations as people and Python write it, such as ``2**40``."""
    powers: Counter[int] = Counter()
    for layer in layers:
        powers[len(states_of(kernels.layers[layer]))] += sizes[layer]
    return "*".join(f"{base}**{power}" for base, power in powers.items())
