"""Sums, products, quotients and powers, as a reader would write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sympy import Add, Derivative, Expr, Mul, Pow, Rational, S, Symbol, erfc, exp, log, loggamma, pi, sqrt

from symbolic.language.binders import IndexBinder
from symbolic.language.expressions import Delta
from symbolic.language.functions import (
    Logsumexp,
    StableFunction,
    bessel_i,
    exprel_mean,
    geomsum_mean,
    lnbessel,
    lnexprel,
    lngeomsum,
    lnmills,
    lnsinhc,
    log1mexp,
    log2cosh,
    mills_mean,
    neg,
    pos,
    softplus,
)
from symbolic.language.layers import Coordinate, State
from symbolic.language.parameters import Entry
from symbolic.language.probability import (
    EnergyCall,
    Expectation,
    FreeEnergy,
    LogPartition,
    Probability,
    SiteProbability,
    UnitProbability,
)
from symbolic.notation.marks import LARGE
from symbolic.notation.names import number, text_of
from symbolic.notation.scope import NOTATION, Scope, notation
from symbolic.notation.tree import (
    DOT,
    MINUS,
    NEGATIVE,
    PLUS,
    TIMES,
    Fraction,
    Marked,
    Number,
    Root,
    Script,
    Setting,
    row,
)

__all__ = ["compact", "is_negative", "open_ended", "spelt", "spread"]

_LOGARITHMS = (softplus, log2cosh, Logsumexp, log1mexp, lnexprel, lngeomsum, lnmills, lnbessel, lnsinhc, loggamma)


def is_negative(term: Expr) -> bool:
    """Return whether a minus sign leads the term."""
    return _quotient(term).negative if isinstance(term, Mul) else bool(term.as_coeff_Mul()[0] < 0)


def spelt(node: Expr) -> Expr:
    """Return what is written for a function that has no notation of its own."""
    while isinstance(node, StableFunction) and type(node) not in NOTATION:
        node = _SPELT[type(node)](*node.args) if type(node) in _SPELT else node.definition()
    return node


def _times(number: Expr, expression: Expr) -> Expr:
    """Return a product that SymPy does not multiply out."""
    return Mul(number, expression, evaluate=False)


def _erfc(x: Expr) -> Expr:
    """Return erfc(−x/√2), whose sign SymPy leaves alone."""
    return erfc(-x / sqrt(2), evaluate=False)


_SPELT: dict[type, Callable[..., Expr]] = {
    lngeomsum: lambda n, x: log((exp(_times(n, x)) - 1) / (exp(x) - 1)),
    geomsum_mean: lambda n, x: n / (1 - exp(_times(-n, x))) - 1 / (1 - exp(_times(S.NegativeOne, x))),
    lnmills: lambda x: x**2 / 2 + log(_erfc(x)) + log(pi / 2) / 2,
    mills_mean: lambda x: x + sqrt(2 / pi) * exp(-(x**2) / 2) / _erfc(x),
    exprel_mean: lambda x: 1 / (1 - exp(_times(S.NegativeOne, x))) - 1 / x,
}


def spread(node: Expr) -> Expr:
    """Return the mean of a rectified unit with its scale multiplied into both terms; any other expression as it is."""
    mean = next((f for f in Mul.make_args(node) if isinstance(f, mills_mean)), None)
    if mean is None or mean == node:
        return node
    return Add(*(term * (node / mean) for term in Add.make_args(spelt(mean))))


def _parts(factor: Expr) -> tuple[Expr, ...]:
    """Return the factors of a function that is written as a product, else the factor itself."""
    plain = spelt(factor)
    return Mul.make_args(plain) if plain != factor and isinstance(plain, Mul) else (factor,)


@dataclass(frozen=True)
class _Quotient:
    """A product as it is written: ± coefficient · above / below.

    Attributes:
        negative: whether a minus sign leads.
        coefficient: a positive rational number.
        above, below: each factor as (factor of the product, what is written), with a positive exponent.
    """

    negative: bool
    coefficient: Rational
    above: tuple[tuple[Expr, Expr], ...]
    below: tuple[tuple[Expr, Expr], ...]


def _quotient(node: Mul) -> _Quotient:
    """Take signs out of sums that are negative throughout, join square roots, and turn √2/2 into 1/√2."""
    coefficient, rest = node.as_coeff_Mul()
    negative, coefficient = bool(coefficient < 0), abs(coefficient)
    sides: tuple[list[tuple[Expr, Expr]], list[tuple[Expr, Expr]]] = ([], [])
    roots: tuple[list[tuple[Expr, Expr]], list[tuple[Expr, Expr]]] = ([], [])
    factors = [(factor, part) for factor in Mul.make_args(rest) for part in _parts(factor)]
    for original, factor in factors:
        if factor.is_Rational:
            coefficient *= factor
            continue
        base, power = (factor.base, factor.exp) if isinstance(factor, Pow) else (factor, S.One)
        below = isinstance(factor, Pow) and power.could_extract_minus_sign()
        power = -power if below else power
        if power == S.Half:
            if base.is_Integer and not below and coefficient.q % int(base) == 0:
                coefficient, below = coefficient * base, True
            same = next((pair for pair in roots[below] if pair[1] == base), None)
            if same is not None:
                roots[below].remove(same)
                sides[below].append(same)
                continue
            roots[below].append((original, base))
            continue
        if isinstance(base, Add) and power.is_Integer:
            odd = power.is_odd
            signs = {bool(term.as_coeff_Mul()[0] < 0) for term in base.args}
            constant = any(term.is_number for term in base.args)
            # −1/(Σ − r) is 1/(r − Σ); a sum that a number leads stays as it is.
            if signs == {True} or (below and odd and negative and len(signs) == 2 and not constant):
                base, negative = -base, negative != odd
        sides[below].append((original, base if power == 1 else Pow(base, power, evaluate=False)))
    for side, found in zip(sides, roots, strict=True):
        if found:
            inside = sorted((base for _, base in found), key=lambda base: not base.is_number)
            body = inside[0] if len(inside) == 1 else Mul(*inside, evaluate=False)
            side.append((found[0][0], Pow(body, S.Half, evaluate=False)))
    return _Quotient(negative, coefficient, tuple(sides[0]), tuple(sides[1]))


@notation(Add)
def _add(scope: Scope, node: Add) -> Setting:
    parts: list[Setting] = []
    for term in sorted(node.args, key=partial(_term_key, scope)):
        negative = is_negative(term)
        sign = ([MINUS] if negative else [PLUS]) if parts else ([NEGATIVE] if negative else [])
        role = scope.located.arguments.get((node, term))
        shown = _unsigned(scope, term) if negative else scope.set(term)
        if negative and role is None:
            role = scope.located.nodes.get(term)
        parts += [*sign, shown if role is None else Marked(role, shown)]
    return row(*parts)


def _term_key(scope: Scope, term: Expr) -> tuple[Any, ...]:
    """Order positive terms first; then plain ones before sums, double sums before single ones, and v before h."""
    _, rest = term.as_coeff_Mul()
    big = next((f for f in Mul.make_args(rest) if isinstance(f, LARGE)), None)
    indices = big.indices if isinstance(big, IndexBinder) else ()
    first = min((scope.position(i.layer) for i in indices), default=0)
    # A constant leads (1 + e^x), and an average over fewer layers comes before one over more.
    weight = len(rest.averaged_over) if isinstance(rest, Expectation) else 0
    return is_negative(term), big is not None, -len(indices), first, not term.is_Number, weight, str(rest)


def _unsigned(scope: Scope, term: Expr) -> Setting:
    """Set a negative term without its sign."""
    return _written(scope, term, _quotient(term)) if isinstance(term, Mul) else scope.set(-term)


@notation(Mul)
def _mul(scope: Scope, node: Mul) -> Setting:
    quotient = _quotient(node)
    shown = _written(scope, node, quotient)
    return row(NEGATIVE, shown) if quotient.negative else shown


def _written(scope: Scope, node: Mul, quotient: _Quotient) -> Setting:
    coefficient, above, below = quotient.coefficient, quotient.above, quotient.below
    if not below:
        leading = [] if coefficient == 1 and above else [number(scope, coefficient)]
        return _product(scope, node, above, leading, quotient.negative)
    denominator = _product(scope, node, below, [Number(str(coefficient.q))] if coefficient.q != 1 else [])
    # A derivative not yet carried out stays behind its factor: (1/Σ) · ∂/∂w Σ, as the lecture writes it.
    if any(shown.has(Derivative) for _, shown in above):
        one_over = Fraction(Number(str(coefficient.p)), denominator)
        located = scope.located
        roles = (located.arguments.get((node, f)) or located.nodes.get(f) for f, _ in below)
        role = next(filter(None, roles), None)
        return row(one_over if role is None else Marked(role, one_over), DOT, _product(scope, node, above, []))
    leading = [Number(str(coefficient.p))] if coefficient.p != 1 or not above else []
    return Fraction(_product(scope, node, above, leading), denominator)


def _product(
    scope: Scope, node: Expr, factors: Iterable[tuple[Expr, Expr]], leading: list[Setting], signed: bool = False
) -> Setting:
    """Set factors in reading order after ``leading``; ``signed`` is whether a minus sign comes before them."""
    ordered = sorted(factors, key=lambda factor: _factor_key(scope, factor[1]))
    parts: list[Setting] = list(leading)
    group: list[Setting] = []
    group_role: str | None = None

    def close() -> None:
        nonlocal group
        if group:
            parts.append(row(*group) if group_role is None else Marked(group_role, row(*group)))
        group = []

    alone = len(ordered) + len(leading) + signed == 1
    for position, (original, factor) in enumerate(ordered):
        last = position == len(ordered) - 1
        sum_like = isinstance(spelt(factor), Add)
        shown = scope.fenced_if(not alone and (sum_like or (not last and open_ended(factor))), factor)
        role = scope.located.arguments.get((node, original))
        if role is None and factor != original:
            role = scope.located.nodes.get(original)
        joint: Setting | None = (DOT if isinstance(factor, Derivative) else TIMES) if parts or group else None
        if factor is pi and parts == leading and not group:
            joint = None
        if role != group_role or role is None:
            close()
            if joint is not None:
                parts.append(joint)
        elif joint is not None:
            group.append(joint)
        group_role = role
        group.append(shown)
    close()
    return row(*parts)


def _factor_key(scope: Scope, factor: Expr) -> tuple[Any, ...]:
    base = factor.base if isinstance(factor, Pow) else factor
    where: tuple[Any, ...] = ()
    match base:
        case _ if base is S.Exp1 or (base.is_number and isinstance(factor, Pow)):
            rank = -1
        case Probability() | UnitProbability() | SiteProbability():
            rank = 1
        case exp():
            rank = 0 if isinstance(-base.args[0], LogPartition) else 2  # 1/Z leads
        case Entry() if len(base.indices) < 2:
            rank = 3
        case State():
            rank, where = 4, (scope.position(base.layer), text_of(scope.set(base.index)))
        case Coordinate():
            rank, where = 4, (scope.position(base.state.layer), text_of(scope.set(base.state.index)))
        case Entry():
            rank = 5
        case Delta():
            rank = 6
        case Symbol():
            rank = 0
        case Derivative() if not open_ended(base):
            rank = 10
        case Add():
            rank = 9
        case _ if open_ended(base):
            rank = 11
        case _:
            rank = 8
    return rank, *where, str(factor)


@notation(Pow)
def _power(scope: Scope, node: Pow) -> Setting:
    if node.exp.could_extract_minus_sign():
        return _written(scope, node, _quotient(node))
    if node.exp == S.Half:
        return Root(scope.set(node.base))
    base = node.base
    simple = (
        base is pi
        or isinstance(base, (Symbol, Entry, pos, neg, bessel_i))
        or (isinstance(base, State) and not base.configuration.label)
    )
    if simple:
        shown = scope.set(base)
        exponent = _exponent(scope, node.exp)
        if isinstance(shown, Script) and shown.above is None:
            return Script(shown.base, shown.below, exponent)
        return Script(shown, None, exponent)
    return Script(scope.fenced_if(not base.is_Integer, base), None, _exponent(scope, node.exp))


def _exponent(scope: Scope, power: Expr) -> Setting:
    if power.is_Rational and not power.is_Integer:
        return Number(f"{power.p}/{power.q}")
    return scope.set(power)


def compact(inside: Expr) -> bool:
    """Return whether its derivative is one fraction, ∂f/∂w, rather than an operator before it, ∂/∂w Σ."""
    _, rest = inside.as_coeff_Mul()
    if isinstance(rest, log):
        rest = rest.args[0]
    return isinstance(
        rest, (Probability, UnitProbability, SiteProbability, EnergyCall, FreeEnergy, LogPartition, exp, State, Entry)
    )


def open_ended(node: Expr) -> bool:
    """Return whether a reader would take what follows it as part of it."""
    return isinstance(node, (*LARGE, log, LogPartition, *_LOGARITHMS)) or (
        isinstance(node, Derivative) and not compact(node.expr)
    )
