"""``pgm-rbm partition``: ln Z of models and graphs, within limits."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from pgm_rbm import RBM
from tests.pgm_rbm.cli.program import refused, run


def test_partition(here: Path) -> None:
    rbm = RBM.load("model.safetensors")
    found = json.loads(run("partition", "model.safetensors", "--json").stdout)
    assert found == {"log_partition": rbm.log_partition().value, "standard_error": 0.0, "method": "enumeration"}
    assert "exact" in run("partition", "model.safetensors", "--limit", "2**3").stdout
    # what is too much to enumerate is eliminated
    few = json.loads(run("partition", "model.safetensors", "--limit", "2**2", "--json").stdout)
    assert few["method"] == "elimination"
    assert few["log_partition"] == pytest.approx(found["log_partition"], rel=1e-13)
    refusal = refused("partition", "model.safetensors", "--limit", "2**2", "--method", "enumeration")
    assert "--limit 4" in refusal
    assert "limit=" not in refusal
    assert "method" in refused("partition", "model.safetensors", "--method", "guessing")
    assert "data.npy" in refused("partition", "data.npy")
    assert "folder" in refused("partition", ".")
    eliminated = json.loads(run("partition", "model.safetensors", "--method", "elimination", "--json").stdout)
    assert eliminated["method"] == "elimination"
    assert eliminated["log_partition"] == pytest.approx(found["log_partition"], rel=1e-13)


def test_partition_of_a_graph(ring: tuple[float, float]) -> None:
    coupling, field = ring
    # The transfer matrix of the ring; Z is the trace of its fifth power.
    transfer = np.array([[np.exp(coupling * s * t + field * (s + t) / 2) for t in (-1, 1)] for s in (-1, 1)])
    power = np.linalg.matrix_power(transfer, 5)
    found = json.loads(run("partition", "ring.graphml", "--json").stdout)
    assert found["log_partition"] == pytest.approx(np.log(np.trace(power)), rel=1e-13)
    assert found["method"] == "elimination"
    given = json.loads(run("partition", "ring.graphml", "--given", "a=1", "--json").stdout)
    assert given["log_partition"] == pytest.approx(np.log(power[1, 1]), rel=1e-13)
    assert "exact" in run("partition", "ring.graphml", "--method", "enumeration").stdout


def test_partition_refuses_what_does_not_fit(ring: tuple[float, float]) -> None:
    assert "no variable 'z'" in refused("partition", "ring.graphml", "--given", "z=1")
    assert "[-1, 1]" in refused("partition", "ring.graphml", "--given", "a=0")
    assert "--given" in refused("partition", "ring.graphml", "--given", "a")
    assert "--given is for graphs" in refused("partition", "model.safetensors", "--given", "v0=1")
    assert "--limit" in refused("partition", "ring.graphml", "--limit", "8")
    message = refused("partition", "ring.graphml", "--memory-limit", "8", "--method", "elimination")
    for part in ("--memory-limit allows 8 bytes", "a larger --memory-limit", "(--given)", "with pgm-rbm sample"):
        assert part in message
    assert "--given contradicts itself: a is 1 and -1" in refused(
        "partition", "ring.graphml", "--given", "a=1", "--given", "a=-1"
    )
    assert "exact" in run("partition", "ring.graphml", "--given", "a=1", "--given", "a=1").stdout
    assert "--limit has no meaning" in refused(
        "partition", "model.safetensors", "--limit", "8", "--method", "elimination"
    )
    assert "exact" in run("partition", "ring.graphml", "--threads", "2", "--method", "enumeration").stdout


@pytest.mark.parametrize("file", ["model.safetensors", "ring.graphml"])
@pytest.mark.parametrize("command", ["partition", "tractability"])
def test_limits_of_eliminations(ring: tuple[float, float], command: str, file: str) -> None:
    for option, value, of in (
        ("--memory-limit", "-1", "bytes"),
        ("--memory-limit", "0", "bytes"),
        ("--time-limit", "nan", "seconds"),
        ("--time-limit", "-1", "seconds"),
    ):
        message = refused(command, file, option, value)
        assert f"{option} must be a positive number of {of}. Got" in message
    run(command, file, "--memory-limit", "2**20", "--time-limit", "60")


def test_a_refusal_names_options(here: Path) -> None:
    RBM(60, 50, seed=0).save("large.safetensors")
    for arguments in (
        ("partition", "large.safetensors"),
        ("partition", "large.safetensors", "--method", "elimination"),
        ("evaluate", "large.safetensors", "large.npy"),
        ("sample", "large.safetensors", "--exact"),
    ):
        np.save("large.npy", np.zeros((2, 60)))
        message = refused(*arguments)
        for argument in ("memory_limit", "time_limit", "limit=", "method=", "evidence=", "rbm."):
            assert argument not in message
    assert "no.graphml" in refused("partition", "no.graphml")
    Path("half.graphml").write_text("<graphml")
    assert "half.graphml" in refused("partition", "half.graphml")


def test_a_cluster_without_dask_names_the_extra(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    message = refused("partition", "model.safetensors", "--cluster", "tcp://127.0.0.1:1")
    assert "pgm-rbm[distributed]" in message


def test_a_damaged_model_file_is_refused(here: Path) -> None:
    content = bytearray((here / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (here / "bad.safetensors").write_bytes(content)
    assert "damaged" in refused("partition", "bad.safetensors")


def test_a_model_too_large_for_exact_answers_is_refused(here: Path) -> None:
    RBM(50, 60, seed=0).save("large.safetensors")
    for arguments in (["partition"], ["sample", "--exact"]):
        assert "2**50 configurations" in refused(arguments[0], "large.safetensors", *arguments[1:])
