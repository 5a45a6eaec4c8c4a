"""The lecture as one HTML page: native MathML, font and style inside, no script and nothing from the network."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cache
from html import escape
from importlib import resources
from typing import Any

from symbolic.errors import SymbolicError
from symbolic.lecture.document import (
    Block,
    Card,
    Cell,
    Code,
    Columns,
    DerivationBlock,
    Equation,
    Exercise,
    Figure,
    Inline,
    Lecture,
    Outcome,
    Prose,
    Section,
    Slide,
    Table,
    Verdict,
    Words,
)
from symbolic.lecture.writers.picture import svg
from symbolic.notation import mathml
from symbolic.notation.tree import EQUALS, Setting
from symbolic.notation.width import width

__all__ = ["write"]

# The page may load nothing, whatever is in it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; font-src data:; img-src data:"


def write(lecture: Lecture) -> bytes:
    """Return the page in UTF-8; the same bytes for the same lecture."""
    title = escape(lecture.title)
    head = (
        f'<!doctype html>\n<html lang="{escape(lecture.meta.language)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_font_face()}{_asset('page.css').decode('utf-8')}</style>\n</head>\n"
    )
    body = (
        f"<body>\n{_title(lecture)}\n<main>\n"
        + "\n".join(_section(section) for section in lecture.sections)
        + f"\n</main>\n{_closing(lecture)}\n</body>\n</html>\n"
    )
    return (head + body).encode("utf-8")


@cache
def _asset(name: str) -> bytes:
    return resources.files("symbolic.lecture").joinpath("assets", name).read_bytes()


def _font_face() -> str:
    data = base64.b64encode(_asset("stix-two-math-subset.woff2")).decode("ascii")
    return f'@font-face {{ font-family: "Lecture Math"; src: url(data:font/woff2;base64,{data}) format("woff2"); }}\n'


# The frame


def _title(lecture: Lecture) -> str:
    meta = lecture.meta
    out = [f'<header class="title"><div>\n<h1>{escape(lecture.title)}</h1>']
    if meta.subtitle:
        out.append(f"<p>{escape(meta.subtitle)}</p>")
    if meta.formula is not None:
        out.append(f'<div class="formula">{mathml.render(meta.formula, display=True)}</div>')
    links = "".join(
        f'<li><a href="#{escape(slide.id)}">{_badge(slide.term)}{escape(_short(slide))}</a></li>'
        for slide in lecture.slides
    )
    out.append(f'<nav aria-label="Contents"><ol>{links}</ol></nav>\n</div></header>')
    return "\n".join(out)


def _short(slide: Slide) -> str:
    return slide.title.partition(":")[0]


def _badge(term: str) -> str:
    return f'<span class="badge {term}" aria-hidden="true">{term}</span>' if term else ""


def _section(section: Section) -> str:
    slides = "\n".join(_slide(slide) for slide in section.slides)
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{slides}\n</section>"


def _slide(slide: Slide) -> str:
    kind = f"slide term-{slide.term}" if slide.term else "slide"
    remark = f'<p class="remark">{escape(slide.remark)}</p>' if slide.remark else ""
    foot = "" if slide.verdict is None else f"\n<footer>{_verdict(slide.verdict)}</footer>"
    return (
        f'<article class="{kind}" id="{escape(slide.id)}" aria-labelledby="{escape(slide.id)}-title">\n'
        f'<header>{_badge(slide.term)}<h3 id="{escape(slide.id)}-title">{escape(slide.title)}</h3>{remark}</header>\n'
        f"{_blocks(slide.blocks)}{foot}\n</article>"
    )


def _verdict(verdict: Verdict) -> str:
    """Return what was checked, in which model, and what failed or could not be checked."""
    sign, kind, _ = _SIGNS[verdict.outcome]
    sign = "✓" if verdict else sign
    out = f'<span class="{kind}">{sign}</span> <span class="{kind}">{escape(verdict.summary())}</span> '
    out += escape(verdict.how())
    for kind, found in (("bad", verdict.failures), ("open", verdict.unchecked)):
        if found:
            out += "<ul>" + "".join(f'<li class="{kind}">{escape(line)}</li>' for line in found) + "</ul>"
    return out


def _closing(lecture: Lecture) -> str:
    out = ['<footer class="closing"><div>']
    verdict = lecture.meta.verdict
    if verdict is not None:
        out.append(f"<p>{_verdict(verdict)}</p>\n<p>{escape(verdict.limits())}</p>")
    out.append("<p>Formulas are set in STIX Two Math (SIL Open Font License 1.1).</p>\n</div></footer>")
    return "\n".join(out)


# Blocks


def _blocks(blocks: Iterable[Block]) -> str:
    return "\n".join(_block(block) for block in blocks)


def _block(block: Block) -> str:
    for kind, writer in _WRITERS.items():
        if isinstance(block, kind):
            return writer(block)
    raise SymbolicError(f"the page has no form for a block of type {type(block).__name__}.")


def _inline(parts: Iterable[Inline]) -> str:
    return "".join(map(_piece, parts))


def _piece(part: Inline) -> str:
    if isinstance(part, str):
        return escape(part)
    if isinstance(part, Words):
        return f'<b class="{escape(part.term)}">{escape(part.text)}</b>'
    return mathml.render(part)


def _hint(words: str) -> str:
    """Return a rule's hint with the exponents of e^f and e^(f + g) raised."""
    return re.sub(r"\^\(([^()]*)\)|\^(\w)", r"<sup>\1\2</sup>", escape(words))


def _prose(block: Prose) -> str:
    return f"<p>{_inline(block.parts)}</p>"


_SIGNS: dict[Outcome, tuple[str, str, str]] = {
    "exact": ("✓", "ok", "checked exactly"),
    "numeric": ("✓<small>≈</small>", "ok", "checked in 30-digit numbers, sums and integrals carried out"),
    "failed": ("✗", "bad", "the check failed"),
    "unchecked": ("–", "open", "could not be checked"),
}


def _check(outcome: Outcome, reason: str = "") -> str:
    if not outcome:
        return '<span class="check"></span>'
    sign, kind, words = _SIGNS[outcome]
    said = escape(f"{words}: {reason}" if reason else words)
    return f'<span class="check {kind}" role="img" aria-label="{said}" title="{said}">{sign}</span>'


def _equation(block: Equation) -> str:
    room = _CAPTIONED if block.caption else _LARGE if block.large else _PLAIN
    style = _style(_fit(block.layout, room))
    formula = f'<div class="body"><div{style}>{mathml.render(block.layout, display=True)}</div></div>'
    if not block.caption:
        kind = "equation plain large" if block.large else "equation plain"
        return f'<div class="{kind}">{formula}{_check(block.check)}</div>'
    why = f'<div class="why"><b>{escape(block.caption)}</b></div>'
    return f'<div class="equation">{why}{formula}{_check(block.check)}</div>'


def _derivation(block: DerivationBlock) -> str:
    goal = ""
    if block.goal is not None:
        goal = f'<div class="goal"><span>We want</span>{mathml.render(block.goal, display=True)}</div>\n'
    subject = mathml.render(block.subject, display=True)
    if not block.lines:
        return f'{goal}<div class="equation plain"><div class="body">{subject}</div></div>'
    room = _LINE - _EQUALS_SIGN - 1.1 * width(block.subject)
    rows = []
    for number, line in enumerate(block.lines):
        failed = ' class="failed"' if line.check == "failed" else ""
        left = subject if number == 0 else ""
        below = f'<p class="condition">if {_inline(line.condition)}</p>' if line.condition else ""
        if line.check == "unchecked":
            below += f'<p class="open">– not checked: {escape(line.reason)}</p>'
        equals = mathml.render(EQUALS)
        size, kind, beside, within = _fit(line.layout, room), "formula", equals, ""
        if size < _SMALLEST_BESIDE:  # it gets the whole width, below the left side
            size = _fit(line.layout, _LINE - _EQUALS_SIGN)
            kind, beside, within = "formula wide", "", equals + " "
        rows.append(
            f'<li{failed}><div class="why"><b>{escape(line.name)}</b><small>{_hint(line.hint)}</small></div>'
            f'<div class="{kind}"><div class="lhs">{left}</div><div class="eq">{beside}</div>'
            f'<div class="rhs"{_style(size)}>{within}{mathml.render(line.layout, display=True)}{below}</div></div>'
            f"{_check(line.check, line.reason)}</li>"
        )
    return f'{goal}<ol class="steps">\n' + "\n".join(rows) + "\n</ol>"


# How wide a line of a derivation, a captioned equation, one in large letters and one without caption can be, in em of
# the math font on a page of full width (`page.css` sets the columns).
_LINE, _CAPTIONED, _LARGE, _PLAIN = 33.0, 33.0, 34.0, 44.0
_EQUALS_SIGN = 1.5
_SMALLEST_BESIDE, _SMALLEST = 0.75, 0.55


def _fit(setting: Setting, room: float) -> float:
    """Return the size at which the formula fits the room, at most 1."""
    # Widths are known to a tenth.
    return min(1.0, room / (1.1 * width(setting)))


def _style(size: float) -> str:
    return "" if size == 1 else f' style="font-size:{max(size, _SMALLEST):.2f}em"'


def _card(block: Card) -> str:
    kind = f"card term-{block.term}" if block.term else "card"
    return f'<div class="{kind}"><h4>{_badge(block.term)}{escape(block.title)}</h4>{_blocks(block.blocks)}</div>'


def _columns(block: Columns) -> str:
    return '<div class="columns">' + "".join(f"<div>{_blocks(column)}</div>" for column in block.columns) + "</div>"


def _exercise(block: Exercise) -> str:
    return (
        f"<p><b>Exercise.</b> {_inline(block.prompt)}</p>\n"
        f"<details><summary>Solution</summary>{_blocks(block.solution)}</details>"
    )


def _code(block: Code) -> str:
    return f'<pre><code class="language-{escape(block.language)}">{escape(block.text)}</code></pre>'


def _figure(block: Figure) -> str:
    caption = f"<figcaption>{_inline(block.caption)}</figcaption>" if block.caption else ""
    return f"<figure>{svg(block.graph, block.alt)}{caption}</figure>"


# Tables


def _table(block: Table) -> str:
    head = "".join(f'<th scope="col">{cell}</th>' for cell in _cells(block.header, block, header=True))
    rows = []
    for number, row in enumerate(block.rows):
        kind = ' class="highlighted"' if number == block.highlighted else ""
        rows.append(f"<tr{kind}>{_table_row(row, block)}</tr>")
    foot = f"<tfoot><tr>{_table_row(block.total, block)}</tr></tfoot>" if block.total else ""
    return (
        f'<div class="table"><table><caption>{_inline(block.caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody>{foot}</table></div>"
    )


def _table_row(row: tuple[Cell, ...], block: Table) -> str:
    first, *rest = _cells(row, block)
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest)


def _cells(row: tuple[Cell, ...], block: Table, header: bool = False) -> list[str]:
    """Return the cells of a row as markup, with the rounded values beside their column where the table has them."""
    cells = [_cell(cell) for cell in row]
    if block.decimals is not None:
        column, digits = block.decimals
        cells.insert(column + 1, "≈" if header else _rounded(row[column], digits))
    return cells


def _rounded(cell: Cell, digits: int) -> str:
    if not isinstance(cell, Fraction):
        return ""
    exact = Decimal(cell.numerator) / Decimal(cell.denominator)
    shown = exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    return f'<span class="approximate">{str(shown).replace("-", "−")}</span>'


def _cell(cell: Cell) -> str:
    return str(cell).replace("-", "−") if isinstance(cell, Fraction) else _piece(cell)


_WRITERS: dict[type, Callable[[Any], str]] = {
    Prose: _prose,
    Equation: _equation,
    DerivationBlock: _derivation,
    Table: _table,
    Figure: _figure,
    Card: _card,
    Columns: _columns,
    Exercise: _exercise,
    Code: _code,
}
