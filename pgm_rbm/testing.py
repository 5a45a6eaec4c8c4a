"""Checks for authors of units: whether a row of the table of units says what it should.

A unit that another package brings through the entry-point group ``pgm_rbm.units`` is checked by one line of its tests,
``assert_unit(my_unit)``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sympy import Expr

    from symbolic.units import Potential, Unit

__all__ = ["assert_sampler", "assert_unit"]

Array = npt.NDArray[Any]

_FIELDS = ("-3/2", "2/5", "2")
_PRECISIONS = ("1/2", "2", "1")
_EXTREMES = (1.0, 100.0, 1e4)
# Sums and integrals hold to 26 digits, and closed forms are evaluated to 40.
_AGREE = 1e-20
# Kolmogorov's statistic √n D exceeds this with probability 2 e^{−2 · 2.5²} = 7.5e-6; normal deviations beyond 4.5 have
# the same.
_MOST_KOLMOGOROV = 2.5
_MOST_DEVIATIONS = 4.5
_GRID = 20_001


def assert_unit(
    unit: Unit | str,
    potentials: Iterable[Callable[[Expr], Expr]] | None = None,
    *,
    refused: Iterable[Callable[[Expr], Expr]] | None = None,
    draws: int = 20_000,
    seed: int = 0,
) -> None:
    """Check a row of the table of units.

    At each log-weight φ: Γ is the logarithm of the sum or integral of μ(s) e^{φ(s)}, so that probabilities sum to one;
    Γ′ is the mean and Γ″ the variance; draws have the distribution μ(s) e^{φ(s) − Γ} in float64 and float32. In fields
    of size up to 10⁴, Γ, Γ′ and Γ″ as generated code computes them are finite where they are below the largest float.
    The conditions hold where the sum converges and fail where it does not.

    Args:
        unit: a row, or the name of one.
        potentials: φ at which it is checked, each as a function from the state to an expression with numbers for
            coefficients. By default linear ones, and for a unit of degree 2 quadratic ones, those of both signs that
            the unit's conditions admit.
        refused: φ that the conditions must refuse; by default those of the linear and quadratic ones whose sum
            diverges.
        draws: how many are compared with the exact distribution.
        seed: of the draws.

    Raises:
        AssertionError: the row is wrong; the message says for which φ, what was expected and what was found.
        EnergyError: there is no such unit.
    """
    from symbolic.units import lookup

    unit = lookup(unit) if isinstance(unit, str) else unit
    phis, bad = _chosen(unit, potentials, refused)
    for phi in bad:
        values = [float(condition) for condition in unit.conditions(phi)]
        if all(value > 0 for value in values):
            raise AssertionError(
                f"{_at(unit, phi)}: the sum of the weights diverges, and the conditions do not refuse it. "
                f"Got {values or 'no conditions'}; one of them must be 0 or less."
            )
    for phi in phis:
        _assert_moments(unit, phi)
        if unit.sampler is not None:
            for dtype in (np.float64, np.float32):
                assert_sampler(unit, phi, draws=draws, seed=seed, dtype=dtype)
    if potentials is None:
        _assert_extremes(unit, phis[0])


def potential_of(unit: Unit, function: Callable[[Expr], Expr] | Potential) -> Potential:
    """φ from a function of the state."""
    from sympy import Add, Symbol, expand, sympify

    from symbolic.units import Potential

    if isinstance(function, Potential):
        return function
    state = Symbol("s", real=True)
    terms = []
    for term in Add.make_args(expand(sympify(function(state)))):
        coefficient, dependence = term.as_independent(state, as_Add=False)
        terms.append((dependence, coefficient))
    return Potential(tuple(terms), state, f"a {unit.name} unit")


def _chosen(
    unit: Unit,
    potentials: Iterable[Callable[[Expr], Expr]] | None,
    refused: Iterable[Callable[[Expr], Expr]] | None,
) -> tuple[list[Potential], list[Potential]]:
    if potentials is not None:
        phis = [potential_of(unit, function) for function in potentials]
        wrong = [phi for phi in phis if not _admitted(unit, phi)]
        if wrong or not phis:
            what = f"{_at(unit, wrong[0])}: its conditions refuse this φ" if wrong else "there is no φ to check at"
            raise AssertionError(f"{what}; give potentials that the unit admits.")
        return phis, [potential_of(unit, function) for function in refused or ()]
    tried = [potential_of(unit, function) for function in _usual(unit)]
    phis = [phi for phi in tried if _admitted(unit, phi)]
    bad = [phi for phi in tried if not _admitted(unit, phi)] if refused is None else []
    if refused is not None:
        bad = [potential_of(unit, function) for function in refused]
    for phi in phis:
        if not _converges(unit, phi):
            raise AssertionError(
                f"{_at(unit, phi)}: the sum of the weights does not converge, and the conditions do not refuse it. "
                f"Got {[float(c) for c in unit.conditions(phi)] or 'no conditions'}; one must be 0 or less."
            )
    for phi in bad if refused is None else ():
        if _converges(unit, phi):
            raise AssertionError(
                f"{_at(unit, phi)}: the conditions refuse it, and the sum of the weights converges. "
                f"Got {[float(c) for c in unit.conditions(phi)]}; all must be positive."
            )
    if not phis:
        raise AssertionError(f"a {unit.name} unit admits none of the usual φ; give potentials=[lambda s: ...].")
    return phis, [] if refused is None else bad


def _usual(unit: Unit) -> list[Callable[[Expr], Expr]]:
    from sympy import Rational

    def linear(x: Rational) -> Callable[[Expr], Expr]:
        return lambda s: x * s

    def quadratic(x: Rational, q: Rational) -> Callable[[Expr], Expr]:
        return lambda s: x * s - q * s**2 / 2

    fields = [Rational(x) for x in _FIELDS]
    if unit.degree != 2:
        return [linear(x) for x in fields]
    admitted = [quadratic(x, Rational(q)) for x, q in zip(fields, _PRECISIONS, strict=True)]
    return [*admitted, quadratic(fields[1], Rational(-1))]


def _admitted(unit: Unit, phi: Potential) -> bool:
    return all(condition > 0 for condition in unit.conditions(phi))


def _converges(unit: Unit, phi: Potential) -> bool:
    from symbolic.check.quadrature import points_of_domain
    from symbolic.errors import CheckError

    try:
        points_of_domain(unit, _weight(phi))
    except (CheckError, OverflowError):
        return False
    return True


def _at(unit: Unit, phi: Potential) -> str:
    return f"unit {unit.name!r} at φ(s) = {phi(phi.state)}"


# Numbers of many digits


def _function(expression: Expr, symbol: Expr) -> Callable[[Any], Any]:
    """An expression as a function of one number of many digits."""
    from sympy import lambdify

    from symbolic.language.functions import StableFunction, StateFunction

    def is_stable(node: Any) -> bool:
        return isinstance(node, StableFunction)

    while expression.has(StableFunction):
        expression = expression.replace(is_stable, lambda node: node.definition())
    made: dict[Any, Callable[[Any], Any]] = {}

    def evaluate(value: Any) -> Any:
        context = value.context
        if context not in made:
            names = {name: getattr(context, name) for name in dir(context) if not name.startswith("_")}
            names |= {kind.__name__: kind.at for kind in StateFunction.__subclasses__()}
            names |= {"bessel_i": context.besseli, "loggamma": context.loggamma}
            made[context] = lambdify(symbol, expression, modules=[names, "mpmath"])
        return context.mpf(made[context](value))

    return evaluate


def _weight(phi: Potential) -> Callable[[Any], Any]:
    exponent = _function(phi(phi.state), phi.state)

    def weight(s: Any) -> Any:
        value = exponent(s)
        if value > 1e12:
            raise OverflowError(value)
        return s.context.exp(value) if value > -1e12 else s.context.zero

    return weight


def _value(expression: Expr) -> Any:
    import mpmath
    from sympy import Dummy

    context = mpmath.MPContext()
    context.dps = 50
    return _function(expression, Dummy("x"))(context.one)


def _assert_moments(unit: Unit, phi: Potential) -> None:
    from symbolic.check.quadrature import points_of_domain
    from symbolic.units import cumulant

    weight = _weight(phi)
    total = points_of_domain(unit, weight)
    expected = {"Γ": total.context.log(total)}
    found = {"Γ": _value(unit.log_partition(phi))}
    if unit.has_mean:
        mean = points_of_domain(unit, lambda s: s * weight(s)) / total
        square = points_of_domain(unit, lambda s: (s - mean) ** 2 * weight(s)) / total
        expected |= {"the mean Γ′": mean, "the variance Γ″": square}
        found |= {"the mean Γ′": _value(cumulant(unit, phi, 1)), "the variance Γ″": _value(cumulant(unit, phi, 2))}
    for name, value in expected.items():
        if not abs(found[name] - value) <= _AGREE * max(1, abs(value)):
            raise AssertionError(
                f"{_at(unit, phi)}: {name} from the row is {_short(found[name])}, and {_short(value)} by summing "
                "μ(s) e^φ(s) over the states."
            )


def _short(value: Any) -> str:
    return f"{float(value):.15g}"


# Floats


def _assert_extremes(unit: Unit, phi: Potential) -> None:
    """Γ, Γ′ and Γ″ in strong fields, by NumPy's runtime, which has the arithmetic of the others."""
    from sympy import Dummy

    from symbolic.units import Potential

    x = Dummy("x", real=True)
    rest = tuple((part, coefficient) for part, coefficient in phi.terms if part != phi.state)
    shifted = Potential((*rest, (phi.state, x)), phi.state, phi.unit)
    gamma = unit.log_partition(shifted)
    for name, expression in (("Γ", gamma), ("Γ′", gamma.diff(x)), ("Γ″", gamma.diff(x, 2))):
        exact = _function(expression, x)
        for dtype in (np.float64, np.float32):
            evaluate = _numpy(expression, x)
            for size in _EXTREMES:
                for field in (-size, size):
                    if not all(condition.subs(x, field) > 0 for condition in unit.conditions(shifted)):
                        continue
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", RuntimeWarning)
                        value = float(np.asarray(evaluate(np.array([field], dtype))).ravel()[0])
                    if not math.isfinite(value) and _fits(exact, field, dtype):
                        raise AssertionError(
                            f"unit {unit.name!r}: {name} is {value} in {np.dtype(dtype)} at a field of {field:g}; "
                            "write it with a function of symbolic.language.functions, which stay finite."
                        )


def _fits(exact: Callable[[Any], Any], field: float, dtype: type) -> bool:
    """Whether the value has a finite counterpart in the type."""
    import mpmath

    context = mpmath.MPContext()
    context.dps = 60
    try:
        return bool(abs(exact(context.mpf(field))) < float(np.finfo(dtype).max))
    except (ArithmeticError, ValueError):
        return True


def _numpy(expression: Expr, *symbols: Expr) -> Callable[..., Any]:
    """An expression as generated NumPy code evaluates it."""
    from sympy import lambdify

    from symbolic.codegen import runtime_numpy
    from symbolic.language import functions

    names = {name: getattr(runtime_numpy, name.lower(), None) for name in functions.by_name()}
    known = {name: function for name, function in names.items() if function is not None}
    made: Callable[..., Any] = lambdify(symbols, expression, modules=[known, "numpy"])
    return made


def draws_of(unit: Unit, phi: Potential, count: int, seed: int, dtype: npt.DTypeLike = np.float64) -> Array:
    """Draws as generated NumPy code makes them; shape (count,)."""
    from symbolic.codegen import runtime, runtime_numpy
    from symbolic.units import uniform_number

    assert unit.sampler is not None
    rows = -(-count // 100)
    streams = runtime.row_streams(seed, 0, rows)
    arguments = unit.sampler.arguments(phi)
    name = unit.sampler.name
    if name == "quantile":
        u = runtime_numpy.fine_uniform(streams, 100)
        drawn = np.asarray(_numpy(arguments[0], uniform_number())(u)).astype(dtype)
    elif name == "two_states":
        low, high = map(float, unit.states)
        drawn = runtime_numpy.draw(np.full((rows, 100), float(_numpy(arguments[0])()), dtype), streams, low, high)
    else:
        sampler = getattr(runtime_numpy, f"draw_{name}", None)
        if sampler is None:
            raise AssertionError(f"unit {unit.name!r}: there is no sampler called {name!r} for generated code.")
        numbers = [float(_numpy(argument)()) for argument in arguments]
        place = {"binomial": 1, "integer": 1}.get(name, 0)
        values = [np.full(100, number, dtype) if k == place else number for k, number in enumerate(numbers)]
        drawn = sampler(streams, *values)
    return drawn.ravel()[:count]


def assert_sampler(
    unit: Unit,
    potential: Callable[[Expr], Expr] | Potential,
    *,
    draws: int = 20_000,
    seed: int = 0,
    dtype: npt.DTypeLike = np.float64,
) -> None:
    """Compare a unit's draws at one φ with the distribution μ(s) e^{φ(s) − Γ}, summed up on its states or on a grid.

    Counts of single states by Pearson's χ²; real numbers by Kolmogorov's statistic. Either fails by chance less than
    once in 10⁵ times.

    Args:
        unit: the row.
        potential: φ, as for :func:`assert_unit`.
        draws: how many.
        seed: of the draws.
        dtype: float64 or float32.

    Raises:
        AssertionError: the distributions differ, or a draw is no state of the unit; the message gives the statistic.
    """
    phi = potential_of(unit, potential)
    drawn = draws_of(unit, phi, draws, seed, dtype)
    what = f"{_at(unit, phi)}, {draws} draws in {np.dtype(dtype)}"
    if drawn.dtype != dtype:
        raise AssertionError(f"{what}: draws are of type {drawn.dtype}.")
    if not np.isfinite(drawn).all():
        raise AssertionError(f"{what}: a draw is {drawn[~np.isfinite(drawn)][0]}.")
    _assert_in_domain(unit, drawn, what)
    if unit.is_continuous:
        _assert_density(unit, phi, drawn, what)
    else:
        _assert_counts(unit, phi, drawn, what)


def _assert_in_domain(unit: Unit, drawn: Array, what: str) -> None:
    from symbolic.units import Circle, Finite, Interval

    domain = unit.domain
    values = drawn.astype(np.float64)
    if isinstance(domain, Circle):
        inside = np.abs(values) <= np.float64(drawn.dtype.type(math.pi))
    elif isinstance(domain, Interval):
        inside = (values >= float(_end(domain.low, -1))) & (values <= float(_end(domain.high, 1)))
    elif isinstance(domain, Finite):
        inside = np.isin(drawn, np.array([float(s) for s in domain.states], drawn.dtype))
    else:
        last = math.inf if domain.last is None else domain.last
        inside = (values == np.floor(values)) & (values >= domain.first) & (values <= last)
    if not inside.all():
        raise AssertionError(f"{what}: {values[~inside][0]:g} was drawn, and the states are {domain}.")


def _end(bound: Any, sign: int) -> float:
    return sign * math.inf if bound is None else float(bound)


def _bulk(unit: Unit, phi: Potential) -> tuple[float, float]:
    """The ends of what is within twelve standard deviations of the mean; all but 1e-6 of the usual distributions."""
    from symbolic.units import cumulant

    mean, variance = (float(_numpy(cumulant(unit, phi, order))()) for order in (1, 2))
    reach = 12 * math.sqrt(max(variance, 0.0))
    return mean - reach, mean + reach


def _assert_counts(unit: Unit, phi: Potential, drawn: Array, what: str) -> None:
    """Pearson's χ² over single states, neighbours taken together where few draws are expected."""
    import mpmath

    if unit.is_finite:
        states = [float(state) for state in unit.states]
    else:
        low, high = _bulk(unit, phi)
        states = [float(k) for k in range(max(unit.domain.first, math.floor(low)), math.ceil(high) + 40)]  # type: ignore[union-attr]
    context = mpmath.MPContext()
    context.dps = 30
    logarithm = _function(phi(phi.state) + unit.log_base(phi.state), phi.state)
    logs = [logarithm(context.mpf(state)) for state in states]
    top = max(logs)
    weights = np.array([float(context.exp(value - top)) for value in logs])
    expected = len(drawn) * weights / weights.sum()
    places = np.clip(np.searchsorted(states, drawn), 0, len(states) - 1)
    counted = np.bincount(places, minlength=len(states))
    bins = np.minimum(np.floor(np.cumsum(expected) / 10), np.floor(max(len(drawn) - 5, 0) / 10)).astype(int)
    labels = np.unique(bins, return_inverse=True)[1]
    expected, counted = np.bincount(labels, expected), np.bincount(labels, counted)
    full = expected > 5
    rare, found = float(expected[~full].sum()), float(counted[~full].sum())
    if found > rare + _MOST_DEVIATIONS * math.sqrt(rare + 1) + _MOST_DEVIATIONS**2:
        raise AssertionError(f"{what}: {found:g} draws fell to states for which {rare:.3g} are expected.")
    freedom = int(full.sum()) - 1
    if freedom < 1:
        return
    square = float(((counted - expected)[full] ** 2 / expected[full]).sum())
    # Wilson and Hilferty, "The distribution of chi-square" (1931): its cube root is all but normal.
    deviations = ((square / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    if deviations > _MOST_DEVIATIONS:
        raise AssertionError(
            f"{what}: χ² is {square:.4g} with {freedom} degrees of freedom, {deviations:.1f} standard deviations too "
            "large; the draws do not have the distribution μ(s) e^{φ(s) − Γ}."
        )


def _assert_density(unit: Unit, phi: Potential, drawn: Array, what: str) -> None:
    """Kolmogorov's statistic of the draws that are no atoms, and the number of those that are."""
    from symbolic.units import Interval

    if not isinstance(unit.domain, Interval):
        low, high, power = -math.pi, math.pi, 1
    else:
        first, last = _end(unit.domain.low, -1), _end(unit.domain.high, 1)
        low, high = _bulk(unit, phi)
        low, high = max(low, first), min(high, last)
        # Densities may have a pole at the end of a half-line; its distribution function is smooth in a root of s.
        power = 4 if low == first and math.isinf(last) else 1
    t = np.linspace(0, 1, _GRID)[1:] if power > 1 else np.linspace(0, 1, _GRID)
    grid = low + (high - low) * t**power
    logs = _logarithms(unit, phi, grid) + (3 * np.log(t) if power > 1 else 0)
    top = logs.max()
    density = np.exp(logs - top)
    steps = (density[1:] + density[:-1]) / 2 * np.diff(t) * power * (high - low)
    total = steps.sum()
    atoms = np.array([float(atom) for atom in getattr(unit.domain, "atoms", ())])
    if len(atoms):
        weights = np.exp(_logarithms(unit, phi, atoms) - top)
        for atom, share in zip(atoms, weights / (weights.sum() + total), strict=True):
            found, expected = int((drawn == atom).sum()), len(drawn) * share
            deviation = math.sqrt(max(expected * (1 - share), 0.0)) + 1
            if abs(found - expected) > _MOST_DEVIATIONS * deviation:
                raise AssertionError(f"{what}: {found} of them are {atom:g}, and {expected:.1f} are expected.")
    values = np.sort(drawn[~np.isin(drawn, atoms)].astype(np.float64))
    if len(values) < 50:
        return
    function = np.concatenate([[0.0], np.cumsum(steps)]) / total
    exact = np.interp(np.clip((values - low) / (high - low), 0, 1) ** (1 / power), t, function)
    ranks = np.arange(len(values) + 1) / len(values)
    distance = max(float((ranks[1:] - exact).max()), float((exact - ranks[:-1]).max()))
    statistic = math.sqrt(len(values)) * distance
    if statistic > _MOST_KOLMOGOROV:
        raise AssertionError(
            f"{what}: Kolmogorov's √n D is {statistic:.2f}, and {_MOST_KOLMOGOROV} is exceeded by chance once in 10⁵ "
            "times; the draws do not have the density μ(s) e^{φ(s) − Γ}."
        )


def _logarithms(unit: Unit, phi: Potential, states: Array) -> Array:
    """ln μ(s) + φ(s) in float64."""
    from sympy import expand_log

    exponent = _numpy(phi(phi.state) + expand_log(unit.log_base(phi.state), force=True), phi.state)
    with np.errstate(divide="ignore"):
        return np.asarray(exponent(states)) + np.zeros_like(states)
