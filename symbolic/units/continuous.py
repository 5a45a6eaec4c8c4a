"""The formulas of units whose states are real numbers. φ(s) = c_0 + c_1 s + c_2 s², with precision q = −2 c_2."""

from __future__ import annotations

from fractions import Fraction

from sympy import Expr, Rational, log, loggamma, sqrt

from symbolic.language.functions import Logsumexp, lnexprel, lnmills, lognorm, neg, nonzero, pos, softplus
from symbolic.units.potential import Potential
from symbolic.units.unit import Statistics

__all__ = [
    "exponential",
    "gamma",
    "gamma_base",
    "gamma_draw",
    "gaussian",
    "gaussian_draw",
    "rectified",
    "rectified_draw",
    "slab_precision",
    "slab_statistics",
    "spike_and_slab",
    "spike_and_slab_draw",
    "two_precisions",
    "two_sided",
    "two_sided_draw",
    "two_sided_statistics",
    "uniform",
]


def exponential(phi: Potential) -> Expr:
    """Return Γ = c_0 − ln(−c_1)."""
    c0, c1 = phi.coefficients(1)
    return c0 - log(-c1)


def gamma(shape: Fraction, phi: Potential) -> Expr:
    """Return Γ = c_0 + ln Γ(α) − α ln(−c_1) for the shape α."""
    alpha = Rational(shape.numerator, shape.denominator)
    c0, c1 = phi.coefficients(1)
    return c0 + loggamma(alpha) - alpha * log(-c1)


def gamma_base(shape: Fraction, state: Expr) -> Expr:
    """Return μ(s) = s^{α − 1}."""
    return state ** (Rational(shape.numerator, shape.denominator) - 1)


def gamma_draw(shape: Fraction, phi: Potential) -> tuple[Expr, ...]:
    """Return rate and shape."""
    return -phi.coefficients(1)[1], Rational(shape.numerator, shape.denominator)


def uniform(phi: Potential) -> Expr:
    """Return Γ = c_0 + ln((e^{c_1} − 1) / c_1)."""
    c0, c1 = phi.coefficients(1)
    return c0 + lnexprel(c1)


def gaussian(phi: Potential) -> Expr:
    """Return Γ = c_0 + c_1²/2q + ½ ln(2π/q)."""
    c0, c1, c2 = phi.coefficients(2)
    q = -2 * c2
    return c0 + c1**2 / (2 * q) + lognorm(q)


def gaussian_draw(phi: Potential) -> tuple[Expr, ...]:
    """Return mean and standard deviation."""
    _, c1, c2 = phi.coefficients(2)
    q = -2 * c2
    return c1 / q, 1 / sqrt(q)


def rectified(phi: Potential) -> Expr:
    """Return Γ = c_0 + ln ∫₀^∞ e^{c_1 s − q s²/2} ds."""
    c0, c1, c2 = phi.coefficients(2)
    q = -2 * c2
    return c0 + lnmills(c1 / sqrt(q)) - log(q) / 2


def rectified_draw(phi: Potential) -> tuple[Expr, ...]:
    """Return field and standard deviation in units in which the precision is 1."""
    _, c1, c2 = phi.coefficients(2)
    q = -2 * c2
    return c1 / sqrt(q), 1 / sqrt(q)


# -- Dual rectified: θ₊ s − γ₊ s²/2 for s > 0, θ₋ s − γ₋ s²/2 for s < 0


def two_sided(phi: Potential) -> Expr:
    """Return Γ, c_0 and the logarithm of the sum of the two sides' integrals."""
    (up, up_q), (down, down_q), c0 = _two_sides(phi)
    return c0 + Logsumexp(_side(up, up_q), _side(-down, down_q))


def two_precisions(phi: Potential) -> tuple[Expr, ...]:
    """Return the precision of each side, or the one of both."""
    (_, up_q), (_, down_q), _ = _two_sides(phi)
    return (up_q,) if up_q == down_q else (up_q, down_q)


def two_sided_draw(phi: Potential) -> tuple[Expr, ...]:
    """Return the log-odds of the positive side; then field and deviation of each side, as of a rectified unit."""
    (up, up_q), (down, down_q), _ = _two_sides(phi)
    odds = _side(up, up_q) - _side(-down, down_q)
    return odds, up / sqrt(up_q), 1 / sqrt(up_q), -down / sqrt(down_q), 1 / sqrt(down_q)


def two_sided_statistics(state: Expr) -> Statistics:
    """Return the state, which couples, with a bias and a precision for each side.

    Source: Tubiana, Cocco and Monasson, "Learning protein constitutive motifs from sequence data" (eLife 8, 2019).
    """
    sides = {"pos": pos(state), "neg": neg(state)}
    return Statistics({"": state}, sides, {name: side**2 for name, side in sides.items()})


def _two_sides(phi: Potential) -> tuple[tuple[Expr, Expr], tuple[Expr, Expr], Expr]:
    """Return (θ, γ) of the terms θ s − γ s²/2 on either side, the positive one first, and what does not hold s."""
    s = phi.state
    c0, up, up2, down, down2 = phi.combine(
        {
            s**0: (1, 0, 0, 0, 0),
            s: (0, 1, 0, 1, 0),
            s**2: (0, 0, 1, 0, 1),
            pos(s): (0, 1, 0, 0, 0),
            pos(s) ** 2: (0, 0, 1, 0, 0),
            neg(s): (0, 0, 0, 1, 0),
            neg(s) ** 2: (0, 0, 0, 0, 1),
        }
    )
    return (up, -2 * up2), (down, -2 * down2), c0


def _side(field: Expr, q: Expr) -> Expr:
    """Return the log-partition of a Gaussian unit on s ≥ 0."""
    return lnmills(field / sqrt(q)) - log(q) / 2


# -- Spike and slab: a weight b where s ≠ 0, and there a Gaussian


def spike_and_slab(phi: Potential) -> Expr:
    """Return Γ = c_0 + ln(1 + e^{b + c_1²/2q + ½ ln(2π/q)})."""
    return _slab(phi)[0] + softplus(_slab_odds(phi))


def slab_precision(phi: Potential) -> tuple[Expr, ...]:
    """Return the precision of the slab."""
    return (_slab(phi)[3],)


def spike_and_slab_draw(phi: Potential) -> tuple[Expr, ...]:
    """Return the log-odds of the slab, its mean and its standard deviation."""
    _, _, field, q = _slab(phi)
    return _slab_odds(phi), field / q, 1 / sqrt(q)


def slab_statistics(state: Expr) -> Statistics:
    """Return a bias for how often the state is not 0, beside that of the state.

    Source: Courville, Bergstra and Bengio, "A spike and slab restricted Boltzmann machine" (AISTATS 2011), with both in
    one unit.
    """
    return Statistics({"": state}, {"": state, "nonzero": nonzero(state)})


def _slab(phi: Potential) -> tuple[Expr, Expr, Expr, Expr]:
    """Return c_0, the weight of the slab against the spike, the field and the precision."""
    s = phi.state
    c0, bias, field, square = phi.combine(
        {s**0: (1, 0, 0, 0), nonzero(s): (0, 1, 0, 0), s: (0, 0, 1, 0), s**2: (0, 0, 0, 1)}
    )
    return c0, bias, field, -2 * square


def _slab_odds(phi: Potential) -> Expr:
    _, bias, field, q = _slab(phi)
    return bias + field**2 / (2 * q) + lognorm(q)
