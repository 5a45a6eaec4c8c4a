"""Exact answers by enumerating one layer and summing the other one in closed form.

The layer with fewer configurations is enumerated, h say. Its free energy F(h) has the other layer summed out, so

    ln Z = ln Σ_h e^{−F(h)},    ⟨f⟩ = Σ_h p(h) ⟨f⟩_h,    p(h) = e^{−F(h)} / Z,

with ⟨f⟩_h the exact average given h. Sums are kept as (largest exponent, sum relative to it), so weights of any size
neither overflow nor vanish, and one pass gives ln Z and every average. The pass is cut into shards that do not
depend on the number of threads and are joined in their order. All is done in float64, whatever the dtype of
the parameters.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.kernels import FloatArray, Kernels, Parameters, Phase, layer_sizes, states_of
from pgm_rbm.partition import LogPartition
from pgm_rbm.sampling.streams import Purpose, derive_key, generator
from pgm_rbm.workers import ROWS, row_blocks, thread_count, workers

__all__ = [
    "DEFAULT_LIMIT",
    "EnumerationLimitError",
    "Expectations",
    "Gradient",
    "Plan",
    "Progress",
    "data_phase",
    "expectations",
    "gradient",
    "log_partition",
    "log_probability",
    "make_plan",
    "sample",
]

DEFAULT_LIMIT = 2**24
"""Configurations that are enumerated without asking."""

Progress = Callable[[int, int], None]
"""Called with (shards done, shards in all) as an enumeration goes on."""

_SHARDS = 64
_BLOCK_VALUES = 2**17


@dataclass(frozen=True)
class Plan:
    """How an enumeration goes about it.

    Attributes:
        layer: the layer that is enumerated, ``"v"`` or ``"h"``.
        units: how many units it has.
        states: the states of one unit.
        configurations: how many configurations the layer has.
        block: configurations that are worked on at once.
    """

    layer: str
    units: int
    states: tuple[float, ...]
    configurations: int
    block: int

    def rows(self, start: int, stop: int) -> FloatArray:
        """Configurations number ``start`` to ``stop``, one a row; unit 0 is the digit that changes fastest."""
        numbers = np.arange(start, stop, dtype=np.int64)
        digits = np.empty((stop - start, self.units), dtype=np.intp)
        for unit in range(self.units):
            numbers, digits[:, unit] = np.divmod(numbers, len(self.states))
        return np.asarray(self.states)[digits]

    def shards(self) -> list[range]:
        """The configurations in at most 64 runs of whole blocks."""
        blocks = -(-self.configurations // self.block)
        n = min(_SHARDS, blocks)
        return [
            range(blocks * k // n * self.block, min(blocks * (k + 1) // n * self.block, self.configurations))
            for k in range(n)
        ]

    def blocks(self, shard: range) -> Iterator[FloatArray]:
        """The configurations of a shard, a block at a time."""
        for start in range(shard.start, shard.stop, self.block):
            yield self.rows(start, min(start + self.block, shard.stop))


@dataclass(frozen=True)
class Expectations:
    """Averages under the model.

    Attributes:
        log_partition: ln Z.
        phase: by parameter θ, the average of −∂E/∂θ under p(v, h), in the shape of θ.
    """

    log_partition: float
    phase: Phase


@dataclass(frozen=True)
class Gradient:
    """The gradient of the mean ln p(v) over the data, as Term A − Term B.

    Attributes:
        term_a: by parameter θ, the average of −∂E/∂θ with v from the data and h from p(h | v).
        term_b: by parameter θ, the average of −∂E/∂θ under the model's p(v, h).
        difference: ``term_a`` − ``term_b``, the gradient itself; ``gradient["w"]`` is ``difference["w"]``.
    """

    term_a: Phase
    term_b: Phase
    difference: Phase = field(init=False)

    def __post_init__(self) -> None:
        difference = {name: self.term_a[name] - self.term_b[name] for name in self.term_a}
        object.__setattr__(self, "difference", difference)

    def __getitem__(self, parameter: str) -> FloatArray:
        return self.difference[parameter]

    @property
    def weights(self) -> FloatArray:
        """The gradient by the weights, ``difference["w"]``."""
        return self.difference["w"]

    @property
    def visible_bias(self) -> FloatArray:
        """The gradient by the visible biases, ``difference["a"]``."""
        return self.difference["a"]

    @property
    def hidden_bias(self) -> FloatArray:
        """The gradient by the hidden biases, ``difference["b"]``."""
        return self.difference["b"]


def make_plan(kernels: Kernels, parameters: Parameters, limit: int | None = None, threads: int | None = None) -> Plan:
    """The plan for the layer with fewer configurations.

    Args:
        kernels, parameters: the model.
        limit: the most configurations to enumerate; 2^24 by default.
        threads: how many threads there will be, for the estimate of time in the message.

    Raises:
        EnumerationLimitError: there are more configurations than that; nothing has been enumerated.
        ValueError: a parameter is NaN or infinite, or ``limit`` is not a positive whole number.
    """
    limit = DEFAULT_LIMIT if limit is None else limit
    if isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 1:
        raise ValueError(f"limit must be a positive whole number of configurations. Got {limit!r}.")
    for name, value in parameters.items():
        if not np.isfinite(value).all():
            raise ValueError(f"parameter {name} must be finite. Got NaN or infinity in it.")
    sizes = layer_sizes(kernels, parameters)
    layer = min(sizes, key=lambda one: sizes[one] * math.log(len(states_of(kernels.layers[one]))))
    other = sum(size for one, size in sizes.items() if one != layer)
    states = states_of(kernels.layers[layer])
    configurations = len(states) ** sizes[layer]
    block = min(max(ROWS, 1 << max(_BLOCK_VALUES // other, 1).bit_length() - 1), 4096)
    plan = Plan(layer, sizes[layer], states, configurations, block)
    if configurations > limit:
        raise _refusal(plan, limit, kernels, parameters, thread_count(threads))
    return plan


_YEAR = 31_557_600.0


def _refusal(plan: Plan, limit: int, kernels: Kernels, parameters: Parameters, threads: int) -> EnumerationLimitError:
    lifted = _lifted(parameters)
    rows = np.full((plan.block, plan.units), plan.states[0])
    trial = math.inf
    with workers(1):
        for _ in range(3):
            begin = time.perf_counter()
            kernels.free_energy(rows, of=plan.layer, **lifted)
            trial = min(trial, time.perf_counter() - begin)
    # Configurations can outnumber what a float holds, so their ratio to a block is formed in whole numbers first.
    blocks = -(-plan.configurations // (plan.block * threads))
    seconds = trial * blocks if blocks < 2**1000 else math.inf
    sizes = layer_sizes(kernels, parameters)
    held = plan.block * 4 * sum(sizes.values()) + 2 * math.prod(sizes.values())
    memory = 8 * held * threads
    name = "visible" if plan.layer in kernels.visible else "hidden"
    base, power = len(plan.states), plan.units
    many = f"{base}**{power}"
    anyway = f"Pass limit={many} to run it all the same; or " if seconds < _YEAR else "Instead, "
    return EnumerationLimitError(
        f"The smaller layer ({name}, {power} {kernels.layers[plan.layer]} units) has {many} configurations, and "
        f"enumeration stops at limit={limit}. This one would take about {_duration(seconds)} on "
        f"{threads} thread{'s' if threads > 1 else ''} and {memory / 2**20:.0f} MiB. {anyway}eliminate on "
        f"the graph if few pairs of units have a weight; or use what needs no ln Z: Gibbs samples, differences of free "
        f"energies, and training by CD or PCD with the pseudo-likelihood as its monitor.",
        configurations=plan.configurations,
        limit=limit,
        seconds=seconds,
        memory=memory,
    )


def _duration(seconds: float) -> str:
    for size, unit in ((_YEAR, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} seconds"


def _lifted(parameters: Parameters) -> dict[str, FloatArray]:
    return {name: np.ascontiguousarray(value, dtype=np.float64) for name, value in parameters.items()}


class _Sum:
    """Σ e^{x} and Σ e^{x} f, kept relative to the largest x so far."""

    def __init__(self) -> None:
        self.top = -math.inf
        self.total = 0.0
        self.phase: Phase = {}

    def add(self, top: float, total: float, phase: Phase) -> None:
        if top > self.top:
            self._scale(math.exp(self.top - top))
            self.top = top
        factor = math.exp(top - self.top)
        self.total += factor * total
        for name, value in phase.items():
            if name in self.phase:
                self.phase[name] += factor * value
            else:
                self.phase[name] = factor * value

    def _scale(self, factor: float) -> None:
        self.total *= factor
        for value in self.phase.values():
            value *= factor

    @property
    def log(self) -> float:
        return self.top + math.log(self.total)


def _sweep(
    kernels: Kernels,
    parameters: Parameters,
    with_phase: bool,
    limit: int | None,
    threads: int | None,
    progress: Progress | None,
) -> _Sum:
    plan = make_plan(kernels, parameters, limit, threads)
    lifted = _lifted(parameters)
    shards = plan.shards()

    def work(shard: range) -> _Sum:
        result = _Sum()
        for rows in plan.blocks(shard):
            exponents = -kernels.free_energy(rows, of=plan.layer, **lifted)
            top = float(exponents.max())
            if not math.isfinite(top):
                raise ValueError("the parameters are so large that energies overflow float64. Scale them down.")
            weights = np.exp(exponents - top)
            phase = kernels.phase(rows, of=plan.layer, row_weights=weights, **lifted) if with_phase else {}
            result.add(top, float(weights.sum()), phase)
        return result

    parts: dict[int, _Sum] = {}
    with workers(threads) as pool:
        for place, part in pool.unordered(work, shards):
            parts[place] = part
            if progress is not None:
                progress(len(parts), len(shards))
    result = _Sum()
    for place in range(len(shards)):
        part = parts.pop(place)
        result.add(part.top, part.total, part.phase)
    return result


def log_partition(
    kernels: Kernels,
    parameters: Parameters,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> LogPartition:
    """ln Z, exact up to rounding in float64.

    Args:
        kernels, parameters: the model.
        limit: the most configurations to enumerate; 2^24 by default.
        threads: how many threads to use; the result does not depend on it.
        progress: called with (shards done, shards in all).

    Raises:
        EnumerationLimitError: the smaller layer has more configurations than ``limit``.
        ValueError: a parameter is not finite, or energies overflow.
    """
    total = _sweep(kernels, parameters, False, limit, threads, progress)
    return LogPartition(total.log, "enumeration")


def expectations(
    kernels: Kernels,
    parameters: Parameters,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Expectations:
    """ln Z and the average of every −∂E/∂θ under the model (Term B), in one pass. Arguments as `log_partition`."""
    total = _sweep(kernels, parameters, True, limit, threads, progress)
    return Expectations(total.log, {name: value / total.total for name, value in total.phase.items()})


def data_phase(kernels: Kernels, parameters: Parameters, x: npt.NDArray[Any], *, threads: int | None = None) -> Phase:
    """Term A: the average of −∂E/∂θ over the rows of ``x``, h averaged exactly given each row, in float64.

    Args:
        kernels, parameters: the model.
        x: visible states, shape (rows, n_visible), of any dtype.
        threads: how many threads to use; the result does not depend on it.
    """
    lifted = _lifted(parameters)
    layer = kernels.visible[0]

    def work(rows: slice) -> Phase:
        return kernels.phase(np.ascontiguousarray(x[rows], dtype=np.float64), of=layer, **lifted)

    with workers(threads) as pool:
        parts = pool.map(work, row_blocks(len(x), sum(layer_sizes(kernels, parameters).values())))
    total = parts[0]
    for part in parts[1:]:
        for name, value in part.items():
            total[name] += value
    return {name: value / len(x) for name, value in total.items()}


def gradient(
    kernels: Kernels,
    parameters: Parameters,
    x: npt.NDArray[Any],
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Gradient:
    """The exact gradient of the mean ln p(v) over the rows of ``x``. Arguments as `log_partition`."""
    model = expectations(kernels, parameters, limit=limit, threads=threads, progress=progress)
    return Gradient(data_phase(kernels, parameters, x, threads=threads), model.phase)


def log_probability(
    kernels: Kernels,
    parameters: Parameters,
    x: npt.NDArray[Any],
    log_z: float,
    *,
    threads: int | None = None,
) -> npt.NDArray[np.float64]:
    """ln p(v) = −F(v) − ln Z for every row of ``x``, in float64, shape (rows,)."""
    lifted = _lifted(parameters)
    out = np.empty(len(x))

    def work(rows: slice) -> None:
        states = np.ascontiguousarray(x[rows], dtype=np.float64)
        out[rows] = -kernels.free_energy(states, of=kernels.visible[0], **lifted) - log_z

    with workers(threads) as pool:
        pool.map(work, row_blocks(len(x), sum(layer_sizes(kernels, parameters).values())))
    return out


def sample(
    kernels: Kernels,
    parameters: Parameters,
    n: int,
    seed: int,
    *,
    limit: int | None = None,
    threads: int | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Independent draws (v, h) from the model itself: the enumerated layer from its exact distribution, then the
    other one given it.

    Args:
        kernels, parameters: the model.
        n: how many draws.
        seed: 64-bit seed.
        limit: the most configurations to enumerate; 2^24 by default.
        threads: how many threads to use; the result does not depend on it.

    Returns:
        States of shape (n, n_visible) and (n, n_hidden), in the dtype of the parameters.
    """
    plan = make_plan(kernels, parameters, limit, threads)
    lifted = _lifted(parameters)

    def masses(shard: range) -> list[float]:
        logs = []
        for rows in plan.blocks(shard):
            exponents = -kernels.free_energy(rows, of=plan.layer, **lifted)
            top = float(exponents.max())
            logs.append(top + math.log(float(np.exp(exponents - top).sum())))
        return logs

    uniforms = generator(seed, Purpose.EXACT).random((2, n))
    drawn = np.empty((n, plan.units))
    with workers(threads) as pool:
        chosen = _draw(np.concatenate(pool.map(masses, plan.shards())), uniforms[0])

        def fill(block: int) -> None:
            places = np.flatnonzero(chosen == block)
            start = block * plan.block
            rows = plan.rows(start, min(start + plan.block, plan.configurations))
            exponents = -kernels.free_energy(rows, of=plan.layer, **lifted)
            drawn[places] = rows[_draw(exponents, uniforms[1, places])]

        pool.map(fill, np.unique(chosen).tolist())
    dtype = next(iter(parameters.values())).dtype
    given = drawn.astype(dtype)
    (v,), (h,) = kernels.visible, kernels.hidden
    other = h if plan.layer == v else v
    key = derive_key(seed, Purpose.EXACT, 1)
    rest = kernels.sample(other, given, key, first_row=0, **parameters)
    return (given, rest) if plan.layer == v else (rest, given)


def _draw(exponents: FloatArray, uniforms: FloatArray) -> npt.NDArray[np.intp]:
    """Places drawn with probabilities proportional to e^{exponents}, by inverting the distribution function."""
    cumulative = np.cumsum(np.exp(exponents - exponents.max()))
    return np.minimum(np.searchsorted(cumulative, uniforms * cumulative[-1], side="right"), len(cumulative) - 1)
