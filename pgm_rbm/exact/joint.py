"""Exact answers for energies over any number of layers, by enumerating as few of them as will do.

Some layers, s, are summed out in closed form given all others, r: with F(r) the free energy of these,

    ln Z = ln Σ_r μ(r) e^{−F(r)},    ⟨f⟩ = Σ_r p(r) ⟨f⟩_r,    p(r) = μ(r) e^{−F(r)} / Z,

so all of r must have finitely many states, and s a closed form. Of the ways there are, the one is taken that leaves the
fewest configurations; in a deep model every other layer can be summed out at once. What is conditional on data is had
the same way, with the hidden layers but one enumerated for each row. The functions are those of `enumeration`, which
is quicker where there is one layer on each side.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.domains import is_finite, log_measure, states_of
from pgm_rbm.errors import EnumerationLimitError, ModelError
from pgm_rbm.exact.enumeration import DEFAULT_LIMIT, Expectations, Gradient
from pgm_rbm.exact.reduction import Part
from pgm_rbm.exact.shards import Executors, Progress, run, showing
from pgm_rbm.exact.sums import lifted
from pgm_rbm.kernels import FloatArray, Kernels, Parameters, Phase, dtype_of
from pgm_rbm.layout import NO_AVERAGE, Layout, States
from pgm_rbm.partition import LogPartition
from pgm_rbm.workers import row_blocks, thread_count, workers

__all__ = [
    "JointSum",
    "data_phase",
    "expectations",
    "free_energy",
    "gradient",
    "log_partition",
    "log_probability",
    "make_plan",
    "sample",
]

Floats = npt.NDArray[np.float64]

_BLOCK_VALUES = 2**18
_MOST_PER_ROW = 2**14
_SHARDS = 64


@dataclass(frozen=True)
class JointSum:
    """All configurations of some layers, the remaining one summed out by the kernels.

    Attributes:
        layout: the model's layers.
        parameters: in float64.
        kept: the layers that are enumerated; all others are summed out in closed form.
        with_averages: whether averages are wanted besides ln Z.
    """

    layout: Layout
    parameters: dict[str, Floats]
    kept: tuple[str, ...]
    with_averages: bool = False

    @property
    def layer(self) -> str:
        """Their names."""
        return ", ".join(self.kept)

    @property
    def configurations(self) -> int:
        return _configurations(self.layout, self.kept)

    @property
    def block(self) -> int:
        """Configurations that are worked on at once."""
        return max(16, _BLOCK_VALUES // self.layout.units)

    def _cut(self, wanted: int) -> list[range]:
        blocks = -(-self.configurations // self.block)
        n = min(wanted, blocks)
        return [
            range(blocks * k // n * self.block, min(blocks * (k + 1) // n * self.block, self.configurations))
            for k in range(n)
        ]

    def shards(self) -> list[range]:
        return self._cut(_SHARDS)

    def runs(self) -> list[range]:
        """Ranges of one block each."""
        return self._cut(-(-self.configurations // self.block))

    def states(self, numbers: npt.NDArray[np.int64]) -> States:
        """The configurations of these numbers, by layer."""
        return _states(self.layout, self.kept, numbers)

    def _blocks(self, shard: range) -> Iterator[States]:
        for start in range(shard.start, shard.stop, self.block):
            yield self.states(np.arange(start, min(start + self.block, shard.stop)))

    def log_weights(self, held: States) -> Floats:
        """ln of the summands of Z."""
        kernels = self.layout.kernels
        if len(self.kept) == len(kernels.layers):
            logs: Floats = -kernels.energy(**held, **self.parameters)
        else:
            logs = -kernels.free_energy(held, of=self.kept, **self.parameters)
        return logs + _log_measure(self.layout, held)

    def __call__(self, shard: range) -> Part:
        top, total, sums = -math.inf, 0.0, dict[str, FloatArray]()
        for held in self._blocks(shard):
            logs = self.log_weights(held)
            highest = float(logs.max())
            if not math.isfinite(highest):
                raise ValueError("the parameters are so large that energies overflow float64. Scale them down.")
            if highest > top:
                # Whole powers of two, so that parts can be brought to a common one without rounding.
                raised = float(math.floor(highest / math.log(2)))
                scale = math.ldexp(1.0, int(max(top - raised, -2000.0)))
                total *= scale
                sums = {name: value * scale for name, value in sums.items()}
                top = raised
            weights = np.exp(logs - top * math.log(2))
            total += float(weights.sum())
            if self.with_averages:
                phase = self.layout.kernels.phase(held, of=self.kept, row_weights=weights, **self.parameters)
                sums = {name: sums[name] + value if name in sums else value for name, value in phase.items()}
        return Part(int(top), total, sums)


def _configurations(layout: Layout, layers: tuple[str, ...]) -> int:
    return math.prod(len(states_of(layout.kernels.layers[one])) ** layout.sizes[one] for one in layers)


def _states(layout: Layout, layers: tuple[str, ...], numbers: npt.NDArray[np.int64]) -> States:
    """Configurations by number; the first unit of the first layer is the digit that changes fastest."""
    held = {}
    for layer in layers:
        values = np.asarray(states_of(layout.kernels.layers[layer]))
        digits = np.empty((len(numbers), layout.sizes[layer]), dtype=np.intp)
        for unit in range(layout.sizes[layer]):
            numbers, digits[:, unit] = np.divmod(numbers, len(values))
        held[layer] = values[digits]
    return held


def _log_measure(layout: Layout, held: States) -> Floats | float:
    """ln μ of every row."""
    total: Floats | float = 0.0
    for layer, states in held.items():
        measure = None if layer in layout.given else log_measure(layout.kernels.layers[layer], states)
        if measure is not None:
            total = total + measure.sum(axis=1)
    return total


def make_plan(
    kernels: Kernels,
    parameters: Parameters,
    limit: int | None = None,
    threads: int | None = None,
    *,
    averages: bool = False,
) -> JointSum:
    """The enumeration of all layers but one.

    Args:
        kernels, parameters: the model.
        limit: the most configurations to enumerate; 2^24 by default.
        threads: how many threads there will be, for the estimate of time in the message.
        averages: whether averages are wanted besides ln Z.

    Raises:
        EnumerationLimitError: there are more configurations than that; nothing has been enumerated.
        ModelError: no layer can be summed out with all others of finitely many states, or the model is given inputs.
        ValueError: a parameter is NaN or infinite, or ``limit`` is not a positive whole number.
    """
    limit = DEFAULT_LIMIT if limit is None else limit
    if isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 1:
        raise ValueError(f"limit must be a positive whole number of configurations. Got {limit!r}.")
    for name, value in parameters.items():
        if not np.isfinite(value).all():
            raise ValueError(f"parameter {name} must be finite. Got NaN or infinity in it.")
    layout = Layout.of(kernels, parameters)
    if layout.given:
        raise ModelError(
            f"Z depends on the input {layout.given[0]}, so the model has no single ln Z. Ask for energies, free "
            f"energies and means, or make the input a visible layer."
        )
    task = JointSum(layout, lifted(parameters), _kept(layout, averages), averages)
    if task.configurations > limit:
        seconds = _seconds(task) / thread_count(threads)
        raise EnumerationLimitError(
            f"the layers to be enumerated ({task.layer}) have about 2^{math.log2(task.configurations):.0f} "
            f"configurations, and enumeration stops at limit={limit}. This one would take about {seconds:.2g} seconds. "
            f"Pass a larger limit; or use what needs no ln Z: Gibbs samples, and training by CD or PCD.",
            configurations=task.configurations,
            limit=int(limit),
            seconds=seconds,
            memory=8 * 4 * task.block * layout.units * thread_count(threads),
        )
    return task


def _kept(layout: Layout, averages: bool) -> tuple[str, ...]:
    """The layers to enumerate: of the sets of finite ones given which all others have a closed form, the smallest."""
    layers = layout.kernels.layers
    finite = [layer for layer, unit in layers.items() if is_finite(unit)]
    ways = {}
    for size in range(1, len(layers)):
        for kept in combinations(finite, size):
            named = [f"{what}_of_{'_'.join(kept)}" for what in ("free_energy", "phase")]
            if all(map(layout.in_closed_form, named)):
                ways[kept] = _configurations(layout, kept)
    if ways:
        return min(ways, key=lambda kept: ways[kept])
    if not averages and len(finite) == len(layers):
        return tuple(layers)
    infinite = [f"{layer} ({unit})" for layer, unit in layers.items() if not is_finite(unit)]
    reason = (
        f"the states of {' and '.join(infinite)} cannot be listed"
        if infinite
        else "every layer ties its units together"
    )
    raise ModelError(
        f"exact answers need some layers in closed form and all others of finitely many states, and {reason}. Use "
        f"sampling, and training by CD or PCD with monitor='none'."
    )


def _seconds(task: JointSum) -> float:
    held = task.states(np.arange(min(task.block, task.configurations)))
    task.log_weights(held)
    begin = time.perf_counter()
    task.log_weights(held)
    blocks = task.configurations // task.block
    return (time.perf_counter() - begin) * blocks if blocks < 2**1000 else math.inf


def log_partition(
    kernels: Kernels,
    parameters: Parameters,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
    executor: Executors | None = None,
) -> LogPartition:
    """ln Z, exact up to rounding in float64. Arguments as `enumeration.log_partition`, errors as `make_plan`."""
    task = make_plan(kernels, parameters, limit, threads)
    with showing(progress, "ln Z") as shown:
        return LogPartition(run(task, threads=threads, executor=executor, progress=shown).log, "enumeration")


def expectations(
    kernels: Kernels,
    parameters: Parameters,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
    executor: Executors | None = None,
) -> Expectations:
    """ln Z and the average of every −∂E/∂θ under the model (Term B), in one pass. Arguments as `log_partition`."""
    task = make_plan(kernels, parameters, limit, threads, averages=True)
    with showing(progress, "averages") as shown:
        part = run(task, threads=threads, executor=executor, progress=shown)
    return Expectations(part.log, {name: value / part.total for name, value in part.sums.items()})


def gradient(
    kernels: Kernels,
    parameters: Parameters,
    x: npt.NDArray[Any],
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
    executor: Executors | None = None,
) -> Gradient:
    """The exact gradient of the mean ln p(v) over the rows of ``x``. Arguments as `log_partition`."""
    model = expectations(kernels, parameters, limit=limit, threads=threads, progress=progress, executor=executor)
    return Gradient(data_phase(kernels, parameters, x, threads=threads), model.phase)


class _Posterior:
    """The hidden layers given data: all but one enumerated for each row, that one summed out in closed form."""

    def __init__(self, layout: Layout, parameters: Parameters, *, averages: bool):
        self.layout, self.parameters = layout, parameters
        self.summed = layout.averaged
        if averages and self.summed is None:
            raise ModelError(NO_AVERAGE)
        self.listed = tuple(one for one in layout.kernels.hidden if one != self.summed)
        infinite = [one for one in self.listed if not is_finite(layout.kernels.layers[one])]
        if infinite:
            unit = layout.kernels.layers[infinite[0]]
            raise ModelError(
                f"the {unit} units of layer {infinite[0]} have infinitely many states, so they cannot be summed out "
                f"beside layer {self.summed}. Ask for energies, or choose finite units there."
            )
        self.count = _configurations(layout, self.listed)
        if self.count > _MOST_PER_ROW:
            raise EnumerationLimitError(
                f"F(v) sums over {self.count} configurations of {', '.join(self.listed)} for each row, and at most "
                f"{_MOST_PER_ROW} are enumerated. Use fewer hidden units there, or energies of all layers and samples.",
                configurations=self.count,
                limit=_MOST_PER_ROW,
                seconds=math.nan,
                memory=0,
            )

    @property
    def rows(self) -> int:
        """Rows of data that are worked on at once."""
        return max(1, _BLOCK_VALUES // (self.layout.units * self.count))

    def states(self, x: npt.NDArray[Any], dtype: npt.DTypeLike) -> States:
        """Every row beside every configuration of the hidden layers that are enumerated."""
        data = self.layout.data_states(np.ascontiguousarray(x, dtype=dtype))
        every = _states(self.layout, self.listed, np.arange(self.count))
        held = {layer: np.repeat(value, self.count, axis=0) for layer, value in data.items()}
        return held | {layer: np.tile(value.astype(dtype), (len(x), 1)) for layer, value in every.items()}

    def log_weights(self, held: States, rows: int) -> Floats:
        """−F of every row and configuration, shape (rows, configurations), with the measure of what is enumerated."""
        kernels = self.layout.kernels
        if self.summed is None:
            logs = -kernels.energy(**held, **self.parameters)
        else:
            logs = -kernels.free_energy(held, of=self.layout.kept, **self.parameters)
        logs = logs + _log_measure(self.layout, {layer: held[layer] for layer in self.listed})
        result: Floats = logs.reshape(rows, self.count)
        return result


def free_energy(kernels: Kernels, parameters: Parameters, x: npt.NDArray[Any]) -> FloatArray:
    """F(v) = −ln Σ_h e^{−E(v, h)} of every row of data, all hidden layers summed out; shape (rows,).

    Raises:
        ModelError, EnumerationLimitError: the hidden layers cannot be summed out.
    """
    dtype = dtype_of(parameters)
    posterior = _Posterior(Layout.of(kernels, parameters), parameters, averages=False)
    out = np.empty(len(x), dtype)
    for start in range(0, len(x), posterior.rows):
        rows = x[start : start + posterior.rows]
        logs = posterior.log_weights(posterior.states(rows, dtype), len(rows))
        out[start : start + len(rows)] = -np.logaddexp.reduce(logs, axis=1)
    return out


def data_phase(kernels: Kernels, parameters: Parameters, x: npt.NDArray[Any], *, threads: int | None = None) -> Phase:
    """Term A: the average of −∂E/∂θ over the rows of ``x``, all hidden layers averaged exactly, in float64."""
    layout, raised = Layout.of(kernels, parameters), lifted(parameters)
    posterior = _Posterior(layout, raised, averages=True)
    blocks = [slice(k, min(k + posterior.rows, len(x))) for k in range(0, len(x), posterior.rows)]

    def work(block: slice) -> Phase:
        rows = x[block]
        held = posterior.states(rows, np.float64)
        logs = posterior.log_weights(held, len(rows))
        weights = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)).ravel()
        return kernels.phase(held, of=layout.kept, row_weights=weights, **raised)

    with workers(threads) as pool:
        parts = pool.map(work, blocks)
    return {name: sum((part[name] for part in parts[1:]), parts[0][name]) / len(x) for name in parts[0]}


def log_probability(
    kernels: Kernels,
    parameters: Parameters,
    x: npt.NDArray[Any],
    log_z: float,
    *,
    threads: int | None = None,
) -> Floats:
    """ln p(v) = ln μ(v) − F(v) − ln Z for every row of ``x``, in float64, shape (rows,)."""
    layout, raised = Layout.of(kernels, parameters), lifted(parameters)
    out = np.empty(len(x))

    def work(rows: slice) -> None:
        out[rows] = -free_energy(kernels, raised, x[rows]) - log_z

    with workers(threads) as pool:
        pool.map(work, row_blocks(len(x), layout.units))
    return out + _log_measure(layout, layout.data_states(x))


def sample(
    kernels: Kernels,
    parameters: Parameters,
    n: int,
    seed: int,
    *,
    limit: int | None = None,
    threads: int | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Independent draws from the model: the enumerated layers from their exact distribution, the other given them.

    Returns:
        The visible and the hidden states, of shapes (n, n_visible) and (n, n_hidden), in the dtype of the parameters.
    """
    from pgm_rbm.sampling.layers import draw_layer, resting
    from pgm_rbm.sampling.streams import Purpose, derive_key, generator

    task = make_plan(kernels, parameters, limit, threads)
    layout, runs = task.layout, task.runs()
    u = generator(seed, Purpose.EXACT).random((2, n))

    def logs(one: range) -> Floats:
        return task.log_weights(task.states(np.arange(one.start, one.stop)))

    with workers(threads) as pool:
        masses = np.array(pool.map(lambda one: float(np.logaddexp.reduce(logs(one))), runs))
        chosen = _places(masses, u[0])
        numbers = np.empty(n, np.int64)

        def draw(k: int) -> None:
            draws = np.flatnonzero(chosen == k)
            numbers[draws] = runs[k].start + _places(logs(runs[k]), u[1, draws])

        pool.map(draw, np.unique(chosen).tolist())
    dtype = dtype_of(parameters)
    held = {layer: value.astype(dtype) for layer, value in task.states(numbers).items()}
    rest = [layer for layer in layout.kernels.layers if layer not in held]
    for layer in rest:
        # Independent of each other given what is held, so that the others of them may rest meanwhile.
        around = held | {one: resting(layout, one, n, dtype) for one in rest}
        key = derive_key(seed, Purpose.EXACT, 1 + rest.index(layer))
        held[layer] = draw_layer(layout, parameters, layer, around, key, 0)
    return layout.data_array(held), layout.hidden_array(held)


def _places(logs: Floats, u: Floats) -> npt.NDArray[np.intp]:
    """Places drawn with probabilities proportional to e^{logs}, by inverting the distribution function."""
    cumulative = np.cumsum(np.exp(logs - logs.max()))
    return np.minimum(np.searchsorted(cumulative, u * cumulative[-1], side="right"), len(cumulative) - 1)
