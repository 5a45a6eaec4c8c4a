"""The evaluator: expressions compiled by the rules of values and slopes."""

from __future__ import annotations

from typing import Any

from sympy import Expr

from symbolic.check import slopes, values
from symbolic.check.compiler import Compiler
from symbolic.check.environment import Compiled
from symbolic.language.parameters import Parameter

__all__ = ["Evaluator"]


class Evaluator(Compiler):
    """Expressions compiled to their values, to e to their values, and to their derivatives.

    Derivatives follow the rules of differentiation, node by node; SymPy's ``diff`` is not used.
    """

    def compile_value(self, node: Expr, field: Any) -> Compiled:
        return values.value(self, node, field)

    def compile_exp(self, node: Expr, field: Any) -> Compiled:
        return values.exp_of(self, node, field)

    def compile_slope(self, node: Expr, by: Parameter, field: Any) -> Compiled | None:
        return slopes.slope(self, node, by, field)
