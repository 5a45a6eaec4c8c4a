"""Questions to a graph model: each reads what the caller named, asks elimination, and reads the answer off."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgm_rbm.errors import UnknownVariableError
from pgm_rbm.exact.elimination import answers
from pgm_rbm.exact.elimination.network import Network
from pgm_rbm.exact.elimination.tables import FloatArray
from pgm_rbm.machine.budget import Budget
from pgm_rbm.model.variables import listed, one_or_several, require_known

__all__ = ["MostProbableAssignment", "energy", "marginals", "most_probable", "pair_marginals", "query"]


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


def energy(network: Network, assignment: Mapping[Hashable, ArrayLike] | ArrayLike) -> float | FloatArray:
    """Return E(x) of one assignment or of a batch; arguments and errors as for `GraphModel.energy`."""
    columns, batch = _columns(network, assignment)
    states = [network.state_indices(name, column) for name, column in zip(network.names, columns, strict=True)]
    found = network.energy(states, batch)
    return found if batch else float(found)


def query(network: Network, variables: Any, joint: bool, budget: Budget) -> Any:
    """Return marginals given the evidence; arguments and errors as for `GraphModel.query`."""
    names = _distinct(network, variables)
    free = [name for name in names if name not in network.observed]
    if joint or len(free) < 2:
        table = answers.joint_marginal(network, free, budget)
        if joint or names == free:
            return _with_observed(network, table, names)
        found: dict[tuple[Hashable, ...], FloatArray] = {(name,): table for name in free}
    else:
        _, found = answers.marginals(network, [(name,) for name in free], budget)
    arrays = _of_each(network, names, found)
    return arrays[names[0]] if len(names) == 1 else arrays


def marginals(network: Network, budget: Budget) -> dict[Hashable, FloatArray]:
    """Return the marginal of every variable given the evidence; errors as for `GraphModel.marginals`."""
    _, found = answers.marginals(network, [(name,) for name in network.cardinalities], budget)
    return _of_each(network, network.names, found)


def pair_marginals(
    network: Network, pairs: Iterable[tuple[Hashable, Hashable]] | None, budget: Budget
) -> dict[tuple[Hashable, Hashable], FloatArray]:
    """Return joint marginals of pairs; arguments and errors as for `GraphModel.pair_marginals`."""
    asked = network.coupled_pairs() if pairs is None else [_pair(network, pair) for pair in pairs]
    free = {pair: tuple(name for name in pair if name not in network.observed) for pair in asked}
    wanted = list(dict.fromkeys(names for names in free.values() if names))
    _, found = answers.marginals(network, wanted, budget, "pairs")
    return {pair: _with_observed(network, found[names] if names else np.ones(()), pair) for pair, names in free.items()}


def most_probable(network: Network, budget: Budget) -> MostProbableAssignment:
    """Return the most probable assignment given the evidence; errors as for `GraphModel.most_probable`."""
    states, log_probability, cost = answers.most_probable(network, budget)
    assignment = {name: variable.kind.domain[states[name]].item() for name, variable in network.variables.items()}
    return MostProbableAssignment(assignment, log_probability, cost)


def _distinct(network: Network, variables: Any) -> list[Hashable]:
    names = list(one_or_several(variables, network.variables, "variables"))
    if not names:
        raise UnknownVariableError("variables is empty. Name at least one variable.")
    if len(set(names)) < len(names):
        raise UnknownVariableError(f"variables must name each variable once. Got {names!r}.")
    return names


def _pair(network: Network, pair: Any) -> tuple[Hashable, Hashable]:
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
        raise UnknownVariableError(f"pairs must hold pairs of variables. Got {pair!r}.")
    require_known(pair, network.variables, "pairs")
    if pair[0] == pair[1]:
        raise UnknownVariableError(f"pairs must be of two different variables. Got {pair!r}.")
    return pair[0], pair[1]


def _columns(
    network: Network, assignment: Mapping[Hashable, ArrayLike] | ArrayLike
) -> tuple[list[NDArray[Any]], tuple[int, ...]]:
    """Return the values of each variable, and the shape of the batch."""
    names = network.names
    if isinstance(assignment, Mapping):
        require_known(assignment, network.variables, "assignment")
        missing = [name for name in names if name not in assignment]
        if missing:
            raise UnknownVariableError(f"assignment must give every variable a value. Got none for {listed(missing)}.")
        columns = np.broadcast_arrays(*(np.asarray(assignment[name]) for name in names))
        return list(columns), columns[0].shape if columns else ()
    values = np.asarray(assignment)
    if values.ndim == 0 or values.shape[-1] != len(names):
        raise UnknownVariableError(
            f"assignment as an array must have a last axis of length {len(names)}, a column per variable. Got shape "
            f"{values.shape}."
        )
    return [values[..., column] for column in range(len(names))], values.shape[:-1]


def _of_each(
    network: Network, names: Iterable[Hashable], found: Mapping[tuple[Hashable, ...], FloatArray]
) -> dict[Hashable, FloatArray]:
    """Return the marginal of each variable: what was found, or all mass at the observed value."""
    return {
        name: _with_observed(network, np.ones(()) if name in network.observed else found[name,], [name])
        for name in names
    }


def _with_observed(network: Network, table: FloatArray, names: Sequence[Hashable]) -> FloatArray:
    """Give a table over the free ones among ``names`` an axis for each observed one, all mass at its value."""
    observed = network.observed
    if not any(name in observed for name in names):
        return table
    full = np.zeros([len(network.variables[name].kind.values) for name in names])
    full[tuple(observed.get(name, slice(None)) for name in names)] = table
    return full
