"""GraphModel: a networkx graph whose nodes are variables and whose attributes are the whole model.

A model assigns E(x) = - sum_i b_i x_i - sum_ij w_ij x_i x_j - sum_f ln phi_f(x_f) and p(x) = mu(x) exp(-E(x)) / Z
(Koller & Friedman, Probabilistic Graphical Models, 2009, section 4.4.1), where mu is the product of what the units
weigh of themselves: 1 for most, a binomial coefficient for "binomial(N)" (see symbolic.units). Nothing of it lives
outside the node and edge attributes, so whatever networkx does to attributes (copy, subgraph, relabel_nodes) it does
to the model.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgm_rbm.errors import (
    ImpossibleEvidenceError,
    ModelError,
    UnknownVariableError,
    ValueOutsideDomainError,
)
from pgm_rbm.exact.elimination import run
from pgm_rbm.exact.elimination.run import Elimination
from pgm_rbm.exact.enumeration.shards import Progress, showing
from pgm_rbm.exact.tractability import Tractability
from pgm_rbm.graph import choice
from pgm_rbm.machine.budget import Budget
from pgm_rbm.model.variables import (
    CATEGORICAL,
    Kind,
    canonical,
    finite_number,
    has_labels,
    kind_of,
    read_bias,
    read_states,
)
from pgm_rbm.partition.result import LogPartition

if TYPE_CHECKING:
    from symbolic import Energy

__all__ = ["Factor", "GraphModel", "MostProbableAssignment"]

FloatArray = NDArray[np.float64]

# Couplings are evaluated this many at a time, so that a batch of assignments needs little memory.
_BLOCK = 65_536

# What all terms of an energy may add up to, some factors of two short of the largest float64.
_LARGEST = 1e307


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


@dataclass(frozen=True)
class MostProbableAssignment:
    """The most probable configuration of a model, given what is observed.

    Attributes:
        assignment: variable -> value, for every variable of the model, in its order.
        log_probability: ln p of the variables that were not observed, given those that were, in nats.
        energy: E of the assignment.
    """

    assignment: dict[Hashable, Any]
    log_probability: float
    energy: float

    def __getitem__(self, name: Hashable) -> Any:
        return self.assignment[name]


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

    Nodes carry ``units``, by a name of the table of units ("binary" with values 0, 1; "spin" with -1, +1;
    "{-1, 0, 1}", "integer(N)", "binomial(N)", ...; "potts(k)" with the labels 0..k-1) or "categorical", whose number of
    labels k stands in ``states``; and ``bias``, a number, or an array of shape (k,) where the values are labels. Edges
    carry ``weight``. Factors sit in the attributes of the nodes of their scope, whose members are joined by edges. A
    node or edge without these attributes is a binary variable without bias, or no coupling, so any networkx graph can
    be read: ``GraphModel(graph)``.

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

    def __init__(self, incoming_graph_data: Any = None, **attr: Any) -> None:
        graph = incoming_graph_data
        if isinstance(graph, nx.Graph) and (graph.is_directed() or graph.is_multigraph()):
            raise ModelError(
                f"A model is an undirected graph without parallel edges. Got a {type(graph).__name__}; convert it with "
                "networkx.Graph(graph), which keeps one of the edges between two nodes."
            )
        super().__init__(graph, **attr)

    @classmethod
    def from_energy(
        cls,
        energy: Energy,
        parameters: Mapping[str, ArrayLike],
        sizes: Mapping[str, int],
        given: Mapping[str, ArrayLike] | None = None,
    ) -> GraphModel:
        """The model of any energy whose units have finitely many values, whatever its terms tie together.

        Args:
            energy: a `symbolic.Energy`.
            parameters: an array for each of its parameters.
            sizes: the number of units of every layer.
            given: for layers whose states are known, these states, of shape (units,). They are no variables.

        Returns:
            A graph whose variables are called ("v", 0) for unit 0 of layer v. A number times one unit is a bias, times
            two a weight; every other term is a factor.

        Raises:
            NoFiniteDomainError: the values of a layer cannot be listed.
            ModelError: a term takes a function of a sum over units, the terms are too many, or an array or a size is
                missing or does not fit.

        Example:
            >>> import numpy as np
            >>> from pgm_rbm import GraphModel
            >>> from symbolic import Energy
            >>> ring = Energy.parse("-sum(J[i,j]*v[i]*v[j], i, j)/2", visible={"v": "spin"})
            >>> J = np.roll(np.eye(6), 1, axis=0)
            >>> model = GraphModel.from_energy(ring, {"J": J + J.T}, {"v": 6})
            >>> round(float(model.log_partition()), 6)
            6.93983
        """
        from pgm_rbm.exact.elimination import of_energy

        model = cls()
        of_energy.fill(model, energy, parameters, sizes, given or {})
        return model

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
        """Couple two variables by the term -weight * x_u * x_v of the energy.

        A second coupling of the same pair adds to the first, as potentials multiply.

        Args:
            u, v: two different variables whose values are numbers.
            weight: any finite number.

        Raises:
            UnknownVariableError: a variable is not in the model.
            ModelError: the two are the same, the values of one are labels, or the weight is not a finite number.
        """
        self._require_mutable()
        self._require_known((u, v), "u and v")
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
        """The unit type of a variable, such as "binary", "spin", "binomial(3)" or "categorical".

        Raises:
            UnknownVariableError: the model has no such variable.
        """
        self._require_known((name,), "name")
        return str(self._node[name].get("units", "binary"))

    def _kind(self, name: Hashable) -> Kind:
        self._require_known((name,), "name")
        return kind_of(name, self._node[name])

    def domain(self, name: Hashable) -> NDArray[Any]:
        """The values of a variable, in the order in which tables and marginals list them. Read-only.

        Returns:
            Such as ``[0, 1]`` for binary, ``[-1, 1]`` for spin, ``[0, ..., k-1]`` for labels; of type int64, or float64
            where some are no whole numbers.

        Raises:
            UnknownVariableError: the model has no such variable.
            NoFiniteDomainError: its values cannot be listed.
            ModelError: there are no such units, or the number of states is missing.
        """
        return self._kind(name).domain

    def bias(self, name: Hashable) -> float | FloatArray:
        """The bias of a variable: a number, or an array of shape (k,) where its values are labels."""
        self._require_known((name,), "name")
        return read_bias(name, self._node[name], self._node[name].get("bias"))

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
            units: "binary" or "spin"; variables of other units stay as they are.

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
        biases = {name: float(self.bias(name)) for name in self if not has_labels(name, self._node[name])}
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
        value = finite_number(log_factor, "log_factor")
        if not len(self):
            raise ModelError("A constant needs a variable to be held by. Add a variable first.")
        first = self.variables[0]
        name = self.unused_factor_name("constant", [first])
        self.add_factor([first], log_table=np.full(len(self.domain(first)), value), name=name)

    # -- the numbers -------------------------------------------------------------------------------------

    def energy(self, assignment: Mapping[Hashable, ArrayLike] | ArrayLike) -> float | FloatArray:
        """E(x) = - sum_i b_i x_i - sum_ij w_ij x_i x_j - sum_f ln phi_f(x_f).

        What units weigh of themselves stands beside it: p(x) = mu(x) exp(-E(x)) / Z.

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
            kind = self._kind(name)
            if kind.labels:
                numbers.append(np.zeros(batch))
                total -= np.asarray(self.bias(name))[index]
            else:
                values = kind.domain[index].astype(np.float64)
                numbers.append(values)
                total -= float(self.bias(name)) * values
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
        method: str = "auto",
        memory_limit: float | None = None,
        time_limit: float | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> LogPartition:
        """ln Z, exact: by variable elimination, or by enumerating one side of a bipartite graph.

        Args:
            evidence: variable -> observed value. The sum then runs over the assignments that agree with it, so that
                ``log_partition(evidence) - log_partition()`` is the log-probability of the evidence.
            method: ``"elimination"``; ``"enumeration"`` of one side where the model has two layers, else of all
                variables at once; or ``"auto"``, which takes what :meth:`tractability` says.
            memory_limit: bytes that may be held; 2^30 by default.
            time_limit: seconds that it may be expected to take; 600 by default.
            threads: how many threads an enumeration uses, all by default; an elimination runs on one. The result does
                not depend on it.
            progress: called with (work done, work in all) as it goes on, or True for a bar with the time left on
                standard error.

        Returns:
            ln Z in nats, a number that knows the method it was found by.

        Raises:
            IntractableError, EnumerationLimitError: the model is too dense for a limit; raised before any table is
                computed. The error tells memory and time, how to raise the limit, and what to do instead.
            UnknownVariableError, ValueOutsideDomainError: the evidence does not fit the model.
            ImpossibleEvidenceError: no assignment that agrees with the evidence has a positive potential.
            ModelError: an attribute is not valid, or the energies overflow float64.
            ValueError: there is no such method, or a limit is no positive number.

        Example:
            >>> import networkx as nx
            >>> from pgm_rbm import GraphModel
            >>> ising = GraphModel(nx.grid_2d_graph(4, 4, periodic=True))
            >>> nx.set_node_attributes(ising, "spin", "units")
            >>> nx.set_edge_attributes(ising, 0.2, "weight")
            >>> print(f"{ising.log_partition():.6f}")
            11.771470
        """
        observed, limits = self._evidence(evidence), Budget.of(memory_limit=memory_limit, time_limit=time_limit)
        with showing(progress, "ln Z") as shown:
            found = choice.log_partition(self, observed, method, limits, threads=threads, progress=shown)
        if found == -math.inf:
            raise _impossible(evidence)
        return found

    @overload
    def query(
        self,
        variables: Hashable | Sequence[Hashable],
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        joint: Literal[True],
        memory_limit: float | None = ...,
        time_limit: float | None = ...,
        progress: bool | Progress | None = ...,
    ) -> FloatArray: ...

    @overload
    def query(
        self,
        variables: Hashable | Sequence[Hashable],
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        joint: Literal[False] = ...,
        memory_limit: float | None = ...,
        time_limit: float | None = ...,
        progress: bool | Progress | None = ...,
    ) -> Any: ...

    def query(
        self,
        variables: Hashable | Sequence[Hashable],
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        joint: bool = False,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        progress: bool | Progress | None = None,
    ) -> Any:
        """Normalised marginals of some variables given evidence, exact.

        Args:
            variables: a variable, or a list of variables. An observed one has probability one at its value.
            evidence: variable -> observed value.
            joint: return one table over all the variables instead of a marginal for each.
            memory_limit, time_limit, progress: as for :meth:`log_partition`.

        Returns:
            For one variable, an array over its domain in the order of :meth:`domain`. For several, a
            dictionary variable -> such an array; with ``joint=True`` one array with an axis for each
            variable, in the order asked. Each array sums to one.

        Raises:
            IntractableError, UnknownVariableError, ValueOutsideDomainError, ImpossibleEvidenceError: as for
                :meth:`log_partition`.
        """
        names = self._names(variables)
        observed, limits = self._evidence(evidence), Budget.of(memory_limit=memory_limit, time_limit=time_limit)
        free = [name for name in names if name not in observed]
        if joint or len(free) < 2:
            with showing(progress, "marginals") as shown:
                table = self._joint_marginal(free, observed, evidence, limits, shown)
            if joint or names == free:
                return self._with_observed(table, names, observed)
            found: dict[tuple[Hashable, ...], FloatArray] = {(name,): table for name in free}
        else:
            with showing(progress, "marginals") as shown:
                _, found = self._beliefs([(name,) for name in free], observed, evidence, limits, shown)
        arrays = {
            name: self._with_observed(np.ones(()) if name in observed else found[name,], [name], observed)
            for name in names
        }
        return arrays[names[0]] if len(names) == 1 else arrays

    def marginals(
        self,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        progress: bool | Progress | None = None,
    ) -> dict[Hashable, FloatArray]:
        """The marginal of every variable given evidence, exact, in about four times what ln Z takes.

        Args:
            evidence: variable -> observed value. An observed variable has probability one at its value.
            memory_limit, time_limit, progress: as for :meth:`log_partition`.

        Returns:
            Variable -> array over its domain, in the order of :meth:`domain`, that sums to one.

        Raises:
            IntractableError, UnknownVariableError, ValueOutsideDomainError, ImpossibleEvidenceError: as for
                :meth:`log_partition`.

        Example:
            >>> from pgm_rbm import GraphModel
            >>> model = GraphModel()
            >>> for name in "abc":
            ...     model.add_variable(name, "spin", bias=0.1)
            >>> model.add_coupling("a", "b", 0.5)
            >>> model.add_coupling("b", "c", 0.5)
            >>> model.marginals({"a": 1})["c"].round(4)
            array([0.3303, 0.6697])
        """
        observed, limits = self._evidence(evidence), Budget.of(memory_limit=memory_limit, time_limit=time_limit)
        wanted = [(name,) for name in self.variables if name not in observed]
        with showing(progress, "marginals") as shown:
            _, found = self._beliefs(wanted, observed, evidence, limits, shown)
        return {
            name: self._with_observed(np.ones(()) if name in observed else found[name,], [name], observed)
            for name in self.variables
        }

    def pair_marginals(
        self,
        pairs: Iterable[tuple[Hashable, Hashable]] | None = None,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        progress: bool | Progress | None = None,
    ) -> dict[tuple[Hashable, Hashable], FloatArray]:
        """The joint marginals of pairs of variables given evidence, exact, in about four times what ln Z takes.

        Args:
            pairs: any pairs of variables; by default those with a coupling that is not zero or with a factor in
                common. Pairs that have neither are summed as if they had, which may cost more.
            evidence: variable -> observed value. An observed variable has probability one at its value.
            memory_limit, time_limit, progress: as for :meth:`log_partition`.

        Returns:
            (u, v) -> array of shape (states of u, states of v), in the order of :meth:`domain`, that sums to one.

        Raises:
            IntractableError, UnknownVariableError, ValueOutsideDomainError, ImpossibleEvidenceError: as for
                :meth:`log_partition`.

        Example:
            >>> from pgm_rbm import GraphModel
            >>> model = GraphModel()
            >>> model.add_variable("a", "spin")
            >>> model.add_variable("b", "spin")
            >>> model.add_coupling("a", "b", 0.5)
            >>> model.pair_marginals()["a", "b"].round(4)
            array([[0.3655, 0.1345],
                   [0.1345, 0.3655]])
        """
        observed, limits = self._evidence(evidence), Budget.of(memory_limit=memory_limit, time_limit=time_limit)
        asked = self._coupled_pairs() if pairs is None else [self._pair(pair) for pair in pairs]
        free = {pair: tuple(name for name in pair if name not in observed) for pair in asked}
        wanted = dict.fromkeys(names for names in free.values() if names)
        with showing(progress, "pairs") as shown:
            _, found = self._beliefs(list(wanted), observed, evidence, limits, shown)
        return {
            pair: self._with_observed(found[names] if names else np.ones(()), pair, observed)
            for pair, names in free.items()
        }

    def entropy(
        self,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        progress: bool | Progress | None = None,
    ) -> float:
        """The entropy - sum_x p(x) ln p(x) = ln Z + <E> in nats, exact, of what is not observed given what is.

        It is a difference of numbers of the size of ln Z, and its rounding error is about 1e-16 of theirs.

        Args:
            evidence: variable -> observed value.
            memory_limit, time_limit, progress: as for :meth:`log_partition`.

        Raises:
            IntractableError, UnknownVariableError, ValueOutsideDomainError, ImpossibleEvidenceError: as for
                :meth:`log_partition`.

        Example:
            >>> from math import log
            >>> from pgm_rbm import GraphModel
            >>> coins = GraphModel()
            >>> for name in range(3):
            ...     coins.add_variable(name)
            >>> round(coins.entropy() / log(2), 12)
            3.0
        """
        observed, limits = self._evidence(evidence), Budget.of(memory_limit=memory_limit, time_limit=time_limit)
        with showing(progress, "entropy") as shown, self._possible(evidence):
            eliminated, tables, cardinalities = self._prepared("marginals", observed, limits)
            wanted = list(dict.fromkeys(scope for scope, _ in tables if scope))
            log_z, found = run.marginals(
                tables, cardinalities, wanted, eliminated.plan, eliminated.segment, progress=shown
            )
        terms = [log_z]
        for scope, logs in tables:
            belief = found[scope] if scope else np.ones(())
            terms.append(-float((belief * np.where(belief > 0.0, logs, 0.0)).sum()))
        return max(0.0, math.fsum(terms))

    def most_probable(
        self,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        progress: bool | Progress | None = None,
    ) -> MostProbableAssignment:
        """The most probable configuration given evidence (the MAP assignment), exact, by max-product elimination.

        Of several equally probable ones it is always the same: along the elimination order from its end, each variable
        takes the first of its best values.

        Args:
            evidence: variable -> observed value.
            memory_limit, time_limit, progress: as for :meth:`log_partition`.

        Returns:
            The assignment with its log-probability and its energy.

        Raises:
            IntractableError, UnknownVariableError, ValueOutsideDomainError, ImpossibleEvidenceError: as for
                :meth:`log_partition`.

        Example:
            >>> from pgm_rbm import GraphModel
            >>> model = GraphModel()
            >>> model.add_variable("a", bias=-1.0)
            >>> model.add_variable("b", bias=-1.0)
            >>> model.add_coupling("a", "b", 3.0)
            >>> best = model.most_probable()
            >>> best.assignment, round(best.log_probability, 4)
            ({'a': 1, 'b': 1}, -0.4938)
        """
        observed, limits = self._evidence(evidence), Budget.of(memory_limit=memory_limit, time_limit=time_limit)
        with showing(progress, "most probable") as shown, self._possible(evidence):
            eliminated, tables, cardinalities = self._prepared("most probable", observed, limits)
            plan, search = eliminated.plan, eliminated.operations - eliminated.plan.operations
            log_z = run.log_partition(tables, cardinalities, plan, progress=_stretch(shown, 0, search))
            if log_z == -math.inf:
                raise run.Contradiction
            states = run.most_probable(
                tables, cardinalities, plan, eliminated.segment, progress=_stretch(shown, plan.operations, 0)
            )
        states |= observed
        assignment = {name: self.domain(name)[states[name]].item() for name in self.variables}
        energy = float(self.energy(assignment)) if assignment else 0.0
        log_weight = self._log_measure(states) - energy
        return MostProbableAssignment(assignment, min(0.0, log_weight - log_z), energy)

    def sample(
        self,
        n: int,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        method: str = "exact",
        steps: int | None = None,
        seed: int | None = None,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> NDArray[Any]:
        """Independent samples from p(x | evidence): its own, by elimination, or nearly so, by Gibbs chains.

        Row t depends on the model, the evidence, the seed and t alone, and with Gibbs chains on their steps, so more
        rows are the same rows and more.

        Args:
            n: how many.
            evidence: variable -> observed value, which every sample has.
            method: ``"exact"`` for samples from the distribution itself, drawn by elimination: no chain, no burn-in;
                ``"gibbs"`` for the last states of n independent chains, which start from values drawn uniformly. How
                near these are depends on the model and on ``steps``; what they cost does not depend on the treewidth.
            steps: sweeps that each Gibbs chain makes; 1000 by default. A sweep draws every variable once given all
                others, one colour of a colouring of the graph after another.
            seed: a whole number of 64 bits; None for a fresh one.
            memory_limit, time_limit: as for :meth:`log_partition`, for the exact method.
            threads: how many threads Gibbs chains use, all by default; the samples do not depend on it.
            progress: as for :meth:`log_partition`.

        Returns:
            Values, shape (n, number of variables), with columns in the order of :attr:`variables`, as
            :meth:`energy` takes them: int64, or float64 where some domain holds other numbers than whole ones.

        Raises:
            IntractableError, UnknownVariableError, ValueOutsideDomainError, ImpossibleEvidenceError: as for
                :meth:`log_partition`.
            ModelError: Gibbs chains are asked for and a potential is zero, which they may never get past.
            ValueError: ``n`` or ``steps`` is not a positive whole number, steps are asked of the exact method, or the
                seed does not fit 64 bits.
            TypeError: the seed is not a whole number.

        Example:
            >>> from pgm_rbm import GraphModel
            >>> model = GraphModel()
            >>> model.add_variable("a", bias=1.0)
            >>> model.add_variable("b", "spin")
            >>> model.add_coupling("a", "b", 2.0)
            >>> samples = model.sample(10_000, seed=0)
            >>> samples.shape, bool(abs(samples[:, 0].mean() - model.query("a")[1]) < 0.02)
            ((10000, 2), True)
        """
        from pgm_rbm.graph import gibbs
        from pgm_rbm.machine.streams import Purpose, generator, resolve_seed

        if method not in ("exact", "gibbs"):
            raise ValueError(f"method must be 'exact' or 'gibbs'. Got {method!r}.")
        if method == "exact" and steps is not None:
            raise ValueError(f"steps are made by Gibbs chains: leave them out, or use method='gibbs'. Got {steps!r}.")
        count = _whole("n", n, 1, "samples")
        key = resolve_seed(seed)
        observed, limits = self._evidence(evidence), Budget.of(memory_limit=memory_limit, time_limit=time_limit)
        column = {name: place for place, name in enumerate(self.variables)}

        def uniforms(name: Hashable) -> FloatArray:
            return generator(key, Purpose.EXACT, column[name]).random(count)

        with showing(progress, "samples") as shown, self._possible(evidence):
            if method == "gibbs":
                sweeps = _whole("steps", 1000 if steps is None else steps, 0, "sweeps")
                if (zero := self._zero(observed)) is not None:
                    raise ModelError(
                        f"Gibbs chains may never get past the zeros of factor {zero.name!r}. Use method='exact', or "
                        "give its zeros a small potential."
                    )
                tables = run.condition(self.log_tables(), observed)
                cardinalities = self._cardinalities(observed)
                states = gibbs.sample(tables, cardinalities, count, sweeps, key, threads=threads, progress=shown)
            else:
                eliminated, tables, cardinalities = self._prepared("samples", observed, limits, draws=count)
                states = run.sample(
                    tables, cardinalities, count, uniforms, eliminated.plan, eliminated.segment, progress=shown
                )
        drawn = np.empty((count, len(self)), dtype=np.result_type(np.int64, *map(self.domain, self.variables)))
        for name, place in column.items():
            drawn[:, place] = self.domain(name)[observed[name] if name in observed else states.pop(name)]
        return drawn

    def tractability(
        self,
        evidence: Mapping[Hashable, Any] | None = None,
        *,
        memory_limit: float | None = None,
        time_limit: float | None = None,
    ) -> Tractability:
        """What exact inference would cost here, every way, and which way to ln Z ``"auto"`` takes.

        Nothing is computed but an elimination order and, once a process, trials of some tenths of a second that tell
        how fast this machine is.

        Args:
            evidence: observed variables, which leave the graph.
            memory_limit: bytes an exact method may hold; 2^30 by default.
            time_limit: seconds it may be expected to take; 600 by default.

        Returns:
            A report that prints as a summary in words.

        Raises:
            UnknownVariableError, ValueOutsideDomainError: the evidence does not fit the model.
        """
        return choice.report(
            self, self._evidence(evidence), Budget.of(memory_limit=memory_limit, time_limit=time_limit)
        )

    def _elimination(
        self,
        question: run.Question,
        observed: Mapping[Hashable, int],
        limits: Budget,
        *,
        keep: Sequence[Hashable] = (),
        wanted: Sequence[tuple[Hashable, ...]] = (),
        draws: int = 1,
    ) -> Elimination:
        """What an elimination would take, from the scopes alone, as tables of a dense model may not fit in memory."""
        return Elimination.of(
            [*self._scopes(observed), *wanted],
            self._cardinalities(observed),
            keep,
            question=question,
            limits=limits,
            draws=draws,
            spreads=lambda: self._spreads(observed),
        )

    def _instead(self, observed: Mapping[Hashable, int]) -> str:
        """What can be done where exact answers cost too much, besides raising the limits."""
        cut = "observe variables that cut the graph (evidence=...)"
        if self._zero(observed) is not None:
            return cut
        return f'{cut}, or draw approximate samples with sample(n, method="gibbs")'

    def _zero(self, observed: Mapping[Hashable, int]) -> Factor | None:
        """A factor with a potential of zero that the evidence leaves, if there is one."""
        for factor in self.factors:
            ((_, table),) = run.condition([(factor.scope, factor.log_table)], observed)
            if (table == -math.inf).any():
                return factor
        return None

    def _prepared(
        self,
        question: run.Question,
        observed: Mapping[Hashable, int],
        limits: Budget,
        *,
        keep: Sequence[Hashable] = (),
        wanted: Sequence[tuple[Hashable, ...]] = (),
        draws: int = 1,
    ) -> tuple[Elimination, list[run.LogTable], dict[Hashable, int]]:
        """An elimination within the limits, the tables, and every free variable's number of states."""
        eliminated = self._elimination(question, observed, limits, keep=keep, wanted=wanted, draws=draws)
        eliminated.require(self._instead(observed))
        return eliminated, run.condition(self.log_tables(), observed), self._cardinalities(observed)

    def _beliefs(
        self,
        wanted: Sequence[tuple[Hashable, ...]],
        observed: Mapping[Hashable, int],
        evidence: Mapping[Hashable, Any] | None,
        limits: Budget,
        progress: Progress | None,
    ) -> tuple[float, dict[tuple[Hashable, ...], FloatArray]]:
        """ln Z and the marginals over scopes of free variables."""
        linked = [scope for scope in wanted if len(scope) > 1]
        eliminated, tables, cardinalities = self._prepared("marginals", observed, limits, wanted=linked)
        # a pair that stands in no table is given one, so that there is a step at which it meets
        met = {frozenset(pair) for scope, _ in tables for pair in combinations(scope, 2)}
        blank = [
            (scope, np.zeros([cardinalities[name] for name in scope]))
            for scope in linked
            if any(frozenset(pair) not in met for pair in combinations(scope, 2))
        ]
        with self._possible(evidence):
            return run.marginals(
                [*tables, *blank], cardinalities, wanted, eliminated.plan, eliminated.segment, progress=progress
            )

    def _joint_marginal(
        self,
        keep: Sequence[Hashable],
        observed: Mapping[Hashable, int],
        evidence: Mapping[Hashable, Any] | None,
        limits: Budget,
        progress: Progress | None,
    ) -> FloatArray:
        eliminated, tables, cardinalities = self._prepared("ln Z", observed, limits, keep=keep)
        with self._possible(evidence):
            logs = run.log_marginal(tables, cardinalities, keep, eliminated.plan, progress=progress)
        return _normalised(logs, evidence)

    def _coupled_pairs(self) -> list[tuple[Hashable, Hashable]]:
        """Every pair that has a coupling or a factor, once."""
        found: dict[frozenset[Hashable], tuple[Hashable, Hashable]] = {}
        for scope in self._scopes({}):
            for pair in combinations(scope, 2):
                found.setdefault(frozenset(pair), pair)
        return list(found.values())

    def _pair(self, pair: Any) -> tuple[Hashable, Hashable]:
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise UnknownVariableError(f"pairs must hold pairs of variables. Got {pair!r}.")
        self._require_known(pair, "pairs")
        if pair[0] == pair[1]:
            raise UnknownVariableError(f"pairs must be of two different variables. Got {pair!r}.")
        return pair[0], pair[1]

    # -- the model as tables -----------------------------------------------------------------------------

    def _couplings(self) -> _Couplings:
        """The couplings that are not zero."""
        position = {name: place for place, name in enumerate(self._node)}
        first, second, weights = [], [], []
        for u, v, weight in self.edges(data="weight"):
            if weight is None:
                continue
            number = finite_number(weight, f"weight of edge ({u!r}, {v!r})")
            if number == 0.0:
                continue
            for name in (u, v):
                if has_labels(name, self._node[name]):
                    raise ModelError(
                        f"Edge ({u!r}, {v!r}) has a weight, but the values of {name!r} are labels (units "
                        f"{self.units(name)!r}). Remove the weight and use add_factor."
                    )
            if u == v:
                raise ModelError(f"The graph has a self-loop at {u!r}. Remove it; a term in x_u alone is a bias.")
            first.append(position[u])
            second.append(position[v])
            weights.append(number)
        return _Couplings(np.array(first, np.intp), np.array(second, np.intp), np.array(weights, np.float64))

    def _scopes(self, observed: Mapping[Hashable, int]) -> list[tuple[Hashable, ...]]:
        """What stands in one table together once the evidence is gone, without building a table."""
        scopes = self._interactions()
        if not observed:
            return scopes
        return [tuple(name for name in scope if name not in observed) for scope in scopes]

    def _interactions(self) -> list[tuple[Hashable, ...]]:
        """The variables of each coupling that is not zero and of each factor."""
        names = self.variables
        couplings = self._couplings()
        pairs = zip(couplings.first.tolist(), couplings.second.tolist(), strict=True)
        return [*((names[u], names[v]) for u, v in pairs), *(factor.scope for factor in self.factors)]

    def _extremes(self, observed: Mapping[Hashable, int]) -> tuple[FloatArray, FloatArray]:
        """The lowest and the highest value of every variable, which the evidence leaves one of; 0 for labels."""
        kinds = [self._kind(name) for name in self.variables]
        ends = [
            (0.0, 0.0)
            if kind.labels
            else 2 * (kind.values[observed[name]],)
            if name in observed
            else (kind.values[0], kind.values[-1])
            for name, kind in zip(self.variables, kinds, strict=True)
        ]
        low, high = np.array(ends).reshape(-1, 2).T
        return low, high

    def _spreads(self, observed: Mapping[Hashable, int]) -> Iterator[run.Spread]:
        """How far the logarithms of each table range, once the evidence is gone."""
        low, high = self._extremes(observed)
        names, couplings = self.variables, self._couplings()
        for name, width in zip(names, (high - low).tolist(), strict=True):
            if name not in observed:
                bias, kind = np.asarray(self.bias(name)), self._kind(name)
                own = float(np.ptp(bias)) if bias.ndim else abs(float(bias)) * width
                yield (name,), own + (float(np.ptp(kind.log_measure)) if kind.log_measure else 0.0)
        corners = [x[couplings.first] * y[couplings.second] for x in (low, high) for y in (low, high)]
        reach = np.abs(couplings.weights) * np.ptp(np.reshape(corners, (4, -1)), axis=0)
        for u, v, spread in zip(couplings.first.tolist(), couplings.second.tolist(), reach.tolist(), strict=True):
            yield tuple(name for name in (names[u], names[v]) if name not in observed), spread
        for factor in self.factors:
            ((scope, table),) = run.condition([(factor.scope, factor.log_table)], observed)
            finite = table[table > -math.inf]
            yield scope, float(np.ptp(finite)) if finite.size else 0.0

    def _require_representable(self) -> None:
        """Refuse what would be a sum of infinities: terms of E that add up to more than a float64 holds."""
        low, high = self._extremes({})
        largest, couplings = np.maximum(np.abs(low), np.abs(high)), self._couplings()
        with np.errstate(over="ignore"):
            total = float((np.abs(couplings.weights) * largest[couplings.first] * largest[couplings.second]).sum())
            for name, size in zip(self.variables, largest.tolist(), strict=True):
                bias = np.asarray(self.bias(name))
                total += float(np.abs(bias).max()) if bias.ndim else abs(float(bias)) * size
            for factor in self.factors:
                total += float(np.abs(factor.log_table[factor.log_table > -math.inf]).max())
        if not total < _LARGEST:
            raise ModelError(
                f"The biases, weights and factors of the model add up to {total:.2g}, more than a float64 can hold in "
                "sums. Scale them down."
            )

    def log_tables(self) -> list[run.LogTable]:
        """The model as a product of tables, in logs: exp of their sum at x is mu(x) exp(-E(x)).

        Returns:
            (scope, log_table) pairs for what single variables contribute where it is not zero, for the couplings that
            are not zero and for the factors; axes run over :meth:`domain`.

        Raises:
            NoFiniteDomainError, ModelError: values cannot be listed, an attribute is not valid, or energies overflow.
        """
        self._require_representable()
        names = self.variables
        kinds = [self._kind(name) for name in names]
        domains = [kind.domain.astype(np.float64) for kind in kinds]
        tables: list[run.LogTable] = []
        for name, kind, domain in zip(names, kinds, domains, strict=True):
            bias = np.asarray(self.bias(name))
            if bias.any() or kind.log_measure:
                alone = bias if kind.labels else bias * domain
                tables.append(((name,), alone + kind.log_measure if kind.log_measure else alone))
        couplings = self._couplings()
        for u, v, weight in zip(
            couplings.first.tolist(), couplings.second.tolist(), couplings.weights.tolist(), strict=True
        ):
            tables.append(((names[u], names[v]), weight * np.outer(domains[u], domains[v])))
        tables += [(factor.scope, factor.log_table) for factor in self.factors]
        return tables

    def _log_measure(self, states: Mapping[Hashable, int]) -> float:
        """ln mu of one assignment, given as indices into the domains."""
        kinds = {name: self._kind(name) for name in self.variables}
        return math.fsum(kind.log_measure[states[name]] for name, kind in kinds.items() if kind.log_measure)

    def _cardinalities(self, observed: Mapping[Hashable, int]) -> dict[Hashable, int]:
        return {name: len(self.domain(name)) for name in self.variables if name not in observed}

    @contextmanager
    def _possible(self, evidence: Mapping[Hashable, Any] | None) -> Iterator[None]:
        """Turns a contradiction into the error that shows the evidence."""
        try:
            yield
        except run.Contradiction:
            raise _impossible(evidence) from None

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
        kind = self._kind(name)
        domain = kind.domain
        indices = np.full(values.shape, -1, dtype=np.intp)
        if values.dtype.kind in "biuf":
            guess = np.clip(np.searchsorted(domain, values), 0, len(domain) - 1)
            indices = np.where(domain[guess] == values, guess, -1)
        if (indices < 0).any():
            wrong = values.reshape(-1)[indices.reshape(-1) < 0].tolist()[0]
            raise ValueOutsideDomainError(
                f"{name!r} has units {self.units(name)!r} and takes the values {kind.described}. Got {wrong!r}."
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


def _whole(name: str, value: Any, least: int, of: str) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        kind = "positive whole number" if least else "whole number, 0 or more,"
        raise ValueError(f"{name} must be a {kind} of {of}. Got {value!r}.")
    return int(value)


def _stretch(progress: Progress | None, before: int, after: int) -> Progress | None:
    """Reports the progress of one piece of work as that of a longer one."""
    if progress is None:
        return None
    return lambda done, total: progress(before + done, before + total + after)


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
