"""Gibbs chains on graphs against exact marginals, within standard errors, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import ImpossibleEvidenceError, ModelError
from pgm_rbm.graph.model import GraphModel
from tests.pgm_rbm import brute_force

CHAINS = 4000


def spins(graph: nx.Graph, coupling: float, field: float = 0.2) -> GraphModel:
    model = GraphModel(graph)
    nx.set_node_attributes(model, "spin", "units")
    nx.set_node_attributes(model, field, "bias")
    nx.set_edge_attributes(model, coupling, "weight")
    return model


def without_zeros(model: GraphModel) -> GraphModel:
    """The same with small potentials in place of zeros."""
    softened = GraphModel()
    for name, attributes in model.nodes(data=True):
        softened.add_variable(name, attributes["units"], attributes["bias"], attributes.get("states"))
    for u, v, weight in model.edges(data="weight"):
        if weight is not None:
            softened.add_coupling(u, v, weight)
    for factor in model.factors:
        softened.add_factor(factor.scope, log_table=np.maximum(factor.log_table, -2.0))
    return softened


def check(model: GraphModel, evidence: Mapping[Any, Any] | None = None, steps: int = 60, seed: int = 0) -> Any:
    """The share of chains in every state of every variable and coupled pair, against the exact probability.

    Chains are independent, so a share has the standard error sqrt(p (1 − p) / n). Of some hundred shares one is beyond
    4.5 of them in one seed of 1,000.
    """
    drawn = model.sample(CHAINS, evidence, method="gibbs", steps=steps, seed=seed)
    column = {name: drawn[:, k] for k, name in enumerate(model.variables)}
    for name, exact in model.marginals(evidence).items():
        found = np.array([(column[name] == value).mean() for value in model.domain(name)])
        error = np.sqrt(exact * (1 - exact) / CHAINS)
        assert (np.abs(found - exact) <= 4.5 * error).all(), name
    for (u, v), exact in model.pair_marginals(evidence=evidence).items():
        both = [[((column[u] == x) & (column[v] == y)).mean() for y in model.domain(v)] for x in model.domain(u)]
        error = np.sqrt(exact * (1 - exact) / CHAINS)
        assert (np.abs(both - exact) <= 4.5 * error).all(), (u, v)
    return drawn


def test_a_grid() -> None:
    check(spins(nx.grid_2d_graph(5, 5), 0.3))


def test_a_graph_that_takes_three_colours() -> None:
    check(spins(nx.cycle_graph(7), -0.6))
    check(spins(nx.complete_graph(6), 0.2), seed=1)


@pytest.mark.parametrize("evidence", [None, {"f": 2, "g": 1}])
def test_all_units_and_factors_of_third_order(evidence: dict[str, Any] | None) -> None:
    drawn = check(without_zeros(brute_force.model_of_many_units(3, 0.4)), evidence)
    if evidence is not None:
        assert (drawn[:, [5, 6]] == [2, 1]).all()


def test_variables_without_tables_and_of_one_state() -> None:
    model = GraphModel()
    model.add_variable("free", states=5)
    model.add_variable("one", states=1)
    model.add_variable("x", bias=1.0)
    check(model, steps=3)


def test_an_rbm_and_its_graph_have_one_distribution() -> None:
    rng = np.random.default_rng(0)
    rbm = RBM.from_parameters(0.5 * rng.normal(size=(6, 4)), rng.normal(size=6), rng.normal(size=4))
    check(rbm.graph)


def test_rows_depend_on_the_seed_alone() -> None:
    model = spins(nx.grid_2d_graph(4, 4), 0.3)
    few, many = (model.sample(n, method="gibbs", steps=20, seed=5) for n in (7, 3000))
    np.testing.assert_array_equal(few, many[:7])
    np.testing.assert_array_equal(many, model.sample(3000, method="gibbs", steps=20, seed=5, threads=1))
    assert (many != model.sample(3000, method="gibbs", steps=20, seed=6)).any()
    assert (many != model.sample(3000, method="gibbs", steps=21, seed=5)).any()


def test_no_steps_are_where_chains_start() -> None:
    drawn = spins(nx.grid_2d_graph(4, 4), 3.0).sample(CHAINS, method="gibbs", steps=0, seed=0)
    # 16 means of CHAINS uniform spins within 5 standard errors
    assert (np.abs(drawn.mean(axis=0)) < 5 / math.sqrt(CHAINS)).all()


def test_progress_and_interrupts() -> None:
    model = spins(nx.grid_2d_graph(4, 4), 0.3)
    seen: list[tuple[int, int]] = []
    model.sample(3, method="gibbs", steps=100, seed=0, progress=lambda *at: seen.append(at))
    assert seen[-1] == (100, 100)
    assert seen == sorted(seen)

    def interrupt(done: float, total: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.sample(3, method="gibbs", steps=100, progress=interrupt)


def test_what_is_refused() -> None:
    model = GraphModel()
    model.add_variable("a")
    model.add_variable("b")
    model.add_factor(["a", "b"], [[1, 0], [1, 1]], name="ladder")
    with pytest.raises(ModelError, match=r"zeros of factor 'ladder'. Use method='exact'"):
        model.sample(3, method="gibbs")
    assert model.sample(3, {"a": 1}, method="gibbs", steps=2).shape == (3, 2)  # no zero is left
    with pytest.raises(ImpossibleEvidenceError):
        model.sample(3, {"a": 0, "b": 1})
    with pytest.raises(ValueError, match="steps are made by Gibbs chains"):
        model.sample(3, steps=10)
    with pytest.raises(ValueError, match=r"method must be 'exact' or 'gibbs'. Got 'magic'"):
        model.sample(3, method="magic")
    for steps in (-1, 1.5, "3"):
        with pytest.raises(ValueError, match="steps must be a whole number of sweeps, at least 0"):
            model.sample(3, {"a": 1}, method="gibbs", steps=steps)
