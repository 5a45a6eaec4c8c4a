"""Exact answers on graphs by elimination: grids, a chain, layers; against tree decomposition and plain NumPy."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx
import numpy as np

from benchmarks import plain_numpy
from benchmarks.measure import Timing, paired, readable, seconds, show
from pgm_rbm import GraphModel
from pgm_rbm.machine.quantities import format_bytes

QUESTIONS: dict[str, Callable[[GraphModel], Any]] = {
    "ln Z": lambda model: model.log_partition(method="elimination"),
    "marginals": lambda model: model.marginals(),
    "pairs": lambda model: model.pair_marginals(),
    "most probable": lambda model: model.most_probable(),
    "1,000 samples": lambda model: model.sample(1000, seed=0),
}


def ising(graph: nx.Graph, coupling: float, field: float, units: str = "spin") -> GraphModel:
    rng = np.random.default_rng(0)
    model = GraphModel(graph)
    nx.set_node_attributes(model, units, "units")
    nx.set_node_attributes(model, {name: field * rng.normal() for name in graph}, "bias")
    nx.set_edge_attributes(model, coupling, "weight")
    return model


def main() -> None:
    models = {
        "chain of 10,000": ising(nx.path_graph(10_000), 0.44, 0.1),
        "tree of 10,000": ising(nx.random_labeled_tree(10_000, seed=0), 0.44, 0.1),
        "grid 10 × 1,000": ising(nx.grid_2d_graph(10, 1_000), 0.44, 0.1),
        "grid 20 × 20": ising(nx.grid_2d_graph(20, 20), 0.44, 0.1),
        "grid 22 × 22": ising(nx.grid_2d_graph(22, 22), 0.44, 0.1),
        "layers 784 × 16": ising(nx.complete_bipartite_graph(784, 16), 0.02, 0.5, "binary"),
    }
    rows, costs = [], []
    for name, model in models.items():
        report = model.tractability()
        times = [seconds(lambda ask=ask, model=model: ask(model)) for ask in QUESTIONS.values()]
        rows.append((name, str(report.induced_width), *map(readable, times)))
        took_by_question = dict(zip(QUESTIONS, times, strict=True))
        for way in (way for way in report.ways if way.name == "elimination"):
            took = took_by_question["marginals" if way.question == "all marginals" else way.question]
            costs.append(
                (
                    name,
                    way.question,
                    f"{way.operations:.2g}",
                    format_bytes(way.memory),
                    readable(way.seconds),
                    readable(took),
                )
            )
    show(
        "Elimination on one thread, one run each, reading the graph and planning included",
        ("model", "width", *QUESTIONS),
        rows,
    )
    show("What tractability() said", ("model", "question", "table entries", "memory", "estimate", "took"), costs)
    columns = ("model", "peer", "ours", "peer's time", "peer ÷ ours", "difference")
    show("Against peers, medians; all on one thread", columns, peers())


def peers() -> list[tuple[str, ...]]:
    layers = ising(nx.complete_bipartite_graph(30, 14), 0.1, 0.5, "binary")
    w = np.full((30, 14), 0.1)
    bias = np.array([layers.nodes[name]["bias"] for name in layers])
    timing = paired(
        {
            "ours": lambda: layers.log_partition(method="elimination"),
            "peer": lambda: plain_numpy.log_partition(w, bias[:30], bias[30:]),
        },
        rounds=5,
    )
    difference = abs(layers.log_partition(method="elimination") - plain_numpy.log_partition(w, bias[:30], bias[30:]))
    rows = [_row("layers 30 × 14, ln Z", "plain NumPy, enumerating", timing, difference)]
    if importlib.util.find_spec("dimod") is None or importlib.util.find_spec("dwave") is None:
        return [*rows, ("", "dwave-samplers is not installed", "—", "—", "—", "—")]
    for name, graph, rounds, given in (
        ("grid 12 × 12", nx.grid_2d_graph(12, 12), 5, False),
        ("grid 16 × 16", nx.grid_2d_graph(16, 16), 3, False),
        ("grid 20 × 20", nx.grid_2d_graph(20, 20), 1, True),
        ("layers 22 × 22", nx.complete_bipartite_graph(22, 22), 1, False),
    ):
        model = ising(graph, 0.2, 0.1)
        found: dict[str, float] = {}

        def ours(model: GraphModel = model, found: dict[str, float] = found) -> None:
            found["ours"] = float(model.log_partition(method="elimination"))
            model.marginals()
            model.pair_marginals()

        def theirs(model: GraphModel = model, found: dict[str, float] = found, given: bool = given) -> None:
            found["theirs"] = _tree_decomposition(model, model.tractability().order if given else None)

        timing = paired({"ours": ours, "peer": theirs}, rounds, warm=rounds > 1)
        label = "dwave-samplers, our order" if given else "dwave-samplers"
        rows.append(_row(f"{name}, ln Z, marginals and pairs", label, timing, abs(found["ours"] - found["theirs"])))
    return rows


def _row(model: str, peer: str, timing: Timing, difference: float) -> tuple[str, ...]:
    ours, theirs = readable(timing.median("ours")), readable(timing.median("peer"))
    return model, peer, ours, theirs, f"{timing.ratio('peer', 'ours'):.2g}", f"{difference:.1e}"


def _tree_decomposition(model: GraphModel, order: Sequence[Any] | None) -> float:
    import dimod
    from dwave.samplers import TreeDecompositionSampler

    linear = {name: -model.bias(name) for name in model}
    quadratic = {(u, v): -weight for u, v, weight in model.edges(data="weight")}
    bqm = dimod.BinaryQuadraticModel(linear, quadratic, 0.0, "SPIN")
    chosen = {} if order is None else {"elimination_order": list(order)}
    found = TreeDecompositionSampler().sample(bqm, beta=1.0, marginals=True, num_reads=1, **chosen)
    return float(found.info["log_partition_function"])
