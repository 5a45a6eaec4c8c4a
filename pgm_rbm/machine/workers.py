"""One pool of worker threads for the drivers, with BLAS held to one thread inside it.

Two pools that compete for cores cost more than they gain, so there is only one: each worker runs kernels and BLAS
products on its own share of the rows. How work is cut into pieces does not depend on the number of threads, and results
come back in the order of the pieces, so sums over them are the same to the last bit for any number of threads.
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
"""The fewest rows of a block: enough for an efficient matrix product, few enough to share a small batch."""

# The fewest values of a block: handing two of them to two threads takes 60 µs, and a hidden mean of 64 rows of 784×500
# units, 82,000 values, 500 µs (2-core Xeon, 2026-12).
_VALUES = 2**16

Item = TypeVar("Item")
Result = TypeVar("Result")


def thread_count(threads: int | None) -> int:
    """Return the number of threads asked for; by default as many as this process may use.

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
    """Return slices of nearly equal length that cover ``rows`` rows in order, one per piece of work.

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
        """Return the results in the order of the items.

        If a piece fails or an interrupt arrives, all pieces that have begun end before the error is raised, so that no
        thread still writes when the caller goes on.
        """
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
        """Yield pairs (place of the item, result) as they are done; for long work that reports its progress.

        Items are taken as they are needed, at most twice as many as there are threads are under way, and results do not
        pile up. If a piece fails or an interrupt arrives, pieces under way end at their next `check_cancelled` before
        the error is raised.
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
    """End this thread's work if nobody waits for it any more; call it between pieces of long work.

    Raises:
        CancelledError: `Workers.unordered` has given the work up.
    """
    given_up = getattr(_this_thread, "given_up", None)
    if given_up is not None and given_up.is_set():
        raise CancelledError


def _blas() -> Any:
    """Return what sets the threads of the loaded BLAS libraries: NumPy's, and SciPy's once Numba multiplies by it."""
    return _found_blas("scipy.linalg.cython_blas" in sys.modules)


@cache
def _found_blas(with_scipy: bool) -> Any:
    # Finding the loaded libraries takes milliseconds.
    return ThreadpoolController()


class _OneThread:
    """Hold BLAS to one thread while any thread is inside; threads may enter and leave in any order.

    The whole process shares one number of BLAS threads: the first to enter notes it, and the last to leave restores it.
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
        """Let any thread set OpenBLAS's threads again.

        Threadpoolctl (from 3.8) allows that to the thread that set them first alone, until it lets go; the last thread
        to leave may be another one.
        """
        for library in self._libraries.lib_controllers:
            getattr(library, "clear_controlling_thread", lambda: None)()


_one_thread = _OneThread()


@contextmanager
def workers(threads: int | None = None) -> Iterator[Workers]:
    """Yield a pool of ``threads`` threads for this block, in which BLAS runs one thread per product."""
    count = thread_count(threads)
    with _one_thread:
        if count == 1:
            yield Workers(None)
        else:
            with ThreadPoolExecutor(count, thread_name_prefix="pgm_rbm") as pool:
                yield Workers(pool, count)
