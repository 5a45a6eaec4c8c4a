"""The generated kernels, and what their parameters and layers look like.

Every formula of a model comes from here: the drivers in `exact`, `sampling` and `learning` call these kernels on
arrays and hold no formula of their own. Kernels check shapes and dtypes but not values, so everything that a person
passes in goes through `checks.checked_states` or `checks.checked_parameters` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pgm_rbm.model.domains import states_of
from symbolic.codegen.build import ready_made
from symbolic.codegen.kernels import Kernels
from symbolic.units import axis_length

__all__ = [
    "FloatArray",
    "Kernels",
    "Parameters",
    "Phase",
    "Target",
    "dtype_of",
    "layer_axes",
    "layer_sizes",
    "pairwise_kernels",
    "parameter_shapes",
    "serves",
    "states_of",
]

FloatArray = npt.NDArray[np.floating[Any]]
Parameters = Mapping[str, FloatArray]
Phase = dict[str, FloatArray]

Target = Literal["numba", "numpy"]
"""What runs the generated kernels."""


@cache
def pairwise_kernels(visible: str = "binary", hidden: str = "binary", target: str = "numba") -> Kernels:
    """Return the kernels of E(v, h) = −Σ a_i v_i − Σ b_j h_j − Σ v_i w_ij h_j for two unit types.

    Args:
        visible, hidden: names of units, as in `symbolic.units`.
        target: ``"numba"`` or ``"numpy"``.

    Raises:
        ValueError: there is no such unit or target; the message lists the known ones.
    """
    return ready_made("pairwise", visible=visible, hidden=hidden, target=target)


def serves(kernels: Kernels, function: str) -> bool:
    """Return whether there is such a generated function in closed form, for units that are independent given the rest.

    Where the energy ties units together, a function of that name may draw them one by one or enumerate.
    """
    return kernels.methods.get(function) == "closed form"


def dtype_of(parameters: Parameters) -> np.dtype[Any]:
    """Return the dtype that a model's arrays share; float64 for a model without parameters."""
    return next((np.asarray(one).dtype for one in parameters.values()), np.dtype(np.float64))


def layer_axes(axes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the axes of a parameter that run over the units of a layer, without those over labels or components."""
    return tuple(axis for axis in axes if "." not in axis)


def parameter_shapes(kernels: Kernels, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter, given the number of units of every layer."""
    return {
        name: tuple(axis_length(axis, kernels.layers) or sizes[axis] for axis in axes)
        for name, axes in kernels.parameters.items()
    }


def layer_sizes(kernels: Kernels, parameters: Parameters) -> dict[str, int]:
    """Return the number of units of every layer, from the shapes of the parameters, else from the kernels."""
    sizes = dict(kernels.sizes)
    for name, axes in kernels.parameters.items():
        for axis, size in zip(axes, parameters[name].shape, strict=True):
            if axis in kernels.layers:
                sizes[axis] = size
    return sizes
