"""The options that are made from the fields of the learning settings."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import get_args

import pytest

from pgm_rbm import RBM
from pgm_rbm.cli.learning_options import learning_options
from pgm_rbm.formats import rbm_file
from pgm_rbm.learning.settings import Algorithm, MonitorKind, OptimizerName, Settings
from tests.pgm_rbm.cli.program import refused, run


def test_every_learning_setting_is_an_option_of_train(here: Path) -> None:
    options = {one.name: one for one in learning_options()}
    names = {name for one in fields(Settings) for name in one.metadata.get("made_of", {one.name: None})}
    assert names | {"monitor"} == set(options)
    assert set(options) <= set(inspect.signature(RBM.fit).parameters)
    for name, choices in (("algorithm", Algorithm), ("optimizer", OptimizerName), ("monitor", MonitorKind)):
        message = refused("train", "data.npy", f"--{name}", "other")
        assert all(repr(choice) in message for choice in get_args(choices))
    assert set(options["k"].opts) == {"-k", "--sweeps"}
    assert options["shuffle"].secondary_opts == ["--no-shuffle"]


def test_a_new_setting_becomes_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Wider(Settings):
        warm_up: int = field(default=0, metadata={"help": "Steps before the rate is full; 0.", "least": 0})

    monkeypatch.setattr("pgm_rbm.learning.settings.Settings", Wider)
    learning_options.cache_clear()
    try:
        assert "--warm-up" in run("train", "--help", env={"COLUMNS": "160"}).stdout
    finally:
        learning_options.cache_clear()


def test_settings_reach_the_training(here: Path) -> None:
    given = ["--algorithm", "exact", "--optimizer", "natural", "--no-shuffle", "--data-sweeps", 3, "-k", 2]
    run("train", "data.npy", "-o", "new", "--hidden", 2, "--epochs", 1, *given, "--batch", 7, "--chains", 5)
    _, training = rbm_file.read("new")
    assert training.state is not None
    assert training.state.settings == Settings().changed(
        algorithm="exact", optimizer="natural", shuffle=False, data_sweeps=3, k=2, batch_size=7, n_chains=5
    )
