"""NumPy for the matrix products, one fused Numba loop nest for everything between two of them.

A function becomes a driver in plain Python, in which each contraction stays with NumPy and its BLAS, and
compiled loops, each of which computes all arrays over the same axes that are ready at that point. Where a
loop's result is as large as a product that nothing else needs, it takes the product's place in memory. Loops
that are the same but for names are written once.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import replace

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
    children,
    rebuild,
    walk,
)
from symbolic.codegen.lower import CONFIGURATION, ROW
from symbolic.codegen.program import Condition, Function, Program
from symbolic.codegen.targets.numba_loops import OWN, Loop, Loops, SweepLoop, neutral_name
from symbolic.codegen.targets.numpy import PLACES, SUMS, Body, before_enumeration, one_hot
from symbolic.codegen.targets.source import (
    BY_PLACES,
    Dialect,
    Names,
    Text,
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
from symbolic.codegen.targets.sweep import planned, summed_in_loops

__all__ = ["emit"]

_SHARED = ("LogSumExp", "configurations", "row_streams")
_DIALECT = Dialect()

_FLAGS = """\
# Sums may be added up in any order, products and sums may fuse, and −0 counts as 0; NaN and ∞ keep their meaning.
FUSED = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "nsz", "contract"}}"""


def emit(program: Program) -> str:
    """The source of the module."""
    loops = Loops()
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


# Drivers


class _Driver:
    """One function of the module: NumPy statements and calls of compiled loops."""

    def __init__(self, function: Function, program: Program, loops: Loops):
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
                *OWN,
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
        loop = SweepLoop(plan, {*arrays, *(node for node in walk(draw) if isinstance(node, Load))}, own)
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
                # Of parameters alone: too little work for a compiled loop.
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
        loop = Loop({node: neutral_name(node, name) for node, name in names.items()}, inputs, in_place)
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
