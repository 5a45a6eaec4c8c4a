"""Exact averages under an RBM whose graph is sparse, by elimination: the layers may be too large to be enumerated.

Averages over pairs of units with an edge come from one elimination. Units in parts of the graph that are not connected
are independent. Other pairs are found by conditioning, ⟨f(x) g(y)⟩ = Σ_s p(x = s) f(s) ⟨g(y)⟩_{x = s}, with an
elimination for each state of each unit of the smaller side of its part.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from pgm_rbm.errors import IntractableError
from pgm_rbm.exact.enumeration.answers import Expectations
from pgm_rbm.exact.enumeration.shards import Progress
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.quantities import format_seconds
from pgm_rbm.model.kernels import Phase

if TYPE_CHECKING:
    from pgm_rbm.graph.bipartite import RBMGraph

__all__ = ["edges_of", "expectations"]

Floats = NDArray[np.float64]
Node = tuple[str, int]

# In how many steps the progress of one elimination is told.
_PARTS = 1000


def expectations(graph: RBMGraph, *, every_pair: bool, progress: Progress | None = None) -> Expectations:
    """ln Z and the averages of −∂E/∂w, −∂E/∂a and −∂E/∂b under the model.

    Args:
        graph: the model, of finite units.
        every_pair: whether pairs without an edge are wanted, too; else their averages are left at zero.
        progress: called with (work done, work in all).

    Raises:
        IntractableError: it would cost more than the default limits, all eliminations together.
    """
    means = _Means(graph)
    runs = list(means.conditions()) if every_pair else []
    first = graph._elimination("marginals", {}, Budget(), wanted=means.edges)
    if runs and not first.takes_at_most(first.limits.seconds / (1 + len(runs))):
        raise IntractableError(
            f"Averages over pairs of units without an edge need {len(runs)} eliminations, about "
            f"{format_seconds(first.seconds * (1 + len(runs)))} in all; {format_seconds(first.limits.seconds)} are "
            f"allowed. Ask rbm.graph.pair_marginals() for pairs that have a weight, or for those that are wanted.",
            induced_width=first.plan.induced_width,
            memory=first.memory,
            memory_limit=first.limits.memory,
            seconds=first.seconds * (1 + len(runs)),
            time_limit=first.limits.seconds,
        )
    shares = _Shares(progress, 1 + len(runs))
    log_z = means.over_edges(shares.next())
    if every_pair:
        means.over_parts()
        for unit, state in runs:
            means.given(unit, state, shares.next())
    return Expectations(log_z, means.phase)


def edges_of(graph: RBMGraph) -> list[tuple[Node, Node]]:
    """The pairs of a visible and a hidden unit that have a weight: all there are in a model with a mask, else those
    that are not zero."""
    arrays = graph.arrays
    assert arrays is not None
    sides = arrays.pairs() if arrays.mask is None else np.nonzero(arrays.mask)
    return [(("v", i), ("h", j)) for i, j in zip(*(side.tolist() for side in sides), strict=True)]


class _Means:
    """Averages under a model, as far as they are known.

    A state enters an average as a number, or where states are labels by an axis with a 1 at its label.
    """

    def __init__(self, graph: RBMGraph):
        arrays = graph.arrays
        assert arrays is not None
        self.graph, self.arrays = graph, arrays
        self.features = [
            np.eye(len(domain)) if labels else domain.astype(np.float64)[:, None]
            for domain, labels in zip((graph.domain(("v", 0)), graph.domain(("h", 0))), arrays.labels, strict=True)
        ]
        widths = [features.shape[1] for features in self.features]
        self.own = [np.zeros((count, width)) for count, width in zip(arrays.counts, widths, strict=True)]
        self.both = np.zeros((arrays.counts[0], widths[0], arrays.counts[1], widths[1]))
        self.edges = edges_of(graph)
        self.linked = nx.Graph(self.edges)
        self.parts = [set(part) for part in nx.connected_components(self.linked)]
        self.beliefs: dict[tuple[Hashable, ...], Floats] = {}

    @property
    def phase(self) -> Phase:
        """The averages in the shapes of w, a and b."""
        a, b = (own if labels else own[:, 0] for own, labels in zip(self.own, self.arrays.labels, strict=True))
        return {"w": self.both.reshape(self.arrays.weights.shape), "a": a, "b": b}

    def over_edges(self, progress: Progress | None) -> float:
        """Single units, and pairs with an edge; gives ln Z."""
        nodes: list[Node] = list(self.graph)
        wanted = [*((node,) for node in nodes), *self.edges]
        log_z, self.beliefs = self.graph._beliefs(wanted, {}, None, Budget(), progress)
        for node in nodes:
            side = int(node[0] == "h")
            self.own[side][node[1]] = self.beliefs[node,] @ self.features[side]
        self._put_edges()
        return log_z

    def _put_edges(self) -> None:
        for edge in self.edges:
            (_, i), (_, j) = edge
            self.both[i, :, j, :] = self.features[0].T @ self.beliefs[edge] @ self.features[1]

    def over_parts(self) -> None:
        """Pairs in different parts of the graph, which are independent; those within one are left at zero."""
        self.both[:] = np.einsum("ik,jl->ikjl", *self.own)
        for part in self.parts:
            i, j = ([unit for side, unit in part if side == wanted] for wanted in "vh")
            self.both[np.ix_(i, range(self.both.shape[1]), j)] = 0.0
        self._put_edges()

    def conditions(self) -> Iterator[tuple[Node, int]]:
        """Units of the smaller sides of the parts that have units across without an edge to them, with each state."""
        for part in self.parts:
            sides = [[node for node in part if node[0] == side] for side in "vh"]
            small, large = sorted(sides, key=len)
            for node in sorted(small):
                if any(other not in self.linked[node] for other in large):
                    yield from ((node, state) for state in range(len(self.graph.domain(node))))

    def given(self, node: Node, state: int, progress: Progress | None) -> None:
        """The share of one state of a unit in its averages with the units across that it has no edge to."""
        mass = float(self.beliefs[node,][state])
        if mass == 0.0:
            return
        (part,) = (part for part in self.parts if node in part)
        across = [other for other in part if other[0] != node[0] and other not in self.linked[node]]
        found = self.graph._beliefs([(other,) for other in across], {node: state}, None, Budget(), progress)[1]
        side = node[0] == "h"
        here = mass * self.features[side][state]
        for other in across:
            there = found[other,] @ self.features[not side]
            if side:
                self.both[other[1], :, node[1], :] += np.outer(there, here)
            else:
                self.both[node[1], :, other[1], :] += np.outer(here, there)


class _Shares:
    """Progress of several pieces of work that take about as long as each other."""

    def __init__(self, progress: Progress | None, pieces: int):
        self.progress, self.pieces, self.begun = progress, pieces, 0

    def next(self) -> Progress | None:
        """What to call as the next piece goes on."""
        before, progress = self.begun, self.progress
        self.begun += 1
        if progress is None:
            return None
        return lambda done, total: progress(_PARTS * before + _PARTS * done // total, _PARTS * self.pieces)
