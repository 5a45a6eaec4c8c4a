"""The intermediate representation: arrays whose axes have names, and what is computed from them.

A node is an array over labelled :class:`Axis` objects; every axis is a loop of some kernel or a dimension of
some NumPy array, and sizes stay symbolic. Nodes are immutable and hash-consed: building a node that exists
already gives that very object. Equal subexpressions are therefore one node, which is all there is to
common-subexpression elimination, and ``is`` compares whole trees.

An expression of the energy's language becomes such a tree in :mod:`~symbolic.codegen.lower`, is rewritten by
:mod:`~symbolic.codegen.passes` and printed as source by the targets.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from symbolic.units import StateValue

__all__ = [
    "Axis",
    "Configurations",
    "Const",
    "Contract",
    "Draw",
    "Equal",
    "Load",
    "LogBase",
    "Map",
    "Node",
    "OneHot",
    "Reduce",
    "Sample",
    "Size",
    "Uniform",
    "apart",
    "children",
    "rebuild",
    "walk",
]


_made: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()
_lock = threading.Lock()


class _HashConsed(type):
    """Calls of the class with equal arguments give one object, as long as anybody holds it."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        names: tuple[str, ...] = cls.__match_args__  # type: ignore[attr-defined]
        if len(args) < len(names):
            args += tuple(kwargs[name] if name in kwargs else getattr(cls, name) for name in names[len(args) :])
        key = (cls, *args)
        with _lock:
            found = _made.get(key)
            if found is None:
                found = _made[key] = super().__call__(*args)
        return found


@dataclass(frozen=True, eq=False)
class Axis(metaclass=_HashConsed):
    """A labelled axis: the units of a layer, or (with no layer) the rows of a batch or of an enumeration.

    Attributes:
        name: what is shown, such as ``"i"``.
        layer: the layer's name.
        length: how long it is, if it runs over labels or components, whose number is known; else 0.
    """

    name: str
    layer: str = ""
    length: int = 0


@dataclass(frozen=True, eq=False)
class Node(metaclass=_HashConsed):
    """An array over ``axes``, in that order. Nodes are equal only if they are the same object."""

    axes: tuple[Axis, ...]


@dataclass(frozen=True, eq=False)
class Load(Node):
    """An argument of the generated function.

    Attributes:
        name: of the argument.
        kind: ``"state"``, ``"parameter"`` or ``"weight"`` (of rows).
        index: for each dimension of the array its axis, or the number of the one unit that is meant.
    """

    name: str
    kind: str
    index: tuple[Axis | int, ...]


@dataclass(frozen=True, eq=False)
class Configurations(Node):
    """All configurations of a layer, one per row, in step with the other layers enumerated on the same row axis.

    Attributes:
        layer: its name.
        states: of one unit.
        index: the row axis, and the units' axis or the number of the one unit that is meant.
    """

    layer: str
    states: tuple[StateValue, ...]
    index: tuple[Axis | int, ...]


@dataclass(frozen=True, eq=False)
class LogBase(Node):
    """Σ_i ln μ(v_i) of every configuration that is enumerated, where a layer's units have a base measure.

    Attributes:
        arg: the configurations.
        weights: ln μ of each state.
    """

    arg: Configurations
    weights: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Equal(Node):
    """Kronecker's delta of two indices of a layer: 1 where they are the same unit, else 0.

    Attributes:
        layer: its name.
        index: the axes, or one axis and the number of a unit.
    """

    layer: str
    index: tuple[Axis | int, Axis | int]


@dataclass(frozen=True, eq=False)
class OneHot(Node):
    """Iverson's bracket [v_i = s]: 1 where a categorical unit carries the label s, else 0.

    Attributes:
        states: the units' labels.
        labels: how many labels there are.
        label: the axis that s is, or the number of the one label that is meant.
    """

    states: Load | Configurations
    labels: int
    label: Axis | int


@dataclass(frozen=True, eq=False)
class Const(Node):
    """A number."""

    value: float


@dataclass(frozen=True, eq=False)
class Size(Node):
    """The number of units of a layer."""

    layer: str


@dataclass(frozen=True, eq=False)
class Map(Node):
    """A function applied entry by entry; an argument without one of the axes is repeated along it.

    Attributes:
        function: ``add``, ``mul``, ``neg``, ``div``, ``pow``, ``exp``, ``log``, ``sqrt``, ``tanh``, the name of a
            function of :mod:`symbolic.language.functions`, or ``copy``, which repeats its argument along the axes it
            lacks.
        args: what it is applied to.
    """

    function: str
    args: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Contract(Node):
    """The product of ``args``, summed over every axis that is not among ``axes``."""

    args: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Reduce(Node):
    """One argument, reduced over one axis; ``operation`` is ``sum`` or ``logsumexp``."""

    operation: str
    arg: Node
    over: Axis


@dataclass(frozen=True, eq=False)
class Draw(Node):
    """Random states of two-state units with the given means: ``high`` or ``low``."""

    mean: Node
    low: StateValue
    high: StateValue


@dataclass(frozen=True, eq=False)
class Uniform(Node):
    """One random number between 0 and 1 for every row and unit."""


@dataclass(frozen=True, eq=False)
class Sample(Node):
    """Random states of units of any other kind.

    Attributes:
        sampler: the name of the unit's sampler; the targets' runtimes have a function ``draw_<name>`` for it. The
            argument of ``"quantile"`` is the state itself, as a function of :class:`Uniform`.
        args: the parameters of the distribution.
    """

    sampler: str
    args: tuple[Node, ...]


def children(node: Node) -> tuple[Node, ...]:
    """The nodes that ``node`` is computed from."""
    try:
        found: tuple[Node, ...] = node.__dict__["children"]
    except KeyError:
        found = node.__dict__["children"] = _children(node)
    return found


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, (Map, Contract, Sample)):
        return node.args
    if isinstance(node, (Reduce, LogBase)):
        return (node.arg,)
    if isinstance(node, OneHot):
        return (node.states,)
    return (node.mean,) if isinstance(node, Draw) else ()


def walk(*roots: Node) -> list[Node]:
    """Every node under the roots once, what a node is computed from before the node."""
    if len(roots) == 1:
        return list(_under(roots[0]))
    return list(dict.fromkeys(node for root in roots for node in _under(root)))


def _under(root: Node) -> tuple[Node, ...]:
    """The nodes under one root, which remembers them: passes and targets ask again and again."""
    found: tuple[Node, ...] | None = root.__dict__.get("under")
    if found is None:
        every = dict.fromkeys(node for child in children(root) for node in _under(child))
        found = root.__dict__["under"] = (*every, root)
    return found


def apart(root: Node, axis: Axis, memo: dict[Node, Node] | None = None) -> Node:
    """``root``, in which whatever is summed over ``axis`` is summed over another axis of the same layer instead.

    Two sums that are never nested may run over one axis. A loop over it that is put around both may not.
    """
    memo = {} if memo is None else memo
    if root not in memo:
        args = tuple([apart(child, axis, memo) for child in children(root)])
        new = root if args == children(root) else _with_children(root, args)
        if axis in _summed_axes(new):
            other = Axis(f"{axis.name}′", axis.layer, axis.length)
            inner = tuple(_moved(child, axis, other, {}) for child in children(new))
            new = _with_children(new, inner)
            if isinstance(new, Reduce):
                new = replace(new, over=other)
        memo[root] = new
    return memo[root]


def _summed_axes(node: Node) -> set[Axis]:
    """The axes that a node's arguments have and it has not."""
    return {axis for child in children(node) for axis in child.axes} - set(node.axes)


def _moved(node: Node, old: Axis, new: Axis, memo: dict[Node, Node]) -> Node:
    """``node`` over another axis in place of one that it has."""
    if old not in node.axes:
        return node
    if node not in memo:
        fields: dict[str, Any] = {}
        for name in type(node).__match_args__:
            value = getattr(node, name)
            if isinstance(value, Node):
                fields[name] = _moved(value, old, new, memo)
            elif isinstance(value, tuple):
                fields[name] = tuple(
                    _moved(part, old, new, memo) if isinstance(part, Node) else new if part is old else part
                    for part in value
                )
            else:
                fields[name] = new if value is old else value
        memo[node] = type(node)(**fields)
    return memo[node]


def _with_children(node: Node, args: tuple[Node, ...]) -> Node:
    match node, args:
        case ((Map() | Contract() | Sample()), _):
            return replace(node, args=args)
        case Reduce(), (arg,):
            return replace(node, arg=arg)
        case LogBase(), (Configurations() as arg,):
            return replace(node, arg=arg)
        case OneHot(), ((Load() | Configurations()) as states,):
            return replace(node, states=states)
        case Draw(), (mean,):
            return replace(node, mean=mean)
    return node


def rebuild(root: Node, rewrite: Callable[[Node], Node], memo: dict[Node, Node] | None = None) -> Node:
    """``root`` with ``rewrite`` applied to every node, from the leaves up.

    Args:
        root: the tree to rewrite.
        rewrite: gets a node whose arguments are rewritten already, and returns it or another one over the same axes.
        memo: of trees that share nodes, so that what they share is rewritten once.
    """
    memo = {} if memo is None else memo
    if root not in memo:
        below = children(root)
        above = tuple([rebuild(child, rewrite, memo) for child in below])
        new = root
        if above != below:
            new = _with_children(root, above)
        memo[root] = rewrite(new)
    return memo[root]
