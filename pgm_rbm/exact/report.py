"""What exact answers about an RBM cost, by each way: enumeration of a layer, and elimination on the graph."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pgm_rbm.exact import costs, enumeration
from pgm_rbm.exact.costs import estimate
from pgm_rbm.graph.structure import DEFAULT_MEMORY_LIMIT, DEFAULT_TIME_LIMIT, Tractability, Way
from pgm_rbm.workers import thread_count

if TYPE_CHECKING:
    from pgm_rbm.rbm import RBM

__all__ = ["tractability"]


def tractability(
    rbm: RBM, *, limit: int | None = None, memory_limit: int | None = None, time_limit: float | None = None
) -> Tractability:
    """The report of `RBM.tractability`; arguments as there."""
    report = rbm.graph.tractability(
        memory_limit=DEFAULT_MEMORY_LIMIT if memory_limit is None else memory_limit,
        time_limit=DEFAULT_TIME_LIMIT if time_limit is None else time_limit,
    )
    ways = [_enumeration(rbm, limit, averages) for averages in (False, True)]
    eliminated = [way for way in report.ways if way.name == "elimination"]
    taken = ways[0] if ways[0].fits else eliminated[0]
    method = taken.name if taken.fits and (taken.name == "enumeration" or rbm.mask is not None) else "sampling"
    most = enumeration.DEFAULT_LIMIT if limit is None else limit
    notes = [f"Enumeration is within the limits up to limit={most} configurations."]
    if method == "sampling" and eliminated[0].fits:
        notes.append('Elimination is within the limits: ask for it with method="elimination".')
    every = [*ways, *eliminated]
    return replace(
        report,
        method=method,
        ways=tuple(sorted(every, key=lambda way: way.question != "ln Z")),
        notes=tuple(notes),
        seconds=taken.seconds if method != "sampling" else min(way.seconds for way in every if way.question == "ln Z"),
    )


def _enumeration(rbm: RBM, limit: int | None, averages: bool) -> Way:
    task = enumeration.layer_sum(rbm.kernels, rbm.parameters, averages=averages)
    cost = estimate(task, thread_count(None))
    if limit is None:
        within = cost.seconds <= costs.SECONDS and cost.memory <= costs.MEMORY
        fits = task.configurations <= enumeration.DEFAULT_LIMIT and within
    else:
        fits = task.configurations <= limit
    units, size = (rbm.visible_units, rbm.n_visible) if task.layer == "v" else (rbm.hidden_units, rbm.n_hidden)
    return Way(
        name="enumeration",
        question="gradient, moments" if averages else "ln Z",
        operations=cost.operations,
        memory=cost.memory,
        seconds=cost.seconds,
        fits=fits,
        detail=f"layer {task.layer}, {size:,} {units} units",
    )
