"""Answers about single configurations: independent draws, the most probable one, and a layer's own entropy.

They go through the enumeration run by run, a run being small enough to hold a number for each of its configurations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from pgm_rbm.domains import dimension, has_measure, is_continuous, is_finite, log_measure, states_of
from pgm_rbm.errors import NoFiniteDomainError
from pgm_rbm.exact.enumeration import expectations, log_partition, make_plan
from pgm_rbm.exact.products import Problem
from pgm_rbm.exact.shards import Progress, showing
from pgm_rbm.exact.sums import LayerSum, ProductSum, domain_of, problem_of
from pgm_rbm.kernels import FloatArray, Kernels, Parameters, layer_sizes, parameter_shapes
from pgm_rbm.sampling.gibbs import Clamp
from pgm_rbm.sampling.streams import Purpose, derive_key, generator
from pgm_rbm.workers import workers

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
    """Independent draws (v, h) from the model itself: the enumerated layer from its exact distribution, then the
    other one given it.

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
    task = make_plan(kernels, parameters, limit, threads)
    runs = task.runs()
    uniforms = generator(seed, Purpose.EXACT).random((2, n))
    masses = np.empty(len(runs))
    with workers(threads) as pool, showing(progress, "masses") as shown:
        for done, (k, mass) in enumerate(pool.unordered(lambda one: _log_sum(task.log_weights(one)), runs), 1):
            masses[k] = mass
            if shown is not None:
                shown(done, len(runs))
        chosen = _draw(masses, uniforms[0])

        def states(k: int) -> tuple[npt.NDArray[np.intp], Floats]:
            draws = np.flatnonzero(chosen == k)
            return draws, task.rows(runs[k], _draw(task.log_weights(runs[k]), uniforms[1, draws]))

        parts = pool.map(states, np.unique(chosen).tolist())
    drawn = np.empty((n, parts[0][1].shape[1]))
    for draws, rows in parts:
        drawn[draws] = rows
    dtype = next(iter(parameters.values())).dtype
    given = drawn.astype(dtype)
    (v,), (h,) = kernels.visible, kernels.hidden
    other = h if task.layer == v else v
    key = derive_key(seed, Purpose.EXACT, 1)
    rest = kernels.sample(other, given, key, first_row=0, **parameters)
    return (given, rest) if task.layer == v else (rest, given)


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
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> float:
    """The entropy of p(v, h) in nats, of a density where units are continuous: ln Z + ⟨E⟩ − ⟨ln μ⟩, with μ what states
    weigh of themselves.

    For energies that are linear in their parameters θ, where ⟨E⟩ = Σ θ ⟨∂E/∂θ⟩. Arguments as `sample`.

    Raises:
        EnumerationLimitError: too many configurations.
        NoFiniteDomainError: both layers, or units whose states weigh of themselves, have infinitely many states.
        ValueError: the energy has a term without a parameter, such as s²/2 of Gaussian units.
    """
    if not _is_linear(kernels):
        raise ValueError(
            f"the joint entropy is found for energies that are linear in their parameters. Got one of "
            f"{' and '.join(kernels.layers.values())} units that is not; ask for one layer (of='v' or of='h') where "
            f"its units have finitely many states."
        )
    weighing = [layer for layer, unit in kernels.layers.items() if _weighs(unit)]
    for layer in weighing:
        if domain_of(kernels.layers[layer]) is None:
            raise NoFiniteDomainError(
                f"the joint entropy is found for units of finitely many states where these weigh of themselves. Got "
                f"{kernels.layers[layer]} units in layer {layer}; ask for one layer (of='v' or of='h') where its units "
                f"have finitely many states."
            )
    model = expectations(kernels, parameters, limit=limit, threads=threads, progress=progress)
    inner = math.fsum(
        float(np.vdot(np.asarray(parameters[name], dtype=np.float64), value)) for name, value in model.phase.items()
    )
    if weighing:
        inner += _mean_log_measure(kernels, parameters, weighing, model.log_partition, limit, threads)
    result = model.log_partition - inner
    return result if any(map(is_continuous, kernels.layers.values())) else max(result, 0.0)


def _weighs(unit: str) -> bool:
    """Whether the states of a unit weigh of themselves."""
    domain = domain_of(unit)
    return has_measure(unit) if domain is None else not domain.even


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
        energies = kernels.energy(**held, **parameters)
        grown = kernels.energy(**held, **{name: 1.5 * value for name, value in parameters.items()})
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
    whole = problem_of(kernels, parameters, task.layer)
    if whole is not None:
        problem = whole.problem
        rows = max(1, _VALUES // (len(problem.other_bias) * len(problem.other_states)))
        return _average(task, problem.mean_log_measure, rows, log_z, threads)

    def measure(unit: str) -> Callable[[Floats], Floats]:
        return lambda rows: cast(Floats, log_measure(unit, rows)).sum(axis=1)

    return math.fsum(
        _average(
            make_plan(kernels, parameters, limit, threads, layer=layer),
            measure(kernels.layers[layer]),
            _VALUES // layer_sizes(kernels, parameters)[layer] + 1,
            log_z,
            threads,
        )
        for layer in weighing
    )


def _average(
    task: LayerSum, function: Callable[[Floats], Floats], most: int, log_z: float, threads: int | None
) -> float:
    """The average of a function of the enumerated layer, ``most`` rows at a time."""

    def work(run: range) -> float:
        p = np.exp(task.log_weights(run) - log_z)
        places = (np.arange(k, min(k + most, len(p))) for k in range(0, len(p), most))
        return math.fsum(float(p[one] @ function(task.rows(run, one))) for one in places)

    with workers(threads) as pool:
        return math.fsum(pool.map(work, task.runs()))


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
    with workers(threads) as pool, showing(progress, "entropy") as shown:
        for done, (k, (mass, part)) in enumerate(pool.unordered(work, runs), 1):
            masses[k], within[k] = mass, part
            if shown is not None:
                shown(done, len(runs))
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

    best: list[tuple[float, int]] = [(-math.inf, 0)] * len(runs)
    with workers(threads) as pool, showing(progress, "most probable") as shown:
        for done, (k, found) in enumerate(pool.unordered(work, runs), 1):
            best[k] = found
            if shown is not None:
                shown(done, len(runs))
    k = int(np.argmax([value for value, _ in best]))
    value, place = best[k]
    log_z = log_partition(kernels, parameters, limit=limit, threads=threads).value
    return task.rows(runs[k], np.array([place]))[0], value - log_z


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
        ValueError: the energy is another one, or units are labels.
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
    dtype = next(iter(parameters.values())).dtype
    return MostProbable(visible.astype(dtype), hidden.astype(dtype), min(value - log_z, 0.0))


def _require_numbers(kernels: Kernels, parameters: Parameters) -> ProductSum:
    """The enumeration of the visible layer, of a pairwise energy between units whose states are finitely many numbers.

    Raises:
        NoFiniteDomainError, ValueError: see `most_probable`.
    """
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
    from pgm_rbm.exact import product_loops

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
    pieces = [range(k, min(k + _OUTER, layout.outer)) for k in range(0, layout.outer, _OUTER)]

    def work(piece: range) -> tuple[float, int]:
        numbers = np.arange(piece.start, piece.stop, dtype=np.int64) * inside
        rows = problem.rows(numbers)[:, order[inner:]]
        outer_fields = rows @ u[:, inner:].T + problem.other_bias
        outer_scores = rows @ problem.bias[order[inner:]] + problem.own_log_measure(rows)
        value, k, lane = product_loops.largest(by_block, outer_fields, scores, outer_scores, states, measure)
        return value, int(numbers[k]) + lane

    best: list[tuple[float, int]] = [(-math.inf, 0)] * len(pieces)
    with workers(threads) as pool, showing(progress, "most probable") as shown:
        for done, (k, found) in enumerate(pool.unordered(work, pieces), 1):
            best[k] = found
            if shown is not None:
                shown(done, len(pieces))
    _, number = best[int(np.argmax([value for value, _ in best]))]
    x = problem.rows(np.array([number]))[0]
    field = problem.coupling @ x + problem.other_bias
    terms = states[:, None] * field + measure[:, None]
    value = float(problem.bias @ x + problem.own_log_measure(x[None])[0] + terms.max(axis=0).sum())
    return value, x, states[terms.argmax(axis=0)]
