"""Callers can catch what costs too much, whichever way it was to be computed."""

from __future__ import annotations

import pickle

import pytest

from pgm_rbm.errors import CostLimitError, EnumerationLimitError, IntractableError


@pytest.mark.parametrize("kind", [EnumerationLimitError, IntractableError])
def test_costs_share_one_base(kind: type[Exception]) -> None:
    assert issubclass(kind, CostLimitError)
    assert issubclass(kind, ValueError)


def test_a_refusal_survives_the_way_between_processes() -> None:
    refusal = EnumerationLimitError("too much", configurations=2**40, limit=2**24, seconds=9.0, memory=7)
    back = pickle.loads(pickle.dumps(refusal))
    assert str(back) == "too much"
    assert (back.configurations, back.limit, back.seconds, back.memory) == (2**40, 2**24, 9.0, 7)
