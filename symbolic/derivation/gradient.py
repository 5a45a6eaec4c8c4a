"""∂ ln p(v) / ∂θ as Term A − Term B, in the order of the lecture RBM Mathematics (module 11.2)."""

from __future__ import annotations

from functools import lru_cache

from sympy import Add, Expr, log

from symbolic.derivation import rules
from symbolic.derivation.rules import Context, derivative, places_of_entry
from symbolic.derivation.trace import Branch, Derivation, Trace
from symbolic.language.binders import ConfigSum
from symbolic.language.energy import Energy
from symbolic.language.layers import Configuration
from symbolic.language.parameters import Entry
from symbolic.language.probability import Probability
from symbolic.units import lookup

__all__ = ["log_likelihood_gradient"]


@lru_cache(maxsize=256)
def log_likelihood_gradient(energy: Energy, by: Entry) -> Derivation:
    """Derive ∂ ln p(v) / ∂ ``by`` = Term A − Term B."""
    context = Context(energy.function)
    visible = tuple(Configuration(layer) for layer in energy.visible)
    subject = derivative(log(Probability(energy.function, visible, energy.function.inputs)), by)

    split = Trace("ln p(v)", subject, context)
    split.apply(rules.definition, rules.log_quotient, rules.linearity)
    a, b = _terms(split.line)
    term_a, term_b = _term("Term A", a, by, context), _term("Term B", b, by, context)
    together = Context(energy.function, closed_form=term_a.result - term_b.result)
    result = Trace("Result", subject, together).apply(rules.combine, conditions=places_of_entry(by))
    return Derivation(energy, "gradient", (split.branch(), term_a, term_b, result.branch()), "Result")


def _term(name: str, subject: Expr, by: Entry, context: Context) -> Branch:
    """Derive ∂ ln Σ e^{−E} / ∂θ = ⟨−∂E/∂θ⟩, for the sum over the hidden configurations (A) or over all (B)."""
    trace = Trace(name, subject, context)
    if not subject.has(log):  # without hidden units ln p(v) starts with −E(v) itself
        return trace.apply(rules.differentiate_energy, conditions=places_of_entry(by)).branch()
    summed = (c.layer for total in subject.atoms(ConfigSum) for c in total.configurations)
    finite = all(lookup(layer.unit).is_finite for layer in summed)
    trace.apply(
        rules.log_derivative,
        rules.interchange if finite else rules.interchange_integral,
        rules.exp_chain,
    )
    trace.apply(rules.differentiate_energy, conditions=places_of_entry(by))
    trace.apply(rules.recognise_probability, rules.name_expectation)
    trace.apply(rules.clamped, everywhere=True, optional=True)
    return trace.branch()


def _terms(difference: Expr) -> tuple[Expr, Expr]:
    """Return the two derivatives in ∂f − ∂ ln Z, without the sign of the second."""
    model = next(t for t in Add.make_args(difference) if t.could_extract_minus_sign() and t.has(log))
    return difference - model, -model
