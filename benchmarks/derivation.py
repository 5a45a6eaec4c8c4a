"""Derive, check and emit; what importing costs; how soon a new process has its first result."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from benchmarks.measure import readable, show, time_python

FIRST = """
import numpy as np
from pgm_rbm import RBM
RBM(784, 500, seed=0).free_energy(np.zeros((10, 784)))
"""
# Code generation is imported first: importing is measured on its own.
COLD = """
import time
from symbolic.codegen import program
from symbolic.codegen.targets import numba as numba_target
from symbolic.codegen.build import generate
from symbolic.energies import READY_MADE
energy = READY_MADE[{name!r}]()
start = time.process_time()
generate(energy, "numba")
print(time.process_time() - start)
"""


def main() -> None:
    codes = {
        "import sympy": "import sympy",
        "import symbolic": "import symbolic",
        "import symbolic and all of its language": "from symbolic import Energy, Layer, Parameter, Sum",
        "import numpy": "import numpy",
        "import pgm_rbm": "import pgm_rbm",
        "first free energy in a warm process (Numba, cached)": FIRST,
    }
    show(
        "New processes", ("what", "median of 5"), [(name, readable(time_python(code))) for name, code in codes.items()]
    )

    from symbolic.energies import READY_MADE

    show(
        "Ready-made energies, seconds of processor time: derive, lower and emit all kernels; check all derivations at "
        "2 × 3 units",
        (
            "energy",
            "cold (new process), median of 3",
            "warm, median of 7",
            "warm, but derived anew",
            "check, the slowest derivation",
            "check all",
        ),
        [(name, *_row(name)) for name in READY_MADE],
    )


def _row(name: str) -> tuple[str, ...]:
    from symbolic.codegen.build import generate
    from symbolic.energies import READY_MADE

    cold = statistics.median(_new_process(COLD.format(name=name)) for _ in range(3))
    energy = READY_MADE[name]()
    generate(energy, "numba")
    warm, anew = [], []
    for _ in range(7):
        warm.append(_processor_seconds(lambda: generate(READY_MADE[name](), "numba")))
    for _ in range(7):
        _forget()
        anew.append(_processor_seconds(lambda: generate(energy, "numba")))
    sizes = {layer: 2 + place % 2 for place, layer in enumerate(energy.layers)}
    checks = [_processor_seconds(lambda d=d: d.verify(sizes)) for d in _derivations(energy)]  # type: ignore[misc]
    return tuple(map(readable, (cold, statistics.median(warm), statistics.median(anew), max(checks), sum(checks))))


def _derivations(energy: Any) -> Iterator[Any]:
    """Every gradient, every conditional, and what is in closed form of free energies, phases and ln Z."""
    from symbolic.errors import NotSeparableError

    asked: list[Callable[[], Any]] = [energy.free_energy, energy.log_partition]
    for layer in energy.visible + energy.hidden:
        asked.append(lambda layer=layer: energy.conditional(layer, method="auto"))
    for parameter in energy.parameters:
        asked.append(lambda parameter=parameter: energy.log_likelihood_gradient(parameter))
        asked.append(lambda parameter=parameter: energy.phase(parameter))
    for ask in asked:
        try:
            yield ask()
        except NotSeparableError:
            continue


def _forget() -> None:
    """Derivations are remembered by energy, so the memory is emptied."""
    from symbolic.codegen import program
    from symbolic.derivation import gradient, marginal, separation
    from symbolic.language import probability

    modules: tuple[ModuleType, ...] = (program, gradient, marginal, separation, probability)
    for module in modules:
        for function in vars(module).values():
            if hasattr(function, "cache_clear") and function.__module__ == module.__name__:
                function.cache_clear()


def _processor_seconds(work: Callable[[], object]) -> float:
    """What one call takes, without the time in which other processes had the machine."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _new_process(code: str) -> float:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1])


if __name__ == "__main__":
    main()
