"""MathML Core from a setting; every formula carries its LaTeX as an annotation."""

from __future__ import annotations

from html import escape
from typing import Any

from sympy import Expr

from symbolic.errors import SymbolicError
from symbolic.notation import latex, typeset
from symbolic.notation.tree import (
    PARTIAL,
    BigOperator,
    Fence,
    Fraction,
    FunctionName,
    Identifier,
    Marked,
    Number,
    Operator,
    Root,
    Row,
    Script,
    Setting,
    is_tall,
)

__all__ = ["NAMESPACE", "bold", "expression", "render"]

NAMESPACE = "http://www.w3.org/1998/Math/MathML"

_THIN = '<mspace width="0.167em"></mspace>'


def expression(expr: Expr, *, display: bool = True, **options: Any) -> str:
    """Return a ``<math>`` element for an expression; options as :func:`symbolic.notation.typeset.typeset`."""
    return render(typeset.typeset(expr, **options), display=display)


def render(setting: Setting, *, display: bool = False, label: str = "") -> str:
    """Return a ``<math>`` element for a setting.

    Args:
        setting: the formula.
        display: whether sums have their limits below them.
        label: what a screen reader says instead of reading the formula.

    Raises:
        SymbolicError: the setting holds a node this printer does not know.
    """
    attributes = f' xmlns="{NAMESPACE}"'
    attributes += ' displaystyle="true"' if display else ""
    attributes += f' aria-label="{escape(label)}"' if label else ""
    body = _render(setting)
    body = body if body.startswith("<mrow>") else f"<mrow>{body}</mrow>"
    note = f'<annotation encoding="application/x-tex">{escape(latex.render(setting))}</annotation>'
    return f"<math{attributes}><semantics>{body}{note}</semantics></math>"


def _render(setting: Setting) -> str:
    match setting:
        case Identifier(name, True):
            return f"<mi>{escape(''.join(map(bold, name)))}</mi>"
        case Identifier("′" | "″" as prime):
            return f"<mo>{prime}</mo>"
        case Identifier(name):
            return f"<mi>{escape(name)}</mi>"
        case Number(digits):
            return f"<mn>{escape(digits)}</mn>"
        case Operator("\u2062"):
            return '<mo lspace="0" rspace="0.12em">\u2062</mo>'
        case Operator("\u2009"):
            return _THIN
        case Operator("∫"):
            return '<mo form="prefix" largeop="true">∫</mo>'
        case Operator("∂"):
            return '<mo form="prefix" lspace="0" rspace="0.05em">∂</mo>'
        case Operator(symbol, "separator"):
            return f'<mo separator="true">{escape(symbol)}</mo>'
        case Operator(symbol, form):
            return f'<mo form="{form}">{escape(symbol)}</mo>'
        case Row(items):
            return f"<mrow>{_row(items)}</mrow>"
        case Fraction(above, below):
            return f"<mfrac>{_one(above)}{_one(below)}</mfrac>"
        case Script(base, below, None) if below is not None:
            return f"<msub>{_one(base)}{_one(below)}</msub>"
        case Script(base, None, above) if above is not None:
            return f"<msup>{_one(base)}{_one(above)}</msup>"
        case Script(base, below, above) if below is not None and above is not None:
            return f"<msubsup>{_one(base)}{_one(below)}{_one(above)}</msubsup>"
        case Root(body):
            return f"<msqrt>{_one(body)}</msqrt>"
        case BigOperator(symbol, below, None):
            return f'<munder><mo movablelimits="true">{symbol}</mo>{_one(below)}</munder>'
        case BigOperator(symbol, below, above) if above is not None:
            return f'<munderover><mo movablelimits="true">{symbol}</mo>{_one(below)}{_one(above)}</munderover>'
        case Fence(left, right, body, spoken):
            stretch = "" if is_tall(body) else ' stretchy="false"'
            begin = f' aria-label="{escape(spoken)}"' if spoken else ""
            end = f' aria-label="end of {escape(spoken)}"' if spoken else ""
            return (
                f'<mrow><mo form="prefix"{stretch}{begin}>{left}</mo>{_render(body)}'
                f'<mo form="postfix"{stretch}{end}>{right}</mo></mrow>'
            )
        case FunctionName(name):
            return f"<mi>{escape(name)}</mi><mo>\u2061</mo>"
        case Marked(role, body):
            inside = _row(body.items) if isinstance(body, Row) else _render(body)
            return f'<mrow class="{escape(role)}">{inside}</mrow>'
    raise SymbolicError(f"there is no MathML for {type(setting).__name__}.")


def _one(setting: Setting) -> str:
    """Return exactly one element, as fractions and scripts need for each part."""
    return f"<mrow>{_render(setting)}</mrow>" if isinstance(setting, FunctionName) else _render(setting)


def _row(items: tuple[Setting, ...]) -> str:
    """Return the items with thin spaces around function names: MathML puts none at an invisible application."""
    out: list[str] = []
    for position, item in enumerate(items):
        if isinstance(item, FunctionName):
            before = items[position - 1] if position else None
            if before == PARTIAL or (before is not None and not isinstance(before, (Operator, FunctionName))):
                out.append(_THIN)
            out.append(_render(item))
            after = items[position + 1] if position + 1 < len(items) else None
            if after is not None and not isinstance(after, Fence):
                out.append(_THIN)
        else:
            out.append(_render(item))
    return "".join(out)


def bold(letter: str) -> str:
    """Return the bold letter of Unicode's mathematical alphabets; MathML Core has no other bold."""
    code = ord(letter)
    for first, last, bold in (
        (0x41, 0x5A, 0x1D400),
        (0x61, 0x7A, 0x1D41A),
        (0x30, 0x39, 0x1D7CE),
        (0x3B1, 0x3C9, 0x1D6C2),
    ):
        if first <= code <= last:
            return chr(bold + code - first)
    return letter
