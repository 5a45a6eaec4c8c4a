"""What a person would write with NumPy and Numba: matrix products in NumPy, one compiled loop around each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["FREE_ENERGY", "SAMPLE", "gaussian_free_energy", "gaussian_sample"]

Array = np.ndarray[Any, np.dtype[Any]]


@njit(cache=True, fastmath=True, error_model="numpy")
def _subtract_softplus(linear, product, bias):  # type: ignore[no-untyped-def]
    for t in range(product.shape[0]):
        total = product.dtype.type(0)
        for j in range(product.shape[1]):
            x = product[t, j] + bias[j]
            total += max(x, product.dtype.type(0)) + np.log1p(np.exp(-abs(x)))
        linear[t] = -linear[t] - total


@njit(cache=True, fastmath=True, error_model="numpy")
def _subtract_log2cosh(linear, product, bias):  # type: ignore[no-untyped-def]
    for t in range(product.shape[0]):
        total = product.dtype.type(0)
        for j in range(product.shape[1]):
            size = abs(product[t, j] + bias[j])
            total += size + np.log1p(np.exp(-2 * size))
        linear[t] = -linear[t] - total


@njit(cache=True, fastmath=True, error_model="numpy")
def _draw_binary(product, bias, rng):  # type: ignore[no-untyped-def]
    for t in range(product.shape[0]):
        for j in range(product.shape[1]):
            p = 1 / (1 + np.exp(-(product[t, j] + bias[j])))
            product[t, j] = 1 if rng.random() < p else 0


@njit(cache=True, fastmath=True, error_model="numpy")
def _draw_spin(product, bias, rng):  # type: ignore[no-untyped-def]
    for t in range(product.shape[0]):
        for j in range(product.shape[1]):
            p = 1 / (1 + np.exp(-2 * (product[t, j] + bias[j])))
            product[t, j] = 1 if rng.random() < p else -1


@njit(cache=True, fastmath=True, error_model="numpy")
def _subtract_from_squares(linear, v, product, bias):  # type: ignore[no-untyped-def]
    for t in range(product.shape[0]):
        squares = product.dtype.type(0)
        for i in range(v.shape[1]):
            squares += v[t, i] * v[t, i]
        total = product.dtype.type(0)
        for j in range(product.shape[1]):
            x = product[t, j] + bias[j]
            total += max(x, product.dtype.type(0)) + np.log1p(np.exp(-abs(x)))
        linear[t] = product.dtype.type(0.5) * squares - linear[t] - total


@njit(cache=True, fastmath=True, error_model="numpy")
def _draw_gaussian(product, bias, rng):  # type: ignore[no-untyped-def]
    for t in range(product.shape[0]):
        for i in range(product.shape[1]):
            product[t, i] += bias[i] + rng.standard_normal()


def gaussian_free_energy(v: Array, w: Array, a: Array, b: Array) -> Array:
    """Of Gaussian visible units with binary hidden ones summed out."""
    result: Array = v @ a
    _subtract_from_squares(result, v, v @ w, b)
    return result


def gaussian_sample(h: Array, w: Array, a: Array, rng: np.random.Generator) -> Array:
    """Of Gaussian visible units of unit variance, given the hidden ones."""
    states: Array = h @ w.T
    _draw_gaussian(states, a, rng)
    return states


def _free_energy(loop: Any) -> Any:
    def free_energy(v: Array, w: Array, a: Array, b: Array) -> Array:
        result = v @ a
        loop(result, v @ w, b)
        return result

    return free_energy


def _sample(loop: Any) -> Any:
    def sample(v: Array, w: Array, b: Array, rng: np.random.Generator) -> Array:
        states = v @ w
        loop(states, b, rng)
        return states

    return sample


# By the unit of the layer that is summed out or drawn.
FREE_ENERGY = {"binary": _free_energy(_subtract_softplus), "spin": _free_energy(_subtract_log2cosh)}
SAMPLE = {"binary": _sample(_draw_binary), "spin": _sample(_draw_spin)}
