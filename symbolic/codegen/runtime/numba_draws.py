"""Random bits and draws for Numba, one unit at a time. Words and steps are those of NumPy's runtime."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from symbolic.codegen.runtime import coefficients, quantiles, trials
from symbolic.codegen.runtime.binding import bound
from symbolic.codegen.runtime.numba_math import DOUBLE
from symbolic.codegen.runtime.numba_primitives import CALLED, HELPER, by_pairs, one_by_one

__all__ = [
    "DRAWS",
    "_drawn_by",
    "_finite_quantile_of",
    "fine",
    "names",
    "relative_to_largest",
    "text",
    "uniform",
    "uniform_32",
]

_f32, _f64, _i32, _i64, _u32 = np.float32, np.float64, np.int32, np.int64, np.uint32
_compiled = njit(**HELPER)


def text(source: str, **scope: Any) -> Any:
    """The function ``made`` that a text defines."""
    scope = {"_f64": _f64, **scope}
    exec(source, scope)
    return scope["made"]


# Random bits: the arithmetic of `runtime.streams`, one unit at a time. Numba widens 32-bit products to 64 bits;
# cutting each result down again lets LLVM do it all in 32.


@_compiled
def _mix(x):
    x = _u32(x ^ _u32(x >> _u32(16)))
    x = _u32(x * _u32(0x21F0AAAD))
    x = _u32(x ^ _u32(x >> _u32(15)))
    x = _u32(x * _u32(0xD35A2D97))
    return _u32(x ^ _u32(x >> _u32(15)))


@_compiled
def _bits(first, second, unit):
    return _mix(_u32(_mix(_u32(_u32(unit) + first)) ^ second))


def uniform(first, second, unit, like):
    """The unit's uniform number in float64."""
    return (_f64(_bits(first, second, unit)) + _f64(0.5)) * _f64(2.0**-32)


def uniform_32(first, second, unit, like):
    """The unit's uniform number in float32."""
    return (_f32(_i32(_bits(first, second, unit) >> _u32(9))) + _f32(0.5)) * _f32(2.0**-23)


@_compiled
def fine(first, second, unit, step):
    """The unit's uniform number of 52 bits in float64."""
    salt = _u32(_u32(step) * _u32(0x3C6EF372))  # twice 0x9E3779B9: a step takes two words
    high = _bits(first, second, _u32(_u32(unit) + salt)) >> _u32(6)
    low = _bits(second, first, _u32(_u32(_u32(unit) + salt) + _u32(0x9E3779B9))) >> _u32(6)
    return (_f64(_i32(high)) * 67108864.0 + _f64(_i32(low)) + 0.5) * 2.0**-52  # 26 bits each


# Draws by inversion of one number


def _bound_quantiles() -> dict[str, Any]:
    names = {name: DOUBLE[name] for name in ("log", "log1p", "log_of_tail", "mills", "pos", "sigmoid")}
    names |= {"exp": DOUBLE["exp_falling"], "expm1": DOUBLE["expm1_falling"], "floor": np.floor, "sqrt": np.sqrt}
    # By pairs the series take as long as one by one (2.4 ns a number either way), but end in the digits that seeds have
    # given so far.
    names |= {"normal_above": by_pairs(quantiles.normal_above), "normal_below": by_pairs(quantiles.normal_below)}
    return bound(quantiles, names | CALLED, _compiled, one_by_one)


QUANTILES = _bound_quantiles()
"""The functions of `quantiles` by name, compiled where they are called."""


def names(letter: str, count: int) -> list[str]:
    """``letter0``, ``letter1``, …"""
    return [f"{letter}{k}" for k in range(count)]


def relative_to_largest(x: list[str]) -> list[str]:
    """Statements that leave e^{x_k − max x} in e0, e1, …"""
    lines = [f"    top = _f64({x[0]})"]
    lines += [f"    top = _f64({one}) if _f64({one}) > top else top" for one in x[1:]]
    return lines + [f"    e{k} = exp(_f64({one}) - top)" for k, one in enumerate(x)]


def _finite_quantile_of(count: int) -> Any:
    """The quantile of count / 2 states, whose log-weights come first; written out, as `numba.logsumexp` is."""
    weights, states = names("w", count // 2), names("s", count // 2)
    lines = [f"def made(u, {', '.join([*weights, *states])}):", *relative_to_largest(weights)]
    lines += [f"    e{k} = e{k - 1} + e{k}" for k in range(1, len(weights))]
    lines += [f"    threshold = u * e{len(weights) - 1}", f"    state = {states[-1]}"]
    lines += [f"    state = s{k} if threshold < e{k} else state" for k in range(len(states) - 2, -1, -1)]
    return _compiled(text("\n".join([*lines, "    return state"]), exp=DOUBLE["exp_falling"]))


def _drawn_by(quantile: Any, count: int) -> Any:
    """The draw ``(first, second, unit, x0, x1, …)`` by the quantile of a unit's first uniform number."""
    arguments = ", ".join(names("x", count))
    source = f"def made(first, second, unit, {arguments}): return quantile(fine(first, second, unit, 0), {arguments})"
    return _compiled(text(source, quantile=quantile, fine=fine))


# Draws that take several numbers

_normal_quantile = QUANTILES["normal_quantile"]
_log1p, _exp_falling = DOUBLE["log1p"], DOUBLE["exp_falling"]
_LOG_FACTORIAL = np.array(coefficients.LOG_FACTORIAL)


@_compiled
def _log_factorial(k):
    return _LOG_FACTORIAL[_i64(k)]


_trials = bound(trials, {"log_factorial": _log_factorial, **CALLED}, _compiled, one_by_one)
_gamma_trial, _log_poisson = _trials["gamma_trial"], _trials["log_poisson"]
_poisson_hat, _poisson_proposal = _trials["poisson_hat"], _trials["poisson_proposal"]
_poisson_at_once, _poisson_possible = _trials["poisson_at_once"], _trials["poisson_possible"]
_poisson_taken = _trials["poisson_taken"]
_von_mises_excess, _von_mises_trial = _trials["von_mises_excess"], _trials["von_mises_trial"]
_von_mises_angle = _trials["von_mises_angle"]


@_compiled
def _von_mises(first, second, unit, x, y):
    length = np.hypot(x, y)
    length = length if length > 1e-150 else 1e-150
    excess = _von_mises_excess(length)
    step = 0
    while True:
        back, taken = _von_mises_trial(
            length, excess, fine(first, second, unit, step), fine(first, second, unit, step + 1)
        )
        if taken:
            return _von_mises_angle(x, y, back, fine(first, second, unit, step + 2))
        step += 3


@_compiled
def _binomial(first, second, unit, n, x):
    odds = _exp_falling(-abs(x))
    drawn, step, left = 0.0, 0, n
    while left > 0.0:
        part = left if left < trials.MOST_OF_A_KIND else _f64(trials.MOST_OF_A_KIND)
        u = fine(first, second, unit, step)
        chance = np.exp(-part * _log1p(odds))
        total, k = chance, 0.0
        while u > total and k < part:
            chance = chance * ((part - k) / (k + 1.0)) * odds
            total = total + chance
            k += 1.0
        drawn += part - k if x > 0.0 else k
        left -= part
        step += 1
    return drawn


@_compiled
def _gamma(first, second, unit, rate, shape):
    d = (shape if shape >= 1.0 else shape + 1.0) - 1.0 / 3.0
    boost = 1.0 if shape >= 1.0 else fine(first, second, unit, 0) ** (1.0 / shape)
    step = 1
    while True:
        z = _normal_quantile(fine(first, second, unit, step))
        v, taken = _gamma_trial(z, fine(first, second, unit, step + 1), d)
        step += 2
        if taken:
            return d * v * boost / rate


@_compiled
def _poisson(first, second, unit, field):
    rate = np.exp(field)
    if not rate <= 2.0**52:
        return rate
    if rate < trials.POISSON_INVERSION:
        u = fine(first, second, unit, 0)
        chance = np.exp(-rate)
        total, k = chance, 0.0
        # Beyond the mean, chances that no longer change the sum end it where rounding has left it below u.
        while u > total and (k < rate or chance > 1e-18):
            k += 1.0
            chance = chance * (rate / k)
            total = total + chance
        return k
    a, b = _poisson_hat(rate)
    step = 1
    while True:
        v = fine(first, second, unit, step + 1)
        k, side = _poisson_proposal(rate, a, b, fine(first, second, unit, step) - 0.5)
        step += 2
        if _poisson_at_once(b, side, v) or (_poisson_possible(k, side, v) and _poisson_taken(k, rate, a, b, side, v)):
            return k


DRAWS: dict[str, Callable[[int], Any]] = {
    **{
        name: lambda count, quantile=QUANTILES[f"{name}_quantile"]: _drawn_by(quantile, count)  # type: ignore[misc]
        for name in (one.removesuffix("_quantile") for one in quantiles.__all__)
    },
    "finite": lambda count: _drawn_by(_finite_quantile_of(count), count),
    "binomial": lambda count: _binomial,
    "gamma": lambda count: _gamma,
    "poisson": lambda count: _poisson,
    "von_mises": lambda count: _von_mises,
}
"""For every sampler, the compiled draw ``(first, second, unit, *arguments)`` in float64, by the number of arguments."""
