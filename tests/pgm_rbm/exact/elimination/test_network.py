"""A network is read once from the graph, the arrays or the energy that holds the model, and is the same from each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from types import ModuleType
from typing import Any

import networkx as nx
import numpy as np
import pytest

from pgm_rbm.exact.elimination import network as networks
from pgm_rbm.exact.elimination.network import Network
from pgm_rbm.exact.elimination.of_energy import read_energy
from pgm_rbm.exact.elimination.pace import preparation
from pgm_rbm.graph import potentials
from pgm_rbm.graph.live import RBMGraph
from pgm_rbm.graph.model import GraphModel
from symbolic import Energy, energies

QUESTIONS: dict[str, Callable[[GraphModel], Any]] = {
    "tractability": lambda model: model.tractability(),
    "ln Z": lambda model: model.log_partition(),
    "marginals": lambda model: model.marginals({(0, 0): 1}),
    "pairs": lambda model: model.pair_marginals(),
    "query": lambda model: model.query((1, 1), {(0, 0): 1}),
    "most probable": lambda model: model.most_probable(),
    "samples": lambda model: model.sample(3, seed=0),
}


def ising() -> GraphModel:
    model = GraphModel(nx.grid_2d_graph(4, 4))
    nx.set_node_attributes(model, "spin", "units")
    nx.set_edge_attributes(model, 0.3, "weight")
    return model


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_reads_the_graph_once(question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ising()
    preparation()  # a trial, once a process, which reads a graph of its own
    read: Counter[Hashable] = Counter()

    def count(module: ModuleType, name: str) -> None:
        function = getattr(module, name)

        def counted(first: Any, *others: Any) -> Any:
            read[(name, first) if name == "kind_of" else name] += 1
            return function(first, *others)

        monkeypatch.setattr(module, name, counted)

    count(networks, "kind_of")
    count(networks, "read_couplings")
    count(potentials, "read_factors")
    QUESTIONS[question](model)
    assert read == Counter(["read_couplings", "read_factors", *(("kind_of", name) for name in model)])


def assert_same(first: Network, second: Network) -> None:
    assert first.names == second.names
    for one, other in zip(first.variables.values(), second.variables.values(), strict=True):
        assert (one.units, one.kind) == (other.units, other.kind)
        np.testing.assert_array_equal(one.bias, other.bias)
    for part, same in zip(first.couplings, second.couplings, strict=True):
        np.testing.assert_array_equal(part, same)
    assert [factor.scope for factor in first.factors] == [factor.scope for factor in second.factors]
    for (scope, table), (other_scope, other_table) in zip(first.log_tables, second.log_tables, strict=True):
        assert scope == other_scope
        np.testing.assert_array_equal(table, other_table)


@pytest.mark.parametrize("units", [("binary", "spin"), ("potts(3)", "binary"), ("binomial(2)", "potts(2)")])
def test_arrays_give_the_network_of_their_graph(units: tuple[str, str]) -> None:
    rng = np.random.default_rng(0)
    labels = [(int(unit[6]),) if unit.startswith("potts") else () for unit in units]
    w = rng.normal(size=(4, *labels[0], 3, *labels[1]))
    a, b = rng.normal(size=(4, *labels[0])), rng.normal(size=(3, *labels[1]))
    graph = RBMGraph.from_arrays(w, a, b, *units, mask=rng.random((4, 3)) < 0.7)
    assert_same(graph.network(), graph.copy().network())
    evidence = {("v", 1): graph.domain(("v", 1))[-1].item()}
    assert graph.network(evidence).cardinalities == graph.copy().network(evidence).cardinalities


SQUARED = "sum(h[j]*sum(w[i,j]*v[i], i)**2, j)/2 - sum(b[j]*h[j], j) - v[0]*exp(s) + softplus(s)/3"
ENERGIES: dict[str, tuple[Energy, dict[str, int]]] = {
    "third order": (energies.third_order(), {"x": 2, "v": 3, "h": 2}),
    "labels": (energies.pairwise("potts(3)", "binomial(2)"), {"v": 3, "h": 2}),
    "squares": (
        Energy.parse(SQUARED, visible={"v": "spin"}, hidden={"h": "binary"}, parameters={"s": ()}),
        {"v": 3, "h": 2},
    ),
    "semi-restricted": (energies.semi_restricted("spin", "{-1, 0, 2}"), {"v": 4, "h": 2}),
}


@pytest.mark.parametrize("name", ENERGIES)
def test_an_energy_gives_the_network_of_its_graph(name: str) -> None:
    energy, sizes = ENERGIES[name]
    rng = np.random.default_rng(1)
    labels = {"v.states": 3}
    parameters = {}
    for parameter in energy.parameters.values():
        value = rng.normal(size=[sizes.get(axis.name, labels["v.states"]) for axis in parameter.layers])
        parameters[parameter.name] = value + value.T if parameter.symmetric else value
    graph = GraphModel.from_energy(energy, parameters, sizes)
    assert_same(read_energy(energy, parameters, sizes, {}).network(), graph.network())
