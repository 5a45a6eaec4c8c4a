"""Generated kernels against the same formulas by hand, in NumPy with Numba and in plain NumPy; 256 × 784 × 500."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import plain_numba, plain_numpy
from benchmarks.measure import paired, readable, show
from pgm_rbm.model.kernels import pairwise_kernels

ROWS, VISIBLE, HIDDEN = 256, 784, 500
STATES = {"binary": (0, 1), "spin": (-1, 1)}
NAMES = {"gaussian": "Gaussian–binary"}


def main() -> None:
    rows = []
    with threadpool_limits(1, user_api="blas"):
        for unit in (*STATES, "gaussian"):
            for dtype in (np.float64, np.float32):
                for name, contenders in (_gaussian(dtype) if unit == "gaussian" else _contenders(unit, dtype)).items():
                    timing = paired(contenders, rounds=41)
                    rows.append(
                        (
                            f"{name}, {NAMES.get(unit, unit)}, {np.dtype(dtype)}",
                            readable(timing.median("generated")),
                            *(
                                f"{timing.ratio(peer, 'generated'):.2f}" if peer in contenders else "—"
                                for peer in ("numba", "numpy")
                            ),
                        )
                    )
    show(
        f"Kernels, {ROWS} × {VISIBLE} × {HIDDEN}, one thread, medians of 41, time of a peer ÷ generated",
        ("kernel", "generated (Numba)", "by hand, NumPy and Numba", "plain NumPy"),
        rows,
    )


def _gaussian(dtype: type) -> dict[str, dict[str, Callable[[], object]]]:
    """Gaussian visible units of unit variance and binary hidden ones."""
    kernels = pairwise_kernels("gaussian", "binary", "numba")
    rng = np.random.default_rng(0)
    v = rng.normal(0, 1, (ROWS, VISIBLE)).astype(dtype)
    h = rng.choice((0, 1), (ROWS, HIDDEN)).astype(dtype)
    w, a, b = (rng.normal(0, 0.05, shape).astype(dtype) for shape in ((VISIBLE, HIDDEN), VISIBLE, HIDDEN))
    parameters = {"w": w, "a": a, "b": b}
    return {
        "free energy": {
            "generated": partial(kernels.free_energy, v, **parameters),
            "numba": partial(plain_numba.gaussian_free_energy, v, w, a, b),
        },
        "sample h": {
            "generated": partial(kernels.sample, "h", v, 7, **parameters),
            "numba": partial(plain_numba.SAMPLE["binary"], v, w, b, rng),
        },
        "sample v": {
            "generated": partial(kernels.sample, "v", h, 7, **parameters),
            "numba": partial(plain_numba.gaussian_sample, h, w, a, rng),
        },
    }


def _contenders(unit: str, dtype: type) -> dict[str, dict[str, Callable[[], object]]]:
    kernels = pairwise_kernels(unit, unit, "numba")
    rng = np.random.default_rng(0)
    v = rng.choice(STATES[unit], (ROWS, VISIBLE), p=(0.87, 0.13)).astype(dtype)
    w, a, b = (rng.normal(0, 0.05, shape).astype(dtype) for shape in ((VISIBLE, HIDDEN), VISIBLE, HIDDEN))
    parameters = {"w": w, "a": a, "b": b}
    contenders: dict[str, dict[str, Callable[[], object]]] = {
        "free energy": {
            "generated": partial(kernels.free_energy, v, **parameters),
            "numba": partial(plain_numba.FREE_ENERGY[unit], v, w, a, b),
        },
        "sample h": {
            "generated": partial(kernels.sample, "h", v, 7, **parameters),
            "numba": partial(plain_numba.SAMPLE[unit], v, w, b, rng),
        },
    }
    if unit == "binary":
        contenders["free energy"]["numpy"] = partial(plain_numpy.free_energy, v, w, a, b)
        contenders["sample h"]["numpy"] = partial(plain_numpy.sample, v, w, b, rng)
        contenders["phase"] = {
            "generated": partial(kernels.phase, v, **parameters),
            "numpy": partial(plain_numpy.phase, v, w, b),
        }
    return contenders
