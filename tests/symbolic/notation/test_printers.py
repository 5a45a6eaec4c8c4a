"""The three printers: well-formed MathML Core, LaTeX that another reader understands, text that fits a terminal."""

from __future__ import annotations

import re
import unicodedata
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from symbolic import Energy
from symbolic.errors import SymbolicError
from symbolic.notation import latex, mathml, text
from symbolic.notation.tree import Fence, Identifier, Marked, Number, Operator, Row, row
from symbolic.notation.typeset import typeset
from symbolic.notation.width import width
from tests.symbolic.models import biased_energy

CORE = {
    *("math", "semantics", "annotation", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msub", "msup"),
    *("msubsup", "munder", "mover", "munderover", "msqrt", "mroot", "mtable", "mtr", "mtd", "mpadded", "mphantom"),
    *("mstyle", "merror", "mmultiscripts", "mprescripts"),
}
CHILDREN = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3, "semantics": 2}


def derivations() -> list:
    energy, spins = biased_energy(), biased_energy("spin", "spin")
    return [
        energy.log_likelihood_gradient("w"),
        energy.log_likelihood_gradient("a"),
        energy.free_energy(),
        energy.conditional("h"),
        energy.conditional("v"),
        energy.phase("w"),
        energy.log_partition(),
        spins.free_energy(),
        spins.conditional("h"),
    ]


def lines() -> list:
    return [line for derivation in derivations() for branch in derivation.branches for line in branch.lines]


def test_mathml_is_well_formed_core_with_the_right_number_of_children() -> None:
    for line in lines():
        root = ET.fromstring(mathml.expression(line))
        for element in root.iter():
            name = element.tag.rpartition("}")[2]
            assert name in CORE
            assert len(element) == CHILDREN.get(name, len(element)), name
            assert name in {"annotation", "mi", "mn", "mo", "mtext"} or not (element.text or "").strip()


def test_mathml_carries_its_latex() -> None:
    line = biased_energy().log_likelihood_gradient("w").result
    root = ET.fromstring(mathml.expression(line))
    (note,) = (element for element in root.iter() if element.tag.endswith("annotation"))
    assert note.get("encoding") == "application/x-tex"
    assert note.text == latex.expression(line)


def test_expectations_are_announced() -> None:
    page = mathml.expression(biased_energy().log_likelihood_gradient("w").term_a)
    assert 'aria-label="expected value of">⟨' in page
    assert 'aria-label="end of expected value of">⟩' in page


def test_marks_become_classes() -> None:
    page = mathml.render(row(Number("1"), Operator("+"), Marked("new", Identifier("x"))))
    assert '<mrow class="new"><mi>x</mi></mrow>' in page


def _characters(markup: str) -> str:
    without = re.sub(r"<annotation.*?</annotation>", "", markup, flags=re.S)
    found = "".join(ET.fromstring(without).itertext())
    plain = unicodedata.normalize("NFKC", found).replace("−", "-").replace("∣", "|").replace("⋅", "·")
    return re.sub(r"[\s\u2061-\u2064]", "", plain)


@pytest.mark.peer
def test_latex_and_mathml_say_the_same_to_another_reader() -> None:
    converter = pytest.importorskip("latex2mathml.converter")
    for line in lines():
        ours = _characters(mathml.expression(line))
        theirs = _characters(converter.convert(latex.expression(line)))
        assert ours == theirs


def test_latex_braces_and_fences_are_balanced() -> None:
    for line in lines():
        source = latex.expression(line)
        assert source.count("{") == source.count("}")
        assert source.count(r"\left") == source.count(r"\right")
        assert source.isascii()


def test_a_derivation_in_latex_is_one_environment_with_named_rules() -> None:
    source = biased_energy().log_likelihood_gradient("w").latex()
    assert source.startswith("\\begin{align*}\n")
    assert source.endswith("\n\\end{align*}")
    assert source.isascii()
    for words in (r"\textbf{Term A}", r"\textbf{Term B}", r"\text{Chain rule of exp}", r"\text{Differentiate $-$E}"):
        assert words in source


def test_text_is_a_picture_of_the_line() -> None:
    term = biased_energy().log_likelihood_gradient("w")["Term A"].lines
    assert text.expression(term[5]).splitlines() == ["⎲", "⎳ p(hᵍ ∣ v) vᵢ hⱼᵍ", "g"]
    assert text.expression(term[6]) == "⟨vᵢ hⱼ⟩ᵥ"
    assert text.expression(term[4]).splitlines() == [
        "⎲  −E(v, hᵍ)",
        "⎳ e          vᵢ hⱼᵍ",
        "g",
        "───────────────────",
        "   ⎲  −E(v, hᵍ)",
        "   ⎳ e",
        "   g",
    ]


def test_ascii_is_ascii() -> None:
    for derivation in derivations():
        shown = text.derivation(derivation, ascii=True)
        assert shown.isascii()
    term = biased_energy().log_likelihood_gradient("w")["Term A"].lines
    assert text.expression(term[6], ascii=True) == "<v_i h_j>_v"
    assert text.expression(term[5], ascii=True).splitlines() == ["__", "\\  p(h^g | v) v_i h_j^g", "/_", "g"]


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("ascii", [False, True])
def test_a_derivation_keeps_within_the_terminal(width: int, ascii: bool) -> None:
    for derivation in derivations():
        for line in text.derivation(derivation, width=width, ascii=ascii).splitlines():
            assert len(line) <= width
            assert line == line.rstrip()


def test_a_derivation_names_its_rules_at_the_left_and_aligns_its_equals_signs() -> None:
    shown = biased_energy().log_likelihood_gradient("w")
    block = text.derivation(shown, width=120).split("Term A\n")[1].split("\n\n")[0].splitlines()
    bars = {line.index("│") for line in block if "│" in line}
    assert len(bars) == 1
    (bar,) = bars
    columns = {line.index(" = ", bar) for line in block if "│" in line and " = " in line[bar:]}
    assert len(columns) == 1
    margin = " ".join(line[:bar].strip() for line in block if "│" in line)
    for step in shown["Term A"].steps:
        assert step.name in re.sub(r"\s+", " ", margin)


@pytest.mark.parametrize("printer", [latex.render, mathml.render, text.render])
def test_a_printer_refuses_what_it_does_not_know(printer: Any) -> None:
    class Strange:
        pass

    with pytest.raises(SymbolicError, match="Strange"):
        printer(Row((Identifier("x"), Strange())))


def test_brackets_grow_around_tall_things() -> None:
    tall = Fence("(", ")", typeset(biased_energy().expression))
    assert latex.render(tall).startswith(r"\left(")
    assert text.render(tall).splitlines()[0].startswith("⎛")
    assert 'stretchy="false"' not in mathml.render(tall).split("<annotation")[0].split("<mo")[1]


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        ("-sum(v[i]*w[i,j]*h[j], i, j) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)", 14.4),
        ("sum(h[j]*sum(w[i,j]*v[i], i)^2, j)/2", 8.5),
        ("-exp(sum(v[i]*a[i], i) + sum(v[i]*w[i,j]*h[j], i, j))", 8.7),
        ("-sum(softplus(v[i]*u[i])*a[i]/(1 + exp(a[i])), i)", 8.5),
    ],
)
def test_widths_are_near_those_in_a_browser(text: str, measured: float) -> None:
    energy = Energy.parse(text, visible={"v": "binary"}, hidden={"h": "binary"})
    assert width(typeset(energy.expression, layers=energy.visible + energy.hidden)) == pytest.approx(measured, rel=0.12)
