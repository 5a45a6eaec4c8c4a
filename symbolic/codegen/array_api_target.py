"""Straight-line code for any array library that follows the array API standard: NumPy, PyTorch, CuPy, …

The functions are those of the NumPy target, with the standard's spelling. Random bits come in from outside, as an
array of uniform numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from symbolic.codegen.functions import Function, Program
from symbolic.codegen.ir import Contract, Draw, Node
from symbolic.codegen.numpy_target import Body
from symbolic.codegen.passes import as_matmul
from symbolic.codegen.source import Dialect, Text, constants, header, imported

__all__ = ["emit"]

_OWN = (
    "LogSumExp",
    "configurations",
    "diagonal",
    "draw",
    "einsum",
    "log2cosh",
    "namespace",
    "repeated",
    "sigmoid",
    "softplus",
)


def emit(program: Program) -> str:
    """The source of the module."""
    text = "\n\n\n".join(_Body(_with_uniforms(function), program).source() for function in program.functions)
    used = [name for name in _OWN if re.search(rf"\b{name}\(", text)]
    parts = [
        header(program, "Kernels, for arrays that follow the array API standard, of the energy"),
        imported("symbolic.codegen.runtime_array_api", used),
        constants(program, "array-api"),
    ]
    return "\n\n".join(parts) + "\n\n\n" + text + "\n"


def _with_uniforms(function: Function) -> Function:
    """Uniform numbers in place of the key and the number of the first row."""
    if not function.draws:
        return function
    place = function.arguments.index("key")
    arguments = (*function.arguments[:place], "uniform", *function.arguments[place + 2 :])
    return replace(function, arguments=arguments)


class _Dialect(Dialect):
    def permuted(self, text: Text, order: tuple[int, ...]) -> Text:
        return Text(f"xp.permute_dims({text.source}, ({', '.join(map(str, order))}))")

    def reshaped(self, text: Text, shape: list[str]) -> Text:
        if len(shape) > 1:
            size = f"({', '.join(shape)})"
        else:
            size = shape[0] if shape[0].endswith(".shape") else f"({shape[0]},)"
        return Text(f"xp.reshape({text.source}, {size})")

    def contraction(self, node: Contract, printed: Callable[[Node], str], arrays: dict[str, tuple[str, ...]]) -> Text:
        product = as_matmul(node)
        if product is not None and not product.is_plain:
            return self._einsum(node, printed)
        return super().contraction(node, printed, arrays)

    def diagonal(self, name: str) -> Text:
        return Text(f"diagonal({name})")

    def einsum(self, subscripts: str, operands: list[str]) -> Text:
        return Text(f'einsum("{subscripts}", {", ".join(operands)})')

    def total(self, text: Text, axis: int) -> Text:
        return Text(f"xp.sum({text.source}, axis={axis})")


_FUNCTIONS = {
    "exp": "xp.exp",
    "log": "xp.log",
    "sqrt": "xp.sqrt",
    "tanh": "xp.tanh",
    "softplus": "softplus",
    "sigmoid": "sigmoid",
    "log2cosh": "log2cosh",
}


class _Body(Body):
    dialect = _Dialect()
    functions = _FUNCTIONS
    taken = ("xp", "total", "uniform", *_OWN)

    def _begin(self) -> None:
        pass

    def _finish(self) -> None:
        if any("xp." in line for line in self.lines):
            self.lines.insert(0, f"    xp = namespace({', '.join(self.shapes)})")

    def _randomness(self) -> str:
        return "The numbers in uniform, shaped like the states and between 0 and 1, decide the draws."

    def _repeated(self, text: Text, shape: str) -> Text:
        return Text(f"repeated({text.source}, {shape}, {self._some_array()})")

    def _drawn(self, mean: Text, node: Draw) -> Text:
        return Text(f"draw({mean.source}, uniform, {node.low}, {node.high})")

    def _enumeration(self, layers: str) -> tuple[str, str]:
        return "LogSumExp()", f"configurations({layers}, {self._some_array()})"
