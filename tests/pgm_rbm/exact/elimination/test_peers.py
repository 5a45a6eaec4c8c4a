"""Exact answers against the tree decomposition of dimod and dwave-samplers, an independent implementation in logs."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

from pgm_rbm.graph.model import GraphModel

pytestmark = pytest.mark.peer


def tree_decomposition(model: GraphModel) -> Any:
    """ln Z, the marginals and the lowest energy by dwave-samplers, with E as dimod's objective at beta = 1."""
    dimod = pytest.importorskip("dimod")
    samplers = pytest.importorskip("dwave.samplers")
    spins = model.recoded("spin")
    names = list(spins)
    number = {name: place for place, name in enumerate(names)}
    linear = {number[name]: -float(spins.bias(name)) for name in names}
    quadratic = {(number[u], number[v]): -weight for u, v, weight in spins.edges(data="weight") if weight}
    bqm = dimod.BinaryQuadraticModel(linear, quadratic, 0.0, "SPIN")
    offset = sum(float(factor.log_table[0]) for factor in spins.factors)
    found = samplers.TreeDecompositionSampler().sample(bqm, beta=1.0, marginals=True, num_reads=1, seed=1)
    lowest = samplers.TreeDecompositionSolver().sample(bqm, num_reads=1).first.energy
    singles = {name: found.info["variable_marginals"][number[name]] for name in names}
    pairs = {(names[i], names[j]): table for (i, j), table in found.info.get("interaction_marginals", {}).items()}
    return found.info["log_partition_function"] + offset, singles, pairs, lowest - offset


def random_couplings(graph: nx.Graph, units: str, seed: int, scale: float = 1.0) -> GraphModel:
    rng = np.random.default_rng(seed)
    model = GraphModel(graph)
    nx.set_node_attributes(model, units, "units")
    for name in model:
        model.nodes[name]["bias"] = scale * rng.normal()
    for edge in model.edges:
        model.edges[edge]["weight"] = scale * rng.normal()
    return model


MODELS = [
    random_couplings(nx.path_graph(30), "spin", 0),
    random_couplings(nx.path_graph(30), "binary", 1, 5.0),
    random_couplings(nx.gnm_random_graph(16, 40, seed=2), "spin", 2),
    random_couplings(nx.complete_bipartite_graph(14, 6), "binary", 3),
    random_couplings(nx.grid_2d_graph(12, 12), "spin", 4),
    random_couplings(nx.grid_2d_graph(5, 5), "spin", 5, 40.0),
]


@pytest.mark.parametrize("model", MODELS, ids=["path", "binary path", "random", "bipartite", "12 x 12", "strong"])
def test_answers_agree_with_tree_decomposition(model: Any) -> None:
    log_z, singles, pairs, lowest = tree_decomposition(model)
    assert float(model.log_partition()) == pytest.approx(log_z, rel=1e-11)
    for name, table in model.marginals().items():
        # theirs is the probability of +1
        assert table[1] == pytest.approx(singles[name], abs=1e-10)
    ours = model.pair_marginals()
    for (u, v), theirs in pairs.items():
        table = ours[u, v] if (u, v) in ours else ours[v, u].T
        for (x, y), probability in theirs.items():
            assert table[(x + 1) // 2, (y + 1) // 2] == pytest.approx(probability, abs=1e-10)
    assert model.most_probable().energy == pytest.approx(lowest, rel=1e-10)
