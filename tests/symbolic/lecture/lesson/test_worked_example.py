"""The worked example: the numbers students add up, from the energy itself."""

from __future__ import annotations

from fractions import Fraction

import pytest
from sympy import Rational, exp, log

from symbolic import Energy, Layer, Parameter, Sum
from symbolic.errors import CheckError
from symbolic.language.layers import Configuration
from symbolic.language.probability import LogPartition, Probability
from symbolic.lecture.lesson.worked_example import Exact, WorkedExample
from tests.symbolic.models import biased_energy, lecture_energy


@pytest.mark.parametrize("energy", [lecture_energy(), biased_energy()], ids=["lecture", "biased"])
def test_the_lecture_s_numbers(energy: Energy) -> None:
    example = WorkedExample(energy)
    v, h = Configuration(energy.visible[0]), energy.function.bound(energy.hidden[0])
    assert example.number(exp(LogPartition(energy.function)), {}) == 80
    assert example.data(energy.visible[0]) == (1, 0, 1)
    conditional = Probability(energy.function, (h,), (v,))
    shares = [example.number(conditional, {v: (1, 0, 1), h: g}) for g in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert shares == [Fraction(n, 15) for n in (1, 2, 4, 8)]
    marginal = Probability(energy.function, (v,))
    assert sum(example.number(marginal, {v: c}) for c in example.configurations(energy.visible[0])) == 1

    d = energy.log_likelihood_gradient("w")
    i, j = d.subject.args[1][0].indices
    at = {**example.clamped(), i: 0, j: 0}
    assert example.number(d.term_a, at) == Fraction(4, 5)
    assert example.number(d.term_b, at) == Fraction(27, 80)
    assert example.number(d.result, at) == Fraction(37, 80)


@pytest.mark.parametrize("units", [("binary", "binary"), ("spin", "binary"), ("spin", "spin")])
@pytest.mark.parametrize("name", ["w", "a", "b"])
def test_every_line_has_the_value_of_the_first(units: tuple[str, str], name: str) -> None:
    energy = biased_energy(*units)
    example = WorkedExample(energy)
    d = energy.log_likelihood_gradient(name)
    at = {**example.clamped(), **dict.fromkeys(d.subject.args[1][0].indices, 1)}
    for branch in d.branches:
        assert len({example.number(line, at) for line in branch.lines}) == 1


def test_the_gradient_is_that_of_ln_p_by_exact_differences() -> None:
    # p(v) is a ratio of polynomials in x = e^{w_11}: its logarithmic derivative by w_11 follows from the powers of x in
    # each Boltzmann weight, without dual numbers.
    energy = lecture_energy()
    example = WorkedExample(energy)
    w = [[1, -1], [-1, 1], [1, 2]]

    def moments(visible: list[tuple[int, ...]]) -> Fraction:
        weight = power = Fraction(0)
        for v in visible:
            for h in ((0, 0), (0, 1), (1, 0), (1, 1)):
                value = Fraction(2) ** sum(v[i] * w[i][j] * h[j] for i in range(3) for j in range(2))
                weight += value
                power += value * v[0] * h[0]
        return power / weight

    everything = list(example.configurations(energy.visible[0]))
    expected = moments([(1, 0, 1)]) - moments(everything)
    d = energy.log_likelihood_gradient("w")
    at = {**example.clamped(), **dict.fromkeys(d.subject.args[1][0].indices, 0)}
    assert example.number(d.subject, at) == expected == Fraction(37, 80)


def test_biases_may_be_set() -> None:
    energy = biased_energy()
    example = WorkedExample(energy, multiples={"b": {(0,): 1, (1,): -1}})
    plain = WorkedExample(energy)
    free = {Configuration(energy.visible[0]): (0, 0, 0)}
    total = Probability(energy.function, tuple(free)).numerator()
    assert plain.number(total, free) == 4
    assert example.number(total, free) == (1 + 2) * (1 + Fraction(1, 2))


def test_symmetric_couplings_have_no_diagonal() -> None:
    v = Layer("v")
    h = Layer("h")
    i, k, j = v.index("i"), v.index("k"), h.index("j")
    pairs, w = Parameter("L", v, v, symmetric=True), Parameter("w", v, h)
    energy = Energy(
        -Sum(pairs[i, k] * v[i] * v[k], i, k) / 2 - Sum(v[i] * w[i, j] * h[j], i, j), visible=[v], hidden=[h]
    )
    example = WorkedExample(energy)
    assert list(example.entries(pairs)) == [(0, 1), (0, 2), (1, 2)]
    d = energy.log_likelihood_gradient("L")
    at = {**example.clamped(), **dict(zip(d.subject.args[1][0].indices, (0, 2), strict=True))}
    assert len({example.number(line, at) for line in d["Term B"].lines}) == 1


def test_what_is_not_rational_is_refused() -> None:
    example = WorkedExample(lecture_energy())
    with pytest.raises(CheckError, match="not rational"):
        example.number(log(2), {})
    with pytest.raises(CheckError, match="not rational"):
        example.number(exp(Rational(1, 2)), {})
    with pytest.raises(CheckError, match="division by zero"):
        Exact().inverse()


def test_a_model_too_large_to_show_is_refused() -> None:
    with pytest.raises(CheckError, match="at most 1024"):
        WorkedExample(lecture_energy(), sizes={"v": 8, "h": 5})
