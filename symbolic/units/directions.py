"""The formulas of units whose states are angles or directions in space."""

from __future__ import annotations

from sympy import Expr, cos, log, pi, sin

from symbolic.language.binders import IndexSum
from symbolic.language.functions import lnbessel, lnsinhc
from symbolic.language.layers import ComponentAxis, Index
from symbolic.units.potential import Potential
from symbolic.units.unit import Statistics

__all__ = ["heisenberg", "heisenberg_draw", "von_mises", "von_mises_draw", "von_mises_statistics"]


def von_mises(phi: Potential) -> Expr:
    """Return Γ = c_0 + ln 2π + ln I_0(√(x² + y²)) for φ(s) = c_0 + x cos s + y sin s."""
    c0, x, y = _components(phi)
    return c0 + log(2 * pi) + lnbessel(x**2 + y**2)


def von_mises_draw(phi: Potential) -> tuple[Expr, ...]:
    """Return the field (x, y)."""
    return _components(phi)[1:]


def von_mises_statistics(state: Expr) -> Statistics:
    """Return cos s and sin s, each with weights and a bias."""
    parts = {"cos": cos(state), "sin": sin(state)}
    return Statistics(parts, parts)


def _components(phi: Potential) -> tuple[Expr, Expr, Expr]:
    s = phi.state
    c0, x, y = phi.combine({s**0: (1, 0, 0), cos(s): (0, 1, 0), sin(s): (0, 0, 1)})
    return c0, x, y


def heisenberg(phi: Potential) -> Expr:
    """Return Γ = c_0 + ln 4π + ln(sinh|x| / |x|) for φ(s) = c_0 + x·s."""
    component = Index.fresh(ComponentAxis("heisenberg", 3))
    return phi(0) + log(4 * pi) + lnsinhc(IndexSum(phi.field(component) ** 2, component))


def heisenberg_draw(phi: Potential) -> tuple[Expr, ...]:
    """Return the field x, in an index over its components."""
    return (phi.field(ComponentAxis("heisenberg", 3).index("α")),)
