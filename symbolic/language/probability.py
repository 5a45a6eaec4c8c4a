"""The energy as an opaque function, and the quantities defined by it: probabilities, expectations, free energy.

Each node knows its definition in terms of e^{-E}, which is what the oracle evaluates; a derivation replaces nodes by
their definitions, or recognises them, one named step at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sympy import Derivative, Expr, Tuple, log
from sympy.core.basic import Atom, Basic

from symbolic.errors import EnergyError
from symbolic.language.binders import BaseMeasure, ConfigSum, UnitSum, called, differentiated
from symbolic.language.expressions import Delta, Unassuming, as_expression, exponential
from symbolic.language.layers import Configuration, Layer, State
from symbolic.language.parameters import Parameter

__all__ = [
    "EnergyCall",
    "EnergyFunction",
    "Expectation",
    "FreeEnergy",
    "LogPartition",
    "Probability",
    "SiteEnergy",
    "SiteProbability",
    "UnitProbability",
]

_VISIBLE_LABELS = "utrs"
_HIDDEN_LABELS = "gfed"


class EnergyFunction(Atom):
    """The function E itself: what it is called, what it is equal to and which layers it takes.

    An atom on purpose: rewriting an expression never reaches into the definition of E.
    """

    __slots__ = ("definition", "given", "hidden", "name", "visible")
    definition: Expr
    visible: tuple[Layer, ...]
    hidden: tuple[Layer, ...]
    given: tuple[Layer, ...]
    name: str

    def __new__(
        cls,
        definition: Expr,
        visible: tuple[Layer, ...],
        hidden: tuple[Layer, ...],
        name: str = "E",
        given: tuple[Layer, ...] = (),
    ) -> EnergyFunction:
        self = Basic.__new__(cls)
        self.definition = definition
        self.visible = tuple(visible)
        self.hidden = tuple(hidden)
        self.given = tuple(given)
        self.name = name
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.definition, self.visible, self.hidden, self.name, self.given

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.definition, self.visible, self.hidden, self.name, self.given

    def _sympystr(self, printer: Any) -> str:
        return self.name

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.visible + self.hidden + self.given

    @property
    def inputs(self) -> tuple[Configuration, ...]:
        """The free configurations of the layers that are given, in every sum and every probability."""
        return tuple(Configuration(layer) for layer in self.given)

    def bound_except(self, kept: Iterable[Layer]) -> tuple[Configuration, ...]:
        """Return the bound configurations of all layers that are neither kept nor given: what is summed out."""
        return tuple(self.bound(layer) for layer in self.visible + self.hidden if layer not in kept)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(sorted(self.definition.atoms(Parameter), key=lambda p: p.name))

    def free(self, layer: Layer) -> Configuration:
        return Configuration(layer)

    def bound(self, layer: Layer) -> Configuration:
        """Return the layer's configuration under its own label: u for the visible layer, g for the hidden one."""
        role, labels = (self.visible, _VISIBLE_LABELS) if layer in self.visible else (self.hidden, _HIDDEN_LABELS)
        position = role.index(layer)
        return Configuration(layer, labels[position] if position < len(labels) else f"{labels[0]}{position}")

    def __call__(self, *configurations: Configuration) -> EnergyCall:
        """Return E at these configurations; layers not given are free."""
        given = {c.layer: c for c in configurations}
        return EnergyCall(self, *(given.get(layer, Configuration(layer)) for layer in self.layers))


def _require_layers(function: EnergyFunction, configurations: Iterable[Any]) -> None:
    """Raise an error unless these are configurations of different layers of an energy."""
    left = list(function.layers)
    for found in configurations:
        if not isinstance(found, Configuration):
            raise EnergyError(f"{function} takes configurations of layers. Got {found}.")
        if found.layer not in left:
            once = "" if found.layer not in function.layers else ", each once"
            names = ", ".join(layer.name for layer in function.layers)
            raise EnergyError(f"{function} is a function of the layers {names}{once}. Got {found}.")
        left.remove(found.layer)


class EnergyCall(Expr):
    """E(v, h^g): opaque until a step recalls its definition."""

    is_commutative = True
    stays_in_exp = True
    is_extended_real = True

    def __new__(cls, function: EnergyFunction, *configurations: Configuration) -> EnergyCall:
        if tuple(getattr(c, "layer", None) for c in configurations) != function.layers:
            _require_layers(function, configurations)
            names = ", ".join(layer.name for layer in function.layers)
            raise EnergyError(
                f"{function} takes its layers in order ({names}). Got {', '.join(map(str, configurations))}."
            )
        return Expr.__new__(cls, function, *configurations)

    function = property(lambda self: self.args[0])
    configurations = property(lambda self: self.args[1:])

    def definition(self) -> Expr:
        """Return the definition of E at these configurations."""
        return _definition(self)

    def force(self, by: Expr) -> Expr:
        """Return −∂E/∂θ at these configurations."""
        return _force(self, by)

    @property
    def free_symbols(self) -> set[Basic]:
        return set(self.configurations) | set(self.function.parameters)

    def _eval_derivative(self, by: Expr) -> Expr:
        return Derivative(self, by, evaluate=False)

    def _sympystr(self, printer: Any) -> str:
        return f"{self.function}({', '.join(map(str, self.configurations))})"


# Derivations and the checker ask for both many times: the three usual derivations of the pairwise energy, verified, ask
# 14 times about 3 calls.


@lru_cache(maxsize=1024)
def _definition(call: EnergyCall) -> Expr:
    return called(call.function.definition, {Configuration(c.layer): c for c in call.configurations if c.label})


@lru_cache(maxsize=1024)
def _force(call: EnergyCall, by: Expr) -> Expr:
    return -differentiated(_definition(call), by)


class Probability(Unassuming):
    """p(subject | given) under e^{-E}/Z: p(v), p(h^g | v), p(v^u, h^g). Layers in neither place are summed out."""

    def __new__(cls, function: EnergyFunction, subject: Any, given: Any = ()) -> Probability:
        _require_layers(function, (*subject, *given))
        return Expr.__new__(cls, function, Tuple(*subject), Tuple(*given))

    function = property(lambda self: self.args[0])
    subject = property(lambda self: tuple(self.args[1]))
    given = property(lambda self: tuple(self.args[2]))

    def numerator(self) -> Expr:
        """Return Σ e^{-E} over the layers that are summed out."""
        known = self.subject + self.given
        summed = self.function.bound_except([c.layer for c in known])
        return ConfigSum(exponential(-self.function(*known, *summed)), *summed)

    def normaliser(self) -> Expr:
        """Return the same, summed over the subject too; 1 / it makes a distribution of the numerator."""
        summed = self.function.bound_except([c.layer for c in self.given])
        return ConfigSum(exponential(-self.function(*self.given, *summed)), *summed)

    def definition(self) -> Expr:
        return self.numerator() / self.normaliser()

    @property
    def free_symbols(self) -> set[Basic]:
        return {*self.subject, *self.given, *self.function.inputs, *self.function.parameters}

    def _eval_derivative(self, by: Expr) -> Expr:
        return Derivative(self, by, evaluate=False)

    def _sympystr(self, printer: Any) -> str:
        bar = f" | {', '.join(map(str, self.given))}" if self.given else ""
        return f"p({', '.join(map(str, self.subject))}{bar})"


class UnitProbability(Unassuming):
    """p(h_j | v): the conditional probability of one unit's state, the rest of its layer summed out."""

    def __new__(cls, function: EnergyFunction, state: State, given: Any) -> UnitProbability:
        _require_layers(function, (state.configuration, *given))
        return Expr.__new__(cls, function, state, Tuple(*given))

    function = property(lambda self: self.args[0])
    state = property(lambda self: self.args[1])
    given = property(lambda self: tuple(self.args[2]))

    def definition(self) -> Expr:
        layer = self.state.layer
        bound = self.function.bound(layer)
        joint = Probability(self.function, (bound,), self.given)
        # A density is relative to the base measure, with which the sum has counted the state.
        return ConfigSum(Delta(bound[self.state.index], self.state) * joint, bound) / BaseMeasure(self.state)

    @property
    def free_symbols(self) -> set[Basic]:
        return {*self.state.free_symbols, *self.given, *self.function.inputs, *self.function.parameters}

    def _sympystr(self, printer: Any) -> str:
        return f"p({self.state} | {', '.join(map(str, self.given))})"


class SiteEnergy(Unassuming):
    """E(v, h′_j, h_{∖j}): the energy with one unit in another state and all other units as they are.

    Args:
        function: the energy.
        state: the unit, as a state of its layer's free configuration.
        value: the state it is put in.
    """

    def __new__(cls, function: EnergyFunction, state: State, value: Any) -> Expr:
        value = as_expression(value)
        return function() if value == state else Expr.__new__(cls, function, state, value)

    function = property(lambda self: self.args[0])
    state = property(lambda self: self.args[1])
    value = property(lambda self: self.args[2])

    @property
    def free_symbols(self) -> set[Basic]:
        return self.function().free_symbols | self.state.free_symbols | self.value.free_symbols

    def _sympystr(self, printer: Any) -> str:
        others = ", ".join(str(c) for c in self.function().configurations if c != self.state.configuration)
        rest = f"{self.state.layer.name} elsewhere"
        return f"{self.function}({', '.join(filter(None, (others, printer._print(self.value), rest)))})"


class SiteProbability(Unassuming):
    """p(h_j | v, h_{∖j}): the probability of one unit's state given all other units, those of its layer too.

    Args:
        function: the energy.
        state: the unit, as a state of its layer's free configuration.
        value: the state asked about: the unit's own, or another one, such as one that a sum binds.
    """

    def __new__(cls, function: EnergyFunction, state: State, value: Any = None) -> SiteProbability:
        return Expr.__new__(cls, function, state, state if value is None else as_expression(value))

    function = property(lambda self: self.args[0])
    state = property(lambda self: self.args[1])
    value = property(lambda self: self.args[2])

    @property
    def given(self) -> tuple[Configuration, ...]:
        """The configurations of all other layers."""
        return tuple(c for c in self.function().configurations if c != self.state.configuration)

    def definition(self) -> Expr:
        other = Configuration(self.state.layer, "'")[self.state.index]
        if other == self.value:
            other = Configuration(self.state.layer, "''")[self.state.index]
        total = UnitSum(exponential(-SiteEnergy(self.function, self.state, other)), other)
        return exponential(-SiteEnergy(self.function, self.state, self.value)) / total

    @property
    def free_symbols(self) -> set[Basic]:
        return self.function().free_symbols | self.state.free_symbols | self.value.free_symbols

    def _sympystr(self, printer: Any) -> str:
        given = ", ".join([*map(str, self.given), f"{self.state.layer.name} elsewhere"])
        return f"p({printer._print(self.value)} | {given})"


class Expectation(Unassuming):
    """⟨statistic⟩ under a probability, whose subject it binds: ⟨v_i h_j⟩_v or ⟨v_i h_j⟩_vh."""

    def __new__(cls, statistic: Expr, probability: Probability) -> Expectation:
        averaged = {c.layer: c for c in probability.subject}
        for found in statistic.atoms(Configuration):
            if averaged.get(found.layer, found) != found:
                # Between the brackets labels are not shown, so two configurations of one layer would look the same.
                raise EnergyError(f"an average over {averaged[found.layer]} cannot hold {found} as a constant.")
        return Expr.__new__(cls, statistic, probability)

    statistic = property(lambda self: self.args[0])
    probability = property(lambda self: self.args[1])

    def definition(self) -> Expr:
        return ConfigSum(self.probability * self.statistic, *self.probability.subject)

    def displayed(self) -> Expr:
        """Return the statistic without the labels it is bound under, as it stands between the brackets."""
        return self.statistic.xreplace({c: Configuration(c.layer) for c in self.probability.subject})

    @property
    def averaged_over(self) -> tuple[Layer, ...]:
        """The layers in the subscript: those clamped if there are any, else all that are averaged."""
        inputs = self.probability.function.given
        clamped = tuple(c.layer for c in self.probability.given if c.layer not in inputs)
        return clamped or tuple(c.layer for c in self.probability.subject)

    @property
    def free_symbols(self) -> set[Basic]:
        free = self.statistic.free_symbols | self.probability.free_symbols
        return free - set(self.probability.subject)

    def _eval_derivative(self, by: Expr) -> Expr:
        """Return d⟨f⟩ = ⟨df⟩ + ⟨f·(−dE)⟩ − ⟨f⟩⟨−dE⟩."""
        probability = self.probability
        call = probability.function(*probability.subject, *probability.given)
        force = call.force(by)
        result = Expectation(self.statistic * force, probability) - self * Expectation(force, probability)
        direct = self.statistic.diff(by)
        return result if direct == 0 else result + Expectation(direct, probability)

    def _sympystr(self, printer: Any) -> str:
        return f"<{printer._print(self.displayed())}>_{''.join(layer.name for layer in self.averaged_over)}"


class FreeEnergy(Expr):
    """F(v) = −ln Σ_g e^{−E(v, h^g)}: all layers but those given are summed out."""

    is_commutative = True
    stays_in_exp = True
    is_extended_real = True

    def __new__(cls, function: EnergyFunction, *given: Configuration) -> FreeEnergy:
        _require_layers(function, given)
        return Expr.__new__(cls, function, *given)

    function = property(lambda self: self.args[0])
    given = property(lambda self: self.args[1:])

    def definition(self) -> Expr:
        summed = self.function.bound_except([c.layer for c in self.given])
        return -log(ConfigSum(exponential(-self.function(*self.given, *summed)), *summed))

    @property
    def free_symbols(self) -> set[Basic]:
        return {*self.given, *self.function.inputs, *self.function.parameters}

    def _eval_derivative(self, by: Expr) -> Expr:
        return Derivative(self, by, evaluate=False)

    def _sympystr(self, printer: Any) -> str:
        return f"F({', '.join(map(str, self.given))})"


class LogPartition(Expr):
    """ln Z = ln Σ_{u,g} e^{−E(v^u, h^g)}."""

    is_commutative = True
    is_extended_real = True

    def __new__(cls, function: EnergyFunction) -> LogPartition:
        return Expr.__new__(cls, function)

    function = property(lambda self: self.args[0])

    def definition(self) -> Expr:
        summed = self.function.bound_except(())
        return log(ConfigSum(exponential(-self.function(*summed)), *summed))

    @property
    def free_symbols(self) -> set[Basic]:
        return {*self.function.inputs, *self.function.parameters}

    def _eval_derivative(self, by: Expr) -> Expr:
        return Derivative(self, by, evaluate=False)

    def _sympystr(self, printer: Any) -> str:
        given = ", ".join(map(str, self.function.inputs))
        return f"ln Z({given})" if given else "ln Z"
