"""Answers about single configurations: independent draws, the most probable one, and a layer's own entropy.

They go through the enumeration run by run, a run being small enough to hold a number for each of its configurations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import EnumerationLimitError, NoFiniteDomainError
from pgm_rbm.exact.enumeration.answers import expectations, log_partition, make_plan
from pgm_rbm.exact.enumeration.products import Problem
from pgm_rbm.exact.enumeration.shards import Cuts, Progress, each
from pgm_rbm.exact.enumeration.sums import KernelSum, LayerSum, ProductSum, domain_of, problem_of, require_finite
from pgm_rbm.machine.budget import CONFIGURATIONS, MEMORY
from pgm_rbm.machine.streams import Purpose, derive_key, generator
from pgm_rbm.machine.workers import workers
from pgm_rbm.model.domains import dimension, has_measure, is_continuous, is_finite, states_of
from pgm_rbm.model.draw import draw_layer, resting
from pgm_rbm.model.kernels import FloatArray, Kernels, Parameters, dtype_of, parameter_shapes
from pgm_rbm.model.layout import Layout, States
from pgm_rbm.sampling.gibbs import Clamp

__all__ = ["MostProbable", "joint_entropy", "layer_entropy", "most_probable", "most_probable_of_layer", "sample"]

Floats = npt.NDArray[np.float64]
_OUTER = 256
# Numbers held at once.
_VALUES = 2**18


@dataclass(frozen=True)
class MostProbable:
    """A configuration that none exceeds in probability; of several, the same one every time.

    Attributes:
        visible: v, shape (n_visible,), or None where only h was asked for.
        hidden: h, shape (n_hidden,), or None where only v was asked for.
        log_probability: ln p of what is given here, given what was given, in nats.
    """

    visible: FloatArray | None
    hidden: FloatArray | None
    log_probability: float


def sample(
    kernels: Kernels,
    parameters: Parameters,
    n: int,
    seed: int,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Independent draws (v, h) from the model itself: the enumerated layers from their exact distribution, then the
    others given them.

    Args:
        kernels, parameters: the model.
        n: how many draws.
        seed: 64-bit seed.
        limit: the most configurations to enumerate; 2^24 by default.
        threads: how many threads to use; the result does not depend on it.
        progress: called with (runs done, runs in all), or True for a bar.

    Returns:
        States of shape (n, n_visible) and (n, n_hidden), in the dtype of the parameters.

    Raises:
        EnumerationLimitError, ValueError: as for `enumeration.log_partition`.
    """
    task, layout = make_plan(kernels, parameters, limit, threads), Layout.of(kernels, parameters)
    _require_room(layout, task, n, limit)
    runs = task.runs()
    uniforms = generator(seed, Purpose.EXACT).random((2, n))
    masses = np.empty(len(runs))
    for k, mass in each(
        lambda one: _log_sum(task.log_weights(one)), runs, threads=threads, progress=progress, what="exact draws"
    ):
        masses[k] = mass
    chosen = _draw(masses, uniforms[0])
    dtype = dtype_of(parameters)
    held: States = {layer: np.empty((n, layout.sizes[layer]), dtype) for layer in task.kept}

    def draw(k: int) -> None:
        draws = np.flatnonzero(chosen == k)
        drawn = task.states(runs[k], _draw(task.log_weights(runs[k]), uniforms[1, draws]))
        for layer, states in drawn.items():
            held[layer][draws] = states

    with workers(threads) as pool:
        for _ in pool.unordered(draw, np.unique(chosen).tolist()):
            pass
    rest = [layer for layer in kernels.layers if layer not in held]
    for layer in rest:
        # Independent of each other given what is held, so that the others of them may rest meanwhile.
        around = held | {one: resting(layout, one, n, dtype) for one in rest}
        key = derive_key(seed, Purpose.EXACT, 1 + rest.index(layer))
        held[layer] = draw_layer(layout, parameters, layer, around, key, 0)
    return layout.data_array(held), layout.hidden_array(held)


def _require_room(layout: Layout, task: LayerSum, n: int, limit: int | None) -> None:
    """Raise if so many draws would take more memory than is held where no limit is given."""
    item = np.dtype(np.float64).itemsize
    # Uniform numbers and the places they choose, all states, and the fields that those not enumerated are drawn in.
    memory = n * item * (4 + 2 * sum(layout.widths.values()))
    if limit is None and memory > MEMORY:
        from pgm_rbm.machine.quantities import format_bytes

        raise EnumerationLimitError(
            f"{n} exact draws would hold {format_bytes(memory)}, and no more than {format_bytes(MEMORY)} are "
            f"held where no limit is given. Draw fewer at a time, each time with another seed, or pass "
            f"limit={task.configurations} to hold them all the same.",
            configurations=task.configurations,
            limit=CONFIGURATIONS,
            seconds=math.nan,
            memory=memory,
        )


def _log_sum(logs: Floats) -> float:
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).sum()))


def _draw(logs: Floats, uniforms: Floats) -> npt.NDArray[np.intp]:
    """Places drawn with probabilities proportional to e^{logs}, by inverting the distribution function."""
    cumulative = np.cumsum(np.exp(logs - logs.max()))
    return np.minimum(np.searchsorted(cumulative, uniforms * cumulative[-1], side="right"), len(cumulative) - 1)


def joint_entropy(
    kernels: Kernels,
    parameters: Parameters,
    tempered: Callable[[], tuple[Kernels, str]],
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> float:
    """The entropy of p(v, h) in nats, of a density where units are continuous: ln Z + ⟨E⟩ − ⟨ln μ⟩, with μ what states
    weigh of themselves.

    Where E is linear in its parameters θ, ⟨E⟩ = Σ θ ⟨∂E/∂θ⟩. Else it is the derivative −∂ ln Z(β)/∂β of the energy β E
    at β = 1.

    Args:
        kernels, parameters: the model.
        tempered: makes the kernels of β E, and says what the parameter β is called; asked where E is not linear.
        limit, threads, progress: as for `sample`.

    Raises:
        EnumerationLimitError: too many configurations.
        NoFiniteDomainError: both layers have infinitely many states, or one that weigh of themselves.
    """
    for layer, unit in kernels.layers.items():
        if domain_of(unit) is None and has_measure(unit):
            raise NoFiniteDomainError(
                f"the joint entropy holds the average of ln μ(s), what states weigh of themselves, and there is no "
                f"closed form of it for units of infinitely many states. Got {unit} units in layer {layer}; ask for "
                f"one layer (of='v' or of='h') where its units have finitely many states."
            )
    if _is_linear(kernels):
        model = expectations(kernels, parameters, limit=limit, threads=threads, progress=progress)
        energy = -math.fsum(
            float(np.vdot(np.asarray(parameters[name], dtype=np.float64), value)) for name, value in model.phase.items()
        )
    else:
        heated, beta = tempered()
        at_one = {**parameters, beta: np.ones((), dtype_of(parameters))}
        model = expectations(heated, at_one, limit=limit, threads=threads, progress=progress)
        energy = -float(model.phase[beta])
    weighing = [layer for layer in kernels.layers if (domain := domain_of(kernels.layers[layer])) and not domain.even]
    result = model.log_partition + energy
    if weighing:
        result -= _mean_log_measure(kernels, parameters, weighing, model.log_partition, limit, threads)
    return result if any(map(is_continuous, kernels.layers.values())) else max(result, 0.0)


_LINEAR: WeakKeyDictionary[Kernels, bool] = WeakKeyDictionary()


def _is_linear(kernels: Kernels) -> bool:
    """Whether E = Σ θ ∂E/∂θ, which is whether E grows in proportion with all parameters (Euler); tried on random
    ones."""
    if kernels not in _LINEAR:
        rng = np.random.default_rng(0)
        sizes = dict.fromkeys(kernels.layers, 2)
        parameters = {name: rng.normal(size=shape) for name, shape in parameter_shapes(kernels, sizes).items()}
        held = {
            layer: rng.choice(states_of(unit), size=(4, 2)) if is_finite(unit) else np.ones((4, 2 * dimension(unit)))
            for layer, unit in kernels.layers.items()
        }
        small = kernels.sized(**dict.fromkeys(kernels.sizes, 2))
        energies = small.energy(**held, **parameters)
        grown = small.energy(**held, **{name: 1.5 * value for name, value in parameters.items()})
        _LINEAR[kernels] = bool(np.allclose(grown, 1.5 * energies, rtol=1e-9, atol=1e-9))
    return _LINEAR[kernels]


def _mean_log_measure(
    kernels: Kernels,
    parameters: Parameters,
    weighing: Sequence[str],
    log_z: float,
    limit: int | None,
    threads: int | None,
) -> float:
    """⟨ln μ⟩ under the model, summed over the layers in which states weigh of themselves."""
    task = make_plan(kernels, parameters, limit, threads)
    whole = problem_of(kernels, parameters, task.kept[0])
    if whole is not None:
        problem = whole.problem
        rows = max(1, _VALUES // (len(problem.other_bias) * len(problem.other_states)))
        return _average(task, problem.mean_log_measure, rows, log_z, threads)
    total = 0.0
    for layer in weighing:
        alone = KernelSum(kernels, parameters, (layer,))
        task = make_plan(kernels, parameters, limit, threads, layer=layer)

        def measure(rows: Floats, alone: KernelSum = alone) -> Floats:
            return alone.log_measure({alone.kept[0]: rows})

        total += _average(task, measure, _VALUES // alone.sizes[layer] + 1, log_z, threads)
    return total


def _average(
    task: LayerSum, function: Callable[[Floats], Floats], most: int, log_z: float, threads: int | None
) -> float:
    """The average of a function of the enumerated layer, ``most`` rows at a time."""
    (layer,), runs = task.kept, task.runs()

    def work(run: range) -> float:
        p = np.exp(task.log_weights(run) - log_z)
        places = (np.arange(k, min(k + most, len(p))) for k in range(0, len(p), most))
        return math.fsum(float(p[one] @ function(task.states(run, one)[layer])) for one in places)

    parts = np.empty(len(runs))
    for k, part in each(work, runs, threads=threads):
        parts[k] = part
    return math.fsum(parts)


def layer_entropy(
    kernels: Kernels,
    parameters: Parameters,
    layer: str,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> float:
    """The entropy of one layer's own distribution in nats, by enumerating that layer. Arguments as `sample`."""
    task = make_plan(kernels, parameters, limit, threads, layer=layer)
    runs = task.runs()

    def work(one: range) -> tuple[float, float]:
        """ln of the run's mass, and the entropy within it."""
        logs = task.log_weights(one)
        mass = _log_sum(logs)
        relative = logs - mass
        return mass, -float(np.exp(relative) @ relative)

    masses, within = np.empty(len(runs)), np.empty(len(runs))
    for k, (mass, part) in each(work, runs, threads=threads, progress=progress, what="entropy"):
        masses[k], within[k] = mass, part
    relative = masses - _log_sum(masses)
    return float(np.exp(relative) @ (within - relative))


def most_probable_of_layer(
    kernels: Kernels,
    parameters: Parameters,
    layer: str,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> tuple[Floats, float]:
    """The most probable configuration of one layer, the other summed out, with ln of its probability.

    Arguments as `sample`; it is ``layer`` that is enumerated.
    """
    task = make_plan(kernels, parameters, limit, threads, layer=layer)
    runs = task.runs()

    def work(one: range) -> tuple[float, int]:
        logs = task.log_weights(one)
        place = int(logs.argmax())
        return float(logs[place]), place

    # Of equal ones the first, in whatever order they come.
    value, k, place = max(
        (value, -k, place)
        for k, (value, place) in each(work, runs, threads=threads, progress=progress, what="most probable")
    )
    log_z = log_partition(kernels, parameters, limit=limit, threads=threads).value
    return task.states(runs[-k], np.array([place]))[layer][0], value - log_z


def most_probable(
    kernels: Kernels,
    parameters: Parameters,
    clamps: Mapping[str, Clamp],
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> MostProbable:
    """The (v, h) of the largest p(v, h), some units given.

    The layer with fewer configurations is enumerated. Given it, each unit of the other one is in the state s with the
    largest s · field + ln μ(s), with μ what states weigh of themselves.

    Args:
        kernels, parameters: the model; a pairwise energy between units of finitely many states.
        clamps: by layer, the units that are given, each with one value.
        limit: the most configurations of the units that are not given; 2^24 by default.
        threads: how many threads to use; the result does not depend on it.
        progress: called with (parts done, parts in all), or True for a bar.

    Raises:
        EnumerationLimitError: too many configurations.
        NoFiniteDomainError: units have infinitely many states.
        ValueError: the energy is another one, units are labels, or a parameter is not finite.
    """
    (v,), (h,) = kernels.visible, kernels.hidden
    whole = _require_numbers(kernels, parameters)
    visible, hidden = _start(whole.problem, clamps, v, h)
    free_v, free_h = np.flatnonzero(np.isnan(visible)), np.flatnonzero(np.isnan(hidden))
    fixed_v, fixed_h = np.where(np.isnan(visible), 0.0, visible), np.where(np.isnan(hidden), 0.0, hidden)
    w = whole.problem.coupling.T
    a, b = whole.problem.bias + w @ fixed_h, whole.problem.other_bias + fixed_v @ w
    v_states, h_states = whole.problem.states, whole.problem.other_states
    v_measure, h_measure = whole.problem.log_measure, whole.problem.other_log_measure
    a, b, w = a[free_v], b[free_h], np.ascontiguousarray(w[np.ix_(free_v, free_h)])
    log_z = 0.0
    if len(free_v) and len(free_h):
        own, other, coupling = whole.names
        rest = {own: a, other: b, coupling: np.ascontiguousarray(w.T) if whole.transposed else w}
        log_z = log_partition(kernels, rest, limit=limit, threads=threads).value
        if len(v_states) ** len(a) <= len(h_states) ** len(b):
            problem = Problem(a, b, np.ascontiguousarray(w.T), v_states, h_states, v_measure, h_measure)
            value, visible[free_v], hidden[free_h] = _search(problem, threads, progress)
        else:
            problem = Problem(b, a, w, h_states, v_states, h_measure, v_measure)
            value, hidden[free_h], visible[free_v] = _search(problem, threads, progress)
    else:
        one_v = free_v, a, v_states, v_measure, visible
        free, bias, states, measure, target = one_v if len(free_v) else (free_h, b, h_states, h_measure, hidden)
        value = 0.0
        if len(free):
            terms = np.asarray(states)[:, None] * bias + np.asarray(measure)[:, None]
            target[free] = np.asarray(states)[terms.argmax(axis=0)]
            value = float(terms.max(axis=0).sum())
            log_z = float(np.logaddexp.reduce(terms, axis=0).sum())
    dtype = dtype_of(parameters)
    return MostProbable(visible.astype(dtype), hidden.astype(dtype), min(value - log_z, 0.0))


def _require_numbers(kernels: Kernels, parameters: Parameters) -> ProductSum:
    """The enumeration of the visible layer, of a pairwise energy between units whose states are finitely many numbers.

    Raises:
        NoFiniteDomainError, ValueError: see `most_probable`.
    """
    require_finite(parameters)
    whole = problem_of(kernels, parameters, kernels.visible[0])
    if whole is None:
        units = " and ".join(kernels.layers.values())
        finite = all(map(is_finite, kernels.layers.values()))
        raise (ValueError if finite else NoFiniteDomainError)(
            f"the most probable (v, h) is found for pairwise energies between units whose states are finitely many "
            f"numbers. Got {units} units; ask for one layer (of='v' or of='h') where its units have finitely many "
            f"states."
        )
    return whole


def _start(problem: Problem, clamps: Mapping[str, Clamp], v: str, h: str) -> tuple[Floats, Floats]:
    """The two layers with NaN for what is not given."""
    layers = {v: np.full(len(problem.bias), np.nan), h: np.full(len(problem.other_bias), np.nan)}
    for layer, clamp in clamps.items():
        layers[layer][clamp.units] = clamp.values[0]
    return layers[v], layers[h]


def _search(problem: Problem, threads: int | None, progress: bool | Progress | None) -> tuple[float, Floats, Floats]:
    """The largest −E(x, y), with x and y."""
    from pgm_rbm.exact.enumeration import product_loops

    layout, order = problem.layout, list(problem.layout.order)
    inside, inner = len(problem.states) ** layout.inner, layout.inner
    states, measure = np.asarray(problem.other_states), np.asarray(problem.other_log_measure)
    if not any(measure):
        # Of a linear function the largest value is at one of the ends.
        states, measure = states[[0, -1]], measure[[0, -1]]
    # Lanes that are left over stand for configuration 0 once more; of equal ones the first is taken.
    lanes = np.arange(layout.lanes)
    lane_rows = problem.rows(np.where(lanes < inside, lanes, 0))[:, order[:inner]]
    u = problem.coupling[:, order]
    fields = lane_rows @ u[:, :inner].T
    scores = lane_rows @ problem.bias[order[:inner]] + problem.own_log_measure(lane_rows)
    by_block = np.ascontiguousarray(fields.reshape(-1, 64, len(u)).swapaxes(1, 2)).ravel()
    pieces = Cuts.of(layout.outer, -(-layout.outer // _OUTER), _OUTER)

    def work(piece: range) -> tuple[float, int]:
        numbers = np.arange(piece.start, piece.stop, dtype=np.int64) * inside
        rows = problem.rows(numbers)[:, order[inner:]]
        outer_fields = rows @ u[:, inner:].T + problem.other_bias
        outer_scores = rows @ problem.bias[order[inner:]] + problem.own_log_measure(rows)
        value, k, lane = product_loops.largest(by_block, outer_fields, scores, outer_scores, states, measure)
        return value, int(numbers[k]) + lane

    # Of equal ones the first, in whatever order they come.
    _, number = max(
        (value, -number)
        for _, (value, number) in each(work, pieces, threads=threads, progress=progress, what="most probable")
    )
    x = problem.rows(np.array([-number]))[0]
    field = problem.coupling @ x + problem.other_bias
    terms = states[:, None] * field + measure[:, None]
    value = float(problem.bias @ x + problem.own_log_measure(x[None])[0] + terms.max(axis=0).sum())
    return value, x, states[terms.argmax(axis=0)]
