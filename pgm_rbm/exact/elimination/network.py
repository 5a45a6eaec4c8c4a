"""A model over named variables as elimination reads it: values, biases, couplings and factors, given evidence.

p(x) ∝ μ(x) exp(Σ_i b_i x_i + Σ_ij w_ij x_i x_j + Σ_f ln φ_f(x_f)), where μ is the product of what the units weigh of
themselves. A network is read once from where the model is kept (:func:`read_network` reads the attributes of a graph,
:mod:`~pgm_rbm.exact.elimination.of_arrays` the arrays of an RBM), and every question is asked of it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pgm_rbm.errors import ImpossibleEvidenceError, ModelError, ValueOutsideDomainError
from pgm_rbm.exact.elimination.tables import Contradiction, FloatArray, LogTable
from pgm_rbm.model.variables import Kind, finite_number, has_labels, kind_of, read_bias, require_known

__all__ = [
    "Couplings",
    "Factor",
    "Network",
    "Potential",
    "Spread",
    "Variable",
    "condition",
    "read_couplings",
    "read_log_table",
    "read_network",
]

# Couplings are evaluated this many at a time: a batch of 1,000 assignments then takes 0.5 GiB of products at most.
_BLOCK = 65_536

# What all terms of an energy may add up to, some factors of two short of the largest float64.
_LARGEST = 1e307

Spread = tuple[tuple[Hashable, ...], float]
"""A table's scope, and the largest of its logarithms minus the smallest finite one."""


class Variable(NamedTuple):
    """One variable of a network.

    Attributes:
        units: as the model names them, for messages.
        kind: its values, and what each weighs of itself.
        bias: a number, or an array with an entry per value where the values are labels.
    """

    units: str
    kind: Kind
    bias: float | FloatArray


class Couplings(NamedTuple):
    """Couplings as arrays: positions of both ends among the variables, and the weights."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    weights: FloatArray


class Potential(Protocol):
    """A table over some variables; the table may be computed when it is asked for."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def scope(self) -> tuple[Hashable, ...]:
        """The variables that the axes stand for."""
        ...

    @property
    def log_table(self) -> FloatArray:
        """ln φ, ``-inf`` where the potential is zero."""
        ...


@dataclass(frozen=True, eq=False)
class Factor:
    """A table over some of a model's variables.

    Attributes:
        name: its name.
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
class Network:
    """A model given evidence.

    Attributes:
        variables: every variable of the model by its name, in the model's order.
        couplings: those that are not zero.
        factors: all other potentials.
        observed: the index of the observed value of every variable that is evidence.
    """

    variables: Mapping[Hashable, Variable]
    couplings: Couplings
    factors: Sequence[Potential]
    observed: Mapping[Hashable, int] = field(default_factory=dict)

    # What elimination reads -----------------------------------------------------------------------------

    @cached_property
    def names(self) -> tuple[Hashable, ...]:
        """The names of all variables."""
        return tuple(self.variables)

    @cached_property
    def cardinalities(self) -> dict[Hashable, int]:
        """The number of values of every variable that is not observed."""
        return {
            name: len(variable.kind.values) for name, variable in self.variables.items() if name not in self.observed
        }

    @cached_property
    def scopes(self) -> list[tuple[Hashable, ...]]:
        """The free variables of each coupling and factor; no table is built for them."""
        if not self.observed:
            return self._interactions
        return [tuple(name for name in scope if name not in self.observed) for scope in self._interactions]

    @cached_property
    def _interactions(self) -> list[tuple[Hashable, ...]]:
        names, (first, second, _) = self.names, self.couplings
        pairs = zip(first.tolist(), second.tolist(), strict=True)
        return [*((names[u], names[v]) for u, v in pairs), *(factor.scope for factor in self.factors)]

    @property
    def log_tables(self) -> list[LogTable]:
        """The model without its evidence as a product of tables, in logs: exp of their sum at x is μ(x) exp(−E(x)).

        They are (scope, log_table) pairs for what single variables contribute where it is not zero, for the couplings
        and for the factors.

        Raises:
            ModelError: the terms add up to more than a float64 holds.
        """
        self._require_representable()
        domains = [variable.kind.domain.astype(np.float64) for variable in self.variables.values()]
        tables: list[LogTable] = []
        for (name, (_, kind, given)), domain in zip(self.variables.items(), domains, strict=True):
            bias = np.asarray(given)
            if bias.any() or kind.log_measure:
                alone = bias if kind.labels else bias * domain
                tables.append(((name,), alone + kind.log_measure if kind.log_measure else alone))
        names = self.names
        for u, v, weight in zip(*(part.tolist() for part in self.couplings), strict=True):
            tables.append(((names[u], names[v]), weight * np.outer(domains[u], domains[v])))
        return tables + [(factor.scope, factor.log_table) for factor in self.factors]

    @cached_property
    def tables(self) -> list[LogTable]:
        """`log_tables` given the evidence: over free variables."""
        return condition(self.log_tables, self.observed)

    def spreads(self) -> Iterator[Spread]:
        """Yield the spread of every table over free variables, found without building the tables of couplings."""
        low, high = self._extremes(self.observed)
        names, (first, second, weights) = self.names, self.couplings
        for (name, (_, kind, given)), width in zip(self.variables.items(), (high - low).tolist(), strict=True):
            if name not in self.observed:
                bias = np.asarray(given)
                own = float(np.ptp(bias)) if bias.ndim else abs(float(bias)) * width
                yield (name,), own + (float(np.ptp(kind.log_measure)) if kind.log_measure else 0.0)
        corners = [x[first] * y[second] for x in (low, high) for y in (low, high)]
        reach = np.abs(weights) * np.ptp(np.reshape(corners, (4, -1)), axis=0)
        for u, v, spread in zip(first.tolist(), second.tolist(), reach.tolist(), strict=True):
            yield tuple(name for name in (names[u], names[v]) if name not in self.observed), spread
        for factor in self.factors:
            ((scope, table),) = condition([(factor.scope, factor.log_table)], self.observed)
            finite = table[table > -math.inf]
            yield scope, float(np.ptp(finite)) if finite.size else 0.0

    def _extremes(self, observed: Mapping[Hashable, int]) -> tuple[FloatArray, FloatArray]:
        """Return the lowest and the highest value of every variable, the observed one twice; 0 for labels."""
        ends = [
            (0.0, 0.0)
            if kind.labels
            else 2 * (kind.values[observed[name]],)
            if name in observed
            else (kind.values[0], kind.values[-1])
            for name, (_, kind, _) in self.variables.items()
        ]
        low, high = np.array(ends).reshape(-1, 2).T
        return low, high

    def _require_representable(self) -> None:
        """Refuse a sum of infinities: terms of E that add up to more than a float64 holds."""
        low, high = self._extremes({})
        largest, (first, second, weights) = np.maximum(np.abs(low), np.abs(high)), self.couplings
        with np.errstate(over="ignore"):
            total = float((np.abs(weights) * largest[first] * largest[second]).sum())
            for variable, size in zip(self.variables.values(), largest.tolist(), strict=True):
                bias = np.asarray(variable.bias)
                total += float(np.abs(bias).max()) if bias.ndim else abs(float(bias)) * size
            for factor in self.factors:
                logs = factor.log_table
                total += float(np.abs(logs[logs > -math.inf]).max())
        if not total < _LARGEST:
            raise ModelError(
                f"The biases, weights and factors of the model add up to {total:.2g}, more than a float64 can hold in "
                "sums. Scale them down."
            )

    # What else is asked of it ---------------------------------------------------------------------------

    def coupled_pairs(self) -> list[tuple[Hashable, Hashable]]:
        """Return every pair with a coupling or a common factor, once, observed ones included."""
        found: dict[frozenset[Hashable], tuple[Hashable, Hashable]] = {}
        for scope in self._interactions:
            for pair in combinations(scope, 2):
                found.setdefault(frozenset(pair), pair)
        return list(found.values())

    def zero(self) -> Potential | None:
        """Return a factor with a potential of zero that the evidence leaves; None where there is none."""
        for factor in self.factors:
            ((_, table),) = condition([(factor.scope, factor.log_table)], self.observed)
            if (table == -math.inf).any():
                return factor
        return None

    def energy(self, states: Sequence[NDArray[np.intp]], batch: tuple[int, ...] = ()) -> FloatArray:
        """Return E(x) = − Σ_i b_i x_i − Σ_ij w_ij x_i x_j − Σ_f ln φ_f(x_f) of a batch of assignments.

        Args:
            states: per variable the indices of its values, of the shape of ``batch``.
            batch: the shape of the result.
        """
        total = np.zeros(batch)
        numbers = []
        for (_, kind, bias), index in zip(self.variables.values(), states, strict=True):
            if kind.labels:
                numbers.append(np.zeros(batch))
                total -= np.asarray(bias)[index]
            else:
                values = kind.domain[index].astype(np.float64)
                numbers.append(values)
                total -= float(bias) * values
        stacked = np.stack(numbers, axis=-1) if numbers else np.zeros((*batch, 0))
        for start in range(0, len(self.couplings.weights), _BLOCK):
            first, second, weights = (part[start : start + _BLOCK] for part in self.couplings)
            total -= (stacked[..., first] * stacked[..., second]) @ weights
        position = {name: place for place, name in enumerate(self.names)}
        for factor in self.factors:
            total -= factor.log_table[tuple(states[position[name]] for name in factor.scope)]
        return total

    def log_measure(self, states: Mapping[Hashable, int]) -> float:
        """Return ln μ of one assignment, given as indices of values."""
        kinds = {name: variable.kind for name, variable in self.variables.items()}
        return math.fsum(kind.log_measure[states[name]] for name, kind in kinds.items() if kind.log_measure)

    # Evidence -------------------------------------------------------------------------------------------

    def given(self, evidence: Mapping[Hashable, Any] | None) -> Network:
        """Return the network with this evidence, variable -> observed value, in place of its own.

        Raises:
            TypeError: ``evidence`` is not a mapping.
            UnknownVariableError, ValueOutsideDomainError: it does not fit the model.
        """
        if evidence is None:
            return self.observing({})
        if not isinstance(evidence, Mapping):
            raise TypeError(f"evidence must map variables to values. Got {type(evidence).__name__}.")
        require_known(evidence, self.variables, "evidence")
        observed = {}
        for name, value in evidence.items():
            index = self.state_indices(name, np.asarray(value))
            if index.ndim:
                raise ValueOutsideDomainError(
                    f"evidence for {name!r} must be one value. Got an array of shape {index.shape}."
                )
            observed[name] = int(index)
        return self.observing(observed)

    def observing(self, observed: Mapping[Hashable, int]) -> Network:
        """Return the network with this evidence, variable -> index of its observed value, in place of its own."""
        return replace(self, observed=observed)

    def state_indices(self, name: Hashable, values: NDArray[Any]) -> NDArray[np.intp]:
        """Return the indices of values of a variable.

        Raises:
            ValueOutsideDomainError: one is not among them.
        """
        units, kind, _ = self.variables[name]
        domain = kind.domain
        indices = np.full(values.shape, -1, dtype=np.intp)
        if values.dtype.kind in "biuf":
            guess = np.clip(np.searchsorted(domain, values), 0, len(domain) - 1)
            indices = np.where(domain[guess] == values, guess, -1)
        if (indices < 0).any():
            wrong = values.reshape(-1)[indices.reshape(-1) < 0].tolist()[0]
            raise ValueOutsideDomainError(
                f"{name!r} has units {units!r} and takes the values {kind.described}. Got {wrong!r}."
            )
        return indices

    @contextmanager
    def possible(self) -> Iterator[None]:
        """Raise, in place of a contradiction found within, the error that shows the evidence."""
        try:
            yield
        except Contradiction:
            raise self.impossible() from None

    def impossible(self) -> ImpossibleEvidenceError:
        """Return the error for evidence, or a model, under which every assignment has potential zero."""
        if not self.observed:
            return ImpossibleEvidenceError(
                "Every assignment has potential zero, so there is no Z. Check the zeros of the factors against each "
                "other."
            )
        values = {name: self.variables[name].kind.domain[index].item() for name, index in self.observed.items()}
        shown = ", ".join(f"{name!r}: {value!r}" for name, value in list(values.items())[:8])
        return ImpossibleEvidenceError(
            f"evidence {{{shown}}} has probability zero in this model. Check the observed values against the zeros of "
            "its factors."
        )


def condition(tables: Iterable[LogTable], evidence: Mapping[Hashable, int]) -> list[LogTable]:
    """Return every table sliced at the observed states.

    Args:
        tables: (scope, log_table) pairs.
        evidence: variable -> index of its observed state.

    Returns:
        Tables over the variables that are left; a table whose whole scope is observed becomes a number of
        shape ().
    """
    if not evidence:
        return list(tables)
    sliced: list[LogTable] = []
    for scope, table in tables:
        if any(name in evidence for name in scope):
            where = tuple(evidence.get(name, slice(None)) for name in scope)
            scope, table = tuple(name for name in scope if name not in evidence), np.asarray(table[where])
        sliced.append((scope, table))
    return sliced


Nodes = Mapping[Hashable, Mapping[str, Any]]
Edges = Iterable[tuple[Hashable, Hashable, Any]]


def read_network(nodes: Nodes, edges: Edges, factors: Sequence[Potential]) -> Network:
    """Return the network of a graph's attributes.

    Args:
        nodes: name -> attributes ``units``, ``states`` and ``bias``, as `pgm_rbm.GraphModel` keeps them.
        edges: (name, name, weight); None for an edge that is not a coupling.
        factors: the other potentials.

    Raises:
        NoFiniteDomainError: the values of a variable cannot be listed.
        ModelError: an attribute is not valid, or a coupling is of labels or of a variable with itself.
    """
    variables = {
        name: Variable(
            str(attributes.get("units", "binary")),
            kind_of(name, attributes),
            read_bias(name, attributes, attributes.get("bias")),
        )
        for name, attributes in nodes.items()
    }
    return Network(variables, read_couplings(nodes, edges), factors)


def read_couplings(nodes: Nodes, edges: Edges) -> Couplings:
    """Return the couplings of a graph that are not zero; arguments and errors as for `read_network`."""
    position = {name: place for place, name in enumerate(nodes)}
    first, second, weights = [], [], []
    for u, v, weight in edges:
        if weight is None:
            continue
        number = finite_number(weight, f"weight of edge ({u!r}, {v!r})")
        if number == 0.0:
            continue
        for name in (u, v):
            if has_labels(name, nodes[name]):
                raise ModelError(
                    f"Edge ({u!r}, {v!r}) has a weight, but the values of {name!r} are labels (units "
                    f"{nodes[name].get('units', 'binary')!r}). Remove the weight and use add_factor."
                )
        if u == v:
            raise ModelError(f"The graph has a self-loop at {u!r}. Remove it; a term in x_u alone is a bias.")
        first.append(position[u])
        second.append(position[v])
        weights.append(number)
    return Couplings(np.array(first, np.intp), np.array(second, np.intp), np.array(weights, np.float64))


def read_log_table(values: Any, argument: str) -> FloatArray:
    """Return ln of potentials as a new array.

    Args:
        values: the potentials where ``argument`` is "table", else their logarithms.
        argument: what messages call them.

    Raises:
        ModelError: an entry is not a number that a potential can be, or all potentials are zero.
    """
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
