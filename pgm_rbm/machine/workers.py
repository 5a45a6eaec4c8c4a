"""One pool of worker threads for the drivers, with BLAS held to one thread inside it.

Two pools that spin against each other cost more than they bring, so there is a single one: each worker runs
kernels and BLAS products on its own share of the rows. Work is cut into pieces that do not depend on the number of
threads, and results come back in the order of the pieces, so sums over them are the same to the last bit for
any number of threads.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

from pgm_rbm.machine.quantities import require_whole

__all__ = ["ROWS", "Workers", "check_cancelled", "row_blocks", "thread_count", "workers"]

ROWS = 64
"""Rows a worker takes at once at least: enough for an efficient matrix product, few enough to share a small batch."""

# Blocks hold so many values at least: handing two of them to two threads takes 60 µs, and a hidden mean of 64 rows of
# 784×500 units, 82,000 values, 500 µs (2-core Xeon, 2026-12).
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
    return require_whole("threads", threads, otherwise=", or None for all")


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
        """Pairs (place of the item, result) as they are done; for long work that reports its progress.

        Items are looked up as they are needed, a few more than there are threads are under way at a time, and results
        do not pile up. Where a piece fails or an interrupt arrives, those under way end at their next
        `check_cancelled`, and the error goes on when they have.
        """
        if self._pool is None:
            yield from ((k, work(item)) for k, item in enumerate(items))
            return
        given_up = threading.Event()

        def piece(item: Item) -> Result:
            _this_thread.given_up = given_up
            try:
                return work(item)
            finally:
                _this_thread.given_up = None

        waiting = enumerate(items)
        futures = {self._pool.submit(piece, item): k for k, item in islice(waiting, 2 * self._threads)}
        try:
            while futures:
                done, _ = wait(futures, return_when=FIRST_COMPLETED)
                results = [(futures.pop(future), future.result()) for future in done]
                futures |= {self._pool.submit(piece, item): k for k, item in islice(waiting, len(results))}
                yield from results
        finally:
            given_up.set()
            for future in futures:
                future.cancel()
            wait(futures)


_this_thread = threading.local()


def check_cancelled() -> None:
    """End the work of this thread if nobody waits for it any more; to be called between pieces of long work.

    Raises:
        CancelledError: it is work of `Workers.unordered` that was given up.
    """
    given_up = getattr(_this_thread, "given_up", None)
    if given_up is not None and given_up.is_set():
        raise CancelledError


def _blas() -> Any:
    """What sets the threads of the BLAS libraries that are loaded: NumPy's, and SciPy's once Numba multiplies by it."""
    return _found_blas("scipy.linalg.cython_blas" in sys.modules)


@cache
def _found_blas(with_scipy: bool) -> Any:
    # Finding the loaded libraries takes milliseconds.
    return ThreadpoolController()


class _OneThread:
    """Holds BLAS to one thread while anybody is inside, in whatever order they come and go.

    How many threads BLAS has is one number for the whole process: the first one in notes it, and the last one out puts
    it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._libraries: Any = None
        self._limits: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._libraries = _blas()
                self._limits = self._libraries.limit(limits=1, user_api="blas")
                self._let_others_set_it()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limits.restore_original_limits()
                self._let_others_set_it()

    def _let_others_set_it(self) -> None:
        """The thread that is last out may be another one than the first in, and threadpoolctl (from 3.8) lets nobody
        but the first one that set OpenBLAS's threads set them again until that one lets go."""
        for library in self._libraries.lib_controllers:
            getattr(library, "clear_controlling_thread", lambda: None)()


_one_thread = _OneThread()


@contextmanager
def workers(threads: int | None = None) -> Iterator[Workers]:
    """A pool of ``threads`` threads for the time of the block; BLAS runs one thread a product meanwhile."""
    count = thread_count(threads)
    with _one_thread:
        if count == 1:
            yield Workers(None)
        else:
            with ThreadPoolExecutor(count, thread_name_prefix="pgm_rbm") as pool:
                yield Workers(pool, count)
