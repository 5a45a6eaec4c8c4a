"""The report of what exact inference costs: every way, the one that is taken, and words that people understand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.graph.choice import Layers, layers
from pgm_rbm.graph.model import GraphModel
from pgm_rbm.machine.budget import Budget
from tests.pgm_rbm import brute_force


def ising(graph: nx.Graph, coupling: float = 0.4) -> GraphModel:
    model = GraphModel(graph)
    nx.set_node_attributes(model, "spin", "units")
    nx.set_edge_attributes(model, coupling, "weight")
    return model


def sides(model: GraphModel, evidence: Mapping[Any, Any] | None = None) -> Any:
    return layers(model, model.network(evidence), Budget())


def way(report: Any, name: str, question: str = "ln Z") -> Any:
    (found,) = [one for one in report.ways if (one.name, one.question) == (name, question)]
    return found


def test_every_way_is_listed() -> None:
    report = ising(nx.grid_2d_graph(6, 5)).tractability()
    assert [(one.name, one.question) for one in report.ways] == [
        ("elimination", "ln Z"),
        ("enumeration", "ln Z"),
        ("elimination", "all marginals"),
        ("elimination", "most probable"),
        ("elimination", "1,000 samples"),
    ]
    for one in report.ways:
        assert one.operations > 0
        assert one.memory > 0
        assert 0.0 < one.seconds < math.inf
        assert one.fits
    assert report.method == "elimination"
    assert report.notes == ()
    eliminated = way(report, "elimination")
    assert (report.plan.operations, report.plan.memory, report.seconds) == (
        eliminated.operations,
        eliminated.memory,
        eliminated.seconds,
    )
    assert [one.taken for one in report.ways] == [True, False, False, False, False]
    assert way(report, "enumeration").operations == 2**15 * 15
    assert way(report, "enumeration").detail == "one side, 15 spin units"
    assert way(report, "elimination", "all marginals").seconds > eliminated.seconds


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (ising(nx.cycle_graph(5)), "not bipartite"),
        (brute_force.random_model(0), "it has factors"),
        (ising(nx.empty_graph(3)), "one side of its graph is empty"),
    ],
)
def test_why_a_way_is_missing(model: Any, reason: str) -> None:
    report = model.tractability()
    assert reason in report.notes[0]
    assert reason in str(report)
    everything = way(report, "enumeration")
    assert everything.detail == f"all {len(model)} variables at once"
    assert everything.operations % math.prod(len(model.domain(name)) for name in model) == 0


def test_sides_of_several_types_are_not_enumerated() -> None:
    model = ising(nx.path_graph(4))
    model.nodes[0]["units"] = "binary"
    assert sides(model) == "one side of its graph has units of several types"
    assert isinstance(sides(model, {0: 0}), Layers)
    categorical = GraphModel()
    categorical.add_variable("a", states=3)
    categorical.add_variable("b", states=3)
    categorical.add_edge("a", "b")
    assert sides(categorical) == "its variables are categorical"


def test_evidence_goes_into_the_biases() -> None:
    rng = np.random.default_rng(0)
    model = RBM.from_parameters(rng.normal(size=(5, 3)), rng.normal(size=5), rng.normal(size=3)).graph
    found = sides(model, {("v", 1): 1, ("h", 2): 1})
    parameters, constant = found.arrays()
    assert list(found.small) == [("h", 0), ("h", 1)]
    assert parameters["w"].shape == (4, 2)
    np.testing.assert_array_equal(parameters["w"], model.arrays.weights[[0, 2, 3, 4], :2])
    np.testing.assert_allclose(parameters["b"], model.arrays.hidden_bias[:2] + model.arrays.weights[1, :2])
    np.testing.assert_allclose(
        parameters["a"], model.arrays.visible_bias[[0, 2, 3, 4]] + model.arrays.weights[[0, 2, 3, 4], 2]
    )
    expected = model.arrays.visible_bias[1] + model.arrays.hidden_bias[2] + model.arrays.weights[1, 2]
    assert constant == pytest.approx(expected, rel=1e-14)


def test_an_observed_categorical_variable_is_a_constant() -> None:
    model = ising(nx.path_graph(2))
    model.add_variable("k", states=3, bias=[0.1, 0.2, 0.4])
    assert sides(model) == "one side of its graph has units of several types"
    found = model.log_partition({"k": 2}, method="enumeration")
    assert found == pytest.approx(0.4 + float(ising(nx.path_graph(2)).log_partition()), rel=1e-14)


def test_limits_decide_what_is_taken() -> None:
    graph = RBM(40, 18, seed=0).graph
    assert graph.tractability().feasible
    # 2^19 entries do not fit in a MiB, the tables of enumeration do
    assert graph.tractability(memory_limit=2**20).method == "enumeration"
    refused = graph.tractability(memory_limit=2**20, time_limit=1e-9)
    assert (refused.method, refused.feasible) == ("sampling", False)
    assert not any(one.fits for one in refused.ways)
    assert "No exact way to ln Z is within the limits: raise the limits" in str(refused)
    assert 'sample(n, method="gibbs")' in str(refused)
    assert refused.seconds == min(one.seconds for one in refused.ways if one.question == "ln Z")


def test_the_hopeless_is_told_as_a_bound() -> None:
    report = RBM(300, 200, seed=0).graph.tractability()
    assert (report.method, report.complete) == ("sampling", False)
    assert way(report, "elimination").seconds == math.inf
    assert not way(report, "elimination").bounded
    text = str(report)
    assert "at least 200" in text
    assert "over 1e12 years" in text
    assert "500 in one part" in text


def test_it_reads_as_a_table() -> None:
    text = str(ising(nx.grid_2d_graph(6, 5)).tractability())
    lines = text.splitlines()
    assert lines[0].startswith('ln Z is within the limits: "auto" takes elimination, about')
    assert "limits            1.0 GiB of memory and 10 minutes" in text
    header = next(line for line in lines if line.strip().startswith("question"))
    rows = lines[lines.index(header) + 1 :]
    assert len(rows) == 5
    assert sum("taken" in row for row in rows) == 1
    for column in ("way", "operations", "memory", "time", "within limits"):
        place = header.index(column)
        assert all(row[place - 1] == " " and row[place] != " " for row in rows)
    assert max(map(len, lines)) <= 120


def test_parts_and_evidence() -> None:
    model = ising(nx.disjoint_union(nx.path_graph(3), nx.grid_2d_graph(3, 3)))
    assert model.tractability().parts == 2
    cut = model.tractability({1: 1})
    assert (cut.parts, cut.variables) == (3, 11)
    assert "3 parts that factor" in str(cut)
