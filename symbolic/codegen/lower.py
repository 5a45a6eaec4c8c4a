"""From an expression in the language of energies to the intermediate representation. The only door between the two.

States become arrays with one configuration a row, parameters arrays as they are declared, bound indices axes. A
sum over units of a product becomes a :class:`~symbolic.codegen.ir.Contract`, the logarithm of a sum over
configurations of exponentials a :class:`~symbolic.codegen.ir.Reduce` over an enumeration; how either is
computed is for the passes and targets to say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sympy import Add, Dummy, Expr, Mul, Pow, S, Symbol, cos, exp, log, sin, tanh

from symbolic.codegen.ir import (
    Axis,
    Configurations,
    Const,
    Contract,
    Draw,
    Equal,
    Load,
    LogBase,
    Map,
    Node,
    OneHot,
    Reduce,
    Sample,
    Size,
    Uniform,
    walk,
)
from symbolic.errors import SymbolicError
from symbolic.language.binders import ConfigSum, IndexBinder, IndexSum
from symbolic.language.energy import Energy
from symbolic.language.expressions import Delta
from symbolic.language.functions import StableFunction, StateFunction
from symbolic.language.layers import (
    Component,
    Configuration,
    Index,
    Indicator,
    KnownAxis,
    Layer,
    State,
    StateAxis,
    axes_of,
)
from symbolic.language.parameters import Entry
from symbolic.language.probability import EnergyCall, FreeEnergy, LogPartition
from symbolic.units import StateValue, lookup, uniform_number

__all__ = ["CALLED", "CONFIGURATION", "ROW", "ROW_WEIGHTS", "Lowering", "LoweringError", "factored"]

ROW = Axis("t")
CONFIGURATION = Axis("c")
ROW_WEIGHTS = "row_weights"

_LETTERS = {"visible": "ikmp", "hidden": "jlnq", "given": "doeg", "labels": "srxy", "components": "abuw"}
_ELEMENTARY = {exp: "exp", log: "log", tanh: "tanh", cos: "cos", sin: "sin"}
# neg is the change of sign here, so the function of states is called otherwise.
_NAMED: dict[type, str] = {
    kind: {"neg": "negative_part"}.get(kind.__name__, kind.__name__.lower())
    for base in (StableFunction, StateFunction)
    for kind in base.__subclasses__()
    if kind.__module__ == base.__module__
}
# What the runtimes call the functions that are not elementary.
CALLED = {name: {"negative_part": "neg"}.get(name, name) for name in _NAMED.values()}


# The place of the argument that is a field, where it is not the first.
_FIELD = {"binomial": 1, "integer": 1}


class LoweringError(SymbolicError):
    """An expression has no counterpart in generated code; the message names the part."""


class Lowering:
    """Lowers the expressions of one energy.

    An index is named after the place it has in its own sum, so that equal sums inside different expressions
    become one node.
    """

    def __init__(self, energy: Energy):
        self._order: dict[str, float] = {name: place for place, name in enumerate(energy.layers)}
        self._letters = {
            layer.name: (side, place)
            for side, layers in (("visible", energy.visible), ("hidden", energy.hidden), ("given", energy.given))
            for place, layer in enumerate(layers)
        }
        for axis in axes_of(energy.layers.values()).values():
            if isinstance(axis, StateAxis):  # a layer's labels come right after its units
                self._order[axis.name] = self._order[axis.of.name] + 0.5
                self._letters[axis.name] = "labels", self._letters[axis.of.name][1]
            else:
                self._order[axis.name] = len(energy.layers)
                self._letters[axis.name] = "components", 0
        self._memo: dict[object, Node] = {}

    def axis(self, layer: Layer, place: int = 0) -> Axis:
        """The axis that stands for the first, second, … index over ``layer`` in use at once."""
        side, position = self._letters[layer.name]
        letters = _LETTERS[side]
        name = letters[place] if place < len(letters) else f"{letters[0]}{place}"
        plain = layer.name if not isinstance(layer, StateAxis) else layer.of.name
        length = int(layer.size) if isinstance(layer, KnownAxis) else 0
        return Axis(name if position == 0 else f"{name}_{plain}", layer.name, length)

    def axes_of(self, indices: tuple[Expr, ...]) -> dict[Index, Axis]:
        """Axes for the free indices of an expression, such as those of a parameter's entry."""
        named: dict[Index, Axis] = {}
        for index in indices:
            assert isinstance(index, Index)
            used = sum(other.layer == index.layer for other in named)
            named[index] = self.axis(index.layer, used)
        return named

    def lower(self, expression: Expr, free: Mapping[Index, Axis] | None = None) -> Node:
        """``expression`` as a node; ``free`` says which axis each of its free indices is.

        Raises:
            LoweringError: a part of it has no counterpart.
        """
        return self._lower(factored(expression), dict(free or {}))

    def over_rows(self, expression: Expr, free: Mapping[Index, Axis]) -> Node:
        """Σ_t row_weights[t] · ``expression`` at row t, as an array over the axes in ``free``, in that order."""
        axes = tuple(free.values())
        weight = Load((ROW,), ROW_WEIGHTS, "weight", (ROW,))
        terms = []
        for term in Add.make_args(_multiplied_out(factored(expression))):
            coefficient, factors = term.as_coeff_mul()
            args = tuple(self.lower(factor, free) for factor in _with_normalisers(factors))
            # What is the same for all rows multiplies their sum.
            constant = tuple(arg for arg in args if ROW not in arg.axes)
            varying = tuple(arg for arg in args if ROW in arg.axes)
            spanned = tuple(axis for axis in axes if any(axis in arg.axes for arg in varying))
            total: Node = Contract(spanned, (weight, *varying))
            if constant:
                spanned = tuple(axis for axis in axes if any(axis in arg.axes for arg in args))
                total = Map(spanned, "mul", (total, *constant))
            terms.append(_scaled(float(coefficient), self.spread(total, axes)))
        # Subtracted terms come last, as one would write it.
        terms.sort(key=lambda term: isinstance(term, Map) and term.function == "neg")
        return terms[0] if len(terms) == 1 else Map(axes, "add", tuple(terms))

    def draw(self, mean: Expr, layer: Layer, free: Mapping[Index, Axis]) -> Node:
        """Random states of a layer whose units have two states and the given mean, which fixes their distribution."""
        low, high = lookup(layer.unit).states
        axes = (ROW, *free.values())
        return Draw(axes, self.spread(self.lower(mean, free), axes), low, high)

    def sample(self, sampler: str, arguments: tuple[Expr, ...], free: Mapping[Index, Axis]) -> Node:
        """Random states of units whose distribution has the given parameters."""
        axes = (ROW, *free.values())
        known = [s for s in arguments[0].free_symbols if isinstance(s, Index) and isinstance(s.layer, KnownAxis)]
        if known:
            return self._by_places(sampler, arguments[0], free, known[0])
        self._memo[uniform_number(), ()] = Uniform(axes)
        args = [self.lower(argument, free) for argument in arguments]
        if not any(arg.axes == axes for arg in args):
            varying = [place for place, arg in enumerate(args) if not isinstance(arg, Const)]
            place = varying[0] if varying else _FIELD.get(sampler, 0)
            args[place] = self.spread(args[place], axes)
        return Sample(axes, sampler, tuple(args))

    def _by_places(self, sampler: str, argument: Expr, free: Mapping[Index, Axis], place: Index) -> Node:
        """Random states of units from an array over the labels or components: the labels' probabilities, or a field."""
        named = {**free, **self.axes_of((place,))}
        array = self.spread(self.lower(argument, named), (ROW, *named.values()))
        axes = (ROW, *free.values()) if isinstance(place.layer, StateAxis) else array.axes
        return Sample(axes, sampler, (array,))

    def spread(self, node: Node, axes: tuple[Axis, ...]) -> Node:
        """``node`` repeated along the axes it lacks."""
        return node if node.axes == axes else Map(axes, "copy", (node,))

    def _sorted(self, axes: set[Axis]) -> tuple[Axis, ...]:
        return tuple(sorted(axes, key=lambda a: (self._order.get(a.layer, -1), len(a.name), a.name)))

    def _map(self, function: str, args: tuple[Node, ...]) -> Node:
        return Map(self._sorted({axis for arg in args for axis in arg.axes}), function, args)

    def _lower(self, expression: Expr, env: dict[Index, Axis]) -> Node:
        free = expression.free_symbols
        key = (expression, tuple((i, a) for i, a in env.items() if i in free))
        if key not in self._memo:
            self._memo[key] = self._lower_new(expression, env)
        return self._memo[key]

    def _lower_new(self, expression: Expr, env: dict[Index, Axis]) -> Node:
        if not expression.free_symbols and (number := _number(expression)) is not None:
            return Const((), number)
        match expression:
            case State():
                return self._state(expression, env)
            case Entry():
                index = tuple(_place(i, env) for i in expression.indices)
                axes = tuple(dict.fromkeys(i for i in index if isinstance(i, Axis)))
                return Load(axes, expression.parameter.name, "parameter", index)
            case Delta() if all(isinstance(arg, Index) or arg.is_Integer for arg in expression.args):
                return self._delta(expression, env)
            case Indicator():
                return self._one_hot(expression, env)
            case Component():
                return self._component(expression, env)
            case IndexSum():
                return self._index_sum(expression, env)
            case Add():
                terms = [self._lower(term, env) for term in expression.args]
                # Large arrays come first and subtracted ones last, as one would write it.
                terms.sort(key=lambda n: (isinstance(n, Map) and n.function == "neg", -len(n.axes)))
                return self._map("add", tuple(terms))
            case Mul():
                return self._product(expression, env)
            case Pow():
                return self._power(expression, env)
            case log() if isinstance(expression.args[0], ConfigSum):
                return self._log_config_sum(expression.args[0], env)
            case log() if _is_sum_over_labels(expression.args[0]):
                return self._log_sum_exp(expression.args[0], env)
            case EnergyCall() | FreeEnergy() | LogPartition():
                return self._lower(expression.definition(), env)
            case exp() | log() | tanh() | cos() | sin() | StableFunction() | StateFunction():
                function = _ELEMENTARY.get(type(expression)) or _NAMED.get(type(expression))
                if function is None and isinstance(expression, StableFunction):
                    return self._lower(expression.definition(), env)
                if function is not None:
                    return self._map(function, tuple(self._lower(argument, env) for argument in expression.args))
            case Symbol():
                for name in self._order:
                    if expression.name == f"n_{name}":
                        return Size((), name)
        raise LoweringError(
            f"{type(expression).__name__} {expression} has no counterpart in generated code; derive a closed form "
            "of it first."
        )

    def _state(self, state: State, env: dict[Index, Axis]) -> Node:
        configuration: Configuration = state.configuration
        name = configuration.layer.name
        unit = _place(state.index, env)
        row = CONFIGURATION if configuration.label else ROW
        axes = (row, unit) if isinstance(unit, Axis) else (row,)
        if configuration.label:
            return Configurations(axes, name, _states(configuration.layer), (row, unit))
        return Load(axes, name, "state", (row, unit))

    def _component(self, component: Component, env: dict[Index, Axis]) -> Node:
        state = self._state(component.state, env)
        assert isinstance(state, Load)  # vectors are not enumerated
        place = _place(component.place, env)
        axes = (*state.axes, place) if isinstance(place, Axis) else state.axes
        return Load(axes, state.name, "state", (*state.index, place))

    def _one_hot(self, bracket: Indicator, env: dict[Index, Axis]) -> Node:
        states = self._state(bracket.state, env)
        assert isinstance(states, (Load, Configurations))
        label = _place(bracket.label, env)
        axes = (*states.axes, label) if isinstance(label, Axis) else states.axes
        return OneHot(axes, states, len(lookup(bracket.state.layer.unit).states), label)

    def _normaliser(self, exponent: Expr, total: IndexSum, env: dict[Index, Axis]) -> Node:
        """ln of the total; of the very exponents that are there, where those run over all labels."""
        labels = [s for s in exponent.free_symbols if isinstance(s, Index) and isinstance(s.layer, StateAxis)]
        body, (bound,) = total.open()
        for label in labels:
            if label.layer == bound.layer and body.args[0].xreplace({bound: label}) == exponent:
                node, over = self._lower(exponent, env), env[label]
                rest = tuple(axis for axis in node.axes if axis != over)
                return Reduce(rest, "logsumexp", self.spread(node, (*rest, over)), over)
        return self._log_sum_exp(total, env)

    def _log_sum_exp(self, total: IndexSum, env: dict[Index, Axis]) -> Node:
        """ln Σ_s e^{φ(s)} over the labels of a categorical unit."""
        body, (label,) = total.open()
        place = 0
        while self.axis(label.layer, place) in env.values():
            place += 1
        over = self.axis(label.layer, place)
        exponent = self._lower(body.args[0], {**env, label: over})
        rest = tuple(axis for axis in exponent.axes if axis != over)
        return Reduce(rest, "logsumexp", self.spread(exponent, (*rest, over)), over)

    def _delta(self, delta: Delta, env: dict[Index, Axis]) -> Node:
        first, second = (_place(i, env) for i in delta.args)
        if first == second:
            return Const((), 1.0)
        layer = next(i.layer.name for i in delta.args if isinstance(i, Index))
        axes = self._sorted({place for place in (first, second) if isinstance(place, Axis)})
        index = (first, second) if isinstance(first, Axis) else (second, first)
        return Equal(axes, layer, axes if len(axes) == 2 else index)

    def _index_sum(self, total: IndexSum, env: dict[Index, Axis]) -> Node:
        taken = {env[i] for i in total.free_symbols if isinstance(i, Index) and i in env}
        inner = dict(env)
        over: list[Axis] = []
        for index in total.indices:
            place = 0
            while self.axis(index.layer, place) in taken:
                place += 1
            inner[index] = self.axis(index.layer, place)
            taken.add(inner[index])
            over.append(inner[index])
        factors = [self._lower(f, inner) for f in Mul.make_args(total.body)]
        present = {axis for factor in factors for axis in factor.axes}
        axes = self._sorted(present - set(over))
        if len(factors) > 1:
            return Contract(axes, tuple(factors))
        node = factors[0]
        for axis in over:
            node = Reduce(tuple(a for a in node.axes if a != axis), "sum", node, axis)
        return node

    def _product(self, product: Mul, env: dict[Index, Axis]) -> Node:
        coefficient, factors = product.as_coeff_mul()
        if (probability := _probability(factors)) is not None:
            exponent = self._lower(probability[0], env)
            normaliser = self._map("neg", (self._normaliser(*probability, env),))
            return self._map("exp", (self._map("add", (exponent, normaliser)),))
        factors = _with_normalisers(factors)
        below = [f for f in factors if f.is_Pow and f.exp.is_negative]
        above = [self._lower(f, env) for f in factors if f not in below]
        if not above or coefficient not in (1, -1):
            above.insert(0, Const((), abs(float(coefficient))))
        node = above[0] if len(above) == 1 else self._map("mul", tuple(above))
        if below:
            node = self._map("div", (node, self._lower(Mul(*(1 / f for f in below)), env)))
        return self._map("neg", (node,)) if coefficient < 0 else node

    def _power(self, power: Pow, env: dict[Index, Axis]) -> Node:
        base, exponent = power.as_base_exp()
        if exponent.is_negative:
            return self._map("div", (Const((), 1.0), self._lower(1 / power, env)))
        node = self._lower(base, env)
        if exponent.is_Integer and exponent <= 4:
            return self._map("mul", (node,) * int(exponent))
        if exponent == S.Half:
            return self._map("sqrt", (node,))
        return self._map("pow", (node, self._lower(exponent, env)))

    def _log_config_sum(self, total: ConfigSum, env: dict[Index, Axis]) -> Node:
        if not isinstance(total.body, exp):
            raise LoweringError(f"{total} can be summed in logarithms only if its terms are exponentials.")
        exponent = self._lower(total.body.args[0], env)
        used = {node.layer: node for node in walk(exponent) if isinstance(node, Configurations)}
        bases = []
        for configuration in total.configurations:
            name = configuration.layer.name
            if name not in used:
                raise LoweringError(f"{total} runs over {configuration}, which does not occur in it.")
            unit = lookup(configuration.layer.unit)
            if unit.base is not None:
                weights = tuple(float(log(unit.base(S(state)))) for state in unit.states)
                every = (CONFIGURATION, self.axis(configuration.layer))
                bases.append(LogBase((CONFIGURATION,), Configurations(every, name, used[name].states, every), weights))
        if bases:
            exponent = self._map("add", (exponent, *bases))
        axes = tuple(axis for axis in exponent.axes if axis != CONFIGURATION)
        return Reduce(axes, "logsumexp", exponent, CONFIGURATION)


def _multiplied_out(expression: Expr) -> Expr:
    """The products of sums written as sums of products; nothing else is taken apart, e^{a + b} least of all.

    A sum that varies from row to row beside a function that does is an array of its own anyway, and stays whole.
    """
    kept: dict[Expr, Expr] = {}
    terms = []
    for term in Add.make_args(expression):
        factors = Mul.make_args(term)
        if any(isinstance(f, StableFunction) and _varies(f) for f in factors):
            factors = tuple(kept.setdefault(f, Dummy()) if isinstance(f, Add) and _varies(f) else f for f in factors)
        terms.append(Mul(*factors))
    expanded = Add(*terms).expand(deep=False, mul=True, power_base=False, power_exp=False, log=False, multinomial=False)
    return expanded.xreplace({name: whole for whole, name in kept.items()}) if kept else expanded


def _varies(expression: Expr) -> bool:
    return any(isinstance(symbol, Configuration) for symbol in expression.free_symbols)


def _is_sum_over_labels(node: Expr) -> bool:
    return (
        isinstance(node, IndexSum)
        and isinstance(node.body, exp)
        and len(node.indices) == 1
        and isinstance(node.indices[0].layer, StateAxis)
    )


def _probability(factors: tuple[Expr, ...]) -> tuple[Expr, Expr] | None:
    """(φ, total) of e^φ ÷ total, where total is a sum of exponentials over labels and there are no other factors."""
    if len(factors) != 2:
        return None
    for above, below in (factors, factors[::-1]):
        if isinstance(above, exp) and below.is_Pow and below.exp == -1 and _is_sum_over_labels(below.base):
            return above.args[0], below.base
    return None


def _with_normalisers(factors: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The factors with an exponential and the sum over labels that normalises it as one, which cannot overflow."""
    below = [f for f in factors if f.is_Pow and f.exp == -1 and _is_sum_over_labels(f.base)]
    above = [f for f in factors if isinstance(f, exp)]
    if len(below) != 1 or len(above) != 1 or len(factors) == 2:
        return factors if len(below) != 1 or len(above) != 1 else (Mul(*factors),)
    return (Mul(above[0], below[0]), *(f for f in factors if f is not above[0] and f is not below[0]))


def _states(layer: Layer) -> tuple[StateValue, ...]:
    return tuple(int(s) if s == int(s) else s for s in lookup(layer.unit).states)


def _number(expression: Expr) -> float | None:
    """The value of an expression of numbers alone."""
    if expression.has(IndexSum, ConfigSum):
        return None
    named = expression.atoms(StableFunction)
    while named:
        expression = expression.xreplace({function: function.definition() for function in named})
        named = expression.atoms(StableFunction)
    if not expression.is_number:  # a sum over states stands in it
        return None
    try:
        value = float(expression)
    except OverflowError:
        value = math.inf
    if math.isinf(value) and expression.is_finite:
        raise LoweringError(
            f"the number {expression} is beyond what floating-point numbers hold; write the energy without it."
        )
    return value if math.isfinite(value) else None


def factored(expression: Expr) -> Expr:
    """``expression`` with the denominators that all terms of a sum share taken out: (a/s² + x/s²)·s² → a + x."""
    if not any(power.exp.is_negative for power in expression.atoms(Pow)):
        return expression
    return _factored(expression)


def _factored(node: Expr) -> Expr:
    if isinstance(node, IndexBinder):
        body, fresh = node.open()
        new = _factored(body)
        return node if new == body else type(node)(new, *fresh)
    if not node.args or isinstance(node, (State, Entry)):
        return node
    args = [_factored(arg) if isinstance(arg, Expr) else arg for arg in node.args]
    if any(new is not old for new, old in zip(args, node.args, strict=True)):
        node = node.func(*args)
    if isinstance(node, Add):
        powers = [term.as_powers_dict() for term in node.args]
        shared = [
            base**exponent
            for base, exponent in powers[0].items()
            if exponent.is_negative and not base.is_Number and all(p.get(base) == exponent for p in powers[1:])
        ]
        if shared:
            common = Mul(*shared)
            return Mul(common, Add(*(term / common for term in node.args)))
    return node


def _place(index: Expr, env: Mapping[Index, Axis]) -> Axis | int:
    if index.is_Integer:
        return int(index)
    if index not in env:
        raise LoweringError(f"index {index} is not bound.")
    return env[index]


def _scaled(coefficient: float, node: Node) -> Node:
    if coefficient == 1:
        return node
    if coefficient < 0:
        return Map(node.axes, "neg", (_scaled(-coefficient, node),))
    return Map(node.axes, "mul", (Const((), coefficient), node))
