"""What generated NumPy modules call: functions that neither overflow nor lose digits, and random draws.

Functions take float32 or float64 arrays and answer in their type. NaN gives NaN; softplus, sigmoid and log2cosh give
their limits at ±∞, the others hold for finite numbers. Draws of units with more than two states are computed in
float64 whatever the arrays hold, from :func:`fine_uniform`, and rounded to the arrays' type at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import numpy.typing as npt

from symbolic.codegen.runtime import special as stable
from symbolic.codegen.runtime.streams import Words, mix

__all__ = [
    "bessel_curvature",
    "bessel_slope",
    "bose",
    "draw",
    "draw_binomial",
    "draw_exponential",
    "draw_finite",
    "draw_gamma",
    "draw_gaussian",
    "draw_geometric",
    "draw_integer",
    "draw_poisson",
    "draw_rectified",
    "draw_spike_and_slab",
    "draw_two_sided",
    "draw_uniform",
    "draw_von_mises",
    "exprel_mean",
    "exprel_variance",
    "fine_uniform",
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
    "logsumexp",
    "mills_mean",
    "mills_variance",
    "neg",
    "nonzero",
    "pos",
    "sigmoid",
    "sinhc_curvature",
    "sinhc_slope",
    "softmax",
    "softplus",
    "uniform",
]

Array = npt.NDArray[Any]


def softplus(x: Array) -> Array:
    """ln(1 + e^x) as max(x, 0) + log1p(e^−|x|), which holds for x of any size."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: Array) -> Array:
    """e^x / (1 + e^x), from e^−|x|."""
    falling = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, falling) / (1 + falling)


def log2cosh(x: Array) -> Array:
    """ln(e^x + e^−x) as |x| + log1p(e^−2|x|)."""
    size = np.abs(x)
    return size + np.log1p(np.exp(-2 * size))


def _stable(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def answer(*arguments: Any) -> Any:
        value = function(np, *arguments)
        # A NumPy number would make float64 of the float32 arrays that it meets; a plain one does not.
        return float(value) if all(isinstance(x, (int, float)) for x in arguments) else value

    return answer


bessel_curvature = _stable(stable.bessel_curvature)
bessel_slope = _stable(stable.bessel_slope)
bose = _stable(stable.bose)
exprel_mean = _stable(stable.exprel_mean)
exprel_variance = _stable(stable.exprel_variance)
geomsum_mean = _stable(stable.geomsum_mean)
geomsum_variance = _stable(stable.geomsum_variance)
lnbessel = _stable(stable.lnbessel)
lnexprel = _stable(stable.lnexprel)
lngeomsum = _stable(stable.lngeomsum)
lnmills = _stable(stable.lnmills)
lnsinhc = _stable(stable.lnsinhc)
log1mexp = _stable(stable.log1mexp)
lognorm = _stable(stable.lognorm)
logsumexp = _stable(stable.logsumexp)
mills_mean = _stable(stable.mills_mean)
mills_variance = _stable(stable.mills_variance)
neg = _stable(stable.neg)
nonzero = _stable(stable.nonzero)
pos = _stable(stable.pos)
sinhc_curvature = _stable(stable.sinhc_curvature)
sinhc_slope = _stable(stable.sinhc_slope)
softmax = _stable(stable.softmax)


def uniform(streams: tuple[Words, Words], units: int, dtype: npt.DTypeLike) -> Array:
    """Uniform numbers in (0, 1) for all rows of the streams; shape (rows, units).

    They are (k + ½) / 2^n, with the n = 23 leading of a unit's 32 bits in float32 and all n = 32 in float64:
    exact in the type, never 0 or 1, and off by at most 2^−(n+1) in any probability.
    """
    first, second = streams
    bits = np.arange(units, dtype=np.uint32) + first[:, None]
    bits = mix(mix(bits) ^ second[:, None])
    if np.dtype(dtype) == np.float32:
        bits >>= np.uint32(9)
        numbers: Array = bits.astype(np.float32)
        numbers += np.float32(0.5)
        numbers *= np.float32(2.0**-23)
    else:
        numbers = bits.astype(np.float64)
        numbers += 0.5
        numbers *= 2.0**-32
    return numbers


def draw(mean: Array, streams: tuple[Words, Words], low: float, high: float) -> Array:
    """States of two-state units: ``high`` with probability (mean − low) / (high − low), else ``low``.

    Args:
        mean: shape (rows, units).
        streams: of the rows, from :func:`~symbolic.codegen.runtime.streams.row_streams`.
        low, high: the two states.
    """
    u = uniform(streams, mean.shape[1], mean.dtype)
    if (low, high) == (0, 1):
        return (u < mean).astype(mean.dtype)
    u *= high - low
    u += low
    return np.where(u < mean, mean.dtype.type(high), mean.dtype.type(low))


# Draws from more than two states. Word c of a unit is a hash of the unit and the row's two words, which trade places
# in the odd ones; word 0 is the one of uniform().


def _words(first: Words, second: Words, unit: Words, c: int) -> Words:
    if c % 2:
        first, second = second, first
    return mix(mix(unit + np.uint32(c * 0x9E3779B9 & 0xFFFFFFFF) + first) ^ second)


def _fine(first: Words, second: Words, unit: Words, step: int) -> Array:
    high = _words(first, second, unit, 2 * step) >> np.uint32(6)
    low = _words(first, second, unit, 2 * step + 1) >> np.uint32(6)
    return (high * 2.0**26 + low + 0.5) * 2.0**-52


def fine_uniform(streams: tuple[Words, Words], units: int, step: int = 0) -> Array:
    """Uniform numbers (k + ½) / 2^52 in float64, of 52 bits, for all rows of the streams; shape (rows, units).

    Args:
        streams: of the rows, from :func:`~symbolic.codegen.runtime.streams.row_streams`.
        units: how many to a row.
        step: which one of a unit's numbers; draws that need several count them.
    """
    first, second = streams
    return _fine(first[:, None], second[:, None], np.arange(units, dtype=np.uint32), step)


def _type_of(arguments: tuple[Any, ...]) -> Any:
    kinds = {argument.dtype for argument in arguments if isinstance(argument, np.ndarray)}
    return np.result_type(*kinds) if kinds else np.dtype(np.float64)


def _spread(streams: tuple[Words, Words], arguments: tuple[Any, ...]) -> tuple[Array, ...]:
    """The arguments in float64 for each of (rows, units)."""
    shape = np.broadcast_shapes((len(streams[0]), 1), *(np.shape(argument) for argument in arguments))
    return tuple(np.broadcast_to(np.asarray(argument, np.float64), shape) for argument in arguments)


def _by_inversion(quantile: Callable[..., Array], name: str, meaning: str) -> Callable[..., Array]:
    def draw(streams: tuple[Words, Words], *arguments: Any) -> Array:
        wide = [np.asarray(argument, np.float64) for argument in arguments]
        units = np.broadcast_shapes((1, 1), *(argument.shape for argument in wide))[-1]
        drawn: Array = quantile(np, fine_uniform(streams, units), *wide)
        return drawn.astype(_type_of(arguments), copy=False)

    draw.__name__ = draw.__qualname__ = f"draw_{name}"
    draw.__doc__ = f"{meaning}, for all rows of the streams; the arguments broadcast to (rows, units)."
    return draw


draw_exponential = _by_inversion(
    stable.exponential_quantile, "exponential", "``draw_exponential(streams, rate)``: density e^{−rate s} on s ≥ 0"
)
draw_finite = _by_inversion(
    stable.finite_quantile, "finite", "``draw_finite(streams, w_1, …, w_n, s_1, …, s_n)``: s_k with weight e^{w_k}"
)
draw_gaussian = _by_inversion(
    stable.gaussian_quantile, "gaussian", "``draw_gaussian(streams, mean, deviation)``: normal numbers"
)
draw_geometric = _by_inversion(
    stable.geometric_quantile, "geometric", "``draw_geometric(streams, rate)``: k ≥ 0 with weight e^{−rate k}"
)
draw_integer = _by_inversion(
    stable.integer_quantile, "integer", "``draw_integer(streams, n, field)``: k < n with weight e^{field k}"
)
draw_rectified = _by_inversion(
    stable.rectified_quantile,
    "rectified",
    "``draw_rectified(streams, field, deviation)``: deviation times s ≥ 0 of density e^{field s − s²/2}",
)
draw_spike_and_slab = _by_inversion(
    stable.spike_and_slab_quantile,
    "spike_and_slab",
    "``draw_spike_and_slab(streams, odds, mean, deviation)``: with these log-odds normal numbers, else 0",
)
draw_two_sided = _by_inversion(
    stable.two_sided_quantile,
    "two_sided",
    "``draw_two_sided(streams, odds, up, up_deviation, down, down_deviation)``: with these log-odds a rectified number "
    "of the first two, else minus one of the last two",
)
draw_uniform = _by_inversion(
    stable.uniform_quantile, "uniform", "``draw_uniform(streams, field)``: density e^{field s} on 0 ≤ s ≤ 1"
)


class _Tries:
    """The units that have no draw yet, with their arguments; each step tries them all and keeps those refused."""

    def __init__(self, streams: tuple[Words, Words], arguments: tuple[Any, ...]):
        wide = _spread(streams, arguments)
        self.arguments = [argument.ravel() for argument in wide]
        self.shape, self.dtype = wide[0].shape, _type_of(arguments)
        rows, units = self.shape
        self.first, self.second = (np.repeat(words, units) for words in streams)
        self.unit = np.tile(np.arange(units, dtype=np.uint32), rows)
        self.place = np.arange(rows * units)
        self.drawn = np.empty(rows * units)

    def uniform(self, step: int) -> Array:
        return _fine(self.first, self.second, self.unit, step)

    def settle(self, values: Array, accepted: Array) -> None:
        """Take over the values that are accepted, and go on with the others."""
        self.drawn[self.place[accepted]] = values[accepted]
        left = ~accepted
        self.arguments = [argument[left] for argument in self.arguments]
        self.first, self.second = self.first[left], self.second[left]
        self.unit, self.place = self.unit[left], self.place[left]

    def result(self) -> Array:
        return self.drawn.reshape(self.shape).astype(self.dtype, copy=False)


def draw_binomial(streams: tuple[Words, Words], n: int, field: Any) -> Array:
    """How many of n binary units in a field are on, for all rows of the streams; ``field`` broadcasts to (rows, units).

    The sum of parts of at most 512 units, each by inversion.
    """
    (wide,) = _spread(streams, (field,))
    parts = range(0, int(n), stable.MOST_OF_A_KIND)
    counts = [
        stable.binomial_part(
            np, fine_uniform(streams, wide.shape[1], step), min(stable.MOST_OF_A_KIND, int(n) - start), wide
        )
        for step, start in enumerate(parts)
    ]
    drawn: Array = sum(counts[1:], counts[0])
    return drawn.astype(_type_of((field,)), copy=False)


def draw_gamma(streams: tuple[Words, Words], rate: Any, shape: float) -> Array:
    """Numbers of density s^{shape − 1} e^{−rate s}, for all rows of the streams; ``rate`` broadcasts to (rows, units).

    Source: G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables" (ACM Transactions on
    Mathematical Software 26, 2000), with the boost of their section 6 for shapes below 1.
    """
    tries = _Tries(streams, (rate,))
    d = (shape if shape >= 1 else shape + 1) - 1 / 3
    boost = tries.uniform(0) ** (1 / shape) if shape < 1 else np.ones(len(tries.place))
    step = 1
    while len(tries.place):
        z = stable.normal_quantile(np, tries.uniform(step))
        u = tries.uniform(step + 1)
        step += 2
        v = (1 + z / math.sqrt(9 * d)) ** 3
        positive = v > 0
        v[~positive] = 1
        accepted = positive & (np.log(u) < z * z / 2 + d - d * v + d * np.log(v))
        tries.settle(d * v * boost[tries.place] / tries.arguments[0], accepted)
    return tries.result()


def draw_poisson(streams: tuple[Words, Words], field: Any) -> Array:
    """Counts of mean e^field, for all rows of the streams; ``field`` broadcasts to (rows, units).

    By inversion up to a mean of 30, above by the transformed rejection of W. Hörmann, "The transformed rejection method
    for generating Poisson random variables" (Insurance: Mathematics and Economics 12, 1993), algorithm PTRS. A mean
    above 2^52, or none, gives the mean itself.
    """
    tries = _Tries(streams, (field,))
    with np.errstate(over="ignore"):
        tries.arguments[0] = np.exp(tries.arguments[0])
    rate = tries.arguments[0]
    tries.settle(rate, ~(rate <= 2.0**52))
    rate = tries.arguments[0]
    low = rate < stable.POISSON_INVERSION
    tries.settle(_small_counts(tries.uniform(0)[low], rate[low], low), low)
    step = 1
    while len(tries.place):
        rate = tries.arguments[0]
        u, v = tries.uniform(step) - 0.5, tries.uniform(step + 1)
        step += 2
        b = 0.931 + 2.53 * np.sqrt(rate)
        a = -0.059 + 0.02483 * b
        side = 0.5 - np.abs(u)
        k = np.floor((2 * a / side + b) * u + rate + 0.43)
        at_once = (side >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
        possible = (k >= 0) & ~((side < 0.013) & (v > side))
        level = np.log(v * (1.1239 + 1.1328 / (b - 3.4)) / (a / (side * side) + b))
        accepted = at_once | (possible & (level <= _log_poisson(np.where(possible, k, 0.0), rate)))
        tries.settle(k, accepted)
    return tries.result()


def _small_counts(u: Array, rate: Array, where: Array) -> Array:
    """Counts by inversion, put in their places ``where``."""
    chance = np.exp(-rate)
    total, count = chance.copy(), np.zeros_like(chance)
    k = 0.0
    while True:
        # Beyond the mean, chances that no longer change the sum end it where rounding has left it below u.
        going = (u > total) & ((k < rate) | (chance > 1e-18))
        if not going.any():
            break
        k += 1.0
        count[going] = k
        chance = chance * (rate / k)
        total = total + chance
    values = np.zeros(len(where))
    values[where] = count
    return values


def _log_poisson(k: Array, rate: Array) -> Array:
    """ln(rate^k e^{−rate} / k!) without the loss of large terms that cancel; rates of 30 and more."""
    small = k < len(stable.LOG_FACTORIAL)
    few = np.where(small, k, 0.0)
    close = few * np.log(rate) - rate - np.asarray(stable.LOG_FACTORIAL)[few.astype(np.intp)]
    many = np.where(small, float(len(stable.LOG_FACTORIAL)), k)
    d = (rate - many) / many
    z = 1 / (many * many)
    away = many * (np.log1p(d) - d) - 0.5 * np.log(2 * math.pi * many) - stable.horner(z, stable.STIRLING) / many
    return np.where(small, close, away)


def draw_von_mises(streams: tuple[Words, Words], x: Any, y: Any) -> Array:
    """Angles of density e^{x cos s + y sin s}, for all rows of the streams; x and y broadcast to (rows, units).

    Source: D. J. Best and N. I. Fisher, "Efficient simulation of the von Mises distribution" (Applied Statistics 28,
    1979), with the differences written such that strong and weak fields lose no digits.
    """
    tries = _Tries(streams, (x, y))
    step = 0
    while len(tries.place):
        x, y = tries.arguments
        length = np.maximum(np.hypot(x, y), 1e-150)
        u, v, w = (tries.uniform(step + k) for k in range(3))
        step += 3
        excess = _envelope(length)
        back = excess * 2 * np.sin(math.pi / 2 * u) ** 2 / (excess + 2 * np.cos(math.pi / 2 * u) ** 2)
        c = length * (excess + back)
        accepted = (c * (2 - c) > v) | (np.log(c / v) + 1 - c >= 0)
        turn = 2 * np.arcsin(np.sqrt(np.minimum(back / 2, 1.0)))
        angle = np.arctan2(y, x) + np.where(w < 0.5, -turn, turn)
        angle = np.where(angle > math.pi, angle - 2 * math.pi, angle)
        tries.settle(np.where(angle < -math.pi, angle + 2 * math.pi, angle), accepted)
    return tries.result()


def _envelope(length: Array) -> Array:
    """r − 1 for the r of Best and Fisher's wrapped Cauchy envelope; ρ is its other parameter."""
    root = np.sqrt(1 + 4 * length * length)
    tau = 1 + root
    small = 2 * length * np.sqrt(tau) / (tau * (np.sqrt(tau) + math.sqrt(2)))
    strong = np.maximum(length, 1.0)
    complement = np.where(length > 1, (np.sqrt(2 * tau) - 1 - 1 / (2 * strong + root)) / (2 * strong), 1 - small)
    rho = np.where(length > 1, 1 - complement, small)
    return complement * complement / (2 * rho)
