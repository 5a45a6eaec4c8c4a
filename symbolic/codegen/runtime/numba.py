"""What generated Numba modules call inside their loops: the special functions, random bits and draws.

Called from Python they answer as the NumPy target does; inside a compiled loop the type of the argument chooses the
implementation. Every function takes float32 or float64. Those of two-state units compute in that type
(:mod:`~symbolic.codegen.runtime.numba_math`); those of other units, and draws, compute in float64 and round at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.extending import overload

from symbolic.codegen import machine_code  # noqa: F401  it tells a person who waits that something is compiled
from symbolic.codegen.runtime import numba_draws, numpy, special
from symbolic.codegen.runtime.numba_draws import DRAWS, relative_to_largest
from symbolic.codegen.runtime.numba_math import DOUBLE, SINGLE
from symbolic.codegen.runtime.numba_primitives import HELPER

# Functions that NumPy has itself, and those of two-state units: both have a form in float32.
_ELEMENTARY = ("exp", "log", "sqrt", "tanh")
_OF_TWO_STATES = ("exp", "tanh", "softplus", "sigmoid", "log2cosh")

__all__ = [
    "exp",
    "fine_uniform",
    "log",
    "sqrt",
    "tanh",
    "uniform",
    *special.__all__,
    *(f"draw_{name}" for name in DRAWS),
]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Any]: ...  # the functions of `special`, and draw_… of `numba_draws`


def _checked(x: types.Type) -> types.Type:
    if x not in (types.float32, types.float64):
        raise TypingError(f"generated kernels compute in float32 or float64. Got {x}.")
    return x


def _cast_to(x: types.Type) -> type:
    return np.float32 if _checked(x) == types.float32 else np.float64


def _called_from_python(name: str, interpreted: Callable[..., Any]) -> Callable[..., Any]:
    """A function of this name of its own, for Numba to know it by."""

    def function(*values: Any) -> Any:
        return interpreted(*values)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = interpreted.__doc__
    return function


def _in_double(arguments: list[str], cast: type, double: Any) -> Any:
    wide = ", ".join(f"_f64({x})" for x in arguments)
    source = f"def made({', '.join(arguments)}): return cast(double({wide}))"
    return numba_draws.text(source, cast=cast, double=double)


def _public(name: str, interpreted: Callable[..., Any]) -> Any:
    """The function of numbers called ``name``: NumPy's from Python, that of `numba_math` inside a compiled loop."""
    function = _called_from_python(name, interpreted)

    @overload(function, jit_options=HELPER, strict=False)
    def chosen(*types_of: types.Type) -> Any:
        # The text itself rather than a function that calls it: one compilation less.
        if _checked(types_of[-1]) == types.float32 and name in _OF_TWO_STATES:
            return SINGLE[name].py_func
        if name in _OF_TWO_STATES or set(types_of) == {types.float64}:
            return DOUBLE[name].py_func
        return _in_double([f"x{k}" for k in range(len(types_of))], _cast_to(types_of[-1]), DOUBLE[name])

    return function


def _of_library(name: str) -> Any:
    """√ or ln of a number: the C library's and the processor's, in the type of their argument."""
    interpreted = getattr(np, name)
    function = _called_from_python(name, interpreted)
    overload(function, jit_options=HELPER)(lambda x: lambda x: interpreted(x))
    return function


exp, tanh = _public("exp", np.exp), _public("tanh", np.tanh)
log, sqrt = _of_library("log"), _of_library("sqrt")
globals().update({name: _public(name, getattr(numpy, name)) for name in special.__all__})


# Of any number of arguments, which are written out


def _written_out(name: str) -> Callable[[Callable[[list[str]], list[str]]], Any]:
    """The function called ``name`` whose statements the decorated one writes, given the names of its arguments."""

    def decorate(body: Callable[[list[str]], list[str]]) -> Any:
        function = _called_from_python(name, getattr(numpy, name))

        @overload(function, jit_options=HELPER, strict=False)
        def chosen(*x: types.Type) -> Any:
            arguments = numba_draws.names("x", len(x))
            lines = [f"def made({', '.join(arguments)}):", *body(arguments)]
            known = {"cast": _cast_to(x[-1]), "exp": DOUBLE["exp_falling"], "log": DOUBLE["log"]}
            return numba_draws.text("\n".join(lines), **known)

        return function

    return decorate


@_written_out("logsumexp")
def logsumexp(x: list[str]) -> list[str]:
    """ln Σ_k e^{x_k}, relative to the largest."""
    total = " + ".join(numba_draws.names("e", len(x)))
    return [*relative_to_largest(x), f"    return cast(top + log({total}))"]


@_written_out("softmax")
def softmax(x: list[str]) -> list[str]:
    """e^{x_k} / Σ_l e^{x_l}; k counts from 1, is the first argument, and is written out as a number."""
    k, *fields = x
    lines = [*relative_to_largest(fields), "    part = e0"]
    lines += [f"    part = e{place} if {k} == {place + 1} else part" for place in range(1, len(fields))]
    total = " + ".join(numba_draws.names("e", len(fields)))
    return [*lines, f"    return cast(part / ({total}))"]


# Random numbers


def uniform(first: Any, second: Any, unit: int, like: Any) -> Any:
    """The uniform number of one unit, in the type of ``like``; ``first`` and ``second`` are its row's stream."""
    streams = np.array([first], np.uint32), np.array([second], np.uint32)
    return numpy.uniform(streams, unit + 1, like.dtype)[0, unit]


@overload(uniform, jit_options=HELPER)
def _uniform(first, second, unit, like):  # type: ignore[no-untyped-def]
    return numba_draws.uniform_32 if _checked(like) == types.float32 else numba_draws.uniform


def fine_uniform(first: Any, second: Any, unit: int) -> Any:
    """The uniform number of one unit in float64, of 52 bits; ``first`` and ``second`` are its row's stream."""
    streams = np.array([first], np.uint32), np.array([second], np.uint32)
    return numpy.fine_uniform(streams, unit + 1)[0, unit]


@overload(fine_uniform, jit_options=HELPER)
def _fine_uniform(first, second, unit):  # type: ignore[no-untyped-def]
    fine = numba_draws.fine
    return lambda first, second, unit: fine(first, second, unit, 0)


# Which argument is one number for all units.
_NUMBER = {"binomial": 0, "gamma": 1}


def _drawing(name: str) -> Any:
    """The function ``draw_name(stream_0, stream_1, unit, like, *arguments)``: one state, in the type of ``like``."""

    def function(first: Any, second: Any, unit: int, like: Any, *arguments: Any) -> Any:
        streams = np.array([first], np.uint32), np.array([second], np.uint32)
        row = [np.full((1, unit + 1), argument) for argument in arguments]
        if name in _NUMBER:
            row[_NUMBER[name]] = arguments[_NUMBER[name]]
        return like.dtype.type(getattr(numpy, f"draw_{name}")(streams, *row)[0, unit])

    function.__name__ = function.__qualname__ = f"draw_{name}"
    function.__doc__ = f"One unit's draw, in the type of ``like``: :func:`~symbolic.codegen.runtime.numpy.draw_{name}`."

    @overload(function, jit_options=HELPER, strict=False)
    def chosen(first, second, unit, like, *arguments):  # type: ignore[no-untyped-def]
        names = numba_draws.names("x", len(arguments))
        wide = ", ".join(f"_f64({x})" for x in names)
        source = (
            f"def made(first, second, unit, like, {', '.join(names)}): return cast(draw(first, second, unit, {wide}))"
        )
        return numba_draws.text(source, cast=_cast_to(like), draw=DRAWS[name](len(arguments)))

    return function


globals().update({f"draw_{name}": _drawing(name) for name in DRAWS})
