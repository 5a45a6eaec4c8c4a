"""The scalar functions of generated code, and its random bits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import mpmath
import numpy as np
import pytest
from numba import njit

from symbolic.codegen.runtime import array_api, numba, numba_draws, numpy, quantiles, streams
from symbolic.codegen.runtime.streams import row_streams

exp, tanh = numba.exp, numba.tanh
softplus, sigmoid, log2cosh = numba.softplus, numba.sigmoid, numba.log2cosh
FUSED: dict[str, Any] = {"error_model": "numpy", "fastmath": {"reassoc", "nsz", "contract"}, "cache": True}


@njit(**FUSED)
def _all_functions(x: np.ndarray, out: np.ndarray) -> None:
    for n in range(len(x)):
        out[0, n] = exp(x[n])
        out[1, n] = tanh(x[n])
        out[2, n] = softplus(x[n])
        out[3, n] = sigmoid(x[n])
        out[4, n] = log2cosh(x[n])


def compiled(x: np.ndarray) -> dict[str, np.ndarray]:
    out = np.empty((5, len(x)), x.dtype)
    _all_functions(x, out)
    return dict(zip(("exp", "tanh", "softplus", "sigmoid", "log2cosh"), out, strict=True))


def with_numpy(x: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "softplus": numpy.softplus(x),
        "sigmoid": numpy.sigmoid(x),
        "log2cosh": numpy.log2cosh(x),
    }


EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": mpmath.exp,
    "tanh": mpmath.tanh,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "log2cosh": lambda x: mpmath.log(mpmath.exp(x) + mpmath.exp(-x)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("evaluate", [compiled, with_numpy])
def test_functions_are_accurate(dtype: type, evaluate: Callable[[np.ndarray], dict[str, np.ndarray]]) -> None:
    rng = np.random.default_rng(0)
    reach = 700 if dtype is np.float64 else 85
    x = np.concatenate([rng.normal(size=200), rng.uniform(-reach, reach, 200), 10.0 ** rng.uniform(-20, 1, 100)])
    x = np.concatenate([x, -x, [0.0]]).astype(dtype)
    with mpmath.workdps(400):
        for name, values in evaluate(x).items():
            assert values.dtype == dtype
            exact = [EXACT[name](mpmath.mpf(float(point))) for point in x]
            pairs = zip(map(float, values), exact, strict=True)
            error = [abs(value - truth) / abs(truth) if truth else abs(value) for value, truth in pairs]
            # The documented errors lie below 3 units in the last place; NumPy's exp and log1p may add another.
            assert max(error) < 4 * np.finfo(dtype).eps, name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("evaluate", [compiled, with_numpy])
def test_functions_reach_their_limits(dtype: type, evaluate: Callable[[np.ndarray], dict[str, np.ndarray]]) -> None:
    x = np.array([-np.inf, -4e7, 4e7, np.inf, np.nan], dtype)
    big = float(dtype(4e7))
    limits = {
        "exp": [0, 0, np.inf, np.inf, np.nan],
        "tanh": [-1, -1, 1, 1, np.nan],
        "softplus": [0, 0, big, np.inf, np.nan],
        "sigmoid": [0, 0, 1, 1, np.nan],
        "log2cosh": [np.inf, big, big, np.inf, np.nan],
    }
    for name, values in evaluate(x).items():
        np.testing.assert_array_equal(values, np.array(limits[name], dtype), err_msg=name)


def test_interpreted_functions_are_those_of_numpy() -> None:
    x = np.linspace(-3, 3, 7)
    for name, values in with_numpy(x).items():
        np.testing.assert_array_equal(getattr(numba, name)(x), values)
    streams = row_streams(5, 2, 1)
    expected = numpy.uniform(streams, 4, np.float32)[0, 3]
    assert numba.uniform(streams[0][0], streams[1][0], 3, np.float32(0)) == expected


# Random bits


def uniforms(key: int, first_row: int, rows: int, units: int, dtype: type = np.float64) -> np.ndarray:
    return numpy.uniform(row_streams(key, first_row, rows), units, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_uniform(dtype: type) -> None:
    u = uniforms(20240607, 0, 1000, 1000, dtype)
    assert u.dtype == dtype
    assert u.min() > 0
    assert u.max() < 1
    counts = np.bincount((u * 1024).astype(int).ravel(), minlength=1024)
    chi_square = ((counts - u.size / 1024) ** 2).sum() / (u.size / 1024)
    # 1023 degrees of freedom: mean 1023, standard deviation 45.2; five of them.
    assert abs(chi_square - 1023) < 226


def test_every_bit_is_fair() -> None:
    words = ((uniforms(3, 0, 1000, 1000) - 2.0**-33) * 2.0**32).astype(np.uint64)
    for bit in range(32):
        ones = int(((words >> np.uint64(bit)) & np.uint64(1)).sum())
        assert abs(ones - 500_000) < 5 * 500, bit  # five standard deviations of a fair coin


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """In standard errors, so about normally distributed if x and y are unrelated."""
    return float(np.corrcoef(x.ravel(), y.ravel())[0, 1]) * math.sqrt(x.size)


def test_neighbours_are_unrelated() -> None:
    u = uniforms(99, 5, 700, 700)
    for lag in (1, 2, 3, 64):
        assert abs(correlation(u[:, lag:], u[:, :-lag])) < 5
        assert abs(correlation(u[lag:], u[:-lag])) < 5
        assert abs(correlation(u[lag:, lag:], u[:-lag, :-lag])) < 5


def test_keys_that_differ_in_one_bit_are_unrelated() -> None:
    key = 0x0123456789ABCDEF
    u = uniforms(key, 0, 60, 300)
    for bit in range(64):
        other = uniforms(key ^ (1 << bit), 0, 60, 300)
        assert abs(correlation(u, other)) < 5, bit
        assert (u == other).sum() <= 2, bit


def test_rows_that_differ_in_one_bit_are_unrelated() -> None:
    u = uniforms(11, 0, 1, 5000)
    for bit in range(64):
        other = uniforms(11, 1 << bit, 1, 5000)
        assert abs(correlation(u, other)) < 5, bit


def test_neighbouring_small_keys_are_unrelated() -> None:
    streams = [uniforms(key, 0, 30, 300) for key in range(8)]
    for x, y in itertools.combinations(streams, 2):
        assert abs(correlation(x, y)) < 5


def test_no_two_rows_have_one_stream() -> None:
    seen = set()
    for key in (0, 1, 2**32, 2**63, 2**64 - 1):
        first, second = row_streams(key, 0, 20_000)
        seen |= {(key, *pair) for pair in zip(first.tolist(), second.tolist(), strict=True)}
        pairs = {pair[1:] for pair in seen if pair[0] == key}
        assert len(pairs) == 20_000
    assert len({pair[1:] for pair in seen}) == 100_000  # nor under two keys


def test_no_row_is_another_one_shifted() -> None:
    u = uniforms(8, 0, 200, 500).ravel()
    # Equal words among 10^5 are met by chance: 1.2 pairs are expected, and a shared stretch would give dozens.
    assert len(u) - len(np.unique(u)) < 12


def test_rows_are_numbered_beyond_32_bits() -> None:
    start = 2**32 - 3
    u = uniforms(1, start, 6, 50)
    np.testing.assert_array_equal(u[4:], uniforms(1, start + 4, 2, 50))
    assert not (u[3:] == uniforms(1, 0, 3, 50)).any()


# Enumeration


def test_configurations_are_all_there_in_order() -> None:
    blocks = list(streams.configurations(((2, (-1, 1)), (1, (0, 1))), np.float64))
    v = np.concatenate([block[0] for block in blocks])
    h = np.concatenate([block[1] for block in blocks])
    expected = list(itertools.product((-1, 1), (-1, 1), (0, 1)))
    np.testing.assert_array_equal(np.hstack([v, h]), expected)


def test_configurations_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = next(streams.configurations(((5, (0, 1)),), np.float32))[0]
    monkeypatch.setattr(streams, "_BLOCK_VALUES", 7 * 5)
    blocks = [block for (block,) in streams.configurations(((5, (0, 1)),), np.float32)]
    assert [len(block) for block in blocks] == [7, 7, 7, 7, 4]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_too_many_configurations_are_refused_with_their_number() -> None:
    with pytest.raises(ValueError, match=r"2\^25 configurations, and at most 16,777,216"):
        next(streams.configurations(((25, (0, 1)),), np.float64))


def test_log_sum_exp_over_blocks_neither_overflows_nor_depends_on_them() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=1000) * 300 + 5000
    exact = np.logaddexp.reduce(np.sort(x))
    for pieces in (1, 7, 1000):
        total = streams.LogSumExp()
        for piece in np.array_split(x, pieces):
            total.add(piece)
        # Rounding of the logarithm alone is one unit in the last place of 6000.
        assert total.value == pytest.approx(exact, rel=1e-14)
    total = streams.LogSumExp()
    total.add(np.array([-np.inf, -np.inf]))
    assert total.value == -np.inf
    total.add(np.array([1.0, -np.inf]))
    assert total.value == 1.0


# Units with more than two states: Numba's functions and draws are those of NumPy, which test_units holds to 400 digits.

ONE_ARGUMENT = [
    "lnexprel",
    "exprel_mean",
    "exprel_variance",
    "lnmills",
    "mills_mean",
    "mills_variance",
    "neg",
    "nonzero",
    "pos",
]
POSITIVE = [
    "bose",
    "log1mexp",
    "lognorm",
    "lnbessel",
    "bessel_slope",
    "bessel_curvature",
    "lnsinhc",
    "sinhc_slope",
    "sinhc_curvature",
]
COUNTED = ["lngeomsum", "geomsum_mean", "geomsum_variance"]
CALLS = [
    *(f"{name}(x)" for name in ONE_ARGUMENT),
    *(f"{name}(abs(x))" for name in POSITIVE),
    *(f"{name}(5, x)" for name in COUNTED),
    "logsumexp(-x, real(0.5), x)",
    "softmax(3, -x, real(0.5), x)",
]


def _looped(calls: list[str], signature: str, loop: str) -> Any:
    """A compiled loop, as generated modules write them, that stores the value of each call."""
    lines = [f"            out[{k}, i, j] = {call}" for k, call in enumerate(calls)]
    source = "\n".join([f"def made({signature}):", "    real = out.dtype.type", *loop.splitlines(), *lines])
    scope: dict[str, Any] = {name: getattr(numba, name) for name in numba.__all__}
    exec(source, scope)
    return njit(error_model="numpy", fastmath={"reassoc", "nsz", "contract"}, nogil=True)(scope["made"])


_ROWS_AND_UNITS = "    for i in range(out.shape[1]):\n        for j in range(out.shape[2]):"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_functions_of_many_states_are_those_of_numpy(dtype: type) -> None:
    x = 10.0 ** np.linspace(-8, 4, 97)
    x = np.stack([x, -x]).astype(dtype)
    out = np.empty((len(CALLS), *x.shape), dtype)
    calls = [call.replace("x)", "x[i, j])").replace("-x,", "-x[i, j],") for call in CALLS]
    _looped(calls, "x, out", _ROWS_AND_UNITS)(x, out)
    wide = x.astype(np.float64)
    names = {name: getattr(numpy, name) for name in numpy.__all__} | {"real": float, "abs": np.abs}
    for call, values in zip(CALLS, out, strict=True):
        expected = eval(call, {**names, "x": wide})
        # Both are within a few units in the last place of the exact value. lnmills crosses 0 at x = −0.3, and terms of
        # sinhc_curvature, of the order of 1/x, cancel to some hundredths around x = 1: the error is that of the terms.
        tolerance = 4e-15 if dtype is np.float64 else 2.5e-7
        smallest = 1e-290 if dtype is np.float64 else 1e-36
        terms = {"lnmills": 1.0, "sinhc_curvature": 1 / np.maximum(np.abs(wide), 1)}
        size = np.maximum(np.abs(expected), terms.get(call.partition("(")[0], 0.0))
        assert (np.abs(values - expected) <= tolerance * size + smallest).all(), call


# Arguments in terms of a field x, plain numbers, and the function that gives the same in NumPy.
DRAWS = [
    "binomial(9, x)",
    "binomial(1100, x)",
    "exponential(abs(x))",
    "finite(x, -x, real(0.5), -1, 0, 2)",
    "gamma(abs(x), 2.5)",
    "gamma(abs(x), 0.3)",
    "gaussian(x, abs(x))",
    "geometric(abs(x))",
    "integer(7, x)",
    "poisson(x)",
    "poisson(4 + abs(x))",
    "rectified(3 * x, abs(x))",
    "spike_and_slab(x, 2 * x, abs(x))",
    "two_sided(x, 3 * x, abs(x), -x, 0.5)",
    "uniform(5 * x)",
    "von_mises(3 * x, abs(x) - 1)",
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_draws_from_many_states_are_those_of_numpy(dtype: type) -> None:
    rows, units, key, first_row = 40, 60, 77, 5
    x = (np.random.default_rng(3).normal(size=(rows, units)) * 2).astype(dtype)
    streams = row_streams(key, first_row, rows)
    calls = [
        f"draw_{call.replace('(', '(s0[i], s1[i], j, x[i, j], ', 1)}".replace("x)", "x[i, j])")
        .replace("x,", "x[i, j],")
        .replace("real(", "float(")
        for call in DRAWS
    ]
    out = np.empty((len(DRAWS), rows, units), dtype)
    _looped(calls, "s0, s1, x, out", _ROWS_AND_UNITS)(*streams, x, out)
    names = {name: getattr(numpy, name) for name in numpy.__all__} | {"real": float, "abs": np.abs}
    for call, values in zip(DRAWS, out, strict=True):
        expected = eval(f"draw_{call.replace('(', '(streams, ', 1)}", {**names, "x": x, "streams": streams})
        assert expected.dtype == dtype
        if dtype is np.float32:  # 3x is rounded to float32 by NumPy and not inside the loop
            assert (np.abs(values - expected) <= 1e-4 * (1 + np.abs(expected))).mean() > 0.99, call
        else:
            np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-12, err_msg=call)


def test_draws_called_from_python_are_those_of_the_row() -> None:
    streams = row_streams(9, 0, 1)
    like = np.float64(0)
    expected = numpy.draw_gamma(streams, np.full((1, 4), 2.0), 1.5)[0, 3]
    assert numba.draw_gamma(streams[0][0], streams[1][0], 3, like, 2.0, 1.5) == expected
    assert numba.fine_uniform(streams[0][0], streams[1][0], 3) == numpy.fine_uniform(streams, 4)[0, 3]


def test_draws_of_arrays_are_those_of_numpy() -> None:
    x = np.random.default_rng(4).normal(size=(5, 6))
    u = array_api.fine_uniforms(3, 2, x.shape, x)
    streams = row_streams(3, 2, 5)
    np.testing.assert_array_equal(u, numpy.fine_uniform(streams, 6))
    for name, arguments in {
        "finite": (x, 0.0, -x, -1, 0, 1),
        "gaussian": (x, 0.5),
        "integer": (4, x),
        "rectified": (-30 * x, 2.0),
        "two_sided": (x, x, 1.0, -x, 1.0),
        "uniform": (x,),
    }.items():
        drawn = getattr(array_api, f"draw_{name}")(u, *arguments)
        np.testing.assert_array_equal(drawn, getattr(numpy, f"draw_{name}")(streams, *arguments))


def test_the_normal_quantile_keeps_its_bound() -> None:
    # Down to 5.6e-17, half a step of 53 bits; the same polynomials by both ways of reckoning.
    p = np.concatenate([np.geomspace(5.6e-17, 0.5, 4001)[:-1], np.linspace(0.001, 0.999, 4001)])
    wanted = [NormalDist().inv_cdf(x) for x in p]
    np.testing.assert_allclose(quantiles.normal_quantile(p), wanted, rtol=0, atol=2e-12)

    normal_quantile = numba_draws.QUANTILES["normal_quantile"]

    @njit
    def each(p: np.ndarray) -> np.ndarray:
        out = np.empty_like(p)
        for i in range(p.size):
            out[i] = normal_quantile(p[i])
        return out

    np.testing.assert_allclose(each(p), wanted, rtol=0, atol=2e-12)


def test_fine_numbers_are_uniform_and_unrelated() -> None:
    streams = row_streams(1, 0, 400)
    numbers = [numpy.fine_uniform(streams, 500, step) for step in range(4)]
    for one in numbers:
        assert one.min() > 0
        assert one.max() < 1
        assert len(np.unique(one)) == one.size  # 200,000 of 2^52
        # The low bits too: 1,023 degrees of freedom, standard deviation 45.2; five of them.
        for part in (one, one * 2.0**26 % 1):
            counts = np.bincount((part * 1024).astype(int).ravel(), minlength=1024)
            expected = one.size / 1024
            assert abs(((counts - expected) ** 2).sum() / expected - 1023) < 226
    for one, other in itertools.combinations(numbers, 2):
        assert abs(correlation(one, other)) < 5
        assert abs(correlation(one[:, 1:], other[:, :-1])) < 5
