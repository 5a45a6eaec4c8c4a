"""Partial sums of an enumeration, and how they are joined: the result does not depend on the order they arrive in.

A partial sum is kept relative to a power of two, so bringing two of them to the same power is exact. They are joined
in pairs, along a binary tree whose shape depends on their number alone; a part waits until its neighbour is there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pgm_rbm.kernels import FloatArray

__all__ = ["Part", "Reduction", "added"]


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
    """The sum of two parts."""
    if one.exponent < other.exponent:
        one, other = other, one
    scale = math.ldexp(1.0, max(other.exponent - one.exponent, -2000))
    sums = {name: value + scale * other.sums[name] for name, value in one.sums.items()}
    return Part(one.exponent, one.total + scale * other.total, sums)


class Reduction:
    """Joins parts as they come.

    Args:
        places: how many parts there will be.
    """

    def __init__(self, places: int):
        self._places = places
        self._seen: set[int] = set()
        self._waiting: dict[tuple[int, int], Part] = {}

    def add(self, place: int, part: Part) -> bool:
        """Take in the part of one shard; False, and nothing changes, if that shard has been taken in before."""
        if not 0 <= place < self._places:
            raise ValueError(f"there is no shard {place}; there are {self._places}.")
        if place in self._seen:
            return False
        self._seen.add(place)
        level, width = 0, self._places
        while width > 1:
            neighbour = place ^ 1
            if neighbour < width:
                there = self._waiting.pop((level, neighbour), None)
                if there is None:
                    break
                part = added(part, there) if place < neighbour else added(there, part)
            level, place, width = level + 1, place >> 1, -(-width // 2)
        self._waiting[level, place] = part
        return True

    @property
    def done(self) -> int:
        """How many shards have been taken in."""
        return len(self._seen)

    @property
    def result(self) -> Part:
        """The sum of all parts.

        Raises:
            RuntimeError: some are missing.
        """
        if self.done < self._places:
            raise RuntimeError(f"{self._places - self.done} of {self._places} shards have not been taken in.")
        (part,) = self._waiting.values()
        return part
