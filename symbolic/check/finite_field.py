"""An exact oracle: evaluates an expression at a random point of a small model, in a finite field.

Two expressions that are equal as functions of the parameters agree at every point; two that are not agree at a random
point with probability about degree / 2^60 (Schwartz 1980, Zippel 1979). Nothing is simplified and SymPy's ``diff`` is
not used: derivatives are carried out by dual numbers.

The trick that makes exponentials exact: a parameter's value is the *logarithm* of a random element, θ = ln X with X
in the field F_p, so that every Boltzmann weight e^{−E} is a product of powers of such X, an element of the field. A
value is therefore a pair r + ln R. The prime p = 2q + 1 is a safe one and X is a square, so the X form a group of
prime order q in which rational powers (the ½ of a spin's field, say) exist and are unique.

The oracle evaluates models of fixed, small sizes; it does not prove a statement for all sizes.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from typing import Any

from sympy import Add, Derivative, Expr, Function, Mul, Pow, Rational, Symbol, exp, log, tanh

from symbolic.errors import CheckError
from symbolic.language.binders import ConfigSum, IndexBinder, IndexProduct, IndexSum, UnitSum
from symbolic.language.functions import StableFunction
from symbolic.language.layers import Configuration, Delta, Entry, Index, Layer, State
from symbolic.language.probability import (
    EnergyCall,
    Expectation,
    FreeEnergy,
    LogPartition,
    Probability,
    UnitProbability,
)
from symbolic.units import lookup

__all__ = ["Dual", "P", "Q", "Value", "World", "free_names"]

P = 2305843009213691579  # = 2Q + 1, both prime
Q = 1152921504606845789


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
        if self.residue != 0 or self.rational not in (None, 0):
            raise CheckError("the exponential of a number that is no logarithm has no exact value here.")
        return Value(self.log, Fraction(1) if self.log == 1 else None)

    def ln(self) -> Value:
        if self.log != 1:
            raise CheckError("the logarithm of a logarithm has no exact value here.")
        if self.residue == 0:
            raise CheckError("the logarithm of zero.")
        return Value(0, Fraction(0), self.residue)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and (self.residue, self.log) == (other.residue, other.log)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self.residue}" + ("" if self.log == 1 else f" + ln {self.log}")


def _rational_power(base: int, exponent: Fraction) -> int:
    if exponent.denominator == 1:
        return pow(base, exponent.numerator, P)
    if pow(base, Q, P) != 1:
        raise CheckError("a root of a number that is no square has no exact value here.")
    return pow(base, exponent.numerator * pow(exponent.denominator, -1, Q) % Q, P)


_ZERO, _ONE = Value.of(0), Value.of(1)


class Dual:
    """value + slope·ε with ε² = 0; the slope is the derivative by the entry that is being varied (None is 0)."""

    __slots__ = ("slope", "value")

    def __init__(self, value: Value, slope: Value | None = None):
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
        return Dual(inverse, None if self.slope is None else Value.of(-1) * self.slope * inverse * inverse)

    def exp(self) -> Dual:
        value = self.value.exp()
        return Dual(value, None if self.slope is None else value * self.slope)

    def ln(self) -> Dual:
        return Dual(self.value.ln(), None if self.slope is None else self.slope * self.value.inverse())


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


class World:
    """A model of given sizes at one random point: values for parameters, free configurations and free indices.

    Args:
        sizes: the number of units of each layer.
        seed: of the random numbers.
        point: which point this is. A swapped index, or a state that is 0 everywhere, would hide a mistake; so free
            indices over different layers, or two over one, get different values where there are enough units, the same
            in four points; points 2n and 2n + 1 mirror each other's states, so that no unit stands in one state at
            both; and any two of up to four units differ somewhere in four points.
    """

    def __init__(self, sizes: Mapping[Layer, int], seed: int = 0, point: int = 0):
        self.sizes = dict(sizes)
        self.point = point
        self.seed = seed
        self.rng = random.Random(f"{seed}/{point}")
        self.parameters: dict[tuple[str, tuple[int, ...]], Value] = {}
        self.states: dict[Configuration, tuple[int, ...]] = {}
        self.units: dict[tuple[Configuration, int], int] = {}
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
            raise CheckError(f"unbound label {', '.join(c.label for c in unbound)} (in {places})")
        for configuration in configurations:
            if configuration not in self.states:
                self.states[configuration] = self._configuration(configuration.layer)
        for index in sorted((i for i in free if isinstance(i, Index)), key=lambda i: i.name):
            if index not in self.indices:
                # Over different layers, and within one, different values as long as there are enough units.
                offset = list(self.sizes).index(index.layer) + sum(i.layer == index.layer for i in self.indices)
                self.indices[index] = (self.point // 4 + offset) % self.size(index.layer)

    def _configuration(self, layer: Layer) -> tuple[int, ...]:
        # Units are numbered at random and stand in the states that a digit of their number names.
        domain = lookup(layer.unit).states
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

    def evaluate(self, expression: Expr) -> Value:
        """The value of an expression whose free configurations and indices have been placed."""
        return self._dual(expression).value

    # Evaluation. Values are remembered by what they depend on: many lines share the same sums.

    def _dual(self, node: Expr) -> Dual:
        rule = _RULES.get(type(node))
        if rule is None:
            rule = _rule_for(node)
        if type(node) not in _REMEMBERED:
            return rule(self, node)
        free = self._free.get(node)
        if free is None:
            free = tuple(free_names(node))
            self._free[node] = free
        here = tuple(self.indices.get(s) if isinstance(s, Index) else self.states.get(s) for s in free)
        key = (node, here, tuple(self.units.items()), self.by)
        value = self._memo.get(key)
        if value is None:
            value = self._memo[key] = rule(self, node)
        return value

    def _index(self, index: Expr) -> int:
        if isinstance(index, Index):
            if index not in self.indices:
                raise CheckError(f"unbound index {index}")
            return self.indices[index]
        number = int(index)
        return number

    def _state(self, state: State) -> int:
        position = self._index(state.index)
        alone = self.units.get((state.configuration, position))
        if alone is not None:
            return alone
        if state.configuration not in self.states:
            label = state.configuration.label
            raise CheckError(
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
            positions = tuple(sorted(positions))
        key = (entry.parameter.name, positions)
        value = self.parameters.get(key)
        if value is None:
            value = self.parameters[key] = Value(0, Fraction(0), pow(self.rng.randrange(2, P - 1), 2, P))
        return Dual(value, _ONE if self.by == key else None)

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

    def _fold(self, node: Any, start: Value, combine: Callable[[Dual, Dual], Dual]) -> Dual:
        total = Dual(start)
        with self._bound(self.indices, node.indices):
            for values in itertools.product(*(range(self.size(i.layer)) for i in node.indices)):
                self.indices.update(zip(node.indices, values, strict=True))
                total = combine(total, self._dual(node.body))
        return total

    def _config_sum(self, node: ConfigSum) -> Dual:
        total = Dual(_ZERO)
        spaces = [
            itertools.product(lookup(c.layer.unit).states, repeat=self.size(c.layer)) for c in node.configurations
        ]
        with self._bound(self.states, node.configurations):
            for chosen in itertools.product(*spaces):
                self.states.update(zip(node.configurations, chosen, strict=True))
                total = total + self._dual(node.body)
        return total

    def _unit_sum(self, node: UnitSum) -> Dual:
        key = (node.state.configuration, self._index(node.state.index))
        total = Dual(_ZERO)
        with self._bound(self.units, (key,)):
            for value in lookup(node.state.layer.unit).states:
                self.units[key] = value
                total = total + self._dual(node.body)
        return total

    def _power(self, node: Pow) -> Dual:
        base = self._dual(node.base)
        exponent = int(node.exp) if node.exp.is_Integer else self.size_of(node.exp)
        if exponent < 0:
            base, exponent = base.inverse(), -exponent
        result = Dual(_ONE)
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
        return Dual(_ZERO if slope is None else slope)


def _sum(world: World, node: Any) -> Dual:
    total = Dual(_ZERO)
    for term in node.args:
        total = total + world._dual(term)
    return total


def _product(world: World, node: Any) -> Dual:
    result = Dual(_ONE)
    for factor in node.args:
        result = result * world._dual(factor)
    return result


def _delta(world: World, node: Any) -> Dual:
    a, b = (world._state(x) if isinstance(x, State) else world._index(x) for x in node.args)
    return Dual(_ONE if a == b else _ZERO)


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


_RULES: dict[type, Callable[[World, Any], Dual]] = {
    Add: _sum,
    Mul: _product,
    Pow: lambda world, node: world._power(node),
    exp: lambda world, node: world._dual(node.args[0]).exp(),
    log: lambda world, node: world._dual(node.args[0]).ln(),
    tanh: _tanh,
    Symbol: lambda world, node: Dual(Value.of(world.size_of(node))),
    Delta: _delta,
    Entry: lambda world, node: world._parameter(node),
    State: lambda world, node: Dual(Value.of(world._state(node))),
    IndexSum: lambda world, node: world._fold(node, _ZERO, Dual.__add__),
    IndexProduct: lambda world, node: world._fold(node, _ONE, Dual.__mul__),
    ConfigSum: lambda world, node: world._config_sum(node),
    UnitSum: lambda world, node: world._unit_sum(node),
    Derivative: lambda world, node: world._derivative(node),
    Probability: _probability,
    **dict.fromkeys((EnergyCall, Expectation, FreeEnergy, LogPartition, UnitProbability), _defined),
}
_REMEMBERED = {ConfigSum, EnergyCall, Expectation, FreeEnergy, IndexSum, IndexProduct, LogPartition, Probability, exp}


def _rule_for(node: Any) -> Callable[[World, Any], Dual]:
    if isinstance(node, Rational):
        return lambda world, n: Dual(Value.of(Fraction(int(n.p), int(n.q))))
    if isinstance(node, StableFunction):
        return _defined
    raise CheckError(f"{type(node).__name__} has no exact value here: {node}")
