"""Exact answers on graphs against brute force and closed forms: ln Z, marginals, the most probable, samples."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from pgm_rbm.errors import (
    ImpossibleEvidenceError,
    IntractableError,
)
from pgm_rbm.exact.elimination.network import condition
from pgm_rbm.exact.elimination.order import plan
from pgm_rbm.graph.live import RBMGraph
from pgm_rbm.graph.model import GraphModel
from tests.pgm_rbm import brute_force
from tests.pgm_rbm.exact.elimination.graphs import RELATIVE, grid, spins


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_log_partition_is_that_of_all_assignments(seed: Any, scale: float) -> None:
    model = brute_force.random_model(seed, scale)
    assert float(model.log_partition()) == pytest.approx(brute_force.log_partition(model), rel=RELATIVE)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("evidence", [{}, {"a": 1}, {"s": -1, "k": 2}, {("v", 0): 1, "t": 1, "lone": 3}])
def test_marginals_are_those_of_all_assignments(seed: Any, evidence: Any) -> None:
    model = brute_force.random_model(seed)
    free = [name for name in model if name not in evidence]
    together = model.query(free, evidence)
    for name in free:
        expected = brute_force.marginal(model, [name], evidence)
        np.testing.assert_allclose(together[name], expected, rtol=RELATIVE, atol=1e-15)
        np.testing.assert_allclose(model.query(name, evidence), expected, rtol=RELATIVE, atol=1e-15)
    pair = [free[-3], free[0], free[1]]
    np.testing.assert_allclose(
        model.query(pair, evidence, joint=True),
        brute_force.marginal(model, pair, evidence),
        rtol=RELATIVE,
        atol=1e-15,
    )


def test_two_passes_agree_with_one_elimination_for_each_variable() -> None:
    model = grid(4, 4, 0.7, periodic=True)
    rng = np.random.default_rng(3)
    for name in model:
        model.nodes[name]["bias"] = 1.5 * rng.normal()
    both = model.marginals()
    for name in model:
        np.testing.assert_allclose(both[name], model.query(name), rtol=RELATIVE)


def test_marginals_in_little_memory_are_the_same() -> None:
    # Where messages do not fit, some are computed twice; the order of no sum depends on it.
    model = grid(6, 6, 0.4, periodic=False)
    model.nodes[0, 0]["bias"] = 0.3
    planned = plan([scope for scope, _ in model.log_tables()], dict.fromkeys(model, 2))
    roomy, tight = planned.way_back(2**30), planned.way_back(0)
    assert not roomy.segment.parts
    assert tight.segment.parts
    assert tight.memory < roomy.memory
    for ask in (
        lambda limit: model.marginals(memory_limit=limit),
        lambda limit: model.pair_marginals(memory_limit=limit),
        lambda limit: {"best": list(model.most_probable(memory_limit=limit).assignment.values())},
        lambda limit: {"samples": model.sample(1, seed=0, memory_limit=limit)},
    ):
        expected, found = ask(2**30), ask(tight.memory)
        for name, table in expected.items():
            np.testing.assert_array_equal(found[name], table)
    with pytest.raises(IntractableError):
        model.marginals(memory_limit=tight.memory - 1)


@pytest.mark.parametrize("coupling", [-2.0, 0.0, 0.3, 1.0, 50.0])
@pytest.mark.parametrize("count", [3, 10, 200])
def test_ising_chain(count: int, coupling: float) -> None:
    log_2cosh = abs(coupling) + math.log1p(math.exp(-2 * abs(coupling)))
    path = [(i, i + 1) for i in range(count - 1)]
    open_chain = math.log(2) + (count - 1) * log_2cosh
    assert float(spins(count, path, coupling).log_partition()) == pytest.approx(open_chain, rel=RELATIVE)
    ring = count * log_2cosh + math.log1p(math.tanh(coupling) ** count)
    if math.tanh(coupling) > -1:
        closed = float(spins(count, [*path, (count - 1, 0)], coupling).log_partition())
        assert closed == pytest.approx(ring, rel=RELATIVE)


@pytest.mark.parametrize(
    ("coupling", "expected"),
    [
        (0.2, 11.771470358541581),
        (0.5 * math.log1p(math.sqrt(2)), 15.521915458755284),
        (0.6, 20.056532884346808),
    ],
)
def test_ising_torus_of_kaufman(coupling: Any, expected: float) -> None:
    # The published value at the critical point is for K = 0.4406867935, 1e-11 from the exact one: dlnZ/dK is about 25.
    relative = RELATIVE if coupling in (0.2, 0.6) else 2e-11
    assert float(grid(4, 4, coupling, periodic=True).log_partition()) == pytest.approx(expected, rel=relative)


def test_a_grid_of_20_by_20_at_zero_field_is_symmetric() -> None:
    model = grid(20, 20, 0.44, periodic=False)
    assert model.tractability().induced_width <= 20
    np.testing.assert_allclose(model.query((7, 9)), [0.5, 0.5], rtol=RELATIVE)


def test_zero_weights_give_the_sum_of_single_units() -> None:
    rng = np.random.default_rng(0)
    model = GraphModel()
    for i, bias in enumerate(10 * rng.normal(size=300)):
        model.add_variable(i, bias=bias)
    expected = math.fsum(np.logaddexp(0.0, model.nodes[i]["bias"]) for i in model)
    assert float(model.log_partition()) == pytest.approx(expected, rel=RELATIVE)


@pytest.mark.parametrize("size", [1e5, -1e5, 1e8])
def test_huge_weights_stay_finite(size: float) -> None:
    model = GraphModel()
    for name in "abc":
        model.add_variable(name, bias=size / 3)
    model.add_coupling("a", "b", size)
    model.add_coupling("b", "c", -size)
    assert float(model.log_partition()) == pytest.approx(brute_force.log_partition(model), rel=RELATIVE)
    for name, table in model.query(["a", "b", "c"]).items():
        np.testing.assert_allclose(table, brute_force.marginal(model, [name]), atol=1e-12)


def test_evidence_that_a_table_thought_impossible_is_answered_from_the_logs() -> None:
    # In linear arithmetic the smaller of the two potentials is zero long before the evidence asks for it.
    model = GraphModel()
    for name in "abc":
        model.add_variable(name)
    model.add_factor(["a", "b"], log_table=[[0.0, -2e3], [-3e3, -1e5]])
    model.add_factor(["b", "c"], log_table=[[0.0, 0.0], [0.0, 1e5]])
    np.testing.assert_allclose(model.query("a", {"b": 1}), [1.0, 0.0], atol=1e-300)
    assert float(model.log_partition({"a": 1, "b": 1})) == pytest.approx(0.0, abs=1e-9)


def test_disconnected_parts_factor() -> None:
    left, right = grid(3, 3, 0.4, periodic=False), spins(5, [(i, i + 1) for i in range(4)], -1.0, bias=0.2)
    both = GraphModel(left)
    for name, attributes in right.nodes(data=True):
        both.add_variable(name, "spin", bias=attributes["bias"])
    for u, v, weight in right.edges(data="weight"):
        both.add_coupling(u, v, weight)
    assert float(both.log_partition()) == pytest.approx(
        float(left.log_partition()) + float(right.log_partition()), rel=RELATIVE
    )
    assert both.tractability().parts == 2
    np.testing.assert_allclose(both.query([2, (0, 0)])[2], right.query(2), rtol=RELATIVE)


def test_a_hub_with_many_leaves_is_cheap() -> None:
    model = GraphModel()
    model.add_variable("hub", states=3)
    for i in range(500):
        model.add_variable(i, bias=0.01 * i - 2)
        model.add_conditional(i, ["hub"], [[0.5, 0.4, 0.9], [0.5, 0.6, 0.1]])
    report = model.tractability()
    assert report.induced_width == 1
    table = model.query(list(model))
    direct = np.zeros(3)
    for i in range(500):
        direct += np.log([[0.5, 0.4, 0.9], [0.5, 0.6, 0.1]][0] + np.exp(0.01 * i - 2) * np.array([0.5, 0.6, 0.1]))
    expected = np.exp(direct - np.logaddexp.reduce(direct))
    np.testing.assert_allclose(table["hub"], expected, rtol=1e-10)  # 500 logarithms up to 2e2 are exponentiated


def test_empty_model() -> None:
    assert float(GraphModel().log_partition()) == 0.0


def test_variables_without_any_table_count() -> None:
    model = GraphModel()
    model.add_variable("a")
    model.add_variable("k", states=5)
    assert float(model.log_partition()) == pytest.approx(math.log(10), rel=RELATIVE)


def test_condition_slices_tables() -> None:
    table = np.arange(6.0).reshape(2, 3)
    ((scope, sliced),) = condition([(("x", "y"), table)], {"x": 1})
    assert scope == ("y",)
    np.testing.assert_array_equal(sliced, [3, 4, 5])
    ((scope, sliced),) = condition([(("x", "y"), table)], {"y": 2, "x": 0})
    assert scope == ()
    assert sliced == 2.0


def test_a_dense_model_is_refused_before_it_starts() -> None:
    names = range(40)
    model = spins(40, [(i, j) for i in names for j in names if i < j], 0.1)
    with pytest.raises(
        IntractableError, match=r"induced width of 39, that is .* of tables and .*; memory_limit allows 1.0 GiB"
    ):
        float(model.log_partition())
    with pytest.raises(IntractableError, match=r"evidence=.*sample\(n, method=\"gibbs\"\)") as caught:
        model.query(3)
    assert caught.value.induced_width == 39
    assert caught.value.memory > caught.value.memory_limit == 2**30


def test_the_limit_can_be_lowered_and_raised() -> None:
    model = grid(4, 4, 0.2, periodic=True)
    with pytest.raises(IntractableError, match="memory_limit"):
        float(model.log_partition(memory_limit=1000))
    assert math.isfinite(float(model.log_partition(memory_limit=100_000)))


def test_a_joint_table_that_is_too_large_is_refused() -> None:
    model = spins(60, [], 0.0)
    with pytest.raises(IntractableError):
        model.query(list(range(60)), joint=True)


def test_contradictory_evidence() -> None:
    model = GraphModel()
    model.add_variable("a")
    model.add_variable("b")
    model.add_factor(["a", "b"], [[1, 0], [1, 1]])
    for ask in (model.log_partition, lambda evidence: model.query("a", evidence)):
        with pytest.raises(ImpossibleEvidenceError, match=r"'b': 1.*probability zero"):
            ask({"a": 0, "b": 1})
    with pytest.raises(ImpossibleEvidenceError):
        model.query(["a", "b"], {"a": 0, "b": 1})


def test_factors_that_rule_everything_out() -> None:
    model = GraphModel()
    model.add_variable("a")
    model.add_variable("b")
    model.add_factor(["a"], [1, 0])
    model.add_factor(["a"], [0, 1])
    for ask in (model.log_partition, lambda: model.query("b"), lambda: model.query(["a", "b"])):
        with pytest.raises(ImpossibleEvidenceError, match="Every assignment has potential zero"):
            ask()


def test_a_contradiction_in_one_part_leaves_no_marginal_in_another() -> None:
    model = GraphModel()
    for name in "abcd":
        model.add_variable(name)
    model.add_variable("one", states=1)
    model.add_factor(["a", "b"], [[1, 0], [1, 1]])
    model.add_coupling("c", "d", 1.0)
    for variables in (["c", "d"], ["c", "one"], "c", "one"):
        with pytest.raises(ImpossibleEvidenceError):
            model.query(variables, {"a": 0, "b": 1})
    model.add_factor(["a"], [0, 1])
    model.add_factor(["a"], [1, 0])
    with pytest.raises(ImpossibleEvidenceError):
        model.query(["c", "d"])


def test_every_marginal_has_the_shape_of_its_domain() -> None:
    model = brute_force.random_model(8)
    found = model.marginals({"k": 2})
    assert list(found) == list(model)
    for name, table in found.items():
        assert table.shape == (len(model.domain(name)),)
    np.testing.assert_array_equal(found["k"], [0, 0, 1])


def test_a_variable_that_nothing_touches_is_uniform() -> None:
    model = GraphModel()
    model.add_variable("alone", states=4)
    model.add_variable("other", states=1)
    tables = model.query(["alone", "other"])
    np.testing.assert_allclose(tables["alone"], [0.25] * 4, rtol=1e-15)
    np.testing.assert_array_equal(tables["other"], [1.0])


def test_marginals_of_a_wide_layer_over_a_narrow_one() -> None:
    rng = np.random.default_rng(1)
    weights, bias = rng.normal(size=(40, 5)), rng.normal(size=40)
    graph = RBMGraph.from_arrays(weights, bias, np.zeros(5))
    found = graph.query(list(graph))
    hidden = np.array(list(itertools.product([0, 1], repeat=5)), dtype=float)
    log_p = np.logaddexp(0.0, bias + hidden @ weights.T).sum(axis=1)
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    mean_hidden = p @ hidden
    mean_visible = p @ (1 / (1 + np.exp(-bias - hidden @ weights.T)))
    # logarithms of size 1e2 are exponentiated, so 1e-11 is some hundred roundings
    np.testing.assert_allclose([found["h", j][1] for j in range(5)], mean_hidden, rtol=1e-11)
    np.testing.assert_allclose([found["v", i][1] for i in range(40)], mean_visible, rtol=1e-11)
