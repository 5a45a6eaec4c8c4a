"""The gradient of ln p(v): the split, Term A, Term B, and what they say about learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sympy import Mul, Pow, exp

from symbolic.check.verification import Verification
from symbolic.derivation.gradient import log_likelihood_gradient
from symbolic.derivation.rules import CATALOGUE, Rule
from symbolic.derivation.trace import Branch, Derivation, Step
from symbolic.language.layers import Configuration
from symbolic.language.parameters import Parameter
from symbolic.language.probability import LogPartition, Probability
from symbolic.lecture.document import Block, Card, Columns, Equation, Slide, Words
from symbolic.lecture.lesson.board import Board, subject_of
from symbolic.lecture.lesson.phrases import prose
from symbolic.lecture.lesson.verdicts import verdict, worst
from symbolic.notation.tree import EQUALS, MINUS, Marked, row
from symbolic.units import lookup

__all__ = ["gradient_slides", "other_gradients"]


def gradient_slides(board: Board, derivation: Derivation) -> tuple[Slide, ...]:
    """Return the slides that lead from ln p(v) to Term A − Term B."""
    checked = board.verify(derivation)
    where_from = [_where_from(board)] if board.energy.hidden else []
    fixed, free = "visible configuration fixed; average over the hidden ones", "average over every configuration"
    return (
        _split(board, derivation, checked),
        _term(board, derivation, checked, "A", "the data term", fixed),
        *where_from,
        _term(board, derivation, checked, "B", "the model term", free),
        _together(board, derivation, checked),
    )


def _split(board: Board, derivation: Derivation, checked: Verification) -> Slide:
    return Slide(
        "split",
        "How does ln p(v) change with one parameter?",
        (
            prose(
                "Learning raises the probability of the data. So we ask how ",
                board.show(derivation.subject.args[0]),
                " changes when one parameter, ",
                board.show(subject_of(derivation)),
                ", moves. The logarithm turns the quotient into a difference, and the derivative falls into two terms.",
            ),
            board.block(derivation["ln p(v)"], checked),
            prose("The first is ", Words("Term A", "A"), ", the second ", Words("Term B", "B"), "."),
        ),
        verdict=verdict([checked], "ln p(v)"),
    )


def _term(board: Board, derivation: Derivation, checked: Verification, term: str, name: str, remark: str) -> Slide:
    """Return the slide of Term A or Term B, with the whole question above it."""
    a, b = (Marked(key, board.show(derivation[f"Term {key}"].subject)) for key in "AB")
    goal = row(board.show(derivation.subject), EQUALS, a, MINUS, b)
    branch = derivation[f"Term {term}"]
    blocks = (board.block(branch, checked, term, goal),)
    return Slide(f"term-{term.lower()}", f"Term {term}: {name}", blocks, term, remark, verdict([checked], branch.name))


# Where the conditional probability comes from


def _remark(id: str, name: str, hint: str) -> str:
    """Enter a step that only the lecture takes: it states the next line, and the checker compares the two."""
    CATALOGUE[id] = Rule(id, name, hint, lambda node, context: context.closed_form)
    return id


_REMARKS = (
    _remark("lecture.conditional", "Conditional probability", "p(h | v) = p(v, h) / p(v)"),
    _remark("lecture.weights", "Boltzmann weights", "each probability is its weight ÷ Z"),
    _remark("lecture.cancel", "Z cancels", "the same constant above and below"),
)


def _where_from(board: Board) -> Slide:
    """Derive p(h | v) = p(v, h) / p(v), with the partition functions written out so that a reader sees them cancel."""
    function = board.energy.function
    visible = tuple(map(Configuration, board.energy.visible))
    hidden = tuple(map(Configuration, board.energy.hidden))
    inputs = function.inputs
    conditional = Probability(function, hidden, visible + inputs)
    joint, marginal = Probability(function, visible + hidden, inputs), Probability(function, visible, inputs)
    one_over_z = exp(-LogPartition(function))
    above = Mul(one_over_z, joint.numerator())
    below = Mul(one_over_z, marginal.numerator())
    lines = [
        conditional,
        joint / marginal,
        Mul(above, Pow(below, -1, evaluate=False), evaluate=False),
        conditional.definition(),
    ]
    steps = tuple(
        Step(rule, before, after, before, after)
        for rule, before, after in zip(_REMARKS, lines, lines[1:], strict=False)
    )
    name = "p(h | v)"
    chain = Derivation(board.energy, "conditional probability", (Branch(name, conditional, steps),), name)
    checked = board.verify(chain)
    added_up = "integral" if all(lookup(layer.unit).is_continuous for layer in board.energy.hidden) else "sum"
    return Slide(
        "conditional-probability",
        "Where does that conditional probability come from?",
        (
            prose(f"Term A divides each Boltzmann weight by the {added_up} over the hidden configurations only."),
            board.block(chain[name], checked),
        ),
        verdict=verdict([checked]),
    )


# What the two terms say together


def _together(board: Board, derivation: Derivation, checked: Verification) -> Slide:
    statistic = board.show(-derivation.energy.expression.diff(subject_of(derivation)))
    clamp = prose(
        "Clamp the visible units to a training configuration and average ",
        statistic,
        " over the hidden configurations it implies." if board.energy.hidden else ": one number, nothing to average.",
    )
    free = prose("Let every unit run free and average the same ", statistic, " over all configurations.")
    outcome = worst(c for c in checked.checks if c.branch == "Result")
    return Slide(
        "together",
        "The terms together: the basis of contrastive divergence",
        (
            Equation(board.conclusion(derivation), check=outcome, large=True),
            Columns(((Card("Data", (clamp,), "A"),), (Card("Model", (free,), "B"),))),
            prose(
                "Steps along this gradient raise ln p of the data. Term A pulls towards what the data make the "
                "model do, Term B pushes away from what the model does by itself. "
                + ("Term A is cheap. " if board.term_a_is_cheap else "")
                + "Term B sums over every configuration, so contrastive divergence estimates it from a few "
                "steps of sampling that start at the data.",
            ),
        ),
        verdict=verdict([checked], "Result"),
    )


def other_gradients(board: Board, parameters: Sequence[Parameter]) -> Slide:
    """Return a slide with the result for other parameters, each derived and checked like the first."""
    blocks: list[Block] = [prose("The same steps work for every parameter; only what multiplies it in −E differs.")]
    verifications = []
    for parameter in parameters:
        derivation = log_likelihood_gradient(board.energy, board.energy.entry(parameter))
        checked = board.verify(derivation)
        verifications.append(checked)
        blocks.append(Equation(board.conclusion(derivation), f"by {parameter.name}", worst(checked.checks)))
    found = verdict(verifications)
    if found is not None:
        found = replace(found, lines="lines of these derivations")
    return Slide("other-parameters", "The other parameters", tuple(blocks), verdict=found)
