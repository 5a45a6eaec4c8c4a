"""Running the shards of an enumeration: on this machine's threads, or on any `concurrent.futures.Executor`.

A task is a picklable object that turns a shard, a range of configurations, into a `Part`. Whatever computes a shard
gives the same bits, so one that is lost is computed again and one that comes twice is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Protocol

from pgm_rbm.exact.reduction import Part, Reduction
from pgm_rbm.workers import workers

__all__ = ["Executors", "Progress", "Task", "run", "showing"]

Progress = Callable[[int, int], None]
"""Called with (shards done, shards in all) as an enumeration goes on; shards take about as long as each other."""

Executors = Executor | Callable[[], Executor]
"""Where shards may be computed: an executor, or a function that makes one, which is called anew if one breaks."""

# Shards handed out at a time: enough for a thousand workers, few enough to hold.
_WAITING = 4096
_ATTEMPTS = 3
_LATE = 10.0
_LATE_AT_LEAST = 60.0


class Task(Protocol):
    """What is computed on every shard."""

    def shards(self) -> Sequence[range]:
        """All shards; they depend on nothing but the task."""
        ...

    def __call__(self, shard: range) -> Part:
        """The sums over one of them."""
        ...


def run(
    task: Task,
    *,
    threads: int | None = None,
    executor: Executors | None = None,
    progress: Progress | None = None,
) -> Part:
    """The sums over all shards of a task: the same to the last bit however they are computed.

    Args:
        task: what to compute.
        threads: how many threads to use here; all by default.
        executor: where to compute instead. Shards that it loses are handed to it again, and computed here if it is
            broken for good, or much later than all others.
        progress: called as shards are done.
    """
    shards = task.shards()
    reduction = Reduction(len(shards))

    def taken(place: int, part: Part) -> None:
        if reduction.add(place, part) and progress is not None:
            progress(reduction.done, len(shards))

    left: Sequence[int] = range(len(shards))
    if executor is not None:
        left = _Remote(task, shards, executor, taken).run()
    if left:
        with workers(threads) as pool:
            for k, part in pool.unordered(lambda place: task(shards[place]), left):
                taken(left[k], part)
    return reduction.result


def _computed(task: Task, place: int, shard: range) -> tuple[int, Part]:
    """What is sent to another process; the place goes along, so that an answer tells what it answers."""
    with workers(1):
        return place, task(shard)


class _Remote:
    """One run on an executor."""

    def __init__(self, task: Task, shards: Sequence[range], executor: Executors, taken: Callable[[int, Part], None]):
        self._task, self._shards, self._taken = task, shards, taken
        self._make: Callable[[], Executor] | None = None
        if isinstance(executor, Executor) or not callable(executor):
            self._executor: Executor | None = executor
        else:
            self._make, self._executor = executor, executor()
        if not hasattr(self._executor, "submit"):
            raise TypeError(
                f"executor must be a concurrent.futures.Executor or a function that makes one. Got {self._executor!r}."
            )
        self._attempts = [0] * len(shards)
        self._open = set(range(len(shards)))
        self._futures: dict[Future[tuple[int, Part]], tuple[int, float]] = {}
        self._done: SimpleQueue[Future[tuple[int, Part]]] = SimpleQueue()
        self._slowest = 0.0

    def run(self) -> list[int]:
        """Compute what the executor can be brought to; the places of the shards that are left."""
        queue = list(reversed(range(len(self._shards))))
        try:
            while self._executor is not None and (queue or self._futures):
                while queue and len(self._futures) < _WAITING and self._executor is not None:
                    self._submit(queue)
                try:
                    self._collect(self._done.get(timeout=1.0), queue)
                except Empty:
                    if not queue and self._late():
                        break
        finally:
            for future in self._futures:
                future.cancel()
            if self._make is not None and self._executor is not None:
                self._executor.shutdown(wait=False, cancel_futures=True)
        return sorted(self._open)

    def _submit(self, queue: list[int]) -> None:
        assert self._executor is not None
        place = queue.pop()
        try:
            future = self._executor.submit(_computed, self._task, place, self._shards[place])
        except (BrokenExecutor, RuntimeError):
            queue.append(place)
            self._replace(queue)
            return
        self._futures[future] = place, time.monotonic()
        future.add_done_callback(self._done.put)

    def _collect(self, future: Future[tuple[int, Part]], queue: list[int]) -> None:
        if future not in self._futures:
            return
        place, begun = self._futures.pop(future)
        error = None if future.cancelled() else future.exception()
        if error is None and not future.cancelled():
            found, part = future.result()
            self._slowest = max(self._slowest, time.monotonic() - begun)
            if found == place:
                self._open.discard(place)
                self._taken(place, part)
                return
        self._attempts[place] += 1
        if self._attempts[place] < _ATTEMPTS:
            queue.append(place)
        if isinstance(error, BrokenExecutor):
            self._replace(queue)

    def _replace(self, queue: list[int]) -> None:
        """The executor is broken: make another one, if that is possible, and hand it what the old one held."""
        for place, _ in self._futures.values():
            self._attempts[place] += 1
            if self._attempts[place] < _ATTEMPTS:
                queue.append(place)
        self._futures.clear()
        if self._make is None or max(self._attempts) >= _ATTEMPTS:
            self._executor = None
            return
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = self._make()

    def _late(self) -> bool:
        """Whether what is still out has been out for much longer than any other shard."""
        allowed = max(_LATE_AT_LEAST, _LATE * self._slowest)
        return all(time.monotonic() - begun > allowed for _, begun in self._futures.values())


@contextmanager
def showing(progress: bool | Progress | None, what: str) -> Iterator[Progress | None]:
    """What to call as work goes on: the function passed in, a bar with the time left for True, nothing for False.

    Raises:
        TypeError: it is neither.
    """
    if progress is None or progress is False:
        yield None
        return
    if progress is not True:
        if not callable(progress):
            raise TypeError(f"progress must be True, False or a function. Got {progress!r}.")
        yield progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
