"""Which units an energy couples: the edges of a lecture's picture."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sympy import Add, Expr, Mul, Pow

from symbolic.language.binders import IndexSum
from symbolic.language.layers import Layer, State

__all__ = ["coupled"]

_MOST_GROUPS = 200


def coupled(expression: Expr, layers: Sequence[Layer]) -> list[tuple[Layer, Layer]]:
    """The pairs of layers whose units are multiplied in the expression; a layer is paired with itself where two of its
    units are."""
    found = set()
    for group in _groups(expression):
        for a, b in itertools.combinations(group, 2):
            found.add(tuple(sorted((layers.index(a.layer), layers.index(b.layer)))))
    return [(layers[a], layers[b]) for a, b in sorted(found)]


def _groups(node: Expr) -> list[frozenset[State]]:
    """The units in each term, if the expression were multiplied out; a sum's unit is another one each time."""
    if isinstance(node, Add):
        return [group for term in node.args for group in _groups(term)]
    if isinstance(node, IndexSum):
        return _groups(node.open()[0])
    if isinstance(node, Mul):
        return _multiplied([_groups(factor) for factor in node.args])
    if isinstance(node, Pow) and node.exp.is_Integer and node.exp > 1:
        # In higher powers than the second the same pairs occur.
        return _multiplied([_groups(node.base), _groups(node.base)])
    if node.has(IndexSum):  # whatever function of a sum this is, a power series has such products
        return [frozenset().union(*(group for part in (*node.args, *node.args) for group in _groups(part)))]
    return [frozenset(node.atoms(State))]


def _multiplied(factors: list[list[frozenset[State]]]) -> list[frozenset[State]]:
    product = [frozenset[State]()]
    for groups in factors:
        product = list(dict.fromkeys(a | b for a in product for b in groups))
        if len(product) > _MOST_GROUPS:
            product = [frozenset().union(*product)]
    return product
