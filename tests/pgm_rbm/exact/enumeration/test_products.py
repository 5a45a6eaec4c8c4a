"""Products of tables against sums over all configurations, for every kind of unit and weights of any size."""

from __future__ import annotations

import itertools
import math
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.exact.enumeration import product_loops, products
from pgm_rbm.exact.enumeration.products import Problem, tables_of
from pgm_rbm.exact.enumeration.reduction import Part
from pgm_rbm.exact.enumeration.shards import run
from pgm_rbm.exact.enumeration.sums import ProductSum
from pgm_rbm.machine.budget import Budget

BINARY, SPIN, TERNARY, UNEVEN, POSITIVE = (0.0, 1.0), (-1.0, 1.0), (0.0, 1.0, 2.0), (-1.0, 0.0, 2.0, 5.0), (1.0, 2.0)
DOMAINS = {"binary": BINARY, "spin": SPIN, "0..2": TERNARY, "uneven": UNEVEN, "1..2": POSITIVE}


def problem(
    m: int,
    n: int,
    states: tuple[float, ...] = BINARY,
    others: tuple[float, ...] = BINARY,
    *,
    scale: float = 1.0,
    missing: float = 0.0,
    seed: int = 0,
) -> Problem:
    """Normal numbers of this scale, with this share of the weights left out."""
    rng = np.random.default_rng(seed)
    coupling = rng.normal(0, scale, (n, m))
    coupling[rng.random((n, m)) < missing] = 0
    return Problem(rng.normal(0, scale, m), rng.normal(0, scale, n), coupling, states, others)


def task(one: Problem, averages: bool = True) -> ProductSum:
    return ProductSum(one, "h", ("b", "a", "w"), True, averages)


def brute_force(one: Problem) -> tuple[float, dict[str, np.ndarray]]:
    """ln Z and averages by their definition, one configuration x at a time."""
    x = np.array(list(itertools.product(one.states, repeat=len(one.bias))))
    weights = np.asarray(one.other_states)[:, None, None] * (x @ one.coupling.T + one.other_bias)
    weights -= (top := weights.max(axis=0))
    relative = np.exp(weights)
    mean = (np.asarray(one.other_states)[:, None, None] * relative).sum(axis=0) / relative.sum(axis=0)
    logs = (top + np.log(relative.sum(axis=0))).sum(axis=1) + x @ one.bias
    log_z = logs.max() + math.log(math.fsum(np.exp(logs - logs.max())))
    p = np.exp(logs - log_z)
    return log_z, {"b": p @ x, "a": p @ mean, "w": (mean * p[:, None]).T @ x}


def assert_agrees(one: Problem) -> None:
    log_z, averages = brute_force(one)
    whole = task(one)
    assert run(task(one, averages=False), budget=Budget(threads=1)).log == pytest.approx(log_z, rel=1e-12, abs=1e-12)
    part = run(whole, budget=Budget(threads=1))
    assert part.log == pytest.approx(log_z, rel=1e-12, abs=1e-12)
    # Fields carry a relative rounding of 1e-16, which averages turn into absolute ones as large as the fields; those
    # are a few dozen times the largest parameter, and states reach 5.
    size = max(1.0, float(np.abs(one.coupling).max(initial=0)), float(np.abs(one.bias).max()))
    for name, value in whole.averages(part).items():
        np.testing.assert_allclose(value, averages[name], rtol=0, atol=1e-13 * size * 25)


@pytest.mark.parametrize("others", DOMAINS)
@pytest.mark.parametrize("states", DOMAINS)
def test_every_pair_of_domains(states: str, others: str) -> None:
    for m, n in ((3, 5), (1, 1), (7 if len(DOMAINS[states]) < 4 else 5, 3)):
        assert_agrees(problem(m, n, DOMAINS[states], DOMAINS[others]))


@pytest.mark.parametrize(("states", "others"), [(BINARY, BINARY), (SPIN, SPIN), (BINARY, UNEVEN), (TERNARY, SPIN)])
def test_weights_up_to_the_end_of_the_range(states: tuple[float, ...], others: tuple[float, ...]) -> None:
    one = problem(8, 6, states, others)
    scale = 0.999 * products.REACH / one.references.top.max()
    large = Problem(scale * one.bias, scale * one.other_bias, scale * one.coupling, states, others)
    assert large.in_range
    assert not replace(large, coupling=1.1 * large.coupling, other_bias=1.1 * large.other_bias).in_range
    assert_agrees(large)


@pytest.mark.parametrize("size", [1e3, 1e6, -1e6])
def test_biases_of_any_size(size: float) -> None:
    # The reference state takes them up, so factors stay near 1 however far ln Z goes.
    one = problem(8, 6, SPIN, UNEVEN)
    assert_agrees(replace(one, bias=size * one.bias, other_bias=size * one.other_bias))


def test_states_that_weigh_of_themselves() -> None:
    # A unit with states 0, 1 and 2 that weigh 1, 2 and 1 is the sum of two binary ones in the same field.
    rng = np.random.default_rng(2)
    c, d, u = rng.normal(size=4), rng.normal(size=3), rng.normal(size=(3, 4))
    weight = (0.0, math.log(2), 0.0)
    sums = Problem(c, d, u, TERNARY, TERNARY, weight, weight)
    apart = Problem(np.repeat(c, 2), np.repeat(d, 2), np.repeat(np.repeat(u, 2, axis=0), 2, axis=1), BINARY, BINARY)
    log_z, averages = brute_force(apart)
    part = run(task(sums), budget=Budget(threads=1))
    assert part.log == pytest.approx(log_z, rel=1e-13)
    assert run(task(sums, averages=False), budget=Budget(threads=1)).log == pytest.approx(log_z, rel=1e-13)
    found = task(sums).averages(part)
    np.testing.assert_allclose(found["b"], averages["b"].reshape(4, 2).sum(axis=1), atol=1e-13)
    np.testing.assert_allclose(found["a"], averages["a"].reshape(3, 2).sum(axis=1), atol=1e-13)
    np.testing.assert_allclose(found["w"], averages["w"].reshape(3, 2, 4, 2).sum(axis=(1, 3)), atol=1e-13)
    rows = np.array(list(itertools.product(TERNARY, repeat=4)))
    assert np.logaddexp.reduce(sums.log_weights(rows)) == pytest.approx(log_z, rel=1e-13)


@pytest.mark.parametrize("missing", [0.5, 0.8, 0.95, 1.0])
@pytest.mark.parametrize(("states", "others"), [(BINARY, BINARY), (SPIN, TERNARY)])
def test_sparse_weights(states: tuple[float, ...], others: tuple[float, ...], missing: float) -> None:
    one = problem(10, 14, states, others, missing=missing, seed=3)
    assert_agrees(one)
    # In a sparse model some units are complete before the innermost loop.
    assert (one.layout.finish > 0).any()


def test_a_chain_completes_most_units_outside_the_innermost_loop() -> None:
    n = 12
    mask = np.eye(n, dtype=bool) | np.eye(n, k=1, dtype=bool)
    one = problem(n, n)
    one.coupling[~mask] = 0
    assert_agrees(one)
    assert (one.layout.finish == 0).sum() <= one.layout.inner + 1


def test_the_sum_may_be_a_hundred_thousand_nats_below_zero() -> None:
    # Both states of every unit are positive, so with negative parameters there is no configuration of weight near 1.
    rng = np.random.default_rng(1)
    one = Problem(-rng.random(6) * 2000, -rng.random(40) * 2000, -rng.random((40, 6)) * 200, POSITIVE, POSITIVE)
    log_z, _ = brute_force(one)
    assert log_z < -5e4
    assert_agrees(one)


def test_many_groups_of_units_keep_the_product_in_range() -> None:
    one = problem(7, 300, scale=20.0)
    assert len(tables_of(one).tables.groups) > 5
    assert_agrees(one)


def test_many_units_against_logarithms() -> None:
    one = problem(9, 784, scale=0.3)
    rows = np.array(list(itertools.product(BINARY, repeat=9)))
    logs = one.log_weights(rows)
    assert run(task(one, averages=False)).log == pytest.approx(np.logaddexp.reduce(logs), rel=1e-13)


def test_an_isolated_unit_and_an_isolated_layer() -> None:
    one = problem(7, 5)
    one.coupling[2] = 0
    one.coupling[:, 3] = 0
    assert_agrees(one)
    assert_agrees(problem(7, 5, missing=1.0))


def test_every_configuration_has_its_weight() -> None:
    for states, missing in ((BINARY, 0.0), (TERNARY, 0.6), (UNEVEN, 0.0)):
        one = task(problem(8 if states is BINARY else 5, 6, states, SPIN, missing=missing), averages=False)
        seen = []
        for part in one.runs():
            logs = one.log_weights(part)
            rows = one.states(part, np.arange(len(logs)))["h"]
            np.testing.assert_allclose(logs, one.problem.log_weights(rows), rtol=1e-12, atol=1e-12)
            seen.append(rows)
        rows = np.concatenate(seen)
        assert len(rows) == len(np.unique(rows, axis=0)) == one.configurations


def test_sums_over_parts_of_the_range_add_up() -> None:
    one = problem(11, 5, missing=0.3)
    tables, outer = tables_of(one).tables, one.layout.outer
    whole = Part(*product_loops.total(tables, 0, outer)).log
    for cuts in ([0, 1, outer], [0, 5, 6, 17, outer], [*range(outer), outer]):
        logs = [Part(*product_loops.total(tables, a, b)).log for a, b in itertools.pairwise(cuts)]
        assert np.logaddexp.reduce(logs) == pytest.approx(whole, rel=1e-14)


def test_the_order_of_loading_changes_no_bit() -> None:
    # Compiled functions of one process may take shared parts from whichever was loaded first.
    program = (
        "import numpy as np; from pgm_rbm import RBM; rng = np.random.default_rng(0);"
        "rbm = RBM.from_parameters(rng.normal(size=(12, 9)), rng.normal(size=12), rng.normal(size=9));"
        "asked = [lambda: rbm.log_partition().value, lambda: rbm.entropy('h'),"
        "lambda: rbm.moments().vh.tobytes().hex()];"
        "print([asked[k]() for k in {}])"
    )
    orders = (0, 1, 2), (2, 1, 0)
    found = [
        subprocess.run([sys.executable, "-c", program.format(order)], capture_output=True, text=True, check=True).stdout
        for order in orders
    ]
    one, two = (line.strip("[]\n").split(", ") for line in found)
    assert len(one) == 3
    assert one == two[::-1]


def test_what_is_left_out_of_averages_is_below_their_rounding() -> None:
    # Weights spread over hundreds of orders of magnitude, so whole blocks of configurations are left out.
    one = problem(11, 30, scale=6.0)
    assert_agrees(one)


def test_the_largest_term_may_come_last() -> None:
    for sign in (1, -1):
        bias = sign * np.full(11, 150.0)
        one = Problem(bias, np.zeros(3), np.full((3, 11), 0.1), BINARY, BINARY)
        assert_agrees(one)


def test_problems_travel_and_are_equal_by_their_numbers() -> None:
    one = problem(7, 4)
    assert one.layout.outer == 2
    other = pickle.loads(pickle.dumps(one))
    assert other == one
    assert hash(other) == hash(one)
    assert tables_of(other) is tables_of(one)
    assert one != problem(7, 4, seed=1)
    assert run(task(other)).log == run(task(one)).log


def test_parameters_beyond_the_digits_of_float64_are_refused() -> None:
    with pytest.raises(ValueError, match="so large that energies reach 2e\\+15"):
        tables_of(Problem(np.array([2e15]), np.zeros(1), np.zeros((1, 1)), BINARY, BINARY))


@pytest.mark.parametrize("size", [1e9, 1e12, 1e13, 9e13, -9e13])
@pytest.mark.parametrize("base", [2, 3, 5, 6, 7, 10, 13])
def test_lanes_that_stand_for_no_configuration_weigh_nothing(base: int, size: float) -> None:
    # Independent units: one state of each has all the weight, whatever it weighs, up to the end of the range.
    states = tuple(float(s) for s in range(1, base + 1))
    one = Problem(np.full(3, -size / base), np.zeros(2), np.zeros((2, 3)), states, BINARY)
    padded = one.layout.lanes > base**one.layout.inner
    assert padded or base == 2
    state = states[0] if size > 0 else states[-1]
    log_z = 3 * state * (-size / base) + 2 * math.log(2)
    assert run(task(one, averages=False), budget=Budget(threads=1)).log == pytest.approx(log_z, rel=1e-15)
    part = run(task(one), budget=Budget(threads=1))
    assert part.log == pytest.approx(log_z, rel=1e-15)
    averages = task(one).averages(part)
    np.testing.assert_array_equal(averages["b"], np.full(3, state))
    np.testing.assert_allclose(averages["a"], 0.5, rtol=1e-15)


@pytest.mark.parametrize("target", ["numba", "numpy"])
@pytest.mark.parametrize("size", [1e16, 1e20, -1e20, 1e300])
def test_both_ways_of_summing_end_at_the_same_size(target: str, size: float) -> None:
    rbm = RBM.from_parameters(np.zeros((2, 2)), np.zeros(2), np.full(2, size), "binary", "{1, 2}", target=target)
    with pytest.raises(ValueError, match="so large that energies reach"):
        rbm.log_partition()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("bias", [5.0, 20.0, 38.0, 45.0])
def test_small_probabilities_keep_their_digits(bias: float, sign: float) -> None:
    # Of units that are nearly always off, or on: what is seldom is good to as many digits as what is not.
    rng = np.random.default_rng(6)
    one = problem(9, 12, scale=0.3)
    one = replace(one, other_bias=sign * bias + rng.normal(0, 0.5, 12))
    part = run(task(one), budget=Budget(threads=1))
    rows = np.array(list(itertools.product(BINARY, repeat=9)))
    field = rows @ one.coupling.T + one.other_bias
    weights = np.exp(rows @ one.bias + np.logaddexp(0, field).sum(axis=1) - part.log)
    seldom = np.exp(-np.logaddexp(0, sign * field))
    averages = task(one).averages(part)
    if sign < 0:
        np.testing.assert_allclose(averages["a"], weights @ seldom, rtol=1e-12)
        np.testing.assert_allclose(averages["w"], (seldom * weights[:, None]).T @ rows, rtol=1e-12)
        assert averages["a"].max() < math.exp(2 - bias)
    else:
        np.testing.assert_allclose(averages["a"], 1 - weights @ seldom, rtol=1e-15, atol=0)
        assert averages["a"].max() <= 1
    turned = Problem(one.other_bias, one.bias, one.coupling.T.copy(), BINARY, BINARY)
    found = ProductSum(turned, "v", ("a", "b", "w"), False, True)
    np.testing.assert_allclose(found.averages(run(found, budget=Budget(threads=1)))["a"], averages["a"], rtol=1e-12)


@pytest.mark.parametrize(("states", "others"), [(BINARY, BINARY), (SPIN, BINARY), (UNEVEN, SPIN), (TERNARY, UNEVEN)])
def test_averages_stay_between_the_states(states: tuple[float, ...], others: tuple[float, ...]) -> None:
    for seed in range(8):
        one = problem(7, 6, states, others, scale=10.0, seed=seed)
        if not one.in_range:
            one = replace(one, coupling=one.coupling / 50, other_bias=one.other_bias / 5)
        averages = task(one).averages(run(task(one), budget=Budget(threads=1)))
        products = [x * y for x in states for y in others]
        for name, low, high in (
            ("b", states[0], states[-1]),
            ("a", others[0], others[-1]),
            ("w", min(products), max(products)),
        ):
            assert averages[name].min() >= low
            assert averages[name].max() <= high


def test_lanes_waste_little() -> None:
    for base in range(2, 40):
        inner = products._inner_units(base, 12)
        lanes = -(-(base**inner) // products.LANES) * products.LANES
        assert lanes / base**inner < 1.6
    assert products._inner_units(2, 20) == 6
    assert products._inner_units(2, 3) == 3
