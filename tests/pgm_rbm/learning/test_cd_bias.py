"""CD's expected update against a transition matrix by the definition, and against the updates it is the mean of."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import EnumerationLimitError, NotPairwiseError
from pgm_rbm.learning.cd_bias import contrastive_divergence_bias
from symbolic import energies
from tests.pgm_rbm import naive
from tests.pgm_rbm.exact.enumeration.test_configurations import UNITS, joint


def model(units: tuple[str, str] = ("binary", "binary"), target: str = "numba", shape: tuple[int, int] = (5, 3)) -> RBM:
    return RBM.from_parameters(*naive.random_parameters(*shape, seed=90), *units, target=target)


def brute_force(rbm: RBM, x: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """Term A minus the average after k sweeps, by the transition matrix between visible configurations."""
    v, h, p = joint(rbm)
    given_v, given_h = p / p.sum(axis=1, keepdims=True), p / p.sum(axis=0)
    step = given_v @ given_h.T
    np.testing.assert_allclose(step.sum(axis=1), 1)
    start = np.array([(x == one).all(axis=1).mean() for one in v])
    end = start @ np.linalg.matrix_power(step, k)
    means = given_v @ h
    change = start - end
    return {"w": (v * change[:, None]).T @ means, "a": change @ v, "b": change @ means}


@pytest.mark.parametrize("target", ["numba", "numpy"])
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_expected_update_against_the_transition_matrix(units: tuple[str, str], k: int, target: str) -> None:
    rbm = model(units, target)
    x = joint(rbm)[0][[0, 3, 3, 9, 30]]
    found = contrastive_divergence_bias(rbm, x, k)
    for name, value in brute_force(rbm, x, k).items():
        np.testing.assert_allclose(found.expected_update[name], value, rtol=0, atol=1e-14)
        np.testing.assert_array_equal(found.bias[name], found.expected_update[name] - found.gradient[name])
    np.testing.assert_array_equal(found.gradient["w"], rbm.gradient(x)["w"])


@pytest.mark.parametrize("shape", [(3, 5), (9, 2)])
def test_layers_of_any_size(shape: tuple[int, int]) -> None:
    rbm = model(shape=shape)
    x = naive.all_states(shape[0])[::3]
    found = contrastive_divergence_bias(rbm, x, 2)
    for name, value in brute_force(rbm, x, 2).items():
        np.testing.assert_allclose(found.expected_update[name], value, rtol=0, atol=1e-14)


def test_updates_of_training_average_to_it() -> None:
    rbm = model()
    x = naive.all_states(5)[[1, 6, 6, 20]]
    for k in (1, 3):
        expected = contrastive_divergence_bias(rbm, x, k).expected_update
        steps = []
        for seed in range(1500):
            one = RBM.from_parameters(rbm.weights, rbm.visible_bias, rbm.hidden_bias)
            one.fit(x, "cd", k=k, epochs=1, batch_size=4, learning_rate=1.0, seed=seed, monitor="none", threads=1)
            steps.append({name: value - rbm.parameters[name] for name, value in one.parameters.items()})
        for name, value in expected.items():
            drawn = np.array([step[name] for step in steps])
            error = drawn.std(axis=0, ddof=1) / math.sqrt(len(drawn))
            # 46 numbers in all: one of them is off by more than five standard errors with a chance of 3e-5.
            assert (np.abs(drawn.mean(axis=0) - value) < 5 * error + 1e-12).all()


def test_long_chains_have_no_bias() -> None:
    rbm = model()
    x = naive.all_states(5)[[1, 6, 20]]
    sizes = [contrastive_divergence_bias(rbm, x, k).relative_size for k in (1, 2, 4, 8)]
    assert sizes == sorted(sizes, reverse=True)
    # Chains forget where they started; what is left is a rounding of 1e-16 a sweep.
    long = contrastive_divergence_bias(rbm, x, 400)
    assert long.relative_size < 1e-12
    assert long.angle < 1e-12


def test_no_bias_where_the_model_fits() -> None:
    # Zero weights and data that hold every configuration once: the chains start in the model's own distribution.
    rbm = RBM.from_parameters(np.zeros((4, 2)), np.zeros(4), np.array([0.3, -1.0]))
    found = contrastive_divergence_bias(rbm, naive.all_states(4))
    for value in found.bias.values():
        np.testing.assert_allclose(value, 0, atol=1e-15)


def test_the_angle() -> None:
    rbm = model()
    found = contrastive_divergence_bias(rbm, naive.all_states(5)[::5])
    flat = [np.concatenate([np.ravel(one[n]) for n in "wab"]) for one in (found.expected_update, found.gradient)]
    cosine = flat[0] @ flat[1] / np.linalg.norm(flat[0]) / np.linalg.norm(flat[1])
    assert found.angle == pytest.approx(math.acos(cosine), rel=1e-9)
    assert "CD-1: the expected update is" in str(found)
    still = RBM.from_parameters(np.zeros((2, 1)), np.zeros(2), np.zeros(1))
    nothing = contrastive_divergence_bias(still, naive.all_states(2))
    assert math.isnan(nothing.angle) or nothing.relative_size >= 0


@pytest.mark.parametrize("units", ["binomial(3)", "{-1, 0, 1}"])
def test_states_that_weigh_of_themselves(units: str) -> None:
    # A binomial unit is the sum of binary ones in one field, and so is its Gibbs sweep.
    rbm = RBM.from_parameters(*naive.random_parameters(3, 2, seed=91), units, "binary")
    x = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    found = contrastive_divergence_bias(rbm, x, 60)
    # Chains forget where they started, whatever states weigh.
    assert found.relative_size < 1e-6


def test_it_holds_as_much_as_it_says() -> None:
    rbm = RBM(11, 10, seed=0)
    x = naive.all_states(11)[:5]
    contrastive_divergence_bias(rbm, x)
    tracemalloc.start()
    contrastive_divergence_bias(rbm, x, threads=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 16 bytes a pair, and what a block of pairs takes as it is gone through.
    assert peak < 16 * 2**21 + 2 * 2**15 * 21 * 8 * 3


def test_other_energies_are_refused_by_type() -> None:
    deep = RBM.from_energy(energies.deep(), {"v": 4, "h1": 3, "h2": 2}, seed=0, target="numpy")
    given = RBM.from_energy(energies.conditional(), {"v": 4, "h": 3, "x": 2}, seed=0, target="numpy")
    x = naive.all_states(4)[:3]
    for rbm, rows in ((deep, x), (given, {"v": x, "x": x[:, :2]})):
        with pytest.raises(NotPairwiseError, match="the bias of contrastive divergence is known for one layer on each"):
            contrastive_divergence_bias(rbm, rows)  # type: ignore[arg-type]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(EnumerationLimitError, match=r"1024 times 32768 of them, and stops at limit=4194304") as caught:
        contrastive_divergence_bias(RBM(10, 15, seed=0), np.zeros((1, 10)))
    assert caught.value.memory == 16 * 2**25
    for k in (0, 1.5, True):
        with pytest.raises(ValueError, match="k must be a positive whole number"):
            contrastive_divergence_bias(model(), naive.all_states(5), k)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="X must have 5 columns"):
        contrastive_divergence_bias(model(), naive.all_states(4))
    with pytest.raises(EnumerationLimitError):
        contrastive_divergence_bias(model(), naive.all_states(5), limit=255)
