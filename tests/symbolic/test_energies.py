"""Ready-made energies: equal to their text, every step checked, every mistake refused, every result by brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from symbolic import Energy, EnergyError, NotSeparableError, energies
from symbolic.check.mutants import mutations
from symbolic.check.sizes import default_sizes
from symbolic.check.verification import Checker
from symbolic.derivation.trace import Derivation
from symbolic.units import lookup
from tests.symbolic.plain import Plain, nodes

BIASES = " - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)"
PAIRS = "-sum(v[i]*w[i,j]*h[j], i, j)" + BIASES
TRIPLES = "-sum(v[i]*x[k]*h[j]*w[i,k,j], i, k, j)" + BIASES
LEARNT = "sum(exp(-z[i])*(v[i]-a[i])^2, i)/2 - sum(exp(-z[i])*v[i]*w[i,j]*h[j], i, j) - sum(b[j]*h[j], j)"
DEEP = (
    "-sum(v[i]*w1[i,j]*h1[j], i, j) - sum(h1[j]*w2[j,k]*h2[k], j, k)"
    " - sum(a[i]*v[i], i) - sum(b1[j]*h1[j], j) - sum(b2[k]*h2[k], k)"
)
SQUARES = {"v": " + sum(v[i]^2, i)/2", "h": " + sum(h[j]^2, j)/2"}


def _pairs(p: Any, v: Any, h: Any) -> Any:
    return np.einsum("ti,ij,tj->t", v, p.w, h)


def _biases(p: Any, v: Any, h: Any) -> Any:
    return v @ p.a + h @ p.b


def _half_square(s: Any) -> Any:
    return (s**2).sum(1) / 2


@dataclass(frozen=True)
class Case:
    """A ready-made energy under chosen units: how it is made, its text, and its formula once more by hand."""

    make: Callable[[], Energy]
    text: str
    by_hand: Callable[..., Any]
    """From parameters and states, one configuration a row, to E."""
    visible: Mapping[str, str]
    hidden: Mapping[str, str]
    given: Mapping[str, str] = field(default_factory=dict)
    symmetric: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    """For brute force; layers of real numbers have one unit, so that integrals stay one-dimensional."""
    negative: tuple[str, ...] = ()
    """The parameters that have to be negative for a normaliser to exist."""


def _pairwise(visible: str, hidden: str, **more: Any) -> Case:
    squares = [layer for layer, unit in (("v", visible), ("h", hidden)) if unit in ("gaussian", "relu")]

    def by_hand(p: Any, v: Any, h: Any) -> Any:
        quadratic = sum(_half_square({"v": v, "h": h}[layer]) for layer in squares)
        return quadratic - _pairs(p, v, h) - _biases(p, v, h)

    return Case(
        lambda: energies.pairwise(visible, hidden),
        PAIRS + "".join(SQUARES[layer] for layer in squares),
        by_hand,
        {"v": visible},
        {"h": hidden},
        **more,
    )


CASES = {
    "pairwise binary-binary": _pairwise("binary", "binary"),
    "pairwise spin-spin": _pairwise("spin", "spin"),
    "pairwise ternary-binomial": _pairwise("{-1, 0, 1}", "binomial(4)", sizes={"v": 2, "h": 2}),
    "pairwise integer-spin": _pairwise("integer(5)", "spin", sizes={"v": 1, "h": 2}),
    "pairwise binary-poisson": _pairwise("binary", "poisson", sizes={"v": 2, "h": 1}),
    "pairwise binary-geometric": _pairwise("binary", "geometric", sizes={"v": 2, "h": 1}, negative=("b", "w")),
    "pairwise spin-exponential": _pairwise("spin", "exponential", sizes={"v": 2, "h": 1}, negative=("b",)),
    "pairwise binary-gamma": _pairwise("binary", "gamma(5/2)", sizes={"v": 2, "h": 1}, negative=("b", "w")),
    "pairwise uniform-binary": _pairwise("uniform", "binary", sizes={"v": 1, "h": 2}),
    "pairwise gaussian-binary": _pairwise("gaussian", "binary", sizes={"v": 1, "h": 2}),
    "pairwise binary-relu": _pairwise("binary", "relu", sizes={"v": 2, "h": 1}),
    "pairwise gaussian-gaussian": _pairwise("gaussian", "gaussian", sizes={"v": 1, "h": 1}),
    "lecture": Case(
        energies.lecture,
        "-sum(v[i]*w[i,j]*h[j], i, j)",
        lambda p, v, h: -_pairs(p, v, h),
        {"v": "binary"},
        {"h": "binary"},
    ),
    "gaussian fixed": Case(
        lambda: energies.gaussian(sigma="fixed"),
        "sum((v[i]-a[i])^2, i)/2 - sum(v[i]*w[i,j]*h[j], i, j) - sum(b[j]*h[j], j)",
        lambda p, v, h: _half_square(v - p.a) - _pairs(p, v, h) - h @ p.b,
        {"v": "gaussian"},
        {"h": "binary"},
        sizes={"v": 1, "h": 2},
    ),
    "gaussian learnt": Case(
        energies.gaussian,
        LEARNT,
        lambda p, v, h: ((v - p.a) ** 2 / 2 * np.exp(-p.z)).sum(1) - ((v * np.exp(-p.z)) @ p.w * h).sum(1) - h @ p.b,
        {"v": "gaussian"},
        {"h": "binary"},
        sizes={"v": 1, "h": 2},
    ),
    "third order": Case(
        energies.third_order,
        TRIPLES + " - sum(c[k]*x[k], k)",
        lambda p, v, x, h: -np.einsum("ti,tk,tj,ikj->t", v, x, h, p.w) - _biases(p, v, h) - x @ p.c,
        {"v": "binary", "x": "binary"},
        {"h": "binary"},
        sizes={"v": 2, "x": 2, "h": 2},
    ),
    "gated": Case(
        lambda: energies.gated("binary", "spin", "gaussian"),
        TRIPLES,
        lambda p, v, h, x: -np.einsum("ti,tk,tj,ikj->t", v, x, h, p.w) - _biases(p, v, h),
        {"v": "binary"},
        {"h": "spin"},
        {"x": "gaussian"},
    ),
    "conditional": Case(
        energies.conditional,
        PAIRS + " - sum(v[i]*A[i,k]*x[k], i, k) - sum(h[j]*B[j,k]*x[k], j, k)",
        lambda p, v, h, x: -_pairs(p, v, h) - _biases(p, v, h) - (v @ p.A * x).sum(1) - (h @ p.B * x).sum(1),
        {"v": "binary"},
        {"h": "binary"},
        {"x": "binary"},
    ),
    "covariance": Case(
        energies.covariance,
        "sum(h[j]*sum(w[i,j]*v[i], i)^2, j)/2 + sum(v[i]^2, i)/2" + BIASES,
        lambda p, v, h: (h * (v @ p.w) ** 2).sum(1) / 2 + _half_square(v) - _biases(p, v, h),
        {"v": "gaussian"},
        {"h": "binary"},
        sizes={"v": 1, "h": 2},
    ),
    "covariance of spins": Case(
        lambda: energies.covariance("spin"),
        "sum(h[j]*sum(w[i,j]*v[i], i)^2, j)/2" + BIASES,
        lambda p, v, h: (h * (v @ p.w) ** 2).sum(1) / 2 - _biases(p, v, h),
        {"v": "spin"},
        {"h": "binary"},
    ),
    "semi-restricted": Case(
        lambda: energies.semi_restricted("spin"),
        PAIRS + " - sum(L[i,k]*v[i]*v[k], i, k)/2",
        lambda p, v, h: -_pairs(p, v, h) - _biases(p, v, h) - np.einsum("ti,ik,tk->t", v, p.L, v) / 2,
        {"v": "spin"},
        {"h": "binary"},
        symmetric=("L",),
    ),
    "deep": Case(
        energies.deep,
        DEEP,
        lambda p, v, h1, h2: -(v @ p.w1 * h1).sum(1) - (h1 @ p.w2 * h2).sum(1) - v @ p.a - h1 @ p.b1 - h2 @ p.b2,
        {"v": "binary"},
        {"h1": "binary", "h2": "binary"},
        sizes={"v": 2, "h1": 3, "h2": 2},
    ),
}

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def questions(energy: Energy) -> Iterator[tuple[str, Derivation]]:
    """Everything that can be asked of an energy and has an answer in closed form, and every single-site conditional."""
    asked: dict[str, Callable[[], Derivation]] = {"ln Z": energy.log_partition, "F": energy.free_energy}
    for name in energy.parameters:
        asked[f"gradient by {name}"] = lambda name=name: energy.log_likelihood_gradient(name)
        asked[f"phase of {name}"] = lambda name=name: energy.phase(name)
    for layer in energy.visible + energy.hidden:
        asked[f"F of {layer.name}"] = lambda layer=layer: energy.free_energy(of=layer)
        asked[f"unit of {layer.name}"] = lambda layer=layer: energy.conditional(layer)
        asked[f"single unit of {layer.name}"] = lambda layer=layer: energy.conditional(layer, "single-site")
    for question, answer in asked.items():
        try:
            yield question, answer()
        except NotSeparableError:
            continue


@each_case
def test_text_gives_the_same_object(case: Case) -> None:
    sides = {"visible": case.visible, "hidden": case.hidden, "given": case.given, "symmetric": case.symmetric}
    assert Energy.parse(case.text, **sides) == case.make()  # type: ignore[arg-type]


@each_case
def test_every_step_passes(case: Case) -> None:
    tried = 0
    for question, derivation in questions(case.make()):
        verification = derivation.verify()
        assert verification, f"{question}: {verification}"
        assert not verification.not_checkable
        tried += 1
    assert tried >= 6


WHOLE_LINE = ("a sign flipped", "a constant added", "a factor 2 too much")
FINITE = [n for n, case in CASES.items() if {*case.visible.values(), *case.hidden.values()} <= {"binary", "spin"}]


@pytest.mark.parametrize("name", FINITE)
def test_every_kind_of_mistake_is_refused(name: str) -> None:
    """One of each kind in each line; the slow test makes them all."""
    assert _refused(CASES[name], most=1) >= 50


@pytest.mark.parametrize(
    "name", ["pairwise gaussian-binary", "pairwise binary-geometric", "gaussian learnt", "covariance"]
)
def test_wrong_signs_constants_and_factors_are_refused(name: str) -> None:
    """Where a check integrates, it takes a while; the slow test makes the other mistakes too."""
    assert _refused(CASES[name], most=1, kinds_made=WHOLE_LINE) >= 30


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_mistake_is_refused(name: str) -> None:
    assert _refused(CASES[name], most=1000 if name in FINITE else 1) >= 200


def _refused(case: Case, most: int, kinds_made: tuple[str, ...] = ()) -> int:
    """Make at most so many mistakes of a kind in each line, of all kinds if none are named; return how many."""
    energy = case.make()
    sizes = {energy.layers[name]: size for name, size in default_sizes(energy).items()}
    tried, seen = 0, set()
    for question, derivation in questions(energy):
        checker = Checker(sizes)  # one for each derivation, as verify has
        for step in derivation.steps:
            if step in seen:
                continue
            seen.add(step)
            kinds: dict[str, int] = {}
            for mistake, line in mutations(step.after):
                kinds[mistake] = kinds.get(mistake, 0) + 1
                if line == step.after or kinds[mistake] > most or mistake not in (kinds_made or kinds):
                    continue
                tried += 1
                _, found = checker.compare(step.before, line, derivation.conditions)
                where = f"{question}, {step.rule}, {mistake}: {line}"
                assert found or is_no_mistake(case, energy, step.after, line), where
    return tried


def is_no_mistake(case: Case, energy: Energy, line: Any, changed: Any) -> bool:
    """Whether a changed line is the same function, found in floating point: −h for a spin h that is summed over,
    say, or another constant under a derivative."""
    for seed in (0, 1):
        plain = Model(case, energy, seed, dict.fromkeys(energy.layers, 2)).plain()
        # Central differences of sums of a hundred terms of order one are good to 1e-8.
        if abs(plain(line) - plain(changed)) > 1e-7 * max(1, abs(plain(line))):
            return False
    return True


class Model:
    """A case with numbers: random parameters, and all configurations with their weights e^{−E}."""

    def __init__(self, case: Case, energy: Energy, seed: int = 0, sizes: Mapping[str, int] | None = None):
        self.case = case
        self.energy = energy
        self.sizes = dict(sizes or case.sizes or default_sizes(energy))
        rng = np.random.default_rng(seed)
        self.parameters = {}
        for name, parameter in energy.parameters.items():
            value = rng.normal(size=[self.sizes[layer.name] for layer in parameter.layers]) / 2
            if parameter.symmetric:
                value = value + value.T
                np.fill_diagonal(value, 0)
            if name in case.negative:
                value = -abs(value) - (1.5 if name == "b" else 0.2)
            if name == "w" and not case.negative:
                value = np.clip(value, -0.4, 0.4)  # a Gaussian pair has a normaliser if no w is long
            self.parameters[name] = value
        some = {layer.name: nodes(layer.unit)[0] for layer in energy.layers.values()}
        self.states = {
            name: [float(rng.choice([s for s in some[name] if 0.05 < abs(s) < 2.5 or s == 0])) for _ in range(size)]
            for name, size in self.sizes.items()
        }

    def plain(self, coarse: bool = False, **states: Any) -> Plain:
        return Plain(self.energy, self.sizes, self.parameters, {**self.states, **states}, coarse)

    def log_sum(self, kept: tuple[str, ...], **changed: Any) -> float:
        """ln Σ μ e^{−E} over all layers that are neither kept nor given."""
        parameters = SimpleNamespace(**{**self.parameters, **changed})
        rows = {}
        summed = [n for n in self.energy.layers if n not in kept and n not in self.case.given]
        spaces = [nodes(self.energy.layers[name].unit) for name in summed for _ in range(self.sizes[name])]
        weights = np.array([math.prod(w) for w in itertools.product(*(space[1] for space in spaces))])
        states = np.array([*itertools.product(*(space[0] for space in spaces))]).reshape(len(weights), -1)
        start = 0
        for name in self.energy.layers:
            if name in summed:
                rows[name] = states[:, start : start + self.sizes[name]]
                start += self.sizes[name]
            else:
                rows[name] = np.tile(self.states[name], (len(states), 1))
        return float(np.log(weights @ np.exp(-self.case.by_hand(parameters, *rows.values()))))

    def value(self) -> float:
        """E at the states."""
        rows = [np.array([self.states[name]]) for name in self.energy.layers]
        return float(self.case.by_hand(SimpleNamespace(**self.parameters), *rows)[0])

    def slope(self, name: str, of: Callable[..., float]) -> Any:
        """The central difference of a function of the parameters by the entry that the derivation names."""
        step = 1e-5
        place = (0,) * self.parameters[name].ndim
        if self.energy.parameters[name].symmetric:
            place = (0, 1)
        values = []
        for sign in (1, -1):
            moved = self.parameters[name].copy()
            for entry in {place, place[::-1]} if self.energy.parameters[name].symmetric else {place}:
                moved[entry] += sign * step
            values.append(of(**{name: moved}))
        return (values[0] - values[1]) / (2 * step)


@each_case
def test_results_agree_with_brute_force(case: Case) -> None:
    """Sums to 1e-9 relative, as the quadratures are good to 1e-12; slopes to 1e-7, as central differences are."""
    energy = case.make()
    model = Model(case, energy, seed=3)
    visible = tuple(case.visible)
    exactly, roughly = {"rel": 1e-9, "abs": 1e-9}, {"rel": 1e-7, "abs": 1e-7}
    try:
        free_energy = energy.free_energy().result
    except NotSeparableError:
        free_energy = energy.free_energy(method="enumeration").result
    assert model.plain()(free_energy) == pytest.approx(-model.log_sum(visible), **exactly)
    assert model.plain()(energy.log_partition().result) == pytest.approx(model.log_sum(()), **exactly)
    for name in energy.parameters:
        phase = model.slope(name, lambda **changed: model.log_sum(visible, **changed))
        term_b = model.slope(name, lambda **changed: model.log_sum((), **changed))
        try:
            assert model.plain()(energy.phase(name).result) == pytest.approx(phase, **roughly)
        except NotSeparableError:
            assert case is CASES["deep"]
        derivation = energy.log_likelihood_gradient(name)
        if all(lookup(layer.unit).is_finite for layer in energy.visible + energy.hidden):
            assert model.plain()(derivation.term_a) == pytest.approx(phase, **roughly)
            assert model.plain()(derivation.result) == pytest.approx(phase - term_b, **roughly)


@each_case
def test_conditionals_agree_with_brute_force(case: Case) -> None:
    energy = case.make()
    model = Model(case, energy, seed=4)
    for layer in energy.visible + energy.hidden:
        derivation = energy.conditional(layer, "auto")
        states, weights = nodes(layer.unit)
        row = model.states[layer.name]
        log_weights = []
        for state in states:
            model.states[layer.name] = [state, *row[1:]]
            log_weights.append(-model.value())
        model.states[layer.name] = row
        unnormalised = np.exp(log_weights)
        total = np.array(weights) @ unnormalised
        assert model.plain()(derivation.mean) == pytest.approx(
            (np.array(weights) * states) @ unnormalised / total, 1e-9
        )
        for state, expected in list(zip(states, unnormalised / total, strict=True))[:: max(1, len(states) // 5)]:
            here = model.plain(**{layer.name: [state, *row[1:]]})
            assert here(derivation.result) == pytest.approx(expected, rel=1e-8, abs=1e-12)


def test_all_are_listed_by_name() -> None:
    assert {name: made.__name__ for name, made in energies.READY_MADE.items()} == {n: n for n in energies.READY_MADE}
    assert set(energies.READY_MADE) | {"READY_MADE"} == set(energies.__all__)
    for made in energies.READY_MADE.values():
        assert isinstance(made(), Energy)
        assert "Source:" in (made.__doc__ or "") or made is energies.lecture


def test_deep_machines_of_any_depth() -> None:
    energy = energies.deep("gaussian", ["binary", "spin", "binary"])
    assert [layer.unit for layer in energy.hidden] == ["binary", "spin", "binary"]
    assert list(energy.parameters) == ["a", "b1", "b2", "b3", "w1", "w2", "w3"]
    assert energy.free_energy(of=["h1", "h3"]).verify({"v": 2, "h1": 2, "h2": 3, "h3": 1})  # v and h2 at once
    assert energies.deep("spin", "binary", 4) == energies.deep("spin", ["binary"] * 4)
    assert energies.deep() == energies.deep(depth=2)


def test_a_variance_that_is_learnt_needs_no_condition() -> None:
    """The precision e^{−z} is positive whatever z; 1 + Σ w² h is for h ≥ 0."""
    assert energies.gaussian().free_energy(of="h").conditions == ()
    assert energies.covariance().conditional("v", "single-site").conditions == ()
    assert len(energies.covariance(hidden="spin").conditional("v", "single-site").conditions) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: energies.pairwise("purple"), "no unit called 'purple'"),
        (lambda: energies.gaussian(sigma="free"), "sigma is 'fixed' or 'learnt'. Got 'free'"),
        (lambda: energies.deep(depth=1), "from 2 to 16 hidden layers. Got 1"),
        (lambda: energies.deep(depth="3"), "from 2 to 16 hidden layers. Got '3'"),
        (lambda: energies.deep(hidden=["binary"]), "from 2 to 16 hidden layers. Got 1"),
        (lambda: energies.deep(hidden=["binary", "spin"], depth=3), "one unit for each of the 3 hidden layers. Got 2"),
    ],
)
def test_bad_input_is_named(make: Callable[[], Energy], message: str) -> None:
    with pytest.raises(EnergyError, match=message):
        make()
