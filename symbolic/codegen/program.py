"""Which functions an energy gives: derive each, lower it, and say what the generated function takes and returns.

The list does not depend on the target. A function whose closed form does not exist (a layer whose units are
tied together) is left out, and the reason kept for whoever asks for it.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from typing import Any

from sympy import Expr, exp, log
from sympy.printing.str import StrPrinter

from symbolic.codegen.ir import Axis, Configurations, Draw, Load, Map, Node, Sample, Size, walk
from symbolic.codegen.lower import CALLED, CONFIGURATION, ROW, ROW_WEIGHTS, Lowering, LoweringError, factored
from symbolic.codegen.passes import optimise
from symbolic.derivation.marginal import AUTO, CLOSED, ENUMERATION, SINGLE_SITE, conditional, free_energy, phase
from symbolic.derivation.separation import independent_layers, separate, single_out
from symbolic.derivation.trace import Derivation
from symbolic.errors import NotSeparableError, SymbolicError
from symbolic.language.binders import ConfigSum
from symbolic.language.energy import Energy
from symbolic.language.expressions import Delta
from symbolic.language.layers import Configuration, Index, Layer, State, axes_of
from symbolic.language.parameters import Entry, Parameter
from symbolic.language.probability import FreeEnergy, LogPartition
from symbolic.units import is_own, lookup

__all__ = ["ARGUMENTS", "RESERVED", "Condition", "Function", "Program", "program"]

_BODIES = """
    " as_states configurations cos diagonal draw einsum exp exponent fine_uniform first_row FUSED identity key len
    log log_base log_sum_exp LogSumExp namespace njit np one_hot positive range real repeated row_streams
    row_weights RowLogSumExp sin slice sqrt streams tanh total uniform unit_streams xp
"""
_METHODS = "layer of parameter rng self states v_model x"

# What the bodies of generated functions refer to, and the arguments they add.
RESERVED = frozenset(_BODIES.split()) | set(CALLED.values())
# Arguments of the methods of Kernels, beside which parameters are passed by name.
ARGUMENTS = frozenset(_METHODS.split())


@dataclass(frozen=True)
class Condition:
    """What must be positive for a function's sums to be finite.

    Attributes:
        name: of the constant that holds the text in the module, such as ``"RATE_OF_V"``.
        text: what it is, for messages.
        parameters: those that set it, for messages.
        node: its values.
    """

    name: str
    text: str
    parameters: str
    node: Node


@dataclass(frozen=True)
class Function:
    """One function of the generated module.

    Attributes:
        name: such as ``"mean_of_h"``.
        purpose: one line for the docstring.
        formulas: what it computes, as printed by the derivation, by output.
        outputs: (name, node) of the arrays computed.
        phases: parameters in the dictionary returned, if it returns one, before the other outputs.
        arguments: names in order.
        conditions: what has to be positive.
        sweep: the layer whose units are drawn one after the other, each given all others as they are by then.
    """

    name: str
    purpose: str
    formulas: tuple[str, ...]
    outputs: tuple[tuple[str, Node], ...]
    phases: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    sweep: str = ""

    @property
    def draws(self) -> bool:
        return any(isinstance(node, (Draw, Sample)) for node in walk(*(node for _, node in self.outputs)))

    @property
    def samplers(self) -> set[str]:
        """The samplers it calls, by name."""
        nodes = walk(*(node for _, node in self.outputs))
        return {node.sampler for node in nodes if isinstance(node, Sample) and node.sampler != "quantile"}


@dataclass(frozen=True)
class Program:
    """Everything a target needs to print a module.

    Attributes:
        energy: the energy as text.
        layers: unit by layer, visible layers first.
        visible, hidden, given: names of the layers.
        parameters: for each parameter the layers of its axes.
        functions: in the order of the module.
        refused: by function name, why there is none.
        methods: how a function's sums are done, where that is not in closed form.
        symmetric: the parameters with L[i, k] = L[k, i] and no diagonal.
        least: for layers of which the energy names single units, how many units that takes.
    """

    energy: str
    layers: dict[str, str]
    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    parameters: dict[str, tuple[str, ...]]
    functions: tuple[Function, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    methods: dict[str, str] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    symmetric: tuple[str, ...] = ()
    least: dict[str, int] = field(default_factory=dict)


def program(energy: Energy) -> Program:
    """All functions of an energy; remembered, so that a module for another target is only printed.

    Raises:
        LoweringError: the energy has no counterpart in generated code, or a name in it is one that the generated
            functions need for themselves.
    """
    names = [*energy.layers, *energy.parameters]
    clash = [name for name in names if name in RESERVED or keyword.iskeyword(name) or name.startswith("draw_")]
    clash += [name for name in energy.parameters if name in ARGUMENTS or name in {f"n_{n}" for n in energy.layers}]
    if clash:
        raise LoweringError(f"the name {clash[0]} has a meaning of its own in generated code; choose another.")
    if all(is_own(layer.unit) for layer in energy.layers.values()):
        return _program(energy)
    return _Writer(energy).program()  # a unit of another package may have changed


@lru_cache(maxsize=32)
def _program(energy: Energy) -> Program:
    return _Writer(energy).program()


class _Printer(StrPrinter):
    """Prints what formulas have in common once."""

    def __init__(self) -> None:
        super().__init__({"order": None})
        self._known: dict[Any, str] = {}

    def _print(self, expr: Any, **more: Any) -> str:
        if more or not isinstance(expr, Expr):
            found: str = super()._print(expr, **more)
            return found
        if expr not in self._known:
            self._known[expr] = super()._print(expr)
        return self._known[expr]


class _Writer:
    def __init__(self, energy: Energy):
        self.energy = energy
        self.shown = _Printer().doprint
        self.text = f"E({', '.join(energy.layers)}) = {self.shown(energy.expression)}"
        self.summable = energy.visible + energy.hidden
        self.lowering = Lowering(energy)
        self.conditional = cache(partial(conditional, energy, method=AUTO))
        self.phases = cache(partial(phase, energy))
        # What two functions of the module have in common is derived and lowered once.
        self.sample, self.phase = cache(self._sample), cache(self._phase)
        self.memos: dict[Any, dict[Node, Node]] = {}
        self.functions: list[Function] = []
        self.refused: dict[str, str] = {}
        self.methods: dict[str, str] = {}
        self._separable: dict[frozenset[Layer], bool] = {}
        self.texts: dict[str, list[str]] = {}  # of conditions, by what they are called

    def program(self) -> Program:
        energy = self.energy
        kept_sets = self._kept_sets()
        self._add("energy", self._energy)
        for kept in kept_sets:
            self._add(f"free_energy_of_{_joined(kept)}", partial(self._free_energy, kept))
        for layer in self.summable:
            self._add(f"mean_of_{layer.name}", partial(self._mean, layer))
            self._add(f"sample_of_{layer.name}", partial(self.sample, layer))
        for kept in kept_sets:
            self._add(f"phase_of_{_joined(kept)}", partial(self.phase, kept))
            summed = self._rest(kept)
            if len(summed) == 1:
                self._add(f"phase_and_sample_of_{_joined(kept)}", partial(self._phase_and_sample, kept, *summed))
        self._add("log_partition", self._log_partition)
        return Program(
            energy=self.text,
            layers={name: layer.unit for name, layer in energy.layers.items()},
            visible=tuple(layer.name for layer in energy.visible),
            hidden=tuple(layer.name for layer in energy.hidden),
            given=tuple(layer.name for layer in energy.given),
            parameters={name: tuple(x.name for x in p.layers) for name, p in energy.parameters.items()},
            functions=tuple(self.functions),
            refused=self.refused,
            methods=self.methods,
            symmetric=tuple(name for name, parameter in energy.parameters.items() if parameter.symmetric),
            least=_least(energy),
        )

    # Which layers are summed out

    def _rest(self, layers: Iterable[Layer]) -> tuple[Layer, ...]:
        """The layers that are neither among these nor given."""
        layers = tuple(layers)
        return tuple(layer for layer in self.summable if layer not in layers)

    def _separates(self, layers: Iterable[Layer]) -> bool:
        """Whether the layers are independent of each other, given the rest, and their units too."""
        key = frozenset(layers)
        if key not in self._separable:
            try:
                separate(self.energy.function, tuple(layer for layer in self.summable if layer in key))
            except NotSeparableError:
                self._separable[key] = False
            else:
                self._separable[key] = True
        return self._separable[key]

    def _kept_sets(self) -> list[tuple[Layer, ...]]:
        """The sets of layers that functions are generated for which sum all others out: each all but one, the visible
        ones, and where several can be summed out at once, those that leave one layer or as few as there must be."""
        found = dict.fromkeys(self._rest([layer]) for layer in self.summable)
        if self.energy.hidden:
            found[self.energy.visible] = None
        for layer in self.summable:
            most = [layer]
            for other in self.summable:
                if other not in most and self._separates([*most, other]):
                    most.append(other)
            for summed in (most, self._rest([layer])):
                if len(summed) > 1 and self._separates(summed):
                    found[self._rest(summed)] = None
        return [kept for kept in found if kept]

    def _in_closed_form(self, layers: Sequence[Layer]) -> tuple[Layer, ...]:
        """Of the layers, as many as are independent given the rest, hidden ones first; the others are enumerated.

        Raises:
            NotSeparableError: layers whose states cannot be listed would be among the others.
        """
        endless = tuple(layer for layer in layers if not lookup(layer.unit).is_finite)
        chosen = independent_layers(self.energy.function, layers, endless, self.energy.hidden)
        if chosen is None:
            units = ", ".join(f"{layer.name} ({lookup(layer.unit).domain})" for layer in endless)
            raise NotSeparableError(
                f"the sum over the layers {', '.join(layer.name for layer in layers)} has no closed form, and the "
                f"states of the following cannot be listed one by one: {units}. Estimate it from samples, for instance "
                "by annealed importance sampling, or take a model in which these layers are independent given layers "
                "of finitely many states."
            )
        return chosen

    # The list of functions

    def _add(self, name: str, write: Callable[[], Function]) -> None:
        try:
            function = write()
        except SymbolicError as error:
            if name == "energy":
                raise
            self.refused[name] = str(error)
            return
        nodes = (*(node for _, node in function.outputs), *(condition.node for condition in function.conditions))
        roots = optimise(nodes, self.memos)
        outputs = tuple((n, root) for (n, _), root in zip(function.outputs, roots, strict=False))
        left = zip(function.conditions, roots[len(outputs) :], strict=True)
        conditions = tuple(replace(condition, node=root) for condition, root in left)
        used = {node.name for node in walk(*roots) if isinstance(node, Load)}
        used |= self._needed_for_shape(roots, name)
        states = tuple(n for n in self.energy.layers if n in used)
        weights = (ROW_WEIGHTS,) if ROW_WEIGHTS in used else ()
        parameters = tuple(n for n in self.energy.parameters if n in used)
        random = ("key", "first_row") if function.draws else ()
        sizes = tuple(size for n in self.energy.layers if (size := f"n_{n}") in used)
        arguments = (*states, *weights, *random, *parameters, *sizes)
        self.functions.append(replace(function, outputs=outputs, conditions=conditions, arguments=arguments))

    def _needed_for_shape(self, roots: tuple[Node, ...], name: str) -> set[str]:
        """Arguments that only tell how long an axis is: an array that has it, or where there is none, a number."""
        nodes = walk(*roots)
        known = {axis.layer or axis.name for node in nodes if isinstance(node, Load) for axis in node.axes}
        axes = {axis for node in nodes for axis in node.axes if not axis.length}
        wanted = {axis.layer or axis.name for axis in axes} - {CONFIGURATION.name}
        wanted |= {node.layer for node in nodes if isinstance(node, (Size, Configurations))}
        names: set[str] = set()
        for missing in sorted(wanted - known):
            if missing == ROW.name:
                drawn = name.removeprefix("sample_of_").removeprefix("mean_of_")
                others = [layer for layer in self.energy.layers if layer != drawn]
                names.add((others or [drawn])[0])
                continue
            for parameter in self.energy.parameters.values():
                if missing in (layer.name for layer in parameter.layers):
                    names.add(parameter.name)
                    break
            else:
                names.add(f"n_{missing}")
        return names

    def _free(self, layer: Layer) -> dict[Index, Axis]:
        return self.lowering.axes_of((self.energy.unit_state(layer).index,))

    def _conditions(self, found: Iterable[Expr], summed: Sequence[Layer]) -> tuple[Condition, ...]:
        """The conditions of derivations, each once."""
        conditions = []
        for expression in dict.fromkeys(found):
            indices = sorted((s for s in expression.free_symbols if isinstance(s, Index)), key=lambda i: i.name)
            layer = indices[0].layer if indices else summed[0]
            what = lookup(layer.unit).held_by or "condition"
            free = {c: Configuration(c.layer) for c in expression.free_symbols if isinstance(c, Configuration)}
            of = f"{'a' if what == 'condition' else 'the'} {what} of the {layer.unit} units of layer {layer.name}"
            text = f"{expression.xreplace(free)}, {of}"
            parameters = " or ".join(sorted(p.name for p in expression.atoms(Parameter)))
            node = self.lowering.lower(expression, self.lowering.axes_of(tuple(indices)))
            texts = self.texts.setdefault(f"{what}_of_{layer.name}".upper(), [])
            if text not in texts:
                texts.append(text)
            number = f"_{texts.index(text) + 1}" if texts[0] != text else ""
            conditions.append(Condition(f"{what}_of_{layer.name}".upper() + number, text, parameters, node))
        return tuple(conditions)

    # One function each

    def _energy(self) -> Function:
        expression = self.energy.expression
        node = self.lowering.spread(self.lowering.lower(expression), (ROW,))
        return Function("energy", "Energy of each row.", (self.text,), (("energy", node),))

    def _free_energy(self, kept: tuple[Layer, ...]) -> Function:
        name, summed = f"free_energy_of_{_joined(kept)}", self._rest(kept)
        try:
            derivation = free_energy(self.energy, kept)
            subject, result, found = derivation.subject, derivation.result, derivation.conditions
        except NotSeparableError:
            if kept != self.energy.visible:
                raise
            subject = FreeEnergy(self.energy.function, *map(Configuration, (*kept, *self.energy.given)))
            result, found = self._enumerated(summed, kept)
            self.methods[name] = ENUMERATION
        node = self.lowering.spread(self.lowering.lower(result), (ROW,))
        return Function(
            name,
            f"Free energy of each row, with {_layers(summed)} summed out.",
            (f"{subject} = {self.shown(factored(result))}",),
            (("free_energy", node),),
            conditions=self._conditions(found, summed),
        )

    def _enumerated(self, layers: tuple[Layer, ...], kept: tuple[Layer, ...]) -> tuple[Expr, tuple[Expr, ...]]:
        """−ln Σ e^{−E} over layers of which some are summed in closed form and the rest is enumerated, and the
        conditions of the former."""
        chosen = self._in_closed_form(layers)
        function = self.energy.function
        listed = tuple(layer for layer in layers if layer not in chosen)
        labels = {Configuration(layer): function.bound(layer) for layer in listed}
        if not chosen:
            return -log(ConfigSum(exp(-function(*labels.values())), *labels.values())), ()
        derivation = free_energy(self.energy, tuple(x for x in self.summable if x in kept or x in listed))
        found = tuple(condition.xreplace(labels) for condition in derivation.conditions)
        if not listed:
            return derivation.result, found
        return -log(ConfigSum(exp(-derivation.result.xreplace(labels)), *labels.values())), found

    def _mean(self, layer: Layer) -> Function:
        if not lookup(layer.unit).has_mean:
            raise LoweringError(f"the mean of the {layer.unit} units of layer {layer.name} says nothing of them.")
        derivation, free = self._conditional(f"mean_of_{layer.name}", layer), self._free(layer)
        for axis in axes_of([layer]).values():
            free |= self.lowering.axes_of(self.energy.index_of[axis])
        node = self.lowering.spread(self.lowering.lower(derivation.mean, free), (ROW, *free.values()))
        rest = "all other units" if self._is_tied(layer) else "the rest"
        return Function(
            f"mean_of_{layer.name}",
            f"Mean of each unit of layer {layer.name}, given {rest} of its row.",
            (f"{_mean_of(derivation)} = {self.shown(factored(derivation.mean))}",),
            ((f"mean_{layer.name}", node),),
            conditions=self._conditions(derivation.conditions, (layer,)),
        )

    def _conditional(self, name: str, layer: Layer) -> Derivation:
        derivation = self.conditional(layer)
        if self._is_tied(layer):
            self.methods[name] = derivation.method
        return derivation

    def _is_tied(self, layer: Layer) -> bool:
        """Whether the distribution of a unit depends on other units of its layer.

        A term that singles out a unit keeps the layer from being summed out, but ties nothing.
        """
        if self.conditional(layer).method == CLOSED:
            return False
        potential = single_out(self.energy.function, self.energy.unit_state(layer)).unit_potential
        terms = potential(self.energy.unit_state(layer)).terms
        return any(Configuration(layer) in part.free_symbols | coefficient.free_symbols for part, coefficient in terms)

    def _sample(self, layer: Layer) -> Function:
        derivation, free = self._conditional(f"sample_of_{layer.name}", layer), self._free(layer)
        one_by_one = self._is_tied(layer)
        if one_by_one and axes_of([layer]):
            raise LoweringError(
                f"the units of layer {layer.name} depend on each other, and no code is generated that draws "
                f"{layer.unit} units one by one."
            )
        unit, state = lookup(layer.unit), self.energy.unit_state(layer)
        if unit.sampler is not None and unit.sampler.name == "two_states":
            node = self.lowering.draw(derivation.mean, layer, free)
            formula = f"drawn with mean {_mean_of(derivation)} = {self.shown(factored(derivation.mean))}"
        else:
            function = self.energy.function
            alone = derivation.method == SINGLE_SITE
            separation = single_out(function, state) if alone else separate(function, layer, free=True)
            sampler = unit.sampler_of(separation.unit_potential(state))
            if sampler is None:
                raise LoweringError(
                    f"the {unit.name} units of layer {layer.name} have no sampler; give their row in the table of "
                    "units one (symbolic.units.Sampler)."
                )
            arguments = sampler.arguments(separation.unit_potential(state))
            node = self.lowering.sample(sampler.name, arguments, free)
            formula = f"{state} drawn from {sampler.name}({', '.join(map(self.shown, map(factored, arguments)))})"
        purpose = f"Random states of layer {layer.name}, given the rest of each row."
        if one_by_one:
            purpose = f"Random states of layer {layer.name}, unit by unit, each given all others as they are by then."
        return Function(
            f"sample_of_{layer.name}",
            purpose,
            (formula,),
            ((f"state_{layer.name}", node),),
            conditions=self._conditions(derivation.conditions, (layer,)),
            sweep=layer.name if one_by_one else "",
        )

    def _phase(self, kept: tuple[Layer, ...]) -> Function:
        formulas, outputs, summed = [], [], self._rest(kept)
        for parameter in self.energy.parameters.values():
            entry = self.energy.entry(parameter)
            derivation = self.phases(entry, kept)
            free = self.lowering.axes_of(entry.indices)
            node = self.lowering.over_rows(derivation.result, free)
            if parameter.symmetric:  # the derivation is for two different units; a unit is not tied to itself
                apart = self.lowering.lower(1 - Delta(*entry.indices), free)
                node = Map(node.axes, "mul", (node, apart))
            outputs.append((parameter.name, node))
            formulas.append(
                f"{parameter.name}: {self.shown(derivation.subject)} = {self.shown(factored(derivation.result))}"
            )
        found = free_energy(self.energy, kept).conditions
        return Function(
            f"phase_of_{_joined(kept)}",
            f"Weighted sum over rows of <-dE/dtheta>, {_layers(summed)} averaged, for each parameter theta.",
            tuple(formulas),
            tuple(outputs),
            phases=tuple(self.energy.parameters),
            conditions=self._conditions(found, summed),
        )

    def _phase_and_sample(self, kept: tuple[Layer, ...], summed: Layer) -> Function:
        phase, sample = self.phase(kept), self.sample(summed)
        if sample.sweep:
            raise NotSeparableError(f"the units of layer {summed.name} are drawn one by one.")
        return Function(
            f"phase_and_sample_of_{_joined(kept)}",
            f"The phase of {_joined(kept)} and random states of layer {summed.name}, from one field.",
            phase.formulas + sample.formulas,
            phase.outputs + sample.outputs,
            phases=phase.phases,
            conditions=phase.conditions + tuple(c for c in sample.conditions if c not in phase.conditions),
        )

    def _log_partition(self) -> Function:
        subject = LogPartition(self.energy.function)
        result, found = self._enumerated(self.summable, ())
        node = self.lowering.lower(-result)
        if any(isinstance(part, Configurations) for part in walk(node)):
            self.methods["log_partition"] = ENUMERATION
        if self.energy.given:
            node = self.lowering.spread(node, (ROW,))
        where = "ln Z of each row" if self.energy.given else "ln Z"
        return Function(
            "log_partition",
            f"{where}, summed over all configurations.",
            (f"{subject} = {self.shown(factored(-result))}",),
            (("log_partition", node),),
            conditions=self._conditions(found, self.summable),
        )


def _least(energy: Energy) -> dict[str, int]:
    """How many units each layer has at the least, by the single ones that the energy names."""
    found: dict[str, int] = {}
    for node in energy.expression.atoms(State, Entry):
        layers = node.parameter.layers if isinstance(node, Entry) else (node.layer,)
        indices = node.indices if isinstance(node, Entry) else (node.index,)
        for layer, index in zip(layers, indices, strict=True):
            if index.is_Integer and layer.name in energy.layers:
                found[layer.name] = max(found.get(layer.name, 0), int(index) + 1)
    return dict(sorted(found.items()))


def _mean_of(derivation: Derivation) -> str:
    if derivation.method == SINGLE_SITE:
        return f"<{derivation['one unit'].subject.state}>_rest"
    return str(derivation["mean"].subject)


def _joined(layers: Iterable[Layer]) -> str:
    return "_".join(layer.name for layer in layers)


def _layers(layers: Sequence[Layer]) -> str:
    names = [layer.name for layer in layers]
    if len(names) == 1:
        return f"layer {names[0]}"
    return f"layers {', '.join(names[:-1])} and {names[-1]}"
