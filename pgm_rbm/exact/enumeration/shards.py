"""Running the shards of an enumeration: on this machine's threads, or on any `concurrent.futures.Executor`.

A task is a picklable object that turns a shard, a range of configurations, into a `Part`. Whatever computes a shard
gives the same bits, so one that is lost is computed again and one that comes twice is dropped. An executor is handed
batches, nodes of the tree along which parts are joined: as many shards at once as make the way there and back cheap
beside the work, which changes no bit either.
"""

from __future__ import annotations

import pickle
import time
import uuid
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass
from itertools import chain
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar, overload

from pgm_rbm.exact.enumeration.cluster import own_executor, sent_once
from pgm_rbm.exact.enumeration.reduction import Batch, Part, Reduction, batches
from pgm_rbm.machine.budget import Budget, Executors
from pgm_rbm.machine.progress import Progress
from pgm_rbm.machine.workers import check_cancelled, workers

__all__ = ["Cuts", "Task", "each", "run"]

Result = TypeVar("Result")

# Batches that are out at a time: some, and two for each worker that there seems to be.
_LEAST_OUT = 16
# A batch is at most so large a share of what is left for one worker, so that all of them end at about the same time;
# and takes at most so long, or half as long as all has taken so far, so that little is lost with one, and progress is
# seen.
_SHARE = 4
_BATCH_SECONDS = 30.0
_MOST_BATCHES_HERE = 2**18
_ATTEMPTS = 3
_LATE = 10.0
_LATE_AT_LEAST = 60.0
_TASKS_KEPT = 2


@dataclass(frozen=True)
class Cuts(Sequence[range]):
    """``range(length)`` in pieces of nearly equal length, which are made as they are asked for.

    Attributes:
        length: of the whole.
        pieces: how many; no more than there are units.
        unit: a multiple of which each piece is long, but for the last one.
    """

    length: int
    pieces: int
    unit: int = 1

    @classmethod
    def of(cls, length: int, wanted: int, unit: int = 1) -> Cuts:
        """So many pieces as are wanted, but at least one and none that is empty."""
        return cls(length, max(1, min(wanted, -(-length // unit))), unit)

    def __len__(self) -> int:
        return self.pieces

    @overload
    def __getitem__(self, place: int) -> range: ...

    @overload
    def __getitem__(self, place: slice) -> list[range]: ...

    def __getitem__(self, place: int | slice) -> range | list[range]:
        if isinstance(place, slice):
            return [self[k] for k in range(*place.indices(self.pieces))]
        if not -self.pieces <= place < self.pieces:
            raise IndexError(place)
        units, k = -(-self.length // self.unit), place % self.pieces
        first, last = units * k // self.pieces, units * (k + 1) // self.pieces
        return range(first * self.unit, min(last * self.unit, self.length))


class Task(Protocol):
    """What is computed on every shard."""

    def shards(self) -> Sequence[range]:
        """All shards; they depend on nothing but the task."""
        ...

    def __call__(self, shard: range) -> Part:
        """The sums over one of them."""
        ...


def run(task: Task, budget: Budget = Budget(), what: str = "") -> Part:
    """Return the sums over all shards of a task: the same to the last bit however they are computed.

    Shards that an executor loses are handed to it again, and computed here if it is broken for good, or if it falls
    silent; a `RuntimeWarning` says so.

    Args:
        task: what to compute.
        budget: its threads, executor and progress are used.
        what: the name of the bar.
    """
    with budget.showing(what) as shown:
        return _run(task, budget, shown)


def _run(task: Task, budget: Budget, progress: Progress | None) -> Part:
    shards = task.shards()
    reduction = Reduction(len(shards))

    def taken(batch: Batch, part: Part) -> None:
        if reduction.add(batch.place, part, batch.level) and progress is not None:
            progress(reduction.done, len(shards))

    level = max(0, -(-len(shards) // _MOST_BATCHES_HERE) - 1).bit_length()
    left: Iterable[Batch] = batches(len(shards), level)
    if budget.executor is not None:
        left = _Remote(task, shards, budget.executor, taken).run(level)
    if reduction.done < len(shards):
        with workers(budget.threads) as pool:
            for _, (batch, part) in pool.unordered(lambda one: (one, _joined(task, shards, one)), left):
                taken(batch, part)
    return reduction.result


def each(
    work: Callable[[range], Result],
    pieces: Sequence[range],
    budget: Budget = Budget(),
    what: str = "",
) -> Iterator[tuple[int, Result]]:
    """Pairs (number of the piece, what ``work`` makes of it), as they are done on this machine's threads.

    Args:
        work: what to do with a piece.
        pieces: such as a task's runs.
        budget: its threads and progress are used.
        what: the name of the bar.
    """
    with workers(budget.threads) as pool, budget.showing(what) as shown:
        for done, found in enumerate(pool.unordered(work, pieces), 1):
            yield found
            if shown is not None:
                shown(done, len(pieces))


def _joined(task: Task, shards: Sequence[range], batch: Batch, given_up: Callable[[], bool] = lambda: False) -> Part:
    """The sum over the shards of a batch, joined as `Reduction` joins all of them."""
    own = batch.shards(len(shards))
    reduction = Reduction(len(own))
    for place, number in enumerate(own):
        check_cancelled()
        if given_up():
            raise CancelledError
        reduction.add(place, task(shards[number]))
    return reduction.result


class _Sent:
    """A task and its shards on their way to other processes: pickled once, and unpickled once in each of them."""

    def __init__(self, task: Task, shards: Sequence[range]):
        self.task, self.shards = task, shards
        self.given_up = False
        """Whether nobody waits for answers any more; seen by threads of this process only."""
        self._key = uuid.uuid4().hex
        self._pickled: bytes | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self._pickled is None:
            self._pickled = pickle.dumps((self.task, self.shards))
        return _received, (self._key, self._pickled)


_tasks: OrderedDict[str, _Sent] = OrderedDict()


def _received(key: str, pickled: bytes) -> _Sent:
    if key not in _tasks:
        _tasks[key] = _Sent(*pickle.loads(pickled))
        while len(_tasks) > _TASKS_KEPT:
            _tasks.popitem(last=False)
    return _tasks[key]


def _computed(sent: _Sent, batch: Batch) -> tuple[Batch, Part, float]:
    """What an executor is asked for: the sum over a batch, and the seconds it took.

    The batch goes back along with it, so that an answer tells what it answers.
    """
    begin = time.perf_counter()
    with workers(1):
        part = _joined(sent.task, sent.shards, batch, lambda: sent.given_up)
    return batch, part, time.perf_counter() - begin


def _nothing() -> None:
    """What is asked of an executor to see whether it still takes anything."""


class _Remote:
    """One run on an executor."""

    def __init__(self, task: Task, shards: Sequence[range], executor: Executors, taken: Callable[[Batch, Part], None]):
        self._shards, self._taken = len(shards), taken
        self._make: Callable[[], Executor] | None = None
        if isinstance(executor, Executor) or not callable(executor):
            given: Executor = executor
        else:
            self._make, given = executor, executor()
        if not hasattr(given, "submit"):
            raise TypeError(
                f"executor must be a concurrent.futures.Executor or a function that makes one. Got {given!r}."
            )
        self._sent = _Sent(task, shards)
        self._take(given)
        self._again: list[Batch] = []
        self._left: list[Batch] = []
        self._next = 0  # the first shard that has not been handed out
        self._failures: Counter[Batch] = Counter()
        self._futures: dict[Future[tuple[Batch, Part, float]], Batch] = {}
        self._done: SimpleQueue[Future[tuple[Batch, Part, float]]] = SimpleQueue()
        self._seconds, self._answered, self._slowest = 0.0, 0, 0.0
        self._broken = 0  # executors in a row that broke before anything came
        self._begun = self._heard = self._asked = time.monotonic()
        self._reason = ""

    def _take(self, executor: Executor) -> None:
        """Go on with this executor."""
        self._executor: Executor | None
        self._executor, self._is_ours = own_executor(executor)
        self._is_ours |= self._make is not None
        self._handle: Any = sent_once(self._executor, self._sent)

    def run(self, level: int) -> Iterable[Batch]:
        """Compute what the executor can be brought to; batches of what is left, of 2^level shards at most."""
        try:
            while self._executor is not None and (self._again or self._next < self._shards or self._futures):
                self._hand_out()
                try:
                    self._collect(self._done.get(timeout=1.0 if self._executor else 0.0))
                except Empty:
                    self._wonder()
        finally:
            self._sent.given_up = True
            if self._executor is not None:
                self._leave(self._executor)
        left = [*self._left, *self._again]
        shards = sum(len(batch.shards(self._shards)) for batch in left) + self._shards - self._next
        if shards:
            warnings.warn(
                f"{shards} of {self._shards} shards are computed in this process: {self._reason}",
                RuntimeWarning,
                stacklevel=2,
            )
        return chain(left, batches(self._shards, level, self._next))

    def _leave(self, executor: Executor) -> None:
        """Take back what is still out."""
        if self._is_ours:
            executor.shutdown(wait=False)
        for future in self._futures:
            future.cancel()

    @property
    def _workers(self) -> float:
        """How many workers there seem to be: how many seconds of work have come back a second."""
        return max(1.0, self._seconds / max(time.monotonic() - self._begun, 1e-9))

    def _hand_out(self) -> None:
        while self._executor is not None and len(self._futures) < _LEAST_OUT + 2 * self._workers:
            if self._again:
                batch = self._again.pop()
            elif self._next < self._shards:
                batch = next(batches(self._shards, self._level(), self._next))
                self._next += len(batch.shards(self._shards))
            else:
                return
            try:
                # What failed may have lost the task, so the task goes along when it is handed out again.
                sent = self._sent if self._failures[batch] else self._handle
                future = self._executor.submit(_computed, sent, batch)
            except Exception as error:
                self._again.append(batch)
                self._replace(error)
            else:
                self._futures[future] = batch
                future.add_done_callback(self._done.put)

    def _level(self) -> int:
        """ln₂ of the number of shards that are handed out at once."""
        if not self._seconds:
            return 0
        share = (self._shards - self._next) / (_SHARE * self._workers)
        seconds = min(_BATCH_SECONDS, (time.monotonic() - self._begun) / 2)
        most = min(share, seconds * self._answered / self._seconds)
        return max(0, int(most).bit_length() - 1)

    def _collect(self, future: Future[tuple[Batch, Part, float]]) -> None:
        if future not in self._futures:
            return
        batch = self._futures.pop(future)
        self._heard = time.monotonic()
        error = CancelledError("the executor cancelled it") if future.cancelled() else future.exception()
        if error is None:
            answered, part, seconds = future.result()
            if answered == batch:
                self._slowest = max(self._slowest, seconds)
                self._seconds += seconds
                self._answered += len(batch.shards(self._shards))
                self._broken = 0
                self._taken(batch, part)
                return
            error = ValueError("an answer to another question came")
        self._fail(batch, error)
        if isinstance(error, BrokenExecutor):
            self._replace(error)

    def _fail(self, batch: Batch, error: BaseException) -> None:
        self._failures[batch] += 1
        if self._failures[batch] < _ATTEMPTS:
            self._again.append(batch)
        else:
            self._left.append(batch)
            self._reason = f"the executor failed {_ATTEMPTS} times, at last with {error!r}."

    def _replace(self, error: BaseException) -> None:
        """The executor is broken: make another one, if that is possible, and hand it what the old one held."""
        if self._executor is None:
            return
        broken, self._executor = self._executor, None
        while not self._done.empty():
            self._collect(self._done.get())
        for batch in self._futures.values():
            self._fail(batch, error)
        self._futures.clear()
        self._reason = self._reason or f"the executor takes no more, with {error!r}."
        self._broken += 1
        if self._make is not None and max((self._broken, *self._failures.values())) < _ATTEMPTS:
            self._leave(broken)
            try:
                self._take(self._make())
            except Exception as refused:
                self._reason = f"no other executor could be made: {refused!r}."

    def _wonder(self) -> None:
        """Nothing has come for a while: see whether the executor is still there, and whether what is out is late.

        Nothing is late before something has come, since it may take any time; then it is after ten times as long as
        any batch took without a word, and a minute at least.
        """
        if self._executor is None:
            return
        now = time.monotonic()
        if now - max(self._heard, self._asked) > _LATE_AT_LEAST:
            if not self._slowest and self._asked <= self._heard:
                warnings.warn(
                    f"nothing has come back from the executor in {now - self._heard:.0f} seconds; it is waited for. "
                    f"Are its workers running?",
                    RuntimeWarning,
                    stacklevel=2,
                )
            self._asked = now
            try:
                self._executor.submit(_nothing)
            except Exception as error:
                self._replace(error)
        if self._slowest and now - self._heard > max(_LATE_AT_LEAST, _LATE * self._slowest):
            self._left += self._futures.values()
            self._leave(self._executor)
            self._futures.clear()
            self._executor = None
            self._reason = f"the executor has said nothing for {now - self._heard:.0f} seconds."
