"""What is refused before it starts: time, memory, and arguments that do not fit."""

from __future__ import annotations

import itertools
import math
import pickle
import tracemalloc
from typing import Any

import networkx as nx
import numpy as np
import pytest

from pgm_rbm.errors import (
    CostLimitError,
    EnumerationLimitError,
    ImpossibleEvidenceError,
    IntractableError,
    ModelError,
    UnknownVariableError,
    ValueOutsideDomainError,
)
from pgm_rbm.exact.elimination.order import plan
from pgm_rbm.graph.live import RBMGraph
from pgm_rbm.graph.model import GraphModel
from tests.pgm_rbm import brute_force
from tests.pgm_rbm.exact.elimination.graphs import RELATIVE, grid, spins


def test_what_would_take_too_long_is_refused() -> None:
    model = grid(20, 20, 0.2, periodic=False)
    for ask in (
        lambda: model.log_partition(method="elimination", time_limit=1e-3),
        lambda: model.marginals(time_limit=1e-3),
        lambda: model.most_probable(time_limit=1e-3),
        lambda: model.sample(3, time_limit=1e-3),
    ):
        with pytest.raises(IntractableError, match=r"time_limit allows 0.001 s.*larger time_limit.*gibbs") as caught:
            ask()
        assert caught.value.seconds > caught.value.time_limit == 1e-3
        assert caught.value.memory <= caught.value.memory_limit
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.seconds) == (str(caught.value), caught.value.seconds)


def test_marginals_that_fit_no_memory_are_refused_with_what_they_need() -> None:
    model = grid(12, 12, 0.2, periodic=False)
    with pytest.raises(IntractableError, match=r"memory_limit allows 64.0 KiB") as caught:
        model.marginals(memory_limit=2**16)
    np.testing.assert_allclose(model.marginals(memory_limit=caught.value.memory)[3, 3], [0.5, 0.5], rtol=1e-11)


@pytest.mark.parametrize("coupling", [0.3, 80.0])
def test_no_more_memory_is_held_than_was_told(coupling: float) -> None:
    # with strong couplings the tables are in logs; the rest of what Python holds for this model is below a MiB
    model = grid(14, 14, coupling, periodic=False)
    planned = plan([scope for scope, _ in model.log_tables()], dict.fromkeys(model, 2))
    tight, roomy = planned.way_back(0).memory, planned.way_back(2**30).memory
    for limit in (tight, (tight + roomy) // 2, roomy):
        for ask in (
            model.marginals,
            model.most_probable,
            lambda memory_limit: model.sample(1, memory_limit=memory_limit),
        ):
            tracemalloc.start()
            try:
                ask(memory_limit=limit)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert peak < planned.way_back(limit).memory + 2**20


def test_samples_that_fit_no_memory_are_refused() -> None:
    with pytest.raises(IntractableError, match="memory_limit"):
        brute_force.random_model(0).sample(10**8, seed=0)


def test_enumeration_of_too_much_is_refused() -> None:
    model = spins(40, itertools.combinations(range(40), 2), 0.1)
    with pytest.raises(EnumerationLimitError, match=r"all 40 variables at once.*not bipartite") as caught:
        model.log_partition(method="enumeration")
    assert caught.value.configurations == 2**40
    graph = RBMGraph.from_arrays(np.ones((60, 45)), np.zeros(60), np.zeros(45))
    with pytest.raises(EnumerationLimitError, match=r"one side, 45 binary units visits .*time_limit allows 10 minutes"):
        graph.log_partition(method="enumeration")
    with pytest.raises(
        CostLimitError,
        match=r"no order was found .*one side, 45 binary units, would take.*Pass a larger time_limit, or",
    ):
        graph.log_partition()


@pytest.mark.parametrize("method", ["auto", "elimination", "enumeration"])
def test_finite_terms_whose_sum_is_not_are_refused(method: str) -> None:
    model = spins(3, [(0, 1), (1, 2)], 1e308, bias=1e308)
    factor = GraphModel()
    factor.add_variable("a")
    factor.add_factor(["a"], log_table=[1e308, 0.0])
    factor.add_factor(["a"], log_table=[1e308, -math.inf])
    counts = GraphModel()
    counts.add_variable("n", "binomial(40)", bias=1e307)
    with np.errstate(over="ignore", invalid="ignore"):
        for wrong in (model, factor, counts):
            with pytest.raises(ValueError, match=r"(add up to|so large|overflow)"):
                wrong.log_partition(method=method)
    for ask in (model.marginals, model.most_probable, model.entropy, lambda: model.sample(2), model.pair_marginals):
        with pytest.raises(ModelError, match=r"add up to .*, more than a float64 can hold in sums. Scale them down"):
            ask()


def test_bars_and_functions_show_progress(capsys: pytest.CaptureFixture[str]) -> None:
    model = grid(4, 4, 0.3, periodic=False)
    for what, ask in (
        ("ln Z", model.log_partition),
        ("marginals", model.marginals),
        ("pairs", model.pair_marginals),
        ("entropy", model.entropy),
        ("most probable", model.most_probable),
        ("marginals", lambda progress: model.query((0, 0), progress=progress)),
        ("marginals", lambda progress: model.query([(0, 0), (1, 1)], progress=progress)),
        ("samples", lambda progress: model.sample(2, seed=0, progress=progress)),
        ("samples", lambda progress: model.sample(2, seed=0, method="gibbs", steps=3, progress=progress)),
        ("ln Z", lambda progress: model.log_partition(method="enumeration", progress=progress)),
    ):
        ask(progress=True)
        assert what in capsys.readouterr().err
        ask(progress=False)
        assert capsys.readouterr().err == ""
        with pytest.raises(TypeError, match=r"progress must be True, False or a function. Got 3"):
            ask(progress=3)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match=r"method must be 'auto', 'elimination' or 'enumeration'. Got 'magic'"):
        brute_force.random_model(0).log_partition(method="magic")


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "3", None])
def test_a_number_of_samples_is_a_positive_whole_number(n: Any) -> None:
    with pytest.raises(ValueError, match=r"n must be a positive whole number of samples. Got"):
        brute_force.random_model(0).sample(n)


def test_seeds_are_checked() -> None:
    model = brute_force.random_model(0)
    with pytest.raises(TypeError, match="seed must be a whole number"):
        model.sample(1, seed=0.5)
    with pytest.raises(ValueError, match="seed must lie between"):
        model.sample(1, seed=-1)


@pytest.mark.parametrize("pairs", [["ab"], [("a",)], [("a", "b", "t")], [("a", "zz")], [("a", "a")], [3]])
def test_pairs_are_checked(pairs: list[Any]) -> None:
    with pytest.raises(UnknownVariableError, match="pairs"):
        brute_force.random_model(0).pair_marginals(pairs)


def test_evidence_is_checked_by_every_question() -> None:
    model = brute_force.random_model(0)
    asks = [
        model.log_partition,
        model.marginals,
        lambda evidence: model.pair_marginals(evidence=evidence),
        model.most_probable,
        model.entropy,
        lambda evidence: model.sample(2, evidence, seed=0),
        model.tractability,
    ]
    for ask in asks:
        with pytest.raises(UnknownVariableError, match="no variable 'zz'"):
            ask({"zz": 1})
        with pytest.raises(ValueOutsideDomainError, match=r"'s' has units 'spin' and takes the values \[-1, 1\]"):
            ask({"s": 0})
    model.add_factor(["a", "t"], [[1, 0], [1, 1]])
    for ask in asks[:-1]:
        with pytest.raises(ImpossibleEvidenceError, match="probability zero"):
            ask({"a": 0, "t": 1})


def test_a_model_with_nothing_left_to_sum() -> None:
    model = brute_force.random_model(3)
    everything = {"a": 1, "b": 0, ("v", 0): 1, "s": -1, "t": 1, "k": 2, "lone": 3, "one": 0}
    log_weight = brute_force.log_weight(model, everything)
    assert float(model.log_partition(everything)) == pytest.approx(log_weight, rel=RELATIVE)
    assert model.entropy(everything) == pytest.approx(0.0, abs=1e-15)
    best = model.most_probable(everything)
    assert best.assignment == everything
    assert best.log_probability == pytest.approx(0.0, abs=1e-12)
    assert (model.sample(4, everything, seed=0) == list(everything.values())).all()
    assert model.pair_marginals(evidence=everything)["a", "b"].tolist() == [[0, 0], [1, 0]]


def test_the_empty_model_answers() -> None:
    model = GraphModel()
    assert model.marginals() == {}
    assert model.pair_marginals() == {}
    assert model.entropy() == 0.0
    assert model.most_probable().assignment == {}
    assert model.sample(3, seed=0).shape == (3, 0)
    assert model.tractability().feasible


def test_a_tree_of_10_000() -> None:
    tree = nx.random_labeled_tree(10_000, seed=2)
    model = GraphModel(tree)
    nx.set_edge_attributes(model, 1.0, "weight")
    singles, pairs = model.marginals(), model.pair_marginals()
    assert len(pairs) == 9_999
    for (u, v), table in list(pairs.items())[::97]:
        np.testing.assert_allclose(table.sum(axis=1), singles[u], rtol=1e-11)
        np.testing.assert_allclose(table.sum(axis=0), singles[v], rtol=1e-11)
    # p of a tree is the product of its pairs over its vertices, one less often than it has edges
    found = model.most_probable()
    best = found.assignment
    log_p = sum(math.log(table[best[u], best[v]]) for (u, v), table in pairs.items())
    log_p -= sum((tree.degree(name) - 1) * math.log(table[best[name]]) for name, table in singles.items())
    assert found.log_probability == pytest.approx(log_p, rel=1e-10)
