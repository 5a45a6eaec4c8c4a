"""Straight-line NumPy: one assignment for each array that is used more than once or deserves a name."""

from __future__ import annotations

from symbolic.codegen.functions import Function, Program
from symbolic.codegen.ir import Configurations, Const, Contract, Draw, Load, Map, Node, Reduce, Size, walk
from symbolic.codegen.source import (
    ATOM,
    DRAWS,
    NEG,
    Dialect,
    Names,
    Text,
    arithmetic,
    constants,
    count_uses,
    docstring,
    enumerated,
    header,
    imported,
    length,
    returned,
    shapes,
    suggested_name,
)

__all__ = ["Body", "emit"]

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
    functions = [Body(function, program).source() for function in program.functions]
    text = "\n\n\n".join(functions)
    imports = ["import numpy as np", ""]
    for module, names in (("runtime", _SHARED), ("runtime_numpy", _OWN)):
        used = [name for name in names if f"{name}(" in text]
        if used:
            imports.append(imported(f"symbolic.codegen.{module}", used))
    parts = [
        header(program, "NumPy kernels of the energy"),
        "\n".join(imports),
        constants(program, "numpy"),
    ]
    return "\n\n".join(parts) + "\n\n\n" + text + "\n"


class Body:
    """One function, printed as straight-line code."""

    dialect = Dialect()
    functions = _FUNCTIONS
    taken: tuple[str, ...] = ("np", "streams", "total", *_SHARED, *_OWN)

    def __init__(self, function: Function, program: Program):
        self.function = function
        self.program = program
        self.roots = tuple(node for _, node in function.outputs)
        self.uses = count_uses(self.roots)
        # What people call a field: a product that a named function is applied to.
        self.fields = {
            node.args[0]
            for node in walk(*self.roots)
            if isinstance(node, Map) and node.function in _FUNCTIONS and isinstance(node.args[0], Contract)
        }
        self.names = Names({*function.arguments, *self.taken})
        self.known: dict[Node, str] = {}
        self.lines: list[str] = []
        self.indent = "    "
        self.shapes = shapes(function, program)

    def source(self) -> str:
        function = self.function
        self._begin()
        wanted = dict(zip(self.roots, (name for name, _ in function.outputs), strict=True))
        results = []
        for name, node in function.outputs:
            if len(wanted) > 1 and isinstance(node, Draw):
                self._assign(node, self.names.new(name))
            if len(node.axes) > 2 and node not in self.known:
                self._assign(node, self.names.new(f"phase_{name}"))
            results.append(self._text(node).source)
        for line in returned(function, results):
            self._line(line)
        self._finish()
        signature = f"def {function.name}({', '.join(function.arguments)}):"
        return "\n".join([signature, *docstring(function, self.program, self._randomness()), *self.lines])

    # What another array library says differently.

    def _begin(self) -> None:
        if self.function.draws:
            rows = self.function.arguments[0]
            self._line(f"streams = row_streams(key, first_row, len({rows}))")

    def _finish(self) -> None:
        """A last look at the lines."""

    def _randomness(self) -> str:
        return DRAWS

    def _repeated(self, text: Text, shape: str) -> Text:
        return Text(f"np.broadcast_to({text.source}, {shape}).copy()")

    def _drawn(self, mean: Text, node: Draw) -> Text:
        return Text(f"draw({mean.source}, streams, {node.low}, {node.high})")

    def _enumeration(self, layers: str) -> tuple[str, str]:
        """What adds up the sum, and what gives the blocks of configurations."""
        return "LogSumExp()", f"configurations({layers}, {self._some_array()}.dtype)"

    # What is the same for all.

    def _line(self, text: str) -> None:
        self.lines.append(self.indent + text)

    def _some_array(self) -> str:
        return next(iter(self.shapes))

    def _assign(self, node: Node, name: str) -> str:
        text = self._computed(node)
        self._line(f"{name} = {text.source}")
        self.known[node] = name
        return name

    def _text(self, node: Node) -> Text:
        if node in self.known:
            return Text(self.known[node])
        if self._deserves_name(node):
            return Text(self._assign(node, self.names.new(self._wish(node))))
        return self._computed(node)

    def _wish(self, node: Node) -> str:
        name = suggested_name(node)
        return name.replace("product", "field") if node in self.fields else name

    def _deserves_name(self, node: Node) -> bool:
        if isinstance(node, (Load, Configurations, Const, Size)):
            return False
        units = any(axis.layer for axis in node.axes)
        field = units and ((isinstance(node, Map) and node.function == "add") or node in self.fields)
        field = field or (isinstance(node, Contract) and any(len(arg.axes) > 2 for arg in node.args))
        return self.uses[node] > 1 or (field and (node not in self.roots or len(node.axes) > 2))

    def _name(self, node: Node) -> str:
        """The source of an operand of a matrix product: an argument, or an array assigned before."""
        if isinstance(node, (Load, Configurations)):
            return self.dialect.load(node).source
        if node not in self.known and not isinstance(node, Contract):
            self._assign(node, self.names.new(self._wish(node)))
        return self._text(node).within(ATOM)

    def _computed(self, node: Node) -> Text:
        match node:
            case Load() | Configurations():
                return self.dialect.load(node)
            case Const(value=value):
                return _number(value)
            case Size(layer=layer):
                return Text(length(layer, self.shapes))
            case Contract():
                return self.dialect.contraction(node, self._name, self.shapes)
            case Map():
                return self._map(node)
            case Reduce(operation="sum", arg=arg, over=over):
                return self.dialect.total(self._text(arg), arg.axes.index(over))
            case Reduce():
                return self._log_sum_exp(node)
            case Draw(mean=mean):
                return self._drawn(self._text(mean), node)
        raise AssertionError(node)

    def _map(self, node: Map) -> Text:
        texts = [self.dialect.aligned(self._text(arg), arg.axes, node.axes) for arg in node.args]
        if node.function == "copy":
            shape = ", ".join(length(axis.layer, self.shapes) for axis in node.axes)
            return self._repeated(texts[0], f"({shape},)")
        if texts and node.function in self.functions:
            return Text(f"{self.functions[node.function]}({texts[0].source})")
        text = arithmetic(node, texts)
        assert text is not None
        return text

    def _log_sum_exp(self, node: Reduce) -> Text:
        layers = enumerated(node.arg)
        sizes = ", ".join(f"({length(c.layer, self.shapes)}, {c.states})" for c in layers)
        names = ", ".join(c.layer for c in layers)
        targets = f"({names},)" if len(layers) == 1 else names
        total, blocks = self._enumeration(f"({sizes},)")
        self._line(f"total = {total}")
        self._line(f"for {targets} in {blocks}:")
        outer, self.indent = self.indent, self.indent + "    "
        exponent = self._text(node.arg)
        self._line(f"total.add({exponent.source})")
        self.indent = outer
        return Text("total.value")


def _number(value: float) -> Text:
    whole = value == int(value) and abs(value) < 2**53
    text = str(int(value)) if whole else repr(value)
    return Text(text, NEG if value < 0 else ATOM)
