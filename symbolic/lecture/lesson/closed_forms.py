"""What has a closed form, and why the rest has none: free energy, Term A, conditionals, ln Z."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sympy import Expr

from symbolic.derivation.marginal import conditional, free_energy, log_partition, phase
from symbolic.derivation.trace import Derivation
from symbolic.errors import NotSeparableError, SymbolicError
from symbolic.language.parse import parse_energy
from symbolic.lecture.document import Block, Inline, Slide
from symbolic.lecture.lesson.board import Board, subject_of
from symbolic.lecture.lesson.phrases import capital, prose, slug
from symbolic.lecture.lesson.verdicts import verdict
from symbolic.notation import words
from symbolic.units import lookup

__all__ = ["branch_slides", "closed_form_slides"]

_LEADS = {
    "the layer": "The whole layer: its probability is a product with one factor per unit.",
    "one unit": "So one unit has a distribution of its own:",
    "mean": "And a mean:",
}
_MEAN_OF_ZERO_AND_ONE = "And a mean, which for states 0 and 1 is the probability of being on:"


def branch_slides(board: Board, derivation: Derivation) -> tuple[Slide, ...]:
    """Return one slide per branch of a derivation, as it stands."""
    checked = board.verify(derivation)
    way = [prose(words.way(derivation))] if words.way(derivation) else []
    return tuple(
        Slide(
            slug(f"{derivation.kind} {branch.name}"),
            capital(branch.name),
            (board.block(branch, checked), *way),
            verdict=verdict([checked], branch.name),
        )
        for branch in derivation.branches
    )


def closed_form_slides(board: Board, gradient: Derivation | None) -> tuple[Slide, ...]:
    """Return the slides on sums over one layer, and on ln Z where that is in question."""
    energy = board.energy
    if len(energy.visible + energy.hidden) < 2:
        return ()
    slides: list[Slide] = []
    if energy.hidden:
        free = partial(free_energy, energy, energy.visible)
        slides.append(_slide(board, "free-energy", "The free energy", free, "hidden units summed out"))
    if gradient is not None and board.term_a_is_cheap:
        average = partial(phase, energy, subject_of(gradient), energy.visible)
        slides.append(_slide(board, "term-a-closed", "Term A in closed form", average))
    for layer in (*energy.hidden, *energy.visible):
        given = ", ".join(other.name for other in board.layers if other != layer)
        slides.append(
            _slide(
                board,
                f"conditional-{layer.name}",
                f"The units of {layer.name}, given {given}",
                partial(conditional, energy, layer),
                "independent of each other",
                partial(conditional, energy, layer, "single-site"),
            )
        )
    if not all(lookup(layer.unit).is_finite for layer in board.layers) or not board.term_a_is_cheap:
        summable = log_partition(energy).method != "enumeration"
        title = "The partition function" if summable else "What the partition function needs"
        slides.append(_slide(board, "partition-function", title, partial(log_partition, energy)))
    return tuple(slides)


def _slide(
    board: Board,
    key: str,
    title: str,
    derive: Callable[[], Derivation],
    remark: str = "",
    otherwise: Callable[[], Derivation] | None = None,
) -> Slide:
    """Return a slide on what has a closed form; else why it has none, and what there is instead."""
    blocks: list[Block] = []
    try:
        derivation = derive()
    except NotSeparableError as error:
        blocks.append(prose("There is no closed form here: ", *_reason(board, error)))
        if otherwise is None:
            return Slide(key, title, tuple(blocks))
        derivation, remark = otherwise(), "each given all others, those of its layer too"
    checked = board.verify(derivation)
    for branch in derivation.branches:
        if branch.name in _LEADS:
            on_or_off = branch.name == "mean" and _takes_zero_and_one(derivation)
            blocks.append(prose(_MEAN_OF_ZERO_AND_ONE if on_or_off else _LEADS[branch.name]))
        blocks.append(board.block(branch, checked))
    return Slide(key, title, tuple(blocks), remark=remark, verdict=verdict([checked]))


def _takes_zero_and_one(conditional: Derivation) -> bool:
    """Return whether the unit whose mean is derived has the states 0 and 1."""
    unit = lookup(conditional.subject.state.layer.unit)
    return unit.is_finite and unit.states == (0, 1)


def _reason(board: Board, error: NotSeparableError) -> tuple[Inline, ...]:
    """Return the first sentence of a refusal, its term set as a formula."""
    said = str(error).partition(". ")[0] + "."
    before, opening, rest = said.partition("the term ")
    text, closing, after = rest.partition(" of −E")
    if not closing:
        return (said,)
    try:
        term = _read(board, text)
    except SymbolicError:
        return (said,)
    return (before + opening, board.show(term), closing + after)


def _read(board: Board, text: str) -> Expr:
    """Return a term of the energy, multiplied out, from its text."""
    energy = board.energy
    visible, hidden, given = ({x.name: x.unit for x in side} for side in (energy.visible, energy.hidden, energy.given))
    axes = {name: tuple(x.name for x in p.layers) for name, p in energy.parameters.items() if name in text}
    symmetric = [name for name in axes if energy.parameters[name].symmetric and f"{name}[" in text]
    read = parse_energy(text, visible=visible, hidden=hidden, given=given, parameters=axes, symmetric=symmetric)
    return read.expression
