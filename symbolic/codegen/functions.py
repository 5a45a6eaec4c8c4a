"""Which functions an energy gives: derive each, lower it, and say what the generated function takes and returns.

The list does not depend on the target. A function whose closed form does not exist (a layer whose units are
tied together) is left out, and the reason kept for whoever asks for it.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from symbolic.codegen.ir import Axis, Draw, Load, Node, walk
from symbolic.codegen.lower import ROW, ROW_WEIGHTS, Lowering, LoweringError
from symbolic.codegen.passes import optimise
from symbolic.derivation.marginal import free_energy, phase
from symbolic.errors import NotSeparableError, SymbolicError
from symbolic.language.energy import Energy
from symbolic.language.layers import Index, Layer
from symbolic.language.probability import LogPartition

__all__ = ["ARGUMENTS", "RESERVED", "SERVED_UNITS", "Function", "Program", "program"]

_BODIES = """
    FUSED LogSumExp configurations diagonal draw einsum exp exponent first_row key len log log2cosh namespace njit np
    repeated row_streams row_weights sigmoid softplus sqrt streams tanh total uniform xp
"""
_METHODS = "layer of parameter rng self states v_model x"

# What the bodies of generated functions refer to, and the arguments they add.
RESERVED = frozenset(_BODIES.split())
# Units whose sums, means and draws the targets know.
SERVED_UNITS = ("binary", "spin")
# Arguments of the methods of Kernels, beside which parameters are passed by name.
ARGUMENTS = frozenset(_METHODS.split())


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
    """

    name: str
    purpose: str
    formulas: tuple[str, ...]
    outputs: tuple[tuple[str, Node], ...]
    phases: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    @property
    def draws(self) -> bool:
        return any(isinstance(node, Draw) for node in walk(*(node for _, node in self.outputs)))


@dataclass(frozen=True)
class Program:
    """Everything a target needs to print a module.

    Attributes:
        energy: the energy as text.
        layers: unit by layer, visible layers first.
        visible, hidden: names of the layers.
        parameters: for each parameter the layers of its axes.
        functions: in the order of the module.
        refused: by function name, why there is none.
    """

    energy: str
    layers: dict[str, str]
    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    parameters: dict[str, tuple[str, ...]]
    functions: tuple[Function, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)


def program(energy: Energy) -> Program:
    """All functions of an energy.

    Raises:
        LoweringError: an expression or a layer's unit has no counterpart in generated code, or a name of the energy is
            one that the generated functions need for themselves.
    """
    names = [*energy.layers, *energy.parameters]
    clash = [name for name in names if name in RESERVED or keyword.iskeyword(name)]
    clash += [name for name in energy.parameters if name in ARGUMENTS]
    if clash:
        raise LoweringError(f"the name {clash[0]} has a meaning of its own in generated code; choose another.")
    for layer in energy.layers.values():
        if layer.unit not in SERVED_UNITS:
            raise LoweringError(
                f"layer {layer.name} has {layer.unit} units, for which no code is generated; there is code for "
                f"{' and '.join(SERVED_UNITS)} units."
            )
    if energy.given:
        raise LoweringError(f"layer {energy.given[0].name} is given; no code is generated for conditional models.")
    return _Writer(energy).program()


class _Writer:
    def __init__(self, energy: Energy):
        self.energy = energy
        self.lowering = Lowering(energy)
        self.conditional = cache(energy.conditional)
        self.phases = cache(partial(phase, energy))
        # What two functions of the module have in common is derived and lowered once.
        self.sample, self.phase = cache(self._sample), cache(self._phase)
        self.memos: dict[Any, dict[Node, Node]] = {}
        self.functions: list[Function] = []
        self.refused: dict[str, str] = {}

    def program(self) -> Program:
        energy = self.energy
        self._add("energy", self._energy)
        for summed in energy.layers.values():
            kept = tuple(layer for layer in energy.layers.values() if layer != summed)
            if kept:
                self._add(f"free_energy_of_{_joined(kept)}", partial(self._free_energy, kept, summed))
        for layer in energy.layers.values():
            self._add(f"mean_of_{layer.name}", partial(self._mean, layer))
            self._add(f"sample_of_{layer.name}", partial(self.sample, layer))
        for summed in energy.layers.values():
            kept = tuple(layer for layer in energy.layers.values() if layer != summed)
            if kept:
                self._add(f"phase_of_{_joined(kept)}", partial(self.phase, kept, summed))
                self._add(f"phase_and_sample_of_{_joined(kept)}", partial(self._phase_and_sample, kept, summed))
        self._add("log_partition", self._log_partition)
        return Program(
            energy=f"E({', '.join(energy.layers)}) = {energy.expression}",
            layers={name: layer.unit for name, layer in energy.layers.items()},
            visible=tuple(layer.name for layer in energy.visible),
            hidden=tuple(layer.name for layer in energy.hidden),
            parameters={name: tuple(x.name for x in p.layers) for name, p in energy.parameters.items()},
            functions=tuple(self.functions),
            refused=self.refused,
        )

    def _add(self, name: str, write: Callable[[], Function]) -> None:
        try:
            function = write()
        except SymbolicError as error:
            if name == "energy":
                raise
            self.refused[name] = str(error)
            return
        roots = optimise(tuple(node for _, node in function.outputs), self.memos)
        outputs = tuple((n, root) for (n, _), root in zip(function.outputs, roots, strict=True))
        used = {node.name for node in walk(*roots) if isinstance(node, Load)}
        used |= self._needed_for_shape(roots)
        states = tuple(n for n in self.energy.layers if n in used)
        weights = (ROW_WEIGHTS,) if ROW_WEIGHTS in used else ()
        parameters = tuple(n for n in self.energy.parameters if n in used)
        random = ("key", "first_row") if any(isinstance(n, Draw) for n in walk(*roots)) else ()
        self.functions.append(
            Function(
                name,
                function.purpose,
                function.formulas,
                outputs,
                function.phases,
                (*states, *weights, *random, *parameters),
            )
        )

    def _needed_for_shape(self, roots: tuple[Node, ...]) -> set[str]:
        """Arguments that only tell how long an axis is."""
        loads = [node for node in walk(*roots) if isinstance(node, Load)]
        known = {axis.layer or axis.name for node in loads for axis in node.axes}
        wanted = {axis.layer or axis.name for node in walk(*roots) for axis in node.axes}
        names: set[str] = set()
        for missing in wanted - known:
            if missing == ROW.name:
                names.add(next(iter(self.energy.layers)))
            elif missing in self.energy.layers:
                for parameter in self.energy.parameters.values():
                    if missing in (layer.name for layer in parameter.layers):
                        names.add(parameter.name)
                        break
                else:
                    raise LoweringError(
                        f"no parameter has an axis over layer {missing}, so its number of units is unknown."
                    )
        return names

    def _free(self, layer: Layer) -> dict[Index, Axis]:
        return self.lowering.axes_of((self.energy.unit_state(layer).index,))

    def _energy(self) -> Function:
        expression = self.energy.expression
        node = self.lowering.spread(self.lowering.lower(expression), (ROW,))
        formula = f"E({', '.join(self.energy.layers)}) = {expression}"
        return Function("energy", "Energy of each row.", (formula,), (("energy", node),))

    def _free_energy(self, kept: tuple[Layer, ...], summed: Layer) -> Function:
        derivation = free_energy(self.energy, kept)
        node = self.lowering.spread(self.lowering.lower(derivation.result), (ROW,))
        return Function(
            f"free_energy_of_{_joined(kept)}",
            f"Free energy of each row, with layer {summed.name} summed out.",
            (f"{derivation.subject} = {derivation.result}",),
            (("free_energy", node),),
        )

    def _mean(self, layer: Layer) -> Function:
        derivation, free = self.conditional(layer), self._free(layer)
        node = self.lowering.spread(self.lowering.lower(derivation.mean, free), (ROW, *free.values()))
        return Function(
            f"mean_of_{layer.name}",
            f"Mean of each unit of layer {layer.name}, given the rest of its row.",
            (f"{derivation['mean'].subject} = {derivation.mean}",),
            ((f"mean_{layer.name}", node),),
        )

    def _sample(self, layer: Layer) -> Function:
        derivation, free = self.conditional(layer), self._free(layer)
        return Function(
            f"sample_of_{layer.name}",
            f"Random states of layer {layer.name}, given the rest of each row.",
            (f"drawn with mean {derivation['mean'].subject} = {derivation.mean}",),
            ((f"state_{layer.name}", self.lowering.draw(derivation.mean, layer, free)),),
        )

    def _phase(self, kept: tuple[Layer, ...], summed: Layer) -> Function:
        formulas, outputs = [], []
        for parameter in self.energy.parameters.values():
            entry = self.energy.entry(parameter)
            derivation = self.phases(entry, kept)
            free = self.lowering.axes_of(entry.indices)
            outputs.append((parameter.name, self.lowering.over_rows(derivation.result, free)))
            formulas.append(f"{parameter.name}: {derivation.subject} = {derivation.result}")
        return Function(
            f"phase_of_{_joined(kept)}",
            f"Weighted sum over rows of <-dE/dtheta>, layer {summed.name} averaged, for each parameter theta.",
            tuple(formulas),
            tuple(outputs),
            phases=tuple(self.energy.parameters),
        )

    def _phase_and_sample(self, kept: tuple[Layer, ...], summed: Layer) -> Function:
        phase, sample = self.phase(kept, summed), self.sample(summed)
        return Function(
            f"phase_and_sample_of_{_joined(kept)}",
            f"The phase of {_joined(kept)} and random states of layer {summed.name}, from one field.",
            phase.formulas + sample.formulas,
            phase.outputs + sample.outputs,
            phases=phase.phases,
        )

    def _log_partition(self) -> Function:
        try:
            derivation = self.energy.log_partition()
            subject, result = derivation.subject, derivation.result
        except NotSeparableError:
            subject = LogPartition(self.energy.function)
            result = subject.definition()
        node = self.lowering.lower(result)
        return Function(
            "log_partition",
            "ln Z, summed over all configurations.",
            (f"{subject} = {result}",),
            (("log_partition", node),),
        )


def _joined(layers: tuple[Layer, ...]) -> str:
    return "_".join(layer.name for layer in layers)
