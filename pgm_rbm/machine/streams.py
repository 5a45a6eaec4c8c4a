"""Random streams: 64-bit keys derived from a seed, a purpose and counters.

A kernel's draw is a function of its key, row and unit alone, so deriving the same keys again reproduces or continues a
run: no generator carries a state, and threads share none. Keys come from the finaliser of SplitMix64 (Steele, Lea and
Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, section 5), applied to one word at a time.
"""

from __future__ import annotations

import secrets
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from symbolic.codegen.runtime.numpy import uniform
from symbolic.codegen.runtime.streams import row_streams

__all__ = ["Purpose", "derive_key", "generator", "resolve_seed", "uniforms"]

_MASK = 0xFFFFFFFFFFFFFFFF
_GOLDEN = 0x9E3779B97F4A7C15


class Purpose(IntEnum):
    """What a key is for. Saved runs depend on these numbers, so they must not change."""

    WEIGHTS = 1
    START = 2
    VISIBLE = 3
    HIDDEN = 4
    DATA_HIDDEN = 5
    SHUFFLE = 6
    EXACT = 7
    MONITOR = 8
    GRAPH = 9


def resolve_seed(seed: int | None) -> int:
    """Return a 64-bit seed: the given one, or for None a fresh one from the operating system.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is negative or does not fit in 64 bits.
    """
    if seed is None:
        return secrets.randbits(64)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be a whole number or None. Got {seed!r}.")
    if not 0 <= seed <= _MASK:
        raise ValueError(f"seed must lie between 0 and 2**64 - 1. Got {seed}.")
    return int(seed)


def _mix(z: int) -> int:
    z = (z + _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def derive_key(seed: int, purpose: Purpose, *counters: int) -> int:
    """Return the 64-bit key of one purpose at one place, such as a step of training and a sweep within it."""
    key = _mix(_mix(seed) ^ int(purpose))
    for counter in counters:
        key = _mix(key ^ counter)
    return key


def generator(seed: int, purpose: Purpose, *counters: int) -> np.random.Generator:
    """Return a NumPy generator that starts at that key, for draws made in one place and in one thread."""
    return np.random.Generator(np.random.Philox(key=derive_key(seed, purpose, *counters)))


def uniforms(key: int, first_row: int, rows: int, units: int) -> npt.NDArray[np.float64]:
    """Return the numbers between 0 and 1 that a generated sampler draws with, shape (rows, units).

    Each is a function of the key, of ``first_row`` plus its row, and of its unit.
    """
    return np.asarray(uniform(row_streams(key, first_row, rows), units, np.float64))
