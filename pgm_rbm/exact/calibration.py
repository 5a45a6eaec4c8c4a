"""How fast this machine is at elimination, from trials of a few milliseconds, once a process."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache

import numpy as np

from pgm_rbm.exact import elimination
from pgm_rbm.graph.structure import EliminationPlan, plan_elimination

__all__ = ["EliminationSpeed", "elimination_speed"]

_CHAIN = 60
_BAND = 16
_DRAWS = 500
_TRIALS = 2


@dataclass(frozen=True)
class EliminationSpeed:
    """Seconds that elimination takes, by what it does.

    Attributes:
        step: for a step of the way forward, however small its tables.
        entry: for a table entry of the way forward.
        marginal_step, marginal_entry: the same of the way back to marginals.
        point_step: for a step of the way back to the most probable configuration or to samples.
        draw: for a step of the way back to samples, for each sample.
    """

    step: float
    entry: float
    marginal_step: float
    marginal_entry: float
    point_step: float
    draw: float

    def seconds(self, plan: EliminationPlan, *, passes: int = 1, back: str | None = None, draws: int = 1) -> float:
        """The time of a plan; arguments as for :func:`pgm_rbm.exact.elimination.estimated_seconds`."""
        steps, entries = len(plan.order), float(min(plan.operations, 10**300))
        total = passes * (steps * self.step + entries * self.entry)
        if back == "marginals":
            total += steps * self.marginal_step + entries * self.marginal_entry
        elif back == "point":
            total += steps * (self.point_step + draws * self.draw)
        return total


@cache
def elimination_speed() -> EliminationSpeed:
    """The speed of this machine, measured when first asked for.

    A chain has many steps of few entries each, and a band of spins, taken from one end to the other, few of many.
    """
    chain, band = _band(1, _CHAIN), _band(_BAND, 2 * _BAND + 4)
    forward, back, draw = chain.forward(), chain.back(), chain.sample(1)
    step, marginal_step = forward / _CHAIN, _beyond(back, forward) / _CHAIN
    steps, operations = len(band.chosen.order), band.chosen.operations
    wide, wide_back = band.forward(), band.back()
    return EliminationSpeed(
        step=step,
        entry=_beyond(wide, steps * step) / operations,
        marginal_step=marginal_step,
        marginal_entry=_beyond(wide_back, wide + steps * marginal_step) / operations,
        point_step=_beyond(draw, forward) / _CHAIN,
        draw=_beyond(chain.sample(_DRAWS), draw) / (_CHAIN * _DRAWS),
    )


def _beyond(whole: float, part: float) -> float:
    """The rest of a time whose part was measured apart, by trials that may have been disturbed."""
    return max(whole - part, 0.1 * whole)


@dataclass(frozen=True)
class _Trial:
    tables: list[elimination.LogTable]
    sizes: dict[Hashable, int]
    scopes: list[tuple[Hashable, ...]]
    chosen: EliminationPlan

    def forward(self) -> float:
        return _quickest(lambda: elimination.log_partition(self.tables, self.sizes, self.chosen))

    def back(self) -> float:
        return _quickest(lambda: elimination.marginals(self.tables, self.sizes, self.scopes, self.chosen))

    def sample(self, draws: int) -> float:
        uniforms = np.full(draws, 0.5)
        return _quickest(lambda: elimination.sample(self.tables, self.sizes, draws, lambda _: uniforms, self.chosen))


def _band(width: int, length: int) -> _Trial:
    """Spins in a row, each coupled to the next one and to the one at this distance."""
    tables: list[elimination.LogTable] = [
        ((k, k + reach), np.array([[0.3, -0.3], [-0.2, 0.2]]))
        for reach in sorted({1, width})
        for k in range(length - reach)
    ]
    sizes: dict[Hashable, int] = dict.fromkeys(range(length), 2)
    scopes = [scope for scope, _ in tables]
    return _Trial(tables, sizes, scopes, plan_elimination(scopes, sizes, order=range(length)))


def _quickest(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_TRIALS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
