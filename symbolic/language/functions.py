"""Functions that stand for an exact expression and have a numerically stable form in generated code.

Each carries its meaning in :meth:`~StableFunction.definition`, which is what is printed and what the oracle evaluates;
the stable form lives with the code targets. ``softplus(x)`` therefore reads ln(1 + e^x) on a slide and never overflows
in a kernel. Derivatives are exact, and where they would lose digits as an elementary expression they are functions of
this module again.
"""

from __future__ import annotations

from typing import Any

from sympy import Add, Expr, Function, Integer, S, erfc, exp, log, pi, sqrt, tanh

__all__ = [
    "Logsumexp",
    "Softmax",
    "StableFunction",
    "StateFunction",
    "bessel_curvature",
    "bessel_i",
    "bessel_slope",
    "bose",
    "exprel_mean",
    "exprel_variance",
    "geomsum_mean",
    "geomsum_variance",
    "lnbessel",
    "lnexprel",
    "lngeomsum",
    "lnmills",
    "lnsinhc",
    "log1mexp",
    "log2cosh",
    "lognorm",
    "mills_mean",
    "mills_variance",
    "neg",
    "nonzero",
    "pos",
    "sigmoid",
    "sinhc_curvature",
    "sinhc_slope",
    "softplus",
]


class StableFunction(Function):
    """A named function of real arguments with an exact definition."""

    stays_in_exp = True
    nargs: int | None = 1

    def definition(self) -> Expr:
        """Return the expression this function abbreviates, in elementary functions."""
        raise NotImplementedError


class softplus(StableFunction):
    """ln(1 + e^x), the log-partition of a binary unit in the field x."""

    def definition(self) -> Expr:
        return log(1 + exp(self.args[0]))

    def fdiff(self, argindex: int = 1) -> Expr:
        return sigmoid(self.args[0])


class sigmoid(StableFunction):
    """σ(x) = e^x / (1 + e^x), the mean of a binary unit in the field x."""

    def definition(self) -> Expr:
        return exp(self.args[0]) / (1 + exp(self.args[0]))

    def fdiff(self, argindex: int = 1) -> Expr:
        # σ(−x) is 1 − σ(x), and keeps its digits where that is small.
        return self * sigmoid(-self.args[0])


class log2cosh(StableFunction):
    """ln(e^x + e^{-x}), the log-partition of a spin in the field x."""

    def definition(self) -> Expr:
        return log(exp(self.args[0]) + exp(-self.args[0]))

    def fdiff(self, argindex: int = 1) -> Expr:
        return tanh(self.args[0])


class Logsumexp(StableFunction):
    """ln(e^{x_1} + … + e^{x_n}), the log-partition of a unit with n states of log-weights x."""

    nargs = None

    def definition(self) -> Expr:
        return log(Add(*map(exp, self.args)))

    def fdiff(self, argindex: int = 1) -> Expr:
        return Softmax(Integer(argindex), *self.args)


class Softmax(StableFunction):
    """e^{x_k} / (e^{x_1} + … + e^{x_n}) for ``Softmax(k, x_1, …, x_n)``, the probability of the k-th state."""

    nargs = None

    def definition(self) -> Expr:
        k, *x = self.args
        return exp(x[int(k) - 1]) / Add(*map(exp, x))

    def fdiff(self, argindex: int = 1) -> Expr:
        k, *x = self.args
        own = S.One if int(k) == argindex - 1 else S.Zero
        return self * (own - Softmax(Integer(argindex - 1), *x))


class log1mexp(StableFunction):
    """ln(1 − e^{−x}) for x > 0; the log-partition of a geometric unit of rate x is −log1mexp(x)."""

    def definition(self) -> Expr:
        return log(1 - exp(-self.args[0]))

    def fdiff(self, argindex: int = 1) -> Expr:
        return bose(self.args[0])


class bose(StableFunction):
    """1 / (e^x − 1) for x > 0, the mean of a geometric unit of rate x."""

    def definition(self) -> Expr:
        return 1 / (exp(self.args[0]) - 1)

    def fdiff(self, argindex: int = 1) -> Expr:
        return -self * (S.One + self)


class lnexprel(StableFunction):
    """ln((e^x − 1) / x), 0 at x = 0: the log-partition of a unit on [0, 1] in the field x."""

    def definition(self) -> Expr:
        return log((exp(self.args[0]) - 1) / self.args[0])

    def fdiff(self, argindex: int = 1) -> Expr:
        return exprel_mean(self.args[0])


class exprel_mean(StableFunction):
    """1 / (1 − e^{−x}) − 1 / x, ½ at x = 0: the mean of a unit on [0, 1] in the field x."""

    def definition(self) -> Expr:
        (x,) = self.args
        return 1 / (1 - exp(-x)) - 1 / x

    def fdiff(self, argindex: int = 1) -> Expr:
        return exprel_variance(self.args[0])


class exprel_variance(StableFunction):
    """1 / x² − e^{−x} / (1 − e^{−x})², 1/12 at x = 0: the variance of a unit on [0, 1] in the field x."""

    def definition(self) -> Expr:
        (x,) = self.args
        return 1 / x**2 - exp(-x) / (1 - exp(-x)) ** 2

    def fdiff(self, argindex: int = 1) -> Expr:
        return self.definition().diff(self.args[0])


class lngeomsum(StableFunction):
    """ln(1 + e^x + … + e^{(n−1)x}) = ln((e^{nx} − 1) / (e^x − 1)) for ``lngeomsum(n, x)``, ln n at x = 0."""

    nargs = 2

    def definition(self) -> Expr:
        n, x = self.args
        return log((exp(n * x) - 1) / (exp(x) - 1))

    def fdiff(self, argindex: int = 2) -> Expr:
        return geomsum_mean(*self.args)


class geomsum_mean(StableFunction):
    """n / (1 − e^{−nx}) − 1 / (1 − e^{−x}) for ``geomsum_mean(n, x)``: the mean of a unit 0, …, n − 1."""

    nargs = 2

    def definition(self) -> Expr:
        n, x = self.args
        return n / (1 - exp(-n * x)) - 1 / (1 - exp(-x))

    def fdiff(self, argindex: int = 2) -> Expr:
        return geomsum_variance(*self.args)


class geomsum_variance(StableFunction):
    """e^{−x} / (1 − e^{−x})² − n² e^{−nx} / (1 − e^{−nx})²: the variance of a unit 0, …, n − 1 in the field x."""

    nargs = 2

    def definition(self) -> Expr:
        n, x = self.args
        return exp(-x) / (1 - exp(-x)) ** 2 - n**2 * exp(-n * x) / (1 - exp(-n * x)) ** 2

    def fdiff(self, argindex: int = 2) -> Expr:
        return self.definition().diff(self.args[1])


class lognorm(StableFunction):
    """½ ln(2π / q), ln ∫ e^{−q s²/2} ds: the log-partition of a Gaussian unit of precision q at field 0."""

    def definition(self) -> Expr:
        return log(2 * pi / self.args[0]) / 2

    def fdiff(self, argindex: int = 1) -> Expr:
        return -1 / (2 * self.args[0])


class lnmills(StableFunction):
    """ln ∫_0^∞ e^{x s − s²/2} ds = ln(√(π/2) e^{x²/2} erfc(−x/√2)), the log-partition of a rectified Gaussian unit.

    At −x it is the logarithm of Mills' ratio of the normal distribution at x, which falls as 1/x.
    """

    def definition(self) -> Expr:
        (x,) = self.args
        return log(sqrt(pi / 2) * exp(x**2 / 2) * erfc(-x / sqrt(2)))

    def fdiff(self, argindex: int = 1) -> Expr:
        return mills_mean(self.args[0])


class mills_mean(StableFunction):
    """x + √(2/π) e^{−x²/2} / erfc(−x/√2), the mean of a rectified Gaussian unit of precision 1 in the field x."""

    def definition(self) -> Expr:
        (x,) = self.args
        return x + sqrt(2 / pi) * exp(-(x**2) / 2) / erfc(-x / sqrt(2))

    def fdiff(self, argindex: int = 1) -> Expr:
        return mills_variance(self.args[0])


class mills_variance(StableFunction):
    """1 − λ (x + λ) with λ = √(2/π) e^{−x²/2} / erfc(−x/√2): the variance of that unit."""

    def definition(self) -> Expr:
        (x,) = self.args
        hazard = sqrt(2 / pi) * exp(-(x**2) / 2) / erfc(-x / sqrt(2))
        return 1 - hazard * (x + hazard)

    def fdiff(self, argindex: int = 1) -> Expr:
        (x,) = self.args
        mean = mills_mean(x)
        return (S.One - self) * mean - (mean - x) * self


class bessel_i(Function):
    """I_ν(x), the modified Bessel function of the first kind of whole order, for ``bessel_i(ν, x)``.

    SymPy's own rewrites its argument when it is made, which sums over units do not survive.
    """

    nargs = 2

    def fdiff(self, argindex: int = 2) -> Expr:
        order, x = self.args
        return (bessel_i(order - 1, x) + bessel_i(order + 1, x)) / 2


class lnbessel(StableFunction):
    """ln I_0(√z): the log-partition of an angle in a field of squared length z is ln 2π + lnbessel(z).

    In the squared length it is smooth where the field vanishes, and so are its derivatives.
    """

    def definition(self) -> Expr:
        return log(bessel_i(0, sqrt(self.args[0])))

    def fdiff(self, argindex: int = 1) -> Expr:
        return bessel_slope(self.args[0])


class bessel_slope(StableFunction):
    """I_1(√z) / (2 √z I_0(√z)), ¼ at z = 0."""

    def definition(self) -> Expr:
        root = sqrt(self.args[0])
        return bessel_i(1, root) / (2 * root * bessel_i(0, root))

    def fdiff(self, argindex: int = 1) -> Expr:
        return bessel_curvature(self.args[0])


class bessel_curvature(StableFunction):
    """(1 − 2A/√z − A²) / 4z with A = I_1(√z) / I_0(√z), −1/32 at z = 0."""

    def definition(self) -> Expr:
        (z,) = self.args
        ratio = bessel_i(1, sqrt(z)) / bessel_i(0, sqrt(z))
        return (1 - 2 * ratio / sqrt(z) - ratio**2) / (4 * z)

    def fdiff(self, argindex: int = 1) -> Expr:
        return self.definition().diff(self.args[0])


class lnsinhc(StableFunction):
    """ln(sinh(√z) / √z): with ln 4π the log-partition of a direction in space in a field of squared length z.

    In the squared length it is smooth where the field vanishes, and so are its derivatives.
    """

    def definition(self) -> Expr:
        root = sqrt(self.args[0])
        return log((exp(root) - exp(-root)) / (2 * root))

    def fdiff(self, argindex: int = 1) -> Expr:
        return sinhc_slope(self.args[0]) / 2


class sinhc_slope(StableFunction):
    """L / √z with Langevin's function L = coth √z − 1/√z, 1/3 at z = 0: a direction's mean is this times its field."""

    def definition(self) -> Expr:
        root = sqrt(self.args[0])
        return ((exp(root) + exp(-root)) / (exp(root) - exp(-root)) - 1 / root) / root

    def fdiff(self, argindex: int = 1) -> Expr:
        return sinhc_curvature(self.args[0]) / 2


class sinhc_curvature(StableFunction):
    """(1 − 3L/√z − L²) / z with L = coth √z − 1/√z, −2/45 at z = 0."""

    def definition(self) -> Expr:
        (z,) = self.args
        mean = sqrt(z) * sinhc_slope(z).definition()
        return (1 - 3 * mean / sqrt(z) - mean**2) / z

    def fdiff(self, argindex: int = 1) -> Expr:
        return self.definition().diff(self.args[0])


class StateFunction(Function):
    """A function of a unit's state with a corner or a jump, for energies that differ between parts of the domain."""

    nargs = 1

    @classmethod
    def eval(cls, state: Expr) -> Expr | None:
        return cls.at(state) if state.is_Rational else None

    @staticmethod
    def at(state: Any) -> Any:
        """Return the value in a state that is a number."""
        raise NotImplementedError


class pos(StateFunction):
    """max(s, 0)."""

    @staticmethod
    def at(state: Any) -> Any:
        return state if state > 0 else 0 * state


class neg(StateFunction):
    """min(s, 0)."""

    @staticmethod
    def at(state: Any) -> Any:
        return state if state < 0 else 0 * state


class nonzero(StateFunction):
    """1 for s ≠ 0, and 0 for s = 0."""

    @staticmethod
    def at(state: Any) -> Any:
        return 0 * state + int(state != 0)


def by_name() -> dict[str, Any]:
    """Return the functions of this module under their own names, for readers of files."""
    kinds = (bessel_i, *StableFunction.__subclasses__(), *StateFunction.__subclasses__())
    found = {kind.__name__: kind for kind in kinds if kind.__module__ == __name__}
    return dict(sorted(found.items()))
