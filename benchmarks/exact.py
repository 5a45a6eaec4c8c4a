"""Exact ln Z, gradients and learning by enumeration: against chunked NumPy log-sum-exp and the machine's FMA limit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import fma, plain_numpy
from benchmarks.measure import Timing, paired, readable, show
from pgm_rbm import RBM
from pgm_rbm.machine.workers import thread_count

# Visible and hidden units; rounds; rounds of plain NumPy, which takes minutes where there are none.
SIZES = ((784, 16, 15, 3), (784, 20, 9, 1), (784, 24, 3, 0), (30, 28, 5, 0))
ROWS, STEPS = 100, 20


def model(n_visible: int, n_hidden: int) -> tuple[RBM, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    parameters = (
        rng.normal(0, 0.1, (n_visible, n_hidden)),
        rng.normal(-1, 0.5, n_visible),
        rng.normal(0, 0.5, n_hidden),
    )
    return RBM.from_parameters(*parameters), parameters


def main() -> None:
    threads = thread_count(None)
    rows = [_row(*size, threads) for size in SIZES]
    show(
        f"Exact ln Z by enumeration, {threads} threads, medians",
        ("units", "ln Z", "one thread", "NumPy", "NumPy ÷ ours", "10⁹ op/s", "of FMA limit", "gradient ÷ ln Z"),
        rows,
    )
    _learning(threads)


def _row(n_visible: int, n_hidden: int, rounds: int, plain_rounds: int, threads: int) -> tuple[str, ...]:
    rbm, parameters = model(n_visible, n_hidden)
    data = (np.random.default_rng(1).random((ROWS, n_visible)) < 0.3).astype(float)
    limit = 2**n_hidden
    contenders: dict[str, Callable[[], object]] = {
        "ours": lambda: rbm.log_partition(limit=limit),
        "gradient": lambda: rbm.gradient(data, limit=limit),
        "limit": fma.work(threads),
        "one": lambda: rbm.log_partition(limit=limit, threads=1),
    }
    timing = paired(contenders, rounds)
    # A configuration costs a multiplication and a multiply-add for each unit of the other layer.
    operations = 2 * n_visible * 2.0**n_hidden
    share = _share(timing, operations, threads)
    plain, ratio = "—", "—"
    if plain_rounds:
        against = paired(
            {"ours": contenders["ours"], "plain": lambda: plain_numpy.log_partition(*parameters)},
            plain_rounds,
            warm=False,
        )
        plain, ratio = readable(against.median("plain")), f"{against.ratio('plain', 'ours'):.0f}"
    return (
        f"{n_visible} × {n_hidden}",
        readable(timing.median("ours")),
        readable(timing.median("one")),
        plain,
        ratio,
        f"{operations / timing.median('ours') / 1e9:.1f}",
        f"{share:.0%}",
        f"{timing.ratio('gradient', 'ours'):.1f}",
    )


def _share(timing: Timing, operations: float, threads: int) -> float:
    """Operations a second over those of the FMA loop beside it, the median over rounds."""
    return operations / (fma.OPERATIONS * threads) * timing.ratio("limit", "ours")


def _learning(threads: int) -> None:
    rbm, _ = model(784, 16)
    data = (np.random.default_rng(1).random((ROWS * STEPS, 784)) < 0.3).astype(np.float64)

    def fit(algorithm: str) -> Callable[[], object]:
        return lambda: rbm.fit(data, algorithm, epochs=1, batch_size=ROWS, learning_rate=1e-3, monitor="none", seed=0)

    timing = paired({name: fit(name) for name in ("exact", "cd")}, rounds=5)
    show(
        f"Learning, 784 × 16, batches of {ROWS}, {threads} threads, medians of 5",
        ("algorithm", "steps a second"),
        [(name, f"{STEPS / timing.median(name):.0f}") for name in ("exact", "cd")],
    )
