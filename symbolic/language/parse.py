"""Energies as text: a small grammar, read by a parser of its own. Text is never evaluated as code.

::

    expression := term (("+" | "-") term)*
    term       := factor (("*" | "/") factor)*
    factor     := ("+" | "-")* power
    power      := atom (("^" | "**") ["-"] whole-number)?
    atom       := number | name | name "[" index ("," index)* "]"
                | "sum" "(" expression ("," index-name)+ ")"
                | "indicator" "(" name "[" index "]" "," index ")"
                | function "(" expression ")" | "(" expression ")"
    function   := "exp" | "ln" | "log" | "softplus" | "cos" | "sin" | "pos" | "neg" | "nonzero"
    index      := index-name | whole-number

A name in front of brackets is a layer's (one index: the state of a unit; a second one: a component of a state that is a
vector) or else a parameter's, whose axes take the layers of the indices it is used with. Every index belongs to the
``sum`` around it. ``n_v`` is the number of units of layer v. ``pos(s)`` is max(s, 0), ``neg(s)`` min(s, 0), and
``nonzero(s)`` is 0 for s = 0 and else 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sympy import Add, Dummy, Expr, Integer, Pow, Rational, cos, exp, log, sin

from symbolic.errors import EnergyError, EnergySyntaxError
from symbolic.language.binders import Sum
from symbolic.language.energy import Energy
from symbolic.language.functions import neg, nonzero, pos, softplus
from symbolic.language.layers import Index, Indicator, Layer, State, axes_of, problem_of_name
from symbolic.language.parameters import Entry, Parameter
from symbolic.units.table import lookup

__all__ = ["parse_energy"]

# Bounds that keep the time and memory for any text small: 5,000 names, numbers and signs make 190 sums over pairs of
# units, read in 0.2 s (2 cores, 2026-12). An energy that a person writes has a few.
MAX_CHARACTERS = 20_000
MAX_TOKENS = 5_000
MAX_DEPTH = 60
MAX_EXPONENT = 16
MAX_DIGITS = 30
MAX_RESULT_DIGITS = 300

_FUNCTIONS: dict[str, Callable[[Expr], Expr]] = {
    "cos": cos,
    "exp": exp,
    "ln": log,
    "log": log,
    "neg": neg,
    "nonzero": nonzero,
    "pos": pos,
    "sin": sin,
    "softplus": softplus,
}
# Functions whose value at a number with n digits before its point has as many digits, or takes as many to compute.
_GROWING = ("cos", "exp", "sin", "softplus")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[^\W\d]\w*)|(?P<sign>\*\*|[-+*/^()\[\],]))"
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


class _Axis:
    """The layer of an index or of a parameter's axis, which becomes known by use: a union-find node."""

    def __init__(self, layer: Layer | None = None):
        self.layer = layer
        self.parent: _Axis | None = None

    def root(self) -> _Axis:
        node = self
        while node.parent is not None:
            node = node.parent
        return node

    def join(self, other: _Axis) -> tuple[Layer, Layer] | None:
        """Make the two one; if they are known to differ, the two layers."""
        a, b = self.root(), other.root()
        if a is b:
            return None
        if a.layer is not None and b.layer is not None and a.layer != b.layer:
            return a.layer, b.layer
        b.parent = a
        a.layer = a.layer or b.layer
        return None


@dataclass(eq=False)
class _Variable:
    """A bound index: its name, its place in the text, the layer it runs over, and whether it is used."""

    name: str
    position: int
    axis: _Axis = field(default_factory=_Axis)


@dataclass(eq=False)
class _Known:
    """A parameter met in the text."""

    name: str
    position: int
    axes: list[_Axis]


_Build = Callable[[], Expr]


class _Parser:
    """A recursive-descent parser. It resolves names and layers, and yields a function that builds the expression once
    every index knows its layer."""

    def __init__(
        self,
        text: str,
        layers: Mapping[str, Layer],
        declared: Mapping[str, Iterable[str]],
        symmetric: frozenset[str] = frozenset(),
    ):
        self.text = text
        self.layers = layers
        self.symmetric = symmetric
        self.parameters: dict[str, _Known] = {}
        self.scope: list[_Variable] = []
        self.variables: list[_Variable] = []
        self.depth = 0
        self.at = 0
        self.tokens = self._tokens()
        for name, axes in declared.items():
            self._declare(name, axes)

    def _declare(self, name: str, axes: Iterable[str]) -> None:
        if name in self.layers:
            raise EnergyError(f"{name} names a layer and a parameter; rename one.")
        known = []
        possible = {**self.layers, **axes_of(self.layers.values())}
        for axis in (axes,) if isinstance(axes, str) else axes:
            if axis not in possible:
                raise EnergyError(
                    f"parameters[{name!r}] names the layer {axis!r}, which is neither visible nor hidden; "
                    f"the layers are: {', '.join(possible)}."
                )
            known.append(_Axis(possible[axis]))
        self.parameters[name] = _Known(name, 0, known)

    # Tokens

    def fail(self, message: str, position: int) -> EnergySyntaxError:
        return EnergySyntaxError(message, self.text, position)

    def _tokens(self) -> list[_Token]:
        if len(self.text) > MAX_CHARACTERS:
            raise EnergyError(
                f"the text of an energy has at most {MAX_CHARACTERS:,} characters. Got {len(self.text):,}."
            )
        tokens, at = [], 0
        end = len(self.text.rstrip())
        while at < end:
            match = _TOKEN.match(self.text, at)
            if match is None:
                blank = len(self.text[at:]) - len(self.text[at:].lstrip())
                raise self.fail(f"{self.text[at + blank]!r} has no meaning in an energy", at + blank)
            kind = match.lastgroup or ""
            if kind == "name" and (problem := problem_of_name(match[kind])) is not None:
                raise self.fail(f"a name {problem}", match.start(kind))
            tokens.append(_Token(kind, match[kind], match.start(kind)))
            if len(tokens) > MAX_TOKENS:
                raise self.fail(f"the text is longer than {MAX_TOKENS:,} names, numbers and signs", match.start(kind))
            at = match.end()
        return [*tokens, _Token("end", "", end)]

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def take(self, *texts: str) -> _Token | None:
        token = self.token
        if token.kind == "sign" and token.text in texts:
            self.at += 1
            return token
        return None

    def expect(self, text: str, what: str) -> None:
        if self.take(text) is None:
            found = self.token.text or "the end of the text"
            raise self.fail(f"expected {text!r} {what}, found {found}", self.token.position)

    # Grammar

    def whole(self) -> _Build:
        if self.token.kind == "end":
            raise self.fail("the text of the energy is empty", 0)
        build = self.expression()
        if self.token.kind != "end":
            raise self.fail(f"{self.token.text!r} does not continue the expression before it", self.token.position)
        return build

    def expression(self) -> _Build:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"parentheses and sums are nested deeper than {MAX_DEPTH}", self.token.position)
        terms = [(1, self.term())]
        while sign := self.take("+", "-"):
            terms.append((-1 if sign.text == "-" else 1, self.term()))
        self.depth -= 1
        return terms[0][1] if len(terms) == 1 else lambda: Add(*(sign * build() for sign, build in terms))

    def term(self) -> _Build:
        position = self.token.position
        factors = [("*", self.factor())]
        while sign := self.take("*", "/"):
            factors.append((sign.text, self.factor()))
        if len(factors) == 1:
            return factors[0][1]

        def build() -> Expr:
            result: Expr = Integer(1)
            for sign, factor in factors:
                result = result * factor() if sign == "*" else result / factor()
            return self.bounded(result, position)

        return build

    def factor(self) -> _Build:
        negative = False
        while sign := self.take("+", "-"):
            negative ^= sign.text == "-"
        power = self.power()
        return (lambda: -power()) if negative else power

    def power(self) -> _Build:
        base = self.atom()
        if self.take("^", "**") is None:
            return base
        negative = self.take("-") is not None
        token = self.token
        if token.kind != "number" or not token.text.isdigit() or len(token.text) > 3 or int(token.text) > MAX_EXPONENT:
            raise self.fail(f"an exponent is a whole number up to {MAX_EXPONENT}", token.position)
        self.at += 1
        exponent = -int(token.text) if negative else int(token.text)
        return lambda: self.bounded(base() ** exponent, token.position)

    def bounded(self, result: Expr, position: int) -> Expr:
        """Return ``result``, unless powers of powers have made it too large to work with."""
        if any(max(abs(number.p), number.q) >= 10**MAX_RESULT_DIGITS for number in result.atoms(Rational)):
            raise self.fail(f"a number here comes to more than {MAX_RESULT_DIGITS} digits", position)
        if any(abs(n) > MAX_EXPONENT for power in result.atoms(Pow) for n in power.exp.atoms(Rational)):
            raise self.fail(f"powers of powers come to more than {MAX_EXPONENT} here", position)
        return result

    def applied(self, name: str, argument: Expr, position: int) -> Expr:
        """Return a function of ``argument``, unless it is a number that has more digits than there is memory for."""
        inner = argument.atoms(exp, softplus) if name in _GROWING else ()
        if any(function.has(State) or not function.atoms(Entry) for function in inner):
            raise self.fail(
                f"{name} is taken of an exponential of states or numbers here, which grows beyond what can be "
                "calculated with; leave one of the two out",
                position,
            )
        if name in ("exp", "softplus"):  # e^{x ln 2} is worked out as 2^x, digit by digit
            logarithms = [one for one in argument.atoms(log) if not one.atoms(Entry)]
            beside = argument.xreplace({one: Dummy() for one in logarithms})
            large = any(abs(number) > MAX_EXPONENT for number in beside.atoms(Rational))
            if logarithms and (large or beside.has(State)):
                raise self.fail(
                    f"{name} is taken of a logarithm times states, or times more than {MAX_EXPONENT}; write it as a "
                    "power, or leave the logarithm out",
                    position,
                )
        return self.bounded(_FUNCTIONS[name](argument), position)

    def atom(self) -> _Build:
        token = self.token
        if token.kind == "number":
            self.at += 1
            return self.number(token)
        if token.kind == "name":
            self.at += 1
            return self.name(token)
        if self.take("("):
            inner = self.expression()
            self.expect(")", "to close the parenthesis")
            return inner
        found = repr(token.text) if token.text else "the end of the text"
        raise self.fail(f"expected a number, a name or '(', found {found}", token.position)

    def number(self, token: _Token) -> _Build:
        exponent = re.split("[eE]", token.text)[1:]
        if len(token.text) > MAX_DIGITS or (exponent and abs(int(exponent[0])) > MAX_DIGITS):
            raise self.fail(f"a number has at most {MAX_DIGITS} digits", token.position)
        value = Rational(token.text)
        return lambda: value

    def name(self, token: _Token) -> _Build:
        name = token.text
        if self.take("("):
            if name == "sum":
                return self.sum(token)
            if name == "indicator":
                return self.indicator(token)
            if name not in _FUNCTIONS:
                raise self.fail(
                    f"there is no function {name!r}; there are sum, indicator, {', '.join(sorted(_FUNCTIONS))}",
                    token.position,
                )
            argument = self.expression()
            self.expect(")", f"to close {name}(")
            return lambda: self.applied(name, argument(), token.position)
        if name in self.layers:
            if lookup(self.layers[name].unit).is_categorical:
                raise self.fail(
                    f"the states of layer {name} are labels, which are compared and not calculated with: "
                    f"indicator({name}[i], s)",
                    token.position,
                )
            return self.state(token)
        if self.take("["):
            return self.entry(token, self.indices())
        if name.startswith("n_") and name[2:] in self.layers:
            return lambda: self.layers[name[2:]].size
        if any(variable.name == name for variable in self.scope):
            raise self.fail(f"index {name} is not a number; it stands in brackets, as in v[{name}]", token.position)
        if name in self.parameters and not self.parameters[name].axes:
            return self.entry(token, [])
        raise self.fail(
            f"unknown name {name!r}: a unit's state is written v[i] and a parameter w[i, j]; a parameter that is a "
            f"single number is declared by parameters={{{name!r}: ()}}",
            token.position,
        )

    def state(self, token: _Token) -> _Build:
        layer = self.layers[token.text]
        if self.take("[") is None:
            raise self.fail(f"layer {token.text} needs an index, as in {token.text}[i]", token.position)
        indices = self.indices()
        dimension = lookup(layer.unit).dimension
        axes = [layer] if dimension == 1 else [layer, layer.components]
        if len(indices) != len(axes):
            what = "one index" if dimension == 1 else f"an index and one of its {dimension} components"
            raise self.fail(f"a unit of layer {token.text} has {what}; it was given {len(indices)}", token.position)
        for (index, position), axis in zip(indices, axes, strict=True):
            if isinstance(index, _Variable):
                self.join(_Axis(axis), index.axis, f"index {index.name}", position)
            elif axis is not layer and index >= dimension:
                raise self.fail(f"the {layer.unit} components are 0 to {dimension - 1}", position)
        unit, *component = (index for index, _ in indices)
        return lambda: layer[_index(unit), _index(component[0])] if component else layer[_index(unit)]

    def entry(self, token: _Token, indices: list[tuple[_Variable | int, int]]) -> _Build:
        name = token.text
        known = self.parameters.setdefault(name, _Known(name, token.position, [_Axis() for _ in indices]))
        if len(known.axes) != len(indices):
            raise self.fail(
                f"parameter {name} has {len(known.axes)} axes elsewhere; here it is given {len(indices)} indices",
                token.position,
            )
        for axis, (index, position) in zip(known.axes, indices, strict=True):
            if isinstance(index, _Variable):
                self.join(axis, index.axis, f"index {index.name}", position)
        return lambda: self.parameter(known)[tuple(_index(index) for index, _ in indices)]

    def join(self, expected: _Axis, axis: _Axis, what: str, position: int) -> None:
        clash = expected.join(axis)
        if clash is not None:
            raise self.fail(
                f"{what} runs over layer {clash[1].name}, but here an index of layer {clash[0].name} is needed",
                position,
            )

    def indices(self) -> list[tuple[_Variable | int, int]]:
        found: list[tuple[_Variable | int, int]] = [self.index()]
        while self.take(","):
            found.append(self.index())
        self.expect("]", "to close the indices")
        return found

    def index(self) -> tuple[_Variable | int, int]:
        token = self.token
        if token.kind == "number" and token.text.isdigit() and len(token.text) <= 9:
            self.at += 1
            return int(token.text), token.position
        if token.kind != "name":
            raise self.fail("expected an index: a name that a sum binds, or a whole number", token.position)
        self.at += 1
        for variable in reversed(self.scope):
            if variable.name == token.text:
                return variable, token.position
        # The sum that binds it names its indices after its body, so the binding is looked up when the sum closes.
        variable = _Variable(token.text, token.position)
        self.scope.append(variable)
        return variable, token.position

    def sum(self, token: _Token) -> _Build:
        outer = self.scope
        self.scope = []
        body = self.expression()
        bound: list[_Variable] = []
        while self.take(","):
            index = self.token
            if index.kind != "name":
                raise self.fail("expected the name of an index that the sum binds", index.position)
            self.at += 1
            if any(variable.name == index.text for variable in bound):
                raise self.fail(f"index {index.text} is bound twice by this sum", index.position)
            used = next((v for v in self.scope if v.name == index.text), None)
            if used is None:
                raise self.fail(f"index {index.text} does not occur in this sum", index.position)
            bound.append(used)
        if not bound:
            raise self.fail("a sum names the indices it runs over: sum(v[i]*a[i], i)", token.position)
        self.expect(")", "to close sum(")
        inner, self.scope = self.scope, outer
        # What this sum does not bind belongs to a sum around it; the same name there is the same index.
        for variable in inner:
            if variable in bound:
                self.variables.append(variable)
                continue
            for other in self.scope:
                if other.name == variable.name:
                    self.join(other.axis, variable.axis, f"index {variable.name}", variable.position)
                    break
            else:
                self.scope.append(variable)
        return lambda: Sum(body(), *(_index(variable) for variable in bound))

    def indicator(self, token: _Token) -> _Build:
        """Read [v_i = s], which is written indicator(v[i], s)."""
        unit = self.token
        if unit.kind != "name" or unit.text not in self.layers:
            raise self.fail("indicator compares the state of a unit with a label: indicator(v[i], s)", unit.position)
        layer = self.layers[unit.text]
        if not lookup(layer.unit).is_categorical:
            raise self.fail(
                f"layer {layer.name} has {layer.unit} units, whose states are numbers; indicator compares the labels "
                "of categorical units such as potts(3)",
                unit.position,
            )
        self.at += 1
        state = self.state(unit)
        self.expect(",", "between the unit and the label")
        label, position = self.index()
        if isinstance(label, _Variable):
            self.join(_Axis(layer.states), label.axis, f"index {label.name}", position)
        elif label >= layer.states.size:
            raise self.fail(f"the labels of layer {layer.name} are 0 to {layer.states.size - 1}", position)
        self.expect(")", "to close indicator(")
        return lambda: Indicator(state(), _index(label))

    def finish(self) -> None:
        """Check that every index is bound and knows its layer, and that every axis of every parameter does."""
        if self.scope:
            variable = self.scope[0]
            raise self.fail(f"index {variable.name} is not bound by a sum around it", variable.position)
        for variable in self.variables:
            if variable.axis.root().layer is None:
                raise self.fail(
                    f"nothing says which layer index {variable.name} runs over; use it on a unit, as in "
                    f"v[{variable.name}], or declare the parameter's layers by parameters=",
                    variable.position,
                )
        for known in self.parameters.values():
            for number, axis in enumerate(known.axes, 1):
                if axis.root().layer is None:
                    raise self.fail(
                        f"nothing says which layer axis {number} of {known.name} runs over; declare "
                        f"parameters={{{known.name!r}: (...)}}",
                        known.position,
                    )

    def parameter(self, known: _Known) -> Parameter:
        axes = [axis.root().layer for axis in known.axes]
        return Parameter(known.name, *axes, symmetric=known.name in self.symmetric)  # type: ignore[arg-type]


def _index(index: _Variable | int) -> Index | Integer:
    if isinstance(index, int):
        return Integer(index)
    layer = index.axis.root().layer
    assert layer is not None
    return Index(index.name, layer)


def parse_energy(
    text: str,
    *,
    visible: Mapping[str, str],
    hidden: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
    parameters: Mapping[str, Iterable[str]] | None = None,
    symmetric: Iterable[str] = (),
) -> Energy:
    """See :meth:`symbolic.Energy.parse`."""
    if not isinstance(text, str):
        raise EnergyError(f"the text of an energy is a str. Got {type(text).__name__}.")
    hidden, given, parameters = hidden or {}, given or {}, parameters or {}
    roles = {"visible": visible, "hidden": hidden, "given": given, "parameters": parameters}
    for role, side in roles.items():
        if not isinstance(side, Mapping):
            example = "{'w': ('v', 'h')}" if role == "parameters" else "{'v': 'binary'}"
            raise EnergyError(f"{role} maps names, as in {role}={example}. Got {side!r}.")
    sides = [[Layer(name, unit) for name, unit in side.items()] for side in (visible, hidden, given)]
    layers = {layer.name: layer for side in sides for layer in side}
    for name in layers:
        if name in ("sum", "indicator") or name in _FUNCTIONS:
            raise EnergyError(f"{name!r} is a function of the text form; give the layer another name.")
    parser = _Parser(text, layers, parameters, frozenset((symmetric,) if isinstance(symmetric, str) else symmetric))
    build = parser.whole()
    parser.finish()
    unused = sorted(parser.symmetric - set(parser.parameters))
    if unused:
        raise EnergyError(f"symmetric names the parameter {unused[0]!r}, which does not occur in the energy.")
    return Energy(build(), visible=sides[0], hidden=sides[1], given=sides[2])
