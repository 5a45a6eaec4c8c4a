"""Where the parts of an expression that are to be marked stand in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sympy import Add, Expr, Mul
from sympy.core.basic import Basic

from symbolic.language.binders import ConfigSum, IndexBinder, UnitSum
from symbolic.language.probability import EnergyFunction

__all__ = ["LARGE", "Located", "locate"]

LARGE = (ConfigSum, IndexBinder, UnitSum)
"""The nodes that are written with a large operator: ∑, ∏ or ∫."""


class Located:
    """Roles of whole nodes, and of some arguments of a sum or product."""

    def __init__(self) -> None:
        self.nodes: dict[Basic, str] = {}
        self.arguments: dict[tuple[Basic, Basic], str] = {}


def locate(expression: Expr, marks: Mapping[Expr, str]) -> Located:
    located = Located()
    for part, role in marks.items():
        for candidate in (part, -part):
            if _locate_one(expression, candidate, role, located):
                break
    return located


def _locate_one(expression: Expr, part: Expr, role: str, located: Located) -> bool:
    if part.is_Number:
        return False
    if _occurs(expression, part):
        located.nodes[part] = role
        return True
    if not isinstance(part, (Add, Mul)):
        return False
    wanted = {a for a in part.args if not a.is_Number}
    hosts = [n for n in _nodes(expression) if isinstance(n, type(part)) and wanted & set(n.args)]
    if not hosts:
        # What surrounded it may have cancelled; the large pieces that are left are what was made.
        pieces = [a for a in wanted if isinstance(a, LARGE) and _occurs(expression, a)]
        located.nodes |= dict.fromkeys(pieces, role)
        return bool(pieces)
    most = max(len(wanted & set(host.args)) for host in hosts)
    for host in hosts:
        shared = wanted & set(host.args)
        if len(shared) == most:
            located.arguments |= {(host, argument): role for argument in shared}
    return True


def _nodes(expression: Basic) -> Iterable[Basic]:
    yield expression
    if not isinstance(expression, EnergyFunction):
        for argument in expression.args:
            yield from _nodes(argument)


def _occurs(expression: Expr, part: Expr) -> bool:
    return any(node == part for node in _nodes(expression))
