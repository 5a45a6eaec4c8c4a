"""Derive, check and emit; what importing costs; how soon a new process has its first result."""

from __future__ import annotations

import statistics

from benchmarks.measure import paired, readable, show, time_python

ENERGY = """
from symbolic.energies import pairwise
energy = pairwise()
"""
EMIT = """
from symbolic.codegen.build import emit
emit(energy, "numba")
"""
FIRST = """
import numpy as np
from pgm_rbm import RBM
RBM(784, 500, seed=0).free_energy(np.zeros((10, 784)))
"""


def main() -> None:
    _imports()
    _work()


def _imports() -> None:
    # Each process starts with an untimed import of nothing, and processes alternate so that caches are equally warm.
    codes = {
        "import sympy": "import sympy",
        "import symbolic": "import symbolic",
        "import symbolic and all of its language": "from symbolic import Energy, Layer, Parameter, Sum",
        "import numpy": "import numpy",
        "import pgm_rbm": "import pgm_rbm",
        "first free energy in a warm process (Numba, cached)": FIRST,
    }
    times = {name: statistics.median(time_python(code)) for name, code in codes.items()}
    show("New processes", ("what", "median of 5"), [(name, readable(value)) for name, value in times.items()])


def _work() -> None:
    from symbolic.codegen.build import emit
    from symbolic.energies import pairwise

    energy = pairwise()
    gradient = energy.log_likelihood_gradient("w")
    timing = paired(
        {
            "derive the gradient (22 steps)": lambda: energy.log_likelihood_gradient("w"),
            "check it (2 × 3 units, 4 points)": gradient.verify,
            "derive, lower and emit all kernels": lambda: emit(energy, "numba"),
        }
    )
    cold = {
        "derive the gradient (22 steps)": time_python(ENERGY + "energy.log_likelihood_gradient('w')"),
        "check it (2 × 3 units, 4 points)": time_python(ENERGY + "energy.log_likelihood_gradient('w').verify()"),
        "derive, lower and emit all kernels": time_python(ENERGY + EMIT),
    }
    imports = statistics.median(time_python(ENERGY))
    rows = [(name, readable(timing.median(name)), readable(statistics.median(cold[name]) - imports)) for name in cold]
    show("Derivations", ("work", "warm", "cold (import taken off)"), rows)
