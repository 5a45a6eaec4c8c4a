"""``pgm-rbm sample``: draws from models and graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from pgm_rbm import RBM
from tests.pgm_rbm.cli.program import left_over, refused, run


def test_samples_are_those_of_the_library(here: Path) -> None:
    run("sample", "model.safetensors", "-n", 5, "--steps", 120, "--seed", 7, "-o", "s.npy")
    drawn = np.load("s.npy")
    np.testing.assert_array_equal(drawn, RBM.load("model.safetensors").sample(5, steps=120, seed=7))
    shown = run("sample", "model.safetensors", "-n", 5, "--steps", 120, "--seed", 7).stdout
    np.testing.assert_array_equal(np.array([row.split(",") for row in shown.splitlines()], int), drawn)
    run("sample", "model.safetensors", "-n", 5, "--steps", 120, "--seed", 7, "-o", "s.csv")
    assert (here / "s.csv").read_text() == shown
    assert left_over(here) == []


def test_samples_given_units(here: Path) -> None:
    shown = run("sample", "model.safetensors", "-n", 20, "--given", "3=1", "--given", "v0=0", "--given", "h1=1").stdout
    assert {(row.split(",")[3], row.split(",")[0]) for row in shown.splitlines()} == {("1", "0")}


def test_a_fresh_seed_is_told(here: Path) -> None:
    first = run("sample", "model.safetensors", "-n", 30)
    seed = first.stderr.split()[-1]
    assert run("sample", "model.safetensors", "-n", 30, "--seed", seed).stdout == first.stdout


def test_samples_of_a_graph(ring: tuple[float, float]) -> None:

    from pgm_rbm.graph.model import GraphModel

    model = GraphModel(nx.read_graphml("ring.graphml"))
    for arguments, settings in ((("--exact",), {}), (("--steps", 50), {"method": "gibbs", "steps": 50})):
        run("sample", "ring.graphml", "-n", 6, "--seed", 3, *arguments, "--given", "b=-1", "-o", "s.npy", "--force")
        np.testing.assert_array_equal(np.load("s.npy"), model.sample(6, {"b": -1}, seed=3, **settings))
    assert "--given contradicts itself" in refused("sample", "ring.graphml", "--given", "b=1", "--given", "b=-1")
    assert "--given contradicts itself" in refused("sample", "model.safetensors", "--given", "3=1", "--given", "v3=0")
    assert "are for --exact" in refused("sample", "ring.graphml", "--memory-limit", "8")
    assert "--memory-limit allows 8 bytes" in refused("sample", "ring.graphml", "--exact", "--memory-limit", "8")


def test_exact_samples(here: Path) -> None:
    shown = run("sample", "model.safetensors", "-n", 4, "--exact", "--seed", 2).stdout
    expected = RBM.load("model.safetensors").sample(4, method="exact", seed=2)
    np.testing.assert_array_equal(np.array([row.split(",") for row in shown.splitlines()], int), expected)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--given", "6=1"], "('v', 5)"),
        (["--given", "h3=1"], "('h', 2)"),
        (["--given", "0=2"], "one of 0, 1"),
        (["--given", "0"], "3=1"),
        (["--given", "x=1"], "'x'"),
        (["--given", "0=one"], "'one'"),
        (["--exact", "--given", "0=1"], "--given"),
        (["-o", "s.txt"], ".npy or .csv"),
        (["-o", "none/s.npy"], "none"),
        (["--seed", str(2**70)], "seed"),
    ],
)
def test_sample_refuses(here: Path, arguments: Any, words: str) -> None:
    assert words in refused("sample", "model.safetensors", *arguments)
