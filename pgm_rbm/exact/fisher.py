"""The exact Fisher information of the parameters, and the natural gradient.

With Φ_θ(v) = ⟨−∂E/∂θ⟩ given v, the derivative of ln p(v) by θ is Φ_θ(v) − ⟨Φ_θ⟩, so the Fisher information of p(v) is
the covariance of Φ under the model (Amari, Kurata and Nagaoka 1992). The visible layer is enumerated.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pgm_rbm.domains import states_of
from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.exact.costs import duration
from pgm_rbm.exact.enumeration import expectations, make_plan
from pgm_rbm.exact.reduction import Part, Reduction
from pgm_rbm.exact.shards import Progress, showing
from pgm_rbm.exact.sums import lifted
from pgm_rbm.kernels import FloatArray, Kernels, Parameters, Phase, layer_axes
from pgm_rbm.workers import thread_count, workers

__all__ = ["DEFAULT_MEMORY_LIMIT", "FisherInformation", "fisher_information", "require_within_limits"]

DEFAULT_MEMORY_LIMIT = 2**30
"""Bytes that the matrix and the work on it may hold unless the caller says otherwise."""

_SECONDS = 600.0
_VALUES = 2**21
_TRIAL = 384
_PIECES = 64

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FisherInformation:
    """The Fisher information of p(v).

    Attributes:
        matrix: shape (p, p) for p parameters in all; symmetric and positive semidefinite.
        shapes: the shape of every parameter; their entries follow each other in this order, each in C order.
    """

    matrix: Floats
    shapes: Mapping[str, tuple[int, ...]]

    def flat(self, values: Phase) -> Floats:
        """Numbers by parameter as one vector in the order of the matrix, shape (p,)."""
        return np.concatenate([np.asarray(values[name], dtype=np.float64).ravel() for name in self.shapes])

    def by_parameter(self, vector: Floats) -> Phase:
        """What `flat` made, by parameter again."""
        result: Phase = {}
        start = 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            result[name] = vector[start:stop].reshape(shape)
            start = stop
        return result

    def natural(
        self, gradient: Phase, damping: float, masks: Mapping[str, npt.NDArray[np.bool_]] | None = None
    ) -> Phase:
        """(F + λ 1)⁻¹ g, the steepest direction in the distance between distributions (Amari 1998, theorem 1).

        Args:
            gradient: g, by parameter.
            damping: λ, positive; it bounds the step where the data say little.
            masks: by parameter, which of its entries may move; the others get 0. All by default.
        """
        free = np.concatenate(
            [np.broadcast_to((masks or {}).get(name, np.True_), shape).ravel() for name, shape in self.shapes.items()]
        )
        reduced = self.matrix[np.ix_(free, free)]
        reduced[np.diag_indices_from(reduced)] += damping
        result = np.zeros(len(free))
        result[free] = np.linalg.solve(reduced, self.flat(gradient)[free])
        return self.by_parameter(result)


def require_within_limits(
    kernels: Kernels,
    parameters: Parameters,
    *,
    limit: int | None = None,
    memory_limit: int | None = None,
    threads: int | None = None,
) -> None:
    """Raise what `fisher_information` would raise before it starts. Arguments as there."""
    (v,) = kernels.visible
    task = make_plan(kernels, parameters, limit, threads, layer=v)
    allowed = DEFAULT_MEMORY_LIMIT if memory_limit is None else memory_limit
    p, count = sum(value.size for value in parameters.values()), thread_count(threads)
    memory = 8 * (p * p * (2 * count + 3) + count * 3 * max(_VALUES, 64 * p))
    # A multiply-add for each configuration and pair of parameters.
    seconds = task.configurations * p * p / (_multiply_adds_a_second() * count)
    if memory > allowed or (limit is None and seconds > _SECONDS):
        raise EnumerationLimitError(
            f"The Fisher information of {p} parameters over {task.configurations} visible configurations would take "
            f"about {duration(seconds)} and {memory / 2**20:.0f} MiB; memory_limit allows {allowed / 2**20:.0f} MiB "
            f"and, where no limit= is given, the time is held to {duration(_SECONDS)}. Pass a larger memory_limit, or "
            f"limit={task.configurations}; or use optimizer='adam', which needs only gradients.",
            configurations=task.configurations,
            limit=task.configurations if limit is None else int(limit),
            seconds=seconds,
            memory=memory,
        )


def _multiply_adds_a_second() -> float:
    square = np.ones((_TRIAL, _TRIAL))
    with workers(1):
        begin = time.perf_counter()
        square @ square
        return _TRIAL**3 / max(time.perf_counter() - begin, 1e-9)


def fisher_information(
    kernels: Kernels,
    parameters: Parameters,
    *,
    limit: int | None = None,
    memory_limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> FisherInformation:
    """The Fisher information of p(v) in all parameters, exact, in float64.

    Args:
        kernels, parameters: the model; a pairwise energy.
        limit: the most visible configurations to enumerate; 2^24 by default.
        memory_limit: bytes it may hold; 2^30 by default.
        threads: how many threads to use; the result does not depend on it.
        progress: called with (pieces done, pieces in all), or True for a bar.

    Raises:
        EnumerationLimitError: there are more configurations, or it would take more memory or time; nothing has been
            computed.
        ValueError: a parameter is not finite, or the energy is not a sum of products of parameters and units.
        NoFiniteDomainError: the visible units have infinitely many states.
    """
    require_within_limits(kernels, parameters, limit=limit, memory_limit=memory_limit, threads=threads)
    (v,), (h,) = kernels.visible, kernels.hidden
    task = make_plan(kernels, parameters, limit, threads, layer=v)
    raised = lifted(parameters)
    small = min(task.configurations, 2**62)
    model = expectations(kernels, parameters, limit=small, threads=threads)
    shapes = {name: value.shape for name, value in parameters.items()}
    empty = FisherInformation(np.zeros((0, 0)), shapes)
    centre = empty.flat(model.phase)
    row = np.ascontiguousarray(task.rows(task.runs()[-1], np.array([0])))
    expected = empty.flat(kernels.phase(row, of=v, **raised))
    if not np.allclose(_features(kernels, shapes, row, kernels.mean(h, row, **raised))[0], expected):
        raise ValueError("the Fisher information is found for energies that are sums of products of units only.")
    chunk = max(64, _VALUES // len(centre))
    runs = _joined(task.runs())

    def work(run: range) -> Part:
        weights = np.sqrt(np.exp(task.log_weights(run) - model.log_partition))
        matrix = np.zeros((len(centre), len(centre)))
        for start in range(0, len(weights), chunk):
            root = weights[start : start + chunk]
            rows = np.ascontiguousarray(task.rows(run, np.arange(start, start + len(root))))
            features = _features(kernels, shapes, rows, kernels.mean(h, rows, **raised))
            features -= centre
            features *= root[:, None]
            matrix += features.T @ features
        return Part(0, 0.0, {"matrix": matrix})

    reduction = Reduction(len(runs))
    with workers(threads) as pool, showing(progress, "Fisher information") as shown:
        for place, part in pool.unordered(work, runs):
            reduction.add(place, part)
            if shown is not None:
                shown(reduction.done, len(runs))
    return FisherInformation(np.asarray(reduction.result.sums["matrix"], dtype=np.float64), shapes)


def _joined(runs: Sequence[range]) -> list[range]:
    """The same runs in at most 64 pieces, since every piece ends in a matrix of its own."""
    n = min(_PIECES, len(runs))
    ends = [len(runs) * k // n for k in range(n + 1)]
    return [range(runs[a].start, runs[b - 1].stop) for a, b in pairwise(ends)]


def _features(kernels: Kernels, shapes: Mapping[str, tuple[int, ...]], v: FloatArray, h: FloatArray) -> FloatArray:
    """Φ(v) of each row, every parameter's entries after each other: products of what the parameter's layers are.

    Labels are ones and zeros there, or their probabilities, by an axis of their own.
    """
    by_layer = {kernels.visible[0]: _by_label(kernels, kernels.visible[0], v), kernels.hidden[0]: h}
    parts = []
    for name in shapes:
        layers = layer_axes(kernels.parameters[name])
        value = by_layer[layers[0]].reshape(len(v), -1)
        for layer in layers[1:]:
            value = (value[:, :, None] * by_layer[layer].reshape(len(v), 1, -1)).reshape(len(v), -1)
        parts.append(value)
    return np.concatenate(parts, axis=1)


def _by_label(kernels: Kernels, layer: str, states: FloatArray) -> FloatArray:
    """States as they are; labels as ones and zeros, shape (rows, units, labels)."""
    axes = [axis for axes in kernels.parameters.values() for axis in axes if axis not in kernels.layers]
    own = [axis for axis in axes if axis == f"{layer}.states"]
    return np.eye(len(states_of(kernels.layers[layer])))[states.astype(np.intp)] if own else states
