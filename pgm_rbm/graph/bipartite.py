"""Two-layer graphs: telling the layers apart, and a graph whose edges are read from the arrays of an RBM."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, ItemsView, Iterator, Mapping
from numbers import Integral
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgm_rbm.errors import ModelError, NotBipartiteError
from pgm_rbm.graph.model import Factor, GraphModel, _Couplings, _finite_number

__all__ = ["GraphArrays", "RBMGraph", "arrays_from_graph", "bipartition"]

Node = tuple[str, int]

_SIDES = {"visible": 0, "hidden": 1}


class GraphArrays(NamedTuple):
    """A bipartite graph as arrays.

    Attributes:
        visible_names, hidden_names: the nodes that the rows and columns of the weights stand for.
        weights: shape (n_visible, n_hidden); zero where there is no edge.
        visible_bias, hidden_bias: shapes (n_visible,) and (n_hidden,).
        mask: shape (n_visible, n_hidden), True where there is an edge; None when every pair has one.
        units: the unit types of the visible and of the hidden layer.
    """

    visible_names: list[Hashable]
    hidden_names: list[Hashable]
    weights: NDArray[np.float64]
    visible_bias: NDArray[np.float64]
    hidden_bias: NDArray[np.float64]
    mask: NDArray[np.bool_] | None
    units: tuple[str, str]


def bipartition(graph: nx.Graph) -> tuple[list[Hashable], list[Hashable]]:
    """The visible and the hidden nodes of a bipartite graph.

    The node attributes ``role`` ("visible" or "hidden") and ``bipartite`` (0 for visible, 1 for hidden) decide where
    a connected part has them. In a part without them, the first node and all at even distance from it are visible.

    Args:
        graph: any undirected networkx graph.

    Returns:
        Two lists of nodes, each in the order of the graph.

    Raises:
        NotBipartiteError: the graph holds an odd cycle, which the error names.
        ModelError: the attributes contradict each other or the edges, or the graph is directed or a multigraph.

    Example:
        >>> import networkx as nx
        >>> bipartition(nx.path_graph(4))
        ([0, 2], [1, 3])
        >>> bipartition(nx.cycle_graph(3))
        Traceback (most recent call last):
        pgm_rbm.errors.NotBipartiteError: The graph is not bipartite: it holds the odd cycle 0 - 1 - 2 - 0 (length 3). \
Remove an edge of this cycle, or keep the model as a GraphModel.
    """
    require_simple(graph)
    if isinstance(graph, RBMGraph) and graph.arrays is not None:
        nodes = list(graph)
        count = graph.arrays.weights.shape[0]
        return nodes[:count], nodes[count:]
    side: dict[Hashable, int] = {}
    for start in graph:
        if start in side:
            continue
        part = _two_colour(graph, start)
        given = [(node, wanted) for node in part if (wanted := _side(graph, node)) is not None]
        if given:
            flip = part[given[0][0]] != given[0][1]
            if flip:
                part = {node: 1 - colour for node, colour in part.items()}
            for node, wanted in given:
                if part[node] != wanted:
                    first = given[0][0]
                    raise ModelError(
                        f"The attributes role and bipartite of nodes {first!r} and {node!r} do not fit the edges "
                        "between them: neighbours must be on different sides. Correct one of the two."
                    )
        side.update(part)
    return [node for node in graph if side[node] == 0], [node for node in graph if side[node] == 1]


def _side(graph: nx.Graph, node: Hashable) -> int | None:
    attributes = graph.nodes[node]
    found: set[int] = set()
    if "role" in attributes:
        if attributes["role"] not in _SIDES:
            raise ModelError(f'role of node {node!r} must be "visible" or "hidden". Got {attributes["role"]!r}.')
        found.add(_SIDES[attributes["role"]])
    if "bipartite" in attributes:
        if attributes["bipartite"] not in (0, 1):
            raise ModelError(
                f"bipartite of node {node!r} must be 0 (visible) or 1 (hidden). Got {attributes['bipartite']!r}."
            )
        found.add(int(attributes["bipartite"]))
    if len(found) == 2:
        raise ModelError(
            f"Node {node!r} has role {attributes['role']!r} and bipartite {attributes['bipartite']!r}, which "
            "contradict each other. Keep one: visible is 0, hidden is 1."
        )
    return found.pop() if found else None


def _two_colour(graph: nx.Graph, start: Hashable) -> dict[Hashable, int]:
    """Colours 0 and 1 for the connected part of ``start``, breadth first."""
    colour = {start: 0}
    parent: dict[Hashable, Hashable] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for other in graph.adj[node]:
            if other not in colour:
                colour[other] = 1 - colour[node]
                parent[other] = node
                queue.append(other)
            elif colour[other] == colour[node]:
                raise NotBipartiteError(_odd_cycle(node, other, parent))
    return colour


def _odd_cycle(u: Hashable, v: Hashable, parent: Mapping[Hashable, Hashable]) -> list[Hashable]:
    """The cycle that the edge (u, v) closes in a breadth-first tree where both are equally far from the root."""
    left, right = [u], [v]
    while left[-1] != right[-1]:
        left.append(parent[left[-1]])
        right.append(parent[right[-1]])
    return left[::-1] + right[:-1]


def require_simple(graph: Any, argument: str = "graph") -> None:
    """Raise unless ``graph`` is an undirected networkx graph without parallel edges."""
    if not isinstance(graph, nx.Graph):
        raise TypeError(f"{argument} must be a networkx.Graph. Got {type(graph).__name__}.")
    if graph.is_directed() or graph.is_multigraph():
        raise ModelError(
            f"{argument} must be undirected and without parallel edges. Got a {type(graph).__name__}; "
            "convert it with networkx.Graph(graph)."
        )


def arrays_from_graph(graph: nx.Graph) -> GraphArrays:
    """Read a bipartite networkx graph as the arrays of an RBM.

    Args:
        graph: any bipartite networkx graph, a :class:`GraphModel` included. The edge attribute ``weight`` and the
            node attribute ``bias`` are 0.0 where missing, so that a bare graph gives the shape of a model to be
            trained; ``units`` is "binary" where missing. The layers are told apart as by :func:`bipartition`.

    Returns:
        New float64 arrays; see :class:`GraphArrays`.

    Raises:
        NotBipartiteError: the graph holds an odd cycle.
        ModelError: a layer is empty or mixes units, a weight or bias is not a finite number, or the graph has
            factors or categorical variables, which arrays of an RBM cannot hold.

    Example:
        >>> import networkx as nx
        >>> graph = nx.Graph()
        >>> graph.add_edge("v0", "h0", weight=0.5)
        >>> graph.add_edge("v1", "h0", weight=-1.0)
        >>> arrays_from_graph(graph).weights
        array([[ 0.5],
               [-1. ]])
    """
    require_simple(graph)
    if isinstance(graph, RBMGraph) and graph.arrays is not None:
        held = graph.arrays
        names = list(graph)
        mask = None if held.mask is None else held.mask.copy()
        weights = np.array(held.weights, dtype=np.float64)
        return GraphArrays(
            names[: len(weights)],
            names[len(weights) :],
            weights if mask is None else np.where(mask, weights, 0.0),
            np.array(held.visible_bias, dtype=np.float64),
            np.array(held.hidden_bias, dtype=np.float64),
            mask,
            (held.visible_units, held.hidden_units),
        )
    visible, hidden = bipartition(graph)
    for layer, nodes in (("visible", visible), ("hidden", hidden)):
        if not nodes:
            raise ModelError(
                f"The {layer} layer of the graph is empty. An RBM needs a node on each side; "
                'set the node attribute role to "visible" or "hidden" where no edge decides it.'
            )
    if isinstance(graph, GraphModel) and graph.factors:
        raise ModelError(
            f"The graph has the factor {graph.factors[0].name!r}, which arrays of an RBM cannot hold. "
            "Keep it as a GraphModel, or compose the factor with the RBM."
        )
    units = (_layer_units(graph, visible, "visible"), _layer_units(graph, hidden, "hidden"))
    row = {node: position for position, node in enumerate(visible)}
    column = {node: position for position, node in enumerate(hidden)}
    weights = np.zeros((len(visible), len(hidden)))
    mask = np.zeros(weights.shape, dtype=bool)
    for u, v, weight in graph.edges(data="weight"):
        i, j = (row[u], column[v]) if u in row else (row[v], column[u])
        mask[i, j] = True
        if weight is not None:
            weights[i, j] = _finite_number(weight, f"weight of edge ({u!r}, {v!r})")
    return GraphArrays(
        visible,
        hidden,
        weights,
        _layer_bias(graph, visible),
        _layer_bias(graph, hidden),
        None if mask.all() else mask,
        units,
    )


def _layer_bias(graph: nx.Graph, nodes: list[Hashable]) -> NDArray[np.float64]:
    return np.array([_finite_number(graph.nodes[node].get("bias", 0.0), f"bias of {node!r}") for node in nodes])


def _layer_units(graph: nx.Graph, nodes: list[Hashable], layer: str) -> str:
    units = str(graph.nodes[nodes[0]].get("units", "binary"))
    for node in nodes:
        other = str(graph.nodes[node].get("units", "binary"))
        if other == "categorical":
            raise ModelError(
                f"Node {node!r} is categorical, which arrays of an RBM cannot hold. Keep the model as a GraphModel."
            )
        if other != units:
            raise ModelError(
                f"The {layer} layer must have one unit type. Got {units!r} at {nodes[0]!r} and {other!r} at {node!r}."
            )
    return units


class _Arrays(NamedTuple):
    weights: NDArray[Any]
    visible_bias: NDArray[Any]
    hidden_bias: NDArray[Any]
    visible_units: str
    hidden_units: str
    mask: NDArray[np.bool_] | None

    def position(self, node: Any) -> tuple[int, int] | None:
        """(side, index) of a node name, None for anything else."""
        if not (isinstance(node, tuple) and len(node) == 2 and isinstance(node[1], Integral)):
            return None
        index = int(node[1])
        if node[0] == "v" and 0 <= index < self.weights.shape[0]:
            return 0, index
        if node[0] == "h" and 0 <= index < self.weights.shape[1]:
            return 1, index
        return None


class _Attributes(Mapping[str, Any]):
    """Attributes of one node or edge, read from the arrays at each access; numbers can be assigned to."""

    __slots__ = ("_fixed", "_index", "_key", "_target")

    def __init__(self, fixed: Mapping[str, Any], key: str, target: NDArray[Any], index: Any) -> None:
        self._fixed, self._key, self._target, self._index = fixed, key, target, index

    def __getitem__(self, name: str) -> Any:
        if name == self._key:
            return self._target[self._index].item()
        return self._fixed[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name != self._key:
            raise ModelError(
                f"Attribute {name!r} cannot be set on a graph that reads its arrays; only {self._key!r} can. "
                "Set it on a copy: graph.copy()."
            )
        self._target[self._index] = _finite_number(value, name)

    def __iter__(self) -> Iterator[str]:
        yield from self._fixed
        yield self._key

    def __len__(self) -> int:
        return len(self._fixed) + 1

    def __repr__(self) -> str:
        return repr(dict(self))

    def copy(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        # the plain copy would drag the whole weight matrix along for every edge
        return dict(self)


class _Nodes(Mapping[Node, _Attributes]):
    """Stands in for networkx's ``_node``."""

    def __init__(self, arrays: _Arrays) -> None:
        self._arrays = arrays
        self._fixed = (
            {"bipartite": 0, "role": "visible", "units": arrays.visible_units},
            {"bipartite": 1, "role": "hidden", "units": arrays.hidden_units},
        )

    def __getitem__(self, node: Any) -> _Attributes:
        place = self._arrays.position(node)
        if place is None:
            raise KeyError(node)
        side, index = place
        bias = self._arrays.hidden_bias if side else self._arrays.visible_bias
        return _Attributes(self._fixed[side], "bias", bias, index)

    def __contains__(self, node: object) -> bool:
        hash(node)  # networkx tells a node from a (node, attributes) pair by the TypeError
        return self._arrays.position(node) is not None

    def __iter__(self) -> Iterator[Node]:
        n_visible, n_hidden = self._arrays.weights.shape
        for i in range(n_visible):
            yield "v", i
        for j in range(n_hidden):
            yield "h", j

    def __len__(self) -> int:
        return sum(self._arrays.weights.shape)


class _Row(Mapping[Node, _Attributes]):
    """The neighbours of one node with the attributes of the edges to them."""

    __slots__ = ("_arrays", "_index", "_side")

    def __init__(self, arrays: _Arrays, side: int, index: int) -> None:
        self._arrays, self._side, self._index = arrays, side, index

    def _present(self) -> NDArray[np.bool_] | None:
        mask = self._arrays.mask
        if mask is None:
            return None
        return mask[:, self._index] if self._side else mask[self._index]

    def _edge(self, other: int) -> tuple[int, int]:
        return (other, self._index) if self._side else (self._index, other)

    def __getitem__(self, node: Any) -> _Attributes:
        if node not in self:
            raise KeyError(node)
        return _Attributes({}, "weight", self._arrays.weights, self._edge(int(node[1])))

    def __contains__(self, node: object) -> bool:
        place = self._arrays.position(node)
        if place is None or place[0] == self._side:
            return False
        present = self._present()
        return present is None or bool(present[place[1]])

    def __iter__(self) -> Iterator[Node]:
        letter = "v" if self._side else "h"
        present = self._present()
        others = range(self._arrays.weights.shape[1 - self._side])
        for other in others if present is None else np.flatnonzero(present).tolist():
            yield letter, other

    def __len__(self) -> int:
        present = self._present()
        return self._arrays.weights.shape[1 - self._side] if present is None else int(np.count_nonzero(present))

    def items(self) -> ItemsView[Node, _Attributes]:
        return _RowItems(self)

    def copy(self) -> dict[Node, dict[str, Any]]:
        return {node: attributes.copy() for node, attributes in self.items()}


class _RowItems(ItemsView[Node, _Attributes]):
    """The pairs of a row without looking each neighbour up again; networkx walks all edges this way."""

    _mapping: _Row

    def __iter__(self) -> Iterator[tuple[Node, _Attributes]]:
        row = self._mapping
        weights = row._arrays.weights
        for node in row:
            yield node, _Attributes(_NO_ATTRIBUTES, "weight", weights, row._edge(node[1]))


_NO_ATTRIBUTES: Mapping[str, Any] = {}


class _Adjacency(Mapping[Node, _Row]):
    """Stands in for networkx's ``_adj``."""

    def __init__(self, arrays: _Arrays) -> None:
        self._arrays = arrays

    def __getitem__(self, node: Any) -> _Row:
        place = self._arrays.position(node)
        if place is None:
            raise KeyError(node)
        return _Row(self._arrays, *place)

    def __contains__(self, node: object) -> bool:
        hash(node)
        return self._arrays.position(node) is not None

    def __iter__(self) -> Iterator[Node]:
        return iter(_Nodes(self._arrays))

    def __len__(self) -> int:
        return sum(self._arrays.weights.shape)


class RBMGraph(GraphModel):
    """A bipartite :class:`GraphModel` whose nodes and edges are read from arrays as they are asked for.

    Nodes are ("v", 0), ("v", 1), ..., ("h", 0), ...; they carry ``bipartite`` (0 or 1), ``role`` ("visible" or
    "hidden"), ``units`` and ``bias``; edges carry ``weight``. The arrays are shared, not copied: the graph shows
    their current values, and assigning to ``graph.nodes[node]["bias"]`` or ``graph.edges[u, v]["weight"]`` writes to
    them. Nodes and edges cannot be added or removed; :meth:`copy` gives an ordinary GraphModel that can be changed.

    Without arrays, ``RBMGraph()`` is an empty GraphModel, which networkx needs for its own views.

    Example:
        >>> import numpy as np
        >>> weights = np.array([[0.5], [-1.0]])
        >>> graph = RBMGraph.from_arrays(weights, np.zeros(2), np.zeros(1))
        >>> graph.edges[("v", 1), ("h", 0)]["weight"]
        -1.0
        >>> weights[1, 0] = 2.0
        >>> list(graph.edges(data="weight"))
        [(('v', 0), ('h', 0), 0.5), (('v', 1), ('h', 0), 2.0)]
    """

    #: The arrays that the graph reads, or None for an ordinary graph.
    arrays: _Arrays | None = None

    @classmethod
    def from_arrays(
        cls,
        weights: ArrayLike,
        visible_bias: ArrayLike,
        hidden_bias: ArrayLike,
        visible_units: str = "binary",
        hidden_units: str = "binary",
        mask: ArrayLike | None = None,
    ) -> RBMGraph:
        """The graph of an RBM with these parameters.

        Args:
            weights: shape (n_visible, n_hidden). NumPy arrays are shared with the graph.
            visible_bias, hidden_bias: shapes (n_visible,) and (n_hidden,).
            visible_units, hidden_units: unit types of the layers.
            mask: boolean, of the shape of the weights; an edge is in the graph where it is True. All are by default.

        Raises:
            ModelError: the shapes do not fit each other, a layer is empty, or the mask is not boolean.
        """
        w, a, b = np.asarray(weights), np.asarray(visible_bias), np.asarray(hidden_bias)
        if w.ndim != 2 or 0 in w.shape:
            raise ModelError(f"weights must have shape (n_visible, n_hidden), neither zero. Got {w.shape}.")
        for argument, bias, count in (("visible_bias", a, w.shape[0]), ("hidden_bias", b, w.shape[1])):
            if bias.shape != (count,):
                raise ModelError(
                    f"{argument} must have shape ({count},) to fit weights of shape {w.shape}. Got {bias.shape}."
                )
        for argument, array in (("weights", w), ("visible_bias", a), ("hidden_bias", b)):
            if array.dtype.kind not in "fiu":
                raise ModelError(f"{argument} must be real numbers. Got dtype {array.dtype}.")
        present = None if mask is None else np.asarray(mask)
        if present is not None and (present.dtype != np.bool_ or present.shape != w.shape):
            raise ModelError(
                f"mask must be boolean and of the shape of weights, {w.shape}. "
                f"Got dtype {present.dtype} and shape {present.shape}."
            )
        graph = cls()
        graph.arrays = _Arrays(w, a, b, visible_units, hidden_units, present)
        graph._node = _Nodes(graph.arrays)
        graph._adj = _Adjacency(graph.arrays)
        nx.freeze(graph)
        return graph

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors: none while the graph reads arrays."""
        return () if self.arrays is not None else super().factors

    def copy(self, as_view: bool = False) -> GraphModel:
        """An ordinary :class:`GraphModel` with the present values, or with ``as_view=True`` a read-only view."""
        if as_view:
            return super().copy(as_view=True)
        model = GraphModel()
        model.graph.update(self.graph)
        model.add_nodes_from((node, attributes.copy()) for node, attributes in self._node.items())
        model.add_edges_from((u, v, attributes.copy()) for u, v, attributes in self.edges(data=True))
        return model

    def size(self, weight: str | None = None) -> int | float:
        """Number of edges, or with ``weight="weight"`` the sum of their weights."""
        if weight is None and self.arrays is not None:
            mask = self.arrays.mask
            return int(self.arrays.weights.size if mask is None else np.count_nonzero(mask))
        total: int | float = super().size(weight=weight)
        return total

    def _couplings(self) -> _Couplings:
        if self.arrays is None:
            return super()._couplings()
        weights, mask = self.arrays.weights, self.arrays.mask
        if not np.isfinite(weights).all():
            i, j = (int(index) for index in np.argwhere(~np.isfinite(weights))[0])
            raise ModelError(f"weights must be finite. Got {weights[i, j]} at ({i}, {j}).")
        present = weights != 0 if mask is None else (weights != 0) & mask
        first, second = np.nonzero(present)
        values = weights[first, second].astype(np.float64)
        return _Couplings(first, second + weights.shape[0], values)
