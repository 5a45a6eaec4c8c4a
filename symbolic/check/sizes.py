"""The sizes of the small models in which a derivation is checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from sympy import Expr

from symbolic.check.environment import numbered_units
from symbolic.check.small_model import stand_ins
from symbolic.errors import SymbolicError
from symbolic.language.energy import Energy
from symbolic.language.layers import KnownAxis

__all__ = ["MOST_BITS", "bits", "checked_sizes", "default_sizes", "least_sizes", "other_sizes"]

# The most configurations of a model that lines are checked in, as a power of two. A line about all of them takes some
# 2 µs per term of E and configuration, so that 2^14 take a second or two per derivation (2 cores, 2026-12).
MOST_BITS = 14


def least_sizes(energy: Energy, lines: Iterable[Expr] = ()) -> dict[str, int]:
    """Return the smallest sizes that have every unit which the energy, or a line, names by its number.

    A symmetric parameter has no entry of a unit with itself, so it needs two units.
    """
    least = dict.fromkeys(energy.layers, 1)
    for parameter in energy.parameters.values():
        if parameter.symmetric:
            least |= {layer.name: 2 for layer in parameter.layers if not isinstance(layer, KnownAxis)}
    for layer, number in numbered_units(energy.expression, *lines):
        least[layer.name] = max(least.get(layer.name, 1), number + 1)
    return least


def default_sizes(energy: Energy, *lines: Expr) -> dict[str, int]:
    """Return small sizes that differ from each layer to the next, so that no two axes can be mistaken for each other.

    A layer has every unit that the energy, or a line of a derivation, names by its number, and one more than the axes
    that a parameter has over it, so that a wrong index finds a unit of its own. Where there would be too many
    configurations to sum over, sizes are smaller, and some may be equal.
    """
    least = least_sizes(energy, lines)
    doubled = {
        layer.name: 1 + parameter.layers.count(layer)
        for parameter in energy.parameters.values()
        for layer in parameter.layers
        if parameter.layers.count(layer) > 1 and not isinstance(layer, KnownAxis)
    }
    sizes: dict[str, int] = {}
    for usual, differ in (((2, 3), True), ((2, 3), False), ((2, 2), False), ((1, 2), False), ((1, 1), False)):
        sizes, before = {}, 0
        for position, name in enumerate(energy.layers):
            size = max(least[name], usual[position % 2], doubled.get(name, 1) if differ else 1)
            before = sizes[name] = size + (differ and size == before)
        if bits(energy, sizes) <= MOST_BITS:
            break
    return sizes


def other_sizes(energy: Energy, sizes: Mapping[str, int], lines: Iterable[Expr] = ()) -> dict[str, int] | None:
    """Return sizes of which each is odd where the first is even; None if there are too many configurations to sum over.

    A line that holds at one set of sizes only, such as −a_0 v_0 − a_1 v_1 for −Σ_k a_k v_k or a product of n_v signs,
    fails at the other.
    """
    least = least_sizes(energy, lines)
    fewer = {name: size - 1 if size > max(2, least[name]) else size + 1 for name, size in sizes.items()}
    return fewer if bits(energy, fewer) <= MOST_BITS else None


def bits(energy: Energy, sizes: Mapping[str, int]) -> float:
    """Return the number of configurations that are summed over in a check, as a power of two."""
    # Of units with many states a few are summed over, those that stand in for them; given layers are not summed.
    most = {layer: max(map(len, stand_ins(layer))) for layer in energy.visible + energy.hidden}
    return sum(sizes[layer.name] * math.log2(states) for layer, states in most.items())


def checked_sizes(energy: Energy, sizes: Mapping[str, int], lines: Iterable[Expr] = ()) -> dict[str, int]:
    """Return sizes in the energy's order.

    Raises:
        SymbolicError: they do not name its layers, make a model too large to sum over, or one too small to have the
            units that the energy or a line names.
    """
    lines = tuple(lines)
    example = default_sizes(energy, *lines)
    if not isinstance(sizes, Mapping):
        raise SymbolicError(f"sizes maps layers to numbers of units, as in {example}. Got {sizes!r}.")
    if set(sizes) != set(energy.layers):
        raise SymbolicError(
            f"sizes name every layer of the energy once ({', '.join(energy.layers)}). Got {', '.join(sizes) or 'none'}."
        )
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise SymbolicError(f"the size of layer {name} is a whole number from 1. Got {size!r}.")
    least = least_sizes(energy, lines)
    short = [name for name, size in sizes.items() if size < least[name]]
    if short:
        raise SymbolicError(
            f"the size of layer {short[0]} must be at least {least[short[0]]}, for the units that the lines name. "
            f"Got {sizes[short[0]]}. Choose sizes such as {example}."
        )
    found = bits(energy, sizes)
    if found > MOST_BITS:
        raise SymbolicError(
            f"a check sums over all configurations, and layers of these sizes have 2^{found:.0f}; 2^{MOST_BITS} is the "
            f"most, and takes minutes. Choose smaller sizes, such as {example}."
        )
    return {name: sizes[name] for name in energy.layers}
