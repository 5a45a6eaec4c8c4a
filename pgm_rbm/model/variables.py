"""The kinds of variables of a graph: their values, the measure of each, and whether they are labels.

Units have the names of the table of units. Two names for the same values, such as "binary" and "{0, 1}", are the same
kind of variable.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgm_rbm.errors import ModelError, NoFiniteDomainError, UnknownVariableError
from pgm_rbm.model import domains
from symbolic.errors import EnergyError
from symbolic.units import is_own, lookup

__all__ = [
    "CATEGORICAL",
    "Kind",
    "canonical",
    "finite_number",
    "has_labels",
    "kind_of",
    "listed",
    "one_or_several",
    "read_bias",
    "read_states",
    "require_known",
    "same_kind",
]

FloatArray = NDArray[np.float64]

CATEGORICAL = "categorical"
"""Units whose attribute ``states`` holds their number of states; ``potts(q)`` has it in its name."""

# The canonical name of each unit of the table that was looked up, and whether its values are labels: they do not
# change, and graphs ask many times for each variable.
_KNOWN: dict[str, tuple[str, bool]] = {CATEGORICAL: (CATEGORICAL, True)}


@dataclass(frozen=True)
class Kind:
    """The values of a variable.

    Attributes:
        values: in increasing order, the order of the axes of tables.
        log_measure: ln μ of each value, such as ln of a binomial coefficient; empty where every μ is 1.
        labels: whether the values are labels, which do not enter as numbers.
    """

    values: tuple[float, ...]
    log_measure: tuple[float, ...] = ()
    labels: bool = False

    @cached_property
    def domain(self) -> NDArray[Any]:
        """The values as a read-only array: int64 where all are whole numbers, else float64."""
        whole = all(value == int(value) for value in self.values)
        array = np.array(self.values, dtype=np.int64 if whole else np.float64)
        array.setflags(write=False)
        return array

    @property
    def described(self) -> str:
        """The values as messages name them."""
        shown = self.domain.tolist()
        return str(shown) if len(shown) <= 8 else f"{shown[0]}, {shown[1]}, ..., {shown[-1]}"


def canonical(name: Hashable, units: Any) -> str:
    """Return the name by which the table of units knows these units; "categorical" stays as it is.

    Raises:
        ModelError: there are no such units.
    """
    return _named(name, units)[0]


def _named(name: Hashable, units: Any) -> tuple[str, bool]:
    """Return the canonical name of units, and whether their values are labels or directions."""
    if isinstance(units, str) and units in _KNOWN:
        return _KNOWN[units]
    try:
        canonical_name = lookup(units).name
    except EnergyError as error:
        raise ModelError(f"units of {name!r}: {error} Labels may also be categorical, with states=k.") from None
    found = canonical_name, not domains.is_plain(canonical_name)
    if is_own(canonical_name):
        _KNOWN[units] = found
    return found


def kind_of(name: Hashable, attributes: Mapping[str, Any]) -> Kind:
    """Return what values a variable with these attributes has.

    Raises:
        NoFiniteDomainError: its values cannot be listed.
        ModelError: there are no such units, or the number of states is missing.
    """
    units = canonical(name, attributes.get("units", "binary"))
    if units == CATEGORICAL:
        return _categorical(read_states(name, attributes.get("states"))["states"])
    if not domains.is_finite(units):
        raise NoFiniteDomainError(
            f"{name!r} has units {units!r}, whose values cannot be listed: they are {domains.describe(units)}. Tables, "
            f"this energy and exact inference on a graph need units with finitely many values: binary, spin, "
            f"{{a, b, ...}}, integer(N), binomial(N), potts(q), or categorical with states=k."
        )
    return _finite(units)


@cache
def _categorical(states: int) -> Kind:
    return Kind(tuple(map(float, range(states))), labels=True)


@cache
def _finite(units: str) -> Kind:
    values = domains.states_of(units)
    measure = domains.log_measure(units, np.array(values))
    even = measure is None or not measure.any()
    return Kind(values, () if measure is None or even else tuple(measure.tolist()), not domains.is_plain(units))


def has_labels(name: Hashable, attributes: Mapping[str, Any]) -> bool:
    """Return whether a variable's values are labels or directions, which do not enter as numbers."""
    return _named(name, attributes.get("units", "binary"))[1]


def same_kind(name: Hashable, first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Return whether two sets of attributes describe the same kind of variable."""
    units = [canonical(name, one.get("units", "binary")) for one in (first, second)]
    if units[0] == units[1] != CATEGORICAL:
        return True
    if any(one != CATEGORICAL and not domains.is_finite(one) for one in units):
        return False
    return kind_of(name, first) == kind_of(name, second)


def read_states(name: Hashable, states: Any) -> dict[str, Any]:
    """Return the attributes ``states`` and, where labels are given, ``labels`` of a categorical variable.

    Raises:
        ModelError: they are neither a number nor a sequence of different labels.
    """
    if isinstance(states, Integral) and not isinstance(states, bool) and int(states) >= 1:
        return {"states": int(states)}
    if isinstance(states, Sequence) and not isinstance(states, str) and len(states):
        labels = tuple(states)
        if len(set(labels)) < len(labels):
            raise ModelError(f"states of {name!r} must be labels that differ. Got {list(labels)!r}.")
        return {"states": len(labels), "labels": labels}
    raise ModelError(
        f"states of the categorical variable {name!r} must be a number of states or a sequence of labels. "
        f"Got {states!r}."
    )


def read_bias(name: Hashable, attributes: Mapping[str, Any], bias: Any) -> float | FloatArray:
    """Return a checked bias: a number, or for labels an array with a number per label; None becomes zero.

    Raises:
        ModelError: it is neither.
    """
    if not has_labels(name, attributes):
        return 0.0 if bias is None else finite_number(bias, f"bias of {name!r}")
    states = len(kind_of(name, attributes).values)
    if bias is None:
        return np.zeros(states)
    array = np.array(bias, dtype=np.float64)
    if array.shape != (states,) or not np.isfinite(array).all():
        raise ModelError(
            f"bias of the categorical variable {name!r} must be {states} finite numbers. Got {array.tolist()}."
        )
    return array


def finite_number(value: Any, what: str) -> float:
    """Return a finite number as a float.

    Raises:
        ModelError: it is not one.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ModelError(f"{what} must be a finite number. Got {value!r}.")
    return float(value)


def require_known(names: Iterable[Hashable], known: Collection[Hashable], argument: str) -> None:
    """Refuse names that a model does not have.

    Args:
        names: what the caller passed.
        known: the names of the model's variables.
        argument: what the message calls ``names``.

    Raises:
        UnknownVariableError: a name is not known.
    """
    for name in names:
        if name not in known:
            raise UnknownVariableError(f"{argument}: the model has no variable {name!r}. Known are {listed(known)}.")


def one_or_several(names: Any, known: Collection[Hashable], argument: str) -> tuple[Hashable, ...]:
    """Return a variable, or a sequence of them, as a tuple, which may be empty; see `require_known`."""
    if _is_hashable(names) and names in known:
        return (names,)
    if isinstance(names, str) or not isinstance(names, Iterable):
        require_known((names,), known, argument)
    several = tuple(names)
    require_known(several, known, argument)
    return several


def listed(names: Iterable[Hashable]) -> str:
    """Return names as messages list them: eight at most, and how many there are."""
    names = list(names)
    if not names:
        return "none"
    return ", ".join(repr(name) for name in names[:8]) + (f", ... ({len(names)} in all)" if len(names) > 8 else "")


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
