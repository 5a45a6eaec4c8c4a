"""What every node of an expression is set with, and the table that says how each kind of node is set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sympy import Expr

from symbolic.errors import SymbolicError
from symbolic.language.layers import Index, Layer
from symbolic.notation.marks import Located
from symbolic.notation.tree import Fence, Marked, Setting, comma_row

__all__ = ["NOTATION", "Scope", "notation"]

# k and l for the first two layers, as the lecture's i and j; q comes late because it has no Unicode subscript.
_DUMMIES = "klrstmqxyz"


@dataclass(frozen=True)
class Scope:
    """The names and marks with which an expression is set.

    Attributes:
        order: the layers in reading order.
        names: what indices are called, where that is not their own name.
        taken: names that no dummy index may get.
        located: the parts to be marked.
    """

    order: tuple[Layer, ...]
    names: Mapping[Index, str]
    taken: frozenset[str]
    located: Located

    def set(self, node: Expr) -> Setting:
        """Return the setting of a node, marked if it is to be.

        Raises:
            SymbolicError: the node has no notation.
        """
        role = self.located.nodes.get(node)
        plain = self._plain(node)
        return plain if role is None else Marked(role, plain)

    def _plain(self, node: Expr) -> Setting:
        for kind in type(node).__mro__:
            setter = NOTATION.get(kind)
            if setter is not None:
                return setter(self, node)
        raise SymbolicError(
            f"there is no notation for {type(node).__name__} (in {node}). An expression is made of the nodes of "
            "symbolic.language and of SymPy's sums, products, powers, exp and log."
        )

    def fenced_if(self, condition: bool, node: Expr) -> Setting:
        """Return the setting of a node, in brackets if the condition holds."""
        shown = self.set(node)
        return Fence("(", ")", shown) if condition else shown

    def position(self, layer: Layer) -> int:
        """Return the place of a layer in reading order; unknown layers come last."""
        return self.order.index(layer) if layer in self.order else len(self.order)

    def under(self, indices: Iterable[Index]) -> tuple[Setting, Scope]:
        """Return what stands below an operator that binds the indices, and the scope of its body."""
        shown_names = set(self.names.values())
        inner = dict(self.names)
        ordered = sorted(indices, key=lambda i: (self.position(i.layer), i.name))
        for index in ordered:
            name = _dummy(self.position(index.layer), len(self.order), self.taken | shown_names)
            inner[index] = name
            shown_names.add(name)
        scope = replace(self, names=inner)
        return comma_row([scope.set(index) for index in ordered]), scope


def _dummy(position: int, layers: int, taken: Iterable[str]) -> str:
    """Return a name for a dummy: the layer's own first (k, l, ...), then those no layer owns, then with a number."""
    used = set(taken)
    own = _DUMMIES[position : position + 1]
    candidates = [*own, *_DUMMIES[max(layers, 2) :], *_DUMMIES]
    for name in candidates:
        if name not in used:
            return name
    return next(name for n in range(2, 10_000) for name in (f"k{n}",) if name not in used)


Setter = TypeVar("Setter", bound=Callable[[Scope, Any], Setting])

NOTATION: dict[type, Callable[[Scope, Any], Setting]] = {}
"""Node type to how its nodes are set; a type not listed takes the nearest one above it. The rows are entered when
:mod:`~symbolic.notation.typeset` is imported."""


def notation(*kinds: type) -> Callable[[Setter], Setter]:
    """Enter a function in :data:`NOTATION` for nodes of these kinds."""

    def enter(setter: Setter) -> Setter:
        NOTATION.update(dict.fromkeys(kinds, setter))
        return setter

    return enter
