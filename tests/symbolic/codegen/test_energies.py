"""Generated kernels of the ready-made energies: each target against sums by hand, and against NumPy's."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from symbolic.codegen.build import Kernels
from symbolic.units import lookup
from tests.symbolic.plain import nodes
from tests.symbolic.test_energies import CASES, Case, Model

TARGETS = ("numpy", "numba", "array-api")
# Numba takes seconds to compile all kernels of an energy; those of the others are compiled by slow tests.
COMPILED = ("pairwise binary-binary", "pairwise spin-exponential", "gaussian learnt", "third order", "semi-restricted")
# Z of these has no closed form, nor can the states of a layer be listed.
WITHOUT_Z = ("pairwise gaussian-gaussian", "covariance")
ROWS = 3
# Sums of a few thousand terms in double precision; the quadratures are good to 1e-12.
CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def each(*targets: str) -> Any:
    """Every case with every target."""
    return pytest.mark.parametrize(
        ("name", "target"),
        [
            pytest.param(name, target, marks=[pytest.mark.slow] if target == "numba" and name not in COMPILED else [])
            for name in CASES
            for target in targets
        ],
    )


@cache
def compiled(name: str, target: str) -> Kernels:
    return CASES[name].make().compile(target)


class Rows:
    """A model with some rows of states, and sums over the layers that are not kept, row by row."""

    def __init__(self, case: Case):
        self.case = case
        self.energy = case.make()
        self.model = Model(case, self.energy, seed=5)
        rng = np.random.default_rng(6)
        self.states = {}
        for name, layer in self.energy.layers.items():
            some = [s for s in nodes(layer.unit)[0] if 0.05 < abs(s) < 2.5 or s == 0]
            self.states[name] = rng.choice(some, size=(ROWS, self.model.sizes[name]))
        self.parameters = {name: np.asarray(value, float) for name, value in self.model.parameters.items()}

    def of(self, *layers: str) -> dict[str, Any]:
        """States of layers, with those that are always given."""
        return {name: self.states[name] for name in (*layers, *self.case.given)}

    def log_sums(self, *kept: str, **changed: Any) -> np.ndarray:
        found = []
        for row in range(ROWS):
            self.model.states = {name: list(states[row]) for name, states in self.states.items()}
            found.append(self.model.log_sum(kept, **changed))
        return np.array(found)


@each(*TARGETS)
def test_kernels_agree_with_brute_force(name: str, target: str) -> None:
    case, kernels, rows = CASES[name], compiled(name, target), Rows(CASES[name])
    p = rows.parameters
    expected = case.by_hand(SimpleNamespace(**p), *rows.states.values())
    np.testing.assert_allclose(kernels.energy(**rows.states, **p), expected, rtol=1e-12)
    visible = tuple(case.visible)
    np.testing.assert_allclose(kernels.free_energy(rows.of(*visible), **p), -rows.log_sums(*visible), **CLOSE)
    for function in kernels.methods:
        kept = tuple(function.removeprefix("free_energy_of_").split("_"))
        if function.startswith("free_energy_of_") and kept != visible:
            np.testing.assert_allclose(
                kernels.free_energy(rows.of(*kept), of=kept, **p), -rows.log_sums(*kept), **CLOSE
            )
    if name in WITHOUT_Z:
        with pytest.raises(ValueError, match="no closed form, and the states of the following cannot be listed"):
            kernels.log_partition(**p)
    elif case.given:
        np.testing.assert_allclose(kernels.log_partition(rows.of(), **p), rows.log_sums(), **CLOSE)
    else:
        assert kernels.log_partition(**p) == pytest.approx(rows.log_sums()[0], rel=1e-10)


@each(*TARGETS)
def test_phases_are_slopes_of_the_free_energy(name: str, target: str) -> None:
    """Central differences of the sums by hand, good to 1e-8 of numbers of order one."""
    case, kernels, rows = CASES[name], compiled(name, target), Rows(CASES[name])
    layers = list(case.visible)
    if "phase_of_" + "_".join(layers) not in kernels.methods:  # the hidden layers of a deep machine are tied
        layers = next(f for f in kernels.methods if f.startswith("phase_of_")).removeprefix("phase_of_").split("_")
    weights = np.array([0.5, -1.0, 2.0])
    phase = kernels.phase(rows.of(*layers), tuple(layers), weights, **rows.parameters)
    for parameter in rows.parameters:
        place = (0,) * rows.parameters[parameter].ndim
        if rows.energy.parameters[parameter].symmetric:
            place = (0, 1)
        slope = rows.model.slope(parameter, lambda **changed: weights @ rows.log_sums(*layers, **changed))
        assert phase[parameter][place] == pytest.approx(slope, rel=1e-7, abs=1e-7), parameter


@each(*TARGETS[1:])
def test_targets_agree(name: str, target: str) -> None:
    rows, plain, kernels = Rows(CASES[name]), compiled(name, "numpy"), compiled(name, target)
    p = rows.parameters
    for layer in rows.energy.visible + rows.energy.hidden:
        around = {other: states for other, states in rows.states.items() if other != layer.name}
        for what in ("mean", "sample"):
            function = f"{what}_of_{layer.name}"
            if function not in plain.methods:
                continue
            x = rows.states if plain.methods[function] == "single-site" else around
            key = (11,) if what == "sample" else ()
            if function not in kernels.methods:
                assert target == "array-api"
                assert lookup(layer.unit).sampler.name in ("binomial", "poisson", "gamma")  # type: ignore[union-attr]
                continue
            here, there = (getattr(k, what)(layer.name, x, *key, **p) for k in (kernels, plain))
            np.testing.assert_allclose(here, there, **CLOSE, err_msg=function)
    for function in plain.methods:
        if function.startswith("phase_of_"):
            kept = tuple(function.removeprefix("phase_of_").split("_"))
            here, there = (k.phase(rows.of(*kept), kept, **p) for k in (kernels, plain))
            for parameter in p:
                np.testing.assert_allclose(here[parameter], there[parameter], **CLOSE, err_msg=function)
