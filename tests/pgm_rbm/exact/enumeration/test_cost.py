"""Estimates and refusals: what they say, and that nothing is enumerated before they are made."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import CostLimitError, EnumerationLimitError
from pgm_rbm.exact.enumeration import plan
from pgm_rbm.exact.enumeration.cost import estimate
from pgm_rbm.exact.enumeration.plan import make_plan, task_of
from pgm_rbm.exact.enumeration.sums import KernelSum, ProductSum
from symbolic import energies
from tests.pgm_rbm import naive


@pytest.mark.parametrize(("target", "kind"), [("numba", ProductSum), ("numpy", KernelSum)])
def test_costs_grow_with_the_configurations(target: str, kind: type) -> None:
    small, large = (
        task_of(rbm.model) for rbm in (RBM(60, 20, seed=0, target=target), RBM(60, 40, seed=0, target=target))
    )
    assert isinstance(small, kind)
    costs = estimate(small, 1), estimate(large, 1)
    assert [one.operations for one in costs] == [60 * 2**20, 60 * 2**40]
    assert costs[0].seconds > 0
    # Two trials of a millisecond each.
    assert costs[1].seconds / costs[0].seconds == pytest.approx(2**20, rel=20)
    assert costs[1].memory > 0


def test_averages_cost_more_than_the_sum_alone() -> None:
    rbm = RBM(60, 30, seed=0)
    alone, averages = (task_of(rbm.model, averages=one) for one in (False, True))
    assert estimate(averages, 1).seconds > estimate(alone, 1).seconds
    assert estimate(averages, 1).memory > estimate(alone, 1).memory


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_a_refusal_says_what_it_would_cost_and_what_to_do(target: str) -> None:
    rbm = RBM(60, 30, seed=0, target=target)
    with pytest.raises(CostLimitError) as caught:
        rbm.log_partition()
    message = str(caught.value)
    for part in (
        "hidden, 30 binary units",
        "2**30 configurations",
        "limit=16777216",
        "Pass limit=2**30",
        "Gibbs",
        "iB. Pass",
    ):
        assert part in message
    assert isinstance(caught.value, EnumerationLimitError)
    assert caught.value.limit == 2**24


@pytest.mark.parametrize(
    ("name", "value", "part"), [("SECONDS", 0.0, "stops at 0 s and"), ("MEMORY", 0, "and 0 bytes where")]
)
@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_few_configurations_may_take_too_long_or_too_much(
    monkeypatch: pytest.MonkeyPatch, target: str, name: str, value: float, part: str
) -> None:
    monkeypatch.setattr(plan, "SURE", 0)
    rbm = RBM(60, 8, seed=0, target=target)
    found = rbm.log_partition("enumeration")
    monkeypatch.setattr(plan, name, value)
    with pytest.raises(EnumerationLimitError, match="where no limit is given") as caught:
        rbm.log_partition("enumeration")
    assert part in str(caught.value)
    assert "Pass limit=2**8 " in str(caught.value)
    assert [way.fits for way in rbm.tractability().ways if way.name == "enumeration"] == [False, False]
    assert [way.fits for way in rbm.tractability(limit=2**8).ways if way.name == "enumeration"] == [True, True]
    assert rbm.log_partition(limit=2**8) == found


@pytest.mark.parametrize("ask", ["log_partition", "moments", "entropy", "most_probable"])
def test_nothing_begins_that_is_refused(ask: str) -> None:
    with pytest.raises(EnumerationLimitError):
        getattr(RBM(300, 200, seed=0), ask)(progress=lambda done, total: pytest.fail("it began"))


@pytest.mark.parametrize("target", ["numba", "numpy"])
def test_a_number_of_configurations_beyond_all_floats(target: str) -> None:
    rbm = RBM(1040, 1030, seed=0, target=target)
    with pytest.raises(EnumerationLimitError, match=r"2\*\*1030.*years.*Instead, eliminate") as caught:
        rbm.log_partition()
    assert caught.value.seconds == math.inf
    with pytest.raises(EnumerationLimitError):
        rbm.log_partition(limit=2**1200)


def test_a_limit_that_is_given_is_not_said_to_be_missing() -> None:
    rbm = RBM(70, 63, seed=0)
    with pytest.raises(EnumerationLimitError, match=r"2\*\*63 configurations, and .* stops at 2\*\*62, what") as caught:
        rbm.log_partition(limit=2**70)
    assert "no limit is given" not in str(caught.value)
    assert caught.value.limit == 2**70


DEEP = energies.deep("spin", ["binary", "binary"])


@pytest.mark.parametrize("target", ["numba", "numpy"])
@pytest.mark.parametrize("averages", [False, True])
def test_layers_enough_for_days_are_refused_though_their_configurations_are_few(target: str, averages: bool) -> None:
    # 2^24 configurations, each of them with a matrix product of 24 by 80,000 to follow: 6e13 operations.
    deep = RBM.from_energy(DEEP, {"v": 40_000, "h1": 24, "h2": 40_000}, seed=0, target=target)
    ask = deep.expectations if averages else partial(deep.log_partition, "enumeration")
    with pytest.raises(EnumerationLimitError, match="where no limit is given") as caught:
        ask(progress=lambda done, total: pytest.fail("it began"))
    assert caught.value.seconds > 600
    assert "Pass limit=2**24 " in str(caught.value)


def test_several_layers_are_held_to_the_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = RBM.from_energy(DEEP, {"v": 6, "h1": 8, "h2": 5}, seed=0, target="numpy")
    found = deep.log_partition()
    monkeypatch.setattr(plan, "SURE", 0)
    monkeypatch.setattr(plan, "MEMORY", 0)
    with pytest.raises(EnumerationLimitError, match="where no limit is given"):
        deep.log_partition("enumeration")
    assert deep.log_partition("enumeration", limit=2**8) == found


def test_estimates_are_of_the_size_of_what_they_estimate() -> None:
    # Not a bound on any time: two estimates of the same work agree, as far as two trials on a busy machine do.
    deep = RBM.from_energy(DEEP, {"v": 300, "h1": 30, "h2": 50}, seed=0, target="numpy")
    task = task_of(deep.model)
    found = [estimate(task, 2).seconds for _ in range(5)]
    assert max(found) / min(found) < 10


def test_the_layer_with_fewer_configurations_is_taken() -> None:
    for shape, layer in (((3, 5), "v"), ((5, 3), "h"), ((4, 4), "v")):
        rbm = RBM(*shape, seed=0)
        assert make_plan(rbm.model).require().layer == layer
        assert make_plan(rbm.model, layer="h").require().layer == "h"


def test_overflowing_parameters_are_refused() -> None:
    rbm = RBM.from_parameters(np.full((3, 2), 1e300), np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="parameters are so large that energies"):
        rbm.log_partition()


def test_the_report_lists_the_ways() -> None:
    rbm = RBM.from_parameters(*naive.random_parameters(12, 8, seed=1))
    report = rbm.tractability()
    assert report.method == "enumeration"
    assert [(way.name, way.question, way.taken) for way in report.ways] == [
        ("enumeration", "ln Z", True),
        ("elimination", "ln Z", False),
        ("enumeration", "gradient, moments", True),
        ("elimination", "gradient, moments", False),
        ("elimination", "most probable", False),
        ("elimination", "1,000 samples", False),
    ]
    assert 'ln Z is within the limits: "auto" takes enumeration' in str(report)
    assert report.seconds == report.ways[0].seconds


def test_the_report_names_the_way_that_is_taken() -> None:
    n = 40
    mask = np.eye(n, dtype=bool) | np.eye(n, k=1, dtype=bool)
    chain = RBM.from_parameters(np.where(mask, 0.3, 0), np.zeros(n), np.zeros(n), mask=mask)
    assert chain.tractability().method == chain.log_partition().method == "elimination"
    # Zeros without a mask are as good.
    zeros = RBM.from_parameters(np.where(mask, 0.3, 0), np.zeros(n), np.zeros(n))
    assert zeros.tractability().method == zeros.log_partition().method == "elimination"
    assert RBM(300, 200, seed=0).tractability().method == "sampling"
    small = RBM(300, 8, seed=0)
    assert small.tractability(limit=100).method == small.log_partition(limit=100).method == "elimination"


def test_a_sparse_model_costs_less() -> None:
    n = 24
    mask = np.eye(n, dtype=bool) | np.eye(n, k=1, dtype=bool)
    rng = np.random.default_rng(0)
    w = rng.normal(size=(n, n))
    sparse = RBM.from_parameters(np.where(mask, w, 0), rng.normal(size=n), rng.normal(size=n))
    task = task_of(sparse.model)
    assert isinstance(task, ProductSum)
    assert (task.problem.layout.finish == 0).sum() < n / 2
    assert sparse.log_partition("enumeration").value == pytest.approx(
        sparse.log_partition("elimination").value, rel=1e-13
    )
