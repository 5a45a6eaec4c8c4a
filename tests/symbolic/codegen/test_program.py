"""Layers that are given, several layers summed out at once, and layers whose units are drawn one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from symbolic import ArgumentError, Energy
from symbolic.codegen.build import Kernels, compile_energy
from symbolic.units import lookup

TARGETS = ("numpy", "numba", "array-api")
SIZES = {"v": 4, "h": 2, "g": 3, "x": 2}
Arrays = dict[str, np.ndarray]
_PAIRS = "-sum(v[i]*w[i,j]*h[j], i, j) - sum(a[i]*v[i], i)"

ENERGIES: dict[str, Callable[[], Energy]] = {
    "semi-restricted": lambda: Energy.parse(
        _PAIRS + " - sum(L[i,k]*v[i]*v[k], i, k)/2",
        visible={"v": "binary"},
        hidden={"h": "binary"},
        symmetric=["L"],
    ),
    "with a diagonal": lambda: Energy.parse(
        _PAIRS + " - sum(L[i,k]*v[i]*v[k], i, k)/2", visible={"v": "spin"}, hidden={"h": "binary"}
    ),
    "one unit apart": lambda: Energy.parse(
        _PAIRS + " - v[0]*sum(c[i]*v[i], i)", visible={"v": "spin"}, hidden={"h": "binary"}
    ),
    "squared": lambda: Energy.parse(
        "sum(h[j]*sum(w[i,j]*v[i], i)^2, j)/2 - sum(b[j]*h[j], j)", visible={"v": "spin"}, hidden={"h": "binary"}
    ),
    "three states": lambda: Energy.parse(
        _PAIRS + " - sum(L[i,k]*v[i]*v[k], i, k)/4", visible={"v": "{-1, 0, 1}"}, hidden={"h": "binary"}
    ),
    "Ising": lambda: Energy.parse("-sum(J[i,k]*v[i]*v[k], i, k)/2", visible={"v": "spin"}, symmetric=["J"]),
    "conditional": lambda: Energy.parse(
        "-sum(v[i]*w[i,j]*h[j], i, j) - sum(x[d]*A[d,i]*v[i], d, i) - sum(x[d]*B[d,j]*h[j], d, j)",
        visible={"v": "spin"},
        hidden={"h": "binary"},
        given={"x": "gaussian"},
    ),
    "deep": lambda: Energy.parse(
        "-sum(v[i]*w[i,j]*h[j], i, j) - sum(h[j]*u[j,l]*g[l], j, l)",
        visible={"v": "spin"},
        hidden={"h": "binary", "g": "binary"},
    ),
}


def made(kernels: Kernels, rows: int = 6) -> tuple[Arrays, Arrays]:
    """States and parameters."""
    rng = np.random.default_rng(0)
    parameters = {
        name: np.asarray(rng.normal(0, 0.6, tuple(SIZES[layer] for layer in layers)))
        for name, layers in kernels.parameters.items()
    }
    for name in ("L", "J"):
        if name in parameters and f"{name}[i, i]" not in kernels.source:  # symmetric, without a diagonal
            upper = np.triu(parameters[name], 1)
            parameters[name] = upper + upper.T
    states = {}
    for name, unit in kernels.layers.items():
        domain = lookup(unit).domain
        shape = (rows, SIZES[name])
        finite = domain.states is not None
        states[name] = rng.choice([float(s) for s in domain.states], shape) if finite else rng.normal(size=shape)
    return states, parameters


def log_weights(kernels: Kernels, states: Arrays, parameters: Arrays, summed: tuple[str, ...]) -> np.ndarray:
    """−E of every configuration of some layers (rows of the result), the others as they are (columns)."""
    rows = len(next(iter(states.values())))
    every = [
        itertools.product([float(s) for s in lookup(kernels.layers[name]).states], repeat=SIZES[name])
        for name in summed
    ]
    found = []
    for chosen in itertools.product(*every):
        changed = {**states, **{n: np.tile(np.array(s), (rows, 1)) for n, s in zip(summed, chosen, strict=True)}}
        found.append(-kernels.energy(**changed, **parameters))
    return np.array(found)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ENERGIES)
def test_free_energies_and_phases(name: str, target: str) -> None:
    kernels = compile_energy(ENERGIES[name](), target)
    states, parameters = made(kernels)
    weights = np.linspace(-1, 1, 6)
    kept_sets = [f.removeprefix("free_energy_of_") for f in kernels.methods if f.startswith("free_energy_of_")]
    assert kept_sets or name == "Ising"
    for joined in kept_sets:
        kept = tuple(joined.split("_"))
        summed = tuple(one for one in kernels.layers if one not in (*kept, *kernels.given))
        x = {one: states[one] for one in (*kept, *kernels.given)}
        expected = -np.logaddexp.reduce(log_weights(kernels, states, parameters, summed), axis=0)
        np.testing.assert_allclose(kernels.free_energy(x, of=kept, **parameters), expected, rtol=1e-12, atol=1e-12)
        if f"phase_of_{joined}" not in kernels.methods:
            assert kernels.methods[f"free_energy_of_{joined}"] == "enumeration"
            continue
        phase = kernels.phase(x, of=kept, row_weights=weights, **parameters)
        for key, value in parameters.items():
            tied = name == "semi-restricted" and key == "L"
            for place in np.ndindex(value.shape):
                slopes = []
                for sign in (-1, 1):
                    changed = {**parameters, key: value.copy()}
                    for where in {place, place[::-1]} if tied else {place}:
                        changed[key][where] += sign * 1e-5
                    slopes.append(-weights @ kernels.free_energy(x, of=kept, **changed))
                if tied and place[0] == place[1]:
                    continue  # there is no such parameter
                # Central differences: about 1e-10 of truncation and 1e-10 of rounding.
                assert phase[key][place] == pytest.approx((slopes[1] - slopes[0]) / 2e-5, abs=1e-7)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ENERGIES)
def test_ln_z(name: str, target: str) -> None:
    kernels = compile_energy(ENERGIES[name](), target)
    states, parameters = made(kernels)
    every = log_weights(kernels, states, parameters, kernels.visible + kernels.hidden)
    expected = np.logaddexp.reduce(every, axis=0)
    assert kernels.methods["log_partition"] == "enumeration"
    if kernels.given:
        found = kernels.log_partition({one: states[one] for one in kernels.given}, **parameters)
        assert found.shape == (6,)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    else:
        assert kernels.log_partition(**parameters) == pytest.approx(expected[0], rel=1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ENERGIES)
def test_means_and_draws_of_single_units(name: str, target: str) -> None:
    kernels = compile_energy(ENERGIES[name](), target)
    states, parameters = made(kernels)
    for layer in kernels.visible + kernels.hidden:
        tied = kernels.methods[f"mean_of_{layer}"] == "single-site"
        assert tied == (layer == "v" and name not in ("conditional", "deep"))
        x = {one: value for one, value in states.items() if one != layer or tied}
        values = np.array([float(s) for s in lookup(kernels.layers[layer]).states])
        expected = np.empty_like(states[layer])
        for unit in range(SIZES[layer]):
            logs = []
            for value in values:
                changed = {**states, layer: states[layer].copy()}
                changed[layer][:, unit] = value
                logs.append(-kernels.energy(**changed, **parameters))
            share = np.exp(np.array(logs) - np.logaddexp.reduce(np.array(logs), axis=0))
            expected[:, unit] = values @ share
        np.testing.assert_allclose(kernels.mean(layer, x, **parameters), expected, rtol=1e-12, atol=1e-12)

        drawn = kernels.sample(layer, x, 11, first_row=4, **parameters)
        reference = compile_energy(ENERGIES[name](), "numpy").sample(layer, x, 11, first_row=4, **parameters)
        np.testing.assert_array_equal(drawn, reference)
        parts = [
            kernels.sample(layer, {one: value[rows] for one, value in x.items()}, 11, first_row=4 + start, **parameters)
            for start, rows in ((0, slice(0, 2)), (2, slice(2, 6)))
        ]
        np.testing.assert_array_equal(np.concatenate(parts), drawn)


@pytest.mark.parametrize("target", TARGETS)
def test_sweeps_leave_the_distribution_as_it_is(target: str) -> None:
    kernels = compile_energy(ENERGIES["with a diagonal"](), target)
    _, parameters = made(kernels)
    h = np.tile([[1.0, 0.0]], (20_000, 1))
    every = np.array(list(itertools.product((-1.0, 1.0), repeat=4)))
    logs = -kernels.energy(every, h[:16], **parameters)
    p = np.exp(logs - np.logaddexp.reduce(logs))
    start = every[np.random.default_rng(1).choice(16, len(h), p=p)]
    after = kernels.sample("v", {"v": start, "h": h}, 3, **parameters)
    assert (after != start).any(axis=1).mean() > 0.3
    code = ((after + 1) / 2 @ [8, 4, 2, 1]).astype(int)
    counts = np.bincount(code, minlength=16)
    chi_square = ((counts - len(h) * p) ** 2 / (len(h) * p)).sum()
    # Fifteen degrees of freedom: above 45 once in ten thousand; the keys are fixed.
    assert chi_square < 45


@pytest.mark.parametrize("target", TARGETS)
def test_a_continuous_layer_is_swept(target: str) -> None:
    energy = Energy.parse(
        "sum(h[j]*sum(w[i,j]*v[i], i)^2, j)/2 + sum(v[i]^2, i)/2 - sum(b[j]*h[j], j)",
        visible={"v": "gaussian"},
        hidden={"h": "binary"},
    )
    kernels = compile_energy(energy, target)
    _, parameters = made(kernels)
    rows = 20_000
    h = np.tile([[1.0, 1.0]], (rows, 1))
    precision = np.eye(4) + parameters["w"] @ parameters["w"].T
    covariance = np.linalg.inv(precision)
    start = np.random.default_rng(1).normal(size=(rows, 4)) @ np.linalg.cholesky(covariance).T
    after = kernels.sample("v", {"v": start, "h": h}, 3, **parameters)
    # A normal sample of the covariance that the energy has stays one; entries below 1, five standard errors.
    np.testing.assert_allclose(np.cov(after.T), covariance, atol=5 * np.sqrt(2 / rows))
    np.testing.assert_allclose(
        kernels.mean("v", {"v": start[:5], "h": h[:5]}, **parameters),
        start[:5] - start[:5] @ precision / np.diag(precision),
        rtol=1e-11,
        atol=1e-12,
    )
    reference = compile_energy(energy, "numpy").sample("v", {"v": start[:9], "h": h[:9]}, 3, **parameters)
    # The random bits are the same, the functions of them differ by rounding, which a sweep passes on.
    np.testing.assert_allclose(after[:9], reference, rtol=1e-11, atol=1e-12)


def test_a_unit_that_a_term_singles_out_ties_nothing() -> None:
    energy = Energy.parse(
        "-sum(v[i]*w[i,j]*h[j], i, j) - s*v[0]", visible={"v": "binary"}, hidden={"h": "binary"}, parameters={"s": ()}
    )
    kernels = compile_energy(energy, "numpy")
    assert kernels.methods["sample_of_v"] == "closed form"
    rng = np.random.default_rng(0)
    w, s, h = rng.normal(size=(4, 2)), np.asarray(1.5), np.ones((3, 2))
    field = h @ w.T + s * np.eye(4)[0]
    np.testing.assert_allclose(kernels.mean("v", h, w=w, s=s), 1 / (1 + np.exp(-field)), rtol=1e-13)
    assert kernels.sample("v", h, 1, w=w, s=s).shape == (3, 4)


def test_what_is_asked_of_the_wrong_layers() -> None:
    kernels = compile_energy(ENERGIES["conditional"](), "numpy")
    states, parameters = made(kernels)
    assert kernels.given == ("x",)
    with pytest.raises(ArgumentError, match="layer x is given; its units have no distribution in this model"):
        kernels.mean("x", states, **parameters)
    with pytest.raises(ArgumentError, match=r"of names the layers kept, out of v, h\. Got 'x'"):
        kernels.free_energy(states, of="x", **parameters)
    with pytest.raises(ArgumentError, match=r"states of v, x are needed, as \{layer: array\}. Got v"):
        kernels.free_energy({"v": states["v"]}, **parameters)
    with pytest.raises(ArgumentError, match="states of x are needed"):
        kernels.log_partition(**parameters)
    tied = compile_energy(ENERGIES["semi-restricted"](), "numpy")
    states, parameters = made(tied)
    with pytest.raises(ArgumentError, match=r"states of v, h are needed"):
        tied.sample("v", {"h": states["h"]}, 1, **parameters)
    with pytest.raises(ArgumentError, match="log_partition takes parameters alone"):
        tied.log_partition({"v": states["v"]}, **parameters)
