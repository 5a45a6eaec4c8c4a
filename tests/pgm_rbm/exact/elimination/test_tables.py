"""Products and sums of tables against einsum and plain sums, small and large, in logs and out of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pgm_rbm.exact.elimination import tables

# A product of a few float64 numbers and a sum of some thousand, in another order.
RELATIVE = 1e-13


def random_parts(rng: np.random.Generator, sizes: Mapping[Any, int], scopes: Any, spread: float) -> list[Any]:
    return [(scope, rng.uniform(-spread, 0.0, [sizes[axis] for axis in scope])) for scope in scopes]


def dense(parts: Any, cluster: Any, sizes: Mapping[Any, int]) -> np.ndarray:
    total = np.zeros([sizes[axis] for axis in cluster])
    for scope, logs in parts:
        total = total + logs.reshape([sizes[axis] if axis in scope else 1 for axis in cluster])
    return total


CASES = [
    ([2] * 6, [(0, 1), (1, 3), (0, 2, 5)]),
    ([3, 4, 5, 2], [(0, 1, 2), (3,), (0, 3)]),
    ([2] * 16, [tuple(range(15)), (0, 1, 15), (0, 14)]),  # a message and small tables, as on a grid
    ([2] * 16, [tuple(range(14)), tuple(range(2, 16))]),  # two messages that overlap
    ([2] * 16, [tuple(range(0, 16, 2)), tuple(range(1, 16, 2)), (0, 15)]),  # interleaved
    ([2] * 16, [(0, k) for k in range(1, 16)]),  # a unit and all its neighbours
    ([70, 80, 3, 2], [(0, 2), (1, 3), (0, 1), (2, 3)]),
    ([5000], [(0,), (0,)]),
    ([2, 5000], [(0,)]),
]


@pytest.mark.parametrize(("sizes", "scopes"), CASES)
@pytest.mark.parametrize("spread", [1.0, 2000.0])
def test_products_are_those_of_the_entries(sizes: Any, scopes: Any, spread: float) -> None:
    parts = random_parts(np.random.default_rng(1), sizes, scopes, spread)
    cluster = tuple(range(len(sizes)))
    made = [tables.from_logs(scope, logs.copy()) for scope, logs in parts]
    expected = dense(parts, cluster, sizes) - sum(shift for _, shift in made)
    scratch = np.empty(math.prod(sizes))
    for into in (None, scratch):
        found, in_logs = tables.product([table for table, _ in made], cluster, sizes, scratch=into)
        assert in_logs == (spread > 1.0)
        logs = found if in_logs else np.log(found)
        # logarithms of size 1e3 are added, so 1e-12 is a few of their roundings
        np.testing.assert_allclose(logs, expected, rtol=RELATIVE, atol=1e-12)
    again, _ = tables.product([table for table, _ in made], cluster, sizes, logs=True)
    np.testing.assert_allclose(again, expected, rtol=RELATIVE, atol=1e-12)
    for (_, logs), (table, shift) in zip(parts, made, strict=True):
        # products leave the tables as they were
        np.testing.assert_allclose(table.array(True) + shift, logs, rtol=1e-12, atol=1e-12)


def test_a_product_of_nothing_is_one() -> None:
    np.testing.assert_array_equal(tables.product([], (0, 1), [2, 3])[0], np.ones((2, 3)))
    np.testing.assert_array_equal(tables.product([], (0,), [5000])[0], np.ones(5000))
    assert tables.product([], (), [])[0] == 1.0


@pytest.mark.parametrize("sizes", [[2] * 16, [3, 2, 50, 2, 40], [300, 2, 300], [2, 300, 2], [7000]])
def test_sums_to_any_scope(sizes: Any) -> None:
    values = np.random.default_rng(2).random(sizes)
    cluster = tuple(range(len(sizes)))
    for length in range(len(sizes) + 1) if len(sizes) < 8 else (0, 1, 2, 15):
        for wanted in list(itertools.combinations(cluster, length))[:: 1 if len(sizes) < 8 else 7]:
            found = tables.reduced(values, cluster, wanted, sizes)
            expected = values.sum(axis=tuple(axis for axis in cluster if axis not in wanted))
            np.testing.assert_allclose(found, expected, rtol=RELATIVE)


def test_many_sums_at_once() -> None:
    sizes = [2] * 15
    values = np.random.default_rng(3).random(sizes)
    cluster = tuple(range(15))
    wanted = {(0, k) for k in range(1, 15)} | {(0,), (3, 4, 5), tuple(range(14)), cluster}
    found = dict(tables.reductions(values, cluster, wanted, sizes))
    assert set(found) == wanted
    for scope, table in found.items():
        expected = values.sum(axis=tuple(axis for axis in cluster if axis not in scope))
        np.testing.assert_allclose(table, expected, rtol=RELATIVE)


def test_a_wide_table_stays_in_logs_and_a_narrow_one_does_not() -> None:
    wide, top = tables.from_logs((0,), np.array([5.0, -700.0, -math.inf]))
    assert (wide.in_logs, wide.low, top) == (True, -705.0, 5.0)
    narrow, top = tables.from_logs((0,), np.array([5.0, -70.0, -math.inf]))
    assert (narrow.in_logs, narrow.low, top) == (False, -75.0, 5.0)
    np.testing.assert_allclose(narrow.values, [1.0, math.exp(-75), 0.0], rtol=1e-14)
    kept, _ = tables.from_logs((0,), np.array([5.0, -70.0]), keep=True)
    assert kept.in_logs
    scaled, top = tables.from_potentials((0,), np.array([4.0, 1.0, 0.0]))
    np.testing.assert_array_equal(scaled.values, [1.0, 0.25, 0.0])
    assert (scaled.low, top) == (math.log(0.25), math.log(4.0))


def test_nothing_but_zeros() -> None:
    assert tables.from_logs((0,), np.full(2, -math.inf))[1] == -math.inf
    assert tables.from_potentials((0,), np.zeros(2))[1] == -math.inf
    np.testing.assert_array_equal(tables.log_sum_exp(np.full((3, 2), -math.inf)), [-math.inf, -math.inf])


def test_log_sum_exp_with_zeros_and_large_numbers() -> None:
    logs = np.array([[1e5, -math.inf, 0.0], [1e5 - 1.0, -2e5, -math.inf]])
    expected = [1e5 + math.log1p(math.exp(-1.0)), -2e5, 0.0]
    np.testing.assert_allclose(tables.log_sum_exp(logs.copy()), expected, rtol=1e-15)
