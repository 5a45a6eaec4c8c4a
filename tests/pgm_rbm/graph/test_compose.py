"""Composition under one law, against brute force."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pytest

from pgm_rbm.errors import ModelError, VariableConflictError
from pgm_rbm.graph.bipartite import bipartition
from pgm_rbm.graph.compose import compose
from pgm_rbm.graph.live import RBMGraph
from pgm_rbm.graph.model import GraphModel
from tests.pgm_rbm import brute_force


def rbm_graph(n_visible: int = 3, n_hidden: int = 2, seed: int = 0) -> RBMGraph:
    rng = np.random.default_rng(seed)
    return RBMGraph.from_arrays(
        rng.normal(size=(n_visible, n_hidden)), rng.normal(size=n_visible), rng.normal(size=n_hidden)
    )


def partner() -> GraphModel:
    """Shares "a", "k" and "t" with the random model and brings a variable of its own."""
    model = GraphModel()
    model.add_variable("a", bias=0.7)
    model.add_variable("k", states=3, bias=[0.1, -0.4, 2.0])
    model.add_variable("t", "spin", bias=-1.1)
    model.add_variable("new", "spin")
    model.add_coupling("t", "a", 0.3)
    model.add_coupling("new", "a", -0.8)
    model.add_factor(["k", "a", "t"], np.random.default_rng(9).random((3, 2, 2)))
    return model


@pytest.mark.parametrize("seed", range(3))
def test_energies_add_and_z_is_global(seed: Any) -> None:
    first, second = brute_force.random_model(seed), partner()
    joint = compose(first, second)
    assert set(joint) == set(first) | set(second)
    for x in brute_force.assignments(joint):
        parts = [part.energy({name: x[name] for name in part}) for part in (first, second)]
        assert joint.energy(x) == pytest.approx(sum(parts), rel=1e-12, abs=1e-12)
    assert float(joint.log_partition()) == pytest.approx(brute_force.log_partition(joint), rel=1e-12)


def test_neither_part_is_changed() -> None:
    first, second = brute_force.random_model(0), partner()
    before = float(first.log_partition()), float(second.log_partition())
    joint = compose(first, second)
    joint.nodes["a"]["bias"] = 50.0
    joint.nodes["lone"]["bias"][0] = 50.0
    joint.edges["a", "b"]["weight"] = 50.0
    assert (float(first.log_partition()), float(second.log_partition())) == before


def test_a_model_with_itself_doubles_the_energy() -> None:
    model = brute_force.random_model(1)
    twice = compose(model, model)
    for x in brute_force.assignments(model):
        assert twice.energy(x) == pytest.approx(2 * model.energy(x), rel=1e-12, abs=1e-12)


def test_order_does_not_matter_and_more_than_two_compose() -> None:
    parts = [brute_force.random_model(2), partner(), rbm_graph()]
    forth, back = compose(*parts), compose(*reversed(parts))
    nested = compose(compose(parts[0], parts[1]), parts[2])
    for other in (back, nested):
        assert float(other.log_partition()) == pytest.approx(float(forth.log_partition()), rel=1e-12)
        np.testing.assert_allclose(other.query("k"), forth.query("k"), rtol=1e-12)


def test_factors_of_one_name_are_both_kept() -> None:
    first, second = GraphModel(), GraphModel()
    for model, table in ((first, [1.0, 2.0]), (second, [5.0, 3.0])):
        model.add_variable("x")
        model.add_factor(["x"], table, name="evidence")
    joint = compose(first, second)
    assert [factor.name for factor in joint.factors] == ["evidence", "evidence (2)"]
    np.testing.assert_allclose(joint.query("x"), [5 / 11, 6 / 11], rtol=1e-14)


def test_a_conditional_table_hung_on_an_rbm_leaves_its_visible_distribution() -> None:
    graph = rbm_graph()
    visible, _ = bipartition(graph)
    child = GraphModel()
    child.add_variable(("v", 0))
    child.add_variable("y", states=3)
    table = np.array([[0.2, 0.6], [0.5, 0.1], [0.3, 0.3]])
    child.add_conditional("y", [("v", 0)], table)
    joint = compose(graph, child)
    np.testing.assert_allclose(joint.query(visible, joint=True), graph.query(visible, joint=True), rtol=1e-12)
    assert float(joint.log_partition()) == pytest.approx(float(graph.log_partition()), rel=1e-12)
    p_visible = graph.query(("v", 0))
    np.testing.assert_allclose(joint.query("y"), table @ p_visible, rtol=1e-12)
    np.testing.assert_allclose(joint.query(["y"], evidence={("v", 0): 1}), table[:, 1], rtol=1e-12)
    posterior = table[2] * p_visible
    np.testing.assert_allclose(joint.query(("v", 0), {"y": 2}), posterior / posterior.sum(), rtol=1e-12)


def test_a_prior_multiplies_the_visible_distribution() -> None:
    graph = rbm_graph()
    visible, _ = bipartition(graph)
    prior = GraphModel()
    for name in visible:
        prior.add_variable(name)
    table = np.random.default_rng(4).random((2, 2, 2))
    prior.add_factor(visible, table, name="prior")
    expected = graph.query(visible, joint=True) * table
    joint = compose(graph, prior)
    np.testing.assert_allclose(joint.query(visible, joint=True), expected / expected.sum(), rtol=1e-12)
    # Z is global: the new one is the old one times the mean of the prior's potentials under the RBM
    assert float(joint.log_partition()) == pytest.approx(
        float(graph.log_partition()) + math.log(expected.sum()), rel=1e-12
    )


def test_a_product_of_rbms_over_one_visible_layer() -> None:
    first, second = rbm_graph(seed=1), rbm_graph(seed=2)
    other = nx.relabel_nodes(second, {("h", 0): ("g", 0), ("h", 1): ("g", 1)})
    joint = compose(first, other)
    visible = [("v", i) for i in range(3)]
    product = first.query(visible, joint=True) * second.query(visible, joint=True)
    np.testing.assert_allclose(joint.query(visible, joint=True), product / product.sum(), rtol=1e-12)
    assert bipartition(joint)[0] == visible


def test_a_layer_that_is_hidden_in_one_and_visible_in_the_other_has_no_role() -> None:
    below = rbm_graph(3, 2, seed=1)
    above = nx.relabel_nodes(
        rbm_graph(2, 2, seed=2), {("v", 0): ("h", 0), ("v", 1): ("h", 1), ("h", 0): "t0", ("h", 1): "t1"}
    )
    joint = compose(below, above)
    assert "role" not in joint.nodes["h", 0]
    assert joint.nodes["v", 0]["role"] == "visible"
    assert float(joint.log_partition()) == pytest.approx(brute_force.log_partition(joint), rel=1e-12)


def test_plain_graphs_and_models_with_a_graph_are_accepted() -> None:
    plain = nx.Graph()
    plain.add_edge(("v", 0), "x", weight=1.5)
    plain.nodes["x"]["bias"] = -0.5
    graph = rbm_graph()
    face = SimpleNamespace(graph=graph)
    joint = compose(face, plain)
    assert float(joint.log_partition()) == pytest.approx(
        float(compose(graph, GraphModel(plain)).log_partition()), rel=1e-14
    )
    assert float(joint.log_partition()) == pytest.approx(brute_force.log_partition(joint), rel=1e-12)


def test_a_coupling_meets_an_edge_without_weight() -> None:
    first, second = GraphModel(), GraphModel()
    for model in (first, second):
        model.add_variable("a")
        model.add_variable("b")
    first.add_factor(["a", "b"], np.ones((2, 2)))
    second.add_coupling("a", "b", 2.0)
    for joint in (compose(first, second), compose(second, first)):
        assert joint.energy({"a": 1, "b": 1}) == -2.0


@pytest.mark.parametrize(
    ("here", "there", "message"),
    [
        ({"units": "spin"}, {"units": "binary"}, "'x' has units 'spin' in one model and units 'binary'"),
        ({"states": 3}, {"states": 4}, "'x' has units 'categorical' of 3 states in one model and .* of 4 states"),
        ({"states": 2}, {"units": "binary"}, "'x' has units 'categorical'"),
        ({"states": ["a", "b"]}, {"states": ["b", "a"]}, "'x' has the labels"),
    ],
)
def test_disagreement_on_a_variable(here: dict[str, Any], there: dict[str, Any], message: str) -> None:
    first, second = GraphModel(), GraphModel()
    first.add_variable("x", **here)
    second.add_variable("x", **there)
    with pytest.raises(VariableConflictError, match=message):
        compose(first, second)


def test_names_of_the_same_values_are_one_kind() -> None:
    for here, there in (("binary", "{0, 1}"), ("{-1,0,1}", "{-1, 0, 1}"), ("potts(3)", "categorical")):
        first, second = GraphModel(), GraphModel()
        bias = [0.1, 0.2, 0.3] if here == "potts(3)" else 0.25
        first.add_variable("x", here, bias)
        second.add_variable("x", there, bias, states=3 if there == "categorical" else None)
        joint = compose(first, second)
        np.testing.assert_array_equal(joint.bias("x"), 2 * np.asarray(bias))
    counts = GraphModel()
    counts.add_variable("x", "binomial(2)", bias=0.5)
    # one variable: the binomial coefficients count once
    assert float(compose(counts, counts).log_partition()) == pytest.approx(2 * np.log1p(np.exp(1.0)), rel=1e-14)
    other = GraphModel()
    other.add_variable("x", "integer(2)")
    with pytest.raises(VariableConflictError, match=r"units 'binomial\(2\)' in one model and units 'integer\(2\)'"):
        compose(counts, other)


def test_what_is_not_a_model() -> None:
    model = GraphModel()
    with pytest.raises(TypeError, match=r"Argument 2 of compose .* Got int"):
        compose(model, 3)
    with pytest.raises(ModelError, match="undirected"):
        compose(model, nx.DiGraph([(0, 1)]))
