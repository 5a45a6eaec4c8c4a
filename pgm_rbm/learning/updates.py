"""Optimisers: move the parameters along a gradient of the mean ln p, uphill.

An optimiser works element by element, so the loop may pass it any piece of a parameter. Its memory is in slots, arrays
in the shape of the parameter, which start at zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from pgm_rbm.model.kernels import FloatArray

__all__ = ["SGD", "Adam", "NaturalGradient", "Optimiser", "optimiser_from", "optimiser_settings"]


class Optimiser(Protocol):
    """What the loop needs of an optimiser."""

    name: ClassVar[str]

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays it keeps for every parameter."""
        ...

    def update(
        self,
        parameter: FloatArray,
        gradient: FloatArray,
        slots: Mapping[str, FloatArray],
        learning_rate: float,
        step: int,
    ) -> None:
        """Move ``parameter`` in place. ``gradient`` may be overwritten; ``step`` counts from 1."""
        ...


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient ascent with classical momentum: u ← μ u + g, θ ← θ + η u (Polyak 1964).

    Attributes:
        momentum: μ, at least 0 and below 1.
    """

    momentum: float = 0.0
    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        _in_unit_interval("momentum", self.momentum)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    def update(
        self,
        parameter: FloatArray,
        gradient: FloatArray,
        slots: Mapping[str, FloatArray],
        learning_rate: float,
        step: int,
    ) -> None:
        if self.momentum:
            velocity = slots["velocity"]
            velocity *= self.momentum
            velocity += gradient
            np.multiply(velocity, learning_rate, out=gradient)
        else:
            gradient *= learning_rate
        parameter += gradient


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1), uphill.

    Attributes:
        beta1: decay of the mean of the gradient, at least 0 and below 1.
        beta2: decay of the mean of its square, at least 0 and below 1.
        epsilon: added to the root of that mean, positive.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    name: ClassVar[str] = "adam"
    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def __post_init__(self) -> None:
        _in_unit_interval("beta1", self.beta1)
        _in_unit_interval("beta2", self.beta2)
        if not self.epsilon > 0 or not math.isfinite(self.epsilon):
            raise ValueError(f"epsilon must be positive. Got {self.epsilon!r}.")

    def update(
        self,
        parameter: FloatArray,
        gradient: FloatArray,
        slots: Mapping[str, FloatArray],
        learning_rate: float,
        step: int,
    ) -> None:
        mean, square = slots["mean"], slots["square"]
        mean *= self.beta1
        mean += (1 - self.beta1) * gradient
        square *= self.beta2
        gradient *= gradient
        gradient *= 1 - self.beta2
        square += gradient
        np.sqrt(square, out=gradient)
        gradient *= 1 / math.sqrt(1 - self.beta2**step)
        gradient += self.epsilon
        np.divide(mean, gradient, out=gradient)
        gradient *= learning_rate / (1 - self.beta1**step)
        parameter += gradient


@dataclass(frozen=True)
class NaturalGradient:
    """Steps along the natural gradient, θ ← θ + η (F + λ 1)⁻¹ g (Amari 1998), with F the Fisher information of p(v).

    It needs the exact algorithm and a small model: a step enumerates the visible layer and solves one equation per
    parameter.

    Attributes:
        damping: λ, positive; larger values make shorter steps, more like those of plain gradient ascent.
    """

    damping: float = 0.01
    name: ClassVar[str] = "natural"
    slots: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not self.damping > 0 or not math.isfinite(self.damping):
            raise ValueError(f"damping must be positive. Got {self.damping!r}.")

    def update(
        self,
        parameter: FloatArray,
        gradient: FloatArray,
        slots: Mapping[str, FloatArray],
        learning_rate: float,
        step: int,
    ) -> None:
        """Move ``parameter`` in place; ``gradient`` is its part of the natural gradient, which the loop computes."""
        gradient *= learning_rate
        parameter += gradient


_KNOWN: dict[str, type[SGD] | type[Adam] | type[NaturalGradient]] = {
    "sgd": SGD,
    "adam": Adam,
    "natural": NaturalGradient,
}


def optimiser_from(name: str | Optimiser, **settings: Any) -> Optimiser:
    """Return the optimiser of that name with these settings; an optimiser is returned as it is.

    Raises:
        ValueError: the name is unknown, or a setting is out of range.
        TypeError: the optimiser does not have such a setting.
    """
    if not isinstance(name, str):
        if settings:
            raise TypeError(f"{', '.join(settings)} must be set on the optimiser that is passed in. Got both.")
        if isinstance(name, type) or not hasattr(name, "update"):
            raise TypeError(f"optimizer must be a name or an optimiser that is made already. Got {name!r}.")
        return name
    if name not in _KNOWN:
        raise ValueError(f"optimizer must be one of {', '.join(map(repr, _KNOWN))}. Got {name!r}.")
    wrong = set(settings) - set(_KNOWN[name].__dataclass_fields__)
    if wrong:
        raise TypeError(f"optimizer {name!r} takes no {', '.join(sorted(wrong))}; 'sgd' takes momentum.")
    for setting, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(f"{setting} must be a number. Got {value!r}.")
    return _KNOWN[name](**settings)


def optimiser_settings(optimiser: Optimiser) -> dict[str, Any]:
    """Return the plain data from which `optimiser_from` makes the same optimiser.

    Raises:
        TypeError: it is not an optimiser of this module.
    """
    if not isinstance(optimiser, SGD | Adam | NaturalGradient):
        raise TypeError(
            f"only 'sgd', 'adam' and 'natural' can be written to a file. Got an optimiser of type "
            f"{type(optimiser).__name__}."
        )
    return {"name": optimiser.name, **asdict(optimiser)}


def _in_unit_interval(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1. Got {value!r}.")
