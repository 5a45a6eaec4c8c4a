"""Generated code for categorical units, against sums over all configurations."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from symbolic import Energy

TARGETS = ("numpy", "numba", "array-api")
TEXT = "-sum(w[i,s,j]*indicator(v[i],s)*h[j], i, s, j) - sum(a[i,s]*indicator(v[i],s), i, s) - sum(b[j]*h[j], j)"
BOTH = (
    "-sum(w[i,s,j,r]*indicator(v[i],s)*indicator(h[j],r), i, s, j, r) - sum(a[i,s]*indicator(v[i],s), i, s)"
    " - sum(b[j,r]*indicator(h[j],r), j, r)"
)
STATES = {"binary": (0, 1), "spin": (-1, 1), "potts(2)": (0, 1), "potts(3)": (0, 1, 2)}
N, Q, M = 3, 3, 2


def model(hidden: str, scale: float = 1.0) -> tuple[Energy, dict[str, Any], Any, Any, Any]:
    """The energy, parameters, all configurations of both layers, and −E of every pair of them."""
    labelled = hidden.startswith("potts")
    energy = Energy.parse(BOTH if labelled else TEXT, visible={"v": "potts(3)"}, hidden={"h": hidden})
    rng = np.random.default_rng(3)
    more = (len(STATES[hidden]),) if labelled else ()
    parameters = {"a": (N, Q), "b": (M, *more), "w": (N, Q, M, *more)}
    arrays = {name: rng.normal(size=shape) * scale for name, shape in parameters.items()}
    v = np.array(list(itertools.product(range(Q), repeat=N)), dtype=float)
    h = np.array(list(itertools.product(STATES[hidden], repeat=M)), dtype=float)
    a, b, w = arrays["a"], arrays["b"], arrays["w"]
    exponents = np.zeros((len(v), len(h)))
    for (row, x), (column, y) in itertools.product(enumerate(v.astype(int)), enumerate(h.astype(int))):
        total = sum(a[i, x[i]] for i in range(N))
        for j in range(M):
            total += b[j, y[j]] if labelled else b[j] * y[j]
            total += sum(w[i, x[i], j, y[j]] if labelled else w[i, x[i], j] * y[j] for i in range(N))
        exponents[row, column] = total
    return energy, arrays, v, h, exponents


def log_sum(x: Any, axis: int | None = None) -> Any:
    high = x.max()
    return np.log(np.exp(x - high).sum(axis=axis)) + high


def labels(v: Any) -> Any:
    return (v[..., None] == np.arange(Q)).astype(float)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("hidden", ["binary", "spin", "potts(2)", "potts(3)"])
def test_against_all_configurations(hidden: str, target: str) -> None:
    energy, arrays, v, h, exponents = model(hidden)
    kernels = energy.compile(target)
    pairs = np.repeat(v, len(h), 0), np.tile(h, (len(v), 1))
    np.testing.assert_allclose(kernels.energy(*pairs, **arrays), -exponents.ravel(), rtol=1e-12)
    np.testing.assert_allclose(kernels.free_energy(v, **arrays), -log_sum(exponents, 1), rtol=1e-12)
    np.testing.assert_allclose(kernels.free_energy(h, of="h", **arrays), -log_sum(exponents, 0), rtol=1e-12)
    assert kernels.log_partition(**arrays) == pytest.approx(log_sum(exponents), rel=1e-12)
    p = np.exp(exponents) / np.exp(exponents).sum(axis=0)
    wanted = np.einsum("vh,vis->his", p, labels(v))
    mean = kernels.mean("v", h, **arrays)
    assert mean.shape == (len(h), N, Q)
    np.testing.assert_allclose(mean, wanted, rtol=1e-11)
    for of, rows in (("v", v), ("h", h)):
        weights = np.linspace(0.5, 1.5, len(rows))
        phase = kernels.phase(rows, of=of, row_weights=weights, **arrays)
        for name, array in arrays.items():
            assert phase[name].shape == array.shape
            slope = np.zeros_like(array)
            for place in np.ndindex(*array.shape):
                step = np.zeros_like(array)
                step[place] = 1e-5
                sides = [kernels.free_energy(rows, of=of, **arrays | {name: array + sign * step}) for sign in (1, -1)]
                slope[place] = weights @ (sides[1] - sides[0]) / 2e-5
            # Central differences of step 1e-5 are good to about 1e-16 / 1e-5 times the sum over 27 rows.
            np.testing.assert_allclose(phase[name], slope, atol=1e-8)


@pytest.mark.parametrize("target", TARGETS)
def test_labels_are_drawn_with_their_probabilities(target: str) -> None:
    energy, arrays, _, h, _ = model("binary")
    kernels = energy.compile(target)
    rows = 20_000
    for state in h:
        drawn = kernels.sample("v", np.repeat(state[None], rows, 0), 5, **arrays)
        expected = kernels.mean("v", state[None], **arrays)[0]
        # Four standard errors of a frequency among 20,000 draws, for each of 9 frequencies of 4 states.
        assert np.abs(labels(drawn).mean(axis=0) - expected).max() < 4 * 0.5 / rows**0.5
    both, phase = kernels.phase_and_sample(h, 5, of="h", **arrays)[::-1]
    np.testing.assert_array_equal(both, kernels.sample("v", h, 5, **arrays))
    np.testing.assert_allclose(phase["w"], kernels.phase(h, of="h", **arrays)["w"], rtol=1e-12)


def test_targets_draw_the_same_labels() -> None:
    energy, arrays, _, h, _ = model("spin")
    rows = np.tile(h, (50, 1))
    drawn = [energy.compile(target).sample("v", rows, 9, **arrays) for target in TARGETS]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize("target", TARGETS)
def test_huge_fields_stay_finite(target: str) -> None:
    energy, arrays, v, h, exponents = model("binary", scale=1e5)
    kernels = energy.compile(target)
    np.testing.assert_allclose(kernels.free_energy(h, of="h", **arrays), -exponents.max(axis=0), rtol=1e-12)
    mean = kernels.mean("v", h, **arrays)
    np.testing.assert_allclose(mean.sum(axis=2), 1, rtol=1e-12)
    assert all(np.isfinite(x).all() for x in kernels.phase(v, **arrays).values())


def test_float32() -> None:
    energy, arrays, v, _, exponents = model("binary")
    single = {name: array.astype(np.float32) for name, array in arrays.items()}
    found = energy.compile("numba").free_energy(v.astype(np.float32), **single)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, -log_sum(exponents, 1), rtol=1e-5)


def test_labels_that_depend_on_each_other_are_refused_to_be_drawn() -> None:
    tied = Energy.parse(
        "-sum(J[s,r]*indicator(v[i],s)*indicator(v[k],r), i, k, s, r)/2 - sum(a[i]*indicator(v[i],0), i)",
        visible={"v": "potts(3)"},
        symmetric=["J"],
    )
    with pytest.raises(ValueError, match=r"draws potts\(3\) units one by one"):
        tied.compile("numpy").sample("v", np.zeros((1, 2)), 0, J=np.zeros((3, 3)), a=np.zeros(2))


def test_an_axis_of_labels_of_another_length_is_refused() -> None:
    energy, arrays, v, _, _ = model("binary")
    with pytest.raises(ValueError, match=r"a must have shape \(n_v, 3\), since layer v has potts\(3\) units"):
        energy.compile("numpy").free_energy(v, **arrays | {"a": np.zeros((N, 4))})
