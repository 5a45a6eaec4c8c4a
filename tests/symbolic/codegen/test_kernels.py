"""Generated kernels against sums over all configurations of tiny models, and the two targets against each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sympy import exp

from symbolic import Energy, Layer, Parameter, Sum, softplus
from symbolic.codegen.build import Kernels, compile_energy, ready_made
from symbolic.units import lookup

TARGETS = ("numpy", "numba", "array-api")
Arrays = dict[str, np.ndarray]


class Truth:
    """All configurations of a small model, with an energy typed in by hand."""

    def __init__(self, layers: dict[str, str], sizes: dict[str, int], energy: Callable[[Arrays, Arrays], np.ndarray]):
        self.layers = layers
        self.energy = energy
        every = itertools.product(
            *(itertools.product(lookup(unit).states, repeat=sizes[name]) for name, unit in layers.items())
        )
        rows = list(every)
        self.states = {name: np.array([row[n] for row in rows], float) for n, name in enumerate(layers)}

    def given(self, names: tuple[str, ...]) -> dict[tuple[Any, ...], list[int]]:
        """Rows of equal states in the layers named."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        joined = np.hstack([self.states[name] for name in names])
        for number, row in enumerate(joined):
            groups.setdefault(tuple(row), []).append(number)
        return groups

    def log_z(self, parameters: Arrays) -> float:
        return float(np.logaddexp.reduce(-self.energy(self.states, parameters)))

    def free_energy(self, names: tuple[str, ...], parameters: Arrays) -> np.ndarray:
        energy = self.energy(self.states, parameters)
        out = np.empty_like(energy)
        for rows in self.given(names).values():
            out[rows] = -np.logaddexp.reduce(-energy[rows])
        return out

    def mean(self, layer: str, names: tuple[str, ...], parameters: Arrays) -> np.ndarray:
        weight = np.exp(self.free_energy(names, parameters) - self.energy(self.states, parameters))
        out = np.empty_like(self.states[layer])
        for rows in self.given(names).values():
            out[rows] = weight[rows] @ self.states[layer][rows]
        return out


def pairwise_truth(visible: str, hidden: str, n_v: int = 4, n_h: int = 3) -> Truth:
    def energy(x: Arrays, p: Arrays) -> np.ndarray:
        return -np.einsum("ti,ij,tj->t", x["v"], p["w"], x["h"]) - x["v"] @ p["a"] - x["h"] @ p["b"]

    return Truth({"v": visible, "h": hidden}, {"v": n_v, "h": n_h}, energy)


def pairwise_parameters(seed: int, n_v: int = 4, n_h: int = 3, scale: float = 1.0) -> Arrays:
    rng = np.random.default_rng(seed)
    shapes = {"a": (n_v,), "b": (n_h,), "w": (n_v, n_h)}
    return {name: rng.normal(0, scale, shape) for name, shape in shapes.items()}


def cast(arrays: Arrays, dtype: type) -> Arrays:
    return {name: array.astype(dtype) for name, array in arrays.items()}


CASES = [
    pytest.param(target, pair, dtype, id=f"{target}-{'-'.join(pair)}-{dtype.__name__}")
    for target, pair, dtype in [
        ("numpy", ("binary", "binary"), np.float64),
        ("numpy", ("binary", "binary"), np.float32),
        ("numpy", ("spin", "spin"), np.float64),
        ("numpy", ("binary", "spin"), np.float32),
        ("numba", ("binary", "binary"), np.float64),
        ("numba", ("binary", "binary"), np.float32),
        ("numba", ("spin", "binary"), np.float64),
        ("numba", ("spin", "binary"), np.float32),
        ("array-api", ("binary", "spin"), np.float64),
        ("array-api", ("spin", "binary"), np.float32),
    ]
]


@pytest.mark.parametrize(("target", "pair", "dtype"), CASES)
def test_pairwise_kernels_agree_with_brute_force(target: str, pair: tuple[str, str], dtype: type) -> None:
    kernels = ready_made("pairwise", visible=pair[0], hidden=pair[1], target=target)
    truth = pairwise_truth(*pair)
    parameters = cast(pairwise_parameters(0), dtype)
    doubles = cast(parameters, float)
    states = cast(truth.states, dtype)
    # Some twenty operations on numbers below 10, each good to half a unit in the last place.
    close: dict[str, Any] = {"rtol": 30 * np.finfo(dtype).eps, "atol": 100 * np.finfo(dtype).eps}

    energy = kernels.energy(states["v"], states["h"], **parameters)
    np.testing.assert_allclose(energy, truth.energy(truth.states, doubles), **close)
    assert energy.dtype == dtype

    for given, other in (("v", "h"), ("h", "v")):
        free_energy = kernels.free_energy(states[given], of=given, **parameters)
        np.testing.assert_allclose(free_energy, truth.free_energy((given,), doubles), **close)
        assert free_energy.dtype == dtype
        mean = kernels.mean(other, states[given], **parameters)
        np.testing.assert_allclose(mean, truth.mean(other, (given,), doubles), **close)
        assert mean.dtype == dtype

        weights = np.linspace(-1, 1, len(mean)).astype(dtype)
        phase = kernels.phase(states[given], of=given, row_weights=weights, **parameters)
        full = {other: truth.mean(other, (given,), doubles), given: truth.states[given]}
        expected = {
            "a": weights @ full["v"],
            "b": weights @ full["h"],
            "w": np.einsum("t,ti,tj->ij", weights, full["v"], full["h"]),
        }
        for name, value in phase.items():
            # Sums over up to 128 rows.
            np.testing.assert_allclose(value, expected[name], atol=2000 * np.finfo(dtype).eps)
            assert value.dtype == dtype

        both, drawn = kernels.phase_and_sample(states[given], 5, of=given, row_weights=weights, **parameters)
        for name, value in both.items():
            np.testing.assert_array_equal(value, phase[name])
        np.testing.assert_array_equal(drawn, kernels.sample(other, states[given], 5, **parameters))
        assert drawn.dtype == dtype
        assert set(np.unique(drawn)) <= set(map(float, lookup(kernels.layers[other]).states))

    assert kernels.log_partition(**parameters) == pytest.approx(
        truth.log_z(doubles), rel=30 * float(np.finfo(dtype).eps)
    )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("pair", [("binary", "binary"), ("spin", "binary")])
def test_the_gradient_is_that_of_ln_p(target: str, pair: tuple[str, str]) -> None:
    kernels = ready_made("pairwise", visible=pair[0], hidden=pair[1], target=target)
    truth = pairwise_truth(*pair)
    parameters = pairwise_parameters(1)
    every = np.unique(truth.states["v"], axis=0)
    data = np.ascontiguousarray(every[[1, 3, 3, 10]])

    def log_likelihood(changed: Arrays) -> float:
        rows = {tuple(v): number for number, v in enumerate(truth.states["v"])}
        free = truth.free_energy(("v",), changed)
        return float(np.mean([-free[rows[tuple(v)]] for v in data])) - truth.log_z(changed)

    p = np.exp(-kernels.free_energy(every, **parameters) - kernels.log_partition(**parameters))
    assert p.sum() == pytest.approx(1, rel=1e-12)
    shares = np.full(len(data), 1 / len(data))
    term_a = kernels.phase(data, row_weights=shares, **parameters)
    term_b = kernels.phase(every, row_weights=p, **parameters)
    step = 1e-5
    for name, value in parameters.items():
        for place in np.ndindex(value.shape):
            moved = {sign: {**parameters, name: value.copy()} for sign in (-1, 1)}
            for sign, changed in moved.items():
                changed[name][place] += sign * step
            slope = (log_likelihood(moved[1]) - log_likelihood(moved[-1])) / (2 * step)
            # Central differences: step² times a third derivative, and rounding of 1e-15 over the step.
            assert term_a[name][place] - term_b[name][place] == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_gradient_subtracts_the_mean_phases(target: str) -> None:
    kernels = ready_made("pairwise", target=target)
    parameters = pairwise_parameters(2)
    rng = np.random.default_rng(0)
    data = rng.integers(0, 2, (6, 4)).astype(float)
    model = rng.integers(0, 2, (11, 4)).astype(float)
    for name in parameters:
        expected = kernels.phase(data, **parameters)[name] / 6 - kernels.phase(model, **parameters)[name] / 11
        np.testing.assert_allclose(kernels.gradient(name, data, model, **parameters), expected, atol=1e-14)


@pytest.mark.parametrize("target", TARGETS)
def test_the_lecture_has_weights_only(target: str) -> None:
    kernels = ready_made("lecture", target=target)
    assert kernels.parameters == {"w": ("v", "h")}
    parameters = pairwise_parameters(3)
    bare = {"w": parameters["w"]}
    truth = pairwise_truth("binary", "binary")
    zeros = {"a": np.zeros(4), "b": np.zeros(3), **bare}
    np.testing.assert_allclose(kernels.mean("h", truth.states["v"], **bare), truth.mean("h", ("v",), zeros), rtol=1e-14)
    np.testing.assert_allclose(
        kernels.free_energy(truth.states["v"], **bare), truth.free_energy(("v",), zeros), rtol=1e-14
    )
    assert kernels.log_partition(**bare) == pytest.approx(truth.log_z(zeros), rel=1e-14)


# Extremes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("visible", ["binary", "spin"])
def test_huge_fields_stay_finite(target: str, visible: str, dtype: type) -> None:
    kernels = ready_made("pairwise", visible=visible, hidden="binary", target=target)
    v = np.ones((3, 2), dtype)
    h = np.ones((3, 2), dtype)
    for size in (4e7, -4e7):
        parameters = {
            "a": np.zeros(2, dtype),
            "b": np.zeros(2, dtype),
            "w": np.full((2, 2), size / 2, dtype),
        }
        field = float(dtype(size))
        np.testing.assert_array_equal(kernels.mean("h", v, **parameters), np.full((3, 2), size > 0, dtype))
        np.testing.assert_array_equal(kernels.free_energy(v, **parameters), np.full(3, -2 * max(field, 0.0), dtype))
        on, off = lookup(visible).states[::-1]
        np.testing.assert_array_equal(
            kernels.mean("v", h, **parameters), np.full((3, 2), on if size > 0 else off, dtype)
        )
        np.testing.assert_array_equal(
            kernels.sample("v", h, 3, **parameters), np.full((3, 2), on if size > 0 else off, dtype)
        )
        expected = {"binary": max(field, 0.0), "spin": abs(field)}[visible]
        np.testing.assert_array_equal(kernels.free_energy(h, of="h", **parameters), np.full(3, -2 * expected, dtype))
        for value in kernels.phase(v, **parameters).values():
            assert np.isfinite(value).all()
        assert np.isfinite(kernels.log_partition(**parameters))


@pytest.mark.parametrize("target", TARGETS)
def test_nan_is_not_hidden(target: str) -> None:
    kernels = ready_made("pairwise", target=target)
    parameters = pairwise_parameters(4)
    parameters["w"][0, 0] = np.nan
    v = np.ones((1, 4))
    assert np.isnan(kernels.mean("h", v, **parameters)[0, 0])
    assert np.isnan(kernels.free_energy(v, **parameters)).all()


@pytest.mark.parametrize("target", TARGETS)
def test_no_rows_give_no_rows(target: str) -> None:
    kernels = ready_made("pairwise", target=target)
    parameters = pairwise_parameters(4)
    v = np.empty((0, 4))
    assert kernels.mean("h", v, **parameters).shape == (0, 3)
    assert kernels.sample("h", v, 1, **parameters).shape == (0, 3)
    assert kernels.free_energy(v, **parameters).shape == (0,)
    assert not kernels.phase(v, **parameters)["w"].any()


# The two targets


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("visible", ["binary", "spin"])
def test_both_targets_draw_the_same_states(visible: str, dtype: type) -> None:
    numpy, numba = (ready_made("pairwise", visible=visible, target=target) for target in ("numpy", "numba"))
    parameters = cast(pairwise_parameters(5, 40, 60), dtype)
    v = np.random.default_rng(0).integers(0, 2, (500, 40)).astype(dtype)
    h = np.random.default_rng(1).integers(0, 2, (500, 60)).astype(dtype)
    for layer, x in (("h", v), ("v", h)):
        one, other = (k.sample(layer, x, 77, first_row=9, **parameters) for k in (numpy, numba))
        # The bits are the same; the means may differ in their last bits, which decides one float32 state in 10^6.
        assert (one != other).sum() <= 2


@pytest.mark.parametrize("target", TARGETS)
def test_both_targets_compare_the_same_bits_with_one_half(target: str) -> None:
    numpy = ready_made("pairwise", target="numpy")
    kernels = ready_made("pairwise", target=target)
    zeros = {name: np.zeros_like(value) for name, value in pairwise_parameters(0, 4, 300).items()}
    v = np.zeros((200, 4))
    np.testing.assert_array_equal(kernels.sample("h", v, 1, **zeros), numpy.sample("h", v, 1, **zeros))


# Sampling


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("visible", ["binary", "spin"])
def test_draws_have_their_means(target: str, visible: str) -> None:
    kernels = ready_made("pairwise", visible=visible, target=target)
    parameters = pairwise_parameters(6)
    rows = 40_000
    low, high = lookup(visible).states
    for layer, given in (("h", np.array([[high, low, high, high]], float)), ("v", np.array([[1.0, 0.0, 1.0]]))):
        states = lookup(kernels.layers[layer]).states
        mean = kernels.mean(layer, given, **parameters)[0]
        drawn = kernels.sample(layer, np.repeat(given, rows, axis=0), 2024, **parameters)
        variance = (mean - states[0]) * (states[1] - mean)
        # Five standard errors; the key is fixed, so this holds or it does not.
        assert (np.abs(drawn.mean(axis=0) - mean) < 5 * np.sqrt(variance / rows)).all()


@pytest.mark.parametrize("target", TARGETS)
def test_draws_do_not_depend_on_how_rows_are_split(target: str) -> None:
    kernels = ready_made("pairwise", target=target)
    parameters = pairwise_parameters(7, 12, 9)
    v = np.random.default_rng(2).integers(0, 2, (50, 12)).astype(float)
    whole = kernels.sample("h", v, 3, first_row=100, **parameters)
    parts = [
        kernels.sample("h", v[lo:hi], 3, first_row=100 + lo, **parameters) for lo, hi in ((0, 1), (1, 32), (32, 50))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    _, drawn = kernels.phase_and_sample(v[32:], 3, first_row=132, **parameters)
    np.testing.assert_array_equal(drawn, whole[32:])
    assert not np.array_equal(kernels.sample("h", v, 4, first_row=100, **parameters), whole)


def test_a_generator_gives_one_key_a_call() -> None:
    kernels = ready_made("pairwise", target="numpy")
    parameters = pairwise_parameters(7)
    v = np.ones((20, 4))
    rng, twin = np.random.default_rng(0), np.random.default_rng(0)
    key = int(twin.integers(0, 2**64, dtype=np.uint64))
    np.testing.assert_array_equal(kernels.sample("h", v, rng, **parameters), kernels.sample("h", v, key, **parameters))
    assert rng.random() == twin.random()


# Energies beyond the pairwise one


def _third_order() -> tuple[Energy, Truth]:
    x, v, h = Layer("x", "binary"), Layer("v", "spin"), Layer("h", "binary")
    k, i, j = x.index("k"), v.index("i"), h.index("j")
    gate, b = Parameter("G", x, v, h), Parameter("b", h)
    energy = Energy(-Sum(gate[k, i, j] * x[k] * v[i] * h[j], k, i, j) - Sum(b[j] * h[j], j), visible=[x, v], hidden=[h])
    truth = Truth(
        {"x": "binary", "v": "spin", "h": "binary"},
        {"x": 2, "v": 3, "h": 2},
        lambda s, p: -np.einsum("tk,kij,ti,tj->t", s["x"], p["G"], s["v"], s["h"]) - s["h"] @ p["b"],
    )
    return energy, truth


def _scaled_and_transposed() -> tuple[Energy, Truth]:
    v, h = Layer("v", "spin"), Layer("h", "binary")
    i, j = v.index("i"), h.index("j")
    w, c, s = Parameter("w", h, v), Parameter("c", v), Parameter("s")[()]
    energy = Energy(-s * Sum(w[j, i] * v[i] * h[j], i, j) - s**2 * Sum(c[i] * v[i], i) / 2, visible=[v], hidden=[h])
    truth = Truth(
        {"v": "spin", "h": "binary"},
        {"v": 3, "h": 2},
        lambda x, p: -p["s"] * np.einsum("ji,ti,tj->t", p["w"], x["v"], x["h"]) - p["s"] ** 2 / 2 * (x["v"] @ p["c"]),
    )
    return energy, truth


def _deep() -> tuple[Energy, Truth]:
    v, h, g = Layer("v"), Layer("h", "spin"), Layer("g")
    i, j, l = v.index("i"), h.index("j"), g.index("l")
    w, u = Parameter("w", v, h), Parameter("u", h, g)
    energy = Energy(-Sum(w[i, j] * v[i] * h[j], i, j) - Sum(u[j, l] * h[j] * g[l], j, l), visible=[v], hidden=[h, g])
    truth = Truth(
        {"v": "binary", "h": "spin", "g": "binary"},
        {"v": 3, "h": 2, "g": 2},
        lambda x, p: (
            -np.einsum("ti,ij,tj->t", x["v"], p["w"], x["h"]) - np.einsum("tj,jl,tl->t", x["h"], p["u"], x["g"])
        ),
    )
    return energy, truth


def _one_unit_and_a_nonlinear_field() -> tuple[Energy, Truth]:
    v, h = Layer("v"), Layer("h")
    i, j = v.index("i"), h.index("j")
    w, c = Parameter("w", h, v), Parameter("c", v)
    energy = Energy(
        -Sum(h[j] * softplus(Sum(w[j, i] * v[i], i)), j) - v[0] * Sum(w[j, i] * h[j] * v[i] ** 2 * exp(c[i]), i, j),
        visible=[v],
        hidden=[h],
    )
    truth = Truth(
        {"v": "binary", "h": "binary"},
        {"v": 3, "h": 2},
        lambda x, p: (
            -(x["h"] * np.log1p(np.exp(x["v"] @ p["w"].T))).sum(axis=1)
            - x["v"][:, 0] * np.einsum("ji,tj,ti,i->t", p["w"], x["h"], x["v"] ** 2, np.exp(p["c"]))
        ),
    )
    return energy, truth


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("make", [_third_order, _scaled_and_transposed, _deep, _one_unit_and_a_nonlinear_field])
def test_other_energies_agree_with_brute_force(make: Callable[[], tuple[Energy, Truth]], target: str) -> None:
    energy, truth = make()
    kernels = compile_energy(energy, target)
    sizes = {name: states.shape[1] for name, states in truth.states.items()}
    rng = np.random.default_rng(8)
    parameters = {
        name: np.asarray(rng.normal(size=tuple(sizes[layer] for layer in layers)))
        for name, layers in kernels.parameters.items()
    }
    np.testing.assert_allclose(
        kernels.energy(*truth.states.values(), **parameters), truth.energy(truth.states, parameters), atol=1e-13
    )
    assert kernels.log_partition(**parameters) == pytest.approx(truth.log_z(parameters), rel=1e-13)
    weights = rng.normal(size=len(next(iter(truth.states.values()))))
    summable = [name for name in kernels.layers if kernels.methods.get(f"mean_of_{name}") == "closed form"]
    assert summable
    for summed in summable:
        given = tuple(name for name in kernels.layers if name != summed)
        x = {name: truth.states[name] for name in given}
        np.testing.assert_allclose(
            kernels.mean(summed, x, **parameters), truth.mean(summed, given, parameters), atol=1e-13
        )
        np.testing.assert_allclose(
            kernels.free_energy(x, of=given, **parameters), truth.free_energy(given, parameters), atol=1e-13
        )
        phase = kernels.phase(x, of=given, row_weights=weights, **parameters)
        for name, value in parameters.items():
            assert phase[name].shape == value.shape
            for place in np.ndindex(value.shape):
                slopes = []
                for sign in (-1, 1):
                    changed = {**parameters, name: value.copy()}
                    changed[name][place] += sign * 1e-5
                    slopes.append(-weights @ truth.free_energy(given, changed))
                # Central differences of a sum over rows: about 1e-10 of truncation and 1e-10 of rounding.
                assert phase[name][place] == pytest.approx((slopes[1] - slopes[0]) / 2e-5, abs=1e-7)
        drawn = kernels.sample(summed, x, 3, **parameters)
        assert set(np.unique(drawn)) <= set(map(float, lookup(kernels.layers[summed]).states))


@pytest.mark.parametrize("target", TARGETS)
def test_energies_that_do_not_separate_are_enumerated(target: str) -> None:
    v = Layer("v", "spin")
    i, k = v.index("i"), v.index("k")
    coupling = Parameter("J", v, v, symmetric=True)
    kernels = compile_energy(Energy(-Sum(coupling[i, k] * v[i] * v[k], i, k) / 2, visible=[v]), target)
    j = np.random.default_rng(0).normal(size=(4, 4))
    j = np.triu(j, 1) + np.triu(j, 1).T
    states = np.array(list(itertools.product((-1.0, 1.0), repeat=4)))
    energy = -np.einsum("ti,ik,tk->t", states, j, states) / 2
    np.testing.assert_allclose(kernels.energy(states, J=j), energy, atol=1e-13)
    assert kernels.log_partition(J=j) == pytest.approx(np.logaddexp.reduce(-energy), rel=1e-13)
    assert kernels.methods["log_partition"] == "enumeration"
    with pytest.raises(ValueError, match="of names layers given which all others can be summed out, one of: none"):
        kernels.free_energy(states, J=j)


# What a user asks of the object itself


def test_the_object_says_what_it_is() -> None:
    kernels = ready_made("pairwise", visible="spin", target="numpy")
    assert isinstance(kernels, Kernels)
    assert kernels.layers == {"v": "spin", "h": "binary"}
    assert kernels.visible == ("v",)
    assert kernels.hidden == ("h",)
    assert kernels.parameters == {"a": ("v",), "b": ("h",), "w": ("v", "h")}
    assert kernels.target == "numpy"
    assert kernels.path.read_text(encoding="utf-8") == kernels.source
    assert repr(kernels).startswith("Kernels(target='numpy', layers: v: spin, h: binary; parameters: a[v]")
