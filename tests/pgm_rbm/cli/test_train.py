"""``pgm-rbm train``: models that have learnt, interrupts, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgm_rbm import RBM
from tests.pgm_rbm.cli.program import left_over, refused, run


def test_train_writes_a_model_that_has_learnt(here: Path, rows: np.ndarray) -> None:
    settings = ["--hidden", 4, "--epochs", 100, "--batch-size", 10, "--held-out", 0.2]
    result = run("train", "data.npy", "-o", "new.safetensors", *settings)
    assert "exact" in result.stdout
    assert "epoch 100" in result.stderr
    rbm = RBM.load("new.safetensors")
    assert (rbm.n_visible, rbm.n_hidden) == (6, 4)
    start = RBM(6, 4, seed=0)
    start.initialise_visible_bias(rows)
    # Independent units cannot tell the two patterns apart; a model that can gains a good part of ln 2.
    assert rbm.log_likelihood(rows) > start.log_likelihood(rows) + 0.2
    assert left_over(here) == []


def test_train_reports_as_json(here: Path) -> None:
    result = json.loads(
        run("train", "data.npy", "-o", "new.safetensors", "--hidden", 2, "--epochs", 2, "--json").stdout
    )
    assert result["rows"] == 60
    assert result["epochs"] == 2
    rbm = RBM.load("new.safetensors")
    assert result["mean_log_likelihood"] == rbm.log_likelihood(np.load("data.npy"))


def test_train_is_the_same_for_the_same_seed_and_any_number_of_threads(here: Path) -> None:
    for name, more in (("a", []), ("b", ["--threads", 1]), ("c", ["--seed", 1])):
        run("train", "data.npy", "-o", name, "--hidden", 3, "--epochs", 3, *more)
    one, same, other = (RBM.load(name).weights for name in "abc")
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_resumed_training_is_as_if_it_had_never_stopped(here: Path) -> None:
    settings = ["--hidden", 3, "--batch-size", 20, "--momentum", 0.5, "-q"]
    run("train", "data.npy", "-o", "whole", *settings, "--epochs", 5)
    run("train", "data.npy", "-o", "part", *settings, "--epochs", 2)
    run("train", "data.npy", "--resume", "part", "--epochs", 3)
    np.testing.assert_array_equal(RBM.load("whole").weights, RBM.load("part").weights)
    assert len(RBM.load("part").history) == 5


def test_an_interrupt_keeps_what_was_learnt(here: Path) -> None:
    program = [sys.executable, "-c", "from pgm_rbm.cli import main; main()", "train", "data.npy", "-o", "new"]
    process = subprocess.Popen(
        [*program, "--epochs", "10000000", "--hidden", "3"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        # The first epoch's line says that training is under way.
        assert process.stderr.readline().startswith("epoch 1")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "--resume new" in errors
    assert "Traceback" not in errors
    run("train", "data.npy", "--resume", "new", "--epochs", 1)


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX")
def test_an_interrupt_at_a_terminal_ends_an_enumeration_with_one_line(here: Path) -> None:
    import pty

    RBM(784, 30, seed=0).save("large")
    main_end, terminal = pty.openpty()
    program = [sys.executable, "-c", "from pgm_rbm.cli import main; main()", "partition", "large", "--limit", "2**30"]
    process = subprocess.Popen(
        program, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True, close_fds=True
    )
    os.close(terminal)
    shown = b""
    try:
        # The bar says that the enumeration is under way, which takes minutes.
        while b"ln Z" not in shown:
            shown += os.read(main_end, 4096)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(main_end, 4096):
                shown += part
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
        process.wait()
        os.close(main_end)
    text = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", shown.decode())
    assert text.count("error: stopped.") == 1
    assert "Traceback" not in text
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nothing of its session is left


def test_held_out_rows_can_be_a_file(here: Path, rows: np.ndarray) -> None:
    np.save("other.npy", rows[:7])
    result = run("train", "data.npy", "-o", "new", "--hidden", 2, "--epochs", 1, "--held-out", "other.npy", "--json")
    found = json.loads(result.stdout)
    assert found["rows"] == 60
    assert found["held_out_rows"] == 7
    assert found["held_out_mean_log_likelihood"] == RBM.load("new").log_likelihood(rows[:7])


@pytest.mark.parametrize("monitor", ["exact", "none"])
def test_divergence_is_a_failure_and_leaves_nothing(here: Path, monitor: str) -> None:
    settings = ["--learning-rate", 1e307, "--momentum", 0.99, "--monitor", monitor]
    message = run("train", "data.npy", "-o", "new", *settings, status=1).stderr
    assert "error: " in message
    assert "--learning-rate" in message
    assert "Warning" not in message
    assert not (here / "new").exists()
    assert left_over(here) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--output"),
        (["-o", "model.safetensors"], "--force"),
        (["-o", "none/new"], "there is no folder none"),
        (["-o", "."], "is a folder"),
        (["-o", "new", "--hidden", 0], "--hidden"),
        (["-o", "new", "--learning-rate", -1], "--learning-rate must be positive and finite. Got -1.0"),
        (["-o", "new", "--learning-rate", "nan"], "--learning-rate"),
        (["-o", "new", "--momentum", 1.5], "--momentum must be at least 0 and below 1"),
        (["-o", "new", "--chains", 0], "--chains"),
        (["-o", "new", "--optimizer", "natural"], "--optimizer natural goes with --algorithm exact"),
        (["-o", "new", "--optimizer", "adam", "--momentum", 0.5], "--momentum"),
        (["-o", "new", "--held-out", 1.5], "--held-out"),
        (["-o", "new", "--held-out", 0.001], "--held-out"),
        (["-o", "new", "--held-out", "none.npy"], "none.npy"),
        (["-o", "new", "--array", "x"], "--array"),
        (["--resume", "none"], "none"),
        (["--resume", "data.npy"], "data.npy is damaged or not a model file"),
        (["--resume", "model.safetensors"], "resume"),
        (["--resume", "model.safetensors", "--hidden", 3], "--hidden"),
        (["--resume", "model.safetensors", "--seed", 3], "--seed"),
    ],
)
def test_train_refuses(here: Path, arguments: list[Any], words: str) -> None:
    before = (here / "model.safetensors").read_bytes()
    assert words in refused("train", "data.npy", *arguments)
    assert not (here / "new").exists()
    assert (here / "model.safetensors").read_bytes() == before
    assert left_over(here) == []


def test_exact_training_of_a_large_model_is_refused_with_the_cost(here: Path) -> None:
    np.save("wide.npy", np.eye(40))
    message = refused("train", "wide.npy", "-o", "new", "--hidden", 40, "--algorithm", "exact")
    assert "2**40 configurations" in message


@pytest.mark.parametrize(("unit", "hidden"), [("gaussian", "binary"), ("spin", "spin"), ("poisson", "binary")])
def test_models_of_other_units_are_trained_evaluated_and_sampled(here: Path, unit: str, hidden: str) -> None:
    rng = np.random.default_rng(2)
    data = {
        "gaussian": rng.normal(size=(40, 3)),
        "spin": rng.choice([-1, 1], (40, 3)),
        "poisson": rng.poisson(2, (40, 3)),
    }
    np.save("units.npy", data[unit])
    options = ["--visible-units", unit, "--hidden-units", hidden, "--hidden", 2, "--target", "numpy", "--epochs", 2]
    run("train", "units.npy", "-o", "units.safetensors", *options, "--learning-rate", 0.01, "--quiet")
    rbm = RBM.load("units.safetensors")
    assert (rbm.visible_units, rbm.hidden_units) == (unit, hidden)
    result = json.loads(run("evaluate", "units.safetensors", "units.npy", "--json").stdout)
    assert result["mean_log_likelihood"] == pytest.approx(rbm.log_likelihood(data[unit]), abs=1e-12)
    run("sample", "units.safetensors", "-n", 5, "--steps", 3, "--seed", 1, "--output", "drawn.npy", "--quiet")
    drawn = np.load("drawn.npy")
    np.testing.assert_array_equal(drawn, rbm.sample(5, 3, seed=1))
    assert drawn.dtype == (np.float64 if unit == "gaussian" else np.int64)
    run("train", "units.npy", "--resume", "units.safetensors", "--epochs", 1, "--quiet")
    assert len(RBM.load("units.safetensors").history) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--visible-units", "ternary"], "there is no unit called 'ternary'"),
        (["--hidden-units", "ternary"], "there is no unit called 'ternary'"),
        (["--visible-units", "spin"], "a spin unit is -1 or 1. Got 0"),
        (
            ["--visible-units", "spin", "--threshold", 0.5],
            "--threshold makes binary values, and the visible units are spin",
        ),
        (["--visible-units", "gaussian", "--hidden-units", "poisson"], "cannot be coupled"),
    ],
)
def test_units_that_do_not_serve_are_refused(here: Path, options: list[Any], message: str) -> None:
    assert message in refused("train", "data.npy", "-o", "new.safetensors", *options)
    assert not Path("new.safetensors").exists()


def test_units_belong_to_new_models(here: Path) -> None:
    assert "--visible-units is for new models" in refused(
        "train", "data.npy", "--resume", "model.safetensors", "--visible-units", "spin"
    )
