"""The worked example's slides: a small model whose numbers a student can check."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from sympy import Expr, exp
from sympy.core.basic import Basic

from symbolic.derivation.trace import Derivation
from symbolic.errors import CheckError
from symbolic.language.binders import ConfigSum
from symbolic.language.energy import Energy
from symbolic.language.layers import Configuration, Index, Layer
from symbolic.language.parameters import Entry
from symbolic.language.probability import LogPartition, Probability
from symbolic.lecture.document import Block, Cell, Columns, Equation, Exercise, Inline, Slide, Table, Words
from symbolic.lecture.lesson.board import Board, first_place, numbered, subject_of
from symbolic.lecture.lesson.phrases import in_signs, listed, prose
from symbolic.lecture.lesson.worked_example import WorkedExample
from symbolic.notation.tree import (
    EQUALS,
    MINUS,
    NEGATIVE,
    FunctionName,
    Marked,
    Number,
    Operator,
    Setting,
    comma_row,
    row,
)
from symbolic.notation.tree import Fraction as Quotient
from symbolic.units import StateValue, lookup

__all__ = ["worked_example_slides"]

_MOST_ROWS = 16  # rows of a table that fit a slide
_UNIT = row(FunctionName("ln"), Number("2"))


def worked_example_slides(board: Board, derivation: Derivation) -> tuple[Slide, ...]:
    """Return two slides of numbers for a gradient; none where the energy has no hidden layer or no rational numbers."""
    if not board.energy.hidden:
        return ()
    try:
        example = WorkedExample(board.energy)
        entry = subject_of(derivation)
        first = zip(entry.indices, first_place(entry), strict=True)
        at = {**example.clamped(), **{index: place for index, place in first if isinstance(index, Index)}}
        worked = _Worked(board, derivation, example, entry, at)
        return _tables_slide(worked), _gradient_slide(worked)
    except CheckError:
        return ()


@dataclass(frozen=True)
class _Worked:
    """A gradient in a model of numbers: the entry it is taken by, and the clamped states and places."""

    board: Board
    derivation: Derivation
    example: WorkedExample
    entry: Entry
    at: dict[Basic, object]

    @property
    def energy(self) -> Energy:
        return self.board.energy

    @property
    def clamped(self) -> str:
        """The data, in signs."""
        return in_signs(self.energy.visible, map(self.example.data, self.energy.visible))

    def show(self, expression: Expr) -> Setting:
        """Set an expression with the numbers of the entry's place for its indices."""
        return self.board.show(expression, names=numbered(self.entry))

    def number(self, expression: Expr, also: dict[Basic, object] | None = None) -> Fraction:
        return self.example.number(expression, {**self.at, **(also or {})})

    def terms(self, also: dict[Basic, object] | None = None) -> tuple[Fraction, Fraction]:
        """Return the values of Term A and Term B."""
        return self.number(self.derivation.term_a, also), self.number(self.derivation.term_b, also)

    def statistic(self, *configurations: Expr) -> Expr:
        """Return −∂E/∂θ at configurations."""
        return -self.energy.function(*configurations).definition().diff(self.entry)


# The model and its tables


def _tables_slide(worked: _Worked) -> Slide:
    tables = Columns(((_visible_table(worked),), (*_parameter_tables(worked), _hidden_table(worked))))
    return Slide(
        "worked-example",
        "A small model in exact numbers",
        (prose(*_introduction(worked)), tables),
        remark="fractions; every column of probabilities adds up to 1",
    )


def _introduction(worked: _Worked) -> tuple[Inline, ...]:
    board, sizes = worked.board, worked.example.sizes.items()
    roles = [board.role(worked.energy.layers[name]) for name, _ in sizes]
    if len(set(roles)) == len(roles):
        units = listed(f"{n} {role}" for (_, n), role in zip(sizes, roles, strict=True)) + " units"
    else:
        units = listed(f"{n} unit{'s' * (n > 1)} of {name}" for name, n in sizes)
    zero = [name for name, values in worked.example.multiples.items() if not any(values.values())]
    are_zero = f" ({listed(zero)} {'are' if len(zero) > 1 else 'is'} zero)" if zero else ""
    partition = worked.number(exp(LogPartition(worked.energy.function)))
    return (
        f"Take {units} and parameters that are whole multiples of ",
        _UNIT,
        f"{are_zero}. Then every Boltzmann weight is a power of two, and the partition function is ",
        row(board.partition_function(), EQUALS, _fraction(partition)),
        *_inputs(worked),
        ".",
    )


def _inputs(worked: _Worked) -> tuple[Inline, ...]:
    """Say what the layers that are given are clamped to."""
    given = worked.energy.given
    if not given:
        return ()
    shown = comma_row([worked.board.show(Configuration(layer)) for layer in given])
    return (", with ", shown, f" = {in_signs(given, map(worked.example.data, given))} throughout")


def _all_states(worked: _Worked, layers: Sequence[Layer]) -> list[tuple[tuple[StateValue, ...], ...]]:
    return list(itertools.product(*(list(worked.example.configurations(layer)) for layer in layers)))


def _visible_table(worked: _Worked) -> Block:
    energy, show = worked.energy, worked.board.show
    free = tuple(map(Configuration, energy.visible))
    bound = tuple(map(energy.function.bound, energy.hidden))
    marginal = Probability(energy.function, free, energy.function.inputs)
    joint = Probability(energy.function, (*free, *bound), energy.function.inputs)
    columns = (marginal.numerator(), marginal, ConfigSum(joint * worked.statistic(*free, *bound), *bound))
    rows: list[tuple[Cell, ...]] = []
    for values in _all_states(worked, energy.visible):
        at: dict[Basic, object] = dict(zip(free, values, strict=True))
        rows.append((in_signs(energy.visible, values), *(worked.number(e, at) for e in columns)))
    if len(rows) > _MOST_ROWS:
        return prose(f"The visible layers have {len(rows)} configurations, too many for a table.")
    return Table(
        ("Every visible configuration; the last column adds up to ", Words("Term B", "B")),
        (comma_row([show(c) for c in free]), *map(worked.show, columns)),
        tuple(rows),
        ("sum", *_sums(rows, (1, 2, 3))),
        decimals=(2, 4),
        highlighted=next(n for n, cells in enumerate(rows) if cells[0] == worked.clamped),
    )


def _hidden_table(worked: _Worked) -> Table:
    energy, function, show = worked.energy, worked.energy.function, worked.board.show
    visible = tuple(map(Configuration, energy.visible))
    hidden = tuple(map(function.bound, energy.hidden))
    conditional = Probability(function, hidden, visible + function.inputs)
    weight = exp(-function(*visible, *hidden))
    statistic = worked.statistic(*visible, *hidden)
    rows: list[tuple[Cell, ...]] = []
    for values in _all_states(worked, energy.hidden):
        at: dict[Basic, object] = dict(zip(hidden, values, strict=True))
        w, p, s = (worked.number(e, at) for e in (weight, conditional, statistic))
        rows.append((in_signs(energy.hidden, values), w, p, s, p * s))
    weights, probabilities, average = _sums(rows, (1, 2, 4))
    return Table(
        (
            f"Hidden configurations, visible units clamped to {worked.clamped}; the last column adds up to ",
            Words("Term A", "A"),
        ),
        (comma_row([show(c) for c in hidden]), show(weight), show(conditional), worked.show(statistic), "product"),
        tuple(rows),
        ("sum", weights, probabilities, "", average),
    )


def _parameter_tables(worked: _Worked) -> tuple[Block, ...]:
    board, sizes = worked.board, worked.example.sizes
    tables: list[Block] = []
    for name, values in worked.example.multiples.items():
        parameter = worked.energy.parameters[name]
        if len(parameter.layers) != 2 or not any(values.values()):
            continue
        first, second = parameter.layers
        others = range(sizes[second.name])
        rows = tuple(
            (board.unit(first, place), *(Fraction(values[place, other]) for other in others))
            for place in range(sizes[first.name])
        )
        caption = (board.show(worked.energy.entry(parameter)), " in units of ", _UNIT)
        tables.append(Table(caption, ("", *(board.unit(second, place) for place in others)), rows))
    return tuple(tables)


# The gradient


def _gradient_slide(worked: _Worked) -> Slide:
    a, b = worked.terms()
    derivation = worked.derivation
    rounded = Number(f"{abs(float(a - b)):.4f}")
    result = row(
        Marked("A", worked.show(derivation.term_a)),
        MINUS,
        Marked("B", worked.show(derivation.term_b)),
        EQUALS,
        Marked("A", _fraction(a)),
        MINUS,
        Marked("B", _fraction(b)),
        EQUALS,
        Marked("new", _fraction(a - b)),
        Operator("≈"),
        rounded if a >= b else row(NEGATIVE, rounded),
    )
    values = {"Term A": a, "Term B": b, "ln p(v)": a - b}
    agree = [worked.number(line) == value for name, value in values.items() for line in derivation[name].lines]
    return Slide(
        "worked-gradient",
        "The gradient, number by number",
        (
            Equation(result, check="exact" if all(agree) else "failed", large=True),
            prose(
                f"Every line of Term A has the value {_plain(a)} in this model, every line of Term B "
                f"{_plain(b)}, and every line before the split {_plain(a - b)}: {sum(agree)} of "
                f"{len(agree)} lines agree exactly, derivatives carried out.",
            ),
            *_gradient_table(worked),
            *_exercise(worked),
        ),
    )


def _places(worked: _Worked) -> tuple[list[Index], list[tuple[int, ...]]]:
    """Return the free indices of the entry and the places of its parameter; no places where an index is a number."""
    indices = [index for index in worked.entry.indices if isinstance(index, Index)]
    free = len(indices) == len(worked.entry.indices)
    return indices, list(worked.example.entries(worked.entry.parameter)) if free else []


def _gradient_table(worked: _Worked) -> tuple[Block, ...]:
    """Return a table of both terms for every entry of the parameter; empty for one entry or too many."""
    indices, places = _places(worked)
    if not 1 < len(places) <= _MOST_ROWS:
        return ()
    rows: list[tuple[Cell, ...]] = []
    for place in places:
        a, b = worked.terms(dict(zip(indices, place, strict=True)))
        rows.append((worked.board.entry(worked.entry, place), a, b, a - b))
    first = first_place(worked.entry)
    table = Table(
        (f"The gradient of ln p({worked.clamped}) by every entry of {worked.entry.parameter.name}",),
        (worked.board.show(worked.entry), Words("Term A", "A"), Words("Term B", "B"), "A − B"),
        tuple(rows),
        decimals=(3, 4),
        highlighted=places.index(first) if first in places else None,
    )
    return (table,)


def _exercise(worked: _Worked) -> tuple[Block, ...]:
    """Ask for the same calculation at the last entry and other data; the answer is evaluated like everything else."""
    board, derivation = worked.board, worked.derivation
    indices, places = _places(worked)
    if len(places) < 2:
        return ()
    other = _other_data(worked)
    at: dict[Basic, object] = dict(zip(indices, places[-1], strict=True))
    at |= {Configuration(layer): values for layer, values in zip(worked.energy.visible, other, strict=True)}
    a, b = worked.terms(at)
    names = numbered(worked.entry, places[-1])
    solution = row(
        Marked("A", board.show(derivation.term_a, names=names)),
        MINUS,
        Marked("B", board.show(derivation.term_b, names=names)),
        EQUALS,
        _fraction(a),
        MINUS,
        _fraction(b),
        EQUALS,
        _fraction(a - b),
    )
    word = in_signs(worked.energy.visible, other)
    prompt: tuple[Inline, ...] = (
        f"Clamp the visible units to {word} instead of {worked.clamped}. What is the gradient by ",
        board.entry(worked.entry, places[-1]),
        "?",
    )
    return (Exercise(prompt, (Equation(solution),)),)


def _other_data(worked: _Worked) -> list[tuple[StateValue, ...]]:
    """Return other visible states than the data: a layer's first unit in its lowest state, the rest in the highest."""
    return [
        tuple(lookup(layer.unit).states[-1] if n else lookup(layer.unit).states[0] for n in range(size))
        for layer in worked.energy.visible
        for size in [worked.example.sizes[layer.name]]
    ]


# Numbers


def _sums(rows: Sequence[tuple[Cell, ...]], columns: Iterable[int]) -> list[Fraction]:
    """Return the sums of columns of exact numbers."""
    return [sum((cell for r in rows if isinstance(cell := r[column], Fraction)), Fraction(0)) for column in columns]


def _fraction(value: Fraction) -> Setting:
    size = abs(value)
    whole = size.denominator == 1
    shown = Number(str(size)) if whole else Quotient(Number(str(size.numerator)), Number(str(size.denominator)))
    return row(NEGATIVE, shown) if value < 0 else shown


def _plain(value: Fraction) -> str:
    return str(value).replace("-", "−")
