"""Elimination orders, widths and colours on graphs whose answers are known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import networkx as nx
import pytest

from pgm_rbm.exact.elimination.order import Segment, induced_width, plan_elimination
from pgm_rbm.graph.colours import colour_classes
from pgm_rbm.machine.quantities import format_bytes, format_count, format_seconds


def plan_of(graph: nx.Graph, states: int = 2, keep: Sequence[Any] = ()) -> Any:
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
def test_known_treewidths(graph: Any, width: int) -> None:
    plan = plan_of(graph)
    assert plan.induced_width == width
    assert plan.largest_table == 2 ** (width + 1)
    assert sorted(plan.order, key=str) == sorted(graph, key=str)
    assert induced_width(graph, plan.order) == width
    assert plan.complete


@pytest.mark.parametrize("seed", range(5))
def test_the_plan_tells_the_width_of_its_own_order(seed: Any) -> None:
    graph = nx.gnm_random_graph(30, 60, seed=seed)
    plan = plan_of(graph, states=3)
    assert plan.induced_width == induced_width(graph, plan.order)
    assert plan.largest_table == 3 ** (plan.induced_width + 1)


def test_a_width_near_the_best_of_all_orders() -> None:
    graph = nx.gnm_random_graph(7, 12, seed=1)
    best = min(induced_width(graph, order) for order in itertools.permutations(graph))
    assert plan_of(graph).induced_width == best


def test_larger_domains_are_avoided() -> None:
    # the hub has many states: it is best summed out last, with one neighbour left
    graph = nx.cycle_graph(4)
    plan = plan_elimination(list(graph.edges), {0: 50, 1: 2, 2: 2, 3: 2})
    assert plan.operations <= 50 * 2 * 2 + 2 * 2 * 2 + 50 * 2 + 50


def test_kept_variables_stay() -> None:
    plan = plan_of(nx.path_graph(10), keep=[0, 9])
    assert set(plan.order) == set(range(1, 9))
    assert plan.induced_width == 2


def test_scopes_of_more_than_two() -> None:
    plan = plan_elimination([("a", "b", "c", "d"), ("d", "e")], dict.fromkeys("abcde", 2))
    assert plan.induced_width == 3
    assert plan.largest_table == 16


def test_a_hopeless_graph_stops_the_search() -> None:
    plan = plan_of(nx.complete_bipartite_graph(120, 90))
    assert not plan.complete
    assert plan.induced_width == 90


@pytest.mark.parametrize(
    ("graph", "width"),
    [
        (nx.path_graph(10_000), 1),
        (nx.random_labeled_tree(10_000, seed=1), 1),
        (nx.grid_2d_graph(2, 5_000), 2),
        (nx.star_graph(10_000), 1),
        (nx.empty_graph(10_000), 0),
        (nx.grid_2d_graph(20, 20), 20),
    ],
)
def test_large_graphs(graph: Any, width: int) -> None:
    plan = plan_of(graph)
    assert plan.complete
    assert plan.induced_width == width
    assert induced_width(graph, plan.order) == width


@pytest.mark.parametrize("graph", [nx.grid_2d_graph(100, 100), nx.random_regular_graph(3, 5_000, seed=0)])
def test_large_graphs_that_are_hopeless(graph: Any) -> None:
    plan = plan_of(graph)
    assert not plan.complete
    assert plan.largest_table > 2**45


def test_an_order_can_be_given() -> None:
    graph = nx.star_graph(5)
    plan = plan_elimination(list(graph.edges), dict.fromkeys(graph, 2), order=[0, 1, 2, 3, 4, 5])
    assert plan.order == (0, 1, 2, 3, 4, 5)
    assert plan.induced_width == 5
    assert plan.operations == 2**6 + 2**5 + 2**4 + 2**3 + 2**2 + 2 + 1


def steps_of(segment: Any) -> list[int]:
    """The steps in the order in which a way back visits them, and the deepest division."""
    if not segment.parts:
        return list(reversed(range(segment.start, segment.stop)))
    assert segment.parts[0].start == segment.start
    assert segment.parts[-1].stop == segment.stop
    assert all(one.stop == other.start for one, other in itertools.pairwise(segment.parts))
    return [step for part in reversed(segment.parts) for step in steps_of(part)]


def test_a_way_back_takes_no_more_memory_than_it_may() -> None:
    plan = plan_of(nx.grid_2d_graph(12, 12))
    whole = plan.way_back(2**30)
    assert whole.segment == Segment(0, 144)
    assert whole.segment.forward(range(145)) == 144
    seen, least = [], plan.way_back(0).memory
    for share in (1.0, 0.7, 0.5, 0.4, 0.3, 0.25):
        limit = int(share * whole.memory)
        if limit < least:
            continue
        way = plan.way_back(limit)
        assert plan.memory <= way.memory <= limit
        assert steps_of(way.segment) == list(reversed(range(144)))
        seen.append(way.segment.forward(range(145)))
    assert seen == sorted(seen)
    assert 144 < seen[-1] < 3 * 144
    # where nothing fits, what needs least
    assert least < whole.memory / 2


def test_steps_on_the_way_forward_are_counted_as_often_as_they_are_computed() -> None:
    whole = Segment(0, 10)
    halves = Segment(0, 10, (Segment(0, 5), Segment(5, 10)))
    deep = Segment(0, 10, (Segment(0, 5, (Segment(0, 2), Segment(2, 5))), Segment(5, 10)))
    before = range(11)
    assert whole.forward(before) == 10
    # to where the second half begins, through it, and through the first half again
    assert halves.forward(before) == 5 + 5 + 5
    assert deep.forward(before) == 5 + 5 + (2 + 3 + 2)


def test_messages_of_leaves_to_one_hub_wait_as_one() -> None:
    plan = plan_of(nx.complete_bipartite_graph(300, 5))
    assert max(plan.waiting) == 8 * 2**5
    assert plan.memory < 8 * 2**9


def test_marginals_need_at_least_the_memory_of_one_pass_through_the_largest_table() -> None:
    for graph in (nx.grid_2d_graph(4, 4), nx.path_graph(20), nx.complete_graph(6)):
        plan = plan_of(graph)
        assert plan.memory >= 8 * plan.largest_table
        assert plan.way_back(0).memory >= plan.memory


def test_an_order_must_be_a_permutation() -> None:
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
def test_colour_classes_hold_no_edge(graph: Any, count: int) -> None:
    classes = colour_classes(graph)
    assert len(classes) == count
    assert sorted((node for nodes in classes for node in nodes), key=str) == sorted(graph, key=str)
    for nodes in classes:
        assert graph.subgraph(nodes).number_of_edges() == 0


def test_bytes_in_words() -> None:
    assert format_bytes(512) == "512 bytes"
    assert format_bytes(3 * 2**20) == "3.0 MiB"
    assert format_bytes(2**501) == "about 1e150 bytes"


def test_counts_and_durations_in_words() -> None:
    assert [format_count(count) for count in (7, 12_345, 2**40, 2**2000)] == ["7", "12,345", "1.1e+12", "about 1e602"]
    assert [format_seconds(seconds) for seconds in (0.0123, 5, 600, 7200, 3e5, 1e8, 1e13, 1e30, math.inf)] == [
        "0.012 s",
        "5 s",
        "10 minutes",
        "2 hours",
        "3.5 days",
        "3.2 years",
        "316881 years",
        "over 1e12 years",
        "over 1e12 years",
    ]
