"""The checker: the arithmetic it rests on, every wrong line refused, and the lecture's own slips found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice

import pytest
from sympy import Derivative, Expr, Integer, erfc, exp, isprime, log, pi, sqrt

from symbolic import Energy, SymbolicError, energies
from symbolic.check.finite_field import FIELDS, P, Q, S
from symbolic.check.mutants import mutants, mutations
from symbolic.check.sizes import default_sizes, other_sizes
from symbolic.check.small_model import SmallModel
from symbolic.check.verification import Checker, difference, models
from symbolic.energies import deep
from symbolic.errors import CheckError, EnergyError
from symbolic.language.binders import ConfigSum, IndexProduct, Sum, UnitSum
from symbolic.language.expressions import Delta
from symbolic.language.functions import bessel_i, log2cosh, lognorm, sigmoid, softplus
from symbolic.language.layers import Configuration, Index, Layer
from symbolic.language.parameters import Parameter
from symbolic.language.probability import EnergyCall, FreeEnergy, Probability, UnitProbability
from tests.symbolic.derivation.test_gradient import ALL_QUESTIONS, UNITS
from tests.symbolic.models import biased_energy, lecture_energy


def test_the_fields_are_what_they_claim_to_be() -> None:
    assert (P, Q) == (2 * Q + 1, 2 * S + 1)
    assert all(map(isprime, (P, Q, S)))
    assert [field.modulus for field in FIELDS] == [P, Q, S]
    for field in FIELDS[:2]:
        assert pow(field.e, field.exponents.modulus, field.modulus) == 1 != field.e  # of the order of the exponents


def _model(energy: Energy, **sizes: int) -> SmallModel:
    (model,) = models({energy.layers[name]: n for name, n in sizes.items()})
    return model


X, Y, N = (Parameter(name)[()] for name in "xyn")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (exp(X) * exp(Y), exp(X + Y)),
        (exp(log(exp(X) + 1)), exp(X) + 1),
        (log(exp(X)) + log(exp(Y)), X + Y),
        (log((1 + exp(X)) ** 3), 3 * log(1 + exp(X))),
        (exp(X / 2) ** 2, exp(X)),
        (sqrt(exp(2 * X)), exp(X)),
        (exp(exp(X) * exp(Y)), exp(exp(X + Y))),
        (exp(exp(X) + exp(-X)), exp((exp(2 * X) + 1) / exp(X))),
        (exp(Y / (exp(X) + 1)) ** 2, exp(2 * Y / (1 + exp(X)))),
        (exp(Y * sqrt(exp(2 * X))), exp(Y * exp(X))),
        (Derivative(exp(exp(X)), X), exp(X + exp(X))),
        (Derivative(log(exp(X) + exp(Y)), Y), 1 / (1 + exp(X - Y))),
        (lognorm(exp(X)) - log(pi * exp(-X)) / 2, log(Integer(2)) / 2),
    ],
)
def test_equal_expressions_are_equal_in_the_fields_and_others_are_not(left: Expr, right: Expr) -> None:
    """The two sides are built by SymPy, but not simplified into each other."""
    for model in models({}):
        assert model.agree(left, right)
        for wrong in (right + 1, 2 * right, -right, right + X, right.xreplace({X: Y, Y: X})):
            assert wrong == right or not model.agree(left, wrong)


@pytest.mark.parametrize(
    "expression",
    [
        log(X) * log(Y),
        1 / log(X),
        log(X) ** 2,
        log(log(X)),
        log(X - X * (Y + 1) + X * Y),
        1 / (X - X * (Y + 1) + X * Y),
        exp(exp(exp(X))),
        erfc(X),
        bessel_i(0, X),
        Derivative(Derivative(X**2, X), X),
    ],
)
def test_what_has_no_exact_value_is_refused(expression: Expr) -> None:
    (model,) = models({})
    with pytest.raises(CheckError):
        model.agree(expression, expression + 1)


def test_the_oracle_agrees_with_whole_numbers() -> None:
    """Parameters are small whole numbers, so Z of a 2×1 model is a sum of powers of what stands in for e."""
    energy = lecture_energy()
    model = _model(energy, v=2, h=1)
    weights = {(0, 0): 9, (1, 0): 4}
    model.table(energy.parameters["w"]).update({place: model.cell(number) for place, number in weights.items()})
    exponents = [
        sum(x * v[i] * h for (i, _), x in weights.items()) for v in ((0, 0), (0, 1), (1, 0), (1, 1)) for h in (0, 1)
    ]
    log_z = energy.log_partition().subject
    assert model.evaluate(exp(log_z)) == sum(pow(FIELDS[0].e, n, P) for n in exponents) % P
    assert sorted(exponents) == [0, 0, 0, 0, 0, 4, 9, 13]


def test_functions_mean_what_they_print() -> None:
    energy = biased_energy()
    x = energy.entry("b")
    (point,) = models({energy.layers["v"]: 2, energy.layers["h"]: 3})
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
    at = models({energy.layers["v"]: 2, energy.layers["h"]: 3})
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
    at = models({energy.layers["v"]: 2, energy.layers["h"]: 3})
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


def test_points_go_through_all_places_or_through_each_at_least() -> None:
    v, x = Layer("v", "binary"), Layer("x", "spin")
    i, m, k = Index("i", v), Index("m", v), Index("k", x)
    (model,) = models({v: 3, x: 2})
    assert set(model.points((i, m, k))) == {(a, b, c) for a in range(3) for b in range(3) for c in range(2)}
    assert len(set(model.points((i,), ()))) == 3
    (few,) = models({v: 3, x: 2}, points=5)
    drawn = list(islice(few.points((i, m, k)), 5))
    assert len(drawn) == 5
    assert [set(column) for column in zip(*drawn, strict=True)] == [{0, 1, 2}, {0, 1, 2}, {0, 1}]
    assert drawn == list(islice(few.points((i, m, k)), 5))  # the same whenever they are asked for
    assert len(list(model.points((Configuration(v), i)))) == 24


def test_states_off_the_domain_show_what_no_single_state_would() -> None:
    """v_i + v_m − 1 and v_i v_m differ where both are 0 only, and Π_k (1 − v_k) vanishes in all states but one."""
    v, h = Layer("v", "binary"), Layer("h", "binary")
    i, m, k = v.index("i"), v.index("m"), v.index("k")
    for at in (models({v: 2, h: 3}), models({v: 4, h: 3})):
        assert difference(v[i] * v[m], v[i] + v[m] - 1, at)
        assert difference(v[i], v[i] + IndexProduct(1 - v[k], k), at)
        assert not difference(v[i] ** 2, v[i], at)  # true on the domain, where these are compared in turn


def test_a_factor_of_two_states_cannot_be_dropped() -> None:
    """Both may be 1 at the same points, if each layer's states are drawn by themselves."""
    energy = energies.conditional()
    sizes = {energy.layers[name]: size for name, size in default_sizes(energy).items()}
    for seed in range(10):
        checker = Checker(sizes, seed=seed)
        for name in ("A", "B", "w"):
            for step in energy.log_likelihood_gradient(name).steps:
                for mistake, line in mutations(step.after):
                    if mistake == "a factor dropped":
                        assert checker.compare(step.before, line)[1], (seed, name, line)


def test_binders_evaluate() -> None:
    energy = biased_energy()
    h = energy.layers["h"]
    j = h.index("j")
    (model,) = models({energy.layers["v"]: 2, h: 3})
    assert model.evaluate(IndexProduct(Integer(2) + Delta(j, Integer(0)), j)) == 12
    assert model.evaluate(UnitSum(h[0] + 1, h[0])) == 3
    assert model.evaluate(h.size**2) == 9


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


PLAIN = "-sum(v[i]*w[i,j]*h[j], i, j)"
NARROW = "sum((v[i]-a[i])^2, i)/(2*s^2) - sum(v[i]*w[i,j]*h[j], i, j)"


@pytest.mark.parametrize(
    ("text", "visible", "hidden"),
    [
        (NARROW, "gaussian", "binary"),
        (NARROW, "gaussian", "spin"),
        (PLAIN, "binary", "uniform"),
        (PLAIN, "binary", "integer(5)"),
        (PLAIN, "binary", "binomial(4)"),
        (PLAIN, "uniform", "uniform"),
        ("exp(1000) - sum(v[i]*w[i,j]*h[j], i, j)", "binary", "binary"),
        ("-sum(v[i]*exp(w[i,j])*h[j], i, j)", "spin", "binary"),
        ("-sum(v[i]*softplus(w[i,j])*h[j], i, j)", "spin", "binary"),
        ("-sum(v[i]*h[j]/(exp(w[i,j]) + exp(-w[i,j])), i, j)", "binary", "binary"),
    ],
)
def test_every_line_of_what_an_energy_is_asked_can_be_checked(text: str, visible: str, hidden: str) -> None:
    """Narrow integrands, closed forms that read 0/0 where v = 0, and exponentials in exponents."""
    parameters = {"s": ()} if "s^2" in text else {}
    energy = Energy.parse(text, visible={"v": visible}, hidden={"h": hidden}, parameters=parameters)
    asked = [energy.log_partition(), energy.free_energy(), energy.conditional("v"), energy.conditional("h")]
    for name in energy.parameters:
        asked += [energy.log_likelihood_gradient(name), energy.phase(name)]
    for derivation in asked:
        verification = derivation.verify()
        assert verification, f"{derivation.kind}: {verification}"


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("-c*v[0]*h[1]", {"v": 2, "h": 3}),
        ("-c*v[2]*h[0]", {"v": 3, "h": 4}),  # two sizes that differ
        ("-c*v[5]*h[3]", {"v": 6, "h": 4}),
        ("-c*v[11]*h[0]", {"v": 12, "h": 2}),
        ("-c*v[12]*h[0]", {"v": 13, "h": 1}),
    ],
)
def test_a_check_has_the_units_that_are_named(text: str, sizes: dict[str, int]) -> None:
    energy = Energy.parse(
        text + " - sum(b[j]*h[j], j)", visible={"v": "binary"}, hidden={"h": "binary"}, parameters={"c": ()}
    )
    assert default_sizes(energy) == sizes
    if sum(sizes.values()) < 11:
        verification = energy.log_likelihood_gradient("c").verify()
        assert verification, verification
        assert verification.sizes == sizes


def test_an_entry_asked_about_is_in_the_model() -> None:
    energy = lecture_energy()
    verification = energy.log_likelihood_gradient(energy.parameters["w"][4, 0]).verify()
    assert verification, verification
    assert verification.sizes == {"v": 5, "h": 3}


def test_too_many_units_are_said_not_to_be_checkable() -> None:
    energy = Energy.parse("-c*v[40]*h[0]", visible={"v": "binary"}, hidden={"h": "binary"}, parameters={"c": ()})
    verification = energy.log_likelihood_gradient("c").verify()
    assert not verification
    assert not verification.failures
    assert "2^42 configurations" in verification.not_checkable[0].detail


def test_many_layers_are_checked_with_fewer_units() -> None:
    sizes = default_sizes(deep(depth=5))
    assert set(sizes.values()) == {2}
    assert deep(depth=5).log_partition().verify()


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


@pytest.mark.parametrize("hidden", ["exponential", "geometric", "gamma(5/2)"])
def test_a_condition_that_is_wrong_or_forgotten_is_found(hidden: str) -> None:
    """Every line is checked under the conditions that stand at it and above it, and no others."""
    energy = energies.pairwise("binary", hidden)
    for derivation in (energy.free_energy(), energy.conditional("h")):
        wrong = [mutant for mutant in mutants(derivation) if mutant.mistake == "a condition with the wrong sign"]
        assert wrong
        assert not any(mutant.derivation.verify() for mutant in wrong)
        forgotten = replace(
            derivation,
            branches=tuple(
                replace(branch, steps=tuple(replace(step, conditions=()) for step in branch.steps))
                for branch in derivation.branches
            ),
        )
        assert derivation.verify()
        assert not forgotten.verify()


@pytest.mark.parametrize("energy", [energies.pairwise(), energies.third_order(), energies.gaussian()])
def test_a_sum_over_the_wrong_layer_is_found(energy: Energy) -> None:
    derivation = energy.log_likelihood_gradient("w")
    wrong = [mutant for mutant in mutants(derivation) if mutant.mistake == "a sum over the wrong layer"]
    assert len(wrong) >= 10
    assert not any(mutant.derivation.verify(points=2) for mutant in wrong)


OTHERS = {
    "replicated softmax": energies.replicated_softmax,
    "directions": lambda: energies.pairwise("heisenberg", "binary"),
    "labels": lambda: energies.pairwise("potts(3)", "potts(4)"),
    "two visible layers of numbers": lambda: energies.third_order("gaussian", "gaussian", "binary"),
    "four layers": lambda: energies.deep("gaussian", ["binary", "spin", "binary"]),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_other_ready_made_energies_have_no_line_that_cannot_be_checked(make: Callable[[], Energy]) -> None:
    energy = make()
    questions = [partial(energy.log_likelihood_gradient, name) for name in energy.parameters]
    questions += [partial(energy.conditional, layer, "auto") for layer in energy.visible + energy.hidden]
    questions += [partial(energy.free_energy, method="auto"), energy.log_partition]
    for ask in questions:
        verification = ask().verify()
        assert verification, verification
        assert not verification.not_checkable


@pytest.mark.parametrize("make", [OTHERS["replicated softmax"], OTHERS["labels"]])
def test_other_ready_made_energies_with_a_wrong_line_are_refused(make: Callable[[], Energy]) -> None:
    energy = make()
    checker = Checker({energy.layers[name]: size for name, size in default_sizes(energy).items()})
    tried = 0
    for derivation in (energy.log_likelihood_gradient("w"), energy.free_energy(), energy.conditional("h")):
        for step in derivation.steps:
            for mistake, line in mutations(step.after):
                if mistake in (
                    "a sign flipped",
                    "a factor 2 too much",
                    "a constant added",
                    "a sum over the wrong layer",
                ):
                    tried += 1
                    assert checker.compare(step.before, line, derivation.conditions)[1], (mistake, line)
    assert tried > 50


def test_an_energy_takes_a_configuration_of_each_of_its_layers() -> None:
    """F(v) = −ln Σ e^{−E(h, h′)} reads like F(v) = −ln Σ e^{−E(v, h)}, and means nothing."""
    function = biased_energy().function
    v, h = function.layers
    other = Configuration(h, "g")
    for make in (
        lambda: EnergyCall(function, Configuration(h), other),
        lambda: EnergyCall(function, other, Configuration(v)),
        lambda: EnergyCall(function, Configuration(v)),
        lambda: FreeEnergy(function, Configuration(Layer("x"))),
        lambda: FreeEnergy(function, Configuration(v), Configuration(v, "u")),
        lambda: Probability(function, (Configuration(h),), (other,)),
        lambda: UnitProbability(function, h[h.index("j")], (other,)),
    ):
        with pytest.raises(EnergyError, match=r"E (is a function of the|takes its) layers"):
            make()


def test_a_free_index_cannot_be_a_number_of_a_unit() -> None:
    """⟨v_0 h_1⟩ for ⟨v_i h_j⟩: every index stands for every unit of a small model."""
    energy = biased_energy()
    derivation = energy.log_likelihood_gradient("w")
    v, h = energy.layers.values()
    i, j = v.index("i"), h.index("j")
    rule = {i: Integer(0), j: Integer(1)}
    branches = []
    for branch in derivation.branches:
        steps = [
            replace(step, before=step.before.xreplace(rule), after=step.after.xreplace(rule)) for step in branch.steps
        ]
        steps[0] = replace(steps[0], before=branch.subject)
        branches.append(replace(branch, steps=tuple(steps)))
    for seed in range(3):
        verification = replace(derivation, branches=tuple(branches)).verify(seed=seed)
        assert {c.branch for c in verification.failures} == {branch.name for branch in derivation.branches}
    for branch in derivation.branches:
        for step in branch.steps:
            for part in (rule, {i: Integer(0)}, {j: Integer(1)}):
                assert difference(step.before, step.after.xreplace(part), models({v: 2, h: 3}))


@pytest.mark.parametrize("name", ["w", "a"])
def test_what_holds_at_some_sizes_only_is_refused(name: str) -> None:
    """−a_0 v_0 − a_1 v_1 for −Σ a_k v_k, a factor n_v/2, and a sign in a product over an even number of units."""
    energy = biased_energy()
    v = energy.layers["v"]
    a, k = energy.parameters["a"], v.index("k")
    written_out = Sum(a[k] * v[k], k), a[0] * v[0] + a[1] * v[1]
    sizes = {energy.layers[n]: size for n, size in default_sizes(energy).items()}
    other = other_sizes(energy, default_sizes(energy))
    assert other is not None
    checker = Checker(sizes, {energy.layers[n]: size for n, size in other.items()})
    for step in (*energy.log_likelihood_gradient(name).steps, *energy.free_energy().steps):
        signs = IndexProduct(Integer(-1), k)
        for wrong in (step.after * v.size / 2, step.after * signs, step.after.subs(*written_out)):
            assert wrong == step.after or checker.compare(step.before, wrong)[1], wrong


def test_a_line_that_needs_different_units_says_so() -> None:
    energy = energies.semi_restricted()
    for derivation in (energy.log_likelihood_gradient("L"), energy.phase("L")):
        assert derivation.verify()
        assert [str(condition) for condition in derivation.conditions] == ["1 - delta(i, m)"]
        assert "i ≠ m" in str(derivation)
        assert r"i \neq m" in derivation.latex()
        i, m = energy.entry("L").indices
        at = models({energy.layers["v"]: 3, energy.layers["h"]: 2})
        for step in derivation["Term A"].steps[:3] if derivation.kind == "gradient" else ():
            assert difference(step.before, step.after * (1 + Delta(i, m)), at)
        unsaid = [replace(b, steps=tuple(replace(s, conditions=()) for s in b.steps)) for b in derivation.branches]
        assert not replace(derivation, branches=tuple(unsaid)).verify()


def test_sizes_that_cannot_hold_the_lines_are_refused() -> None:
    energy = energies.semi_restricted()
    with pytest.raises(SymbolicError, match=r"layer v must be at least 2.* Choose sizes such as"):
        energy.log_likelihood_gradient("L").verify({"v": 1, "h": 2})
    lecture = lecture_energy()
    with pytest.raises(SymbolicError, match="layer v must be at least 5"):
        lecture.log_likelihood_gradient(lecture.parameters["w"][4, 0]).verify({"v": 3, "h": 2})


def test_densities_that_are_tiny_are_compared_beside_their_size() -> None:
    """Of a ReLU unit of deviation 0.1 they are 1e-34 at the states that stand in, where 0, −p, 2p and p² are others."""
    energy = Energy.parse(
        "50*sum(h[j]^2, j) - sum(v[i]*w[i,j]*h[j], i, j)", visible={"v": "binary"}, hidden={"h": "relu"}
    )
    derivation = energy.conditional("h")
    assert derivation.verify()
    checker = Checker({energy.layers["v"]: 2, energy.layers["h"]: 2})
    step = next(step for step in derivation.steps if step.rule == "unit_normaliser")
    p = step.after
    for wrong in (Integer(0), -p, 2 * p, p**2):
        assert checker.compare(step.before, wrong, derivation.conditions)[1], wrong
