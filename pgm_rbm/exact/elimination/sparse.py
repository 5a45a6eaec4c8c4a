"""Exact averages under an RBM whose graph is sparse, by elimination: the layers may be too large to be enumerated.

Averages over pairs of units with an edge come from one elimination. Units in parts of the graph that are not connected
are independent. Other pairs are found by conditioning, ⟨f(x) g(y)⟩ = Σ_s p(x = s) f(s) ⟨g(y)⟩_{x = s}, with an
elimination for each state of each unit of the smaller side of its part.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace

import numpy as np

from pgm_rbm.errors import IntractableError
from pgm_rbm.exact.elimination import answers
from pgm_rbm.exact.elimination.cost import Elimination
from pgm_rbm.exact.elimination.of_arrays import Node, PairwiseArrays
from pgm_rbm.exact.elimination.tables import FloatArray
from pgm_rbm.exact.enumeration.answers import Expectations
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.progress import Progress
from pgm_rbm.machine.quantities import format_seconds
from pgm_rbm.model.kernels import Phase

__all__ = ["expectations"]

# Steps in which the progress of one elimination is told.
_PARTS = 1000


def expectations(arrays: PairwiseArrays, budget: Budget, *, every_pair: bool) -> Expectations:
    """Return ln Z and the averages of −∂E/∂w, −∂E/∂a and −∂E/∂b under the model.

    Args:
        arrays: the model, of finite units.
        budget: what all eliminations together may take.
        every_pair: whether pairs without an edge are wanted, too; else their averages are left at zero.

    Raises:
        IntractableError: it would exceed the budget.
    """
    means = _Means(arrays)
    runs = list(means.conditions()) if every_pair else []
    first = Elimination.of(means.network, "marginals", budget, linked=means.edges)
    if runs and not first.takes_at_most(budget.seconds / (1 + len(runs))):
        raise IntractableError(
            f"Averages over pairs of units without an edge need {len(runs)} eliminations, about "
            f"{format_seconds(first.seconds * (1 + len(runs)))} in all; {format_seconds(budget.seconds)} are "
            f"allowed. Ask rbm.graph.pair_marginals() for pairs that have a weight, or for those that are wanted.",
            induced_width=first.plan.induced_width,
            memory=first.memory,
            memory_limit=budget.memory,
            seconds=first.seconds * (1 + len(runs)),
            time_limit=budget.seconds,
        )
    with budget.showing("averages") as shown:
        shares = _Shares(shown, 1 + len(runs))
        log_z = means.over_edges(replace(budget, progress=shares.next()))
        if every_pair:
            means.over_parts()
            for unit, state in runs:
                means.given(unit, state, replace(budget, progress=shares.next()))
    return Expectations(log_z, means.phase)


class _Means:
    """Averages under a model, as far as they are known.

    A state enters an average as a number, or where states are labels by an axis with a 1 at its label.
    """

    def __init__(self, arrays: PairwiseArrays):
        self.arrays, self.network = arrays, arrays.network()
        import networkx as nx

        self.features = [
            np.eye(len(kind.domain)) if labels else kind.domain.astype(np.float64)[:, None]
            for kind, labels in zip(arrays.kinds, arrays.labels, strict=True)
        ]
        widths = [features.shape[1] for features in self.features]
        self.own = [np.zeros((count, width)) for count, width in zip(arrays.counts, widths, strict=True)]
        self.both = np.zeros((arrays.counts[0], widths[0], arrays.counts[1], widths[1]))
        self.edges = arrays.edges()
        self.linked = nx.Graph(self.edges)
        self.parts = [set(part) for part in nx.connected_components(self.linked)]
        self.beliefs: dict[tuple[Hashable, ...], FloatArray] = {}

    @property
    def phase(self) -> Phase:
        """The averages in the shapes of w, a and b."""
        a, b = (own if labels else own[:, 0] for own, labels in zip(self.own, self.arrays.labels, strict=True))
        return {"w": self.both.reshape(self.arrays.weights.shape), "a": a, "b": b}

    def over_edges(self, budget: Budget) -> float:
        """Find the averages of single units, and of pairs with an edge; return ln Z."""
        nodes = [
            (letter, unit) for letter, count in zip("vh", self.arrays.counts, strict=True) for unit in range(count)
        ]
        wanted = [*((node,) for node in nodes), *self.edges]
        log_z, self.beliefs = answers.marginals(self.network, wanted, budget)
        for letter, unit in nodes:
            side = int(letter == "h")
            self.own[side][unit] = self.beliefs[(letter, unit),] @ self.features[side]
        self._put_edges()
        return log_z

    def _put_edges(self) -> None:
        for edge in self.edges:
            (_, i), (_, j) = edge
            self.both[i, :, j, :] = self.features[0].T @ self.beliefs[edge] @ self.features[1]

    def over_parts(self) -> None:
        """Set pairs in different parts of the graph, which are independent; those within one are left at zero."""
        self.both[:] = np.einsum("ik,jl->ikjl", *self.own)
        for part in self.parts:
            i, j = ([unit for side, unit in part if side == wanted] for wanted in "vh")
            self.both[np.ix_(i, range(self.both.shape[1]), j)] = 0.0
        self._put_edges()

    def conditions(self) -> Iterator[tuple[Node, int]]:
        """Yield the units of the smaller side of each part that lack an edge to a unit across, with each state."""
        for part in self.parts:
            sides = [[node for node in part if node[0] == side] for side in "vh"]
            small, large = sorted(sides, key=len)
            for node in sorted(small):
                if any(other not in self.linked[node] for other in large):
                    states = len(self.network.variables[node].kind.values)
                    yield from ((node, state) for state in range(states))

    def given(self, node: Node, state: int, budget: Budget) -> None:
        """Add the share of one state of a unit in its averages with the units across that it has no edge to."""
        mass = float(self.beliefs[node,][state])
        if mass == 0.0:
            return
        (part,) = (part for part in self.parts if node in part)
        across = [other for other in part if other[0] != node[0] and other not in self.linked[node]]
        known = self.network.observing({node: state})
        _, found = answers.marginals(known, [(other,) for other in across], budget)
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
        """Return the function to call as the next piece goes on."""
        before, progress = self.begun, self.progress
        self.begun += 1
        if progress is None:
            return None
        return lambda done, total: progress(_PARTS * before + _PARTS * done // total, _PARTS * self.pieces)
