"""Two-dimensional characters from a setting, for terminals: Unicode, or plain ASCII.

A box is a list of lines of one width and the number of its baseline. Configurations are plain v and h: the bold letters
of Unicode are wider than a column in many terminals.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sympy import Expr

from symbolic.errors import SymbolicError
from symbolic.notation import names, typeset, words
from symbolic.notation.tree import (
    INTEGRAL,
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
    row,
)

if TYPE_CHECKING:
    from symbolic.derivation.trace import Branch, Derivation

__all__ = ["derivation", "equation", "expression", "render"]

_SUPERSCRIPTS = dict(
    zip("0123456789+−=()abcdefghijklmnoprstuvwxyz′″", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ′″", strict=True)
)
_SUBSCRIPTS = dict(zip("0123456789+−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_BIG = {"∑": (["⎲", "⎳"], 1), "∏": (["┬─┬", "│ │"], 1)}
_BIG_ASCII = {"∑": (["__", "\\ ", "/_"], 1), "∏": (["___", "| |"], 1)}
_INTEGRAL = (("⌠", "⌡"), 1)
_INTEGRAL_ASCII = (("int",), 0)
_PARTS = {("1", "2"): "½", ("1", "3"): "⅓", ("2", "3"): "⅔", ("1", "4"): "¼", ("3", "4"): "¾"}
_ASCII_FENCES = {"(": "/|\\", ")": "\\|/"}
_FENCES = {"(": "⎛⎜⎝", ")": "⎞⎟⎠", "⟨": "⟨⟨⟨", "⟩": "⟩⟩⟩"}
_ASCII = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "—": "-",
        "─": "-",
        "·": "*",
        "×": "x",
        "÷": "/",
        "∣": "|",
        "∂": "d",
        "∫": "int ",
        "∖": "\\",
        "∞": "inf",
        "″": "''",
        "⟨": "<",
        "⟩": ">",
        "′": "'",
        "≈": "~",
        "∝": "~",
        "→": "->",
        "≠": "!=",
        "Σ": "sum",
        "Π": "prod",
        "Γ": "Gamma",
        "ᶠ": "^f",
        "ᵠ": "^phi",
        "ᵥ": "_v",
        "ₕ": "_h",
        "½": "1/2",
        "²": "^2",
        "✓": "+",
        "✗": "x",
    }
)
_EQUALS = " = "
_GREEK_NAMES = {letter: name for name, letter in names.GREEK.items()} | {"π": "pi"}


@dataclass(frozen=True)
class Box:
    """A rectangle of characters."""

    lines: tuple[str, ...]
    base: int = 0

    @property
    def width(self) -> int:
        return max(map(len, self.lines), default=0)

    @property
    def height(self) -> int:
        return len(self.lines)


def expression(expr: Expr, *, ascii: bool = False, **options: Any) -> str:
    """Return the expression in characters; other options as :func:`symbolic.notation.typeset.typeset`."""
    return render(typeset.typeset(expr, **options), ascii=ascii)


def equation(left: Expr, right: Expr, *, ascii: bool = False, **options: Any) -> str:
    """Return ``left`` = ``right`` in characters."""
    return render(typeset.equation(left, right, **options), ascii=ascii)


def render(setting: Setting, *, ascii: bool = False) -> str:
    """Return the setting in characters, one string with line ends and without trailing blanks.

    Raises:
        SymbolicError: the setting holds a node this printer does not know.
    """
    return "\n".join(line.rstrip() for line in _Printer(ascii).box(setting).lines)


def derivation(derivation: Derivation, *, ascii: bool = False, width: int = 100) -> str:
    """Return the derivation in characters: rules in a left margin, one step per row, aligned on the equals sign.

    Args:
        derivation: what is printed.
        ascii: plain ASCII instead of Unicode.
        width: columns to keep within; a line is broken at its outermost signs where it can be.
    """
    printer = _Printer(ascii)
    layers = derivation.energy.visible + derivation.energy.hidden
    blocks = [_branch(branch, printer, layers, width) for branch in derivation.branches]
    notes: list[str] = []
    for note in words.notes(derivation):
        if len(note) == 1:
            notes += textwrap.wrap(printer.plain(str(note[0])), width)
        else:
            notes += [line.rstrip() for line in _phrase(note, printer).lines]
    return "\n\n".join([*blocks, *(["\n".join(notes)] if notes else [])])


def _branch(branch: Branch, printer: _Printer, layers: Any, width: int) -> str:
    rule = ("-" if printer.ascii else "─") * width
    out = [printer.plain(branch.name), rule]
    subject = printer.box(typeset.typeset(branch.subject, layers=layers))
    if not branch.steps:
        return "\n".join([*out, *(line.rstrip() for line in subject.lines)])
    rights = [typeset.typeset(step.after, layers=layers) for step in branch.steps]
    bar = " | " if printer.ascii else " │ "
    for margin in dict.fromkeys((max(14, min(26, width // 4)), 14)):
        room = width - margin - len(bar) - len(_EQUALS)
        # The subject stands left of the first equals sign where that leaves every line room; else above it.
        inline = subject.width + max(printer.box(right).width for right in rights) <= room
        indent = subject.width if inline else 1
        pieces = [printer.broken(right, room - indent) for right in rights]
        if all(piece.width <= room - indent for line in pieces for piece in line):
            break
    if not inline:
        out += [(" " * margin + bar + line).rstrip() for line in subject.lines]
        out.append((" " * margin + bar).rstrip())
    for number, (step, line) in enumerate(zip(branch.steps, pieces, strict=True)):
        left = subject if inline and number == 0 else Box((" " * indent,))
        rows = [_beside(left, Box((_EQUALS,)), line[0])]
        rows += [_beside(Box((" " * (indent + len(_EQUALS)),)), piece) for piece in line[1:]]
        formula = [text for box in rows for text in box.lines]
        name, hint = words.name_and_hint(step)
        condition = _phrase(words.condition(step, layers), printer)
        if condition.height == 1 and condition.width:
            hint += f"; if {condition.lines[0]}"
        elif condition.width:
            below = _beside(Box((" " * (indent + len(_EQUALS)) + "if ",)), condition)
            formula += ["", *below.lines]
        out += _with_margin(printer, name, hint, formula, rows[0].base, margin, bar)
    while out[-1].strip() == bar.strip():
        out.pop()
    return "\n".join(out)


def _phrase(phrase: words.Phrase, printer: _Printer) -> Box:
    """Return words and formulas in a row; empty for none."""
    return _beside(
        *(Box((printer.plain(part),)) if isinstance(part, str) else printer.box(part) for part in (*phrase, ""))
    )


def _with_margin(
    printer: _Printer, name: str, hint: str, formula: list[str], base: int, margin: int, bar: str
) -> list[str]:
    """Return the formula's lines with the rule's name, level with the baseline, and its hint to their left."""
    title = textwrap.wrap(printer.plain(name), margin)
    notes = title + textwrap.wrap(printer.plain(hint), margin)
    start = max(0, base - len(title) + 1) if len(notes) - len(title) + base < len(formula) else 0
    start = min(start, max(0, len(formula) - len(notes)))
    height = max(len(formula), start + len(notes))
    lines = []
    for k in range(height):
        note = notes[k - start] if 0 <= k - start < len(notes) else ""
        part = formula[k] if k < len(formula) else ""
        lines.append((note.rjust(margin) + bar + part).rstrip())
    return [*lines, (" " * margin + bar).rstrip()]


def _beside(*boxes: Box) -> Box:
    up = max(box.base for box in boxes)
    down = max(box.height - box.base for box in boxes)
    lines = [""] * (up + down)
    for box in boxes:
        blank = " " * box.width
        padded = [blank] * (up - box.base) + [line.ljust(box.width) for line in box.lines]
        padded += [blank] * (up + down - len(padded))
        lines = [left + right for left, right in zip(lines, padded, strict=True)]
    return Box(tuple(lines), up)


def _is_integral(setting: Setting) -> bool:
    return setting == INTEGRAL or (isinstance(setting, Script) and setting.base == INTEGRAL)


def _stacked(sign: tuple[str, ...], base: int, below: Box | None, above: Box | None) -> Box:
    """Put limits below and above a sign."""
    high, low = (() if limit is None else limit.lines for limit in (above, below))
    width = max(map(len, (*high, *sign, *low)))
    lines = [line for part in (high, sign, low) for line in _centred(part, width)]
    return Box(tuple(lines), base + len(high))


def _centred(lines: tuple[str, ...], width: int) -> list[str]:
    """Centre a block of lines in ``width`` columns; its own columns stay aligned."""
    own = max(map(len, lines), default=0)
    left = (width - own) // 2
    return [(" " * left + line).ljust(width) for line in lines]


class _Printer:
    def __init__(self, ascii: bool):
        self.ascii = ascii

    def plain(self, text: str) -> str:
        if not self.ascii:
            return text
        spelt = "".join(_GREEK_NAMES.get(c, c) for c in text.translate(_ASCII))
        return spelt.encode("ascii", "replace").decode("ascii")

    def box(self, setting: Setting) -> Box:
        match setting:
            case Identifier(name):
                return Box((self.plain(name) if self.ascii else name,))
            case Number(digits):
                return Box((digits,))
            case Operator("∫"):
                return self._integral()
            case Operator(symbol, form):
                return Box((self._operator(symbol, form),))
            case Row(items):
                return self._row(items)
            case Fraction(Number(above), Number(below)) if not self.ascii and (above, below) in _PARTS:
                return Box((_PARTS[above, below],))
            case Fraction(above, below):
                return self._fraction(self.box(above), self.box(below))
            case Script(Operator("∫"), low, high):
                return self._integral(low, high)
            case Script(base, below, above):
                return self._script(base, below, above)
            case Root(body):
                return self._root(self.box(body))
            case BigOperator(symbol, below, above):
                return self._big(symbol, self.box(below), None if above is None else self.box(above))
            case Fence(left, right, body):
                return self._fence(left, right, self.box(body))
            case FunctionName(name):
                return Box((name,))
            case Marked(_, body):
                return self.box(body)
        raise SymbolicError(f"there is no text form for {type(setting).__name__}.")

    def _operator(self, symbol: str, form: str) -> str:
        if symbol == "\u2061":
            return ""
        if symbol in "\u2062\u2009":
            return " "
        shown = self.plain(symbol)
        if form == "separator":
            return f"{shown} "
        return shown if form in {"prefix", "postfix"} else f" {shown} "

    def _row(self, items: tuple[Setting, ...]) -> Box:
        boxes: list[Box] = []
        for position, item in enumerate(items):
            box = self.box(item)
            before = items[position - 1] if position else None
            after = items[position + 1] if position + 1 < len(items) else None
            pad_left = isinstance(item, FunctionName) and (
                before == PARTIAL or not isinstance(before, (Operator, FunctionName, type(None)))
            )
            pad_right = (
                (isinstance(item, FunctionName) and not isinstance(after, Fence))
                or isinstance(item, BigOperator)
                or _is_integral(item)
            )
            # An operator such as ∂/∂w is kept apart from what it acts on.
            pad_right = pad_right or (
                isinstance(item, Fraction) and after is not None and not isinstance(after, (Operator, FunctionName))
            )
            boxes += [Box((" ",))] * pad_left + [box] + [Box((" ",))] * pad_right
        return _beside(*boxes) if boxes else Box(("",))

    def _fraction(self, above: Box, below: Box) -> Box:
        width = max(above.width, below.width)
        bar = ("-" if self.ascii else "─") * width
        lines = [*_centred(above.lines, width), bar, *_centred(below.lines, width)]
        return Box(tuple(lines), above.height)

    def _script(self, base: Setting, below: Setting | None, above: Setting | None) -> Box:
        main = self.box(base)
        low = None if below is None else self.box(below)
        high = None if above is None else self.box(above)
        if main.height == 1:
            inline = self._inline_script(main.lines[0], low, high)
            if inline is not None:
                return Box((inline,))
            # What fits beside the name stays there, and only the rest is raised.
            inline = self._inline_script(main.lines[0], low, None) if low is not None and high is not None else None
            if inline is not None:
                main, low = Box((inline,)), None
        width = max(low.width if low else 0, high.width if high else 0)
        column = [line.ljust(width) for line in (high.lines if high else ())]
        column += [" " * width] * main.height
        column += [line.ljust(width) for line in (low.lines if low else ())]
        return _beside(main, Box(tuple(column), (high.height if high else 0) + main.base))

    def _inline_script(self, main: str, low: Box | None, high: Box | None) -> str | None:
        """Put the scripts within the line: with Unicode's small letters, or in ASCII as w_ij and h_j^g."""
        if any(script is not None and script.height > 1 for script in (low, high)):
            return None
        lower = low.lines[0] if low else ""
        upper = high.lines[0] if high else ""
        if self.ascii:
            if main == "e" or not all(re.fullmatch(r"\\?\w+|'+", part) for part in (lower, upper) if part):
                return None
            if upper.startswith("'"):
                return main + (f"_{lower}" if lower else "") + upper
            return main + (f"_{lower}" if lower else "") + (f"^{upper}" if upper else "")
        lower, upper = lower.replace(", ", ""), upper.replace(", ", "")
        if lower.startswith("∖"):
            main, lower = main + "∖", lower[1:]
        if any(c not in _SUBSCRIPTS for c in lower) or any(c not in _SUPERSCRIPTS for c in upper):
            return None
        if main == "e" and len(upper) > 2:
            return None
        return main + "".join(_SUBSCRIPTS[c] for c in lower) + "".join(_SUPERSCRIPTS[c] for c in upper)

    def _big(self, symbol: str, below: Box, above: Box | None) -> Box:
        sign, base = (_BIG_ASCII if self.ascii else _BIG)[symbol]
        tight = Box(tuple(line.replace(", ", ",").replace(" = ", "=") for line in below.lines), below.base)
        return _stacked(tuple(sign), base, tight, above)

    def _integral(self, low: Setting | None = None, high: Setting | None = None) -> Box:
        sign, base = _INTEGRAL_ASCII if self.ascii else _INTEGRAL
        return _stacked(sign, base, *(None if limit is None else self.box(limit) for limit in (low, high)))

    def _root(self, body: Box) -> Box:
        """Put √ before the body, which gets brackets where it is more than a name."""
        if self.ascii:
            return _beside(Box(("sqrt",)), self._fence("(", ")", body))
        if body.height == 1:
            simple = body.lines[0].isalnum()
            return Box(("√" + (body.lines[0] if simple else f"({body.lines[0]})"),), 0)
        return _beside(Box(("√",)), self._fence("(", ")", body))

    def _fence(self, left: str, right: str, body: Box) -> Box:
        if body.height == 1 or left == "⟨":
            shown = [self.plain(left), self.plain(right)]
            return _beside(Box((shown[0],)), body, Box((shown[1],)))
        sides = []
        for bracket in (left, right):
            pieces = (_ASCII_FENCES if self.ascii else _FENCES)[bracket]
            lines = [pieces[0], *[pieces[1]] * (body.height - 2), pieces[2]]
            sides.append(Box(tuple(lines), body.base))
        return _beside(sides[0], body, sides[1])

    def broken(self, setting: Setting, width: int) -> list[Box]:
        """Break the setting into pieces of at most ``width`` columns, where its outermost signs allow that."""
        whole = self.box(setting)
        if whole.width <= width or not isinstance(setting, Row):
            return [whole]
        pieces: list[list[Setting]] = [[]]
        for item in setting.items:
            breakable = isinstance(item, Operator) and item.form == "infix" and item.symbol in "+−·"
            if breakable and pieces[-1]:
                pieces.append([])
            pieces[-1].append(item)
        lines: list[list[Setting]] = []
        for piece in pieces:
            if lines and self.box(row(*lines[-1], *piece)).width <= width:
                lines[-1] += piece
            else:
                lines.append(list(piece))
        return [self.box(row(*line)) for line in lines]
