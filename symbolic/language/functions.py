"""Functions that stand for an exact expression and have a numerically stable form in generated code.

Each carries its meaning in :meth:`definition`, which is what is printed and what the oracle evaluates; the stable form
lives with the code targets. ``softplus(x)`` therefore reads ln(1 + e^x) on a slide and never overflows in a kernel.
"""

from __future__ import annotations

from sympy import Expr, Function, S, exp, log, tanh

__all__ = ["StableFunction", "log2cosh", "sigmoid", "softplus"]


class StableFunction(Function):
    """A named function of one real argument with an exact definition."""

    nargs = 1

    def definition(self) -> Expr:
        """The expression this function abbreviates, in elementary functions."""
        raise NotImplementedError


class softplus(StableFunction):
    """ln(1 + e^x), the log-partition of a binary unit in the field x."""

    def definition(self) -> Expr:
        return log(1 + exp(self.args[0]))

    def fdiff(self, argindex: int = 1) -> Expr:
        return sigmoid(self.args[0])


class sigmoid(StableFunction):
    """σ(x) = e^x / (1 + e^x), the mean of a binary unit in the field x."""

    def definition(self) -> Expr:
        return exp(self.args[0]) / (1 + exp(self.args[0]))

    def fdiff(self, argindex: int = 1) -> Expr:
        return self * (S.One - self)


class log2cosh(StableFunction):
    """ln(e^x + e^{-x}), the log-partition of a spin in the field x."""

    def definition(self) -> Expr:
        return log(exp(self.args[0]) + exp(-self.args[0]))

    def fdiff(self, argindex: int = 1) -> Expr:
        return tanh(self.args[0])
