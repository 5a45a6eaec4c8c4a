"""A lecture as data: what is said, in which order, and nothing about markup.

Writers read this and nothing else. Formulas are trees (:mod:`symbolic.notation.tree`). Their parts may be marked
``"new"`` (what a step made), ``"old"`` (what the next step rewrites), ``"A"`` or ``"B"`` (a term's colour).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from symbolic.notation.tree import Setting
from symbolic.verbs import LectureVerbs

__all__ = [
    "Block",
    "Card",
    "Cell",
    "Code",
    "Columns",
    "DerivationBlock",
    "Equation",
    "Exercise",
    "Figure",
    "Graph",
    "GraphLayer",
    "Inline",
    "Lecture",
    "Line",
    "Meta",
    "Outcome",
    "Prose",
    "Section",
    "Slide",
    "Table",
    "Verdict",
    "Words",
]


@dataclass(frozen=True)
class Words:
    """Words in the colour of a term, ``"A"`` or ``"B"``."""

    text: str
    term: str


Inline: TypeAlias = str | Words | Setting
"""A piece of a sentence: words, or a formula in the line."""

Cell: TypeAlias = str | Words | Fraction | Setting
"""What stands in a table: words, an exact number, or a formula."""


Outcome: TypeAlias = Literal["exact", "numeric", "failed", "unchecked", ""]
"""How a check went: passed exactly, passed in 30-digit numbers, failed, could not be made, or none was asked."""


@dataclass(frozen=True)
class Verdict:
    """What was checked, in what model, and how it went.

    Attributes:
        passed, total: how many of how many lines passed.
        models: for each small model, layer name and number of units, in the energy's order.
        failures: for each check that failed, where and why.
        lines: what is counted, where the slide does not show all of it.
        numeric: how many of the lines were evaluated in 30-digit numbers, with infinite sums and integrals carried out.
        unchecked: for each line that could not be evaluated, where and why; it neither passed nor failed.
        stand_ins: layer name and the sets of states that stood in for its units' own in sums over the whole layer.
    """

    passed: int
    total: int
    models: tuple[tuple[tuple[str, int], ...], ...]
    failures: tuple[str, ...] = ()
    lines: str = "lines"
    numeric: int = 0
    unchecked: tuple[str, ...] = ()
    stand_ins: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __bool__(self) -> bool:
        return self.total > 0 and self.passed == self.total and not self.failures and not self.unchecked

    @property
    def outcome(self) -> Outcome:
        """The worst that happened: ``"failed"``, else ``"unchecked"``, else ``"numeric"``, else ``"exact"``."""
        if self:
            return "numeric" if self.numeric else "exact"
        return "failed" if self.failures or not self.unchecked else "unchecked"

    def summary(self) -> str:
        """Say how it went, in a few words."""
        if self:
            counted = "the line is" if self.total == 1 else f"all {self.total} {self.lines} are"
            return f"{counted} checked:"
        failed, unknown = self.total - self.passed - len(self.unchecked), len(self.unchecked)
        counts = [f"{max(failed, 1)} of {self.total} {self.lines} FAILED their check"] * (self.outcome == "failed")
        counts += [f"{unknown} of {self.total} {self.lines} could not be checked"] * bool(unknown)
        return f"{', and '.join(counts)}:"

    def how(self) -> str:
        """Say in which models, and with which arithmetic."""
        models = [" and ".join(f"{size} of {name}" for name, size in one) for one in self.models]
        where = ", and one with ".join(models).replace(" of ", " units of ", 1)
        said = f"each evaluated before and after its step, exactly, in a small model with {where}."
        if self.numeric:
            lines = "one line is" if self.numeric == 1 else f"{self.numeric} lines are"
            said = said.replace("exactly, ", "")
            said += (
                f" Lines marked ✓ agree exactly; {lines} marked ✓≈: evaluated in 30-digit numbers, with sums over all "
                "states and integrals carried out."
            )
        for name, sets in self.stand_ins:
            said += (
                f" In sums over the whole layer {name}, the states {' and '.join(sets)} stand in for its units' own."
            )
        return said

    def limits(self) -> str:
        """Say what such a check means, and what it does not."""
        said = (
            "The check evaluates lines as they are printed, in exact arithmetic in a finite field, with parameters "
            "and states drawn at random; a wrong line would pass with a probability of one in 10¹⁵ at most. It holds "
            "for models of the sizes stated: it tests the derivation there, and does not prove it for all sizes."
        )
        if self.stand_ins:
            said += (
                " A line that holds whatever the states are may be tested with a few of them, which stand in for many. "
                "A line about the states of one unit is evaluated over all of them: those marked ✓≈ in numbers of 30 "
                "digits, which agree to 26 or more."
            )
        return said


@dataclass(frozen=True)
class Prose:
    parts: tuple[Inline, ...]


@dataclass(frozen=True)
class Equation:
    """A displayed formula.

    Attributes:
        layout: the formula.
        caption: in a few words, what it is.
        check: how its check went, where it has one.
        large: whether it is what the slide arrives at.
    """

    layout: Setting
    caption: str = ""
    check: Outcome = ""
    large: bool = False

    @property
    def passed(self) -> bool | None:
        """The verdict of the check; None if there was none."""
        return None if self.check in {"", "unchecked"} else self.check != "failed"


@dataclass(frozen=True)
class Line:
    """One line of a derivation: what the line before becomes.

    Attributes:
        layout: the right-hand side, with what is new in it and what changes next marked.
        rule: key of the rule in :data:`symbolic.derivation.rules.CATALOGUE`, or of a lecture's own remark.
        name, hint: the rule for people, and the rule in one short line.
        check: how the check of this very line went; empty if there was none.
        reason: why it failed or could not be checked.
        condition: what has to hold for this step, such as "q_j > 0 for every j"; empty if it always holds.
    """

    layout: Setting
    rule: str
    name: str
    hint: str
    check: Outcome
    reason: str = ""
    condition: tuple[Inline, ...] = ()

    @property
    def passed(self) -> bool | None:
        """The verdict of the check; None if there was none, or the line could not be evaluated."""
        return None if self.check in {"", "unchecked"} else self.check != "failed"


@dataclass(frozen=True)
class DerivationBlock:
    """``subject`` = line = line ...; ``goal`` reminds above it of what the whole derivation is for."""

    subject: Setting
    lines: tuple[Line, ...]
    goal: Setting | None = None


@dataclass(frozen=True)
class Table:
    """Exact numbers in columns.

    Attributes:
        caption: a sentence for the table.
        header: one cell per column; the first column holds the rows' names.
        rows: cells, fractions kept exact.
        total: a last row, such as column sums; empty for none.
        decimals: (column, digits): that column is also shown rounded, in a column of its own beside it.
        highlighted: the row that the text speaks of.
    """

    caption: tuple[Inline, ...]
    header: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] = ()
    decimals: tuple[int, int] | None = None
    highlighted: int | None = None


@dataclass(frozen=True)
class GraphLayer:
    """A layer of a model's picture; ``role`` is ``"visible"``, ``"hidden"`` or ``"given"``."""

    name: str
    role: str
    units: tuple[Setting, ...]


@dataclass(frozen=True)
class Graph:
    """The units of a small model and the pairs that interact, as ((layer, unit), (layer, unit)) by zero-based place.

    ``emphasised`` is one of the edges, and ``label`` the parameter that stands on it.
    """

    layers: tuple[GraphLayer, ...]
    edges: tuple[tuple[tuple[int, int], tuple[int, int]], ...]
    emphasised: int | None = None
    label: Setting | None = None


@dataclass(frozen=True)
class Figure:
    graph: Graph
    alt: str
    caption: tuple[Inline, ...] = ()


@dataclass(frozen=True)
class Card:
    """A framed remark, in a term's colour where ``term`` is ``"A"`` or ``"B"``."""

    title: str
    blocks: tuple[Block, ...]
    term: str = ""


@dataclass(frozen=True)
class Columns:
    """Blocks side by side where there is room."""

    columns: tuple[tuple[Block, ...], ...]


@dataclass(frozen=True)
class Exercise:
    prompt: tuple[Inline, ...]
    solution: tuple[Block, ...]


@dataclass(frozen=True)
class Code:
    language: str
    text: str


Block: TypeAlias = Prose | Equation | DerivationBlock | Table | Figure | Card | Columns | Exercise | Code


@dataclass(frozen=True)
class Slide:
    """One thought, with its evidence.

    Attributes:
        id: stable, for links.
        title: what it says.
        blocks: in reading order.
        term: ``"A"``, ``"B"`` or nothing: the term it belongs to.
        remark: a few words beside the title.
        verdict: what was checked of it.
        notes: for the speaker.
    """

    id: str
    title: str
    blocks: tuple[Block, ...]
    term: str = ""
    remark: str = ""
    verdict: Verdict | None = None
    notes: str = ""


@dataclass(frozen=True)
class Section:
    title: str
    slides: tuple[Slide, ...]


@dataclass(frozen=True)
class Meta:
    """``subtitle`` is under the title, ``formula`` is what the lesson arrives at, ``verdict`` sums up all checks."""

    subtitle: str = ""
    formula: Setting | None = None
    verdict: Verdict | None = None
    language: str = "en"


@dataclass(frozen=True)
class Lecture(LectureVerbs):
    """A lesson: sections of slides, ready for a writer."""

    title: str
    meta: Meta
    sections: tuple[Section, ...]

    @property
    def slides(self) -> tuple[Slide, ...]:
        return tuple(slide for section in self.sections for slide in section.slides)


def walk(blocks: tuple[Block, ...]) -> Iterator[Block]:
    """Yield all blocks, also those inside cards, columns and solutions."""
    for block in blocks:
        yield block
        if isinstance(block, Card):
            yield from walk(block.blocks)
        elif isinstance(block, Columns):
            for column in block.columns:
                yield from walk(column)
        elif isinstance(block, Exercise):
            yield from walk(block.solution)
