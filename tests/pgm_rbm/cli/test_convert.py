"""``pgm-rbm convert``: there and back, and nothing lost unsaid."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from pgm_rbm import RBM
from symbolic import energies
from tests.pgm_rbm.cli.program import left_over, refused, run, text


@pytest.mark.parametrize("ending", ["npz", "graphml", "safetensors"])
def test_convert_there_and_back(here: Path, ending: str) -> None:
    run("convert", "model.safetensors", f"there.{ending}")
    run("convert", f"there.{ending}", "back.safetensors")
    one, other = RBM.load("model.safetensors"), RBM.load("back.safetensors")
    for name, value in one.parameters.items():
        np.testing.assert_array_equal(value, other.parameters[name])
    assert left_over(here) == []


def test_convert_a_sparse_graph_keeps_its_zeros(here: Path) -> None:

    graph = nx.Graph()
    for node, role in (("x", "visible"), ("y", "visible"), ("z", "hidden")):
        graph.add_node(node, role=role, units="binary", bias=0.25)
    graph.add_edge("x", "z", weight=1.5)
    nx.write_graphml(graph, "sparse.graphml")
    run("convert", "sparse.graphml", "sparse.safetensors")
    rbm = RBM.load("sparse.safetensors")
    assert rbm.weights.tolist() == [[1.5], [0.0]]
    assert rbm.mask is not None


def test_convert_refuses(here: Path) -> None:
    np.savez("wrong.npz", x=np.zeros(3))
    np.savez("bad.npz", weights=np.zeros((2, 2)), visible_bias=np.zeros(3), hidden_bias=np.zeros(2))
    text("triangle.graphml", "<graphml")
    assert "weights" in refused("convert", "wrong.npz", "new.safetensors")
    assert "visible_bias" in refused("convert", "bad.npz", "new.safetensors")
    assert "triangle.graphml" in refused("convert", "triangle.graphml", "new.safetensors")
    assert "none.npz" in refused("convert", "none.npz", "new.safetensors")
    assert ".graphml" in refused("convert", "model.safetensors", "new.pdf")
    assert "--force" in refused("convert", "model.safetensors", "model.safetensors")


def test_convert_refuses_to_lose_what_a_file_cannot_hold(here: Path) -> None:

    RBM(3, 2, "potts(3)", seed=0).save("labels.safetensors")
    RBM(3, 2, "spin", seed=0).save("spins.safetensors")
    RBM.from_energy(energies.third_order(), {"v": 3, "h": 2, "x": 2}, seed=0).save("third.safetensors")
    for name in ("labels", "third"):
        assert "this model's terms need tables" in refused("convert", f"{name}.safetensors", "new.graphml")
        assert "weights and biases of binary units" in refused("convert", f"{name}.safetensors", "new.npz")
    assert "weights and biases of binary units" in refused("convert", "spins.safetensors", "new.npz")
    assert left_over(here) == []
    assert not list(here.glob("new.*"))


def test_an_odd_cycle_is_named(here: Path) -> None:

    nx.write_graphml(nx.cycle_graph(3), "triangle.graphml")
    message = refused("convert", "triangle.graphml", "new.safetensors")
    assert "odd cycle" in message
    assert not (here / "new.safetensors").exists()
