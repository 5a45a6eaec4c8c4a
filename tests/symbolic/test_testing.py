"""The check for authors of units: rows of the table pass, wrong ones are told why, and those of packages are found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sympy import Abs, Expr, Rational, Symbol, cos, exp, log, sin

from symbolic.language.functions import neg, nonzero, pos, softplus
from symbolic.testing import assert_unit
from symbolic.units import Interval, Potential, Sampler, Unit, lookup, uniform_number

SPECIAL: dict[str, dict[str, list[Callable[[Expr], Expr]]]] = {
    "drelu": {
        "potentials": [lambda s: 2 * pos(s) - pos(s) ** 2 / 2 - neg(s) - neg(s) ** 2, lambda s: s / 3 - s**2],
        "refused": [lambda s: s - pos(s) ** 2, lambda s: s - s**2 + 2 * neg(s) ** 2],
    },
    "spike_and_slab": {
        "potentials": [lambda s: 2 * s - s**2 / 2 - nonzero(s), lambda s: s / 10 - 3 * s**2],
        "refused": [lambda s: nonzero(s)],
    },
    "von_mises": {"potentials": [lambda s: 2 * cos(s) - sin(s) / 2, lambda s: sin(s) / 10]},
}
ROWS = [
    *("binary", "spin", "poisson", "geometric", "exponential", "uniform", "gaussian", "relu", "drelu"),
    *(
        "spike_and_slab",
        "von_mises",
        "heisenberg",
        "{-1, 0, 1/2, 2}",
        "binomial(3)",
        "integer(4)",
        "gamma(5/2)",
        "gamma(3/10)",
        "potts(3)",
    ),
]


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_the_table_pass(name: str) -> None:
    """Γ, Γ′ and Γ″ against sums and integrals to 20 digits and more; draws; extremes; conditions."""
    assert_unit(name, **SPECIAL.get(name, {}))


@pytest.mark.parametrize("name", ["von_mises", "spike_and_slab"])
def test_rows_are_checked_at_the_functions_that_they_name(name: str) -> None:
    assert_unit(name)


def test_labels_may_be_given_potentials_of_their_own() -> None:
    assert_unit("potts(4)", [lambda s: 2 * s[0] - s[3]])


@pytest.mark.parametrize("name", ["binomial(3)", "integer(4)"])
def test_powers_of_counts_pass(name: str) -> None:
    assert_unit(name, [lambda s: s - s**2 / 2, lambda s: s**3 / 20 - s])


# A Laplace unit: base measure e^{−|s|}, so that in a field x between −1 and 1 Γ = ln(1 / (1 − x) + 1 / (1 + x)).


def _field(phi: Potential) -> Expr:
    return phi.coefficients(1)[1]


def _gamma(phi: Potential) -> Expr:
    c0, x = phi.coefficients(1)
    return c0 + log(2) - log(1 - x) - log(1 + x)


def _quantile(phi: Potential) -> tuple[Expr, ...]:
    x, u = _field(phi), uniform_number()
    left = (1 - x) / 2  # the share of the states below 0
    return (neg(log(u / left)) / (1 + x) - neg(log((1 - u) / (1 - left))) / (1 - x),)


LAPLACE = Unit(
    "laplace",
    Interval(corners=(0,)),
    _gamma,
    "a real number with a tail on either side",
    lambda phi: (1 - _field(phi), 1 + _field(phi)),
    lambda s: exp(-Abs(s)),
    degree=1,
    sampler=Sampler("quantile", _quantile),
)


def test_a_unit_with_a_quantile_passes() -> None:
    assert_unit(LAPLACE)


POTTS = lookup("potts(3)")
WRONG: dict[str, tuple[Unit, str]] = {
    "normaliser": (
        replace(LAPLACE, log_partition=lambda phi: _gamma(phi) + Rational(1, 1000)),
        r"unit 'laplace' at φ\(s\) = 2\*s/5: Γ from the row is 0\.868.*, and 0\.867.* by summing",
    ),
    "another base": (
        replace(LAPLACE, base=lambda s: exp(-2 * Abs(s)) / 2),
        "the conditions refuse it, and the sum of the weights converges",
    ),
    "no condition": (
        replace(LAPLACE, conditions=lambda phi: ()),
        "does not converge, and the conditions do not refuse it",
    ),
    "too strict": (
        replace(LAPLACE, conditions=lambda phi: (Rational(3, 10) - _field(phi), 1 + _field(phi))),
        "the conditions refuse it, and the sum of the weights converges",
    ),
    "draws": (
        replace(LAPLACE, sampler=Sampler("quantile", lambda phi: (log(uniform_number()),))),
        "Kolmogorov's √n D is",
    ),
    "no such sampler": (replace(LAPLACE, sampler=Sampler("laplace", _quantile)), "no sampler called 'laplace'"),
    "not states": (
        replace(lookup("integer(4)"), sampler=Sampler("integer", lambda phi: (Rational(9), _field(phi)))),
        r"was drawn, and the states are \{0, 1, …, 4\}",
    ),
    "weights": (
        replace(lookup("{-1, 0, 1}"), sampler=Sampler("finite", lambda phi: (0, 0, 0, -1, 0, 1))),
        "χ² is .* with 2 degrees of freedom",
    ),
    "overflow": (
        replace(lookup("binary"), log_partition=lambda phi: phi(0) + log(1 + exp(phi(1) - phi(0)))),
        "Γ is inf in float64 at a field of 10000",
    ),
    "labels": (
        replace(POTTS, log_partition=lambda phi: POTTS.log_partition(phi) + Rational(1, 1000)),
        r"unit 'potts\(3\)' at φ\(s\) = .*indicator\(s\[0\], 2\): Γ from the row is 2\.209.*, and 2\.208",
    ),
    "labels drawn": (
        replace(POTTS, sampler=Sampler("label", lambda phi: (Rational(1, 3),))),
        "χ² is .* with 2 degrees of freedom",
    ),
    "labels of no name": (replace(POTTS, name="mine"), "checked as it is found by its name, and there is no unit"),
    "an angle by itself": (
        replace(lookup("von_mises"), statistics=None),
        r"the row does not take this φ .* give potentials=\[lambda s: \.\.\.\]",
    ),
    "sum of another unit": (
        replace(lookup("binary"), log_partition=lambda phi: softplus(2 * phi(1))),
        "Γ from the row is",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_rows_are_told_what_is_wrong(mistake: str) -> None:
    unit, message = WRONG[mistake]
    with pytest.raises(AssertionError, match=message):
        assert_unit(unit)


def test_potentials_that_a_unit_refuses_are_named() -> None:
    with pytest.raises(AssertionError, match="its conditions refuse this φ"):
        assert_unit("exponential", [lambda s: s])
    with pytest.raises(AssertionError, match="the conditions do not refuse it"):
        assert_unit("gaussian", [lambda s: s - s**2], refused=[lambda s: -(s**2)])


MODULE = """
from sympy import Abs, exp, log
from symbolic.language.functions import Logsumexp, neg
from symbolic.units import Finite, Interval, Sampler, Unit, uniform_number


def _field(phi):
    return phi.coefficients(1)[1]


def _draw(phi):
    x, u = _field(phi), uniform_number()
    left = (1 - x) / 2
    return (neg(log(u / left)) / (1 + x) - neg(log((1 - u) / (1 - left))) / (1 - x),)


def _gamma(phi):
    c0, x = phi.coefficients(1)
    return c0 + log(2) - log(1 - x) - log(1 + x)


laplace = Unit("laplace", Interval(corners=(0,)), _gamma, "Laplace", lambda phi: (1 - _field(phi), 1 + _field(phi)),
               lambda s: exp(-Abs(s)), degree=1, sampler=Sampler("quantile", _draw))


def dice(text):
    states = tuple(range(1, int(text) + 1))
    return Unit(f"dice({text})", Finite(states), lambda phi: Logsumexp(*map(phi, states)), "a die")


def fails(text=None):
    raise RuntimeError("no dice")


number = 3
"""
SCRIPT = """
import re

from pgm_rbm import RBM
from pgm_rbm.errors import DivergentError
from symbolic.testing import assert_unit
from symbolic.errors import EnergyError
from symbolic import Energy
from symbolic.units import known_units, lookup

assert {"laplace", "dice"} <= set(known_units()), known_units()
assert_unit("laplace")
assert_unit("dice(6)")
text = "-sum(c[j]*h[j], j) - sum(v[i]*w[i,j]*h[j], i, j)"
energy = Energy.parse(text, visible={"v": "binary"}, hidden={"h": "dice(3)"})
check = energy.log_likelihood_gradient("w").verify()
assert check, check
free = energy.free_energy()
assert "Logsumexp" in str(free.result), free.result

import numpy as np
from symbolic.codegen.build import compile_energy

energy = Energy.parse(text, visible={"v": "binary"}, hidden={"h": "laplace"})
v, fields = np.array([[0.0, 1.0], [1.0, 1.0]]), {"c": np.array([0.1, -0.5, 0.3]), "w": np.full((2, 3), 0.2)}
drawn = [compile_energy(energy, target).sample("h", v, 7, **fields) for target in ("numpy", "numba", "array-api")]
for other in drawn[1:]:
    np.testing.assert_allclose(other, drawn[0], rtol=1e-12)
try:
    compile_energy(energy, "numpy").sample("h", v, 7, c=np.zeros(3), w=np.full((2, 3), 0.9))
except DivergentError as error:
    assert str(error).startswith("-c[j] - sum(w[k, j]*v[k], k) + 1, a condition of the laplace units of layer h"), error
try:
    compile_energy(energy, "numpy").sample("h", v, 7, c=np.zeros(3), w=np.full((2, 3), -0.9))
except DivergentError as error:
    assert str(error).startswith("c[j] + sum(w[k, j]*v[k], k) + 1, a condition of the laplace units of layer h"), error

assert lookup("other").name == "other"
rbm = RBM(2, 2, "other", "dice( 4 )", seed=0, target="numpy")
assert rbm.units == {"v": "other", "h": "dice(4)"}
assert np.isfinite(rbm.sample(3, 2, seed=0)).all()
assert lookup("binary").description.startswith("on or off"), "a row of the table was replaced"
assert known_units().count("binary") == 1
for name, reason in {
    "dice(potato)": "invalid literal",
    "dice": "is a family; write dice",
    "laplace(3)": "'laplace' is a single unit; leave out (3)",
    "broken": "the unit 'broken' cannot be loaded: the entry point 'broken' = 'no_such_module:unit' of the group "
    "pgm_rbm.units fails with ModuleNotFoundError",
    "fails(1)": "there is no unit called 'fails(1)': .* fails with RuntimeError: no dice",
    "number": "gives no symbolic.units.Unit for 'number'. Got 3",
}.items():
    try:
        lookup(name)
    except EnergyError as error:
        assert re.search(reason.replace("(3)", "[(]3[)]").replace("(1)", "[(]1[)]"), str(error)), error
    else:
        raise AssertionError(name)
print("refused")
"""


def test_a_unit_of_another_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "their_units.py").write_text(MODULE)
    info = tmp_path / "their_units-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-units\nVersion: 1.0\n")
    entries = {
        **dict.fromkeys(("laplace", "other", "binary"), "their_units:laplace"),
        "dice": "their_units:dice",
        "broken": "no_such_module:unit",
        "fails": "their_units:fails",
        "number": "their_units:number",
    }
    lines = ["[pgm_rbm.units]", *(f"{name} = {value}" for name, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    places = [str(tmp_path), os.environ.get("PYTHONPATH", ""), str(Path(__file__).parents[2])]
    path = os.pathsep.join(filter(None, places))
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": path, "PGM_RBM_CACHE": str(tmp_path / "cache")}
    run = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "refused\n"


def test_the_state_symbol_is_the_checks_own() -> None:
    t = Symbol("t", real=True)
    assert_unit("gaussian", [Potential(((t, Rational(1, 2)), (t**2, Rational(-1))), t)])  # type: ignore[list-item]
