"""The setting of a formula, a tree: what the formula looks like before it is LaTeX, MathML or characters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "APPLY",
    "COMMA",
    "DOT",
    "EQUALS",
    "GIVEN",
    "INTEGRAL",
    "MINUS",
    "NEGATIVE",
    "PARTIAL",
    "PLUS",
    "THIN",
    "TIMES",
    "BigOperator",
    "Fence",
    "Fraction",
    "FunctionName",
    "Identifier",
    "Marked",
    "Number",
    "Operator",
    "Root",
    "Row",
    "Script",
    "Setting",
    "comma_row",
    "is_tall",
    "row",
    "walk",
]


@dataclass(frozen=True)
class Row:
    """Parts side by side."""

    items: tuple[Setting, ...]


@dataclass(frozen=True)
class Identifier:
    """A name: one letter (Latin or Greek) is set in italics, a longer one upright; ``bold`` marks a configuration."""

    name: str
    bold: bool = False


@dataclass(frozen=True)
class Number:
    """Digits, without a sign."""

    text: str


@dataclass(frozen=True)
class Operator:
    """A sign between or before parts; ``form`` is ``"infix"``, ``"prefix"`` or ``"separator"``."""

    symbol: str
    form: str = "infix"


@dataclass(frozen=True)
class Fraction:
    """``above`` over ``below``, with a bar between them."""

    above: Setting
    below: Setting


@dataclass(frozen=True)
class Script:
    """``base`` with a subscript, a superscript or both."""

    base: Setting
    below: Setting | None = None
    above: Setting | None = None


@dataclass(frozen=True)
class Root:
    """The square root of ``body``."""

    body: Setting


@dataclass(frozen=True)
class BigOperator:
    """∑ or ∏ with what it runs over below it, and where it ends above it if there is anything to say."""

    symbol: str
    below: Setting
    above: Setting | None = None


@dataclass(frozen=True)
class Fence:
    """Brackets around ``body``; ``spoken`` is what a screen reader says for the opening one."""

    left: str
    right: str
    body: Setting
    spoken: str = ""


@dataclass(frozen=True)
class FunctionName:
    """ln, tanh, ...: upright, applied to what follows."""

    name: str


@dataclass(frozen=True)
class Marked:
    """A part that plays a role in a derivation, such as ``"new"`` or ``"old"``, or that carries a term's colour."""

    role: str
    body: Setting


Setting: TypeAlias = (
    Row | Identifier | Number | Operator | Fraction | Script | Root | BigOperator | Fence | FunctionName | Marked
)

PLUS = Operator("+")
MINUS = Operator("−")
NEGATIVE = Operator("−", "prefix")
EQUALS = Operator("=")
DOT = Operator("·")
TIMES = Operator("\u2062")
APPLY = Operator("\u2061")
THIN = Operator("\u2009")
INTEGRAL = Operator("∫", "prefix")
COMMA = Operator(",", "separator")
GIVEN = Operator("∣")
PARTIAL = Operator("∂", "prefix")


def row(*items: Setting) -> Setting:
    """Put items side by side; rows within rows are opened, and a row of one item is that item."""
    flat: list[Setting] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Row) else (item,))
    return flat[0] if len(flat) == 1 else Row(tuple(flat))


def comma_row(items: list[Setting]) -> Setting:
    """Put items side by side with commas between them."""
    spaced: list[Setting] = []
    for item in items:
        spaced += [COMMA, item] if spaced else [item]
    return row(*spaced)


def children(setting: Setting) -> tuple[Setting, ...]:
    """Return the parts of a setting, one level down."""
    match setting:
        case Row(items):
            return items
        case Fraction(above, below):
            return above, below
        case Script(base, below, above):
            return tuple(part for part in (base, below, above) if part is not None)
        case BigOperator(_, below, above):
            return (below,) if above is None else (below, above)
        case Root(body) | Fence(_, _, body) | Marked(_, body):
            return (body,)
    return ()


def walk(setting: Setting) -> Iterator[Setting]:
    """Yield the setting and every part of it, outermost first."""
    yield setting
    for child in children(setting):
        yield from walk(child)


def is_tall(setting: Setting) -> bool:
    """Return whether brackets around the setting have to grow."""
    match setting:
        case Fraction() | BigOperator() | Operator("∫"):
            return True
        case Script(base):
            return is_tall(base)
        case _:
            return any(is_tall(child) for child in children(setting))
