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
from pgm_rbm.exact.enumeration.answers import expectations
from pgm_rbm.exact.enumeration.plan import make_plan, task_of
from pgm_rbm.exact.enumeration.reduction import Part, Reduction
from pgm_rbm.exact.enumeration.shards import Cuts, each
from pgm_rbm.machine.budget import MEMORY, SECONDS, Budget
from pgm_rbm.machine.quantities import format_bytes, format_seconds, is_number
from pgm_rbm.machine.workers import check_cancelled
from pgm_rbm.model.domains import states_of
from pgm_rbm.model.kernels import FloatArray, Kernels, Phase, layer_axes
from pgm_rbm.model.model import Model

__all__ = ["FisherInformation", "expected_seconds", "fisher_information", "require_within_limits"]

# Numbers that a thread holds at once, 16 MB; 2^14 to 2^23 take as long as each other (109 parameters and 1,024
# configurations, 15 ms, one thread, 2 cores, 2026-12).
_VALUES = 2**21
# Numbers of a trial, 2 MB.
_TRIAL_VALUES = 2**18
# Every piece ends in a matrix of its own, so there are few.
_PIECES = 64

_NOT_PRODUCTS = (
    "the Fisher information is found for energies in which each entry of a parameter multiplies a product of units, a "
    "unit per axis. Use an optimiser that needs only gradients, such as Adam."
)

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
        """Return numbers by parameter as one vector in the order of the matrix, shape (p,).

        Raises:
            ValueError: a parameter is missing or has another shape.
        """
        for name, shape in self.shapes.items():
            if name not in values or np.shape(values[name]) != shape:
                got = f"shape {np.shape(values[name])}" if name in values else ", ".join(map(str, values)) or "none"
                raise ValueError(f"an array of shape {shape} is needed for parameter {name}. Got {got}.")
        return np.concatenate([np.asarray(values[name], dtype=np.float64).ravel() for name in self.shapes])

    def by_parameter(self, vector: Floats) -> Phase:
        """Return a vector as `flat` makes it by parameter again."""
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
        """Return (F + λ 1)⁻¹ g, the steepest direction in the distance between distributions (Amari 1998, theorem 1).

        Args:
            gradient: g, by parameter.
            damping: λ, positive; it bounds the step where the data say little.
            masks: by parameter, which of its entries may move; the others get 0. All by default.

        Raises:
            ValueError: the damping is not positive and finite, or the gradient or a mask does not fit the parameters.
        """
        if not is_number(damping) or not 0 < damping < math.inf:
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


def require_within_limits(model: Model, budget: Budget = Budget(), memory_limit: float | None = None) -> None:
    """Raise the errors that `fisher_information` raises before it starts; arguments as there."""
    explicit = budget.configurations is not None
    task = make_plan(model, budget, layer=model.kernels.visible[0]).require()
    for axes in model.kernels.parameters.values():
        # Not so a single number, and weights that all units of a layer share.
        if not layer_axes(axes) or not {axis.split(".")[0] for axis in axes} <= set(axes):
            raise ValueError(_NOT_PRODUCTS)
    if memory_limit is not None and not (is_number(memory_limit) and memory_limit > 0):
        raise ValueError(f"memory_limit must be a positive number of bytes. Got {memory_limit!r}.")
    if explicit and memory_limit is None:
        return
    allowed = MEMORY if memory_limit is None else memory_limit
    p, count = sum(value.size for value in model.parameters.values()), budget.thread_count
    memory = 8 * (p * p * (2 * count + 3) + count * 3 * max(_VALUES, 64 * p))
    # What does not fit cannot be tried.
    fits = memory <= allowed
    seconds = math.nan if explicit or not fits else expected_seconds(model, count)
    if fits and not seconds > SECONDS:
        return
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
        limit=budget.most_configurations,
        seconds=seconds,
        memory=memory,
    )


def expected_seconds(model: Model, threads: int) -> float:
    """Return the seconds that the Fisher information would take, from a trial on some configurations."""
    v = model.kernels.visible[0]
    task, raised = task_of(model, v), model.lifted()
    p = sum(value.size for value in model.parameters.values())
    rows = min(task.configurations, max(16, _TRIAL_VALUES // p))
    states = task.states(task.runs()[0], np.zeros(rows, dtype=np.int64))[v]
    centre, root = np.zeros(p), np.ones(rows)
    taken = cost.quickest(lambda: _covariance(raised, states, centre, root), threads)
    return cost.estimate(task, threads).seconds + cost.extended(taken, task.configurations, rows * threads)


def fisher_information(model: Model, budget: Budget = Budget(), memory_limit: float | None = None) -> FisherInformation:
    """Return the Fisher information of p(v) in all parameters, exact, in float64.

    Args:
        model: a pairwise energy.
        budget: what the enumeration of the visible layer may take.
        memory_limit: bytes it may hold, whatever the limit on configurations.

    Raises:
        EnumerationLimitError: it exceeds the budget; nothing has been computed.
        ValueError: a parameter is not finite, a limit is not positive, or the energy is not a sum of products of
            parameters and units.
        NoFiniteDomainError: the visible units have infinitely many states.
    """
    require_within_limits(model, budget, memory_limit)
    kernels = model.kernels
    (v,), (h,) = kernels.visible, kernels.hidden
    raised, shapes = model.lifted(), {name: value.shape for name, value in model.parameters.items()}
    empty = FisherInformation(np.zeros((0, 0)), shapes)
    task = task_of(model, v)
    runs = task.runs()
    row = np.ascontiguousarray(task.states(runs[len(runs) - 1], np.array([0]))[v])
    expected = empty.flat(kernels.phase(row, of=v, **raised.parameters))
    if not np.allclose(_features(raised, row, kernels.mean(h, row, **raised.parameters))[0], expected):
        raise ValueError(_NOT_PRODUCTS)
    # The layer with fewer configurations gives the averages; those of the other one have been allowed.
    found = expectations(model, Budget(task.configurations, threads=budget.threads))
    centre = empty.flat(found.phase)
    chunk = max(64, _VALUES // len(centre))

    def work(piece: range) -> Part:
        matrix = np.zeros((len(centre), len(centre)))
        for run in map(runs.__getitem__, piece):
            roots = np.sqrt(np.exp(task.log_weights(run) - found.log_partition))
            for start in range(0, len(roots), chunk):
                check_cancelled()
                root = roots[start : start + chunk]
                states = task.states(run, np.arange(start, start + len(root)))[v]
                matrix += _covariance(raised, states, centre, root)
        return Part(0, 0.0, {"matrix": matrix})

    pieces = Cuts.of(len(runs), _PIECES)
    reduction = Reduction(len(pieces))
    for place, part in each(work, pieces, budget, "Fisher information"):
        reduction.add(place, part)
    return FisherInformation(np.asarray(reduction.result.sums["matrix"], dtype=np.float64), shapes)


def _covariance(model: Model, states: Floats, centre: Floats, root: Floats) -> Floats:
    """Return Σ_v p(v) (Φ(v) − centre)(Φ(v) − centre)ᵀ over these v, with √p(v) in ``root``."""
    rows = np.ascontiguousarray(states)
    kernels = model.kernels
    features = _features(model, rows, kernels.mean(kernels.hidden[0], rows, **model.parameters))
    features -= centre
    features *= root[:, None]
    result: Floats = features.T @ features
    return result


def _features(model: Model, v: FloatArray, h: FloatArray) -> FloatArray:
    """Return Φ(v) of each row, the entries of all parameters one after another: products over a parameter's layers.

    A label stands there as ones and zeros, or as its probabilities, along an axis of its own.
    """
    kernels = model.kernels
    by_layer = {kernels.visible[0]: _by_label(kernels, kernels.visible[0], v), kernels.hidden[0]: h}
    parts = []
    for name in model.parameters:
        layers = layer_axes(kernels.parameters[name])
        value = by_layer[layers[0]].reshape(len(v), -1)
        for layer in layers[1:]:
            value = (value[:, :, None] * by_layer[layer].reshape(len(v), 1, -1)).reshape(len(v), -1)
        parts.append(value)
    return np.concatenate(parts, axis=1)


def _by_label(kernels: Kernels, layer: str, states: FloatArray) -> FloatArray:
    """Return states as they are, and labels as ones and zeros, shape (rows, units, labels)."""
    axes = [axis for axes in kernels.parameters.values() for axis in axes if axis not in kernels.layers]
    own = [axis for axis in axes if axis == f"{layer}.states"]
    return np.eye(len(states_of(kernels.layers[layer])))[states.astype(np.intp)] if own else states
