"""Expressions compiled, once, to functions of an environment: their values, e to their values, and their derivatives.

An *environment* is a list with a slot for each thing an expression speaks of: indices hold unit numbers, configurations
hold rows of cells, parameters hold tables. A *cell* is a number in every form it is needed in (its remainder in each
field of :data:`symbolic.check.finite_field.FIELDS`, or one real number) with the plain number at its end; the cell of a
state that is a vector holds the cells of its components. Compiled functions of one program serve many worlds
(:mod:`symbolic.check.small_model`), each with an environment of its own.

Derivatives are compiled from the rules of differentiation, node by node; SymPy's ``diff`` is not used.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any

from sympy import Add, Derivative, Expr, Function, Mul, Pow, Rational, Symbol, cos, exp, log, sin, tanh

from symbolic.check.finite_field import FIELDS, Evaluator, Field, Vanishes
from symbolic.check.limits import Limit, limit_at_zero
from symbolic.errors import CheckError, UnboundError
from symbolic.language.binders import BaseMeasure, ConfigSum, IndexBinder, IndexProduct, IndexSum, UnitSum
from symbolic.language.functions import StableFunction, StateFunction
from symbolic.language.layers import (
    Component,
    ComponentAxis,
    Configuration,
    Delta,
    Entry,
    Index,
    Indicator,
    Layer,
    Parameter,
    State,
    StateAxis,
)
from symbolic.language.probability import (
    EnergyCall,
    Expectation,
    FreeEnergy,
    LogPartition,
    Probability,
    SiteEnergy,
    SiteProbability,
    UnitProbability,
)
from symbolic.units import lookup

if TYPE_CHECKING:
    from symbolic.check.reals import Reals
    from symbolic.check.small_model import World

__all__ = ["BY", "WORLD", "Program", "Row", "free_names", "unbound"]

Name = Configuration | Index
Environment = list[Any]

# Slots that every environment has: the world it belongs to, and the place of the entry that is being varied.
WORLD, BY = 0, 1

_DEFINED = (EnergyCall, Expectation, FreeEnergy, LogPartition, SiteProbability, StableFunction, UnitProbability)


def free_names(node: Any) -> frozenset[Name]:
    """The free configurations and indices of an expression.

    SymPy leaves the variable of a derivative out of ``free_symbols`` where the function is opaque in it; here it
    counts.
    """
    if isinstance(node, Derivative):
        return free_names(node.expr).union(*map(free_names, node.variables))
    if isinstance(node, IndexBinder):
        return free_names(node.body) - set(node.indices)
    if isinstance(node, ConfigSum):
        return free_names(node.body) - set(node.configurations)
    if isinstance(node, (Add, Mul, Pow, Function)):
        return frozenset().union(*map(free_names, node.args))
    return frozenset(s for s in node.free_symbols if isinstance(s, (Configuration, Index)))


class Row(list[Any]):
    """The cells of a layer's units. A row is itself and no other, also where two hold the same.

    Attributes:
        weights: with what weight a sum over rows counts this one, as a cell.
    """

    __slots__ = ("weights",)
    weights: tuple[Any, ...]
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other


class _Unbound:
    """What a slot holds that has been given nothing: whoever looks into it hears what is missing."""

    def __init__(self, what: str):
        self.what = what

    def __getitem__(self, key: Any) -> Any:
        raise UnboundError(self.what)

    def __index__(self) -> int:
        raise UnboundError(self.what)


def unbound(name: Name) -> _Unbound:
    """What the slot of a name holds that is bound nowhere."""
    if isinstance(name, Index):
        return _Unbound(f"unbound index {name}")
    if name.label:
        return _Unbound(f"unbound label {name.label} (of layer {name.layer.name})")
    return _Unbound(f"no value for {name}")


class Program:
    """What has been compiled for models of given sizes.

    Args:
        sizes: the number of units of each layer.
        numbers: what is computed with: the tower of fields, or real numbers.
        true_units: whether sums over one unit's states run over its own states, though sums over whole layers run over
            stand-ins; for lines about single units.
    """

    def __init__(self, sizes: Mapping[Layer, int], numbers: Sequence[Field] | Reals = FIELDS, true_units: bool = False):
        self.sizes = dict(sizes)
        self.true_units = true_units
        self.fields: tuple[Any, ...] = tuple(numbers) if isinstance(numbers, Sequence) else (numbers,)
        self.top = self.fields[0]
        self.slots: list[Callable[[World], Any]] = [lambda world: world, lambda world: None]
        self._slot_of: dict[Any, int] = {}
        self._made: dict[Any, Any] = {}
        self._free: dict[Expr, frozenset[Name]] = {}
        # Rows that hold an integration's variable: what depends on them is not worth remembering.
        self._passing: frozenset[Configuration] = frozenset()

    # What is known of expressions

    def free(self, node: Expr) -> frozenset[Name]:
        """The free configurations and indices of an expression."""
        if node not in self._free:
            self._free[node] = free_names(node)
        return self._free[node]

    def has_logarithm(self, node: Expr) -> bool:
        """Whether the expression is a sum of numbers and logarithms, so that only e to it has an exact value."""
        return self._once(("log", node), lambda: self._has_logarithm(node))

    def _has_logarithm(self, node: Any) -> bool:
        if isinstance(node, log):
            return True
        if isinstance(node, _DEFINED):
            return self.has_logarithm(node.definition())
        if isinstance(node, (IndexBinder, ConfigSum, UnitSum)):
            return self.has_logarithm(node.body)
        return isinstance(node, (Add, Mul, Pow)) and any(map(self.has_logarithm, node.args))

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = make()
        return found

    # Slots

    def slot(self, key: Any, first: Callable[[World], Any]) -> int:
        """The slot of a thing, which starts in each world with what ``first`` gives."""
        if key not in self._slot_of:
            self._slot_of[key] = len(self.slots)
            self.slots.append(first)
        return self._slot_of[key]

    def name(self, name: Name) -> int:
        """The slot of an index or a configuration."""
        return self.slot(name, lambda world: unbound(name))

    def names(self) -> Iterator[tuple[Name, int]]:
        """All indices and configurations that have a slot, with it."""
        return ((key, slot) for key, slot in self._slot_of.items() if isinstance(key, (Configuration, Index)))

    def _place(self, index: Expr, layer: Layer) -> int:
        """The slot of an index into the units of a layer, or into the places of an axis."""
        if isinstance(index, Index):
            return self.name(index)
        number = int(index)
        if layer in self.sizes and number >= self.size(layer):
            raise CheckError(
                f"unit {number} of layer {layer.name} does not exist in a model of {self.size(layer)} units."
            )
        return self.slot(("number", number), lambda world: number)

    def size(self, layer: Layer) -> int:
        try:
            return self.sizes[layer]
        except KeyError:
            raise CheckError(f"no size was given for layer {layer.name}.") from None

    # Compiled functions

    def value(self, node: Expr, depth: int = 0) -> Evaluator:
        """The value of an expression ``depth`` exponents deep.

        Raises:
            CheckError: it has none here.
        """
        return self._compiled(("value", node, depth), node, lambda: self._value(node, self.fields[depth]))

    def exp_of(self, node: Expr, depth: int = 0) -> Evaluator:
        """e to the value of an expression; it has one where logarithms stand in the expression, too.

        Raises:
            CheckError: it has none here.
        """
        return self._compiled(("exp", node, depth), node, lambda: self._exp_of(node, self.fields[depth]))

    def slope(self, node: Expr, by: Parameter, depth: int = 0) -> Evaluator | None:
        """The derivative by the entry of a parameter whose place is in the slot ``BY``; None where it is 0.

        Raises:
            CheckError: it has none here.
        """
        if by not in self._parameters(node):
            return None
        return self._compiled((by, node, depth), node, lambda: self._slope(node, by, self.fields[depth]))

    def _parameters(self, node: Expr) -> frozenset[Parameter]:
        found: frozenset[Parameter] = self._once(
            ("parameters", node), lambda: frozenset(s for s in node.free_symbols if isinstance(s, Parameter))
        )
        return found

    def _compiled(self, key: Any, node: Expr, make: Callable[[], Evaluator | None]) -> Any:
        passing = self._passing & self.free(node) if self._passing else self._passing
        key = (*key, passing)
        if key not in self._made:
            made = make()
            if made is not None and type(node) in _REMEMBERED and not passing:
                made = self._remembered(made, node, key[0])
            self._made[key] = made
        return self._made[key]

    def _remembered(self, evaluate: Evaluator, node: Expr, what: Any) -> Evaluator:
        """The function, with its values kept by what they depend on: many lines share the same sums."""
        slots = sorted(map(self.name, self.free(node)))
        if isinstance(what, Parameter):
            slots.append(BY)
        kept = self.slot(object(), lambda world: world.kept())
        key = operator.itemgetter(*(slots or [WORLD]))

        def remembered(env: Environment) -> Any:
            values = env[kept]
            here = key(env)
            value = values.get(here)
            if value is None:
                value = values[here] = evaluate(env)
            return value

        return remembered

    # Values

    def _value(self, node: Any, field: Any) -> Evaluator:
        depth = field.depth
        if isinstance(node, Rational):
            return _constant(field.number(Fraction(int(node.p), int(node.q))))
        if isinstance(node, StableFunction):
            return self._defined_value(node, field)
        if isinstance(node, _DEFINED):
            return self.value(node.definition(), depth)
        if node in field.constants:
            return _constant(field.constants[node])
        for kind in type(node).__mro__:
            if kind in _VALUES:
                found: Evaluator = _VALUES[kind](self, node, field)
                return found
        made = None if field.is_exact else field.function(self, node)
        if made is None:
            raise CheckError(f"{type(node).__name__} has no exact value here: {node}")
        return made

    def _sum(self, node: Add, field: Any) -> Evaluator:
        return field.sum([self.value(term, field.depth) for term in node.args])

    def _product(self, node: Mul, field: Any) -> Evaluator:
        return field.product([self.value(factor, field.depth) for factor in node.args])

    def _power(self, node: Pow, field: Any) -> Evaluator:
        base = self.value(node.base, field.depth)
        if node.exp.is_Rational and not node.exp.is_Integer:
            exponent = Fraction(int(node.exp.p), int(node.exp.q))
            return field.power(base, lambda env: exponent)
        power = int(node.exp) if node.exp.is_Integer else self.size_of(node.exp)
        base = field.inverse(base) if power < 0 else base
        return base if abs(power) == 1 else field.whole_power(base, abs(power))

    def size_of(self, symbol: Expr) -> int:
        """The value of a layer's size symbol, such as n_v."""
        for layer, size in self.sizes.items():
            if layer.size == symbol:
                return size
        raise CheckError(f"{symbol} has no exact value here: it is neither a number nor the size of a layer.")

    def _logarithm(self, node: log, field: Any) -> Evaluator:
        if field.is_exact:
            raise CheckError("a logarithm that is multiplied or divided by has no exact value here.")
        return field.ln(self.value(node.args[0], field.depth))

    def _entry(self, node: Entry, field: Any) -> Evaluator:
        parameter, depth = node.parameter, field.depth
        table = self.slot(parameter, lambda world: world.table(parameter))
        places = [self._place(i, layer) for i, layer in zip(node.indices, parameter.layers, strict=True)]
        zero = field.number(0)
        match places:
            case [i, j] if parameter.symmetric:

                def symmetric(env: Environment) -> Any:
                    a, b = env[i], env[j]
                    return zero if a == b else env[table][(a, b) if a < b else (b, a)][depth]

                return symmetric
            case [i]:
                return lambda env: env[table][env[i],][depth]
            case [i, j]:
                return lambda env: env[table][env[i], env[j]][depth]
            case [i, j, k]:
                return lambda env: env[table][env[i], env[j], env[k]][depth]
        return lambda env: env[table][tuple([env[place] for place in places])][depth]

    def _cell(self, node: State) -> Evaluator:
        row, place = self.name(node.configuration), self._place(node.index, node.layer)
        return lambda env: env[row][env[place]]

    def _state(self, node: State, field: Any) -> Evaluator:
        row, place, depth = self.name(node.configuration), self._place(node.index, node.layer), field.depth
        return lambda env: env[row][env[place]][depth]

    def _component(self, node: Component, field: Any) -> Evaluator:
        cell, depth = self._cell(node.state), field.depth
        part = self._place(node.place, node.state.layer.components)
        return lambda env: cell(env)[env[part]][depth]

    def _delta(self, node: Delta, field: Any) -> Evaluator:
        a, b = (self._compared(side) for side in node.args)
        one, zero = field.number(1), field.number(0)
        return lambda env: one if a(env) == b(env) else zero

    def _compared(self, side: Expr) -> Evaluator:
        """The plain number of a state, or a place."""
        if isinstance(side, State):
            cell = self._cell(side)
            return lambda env: cell(env)[-1]
        place = (
            self.name(side) if isinstance(side, Index) else self.slot(("number", int(side)), lambda world: int(side))
        )
        return lambda env: operator.index(env[place])

    def _state_function(self, node: Any, field: Any) -> Evaluator:
        """A function of a state: its own value where that is rational, and for a cosine or sine a stand-in, the same
        for equal states: what holds for any function of the state holds for these."""
        if not field.is_exact:
            found: Evaluator = field.function(self, node)
            return found
        plain = self._plain(node.args[0])
        kind, number = type(node), field.number
        if isinstance(node, StateFunction):
            return lambda env: number(kind.at(plain(env)))
        return lambda env: number(_stand_in(kind, plain(env)))

    def _plain(self, node: Any) -> Callable[[Environment], Fraction]:
        """The rational number that an expression of states and numbers is."""
        if isinstance(node, Rational):
            return _constant(Fraction(int(node.p), int(node.q)))
        if isinstance(node, State):
            cell = self._cell(node)
            return lambda env: cell(env)[-1]
        if isinstance(node, (Add, Mul)):
            parts = [self._plain(part) for part in node.args]
            combine = operator.add if isinstance(node, Add) else operator.mul
            return lambda env: reduce(combine, [part(env) for part in parts])
        raise CheckError(f"{node} has no exact value here: it is no number of states alone.")

    def _probability(self, node: Probability, field: Any) -> Evaluator:
        # The two parts apart, so that the normaliser, which does not depend on the subject, is remembered.
        above, below = self.value(node.numerator(), field.depth), self.value(node.normaliser(), field.depth)
        return field.product([above, field.inverse(below)])

    def _derivative(self, node: Derivative, field: Any) -> Evaluator:
        by, *more = node.variables
        if more:
            self._no_second_derivative(node, by.parameter, field)
        if not isinstance(by, Entry):
            raise CheckError(f"derivatives are taken by an entry of a parameter. Got {by}.")
        parameter = by.parameter
        places = [self._place(i, layer) for i, layer in zip(by.indices, parameter.layers, strict=True)]
        slope = self.slope(node.expr, parameter, field.depth)
        if slope is None:
            return _constant(field.number(0))

        def derivative(env: Environment) -> Any:
            at = tuple([operator.index(env[place]) for place in places])
            before, env[BY] = env[BY], tuple(sorted(at)) if parameter.symmetric else at
            try:
                return slope(env)
            finally:
                env[BY] = before

        return derivative

    def _base_measure(self, node: BaseMeasure, field: Any) -> Evaluator:
        state = node.state
        if not isinstance(state, State):
            raise CheckError(f"{node} has no exact value here.")
        cell, layer, depth = self._cell(state), state.layer, field.depth
        if self.true_units and not field.is_exact:
            weigh = field.weight(lookup(layer.unit))
            return lambda env: weigh(cell(env)[-1])
        return lambda env: env[WORLD].weight(layer, cell(env))[depth]

    # e to a value

    def _exp_of(self, node: Any, field: Any) -> Evaluator:
        depth = field.depth
        if not self.has_logarithm(node):
            return field.exp(self.value(node, field.exponents.depth))
        if isinstance(node, log):
            return field.argument_of_ln(self.value(node.args[0], depth))
        if isinstance(node, StableFunction):
            return self._exp_of_defined(node, field)
        if isinstance(node, _DEFINED):
            return self.exp_of(node.definition(), depth)
        if isinstance(node, Add):
            return field.product([self.exp_of(term, depth) for term in node.args])
        if isinstance(node, IndexSum):
            return self._over_indices(node.indices, field.product_over, self.exp_of(node.body, depth))
        if isinstance(node, Mul):
            logs = [factor for factor in node.args if self.has_logarithm(factor)]
            if len(logs) == 1:
                rest = Mul(*(factor for factor in node.args if factor is not logs[0]))
                return self._power_of(self.exp_of(logs[0], depth), rest, field)
        if field.is_exact:
            raise CheckError("a function of a logarithm has no exact value here.")
        return field.exp(self.value(node, depth))

    def _power_of(self, base: Evaluator, exponent: Expr, field: Any) -> Evaluator:
        try:
            plain = self._plain(exponent)
        except CheckError:
            return field.any_power(base, self.value(exponent, field.exponents.depth))
        return field.power(base, plain)

    # Slopes

    def _slope(self, node: Any, by: Parameter, field: Any) -> Evaluator | None:
        depth = field.depth
        if isinstance(node, StableFunction):
            return self._slope_of_defined(node, by, field)
        if isinstance(node, _DEFINED):
            return self.slope(node.definition(), by, depth)
        for kind in type(node).__mro__:
            if kind in _SLOPES:
                found: Evaluator | None = _SLOPES[kind](self, node, by, field)
                return found
        made = None if field.is_exact else field.slope_of_function(self, node, by)
        if made is None:
            raise CheckError(f"the derivative of {type(node).__name__} has no exact value here: {node}")
        return made

    def _slope_of_entry(self, node: Entry, by: Parameter, field: Any) -> Evaluator:
        places = [self._place(i, layer) for i, layer in zip(node.indices, by.layers, strict=True)]
        one, zero = field.number(1), field.number(0)
        if by.symmetric:
            a, b = places
            return lambda env: one if tuple(sorted((env[a], env[b]))) == env[BY] else zero
        return lambda env: one if tuple([env[place] for place in places]) == env[BY] else zero

    def _slope_of_sum(self, node: Add, by: Parameter, field: Any) -> Evaluator | None:
        slopes = [slope for term in node.args if (slope := self.slope(term, by, field.depth)) is not None]
        return _only(slopes) or (field.sum(slopes) if slopes else None)

    def _slope_of_product(self, node: Mul, by: Parameter, field: Any) -> Evaluator | None:
        terms = []
        for place, factor in enumerate(node.args):
            slope = self.slope(factor, by, field.depth)
            if slope is not None:
                others = (*node.args[:place], *node.args[place + 1 :])
                terms.append(field.product([*(self.value(other, field.depth) for other in others), slope]))
        return _only(terms) or (field.sum(terms) if terms else None)

    def _slope_of_power(self, node: Pow, by: Parameter, field: Any) -> Evaluator | None:
        slope = self.slope(node.base, by, field.depth)
        if slope is None:
            return None
        lower = Pow(node.base, node.exp - 1)
        return field.product([self.value(node.exp, field.depth), self.value(lower, field.depth), slope])

    def _slope_of_exponential(self, node: exp, by: Parameter, field: Any) -> Evaluator | None:
        slope = self.slope(node.args[0], by, field.depth)
        return None if slope is None else field.product([self.value(node, field.depth), slope])

    def _slope_of_logarithm(self, node: log, by: Parameter, field: Any) -> Evaluator | None:
        slope = self.slope(node.args[0], by, field.depth)
        return None if slope is None else field.product([slope, field.inverse(self.value(node.args[0], field.depth))])

    def _slope_of_probability(self, node: Probability, by: Parameter, field: Any) -> Evaluator | None:
        return self.slope(Mul(node.numerator(), Pow(node.normaliser(), -1), evaluate=False), by, field.depth)

    def _no_second_derivative(self, node: Derivative, by: Parameter, field: Any) -> None:
        raise CheckError("a derivative of a derivative has no exact value here.")

    # Sums and products. Those over several indices or configurations are sums within sums.

    def _index_sum(self, node: IndexSum, field: Any) -> Evaluator:
        return self._over_indices(node.indices, field.sum_over, self.value(node.body, field.depth))

    def _index_product(self, node: IndexProduct, field: Any) -> Evaluator:
        return self._over_indices(node.indices, field.product_over, self.value(node.body, field.depth))

    def _over_indices(self, indices: Iterable[Index], fold: Callable[..., Evaluator], body: Evaluator) -> Evaluator:
        for index in reversed(tuple(indices)):
            body = fold(self.name(index), self._places(index.layer), body)
        return body

    def _places(self, layer: Layer) -> Callable[[Environment], Iterable[int]]:
        """What an index over a layer runs through: its units' numbers, or the labels or components of such an axis."""
        if isinstance(layer, StateAxis):
            return lambda env: env[WORLD].labels(layer.of)
        return _constant(range(layer.dimension if isinstance(layer, ComponentAxis) else self.size(layer)))

    def _slope_of_index_sum(self, node: IndexSum, by: Parameter, field: Any) -> Evaluator | None:
        slope = self.slope(node.body, by, field.depth)
        return None if slope is None else self._over_indices(node.indices, field.sum_over, slope)

    def _slope_of_index_product(self, node: IndexProduct, by: Parameter, field: Any) -> Evaluator | None:
        slope = self.slope(node.body, by, field.depth)
        if slope is None:
            return None
        (index,) = node.indices
        slot, places = self.name(index), self._places(index.layer)
        value, one, reduced = self.value(node.body, field.depth), field.number(1), field.reduced

        def slope_of_product(env: Environment) -> Any:
            before, product, result = env[slot], one, 0 * one
            for place in places(env):
                env[slot] = place
                factor = value(env)
                result = reduced(result * factor + product * slope(env))
                product = reduced(product * factor)
            env[slot] = before
            return result

        return slope_of_product

    def _config_sum(self, node: ConfigSum, field: Any) -> Evaluator:
        return self._over_configurations(node, field, self.value(node.body, field.depth))

    def _slope_of_config_sum(self, node: ConfigSum, by: Parameter, field: Any) -> Evaluator | None:
        slope = self.slope(node.body, by, field.depth)
        return None if slope is None else self._over_configurations(node, field, slope)

    def _over_configurations(self, node: ConfigSum, field: Any, body: Evaluator) -> Evaluator:
        depth = field.depth
        for configuration in reversed(node.configurations):
            layer, row = configuration.layer, self.name(configuration)
            self.size(layer)
            if lookup(layer.unit).base is not None:
                body = field.product([_weight_of_row(row, depth), body])
            body = field.sum_over(row, _rows(layer), body)
        return body

    def _unit_sum(self, node: UnitSum, field: Any) -> Evaluator:
        found = self._over_states(node, field, lambda: self.value(node.body, field.depth))
        assert found is not None
        return found

    def _slope_of_unit_sum(self, node: UnitSum, by: Parameter, field: Any) -> Evaluator | None:
        return self._over_states(node, field, lambda: self.slope(node.body, by, field.depth))

    def _over_states(self, node: UnitSum, field: Any, compiled: Callable[[], Evaluator | None]) -> Evaluator | None:
        """Σ over the states of one unit, the other units of its row as they are, of what is compiled for one."""
        state, depth = node.state, field.depth
        layer, unit = state.layer, lookup(state.layer.unit)
        row, place = self.name(state.configuration), self._place(state.index, layer)
        if self.true_units and not unit.is_finite:
            if field.is_exact:
                raise CheckError(f"a {unit.name} unit has no finite set of states.")
            with self._integrating(state.configuration):
                body = compiled()
            return None if body is None else field.integral(unit, layer, row, place, body)
        body = compiled()
        if body is None:
            return None
        if unit.base is not None:
            body = field.product([lambda env: env[WORLD].unit_weight(layer, env[row][env[place]])[depth], body])
        return field.sum_over(row, lambda env: env[WORLD].unit_rows(layer, env[row], env[place]), body)

    @contextmanager
    def _integrating(self, configuration: Configuration) -> Iterator[None]:
        before, self._passing = self._passing, self._passing | {configuration}
        try:
            yield
        finally:
            self._passing = before

    def _site_energy(self, node: SiteEnergy, field: Any) -> Evaluator:
        return self._at_site(node, lambda: self.value(node.function(), field.depth))

    def _slope_of_site_energy(self, node: SiteEnergy, by: Parameter, field: Any) -> Evaluator | None:
        return self._at_site(node, lambda: self.slope(node.function(), by, field.depth))

    def _at_site(self, node: SiteEnergy, compiled: Callable[[], Evaluator | None]) -> Any:
        """What is compiled of the energy, with one unit in another state."""
        own = node.state.configuration
        row, place = self.name(own), self._place(node.state.index, node.state.layer)
        passes = isinstance(node.value, State) and node.value.configuration in self._passing
        if isinstance(node.value, State):
            cell = self._cell(node.value)
        else:
            value = Fraction(int(node.value.p), int(node.value.q))
            cell = lambda env: env[WORLD].cell(value)  # noqa: E731
        if passes:
            with self._integrating(own):
                energy = compiled()
        else:
            energy = compiled()
        if energy is None:
            return None

        def at_site(env: Environment) -> Any:
            before = env[row]
            env[row] = env[WORLD].with_unit(before, env[place], cell(env), node.state.layer, passes)
            result = energy(env)
            env[row] = before
            return result

        return at_site

    # Functions that are defined at 0 by a limit

    def _at_limits(
        self, node: StableFunction, field: Any, evaluate: Evaluator, limit: Callable[[Environment], Any]
    ) -> Evaluator:
        """The function, with its limit where its formula reads 0/0."""
        try:
            argument = self.value(node.args[-1], field.depth)
        except CheckError:  # not known apart from e to it
            return evaluate

        def at_limits(env: Environment) -> Any:
            try:
                return evaluate(env)
            except Vanishes:
                if argument(env) != 0:
                    raise
                return limit(env)

        return at_limits

    def _defined_value(self, node: StableFunction, field: Any) -> Evaluator:
        def limit(env: Environment) -> Any:
            found = _limit(node)
            value = field.number(found.value)
            return field.ln(_constant(value))(env) if found.of_logarithm else value

        return self._at_limits(node, field, self.value(node.definition(), field.depth), limit)

    def _exp_of_defined(self, node: StableFunction, field: Any) -> Evaluator:
        evaluate = self.exp_of(node.definition(), field.depth)
        return self._at_limits(node, field, evaluate, lambda env: field.number(_limit(node).value))

    def _slope_of_defined(self, node: StableFunction, by: Parameter, field: Any) -> Evaluator | None:
        evaluate = self.slope(node.definition(), by, field.depth)
        inner = self.slope(node.args[-1], by, field.depth)
        if evaluate is None or inner is None:
            return evaluate

        def limit(env: Environment) -> Any:
            found = _limit(node)
            slope = found.slope / found.value if found.of_logarithm else found.slope
            return field.reduced(field.number(slope) * inner(env))

        return self._at_limits(node, field, evaluate, limit)


def _limit(node: StableFunction) -> Limit:
    return limit_at_zero(type(node).__name__, *map(int, node.args[:-1]))


def _constant(value: Any) -> Evaluator:
    return lambda env: value


def _only(evaluators: Sequence[Evaluator]) -> Evaluator | None:
    return evaluators[0] if len(evaluators) == 1 else None


def _weight_of_row(row: int, depth: int) -> Evaluator:
    return lambda env: env[row].weights[depth]


def _rows(layer: Layer) -> Evaluator:
    return lambda env: env[WORLD].rows(layer)


def _spelt_tanh(node: tanh) -> Expr:
    x = node.args[0]
    return (exp(x) - exp(-x)) / (exp(x) + exp(-x))


def _stand_in(kind: type, state: Any) -> Fraction:
    return Fraction(random.Random(f"{kind.__name__}/{state}").randrange(1, 997), 997)


_VALUES: dict[type, Callable[[Program, Any, Any], Evaluator]] = {
    Add: Program._sum,
    Mul: Program._product,
    Pow: Program._power,
    exp: lambda program, node, field: program.exp_of(node.args[0], field.depth),
    log: Program._logarithm,
    tanh: lambda program, node, field: program.value(_spelt_tanh(node), field.depth),
    Symbol: lambda program, node, field: _constant(field.number(program.size_of(node))),
    Delta: Program._delta,
    Indicator: Program._delta,
    Component: Program._component,
    Entry: Program._entry,
    State: Program._state,
    StateFunction: Program._state_function,
    cos: Program._state_function,
    sin: Program._state_function,
    IndexSum: Program._index_sum,
    IndexProduct: Program._index_product,
    ConfigSum: Program._config_sum,
    UnitSum: Program._unit_sum,
    Derivative: Program._derivative,
    Probability: Program._probability,
    BaseMeasure: Program._base_measure,
    SiteEnergy: Program._site_energy,
}
_SLOPES: dict[type, Callable[[Program, Any, Parameter, Any], Evaluator | None]] = {
    Add: Program._slope_of_sum,
    Mul: Program._slope_of_product,
    Pow: Program._slope_of_power,
    exp: Program._slope_of_exponential,
    log: Program._slope_of_logarithm,
    tanh: lambda program, node, by, field: program.slope(_spelt_tanh(node), by, field.depth),
    Entry: Program._slope_of_entry,
    IndexSum: Program._slope_of_index_sum,
    IndexProduct: Program._slope_of_index_product,
    ConfigSum: Program._slope_of_config_sum,
    UnitSum: Program._slope_of_unit_sum,
    Derivative: Program._no_second_derivative,
    Probability: Program._slope_of_probability,
    SiteEnergy: Program._slope_of_site_energy,
}
_REMEMBERED = {
    ConfigSum,
    EnergyCall,
    Expectation,
    FreeEnergy,
    IndexProduct,
    IndexSum,
    LogPartition,
    Probability,
    UnitSum,
    exp,
}
