"""RBMs of any two unit types against sums and quadrature over both layers, written out from the definition."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import DivergentError, ValueOutsideDomainError
from pgm_rbm.model.convergence import Convergence
from pgm_rbm.model.layout import Layout

FINITE = ("binary", "spin", "binomial(3)", "integer(2)", "{-1, 0, 1}")
BOUNDED = (*FINITE, "uniform")
RATED = ("exponential", "geometric", "gamma(2)")
GAUSSIAN = ("gaussian", "relu")
UNITS = (*BOUNDED, *RATED, *GAUSSIAN, "poisson")
N_V, N_H = 2, 2


@cache
def grid(unit: str) -> tuple[np.ndarray, np.ndarray]:
    """States of one unit, and ln of the weight of each: its measure times a quadrature weight, and −s²/2 for Gaussians.

    The intervals end where what is left out is below 1e-14 of the sum, for the parameters used here.
    """
    if unit.startswith("{"):
        return np.array([-1.0, 0.0, 1.0]), np.zeros(3)
    match unit:
        case "binary":
            return np.array([0.0, 1.0]), np.zeros(2)
        case "spin":
            return np.array([-1.0, 1.0]), np.zeros(2)
        case "binomial(3)":
            return np.arange(4.0), np.log([1.0, 3, 3, 1])
        case "integer(2)":
            return np.arange(3.0), np.zeros(3)
        case "poisson":
            k = np.arange(60.0)
            return k, np.array([-math.lgamma(one + 1) for one in k])
        case "geometric":
            return np.arange(90.0), np.zeros(90)
    ends = {"uniform": (0, 1, 1), "gaussian": (-10, 11, 4), "relu": (0, 11, 3)}.get(unit, (0, 80, 5))
    low, high, panels = ends
    x, w = np.polynomial.legendre.leggauss(24)
    # Panels grow towards the far end, where the integrand is flat.
    edges = low + (high - low) * np.linspace(0, 1, panels + 1) ** (2 if low == 0 else 1)
    states = np.concatenate([(b - a) / 2 * x + (a + b) / 2 for a, b in itertools.pairwise(edges)])
    logs = np.log(np.concatenate([(b - a) / 2 * w for a, b in itertools.pairwise(edges)]))
    if unit == "gamma(2)":
        # With s = t² the measure s ds is 2 t³ dt, and e^{−rate s} is smooth in t too.
        top = math.sqrt(high)
        edges = np.linspace(0, top, panels + 1)
        t = np.concatenate([(b - a) / 2 * x + (a + b) / 2 for a, b in itertools.pairwise(edges)])
        weights = np.concatenate([(b - a) / 2 * w for a, b in itertools.pairwise(edges)])
        return t**2, np.log(2 * weights) + 3 * np.log(t)
    return states, logs - (states**2 / 2 if unit in GAUSSIAN else 0)


def coupled(v: str, h: str) -> bool:
    """Whether some weights other than zero have a Z."""
    return not ("gaussian" in (v, h) and ({v, h} & {*RATED, "poisson"}))


def parameters(v: str, h: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([UNITS.index(v), UNITS.index(h)])
    w = np.clip(0.2 * rng.normal(size=(N_V, N_H)), -0.15, 0.15)
    if not {v, h} & set(BOUNDED) and not {v, h} <= set(GAUSSIAN):
        w = -np.abs(w)
    a, b = (0.3 * rng.normal(size=n) - (2.6 if unit in RATED else 0) for unit, n in ((v, N_V), (h, N_H)))
    return {"w": w, "a": a, "b": b}


@dataclass
class Truth:
    """A model by its definition: E = −a·v − b·h − v·w·h, and s²/2 for units of Gaussian kind."""

    v: str
    h: str
    p: dict[str, np.ndarray]

    def log_inner(self, v: np.ndarray) -> np.ndarray:
        """ln Σ_h of every row, the base measure of v left out; the units of h are independent given v."""
        states, logs = grid(self.h)
        fields = v @ self.p["w"] + self.p["b"]
        inner = np.logaddexp.reduce(fields[:, :, None] * states + logs, axis=2).sum(axis=1)
        square = (v**2).sum(axis=1) / 2 if self.v in GAUSSIAN else 0
        return v @ self.p["a"] - square + inner

    def visible(self) -> tuple[np.ndarray, np.ndarray]:
        """All v of the grid with ln of their weights, which sum to Z."""
        states, logs = grid(self.v)
        rows = np.array(list(itertools.product(states, repeat=N_V)))
        own = np.array([sum(pair) for pair in itertools.product(logs, repeat=N_V)])
        if self.v in GAUSSIAN:
            own = own + (rows**2).sum(axis=1) / 2  # it is in log_inner already
        return rows, own + self.log_inner(rows)


# Each unit beside a binary one, and some of the others, with the fast tests; every pair there is with the slow ones.
OTHERS = {
    ("spin", "relu"),
    ("integer(2)", "gaussian"),
    ("gaussian", "{-1, 0, 1}"),
    ("poisson", "binomial(3)"),
    ("{-1, 0, 1}", "exponential"),
    ("uniform", "uniform"),
    ("gaussian", "gaussian"),
    ("relu", "poisson"),
    ("exponential", "geometric"),
}


def marked(pairs: list[tuple[str, str]]) -> list[object]:
    quick = [pair in OTHERS or "binary" in pair for pair in pairs]
    return [
        pytest.param(*pair, marks=() if fast else pytest.mark.slow) for pair, fast in zip(pairs, quick, strict=True)
    ]


EVERY = [(v, h) for v in UNITS for h in UNITS if coupled(v, h)]
PAIRS = marked(EVERY)
SUMMED = marked([(v, h) for v, h in EVERY if v in FINITE or h in FINITE])


def model(v: str, h: str, target: str = "numpy") -> RBM:
    p = parameters(v, h)
    return RBM.from_parameters(p["w"], p["a"], p["b"], v, h, seed=1, target=target)


def some_data(v: str, n: int = 7) -> np.ndarray:
    rng = np.random.default_rng(3)
    if v in ("uniform", "exponential", "gamma(2)", "relu"):
        return rng.random((n, N_V))
    if v == "gaussian":
        return rng.normal(size=(n, N_V))
    states = grid(v)[0][:4]
    return rng.choice(states, size=(n, N_V))


@pytest.mark.parametrize(("v", "h"), SUMMED)
def test_exact_answers_are_the_sums_and_integrals(v: str, h: str) -> None:
    rbm, truth = model(v, h), Truth(v, h, parameters(v, h))
    _, logs = truth.visible()
    log_z = float(np.logaddexp.reduce(logs))
    # Quadrature of smooth functions on panels of 24 points: far below 1e-9, which is asked of it.
    assert float(rbm.log_partition()) == pytest.approx(log_z, abs=1e-9)
    x = some_data(v)
    measure = {
        "binomial(3)": lambda s: math.log(math.comb(3, int(s))),
        "poisson": lambda s: -math.lgamma(s + 1),
        "gamma(2)": math.log,
    }.get(v, lambda s: 0.0)
    own = np.array([sum(map(measure, row)) for row in x])
    np.testing.assert_allclose(rbm.log_probability(x), truth.log_inner(x) + own - log_z, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("v", "h"), SUMMED)
def test_the_exact_gradient_is_the_derivative(v: str, h: str) -> None:
    rbm, p = model(v, h), parameters(v, h)
    x = some_data(v)
    found = rbm.gradient(x)
    step = 1e-5
    for name, value in p.items():
        for place in list(np.ndindex(value.shape))[::3]:
            sides = []
            for sign in (1, -1):
                moved = value.copy()
                moved[place] += sign * step
                truth = Truth(v, h, p | {name: moved})
                sides.append(truth.log_inner(x).mean() - np.logaddexp.reduce(truth.visible()[1]))
            # Central differences: step² times a third derivative, and rounding over step: a few 1e-9 here.
            assert found[name][place] == pytest.approx((sides[0] - sides[1]) / (2 * step), abs=1e-6, rel=1e-6)


@pytest.mark.parametrize(("v", "h"), PAIRS)
def test_samples_have_the_means_of_the_model(v: str, h: str) -> None:
    rows, logs = Truth(v, h, parameters(v, h)).visible()
    p = np.exp(logs - np.logaddexp.reduce(logs))
    mean, variance = p @ rows, p @ rows**2 - (p @ rows) ** 2
    n = 4000
    drawn = model(v, h).sample(n, steps=30, seed=2)
    # Independent chains; weights this small are forgotten within a few sweeps. Five standard errors.
    np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - mean), 5 * np.sqrt(variance / n))
    if v in FINITE or h in FINITE:
        drawn = model(v, h).sample(n, method="exact", seed=2)
        np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - mean), 5 * np.sqrt(variance / n))


@pytest.mark.parametrize("unit", UNITS)
def test_conditional_means_are_those_of_the_definition(unit: str) -> None:
    rbm, p = model(unit, "binary"), parameters(unit, "binary")
    h = np.array(list(itertools.product((0.0, 1.0), repeat=N_H)))
    states, logs = grid(unit)
    weights = logs + (h @ p["w"].T + p["a"])[:, :, None] * states
    weights = np.exp(weights - np.logaddexp.reduce(weights, axis=2)[:, :, None])
    # As for ln Z.
    np.testing.assert_allclose(rbm.visible_mean(h), weights @ states, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("algorithm", ["cd", "pcd", "exact"])
@pytest.mark.parametrize(("v", "h"), [*((unit, "binary") for unit in UNITS), *(("spin", unit) for unit in UNITS)])
def test_training_raises_the_exact_likelihood(v: str, h: str, algorithm: str) -> None:
    x = model(v, h).sample(200, method="exact", seed=5)
    rbm = RBM(N_V, N_H, v, h, seed=3, target="numpy")
    if algorithm != "exact":
        rbm.initialise_visible_bias(x)
        rbm.set_parameters(a=0.6 * rbm.visible_bias - 0.4)  # away from the best, which noise would only leave
    before = rbm.log_likelihood(x)
    rbm.fit(x, algorithm, epochs=6, batch_size=50, learning_rate=0.02, seed=1)
    assert rbm.log_likelihood(x) > before
    assert rbm.history["log_likelihood"][-1] == pytest.approx(rbm.log_likelihood(x), abs=1e-12)


@pytest.mark.parametrize(
    ("v", "h"), [("gaussian", "binary"), ("poisson", "spin"), ("exponential", "binary"), ("spin", "relu")]
)
@pytest.mark.parametrize("target", ["numpy", "numba"])
def test_threads_files_and_pauses_change_no_bit(v: str, h: str, target: str, tmp_path: Path) -> None:
    x = np.repeat(some_data(v), 30, axis=0)

    def trained(threads: int, epochs: int) -> RBM:
        rbm = RBM(N_V, N_H, v, h, seed=3, target=target)
        return rbm.fit(x, "pcd", epochs=epochs, learning_rate=0.01, seed=1, threads=threads, monitor="none")

    one, other, part = trained(1, 3), trained(3, 3), trained(2, 1)
    part.save(tmp_path / "part.safetensors")
    on = RBM.load(tmp_path / "part.safetensors").fit(x, epochs=2, resume=True, monitor="none")
    for name, value in one.parameters.items():
        np.testing.assert_array_equal(value, other.parameters[name])
        np.testing.assert_array_equal(value, on.parameters[name])
    np.testing.assert_array_equal(one.sample(90, 3, seed=1, threads=1), other.sample(90, 3, seed=1, threads=3))
    clamp = {("v", 1): float(x[0, 1])}
    assert (one.sample(20, 3, clamp, seed=1)[:, 1] == x[0, 1]).all()


@pytest.mark.parametrize("unit", UNITS)
def test_data_outside_the_domain_are_refused(unit: str) -> None:
    rbm = RBM(N_V, N_H, unit, "binary", seed=1, target="numpy")
    wrong = [np.nan, np.inf]
    wrong += [-2.0] if unit != "gaussian" else []
    wrong += [0.5] if unit not in ("gaussian", "relu", "uniform", "exponential", "gamma(2)") else []
    wrong += [1.5] if unit in BOUNDED else []
    x = some_data(unit)
    for value in wrong:
        x[2, 1] = value
        with pytest.raises(
            ValueOutsideDomainError, match=r"X must hold only states of a .* unit: .* at row 2, column 1"
        ):
            rbm.fit(x)
        with pytest.raises(ValueOutsideDomainError, match=r"given\[\('v', 1\)\] must be"):
            rbm.sample(3, given={("v", 1): value})


@pytest.mark.parametrize(("v", "h"), [pair for pair in itertools.product(UNITS, UNITS) if not coupled(*pair)])
def test_pairs_without_a_z_are_refused(v: str, h: str) -> None:
    with pytest.raises(DivergentError, match=r" units cannot be coupled: Z is infinite for every weight but zero"):
        RBM(N_V, N_H, v, h)


@pytest.mark.parametrize(("v", "h"), [("gaussian", "gaussian"), ("relu", "relu"), ("gaussian", "relu")])
def test_an_indefinite_quadratic_form_is_refused(v: str, h: str) -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(6, 4))
    w = np.abs(w)  # so that rectified units cannot hide from the direction that runs away
    w /= np.linalg.norm(w, 2)
    zeros = np.zeros(6), np.zeros(4)
    RBM.from_parameters(0.999 * w, *zeros, v, h, target="numpy")
    with pytest.raises(DivergentError, match=r"the quadratic form of layers .* is not positive definite .* smaller"):
        RBM.from_parameters(1.001 * w, *zeros, v, h, target="numpy")
    rbm = RBM.from_parameters(0.999 * w, *zeros, v, h, target="numpy")
    with pytest.raises(DivergentError):
        rbm.weights = 1.001 * w
    np.testing.assert_array_equal(rbm.weights, 0.999 * w)


@pytest.mark.parametrize(("v", "h"), [("poisson", "poisson"), ("exponential", "geometric"), ("poisson", "relu")])
def test_units_that_drive_each_other_up_are_refused(v: str, h: str) -> None:
    p = parameters(v, h)
    p["w"][1, 0] = 0.01
    with pytest.raises(DivergentError, match=r"w\[1, 0\] = 0\.01 makes a .* drive each other to infinity"):
        RBM.from_parameters(p["w"], p["a"], p["b"], v, h, target="numpy")


@pytest.mark.parametrize("unit", RATED)
def test_a_rate_that_can_fall_to_zero_is_refused(unit: str) -> None:
    a, b = np.array([-1.0, -1.0]), np.zeros(2)
    RBM.from_parameters([[0.5, 0.4], [0.0, -3.0]], a, b, unit, "binary", target="numpy")
    with pytest.raises(DivergentError, match=f"{unit}|rate"):
        RBM.from_parameters([[0.5, 0.5], [0.0, -3.0]], a, b, unit, "binary", target="numpy")


@pytest.mark.parametrize(
    ("v", "h", "algorithm"),
    [
        ("exponential", "binary", "cd"),
        ("exponential", "binary", "exact"),
        ("gaussian", "gaussian", "cd"),
        ("poisson", "poisson", "cd"),
    ],
)
def test_steps_far_too_long_stay_where_the_model_exists(v: str, h: str, algorithm: str) -> None:
    x = np.repeat(some_data(v, 20), 5, axis=0) * 3
    rbm = RBM(N_V, N_H, v, h, seed=3, target="numpy")
    with np.errstate(all="ignore"):
        rbm.fit(np.round(x) if v == "poisson" else x, algorithm, epochs=4, learning_rate=2.0, seed=1, monitor="none")
    assert Convergence(Layout.of(rbm.kernels, rbm.parameters), rbm.symbolic_energy).problem(rbm.parameters) is None
    assert np.isfinite(rbm.sample(10, 5, seed=1)).all()


def test_without_a_finite_layer_exact_answers_are_refused() -> None:
    rbm = model("gaussian", "uniform")
    for call in (rbm.log_partition, lambda: rbm.log_probability(np.zeros((1, 2))), rbm.expectations):
        with pytest.raises(ValueError, match="finitely many states"):
            call()
    rbm.fit(np.random.default_rng(0).normal(size=(20, 2)), "cd", epochs=1)
    assert rbm.history[0].log_likelihood is None
