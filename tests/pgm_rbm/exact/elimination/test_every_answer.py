"""Every answer on models that are made up at random, and of units of every kind, against all assignments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Rational

from pgm_rbm.errors import (
    ImpossibleEvidenceError,
)
from pgm_rbm.exact.elimination.order import plan
from pgm_rbm.graph.model import GraphModel
from tests.pgm_rbm import brute_force
from tests.pgm_rbm.exact.elimination.graphs import RELATIVE, spins


@st.composite
def models(draw: Any) -> GraphModel:
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
def test_every_answer_is_that_of_all_assignments(model: GraphModel, data: Any) -> None:
    evidence = {}
    if data.draw(st.booleans()):
        seen = data.draw(st.sampled_from(list(model)))
        state = data.draw(st.integers(0, len(model.domain(seen)) - 1))
        evidence = {seen: model.domain(seen)[state].item()}
    check_every_answer(model, evidence)


@pytest.mark.parametrize("evidence", [{}, {"f": 2}, {"d": -0.5, "g": 1}])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_every_answer_for_any_finite_units(scale: float, evidence: dict[str, Any]) -> None:
    model = brute_force.model_of_many_units(3, scale)
    check_every_answer(model, evidence)
    assert model.sample(5, evidence, seed=0).dtype == np.float64  # one of its domains has a half


def test_what_units_weigh_of_themselves_counts() -> None:
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


def test_units_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from sympy import exp, log

    from symbolic import units

    class Entry:
        value = "thirds:unit"

        @staticmethod
        def load() -> Any:
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


def check_every_answer(model: GraphModel, evidence: Mapping[Any, Any]) -> None:
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
def test_coupled_pairs_and_scopes_are_the_pairs_by_default(seed: Any) -> None:
    model = brute_force.random_model(seed)
    found = model.pair_marginals(evidence={"s": 1})
    expected = {("a", "b"), ("b", "s"), ("s", "t"), ("t", ("v", 0)), ("a", ("v", 0))}
    expected |= {("k", "a"), ("k", "t"), ("a", "t"), (("v", 0), "k"), ("one", "b")}
    assert {frozenset(pair) for pair in found} == {frozenset(pair) for pair in expected}
    for pair, table in found.items():
        np.testing.assert_allclose(table, brute_force.marginal(model, pair, {"s": 1}), rtol=RELATIVE, atol=1e-15)


def test_one_large_factor_with_zeros() -> None:
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
def test_dense_models_whose_tables_are_large(seed: Any, kind: str, scale: float) -> None:
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
