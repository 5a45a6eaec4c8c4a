"""Layers of a graph, and the graph that reads its edges from arrays."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from typing import Any

import networkx as nx
import numpy as np
import pytest

from pgm_rbm.errors import IntractableError, ModelError, NotBipartiteError
from pgm_rbm.graph.arrays import arrays_from_graph
from pgm_rbm.graph.bipartite import bipartition
from pgm_rbm.graph.live import RBMGraph
from pgm_rbm.graph.model import GraphModel
from tests.pgm_rbm import brute_force


def parameters(n_visible: int = 4, n_hidden: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_visible, n_hidden)), rng.normal(size=n_visible), rng.normal(size=n_hidden)


def small(mask: np.ndarray | None = None, **units: Any) -> RBMGraph:
    return RBMGraph.from_arrays(*parameters(), mask=mask, **units)


MASK = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1]], dtype=bool)


# -- layers -----------------------------------------------------------------------------------------------------------


def test_layers_by_colouring() -> None:
    assert bipartition(nx.path_graph(5)) == ([0, 2, 4], [1, 3])
    assert bipartition(nx.empty_graph(2)) == ([0, 1], [])


def test_attributes_decide_and_colouring_follows_them() -> None:
    graph = nx.path_graph(5)
    graph.nodes[4]["role"] = "hidden"
    graph.add_edge("x", "y")
    graph.nodes["x"]["bipartite"] = 1
    graph.add_node("alone", role="hidden")
    assert bipartition(graph) == ([1, 3, "y"], [0, 2, 4, "x", "alone"])


def test_attributes_of_networkx_generators_are_understood() -> None:
    graph = nx.complete_bipartite_graph(2, 3)
    assert bipartition(graph) == ([0, 1], [2, 3, 4])


@pytest.mark.parametrize("length", [1, 3, 5, 11])
def test_an_odd_cycle_is_named(length: int) -> None:
    graph = nx.cycle_graph(length) if length > 1 else nx.Graph([(0, 0)])
    graph.add_edges_from([(0, "tail"), ("tail", "end"), ("far", "away")])
    with pytest.raises(NotBipartiteError, match="odd cycle") as caught:
        bipartition(graph)
    cycle = caught.value.cycle
    assert len(cycle) == length
    assert all(graph.has_edge(cycle[k - 1], cycle[k]) for k in range(length))
    assert repr(cycle[0]) in str(caught.value)


def test_the_odd_cycle_found_in_a_larger_graph_is_one() -> None:
    graph = nx.gnm_random_graph(40, 60, seed=3)
    with pytest.raises(NotBipartiteError) as caught:
        bipartition(graph)
    cycle = caught.value.cycle
    assert len(cycle) % 2 == 1
    assert len(set(cycle)) == len(cycle)
    assert all(graph.has_edge(cycle[k - 1], cycle[k]) for k in range(len(cycle)))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({0: {"role": "visible"}, 1: {"role": "visible"}}, "do not fit the edges"),
        ({0: {"bipartite": 0}, 2: {"role": "hidden"}}, "nodes 0 and 2"),
        ({0: {"bipartite": 0, "role": "hidden"}}, "contradict"),
        ({0: {"role": "observed"}}, "Got 'observed'"),
        ({0: {"bipartite": 7}}, "Got 7"),
    ],
)
def test_attributes_that_cannot_be(attributes: dict[Any, Any], message: str) -> None:
    graph = nx.path_graph(3)
    nx.set_node_attributes(graph, attributes)
    with pytest.raises(ModelError, match=message):
        bipartition(graph)


def test_other_kinds_of_graph_are_refused() -> None:
    for graph in (nx.DiGraph([(0, 1)]), nx.MultiGraph([(0, 1)])):
        with pytest.raises(ModelError, match="undirected and without parallel"):
            bipartition(graph)
    with pytest.raises(TypeError, match="Got list"):
        bipartition([(0, 1)])


# -- the graph of an RBM ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [None, MASK])
def test_the_graph_shows_the_arrays(mask: Any) -> None:
    weights, visible_bias, hidden_bias = parameters()
    graph = RBMGraph.from_arrays(weights, visible_bias, hidden_bias, hidden_units="spin", mask=mask)
    present = np.ones_like(weights, dtype=bool) if mask is None else mask
    assert list(graph) == [*(("v", i) for i in range(4)), *(("h", j) for j in range(3))]
    assert dict(graph.nodes["v", 1]) == {
        "bipartite": 0,
        "role": "visible",
        "units": "binary",
        "bias": visible_bias[1],
    }
    assert dict(graph.nodes["h", 2]) == {
        "bipartite": 1,
        "role": "hidden",
        "units": "spin",
        "bias": hidden_bias[2],
    }
    expected = {(("v", i), ("h", j)): weights[i, j] for i, j in np.argwhere(present).tolist()}
    assert {(u, v): w for u, v, w in graph.edges(data="weight")} == expected
    assert graph.number_of_edges() == graph.size() == len(graph.edges) == present.sum()
    assert dict(graph.degree) == {
        **{("v", i): present[i].sum() for i in range(4)},
        **{("h", j): present[:, j].sum() for j in range(3)},
    }
    assert graph.size(weight="weight") == pytest.approx(weights[present].sum())
    for i in range(4):
        for j in range(3):
            assert graph.has_edge(("v", i), ("h", j)) == graph.has_edge(("h", j), ("v", i)) == present[i, j]
    assert list(graph.neighbors(("h", 1))) == [("v", i) for i in np.flatnonzero(present[:, 1])]
    assert nx.is_bipartite(graph)
    assert bipartition(graph) == ([("v", i) for i in range(4)], [("h", j) for j in range(3)])
    np.testing.assert_allclose(nx.to_numpy_array(graph)[:4, 4:], np.where(present, weights, 0))


@pytest.mark.parametrize("node", [("v", 4), ("h", 3), ("v", -1), ("w", 0), "v", ("v",), ("v", "0"), 0])
def test_names_outside_the_layers_are_not_nodes(node: Any) -> None:
    graph = small()
    assert node not in graph
    assert not graph.has_edge(node, ("h", 0))
    with pytest.raises(KeyError):
        graph.nodes[node]


def test_layers_hold_no_edges() -> None:
    graph = small()
    assert not graph.has_edge(("v", 0), ("v", 1))
    assert not graph.has_edge(("h", 0), ("h", 1))


def test_changes_of_the_arrays_are_seen_and_changes_of_the_graph_written() -> None:
    weights, visible_bias, hidden_bias = parameters()
    mask = MASK.copy()
    graph = RBMGraph.from_arrays(weights, visible_bias, hidden_bias, mask=mask)
    weights[0, 1], visible_bias[2], mask[2, 2] = 5.0, 6.0, True
    assert graph.edges[("v", 0), ("h", 1)]["weight"] == 5.0
    assert graph.nodes["v", 2]["bias"] == 6.0
    assert graph.has_edge(("v", 2), ("h", 2))
    graph.edges[("h", 2), ("v", 3)]["weight"] = -7.0
    graph.nodes["h", 0]["bias"] = 8
    assert weights[3, 2] == -7.0
    assert hidden_bias[0] == 8.0
    with pytest.raises(ModelError, match="finite"):
        graph.nodes["h", 0]["bias"] = np.nan
    with pytest.raises(ModelError, match="copy"):
        graph.nodes["h", 0]["units"] = "spin"


def test_structure_is_fixed() -> None:
    graph = small()
    for change in (
        lambda: graph.add_node("x"),
        lambda: graph.add_edge(("v", 0), ("v", 1)),
        lambda: graph.remove_node(("v", 0)),
    ):
        with pytest.raises(nx.NetworkXError, match=r"[Ff]rozen"):
            change()
    with pytest.raises(ModelError, match="copy"):
        graph.add_variable("x")


@pytest.mark.parametrize("mask", [None, MASK])
def test_copies_are_ordinary_models(mask: Any) -> None:
    graph = small(mask, visible_units="spin")
    for copied in (graph.copy(), GraphModel(graph), nx.relabel_nodes(graph, {})):
        assert isinstance(copied, GraphModel)
        assert set(copied) == set(graph)
        assert {frozenset(edge) for edge in copied.edges} == {frozenset(edge) for edge in graph.edges}
        for x in brute_force.assignments(copied):
            assert copied.energy(x) == pytest.approx(graph.energy(x), rel=1e-12, abs=1e-12)
        copied.add_variable("y")
        copied.nodes["v", 0]["bias"] = 100.0
    assert type(graph.copy()) is GraphModel
    assert graph.nodes["v", 0]["bias"] != 100.0


def test_subgraphs_views_and_conversions() -> None:
    graph = small(MASK)
    part = graph.subgraph([("v", 0), ("v", 3), ("h", 0), ("h", 2)])
    assert {frozenset(edge) for edge in part.edges} == {
        frozenset((("v", 0), ("h", 0))),
        frozenset((("v", 3), ("h", 0))),
        frozenset((("v", 3), ("h", 2))),
    }
    assert part.number_of_edges() == 3
    assert float(part.log_partition()) == pytest.approx(brute_force.log_partition(part), rel=1e-12)
    assert type(part.copy()) is GraphModel
    view = graph.copy(as_view=True)
    assert view.number_of_edges() == graph.number_of_edges()
    directed = graph.to_directed()
    assert directed.number_of_edges() == 2 * graph.number_of_edges()
    assert directed.nodes["v", 0] == graph.nodes["v", 0]
    assert nx.node_link_data(graph, edges="links")["nodes"][0]["role"] == "visible"
    assert len(list(nx.connected_components(graph))) == 2


def test_deepcopy_and_pickle() -> None:
    graph = small(MASK)
    for other in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert dict(other.edges) == dict(graph.edges)
        assert float(other.log_partition()) == float(graph.log_partition())


def test_made_without_arguments() -> None:
    graph = RBMGraph()
    graph.add_variable("a")
    assert float(graph.log_partition()) == pytest.approx(np.log(2))


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("units", [("binary", "binary"), ("spin", "binary"), ("binary", "spin")])
def test_inference_is_that_of_the_copy_and_of_all_assignments(mask: Any, units: tuple[Any, ...]) -> None:
    graph = small(mask, visible_units=units[0], hidden_units=units[1])
    ordinary = graph.copy()
    assert float(graph.log_partition()) == pytest.approx(brute_force.log_partition(ordinary), rel=1e-12)
    marginals = graph.query(list(graph))
    for name in graph:
        np.testing.assert_allclose(marginals[name], brute_force.marginal(ordinary, [name]), rtol=1e-12)


def test_a_weight_under_a_closed_mask_counts_for_nothing() -> None:
    weights, a, b = parameters()
    sparse = RBMGraph.from_arrays(weights, a, b, mask=MASK)
    zeroed = RBMGraph.from_arrays(np.where(MASK, weights, 0.0), a, b)
    assert float(sparse.log_partition()) == pytest.approx(float(zeroed.log_partition()), rel=1e-14)
    assert sparse.energy(np.ones(7)) == pytest.approx(zeroed.energy(np.ones(7)), rel=1e-14)


def test_a_full_size_graph_costs_next_to_nothing() -> None:
    weights = np.zeros((784, 500), dtype=np.float32)
    tracemalloc.start()
    graph = RBMGraph.from_arrays(weights, np.zeros(784), np.zeros(500))
    assert graph.number_of_edges() == 392_000
    assert graph.degree["h", 0] == 784
    assert graph.has_edge(("v", 783), ("h", 499))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000  # the edges as dictionaries take some 200 MB


def test_a_full_size_graph_is_refused_by_exact_inference() -> None:
    weights = np.ones((784, 500), dtype=np.float32)
    graph = RBMGraph.from_arrays(weights, np.zeros(784), np.zeros(500))
    with pytest.raises(IntractableError, match="induced width of at least 500"):
        float(graph.log_partition())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.zeros(3)}, "weights must have shape"),
        ({"weights": np.zeros((0, 3))}, "weights must have shape"),
        ({"weights": np.array([["a"] * 3] * 4)}, "real numbers"),
        ({"visible_bias": np.zeros(3)}, r"visible_bias must have shape \(4,\).*Got \(3,\)"),
        ({"hidden_bias": np.zeros((3, 1))}, "hidden_bias must have shape"),
        ({"mask": np.ones((4, 3))}, "mask must be boolean"),
        ({"mask": np.ones((3, 4), dtype=bool)}, "mask must be boolean"),
    ],
)
def test_arrays_that_do_not_fit(change: Any, message: str) -> None:
    weights, a, b = parameters()
    with pytest.raises(ModelError, match=message):
        RBMGraph.from_arrays(**({"weights": weights, "visible_bias": a, "hidden_bias": b} | change))


def test_non_finite_parameters_are_refused_by_inference() -> None:
    weights, a, b = parameters()
    weights[2, 1] = np.nan
    with pytest.raises(ModelError, match=r"weights must be finite. Got nan at \(2, 1\)"):
        float(RBMGraph.from_arrays(weights, a, b).log_partition())


def test_units_without_a_finite_domain_are_shown_but_not_summed() -> None:
    graph = small(visible_units="gaussian")
    assert graph.nodes["v", 0]["units"] == "gaussian"
    with pytest.raises(ModelError, match="units 'gaussian', whose values cannot be listed: they are the real numbers"):
        float(graph.log_partition())
    assert graph.copy().units(("v", 1)) == "gaussian"


# -- back to arrays ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [None, MASK])
def test_arrays_there_and_back(mask: Any) -> None:
    graph = small(mask, hidden_units="spin")
    for source in (graph, graph.copy(), nx.Graph(graph)):
        found = arrays_from_graph(source)
        assert found.visible_names == [("v", i) for i in range(4)]
        assert found.hidden_names == [("h", j) for j in range(3)]
        assert found.units == ("binary", "spin")
        np.testing.assert_array_equal(found.weights, np.where(True if mask is None else mask, graph.arrays.weights, 0))
        np.testing.assert_array_equal(found.visible_bias, graph.arrays.visible_bias)
        np.testing.assert_array_equal(found.hidden_bias, graph.arrays.hidden_bias)
        if mask is None:
            assert found.mask is None
        else:
            np.testing.assert_array_equal(found.mask, mask)


def test_a_bare_graph_gives_the_shape_of_a_model() -> None:
    found = arrays_from_graph(nx.complete_bipartite_graph(3, 2))
    assert found.weights.shape == (3, 2)
    assert not found.weights.any()
    assert found.mask is None
    assert found.units == ("binary", "binary")


def test_edges_of_weight_zero_stay_in_the_mask() -> None:
    graph = nx.Graph()
    graph.add_node("h1", role="hidden")
    graph.add_edge("v0", "h0", weight=0.0)
    graph.add_edge("v1", "h0", weight=2.0)
    graph.add_edge("v1", "h1")
    found = arrays_from_graph(graph)
    assert (found.visible_names, found.hidden_names) == (["v0", "v1"], ["h1", "h0"])
    np.testing.assert_array_equal(found.mask, [[False, True], [True, True]])
    np.testing.assert_array_equal(found.weights, [[0, 0], [0, 2]])


def test_graphs_that_no_arrays_can_hold() -> None:
    with pytest.raises(NotBipartiteError):
        arrays_from_graph(nx.cycle_graph(5))
    with pytest.raises(ModelError, match="hidden layer of the graph is empty"):
        arrays_from_graph(nx.empty_graph(3))
    mixed = nx.path_graph(4)
    mixed.nodes[2]["units"] = "spin"
    with pytest.raises(ModelError, match=r"visible layer must have one unit type. Got 'binary' at 0 and 'spin' at 2"):
        arrays_from_graph(mixed)
    broken = nx.path_graph(2)
    broken.edges[0, 1]["weight"] = np.nan
    with pytest.raises(ModelError, match=r"weight of edge \(0, 1\)"):
        arrays_from_graph(broken)
    model = small().copy()
    model.add_factor([("v", 0)], [1, 2], name="prior")
    with pytest.raises(ModelError, match="factor 'prior'"):
        arrays_from_graph(model)
    categorical = GraphModel()
    categorical.add_variable("k", states=3)
    categorical.add_variable("a")
    categorical.add_edge("k", "a")
    with pytest.raises(ModelError, match="'k' is categorical"):
        arrays_from_graph(categorical)


# -- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("units", [("potts(3)", "binary"), ("{-1, 0, 1}", "potts(3)"), ("potts(3)", "potts(3)")])
def test_labels_have_a_table_for_each_pair_of_units(units: tuple[Any, ...]) -> None:
    rng = np.random.default_rng(2)
    counts, labels = (3, 2), [(3,) if one == "potts(3)" else () for one in units]
    weights = rng.normal(size=(counts[0], *labels[0], counts[1], *labels[1]))
    weights[0, ..., 1, :] = 0.0  # of the last axis, labels or units: some pairs are without a table
    biases = [rng.normal(size=(count, *q)) for count, q in zip(counts, labels, strict=True)]
    graph = RBMGraph.from_arrays(weights, *biases, *units)
    plain = graph.copy()
    values = [brute_force.VALUES[one] for one in units]

    def contribution(i: int, j: int, x: Any, y: Any) -> Any:
        here = weights[i]
        here = here[x] if labels[0] else x * here
        here = here[j]
        return here[y] if labels[1] else y * here

    for state in list(brute_force.assignments(plain))[::5]:
        expected = sum(
            bias[k][state[side, k]] if q else bias[k] * state[side, k]
            for side, bias, q in zip("vh", biases, labels, strict=True)
            for k in range(len(bias))
        )
        expected += sum(contribution(i, j, state["v", i], state["h", j]) for i in range(3) for j in range(2))
        for model in (graph, plain):
            assert model.energy(state) == pytest.approx(-expected, rel=1e-13, abs=1e-13)
    assert [graph.domain(("v", 0)).tolist(), graph.domain(("h", 0)).tolist()] == values
    assert "weight" not in graph.edges[("v", 0), ("h", 0)]
    exact = brute_force.log_partition(plain)
    for method in ("elimination", "enumeration"):
        assert float(graph.log_partition(method=method)) == pytest.approx(exact, rel=1e-12)
    for name, found in graph.marginals().items():
        np.testing.assert_allclose(found, brute_force.marginal(plain, [name]), rtol=1e-12)


def test_a_graph_of_labels_is_live() -> None:
    graph = RBMGraph.from_arrays(np.zeros((2, 3, 1)), np.zeros((2, 3)), np.zeros(1), "potts(3)")
    assert graph.number_of_edges() == 2
    assert graph.factors == ()
    graph.nodes["v", 1]["bias"] = [0.1, 0.2, 0.3]
    assert graph.arrays.visible_bias[1].tolist() == [0.1, 0.2, 0.3]
    graph.arrays.weights[1, 2, 0] = 1.5
    (factor,) = graph.factors
    assert factor.scope == (("v", 1), ("h", 0))
    np.testing.assert_array_equal(factor.log_table, [[0, 0], [0, 0], [0, 1.5]])
    with pytest.raises(ModelError, match="3 finite numbers, one per label"):
        graph.nodes["v", 1]["bias"] = 0.5
    with pytest.raises(ModelError, match="labels"):
        arrays_from_graph(graph)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros((2, 1)), np.zeros((2, 3)), np.zeros(1)), r"shape \(n_visible, 3, n_hidden\)"),
        ((np.zeros((2, 4, 1)), np.zeros((2, 4)), np.zeros(1)), "have 3 labels. Got an axis of 4"),
        ((np.zeros((2, 3, 1)), np.zeros(2), np.zeros(1)), r"visible_bias must have shape \(2, 3\)"),
    ],
)
def test_arrays_of_labels_are_checked(arrays: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        RBMGraph.from_arrays(*arrays, "potts(3)")  # type: ignore[call-arg]


def test_a_layer_of_vectors_or_unknown_units_is_refused() -> None:
    with pytest.raises(ModelError, match=r"heisenberg.*cannot be listed"):
        RBMGraph.from_arrays(np.zeros((2, 1)), np.zeros(2), np.zeros(1), "heisenberg")
    with pytest.raises(ModelError, match="no unit called 'quantum'"):
        RBMGraph.from_arrays(np.zeros((2, 1)), np.zeros(2), np.zeros(1), "quantum")
