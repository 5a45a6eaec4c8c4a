"""pgmpy itself answers the same questions."""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pgmpy")

from pgmpy.factors.discrete import DiscreteFactor, TabularCPD
from pgmpy.inference import VariableElimination
from pgmpy.models import DiscreteBayesianNetwork, DiscreteMarkovNetwork, FactorGraph

from pgm_rbm.errors import ModelError
from pgm_rbm.graph.compose import compose
from pgm_rbm.graph.live import RBMGraph
from pgm_rbm.graph.model import GraphModel
from pgm_rbm.interop.pgmpy import from_pgmpy, pgmpy_names, to_pgmpy
from tests.pgm_rbm import brute_force


def rbm_graph(n_visible: int = 3, n_hidden: int = 2, seed: int = 0, **units: Any) -> RBMGraph:
    rng = np.random.default_rng(seed)
    return RBMGraph.from_arrays(
        rng.normal(size=(n_visible, n_hidden)), rng.normal(size=n_visible), rng.normal(size=n_hidden), **units
    )


def ask_pgmpy(network: Any, variables: Sequence[Any], evidence: Mapping[Any, Any] | None = None) -> np.ndarray:
    """pgmpy's own elimination; its answers on Markov networks are not normalised."""
    factor = VariableElimination(network).query(variables, evidence=evidence, show_progress=False)
    order = [factor.variables.index(name) for name in variables]
    return np.transpose(factor.values, order) / factor.values.sum()


def log_partition(network: Any) -> float:
    return np.log(network.get_partition_function()) + network.graph["log_constant"]


def test_a_conditional_table_hung_on_an_rbm() -> None:
    graph = rbm_graph()
    child = GraphModel()
    child.add_variable(("v", 0))
    child.add_variable("y", states=["low", "middle", "high"])
    table = np.array([[0.2, 0.6], [0.5, 0.1], [0.3, 0.3]])
    child.add_conditional("y", [("v", 0)], table)
    joint = compose(graph, child)
    network = to_pgmpy(joint)
    assert network.check_model()

    # by hand: p(v0) from the energies of the RBM alone, then Bayes
    p_v0 = brute_force.marginal(graph.copy(), [("v", 0)])
    by_hand = {None: table @ p_v0, 1: table[:, 1]}
    np.testing.assert_allclose(joint.query("y"), by_hand[None], rtol=1e-12)
    np.testing.assert_allclose(ask_pgmpy(network, ["y"]), by_hand[None], rtol=1e-10)
    np.testing.assert_allclose(joint.query("y", {("v", 0): 1}), by_hand[1], rtol=1e-12)
    np.testing.assert_allclose(ask_pgmpy(network, ["y"], {"v_0": 1}), by_hand[1], rtol=1e-10)
    backward = table[2] * p_v0 / (table[2] @ p_v0)
    np.testing.assert_allclose(joint.query(("v", 0), {"y": 2}), backward, rtol=1e-12)
    np.testing.assert_allclose(ask_pgmpy(network, ["v_0"], {"y": "high"}), backward, rtol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_pgmpy_agrees_on_every_marginal_and_on_z(seed: Any) -> None:
    model = brute_force.random_model(seed)
    network = to_pgmpy(model)
    names = pgmpy_names(model)
    assert log_partition(network) == pytest.approx(float(model.log_partition()), rel=1e-12)
    for name in model:
        np.testing.assert_allclose(ask_pgmpy(network, [names[name]]), model.query(name), rtol=1e-10)
    np.testing.assert_allclose(
        ask_pgmpy(network, ["k", "v_0"], {"s": -1, "a": 1}),
        model.query(["k", ("v", 0)], {"s": -1, "a": 1}, joint=True),
        rtol=1e-10,
    )


@pytest.mark.parametrize("source", [brute_force.random_model(4), rbm_graph(), rbm_graph(visible_units="spin")])
def test_there_and_back(source: Any) -> None:
    back = from_pgmpy(to_pgmpy(source))
    assert back.variables == source.variables
    for name in source:
        assert back.units(name) == source.units(name)
        assert back.nodes[name].get("labels") == source.nodes[name].get("labels")
    assert float(back.log_partition()) == pytest.approx(float(source.log_partition()), rel=1e-12)
    for name in source:
        np.testing.assert_allclose(back.query(name), source.query(name), rtol=1e-12)
    for x in brute_force.assignments(source):
        # the tables pass through exp and log once: a few roundings of numbers of order one
        assert back.energy(x) == pytest.approx(source.energy(x), rel=1e-12, abs=1e-11)


def test_any_finite_units_go_there_and_back() -> None:
    source = brute_force.model_of_many_units(1)
    network = to_pgmpy(source)
    assert log_partition(network) == pytest.approx(float(source.log_partition()), rel=1e-12)
    assert network.states["d"] == [-0.5, 0.0, 3.0]
    back = from_pgmpy(network)
    assert float(back.log_partition()) == pytest.approx(float(source.log_partition()), rel=1e-12)
    # what a binomial unit weighs of itself came as a table
    assert [back.units(name) for name in "fg"] == ["{0, 1, 2, 3}", "potts(3)"]
    for name in source:
        np.testing.assert_array_equal(back.domain(name), source.domain(name))
        np.testing.assert_allclose(back.query(name), source.query(name), rtol=1e-11)


def test_binary_and_spin_are_told_apart_by_their_state_names() -> None:
    model = GraphModel()
    model.add_variable("x", "binary", bias=0.3)
    model.add_variable("s", "spin", bias=0.3)
    model.add_coupling("x", "s", -1.2)
    network = to_pgmpy(model)
    assert network.states == {"x": [0, 1], "s": [-1, 1]}
    del network.graph["units"]
    back = from_pgmpy(network)
    assert (back.units("x"), back.units("s")) == ("binary", "spin")
    for units in ("binary", "spin"):
        recoded = to_pgmpy(model.recoded(units))
        assert log_partition(recoded) == pytest.approx(float(model.log_partition()), rel=1e-12)
        state = {"binary": 0, "spin": -1}[units]
        np.testing.assert_allclose(ask_pgmpy(recoded, ["x"], {"s": state}), model.query("x", {"s": -1}), rtol=1e-12)


def test_names_are_strings_and_reversible() -> None:
    names = ["v_0", ("v", 0), 0, "0", frozenset({1}), (("v", 0), "x")]
    strings = pgmpy_names(names)
    assert strings == {
        "v_0": "v_0",
        ("v", 0): "v_0'",
        0: "0'",
        "0": "0",
        frozenset({1}): "frozenset({1})",
        (("v", 0), "x"): "('v', 0)_x",
    }
    model = GraphModel()
    for bias, name in enumerate(names):
        model.add_variable(name, bias=bias)
    network = to_pgmpy(model)
    assert network.graph["names"] == {text: name for name, text in strings.items()}
    network.to_factor_graph()
    assert from_pgmpy(network).variables == tuple(names)


def test_copies_of_pgmpy_lose_the_attributes_and_take_them_as_arguments() -> None:
    model = rbm_graph()
    network = to_pgmpy(model)
    bare = network.copy()
    assert set(from_pgmpy(bare)) == set(pgmpy_names(model).values())
    whole = from_pgmpy(bare, names=network.graph["names"], log_constant=network.graph["log_constant"])
    assert set(whole) == set(model)
    assert float(whole.log_partition()) == pytest.approx(float(model.log_partition()), rel=1e-12)


def test_large_weights_pass_where_pgmpy_alone_would_overflow() -> None:
    model = GraphModel()
    for name in "ab":
        model.add_variable(name, bias=300.0)
    model.add_coupling("a", "b", 700.0)
    network = to_pgmpy(model)
    assert max(factor.values.max() for factor in network.factors) == 1.0
    assert log_partition(network) == pytest.approx(float(model.log_partition()), rel=1e-12)
    model.add_coupling("a", "b", 700.0)
    with pytest.warns(UserWarning, match="3 positive potentials .* become zero"):
        to_pgmpy(model)


def sprinkler() -> DiscreteBayesianNetwork:
    network = DiscreteBayesianNetwork([("rain", "sprinkler"), ("rain", "grass"), ("sprinkler", "grass")])
    states = {"rain": ["no", "yes"], "sprinkler": [0, 1], "grass": ["dry", "damp", "wet"]}

    def table(variable: str, values: Any, parents: Sequence[str] = ()) -> Any:
        names = (variable, *parents)
        return TabularCPD(
            variable,
            len(states[variable]),
            values,
            evidence=list(parents) or None,
            evidence_card=[len(states[name]) for name in parents] or None,
            state_names={name: states[name] for name in names},
        )

    network.add_cpds(
        table("rain", [[0.8], [0.2]]),
        table("sprinkler", [[0.6, 0.99], [0.4, 0.01]], ["rain"]),
        table("grass", [[0.9, 0.1, 0.2, 0.0], [0.1, 0.3, 0.3, 0.1], [0.0, 0.6, 0.5, 0.9]], ["rain", "sprinkler"]),
    )
    return network


def test_a_bayesian_network_becomes_factors() -> None:
    network = sprinkler()
    model = from_pgmpy(network)
    assert {factor.name for factor in model.factors} == {
        "P(rain)",
        "P(sprinkler | rain)",
        "P(grass | rain, sprinkler)",
    }
    assert model.units("rain") == "categorical"
    assert model.nodes["rain"]["labels"] == ("no", "yes")
    assert model.units("sprinkler") == "binary"
    assert float(model.log_partition()) == pytest.approx(0.0, abs=1e-14)
    # P(rain | wet) = sum_s P(r) P(s | r) P(wet | r, s) / ...
    no, yes = 0.8 * (0.6 * 0.0 + 0.4 * 0.6), 0.2 * (0.99 * 0.5 + 0.01 * 0.9)
    np.testing.assert_allclose(model.query("rain", {"grass": 2}), [no / (no + yes), yes / (no + yes)], rtol=1e-12)
    np.testing.assert_allclose(
        model.query(["rain", "grass"], {"sprinkler": 1}, joint=True),
        ask_pgmpy(network, ["rain", "grass"], {"sprinkler": 1}),
        rtol=1e-12,
    )


def test_a_bayesian_network_hung_on_an_rbm() -> None:
    bayes = from_pgmpy(sprinkler(), names={"sprinkler": ("v", 1), "rain": "rain", "grass": "grass"})
    graph = rbm_graph()
    joint = compose(graph, bayes)
    expected = graph.query(("v", 1)) * bayes.query(("v", 1))
    np.testing.assert_allclose(joint.query(("v", 1)), expected / expected.sum(), rtol=1e-12)
    np.testing.assert_allclose(
        ask_pgmpy(to_pgmpy(joint), ["rain"], {"h_0": 1}), joint.query("rain", {("h", 0): 1}), rtol=1e-10
    )


def test_factor_graphs_are_read() -> None:
    network = DiscreteMarkovNetwork([("a", "b")])
    factor = DiscreteFactor(["a", "b"], [2, 3], np.arange(6.0))
    network.add_factors(factor)
    factor_graph = FactorGraph()
    factor_graph.add_nodes_from(["a", "b", factor])
    factor_graph.add_edges_from([("a", factor), ("b", factor)])
    factor_graph.add_factors(factor)
    for foreign in (factor_graph, network.to_factor_graph()):
        model = from_pgmpy(foreign)
        assert set(model) == {"a", "b"}
        np.testing.assert_allclose(np.exp(float(model.log_partition())), 15.0, rtol=1e-14)
        np.testing.assert_allclose(model.query("b"), np.array([3, 5, 7]) / 15, rtol=1e-14)
    factor_graph.add_node("c")
    with pytest.raises(ModelError, match="no factor for variable 'c'"):
        from_pgmpy(factor_graph)


def test_state_orders_are_brought_together() -> None:
    network = DiscreteMarkovNetwork([("a", "b")])
    network.add_factors(
        DiscreteFactor(["a"], [2], [1.0, 3.0], state_names={"a": ["x", "y"]}),
        DiscreteFactor(["a", "b"], [2, 2], [[1, 2], [3, 4]], state_names={"a": ["y", "x"], "b": [0, 1]}),
    )
    # phi(a = x) = 1 with the row [3, 4], phi(a = y) = 3 with the row [1, 2]
    np.testing.assert_allclose(from_pgmpy(network).query("a"), [7 / 16, 9 / 16], rtol=1e-14)


def test_what_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must be a GraphModel. Got dict"):
        to_pgmpy({})
    with pytest.raises(TypeError, match="foreign must be a pgmpy"):
        from_pgmpy(GraphModel())
    with pytest.raises(ModelError, match="units 'gaussian', whose values cannot be listed"):
        to_pgmpy(rbm_graph(visible_units="gaussian"))
    incomplete = DiscreteMarkovNetwork([("a", "b")])
    incomplete.add_factors(DiscreteFactor(["a"], [2], [1, 1]))
    with pytest.raises(ModelError, match="no factor for variable 'b'"):
        from_pgmpy(incomplete)
    bayes = DiscreteBayesianNetwork([("a", "b")])
    bayes.add_cpds(TabularCPD("a", 2, [[0.5], [0.5]]))
    with pytest.raises(ModelError, match="no conditional table for variable 'b'"):
        from_pgmpy(bayes)
    disagreeing = DiscreteMarkovNetwork([("a", "b")])
    disagreeing.add_factors(
        DiscreteFactor(["a", "b"], [2, 2], np.ones(4)),
        DiscreteFactor(["a"], [2], [1, 1], state_names={"a": ["x", "y"]}),
    )
    with pytest.raises(ModelError, match="disagree on the states of 'a'"):
        from_pgmpy(disagreeing)


def test_without_pgmpy_the_import_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    present = builtins.__import__

    def absent(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.split(".")[0] == "pgmpy":
            raise ImportError("No module named 'pgmpy'")
        return present(name, *arguments, **keywords)

    monkeypatch.delitem(sys.modules, "pgm_rbm.interop.pgmpy")
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"pip install 'pgm-rbm\[pgmpy\]'"):
        importlib.import_module("pgm_rbm.interop.pgmpy")
