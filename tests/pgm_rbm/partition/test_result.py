"""LogPartition: a number in everything, that knows how it was found."""

from __future__ import annotations

import copy
import doctest
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest

from pgm_rbm.partition import result
from pgm_rbm.partition.result import LogPartition

FOUND = LogPartition(2.5, "ais", standard_error=0.25)
EXACT = LogPartition(-1e5, "elimination")


def test_the_example_in_the_docstring() -> None:
    assert doctest.testmod(result).failed == 0


def test_its_parts() -> None:
    assert (FOUND.value, FOUND.method, FOUND.standard_error, FOUND.exact) == (2.5, "ais", 0.25, False)
    assert (EXACT.value, EXACT.method, EXACT.standard_error, EXACT.exact) == (-1e5, "elimination", 0.0, True)
    assert type(FOUND.value) is float
    assert type(float(FOUND)) is float


def test_it_counts_as_its_value() -> None:
    assert FOUND == 2.5
    assert hash(FOUND) == hash(2.5)
    assert FOUND - EXACT == 2.5 + 1e5
    assert type(FOUND - EXACT) is float
    assert 1 - FOUND == -1.5
    assert -FOUND == -2.5
    assert EXACT < FOUND <= 2.5 < 3
    assert max(EXACT, FOUND) is FOUND
    assert math.exp(FOUND) == math.exp(2.5)
    assert np.exp(FOUND) == np.exp(2.5)
    np.testing.assert_array_equal(np.array([FOUND, EXACT]), [2.5, -1e5])
    assert math.isfinite(EXACT)


def test_it_formats_as_a_number_and_prints_as_a_result() -> None:
    assert f"{FOUND:.3f}" == "2.500"
    assert f"{FOUND:>8.1e}" == " 2.5e+00"
    assert str(FOUND) == f"{FOUND}" == "ln Z = 2.5 ± 0.25, by ais"
    assert str(EXACT) == "ln Z = -100000 (exact), by elimination"
    assert repr(FOUND) == "LogPartition(2.5, 'ais', standard_error=0.25)"
    assert repr(EXACT) == "LogPartition(-100000.0, 'elimination')"
    assert json.loads(json.dumps({"z": FOUND})) == {"z": 2.5}


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_are_whole(again: Any) -> None:
    made = again(FOUND)
    assert (made, made.method, made.standard_error) == (2.5, "ais", 0.25)


def test_it_does_not_change() -> None:
    for name in ("value", "method", "standard_error", "other"):
        with pytest.raises(AttributeError):
            setattr(FOUND, name, 1.0)


@pytest.mark.parametrize("error", [-1.0, math.nan])
def test_a_standard_error_is_no_less_than_zero(error: Any) -> None:
    with pytest.raises(ValueError, match=r"standard_error must be zero or positive. Got"):
        LogPartition(1.0, "ais", error)
