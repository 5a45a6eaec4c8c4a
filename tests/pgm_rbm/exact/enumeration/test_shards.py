"""Partial sums: joined to the same bits in any order, on any executor, whatever becomes of its workers."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import random
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.exact.enumeration import shards as shards_module
from pgm_rbm.exact.enumeration import sums
from pgm_rbm.exact.enumeration.plan import task_of
from pgm_rbm.exact.enumeration.reduction import Part, Reduction, added, batches
from pgm_rbm.exact.enumeration.shards import Cuts, run
from pgm_rbm.exact.enumeration.sums import KernelSum, ProductSum, problem_of
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.progress import showing
from symbolic import energies
from tests.pgm_rbm import naive

W, A, B = naive.random_parameters(12, 11, seed=50)


@pytest.fixture(autouse=True)
def many_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut these small models into several shards, as large ones are."""
    monkeypatch.setattr(sums, "_LEAST_TERMS", 1)
    monkeypatch.setattr(sums, "_BLOCK_VALUES", 1)


def task(kind: str) -> ProductSum | KernelSum:
    if kind == "three layers":
        deep = RBM.from_energy(energies.deep("spin", ["binary", "binary"]), {"v": 6, "h1": 14, "h2": 5}, seed=1)
        joint = task_of(deep.model, averages=True)
        assert isinstance(joint, KernelSum)
        assert joint.kept == ("v", "h2")
        return joint
    rbm = RBM.from_parameters(W, A, B)
    if kind == "kernels":
        return KernelSum(rbm.model.lifted(), ("h",), True)
    made = problem_of(rbm.model, "h", True)
    assert made is not None
    return made


def assert_same(one: Part, other: Part) -> None:
    assert (one.exponent, one.total) == (other.exponent, other.total)
    for name, value in one.sums.items():
        np.testing.assert_array_equal(value, other.sums[name])


def parts(n: int) -> list[Part]:
    rng = np.random.default_rng(0)
    return [Part(int(rng.integers(-40, 40)), rng.random(), {"f": rng.normal(size=3)}) for _ in range(n)]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13, 64])
def test_any_order_of_arrival_gives_the_same_bits(n: int) -> None:
    made = parts(n)
    results = []
    for seed in range(20):
        order = list(range(n))
        random.Random(seed).shuffle(order)
        reduction = Reduction(n)
        for place in order:
            assert reduction.add(place, made[place])
        results.append(reduction.result)
    for other in results[1:]:
        assert_same(results[0], other)
    value = sum(part.total * 2.0**part.exponent for part in made)
    assert results[0].total * 2.0 ** results[0].exponent == pytest.approx(value, rel=1e-14)


def test_a_part_that_comes_twice_counts_once() -> None:
    made = parts(5)
    once, twice = Reduction(5), Reduction(5)
    for place, part in enumerate(made):
        once.add(place, part)
        assert twice.add(place, part)
        assert not twice.add(place, part)
        assert not twice.add(0, part)
    assert_same(once.result, twice.result)


def test_missing_and_foreign_parts_are_noticed() -> None:
    reduction = Reduction(3)
    reduction.add(1, parts(1)[0])
    with pytest.raises(RuntimeError, match="2 of 3 shards"):
        _ = reduction.result
    with pytest.raises(ValueError, match="there is no shard 3"):
        reduction.add(3, parts(1)[0])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13, 64, 100])
@pytest.mark.parametrize("level", [0, 1, 2, 3, 5, 9])
def test_batches_hold_every_shard_once_and_join_to_the_same_bits(n: int, level: int) -> None:
    made = parts(n)
    whole = Reduction(n)
    for place, part in enumerate(made):
        whole.add(place, part)
    for first in range(n):
        found = list(batches(n, level, first))
        assert [shard for batch in found for shard in batch.shards(n)] == list(range(first, n))
        assert max(batch.level for batch in found) <= level
    # Of different sizes, and in any order.
    cut = [*batches(min(n, 8), min(level, 3)), *batches(n, level, 8)]
    random.Random(level).shuffle(cut)
    joined = Reduction(n)
    for batch in cut:
        own = Reduction(len(batch.shards(n)))
        for place, shard in enumerate(batch.shards(n)):
            own.add(place, made[shard])
        assert joined.add(batch.place, own.result, batch.level)
        assert not joined.add(batch.place, own.result, batch.level)
    assert joined.done == n
    assert_same(joined.result, whole.result)


def test_pieces_cover_the_whole_and_are_made_as_they_are_asked_for() -> None:
    for length, wanted, unit in ((10, 3, 1), (10, 99, 1), (100, 7, 8), (64, 5, 64), (1, 1, 9)):
        pieces = Cuts.of(length, wanted, unit)
        assert [k for piece in pieces for k in piece] == list(range(length))
        assert len(pieces) == min(wanted, -(-length // unit))
        assert all(piece.start % unit == 0 for piece in pieces)
        assert list(pieces[1:]) == list(pieces)[1:]
        with pytest.raises(IndexError):
            pieces[len(pieces)]
    many = Cuts.of(2**62, 2**50, 64)
    assert many[2**50 - 1].stop == 2**62
    assert many[2**49].start == 2**61


@pytest.mark.parametrize("units", ["binary", "gaussian"])
def test_a_large_enumeration_is_cut_without_listing_its_pieces(units: str) -> None:
    large = RBM(300, 60, units, "binary", seed=0)
    made = task_of(large.model)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    shards, runs = made.shards(), made.runs()
    assert min(len(shards), len(runs)) > 2**24
    assert len(shards[7]) == shards[7].stop - shards[7].start
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 2**16
    # A run's numbers are held.
    longest = len(runs[0]) * (64 if units == "binary" else 1)
    assert longest <= 2**20


def test_parts_of_very_different_size_are_joined() -> None:
    big, small = Part(10**9, 1.5), Part(-(10**9), 1.5)
    assert_same(added(big, small), big)
    assert_same(added(small, big), big)


KINDS = ["products", "kernels", "three layers"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_two_and_three_threads_give_the_same_bits(kind: str) -> None:
    one, two, three = (run(task(kind), budget=Budget(threads=n)) for n in (1, 2, 3))
    assert len(task(kind).shards()) >= 8
    assert_same(one, two)
    assert_same(one, three)


@pytest.mark.parametrize("kind", KINDS)
def test_shards_computed_apart_and_in_any_order_give_the_same_bits(kind: str) -> None:
    whole = task(kind)
    copy = pickle.loads(pickle.dumps(whole))
    pieces = whole.shards()
    assert list(pieces) == list(copy.shards())
    assert pieces[0].start == 0
    assert all(a.stop == b.start for a, b in itertools.pairwise(pieces))
    reduction = Reduction(len(pieces))
    for place in reversed(range(len(pieces))):
        reduction.add(place, pickle.loads(pickle.dumps(copy(pickle.loads(pickle.dumps(pieces[place]))))))
    assert_same(reduction.result, run(whole, budget=Budget(threads=2)))


class Unreliable(Executor):
    """Loses, repeats and delays: what a cluster may do."""

    def __init__(self, behave: Callable[..., None]) -> None:
        self.calls = 0
        self.behave = behave

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        future: Future = Future()
        self.calls += 1
        self.behave(self.calls, future, lambda: fn(*args, **kwargs))
        return future


def test_failures_are_tried_again() -> None:
    def fails_at_first(call: int, future: Future, work: Callable[[], Any]) -> None:
        if call in (1, 2, 7, 20, 21):
            future.set_exception(OSError("the network is down"))
        else:
            future.set_result(work())

    whole = task("products")
    # That nothing is computed here goes without a warning, which would be an error.
    executor = Unreliable(fails_at_first)
    assert_same(run(whole, budget=Budget(executor=executor)), run(whole))
    assert executor.calls > 21


def test_an_executor_that_never_succeeds_is_done_without() -> None:
    executor = Unreliable(lambda call, future, work: future.set_exception(OSError("always")))
    with pytest.warns(RuntimeWarning, match=r"32 of 32 shards are computed in this process: .*OSError\('always'\)"):
        found = run(task("products"), budget=Budget(executor=executor))
    assert_same(found, run(task("products")))


def test_an_answer_to_another_question_is_not_taken() -> None:
    kept: list = []

    def mixed_up(call: int, future: Future, work: Callable[[], Any]) -> None:
        kept.append(work())
        future.set_result(kept[max(0, call - 2)])

    with pytest.warns(RuntimeWarning, match="an answer to another question came"):
        found = run(task("products"), budget=Budget(executor=Unreliable(mixed_up)))
    assert_same(found, run(task("products")))


def test_cancelled_shards_are_tried_again() -> None:
    def cancels(call: int, future: Future, work: Callable[[], Any]) -> None:
        if call < 4:
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(work())

    assert_same(run(task("products"), budget=Budget(executor=Unreliable(cancels))), run(task("products")))


def test_a_shard_that_never_comes_is_computed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards_module, "_LATE_AT_LEAST", 0.1)
    lost = Unreliable(lambda call, future, work: None if call == 3 else future.set_result(work()))
    with pytest.warns(RuntimeWarning, match=r"^1 of 32 shards .*said nothing for \d+ seconds"):
        found = run(task("products"), budget=Budget(executor=lost))
    assert_same(found, run(task("products")))


def test_nothing_is_late_before_something_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first answer takes longer than what would be late later on.
    monkeypatch.setattr(shards_module, "_LATE_AT_LEAST", 0.1)
    seconds = 2.5

    def slow_at_first(call: int, future: Future, work: Callable[[], Any]) -> None:
        threading.Timer(seconds if call <= 18 else 0, lambda: future.set_result(work())).start()

    executor = Unreliable(slow_at_first)
    with pytest.warns(RuntimeWarning) as told:
        found = run(task("products"), budget=Budget(executor=executor))
    assert ["nothing has come back from the executor" in str(one.message) for one in told] == [True]
    assert_same(found, run(task("products")))


class Refuses(Executor):
    """Computes some calls, and takes no more with this error."""

    def __init__(self, most: int, error: Exception) -> None:
        self.left, self.error = most, error

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        if self.left == 0:
            raise self.error
        self.left -= 1
        future: Future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@pytest.mark.parametrize("error", [OSError("network unreachable"), RuntimeError("closed"), Exception("client closed")])
def test_what_has_been_computed_is_kept_when_an_executor_takes_no_more(error: Exception) -> None:
    here: list[range] = []

    class Noting:
        def __init__(self, task: ProductSum) -> None:
            self.task = task

        def shards(self) -> Any:
            return self.task.shards()

        def __call__(self, shard: range) -> Part:
            here.append(shard)
            return self.task(shard)

    whole = task("products")
    with pytest.warns(RuntimeWarning, match=r"^27 of 32 shards are computed in this process: .*takes no more"):
        found = run(Noting(whole), budget=Budget(executor=Refuses(5, error)))
    assert_same(found, run(whole))
    assert sorted(here, key=lambda shard: shard.start) == list(whole.shards())


def test_an_executor_that_cannot_be_made_again_is_done_without() -> None:
    made: list[Executor] = []

    def make() -> Executor:
        if made:
            raise OSError("no more workers")
        made.append(Refuses(5, OSError("gone")))
        return made[0]

    with pytest.warns(RuntimeWarning, match="no other executor could be made: .*no more workers"):
        found = run(task("products"), budget=Budget(executor=make))
    assert_same(found, run(task("products")))


def test_executors_that_break_before_anything_comes_are_not_made_for_ever() -> None:
    made: list[Executor] = []

    def make() -> Executor:
        made.append(Refuses(0, OSError("gone")))
        return made[-1]

    with pytest.warns(RuntimeWarning, match="32 of 32 shards"):
        run(task("products"), budget=Budget(executor=make))
    assert len(made) == 3


def test_an_executor_that_is_shut_down_is_done_without() -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.warns(RuntimeWarning, match="cannot schedule new futures after shutdown"):
        found = run(task("products"), budget=Budget(executor=executor))
    assert_same(found, run(task("products")))


@pytest.mark.parametrize("kind", KINDS)
def test_executors_are_handed_many_shards_at_once_and_no_bit_changes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards_module, "_LEAST_OUT", 1)
    monkeypatch.setattr(shards_module, "_SHARE", 1)
    sizes: list[int] = []

    class Noting(Executor):
        def submit(self, fn: Any, /, sent: Any, batch: Any) -> Future:  # type: ignore[override]
            sizes.append(1 << batch.level)
            future: Future = Future()
            future.set_result(fn(sent, batch))
            return future

    whole = task(kind)
    assert_same(run(whole, budget=Budget(executor=Noting())), run(whole))
    assert sizes[0] == 1
    assert max(sizes) >= 4
    assert sum(sizes) >= len(whole.shards()) > len(sizes)
    # And no more than take their time.
    monkeypatch.setattr(shards_module, "_BATCH_SECONDS", 0.0)
    sizes.clear()
    assert_same(run(whole, budget=Budget(executor=Noting())), run(whole))
    assert set(sizes) == {1}


class Counted:
    """A task that counts how often it is pickled."""

    pickled = 0

    def __init__(self, task: ProductSum) -> None:
        self.task = task

    def __getstate__(self) -> dict[str, Any]:
        Counted.pickled += 1
        return vars(self)

    def shards(self) -> Any:
        return self.task.shards()

    def __call__(self, shard: range) -> Part:
        return self.task(shard)


def test_a_task_is_pickled_once_and_unpickled_once_a_process() -> None:
    sent = shards_module._Sent(Counted(task("products")), task("products").shards())
    one, other = (pickle.loads(pickle.dumps(sent)) for _ in range(2))
    assert one is other
    assert Counted.pickled == 1


def test_something_else_than_an_executor_is_refused() -> None:
    with pytest.raises(TypeError, match=r"executor must be a concurrent\.futures\.Executor"):
        run(task("products"), budget=Budget(executor=3))  # type: ignore[arg-type]


class Deadly:
    """A task whose shard kills the process that computes it, once."""

    def __init__(self, task: ProductSum, marker: Path) -> None:
        self.task, self.marker, self.home = task, marker, os.getpid()
        self.last = task.shards()[3]

    def shards(self) -> Any:
        return self.task.shards()

    def __call__(self, shard: range) -> Part:
        if shard == self.last and os.getpid() != self.home:
            try:
                os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os._exit(1)
        return self.task(shard)


def pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


@pytest.mark.parametrize("again", [False, True], ids=["one pool", "a new pool"])
def test_a_worker_process_that_dies_leaves_no_wrong_number(again: bool, tmp_path: Path) -> None:
    whole = task("products")
    deadly = Deadly(whole, tmp_path / "killed")
    if again:
        part = run(deadly, budget=Budget(executor=pool))
    else:
        with pool() as executor, pytest.warns(RuntimeWarning, match="BrokenProcessPool"):
            part = run(deadly, budget=Budget(executor=executor))
    assert (tmp_path / "killed").exists()
    assert_same(part, run(whole))


def test_models_take_an_executor() -> None:
    rbm = RBM.from_parameters(W, A, B)
    x = naive.all_states(12)[::97]
    with ThreadPoolExecutor(2) as executor:
        assert rbm.log_partition(executor=executor) == rbm.log_partition()
        moments, other = rbm.moments(executor=executor), rbm.moments()
        np.testing.assert_array_equal(moments.vh, other.vh)
        gradient = rbm.gradient(x, executor=executor)
    np.testing.assert_array_equal(gradient["w"], rbm.gradient(x)["w"])


def test_progress_counts_up_and_an_interrupt_ends_the_run() -> None:
    seen: list[tuple[int, int]] = []
    whole = task("products")
    run(whole, budget=Budget(progress=lambda done, total: seen.append((done, total))))
    n = len(whole.shards())
    assert seen == [(k, n) for k in range(1, n + 1)]

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    for executor in (None, ThreadPoolExecutor(2)):
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run(whole, budget=Budget(threads=2, executor=executor, progress=interrupt))
        assert time.monotonic() - begin < 30
        if executor is not None:
            executor.shutdown()
    assert_same(run(whole), run(whole, budget=Budget(threads=1)))


def test_a_bar_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    rbm = RBM.from_parameters(W, A, B)
    rbm.log_partition(progress=True)
    assert "ln Z" in capsys.readouterr().err
    with pytest.raises(TypeError, match="progress must be True, False or a function"), showing(3, ""):  # type: ignore[arg-type]
        pass
