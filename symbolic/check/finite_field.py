"""An exact oracle: evaluates an expression at a random point of a small model, in a finite field.

Two expressions that are equal as functions of the parameters agree at every point; two that are not agree at a random
point with probability about degree / 2^60 (Schwartz 1980, Zippel 1979). Nothing is simplified and SymPy's ``diff`` is
not used: derivatives are carried out by dual numbers.

The trick that makes exponentials exact: a parameter is a random rational number θ, and the number e is stood in for by
a fixed random element G of the field F_p, so that every Boltzmann weight e^{−E} = G^{−E} is an element of the field. A
value is therefore a pair r + ln R. The prime p = 2q + 1 is a safe one and G is a square, so its powers form a group of
prime order q in which rational powers (the ½ of a spin's field, or one over a standard deviation) exist and are unique.
Parameters and their exponentials are algebraically independent, so an equation that holds for the stand-in is one that
holds for e.

The oracle evaluates models of fixed, small sizes; it does not prove a statement for all sizes. Layers with infinitely
many states get a few states of a stand-in, one at even points and another at odd ones: what holds there for both is a
line that does not depend on the states. Lines that do are for :mod:`symbolic.check.quadrature`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from typing import Any

from sympy import Add, Derivative, Expr, Function, Mul, Pow, Rational, Symbol, cos, exp, log, sin, tanh

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
from symbolic.units import Finite, Integers, Sphere, StateValue, Unit, lookup

__all__ = ["Dual", "G", "P", "Q", "Value", "World", "free_names", "shown_state", "stand_ins"]

P = 2305843009213691579  # = 2Q + 1, both prime
Q = 1152921504606845789
G = pow(1414213562373095048, 2, P)  # stands in for the number e; any square but 1 would do


class Value:
    """r + ln R, with r in F_p (and, where it is one, as an exact rational) and R in F_p, R ≠ 0."""

    __slots__ = ("log", "rational", "residue")

    def __init__(self, residue: int, rational: Fraction | None, log: int = 1):
        self.residue = residue
        self.rational = rational
        self.log = log

    @classmethod
    def of(cls, number: Fraction | int) -> Value:
        number = Fraction(number)
        return cls(number.numerator * pow(number.denominator, -1, P) % P, number)

    def __add__(self, other: Value) -> Value:
        known = self.rational is not None and other.rational is not None
        total = self.rational + other.rational if known else None  # type: ignore[operator]
        return Value((self.residue + other.residue) % P, total, self.log * other.log % P)

    def __mul__(self, other: Value) -> Value:
        if self.log != 1:
            if other.log != 1:
                raise CheckError("a product of two parameters outside an exponential has no exact value here.")
            return other * self
        known = self.rational is not None and other.rational is not None
        product = self.rational * other.rational if known else None  # type: ignore[operator]
        residue = self.residue * other.residue % P
        if other.log == 1:
            return Value(residue, product)
        if self.rational is None:
            raise CheckError("a parameter times an irrational number has no exact value here.")
        return Value(residue, product, _rational_power(other.log, self.rational))

    def inverse(self) -> Value:
        if self.log != 1:
            raise CheckError("one over a parameter has no exact value here.")
        if self.residue == 0:
            raise CheckError("a denominator vanishes at this point.")
        return Value(pow(self.residue, -1, P), None if self.rational is None else 1 / self.rational)

    def exp(self) -> Value:
        if self.rational is None:
            raise CheckError("the exponential of an irrational number has no exact value here.")
        if self.rational == 0:
            return Value(self.log, Fraction(1) if self.log == 1 else None)
        return Value(_rational_power(G, self.rational) * self.log % P, None)

    def ln(self) -> Value:
        if self.log != 1:
            raise CheckError("the logarithm of a logarithm has no exact value here.")
        if self.residue == 0:
            raise CheckError("the logarithm of zero.")
        return Value(0, Fraction(0), self.residue)

    def power(self, exponent: Fraction) -> Value:
        """A rational power that is no whole one."""
        if self.log != 1 or pow(self.residue, Q, P) != 1:
            raise CheckError("a root of a number that is no square has no exact value here.")
        return Value(_rational_power(self.residue, exponent), None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value):
            return False
        if (self.residue, self.log) == (other.residue, other.log):
            return True
        if self.rational is None or other.rational is None:
            return False
        return self.exp().residue == other.exp().residue  # such as ln(G²) and 2

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self.residue}" + ("" if self.log == 1 else f" + ln {self.log}")


def _rational_power(base: int, exponent: Fraction) -> int:
    if exponent.denominator == 1:
        return pow(base, exponent.numerator, P)
    if pow(base, Q, P) != 1:
        raise CheckError("a root of a number that is no square has no exact value here.")
    return pow(base, exponent.numerator * pow(exponent.denominator, -1, Q) % Q, P)


class Dual:
    """value + slope·ε with ε² = 0; the slope is the derivative by the entry that is being varied (None is 0).

    The numbers are of :class:`Value` or of any class with its methods.
    """

    __slots__ = ("slope", "value")

    def __init__(self, value: Any, slope: Any = None):
        self.value = value
        self.slope = slope

    def __add__(self, other: Dual) -> Dual:
        slope = other.slope if self.slope is None else self.slope if other.slope is None else self.slope + other.slope
        return Dual(self.value + other.value, slope)

    def __mul__(self, other: Dual) -> Dual:
        slope = None if other.slope is None else self.value * other.slope
        if self.slope is not None:
            own = self.slope * other.value
            slope = own if slope is None else slope + own
        return Dual(self.value * other.value, slope)

    def inverse(self) -> Dual:
        inverse = self.value.inverse()
        minus_one = type(self.value).of(-1)
        return Dual(inverse, None if self.slope is None else minus_one * self.slope * inverse * inverse)

    def exp(self) -> Dual:
        value = self.value.exp()
        return Dual(value, None if self.slope is None else value * self.slope)

    def ln(self) -> Dual:
        return Dual(self.value.ln(), None if self.slope is None else self.slope * self.value.inverse())

    def power(self, exponent: Fraction) -> Dual:
        """A rational power that is no whole one."""
        value = self.value.power(exponent)
        if self.slope is None:
            return Dual(value)
        return Dual(value, type(value).of(exponent) * self.slope * value * self.value.inverse())


def free_names(node: Any) -> set[Configuration | Index]:
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
        return set().union(*map(free_names, node.args))
    return {s for s in node.free_symbols if isinstance(s, (Configuration, Index))}


def _measure(unit: Unit) -> Callable[[Iterable[StateValue]], tuple[Fraction, ...]]:
    """From states to the weights with which sums count them, where these are rational."""

    def weigh(states: Iterable[StateValue]) -> tuple[Fraction, ...]:
        if unit.base is None:
            return tuple(Fraction(1) for _ in states)
        exact = [unit.base(Rational(*Fraction(s).as_integer_ratio())) for s in states]
        if not all(x.is_Rational for x in exact):
            raise CheckError(f"the base measure of {unit.name} units has no exact value here.")
        return tuple(Fraction(int(x.p), int(x.q)) for x in exact)

    return weigh


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


class World:
    """A model of given sizes at one random point: values for parameters, free configurations and free indices.

    Args:
        sizes: the number of units of each layer.
        seed: of the random numbers.
        true_units: whether sums over one unit's states run over its own states, though sums over whole layers run over
            stand-ins; for lines about single units.
        point: which point this is. A swapped index, or a state that is 0 everywhere, would hide a mistake; so free
            indices over different layers, or two over one, get different values where there are enough units, the same
            in four points; points 2n and 2n + 1 mirror each other's states, so that no unit stands in one state at
            both; and any two of up to four units differ somewhere in four points.
    """

    number: Any = Value
    """The class of the numbers computed with."""

    def __init__(self, sizes: Mapping[Layer, int], seed: int = 0, point: int = 0, true_units: bool = False):
        self.true_units = true_units
        self.zero, self.one = self.number.of(0), self.number.of(1)
        self.sizes = dict(sizes)
        self.point = point
        self.seed = seed
        self.rng = random.Random(f"{seed}/{point}")
        self.parameters: dict[tuple[str, tuple[int, ...]], Any] = {}
        self.states: dict[Configuration, tuple[StateValue, ...]] = {}
        self.units: dict[tuple[Configuration, int], Any] = {}
        self._domains: dict[Layer, tuple[tuple[StateValue, ...], tuple[Any, ...]]] = {}
        self.indices: dict[Index, int] = {}
        self.by: tuple[str, tuple[int, ...]] | None = None
        self._memo: dict[Any, Dual] = {}
        self._free: dict[Expr, tuple[Any, ...]] = {}

    def place(self, *expressions: Expr) -> None:
        """Give every free configuration and index of the expressions a value."""
        free = set().union(*map(free_names, expressions))
        configurations = sorted((c for c in free if isinstance(c, Configuration)), key=str, reverse=True)
        unbound = [c for c in configurations if c.label]
        if unbound:
            places = ", ".join(f"{c.layer.name}^{c.label}" for c in unbound)
            raise UnboundError(f"unbound label {', '.join(c.label for c in unbound)} (in {places})")
        for configuration in configurations:
            if configuration not in self.states:
                self.states[configuration] = self._configuration(configuration.layer)
        for index in sorted((i for i in free if isinstance(i, Index)), key=lambda i: i.name):
            if index not in self.indices:
                # Over different layers, and within one, different values as long as there are enough units.
                layer = index.layer.of if isinstance(index.layer, StateAxis) else index.layer
                offset = 0 if isinstance(layer, ComponentAxis) else list(self.sizes).index(layer)
                offset += sum(i.layer == index.layer for i in self.indices)
                values = self.values(index.layer)
                self.indices[index] = values[(self.point // 4 + offset) % len(values)]

    def domain(self, layer: Layer) -> tuple[StateValue, ...]:
        """The states that the layer's units have at this point."""
        return self._domain(layer)[0]

    def _domain(self, layer: Layer) -> tuple[tuple[StateValue, ...], tuple[Any, ...]]:
        """The layer's states here, and the weights with which sums count them."""
        if layer not in self._domains:
            unit, sets = lookup(layer.unit), stand_ins(layer)
            states = sets[self.point % len(sets)]
            if unit.base is None:
                weights: tuple[Fraction, ...] = (Fraction(1),) * len(states)
            elif unit.is_finite:
                weights = _measure(unit)(states)
            else:  # any measure will do for states that stand in for others; this one is not uniform
                weights = tuple(Fraction(k + 2) for k in range(len(states)))
            self._domains[layer] = states, tuple(map(self.number.of, weights))
        return self._domains[layer]

    def _configuration(self, layer: Layer) -> tuple[StateValue, ...]:
        # Units are numbered at random and stand in the states that a digit of their number names.
        domain = self.domain(layer)
        n, base = self.size(layer), len(domain)
        numbers = random.Random(f"{self.seed}/{layer.name}").sample(range(n), n)
        digits = 1
        while base**digits < n:
            digits += 1
        place = base ** (self.point // 2 % digits)
        states = domain[::-1] if self.point % 2 else domain
        return tuple(states[number // place % base] for number in numbers)

    def size(self, layer: Layer) -> int:
        try:
            return self.sizes[layer]
        except KeyError:
            raise CheckError(f"no size was given for layer {layer.name}.") from None

    def values(self, layer: Layer) -> Sequence[int]:
        """What an index over a layer runs through: its units' numbers, or the labels or components of such an axis."""
        if not isinstance(layer, StateAxis):
            return range(layer.dimension if isinstance(layer, ComponentAxis) else self.size(layer))
        labels = lookup(layer.unit).states if self.true_units else self.domain(layer.of)
        return [int(label) for label in labels]

    def evaluate(self, expression: Expr) -> Any:
        """The value of an expression whose free configurations and indices have been placed."""
        return self._dual(expression).value

    rules: Mapping[type, Callable[[Any, Any], Dual]]
    """How each kind of node is evaluated."""

    remembers_units = True
    """Whether what depends on a single unit's state is remembered too."""

    # Evaluation. Values are remembered by what they depend on: many lines share the same sums.

    def _dual(self, node: Expr) -> Dual:
        rule = self.rules.get(type(node))
        if rule is None:
            rule = _rule_for(node)
        if type(node) not in _REMEMBERED:
            return rule(self, node)
        free = self._free.get(node)
        if free is None:
            free = tuple(free_names(node))
            self._free[node] = free
        here = tuple(self.indices.get(s) if isinstance(s, Index) else self.states.get(s) for s in free)
        alone = tuple(item for item in self.units.items() if item[0][0] in free) if self.units else ()
        if alone and not self.remembers_units:
            return rule(self, node)
        key = (node, here, alone, self.by)
        value = self._memo.get(key)
        if value is None:
            value = self._memo[key] = rule(self, node)
        return value

    def _index(self, index: Expr) -> int:
        if isinstance(index, Index):
            if index not in self.indices:
                raise UnboundError(f"unbound index {index}")
            return self.indices[index]
        number = int(index)
        return number

    def _state(self, state: State) -> Any:
        position = self._index(state.index)
        alone = self.units.get((state.configuration, position))
        if alone is not None:
            return alone
        if state.configuration not in self.states:
            label = state.configuration.label
            raise UnboundError(
                f"unbound label {label} (of layer {state.layer.name})" if label else f"no value for {state}"
            )
        row = self.states[state.configuration]
        if position >= len(row):
            raise CheckError(
                f"unit {position} of layer {state.layer.name} does not exist in a model of {len(row)} units."
            )
        return row[position]

    def _parameter(self, entry: Entry) -> Dual:
        positions = tuple(self._index(i) for i in entry.indices)
        if entry.parameter.symmetric:
            if positions[0] == positions[1]:
                return Dual(self.zero)
            positions = tuple(sorted(positions))
        key = (entry.parameter.name, positions)
        value = self.parameters.get(key)
        if value is None:
            value = self.parameters[key] = self.draw(entry)
        return Dual(value, self.one if self.by == key else None)

    def draw(self, entry: Entry) -> Any:
        """A random value for an entry of a parameter."""
        return Value.of(self.rng.randrange(2, P - 1))

    @contextmanager
    def _bound(self, table: dict[Any, Any], keys: tuple[Any, ...]) -> Iterator[None]:
        absent = object()
        before = [table.get(key, absent) for key in keys]
        try:
            yield
        finally:
            for key, value in zip(keys, before, strict=True):
                if value is absent:
                    table.pop(key, None)
                else:
                    table[key] = value

    def _fold(self, node: Any, start: Any, combine: Callable[[Dual, Dual], Dual]) -> Dual:
        total = Dual(start)
        with self._bound(self.indices, node.indices):
            for values in itertools.product(*(self.values(i.layer) for i in node.indices)):
                self.indices.update(zip(node.indices, values, strict=True))
                total = combine(total, self._dual(node.body))
        return total

    def _config_sum(self, node: ConfigSum) -> Dual:
        total = Dual(self.zero)
        spaces, weights = [], []
        for configuration in node.configurations:
            states, measure = self._domain(configuration.layer)
            spaces.append(itertools.product(states, repeat=self.size(configuration.layer)))
            weights.append(itertools.product(measure, repeat=self.size(configuration.layer)))
        uniform = all(lookup(c.layer.unit).base is None for c in node.configurations)
        with self._bound(self.states, node.configurations):
            for chosen, counted in zip(itertools.product(*spaces), itertools.product(*weights), strict=True):
                self.states.update(zip(node.configurations, chosen, strict=True))
                term = self._dual(node.body)
                if not uniform:
                    for weight in itertools.chain(*counted):
                        term = term * Dual(weight)
                total = total + term
        return total

    def _unit_sum(self, node: UnitSum) -> Dual:
        states, weights = self._domain(node.state.layer)
        if self.true_units:
            unit = lookup(node.state.layer.unit)
            if not unit.is_finite:
                raise CheckError(f"a {unit.name} unit has no finite set of states.")
            states = unit.states
            weights = tuple(map(self.number.of, _measure(unit)(states)))
        key = (node.state.configuration, self._index(node.state.index))
        total = Dual(self.zero)
        with self._bound(self.units, (key,)):
            for value, weight in zip(states, weights, strict=True):
                self.units[key] = value
                total = total + Dual(weight) * self._dual(node.body)
        return total

    def _base_measure(self, node: BaseMeasure) -> Dual:
        value = self._dual(node.state).value
        for state, weight in zip(*self._domain(node.state.layer), strict=True):
            if self.number.of(state) == value:
                return Dual(weight)
        raise CheckError(f"{node.state} is in none of its states.")

    def _site_energy(self, node: SiteEnergy) -> Dual:
        """The energy with one unit in another state, which is looked up before its layer's configuration."""
        value = self._state(node.value) if isinstance(node.value, State) else Fraction(node.value.p, node.value.q)
        key = (node.state.configuration, self._index(node.state.index))
        with self._bound(self.units, (key,)):
            self.units[key] = value
            return self._dual(node.function())

    def _power(self, node: Pow) -> Dual:
        base = self._dual(node.base)
        if node.exp.is_Rational and not node.exp.is_Integer:
            return base.power(Fraction(int(node.exp.p), int(node.exp.q)))
        exponent = int(node.exp) if node.exp.is_Integer else self.size_of(node.exp)
        if exponent < 0:
            base, exponent = base.inverse(), -exponent
        result = Dual(self.one)
        for _ in range(exponent):
            result = result * base
        return result

    def size_of(self, symbol: Expr) -> int:
        """The value of a layer's size symbol, such as n_v."""
        for layer, size in self.sizes.items():
            if layer.size == symbol:
                return size
        raise CheckError(f"{symbol} has no exact value here: it is neither a number nor the size of a layer.")

    def _derivative(self, node: Derivative) -> Dual:
        (by,) = node.variables
        if not isinstance(by, Entry):
            raise CheckError(f"derivatives are taken by an entry of a parameter. Got {by}.")
        positions = tuple(self._index(i) for i in by.indices)
        if by.parameter.symmetric:
            positions = tuple(sorted(positions))
        before, self.by = self.by, (by.parameter.name, positions)
        if before is not None:
            raise CheckError("a derivative of a derivative has no exact value here.")
        try:
            slope = self._dual(node.expr).slope
        finally:
            self.by = before
        return Dual(self.zero if slope is None else slope)


def _sum(world: World, node: Any) -> Dual:
    total = Dual(world.zero)
    for term in node.args:
        total = total + world._dual(term)
    return total


def _product(world: World, node: Any) -> Dual:
    result = Dual(world.one)
    for factor in node.args:
        result = result * world._dual(factor)
    return result


def _delta(world: World, node: Any) -> Dual:
    a, b = (world._state(x) if isinstance(x, State) else world._index(x) for x in node.args)
    return Dual(world.one if a == b else world.zero)


def _indicator(world: World, node: Any) -> Dual:
    return Dual(world.one if world._state(node.state) == world._index(node.label) else world.zero)


def _component(world: World, node: Any) -> Dual:
    state = world._state(node.state)
    return Dual(world.number.of(state[world._index(node.place)]))


@lru_cache(maxsize=1024)
def _definition(node: Any) -> Expr:
    return node.definition()


@lru_cache(maxsize=1024)
def _quotient(node: Probability) -> tuple[Expr, Expr]:
    return node.numerator(), node.normaliser()


def _defined(world: World, node: Any) -> Dual:
    return world._dual(_definition(node))


def _probability(world: World, node: Probability) -> Dual:
    # The two parts apart, so that the normaliser, which does not depend on the subject, is remembered.
    numerator, normaliser = _quotient(node)
    return world._dual(numerator) * world._dual(normaliser).inverse()


def _tanh(world: World, node: Any) -> Dual:
    x = node.args[0]
    return world._dual((exp(x) - exp(-x)) / (exp(x) + exp(-x)))


def _state_function(world: World, node: Any) -> Dual:
    """A function of a state: its own value where that is rational, and for a cosine or sine a stand-in, the same for
    equal states: what holds for any function of the state holds for these."""
    inner = world._dual(node.args[0])
    state = getattr(inner.value, "rational", None)
    if inner.slope is not None or state is None:
        raise CheckError(f"{node} has no exact value here: it is a function of states alone.")
    if isinstance(node, StateFunction):
        return Dual(world.number.of(node.at(state)))
    return Dual(world.number.of(Fraction(random.Random(f"{type(node).__name__}/{state}").randrange(1, 997), 997)))


_RULES: dict[type, Callable[[World, Any], Dual]] = {
    Add: _sum,
    Mul: _product,
    Pow: lambda world, node: world._power(node),
    exp: lambda world, node: world._dual(node.args[0]).exp(),
    log: lambda world, node: world._dual(node.args[0]).ln(),
    tanh: _tanh,
    Symbol: lambda world, node: Dual(world.number.of(world.size_of(node))),
    Delta: _delta,
    Indicator: _indicator,
    Component: _component,
    Entry: lambda world, node: world._parameter(node),
    State: lambda world, node: Dual(world.number.of(world._state(node))),
    IndexSum: lambda world, node: world._fold(node, world.zero, Dual.__add__),
    IndexProduct: lambda world, node: world._fold(node, world.one, Dual.__mul__),
    ConfigSum: lambda world, node: world._config_sum(node),
    UnitSum: lambda world, node: world._unit_sum(node),
    Derivative: lambda world, node: world._derivative(node),
    Probability: _probability,
    BaseMeasure: lambda world, node: world._base_measure(node),
    SiteEnergy: lambda world, node: world._site_energy(node),
    **dict.fromkeys((EnergyCall, Expectation, FreeEnergy, LogPartition, SiteProbability, UnitProbability), _defined),
}
World.rules = _RULES
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


def _rule_for(node: Any) -> Callable[[World, Any], Dual]:
    if isinstance(node, Rational):
        return lambda world, n: Dual(world.number.of(Fraction(int(n.p), int(n.q))))
    if isinstance(node, StableFunction):
        return _defined
    if isinstance(node, (StateFunction, cos, sin)):
        return _state_function
    raise CheckError(f"{type(node).__name__} has no exact value here: {node}")
