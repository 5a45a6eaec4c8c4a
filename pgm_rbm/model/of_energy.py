"""Make models of any energy. This module loads SymPy; models of the pairwise energy do without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pgm_rbm.machine.quantities import require_whole
from pgm_rbm.model.domains import is_finite, is_plain
from pgm_rbm.model.kernels import pairwise_kernels
from pgm_rbm.model.making import made
from pgm_rbm.model.model import Model
from pgm_rbm.model.parameters import checked_sizes, loose_sizes
from symbolic import energies
from symbolic.language.energy import Energy

__all__ = ["of_energy", "pairwise_of_any_units", "symbolic_energy"]


def of_energy(
    energy: Energy,
    sizes: Mapping[str, int] | None,
    parameters: Mapping[str, npt.ArrayLike] | None,
    seed: int | None,
    dtype: npt.DTypeLike | None,
    target: str,
) -> Model:
    """Return the model of an energy; arguments and errors as `RBM.from_energy`."""
    if not isinstance(energy, Energy):
        raise TypeError(f"energy must be a symbolic.Energy; Energy.parse makes one of text. Got {energy!r}.")
    kernels = energy.compile(target)
    if parameters is not None and not isinstance(parameters, Mapping):
        raise TypeError(f"parameters must be a dict from names to arrays. Got {type(parameters).__name__}.")
    checked = checked_sizes(kernels, sizes, parameters)
    if dtype is None:
        arrays = [np.asarray(value) for value in (parameters or {}).values()]
        dtype = np.float32 if arrays and all(one.dtype == np.float32 for one in arrays) else np.float64
    own: Energy | None = energy
    if tuple(energy.layers) == ("v", "h"):
        units = [layer.unit for layer in energy.layers.values()]
        if all(map(is_plain, units)) and energy == energies.pairwise(*units):
            kernels, own = pairwise_kernels(*units, target), None
    model = made(kernels.sized(**loose_sizes(kernels, checked)), checked, own, seed, dtype, parameters)
    return replace(model, has_graph_arrays=own is None or _has_graph_arrays(own))


def pairwise_of_any_units(
    n_visible: int, n_hidden: int, units: tuple[str, str], seed: int | None, dtype: npt.DTypeLike, target: str
) -> Model:
    """Return a new model of the pairwise energy for units that are labels, angles or vectors.

    It has more than a weight per pair and a bias per unit, so the model holds its energy.
    """
    sizes = {
        "v": require_whole("n_visible", n_visible, of="units"),
        "h": require_whole("n_hidden", n_hidden, of="units"),
    }
    energy = energies.pairwise(*units)
    model = made(pairwise_kernels(*units, target), sizes, energy, seed, dtype)
    return replace(model, has_graph_arrays=_has_graph_arrays(energy))


def symbolic_energy(model: Model) -> Energy:
    """Return the model's energy; the pairwise one is made anew."""
    return energies.pairwise(*model.units.values()) if model.energy is None else model.energy


def _has_graph_arrays(energy: Energy) -> bool:
    """Return whether E is the pairwise energy between plain or finite units."""
    units = [layer.unit for layer in energy.layers.values()]
    if tuple(energy.layers) != ("v", "h") or energy.given or not all(is_plain(u) or is_finite(u) for u in units):
        return False
    return energy == energies.pairwise(*units)
