"""Summing layers out: free energy, conditionals, phases and ln Z in closed form, and what to do where there is none.

The steps are those by which Fischer and Igel, "An Introduction to Restricted Boltzmann Machines" (CIARP 2012), sum the
hidden units of an RBM out, written for any layers that separate into independent units given the rest.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

from sympy import Expr

from symbolic.derivation import rules
from symbolic.derivation.rules import Context, Rule
from symbolic.derivation.separation import Separation, independent_layers, separate, single_out
from symbolic.derivation.trace import Derivation, Trace
from symbolic.errors import NotSeparableError, SymbolicError
from symbolic.language.binders import ConfigSum, UnitSum
from symbolic.language.energy import Energy
from symbolic.language.expressions import exponential
from symbolic.language.layers import Configuration, Layer, coordinate
from symbolic.language.parameters import Entry
from symbolic.language.probability import (
    Expectation,
    FreeEnergy,
    LogPartition,
    Probability,
    SiteProbability,
    UnitProbability,
)
from symbolic.units import Finite, lookup

__all__ = ["conditional", "free_energy", "log_partition", "phase"]

CLOSED, SINGLE_SITE, ENUMERATION, AUTO = "closed form", "single-site", "enumeration", "auto"


def _checked_method(method: str, *known: str) -> None:
    if method not in known:
        raise SymbolicError(f"method is one of {', '.join(map(repr, known))}. Got {method!r}.")


def _summed(energy: Energy, kept: tuple[Layer, ...]) -> tuple[Layer, ...]:
    summed = tuple(layer for layer in energy.visible + energy.hidden if layer not in kept)
    if not summed:
        names = ", ".join(layer.name for layer in kept)
        raise NotSeparableError(f"keeping {names} leaves no layer to sum out; name fewer layers to keep.")
    return summed


def _conditions(energy: Energy, separation: Separation) -> tuple[Expr, ...]:
    """Return what must be positive for the units' sums to be finite, in the index that names a unit of each layer."""
    found = (separation.conditions(energy.index_of[layer][0], layer) for layer in separation.layers)
    return tuple(itertools.chain.from_iterable(found))


def _has_few_states(layers: tuple[Layer, ...]) -> bool:
    return all(lookup(layer.unit).has_few_states for layer in layers)


def _is_listed(layer: Layer) -> bool:
    """Return whether a sum over one unit's states is written out state by state."""
    return isinstance(lookup(layer.unit).domain, Finite)


@lru_cache(maxsize=256)
def free_energy(energy: Energy, kept: tuple[Layer, ...], method: str = CLOSED) -> Derivation:
    """Derive F = −ln Σ e^{−E} over the layers that are not kept.

    Raises:
        NotSeparableError: the energy ties two units of these layers together.
        DivergentError: a unit's sum is infinite whatever the parameters.
    """
    _checked_method(method, CLOSED, ENUMERATION, AUTO)
    function = energy.function
    summed = _summed(energy, kept)
    given = (*map(Configuration, kept), *function.inputs)
    subject = FreeEnergy(function, *given)
    if method != ENUMERATION:
        try:
            separation = separate(function, summed)
        except NotSeparableError:
            if method == CLOSED:
                raise
        else:
            trace = Trace("F", subject, Context(function, separation))
            trace.apply(rules.define_free_energy)
            _sum_out(energy, trace, separation)
            return Derivation(energy, "free energy", (trace.branch(),), "F", CLOSED)
    trace = Trace("F", subject, Context(function)).apply(rules.define_free_energy)
    return Derivation(energy, "free energy", (trace.branch(),), "F", ENUMERATION)


def _sum_out(energy: Energy, trace: Trace, separation: Separation) -> None:
    """Lead from ln Σ e^{−E} over the separated layers to its closed form."""
    trace.apply(rules.recall_energy, rules.exp_product, rules.distribute, rules.log_product)
    trace.apply(rules.unit_log_partition, everywhere=True, conditions=_conditions(energy, separation))


@lru_cache(maxsize=256)
def conditional(energy: Energy, layer: Layer, method: str = CLOSED) -> Derivation:
    """Derive p(h_j | v), the distribution of one unit given every other layer, and its mean.

    Raises:
        NotSeparableError: the energy ties two units of the layer together, so they are not independent given the rest.
        DivergentError: a unit's sum is infinite whatever the parameters.
    """
    _checked_method(method, CLOSED, SINGLE_SITE, AUTO)
    if method != SINGLE_SITE:
        try:
            return _conditional(energy, layer)
        except NotSeparableError:
            if method == CLOSED:
                raise
    return _single_site(energy, layer)


def _conditional(energy: Energy, layer: Layer) -> Derivation:
    function = energy.function
    separation = separate(function, layer, free=True)
    context = Context(function, separation)
    conditions = _conditions(energy, separation)
    given = tuple(Configuration(other) for other in energy.layers.values() if other != layer)
    state = energy.unit_state(layer)

    whole = Trace("the layer", Probability(function, (Configuration(layer),), given), context)
    whole.apply(rules.definition)
    whole.apply(rules.recall_energy, rules.exp_product, everywhere=True)
    whole.apply(rules.distribute, rules.product_of_quotients)

    unit_context = Context(function, separation, closed_form=whole.line)
    unit = Trace("one unit", UnitProbability(function, state, given), unit_context)
    unit.apply(rules.one_factor)
    known = unit.line
    _over_states(unit, layer, conditions)
    if not lookup(layer.unit).has_mean:
        return Derivation(energy, "conditional", (whole.branch(), unit.branch()), "one unit", CLOSED)

    bound = function.bound(layer)
    average = Expectation(coordinate(bound[state.index]), Probability(function, (bound,), given))
    mean = Trace("mean", average, Context(function, separation, closed_form=unit.line if _is_listed(layer) else known))
    mean.apply(rules.mean_of_unit)
    _name_mean(mean, separation, layer, state.index, conditions)
    branches = (whole.branch(), unit.branch(), mean.branch())
    return Derivation(energy, "conditional", branches, "one unit", CLOSED)


def _single_site(energy: Energy, layer: Layer) -> Derivation:
    """Derive p(h_j | v, h_{∖j}) from the difference that one unit's state makes to the energy."""
    function = energy.function
    state = energy.unit_state(layer)
    separation = single_out(function, state)
    conditions = _conditions(energy, separation)
    unit = Trace("one unit", SiteProbability(function, state), Context(function, separation))
    unit.apply(rules.define_site, rules.cancel_rest)
    known = unit.line
    _over_states(unit, layer, conditions)
    if not lookup(layer.unit).has_mean:
        return Derivation(energy, "conditional", (unit.branch(),), "one unit", SINGLE_SITE)

    other = Configuration(layer, "''")[state.index]
    potential = separation.unit_potential(state)
    # The potential's coefficients speak of the unit's neighbours, so only its argument changes.
    weight, other_weight = exponential(potential(state)), exponential(potential(other))
    found = unit.line if _is_listed(layer) else known
    # A quotient of exponentials of products would be left as it is.
    closed = found.xreplace({weight: other_weight}) if weight in found.args else other_weight * (found / weight)
    average = UnitSum(coordinate(other) * SiteProbability(function, state, other), other)
    mean = Trace("mean", average, Context(function, separation, closed_form=closed))
    mean.apply(rules.site_mean)
    _name_mean(mean, separation, layer, state.index, conditions)
    return Derivation(energy, "conditional", (unit.branch(), mean.branch()), "one unit", SINGLE_SITE)


def _over_states(trace: Trace, layer: Layer, conditions: tuple[Expr, ...]) -> None:
    rule: Rule = rules.sum_states if _is_listed(layer) else rules.unit_normaliser
    trace.apply(rule, conditions=conditions)


def _name_mean(mean: Trace, separation: Separation, layer: Layer, index: Expr, conditions: tuple[Expr, ...]) -> None:
    if _is_listed(layer):
        mean.apply(rules.sum_states)
    named = separation.mean(index)
    if mean.line != named:
        mean.context = Context(mean.context.function, separation, closed_form=named)
        mean.apply(rules.name_mean, conditions=conditions)


@lru_cache(maxsize=256)
def phase(energy: Energy, by: Entry, kept: tuple[Layer, ...]) -> Derivation:
    """Derive ⟨−∂E/∂θ⟩ given the kept layers, as −∂F/∂θ: the statistic that both phases of learning average.

    Raises:
        NotSeparableError, DivergentError: as :func:`free_energy`.
    """
    function = energy.function
    summed = _summed(energy, kept)
    bound = tuple(map(function.bound, summed))
    free = free_energy(energy, kept)
    given = (*map(Configuration, kept), *function.inputs)
    statistic = function(*bound).force(by)
    subject = Expectation(statistic, Probability(function, bound, given))
    trace = Trace("phase", subject, Context(function, closed_form=by))
    trace.apply(rules.phase_is_free_energy, conditions=rules.places_of_entry(by))
    _recall_free_energy(energy, trace, free)
    trace.apply(rules.differentiate)
    return Derivation(energy, "phase", (trace.branch(),), "phase", CLOSED)


def _recall_free_energy(energy: Energy, trace: Trace, free: Derivation) -> None:
    """Put in the closed form; over many states in two steps, the second about single units, which the checker knows."""
    summed = tuple(layer for layer in energy.visible + energy.hidden if Configuration(layer) not in free.subject.given)
    function, last = energy.function, free.steps[-1]
    if _has_few_states(summed):
        trace.context = Context(function, closed_form=free.result)
        trace.apply(rules.recall_free_energy)
        return
    trace.context = Context(function, separate(function, summed), last.before)
    trace.apply(rules.recall_free_energy)
    if not trace.line.has(ConfigSum):
        trace.repeat(last)
        return
    labels = {Configuration(c.layer): c for total in trace.line.atoms(ConfigSum) for c in total.configurations}
    conditions = tuple(condition.xreplace(labels) for condition in last.conditions)
    trace.apply(rules.unit_log_partition, everywhere=True, conditions=conditions)


@lru_cache(maxsize=256)
def log_partition(energy: Energy, method: str = AUTO) -> Derivation:
    """Derive ln Z with some layers summed in closed form and the configurations of the others summed as they are.

    Raises:
        NotSeparableError, DivergentError: as :func:`free_energy`.
    """
    _checked_method(method, CLOSED, ENUMERATION, AUTO)
    function = energy.function
    subject = LogPartition(function)
    summed = _chosen(energy, method)
    conditions = _necessary(energy, summed)
    if not summed:
        trace = Trace("ln Z", subject, Context(function)).apply(rules.define_log_partition, conditions=conditions)
        return Derivation(energy, "log partition", (trace.branch(),), "ln Z", ENUMERATION)
    separation = separate(function, summed)
    trace = Trace("ln Z", subject, Context(function, separation))
    trace.apply(rules.define_log_partition, conditions=conditions)
    kept = tuple(layer for layer in energy.visible + energy.hidden if layer not in summed)
    if kept:
        trace.apply(rules.hidden_in_closed_form)
        _recall_free_energy(energy, trace, free_energy(energy, kept))
    else:
        _sum_out(energy, trace, separation)
    return Derivation(energy, "log partition", (trace.branch(),), "ln Z", CLOSED)


def _necessary(energy: Energy, summed: tuple[Layer, ...]) -> tuple[Expr, ...]:
    """Return what units with infinitely many states need, whatever the rest does, for Z to be finite.

    These are the conditions of layers that are not summed in closed form; those of the others come with that step.

    Raises:
        DivergentError: one of them has it for no parameters.
    """
    found: dict[Expr, None] = {}
    for layer in energy.visible + energy.hidden:
        if lookup(layer.unit).is_finite or layer in summed:
            continue
        separation = single_out(energy.function, energy.unit_state(layer))
        found |= dict.fromkeys(separation.conditions(energy.index_of[layer][0]))
    every = {Configuration(layer): energy.function.bound(layer) for layer in energy.visible + energy.hidden}
    return tuple(condition.xreplace(every) for condition in found)


def _chosen(energy: Energy, method: str) -> tuple[Layer, ...]:
    """Return the layers to sum in closed form: as many as are independent given the rest, hidden ones first."""
    if method == ENUMERATION:
        return ()
    if method == CLOSED:
        separate(energy.function, _summed(energy, energy.visible))
        return energy.hidden
    return independent_layers(energy.function, energy.visible + energy.hidden, preferred=energy.hidden) or ()
