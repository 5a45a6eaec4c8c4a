"""How a layer falls apart into independent units, given the rest: −E = c + Σ_j φ_j(h_j).

The log-weight −E is flattened into monomials that keep their index binders. A monomial that touches no unit of the
layer belongs to the constant c, one that touches a single unit to that unit's potential φ_j; one that touches two
ties them together, and the layer cannot be summed out unit by unit.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Add, Dummy, Expr, Mul, S

from symbolic.errors import NotSeparableError
from symbolic.language.binders import IndexSum
from symbolic.language.layers import Configuration, Index, Layer, State
from symbolic.language.probability import EnergyFunction
from symbolic.units import lookup

__all__ = ["Separation", "separate"]


@dataclass(frozen=True)
class Separation:
    """−E = ``constant`` + Σ_j φ_j(h_j) for one layer.

    Attributes:
        layer: the layer that falls apart.
        constant: the part of −E without this layer's units.
        parts: φ_j as (dependence on the unit's state, coefficient) pairs, written in :attr:`state`.
        state: the placeholder unit state, under the placeholder index, that the parts are written in.
        free: whether the layer's free configuration stands in the lines this is used for, so that a sum over one unit's
            states needs a name of its own (h′).
    """

    layer: Layer
    constant: Expr
    parts: tuple[tuple[Expr, Expr], ...]
    state: State
    free: bool = False

    def potential(self, state: State) -> Expr:
        """φ of the unit whose state is given."""
        rule = {self.state: state, self.state.index: state.index}
        return Add(*(part.xreplace(rule) * coefficient.xreplace(rule) for part, coefficient in self.parts))

    def potential_at(self, value: int, index: Expr) -> Expr:
        """φ of unit ``index`` in the state ``value``."""
        state = Configuration(self.layer)[index]
        return self.potential(state).xreplace({state: S(value)})

    def collected(self, configuration: Configuration) -> Expr:
        """−E with the terms of each unit of the layer collected, at a configuration of it."""
        index = Index.fresh(self.layer)
        return self.constant + IndexSum(self.potential(configuration[index]), index)

    def log_partition(self, index: Expr) -> Expr:
        """Γ = ln Σ_s e^{φ(s)} of unit ``index``, in its unit's closed form."""
        return lookup(self.layer.unit).log_partition(lambda value: self.potential_at(value, index))

    def mean(self, index: Expr) -> Expr:
        """The mean Γ′ of unit ``index``: the derivative of Γ by a field x added to φ(s) as x·s, at x = 0."""
        x = Dummy("x", real=True)
        unit = lookup(self.layer.unit)
        shifted = unit.log_partition(lambda value: self.potential_at(value, index) + x * value)
        return shifted.diff(x).xreplace({x: S.Zero})


def separate(function: EnergyFunction, layer: Layer, *, free: bool = False) -> Separation:
    """Split −E into a constant and one potential for each unit of ``layer``.

    Raises:
        NotSeparableError: a term of the energy ties two units of the layer together; the message names both.
    """
    own = Configuration(layer)
    index = Index.fresh(layer)
    placeholder = own[index]
    constant: Expr = S.Zero
    parts: dict[Expr, Expr] = {}
    for factors, binders in _monomials(-function.definition):
        touched = {s for f in factors for s in f.atoms(State) if s.configuration == own}
        if not touched:
            constant += IndexSum(Mul(*factors), *binders)
            continue
        if len(touched) > 1:
            term = IndexSum(Mul(*factors), *binders)
            raise NotSeparableError(
                f"the term {term} of −E ties two units of layer {layer.name} together, so the layer cannot be summed "
                "out unit by unit. Split the layer in two, or enumerate its configurations."
            )
        (state,) = touched
        unit = state.index
        if unit not in binders:
            raise NotSeparableError(
                f"the term {IndexSum(Mul(*factors), *binders)} of −E singles out unit {unit} of layer {layer.name}; "
                "give that unit a layer of its own."
            )
        rule = {unit: index}
        moved = [f.xreplace(rule) for f in factors]
        dependence = Mul(*(f for f in moved if f.has(placeholder)))
        coefficient = Mul(*(f for f in moved if not f.has(placeholder)))
        rest = tuple(b for b in binders if b != unit)
        if dependence.free_symbols & set(rest):
            dependence, coefficient = IndexSum(dependence * coefficient, *rest), S.One
        else:
            coefficient = IndexSum(coefficient, *rest)
        parts[dependence] = parts.get(dependence, S.Zero) + coefficient
    return Separation(layer, constant, tuple(parts.items()), placeholder, free)


def _monomials(expression: Expr) -> list[tuple[list[Expr], tuple[Index, ...]]]:
    """The terms of a sum of products, each with the indices it is summed over (opened, so nobody else's)."""
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
                pending.extend([factor.base] * int(factor.exp))
            else:
                done.append(factor)
        out.append((done, binders))

    walk([expression], [], ())
    return out
