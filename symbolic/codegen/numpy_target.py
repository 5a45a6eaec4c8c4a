"""Straight-line NumPy: one assignment for each array that is used more than once or deserves a name."""

from __future__ import annotations

from symbolic.codegen.functions import Function, Program
from symbolic.codegen.ir import Configurations, Const, Contract, Draw, Load, Map, Node, Reduce, Size
from symbolic.codegen.source import (
    ATOM,
    NEG,
    Names,
    Text,
    aligned,
    arithmetic,
    constants,
    contraction,
    count_uses,
    docstring,
    enumerated,
    header,
    length,
    load,
    shapes,
    suggested_name,
)

__all__ = ["emit"]

_FUNCTIONS = {
    "exp": "np.exp",
    "log": "np.log",
    "sqrt": "np.sqrt",
    "tanh": "np.tanh",
    "softplus": "softplus",
    "sigmoid": "sigmoid",
    "log2cosh": "log2cosh",
}
_SHARED = ("LogSumExp", "configurations", "row_streams")
_OWN = ("draw", "log2cosh", "sigmoid", "softplus")


def emit(program: Program) -> str:
    """The source of the module."""
    functions = [_Body(function, program).source() for function in program.functions]
    text = "\n\n\n".join(functions)
    imports = ["import numpy as np", ""]
    for module, names in (("runtime", _SHARED), ("runtime_numpy", _OWN)):
        used = [name for name in names if f"{name}(" in text]
        if used:
            imports.append(f"from symbolic.codegen.{module} import {', '.join(used)}")
    parts = [
        header(program, "NumPy kernels of the energy"),
        "\n".join(imports),
        constants(program, "numpy"),
    ]
    return "\n\n".join(parts) + "\n\n\n" + text + "\n"


class _Body:
    """One function, printed."""

    def __init__(self, function: Function, program: Program):
        self.function = function
        self.program = program
        self.roots = tuple(node for _, node in function.outputs)
        self.uses = count_uses(self.roots)
        self.names = Names({*function.arguments, "np", "streams", "phase", "total", *_SHARED, *_OWN})
        self.known: dict[Node, str] = {}
        self.lines: list[str] = []
        self.indent = "    "
        self.shapes = shapes(function, program)

    def source(self) -> str:
        function = self.function
        if function.draws:
            rows = function.arguments[0]
            self.lines.append(f"{self.indent}streams = row_streams(key, first_row, len({rows}))")
        wanted = dict(zip(self.roots, (name for name, _ in function.outputs), strict=True))
        results = []
        for name, node in function.outputs:
            if len(wanted) > 1 and isinstance(node, Draw):
                self._assign(node, self.names.new(name))
            results.append(self._text(node).source)
        self.lines.append(f"{self.indent}return {_returned(function, results)}")
        signature = f"def {function.name}({', '.join(function.arguments)}):"
        return "\n".join([signature, *docstring(function, self.program), *self.lines])

    def _assign(self, node: Node, name: str) -> str:
        text = self._computed(node)
        self.lines.append(f"{self.indent}{name} = {text.source}")
        self.known[node] = name
        return name

    def _text(self, node: Node) -> Text:
        if node in self.known:
            return Text(self.known[node])
        if self._deserves_name(node):
            return Text(self._assign(node, self.names.new(suggested_name(node))))
        return self._computed(node)

    def _deserves_name(self, node: Node) -> bool:
        if isinstance(node, (Load, Configurations, Const, Size)):
            return False
        field = isinstance(node, Map) and node.function == "add" and any(axis.layer for axis in node.axes)
        return self.uses[node] > 1 or (field and node not in self.roots)

    def _name(self, node: Node) -> str:
        """The source of an operand of a matrix product: an argument, or an array assigned before."""
        if isinstance(node, (Load, Configurations)):
            return load(node).source
        if node not in self.known and not isinstance(node, Contract):
            self._assign(node, self.names.new(suggested_name(node)))
        return self._text(node).within(ATOM)

    def _computed(self, node: Node) -> Text:
        match node:
            case Load() | Configurations():
                return load(node)
            case Const(value=value):
                return _number(value)
            case Size(layer=layer):
                return Text(length(layer, self.shapes))
            case Contract():
                return contraction(node, self._name)
            case Map():
                return self._map(node)
            case Reduce(operation="sum", arg=arg, over=over):
                return Text(f"{self._text(arg).within(ATOM)}.sum(axis={arg.axes.index(over)})")
            case Reduce():
                return self._log_sum_exp(node)
            case Draw(mean=mean, low=low, high=high):
                return Text(f"draw({self._text(mean).source}, streams, {low}, {high})")
        raise AssertionError(node)

    def _map(self, node: Map) -> Text:
        texts = [aligned(self._text(arg), arg.axes, node.axes) for arg in node.args]
        if node.function == "copy":
            shape = ", ".join(length(axis.layer, self.shapes) for axis in node.axes)
            return Text(f"np.broadcast_to({texts[0].source}, ({shape},)).copy()")
        if texts and node.function in _FUNCTIONS:
            return Text(f"{_FUNCTIONS[node.function]}({texts[0].source})")
        text = arithmetic(node, texts)
        assert text is not None
        return text

    def _log_sum_exp(self, node: Reduce) -> Text:
        layers = enumerated(node.arg)
        parameter = next(name for name in self.program.parameters if name in self.function.arguments)
        sizes = ", ".join(f"({length(c.layer, self.shapes)}, {c.states})" for c in layers)
        names = ", ".join(c.layer for c in layers)
        targets = f"({names},)" if len(layers) == 1 else names
        self.lines.append(f"{self.indent}total = LogSumExp()")
        self.lines.append(f"{self.indent}for {targets} in configurations(({sizes},), {parameter}.dtype):")
        outer, self.indent = self.indent, self.indent + "    "
        exponent = self._text(node.arg)
        self.lines.append(f"{self.indent}total.add({exponent.source})")
        self.indent = outer
        return Text("total.value")


def _number(value: float) -> Text:
    whole = value == int(value) and abs(value) < 2**53
    text = str(int(value)) if whole else repr(value)
    return Text(text, NEG if value < 0 else ATOM)


def _returned(function: Function, results: list[str]) -> str:
    phases = ", ".join(
        f'"{name}": {text}' for name, text in zip(function.phases, results[: len(function.phases)], strict=True)
    )
    rest = results[len(function.phases) :]
    return ", ".join(([f"{{{phases}}}"] if function.phases else []) + rest)
