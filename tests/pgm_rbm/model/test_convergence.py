"""Which models have a Z, against the precision matrices and products written out by hand, in all states there are."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import DivergentError
from pgm_rbm.model.convergence import Convergence
from symbolic import Energy, energies

Arrays = dict[str, np.ndarray]


def made(energy: Energy, sizes: dict[str, int], parameters: Arrays) -> RBM:
    return RBM.from_energy(energy, sizes, parameters, seed=0, target="numpy")


def zeros(energy: Energy, sizes: dict[str, int], **given: Any) -> Arrays:
    shapes = {name: [sizes[layer.name] for layer in one.layers] for name, one in energy.parameters.items()}
    return {name: np.asarray(given.get(name, np.zeros(shape)), dtype=float) for name, shape in shapes.items()}


ONES = np.ones((2, 2))
LATERAL = np.array([[0.0, 1.0], [1.0, 0.0]])
WITHOUT_Z: dict[str, tuple[Energy, Arrays, str]] = {
    "three Gaussian layers": (
        energies.deep("gaussian", ["gaussian", "gaussian"]),
        {"w1": 0.6 * ONES, "w2": 0.6 * ONES},
        r"layers v \(gaussian\), h1 \(gaussian\) and h2 \(gaussian\) is not positive definite",
    ),
    "Gaussian units of one layer": (
        energies.semi_restricted("gaussian"),
        {"L": 2 * LATERAL},
        r"quadratic form of layer v \(gaussian\) is not positive definite .* weights within it smaller",
    ),
    "rectified units of one layer": (energies.semi_restricted("relu"), {"L": 2 * LATERAL}, "layer v .* not positive"),
    "counts of one layer": (
        energies.semi_restricted("poisson"),
        {"L": 0.1 * LATERAL},
        r"L\[0, 1\] = 0\.1 makes a poisson unit and another unit drive each other to infinity",
    ),
    "two layers of counts": (
        energies.deep("poisson", ["poisson", "binary"]),
        {"w1": 0.6 * ONES},
        r"w1\[0, 0\] = 0\.6 makes a poisson and a poisson unit drive",
    ),
    "counts that a third unit couples": (
        energies.third_order("poisson", "binary", "poisson"),
        {"w": np.ones((2, 2, 2))},
        r"comes to 2 and makes them drive each other to infinity",
    ),
    "Gaussian units that a binary one couples": (
        energies.third_order("gaussian", "gaussian", "binary"),
        {"w": np.ones((2, 2, 2))},
        r"layers v \(gaussian\) and x \(gaussian\) is not positive definite",
    ),
    "filters that a spin turns round": (
        energies.covariance("gaussian", "spin"),
        {"w": 2 * ONES},
        r"gaussian units of layer v are not normalisable given the others .* precision .* Got -7",
    ),
    "an indefinite precision matrix": (
        Energy.parse("sum(P[i,k]*v[i]*v[k], i, k)/2", visible={"v": "gaussian"}),
        {"P": np.array([[1.0, 2.0], [2.0, 1.0]])},
        "layer v .* not positive definite",
    ),
    "a precision that many units lower": (
        Energy.parse(
            "sum(v[i]^2, i)/2 + sum(h[j]*w[i,j]*v[i]^2, i, j)/2", visible={"v": "gaussian"}, hidden={"h": "binary"}
        ),
        {"w": np.full((2, 30), -0.035)},  # 2^30 states of h, of which one is bad
        r"precision of the gaussian units of layer v.* Got -0\.05",
    ),
    "a rate that two layers lower": (
        Energy.parse(
            "sum(q[i]*v[i], i) - sum(v[i]*w[i,j]*h[j], i, j) - sum(v[i]*u[i,k]*g[k], i, k)",
            visible={"v": "exponential"},
            hidden={"h": "binary", "g": "binary"},
        ),
        {"q": np.ones(2), "w": np.full((2, 20), 0.03), "u": np.full((2, 20), 0.03)},
        r"rate of the exponential units of layer v.* Got -0\.2",
    ),
}


@pytest.mark.parametrize("name", WITHOUT_Z)
def test_models_without_a_z_are_refused_when_they_are_made(name: str) -> None:
    energy, given, message = WITHOUT_Z[name]
    sizes = dict.fromkeys(energy.layers, 2)
    for parameter, value in given.items():
        sizes |= {layer.name: n for layer, n in zip(energy.parameters[parameter].layers, value.shape, strict=True)}
    with pytest.raises(DivergentError, match=message):
        made(energy, sizes, zeros(energy, sizes, **given))
    smaller = {parameter: (value if parameter in "qP" else value / 100) for parameter, value in given.items()}
    if name in ("counts of one layer", "two layers of counts", "counts that a third unit couples"):
        smaller = {parameter: -value for parameter, value in given.items()}
    if "P" in given:
        smaller = {"P": np.array([[1.0, 0.9], [0.9, 1.0]])}
    rbm = made(energy, sizes, zeros(energy, sizes, **smaller))
    drawn = rbm.sample(20, steps=50, seed=0)
    for states in drawn.values() if isinstance(drawn, dict) else [drawn]:
        assert np.isfinite(states).all()


@pytest.mark.parametrize(
    ("energy", "units"),
    [
        (energies.deep("gaussian", ["poisson", "binary"]), "gaussian and poisson units cannot be coupled: Z"),
        (energies.gaussian("poisson"), "gaussian and poisson units cannot be coupled: Z"),
        (energies.third_order("poisson", "spin", "poisson"), "poisson units cannot be coupled to each other"),
        (energies.third_order("gaussian", "gaussian", "gaussian"), "gaussian units cannot be coupled to each other"),
        (energies.covariance("gaussian", "gaussian"), "gaussian units cannot be coupled to each other"),
        (energies.pairwise("drelu", "poisson"), "drelu and poisson units cannot be coupled"),
        (energies.pairwise("exponential", "spike_and_slab"), "exponential and spike_and_slab units cannot be coupled"),
        (energies.gated("gaussian", "exponential", "binary"), "gaussian and exponential units cannot be coupled"),
    ],
)
def test_units_that_have_a_z_for_no_coupling_are_refused_whatever_the_parameters(energy: Energy, units: str) -> None:
    sizes = dict.fromkeys(energy.layers, 2)
    for parameters in (None, zeros(energy, sizes)):
        with pytest.raises(DivergentError, match=units):
            RBM.from_energy(energy, sizes, parameters, target="numpy")


def _deep(p: Arrays, h: np.ndarray) -> np.ndarray:
    (n, m), k = p["w1"].shape, p["w2"].shape[1]
    form = np.eye(n + m + k)
    form[:n, n : n + m], form[n : n + m, n + m :] = -p["w1"], -p["w2"]
    return np.triu(form) + np.triu(form, 1).T


def _gated(p: Arrays, h: np.ndarray) -> np.ndarray:
    n, m, _ = p["w"].shape
    form = np.eye(n + m)
    form[:n, n:] = -np.einsum("ikj,j->ik", p["w"], h)
    form[n:, :n] = form[:n, n:].T
    return form


FORMS: dict[str, tuple[Energy, dict[str, int], Callable[[Arrays, np.ndarray], np.ndarray], tuple[float, ...]]] = {
    "deep": (energies.deep("gaussian", ["gaussian", "gaussian"]), {"v": 3, "h1": 2, "h2": 4}, _deep, (0.0,)),
    "semi-restricted": (
        energies.semi_restricted("gaussian"),
        {"v": 4, "h": 1},
        lambda p, h: np.eye(4) - p["L"],
        (0.0,),
    ),
    "third order, binary": (
        energies.third_order("gaussian", "gaussian", "binary"),
        {"v": 3, "x": 2, "h": 4},
        _gated,
        (0.0, 1.0),
    ),
    "third order, three states": (
        energies.third_order("gaussian", "gaussian", "{-2, 0, 1}"),
        {"v": 2, "x": 3, "h": 3},
        _gated,
        (-2.0, 0.0, 1.0),
    ),
    "covariance of spins": (
        energies.covariance("gaussian", "spin"),
        {"v": 4, "h": 3},
        lambda p, h: np.eye(4) + (p["w"] * h) @ p["w"].T,
        (-1.0, 1.0),
    ),
    "covariance": (
        energies.covariance("gaussian", "binary"),
        {"v": 4, "h": 3},
        lambda p, h: np.eye(4) + (p["w"] * h) @ p["w"].T,
        (0.0, 1.0),
    ),
    # Counts that multiply squares only hold more tightly.
    "covariance of counts": (
        energies.covariance("gaussian", "poisson"),
        {"v": 4, "h": 3},
        lambda p, h: np.eye(4) + (p["w"] * h) @ p["w"].T,
        (0.0, 1.0, 2.0),
    ),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "searched"])
def test_forms_are_positive_in_all_states_of_others(name: str, listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepted and refused as the lowest eigenvalue in all corners says, where few states are listed and where the
    worst are searched for; the search finds them in models of this size."""
    if not listed:
        monkeypatch.setattr("pgm_rbm.model.convergence._LISTED", 0)
    energy, sizes, form, states = FORMS[name]
    start = zeros(energy, sizes)
    model = RBM.from_energy(energy, sizes, start, target="numpy")
    existence = model.model.conditions
    rng = np.random.default_rng(5)
    corners = [np.array(h) for h in itertools.product(states, repeat=sizes.get("h", 1))]
    outcomes = []
    for _ in range(60):
        p = {key: rng.normal(size=value.shape) * rng.uniform(0.05, 0.6) for key, value in start.items()}
        for key in model.model.symmetric:
            p[key] = np.triu(p[key], 1) + np.triu(p[key], 1).T
        lowest = min(float(np.linalg.eigvalsh(form(p, h))[0]) for h in corners)
        found = existence is None or existence.problem(p) is None
        assert found == (lowest > 0), lowest
        outcomes.append(found)
    assert all(outcomes) if name in ("covariance", "covariance of counts") else 5 < sum(outcomes) < 55


def test_the_worst_states_of_many_units_are_found() -> None:
    """2^40 states of h, of which those that agree with a pattern make the form indefinite."""
    energy = energies.third_order("gaussian", "gaussian", "spin")
    sizes = {"v": 3, "x": 3, "h": 40}
    rng = np.random.default_rng(6)
    pattern = rng.choice([-1.0, 1.0], size=40)
    pull = np.outer(rng.normal(size=3), rng.normal(size=3))
    pull /= np.linalg.norm(pull, 2) * 40
    noise = 0.002 * rng.normal(size=(3, 3, 40))
    for factor, refused in ((0.6, False), (1.6, True)):
        w = factor * pull[:, :, None] * pattern + noise
        if refused:
            with pytest.raises(DivergentError, match="not positive definite"):
                made(energy, sizes, zeros(energy, sizes, w=w))
        else:
            made(energy, sizes, zeros(energy, sizes, w=w))


def test_labels_and_directions_take_their_worst_states() -> None:
    """A label, or a direction, couples two Gaussian units by up to the largest weight, or the length of the weights."""
    for unit, w in (("potts(3)", [0.3, -1.05, 0.5]), ("heisenberg", [0.7, 0.7, 0.4])):
        energy = energies.third_order("gaussian", "gaussian", unit)
        sizes = {"v": 1, "x": 1, "h": 2}
        largest = max(map(abs, w)) if unit != "heisenberg" else float(np.linalg.norm(w))
        for factor, refused in ((0.999, False), (1.001, True)):
            both = np.zeros((1, 1, 2, 3))
            both[0, 0, 1] = np.array(w) * factor / largest
            p = {"a": np.zeros(1), "c": np.zeros(1), "b": np.zeros((2, 3)), "w": both}
            if refused:
                with pytest.raises(DivergentError, match="not positive definite"):
                    made(energy, sizes, p)
            else:
                made(energy, sizes, p)


def test_products_with_rates_and_counts_may_repel() -> None:
    energy = energies.third_order("exponential", "binary", "poisson")
    sizes = {"v": 2, "x": 2, "h": 2}
    p = zeros(energy, sizes, w=-np.ones((2, 2, 2)), a=np.full(2, -1.0))
    rbm = made(energy, sizes, p)
    p["w"][1, 0, 1] = 0.01
    with pytest.raises(DivergentError, match="drive each other to infinity"):
        rbm.set_parameters(w=p["w"])
    np.testing.assert_array_equal(rbm.parameters["w"], -1)


def test_terms_that_multiply_the_same_states_are_summed() -> None:
    """−v h (2 − Σ_k w_k x_k) for counts v and h has a Z as long as the sum is at most 2."""
    energy = Energy.parse(
        "2*sum(v[i]*h[j], i, j) - sum(v[i]*h[j]*x[k]*w[k], i, j, k)",
        visible={"v": "poisson", "x": "spin"},
        hidden={"h": "poisson"},
    )
    sizes = {"v": 1, "x": 2, "h": 1}
    made(energy, sizes, {"w": np.array([0.9, -1.0])})
    with pytest.raises(DivergentError, match=r"comes to 0\.1"):
        made(energy, sizes, {"w": np.array([1.1, -1.0])})


def test_a_sign_is_kept_where_that_is_all_there_is_to_it() -> None:
    """Training sets weights between counts to zero rather than stopping short of it."""
    energy = energies.semi_restricted("poisson", "binary")
    sizes = {"v": 3, "h": 2}
    rbm = RBM.from_energy(energy, sizes, seed=1, target="numpy")
    assert (rbm.parameters["L"] <= 0).all()
    assert (rbm.parameters["L"] < 0).any()
    # Counts that go together pull the weights up.
    x = np.repeat(np.array([[0.0, 0, 0], [3, 3, 0], [0, 0, 2]]), 30, axis=0)
    rbm.fit(x, "cd", epochs=30, learning_rate=0.05, seed=1, monitor="none")
    assert (rbm.parameters["L"] <= 0).all()
    assert rbm.parameters["L"][0, 1] == 0
    assert np.isfinite(rbm.sample(10, 20, seed=1)).all()


@pytest.mark.parametrize(
    ("energy", "sizes"),
    [
        (energies.semi_restricted("gaussian"), {"v": 3, "h": 2}),
        (energies.deep("gaussian", ["gaussian", "binary"]), {"v": 3, "h1": 2, "h2": 2}),
        (energies.third_order("gaussian", "gaussian", "binary"), {"v": 2, "x": 2, "h": 3}),
        (energies.covariance("gaussian", "spin"), {"v": 3, "h": 2}),
        (energies.gaussian("relu"), {"v": 3, "h": 2}),
    ],
)
def test_steps_far_too_long_stay_inside(energy: Energy, sizes: dict[str, int]) -> None:
    rng = np.random.default_rng(7)
    # Strongly dependent data, towards which the weights grow until the model is about to have no Z.
    data = {layer.name: 2 * rng.normal(size=(60, 1)) * np.ones(sizes[layer.name]) for layer in energy.visible}
    rbm = RBM.from_energy(energy, sizes, seed=3, target="numpy")
    before = {name: value.copy() for name, value in rbm.parameters.items()}
    rbm.fit(data if len(data) > 1 else data["v"], "cd", epochs=6, batch_size=20, learning_rate=1.0, monitor="none")
    assert any((value != before[name]).any() for name, value in rbm.parameters.items())
    assert rbm.model.conditions is not None
    rbm.model.conditions.require(rbm.parameters)
    drawn = rbm.sample(20, 30, seed=1)
    assert all(np.isfinite(one).all() for one in (drawn.values() if isinstance(drawn, dict) else [drawn]))


def test_a_chain_that_runs_away_is_stopped() -> None:
    """Parameters that are written into the live arrays are not looked at before."""
    energy = energies.semi_restricted("gaussian")
    rbm = made(energy, {"v": 2, "h": 2}, zeros(energy, {"v": 2, "h": 2}))
    rbm.parameters["L"][...] = 3 * LATERAL
    with pytest.raises(DivergentError, match=r"a chain has run away: gaussian unit \d of layer v was drawn as"):
        rbm.sample(3, steps=2000, seed=0)


def test_inputs_are_tried_in_states_of_theirs() -> None:
    energy = energies.gated("gaussian", "gaussian", "binary")
    sizes = {"v": 2, "h": 2, "x": 3}
    made(energy, sizes, zeros(energy, sizes, w=np.full((2, 3, 2), 0.1)))
    with pytest.raises(DivergentError, match="not positive definite"):
        made(energy, sizes, zeros(energy, sizes, w=np.full((2, 3, 2), 0.9)))


def test_rectified_units_may_repel_each_other_as_they_like() -> None:
    """A pair with weight −5 has the indefinite form [[1, 5], [5, 1]], and a Z: its means are those of quadrature."""
    rbm = RBM.from_parameters([[-5.0]], [0.5], [0.2], "relu", "relu", target="numpy")
    s, weights = np.polynomial.legendre.leggauss(200)
    s, weights = 5 * (s + 1), 5 * weights  # on [0, 10], beyond which e^{−s²/2} is below 1e-21
    logs = -(s**2) / 2 + 0.5 * s - (s[:, None] ** 2) / 2 + 0.2 * s[:, None] - 5 * s * s[:, None]
    p = np.exp(logs) * weights * weights[:, None]
    p /= p.sum()
    mean = float(p.sum(axis=0) @ s)
    variance = float(p.sum(axis=0) @ s**2) - mean**2
    n = 4000
    drawn = rbm.sample(n, steps=400, seed=2)
    # Independent chains; five standard errors.
    assert abs(drawn.mean() - mean) < 5 * np.sqrt(variance / n)
    with pytest.raises(DivergentError, match="not positive definite on their states"):
        RBM.from_parameters([[1.01]], [0.0], [0.0], "relu", "relu", target="numpy")


def test_mixed_signs_between_rectified_units() -> None:
    """Each of a 3 × 3 pair of layers is decided as by all principal submatrices."""
    from tests.pgm_rbm.model.test_quadratic_forms import is_copositive

    rng = np.random.default_rng(8)
    rbm = RBM(3, 3, "relu", "relu", seed=0, target="numpy")
    outcomes = []
    for _ in range(60):
        w = rng.normal(size=(3, 3)) * rng.choice([0.4, 0.8, 2.0])
        form = np.block([[np.eye(3), -w], [-w.T, np.eye(3)]])
        found = Convergence(rbm.model.layout, rbm.symbolic_energy).problem(rbm.parameters | {"w": w}) is None
        assert found == is_copositive(form)
        outcomes.append(found)
    assert 10 < sum(outcomes) < 50


def test_conditions_survive_copies() -> None:
    energy = energies.semi_restricted("gaussian")
    rbm = copy.deepcopy(made(energy, {"v": 2, "h": 2}, zeros(energy, {"v": 2, "h": 2})))
    with pytest.raises(DivergentError):
        rbm.set_parameters(L=2 * LATERAL)
