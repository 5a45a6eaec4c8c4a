"""The pool of threads: BLAS gets its threads back, and work that is given up ends."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import pytest
from threadpoolctl import ThreadpoolController

import pgm_rbm
from pgm_rbm.machine.workers import check_cancelled, workers


def blas_threads() -> list[int]:
    return [one["num_threads"] for one in ThreadpoolController().info() if one["user_api"] == "blas"]


def set_blas_threads(count: int) -> None:
    # In a thread that ends: threadpoolctl lets no other one set the number while that which did is alive.
    setter = threading.Thread(target=lambda: ThreadpoolController().limit(limits=count, user_api="blas"))
    setter.start()
    setter.join()


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = blas_threads()
    set_blas_threads(2)
    yield
    set_blas_threads(before[0])


def test_blas_has_one_thread_inside_and_its_own_number_after() -> None:
    before = blas_threads()
    assert set(before) == {2}
    with workers(2):
        assert set(blas_threads()) == {1}
        with workers(1):
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_a_library_that_is_loaded_later_is_held_too() -> None:
    # Numba loads SciPy's BLAS at the first product it compiles, which is after the first use of the pool.
    code = """if True:
        from threadpoolctl import ThreadpoolController
        from pgm_rbm.machine.workers import workers
        with workers(1):
            pass
        import scipy.linalg.cython_blas
        with workers(1):
            assert {one["num_threads"] for one in ThreadpoolController().info() if one["user_api"] == "blas"} == {1}
    """
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2", "PYTHONPATH": str(Path(pgm_rbm.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_blas_gets_its_threads_back_however_uses_overlap() -> None:
    before = blas_threads()
    both_in, first_out = threading.Barrier(2), threading.Event()

    def first() -> None:
        with workers(1):
            both_in.wait(10)
        first_out.set()

    def second() -> list[int]:
        with workers(1):
            both_in.wait(10)
            assert first_out.wait(10)
            return blas_threads()

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(first), pool.submit(second)
        one.result()
        assert set(other.result()) == {1}
    assert blas_threads() == before

    def now_and_then(seed: int) -> None:
        waits = random.Random(seed)
        for _ in range(20):
            with workers(1):
                time.sleep(waits.random() * 1e-3)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(now_and_then, range(4)))
    assert blas_threads() == before


def test_an_error_gives_blas_its_threads_back() -> None:
    before = blas_threads()
    with pytest.raises(RuntimeError), workers(2):
        raise RuntimeError
    assert blas_threads() == before


def test_work_that_is_given_up_ends_at_its_next_check() -> None:
    begun, ended = threading.Semaphore(0), []

    def endless(item: int) -> None:
        begun.release()
        try:
            while True:
                check_cancelled()
                time.sleep(1e-3)
        except CancelledError:
            ended.append(item)
            raise

    def fails(item: int) -> None:
        if item != 2:
            endless(item)
        for _ in range(2):
            assert begun.acquire(timeout=10)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"), workers(3) as pool:
        list(pool.unordered(fails, range(3)))
    assert sorted(ended) == [0, 1]


def test_work_that_was_not_given_up_is_not_ended() -> None:
    with workers(2) as pool:
        assert sorted(pool.unordered(lambda item: check_cancelled() or item, range(9))) == [(k, k) for k in range(9)]
        # The same threads go on to other work.
        assert pool.map(lambda item: check_cancelled() or item, range(9)) == list(range(9))
    check_cancelled()


def test_items_are_looked_up_as_they_are_needed() -> None:
    with workers(2) as pool:
        for k, found in pool.unordered(lambda item: item, range(2**40)):
            assert k == found
            if k > 100:
                break
