"""``pgm-rbm compose``: products of experts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pgm_rbm import RBM
from tests.pgm_rbm.cli.program import left_over, refused, run


def other_model(name: str, visible: int, hidden: int) -> RBM:
    rbm = RBM(visible, hidden, seed=2)
    rng = np.random.default_rng(2)
    rbm.weights, rbm.visible_bias = rng.normal(size=(visible, hidden)), rng.normal(size=visible)
    rbm.save(name)
    return rbm


def test_compose_is_a_product_of_experts(here: Path) -> None:
    one, other = RBM.load("model.safetensors"), other_model("other.safetensors", 6, 2)
    run("compose", "model.safetensors", "other.safetensors", "-o", "both.safetensors")
    both = RBM.load("both.safetensors")
    assert (both.n_visible, both.n_hidden) == (6, 5)
    rows = np.load("data.npy")
    # Potentials multiply, so free energies add; rounding alone separates the two sides.
    np.testing.assert_allclose(both.free_energy(rows), one.free_energy(rows) + other.free_energy(rows), rtol=1e-13)
    assert left_over(here) == []


def test_compose_with_shared_hidden_units(here: Path) -> None:
    one, other = RBM.load("model.safetensors"), other_model("other.safetensors", 6, 3)
    run("compose", "model.safetensors", "other.safetensors", "-o", "sum.safetensors", "--share-hidden")
    np.testing.assert_allclose(RBM.load("sum.safetensors").weights, one.weights + other.weights, rtol=1e-15)


def test_compose_refuses_other_visible_units(here: Path) -> None:
    other_model("other.safetensors", 5, 2)
    assert "6 visible units" in refused("compose", "model.safetensors", "other.safetensors", "-o", "both")
