"""One pool of worker threads for the drivers, with BLAS held to one thread inside it.

Two pools that spin against each other cost more than they bring, so there is a single one: each worker runs
kernels and BLAS products on its own share of the rows. Work is cut into pieces that do not depend on the number of
threads, and results come back in the order of the pieces, so sums over them are the same to the last bit for
any number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

__all__ = ["ROWS", "Workers", "row_blocks", "thread_count", "workers"]

ROWS = 64
"""Rows a worker takes at once at least: enough for an efficient matrix product, few enough to share a small batch."""

# Below so many values a block is done sooner than another thread takes it up.
_VALUES = 2**16

Item = TypeVar("Item")
Result = TypeVar("Result")


def thread_count(threads: int | None) -> int:
    """The number of threads asked for; by default as many as this process may use.

    Raises:
        ValueError: it is not a positive whole number.
    """
    if threads is None:
        try:
            return len(os.sched_getaffinity(0))
        except AttributeError:
            return os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or threads < 1:
        raise ValueError(f"threads must be a positive whole number, or None for all. Got {threads!r}.")
    return int(threads)


def row_blocks(rows: int, units: int) -> list[slice]:
    """Slices of nearly equal length that cover ``rows`` rows in order, a worker's share each.

    Args:
        rows: how many rows there are.
        units: how many units a row has, in all layers; rows of few units come in larger blocks.
    """
    n = max(1, round(rows / max(ROWS, _VALUES // units)))
    return [slice(rows * k // n, rows * (k + 1) // n) for k in range(n)]


class Workers:
    """A pool that maps a function over pieces of work; made by `workers`."""

    def __init__(self, pool: ThreadPoolExecutor | None, threads: int = 1):
        self._pool = pool
        self._threads = threads

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """The results in the order of the items. Where a piece fails or an interrupt arrives, it waits for all
        pieces that have begun before the error goes on, so that nothing writes behind the caller's back."""
        items = list(items)
        if self._pool is None or len(items) < 2:
            return [work(item) for item in items]
        futures: list[Future[Result]] = [self._pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
            wait(futures)

    def unordered(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
        """Pairs (place of the item, result) as they are done; for work that reports its progress.

        A few items more than there are threads are under way at a time, so results do not pile up.
        """
        items = list(items)
        if self._pool is None or len(items) < 2:
            yield from ((k, work(item)) for k, item in enumerate(items))
            return
        waiting = enumerate(items)
        futures = {self._pool.submit(work, item): k for k, item in islice(waiting, 2 * self._threads)}
        try:
            while futures:
                done, _ = wait(futures, return_when=FIRST_COMPLETED)
                results = [(futures.pop(future), future.result()) for future in done]
                futures |= {self._pool.submit(work, item): k for k, item in islice(waiting, len(results))}
                yield from results
        finally:
            for future in futures:
                future.cancel()
            wait(futures)


@cache
def _blas() -> Any:
    # Finding the loaded libraries takes milliseconds, and NumPy's BLAS is loaded by the time this is asked.
    return ThreadpoolController()


@contextmanager
def workers(threads: int | None = None) -> Iterator[Workers]:
    """A pool of ``threads`` threads for the time of the block; BLAS runs one thread a product meanwhile."""
    count = thread_count(threads)
    with _blas().limit(limits=1, user_api="blas"):
        if count == 1:
            yield Workers(None)
        else:
            with ThreadPoolExecutor(count, thread_name_prefix="pgm_rbm") as pool:
                yield Workers(pool, count)
