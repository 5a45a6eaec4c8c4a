"""What compiled expressions are evaluated in: a list with a slot for each thing that an expression speaks of.

Indices hold unit numbers, configurations hold rows of cells, parameters hold tables. A *cell* is a number in every form
in which it is needed (its remainder in each field of :data:`symbolic.check.finite_field.FIELDS`, or one real number),
with the plain number at its end; the cell of a state that is a vector holds the cells of its components.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from sympy import Expr

from symbolic.errors import UnboundError
from symbolic.language.expressions import Delta
from symbolic.language.layers import Configuration, Index, KnownAxis, Layer, State
from symbolic.language.parameters import Entry

__all__ = [
    "BY",
    "MODEL",
    "Compiled",
    "Environment",
    "Name",
    "Row",
    "Unbound",
    "is_about_places",
    "numbered_units",
    "unbound",
]

Name: TypeAlias = Configuration | Index
Environment: TypeAlias = list[Any]
Compiled: TypeAlias = Callable[[Environment], Any]
"""A compiled expression: from an environment to its value there."""

# The slots that every environment has: the small model it belongs to, and the place of the entry that is varied.
MODEL, BY = 0, 1


def numbered_units(*lines: Expr) -> Iterator[tuple[Layer, int]]:
    """Yield the units that lines name by their numbers, with their layers."""
    for line in lines:
        for node in line.atoms(State, Entry):
            layers = (node.layer,) if isinstance(node, State) else node.parameter.layers
            indices = (node.index,) if isinstance(node, State) else node.indices
            for layer, index in zip(layers, indices, strict=True):
                if index.is_Integer and not isinstance(layer, KnownAxis):
                    yield layer, int(index)


def is_about_places(condition: Expr) -> bool:
    """Return whether a condition says which places indices may have, as 1 − δ_im does that is positive for i ≠ m."""
    return bool(condition.atoms(Delta)) and not condition.atoms(Entry, State, Configuration)


class Row(list[Any]):
    """The cells of a layer's units. A row equals itself only, even where two rows hold the same cells.

    Attributes:
        weights: the weight with which a sum over rows counts this one, as a cell.
    """

    __slots__ = ("weights",)
    weights: tuple[Any, ...]
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other


class Unbound:
    """The content of a slot that was given nothing: looking into it raises an error that says what is missing."""

    def __init__(self, what: str):
        self.what = what

    def __getitem__(self, key: Any) -> Any:
        raise UnboundError(self.what)

    def __index__(self) -> int:
        raise UnboundError(self.what)


def unbound(name: Name) -> Unbound:
    """Return the content of the slot of a name that nothing binds."""
    if isinstance(name, Index):
        return Unbound(f"unbound index {name}")
    if name.label:
        return Unbound(f"unbound label {name.label} (of layer {name.layer.name})")
    return Unbound(f"no value for {name}")
