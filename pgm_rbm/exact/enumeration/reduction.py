"""Partial sums of an enumeration, and how they are joined: the result does not depend on the order they arrive in.

A partial sum is kept relative to a power of two, so bringing two of them to the same power is exact. They are joined
in pairs, along a binary tree whose shape depends on their number alone; a part waits until its neighbour is there. So
the sum over all shards below a node of the tree, a `Batch`, has the same bits wherever it was formed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pgm_rbm.model.kernels import FloatArray

__all__ = ["Batch", "Part", "Reduction", "added", "batches"]


@dataclass(frozen=True)
class Part:
    """Σ w and sums weighted by w over one shard, all to be multiplied by 2^exponent.

    Attributes:
        exponent: the power of two.
        total: Σ w.
        sums: Σ w f by name.
    """

    exponent: int
    total: float
    sums: dict[str, FloatArray] = field(default_factory=dict)

    @property
    def log(self) -> float:
        """ln Σ w."""
        return self.exponent * math.log(2) + math.log(self.total)


def added(one: Part, other: Part) -> Part:
    """Return the sum of two parts."""
    if one.exponent < other.exponent:
        one, other = other, one
    scale = math.ldexp(1.0, max(other.exponent - one.exponent, -2000))
    sums = {name: value + scale * other.sums[name] for name, value in one.sums.items()}
    return Part(one.exponent, one.total + scale * other.total, sums)


class Batch(NamedTuple):
    """A node of the tree: the 2^level shards from number place · 2^level on, or those of them that exist."""

    level: int
    place: int

    def shards(self, in_all: int) -> range:
        """Return their numbers, of ``in_all`` shards."""
        return range(self.place << self.level, min((self.place + 1) << self.level, in_all))


def batches(in_all: int, level: int, first: int = 0) -> Iterator[Batch]:
    """Yield batches of at most 2^level shards that hold every shard from number ``first`` on once, in order."""
    while first < in_all:
        # The largest that begins here.
        here = level if first == 0 else min(level, (first & -first).bit_length() - 1)
        yield Batch(here, first >> here)
        first += 1 << here


class Reduction:
    """Joins parts as they come.

    Args:
        shards: the number of shards.
    """

    def __init__(self, shards: int):
        self._shards = shards
        self._seen: set[Batch] = set()
        self._waiting: dict[Batch, Part] = {}
        self.done = 0
        """The number of shards that have been taken in."""

    def add(self, place: int, part: Part, level: int = 0) -> bool:
        """Take in the part of one shard or batch, and return whether it is new; one that is not changes nothing.

        Args:
            place, level: the batch it belongs to; no shard may be in two different ones.
            part: the sum over it.
        """
        batch = Batch(level, place)
        if place < 0 or not batch.shards(self._shards):
            raise ValueError(f"there is no {_name(batch)}; there are {self._shards} shards.")
        if batch in self._seen:
            return False
        self._seen.add(batch)
        self.done += len(batch.shards(self._shards))
        while 1 << batch.level < self._shards:
            neighbour = Batch(batch.level, batch.place ^ 1)
            if neighbour.shards(self._shards):
                there = self._waiting.pop(neighbour, None)
                if there is None:
                    break
                part = added(part, there) if batch.place < neighbour.place else added(there, part)
            batch = Batch(batch.level + 1, batch.place >> 1)
        self._waiting[batch] = part
        return True

    @property
    def result(self) -> Part:
        """The sum of all parts.

        Raises:
            RuntimeError: some are missing.
        """
        if self.done < self._shards:
            raise RuntimeError(f"{self._shards - self.done} of {self._shards} shards have not been taken in.")
        (part,) = self._waiting.values()
        return part


def _name(batch: Batch) -> str:
    return f"shard {batch.place}" if batch.level == 0 else f"batch {batch.place} of {1 << batch.level} shards"
