"""Rewritings of the intermediate representation, each readable on its own. :func:`optimise` runs them in order.

Common subexpressions need no pass: nodes are hash-consed, so what is equal is one node.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from symbolic.codegen.ir import (
    Axis,
    Configurations,
    Const,
    Contract,
    Load,
    Map,
    Node,
    Reduce,
    rebuild,
)

__all__ = ["MatMul", "as_matmul", "binary_contractions", "optimise", "stable_forms"]


def optimise(roots: tuple[Node, ...]) -> tuple[Node, ...]:
    """All passes, over trees that share nodes."""
    for rewrite in (stable_forms, binary_contractions):
        memo: dict[Node, Node] = {}
        roots = tuple(rebuild(root, rewrite, memo) for root in roots)
    return roots


# Stable forms


def stable_forms(node: Node) -> Node:
    """ln(1 + e^x) → softplus(x), e^x / (1 + e^x) and 1 / (1 + e^−x) → sigmoid(x), ln(e^x + e^−x) → log2cosh(x)."""
    match node:
        case Map(function="log", args=(Map(function="add", args=(left, right)),)):
            if (x := _exponent(right)) is not None and _is_one(left):
                return Map(node.axes, "softplus", (x,))
            if (x := _exponent(left)) is not None and _is_one(right):
                return Map(node.axes, "softplus", (x,))
            x, y = _exponent(left), _exponent(right)
            if x is not None and y is not None and _negated(x) is y:
                return Map(node.axes, "log2cosh", (y if _is_negation(x) else x,))
        case Map(function="div", args=(above, Map(function="add", args=(left, right)))):
            e = right if _is_one(left) else left if _is_one(right) else None
            x = None if e is None else _exponent(e)
            if x is not None and above is e:
                return Map(node.axes, "sigmoid", (x,))
            if x is not None and _is_one(above):
                return Map(node.axes, "sigmoid", (_negated(x),))
    return node


def _is_one(node: Node) -> bool:
    return isinstance(node, Const) and node.value == 1


def _exponent(node: Node) -> Node | None:
    return node.args[0] if isinstance(node, Map) and node.function == "exp" else None


def _is_negation(node: Node) -> bool:
    return isinstance(node, Map) and node.function == "neg"


def _negated(node: Node) -> Node:
    return node.args[0] if isinstance(node, Map) and node.function == "neg" else Map(node.axes, "neg", (node,))


# Contractions


def binary_contractions(node: Node) -> Node:
    """A product of many arrays, summed → products of two, each a matrix product, an entrywise product or an einsum.

    The pair whose product takes the fewest multiplications goes first, with all axes taken to be equally long;
    among equals, the one with the smaller result, then one that can ride along in the loop of an array that is
    computed anyway. The energy's v_i w_ij h_j becomes ((v @ w) * h) summed.
    """
    if not isinstance(node, Contract):
        return node
    args = sorted(node.args, key=_loads_first)
    while len(args) > 2:
        pairs = itertools.combinations(range(len(args)), 2)
        first, second = min(pairs, key=lambda pair: _cost(args, pair, node.axes))
        a, b = args[first], args[second]
        rest = [arg for place, arg in enumerate(args) if place not in (first, second)]
        args = sorted([_product_of_two(a, b, _kept(a, b, rest, node.axes)), *rest], key=_loads_first)
    if len(args) == 1:
        return _summed(args[0], node.axes)
    return _product_of_two(args[0], args[1], node.axes)


_KINDS = {"weight": 0, "state": 1, "parameter": 2}


def _loads_first(node: Node) -> tuple[int, list[str]]:
    kind = _KINDS[node.kind] if isinstance(node, Load) else 1 if isinstance(node, Configurations) else 3
    return kind, [axis.name for axis in node.axes]


def _kept(a: Node, b: Node, rest: list[Node], out: tuple[Axis, ...]) -> tuple[Axis, ...]:
    needed = {*out, *(axis for other in rest for axis in other.axes)}
    union = dict.fromkeys(sorted({*a.axes, *b.axes}, key=_axis_order))
    return tuple(axis for axis in union if axis in needed)


def _axis_order(axis: Axis) -> tuple[bool, str, str]:
    return bool(axis.layer), axis.name, axis.layer


def _cost(args: list[Node], pair: tuple[int, int], out: tuple[Axis, ...]) -> tuple[int, int, bool]:
    a, b = args[pair[0]], args[pair[1]]
    rest = [arg for place, arg in enumerate(args) if place not in pair]
    kept = _kept(a, b, rest, out)
    return len({*a.axes, *b.axes}), len(kept), not any(isinstance(x, (Map, Reduce)) for x in (a, b))


def _product_of_two(a: Node, b: Node, out: tuple[Axis, ...]) -> Node:
    product = Contract(out, (a, b))
    arrays = all(isinstance(x, (Load, Configurations, Contract)) for x in (a, b))
    union = {*a.axes, *b.axes}
    covered = union in (set(a.axes), set(b.axes))
    if as_matmul(product) is not None and (arrays or not covered):
        return product
    if covered or union == set(out):
        larger = a if set(a.axes) == union else b
        axes = larger.axes if covered else out
        return _summed(Map(axes, "mul", (a, b)), out)
    return product


def _summed(node: Node, out: tuple[Axis, ...]) -> Node:
    for axis in reversed(node.axes):
        if axis not in out:
            node = Reduce(tuple(a for a in node.axes if a != axis), "sum", node, axis)
    return node


@dataclass(frozen=True)
class MatMul:
    """``left @ right``, each transposed or not."""

    left: Node
    transpose_left: bool
    right: Node
    transpose_right: bool


def as_matmul(node: Contract) -> MatMul | None:
    """The matrix product that a contraction of two arrays is, or None."""
    if len(node.args) != 2:
        return None
    for left, right in (node.args, node.args[::-1]):
        shared = set(left.axes) & set(right.axes)
        if len(shared) != 1 or shared & set(node.axes) or max(len(left.axes), len(right.axes)) > 2:
            continue
        (axis,) = shared
        rest = [a for a in left.axes if a != axis] + [a for a in right.axes if a != axis]
        if tuple(rest) == node.axes:
            return MatMul(left, left.axes[-1] != axis, right, right.axes[0] != axis)
    return None
