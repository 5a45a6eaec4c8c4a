"""How one text of a function serves several libraries: its code stays, and the names that it refers to are exchanged.

A *text* is a module of plain functions. What they call and do not define themselves (``exp``, ``where``, the series
with their coefficients) the module imports from NumPy, so the text as it stands is the form for NumPy's arrays.
:func:`bound` gives the same functions with other libraries' names under them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType
from typing import Any

__all__ = ["Series", "bound"]


class Series:
    """The polynomial c_0 + c_1 y + c_2 y² + … by Horner's rule, of arrays of any library.

    Attributes:
        coefficients: c_0, c_1, c_2, …
    """

    def __init__(self, coefficients: tuple[float, ...]):
        self.coefficients = coefficients

    def __call__(self, y: Any) -> Any:
        total = self.coefficients[-1] + 0 * y
        for c in self.coefficients[-2::-1]:
            total = total * y + c
        return total


def _as_it_is(one: Any) -> Any:
    return one


def bound(
    text: ModuleType,
    names: Mapping[str, Any],
    function: Callable[[FunctionType], Any] = _as_it_is,
    series: Callable[[Series], Any] = _as_it_is,
) -> dict[str, Any]:
    """Return the functions of a text under other names for what they call.

    Args:
        text: the module.
        names: what takes the place of a name of the text, also of one of its functions.
        function: what becomes of every other function of the text, such as ``njit``.
        series: what becomes of every series that the text names.

    Names with a leading underscore are no part of a text.

    Returns:
        all names of the text with what they stand for here; the functions see this dictionary as their globals.
    """
    world = {**vars(text), **names}
    for name, value in vars(text).items():
        if name in names or name.startswith("_"):
            continue
        if isinstance(value, Series):
            world[name] = series(value)
        elif isinstance(value, FunctionType) and value.__module__ == text.__name__:
            copy = FunctionType(value.__code__, world, name, value.__defaults__, value.__closure__)
            copy.__doc__ = value.__doc__
            world[name] = function(copy)
    return world
