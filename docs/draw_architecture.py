"""``python -m docs.draw_architecture``: draw docs/architecture.svg, the rooms and what they import, from the code."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from benchmarks.house import FLOORS, PACKAGES, Module, imports, modules, room

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs/architecture.svg"

# Pixels. A line of small type has at most a character for each CHARACTER of width, in any usual sans-serif font.
WIDTH, MARGIN, BETWEEN, LANE = 430, 24, 92, 11
GAP, BESIDE, PADDING, TITLE, LINE, CHARACTER = 32, 12, 9, 17, 15, 6.4
HEADING = 58
STYLE = """
  svg { font-family: system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif }
  .heading { font-size: 20px; font-weight: 600 } .about { font-size: 12px }
  .name { font-size: 13.5px; font-weight: 600 }
  .small { font-size: 11px } .of { font-size: 11px; font-style: italic } .arrow { fill: none; stroke-width: 1.4 }"""
# Of each class: what is painted, by day and by night.
COLOURS = (
    (".paper", "fill", "#ffffff", "#14171f"),
    (".heading, .name, .small", "fill", "#1f2430", "#e6e9f0"),
    (".about, .of", "fill", "#5d6678", "#9aa4b8"),
    (".symbolic", "fill", "#e8f0fe", "#1d2a44"),
    (".symbolic", "stroke", "#5b86d6", "#6f9bea"),
    (".pgm_rbm", "fill", "#fdf1e0", "#3a2b17"),
    (".pgm_rbm", "stroke", "#d08b3a", "#dfa04f"),
    (".arrow", "stroke", "#98a2b3", "#6b7488"),
    (".head", "fill", "#98a2b3", "#6b7488"),
)
ABOUT = {
    "symbolic": "the mathematics: needs SymPy, and nothing of pgm_rbm",
    "pgm_rbm": "the models: ask symbolic for kernels and derivations",
}
LEGEND = (
    "A box is a room, with its files. A room imports rooms of lower floors.",
    "An arrow runs from a room to one that it imports; an arrow that",
    "follows from others is left out.",
    "In italics: what a room of pgm_rbm asks of symbolic.",
)


@dataclass
class Box:
    """A room as drawn: where, and the lines in it."""

    name: str
    title: str
    lines: Sequence[str]
    note: Sequence[str]
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0
    out: list[Box] = field(default_factory=list)
    into: list[Box] = field(default_factory=list)

    @property
    def package(self) -> str:
        return self.name.split(".")[0]

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    def port(self, other: Box, others: Sequence[Box]) -> float:
        """Return x of the arrow between this box and ``other``, one of ``others`` on the same side of this box."""
        place = sorted(others, key=lambda one: (one.middle, one.y)).index(other) + 1
        return self.x + self.width * place / (len(others) + 1)


def drawing(house: Mapping[str, Module]) -> str:
    """Return the picture of a house as SVG."""
    house = dict(house)
    uses = _uses(house)
    towers = [_tower(package, house, uses) for package in PACKAGES]
    boxes = {box.name: box for tower in towers for floor in tower for box in floor}
    for by, of in sorted(_needed({one: uses[one] for one in boxes})):
        if boxes[by].package == boxes[of].package:
            boxes[by].out.append(boxes[of])
            boxes[of].into.append(boxes[by])
    heights = [_place(tower, MARGIN + LANE * 3 + number * (WIDTH + BETWEEN)) for number, tower in enumerate(towers)]
    bottom = max(heights)
    for tower, height in zip(towers, heights, strict=True):
        for box in (box for floor in tower for box in floor):
            box.y += bottom - height
    parts = [
        part for tower in towers for part in (*_arrows(tower), *map(_box, (box for floor in tower for box in floor)))
    ]
    total = (2 * (MARGIN + LANE * 3) + 2 * WIDTH + BETWEEN, bottom + MARGIN)
    return "\n".join([*_frame(*total), *parts, *_captions(towers), "</svg>", ""])


# -- What is drawn -----------------------------------------------------------------------------------------------------


def _uses(house: dict[str, Module]) -> dict[str, set[str]]:
    """Return the rooms that each room imports; imports that run up, which the tests refuse, are left out."""
    floor = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    found: dict[str, set[str]] = {name: set() for name in floor}
    for one in imports(house):
        by, of = room(one.by), room(one.of)
        if floor.get(by, 0) > floor.get(of, 0):
            found[by].add(of)
    return found


def _needed(uses: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    """Return the imports that do not follow from others: from a to b, and by no third room from a to b."""

    def below(name: str) -> set[str]:
        return uses.get(name, set()).union(*(below(one) for one in uses.get(name, set())))

    return {
        (by, of)
        for by, rooms in uses.items()
        for of in rooms
        if of in uses and not any(of in below(other) for other in rooms - {of})
    }


def _tower(package: str, house: dict[str, Module], uses: Mapping[str, set[str]]) -> list[list[Box]]:
    """Return the floors of a package, the highest first, with the rooms that exist."""
    floors = []
    for floor in reversed(FLOORS):
        names = [name for name in floor if name.split(".")[0] == package]
        names = [name for name in names if any(room(module) == name for module in house)]
        if not names:
            continue
        # A room of four times the files is twice as wide.
        shares = [max(4, sum(room(module) == name for module in house)) ** 0.5 for name in names]
        unit = (WIDTH - BESIDE * (len(names) - 1)) / sum(shares)
        floors.append(
            [_described(name, unit * share, house, uses[name]) for name, share in zip(names, shares, strict=True)]
        )
    return floors


def _described(name: str, width: float, house: dict[str, Module], uses: set[str]) -> Box:
    letters = int((width - 2 * PADDING) / CHARACTER)
    files: dict[str, list[str]] = {}
    for module in house.values():
        parts = module.name[len(name) + 1 :].split(".")
        if room(module.name) == name and not module.is_package and parts != [""]:
            files.setdefault("/".join(parts[:-1]), []).append(parts[-1])
    lines = [
        line
        for folder, names in sorted(files.items())
        for line in textwrap.wrap(f"{folder + ': ' if folder else ''}{', '.join(sorted(names))}", letters)
    ]
    asked = sorted(one.removeprefix("symbolic.") for one in uses - {"symbolic"} if not one.startswith(name[:3]))
    note = textwrap.wrap(f"asks {', '.join(asked)}", letters) if asked else []
    return Box(name, _title(name, house[name]), lines if name not in PACKAGES else [], note, width=width)


def _title(name: str, module: Module) -> str:
    if name in PACKAGES:
        return f"import {name}"
    return name.split(".", 1)[1] + ("" if module.is_package else ".py")


# -- Where it stands ---------------------------------------------------------------------------------------------------


def _place(tower: list[list[Box]], left: float) -> float:
    """Place the boxes of a tower below its heading and return where it ends."""
    top = float(HEADING + MARGIN)
    for floor in tower:
        height = max(2 * PADDING + TITLE + LINE * (len(box.lines) + len(box.note)) for box in floor)
        x = left
        for box in floor:
            box.x, box.y, box.height = x, top, height
            x += box.width + BESIDE
        top += height + GAP
    return top - GAP


def _arrows(tower: list[list[Box]]) -> Iterator[str]:
    """Draw the arrows: to the next floor a curve, past a floor a line around the tower."""
    level = {id(box): number for number, floor in enumerate(tower) for box in floor}
    left, taken = tower[0][0].x, list[tuple[int, int, float, float]]()
    for box in (box for floor in tower for box in floor):
        for other in box.out:
            x, y = box.port(other, box.out), box.y + box.height
            end, top = other.port(box, other.into), other.y
            if level[id(other)] == level[id(box)] + 1:
                bend = (y + top) / 2
                path = f"M{x:.1f} {y:.1f}C{x:.1f} {bend:.1f} {end:.1f} {bend:.1f} {end:.1f} {top - 6:.1f}"
            else:
                side = -1 if x + end < 2 * left + WIDTH else 1
                busy = {lane for at, lane, high, low in taken if at == side and y < low and high < top}
                lane = next(lane for lane in range(1, len(busy) + 2) if lane not in busy)
                taken.append((side, lane, y, top))
                path = _around((x, y), (end, top), left + max(side, 0) * WIDTH + side * LANE * lane, lane)
            yield f'<path class="arrow" d="{path}"/>'
            yield f'<path class="head" d="M{end:.1f} {top:.1f}l-4 -8h8z"/>'


def _around(start: tuple[float, float], end: tuple[float, float], x: float, lane: int) -> str:
    """Return a path from ``start`` into the gap below, along it, down at ``x``, and along the gap above ``end``."""
    high, low = start[1] + 7 + 3 * lane, end[1] - 12 - 3 * lane
    points = [start, (start[0], high), (x, high), (x, low), (end[0], low), (end[0], end[1] - 6)]
    path = f"M{start[0]:.1f} {start[1]:.1f}"
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        one, two = _towards(here, before), _towards(here, after)
        path += f"L{one[0]:.1f} {one[1]:.1f}Q{here[0]:.1f} {here[1]:.1f} {two[0]:.1f} {two[1]:.1f}"
    return f"{path}L{points[-1][0]:.1f} {points[-1][1]:.1f}"


def _towards(here: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Return the point a few pixels from ``here`` on the way to ``other``."""
    length = abs(other[0] - here[0]) + abs(other[1] - here[1])
    part = min(6, length / 2) / (length or 1)
    return here[0] + part * (other[0] - here[0]), here[1] + part * (other[1] - here[1])


# -- SVG ---------------------------------------------------------------------------------------------------------------


def _frame(width: float, height: float) -> list[str]:
    day = "\n".join(f"  {classes} {{ {what}: {colour} }}" for classes, what, colour, _ in COLOURS)
    night = "\n".join(f"  {classes} {{ {what}: {colour} }}" for classes, what, _, colour in COLOURS)
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>The rooms of symbolic and pgm_rbm, floor by floor, and what each imports</title>",
        f"<style>{STYLE}\n{day}\n  @media (prefers-color-scheme: dark) {{\n{night}\n  }}\n</style>",
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}" rx="12"/>',
    ]


def _box(box: Box) -> str:
    x, y, width, height = (f"{number:.1f}" for number in (box.x, box.y, box.width, box.height))
    texts = [(box.title, "name"), *((line, "small") for line in box.lines), *((line, "of") for line in box.note)]
    rows = [f'<rect class="{box.package}" x="{x}" y="{y}" width="{width}" height="{height}" rx="7"/>']
    for number, (text, kind) in enumerate(texts):
        down = box.y + PADDING + 11 + (TITLE - 2 + LINE * (number - 1) if number else 0)
        rows.append(f'<text class="{kind}" x="{box.x + PADDING:.1f}" y="{down:.1f}">{escape(text)}</text>')
    return "\n".join(rows)


def _captions(towers: Sequence[list[list[Box]]]) -> Iterator[str]:
    for tower in towers:
        first = tower[0][0]
        yield f'<text class="heading" x="{first.x:.1f}" y="{first.y - 34:.1f}">{first.package}</text>'
        yield f'<text class="about" x="{first.x:.1f}" y="{first.y - 16:.1f}">{ABOUT[first.package]}</text>'
    for number, line in enumerate(LEGEND):
        yield f'<text class="about" x="{towers[0][0][0].x:.1f}" y="{MARGIN + 36 + 19 * number:.1f}">{line}</text>'


def main() -> None:
    PICTURE.write_text(drawing(modules(ROOT)), encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)} is drawn.")


if __name__ == "__main__":
    main()
