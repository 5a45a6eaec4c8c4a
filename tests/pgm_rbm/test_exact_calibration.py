"""Estimates of time: positive, in proportion to the work, and from trials that are made once."""

from __future__ import annotations

import networkx as nx
import pytest

from pgm_rbm.exact import elimination
from pgm_rbm.exact.calibration import EliminationSpeed, elimination_speed


def plan_of(graph, states=2):
    return elimination.plan(list(graph.edges), dict.fromkeys(graph, states))


def test_the_speed_is_measured_once():
    speed = elimination_speed()
    assert speed is elimination_speed()
    for seconds in (speed.step, speed.entry, speed.marginal_step, speed.marginal_entry, speed.point_step, speed.draw):
        assert 0.0 < seconds < 1.0
    assert speed.entry < speed.step  # a step computes an entry at least, and starts besides


def test_seconds_add_up():
    speed = EliminationSpeed(step=1.0, entry=0.01, marginal_step=2.0, marginal_entry=0.02, point_step=3.0, draw=0.5)
    plan = plan_of(nx.path_graph(3))
    assert (len(plan.order), plan.operations) == (3, 4 + 4 + 2 + 1)
    assert speed.seconds(plan) == pytest.approx(3.11)
    assert speed.seconds(plan, passes=2) == pytest.approx(6.22)
    assert speed.seconds(plan, back="marginals") == pytest.approx(3.11 + 6.22)
    assert speed.seconds(plan, back="point", draws=10) == pytest.approx(3.11 + 3 * (3.0 + 5.0))


def test_a_plan_beyond_all_floats_has_an_estimate():
    plan = plan_of(nx.complete_graph(60), 10**6)
    assert elimination.estimated_seconds(plan) > 1e200
    assert elimination.at_most_seconds(plan) > 1e200
