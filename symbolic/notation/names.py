"""Numbers, names, states and entries: the smallest parts of a formula."""

from __future__ import annotations

from sympy import Expr, Integer, Rational, S, Symbol, pi

from symbolic.language.expressions import Delta
from symbolic.language.layers import Component, Configuration, Index, Indicator, State
from symbolic.language.parameters import Entry
from symbolic.notation.scope import Scope, notation
from symbolic.notation.tree import (
    EQUALS,
    NEGATIVE,
    Fence,
    Fraction,
    Identifier,
    Number,
    Script,
    Setting,
    comma_row,
    row,
)

__all__ = ["GREEK", "configuration", "number", "state", "text_of"]

_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho ς "
    "sigma tau upsilon phi chi psi omega"
)
GREEK = {name: chr(0x3B1 + place) for place, name in enumerate(_GREEK_NAMES.split()) if name.isascii()}
"""Names of Greek letters to the letters."""


def _identifier(name: str) -> tuple[Setting, str]:
    """Split a name into an italic letter (or an upright word) and the number in its subscript: h1 is h with 1."""
    stem = name.rstrip("0123456789")
    number = name[len(stem) :]
    stem = stem.rstrip("_") or name
    return Identifier(GREEK.get(stem, stem)), number


def _subscript(digits: str, indices: list[Setting]) -> Setting | None:
    """Run indices together (w_ij) unless one is longer than a sign (w_1,12)."""
    parts: list[Setting] = [Number(digits)] if digits else []
    if all(len(text_of(index)) == 1 for index in indices):
        parts += [row(*indices)] if indices else []
    else:
        parts += indices
    return comma_row(parts) if parts else None


def text_of(setting: Setting) -> str:
    """Return the text of a name or a number; two blanks for anything larger, which is longer than a sign."""
    match setting:
        case Identifier(name):
            return name
        case Number(text):
            return text
    return "  "


def _scripted(base: Setting, below: Setting | None = None, above: Setting | None = None) -> Setting:
    return base if below is None and above is None else Script(base, below, above)


@notation(Integer, Rational)
def number(scope: Scope, node: Expr) -> Setting:
    size = abs(node)
    plain: Setting = Number(str(size)) if size.is_Integer else Fraction(Number(str(size.p)), Number(str(size.q)))
    return row(NEGATIVE, plain) if node < 0 else plain


@notation(type(pi))
def _pi(scope: Scope, node: Expr) -> Setting:
    return Identifier("π")


@notation(type(S.Exp1))
def _e(scope: Scope, node: Expr) -> Setting:
    return Identifier("e")


@notation(Symbol)
def _symbol(scope: Scope, node: Symbol) -> Setting:
    head, _, tail = node.name.partition("_")
    if tail:
        return Script(_identifier(head)[0], _identifier(tail)[0])
    base, digits = _identifier(node.name)
    return _scripted(base, _subscript(digits, []))


@notation(Index)
def _index(scope: Scope, node: Index) -> Setting:
    name = scope.names.get(node, node.name)
    return Number(name) if name.isdigit() else Identifier(GREEK.get(name, name))


@notation(Configuration)
def configuration(scope: Scope, node: Configuration) -> Setting:
    base, digits = _identifier(node.layer.name)
    assert isinstance(base, Identifier)
    bold = Identifier(base.name, bold=True)
    return _scripted(bold, _subscript(digits, []), _label(node))


def _label(configuration: Configuration) -> Setting | None:
    if not configuration.label:
        return None
    return Identifier(configuration.label.replace("''", "″").replace("'", "′"))


@notation(State)
def state(scope: Scope, node: State) -> Setting:
    base, digits = _identifier(node.layer.name)
    return _scripted(base, _subscript(digits, [scope.set(node.index)]), _label(node.configuration))


@notation(Component)
def _component(scope: Scope, node: Component) -> Setting:
    state = node.state
    base, digits = _identifier(state.layer.name)
    places = [scope.set(state.index), scope.set(node.place)]
    return _scripted(base, _subscript(digits, places), _label(state.configuration))


@notation(Entry)
def _entry(scope: Scope, node: Entry) -> Setting:
    base, digits = _identifier(node.parameter.name)
    indices = [scope.set(index) for index in node.indices]
    if node.parameter.symmetric:
        indices.sort(key=text_of)
    return _scripted(base, _subscript(digits, indices))


@notation(Delta)
def _delta(scope: Scope, node: Delta) -> Setting:
    return Script(Identifier("δ"), comma_row(sorted(map(scope.set, node.args), key=text_of)))


@notation(Indicator)
def _indicator(scope: Scope, node: Indicator) -> Setting:
    return Fence("[", "]", row(scope.set(node.state), EQUALS, scope.set(node.label)))
