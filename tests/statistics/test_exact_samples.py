"""Samples drawn by elimination against the exact distribution, by chi-square tests with fixed seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pgm_rbm.graph.model import GraphModel
from tests.pgm_rbm import brute_force

DRAWS = 40_000


def model_of(seed: int) -> GraphModel:
    """Five variables of all unit types in a loop, a factor of third order, one with a zero, and a lone variable."""
    rng = np.random.default_rng(seed)
    model = GraphModel()
    model.add_variable("a", "binary", bias=rng.normal())
    model.add_variable("s", "spin", bias=rng.normal())
    model.add_variable("t", "spin", bias=rng.normal())
    model.add_variable("k", states=3, bias=rng.normal(size=3))
    model.add_variable("lone", "binary", bias=0.5)
    for u, v in (("a", "s"), ("s", "t"), ("t", "a")):
        model.add_coupling(u, v, 0.7 * rng.normal())
    model.add_factor(["k", "a", "t"], log_table=rng.normal(size=(3, 2, 2)))
    model.add_factor(["s", "k"], [[1.0, 0.0, 2.0], [1.0, 1.0, 0.5]])
    return model


def deviations(model: GraphModel, drawn: np.ndarray, p: np.ndarray) -> float:
    """How far Pearson's chi-square is above its mean, in its standard deviations."""
    names = model.variables
    cells = [np.searchsorted(model.domain(name), drawn[:, column]) for column, name in enumerate(names)]
    counts = np.zeros(p.shape)
    np.add.at(counts, tuple(cells), 1)
    assert counts[p == 0.0].sum() == 0
    expected = len(drawn) * p[p > 0.0]
    # Cells with few expected counts are counted as one, so that the statistic is near to chi-square.
    rare = expected < 10
    observed = counts[p > 0.0]
    if rare.any():
        expected = np.append(expected[~rare], expected[rare].sum())
        observed = np.append(observed[~rare], observed[rare].sum())
    freedom = len(expected) - 1
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return (statistic - freedom) / math.sqrt(2 * freedom)


# Five standard deviations above the mean, a right sampler is not found by one seed in 10,000 even though the
# chi-square distribution's tail is longer than a normal one's; a wrong one fails by hundreds at these counts.
LIMIT = 5.0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("evidence", [{}, {"s": -1}, {"k": 2, "lone": 0}])
def test_samples_have_the_probabilities_of_the_model(seed: int, evidence: dict[str, int]) -> None:
    model = model_of(seed)
    names = list(model)
    logs = brute_force.log_joint(model)
    for name, value in evidence.items():
        state = int(np.searchsorted(model.domain(name), value))
        logs = np.where(np.indices(logs.shape)[names.index(name)] == state, logs, -math.inf)
    p = np.exp(logs - logs.max())
    p /= p.sum()
    assert deviations(model, model.sample(DRAWS, evidence, seed=seed), p) < LIMIT


def test_samples_of_any_finite_units() -> None:
    model = brute_force.model_of_many_units(2, 0.5)
    logs = brute_force.log_joint(model)
    p = np.exp(logs - logs.max())
    assert deviations(model, model.sample(DRAWS, seed=1), p / p.sum()) < LIMIT


def test_the_test_finds_a_wrong_distribution() -> None:
    model = model_of(0)
    logs = brute_force.log_joint(model)
    model.nodes["a"]["bias"] += 0.1
    p = np.exp(logs - logs.max())
    assert deviations(model, model.sample(DRAWS, seed=0), p / p.sum()) > LIMIT


def test_rows_are_independent() -> None:
    # The correlation of successive rows of an independent sequence has standard error 1 / sqrt(n).
    model = model_of(1)
    drawn = model.sample(DRAWS, seed=2).astype(float)
    centred = drawn - drawn.mean(axis=0)
    for column in range(drawn.shape[1]):
        x = centred[:, column]
        correlation = (x[1:] @ x[:-1]) / (x @ x)
        assert abs(correlation) < 5 / math.sqrt(DRAWS)
