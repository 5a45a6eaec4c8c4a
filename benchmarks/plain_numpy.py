"""What a person would write in plain NumPy: the peers that the benchmarks are paired with."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def free_energy(v: Array, w: Array, a: Array, b: Array) -> Array:
    return -v @ a - np.logaddexp(0, v @ w + b).sum(axis=1)


def sample(v: Array, w: Array, b: Array, rng: np.random.Generator) -> Array:
    p = sigmoid(v @ w + b)
    return (rng.random(p.shape, dtype=p.dtype) < p).astype(p.dtype)


def phase(v: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    p = sigmoid(v @ w + b)
    return v.T @ p, v.sum(axis=0), p.sum(axis=0)


def log_partition(w: Array, a: Array, b: Array, chunk: int = 4096) -> float:
    """ln Z by enumerating the hidden layer in chunks, in logs."""
    n_hidden = len(b)
    parts = []
    for start in range(0, 2**n_hidden, chunk):
        numbers = np.arange(start, min(start + chunk, 2**n_hidden))
        h = ((numbers[:, None] >> np.arange(n_hidden)) & 1).astype(w.dtype)
        parts.append(h @ b + np.logaddexp(0, h @ w.T + a).sum(axis=1))
    logs = np.concatenate(parts)
    top = logs.max()
    return float(top + np.log(np.exp(logs - top).sum()))


def cd1_pass(
    rows: Array, w: Array, a: Array, b: Array, rng: np.random.Generator, batch: int = 100, rate: float = 0.01
) -> None:
    """One pass of CD-1 over the rows, updating the parameters in place."""
    one = w.dtype.type(1)
    for start in range(0, len(rows) - batch + 1, batch):
        v = rows[start : start + batch]
        p_h = sigmoid(v @ w + b)
        h = (rng.random(p_h.shape, dtype=w.dtype) < p_h) * one
        p_v = sigmoid(h @ w.T + a)
        v_model = (rng.random(p_v.shape, dtype=w.dtype) < p_v) * one
        p_h_model = sigmoid(v_model @ w + b)
        step = w.dtype.type(rate / batch)
        w += step * (v.T @ p_h - v_model.T @ p_h_model)
        a += step * (v - v_model).sum(axis=0)
        b += step * (p_h - p_h_model).sum(axis=0)
