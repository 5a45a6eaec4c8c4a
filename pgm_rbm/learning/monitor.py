"""Measure each epoch: by the exact mean ln p where that is affordable, else by the pseudo-likelihood.

The reconstruction error is not among the choices: contrastive divergence can lower it while ln p falls.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from pgm_rbm.exact.enumeration.answers import log_partition
from pgm_rbm.exact.enumeration.multilayer import log_probability
from pgm_rbm.exact.enumeration.plan import make_plan, obstacle, task_of
from pgm_rbm.learning.settings import MonitorKind
from pgm_rbm.machine.budget import CONFIGURATIONS, MOST_CONFIGURATIONS, Budget
from pgm_rbm.machine.streams import Purpose, generator
from pgm_rbm.model.domains import is_finite, log_measure, states_of
from pgm_rbm.model.kernels import serves
from pgm_rbm.model.model import Model

__all__ = ["EXACT_WORK", "Monitor", "pseudo_log_likelihood"]

EXACT_WORK = {"numba": 2**34, "numpy": 2**31}
"""By the kernels' target, the most configurations times weights that ``"auto"`` measures exactly: a second on one slow
core. One core of a Xeon does 2^37 and 2^30 of them per second (784×18, 2026-12)."""

# The most rows for the pseudo-likelihood: 0.07 s at 784×500, with a standard error of 0.6 nats on −546 (2-core Xeon,
# 2026-12).
_PSEUDO_ROWS = 2048
# The most hidden configurations times rows times units for the exact measure of a deep model: 0.3 s on one core.
_POSTERIOR_WORK = 2**26


class Monitor:
    """Measure a model on training and held-out rows.

    Args:
        model: the model; each measure reads its parameters as they are then.
        x: training rows.
        held_out: rows that are measured only, or None.
        kind: ``"exact"``, ``"pseudo"``, ``"none"``, or ``"auto"``, which takes the exact measure where configurations
            times weights do not exceed `EXACT_WORK`.
        seed: 64-bit seed of the pseudo-likelihood's draws.
        budget: what the exact measure may take.

    Raises:
        ValueError: there is no such kind.
        EnumerationLimitError: the model is too large for ``"exact"``.
    """

    def __init__(
        self,
        model: Model,
        x: npt.NDArray[Any],
        held_out: npt.NDArray[Any] | None,
        *,
        kind: MonitorKind,
        seed: int,
        budget: Budget = Budget(),
    ):
        if kind not in get_args(MonitorKind):
            known = ", ".join(map(repr, get_args(MonitorKind)))
            raise ValueError(f"monitor must be one of {known}. Got {kind!r}.")
        layout, visible = model.layout, model.layout.visible[0]
        listed = len(layout.data_columns) == 1 and is_finite(model.units[visible])
        single = listed and serves(model.kernels, f"free_energy_of_{visible}")
        if kind == "auto":
            kind = "exact" if _within_reach(model, x, budget) else "pseudo" if single else "none"
        elif kind == "exact":
            make_plan(model, budget).require()
        elif kind == "pseudo" and not single:
            raise ValueError(
                "monitor='pseudo' needs one visible layer of units with finitely many states, with all hidden units "
                "summed out in closed form. Use monitor='exact' on a small model, or 'none'."
            )
        self.kind = kind
        self._model, self._seed = model, seed
        self._data = {"": x} | ({} if held_out is None else {"held_out_": held_out})
        # The checks above have found the enumeration to be within the limits.
        self._budget = replace(budget, configurations=MOST_CONFIGURATIONS, progress=None)

    def measure(self) -> dict[str, float]:
        """Return the measures by their names in an `EpochRecord`."""
        if self.kind == "exact":
            log_z = log_partition(self._model, self._budget).value
            return {
                f"{prefix}log_likelihood": float(log_probability(self._model, rows, log_z, self._budget).mean())
                for prefix, rows in self._data.items()
            }
        if self.kind == "pseudo":
            return {
                f"{prefix}pseudo_log_likelihood": pseudo_log_likelihood(
                    self._model, rows, self._seed, most_rows=_PSEUDO_ROWS
                )
                for prefix, rows in self._data.items()
            }
        return {}


def _within_reach(model: Model, x: npt.NDArray[Any], budget: Budget) -> bool:
    """Return whether ``"auto"`` measures exactly."""
    layout, sizes, units = model.layout, model.sizes, model.units
    if layout.given or obstacle(model) is not None:
        return False
    configurations = task_of(model).configurations
    if not layout.two_sided:
        # All hidden layers but one are enumerated for every row.
        others = [layer for layer in model.kernels.hidden if layer != layout.averaged]
        if layout.averaged is None or not all(is_finite(units[layer]) for layer in others):
            return False
        beside = sum(sizes[layer] * math.log2(len(states_of(units[layer]))) for layer in others)
        if beside > 10 or 2**beside * len(x) * layout.units > _POSTERIOR_WORK:
            return False
    if configurations > min(budget.most_configurations, CONFIGURATIONS):
        return False
    return configurations * math.prod(sizes.values()) <= EXACT_WORK.get(model.kernels.target, EXACT_WORK["numpy"])


def pseudo_log_likelihood(model: Model, x: npt.NDArray[Any], seed: int, *, most_rows: int | None = None) -> float:
    """Estimate the mean over rows of Σ_i ln p(v_i | the other units), from one random unit i per row.

    ln p(v_i | rest) = ln μ(v_i) − F(v) − ln Σ_s μ(s) e^{−F(v with v_i = s)}, so it needs free energies and no ln Z
    (Besag 1975).

    Args:
        model: the model.
        x: visible states, shape (rows, n_visible).
        seed: 64-bit seed of the random rows and units; the same seed picks the same ones.
        most_rows: the most rows to measure; of more, a random subset is taken.
    """
    kernels = model.kernels
    layer = kernels.visible[0]
    rng = generator(seed, Purpose.MONITOR)
    if most_rows is not None and len(x) > most_rows:
        x = x[np.sort(rng.choice(len(x), most_rows, replace=False))]
    v = np.ascontiguousarray(x, dtype=model.dtype)
    rows = np.arange(len(v))
    units = rng.integers(v.shape[1], size=len(v))

    def log_weight(states: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        logs = -kernels.free_energy(states, of=layer, **model.parameters).astype(np.float64)
        measure = log_measure(kernels.layers[layer], states[rows, units])
        return logs if measure is None else logs + measure

    exponents = []
    for state in states_of(kernels.layers[layer]):
        changed = v.copy()
        changed[rows, units] = state
        exponents.append(log_weight(changed))
    kept = log_weight(v)
    return v.shape[1] * float((kept - np.logaddexp.reduce(exponents, axis=0)).mean())
