"""How large the terms are that a line adds up, beside which rounding may be seen.

Two real numbers that should be equal differ by what was lost where large terms cancel. The magnitude of an expression
is its value with every term of every sum taken by its size: beside it, the loss is of the order of the last digit.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import reduce
from typing import Any

from sympy import Add, Derivative, Expr, Function, Mul, Pow, exp, log

from symbolic.check.compiler import DEFINED, Compiler
from symbolic.check.environment import Compiled
from symbolic.check.values import over_configurations, over_indices, over_states
from symbolic.language.binders import ConfigSum, IndexProduct, IndexSum, UnitSum
from symbolic.language.functions import StableFunction
from symbolic.units import lookup

__all__ = ["magnitude"]


def magnitude(compiler: Compiler, node: Any) -> Compiled:
    """Return the magnitude of an expression in real numbers.

    Raises:
        CheckError: the expression has no value in them.
    """
    if isinstance(node, DEFINED) and not isinstance(node, StableFunction):
        return magnitude(compiler, node.definition())
    for kind in type(node).__mro__:
        if kind in _MAGNITUDES:
            return _MAGNITUDES[kind](compiler, node)
    return _size(compiler, node)


def _size(compiler: Compiler, node: Expr) -> Compiled:
    value = compiler.value(node)
    return lambda env: abs(value(env))


def _sum(compiler: Compiler, node: Add) -> Compiled:
    return compiler.top.sum([magnitude(compiler, term) for term in node.args])


def _product(compiler: Compiler, node: Mul) -> Compiled:
    return compiler.top.product([magnitude(compiler, factor) for factor in node.args])


def _power(compiler: Compiler, node: Pow) -> Compiled:
    if node.exp.is_Integer and node.exp > 0:
        return compiler.top.whole_power(magnitude(compiler, node.base), int(node.exp))
    return _size(compiler, node)


def _exponential(compiler: Compiler, node: exp) -> Compiled:
    """Return e^x (1 + |x|), since what x has lost multiplies e^x."""
    value, inner = compiler.value(node), magnitude(compiler, node.args[0])
    return lambda env: value(env) * (1 + inner(env))


def _logarithm(compiler: Compiler, node: log) -> Compiled:
    value, argument, inner = compiler.value(node), compiler.value(node.args[0]), magnitude(compiler, node.args[0])
    return lambda env: abs(value(env)) + inner(env) / argument(env)


def _function(compiler: Compiler, node: Function) -> Compiled:
    """Return |f(x)| + |x|: the functions of the language have slopes of about one at most."""
    value, inner = compiler.value(node), [magnitude(compiler, argument) for argument in node.args]
    return lambda env: abs(value(env)) + reduce(max, [part(env) for part in inner], Decimal(0))


def _derivative(compiler: Compiler, node: Derivative) -> Compiled:
    value, inner = compiler.value(node), magnitude(compiler, node.expr)
    return lambda env: abs(value(env)) + inner(env)


def _index_sum(compiler: Compiler, node: IndexSum) -> Compiled:
    return over_indices(compiler, node.indices, compiler.top.sum_over, magnitude(compiler, node.body))


def _index_product(compiler: Compiler, node: IndexProduct) -> Compiled:
    return over_indices(compiler, node.indices, compiler.top.product_over, magnitude(compiler, node.body))


def _config_sum(compiler: Compiler, node: ConfigSum) -> Compiled:
    return over_configurations(compiler, node, compiler.top, magnitude(compiler, node.body))


def _unit_sum(compiler: Compiler, node: UnitSum) -> Compiled:
    if not lookup(node.state.layer.unit).is_finite:
        return _size(compiler, node)  # the integral of a size, which has corners, takes seconds
    found = over_states(compiler, node, compiler.top, lambda: _size(compiler, node.body))
    assert found is not None
    return found


_MAGNITUDES: dict[type, Callable[[Compiler, Any], Compiled]] = {
    Add: _sum,
    Mul: _product,
    Pow: _power,
    exp: _exponential,
    log: _logarithm,
    Function: _function,
    Derivative: _derivative,
    IndexSum: _index_sum,
    IndexProduct: _index_product,
    ConfigSum: _config_sum,
    UnitSum: _unit_sum,
}
