"""Expressions evaluated in floating point, in the plainest way: an answer that owes nothing to the checker.

Sums over states run over a unit's own states: over nodes and weights of a quadrature where they are real numbers, over
the first hundred where they are whole numbers without end. Derivatives are central differences.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from sympy import Add, Derivative, Dummy, Expr, Mul, Pow, Symbol, erfc, exp, lambdify, log, loggamma, tanh

from symbolic import Energy
from symbolic.language.binders import BaseMeasure, ConfigSum, IndexProduct, IndexSum, UnitSum
from symbolic.language.expressions import Delta
from symbolic.language.functions import StableFunction, lnexprel
from symbolic.language.layers import Configuration, Index, Layer, State
from symbolic.language.parameters import Entry
from symbolic.language.probability import Probability, SiteEnergy
from symbolic.units import Interval, lookup

STEP = 1e-5  # of central differences, whose error is then about 1e-10 of a smooth function


@lru_cache(maxsize=64)
def nodes(unit_name: str, coarse: bool = False) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """States and weights with which Σ_s μ(s) f(s), or the integral, is a finite sum, if f decays like e^{−s/4}; coarse
    ones are fewer, and good to 1e-8 if it decays faster."""
    unit = lookup(unit_name)
    if isinstance(unit.domain, Interval):
        low, high = unit.domain.low, unit.domain.high
        if low is None:  # the trapezoidal rule is spectrally accurate for what decays at both ends
            states, weights = (
                np.arange(-10, 10.1, 0.5) if coarse else np.arange(-18, 18.1, 0.25),
                0.5 if coarse else 0.25,
            )
        elif high is not None:
            x, w = np.polynomial.legendre.leggauss(24)
            states, weights = (x + 1) / 2, w / 2
        else:  # s = e^u takes the half-line to the whole one
            u = np.arange(-18, 5, 1 / 4) if coarse else np.arange(-42, 6.3, 1 / 16)
            states, weights = np.exp(u), np.exp(u) * (u[1] - u[0])
    else:
        states, weights = np.array(unit.domain.states or range(40 if coarse else 100), float), 1.0
    weights = np.broadcast_to(weights, states.shape)
    if unit.base is not None:
        s = Dummy("s")
        weights = weights * np.array([float(lambdify(s, unit.base(s), "mpmath")(x)) for x in states])
    return tuple(states), tuple(weights)


class Plain:
    """A model: sizes, parameters as arrays, and the states of the free configurations.

    Free indices stand at unit 0 of their layer, a second one over the same layer at unit 1.
    """

    def __init__(
        self,
        energy: Energy,
        sizes: Mapping[str, int],
        parameters: Mapping[str, Any],
        states: Mapping[str, Sequence[Any]],
        coarse: bool = False,
    ):
        self.coarse = coarse
        self.sizes = sizes
        self.parameters = {name: np.array(value, float) for name, value in parameters.items()}
        self.states: dict[Configuration, Sequence[Any]] = {
            Configuration(energy.layers[name]): list(row) for name, row in states.items()
        }
        self.units: dict[tuple[Configuration, int], float] = {}
        self.indices: dict[Index, int] = {}
        self.normalisers: dict[Any, float] = {}

    def __call__(self, node: Any) -> float:
        match node:
            case Add():
                return math.fsum(map(self, node.args))
            case Mul():
                return math.prod(map(self, node.args))
            case exp():
                return math.exp(self(node.args[0]))
            case Pow():
                return float(self(node.base) ** self(node.exp))
            case log():
                return math.log(self(node.args[0]))
            case tanh():
                return math.tanh(self(node.args[0]))
            case erfc():
                return math.erfc(self(node.args[0]))
            case loggamma():
                return math.lgamma(self(node.args[0]))
            case Symbol():
                return self.sizes[node.name.removeprefix("n_")]
            case State():
                return self.state(node)
            case Entry():
                return float(self.parameters[node.parameter.name][tuple(map(self.index, node.indices))])
            case Delta():
                left, right = (self.state(x) if isinstance(x, State) else self.index(x) for x in node.args)
                return float(left == right)
            case IndexSum():
                return math.fsum(self.over_units(node))
            case IndexProduct():
                return math.prod(self.over_units(node))
            case ConfigSum():
                return math.fsum(self.over_configurations(node))
            case UnitSum():
                return math.fsum(self.over_states(node))
            case BaseMeasure():
                unit = lookup(node.state.layer.unit)
                s = Dummy("s")
                return 1.0 if unit.base is None else float(lambdify(s, unit.base(s), "mpmath")(self(node.state)))
            case SiteEnergy():
                key = node.state.configuration, self.index(node.state.index)
                return self.with_unit(key, self(node.value), node.function())
            case Probability():
                return self.probability(node)
            case Derivative():
                return self.derivative(node.expr, node.variables[0])
            case lnexprel() if abs(x := self(node.args[0])) < 1e-9:
                return x / 2
            case StableFunction():
                return self(node.definition())
        if node.is_number:
            return float(node)
        return self(node.definition())

    def probability(self, node: Probability) -> float:
        normaliser = node.normaliser()
        rows = tuple(tuple(self.states[c]) for c in node.given)
        values = tuple(array.tobytes() for array in self.parameters.values())
        key = normaliser, rows, values, tuple(self.units.items())
        if key not in self.normalisers:
            self.normalisers[key] = self(normaliser)
        return self(node.numerator()) / self.normalisers[key]

    def layer_size(self, layer: Layer) -> int:
        return self.sizes[layer.name]

    def index(self, index: Expr) -> int:
        if isinstance(index, Index):
            if index not in self.indices:
                free = [other for other in self.indices if other.name.isidentifier()]
                self.indices[index] = sum(other.layer == index.layer for other in free)
            return self.indices[index]
        return int(index)

    def state(self, state: State) -> float:
        position = self.index(state.index)
        alone = self.units.get((state.configuration, position))
        return float(self.states[state.configuration][position] if alone is None else alone)

    def over_units(self, node: Any) -> list[float]:
        values = []
        for places in itertools.product(*(range(self.layer_size(i.layer)) for i in node.indices)):
            before = dict(self.indices)
            self.indices.update(zip(node.indices, places, strict=True))
            values.append(self(node.body))
            self.indices = before
        return values

    def over_configurations(self, node: ConfigSum) -> list[float]:
        values = []
        units = [(c, c.layer.unit) for c in node.configurations for _ in range(self.layer_size(c.layer))]
        before = dict(self.states)
        spaces = [list(zip(*nodes(name, self.coarse), strict=True)) for _, name in units]
        for chosen in itertools.product(*spaces):
            rows: dict[Configuration, list[float]] = {}
            for (configuration, _), (state, _) in zip(units, chosen, strict=True):
                rows.setdefault(configuration, []).append(state)
            weight = math.prod(weight for _, weight in chosen)
            self.states.update(rows)
            values.append(weight * self(node.body) if weight else 0.0)
        self.states = before
        return values

    def over_states(self, node: UnitSum) -> list[float]:
        key = node.state.configuration, self.index(node.state.index)
        states, weights = nodes(node.state.layer.unit, self.coarse)
        return [w * self.with_unit(key, s, node.body) for s, w in zip(states, weights, strict=True) if w]

    def with_unit(self, key: tuple[Configuration, int], value: float, body: Expr) -> float:
        before = self.units.get(key)
        self.units[key] = value
        result = self(body)
        if before is None:
            del self.units[key]
        else:
            self.units[key] = before
        return result

    def derivative(self, expression: Expr, by: Entry) -> float:
        # Term by term: one without the parameter does not count, and need not even have a value.
        terms = [term for term in Add.make_args(expression) if by.parameter in term.free_symbols]
        return math.fsum(self._central_difference(term, by) for term in terms)

    def _central_difference(self, expression: Expr, by: Entry) -> float:
        array = self.parameters[by.parameter.name]
        place = tuple(map(self.index, by.indices))
        places = {place, place[::-1]} if by.parameter.symmetric else {place}
        values = []
        for sign in (1, -1):
            for entry in places:
                array[entry] += sign * STEP
            values.append(self(expression))
            for entry in places:
                array[entry] -= sign * STEP
        return (values[0] - values[1]) / (2 * STEP)
