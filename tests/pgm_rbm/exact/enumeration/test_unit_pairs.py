"""Exact answers of a finite layer beside a layer of any unit, against the definition: every configuration of the finite
layer, and a sum or quadrature over the states of each unit of the other one."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import DivergentError, NoFiniteDomainError, NotPairwiseError

FINITE = ("binary", "spin", "binomial(3)", "integer(2)", "{-1, 0, 1}", "potts(3)")
RATED = ("exponential", "geometric", "gamma(2)")
QUADRATIC = ("gaussian", "relu", "drelu", "spike_and_slab")
UNITS = (*FINITE, "uniform", *RATED, *QUADRATIC, "poisson")
N, M = 3, 2


@dataclass(frozen=True)
class Grid:
    """States of a unit.

    Attributes:
        states: their values.
        features: what the energy is linear in, shape (states, features): the value, or a label as ones and zeros.
        log_density: ln of what a state weighs of itself, −s²/2 of Gaussian kinds included.
        log_step: ln of the quadrature weight.
    """

    states: np.ndarray
    features: np.ndarray
    log_density: np.ndarray
    log_step: np.ndarray

    @property
    def logs(self) -> np.ndarray:
        return self.log_density + self.log_step


@cache
def grid(unit: str) -> Grid:
    """The intervals end where what is left out is below 1e-14 of the sum, for the parameters used here."""
    counts = {
        "binary": [0, 1],
        "spin": [-1, 1],
        "binomial(3)": [0, 1, 2, 3],
        "integer(2)": [0, 1, 2],
        "{-1, 0, 1}": [-1, 0, 1],
        "potts(3)": [0, 1, 2],
        "poisson": range(60),
        "geometric": range(90),
    }
    if unit in counts:
        states = np.array(counts[unit], dtype=float)
        density = np.zeros(len(states))
        if unit == "binomial(3)":
            density = np.log([1.0, 3, 3, 1])
        if unit == "poisson":
            density = np.array([-math.lgamma(k + 1) for k in states])
        features = np.eye(3) if unit.startswith("potts") else states[:, None]
        return Grid(states, features, density, np.zeros(len(states)))
    low, high = {"uniform": (0, 1), "relu": (0, 12)}.get(unit, (0, 80) if unit in RATED else (-12, 12))
    x, w = np.polynomial.legendre.leggauss(40)
    edges = np.linspace(low, high, 9)
    states = np.concatenate([(b - a) / 2 * x + (a + b) / 2 for a, b in itertools.pairwise(edges)])
    steps = np.log(np.concatenate([(b - a) / 2 * w for a, b in itertools.pairwise(edges)]))
    density = np.log(states) if unit == "gamma(2)" else np.zeros(len(states))
    if unit in QUADRATIC:
        density = -(states**2) / 2
    if unit == "spike_and_slab":
        states, density, steps = np.append(states, 0.0), np.append(density, 0.0), np.append(steps, 0.0)
    return Grid(states, states[:, None], density, steps)


@dataclass
class Truth:
    """x the finite layer, y the other one; biases of shape (units, features), weights (N, features, M, features)."""

    x: str
    y: str
    seed: int = 0
    missing: float = 0.0

    def __post_init__(self) -> None:
        rng = np.random.default_rng([UNITS.index(self.x), UNITS.index(self.y), self.seed])
        gx, gy = grid(self.x), grid(self.y)
        fx, fy = gx.features.shape[1], gy.features.shape[1]
        self.a = 0.3 * rng.normal(size=(N, fx))
        self.b = 0.3 * rng.normal(size=(M, fy)) - (2.6 if self.y in RATED else 0)
        self.mask = rng.random((N, M)) >= self.missing
        self.w = np.clip(0.2 * rng.normal(size=(N, fx, M, fy)), -0.15, 0.15) * self.mask[:, None, :, None]
        places = np.array(list(itertools.product(range(len(gx.states)), repeat=N)))
        self.rows, self.features = gx.states[places], gx.features[places]
        field = self.b + np.einsum("rnf,nfmg->rmg", self.features, self.w)
        terms = np.einsum("rmg,sg->rms", field, gy.features) + gy.logs
        inner = np.logaddexp.reduce(terms, axis=2)
        logs = np.einsum("rnf,nf->r", self.features, self.a) + gx.logs[places].sum(axis=1) + inner.sum(axis=1)
        self.log_z = float(np.logaddexp.reduce(logs))
        self.log_p = logs - self.log_z
        self.p = np.exp(self.log_p)
        self.log_chance = terms - inner[:, :, None]
        self.chance = np.exp(self.log_chance)  # of y_j given x, shape (rows, M, states)

    def moments(self) -> dict[str, np.ndarray]:
        y = self.chance @ grid(self.y).features
        return {
            "x": np.einsum("r,rnf->nf", self.p, self.features),
            "y": np.einsum("r,rmg->mg", self.p, y),
            "xy": np.einsum("r,rnf,rmg->nfmg", self.p, self.features, y),
        }

    def entropy(self) -> float:
        """Of the joint distribution, of a density where y is continuous."""
        given = -(self.chance * (self.log_chance - grid(self.y).log_step)).sum(axis=(1, 2))
        return float(self.p @ (given - self.log_p))

    def model(self, finite_first: bool, dtype: type = np.float64, target: str = "numpy") -> RBM:
        labels = [unit.startswith("potts") for unit in (self.x, self.y)]
        a = self.a if labels[0] else self.a[:, 0]
        b = self.b if labels[1] else self.b[:, 0]
        w = self.w if finite_first else self.w.transpose(2, 3, 0, 1)
        one, two = labels if finite_first else labels[::-1]
        w = w if one else w[:, 0]
        w = w if two else w[..., 0]
        units = (self.x, self.y) if finite_first else (self.y, self.x)
        sizes = (N, M) if finite_first else (M, N)
        rbm = RBM(*sizes, *units, seed=0, dtype=dtype, target=target)
        ends = {"drelu": ("_pos", "_neg")}  # with one bias on both sides, that of the value
        for name, unit, bias in zip("ab" if finite_first else "ba", (self.x, self.y), (a, b), strict=True):
            rbm.set_parameters(**{name + end: bias for end in ends.get(unit, ("",))})
        rbm.set_parameters(w=np.ascontiguousarray(w))
        return rbm


def known(finite_first: bool, moments: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    xy = moments["xy"] if finite_first else moments["xy"].transpose(2, 3, 0, 1)
    own, other = ("x", "y") if finite_first else ("y", "x")
    return {"w": xy, "a": moments[own], "b": moments[other]}


def by_value(phase: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Averages of values, where a unit has biases for its positive and its negative part."""
    return phase | {name: phase[f"{name}_pos"] + phase[f"{name}_neg"] for name in "ab" if f"{name}_pos" in phase}


def marked(quick: set[str]) -> list[object]:
    return [
        pytest.param(x, y, marks=() if x in quick else pytest.mark.slow) for x, y in itertools.product(FINITE, UNITS)
    ]


PAIRS = marked({"spin", "potts(3)"})


@pytest.mark.parametrize(("x", "y"), PAIRS)
@pytest.mark.parametrize("finite_first", [True, False], ids=["finite visible", "finite hidden"])
def test_sums_averages_and_entropies(x: str, y: str, finite_first: bool) -> None:
    truth = Truth(x, y)
    rbm = truth.model(finite_first)
    # Quadrature of smooth functions on panels of 40 points: far below 1e-9, which is asked of it.
    close = {"rtol": 1e-9, "atol": 1e-9}
    assert float(rbm.log_partition()) == pytest.approx(truth.log_z, abs=1e-9)
    phase = by_value(rbm.expectations().phase)
    for name, value in known(finite_first, truth.moments()).items():
        np.testing.assert_allclose(phase[name].ravel(), value.ravel(), **close)
    own = "v" if finite_first else "h"
    assert rbm.entropy(own) == pytest.approx(-truth.p @ truth.log_p, abs=1e-9)
    best = rbm.most_probable(of=own)
    np.testing.assert_array_equal(best.visible if finite_first else best.hidden, truth.rows[truth.p.argmax()])
    assert best.log_probability == pytest.approx(truth.log_p.max(), abs=1e-9)
    if finite_first:
        np.testing.assert_allclose(rbm.log_probability(truth.rows), truth.log_p, **close)
        data = np.repeat(truth.rows[:5], [1, 2, 3, 1, 2], axis=0)
        q = np.array([1, 2, 3, 1, 2]) / 9
        assert rbm.kl_divergence(data) == pytest.approx(q @ (np.log(q) - truth.log_p[:5]), abs=1e-9)
        term_a = Truth(x, y)
        term_a.p = np.zeros(len(truth.p))
        term_a.p[:5] = q
        gradient = rbm.gradient(data)
        of_data, difference = by_value(gradient.term_a), by_value(dict(gradient.difference))
        for name, value in known(True, term_a.moments()).items():
            np.testing.assert_allclose(of_data[name].ravel(), value.ravel(), **close)
            np.testing.assert_allclose(difference[name], of_data[name] - phase[name], **close)


@pytest.mark.parametrize(("x", "y"), PAIRS)
def test_the_joint_entropy_or_why_there_is_none(x: str, y: str) -> None:
    truth = Truth(x, y)
    for finite_first in (True, False):
        rbm = truth.model(finite_first)
        if y in ("poisson", "gamma(2)"):
            with pytest.raises(NoFiniteDomainError, match=r"weigh of themselves.*no closed form.*ask for one layer"):
                rbm.entropy()
        else:
            assert rbm.entropy() == pytest.approx(truth.entropy(), abs=1e-9)


@pytest.mark.parametrize(("x", "y"), PAIRS)
def test_the_most_probable_pair_or_why_there_is_none(x: str, y: str) -> None:
    truth = Truth(x, y)
    rbm = truth.model(True)
    if y not in FINITE or "potts(3)" in (x, y):
        with pytest.raises(ValueError, match=r"finitely many numbers.*ask for one layer") as refused:
            rbm.most_probable()
        assert isinstance(refused.value, NoFiniteDomainError) == (y not in FINITE)
        return
    best = truth.log_p + truth.log_chance.max(axis=2).sum(axis=1)
    k = int(best.argmax())
    found = rbm.most_probable()
    np.testing.assert_array_equal(found.visible, truth.rows[k])
    np.testing.assert_array_equal(found.hidden, grid(y).states[truth.log_chance[k].argmax(axis=1)])
    assert found.log_probability == pytest.approx(best.max(), abs=1e-12)
    # The other way round another layer is enumerated.
    turned = truth.model(False).most_probable()
    np.testing.assert_array_equal(turned.hidden, found.visible)
    np.testing.assert_array_equal(turned.visible, found.hidden)
    # Given one unit, and given a whole layer.
    state = grid(x).states[-1]
    for units in ([1], range(N)):
        inside = (truth.rows[:, list(units)] == state).all(axis=1)
        k = int(np.where(inside, best, -np.inf).argmax())
        found = rbm.most_probable({("v", i): state for i in units})
        np.testing.assert_array_equal(found.visible, truth.rows[k])
        np.testing.assert_array_equal(found.hidden, grid(y).states[truth.log_chance[k].argmax(axis=1)])
        assert found.log_probability == pytest.approx(best[k] - np.logaddexp.reduce(truth.log_p[inside]), abs=1e-12)


@pytest.mark.parametrize(("x", "y"), PAIRS)
@pytest.mark.parametrize("finite_first", [True, False], ids=["finite visible", "finite hidden"])
def test_exact_draws_have_the_distribution_of_the_model(x: str, y: str, finite_first: bool) -> None:
    truth, draws = Truth(x, y), 6000
    rbm = truth.model(finite_first)
    drawn = rbm.sample(draws, method="exact", seed=4)
    np.testing.assert_array_equal(drawn, rbm.sample(draws, method="exact", seed=4, threads=1))
    if finite_first:
        place = {tuple(row): k for k, row in enumerate(truth.rows)}
        counts = np.bincount([place[tuple(row)] for row in drawn], minlength=len(truth.rows))
        expected = draws * truth.p
        often = expected >= 5
        seen, wanted = (
            np.append(counts[often], counts[~often].sum()),
            np.append(expected[often], expected[~often].sum()),
        )
        seen, wanted = seen[wanted > 0], wanted[wanted > 0]
        chi_square = float(((seen - wanted) ** 2 / wanted).sum())
        # χ² with d degrees of freedom exceeds d + 2√(d t) + 2t with a chance of at most e^{−t} (Laurent and Massart
        # 2000, lemma 1); t = ln 1e6.
        degrees, t = len(wanted) - 1, math.log(1e6)
        assert chi_square < degrees + 2 * math.sqrt(degrees * t) + 2 * t
        return
    # Functions of one unit: its mean, mean square, and product with the next one. Five standard errors.
    states = grid(y).states
    for power in (1, 2):
        mean = np.einsum("r,rms,s->m", truth.p, truth.chance, states**power)
        square = np.einsum("r,rms,s->m", truth.p, truth.chance, states ** (2 * power))
        error = np.sqrt(np.maximum(square - mean**2, 0) / draws)  # the square of a spin does not vary
        np.testing.assert_array_less(np.abs((drawn**power).mean(axis=0) - mean), 5 * error + 1e-12)
    mean, square = (np.einsum("rms,s->rm", truth.chance, states**k).prod(axis=1) @ truth.p for k in (1, 2))
    product = drawn.prod(axis=1).mean()
    assert abs(product - mean) < 5 * math.sqrt((square - mean**2) / draws)


@pytest.mark.parametrize("y", UNITS)
@pytest.mark.parametrize("x", ["spin", "binomial(3)", "potts(3)"])
def test_single_precision_and_weights_that_do_not_exist(x: str, y: str) -> None:
    truth = Truth(x, y, missing=0.6)
    assert not truth.mask.all()
    single = truth.model(True, np.float32)
    assert single.dtype == np.float32
    # Parameters are rounded to 24 bits; what is computed from the rounded ones is good to all digits.
    double = RBM(N, M, x, y, seed=0, target="numpy")
    double.set_parameters(**{name: value.astype(np.float64) for name, value in single.parameters.items()})
    assert single.log_partition() == double.log_partition()
    assert float(single.log_partition()) == pytest.approx(truth.log_z, rel=1e-5, abs=1e-5)
    for name, value in known(True, truth.moments()).items():
        found = by_value(single.expectations().phase)[name]
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, by_value(double.expectations().phase)[name])
        # Against the parameters before rounding.
        np.testing.assert_allclose(found.ravel(), value.ravel(), rtol=1e-5, atol=1e-5)
    assert single.sample(4, method="exact", seed=1).dtype == np.float32


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ("binary", "binomial(3)"),
        ("{-1, 0, 1}", "spin"),
        ("potts(3)", "binary"),
        pytest.param("binomial(3)", "binomial(3)", marks=pytest.mark.slow),
        pytest.param("integer(2)", "gaussian", marks=pytest.mark.slow),
        pytest.param("potts(3)", "potts(3)", marks=pytest.mark.slow),
        pytest.param("spin", "potts(3)", marks=pytest.mark.slow),
        pytest.param("binary", "gamma(2)", marks=pytest.mark.slow),
    ],
)
def test_compiled_kernels_say_the_same(x: str, y: str) -> None:
    truth = Truth(x, y)
    plain, compiled = truth.model(True), truth.model(True, target="numba")
    assert float(compiled.log_partition()) == pytest.approx(float(plain.log_partition()), rel=1e-12)
    for name, value in plain.expectations().phase.items():
        np.testing.assert_allclose(compiled.expectations().phase[name], value, rtol=1e-11, atol=1e-12)
    assert compiled.entropy("v") == pytest.approx(plain.entropy("v"), rel=1e-11)
    if y in FINITE:
        assert compiled.entropy() == pytest.approx(truth.entropy(), rel=1e-11)
        assert compiled.entropy("h") == pytest.approx(plain.entropy("h"), rel=1e-11)
    if y in FINITE and "potts(3)" not in (x, y):
        assert compiled.most_probable().log_probability == pytest.approx(plain.most_probable().log_probability)
    fisher = compiled.fisher_information().matrix
    np.testing.assert_allclose(fisher, plain.fisher_information().matrix, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("x", "y"), [("potts(3)", "binary"), ("spin", "potts(3)"), ("potts(3)", "potts(3)")])
def test_the_fisher_information_of_labels_is_the_covariance_of_the_score(x: str, y: str) -> None:
    truth = Truth(x, y)
    rbm = truth.model(True)
    scores = []
    for row in truth.rows:
        gradient = rbm.gradient(row[None])
        scores.append(np.concatenate([gradient[name].ravel() for name in rbm.parameters]))
    expected = np.einsum("r,ri,rj->ij", truth.p, np.array(scores), np.array(scores))
    np.testing.assert_allclose(rbm.fisher_information().matrix, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("unit", RATED)
@pytest.mark.parametrize("visible", [True, False])
def test_labels_that_let_a_rate_fall_to_zero_are_refused(unit: str, visible: bool) -> None:
    rbm = RBM(2, 1, "potts(3)", unit, target="numpy") if visible else RBM(1, 2, unit, "potts(3)", target="numpy")
    rate = {"b" if visible else "a": np.array([-1.0])}
    shape = rbm.parameters["w"].shape
    labels = np.array([[0.0, 0.4, -3.0], [0.5, -2.0, 0.0]])  # the largest of each add up to 0.9
    rbm.set_parameters(w=labels.reshape(shape), **rate)
    with pytest.raises(DivergentError, match=f"{unit} units of layer|rate"):
        rbm.set_parameters(w=(1.2 * labels).reshape(shape), **rate)


@pytest.mark.parametrize(("v", "h"), [("gaussian", "gaussian"), ("uniform", "exponential"), ("relu", "uniform")])
def test_two_infinite_layers_are_refused_with_the_way_out(v: str, h: str) -> None:
    rbm = RBM(2, 2, v, h, seed=0, target="numpy")
    data = np.full((1, 2), 0.5)
    for ask in (
        rbm.log_partition,
        rbm.moments,
        lambda: rbm.gradient(data),
        lambda: rbm.log_probability(data),
        lambda: rbm.sample(3, method="exact"),
    ):
        with pytest.raises(NoFiniteDomainError, match=rf"v \({v}\) and h \({h}\)\. Choose binary, .* Gibbs samples"):
            ask()
    for ask in (lambda: rbm.entropy("v"), lambda: rbm.most_probable(of="h"), lambda: rbm.kl_divergence(data)):
        with pytest.raises(NoFiniteDomainError, match="finitely many states"):
            ask()


def test_labels_have_no_moments_but_probabilities() -> None:
    with pytest.raises(NotPairwiseError, match=r"expectations\(\)"):
        Truth("potts(3)", "binary").model(True).moments()
