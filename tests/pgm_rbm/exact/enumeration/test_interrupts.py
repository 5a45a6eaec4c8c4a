"""Interrupts of enumerations that would take years: none waits for the shard, run or piece under way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from pgm_rbm import RBM
from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.exact.enumeration import fisher, shards, sums
from symbolic import energies
from tests.pgm_rbm import naive

UNITS, LIMIT = 48, 2**48


@pytest.fixture(autouse=True)
def few_large_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernels sum comes in pieces that take years each, so nothing but a look in between can end them."""
    monkeypatch.setattr(sums, "_MOST_KERNEL_TERMS", 2**100)
    monkeypatch.setattr(sums, "_MOST_RUN", 2**100)
    monkeypatch.setattr(sums, "_SHARDS", 3)
    monkeypatch.setattr(sums, "_RUNS", 3)


@pytest.fixture(autouse=True, scope="module")
def all_is_loaded() -> None:
    """What is imported at first use is there: networkx cannot be imported again where that is interrupted."""
    with pytest.raises(EnumerationLimitError):
        RBM(60, UNITS, seed=0, target="numpy").log_partition(limit=1)


def blas_threads() -> dict[str, int]:
    return {one["filepath"]: one["num_threads"] for one in ThreadpoolController().info()}


@contextmanager
def interrupted(seconds: float = 0.4) -> Iterator[None]:
    """An interrupt comes while the block is under way, and leaves BLAS as it was."""
    before = blas_threads()
    timer = threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        yield
    timer.join()
    assert blas_threads().items() >= before.items()  # a library may have been loaded meanwhile
    assert not [one for one in threading.enumerate() if one.name.startswith("pgm_rbm")]


def model(units: str = "gaussian", target: str = "numpy") -> RBM:
    return RBM(20, UNITS, units, "binary", seed=0, target=target)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("units", ["binary", "gaussian", "uniform"])
@pytest.mark.parametrize("ask", ["log_partition", "expectations"])
def test_sums_by_the_kernels(units: str, ask: str, threads: int) -> None:
    # Both sides are long, so that no side is quickly gone through.
    rbm = RBM(60, UNITS, units, "binary", seed=0, target="numpy")
    with interrupted():
        getattr(rbm, ask)(limit=LIMIT, threads=threads)


def test_sums_over_several_layers() -> None:
    deep = RBM.from_energy(
        energies.deep("spin", ["binary", "binary"]), {"v": 60, "h1": UNITS, "h2": 60}, seed=0, target="numpy"
    )
    with interrupted():
        deep.log_partition(limit=LIMIT, threads=2)


@pytest.mark.parametrize(
    "ask",
    [
        lambda rbm: rbm.entropy("h", limit=LIMIT, threads=2),
        lambda rbm: rbm.most_probable(of="h", limit=LIMIT, threads=2),
        lambda rbm: rbm.sample(3, method="exact", limit=LIMIT, threads=2),
    ],
    ids=["entropy", "most probable", "sample"],
)
def test_answers_about_configurations(ask: Callable[[RBM], object]) -> None:
    rbm = model()
    with interrupted():
        ask(rbm)


def test_products_come_in_small_shards() -> None:
    rbm = RBM(60, UNITS, seed=0)
    for ask in (rbm.log_partition, rbm.moments):
        with interrupted(1.5):
            ask(limit=LIMIT, threads=2)


def test_the_fisher_information(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fisher, "_PIECES", 2)
    monkeypatch.setattr(sums, "_MOST_RUN", 2**14)
    rbm = RBM(26, 3, seed=0)
    with interrupted(1.5):
        rbm.fisher_information(limit=2**26, threads=2)


def test_shards_on_an_executor_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # One batch holds all shards, and is left between two of them.
    monkeypatch.setattr(sums, "_SHARDS", 2**30)
    monkeypatch.setattr(shards._Remote, "_level", lambda self: 40)
    with interrupted(), ThreadPoolExecutor(2) as executor:
        model().log_partition(limit=LIMIT, executor=executor)


def test_an_exact_step_of_training_is_left_as_if_it_had_not_begun() -> None:
    x = naive.all_states(8)[::9].astype(np.float64)
    whole = RBM(8, 5, seed=3).fit(x, "exact", epochs=2, batch_size=4, optimizer="adam")
    rbm = RBM(8, 5, seed=3)
    steps: list[int] = []

    def interrupt_in_the_step_after(done: int, total: int, record: object) -> None:
        steps.append(done)
        if len(steps) == 5:
            monkeypatch.setattr(answers, "expectations", interrupting)

    from pgm_rbm.exact.enumeration import answers

    real = answers.expectations

    def interrupting(*arguments: object, **named: object) -> object:
        found = real(*arguments, **named)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)
        return found

    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(KeyboardInterrupt):
        rbm.fit(x, "exact", epochs=2, batch_size=4, optimizer="adam", progress=interrupt_in_the_step_after)
    assert steps == [1, 2, 3, 4, 5]
    rest = rbm.fit(x, epochs=2 - len(rbm.history), resume=True)
    np.testing.assert_array_equal(rest.weights, whole.weights)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
