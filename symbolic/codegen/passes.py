"""Rewritings of the intermediate representation, each readable on its own. :func:`optimise` runs them in order.

Common subexpressions need no pass: nodes are hash-consed, so what is equal is one node.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from symbolic.codegen.ir import (
    Axis,
    Configurations,
    Const,
    Contract,
    Load,
    Map,
    Node,
    Reduce,
    children,
    rebuild,
)

__all__ = [
    "MatMul",
    "Operand",
    "as_matmul",
    "binary_contractions",
    "cancel_signs",
    "fold_constants",
    "optimise",
    "quotients",
    "stable_forms",
]


def optimise(roots: tuple[Node, ...], memos: dict[Any, dict[Node, Node]] | None = None) -> tuple[Node, ...]:
    """All passes, over trees that share nodes; ``memos`` remembers for the next trees what each pass has done."""
    memos = {} if memos is None else memos
    for rewrite in (fold_constants, cancel_signs, stable_forms, binary_contractions, quotients):
        memo = memos.setdefault(rewrite, {})
        roots = tuple([rebuild(root, rewrite, memo) for root in roots])
    return roots


# Constants

_ARITHMETIC: dict[str, Callable[..., float]] = {
    "add": lambda *args: math.fsum(args),
    "mul": lambda *args: math.prod(args),
    "neg": operator.neg,
    "div": operator.truediv,
    "pow": operator.pow,
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
}


def fold_constants(node: Node) -> Node:
    """A function of numbers alone → the number; in a sum or a product of several, those taken together."""
    if isinstance(node, Map) and node.function in _ARITHMETIC:
        numbers = [arg.value for arg in node.args if isinstance(arg, Const)]
        if len(numbers) == len(node.args):
            return Const((), float(_ARITHMETIC[node.function](*numbers)))
        if len(numbers) > 1 and node.function in ("add", "mul"):
            together = Const((), float(_ARITHMETIC[node.function](*numbers)))
            rest = tuple(arg for arg in node.args if not isinstance(arg, Const))
            args = (*rest, together) if node.function == "add" else (together, *rest)
            return Map(node.axes, node.function, args)
    return node


def cancel_signs(node: Node) -> Node:
    """−(−x) → x, −(−x − y + z) → x + y − z where that leaves fewer signs, and −x − y → −(x + y) for a unit's field."""
    match node:
        case Map(function="neg", args=(Map(function="neg", args=(x,)),)):
            return x
        case Map(function="neg", args=(Map(function="add", args=terms) as total,)):
            if 2 * sum(map(_is_negation, terms)) > len(terms):
                turned = sorted(map(_negated, terms), key=_is_negation)
                return Map(total.axes, "add", tuple(turned))
        case Map(function="add", args=terms) if all(map(_is_negation, terms)) and _has_units(node):
            return _negated(Map(node.axes, "add", tuple(sorted(map(_negated, terms), key=lambda n: -len(n.axes)))))
        case Map(function="div", args=(above, Map(function="neg", args=(below,)))):
            return _negated(Map(node.axes, "div", (above, below)))
    return node


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


def _has_units(node: Node) -> bool:
    return any(axis.layer for axis in node.axes)


def _negated(node: Node) -> Node:
    return node.args[0] if isinstance(node, Map) and node.function == "neg" else Map(node.axes, "neg", (node,))


# Contractions


def binary_contractions(node: Node) -> Node:
    """A product of many arrays, summed → products of two, each a matrix product, an entrywise product or an einsum.

    The pair whose product takes the fewest multiplications goes first, with all axes taken to be equally long; among
    equals, the one with the smaller result, then the one that leaves a matrix product without transposing arrays of
    three axes, then one that can ride along in the loop of an array that is computed anyway. The energy's v_i w_ij h_j
    becomes ((v @ w) * h) summed, the third-order field x_k G_kij v_i one product with the pairs x_k v_i.
    """
    if not isinstance(node, Contract):
        return node
    args = sorted(_summed_alone(node), key=_loads_first)
    while len(args) > 2:
        pairs = itertools.combinations(range(len(args)), 2)
        first, second = min(pairs, key=lambda pair: _cost(args, pair, node.axes))
        a, b = args[first], args[second]
        rest = [arg for place, arg in enumerate(args) if place not in (first, second)]
        args = sorted([_product_of_two(a, b, _kept(a, b, rest, node.axes)), *rest], key=_loads_first)
    if len(args) == 1:
        return _summed(args[0], node.axes)
    return _product_of_two(args[0], args[1], node.axes)


def _summed_alone(node: Contract) -> list[Node]:
    """The factors, summed over the axes that no other factor and no result has."""
    found = []
    for place, arg in enumerate(node.args):
        others = {axis for other in (*node.args[:place], *node.args[place + 1 :]) for axis in other.axes}
        found.append(_summed(arg, tuple(axis for axis in arg.axes if axis in others or axis in node.axes)))
    return found


_KINDS = {"weight": 0, "state": 1, "parameter": 2}


def _loads_first(node: Node) -> tuple[int, list[str]]:
    kind = _KINDS[node.kind] if isinstance(node, Load) else 1 if isinstance(node, Configurations) else 3
    return kind, [axis.name for axis in node.axes]


def _kept(a: Node, b: Node, rest: list[Node], out: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """The axes of the product of two arrays that are needed later: rows first, then in the order in which they are."""
    order = dict.fromkeys((*out, *(axis for other in rest for axis in other.axes)))
    kept = [axis for axis in order if axis in a.axes or axis in b.axes]
    return tuple(sorted(kept, key=lambda axis: bool(axis.layer)))


def _cost(args: list[Node], pair: tuple[int, int], out: tuple[Axis, ...]) -> tuple[int, int, bool, bool]:
    a, b = args[pair[0]], args[pair[1]]
    rest = [arg for place, arg in enumerate(args) if place not in pair]
    kept = _kept(a, b, rest, out)
    awkward = len(rest) == 1 and len(kept) > 2 and not _is_plain(_as_matmul(kept, rest[0].axes, out))
    return len({*a.axes, *b.axes}), len(kept), awkward, not any(isinstance(x, (Map, Reduce)) for x in (a, b))


def _product_of_two(a: Node, b: Node, out: tuple[Axis, ...]) -> Node:
    product = Contract(out, (a, b))
    arrays = all(isinstance(x, (Load, Configurations, Contract)) for x in (a, b))
    union = {*a.axes, *b.axes}
    covered = union in (set(a.axes), set(b.axes))
    if as_matmul(product) is not None and (arrays or not covered):
        return _numbered(product)
    if covered or union == set(out):
        larger = a if set(a.axes) == union else b
        axes = larger.axes if covered else out
        return _summed(Map(axes, "mul", (a, b)), out)
    return product


def _numbered(product: Contract) -> Contract:
    """The product of two arguments with its summed axes called by their numbers instead of by letters.

    Σ_k v_k w_kj and Σ_l v_l w_lj, the two factors of a square, are one node then.
    """
    if not all(isinstance(arg, (Load, Configurations)) for arg in product.args):
        return product
    names: dict[Axis, Axis] = {}
    for axis in dict.fromkeys(axis for arg in product.args for axis in arg.axes):
        if axis.layer and axis not in product.axes:
            names[axis] = Axis(f"·{len(names)}", axis.layer, axis.length)
    args = []
    for arg in product.args:
        assert isinstance(arg, (Load, Configurations))
        axes = tuple(names.get(axis, axis) for axis in arg.axes)
        index = tuple(names.get(place, place) if isinstance(place, Axis) else place for place in arg.index)
        args.append(replace(arg, axes=axes, index=index))
    return Contract(product.axes, tuple(args))


def _summed(node: Node, out: tuple[Axis, ...]) -> Node:
    for axis in reversed(node.axes):
        if axis not in out:
            node = Reduce(tuple(a for a in node.axes if a != axis), "sum", node, axis)
    return node


# Quotients


def quotients(node: Node) -> Node:
    """x · (1 / y) → x / y, and x / √(1 / y) → x · √y."""
    match node:
        case Map(function="div", args=(above, Map(function="sqrt", args=(Map() as inner,)))) if _is_reciprocal(inner):
            root = Map(inner.axes, "sqrt", (inner.args[1],))
            return root if _is_one(above) else Map(node.axes, "mul", (above, root))
    if isinstance(node, Map) and node.function == "mul":
        below = [children(arg)[1] for arg in node.args if _is_reciprocal(arg)]
        others = [arg for arg in node.args if not _is_reciprocal(arg)]
        if below and others:
            return Map(node.axes, "div", (_multiplied(others, node.axes), _multiplied(below, node.axes)))
    return node


def _is_reciprocal(node: Node) -> bool:
    return isinstance(node, Map) and node.function == "div" and _is_one(node.args[0])


def _multiplied(factors: list[Node], order: tuple[Axis, ...]) -> Node:
    if len(factors) == 1:
        return factors[0]
    axes = tuple(axis for axis in order if any(axis in factor.axes for factor in factors))
    return Map(axes, "mul", tuple(factors))


# Matrix products


@dataclass(frozen=True)
class Operand:
    """One side of a matrix product: an array made a matrix by laying neighbouring axes together.

    Attributes:
        axes: of the array, in the order in which they are laid together; its own order, if it need not be permuted.
        rows: how many of them make the rows of the matrix; the rest make its columns.
        transpose: whether the matrix enters transposed.
    """

    axes: tuple[Axis, ...]
    rows: int
    transpose: bool


@dataclass(frozen=True)
class MatMul:
    """``left @ right`` as matrices (or vectors), the result spread out over its axes again."""

    left: Node
    left_as: Operand
    right: Node
    right_as: Operand

    @property
    def is_plain(self) -> bool:
        """Whether neither array has to be permuted."""
        return self.left.axes == self.left_as.axes and self.right.axes == self.right_as.axes


def as_matmul(node: Contract) -> MatMul | None:
    """The matrix product that a contraction of two arrays is, or None."""
    if len(node.args) != 2:
        return None
    found = []
    for left, right in (node.args, node.args[::-1]):
        operands = _as_matmul(left.axes, right.axes, node.axes)
        if operands is not None:
            found.append((not _is_plain(operands), MatMul(left, operands[0][0], right, operands[1][0])))
    return min(found, key=lambda pair: pair[0])[1] if found else None


_Operands = tuple[tuple[Operand, bool], tuple[Operand, bool]]


@lru_cache(maxsize=1024)
def _as_matmul(left: tuple[Axis, ...], right: tuple[Axis, ...], out: tuple[Axis, ...]) -> _Operands | None:
    """The operands if the contraction is ``left @ right`` in this order, each with whether it must be permuted."""
    shared = set(left) & set(right)
    if not shared or shared & set(out):
        return None
    rows = tuple(axis for axis in out if axis in left)
    columns = tuple(axis for axis in out if axis in right)
    if rows + columns != out or len(left) + len(right) != len(out) + 2 * len(shared):
        return None
    orders = (tuple(axis for axis in side if axis in shared) for side in (left, right))
    options = [(_operand(left, rows, order), _operand(right, order, columns)) for order in orders]
    return min(options, key=lambda pair: pair[0][1] + pair[1][1])


def _operand(axes: tuple[Axis, ...], rows: tuple[Axis, ...], columns: tuple[Axis, ...]) -> tuple[Operand, bool]:
    if axes == columns + rows:
        return Operand(axes, len(columns), bool(rows) and bool(columns)), False
    return Operand(rows + columns, len(rows), False), axes != rows + columns


def _is_plain(operands: _Operands | None) -> bool:
    return operands is not None and not any(permuted for _, permuted in operands)
