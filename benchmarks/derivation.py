"""Derive, check and emit; what importing costs; how soon a new process has its first result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.measure import paired, readable, show, time_python

ENERGY = "from symbolic.energies import pairwise; energy = pairwise()"
FIRST = """
import numpy as np
from pgm_rbm import RBM
RBM(784, 500, seed=0).free_energy(np.zeros((10, 784)))
"""
WORK = {
    "derive the gradient (22 steps)": "energy.log_likelihood_gradient('w')",
    "derive and check it (2 × 3 units, 4 points)": "energy.log_likelihood_gradient('w').verify()",
    "derive, lower and emit all kernels": "from symbolic.codegen.build import generate; generate(energy, 'numba')",
}


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

    warm = paired({name: _again(code) for name, code in WORK.items()})
    rows = [(name, readable(warm.median(name)), readable(time_python(code, ENERGY))) for name, code in WORK.items()]
    show("Derivations", ("work", "warm, median of 7", "first in a new process, median of 5"), rows)


def _again(code: str) -> Callable[[], None]:
    """The work anew: derivations are remembered by energy, so the memory is emptied first."""
    from symbolic.derivation import gradient, marginal
    from symbolic.energies import pairwise

    remembered: list[Any] = [
        gradient.log_likelihood_gradient,
        marginal.free_energy,
        marginal.conditional,
        marginal.phase,
        marginal.log_partition,
    ]
    program, names = compile(code, "work", "exec"), {"energy": pairwise()}

    def run() -> None:
        for function in remembered:
            function.cache_clear()
        exec(program, names)

    return run


if __name__ == "__main__":
    main()
