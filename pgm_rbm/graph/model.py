"""GraphModel: a networkx graph whose nodes are variables and whose attributes are the whole model.

A model assigns E(x) = - sum_i b_i x_i - sum_ij w_ij x_i x_j - sum_f ln phi_f(x_f) and p(x) = exp(-E(x)) / Z
(Koller & Friedman, Probabilistic Graphical Models, 2009, section 4.4.1). Nothing of it lives outside the node
and edge attributes, so whatever networkx does to attributes (copy, subgraph, relabel_nodes) it does to the
model.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, overload

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgm_rbm.errors import (
    ImpossibleEvidenceError,
    ModelError,
    UnknownVariableError,
    ValueOutsideDomainError,
)
from pgm_rbm.exact import elimination
from pgm_rbm.graph.structure import DEFAULT_MEMORY_LIMIT, EliminationPlan, Tractability
from pgm_rbm.partition import LogPartition
from symbolic.units import TABLE

__all__ = ["Factor", "GraphModel"]

FloatArray = NDArray[np.float64]

# Couplings are evaluated this many at a time, so that a batch of assignments needs little memory.
_BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class Factor:
    """A table over some of a model's variables.

    Attributes:
        name: what the factor is called.
        scope: the variables that the axes of the table stand for.
        log_table: ln phi, ``-inf`` where the potential is zero. Read-only.
    """

    name: str
    scope: tuple[Hashable, ...]
    log_table: FloatArray

    @property
    def table(self) -> FloatArray:
        """The potentials themselves; those above about 1e308 overflow to infinity."""
        with np.errstate(over="ignore"):
            return np.exp(self.log_table)


@dataclass(frozen=True, eq=False)
class FactorAxis:
    """One variable's share of a factor: kept in the attributes of every node of the scope.

    A factor is part of a model exactly when all its axes are present. Cutting a node away takes the factor
    with it, as it takes an edge; renaming nodes renames the scope.
    """

    name: str
    log_table: FloatArray
    axis: int

    def shares_table(self, other: FactorAxis) -> bool:
        return self.log_table is other.log_table or np.array_equal(self.log_table, other.log_table)


class _Couplings(NamedTuple):
    """Couplings as arrays: positions of both ends among the variables, and the weights."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    weights: FloatArray


class GraphModel(nx.Graph):
    """An undirected graphical model over named variables, as a :class:`networkx.Graph`.

    Nodes carry ``units`` ("binary" with values 0, 1; "spin" with values -1, +1; "categorical" with values
    0..k-1), ``bias`` (a number, or an array of shape (k,) for a categorical variable) and, for categorical
    variables, ``states`` = k. Edges carry ``weight``. Factors sit in the attributes of the nodes of their
    scope, whose members are joined by edges. A node or edge without these attributes is a binary variable
    without bias, or no coupling, so any networkx graph can be read: ``GraphModel(graph)``.

    ``networkx.compose`` follows its own rule, by which the attributes of the second graph replace those of
    the first; :func:`pgm_rbm.compose` multiplies the potentials.

    Example:
        >>> import numpy as np
        >>> from pgm_rbm import GraphModel
        >>> model = GraphModel()
        >>> model.add_variable("rain", bias=-1.0)
        >>> model.add_variable("sprinkler")
        >>> model.add_variable("lawn", units="categorical", states=["dry", "wet"])
        >>> wet = [[0.1, 0.8], [0.9, 0.95]]  # P(wet | rain, sprinkler)
        >>> model.add_conditional("lawn", ["rain", "sprinkler"], [1 - np.array(wet), wet])
        >>> model.query("rain").round(4)
        array([0.7311, 0.2689])
        >>> model.query("rain", evidence={"lawn": 1}).round(4)
        array([0.5694, 0.4306])
        >>> round(float(model.log_partition()), 4)
        1.0064
    """

    # -- building ----------------------------------------------------------------------------------------

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
            units: "binary" (the default), "spin" or "categorical" (the default when ``states`` is given).
            bias: a number, or an array of shape (k,) for a categorical variable. Zero by default.
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
        units = units if units is not None else "binary" if states is None else "categorical"
        attributes: dict[str, Any] = {"units": units}
        if units == "categorical":
            attributes |= _read_states(name, states)
        elif units not in TABLE:
            raise ModelError(f"units of {name!r} must be one of {_known_units()}. Got {units!r}.")
        elif states is not None:
            raise ModelError(
                f"states of {name!r} belong to categorical units. Got units={units!r}; leave states out or "
                'use "categorical".'
            )
        attributes["bias"] = _read_bias(name, units, bias, attributes.get("states", 2))
        self.add_node(name, **attributes)

    def add_coupling(self, u: Hashable, v: Hashable, weight: float) -> None:
        """Couple two variables by the term -weight * x_u * x_v of the energy.

        A second coupling of the same pair adds to the first, as potentials multiply.

        Args:
            u, v: two different variables, neither categorical.
            weight: any finite number.

        Raises:
            UnknownVariableError: a variable is not in the model.
            ModelError: the two are the same, one is categorical, or the weight is not a finite number.
        """
        self._require_mutable()
        self._require_known((u, v), "u and v")
        if u == v:
            raise ModelError(
                f"u and v must differ. Got {u!r} twice; a term in x_u alone is a bias or a factor over [{u!r}]."
            )
        for name in (u, v):
            if self.units(name) == "categorical":
                raise ModelError(
                    f"A coupling needs variables with numbers for values. Got {name!r} with units "
                    f"{self.units(name)!r}; "
                    "use add_factor for a table over it."
                )
        number = _finite_number(weight, f"weight of ({u!r}, {v!r})")
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
        logs = _read_log_table(table if log_table is None else log_table, argument)
        shape = tuple(len(self.domain(member)) for member in scope)
        if logs.shape != shape:
            raise ModelError(
                f"{argument} over {list(scope)!r} must have shape {shape}, an axis for each variable. Got {logs.shape}."
            )
        if name is None:
            name = self.unused_factor_name(f"phi({', '.join(map(str, scope))})", scope)
        elif self._holds(_factor_key(name, scope), scope):
            raise ModelError(f"name {name!r} belongs to another factor over {list(scope)!r}. Choose another name.")
        logs.setflags(write=False)
        key = _factor_key(name, scope)
        for axis, member in enumerate(scope):
            self.nodes[member][key] = FactorAxis(name, logs, axis)
            for other in scope[:axis]:
                if not self.has_edge(member, other):
                    self.add_edge(member, other)

    def unused_factor_name(self, wanted: str, scope: Sequence[Hashable]) -> str:
        """``wanted``, or ``wanted (2)``, ``wanted (3)``, ... if a factor over the same variables has it."""
        name, number = wanted, 1
        while self._holds(_factor_key(name, scope), scope):
            number += 1
            name = f"{wanted} ({number})"
        return name

    def _holds(self, key: str, scope: Sequence[Hashable]) -> bool:
        return any(key in self._node[member] for member in scope)

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
        self._require_known((child,), "child")
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

    # -- reading -----------------------------------------------------------------------------------------

    @property
    def variables(self) -> tuple[Hashable, ...]:
        """The names of the variables, in the order in which they were added."""
        return tuple(self._node)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors whose whole scope is in the graph."""
        holders: dict[str, list[tuple[Hashable, FactorAxis]]] = {}
        for node, attributes in self._node.items():
            for key, value in attributes.items():
                if isinstance(value, FactorAxis):
                    holders.setdefault(key, []).append((node, value))
        return tuple(factor for held in holders.values() for factor in self._assemble(held))

    def _assemble(self, held: list[tuple[Hashable, FactorAxis]]) -> list[Factor]:
        """Factors made of the axes held under one key: one as a rule, several after a disjoint union, none
        when cut."""
        groups: list[list[tuple[Hashable, FactorAxis]]] = []
        for entry in held:
            for group in groups:
                if group[0][1].shares_table(entry[1]):
                    group.append(entry)
                    break
            else:
                groups.append([entry])
        found: list[Factor] = []
        for group in groups:
            pieces = [group]
            if len({part.axis for _, part in group}) < len(group):
                components = nx.connected_components(nx.Graph.subgraph(self, [node for node, _ in group]))
                pieces = [[entry for entry in group if entry[0] in component] for component in components]
            for piece in pieces:
                first = piece[0][1]
                by_axis = {part.axis: node for node, part in piece}
                if len(by_axis) < len(piece):
                    raise ModelError(
                        f"factor {first.name!r} has two variables for one axis among "
                        f"{[n for n, _ in piece]!r}. "
                        "Merging nodes that share a factor needs a new factor over the merged scope."
                    )
                if len(by_axis) == first.log_table.ndim:
                    scope = tuple(by_axis[axis] for axis in range(first.log_table.ndim))
                    found.append(Factor(first.name, scope, first.log_table))
        return found

    def units(self, name: Hashable) -> str:
        """The unit type of a variable: "binary", "spin" or "categorical".

        Raises:
            UnknownVariableError: the model has no such variable.
        """
        self._require_known((name,), "name")
        return str(self._node[name].get("units", "binary"))

    def domain(self, name: Hashable) -> NDArray[np.int64]:
        """The values of a variable, in the order in which tables and marginals list them.

        Returns:
            ``[0, 1]`` for binary, ``[-1, 1]`` for spin, ``[0, ..., k-1]`` for categorical.

        Raises:
            UnknownVariableError: the model has no such variable.
            ModelError: its units have no finite domain, or its states are missing.
        """
        units = self.units(name)
        if units in TABLE:
            return np.array(TABLE[units].states)
        if units == "categorical":
            return np.arange(_read_states(name, self._node[name].get("states"))["states"])
        raise ModelError(
            f"{name!r} has units {units!r}, which have no finite domain. Tables, exact inference and this energy "
            f"need one of {_known_units()}."
        )

    def bias(self, name: Hashable) -> float | FloatArray:
        """The bias of a variable: a number, or an array of shape (k,) for a categorical one."""
        units = self.units(name)
        states = len(self.domain(name)) if units == "categorical" else 2
        return _read_bias(name, units, self._node[name].get("bias"), states)

    def copy(self, as_view: bool = False) -> GraphModel:
        """An independent model of the same class and content, or with ``as_view=True`` a read-only view."""
        copied: GraphModel = super().copy(as_view=as_view)
        return copied

    def recoded(self, units: Literal["binary", "spin"]) -> GraphModel:
        """The same distribution with every two-state variable in other units.

        A spin s and a binary x stand for one another by s = 2x - 1. Then b s = 2b x - b,
        w s s' = 4w x x' - 2w x - 2w x' + w and w s x' = 2w x x' - w x', and the other way by x = (s + 1)/2.
        The constants are kept, as a factor over the first variable, so that Z is the same number. Tables keep
        their order, since -1 becomes 0 and +1 becomes 1.

        Args:
            units: "binary" or "spin"; categorical variables stay as they are.

        Returns:
            A new model with the same variables and the same Z.

        Raises:
            ModelError: ``units`` is neither.
        """
        if units not in ("binary", "spin"):
            raise ModelError(f'units must be "binary" or "spin". Got {units!r}.')
        # old value = scale * new value + shift
        scale, shift = (2.0, -1.0) if units == "binary" else (0.5, 0.5)
        model = GraphModel(self)
        other = "spin" if units == "binary" else "binary"
        moved = {name for name in self if self.units(name) == other}
        constant = 0.0
        biases = {name: float(self.bias(name)) for name in self if self.units(name) != "categorical"}
        for name in moved:
            constant += biases[name] * shift
            biases[name] *= scale
        names = self.variables
        for first, second, weight in zip(*self._couplings(), strict=True):
            u, v, w = names[first], names[second], float(weight)
            scale_u, shift_u = (scale, shift) if u in moved else (1.0, 0.0)
            scale_v, shift_v = (scale, shift) if v in moved else (1.0, 0.0)
            model.edges[u, v]["weight"] = w * scale_u * scale_v
            biases[u] += w * scale_u * shift_v
            biases[v] += w * shift_u * scale_v
            constant += w * shift_u * shift_v
        for name, bias in biases.items():
            model.nodes[name]["bias"] = bias
            if name in moved:
                model.nodes[name]["units"] = units
        if constant != 0.0:
            model.add_constant(constant)
        return model

    def add_constant(self, log_factor: float) -> None:
        """Multiply every potential by exp(log_factor): ln Z grows by it and no probability changes.

        It is held as a factor named "constant" over the model's first variable.

        Raises:
            ModelError: the model has no variable, or ``log_factor`` is not a finite number.
        """
        value = _finite_number(log_factor, "log_factor")
        if not len(self):
            raise ModelError("A constant needs a variable to be held by. Add a variable first.")
        first = self.variables[0]
        name = self.unused_factor_name("constant", [first])
        self.add_factor([first], log_table=np.full(len(self.domain(first)), value), name=name)

    # -- the numbers -------------------------------------------------------------------------------------

    def energy(self, assignment: Mapping[Hashable, ArrayLike] | ArrayLike) -> float | FloatArray:
        """E(x) = - sum_i b_i x_i - sum_ij w_ij x_i x_j - sum_f ln phi_f(x_f).

        Args:
            assignment: variable -> value for every variable, where values may be arrays that broadcast
                together; or an array of shape (..., number of variables) with columns in the order of
                :attr:`variables`.

        Returns:
            A float for one assignment, else an array with one energy for each; ``inf`` where a potential is
            zero.

        Raises:
            UnknownVariableError: a variable is missing or foreign.
            ValueOutsideDomainError: a value is not in its variable's domain.
        """
        columns, batch = self._columns(assignment)
        indices = [self._state_indices(name, column) for name, column in zip(self.variables, columns, strict=True)]
        total = np.zeros(batch)
        numbers = []
        for name, index in zip(self.variables, indices, strict=True):
            if self.units(name) != "categorical":
                values = self.domain(name)[index].astype(np.float64)
                numbers.append(values)
                total -= float(self.bias(name)) * values
            else:
                numbers.append(np.zeros(batch))
                total -= np.asarray(self.bias(name))[index]
        couplings = self._couplings()
        stacked = np.stack(numbers, axis=-1) if numbers else np.zeros((*batch, 0))
        for start in range(0, len(couplings.weights), _BLOCK):
            first, second, weights = (part[start : start + _BLOCK] for part in couplings)
            total -= (stacked[..., first] * stacked[..., second]) @ weights
        position = {name: place for place, name in enumerate(self.variables)}
        for factor in self.factors:
            total -= factor.log_table[tuple(indices[position[name]] for name in factor.scope)]
        return total if batch else float(total)

    def log_partition(
        self,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
    ) -> LogPartition:
        """ln Z, exact, by variable elimination in logs.

        Args:
            evidence: variable -> observed value. The sum then runs over the assignments that agree with it,
                so that ``log_partition(evidence).value - log_partition().value`` is the log-probability of
                the evidence.
            memory_limit: bytes the largest step may hold.

        Returns:
            ln Z with the method that found it; ``float`` gives the number, in nats.

        Raises:
            IntractableError: the graph is too dense for ``memory_limit``; raised before any table is
                computed.
            UnknownVariableError, ValueOutsideDomainError: the evidence does not fit the model.
            ImpossibleEvidenceError: no assignment that agrees with the evidence has a positive potential.
        """
        observed = self._evidence(evidence)
        cardinalities = self._cardinalities(observed)
        chosen = self._plan(observed, cardinalities, (), memory_limit)
        tables = elimination.condition(self.log_tables(), observed)
        value = elimination.log_partition(tables, cardinalities, memory_limit=memory_limit, chosen=chosen)
        if value == -math.inf:
            raise _impossible(evidence)
        return LogPartition(value, "elimination")

    @overload
    def query(
        self,
        variables: Hashable | Sequence[Hashable],
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        joint: Literal[True],
        memory_limit: int = ...,
    ) -> FloatArray: ...

    @overload
    def query(
        self,
        variables: Hashable | Sequence[Hashable],
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        joint: Literal[False] = ...,
        memory_limit: int = ...,
    ) -> Any: ...

    def query(
        self,
        variables: Hashable | Sequence[Hashable],
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        joint: bool = False,
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
    ) -> Any:
        """Normalised marginals given evidence, exact, by variable elimination in logs.

        Args:
            variables: a variable, or a list of variables. An observed one has probability one at its value.
            evidence: variable -> observed value.
            joint: return one table over all the variables instead of a marginal for each.
            memory_limit: bytes the largest step may hold.

        Returns:
            For one variable, an array over its domain in the order of :meth:`domain`. For several, a
            dictionary variable -> such an array; with ``joint=True`` one array with an axis for each
            variable, in the order asked. Each array sums to one.

        Raises:
            IntractableError: the graph is too dense for ``memory_limit``; raised before any table is
                computed.
            UnknownVariableError, ValueOutsideDomainError: a name or an observed value does not fit the model.
            ImpossibleEvidenceError: the evidence has probability zero.
        """
        names = self._names(variables)
        observed = self._evidence(evidence)
        cardinalities = self._cardinalities(observed)
        free = [name for name in names if name not in observed]
        chosen = self._plan(observed, cardinalities, free if joint or len(free) < 2 else (), memory_limit)
        tables = elimination.condition(self.log_tables(), observed)
        if joint or len(free) < 2:
            logs = elimination.log_marginal(tables, cardinalities, free, memory_limit=memory_limit, chosen=chosen)
            table = _normalised(logs, evidence)
            if joint or names == free:
                return self._with_observed(table, names, observed)
            found = dict.fromkeys(free, table)
        else:
            marginals = elimination.log_marginals(tables, cardinalities, free, memory_limit=memory_limit, chosen=chosen)
            found = {name: _normalised(marginals[name], evidence) for name in free}
        arrays = {
            name: self._with_observed(np.ones(()), [name], observed) if name in observed else found[name]
            for name in names
        }
        return arrays[names[0]] if len(names) == 1 else arrays

    def tractability(
        self,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: int = DEFAULT_MEMORY_LIMIT,
    ) -> Tractability:
        """What ln Z would cost here; nothing is computed but an elimination order.

        Args:
            evidence: observed variables, which leave the graph.
            memory_limit: bytes an exact method may hold.

        Returns:
            A report that prints as a summary in words.
        """
        observed = self._evidence(evidence)
        cardinalities = self._cardinalities(observed)
        scopes = self._scopes(observed)
        chosen = elimination.plan(scopes, cardinalities)
        graph = nx.Graph()
        graph.add_nodes_from(cardinalities)
        for scope in scopes:
            nx.add_path(graph, scope)
        return Tractability(
            method="elimination" if chosen.complete and chosen.memory <= memory_limit else "sampling",
            order=chosen.order,
            induced_width=chosen.induced_width,
            operations=chosen.operations,
            memory=chosen.memory,
            memory_limit=memory_limit,
            largest_table=chosen.largest_table,
            variables=len(cardinalities),
            parts=nx.number_connected_components(graph),
            heuristic=chosen.heuristic,
            complete=chosen.complete,
        )

    # -- the model as tables -----------------------------------------------------------------------------

    def _couplings(self) -> _Couplings:
        """The couplings that are not zero."""
        position = {name: place for place, name in enumerate(self._node)}
        first, second, weights = [], [], []
        for u, v, weight in self.edges(data="weight"):
            if weight is None:
                continue
            number = _finite_number(weight, f"weight of edge ({u!r}, {v!r})")
            if number == 0.0:
                continue
            for name in (u, v):
                if self.units(name) == "categorical":
                    raise ModelError(
                        f"Edge ({u!r}, {v!r}) has a weight, but {name!r} is categorical. "
                        "Remove the weight and use add_factor."
                    )
            if u == v:
                raise ModelError(f"The graph has a self-loop at {u!r}. Remove it; a term in x_u alone is a bias.")
            first.append(position[u])
            second.append(position[v])
            weights.append(number)
        return _Couplings(np.array(first, np.intp), np.array(second, np.intp), np.array(weights, np.float64))

    def _scopes(self, observed: Mapping[Hashable, int]) -> list[tuple[Hashable, ...]]:
        """What stands in one table together once the evidence is gone, without building a table."""
        names = self.variables
        couplings = self._couplings()
        scopes: list[tuple[Hashable, ...]] = [
            (names[u], names[v]) for u, v in zip(couplings.first.tolist(), couplings.second.tolist(), strict=True)
        ]
        scopes += [factor.scope for factor in self.factors]
        if not observed:
            return scopes
        return [tuple(name for name in scope if name not in observed) for scope in scopes]

    def log_tables(self) -> list[elimination.LogTable]:
        """The model as a product of tables, in logs: exp of their sum at x is exp(-E(x)).

        Returns:
            (scope, log_table) pairs for the biases and couplings that are not zero and for the factors; axes run over
            :meth:`domain`.
        """
        names = self.variables
        domains = [self.domain(name).astype(np.float64) for name in names]
        tables: list[elimination.LogTable] = []
        for name, domain in zip(names, domains, strict=True):
            bias = np.asarray(self.bias(name))
            if bias.any():
                tables.append(((name,), bias * domain if bias.ndim == 0 else bias))
        couplings = self._couplings()
        for u, v, weight in zip(
            couplings.first.tolist(), couplings.second.tolist(), couplings.weights.tolist(), strict=True
        ):
            tables.append(((names[u], names[v]), weight * np.outer(domains[u], domains[v])))
        tables += [(factor.scope, factor.log_table) for factor in self.factors]
        return tables

    def _cardinalities(self, observed: Mapping[Hashable, int]) -> dict[Hashable, int]:
        return {name: len(self.domain(name)) for name in self.variables if name not in observed}

    def _plan(
        self,
        observed: Mapping[Hashable, int],
        cardinalities: Mapping[Hashable, int],
        keep: Sequence[Hashable],
        memory_limit: int,
    ) -> EliminationPlan:
        # Dense models are refused from their scopes alone; their tables may not fit in memory at all.
        return elimination.require_tractable(self._scopes(observed), cardinalities, keep, memory_limit=memory_limit)

    # -- checking what comes in --------------------------------------------------------------------------

    def _require_mutable(self) -> None:
        if nx.is_frozen(self):
            raise ModelError("This graph is a view and takes no additions. Change a copy of it: model.copy().")

    def _require_known(self, names: Iterable[Hashable], argument: str) -> None:
        for name in names:
            if name not in self._node:
                raise UnknownVariableError(
                    f"{argument}: the model has no variable {name!r}. Known are {_listed(self._node)}."
                )

    def _members(self, scope: Any, argument: str) -> tuple[Hashable, ...]:
        """A scope as a tuple of known variables; a single variable stands for itself."""
        if _is_hashable(scope) and scope in self._node:
            return (scope,)
        if isinstance(scope, str) or not isinstance(scope, Iterable):
            self._require_known((scope,), argument)
        members = tuple(scope)
        if not members:
            raise ModelError(f"{argument} is empty. Name at least one variable; add_constant multiplies by a number.")
        self._require_known(members, argument)
        return members

    def _names(self, variables: Any) -> list[Hashable]:
        if _is_hashable(variables) and variables in self:
            return [variables]
        if isinstance(variables, str) or not isinstance(variables, Iterable):
            self._require_known((variables,), "variables")
        names = list(variables)
        if not names:
            raise UnknownVariableError("variables is empty. Name at least one variable.")
        self._require_known(names, "variables")
        if len(set(names)) < len(names):
            raise UnknownVariableError(f"variables must name each variable once. Got {names!r}.")
        return names

    def _evidence(self, evidence: Mapping[Hashable, Any] | None) -> dict[Hashable, int]:
        if evidence is None:
            return {}
        if not isinstance(evidence, Mapping):
            raise TypeError(f"evidence must map variables to values. Got {type(evidence).__name__}.")
        self._require_known(evidence, "evidence")
        observed = {}
        for name, value in evidence.items():
            index = self._state_indices(name, np.asarray(value))
            if index.ndim:
                raise ValueOutsideDomainError(
                    f"evidence for {name!r} must be one value. Got an array of shape {index.shape}."
                )
            observed[name] = int(index)
        return observed

    def _state_indices(self, name: Hashable, values: NDArray[Any]) -> NDArray[np.intp]:
        domain = self.domain(name)
        indices = np.full(values.shape, -1, dtype=np.intp)
        if values.dtype.kind in "biuf":
            # the domain is consecutive or {-1, 1}, and always sorted
            guess = np.clip(np.searchsorted(domain, values), 0, len(domain) - 1)
            indices = np.where(domain[guess] == values, guess, -1)
        if (indices < 0).any():
            wrong = values.reshape(-1)[indices.reshape(-1) < 0].tolist()[0]
            allowed = domain.tolist() if len(domain) <= 8 else f"0..{len(domain) - 1}"
            raise ValueOutsideDomainError(
                f"{name!r} has units {self.units(name)!r} and takes the values {allowed}. Got {wrong!r}."
            )
        return indices

    def _columns(
        self, assignment: Mapping[Hashable, ArrayLike] | ArrayLike
    ) -> tuple[list[NDArray[Any]], tuple[int, ...]]:
        if isinstance(assignment, Mapping):
            self._require_known(assignment, "assignment")
            missing = [name for name in self.variables if name not in assignment]
            if missing:
                raise UnknownVariableError(
                    f"assignment must give every variable a value. Got none for {_listed(missing)}."
                )
            columns = np.broadcast_arrays(*(np.asarray(assignment[name]) for name in self.variables))
            return list(columns), columns[0].shape if columns else ()
        values = np.asarray(assignment)
        if values.ndim == 0 or values.shape[-1] != len(self):
            raise UnknownVariableError(
                f"assignment as an array must have a last axis of length {len(self)}, a column for each "
                "variable. "
                f"Got shape {values.shape}."
            )
        return [values[..., column] for column in range(len(self))], values.shape[:-1]

    def _with_observed(
        self, table: FloatArray, names: Sequence[Hashable], observed: Mapping[Hashable, int]
    ) -> FloatArray:
        """Give a table over the free ones among ``names`` an axis for each observed one, all mass at its
        value."""
        if not any(name in observed for name in names):
            return table
        full = np.zeros([len(self.domain(name)) for name in names])
        full[tuple(observed.get(name, slice(None)) for name in names)] = table
        return full


def _known_units() -> str:
    return ", ".join(f'"{units}"' for units in (*TABLE, "categorical"))


def _listed(names: Iterable[Hashable]) -> str:
    names = list(names)
    if not names:
        return "none"
    return ", ".join(repr(name) for name in names[:8]) + (f", ... ({len(names)} in all)" if len(names) > 8 else "")


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _factor_key(name: str, scope: Sequence[Hashable]) -> str:
    """The attribute that holds a factor's axes.

    The scope is part of it so that factors of one name live side by side unless they are over the same variables.
    """
    return f"factor {name} over ({', '.join(map(repr, scope))})"


def _finite_number(value: Any, what: str) -> float:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ModelError(f"{what} must be a finite number. Got {value!r}.")
    return float(value)


def _read_states(name: Hashable, states: Any) -> dict[str, Any]:
    """The attributes ``states`` and, where labels are given, ``labels``."""
    if isinstance(states, Integral) and not isinstance(states, bool) and int(states) >= 1:
        return {"states": int(states)}
    if isinstance(states, Sequence) and not isinstance(states, str) and len(states):
        labels = tuple(states)
        if len(set(labels)) < len(labels):
            raise ModelError(f"states of {name!r} must be labels that differ. Got {list(labels)!r}.")
        return {"states": len(labels), "labels": labels}
    raise ModelError(
        f"states of the categorical variable {name!r} must be a number of states or a sequence of labels. "
        f"Got {states!r}."
    )


def _read_bias(name: Hashable, units: str, bias: Any, states: int) -> float | FloatArray:
    if units != "categorical":
        return 0.0 if bias is None else _finite_number(bias, f"bias of {name!r}")
    if bias is None:
        return np.zeros(states)
    array = np.array(bias, dtype=np.float64)
    if array.shape != (states,) or not np.isfinite(array).all():
        raise ModelError(
            f"bias of the categorical variable {name!r} must be {states} finite numbers. Got {array.tolist()}."
        )
    return array


def _read_log_table(values: Any, argument: str) -> FloatArray:
    try:
        logs = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{argument} must be an array of numbers. Got {values!r}.") from error
    wrong = np.isnan(logs) | (logs == math.inf)
    if argument == "table":
        wrong |= logs < 0.0
        allowed = "zero, or positive and finite"
    else:
        allowed = "finite, or -inf for a potential of zero"
    if wrong.any():
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise ModelError(f"{argument} must hold numbers that are {allowed}. Got {logs[place]} at {place}.")
    if argument == "table":
        with np.errstate(divide="ignore"):
            logs = np.log(logs)
    if not (logs > -math.inf).any():
        raise ModelError(f"{argument} gives every state the potential zero, so the model would have no Z.")
    return logs


def _impossible(evidence: Mapping[Hashable, Any] | None) -> ImpossibleEvidenceError:
    if evidence:
        shown = ", ".join(f"{name!r}: {value!r}" for name, value in list(evidence.items())[:8])
        return ImpossibleEvidenceError(
            f"evidence {{{shown}}} has probability zero in this model. Check the observed values against "
            "the zeros "
            "of its factors."
        )
    return ImpossibleEvidenceError(
        "Every assignment has potential zero, so there is no Z. Check the zeros of the factors against each other."
    )


def _normalised(logs: FloatArray, evidence: Mapping[Hashable, Any] | None) -> FloatArray:
    top = logs.max()
    if top == -math.inf:
        raise _impossible(evidence)
    table = np.exp(logs - top)
    return np.asarray(table / table.sum())
