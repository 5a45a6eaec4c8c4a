"""GraphModel: energies, networkx's own operations, and what it refuses."""

from __future__ import annotations

import copy
import doctest
import importlib
import math
import pickle
from typing import Any

import networkx as nx
import numpy as np
import pytest

from pgm_rbm.errors import ModelError, UnknownVariableError, ValueOutsideDomainError
from pgm_rbm.graph.model import GraphModel
from tests.pgm_rbm import brute_force


def same_distribution(first: GraphModel, second: GraphModel) -> None:
    """Equal energies for every assignment, so equal Z and probabilities."""
    assert set(first) == set(second)
    for x in brute_force.assignments(first):
        assert second.energy(x) == pytest.approx(first.energy(x), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("module", ["model", "arrays", "bipartite", "compose", "live", "potentials"])
def test_the_examples_in_the_docstrings(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"pgm_rbm.graph.{module}"))
    assert found.failed == 0


# -- energies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_energy_is_the_sum_of_its_terms(seed: Any) -> None:
    model = brute_force.random_model(seed)
    for x in brute_force.assignments(model):
        assert model.energy(x) == pytest.approx(brute_force.energy(model, x), rel=1e-12, abs=1e-12)


def test_energy_of_any_finite_units() -> None:
    model = brute_force.model_of_many_units(0)
    for x in list(brute_force.assignments(model))[::7]:
        assert model.energy(x) == pytest.approx(brute_force.energy(model, x), rel=1e-12, abs=1e-12)


def test_domains_of_any_finite_units() -> None:
    model = brute_force.model_of_many_units(0)
    for name in model:
        assert model.domain(name).tolist() == brute_force.values_of(model, name)
    assert {str(model.domain(name).dtype) for name in "abcefg"} == {"int64"}
    assert model.domain("d").dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        model.domain("a")[0] = 5
    with pytest.raises(ValueOutsideDomainError, match=r"'d' has units .* takes the values \[-0.5, 0.0, 3.0\]. Got 1"):
        model.energy({name: model.domain(name)[0] for name in model} | {"d": 1})
    model.add_variable("many", "integer(40)")
    with pytest.raises(ValueOutsideDomainError, match=r"takes the values 0, 1, ..., 40. Got 41"):
        model.log_partition({"many": 41})


def test_labels_have_a_bias_each_and_no_couplings() -> None:
    model = GraphModel()
    model.add_variable("k", "categorical(3)", bias=[0.1, 0.2, 0.3])
    model.add_variable("s", "spin")
    assert model.units("k") == "potts(3)"
    with pytest.raises(ModelError, match=r"Got 'k' with units 'potts\(3\)'; use add_factor"):
        model.add_coupling("k", "s", 1.0)
    model.nodes["k"]["bias"] = 0.5
    with pytest.raises(ModelError, match="3 finite numbers"):
        model.bias("k")


def test_energy_of_many_assignments_at_once() -> None:
    model = brute_force.random_model(7)
    all_of_them = list(brute_force.assignments(model))
    columns = {name: np.array([x[name] for x in all_of_them]) for name in model}
    expected = np.array([model.energy(x) for x in all_of_them])
    np.testing.assert_allclose(model.energy(columns), expected, rtol=1e-12, atol=1e-12)
    rows = np.stack([columns[name] for name in model.variables], axis=-1)
    np.testing.assert_allclose(model.energy(rows), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        model.energy(rows.reshape(2, -1, len(model))), expected.reshape(2, -1), rtol=1e-12, atol=1e-12
    )


def test_energy_broadcasts_scalars_against_arrays() -> None:
    model = GraphModel()
    model.add_variable("a", bias=1.0)
    model.add_variable("s", "spin")
    model.add_coupling("a", "s", 2.0)
    np.testing.assert_allclose(model.energy({"a": 1, "s": [-1, 1]}), [1.0, -3.0])
    assert isinstance(model.energy({"a": 1, "s": 1}), float)


def test_a_potential_of_zero_has_infinite_energy() -> None:
    model = GraphModel()
    model.add_variable("a")
    model.add_factor(["a"], [0.0, 2.0])
    assert model.energy({"a": 0}) == math.inf
    assert model.energy({"a": 1}) == pytest.approx(-math.log(2))


def test_log_table_and_table_are_the_same_factor() -> None:
    table = np.random.default_rng(0).random((2, 3))
    first, second = GraphModel(), GraphModel()
    for model in (first, second):
        model.add_variable("a", "spin")
        model.add_variable("k", states=3)
    first.add_factor(["a", "k"], table)
    second.add_factor(["a", "k"], log_table=np.log(table))
    same_distribution(first, second)
    np.testing.assert_allclose(second.factors[0].table, table, rtol=1e-14)


def test_couplings_and_factors_of_one_pair_multiply() -> None:
    model = GraphModel()
    model.add_variable("a")
    model.add_variable("b")
    model.add_coupling("a", "b", 1.0)
    model.add_coupling("a", "b", 0.5)
    model.add_factor(["a", "b"], log_table=[[0, 0], [0, 0.25]])
    model.add_factor(["a", "b"], log_table=[[0, 0], [0, 0.25]])
    assert model.energy({"a": 1, "b": 1}) == -2.0
    assert [factor.name for factor in model.factors] == ["phi(a, b)", "phi(a, b) (2)"]


def test_a_constant_moves_log_z_and_nothing_else() -> None:
    model = brute_force.random_model(0)
    before, marginal = float(model.log_partition()), model.query("k")
    model.add_constant(-3.5)
    assert float(model.log_partition()) == pytest.approx(before - 3.5, rel=1e-12)
    np.testing.assert_allclose(model.query("k"), marginal, rtol=1e-12)


def test_a_conditional_leaves_the_rest_as_it_was() -> None:
    model = brute_force.random_model(2)
    before, log_z = model.query(list(model)), float(model.log_partition())
    model.add_variable("y", states=2)
    model.add_conditional("y", ["k", "s"], [[[0.1, 0.2], [0.3, 0.4], [1, 0]], [[0.9, 0.8], [0.7, 0.6], [0, 1]]])
    after = model.query(list(before))
    assert float(model.log_partition()) == pytest.approx(log_z, rel=1e-12)
    for name in before:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-12)
    assert model.factors[-1].name == "P(y | k, s)"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("units", ["binary", "spin"])
def test_recoding_keeps_the_distribution_and_its_constant(seed: Any, units: str) -> None:
    model = brute_force.random_model(seed)
    recoded = model.recoded(units)
    values = {"binary": (0, 1), "spin": (-1, 1)}
    for x in brute_force.assignments(model):
        y = {
            name: value if model.units(name) == "categorical" else values[units][value > 0] for name, value in x.items()
        }
        # both energies are sums of about thirty terms of size one
        assert recoded.energy(y) == pytest.approx(model.energy(x), abs=1e-12)
    assert float(recoded.log_partition()) == pytest.approx(float(model.log_partition()), rel=1e-12)
    back = recoded.recoded("spin" if units == "binary" else "binary").recoded(units)
    same_distribution(recoded, back)
    for name in ("a", "s"):
        assert recoded.units(name) == units


def test_recoding_one_pair_by_hand() -> None:
    model = GraphModel()
    model.add_variable("s", "spin", bias=1.0)
    model.add_variable("t", "spin")
    model.add_coupling("s", "t", 3.0)
    binary = model.recoded("binary")
    assert binary.nodes["s"]["bias"] == 2 * 1.0 - 2 * 3.0
    assert binary.nodes["t"]["bias"] == -2 * 3.0
    assert binary.edges["s", "t"]["weight"] == 4 * 3.0
    np.testing.assert_array_equal(binary.factors[0].log_table, [-1.0 + 3.0] * 2)


# -- queries ----------------------------------------------------------------------------------------------------------


def test_what_query_returns() -> None:
    model = brute_force.random_model(1)
    assert model.query("k").shape == (3,)
    assert model.query(["k"]).shape == (3,)
    assert model.query(("v", 0)).shape == (2,)
    several = model.query(["k", ("v", 0)])
    assert list(several) == ["k", ("v", 0)]
    joint = model.query(["k", ("v", 0)], joint=True)
    assert joint.shape == (3, 2)
    for table in (*several.values(), joint):
        assert table.sum() == pytest.approx(1.0, rel=1e-14)


def test_an_observed_variable_has_all_mass_at_its_value() -> None:
    model = brute_force.random_model(1)
    np.testing.assert_array_equal(model.query("s", {"s": 1}), [0, 1])
    both = model.query(["k", "s"], {"s": -1})
    np.testing.assert_array_equal(both["s"], [1, 0])
    np.testing.assert_allclose(both["k"], model.query("k", {"s": -1}), rtol=1e-14)
    joint = model.query(["s", "k"], {"s": -1}, joint=True)
    np.testing.assert_allclose(joint, [both["k"], np.zeros(3)], rtol=1e-14)
    np.testing.assert_array_equal(model.query(["s", "a"], {"s": -1, "a": 1})["a"], [0, 1])


def test_log_partition_with_evidence_is_its_log_probability() -> None:
    model = brute_force.random_model(4)
    evidence = {"k": 1, "s": 1}
    log_p = float(model.log_partition(evidence)) - float(model.log_partition())
    assert math.exp(log_p) == pytest.approx(brute_force.marginal(model, ["k", "s"])[1, 1], rel=1e-12)


def test_tractability_speaks_to_people() -> None:
    model = brute_force.random_model(0)
    report = model.tractability()
    assert report.feasible
    assert report.method == "elimination"
    text = str(report)
    for words in ("induced width", "operations", "memory", "within the limits", "all marginals", '"auto" takes'):
        assert words in text
    cut = model.tractability({"a": 0, "t": 1})
    assert cut.induced_width < report.induced_width
    assert cut.parts > report.parts
    tight = model.tractability(memory_limit=10)
    assert tight.method == "sampling"
    assert "raise the limits" in str(tight)


# -- networkx's own operations ----------------------------------------------------------------------------------------


def test_made_without_arguments_and_from_any_graph() -> None:
    assert len(GraphModel()) == 0
    plain = nx.Graph([("a", "b", {"weight": 2.0}), ("b", "c")])
    plain.nodes["a"]["bias"] = 1.0
    model = GraphModel(plain)
    assert model.units("c") == "binary"
    assert model.energy({"a": 1, "b": 1, "c": 1}) == -3.0


@pytest.mark.parametrize(
    "duplicate",
    [
        lambda model: model.copy(),
        lambda model: GraphModel(model),
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: model.subgraph(list(model)).copy(),
        lambda model: model.copy(as_view=True),
        lambda model: nx.compose(model, GraphModel()),
        lambda model: nx.compose(model, model),
    ],
)
def test_copies_are_the_same_model(duplicate: Any) -> None:
    model = brute_force.random_model(5)
    copied = duplicate(model)
    assert type(copied) is GraphModel
    assert len(copied.factors) == len(model.factors)
    same_distribution(model, copied)


def test_a_copy_is_independent() -> None:
    model = brute_force.random_model(5)
    before = float(model.log_partition())
    copied = model.copy()
    copied.nodes["a"]["bias"] = 9.0
    copied.edges["a", "b"]["weight"] = -4.0
    copied.add_factor(["a"], [1.0, 2.0])
    assert float(model.log_partition()) == before


def test_a_subgraph_keeps_whole_factors_and_loses_cut_ones() -> None:
    model = brute_force.random_model(6)
    part = model.subgraph(["k", ("v", 0), "a", "b"])
    assert [factor.scope for factor in part.factors] == [(("v", 0), "k")]
    assert float(part.log_partition()) == pytest.approx(brute_force.log_partition(part), rel=1e-12)
    assert set(part.variables) == {"k", ("v", 0), "a", "b"}


def test_a_removed_variable_takes_its_factors_and_does_not_bring_them_back() -> None:
    model = brute_force.random_model(6)
    model.remove_node("t")
    model.add_variable("t", "spin")
    assert all("t" not in factor.scope for factor in model.factors)
    assert float(model.log_partition()) == pytest.approx(brute_force.log_partition(model), rel=1e-12)


def test_renaming_nodes_renames_scopes() -> None:
    model = brute_force.random_model(6)
    renamed = nx.relabel_nodes(model, {"k": "kind", "a": ("v", 1)})
    assert {factor.scope for factor in renamed.factors} == {("kind", ("v", 1), "t"), (("v", 0), "kind"), ("one", "b")}
    assert float(renamed.log_partition()) == pytest.approx(float(model.log_partition()), rel=1e-12)
    swapped = nx.relabel_nodes(model, {"a": "b", "b": "a"})
    np.testing.assert_allclose(swapped.query("a"), model.query("b"), rtol=1e-12)
    # the old names stand in the attribute's key; a new factor must not overwrite it
    swapped.add_factor(["k", "a", "t"], np.ones((3, 2, 2)))
    assert len(swapped.factors) == 4


def test_a_disjoint_union_of_a_model_with_itself_squares_z() -> None:
    model = brute_force.random_model(3)
    twice = nx.disjoint_union(model, model)
    assert len(twice.factors) == 2 * len(model.factors)
    assert float(twice.log_partition()) == pytest.approx(2 * float(model.log_partition()), rel=1e-12)


def test_merging_two_variables_of_one_factor_is_refused() -> None:
    model = GraphModel()
    for name in "abc":
        model.add_variable(name)
    model.add_factor(["a", "b"], np.arange(4.0).reshape(2, 2))
    model.nodes["c"].update(model.nodes["a"])
    model.add_edge("c", "a")
    with pytest.raises(ModelError, match="two variables for one axis"):
        model.factors  # noqa: B018


def test_structure_algorithms_see_the_factors() -> None:
    model = GraphModel()
    for name in "abc":
        model.add_variable(name, states=2)
    model.add_factor(["a", "b", "c"], np.ones((2, 2, 2)))
    assert nx.density(model) == 1.0


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def model() -> GraphModel:
    return brute_force.random_model(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": None}, "name must be a hashable"),
        ({"name": "a"}, "name 'a' is taken"),
        ({"name": "n", "units": "quantum"}, "units of 'n': there is no unit called 'quantum'"),
        ({"name": "n", "bias": "much"}, "bias of 'n' must be a finite number. Got 'much'"),
        ({"name": "n", "bias": math.nan}, "bias of 'n'"),
        ({"name": "n", "bias": [1.0]}, "bias of 'n'"),
        ({"name": "n", "states": 0}, "states of the categorical variable 'n'"),
        ({"name": "n", "states": "yes"}, "states of the categorical variable 'n'"),
        ({"name": "n", "states": ["x", "x"]}, "labels that differ"),
        ({"name": "n", "units": "categorical"}, "states of the categorical variable 'n'"),
        ({"name": "n", "units": "spin", "states": 2}, "belong to categorical"),
        ({"name": "n", "states": 3, "bias": [0.0, 1.0]}, "must be 3 finite numbers"),
    ],
)
def test_variables_that_are_refused(model: GraphModel, arguments: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        model.add_variable(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("a", "nobody", 1.0), UnknownVariableError, "no variable 'nobody'. Known are 'a', 'b'"),
        (("a", "a", 1.0), ModelError, "must differ"),
        (("a", "k", 1.0), ModelError, "add_factor"),
        (("a", "b", math.inf), ModelError, "finite number. Got inf"),
    ],
)
def test_couplings_that_are_refused(model: GraphModel, arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        model.add_coupling(*arguments)


@pytest.mark.parametrize(
    ("scope", "tables", "error", "message"),
    [
        (["a", "nobody"], {"table": [1, 1]}, UnknownVariableError, "no variable 'nobody'"),
        ("nobody", {"table": [1, 1]}, UnknownVariableError, "no variable 'nobody'"),
        (["a", "a"], {"table": np.ones((2, 2))}, ModelError, "each variable once"),
        ([], {"table": 1.0}, ModelError, "empty"),
        (["a"], {}, ModelError, "either table or log_table"),
        (["a"], {"table": [1, 1], "log_table": [0, 0]}, ModelError, "either table or log_table"),
        (["a", "k"], {"table": np.ones((3, 2))}, ModelError, r"must have shape \(2, 3\).*Got \(3, 2\)"),
        (["a"], {"table": [1.0, -0.5]}, ModelError, r"Got -0.5 at \(1,\)"),
        (["a"], {"table": [1.0, math.nan]}, ModelError, "Got nan"),
        (["a"], {"table": [1.0, math.inf]}, ModelError, "Got inf"),
        (["a"], {"log_table": [0.0, math.inf]}, ModelError, "Got inf"),
        (["a"], {"table": [0.0, 0.0]}, ModelError, "no Z"),
        (["a"], {"table": ["x", "y"]}, ModelError, "array of numbers"),
    ],
)
def test_factors_that_are_refused(model: GraphModel, scope: Any, tables: Any, error: Any, message: str) -> None:
    count = len(model.factors)
    with pytest.raises(error, match=message):
        model.add_factor(scope, **tables)
    assert len(model.factors) == count


def test_a_factor_name_is_used_once_over_the_same_variables(model: GraphModel) -> None:
    model.add_factor(["a"], [1, 2], name="prior")
    model.add_factor(["b"], [1, 2], name="prior")
    with pytest.raises(ModelError, match="'prior' belongs to another factor"):
        model.add_factor(["a"], [1, 3], name="prior")


def test_a_conditional_that_does_not_sum_to_one(model: GraphModel) -> None:
    with pytest.raises(ModelError, match="sum to one over axis 0"):
        model.add_conditional("a", ["b"], [[0.5, 0.5], [0.5, 0.6]])


@pytest.mark.parametrize(
    ("evidence", "error", "message"),
    [
        ({"nobody": 1}, UnknownVariableError, "evidence: the model has no variable 'nobody'"),
        ({"a": 2}, ValueOutsideDomainError, r"'a' has units 'binary' and takes the values \[0, 1\]. Got 2"),
        ({"s": 0}, ValueOutsideDomainError, r"'s' has units 'spin' and takes the values \[-1, 1\]. Got 0"),
        ({"k": 3}, ValueOutsideDomainError, "'k'"),
        ({"k": 0.5}, ValueOutsideDomainError, "'k'"),
        ({"k": math.nan}, ValueOutsideDomainError, "'k'"),
        ({"k": "wet"}, ValueOutsideDomainError, "'k'"),
        ({"a": [0, 1]}, ValueOutsideDomainError, "one value"),
        ([("a", 1)], TypeError, "evidence must map"),
    ],
)
def test_evidence_that_is_refused(model: GraphModel, evidence: Any, error: Any, message: str) -> None:
    for ask in (model.log_partition, model.tractability, lambda given: model.query("b", given)):
        with pytest.raises(error, match=message):
            ask(evidence)


@pytest.mark.parametrize("variables", ["nobody", ["a", "nobody"], [], ["a", "a"], 3])
def test_queries_that_are_refused(model: GraphModel, variables: Any) -> None:
    with pytest.raises(UnknownVariableError):
        model.query(variables)


def test_assignments_that_are_refused(model: GraphModel) -> None:
    x = next(brute_force.assignments(model))
    with pytest.raises(UnknownVariableError, match="Got none for 'k'"):
        model.energy({name: value for name, value in x.items() if name != "k"})
    with pytest.raises(UnknownVariableError, match="no variable 'nobody'"):
        model.energy(x | {"nobody": 1})
    with pytest.raises(ValueOutsideDomainError, match="'s'"):
        model.energy(x | {"s": [1, 0]})
    with pytest.raises(UnknownVariableError, match="a column per variable"):
        model.energy(np.zeros((4, 3)))


def test_attributes_written_by_hand_are_checked_when_read() -> None:
    model = GraphModel(nx.path_graph(2))
    model.edges[0, 1]["weight"] = "strong"
    with pytest.raises(ModelError, match=r"weight of edge \(0, 1\)"):
        float(model.log_partition())
    model.edges[0, 1]["weight"] = 1.0
    model.nodes[0]["units"] = "quantum"
    with pytest.raises(ModelError, match="no unit called 'quantum'"):
        float(model.log_partition())
    model.nodes[0].update(units="categorical", states=2)
    with pytest.raises(ModelError, match="the values of 0 are labels"):
        float(model.log_partition())
    loop = GraphModel(nx.Graph([(0, 0, {"weight": 1.0})]))
    with pytest.raises(ModelError, match="self-loop at 0"):
        float(loop.log_partition())


def test_views_take_no_additions(model: GraphModel) -> None:
    view = model.subgraph(["a", "b"])
    for change in (
        lambda: view.add_variable("new"),
        lambda: view.add_coupling("a", "b", 1.0),
        lambda: view.add_factor(["a"], [1, 2]),
    ):
        with pytest.raises(ModelError, match="copy"):
            change()


@pytest.mark.parametrize("graph", [nx.DiGraph([(0, 1)]), nx.MultiGraph([(0, 1), (0, 1)])])
def test_directed_graphs_and_parallel_edges_are_refused(graph: nx.Graph) -> None:
    with pytest.raises(ModelError, match="undirected graph without parallel edges"):
        GraphModel(graph)
