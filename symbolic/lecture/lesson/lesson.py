"""From a derivation's trace to a lecture, along the path of the lecture RBM Mathematics (module 11.2).

The lesson chooses what is said. Every formula comes from the trace or from the nodes' own definitions, and every tick
from :func:`~symbolic.check.verification.verify` on the very expressions that are shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from symbolic.derivation.gradient import log_likelihood_gradient
from symbolic.derivation.trace import Derivation
from symbolic.language.energy import Energy
from symbolic.lecture.document import Lecture, Meta, Section, Slide
from symbolic.lecture.lesson.board import Board
from symbolic.lecture.lesson.closed_forms import branch_slides, closed_form_slides
from symbolic.lecture.lesson.gradient import gradient_slides, other_gradients
from symbolic.lecture.lesson.model import model_slides
from symbolic.lecture.lesson.numbers import worked_example_slides
from symbolic.lecture.lesson.phrases import capital, listed
from symbolic.notation import words
from symbolic.units import lookup

__all__ = ["lecture_of_derivation", "lecture_of_energy"]


def lecture_of_derivation(derivation: Derivation) -> Lecture:
    """Return the lesson that leads to one result."""
    board = Board(derivation.energy)
    sections = [Section("The model", model_slides(board))]
    if derivation.kind == "gradient":
        sections.append(Section("The gradient of ln p(v)", gradient_slides(board, derivation)))
        sections += _section("A worked example", worked_example_slides(board, derivation))
    else:
        sections.append(Section(capital(derivation.kind), branch_slides(board, derivation)))
    return _lecture(board, sections, derivation)


def lecture_of_energy(energy: Energy) -> Lecture:
    """Return the whole lesson on an energy: gradient, closed forms and a worked example."""
    board = Board(energy)
    sections = [Section("The model", model_slides(board))]
    # The lesson learns the parameter that ties most layers together: the weight, not a bias, and not one that ties to
    # layers that are given.
    parameters = sorted(
        energy.parameters.values(),
        key=lambda p: (-len(set(p.layers) - set(energy.given)), -len(set(p.layers)), -len(p.layers), p.name),
    )
    gradient = log_likelihood_gradient(energy, energy.entry(parameters[0])) if parameters else None
    if gradient is not None:
        slides = gradient_slides(board, gradient)
        if parameters[1:]:
            slides += (other_gradients(board, sorted(parameters[1:], key=lambda p: p.name)),)
        sections.append(Section("The gradient of ln p(v)", slides))
    sections += _section("Summing one layer out", closed_form_slides(board, gradient))
    if gradient is not None:
        sections += _section("A worked example", worked_example_slides(board, gradient))
    return _lecture(board, sections, gradient)


def _section(title: str, slides: tuple[Slide, ...]) -> list[Section]:
    return [Section(title, slides)] if slides else []


def _lecture(board: Board, sections: Sequence[Section], derivation: Derivation | None) -> Lecture:
    kinds = listed(dict.fromkeys(words.kind(lookup(layer.unit).name) for layer in board.layers))
    number = len(board.layers)
    count = {1: "one layer", 2: "two layers", 3: "three layers"}.get(number, f"{number} layers")
    asked = derivation.kind if derivation is not None and derivation.kind != "gradient" else "gradient of ln p(v)"
    meta = Meta(
        subtitle=f"From the energy to the {asked}: {count} of {kinds} units",
        formula=None if derivation is None else board.conclusion(derivation),
        verdict=board.verdict(),
    )
    title = (
        "The mathematics of restricted Boltzmann machines" if board.is_restricted else "The mathematics of an energy"
    )
    return Lecture(title, meta, tuple(sections))
