"""The rules by which expressions are compiled to their derivatives by an entry of a parameter.

They are the rules of differentiation, node by node; SymPy's ``diff`` is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sympy import Add, Derivative, Mul, Pow, exp, log, tanh

from symbolic.check.compiler import DEFINED, Compiler
from symbolic.check.environment import BY, Compiled, Environment
from symbolic.check.values import (
    at_limits,
    at_site,
    limit_of,
    over_configurations,
    over_indices,
    over_states,
    places_of,
    spelt_tanh,
)
from symbolic.errors import CheckError
from symbolic.language.binders import ConfigSum, IndexProduct, IndexSum, UnitSum
from symbolic.language.functions import StableFunction
from symbolic.language.parameters import Entry, Parameter
from symbolic.language.probability import Probability, SiteEnergy

__all__ = ["slope"]


def slope(compiler: Compiler, node: Any, by: Parameter, field: Any) -> Compiled | None:
    """Return the derivative by an entry of a parameter, by the rule for nodes of this kind; None where it is 0.

    Raises:
        CheckError: it has none in these numbers.
    """
    depth = field.depth
    if isinstance(node, StableFunction):
        return _slope_of_defined(compiler, node, by, field)
    if isinstance(node, DEFINED):
        return compiler.slope(node.definition(), by, depth)
    for kind in type(node).__mro__:
        if kind in _SLOPES:
            found: Compiled | None = _SLOPES[kind](compiler, node, by, field)
            return found
    made = None if field.is_exact else field.slope_of_function(compiler, node, by)
    if made is None:
        raise CheckError(f"the derivative of {type(node).__name__} has no exact value here: {node}")
    return made


def _slope_of_entry(compiler: Compiler, node: Entry, by: Parameter, field: Any) -> Compiled:
    places = [compiler.place(i) for i in node.indices]
    one, zero = field.number(1), field.number(0)
    if by.symmetric:
        a, b = places
        return lambda env: one if tuple(sorted((env[a], env[b]))) == env[BY] else zero
    return lambda env: one if tuple([env[place] for place in places]) == env[BY] else zero


def _slope_of_sum(compiler: Compiler, node: Add, by: Parameter, field: Any) -> Compiled | None:
    slopes = [slope for term in node.args if (slope := compiler.slope(term, by, field.depth)) is not None]
    return _only(slopes) or (field.sum(slopes) if slopes else None)


def _slope_of_product(compiler: Compiler, node: Mul, by: Parameter, field: Any) -> Compiled | None:
    terms = []
    for place, factor in enumerate(node.args):
        slope = compiler.slope(factor, by, field.depth)
        if slope is not None:
            others = (*node.args[:place], *node.args[place + 1 :])
            terms.append(field.product([*(compiler.value(other, field.depth) for other in others), slope]))
    return _only(terms) or (field.sum(terms) if terms else None)


def _slope_of_power(compiler: Compiler, node: Pow, by: Parameter, field: Any) -> Compiled | None:
    slope = compiler.slope(node.base, by, field.depth)
    if slope is None:
        return None
    lower = Pow(node.base, node.exp - 1)
    return field.product([compiler.value(node.exp, field.depth), compiler.value(lower, field.depth), slope])


def _slope_of_exponential(compiler: Compiler, node: exp, by: Parameter, field: Any) -> Compiled | None:
    slope = compiler.slope(node.args[0], by, field.depth)
    return None if slope is None else field.product([compiler.value(node, field.depth), slope])


def _slope_of_logarithm(compiler: Compiler, node: log, by: Parameter, field: Any) -> Compiled | None:
    slope = compiler.slope(node.args[0], by, field.depth)
    return None if slope is None else field.product([slope, field.inverse(compiler.value(node.args[0], field.depth))])


def _slope_of_probability(compiler: Compiler, node: Probability, by: Parameter, field: Any) -> Compiled | None:
    return compiler.slope(Mul(node.numerator(), Pow(node.normaliser(), -1), evaluate=False), by, field.depth)


def _no_second_derivative(compiler: Compiler, node: Derivative, by: Parameter, field: Any) -> None:
    raise CheckError("a derivative of a derivative has no exact value here.")


def _slope_of_index_sum(compiler: Compiler, node: IndexSum, by: Parameter, field: Any) -> Compiled | None:
    slope = compiler.slope(node.body, by, field.depth)
    return None if slope is None else over_indices(compiler, node.indices, field.sum_over, slope)


def _slope_of_index_product(compiler: Compiler, node: IndexProduct, by: Parameter, field: Any) -> Compiled | None:
    slope = compiler.slope(node.body, by, field.depth)
    if slope is None:
        return None
    (index,) = node.indices
    slot, places = compiler.name(index), places_of(index.layer)
    value, one, reduced = compiler.value(node.body, field.depth), field.number(1), field.reduced

    def slope_of_product(env: Environment) -> Any:
        before, product, result = env[slot], one, 0 * one
        for place in places(env):
            env[slot] = place
            factor = value(env)
            result = reduced(result * factor + product * slope(env))
            product = reduced(product * factor)
        env[slot] = before
        return result

    return slope_of_product


def _slope_of_config_sum(compiler: Compiler, node: ConfigSum, by: Parameter, field: Any) -> Compiled | None:
    slope = compiler.slope(node.body, by, field.depth)
    return None if slope is None else over_configurations(compiler, node, field, slope)


def _slope_of_unit_sum(compiler: Compiler, node: UnitSum, by: Parameter, field: Any) -> Compiled | None:
    return over_states(compiler, node, field, lambda: compiler.slope(node.body, by, field.depth))


def _slope_of_site_energy(compiler: Compiler, node: SiteEnergy, by: Parameter, field: Any) -> Compiled | None:
    return at_site(compiler, node, lambda: compiler.slope(node.function(), by, field.depth))


def _slope_of_defined(compiler: Compiler, node: StableFunction, by: Parameter, field: Any) -> Compiled | None:
    evaluate = compiler.slope(node.definition(), by, field.depth)
    inner = compiler.slope(node.args[-1], by, field.depth)
    if evaluate is None or inner is None:
        return evaluate

    def limit(env: Environment) -> Any:
        found = limit_of(node)
        slope = found.slope / found.value if found.of_logarithm else found.slope
        return field.reduced(field.number(slope) * inner(env))

    return at_limits(compiler, node, field, evaluate, limit)


def _only(evaluators: Sequence[Compiled]) -> Compiled | None:
    return evaluators[0] if len(evaluators) == 1 else None


_SLOPES: dict[type, Callable[[Compiler, Any, Parameter, Any], Compiled | None]] = {
    Add: _slope_of_sum,
    Mul: _slope_of_product,
    Pow: _slope_of_power,
    exp: _slope_of_exponential,
    log: _slope_of_logarithm,
    tanh: lambda compiler, node, by, field: compiler.slope(spelt_tanh(node), by, field.depth),
    Entry: _slope_of_entry,
    IndexSum: _slope_of_index_sum,
    IndexProduct: _slope_of_index_product,
    ConfigSum: _slope_of_config_sum,
    UnitSum: _slope_of_unit_sum,
    Derivative: _no_second_derivative,
    Probability: _slope_of_probability,
    SiteEnergy: _slope_of_site_energy,
}
