"""The kernels of the target ``array-api`` on PyTorch arrays, against the same formulas in PyTorch by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import console, paired, readable, show
from pgm_rbm.model.kernels import pairwise_kernels

VISIBLE, HIDDEN = 784, 500
ROWS = {"cpu": 256, "cuda": 16384}


def main() -> None:
    try:
        import torch
    except ImportError:
        console.print("The kernels for other libraries are measured on PyTorch, which is not installed here.\n")
        return
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
        rows = []
        for dtype in (torch.float64, torch.float32):
            for kernel, contenders in _contenders(torch, device, dtype).items():
                timing = paired(contenders, rounds=21)
                rows.append(
                    (
                        f"{kernel}, {str(dtype).removeprefix('torch.')}",
                        readable(timing.median("generated")),
                        f"{timing.ratio('by hand', 'generated'):.2f}",
                    )
                )
        show(
            f"Kernels of the target array-api, {ROWS[device]} × {VISIBLE} × {HIDDEN}, PyTorch on {name}, medians of 21",
            ("kernel, binary", "generated", "by hand ÷ generated"),
            rows,
        )


def _contenders(torch: Any, device: str, dtype: Any) -> dict[str, dict[str, Callable[[], object]]]:
    kernels = pairwise_kernels("binary", "binary", "array-api")
    rng = np.random.default_rng(0)

    def array(values: np.ndarray) -> Any:
        return torch.asarray(values, dtype=dtype, device=device)

    rows = ROWS[device]
    v = array(rng.choice((0, 1), (rows, VISIBLE), p=(0.87, 0.13)))
    w, a, b = (array(rng.normal(0, 0.05, shape)) for shape in ((VISIBLE, HIDDEN), VISIBLE, HIDDEN))
    parameters = {"w": w, "a": a, "b": b}
    softplus, sigmoid = torch.nn.functional.softplus, torch.sigmoid

    def ended(function: Callable[[], object]) -> Callable[[], object]:
        # A GPU returns before it has computed.
        def call() -> object:
            result = function()
            if device == "cuda":
                torch.cuda.synchronize()
            return result

        return call

    def numbers() -> Any:
        return torch.rand((rows, HIDDEN), dtype=dtype, device=device)

    pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "free energy": (
            lambda: kernels.free_energy(v, **parameters),
            lambda: -(v @ a) - softplus(b + v @ w).sum(1),
        ),
        "sample h, from given numbers": (
            lambda: kernels.sample("h", v, numbers(), **parameters),
            lambda: (numbers() < sigmoid(b + v @ w)).to(dtype),
        ),
        "phase": (
            lambda: kernels.phase(v, **parameters),
            lambda: (v.sum(0), (mean := sigmoid(b + v @ w)).sum(0), v.T @ mean),
        ),
    }
    return {
        name: {"generated": ended(generated), "by hand": ended(by_hand)} for name, (generated, by_hand) in pairs.items()
    }
