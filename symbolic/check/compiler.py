"""Compiling expressions, once each, to functions of an environment; which rules compile them is said one floor up."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sympy import Add, Derivative, Expr, Function, Mul, Pow, exp, log

from symbolic.check.environment import BY, MODEL, Compiled, Environment, Name, numbered_units, unbound
from symbolic.language.binders import ConfigSum, IndexBinder, IndexProduct, IndexSum, UnitSum
from symbolic.language.expressions import Delta
from symbolic.language.functions import StableFunction, StateFunction
from symbolic.language.layers import Configuration, Index, Indicator, Layer, State
from symbolic.language.parameters import Entry, Parameter
from symbolic.language.probability import (
    EnergyCall,
    EnergyFunction,
    Expectation,
    FreeEnergy,
    LogPartition,
    Probability,
    SiteProbability,
    UnitProbability,
)

__all__ = ["DEFINED", "Compiler"]

DEFINED = (EnergyCall, Expectation, FreeEnergy, LogPartition, SiteProbability, StableFunction, UnitProbability)
"""Nodes whose value is that of their ``definition()``."""

# Many lines share these, and most of a check's time goes into them.
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


class Compiler(ABC):
    """The expressions that have been compiled for one kind of numbers, and the slots that they look into.

    The functions serve small models of any sizes (:mod:`symbolic.check.small_model`), each with its own environment.

    Args:
        numbers: what is computed with: the fields of a tower (:mod:`symbolic.check.finite_field`), or real numbers
            (:mod:`symbolic.check.reals`).
        true_units: whether sums over one unit's states run over its own states, though sums over whole layers run over
            stand-ins; for lines about single units.
    """

    def __init__(self, numbers: Sequence[Any], true_units: bool = False):
        self.true_units = true_units
        self.fields = tuple(numbers)
        self.top = self.fields[0]
        self.slots: list[Callable[[Any], Any]] = [lambda model: model, lambda model: None]
        self._slot_of: dict[Any, int] = {}
        self._made: dict[Any, Any] = {}
        self._free: dict[Any, frozenset[Name]] = {}
        self._numbered: dict[Any, frozenset[tuple[Layer, int]]] = {}
        self._compared: dict[Any, frozenset[Layer]] = {}
        # Rows that hold an integration's variable: what depends on them is not worth remembering.
        self.passing: frozenset[Configuration] = frozenset()

    # The rules

    @abstractmethod
    def compile_value(self, node: Expr, field: Any) -> Compiled:
        """Return the value of an expression, in its numbers."""

    @abstractmethod
    def compile_exp(self, node: Expr, field: Any) -> Compiled:
        """Return e to the value of an expression."""

    @abstractmethod
    def compile_slope(self, node: Expr, by: Parameter, field: Any) -> Compiled | None:
        """Return the derivative of an expression by an entry of a parameter; None where it is 0."""

    @property
    def made(self) -> int:
        """How many functions and facts are remembered."""
        return len(self._made)

    # What is known of expressions

    # Lines share their parts, so each of these is found once per part.

    def free(self, node: Any) -> frozenset[Name]:
        """Return the free configurations and indices of an expression.

        SymPy leaves the variable of a derivative out of ``free_symbols`` where the function is opaque in it; here it
        counts.
        """
        found = self._free.get(node)
        if found is None:
            found = self._free[node] = self._free_names(node)
        return found

    def _free_names(self, node: Any) -> frozenset[Name]:
        if isinstance(node, Derivative):
            return self.free(node.expr).union(*map(self.free, node.variables))
        if isinstance(node, IndexBinder):
            return self.free(node.body) - set(node.indices)
        if isinstance(node, ConfigSum):
            return self.free(node.body) - set(node.configurations)
        if isinstance(node, (Add, Mul, Pow, Function)):
            return frozenset().union(*map(self.free, node.args))
        return frozenset(s for s in node.free_symbols if isinstance(s, (Configuration, Index)))

    def numbered(self, node: Any) -> frozenset[tuple[Layer, int]]:
        """Return the units that an expression names by their numbers, with their layers."""
        found = self._numbered.get(node)
        if found is None:
            here = frozenset(numbered_units(node)) if isinstance(node, (State, Entry)) else frozenset()
            found = self._numbered[node] = here.union(*map(self.numbered, node.args))
        return found

    def compared(self, node: Any) -> frozenset[Layer]:
        """Return the layers whose states an expression compares, or takes by cases.

        A line about them holds in the layer's states, and means nothing off its domain.
        """
        found = self._compared.get(node)
        if found is None:
            if isinstance(node, EnergyFunction):
                here = self.compared(node.definition)
            elif isinstance(node, UnitProbability):
                here = frozenset([node.state.layer])
            elif isinstance(node, (Delta, Indicator, StateFunction)):
                here = frozenset(state.layer for state in node.atoms(State))
            else:
                here = frozenset()
            found = self._compared[node] = here.union(*map(self.compared, node.args))
        return found

    def has_logarithm(self, node: Expr) -> bool:
        """Return whether the expression is a sum of numbers and logarithms, so that only e to it has an exact value."""
        return self._once(("log", node), lambda: self._has_logarithm(node))

    def _has_logarithm(self, node: Any) -> bool:
        if isinstance(node, log):
            return True
        if isinstance(node, DEFINED):
            return self.has_logarithm(node.definition())
        if isinstance(node, (IndexBinder, ConfigSum, UnitSum)):
            return self.has_logarithm(node.body)
        return isinstance(node, (Add, Mul, Pow)) and any(map(self.has_logarithm, node.args))

    def _parameters(self, node: Expr) -> frozenset[Parameter]:
        found: frozenset[Parameter] = self._once(
            ("parameters", node), lambda: frozenset(s for s in node.free_symbols if isinstance(s, Parameter))
        )
        return found

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = make()
        return found

    # Slots

    def slot(self, key: Any, first: Callable[[Any], Any]) -> int:
        """Return the slot of a thing, whose content in each model starts as what ``first`` gives."""
        if key not in self._slot_of:
            self._slot_of[key] = len(self.slots)
            self.slots.append(first)
        return self._slot_of[key]

    def name(self, name: Name) -> int:
        """Return the slot of an index or a configuration."""
        return self.slot(name, lambda model: unbound(name))

    def names(self) -> Iterator[tuple[Name, int]]:
        """Yield every index and configuration that has a slot, with it."""
        return ((key, slot) for key, slot in self._slot_of.items() if isinstance(key, (Configuration, Index)))

    def place(self, index: Expr) -> int:
        """Return the slot of an index, or of the number of a unit or place."""
        if isinstance(index, Index):
            return self.name(index)
        number = int(index)
        return self.slot(("number", number), lambda model: number)

    @contextmanager
    def integrating(self, configuration: Configuration) -> Iterator[None]:
        """Compile, in this context, what is integrated over the states of one unit of a configuration."""
        before, self.passing = self.passing, self.passing | {configuration}
        try:
            yield
        finally:
            self.passing = before

    # Compiled functions

    def value(self, node: Expr, depth: int = 0) -> Compiled:
        """Return the value of an expression ``depth`` exponents deep.

        Raises:
            CheckError: it has none here.
        """
        return self._compiled(("value", node, depth), node, lambda: self.compile_value(node, self.fields[depth]))

    def exp_of(self, node: Expr, depth: int = 0) -> Compiled:
        """Return e to the value of an expression, which exists where logarithms stand in the expression, too.

        Raises:
            CheckError: it has none here.
        """
        return self._compiled(("exp", node, depth), node, lambda: self.compile_exp(node, self.fields[depth]))

    def slope(self, node: Expr, by: Parameter, depth: int = 0) -> Compiled | None:
        """Return the derivative by the entry of a parameter whose place is in the slot ``BY``; None where it is 0.

        Raises:
            CheckError: it has none here.
        """
        if by not in self._parameters(node):
            return None
        return self._compiled((by, node, depth), node, lambda: self.compile_slope(node, by, self.fields[depth]))

    def _compiled(self, key: Any, node: Expr, make: Callable[[], Compiled | None]) -> Any:
        passing = self.passing & self.free(node) if self.passing else self.passing
        key = (*key, passing)
        if key not in self._made:
            made = make()
            if made is not None and type(node) in _REMEMBERED and not passing:
                made = self._remembered(made, node, key[0])
            self._made[key] = made
        return self._made[key]

    def _remembered(self, evaluate: Compiled, node: Expr, what: Any) -> Compiled:
        """Return the function with its values kept by what they depend on."""
        slots = sorted(map(self.name, self.free(node)))
        if isinstance(what, Parameter):
            slots.append(BY)
        kept = self.slot(object(), lambda model: model.kept())
        key = operator.itemgetter(*(slots or [MODEL]))

        def remembered(env: Environment) -> Any:
            values = env[kept]
            here = key(env)
            value = values.get(here)
            if value is None:
                value = values[here] = evaluate(env)
            return value

        return remembered
