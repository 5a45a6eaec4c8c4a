"""Model files that an earlier version wrote open as they were, and training goes on from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pgm_rbm import RBM

FOLDER = Path(__file__).parent / "written_before"
# Each was trained for two epochs of 50 rows by version 0.1.0 of 2026-11. Its ln Z stands here as that version found it.
FILES = {
    "binary-pcd": ("RBM(6 visible binary, 4 hidden binary, float64)", 7.089282458960272),
    "binary-f32-adam": ("RBM(6 visible binary, 4 hidden binary, float32)", 7.1278418589541825),
    "gaussian": ("RBM(4 visible gaussian, 3 hidden binary, float64)", 5.769874739945793),
    "potts": ("RBM(v: 4 potts(3); h: 3 binary; float64)", 6.479490871798484),
    "deep": ("RBM(v: 5 binary; h1: 3 binary, h2: 2 binary; float64)", 6.922985991380445),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_written_before_opens_as_it_was(name: str) -> None:
    rbm = RBM.load(FOLDER / f"{name}.safetensors")
    text, log_z = FILES[name]
    assert repr(rbm) == text
    # Sums of at most 2^6 terms differ by some roundings between machines.
    assert float(rbm.log_partition()) == pytest.approx(log_z, rel=1e-12)
    assert len(rbm.history) == 2


@pytest.mark.parametrize("name", FILES)
def test_training_goes_on_from_a_file_written_before(name: str) -> None:
    rbm = RBM.load(FOLDER / f"{name}.safetensors")
    before = {key: array.copy() for key, array in rbm.parameters.items()}
    rbm.fit(np.random.default_rng(0).integers(0, 2, (50, rbm.n_visible)), epochs=1, resume=True)
    assert len(rbm.history) == 3
    assert any((rbm.parameters[key] != array).any() for key, array in before.items())
