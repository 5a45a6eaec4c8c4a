"""Gibbs chains on tables over named variables, one colour of the graph after another.

Variables of one colour share no table, so they are independent given all others and are drawn at once. Every chain
starts from values drawn uniformly and ends after a number of sweeps; chains are independent of each other.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from pgm_rbm.exact.elimination.tables import FloatArray, LogTable
from pgm_rbm.graph.colours import colour_classes
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.streams import Purpose, derive_key, uniforms
from pgm_rbm.machine.workers import workers
from symbolic.codegen.machine_code import compiled

__all__ = ["sample"]

Indices = NDArray[np.intp]

# States of a block of chains that is worked on at once: half a MiB, and two blocks from 512 chains of 256 variables on,
# so that threads share the work; from 2^12 to 2^18 states take equally long (2 cores, 2026-12).
_VALUES = 2**16
# Sweeps between two looks at the progress and at interrupts, about 0.1 s for a block; the pool costs nothing then.
_SWEEPS_AT_ONCE = 32


class _Colour(NamedTuple):
    """Variables that are drawn at once, and the tables that each of them stands in.

    A row of ``own``, ``others``, ``strides`` and ``base`` belongs to a variable and one of its tables, rows of one
    variable side by side.

    Attributes:
        variables: their places.
        sizes: how many states they have.
        first: the first row of each variable, and the number of rows.
        base: where in all entries of all tables the row's table begins.
        own: by how many entries the next state of the variable is further on.
        others, strides: the other variables of the table, and by how many entries their next states are further on.
    """

    variables: Indices
    sizes: Indices
    first: Indices
    base: Indices
    own: Indices
    others: Indices
    strides: Indices


@compiled(nogil=True, error_model="numpy")
def _draw(states: Indices, entries: FloatArray, numbers: FloatArray, colour: _Colour, weights: FloatArray) -> None:
    """Draw the variables of a colour given all others, in place.

    Args:
        states: of all variables, shape (chains, variables).
        entries: of all tables.
        numbers: between 0 and 1, shape (chains, variables of this colour).
        colour: what is drawn.
        weights: room for the weights of a variable's states.
    """
    variables, sizes, first, base, own, others, strides = colour
    for chain in range(states.shape[0]):
        for k in range(len(variables)):
            size = sizes[k]
            weights[:size] = 0.0
            for row in range(first[k], first[k + 1]):
                place = base[row]
                for axis in range(others.shape[1]):
                    place += states[chain, others[row, axis]] * strides[row, axis]
                for state in range(size):
                    weights[state] += entries[place + state * own[row]]
            top = weights[0]
            for state in range(1, size):
                top = max(top, weights[state])
            total = 0.0
            for state in range(size):
                total += np.exp(weights[state] - top)
                weights[state] = total
            level = numbers[chain, k] * total
            drawn = 0
            while drawn < size - 1 and weights[drawn] <= level:
                drawn += 1
            states[chain, variables[k]] = drawn


def sample(
    tables: Sequence[LogTable],
    cardinalities: Mapping[Hashable, int],
    n: int,
    sweeps: int,
    seed: int,
    budget: Budget,
) -> dict[Hashable, Indices]:
    """Return the last states of independent Gibbs chains.

    Args:
        tables: (scope, log_table) pairs without ``-inf``.
        cardinalities: number of states of every variable.
        n: how many chains.
        sweeps: how often every variable is drawn given all others.
        seed: of 64 bits.
        budget: its threads and progress are used; progress counts sweeps.

    Returns:
        Variable -> indices of its states, shape (n,).
    """
    names = list(cardinalities)
    sizes = np.array([cardinalities[name] for name in names], dtype=np.intp)
    colours, entries = _compiled(tables, names, sizes)
    states = np.empty((n, len(names)), dtype=np.intp)
    rows = max(1, _VALUES // max(len(names), 1))
    blocks = [slice(start, min(start + rows, n)) for start in range(0, n, rows)]

    def start(block: slice) -> None:
        key = derive_key(seed, Purpose.GRAPH, 0)
        numbers = uniforms(key, block.start, block.stop - block.start, len(names))
        states[block] = (numbers * sizes).astype(np.intp)

    with workers(budget.threads) as pool, budget.showing("samples") as progress:
        pool.map(start, blocks if names else [])
        done = 0
        while done < sweeps:
            # A batch of sweeps at a time, so that an interrupt is answered soon.
            batch = range(done + 1, min(done + _SWEEPS_AT_ONCE, sweeps) + 1)

            def sweep(block: slice, batch: range = batch) -> None:
                held = states[block]
                for step in batch:
                    for number, colour in enumerate(colours):
                        key = derive_key(seed, Purpose.GRAPH, step, number)
                        numbers = uniforms(key, block.start, len(held), len(colour.variables))
                        _draw(held, entries, numbers, colour, np.empty(int(colour.sizes.max())))

            pool.map(sweep, blocks if names else [])
            done = batch[-1]
            if progress is not None:
                progress(done, sweeps)
    return {name: states[:, place].copy() for place, name in enumerate(names)}


def _compiled(
    tables: Sequence[LogTable], names: Sequence[Hashable], sizes: Indices
) -> tuple[list[_Colour], FloatArray]:
    """Return the colours, and the entries of all tables one after another."""
    place = {name: k for k, name in enumerate(names)}
    graph = nx.Graph()
    graph.add_nodes_from(range(len(names)))
    flat = [np.zeros(0)]
    rows: list[list[tuple[int, int, list[tuple[int, int]]]]] = [[] for _ in names]
    begin = 0
    for scope, table in tables:
        members = [place[name] for name in scope]
        steps = [int(np.prod(table.shape[axis + 1 :], dtype=np.intp)) for axis in range(len(members))]
        for axis, member in enumerate(members):
            others = [(other, step) for k, (other, step) in enumerate(zip(members, steps, strict=True)) if k != axis]
            rows[member].append((begin, steps[axis], others))
        graph.add_edges_from(combinations(members, 2))
        flat.append(np.ascontiguousarray(table, dtype=np.float64).ravel())
        begin += table.size
    colours = []
    for nodes in colour_classes(graph):
        variables = np.array(nodes, dtype=np.intp)
        here = [rows[variable] for variable in variables.tolist()]
        mine = [row for several in here for row in several]
        widest = max((len(others) for _, _, others in mine), default=0)
        padded = [[*others, *[(0, 0)] * (widest - len(others))] for _, _, others in mine]
        around = np.array(padded, dtype=np.intp).reshape(len(mine), widest, 2)
        colours.append(
            _Colour(
                variables,
                sizes[variables],
                np.cumsum([0, *(len(several) for several in here)]),
                np.array([base for base, _, _ in mine], dtype=np.intp),
                np.array([own for _, own, _ in mine], dtype=np.intp),
                np.ascontiguousarray(around[..., 0]),
                np.ascontiguousarray(around[..., 1]),
            )
        )
    return colours, np.concatenate(flat)
