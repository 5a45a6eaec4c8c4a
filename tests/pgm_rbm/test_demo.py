from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from pgm_rbm import RBM, cli, demo
from pgm_rbm.data import load_digits

SMALL = demo.Settings(hidden=5, stages=((2, 0.1), (1, 0.02)), rows=120, chains=30, k=1, entries=4)


def test_a_small_demo_goes_the_whole_way(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = demo.run(tmp_path, SMALL)
    shown = capfd.readouterr().out
    assert "⟨vᵢ hⱼ⟩ᵥ − ⟨vᵢ hⱼ⟩ᵥₕ" in shown
    assert "checks passed" in shown
    rbm = RBM.load(report.files["model"])
    assert str(rbm.kernels.path) in shown
    assert rbm.kernels.path.exists()
    digits = load_digits()
    assert report.after == (
        rbm.log_likelihood(digits.train.pixels[:120]),
        rbm.log_likelihood(digits.held_out.pixels),
    )
    for value in (*report.before, *report.after):
        assert f"{abs(value):.3f}" in shown
    assert f"{report.largest_error:.1e}" in shown
    # Five-point differences with step 1e-3: what is left is rounding of ln p, about 1e-14, over the step.
    assert report.largest_error < 1e-9
    assert len(rbm.history) == 3
    assert set(report.files) == {"lecture", "model", "picture"}
    for path in report.files.values():
        assert path.stat().st_size > 1000
        assert str(path) in shown
    assert {one.name for one in tmp_path.iterdir()} == {path.name for path in report.files.values()}


def test_the_comparison_is_with_the_exact_gradient(tmp_path: Path) -> None:
    report = demo.run(tmp_path, SMALL)
    rbm = RBM.load(report.files["model"])
    gradient = rbm.gradient(load_digits().train.pixels[:120])
    assert {one.parameter for one in report.comparisons} == {"w", "a", "b"}
    for one in report.comparisons:
        assert one.term_a - one.term_b == pytest.approx(gradient[one.parameter][one.place], abs=1e-12)


def test_running_again_replaces_its_files_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    first = demo.run(tmp_path, SMALL)
    weights = RBM.load(first.files["model"]).weights
    first.files["lecture"].write_text("old")
    second = demo.run(tmp_path, SMALL)
    assert (tmp_path / "mine.txt").read_text() == "kept"
    assert "<math" in second.files["lecture"].read_text("utf-8")
    np.testing.assert_array_equal(RBM.load(second.files["model"]).weights, weights)


def test_without_matplotlib_the_picture_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    report = demo.run(tmp_path, SMALL)
    assert "picture" not in report.files
    assert not (tmp_path / "digits.png").exists()
    assert "pgm-rbm[plot]" in capfd.readouterr().err


def test_a_wrong_gradient_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_finite_difference", lambda *_: 1.0)
    with pytest.raises(demo.DemoError, match="apart"):
        demo.run(tmp_path, SMALL)


def test_the_command_refuses_a_file_for_its_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(cli.app, ["demo", "--output", str(tmp_path / "file")])
    assert result.exit_code == 2
    assert "error: " in result.stderr


def test_the_command_makes_its_folder_and_tells_of_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(output: Any) -> None:
        raise demo.DemoError("a check failed.")

    monkeypatch.setattr(demo, "run", fail)
    result = CliRunner().invoke(cli.app, ["demo", "--output", str(tmp_path / "new" / "folder")])
    assert result.exit_code == 1
    assert "error: a check failed." in result.stderr
    assert (tmp_path / "new" / "folder").is_dir()


@pytest.mark.slow
def test_the_full_demo_learns_the_digits(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from pgm_rbm.cli import main; main()", "demo"]
    found = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, encoding="utf-8")
    assert found.returncode == 0, found.stderr
    rbm = RBM.load(tmp_path / "demo-output" / "digits.safetensors")
    digits = load_digits()
    # Independent pixels reach −25.2 and −24.6; seeds and machines move the trained model by a few tenths.
    assert rbm.log_likelihood(digits.train.pixels) > -19.0
    assert rbm.log_likelihood(digits.held_out.pixels) > -19.5
    assert {one.name for one in (tmp_path / "demo-output").iterdir()} == {
        "lecture.html",
        "digits.png",
        "digits.safetensors",
    }
