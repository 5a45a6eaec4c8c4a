"""The limits of a computation and how it runs: one value, which the faces make of their keywords and pass on."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from pgm_rbm.machine.progress import Progress, showing
from pgm_rbm.machine.quantities import format_bytes, format_seconds, is_number, require_whole
from pgm_rbm.machine.workers import thread_count

__all__ = ["CONFIGURATIONS", "MEMORY", "MOST_CONFIGURATIONS", "SECONDS", "Budget", "Executors"]

CONFIGURATIONS = 2**24
"""The most configurations to enumerate by default: 1.4 s for 784×24 units (2 cores, 2026-11)."""

SECONDS, MEMORY = 600.0, 2**30
"""The time and memory that an exact answer may take by default, in seconds and bytes."""

MOST_CONFIGURATIONS = 2**62
"""The most configurations at any limit: the loops number them in 64 bits."""

Executors = Executor | Callable[[], Executor]
"""Where shards may be computed: an executor, or a function that makes one and is called again if it breaks."""


@dataclass(frozen=True)
class Budget:
    """The limits of a computation and how it runs. No result depends on ``threads``, ``progress`` or ``executor``.

    Attributes:
        configurations: the most to enumerate. None means 2^24, an expected 10 minutes and 1 GiB at most; an explicit
            limit replaces all three.
        memory: the most bytes that an elimination may hold.
        seconds: the most expected seconds that an elimination may take.
        threads: how many threads to use; None for all. An elimination runs on one.
        progress: a function called with (work done, work in all), or True for a bar with the time left on standard
            error.
        executor: where an enumeration computes its shards, instead of on threads: any `concurrent.futures.Executor`, or
            a function that makes one and is called again if it breaks.
    """

    configurations: int | None = None
    memory: float = MEMORY
    seconds: float = SECONDS
    threads: int | None = None
    progress: bool | Progress | None = None
    executor: Executors | None = None

    @classmethod
    def of(
        cls,
        *,
        limit: int | None = None,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
        executor: Executors | None = None,
    ) -> Budget:
        """Return the budget of public keywords; None means the default and infinity means no limit.

        Raises:
            ValueError: a limit or ``threads`` is not a positive number.
        """
        if limit is not None:
            require_whole("limit", limit, of="configurations")
        if threads is not None:
            thread_count(threads)
        return cls(
            limit,
            _positive("memory_limit", memory_limit, MEMORY, "bytes"),
            _positive("time_limit", time_limit, SECONDS, "seconds"),
            threads,
            progress,
            executor,
        )

    @property
    def most_configurations(self) -> int:
        """How many configurations may be enumerated."""
        return CONFIGURATIONS if self.configurations is None else int(self.configurations)

    @property
    def thread_count(self) -> int:
        """How many threads will run."""
        return thread_count(self.threads)

    def allows(self, memory: float, seconds: float) -> bool:
        """Return whether an elimination that takes ``memory`` bytes and ``seconds`` is within the budget."""
        return memory <= self.memory and seconds <= self.seconds

    def showing(self, what: str) -> AbstractContextManager[Progress | None]:
        """Return a context that yields the function to call as work goes on, or None; ``what`` names the bar.

        Raises:
            TypeError: ``progress`` is neither True, False nor a function.
        """
        return showing(self.progress, what)

    def __str__(self) -> str:
        memory = f"{format_bytes(int(self.memory))} of memory" if self.memory < math.inf else "any memory"
        return f"{memory} and {format_seconds(self.seconds) if self.seconds < math.inf else 'any time'}"


def _positive(name: str, value: Any, default: float, of: str) -> float:
    if value is None:
        return default
    if not is_number(value) or not value > 0:
        raise ValueError(f"{name} must be a positive number of {of}, or None for {default:,.0f}. Got {value!r}.")
    return value if isinstance(value, int) else float(value)
