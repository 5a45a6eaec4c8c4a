"""Models of directions in space, and of units that share their weights, against integrals and sums over everything."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import DivergentError, ModelError, ValueOutsideDomainError
from symbolic import energies
from tests.symbolic.units.test_directions import POINTS, WEIGHTS, some_directions


def poles(rows: int, seed: int = 0) -> np.ndarray:
    """Three directions a row, the first two of them the same, along an axis or between two."""
    some = np.array([[1, 0, 0], [0, 1, 0], [0, 0, -1], [0.6, 0.8, 0]])
    chosen = some[np.random.default_rng(seed).integers(4, size=(rows, 2))]
    return np.concatenate([chosen[:, :1], chosen], axis=1).reshape(rows, 9)


@pytest.fixture(scope="module")
def spins() -> RBM:
    return RBM(3, 2, "heisenberg", "binary", seed=1).fit(
        poles(300), "exact", epochs=40, learning_rate=0.2, seed=0, batch_size=50
    )


def by_hand(rbm: RBM) -> tuple[np.ndarray, np.ndarray, float]:
    """Fields of v given each h, p(h), and ln Z."""
    h = np.array([*itertools.product((0.0, 1.0), repeat=2)])
    p = rbm.parameters
    fields = np.einsum("iaj,tj->tia", p["w"], h) + p["a"]
    logs = h @ p["b"] + np.log(np.exp(fields @ POINTS.T) @ WEIGHTS).sum(axis=1)
    log_z = float(np.logaddexp.reduce(logs))
    return fields, np.exp(logs - log_z), log_z


def test_ln_z_and_averages_are_those_of_the_definition(spins: RBM) -> None:
    fields, share, log_z = by_hand(spins)
    assert float(spins.log_partition()) == pytest.approx(log_z, rel=1e-12)
    density = np.exp(fields @ POINTS.T) * WEIGHTS
    mean = np.einsum("t,tis,sa->ia", share, density / density.sum(axis=2, keepdims=True), POINTS)
    np.testing.assert_allclose(spins.expectations().phase["a"], mean, atol=1e-12)
    v = poles(5, seed=3)
    inner = np.logaddexp(0, np.einsum("tia,iaj->tj", v.reshape(5, 3, 3), spins.parameters["w"]) + spins.parameters["b"])
    logs = inner.sum(axis=1) + np.einsum("tia,ia->t", v.reshape(5, 3, 3), spins.parameters["a"])
    np.testing.assert_allclose(spins.log_probability(v), logs - log_z, rtol=1e-10)


def test_learning_raises_the_likelihood(spins: RBM) -> None:
    assert spins.log_likelihood(poles(300)) > RBM(3, 2, "heisenberg", "binary", seed=1).log_likelihood(poles(300)) + 2
    trained = RBM(3, 2, "heisenberg", "heisenberg", seed=1).fit(poles(100), epochs=3, seed=0)
    assert all(np.isfinite(value).all() for value in trained.parameters.values())


def test_exact_samples_have_the_models_averages(spins: RBM) -> None:
    n = 20_000
    drawn = spins.sample(n, method="exact", seed=2)
    fields, share, _ = by_hand(spins)
    density = np.exp(fields @ POINTS.T) * WEIGHTS
    mean = np.einsum("t,tis,sa->ia", share, density / density.sum(axis=2, keepdims=True), POINTS)
    # Components lie between −1 and 1, so that averages have a standard error below 1/√n.
    assert np.abs(drawn.reshape(n, 3, 3).mean(axis=0) - mean).max() < 4.5 / np.sqrt(n)
    chains = spins.sample(n, steps=30, seed=3)
    assert np.abs(chains.reshape(n, 3, 3).mean(axis=0) - mean).max() < 6 / np.sqrt(n)


def test_directions_are_clamped_and_kept(spins: RBM, tmp_path: Path) -> None:
    drawn = spins.sample(6, steps=2, given={("v", 1): (0.0, 0.6, 0.8)}, seed=0)
    np.testing.assert_array_equal(drawn[:, 3:6], np.tile([0.0, 0.6, 0.8], (6, 1)))
    each = some_directions(6, 1)
    np.testing.assert_array_equal(spins.sample(6, steps=2, given={("v", 0): each}, seed=0)[:, :3], each)
    spins.save(tmp_path / "spins.safetensors")
    again = RBM.load(tmp_path / "spins.safetensors")
    np.testing.assert_array_equal(again.sample(4, steps=2, seed=5), spins.sample(4, steps=2, seed=5))
    whole = RBM(3, 2, "heisenberg", seed=4).fit(poles(60), "pcd", epochs=4, seed=1)
    half = RBM(3, 2, "heisenberg", seed=4).fit(poles(60), "pcd", epochs=2, seed=1)
    half.save(tmp_path / "half.safetensors")
    on = RBM.load(tmp_path / "half.safetensors").fit(poles(60), resume=True, epochs=2)
    np.testing.assert_array_equal(on.parameters["w"], whole.parameters["w"])


def test_wrong_directions_are_refused(spins: RBM) -> None:
    long = poles(2)
    long[1, 3:6] = (0, 2, 0)
    with pytest.raises(ValueOutsideDomainError, match=r"Got a vector of length 2 at row 1, column 3"):
        spins.free_energy(long)
    with pytest.raises(ValueError, match="must have 9 columns, 3 a unit"):
        spins.free_energy(poles(2)[:, :8])
    with pytest.raises(ValueError, match="must be one state, a vector of 3 components, or 6 of them"):
        spins.sample(6, steps=1, given={("v", 1): 1})
    with pytest.raises(ValueOutsideDomainError, match="given"):
        spins.sample(6, steps=1, given={("v", 1): (0, 0, 2)})


def test_a_direction_that_lets_a_rate_fall_to_zero_is_refused() -> None:
    energy = energies.pairwise("heisenberg", "exponential")
    w = np.zeros((2, 3, 1))
    w[0, :, 0] = (0.6, 0.0, 0.8)
    given = {"w": w, "a": np.zeros((2, 3)), "b": np.array([-0.9])}
    with pytest.raises(DivergentError, match="exponential units of layer h are not normalisable"):
        RBM.from_energy(energy, parameters=given)
    RBM.from_energy(energy, parameters={**given, "b": np.array([-1.1])})


def test_texts_are_learnt_by_exact_likelihood(tmp_path: Path) -> None:
    """A model of words that do not know their places: p sums to 1 over all texts, and depends on counts alone."""
    energy = energies.replicated_softmax(3)
    rbm = RBM.from_energy(energy, sizes={"v": 4, "h": 2}, seed=0)
    texts = np.random.default_rng(0).choice(3, p=[0.7, 0.2, 0.1], size=(200, 4))
    before = rbm.log_likelihood(texts)
    rbm.fit(texts, "exact", epochs=40, learning_rate=0.1, seed=0)
    # What words drawn each by its share reach.
    shares = np.bincount(texts.ravel(), minlength=3) / texts.size
    assert rbm.log_likelihood(texts) > np.log(shares)[texts].sum(axis=1).mean() - 0.02 > before
    every = np.array([*itertools.product(range(3), repeat=4)])
    assert np.exp(rbm.log_probability(every)).sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(rbm.log_probability(every), rbm.log_probability(every[:, ::-1]), rtol=1e-12)
    rbm.save(tmp_path / "texts.safetensors")
    again = RBM.load(tmp_path / "texts.safetensors")
    assert again.sizes == {"v": 4, "h": 2}
    np.testing.assert_array_equal(again.sample(5, steps=3, seed=1), rbm.sample(5, steps=3, seed=1))
    with pytest.raises(ModelError, match="sizes lacks the layer 'v'"):
        RBM.from_energy(energy, parameters=rbm.parameters)
