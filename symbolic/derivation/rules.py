"""The catalogue of rules: what each is called, what it says in a line, and how it rewrites an expression.

A rule's ``match`` looks at one node and returns what the node becomes, or None. Rules know nothing of derivations; a
derivation is a script that says which rules apply in which order (:mod:`~symbolic.derivation.gradient`,
:mod:`~symbolic.derivation.marginal`). Whether a rewriting is true is not taken on a rule's word: the checker
evaluates both lines.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

from sympy import Add, Derivative, Expr, Mul, Pow, Rational, S, Tuple, exp, log
from sympy.core.basic import Basic

from symbolic.derivation.separation import Separation
from symbolic.language.binders import ConfigSum, IndexProduct, IndexSum, UnitSum, called, differentiated
from symbolic.language.expressions import Delta, exponential
from symbolic.language.layers import Configuration, Coordinate, State
from symbolic.language.parameters import Entry
from symbolic.language.probability import (
    EnergyCall,
    EnergyFunction,
    Expectation,
    FreeEnergy,
    LogPartition,
    Probability,
    SiteEnergy,
    SiteProbability,
    UnitProbability,
)
from symbolic.units import lookup

__all__ = ["CATALOGUE", "Context", "Rule"]


@dataclass(frozen=True)
class Context:
    """What a rule may look up: the energy, and how the layer being summed separates into its units."""

    function: EnergyFunction
    separation: Separation | None = None
    closed_form: Expr | None = None


@dataclass(frozen=True)
class Rule:
    """A named rewriting.

    Attributes:
        id: the stable key that traces and files carry.
        name: for people, as it stands in the margin of a slide.
        hint: the rule in one short line.
        match: from a node and the context to what the node becomes, or None.
    """

    id: str
    name: str
    hint: str
    match: Callable[[Expr, Context], Expr | None]


CATALOGUE: dict[str, Rule] = {}


def _rule(id: str, name: str, hint: str) -> Callable[[Callable[[Any, Context], Expr | None]], Rule]:
    def register(match: Callable[[Any, Context], Expr | None]) -> Rule:
        CATALOGUE[id] = Rule(id, name, hint, match)
        return CATALOGUE[id]

    return register


def derivative(expression: Expr, by: Expr) -> Expr:
    """Return ∂ expression / ∂ by, not carried out."""
    return Expr.__new__(Derivative, expression, Tuple(by, S.One))


def places_of_entry(by: Expr) -> tuple[Expr, ...]:
    """Return what must be positive for ``by`` to be an entry of its parameter: 1 − δ_im for i ≠ m in a symmetric one.

    A symmetric parameter couples no unit with itself.
    """
    if not isinstance(by, Entry) or not by.parameter.symmetric:
        return ()
    differ = 1 - Delta(*by.indices)
    return () if differ.is_number else (differ,)


def _derived(node: Expr) -> tuple[Expr, Expr] | None:
    if isinstance(node, Derivative) and len(node.variables) == 1:
        return node.expr, node.variables[0]
    return None


def _numerator_and_denominator(node: Expr) -> tuple[Expr, Expr]:
    """Split a product by the sign of its factors' exponents; unlike ``as_numer_denom`` it looks into no factor."""
    below = [f for f in Mul.make_args(node) if isinstance(f, Pow) and f.exp == -1]
    above = [f for f in Mul.make_args(node) if f not in below]
    return Mul(*above), Mul(*(f.base for f in below))


# Definitions


@_rule("definition", "Definition", "probability = Boltzmann weight ÷ the sum of all")
def definition(node: Expr, context: Context) -> Expr | None:
    return node.definition() if isinstance(node, Probability) else None


@_rule("define_free_energy", "Definition", "F = −ln Σ e^(−E) over the layers not given")
def define_free_energy(node: Expr, context: Context) -> Expr | None:
    return node.definition() if isinstance(node, FreeEnergy) else None


@_rule("define_log_partition", "Definition", "ln Z = ln Σ e^(−E) over all configurations")
def define_log_partition(node: Expr, context: Context) -> Expr | None:
    return node.definition() if isinstance(node, LogPartition) else None


# The gradient of ln p(v)


@_rule("log_quotient", "Logarithm of a quotient", "ln (f / g) = ln f − ln g")
def log_quotient(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, log):
        return None
    above, below = _numerator_and_denominator(node.args[0])
    return None if below == 1 else log(above) - log(below)


@_rule("linearity", "Difference rule", "∂(f − g) = ∂f − ∂g")
def linearity(node: Expr, context: Context) -> Expr | None:
    found = _derived(node)
    if found is None or not isinstance(found[0], Add):
        return None
    terms = (term.as_coeff_Mul() for term in found[0].args)
    return Add(*(coefficient * derivative(rest, found[1]) for coefficient, rest in terms))


@_rule("log_derivative", "Derivative of ln", "∂ ln f = (1 / f) · ∂f")
def log_derivative(node: Expr, context: Context) -> Expr | None:
    found = _derived(node)
    if found is None or not isinstance(found[0], log):
        return None
    inner = found[0].args[0]
    return derivative(inner, found[1]) / inner


@_rule("interchange", "Derivative under the sum", "∂ Σ f = Σ ∂f for a finite sum")
def interchange(node: Expr, context: Context) -> Expr | None:
    found = _derived(node)
    if found is None or not isinstance(found[0], ConfigSum):
        return None
    return ConfigSum(derivative(found[0].body, found[1]), *found[0].configurations)


@_rule("interchange_integral", "Derivative under the integral", "∂ ∫ f = ∫ ∂f where the integrals converge")
def interchange_integral(node: Expr, context: Context) -> Expr | None:
    return interchange.match(node, context)


@_rule("exp_chain", "Chain rule of exp", "∂ eᶠ = eᶠ · ∂f")
def exp_chain(node: Expr, context: Context) -> Expr | None:
    found = _derived(node)
    if found is None or not isinstance(found[0], exp):
        return None
    return found[0] * derivative(found[0].args[0], found[1])


@_rule("differentiate_energy", "Differentiate −E", "only the term with this parameter survives")
def differentiate_energy(node: Expr, context: Context) -> Expr | None:
    found = _derived(node)
    if found is None or not found[0].has(EnergyCall):
        return None
    recalled = found[0].xreplace({call: call.definition() for call in found[0].atoms(EnergyCall)})
    return differentiated(recalled, found[1])


@_rule("recognise_probability", "Recognise the probability", "Boltzmann weight ÷ the sum of all = probability")
def recognise_probability(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, Mul):
        return None
    above, below = _numerator_and_denominator(node)
    if not isinstance(below, ConfigSum):
        return None
    for total in Mul.make_args(above):
        if isinstance(total, ConfigSum) and total.configurations == below.configurations:
            weight = below.body
            statistic = Mul(*(f for f in Mul.make_args(total.body) if f != weight))
            call = next(iter(weight.atoms(EnergyCall)), None)
            if call is None or weight not in Mul.make_args(total.body):
                return None
            given = tuple(c for c in call.configurations if c not in below.configurations)
            probability = Probability(call.function, below.configurations, given)
            rest = Mul(*(f for f in Mul.make_args(above) if f is not total))
            return rest * ConfigSum(probability * statistic, *below.configurations)
    return None


@_rule("name_expectation", "Name the expectation", "Σ p(x) f(x) = ⟨f⟩")
def name_expectation(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, ConfigSum):
        return None
    factors = Mul.make_args(node.body)
    for probability in factors:
        if isinstance(probability, Probability) and probability.subject == node.configurations:
            return Expectation(Mul(*(f for f in factors if f is not probability)), probability)
    return None


@_rule("clamped", "Clamped units are constant", "⟨f(v)⟩ᵥ = f(v): there is nothing left to average")
def clamped(node: Expr, context: Context) -> Expr | None:
    if isinstance(node, Expectation) and not node.statistic.free_symbols & set(node.probability.subject):
        return node.statistic
    return None


@_rule("combine", "Put the terms together", "∂ ln p(v) = Term A − Term B")
def combine(node: Expr, context: Context) -> Expr | None:
    return context.closed_form if _derived(node) else None


# Summing a layer out


@_rule("recall_energy", "Recall the energy", "write out −E, one term for each unit that is summed")
def recall_energy(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, exp) or context.separation is None:
        return None
    call = -node.args[0]
    if not isinstance(call, EnergyCall):
        return None
    return exponential(context.separation.collected({c.layer: c for c in call.configurations}))


@_rule("exp_product", "Exponential of a sum", "e^(f + Σ g) = e^f · Π e^g")
def exp_product(node: Expr, context: Context) -> Expr | None:
    separation = context.separation
    if not isinstance(node, exp) or separation is None:
        return None
    found = sorted((s for s in node.free_symbols if isinstance(s, Configuration)), key=str)
    choices = [[c for c in found if c.layer == layer] for layer in separation.layers]
    for chosen in itertools.product(*choices):
        configurations = dict(zip(separation.layers, chosen, strict=True))
        if node.args[0] == separation.collected(configurations):
            return separation.product(configurations)
    return None


@_rule("distribute", "Sum of a product", "the units are independent: Σ Π f = Π Σ f")
def distribute(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, ConfigSum):
        return None
    bound = set(node.configurations)
    result: Expr = S.One
    for factor in Mul.make_args(node.body):
        here = factor.free_symbols & bound
        if not here:
            result *= factor
            continue
        if len(here) != 1 or not isinstance(factor, IndexProduct):
            return None
        (configuration,) = here
        bound -= here
        body, (index,) = factor.open()
        one = Configuration(configuration.layer, _one_unit_label(context))[index]
        result *= IndexProduct(UnitSum(called(body, {configuration[index]: one}), one), index)
    return None if bound else result


def _one_unit_label(context: Context) -> str:
    separation = context.separation
    return "'" if separation is not None and separation.free else ""


@_rule("log_product", "Logarithm of a product", "ln (f · Π g) = ln f + Σ ln g")
def log_product(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, log):
        return None
    total: Expr = S.Zero
    found = False
    for factor in Mul.make_args(node.args[0]):
        if isinstance(factor, IndexProduct):
            body, (index,) = factor.open()
            total += IndexSum(log(body), index)
            found = True
        else:
            total += factor.args[0] if isinstance(factor, exp) else log(factor)
    return total if found else None


@_rule("sum_states", "Sum over the states", "a unit takes each of its states in turn")
def sum_states(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, UnitSum):
        return None
    state = node.state
    unit = lookup(state.layer.unit)
    values = [Rational(*Fraction(value).as_integer_ratio()) for value in unit.states]
    weights = [S.One if unit.base is None else unit.base(value) for value in values]
    terms = zip(values, weights, strict=True)
    return Add(*(weight * node.body.xreplace({state: value}) for value, weight in terms))


@_rule("unit_log_partition", "Sum over the states", "ln Σ e^φ over one unit's states, its log-partition Γ")
def unit_log_partition(node: Expr, context: Context) -> Expr | None:
    separation = context.separation
    if not isinstance(node, log) or not isinstance(node.args[0], UnitSum) or separation is None:
        return None
    state = node.args[0].state
    if state.layer not in separation.layers:
        return None
    # Under a sum over configurations the other layers carry its labels.
    labels = {Configuration(c.layer): c for c in node.free_symbols if isinstance(c, Configuration) and c.label}
    if node.args[0].body != exponential(separation.potential(state).xreplace(labels)):
        return None
    return separation.log_partition(state.index, state.layer).xreplace(labels)


@_rule("unit_normaliser", "Sum over the states", "e^φ ÷ Σ e^φ = e^(φ − Γ), Γ the unit's log-partition")
def unit_normaliser(node: Expr, context: Context) -> Expr | None:
    separation = context.separation
    if not isinstance(node, Mul) or separation is None:
        return None
    above, below = _numerator_and_denominator(node)
    if not isinstance(below, UnitSum) or not isinstance(above, exp):
        return None
    state = below.state
    own = Configuration(state.layer)[state.index]
    if below.body != exponential(separation.unit_potential(own)(state)):
        return None
    return exponential(above.args[0] - separation.log_partition(state.index, state.layer))


@_rule("hidden_in_closed_form", "Sum out one layer", "Σ e^(−E) over a layer = e^(−F)")
def hidden_in_closed_form(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, ConfigSum) or context.separation is None or not isinstance(node.body, exp):
        return None
    summed = [c for c in node.configurations if c.layer in context.separation.layers]
    call = -node.body.args[0]
    if not summed or not isinstance(call, EnergyCall):
        return None
    kept = tuple(c for c in call.configurations if c not in summed)
    return ConfigSum(
        exponential(-FreeEnergy(context.function, *kept)), *(c for c in node.configurations if c not in summed)
    )


@_rule("recall_free_energy", "Recall the free energy", "its closed form, derived above")
def recall_free_energy(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, FreeEnergy) or context.closed_form is None:
        return None
    return context.closed_form.xreplace({Configuration(c.layer): c for c in node.given if c.label})


@_rule("phase_is_free_energy", "The average is −∂F", "⟨−∂E⟩ = ∂ ln Σ e^(−E) = −∂F")
def phase_is_free_energy(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, Expectation) or context.closed_form is None:
        return None
    by = context.closed_form
    given = node.probability.given
    call = context.function(*given, *node.probability.subject)
    if call.force(by) != node.statistic:
        return None
    return -derivative(FreeEnergy(context.function, *given), by)


@_rule("differentiate", "Differentiate", "∂ of the closed form")
def differentiate(node: Expr, context: Context) -> Expr | None:
    found = _derived(node)
    return None if found is None or found[0].has(FreeEnergy) else differentiated(found[0], found[1])


# The conditional of one unit


@_rule("product_of_quotients", "Quotient of products", "Π f ÷ Π g = Π (f ÷ g)")
def product_of_quotients(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, Mul):
        return None
    products: dict[Expr, IndexProduct] = {}
    constant: Expr = S.Zero
    for power in (S.One, S.NegativeOne):
        for factor in Mul.make_args(node):
            if factor.is_Pow and factor.exp == power == -1 and isinstance(factor.base, IndexProduct):
                products[power] = factor.base
            elif power == 1 and isinstance(factor, IndexProduct):
                products[power] = factor
            elif power == 1 and isinstance(factor, exp):
                constant += factor.args[0]
    # What multiplies both products is the same above and below, though SymPy may not have seen it.
    if len(products) != 2 or constant.expand() != 0:
        return None
    top, (index,) = products[S.One].open()
    bottom, (other,) = products[S.NegativeOne].open()
    return IndexProduct(_quotient(top, called(bottom, {other: index})), index)


def _quotient(above: Expr, below: Expr) -> Expr:
    """Return ``above / below``, which SymPy would search for logarithms and zeros in the exponent."""
    if not isinstance(above, exp) or not isinstance(below, UnitSum):
        return above / below
    factors = (above, Pow(below, S.NegativeOne, evaluate=False))
    return Mul._from_args(sorted(factors, key=cmp_to_key(Basic.compare)), True)


@_rule("one_factor", "One factor a unit", "independent units: each factor is one unit's distribution")
def one_factor(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, UnitProbability) or context.closed_form is None:
        return None
    product = context.closed_form
    if not isinstance(product, IndexProduct):
        return None
    body, (index,) = product.open()
    return called(body, {index: node.state.index})


@_rule("mean_of_unit", "Mean of one unit", "⟨h⟩ = Σ h p(h)")
def mean_of_unit(node: Expr, context: Context) -> Expr | None:
    if not isinstance(node, Expectation) or context.closed_form is None:
        return None
    displayed = node.displayed()
    if not isinstance(displayed, (State, Coordinate)):
        return None
    return UnitSum(displayed * context.closed_form, displayed.state if isinstance(displayed, Coordinate) else displayed)


@_rule("name_mean", "Name the mean", "the derivative Γ′ of the unit's log-partition")
def name_mean(node: Expr, context: Context) -> Expr | None:
    return context.closed_form


# One unit given all others, those of its layer too


@_rule("define_site", "Definition", "the Boltzmann weight of one state ÷ the sum over the unit's states")
def define_site(node: Expr, context: Context) -> Expr | None:
    return node.definition() if isinstance(node, SiteProbability) else None


@_rule("cancel_rest", "The rest cancels", "terms of −E without the unit's state are the same above and below")
def cancel_rest(node: Expr, context: Context) -> Expr | None:
    separation = context.separation
    if not isinstance(node, Mul) or separation is None:
        return None
    above, below = _numerator_and_denominator(node)
    if not isinstance(below, UnitSum) or not isinstance(above, exp):
        return None
    if not isinstance(-above.args[0], EnergyCall) or not isinstance(-below.body.args[0], SiteEnergy):
        return None
    own = Configuration(below.state.layer)[below.state.index]
    potential = separation.unit_potential(own)
    return _quotient(exponential(potential(own)), UnitSum(exponential(potential(below.state)), below.state))


@_rule("site_mean", "Recall the conditional", "its form, derived above")
def site_mean(node: Expr, context: Context) -> Expr | None:
    return context.closed_form if isinstance(node, SiteProbability) else None
