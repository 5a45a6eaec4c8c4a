"""``pgm-rbm cache``: what is kept is shown, cleared, and made beforehand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_the_cache_can_be_looked_at_and_cleared(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGM_RBM_CACHE", str(here / "kept"))
    program = [sys.executable, "-c", "from pgm_rbm.cli import main; main()"]

    def call(*arguments: str) -> str:
        found = subprocess.run([*program, *arguments], capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        return found.stdout

    assert "modules  0" in call("cache", "info")
    call("partition", "model.safetensors")
    (here / "kept" / "notes.txt").write_text("somebody else's")
    shown = call("cache", "info")
    assert "modules  1" in shown
    assert "E(v, h) = " in shown
    assert "numba" in shown
    assert "removed" in call("cache", "clear")
    assert [one.name for one in (here / "kept").iterdir()] == ["notes.txt"]
    assert "modules  0" in call("cache", "info")
    assert call("cache", "warm", "spin:binary", "--quiet") == "compiled for spin:binary, in float32 and float64\n"
    assert "modules  1" in call("cache", "info")
    assert "removed" in call("cache", "clear")
