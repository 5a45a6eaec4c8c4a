"""Sums and integrals over the states of one unit, against their closed forms, and limits where a formula reads 0/0."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from sympy import Derivative, Float, Integer, Rational, besseli, exp, log

from symbolic.check.evaluator import Evaluator
from symbolic.check.limits import Limit, limit_at_zero
from symbolic.check.quadrature import CONTEXT, by_mpmath, over_states, points_of_domain, weight
from symbolic.check.reals import REALS
from symbolic.check.small_model import RealModel
from symbolic.check.verification import models
from symbolic.errors import CheckError
from symbolic.language import functions
from symbolic.language.parameters import Parameter
from symbolic.units import Interval, Unit, lookup

MP = mpmath.MPContext()
MP.dps = 50
# Integrands are good to 38 digits or more, and rules stop when 28 are settled.
CLOSE = MP.mpf(10) ** -27


def _assert_close(found: Any, expected: Any) -> None:
    found, expected = MP.mpf(str(found)), MP.mpf(expected)
    assert abs(found - expected) <= CLOSE * abs(expected), MP.nstr(found / expected - 1, 5)


def _over(unit: Unit | str, f: Callable[[Any], Decimal]) -> Decimal:
    with decimal.localcontext(CONTEXT):
        return over_states(lookup(unit) if isinstance(unit, str) else unit, f)


def _normal(middle: str, width: str) -> Callable[[Decimal], Decimal]:
    a, w = Decimal(middle), Decimal(width)
    return lambda s: (-(((s - a) / w) ** 2) / 2).exp()


@pytest.mark.parametrize("middle", ["0", "0.4", "-7", "300"])
@pytest.mark.parametrize("width", ["1", "0.01", "0.00002", "50"])
def test_peaks_are_found_however_narrow_and_wherever_they_are(middle: str, width: str) -> None:
    total = _over("gaussian", _normal(middle, width))
    _assert_close(total, MP.sqrt(2 * MP.pi) * MP.mpf(width))
    mean = _over("gaussian", lambda s: s * _normal(middle, width)(s)) / total
    assert abs(MP.mpf(str(mean)) - MP.mpf(middle)) < CLOSE * max(1, abs(MP.mpf(middle)), MP.mpf(width))


@pytest.mark.parametrize(("middle", "width"), [("0.5", "1"), ("-3", "1"), ("2", "0.02"), ("9", "0.3"), ("-1", "0.1")])
def test_half_a_line(middle: str, width: str) -> None:
    a, w = MP.mpf(middle), MP.mpf(width)
    expected = w * MP.sqrt(MP.pi / 2) * MP.erfc(-a / w / MP.sqrt(2))
    _assert_close(_over("relu", _normal(middle, width)), expected)
    other = Unit("left", Interval(None, 0), lambda phi: Integer(0), "states up to 0")
    _assert_close(_over(other, lambda s: _normal(middle, width)(-s)), expected)


@pytest.mark.parametrize("rate", ["0.02", "1", "300"])
def test_exponential_tails_and_a_base_measure_with_a_root(rate: str) -> None:
    r = Decimal(rate)
    _assert_close(_over("exponential", lambda s: (-r * s).exp()), 1 / MP.mpf(rate))
    _assert_close(
        _over("gamma(5/2)", lambda s: (-r * s).exp()), MP.gamma(MP.mpf("2.5")) / MP.mpf(rate) ** MP.mpf("2.5")
    )
    _assert_close(
        _over("gamma(1/3)", lambda s: (-r * s).exp()), MP.gamma(MP.mpf(1) / 3) / MP.mpf(rate) ** (MP.mpf(1) / 3)
    )


@pytest.mark.parametrize("x", ["0.1", "-4", "60"])
def test_intervals_and_atoms(x: str) -> None:
    field, number = Decimal(x), MP.mpf(x)
    _assert_close(_over("uniform", lambda s: (field * s).exp()), MP.expm1(number) / number)
    slab = MP.sqrt(2 * MP.pi) * MP.exp(number**2 / 2)
    _assert_close(_over("spike_and_slab", lambda s: (field * s - s * s / 2).exp()), 1 + slab)


@pytest.mark.parametrize("x", ["0.1", "-4", "25"])
def test_angles_and_directions(x: str) -> None:
    field, number = Decimal(x), MP.mpf(x)
    around = _over("von_mises", lambda s: (field * by_mpmath("cos", s - 1)).exp())
    _assert_close(around, 2 * MP.pi * MP.besseli(0, number))
    a, b, c = (Decimal(part) * field for part in ("0.36", "0.48", "-0.8"))

    def weight(s: tuple[Decimal, ...]) -> Decimal:
        return (a * s[0] + b * s[1] + c * s[2]).exp()

    total = 4 * MP.pi * MP.sinh(number) / number
    _assert_close(_over("heisenberg", weight), total)
    _assert_close(
        _over("heisenberg", lambda s: s[2] * weight(s)), (MP.coth(number) - 1 / number) * MP.mpf("-0.8") * total
    )


def test_a_function_on_the_sphere_that_is_symmetrical_about_no_axis() -> None:
    found = _over("heisenberg", lambda s: (2 * s[0]).exp() + (3 * s[1] - s[2]).exp())
    lengths = MP.mpf(2), MP.sqrt(10)
    _assert_close(found, sum(4 * MP.pi * MP.sinh(length) / length for length in lengths))


def test_a_singular_base_measure_on_an_interval() -> None:
    root = Unit("root", Interval(0, 1), lambda phi: Integer(0), "", base=lambda s: s ** Fraction(-1, 2))
    _assert_close(_over(root, lambda s: Decimal(1)), 2)


def test_infinite_sums() -> None:
    _assert_close(_over("poisson", lambda s: (3 * s).exp()), MP.exp(MP.exp(3)))
    _assert_close(_over("geometric", lambda s: (-s / 9).exp()), 1 / (1 - MP.exp(MP.mpf(-1) / 9)))


@pytest.mark.parametrize("unit", ["gaussian", "relu", "exponential", "geometric", "poisson"])
def test_what_does_not_converge_is_refused(unit: str) -> None:
    with pytest.raises(CheckError, match="does not converge"):
        _over(unit, lambda s: (s * s / 9).exp() if unit != "poisson" else (s * s).exp())
    with pytest.raises(CheckError, match="does not converge"):
        _over(unit, lambda s: Decimal(1) if unit != "poisson" else (s * s).exp())


def test_functions_of_mpmath_s_numbers_are_summed_too() -> None:
    _assert_close(points_of_domain(lookup("binomial(3)"), lambda s: s.context.exp(s)), (1 + MP.e) ** 3)
    _assert_close(points_of_domain(lookup("gaussian"), lambda s: s.context.exp(-s * s)), MP.sqrt(MP.pi))
    _assert_close(weight(lookup("poisson"))(5), MP.mpf(1) / 120)


FIRST = {"lngeomsum": (5,), "geomsum_mean": (5,), "geomsum_variance": (5,)}
REMOVABLE = (
    "lnexprel", "exprel_mean", "exprel_variance", "lngeomsum", "geomsum_mean", "geomsum_variance",
    "lnbessel", "bessel_slope", "bessel_curvature", "lnsinhc", "sinhc_slope", "sinhc_curvature",
)  # fmt: skip


@pytest.mark.parametrize("name", REMOVABLE)
def test_limits_where_a_formula_reads_zero_over_zero(name: str) -> None:
    """Against the formula at 10^-6 in 100 digits, whose next term is of the order of its square."""
    limit = limit_at_zero(name, *FIRST.get(name, ()))
    node = functions.by_name()[name](*FIRST.get(name, ()), Float("1e-6", 100))
    while node.has(functions.StableFunction):
        node = node.replace(lambda n: isinstance(n, functions.StableFunction), lambda n: n.definition())
    value = node.replace(functions.bessel_i, besseli).evalf(60)
    expected = exp(value) if limit.of_logarithm else value
    assert abs(expected - limit.value - limit.slope * Float("1e-6", 60)) < 1e-10


def test_functions_have_their_limits_in_both_arithmetics() -> None:
    """ln(1 + e^x + … + e^{4x}) = ln 5 + 2x + … and ln(sinh √x / √x) = x/6 + … where x vanishes."""
    a, b = Parameter("a")[()], Parameter("b")[()]
    x = (a + b) ** 2 - a**2 - 2 * a * b - b**2  # 0, which SymPy does not see
    lines = [
        (functions.lngeomsum(Integer(5), x), log(Integer(5))),
        (functions.exprel_mean(x) + 1, Rational(3, 2)),
        (Derivative(functions.lngeomsum(Integer(5), x * a), a), Integer(0)),
        (Derivative(functions.lnsinhc(x * b), b), Integer(0)),
    ]
    for left, right in lines:
        for model in (*models({}), RealModel(Evaluator((REALS,)), {})):
            assert model.agree(left, right)
            assert not model.agree(left, right + 1)


def test_what_has_no_limit_says_so() -> None:
    assert limit_at_zero("lnexprel") == Limit(Fraction(1), Fraction(1, 2), True)
    with pytest.raises(CheckError, match="bose is infinite at 0"):
        limit_at_zero("bose")
