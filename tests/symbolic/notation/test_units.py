"""How sums, integrals and named functions of the units look, and what is said beside the lines."""

from __future__ import annotations

import re

import pytest

from symbolic import Derivation, Energy
from symbolic.notation import latex, text, words
from symbolic.notation.typeset import typeset
from tests.symbolic.notation.test_printers import CHILDREN, CORE

PAIR = "-sum(v[i]*w[i,j]*h[j], i, j)"
QUADRATIC = PAIR + " - sum(b[j]*h[j], j) + sum(q[j]*h[j]^2, j)/2"
RATES = PAIR + " + sum(r[j]*h[j], j)"
BIASED = PAIR + " - sum(b[j]*h[j], j)"
HIDDEN = {
    "gaussian": QUADRATIC,
    "relu": QUADRATIC,
    "exponential": RATES,
    "geometric": RATES,
    "gamma(5/2)": RATES,
    "uniform": BIASED,
    "poisson": BIASED,
    "binomial(4)": BIASED,
    "integer(3)": BIASED,
    "{-1, 0, 1}": BIASED,
}


def energy(unit: str) -> Energy:
    return Energy.parse(HIDDEN[unit], visible={"v": "binary"}, hidden={"h": unit})


def derivations(unit: str) -> list[Derivation]:
    asked = energy(unit)
    return [asked.free_energy(), asked.conditional("h"), asked.log_partition(), asked.phase("w")]


@pytest.mark.parametrize("unit", HIDDEN)
def test_no_name_of_a_function_of_the_code_is_printed(unit: str) -> None:
    for derivation in derivations(unit):
        for shown in (derivation.latex(), derivation.text(ascii=True)):
            assert not re.search(r"lngeomsum|lognorm|lnerfc|lnexprel|log1mexp|exprel|geomsum|hazard|ogsumexp", shown)
        assert derivation.latex().isascii()
        assert derivation.text(ascii=True).isascii()


@pytest.mark.parametrize("unit", HIDDEN)
def test_mathml_stays_core(unit: str) -> None:
    import xml.etree.ElementTree as ET

    from symbolic.notation import mathml

    for derivation in derivations(unit):
        for branch in derivation.branches:
            for line in branch.lines:
                for element in ET.fromstring(mathml.expression(line)).iter():
                    name = element.tag.rpartition("}")[2]
                    assert name in CORE
                    assert len(element) == CHILDREN.get(name, len(element)), name


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("gaussian", r"\ln \int_{-\infty}^{\infty} e"),
        ("relu", r"\ln \int_{0}^{\infty} e"),
        ("uniform", r"\ln \int_{0}^{1} e"),
        ("poisson", r"\ln \sum_{h_{l} = 0}^{\infty} \mu(h_{l}) e"),
        ("integer(3)", r"\ln \sum_{h_{l} = 0}^{3} e"),
        ("{-1, 0, 1}", r"\ln \sum_{h_{l}} e"),
        ("gamma(5/2)", r"\ln \int_{0}^{\infty} \mu(h_{l}) e"),
    ],
)
def test_the_sum_over_one_unit_has_its_limits(unit: str, shown: str) -> None:
    assert shown in latex.expression(energy(unit).free_energy().steps[-1].before)


@pytest.mark.parametrize(
    ("unit", "mean"),
    [
        ("gaussian", r"\frac{b_{j} + \sum_{k} v_{k} w_{kj}}{q_{j}}"),
        ("exponential", r"\frac{1}{r_{j} - \sum_{k} v_{k} w_{kj}}"),
        ("gamma(5/2)", r"\frac{5}{2 \left(r_{j} - \sum_{k} v_{k} w_{kj}\right)}"),
        ("poisson", r"e^{b_{j} + \sum_{k} v_{k} w_{kj}}"),
        ("binomial(4)", r"4 \sigma\left(b_{j} + \sum_{k} v_{k} w_{kj}\right)"),
        (
            "uniform",
            r"\frac{1}{1 - e^{-\left(b_{j} + \sum_{k} v_{k} w_{kj}\right)}} - \frac{1}{b_{j} + \sum_{k} v_{k} w_{kj}}",
        ),
    ],
)
def test_means_are_written_with_one_sign_and_one_fraction(unit: str, mean: str) -> None:
    assert re.sub(r"\s+", " ", latex.expression(energy(unit).conditional("h").mean)) == mean


def test_a_function_that_is_written_as_a_sum_is_bracketed_as_a_factor() -> None:
    shown = latex.expression(energy("uniform").phase("w").result)
    assert shown.startswith(r"v_{i} \left(\frac{1}{1 - e")
    assert shown.endswith(r"\right)")


def test_roots_are_drawn_and_gathered() -> None:
    mean = energy("relu").conditional("h").mean
    shown = latex.expression(mean)
    assert shown.startswith(r"\frac{b_{j} + \sum_{k} v_{k} w_{kj}}{q_{j}} + \frac{")
    assert r"\sqrt{2 q_{j}}" in shown
    assert "√(2 qⱼ)" in text.expression(mean)
    assert "sqrt(2 q_j)" in text.expression(mean, ascii=True)
    assert r"^{\frac{1}{2}}" not in latex.expression(mean)


def test_a_factor_with_a_sign_in_all_its_terms_gives_the_sign_away() -> None:
    shown = latex.expression(energy("relu").free_energy().result)
    assert r"\operatorname{erfc} \left(-\frac{b_{l} + \sum_{k} v_{k} w_{kl}}{\sqrt{2 q_{l}}}\right)" in shown


@pytest.mark.parametrize("unit", ["gaussian", "relu", "exponential", "geometric", "gamma(5/2)"])
def test_conditions_stand_beside_their_step(unit: str) -> None:
    derivation = energy(unit).free_energy()
    (step,) = (step for step in derivation.steps if step.conditions)
    positive = latex.render(words.condition(step, derivation.energy.layers.values())[0])
    assert positive.endswith("> 0")
    assert rf"\text{{, if }} {positive} \text{{ for every }} j" in derivation.latex()
    said = " ".join(derivation.text().replace("│", " ").split())
    assert "> 0 for every j" in said
    assert derivation == Derivation.from_json(derivation.to_json())
    assert '"conditions"' in derivation.to_json()


def test_rules_speak_of_integrals_only_where_all_states_are_real_numbers() -> None:
    for unit, name in (("gaussian", "Integral of a product"), ("poisson", "Sum of a product")):
        steps = energy(unit).free_energy().steps
        assert name in [words.name_and_hint(step)[0] for step in steps]
    mixed = energy("gaussian").log_partition().steps[0]
    assert words.name_and_hint(mixed) == (mixed.name, mixed.hint)


@pytest.mark.parametrize(
    ("unit", "measure"),
    [
        ("poisson", r"\mu(h_{j}) = \frac{1}{h_{j}!}"),
        ("binomial(4)", r"\mu(h_{j}) = \frac{4!}{h_{j}! \left(4 - h_{j}\right)!}"),
        ("gamma(5/2)", r"\mu(h_{j}) = h_{j}^{3/2}"),
    ],
)
def test_the_weight_of_states_is_said_where_it_occurs(unit: str, measure: str) -> None:
    shown = energy(unit).free_energy().latex().replace(r"(4 - h_{j})", r"\left(4 - h_{j}\right)")
    assert rf"\text{{where }} {measure}" in re.sub(r" +", " ", shown)
    assert r"\mu" not in energy("uniform").free_energy().latex()


def test_the_way_taken_is_said() -> None:
    tied = Energy.parse(
        PAIR + " - sum(L[j,k]*h[j]*h[k], j, k)/2", visible={"v": "binary"}, hidden={"h": "spin"}, symmetric=["L"]
    )
    assert "single-site" in tied.conditional("h", "auto").text()
    assert "enumeration" in tied.free_energy(method="auto").latex()
    assert "method" not in tied.log_likelihood_gradient("w").text()
    subject = tied.conditional("h", "auto").subject
    assert text.expression(subject) == "p(hⱼ ∣ v, h∖ⱼ)"
    assert text.expression(subject, ascii=True) == r"p(h_j | v, h_\j)"


@pytest.mark.parametrize("ascii", [False, True])
def test_an_integral_is_as_tall_as_a_sum_and_has_its_limits(ascii: bool) -> None:
    line = energy("uniform").free_energy().steps[-1].before
    shown = text.render(typeset(line), ascii=ascii).splitlines()
    if ascii:
        assert any("int" in row for row in shown)
    else:
        column = next(row.index("⌠") for row in shown if "⌠" in row)
        top = next(n for n, row in enumerate(shown) if "⌠" in row)
        assert [shown[top - 1][column], shown[top + 1][column], shown[top + 2][column]] == ["1", "⌡", "0"]
