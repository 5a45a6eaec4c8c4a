"""Two-layer graphs: telling the layers apart, and a graph whose edges are read from the arrays of an RBM."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, ItemsView, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgm_rbm.errors import ModelError, NotBipartiteError
from pgm_rbm.graph.model import Factor, GraphModel, _Couplings
from pgm_rbm.model.variables import canonical, finite_number, has_labels, kind_of

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
        count = graph.arrays.counts[0]
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
            factors or variables whose values are labels, which arrays of an RBM cannot hold.

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
        if any(held.labels):
            raise ModelError(
                "The values of the graph are labels, which have a weight each. Keep the model as a GraphModel."
            )
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
            weights[i, j] = finite_number(weight, f"weight of edge ({u!r}, {v!r})")
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
    return np.array([finite_number(graph.nodes[node].get("bias", 0.0), f"bias of {node!r}") for node in nodes])


def _layer_units(graph: nx.Graph, nodes: list[Hashable], layer: str) -> str:
    found = None
    for node in nodes:
        attributes = graph.nodes[node]
        if has_labels(node, attributes):
            raise ModelError(
                f"Node {node!r} is categorical, which arrays of an RBM cannot hold. Keep the model as a GraphModel."
            )
        units = canonical(node, attributes.get("units", "binary"))
        if units != (found := found or units):
            raise ModelError(
                f"The {layer} layer must have one unit type. Got {found!r} at {nodes[0]!r} and {units!r} at {node!r}."
            )
    assert found is not None
    return found


@dataclass(frozen=True, eq=False)
class _Arrays:
    """Weights of shape (n_visible, n_hidden) and biases of shapes (n_visible,) and (n_hidden,).

    A layer whose values are labels has an axis of labels after its own in each.
    """

    weights: NDArray[Any]
    visible_bias: NDArray[Any]
    hidden_bias: NDArray[Any]
    visible_units: str
    hidden_units: str
    mask: NDArray[np.bool_] | None

    @cached_property
    def counts(self) -> tuple[int, int]:
        """How many units the layers have."""
        return len(self.visible_bias), len(self.hidden_bias)

    @cached_property
    def labels(self) -> tuple[bool, bool]:
        """Whether the values of the layers are labels."""
        return self.visible_bias.ndim > 1, self.hidden_bias.ndim > 1

    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The units of each side of the pairs with a weight that is not zero."""
        if not np.isfinite(self.weights).all():
            place = tuple(int(index) for index in np.argwhere(~np.isfinite(self.weights))[0])
            raise ModelError(f"weights must be finite. Got {self.weights[place]} at {place}.")
        present = self.weights != 0
        visible_labels, hidden_labels = self.labels
        if hidden_labels:
            present = present.any(axis=-1)
        if visible_labels:
            present = present.any(axis=1)
        first, second = np.nonzero(present if self.mask is None else present & self.mask)
        return first, second

    def log_table(self, i: int, j: int) -> NDArray[np.float64]:
        """What the pair (i, j) of units contributes to -E, over the values of both."""
        here = self.weights[i, ..., j, :] if self.labels[1] else self.weights[i, ..., j]
        table = np.asarray(here, dtype=np.float64)
        for axis, (units, labels) in enumerate(zip((self.visible_units, self.hidden_units), self.labels, strict=True)):
            if not labels:
                values = np.array(kind_of(units, {"units": units}).values)
                table = np.expand_dims(table, axis) * values.reshape([-1, 1] if axis == 0 else [-1])
        return table

    def position(self, node: Any) -> tuple[int, int] | None:
        """(side, index) of a node name, None for anything else."""
        if not (isinstance(node, tuple) and len(node) == 2 and isinstance(node[1], Integral)):
            return None
        index, (n_visible, n_hidden) = int(node[1]), self.counts
        if node[0] == "v" and 0 <= index < n_visible:
            return 0, index
        if node[0] == "h" and 0 <= index < n_hidden:
            return 1, index
        return None


class _Attributes(Mapping[str, Any]):
    """Attributes of one node or edge, read from the arrays at each access; numbers can be assigned to.

    Args:
        fixed: those that do not change.
        key: the name of the one that is in an array, None where there is none.
        target, index: the array and the place in it.
    """

    __slots__ = ("_fixed", "_index", "_key", "_target")

    def __init__(self, fixed: Mapping[str, Any], key: str | None, target: NDArray[Any], index: Any) -> None:
        self._fixed, self._key, self._target, self._index = fixed, key, target, index

    def __getitem__(self, name: str) -> Any:
        if name == self._key:
            value = self._target[self._index]
            return value.copy() if value.ndim else value.item()
        return self._fixed[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name != self._key:
            raise ModelError(
                f"Attribute {name!r} cannot be set on a graph that reads its arrays; only {self._key!r} can. "
                "Set it on a copy: graph.copy()."
            )
        shape = self._target[self._index].shape
        if not shape:
            value = finite_number(value, name)
        elif np.shape(value) != shape or not np.isfinite(value).all():
            raise ModelError(f"{name} must be {shape[0]} finite numbers, one a label. Got {value!r}.")
        self._target[self._index] = value

    def __iter__(self) -> Iterator[str]:
        yield from self._fixed
        if self._key is not None:
            yield self._key

    def __len__(self) -> int:
        return len(self._fixed) + (self._key is not None)

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
        n_visible, n_hidden = self._arrays.counts
        for i in range(n_visible):
            yield "v", i
        for j in range(n_hidden):
            yield "h", j

    def __len__(self) -> int:
        return sum(self._arrays.counts)


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

    def _attributes(self, other: int) -> _Attributes:
        """Those of the edge to this unit of the other side; labels have factors in place of a weight."""
        place = (other, self._index) if self._side else (self._index, other)
        key = None if any(self._arrays.labels) else "weight"
        return _Attributes(_NO_ATTRIBUTES, key, self._arrays.weights, place)

    def __getitem__(self, node: Any) -> _Attributes:
        if node not in self:
            raise KeyError(node)
        return self._attributes(int(node[1]))

    def __contains__(self, node: object) -> bool:
        place = self._arrays.position(node)
        if place is None or place[0] == self._side:
            return False
        present = self._present()
        return present is None or bool(present[place[1]])

    def __iter__(self) -> Iterator[Node]:
        letter = "v" if self._side else "h"
        present = self._present()
        others = range(self._arrays.counts[1 - self._side])
        for other in others if present is None else np.flatnonzero(present).tolist():
            yield letter, other

    def __len__(self) -> int:
        present = self._present()
        return self._arrays.counts[1 - self._side] if present is None else int(np.count_nonzero(present))

    def items(self) -> ItemsView[Node, _Attributes]:
        return _RowItems(self)

    def copy(self) -> dict[Node, dict[str, Any]]:
        return {node: attributes.copy() for node, attributes in self.items()}


class _RowItems(ItemsView[Node, _Attributes]):
    """The pairs of a row without looking each neighbour up again; networkx walks all edges this way."""

    _mapping: _Row

    def __iter__(self) -> Iterator[tuple[Node, _Attributes]]:
        row = self._mapping
        for node in row:
            yield node, row._attributes(node[1])


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
        return sum(self._arrays.counts)


class RBMGraph(GraphModel):
    """A bipartite :class:`GraphModel` whose nodes and edges are read from arrays as they are asked for.

    Nodes are ("v", 0), ("v", 1), ..., ("h", 0), ...; they carry ``bipartite`` (0 or 1), ``role`` ("visible" or
    "hidden"), ``units`` and ``bias``; edges carry ``weight``. The arrays are shared, not copied: the graph shows
    their current values, and assigning to ``graph.nodes[node]["bias"]`` or ``graph.edges[u, v]["weight"]`` writes to
    them. Nodes and edges cannot be added or removed; :meth:`copy` gives an ordinary GraphModel that can be changed.

    Where the values of a layer are labels, such as those of "potts(3)", a pair of units has a number for each label;
    :attr:`factors` shows these, a table a pair, in place of weights.

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
            visible_units, hidden_units: unit types of the layers. A layer of labels has an axis of labels after its own
                in the weights and in its bias: (n_visible, q, n_hidden) and (n_visible, q) with visible "potts(q)".
            mask: boolean, shape (n_visible, n_hidden); an edge is in the graph where it is True. All are by default.

        Raises:
            ModelError: the shapes do not fit each other or the units, a layer is empty, there are no such units or
                their values are vectors, or the mask is not boolean.
        """
        w, a, b = np.asarray(weights), np.asarray(visible_bias), np.asarray(hidden_bias)
        labels = [_labels(layer, units) for layer, units in (("visible", visible_units), ("hidden", hidden_units))]
        names = [name for layer, q in zip(("n_visible", "n_hidden"), labels, strict=True) for name in (layer, *q)]
        if w.ndim != len(names) or 0 in w.shape:
            raise ModelError(f"weights must have shape ({', '.join(map(str, names))}), none zero. Got {w.shape}.")
        split = 1 + len(labels[0])
        for argument, bias, shape in (("visible_bias", a, w.shape[:split]), ("hidden_bias", b, w.shape[split:])):
            if bias.shape != shape:
                raise ModelError(
                    f"{argument} must have shape {shape} to fit weights of shape {w.shape}. Got {bias.shape}."
                )
        for layer, shape, q in (("visible", a.shape, labels[0]), ("hidden", b.shape, labels[1])):
            if shape[1:] != q:
                raise ModelError(f"the {layer} units have {q[0]} labels. Got an axis of {shape[1]} for them.")
        for argument, array in (("weights", w), ("visible_bias", a), ("hidden_bias", b)):
            if array.dtype.kind not in "fiu":
                raise ModelError(f"{argument} must be real numbers. Got dtype {array.dtype}.")
        present = None if mask is None else np.asarray(mask)
        if present is not None and (present.dtype != np.bool_ or present.shape != (len(a), len(b))):
            raise ModelError(
                f"mask must be boolean and of the shape of weights, {(len(a), len(b))}. "
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
        """The factors; while the graph reads arrays, those of pairs of units whose values are labels."""
        arrays = self.arrays
        if arrays is None:
            return super().factors
        if not any(arrays.labels):
            return ()
        return tuple(
            Factor(f"w({('v', i)}, {('h', j)})", (("v", i), ("h", j)), arrays.log_table(i, j))
            for i, j in zip(*(side.tolist() for side in arrays.pairs()), strict=True)
        )

    def copy(self, as_view: bool = False) -> GraphModel:
        """An ordinary :class:`GraphModel` with the present values, or with ``as_view=True`` a read-only view."""
        if as_view:
            return super().copy(as_view=True)
        model = GraphModel()
        model.graph.update(self.graph)
        model.add_nodes_from((node, attributes.copy()) for node, attributes in self._node.items())
        model.add_edges_from((u, v, attributes.copy()) for u, v, attributes in self.edges(data=True))
        if self.arrays is not None:
            for factor in self.factors:
                model.add_factor(factor.scope, log_table=factor.log_table, name=factor.name)
        return model

    def size(self, weight: str | None = None) -> int | float:
        """Number of edges, or with ``weight="weight"`` the sum of their weights."""
        if weight is None and self.arrays is not None:
            mask = self.arrays.mask
            return math.prod(self.arrays.counts) if mask is None else int(np.count_nonzero(mask))
        total: int | float = super().size(weight=weight)
        return total

    def _couplings(self) -> _Couplings:
        if self.arrays is None:
            return super()._couplings()
        arrays = self.arrays
        if any(arrays.labels):
            nothing = np.zeros(0, np.intp)
            return _Couplings(nothing, nothing, np.zeros(0))
        first, second = arrays.pairs()
        return _Couplings(first, second + arrays.counts[0], arrays.weights[first, second].astype(np.float64))

    def _interactions(self) -> list[tuple[Hashable, ...]]:
        if self.arrays is None:
            return super()._interactions()
        return [(("v", i), ("h", j)) for i, j in zip(*(side.tolist() for side in self.arrays.pairs()), strict=True)]


def _labels(layer: str, units: str) -> tuple[int, ...]:
    """The axis of labels that a layer's parameters have besides that of its units, if they have one."""
    attributes = {"units": units}
    return (len(kind_of(f"the {layer} layer", attributes).values),) if has_labels(layer, attributes) else ()
