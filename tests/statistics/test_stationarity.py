"""Samplers against exact distributions of a model small enough to list every configuration."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pgm_rbm import RBM
from tests.pgm_rbm import naive

N_VISIBLE, N_HIDDEN = 5, 3
DRAWS = 20_000


@pytest.fixture(scope="module")
def rbm() -> RBM:
    return RBM.from_parameters(*naive.random_parameters(N_VISIBLE, N_HIDDEN, seed=30))


@pytest.fixture(scope="module")
def exact(rbm: RBM) -> np.ndarray:
    _, _, p = naive.joint(rbm.weights, rbm.visible_bias, rbm.hidden_bias)
    return p


def counts(v: np.ndarray, h: np.ndarray) -> np.ndarray:
    """How often each (v, h) came up, in the order of `naive.joint`."""
    bits = np.hstack([v, h]).astype(np.int64)
    places = bits @ (1 << np.arange(bits.shape[1])[::-1])
    return np.bincount(places, minlength=2 ** bits.shape[1])


def farthest(p: np.ndarray, draws: int) -> float:
    """A total variation that independent draws from p exceed with a chance below 1e-6.

    Its mean is at most ½ Σ √(p(1 − p)/n), by Jensen's inequality for each cell. One draw changes it by 1/n at most,
    so McDiarmid's inequality bounds the chance of t beyond the mean by exp(−2 n t²).
    """
    return 0.5 * float(np.sqrt(p * (1 - p) / draws).sum()) + math.sqrt(math.log(1e6) / (2 * draws))


def total_variation(p: np.ndarray, found: np.ndarray) -> float:
    return 0.5 * float(np.abs(found / found.sum() - p).sum())


def test_exact_draws_follow_the_distribution(rbm: RBM, exact: np.ndarray) -> None:
    from pgm_rbm.exact.enumeration import configurations

    v, h = configurations.sample(rbm.model, DRAWS, seed=1)
    expected = exact * DRAWS
    found = counts(v, h)
    often = expected >= 5
    pooled = np.append(expected[often], expected[~often].sum())
    seen = np.append(found[often], found[~often].sum())
    chi_square = float(((seen - pooled) ** 2 / pooled).sum())
    # χ² with d degrees of freedom exceeds d + 2√(d t) + 2t with a chance of at most e^{−t} (Laurent and Massart 2000,
    # lemma 1); t = ln 1e6.
    degrees, t = len(pooled) - 1, math.log(1e6)
    assert chi_square < degrees + 2 * math.sqrt(degrees * t) + 2 * t


@pytest.mark.parametrize("sweeps", [0, 1, 4, 16])
def test_sweeps_leave_the_distribution_as_it_is(rbm: RBM, exact: np.ndarray, sweeps: int) -> None:
    start = rbm.sample(DRAWS, method="exact", seed=2)
    chains = rbm.run_chains(DRAWS, sweeps, seed=3, start=start)
    found = counts(chains.visible, chains.hidden)
    assert total_variation(exact, found) < farthest(exact, DRAWS)
    # The bound is of use: it tells the model from one whose first hidden unit ignores its bias.
    other = RBM.from_parameters(rbm.weights, rbm.visible_bias, rbm.hidden_bias * [0, 1, 1])
    _, _, p = naive.joint(other.weights, other.visible_bias, other.hidden_bias)
    assert total_variation(p, found) > farthest(p, DRAWS)


def test_chains_reach_the_distribution_from_anywhere(rbm: RBM, exact: np.ndarray) -> None:
    chains = rbm.run_chains(DRAWS, 200, seed=4, start=np.ones((DRAWS, N_VISIBLE)))
    assert total_variation(exact, counts(chains.visible, chains.hidden)) < farthest(exact, DRAWS)


def test_clamped_chains_follow_the_conditional_distribution(rbm: RBM) -> None:
    given = {("v", 1): 1, ("h", 0): 0}
    v, h, p = naive.joint(rbm.weights, rbm.visible_bias, rbm.hidden_bias)
    p = np.where((v[:, 1] == 1) & (h[:, 0] == 0), p, 0)
    p /= p.sum()
    chains = rbm.run_chains(DRAWS, 200, given, seed=5)
    assert total_variation(p, counts(chains.visible, chains.hidden)) < farthest(p, DRAWS)


def test_draws_of_different_rows_and_units_are_independent() -> None:
    # With all parameters zero every unit is a fair coin: neighbouring rows, neighbouring units and neighbouring
    # sweeps must not be correlated.
    rbm = RBM.from_parameters(np.zeros((64, 64)), np.zeros(64), np.zeros(64))
    first = rbm.run_chains(1000, 1, seed=6)
    second = rbm.run_chains(first, 1)
    s, h, later = (2 * states - 1 for states in (first.visible, first.hidden, second.visible))
    pairs = [(s[:-1], s[1:]), (s[:, :-1], s[:, 1:]), (s, h), (s, later), (h, later)]
    for one, other in pairs:
        # The mean of n products of fair signs deviates by more than six times 1/√n with a chance below 1e-8.
        assert abs(float((one * other).mean())) < 6 / math.sqrt(one.size)
