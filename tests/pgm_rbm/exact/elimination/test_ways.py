"""The same model eliminated and enumerated, and which way is taken."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.graph.live import RBMGraph
from tests.pgm_rbm import brute_force
from tests.pgm_rbm.exact.elimination.graphs import RELATIVE


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
def test_layers_are_eliminated_and_enumerated_alike(units: Any) -> None:
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


def test_an_rbm_and_its_graph_agree() -> None:
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


def test_auto_enumerates_where_that_is_quicker() -> None:
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
