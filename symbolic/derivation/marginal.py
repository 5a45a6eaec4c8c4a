"""Summing a layer out: free energy, conditionals, the phases of learning and ln Z in closed form.

The steps are those by which Fischer and Igel, "An Introduction to Restricted Boltzmann Machines" (CIARP 2012), sum the
hidden units of an RBM out, written for any layer that separates into independent units.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from symbolic.derivation import rules
from symbolic.derivation.rules import Context
from symbolic.derivation.separation import separate
from symbolic.derivation.trace import Derivation, Trace
from symbolic.errors import NotSeparableError
from symbolic.language.layers import Configuration, Entry, Layer
from symbolic.language.probability import (
    Expectation,
    FreeEnergy,
    LogPartition,
    Probability,
    UnitProbability,
)

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = ["conditional", "free_energy", "log_partition", "phase"]


def _summed_layer(energy: Energy, kept: tuple[Layer, ...]) -> Layer:
    summed = [layer for layer in energy.layers.values() if layer not in kept]
    if len(summed) != 1:
        names = ", ".join(layer.name for layer in summed) or "none"
        raise NotSeparableError(
            f"one layer is summed out at a time; keeping {', '.join(layer.name for layer in kept)} leaves {names}. "
            "Name the layers to keep so that one is left."
        )
    return summed[0]


@lru_cache(maxsize=256)
def free_energy(energy: Energy, kept: tuple[Layer, ...]) -> Derivation:
    """F = −ln Σ e^{−E} over the one layer that is not kept.

    Raises:
        NotSeparableError: the energy ties two units of that layer together, or more than one layer would be summed.
    """
    function = energy.function
    separation = separate(function, _summed_layer(energy, kept))
    context = Context(function, separation)
    trace = Trace("F", FreeEnergy(function, *(Configuration(layer) for layer in kept)), context)
    trace.apply(
        rules.define_free_energy,
        rules.recall_energy,
        rules.exp_product,
        rules.distribute,
        rules.log_product,
        rules.unit_log_partition,
    )
    return Derivation(energy, "free energy", (trace.branch(),), "F")


@lru_cache(maxsize=256)
def conditional(energy: Energy, layer: Layer) -> Derivation:
    """p(h_j | v), the distribution of one unit given every other layer, and its mean.

    Raises:
        NotSeparableError: the energy ties two units of the layer together, so they are not independent given the rest.
    """
    function = energy.function
    separation = separate(function, layer, free=True)
    context = Context(function, separation)
    given = tuple(Configuration(other) for other in energy.layers.values() if other != layer)
    state = energy.unit_state(layer)

    whole = Trace("the layer", Probability(function, (Configuration(layer),), given), context)
    whole.apply(rules.definition)
    whole.apply(rules.recall_energy, rules.exp_product, everywhere=True)
    whole.apply(rules.distribute, rules.product_of_quotients)

    unit_context = Context(function, separation, closed_form=whole.line)
    unit = Trace("one unit", UnitProbability(function, state, given), unit_context)
    unit.apply(rules.one_factor, rules.sum_states)

    bound = function.bound(layer)
    average = Expectation(bound[state.index], Probability(function, (bound,), given))
    mean = Trace("mean", average, Context(function, separation, closed_form=unit.line))
    mean.apply(rules.mean_of_unit, rules.sum_states)
    named = separation.mean(state.index)
    if mean.line != named:
        mean.context = Context(function, separation, closed_form=named)
        mean.apply(rules.name_mean)
    return Derivation(energy, "conditional", (whole.branch(), unit.branch(), mean.branch()), "one unit")


@lru_cache(maxsize=256)
def phase(energy: Energy, by: Entry, kept: tuple[Layer, ...]) -> Derivation:
    """⟨−∂E/∂θ⟩ given the kept layers, as −∂F/∂θ: the statistic that both phases of learning average.

    Raises:
        NotSeparableError: as :func:`free_energy`.
    """
    function = energy.function
    summed = function.bound(_summed_layer(energy, kept))
    closed = free_energy(energy, kept).result
    given = tuple(Configuration(layer) for layer in kept)
    statistic = -function(summed).definition().diff(by)
    subject = Expectation(statistic, Probability(function, (summed,), given))
    trace = Trace("phase", subject, Context(function, closed_form=by)).apply(rules.phase_is_free_energy)
    trace.context = Context(function, closed_form=closed)
    trace.apply(rules.recall_free_energy, rules.differentiate)
    return Derivation(energy, "phase", (trace.branch(),), "phase")


@lru_cache(maxsize=256)
def log_partition(energy: Energy) -> Derivation:
    """ln Z with the last hidden layer (the only one) summed in closed form and the visible configurations summed as
    they are.

    Raises:
        NotSeparableError: as :func:`free_energy`.
    """
    function = energy.function
    closed = free_energy(energy, energy.visible).result
    separation = separate(function, _summed_layer(energy, energy.visible))
    trace = Trace("ln Z", LogPartition(function), Context(function, separation, closed))
    trace.apply(rules.define_log_partition, rules.hidden_in_closed_form, rules.recall_free_energy)
    return Derivation(energy, "log partition", (trace.branch(),), "ln Z")
