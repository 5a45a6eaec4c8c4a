"""From a SymPy expression to its layout, in the order and notation of the lecture RBM Mathematics (module 11.2).

SymPy keeps sums and products in an order of its own, and binders canonical index names. Here they get the lecture's:
probabilities before Boltzmann factors before states before couplings, v before h, negative terms last unless they lead,
configurations in bold with their label as a superscript, and dummy indices called k, l, ... such that none is captured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sympy import (
    Add,
    Derivative,
    Expr,
    Function,
    Integer,
    Mul,
    Pow,
    Rational,
    S,
    Symbol,
    binomial,
    erfc,
    exp,
    factorial,
    log,
    loggamma,
    pi,
    sqrt,
)
from sympy.core.basic import Basic

from symbolic.errors import SymbolicError
from symbolic.language.binders import BaseMeasure, ConfigSum, IndexBinder, IndexProduct, IndexSum, UnitSum
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
    nonzero,
    pos,
    sigmoid,
    sinhc_slope,
    softplus,
)
from symbolic.language.layers import (
    Component,
    Configuration,
    Coordinate,
    Delta,
    Entry,
    Index,
    Indicator,
    Layer,
    Parameter,
    State,
)
from symbolic.language.probability import (
    EnergyCall,
    EnergyFunction,
    Expectation,
    FreeEnergy,
    LogPartition,
    Probability,
    SiteEnergy,
    SiteProbability,
    UnitProbability,
)
from symbolic.notation.tree import (
    APPLY,
    DOT,
    EQUALS,
    GIVEN,
    INTEGRAL,
    MINUS,
    NEGATIVE,
    PARTIAL,
    PLUS,
    THIN,
    TIMES,
    BigOperator,
    Fence,
    Fraction,
    FunctionName,
    Identifier,
    Layout,
    Marked,
    Number,
    Operator,
    Root,
    Script,
    comma_row,
    row,
)
from symbolic.units import Domain, Integers, Interval, Sphere, Unit, lookup

__all__ = ["conditions", "equation", "reading_order", "typeset"]

_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho ς "
    "sigma tau upsilon phi chi psi omega"
)
GREEK = {name: chr(0x3B1 + place) for place, name in enumerate(_GREEK_NAMES.split()) if name.isascii()}

# k and l for the first two layers, as the lecture's i and j; q comes late because it has no Unicode subscript.
_DUMMIES = "klrstmqxyz"

_BIG = (ConfigSum, IndexBinder, UnitSum)
_LOGARITHMS = (softplus, log2cosh, Logsumexp, log1mexp, lnexprel, lngeomsum, lnmills, lnbessel, lnsinhc, loggamma)


def typeset(
    expression: Expr,
    *,
    layers: Iterable[Layer] = (),
    names: Mapping[Index, str] | None = None,
    marks: Mapping[Expr, str] | None = None,
    taken: Iterable[str] = (),
) -> Layout:
    """The layout of an expression.

    Args:
        expression: any expression in the nodes of :mod:`symbolic.language`.
        layers: the layers in reading order; by default the energy's own order, where the expression names the energy.
        names: what free indices are called, where that is not their own name: ``{i: "1"}`` prints w_1j.
        marks: parts to be marked, and as what. A part that SymPy has merged into a larger sum or product is found
            there, term by term or factor by factor; a part that does not occur is left out.
        taken: names that no dummy index may get, besides the free ones of the expression.

    Raises:
        SymbolicError: the expression holds a node that has no notation.
    """
    order = tuple(layers) or reading_order(expression)
    expression = _spread(expression)
    setter = _Typesetter(order, dict(names or {}), _reserved(expression, taken), _locate(expression, marks or {}))
    return setter.layout(expression)


def equation(left: Expr, right: Expr, **options: Any) -> Layout:
    """``left`` = ``right``; a dummy of one side never takes the name of a free index of the other."""
    options.setdefault("layers", reading_order(left, right))
    taken = {*options.pop("taken", ()), *_reserved(left), *_reserved(right)}
    sides = (typeset(side, taken=taken, **options) for side in (left, right))
    return row(next(sides), EQUALS, next(sides))


def conditions(positive: Iterable[Expr], **options: Any) -> Layout:
    """Return expressions that are positive, as "a > 0, b > 0"; 1 − δ_im reads i ≠ m."""
    return comma_row([_condition(expression, **options) for expression in positive])


def _condition(positive: Expr, **options: Any) -> Layout:
    apart = 1 - positive
    if isinstance(apart, Delta):
        a, b = (typeset(side, **options) for side in apart.args)
        return row(a, Operator("≠"), b)
    return row(typeset(positive, **options), Operator(">"), Number("0"))


def reading_order(*expressions: Expr) -> tuple[Layer, ...]:
    """The layers of expressions, in the order they are read: the energy's, else the order of the parameters' axes."""
    functions = {f for e in expressions for f in e.atoms(EnergyFunction)}
    known: dict[Layer, None] = {}
    for function in sorted(functions, key=lambda f: tuple(layer.name for layer in f.layers)):
        known |= dict.fromkeys(function.layers)
    parameters = {p for e in expressions for p in e.atoms(Parameter)}
    for parameter in sorted(parameters, key=lambda p: (-len(p.layers), p.name)):
        known |= dict.fromkeys(parameter.layers)
    rest = {c.layer for e in expressions for c in e.atoms(Configuration)}
    rest |= {i.layer for e in expressions for i in e.atoms(Index)}
    known |= dict.fromkeys(sorted(rest, key=lambda layer: (layer.name[0] in "hz", layer.name)))
    return tuple(known)


def _reserved(expression: Expr, taken: Iterable[str] = ()) -> frozenset[str]:
    free = {s.name for s in expression.free_symbols if isinstance(s, Index)}
    labels = {c.label for c in expression.atoms(Configuration)}
    things = {p.name for p in expression.atoms(Parameter)}
    things |= {c.layer.name for c in expression.atoms(Configuration)}
    return frozenset(free | labels | things | set(taken))


# Where the parts to be marked are


class _Located:
    """Roles of whole nodes, and of some arguments of a sum or product."""

    def __init__(self) -> None:
        self.nodes: dict[Basic, str] = {}
        self.arguments: dict[tuple[Basic, Basic], str] = {}


def _locate(expression: Expr, marks: Mapping[Expr, str]) -> _Located:
    located = _Located()
    for part, role in marks.items():
        for candidate in (part, -part):
            if _locate_one(expression, candidate, role, located):
                break
    return located


def _locate_one(expression: Expr, part: Expr, role: str, located: _Located) -> bool:
    if part.is_Number:
        return False
    if _occurs(expression, part):
        located.nodes[part] = role
        return True
    if not isinstance(part, (Add, Mul)):
        return False
    wanted = {a for a in part.args if not a.is_Number}
    hosts = [n for n in _nodes(expression) if isinstance(n, type(part)) and wanted & set(n.args)]
    if not hosts:
        # What surrounded it may have cancelled; the large pieces that are left are what was made.
        pieces = [a for a in wanted if isinstance(a, _BIG) and _occurs(expression, a)]
        located.nodes |= dict.fromkeys(pieces, role)
        return bool(pieces)
    most = max(len(wanted & set(host.args)) for host in hosts)
    for host in hosts:
        shared = wanted & set(host.args)
        if len(shared) == most:
            located.arguments |= {(host, argument): role for argument in shared}
    return True


def _nodes(expression: Basic) -> Iterable[Basic]:
    yield expression
    if not isinstance(expression, EnergyFunction):
        for argument in expression.args:
            yield from _nodes(argument)


def _occurs(expression: Expr, part: Expr) -> bool:
    return any(node == part for node in _nodes(expression))


# Typesetting


def _identifier(name: str) -> tuple[Layout, str]:
    """A name as an italic letter (or an upright word) and a number that belongs in its subscript: h1 is h with 1."""
    stem = name.rstrip("0123456789")
    number = name[len(stem) :]
    stem = stem.rstrip("_") or name
    return Identifier(GREEK.get(stem, stem)), number


def _subscript(number: str, indices: list[Layout]) -> Layout | None:
    """Indices run together (w_ij) unless one is longer than a sign (w_1,12)."""
    parts: list[Layout] = [Number(number)] if number else []
    if all(len(_text_of(index)) == 1 for index in indices):
        parts += [row(*indices)] if indices else []
    else:
        parts += indices
    return comma_row(parts) if parts else None


def _text_of(layout: Layout) -> str:
    match layout:
        case Identifier(name):
            return name
        case Number(text):
            return text
    return "  "


def _scripted(base: Layout, below: Layout | None = None, above: Layout | None = None) -> Layout:
    return base if below is None and above is None else Script(base, below, above)


def _negative(term: Expr) -> bool:
    return _quotient(term).negative if isinstance(term, Mul) else bool(term.as_coeff_Mul()[0] < 0)


def _spelt(node: Expr) -> Expr:
    """What is written for a function that has no notation of its own."""
    while isinstance(node, StableFunction) and type(node) not in _NOTATION:
        node = _SPELT[type(node)](*node.args) if type(node) in _SPELT else node.definition()
    return node


def _times(number: Expr, expression: Expr) -> Expr:
    """A product that SymPy does not multiply out."""
    return Mul(number, expression, evaluate=False)


def _erfc(x: Expr) -> Expr:
    """erfc(−x/√2), whose sign SymPy leaves alone."""
    return erfc(-x / sqrt(2), evaluate=False)


_SPELT: dict[type, Callable[..., Expr]] = {
    lngeomsum: lambda n, x: log((exp(_times(n, x)) - 1) / (exp(x) - 1)),
    geomsum_mean: lambda n, x: n / (1 - exp(_times(-n, x))) - 1 / (1 - exp(_times(S.NegativeOne, x))),
    lnmills: lambda x: x**2 / 2 + log(_erfc(x)) + log(pi / 2) / 2,
    mills_mean: lambda x: x + sqrt(2 / pi) * exp(-(x**2) / 2) / _erfc(x),
    exprel_mean: lambda x: 1 / (1 - exp(_times(S.NegativeOne, x))) - 1 / x,
}


def _spread(node: Expr) -> Expr:
    """The mean of a rectified unit with its scale multiplied into both of its terms; else the expression itself."""
    mean = next((f for f in Mul.make_args(node) if isinstance(f, mills_mean)), None)
    if mean is None or mean == node:
        return node
    return Add(*(term * (node / mean) for term in Add.make_args(_spelt(mean))))


def _parts(factor: Expr) -> tuple[Expr, ...]:
    """The factors of a function that is written as a product, else the factor itself."""
    plain = _spelt(factor)
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
    """Signs out of sums that are negative throughout, square roots together, and 1/√2 for √2/2."""
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


class _Typesetter:
    def __init__(
        self,
        order: tuple[Layer, ...],
        names: dict[Index, str],
        taken: frozenset[str],
        located: _Located,
    ):
        self.order = order
        self.names = names
        self.taken = taken
        self.located = located

    def layout(self, node: Expr) -> Layout:
        """The layout of a node, marked if it is to be."""
        role = self.located.nodes.get(node)
        plain = self._plain(node)
        return plain if role is None else Marked(role, plain)

    def _plain(self, node: Expr) -> Layout:
        for kind in type(node).__mro__:
            printer = _NOTATION.get(kind)
            if printer is not None:
                return printer(self, node)
        raise SymbolicError(
            f"there is no notation for {type(node).__name__} (in {node}); an expression is made of the nodes of "
            "symbolic.language and SymPy's sums, products, powers, exp and log."
        )

    # Atoms

    def number(self, node: Expr) -> Layout:
        size = abs(node)
        plain: Layout = Number(str(size)) if size.is_Integer else Fraction(Number(str(size.p)), Number(str(size.q)))
        return row(NEGATIVE, plain) if node < 0 else plain

    def pi(self, node: Expr) -> Layout:
        return Identifier("π")

    def e(self, node: Expr) -> Layout:
        return Identifier("e")

    def symbol(self, node: Symbol) -> Layout:
        head, _, tail = node.name.partition("_")
        if tail:
            return Script(_identifier(head)[0], _identifier(tail)[0])
        base, number = _identifier(node.name)
        return _scripted(base, _subscript(number, []))

    def index(self, node: Index) -> Layout:
        name = self.names.get(node, node.name)
        return Number(name) if name.isdigit() else Identifier(GREEK.get(name, name))

    def configuration(self, node: Configuration) -> Layout:
        base, number = _identifier(node.layer.name)
        assert isinstance(base, Identifier)
        bold = Identifier(base.name, bold=True)
        return _scripted(bold, _subscript(number, []), self._label(node))

    def _label(self, configuration: Configuration) -> Layout | None:
        if not configuration.label:
            return None
        return Identifier(configuration.label.replace("''", "″").replace("'", "′"))

    def state(self, node: State) -> Layout:
        base, number = _identifier(node.layer.name)
        return _scripted(base, _subscript(number, [self.layout(node.index)]), self._label(node.configuration))

    def component(self, node: Component) -> Layout:
        state = node.state
        base, number = _identifier(state.layer.name)
        places = [self.layout(state.index), self.layout(node.place)]
        return _scripted(base, _subscript(number, places), self._label(state.configuration))

    def entry(self, node: Entry) -> Layout:
        base, number = _identifier(node.parameter.name)
        indices = [self.layout(index) for index in node.indices]
        if node.parameter.symmetric:
            indices.sort(key=_text_of)
        return _scripted(base, _subscript(number, indices))

    def delta(self, node: Delta) -> Layout:
        return Script(Identifier("δ"), comma_row(sorted(map(self.layout, node.args), key=_text_of)))

    def indicator(self, node: Indicator) -> Layout:
        return Fence("[", "]", row(self.layout(node.state), EQUALS, self.layout(node.label)))

    # Sums, products and powers

    def add(self, node: Add) -> Layout:
        parts: list[Layout] = []
        for term in sorted(node.args, key=self._term_key):
            negative = _negative(term)
            sign = ([MINUS] if negative else [PLUS]) if parts else ([NEGATIVE] if negative else [])
            role = self.located.arguments.get((node, term))
            shown = self._unsigned(term) if negative else self.layout(term)
            if negative and role is None:
                role = self.located.nodes.get(term)
            parts += [*sign, shown if role is None else Marked(role, shown)]
        return row(*parts)

    def _term_key(self, term: Expr) -> tuple[Any, ...]:
        """Positive terms first; then plain ones before sums, double sums before single ones, and v before h."""
        _, rest = term.as_coeff_Mul()
        big = next((f for f in Mul.make_args(rest) if isinstance(f, _BIG)), None)
        indices = big.indices if isinstance(big, IndexBinder) else ()
        first = min((self._position(i.layer) for i in indices), default=0)
        # A constant leads (1 + e^x), and an average over fewer layers comes before one over more.
        weight = len(rest.averaged_over) if isinstance(rest, Expectation) else 0
        return _negative(term), big is not None, -len(indices), first, not term.is_Number, weight, str(rest)

    def _position(self, layer: Layer) -> int:
        return self.order.index(layer) if layer in self.order else len(self.order)

    def _unsigned(self, term: Expr) -> Layout:
        """A negative term without its sign."""
        return self._written(term, _quotient(term)) if isinstance(term, Mul) else self.layout(-term)

    def mul(self, node: Mul) -> Layout:
        quotient = _quotient(node)
        shown = self._written(node, quotient)
        return row(NEGATIVE, shown) if quotient.negative else shown

    def _written(self, node: Mul, quotient: _Quotient) -> Layout:
        coefficient, above, below = quotient.coefficient, quotient.above, quotient.below
        if not below:
            leading = [] if coefficient == 1 and above else [self.number(coefficient)]
            return self._product(node, above, leading, quotient.negative)
        denominator = self._product(node, below, [Number(str(coefficient.q))] if coefficient.q != 1 else [])
        # A derivative not yet carried out stays behind its factor: (1/Σ) · ∂/∂w Σ, as the lecture writes it.
        if any(shown.has(Derivative) for _, shown in above):
            one_over = Fraction(Number(str(coefficient.p)), denominator)
            located = self.located
            roles = (located.arguments.get((node, f)) or located.nodes.get(f) for f, _ in below)
            role = next(filter(None, roles), None)
            return row(one_over if role is None else Marked(role, one_over), DOT, self._product(node, above, []))
        leading = [Number(str(coefficient.p))] if coefficient.p != 1 or not above else []
        return Fraction(self._product(node, above, leading), denominator)

    def _product(
        self, node: Expr, factors: Iterable[tuple[Expr, Expr]], leading: list[Layout], signed: bool = False
    ) -> Layout:
        """Factors in reading order after ``leading``; ``signed`` is whether a minus sign comes before them."""
        ordered = sorted(factors, key=lambda factor: self._factor_key(factor[1]))
        parts: list[Layout] = list(leading)
        group: list[Layout] = []
        group_role: str | None = None

        def close() -> None:
            nonlocal group
            if group:
                parts.append(row(*group) if group_role is None else Marked(group_role, row(*group)))
            group = []

        alone = len(ordered) + len(leading) + signed == 1
        for position, (original, factor) in enumerate(ordered):
            last = position == len(ordered) - 1
            sum_like = isinstance(_spelt(factor), Add)
            shown = self._fenced_if(not alone and (sum_like or (not last and _open_ended(factor))), factor)
            role = self.located.arguments.get((node, original))
            if role is None and factor != original:
                role = self.located.nodes.get(original)
            joint: Layout | None = (DOT if isinstance(factor, Derivative) else TIMES) if parts or group else None
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

    def _factor_key(self, factor: Expr) -> tuple[Any, ...]:
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
                rank, where = 4, (self._position(base.layer), _text_of(self.layout(base.index)))
            case Coordinate():
                rank, where = 4, (self._position(base.state.layer), _text_of(self.layout(base.state.index)))
            case Entry():
                rank = 5
            case Delta():
                rank = 6
            case Symbol():
                rank = 0
            case Derivative() if not _open_ended(base):
                rank = 10
            case Add():
                rank = 9
            case _ if _open_ended(base):
                rank = 11
            case _:
                rank = 8
        return rank, *where, str(factor)

    def _fenced_if(self, condition: bool, node: Expr) -> Layout:
        shown = self.layout(node)
        return Fence("(", ")", shown) if condition else shown

    def power(self, node: Pow) -> Layout:
        if node.exp.could_extract_minus_sign():
            return self._written(node, _quotient(node))
        if node.exp == S.Half:
            return Root(self.layout(node.base))
        base = node.base
        simple = (
            base is pi
            or isinstance(base, (Symbol, Entry, pos, neg, bessel_i))
            or (isinstance(base, State) and not base.configuration.label)
        )
        if simple:
            shown = self.layout(base)
            exponent = self._exponent(node.exp)
            if isinstance(shown, Script) and shown.above is None:
                return Script(shown.base, shown.below, exponent)
            return Script(shown, None, exponent)
        return Script(self._fenced_if(not base.is_Integer, base), None, self._exponent(node.exp))

    def _exponent(self, power: Expr) -> Layout:
        if power.is_Rational and not power.is_Integer:
            return Number(f"{power.p}/{power.q}")
        return self.layout(power)

    def exponential(self, node: exp) -> Layout:
        inside = node.args[0]
        if isinstance(inside, LogPartition):
            return self._partition_function(inside)
        if isinstance(-inside, LogPartition):
            return Fraction(Number("1"), self._partition_function(-inside))
        return Script(Identifier("e"), None, self.layout(node.args[0]))

    def logarithm(self, node: log) -> Layout:
        return row(FunctionName("ln"), self._argument(node.args[0]))

    def _argument(self, inside: Expr) -> Layout:
        """What stands after ln: in brackets, unless it is a name, a root or one sign applied to something."""
        plain = _spelt(inside)
        bare = isinstance(plain, Pow) and plain.exp == S.Half
        return self._fenced_if(not bare and (isinstance(plain, (Add, Mul, Pow)) or _negative(plain)), inside)

    # Functions

    def softplus(self, node: softplus) -> Layout:
        inside = row(Number("1"), PLUS, Script(Identifier("e"), None, self.layout(node.args[0])))
        return row(FunctionName("ln"), Fence("(", ")", inside))

    def sigmoid(self, node: sigmoid) -> Layout:
        return row(Identifier("σ"), APPLY, Fence("(", ")", self.layout(node.args[0])))

    def log2cosh(self, node: log2cosh) -> Layout:
        inside = row(Number("2"), TIMES, FunctionName("cosh"), Fence("(", ")", self.layout(node.args[0])))
        return row(FunctionName("ln"), Fence("(", ")", inside))

    def log_gamma(self, node: loggamma) -> Layout:
        return row(FunctionName("ln"), Identifier("Γ"), APPLY, Fence("(", ")", self.layout(node.args[0])))

    def bessel(self, node: bessel_i) -> Layout:
        order, argument = node.args
        return row(Script(Identifier("I"), self.layout(order), None), APPLY, Fence("(", ")", self.layout(argument)))

    def log_sinhc(self, node: lnsinhc) -> Layout:
        root = Root(self.layout(node.args[0]))
        return row(FunctionName("ln"), Fence("(", ")", Fraction(row(FunctionName("sinh"), root), root)))

    def langevin(self, node: sinhc_slope) -> Layout:
        """(coth √z − 1/√z) / √z."""
        root = Root(self.layout(node.args[0]))
        return Fraction(row(FunctionName("coth"), root, MINUS, Fraction(Number("1"), root)), root)

    def part(self, node: pos | neg) -> Layout:
        name = "max" if isinstance(node, pos) else "min"
        return row(FunctionName(name), Fence("(", ")", comma_row([self.layout(node.args[0]), Number("0")])))

    def bracket(self, node: nonzero) -> Layout:
        """Iverson's bracket."""
        return Fence("[", "]", row(self.layout(node.args[0]), Operator("≠", "infix"), Number("0")))

    def factorial(self, node: Expr) -> Layout:
        inside = node.args[0]
        return row(self._fenced_if(isinstance(inside, (Add, Mul, Pow)), inside), Operator("!", "postfix"))

    def binomial(self, node: Expr) -> Layout:
        n, k = node.args
        return Fraction(self.factorial(factorial(n, evaluate=False)), self._choices(n, k))

    def _choices(self, n: Expr, k: Expr) -> Layout:
        return row(
            self.factorial(factorial(k, evaluate=False)), TIMES, self.factorial(factorial(n - k, evaluate=False))
        )

    def stable_function(self, node: StableFunction) -> Layout:
        return self.layout(_spelt(node))

    def function(self, node: Function) -> Layout:
        arguments = comma_row([self.layout(argument) for argument in node.args])
        return row(FunctionName(type(node).__name__), Fence("(", ")", arguments))

    # Probability

    def _call(self, name: str, arguments: Iterable[Expr]) -> Layout:
        return row(Identifier(name), APPLY, Fence("(", ")", comma_row([self.layout(a) for a in arguments])))

    def energy_call(self, node: EnergyCall) -> Layout:
        return self._call(node.function.name, node.configurations)

    def free_energy(self, node: FreeEnergy) -> Layout:
        return self._call("F", node.given)

    def log_partition(self, node: LogPartition) -> Layout:
        return row(FunctionName("ln"), self._partition_function(node))

    def _partition_function(self, node: LogPartition) -> Layout:
        """Z, or Z(x) where layers are given."""
        return self._call("Z", node.function.inputs) if node.function.inputs else Identifier("Z")

    def probability(self, node: Probability) -> Layout:
        return self._distribution(node.subject, node.given)

    def unit_probability(self, node: UnitProbability) -> Layout:
        return self._distribution((node.state,), node.given)

    def _distribution(self, subject: tuple[Expr, ...], given: tuple[Expr, ...]) -> Layout:
        inside = comma_row([self.layout(s) for s in subject])
        if given:
            inside = row(inside, GIVEN, comma_row([self.layout(c) for c in given]))
        return row(Identifier("p"), APPLY, Fence("(", ")", inside))

    def site_probability(self, node: SiteProbability) -> Layout:
        """p(h_j ∣ v, h_{∖j}): all other units of the layer are given."""
        given = comma_row([*(self.layout(c) for c in node.given), self._elsewhere(node.state)])
        return row(Identifier("p"), APPLY, Fence("(", ")", row(self.layout(node.value), GIVEN, given)))

    def site_energy(self, node: SiteEnergy) -> Layout:
        others = [c for c in node.function().configurations if c != node.state.configuration]
        arguments = [*map(self.layout, others), self.layout(node.value), self._elsewhere(node.state)]
        return row(Identifier(node.function.name), APPLY, Fence("(", ")", comma_row(arguments)))

    def _elsewhere(self, state: State) -> Layout:
        rest = row(Operator("∖", "prefix"), self.layout(state.index))
        layer = self.configuration(state.configuration)
        return Script(layer, rest) if not isinstance(layer, Script) else row(layer, rest)

    def expectation(self, node: Expectation) -> Layout:
        averaged = sorted(node.averaged_over, key=self._position)
        below = row(*(self.layout(Configuration(layer)) for layer in averaged))
        body = self.layout(node.displayed())
        return Script(Fence("⟨", "⟩", body, spoken="expected value of"), below)

    # Derivatives

    def derivative(self, node: Derivative) -> Layout:
        inside = node.expr
        variables = [self.layout(variable) for variable in node.variables]
        below = row(*(part for variable in variables for part in (PARTIAL, variable)))
        sign: Layout = PARTIAL if len(variables) == 1 else Script(PARTIAL, None, Number(str(len(variables))))
        if _compact(inside):
            return Fraction(row(sign, self._fenced_if(_negative(inside), inside)), below)
        fenced = isinstance(inside, (Add, Mul)) or _negative(inside)
        return row(Fraction(sign, below), self._fenced_if(fenced, inside))

    # Binders

    def _under(self, indices: Iterable[Index], body: Expr) -> tuple[Layout, Layout]:
        """What stands below the operator, and its body, with readable names for the bound indices."""
        shown_names = set(self.names.values())
        inner = dict(self.names)
        ordered = sorted(indices, key=lambda i: (self._position(i.layer), i.name))
        for index in ordered:
            name = _dummy(self._position(index.layer), len(self.order), self.taken | shown_names)
            inner[index] = name
            shown_names.add(name)
        scope = _Typesetter(self.order, inner, self.taken, self.located)
        return comma_row([scope.index(index) for index in ordered]), scope._operand(body)

    def _operand(self, body: Expr) -> Layout:
        return self._fenced_if(isinstance(body, Add) or _negative(body), body)

    def index_sum(self, node: IndexSum) -> Layout:
        below, body = self._under(node.indices, node.body)
        return row(BigOperator("∑", below), body)

    def index_product(self, node: IndexProduct) -> Layout:
        below, body = self._under(node.indices, node.body)
        return row(BigOperator("∏", below), body)

    def config_sum(self, node: ConfigSum) -> Layout:
        """∑ over the labels of layers with separate states, ∫ over layers of real numbers."""
        units = {c: lookup(c.layer.unit) for c in node.configurations}
        listed = [c for c in node.configurations if not units[c].is_continuous]
        integrated = [c for c in node.configurations if units[c].is_continuous]
        parts: list[Layout] = []
        if listed:
            parts.append(BigOperator("∑", comma_row([Identifier(c.label or c.layer.name) for c in listed])))
        parts += [INTEGRAL] * len(integrated)
        for configuration in node.configurations:
            parts += [] if units[configuration].base is None else [self._measure(configuration), TIMES]
        parts.append(self._operand(node.body))
        for configuration in integrated:
            parts += [THIN, Identifier("d"), self._variable(units[configuration], configuration)]
        return row(*parts)

    def unit_sum(self, node: UnitSum) -> Layout:
        unit = lookup(node.state.layer.unit)
        measure = [] if unit.base is None else [self._measure(node.state), TIMES]
        body = self._operand(node.body)
        if isinstance(unit.domain, Integers):
            first, last = Integer(unit.domain.first), unit.domain.last
            end = Identifier("∞") if last is None else Number(str(last))
            return row(BigOperator("∑", row(self.layout(node.state), EQUALS, self.number(first)), end), *measure, body)
        if not unit.is_continuous:
            return row(BigOperator("∑", self.layout(node.state)), *measure, body)
        low, high = self._ends(unit.domain)
        variable = self._variable(unit, node.state)
        return row(Script(INTEGRAL, low, high), *measure, body, THIN, Identifier("d"), variable)

    def _ends(self, domain: Domain) -> tuple[Layout, Layout | None]:
        if isinstance(domain, Sphere):
            return Script(Identifier("S"), None, Number(str(domain.dimension - 1))), None
        if not isinstance(domain, Interval):
            return row(NEGATIVE, Identifier("π")), Identifier("π")
        low = row(NEGATIVE, Identifier("∞")) if domain.low is None else self.number(_rational(domain.low))
        return low, Identifier("∞") if domain.high is None else self.number(_rational(domain.high))

    def _variable(self, unit: Unit, node: Expr) -> Layout:
        """What an integral runs over: states, or a measure that gives single states a weight of their own."""
        if isinstance(unit.domain, Interval) and unit.domain.atoms:
            return self._measure(node)
        return self.configuration(node) if isinstance(node, Configuration) else self.state(node)

    def _measure(self, node: Expr) -> Layout:
        """μ(h_j), the weight with which a sum counts a state."""
        shown = self.configuration(node) if isinstance(node, Configuration) else self.layout(node)
        return row(Identifier("μ"), APPLY, Fence("(", ")", shown))

    def base_measure(self, node: BaseMeasure) -> Layout:
        return self._measure(node.state)


def _rational(number: Any) -> Rational:
    return Rational(number.numerator, number.denominator)


def _dummy(position: int, layers: int, taken: Iterable[str]) -> str:
    """A name for a dummy: the layer's own first (k, l, ...), then those no layer owns, then with a number."""
    used = set(taken)
    own = _DUMMIES[position : position + 1]
    candidates = [*own, *_DUMMIES[max(layers, 2) :], *_DUMMIES]
    for name in candidates:
        if name not in used:
            return name
    return next(name for n in range(2, 10_000) for name in (f"k{n}",) if name not in used)


def _compact(inside: Expr) -> bool:
    """Whether a derivative of it is one fraction, ∂f/∂w, rather than an operator before it, ∂/∂w Σ."""
    _, rest = inside.as_coeff_Mul()
    if isinstance(rest, log):
        rest = rest.args[0]
    return isinstance(
        rest, (Probability, UnitProbability, SiteProbability, EnergyCall, FreeEnergy, LogPartition, exp, State, Entry)
    )


def _open_ended(node: Expr) -> bool:
    """Whether what is written after it would be read as part of it."""
    return isinstance(node, (*_BIG, log, LogPartition, *_LOGARITHMS)) or (
        isinstance(node, Derivative) and not _compact(node.expr)
    )


_NOTATION: dict[type, Callable[[_Typesetter, Any], Layout]] = {
    Integer: _Typesetter.number,
    Rational: _Typesetter.number,
    type(pi): _Typesetter.pi,
    type(S.Exp1): _Typesetter.e,
    Symbol: _Typesetter.symbol,
    Index: _Typesetter.index,
    Configuration: _Typesetter.configuration,
    State: _Typesetter.state,
    Entry: _Typesetter.entry,
    Delta: _Typesetter.delta,
    Indicator: _Typesetter.indicator,
    Component: _Typesetter.component,
    Add: _Typesetter.add,
    Mul: _Typesetter.mul,
    Pow: _Typesetter.power,
    exp: _Typesetter.exponential,
    log: _Typesetter.logarithm,
    softplus: _Typesetter.softplus,
    sigmoid: _Typesetter.sigmoid,
    log2cosh: _Typesetter.log2cosh,
    bessel_i: _Typesetter.bessel,
    lnsinhc: _Typesetter.log_sinhc,
    sinhc_slope: _Typesetter.langevin,
    pos: _Typesetter.part,
    neg: _Typesetter.part,
    nonzero: _Typesetter.bracket,
    StableFunction: _Typesetter.stable_function,
    Function: _Typesetter.function,
    EnergyCall: _Typesetter.energy_call,
    FreeEnergy: _Typesetter.free_energy,
    LogPartition: _Typesetter.log_partition,
    Probability: _Typesetter.probability,
    UnitProbability: _Typesetter.unit_probability,
    SiteProbability: _Typesetter.site_probability,
    SiteEnergy: _Typesetter.site_energy,
    BaseMeasure: _Typesetter.base_measure,
    loggamma: _Typesetter.log_gamma,
    factorial: _Typesetter.factorial,
    binomial: _Typesetter.binomial,
    Expectation: _Typesetter.expectation,
    Derivative: _Typesetter.derivative,
    IndexSum: _Typesetter.index_sum,
    IndexProduct: _Typesetter.index_product,
    ConfigSum: _Typesetter.config_sum,
    UnitSum: _Typesetter.unit_sum,
}
