"""What the shape of a graph costs: elimination orders, induced width, and colour classes.

Everything here looks only at which variables stand in a table together and at how many states each has.
Tables of numbers belong to :mod:`pgm_rbm.exact.elimination`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

__all__ = [
    "DEFAULT_MEMORY_LIMIT",
    "EliminationPlan",
    "Tractability",
    "colour_classes",
    "format_bytes",
    "induced_width",
    "plan_elimination",
]

#: Bytes an exact method may hold unless the caller says otherwise.
DEFAULT_MEMORY_LIMIT = 2**30

_BYTES = 8
# Eliminating a variable with this many neighbours of two states needs 2**65 entries: no order through it is
# of any use.
_HOPELESS_DEGREE = 64
# Below this many table entries a better order saves less than looking for it costs.
_CHEAP_ENOUGH = 100_000

_Neighbours = dict[int, set[int]]
_Clusters = list[tuple[int, frozenset[int]]]


@dataclass(frozen=True)
class EliminationPlan:
    """An order in which to sum variables out, with what it costs.

    Attributes:
        order: the variables, first to be summed out first. Variables that are to be kept are not in it.
        induced_width: the most neighbours that a variable has at the moment it is summed out.
        largest_table: entries of the largest table.
        operations: table entries computed in one pass.
        memory: bytes at the peak of one pass (ln Z, or the marginal of the kept variables).
        marginal_memory: bytes at the peak of the two passes that give every single marginal.
        heuristic: what found the order.
        complete: False when the search stopped because every remaining variable had more than 64 neighbours;
            the figures then tell what the next table alone would need.
    """

    order: tuple[Hashable, ...]
    induced_width: int
    largest_table: int
    operations: int
    memory: int
    marginal_memory: int
    heuristic: str
    complete: bool = True


@dataclass(frozen=True)
class Tractability:
    """What exact inference in a model costs; ``print`` it for a summary in words.

    Attributes:
        method: "elimination" when exact inference fits the limit, else "sampling".
        order: the elimination order.
        induced_width: the most neighbours that a variable has when it is summed out.
        operations: table entries to compute for ln Z.
        memory: bytes at the peak.
        memory_limit: bytes allowed.
        largest_table: entries of the largest table.
        variables: number of variables that are not evidence.
        parts: number of disconnected parts, which factor.
        heuristic: what found the order.
        complete: False when every order looked at is hopeless and the figures are those of the next table
            alone.
    """

    method: str
    order: tuple[Hashable, ...]
    induced_width: int
    operations: int
    memory: int
    memory_limit: int
    largest_table: int
    variables: int
    parts: int
    heuristic: str
    complete: bool

    @property
    def feasible(self) -> bool:
        """Whether exact inference fits the memory limit."""
        return self.method == "elimination"

    def __str__(self) -> str:
        bound = "" if self.complete else "at least "
        allowed = format_bytes(self.memory_limit)
        parts = "one part" if self.parts == 1 else f"{self.parts} parts that factor"
        verdict = (
            "Exact inference by variable elimination fits the memory limit."
            if self.feasible
            else "Exact inference does not fit the memory limit: sample instead, or raise memory_limit."
        )
        lines = [
            verdict,
            f"  variables         {self.variables} in {parts}",
            f"  induced width     {bound}{self.induced_width} (order found by {self.heuristic})",
            f"  largest table     {bound}{_format_count(self.largest_table)} entries",
            f"  operations        {bound}{_format_count(self.operations)} table entries for ln Z",
            f"  memory            {bound}{format_bytes(self.memory)} of {allowed} allowed",
        ]
        if self.order:
            shown = ", ".join(repr(name) for name in self.order[:6])
            more = f", ... ({len(self.order)} in all)" if len(self.order) > 6 else ""
            lines.append(f"  elimination order {shown}{more}")
        return "\n".join(lines)


def _format_count(count: int) -> str:
    return f"{count:,}" if count < 10**9 else f"about 1e{int(math.log10(count))}"


def format_bytes(count: int) -> str:
    """Bytes as people write them: ``format_bytes(3 * 2**20) == '3.0 MiB'``."""
    if count < 1024:
        return f"{count} bytes"
    for exponent, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), start=1):
        if count < 1024 ** (exponent + 1):
            return f"{count / 1024**exponent:.1f} {unit}"
    return f"about 1e{int(math.log10(count))} bytes"


def plan_elimination(
    scopes: Iterable[Sequence[Hashable]],
    cardinalities: Mapping[Hashable, int],
    keep: Collection[Hashable] = (),
) -> EliminationPlan:
    """Find a cheap order in which to sum out every variable that is not kept.

    Min-fill is tried first (Koller & Friedman, Probabilistic Graphical Models, 2009, section 9.4.3.2). Where
    that order is not cheap, min-size, the order of ``cardinalities`` and the Cuthill-McKee order compete with
    it, and the one that computes the fewest table entries wins.

    Args:
        scopes: the variables of each table.
        cardinalities: number of states of every variable; its order breaks ties.
        keep: variables that are not summed out.

    Returns:
        The plan. Its figures count float64 entries.
    """
    names = list(cardinalities)
    index = {name: position for position, name in enumerate(names)}
    sizes = [cardinalities[name] for name in names]
    neighbours: _Neighbours = {position: set() for position in range(len(names))}
    for scope in scopes:
        members = [index[name] for name in scope]
        for u in members:
            neighbours[u].update(members)
    for position, around in neighbours.items():
        around.discard(position)
    kept = {index[name] for name in keep}
    free = [position for position in range(len(names)) if position not in kept]

    heuristic = "min-fill"
    clusters, complete = _greedy(neighbours, free, sizes, fill_first=True)
    best = _operations(clusters, sizes)
    if best > _CHEAP_ENOUGH or not complete:
        rivals: list[tuple[str, Callable[[], tuple[_Clusters, bool]]]] = [
            ("min-size", lambda: _greedy(neighbours, free, sizes, fill_first=False)),
            ("the order given", lambda: _follow(neighbours, free)),
            ("Cuthill-McKee", lambda: _follow(neighbours, _cuthill_mckee(neighbours, kept))),
        ]
        for name, rival in rivals:
            other, other_complete = rival()
            cost = _operations(other, sizes)
            if (not other_complete, cost) < (not complete, best):
                heuristic, clusters, complete, best = name, other, other_complete, cost
            if not complete:  # both greedy orders end in a table beyond any machine; fixed orders fare no better
                break
    return _measure(clusters, names, sizes, kept, heuristic, complete)


def _greedy(
    neighbours: _Neighbours, free: Sequence[int], sizes: Sequence[int], *, fill_first: bool
) -> tuple[_Clusters, bool]:
    graph = {v: set(around) for v, around in neighbours.items()}
    logs = [math.log2(size) for size in sizes]
    weight = {v: logs[v] + sum(logs[u] for u in around) for v, around in graph.items()}

    def score(v: int) -> tuple[float, float, int]:
        around = graph[v]
        if not fill_first:
            return 0.0, weight[v], v
        if len(around) > _HOPELESS_DEGREE:
            return math.inf, weight[v], v
        missing = sum(len(around) - 1 - len(around & graph[u]) for u in around) // 2
        return float(missing), weight[v], v

    waiting = set(free)
    current = {v: score(v) for v in free}
    heap = sorted(current.values())
    clusters: _Clusters = []
    while waiting:
        entry = heapq.heappop(heap)
        v = entry[2]
        if v not in waiting or current[v] != entry:
            continue
        clusters.append((v, frozenset(graph[v])))
        if len(graph[v]) > _HOPELESS_DEGREE:
            return clusters, False
        waiting.discard(v)
        new_edges = _remove(graph, v)
        touched = set(clusters[-1][1])
        for u in touched:
            weight[u] -= logs[v]
        for a, b in new_edges:
            weight[a] += logs[b]
            weight[b] += logs[a]
            if fill_first:
                touched |= graph[a] & graph[b]
        for u in touched & waiting:
            updated = score(u)
            if updated != current[u]:
                current[u] = updated
                heapq.heappush(heap, updated)
    return clusters, True


def _follow(neighbours: _Neighbours, order: Sequence[int]) -> tuple[_Clusters, bool]:
    graph = {v: set(around) for v, around in neighbours.items()}
    clusters: _Clusters = []
    for v in order:
        clusters.append((v, frozenset(graph[v])))
        if len(graph[v]) > _HOPELESS_DEGREE:
            return clusters, False
        _remove(graph, v)
    return clusters, True


def _remove(graph: _Neighbours, v: int) -> list[tuple[int, int]]:
    """Take ``v`` out and join its neighbours to each other; the new edges are returned."""
    around = graph.pop(v)
    new_edges = []
    for u in around:
        graph[u].discard(v)
    for u in around:
        for w in around - graph[u]:
            if u < w:
                graph[u].add(w)
                graph[w].add(u)
                new_edges.append((u, w))
    return new_edges


def _cuthill_mckee(neighbours: _Neighbours, kept: Collection[int]) -> list[int]:
    graph = nx.Graph()
    graph.add_nodes_from(v for v in neighbours if v not in kept)
    graph.add_edges_from(
        (u, w) for u, around in neighbours.items() for w in around if u < w and u not in kept and w not in kept
    )
    return list(nx.utils.cuthill_mckee_ordering(graph))


def _operations(clusters: _Clusters, sizes: Sequence[int]) -> int:
    return sum(_entries(cluster, sizes) * sizes[v] for v, cluster in clusters)


def _entries(members: Iterable[int], sizes: Sequence[int]) -> int:
    return math.prod(sizes[u] for u in members)


def _measure(
    clusters: _Clusters,
    names: Sequence[Hashable],
    sizes: Sequence[int],
    kept: Collection[int],
    heuristic: str,
    complete: bool,
) -> EliminationPlan:
    position = {v: step for step, (v, _) in enumerate(clusters)}
    waiting = [0] * (len(clusters) + 1)  # entries of the messages that step t takes in; the last slot is what is kept
    children = [0] * (len(clusters) + 1)
    kept_entries = _entries(kept, sizes)
    live = 0
    peak = 3 * kept_entries
    marginal_peak = messages = 0
    for step, (v, around) in enumerate(clusters):
        message = _entries(around, sizes)
        cluster = message * sizes[v]
        # the sum of the bucket's tables, one temporary of the same size, the maximum, the message
        peak = max(peak, live + 2 * cluster + 2 * message)
        # leave-one-out sums hold a table for each level of halving the messages that come in
        marginal_peak = max(marginal_peak, (children[step].bit_length() + 4) * cluster)
        messages += message
        live += message - waiting[step]
        if around:
            target = min(position.get(u, len(clusters)) for u in around)
            waiting[target] += message
            children[target] += 1
        else:
            live -= message
    widths = [len(around) for _, around in clusters]
    tables = [_entries(around, sizes) * sizes[v] for v, around in clusters]
    return EliminationPlan(
        order=tuple(names[v] for v, _ in clusters),
        induced_width=max(widths, default=0),
        largest_table=max([*tables, kept_entries]),
        operations=sum(tables) + kept_entries,
        memory=_BYTES * peak,
        marginal_memory=_BYTES * (marginal_peak + 2 * messages),
        heuristic=heuristic,
        complete=complete,
    )


def induced_width(graph: nx.Graph, order: Sequence[Hashable]) -> int:
    """The most neighbours that a node of ``graph`` has when it is eliminated in ``order``.

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
    around = {index[node]: {index[other] for other in graph[node]} - {index[node]} for node in graph}
    width = 0
    for position in range(len(order)):
        width = max(width, len(around[position]))
        _remove(around, position)
    return width


def colour_classes(graph: nx.Graph) -> list[list[Hashable]]:
    """Divide the nodes into classes that hold no edge, so that a class can be resampled at once.

    A bipartite graph gets at most two classes (Brélaz, New methods to color the vertices of a graph, 1979:
    DSATUR is exact there); other graphs get few, though not always the fewest.

    Args:
        graph: any undirected networkx graph without self-loops.

    Returns:
        The classes, each in the order of the graph's nodes.
    """
    colours = nx.greedy_color(graph, strategy="DSATUR")
    classes: list[list[Hashable]] = [[] for _ in range(max(colours.values(), default=-1) + 1)]
    for node in graph:
        classes[colours[node]].append(node)
    return classes
