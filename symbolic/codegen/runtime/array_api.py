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
from typing import TYPE_CHECKING, Any

import numpy as np

from symbolic.codegen.runtime import numpy, quantiles, special, streams
from symbolic.codegen.runtime.binding import bound
from symbolic.codegen.runtime.streams import row_streams

__all__ = [
    "LogSumExp",
    "configurations",
    "diagonal",
    "draw",
    "einsum",
    "fine_uniforms",
    "functions_of",
    "library",
    "made",
    "moved",
    "namespace",
    "repeated",
    "uniforms",
    *special.__all__,
    *(f"draw_{name.removesuffix('_quantile')}" for name in quantiles.__all__),
]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Any]: ...  # the functions of `special`, and draw_… of `quantiles`


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
        TypeError: one of them is not an array of a library that follows the standard, or two libraries are mixed.
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


def library(x: Any) -> Any:
    """NumPy itself for its arrays, and the namespace of any other library's."""
    return np if isinstance(x, (np.ndarray, np.generic)) else namespace(x)


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


def moved(array: Any, like: Any) -> Any:
    """The array in the library and on the device of ``like``."""
    return made("asarray", array, like=like)


# Functions that neither overflow nor lose digits; NaN gives NaN, and ±∞ the limit. The text of `special` and
# `quantiles`, under the names of the array's own library.


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float))


def _names_of(xp: Any) -> dict[str, Any]:
    def where(condition: Any, a: Any, b: Any) -> Any:
        # The standard's takes arrays alone; one of the two is an array wherever the texts choose.
        array = b if _is_number(a) else a
        return xp.where(condition, *(xp.full_like(array, x) if _is_number(x) else x for x in (a, b)))

    return {
        **{name: getattr(xp, name) for name in ("exp", "expm1", "floor", "log", "log1p", "sqrt")},
        "log1p_unit": xp.log1p,
        "log_of_tail": xp.log,
        "maximum": lambda x, y: xp.where(x > y, x, y),  # the standard has had its own since 2023
        "where": where,
        "within": where,
        "beyond": lambda near, a, other: where(near, other, a),
        "like": lambda number, x: xp.zeros_like(x) + number,
    }


@cache
def functions_of(xp: Any) -> dict[str, Any]:
    """The functions of `special` and `quantiles` by name, for the arrays of a namespace."""
    if xp is np:
        return {**vars(special), **vars(quantiles)}
    names = _names_of(xp)
    return bound(quantiles, bound(special, names))


def _answering(name: str) -> Callable[..., Any]:
    function = getattr(special, name)

    @wraps(function)
    def answer(*arguments: Any) -> Any:
        arrays = [x for x in arguments if not _is_number(x)]
        if not arrays:
            return float(function(*arguments))
        # Libraries differ in what they make of a choice between two plain numbers.
        kept = 1 if name == "softmax" else 0  # its k counts arguments
        spread = (x + 0 * arrays[0] if _is_number(x) else x for x in arguments[kept:])
        return functions_of(namespace(*arrays))[name](*arguments[:kept], *spread)

    return answer


globals().update({name: _answering(name) for name in special.__all__})


# Random states


def uniforms(key: int, first_row: int, shape: tuple[int, int], like: Any) -> Any:
    """The numbers of :func:`~symbolic.codegen.runtime.numpy.uniform` for ``shape[0]`` rows and ``shape[1]`` units.

    They are made by NumPy and then moved to the library, dtype and device of ``like``, so draws are those of the
    other targets.
    """
    streams = row_streams(key, first_row, shape[0])
    return moved(numpy.uniform(streams, shape[1], _numpy_dtype(like)), like)


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
    return moved(numpy.fine_uniform(row_streams(key, first_row, shape[0]), shape[1]), like)


def _by_inversion(name: str) -> Callable[..., Any]:
    @wraps(getattr(quantiles, name))
    def draw(uniform: Any, *arguments: Any) -> Any:
        arrays = [x for x in arguments if not _is_number(x)]
        xp = namespace(uniform, *arrays)
        # A library's own numbers may be 0, where some quantiles are infinite; ours never are.
        uniform = xp.where(uniform > 0, uniform, 2.0**-54 + 0 * uniform)
        wide = (x + 0 * uniform if _is_number(x) else xp.astype(x, xp.float64) for x in arguments)
        drawn = functions_of(xp)[name](uniform, *wide)
        return xp.astype(drawn, arrays[0].dtype) if arrays else drawn

    return draw


globals().update({f"draw_{name.removesuffix('_quantile')}": _by_inversion(name) for name in quantiles.__all__})


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
        yield tuple(moved(states, like) for states in block)


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
