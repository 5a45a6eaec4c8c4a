"""The page: self-contained, deterministic, accessible, and honest about what failed."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import pytest

from symbolic import energies
from symbolic.errors import SymbolicError
from symbolic.lecture.document import Lecture, Meta, Section, Slide
from symbolic.lecture.lesson.lesson import lecture_of_derivation, lecture_of_energy
from symbolic.lecture.writers import html
from symbolic.notation import mathml
from tests.symbolic.models import biased_energy

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Outline(HTMLParser):
    """Collects elements and insists that every one is closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    return html.write(lecture_of_energy(biased_energy())).decode("utf-8")


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    assert not parser.open
    return parser


def test_the_same_lecture_gives_the_same_bytes() -> None:
    first, second = (html.write(lecture_of_energy(biased_energy())) for _ in range(2))
    assert first == second


def test_the_page_needs_nothing_from_the_network(page: str, outline: Outline) -> None:
    assert set(re.findall(r"https?://[^\"'\s<>)]+", page)) == {mathml.NAMESPACE}
    assert not {tag for tag, _ in outline.elements} & {"script", "link", "img", "iframe"}
    for _, attributes in outline.elements:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert "default-src 'none'" in page


def test_links_lead_to_slides_and_ids_are_unique(outline: Outline) -> None:
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {(attributes.get("href") or "")[1:] for tag, attributes in outline.elements if tag == "a"}
    assert targets <= set(ids)


def test_the_page_is_accessible(page: str, outline: Outline) -> None:
    tags = [tag for tag, _ in outline.elements]
    assert tags.count("h1") == 1
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert tags.count("annotation") == tags.count("math") > 100
    for tag, attributes in outline.elements:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
    steps = re.findall(r'<ol class="steps">.*?</ol>', page, flags=re.S)
    assert len(steps) >= 8
    assert all("<li" in block for block in steps)
    assert 'aria-label="expected value of"' in page


def test_every_formula_is_well_formed(page: str) -> None:
    for formula in re.findall(r"<math.*?</math>", page, flags=re.S):
        ET.fromstring(formula)


def test_the_foot_says_what_was_checked_and_what_that_means(page: str) -> None:
    closing = page[page.index('<footer class="closing">') :]
    for words in ("2 units of v and 3 of h", "exact arithmetic in a finite field", "does not prove it for all sizes"):
        assert words in closing
    assert "✗" not in page


def test_a_failed_check_is_a_cross_and_not_a_tick() -> None:
    d = biased_energy().log_likelihood_gradient("w")
    branch = d["Term A"]
    wrong = replace(branch.steps[-1], after=2 * branch.steps[-1].after)
    bad = replace(branch, steps=(*branch.steps[:-1], wrong))
    changed = replace(d, branches=tuple(bad if b is branch else b for b in d.branches))
    page = html.write(lecture_of_derivation(changed)).decode("utf-8")
    article = page[page.index('id="term-a"') : page.index('id="conditional-probability"')]
    rows = re.findall(r"<li.*?</li>", article, flags=re.S)[:6]
    assert ["✓" in row for row in rows] == [True] * 5 + [False]
    assert 'class="failed"' in rows[-1]
    assert "the check failed" in rows[-1]
    assert "1 of 6 lines FAILED" in article


def test_a_long_line_is_set_smaller_and_below_its_left_side() -> None:
    page = html.write(energies.covariance().conditional("v", "single-site").lecture()).decode("utf-8")
    lines = re.findall(r'<div class="(formula[^"]*)">.*?<div class="rhs"(?: style="font-size:(.*?)em")?>', page)
    assert ("formula", "") in lines
    assert any(kind == "formula wide" for kind, _ in lines)
    sizes = [float(size) for _, size in lines if size]
    assert sizes
    assert all(0.55 <= size < 1 for size in sizes)
    assert re.search(
        r'class="formula wide"><div class="lhs"></div><div class="eq"></div><div class="rhs".*?<mo.*?>=', page
    )


def test_an_edge_that_passes_a_layer_runs_around_it() -> None:
    drawn = html.write(lecture_of_energy(energies.conditional())).decode("utf-8")
    assert len(re.findall(r'<path class="edge" d="M[\d. ]+C', drawn)) == 6  # from 2 inputs to 3 visible units
    assert "<path" not in html.write(lecture_of_energy(energies.deep())).decode("utf-8")


def test_words_are_escaped() -> None:
    lecture = Lecture("a < b & c", Meta("<script>"), (Section("<i>", (Slide("x", "1 < 2", ()),)),))
    page = html.write(lecture).decode("utf-8")
    assert "<script>" not in page
    assert "a &lt; b &amp; c" in page


def test_an_unknown_block_is_refused() -> None:
    lecture = Lecture("t", Meta(), (Section("s", (Slide("x", "y", ("a string is no block",)),)),))  # type: ignore[arg-type]
    with pytest.raises(SymbolicError, match="str"):
        html.write(lecture)


def test_the_font_comes_with_its_licence() -> None:
    assets = resources.files("symbolic.lecture").joinpath("assets")
    licence = assets.joinpath("LICENSE-STIX.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert "The STIX Fonts Project Authors" in licence
    assert assets.joinpath("stix-two-math-subset.woff2").read_bytes()[:4] == b"wOF2"


@pytest.mark.peer
def test_the_font_has_every_letter_of_the_formulas(page: str) -> None:
    fonts = pytest.importorskip("fontTools.ttLib")
    pytest.importorskip("brotli")
    path = resources.files("symbolic.lecture").joinpath("assets", "stix-two-math-subset.woff2")
    with path.open("rb") as file:
        known = set(fonts.TTFont(file).getBestCmap())
    shown = set()
    for formula in re.findall(r"<math.*?</math>", page, flags=re.S):
        shown |= set("".join(ET.fromstring(re.sub(r"<annotation.*?</annotation>", "", formula)).itertext()))
    missing = {c for c in shown if ord(c) not in known and not c.isspace()}
    assert not missing
