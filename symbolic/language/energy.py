"""The energy: what a person writes once, and everything else is asked of. Here it is data and algebra."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from itertools import count as count_up
from types import MappingProxyType
from typing import Any

from sympy import Basic, Expr, I, Integer, Pow, Rational, Symbol, log, nan, oo, preorder_traversal, zoo

from symbolic.errors import EnergyError
from symbolic.language.domains import Integers
from symbolic.language.expressions import as_expression
from symbolic.language.layers import Configuration, Coordinate, Index, Layer, State, StateAxis, axes_of
from symbolic.language.parameters import Entry, Parameter
from symbolic.language.probability import EnergyFunction
from symbolic.units.table import lookup
from symbolic.verbs import EnergyVerbs

__all__ = ["Energy"]

_VISIBLE_INDICES = ("i", "m", "p")
_HIDDEN_INDICES = ("j", "n", "q")
_GIVEN_INDICES = ("c", "o", "d")


def _calculates_with(layer: Layer, expression: Basic) -> bool:
    """Return whether a state of the layer stands in the expression itself, and not in one of its coordinates."""
    if isinstance(expression, Coordinate):
        return False
    if isinstance(expression, State):
        return bool(expression.layer == layer)
    return any(_calculates_with(layer, argument) for argument in expression.args)


_NO_ENERGY = {
    "an infinite number": (zoo, oo, -oo),
    "an undefined number": (nan,),
    "an imaginary number": (I,),
}


def _require_one_number(expression: Expr) -> None:
    """Raise an error if the expression is infinite, undefined or imaginary as it stands, or leaves an index unbound."""
    wrong = next((said for said, numbers in _NO_ENERGY.items() if expression.has(*numbers)), None)
    if wrong:
        raise EnergyError(
            f"an energy is finite and real, and this one holds {wrong}: look for a division by zero, or for the "
            "logarithm of zero or of a negative number."
        )
    unbound = sorted(s.name for s in expression.free_symbols if isinstance(s, Index))
    if unbound:
        raise EnergyError(
            f"index {unbound[0]} is not bound: an energy is one number, so each index is summed over, as in "
            f"Sum(..., {unbound[0]})."
        )


def _require_fit(layer: Layer, expression: Expr) -> None:
    """Raise an error if the expression calculates with the layer's states, which are labels or vectors."""
    unit = lookup(layer.unit)
    if not (unit.is_categorical or unit.dimension > 1) or not _calculates_with(layer, expression):
        return
    what = f"compare them, as in indicator({layer.name}[i], s)"
    if unit.dimension > 1:
        what = f"name their components, as in {layer.name}[i, α]"
    raise EnergyError(
        f"the energy calculates with the states of layer {layer.name}, which are "
        f"{'labels' if unit.is_categorical else 'vectors'} ({layer.unit} units); {what}."
    )


def _require_parameters_of(layers: tuple[Layer, ...], expression: Expr) -> None:
    """Raise an error if a parameter shares its name, or has an axis over a layer that the energy does not have."""
    names = [layer.name for layer in layers]
    axes = axes_of(layers)
    by_name: dict[str, Parameter] = {}
    for parameter in expression.atoms(Parameter):
        if parameter.name in names:
            raise EnergyError(f"{parameter.name} names a layer and a parameter; rename one.")
        for layer in parameter.layers:
            if layer not in layers and layer.name not in axes:
                raise EnergyError(
                    f"parameter {parameter.name} has an axis over layer {layer.name}, which is neither visible "
                    "nor hidden."
                )
        if by_name.setdefault(parameter.name, parameter) != parameter:
            raise EnergyError(f"two parameters are called {parameter.name}; rename one.")


def _require_finite_states(expression: Expr) -> None:
    """Raise an error if units that can be listed have states in which the energy divides by zero or takes ln of 0."""
    for node in preorder_traversal(expression):
        if isinstance(node, Pow) and node.exp.could_extract_minus_sign():
            inside, what = node.base, "it divides by zero"
        elif isinstance(node, log):
            inside, what = node.args[0], "it takes the logarithm of zero or of a negative number"
        else:
            continue
        states = inside.atoms(State)
        layers = sorted({state.layer for state in states}, key=lambda layer: layer.name)
        listed = [tuple(itertools.islice(_some_states(layer), _MOST_STATES)) for layer in layers]
        for values in itertools.islice(itertools.product(*listed), _MOST_STATES) if states else ():
            chosen = dict(zip(layers, values, strict=True))
            at = inside.xreplace({state: chosen[state.layer] for state in states})
            if at == 0 or (isinstance(node, log) and at.is_number and at.is_real and at < 0):
                where = " and ".join(f"those of layer {layer.name} in the state {s}" for layer, s in chosen.items())
                raise EnergyError(
                    f"an energy is finite and real, and in {node} {what} with units {where.removeprefix('those ')}. "
                    "Choose units without that state, or another function of it."
                )


# How many states of a unit, and how many combinations of states, are tried for a division by zero. Energies that people
# write divide by a state, or by a state plus a number, and the first few states tell.
_MOST_STATES = 64


def _some_states(layer: Layer) -> Iterator[Expr]:
    """Return the first states of a layer's units, where they can be listed."""
    unit = lookup(layer.unit)
    if unit.is_finite:
        yield from (Rational(*Fraction(state).as_integer_ratio()) for state in unit.states)
    elif isinstance(unit.domain, Integers):
        yield from map(Integer, itertools.count(unit.domain.first))


class Energy(EnergyVerbs):
    """An energy E over layers of units, with p(v, h) = e^{−E(v, h)} / Z.

    Args:
        expression: a SymPy expression in unit states ``v[i]`` and parameter entries ``w[i, j]``; every index is bound
            by a :class:`~symbolic.language.binders.Sum`.
        visible: the layers that data are about, in order.
        hidden: the layers that are summed out of p(v), in order.
        given: layers that are always clamped, such as the inputs of a conditional model: every probability is
            conditional on them, and no sum runs over them.

    Raises:
        EnergyError: the expression is not one (text is for :meth:`parse`), is not finite and real, or leaves an index
            unbound; or a layer is missing or listed twice, or two things share a name.

    >>> from symbolic import Energy, Layer, Parameter, Sum
    >>> v, h = Layer("v", "binary"), Layer("h", "binary")
    >>> i, j = v.index("i"), h.index("j")
    >>> w = Parameter("w", v, h)
    >>> energy = Energy(-Sum(v[i] * w[i, j] * h[j], i, j), visible=[v], hidden=[h])
    >>> energy.log_likelihood_gradient(w[i, j]).result
    <h[j]*v[i]>_v - <h[j]*v[i]>_vh
    """

    def __init__(
        self,
        expression: Any,
        *,
        visible: Iterable[Layer],
        hidden: Iterable[Layer] = (),
        given: Iterable[Layer] = (),
    ):
        self.expression = as_expression(expression)
        for name, side in (("visible", visible), ("hidden", hidden), ("given", given)):
            if isinstance(side, (Layer, str)):
                raise EnergyError(f"{name} is a list of Layers, as in {name}=[{side}]. Got {side!r}.")
        self.visible = tuple(visible)
        self.hidden = tuple(hidden)
        self.given = tuple(given)
        self._validate()
        self.function = EnergyFunction(self.expression, self.visible, self.hidden, given=self.given)
        self.layers: Mapping[str, Layer] = MappingProxyType({x.name: x for x in self.function.layers})
        self.parameters: Mapping[str, Parameter] = MappingProxyType({p.name: p for p in self.function.parameters})

    def _validate(self) -> None:
        layers = self.visible + self.hidden + self.given
        for layer in layers:
            if not isinstance(layer, Layer):
                raise EnergyError(f"visible, hidden and given are lists of Layers. Got {layer!r}.")
        names = [layer.name for layer in layers]
        doubled = sorted({n for n in names if names.count(n) > 1})
        if doubled:
            raise EnergyError(f"layer {doubled[0]} is listed twice; a layer is visible, hidden or given, once.")
        if not self.visible:
            raise EnergyError("an energy needs at least one visible layer: visible=[v].")
        _require_one_number(self.expression)
        for configuration in self.expression.atoms(Configuration):
            if configuration.layer not in layers:
                raise EnergyError(
                    f"layer {configuration.layer.name} occurs in the energy; list it as visible or hidden."
                )
        for layer in layers:
            _require_fit(layer, self.expression)
        _require_parameters_of(layers, self.expression)
        loose = sorted(str(s) for s in self.expression.atoms(Symbol) - {layer.size for layer in layers})
        if loose:
            raise EnergyError(
                f"{loose[0]} is a plain symbol; make it a Parameter({loose[0]!r}) (no layers: a single number)."
            )
        _require_finite_states(self.expression)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Energy) and self.function == other.function

    def __hash__(self) -> int:
        return hash(self.function)

    def __reduce__(self) -> Any:
        return _remade, (self.expression, self.visible, self.hidden, self.given)

    def __repr__(self) -> str:
        names = [", ".join(f"{x.name}: {x.unit}" for x in side) for side in (self.visible, self.hidden, self.given)]
        given = f", given=[{names[2]}]" if self.given else ""
        return f"Energy({self.expression}, visible=[{names[0]}], hidden=[{names[1]}]{given})"

    @property
    def call(self) -> Expr:
        """E(v, h), opaque, at the free configurations of all layers."""
        return self.function()

    @cached_property
    def index_of(self) -> Mapping[Layer, tuple[Index, ...]]:
        """Indices of each layer for naming single units: i for the first visible layer, j for the first hidden one."""
        table = {}
        roles = ((self.visible, _VISIBLE_INDICES), (self.hidden, _HIDDEN_INDICES), (self.given, _GIVEN_INDICES))
        for side, names in roles:
            for position, layer in enumerate(side):
                start = names[position:] or (f"{names[0]}{position}",)
                table[layer] = tuple(Index(name, layer) for name in start)
        for axis in axes_of(self.layers.values()).values():
            table[axis] = (axis.index("s" if isinstance(axis, StateAxis) else "α"),)
        return table

    def entry(self, parameter: Parameter | Entry | str) -> Entry:
        """Return a parameter, its name, or one of its entries, as an entry with indices to differentiate by.

        Raises:
            EnergyError: the energy has no such parameter; the message lists those it has.
        """
        if isinstance(parameter, Entry):
            known = self.parameters.get(parameter.parameter.name)
            if known == parameter.parameter:
                return parameter
            parameter = parameter.parameter
        name = parameter.name if isinstance(parameter, Parameter) else parameter
        if not isinstance(name, str) or name not in self.parameters:
            raise EnergyError(f"the energy has no parameter {name!r}; it has: {', '.join(self.parameters) or 'none'}.")
        found = self.parameters[name]
        if isinstance(parameter, Parameter) and parameter != found:
            raise EnergyError(f"the energy's parameter {name} is not the one given; ask by its name, {name!r}.")
        used: dict[Layer, int] = {}
        indices = []
        for layer in found.layers:
            names = self.index_of[layer]
            position = used.get(layer, 0)
            used[layer] = position + 1
            indices.append(names[position] if position < len(names) else Index(f"{names[0].name}{position}", layer))
        return found[tuple(indices)]

    def layer(self, layer: Layer | str) -> Layer:
        """Return the layer of that name.

        Raises:
            EnergyError: the energy has no such layer; the message lists those it has.
        """
        name = layer.name if isinstance(layer, Layer) else layer
        if name not in self.layers:
            raise EnergyError(f"the energy has no layer {name!r}; it has: {', '.join(self.layers)}.")
        found = self.layers[name]
        if isinstance(layer, Layer) and layer != found:
            raise EnergyError(f"the energy's layer {name} has {found.unit} units. Got one with {layer.unit} units.")
        return found

    def unit_state(self, layer: Layer | str) -> State:
        """Return the state of one unit of a layer, such as h_j, under the index that names its units."""
        found = self.layer(layer)
        return found[self.index_of[found][0]]

    def summable(self, layer: Layer | str) -> Layer:
        found = self.layer(layer)
        if found in self.given:
            raise EnergyError(f"layer {found.name} is given; its units have no distribution in this model.")
        return found

    def kept(self, of: Layer | str | Iterable[Layer | str] | None) -> tuple[Layer, ...]:
        if of is None:
            return self.visible
        named = [of] if isinstance(of, (Layer, str)) else list(of)
        kept = {self.summable(layer) for layer in named}
        return tuple(layer for layer in self.visible + self.hidden if layer in kept)

    def tempered(self) -> tuple[Energy, Parameter]:
        """Return β E, with the inverse temperature β as a parameter, under a name that is free.

        The average of E is −∂ ln Z(β)/∂β at β = 1, so the phase of β is −⟨E⟩ there.
        """
        names = (f"beta{'_' * count}" for count in count_up())
        beta = Parameter(next(name for name in names if name not in self.layers and name not in self.parameters))
        return Energy(beta[()] * self.expression, visible=self.visible, hidden=self.hidden, given=self.given), beta


def _remade(
    expression: Expr, visible: tuple[Layer, ...], hidden: tuple[Layer, ...], given: tuple[Layer, ...]
) -> Energy:
    return Energy(expression, visible=visible, hidden=hidden, given=given)
