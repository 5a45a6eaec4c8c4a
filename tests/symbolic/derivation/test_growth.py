"""The terms that decide whether Z is finite, and their numbers against second differences of the energy."""

from __future__ import annotations

import numpy as np
import pytest

from symbolic import Energy, energies
from symbolic.derivation.growth import growth
from symbolic.numeric.growth import couplings


def shown(energy: Energy) -> tuple[set[str], set[str]]:
    found = growth(energy)
    return {term.shown() for term in found.curved}, {term.shown() for term in found.barred}


def test_terms_of_gaussian_kind_and_terms_that_must_not_be_positive() -> None:
    square, coupling = "-sum(v[k]**2, k)/2", "sum(w[k, l]*h[l]*v[k], k, l)"
    assert shown(energies.pairwise("gaussian", "relu")) == ({square, "-sum(h[k]**2, k)/2", coupling}, set())
    assert shown(energies.pairwise("gaussian", "poisson")) == ({square}, {coupling})
    assert shown(energies.pairwise("gaussian", "binary")) == ({square}, set())
    assert shown(energies.pairwise("binary", "exponential")) == (set(), set())


def test_a_square_that_can_be_switched_off_is_left_out() -> None:
    """h (w·v)² ≥ 0 for h ≥ 0; −E is largest without it. A spin turns it round, and it counts."""
    for hidden in ("binary", "poisson", "exponential", "relu", "uniform"):
        curved, barred = shown(energies.covariance("gaussian", hidden))
        assert not any("w" in term for term in curved | barred)
    curved, _ = shown(energies.covariance("gaussian", "spin"))
    assert any("w" in term for term in curved)


def test_parts_of_a_state_are_rays() -> None:
    text = "sum(p[i]*pos(v[i])^2 + q[i]*neg(v[i])^2, i)/2 - sum(v[i]*w[i,j]*h[j], i, j) + sum(h[j]^2, j)/2"
    energy = Energy.parse(text, visible={"v": "drelu"}, hidden={"h": "gaussian"})
    found = couplings(energy)
    sizes = {"v": 2, "h": 1}
    np.testing.assert_array_equal(found.rays(sizes), [True] * 4 + [False])
    ups, downs = found.exclusive(sizes)
    assert ups.tolist() == [0, 1]
    assert downs.tolist() == [2, 3]
    p = {"p": np.array([1.0, 2]), "q": np.array([3.0, 4]), "w": np.array([[5.0], [6]])}
    states = {"v": np.zeros((1, 2)), "h": np.zeros((1, 1))}
    expected = np.diag([1.0, 2, 3, 4, 1])
    expected[4, :4] = expected[:4, 4] = [-5, -6, 5, 6]  # the negative parts count as positive numbers
    np.testing.assert_array_equal(found.form(p, states, sizes)[0], expected)


def test_functions_whose_growth_is_not_known_are_named() -> None:
    energy = Energy.parse("sum(v[i]^2, i)/2 - sum(exp(v[i]), i)", visible={"v": "gaussian"})
    assert growth(energy).unknown == ("sum(exp(v[k]), k)",)


CASES = {
    "pairwise": (energies.pairwise("gaussian", "gaussian"), ("v", "h")),
    "learnt": (energies.gaussian("gaussian"), ("v", "h")),
    "deep": (energies.deep("gaussian", ["gaussian", "gaussian"]), ("v", "h1", "h2")),
    "lateral": (energies.semi_restricted("gaussian", "binary"), ("v",)),
    "third order": (energies.third_order("gaussian", "gaussian", "binary"), ("v", "x")),
    "labels": (energies.third_order("gaussian", "gaussian", "potts(3)"), ("v", "x")),
    "directions": (energies.third_order("gaussian", "gaussian", "heisenberg"), ("v", "x")),
    "filters": (energies.covariance("gaussian", "spin"), ("v",)),
    "matrix": (Energy.parse("sum(P[i,k]*v[i]*v[k], i, k) + v[0]*v[1]*3", visible={"v": "gaussian"}), ("v",)),
    "numbers": (
        Energy.parse(
            "sum(v[i]^2, i)*c^2 - n_h*sum(v[i]*x[k], i, k)/7 - sum(v[i]*x[k]*cos(h[j])*w[i,k,j], i, k, j)",
            visible={"v": "gaussian", "x": "gaussian"},
            hidden={"h": "von_mises"},
            parameters={"c": ()},
        ),
        ("v", "x"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_forms_are_the_second_differences_of_the_energy(name: str) -> None:
    energy, open_ = CASES[name]
    kernels, found = energy.compile("numpy"), couplings(energy)
    sizes = {layer: 2 + place % 2 for place, layer in enumerate(energy.layers)}
    rng = np.random.default_rng(0)
    lengths = {"potts": 3, "heisenberg": 3, "h": 3}
    parameters = {}
    for key, axes in kernels.parameters.items():
        value = rng.normal(size=[sizes[axis] if axis in sizes else lengths[axis.partition(".")[0]] for axis in axes])
        if energy.parameters[key].symmetric:
            value = value + value.T
            np.fill_diagonal(value, 0)
        parameters[key] = value
    states = {}
    for layer, unit in kernels.layers.items():
        drawn = {
            "potts(3)": rng.integers(3, size=(1, sizes[layer])).astype(float),
            "spin": rng.choice([-1.0, 1.0], size=(1, sizes[layer])),
            "heisenberg": np.tile([0.6, 0.0, 0.8], sizes[layer])[None],
        }
        states[layer] = drawn.get(unit, rng.random(size=(1, sizes[layer])))
    n = sum(sizes[layer] for layer in open_)
    ends = np.cumsum([sizes[layer] for layer in open_])[:-1]

    def at(point: np.ndarray) -> float:
        here = dict(zip(open_, np.split(point, ends), strict=True))
        whole = {key: here[key][None] if key in here else array for key, array in states.items()}
        return float(kernels.energy(**whole, **parameters)[0])

    e = np.eye(n)
    expected = [[at(e[i] + e[k]) - at(e[i]) - at(e[k]) + at(0 * e[0]) for k in range(n)] for i in range(n)]
    # Sums of some ten numbers of order one.
    np.testing.assert_allclose(found.form(parameters, states, sizes)[0], expected, rtol=0, atol=1e-12)
    fixed, bound = found.fixed(parameters, sizes)
    assert (np.abs(np.array(expected) - fixed) <= bound + 1e-12).all()
