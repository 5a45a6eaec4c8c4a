"""How a layer is drawn unit by unit: what can be computed before the loop over its units, and what follows a draw."""

from __future__ import annotations

from dataclasses import dataclass, replace

from symbolic.codegen.ir import (
    Axis,
    Const,
    Contract,
    Draw,
    Load,
    Map,
    Node,
    Reduce,
    Sample,
    Size,
    apart,
    children,
    walk,
)
from symbolic.codegen.lower import ROW

__all__ = ["Sweep", "Tracked", "planned", "summed_in_loops"]


@dataclass(frozen=True)
class Tracked:
    """A product Σ_k v_k w_kl with the layer's states, which is kept up to date after every draw.

    Attributes:
        product: the contraction.
        change: what is added per unit of change of one unit's state: w with that unit's axis in place of k.
    """

    product: Contract
    change: Load


@dataclass(frozen=True)
class Sweep:
    """One pass over the units of a layer.

    Attributes:
        layer: its name.
        axis: the units' axis.
        draw: the state of one unit.
        before: arrays that do not depend on the layer's states.
        tracked: products that do, and are brought up to date after every draw.
        volatile: everything else that depends on them, and so is computed for every unit anew.
    """

    layer: str
    axis: Axis
    draw: Draw | Sample
    before: tuple[Node, ...]
    tracked: tuple[Tracked, ...]
    volatile: frozenset[Node]


def planned(draw: Node, layer: str) -> Sweep:
    """What to compute when, to draw the units of ``layer`` one after the other."""
    axis = next(axis for axis in draw.axes if axis != ROW)
    draw = apart(draw, axis)
    assert isinstance(draw, (Draw, Sample))
    nodes = walk(draw)
    changing = {n for n in nodes if any(isinstance(p, Load) and p.kind == "state" and p.name == layer for p in walk(n))}
    tracked = [found for node in nodes if node in changing and (found := _tracked(node, layer, axis))]
    products = {found.product for found in tracked}
    volatile: dict[Node, None] = {}

    def visit(node: Node) -> None:
        if node in changing and node not in products:
            volatile[node] = None
            for child in children(node):
                visit(child)

    visit(draw)
    leaves = (Load, Const, Size)
    inputs = dict.fromkeys(child for node in (volatile or {draw: None}) for child in children(node))
    before = tuple(node for node in inputs if node not in changing and not isinstance(node, leaves))
    used = tuple(found for found in tracked if found.product in inputs)
    return Sweep(layer, axis, draw, before, used, frozenset(volatile) | {draw})


def _tracked(node: Node, layer: str, axis: Axis) -> Tracked | None:
    if not isinstance(node, Contract) or len(node.args) != 2 or axis in node.axes:
        return None
    for own, other in (node.args, node.args[::-1]):
        if not isinstance(own, Load) or not isinstance(other, Load) or (own.name, own.kind) != (layer, "state"):
            continue
        summed = own.axes[-1]
        if other.kind == "parameter" and len(own.axes) == 2 and other.index.count(summed) == 1:
            index = tuple(axis if place == summed else place for place in other.index)
            axes = tuple(axis if place == summed else place for place in other.axes)
            return Tracked(node, replace(other, axes=axes, index=index))
    return None


def summed_in_loops(node: Node) -> Node:
    """A contraction as the loops that carry it out."""
    if not isinstance(node, Contract):
        return node
    axes = tuple(dict.fromkeys((*node.axes, *(axis for arg in node.args for axis in arg.axes))))
    product: Node = Map(axes, "mul", node.args)
    for axis in axes:
        if axis not in node.axes:
            product = Reduce(tuple(a for a in product.axes if a != axis), "sum", product, axis)
    return product
