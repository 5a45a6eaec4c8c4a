"""What an epoch is judged by: the exact mean ln p where it is within reach, else the pseudo-likelihood.

The reconstruction error is not among the choices: contrastive divergence can lower it while ln p falls.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import ModelError
from pgm_rbm.exact.enumeration import answers, cost, multilayer
from pgm_rbm.machine.budget import CONFIGURATIONS, MOST_CONFIGURATIONS
from pgm_rbm.machine.streams import Purpose, generator
from pgm_rbm.model.domains import is_finite, log_measure, states_of
from pgm_rbm.model.kernels import Kernels, Parameters, dtype_of, serves
from pgm_rbm.model.layout import Layout

__all__ = ["EXACT_WORK", "MONITORS", "Monitor", "pseudo_log_likelihood"]

MONITORS = ("auto", "exact", "pseudo", "none")

EXACT_WORK = {"numba": 2**34, "numpy": 2**31}
"""By the kernels' target, configurations times weights up to which ``"auto"`` measures exactly: about a second."""

_PSEUDO_ROWS = 2048
_POSTERIOR_WORK = 2**26


class Monitor:
    """Measures a model on training and held-out rows.

    Args:
        kernels, parameters: the model.
        x: training rows.
        held_out: rows that are not trained on, or None.
        kind: ``"exact"``, ``"pseudo"``, ``"none"``, or ``"auto"``, which takes the exact measure where configurations
            times weights do not exceed `EXACT_WORK`.
        seed: 64-bit seed of the pseudo-likelihood's draws.
        limit: the most configurations to enumerate; 2^24 by default.
        threads: how many threads to use.

    Raises:
        ValueError: there is no such kind.
        EnumerationLimitError: ``"exact"`` is asked of a model too large for it.
    """

    def __init__(
        self,
        kernels: Kernels,
        parameters: Parameters,
        x: npt.NDArray[Any],
        held_out: npt.NDArray[Any] | None,
        *,
        kind: str,
        seed: int,
        limit: int | None = None,
        threads: int | None = None,
    ):
        if kind not in MONITORS:
            raise ValueError(f"monitor must be one of {', '.join(map(repr, MONITORS))}. Got {kind!r}.")
        layout = Layout.of(kernels, parameters)
        listed = len(layout.data_columns) == 1 and is_finite(kernels.layers[layout.visible[0]])
        single = listed and serves(kernels, f"free_energy_of_{layout.visible[0]}")
        if kind == "auto":
            kind = "exact" if _within_reach(layout, parameters, x, limit) else "pseudo" if single else "none"
        elif kind == "exact":
            answers.make_plan(kernels, parameters, limit, threads)
        elif kind == "pseudo" and not single:
            raise ValueError(
                "monitor='pseudo' needs one visible layer of units with finitely many states, with all hidden units "
                "summed out in closed form. Use monitor='exact' on a small model, or 'none'."
            )
        self.kind = kind
        self._kernels, self._parameters = kernels, parameters
        self._data = {"": x} | ({} if held_out is None else {"held_out_": held_out})
        self._seed, self._threads = seed, threads

    def measure(self) -> dict[str, float]:
        """The measures by their names in an `EpochRecord`."""
        if self.kind == "exact":
            # That it may be enumerated has been found out at the start.
            log_z = answers.log_partition(
                self._kernels, self._parameters, limit=MOST_CONFIGURATIONS, threads=self._threads
            ).value
            return {
                f"{prefix}log_likelihood": float(
                    multilayer.log_probability(
                        self._kernels, self._parameters, rows, log_z, threads=self._threads
                    ).mean()
                )
                for prefix, rows in self._data.items()
            }
        if self.kind == "pseudo":
            return {
                f"{prefix}pseudo_log_likelihood": pseudo_log_likelihood(
                    self._kernels, self._parameters, rows, self._seed, most_rows=_PSEUDO_ROWS
                )
                for prefix, rows in self._data.items()
            }
        return {}


def _within_reach(layout: Layout, parameters: Parameters, x: npt.NDArray[Any], limit: int | None) -> bool:
    kernels, sizes = layout.kernels, layout.sizes
    if layout.given:
        return False
    try:
        configurations = answers.layer_sum(kernels, parameters).configurations
    except ModelError:  # there is no exact ln Z
        return False
    if not layout.two_sided:
        # All hidden layers but one are enumerated for every row.
        others = [layer for layer in kernels.hidden if layer != layout.averaged]
        if layout.averaged is None or not all(is_finite(kernels.layers[layer]) for layer in others):
            return False
        beside = sum(sizes[layer] * math.log2(len(states_of(kernels.layers[layer]))) for layer in others)
        if beside > 10 or 2**beside * len(x) * layout.units > _POSTERIOR_WORK:
            return False
    if configurations > min(cost.allowed_configurations(limit), CONFIGURATIONS):
        return False
    return configurations * math.prod(sizes.values()) <= EXACT_WORK.get(kernels.target, EXACT_WORK["numpy"])


def pseudo_log_likelihood(
    kernels: Kernels, parameters: Parameters, x: npt.NDArray[Any], seed: int, *, most_rows: int | None = None
) -> float:
    """An estimate of the mean over rows of Σ_i ln p(v_i | the other units), from one random unit i of each row.

    ln p(v_i | rest) = ln μ(v_i) − F(v) − ln Σ_s μ(s) e^{−F(v with v_i = s)}, so it needs free energies and no ln Z
    (Besag 1975).

    Args:
        kernels, parameters: the model.
        x: visible states, shape (rows, n_visible).
        seed: 64-bit seed of the rows and units that are picked; the same seed picks the same ones.
        most_rows: measure on so many random rows at most.
    """
    dtype = dtype_of(parameters)
    layer = kernels.visible[0]
    rng = generator(seed, Purpose.MONITOR)
    if most_rows is not None and len(x) > most_rows:
        x = x[np.sort(rng.choice(len(x), most_rows, replace=False))]
    v = np.ascontiguousarray(x, dtype=dtype)
    rows = np.arange(len(v))
    units = rng.integers(v.shape[1], size=len(v))

    def log_weight(states: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        logs = -kernels.free_energy(states, of=layer, **parameters).astype(np.float64)
        measure = log_measure(kernels.layers[layer], states[rows, units])
        return logs if measure is None else logs + measure

    exponents = []
    for state in states_of(kernels.layers[layer]):
        changed = v.copy()
        changed[rows, units] = state
        exponents.append(log_weight(changed))
    kept = log_weight(v)
    return v.shape[1] * float((kept - np.logaddexp.reduce(exponents, axis=0)).mean())
