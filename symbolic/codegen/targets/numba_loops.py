"""The compiled loops of the Numba target: one loop nest for all arrays over the same axes that are ready together."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import dataclass, field

from symbolic.codegen.ir import Axis, Configurations, Const, Draw, Equal, Load, Map, Node, Reduce, Sample, Size, Uniform
from symbolic.codegen.lower import CALLED, CONFIGURATION, ROW
from symbolic.codegen.runtime import special
from symbolic.codegen.targets.source import ADD, Names, Text, arithmetic, count_uses, folded, suggested_name
from symbolic.codegen.targets.sweep import Sweep
from symbolic.units import StateValue

__all__ = ["OWN", "Loop", "Loops", "SweepLoop", "neutral_name"]

OWN = ("exp", "log", "sqrt", "tanh", "uniform", "fine_uniform", *CALLED.values())
_CALLS = {**CALLED, "cos": "np.cos", "sin": "np.sin"}
# Functions whose first argument is a whole number: those that call it n or k.
_COUNTED = tuple(
    name for name in special.__all__ if next(iter(inspect.signature(getattr(special, name)).parameters)) in ("n", "k")
)


# Arguments of a draw that are longer get names.
_LONG = 24
# What gets a name of its own within a loop.
_NAMED = ("add", "sigmoid", "tanh", "bose", "exprel_mean", "geomsum_mean", "sinhc_slope")


@dataclass
class Loops:
    """The compiled loops of a module, each written once."""

    by_text: dict[tuple[str, ...], str] = field(default_factory=dict)
    names: Names = field(default_factory=Names)

    def name(self, wish: str, signature: str, body: list[str]) -> str:
        key = (signature, *body)
        if key not in self.by_text:
            self.by_text[key] = self.names.new(wish)
        return self.by_text[key]

    def sources(self) -> list[str]:
        return [
            "\n".join(["@njit(**FUSED)", f"def {name}({signature}):", *itertools.chain(*map(folded, body))])
            for (signature, *body), name in self.by_text.items()
        ]


@dataclass
class _Scope:
    """The statements of one loop, and the names that hold within it."""

    axis: Axis | None
    lines: list[str] = field(default_factory=list)
    known: dict[Node, str] = field(default_factory=dict)


class Loop:
    """One loop nest that computes ``outputs``, all over the same axes, from the arrays ``inputs``.

    ``outputs`` says what each result is called, ``in_place`` which input's memory it takes. Names are neutral
    (``product``, ``bias``), so that the loops of the two layers come out the same.
    """

    def __init__(self, outputs: dict[Node, str], inputs: set[Node], in_place: dict[Node, Node]):
        self.kinds = outputs
        self.outputs = list(outputs)
        self.in_place = in_place
        self.axes = self.outputs[0].axes
        self.inputs = inputs
        self.names = Names({"np", "njit", "real", "t", "c", *OWN})
        self.arguments: dict[object, str] = {}
        self.stack = [_Scope(None)]
        self.axis_names: dict[Axis, str] = {ROW: "t", CONFIGURATION: "c" if ROW in self.axes else "t"}
        self.uses = count_uses(outputs)

    def emit(self) -> tuple[str, str, list[str]]:
        """A wish for the name, the signature and the body."""
        for axis in self.axes:
            self.stack.append(_Scope(axis))
            self._axis(axis)
        for node in [self.in_place[out] for out in self.outputs if out in self.in_place]:
            self._argument(node)
        targets = [self._argument(self.in_place.get(node, ("out", node))) for node in self.outputs]
        values = [self._text(node).source for node in self.outputs]
        if len(self.in_place) > 1:  # a store must not change what a later value still reads
            values = [self._assign(node, value).source for node, value in zip(self.outputs, values, strict=True)]
        stores = list(zip(self.outputs, targets, values, strict=True))
        for _, target, value in sorted(stores, key=lambda store: store[0] in self.in_place):
            self.stack[-1].lines.append(f"{self._entry(target, self.axes)} = {value}")
        body = self._closed()
        if any("real(" in line for line in body):
            body.insert(0, f"    real = {targets[0]}.dtype.type")
        places = [
            f"the {kind.replace('_', ' ')} {'in place of' if node in self.in_place else 'into'} {target}"
            for (node, kind), target in zip(self.kinds.items(), targets, strict=True)
        ]
        summary = ", ".join(places)
        wish = "_" + "_and_".join(self.kinds.values())
        return wish, ", ".join(self.arguments.values()), [f'    """{summary[0].upper()}{summary[1:]}."""', *body]

    def _axis(self, axis: Axis) -> str:
        if axis not in self.axis_names:
            self.axis_names[axis] = self.names.new(self._letter())
        return self.axis_names[axis]

    def _letter(self) -> str:
        return "jklmn"[(len(self.axis_names) - 2) % 5]

    def _argument(self, key: object) -> str:
        if key not in self.arguments:
            self.arguments[key] = self.names.new(_neutral(key))
        return self.arguments[key]

    def _entry(self, name: str, axes: tuple[Axis | int, ...]) -> str:
        index = ", ".join(self._axis(a) if isinstance(a, Axis) else str(a) for a in axes)
        return f"{name}[{index or '()'}]"

    def _scope(self, node: Node) -> _Scope:
        """The innermost loop that runs over an axis of the node."""
        for scope in reversed(self.stack):
            if scope.axis in node.axes:
                return scope
        return self.stack[0]

    def _text(self, node: Node) -> Text:
        for place, scope in enumerate(self.stack):
            # What was computed outside of a loop over one of its axes is not what it is inside.
            if node in scope.known and not any(inner.axis in node.axes for inner in self.stack[place + 1 :]):
                return Text(scope.known[node])
        if node in self.inputs:
            axes = node.index if isinstance(node, (Load, Configurations)) else node.axes
            return Text(self._entry(self._argument(node), axes))
        match node:
            case Const(value=value):
                return Text(f"real({value!r})")
            case Size(layer=layer):
                return Text(f"real({self._argument(('size', layer))})")
            case Reduce(arg=arg, over=over):
                return self._sum(node, arg, over)
            case Draw(mean=mean, low=low, high=high):
                return self._draw(node, mean, low, high)
            case Sample(sampler="quantile", args=(state,)):
                return Text(f"real({self._text(state).source})")
            case Sample(sampler=sampler, args=args):
                return self._sample(node, sampler, args)
            case Uniform():
                return Text(f"fine_uniform({self._stream(node)})")
            case Equal(index=(first, second)):
                places = (self._axis(i) if isinstance(i, Axis) else str(i) for i in (first, second))
                return Text(f"real(1.0) if {' == '.join(places)} else real(0.0)", 0)
        assert isinstance(node, Map)
        if node.function == "copy":
            return self._text(node.args[0])
        texts = [self._text(arg) for arg in node.args]
        if node.function in _COUNTED and isinstance(node.args[0], Const):
            texts[0] = Text(str(int(node.args[0].value)))
        called = f"{_CALLS.get(node.function, node.function)}({', '.join(text.source for text in texts)})"
        text = arithmetic(node, texts) or Text(called)
        named = node.function in _NAMED and any(axis.layer for axis in node.axes)
        if self.uses[node] > 1 or (named and node not in self.outputs):
            return self._assign(node, text.source)
        return text

    def _assign(self, node: Node, source: str) -> Text:
        scope = self._scope(node)
        name = self.names.new(suggested_name(node, with_layer=False))
        scope.lines.append(f"{name} = {source}")
        scope.known[node] = name
        return Text(name)

    def _sum(self, node: Node, arg: Node, over: Axis) -> Text:
        scope = self._scope(node)
        total = self.names.new("total")
        depth = self.stack.index(scope)
        name = self.axis_names.get(over)
        if any(open_.axis == over for open_ in self.stack[: depth + 1]):
            self.axis_names[over] = self.names.new(self._letter())
        outer, self.stack = self.stack, [*self.stack[: depth + 1], _Scope(over)]
        value = self._text(arg).source
        inner = self.stack[-1]
        inner.lines.append(f"{total} += {value}")
        self.stack = outer
        # A float64 accumulator, whatever the arrays hold.
        scope.lines += [f"{total} = 0.0", *self._loop(over, inner.lines)]
        if name is not None:
            self.axis_names[over] = name
        scope.known[node] = total
        return Text(total)

    def _draw(self, node: Node, mean: Node, low: StateValue, high: StateValue) -> Text:
        p = self._text(mean).source
        if not p.isidentifier():
            p = self._assign(mean, p).source
        u = self.names.new("u")
        self._scope(node).lines.append(f"{u} = uniform({self._stream(node)}, {p})")
        if (low, high) != (0, 1):
            u = f"real({low}.0) + real({high - low}.0) * {u}"
        return Text(f"real({high}.0) if {u} < {p} else real({low}.0)", 0)

    def _sample(self, node: Sample, sampler: str, args: tuple[Node, ...]) -> Text:
        texts = [self._text(arg).source for arg in args]
        place = next((n for n, arg in enumerate(args) if not isinstance(arg, (Const, Size))), 0)
        if not texts[place].isidentifier():
            texts[place] = self._assign(args[place], texts[place]).source
        for n, arg in enumerate(args):
            if len(texts[n]) > _LONG:
                texts[n] = self._assign(arg, texts[n]).source
        like = texts[place]
        for n, arg in enumerate(args):
            if isinstance(arg, Const):
                texts[n] = f"{arg.value:.17g}"
        return Text(f"draw_{sampler}({', '.join([self._stream(node), like, *texts])})")

    def _stream(self, node: Node) -> str:
        """The arguments that say which random bits are meant: the row's two words, and the unit."""
        unit = next(axis for axis in node.axes if axis != ROW)
        return f"{self._argument('stream_0')}[t], {self._argument('stream_1')}[t], {self._axis(unit)}"

    def _loop(self, axis: Axis, body: list[str]) -> list[str]:
        return [f"for {self._axis(axis)} in range({self._length(axis)}):", *(f"    {line}" for line in body)]

    def _length(self, axis: Axis) -> str:
        """An expression for how long an axis is: as an array that is read over it, or over its layer, has it."""
        of_layer = ""
        for key, name in self.arguments.items():
            dimensions: tuple[Axis | int, ...] = ()
            if isinstance(key, (Load, Configurations)):
                dimensions = key.index
            elif isinstance(key, Node):
                dimensions = key.axes
            elif isinstance(key, tuple) and key[0] == "out":
                dimensions = key[1].axes
            for place, other in enumerate(dimensions):
                if other == axis:
                    return f"{name}.shape[{place}]"
                if axis.layer and isinstance(other, Axis) and other.layer == axis.layer:
                    of_layer = of_layer or f"{name}.shape[{place}]"
        assert of_layer, f"no array of this loop runs over {axis}"
        return of_layer

    def _closed(self) -> list[str]:
        lines: list[str] = []
        for scope in reversed(self.stack[1:]):
            assert scope.axis is not None
            lines = self._loop(scope.axis, [*scope.lines, *lines])
        return [f"    {line}" for line in [*self.stack[0].lines, *lines]]


class SweepLoop(Loop):
    """The units of a layer drawn one after the other, row by row, each given all others as they are by then."""

    def __init__(self, plan: Sweep, inputs: set[Node], own: Load):
        super().__init__({plan.draw: f"sweep_of_{plan.layer}"}, inputs, {plan.draw: own})
        self.plan = plan
        self.own = own

    def emit(self) -> tuple[str, str, list[str]]:
        for axis in self.axes:
            self.stack.append(_Scope(axis))
            self._axis(axis)
        here = self._entry(self._argument(self.own), self.axes)
        value = self._text(self.plan.draw)
        lines = self.stack[-1].lines
        if self.plan.tracked:
            change = self.names.new("change")
            lines += [f"{change} = {value.within(ADD)} - {here}", f"{here} += {change}"]
        else:
            lines.append(f"{here} = {value.source}")
        for tracked in self.plan.tracked:
            target = self._entry(self._argument(tracked.product), tracked.product.axes)
            other = self._entry(self._argument(tracked.change), tracked.change.index)
            body = [f"{target} += {change} * {other}"]
            for axis in reversed(tracked.product.axes[1:]):
                body = self._loop(axis, body)
            lines += body
        body = self._closed()
        if any("real(" in line for line in body):
            body.insert(0, f"    real = {self._argument(self.own)}.dtype.type")
        summary = "Each unit in turn drawn in place, given all others as they are by then."
        return "_sweep", ", ".join(self.arguments.values()), [f'    """{summary}"""', *body]

    def _argument(self, key: object) -> str:
        # The states read are those being drawn, whatever index they are read under.
        if isinstance(key, Load) and key.kind == "state" and key.name == self.own.name:
            key = self.own
        return super()._argument(key)

    def _scope(self, node: Node) -> _Scope:
        # What the last draw has changed is not kept for the next unit.
        return self.stack[-1] if node in self.plan.volatile else super()._scope(node)

    def _stream(self, node: Node) -> str:
        unit = next(axis for axis in node.axes if axis != ROW)
        return f"{self._argument('stream_0')}[t] + {self._axis(unit)}, {self._argument('stream_1')}[t], 0"

    def _sum(self, node: Node, arg: Node, over: Axis) -> Text:
        return Text(f"real({super()._sum(node, arg, over).source})")


def _neutral(key: object) -> str:
    match key:
        case ("out", Node()):
            return "out"
        case ("size", str(layer)):
            return f"n_{layer}"
        case str():
            return key
        case Load(kind="weight"):
            return "row_weights"
        case Load(kind="state") | Configurations():
            return "states"
        case Load(index=index):
            return ("scale", "bias")[len(index)] if len(index) < 2 else "coupling"
        case Node() as node:
            return suggested_name(node, with_layer=False)
    raise AssertionError(key)


def neutral_name(node: Node, name: str) -> str:
    """The name of a result without the layer."""
    units = [axis.layer for axis in node.axes if axis.layer]
    return name.removesuffix(f"_{'_'.join(units)}") if units else name
