"""A model as the drivers take it: made once, checked once, and handed on whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import NotPairwiseError
from pgm_rbm.model.kernels import FloatArray, Kernels, Parameters, Target, dtype_of
from pgm_rbm.model.layout import Layout

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = ["Conditions", "HasModel", "Model", "symmetric_parameters"]


class Conditions(Protocol):
    """What must hold for a model to have a Z; `convergence` makes them."""

    def problem(self, parameters: Parameters) -> str | None:
        """Return why there is no Z with these parameters; None where there is one."""
        ...

    def require(self, parameters: Parameters) -> None:
        """Raise DivergentError where there is no Z with these parameters."""
        ...

    def turn(self, parameters: Mapping[str, FloatArray]) -> None:
        """Give weights the sign that they must have."""
        ...

    def project(self, parameters: Mapping[str, FloatArray]) -> None:
        """Set weights that must not be positive, and are, to zero."""
        ...


@dataclass(frozen=True, eq=False)
class Model:
    """The layers, kernels and parameters of one energy.

    The arrays are live: whoever holds one may write into it, and every function reads them as they stand when it is
    called.

    Attributes:
        layout: how its layers lie in arrays, with the kernels.
        parameters: by name, C-contiguous arrays of one dtype.
        energy: as a `symbolic.Energy`; None for the pairwise one between plain units, whose kernels are ready made.
        seed: 64-bit seed of its first weights, and of training that is given none.
        mask: which weights exist, shape of w; None where all do.
        conditions: what must hold for it to have a Z; None where that holds for all parameters.
        has_graph_arrays: whether w, a and b are a weight per pair of units and a bias per unit, which a graph can read.
    """

    layout: Layout
    parameters: dict[str, FloatArray]
    energy: Energy | None = None
    seed: int = 0
    mask: npt.NDArray[np.bool_] | None = None
    conditions: Conditions | None = None
    has_graph_arrays: bool = True

    @classmethod
    def of(cls, kernels: Kernels, parameters: Parameters) -> Model:
        """Return the model of these kernels and arrays, which are taken as they are."""
        return cls(Layout.of(kernels, parameters), dict(parameters))

    def lifted(self) -> Model:
        """Return a copy in float64, of layers and parameters alone: what exact sums work on, here or elsewhere."""
        raised: dict[str, FloatArray] = {
            name: np.array(value, dtype=np.float64, order="C") for name, value in self.parameters.items()
        }
        return Model(self.layout, raised)

    @property
    def kernels(self) -> Kernels:
        """The generated kernels."""
        return self.layout.kernels

    @property
    def target(self) -> Target:
        """What runs the kernels."""
        return "numpy" if self.kernels.target == "numpy" else "numba"

    @property
    def sizes(self) -> Mapping[str, int]:
        """The number of units of every layer."""
        return self.layout.sizes

    @property
    def units(self) -> Mapping[str, str]:
        """What the units of every layer are."""
        return self.layout.kernels.layers

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the parameters and of the states that come out."""
        return dtype_of(self.parameters)

    @property
    def is_pairwise(self) -> bool:
        """Whether E(v, h) = −Σ a_i v_i − Σ b_j h_j − Σ v_i w_ij h_j between plain units."""
        return self.energy is None

    @cached_property
    def symmetric(self) -> frozenset[str]:
        """Names of the parameters with L[i, k] = L[k, i] and L[i, i] = 0."""
        return frozenset() if self.energy is None else symmetric_parameters(self.energy)

    @property
    def masks(self) -> dict[str, npt.NDArray[np.bool_]]:
        """By parameter, the entries that exist and are trained; parameters with all of them are left out."""
        masks = {name: ~np.eye(len(self.parameters[name]), dtype=bool) for name in self.symmetric}
        return masks if self.mask is None else masks | {"w": self.mask}

    def require_z(self) -> None:
        """Raise DivergentError if the model has no Z with its parameters as they are."""
        if self.conditions is not None:
            self.conditions.require(self.parameters)

    def require_two_sides(self, question: str) -> None:
        """Raise if the model is not one of a visible and a hidden layer, either of which can be summed out.

        Raises:
            NotPairwiseError: it is not; the message begins with ``question``.
        """
        if not self.layout.two_sided:
            raise NotPairwiseError(
                f"{question} is known for one layer on each side, either of which can be summed out. Got {self}; "
                f"ask for log_partition, log_probability and expectations instead."
            )

    def __str__(self) -> str:
        kernels, units, sizes = self.kernels, self.units, self.sizes
        if not self.is_pairwise:
            sides = [
                ", ".join(f"{one}: {sizes[one]} {units[one]}" for one in side)
                for side in (kernels.visible, kernels.hidden, self.layout.given)
                if side
            ]
            return f"RBM({'; '.join(sides)}; {self.dtype})"
        edges = "" if self.mask is None else f", {int(self.mask.sum())} weights"
        v, h = (
            f"{sizes[one]} {side} {units[one]}"
            for one, side in ((kernels.visible[0], "visible"), (kernels.hidden[0], "hidden"))
        )
        return f"RBM({v}, {h}{edges}, {self.dtype})"


class HasModel(Protocol):
    """What has a model, as an `RBM` does."""

    @property
    def model(self) -> Model:
        """The model."""
        ...


def symmetric_parameters(energy: Energy) -> frozenset[str]:
    """Return the names of the parameters with L[i, k] = L[k, i]."""
    return frozenset(name for name, parameter in energy.parameters.items() if parameter.symmetric)
