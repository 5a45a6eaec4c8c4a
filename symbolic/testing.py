"""Checks for authors of units: whether a row of the table of units says what it should.

A unit that another package brings through the entry-point group ``pgm_rbm.units`` is checked by one line of its tests,
``assert_unit(my_unit)``.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
from sympy import Add, Dummy, Expr, Integer, Rational, Symbol, expand, expand_log, lambdify, sympify

from symbolic.check.quadrature import points_of_domain
from symbolic.codegen.runtime import numpy, vectors
from symbolic.codegen.runtime.streams import row_streams
from symbolic.errors import CheckError, EnergyError
from symbolic.language import functions
from symbolic.language.binders import written_out
from symbolic.language.functions import StableFunction, StateFunction
from symbolic.language.layers import Component, Indicator, Layer
from symbolic.units import (
    Circle,
    Finite,
    Interval,
    Potential,
    Sphere,
    Unit,
    cumulant,
    log_base,
    lookup,
    probability,
    uniform_number,
)

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
# Places of the grid on which a density is summed up: a thousandth of a standard deviation apart, where 20,000 draws can
# tell distribution functions apart that differ by 0.02 (2.5 / √20,000).
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
    Γ′ is the mean and Γ″ the variance, and labels have their probabilities; draws have the distribution
    μ(s) e^{φ(s) − Γ} in float64 and float32. In fields of size up to 10⁴, Γ, Γ′ and Γ″ as generated code computes them
    are finite where they are below the largest float. The conditions hold where the sum converges and fail where it
    does not.

    Args:
        unit: a row, or the name of one.
        potentials: φ at which it is checked, each as a function from the state to an expression with numbers for
            coefficients; of a state that is a vector, from the list of its components, and of one that is a label, from
            the list of the brackets [s = 0], [s = 1], … By default sums of the functions that the row names in its
            statistics, or of the state itself, and for a unit of degree 2 of squares, those of both signs that the
            unit's conditions admit.
        refused: φ that the conditions must refuse; by default those of the linear and quadratic ones whose sum
            diverges.
        draws: how many are compared with the exact distribution.
        seed: of the draws.

    Raises:
        AssertionError: the row is wrong; the message says for which φ, what was expected and what was found.
        EnergyError: there is no such unit.
    """
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
    if potentials is None and not unit.is_categorical:  # code has a form of its own for sums over labels
        _assert_extremes(unit, phis[0])


def potential_of(unit: Unit, function: Callable[[Expr], Expr] | Potential) -> Potential:
    """Return φ from a function of the state."""
    if isinstance(function, Potential):
        return function
    state = _label(unit) if unit.is_categorical else Symbol("s", real=True)
    terms = []
    for term in Add.make_args(expand(sympify(function(_argument(unit, state))))):
        coefficient, dependence = term.as_independent(state, as_Add=False)
        terms.append((dependence, coefficient))
    return Potential(tuple(terms), state, f"a {unit.name} unit")


def _label(unit: Unit) -> Expr:
    """Return the state of a categorical unit, which its layer's labels belong to."""
    try:
        return Layer("s", unit.name)[0]
    except EnergyError as error:
        raise AssertionError(f"a unit of labels is checked as it is found by its name, and {error}") from None


def _argument(unit: Unit, state: Expr) -> Any:
    """Return what a function of the state is given: the components of a vector, the brackets of a label."""
    if unit.is_categorical:
        return [Indicator(state, k) for k in range(len(unit.states))]
    return [Component(state, k) for k in range(unit.dimension)] if unit.dimension > 1 else state


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
    _require_known(unit, tried[0])
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


def _require_known(unit: Unit, phi: Potential) -> None:
    """Check that the row has a closed form at φ at all."""
    try:
        unit.log_partition(phi)
        unit.conditions(phi)
    except EnergyError as error:
        raise AssertionError(
            f"{_at(unit, phi)}: the row does not take this φ ({error}) Name the functions of the state that it takes "
            "in its statistics, or give potentials=[lambda s: ...]."
        ) from None


def _usual(unit: Unit) -> list[Callable[[Expr], Expr]]:
    fields, precisions = ([Rational(x) for x in texts] for texts in (_FIELDS, _PRECISIONS))

    def functions(s: Any) -> tuple[list[Expr], list[Expr]]:
        """Return the functions that fields act on, and squares."""
        if isinstance(s, list):
            return s, []
        if unit.statistics is None:
            return [s], [s**2] if unit.degree == 2 else []
        named = unit.statistics(s)
        parts = dict.fromkeys((*named.couplings.values(), *named.biases.values()))
        return list(parts), list(named.squares.values()) or ([s**2] if unit.degree == 2 else [])

    def at(turn: int, sign: int = 1) -> Callable[[Expr], Expr]:
        def phi(s: Any) -> Expr:
            parts, squares = functions(s)
            total = sum(fields[(turn + k) % len(fields)] * part for k, part in enumerate(parts))
            held = sum(precisions[(turn + k) % len(fields)] * square for k, square in enumerate(squares))
            return total - sign * held / 2

        return phi

    usual = [at(turn) for turn in range(len(fields))]
    return [*usual, at(1, -1)] if unit.degree == 2 else usual


def _admitted(unit: Unit, phi: Potential) -> bool:
    return all(condition > 0 for condition in unit.conditions(phi))


def _converges(unit: Unit, phi: Potential) -> bool:
    try:
        points_of_domain(unit, _weight(phi))
    except (CheckError, OverflowError):
        return False
    return True


def _at(unit: Unit, phi: Potential) -> str:
    return f"unit {unit.name!r} at φ(s) = {phi(phi.state)}"


# Numbers of many digits


def _function(expression: Expr, symbol: Expr) -> Callable[[Any], Any]:
    """Return an expression as a function of one number of many digits, or of a vector of them."""

    def is_stable(node: Any) -> bool:
        return isinstance(node, StableFunction)

    expression = written_out(expression)
    while expression.has(StableFunction):
        expression = expression.replace(is_stable, lambda node: node.definition())
    components = {node: Dummy(f"s{node.place}") for node in expression.atoms(Component) if node.state == symbol}
    brackets = {node: Dummy(f"is_{node.label}") for node in expression.atoms(Indicator) if node.state == symbol}
    argument = Dummy("s")
    expression = expression.xreplace({**components, **brackets}).xreplace({symbol: argument})
    made: dict[Any, Callable[..., Any]] = {}

    def evaluate(value: Any) -> Any:
        context = (value[0] if isinstance(value, tuple) else value).context
        if context not in made:
            names = {name: getattr(context, name) for name in dir(context) if not name.startswith("_")}
            names |= {kind.__name__: kind.at for kind in StateFunction.__subclasses__()}
            names |= {"bessel_i": context.besseli, "loggamma": context.loggamma}
            symbols = [argument, *components.values(), *brackets.values()]
            made[context] = lambdify(symbols, expression, modules=[names, "mpmath"])
        places = (*(value[int(node.place)] for node in components), *(int(value == node.label) for node in brackets))
        return context.mpf(made[context](value, *places))

    return evaluate


def _weight(phi: Potential) -> Callable[[Any], Any]:
    exponent = _function(phi(phi.state), phi.state)

    def weight(s: Any) -> Any:
        value = exponent(s)
        if value > 1e12:
            raise OverflowError(value)
        return value.context.exp(value) if value > -1e12 else value.context.zero

    return weight


def _value(expression: Expr) -> Any:
    context = mpmath.MPContext()
    context.dps = 50
    return _function(expression, Dummy("x"))(context.one)


def _assert_moments(unit: Unit, phi: Potential) -> None:
    weight = _weight(phi)
    total = points_of_domain(unit, weight)
    expected = {"Γ": total.context.log(total)}
    found = {"Γ": _value(unit.log_partition(phi))}
    if unit.is_categorical:
        label = phi.labels.index("s")
        for k in unit.states:
            expected[f"the probability of label {k}"] = weight(total.context.mpf(int(k))) / total
            found[f"the probability of label {k}"] = _value(probability(unit, phi).xreplace({label: Integer(int(k))}))
    for place in _places(unit) if unit.has_mean and not unit.is_categorical else ():
        part = _identity if place is None else operator.itemgetter(place)
        mean = points_of_domain(unit, _times(weight, part)) / total
        square = points_of_domain(unit, _times(weight, part, part)) / total
        of = "" if place is None else f" of component {place}"
        moments = (cumulant(unit, phi, order, None if place is None else Integer(place)) for order in (1, 2))
        names = f"the mean Γ′{of}", f"the variance Γ″{of}"
        expected |= dict(zip(names, (mean, square - mean**2), strict=True))
        found |= dict(zip(names, map(_value, moments), strict=True))
    for name, value in expected.items():
        if not abs(found[name] - value) <= _AGREE * max(1, abs(value)):
            raise AssertionError(
                f"{_at(unit, phi)}: {name} from the row is {_short(found[name])}, and {_short(value)} by summing "
                "μ(s) e^φ(s) over the states."
            )


def _identity(s: Any) -> Any:
    return s


def _times(*functions: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda s: math.prod(function(s) for function in functions)


def _places(unit: Unit) -> list[int | None]:
    """Return the components of a state, or None for a state that is a number."""
    return [*range(unit.dimension)] if unit.dimension > 1 else [None]


def _short(value: Any) -> str:
    return f"{float(value):.15g}"


# Floats


def _assert_extremes(unit: Unit, phi: Potential) -> None:
    """Check Γ, Γ′ and Γ″ in strong fields, by NumPy's runtime, which has the arithmetic of the others."""
    x = Dummy("x", real=True)
    own = _argument(unit, phi.state)[0] if unit.dimension > 1 else phi.state
    if unit.statistics is not None:
        own = next(iter(unit.statistics(phi.state).couplings.values()))
    rest = tuple((part, coefficient) for part, coefficient in phi.terms if part != own)
    shifted = Potential((*rest, (own, x)), phi.state, phi.unit)
    gamma = written_out(unit.log_partition(shifted))
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
    """Return whether the value has a finite counterpart in the type."""
    context = mpmath.MPContext()
    context.dps = 60
    try:
        return bool(abs(exact(context.mpf(field))) < float(np.finfo(dtype).max))
    except (ArithmeticError, ValueError):
        return True


def _numpy(expression: Expr, *symbols: Expr) -> Callable[..., Any]:
    """Return an expression as generated NumPy code evaluates it."""
    names = {name: getattr(numpy, name.lower(), None) for name in functions.by_name()}
    known = {name: function for name, function in names.items() if function is not None}
    made: Callable[..., Any] = lambdify(symbols, expression, modules=[known, "numpy"])
    return made


def draws_of(unit: Unit, phi: Potential, count: int, seed: int, dtype: npt.DTypeLike = np.float64) -> Array:
    """Return draws as generated NumPy code makes them; shape (count,), and (count, components) of vectors."""
    drawn_by = unit.sampler_of(phi)
    assert drawn_by is not None
    rows = -(-count // 100)
    streams = row_streams(seed, 0, rows)
    arguments = drawn_by.arguments(phi)
    name = drawn_by.name
    if name == "quantile":
        u = numpy.fine_uniform(streams, 100)
        drawn = np.asarray(_numpy(arguments[0], uniform_number())(u)).astype(dtype)
    elif unit.dimension > 1:
        field = np.tile(_field_of(unit, phi).astype(dtype), (rows, 100, 1))
        drawn = getattr(vectors, f"draw_{name}")(streams, field)
        return np.reshape(drawn, (-1, unit.dimension))[:count]
    elif name == "label":
        label = phi.labels.index("s")
        of_label = (arguments[0].xreplace({label: Integer(int(k))}) for k in unit.states)
        probabilities = np.array([float(_value(expression)) for expression in of_label], dtype)
        drawn = vectors.draw_label(streams, np.tile(probabilities, (rows, 100, 1)))
    elif name == "two_states":
        low, high = map(float, unit.states)
        drawn = numpy.draw(np.full((rows, 100), float(_numpy(arguments[0])()), dtype), streams, low, high)
    else:
        sampler = getattr(numpy, f"draw_{name}", None)
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

    Counts of single states by Pearson's χ²; real numbers by Kolmogorov's statistic; vectors by the averages of their
    components and of the products of two. Each fails by chance less than once in 10⁵ times.

    Args:
        unit: the row.
        potential: φ, as for :func:`assert_unit`.
        draws: how many.
        seed: of the draws.
        dtype: float64 or float32.

    Raises:
        AssertionError: the distributions differ, or a draw is not a state of the unit; the message gives the statistic.
    """
    phi = potential_of(unit, potential)
    drawn = draws_of(unit, phi, draws, seed, dtype)
    what = f"{_at(unit, phi)}, {draws} draws in {np.dtype(dtype)}"
    if drawn.dtype != dtype:
        raise AssertionError(f"{what}: draws are of type {drawn.dtype}.")
    if not np.isfinite(drawn).all():
        raise AssertionError(f"{what}: a draw is {drawn[~np.isfinite(drawn)][0]}.")
    _assert_in_domain(unit, drawn, what)
    if unit.dimension > 1:
        _assert_averages(unit, phi, drawn, what)
    elif unit.is_continuous:
        _assert_density(unit, phi, drawn, what)
    else:
        _assert_counts(unit, phi, drawn, what)


def _assert_in_domain(unit: Unit, drawn: Array, what: str) -> None:
    domain = unit.domain
    values = drawn.astype(np.float64)
    if isinstance(domain, Sphere):
        values = np.linalg.norm(values, axis=1)
        inside = np.abs(values - 1) <= 8 * np.finfo(drawn.dtype).eps
    elif isinstance(domain, Circle):
        inside = np.abs(values) <= np.float64(drawn.dtype.type(math.pi))
    elif isinstance(domain, Interval):
        inside = (values >= float(_end(domain.low, -1))) & (values <= float(_end(domain.high, 1)))
    elif isinstance(domain, Finite):
        inside = np.isin(drawn, np.array([float(s) for s in domain.states], drawn.dtype))
    else:
        last = math.inf if domain.last is None else domain.last
        inside = (values == np.floor(values)) & (values >= domain.first) & (values <= last)
    if not inside.all():
        drew = "a vector of length " if unit.dimension > 1 else ""
        raise AssertionError(f"{what}: {drew}{values[~inside][0]:g} was drawn, and the states are {domain}.")


def _end(bound: Any, sign: int) -> float:
    return sign * math.inf if bound is None else float(bound)


def _bulk(unit: Unit, phi: Potential) -> tuple[float, float]:
    """Return mean ± twelve standard deviations; in the usual distributions 1e-6 of the states are outside."""
    mean, variance = (float(_numpy(cumulant(unit, phi, order))()) for order in (1, 2))
    reach = 12 * math.sqrt(max(variance, 0.0))
    return mean - reach, mean + reach


def _assert_counts(unit: Unit, phi: Potential, drawn: Array, what: str) -> None:
    """Check Pearson's χ² over single states, neighbours taken together where few draws are expected."""
    if unit.is_finite:
        states = [float(state) for state in unit.states]
    else:
        low, high = _bulk(unit, phi)
        states = [float(k) for k in range(max(unit.domain.first, math.floor(low)), math.ceil(high) + 40)]  # type: ignore[union-attr]
    context = mpmath.MPContext()
    context.dps = 30
    logarithm = _function(phi(phi.state) + log_base(unit, phi.state), phi.state)
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


def _field_of(unit: Unit, phi: Potential) -> Array:
    """Return the field in φ(s) = c_0 + Σ_k x_k s_k, for a state that is a vector; shape (components,)."""
    return np.array([float(_numpy(phi.field(Integer(k)))()) for k in range(unit.dimension)])


def _assert_averages(unit: Unit, phi: Potential, drawn: Array, what: str) -> None:
    """Check the averages of components of directions in space, and of products of two, against those of e^{x·s}."""
    # Gauss' rule along one axis and equal steps around it; exact to all digits in fields of order one.
    heights, shares = np.polynomial.legendre.leggauss(40)
    turns = np.arange(80) * math.pi / 40
    z, turn = (part.ravel() for part in np.meshgrid(heights, turns, indexing="ij"))
    states = np.stack([np.sqrt(1 - z * z) * np.cos(turn), np.sqrt(1 - z * z) * np.sin(turn), z], axis=1)
    weights = np.repeat(shares, len(turns)) * np.exp(states @ _field_of(unit, phi))
    weights /= weights.sum()
    values = drawn.astype(np.float64)
    for k, l in [(k, l) for l in (None, 0, 1, 2) for k in range(3) if l is None or k <= l]:
        exact, found = ((s[:, k] if l is None else s[:, k] * s[:, l]) for s in (states, values))
        mean = float(weights @ exact)
        deviation = math.sqrt(max(float(weights @ (exact - mean) ** 2), 1e-30) / len(values))
        deviations = (float(found.mean()) - mean) / deviation
        if abs(deviations) > _MOST_DEVIATIONS:
            name = f"component {k}" if l is None else f"components {k} and {l} multiplied"
            raise AssertionError(
                f"{what}: the average of {name} is {found.mean():.6g}, and {mean:.6g} is expected, {deviations:.1f} "
                "standard deviations away; the draws do not have the density μ(s) e^{φ(s) − Γ}."
            )


def _assert_density(unit: Unit, phi: Potential, drawn: Array, what: str) -> None:
    """Check Kolmogorov's statistic of the draws that are not atoms, and the number of those that are."""
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
    """Return ln μ(s) + φ(s) in float64."""
    exponent = _numpy(phi(phi.state) + expand_log(log_base(unit, phi.state), force=True), phi.state)
    with np.errstate(divide="ignore"):
        return np.asarray(exponent(states)) + np.zeros_like(states)
