"""Small models at random points, in which compiled expressions are evaluated.

A line is checked in models of fixed, small sizes; that does not prove it for all sizes. Layers with infinitely many
states get a few states of a stand-in, one at even points and another at odd ones: what holds there for both is a line
that does not depend on the states. Lines that do are evaluated in real numbers, where the sums and integrals over one
unit's states are carried out (:mod:`symbolic.check.quadrature`).
"""

from __future__ import annotations

import decimal
import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sympy import Expr, Rational

from symbolic.check.environment import BY, Compiled, Row, unbound
from symbolic.check.evaluator import Evaluator
from symbolic.check.finite_field import FIELDS
from symbolic.check.quadrature import CONTEXT
from symbolic.errors import CheckError, UnboundError
from symbolic.language.layers import ComponentAxis, Configuration, Index, Layer, StateAxis
from symbolic.language.parameters import Parameter
from symbolic.units import Finite, Integers, Sphere, StateValue, Unit, lookup

__all__ = ["RealModel", "SmallModel", "shown_state", "stand_ins"]

Cell = tuple[Any, ...]

# More than any field's size, so that the remainders in all of them are independent.
_LARGEST = FIELDS[0].modulus * FIELDS[1].modulus * FIELDS[2].modulus

_DIRECTIONS = tuple(
    tuple(Fraction(x, scale) for x in vector)
    for scale, vector in (
        (3, (1, -2, 2)), (7, (-2, 3, 6)), (9, (4, 7, -4)), (9, (-1, 4, 8)), (11, (2, -6, -9)),
    )
)  # fmt: skip


def stand_ins(layer: Layer) -> tuple[tuple[Any, ...], ...]:
    """The sets of states that stand in for those of a layer's units in sums over whole layers: two where there are many
    or infinitely many states, else the unit's own."""
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
    """A state as messages have it: a number or a vector, with exact fractions."""
    return f"({', '.join(map(shown_state, state))})" if isinstance(state, tuple) else str(state).replace("-", "−")


def _measure(unit: Unit, states: Iterable[StateValue]) -> tuple[Fraction, ...]:
    """The weights with which sums count states, where these are rational."""
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
        for number in place:
            if not isinstance(number, int):
                number.__index__()  # an index that is not bound says so
        cell = self[place] = self.model.draw(self.parameter)
        return cell


class SmallModel:
    """A model of given sizes at one random point: values for parameters, free configurations and free indices.

    Args:
        evaluator: what compiles expressions; several models share it.
        sizes: the number of units of each layer.
        seed: of the random numbers.
        point: which point this is. In four points a free index stands for one unit, those over different layers, and
            up to four over one layer, for units with different patterns of states: each is 0 (where its units can be)
            at one point of the four, every two at different points. So every product of up to three of them has a
            value at one point, and at another one it lacks just one factor, whose absence is then seen.
    """

    def __init__(self, evaluator: Evaluator, sizes: Mapping[Layer, int], seed: int = 0, point: int = 0):
        self.evaluator = evaluator
        self.sizes = dict(sizes)
        self.point = point
        self.seed = seed
        self.rng = random.Random(f"{seed}/{point}")
        self.states: dict[Configuration, tuple[StateValue, ...]] = {}
        self.indices: dict[Index, int] = {}
        self.tables: dict[Parameter, _Table] = {}
        self._env: list[Any] = []
        self._kept: list[dict[Any, Any]] = []
        self._cells: dict[Any, Cell] = {}
        self._domains: dict[Layer, tuple[tuple[StateValue, ...], tuple[Fraction, ...]]] = {}
        self._row: dict[tuple[Layer, tuple[StateValue, ...]], Row] = {}
        self._rows: dict[Layer, list[Row]] = {}
        self._changed: dict[Any, Any] = {}

    # Evaluation

    def place(self, *expressions: Expr) -> None:
        """Give every free configuration and index of the expressions a value.

        Raises:
            UnboundError: a label is bound by no sum.
        """
        free = frozenset().union(*map(self.evaluator.free, expressions))
        configurations = sorted((c for c in free if isinstance(c, Configuration)), key=str, reverse=True)
        unbound = [c for c in configurations if c.label]
        if unbound:
            places = ", ".join(f"{c.layer.name}^{c.label}" for c in unbound)
            raise UnboundError(f"unbound label {', '.join(c.label for c in unbound)} (in {places})")
        for configuration in configurations:
            if configuration not in self.states:
                self.states[configuration] = self._configuration(configuration.layer)
                self._bind(configuration, self.row(configuration.layer, self.states[configuration]))
        for index in sorted((i for i in free if isinstance(i, Index)), key=lambda i: i.name):
            if index not in self.indices:
                # Within one layer, different values as long as there are enough units.
                taken = sum(i.layer == index.layer for i in self.indices)
                self.indices[index] = self._chosen(index.layer, self.places(index.layer), taken)
                self._bind(index, self.indices[index])

    def evaluate(self, expression: Expr) -> Any:
        """The value of an expression whose free configurations and indices have been placed.

        Raises:
            CheckError: it has none here.
        """
        return self._run(self.evaluator.value(expression))

    def agree(self, before: Expr, after: Expr) -> bool:
        """Whether two expressions have the same value here.

        Raises:
            CheckError: one of them has none.
        """
        self.require_units(before, after)
        # One after the other: an index that a wrong line has made up takes no unit from those that belong there.
        self.place(before)
        self.place(after)
        evaluator = self.evaluator
        logarithms = evaluator.top.is_exact and any(map(evaluator.has_logarithm, (before, after)))
        compiled = evaluator.exp_of if logarithms else evaluator.value
        return bool(evaluator.top.equal(*(self._run(compiled(line)) for line in (before, after))))

    def require_units(self, *lines: Expr) -> None:
        """Raise an error if a line names a unit by a number that this model is too small for."""
        for line in lines:
            for layer, number in self.evaluator.numbered(line):
                if number >= self.sizes.get(layer, number + 1):
                    raise CheckError(
                        f"unit {number} of layer {layer.name} does not exist in a model of {self.sizes[layer]} units."
                    )

    def _run(self, evaluate: Compiled) -> Any:
        env = self._environment()
        try:
            return evaluate(env)
        except BaseException:
            # What was bound on the way is still in its slots.
            self._reset()
            raise

    def _environment(self) -> list[Any]:
        slots = self.evaluator.slots
        for first in slots[len(self._env) :]:
            self._env.append(first(self))
        return self._env

    def _bind(self, name: Configuration | Index, value: Any) -> None:
        slot = self.evaluator.name(name)
        self._environment()[slot] = value

    def _reset(self) -> None:
        env = self._environment()
        env[BY] = None
        for name, slot in self.evaluator.names():
            env[slot] = unbound(name)
        for configuration, states in self.states.items():
            self._bind(configuration, self.row(configuration.layer, states))
        for index, number in self.indices.items():
            self._bind(index, number)

    def kept(self) -> dict[Any, Any]:
        """A new store for values that are remembered."""
        self._kept.append({})
        return self._kept[-1]

    # What compiled expressions look up

    def cell(self, number: Any) -> Cell:
        """A number in each form it is computed with, and itself; of a vector the cells of its components."""
        cell = self._cells.get(number)
        if cell is None:
            made = map(self.cell, number) if isinstance(number, tuple) else self._forms(number)
            cell = self._cells[number] = (*made, number)
        return cell

    def _forms(self, number: Any) -> Iterator[Any]:
        return (field.number(number) for field in self.evaluator.fields)

    def table(self, parameter: Parameter) -> _Table:
        """A parameter's entries."""
        return self.tables.setdefault(parameter, _Table(self, parameter))

    def draw(self, parameter: Parameter) -> Cell:
        """A random value for an entry of a parameter."""
        number = self.rng.randrange(2, _LARGEST)
        return (*self._forms(number), number)

    def domain(self, layer: Layer) -> tuple[StateValue, ...]:
        """The states that the layer's units have at this point."""
        return self._domain(layer)[0]

    def _domain(self, layer: Layer) -> tuple[tuple[StateValue, ...], tuple[Fraction, ...]]:
        """The layer's states here, and the weights with which sums count them."""
        if layer not in self._domains:
            unit, sets = lookup(layer.unit), stand_ins(layer)
            states = sets[self.point % len(sets)]
            if unit.is_finite or unit.base is None:
                weights = _measure(unit, states)
            else:  # any measure will do for states that stand in for others; this one is not uniform
                weights = tuple(Fraction(k + 2) for k in range(len(states)))
            self._domains[layer] = states, weights
        return self._domains[layer]

    def _configuration(self, layer: Layer) -> tuple[StateValue, ...]:
        usual, rare = self._contrast(layer)
        own, n = list(self.sizes).index(layer), self.size(layer)
        turn, quarter = divmod(self.point, 4)
        states = []
        for unit in range(n):
            order = (unit - own - turn) % n  # 0 for the unit that a free index stands for, 1 for the next one's
            choice = rare if (own + (0, 2, 1, 3)[order % 4] + quarter) % 4 == 3 else usual
            states.append(choice[(order + own + quarter) % len(choice)])
        return tuple(states)

    def _contrast(self, layer: Layer) -> tuple[Sequence[StateValue], Sequence[StateValue]]:
        """States that show what is multiplied by them, and those that may hide it: 0, or one label among many."""
        domain = self.domain(layer)
        if lookup(layer.unit).is_categorical:
            chosen = self._chosen(layer.states, domain)
            return [chosen], [state for state in domain if state != chosen]
        least = min(domain, key=lambda state: Fraction(1) if isinstance(state, tuple) else abs(Fraction(state)))
        return [state for state in domain if state != least], [least]

    def _chosen(self, layer: Layer, values: Sequence[Any], taken: int = 0) -> Any:
        """Which of its values an index has, when so many others over the same layer have theirs."""
        of = layer.of if isinstance(layer, StateAxis) else layer
        own = 0 if isinstance(of, ComponentAxis) else list(self.sizes).index(of)
        return values[(self.point // 4 + own + taken) % len(values)]

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
        """The labels that an index over them runs through."""
        states = lookup(layer.unit).states if self.evaluator.true_units else self.domain(layer)
        return [int(label) for label in states]

    def row(self, layer: Layer, states: tuple[StateValue, ...]) -> Row:
        """The row of a configuration."""
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
        """The rows of all configurations of a layer."""
        if layer not in self._rows:
            every = itertools.product(self.domain(layer), repeat=self.size(layer))
            self._rows[layer] = [self.row(layer, states) for states in every]
        return self._rows[layer]

    def unit_rows(self, layer: Layer, row: Any, place: int) -> list[Row]:
        """The row with one unit in each of its states in turn."""
        key = row, place
        if key not in self._changed:
            states = lookup(layer.unit).states if self.evaluator.true_units else self.domain(layer)
            self._changed[key] = [self.with_unit(row, place, self.cell(state), layer) for state in states]
        found: list[Row] = self._changed[key]
        return found

    def with_unit(self, row: Any, place: int, cell: Cell, layer: Layer, passing: bool = False) -> Row:
        """The row with one unit in another state; the same row whenever it is asked for, unless it is passing."""
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
        """μ(s), with which a sum over the layer's configurations counts a state."""
        for state, weight in zip(*self._domain(layer), strict=True):
            if state == cell[-1]:
                return self.cell(weight)
        raise CheckError(f"{shown_state(cell[-1])} is none of the states of layer {layer.name}.")

    def unit_weight(self, layer: Layer, cell: Cell) -> Cell:
        """μ(s), with which a sum over one unit's states counts a state."""
        if not self.evaluator.true_units:
            return self.weight(layer, cell)
        return self.cell(_measure(lookup(layer.unit), (cell[-1],))[0])


class RealModel(SmallModel):
    """A model of given sizes at one random point, in real numbers.

    Args:
        evaluator, sizes, seed, point: as in :class:`SmallModel`.
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
        point: int = 0,
        conditions: Iterable[Expr] = (),
    ):
        super().__init__(evaluator, sizes, seed, point)
        self._manners: dict[Parameter, tuple[int, int]] = {}
        self._scales: tuple[int, ...] = (1,)
        conditions = tuple(conditions)
        if conditions:
            with decimal.localcontext(CONTEXT):
                self._satisfy(conditions)

    def draw(self, parameter: Parameter) -> Cell:
        """A random number of size 0.3 to 1.2, with its parameter's sign where that has one, and sometimes smaller."""
        if parameter not in self._manners:
            self._manners[parameter] = self.rng.choice((-1, 0, 1)), self.rng.choice(self._scales)
        sign, scale = self._manners[parameter]
        number = Fraction(self.rng.randrange(300, 1200), 1000 * scale) * (sign or self.rng.choice((-1, 1)))
        return (*self._forms(number), number)

    def agree(self, before: Expr, after: Expr) -> bool:
        with decimal.localcontext(CONTEXT):
            return super().agree(before, after)

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
        """The values of a condition at all units and all configurations it speaks of."""
        evaluate = self.evaluator.value(condition)
        names = sorted(self.evaluator.free(condition), key=str)
        values = [self.places(name.layer) if isinstance(name, Index) else self.rows(name.layer) for name in names]
        for chosen in itertools.product(*values):
            for name, value in zip(names, chosen, strict=True):
                self._bind(name, value)
            yield self._run(evaluate)
        self._reset()
