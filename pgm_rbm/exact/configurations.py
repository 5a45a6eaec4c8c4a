"""Answers about single configurations: independent draws, the most probable one, and a layer's own entropy.

They go through the enumeration run by run, a run being small enough to hold a number for each of its configurations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pgm_rbm.exact.enumeration import expectations, log_partition, make_plan
from pgm_rbm.exact.products import Problem
from pgm_rbm.exact.shards import Progress, showing
from pgm_rbm.exact.sums import ProductSum, problem_of
from pgm_rbm.kernels import FloatArray, Kernels, Parameters
from pgm_rbm.sampling.gibbs import Clamp
from pgm_rbm.sampling.streams import Purpose, derive_key, generator
from pgm_rbm.workers import workers

__all__ = ["MostProbable", "joint_entropy", "layer_entropy", "most_probable", "most_probable_of_layer", "sample"]

Floats = npt.NDArray[np.float64]
_OUTER = 256


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
    """The entropy of p(v, h) in nats: ln Z + ⟨E⟩, with E linear in its parameters. Arguments as `sample`.

    Raises:
        ValueError: the energy or the units are others than `most_probable` takes.
    """
    _require_plain(kernels, parameters, "the joint entropy")
    model = expectations(kernels, parameters, limit=limit, threads=threads, progress=progress)
    inner = math.fsum(
        float(np.vdot(np.asarray(parameters[name], dtype=np.float64), value)) for name, value in model.phase.items()
    )
    return max(model.log_partition - inner, 0.0)


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

    The layer with fewer configurations is enumerated. Given it, −E is linear in every unit of the other one, which
    is therefore in its lowest or its highest state.

    Args:
        kernels, parameters: the model; a pairwise energy between units of finitely many states.
        clamps: by layer, the units that are given, each with one value.
        limit: the most configurations of the units that are not given; 2^24 by default.
        threads: how many threads to use; the result does not depend on it.
        progress: called with (parts done, parts in all), or True for a bar.

    Raises:
        EnumerationLimitError: too many configurations.
        ValueError: the energy or the units are others.
    """
    (v,), (h,) = kernels.visible, kernels.hidden
    whole = _require_plain(kernels, parameters, "the most probable (v, h)")
    visible, hidden = _start(whole.problem, clamps, v, h)
    free_v, free_h = np.flatnonzero(np.isnan(visible)), np.flatnonzero(np.isnan(hidden))
    fixed_v, fixed_h = np.where(np.isnan(visible), 0.0, visible), np.where(np.isnan(hidden), 0.0, hidden)
    w = whole.problem.coupling.T
    a, b = whole.problem.bias + w @ fixed_h, whole.problem.other_bias + fixed_v @ w
    v_states, h_states = whole.problem.states, whole.problem.other_states
    a, b, w = a[free_v], b[free_h], np.ascontiguousarray(w[np.ix_(free_v, free_h)])
    log_z = 0.0
    if len(free_v) and len(free_h):
        own, other, coupling = whole.names
        rest = {own: a, other: b, coupling: np.ascontiguousarray(w.T) if whole.transposed else w}
        log_z = log_partition(kernels, rest, limit=limit, threads=threads).value
        if len(v_states) ** len(a) <= len(h_states) ** len(b):
            problem = Problem(a, b, np.ascontiguousarray(w.T), v_states, h_states)
            value, visible[free_v], hidden[free_h] = _search(problem, threads, progress)
        else:
            problem = Problem(b, a, w, h_states, v_states)
            value, hidden[free_h], visible[free_v] = _search(problem, threads, progress)
    else:
        free, bias, states, target = (free_v, a, v_states, visible) if len(free_v) else (free_h, b, h_states, hidden)
        value = 0.0
        if len(free):
            target[free] = np.where(bias > 0, max(states), min(states))
            value = float(bias @ target[free])
            log_z = float(np.logaddexp.reduce(np.asarray(states)[:, None] * bias, axis=0).sum())
    dtype = next(iter(parameters.values())).dtype
    return MostProbable(visible.astype(dtype), hidden.astype(dtype), min(value - log_z, 0.0))


def _require_plain(kernels: Kernels, parameters: Parameters, what: str) -> ProductSum:
    """The enumeration of the visible layer, of a pairwise energy between units of finitely many, equal states."""
    whole = problem_of(kernels, parameters, kernels.visible[0])
    if whole is None or any(whole.problem.log_measure) or any(whole.problem.other_log_measure):
        units = " and ".join(kernels.layers.values())
        raise ValueError(
            f"{what} is found for pairwise energies between units of finitely many states that weigh alike. Got "
            f"{units} units; ask for one layer (of='v' or of='h') where its units have finitely many states."
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
    low, high = min(problem.other_states), max(problem.other_states)
    lane_rows = problem.rows(np.arange(inside))[:, order[:inner]]
    u = problem.coupling[:, order]
    fields = np.zeros((layout.lanes, len(u)))
    fields[:inside] = lane_rows @ u[:, :inner].T
    scores = np.full(layout.lanes, -np.finfo(np.float64).max / 4)
    scores[:inside] = lane_rows @ problem.bias[order[:inner]]
    by_block = np.ascontiguousarray(fields.reshape(-1, 64, len(u)).swapaxes(1, 2)).ravel()
    pieces = [range(k, min(k + _OUTER, layout.outer)) for k in range(0, layout.outer, _OUTER)]

    def work(piece: range) -> tuple[float, int]:
        numbers = np.arange(piece.start, piece.stop, dtype=np.int64) * inside
        rows = problem.rows(numbers)[:, order[inner:]]
        outer_fields = rows @ u[:, inner:].T + problem.other_bias
        outer_scores = rows @ problem.bias[order[inner:]]
        value, k, lane = product_loops.largest(by_block, outer_fields, scores, outer_scores, low, high)
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
    y = np.where(field > 0, high, low)
    return float(problem.bias @ x + field @ y), x, y
