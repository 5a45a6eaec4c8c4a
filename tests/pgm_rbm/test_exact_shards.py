"""Partial sums: joined to the same bits in any order, on any executor, whatever becomes of its workers."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import random
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.exact import shards as shards_module
from pgm_rbm.exact import sums
from pgm_rbm.exact.reduction import Part, Reduction, added
from pgm_rbm.exact.shards import run, showing
from pgm_rbm.exact.sums import KernelSum, ProductSum, lifted, problem_of
from tests.pgm_rbm import naive

W, A, B = naive.random_parameters(12, 11, seed=50)


@pytest.fixture(autouse=True)
def many_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut these small models into several shards, as large ones are."""
    monkeypatch.setattr(sums, "_LEAST_TERMS", 1)
    monkeypatch.setattr(sums, "_BLOCK_VALUES", 1)


def task(kind: str) -> ProductSum | KernelSum:
    rbm = RBM.from_parameters(W, A, B)
    if kind == "kernels":
        return KernelSum(rbm.kernels, lifted(rbm.parameters), "h", True)
    made = problem_of(rbm.kernels, rbm.parameters, "h", True)
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


def test_parts_of_very_different_size_are_joined() -> None:
    big, small = Part(10**9, 1.5), Part(-(10**9), 1.5)
    assert_same(added(big, small), big)
    assert_same(added(small, big), big)


@pytest.mark.parametrize("kind", ["products", "kernels"])
def test_one_two_and_three_threads_give_the_same_bits(kind: str) -> None:
    one, two, three = (run(task(kind), threads=n) for n in (1, 2, 3))
    assert len(task(kind).shards()) >= 8
    assert_same(one, two)
    assert_same(one, three)


@pytest.mark.parametrize("kind", ["products", "kernels"])
def test_shards_computed_apart_and_in_any_order_give_the_same_bits(kind: str) -> None:
    whole = task(kind)
    copy = pickle.loads(pickle.dumps(whole))
    pieces = whole.shards()
    assert pieces == copy.shards()
    assert pieces[0].start == 0
    assert all(a.stop == b.start for a, b in itertools.pairwise(pieces))
    reduction = Reduction(len(pieces))
    for place in reversed(range(len(pieces))):
        reduction.add(place, pickle.loads(pickle.dumps(copy(pickle.loads(pickle.dumps(pieces[place]))))))
    assert_same(reduction.result, run(whole, threads=2))


class Unreliable(Executor):
    """Loses, repeats and delays: what a cluster may do."""

    def __init__(self, behave) -> None:
        self.calls = 0
        self.behave = behave

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        self.calls += 1
        self.behave(self.calls, future, lambda: fn(*args, **kwargs))
        return future


def test_failures_are_tried_again() -> None:
    def fails_at_first(call: int, future: Future, work) -> None:
        if call % 2:
            future.set_exception(OSError("the network is down"))
        else:
            future.set_result(work())

    whole = task("products")
    executor = Unreliable(fails_at_first)
    assert_same(run(whole, executor=executor), run(whole))
    assert executor.calls > len(whole.shards())


def test_an_executor_that_never_succeeds_is_done_without() -> None:
    executor = Unreliable(lambda call, future, work: future.set_exception(OSError("always")))
    assert_same(run(task("products"), executor=executor), run(task("products")))


def test_an_answer_to_another_question_is_not_taken() -> None:
    kept: list = []

    def mixed_up(call: int, future: Future, work) -> None:
        kept.append(work())
        future.set_result(kept[max(0, call - 2)])

    assert_same(run(task("products"), executor=Unreliable(mixed_up)), run(task("products")))


def test_cancelled_shards_are_tried_again() -> None:
    def cancels(call: int, future: Future, work) -> None:
        if call < 4:
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(work())

    assert_same(run(task("products"), executor=Unreliable(cancels)), run(task("products")))


def test_a_shard_that_never_comes_is_computed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards_module, "_LATE_AT_LEAST", 0.1)
    lost = Unreliable(lambda call, future, work: None if call == 3 else future.set_result(work()))
    assert_same(run(task("products"), executor=lost), run(task("products")))


def test_an_executor_that_is_shut_down_is_done_without() -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    assert_same(run(task("products"), executor=executor), run(task("products")))


def test_something_else_than_an_executor_is_refused() -> None:
    with pytest.raises(TypeError, match=r"executor must be a concurrent\.futures\.Executor"):
        run(task("products"), executor=3)  # type: ignore[arg-type]


class Deadly:
    """A task whose shard kills the process that computes it, once."""

    def __init__(self, task: ProductSum, marker: Path) -> None:
        self.task, self.marker, self.home = task, marker, os.getpid()
        self.last = task.shards()[3]

    def shards(self):
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
        part = run(deadly, executor=pool)
    else:
        with pool() as executor:
            part = run(deadly, executor=executor)
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
    run(whole, progress=lambda done, total: seen.append((done, total)))
    n = len(whole.shards())
    assert seen == [(k, n) for k in range(1, n + 1)]

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    for executor in (None, ThreadPoolExecutor(2)):
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run(whole, threads=2, executor=executor, progress=interrupt)
        assert time.monotonic() - begin < 30
        if executor is not None:
            executor.shutdown()
    assert_same(run(whole), run(whole, threads=1))


def test_a_bar_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    rbm = RBM.from_parameters(W, A, B)
    rbm.log_partition(progress=True)
    assert "ln Z" in capsys.readouterr().err
    with pytest.raises(TypeError, match="progress must be True, False or a function"), showing(3, ""):  # type: ignore[arg-type]
        pass
