"""Lessons on energies of every kind: the words fit the units, and each line says how it was checked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from symbolic import Energy
from symbolic.check.verification import EXACT, NOT_CHECKABLE, Verification
from symbolic.derivation.rules import CATALOGUE
from symbolic.derivation.trace import Derivation
from symbolic.lecture.document import DerivationBlock, Equation, Lecture, Prose, Slide, Verdict, walk
from symbolic.lecture.lesson import board
from symbolic.lecture.writers import html
from symbolic.notation import latex

PAIR = "-sum(v[i]*w[i,j]*h[j], i, j)"
ENERGIES = {
    "gaussian-binary": Energy.parse(PAIR + " + sum(v[i]^2, i)/2", visible={"v": "gaussian"}, hidden={"h": "binary"}),
    "poisson": Energy.parse(PAIR, visible={"v": "poisson"}, hidden={"h": "binary"}),
    "exponential": Energy.parse(PAIR + " + sum(r[j]*h[j], j)", visible={"v": "binary"}, hidden={"h": "exponential"}),
    "third order": Energy.parse(
        "-sum(x[k]*v[i]*w[k,i,j]*h[j], k, i, j)", visible={"x": "binary", "v": "spin"}, hidden={"h": "binary"}
    ),
    "deep": Energy.parse(
        PAIR + " - sum(h[j]*u[j,k]*g[k], j, k)", visible={"v": "binary"}, hidden={"h": "binary", "g": "binary"}
    ),
    "semi-restricted": Energy.parse(
        PAIR + " - sum(L[i,k]*v[i]*v[k], i, k)/2", visible={"v": "binary"}, hidden={"h": "binary"}, symmetric=["L"]
    ),
    "conditional": Energy.parse(
        PAIR + " - sum(x[k]*u[k,j]*h[j], k, j)",
        visible={"v": "binary"},
        hidden={"h": "binary"},
        given={"x": "binary"},
    ),
    "labels": Energy.parse(
        "-sum(w[i,s,j]*indicator(v[i],s)*h[j], i, s, j)", visible={"v": "potts(3)"}, hidden={"h": "binary"}
    ),
    "squared": Energy.parse("-sum(h[j]*sum(v[i]*w[i,j], i)^2, j)", visible={"v": "spin"}, hidden={"h": "binary"}),
}
LECTURES: dict[str, Lecture] = {}


def lecture(kind: str) -> Lecture:
    if kind not in LECTURES:
        LECTURES[kind] = ENERGIES[kind].lecture()
    return LECTURES[kind]


def slide(lecture: Lecture, key: str) -> Slide:
    return next(slide for slide in lecture.slides if slide.id == key)


def words(slide: Slide) -> str:
    prose = [block for block in walk(slide.blocks) if isinstance(block, Prose)]
    return " ".join(part for block in prose for part in block.parts if isinstance(part, str))


@pytest.mark.parametrize("kind", ENERGIES)
def test_every_energy_has_a_lesson_whose_lines_are_checked(kind: str) -> None:
    lesson = lecture(kind)
    assert lesson.meta.verdict
    page = lesson.to_html()
    assert "✗" not in page
    assert "NaN" not in page
    assert page == html.write(lesson).decode()


@pytest.mark.parametrize("kind", ENERGIES)
def test_a_worked_example_is_given_where_there_are_few_states_and_left_out_elsewhere(kind: str) -> None:
    has = any(slide.id == "worked-example" for slide in lecture(kind).slides)
    # With squared weights a Boltzmann weight is no power of two.
    assert has == (kind not in {"gaussian-binary", "poisson", "exponential", "labels", "squared"})


def test_a_coupling_within_a_layer_is_worked_out_between_two_units() -> None:
    lesson = ENERGIES["semi-restricted"].log_likelihood_gradient("L").lecture()
    equation = next(b for b in slide(lesson, "worked-gradient").blocks if isinstance(b, Equation))
    assert equation.passed
    assert "v_{1} v_{2}" in latex.render(equation.layout)


def test_real_layers_are_integrated_in_words_too() -> None:
    lesson = lecture("gaussian-binary")
    assert "any real number" in words(slide(lesson, "model"))
    assert "with an integral where units are real numbers (v)" in words(slide(lesson, "probabilities"))
    assert "densities" in words(slide(lesson, "probabilities"))
    assert "integral" not in words(slide(lecture("deep"), "probabilities"))


def test_states_that_count_with_a_weight_are_explained() -> None:
    said = words(slide(lecture("poisson"), "probabilities"))
    assert "relative to it" in said
    assert "relative to it" not in words(slide(lecture("exponential"), "probabilities"))


def test_conditions_and_kinds_of_check_stand_at_their_line() -> None:
    lesson = lecture("exponential")
    (block,) = (b for b in slide(lesson, "free-energy").blocks if isinstance(b, DerivationBlock))
    *before, last = block.lines
    assert all(line.check == "exact" and not line.condition for line in before)
    assert last.check == "numeric"
    assert last.passed
    assert " for every " in last.condition
    verdict = slide(lesson, "free-energy").verdict
    assert verdict is not None
    assert verdict.numeric == 1
    assert "one line is marked ✓≈" in verdict.how()
    assert "stand in for its units' own" in verdict.how()
    page = lesson.to_html()
    assert 'title="checked in 30-digit numbers, sums and integrals carried out">✓<small>≈</small>' in page
    assert '<p class="condition">if <math' in page
    assert "partition-function" in {slide.id for slide in lesson.slides}


def test_a_line_that_could_not_be_checked_has_a_dash_and_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    verify = board.verify

    def cannot(derivation: Derivation) -> Verification:
        found = verify(derivation)
        checks = list(found.checks)
        place = next(n for n, check in enumerate(checks) if check.position == 0)
        checks[place] = replace(checks[place], passed=False, kind=NOT_CHECKABLE, detail="no <parameters> were found")
        return replace(found, checks=tuple(checks))

    monkeypatch.setattr(board, "verify", cannot)
    lesson = ENERGIES["deep"].conditional("h").lecture()
    first = next(b for s in lesson.slides for b in s.blocks if isinstance(b, DerivationBlock)).lines[0]
    assert (first.check, first.passed, first.reason) == ("unchecked", None, "no <parameters> were found")
    assert lesson.meta.verdict is not None
    assert not lesson.meta.verdict
    assert lesson.meta.verdict.outcome == "unchecked"
    assert "could not be checked" in lesson.meta.verdict.summary()
    assert "FAILED" not in lesson.meta.verdict.summary()
    page = lesson.to_html()
    assert "✗" not in page
    assert 'class="failed"' not in page
    assert "– not checked: no &lt;parameters&gt; were found" in page
    assert 'title="could not be checked: no &lt;parameters&gt; were found">–<' in page


def test_a_failure_outweighs_what_could_not_be_checked() -> None:
    both = Verdict(3, 5, ((("v", 2),),), failures=("Term A: wrong",), unchecked=("Term B: unknown",))
    assert both.outcome == "failed"
    assert both.summary() == "1 of 5 lines FAILED their check, and 1 of 5 lines could not be checked:"


def test_a_refusal_shows_its_term_as_a_formula_and_what_there_is_instead() -> None:
    squared = slide(lecture("squared"), "conditional-v")
    assert "There is no closed form here: " in words(squared)
    assert "sum(" not in words(squared)
    assert squared.remark == "each given all others, those of its layer too"
    assert squared.verdict
    deep = slide(lecture("deep"), "free-energy")
    assert "ties the layers h and g together" in words(deep)
    assert "sum(" not in words(deep)
    assert "Term A is cheap" not in words(slide(lecture("deep"), "together"))
    assert "Term A is cheap" in words(slide(lecture("squared"), "together"))


def test_layers_that_are_given_stay_clamped() -> None:
    lesson = lecture("conditional")
    assert "is given, stands behind the bar" in words(slide(lesson, "probabilities"))
    figure = next(b for b in walk(slide(lesson, "model").blocks) if hasattr(b, "graph"))
    assert [layer.role for layer in figure.graph.layers] == ["visible", "hidden", "given"]
    assert "throughout" in words(slide(lesson, "worked-example"))


def test_the_steps_of_the_lecture_itself_are_in_the_catalogue() -> None:
    (block,) = (b for b in slide(lecture("deep"), "conditional-probability").blocks if isinstance(b, DerivationBlock))
    assert [CATALOGUE[line.rule].name for line in block.lines] == [line.name for line in block.lines]


def test_a_part_that_is_the_whole_line_is_marked_too() -> None:
    (block,) = (b for b in slide(lecture("deep"), "term-a").blocks if isinstance(b, DerivationBlock))
    assert all("new" in str(line.layout) for line in block.lines)
    assert "new old" in html.write(lecture("deep")).decode()


def test_exact_checks_keep_their_words() -> None:
    verdict = slide(lecture("deep"), "term-a").verdict
    assert verdict is not None
    assert verdict.outcome == EXACT
    assert "exactly, in a small model with 2 units of v" in verdict.how()
    assert "✓≈" not in verdict.how() + verdict.limits()
