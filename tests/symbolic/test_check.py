"""The checker: the arithmetic it rests on, every wrong line refused, and the lecture's own slips found."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest
from sympy import Derivative, Integer, exp, isprime, log

from symbolic import Energy, SymbolicError
from symbolic.check.finite_field import P, Q, Value, World
from symbolic.check.mutants import mutants, mutations
from symbolic.check.verification import difference, worlds
from symbolic.errors import CheckError
from symbolic.language.binders import ConfigSum, IndexProduct, UnitSum
from symbolic.language.functions import log2cosh, sigmoid, softplus
from symbolic.language.layers import Configuration, Delta, Index
from tests.symbolic.models import biased_energy, lecture_energy
from tests.symbolic.test_derivation import ALL_QUESTIONS, UNITS


def test_the_field_is_what_it_claims_to_be() -> None:
    assert P == 2 * Q + 1
    assert isprime(P)
    assert isprime(Q)


def test_values_compute_exactly() -> None:
    half = Value.of(Fraction(1, 2))
    assert half + half == Value.of(1)
    x = Value(0, Fraction(0), pow(12345, 2, P))
    assert (x * half + x * half) == x  # √X·√X = X in the group of squares
    assert x.exp().ln() == x
    assert (Value.of(3) * Value.of(3).inverse()) == Value.of(1)


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x * x,
        lambda x: x.inverse(),
        lambda x: x.ln(),
        lambda x: Value.of(0).inverse(),
        lambda x: Value.of(0).ln(),
        lambda x: x.exp() * x,
    ],
)
def test_what_has_no_exact_value_is_refused(operation: object) -> None:
    with pytest.raises(CheckError):
        operation(Value(0, Fraction(0), pow(7, 2, P)))  # type: ignore[operator]


def _world(energy: Energy, seed: int = 0, **sizes: int) -> World:
    return World({energy.layers[name]: n for name, n in sizes.items()}, seed)


def test_the_oracle_agrees_with_rational_arithmetic() -> None:
    """Parameters are logs of known squares, so Z of a 2×1 model is a rational number known in closed form."""
    energy = lecture_energy()
    world = _world(energy, v=2, h=1)
    squares = {(0, 0): 9, (1, 0): 4}
    for position, x in squares.items():
        world.parameters["w", position] = Value(0, Fraction(0), x)
    z = sum(
        math.prod(x ** (v[i] * h) for (i, _), x in squares.items())
        for v in ((0, 0), (0, 1), (1, 0), (1, 1))
        for h in (0, 1)
    )
    log_z = energy.log_partition().subject
    assert world.evaluate(exp(log_z)) == Value.of(z)
    assert z == 4 + 1 + 9 + 4 + 36


def test_functions_mean_what_they_print() -> None:
    energy = biased_energy()
    x = energy.entry("b")
    (point,) = worlds({energy.layers["v"]: 2, energy.layers["h"]: 3}, points=1)
    for named, meaning in [
        (softplus(x), log(1 + exp(x))),
        (sigmoid(x), exp(x) / (1 + exp(x))),
        (log2cosh(x), log(exp(x) + exp(-x))),
    ]:
        assert not difference(named, meaning, [point])
        assert difference(named, meaning + 1, [point])
        assert not difference(Derivative(named, x, evaluate=False), named.diff(x), [point])


# Lines that look like mistakes and are none: both sides are the same function, so the checker must accept them.
TRUE_ALL_THE_SAME = {
    ("conditional of h", "mean", 0, "a factor dropped"): "h·e^{hx} = h·e^x for h in {0, 1}",
    ("phase w", "phase", 1, "a term dropped"): "∂/∂w of a term without w is 0",
    ("phase w", "phase", 1, "a term with the wrong sign"): "∂/∂w of a term without w is 0",
    ("phase w", "phase", 1, "a factor dropped"): "∂/∂w of a term without w is 0",
    ("conditional of v", "mean", 0, "a factor dropped"): "v·e^{vx} = v·e^x for v in {0, 1}",
    ("phase a", "phase", 1, "a term dropped"): "∂/∂a of a term without a is 0",
    ("phase a", "phase", 1, "a term with the wrong sign"): "∂/∂a of a term without a is 0",
    ("phase a", "phase", 1, "a factor dropped"): "∂/∂a of a term without a is 0",
    ("phase b", "phase", 1, "a term dropped"): "∂/∂b of a term without b is 0",
    ("phase b", "phase", 1, "a term with the wrong sign"): "∂/∂b of a term without b is 0",
    ("phase b", "phase", 1, "a factor dropped"): "∂/∂b of a term without b is 0",
}


@pytest.mark.parametrize("question", ALL_QUESTIONS)
def test_every_wrong_line_is_refused(question: str) -> None:
    energy = biased_energy()
    derivation = ALL_QUESTIONS[question](energy)
    at = worlds({energy.layers["v"]: 2, energy.layers["h"]: 3})
    tried = 0
    for branch in derivation.branches:
        for position, step in enumerate(branch.steps):
            for mistake, line in mutations(step.after):
                tried += 1
                accepted = not difference(step.before, line, at)
                excused = (question, branch.name, position, mistake) in TRUE_ALL_THE_SAME
                assert not accepted or excused, f"{mistake} in {branch.name}, line {position + 1}: {line}"
    assert tried >= 20


@pytest.mark.parametrize("question", ALL_QUESTIONS)
@pytest.mark.parametrize("units", UNITS, ids="-".join)
def test_wrong_signs_constants_and_factors_are_refused_for_every_unit(question: str, units: tuple[str, str]) -> None:
    """For spins, changing the sign of a summed state is no mistake, so only changes of the whole line are made."""
    energy = biased_energy(*units)
    at = worlds({energy.layers["v"]: 2, energy.layers["h"]: 3})
    for step in ALL_QUESTIONS[question](energy).steps:
        for line in (-step.after, step.after + log(Integer(2)), 2 * step.after):
            assert difference(step.before, line, at), line


def test_a_wrong_line_costs_its_step_the_tick() -> None:
    derivation = lecture_energy().log_likelihood_gradient("w")
    wrong = [m for m in mutants(derivation) if m.branch == "Term B" and m.position == 3]
    assert len(wrong) >= 8
    for mutant in wrong:
        verification = mutant.derivation.verify()
        assert not verification
        assert not verification.passed("Term B", 3), mutant.mistake
        assert verification.passed("Term A", 3)
        assert "Term B, line 4" in str(verification)


def test_the_lectures_slip_is_found() -> None:
    """Two Term B lines of the lecture leave ∂(−E(v^u, h^g))/∂w outside the sum over u and g."""
    energy = lecture_energy()
    derivation = energy.log_likelihood_gradient("w")
    step = derivation["Term B"].steps[2]
    total = derivation["Term B"].subject.expr.args[0]
    u, g = total.configurations
    slip = ConfigSum(total.body, u, g) / total * Derivative(-energy.function(u, g), energy.entry("w"), evaluate=False)
    steps = (*derivation["Term B"].steps[:2], replace(step, after=slip), *derivation["Term B"].steps[3:])
    branch = replace(derivation["Term B"], steps=steps)
    wrong = replace(derivation, branches=(*derivation.branches[:2], branch, derivation.branches[3]))
    failure = next(c for c in wrong.verify().failures if c.position == 2)
    assert failure.detail.startswith("unbound label u, g")


def test_a_joint_that_does_not_fit_is_found() -> None:
    derivation = lecture_energy().log_likelihood_gradient("w")
    a = derivation["Term A"]
    skipped = replace(
        derivation, branches=tuple(replace(b, steps=b.steps[1:]) if b is a else b for b in derivation.branches)
    )
    assert any("does not start where" in c.detail for c in skipped.verify().failures)
    swapped = replace(
        derivation,
        branches=tuple(
            replace(b, name={"Term A": "Term B", "Term B": "Term A"}.get(b.name, b.name)) for b in derivation.branches
        ),
    )
    assert {c.rule for c in swapped.verify().failures} >= {"split into terms", "difference of the terms"}


def test_points_are_never_degenerate() -> None:
    """v = 0 everywhere, i = i′, or two units that always agree would let a wrong candidate pass."""
    energy = biased_energy()
    v, h = energy.layers["v"], energy.layers["h"]
    for seed in range(20):
        states = []
        for world in worlds({v: 2, h: 4}, seed=seed):
            i, other, j = Index("i", v), Index("i′", v), Index("j", h)
            world.place(v[i] * v[other] * h[j])
            assert world.indices[i] != world.indices[other]
            assert len(set(world.states[Configuration(v)])) == 2
            states.append(world.states[Configuration(h)])
        assert len(states) == 4
        histories = list(zip(*states, strict=True))
        assert all(len(set(history)) == 2 for history in histories)  # every unit stands in both states
        assert len(set(histories)) == 4  # and no two units always agree


def test_binders_evaluate() -> None:
    energy = biased_energy()
    h = energy.layers["h"]
    j = h.index("j")
    (world,) = worlds({energy.layers["v"]: 2, h: 3}, points=1)
    assert world.evaluate(IndexProduct(Integer(2) + Delta(j, Integer(0)), j)) == Value.of(12)
    assert world.evaluate(UnitSum(h[0] + 1, h[0])) == Value.of(3)
    assert world.evaluate(h.size**2) == Value.of(9)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"v": 2}, "every layer"),
        ({"v": 2, "h": 2, "x": 1}, "every layer"),
        ({"v": 0, "h": 1}, "whole number from 1"),
        ({"v": 30, "h": 20}, r"have 2\^50; 2\^14 is the most"),
        ([2, 3], "sizes maps layers"),
    ],
)
def test_sizes_that_do_not_fit(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(SymbolicError, match=message):
        lecture_energy().log_likelihood_gradient("w").verify(sizes)


def test_points_are_positive() -> None:
    for points in (0, "4"):
        with pytest.raises(SymbolicError, match="whole number from 1"):
            lecture_energy().log_likelihood_gradient("w").verify(points=points)  # type: ignore[arg-type]


def test_terms_are_held_together_whatever_a_derivation_calls_itself() -> None:
    derivation = lecture_energy().log_likelihood_gradient("w")
    swapped = {"Term A": derivation["Term B"].steps, "Term B": derivation["Term A"].steps}
    branches = tuple(
        replace(branch, steps=swapped[branch.name], subject=swapped[branch.name][0].before)
        if branch.name in swapped
        else branch
        for branch in derivation.branches
    )
    for kind in ("gradient", "free energy"):
        assert not replace(derivation, kind=kind, branches=branches).verify()
