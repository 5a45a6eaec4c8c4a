"""The board of one lesson: how its energy is written, and what was checked of it so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from sympy import Expr, exp

from symbolic.check.verification import Check, Verification, verify
from symbolic.derivation.marginal import free_energy
from symbolic.derivation.trace import Branch, Derivation, Step
from symbolic.errors import SymbolicError
from symbolic.language.energy import Energy
from symbolic.language.layers import Configuration, Index, Layer
from symbolic.language.parameters import Entry
from symbolic.language.probability import LogPartition
from symbolic.lecture.document import DerivationBlock, Line, Verdict
from symbolic.lecture.lesson.edges import coupled
from symbolic.lecture.lesson.verdicts import outcome, verdict
from symbolic.notation import words
from symbolic.notation.tree import EQUALS, MINUS, Marked, Setting, row
from symbolic.notation.typeset import typeset

__all__ = ["Board", "first_place", "numbered", "subject_of"]


class Board:
    """Writes formulas of one energy, and keeps all verifications of its lesson."""

    def __init__(self, energy: Energy):
        self.energy = energy
        self.layers = energy.visible + energy.hidden + energy.given
        self.coupled = coupled(energy.expression, self.layers)
        self.verifications: list[Verification] = []

    # What is known of the energy

    @cached_property
    def is_restricted(self) -> bool:
        """Whether the model is a restricted Boltzmann machine: two layers, and no edge within one."""
        energy = self.energy
        two = len(energy.visible) == 1 and len(energy.hidden) == 1 and not energy.given
        return two and self.coupled == [(energy.visible[0], energy.hidden[0])]

    @cached_property
    def term_a_is_cheap(self) -> bool:
        """Whether the hidden layers fall apart into units, given the visible ones."""
        try:
            free_energy(self.energy, self.energy.visible)
        except SymbolicError:
            return not self.energy.hidden
        return True

    def role(self, layer: Layer) -> str:
        """Return ``"visible"``, ``"hidden"`` or ``"given"``."""
        return "visible" if layer in self.energy.visible else "hidden" if layer in self.energy.hidden else "given"

    # Formulas

    def show(
        self,
        expression: Expr,
        marks: Mapping[Expr, str] | None = None,
        names: Mapping[Index, str] | None = None,
    ) -> Setting:
        """Return the setting of an expression, its layers in the lesson's order."""
        return typeset(expression, layers=self.layers, marks=marks, names=names)

    def unit(self, layer: Layer, place: int) -> Setting:
        """Return the state of one unit, numbered from 1, such as h_2 at place 1."""
        index = self.energy.index_of[layer][0]
        return self.show(Configuration(layer)[index], names={index: str(place + 1)})

    def entry(self, entry: Entry, places: tuple[int, ...] | None = None) -> Setting:
        """Return an entry with numbers, counted from 1, for its indices; the first entry unless places are named."""
        return self.show(entry, names=numbered(entry, places))

    def partition_function(self) -> Setting:
        """Return Z, or Z(x) where layers are given."""
        return self.show(exp(LogPartition(self.energy.function)))

    def conclusion(self, derivation: Derivation) -> Setting:
        """Return what was asked = what was found, the two terms of a gradient in their colours."""
        subject = self.show(derivation.subject)
        if derivation.kind != "gradient":
            return row(subject, EQUALS, self.show(derivation.result))
        a, b = self.show(derivation.term_a), self.show(derivation.term_b)
        return row(subject, EQUALS, Marked("A", a), MINUS, Marked("B", b))

    # Derivations

    def verify(self, derivation: Derivation) -> Verification:
        """Check a derivation and keep the verification."""
        verification = verify(derivation)
        self.verifications.append(verification)
        return verification

    def verdict(self) -> Verdict | None:
        """Sum up everything that was checked so far."""
        found = verdict(self.verifications) if self.verifications else None
        return None if found is None else replace(found, lines="lines of all derivations")

    def block(
        self, branch: Branch, verification: Verification, term: str = "", goal: Setting | None = None
    ) -> DerivationBlock:
        """Return a branch as its lines, each with the outcome of its check."""
        first = branch.steps[0] if branch.steps else None
        marks = {} if first is None or first.focus_before == branch.subject else {first.focus_before: "old"}
        subject = self.show(branch.subject, marks)
        checks = [verification.check(branch.name, place) for place in range(len(branch.steps))]
        following = [*branch.steps, None][1:]
        lines = [self._line(*step, term) for step in zip(branch.steps, following, checks, strict=True)]
        return DerivationBlock(Marked(term, subject) if term else subject, tuple(lines), goal)

    def _line(self, step: Step, following: Step | None, check: Check | None, term: str) -> Line:
        """Return one line: what its step made is marked as new, what the next step rewrites as old."""
        marks: dict[Expr, str] = {}
        whole = ["new"] if following is None or step.focus_after == step.after else []
        if not whole:
            marks[step.focus_after] = "new"
        if following is not None and following.focus_before in (step.after, -step.after):
            whole.append("old")
        elif following is not None:
            both = following.focus_before in marks
            marks[following.focus_before] = "new old" if both else "old"
        setting = self.show(step.after, marks)
        if following is None:
            whole.insert(0, term)
        if whole:
            setting = Marked(" ".join(filter(None, whole)), setting)
        name, hint = words.name_and_hint(step)
        reason = check.detail if check is not None and not check.passed else ""
        return Line(setting, step.rule, name, hint, outcome(check), reason, words.condition(step, self.layers))


def subject_of(gradient: Derivation) -> Entry:
    """Return the entry of a parameter that a gradient is taken by."""
    entry = gradient.subject.args[1][0]
    assert isinstance(entry, Entry)
    return entry


def first_place(entry: Entry) -> tuple[int, ...]:
    """Return the first place of a parameter whose units are all different: a unit has no coupling with itself."""
    layers = entry.parameter.layers
    return tuple(layers[:axis].count(layer) for axis, layer in enumerate(layers))


def numbered(entry: Entry, places: tuple[int, ...] | None = None) -> dict[Index, str]:
    """Return numbers, counted from 1, for the indices of an entry."""
    chosen = places or first_place(entry)
    return {
        index: str(place + 1) for index, place in zip(entry.indices, chosen, strict=True) if isinstance(index, Index)
    }
