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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

__all__ = [
    "Axis",
    "Configurations",
    "Const",
    "Contract",
    "Draw",
    "Load",
    "Map",
    "Node",
    "Reduce",
    "Size",
    "children",
    "rebuild",
    "walk",
]


@dataclass(frozen=True)
class Axis:
    """A labelled axis: the units of a layer, or (with no layer) the rows of a batch or of an enumeration.

    Attributes:
        name: what is shown, such as ``"i"``.
        layer: the layer's name.
        letters: the names that stand for the first, second, … index over this layer in use at once.
    """

    name: str
    layer: str = ""
    letters: tuple[str, ...] = field(default=(), compare=False)

    def at(self, place: int) -> Axis:
        """The axis over the same layer that has the letter at ``place``."""
        letters = self.letters or (self.name,)
        name = letters[place] if place < len(letters) else f"{letters[0]}{place}"
        return Axis(name, self.layer, self.letters)


_nodes: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()
_lock = threading.Lock()


class _HashConsed(type):
    """Calls of the class with equal arguments give one object, as long as anybody holds it."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        new = super().__call__(*args, **kwargs)
        key = (cls, *(getattr(new, part.name) for part in fields(new)))
        with _lock:
            return _nodes.setdefault(key, new)


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
    """All configurations of a layer, one a row, in step with the other layers enumerated on the same row axis.

    Attributes:
        layer: its name.
        states: of one unit.
        index: the row axis, and the units' axis or the number of the one unit that is meant.
    """

    layer: str
    states: tuple[int, ...]
    index: tuple[Axis | int, ...]


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
        function: ``add``, ``mul``, ``neg``, ``div``, ``pow``, ``exp``, ``log``, ``sqrt``, ``tanh``, ``softplus``,
            ``sigmoid``, ``log2cosh``, or ``copy``, which repeats its argument along the axes it lacks.
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
    low: int
    high: int


def children(node: Node) -> tuple[Node, ...]:
    """The nodes that ``node`` is computed from."""
    match node:
        case Map(args=args) | Contract(args=args):
            return args
        case Reduce(arg=arg):
            return (arg,)
        case Draw(mean=mean):
            return (mean,)
    return ()


def walk(*roots: Node) -> Iterator[Node]:
    """Every node under the roots once, what a node is computed from before the node."""
    seen: set[Node] = set()

    def visit(node: Node) -> Iterator[Node]:
        if node not in seen:
            seen.add(node)
            for child in children(node):
                yield from visit(child)
            yield node

    for root in roots:
        yield from visit(root)


def rebuild(root: Node, rewrite: Callable[[Node], Node], memo: dict[Node, Node] | None = None) -> Node:
    """``root`` with ``rewrite`` applied to every node, from the leaves up.

    Args:
        root: the tree to rewrite.
        rewrite: gets a node whose arguments are rewritten already, and returns it or another one over the same axes.
        memo: of trees that share nodes, so that what they share is rewritten once.
    """
    memo = {} if memo is None else memo
    if root not in memo:
        new = root
        match root:
            case Map(args=args) | Contract(args=args):
                new = replace(root, args=tuple(rebuild(arg, rewrite, memo) for arg in args))
            case Reduce(arg=arg):
                new = replace(root, arg=rebuild(arg, rewrite, memo))
            case Draw(mean=mean):
                new = replace(root, mean=rebuild(mean, rewrite, memo))
        memo[root] = rewrite(new)
    return memo[root]
