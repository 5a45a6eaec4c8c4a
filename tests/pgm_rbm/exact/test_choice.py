"""Which way is taken, what limits are, and reports of models that have few ways or none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pgm_rbm.exact.tractability import Tractability, Way, choose
from pgm_rbm.machine.budget import Budget


@dataclass
class Option:
    fits: bool
    seconds: float
    quick: bool = False


def test_the_first_quick_way_is_taken_and_nothing_else_looked_at() -> None:
    def options() -> Iterator[Option]:
        yield Option(False, 0.1, quick=True)
        yield Option(True, 0.9, quick=True)
        pytest.fail("a further way was looked at")

    assert choose(options()).seconds == 0.9


def test_else_the_quickest_within_the_limits() -> None:
    slow, slower, out_of_reach = Option(True, 20.0), Option(True, 30.0), Option(False, 2.0)
    assert choose([slower, out_of_reach, slow]) is slow
    assert choose([slower]) is slower
    assert choose([out_of_reach]) is None
    assert choose([]) is None


def test_limits() -> None:
    assert Budget.of() == Budget(memory=2**30, seconds=600.0) == Budget.of(memory_limit=None, time_limit=None)
    assert Budget.of(memory_limit=2**20, time_limit=math.inf) == Budget(memory=2**20, seconds=math.inf)
    assert Budget(memory=100, seconds=2.0).allows(100, 2.0)
    assert not Budget(memory=100, seconds=2.0).allows(101, 1.0)
    assert not Budget(memory=100, seconds=2.0).allows(99, 2.1)
    assert str(Budget()) == "1.0 GiB of memory and 10 minutes"
    assert str(Budget(memory=math.inf, seconds=math.inf)) == "any memory and any time"


def report(*ways: Any) -> Tractability:
    method = next((way.name for way in ways if way.taken), "sampling")
    return Tractability(method, ways, ("a note",), Budget(), 12, None, "do something else")


def test_the_verdict_says_what_the_table_says() -> None:
    way = Way("enumeration", "ln Z", 10**10, 2**20, 3.0, True, "layer h, 5 binary units", taken=True)
    other = Way("elimination", "ln Z", 7, 2**40, 1.0, False, "9 variables")
    text = str(report(way, other))
    assert text.splitlines()[0] == 'ln Z is within the limits: "auto" takes enumeration, about 3 s.'
    assert "yes, taken" in text
    assert report(way, other).seconds == 3.0
    refused = Way("enumeration", "ln Z", 10**10, 2**20, 3.0, False, "layer h, 5 binary units")
    assert "No exact way to ln Z is within the limits: do something else." in str(report(refused, other))
    assert report(refused, other).seconds == 1.0
    assert not report(refused, other).feasible


def test_a_model_without_a_graph_or_any_way() -> None:
    none = report()
    assert "There is no exact way to ln Z: do something else." in str(none)
    assert "a note" in str(none)
    assert (none.seconds, none.order, none.induced_width, none.parts, none.largest_table, none.complete) == (
        math.inf,
        (),
        None,
        None,
        None,
        True,
    )
