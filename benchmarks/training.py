"""One pass of CD-1 over 20,000 rows of 784 × 500, batches of 100, float32, against plain NumPy and sgemm."""

from __future__ import annotations

import numpy as np

from benchmarks import plain_numpy
from benchmarks.measure import paired, readable, show
from pgm_rbm import RBM
from pgm_rbm.machine.workers import thread_count

ROWS, VISIBLE, HIDDEN, BATCH = 20_000, 784, 500, 100


def main() -> None:
    rng = np.random.default_rng(0)
    rows = (rng.random((ROWS, VISIBLE)) < 0.13).astype(np.float32)

    def ours(threads: int) -> None:
        rbm = RBM(VISIBLE, HIDDEN, seed=0, dtype=np.float32)
        rbm.fit(rows, algorithm="cd", epochs=1, batch_size=BATCH, monitor="none", threads=threads)

    def plain() -> None:
        w = rng.normal(0, 0.01, (VISIBLE, HIDDEN)).astype(np.float32)
        a, b = np.zeros(VISIBLE, np.float32), np.zeros(HIDDEN, np.float32)
        plain_numpy.cd1_pass(rows, w, a, b, rng, BATCH)

    large = rng.random((2048, 2048)).astype(np.float32)
    repeats = 20

    def sgemm() -> None:
        for _ in range(repeats):
            large @ large

    threads = thread_count(None)
    timing = paired(
        {"ours": lambda: ours(threads), "one thread": lambda: ours(1), "plain": plain, "sgemm": sgemm}, rounds=5
    )
    work = 10 * ROWS * VISIBLE * HIDDEN
    limit = 2 * large.shape[0] ** 3 * repeats / timing.median("sgemm")
    table = [
        (label, readable(timing.median(name)), f"{work / timing.median(name) / 1e9:.0f}", f"{ratio:.2f}")
        for label, name, ratio in (
            (f"pgm_rbm, {threads} threads", "ours", 1.0),
            ("pgm_rbm, 1 thread", "one thread", timing.ratio("one thread", "ours")),
            (f"plain NumPy, BLAS on {threads} threads", "plain", timing.ratio("plain", "ours")),
        )
    ]
    table.append((f"large sgemm, {threads} threads (limit)", readable(work / limit), f"{limit / 1e9:.0f}", "—"))
    show(
        f"One CD-1 pass, {ROWS:,} × {VISIBLE} × {HIDDEN}, batch {BATCH}, float32, medians of 5",
        ("contender", "time", "GFLOP/s", "÷ ours"),
        table,
    )
