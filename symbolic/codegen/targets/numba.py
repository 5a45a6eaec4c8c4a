"""NumPy for the matrix products, one fused Numba loop nest for everything between two of them.

A function becomes a driver in plain Python, in which each contraction stays with NumPy and its BLAS, and
compiled loops, each of which computes all arrays over the same axes that are ready at that point. Where a
loop's result is as large as a product that nothing else needs, it takes the product's place in memory. Loops
that are the same but for names are written once.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Set
from dataclasses import dataclass, field, replace

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
    rebuild,
    walk,
)
from symbolic.codegen.lower import CALLED, CONFIGURATION, ROW
from symbolic.codegen.program import Condition, Function, Program
from symbolic.codegen.targets.numpy import PLACES, SUMS, Body, before_enumeration, one_hot
from symbolic.codegen.targets.source import (
    ADD,
    BY_PLACES,
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
from symbolic.codegen.targets.sweep import Sweep, planned, summed_in_loops
from symbolic.units import StateValue

__all__ = ["emit"]

_SHARED = ("LogSumExp", "configurations", "row_streams")
_OWN = ("exp", "log", "sqrt", "tanh", "uniform", "fine_uniform", *CALLED.values())
_CALLS = {**CALLED, "cos": "np.cos", "sin": "np.sin"}
# Functions whose first argument is a whole number.
_COUNTED = ("softmax", "lngeomsum", "geomsum_mean", "geomsum_variance")

_DIALECT = Dialect()

_FLAGS = """\
# Sums may be added up in any order, products and sums may fuse, and −0 counts as 0; NaN and ∞ keep their meaning.
FUSED = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "nsz", "contract"}}"""


def emit(program: Program) -> str:
    """The source of the module."""
    loops = _Loops()
    drivers = [_Driver(function, program, loops).source() for function in program.functions]
    text = "\n\n\n".join([*loops.sources(), *drivers])
    compiled = "\n".join(loops.sources())
    imported = imports(
        {
            "streams": (_SHARED, text),
            "numba": (("exp", "log", "sqrt", "tanh", "uniform", *runtime_names(program)), compiled),
            "vectors": (PLACES, text),
            "sums": (SUMS, text),
        }
    )
    parts = [
        header(program, "Numba kernels of the energy"),
        "\n".join(["import numpy as np", "from numba import njit", "", *imported]),
        constants(program, "numba"),
        _FLAGS,
    ]
    return "\n\n".join(parts) + "\n\n\n" + text + "\n"


def _in_driver(node: Node) -> bool:
    """Whether NumPy computes the node: a contraction, or a sum over rows."""
    if isinstance(node, Reduce):
        return node.operation == "logsumexp" or node.over in (ROW, CONFIGURATION)
    return isinstance(node, (Contract, LogBase, OneHot)) or (isinstance(node, Sample) and node.sampler in BY_PLACES)


def _apart(child: Node, node: Node) -> bool:
    """Whether a stored array and what needs it are computed one after the other: by NumPy and by a loop, or by loops
    over different axes."""
    if _in_driver(child) or _in_driver(node):
        return _in_driver(child) != _in_driver(node)
    return child.axes != node.axes


def _read_elsewhere(place: Node, outputs: list[Node]) -> bool:
    """Whether a loop that computes the outputs entry by entry reads entries of an array that it is not at.

    A sum over an axis of the array does, unless it is done before the loop over that axis begins.
    """
    order = outputs[0].axes
    for total in walk(*outputs):
        if isinstance(total, Reduce) and total.over in place.axes and place in walk(total.arg):
            inside = max((order.index(axis) for axis in total.axes if axis in order), default=-1)
            if total.over not in order or order.index(total.over) <= inside:
                return True
    return False


def _reads(node: Node, kept: Set[Node], own: Load) -> bool:
    """Whether the node depends on the layer's states, or on an array that is kept up to date with them."""
    if isinstance(node, Load):
        return node.name == own.name and node.kind == "state"
    if node in kept:
        return any(_reads(part, set(), own) for part in walk(node))
    return any(_reads(child, kept, own) for child in children(node))


def _is_leaf(node: Node) -> bool:
    return isinstance(node, (Load, Const, Size, Configurations, Equal))


# Arguments of a draw that are longer get names.
_LONG = 24
# What gets a name of its own within a loop.
_NAMED = ("add", "sigmoid", "tanh", "bose", "exprel_mean", "geomsum_mean", "sinhc_slope")

# Compiled loops


@dataclass
class _Loops:
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


class _Loop:
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
        self.names = Names({"np", "njit", "real", "t", "c", *_OWN})
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


class _SweepLoop(_Loop):
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


def _kind(node: Node, name: str) -> str:
    """The name of a result without the layer."""
    units = [axis.layer for axis in node.axes if axis.layer]
    return name.removesuffix(f"_{'_'.join(units)}") if units else name


# Drivers


class _Driver:
    """One function of the module: NumPy statements and calls of compiled loops."""

    def __init__(self, function: Function, program: Program, loops: _Loops):
        self.function = function
        self.program = program
        self.loops = loops
        self.roots = tuple(node for _, node in function.outputs)
        self.uses = count_uses((*self.roots, *(condition.node for condition in function.conditions)))
        self.shapes = shapes(function, program)
        self.names = Names(
            {
                *function.arguments,
                *program.layers,
                "np",
                "njit",
                "FUSED",
                "streams",
                "total",
                *_SHARED,
                *_OWN,
                *SUMS,
                *PLACES,
            }
        )
        self.known: dict[Node, str] = {}
        self.lines: list[str] = []
        self.indent = "    "
        self.enumerated = ""
        self.lasting: set[Node] = set()

    def source(self) -> str:
        function = self.function
        if function.draws:
            self._line(f"streams = row_streams(key, first_row, len({function.arguments[0]}))")
        self._check(tuple(c for c in function.conditions if CONFIGURATION not in c.node.axes))
        for node in walk(*self.roots):
            if isinstance(node, Reduce) and node.over == CONFIGURATION:
                self._log_sum_exp(node)
        if function.sweep:
            self._sweep()
        else:
            self._compute(self.roots)
        results = [self._array(node) for node in self.roots]
        for line in returned(function, results):
            self._line(line)
        signature = f"def {function.name}({', '.join(function.arguments)}):"
        return "\n".join([signature, *docstring(function, self.program), *self.lines])

    def _sweep(self) -> None:
        (root,) = self.roots
        plan = planned(root, self.function.sweep)
        self.uses |= count_uses((plan.draw,))
        self._line(f"{plan.layer} = {plan.layer}.copy()")
        arrays = {*plan.before, *(found.product for found in plan.tracked)}
        for node in plan.before + tuple(found.product for found in plan.tracked):
            self._materialise(node)
        draw = rebuild(
            plan.draw, lambda node: node if node in arrays else summed_in_loops(node), {a: a for a in arrays}
        )
        assert isinstance(draw, (Draw, Sample))
        own = Load(draw.axes, plan.layer, "state", draw.axes)
        plan = replace(plan, draw=draw, volatile=frozenset(node for node in walk(draw) if _reads(node, arrays, own)))
        loop = _SweepLoop(plan, {*arrays, *(node for node in walk(draw) if isinstance(node, Load))}, own)
        name = self.loops.name(*loop.emit())
        passed = [self._passed(key) for key in loop.arguments if key != "stream_1"]
        self._line(f"{name}({', '.join(passed)})")
        self.known[root] = plan.layer

    def _line(self, text: str) -> None:
        self.lines += folded(self.indent + text)

    def _check(self, conditions: tuple[Condition, ...]) -> None:
        """What must be positive is computed and looked at before anything that relies on it."""
        for condition in conditions:
            node, sign = condition.node, ""
            if {ROW, CONFIGURATION} & set(node.axes):
                if isinstance(node, Map) and node.function == "neg":
                    (node,), sign = node.args, "-"
                values = sign + self._named(node)
            else:
                # Of parameters alone: nothing that a compiled loop would be worth its while for.
                body = Body(self.function, self.program)
                values = body.text(condition.node)
                self.lines += body.lines
            self._line(f"positive({values}, *{condition.name})")

    def _array(self, node: Node) -> str:
        if node in self.known:
            return self.known[node]
        if isinstance(node, (Load, Configurations)):
            return _DIALECT.load(node).source
        if isinstance(node, Equal):
            size = length(node.layer, self.shapes, max(axis.length for axis in node.axes))
            return _DIALECT.equal(node, size, self._some_array()).source
        return self._numpy(node)

    def _numpy(self, node: Node) -> str:
        """A node that NumPy computes, as an expression."""
        if isinstance(node, Contract):
            source = _DIALECT.contraction(node, self._operand, self.shapes).source
        elif isinstance(node, OneHot):
            return one_hot(node, Text(self._array(node.states))).source
        elif isinstance(node, Sample):
            return f"draw_{node.sampler}(streams, {self._array(node.args[0])})"
        elif isinstance(node, Reduce) and node.operation == "logsumexp":
            return f"log_sum_exp({self._array(node.arg)})"
        elif isinstance(node, LogBase):
            return f"log_base({node.arg.layer}, {states_text(node.arg.states)}, {base_constant(node)})"
        else:
            assert isinstance(node, Reduce)
            source = _DIALECT.total(Text(self._operand(node.arg)), node.arg.axes.index(node.over)).source
        return source if node.axes else f"np.asarray({source})"

    def _operand(self, node: Node) -> str:
        source = self._array(node)
        return source if node in self.known or _is_leaf(node) else f"({source})"

    def _compute(self, roots: tuple[Node, ...]) -> None:
        """Everything the roots need, in stages: products, the loops that wait for them, then what needs those."""
        stored = self._stored(roots)
        stage: dict[Node, int] = {}
        for node in walk(*roots):
            below = [stage[child] + (child in stored and _apart(child, node)) for child in children(node)]
            stage[node] = max(below, default=0)
        for number in range(max(stage.values(), default=0) + 1):
            here = [n for n in walk(*roots) if stage[n] == number and n in stored and n not in self.known]
            loops: dict[tuple[Axis, ...], list[Node]] = {}
            for node in here:
                if not _in_driver(node):
                    loops.setdefault(node.axes, []).append(node)
            waiting = {node for group in loops.values() for node in group}
            for node in here:
                if _in_driver(node) and not waiting & set(walk(node)):
                    self._product(node, roots)
            for group in loops.values():
                self._loop(group, stored, roots)

    def _materialise(self, node: Node) -> None:
        """Compute the node as an array under a name, which several loops read."""
        self._named(node)
        self.lasting.add(node)

    def _named(self, node: Node) -> str:
        """The name of an array that holds the node, which is computed if it is not there yet."""
        self._compute((node,))
        if node not in self.known:
            source = self._array(node)
            self.known[node] = self.names.new(suggested_name(node))
            self._line(f"{self.known[node]} = {source}")
        return self.known[node]

    def _stored(self, roots: tuple[Node, ...]) -> set[Node]:
        """The nodes that become arrays: results, products, and what NumPy needs whole."""
        stored = {node for node in roots if not _is_leaf(node)}
        for node in walk(*roots):
            if node in self.known:
                stored.add(node)
            if _in_driver(node):
                stored.add(node)
                stored |= {child for child in children(node) if not _is_leaf(child)}
        return stored

    def _product(self, node: Node, roots: tuple[Node, ...]) -> None:
        if node in self.known or (node in roots and self.uses[node] == 1 and len(node.axes) < 3):
            return  # a short result that nothing else needs is written where it is returned
        wanted = {root: f"phase_{name}" for name, root in self.function.outputs if name in self.function.phases}
        self.known[node] = self.names.new(wanted.get(node) or suggested_name(node))
        self._line(f"{self.known[node]} = {self._numpy(node)}")

    def _loop(self, outputs: list[Node], stored: set[Node], roots: tuple[Node, ...]) -> None:
        inputs = self._inputs(outputs, stored)
        in_place = self._in_place(outputs, inputs, roots, self._needed_later(outputs))
        wanted = {c.node: c.name.lower().replace("_of_", "_") for c in self.function.conditions}
        for name, node in self.function.outputs:
            wanted[node] = f"phase_{name}" if name in self.function.phases else name
        names = {node: wanted.get(node) or self._called(node, roots) for node in outputs}
        loop = _Loop({node: _kind(node, name) for node, name in names.items()}, inputs, in_place)
        name = self.loops.name(*loop.emit())
        for node in outputs:
            if node in in_place:
                self._rename(in_place[node], self.names.new(names[node]))
                self.known[node] = self.known[in_place[node]]
                continue
            model = next((i for i in walk(*outputs) if i in inputs and i.axes == node.axes and i in self.known), None)
            self.known[node] = self.names.new(names[node])
            self._line(f"{self.known[node]} = {self._empty(node, model)}")
        passed = [self._passed(key) for key in loop.arguments if key != "stream_1"]
        self._line(f"{name}({', '.join(passed)})")

    def _called(self, node: Node, roots: tuple[Node, ...]) -> str:
        return "exponent" if node in roots and self.enumerated else suggested_name(node)

    def _rename(self, node: Node, name: str) -> None:
        """Call an array by what it is going to hold."""
        old = re.compile(rf"\b{self.known[node]}\b")
        self.lines = [old.sub(name, line) for line in self.lines]
        self.known[node] = name

    def _passed(self, key: object) -> str:
        match key:
            case Load(name=name) | Configurations(layer=name):
                return name
            case Node():
                return self._array(key)
            case ("out", Node() as node):
                return self.known[node]
            case ("size", str(layer)):
                return length(layer, self.shapes)
            case "stream_0":
                return "*streams"
        raise AssertionError(key)

    def _inputs(self, outputs: list[Node], stored: set[Node]) -> set[Node]:
        found: set[Node] = set()

        def visit(node: Node) -> None:
            if isinstance(node, (Load, Configurations)) or (node in stored and node not in outputs):
                found.add(node)
                return
            for child in children(node):
                visit(child)

        for node in outputs:
            visit(node)
        return found

    def _needed_later(self, outputs: list[Node]) -> set[Node]:
        """The arrays that are read by what is still to be computed after this loop."""
        roots = (*self.roots, *(condition.node for condition in self.function.conditions))
        stored = self._stored(roots) | set(outputs)
        left = [node for node in stored if node not in self.known and node not in outputs]
        needed = self._inputs([node for node in left if not _in_driver(node)], stored)
        return needed | {child for node in left if _in_driver(node) for child in children(node)}

    def _in_place(
        self, outputs: list[Node], inputs: set[Node], roots: tuple[Node, ...], later: set[Node]
    ) -> dict[Node, Node]:
        """Outputs that take the memory of a product which only this loop reads."""
        places: dict[Node, Node] = {}
        free = [
            node
            for node in walk(*outputs)
            if node in inputs
            and node in self.known
            and node not in roots
            and node not in self.lasting
            and node not in later
            and node.axes == outputs[0].axes
            and not _read_elsewhere(node, outputs)
        ]
        for output, place in zip(outputs, free, strict=False):
            places[output] = place
        return places

    def _empty(self, node: Node, model: Node | None) -> str:
        if model is not None:
            return f"np.empty_like({self._array(model)})"
        sizes = ", ".join(self._length(axis) for axis in node.axes)
        if len(node.axes) == 1:
            sizes += ","
        return f"np.empty(({sizes}), {self._some_array()}.dtype)"

    def _length(self, axis: Axis) -> str:
        if axis == CONFIGURATION:
            return f"len({self.enumerated})"
        return length(axis.layer, self.shapes, axis.length)

    def _some_array(self) -> str:
        return next(iter(self.shapes))

    def _log_sum_exp(self, node: Reduce) -> None:
        for part in before_enumeration(node):
            self._materialise(part)
        layers = enumerated(node.arg)
        sizes = ", ".join(f"({length(c.layer, self.shapes)}, {states_text(c.states)})" for c in layers)
        names = ", ".join(c.layer for c in layers)
        self.enumerated = layers[0].layer
        self._line(f"total = {'RowLogSumExp' if ROW in node.axes else 'LogSumExp'}()")
        targets = f"({names},)" if len(layers) == 1 else names
        self._line(f"for {targets} in configurations(({sizes},), {self._some_array()}.dtype):")
        outer, self.indent = self.indent, self.indent + "    "
        self._check(tuple(c for c in self.function.conditions if CONFIGURATION in c.node.axes))
        self._compute((node.arg,))
        self._line(f"total.add({self._array(node.arg)})")
        self.indent = outer
        self.known[node] = "total.value"
        self.lasting.add(node)
        for root in self.roots:
            if isinstance(root, Map) and root.function == "neg" and root.args == (node,):
                self.known[root] = "-total.value"
