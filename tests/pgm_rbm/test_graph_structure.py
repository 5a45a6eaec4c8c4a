"""Elimination orders, widths and colours on graphs whose answers are known."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest

from pgm_rbm.graph.structure import (
    colour_classes,
    format_bytes,
    induced_width,
    plan_elimination,
)


def plan_of(graph, states=2, keep=()):
    return plan_elimination(list(graph.edges), dict.fromkeys(graph, states), keep)


@pytest.mark.parametrize(
    ("graph", "width"),
    [
        (nx.path_graph(50), 1),
        (nx.balanced_tree(3, 4), 1),
        (nx.star_graph(300), 1),
        (nx.cycle_graph(30), 2),
        (nx.complete_graph(9), 8),
        (nx.complete_bipartite_graph(40, 6), 6),
        (nx.grid_2d_graph(5, 12), 5),
        (nx.empty_graph(4), 0),
    ],
)
def test_known_treewidths(graph, width):
    plan = plan_of(graph)
    assert plan.induced_width == width
    assert plan.largest_table == 2 ** (width + 1)
    assert sorted(plan.order, key=str) == sorted(graph, key=str)
    assert induced_width(graph, plan.order) == width
    assert plan.complete


@pytest.mark.parametrize("seed", range(5))
def test_the_plan_tells_the_width_of_its_own_order(seed):
    graph = nx.gnm_random_graph(30, 60, seed=seed)
    plan = plan_of(graph, states=3)
    assert plan.induced_width == induced_width(graph, plan.order)
    assert plan.largest_table == 3 ** (plan.induced_width + 1)


def test_a_width_near_the_best_of_all_orders():
    graph = nx.gnm_random_graph(7, 12, seed=1)
    best = min(induced_width(graph, order) for order in itertools.permutations(graph))
    assert plan_of(graph).induced_width == best


def test_larger_domains_are_avoided():
    # the hub has many states: it is best summed out last, with one neighbour left
    graph = nx.cycle_graph(4)
    plan = plan_elimination(list(graph.edges), {0: 50, 1: 2, 2: 2, 3: 2})
    assert plan.operations <= 50 * 2 * 2 + 2 * 2 * 2 + 50 * 2 + 50


def test_kept_variables_stay():
    plan = plan_of(nx.path_graph(10), keep=[0, 9])
    assert set(plan.order) == set(range(1, 9))
    assert plan.induced_width == 2


def test_scopes_of_more_than_two():
    plan = plan_elimination([("a", "b", "c", "d"), ("d", "e")], dict.fromkeys("abcde", 2))
    assert plan.induced_width == 3
    assert plan.largest_table == 16


def test_a_hopeless_graph_stops_the_search():
    plan = plan_of(nx.complete_bipartite_graph(120, 90))
    assert not plan.complete
    assert plan.induced_width == 90


def test_marginals_need_at_least_the_memory_of_one_pass_through_the_largest_table():
    for graph in (nx.grid_2d_graph(4, 4), nx.path_graph(20), nx.complete_graph(6)):
        plan = plan_of(graph)
        assert plan.memory >= 8 * plan.largest_table
        assert plan.marginal_memory >= plan.memory


def test_an_order_must_be_a_permutation():
    for order in ([0, 1], [0, 1, 1], [0, 1, 2, 3], [0, 1, "x"]):
        with pytest.raises(ValueError, match="each of the 3 nodes once"):
            induced_width(nx.path_graph(3), order)


@pytest.mark.parametrize(
    ("graph", "count"),
    [
        (nx.complete_bipartite_graph(4, 7), 2),
        (nx.grid_2d_graph(5, 5), 2),
        (nx.cycle_graph(7), 3),
        (nx.complete_graph(5), 5),
        (nx.empty_graph(3), 1),
        (nx.empty_graph(0), 0),
    ],
)
def test_colour_classes_hold_no_edge(graph, count):
    classes = colour_classes(graph)
    assert len(classes) == count
    assert sorted((node for nodes in classes for node in nodes), key=str) == sorted(graph, key=str)
    for nodes in classes:
        assert graph.subgraph(nodes).number_of_edges() == 0


def test_bytes_in_words():
    assert format_bytes(512) == "512 bytes"
    assert format_bytes(3 * 2**20) == "3.0 MiB"
    assert format_bytes(2**501) == "about 1e150 bytes"
