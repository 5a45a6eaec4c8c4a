"""Straight-line NumPy: one assignment for each array that is used more than once or deserves a name."""

from __future__ import annotations

from symbolic.codegen.ir import (
    Axis,
    Configurations,
    Const,
    Contract,
    Draw,
    Equal,
    Load,
    LogBase,
    Map,
    Node,
    OneHot,
    Reduce,
    Sample,
    Size,
    Uniform,
    children,
    walk,
)
from symbolic.codegen.lower import CALLED, CONFIGURATION, ROW
from symbolic.codegen.program import Condition, Function, Program
from symbolic.codegen.targets.source import (
    ATOM,
    BY_PLACES,
    DRAWS,
    NEG,
    Dialect,
    Names,
    Text,
    arithmetic,
    base_constant,
    constants,
    count_uses,
    docstring,
    enumerated,
    folded,
    header,
    imports,
    length,
    returned,
    runtime_names,
    shapes,
    states_text,
    suggested_name,
)
from symbolic.codegen.targets.sweep import Tracked, planned

__all__ = ["PLACES", "SUMS", "Body", "before_enumeration", "emit"]

_FUNCTIONS = {
    "exp": "np.exp",
    "log": "np.log",
    "sqrt": "np.sqrt",
    "tanh": "np.tanh",
    "cos": "np.cos",
    "sin": "np.sin",
    **CALLED,
}
_SHARED = ("LogSumExp", "configurations", "row_streams")
# A result that is longer gets a line of its own.
_LONG = 88
PLACES = ("draw_heisenberg", "draw_label", "log_sum_exp", "one_hot")
SUMS = ("RowLogSumExp", "as_states", "identity", "log_base", "positive", "unit_streams")


def emit(program: Program) -> str:
    """The source of the module."""
    functions = [Body(function, program).source() for function in program.functions]
    text = "\n\n\n".join(functions)
    imported = imports(
        {
            "streams": (_SHARED, text),
            "numpy": (("draw", *runtime_names(program)), text),
            "vectors": (PLACES, text),
            "sums": (SUMS, text),
        }
    )
    parts = [
        header(program, "NumPy kernels of the energy"),
        "\n".join(["import numpy as np", "", *imported]),
        constants(program, "numpy"),
    ]
    return "\n\n".join(parts) + "\n\n\n" + text + "\n"


class Body:
    """One function, printed as straight-line code."""

    dialect = Dialect()
    streams = "streams"
    one = "one"
    functions = _FUNCTIONS
    taken: tuple[str, ...] = ("np", "streams", "total", "draw", *_SHARED, *SUMS, *PLACES, *CALLED.values())

    def __init__(self, function: Function, program: Program):
        self.function = function
        self.program = program
        self.roots = tuple(node for _, node in function.outputs)
        self.uses = count_uses((*self.roots, *(condition.node for condition in function.conditions)))
        # What people call a field: a product that a named function is applied to.
        self.fields = {
            node.args[0]
            for node in walk(*self.roots)
            if isinstance(node, Map) and node.function in _FUNCTIONS and isinstance(node.args[0], Contract)
        }
        self.names = Names({*function.arguments, *program.layers, *self.taken})
        self.known: dict[Node, str] = {}
        self.lines: list[str] = []
        self.indent = "    "
        self.shapes = shapes(function, program)
        # The axis of the unit that a sweep has come to: arrays are cut to that unit along it.
        self.site: Axis | None = None

    def source(self) -> str:
        function = self.function
        self._begin()
        for condition in function.conditions:
            if not _is_enumerated(condition):
                self._check(condition)
        if function.sweep:
            self._sweep()
        wanted = dict(zip(self.roots, (name for name, _ in function.outputs), strict=True))
        results = []
        for name, node in function.outputs:
            if len(wanted) > 1 and isinstance(node, (Draw, Sample)):
                self._assign(node, self.names.new(name))
            wish = f"phase_{name}" if name in function.phases else name
            if len(node.axes) > 2 and node not in self.known:
                self._assign(node, self.names.new(wish))
            text = self._text(node).source
            if len(text) > _LONG:
                self.known[node] = self.names.new(wish)
                self._line(f"{self.known[node]} = {text}")
                text = self.known[node]
            results.append(text)
        for line in returned(function, results):
            self._line(line)
        self._finish()
        signature = f"def {function.name}({', '.join(function.arguments)}):"
        return "\n".join([signature, *docstring(function, self.program, self._randomness()), *self.lines])

    def _check(self, condition: Condition) -> None:
        self._line(f"positive({self.text(condition.node)}, *{condition.name})")

    def text(self, node: Node) -> str:
        """The source of a node; what deserves a name is assigned in the lines before."""
        return self._text(node).source

    def _sweep(self) -> None:
        """Draw the units of a layer one after the other, for all rows at once."""
        (root,) = self.roots
        plan = planned(root, self.function.sweep)
        self.uses = count_uses((plan.draw,))
        for node in plan.before:
            if node not in self.known:
                self._assign(node, self.names.new(self._wish(node)))
        self._line(f"{plan.layer} = {self._copied(plan.layer)}")
        for tracked in plan.tracked:
            self._assign(tracked.product, self.names.new(self._wish(tracked.product)))
        index = self.names.new("i")
        one = self.names.new("one")
        self._line(f"for {index} in range({plan.layer}.shape[1]):")
        self.indent += "    "
        self._line(f"{one} = slice({index}, {index} + 1)")
        self._cut(plan.axis, one)
        here = f"{plan.layer}[:, {one}]"
        value = self._drawn_at(plan.draw, index)
        if plan.tracked:
            change = self.names.new("change")
            self._line(f"{change} = {value} - {here}")
            self._line(f"{here} += {change}")
            for tracked in plan.tracked:
                other = self._computed(tracked.change)
                self._line(f"{self.known[tracked.product]} += {self._outer(change, other, tracked)}")
        else:
            self._line(f"{here} = {value}")
        self.indent = self.indent[4:]
        self.known = {root: plan.layer}

    def _cut(self, axis: Axis, one: str) -> None:
        self.site, self.one = axis, one
        for node, name in self.known.items():
            self.known[node] = self._at_site(Text(name), node.axes).source

    def _at_site(self, text: Text, axes: tuple[Axis, ...]) -> Text:
        if self.site not in axes:
            return text
        index = ", ".join(self.one if axis == self.site else ":" for axis in axes)
        return Text(f"{text.source}[{index}]")

    def _outer(self, change: str, other: Text, tracked: Tracked) -> str:
        """The change of one unit, times what it is multiplied by, over the axes of the product."""
        assert self.site is not None
        if tracked.change.axes == (self.site, *tracked.product.axes[1:]):
            return f"{change} @ {other.source}"
        if tracked.change.axes == (*tracked.product.axes[1:], self.site):
            return f"{change} @ {other.source}.T"
        axes = (ROW, self.site)
        loads = (Load(axes, change, "change", axes), tracked.change)
        return self.dialect.contraction(
            Contract(tracked.product.axes, loads),
            lambda node: change if node is loads[0] else other.source,
            self.shapes,
            self.site,
        ).source

    # What another array library says differently.

    def _copied(self, name: str) -> str:
        return f"{name}.copy()"

    def _drawn_at(self, root: Node, index: str) -> str:
        at = self.names.new("at")
        self._line(f"{at} = unit_streams(streams, {index})")
        self.streams = at
        return self._computed(root).source

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
        return Text(f"draw({mean.source}, {self.streams}, {node.low}, {node.high})")

    def _uniform(self, node: Uniform) -> Text:
        unit = node.axes[-1]
        size = "1" if unit == self.site else length(unit.layer, self.shapes)
        return Text(f"fine_uniform({self.streams}, {size})")

    def _sampled(self, node: Sample, args: list[Text]) -> Text:
        return Text(f"draw_{node.sampler}({', '.join([self.streams, *(arg.source for arg in args)])})")

    def _enumeration(self, layers: str) -> str:
        """What gives the blocks of configurations."""
        return f"configurations({layers}, {self._some_array()}.dtype)"

    # What is the same for all.

    def _line(self, text: str) -> None:
        self.lines += folded(self.indent + text)

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
        if isinstance(node, (Load, Configurations, Const, Size, Equal)):
            return False
        units = any(axis.layer for axis in node.axes)
        field = units and ((isinstance(node, Map) and node.function == "add") or node in self.fields)
        field = field or (isinstance(node, Contract) and any(len(arg.axes) > 2 for arg in node.args))
        return self.uses[node] > 1 or (field and (node not in self.roots or len(node.axes) > 2))

    def _name(self, node: Node) -> str:
        """The source of an operand of a matrix product: an argument, or an array assigned before."""
        if isinstance(node, (Load, Configurations, Equal)):
            return self._computed(node).source
        if node not in self.known and not isinstance(node, Contract):
            self._assign(node, self.names.new(self._wish(node)))
        return self._text(node).within(ATOM)

    def _computed(self, node: Node) -> Text:
        match node:
            case Load() | Configurations():
                return self._at_site(self.dialect.load(node), node.axes)
            case Const(value=value):
                return _number(value)
            case Size(layer=layer):
                return Text(length(layer, self.shapes))
            case Equal(layer=layer):
                known = max(axis.length for axis in node.axes)
                text = self.dialect.equal(node, length(layer, self.shapes, known), self._some_array())
                return self._at_site(text, node.axes)
            case LogBase(arg=arg):
                return Text(f"log_base({arg.layer}, {states_text(arg.states)}, {base_constant(node)})")
            case Contract():
                return self.dialect.contraction(node, self._name, self.shapes, self.site)
            case Map():
                return self._map(node)
            case Reduce(operation="sum", arg=arg, over=over):
                return self.dialect.total(self._text(arg), arg.axes.index(over))
            case Reduce(arg=arg, over=over) if over != CONFIGURATION:
                return Text(f"log_sum_exp({self._text(arg).source})")
            case Reduce():
                return self._log_sum_exp(node)
            case OneHot():
                return one_hot(node, self._text(node.states))
            case Draw(mean=mean):
                return self._drawn(self._text(mean), node)
            case Uniform():
                return self._uniform(node)
            case Sample(sampler="quantile", args=(state,)):
                return Text(f"as_states({self._text(state).source}, {self._some_array()})")
            case Sample(sampler=sampler, args=(array,)) if sampler in BY_PLACES:
                return self._sampled(node, [self._text(array)])
            case Sample(args=args):
                texts = [self.dialect.aligned(self._text(arg), arg.axes, node.axes) for arg in args]
                return self._sampled(node, texts)
        raise AssertionError(node)

    def _map(self, node: Map) -> Text:
        texts = [self.dialect.aligned(self._text(arg), arg.axes, node.axes) for arg in node.args]
        if node.function == "copy":
            if set(node.args[0].axes) == set(node.axes):
                return texts[0]
            sizes = ("1" if axis == self.site else length(axis.layer, self.shapes, axis.length) for axis in node.axes)
            shape = ", ".join(sizes)
            return self._repeated(texts[0], f"({shape},)")
        if texts and node.function in self.functions:
            return Text(f"{self.functions[node.function]}({', '.join(text.source for text in texts)})")
        text = arithmetic(node, texts)
        assert text is not None
        return text

    def _log_sum_exp(self, node: Reduce) -> Text:
        layers = enumerated(node.arg)
        sizes = ", ".join(f"({length(c.layer, self.shapes)}, {states_text(c.states)})" for c in layers)
        names = ", ".join(c.layer for c in layers)
        targets = f"({names},)" if len(layers) == 1 else names
        for part in before_enumeration(node):
            self._assign(part, self.names.new(self._wish(part)))
        self._line(f"total = {'RowLogSumExp' if ROW in node.axes else 'LogSumExp'}()")
        self._line(f"for {targets} in {self._enumeration(f'({sizes},)')}:")
        outer, self.indent = self.indent, self.indent + "    "
        for condition in self.function.conditions:
            if _is_enumerated(condition):
                self._check(condition)
        exponent = self._text(node.arg).source
        if len(exponent) > _LONG:
            self._line(f"exponent = {exponent}")
            exponent = "exponent"
        self._line(f"total.add({exponent})")
        self.indent = outer
        return Text("total.value")


def before_enumeration(node: Reduce) -> list[Node]:
    """What the terms of an enumeration need that is the same for all configurations, and is no argument itself."""
    inside = [part for part in walk(node.arg) if enumerated(part)]
    found = dict.fromkeys(child for part in inside for child in children(part) if not enumerated(child))
    return [part for part in found if ROW in part.axes and not isinstance(part, Load)]


def _is_enumerated(condition: Condition) -> bool:
    return CONFIGURATION in condition.node.axes


def one_hot(node: OneHot, states: Text) -> Text:
    if isinstance(node.label, Axis):
        return Text(f"one_hot({states.source}, {node.labels})")
    return Text(f"one_hot({states.source}, {node.labels})[..., {node.label}]")


def _number(value: float) -> Text:
    whole = value == int(value) and abs(value) < 2**53
    text = str(int(value)) if whole else repr(value)
    return Text(text, NEG if value < 0 else ATOM)
