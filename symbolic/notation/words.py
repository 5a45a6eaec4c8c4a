"""What stands beside the lines of a derivation: rules for integrals, conditions, base measures and the method."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from sympy import Expr

from symbolic.language.binders import BaseMeasure, ConfigSum, UnitSum
from symbolic.language.layers import Configuration, Index, Layer
from symbolic.notation.tree import EQUALS, Setting, row
from symbolic.notation.typeset import conditions, typeset
from symbolic.units import Interval, lookup

if TYPE_CHECKING:
    from symbolic.derivation.trace import Derivation, Step

__all__ = ["Phrase", "atoms", "base_measures", "condition", "kind", "measure", "name_and_hint", "notes", "way"]

Phrase: TypeAlias = "tuple[str | Setting, ...]"
"""Words and formulas in a row."""

# Rules that speak of sums, where what they do to the line is an integral. An empty name is the rule's own.
_OF_INTEGRALS = {
    "definition": ("", "density = Boltzmann weight ÷ the integral of all"),
    "define_free_energy": ("", "F = −ln ∫ e^(−E) over the layers not given"),
    "define_log_partition": ("", "ln Z = ln ∫ e^(−E) over all configurations"),
    "define_site": ("", "the Boltzmann weight of one state ÷ the integral over the unit's states"),
    "distribute": ("Integral of a product", "the units are independent: ∫ Π f = Π ∫ f"),
    "hidden_in_closed_form": ("Integrate out one layer", "∫ e^(−E) over a layer = e^(−F)"),
    "mean_of_unit": ("", "⟨h⟩ = ∫ h p(h) dh"),
    "name_expectation": ("", "∫ p(x) f(x) dx = ⟨f⟩"),
    "recognise_probability": ("Recognise the density", "Boltzmann weight ÷ the integral of all = density"),
    "unit_log_partition": ("Integral over the states", "ln ∫ e^φ over one unit's states, its log-partition Γ"),
    "unit_normaliser": ("Integral over the states", "e^φ ÷ ∫ e^φ = e^(φ − Γ), Γ the unit's log-partition"),
}

_WAYS = {
    "single-site": "Each unit is taken given all other units, those of its own layer too (method: single-site).",
    "enumeration": "The sum over the configurations is left as it is (method: enumeration).",
}


_NAMED_AFTER_PEOPLE = {
    "gaussian": "Gaussian",
    "heisenberg": "Heisenberg",
    "poisson": "Poisson",
    "von_mises": "von Mises",
}


def kind(unit: str) -> str:
    """Return a unit's name as it stands in a sentence, as in "Gaussian units"."""
    return _NAMED_AFTER_PEOPLE.get(unit, unit.replace("_", " "))


def name_and_hint(step: Step) -> tuple[str, str]:
    """Return the rule's name and its hint, in words for integrals if the step sums over real numbers only."""
    name, hint = _OF_INTEGRALS.get(step.rule, ("", ""))
    if not hint or not _integrates(step):
        return step.name, step.hint
    return name or step.name, hint


def _integrates(step: Step) -> bool:
    layers = set(_summed((step.focus_before, step.focus_after)))
    return bool(layers) and all(lookup(layer.unit).is_continuous for layer in layers)


def _summed(lines: Iterable[Expr]) -> Iterable[Layer]:
    for line in lines:
        for total in line.atoms(ConfigSum):
            yield from (configuration.layer for configuration in total.configurations)
        yield from (total.state.layer for total in line.atoms(UnitSum))


def condition(step: Step, layers: Iterable[Layer]) -> Phrase:
    """Return the condition under which the step holds, as "q_j > 0 for every j"; empty if it always does."""
    if not step.conditions:
        return ()
    layers = tuple(layers)
    present = step.before.free_symbols | step.after.free_symbols
    free = {symbol for positive in step.conditions for symbol in positive.free_symbols} - present
    every = sorted((s for s in free if isinstance(s, (Index, Configuration))), key=lambda s: (s.is_Atom, str(s)))
    parts: list[str | Setting] = [conditions(step.conditions, layers=layers)]
    for position, symbol in enumerate(every):
        parts += [" for every " if position == 0 else " and ", typeset(symbol, layers=layers)]
    return tuple(parts)


def measure(layer: Layer, index: Index) -> Setting:
    """Return μ(h_j) = …, the weight with which sums count the states of a layer's units."""
    base = lookup(layer.unit).base
    assert base is not None
    state = layer[index]
    return row(typeset(BaseMeasure(state)), EQUALS, typeset(base(state)))


def atoms(layer: Layer) -> str:
    """Say what μ is in integrals that give single states a weight of their own; empty for other layers."""
    domain = lookup(layer.unit).domain
    found = domain.atoms if isinstance(domain, Interval) else ()
    if not found:
        return ""
    return f"In integrals over layer {layer.name}, μ is length, and the state {' or '.join(map(str, found))} weighs 1"


def notes(derivation: Derivation) -> tuple[Phrase, ...]:
    """Return what is said below a derivation, the method and the weights of states, one phrase per line."""
    said: list[Phrase] = [(way(derivation),)] if way(derivation) else []
    said += [("where ", shown, " is the weight of a state in every sum") for shown in base_measures(derivation)]
    found = set(_summed(line for branch in derivation.branches for line in branch.lines))
    said += [(atoms(layer),) for layer in derivation.energy.index_of if layer in found and atoms(layer)]
    return tuple(said)


def base_measures(derivation: Derivation) -> tuple[Setting, ...]:
    """Return the base measures that occur in the lines of a derivation, as equations."""
    lines = (line for branch in derivation.branches for line in branch.lines)
    found = set(_summed(lines))
    indices = derivation.energy.index_of
    return tuple(
        measure(layer, indices[layer][0]) for layer in indices if layer in found and lookup(layer.unit).base is not None
    )


def way(derivation: Derivation) -> str:
    """Say in a sentence how the sums were done; empty for closed forms."""
    return _WAYS.get(derivation.method, "")
