"""Lines that have no exact value: evaluated to 30 digits, with integrals and infinite sums carried out.

The same evaluator as the exact one (:mod:`symbolic.check.finite_field`), over real numbers of 40 digits. Sums over one
unit's states run over all of them: integrals by double-exponential quadrature (Takahasi and Mori, "Double exponential
formulas for numerical integration", 1974), sums until their terms have died away. Sums over the configurations of a
whole layer keep to the stand-in states of the exact check: a line that is about single units changes nothing else. For
lines about both kinds of sums, all of them can keep to the stand-ins. Derivatives are carried out by dual numbers, so
SymPy's ``diff`` is not used here either.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import mpmath
from sympy import Expr, cos, erfc, loggamma, pi, sin

from symbolic.check.finite_field import Dual, World
from symbolic.errors import CheckError
from symbolic.language.binders import BaseMeasure, UnitSum
from symbolic.language.functions import bessel_i, neg, nonzero, pos
from symbolic.language.layers import Configuration, Entry, Index, Layer
from symbolic.units import Circle, Domain, Integers, Interval, Sphere, Unit, lookup

__all__ = ["DIGITS", "Real", "RealWorld", "points_of_domain"]

DIGITS = 30
_MP = mpmath.MPContext()
_MP.dps = DIGITS + 10
# Two values agree if they do to DIGITS less what a few hundred operations can cost.
_TOLERANCE = _MP.mpf(10) ** -(DIGITS - 4)
_NEGLIGIBLE = _MP.mpf(10) ** -(DIGITS + 6)
_MOST_TERMS = 3000
_FINEST = 8  # levels of the quadrature: steps down to 2^-8
_TRIES = 4000


class Real:
    """A real number to forty digits, with the operations of :class:`symbolic.check.finite_field.Value`."""

    __slots__ = ("x",)

    def __init__(self, x: Any):
        self.x = x

    @classmethod
    def of(cls, number: Any) -> Real:
        if isinstance(number, Fraction):
            return cls(_MP.mpf(number.numerator) / number.denominator)
        return cls(_MP.mpf(number))

    def __add__(self, other: Real) -> Real:
        return Real(self.x + other.x)

    def __mul__(self, other: Real) -> Real:
        return Real(self.x * other.x)

    def inverse(self) -> Real:
        if self.x == 0:
            raise CheckError("a denominator vanishes at this point.")
        return Real(1 / self.x)

    def exp(self) -> Real:
        if abs(self.x) > 1e12:
            if self.x > 0:
                raise CheckError("an exponential overflows at this point.")
            return Real(_MP.zero)
        return Real(_MP.exp(self.x))

    def ln(self) -> Real:
        if self.x <= 0:
            raise CheckError("the logarithm of a number that is not positive.")
        return Real(_MP.log(self.x))

    def power(self, exponent: Fraction) -> Real:
        if self.x < 0:
            raise CheckError("a root of a negative number.")
        return Real(_MP.power(self.x, _MP.mpf(exponent.numerator) / exponent.denominator))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Real):
            return False
        return bool(abs(self.x - other.x) <= _TOLERANCE * max(1, abs(self.x), abs(other.x)))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return str(_MP.nstr(self.x, 12))


class RealWorld(World):
    """A model of given sizes at one random point, in real numbers.

    Args:
        sizes, seed, point, true_units: as in :class:`symbolic.check.finite_field.World`.
        conditions: expressions that are to be positive at every unit and configuration they speak of.

    Raises:
        CheckError: no such parameters were found.
    """

    number = Real
    remembers_units = False

    def __init__(
        self,
        sizes: Mapping[Layer, int],
        seed: int = 0,
        point: int = 0,
        conditions: Iterable[Expr] = (),
        true_units: bool = True,
    ):
        super().__init__(sizes, seed, point, true_units)
        self.conditions = tuple(conditions)
        self._manners: dict[str, tuple[int, int]] = {}
        if self.conditions:
            self._satisfy()

    def draw(self, entry: Entry) -> Real:
        """A random number of size 0.3 to 1.2, with its parameter's sign where that has one, and sometimes smaller."""
        name = entry.parameter.name
        if name not in self._manners:
            scale = self.rng.choice((1, 1, 4, 16)) if self.conditions else 1
            self._manners[name] = self.rng.choice((-1, 0, 1)), scale
        sign, scale = self._manners[name]
        size = Fraction(self.rng.randrange(300, 1200), 1000 * scale)
        return Real.of(size * (sign or self.rng.choice((-1, 1))))

    def _satisfy(self) -> None:
        for _ in range(_TRIES):
            self._manners.clear()
            self.parameters.clear()
            self._memo.clear()
            if all(value > 0.05 for condition in self.conditions for value in self._everywhere(condition)):
                return
        raise CheckError(f"no parameters were found for which {self.conditions[0]} is positive")

    def _everywhere(self, condition: Expr) -> Iterator[Any]:
        """The values of a condition at all units and all configurations it speaks of."""
        free = sorted(condition.free_symbols, key=str)
        indices = [s for s in free if isinstance(s, Index)]
        configurations = [s for s in free if isinstance(s, Configuration)]
        places = [self.values(index.layer) for index in indices]
        rows = [list(itertools.product(self.domain(c.layer), repeat=self.size(c.layer))) for c in configurations]
        with self._bound(self.indices, tuple(indices)), self._bound(self.states, tuple(configurations)):
            for place in itertools.product(*places):
                self.indices.update(zip(indices, place, strict=True))
                for row in itertools.product(*rows):
                    self.states.update(zip(configurations, row, strict=True))
                    yield self._dual(condition).value.x

    def _unit_sum(self, node: UnitSum) -> Dual:
        if not self.true_units:
            return super()._unit_sum(node)
        unit = lookup(node.state.layer.unit)
        key = (node.state.configuration, self._index(node.state.index))

        def body(value: Any) -> Dual:
            self.units[key] = value
            return self._dual(node.body)

        with self._bound(self.units, (key,)):
            if unit.is_finite:
                return _total(body(s) * Dual(Real(w)) for s, w in zip(unit.states, _weights(unit), strict=True))
            return _summed(body, unit)

    def _base_measure(self, node: BaseMeasure) -> Dual:
        if not self.true_units:
            return super()._base_measure(node)
        return Dual(Real(_weight(lookup(node.state.layer.unit))(self._dual(node.state).value.x)))


def points_of_domain(unit: Unit, f: Callable[[Any], Any]) -> Any:
    """Σ_s μ(s) f(s) over all states of a unit, or the integral, for a function of 40-digit numbers."""
    if unit.is_finite:
        terms = zip(unit.states, _weights(unit), strict=True)
        return _MP.fsum(w * f(Real.of(Fraction(s)).x) for s, w in terms)
    number = tuple if unit.dimension > 1 else _MP.mpf
    return _summed(lambda s: Dual(Real(f(number(s)))), unit).value.x


def _total(terms: Iterable[Dual]) -> Dual:
    total = Dual(Real.of(0))
    for term in terms:
        total = total + term
    return total


@lru_cache(maxsize=64)
def _weights(unit: Unit) -> tuple[Any, ...]:
    weight = _weight(unit)
    return tuple(weight(state) for state in unit.states)


@lru_cache(maxsize=64)
def _weight(unit: Unit) -> Callable[[Any], Any]:
    """μ(s) as a function of 40-digit numbers."""
    if unit.base is None:
        return lambda s: _MP.one
    from sympy import Dummy, lambdify

    s = Dummy("s", real=True)
    names = {name: getattr(_MP, name) for name in dir(_MP) if not name.startswith("_")}
    made = lambdify(s, unit.base(s), modules=[names, "mpmath"])
    return lambda value: _MP.mpf(made(Real.of(value).x))


def _summed(body: Callable[[Any], Dual], unit: Unit) -> Dual:
    weight = _weight(unit)
    if isinstance(unit.domain, Integers):
        return _series(lambda s: body(s) * Dual(Real(weight(s))), unit)
    if isinstance(unit.domain, Circle):
        return _around(body)
    if isinstance(unit.domain, Sphere):
        return _over_sphere(body, unit)
    assert isinstance(unit.domain, Interval)
    pieces = [_integral(lambda s: body(s) * Dual(Real(weight(s))), piece) for piece in unit.domain.pieces]
    return _total([*(body(Real.of(Fraction(atom)).x) for atom in unit.domain.atoms), *pieces])


def _small(term: Dual, total: Dual) -> bool:
    if abs(term.value.x) > _NEGLIGIBLE * abs(total.value.x):
        return False
    return term.slope is None or abs(term.slope.x) <= _NEGLIGIBLE * max(abs(total.slope.x), abs(total.value.x))


def _series(term: Callable[[int], Dual], unit: Unit) -> Dual:
    domain = unit.domain
    assert isinstance(domain, Integers)
    total, dead = Dual(Real.of(0)), 0
    for state in range(domain.first, domain.first + _MOST_TERMS):
        here = term(state)
        total = total + here
        dead = dead + 1 if _small(here, total) else 0
        if dead == 4:
            return total
    raise CheckError(f"the sum over the states of a {unit.name} unit does not converge at this point.")


@lru_cache(maxsize=256)
def _abscissas(domain: Domain, level: int, side: int) -> tuple[tuple[Any, Any], ...]:
    """(state, weight) at the points of one level, outwards from the middle on one side."""
    assert isinstance(domain, Interval)
    step = _MP.mpf(2) ** -level
    found: list[tuple[Any, Any]] = []
    start = 0 if level == 2 and side > 0 else 1
    for k in range(start, int(7 / step) + 1, 1 if level == 2 else 2):
        t = side * k * step
        u, du = _MP.pi / 2 * _MP.sinh(t), _MP.pi / 2 * _MP.cosh(t)
        if domain.low is not None and domain.high is not None:
            low, high = (Real.of(Fraction(x)).x for x in (domain.low, domain.high))
            # 1 − tanh u without loss, so that the ends are approached from inside.
            near = 1 / (1 + _MP.exp(-2 * u))
            s, ds = low + (high - low) * near, (high - low) * 2 * near * (1 - near) * du
        elif domain.low is not None or domain.high is not None:
            end = Real.of(Fraction(domain.low if domain.low is not None else domain.high)).x  # type: ignore[arg-type]
            far = _MP.exp(u)
            s, ds = end + far if domain.low is not None else end - far, far * du
        else:
            s, ds = _MP.sinh(u), _MP.cosh(u) * du
        found.append((s, ds))
    return tuple(found)


def _integral(f: Callable[[Any], Dual], domain: Interval) -> Dual:
    total = Dual(Real.of(0))
    before: Dual | None = None
    for level in range(2, _FINEST + 1):
        step = Dual(Real(_MP.mpf(2) ** -level))
        for side in (1, -1):
            dead = 0
            for s, ds in _abscissas(domain, level, side):
                here = f(s) * Dual(Real(ds))
                total = total + here
                dead = dead + 1 if _small(here, total) else 0
                if dead == 3 + level:
                    break
        now = total * step
        if before is not None and level > 3 and _settled(before, now):
            return now
        before = now
    raise CheckError(f"the integral over {domain} does not converge at this point.")


def _around(f: Callable[[Any], Dual]) -> Dual:
    """The integral over all angles of a smooth function, by equal steps."""
    before: Dual | None = None
    for level in range(4, 11):
        step = 2 * _MP.pi / 2**level
        now = _total(f(k * step - _MP.pi) for k in range(2**level)) * Dual(Real(step))
        if before is not None and _settled(before, now):
            return now
        before = now
    raise CheckError("the integral over the angles does not converge at this point.")


@lru_cache(maxsize=8)
def _gauss_legendre(count: int) -> tuple[tuple[Any, Any], ...]:
    """Nodes and weights on [−1, 1]: the roots of Legendre's polynomial, by Newton's method."""
    found = []
    for k in range(count):
        x = _MP.cos(_MP.pi * (k + _MP.mpf(3) / 4) / (count + _MP.mpf(1) / 2))
        for _ in range(8):
            before, here = _MP.one, x
            for n in range(2, count + 1):
                before, here = here, ((2 * n - 1) * x * here - (n - 1) * before) / n
            slope = count * (x * here - before) / (x * x - 1)
            x -= here / slope
        found.append((x, 2 / ((1 - x * x) * slope * slope)))
    return tuple(found)


def _over_sphere(f: Callable[[Any], Dual], unit: Unit) -> Dual:
    """The integral over all directions in space of a smooth function: by Gauss' rule along the third axis, and by equal
    steps around it, which together are exact for polynomials of degree 2n − 1."""
    if unit.dimension != 3:
        raise CheckError(f"an integral over {unit.domain} is not carried out here.")
    before: Dual | None = None
    for count in (16, 18, 22, 28, 36, 48):
        terms = []
        step = _MP.pi / count
        for z, weight in _gauss_legendre(count):
            radius = _MP.sqrt(1 - z * z)
            for k in range(2 * count):
                state = radius * _MP.cos(k * step), radius * _MP.sin(k * step), z
                terms.append(f(state) * Dual(Real(weight * step)))
        now = _total(terms)
        if before is not None and _settled(before, now):
            return now
        before = now
    raise CheckError(f"the integral over {unit.domain} does not converge at this point.")


def _settled(before: Dual, now: Dual) -> bool:
    if abs(before.value.x - now.value.x) > _TOLERANCE / 100 * max(abs(now.value.x), _NEGLIGIBLE):
        return False
    if now.slope is None:
        return True
    old = before.slope.x if before.slope is not None else 0
    return bool(abs(old - now.slope.x) <= _TOLERANCE / 100 * max(abs(now.slope.x), abs(now.value.x)))


def _erfc(world: World, node: Any) -> Dual:
    x = world._dual(node.args[0])
    value = Real(_MP.erfc(x.value.x))
    if x.slope is None:
        return Dual(value)
    return Dual(value, Real(-2 / _MP.sqrt(_MP.pi) * _MP.exp(-(x.value.x**2))) * x.slope)


def _loggamma(world: World, node: Any) -> Dual:
    x = world._dual(node.args[0])
    if x.slope is not None:
        raise CheckError(f"the derivative of {node} by its argument is not evaluated here.")
    return Dual(Real(_MP.loggamma(x.value.x)))


def _bessel(world: World, node: Any) -> Dual:
    order, x = node.args[0], world._dual(node.args[1])
    value = Real(_MP.besseli(int(order), x.value.x))
    if x.slope is None:
        return Dual(value)
    # I_ν′ = (I_{ν−1} + I_{ν+1}) / 2
    slope = (_MP.besseli(int(order) - 1, x.value.x) + _MP.besseli(int(order) + 1, x.value.x)) / 2
    return Dual(value, Real(slope) * x.slope)


def _of_state(function: Callable[[Any], Any]) -> Callable[[World, Any], Dual]:
    def rule(world: World, node: Any) -> Dual:
        state = world._dual(node.args[0])
        if state.slope is not None:
            raise CheckError(f"the derivative of {node} by its argument is not evaluated here.")
        return Dual(Real.of(function(state.value.x)))

    return rule


RealWorld.rules = {
    **World.rules,
    bessel_i: _bessel,
    cos: _of_state(_MP.cos),
    erfc: _erfc,
    **{kind: _of_state(kind.at) for kind in (neg, nonzero, pos)},
    sin: _of_state(_MP.sin),
    loggamma: _loggamma,
    type(pi): lambda world, node: Dual(Real(+_MP.pi)),
}
