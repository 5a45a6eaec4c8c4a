"""Weights that units share: no parameter has an axis over their layer, whose number of units is said instead."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest

from symbolic import Energy, EnergySyntaxError, Layer, Parameter, Sum
from symbolic.check.mutants import mutations
from symbolic.check.verification import Checker
from symbolic.codegen.build import Kernels
from symbolic.energies import replicated_softmax

TEXT = "-sum(w[s,j]*indicator(v[i],s)*h[j], i, s, j) - sum(a[s]*indicator(v[i],s), i, s) - n_v*sum(b[j]*h[j], j)"
CATEGORIES, N_V, N_H = 3, 4, 2
WORDS = np.array([*itertools.product(range(CATEGORIES), repeat=N_V)], float)
HIDDEN = np.array([*itertools.product((0.0, 1.0), repeat=N_H)])


@pytest.fixture(scope="module")
def parameters() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"w": rng.normal(size=(CATEGORIES, N_H)), "a": rng.normal(size=CATEGORIES), "b": rng.normal(size=N_H)}


@pytest.fixture(scope="module", params=["numpy", "numba", "array-api"])
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return replicated_softmax(CATEGORIES).compile(request.param)


def log_weights(p: dict[str, np.ndarray]) -> np.ndarray:
    """−E of every pair of configurations, shape (words, hidden)."""
    counts = (WORDS[:, :, None] == np.arange(CATEGORIES)).sum(axis=1)
    logs: np.ndarray = counts @ p["w"] @ HIDDEN.T + (counts @ p["a"])[:, None] + N_V * (HIDDEN @ p["b"])
    return logs


def test_the_ready_made_energy_is_its_text() -> None:
    assert replicated_softmax(3) == Energy.parse(TEXT, visible={"v": "potts(3)"}, hidden={"h": "binary"})


def test_every_derivation_is_checked() -> None:
    energy = replicated_softmax(3)
    derivations = [energy.log_likelihood_gradient(name) for name in energy.parameters]
    derivations += [energy.conditional(layer) for layer in energy.layers]
    derivations += [energy.free_energy(layer) for layer in energy.layers]
    derivations += [energy.phase(name, layer) for name in energy.parameters for layer in energy.layers]
    derivations.append(energy.log_partition())
    for derivation in derivations:
        assert derivation.verify(), str(derivation.verify())
    assert str(energy.log_likelihood_gradient("w").term_a) == "<sum(indicator(v[k], s), k)*h[j]>_v"


@pytest.mark.parametrize("parameter", ["w", "b"])
def test_one_mistake_of_each_kind_in_each_line_is_refused(parameter: str) -> None:
    derivation = replicated_softmax(3).log_likelihood_gradient(parameter)
    checker = Checker({layer: 2 + place for place, layer in enumerate(derivation.energy.layers.values())})
    tried = 0
    for step in derivation.steps:
        kinds: set[str] = set()
        for mistake, line in mutations(step.after):
            if mistake not in kinds and line != step.after:
                kinds.add(mistake)
                tried += 1
                assert checker.compare(step.before, line)[1], (step.rule, mistake, line)
    assert tried >= 50


def test_kernels_against_all_configurations(kernels: Kernels, parameters: dict[str, np.ndarray]) -> None:
    p, sized = parameters, kernels.sized(v=N_V)
    logs = log_weights(p)
    weights = np.exp(logs)
    np.testing.assert_allclose(kernels.free_energy(WORDS, **p), -np.log(weights.sum(axis=1)), rtol=1e-12)
    np.testing.assert_allclose(sized.free_energy(HIDDEN, of="h", **p), -np.log(weights.sum(axis=0)), rtol=1e-12)
    assert sized.log_partition(**p) == pytest.approx(np.log(weights.sum()), rel=1e-13)
    every = np.repeat(WORDS, len(HIDDEN), axis=0), np.tile(HIDDEN, (len(WORDS), 1))
    np.testing.assert_allclose(kernels.energy(*every, **p), -logs.ravel(), rtol=1e-12)
    given_h = weights / weights.sum(axis=0)
    chance = np.stack([((s == WORDS)[:, :, None] * given_h[:, None, :]).sum(axis=0) for s in range(CATEGORIES)])
    np.testing.assert_allclose(sized.mean("v", HIDDEN, **p), chance.transpose(2, 1, 0), atol=1e-13)
    averaged = sized.phase(HIDDEN, of="h", **p)
    counts = N_V * chance[:, 0, :]
    np.testing.assert_allclose(averaged["w"], counts @ HIDDEN, atol=1e-12)
    np.testing.assert_allclose(averaged["b"], N_V * HIDDEN.sum(axis=0), atol=1e-12)
    drawn = sized.sample("v", np.repeat(HIDDEN[:1], 20_000, axis=0), 3, **p)
    shares = np.array([(drawn == s).mean(axis=0) for s in range(CATEGORIES)])
    # Shares of 20,000 draws have a standard error below 0.0036; 4.5 of them happen once in 10⁵ times.
    assert np.abs(shares - chance[:, :, 0]).max() < 4.5 * 0.0036


def test_the_number_of_units_is_asked_for(kernels: Kernels, parameters: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"how many units layer v has; say it by sized\(v=\.\.\.\)"):
        kernels.sample("v", HIDDEN, 0, **parameters)
    with pytest.raises(ValueError, match=r"v must have shape \(rows, 2\)"):
        kernels.sized(v=2).free_energy(WORDS, **parameters)
    with pytest.raises(ValueError, match=r"n_h is 5 by sized\(\)"):
        kernels.sized(h=5).free_energy(WORDS, **parameters)
    with pytest.raises(ValueError, match="there is no layer 'x'"):
        kernels.sized(x=3)
    for wrong in (0, 2.5, True):
        with pytest.raises(ValueError, match="is a whole number from 1"):
            kernels.sized(v=wrong)  # type: ignore[arg-type]


def test_numbers_of_units_are_pickled_along(kernels: Kernels, parameters: dict[str, np.ndarray]) -> None:
    again = pickle.loads(pickle.dumps(kernels.sized(v=N_V)))
    np.testing.assert_array_equal(
        again.sample("v", HIDDEN, 1, **parameters), kernels.sized(v=N_V).sample("v", HIDDEN, 1, **parameters)
    )


def test_one_number_for_all_units_and_pairs() -> None:
    """Curie and Weiss: every pair is coupled by the same number, and h by another."""
    text = "-J*sum(v[i], i)*sum(v[i], i)/n_v - c*sum(v[i], i)*h[0] - b*h[0]"
    energy = Energy.parse(text, visible={"v": "spin"}, hidden={"h": "spin"}, parameters=dict.fromkeys("Jcb", ()))
    states = np.array([*itertools.product((-1.0, 1.0), repeat=5)])
    p = {name: np.array(value) for name, value in {"J": 0.4, "c": 0.3, "b": -0.2}.items()}
    total = states.sum(axis=1)
    logs = [0.4 * total**2 / 5 + (0.3 * total - 0.2) * h for h in (-1, 1)]
    kernels = energy.compile("numba").sized(v=5, h=1)
    np.testing.assert_allclose(kernels.free_energy(states, **p), -np.logaddexp(*logs), rtol=1e-12)
    assert energy.log_likelihood_gradient("J").verify()


def test_the_number_of_units_in_text_and_in_objects() -> None:
    v, h = Layer("v", "spin"), Layer("h", "binary")
    i, j = v.index("i"), h.index("j")
    b = Parameter("b", h)
    energy = Energy(-Sum(b[j] * h[j], i, j), visible=[v], hidden=[h])
    assert energy == Energy.parse("-n_v*sum(b[j]*h[j], j)", visible={"v": "spin"}, hidden={"h": "binary"})
    assert Energy.parse(str(energy.expression), visible={"v": "spin"}, hidden={"h": "binary"}) == energy
    with pytest.raises(EnergySyntaxError, match="unknown name 'n_x'"):
        Energy.parse("-n_x*sum(b[j]*h[j], j)", visible={"v": "spin"}, hidden={"h": "binary"})
