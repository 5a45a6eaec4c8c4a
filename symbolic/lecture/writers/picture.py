"""The picture of a small model: its units as circles, its couplings as edges, in SVG."""

from __future__ import annotations

from html import escape

from symbolic.lecture.document import Graph
from symbolic.notation import mathml
from symbolic.notation.tree import Identifier, Marked, Number, Row, Script, Setting

__all__ = ["svg"]

_WIDTH, _HEIGHT, _RADIUS = 520, 300, 29


def svg(graph: Graph, alt: str) -> str:
    """Return the picture as an ``<svg>`` element; ``alt`` says in words what it shows."""
    height = max(_HEIGHT, 150 * len(graph.layers))
    places = _places(graph, height)
    parts = []
    for number, (a, b) in enumerate(graph.edges):
        kind = "edge emphasised" if number == graph.emphasised else "edge"
        (x, y), (p, q) = places[a], places[b]
        if a[0] == b[0]:
            # An arc within a layer passes clear of the units between its ends.
            lift = 70 * abs(a[1] - b[1]) * (1 if a[0] else -1)
            parts.append(f'<path class="{kind}" d="M{x:g} {y:g} Q{(x + p) / 2:g} {y - lift:g} {p:g} {q:g}"/>')
        elif abs(a[0] - b[0]) > 1:
            # One that passes layers runs outside of their units.
            left, right = (sorted(place[0] for place in places.values())[end] for end in (0, -1))
            side = right + 60 if x + p > left + right else left - 60
            parts.append(f'<path class="{kind}" d="M{x:g} {y:g} C{side:g} {y:g} {side:g} {q:g} {p:g} {q:g}"/>')
        else:
            parts.append(f'<line class="{kind}" x1="{x:g}" y1="{y:g}" x2="{p:g}" y2="{q:g}"/>')
    for depth, layer in enumerate(graph.layers):
        y = places[depth, 0][1]
        for number, unit in enumerate(layer.units):
            x = places[depth, number][0]
            parts.append(f'<circle class="unit {escape(layer.role)}" cx="{x:g}" cy="{y:g}" r="{_RADIUS}"/>')
            parts.append(f'<text x="{x:g}" y="{y + 7:g}" text-anchor="middle" font-size="25">{_svg_text(unit)}</text>')
        parts.append(f'<text class="layer" x="8" y="{y + 5:g}" font-size="16">{escape(layer.role)}</text>')
    if graph.emphasised is not None and graph.label is not None:
        (x, y), (p, q) = (places[end] for end in graph.edges[graph.emphasised])
        parts.append(
            f'<text class="weight" x="{(x + p) / 2 - 22:g}" y="{(y + q) / 2:g}" text-anchor="end" '
            f'font-size="24">{_svg_text(graph.label)}</text>'
        )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(alt)}">'
        f"<title>{escape(alt)}</title>{''.join(parts)}</svg>"
    )


def _places(graph: Graph, height: int) -> dict[tuple[int, int], tuple[float, float]]:
    """Return where each unit stands: visible layers at the bottom, the units of a layer evenly spread."""
    places = {}
    rows = len(graph.layers)
    left, right = 130.0, _WIDTH - 50.0
    margin = 92 if any(a[0] == b[0] for a, b in graph.edges) else 50
    for depth, layer in enumerate(graph.layers):
        y = height - margin - (height - 2 * margin) * (depth / (rows - 1) if rows > 1 else 0.5)
        step = (right - left) / len(layer.units)
        for number in range(len(layer.units)):
            places[depth, number] = (left + step * (number + 0.5), y)
    return places


def _svg_text(setting: Setting) -> str:
    """Return a short label, such as w with the subscript 11, as SVG text in the letters of the math font."""
    match setting:
        case Identifier(name, bold):
            return escape("".join((mathml.bold if bold else _italic_letter)(c) for c in name))
        case Number(text):
            return escape(text)
        case Row(items):
            return "".join(map(_svg_text, items))
        case Marked(_, body):
            return _svg_text(body)
        case Script(base, below, _) if below is not None:
            return f'{_svg_text(base)}<tspan dy="6" font-size="70%">{_svg_text(below)}</tspan>'
        case Script(base):
            return _svg_text(base)
    return escape(getattr(setting, "symbol", ""))


def _italic_letter(letter: str) -> str:
    if letter == "h":
        return "ℎ"
    code = ord(letter)
    for first, last, target in ((0x41, 0x5A, 0x1D434), (0x61, 0x7A, 0x1D44E), (0x3B1, 0x3C9, 0x1D6FC)):
        if first <= code <= last:
            return chr(target + code - first)
    return letter
