"""The exact Fisher information of the parameters, and the natural gradient.

With Φ_θ(v) = ⟨−∂E/∂θ⟩ given v, the derivative of ln p(v) by θ is Φ_θ(v) − ⟨Φ_θ⟩, so the Fisher information of p(v) is
the covariance of Φ under the model (Amari, Kurata and Nagaoka 1992). The visible layer is enumerated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.exact.enumeration import cost
from pgm_rbm.exact.enumeration.answers import expectations, layer_sum, make_plan
from pgm_rbm.exact.enumeration.reduction import Part, Reduction
from pgm_rbm.exact.enumeration.shards import Cuts, Progress, each
from pgm_rbm.exact.enumeration.sums import lifted
from pgm_rbm.machine.budget import MEMORY, SECONDS
from pgm_rbm.machine.workers import check_cancelled, thread_count
from pgm_rbm.model.domains import states_of
from pgm_rbm.model.kernels import FloatArray, Kernels, Parameters, Phase, layer_axes

__all__ = ["FisherInformation", "expected_seconds", "fisher_information", "require_within_limits"]

_VALUES = 2**21
_TRIAL_VALUES = 2**18
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
        """Numbers by parameter as one vector in the order of the matrix, shape (p,).

        Raises:
            ValueError: a parameter is missing or another shape.
        """
        for name, shape in self.shapes.items():
            if name not in values or np.shape(values[name]) != shape:
                got = f"shape {np.shape(values[name])}" if name in values else ", ".join(map(str, values)) or "none"
                raise ValueError(f"an array of shape {shape} is needed for parameter {name}. Got {got}.")
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

        Raises:
            ValueError: the damping is not positive and finite, or the gradient or a mask does not fit the parameters.
        """
        if not _is_positive(damping) or not math.isfinite(damping):
            raise ValueError(f"damping must be positive and finite. Got {damping!r}.")
        for name, mask in (masks or {}).items():
            if name not in self.shapes or np.shape(mask) != self.shapes[name]:
                raise ValueError(
                    f"masks must be by parameter, in their shapes, {dict(self.shapes)}. Got {name} in {np.shape(mask)}."
                )
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
    memory_limit: float | None = None,
    threads: int | None = None,
) -> None:
    """Raise what `fisher_information` would raise before it starts. Arguments as there."""
    task = make_plan(kernels, parameters, limit, threads, layer=kernels.visible[0])
    if memory_limit is not None and not _is_positive(memory_limit):
        raise ValueError(f"memory_limit must be a positive number of bytes. Got {memory_limit!r}.")
    allowed: float = math.inf if memory_limit is None else memory_limit
    if limit is None and memory_limit is None:
        allowed = MEMORY
    if limit is not None and allowed == math.inf:
        return
    p, count = sum(value.size for value in parameters.values()), thread_count(threads)
    memory = 8 * (p * p * (2 * count + 3) + count * 3 * max(_VALUES, 64 * p))
    # What does not fit cannot be tried.
    fits = memory <= allowed
    seconds = expected_seconds(kernels, parameters, count) if fits and limit is None else math.nan
    if fits and not seconds > SECONDS:
        return
    from pgm_rbm.machine.quantities import format_bytes, format_seconds

    needs = ("" if math.isnan(seconds) else f"about {format_seconds(seconds)} and ") + format_bytes(memory)
    held = f" and {format_bytes(MEMORY)}" if memory_limit is None else ""
    stops = f"{format_seconds(SECONDS)}{held} where no limit is given"
    remedy = f"limit={task.configurations} to run it all the same"
    if not fits and memory_limit is not None:
        stops, remedy = f"memory_limit={memory_limit}", "a larger memory_limit"
    raise EnumerationLimitError(
        f"The Fisher information of {p} parameters over {task.configurations} visible configurations would take "
        f"{needs}, and it stops at {stops}. Pass {remedy}; or use a model with fewer parameters, or an optimiser that "
        f"needs only gradients, such as Adam.",
        configurations=task.configurations,
        limit=cost.allowed_configurations(limit),
        seconds=seconds,
        memory=memory,
    )


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool) and bool(value > 0)


def expected_seconds(kernels: Kernels, parameters: Parameters, threads: int) -> float:
    """How long the Fisher information would take, from a trial on some configurations on as many threads."""
    task, raised = layer_sum(kernels, parameters, kernels.visible[0]), lifted(parameters)
    p = sum(value.size for value in parameters.values())
    rows = min(task.configurations, max(16, _TRIAL_VALUES // p))
    states = task.states(task.runs()[0], np.zeros(rows, dtype=np.int64))[kernels.visible[0]]
    shapes = {name: value.shape for name, value in parameters.items()}
    centre, root = np.zeros(p), np.ones(rows)
    taken = cost.quickest(lambda: _covariance(kernels, raised, shapes, states, centre, root), threads)
    return cost.estimate(task, threads).seconds + cost.extended(taken, task.configurations, rows * threads)


def fisher_information(
    kernels: Kernels,
    parameters: Parameters,
    *,
    limit: int | None = None,
    memory_limit: float | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> FisherInformation:
    """The Fisher information of p(v) in all parameters, exact, in float64.

    Args:
        kernels, parameters: the model; a pairwise energy.
        limit: the most visible configurations to enumerate. By default 2^24, and no more than are expected to take 10
            minutes and 1 GiB; who sets a limit has these lifted.
        memory_limit: bytes it may hold, whatever the limit.
        threads: how many threads to use; the result does not depend on it.
        progress: called with (pieces done, pieces in all), or True for a bar.

    Raises:
        EnumerationLimitError: there are more configurations, or it would take more memory or time; nothing has been
            computed.
        ValueError: a parameter is not finite, a limit is not positive, or the energy is not a sum of products of
            parameters and units.
        NoFiniteDomainError: the visible units have infinitely many states.
    """
    require_within_limits(kernels, parameters, limit=limit, memory_limit=memory_limit, threads=threads)
    (v,), (h,) = kernels.visible, kernels.hidden
    raised, shapes = lifted(parameters), {name: value.shape for name, value in parameters.items()}
    empty = FisherInformation(np.zeros((0, 0)), shapes)
    task = layer_sum(kernels, parameters, v)
    runs = task.runs()
    row = np.ascontiguousarray(task.states(runs[len(runs) - 1], np.array([0]))[v])
    expected = empty.flat(kernels.phase(row, of=v, **raised))
    if not np.allclose(_features(kernels, shapes, row, kernels.mean(h, row, **raised))[0], expected):
        raise ValueError("the Fisher information is found for energies that are sums of products of units only.")
    # The layer with fewer configurations gives the averages; those of the other one have been allowed.
    model = expectations(kernels, parameters, limit=task.configurations, threads=threads)
    centre = empty.flat(model.phase)
    chunk = max(64, _VALUES // len(centre))

    def work(piece: range) -> Part:
        matrix = np.zeros((len(centre), len(centre)))
        for run in map(runs.__getitem__, piece):
            roots = np.sqrt(np.exp(task.log_weights(run) - model.log_partition))
            for start in range(0, len(roots), chunk):
                check_cancelled()
                root = roots[start : start + chunk]
                states = task.states(run, np.arange(start, start + len(root)))[v]
                matrix += _covariance(kernels, raised, shapes, states, centre, root)
        return Part(0, 0.0, {"matrix": matrix})

    # Every piece ends in a matrix of its own, so there are few.
    pieces = Cuts.of(len(runs), _PIECES)
    reduction = Reduction(len(pieces))
    for place, part in each(work, pieces, threads=threads, progress=progress, what="Fisher information"):
        reduction.add(place, part)
    return FisherInformation(np.asarray(reduction.result.sums["matrix"], dtype=np.float64), shapes)


def _covariance(
    kernels: Kernels,
    parameters: Parameters,
    shapes: Mapping[str, tuple[int, ...]],
    states: Floats,
    centre: Floats,
    root: Floats,
) -> Floats:
    """Σ_v p(v) (Φ(v) − centre)(Φ(v) − centre)ᵀ over these v, with √p(v) in ``root``."""
    rows = np.ascontiguousarray(states)
    features = _features(kernels, shapes, rows, kernels.mean(kernels.hidden[0], rows, **parameters))
    features -= centre
    features *= root[:, None]
    result: Floats = features.T @ features
    return result


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
