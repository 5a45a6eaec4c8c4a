"""What the texts of functions call when Numba compiles them: choices, conversions, and series.

They are written as instructions of LLVM rather than as compiled functions: each of these costs 20 to 50 ms when a
person's first model is compiled (2 cores, 2026-12), and an instruction nothing. Whoever calls a choice has computed
both sides of it; nothing here branches, so that loops can become loops over vectors.

The helpers allow the compiler one liberty, fused multiply-add. Reassociation is not among them: it would fold the
two-part constant of the range reduction into one and lose its digits. Nor is the assumption that NaN and ∞ never
occur, under which a diverged model could pass for a sound one.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from symbolic.codegen.runtime.binding import Series

__all__ = ["CALLED", "HELPER", "as_real", "as_word", "beyond", "by_pairs", "like", "one_by_one", "where", "within"]

HELPER: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "forceinline": True, "nogil": True}
_FUSED = ("contract",)


@intrinsic
def where(typing, condition, a, b):
    """a where the condition holds, else b."""
    of = typing.unify_types(types.unliteral(a), types.unliteral(b))

    def generate(context, builder, signature, arguments):
        chosen = (context.cast(builder, x, t, of) for x, t in zip(arguments[1:], signature.args[1:], strict=True))
        return builder.select(arguments[0], *chosen)

    return of(types.boolean, types.unliteral(a), types.unliteral(b)), generate


@intrinsic
def maximum(typing, x, y):
    """The larger of two real numbers of one type; the second if either is NaN."""

    def generate(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return x(x, x), generate


@intrinsic
def within(typing, condition, a, other):
    """a: a single number may be computed with where it does not count."""
    signature = a(types.boolean, a, types.unliteral(other))
    return signature, lambda context, builder, signature, arguments: arguments[1]


beyond = within


@intrinsic
def like(typing, number, x):
    """The number in the type of x."""
    of = types.unliteral(number)
    return x(of, x), lambda context, builder, signature, arguments: context.cast(builder, arguments[0], of, x)


_WORDS = {types.float32: types.int32, types.float64: types.int64}
_REALS = {word: real for real, word in _WORDS.items()}


def _reinterpreting(kinds: dict[Any, Any]) -> Any:
    @intrinsic
    def reinterpreted(typing, x):
        def generate(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], context.get_value_type(kinds[x]))

        return kinds[x](x), generate

    return reinterpreted


# The bits of a real number as a whole one of the same size, and the other way round.
as_word, as_real = _reinterpreting(_WORDS), _reinterpreting(_REALS)


def one_by_one(series: Series) -> Any:
    """A series by Horner's rule. Numba keeps a tuple of numbers in memory and indexes it; these are constants of the
    machine code, and loops around them become loops over vectors."""

    @intrinsic
    def polynomial(typing, y):
        def generate(context, builder, signature, arguments):
            constant = _constants(context, y)
            total = constant(series.coefficients[-1])
            for c in series.coefficients[-2::-1]:
                total = builder.fadd(builder.fmul(total, arguments[0], flags=_FUSED), constant(c), flags=_FUSED)
            return total

        return y(y), generate

    return polynomial


def by_pairs(series: Series) -> Any:
    """A series by pairs, pairs of pairs and so on, most of which do not wait for one another (Estrin's scheme). It has
    other last digits than :func:`one_by_one`."""

    @intrinsic
    def polynomial(typing, y):
        def generate(context, builder, signature, arguments):
            terms, (power,) = list(map(_constants(context, y), series.coefficients)), arguments
            while len(terms) > 1:
                paired = [
                    builder.fadd(low, builder.fmul(power, high, flags=_FUSED), flags=_FUSED)
                    for low, high in zip(terms[::2], terms[1::2], strict=False)
                ]
                terms = paired + terms[len(terms) & ~1 :]
                power = builder.fmul(power, power, flags=_FUSED)
            return terms[0]

        return y(y), generate

    return polynomial


def _constants(context, kind):
    return lambda c: context.get_constant(kind, c)


CALLED = {"maximum": maximum, "where": where, "within": within, "beyond": beyond, "like": like}
"""The choices and conversions by the names that texts call them by."""
