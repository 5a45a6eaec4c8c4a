"""A graph whose nodes and edges are read from the arrays of an RBM, and written to them."""

from __future__ import annotations

import math
from collections.abc import Hashable, ItemsView, Iterator, Mapping
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgm_rbm.errors import ModelError
from pgm_rbm.exact.elimination.network import Network
from pgm_rbm.exact.elimination.of_arrays import Node, PairwiseArrays
from pgm_rbm.graph.factors import Factor
from pgm_rbm.graph.model import GraphModel
from pgm_rbm.model.variables import finite_number, has_labels, kind_of

__all__ = ["RBMGraph"]


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
            raise ModelError(f"{name} must be {shape[0]} finite numbers, one per label. Got {value!r}.")
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

    def __init__(self, arrays: PairwiseArrays) -> None:
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

    def __init__(self, arrays: PairwiseArrays, side: int, index: int) -> None:
        self._arrays, self._side, self._index = arrays, side, index

    def _present(self) -> NDArray[np.bool_] | None:
        mask = self._arrays.mask
        if mask is None:
            return None
        return mask[:, self._index] if self._side else mask[self._index]

    def _attributes(self, other: int) -> _Attributes:
        """Return those of the edge to a unit of the other side; labels have factors in place of a weight."""
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

    def __init__(self, arrays: PairwiseArrays) -> None:
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
    :attr:`factors` shows these, a table per pair, in place of weights.

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
    arrays: PairwiseArrays | None = None

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
        """Return the graph of an RBM with these parameters.

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
        graph.arrays = PairwiseArrays(w, a, b, visible_units, hidden_units, present)
        graph._node = _Nodes(graph.arrays)
        graph._adj = _Adjacency(graph.arrays)
        nx.freeze(graph)
        return graph

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors; while the graph reads arrays, those of pairs of units whose values are labels."""
        if self.arrays is None:
            return super().factors
        return tuple(Factor(table.name, table.scope, table.log_table) for table in self.arrays.tables())

    def network(self, evidence: Mapping[Hashable, Any] | None = None) -> Network:
        """Return what exact inference reads, from the arrays as they are now."""
        return super().network(evidence) if self.arrays is None else self.arrays.network().given(evidence)

    def copy(self, as_view: bool = False) -> GraphModel:
        """Return an ordinary :class:`GraphModel` with the present values, or with ``as_view=True`` a read-only view."""
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
        """Return the number of edges, or with ``weight="weight"`` the sum of their weights."""
        if weight is None and self.arrays is not None:
            mask = self.arrays.mask
            return math.prod(self.arrays.counts) if mask is None else int(np.count_nonzero(mask))
        total: int | float = super().size(weight=weight)
        return total


def _labels(layer: str, units: str) -> tuple[int, ...]:
    """Return the axis of labels that a layer's parameters have besides that of its units, if they have one."""
    attributes = {"units": units}
    return (len(kind_of(f"the {layer} layer", attributes).values),) if has_labels(layer, attributes) else ()
