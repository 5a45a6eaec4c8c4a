"""The table of units: what one unit of a layer can be, and how a row is found by its name.

A unit with log-weight φ(s) over its states s and base measure μ(s) has the log-partition Γ = ln Σ_s μ(s) e^{φ(s)}, an
integral where the states are real numbers. Its mean is Γ′ and its variance Γ″ in a linear field, so neither is typed in
anywhere. A row holds what SymPy and the targets need of a unit; adding a unit is adding a row.

Probabilities are relative to the base measure: p(v, h) = e^{−E(v, h)} / Z, and every sum over a layer's states counts
the state s with the weight μ(s). A Poisson unit, say, has μ(s) = 1 / s!, so that E holds linear terms only.

Another package adds units through the entry-point group ``pgm_rbm.units``: the entry point's name is the unit's, and
its object is a :class:`Unit`, or for a family such as ``binomial(4)`` a function to one from the text in parentheses.
The names of this table stay its own. :func:`symbolic.testing.assert_unit` checks such a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from symbolic.errors import EnergyError
from symbolic.language.domains import Circle, Finite, Integers, Interval, Sphere
from symbolic.units.unit import Formula, Sampler, Unit

__all__ = ["FAMILIES", "TABLE", "axis_length", "installed_units", "is_own", "known_units", "lookup"]

# A family such as integer(N) lists its states where they are asked for; a larger number is taken for a slip. A float32
# table of 4096 by 4096 states, of one pair of such units, still takes 64 MiB.
MAX_STATES = 4096

TABLE: Mapping[str, Unit] = MappingProxyType(
    {
        unit.name: unit
        for unit in (
            Unit(
                "binary",
                Finite((0, 1)),
                Formula("discrete:binary"),
                "on or off: a Bernoulli unit with states 0 and 1",
            ),
            Unit("spin", Finite((-1, 1)), Formula("discrete:spin"), "an Ising spin with states -1 and +1"),
            Unit(
                "poisson",
                Integers(0),
                Formula("discrete:poisson"),
                "a count with a Poisson distribution",
                base=Formula("discrete:poisson_base"),
                degree=1,
                sampler=Sampler("poisson", Formula("potential:field")),
            ),
            Unit(
                "geometric",
                Integers(0),
                Formula("discrete:geometric"),
                "a count with a geometric distribution",
                Formula("potential:rate"),
                held_by="rate",
                degree=1,
                sampler=Sampler("geometric", Formula("potential:rate")),
            ),
            Unit(
                "exponential",
                Interval(0),
                Formula("continuous:exponential"),
                "a positive number with an exponential distribution",
                Formula("potential:rate"),
                held_by="rate",
                degree=1,
                sampler=Sampler("exponential", Formula("potential:rate")),
            ),
            Unit(
                "uniform",
                Interval(0, 1),
                Formula("continuous:uniform"),
                "a number between 0 and 1",
                degree=1,
                sampler=Sampler("uniform", Formula("potential:field")),
            ),
            Unit(
                "gaussian",
                Interval(),
                Formula("continuous:gaussian"),
                "a real number; its precision is the energy's coefficient of s²/2",
                Formula("potential:precision"),
                held_by="precision",
                degree=2,
                sampler=Sampler("gaussian", Formula("continuous:gaussian_draw")),
            ),
            Unit(
                "relu",
                Interval(0),
                Formula("continuous:rectified"),
                "a rectified Gaussian: a Gaussian unit restricted to s ≥ 0",
                Formula("potential:precision"),
                held_by="precision",
                degree=2,
                sampler=Sampler("rectified", Formula("continuous:rectified_draw")),
            ),
            Unit(
                "drelu",
                Interval(corners=(0,)),
                Formula("continuous:two_sided"),
                "a dual rectified Gaussian: field and precision for s > 0, in pos(s), and others for s < 0, in neg(s)",
                Formula("continuous:two_precisions"),
                held_by="precision",
                degree=2,
                sampler=Sampler("two_sided", Formula("continuous:two_sided_draw")),
                statistics=Formula("continuous:two_sided_statistics"),
            ),
            Unit(
                "spike_and_slab",
                Interval(corners=(0,), atoms=(0,)),
                Formula("continuous:spike_and_slab"),
                "0, or a Gaussian number; the energy's coefficient of −nonzero(s) decides between the two",
                Formula("continuous:slab_precision"),
                held_by="precision",
                degree=2,
                sampler=Sampler("spike_and_slab", Formula("continuous:spike_and_slab_draw")),
                statistics=Formula("continuous:slab_statistics"),
            ),
            Unit(
                "von_mises",
                Circle(),
                Formula("directions:von_mises"),
                "an angle in a field (x, y), in cos(s) and sin(s)",
                sampler=Sampler("von_mises", Formula("directions:von_mises_draw")),
                statistics=Formula("directions:von_mises_statistics"),
            ),
            Unit(
                "heisenberg",
                Sphere(3),
                Formula("directions:heisenberg"),
                "a direction in space: a vector of length 1 in a field, in its three components v[i, α]",
                sampler=Sampler("heisenberg", Formula("directions:heisenberg_draw")),
            ),
        )
    }
)


def _binomial(text: str) -> Unit:
    count = _whole(text, 1)
    return Unit(
        f"binomial({count})",
        Integers(0, count),
        partial(Formula("discrete:binomial"), count),
        f"how many of {count} binary units in one field are on",
        base=partial(Formula("discrete:binomial_base"), count),
        degree=1,
        sampler=Sampler("binomial", partial(Formula("discrete:binomial_draw"), count)),
    )


def _integer(text: str) -> Unit:
    last = _whole(text, 1)
    return Unit(
        f"integer({last})",
        Integers(0, last),
        partial(Formula("discrete:integer"), last),
        f"a whole number from 0 to {last}",
        degree=1,
        sampler=Sampler("integer", partial(Formula("discrete:integer_draw"), last)),
    )


def _gamma(text: str) -> Unit:
    shape = _positive(text)
    return Unit(
        f"gamma({shape})",
        Interval(0),
        partial(Formula("continuous:gamma"), shape),
        f"a positive number with a gamma distribution of shape {shape}",
        Formula("potential:rate"),
        None if shape == 1 else partial(Formula("continuous:gamma_base"), shape),
        held_by="rate",
        degree=1,
        sampler=Sampler("gamma", partial(Formula("continuous:gamma_draw"), shape)),
    )


def _potts(text: str) -> Unit:
    count = _whole(text, 2)
    return Unit(
        f"potts({count})",
        Integers(0, count - 1),
        Formula("discrete:potts"),
        f"one of {count} labels",
        is_categorical=True,
    )


FAMILIES: Mapping[str, Callable[[str], Unit]] = MappingProxyType(
    {"binomial": _binomial, "integer": _integer, "gamma": _gamma, "potts": _potts, "categorical": _potts}
)
_ARGUMENTS = {"binomial": "N", "integer": "N", "gamma": "shape", "potts": "q", "categorical": "q"}


def _whole(text: str, least: int) -> int:
    if not re.fullmatch(r"\d{1,4}", text) or not least <= int(text) < MAX_STATES:
        raise EnergyError(f"expected a whole number from {least} to {MAX_STATES - 1}. Got {text!r}.")
    return int(text)


def _positive(text: str) -> Fraction:
    try:
        value = Fraction(text) if len(text) <= 20 and "e" not in text.lower() else Fraction(0)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise EnergyError(f"expected a positive number such as 2 or 5/2. Got {text!r}.")
    return value


def _set_of_states(name: str) -> Unit:
    texts = name[1:-1].split(",")
    if len(texts) > MAX_STATES:
        raise EnergyError(f"a set of states has at most {MAX_STATES} of them. Got {len(texts)}.")
    try:
        if any(len(text) > 20 or "e" in text.lower() for text in texts):
            raise ValueError(name)
        values = sorted({Fraction(text.strip()) for text in texts})
    except (ValueError, ZeroDivisionError):
        raise EnergyError(f"a set of states lists numbers, as in '{{-1, 0, 1}}'. Got {name[:80]!r}.") from None
    if len(values) < 2 or len(values) != len(texts):
        raise EnergyError(f"a set of states lists two or more different numbers. Got {name[:80]!r}.")
    domain = Finite(tuple(int(value) if value.denominator == 1 else value for value in values))
    described = f"the states {', '.join(map(str, domain.states))}"
    return Unit(str(domain), domain, partial(Formula("discrete:listed"), domain.states), described)


def known_units() -> tuple[str, ...]:
    """Return the names that :func:`lookup` understands, families with what goes between their parentheses."""
    families = tuple(f"{name}({_ARGUMENTS[name]})" for name in FAMILIES)
    return (*TABLE, "{a, b, ...}", *families, *installed_units())


def lookup(name: str) -> Unit:
    """Return the row called ``name``, such as ``"binary"``, ``"binomial(4)"``, ``"{-1, 0, 1}"`` or ``"gamma(5/2)"``.

    Raises:
        EnergyError: there is none; the message lists those there are.
    """
    try:
        unit = TABLE.get(name)
    except TypeError:
        unit = None
    if unit is not None:
        return unit
    if not isinstance(name, str):
        raise _unknown(name)
    return _made(name)


@cache
def _made(name: str) -> Unit:
    plain = name.strip()
    if plain in TABLE:
        return TABLE[plain]
    if plain.startswith("{") and plain.endswith("}"):
        return _set_of_states(plain)
    parts = re.fullmatch(r"([^()]{1,60}?)\s*(?:\(([^()]{0,60})\))?", plain)
    if parts is None:
        raise _unknown(name)
    family, argument = parts.groups()
    if argument is not None and family in FAMILIES:
        try:
            return FAMILIES[family](argument.strip())
        except EnergyError as error:
            raise EnergyError(f"there is no unit called {name!r}: {error}") from None
    if family in installed_units():
        return _from_elsewhere(name, family, None if argument is None else argument.strip())
    raise _unknown(name)


def is_own(name: str) -> bool:
    """Return whether the unit is one of this table, which changes with this package alone."""
    lookup(name)
    return name.strip().startswith("{") or re.split(r"[\s(]", name.strip(), maxsplit=1)[0] in {*TABLE, *FAMILIES}


def axis_length(axis: str, layers: Mapping[str, str]) -> int | None:
    """Return how many labels or components an axis of a parameter runs over; None if it runs over a layer's units.

    Args:
        axis: its name, such as ``"v.states"``, ``"heisenberg.components"`` or ``"v"``.
        layers: the unit of every layer.
    """
    owner, _, kind = axis.partition(".")
    if not kind:
        return None
    return len(lookup(layers[owner]).states) if kind == "states" else lookup(owner).dimension


def _unknown(name: object) -> EnergyError:
    return EnergyError(f"there is no unit called {name!r}; the units are: {', '.join(known_units())}.")


# -- Units of other packages -------------------------------------------------------------------------------------------


@cache
def installed_units() -> Mapping[str, Any]:
    """Return the entry points of other packages' units, by name; each is loaded when it is asked for."""
    found = {entry.name: entry for entry in entry_points(group="pgm_rbm.units")}
    return {name: entry for name, entry in found.items() if name not in TABLE and name not in FAMILIES}


def _from_elsewhere(name: str, family: str, argument: str | None) -> Unit:
    """Return the row of another package, under the name by which it is asked for."""
    entry = installed_units()[family]
    where = f"the entry point {family!r} = {entry.value!r} of the group pgm_rbm.units"
    try:
        made = entry.load()
    except Exception as error:
        raise EnergyError(
            f"the unit {name!r} cannot be loaded: {where} fails with {type(error).__name__}: {error}. Reinstall or "
            "repair the package that brings it."
        ) from error
    if isinstance(made, Unit):
        if argument is not None:
            raise EnergyError(f"there is no unit called {name!r}: {family!r} is a single unit; leave out ({argument}).")
        return replace(made, name=family)
    if callable(made):
        if argument is None:
            raise EnergyError(f"there is no unit called {name!r}: {where} is a family; write {family}(…).")
        try:
            made = made(argument)
        except Exception as error:
            reason = (
                str(error) if isinstance(error, ValueError) else f"{where} fails with {type(error).__name__}: {error}"
            )
            raise EnergyError(f"there is no unit called {name!r}: {reason}") from error
    if not isinstance(made, Unit):
        raise EnergyError(f"{where} gives no symbolic.units.Unit for {name!r}. Got {made!r}.")
    return replace(made, name=f"{family}({argument})")
