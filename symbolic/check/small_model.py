"""Small models with random parameters, in which compiled expressions are evaluated.

A line is checked in models of fixed, small sizes; that does not prove it for all sizes. Layers with infinitely many
states get a few states that stand in for them, one set in the first model and another in the second: what holds with
both is a line that does not depend on the states. Lines that do are evaluated in real numbers, where the sums and
integrals over one unit's states are carried out (:mod:`symbolic.check.quadrature`).

Two lines are compared at *points*: a place for each free index, and a row of states for each free configuration. All
places are gone through where they are few, and else drawn at random. The states are random numbers first, off the
domain: lines that agree there agree as functions, and so in every state. Lines that hold on the domain only (v² = v)
are then compared in all rows of its states where these are few, and else in rows drawn at random.
"""

from __future__ import annotations

import decimal
import itertools
import math
import operator
import random
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sympy import Expr, Rational

from symbolic.check.environment import BY, Compiled, Environment, Name, Row, unbound
from symbolic.check.evaluator import Evaluator
from symbolic.check.finite_field import FIELDS
from symbolic.check.magnitudes import magnitude
from symbolic.check.quadrature import CONTEXT
from symbolic.errors import CheckError, UnboundError
from symbolic.language.layers import ComponentAxis, Configuration, Index, Layer, StateAxis
from symbolic.language.parameters import Parameter
from symbolic.units import Finite, Integers, Sphere, StateValue, Unit, lookup

__all__ = ["MOST_POINTS", "RealModel", "SmallModel", "shown_state", "stand_ins"]

Cell = tuple[Any, ...]

# A difference that is larger is not what rounding to 40 digits leaves of terms that cancel.
_LARGEST_LOSS = Decimal(10) ** -20

# Conditions such as i ≠ m bar no more than this share of the points that are drawn.
_PASSED_OVER = 8

# At most so many points per line and model. Layers of two or three units have up to twelve pairs of places.
MOST_POINTS = 32

# More than any field's size, so that the remainders in all of them are independent.
_LARGEST = FIELDS[0].modulus * FIELDS[1].modulus * FIELDS[2].modulus

_DIRECTIONS = tuple(
    tuple(Fraction(x, scale) for x in vector)
    for scale, vector in (
        (3, (1, -2, 2)), (7, (-2, 3, 6)), (9, (4, 7, -4)), (9, (-1, 4, 8)), (11, (2, -6, -9)),
    )
)  # fmt: skip


def stand_ins(layer: Layer) -> tuple[tuple[Any, ...], ...]:
    """Return the sets of states that stand in for a layer's in sums over it: two of many, else the unit's own alone."""
    unit = lookup(layer.unit)
    domain = unit.domain
    if unit.has_few_states:
        return (unit.states,)
    if isinstance(domain, Finite):
        return domain.states[:3], domain.states[-2:]
    if isinstance(domain, Integers):
        return tuple(tuple(domain.first + k for k in steps) for steps in ((0, 1, 2), (1, 3)))
    if isinstance(domain, Sphere):
        return _DIRECTIONS[: domain.dimension], _DIRECTIONS[domain.dimension :]
    low, high = domain.low, domain.high
    # None of them is 0 or 1, at which a factor too many or too few would not be seen.
    shapes = ((Fraction(1, 4), Fraction(1, 2), Fraction(7, 8)), (Fraction(1, 3), Fraction(3, 4)))
    if low is not None and high is not None:
        return tuple(tuple(low + (high - low) * x for x in shape) for shape in shapes)
    if low is not None:
        return tuple(tuple(low + 5 * x for x in shape) for shape in shapes)
    if high is not None:
        return tuple(tuple(high - 5 * x for x in reversed(shape)) for shape in shapes)
    if domain.atoms:
        return ((*domain.atoms, Fraction(1, 2), 2), (Fraction(-3, 2), *domain.atoms))
    return ((-1, Fraction(1, 2), 2), (Fraction(-3, 2), Fraction(3, 4)))


def shown_state(state: Any) -> str:
    """Return a state as messages have it: a number or a vector, with exact fractions."""
    return f"({', '.join(map(shown_state, state))})" if isinstance(state, tuple) else str(state).replace("-", "−")


def _measure(unit: Unit, states: Iterable[StateValue]) -> tuple[Fraction, ...]:
    """Return the weights with which sums count states, where these are rational."""
    if unit.base is None:
        return tuple(Fraction(1) for _ in states)
    exact = [unit.base(Rational(*Fraction(s).as_integer_ratio())) for s in states]
    if not all(x.is_Rational for x in exact):
        raise CheckError(f"the base measure of {unit.name} units has no exact value here.")
    return tuple(Fraction(int(x.p), int(x.q)) for x in exact)


class _Table(dict[tuple[int, ...], Cell]):
    """The entries of a parameter by their places, drawn when they are asked for."""

    def __init__(self, model: SmallModel, parameter: Parameter):
        super().__init__()
        self.model, self.parameter = model, parameter

    def __missing__(self, place: tuple[Any, ...]) -> Cell:
        # An index that nothing binds says so.
        cell = self[place] = self.model.draw(self.parameter, tuple(map(operator.index, place)))
        return cell


class SmallModel:
    """A model of given sizes, with random parameters.

    Args:
        evaluator: what compiles expressions; several models share it.
        sizes: the number of units of each layer.
        seed: of the random numbers. What is drawn depends on nothing else but the model's number and on what it is
            drawn for, so that a line's verdict does not depend on the lines before it.
        number: which of several models this is. Its parameters, and the states that stand in for others, depend on it.
        most: at how many points lines are compared at most.
    """

    def __init__(
        self, evaluator: Evaluator, sizes: Mapping[Layer, int], seed: int = 0, number: int = 0, most: int = MOST_POINTS
    ):
        self.evaluator = evaluator
        self.sizes = dict(sizes)
        self.seed = seed
        self.number = number
        self.most = self.enough = self.enough_rows = most
        self.tables: dict[Parameter, _Table] = {}
        self._env: list[Any] = []
        self._kept: list[dict[Any, Any]] = []
        self._cells: dict[Any, Cell] = {}
        self._domains: dict[Layer, tuple[tuple[StateValue, ...], tuple[Fraction, ...]]] = {}
        self._row: dict[tuple[Layer, tuple[StateValue, ...]], Row] = {}
        self._rows: dict[Layer, list[Row]] = {}
        self._loose: dict[Configuration, Row] = {}
        self._changed: dict[Any, Any] = {}

    # Points

    def points(self, names: Sequence[Name], loose: Container[Name] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield values for names: all of them where they are few; else some drawn at random without end, all in turn.

        Args:
            names: free indices and configurations.
            loose: the configurations whose units are in random states off their domain.
        """
        choices = [[self._loose_row(name)] if name in loose else self._choices(name) for name in names]
        if math.prod(map(len, choices)) <= self.most:
            yield from itertools.product(*choices)
            return
        rng = random.Random(f"{self.seed}/{self.number}/{names}")
        yield from zip(*(_in_turns(values, rng) for values in choices), strict=True)

    def _choices(self, name: Name) -> Sequence[Any]:
        return self.places(name.layer) if isinstance(name, Index) else self.rows(name.layer)

    def _loose_row(self, configuration: Any) -> Row:
        """Return a row of random states, which is the same whenever this configuration is asked for."""
        if configuration not in self._loose:
            layer = configuration.layer
            rng = random.Random(f"{self.seed}/{self.number}/states/{configuration}")
            states = [self.loose_state(layer, rng) for _ in range(self.size(layer))]
            self._loose[configuration] = Row(map(self.cell, states))
        return self._loose[configuration]

    def loose_state(self, layer: Layer, rng: random.Random) -> Any:
        """Return a random number, or a vector of them."""
        numbers = tuple(rng.randrange(2, _LARGEST) for _ in range(lookup(layer.unit).dimension))
        return numbers if len(numbers) > 1 else numbers[0]

    def _names(self, *lines: Expr) -> tuple[Name, ...]:
        """Return the free configurations and indices of lines.

        Raises:
            UnboundError: a label is bound by no sum.
        """
        free = frozenset().union(*map(self.evaluator.free, lines))
        loose = sorted((name for name in free if isinstance(name, Configuration) and name.label), key=str, reverse=True)
        if loose:
            places = ", ".join(f"{c.layer.name}^{c.label}" for c in loose)
            raise UnboundError(f"unbound label {', '.join(c.label for c in loose)} (in {places})")
        return tuple(sorted(free, key=lambda name: (isinstance(name, Index), str(name))))

    # Evaluation

    def agree(self, before: Expr, after: Expr, conditions: Iterable[Expr] = ()) -> bool:
        """Return whether two lines have the same value at all points, or at those drawn.

        Args:
            before, after: the lines.
            conditions: those that say which places an index may have, such as 1 − δ_im for i ≠ m.

        Raises:
            CheckError: a line has no value at a point; or no point satisfies the conditions.
        """
        names = self._names(before, after)
        self._require_units(before, after)
        evaluator = self.evaluator
        logarithms = evaluator.top.is_exact and any(map(evaluator.has_logarithm, (before, after)))
        compiled = evaluator.exp_of if logarithms else evaluator.value
        same = self.comparison(before, after, compiled(before), compiled(after))
        allowed = tuple(map(evaluator.value, conditions))
        compared = evaluator.compared(before) | evaluator.compared(after)
        loose = {name for name in names if isinstance(name, Configuration) and name.layer not in compared}
        if loose:
            try:
                if self._agree_at(self.points(names, loose), names, same, allowed, self.enough):
                    return True
            except CheckError:
                pass  # no value off the domain
        # Where states matter, a wrong line may hide in most of them: F(v) + Π_k (1 − v_k) in all but one.
        rows = any(isinstance(name, Configuration) for name in names)
        return self._agree_at(self.points(names), names, same, allowed, self.enough_rows if rows else self.enough)

    def _agree_at(
        self,
        points: Iterable[tuple[Any, ...]],
        names: Sequence[Name],
        same: Compiled,
        allowed: Sequence[Compiled],
        enough: int,
    ) -> bool:
        slots = [self.evaluator.name(name) for name in names]
        env = self._environment()
        tried = 0
        try:
            # Of points that are drawn without end a few may be passed over, where conditions bar them.
            for values in itertools.islice(points, _PASSED_OVER * self.most):
                for slot, value in zip(slots, values, strict=True):
                    env[slot] = value
                if not all(condition(env) for condition in allowed):
                    continue
                tried += 1
                if not same(env):
                    return False
                if tried == enough:
                    break
        except BaseException:
            # What was bound on the way is still in its slots.
            self._reset()
            raise
        if not tried:
            raise CheckError("no units of a model of these sizes satisfy the conditions; choose larger sizes.")
        return True

    def comparison(self, before: Expr, after: Expr, left: Compiled, right: Compiled) -> Compiled:
        """Return whether two lines, which have been compiled, have the same value."""
        return lambda env: left(env) == right(env)

    def evaluate(self, expression: Expr) -> Any:
        """Return the value of an expression, at the first point.

        Raises:
            CheckError: it has none here.
        """
        compiled, names = self.evaluator.value(expression), self._names(expression)
        env = self._environment()
        for name, value in zip(names, next(self.points(names)), strict=True):
            env[self.evaluator.name(name)] = value
        try:
            return compiled(env)
        except BaseException:
            self._reset()
            raise

    def _require_units(self, *lines: Expr) -> None:
        """Raise an error if a line names a unit by a number that this model is too small for."""
        for line in lines:
            for layer, number in self.evaluator.numbered(line):
                if number >= self.sizes.get(layer, number + 1):
                    raise CheckError(
                        f"unit {number} of layer {layer.name} does not exist in a model of {self.sizes[layer]} units."
                    )

    def _environment(self) -> Environment:
        slots = self.evaluator.slots
        for first in slots[len(self._env) :]:
            self._env.append(first(self))
        return self._env

    def _reset(self) -> None:
        env = self._environment()
        env[BY] = None
        for name, slot in self.evaluator.names():
            env[slot] = unbound(name)

    def kept(self) -> dict[Any, Any]:
        """Return a new store for values that are remembered."""
        self._kept.append({})
        return self._kept[-1]

    # What compiled expressions look up

    def cell(self, number: Any) -> Cell:
        """Return a number in each form it is computed with, and itself; of a vector the cells of its components."""
        cell = self._cells.get(number)
        if cell is None:
            made = map(self.cell, number) if isinstance(number, tuple) else self._forms(number)
            cell = self._cells[number] = (*made, number)
        return cell

    def _forms(self, number: Any) -> Iterator[Any]:
        return (field.number(number) for field in self.evaluator.fields)

    def table(self, parameter: Parameter) -> _Table:
        """Return a parameter's entries."""
        return self.tables.setdefault(parameter, _Table(self, parameter))

    def draw(self, parameter: Parameter, place: tuple[int, ...]) -> Cell:
        """Return a random value for an entry of a parameter."""
        number = random.Random(f"{self.seed}/{self.number}/{parameter.name}/{place}").randrange(2, _LARGEST)
        return (*self._forms(number), number)

    def domain(self, layer: Layer) -> tuple[StateValue, ...]:
        """Return the states that the layer's units have in this model."""
        return self._domain(layer)[0]

    def _domain(self, layer: Layer) -> tuple[tuple[StateValue, ...], tuple[Fraction, ...]]:
        """Return the layer's states here, and the weights with which sums count them."""
        if layer not in self._domains:
            unit, sets = lookup(layer.unit), stand_ins(layer)
            states = sets[self.number % len(sets)]
            if unit.is_finite or unit.base is None:
                weights = _measure(unit, states)
            else:  # any measure will do for states that stand in for others; this one is not uniform
                weights = tuple(Fraction(k + 2) for k in range(len(states)))
            self._domains[layer] = states, weights
        return self._domains[layer]

    def size(self, layer: Layer) -> int:
        """Return the number of a layer's units."""
        try:
            return self.sizes[layer]
        except KeyError:
            raise CheckError(f"no size was given for layer {layer.name}.") from None

    def size_of(self, symbol: Expr) -> int:
        """Return the value of a layer's size symbol, such as n_v."""
        for layer, size in self.sizes.items():
            if layer.size == symbol:
                return size
        raise CheckError(f"{symbol} has no exact value here: it is neither a number nor the size of a layer.")

    def places(self, layer: Layer) -> Sequence[int]:
        """Return what an index over a layer runs through: its units' numbers, or an axis's labels or components."""
        if isinstance(layer, StateAxis):
            return self.labels(layer.of)
        return range(layer.dimension if isinstance(layer, ComponentAxis) else self.size(layer))

    def labels(self, layer: Layer) -> list[int]:
        """Return the labels that an index over them runs through."""
        states = lookup(layer.unit).states if self.evaluator.true_units else self.domain(layer)
        return [int(label) for label in states]

    def row(self, layer: Layer, states: tuple[StateValue, ...]) -> Row:
        """Return the row of a configuration."""
        key = layer, states
        if key not in self._row:
            row = self._row[key] = Row(map(self.cell, states))
            if lookup(layer.unit).base is not None:
                measure = dict(zip(*self._domain(layer), strict=True))
                weight = Fraction(1)
                for state in states:
                    weight *= measure[state]
                row.weights = self.cell(weight)
        return self._row[key]

    def rows(self, layer: Layer) -> list[Row]:
        """Return the rows of all configurations of a layer."""
        if layer not in self._rows:
            every = itertools.product(self.domain(layer), repeat=self.size(layer))
            self._rows[layer] = [self.row(layer, states) for states in every]
        return self._rows[layer]

    def unit_rows(self, layer: Layer, row: Any, place: int) -> list[Row]:
        """Return the row with one unit in each of its states in turn."""
        key = row, place
        if key not in self._changed:
            states = lookup(layer.unit).states if self.evaluator.true_units else self.domain(layer)
            self._changed[key] = [self.with_unit(row, place, self.cell(state), layer) for state in states]
        found: list[Row] = self._changed[key]
        return found

    def with_unit(self, row: Any, place: int, cell: Cell, layer: Layer, passing: bool = False) -> Row:
        """Return the row with one unit in another state: the same whenever it is asked for, unless passing."""
        key = row, place, cell
        found: Row | None = None if passing else self._changed.get(key)
        if found is None:
            # Where only one unit of the layer has a state, whoever looks for another one hears that it has none.
            found = Row(row if isinstance(row, Row) else [row] * self.size(layer))
            found[place] = cell
            if not passing:
                self._changed[key] = found
        return found

    def weight(self, layer: Layer, cell: Cell) -> Cell:
        """Return μ(s), with which a sum over the layer's configurations counts a state."""
        for state, weight in zip(*self._domain(layer), strict=True):
            if state == cell[-1]:
                return self.cell(weight)
        raise CheckError(f"{shown_state(cell[-1])} is not a state of layer {layer.name}.")

    def unit_weight(self, layer: Layer, cell: Cell) -> Cell:
        """Return μ(s), with which a sum over one unit's states counts a state."""
        if not self.evaluator.true_units:
            return self.weight(layer, cell)
        return self.cell(_measure(lookup(layer.unit), (cell[-1],))[0])


def _in_turns(values: Sequence[Any], rng: random.Random) -> Iterator[Any]:
    """Yield the values in a random order, again and again in another one."""
    while True:
        yield from rng.sample(values, len(values))


class RealModel(SmallModel):
    """A model of given sizes with random parameters, in real numbers.

    Args:
        evaluator, sizes, seed, number: as in :class:`SmallModel`.
        conditions: expressions that are to be positive at every unit and configuration they speak of.

    Raises:
        CheckError: no such parameters were found.
    """

    _TRIES = 4000
    # So many of these with numbers of order one, as very small ones make integrands very narrow.
    _OF_ORDER_ONE = 400

    def __init__(
        self,
        evaluator: Evaluator,
        sizes: Mapping[Layer, int],
        seed: int = 0,
        number: int = 0,
        conditions: Iterable[Expr] = (),
    ):
        super().__init__(evaluator, sizes, seed, number)
        # A point costs a sum or an integral in each line, some 10 ms (2 cores, 2026-12), and one is enough off the
        # domain.
        self.enough, self.enough_rows = 1, 6
        self.rng = random.Random(f"{seed}/{number}")
        self._manners: dict[Parameter, tuple[int, int]] = {}
        self._scales: tuple[int, ...] = (1,)
        conditions = tuple(conditions)
        if conditions:
            with decimal.localcontext(CONTEXT):
                self._satisfy(conditions)

    def points(self, names: Sequence[Name], loose: Container[Name] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield values for names, so that two models in turn differ in each of them, and two names of one layer too."""
        columns = []
        for place, name in enumerate(names):
            values = [self._loose_row(name)] if name in loose else list(self._choices(name))
            random.Random(f"{self.seed}/{name.layer}").shuffle(values)
            start = self.number + sum(other.layer == name.layer for other in names[:place])
            columns.append(itertools.islice(itertools.cycle(values), start, start + self.most))
        yield from zip(*columns, strict=True) if columns else [()]

    def loose_state(self, layer: Layer, rng: random.Random) -> Any:
        """Return a random number between two of the layer's states, or a vector of numbers below one."""
        size = lookup(layer.unit).dimension
        if size > 1:
            return tuple(Fraction(rng.randrange(-900, 900), 1000) for _ in range(size))
        states = list(map(Fraction, self.domain(layer)))
        return min(states) + (max(states) - min(states)) * Fraction(rng.randrange(50, 950), 1000)

    def draw(self, parameter: Parameter, place: tuple[int, ...]) -> Cell:
        """Return a random number of size 0.3 to 1.2, with its parameter's sign where that has one, or smaller."""
        if parameter not in self._manners:
            self._manners[parameter] = self.rng.choice((-1, 0, 1)), self.rng.choice(self._scales)
        sign, scale = self._manners[parameter]
        number = Fraction(self.rng.randrange(300, 1200), 1000 * scale) * (sign or self.rng.choice((-1, 1)))
        return (*self._forms(number), number)

    def agree(self, before: Expr, after: Expr, conditions: Iterable[Expr] = ()) -> bool:
        with decimal.localcontext(CONTEXT):
            return super().agree(before, after, conditions)

    def comparison(self, before: Expr, after: Expr, left: Compiled, right: Compiled) -> Compiled:
        equal = self.evaluator.top.equal

        def same(env: Environment) -> bool:
            values = left(env), right(env)
            if equal(*values) or abs(values[0] - values[1]) > _LARGEST_LOSS:
                return equal(*values)
            # Rare: what is left of larger terms, or a very small number.
            return bool(equal(*values, sum(magnitude(self.evaluator, line)(env) for line in (before, after))))

        return same

    def evaluate(self, expression: Expr) -> Decimal:
        with decimal.localcontext(CONTEXT):
            found: Decimal = super().evaluate(expression)
        return found

    def _satisfy(self, conditions: tuple[Expr, ...]) -> None:
        for attempt in range(self._TRIES):
            if attempt == self._OF_ORDER_ONE:
                self._scales = (1, 1, 4, 16)
            self._manners.clear()
            for store in (*self.tables.values(), *self._kept):
                store.clear()
            if all(value > 0.05 for condition in conditions for value in self._everywhere(condition)):
                return
        raise CheckError(f"no parameters were found for which {conditions[0]} is positive")

    def _everywhere(self, condition: Expr) -> Iterator[Any]:
        """Yield the values of a condition at all units and all configurations it speaks of."""
        evaluate = self.evaluator.value(condition)
        names = sorted(self.evaluator.free(condition), key=str)
        slots = list(map(self.evaluator.name, names))
        env = self._environment()
        for chosen in itertools.product(*map(self._choices, names)):
            for slot, value in zip(slots, chosen, strict=True):
                env[slot] = value
            yield evaluate(env)
        self._reset()
