"""A binary RBM by its definition: plain sums over all configurations, sharing no code with the library."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def all_states(n: int) -> Array:
    """Every configuration of n binary units, one a row."""
    return np.array(list(itertools.product((0.0, 1.0), repeat=n)))


def random_parameters(n_visible: int, n_hidden: int, seed: int, scale: float = 1.0) -> tuple[Array, Array, Array]:
    """Normal weights, visible biases and hidden biases."""
    rng = np.random.default_rng(seed)
    return (
        scale * rng.standard_normal((n_visible, n_hidden)),
        scale * rng.standard_normal(n_visible),
        scale * rng.standard_normal(n_hidden),
    )


def log_weight(v: Array, h: Array, w: Array, a: Array, b: Array) -> float:
    """−E(v, h)."""
    terms = [a[i] * v[i] for i in range(len(v))]
    terms += [b[j] * h[j] for j in range(len(h))]
    terms += [v[i] * w[i, j] * h[j] for i in range(len(v)) for j in range(len(h))]
    return math.fsum(terms)


def log_sum_exp(values: list[float]) -> float:
    """ln Σ e^x."""
    top = max(values)
    return top + math.log(math.fsum(math.exp(x - top) for x in values))


def log_unnormalised(v: Array, w: Array, a: Array, b: Array) -> float:
    """ln Σ_h e^{−E(v, h)}."""
    return log_sum_exp([log_weight(v, h, w, a, b) for h in all_states(len(b))])


def log_partition(w: Array, a: Array, b: Array) -> float:
    """ln Z."""
    return log_sum_exp([log_unnormalised(v, w, a, b) for v in all_states(len(a))])


def mean_log_probability(x: Array, w: Array, a: Array, b: Array) -> float:
    """The mean of ln p(v) over the rows of x."""
    return math.fsum(log_unnormalised(v, w, a, b) for v in x) / len(x) - log_partition(w, a, b)


def joint(w: Array, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """All (v, h) pairs and their probabilities."""
    pairs = [(v, h) for v in all_states(len(a)) for h in all_states(len(b))]
    logs = np.array([log_weight(v, h, w, a, b) for v, h in pairs])
    return (
        np.array([v for v, _ in pairs]),
        np.array([h for _, h in pairs]),
        np.exp(logs - log_sum_exp(list(logs))),
    )
