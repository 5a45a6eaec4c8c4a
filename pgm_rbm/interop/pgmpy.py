"""To and from pgmpy's discrete models.

pgmpy multiplies plain potentials, so :func:`to_pgmpy` divides each table by its largest entry and keeps the logarithm
of what was divided out: ln Z here = ln(``network.get_partition_function()``) + ``network.graph["log_constant"]``.
Marginals do not depend on it. ``VariableElimination.query`` on a Markov network answers with values that do not sum
to one; call ``normalize`` on them.

Names: a string stays itself; a tuple such as ("v", 0) becomes its parts joined by "_", "v_0"; anything else becomes
its ``repr``; a name that is taken by then gets a prime. ``network.graph["names"]`` maps every pgmpy name back, and
:func:`from_pgmpy` uses it. pgmpy's own ``copy`` drops graph attributes; pass ``names`` and ``log_constant`` then.

States carry the values as state names: [0, 1] for binary, [-1, 1] for spin, 0..k-1 or the labels for categorical. What
units weigh of themselves goes out as a table, so "binomial(3)" comes back as "{0, 1, 2, 3}" with that table.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgm_rbm.errors import ModelError
from pgm_rbm.graph.model import GraphModel
from pgm_rbm.model.variables import CATEGORICAL, Kind, kind_of
from symbolic.units import lookup

try:
    from pgmpy.factors.discrete import DiscreteFactor
    from pgmpy.models import DiscreteBayesianNetwork, DiscreteMarkovNetwork, FactorGraph
except ImportError as error:
    raise ImportError("pgm_rbm.interop.pgmpy needs pgmpy. Install it with: pip install 'pgm-rbm[pgmpy]'") from error

__all__ = ["from_pgmpy", "pgmpy_names", "to_pgmpy"]


def pgmpy_names(variables: Iterable[Hashable]) -> dict[Hashable, str]:
    """Return the string that stands for each variable in pgmpy, which needs strings; see the module for the rule.

    Example:
        >>> pgmpy_names(["y", ("v", 0), 3])
        {'y': 'y', ('v', 0): 'v_0', 3: '3'}
    """
    names: dict[Hashable, str] = {}
    ordered = list(variables)
    taken = {name for name in ordered if isinstance(name, str)}
    for name in ordered:
        if isinstance(name, str):
            names[name] = name
            continue
        text = "_".join(map(str, name)) if isinstance(name, tuple) else repr(name)
        while text in taken:
            text += "'"
        taken.add(text)
        names[name] = text
    return names


def to_pgmpy(model: GraphModel) -> DiscreteMarkovNetwork:
    """Return the model as a pgmpy ``DiscreteMarkovNetwork`` with the same distribution.

    Args:
        model: a :class:`GraphModel`, an RBM's graph included, of variables with finitely many values.

    Returns:
        A network with a factor per variable, coupling and factor of the model. Each table's largest entry
        is 1. ``network.graph`` holds "log_constant", "names" (pgmpy name -> name here) and "units".

    Raises:
        TypeError: ``model`` is not a GraphModel.
        NoFiniteDomainError: a variable has infinitely many values.

    Warns:
        UserWarning: a potential is smaller than its table's largest by more than float64 can say (about 1e-308) and
            becomes zero, which changes the distribution. pgm_rbm's own inference has no such limit.
    """
    if not isinstance(model, GraphModel):
        raise TypeError(
            f"model must be a GraphModel. Got {type(model).__name__}; an RBM has one as its graph, and "
            "GraphModel(graph) reads a networkx graph."
        )
    names = pgmpy_names(model.variables)
    states = {name: _state_names(model, name) for name in model}
    network = DiscreteMarkovNetwork()
    network.add_nodes_from(names.values())
    log_constant = 0.0
    lost = 0
    for scope, logs in _tables(model):
        top = float(logs.max())
        values = np.exp(logs - top)
        lost += int(np.count_nonzero((values == 0.0) & (logs > -np.inf)))
        log_constant += top
        members = [names[name] for name in scope]
        network.add_edges_from((u, v) for k, u in enumerate(members) for v in members[:k])
        network.add_factors(
            DiscreteFactor(members, list(logs.shape), values, state_names={names[name]: states[name] for name in scope})
        )
    if lost:
        warnings.warn(
            f"{lost} positive potentials are more than 1e308 times smaller than the largest of their table and become "
            "zero in pgmpy's linear arithmetic. Query the GraphModel itself, which works in logs.",
            stacklevel=2,
        )
    network.graph["log_constant"] = log_constant
    network.graph["names"] = {text: name for name, text in names.items()}
    network.graph["units"] = {names[name]: _units_without_measure(model, name) for name in model}
    return network


def from_pgmpy(
    foreign: Any,
    names: Mapping[str, Hashable] | None = None,
    log_constant: float | None = None,
) -> GraphModel:
    """Return a pgmpy model as a :class:`GraphModel` with the same distribution.

    Two states named 0 and 1 become a binary variable, -1 and 1 a spin, any others a categorical variable that keeps
    the names as labels, unless ``foreign.graph["units"]`` says otherwise. Where factors list the states of a variable
    in different orders, the first order counts and the other tables are brought to it.

    Args:
        foreign: a ``DiscreteMarkovNetwork``, ``FactorGraph`` or ``DiscreteBayesianNetwork`` (each conditional table
            becomes a factor). Its values are taken as they are; ln Z of a Bayesian network is 0.
        names: pgmpy name -> name to use here; ``foreign.graph["names"]`` by default, else the names stay.
        log_constant: what was divided out of the potentials; ``foreign.graph["log_constant"]`` by default, else 0.

    Returns:
        A new model.

    Raises:
        TypeError: ``foreign`` is none of these classes.
        ModelError: pgmpy's own check finds a Bayesian network inconsistent, a variable is in no factor, or
            factors disagree on the states of a variable.
    """
    if not isinstance(foreign, DiscreteMarkovNetwork | FactorGraph | DiscreteBayesianNetwork):
        raise TypeError(
            "foreign must be a pgmpy DiscreteMarkovNetwork, FactorGraph or DiscreteBayesianNetwork. "
            f"Got {type(foreign).__name__}."
        )
    bayesian = isinstance(foreign, DiscreteBayesianNetwork)
    factors: Sequence[Any] = foreign.get_cpds() if bayesian else foreign.factors
    covered = {name for factor in factors for name in factor.variables}
    variables = [node for node in foreign.nodes() if node in covered or not _is_factor_node(foreign, node)]
    bare = [name for name in variables if name not in covered]
    if bare:
        kind = "conditional table" if bayesian else "factor"
        raise ModelError(
            f"foreign has no {kind} for variable {bare[0]!r}, so its states are unknown. Add one in pgmpy."
        )
    if bayesian:
        try:
            foreign.check_model()
        except ValueError as error:
            raise ModelError(f"foreign does not pass pgmpy's check_model: {error}") from error
    meta: Mapping[str, Any] = foreign.graph
    known = meta.get("names", {}) if names is None else names
    constant = float(meta.get("log_constant", 0.0)) if log_constant is None else log_constant
    renamed = {name: known.get(name, name) for name in variables}
    states: dict[Any, list[Hashable]] = {}
    for factor in factors:
        for name, size in zip(factor.variables, factor.cardinality, strict=True):
            states.setdefault(name, list(factor.state_names.get(name, range(int(size)))))
    model = GraphModel()
    for name in variables:
        _add_variable(model, renamed[name], states[name], meta.get("units", {}).get(name))
    for factor in factors:
        table = np.asarray(factor.values, dtype=np.float64)
        for axis, name in enumerate(factor.variables):
            own = list(factor.state_names.get(name, states[name]))
            if own != states[name]:
                if len(own) != len(states[name]) or set(own) != set(states[name]):
                    raise ModelError(
                        f"Factors of foreign disagree on the states of {name!r}: {states[name]!r} and {own!r}. "
                        "Give them the same state names in pgmpy."
                    )
                table = table.take([own.index(state) for state in states[name]], axis=axis)
        scope = [renamed[name] for name in factor.variables]
        if bayesian:
            condition = f" | {', '.join(map(str, scope[1:]))}" if len(scope) > 1 else ""
            wanted = f"P({scope[0]}{condition})"
        else:
            wanted = f"phi({', '.join(map(str, scope))})"
        model.add_factor(scope, table, name=model.unused_factor_name(wanted, scope))
    if constant != 0.0:
        model.add_constant(constant)
    return model


def _is_factor_node(foreign: Any, node: Any) -> bool:
    """Return whether a node of a factor graph stands for a factor: pgmpy uses the factor itself, or a label for it."""
    return isinstance(foreign, FactorGraph) and (isinstance(node, DiscreteFactor) or foreign.degree(node) > 0)


def _state_names(model: GraphModel, name: Hashable) -> list[Hashable]:
    labels = model.nodes[name].get("labels")
    return list(labels) if labels is not None else list(model.domain(name).tolist())


def _units_without_measure(model: GraphModel, name: Hashable) -> str:
    """Return units of the same values without a measure, since their measure goes out as a table of its own."""
    kind = kind_of(name, model.nodes[name])
    if not kind.log_measure:
        return model.units(name)
    return "{" + ", ".join(map(str, lookup(model.units(name)).states)) + "}"


def _tables(model: GraphModel) -> list[tuple[tuple[Hashable, ...], NDArray[np.float64]]]:
    """Return the model's tables, one at least per variable, since pgmpy learns a variable's states from its factors."""
    tables = model.log_tables()
    alone = {scope[0] for scope, _ in tables if len(scope) == 1}
    bare = [((name,), np.zeros(len(model.domain(name)))) for name in model if name not in alone]
    return [*bare, *tables]


def _add_variable(model: GraphModel, name: Hashable, states: list[Hashable], units: str | None) -> None:
    if units is None:
        units = next((units for units in ("binary", "spin") if list(_kind(units).values) == states), CATEGORICAL)
    if units != CATEGORICAL:
        model.add_variable(name, units)
    elif states == list(range(len(states))):
        model.add_variable(name, states=len(states))
    else:
        model.add_variable(name, states=states)


def _kind(units: str) -> Kind:
    return kind_of(units, {"units": units})
