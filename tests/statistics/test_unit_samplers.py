"""Draws of every unit against its exact distribution, in ordinary and in extreme fields."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sympy import Expr, Rational, Symbol, cos, sin

from symbolic.language.functions import neg, nonzero, pos
from symbolic.testing import assert_sampler
from symbolic.units import Potential, lookup

s = Symbol("s", real=True)


def at(*terms: tuple[Expr, Any]) -> Potential:
    return Potential(tuple((part, Rational(str(c))) for part, c in terms), s)


def two_sides(up: float, up_q: float, down: float, down_q: float) -> Potential:
    return at((pos(s), up), (pos(s) ** 2, -up_q / 2), (neg(s), down), (neg(s) ** 2, -down_q / 2))


# A unit draws 20,000 numbers with one seed at each; chances of a failure are below 1e-5 each where all is well.
CASES = [
    *(("binary", at((s, x))) for x in (-6, 0.3, 40)),
    *(("spin", at((s, x))) for x in (-2, 0.1)),
    *(("{-1, 0, 1/2, 2}", at((s, x), (s**2, -0.5))) for x in (-3, 0.2, 10_000)),
    *(("binomial(7)", at((s, x))) for x in (-2, 0.5, 9)),
    ("binomial(1500)", at((s, -0.2))),  # in three parts
    *(("integer(9)", at((s, x))) for x in (-10_000, -0.3, 0, 1e-9, 2)),
    *(("poisson", at((s, x))) for x in (-7, 0.5, 3.39, 3.41, 7)),  # inversion ends at a mean of 30, x = 3.40
    *(("geometric", at((s, -r))) for r in (0.004, 1.3, 40)),
    *(("exponential", at((s, -r))) for r in (1e-4, 2, 1e4)),
    *((f"gamma({shape})", at((s, -2.5))) for shape in ("3/10", "1", "7/2", "400")),
    *(("uniform", at((s, x))) for x in (-10_000, -3, 0, 1e-12, 25)),
    *(("gaussian", at((s, x), (s**2, -q / 2))) for x, q in ((0.4, 2.0), (10_000, 0.25))),
    *(("relu", at((s, x), (s**2, -q / 2))) for x, q in ((-10_000, 1.0), (-7, 0.5), (0, 1.0), (0.8, 3.0), (1e4, 1.0))),
    ("drelu", two_sides(1, 2, 0.5, 0.7)),
    ("drelu", two_sides(-8, 1, 6, 3)),
    ("drelu", two_sides(10_000, 1, 0, 1)),
    ("spike_and_slab", at((s, 1.5), (s**2, -1), (nonzero(s), -0.5))),
    ("spike_and_slab", at((s, 0), (s**2, -0.5), (nonzero(s), -5))),
    *(("von_mises", at((cos(s), x), (sin(s), y))) for x, y in ((0, 1e-9), (0.5, -1), (-3, 0.01), (0, 10_000))),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda k: f"{CASES[k][0]}-{k}")
def test_draws_have_the_units_distribution(case: int, dtype: type) -> None:
    name, phi = CASES[case]
    assert_sampler(lookup(name), phi, draws=20_000, seed=20_240_000 + case, dtype=dtype)


def test_a_wrong_distribution_is_noticed() -> None:
    gaussian = lookup("gaussian")
    wrong = type(gaussian)(
        **{
            **{field: getattr(gaussian, field) for field in gaussian.__dataclass_fields__},
            "sampler": type(gaussian.sampler)("gaussian", lambda phi: (Rational(1, 5), Rational(21, 20))),  # type: ignore[misc]
        }
    )
    with pytest.raises(AssertionError, match="Kolmogorov's √n D is"):
        assert_sampler(wrong, at((s, 0.2), (s**2, -0.5)), draws=100_000)
