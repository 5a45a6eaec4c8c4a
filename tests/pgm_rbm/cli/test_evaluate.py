"""``pgm-rbm evaluate``: the exact mean ln p."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pgm_rbm import RBM
from tests.pgm_rbm.cli.program import left_over, refused, run


def test_evaluate_gives_the_exact_mean(here: Path, rows: np.ndarray) -> None:
    found = json.loads(run("evaluate", "model.safetensors", "data.npy", "--json", "--rows", "rows.csv").stdout)
    rbm = RBM.load("model.safetensors")
    assert found["mean_log_likelihood"] == pytest.approx(rbm.log_likelihood(rows), rel=1e-14)
    assert found["rows"] == 60
    # The text form of a float64 gives the same float64 back.
    np.testing.assert_array_equal(np.loadtxt("rows.csv"), rbm.log_probability(rows))
    assert f"{found['mean_log_likelihood']:.6f}" in run("evaluate", "model.safetensors", "data.npy").stdout
    assert "--force" in refused("evaluate", "model.safetensors", "data.npy", "--rows", "rows.csv")
    assert left_over(here) == []


def test_a_wrong_width_names_both_shapes(here: Path, rows: np.ndarray) -> None:
    np.save("narrow.npy", rows[:, :4])
    message = refused("evaluate", "model.safetensors", "narrow.npy")
    assert "(60, 4)" in message
    assert "(6, 3)" in message
