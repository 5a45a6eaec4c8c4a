"""What the shape of a graph costs: elimination orders, induced width and memory.

Everything here looks only at which variables stand in a table together and at how many states each has.
Tables of numbers belong to :mod:`pgm_rbm.exact.elimination.run`, seconds to :mod:`pgm_rbm.exact.elimination.pace`.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import defaultdict, deque
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "EliminationPlan",
    "Segment",
    "WayBack",
    "induced_width",
    "plan",
    "plan_elimination",
]

_BYTES = 8
# A table of 2**45 entries takes 256 TiB: no order that needs one is of any use, and the search stops there.
_HOPELESS_BITS = 45.0
# Looking for a better order costs about as much as summing this many entries, and this many per variable besides: with
# 400 variables min-fill takes 0.18 s, in which 10^7 entries of a large table are summed (2 cores, 2026-12).
_CHEAP_ENOUGH = 100_000
_CHEAP_ENOUGH_PER_VARIABLE = 4_000
# Up to this many variables min-fill costs 0.15 s at most (a random graph of degree 3; 2 cores, 2026-12), so it is never
# spared.
_SMALL_GRAPH = 200
# Into how many parts a stretch may be divided, and how deep the parts of parts go: two levels compute every step three
# times at most, and hold about the square root of the messages.
_DIVISIONS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
_DEPTH = 2

_Neighbours = list[set[int]]
_Clusters = list[tuple[int, frozenset[int]]]


@dataclass(frozen=True)
class Segment:
    """A stretch of an elimination that is gone through backwards after it has been gone through forwards.

    Going back needs every message that went forward. A segment without parts holds the messages of all its steps;
    one with parts holds only what waits where each part begins, and computes the rest again, part by part from
    the last (Griewank, "Achieving logarithmic growth of temporal and spatial complexity in reverse automatic
    differentiation", 1992).

    Attributes:
        start, stop: the steps it covers, ``stop`` not included.
        parts: its division, or nothing.
    """

    start: int
    stop: int
    parts: tuple[Segment, ...] = ()

    def forward(self, before: Sequence[float]) -> float:
        """Return what the way forward takes; a step that is computed again counts again.

        Args:
            before: entry t: what all steps before t take, in any measure; one entry more than there are steps.
        """
        if not self.parts:
            return before[self.stop] - before[self.start]
        to_the_last_part = before[self.parts[-1].start] - before[self.start]
        return to_the_last_part + sum(part.forward(before) for part in self.parts)


@dataclass(frozen=True)
class WayBack:
    """How to go forward and back through an elimination.

    Attributes:
        segment: all steps, divided so that the messages held at a time fit.
        memory: bytes at the peak.
    """

    segment: Segment
    memory: int


@dataclass(frozen=True, eq=False)
class EliminationPlan:
    """An order in which to sum variables out, with what it costs.

    Attributes:
        order: the variables, first to be summed out first. Variables that are to be kept are not in it.
        induced_width: the most neighbours that a variable has at the moment it is summed out.
        largest_table: entries of the largest table.
        operations: table entries computed in one pass.
        memory: bytes at the peak of one pass (ln Z, or the marginal of the kept variables).
        heuristic: what found the order.
        parts: how many parts the variables fall into that no table connects.
        complete: False when the search stopped because every order looked at needs a table of more than 2^45
            entries; the figures then tell what the next table alone would need.
        sizes: entry t: entries of the table that step t computes.
        targets: entry t: the step that takes up the message of step t; the number of steps where none does.
        waiting: entry t: bytes of the messages that wait when step t begins; one entry more than there are steps.
        messages: entry t: bytes of the message that step t sends, 0 where it is multiplied into one that waits.
        workspace: bytes of the largest step's own arrays on the way back.
    """

    order: tuple[Hashable, ...]
    induced_width: int
    largest_table: int
    operations: int
    memory: int
    heuristic: str
    parts: int
    complete: bool = True
    sizes: tuple[int, ...] = field(default=(), repr=False)
    targets: tuple[int, ...] = field(default=(), repr=False)
    waiting: tuple[int, ...] = field(default=(0,), repr=False)
    messages: tuple[int, ...] = field(default=(), repr=False)
    workspace: int = field(default=0, repr=False)

    def way_back(self, memory_limit: float) -> WayBack:
        """Return how to go forward and back within a number of bytes while computing as little as possible twice.

        Args:
            memory_limit: bytes that may be held.

        Returns:
            The way that fits, or else the one that needs least; its ``memory`` tells.
        """
        # what flows back waits for the steps that what flowed forward came from, so it takes as much
        besides = max(self.waiting) + self.workspace
        segment, held = self._divide(0, len(self.order), memory_limit - besides, _DEPTH)
        return WayBack(segment, max(self.memory, held + besides))

    def _divide(self, start: int, stop: int, room: float, depth: int) -> tuple[Segment, int]:
        """Return the shallowest division of a stretch whose messages fit, else what holds least, and its bytes."""
        sent = [0, *itertools.accumulate(self.messages[start:stop])]
        # what waits at the start may grow within the stretch while the start itself is still held
        best = Segment(start, stop), self.waiting[start] + sent[-1]
        for level in range(depth):
            for count in _DIVISIONS:
                if best[1] <= room or count > stop - start:
                    break
                cuts = _even_cuts(sent, start, stop, count)
                held = sum(self.waiting[cut] for cut in cuts[1:-1])
                parts = [self._divide(a, b, room - held, level) for a, b in itertools.pairwise(cuts)]
                held += max(part[1] for part in parts)
                if held < best[1]:
                    best = Segment(start, stop, tuple(part[0] for part in parts)), held
        return best


def _even_cuts(sent: Sequence[int], start: int, stop: int, count: int) -> list[int]:
    """Return the steps at which a stretch is cut so that its parts send about as many bytes each."""
    cuts, wanted = [start], sent[-1] / count
    for step in range(start + 1, stop):
        if sent[step - start + 1] > wanted * len(cuts) and len(cuts) < count:
            cuts.append(step)
    return [*cuts, stop]


def plan_elimination(
    scopes: Iterable[Sequence[Hashable]],
    cardinalities: Mapping[Hashable, int],
    keep: Collection[Hashable] = (),
    order: Sequence[Hashable] | None = None,
) -> EliminationPlan:
    """Find a cheap order in which to sum out every variable that is not kept.

    Min-size, min-fill (Koller & Friedman, Probabilistic Graphical Models, 2009, section 9.4.3.2), the order of
    ``cardinalities`` and the Cuthill-McKee order compete, and the one that computes the fewest table entries wins.
    Min-fill, the slowest to look for, is left out of large graphs where another order is cheap already or where
    none comes near to being of use.

    Args:
        scopes: the variables of each table.
        cardinalities: number of states of every variable; its order breaks ties.
        keep: variables that are not summed out.
        order: all the other variables, in an order to take instead of looking for one.

    Returns:
        The plan. Its figures count float64 entries.
    """
    names = list(cardinalities)
    index = {name: position for position, name in enumerate(names)}
    sizes = [cardinalities[name] for name in names]
    neighbours: _Neighbours = [set() for _ in names]
    for scope in scopes:
        members = [index[name] for name in scope]
        for u in members:
            neighbours[u].update(members)
    for position, around in enumerate(neighbours):
        around.discard(position)
    kept = {index[name] for name in keep}
    free = [position for position in range(len(names)) if position not in kept]

    search = _Search(neighbours, sizes)
    if order is not None:
        search.follow("the caller", [index[name] for name in order])
        return _measure(search, names, sizes, kept)
    small = len(free) <= _SMALL_GRAPH
    enough = _CHEAP_ENOUGH + (0 if small else _CHEAP_ENOUGH_PER_VARIABLE * len(free))
    if small:
        search.greedy("min-fill", free, fill_first=True)
    search.greedy("min-size", free, fill_first=False)
    if search.best > _CHEAP_ENOUGH or not search.complete:
        search.follow("the order given", free)
        search.follow("Cuthill-McKee", _cuthill_mckee(neighbours, kept))
    if not small and search.complete and search.best > enough:
        search.greedy("min-fill", free, fill_first=True)
    return _measure(search, names, sizes, kept)


def plan(
    scopes: Iterable[Sequence[Hashable]],
    cardinalities: Mapping[Hashable, int],
    keep: Sequence[Hashable] = (),
) -> EliminationPlan:
    """Return the order in which `run` sums variables out, and its cost; no table is needed.

    Args:
        scopes: the variables of each table.
        cardinalities: number of states of every variable.
        keep: variables that are not summed out.
    """
    fixed = {name for name, size in cardinalities.items() if size == 1}
    if not fixed:  # a third of the time of planning a dense model of 392,000 couplings is spared
        return plan_elimination(scopes, cardinalities, keep)
    return plan_elimination(
        [[name for name in scope if name not in fixed] for scope in scopes],
        {name: size for name, size in cardinalities.items() if name not in fixed},
        [name for name in keep if name not in fixed],
    )


class _Search:
    """The cheapest elimination found so far."""

    def __init__(self, neighbours: _Neighbours, sizes: Sequence[int]) -> None:
        self.neighbours, self.sizes = neighbours, sizes
        self.logs = [math.log2(size) for size in sizes]
        self.even = self.logs[0] if len(set(sizes)) == 1 else None
        self.best: float = math.inf
        self.clusters: _Clusters = []
        self.heuristic = "none"
        self.complete = False
        self.started = False

    def bits(self, members: Collection[int]) -> float:
        """Return log2 of the number of entries of a table over these variables."""
        return self.even * len(members) if self.even is not None else sum(self.logs[u] for u in members)

    def greedy(self, heuristic: str, free: Sequence[int], *, fill_first: bool) -> None:
        """Try the order that sums out next what fills in fewest edges, or else what makes the smallest table."""
        graph = [set(around) for around in self.neighbours]
        bits, logs = self.bits, self.logs

        def score(v: int) -> tuple[float, float, int]:
            around = graph[v]
            size = bits(around) + logs[v]
            if not fill_first:
                return 0.0, size, v
            if size > _HOPELESS_BITS:
                return math.inf, size, v
            return sum(len(around - graph[u]) - 1 for u in around), size, v

        current: dict[int, tuple[float, float, int]] = {v: score(v) for v in free}
        heap = sorted(current.values())
        clusters: _Clusters = []
        cost = 0.0
        while current:
            entry = heapq.heappop(heap)
            v = entry[2]
            if current.get(v) != entry:
                continue
            del current[v]
            clusters.append((v, frozenset(graph[v])))
            cost += 2.0 ** min(entry[1], 1000.0)
            if entry[1] > _HOPELESS_BITS or cost >= self.best:
                break
            touched = _remove(graph, v, common=fill_first)
            for u in touched:
                if u in current:
                    updated = score(u)
                    if updated != current[u]:
                        current[u] = updated
                        heapq.heappush(heap, updated)
        self._compare(heuristic, clusters, cost, not current)

    def follow(self, heuristic: str, order: Sequence[int]) -> None:
        """Try this order."""
        graph = [set(around) for around in self.neighbours]
        clusters: _Clusters = []
        cost = 0.0
        for v in order:
            around = graph[v]
            size = self.bits(around) + self.logs[v]
            clusters.append((v, frozenset(around)))
            cost += 2.0 ** min(size, 1000.0)
            if size > _HOPELESS_BITS or cost >= self.best:
                break
            _remove(graph, v)
        self._compare(heuristic, clusters, cost, len(clusters) == len(order))

    def _compare(self, heuristic: str, clusters: _Clusters, cost: float, ended: bool) -> None:
        hopeless = bool(clusters) and self.bits(clusters[-1][1]) + self.logs[clusters[-1][0]] > _HOPELESS_BITS
        complete = ended and not hopeless
        if self.started and (not complete or cost >= self.best):
            return
        self.clusters, self.heuristic, self.complete, self.started = clusters, heuristic, complete, True
        self.best = cost if complete else math.inf


def _remove(graph: _Neighbours, v: int, *, common: bool = False) -> set[int]:
    """Take ``v`` out and join its neighbours to each other.

    Returns:
        The former neighbours and, with ``common``, the neighbours that the ends of a new edge have in common.
    """
    around = graph[v]
    graph[v] = set()
    touched = set(around)
    for u in around:
        if common:
            for w in around - graph[u]:
                if u < w:
                    touched |= graph[u] & graph[w]
    for u in around:
        own = graph[u]
        own |= around
        own.discard(u)
        own.discard(v)
    return touched


def _parts(neighbours: _Neighbours) -> int:
    waiting, count = set(range(len(neighbours))), 0
    while waiting:
        front = {waiting.pop()}
        count += 1
        while front:
            front = set().union(*(neighbours[u] for u in front)) & waiting
            waiting -= front
    return count


def _cuthill_mckee(neighbours: _Neighbours, kept: Collection[int]) -> list[int]:
    """Return the order breadth first from a node at the edge of each part, nodes of few neighbours first (Cuthill &
    McKee, "Reducing the bandwidth of sparse symmetric matrices", 1969)."""
    kept = set(kept)
    degree = [len(around) for around in neighbours]

    def spread(start: int) -> list[int]:
        seen = {start}
        part, queue = [start], deque([start])
        while queue:
            fresh = sorted(neighbours[queue.popleft()] - seen - kept, key=lambda u: (degree[u], u))
            seen.update(fresh)
            part += fresh
            queue += fresh
        return part

    order: list[int] = []
    reached = kept.copy()
    for start in range(len(neighbours)):
        if start not in reached:
            far = spread(start)[-1]
            order += spread(spread(far)[-1])
            reached.update(order[len(reached) - len(kept) :])
    return order


def _entries(members: Iterable[int], sizes: Sequence[int]) -> int:
    return math.prod(sizes[u] for u in members)


def _measure(
    search: _Search, names: Sequence[Hashable], sizes: Sequence[int], kept: Collection[int]
) -> EliminationPlan:
    clusters = search.clusters
    position = {v: step for step, (v, _) in enumerate(clusters)}
    kept_entries = _entries(kept, sizes)
    peak = 3 * kept_entries
    largest, operations, width, workspace, now = kept_entries, kept_entries, 0, 0, 0
    entries, targets, waiting, messages = [], [], [0], []
    # messages over the same variables to the same step are multiplied as they come, and wait as one
    heading: dict[int, set[frozenset[int]]] = defaultdict(set)
    for step, (v, around) in enumerate(clusters):
        message = _entries(around, sizes)
        cluster = message * sizes[v]
        largest, width = max(largest, cluster), max(width, len(around))
        operations += cluster
        entries.append(cluster)
        # the product, a partial product, the message and the shift of its logarithms
        peak = max(peak, now + 2 * cluster + 3 * message)
        workspace = max(workspace, 2 * cluster + 5 * message)
        arrived = sum(_entries(scope, sizes) for scope in heading.pop(step, ()))
        sent = 0
        target = min((position.get(u, len(clusters)) for u in around), default=len(clusters))
        targets.append(target)
        if around and around not in heading[target]:
            heading[target].add(around)
            sent = message
        now += sent - arrived
        messages.append(_BYTES * sent)
        waiting.append(_BYTES * now)
    return EliminationPlan(
        order=tuple(names[v] for v, _ in clusters),
        induced_width=width,
        largest_table=largest,
        operations=operations,
        memory=_BYTES * peak,
        heuristic=search.heuristic,
        parts=_parts(search.neighbours),
        complete=search.complete,
        sizes=tuple(entries),
        targets=tuple(targets),
        waiting=tuple(waiting),
        messages=tuple(messages),
        workspace=_BYTES * workspace,
    )


def induced_width(graph: nx.Graph, order: Sequence[Hashable]) -> int:
    """Return the most neighbours that a node of ``graph`` has when it is eliminated in ``order``.

    Args:
        graph: any undirected networkx graph.
        order: every node once.

    Raises:
        ValueError: ``order`` is not a permutation of the nodes.
    """
    if len(order) != len(graph) or set(order) != set(graph):
        raise ValueError(
            f"order must hold each of the {len(graph)} nodes once. Got {len(order)} entries, "
            f"{len(set(order) ^ set(graph))} of them missing or foreign."
        )
    index = {node: position for position, node in enumerate(order)}
    around = [{index[other] for other in graph[node]} - {index[node]} for node in order]
    width = 0
    for position in range(len(order)):
        width = max(width, len(around[position]))
        _remove(around, position)
    return width
