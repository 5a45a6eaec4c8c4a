"""How fast this machine is at elimination, from trials of some hundredths of a second each, once a process.

A step of an elimination computes one table. What it takes depends on the size of the table and on what is done with
it, and little on anything else, so bands of spins are eliminated from one end to the other: their steps are alike, and
each is timed by itself. The median step counts, so that what else the machine does disturbs little.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from statistics import median

import numpy as np

from pgm_rbm.exact.elimination import run
from pgm_rbm.exact.elimination.network import read_network
from pgm_rbm.exact.elimination.order import EliminationPlan, plan_elimination
from pgm_rbm.exact.elimination.tables import FloatArray, LogTable
from pgm_rbm.machine.streams import Purpose, generator

__all__ = ["WORKS", "Pace", "pace", "preparation"]

WORKS = ("sum", "sum in logs", "maximum", "marginals", "marginals in logs", "point", "draw")
"""What is timed: the way forward by sums and by maxima; the way back to marginals, to one configuration, and what each
further sample adds to that."""

# Tables of 2^2 to 2^17 entries: with these widths the trials of one kind of step take 0.1 to 0.4 s (2 cores, 2026-12).
_WIDTHS = (1, 4, 8, 11, 13, 16)
# Steps that are alike in each band, of which the median counts; more where a step takes microseconds.
_STEPS, _LONG = 12, 60
# Samples whose time over that of one tells what a draw adds: 30 µs in all, ten times what a clock is off by.
_DRAWS = 400
# Potentials within a few nats of each other, and so far apart that all but the smallest products are formed in logs.
_NEAR, _FAR = 0.3, 1000.0
# Variables of the chain that is read to time reading: 5 readings of it take 0.1 s (2 cores, 2026-12).
_VARIABLES = 150


@dataclass(frozen=True)
class Pace:
    """What steps of one kind take.

    Attributes:
        bits: log2 of the entries of the tables of trial steps, in increasing order.
        seconds: what these took.
    """

    bits: tuple[float, ...]
    seconds: tuple[float, ...]

    def __call__(self, bits: FloatArray) -> FloatArray:
        """Return the seconds of steps of any sizes: in proportion to entries beyond those that were tried."""
        within = np.exp(np.interp(bits, self.bits, np.log(self.seconds)))
        return np.asarray(within * 2.0 ** np.clip(bits - self.bits[-1], 0.0, 1000.0))


@cache
def pace(work: str) -> Pace:
    """Return what steps take on this machine, measured when it is first asked for.

    Args:
        work: one of `WORKS`.
    """
    run.log_partition(*_Band(1, _NEAR).model)  # so that nothing is timed for the first time it is run
    seconds = [_Band(width, _FAR if work.endswith("in logs") else _NEAR).seconds(work) for width in _WIDTHS]
    return Pace(tuple(width + 1.0 for width in _WIDTHS), tuple(seconds))


@cache
def preparation() -> float:
    """Return the seconds that reading a variable, a coupling or a factor and making its table ready takes."""
    import networkx as nx

    graph = nx.path_graph(_VARIABLES)
    nx.set_node_attributes(graph, {name: {"units": "spin", "bias": 0.1} for name in graph})
    nx.set_edge_attributes(graph, _NEAR, "weight")

    def read() -> None:
        network = read_network(graph.nodes, graph.edges(data="weight"), ())
        run.SumRun(network.tables, network.cardinalities, network.names, run.Meter(None, 1))

    return _median(read, 5) / (2 * _VARIABLES)


class _Band:
    """A chain of spins, each coupled to the next one and to the one at a distance."""

    def __init__(self, width: int, strength: float):
        steps = _LONG if width == 1 else _STEPS
        length = 2 * width + steps
        table = strength * np.array([[1.0, -1.0], [-0.7, 0.7]])
        self.tables: list[LogTable] = [
            ((k, k + reach), table) for reach in sorted({1, width}) for k in range(length - reach)
        ]
        self.sizes: dict[Hashable, int] = dict.fromkeys(range(length), 2)
        self.scopes = [scope for scope, _ in self.tables]
        self.plan = plan_elimination(self.scopes, self.sizes, order=range(length))
        # The tables of the first and the last steps are smaller.
        self.full = 2 ** (width + 1)

    @property
    def model(self) -> tuple[list[LogTable], dict[Hashable, int], EliminationPlan]:
        return self.tables, self.sizes, self.plan

    def seconds(self, work: str) -> float:
        """Return the seconds of one of the steps that are alike."""
        if work == "draw":
            one, many = self._visits(1), self._visits(_DRAWS)
            return max(many - one, 0.01 * many) / (_DRAWS - 1)
        if work == "point":
            return self._visits(1)
        reports: list[tuple[int, float]] = []

        def now(done: int, total: int) -> None:
            reports.append((done, time.perf_counter()))

        if work.startswith("sum"):
            run.log_partition(*self.model, progress=now)
        elif work == "maximum":
            run.most_probable(*self.model, progress=now)
        else:
            run.marginals(self.tables, self.sizes, self.scopes, self.plan, progress=now)
        forward = self.plan.operations
        return median(
            then - before
            for (done_before, before), (done, then) in pairwise(reports)
            if done - done_before == self.full and (done_before >= forward - 1) == work.startswith("marginals")
        )

    def _visits(self, draws: int) -> float:
        """Return the seconds of a step of the way back to this many samples."""
        times: list[float] = []

        def uniforms(_: Hashable) -> FloatArray:
            times.append(time.perf_counter())
            return generator(0, Purpose.EXACT).random(draws)

        run.sample(self.tables, self.sizes, draws, uniforms, self.plan)
        sizes = reversed(self.plan.sizes)
        return median(
            then - before for (before, then), size in zip(pairwise(times), sizes, strict=False) if size == self.full
        )


def _median(work: Callable[[], object], trials: int) -> float:
    times: Sequence[float] = [_timed(work) for _ in range(trials)]
    return max(median(times), math.ulp(1.0))


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
