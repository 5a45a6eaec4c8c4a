"""The document: what the lesson says, in which order, and that its ticks come from the checker."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from symbolic import Derivation, Energy, Layer, Parameter, Sum, energies
from symbolic.errors import SymbolicError
from symbolic.lecture.document import DerivationBlock, Equation, Figure, Lecture, Slide, Table, walk
from symbolic.lecture.lesson.edges import coupled
from symbolic.lecture.lesson.lesson import lecture_of_derivation, lecture_of_energy
from symbolic.lecture.writers import WRITERS, writer_for
from symbolic.notation import latex
from tests.symbolic.models import biased_energy, lecture_energy

SIDES = {"visible": {"v": "binary"}, "hidden": {"h": "binary"}}


@pytest.fixture(scope="module")
def lecture() -> Lecture:
    return lecture_of_energy(biased_energy())


def slide(lecture: Lecture, key: str) -> Slide:
    return next(s for s in lecture.slides if s.id == key)


def blocks(lecture: Lecture, key: str, kind: type) -> list:
    return [block for block in walk(slide(lecture, key).blocks) if isinstance(block, kind)]


def mutated(derivation: Derivation, name: str, position: int) -> Derivation:
    """The derivation with twice the line it should have, carried on as the trace would carry it on."""
    branch = derivation[name]
    steps = list(branch.steps)
    wrong = 2 * steps[position].after
    steps[position] = replace(steps[position], after=wrong)
    if position + 1 < len(steps):
        steps[position + 1] = replace(steps[position + 1], before=wrong)
    changed = replace(branch, steps=tuple(steps))
    return replace(derivation, branches=tuple(changed if b is branch else b for b in derivation.branches))


def test_the_lesson_follows_the_lecture(lecture: Lecture) -> None:
    order = [s.id for s in lecture.slides]
    assert order == [
        "model",
        "probabilities",
        "split",
        "term-a",
        "conditional-probability",
        "term-b",
        "together",
        "other-parameters",
        "free-energy",
        "term-a-closed",
        "conditional-h",
        "conditional-v",
        "worked-example",
        "worked-gradient",
    ]
    assert [s.term for s in lecture.slides if s.term] == ["A", "B"]


def test_the_lesson_of_a_derivation_is_the_gradient_s(lecture: Lecture) -> None:
    short = lecture_of_derivation(biased_energy().log_likelihood_gradient("w"))
    assert [s.id for s in short.slides] == [
        "model",
        "probabilities",
        "split",
        "term-a",
        "conditional-probability",
        "term-b",
        "together",
        "worked-example",
        "worked-gradient",
    ]
    assert slide(short, "term-a").blocks == slide(lecture, "term-a").blocks


def test_the_lines_are_those_of_the_trace(lecture: Lecture) -> None:
    derivation = biased_energy().log_likelihood_gradient("w")
    for key, name in (("split", "ln p(v)"), ("term-a", "Term A"), ("term-b", "Term B")):
        (block,) = blocks(lecture, key, DerivationBlock)
        shown = [latex.render(line.layout) for line in block.lines]
        assert shown == [latex.expression(line) for line in derivation[name].lines[1:]]
        assert [line.name for line in block.lines] == [step.name for step in derivation[name].steps]
        assert all(line.passed for line in block.lines)


def test_the_conditional_probability_is_shown_with_its_z(lecture: Lecture) -> None:
    (block,) = blocks(lecture, "conditional-probability", DerivationBlock)
    assert latex.render(block.subject) == r"p(\mathbf{h} \mid \mathbf{v})"
    assert [latex.render(line.layout) for line in block.lines] == [
        r"\frac{p(\mathbf{v}, \mathbf{h})}{p(\mathbf{v})}",
        r"\frac{\frac{1}{Z} e^{-E(\mathbf{v}, \mathbf{h})}}{\frac{1}{Z} \sum_{g} e^{-E(\mathbf{v}, \mathbf{h}^{g})}}",
        r"\frac{e^{-E(\mathbf{v}, \mathbf{h})}}{\sum_{g} e^{-E(\mathbf{v}, \mathbf{h}^{g})}}",
    ]
    assert all(line.passed for line in block.lines)


@pytest.mark.parametrize(("name", "key", "position"), [("Term A", "term-a", 3), ("Term B", "term-b", 5)])
def test_a_mutated_step_loses_its_tick(name: str, key: str, position: int) -> None:
    wrong = mutated(biased_energy().log_likelihood_gradient("w"), name, position)
    lecture = lecture_of_derivation(wrong)
    (block,) = blocks(lecture, key, DerivationBlock)
    assert block.lines[position].passed is False
    assert all(line.passed for line in block.lines[:position])
    verdict = slide(lecture, key).verdict
    assert verdict is not None
    assert not verdict
    assert verdict.failures
    assert lecture.meta.verdict is not None
    assert not lecture.meta.verdict
    assert "FAILED" in lecture.meta.verdict.summary()


def test_the_columns_add_up_exactly(lecture: Lecture) -> None:
    tables = [table for table in blocks(lecture, "worked-example", Table) if table.total]
    assert len(tables) == 2
    for table in tables:
        for column, total in enumerate(table.total):
            if isinstance(total, Fraction):
                assert sum(row[column] for row in table.rows) == total
    visible, hidden = tables
    assert visible.total == ("sum", Fraction(80), Fraction(1), Fraction(27, 80))
    assert hidden.total == ("sum", Fraction(15), Fraction(1), "", Fraction(4, 5))
    assert [row[0] for row in hidden.rows] == ["00", "01", "10", "11"]
    assert visible.highlighted is not None
    assert visible.rows[visible.highlighted][0] == "101"


def test_the_gradient_is_worked_out(lecture: Lecture) -> None:
    equation = blocks(lecture, "worked-gradient", Equation)[0]
    assert latex.render(equation.layout).endswith(r"= \frac{4}{5} - \frac{27}{80} = \frac{37}{80} \approx 0.4625")
    assert equation.passed
    (table,) = blocks(lecture, "worked-gradient", Table)
    assert len(table.rows) == 6
    assert table.rows[0][1:] == (Fraction(4, 5), Fraction(27, 80), Fraction(37, 80))


def test_the_picture_is_the_bipartite_graph(lecture: Lecture) -> None:
    (figure,) = blocks(lecture, "model", Figure)
    assert [len(layer.units) for layer in figure.graph.layers] == [3, 2]
    assert len(figure.graph.edges) == 6
    assert all(a[0] != b[0] for a, b in figure.graph.edges)
    assert "bipartite" in figure.alt


def test_spins_are_written_in_signs() -> None:
    lecture = lecture_of_derivation(lecture_energy("spin", "spin").log_likelihood_gradient("w"))
    tables = [table for table in blocks(lecture, "worked-example", Table) if table.total]
    assert [row[0] for row in tables[1].rows] == ["−−", "−+", "+−", "++"]
    assert tables[0].total[2] == 1


def test_a_layer_that_is_tied_together_is_said_to_have_no_closed_form() -> None:
    v, h = Layer("v"), Layer("h")
    i, j, k = v.index("i"), h.index("j"), h.index("k")
    w, lateral = Parameter("w", v, h), Parameter("L", h, h, symmetric=True)
    energy = Energy(
        -Sum(v[i] * w[i, j] * h[j], i, j) - Sum(lateral[j, k] * h[j] * h[k], j, k) / 2, visible=[v], hidden=[h]
    )
    lecture = lecture_of_energy(energy)
    (words,) = slide(lecture, "free-energy").blocks
    assert "no closed form" in "".join(map(str, words.parts))
    (figure,) = blocks(lecture, "model", Figure)
    assert any(a[0] == b[0] for a, b in figure.graph.edges)
    assert "bipartite" not in figure.alt


@pytest.mark.parametrize("ask", ["free_energy", "log_partition"])
def test_other_derivations_have_lessons_too(ask: str) -> None:
    derivation = getattr(biased_energy(), ask)()
    lecture = derivation.lecture()
    assert len(lecture.sections[1].slides) == len(derivation.branches)
    assert lecture.meta.verdict


# Writing


def test_the_file_appears_whole_and_is_what_was_asked(lecture: Lecture, tmp_path: Path) -> None:
    path = lecture.write(tmp_path / "rbm.html")
    assert path.read_bytes() == lecture.to_html().encode("utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["rbm.html"]
    named = lecture.write(tmp_path / "rbm.page", format="html")
    assert named.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["rbm.pdf", "rbm.slides.html", "rbm", "rbm.ipynb", "rbm.tex"])
def test_a_format_without_a_writer_is_refused_with_those_there_are(lecture: Lecture, tmp_path: Path, name: str) -> None:
    with pytest.raises(SymbolicError, match=r"Available: \.html"):
        lecture.write(tmp_path / name)
    with pytest.raises(SymbolicError, match="'docx'"):
        lecture.write(tmp_path / "rbm.html", format="docx")
    assert not list(tmp_path.iterdir())


def test_a_format_is_a_row_of_the_table_and_the_longest_ending_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    page = writer_for("rbm.html")

    def slides(lecture: Lecture) -> bytes:
        return lecture.title.encode()

    monkeypatch.setitem(WRITERS, ".slides.html", slides)
    assert writer_for("RBM.slides.HTML") is slides
    assert writer_for("rbm.html", format="slides.html") is slides
    assert writer_for("rbm.html") is page


def test_a_missing_folder_and_a_folder_are_named(lecture: Lecture, tmp_path: Path) -> None:
    with pytest.raises(SymbolicError, match="there is no folder"):
        lecture.write(tmp_path / "nowhere" / "rbm.html")
    (tmp_path / "rbm.html").mkdir()
    with pytest.raises(SymbolicError, match="is a folder"):
        lecture.write(tmp_path / "rbm.html")


def test_nothing_half_written_is_left_behind(lecture: Lecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "rbm.html"
    old.write_text("before")

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        lecture.write(old)
    assert old.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["rbm.html"]


def test_only_a_mean_of_zeros_and_ones_is_called_a_probability() -> None:
    for unit, said in (("binary", True), ("spin", False)):
        page = lecture_of_energy(lecture_energy(unit, unit)).to_html()
        assert ("the probability of being on" in page) is said


def test_a_count_of_lines_says_whose_lines_where_they_are_not_shown() -> None:
    lecture = lecture_of_energy(biased_energy())
    (slide,) = (slide for slide in lecture.slides if slide.id == "other-parameters")
    assert slide.verdict is not None
    assert "lines of these derivations are checked" in slide.verdict.summary()
    assert lecture.meta.verdict is not None
    assert "lines of all derivations are checked" in lecture.meta.verdict.summary()


@pytest.mark.parametrize(
    ("energy", "pairs"),
    [
        (energies.pairwise("gaussian", "gaussian"), ["vh"]),
        (energies.gaussian(), ["vh"]),
        (energies.covariance(), ["vv", "vh"]),
        (energies.semi_restricted(), ["vv", "vh"]),
        (energies.third_order(), ["vx", "vh", "xh"]),
        (energies.conditional(), ["vh", "vx", "hx"]),
        (energies.replicated_softmax(), ["vh"]),
        (Energy.parse("sum(v[i]*a[i], i)*sum(v[i], i)", visible={"v": "binary"}), ["vv"]),
        (Energy.parse("exp(sum(v[i]*a[i], i))", visible={"v": "binary"}), ["vv"]),
        (Energy.parse("sum(exp(v[i]*a[i]), i) + sum(v[i]*h[j], i, j)^3", **SIDES), ["vv", "vh", "hh"]),
        (Energy.parse("-sum(v[i]*a[i], i) - sum(h[j]*b[j], j)", **SIDES), []),
    ],
)
def test_the_picture_has_an_edge_where_two_units_are_multiplied(energy: Energy, pairs: list[str]) -> None:
    layers = energy.visible + energy.hidden + energy.given
    assert [a.name + b.name for a, b in coupled(energy.expression, layers)] == pairs


def test_a_machine_with_squared_filters_is_not_called_restricted() -> None:
    """A unit in the square of a sum is multiplied by the others of its layer."""
    lesson = energies.covariance().lecture()
    assert lesson.title == "The mathematics of an energy"
    assert lesson.meta.subtitle.endswith("two layers of Gaussian and binary units")
    assert energies.gaussian().lecture().title == "The mathematics of restricted Boltzmann machines"


def test_the_lesson_is_about_the_weight_between_units_that_are_not_given() -> None:
    lesson = energies.conditional().lecture()
    subject = next(block.subject for slide in lesson.slides for block in slide.blocks if hasattr(block, "subject"))
    assert r"\partial w_{ij}" in latex.render(subject)


def test_layers_of_one_role_are_told_apart_in_the_worked_example() -> None:
    (slide,) = (slide for slide in energies.deep().lecture().slides if slide.id == "worked-example")
    said = "".join(part for part in slide.blocks[0].parts if isinstance(part, str))  # type: ignore[union-attr]
    assert said.startswith("Take 3 units of v, 2 units of h1 and 2 units of h2 and parameters")
    assert "(a, b1 and b2 are zero)" in said
