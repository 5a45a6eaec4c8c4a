"""Generated kernels against the same formulas in plain NumPy, at 256 rows of 784 × 500 units."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import plain_numpy
from benchmarks.measure import paired, readable, show
from pgm_rbm.kernels import pairwise_kernels


def main() -> None:
    kernels = pairwise_kernels("binary", "binary", "numba")
    rng = np.random.default_rng(0)
    rows = []
    for dtype in (np.float64, np.float32):
        v = (rng.random((256, 784)) < 0.13).astype(dtype)
        w, a, b = (rng.normal(0, 0.05, shape).astype(dtype) for shape in ((784, 500), 784, 500))
        parameters = {"w": w, "a": a, "b": b}

        def plain_sample(v=v, w=w, b=b, dtype=dtype):  # type: ignore[no-untyped-def]
            p = plain_numpy.sigmoid(v @ w + b)
            return (rng.random(p.shape, dtype=dtype) < p).astype(dtype)

        def plain_phase(v=v, w=w, b=b):  # type: ignore[no-untyped-def]
            p = plain_numpy.sigmoid(v @ w + b)
            return v.T @ p, v.sum(axis=0), p.sum(axis=0)

        pairs = {
            "free energy": (
                lambda v=v, p=parameters: kernels.free_energy(v, **p),
                lambda v=v, p=parameters: plain_numpy.free_energy(v, **p),
            ),
            "sample h": (lambda v=v, p=parameters: kernels.sample("h", v, 7, **p), plain_sample),
            "phase": (lambda v=v, p=parameters: kernels.phase(v, **p), plain_phase),
        }
        with threadpool_limits(1, user_api="blas"):
            for name, (generated, plain) in pairs.items():
                timing = paired({"generated": generated, "plain": plain}, rounds=21)
                rows.append(
                    (
                        f"{name}, {np.dtype(dtype)}",
                        readable(timing.median("generated")),
                        readable(timing.median("plain")),
                        f"{timing.ratio('plain', 'generated'):.2f}",
                    )
                )
    show(
        "Kernels, 256 × 784 × 500, one thread, medians of 21",
        ("kernel", "generated (Numba)", "plain NumPy", "plain ÷ generated"),
        rows,
    )
