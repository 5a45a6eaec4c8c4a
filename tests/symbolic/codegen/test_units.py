"""Generated kernels for every pair of units against sums and integrals over single units, worked out here by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from symbolic import DivergentError, Energy
from symbolic.check.quadrature import points_of_domain
from symbolic.codegen.build import Kernels, compile_energy
from symbolic.units import Integers, Interval, lookup

FINITE = ("binary", "spin", "{-1, 0, 2}", "binomial(3)", "integer(3)")
ENDLESS = ("poisson", "geometric", "exponential", "gamma(5/2)", "uniform", "gaussian", "relu")
RATES = ("geometric", "exponential", "gamma(5/2)")
N_V, N_H = 3, 2
Arrays = dict[str, np.ndarray]


def energy(visible: str, hidden: str) -> Energy:
    text = "-sum(v[i]*w[i,j]*h[j], i, j) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)"
    if lookup(visible).degree == 2:
        text += " + sum(p[i]*v[i]^2, i)/2"
    if lookup(hidden).degree == 2:
        text += " + sum(q[j]*h[j]^2, j)/2"
    return Energy.parse(text, visible={"v": visible}, hidden={"h": hidden})


def support(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Points and logarithms of weights with which a sum over them is the sum, or the integral, over a unit's states.

    Integrals by the double-exponential rules of Takahasi and Mori (1974), fine enough for 1e-12 of the integrands here.
    """
    domain = lookup(name).domain
    if isinstance(domain, Interval):
        if domain.low is None:
            t = np.linspace(-3.8, 3.8, 3001)
            x, slope = np.sinh(np.pi / 2 * np.sinh(t)), np.cosh(np.pi / 2 * np.sinh(t)) * np.cosh(t) * np.pi / 2
        elif domain.high is None:
            t = np.linspace(-3.7, 3.7, 3001)
            x = np.exp(np.pi / 2 * np.sinh(t))
            slope = x * np.cosh(t) * np.pi / 2
        else:
            t = np.linspace(-3.5, 3.5, 3001)
            u = np.pi / 2 * np.sinh(t)
            x = 1 / (1 + np.exp(-2 * u))
            slope = 2 * x / (1 + np.exp(2 * u)) * np.cosh(t) * np.pi / 2
        weights = np.log(slope * (t[1] - t[0]))
        weights += 1.5 * np.log(x) if name.startswith("gamma") else 0
        inside = np.abs(x) < 1e6
        return x[inside], weights[inside]
    if isinstance(domain, Integers) and domain.last is None:
        x = np.arange(400.0)
        return x, -np.array([math.lgamma(s + 1) for s in x]) if name == "poisson" else 0 * x
    x = np.array([float(s) for s in lookup(name).states])
    return x, np.log([math.comb(3, int(s)) for s in x]) if name.startswith("binomial") else 0 * x


def log_sum(x: np.ndarray) -> np.ndarray:
    top = x.max(axis=-1)
    return top + np.log(np.exp(x - top[..., None]).sum(axis=-1))


def states(name: str, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    domain = lookup(name).domain
    if isinstance(domain, Interval):
        if domain.low is None:
            return rng.normal(size=shape)
        return rng.exponential(size=shape) if domain.high is None else rng.random(shape)
    return rng.choice([0.0, 1.0, 2.0, 3.0] if domain.states is None else [float(s) for s in domain.states], shape)


def parameters(visible: str, hidden: str, rng: np.random.Generator) -> Arrays:
    """Parameters of a model whose units' sums are all finite."""
    w = rng.normal(0, 0.3, (N_V, N_H))
    found = {"w": w, "a": rng.normal(0, 0.5, N_V), "b": rng.normal(0, 0.5, N_H)}
    for name, units in (("a", visible), ("b", hidden)):
        if units in RATES:
            found[name] = -3 - rng.random(len(found[name]))
            found["w"] = -0.3 * np.abs(w)
    if lookup(visible).degree == 2:
        found["p"] = 0.8 + rng.random(N_V)
    if lookup(hidden).degree == 2:
        found["q"] = 0.8 + rng.random(N_H)
    return found


class Side:
    """One layer given the other, summed over single units' states."""

    def __init__(self, x: np.ndarray, summed: str, units: dict[str, str], p: Arrays):
        own, other = ("a", "p"), ("b", "q")
        if summed == "v":
            own, other = other, own
        field = x @ (p["w"] if summed == "h" else p["w"].T) + p[other[0]]
        points, weights = support(units[summed])
        phi = field[:, :, None] * points - p.get(other[1], np.zeros(1))[:, None] * points**2 / 2 + weights
        log_partition = log_sum(phi)
        share = np.exp(phi - log_partition[..., None])
        self.mean = (share * points).sum(axis=-1)
        self.square = (share * points**2).sum(axis=-1)
        self.free_energy = -x @ p[own[0]] + x**2 @ p.get(own[1], np.zeros(x.shape[1])) / 2 - log_partition.sum(axis=1)


def check(kernels: Kernels, visible: str, hidden: str) -> None:
    units = {"v": visible, "h": hidden}
    rng = np.random.default_rng(1)
    p = parameters(visible, hidden, rng)
    x = {"v": states(visible, rng, (5, N_V)), "h": states(hidden, rng, (5, N_H))}
    # The quadrature is good to 1e-12, and sums of up to five rows and three units of numbers below 100 follow.
    close: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}
    expected = -np.einsum("ti,ij,tj->t", x["v"], p["w"], x["h"]) - x["v"] @ p["a"] - x["h"] @ p["b"]
    expected += x["v"] ** 2 @ p.get("p", np.zeros(N_V)) / 2 + x["h"] ** 2 @ p.get("q", np.zeros(N_H)) / 2
    np.testing.assert_allclose(kernels.energy(x["v"], x["h"], **p), expected, **close)
    weights = np.linspace(-1, 1, 5)
    for given, other in (("v", "h"), ("h", "v")):
        side = Side(x[given], other, units, p)
        np.testing.assert_allclose(kernels.free_energy(x[given], of=given, **p), side.free_energy, **close)
        np.testing.assert_allclose(kernels.mean(other, x[given], **p), side.mean, **close)
        mean = {other: side.mean, given: x[given]}
        square = {other: side.square, given: x[given] ** 2}
        phase = {
            "a": weights @ mean["v"],
            "b": weights @ mean["h"],
            "w": np.einsum("t,ti,tj->ij", weights, mean["v"], mean["h"]),
            "p": -weights @ square["v"] / 2,
            "q": -weights @ square["h"] / 2,
        }
        found = kernels.phase(x[given], of=given, row_weights=weights, **p)
        assert found.keys() == p.keys()
        for name, value in found.items():
            np.testing.assert_allclose(value, phase[name], **close)
        if f"sample_of_{other}" in kernels.methods:
            rows = 4000
            drawn = kernels.sample(other, np.repeat(x[given][:1], rows, axis=0), 11, **p)
            error = np.sqrt((side.square - side.mean**2)[0] / rows)
            # Five standard errors; the key is fixed, so this holds or it does not.
            assert (np.abs(drawn.mean(axis=0) - side.mean[0]) < 5 * error).all()
            both, again = kernels.phase_and_sample(x[given], 3, of=given, row_weights=weights, **p)
            np.testing.assert_array_equal(again, kernels.sample(other, x[given], 3, **p))
            for name, value in both.items():
                np.testing.assert_allclose(value, found[name], rtol=1e-13, atol=1e-13)
    listed = next((layer for layer, unit in units.items() if unit in FINITE), None)
    if listed is None:
        with pytest.raises(
            ValueError, match=r"no kernel log_partition: the sum over the layers v, h has no closed form"
        ):
            kernels.log_partition(**p)
        return
    points, measure = support(units[listed])
    size = N_V if listed == "v" else N_H
    rows = np.array(list(itertools.product(points, repeat=size)))
    weight = np.array([sum(one) for one in itertools.product(measure, repeat=size)])
    other = "h" if listed == "v" else "v"
    expected = log_sum(weight - Side(rows, other, units, p).free_energy)
    assert kernels.log_partition(**p) == pytest.approx(float(expected), rel=1e-10)


UNITS = FINITE + ENDLESS
PAIRS = [
    # The other half are the same pairs with the layers' names exchanged.
    pytest.param(visible, hidden, marks=[pytest.mark.slow] if UNITS.index(visible) < UNITS.index(hidden) else [])
    for visible in UNITS
    for hidden in UNITS
]


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_every_pair_of_units_agrees_with_sums_over_single_units(visible: str, hidden: str) -> None:
    check(compile_energy(energy(visible, hidden), "numpy"), visible, hidden)


@pytest.mark.parametrize(
    ("visible", "hidden"),
    [
        ("gaussian", "binary"),
        ("poisson", "binomial(3)"),
        ("exponential", "{-1, 0, 2}"),
        ("relu", "uniform"),
        ("gamma(5/2)", "integer(3)"),
        ("geometric", "spin"),
    ],
)
def test_units_with_the_numba_target(visible: str, hidden: str) -> None:
    check(compile_energy(energy(visible, hidden), "numba"), visible, hidden)


@pytest.mark.parametrize("visible", UNITS)
def test_units_with_the_array_api_target(visible: str) -> None:
    kernels = compile_energy(energy(visible, "gaussian"), "array-api")
    check(kernels, visible, "gaussian")
    if visible in ("binomial(3)", "poisson", "gamma(5/2)"):
        with pytest.raises(ValueError, match="cannot be drawn with the target"):
            kernels.sample("v", np.ones((1, N_H)), 1, **parameters(visible, "gaussian", np.random.default_rng(0)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pair", [("gaussian", "binary"), ("exponential", "{-1, 0, 2}")])
def test_targets_draw_the_same_states(pair: tuple[str, str], dtype: type) -> None:
    rng = np.random.default_rng(4)
    p = {name: value.astype(dtype) for name, value in parameters(*pair, rng).items()}
    h = states(pair[1], rng, (50, N_H)).astype(dtype)
    drawn = [
        compile_energy(energy(*pair), target).sample("v", h, 5, first_row=2, **p)
        for target in ("numpy", "numba", "array-api")
    ]
    for other in drawn[1:]:
        assert other.dtype == dtype
        # The random bits are the same, the functions of them differ by rounding.
        np.testing.assert_allclose(other, drawn[0], rtol=50 * np.finfo(dtype).eps, atol=10 * np.finfo(dtype).eps)


# Learnt variances


LEARNT = Energy.parse(
    "sum((v[i]-a[i])^2/(2*s[i]^2), i) - sum(v[i]/s[i]^2*w[i,j]*h[j], i, j) - sum(b[j]*h[j], j)",
    visible={"v": "gaussian"},
    hidden={"h": "binary"},
)


@pytest.mark.parametrize("target", ["numpy", "numba", "array-api"])
def test_a_learnt_variance(target: str) -> None:
    kernels = compile_energy(LEARNT, target)
    rng = np.random.default_rng(2)
    p = {
        "a": rng.normal(size=N_V),
        "b": rng.normal(size=N_H),
        "s": 0.5 + rng.random(N_V),
        "w": rng.normal(size=(N_V, N_H)),
    }
    h = rng.integers(0, 2, (4, N_H)).astype(float)
    np.testing.assert_allclose(kernels.mean("v", h, **p), p["a"] + h @ p["w"].T, rtol=1e-13)
    # ∫ e^{−E} dv, worked out by hand: each unit is a normal density times e^{(field² − a²) / 2s²}.
    field = p["a"] + h @ p["w"].T
    expected = -h @ p["b"] - ((field**2 - p["a"] ** 2) / (2 * p["s"] ** 2) + np.log(2 * np.pi * p["s"] ** 2) / 2).sum(
        axis=1
    )
    np.testing.assert_allclose(kernels.free_energy(h, of="h", **p), expected, rtol=1e-12)
    every = np.array(list(itertools.product((0.0, 1.0), repeat=N_H)))
    z = log_sum(-kernels.free_energy(every, of="h", **p))
    assert kernels.log_partition(**p) == pytest.approx(float(z), rel=1e-13)
    drawn = kernels.sample("v", np.repeat(h[:1], 4000, axis=0), 3, **p)
    # Five standard errors of a mean and of a standard deviation.
    assert (np.abs(drawn.mean(axis=0) - field[0]) < 5 * p["s"] / np.sqrt(4000)).all()
    assert (np.abs(drawn.std(axis=0) / p["s"] - 1) < 5 / np.sqrt(8000)).all()
    for of, x in (("h", h), ("v", drawn[:4])):
        phase = kernels.phase(np.ascontiguousarray(x), of=of, **p)
        for name, value in p.items():
            for place in np.ndindex(value.shape):
                slopes = []
                for sign in (-1, 1):
                    moved = {**p, name: value.copy()}
                    moved[name][place] += sign * 1e-5
                    slopes.append(-kernels.free_energy(np.ascontiguousarray(x), of=of, **moved).sum())
                # Central differences: step² times a third derivative below 1e3, and rounding of 1e-14 over the step.
                assert phase[name][place] == pytest.approx((slopes[1] - slopes[0]) / 2e-5, rel=1e-6, abs=1e-7)


# Conditions


@pytest.mark.parametrize("target", ["numpy", "numba", "array-api"])
def test_a_rate_that_is_not_positive_is_refused(target: str) -> None:
    kernels = compile_energy(energy("exponential", "binary"), target)
    p = {"a": np.full(N_V, -1.0), "b": np.zeros(N_H), "w": np.full((N_V, N_H), 0.6)}
    h = np.array([[0.0, 1.0], [1.0, 1.0]])
    assert np.isfinite(kernels.mean("v", h[:1], **p)).all()
    message = (
        r"-a\[i\] - sum\(w\[i, k\]\*h\[k\], k\), the rate of the exponential units of layer v, must be positive and "
        r"finite.* Got -0.2 at row 1, unit 0; change a or w so"
    )
    with pytest.raises(DivergentError, match=message):
        kernels.mean("v", h, **p)
    with pytest.raises(DivergentError, match="the rate of the exponential units"):
        kernels.sample("v", h, 1, **p)
    with pytest.raises(DivergentError, match="the rate of the exponential units"):
        kernels.free_energy(h, of="h", **p)
    with pytest.raises(DivergentError, match="the rate of the exponential units"):
        kernels.phase(h, of="h", **p)
    with pytest.raises(DivergentError, match="the rate of the exponential units"):
        kernels.phase_and_sample(h, 1, of="h", **p)
    with pytest.raises(DivergentError, match="the rate of the exponential units"):
        kernels.log_partition(**p)
    # What needs no sum over that layer has an answer.
    assert np.isfinite(kernels.mean("h", np.ones((1, N_V)), **p)).all()


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("target", ["numpy", "numba", "array-api"])
def test_a_precision_that_is_not_positive_is_refused(target: str, wrong: float) -> None:
    kernels = compile_energy(energy("gaussian", "binary"), target)
    p = {"a": np.zeros(N_V), "b": np.zeros(N_H), "w": np.zeros((N_V, N_H)), "p": np.array([1.0, wrong, 1.0])}
    for call in (
        lambda: kernels.mean("v", np.ones((2, N_H)), **p),
        lambda: kernels.log_partition(**p),
        lambda: kernels.free_energy(np.ones((2, N_H)), of="h", **p),
    ):
        with pytest.raises(DivergentError, match=r"p\[i\], the precision of the gaussian units .* at unit 1; change p"):
            call()


def test_the_docstring_says_what_must_be_positive() -> None:
    source = compile_energy(energy("gaussian", "binary"), "numpy").source
    assert "Raises DivergentError unless positive: p[i], the precision of the gaussian units of layer v." in source


def test_two_conditions_of_one_layer_are_told_apart() -> None:
    text = "sum(p[j]*pos(h[j])^2 + q[j]*neg(h[j])^2, j)/2 - sum(v[i]*w[i,j]*h[j], i, j)"
    kernels = compile_energy(Energy.parse(text, visible={"v": "binary"}, hidden={"h": "drelu"}), "numpy")
    good = {"p": np.ones(2), "q": np.ones(2), "w": np.zeros((1, 2))}
    for name in "pq":
        with pytest.raises(
            DivergentError, match=rf"^{name}\[j\], the precision of the drelu units .* change {name} so"
        ):
            kernels.mean("h", np.ones((1, 1)), **good | {name: np.array([1.0, -1.0])})


# Units whose energies hold other functions of the state than powers


OTHERS = {
    "drelu": (
        "tp[j]*pos(h[j]) - gp[j]*pos(h[j])^2/2 + tn[j]*neg(h[j]) - gn[j]*neg(h[j])^2/2 + c[j]*h[j]",
        lambda s, p, j: (p["tp"][j] - p["gp"][j] * s / 2 if s > 0 else p["tn"][j] - p["gn"][j] * s / 2) * s,
    ),
    "spike_and_slab": (
        "c[j]*h[j] + t[j]*nonzero(h[j]) - q[j]*h[j]^2/2",
        lambda s, p, j: (p["t"][j] if s != 0 else 0) - p["q"][j] * s**2 / 2,
    ),
    "von_mises": ("c[j]*cos(h[j]) + t[j]*sin(h[j])", lambda s, p, j: p["t"][j] * _MP.sin(s)),
}
_MP = mpmath.MPContext()
_MP.dps = 40


@pytest.mark.parametrize("target", ["numpy", "numba", "array-api"])
@pytest.mark.parametrize("unit", OTHERS)
def test_units_with_other_functions_of_their_states(unit: str, target: str) -> None:
    text, own = OTHERS[unit]
    basis, coupled = (_MP.cos, "cos(h[j])") if unit == "von_mises" else (lambda s: s, "h[j]")
    made = Energy.parse(
        f"-sum(v[i]*w[i,j]*{coupled}, i, j) - sum({text}, j)", visible={"v": "binary"}, hidden={"h": unit}
    )
    kernels = compile_energy(made, target)
    rng = np.random.default_rng(3)
    p = {
        name: 0.5 + rng.random(tuple({"v": N_V, "h": N_H}[layer] for layer in layers))
        for name, layers in kernels.parameters.items()
    }
    v = np.array([[1.0, 0.0, 1.0]])
    field = (v @ p["w"] + p["c"])[0]

    def average(f: Callable[[Any], Any], j: int) -> float:
        return float(points_of_domain(lookup(unit), lambda s: f(s) * _MP.exp(own(s, p, j) + basis(s) * field[j])))

    total = [average(lambda s: 1, j) for j in range(N_H)]
    assert kernels.free_energy(v, **p)[0] == pytest.approx(-sum(map(math.log, total)), rel=1e-10)
    mean = [average(basis, j) / total[j] for j in range(N_H)]
    np.testing.assert_allclose(kernels.phase(v, **p)["c"], mean, rtol=1e-10)
    if unit != "von_mises":
        np.testing.assert_allclose(kernels.mean("h", v, **p)[0], mean, rtol=1e-10)
    elif target == "array-api":
        return
    drawn = kernels.sample("h", np.repeat(v, 4000, axis=0), 3, **p)
    drawn = np.cos(drawn) if unit == "von_mises" else drawn
    # Five standard errors; the key is fixed, so this holds or it does not.
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * drawn.std(axis=0) / np.sqrt(4000)).all()
