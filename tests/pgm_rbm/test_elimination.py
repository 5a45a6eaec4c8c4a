"""Exact answers on graphs against brute force and closed forms: ln Z, marginals, the most probable, samples."""

from __future__ import annotations

import itertools
import math
import pickle
import tracemalloc
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Rational

from pgm_rbm import RBM
from pgm_rbm.errors import (
    CostLimitError,
    EnumerationLimitError,
    ImpossibleEvidenceError,
    IntractableError,
    ModelError,
    UnknownVariableError,
    ValueOutsideDomainError,
)
from pgm_rbm.exact.elimination.network import condition
from pgm_rbm.exact.elimination.order import plan
from pgm_rbm.graph.live import RBMGraph
from pgm_rbm.graph.model import GraphModel
from tests.pgm_rbm import brute_force

# Sums of a few thousand terms in float64, taken in another order: 1e-12 relative is some hundred roundings.
RELATIVE = 1e-12


def spins(count, edges, coupling, bias=0.0):
    model = GraphModel()
    for name in count if not isinstance(count, int) else range(count):
        model.add_variable(name, "spin", bias=bias)
    for u, v in edges:
        model.add_coupling(u, v, coupling)
    return model


def grid(rows, columns, coupling, *, periodic):
    sites = [(i, j) for i in range(rows) for j in range(columns)]
    right = [((i, j), (i, (j + 1) % columns)) for i, j in sites if periodic or j + 1 < columns]
    down = [((i, j), ((i + 1) % rows, j)) for i, j in sites if periodic or i + 1 < rows]
    return spins(sites, right + down, coupling)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_log_partition_is_that_of_all_assignments(seed, scale):
    model = brute_force.random_model(seed, scale)
    assert float(model.log_partition()) == pytest.approx(brute_force.log_partition(model), rel=RELATIVE)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("evidence", [{}, {"a": 1}, {"s": -1, "k": 2}, {("v", 0): 1, "t": 1, "lone": 3}])
def test_marginals_are_those_of_all_assignments(seed, evidence):
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


def test_two_passes_agree_with_one_elimination_for_each_variable():
    model = grid(4, 4, 0.7, periodic=True)
    rng = np.random.default_rng(3)
    for name in model:
        model.nodes[name]["bias"] = 1.5 * rng.normal()
    both = model.marginals()
    for name in model:
        np.testing.assert_allclose(both[name], model.query(name), rtol=RELATIVE)


def test_marginals_in_little_memory_are_the_same():
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
def test_ising_chain(count, coupling):
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
def test_ising_torus_of_kaufman(coupling, expected):
    # The published value at the critical point is for K = 0.4406867935, 1e-11 from the exact one: dlnZ/dK is about 25.
    relative = RELATIVE if coupling in (0.2, 0.6) else 2e-11
    assert float(grid(4, 4, coupling, periodic=True).log_partition()) == pytest.approx(expected, rel=relative)


def test_a_grid_of_20_by_20_at_zero_field_is_symmetric():
    model = grid(20, 20, 0.44, periodic=False)
    assert model.tractability().induced_width <= 20
    np.testing.assert_allclose(model.query((7, 9)), [0.5, 0.5], rtol=RELATIVE)


def test_zero_weights_give_the_sum_of_single_units():
    rng = np.random.default_rng(0)
    model = GraphModel()
    for i, bias in enumerate(10 * rng.normal(size=300)):
        model.add_variable(i, bias=bias)
    expected = math.fsum(np.logaddexp(0.0, model.nodes[i]["bias"]) for i in model)
    assert float(model.log_partition()) == pytest.approx(expected, rel=RELATIVE)


@pytest.mark.parametrize("size", [1e5, -1e5, 1e8])
def test_huge_weights_stay_finite(size):
    model = GraphModel()
    for name in "abc":
        model.add_variable(name, bias=size / 3)
    model.add_coupling("a", "b", size)
    model.add_coupling("b", "c", -size)
    assert float(model.log_partition()) == pytest.approx(brute_force.log_partition(model), rel=RELATIVE)
    for name, table in model.query(["a", "b", "c"]).items():
        np.testing.assert_allclose(table, brute_force.marginal(model, [name]), atol=1e-12)


def test_evidence_that_a_table_thought_impossible_is_answered_from_the_logs():
    # In linear arithmetic the smaller of the two potentials is zero long before the evidence asks for it.
    model = GraphModel()
    for name in "abc":
        model.add_variable(name)
    model.add_factor(["a", "b"], log_table=[[0.0, -2e3], [-3e3, -1e5]])
    model.add_factor(["b", "c"], log_table=[[0.0, 0.0], [0.0, 1e5]])
    np.testing.assert_allclose(model.query("a", {"b": 1}), [1.0, 0.0], atol=1e-300)
    assert float(model.log_partition({"a": 1, "b": 1})) == pytest.approx(0.0, abs=1e-9)


def test_disconnected_parts_factor():
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


def test_a_hub_with_many_leaves_is_cheap():
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


def test_empty_model():
    assert float(GraphModel().log_partition()) == 0.0


def test_variables_without_any_table_count():
    model = GraphModel()
    model.add_variable("a")
    model.add_variable("k", states=5)
    assert float(model.log_partition()) == pytest.approx(math.log(10), rel=RELATIVE)


def test_condition_slices_tables():
    table = np.arange(6.0).reshape(2, 3)
    ((scope, sliced),) = condition([(("x", "y"), table)], {"x": 1})
    assert scope == ("y",)
    np.testing.assert_array_equal(sliced, [3, 4, 5])
    ((scope, sliced),) = condition([(("x", "y"), table)], {"y": 2, "x": 0})
    assert scope == ()
    assert sliced == 2.0


def test_a_dense_model_is_refused_before_it_starts():
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


def test_the_limit_can_be_lowered_and_raised():
    model = grid(4, 4, 0.2, periodic=True)
    with pytest.raises(IntractableError, match="memory_limit"):
        float(model.log_partition(memory_limit=1000))
    assert math.isfinite(float(model.log_partition(memory_limit=100_000)))


def test_a_joint_table_that_is_too_large_is_refused():
    model = spins(60, [], 0.0)
    with pytest.raises(IntractableError):
        model.query(list(range(60)), joint=True)


def test_contradictory_evidence():
    model = GraphModel()
    model.add_variable("a")
    model.add_variable("b")
    model.add_factor(["a", "b"], [[1, 0], [1, 1]])
    for ask in (model.log_partition, lambda evidence: model.query("a", evidence)):
        with pytest.raises(ImpossibleEvidenceError, match=r"'b': 1.*probability zero"):
            ask({"a": 0, "b": 1})
    with pytest.raises(ImpossibleEvidenceError):
        model.query(["a", "b"], {"a": 0, "b": 1})


def test_factors_that_rule_everything_out():
    model = GraphModel()
    model.add_variable("a")
    model.add_variable("b")
    model.add_factor(["a"], [1, 0])
    model.add_factor(["a"], [0, 1])
    for ask in (model.log_partition, lambda: model.query("b"), lambda: model.query(["a", "b"])):
        with pytest.raises(ImpossibleEvidenceError, match="Every assignment has potential zero"):
            ask()


def test_a_contradiction_in_one_part_leaves_no_marginal_in_another():
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


def test_every_marginal_has_the_shape_of_its_domain():
    model = brute_force.random_model(8)
    found = model.marginals({"k": 2})
    assert list(found) == list(model)
    for name, table in found.items():
        assert table.shape == (len(model.domain(name)),)
    np.testing.assert_array_equal(found["k"], [0, 0, 1])


def test_a_variable_that_nothing_touches_is_uniform():
    model = GraphModel()
    model.add_variable("alone", states=4)
    model.add_variable("other", states=1)
    tables = model.query(["alone", "other"])
    np.testing.assert_allclose(tables["alone"], [0.25] * 4, rtol=1e-15)
    np.testing.assert_array_equal(tables["other"], [1.0])


def test_marginals_of_a_wide_layer_over_a_narrow_one():
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


# -- every answer, on models that are made up --------------------------------------------------------------------------


@st.composite
def models(draw):
    """Up to five variables of all unit types, couplings, and factors of up to third order with zeros, of any size."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.0, 1.0, 30.0, 1e3, 1e5]))
    model = GraphModel()
    for name in range(draw(st.integers(1, 5))):
        units = draw(st.sampled_from([*brute_force.VALUES, "categorical"]))
        states = draw(st.integers(1, 3)) if units == "categorical" else 3
        bias = scale * (rng.normal(size=states) if units in brute_force.LABELS else rng.normal())
        model.add_variable(name, units, bias, states=states if units == "categorical" else None)
    numbers = [name for name in model if model.units(name) not in brute_force.LABELS]
    for pair in itertools.combinations(numbers, 2):
        if draw(st.booleans()):
            model.add_coupling(*pair, scale * rng.normal())
    for _ in range(draw(st.integers(0, 2))):
        scope = draw(st.permutations(list(model)))[: draw(st.integers(1, 3))]
        logs = scale * rng.normal(size=[len(model.domain(name)) for name in scope])
        logs[rng.random(logs.shape) < 0.2] = -math.inf
        logs.flat[0] = 0.0
        model.add_factor(scope, log_table=logs)
    return model


@settings(max_examples=60, deadline=None)
@given(models(), st.data())
def test_every_answer_is_that_of_all_assignments(model, data):
    evidence = {}
    if data.draw(st.booleans()):
        seen = data.draw(st.sampled_from(list(model)))
        state = data.draw(st.integers(0, len(model.domain(seen)) - 1))
        evidence = {seen: model.domain(seen)[state].item()}
    check_every_answer(model, evidence)


@pytest.mark.parametrize("evidence", [{}, {"f": 2}, {"d": -0.5, "g": 1}])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_every_answer_for_any_finite_units(scale, evidence):
    model = brute_force.model_of_many_units(3, scale)
    check_every_answer(model, evidence)
    assert model.sample(5, evidence, seed=0).dtype == np.float64  # one of its domains has a half


def test_what_units_weigh_of_themselves_counts():
    # binomial(N) sums N binary units in one field: Z = (1 + e^b)^N, and E leaves the binomial coefficient out
    model = GraphModel()
    model.add_variable("n", "binomial(3)", bias=0.7)
    assert float(model.log_partition()) == pytest.approx(3 * math.log1p(math.exp(0.7)), rel=1e-14)
    assert model.energy({"n": 2}) == pytest.approx(-1.4, rel=1e-14)
    p = 1 / (1 + math.exp(-0.7))
    expected = [math.comb(3, k) * p**k * (1 - p) ** (3 - k) for k in range(4)]
    np.testing.assert_allclose(model.marginals()["n"], expected, rtol=1e-13)
    best = model.most_probable()
    assert best["n"] == 2
    assert best.log_probability == pytest.approx(math.log(expected[2]), rel=1e-13)
    assert model.entropy() == pytest.approx(-sum(one * math.log(one) for one in expected), rel=1e-13)


def test_units_of_another_package(monkeypatch):
    from sympy import exp, log

    from symbolic import units

    class Entry:
        value = "thirds:unit"

        @staticmethod
        def load():
            return units.Unit(
                "thirds",
                units.Finite((Fraction(-1, 3), Fraction(2, 3))),
                lambda phi: log(3 * exp(phi(Rational(-1, 3))) + exp(phi(Rational(2, 3)))),
                "thirds, the lower one three times as heavy",
                base=lambda s: 2 - 3 * s,
            )

    installed = units.installed_units()
    monkeypatch.setattr("symbolic.units.table.installed_units", lambda: {**installed, "thirds": Entry})
    model = GraphModel()
    model.add_variable("x", "thirds", bias=0.3)
    model.add_variable("s", "spin")
    model.add_coupling("x", "s", 0.9)
    weights = {(x, s): mu * math.exp(0.3 * x + 0.9 * x * s) for x, mu in ((-1 / 3, 3), (2 / 3, 0.0)) for s in (-1, 1)}
    assert float(model.log_partition()) == pytest.approx(math.log(sum(weights.values())), rel=1e-14)


def check_every_answer(model, evidence):
    names = list(model)
    logs = brute_force.log_joint(model)
    for seen, value in evidence.items():
        (state,) = np.flatnonzero(model.domain(seen) == value)
        logs = np.where(np.indices(logs.shape)[names.index(seen)] == state, logs, -math.inf)
    top = logs.max()
    if top == -math.inf:
        for ask in (model.log_partition, model.marginals, model.most_probable, model.entropy):
            with pytest.raises(ImpossibleEvidenceError):
                ask(evidence)
        with pytest.raises(ImpossibleEvidenceError):
            model.sample(2, evidence, seed=0)
        return
    p = np.exp(logs - top)
    log_z = top + math.log(p.sum())
    p /= p.sum()
    # Terms of size 1e5 are added in another order and exponentiated, so probabilities agree to 1e-10 of themselves.
    size = max(1.0, np.abs(logs[logs > -math.inf]).max())
    close = {"rtol": 1e-13 + 4e-16 * size, "atol": 1e-15}
    assert float(model.log_partition(evidence, method="elimination")) == pytest.approx(log_z, rel=1e-12, abs=1e-12)
    assert float(model.log_partition(evidence, method="enumeration")) == pytest.approx(log_z, rel=1e-12, abs=1e-12)
    for name, table in model.marginals(evidence).items():
        others = tuple(axis for axis in range(len(names)) if names[axis] != name)
        np.testing.assert_allclose(table, p.sum(axis=others), **close)
    pairs = list(itertools.permutations(names, 2))
    for (u, v), table in model.pair_marginals(pairs, evidence).items():
        expected = p.sum(axis=tuple(axis for axis in range(len(names)) if names[axis] not in (u, v)))
        np.testing.assert_allclose(table, expected if names.index(u) < names.index(v) else expected.T, **close)
    np.testing.assert_allclose(model.query(names, evidence, joint=True), p, **close)
    best = model.most_probable(evidence)
    place = tuple(int(np.flatnonzero(model.domain(name) == best[name])[0]) for name in names)
    assert logs[place] == pytest.approx(top, rel=1e-14)
    assert best.log_probability == pytest.approx(top - log_z, rel=1e-12, abs=1e-15 * size + 1e-12)
    # ln Z + <E> loses what is common to both
    terms = np.where(p > 0.0, p * np.log(np.where(p > 0.0, p, 1.0)), 0.0)
    assert model.entropy(evidence) == pytest.approx(-terms.sum(), rel=1e-12, abs=1e-13 * size)
    for row in model.sample(20, evidence, seed=3):
        where = tuple(int(np.flatnonzero(model.domain(name) == x)[0]) for name, x in zip(names, row, strict=True))
        assert p[where] > 0.0


@pytest.mark.parametrize("seed", range(3))
def test_coupled_pairs_and_scopes_are_the_pairs_by_default(seed):
    model = brute_force.random_model(seed)
    found = model.pair_marginals(evidence={"s": 1})
    expected = {("a", "b"), ("b", "s"), ("s", "t"), ("t", ("v", 0)), ("a", ("v", 0))}
    expected |= {("k", "a"), ("k", "t"), ("a", "t"), (("v", 0), "k"), ("one", "b")}
    assert {frozenset(pair) for pair in found} == {frozenset(pair) for pair in expected}
    for pair, table in found.items():
        np.testing.assert_allclose(table, brute_force.marginal(model, pair, {"s": 1}), rtol=RELATIVE, atol=1e-15)


def test_one_large_factor_with_zeros():
    # 2^14 entries take the ways for large tables, and a spread of 2e3 nats takes them in logs
    rng = np.random.default_rng(5)
    for spread in (3.0, 1e3):
        model = GraphModel()
        for name in range(14):
            model.add_variable(name, bias=rng.normal())
        logs = spread * rng.normal(size=[2] * 14)
        logs[rng.random(logs.shape) < 0.3] = -math.inf
        model.add_factor(list(range(14)), log_table=logs)
        model.add_coupling(0, 13, spread)
        rows = np.array(list(itertools.product([0, 1], repeat=14)))
        weights = -model.energy(rows)
        top = weights.max()
        p = np.exp(weights - top)
        assert float(model.log_partition()) == pytest.approx(top + math.log(p.sum()), rel=RELATIVE)
        p /= p.sum()
        found = model.marginals()
        means = np.array([found[name][1] for name in range(14)])
        np.testing.assert_allclose(means, p @ rows, rtol=1e-11)  # exponents up to 4e3 are rounded at 1e-12
        pair = model.pair_marginals([(3, 13)])[3, 13]
        assert pair[1, 1] == pytest.approx(p @ (rows[:, 3] * rows[:, 13]), rel=1e-11)
        assert list(model.most_probable().assignment.values()) == rows[weights.argmax()].tolist()


@pytest.mark.parametrize("scale", [1.0, 300.0])
@pytest.mark.parametrize("kind", ["spin", "three states"])
@pytest.mark.parametrize("seed", range(2))
def test_dense_models_whose_tables_are_large(seed, kind, scale):
    rng = np.random.default_rng(seed)
    if kind == "spin":
        graph = nx.gnm_random_graph(17, 115, seed=seed)
        model = spins(17, graph.edges, 0.0, bias=0.1)
        for edge in model.edges:
            model.edges[edge]["weight"] = scale * rng.normal()
        values = [-1, 1]
    else:
        model = GraphModel()
        for name in range(11):
            model.add_variable(name, states=3, bias=scale * rng.normal(size=3))
        for _ in range(60):
            logs = scale * rng.normal(size=(3, 3, 3))
            logs[rng.random(logs.shape) < 0.03] = -math.inf
            model.add_factor(rng.choice(11, 3, replace=False).tolist(), log_table=logs)
        values = [0, 1, 2]
    planned = plan([scope for scope, _ in model.log_tables()], dict.fromkeys(model, len(values)))
    assert planned.largest_table > 4096
    rows = np.stack(np.meshgrid(*[values] * len(model), indexing="ij"), axis=-1).reshape(-1, len(model))
    logs = -model.energy(rows)
    top = logs.max()
    p = np.exp(logs - top)
    log_z = top + math.log(p.sum())
    p /= p.sum()
    close = {"rtol": 1e-9 if scale > 1 else 1e-11, "atol": 1e-14}  # exponents up to 3e4 are rounded at 1e-11
    assert float(model.log_partition()) == pytest.approx(log_z, rel=RELATIVE)
    for memory_limit in (2**30, planned.way_back(0).memory):
        for name, table in model.marginals(memory_limit=memory_limit).items():
            np.testing.assert_allclose(table, [p[rows[:, name] == x].sum() for x in values], **close)
    for (u, v), table in model.pair_marginals([(3, 0), (2, 9), (4, 5)]).items():
        expected = [[p[(rows[:, u] == x) & (rows[:, v] == y)].sum() for y in values] for x in values]
        np.testing.assert_allclose(table, expected, **close)
    assert list(model.most_probable().assignment.values()) == rows[logs.argmax()].tolist()
    terms = p[p > 0] @ np.log(p[p > 0])
    assert model.entropy() == pytest.approx(-terms, rel=1e-9, abs=1e-10)


# -- closed forms ------------------------------------------------------------------------------------------------------


def test_correlations_along_a_chain_of_10_000():
    # <s_i s_j> = tanh(K)^|i-j| in an open chain without a field
    coupling, count = 0.8, 10_000
    model = spins(count, [(i, i + 1) for i in range(count - 1)], coupling)
    log_2cosh = coupling + math.log1p(math.exp(-2 * coupling))
    assert float(model.log_partition()) == pytest.approx(math.log(2) + (count - 1) * log_2cosh, rel=RELATIVE)
    asked = [(0, 1), (5000, 5001), (9998, 9999), (100, 103), (7, 4)]
    for (i, j), table in model.pair_marginals(asked).items():
        correlation = table[0, 0] + table[1, 1] - table[0, 1] - table[1, 0]
        assert correlation == pytest.approx(math.tanh(coupling) ** abs(i - j), rel=1e-11)
    np.testing.assert_allclose(np.array(list(model.marginals().values())), 0.5, rtol=1e-11)
    entropy = math.log(2) + (count - 1) * (log_2cosh - coupling * math.tanh(coupling))
    assert model.entropy() == pytest.approx(entropy, rel=1e-11)
    best = model.most_probable()
    assert best.energy == pytest.approx(-coupling * (count - 1), rel=RELATIVE)
    assert len(set(best.assignment.values())) == 1
    drawn = model.sample(40, seed=1)
    # 40 x 9,999 products with standard deviation sqrt(1 - tanh^2): 5 standard errors
    products = (drawn[:, :-1] * drawn[:, 1:]).mean()
    error = math.sqrt((1 - math.tanh(coupling) ** 2) / (40 * (count - 1)))
    assert abs(products - math.tanh(coupling)) < 5 * error


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5])
def test_curie_weiss_on_the_complete_graph(beta):
    # Z = e^{-beta/2} sum_k C(N, k) exp(beta (2k - N)^2 / 2N): every spin couples to every other with beta / N
    count = 13
    names = range(count)
    model = spins(count, itertools.combinations(names, 2), beta / count)
    terms = [
        math.log(math.comb(count, k)) + beta * (2 * k - count) ** 2 / (2 * count) - beta / 2 for k in range(count + 1)
    ]
    log_z = brute_force.log_sum(terms)
    assert float(model.log_partition()) == pytest.approx(log_z, rel=RELATIVE)
    p = np.exp(np.array(terms) - log_z)
    magnetisation = 2 * np.arange(count + 1) - count
    correlation = p @ (magnetisation**2 - count) / (count * (count - 1))
    table = model.pair_marginals([(2, 9)])[2, 9]
    assert table[0, 0] + table[1, 1] - table[0, 1] - table[1, 0] == pytest.approx(correlation, rel=1e-11)


def test_every_answer_on_a_grid_of_20_by_20():
    model = grid(20, 20, 0.44, periodic=False)
    rng = np.random.default_rng(0)
    for name in model:
        model.nodes[name]["bias"] = 0.3 * rng.normal()
    log_z = model.log_partition()
    singles, pairs = model.marginals(), model.pair_marginals()
    assert len(pairs) == model.number_of_edges()
    for name in ((0, 0), (7, 9), (19, 19)):
        assert math.log(singles[name][1]) == pytest.approx(model.log_partition({name: 1}) - log_z, abs=1e-11)
    for (u, v), table in pairs.items():
        # sums of 2^21 numbers in another order
        np.testing.assert_allclose(table.sum(axis=1), singles[u], rtol=1e-11)
        np.testing.assert_allclose(table.sum(axis=0), singles[v], rtol=1e-11)
    best = model.most_probable()
    rows = np.array(list(best.assignment.values()))
    flipped = np.where(np.eye(400, dtype=bool), -rows, rows)
    drawn = model.sample(2000, seed=4)
    assert best.energy <= min(model.energy(flipped).min(), model.energy(drawn).min())
    assert best.log_probability == pytest.approx(-best.energy - log_z, rel=RELATIVE)
    # 400 means within 5 standard errors of 2,000 samples: by chance one seed in 5,000 has one outside
    means = np.array([table[1] for table in singles.values()])
    error = np.sqrt(means * (1 - means) / 2000)
    assert (np.abs((drawn == 1).mean(axis=0) - means) < 5 * error).all()


# -- dense, sparse, eliminated, enumerated -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "units",
    [
        *itertools.product(["binary", "spin"], repeat=2),
        ("{-1, 0, 1}", "binary"),
        ("binomial(3)", "spin"),
        ("spin", "{-1/2, 0, 3}"),
        ("integer(2)", "binomial(3)"),
    ],
)
def test_layers_are_eliminated_and_enumerated_alike(units):
    rng = np.random.default_rng(7)
    shape = (6, 4) if set(units) <= {"binary", "spin"} else (4, 3)
    weights, visible, hidden = rng.normal(size=shape), rng.normal(size=shape[0]), rng.normal(size=shape[1])
    mask = rng.random(shape) < 0.4
    for kept, present in ((np.ones_like(mask), None), (mask, mask)):
        graph = RBMGraph.from_arrays(np.where(kept, weights, 0.0), visible, hidden, *units, mask=present)
        plain = graph.copy()
        expected = brute_force.log_partition(plain)
        evidence = {("v", 0): plain.domain(("v", 0))[0].item(), ("h", 2): plain.domain(("h", 2))[-1].item()}
        given_evidence = brute_force.log_partition(plain, evidence)
        for model in (graph, plain):
            for method in ("auto", "elimination", "enumeration"):
                found = model.log_partition(method=method)
                assert found.method == ("elimination" if method == "auto" else method)
                assert float(found) == pytest.approx(expected, rel=RELATIVE)
                found = model.log_partition(evidence, method=method)
                assert float(found) == pytest.approx(given_evidence, rel=RELATIVE)


def test_an_rbm_and_its_graph_agree():
    rng = np.random.default_rng(8)
    rbm = RBM.from_parameters(rng.normal(size=(30, 8)), rng.normal(size=30), rng.normal(size=8))
    moments, graph = rbm.moments(), rbm.graph
    assert float(graph.log_partition(method="elimination")) == pytest.approx(float(rbm.log_partition()), rel=RELATIVE)
    singles, pairs = graph.marginals(), graph.pair_marginals()
    # logarithms of size 1e2 are exponentiated, so 1e-11 is some hundred roundings
    np.testing.assert_allclose([singles["v", i][1] for i in range(30)], moments.v, rtol=1e-11)
    np.testing.assert_allclose([singles["h", j][1] for j in range(8)], moments.h, rtol=1e-11)
    both = [[pairs[("v", i), ("h", j)][1, 1] for j in range(8)] for i in range(30)]
    np.testing.assert_allclose(both, moments.vh, rtol=1e-11)


def test_auto_enumerates_where_that_is_quicker():
    rng = np.random.default_rng(9)
    graph = RBMGraph.from_arrays(rng.normal(size=(120, 19)), rng.normal(size=120), rng.normal(size=19))
    report = graph.tractability(time_limit=1e4)
    by_name = {way.name: way for way in report.ways if way.question == "ln Z"}
    quicker = by_name["enumeration"].seconds < by_name["elimination"].seconds
    assert report.method == ("enumeration" if quicker and by_name["elimination"].seconds > 1 else "elimination")
    # With memory for neither cluster nor message, enumeration is what is left, and evidence is folded in.
    evidence = {("v", i): 1 for i in range(100)}
    found = graph.log_partition(evidence, memory_limit=2**20)
    assert found.method == "enumeration"
    assert found == pytest.approx(float(graph.log_partition(evidence, method="elimination")), rel=RELATIVE)
    assert graph.tractability(evidence, memory_limit=2**20).method == "enumeration"


# -- extremes ----------------------------------------------------------------------------------------------------------


def test_small_parts_that_large_ones_bring_back():
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


def grid_free_log_z(model, evidence=None):
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
def test_a_grid_with_couplings_of_any_size(size):
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


def test_probabilities_near_the_smallest_number():
    model = spins(3, [(0, 1), (1, 2)], 0.5)
    model.add_factor([0], log_table=[-650.0, 0.0])
    assert model.marginals()[0][0] == pytest.approx(math.exp(-650) / (1 + math.exp(-650)), rel=1e-12)


# -- ties, seeds, progress ---------------------------------------------------------------------------------------------


def test_equally_probable_configurations_give_the_first_values():
    model = GraphModel()
    for name in "abcd":
        model.add_variable(name, states=3)
    best = model.most_probable({"c": 2})
    assert best.assignment == {"a": 0, "b": 0, "c": 2, "d": 0}
    assert best.log_probability == pytest.approx(-3 * math.log(3), rel=1e-14)
    ring = spins(6, [(k, (k + 1) % 6) for k in range(6)], -1.0)
    assert all(ring.most_probable() == ring.most_probable() for _ in range(3))


def test_samples_depend_on_the_seed_alone():
    model = brute_force.random_model(1)
    few, many = model.sample(5, seed=9), model.sample(500, seed=9)
    np.testing.assert_array_equal(few, many[:5])
    assert few.dtype == np.int64
    assert (model.sample(500, seed=10) != many).any()
    assert model.sample(3).shape == (3, len(model))
    observed = model.sample(50, {"s": -1, "k": 2}, seed=9)
    names = list(model)
    assert (observed[:, names.index("s")] == -1).all()
    assert (observed[:, names.index("k")] == 2).all()
    assert np.isfinite(model.energy(observed)).all()


def test_progress_rises_to_the_end():
    model = grid(8, 8, 0.3, periodic=False)
    for ask in (
        model.log_partition,
        lambda progress: model.marginals(progress=progress),
        lambda progress: model.marginals(progress=progress, memory_limit=2**17),
        lambda progress: model.most_probable(progress=progress),
        lambda progress: model.most_probable(progress=progress, memory_limit=2**17),
        lambda progress: model.sample(2, seed=0, progress=progress),
        lambda progress: model.query((0, 0), progress=progress),
        lambda progress: model.entropy(progress=progress),
    ):
        seen: list[tuple[int, int]] = []
        ask(progress=lambda *at, seen=seen: seen.append(at))
        done, totals = zip(*seen, strict=True)
        assert len(set(totals)) == 1
        assert list(done) == sorted(done)
        assert done[-1] == totals[0]
        assert done[0] < totals[0] / 2


def test_an_interrupt_ends_the_work_and_nothing_else():
    model = grid(8, 8, 0.3, periodic=False)
    before = float(model.log_partition())

    def interrupt(done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    for ask in (model.log_partition, model.marginals, model.most_probable, model.entropy):
        with pytest.raises(KeyboardInterrupt):
            ask(progress=interrupt)
    assert float(model.log_partition()) == before


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_what_would_take_too_long_is_refused():
    model = grid(20, 20, 0.2, periodic=False)
    for ask in (
        lambda: model.log_partition(method="elimination", time_limit=1e-3),
        lambda: model.marginals(time_limit=1e-3),
        lambda: model.most_probable(time_limit=1e-3),
        lambda: model.sample(3, time_limit=1e-3),
    ):
        with pytest.raises(IntractableError, match=r"time_limit allows 0.001 s.*larger time_limit.*gibbs") as caught:
            ask()
        assert caught.value.seconds > caught.value.time_limit == 1e-3
        assert caught.value.memory <= caught.value.memory_limit
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.seconds) == (str(caught.value), caught.value.seconds)


def test_marginals_that_fit_no_memory_are_refused_with_what_they_need():
    model = grid(12, 12, 0.2, periodic=False)
    with pytest.raises(IntractableError, match=r"memory_limit allows 64.0 KiB") as caught:
        model.marginals(memory_limit=2**16)
    np.testing.assert_allclose(model.marginals(memory_limit=caught.value.memory)[3, 3], [0.5, 0.5], rtol=1e-11)


@pytest.mark.parametrize("coupling", [0.3, 80.0])
def test_no_more_memory_is_held_than_was_told(coupling):
    # with strong couplings the tables are in logs; the rest of what Python holds for this model is below a MiB
    model = grid(14, 14, coupling, periodic=False)
    planned = plan([scope for scope, _ in model.log_tables()], dict.fromkeys(model, 2))
    tight, roomy = planned.way_back(0).memory, planned.way_back(2**30).memory
    for limit in (tight, (tight + roomy) // 2, roomy):
        for ask in (
            model.marginals,
            model.most_probable,
            lambda memory_limit: model.sample(1, memory_limit=memory_limit),
        ):
            tracemalloc.start()
            try:
                ask(memory_limit=limit)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert peak < planned.way_back(limit).memory + 2**20


def test_samples_that_fit_no_memory_are_refused():
    with pytest.raises(IntractableError, match="memory_limit"):
        brute_force.random_model(0).sample(10**8, seed=0)


def test_enumeration_of_too_much_is_refused():
    model = spins(40, itertools.combinations(range(40), 2), 0.1)
    with pytest.raises(EnumerationLimitError, match=r"all 40 variables at once.*not bipartite") as caught:
        model.log_partition(method="enumeration")
    assert caught.value.configurations == 2**40
    graph = RBMGraph.from_arrays(np.ones((60, 45)), np.zeros(60), np.zeros(45))
    with pytest.raises(EnumerationLimitError, match=r"one side, 45 binary units visits .*time_limit allows 10 minutes"):
        graph.log_partition(method="enumeration")
    with pytest.raises(
        CostLimitError,
        match=r"no order was found .*one side, 45 binary units, would take.*Pass a larger time_limit, or",
    ):
        graph.log_partition()


@pytest.mark.parametrize("method", ["auto", "elimination", "enumeration"])
def test_finite_terms_whose_sum_is_not_are_refused(method):
    model = spins(3, [(0, 1), (1, 2)], 1e308, bias=1e308)
    factor = GraphModel()
    factor.add_variable("a")
    factor.add_factor(["a"], log_table=[1e308, 0.0])
    factor.add_factor(["a"], log_table=[1e308, -math.inf])
    counts = GraphModel()
    counts.add_variable("n", "binomial(40)", bias=1e307)
    with np.errstate(over="ignore", invalid="ignore"):
        for wrong in (model, factor, counts):
            with pytest.raises(ValueError, match=r"(add up to|so large|overflow)"):
                wrong.log_partition(method=method)
    for ask in (model.marginals, model.most_probable, model.entropy, lambda: model.sample(2), model.pair_marginals):
        with pytest.raises(ModelError, match=r"add up to .*, more than a float64 can hold in sums. Scale them down"):
            ask()


def test_bars_and_functions_show_progress(capsys):
    model = grid(4, 4, 0.3, periodic=False)
    for what, ask in (
        ("ln Z", model.log_partition),
        ("marginals", model.marginals),
        ("pairs", model.pair_marginals),
        ("entropy", model.entropy),
        ("most probable", model.most_probable),
        ("marginals", lambda progress: model.query((0, 0), progress=progress)),
        ("marginals", lambda progress: model.query([(0, 0), (1, 1)], progress=progress)),
        ("samples", lambda progress: model.sample(2, seed=0, progress=progress)),
        ("samples", lambda progress: model.sample(2, seed=0, method="gibbs", steps=3, progress=progress)),
        ("ln Z", lambda progress: model.log_partition(method="enumeration", progress=progress)),
    ):
        ask(progress=True)
        assert what in capsys.readouterr().err
        ask(progress=False)
        assert capsys.readouterr().err == ""
        with pytest.raises(TypeError, match=r"progress must be True, False or a function. Got 3"):
            ask(progress=3)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match=r"method must be 'auto', 'elimination' or 'enumeration'. Got 'magic'"):
        brute_force.random_model(0).log_partition(method="magic")


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "3", None])
def test_a_number_of_samples_is_a_positive_whole_number(n):
    with pytest.raises(ValueError, match=r"n must be a positive whole number of samples. Got"):
        brute_force.random_model(0).sample(n)


def test_seeds_are_checked():
    model = brute_force.random_model(0)
    with pytest.raises(TypeError, match="seed must be a whole number"):
        model.sample(1, seed=0.5)
    with pytest.raises(ValueError, match="seed must lie between"):
        model.sample(1, seed=-1)


@pytest.mark.parametrize("pairs", [["ab"], [("a",)], [("a", "b", "t")], [("a", "zz")], [("a", "a")], [3]])
def test_pairs_are_checked(pairs):
    with pytest.raises(UnknownVariableError, match="pairs"):
        brute_force.random_model(0).pair_marginals(pairs)


def test_evidence_is_checked_by_every_question():
    model = brute_force.random_model(0)
    asks = [
        model.log_partition,
        model.marginals,
        lambda evidence: model.pair_marginals(evidence=evidence),
        model.most_probable,
        model.entropy,
        lambda evidence: model.sample(2, evidence, seed=0),
        model.tractability,
    ]
    for ask in asks:
        with pytest.raises(UnknownVariableError, match="no variable 'zz'"):
            ask({"zz": 1})
        with pytest.raises(ValueOutsideDomainError, match=r"'s' has units 'spin' and takes the values \[-1, 1\]"):
            ask({"s": 0})
    model.add_factor(["a", "t"], [[1, 0], [1, 1]])
    for ask in asks[:-1]:
        with pytest.raises(ImpossibleEvidenceError, match="probability zero"):
            ask({"a": 0, "t": 1})


def test_a_model_with_nothing_left_to_sum():
    model = brute_force.random_model(3)
    everything = {"a": 1, "b": 0, ("v", 0): 1, "s": -1, "t": 1, "k": 2, "lone": 3, "one": 0}
    log_weight = brute_force.log_weight(model, everything)
    assert float(model.log_partition(everything)) == pytest.approx(log_weight, rel=RELATIVE)
    assert model.entropy(everything) == pytest.approx(0.0, abs=1e-15)
    best = model.most_probable(everything)
    assert best.assignment == everything
    assert best.log_probability == pytest.approx(0.0, abs=1e-12)
    assert (model.sample(4, everything, seed=0) == list(everything.values())).all()
    assert model.pair_marginals(evidence=everything)["a", "b"].tolist() == [[0, 0], [1, 0]]


def test_the_empty_model_answers():
    model = GraphModel()
    assert model.marginals() == {}
    assert model.pair_marginals() == {}
    assert model.entropy() == 0.0
    assert model.most_probable().assignment == {}
    assert model.sample(3, seed=0).shape == (3, 0)
    assert model.tractability().feasible


def test_a_tree_of_10_000():
    tree = nx.random_labeled_tree(10_000, seed=2)
    model = GraphModel(tree)
    nx.set_edge_attributes(model, 1.0, "weight")
    singles, pairs = model.marginals(), model.pair_marginals()
    assert len(pairs) == 9_999
    for (u, v), table in list(pairs.items())[::97]:
        np.testing.assert_allclose(table.sum(axis=1), singles[u], rtol=1e-11)
        np.testing.assert_allclose(table.sum(axis=0), singles[v], rtol=1e-11)
    # p of a tree is the product of its pairs over its vertices, one less often than it has edges
    found = model.most_probable()
    best = found.assignment
    log_p = sum(math.log(table[best[u], best[v]]) for (u, v), table in pairs.items())
    log_p -= sum((tree.degree(name) - 1) * math.log(table[best[name]]) for name, table in singles.items())
    assert found.log_probability == pytest.approx(log_p, rel=1e-10)
