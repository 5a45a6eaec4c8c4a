"""The checks in front of the kernels: whatever a person passes in goes through here first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import ValueOutsideDomainError
from pgm_rbm.model.domains import describe, dimension, outside
from pgm_rbm.model.kernels import FloatArray

__all__ = ["checked_dtype", "checked_parameters", "checked_states"]


def checked_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """float32 or float64 as a dtype.

    Raises:
        ValueError: it is neither.
    """
    try:
        result = np.dtype(dtype)
    except TypeError:
        result = np.dtype(object)
    if result not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype must be float32 or float64. Got {dtype!r}.")
    return result


def checked_parameters(
    value: npt.ArrayLike, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike | None = None
) -> FloatArray:
    """``value`` as an array of finite real numbers of the given shape (a view where it already is one).

    Args:
        value: what was passed in.
        name: the argument's name, for messages.
        shape: the shape wanted.
        dtype: the dtype that the numbers have to fit.

    Raises:
        TypeError: it does not hold real numbers.
        ValueError: the shape is another one, or a number is NaN, infinite or too large for ``dtype``.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers. Got an array of dtype {array.dtype}.")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}. Got {array.shape}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        where = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite. Got {array[where]} at {where}.")
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    if dtype is not None:
        largest = np.finfo(dtype).max
        if array.size and np.abs(array).max() > largest:
            raise ValueError(
                f"{name} must fit {np.dtype(dtype)}, up to {largest:.3g}. Got {array.flat[np.abs(array).argmax()]:.3g}."
            )
    return array


def checked_states(
    value: npt.ArrayLike, name: str, unit: str, n_units: int, dtype: npt.DTypeLike | None = None
) -> npt.NDArray[Any]:
    """Configurations of one layer, one a row, every value a state of its unit.

    Args:
        value: array of shape (rows, n_units); real numbers of any dtype. The components of vectors lie side by side,
            for three of them in 3 n_units columns.
        name: the argument's name, for messages.
        unit: the unit of the layer, as in `symbolic.units`.
        n_units: the number of units of the layer.
        dtype: the dtype wanted; by default the one that ``value`` has, so that large data keep a small dtype.

    Raises:
        TypeError: it does not hold real numbers.
        ValueError: wrong shape or no rows.
        ValueOutsideDomainError: NaN, or another value that is no state of the unit.
    """
    if isinstance(value, np.ma.MaskedArray) and value.mask.any():
        raise TypeError(f"{name} must have no missing values. Got a masked array; leave out rows with masked values.")
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers. Got an array of dtype {array.dtype}.")
    columns = n_units * dimension(unit)
    if array.ndim != 2:
        hint = f"; pass {name}[None, :] for one configuration" if array.shape == (columns,) else ""
        raise ValueError(f"{name} must have two axes, (rows, {columns}){hint}. Got an array of shape {array.shape}.")
    if array.shape[1] != columns:
        each = "one" if columns == n_units else str(dimension(unit))
        raise ValueError(f"{name} must have {columns} columns, {each} a unit. Got shape {array.shape}.")
    if len(array) == 0:
        raise ValueError(f"{name} must have at least one row. Got shape {array.shape}.")
    wrong = outside(array, unit)
    if wrong.any():
        row, column = (int(k) for k in np.argwhere(wrong)[0])
        found = array[row, column].item()
        problem = "NaN" if math.isnan(found) else repr(found)
        if columns != n_units:
            column -= column % dimension(unit)
            problem = f"a vector of length {np.linalg.norm(array[row, column : column + dimension(unit)]):.6g}"
        remedy = f", for instance by a threshold: ({name} > 0.5)" if unit == "binary" else ""
        raise ValueOutsideDomainError(
            f"{name} must hold only states of a {unit} unit: {describe(unit)}. Got {problem} at row {row}, "
            f"column {column}; replace missing values and convert other values first{remedy}."
        )
    return array if dtype is None else np.ascontiguousarray(array, dtype=dtype)
