"""Layers, their indices and the states of their units: the nouns an energy is written with.

Everything here is an ordinary SymPy object (hashable, immutable, rebuildable from its arguments), so that
``xreplace``, ``diff`` and structural comparison work on expressions made of them.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable
from numbers import Integral
from typing import Any

from sympy import Expr, Integer, S, Symbol
from sympy.core.basic import Atom, Basic
from sympy.core.expr import AtomicExpr

from symbolic.errors import EnergyError
from symbolic.language.expressions import Delta, Unassuming, as_expression
from symbolic.units.table import lookup

__all__ = [
    "Component",
    "ComponentAxis",
    "Configuration",
    "Coordinate",
    "Index",
    "Indicator",
    "KnownAxis",
    "Layer",
    "State",
    "StateAxis",
    "axes_of",
    "checked_index",
    "checked_name",
    "coordinate",
    "problem_of_name",
]


# A name is a few words at most; every line of a derivation and of generated code repeats it.
MAX_NAME = 100


def checked_name(kind: str, name: object) -> str:
    """Return the name of a layer, an index or a parameter, which has to be an identifier in plain letters."""
    if not isinstance(name, str) or not name.isidentifier():
        shown = repr(name)
        shown = shown if len(shown) <= MAX_NAME else f"{shown[:MAX_NAME]}…"
        raise EnergyError(f"the name of a {kind} is an identifier such as 'v' or 'weights'. Got {shown}.")
    if (problem := problem_of_name(name)) is not None:
        raise EnergyError(f"the name of a {kind} {problem}.")
    return name


def problem_of_name(name: str) -> str | None:
    """Return what is wrong with the spelling of a name; None where nothing is."""
    if len(name) > MAX_NAME:
        return f"has at most {MAX_NAME} characters. Got {len(name):,}, {name[:20]!r}…"
    plain = unicodedata.normalize("NFKC", name)
    if plain != name:  # names become variables, and Python takes both spellings for one variable
        return f"is spelled with plain letters: {plain!r} instead of {name!r}"
    return None


class Layer(Atom):
    """A set of units that share one state space; its size stays symbolic.

    Attributes:
        name: such as ``"v"``; also the name of the layer's array in generated code.
        unit: the row of :mod:`symbolic.units` that its units obey, such as ``"binary"``.
        size: the SymPy symbol ``n_<name>``.

    ``layer[i]`` is the state of unit i; ``layer.index("i")`` makes an index that runs over the layer.
    """

    __slots__ = ("name", "unit")
    name: str
    unit: str

    def __new__(cls, name: str, unit: str = "binary") -> Layer:
        self = Basic.__new__(cls)
        self.name = checked_name("layer", name)
        self.unit = lookup(unit).name
        return self

    def __getnewargs__(self) -> tuple[str, str]:
        return self.name, self.unit

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.name, self.unit

    def _sympystr(self, printer: Any) -> str:
        return self.name

    @property
    def size(self) -> Symbol:
        return Symbol(f"n_{self.name}", integer=True, positive=True)

    def index(self, name: str) -> Index:
        """Return an index over this layer's units, for sums and for singling out one unit."""
        return Index(checked_name("index", name), self)

    @property
    def states(self) -> StateAxis:
        """The labels that a unit of this layer can carry, as an axis for parameters and indices.

        Raises:
            EnergyError: its units are numbers, not labels.
        """
        return StateAxis(self)

    @property
    def components(self) -> ComponentAxis:
        """The components of the vectors that are the states of this layer's units, as an axis for parameters and
        indices.

        Raises:
            EnergyError: its units are not vectors.
        """
        dimension = lookup(self.unit).dimension
        if dimension == 1:
            raise EnergyError(
                f"the states of layer {self.name} ({self.unit} units) are not vectors; an axis over components belongs "
                "to units such as heisenberg."
            )
        return ComponentAxis(self.unit, dimension)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, tuple):
            unit, *component = index
            if lookup(self.unit).dimension == 1 or len(component) != 1:
                raise EnergyError(f"{self.name}[…] takes one index. Got {len(index)}.")
            return Component(Configuration(self)[unit], *component)
        return Configuration(self)[index]

    def __iter__(self) -> Any:
        raise TypeError(f"layer {self.name} has a symbolic number of units; sum over an index instead.")


class KnownAxis(Layer):
    """An axis of a known length, over which no units lie: labels, or the components of a vector."""

    __slots__ = ()

    @property
    def states(self) -> StateAxis:
        raise EnergyError(f"{self.name} is an axis over {self._members}; these have no states of their own.")

    @property
    def components(self) -> ComponentAxis:
        raise EnergyError(f"{self.name} is an axis over {self._members}; these have no components of their own.")

    _members = "places"


class StateAxis(KnownAxis):
    """The labels 0, 1, … of the units of a categorical layer, as an axis that parameters have and indices run over.

    ``Parameter("w", v, v.states, h)`` holds w_isj, one number for each visible unit, label and hidden unit;
    ``v.states.index("s")`` runs over the labels. Unlike the units of a layer, they have a known number.

    Attributes:
        of: the layer whose units carry the labels.
    """

    __slots__ = ("of",)
    of: Layer
    _members = "labels"

    def __new__(cls, of: Layer) -> StateAxis:
        if not lookup(of.unit).is_categorical:
            raise EnergyError(
                f"the states of layer {of.name} ({of.unit} units) are numbers and stand in an energy as {of.name}[i]; "
                "an axis over labels belongs to categorical units such as potts(3)."
            )
        self = Basic.__new__(cls)
        self.of = of
        self.name = f"{of.name}.states"
        self.unit = of.unit
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.of,)

    @property
    def size(self) -> Any:
        return Integer(len(lookup(self.unit).states))

    def __getitem__(self, index: Any) -> State:
        raise EnergyError(
            f"{self.name} is an axis over labels; Indicator({self.of.name}[i], s) compares one with a unit."
        )


class ComponentAxis(KnownAxis):
    """The components of the vectors that units of one kind have for states, as an axis for parameters and indices.

    ``Parameter("w", v, v.components, h)`` holds w_iαj; ``v[i, α]`` is component α of unit i, with
    ``α = v.components.index("α")``. All layers of such units share one axis, so that Σ_α v_iα h_jα can be written.

    Attributes:
        dimension: how many components there are.
    """

    __slots__ = ("dimension",)
    dimension: int
    _members = "components"

    def __new__(cls, unit: str, dimension: int) -> ComponentAxis:
        self = Basic.__new__(cls)
        self.name = f"{unit}.components"
        self.unit = unit
        self.dimension = dimension
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.unit, self.dimension

    @property
    def size(self) -> Any:
        return Integer(self.dimension)

    def __getitem__(self, index: Any) -> State:
        raise EnergyError(f"{self.name} is an axis over components; v[i, α] is component α of unit i of a layer v.")


def axes_of(layers: Iterable[Layer]) -> dict[str, KnownAxis]:
    """Return the axes of known length that belong to layers, by name: over labels, and over components."""
    found: dict[str, KnownAxis] = {}
    for layer in layers:
        unit = lookup(layer.unit)
        axis = layer.states if unit.is_categorical else layer.components if unit.dimension > 1 else None
        if axis is not None:
            found[axis.name] = axis
    return found


# What bound indices are called in text; the names an energy gives to single units (i, j, ...) are not among them.
DUMMY_NAMES = ("k", "l", "r", "s", "t", *(f"k{n}" for n in range(1, 96)))


class Index(AtomicExpr):
    """An index that runs over the units of one layer. Two indices are equal if name and layer are."""

    __slots__ = ("layer", "name")
    is_commutative = True
    is_integer = True
    name: str
    layer: Layer

    _serial = itertools.count()

    def __new__(cls, name: str, layer: Layer) -> Index:
        self = Expr.__new__(cls)
        self.name = name
        self.layer = layer
        return self

    @classmethod
    def fresh(cls, layer: Layer) -> Index:
        """Return an index that nobody else has; a binder is opened with such ones before its body is edited."""
        return cls(f"~{next(cls._serial)}", layer)

    def __getnewargs__(self) -> tuple[str, Layer]:
        return self.name, self.layer

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.name, self.layer

    @property
    def free_symbols(self) -> set[Basic]:
        return {self}

    def _sympystr(self, printer: Any) -> str:
        return DUMMY_NAMES[int(self.name[1:]) - 1] if self.name.startswith("·") else self.name


class Configuration(Atom):
    """The states of a whole layer: the free one, **v**, or one bound under a label, **h**^g.

    The lecture writes a sum over all configurations of the hidden layer as a sum over the label g.
    """

    __slots__ = ("label", "layer")
    layer: Layer
    label: str

    def __new__(cls, layer: Layer, label: str = "") -> Configuration:
        self = Basic.__new__(cls)
        self.layer = layer
        self.label = label
        return self

    def __getnewargs__(self) -> tuple[Layer, str]:
        return self.layer, self.label

    @property
    def name(self) -> str:
        """``"v"``, or ``"v^u"`` under a label; SymPy asks all free symbols for their names."""
        return f"{self.layer.name}^{self.label}" if self.label else self.layer.name

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.layer, self.label

    @property
    def free_symbols(self) -> set[Basic]:
        return {self}

    def __getitem__(self, index: Any) -> State:
        return State(self, index)

    def _sympystr(self, printer: Any) -> str:
        return self.name


def checked_index(index: Any, layer: Layer, place: str, axis: int = 0) -> Expr:
    """Return ``index`` if it fits axis number ``axis`` of ``place``; where that is 0, a unit of the layer ``place``."""
    if isinstance(index, Index) and index.layer == layer:
        return index
    if isinstance(index, Integral) and not isinstance(index, bool):
        index = Integer(int(index))
    what = f"axis {axis} of {place}" if axis else f"{place}[…]"
    if isinstance(index, Index):
        raise EnergyError(
            f"index {index.name} runs over layer {index.layer.name}, but {what} takes an index of layer "
            f"{layer.name}. Make one with {layer.name}.index({index.name!r})."
        )
    if isinstance(layer, KnownAxis) and isinstance(index, Integer) and not 0 <= index < layer.size:
        members = f"labels of layer {layer.of.name}" if isinstance(layer, StateAxis) else f"{layer.unit} components"
        raise EnergyError(f"the {members} are 0 to {layer.size - 1}. Got {index} in {what}.")
    if isinstance(index, Integer) and index >= 0:
        return index
    raise EnergyError(
        f"{what} takes an index of layer {layer.name} (made by {layer.name}.index('i')) or a whole number "
        f"from 0. Got {index!r}."
    )


class State(Unassuming):
    """The state of one unit: v_i, or h_j^g when the layer's configuration carries the label g."""

    is_symbol = True  # SymPy then differentiates by it directly, instead of replacing it by a dummy first
    _diff_wrt = True

    def __new__(cls, configuration: Configuration, index: Any) -> State:
        layer = configuration.layer
        return Expr.__new__(cls, configuration, checked_index(index, layer, layer.name))

    configuration = property(lambda self: self.args[0])
    index = property(lambda self: self.args[1])
    layer = property(lambda self: self.args[0].layer)

    @property
    def free_symbols(self) -> set[Basic]:
        return {self.configuration} | self.index.free_symbols

    def _eval_derivative(self, by: Expr) -> Expr:
        if isinstance(by, State) and by.configuration == self.configuration:
            return Delta(self.index, by.index)
        return S.Zero

    def _sympystr(self, printer: Any) -> str:
        return f"{printer._print(self.configuration)}[{printer._print(self.index)}]"


class Coordinate(Unassuming):
    """One of the numbers that say which state a unit is in, where the state itself is not a number."""

    state = property(lambda self: self.args[0])
    place = property(lambda self: self.args[1])

    def _eval_derivative(self, by: Expr) -> Expr:
        return S.Zero


class Indicator(Coordinate):
    """Iverson's bracket [v_i = s]: 1 if unit i of a categorical layer carries the label s, else 0.

    Args:
        state: the state of a unit, or a label in its place.
        label: an index over the layer's labels, made by ``v.states.index("s")``, or a whole number.
    """

    def __new__(cls, state: Any, label: Any) -> Expr:
        state, label = as_expression(state), as_expression(label)
        if not isinstance(state, State):
            return Delta(state, label)
        return Expr.__new__(cls, state, checked_index(label, state.layer.states, f"indicator({state}, …)", 2))

    label = property(lambda self: self.args[1])

    def _sympystr(self, printer: Any) -> str:
        return f"indicator({', '.join(map(printer._print, self.args))})"


class Component(Coordinate):
    """v_iα: component α of the vector that is the state of unit i.

    Args:
        state: the state of a unit or a symbol for one; or in its place an index over the components, for the unit
            vector in its direction, or 0 for the vector of length 0.
        place: an index over the components, made by ``v.components.index("α")``, or a whole number.
    """

    def __new__(cls, state: Any, place: Any) -> Expr:
        state, place = as_expression(state), as_expression(place)
        if state == 0:
            return S.Zero
        if isinstance(state, State):
            place = checked_index(place, state.layer.components, state.layer.name, 2)
        elif not state.is_symbol:
            return Delta(state, place)
        return Expr.__new__(cls, state, place)

    def _sympystr(self, printer: Any) -> str:
        state, place = self.args
        if not isinstance(state, State):
            return f"{printer._print(state)}[{printer._print(place)}]"
        return f"{printer._print(state)[:-1]}, {printer._print(place)}]"


def coordinate(state: State) -> Expr:
    """Return what is averaged where the mean of a unit is asked for: its state, or one of the state's coordinates."""
    unit = lookup(state.layer.unit)
    if unit.is_categorical:
        return Indicator(state, state.layer.states.index("s"))
    return Component(state, state.layer.components.index("α")) if unit.dimension > 1 else state
