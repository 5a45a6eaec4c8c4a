"""What the targets share in printing source: names, shapes, contractions and docstrings.

An expression is printed together with how tightly its outermost operator binds, so that parentheses stand only
where they are needed.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from symbolic.codegen.ir import (
    Axis,
    Configurations,
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
    children,
    walk,
)
from symbolic.codegen.lower import CALLED, ROW_WEIGHTS, LoweringError
from symbolic.codegen.passes import Operand, as_matmul
from symbolic.codegen.program import Function, Program
from symbolic.units import StateValue, axis_length, lookup

__all__ = [
    "ADD",
    "ATOM",
    "BY_PLACES",
    "DRAWS",
    "MUL",
    "NEG",
    "Dialect",
    "Names",
    "Text",
    "arithmetic",
    "base_constant",
    "constants",
    "count_uses",
    "docstring",
    "enumerated",
    "folded",
    "header",
    "imported",
    "imports",
    "is_size",
    "length",
    "returned",
    "runtime_names",
    "shapes",
    "states_text",
    "suggested_name",
]

ADD, MUL, NEG, ATOM = 1, 2, 3, 9


@dataclass(frozen=True)
class Text:
    """Source of an expression, and how tightly its outermost operator binds."""

    source: str
    binds: int = ATOM

    def within(self, binds: int) -> str:
        """The source, in parentheses if it would fall apart next to an operator that binds as tightly as given."""
        return self.source if self.binds >= binds else f"({self.source})"


def arithmetic(node: Map, args: list[Text]) -> Text | None:
    """Sums, products, quotients and powers; None for the functions, which every target has its own of."""
    match node.function:
        case "add":
            source = args[0].within(ADD)
            for child, text in zip(node.args[1:], args[1:], strict=True):
                if isinstance(child, Map) and child.function == "neg" and text.source.startswith("-"):
                    source += f" - {text.source[1:]}"
                else:
                    source += f" + {text.within(ADD)}"
            return Text(source, ADD)
        case "mul":
            return Text(" * ".join([args[0].within(MUL), *(text.within(NEG) for text in args[1:])]), MUL)
        case "div":
            return Text(f"{args[0].within(MUL)} / {args[1].within(NEG)}", MUL)
        case "neg":
            return Text(f"-{args[0].within(ATOM)}", NEG)
        case "pow":
            return Text(f"{args[0].within(ATOM)} ** {args[1].within(ATOM)}", MUL)
    return None


class Names:
    """Hands out names that are not taken yet."""

    def __init__(self, taken: Iterable[str] = ()):
        self._taken = set(taken)

    def new(self, wish: str) -> str:
        name, number = wish, 1
        while name in self._taken:
            number += 1
            name = f"{wish}_{number}"
        self._taken.add(name)
        return name


def suggested_name(node: Node, *, with_layer: bool = True) -> str:
    """What a person would call the array, such as ``field_h``."""
    units = [axis.layer for axis in node.axes if axis.layer and "." not in axis.layer]
    suffix = f"_{'_'.join(units)}" if with_layer and units else ""
    match node:
        case Configurations(layer=layer):
            return layer
        case Contract():
            return ("product" if units else "linear") + suffix
        case Equal():
            return "delta" + suffix
        case Draw() | Sample():
            return "state" + suffix
        case OneHot(states=states):
            return f"{states.name if isinstance(states, Load) else states.layer}_one_hot"
        case Reduce(operation="logsumexp"):
            return "log_partition" + suffix
        case Reduce():
            return "total" + suffix
        case Map(function="mul", args=(Load() as factor, *others)) if len(others) < 3 and set(others) == {factor}:
            return ("square", "cube")[len(others) - 1] + suffix
        case Map(function="mul", args=(Load() | Configurations(), Load() | Configurations())) if len(units) > 1:
            return "pairs" + suffix
        case Map(function="add"):
            return "field" + suffix
        case Map(function="sigmoid" | "tanh" | "bose" | "exprel_mean" | "geomsum_mean"):
            return "mean" + suffix
        case Map(function="mul") if any(isinstance(arg, Load) and arg.kind == "weight" for arg in node.args):
            plain = all(isinstance(arg, Load) for arg in node.args)
            return ("weighted_states" if plain else "weighted_mean") + suffix
    return "value" + suffix


def count_uses(roots: Iterable[Node]) -> dict[Node, int]:
    """How often each node is an argument of another one, or a root."""
    roots = tuple(roots)
    count: dict[Node, int] = dict.fromkeys(walk(*roots), 0)
    for root in roots:
        count[root] += 1
    for node in count:
        for child in children(node):
            count[child] += 1
    return count


# Arrays


def shapes(function: Function, program: Program) -> dict[str, tuple[str, ...]]:
    """For every array argument what its dimensions run over: a layer's name, or nothing for rows. A number of units has
    no dimensions."""
    known: dict[str, tuple[str, ...]] = {
        name: ("", name, f"{unit}.components") if lookup(unit).dimension > 1 else ("", name)
        for name, unit in program.layers.items()
    }
    known |= program.parameters
    known[ROW_WEIGHTS] = ("",)
    known |= {f"n_{name}": () for name in program.layers}
    return {name: known[name] for name in function.arguments if name in known}


def is_size(name: str, program: Program) -> bool:
    """Whether an argument is the number of units of a layer."""
    return name in {f"n_{layer}" for layer in program.layers}


def length(layer: str, arrays: dict[str, tuple[str, ...]], known: int = 0) -> str:
    """An expression for the number of a layer's units, or of rows for no layer: from the shape of an argument, or else
    what is known of it."""
    for name, dimensions in arrays.items():
        if layer in dimensions:
            return f"{name}.shape[{dimensions.index(layer)}]"
    if f"n_{layer}" in arrays:
        return f"n_{layer}"
    if known:
        return str(known)
    raise LoweringError(f"no argument tells how many {f'units layer {layer} has' if layer else 'rows there are'}.")


class Dialect:
    """How arrays are laid out anew and summed: NumPy's way, which other array libraries print differently."""

    def permuted(self, text: Text, order: tuple[int, ...]) -> Text:
        return Text(f"{text.within(ATOM)}.transpose({', '.join(map(str, order))})")

    def reshaped(self, text: Text, shape: list[str]) -> Text:
        return Text(f"{text.within(ATOM)}.reshape({', '.join(shape)})")

    def diagonal(self, letters: str, kept: str, array: str) -> Text:
        """An array along a diagonal: where letters repeat, at equal places."""
        return Text(f"np.diagonal({array})" if letters == "aa" else f'np.einsum("{letters}->{kept}", {array})')

    def einsum(self, subscripts: str, operands: list[str]) -> Text:
        return Text(f'np.einsum("{subscripts}", {", ".join(operands)}, optimize=True)')

    def total(self, text: Text, axis: int) -> Text:
        return Text(f"{text.within(ATOM)}.sum(axis={axis})")

    # What follows from these.

    def aligned(self, text: Text, axes: tuple[Axis, ...], out: tuple[Axis, ...]) -> Text:
        """An array over ``axes`` made to line up with one over ``out``, under NumPy's broadcasting."""
        if not axes or axes == out:
            return text
        present = tuple(axis for axis in out if axis in axes)
        if present != axes:
            text = self.permuted(text, tuple(axes.index(axis) for axis in present))
        first = out.index(present[0])
        if out[first:] == present:
            return text
        index = ", ".join(":" if axis in axes else "None" for axis in out[first:])
        return Text(f"{text.within(ATOM)}[{index}]")

    def contraction(
        self,
        node: Contract,
        printed: Callable[[Node], str],
        arrays: dict[str, tuple[str, ...]],
        site: Axis | None = None,
    ) -> Text:
        """A contraction of two arrays as a matrix product where it is one, else as an einsum.

        Args:
            node: the contraction.
            printed: gives the source of its arguments.
            arrays: what the dimensions of the function's arguments run over.
            site: the axis along which all arrays are cut to one unit.
        """
        product = as_matmul(node)
        if product is None:
            return self._einsum(node, printed)

        def size(axis: Axis) -> str:
            # The number of rows is what is left over, so that no rows at all come out as no rows.
            return "-1" if not axis.layer else "1" if axis == site else length(axis.layer, arrays, axis.length)

        left = self._matrix(Text(printed(product.left)), product.left.axes, product.left_as, size)
        right = self._matrix(Text(printed(product.right)), product.right.axes, product.right_as, size)
        text = Text(f"{left} @ {right}", MUL)
        if any(sum(axis in side.axes for axis in node.axes) > 1 for side in (product.left, product.right)):
            layers = () if site in node.axes else tuple(axis.layer for axis in node.axes)
            like = next((f"{name}.shape" for name, dimensions in arrays.items() if dimensions == layers), None)
            text = self.reshaped(text, [like] if like else [size(axis) for axis in node.axes])
        return text

    def _matrix(self, text: Text, axes: tuple[Axis, ...], form: Operand, size: Callable[[Axis], str]) -> str:
        if form.axes != axes:
            text = self.permuted(text, tuple(axes.index(axis) for axis in form.axes))
        groups = [group for group in (form.axes[: form.rows], form.axes[form.rows :]) if group]
        if len(groups) < len(form.axes):
            sizes = [" * ".join(size(axis) for axis in group) for group in groups]
            if "-1" not in sizes:
                sizes[max(range(len(groups)), key=lambda place: len(groups[place]))] = "-1"
            text = self.reshaped(text, sizes)
        return text.source + (".T" if form.transpose else "")

    def _einsum(self, node: Contract, printed: Callable[[Node], str]) -> Text:
        letters: dict[Axis, str] = {}

        def subscripts(axes: tuple[Axis, ...]) -> str:
            return "".join(letters.setdefault(axis, "abcdefghijklmnopqrstuvwxyz"[len(letters)]) for axis in axes)

        inputs = ",".join(subscripts(arg.axes) for arg in node.args)
        return self.einsum(f"{inputs}->{subscripts(node.axes)}", [printed(arg) for arg in node.args])

    def equal(self, node: Equal, size: str, like: str) -> Text:
        """Kronecker's delta as an array over its axes."""
        place = node.index[1]
        return Text(f"identity({size}, {like}){'' if isinstance(place, Axis) else f'[{place}, :]'}")

    def load(self, node: Load | Configurations) -> Text:
        """An argument, or an enumerated layer, as an array over its axes: single units and diagonals picked out."""
        text = Text(node.name if isinstance(node, Load) else node.layer)
        axes = [index for index in node.index if isinstance(index, Axis)]
        if len(axes) < len(node.index):
            index = ", ".join(":" if isinstance(place, Axis) else str(place) for place in node.index)
            text = Text(f"{text.source}[{index}]")
        if len(set(axes)) < len(axes):
            letters = {axis: "abcdefgh"[place] for place, axis in enumerate(dict.fromkeys(axes))}
            return self.diagonal("".join(letters[axis] for axis in axes), "".join(letters.values()), text.source)
        return text


def base_constant(node: LogBase) -> str:
    """The name of the constant that holds a layer's base measure."""
    return f"LOG_BASE_OF_{node.arg.layer}".upper()


def states_text(states: tuple[StateValue, ...]) -> str:
    """The states of one unit, as they stand in source."""
    first, last = states[0], states[-1]
    if len(states) > 3 and states == tuple(range(int(first), int(last) + 1)):
        return f"range({int(last) + 1})" if first == 0 else f"range({first}, {int(last) + 1})"
    return f"({', '.join(repr(float(s)) if isinstance(s, Fraction) else str(s) for s in states)})"


def enumerated(root: Node) -> tuple[Configurations, ...]:
    """The layers enumerated under ``root``, in the order in which they are met."""
    found = {node.layer: node for node in walk(root) if isinstance(node, Configurations)}
    return tuple(found.values())


# Text around the code


def header(program: Program, what: str) -> str:
    """The module's docstring and the constants that describe it."""
    energy = textwrap.fill(program.energy, 108, initial_indent="    ", subsequent_indent="        ")
    lines = [
        f'"""{what}',
        "",
        energy,
        "",
        "p is e^-E, normalised. Arrays of one call share one dtype, float32 or float64; states hold one",
        "configuration a row.",
        "Generated by symbolic.codegen from that energy: change the energy, not this file.",
        '"""',
    ]
    return "\n".join(lines)


def imported(module: str, names: Iterable[str]) -> str:
    """The statement that imports the names, over several lines if it is long."""
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= 112:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])


def constants(program: Program, target: str) -> str:
    """What a person, and the Kernels object, can ask of a module."""
    lines = [
        f"TARGET = {_literal(target)}",
        *_text_constant("ENERGY", program.energy),
        f"LAYERS = {_literal(program.layers)}",
        f"VISIBLE = {_literal(program.visible)}",
        f"HIDDEN = {_literal(program.hidden)}",
        *([f"GIVEN = {_literal(program.given)}"] if program.given else []),
        f"PARAMETERS = {_literal(program.parameters)}",
    ]
    if program.least:
        lines.append(f"LEAST = {_literal(program.least)}")
    if program.methods:
        lines.append(f"METHODS = {_literal(program.methods)}")
    for name, (text, parameters) in _conditions(program).items():
        lines += _wrapped(f"{name} = (", f"{_literal(text)}, {_literal(parameters)}", ")", text, parameters)
    nodes = walk(*(node for function in program.functions for _, node in function.outputs))
    for node in dict.fromkeys(node for node in nodes if isinstance(node, LogBase)):
        weights = f"{', '.join(repr(weight) for weight in node.weights)}"
        line = f"{base_constant(node)} = ({weights})"
        wrapped = textwrap.wrap(f"{weights},", 108, initial_indent="    ", subsequent_indent="    ")
        lines += [line] if len(line) <= 112 else [f"{base_constant(node)} = (", *wrapped, ")"]
    if program.refused:
        reasons = {reason: f"REASON_{n}" for n, reason in enumerate(dict.fromkeys(program.refused.values()), 1)}
        for reason, name in reasons.items():
            lines += [f"{name} = (", *(f"    {part}" for part in _quoted(reason, 108)), ")"]
        entries = (f"    {_literal(name)}: {reasons[reason]}," for name, reason in program.refused.items())
        lines += ["REFUSED = {", *entries, "}"]
    return "\n".join(lines)


def _conditions(program: Program) -> dict[str, tuple[str, str]]:
    """The text of every condition and the parameters that set it, by the name of the constant."""
    return {c.name: (c.text, c.parameters) for function in program.functions for c in function.conditions}


def _wrapped(start: str, whole: str, end: str, text: str, parameters: str) -> list[str]:
    if len(start + whole + end) <= 112:
        return [start + whole + end]
    quoted = _quoted(text, 104)
    return [start, *(f"    {part}" for part in quoted[:-1]), f"    {quoted[-1]},", f"    {_literal(parameters)},", end]


def _text_constant(name: str, text: str) -> list[str]:
    line = f"{name} = {_literal(text)}"
    return [line] if len(line) <= 120 else [f"{name} = (", *(f"    {part}" for part in _quoted(text, 108)), ")"]


def _quoted(text: str, width: int) -> list[str]:
    """Literals that together make the text, each on a line of its own."""
    parts = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [_literal(part + " ") for part in parts[:-1]] + [_literal(parts[-1])]


def folded(line: str, width: int = 112) -> list[str]:
    """A statement as one line, or with each term of its sum on a line of its own if it is too long for one."""
    indent = line[: len(line) - len(line.lstrip())]
    start, assigned, value = line.strip().partition(" = ")
    if len(line) <= width or not assigned:
        return [line]
    depth, begin, terms = 0, 0, []
    for place, sign in enumerate(value):
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0 and value[place : place + 3] in (" + ", " - "):
            terms.append(value[begin:place])
            begin = place + 1
    if not terms:
        return [line]
    terms.append(value[begin:])
    return [f"{indent}{start} = (", *(f"{indent}    {term}" for term in terms), f"{indent})"]


@lru_cache(maxsize=4)
def called_in(code: str) -> frozenset[str]:
    """The names that are followed by an opening parenthesis."""
    return frozenset(re.findall(r"\w+(?=\()", code))


def imports(modules: dict[str, tuple[Iterable[str], str]]) -> list[str]:
    """The statements that import what is called: for each module the names it has, and the code to look for them in."""
    found = []
    for module, (names, code) in modules.items():
        used = sorted(set(names) & called_in(code))
        if used:
            found.append(imported(f"symbolic.codegen.runtime.{module}", used))
    return found


def runtime_names(program: Program) -> tuple[str, ...]:
    """The functions and the samplers that a target's runtime brings under their own names."""
    found = {name for function in program.functions for name in function.samplers} - BY_PLACES
    samplers = sorted(f"draw_{name}" for name in found)
    return (*CALLED.values(), "fine_uniform", *samplers)


def _literal(value: object) -> str:
    if isinstance(value, str):
        text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{text}"'
    if isinstance(value, tuple):
        inside = ", ".join(_literal(item) for item in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, int):
        return str(value)
    raise TypeError(f"no literal for {value!r}")


def returned(function: Function, results: list[str]) -> list[str]:
    """The lines of what a function gives back: the dictionary of phases, if it has one, and the other outputs."""
    phases = [f'"{name}": {text}' for name, text in zip(function.phases, results, strict=False)]
    rest = results[len(function.phases) :]
    if not phases:
        return [f"return {', '.join(rest)}"]
    line = ", ".join([f"return {{{', '.join(phases)}}}", *rest])
    if len(line) <= 112:
        return [line]
    return ["return {", *(f"    {phase}," for phase in phases), ", ".join(["}", *rest])]


def _shown_size(layer: str, program: Program) -> str:
    known = axis_length(layer, program.layers)
    return str(known) if known else f"n_{layer}" if layer else "rows"


BY_PLACES = frozenset({"label", "heisenberg"})
"""The samplers that take one array over labels or components; all targets share their functions."""

DRAWS = "Draws depend on key (64 bits), first_row + row and unit, and on nothing else."


def docstring(function: Function, program: Program, randomness: str = DRAWS) -> list[str]:
    """Purpose, derived formulas, shapes and what draws depend on, indented as the body of a function is."""
    lines = [f'"""{function.purpose}', ""]
    for formula in function.formulas:
        lines += textwrap.wrap(formula, 100, initial_indent="    ", subsequent_indent="        ")
    lines.append("")
    arrays = []
    for name, dimensions in shapes(function, program).items():
        sizes = ", ".join(_shown_size(layer, program) for layer in dimensions)
        arrays.append(
            f"{name}, a number" if is_size(name, program) else f"{name} ({sizes}{',' if len(dimensions) == 1 else ''})"
        )
    lines += textwrap.wrap(f"Shapes: {', '.join(arrays)}.", 104)
    lines += [
        f"{name} is symmetric, with zeros on its diagonal." for name in program.symmetric if name in function.arguments
    ]
    if function.conditions:
        texts = "; ".join(dict.fromkeys(condition.text for condition in function.conditions))
        lines += textwrap.wrap(f"Raises DivergentError unless positive: {texts}.", 104)
    if function.draws:
        lines.append(randomness)
    lines.append('"""')
    return [f"    {line}" if line else "" for line in lines]
