"""LaTeX from a setting, in the commands that base LaTeX, amsmath, MathJax and KaTeX share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sympy import Expr

from symbolic.errors import SymbolicError
from symbolic.notation import names, typeset, words
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
    is_tall,
)

if TYPE_CHECKING:
    from symbolic.derivation.trace import Derivation

__all__ = ["derivation", "equation", "expression", "render"]

_GREEK = {letter: f"\\{name}" for name, letter in names.GREEK.items()} | {
    "ο": "o",
    "π": r"\pi",
    "Γ": r"\Gamma",
    "∞": r"\infty",
}
_OPERATORS = {
    "−": "-",
    "≠": r"\neq",
    "·": r"\cdot",
    "∣": r"\mid",
    "∂": r"\partial",
    "≈": r"\approx",
    "∝": r"\propto",
    "×": r"\times",
    "→": r"\to",
    "∫": r"\int",
    "∖": r"\setminus",
    "\u2009": r"\,",
    "\u2061": "",
    "\u2062": " ",
}
_BIG = {"∑": r"\sum", "∏": r"\prod"}
_FENCES = {"⟨": r"\langle", "⟩": r"\rangle"}
_FUNCTIONS = frozenset(["ln", "log", "exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "coth", "min", "max"])
_TEXT = {
    "−": "$-$",
    "∂": r"$\partial$",
    "∫": r"$\int$",
    "φ": r"$\varphi$",
    "Σ": r"$\Sigma$",
    "Π": r"$\Pi$",
    "Γ": r"$\Gamma$",
    "μ": r"$\mu$",
    "π": r"$\pi$",
    "′": "$'$",
    "·": r"$\cdot$",
    "÷": r"$\div$",
    "⟨": r"$\langle$",
    "⟩": r"$\rangle$",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
} | {c: f"\\{c}" for c in "&%$#_{}"}

Theme = Callable[[str, str], str]


def render(setting: Setting, mark: Theme | None = None) -> str:
    """Return the LaTeX of a setting. ``mark(role, latex)`` dresses marked parts; without it they look like the rest.

    Raises:
        SymbolicError: the setting holds a node this printer does not know.
    """
    return re.sub(r" {2,}", " ", _render(setting, mark)).strip()


def expression(expr: Expr, **options: Any) -> str:
    """Return the LaTeX of an expression; options as :func:`symbolic.notation.typeset.typeset`."""
    return render(typeset.typeset(expr, **options))


def equation(left: Expr, right: Expr, **options: Any) -> str:
    """Return the LaTeX of ``left`` = ``right``."""
    return render(typeset.equation(left, right, **options))


def derivation(derivation: Derivation) -> str:
    """Return the derivation as one ``align*`` environment, with the rules' names in its right column."""
    layers = derivation.energy.visible + derivation.energy.hidden
    rows: list[str] = []
    for branch in derivation.branches:
        rows.append(rf"& \textbf{{{text(branch.name)}}}")
        left = expression(branch.subject, layers=layers)
        if not branch.steps:
            rows.append(f"& {left}")
        for step in branch.steps:
            name = rf"&& \text{{{text(words.name_and_hint(step)[0])}}}"
            if step.conditions:
                name += rf"\text{{, if }} {phrase(words.condition(step, layers))}"
            rows.append(f"{left} &= {expression(step.after, layers=layers)} {name}".strip())
            left = ""
    rows += [f"& {phrase(note)}" for note in words.notes(derivation)]
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


def phrase(parts: words.Phrase) -> str:
    """Return words and formulas in a row, within a formula."""
    return " ".join(rf"\text{{{text(part)}}}" if isinstance(part, str) else render(part) for part in parts)


def text(plain: str) -> str:
    """Return plain words as LaTeX text, for use in ``\\text{}``."""
    return "".join(_TEXT.get(c, c) for c in plain)


def _render(setting: Setting, mark: Theme | None) -> str:
    def inner(part: Setting) -> str:
        return _render(part, mark)

    match setting:
        case Identifier(name, bold):
            plain = _GREEK.get(name, name)
            if bold:
                return rf"\boldsymbol{{{plain}}}" if plain.startswith("\\") else rf"\mathbf{{{plain}}}"
            if name in {"′", "″"}:
                return r"\prime" if name == "′" else r"\prime\prime"
            return plain if len(name) == 1 else rf"\mathrm{{{text(name)}}}"
        case Number(digits):
            return digits
        case Operator(symbol, form):
            spelt = _OPERATORS.get(symbol, symbol)
            if symbol == "\u2009":
                return spelt
            if form == "infix" and spelt.strip():
                return f" {spelt} "
            return f"{spelt} " if form == "separator" or len(spelt) > 1 else spelt
        case Row(items):
            return _join([inner(item) for item in items])
        case Fraction(above, below):
            return rf"\frac{{{inner(above).strip()}}}{{{inner(below).strip()}}}"
        case Script(base, below, above):
            spelt = inner(base)
            if not isinstance(base, (Identifier, Number, Fence, Operator)):
                spelt = f"{{{spelt}}}"
            low = "" if below is None else f"_{{{inner(below).strip()}}}"
            high = "" if above is None else f"^{{{inner(above).strip()}}}"
            return spelt.rstrip() + low + high + (" " if isinstance(base, Operator) else "")
        case Root(body):
            return rf"\sqrt{{{inner(body).strip()}}}"
        case BigOperator(symbol, below, above):
            limit = "" if above is None else f"^{{{inner(above).strip()}}}"
            return rf"{_BIG[symbol]}_{{{inner(below).strip()}}}{limit} "
        case Fence(left, right, body):
            sizes = (r"\left", r"\right") if is_tall(body) else ("", "")
            opening, closing = _FENCES.get(left, left), _FENCES.get(right, right)
            return _join([sizes[0] + opening, inner(body).strip(), sizes[1] + closing])
        case FunctionName(name):
            return (rf"\{name}" if name in _FUNCTIONS else rf"\operatorname{{{name}}}") + " "
        case Marked(role, body):
            spelt = inner(body)
            return spelt if mark is None else mark(role, spelt)
    raise SymbolicError(f"there is no LaTeX for {type(setting).__name__}.")


def _join(parts: list[str]) -> str:
    """Join parts in a row, with a space where a command would run into a letter, and after a fraction."""
    out = ""
    for part in parts:
        after_command = re.search(r"\\[A-Za-z]+$", out) and part[:1].isalpha()
        if after_command or (out.endswith("}") and re.match(r"\\(?!right)[a-z]", part)):
            out += " "
        out += part
    return out
