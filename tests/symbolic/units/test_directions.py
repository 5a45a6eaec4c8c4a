"""Heisenberg units: states that are directions in space, and energies in their components."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from sympy import Add, Mul, Pow, exp, log

from symbolic import Energy, EnergyError, EnergySyntaxError, Layer, NotSeparableError, Parameter, Sum
from symbolic.check.mutants import mutants, mutations
from symbolic.check.verification import Checker
from symbolic.codegen.build import Kernels
from symbolic.codegen.runtime.streams import row_streams
from symbolic.codegen.runtime.vectors import draw_heisenberg
from symbolic.derivation.trace import Derivation
from symbolic.energies import pairwise
from symbolic.language.binders import IndexBinder, UnitSum

TEXT = "-sum(w[i,α,j]*v[i,α]*h[j], i, α, j) - sum(a[i,α]*v[i,α], i, α) - sum(b[j]*h[j], j)"
SCALAR_PRODUCTS = "-sum(J[i,j]*v[i,α]*h[j,α], i, j, α) - sum(a[i,α]*v[i,α], i, α)"
LATERAL = "-sum(J[i,k]*v[i,α]*v[k,α], i, k, α)/2"
N_V, N_H = 2, 3
Arrays = dict[str, np.ndarray]


def directions(n: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of a rule for integrals over the sphere that is exact for polynomials of degree 2n − 1."""
    z, share = np.polynomial.legendre.leggauss(n)
    turn = np.pi / n * np.arange(2 * n)
    z, turn = (part.ravel() for part in np.meshgrid(z, turn, indexing="ij"))
    across = np.sqrt(1 - z * z)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1), np.repeat(share, 2 * n) * np.pi / n


POINTS, WEIGHTS = directions()


@pytest.fixture(scope="module")
def parameters() -> Arrays:
    rng = np.random.default_rng(0)
    return {"w": rng.normal(size=(N_V, 3, N_H)), "a": rng.normal(size=(N_V, 3)), "b": rng.normal(size=N_H)}


HIDDEN = np.array([*itertools.product((0.0, 1.0), repeat=N_H)])


def log_weights(p: Arrays, h: np.ndarray) -> np.ndarray:
    """−E of one visible unit at every point: shape (rows of h, visible units, points)."""
    fields = np.einsum("iaj,tj->tia", p["w"], h) + p["a"]
    logs: np.ndarray = fields @ POINTS.T
    return logs


def some_directions(rows: int, units: int, seed: int = 1) -> np.ndarray:
    s = np.random.default_rng(seed).normal(size=(rows, units, 3))
    return (s / np.linalg.norm(s, axis=2, keepdims=True)).reshape(rows, -1)


def test_text_and_objects_are_one_energy() -> None:
    v, h = Layer("v", "heisenberg"), Layer("h", "binary")
    i, c, j = v.index("i"), v.components.index("c"), h.index("j")
    w, a, b = Parameter("w", v, v.components, h), Parameter("a", v, v.components), Parameter("b", h)
    expression = -Sum(w[i, c, j] * v[i, c] * h[j], i, c, j) - Sum(a[i, c] * v[i, c], i, c) - Sum(b[j] * h[j], j)
    energy = Energy(expression, visible=[v], hidden=[h])
    assert energy == Energy.parse(TEXT, visible={"v": "heisenberg"}, hidden={"h": "binary"})
    assert energy == pairwise("heisenberg", "binary")
    assert [axis.name for axis in energy.parameters["w"].layers] == ["v", "heisenberg.components", "h"]


def test_the_gradient_names_a_component() -> None:
    derivation = pairwise("heisenberg", "binary").log_likelihood_gradient("w")
    assert str(derivation.result) == "<v[i, α]*h[j]>_v - <v[i, α]*h[j]>_vh"
    assert r"\langle v_{i\alpha} h_{j} \rangle_{\mathbf{v}}" in derivation.latex()
    products = Energy.parse(SCALAR_PRODUCTS, visible={"v": "heisenberg"}, hidden={"h": "heisenberg"})
    assert str(products.log_likelihood_gradient("J").term_a) == "<sum(h[j, k]*v[i, k], k)>_v"


@pytest.mark.parametrize(
    ("text", "hidden"), [(TEXT, "binary"), (TEXT, "gaussian"), (SCALAR_PRODUCTS, "heisenberg")], ids=str
)
def test_every_derivation_is_checked_and_survives_json(text: str, hidden: str) -> None:
    text = text + " + sum(h[j]^2, j)/2" if hidden == "gaussian" else text
    energy = Energy.parse(text, visible={"v": "heisenberg"}, hidden={"h": hidden})
    derivations = [energy.log_likelihood_gradient(name) for name in energy.parameters]
    derivations += [energy.conditional("v")]
    derivations += [energy.free_energy("h"), energy.phase("a", "h")] if hidden == "binary" else []
    for derivation in derivations:
        verification = derivation.verify(sizes={"v": 2, "h": 1})
        assert verification, str(verification)
        assert not verification.not_checkable
        assert Derivation.from_json(derivation.to_json()) == derivation


def test_units_tied_to_their_neighbours_have_conditionals_one_by_one() -> None:
    energy = Energy.parse(LATERAL, visible={"v": "heisenberg"}, symmetric=["J"])
    conditional = energy.conditional("v", method="auto")
    assert conditional.method == "single-site"
    assert str(conditional.mean) == "sinhc_slope(sum(sum(v[k, l]*J[i, k], k)**2, l))*sum(v[k, α]*J[i, k], k)"
    assert conditional.verify()
    with pytest.raises(ValueError, match="no code is generated that draws heisenberg units one by one"):
        energy.compile("numpy").sample("v", {"v": some_directions(2, 3)}, 0, J=np.zeros((3, 3)))


def test_the_stand_ins_are_shown_as_vectors() -> None:
    text = str(pairwise("heisenberg", "binary").log_likelihood_gradient("b").verify())
    assert "(1/3, −2/3, 2/3)" in text


def test_mistakes_in_the_gradient_are_refused() -> None:
    derivation = pairwise("heisenberg", "binary").log_likelihood_gradient("a")
    wrong = [m for m in mutants(derivation) if m.branch == "Term B" and m.position >= 3]
    assert len(wrong) > 15
    assert not [m.mistake for m in wrong if m.derivation.verify(points=2)]


def _turned(node: Any) -> Any:
    """The expression with one of the two signs in the exponent of each integral over one unit's directions."""
    if isinstance(node, IndexBinder):
        body, indices = node.open()
        return type(node)(_turned(body), *indices)
    if isinstance(node, UnitSum) and isinstance(node.body, exp):
        return UnitSum(exp(min(node.body.args[0], -node.body.args[0], key=str)), node.state)
    return node.func(*map(_turned, node.args)) if isinstance(node, (Add, Mul, Pow, log)) else node


@pytest.mark.slow
@pytest.mark.parametrize("question", ["gradient", "free energy", "conditional"])
def test_every_kind_of_mistake_is_refused(question: str) -> None:
    """One of each kind in each line, since a check that integrates over the sphere takes seconds."""
    energy = pairwise("heisenberg", "binary")
    asked = {
        "gradient": lambda: energy.log_likelihood_gradient("w"),
        "free energy": lambda: energy.free_energy("h"),
        "conditional": lambda: energy.conditional("v"),
    }
    derivation = asked[question]()
    checker = Checker({energy.layers["v"]: 2, energy.layers["h"]: 2})
    tried = 0
    for step in derivation.steps:
        kinds: dict[str, int] = {}
        for mistake, line in mutations(step.after):
            kinds[mistake] = kinds.get(mistake, 0) + 1
            # ∫ e^{−x·s} ds over the sphere is ∫ e^{x·s} ds: to turn that sign is no mistake.
            if _turned(line) != _turned(step.after) and kinds[mistake] == 1:
                tried += 1
                assert checker.compare(step.before, line, derivation.conditions)[1], (step.rule, mistake, line)
    assert tried >= 30


@pytest.fixture(scope="module", params=["numpy", "numba", "array-api"])
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return pairwise("heisenberg", "binary").compile(request.param)


def test_kernels_against_integrals_over_the_sphere(kernels: Kernels, parameters: Arrays) -> None:
    p = parameters
    logs = log_weights(p, HIDDEN)
    inner = np.exp(logs) @ WEIGHTS
    free = -(HIDDEN @ p["b"]) - np.log(inner).sum(axis=1)
    np.testing.assert_allclose(kernels.free_energy(HIDDEN, of="h", **p), free, rtol=1e-13)
    assert kernels.log_partition(**p) == pytest.approx(np.logaddexp.reduce(-free), rel=1e-13)
    mean = (np.exp(logs) * WEIGHTS) @ POINTS / inner[:, :, None]
    np.testing.assert_allclose(kernels.mean("v", HIDDEN, **p), mean.reshape(len(HIDDEN), -1), atol=1e-13)
    v = some_directions(len(HIDDEN), N_V)
    vectors = v.reshape(-1, N_V, 3)
    pairs = np.einsum("tia,iaj->tj", vectors, p["w"])
    energy = -(pairs * HIDDEN).sum(axis=1) - np.einsum("tia,ia->t", vectors, p["a"]) - HIDDEN @ p["b"]
    np.testing.assert_allclose(kernels.energy(v, HIDDEN, **p), energy, rtol=1e-12)
    on = 1 / (1 + np.exp(-(pairs + p["b"])))
    phase = kernels.phase(v, **p)
    np.testing.assert_allclose(phase["w"], np.einsum("tia,tj->iaj", vectors, on), rtol=1e-12)
    np.testing.assert_allclose(phase["a"], vectors.sum(axis=0), rtol=1e-12)
    averaged = kernels.phase(HIDDEN, of="h", **p)
    np.testing.assert_allclose(averaged["w"], np.einsum("tia,tj->iaj", mean, HIDDEN), atol=1e-12)


def test_phases_are_derivatives_of_the_free_energy(kernels: Kernels, parameters: Arrays) -> None:
    step, place = 1e-6, (1, 2, 0)
    values = []
    for sign in (1, -1):
        moved = {name: value.copy() for name, value in parameters.items()}
        moved["w"][place] += sign * step
        values.append(kernels.free_energy(HIDDEN, of="h", **moved).sum())
    slope = kernels.phase(HIDDEN, of="h", **parameters)["w"][place]
    assert slope == pytest.approx(-(values[0] - values[1]) / (2 * step), rel=1e-7)


def test_draws_have_their_moments_and_are_those_of_numpy(kernels: Kernels, parameters: Arrays) -> None:
    n = 20_000
    h = np.repeat(HIDDEN[[1, 6]], n, axis=0)
    drawn = kernels.sample("v", h, 7, **parameters).reshape(2, n, N_V, 3)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=3), 1, atol=1e-14)
    weights = np.exp(log_weights(parameters, HIDDEN[[1, 6]])) * WEIGHTS
    weights /= weights.sum(axis=2, keepdims=True)
    second = np.einsum("tis,sa,sb->tiab", weights, POINTS, POINTS)
    # Averages of numbers between −1 and 1 have a standard error below 1/√n; 4.5 of them happen once in 10⁵ times.
    assert np.abs(drawn.mean(axis=1) - weights @ POINTS).max() < 4.5 / math.sqrt(n)
    found = np.einsum("tnia,tnib->tiab", drawn, drawn) / n
    assert np.abs(found - second).max() < 4.5 / math.sqrt(n)
    plain = pairwise("heisenberg", "binary").compile("numpy").sample("v", h, 7, **parameters)
    np.testing.assert_allclose(drawn.reshape(plain.shape), plain, atol=1e-13)


@pytest.mark.parametrize("field", [(0.0, 0.0, 0.0), (0.3, -0.2, 0.1), (0.0, 0.0, -40.0), (2e3, 5e3, -1e3)])
def test_angles_to_and_around_the_field_have_their_distributions(field: tuple[float, float, float]) -> None:
    """Kolmogorov's √n D exceeds 2.5 with probability 7e-6."""
    n = 50_000
    x = np.tile(np.array(field), (n, 1, 1))
    drawn = draw_heisenberg(row_streams(3, 0, n), x)[:, 0]
    size = np.linalg.norm(field)
    along = np.array(field) / size if size else np.array([0.0, 0.0, 1.0])
    # 1 − cos θ, from the difference of the two vectors, which loses no digits where that is small.
    back = ((drawn - along) ** 2).sum(axis=1) / 2
    chance = np.expm1(-size * back) / np.expm1(-2 * size) if size else back / 2
    first = np.cross(along, [0.3, 0.5, -0.7])
    first /= np.linalg.norm(first)
    turn = np.arctan2(drawn @ np.cross(along, first), drawn @ first) / (2 * np.pi) + 0.5
    for uniform in (chance, turn):
        ranks, values = np.arange(n + 1) / n, np.sort(uniform)
        distance = max((ranks[1:] - values).max(), (values - ranks[:-1]).max())
        assert math.sqrt(n) * distance < 2.5


def test_float32(kernels: Kernels, parameters: Arrays) -> None:
    single = {name: value.astype(np.float32) for name, value in parameters.items()}
    h = HIDDEN.astype(np.float32)
    for value, exact in (
        (kernels.free_energy(h, of="h", **single), kernels.free_energy(HIDDEN, of="h", **parameters)),
        (kernels.mean("v", h, **single), kernels.mean("v", HIDDEN, **parameters)),
    ):
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, exact, rtol=2e-6, atol=1e-6)
    assert kernels.sample("v", h, 0, **single).dtype == np.float32


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e4])
def test_fields_of_any_size(kernels: Kernels, scale: float) -> None:
    p = {"w": np.full((N_V, 3, N_H), scale), "a": np.zeros((N_V, 3)), "b": np.zeros(N_H)}
    for value in (kernels.free_energy(HIDDEN, of="h", **p), kernels.mean("v", HIDDEN, **p)):
        assert np.isfinite(value).all()
    np.testing.assert_allclose(np.linalg.norm(kernels.sample("v", HIDDEN, 1, **p).reshape(-1, 3), axis=1), 1)


def test_wrong_arrays_are_refused(kernels: Kernels, parameters: Arrays) -> None:
    with pytest.raises(ValueError, match=r"v must have shape \(rows, 6\). Got \(2, 5\)"):
        kernels.free_energy(np.zeros((2, 5)), **parameters)
    with pytest.raises(ValueError, match=r"w must have shape \(n_v, 3, n_h\), since heisenberg units are vectors"):
        kernels.free_energy(some_directions(1, N_V), **{**parameters, "w": np.zeros((N_V, 2, N_H))})


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("-sum(a[i]*v[i], i)", "has an index and one of its 3 components; it was given 1", 11),
        ("-sum(a[i]*v[i,3], i)", "components are 0 to 2", 15),
        ("-sum(h[j,α]*a[j,α], j, α)", "a unit of layer h has one index", 6),
        ("-sum(v[i,j]*h[j], i, j)", "index j runs over layer h", 15),
    ],
)
def test_wrong_components_are_pointed_at(text: str, message: str, column: int) -> None:
    with pytest.raises(EnergySyntaxError, match=message) as caught:
        Energy.parse(text, visible={"v": "heisenberg"}, hidden={"h": "binary"})
    assert f"column {column}:" in str(caught.value)


def test_vectors_are_not_calculated_with() -> None:
    v, h = Layer("v", "heisenberg"), Layer("h", "binary")
    i, a = v.index("i"), Parameter("a", v)
    with pytest.raises(EnergyError, match=r"which are vectors .* name their components, as in v\[i, α\]"):
        Energy(-Sum(a[i] * v[i], i), visible=[v])
    calls: list[tuple[Any, str]] = [
        (lambda: h.components, "are not vectors"),
        (lambda: h[0, 1], "takes one index"),
        (lambda: v[i, 3], "components are 0 to 2"),
        (lambda: v.components[0], "is component α of unit i"),
        (lambda: v.components.components, "have no components of their own"),
    ]
    for call, message in calls:
        with pytest.raises(EnergyError, match=message):
            call()


def test_terms_without_a_closed_form_are_named() -> None:
    energy = Energy.parse("-sum(d[i,α]*v[i,α]^2, i, α)", visible={"v": "heisenberg"}, hidden={"h": "binary"})
    with pytest.raises(NotSeparableError, match=r"v\[k, l\]\*\*2\*d\[k, l\], k, l\) of −E is not linear in the compon"):
        energy.free_energy("h")
