"""Weights of any size, and probabilities near the smallest number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pgm_rbm.graph.model import GraphModel
from tests.pgm_rbm.exact.elimination.graphs import grid, spins


def test_small_parts_that_large_ones_bring_back() -> None:
    # Each message rules a state out by 1e5 nats, and the next table prefers it by as much: in linear arithmetic with
    # one scale for a message, what decides is lost.
    model = GraphModel()
    for name in range(40):
        model.add_variable(name)
    for k in range(39):
        model.add_factor([k, k + 1], log_table=[[0.0, -1e5], [-1e5, -1e5]] if k % 2 else [[-1e5, 0.0], [1e5, 0.3]])
    expected = grid_free_log_z(model)
    assert float(model.log_partition()) == pytest.approx(expected, rel=1e-14)
    found = model.marginals()
    for name in range(40):
        for state in (0, 1):
            exact = math.exp(grid_free_log_z(model, {name: state}) - expected)
            assert found[name][state] == pytest.approx(exact, abs=1e-9)  # differences of numbers near 2e6


def grid_free_log_z(model: GraphModel, evidence: Mapping[Any, Any] | None = None) -> float:
    """ln Z of a chain 0 - 1 - ... of two-state variables, by a recursion in exact sums of logarithms."""
    logs = np.zeros(2)
    for k in range(len(model)):
        if evidence and k in evidence:
            logs = np.where(np.arange(2) == evidence[k], logs, -math.inf)
        if k + 1 < len(model):
            (table,) = [factor.log_table for factor in model.factors if factor.scope == (k, k + 1)]
            logs = np.logaddexp(logs[0] + table[0], logs[1] + table[1])
    return float(np.logaddexp(*logs))


@pytest.mark.parametrize("size", [-1e5, 1e5])
def test_a_grid_with_couplings_of_any_size(size: float) -> None:
    # A frustrated 4 x 4 grid: every assignment's energy is a multiple of the coupling but for the small fields.
    model = grid(4, 4, size, periodic=True)
    rng = np.random.default_rng(11)
    for name in model:
        model.nodes[name]["bias"] = rng.normal()
    rows = np.array(list(itertools.product([-1, 1], repeat=16)))
    logs = -model.energy(rows)
    top = logs.max()
    p = np.exp(logs - top)
    assert float(model.log_partition()) == pytest.approx(top + math.log(p.sum()), rel=1e-14)
    p /= p.sum()
    # numbers of size 3e6 keep 5e-10
    found = np.array([table[1] for table in model.marginals().values()])
    np.testing.assert_allclose(found, p @ (rows == 1), atol=1e-8)
    best = model.most_probable()
    assert best.energy == pytest.approx(-top, rel=1e-14)


def test_probabilities_near_the_smallest_number() -> None:
    model = spins(3, [(0, 1), (1, 2)], 0.5)
    model.add_factor([0], log_table=[-650.0, 0.0])
    assert model.marginals()[0][0] == pytest.approx(math.exp(-650) / (1 + math.exp(-650)), rel=1e-12)
