"""About how wide a formula is, so that a page can use smaller letters for one that would not fit."""

from __future__ import annotations

from symbolic.notation.tree import (
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
)

__all__ = ["width"]

# In em of STIX Two Math, the font of the pages; widths come out within 12 % of those in a browser
# (tests/symbolic/test_notation_printers.py). The last is the size of scripts; scripts of scripts of scripts stay there.
_LETTER, _DIGIT, _UPRIGHT, _BRACKET, _SCRIPT = 0.56, 0.5, 0.53, 0.42, 0.72
_OPERATORS = {"\u2062": 0.12, "\u2061": 0.0, "\u2009": 0.17, "∫": 0.75, ",": 0.42, "·": 0.8, "∂": 0.6}


def width(setting: Setting, depth: int = 0, display: bool = True) -> float:
    """Return the width in em, to about a tenth.

    Args:
        setting: the formula.
        depth: in how many scripts it stands.
        display: whether sums have their limits below them, and fractions full size above and below.
    """
    size = _SCRIPT ** min(depth, 2)
    match setting:
        case Identifier(name, bold):
            return size * len(name) * (_LETTER + 0.06 * bold)
        case Number(digits):
            return size * len(digits) * _DIGIT
        case Operator(symbol, form):
            return size * _OPERATORS.get(symbol, 0.75 if form == "prefix" or depth else 1.2)
        case Row(items):
            return sum(width(item, depth, display) for item in items)
        case Fraction(above, below):
            inside = depth if display else depth + 1
            return max(width(part, inside, False) for part in (above, below)) + 0.2 * size
        case Script(base, below, above):
            scripts = (width(part, depth + 1, False) for part in (below, above) if part is not None)
            return width(base, depth, display) + max(scripts)
        case Root(body):
            return 0.9 * size + width(body, depth, display)
        case BigOperator(_, below, above):
            limits = max(width(part, depth + 1, False) for part in (below, above) if part is not None)
            return max(1.4, limits) if display else 1.0 * size + limits
        case Fence(_, _, body):
            return 2 * _BRACKET * size + width(body, depth, display)
        case FunctionName(name):
            return size * (len(name) * _UPRIGHT + 0.17)
        case Marked(_, body):
            return width(body, depth, display) + 0.2
    return 0.0
