"""The rules by which expressions are compiled to their values, and to e to their values."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import reduce
from typing import Any

from sympy import Add, Derivative, Expr, Mul, Pow, Rational, Symbol, cos, exp, log, sin, tanh

from symbolic.check.compiler import DEFINED, Compiler
from symbolic.check.environment import BY, MODEL, Compiled, Environment
from symbolic.check.finite_field import Vanishes
from symbolic.check.limits import Limit, limit_at_zero
from symbolic.errors import CheckError
from symbolic.language.binders import BaseMeasure, ConfigSum, IndexProduct, IndexSum, UnitSum
from symbolic.language.expressions import Delta
from symbolic.language.functions import StableFunction, StateFunction
from symbolic.language.layers import Component, Index, Indicator, Layer, State
from symbolic.language.parameters import Entry
from symbolic.language.probability import Probability, SiteEnergy
from symbolic.units import lookup

__all__ = [
    "at_limits",
    "at_site",
    "constant",
    "exp_of",
    "limit_of",
    "over_configurations",
    "over_indices",
    "over_states",
    "places_of",
    "spelt_tanh",
    "value",
]


def value(compiler: Compiler, node: Any, field: Any) -> Compiled:
    """Return the value of an expression, by the rule for nodes of its kind.

    Raises:
        CheckError: it has none in these numbers.
    """
    depth = field.depth
    if isinstance(node, Rational):
        return constant(field.number(Fraction(int(node.p), int(node.q))))
    if isinstance(node, StableFunction):
        return _defined_value(compiler, node, field)
    if isinstance(node, DEFINED):
        return compiler.value(node.definition(), depth)
    if node in field.constants:
        return constant(field.constants[node])
    for kind in type(node).__mro__:
        if kind in _VALUES:
            found: Compiled = _VALUES[kind](compiler, node, field)
            return found
    made = None if field.is_exact else field.function(compiler, node)
    if made is None:
        raise CheckError(f"{type(node).__name__} has no exact value here: {node}")
    return made


def _sum(compiler: Compiler, node: Add, field: Any) -> Compiled:
    return field.sum([compiler.value(term, field.depth) for term in node.args])


def _product(compiler: Compiler, node: Mul, field: Any) -> Compiled:
    return field.product([compiler.value(factor, field.depth) for factor in node.args])


def _power(compiler: Compiler, node: Pow, field: Any) -> Compiled:
    base = compiler.value(node.base, field.depth)
    if isinstance(node.exp, Symbol):
        symbol = node.exp
        return field.power(base, lambda env: Fraction(env[MODEL].size_of(symbol)))
    if not node.exp.is_Rational:
        raise CheckError(f"{node.exp} has no exact value here: it is neither a number nor the size of a layer.")
    if not node.exp.is_Integer:
        exponent = Fraction(int(node.exp.p), int(node.exp.q))
        return field.power(base, lambda env: exponent)
    power = int(node.exp)
    base = field.inverse(base) if power < 0 else base
    return base if abs(power) == 1 else field.whole_power(base, abs(power))


def _size(compiler: Compiler, node: Symbol, field: Any) -> Compiled:
    depth = field.depth
    return lambda env: env[MODEL].cell(env[MODEL].size_of(node))[depth]


def _logarithm(compiler: Compiler, node: log, field: Any) -> Compiled:
    if field.is_exact:
        raise CheckError("a logarithm that is multiplied or divided by has no exact value here.")
    return field.ln(compiler.value(node.args[0], field.depth))


def _entry(compiler: Compiler, node: Entry, field: Any) -> Compiled:
    parameter, depth = node.parameter, field.depth
    table = compiler.slot(parameter, lambda model: model.table(parameter))
    places = [compiler.place(i) for i in node.indices]
    zero = field.number(0)
    match places:
        case [i, j] if parameter.symmetric:

            def symmetric(env: Environment) -> Any:
                a, b = env[i], env[j]
                return zero if a == b else env[table][(a, b) if a < b else (b, a)][depth]

            return symmetric
        case [i]:
            return lambda env: env[table][env[i],][depth]
        case [i, j]:
            return lambda env: env[table][env[i], env[j]][depth]
        case [i, j, k]:
            return lambda env: env[table][env[i], env[j], env[k]][depth]
    return lambda env: env[table][tuple([env[place] for place in places])][depth]


def _cell(compiler: Compiler, node: State) -> Compiled:
    row, place = compiler.name(node.configuration), compiler.place(node.index)
    return lambda env: env[row][env[place]]


def _state(compiler: Compiler, node: State, field: Any) -> Compiled:
    row, place, depth = compiler.name(node.configuration), compiler.place(node.index), field.depth
    return lambda env: env[row][env[place]][depth]


def _component(compiler: Compiler, node: Component, field: Any) -> Compiled:
    cell, depth = _cell(compiler, node.state), field.depth
    part = compiler.place(node.place)
    return lambda env: cell(env)[env[part]][depth]


def _delta(compiler: Compiler, node: Delta, field: Any) -> Compiled:
    a, b = (_compared(compiler, side) for side in node.args)
    one, zero = field.number(1), field.number(0)
    return lambda env: one if a(env) == b(env) else zero


def _compared(compiler: Compiler, side: Expr) -> Compiled:
    """Return the plain number of a state, or a place."""
    if isinstance(side, State):
        cell = _cell(compiler, side)
        return lambda env: cell(env)[-1]
    place = compiler.place(side)
    return lambda env: operator.index(env[place])


def _state_function(compiler: Compiler, node: Any, field: Any) -> Compiled:
    """Return a function of a state: its own value where that is rational, else a stand-in.

    A cosine or sine is stood in for by a fixed number for each state. What holds for any function of the state holds
    for that one.
    """
    if not field.is_exact:
        found: Compiled = field.function(compiler, node)
        return found
    plain = _plain(compiler, node.args[0])
    kind, number = type(node), field.number
    if isinstance(node, StateFunction):
        return lambda env: number(kind.at(plain(env)))
    return lambda env: number(_stand_in(kind, plain(env)))


def _plain(compiler: Compiler, node: Any) -> Callable[[Environment], Fraction]:
    """Return the value of an expression of states and numbers, which is rational."""
    if isinstance(node, Rational):
        return constant(Fraction(int(node.p), int(node.q)))
    if isinstance(node, State):
        cell = _cell(compiler, node)
        return lambda env: cell(env)[-1]
    if isinstance(node, (Add, Mul)):
        parts = [_plain(compiler, part) for part in node.args]
        combine = operator.add if isinstance(node, Add) else operator.mul
        return lambda env: reduce(combine, [part(env) for part in parts])
    raise CheckError(f"{node} has no exact value here: it is not an expression of states and numbers alone.")


def _probability(compiler: Compiler, node: Probability, field: Any) -> Compiled:
    # The two parts apart, so that the normaliser, which does not depend on the subject, is remembered.
    above, below = compiler.value(node.numerator(), field.depth), compiler.value(node.normaliser(), field.depth)
    return field.product([above, field.inverse(below)])


def _derivative(compiler: Compiler, node: Derivative, field: Any) -> Compiled:
    by, *more = node.variables
    if more:
        raise CheckError("a derivative of a derivative has no exact value here.")
    if not isinstance(by, Entry):
        raise CheckError(f"derivatives are taken by an entry of a parameter. Got {by}.")
    parameter = by.parameter
    places = [compiler.place(i) for i in by.indices]
    slope = compiler.slope(node.expr, parameter, field.depth)
    if slope is None:
        return constant(field.number(0))

    def derivative(env: Environment) -> Any:
        at = tuple([operator.index(env[place]) for place in places])
        before, env[BY] = env[BY], tuple(sorted(at)) if parameter.symmetric else at
        try:
            return slope(env)
        finally:
            env[BY] = before

    return derivative


def _base_measure(compiler: Compiler, node: BaseMeasure, field: Any) -> Compiled:
    state = node.state
    if not isinstance(state, State):
        raise CheckError(f"{node} has no exact value here.")
    cell, layer, depth = _cell(compiler, state), state.layer, field.depth
    if compiler.true_units and not field.is_exact:
        weigh = field.weight(lookup(layer.unit))
        return lambda env: weigh(cell(env)[-1])
    return lambda env: env[MODEL].weight(layer, cell(env))[depth]


def exp_of(compiler: Compiler, node: Any, field: Any) -> Compiled:
    """Return e to the value of an expression: ln f gives f back, and e^{f + g} = e^f e^g.

    Raises:
        CheckError: it has no value in these numbers.
    """
    depth = field.depth
    if not compiler.has_logarithm(node):
        return field.exp(compiler.value(node, field.exponents.depth))
    if isinstance(node, log):
        return field.argument_of_ln(compiler.value(node.args[0], depth))
    if isinstance(node, StableFunction):
        return _exp_of_defined(compiler, node, field)
    if isinstance(node, DEFINED):
        return compiler.exp_of(node.definition(), depth)
    if isinstance(node, Add):
        return field.product([compiler.exp_of(term, depth) for term in node.args])
    if isinstance(node, IndexSum):
        return over_indices(compiler, node.indices, field.product_over, compiler.exp_of(node.body, depth))
    if isinstance(node, Mul):
        logs = [factor for factor in node.args if compiler.has_logarithm(factor)]
        if len(logs) == 1:
            rest = Mul(*(factor for factor in node.args if factor is not logs[0]))
            return _power_of(compiler, compiler.exp_of(logs[0], depth), rest, field)
    if field.is_exact:
        raise CheckError("a function of a logarithm has no exact value here.")
    return field.exp(compiler.value(node, depth))


def _power_of(compiler: Compiler, base: Compiled, exponent: Expr, field: Any) -> Compiled:
    try:
        plain = _plain(compiler, exponent)
    except CheckError:
        return field.any_power(base, compiler.value(exponent, field.exponents.depth))
    return field.power(base, plain)


def _index_sum(compiler: Compiler, node: IndexSum, field: Any) -> Compiled:
    return over_indices(compiler, node.indices, field.sum_over, compiler.value(node.body, field.depth))


def _index_product(compiler: Compiler, node: IndexProduct, field: Any) -> Compiled:
    return over_indices(compiler, node.indices, field.product_over, compiler.value(node.body, field.depth))


def over_indices(
    compiler: Compiler, indices: Iterable[Index], fold: Callable[..., Compiled], body: Compiled
) -> Compiled:
    for index in reversed(tuple(indices)):
        body = fold(compiler.name(index), places_of(index.layer), body)
    return body


def places_of(layer: Layer) -> Compiled:
    """Return what an index over a layer runs through: its units' numbers, or the labels or components of an axis."""
    return lambda env: env[MODEL].places(layer)


def _config_sum(compiler: Compiler, node: ConfigSum, field: Any) -> Compiled:
    return over_configurations(compiler, node, field, compiler.value(node.body, field.depth))


def over_configurations(compiler: Compiler, node: ConfigSum, field: Any, body: Compiled) -> Compiled:
    depth = field.depth
    for configuration in reversed(node.configurations):
        layer, row = configuration.layer, compiler.name(configuration)
        if lookup(layer.unit).base is not None:
            body = field.product([_weight_of_row(row, depth), body])
        body = field.sum_over(row, _rows(layer), body)
    return body


def _unit_sum(compiler: Compiler, node: UnitSum, field: Any) -> Compiled:
    found = over_states(compiler, node, field, lambda: compiler.value(node.body, field.depth))
    assert found is not None
    return found


def over_states(
    compiler: Compiler, node: UnitSum, field: Any, compiled: Callable[[], Compiled | None]
) -> Compiled | None:
    """Return the sum over the states of one unit of what is compiled, the other units of its row being as they are."""
    state, depth = node.state, field.depth
    layer, unit = state.layer, lookup(state.layer.unit)
    row, place = compiler.name(state.configuration), compiler.place(state.index)
    if compiler.true_units and not unit.is_finite:
        if field.is_exact:
            raise CheckError(f"a {unit.name} unit has no finite set of states.")
        with compiler.integrating(state.configuration):
            body = compiled()
        return None if body is None else field.integral(unit, layer, row, place, body)
    body = compiled()
    if body is None:
        return None
    if unit.base is not None:
        body = field.product([lambda env: env[MODEL].unit_weight(layer, env[row][env[place]])[depth], body])
    return field.sum_over(row, lambda env: env[MODEL].unit_rows(layer, env[row], env[place]), body)


def _site_energy(compiler: Compiler, node: SiteEnergy, field: Any) -> Compiled:
    return at_site(compiler, node, lambda: compiler.value(node.function(), field.depth))


def at_site(compiler: Compiler, node: SiteEnergy, compiled: Callable[[], Compiled | None]) -> Any:
    """Return what is compiled of the energy, with one unit in another state."""
    own = node.state.configuration
    row, place = compiler.name(own), compiler.place(node.state.index)
    passes = isinstance(node.value, State) and node.value.configuration in compiler.passing
    if isinstance(node.value, State):
        cell = _cell(compiler, node.value)
    else:
        value = Fraction(int(node.value.p), int(node.value.q))
        cell = lambda env: env[MODEL].cell(value)  # noqa: E731
    if passes:
        with compiler.integrating(own):
            energy = compiled()
    else:
        energy = compiled()
    if energy is None:
        return None

    def at_site(env: Environment) -> Any:
        before = env[row]
        env[row] = env[MODEL].with_unit(before, env[place], cell(env), node.state.layer, passes)
        result = energy(env)
        env[row] = before
        return result

    return at_site


def at_limits(
    compiler: Compiler, node: StableFunction, field: Any, evaluate: Compiled, limit: Callable[[Environment], Any]
) -> Compiled:
    """Return the function, with its limit where its formula reads 0/0."""
    try:
        argument = compiler.value(node.args[-1], field.depth)
    except CheckError:  # not known apart from e to it
        return evaluate

    def at_limits(env: Environment) -> Any:
        try:
            return evaluate(env)
        except Vanishes:
            if argument(env) != 0:
                raise
            return limit(env)

    return at_limits


def _defined_value(compiler: Compiler, node: StableFunction, field: Any) -> Compiled:
    def limit(env: Environment) -> Any:
        found = limit_of(node)
        value = field.number(found.value)
        return field.ln(constant(value))(env) if found.of_logarithm else value

    return at_limits(compiler, node, field, compiler.value(node.definition(), field.depth), limit)


def _exp_of_defined(compiler: Compiler, node: StableFunction, field: Any) -> Compiled:
    evaluate = compiler.exp_of(node.definition(), field.depth)
    return at_limits(compiler, node, field, evaluate, lambda env: field.number(limit_of(node).value))


def constant(value: Any) -> Compiled:
    """Return the function with one value everywhere."""
    return lambda env: value


def limit_of(node: StableFunction) -> Limit:
    """Return the limit of a stable function where its formula reads 0/0."""
    return limit_at_zero(type(node).__name__, *map(int, node.args[:-1]))


def spelt_tanh(node: tanh) -> Expr:
    """Return tanh x = (e^x − e^{−x}) / (e^x + e^{−x})."""
    x = node.args[0]
    return (exp(x) - exp(-x)) / (exp(x) + exp(-x))


def _weight_of_row(row: int, depth: int) -> Compiled:
    return lambda env: env[row].weights[depth]


def _rows(layer: Layer) -> Compiled:
    return lambda env: env[MODEL].rows(layer)


def _stand_in(kind: type, state: Any) -> Fraction:
    return Fraction(random.Random(f"{kind.__name__}/{state}").randrange(1, 997), 997)


_VALUES: dict[type, Callable[[Compiler, Any, Any], Compiled]] = {
    Add: _sum,
    Mul: _product,
    Pow: _power,
    exp: lambda compiler, node, field: compiler.exp_of(node.args[0], field.depth),
    log: _logarithm,
    tanh: lambda compiler, node, field: compiler.value(spelt_tanh(node), field.depth),
    Symbol: _size,
    Delta: _delta,
    Indicator: _delta,
    Component: _component,
    Entry: _entry,
    State: _state,
    StateFunction: _state_function,
    cos: _state_function,
    sin: _state_function,
    IndexSum: _index_sum,
    IndexProduct: _index_product,
    ConfigSum: _config_sum,
    UnitSum: _unit_sum,
    Derivative: _derivative,
    Probability: _probability,
    BaseMeasure: _base_measure,
    SiteEnergy: _site_energy,
}
