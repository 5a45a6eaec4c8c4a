"""Exact ln Z and the exact gradient by enumeration, against chunked NumPy log-sum-exp."""

from __future__ import annotations

import numpy as np

from benchmarks import plain_numpy
from benchmarks.measure import paired, readable, show
from pgm_rbm import RBM
from pgm_rbm.workers import thread_count


def main() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for n_visible, n_hidden in ((784, 12), (784, 16), (30, 20)):
        w = rng.normal(0, 0.1, (n_visible, n_hidden))
        a, b = rng.normal(-1, 0.5, n_visible), rng.normal(0, 0.5, n_hidden)
        rbm = RBM.from_parameters(w, a, b)
        data = (rng.random((10, n_visible)) < 0.3).astype(float)
        difference = abs(rbm.log_partition().value - plain_numpy.log_partition(w, a, b))
        timing = paired(
            {
                "ours": rbm.log_partition,
                "plain": lambda w=w, a=a, b=b: plain_numpy.log_partition(w, a, b),
                "gradient": lambda rbm=rbm, data=data: rbm.gradient(data),
            },
            rounds=3,
        )
        rows.append(
            (
                f"{n_visible} × {n_hidden}",
                readable(timing.median("ours")),
                readable(timing.median("plain")),
                f"{timing.ratio('plain', 'ours'):.1f}",
                f"{timing.ratio('gradient', 'ours'):.1f}",
                f"{difference:.1e}",
            )
        )
    show(
        f"Exact ln Z, {thread_count(None)} threads, medians of 3",
        ("units", "ln Z", "plain NumPy", "plain ÷ ours", "gradient ÷ ln Z", "difference in ln Z"),
        rows,
    )
