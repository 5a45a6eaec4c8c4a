"""A folder with data, a model and a graph in it, for every command."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from pgm_rbm import RBM


@pytest.fixture
def rows() -> np.ndarray:
    # Two patterns and their noisy copies: enough for something to be learnt.
    rng = np.random.default_rng(3)
    patterns = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 1]], dtype=np.int8)
    return np.where(
        rng.random((60, 6)) < 0.1, 1 - patterns[rng.integers(2, size=60)], patterns[rng.integers(2, size=60)]
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: np.ndarray) -> Path:
    """A folder with data and a model in it, as the working directory."""
    monkeypatch.chdir(tmp_path)
    np.save("data.npy", rows)
    rbm = RBM(6, 3, seed=1)
    rbm.weights = np.random.default_rng(1).normal(size=(6, 3))
    rbm.save("model.safetensors")
    return tmp_path


@pytest.fixture
def ring(here: Path) -> tuple[float, float]:
    """A graph file: five spins in a ring, with their coupling and field."""
    graph = nx.cycle_graph(["a", "b", "c", "d", "e"])
    nx.set_node_attributes(graph, "spin", "units")
    nx.set_node_attributes(graph, 0.2, "bias")
    nx.set_edge_attributes(graph, 0.7, "weight")
    nx.write_graphml(graph, "ring.graphml")
    return 0.7, 0.2
