"""What generated NumPy modules call: functions that neither overflow nor lose digits, and random draws.

Functions take float32 or float64 arrays and answer in their type. NaN gives NaN; softplus, sigmoid and log2cosh give
their limits at ±∞, the others hold for finite numbers. Draws of units with more than two states are computed in
float64 whatever the arrays hold, from :func:`fine_uniform`, and rounded to the arrays' type at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from symbolic.codegen.runtime import quantiles, special, trials
from symbolic.codegen.runtime.streams import Words, mix

_INVERTED = [name.removesuffix("_quantile") for name in quantiles.__all__]

__all__ = [
    "draw",
    "draw_binomial",
    "draw_gamma",
    "draw_poisson",
    "draw_von_mises",
    "fine_uniform",
    "uniform",
    *special.__all__,
    *(f"draw_{name}" for name in _INVERTED),
]

Array = npt.NDArray[Any]


def _answering(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def answer(*arguments: Any) -> Any:
        value = function(*arguments)
        # A NumPy number would make float64 of the float32 arrays that it meets; a plain one does not.
        return float(value) if all(isinstance(x, (int, float)) for x in arguments) else value

    return answer


globals().update({name: _answering(getattr(special, name)) for name in special.__all__})

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Any]: ...  # the functions of `special`, and draw_… of `quantiles`


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


def _by_inversion(name: str) -> Callable[..., Array]:
    """The draw ``draw_name(streams, *arguments)`` by a quantile; the arguments broadcast to (rows, units)."""
    quantile = getattr(quantiles, f"{name}_quantile")

    def draw(streams: tuple[Words, Words], *arguments: Any) -> Array:
        wide = [np.asarray(argument, np.float64) for argument in arguments]
        units = np.broadcast_shapes((1, 1), *(argument.shape for argument in wide))[-1]
        drawn: Array = quantile(fine_uniform(streams, units), *wide)
        return drawn.astype(_type_of(arguments), copy=False)

    draw.__name__ = draw.__qualname__ = f"draw_{name}"
    draw.__doc__ = f"Draw for all rows of the streams; the arguments broadcast to (rows, units). {quantile.__doc__}"
    return draw


globals().update({f"draw_{name}": _by_inversion(name) for name in _INVERTED})


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
    parts = range(0, int(n), trials.MOST_OF_A_KIND)
    counts = [
        _binomial_part(fine_uniform(streams, wide.shape[1], step), min(trials.MOST_OF_A_KIND, int(n) - start), wide)
        for step, start in enumerate(parts)
    ]
    drawn: Array = sum(counts[1:], counts[0])
    return drawn.astype(_type_of((field,)), copy=False)


def _binomial_part(u: Array, n: int, x: Array) -> Array:
    """How many of n ≤ ``MOST_OF_A_KIND`` binary units in the field x are on, by summing probabilities from the unlikely
    state's 0."""
    odds = np.exp(-abs(x))
    chance = np.exp(-n * np.log1p(odds))
    total, count = chance, np.zeros_like(u + x)
    for k in range(n):
        count = count + np.where(u > total, np.ones_like(count), np.zeros_like(count))
        chance = chance * ((n - k) / (k + 1)) * odds
        total = total + chance
    return np.where(x > 0, n - count, count)


def draw_gamma(streams: tuple[Words, Words], rate: Any, shape: float) -> Array:
    """Numbers of density s^{shape − 1} e^{−rate s}, for all rows of the streams; ``rate`` broadcasts to (rows, units).

    By :func:`~symbolic.codegen.runtime.trials.gamma_trial`, with the boost of its source's section 6 for shapes below
    1.
    """
    tries = _Tries(streams, (rate,))
    d = (shape if shape >= 1 else shape + 1) - 1 / 3
    boost = tries.uniform(0) ** (1 / shape) if shape < 1 else np.ones(len(tries.place))
    step = 1
    while len(tries.place):
        z = quantiles.normal_quantile(tries.uniform(step))
        v, taken = trials.gamma_trial(z, tries.uniform(step + 1), d)
        step += 2
        tries.settle(d * v * boost[tries.place] / tries.arguments[0], taken)
    return tries.result()


def draw_poisson(streams: tuple[Words, Words], field: Any) -> Array:
    """Counts of mean e^field, for all rows of the streams; ``field`` broadcasts to (rows, units).

    By inversion up to a mean of 30, above by the transformed rejection of :mod:`~symbolic.codegen.runtime.trials`. A
    mean above 2^52, or none, gives the mean itself.
    """
    tries = _Tries(streams, (field,))
    with np.errstate(over="ignore"):
        tries.arguments[0] = np.exp(tries.arguments[0])
    rate = tries.arguments[0]
    tries.settle(rate, ~(rate <= 2.0**52))
    rate = tries.arguments[0]
    low = rate < trials.POISSON_INVERSION
    tries.settle(_small_counts(tries.uniform(0)[low], rate[low], low), low)
    step = 1
    while len(tries.place):
        rate = tries.arguments[0]
        u, v = tries.uniform(step) - 0.5, tries.uniform(step + 1)
        step += 2
        a, b = trials.poisson_hat(rate)
        k, side = trials.poisson_proposal(rate, a, b, u)
        possible = trials.poisson_possible(k, side, v)
        taken = trials.poisson_taken(np.where(possible, k, 0.0), rate, a, b, side, v)
        tries.settle(k, trials.poisson_at_once(b, side, v) | (possible & taken))
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


def draw_von_mises(streams: tuple[Words, Words], x: Any, y: Any) -> Array:
    """Angles of density e^{x cos s + y sin s}, for all rows of the streams; x and y broadcast to (rows, units)."""
    tries = _Tries(streams, (x, y))
    step = 0
    while len(tries.place):
        x, y = tries.arguments
        length = np.maximum(np.hypot(x, y), 1e-150)
        u, v, w = (tries.uniform(step + k) for k in range(3))
        step += 3
        back, taken = trials.von_mises_trial(length, trials.von_mises_excess(length), u, v)
        tries.settle(trials.von_mises_angle(x, y, back, w), taken)
    return tries.result()
