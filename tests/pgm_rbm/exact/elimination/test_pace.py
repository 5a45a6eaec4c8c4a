"""Estimates of time: from trials that are made once, in proportion to the work, for the steps that are really run."""

from __future__ import annotations

import math
from typing import Any

import networkx as nx
import numpy as np
import pytest

from pgm_rbm.exact.elimination import pace as paces
from pgm_rbm.exact.elimination import run, tables
from pgm_rbm.exact.elimination.cost import Elimination, in_logs
from pgm_rbm.exact.elimination.pace import WORKS, Pace, pace, preparation
from pgm_rbm.graph.model import GraphModel
from pgm_rbm.machine.budget import Budget


def ising(graph: nx.Graph, coupling: float, seed: int = 0) -> GraphModel:
    rng = np.random.default_rng(seed)
    model = GraphModel(graph)
    nx.set_node_attributes(model, "spin", "units")
    nx.set_edge_attributes(model, {edge: coupling * rng.choice([-1, 1]) for edge in graph.edges}, "weight")
    return model


def asked(model: GraphModel, question: str, **more: Any) -> Any:
    return Elimination.of(model.network(), question, Budget(), **more)


@pytest.mark.parametrize("work", WORKS)
def test_each_kind_of_step_is_tried_once(work: Any) -> None:
    found = pace(work)
    assert found is pace(work)
    assert all(0.0 < seconds < 1.0 for seconds in found.seconds)
    assert list(found.bits) == sorted(found.bits)
    assert 0.0 < preparation() == preparation() < 1.0


def test_steps_between_and_beyond_those_that_were_tried() -> None:
    found = Pace((2.0, 4.0), (1.0, 4.0))
    np.testing.assert_allclose(found(np.array([0.0, 2.0, 3.0, 4.0, 6.0])), [1.0, 1.0, 2.0, 4.0, 16.0])


@pytest.fixture
def even(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which every step takes a second whatever it does, and reading the model nothing."""
    cost = dict(zip(WORKS, (1.0, 10.0, 100.0, 1000.0, 10_000.0, 1e5, 1e6), strict=True))
    monkeypatch.setattr(paces, "pace", lambda work: Pace((0.0, 60.0), (cost[work], cost[work])))
    monkeypatch.setattr(paces, "preparation", lambda: 0.0)


def seconds(eliminated: Any) -> float:
    return eliminated.seconds - eliminated.planning


@pytest.mark.parametrize(
    ("question", "draws", "expected"),
    [
        ("ln Z", 1, 1.0),
        ("marginals", 1, 1.0 + 1000.0),
        # ln Z is found first, and then the largest potential, in logs
        ("most probable", 1, 1.0 + 100.0 + 1e5),
        ("samples", 1, 1.0 + 1e5),
        ("samples", 5, 1.0 + 1e5 + 4e6),
    ],
)
def test_what_is_run_is_what_is_counted(even: None, question: str, draws: int, expected: Any) -> None:
    model = ising(nx.path_graph(7), 0.4)
    assert seconds(asked(model, question, draws=draws)) == pytest.approx(7 * expected)


def test_steps_that_are_computed_again_are_counted_again(even: None) -> None:
    model = ising(nx.grid_2d_graph(8, 8), 0.4)
    whole = asked(model, "samples")
    tight = Elimination.of(model.network(), "samples", Budget(memory=whole.plan.way_back(0).memory))
    calls = []
    run.sample(
        model.log_tables(),
        model.network().cardinalities,
        1,
        lambda _: np.full(1, 0.5),
        tight.plan,
        tight.segment,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls[-1] == (tight.operations, tight.operations)
    assert tight.operations > whole.operations == sum(whole.plan.sizes)
    forward = seconds(tight) - 64 * 1e5
    assert 64 < forward <= 3 * 64


def products_in_logs(monkeypatch: pytest.MonkeyPatch, model: GraphModel, plan: Any) -> np.ndarray:
    """Whether each step forms its product in logs, as it is run."""
    found = []

    def product(parts: Any, cluster: Any, sizes: Any, **more: Any) -> Any:
        values, in_logs = tables.product(parts, cluster, sizes, **more)
        found.append(in_logs)
        return values, in_logs

    monkeypatch.setattr(run, "product", product)
    run.log_partition(model.log_tables(), model.network().cardinalities, plan)
    return np.array(found)


@pytest.mark.parametrize(
    "graph",
    [nx.grid_2d_graph(9, 9), nx.grid_2d_graph(4, 30), nx.random_regular_graph(3, 40, seed=1), nx.path_graph(90)],
)
@pytest.mark.parametrize("coupling", [0.5, 5.0, 100.0, 2000.0])
def test_products_in_logs_are_foreseen(monkeypatch: pytest.MonkeyPatch, graph: Any, coupling: float) -> None:
    model = ising(graph, coupling)
    plan = asked(model, "ln Z").plan
    foreseen = in_logs(plan, model.network().spreads())
    real = products_in_logs(monkeypatch, model, plan)
    if len(real) > len(foreseen):  # messages of one scope are multiplied besides
        assert real.any() == foreseen.any()
    else:
        # between "never" and "nearly always" the foresight may be off by some of the steps
        sizes = np.array(plan.sizes, dtype=float)
        assert (sizes @ real) / sizes.sum() == pytest.approx((sizes @ foreseen) / sizes.sum(), abs=0.3)


def test_the_spread_of_every_table() -> None:
    model = GraphModel()
    model.add_variable("n", "binomial(2)", bias=0.5)
    model.add_variable("s", "spin", bias=-1.5)
    model.add_variable("k", states=3, bias=[0.0, 1.0, -2.0])
    model.add_coupling("n", "s", -0.7)
    model.add_factor(["k", "s"], [[1.0, 0.0], [2.0, 4.0], [1.0, 1.0]])
    found = dict(model.network().spreads())
    assert found["n",] == pytest.approx(0.5 * 2 + math.log(2))
    assert found["s",] == pytest.approx(3.0)
    assert found["k",] == pytest.approx(3.0)
    assert found["n", "s"] == pytest.approx(0.7 * 2 * 2)
    assert found["k", "s"] == pytest.approx(math.log(4))
    assert [spread for scope, spread in model.network({"s": 1}).spreads() if scope == ("n",)] == [
        pytest.approx(0.5 * 2 + math.log(2)),
        pytest.approx(0.7 * 2),
    ]


def test_a_plan_beyond_all_floats_is_answered() -> None:
    model = GraphModel(nx.complete_graph(110))
    nx.set_node_attributes(model, "integer(1000)", "units")
    nx.set_edge_attributes(model, 1.0, "weight")
    eliminated = asked(model, "ln Z")
    assert eliminated.seconds == math.inf
    assert not eliminated.fits
    assert not eliminated.quick


def test_nothing_is_tried_where_there_is_no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paces, "pace", lambda work: pytest.fail("a trial was made"))
    model = ising(nx.grid_2d_graph(4, 4), 0.4)
    model.marginals()
    assert asked(model, "marginals").fits
