"""The table of units: every row against sums and integrals, and what generated code computes against 400 digits."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from sympy import Add, Expr, Mul, Rational, S, Symbol, cos, lambdify, sin

from symbolic import Energy
from symbolic.check.verification import Checker
from symbolic.codegen.runtime import array_api, numpy
from symbolic.derivation.serialise import derivation_from_json, derivation_to_json
from symbolic.errors import EnergyError, NotSeparableError, SymbolicError
from symbolic.language import functions
from symbolic.language.binders import written_out
from symbolic.language.functions import StableFunction, lnmills, mills_mean, mills_variance, neg, nonzero, pos
from symbolic.language.layers import Component
from symbolic.units import FAMILIES, TABLE, Circle, Interval, Potential, Sampler, cumulant, known_units, lookup

s = Symbol("s", real=True)
x = Symbol("x", real=True)

_LINEAR = ((s, x),)
_FALLING = ((s, -x),)
_NORMAL = ((s, x), (s**2, -Rational(3, 8)))
ROWS: dict[str, tuple[tuple[Expr, Expr], ...]] = {
    "binary": _LINEAR,
    "spin": _LINEAR,
    "{-1, 0, 1/2, 2}": _LINEAR,
    "binomial(4)": _LINEAR,
    "integer(6)": _LINEAR,
    "poisson": _LINEAR,
    "geometric": _FALLING,
    "exponential": _FALLING,
    "gamma(5/2)": _FALLING,
    "uniform": _LINEAR,
    "gaussian": _NORMAL,
    "relu": _NORMAL,
    "drelu": ((s, x), (pos(s), Rational(1, 3)), (pos(s) ** 2, -Rational(3, 8)), (neg(s) ** 2, -Rational(2, 3))),
    "spike_and_slab": (*_NORMAL, (nonzero(s), -S.Half)),
    "von_mises": ((cos(s), x), (sin(s), Rational(1, 3))),
    "heisenberg": ((Component(s, 0), x), (Component(s, 1), Rational(1, 3)), (Component(s, 2), -Rational(2, 7))),
}


def phi_of(name: str) -> Potential:
    return Potential(ROWS[name], s, f"a {name} unit")


def quantities(name: str) -> dict[str, Expr]:
    unit, phi = lookup(name), phi_of(name)
    gamma = written_out(unit.log_partition(phi))
    if unit.has_mean:
        mean, variance = (cumulant(unit, phi, order, S.Zero if unit.dimension > 1 else None) for order in (1, 2))
        return {"Γ": gamma, "mean": written_out(mean), "variance": written_out(variance)}
    return {"Γ": gamma, "slope": gamma.diff(x), "curvature": gamma.diff(x, 2)}


# Evaluation with many digits: by the definitions, but for the rectified unit's, where SymPy writes erfc(−x) as
# 2 − erfc(x) and so loses it.


def _ratio(t: Any) -> Any:
    return mpmath.sqrt(mpmath.pi / 2) * mpmath.exp(t * t / 2) * mpmath.erfc(t / mpmath.sqrt(2))


def _mean(u: Any) -> Any:
    return u + 1 / _ratio(-u)


_DIRECT: dict[str, Callable[[Any], Any]] = {
    "lnmills": lambda u: mpmath.log(_ratio(-u)),
    "mills_mean": _mean,
    "mills_variance": lambda u: 1 - _mean(u) / _ratio(-u),
    "bessel_i": mpmath.besseli,
    "pos": pos.at,
    "neg": neg.at,
    "nonzero": nonzero.at,
}


def elementary(expression: Expr) -> Expr:
    def defined(node: Any) -> bool:
        return isinstance(node, StableFunction) and not isinstance(node, (lnmills, mills_mean, mills_variance))

    while any(defined(node) for node in expression.atoms(StableFunction)):
        expression = expression.replace(defined, lambda node: node.definition())
    return expression


def exactly(expression: Expr) -> Callable[[Any], Any]:
    made: Callable[[Any], Any] = lambdify(x, elementary(expression), modules=[_DIRECT, "mpmath"])
    return made


def size(expression: Expr, value: Callable[[Expr], Any]) -> Any:
    """The value with each sum replaced by its largest term: what rounding of the terms is measured against."""
    if isinstance(expression, Add):
        return max(size(term, value) for term in expression.args)
    if isinstance(expression, Mul):
        return mpmath.fprod(size(factor, value) for factor in expression.args)
    return abs(value(expression))


def _plain(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Of a constant, a plain number: NumPy's would make float64 of float32 arrays."""
    return lambda value: float(function(value)) if isinstance(value, (int, float)) else function(value)


def runtime(module: Any) -> list[Any]:
    named = {name: getattr(module, name.lower(), None) for name in functions.by_name()}
    elementary = {name: _plain(getattr(np, name)) for name in ("exp", "log", "sqrt")}
    return [elementary | {name: function for name, function in named.items() if function is not None}, "numpy"]


def points_of(name: str) -> np.ndarray:
    points = 10.0 ** np.linspace(-6, 4, 21)
    points = points if ROWS[name] is _FALLING else np.concatenate([-points, points])
    return points[points < 80] if name == "poisson" else points  # e^x is beyond float32 from 89 on


@cache
def truths(name: str, what: str) -> tuple[Any, ...]:
    """The exact values at the points, to 400 digits."""
    with mpmath.workdps(400):
        exact = exactly(quantities(name)[what])
        return tuple(exact(mpmath.mpf(float(point))) for point in points_of(name))


# Differences of terms that come near each other, for which the error is measured against the largest term: 1 − tanh²
# of a spin; what a set's states' weights sum to; and the second derivatives for an angle and a direction, 1/x of which
# 1/2x² and 1/x² are left.
CANCELLING = {
    ("spin", "variance"),
    ("{-1, 0, 1/2, 2}", "mean"),
    ("{-1, 0, 1/2, 2}", "variance"),
    ("von_mises", "curvature"),
    ("heisenberg", "variance"),
}


@pytest.mark.parametrize("module", [numpy, array_api], ids=["numpy", "array-api"])
@pytest.mark.parametrize("name", ROWS)
def test_rows_are_accurate_in_fields_up_to_ten_thousand(name: str, module: Any) -> None:
    points = points_of(name)
    for what, expression in quantities(name).items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = lambdify(x, expression, modules=runtime(module))(points) + 0 * points
        assert np.isfinite(values).all()
        for point, value, truth in zip(points, values, truths(name, what), strict=True):
            with mpmath.workdps(400):
                error, scale = abs(value - truth), abs(truth)
                if (name, what) in CANCELLING and error > 1e-12 * scale:
                    scale = size(expression, lambda part, at=point: exactly(part)(mpmath.mpf(float(at))))
                # Below 1e-290 a value has lost digits to the smallest normal number.
                assert error <= 1e-12 * scale + 1e-290, (what, point)


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_right_in_float32(name: str) -> None:
    points = points_of(name)
    for what, expression in quantities(name).items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = lambdify(x, expression, modules=runtime(numpy))(points.astype(np.float32))
        values = values + np.float32(0) * points.astype(np.float32)
        assert values.dtype == np.float32
        if (name, what) in CANCELLING:
            assert np.isfinite(values).all()
            continue
        exact = np.array([float(truth) for truth in truths(name, what)])
        # The field is rounded to 6e-8 of itself and the functions to some 1e-6; values below 1e-30 underflow. Γ crosses
        # 0 for some units, where the error is that of its terms, which are about 1.
        tolerance = 2e-5 * np.maximum(np.abs(exact), 1.0 if what == "Γ" else 0.0) + 1e-30
        assert (np.abs(values - exact) <= tolerance).all(), what


@pytest.mark.parametrize(
    "name", [*(name for name in ROWS if name != "heisenberg"), "gamma(3/10)", "integer(1)", "binomial(1)"]
)
def test_a_row_has_a_sampler_whose_arguments_are_numbers(name: str) -> None:
    unit = lookup(name)
    phi = Potential(tuple((part, c.subs(x, Rational(2, 5))) for part, c in ROWS.get(name, _FALLING)), s)
    assert isinstance(unit.sampler, Sampler)
    assert all(argument.is_number for argument in unit.sampler.arguments(phi))
    assert unit.sampler.name == "two_states" or hasattr(numpy, f"draw_{unit.sampler.name}")


def test_means_and_variances_of_rows_are_derived() -> None:
    q = Symbol("q", positive=True)
    gaussian = Potential(((s, x), (s**2, -q / 2)), s)
    assert cumulant(lookup("gaussian"), gaussian, 1) == x / q
    assert cumulant(lookup("gaussian"), gaussian, 2) == 1 / q
    assert lookup("gaussian").sampler.arguments(gaussian) == (x / q, q**-S.Half)  # type: ignore[union-attr]


def test_a_set_of_two_states_is_drawn_by_its_mean_and_one_of_more_by_weights() -> None:
    assert lookup("{-1, 2}").sampler.name == "two_states"  # type: ignore[union-attr]
    sampler = lookup("{-1, 0, 2}").sampler
    assert sampler is not None
    assert sampler.name == "finite"
    assert sampler.arguments(Potential(_LINEAR, s)) == (-x, 0, 2 * x, -1, 0, 2)


def test_rows_are_found_by_name() -> None:
    assert set(ROWS) - set(TABLE) == {"{-1, 0, 1/2, 2}", "binomial(4)", "integer(6)", "gamma(5/2)"}
    assert {name.partition("(")[0] for name in known_units()} >= {*TABLE, *FAMILIES}
    assert lookup(" binomial( 4 ) ") == lookup("binomial(4)") or lookup("binomial(4)").name == "binomial(4)"


@pytest.mark.parametrize(
    "name",
    ["potato", "binomial(0)", "binomial", "binomial(4.5)", "gamma(-1)", "gamma(1e9)", "{1}", "{1, 1}", "{a, b}", 3, ""],
)
def test_unknown_units_are_refused_by_name(name: Any) -> None:
    with pytest.raises(EnergyError, match=r"unit|set of states"):
        lookup(name)


def test_terms_without_a_closed_form_are_named() -> None:
    with pytest.raises(EnergyError, match=r"x\*cos\(s\) of −E is not at most quadratic"):
        lookup("gaussian").log_partition(Potential(((cos(s), x),), s))
    with pytest.raises(EnergyError, match=r"x of −E is no multiple|s\*\*3"):
        lookup("drelu").log_partition(Potential(((s**3, x),), s))


def test_domains() -> None:
    assert str(Circle()) == "[−π, π]"
    assert Interval(corners=(0,)).pieces == (Interval(None, 0), Interval(0, None))
    assert not lookup("von_mises").has_mean
    assert lookup("von_mises").is_continuous


def test_functions_of_states() -> None:
    assert [pos(k) for k in (-2, 0, 3)] == [0, 0, 3]
    assert [neg(k) for k in (-2, 0, 3)] == [-2, 0, 0]
    assert [nonzero(k) for k in (-2, 0, 3)] == [1, 0, 1]
    values = np.array([-2.0, 0.0, 3.0])
    for function in (pos, neg, nonzero):
        for module in (numpy, array_api):
            np.testing.assert_array_equal(
                getattr(module, function.__name__)(values), [float(function.at(k)) for k in (-2, 0, 3)]
            )


def test_the_page_on_units_shows_every_row() -> None:
    """What it shows is compared with the table when the page is run."""
    page = (Path(__file__).parents[3] / "docs" / "units.md").read_text(encoding="utf-8")
    for name in (*TABLE, *FAMILIES):
        assert re.search(rf"^{name}(\(.*\))?: s in |`{name}\(", page, re.MULTILINE) or name == "categorical", name


SPECIAL = {
    "drelu": "-sum(tp[j]*pos(h[j]) - p[j]*pos(h[j])^2/2 + tn[j]*neg(h[j]) - q[j]*neg(h[j])^2/2, j)"
    " - sum(v[i]*w[i, j]*h[j], i, j)",
    "spike_and_slab": "-sum(c[j]*nonzero(h[j]) - q[j]*h[j]^2/2, j) - sum(v[i]*w[i, j]*h[j], i, j)",
    "von_mises": "-sum(v[i]*w[i, j]*cos(h[j]), i, j) - sum(v[i]*u[i, j]*sin(h[j]), i, j)",
}


@pytest.mark.parametrize("name", SPECIAL)
def test_energies_with_functions_of_states_are_derived_and_checked(name: str) -> None:
    energy = Energy.parse(SPECIAL[name], visible={"v": "binary"}, hidden={"h": name})
    derivation = energy.free_energy()
    verification = derivation.verify(sizes={"v": 2, "h": 2})
    assert verification, verification
    assert energy.phase("w").verify(sizes={"v": 2, "h": 2})
    assert derivation_from_json(derivation_to_json(derivation)).result == derivation.result
    last = derivation.steps[-1]
    checker = Checker({energy.layers["v"]: 2, energy.layers["h"]: 2})
    kind, found = checker.compare(last.before, last.after + Rational(1, 10**9), derivation.conditions)
    assert (kind, found) == ("quadrature", "the two sides differ in a model with v: 2, h: 2 units")


def test_an_angle_has_no_mean() -> None:
    energy = Energy.parse(SPECIAL["von_mises"], visible={"v": "binary"}, hidden={"h": "von_mises"})
    assert energy.conditional("h").verify(sizes={"v": 2, "h": 2})
    with pytest.raises(SymbolicError, match="no branch 'mean'"):
        _ = energy.conditional("h").mean


POWERS = "-sum(v[i]*w[i,j]*h[j], i, j) + sum(q[j]*h[j]^2, j)/2 - sum(b[j]*h[j], j) - sum(c[i]*v[i]^3, i)"


@pytest.mark.parametrize("unit", ["integer(3)", "binomial(3)"])
@pytest.mark.parametrize("target", ["numpy", "numba", "array-api"])
def test_powers_of_counts_are_summed_over_their_states(unit: str, target: str) -> None:
    energy = Energy.parse(POWERS, visible={"v": unit}, hidden={"h": unit})
    kernels = energy.compile(target)
    rng = np.random.default_rng(1)
    p = {name: 0.3 * rng.normal(size=(2,) * len(axes)) for name, axes in kernels.parameters.items()}
    rows = np.array([*itertools.product(range(4), repeat=2)], dtype=float)
    counts = np.array([1.0, 3, 3, 1] if unit.startswith("binomial") else [1.0] * 4)
    measure = np.log(counts)[rows.astype(int)].sum(axis=1)
    logs = rows @ p["w"] @ rows.T - (rows**2 @ p["q"]) / 2 + rows @ p["b"] + (rows**3 @ p["c"])[:, None]
    logs += measure + measure[:, None]
    # Sums of 256 numbers of size one.
    assert kernels.log_partition(**p) == pytest.approx(np.logaddexp.reduce(logs.ravel()), abs=1e-12)
    given = np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None])
    np.testing.assert_allclose(kernels.mean("h", rows, **p), given @ rows, rtol=0, atol=1e-12)
    n = 4000
    drawn = kernels.sample("h", np.tile(rows[6], (n, 1)), 3, **p)
    deviation = np.sqrt(given[6] @ rows**2 - (given[6] @ rows) ** 2)
    # Five standard errors.
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - given[6] @ rows), 5 * deviation / np.sqrt(n))


@pytest.mark.parametrize("unit", ["integer(3)", "binomial(3)"])
def test_powers_of_counts_are_checked(unit: str) -> None:
    energy = Energy.parse(POWERS, visible={"v": unit}, hidden={"h": unit})
    for derivation in (energy.free_energy(), energy.conditional("h"), energy.phase("q"), energy.log_partition()):
        verification = derivation.verify({"v": 1, "h": 2})
        assert verification, verification
        assert not verification.not_checkable
    last = energy.free_energy().steps[-1]
    checker = Checker({energy.layers["v"]: 2, energy.layers["h"]: 2})
    assert checker.compare(last.before, last.after + Rational(1, 10**9))[1]


def test_powers_of_more_counts_than_are_listed_are_refused() -> None:
    energy = Energy.parse(
        "-sum(v[i]*w[i,j]*h[j], i, j) + sum(h[j]^2, j)", visible={"v": "binary"}, hidden={"h": "integer(64)"}
    )
    with pytest.raises(NotSeparableError, match="is not linear in the states of layer h"):
        energy.free_energy()
    few = Energy.parse(
        "-sum(v[i]*w[i,j]*h[j], i, j) + sum(h[j]^2, j)", visible={"v": "binary"}, hidden={"h": "integer(63)"}
    )
    assert few.free_energy().result.has(functions.Logsumexp)
