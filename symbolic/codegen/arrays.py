"""The arrays that kernels take: what is checked of one before a call, and how one is made to go with another.

The targets ``numpy`` and ``numba`` take NumPy arrays, laid out row by row; the target ``array-api`` takes those of any
library that follows the array API standard, and nothing here turns them into NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symbolic.codegen.runtime.array_api import fine_uniforms, moved, namespace, repeated, uniforms
from symbolic.codegen.runtime.numpy import fine_uniform
from symbolic.codegen.runtime.streams import row_streams
from symbolic.codegen.runtime.sums import unit_streams
from symbolic.errors import ArgumentError

__all__ = ["ForeignArrays", "NumpyArrays"]

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


class NumpyArrays:
    """C-contiguous NumPy arrays of one dtype."""

    def check(self, arrays: Mapping[str, Any]) -> None:
        """Refuse what the kernels cannot take.

        Raises:
            ArgumentError: one is no NumPy array, not of the common dtype, float32 or float64, or not C-contiguous.
        """
        dtype = getattr(next(iter(arrays.values()), None), "dtype", None)
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):
                raise ArgumentError(
                    f"{name} must be a NumPy array. Got {type(array).__name__}; use np.asarray({name}, np.float64), or "
                    'compile the energy for "array-api" to pass arrays of other libraries.'
                )
            if isinstance(array, (np.matrix, np.ma.MaskedArray)):
                raise ArgumentError(
                    f"{name} must be a plain NumPy array, which is multiplied and broadcast as arrays are and has no "
                    f"missing values. Got {type(array).__name__}; use np.asarray({name})."
                )
            if array.dtype not in _DTYPES:
                raise ArgumentError(
                    f"{name} must hold float32 or float64. Got {array.dtype}; use {name}.astype(np.float64)."
                )
            if array.dtype != dtype:
                other = next(iter(arrays))
                raise ArgumentError(
                    f"all arrays of a call share one dtype, but {other} is {dtype} and {name} is {array.dtype}. "
                    f"Convert one: {name}.astype(np.{dtype})."
                )
            if not array.flags.c_contiguous:
                raise ArgumentError(
                    f"{name} must be C-contiguous. Got strides {array.strides} for shape {array.shape}; use "
                    f"np.ascontiguousarray({name})."
                )

    def filled(self, rows: int, value: float, like: Any) -> Any:
        """``rows`` equal numbers in the dtype of ``like``."""
        return np.full(rows, value, like.dtype)

    def weights(self, row_weights: Any, rows: int, like: Any) -> Any:
        """The weights given, if they go with ``like``.

        Raises:
            ArgumentError: they are not an array of its dtype, or there is not one per row.
        """
        if not isinstance(row_weights, np.ndarray) or row_weights.dtype != like.dtype:
            got = getattr(row_weights, "dtype", type(row_weights).__name__)
            raise ArgumentError(f"row_weights must be an array of dtype {like.dtype}, like the states. Got {got}.")
        _check_rows("row_weights", row_weights, (rows,))
        return np.ascontiguousarray(row_weights)

    def bits(self, rng: Any, first_row: int, rows: int, units: int, like: Any, *way: Any) -> dict[str, Any]:
        """The arguments of a sampler that decide its draws."""
        return {"key": key_of(rng), "first_row": row_number(first_row, rows)}

    def joined(self, parts: list[Any]) -> Any:
        """One array of the parts' rows."""
        return np.concatenate(parts)

    def reshaped(self, array: Any, shape: tuple[int, ...]) -> Any:
        """The array in another shape."""
        return array.reshape(shape)

    def result(self, value: Any) -> Any:
        """A sum over rows that is a single number, which NumPy gives as a scalar, as an array."""
        return np.asarray(value)


class ForeignArrays:
    """Arrays of one library, dtype and device."""

    def check(self, arrays: Mapping[str, Any]) -> None:
        """Refuse what the kernels cannot take.

        Raises:
            ArgumentError: one is not an array of a library that follows the standard, or not of the common dtype,
                float32 or float64; or two libraries or two devices are mixed.
        """
        first = next(iter(arrays), "")
        for name, array in arrays.items():
            try:
                xp = namespace(array)
            except TypeError as error:
                raise ArgumentError(f"{name}: {error}") from None
            one = arrays[first]
            if xp is not namespace(one):
                raise ArgumentError(
                    f"all arrays of a call come from one library, but {first} is a {_kind(one)} and {name} a "
                    f"{_kind(array)}. Convert one of them."
                )
            if array.dtype not in (xp.float32, xp.float64):
                raise ArgumentError(f"{name} must hold float32 or float64. Got {array.dtype}; convert it.")
            if array.dtype != one.dtype:
                raise ArgumentError(
                    f"all arrays of a call share one dtype, but {first} is {one.dtype} and {name} is {array.dtype}. "
                    "Convert one of them."
                )
            here, there = getattr(one, "device", None), getattr(array, "device", None)
            if here != there:
                raise ArgumentError(
                    f"all arrays of a call are on one device, but {first} is on {here} and {name} on {there}. Move one."
                )

    def filled(self, rows: int, value: float, like: Any) -> Any:
        """``rows`` equal numbers in the library, dtype and device of ``like``."""
        return repeated(value, (rows,), like)

    def weights(self, row_weights: Any, rows: int, like: Any) -> Any:
        """The weights given, if they go with ``like``.

        Raises:
            ArgumentError: as :meth:`check`; or there is not one per row.
        """
        self.check({"the states": like, "row_weights": row_weights})
        _check_rows("row_weights", row_weights, (rows,))
        return row_weights

    def bits(
        self, rng: Any, first_row: int, rows: int, units: int, like: Any, fine: str, one_by_one: bool
    ) -> dict[str, Any]:
        """The arguments of a sampler that decide its draws: uniform numbers, made here unless they are given.

        Args:
            rng: a generator, a key or the numbers.
            first_row, rows, units: the numbers of the first row, of rows and of units.
            like: an array of the library.
            fine: ``"fine_"`` for numbers of float64 in any case.
            one_by_one: whether the units are drawn one after the other, each from streams of its own.
        """
        if hasattr(rng, "shape") and not isinstance(rng, np.integer):
            self.check({"the states": like, "rng": rng})
            _check_rows("rng", rng, (rows, units))
            return {f"{fine}uniform": rng}
        key, first = key_of(rng), row_number(first_row, rows)
        if not fine:
            return {"uniform": uniforms(key, first, (rows, units), like)}
        if not one_by_one:
            return {"fine_uniform": fine_uniforms(key, first, (rows, units), like)}
        streams = row_streams(key, first, rows)
        columns = [fine_uniform(unit_streams(streams, unit), 1) for unit in range(units)]
        numbers = np.concatenate([np.empty((rows, 0)), *columns], axis=1)
        return {"fine_uniform": moved(numbers, like)}

    def joined(self, parts: list[Any]) -> Any:
        """One array of the parts' rows."""
        xp = namespace(parts[0])
        return xp.concat(parts) if hasattr(xp, "concat") else xp.concatenate(parts)

    def reshaped(self, array: Any, shape: tuple[int, ...]) -> Any:
        """The array in another shape."""
        return namespace(array).reshape(array, shape)

    def result(self, value: Any) -> Any:
        """The array as it is."""
        return value


def _kind(array: Any) -> str:
    return f"{type(array).__module__.partition('.')[0]}.{type(array).__name__}"


def _check_rows(name: str, array: Any, shape: tuple[int, ...]) -> None:
    if tuple(array.shape) != shape:
        what = "one per row" if len(shape) == 1 else "one number per unit"
        raise ArgumentError(f"{name} must have shape {shape}, {what}. Got {tuple(array.shape)}.")


def key_of(rng: np.random.Generator | int) -> int:
    """The 64-bit key of a draw: the one given, or one from the generator.

    Raises:
        ArgumentError: it is neither a generator nor a whole number, has more than 64 bits, or is negative.
    """
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(0, 2**64, dtype=np.uint64))
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        if not 0 <= rng < 2**64:
            raise ArgumentError(f"rng as a key must lie between 0 and 2**64 - 1. Got {rng}.")
        return int(rng)
    raise ArgumentError(f"rng must be a numpy.random.Generator or a 64-bit key. Got {type(rng).__name__}.")


def row_number(first_row: int, rows: int) -> int:
    """The number of the first of ``rows`` rows.

    Raises:
        ArgumentError: it is not a whole number, or the rows' numbers do not fit into 64 bits.
    """
    if isinstance(first_row, bool) or not isinstance(first_row, (int, np.integer)):
        raise ArgumentError(f"first_row must be a whole number. Got {first_row!r}.")
    if not 0 <= first_row <= 2**64 - 1 - rows:
        raise ArgumentError(f"first_row must lie between 0 and 2**64 - 1 - {rows}. Got {first_row}.")
    return int(first_row)
