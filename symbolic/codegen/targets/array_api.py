"""Straight-line code for any array library that follows the array API standard: NumPy, PyTorch, CuPy, …

The functions are those of the NumPy target, with the standard's spelling. Random bits come in from outside, as an
array of uniform numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from symbolic.codegen.ir import Axis, Contract, Draw, Node, Sample, Uniform
from symbolic.codegen.lower import CALLED
from symbolic.codegen.passes import as_matmul
from symbolic.codegen.program import Function, Program
from symbolic.codegen.runtime import array_api
from symbolic.codegen.targets.numpy import PLACES, SUMS, Body
from symbolic.codegen.targets.source import BY_PLACES, Dialect, Text, constants, header, imports, is_size, runtime_names

__all__ = ["emit"]

_OWN = (
    "LogSumExp",
    "configurations",
    "diagonal",
    "draw",
    "einsum",
    "namespace",
    "repeated",
)


def emit(program: Program) -> str:
    """The source of the module."""
    program = _served(program)
    text = "\n\n\n".join(_Body(_with_uniforms(function), program).source() for function in program.functions)
    imported = imports(
        {
            "array_api": ((*_OWN, *runtime_names(program)), text),
            "vectors": (PLACES, text),
            "sums": (SUMS, text),
        }
    )
    parts = [
        header(program, "Kernels, for arrays that follow the array API standard, of the energy"),
        "\n".join(imported),
        constants(program, "array-api"),
    ]
    return "\n\n".join(parts) + "\n\n\n" + text + "\n"


def _served(program: Program) -> Program:
    """The program without the functions whose samplers the standard does not suffice for."""
    refused = dict(program.refused)
    for function in program.functions:
        for sampler in sorted(function.samplers):
            if sampler not in BY_PLACES and not hasattr(array_api, f"draw_{sampler}"):
                refused[function.name] = (
                    f'units with the sampler {sampler!r} cannot be drawn with the target "array-api", whose functions '
                    'do not suffice for it; use "numpy" or "numba".'
                )
    functions = tuple(function for function in program.functions if function.name not in refused)
    return replace(program, functions=functions, refused=refused)


def _with_uniforms(function: Function) -> Function:
    """Uniform numbers in place of the key and the number of the first row."""
    if not function.draws:
        return function
    place = function.arguments.index("key")
    name = "uniform" if any(isinstance(node, Draw) for _, node in function.outputs) else "fine_uniform"
    arguments = (*function.arguments[:place], name, *function.arguments[place + 2 :])
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

    def contraction(
        self,
        node: Contract,
        printed: Callable[[Node], str],
        arrays: dict[str, tuple[str, ...]],
        site: Axis | None = None,
    ) -> Text:
        product = as_matmul(node)
        if product is not None and not product.is_plain:
            return self._einsum(node, printed)
        return super().contraction(node, printed, arrays, site)

    def diagonal(self, letters: str, kept: str, array: str) -> Text:
        return Text(f'diagonal("{letters}", {array})')

    def einsum(self, subscripts: str, operands: list[str]) -> Text:
        return Text(f'einsum("{subscripts}", {", ".join(operands)})')

    def total(self, text: Text, axis: int) -> Text:
        return Text(f"xp.sum({text.source}, axis={axis})")


_FUNCTIONS = {
    "exp": "xp.exp",
    "log": "xp.log",
    "sqrt": "xp.sqrt",
    "tanh": "xp.tanh",
    "cos": "xp.cos",
    "sin": "xp.sin",
    **CALLED,
}


class _Body(Body):
    dialect = _Dialect()
    functions = _FUNCTIONS
    streams = "uniform"
    taken = ("xp", "total", "uniform", "fine_uniform", *_OWN, *SUMS, *PLACES, *CALLED.values())

    def _begin(self) -> None:
        pass

    def _finish(self) -> None:
        if any("xp." in line for line in self.lines):
            arrays = (name for name in self.shapes if not is_size(name, self.program))
            self.lines.insert(0, f"    xp = namespace({', '.join(arrays)})")

    def _copied(self, name: str) -> str:
        return f"repeated({name}, {name}.shape, {name})"

    def _drawn_at(self, root: Node, index: str) -> str:
        self.streams = f"{self._numbers()}[:, {self.one}]"
        return self._computed(root).source

    def _randomness(self) -> str:
        return f"The numbers in {self._numbers()}, shaped like the states and between 0 and 1, decide the draws."

    def _repeated(self, text: Text, shape: str) -> Text:
        return Text(f"repeated({text.source}, {shape}, {self._some_array()})")

    def _drawn(self, mean: Text, node: Draw) -> Text:
        return Text(f"draw({mean.source}, {self.streams}, {node.low}, {node.high})")

    def _numbers(self) -> str:
        return "fine_uniform" if "fine_uniform" in self.function.arguments else "uniform"

    def _uniform(self, node: Uniform) -> Text:
        return Text(self.streams if self.site else self._numbers())

    def _sampled(self, node: Sample, args: list[Text]) -> Text:
        numbers = self.streams if self.site else self._numbers()
        return Text(f"draw_{node.sampler}({', '.join([numbers, *(arg.source for arg in args)])})")

    def _enumeration(self, layers: str) -> str:
        return f"configurations({layers}, {self._some_array()})"
