"""The terms that decide whether Z is finite (:mod:`symbolic.derivation.growth`), as arrays of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from sympy import Dummy, Poly, sympify

from symbolic.codegen.ir import Node
from symbolic.codegen.lower import ROW, Lowering
from symbolic.derivation.growth import Coordinate, Growth, Part, Term, growth
from symbolic.errors import EnergyError
from symbolic.language.binders import IndexSum
from symbolic.language.energy import Energy
from symbolic.language.layers import Index
from symbolic.numeric.evaluate import evaluate, magnitude
from symbolic.units import Potential, lookup

__all__ = ["Barred", "Couplings", "couplings"]

Floats = npt.NDArray[np.float64]
Parameters = Mapping[str, npt.NDArray[Any]]
Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Barred:
    """Open states whose product, in −E, must have no coefficient above zero.

    Attributes:
        layers: of the states, one for each factor that is another state.
        text: the terms in which they stand.
        parameter: the one that has to keep a sign for that, if it is so simple.
        sign: −1 if its entries must not be positive, 1 if they must not be negative.
        is_impossible: whether the product, or what multiplies it, takes both signs, so that it must be zero.
    """

    layers: tuple[str, ...]
    text: str
    parameter: str | None
    sign: int
    is_impossible: bool
    _terms: tuple[Term, ...]


class Couplings:
    """What an energy's growth comes to, for parameters given as arrays.

    Attributes:
        coordinates: those of the quadratic form, in order, by layer and side.
        barred: what must not be positive.
        unknown: terms of which nothing is known.
        is_diagonal: whether no two different states are multiplied in the quadratic form.
        varies: whether the form depends on the states of bounded units.
    """

    def __init__(self, found: Growth):
        self.coordinates = found.coordinates
        self.unknown = found.unknown
        self._curved = found.curved
        self._lowering = Lowering(found.energy)
        self._dimensions = {name: lookup(layer.unit).dimension for name, layer in found.energy.layers.items()}
        self.is_diagonal = all(len(term.parts) == 1 for term in found.curved)
        self.varies = any(term.factors for term in found.curved)
        self.barred = tuple(self._barred(found.barred))
        self._found = found

    @cached_property
    def conditional(self) -> tuple[str, ...]:
        """The open layers whose units' own sums are finite under a condition on parameters or other units' states.

        Raises:
            DivergentError: those of a layer are infinite whatever the parameters.
        """
        energy = self._found.energy
        return tuple(layer.name for layer in energy.visible + energy.hidden if self._found.conditions(layer))

    def are_normalisable(self, layer: str, parameters: Parameters, sizes: Sizes) -> bool:
        """Whether the sums of a layer's units are finite for all states of others, by the largest and the smallest
        value of each term in φ(s) = x s + y s²; False where that does not show it.

        Unbounded others are at rest; what they add is looked at as a product.
        """
        (open_,) = (one for one in self._found.energy.layers.values() if one.name == layer)
        conditions = _linear_conditions(open_.unit)
        own = [
            term
            for term in (*self._found.fields, *self._curved)
            if all(part.coordinate.layer == open_ for part in term.parts)
        ]
        if conditions is None or any(part.coordinate.side for term in own for part in term.parts):
            return False
        ends = np.zeros((2, 2, sizes[layer]))  # of x and y: the smallest and the largest
        for term in own:
            low, high = self._extremes(term, parameters, sizes)
            if len(term.parts) == 2:
                if len(term.named) < 2:
                    return False  # a unit that is singled out
                low, high = np.diagonal(low), np.diagonal(high)
            here = _chosen(term.parts[0])
            ends[term.order - 1, 0, here] += low
            ends[term.order - 1, 1, here] += high
        for constant, slopes in conditions:
            least = constant + sum(np.minimum(slope * a, slope * b) for slope, (a, b) in zip(slopes, ends, strict=True))
            if not np.all(least > 0):
                return False
        return True

    def places(self, sizes: Sizes) -> dict[Coordinate, slice]:
        """Where the states of each coordinate stand in the form."""
        found, start = {}, 0
        for coordinate in self.coordinates:
            size = sizes[coordinate.layer.name]
            found[coordinate] = slice(start, start + size)
            start += size
        return found

    def rays(self, sizes: Sizes) -> npt.NDArray[np.bool_]:
        """Which directions of the form go one way only; those of negative numbers are turned round."""
        return np.concatenate([np.full(sizes[c.layer.name], c.is_ray) for c in self.coordinates])

    def exclusive(self, sizes: Sizes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """The places of the positive and the negative parts of the same numbers."""
        places = self.places(sizes)
        pairs = [(places[c], places[Coordinate(c.layer, "neg")]) for c in self.coordinates if c.side == "pos"]
        ups = [np.arange(up.start, up.stop) for up, _ in pairs]
        downs = [np.arange(down.start, down.stop) for _, down in pairs]
        none = np.zeros(0, dtype=np.intp)
        return np.concatenate([none, *ups]), np.concatenate([none, *downs])

    def diagonal(self, parameters: Parameters, states: Parameters, sizes: Sizes) -> Floats:
        """The precisions of single units, in rows of states; shape (rows, n)."""
        rows = len(next(iter(states.values())))
        found = np.zeros((rows, self._length(sizes)))
        places = self.places(sizes)
        for term in self._curved:
            if len(term.parts) == 1:
                (part,) = term.parts
                found[:, places[part.coordinate]][:, _chosen(part)] -= 2 * self._array(term, parameters, states, sizes)
        return found

    def form(self, parameters: Parameters, states: Parameters, sizes: Sizes) -> Floats:
        """The second derivatives of E by open states of Gaussian kind, in rows of states; shape (rows, n, n)."""
        diagonal = self.diagonal(parameters, states, sizes)
        n = diagonal.shape[1]
        found = np.zeros((len(diagonal), n, n))
        found[:, np.arange(n), np.arange(n)] = diagonal
        for term in self._curved:
            if len(term.parts) == 2:
                self._add(found, term, -self._array(term, parameters, states, sizes), sizes)
        return found

    def fixed(self, parameters: Parameters, sizes: Sizes) -> tuple[Floats, Floats]:
        """The part of the form that does not depend on other states, and a bound of the absolute values of the rest;
        shapes (n, n)."""
        n = self._length(sizes)
        found, bound = np.zeros((1, n, n)), np.zeros((1, n, n))
        places = self.places(sizes)
        for term in self._curved:
            if term.factors:
                into, array = bound, self._largest(term, parameters, sizes)
            else:
                into, array = found, -self._array(term, parameters, {}, sizes)
            if len(term.parts) == 2:
                self._add(into, term, array, sizes)
            else:
                (part,) = term.parts
                diagonal = np.arange(n)[places[part.coordinate]][_chosen(part)]
                into[:, diagonal, diagonal] += 2 * array
        return found[0], bound[0]

    def excess(self, barred: Barred, parameters: Parameters, sizes: Sizes) -> Floats:
        """The largest coefficient that states of bounded units give the product, for each choice of its states.

        It is what the terms come to one by one, which is more than together where a bounded unit stands in several.
        """
        total: Any = 0.0
        for term in barred._terms:
            low, high = self._extremes(term, parameters, sizes)
            top = high if term.sign >= 0 else -low
            if len(term.parts) == 2 and term.parts[0].coordinate == term.parts[1].coordinate and len(term.named) == 2:
                top = top + top.T
            total = total + top
        return np.asarray(total)

    # The arrays

    def _length(self, sizes: Sizes) -> int:
        return sum(sizes[c.layer.name] for c in self.coordinates)

    def _barred(self, terms: tuple[Term, ...]) -> Iterator[Barred]:
        groups: dict[Any, list[Term]] = {}
        for term in terms:
            key = tuple(
                (part.coordinate, part.power, None if isinstance(part.index, Index) else part.index)
                for part in term.parts
            )
            groups.setdefault(key, []).append(term)
        for group in groups.values():
            layers = dict.fromkeys(part.coordinate.layer.name for part in group[0].parts)
            low, high = group[0].range
            single = group[0].parameter if len(group) == 1 else None
            impossible = group[0].sign == 0 or (len(group) == 1 and low < 0 < high)
            sign = 0 if single is None else -single[1] * group[0].sign * (1 if high > 0 else -1)
            name = None if single is None or impossible else single[0].name
            text = " and ".join(term.shown() for term in group)
            yield Barred(tuple(layers), text, name, sign, impossible, tuple(group))

    def _array(self, term: Term, parameters: Parameters, states: Parameters, sizes: Sizes) -> Floats:
        """The coefficient of a term's parts, times their signs; shape (rows or 1, units of the first, …)."""
        node = self._node(term, True)
        for name, array in states.items():
            if (dimension := self._dimensions[name]) > 1:
                states = {**states, name: array.reshape(len(array), -1, dimension)}
        value = evaluate(node, {**parameters, **states}, sizes)
        sign = np.prod([part.coordinate.sign**part.power for part in term.parts])
        return sign * (value if ROW in node.axes else value[None])

    def _extremes(self, term: Term, parameters: Parameters, sizes: Sizes) -> tuple[Floats, Floats]:
        """The smallest and the largest value of a term's coefficient, whatever the states of other units."""
        node = self._node(term, False)
        value, size = evaluate(node, parameters, sizes), magnitude(node, parameters, sizes)
        up, down = (size + value) / 2, (size - value) / 2
        low, high = term.range
        with np.errstate(invalid="ignore"):
            return low * up - high * down, high * up - low * down

    def _largest(self, term: Term, parameters: Parameters, sizes: Sizes) -> Floats:
        reach = max(map(abs, term.range))
        return reach * magnitude(self._node(term, False), parameters, sizes)[None]

    def _node(self, term: Term, whole: bool) -> Node:
        key = term, whole
        if key not in self._nodes:
            rest = tuple(index for index in term.indices if index not in term.named)
            expression = term.coefficient if whole else IndexSum(term.weight, *rest)
            free = self._lowering.axes_of(term.named)
            node = self._lowering.lower(expression, free)
            row = (ROW,) if ROW in node.axes else ()
            self._nodes[key] = self._lowering.spread(node, (*row, *free.values()))
        return self._nodes[key]

    @cached_property
    def _nodes(self) -> dict[tuple[Term, bool], Node]:
        return {}

    def _add(self, form: Floats, term: Term, array: Floats, sizes: Sizes) -> None:
        places = self.places(sizes)
        first, second = (np.arange(form.shape[-1])[places[part.coordinate]][_chosen(part)] for part in term.parts)
        array = array.reshape(len(array), len(first), len(second))
        form[:, first[:, None], second] += array
        form[:, second[:, None], first] += array.transpose(0, 2, 1)


def _chosen(part: Part) -> slice:
    return slice(None) if isinstance(part.index, Index) else slice(int(part.index), int(part.index) + 1)


@lru_cache(maxsize=64)
def couplings(energy: Energy) -> Couplings:
    """What decides whether Z of an energy is finite."""
    return Couplings(growth(energy))


@lru_cache(maxsize=64)
def _linear_conditions(unit: str) -> tuple[tuple[float, tuple[float, float]], ...] | None:
    """The conditions on φ(s) = x s + y s² as c + a x + b y > 0: (c, (a, b)) of each; None where they are not so."""
    row = lookup(unit)
    state, x, y = Dummy("s", real=True), Dummy("x", real=True), Dummy("y", real=True)
    terms = ((state, x), (state**2, y)) if row.degree == 2 else ((state, x),)
    try:
        conditions = [sympify(one) for one in row.conditions(Potential(terms, state))]
    except EnergyError:
        return None
    if not all(one.is_polynomial(x, y) and Poly(one, x, y).total_degree() <= 1 for one in conditions):
        return None
    return tuple((float(one.subs({x: 0, y: 0})), (float(one.diff(x)), float(one.diff(y)))) for one in conditions)
