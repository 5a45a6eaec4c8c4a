"""Which units an energy couples: the edges of a lecture's picture."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sympy import Add, Expr, Mul, Pow

from symbolic.language.binders import IndexSum
from symbolic.language.layers import Layer, State

__all__ = ["coupled"]

# A product of sums over k layers has up to 2^k groups. Without a limit 10 factors take 0.4 s and each further one more
# than doubles that; with it 12 take 0.04 s (2 cores, 2026-12). Beyond it all units of the product count as coupled.
_MOST_GROUPS = 200


def coupled(expression: Expr, layers: Sequence[Layer]) -> list[tuple[Layer, Layer]]:
    """Return the pairs of layers whose units the expression multiplies; two units of one layer pair it with itself."""
    found = set()
    for group in _groups(expression):
        for a, b in itertools.combinations(group, 2):
            found.add(tuple(sorted((layers.index(a.layer), layers.index(b.layer)))))
    return [(layers[a], layers[b]) for a, b in sorted(found)]


def _groups(node: Expr) -> list[frozenset[State]]:
    """Return the units in each term of the expression multiplied out; each sum contributes a unit of its own."""
    if isinstance(node, Add):
        return [group for term in node.args for group in _groups(term)]
    if isinstance(node, IndexSum):
        return _groups(node.open()[0])
    if isinstance(node, Mul):
        return _multiplied([_groups(factor) for factor in node.args])
    if isinstance(node, Pow) and node.exp.is_Integer and node.exp > 1:
        # In higher powers than the second the same pairs occur.
        return _multiplied([_groups(node.base), _groups(node.base)])
    if node.has(IndexSum):  # a power series of any function of a sum has such products
        return [frozenset().union(*(group for part in (*node.args, *node.args) for group in _groups(part)))]
    return [frozenset(node.atoms(State))]


def _multiplied(factors: list[list[frozenset[State]]]) -> list[frozenset[State]]:
    product = [frozenset[State]()]
    for groups in factors:
        product = list(dict.fromkeys(a | b for a in product for b in groups))
        if len(product) > _MOST_GROUPS:
            product = [frozenset().union(*product)]
    return product
