"""From a SymPy expression to its setting, in the order and notation of the lecture RBM Mathematics (module 11.2).

SymPy keeps sums and products in an order of its own, and binders canonical index names. Here they get the lecture's:
probabilities before Boltzmann factors before states before couplings, v before h, negative terms last unless they lead,
configurations in bold with their label as a superscript, and dummy indices called k, l, ... so that none is captured.

How a kind of node is set is one function under :func:`~symbolic.notation.scope.notation`: names and states in
:mod:`~symbolic.notation.names`, sums, products and powers in :mod:`~symbolic.notation.products`, the rest here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sympy import (
    Add,
    Derivative,
    Expr,
    Function,
    Integer,
    Mul,
    Pow,
    Rational,
    S,
    binomial,
    exp,
    factorial,
    log,
    loggamma,
)

from symbolic.language.binders import BaseMeasure, ConfigSum, IndexProduct, IndexSum, UnitSum
from symbolic.language.expressions import Delta
from symbolic.language.functions import (
    StableFunction,
    bessel_i,
    lnsinhc,
    log2cosh,
    neg,
    nonzero,
    pos,
    sigmoid,
    sinhc_slope,
    softplus,
)
from symbolic.language.layers import Configuration, Index, Layer, State
from symbolic.language.parameters import Parameter
from symbolic.language.probability import (
    EnergyCall,
    EnergyFunction,
    Expectation,
    FreeEnergy,
    LogPartition,
    Probability,
    SiteEnergy,
    SiteProbability,
    UnitProbability,
)
from symbolic.notation.marks import locate
from symbolic.notation.names import configuration, number, state
from symbolic.notation.products import compact, is_negative, spelt, spread
from symbolic.notation.scope import Scope, notation
from symbolic.notation.tree import (
    APPLY,
    EQUALS,
    GIVEN,
    INTEGRAL,
    MINUS,
    NEGATIVE,
    PARTIAL,
    PLUS,
    THIN,
    TIMES,
    BigOperator,
    Fence,
    Fraction,
    FunctionName,
    Identifier,
    Number,
    Operator,
    Root,
    Script,
    Setting,
    comma_row,
    row,
)
from symbolic.units import Domain, Integers, Interval, Sphere, Unit, lookup

__all__ = ["conditions", "equation", "reading_order", "typeset"]


def typeset(
    expression: Expr,
    *,
    layers: Iterable[Layer] = (),
    names: Mapping[Index, str] | None = None,
    marks: Mapping[Expr, str] | None = None,
    taken: Iterable[str] = (),
) -> Setting:
    """Return the setting of an expression.

    Args:
        expression: any expression in the nodes of :mod:`symbolic.language`.
        layers: the layers in reading order; by default the energy's own order, where the expression names the energy.
        names: what free indices are called, where that is not their own name: ``{i: "1"}`` prints w_1j.
        marks: parts to be marked, and as what. A part that SymPy has merged into a larger sum or product is found
            there, term by term or factor by factor; a part that does not occur is left out.
        taken: names that no dummy index may get, besides the free ones of the expression.

    Raises:
        SymbolicError: the expression holds a node that has no notation.
    """
    order = tuple(layers) or reading_order(expression)
    expression = spread(expression)
    return Scope(order, names or {}, _reserved(expression, taken), locate(expression, marks or {})).set(expression)


def equation(left: Expr, right: Expr, **options: Any) -> Setting:
    """Set ``left`` = ``right``; a dummy of one side never takes the name of a free index of the other."""
    options.setdefault("layers", reading_order(left, right))
    taken = {*options.pop("taken", ()), *_reserved(left), *_reserved(right)}
    sides = (typeset(side, taken=taken, **options) for side in (left, right))
    return row(next(sides), EQUALS, next(sides))


def conditions(positive: Iterable[Expr], **options: Any) -> Setting:
    """Set the conditions that expressions are positive, as "a > 0, b > 0"; 1 − δ_im reads i ≠ m."""
    return comma_row([_condition(expression, **options) for expression in positive])


def _condition(positive: Expr, **options: Any) -> Setting:
    apart = 1 - positive
    if isinstance(apart, Delta):
        a, b = (typeset(side, **options) for side in apart.args)
        return row(a, Operator("≠"), b)
    return row(typeset(positive, **options), Operator(">"), Number("0"))


def reading_order(*expressions: Expr) -> tuple[Layer, ...]:
    """Return the layers of expressions in reading order: the energy's, else the order of the parameters' axes."""
    functions = {f for e in expressions for f in e.atoms(EnergyFunction)}
    known: dict[Layer, None] = {}
    for function in sorted(functions, key=lambda f: tuple(layer.name for layer in f.layers)):
        known |= dict.fromkeys(function.layers)
    parameters = {p for e in expressions for p in e.atoms(Parameter)}
    for parameter in sorted(parameters, key=lambda p: (-len(p.layers), p.name)):
        known |= dict.fromkeys(parameter.layers)
    rest = {c.layer for e in expressions for c in e.atoms(Configuration)}
    rest |= {i.layer for e in expressions for i in e.atoms(Index)}
    known |= dict.fromkeys(sorted(rest, key=lambda layer: (layer.name[0] in "hz", layer.name)))
    return tuple(known)


def _reserved(expression: Expr, taken: Iterable[str] = ()) -> frozenset[str]:
    free = {s.name for s in expression.free_symbols if isinstance(s, Index)}
    labels = {c.label for c in expression.atoms(Configuration)}
    things = {p.name for p in expression.atoms(Parameter)}
    things |= {c.layer.name for c in expression.atoms(Configuration)}
    return frozenset(free | labels | things | set(taken))


# Functions


@notation(exp)
def _exponential(scope: Scope, node: exp) -> Setting:
    inside = node.args[0]
    if isinstance(inside, LogPartition):
        return _partition_function(scope, inside)
    if isinstance(-inside, LogPartition):
        return Fraction(Number("1"), _partition_function(scope, -inside))
    return Script(Identifier("e"), None, scope.set(node.args[0]))


@notation(log)
def _logarithm(scope: Scope, node: log) -> Setting:
    return row(FunctionName("ln"), _argument(scope, node.args[0]))


def _argument(scope: Scope, inside: Expr) -> Setting:
    """What stands after ln: in brackets, unless it is a name, a root or one sign applied to something."""
    plain = spelt(inside)
    bare = isinstance(plain, Pow) and plain.exp == S.Half
    return scope.fenced_if(not bare and (isinstance(plain, (Add, Mul, Pow)) or is_negative(plain)), inside)


@notation(softplus)
def _softplus(scope: Scope, node: softplus) -> Setting:
    inside = row(Number("1"), PLUS, Script(Identifier("e"), None, scope.set(node.args[0])))
    return row(FunctionName("ln"), Fence("(", ")", inside))


@notation(sigmoid)
def _sigmoid(scope: Scope, node: sigmoid) -> Setting:
    return row(Identifier("σ"), APPLY, Fence("(", ")", scope.set(node.args[0])))


@notation(log2cosh)
def _log2cosh(scope: Scope, node: log2cosh) -> Setting:
    inside = row(Number("2"), TIMES, FunctionName("cosh"), Fence("(", ")", scope.set(node.args[0])))
    return row(FunctionName("ln"), Fence("(", ")", inside))


@notation(loggamma)
def _log_gamma(scope: Scope, node: loggamma) -> Setting:
    return row(FunctionName("ln"), Identifier("Γ"), APPLY, Fence("(", ")", scope.set(node.args[0])))


@notation(bessel_i)
def _bessel(scope: Scope, node: bessel_i) -> Setting:
    order, argument = node.args
    return row(Script(Identifier("I"), scope.set(order), None), APPLY, Fence("(", ")", scope.set(argument)))


@notation(lnsinhc)
def _log_sinhc(scope: Scope, node: lnsinhc) -> Setting:
    root = Root(scope.set(node.args[0]))
    return row(FunctionName("ln"), Fence("(", ")", Fraction(row(FunctionName("sinh"), root), root)))


@notation(sinhc_slope)
def _langevin(scope: Scope, node: sinhc_slope) -> Setting:
    """Set the slope of ln(sinh √z / √z) as (coth √z − 1/√z) / √z."""
    root = Root(scope.set(node.args[0]))
    return Fraction(row(FunctionName("coth"), root, MINUS, Fraction(Number("1"), root)), root)


@notation(pos, neg)
def _part(scope: Scope, node: pos | neg) -> Setting:
    name = "max" if isinstance(node, pos) else "min"
    return row(FunctionName(name), Fence("(", ")", comma_row([scope.set(node.args[0]), Number("0")])))


@notation(nonzero)
def _bracket(scope: Scope, node: nonzero) -> Setting:
    """Set Iverson's bracket, [s ≠ 0]."""
    return Fence("[", "]", row(scope.set(node.args[0]), Operator("≠", "infix"), Number("0")))


@notation(factorial)
def _factorial(scope: Scope, node: Expr) -> Setting:
    inside = node.args[0]
    return row(scope.fenced_if(isinstance(inside, (Add, Mul, Pow)), inside), Operator("!", "postfix"))


@notation(binomial)
def _binomial(scope: Scope, node: Expr) -> Setting:
    n, k = node.args
    return Fraction(_factorial(scope, factorial(n, evaluate=False)), _choices(scope, n, k))


def _choices(scope: Scope, n: Expr, k: Expr) -> Setting:
    return row(
        _factorial(scope, factorial(k, evaluate=False)), TIMES, _factorial(scope, factorial(n - k, evaluate=False))
    )


@notation(StableFunction)
def _stable_function(scope: Scope, node: StableFunction) -> Setting:
    return scope.set(spelt(node))


@notation(Function)
def _function(scope: Scope, node: Function) -> Setting:
    arguments = comma_row([scope.set(argument) for argument in node.args])
    return row(FunctionName(type(node).__name__), Fence("(", ")", arguments))


# Probability


def _call(scope: Scope, name: str, arguments: Iterable[Expr]) -> Setting:
    return row(Identifier(name), APPLY, Fence("(", ")", comma_row([scope.set(a) for a in arguments])))


@notation(EnergyCall)
def _energy_call(scope: Scope, node: EnergyCall) -> Setting:
    return _call(scope, node.function.name, node.configurations)


@notation(FreeEnergy)
def _free_energy(scope: Scope, node: FreeEnergy) -> Setting:
    return _call(scope, "F", node.given)


@notation(LogPartition)
def _log_partition(scope: Scope, node: LogPartition) -> Setting:
    return row(FunctionName("ln"), _partition_function(scope, node))


def _partition_function(scope: Scope, node: LogPartition) -> Setting:
    """Set Z, or Z(x) where layers are given."""
    return _call(scope, "Z", node.function.inputs) if node.function.inputs else Identifier("Z")


@notation(Probability)
def _probability(scope: Scope, node: Probability) -> Setting:
    return _distribution(scope, node.subject, node.given)


@notation(UnitProbability)
def _unit_probability(scope: Scope, node: UnitProbability) -> Setting:
    return _distribution(scope, (node.state,), node.given)


def _distribution(scope: Scope, subject: tuple[Expr, ...], given: tuple[Expr, ...]) -> Setting:
    inside = comma_row([scope.set(s) for s in subject])
    if given:
        inside = row(inside, GIVEN, comma_row([scope.set(c) for c in given]))
    return row(Identifier("p"), APPLY, Fence("(", ")", inside))


@notation(SiteProbability)
def _site_probability(scope: Scope, node: SiteProbability) -> Setting:
    """Set p(h_j ∣ v, h_{∖j}): all other units of the layer are given."""
    given = comma_row([*(scope.set(c) for c in node.given), _elsewhere(scope, node.state)])
    return row(Identifier("p"), APPLY, Fence("(", ")", row(scope.set(node.value), GIVEN, given)))


@notation(SiteEnergy)
def _site_energy(scope: Scope, node: SiteEnergy) -> Setting:
    others = [c for c in node.function().configurations if c != node.state.configuration]
    arguments = [*map(scope.set, others), scope.set(node.value), _elsewhere(scope, node.state)]
    return row(Identifier(node.function.name), APPLY, Fence("(", ")", comma_row(arguments)))


def _elsewhere(scope: Scope, state: State) -> Setting:
    rest = row(Operator("∖", "prefix"), scope.set(state.index))
    layer = configuration(scope, state.configuration)
    return Script(layer, rest) if not isinstance(layer, Script) else row(layer, rest)


@notation(Expectation)
def _expectation(scope: Scope, node: Expectation) -> Setting:
    averaged = sorted(node.averaged_over, key=scope.position)
    below = row(*(scope.set(Configuration(layer)) for layer in averaged))
    body = scope.set(node.displayed())
    return Script(Fence("⟨", "⟩", body, spoken="expected value of"), below)


# Derivatives and binders


@notation(Derivative)
def _derivative(scope: Scope, node: Derivative) -> Setting:
    inside = node.expr
    variables = [scope.set(variable) for variable in node.variables]
    below = row(*(part for variable in variables for part in (PARTIAL, variable)))
    sign: Setting = PARTIAL if len(variables) == 1 else Script(PARTIAL, None, Number(str(len(variables))))
    if compact(inside):
        return Fraction(row(sign, scope.fenced_if(is_negative(inside), inside)), below)
    fenced = isinstance(inside, (Add, Mul)) or is_negative(inside)
    return row(Fraction(sign, below), scope.fenced_if(fenced, inside))


def _operand(scope: Scope, body: Expr) -> Setting:
    return scope.fenced_if(isinstance(body, Add) or is_negative(body), body)


@notation(IndexSum)
def _index_sum(scope: Scope, node: IndexSum) -> Setting:
    below, inner = scope.under(node.indices)
    return row(BigOperator("∑", below), _operand(inner, node.body))


@notation(IndexProduct)
def _index_product(scope: Scope, node: IndexProduct) -> Setting:
    below, inner = scope.under(node.indices)
    return row(BigOperator("∏", below), _operand(inner, node.body))


@notation(ConfigSum)
def _config_sum(scope: Scope, node: ConfigSum) -> Setting:
    """Set ∑ over the labels of layers with separate states, ∫ over layers of real numbers."""
    units = {c: lookup(c.layer.unit) for c in node.configurations}
    listed = [c for c in node.configurations if not units[c].is_continuous]
    integrated = [c for c in node.configurations if units[c].is_continuous]
    parts: list[Setting] = []
    if listed:
        parts.append(BigOperator("∑", comma_row([Identifier(c.label or c.layer.name) for c in listed])))
    parts += [INTEGRAL] * len(integrated)
    for c in node.configurations:
        parts += [] if units[c].base is None else [_measure(scope, c), TIMES]
    parts.append(_operand(scope, node.body))
    for c in integrated:
        parts += [THIN, Identifier("d"), _variable(scope, units[c], c)]
    return row(*parts)


@notation(UnitSum)
def _unit_sum(scope: Scope, node: UnitSum) -> Setting:
    unit = lookup(node.state.layer.unit)
    measure = [] if unit.base is None else [_measure(scope, node.state), TIMES]
    body = _operand(scope, node.body)
    if isinstance(unit.domain, Integers):
        first, last = Integer(unit.domain.first), unit.domain.last
        end = Identifier("∞") if last is None else Number(str(last))
        return row(BigOperator("∑", row(scope.set(node.state), EQUALS, number(scope, first)), end), *measure, body)
    if not unit.is_continuous:
        return row(BigOperator("∑", scope.set(node.state)), *measure, body)
    low, high = _ends(scope, unit.domain)
    variable = _variable(scope, unit, node.state)
    return row(Script(INTEGRAL, low, high), *measure, body, THIN, Identifier("d"), variable)


def _ends(scope: Scope, domain: Domain) -> tuple[Setting, Setting | None]:
    if isinstance(domain, Sphere):
        return Script(Identifier("S"), None, Number(str(domain.dimension - 1))), None
    if not isinstance(domain, Interval):
        return row(NEGATIVE, Identifier("π")), Identifier("π")
    low = row(NEGATIVE, Identifier("∞")) if domain.low is None else number(scope, _rational(domain.low))
    return low, Identifier("∞") if domain.high is None else number(scope, _rational(domain.high))


def _variable(scope: Scope, unit: Unit, node: Expr) -> Setting:
    """Set what an integral runs over: states, or a measure that gives single states a weight of their own."""
    if isinstance(unit.domain, Interval) and unit.domain.atoms:
        return _measure(scope, node)
    return configuration(scope, node) if isinstance(node, Configuration) else state(scope, node)


def _measure(scope: Scope, node: Expr) -> Setting:
    """Set μ(h_j), the weight with which a sum counts a state."""
    shown = configuration(scope, node) if isinstance(node, Configuration) else scope.set(node)
    return row(Identifier("μ"), APPLY, Fence("(", ")", shown))


@notation(BaseMeasure)
def _base_measure(scope: Scope, node: BaseMeasure) -> Setting:
    return _measure(scope, node.state)


def _rational(number: Any) -> Rational:
    return Rational(number.numerator, number.denominator)
