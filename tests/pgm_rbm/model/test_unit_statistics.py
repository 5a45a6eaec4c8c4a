"""RBMs of units that are coupled by functions of their states, against sums and quadrature over both layers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pgm_rbm import RBM
from symbolic import energies

SPECIAL = ("drelu", "spike_and_slab", "von_mises")
N_V, N_H = 2, 2
Arrays = dict[str, np.ndarray]

# What each unit is coupled by and what it has biases for, once more: by the ends of the parameters' names.
COUPLED = {"von_mises": {"cos": np.cos, "sin": np.sin}}
BIASED: dict[str, dict] = {
    "drelu": {"pos": lambda s: np.maximum(s, 0), "neg": lambda s: np.minimum(s, 0)},
    "spike_and_slab": {"": lambda s: s, "nonzero": lambda s: (s != 0).astype(float)},
    **COUPLED,
}


@cache
def grid(unit: str) -> tuple[np.ndarray, np.ndarray]:
    """States of one unit and ln of their weights; what lies beyond the ends is below 1e-14 of the sum here."""
    if unit in ("binary", "spin"):
        return np.array([0.0 if unit == "binary" else -1.0, 1.0]), np.zeros(2)
    if unit == "von_mises":  # equal steps, exact to all digits for smooth periodic functions
        return np.arange(48) * np.pi / 24 - np.pi, np.full(48, np.log(np.pi / 24))
    x, w = np.polynomial.legendre.leggauss(20)
    edges = np.array([-13.0, -6, -3, -1, 0, 1, 3, 6, 13])
    states = np.concatenate([(b - a) / 2 * x + (a + b) / 2 for a, b in itertools.pairwise(edges)])
    logs = np.log(np.concatenate([(b - a) / 2 * w for a, b in itertools.pairwise(edges)]))
    if unit == "spike_and_slab":
        return np.append(states, 0.0), np.append(logs, 0.0)
    return states, logs


def own(unit: str, layer: str, bias: str, p: Arrays, s: np.ndarray) -> np.ndarray:
    """What a unit's own terms add to −E, one for each unit of its layer; s of shape (units, …)."""
    found = np.zeros_like(s)
    for end, function in BIASED.get(unit, {"": lambda s: s}).items():
        found += (p["_".join(filter(None, (bias, end)))] * function(s).T).T
    if unit == "drelu":
        up, down = np.exp(-p[f"z_{layer}_pos"]), np.exp(-p[f"z_{layer}_neg"])
        found -= (up * np.maximum(s, 0).T ** 2 + down * np.minimum(s, 0).T ** 2).T / 2
    if unit in ("gaussian", "spike_and_slab"):
        found -= s**2 / 2
    return found


@dataclass
class Truth:
    v: str
    h: str
    p: Arrays

    def log_inner(self, v: np.ndarray) -> np.ndarray:
        """ln Σ_h e^{−E} of every row of v; hidden units are independent given it."""
        states, logs = grid(self.h)
        total = own(self.h, "h", "b", self.p, np.tile(states, (N_H, 1)))[:, None] + logs
        total = np.repeat(total, len(v), axis=1)
        for (end_v, f), (end_h, g) in itertools.product(*(self.coupled(unit).items() for unit in (self.v, self.h))):
            w = self.p["_".join(filter(None, ("w", end_v, end_h)))]
            total += (f(v) @ w).T[:, :, None] * g(states)
        return np.logaddexp.reduce(total, axis=2).sum(axis=0) + own(self.v, "v", "a", self.p, v.T).sum(axis=0)

    @staticmethod
    def coupled(unit: str) -> dict:
        return COUPLED.get(unit, {"": lambda s: s})

    def visible(self) -> tuple[np.ndarray, np.ndarray]:
        states, logs = grid(self.v)
        rows = np.array(list(itertools.product(states, repeat=N_V)))
        return rows, np.array([sum(pair) for pair in itertools.product(logs, repeat=N_V)]) + self.log_inner(rows)


def model(v: str, h: str) -> RBM:
    rbm = RBM(N_V, N_H, v, h, seed=1, target="numpy")
    rng = np.random.default_rng(4)
    p = {name: 0.3 * rng.normal(size=value.shape) for name, value in rbm.parameters.items()}
    rbm.set_parameters(**p)
    return rbm


OTHERS = ("binary", "spin", "gaussian")
PAIRS = [pair for pair in itertools.product((*OTHERS, *SPECIAL), repeat=2) if set(pair) & set(SPECIAL)]
SUMMED = [pair for pair in PAIRS if {"binary", "spin"} & set(pair)]


@pytest.mark.parametrize(("v", "h"), SUMMED)
def test_exact_answers_are_the_sums_and_integrals(v: str, h: str) -> None:
    rbm = model(v, h)
    truth = Truth(v, h, rbm.parameters)
    log_z = np.logaddexp.reduce(truth.visible()[1])
    # Quadrature of smooth functions on panels of 20 points: below 1e-10, and 1e-9 is asked for.
    assert float(rbm.log_partition()) == pytest.approx(log_z, abs=1e-9)
    x = rbm.sample(5, steps=3, seed=0)
    np.testing.assert_allclose(rbm.log_probability(x), truth.log_inner(x) - log_z, rtol=0, atol=1e-9)
    gradient = rbm.gradient(x)
    step = 1e-5
    for name, value in rbm.parameters.items():
        sides = []
        for sign in (1, -1):
            moved = value.copy()
            moved[(0,) * value.ndim] += sign * step
            other = Truth(v, h, rbm.parameters | {name: moved})
            sides.append(other.log_inner(x).mean() - np.logaddexp.reduce(other.visible()[1]))
        # Central differences: step² times a third derivative, and rounding over step: a few 1e-9 here.
        slope = (sides[0] - sides[1]) / (2 * step)
        assert gradient[name][(0,) * value.ndim] == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize(("v", "h"), PAIRS)
def test_samples_have_the_averages_of_the_model(v: str, h: str) -> None:
    rbm = model(v, h)
    rows, logs = Truth(v, h, rbm.parameters).visible()
    p = np.exp(logs - np.logaddexp.reduce(logs))
    n = 3000
    drawn = rbm.sample(n, steps=40, seed=2)
    for function in (BIASED.get(v) or {"": lambda s: s}).values():
        mean = p @ function(rows)
        deviation = np.sqrt(p @ function(rows) ** 2 - mean**2)
        # Independent chains; weights this small are forgotten within a few sweeps. Five standard errors.
        np.testing.assert_array_less(np.abs(function(drawn).mean(axis=0) - mean), 5 * deviation / np.sqrt(n))


@pytest.mark.parametrize("algorithm", ["cd", "pcd", "exact"])
@pytest.mark.parametrize("unit", SPECIAL)
@pytest.mark.parametrize("side", ["visible", "hidden"])
def test_training_raises_the_likelihood_and_goes_on_from_files(
    unit: str, side: str, algorithm: str, tmp_path: Path
) -> None:
    v, h = (unit, "binary") if side == "visible" else ("spin", unit)
    truth = model(v, h)
    truth.set_parameters(**{name: 3 * value for name, value in truth.parameters.items()})
    x = truth.sample(300, method="exact", seed=5)
    rbm = RBM(N_V, N_H, v, h, seed=3, target="numpy")
    before = rbm.log_likelihood(x)
    rbm.fit(x, algorithm, epochs=8, batch_size=50, learning_rate=0.1, seed=1)
    assert rbm.log_likelihood(x) > before + 0.05
    rbm.save(tmp_path / "model.safetensors")
    other = RBM.load(tmp_path / "model.safetensors")
    for one in (rbm, other):
        one.fit(x, epochs=1, resume=True)
    for name, value in rbm.parameters.items():
        np.testing.assert_array_equal(value, other.parameters[name])


def test_a_dual_rectified_layer_is_more_than_a_gaussian_one() -> None:
    rbm = RBM(3, 2, "binary", "drelu", seed=0, target="numpy")
    shapes = {name: value.shape for name, value in rbm.parameters.items()}
    assert shapes == {"a": (3,), "b_pos": (2,), "b_neg": (2,), "w": (3, 2), "z_h_pos": (2,), "z_h_neg": (2,)}
    np.testing.assert_array_equal(rbm.weights, rbm.parameters["w"])
    # With equal sides and no biases it is one.
    gaussian = RBM.from_parameters(rbm.weights, np.zeros(3), np.zeros(2), "binary", "gaussian", target="numpy")
    assert float(rbm.log_partition()) == pytest.approx(float(gaussian.log_partition()), abs=1e-12)
    rbm.set_parameters(z_h_pos=np.array([1.0, 0.0]))
    assert abs(float(rbm.log_partition()) - float(gaussian.log_partition())) > 0.1


def test_lateral_couplings_are_scalar_products(tmp_path: Path) -> None:
    """Of angles, an XY model; of labels, a Potts model: log-odds of single units from the energy."""
    rng = np.random.default_rng(9)
    lateral = np.triu(rng.normal(size=(3, 3)), 1)
    lateral += lateral.T
    angles = RBM.from_energy(energies.semi_restricted("von_mises"), {"v": 3, "h": 1}, seed=0, target="numpy")
    angles.set_parameters(**{name: 0 * value for name, value in angles.parameters.items()} | {"L": lateral})
    v = rng.uniform(-np.pi, np.pi, size=(4, 3))
    differences = np.cos(v[:, :, None] - v[:, None])
    # Sums of nine numbers of order one.
    np.testing.assert_allclose(angles.energy(v, np.zeros((4, 1))), -(lateral * differences).sum((1, 2)) / 2, atol=1e-13)
    assert (np.abs(angles.sample(5, steps=4, seed=0)) <= np.pi).all()
    labels = RBM.from_energy(energies.semi_restricted("potts(3)"), {"v": 3, "h": 1}, seed=0, target="numpy")
    labels.set_parameters(**{name: 0 * value for name, value in labels.parameters.items()} | {"L": lateral})
    every = np.array(list(itertools.product(range(3), repeat=3)), dtype=float)
    logs = (lateral * (every[:, :, None] == every[:, None])).sum((1, 2)) / 2
    expected = np.exp(logs - np.logaddexp.reduce(logs))
    np.testing.assert_allclose(np.exp(labels.log_probability(every)), expected, rtol=0, atol=1e-13)
    n = 4000
    counts = np.bincount((labels.sample(n, steps=40, seed=1) @ [9, 3, 1]).astype(int), minlength=27)
    # χ² of 27 cells: mean 26, deviation √52; five deviations.
    assert ((counts - n * expected) ** 2 / (n * expected)).sum() < 26 + 5 * np.sqrt(52)
