"""The slow, plain way: every assignment, one at a time, from the attributes of the graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pgm_rbm.graph.model import GraphModel

VALUES: dict[str, Any] = {
    "binary": [0, 1],
    "spin": [-1, 1],
    "{-1, 0, 1}": [-1, 0, 1],
    "{-1/2, 0, 3}": [-0.5, 0, 3],
    "integer(2)": [0, 1, 2],
    "binomial(3)": [0, 1, 2, 3],
    "potts(3)": [0, 1, 2],
}
LABELS = ("categorical", "potts(3)")
MEASURE: dict[str, Any] = {"binomial(3)": [1, 3, 3, 1]}


def values_of(model: GraphModel, name: Any) -> Any:
    attributes = model.nodes[name]
    units = attributes.get("units", "binary")
    return VALUES[units] if units in VALUES else list(range(attributes["states"]))


def log_weight(model: GraphModel, x: Mapping[Any, Any]) -> float:
    """ln mu(x) - E(x) for one assignment, term by term."""
    total = -energy(model, x)
    for name in model:
        units = model.nodes[name].get("units")
        if units in MEASURE:
            total += math.log(MEASURE[units][VALUES[units].index(x[name])])
    return total


def energy(model: GraphModel, x: Mapping[Any, Any]) -> float:
    """E(x) for one assignment, term by term."""
    total = 0.0
    for name, attributes in model.nodes(data=True):
        bias = attributes.get("bias", 0.0)
        total += bias[x[name]] if attributes.get("units") in LABELS else bias * x[name]
    for u, v, weight in model.edges(data="weight"):
        if weight is not None:
            total += weight * x[u] * x[v]
    for factor in model.factors:
        where = tuple(values_of(model, name).index(x[name]) for name in factor.scope)
        total += factor.log_table[where]
    return float(-total)


def assignments(model: GraphModel) -> Iterator[dict[Any, Any]]:
    names = list(model)
    for values in itertools.product(*(values_of(model, name) for name in names)):
        yield dict(zip(names, values, strict=True))


def log_joint(model: GraphModel) -> np.ndarray:
    """-E(x) of every assignment as one array, with an axis for each variable in their order."""
    shape = [len(values_of(model, name)) for name in model]
    return np.array([log_weight(model, x) for x in assignments(model)]).reshape(shape)


def log_sum(values: Iterable[float]) -> float:
    values = list(values)
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values)) if top > -math.inf else top


def log_partition(model: GraphModel, evidence: Mapping[Any, Any] | None = None) -> float:
    return log_sum(
        log_weight(model, x)
        for x in assignments(model)
        if all(x[name] == value for name, value in (evidence or {}).items())
    )


def marginal(model: GraphModel, variables: Sequence[Any], evidence: Mapping[Any, Any] | None = None) -> np.ndarray:
    """The joint marginal of a list of variables, as a table."""
    table = np.zeros([len(values_of(model, name)) for name in variables])
    log_z = log_partition(model, evidence)
    for x in assignments(model):
        if all(x[name] == value for name, value in (evidence or {}).items()):
            where = tuple(values_of(model, name).index(x[name]) for name in variables)
            table[where] += math.exp(log_weight(model, x) - log_z)
    return table


def random_model(seed: int, scale: float = 1.0) -> GraphModel:
    """Eight variables of all unit types with couplings, a third-order factor, one with zeros, and a lone variable."""
    rng = np.random.default_rng(seed)
    model = GraphModel()
    for name in ("a", "b", ("v", 0)):
        model.add_variable(name, "binary", bias=scale * rng.normal())
    for name in ("s", "t"):
        model.add_variable(name, "spin", bias=scale * rng.normal())
    model.add_variable("k", states=3, bias=scale * rng.normal(size=3))
    model.add_variable("lone", states=["x", "y", "z", "w"], bias=scale * rng.normal(size=4))
    model.add_variable("one", states=1, bias=[scale * rng.normal()])
    for u, v in [("a", "b"), ("b", "s"), ("s", "t"), ("t", ("v", 0)), ("a", ("v", 0))]:
        model.add_coupling(u, v, scale * rng.normal())
    model.add_factor(["k", "a", "t"], log_table=scale * rng.normal(size=(3, 2, 2)))
    table = rng.random((2, 3))
    table[0, 1] = 0.0
    model.add_factor([("v", 0), "k"], table)
    model.add_factor(["one", "b"], rng.random((1, 2)))
    return model


def model_of_many_units(seed: int, scale: float = 1.0) -> GraphModel:
    """A variable of each kind of finite units, with couplings, biases and a factor of third order with a zero."""
    rng = np.random.default_rng(seed)
    model = GraphModel()
    for name, units in zip("abcdefg", VALUES, strict=True):
        model.add_variable(name, units, bias=scale * (rng.normal(size=3) if units in LABELS else rng.normal()))
    for u, v in ["ab", "bc", "cd", "de", "ef", "fa", "cf"]:
        model.add_coupling(u, v, scale * rng.normal())
    table = rng.random((3, 4, 3))
    table[0, 1, 2] = 0.0
    model.add_factor(["g", "f", "d"], table)
    return model
