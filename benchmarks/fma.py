"""The most fused multiply-adds a second in float64 that compiled loops reach on this machine."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit

__all__ = ["OPERATIONS", "work"]

_LANES, _ROUNDS = 128, 100_000
OPERATIONS = _LANES * _ROUNDS * 16
"""Multiply-adds that a thread of `work` does."""


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _loop(rounds: int, x: Any, a: float, b: float) -> None:
    for _ in range(rounds):
        for s in range(x.shape[0]):
            # Written out: the compiler keeps it in a register, and many lanes hide what one waits for.
            t = x[s]
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            t = t * a + b
            x[s] = t


def work(threads: int) -> Callable[[], None]:
    """What does `OPERATIONS` on each of so many threads."""

    def run() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda _: _loop(_ROUNDS, np.ones(_LANES), 0.999, 0.5), range(threads)))

    return run
