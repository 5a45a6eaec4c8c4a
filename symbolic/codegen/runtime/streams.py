"""What generated modules of every target share: the streams of random bits, and the enumeration of configurations.

Random bits come from a counter, not from a generator with a state: those of (row t, unit j) are a hash of a
64-bit key, the number of the row and the number of the unit. A draw is therefore the same however rows are
split over calls or threads. Each row gets two 32-bit words from the key and its number (:func:`row_streams`);
each unit's 32 bits are two rounds of mixing, the first over the unit and the first word, the second over the
result and the second word (:func:`mix`). All of it is 32-bit arithmetic, which vectorises where 64-bit products
do not.

Source of the mixing function: xor-shift-multiply with the constants 0x21f0aaad and 0xd35a2d97 found by the
"hash prospector" search of C. Wellons (2018), whose bias against a perfect avalanche is 0.107 in units of 10⁻³.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from symbolic.errors import SymbolicError

__all__ = ["MAX_CONFIGURATIONS", "LogSumExp", "configurations", "mix", "row_streams"]

MAX_CONFIGURATIONS = 1 << 24
_BLOCK_VALUES = 1 << 20

Words = npt.NDArray[np.uint32]


def mix(x: Words) -> Words:
    """One round of 32-bit mixing: a bijection; an input bit flips every output bit about half the time."""
    x = x ^ (x >> np.uint32(16))
    x *= np.uint32(0x21F0AAAD)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0xD35A2D97)
    x ^= x >> np.uint32(15)
    return x


def _mix_word(x: int) -> int:
    """The same for one word, as a Python number; NumPy warns of overflow in scalars, where wrapping around is meant."""
    x ^= x >> 16
    x = x * 0x21F0AAAD & 0xFFFFFFFF
    x ^= x >> 15
    x = x * 0xD35A2D97 & 0xFFFFFFFF
    return x ^ (x >> 15)


def row_streams(key: int, first_row: int, rows: int) -> tuple[Words, Words]:
    """Two 32-bit words for each of the rows first_row, …, first_row + rows − 1 under a 64-bit key; shapes (rows,)."""
    key_high, key_low = divmod(key, 1 << 32)
    row_high, row_low = divmod(first_row, 1 << 32)
    below = (1 << 32) - row_low
    if rows > below:
        here, beyond = row_streams(key, first_row, below), row_streams(key, first_row + below, rows - below)
        return np.concatenate([here[0], beyond[0]]), np.concatenate([here[1], beyond[1]])
    bases = [
        _mix_word(_mix_word(_mix_word(one ^ salt) ^ other) ^ row_high)
        for one, other, salt in ((key_low, key_high, 0x9E3779B9), (key_high, key_low, 0x85EBCA6B))
    ]
    low = np.arange(rows, dtype=np.uint32) + np.uint32(row_low)
    first, second = mix(low + np.array(bases, np.uint32)[:, None])
    return first, second


def configurations(
    layers: tuple[tuple[int, tuple[int, ...]], ...], dtype: npt.DTypeLike
) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    """All joint configurations of the layers, in blocks of rows.

    Args:
        layers: for every layer its number of units and the states of one unit.
        dtype: of the arrays.

    Yields:
        one array of shape (rows, units) a layer; the last unit of the last layer changes fastest.

    Raises:
        SymbolicError: there are more than ``MAX_CONFIGURATIONS`` of them.
    """
    radices = [len(states) for units, states in layers for _ in range(units)]
    total = math.prod(radices)
    if total > MAX_CONFIGURATIONS:
        sizes = " × ".join(f"{len(states)}^{units}" for units, states in layers)
        raise SymbolicError(
            f"the sum runs over {sizes} configurations, and at most {MAX_CONFIGURATIONS:,} are enumerated here. "
            "Sum over the free energies of the smaller layer instead."
        )
    block = max(1, _BLOCK_VALUES // max(1, len(radices)))
    for start in range(0, total, block):
        number = np.arange(start, min(start + block, total), dtype=np.int64)
        digits = np.empty((len(number), len(radices)), np.intp)
        for column in reversed(range(len(radices))):
            number, digits[:, column] = np.divmod(number, radices[column])
        arrays = []
        begin = 0
        for units, states in layers:
            arrays.append(np.asarray(states, dtype)[digits[:, begin : begin + units]])
            begin += units
        yield tuple(arrays)


class LogSumExp:
    """ln Σ e^x over blocks of x, none of which can overflow: a running maximum and the sum relative to it."""

    def __init__(self) -> None:
        self._top = -math.inf
        self._sum = 0.0

    def add(self, x: npt.NDArray[Any]) -> None:
        """Take in a block."""
        x = x.astype(np.float64, copy=False)
        top = max(self._top, float(x.max()))
        if math.isinf(top):
            self._top = top
            return
        self._sum = self._sum * math.exp(self._top - top) + float(np.exp(x - top).sum())
        self._top = top

    @property
    def value(self) -> float:
        """The logarithm of the sum so far; −∞ before the first block."""
        return self._top if math.isinf(self._top) else self._top + math.log(self._sum)
