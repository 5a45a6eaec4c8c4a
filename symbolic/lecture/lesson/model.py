"""The model: its energy and its picture, and how probabilities come from energies."""

from __future__ import annotations

from sympy import exp

from symbolic.language.layers import Configuration
from symbolic.language.probability import Probability
from symbolic.lecture.document import Block, Columns, Equation, Figure, Graph, GraphLayer, Inline, Slide
from symbolic.lecture.lesson.board import Board
from symbolic.lecture.lesson.phrases import listed, prose, states
from symbolic.notation import words
from symbolic.notation.tree import EQUALS, Identifier, Operator, Setting, comma_row, row
from symbolic.notation.width import width
from symbolic.units import lookup

__all__ = ["model_slides"]

_WIDTH_BESIDE_PICTURE = 24  # em of the math font: half of a page of full width, less its margins


def model_slides(board: Board) -> tuple[Slide, ...]:
    """Return the slides on the energy and on the probabilities that it gives."""
    return _energy_slide(board), _probabilities_slide(board)


# The energy and its picture


def _energy_slide(board: Board) -> Slide:
    energy = board.energy
    equation = Equation(row(board.show(energy.call), EQUALS, board.show(energy.expression)))
    # A long energy would be cut off beside the picture.
    is_long = width(equation.layout) > _WIDTH_BESIDE_PICTURE
    indices: list[Inline] = []
    for layer in board.layers:
        joint = " and " if layer == board.layers[-1] else ", "
        indices += [joint] if indices else []
        indices.append(board.show(energy.index_of[layer][0]))
    says: list[Block] = [prose(*_what_it_is(board)), *([] if is_long else [equation])]
    says.append(
        prose(
            "The energy gives every joint configuration a number. Its sums run over dummy indices, so that ",
            *indices,
            " stay free to name one unit of each layer.",
        )
    )
    title = "A restricted Boltzmann machine" if board.is_restricted else "The model and its energy"
    beside = Columns((tuple(says), (_figure(board),)))
    return Slide("model", title, (equation, beside) if is_long else (beside,))


def _what_it_is(board: Board) -> tuple[Inline, ...]:
    if board.is_restricted:
        v, h = board.layers
        return (
            "Two layers of units, and no edge inside a layer: each visible unit ",
            board.show(board.energy.unit_state(v)),
            f" ({states(v)}) is tied to each hidden unit ",
            board.show(board.energy.unit_state(h)),
            f" ({states(h)})." if v.unit != h.unit else ", which takes the same values.",
        )
    parts: list[Inline] = ["The layers are "]
    for position, layer in enumerate(board.layers):
        said = f" ({board.role(layer)}, {states(layer)})"
        parts += [", " if position else "", board.show(Configuration(layer)), said]
    return (*parts, ".")


def _figure(board: Board) -> Figure:
    sizes = {layer: (3 if place == 0 else 2) for place, layer in enumerate(board.layers)}
    layers = tuple(
        GraphLayer(layer.name, board.role(layer), tuple(board.unit(layer, place) for place in range(size)))
        for layer, size in sizes.items()
    )
    edges: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for a, b in board.coupled:
        x, y = board.layers.index(a), board.layers.index(b)
        edges += [((x, s), (y, t)) for s in range(sizes[a]) for t in range(sizes[b]) if x != y or s < t]
    emphasised, label = _emphasis(board, edges)
    counts = " and ".join(f"{size} units of layer {layer.name}" for layer, size in sizes.items())
    alt = f"The graph of a small model with {counts}."
    if board.is_restricted:
        alt += " It is bipartite: every visible unit is joined to every hidden unit, and no edge runs inside a layer."
    return Figure(Graph(layers, tuple(edges), emphasised, label), alt)


def _emphasis(board: Board, edges: list[tuple[tuple[int, int], tuple[int, int]]]) -> tuple[int | None, Setting | None]:
    """Return the place of the first edge that carries a weight, and that weight."""
    given = set(board.energy.given)
    for parameter in sorted(board.energy.parameters.values(), key=lambda p: (bool(given & {*p.layers}), p.name)):
        if len(parameter.layers) != 2 or parameter.layers[0] == parameter.layers[1]:
            continue
        if not set(parameter.layers) <= set(board.layers):
            continue
        first, second = ((board.layers.index(layer), 0) for layer in parameter.layers)
        if (first, second) in edges:
            return edges.index((first, second)), board.entry(board.energy.entry(parameter))
    return None, None


# From energies to probabilities


def _probabilities_slide(board: Board) -> Slide:
    energy = board.energy
    function = energy.function
    summed = energy.visible + energy.hidden
    joint = Probability(function, tuple(map(Configuration, summed)), function.inputs)
    real = [layer for layer in summed if lookup(layer.unit).is_continuous]
    added_up = "integral" if len(real) == len(summed) else "sum"
    over = ""
    if real and added_up == "sum":
        over = f", with an integral where units are real numbers ({listed(layer.name for layer in real)})"
    blocks: list[Block] = [
        prose(
            "The lower its energy, the more probable a configuration: ",
            row(board.show(joint), Operator("∝"), board.show(exp(-energy.call))),
            f". Dividing by the {added_up} over all configurations{over}, the partition function ",
            board.partition_function(),
            f", makes {'densities' if real else 'probabilities'} of the weights.",
            *_about_given(board),
        ),
        Equation(row(board.show(joint), EQUALS, board.show(joint.definition())), "joint configuration"),
    ]
    if energy.hidden:
        marginal = Probability(function, tuple(map(Configuration, energy.visible)), function.inputs)
        bound = [function.bound(layer) for layer in summed]
        blocks += [
            Equation(row(board.show(marginal), EQUALS, board.show(marginal.definition())), "visible configuration"),
            prose(
                "The probability of a visible configuration adds up all joint configurations that contain it. ",
                "The labels ",
                comma_row([Identifier(c.label) for c in bound]),
                " count configurations: " if not real else " name configurations: ",
                board.show(bound[-1]),
                f" is one of the configurations of layer {bound[-1].layer.name}.",
            ),
        ]
    return Slide("probabilities", "From energies to probabilities", (*blocks, *_base_measures(board)))


def _about_given(board: Board) -> tuple[Inline, ...]:
    """Say that layers are clamped in everything that follows."""
    inputs = board.energy.function.inputs
    if not inputs:
        return ()
    return (
        " The model is a conditional one: ",
        comma_row([board.show(c) for c in inputs]),
        " is given, stands behind the bar in every probability, and no sum runs over it.",
    )


def _base_measures(board: Board) -> list[Block]:
    """Say what μ is, for layers whose sums count states with a weight."""
    blocks: list[Block] = []
    spikes: list[Block] = []
    for layer in board.energy.visible + board.energy.hidden:
        if lookup(layer.unit).base is not None:
            shown = words.measure(layer, board.energy.index_of[layer][0])
            blocks.append(Equation(shown, f"base measure of {layer.name}"))
        if words.atoms(layer):
            spikes.append(prose(f"{words.atoms(layer)}."))
    if blocks:
        said = prose(
            "Sums and integrals over these layers count a state with the weight ",
            Identifier("μ"),
            ", and probabilities are relative to it: a state's own probability is ",
            Identifier("μ"),
            " times what is written as ",
            Identifier("p"),
            ".",
        )
        blocks.insert(0, said)
    return [*blocks, *spikes]
