"""How layers fall apart into independent units, given the rest: −E = c + Σ_j φ_j(h_j) + Σ_k φ_k(g_k) + …

The log-weight −E is flattened into monomials that keep their index binders. A monomial that touches no unit of the
layers belongs to the constant c, one that touches a single unit to that unit's potential φ_j; one that touches two
ties them together, and the layers cannot be summed out unit by unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from sympy import Add, Expr, Mul, Pow, S, exp

from symbolic.errors import DivergentError, EnergyError, NotSeparableError
from symbolic.language.binders import IndexProduct, IndexSum, called, contract
from symbolic.language.expressions import Delta, exponential
from symbolic.language.layers import Configuration, Index, Layer, State
from symbolic.language.probability import EnergyFunction
from symbolic.units import Finite, Integers, Interval, Potential, cumulant, lookup, probability

__all__ = ["Separation", "independent_layers", "monomials", "separate", "single_out"]

# An energy that a person writes has a few dozen terms multiplied out; 4,096 take 0.2 s (2 cores, 2026-12).
MAX_TERMS = 5000

# Up to this many layers, the largest independent set is searched for: 0.5 s for a chain of 24 (2 cores, 2026-12), and
# more by a factor per layer. Of more layers it is gathered layer by layer.
MOST_SEARCHED = 24

_FALLBACKS = (
    "Instead, in this order: take the conditionals of single units given all others, conditional(..., "
    'method="single-site"); eliminate variables on the graph of a model; or sum over all configurations, '
    'method="enumeration". method="auto" takes the first that serves.'
)


@dataclass(frozen=True)
class Separation:
    """−E = ``constant`` + Σ_j φ_j(h_j) + … for one layer or several that are independent given the rest.

    Attributes:
        layers: the layers that fall apart.
        constant: the part of −E without these layers' units.
        parts: for each layer, its φ as (dependence on the unit's state, coefficient) pairs, written in the state of
            the same place in :attr:`placeholders`.
        placeholders: for each layer a unit state under an index of its own.
        free: whether the layers' free configurations stand in the lines this is used for, so that a sum over one
            unit's states needs a name of its own (h′).
    """

    layers: tuple[Layer, ...]
    constant: Expr
    parts: tuple[tuple[tuple[Expr, Expr], ...], ...]
    placeholders: tuple[State, ...]
    free: bool = False
    _known: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def unit_potential(self, state: State) -> Potential:
        """Return φ of the unit whose state is given, as the unit's row takes it."""
        key = ("potential", state)
        if key not in self._known:
            self._known[key] = self._unit_potential(state)
        found: Potential = self._known[key]
        return found

    def _unit_potential(self, state: State) -> Potential:
        place = self.layers.index(state.layer)
        placeholder = self.placeholders[place]
        here = placeholder.configuration[state.index]
        rule = {placeholder: here, placeholder.index: state.index}
        terms = tuple((called(part, rule), called(coefficient, rule)) for part, coefficient in self.parts[place])
        return Potential(terms, here, f"layer {state.layer.name}")

    def potential(self, state: State) -> Expr:
        """Return φ of the unit whose state is given, in that state."""
        return self.unit_potential(state)(state)

    def collected(self, configurations: Mapping[Layer, Configuration]) -> Expr:
        """Return −E with the terms of each unit of the layers collected, at configurations of them."""
        own = tuple(placeholder.configuration for placeholder in self.placeholders)
        chosen = tuple(configurations[layer] for layer in self.layers)
        if ("collected", own) not in self._known:
            total = self.constant
            for state in self.placeholders:
                total += IndexSum(self.potential(state), state.index)
            self._known["collected", own] = total
        if ("collected", chosen) not in self._known:
            names = {old: new for old, new in zip(own, chosen, strict=True) if old != new}
            self._known["collected", chosen] = called(self._known["collected", own], names)
        found: Expr = self._known["collected", chosen]
        return found

    def product(self, configurations: Mapping[Layer, Configuration]) -> Expr:
        """Return e^{−E} as a product over the units of the layers, at configurations of them."""
        chosen = tuple(configurations[layer] for layer in self.layers)
        if ("product", chosen) not in self._known:
            result = exponential(self.constant)
            for configuration in chosen:
                index = Index.fresh(configuration.layer)
                result *= IndexProduct(exponential(self.potential(configuration[index])), index)
            self._known["product", chosen] = result
        found: Expr = self._known["product", chosen]
        return found

    def _unit(self, layer: Layer | None, index: Expr) -> tuple[Layer, Potential]:
        layer = layer or self.layers[0]
        return layer, self.unit_potential(Configuration(layer)[index])

    def log_partition(self, index: Expr, layer: Layer | None = None) -> Expr:
        """Return Γ = ln Σ_s μ(s) e^{φ(s)} of unit ``index`` of a layer (by default the first) in closed form."""
        return self._once(
            "log-partition", layer, index, lambda layer, potential: lookup(layer.unit).log_partition(potential)
        )

    def _once(self, what: str, layer: Layer | None, index: Expr, derive: Callable[[Layer, Potential], Expr]) -> Expr:
        """Return what is derived of a unit's potential: once, and for other units of the layer by renaming."""
        layer = layer or self.layers[0]
        placeholder = self.placeholders[self.layers.index(layer)]
        if (what, layer) not in self._known:
            self._known[what, layer] = derive(*self._unit(layer, placeholder.index))
        found: Expr = self._known[what, layer]
        if index.free_symbols & found.free_symbols:
            return derive(*self._unit(layer, index))
        return called(found, {placeholder.index: index})

    def conditions(self, index: Expr, layer: Layer | None = None) -> tuple[Expr, ...]:
        """Return what must be positive for Γ of unit ``index`` to be finite, without what is for all parameters.

        Raises:
            DivergentError: a condition fails for all parameters.
        """
        layer, potential = self._unit(layer, index)
        unit = lookup(layer.unit)
        open_ = []
        for condition in unit.conditions(potential):
            if condition.is_number:
                if not condition > 0:
                    what = "a quadratic term s²/2 of positive precision" if unit.degree == 2 else "a term that decays"
                    raise DivergentError(
                        f"the states of layer {layer.name} ({unit.name} units) run over {unit.domain}, and their "
                        f"weights have no finite sum: {condition} is not positive. Add {what} to the energy, such as "
                        f"{_remedy(layer, unit.degree)}."
                    )
            elif not _is_positive(condition):
                open_.append(condition)
        return tuple(open_)

    def mean(self, index: Expr, layer: Layer | None = None) -> Expr:
        """Return the mean Γ′ of unit ``index``: the derivative of Γ by the field x in a term x·s of φ(s).

        A label has no mean; of a categorical unit it is the probability e^{φ(s) − Γ} of the label s. Of a vector it is
        the mean of component α.
        """
        layer = layer or self.layers[0]
        if lookup(layer.unit).is_categorical:
            _, potential = self._unit(layer, index)
            return probability(lookup(layer.unit), potential)
        return self._once("mean", layer, index, self._new_mean)

    @staticmethod
    def _new_mean(layer: Layer, potential: Potential) -> Expr:
        unit = lookup(layer.unit)
        found = cumulant(unit, potential, 1, layer.components.index("α") if unit.dimension > 1 else None)
        if isinstance(found, Mul):
            # SymPy has multiplied numbers into sums, where they no longer cancel.
            numbers, factors = zip(*(factor.primitive() for factor in found.args), strict=True)
            found = Mul(*numbers, *factors)
        if isinstance(found, Mul) and any(isinstance(factor, exp) for factor in found.args):
            # A precision e^{−z} cancels when the product is multiplied out.
            return min(found, found.expand(deep=False), key=lambda form: int(form.count_ops()))
        return found


def _is_positive(expression: Expr, strictly: bool = True) -> bool:
    """Return whether an expression shows at a glance that it is positive, or not negative, for all parameters."""
    if isinstance(expression, exp):
        return True
    if expression.is_number:
        return bool(expression > 0) if strictly else bool(expression >= 0)
    if isinstance(expression, Add):
        every = all(_is_positive(term, False) for term in expression.args)
        return every and (not strictly or any(_is_positive(term) for term in expression.args))
    if isinstance(expression, Mul):
        return all(_is_positive(factor, strictly) for factor in expression.args)
    if isinstance(expression, IndexSum):  # layers have at least one unit
        return _is_positive(expression.body, strictly)
    if isinstance(expression, Pow) and expression.exp.is_Integer:
        even = expression.exp.is_even and expression.exp > 0 and not strictly
        return bool(even) or _is_positive(expression.base, strictly or bool(expression.exp < 0))
    if isinstance(expression, State) and not strictly:
        domain = lookup(expression.layer.unit).domain
        low = domain.first if isinstance(domain, Integers) else domain.low if isinstance(domain, Interval) else None
        low = domain.states[0] if isinstance(domain, Finite) else low
        return low is not None and low >= 0
    return False


def _remedy(layer: Layer, degree: int | None) -> str:
    name = layer.name
    return f"sum({name}[i]^2, i)/2" if degree == 2 else f"sum(r[i]*{name}[i], i) with rates r[i] > 0"


def separate(function: EnergyFunction, layers: Layer | Iterable[Layer], *, free: bool = False) -> Separation:
    """Split −E into a constant and one potential for each unit of ``layers``.

    Raises:
        NotSeparableError: a term of −E ties two units of these layers together, or their units have no closed form in
            it; the message names the term, the layers and what to do instead.
    """
    layers = (layers,) if isinstance(layers, Layer) else tuple(layers)
    found = _separate(function, layers)
    if isinstance(found, str):
        raise NotSeparableError(found)
    return replace(found, free=True) if free else found


def independent_layers(
    function: EnergyFunction, layers: Sequence[Layer], required: Iterable[Layer] = (), preferred: Iterable[Layer] = ()
) -> tuple[Layer, ...] | None:
    """Return as many of some layers as are independent given all others: their units, and they of each other.

    Args:
        function: the energy.
        layers: those to choose from.
        required: layers that have to be among them.
        preferred: of choices with as many layers, the one with the most of these is taken.

    Returns:
        the layers in their order, all that can be; None if the required ones cannot. Of more than 24 layers perhaps
        fewer than there could be.
    """
    required, preferred = tuple(required), frozenset(preferred)
    able = [layer for layer in layers if not isinstance(_separate(function, (layer,)), str)]
    together = _layers_in_terms(function)
    tied = {one: {other for terms in together if one in terms for other in terms} - {one} for one in able}
    if not set(required) <= set(able) or any(tied[one] & set(required) for one in required):
        return None
    free = [layer for layer in able if layer not in required and not tied[layer] & set(required)]
    if len(able) > MOST_SEARCHED:
        chosen = set(required)
        for layer in sorted(free, key=lambda layer: layer not in preferred):
            if not tied[layer] & chosen:
                chosen.add(layer)
        return tuple(layer for layer in able if layer in chosen)
    best: tuple[tuple[int, int], tuple[Layer, ...]] = (-1, -1), ()

    def visit(place: int, chosen: tuple[Layer, ...]) -> None:
        nonlocal best
        rest = free[place:]
        reach = len(chosen) + len(rest), sum(layer in preferred for layer in (*chosen, *rest))
        if reach <= best[0]:
            return
        if not rest:
            best = reach, chosen
            return
        if not tied[rest[0]] & set(chosen):
            visit(place + 1, (*chosen, rest[0]))
            if not tied[rest[0]] & set(rest):
                return  # it is in nobody's way
        visit(place + 1, chosen)

    visit(0, ())
    return tuple(layer for layer in able if layer in required or layer in best[1])


@lru_cache(maxsize=64)
def _layers_in_terms(function: EnergyFunction) -> frozenset[frozenset[Layer]]:
    """Return the layers whose units a term of −E multiplies, for each term."""
    found = set()
    for factors, _ in monomials(-function.definition):
        found.add(frozenset(state.layer for factor in factors for state in factor.atoms(State)))
    return frozenset(found)


@lru_cache(maxsize=256)
def _separate(function: EnergyFunction, layers: tuple[Layer, ...]) -> Separation | str:
    """Return the separation, or why there is none; an energy is asked for the same one many times."""
    try:
        return _separation(function, layers)
    except NotSeparableError as error:
        return str(error)


def _separation(function: EnergyFunction, layers: tuple[Layer, ...]) -> Separation:
    own = {Configuration(layer): place for place, layer in enumerate(layers)}
    placeholders = tuple(Configuration(layer)[Index.fresh(layer)] for layer in layers)
    constant: Expr = S.Zero
    parts: tuple[dict[Expr, Expr], ...] = tuple({} for _ in layers)
    for factors, binders in monomials(-function.definition):
        touched = {s for f in factors for s in f.atoms(State) if s.configuration in own}
        if not touched:
            constant += IndexSum(Mul(*factors), *binders)
            continue
        if len(touched) > 1:
            raise _tied(IndexSum(Mul(*factors), *binders), touched, layers)
        (state,) = touched
        unit, layer = state.index, state.layer
        if unit not in binders:
            if isinstance(unit, Index):
                raise NotSeparableError(
                    f"the term {IndexSum(Mul(*factors), *binders)} of −E takes a function of a sum over layer "
                    f"{layer.name}, which ties its units together. {_FALLBACKS}"
                )
            raise NotSeparableError(
                f"the term {IndexSum(Mul(*factors), *binders)} of −E singles out unit {unit} of layer {layer.name}; "
                "give that unit a layer of its own."
            )
        place = own[Configuration(layer)]
        placeholder = placeholders[place]
        moved = [f.xreplace({unit: placeholder.index}) for f in factors]
        dependence = Mul(*(f for f in moved if f.has(placeholder)))
        coefficient = Mul(*(f for f in moved if not f.has(placeholder)))
        rest = tuple(b for b in binders if b != unit)
        if dependence.free_symbols & set(rest):
            dependence, coefficient = IndexSum(dependence * coefficient, *rest), S.One
        else:
            coefficient = IndexSum(coefficient, *rest)
        parts[place][dependence] = parts[place].get(dependence, S.Zero) + coefficient
    separation = Separation(layers, constant, tuple(tuple(p.items()) for p in parts), placeholders)
    for layer, part in zip(layers, parts, strict=True):
        if not part:
            raise NotSeparableError(
                f"no term of −E holds a unit of layer {layer.name}: leave the layer out of the energy's, or give its "
                'units biases. method="enumeration" counts its states.'
            )
        _require_closed_form(separation, layer, "i" if layer in function.visible else "j")
    return separation


def _require_closed_form(separation: Separation, layer: Layer, index: str) -> None:
    """Raise an error that names the term if the layer's units have no closed form in their potential."""
    try:
        lookup(layer.unit).log_partition(separation.unit_potential(Configuration(layer)[Index(index, layer)]))
    except EnergyError as error:
        raise NotSeparableError(f"{error} {_FALLBACKS}") from None


def _tied(term: Expr, touched: set[State], layers: tuple[Layer, ...]) -> NotSeparableError:
    names = sorted({state.layer.name for state in touched}, key=[layer.name for layer in layers].index)
    if len(names) == 1:
        what = f"two units of layer {names[0]} together, so the layer"
    else:
        what = f"the layers {' and '.join(names)} together, so they"
    return NotSeparableError(f"the term {term} of −E ties {what} cannot be summed out unit by unit. {_FALLBACKS}")


@lru_cache(maxsize=256)
def single_out(function: EnergyFunction, state: State) -> Separation:
    """Split −E into a constant and the potential of one unit, all others kept as they are, those of its layer too.

    The energy is written with h_k + δ_{jk}(s − h_j) for every unit h_k of the layer, which puts unit j in the state s
    and leaves the others; the terms that hold s are its potential.

    Raises:
        EnergyError: the energy is not a sum of products of functions of the layer's single states.
    """
    layer, unit = state.layer, state.index
    own = Configuration(layer)
    # Under a label of its own: the unit's present state may stand beside it, in terms that tie it to itself.
    placeholder = Configuration(layer, "·")[Index.fresh(layer)]
    constant: Expr = S.Zero
    parts: dict[Expr, Expr] = {}
    for factors, binders in monomials(-function.definition):
        expanded: list[tuple[Expr, Expr]] = [(S.One, S.One)]  # (function of s, rest)
        for factor in factors:
            touched = [s for s in factor.atoms(State) if s.configuration == own]
            if len(touched) == 1 and not factor.has(IndexSum):
                here: Expr = Delta(touched[0].index, unit)
                # f(s) counts on unit j alone, and f(h_k) everywhere but there: a delta's square is the delta.
                changed = factor.xreplace({touched[0]: placeholder})
                choices = [(changed, here), (S.One, factor), (S.One, -factor * here)]
            elif touched:
                raise EnergyError(
                    f"the term {IndexSum(Mul(*factors), *binders)} of −E is not a sum of products of functions of "
                    f"single units of layer {layer.name}, so one unit cannot be split off from it."
                )
            else:
                choices = [(S.One, factor)]
            expanded = [(a * c, b * d) for a, b in expanded for c, d in choices]
            if len(expanded) > MAX_TERMS:
                raise EnergyError(f"the energy has more than {MAX_TERMS} terms in the states of layer {layer.name}.")
        for dependence, rest in expanded:
            if dependence.free_symbols & set(binders):  # a sum over labels
                dependence, rest = contract(dependence * rest, *binders), S.One
            else:
                rest = contract(rest, *binders)
            if dependence == 1:
                constant += rest
            elif dependence != 0:
                parts[dependence] = parts.get(dependence, S.Zero) + rest
    # What does not hold s, and what holds the unit's present state only, are the same for all s.
    found = tuple(
        (part.xreplace({unit: placeholder.index}), coefficient.xreplace({unit: placeholder.index}))
        for part, coefficient in parts.items()
        if coefficient != 0
    )
    return Separation((layer,), constant, (found,), (placeholder,), True)


def monomials(expression: Expr, *, squares: bool = False) -> list[tuple[list[Expr], tuple[Index, ...]]]:
    """Return the terms of a sum of products, each with the indices it is summed over, which are fresh.

    With ``squares`` the even powers of sums, which are never negative, are kept whole.
    """
    out: list[tuple[list[Expr], tuple[Index, ...]]] = []

    def walk(pending: list[Expr], done: list[Expr], binders: tuple[Index, ...]) -> None:
        pending, done = list(pending), list(done)
        while pending:
            factor = pending.pop()
            if isinstance(factor, IndexSum):
                body, fresh = factor.open()
                binders += fresh
                pending.extend(Mul.make_args(body))
            elif isinstance(factor, Add):
                for term in factor.args:
                    walk([*pending, *Mul.make_args(term)], done, binders)
                return
            elif factor.is_Pow and factor.exp.is_Integer and factor.exp > 0 and factor.base.has(IndexSum, Add):
                if squares and factor.exp.is_even:
                    done.append(factor)
                else:
                    pending.extend([factor.base] * int(factor.exp))
            elif factor.is_Pow and isinstance(factor.base, Mul) and factor.exp.is_Integer:
                pending.extend(f**factor.exp for f in factor.base.args)
            else:
                done.append(factor)
        out.append((done, binders))
        if len(out) > MAX_TERMS:
            raise EnergyError(f"the energy has more than {MAX_TERMS} terms when it is multiplied out.")

    walk(list(Mul.make_args(expression)), [], ())
    return out
