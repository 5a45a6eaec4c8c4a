"""From an expression in the language of energies to the intermediate representation. The only door between the two.

States become arrays with one configuration a row, parameters arrays as they are declared, bound indices axes. A
sum over units of a product becomes a :class:`~symbolic.codegen.ir.Contract`, the logarithm of a sum over
configurations of exponentials a :class:`~symbolic.codegen.ir.Reduce` over an enumeration; how either is
computed is for the passes and targets to say.
"""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Add, Expr, Mul, Pow, S, Symbol, exp, log, tanh

from symbolic.codegen.ir import Axis, Configurations, Const, Contract, Draw, Load, Map, Node, Reduce, Size
from symbolic.errors import SymbolicError
from symbolic.language.binders import ConfigSum, IndexSum
from symbolic.language.energy import Energy
from symbolic.language.functions import StableFunction, log2cosh, sigmoid, softplus
from symbolic.language.layers import Configuration, Entry, Index, Layer, State
from symbolic.language.probability import EnergyCall, FreeEnergy, LogPartition
from symbolic.units import lookup

__all__ = ["CONFIGURATION", "ROW", "ROW_WEIGHTS", "Lowering", "LoweringError"]

ROW = Axis("t")
CONFIGURATION = Axis("c")
ROW_WEIGHTS = "row_weights"

_LETTERS = {"visible": "ikmp", "hidden": "jlnq"}
_FUNCTIONS = {
    exp: "exp",
    log: "log",
    tanh: "tanh",
    softplus: "softplus",
    sigmoid: "sigmoid",
    log2cosh: "log2cosh",
}


class LoweringError(SymbolicError):
    """An expression has no counterpart in generated code; the message names the part."""


class Lowering:
    """Lowers the expressions of one energy.

    An index is named after the place it has in its own sum, so that equal sums inside different expressions
    become one node.
    """

    def __init__(self, energy: Energy):
        self._order = {name: place for place, name in enumerate(energy.layers)}
        self._letters = {
            layer.name: (side, place)
            for side, layers in (("visible", energy.visible), ("hidden", energy.hidden))
            for place, layer in enumerate(layers)
        }
        self._memo: dict[object, Node] = {}

    def axis(self, layer: Layer, place: int = 0) -> Axis:
        """The axis that stands for the first, second, … index over ``layer`` in use at once."""
        side, position = self._letters[layer.name]
        letters = _LETTERS[side]
        name = letters[place] if place < len(letters) else f"{letters[0]}{place}"
        return Axis(name if position == 0 else f"{name}_{layer.name}", layer.name)

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
        return self._lower(expression, dict(free or {}), ROW)

    def over_rows(self, expression: Expr, free: Mapping[Index, Axis]) -> Node:
        """Σ_t row_weights[t] · ``expression`` at row t, as an array over the axes in ``free``, in that order."""
        axes = tuple(free.values())
        weight = Load((ROW,), ROW_WEIGHTS, "weight", (ROW,))
        terms = []
        for term in Add.make_args(expression.expand(deep=False)):
            coefficient, factors = term.as_coeff_mul()
            args = tuple(self.lower(factor, free) for factor in factors)
            missing = set(axes) - {axis for arg in args for axis in arg.axes}
            if missing:
                names = ", ".join(sorted(axis.layer for axis in missing))
                raise LoweringError(f"the term {term} is the same for all units of layer {names}.")
            total = Contract(axes, (weight, *args))
            terms.append(_scaled(float(coefficient), total))
        return terms[0] if len(terms) == 1 else Map(axes, "add", tuple(terms))

    def draw(self, mean: Expr, layer: Layer, free: Mapping[Index, Axis]) -> Node:
        """Random states of a layer whose units have the given mean.

        Raises:
            LoweringError: the layer's units have more than two states, so their mean does not fix their distribution.
        """
        states = lookup(layer.unit).states
        if len(states) != 2:
            raise LoweringError(f"layer {layer.name} has {len(states)}-state units; two-state units can be drawn.")
        node = self.lower(mean, free)
        axes = (ROW, *free.values())
        if node.axes != axes:
            node = Map(axes, "copy", (node,))
        return Draw(axes, node, *states)

    def spread(self, node: Node, axes: tuple[Axis, ...]) -> Node:
        """``node`` repeated along the axes it lacks."""
        return node if node.axes == axes else Map(axes, "copy", (node,))

    def _sorted(self, axes: set[Axis]) -> tuple[Axis, ...]:
        return tuple(sorted(axes, key=lambda a: (self._order.get(a.layer, -1), len(a.name), a.name)))

    def _map(self, function: str, args: tuple[Node, ...]) -> Node:
        return Map(self._sorted({axis for arg in args for axis in arg.axes}), function, args)

    def _lower(self, expression: Expr, env: dict[Index, Axis], row: Axis) -> Node:
        free = expression.free_symbols
        key = (expression, tuple((i, a) for i, a in env.items() if i in free), row)
        if key not in self._memo:
            self._memo[key] = self._lower_new(expression, env, row)
        return self._memo[key]

    def _lower_new(self, expression: Expr, env: dict[Index, Axis], row: Axis) -> Node:
        if expression.is_Number or expression.is_NumberSymbol:
            return Const((), float(expression))
        match expression:
            case State():
                return self._state(expression, env, row)
            case Entry():
                index = tuple(_place(i, env) for i in expression.indices)
                axes = tuple(dict.fromkeys(i for i in index if isinstance(i, Axis)))
                return Load(axes, expression.parameter.name, "parameter", index)
            case IndexSum():
                return self._index_sum(expression, env, row)
            case Add():
                terms = [self._lower(term, env, row) for term in expression.args]
                # Large arrays come first and subtracted ones last, as one would write it.
                terms.sort(key=lambda n: (isinstance(n, Map) and n.function == "neg", -len(n.axes)))
                return self._map("add", tuple(terms))
            case Mul():
                return self._product(expression, env, row)
            case Pow():
                return self._power(expression, env, row)
            case log() if isinstance(expression.args[0], ConfigSum):
                return self._log_config_sum(expression.args[0], env)
            case EnergyCall() | FreeEnergy() | LogPartition():
                return self._lower(expression.definition(), env, row)
            case exp() | log() | tanh() | StableFunction():
                function = _FUNCTIONS.get(type(expression))
                argument = expression.args[0] if function else expression.definition()
                node = self._lower(argument, env, row)
                return self._map(function, (node,)) if function else node
            case Symbol():
                for name in self._order:
                    if expression.name == f"n_{name}":
                        return Size((), name)
        raise LoweringError(
            f"{type(expression).__name__} {expression} has no counterpart in generated code; derive a closed form "
            "of it first."
        )

    def _state(self, state: State, env: dict[Index, Axis], row: Axis) -> Node:
        configuration: Configuration = state.configuration
        name = configuration.layer.name
        if (row == CONFIGURATION) != bool(configuration.label):
            raise LoweringError(
                f"{state} mixes a given configuration with a sum over configurations; sum the layer out in closed form."
            )
        unit = _place(state.index, env)
        axes = (row, unit) if isinstance(unit, Axis) else (row,)
        if configuration.label:
            return Configurations(axes, name, lookup(configuration.layer.unit).states, (row, unit))
        return Load(axes, name, "state", (row, unit))

    def _index_sum(self, total: IndexSum, env: dict[Index, Axis], row: Axis) -> Node:
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
        factors = [self._lower(f, inner, row) for f in Mul.make_args(total.body)]
        present = {axis for factor in factors for axis in factor.axes}
        axes = self._sorted(present - set(over))
        if len(factors) > 1:
            return Contract(axes, tuple(factors))
        node = factors[0]
        for axis in over:
            node = Reduce(tuple(a for a in node.axes if a != axis), "sum", node, axis)
        return node

    def _product(self, product: Mul, env: dict[Index, Axis], row: Axis) -> Node:
        coefficient, factors = product.as_coeff_mul()
        below = [f for f in factors if f.is_Pow and f.exp.is_negative]
        above = [self._lower(f, env, row) for f in factors if f not in below]
        if not above or coefficient not in (1, -1):
            above.insert(0, Const((), abs(float(coefficient))))
        node = above[0] if len(above) == 1 else self._map("mul", tuple(above))
        if below:
            node = self._map("div", (node, self._lower(Mul(*(1 / f for f in below)), env, row)))
        return self._map("neg", (node,)) if coefficient < 0 else node

    def _power(self, power: Pow, env: dict[Index, Axis], row: Axis) -> Node:
        base, exponent = power.as_base_exp()
        if exponent.is_negative:
            return self._map("div", (Const((), 1.0), self._lower(1 / power, env, row)))
        node = self._lower(base, env, row)
        if exponent.is_Integer and exponent <= 4:
            return self._map("mul", (node,) * int(exponent))
        if exponent == S.Half:
            return self._map("sqrt", (node,))
        return self._map("pow", (node, self._lower(exponent, env, row)))

    def _log_config_sum(self, total: ConfigSum, env: dict[Index, Axis]) -> Node:
        if not isinstance(total.body, exp):
            raise LoweringError(f"{total} can be summed in logarithms only if its terms are exponentials.")
        exponent = self._lower(total.body.args[0], env, CONFIGURATION)
        used = {node.layer for node in _configurations(exponent)}
        for configuration in total.configurations:
            if configuration.layer.name not in used:
                raise LoweringError(f"{total} runs over {configuration}, which does not occur in it.")
        return Reduce((), "logsumexp", exponent, CONFIGURATION)


def _configurations(root: Node) -> list[Configurations]:
    from symbolic.codegen.ir import walk

    return [node for node in walk(root) if isinstance(node, Configurations)]


def _place(index: Expr, env: Mapping[Index, Axis]) -> Axis | int:
    if index.is_Integer:
        return int(index)
    if index not in env:
        raise LoweringError(f"index {index} is not bound.")
    return env[index]


def _scaled(coefficient: float, node: Node) -> Node:
    if coefficient == 1:
        return node
    if coefficient == -1:
        return Map(node.axes, "neg", (node,))
    return Map(node.axes, "mul", (Const((), coefficient), node))
