"""A networkx graph whose nodes are variables and whose attributes are potentials: how these are put in and read."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgm_rbm.errors import ModelError
from pgm_rbm.exact.elimination.network import Factor, read_couplings, read_log_table
from pgm_rbm.exact.elimination.tables import FloatArray
from pgm_rbm.graph.factors import FactorAxis, factor_key, read_factors
from pgm_rbm.model.variables import (
    CATEGORICAL,
    canonical,
    finite_number,
    has_labels,
    kind_of,
    one_or_several,
    read_bias,
    read_states,
    require_known,
)

if TYPE_CHECKING:
    from pgm_rbm.exact.elimination.of_energy import UnitTerms

__all__ = ["PotentialGraph", "recode"]


class PotentialGraph(nx.Graph):
    """The container of a :class:`~pgm_rbm.GraphModel`: variables, couplings and factors, without questions."""

    def __init__(self, incoming_graph_data: Any = None, **attr: Any) -> None:
        graph = incoming_graph_data
        if isinstance(graph, nx.Graph) and (graph.is_directed() or graph.is_multigraph()):
            raise ModelError(
                f"A model is an undirected graph without parallel edges. Got a {type(graph).__name__}; convert it with "
                "networkx.Graph(graph), which keeps one of the edges between two nodes."
            )
        super().__init__(graph, **attr)

    @property
    def variables(self) -> tuple[Hashable, ...]:
        """The names of the variables, in the order in which they were added."""
        return tuple(self._node)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors whose whole scope is in the graph."""
        return read_factors(self)

    def units(self, name: Hashable) -> str:
        """Return the unit type of a variable, such as "binary", "spin", "binomial(3)" or "categorical".

        Raises:
            UnknownVariableError: the model has no such variable.
        """
        require_known((name,), self._node, "name")
        return str(self._node[name].get("units", "binary"))

    def domain(self, name: Hashable) -> NDArray[Any]:
        """Return the values of a variable, in the order in which tables and marginals list them. Read-only.

        Returns:
            Such as ``[0, 1]`` for binary, ``[-1, 1]`` for spin, ``[0, ..., k-1]`` for labels; of type int64, or float64
            where some are not whole numbers.

        Raises:
            UnknownVariableError: the model has no such variable.
            NoFiniteDomainError: its values cannot be listed.
            ModelError: there are no such units, or the number of states is missing.
        """
        require_known((name,), self._node, "name")
        return kind_of(name, self._node[name]).domain

    def bias(self, name: Hashable) -> float | FloatArray:
        """Return the bias of a variable: a number, or an array of shape (k,) where its values are labels."""
        require_known((name,), self._node, "name")
        return read_bias(name, self._node[name], self._node[name].get("bias"))

    def add_variable(
        self,
        name: Hashable,
        units: str | None = None,
        bias: ArrayLike | None = None,
        states: int | Sequence[Hashable] | None = None,
    ) -> None:
        """Add a variable that the model does not have yet.

        Args:
            name: any hashable but None.
            units: a name of the table of units (docs/units.md), "binary" by default, or "categorical", the default when
                ``states`` is given.
            bias: a number, or an array of shape (k,) where the values are labels. Zero by default.
            states: for a categorical variable, the number of states k or a sequence of k labels. Labels are
                kept in the node attribute ``labels``; values stay 0..k-1.

        Raises:
            ModelError: the name is taken, the units are unknown, or bias and states do not fit them.
        """
        self._require_mutable()
        if name is None:
            raise ModelError("name must be a hashable other than None. Got None; give the variable a name.")
        if name in self:
            raise ModelError(
                f"name {name!r} is taken. Choose another name, or change the variable with model.nodes[{name!r}]."
            )
        units = canonical(name, units if units is not None else "binary" if states is None else CATEGORICAL)
        attributes: dict[str, Any] = {"units": units}
        if units == CATEGORICAL:
            attributes |= read_states(name, states)
        elif states is not None:
            raise ModelError(
                f"states of {name!r} belong to categorical units. Got units={units!r}; leave states out or "
                'use "categorical".'
            )
        attributes["bias"] = read_bias(name, attributes, bias)
        self.add_node(name, **attributes)

    def add_coupling(self, u: Hashable, v: Hashable, weight: float) -> None:
        """Add the term −w x_u x_v to the energy of two variables.

        A second coupling of the same pair adds to the first, as potentials multiply.

        Args:
            u, v: two different variables whose values are numbers.
            weight: any finite number.

        Raises:
            UnknownVariableError: a variable is not in the model.
            ModelError: the two are the same, the values of one are labels, or the weight is not a finite number.
        """
        self._require_mutable()
        require_known((u, v), self._node, "u and v")
        if u == v:
            raise ModelError(
                f"u and v must differ. Got {u!r} twice; a term in x_u alone is a bias or a factor over [{u!r}]."
            )
        for name in (u, v):
            if has_labels(name, self._node[name]):
                raise ModelError(
                    f"A coupling needs variables with numbers for values. Got {name!r} with units "
                    f"{self.units(name)!r}; use add_factor for a table over it."
                )
        number = finite_number(weight, f"weight of ({u!r}, {v!r})")
        present = self.edges[u, v].get("weight") if self.has_edge(u, v) else None
        self.add_edge(u, v, weight=number if present is None else number + present)

    def add_factor(
        self,
        scope: Sequence[Hashable],
        table: ArrayLike | None = None,
        *,
        log_table: ArrayLike | None = None,
        name: str | None = None,
    ) -> None:
        """Multiply the model by a table of potentials over some of its variables.

        Args:
            scope: the variables that the axes stand for, each once.
            table: potentials, zero or positive, of shape (states of scope[0], states of scope[1], ...); each
                axis runs over the domain in the order of :meth:`domain`.
            log_table: their logarithms instead; ``-inf`` stands for a potential of zero.
            name: a name that no factor over the same variables has; made from the scope when left out.

        Raises:
            UnknownVariableError: a variable of the scope is not in the model.
            ModelError: the shape does not fit the scope, an entry is negative, NaN or +inf, every potential
                is zero, or the name is taken.
        """
        self._require_mutable()
        scope = self._members(scope, "scope")
        if len(set(scope)) < len(scope):
            raise ModelError(f"scope must name each variable once. Got {list(scope)!r}.")
        if (table is None) == (log_table is None):
            raise ModelError("Give either table or log_table, and not both.")
        argument = "table" if log_table is None else "log_table"
        logs = read_log_table(table if log_table is None else log_table, argument)
        shape = tuple(len(self.domain(member)) for member in scope)
        if logs.shape != shape:
            raise ModelError(
                f"{argument} over {list(scope)!r} must have shape {shape}, an axis for each variable. Got {logs.shape}."
            )
        if name is None:
            name = self.unused_factor_name(f"phi({', '.join(map(str, scope))})", scope)
        elif self._holds(factor_key(name, scope), scope):
            raise ModelError(f"name {name!r} belongs to another factor over {list(scope)!r}. Choose another name.")
        logs.setflags(write=False)
        key = factor_key(name, scope)
        for axis, member in enumerate(scope):
            self.nodes[member][key] = FactorAxis(name, logs, axis)
            for other in scope[:axis]:
                if not self.has_edge(member, other):
                    self.add_edge(member, other)

    def unused_factor_name(self, wanted: str, scope: Sequence[Hashable]) -> str:
        """Return ``wanted``, or ``wanted (2)``, ``wanted (3)``, ... if a factor over the same variables has it."""
        name, number = wanted, 1
        while self._holds(factor_key(name, scope), scope):
            number += 1
            name = f"{wanted} ({number})"
        return name

    def add_conditional(
        self,
        child: Hashable,
        given: Sequence[Hashable],
        table: ArrayLike,
        *,
        name: str | None = None,
    ) -> None:
        """Multiply the model by a conditional distribution P(child | given).

        A child that stands in no other term leaves the distribution of everything else as it was.

        Args:
            child: the variable that the table is a distribution of.
            given: its parents, in the order of the table's further axes; may be empty.
            table: shape (states of child, states of given[0], ...), summing to one over axis 0.
            name: as for :meth:`add_factor`; by default written as P(child | given).

        Raises:
            ModelError: a column does not sum to one within 1e-8, besides what :meth:`add_factor` raises.
        """
        parents = () if isinstance(given, list | tuple) and not given else self._members(given, "given")
        require_known((child,), self._node, "child")
        columns = np.asarray(table, dtype=np.float64)
        if columns.ndim == 0 or not np.allclose(columns.sum(axis=0), 1.0, rtol=0.0, atol=1e-8):
            raise ModelError(
                f"table of P({child!r} | ...) must sum to one over axis 0, the states of {child!r}. "
                f"Got sums {np.asarray(columns.sum(axis=0)).tolist()}."
            )
        if name is None:
            condition = f" | {', '.join(map(str, parents))}" if parents else ""
            name = self.unused_factor_name(f"P({child}{condition})", [child, *parents])
        self.add_factor([child, *parents], columns, name=name)

    def add_constant(self, log_factor: float) -> None:
        """Multiply every potential by exp(log_factor): ln Z grows by it and no probability changes.

        It is held as a factor named "constant" over the model's first variable.

        Raises:
            ModelError: the model has no variable, or ``log_factor`` is not a finite number.
        """
        value = finite_number(log_factor, "log_factor")
        if not len(self):
            raise ModelError("A constant needs a variable to be held by. Add a variable first.")
        first = self.variables[0]
        name = self.unused_factor_name("constant", [first])
        self.add_factor([first], log_table=np.full(len(self.domain(first)), value), name=name)

    def add_terms(self, terms: UnitTerms) -> None:
        """Add the units and terms of an energy."""
        for node, units in terms.units.items():
            self.add_variable(node, units, terms.biases[node])
        for (u, v), weight in terms.couplings.items():
            self.add_coupling(u, v, weight)
        for scope, log_table in terms.factors.items():
            self.add_factor(scope, log_table=log_table)
        if terms.constant:
            self.add_constant(terms.constant)

    def _holds(self, key: str, scope: Sequence[Hashable]) -> bool:
        return any(key in self._node[member] for member in scope)

    def _require_mutable(self) -> None:
        if nx.is_frozen(self):
            raise ModelError("This graph is a view and takes no additions. Change a copy of it: model.copy().")

    def _members(self, scope: Any, argument: str) -> tuple[Hashable, ...]:
        """Return a scope as a tuple of known variables; a single variable stands for itself."""
        members = one_or_several(scope, self._node, argument)
        if not members:
            raise ModelError(f"{argument} is empty. Name at least one variable; add_constant multiplies by a number.")
        return members


def recode(model: PotentialGraph, units: str) -> None:
    """Change every two-state variable of a model to other units, in place, and keep the distribution and Z.

    A spin s and a binary x stand for one another by s = 2x − 1. Then b s = 2b x − b,
    w s s' = 4w x x' − 2w x − 2w x' + w and w s x' = 2w x x' − w x', and the other way by x = (s + 1)/2.

    Raises:
        ModelError: ``units`` is neither "binary" nor "spin".
    """
    if units not in ("binary", "spin"):
        raise ModelError(f'units must be "binary" or "spin". Got {units!r}.')
    # old value = scale * new value + shift
    scale, shift = (2.0, -1.0) if units == "binary" else (0.5, 0.5)
    other = "spin" if units == "binary" else "binary"
    nodes, names = model.nodes, model.variables
    moved = {name: None for name in names if model.units(name) == other}  # in order, so that sums keep theirs
    constant = 0.0
    biases = {name: float(model.bias(name)) for name in names if not has_labels(name, nodes[name])}
    for name in moved:
        constant += biases[name] * shift
        biases[name] *= scale
    for first, second, weight in zip(*read_couplings(nodes, model.edges(data="weight")), strict=True):
        u, v, w = names[first], names[second], float(weight)
        scale_u, shift_u = (scale, shift) if u in moved else (1.0, 0.0)
        scale_v, shift_v = (scale, shift) if v in moved else (1.0, 0.0)
        model.edges[u, v]["weight"] = w * scale_u * scale_v
        biases[u] += w * scale_u * shift_v
        biases[v] += w * shift_u * scale_v
        constant += w * shift_u * shift_v
    for name, bias in biases.items():
        nodes[name]["bias"] = bias
        if name in moved:
            nodes[name]["units"] = units
    if constant != 0.0:
        model.add_constant(constant)
