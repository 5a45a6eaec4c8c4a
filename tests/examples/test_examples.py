"""Each example runs in a quick form, and what it shows is so."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_chain_is_learnt_up_to_what_the_rows_leave_open() -> None:
    result = load("ising_chain").main(n=8, rows=8000, epochs=60)
    # Of n spins in a row with K = 0.7 the bonds are independent but for the field: about ln 2 + 7 h(bond) nats.
    bond = 1 / (1 + np.exp(-1.4))
    free = np.log(2) - 7 * (bond * np.log(bond) + (1 - bond) * np.log(1 - bond))
    assert result.entropy == pytest.approx(free, abs=0.4)  # the field of 0.1 takes a little away
    assert result.before > 0.5
    # p / 2N is 71 / 16,000 = 0.0044 nats for the best fit; steps on batches add to it.
    assert 0 <= result.after < 0.02
    assert np.abs(np.diff(result.neighbours, axis=0)).max() < 0.05


def test_grey_levels_are_learnt_by_every_kind_of_unit() -> None:
    results = load("grey_digits").main(hidden=5, epochs=6)
    assert len(results) == 3
    for result in results.values():
        assert result.after > result.before + 1
        # The model's own means follow the data; 4,000 draws of deviation up to 1 leave 0.05, and training is short.
        assert np.abs(np.diff(result.means, axis=0)).max() < 0.3


def test_a_table_of_categories_is_learnt() -> None:
    module = load("titanic_table")
    assert module.COUNTS.sum() == 2201
    result = module.main(hidden=3, epochs=150)
    assert result.independent > 0.2
    assert 0 <= result.after < result.independent / 5
    assert np.abs(np.diff(result.survival, axis=0)).max() < 0.05


def test_every_example_is_tested() -> None:
    tested = Path(__file__).read_text("utf-8")
    assert all(f'load("{path.stem}")' in tested for path in FOLDER.glob("*.py"))
