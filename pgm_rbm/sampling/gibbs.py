"""Block Gibbs sampling: chains whose two layers are drawn in turn, each given the other.

A chain's state is the pair (v, h). One sweep draws v given h and then h given the new v, so the h that is handed out
always belongs to the v beside it, and a sweep that follows needs nothing else. Whatever subset of units is clamped
keeps its values through every draw, so the chains then sample the rest given these.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import UnknownVariableError, ValueOutsideDomainError
from pgm_rbm.kernels import FloatArray, Kernels, Parameters, layer_sizes, states_of
from pgm_rbm.sampling.streams import Purpose, derive_key
from pgm_rbm.workers import row_blocks, workers

__all__ = ["Chains", "Clamp", "Given", "clamps_from", "run_chains", "start_chains"]


@dataclass(frozen=True)
class Clamp:
    """Units of one layer that keep their values.

    Attributes:
        units: places of the units in their layer, shape (k,).
        values: their states, shape (1, k) for all chains alike or (chains, k).
    """

    units: npt.NDArray[np.intp]
    values: FloatArray

    def apply(self, states: FloatArray, rows: slice) -> None:
        """Write the clamped values into these rows' states."""
        states[:, self.units] = self.values if len(self.values) == 1 else self.values[rows]


Clamps = Mapping[str, Clamp]
Given = Mapping[Hashable, npt.ArrayLike]
_SWEEPS_AT_ONCE = 32


def clamps_from(given: Given, kernels: Kernels, parameters: Parameters, n: int) -> dict[str, Clamp]:
    """By layer, the units that are clamped, from a mapping such as ``{("v", 3): 1}``.

    Args:
        given: by unit, one state for all chains or an array of n states.
        kernels, parameters: the model.
        n: the number of chains.

    Raises:
        UnknownVariableError: a unit is not in the model.
        ValueOutsideDomainError: a value is no state of its unit.
        ValueError: there are neither 1 nor n values.
    """
    sizes = layer_sizes(kernels, parameters)
    dtype = next(iter(parameters.values())).dtype
    places: dict[str, dict[int, FloatArray]] = {}
    for node, value in given.items():
        layer, unit = node if isinstance(node, tuple) and len(node) == 2 else (None, None)
        if layer not in sizes or not isinstance(unit, (int, np.integer)) or not 0 <= unit < sizes[layer]:
            units = " and ".join(f"{(one, 0)!r} to {(one, size - 1)!r}" for one, size in sizes.items())
            raise UnknownVariableError(
                f"given names a unit that the model does not have. Got {node!r}; the units are {units}."
            )
        states = np.asarray(value)
        domain = states_of(kernels.layers[layer])
        if states.shape not in ((), (n,)):
            raise ValueError(f"given[{node!r}] must be one state or {n} of them. Got an array of shape {states.shape}.")
        if not np.isin(states, domain).all():
            raise ValueOutsideDomainError(
                f"given[{node!r}] must be one of {', '.join(f'{state:g}' for state in domain)}. Got {value!r}."
            )
        places.setdefault(layer, {})[int(unit)] = np.atleast_1d(states.astype(dtype))
    return {
        layer: Clamp(np.array(list(units)), np.stack(np.broadcast_arrays(*units.values()), axis=1))
        for layer, units in places.items()
    }


@dataclass(frozen=True)
class Chains:
    """Gibbs chains, one a row, as they stand; enough to go on bit for bit.

    Attributes:
        visible: states of the visible layer, shape (chains, n_visible).
        hidden: states of the hidden layer drawn given ``visible``, shape (chains, n_hidden).
        seed: the seed that every draw's key is derived from.
        sweeps: how many sweeps have been made.
    """

    visible: FloatArray
    hidden: FloatArray
    seed: int
    sweeps: int = 0

    def __len__(self) -> int:
        return len(self.visible)


def _draw(
    kernels: Kernels,
    layer: str,
    given: FloatArray,
    key: int,
    rows: slice,
    parameters: Parameters,
    clamps: Clamps,
) -> FloatArray:
    states = kernels.sample(layer, given, key, first_row=rows.start, **parameters)
    if layer in clamps:
        clamps[layer].apply(states, rows)
    return states


def start_chains(
    kernels: Kernels,
    parameters: Parameters,
    n: int,
    seed: int,
    *,
    visible: FloatArray | None = None,
    clamps: Clamps | None = None,
    threads: int | None = None,
) -> Chains:
    """Chains before their first sweep: v as given, or every unit drawn as if all parameters were zero, which is
    uniform for a finite unit; then h given v.

    Args:
        kernels, parameters: the model.
        n: the number of chains.
        seed: 64-bit seed of all draws that follow.
        visible: states to start from, shape (n, n_visible).
        clamps: by layer, the units that keep their values.
        threads: how many threads to use; the result does not depend on it.
    """
    clamps = clamps or {}
    (v,), (h,) = kernels.visible, kernels.hidden
    zeros = {name: np.zeros_like(value) for name, value in parameters.items()}
    sizes = layer_sizes(kernels, parameters)
    dtype = next(iter(parameters.values())).dtype
    v_key, h_key = derive_key(seed, Purpose.START), derive_key(seed, Purpose.HIDDEN, 0)
    out_v, out_h = np.empty((n, sizes[v]), dtype), np.empty((n, sizes[h]), dtype)

    def work(rows: slice) -> None:
        if visible is None:
            nothing = np.zeros((rows.stop - rows.start, sizes[h]), dtype)
            states = kernels.sample(v, nothing, v_key, first_row=rows.start, **zeros)
        else:
            states = visible[rows].copy()
        if v in clamps:
            clamps[v].apply(states, rows)
        out_v[rows] = states
        out_h[rows] = _draw(kernels, h, states, h_key, rows, parameters, clamps)

    with workers(threads) as pool:
        pool.map(work, row_blocks(n, sum(sizes.values())))
    return Chains(out_v, out_h, seed)


def run_chains(
    kernels: Kernels,
    parameters: Parameters,
    chains: Chains,
    steps: int,
    *,
    clamps: Clamps | None = None,
    threads: int | None = None,
) -> Chains:
    """The chains after ``steps`` more sweeps. The ones passed in are left as they are.

    Args:
        kernels, parameters: the model.
        chains: where to go on from.
        steps: the number of sweeps; a + b sweeps in one go or in two are the same to the last bit.
        clamps: by layer, the units that keep their values.
        threads: how many threads to use; the result does not depend on it.
    """
    clamps = clamps or {}
    (v,), (h,) = kernels.visible, kernels.hidden
    out_v, out_h = chains.visible.copy(), chains.hidden.copy()
    units = out_v.shape[1] + out_h.shape[1]
    done, last = chains.sweeps, chains.sweeps + steps
    with workers(threads) as pool:
        while done < last:
            # A batch of sweeps at a time, so that an interrupt is answered soon and the threads seldom wait.
            sweeps = range(done + 1, min(done + _SWEEPS_AT_ONCE, last) + 1)
            keys = [
                (derive_key(chains.seed, Purpose.VISIBLE, s), derive_key(chains.seed, Purpose.HIDDEN, s))
                for s in sweeps
            ]

            def work(rows: slice, keys: list[tuple[int, int]] = keys) -> None:
                states_v, states_h = out_v[rows], out_h[rows]
                for v_key, h_key in keys:
                    states_v = _draw(kernels, v, states_h, v_key, rows, parameters, clamps)
                    states_h = _draw(kernels, h, states_v, h_key, rows, parameters, clamps)
                out_v[rows], out_h[rows] = states_v, states_h

            pool.map(work, row_blocks(len(chains), units))
            done = sweeps[-1]
    return Chains(out_v, out_h, chains.seed, last)
