"""Words about layers and their states, and small changes of words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symbolic.language.layers import Layer
from symbolic.lecture.document import Inline, Prose
from symbolic.units import Circle, Integers, Interval, Sphere, StateValue, lookup

__all__ = ["capital", "in_signs", "listed", "prose", "slug", "states"]


def prose(*parts: Inline) -> Prose:
    """Return a paragraph of words and formulas in the line."""
    return Prose(parts)


def capital(words: str) -> str:
    """Return the words with a capital letter in front."""
    return words[:1].upper() + words[1:]


def listed(names: Iterable[str]) -> str:
    """Return names as "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def slug(words: str) -> str:
    """Return words as the id of a slide, in small letters and hyphens."""
    kept = "".join(c if c.isalnum() and c.isascii() else "-" for c in words.lower())
    return "-".join(part for part in kept.split("-") if part)


def states(layer: Layer) -> str:
    """Say which states one unit of the layer takes, as "0 or 1"."""
    domain = lookup(layer.unit).domain
    if isinstance(domain, Integers):
        if domain.last is None:
            return f"{domain.first}, {domain.first + 1}, …"
        if domain.last > domain.first + 3:
            return f"{domain.first}, {domain.first + 1}, … or {domain.last}"
        *others, last = map(str, range(domain.first, domain.last + 1))
        return f"{', '.join(others)} or {last}"
    if isinstance(domain, Interval):
        if domain.low is None:
            return "any real number" if domain.high is None else f"any number up to {domain.high}"
        return f"any number from {domain.low}" + (" up" if domain.high is None else f" to {domain.high}")
    if isinstance(domain, Circle):
        return "any angle from −π to π"
    if isinstance(domain, Sphere):
        return f"any direction in {domain.dimension} dimensions, a vector of length 1"
    *others, last = (str(state).replace("-", "−") for state in domain.states)
    return f"{', '.join(others)} or {last}"


def in_signs(layers: Sequence[Layer], configurations: Iterable[tuple[StateValue, ...]]) -> str:
    """Return a configuration of layers in signs: 101, or +−+ for spins."""
    words = []
    for layer, values in zip(layers, configurations, strict=True):
        states = lookup(layer.unit).states
        signs: dict[StateValue, str] = (
            {-1: "−", 0: "0", 1: "+"} if -1 in states else {state: str(state) for state in states}
        )
        words.append("".join(signs.get(value, f"({value})") for value in values))
    return " ".join(words)
