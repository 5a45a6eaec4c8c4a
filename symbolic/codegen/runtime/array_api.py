"""What generated array-API modules call: functions of arrays of any library that follows the array API standard.

The library is found from the arguments: an array says what its namespace is (``__array_namespace__``), and those of
NumPy, CuPy and PyTorch are known by name, since not all their versions say so or have every function of the standard.
All functions here use the standard's functions and operators alone, so whatever the library offers beyond it
(devices, automatic differentiation) goes through them.

Source: the Python array API standard, version 2022.12 (Consortium for Python Data API Standards).
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from functools import cache, wraps
from types import ModuleType
from typing import Any

import numpy as np

from symbolic.codegen.runtime import numpy, streams
from symbolic.codegen.runtime import special as stable
from symbolic.codegen.runtime.streams import row_streams

__all__ = [
    "LogSumExp",
    "bessel_curvature",
    "bessel_slope",
    "bose",
    "configurations",
    "diagonal",
    "draw",
    "draw_exponential",
    "draw_finite",
    "draw_gaussian",
    "draw_geometric",
    "draw_integer",
    "draw_rectified",
    "draw_spike_and_slab",
    "draw_two_sided",
    "draw_uniform",
    "einsum",
    "exprel_mean",
    "exprel_variance",
    "fine_uniforms",
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
    "made",
    "mills_mean",
    "mills_variance",
    "namespace",
    "neg",
    "nonzero",
    "pos",
    "repeated",
    "sigmoid",
    "sinhc_curvature",
    "sinhc_slope",
    "softmax",
    "softplus",
    "uniforms",
]

_KNOWN = ("numpy", "cupy", "torch")


class _Namespace:
    """A library whose module lacks two functions of the standard in some versions; the rest is the module's own."""

    def __init__(self, module: ModuleType):
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        setattr(self, name, value)
        return value

    def __repr__(self) -> str:
        return f"<array namespace of {self._module.__name__}>"

    def permute_dims(self, x: Any, axes: tuple[int, ...]) -> Any:
        return x.permute(axes) if self._module.__name__ == "torch" else x.transpose(axes)

    def astype(self, x: Any, dtype: Any) -> Any:
        return x.to(dtype) if self._module.__name__ == "torch" else x.astype(dtype)


@cache
def _known(library: str) -> _Namespace:
    return _Namespace(importlib.import_module(library))


def namespace(*arrays: Any) -> Any:
    """The namespace that all of the arrays belong to.

    Raises:
        TypeError: one of them is no array of a library that follows the standard, or two libraries are mixed.
    """
    found: dict[int, tuple[Any, Any]] = {}
    for array in arrays:
        library = type(array).__module__.partition(".")[0]
        if library in _KNOWN and hasattr(array, "dtype"):
            xp = _known(library)
        elif hasattr(array, "__array_namespace__"):
            xp = array.__array_namespace__()
        else:
            raise TypeError(
                "arguments must be arrays of a library that follows the array API standard, such as numpy.ndarray or "
                f"torch.Tensor. Got {type(array).__name__}."
            )
        found.setdefault(id(xp), (xp, array))
    if len(found) != 1:
        names = " and ".join(type(array).__module__ for _, array in found.values()) or "none"
        raise TypeError(f"all arrays of a call come from one library. Got {names}; convert some of them.")
    ((xp, _),) = found.values()
    return xp


def _numpy_dtype(like: Any) -> type:
    return np.float32 if like.dtype == namespace(like).float32 else np.float64


def made(function: str, *arguments: Any, like: Any, **keywords: Any) -> Any:
    """What a function of the standard makes, on the device of ``like``."""
    make = getattr(namespace(like), function)
    if isinstance(like, np.ndarray):  # NumPy has one device, and names it from version 2 on only
        return make(*arguments, **keywords)
    if type(like).__module__.partition(".")[0] == "cupy":
        with like.device:  # CuPy's functions take no device, but make arrays on the current one
            return make(*arguments, **keywords)
    return make(*arguments, device=like.device, **keywords)


def _moved(array: Any, like: Any) -> Any:
    return made("asarray", array, like=like)


# Functions that neither overflow nor lose digits; NaN gives NaN, and ±∞ the limit.


def softplus(x: Any) -> Any:
    """ln(1 + e^x) as max(x, 0) + log1p(e^−|x|), which holds for x of any size."""
    xp = namespace(x)
    return xp.where(x > 0, x, xp.zeros_like(x)) + xp.log1p(xp.exp(-xp.abs(x)))


def sigmoid(x: Any) -> Any:
    """e^x / (1 + e^x), from e^−|x|."""
    xp = namespace(x)
    falling = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, xp.ones_like(x), falling) / (1 + falling)


def log2cosh(x: Any) -> Any:
    """ln(e^x + e^−x) as |x| + log1p(e^−2|x|)."""
    xp = namespace(x)
    size = xp.abs(x)
    return size + xp.log1p(xp.exp(-2 * size))


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float))


def _stable(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def answer(*arguments: Any) -> Any:
        arrays = [x for x in arguments if not _is_number(x)]
        if not arrays:
            return float(function(np, *arguments))
        # Libraries differ in what they make of a choice between two plain numbers.
        kept = 1 if function is stable.softmax else 0  # its k counts arguments
        spread = (x + 0 * arrays[0] if _is_number(x) else x for x in arguments[kept:])
        return function(namespace(*arrays), *arguments[:kept], *spread)

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


# Random states


def uniforms(key: int, first_row: int, shape: tuple[int, int], like: Any) -> Any:
    """The numbers of :func:`~symbolic.codegen.runtime.numpy.uniform` for ``shape[0]`` rows and ``shape[1]`` units.

    They are made by NumPy and then moved to the library, dtype and device of ``like``, so draws are those of the
    other targets.
    """
    streams = row_streams(key, first_row, shape[0])
    return _moved(numpy.uniform(streams, shape[1], _numpy_dtype(like)), like)


def draw(mean: Any, uniform: Any, low: float, high: float) -> Any:
    """States of two-state units: ``high`` with probability (mean − low) / (high − low), else ``low``.

    Args:
        mean: shape (rows, units).
        uniform: numbers between 0 and 1, of the same shape.
        low, high: the two states.
    """
    xp = namespace(mean, uniform)
    threshold = uniform if (low, high) == (0, 1) else uniform * (high - low) + low
    return xp.where(threshold < mean, xp.full_like(mean, high), xp.full_like(mean, low))


# Draws from more than two states, by inversion of one number each


def fine_uniforms(key: int, first_row: int, shape: tuple[int, int], like: Any) -> Any:
    """The numbers of :func:`~symbolic.codegen.runtime.numpy.fine_uniform` for ``shape[0]`` rows and ``shape[1]`` units.

    They are float64 for arrays of either type, in the library and on the device of ``like``.
    """
    return _moved(numpy.fine_uniform(row_streams(key, first_row, shape[0]), shape[1]), like)


def _by_inversion(quantile: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(quantile)
    def draw(uniform: Any, *arguments: Any) -> Any:
        arrays = [x for x in arguments if not _is_number(x)]
        xp = namespace(uniform, *arrays)
        # A library's own numbers may be 0, where some quantiles are infinite; ours never are.
        uniform = xp.where(uniform > 0, uniform, 2.0**-54 + 0 * uniform)
        wide = (x + 0 * uniform if _is_number(x) else xp.astype(x, xp.float64) for x in arguments)
        drawn = quantile(xp, uniform, *wide)
        return xp.astype(drawn, arrays[0].dtype) if arrays else drawn

    return draw


draw_exponential = _by_inversion(stable.exponential_quantile)
draw_finite = _by_inversion(stable.finite_quantile)
draw_gaussian = _by_inversion(stable.gaussian_quantile)
draw_geometric = _by_inversion(stable.geometric_quantile)
draw_integer = _by_inversion(stable.integer_quantile)
draw_rectified = _by_inversion(stable.rectified_quantile)
draw_spike_and_slab = _by_inversion(stable.spike_and_slab_quantile)
draw_two_sided = _by_inversion(stable.two_sided_quantile)
draw_uniform = _by_inversion(stable.uniform_quantile)


# Arrays laid out anew


def repeated(x: Any, shape: tuple[int, ...], like: Any) -> Any:
    """``x``, an array or a number, repeated to a shape; in the library, dtype and device of ``like``."""
    return made("zeros", shape, dtype=like.dtype, like=like) + x


def diagonal(letters: str, x: Any) -> Any:
    """x along a diagonal: ``diagonal("aba", x)`` is x[a, b, a], over a and b."""
    xp = namespace(x)
    kept = "".join(dict.fromkeys(letters))
    while len(letters) > len(kept):
        first, second = next(
            (first, second) for second, letter in enumerate(letters) if (first := letters.index(letter)) < second
        )
        # Both axes laid together, every (n + 1)-th place of which is on the diagonal.
        rest = [place for place in range(len(letters)) if place not in (first, second)]
        size, others = x.shape[first], [x.shape[place] for place in rest]
        x = xp.reshape(xp.permute_dims(x, (first, second, *rest)), (size * size, *others))[:: size + 1, ...]
        letters = letters[first] + "".join(letters[place] for place in rest)
    return xp.permute_dims(x, tuple(letters.index(letter) for letter in kept))


def einsum(subscripts: str, a: Any, b: Any) -> Any:
    """The product of two arrays, summed over the letters that the result lacks; as one (stacked) matrix product.

    Args:
        subscripts: such as ``"ab,acd->bcd"``; no letter twice in one array.
        a, b: the arrays.
    """
    xp = namespace(a, b)
    inputs, out = subscripts.split("->")
    left, right = inputs.split(",")
    a, left = _summed(xp, a, left, right + out)
    b, right = _summed(xp, b, right, left + out)
    size = {**dict(zip(left, a.shape, strict=True)), **dict(zip(right, b.shape, strict=True))}
    stacked = [letter for letter in left if letter in right and letter in out]
    inner = [letter for letter in left if letter in right and letter not in out]
    rows = [letter for letter in left if letter not in right]
    columns = [letter for letter in right if letter not in left]

    def matrix(x: Any, letters: str, first: list[str], second: list[str]) -> Any:
        x = xp.permute_dims(x, tuple(letters.index(letter) for letter in (*stacked, *first, *second)))
        sizes = [math.prod(size[letter] for letter in group) for group in (first, second)]
        return xp.reshape(x, (*(size[letter] for letter in stacked), *sizes))

    product = matrix(a, left, rows, inner) @ matrix(b, right, inner, columns)
    order = [*stacked, *rows, *columns]
    product = xp.reshape(product, tuple(size[letter] for letter in order))
    return xp.permute_dims(product, tuple(order.index(letter) for letter in out))


def _summed(xp: Any, x: Any, letters: str, needed: str) -> tuple[Any, str]:
    axes = tuple(place for place, letter in enumerate(letters) if letter not in needed)
    return (xp.sum(x, axis=axes) if axes else x), "".join(letter for letter in letters if letter in needed)


# Enumeration


def configurations(layers: tuple[tuple[int, tuple[int, ...]], ...], like: Any) -> Iterator[tuple[Any, ...]]:
    """:func:`symbolic.codegen.runtime.streams.configurations`, moved to the library, dtype and device of ``like``."""
    for block in streams.configurations(layers, _numpy_dtype(like)):
        yield tuple(_moved(states, like) for states in block)


class LogSumExp(streams.LogSumExp):
    """ln Σ e^x over blocks of x, none of which can overflow, added up in the blocks' library in float64."""

    def add(self, x: Any) -> None:
        """Take in a block."""
        xp = namespace(x)
        x = xp.astype(x, xp.float64)
        top = max(self._top, float(xp.max(x)))
        if not math.isinf(top):
            self._sum = self._sum * math.exp(self._top - top) + float(xp.sum(xp.exp(x - top)))
        self._top = top
