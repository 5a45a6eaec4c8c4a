"""Graphs as files, and the states of their nodes that a person observed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pgm_rbm.cli.program import RequestError, pairs, refusing, whole_number

if TYPE_CHECKING:
    import networkx as nx

    from pgm_rbm.graph.model import GraphModel

__all__ = [
    "Given",
    "MemoryLimit",
    "ModelOrGraph",
    "TimeLimit",
    "evidence",
    "given_limits",
    "load_graph",
    "once",
    "read_graphml",
]

Key = TypeVar("Key")
Value = TypeVar("Value")

ModelOrGraph = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A model file, as train writes it, or a .graphml graph: nodes with units and bias, edges with weight.",
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--given",
        metavar="NODE=STATE",
        help="A node of a graph whose state is known; may be repeated. ln Z then sums over the states of the others.",
    ),
]
MemoryLimit = Annotated[
    int | None,
    typer.Option(parser=whole_number, metavar="BYTES", help="Bytes that an elimination may hold; 2**30 by default."),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Seconds that an elimination may be expected to take; 600 by default."),
]


def read_graphml(path: Path) -> nx.Graph:
    """Return the graph in a .graphml file.

    Raises:
        RequestError: there is no such file, or it cannot be read.
    """
    import networkx as nx

    if not path.exists():
        raise RequestError(f"there is no file {path}.")
    try:
        return nx.read_graphml(path, force_multigraph=False)
    except (nx.NetworkXError, ValueError, KeyError, SyntaxError, OSError) as error:
        raise RequestError(f"{path} is damaged or not GraphML ({error}).") from error


def load_graph(path: Path) -> GraphModel | None:
    """Return the model in a .graphml file; None for a file with another ending, which is a model file.

    Raises:
        RequestError: there is no such file, or it cannot be read.
    """
    if path.suffix.lower() != ".graphml":
        return None
    from pgm_rbm.graph.model import GraphModel

    graph = read_graphml(path)
    with refusing(str(path)):
        return GraphModel(graph)


def evidence(given: list[str] | None, graph: GraphModel | None) -> dict[Any, Any]:
    """Return the states of nodes that ``--given`` fixes.

    Raises:
        RequestError: there is no graph, the text has another form, or a node is given twice.
    """
    if given and graph is None:
        raise RequestError("--given is for graphs. Turn the model into one first: pgm-rbm convert MODEL model.graphml.")
    return once([(node, _state(value)) for node, value in pairs(given or [], "--given", "v0=1")])


def once(given: list[tuple[Key, Value]]) -> dict[Key, Value]:
    """Return the pairs of ``--given`` as a mapping.

    Raises:
        RequestError: two pairs give one unit different values.
    """
    found: dict[Key, Value] = {}
    for unit, value in given:
        if found.setdefault(unit, value) != value:
            raise RequestError(f"--given contradicts itself: {unit} is {found[unit]} and {value}. Give one of the two.")
    return found


def given_limits(memory_limit: int | None, time_limit: float | None) -> dict[str, Any]:
    """Return the limits that were set, by the library's names for them."""
    limits = {"memory_limit": memory_limit, "time_limit": time_limit}
    return {name: value for name, value in limits.items() if value is not None}


def _state(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
