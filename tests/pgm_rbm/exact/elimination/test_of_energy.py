"""Graphs made from energies: their biases, weights and factors give the same p as enumeration of the energy itself."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx
import numpy as np
import pytest
from hypothesis import given

from pgm_rbm import RBM, GraphModel
from pgm_rbm.errors import ModelError, NoFiniteDomainError
from symbolic import Energy, EnergyError, energies
from tests.symbolic.codegen.test_random_energies import SIZES, ByHand, made_up, parameters_of, settings_for

SEMI = energies.semi_restricted("spin", "{-1, 0, 2}")
SQUARED = Energy.parse(
    "sum(h[j]*sum(w[i,j]*v[i], i)**2, j)/2 - sum(b[j]*h[j], j) - v[0]*exp(s) + softplus(s)/3",
    visible={"v": "spin"},
    hidden={"h": "binary"},
    parameters={"s": ()},
)
POTTS_CHAIN = Energy.parse(
    "-sum(J[i,k]*indicator(v[i], s)*indicator(v[k], s), i, k, s)/2 - sum(a[i,s]*indicator(v[i], s), i, s)",
    visible={"v": "potts(3)"},
    parameters={"J": ("v", "v"), "a": ("v", "v.states")},
)
ENERGIES: dict[str, tuple[Energy, Mapping[str, int]]] = {
    "semi-restricted": (SEMI, {"v": 4, "h": 2}),
    "labels": (energies.pairwise("potts(3)", "binomial(2)"), {"v": 3, "h": 2}),
    "labels on both sides": (energies.pairwise("potts(3)", "potts(2)"), {"v": 3, "h": 2}),
    "third order": (energies.third_order(), {"x": 2, "v": 3, "h": 2}),
    "deep": (energies.deep("binary", ["binary", "spin"]), {"v": 3, "h1": 2, "h2": 2}),
    "squares": (SQUARED, {"v": 3, "h": 2}),
    "replicated softmax": (energies.replicated_softmax(), {"v": 3, "h": 2}),
}


def model(energy: Energy, sizes: Mapping[str, int], seed: int = 0) -> RBM:
    rbm = RBM.from_energy(energy, sizes, seed=seed)
    rng = np.random.default_rng(seed)
    for name, array in rbm.parameters.items():
        value = rng.normal(size=array.shape)
        array[...] = value + np.swapaxes(value, 0, 1) if energy.parameters[name].symmetric else value
    return rbm


@pytest.mark.parametrize("name", ENERGIES)
def test_elimination_and_enumeration_agree(name: str) -> None:
    rbm = model(*ENERGIES[name])
    graph = rbm.graph
    expected = float(rbm.log_partition(method="enumeration"))
    assert float(graph.log_partition()) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert float(rbm.log_partition(method="elimination")) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert "elimination" in {way.name for way in rbm.tractability().ways}


@pytest.mark.parametrize("name", ENERGIES)
def test_the_graph_has_the_energy_of_every_configuration(name: str) -> None:
    rbm = model(*ENERGIES[name])
    graph = rbm.graph
    rows = np.array([[rng.choice(graph.domain(node)) for node in graph] for rng in [np.random.default_rng(1)] * 20])
    ends = np.cumsum([0, *rbm.sizes.values()])
    states = {layer: rows[:, a:b].astype(float) for layer, a, b in zip(rbm.sizes, ends[:-1], ends[1:], strict=True)}
    energy = rbm.kernels.energy(**states, **rbm.parameters)
    found = [graph.energy(dict(zip(graph, row, strict=True))) for row in rows]
    np.testing.assert_allclose(found, energy, rtol=1e-12, atol=1e-12)


@settings_for(60)
@given(made_up())
def test_any_energy_has_the_same_sum_as_a_graph(case: tuple[str, dict[str, str]]) -> None:
    text, units = case
    declared = {f"w{n}": () for n in range(20) if f"w{n}" in text and f"w{n}[" not in text}
    energy = Energy.parse(text, visible={"v": units["v"]}, hidden={"h": units["h"]}, parameters=declared)
    parameters = parameters_of(energy)
    graph = GraphModel.from_energy(energy, parameters, SIZES)
    expected = np.logaddexp.reduce(ByHand(text, units, parameters).log_weights(), axis=None)
    assert float(graph.log_partition()) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_numbers_times_units_are_biases_and_weights() -> None:
    rbm = model(SEMI, {"v": 3, "h": 2})
    np.fill_diagonal(rbm.parameters["L"], 0.0)
    graph = rbm.graph
    assert graph.factors == ()
    assert graph.edges[("v", 0), ("v", 1)]["weight"] == pytest.approx(rbm.parameters["L"][0, 1], rel=1e-15)
    assert graph.edges[("v", 2), ("h", 1)]["weight"] == rbm.parameters["w"][2, 1]
    assert graph.nodes["h", 0]["bias"] == rbm.parameters["b"][0]


def test_sparse_lateral_weights_take_elimination_where_enumeration_cannot_go() -> None:
    # A ring of 60 spins, ln Z by transfer matrices: 2^60 configurations have a width of 2.
    ring = Energy.parse("-sum(J[i,k]*v[i]*v[k], i, k)/2", visible={"v": "spin"})
    J = 0.7 * nx.to_numpy_array(nx.cycle_graph(60))
    graph = GraphModel.from_energy(ring, {"J": J}, {"v": 60})
    expected = 60 * np.log(2 * np.cosh(0.7)) + np.log1p(np.tanh(0.7) ** 60)
    assert float(graph.log_partition()) == pytest.approx(expected, rel=1e-13)
    assert graph.tractability().induced_width == 2


def test_labels_that_are_compared_with_each_other() -> None:
    J = np.array([[0.0, 1.5, 0.0], [1.5, 0.0, -0.5], [0.0, -0.5, 0.0]])
    a = np.random.default_rng(2).normal(size=(3, 3))
    graph = GraphModel.from_energy(POTTS_CHAIN, {"J": J, "a": a}, {"v": 3})
    weights = [
        1.5 * (x == y) - 0.5 * (y == z) + a[0, x] + a[1, y] + a[2, z]
        for x in range(3)
        for y in range(3)
        for z in range(3)
    ]
    assert float(graph.log_partition()) == pytest.approx(np.logaddexp.reduce(weights), rel=1e-14)
    assert sorted(len(factor.scope) for factor in graph.factors) == [2, 2]


def test_known_states_are_no_variables() -> None:
    energy = energies.conditional()
    sizes = dict.fromkeys(energy.layers, 2)
    (given,) = (layer.name for layer in energy.given)
    rbm = model(energy, sizes)
    known = np.array([[1.0, 0.0]])
    with pytest.raises(ModelError, match=r"is given .*GraphModel\.from_energy with their states"):
        rbm.graph  # noqa: B018
    graph = GraphModel.from_energy(energy, rbm.parameters, sizes, given={given: known[0]})
    assert {layer for layer, _ in graph} == {"v", "h"}
    v = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    free = rbm.kernels.free_energy({"v": v, given: np.repeat(known, 4, 0)}, of="v", **rbm.parameters)
    assert float(graph.log_partition()) == pytest.approx(np.logaddexp.reduce(-free), rel=1e-13)


def test_what_no_graph_can_hold_is_refused() -> None:
    with pytest.raises(NoFiniteDomainError, match=r"layer v \(gaussian units\) cannot be listed"):
        model(energies.gaussian(), {"v": 2, "h": 2}).graph  # noqa: B018
    tied = Energy.parse("-exp(sum(w[i]*v[i], i))", visible={"v": "binary"})
    with pytest.raises(ModelError, match="takes a function of a sum over units"):
        GraphModel.from_energy(tied, {"w": np.ones(3)}, {"v": 3})
    with pytest.raises(ModelError, match=r"come to 9,009,002 numbers; a graph model is made of 262,144 at most"):
        GraphModel.from_energy(SEMI, dict.fromkeys(SEMI.parameters, 0), {"v": 3000, "h": 2})
    with pytest.raises(ModelError, match=r"parameters must name L, a, b, w, as the energy does. Got L, a, b"):
        GraphModel.from_energy(SEMI, {"L": np.zeros((2, 2)), "a": np.zeros(2), "b": np.zeros(2)}, {"v": 2, "h": 2})
    with pytest.raises(ModelError, match=r"w must have shape \(2, 2\)\. Got \(3, 2\)"):
        GraphModel.from_energy(
            energies.pairwise(), {"w": np.zeros((3, 2)), "a": np.zeros(2), "b": np.zeros(2)}, {"v": 2, "h": 2}
        )
    with pytest.raises(EnergyError, match="no layer 'x'"):
        GraphModel.from_energy(SEMI, dict.fromkeys(SEMI.parameters, 0), {"v": 2, "h": 2}, given={"x": [1]})
    with pytest.raises(ModelError, match=r"sizes must name v, h, as the energy does. Got v"):
        GraphModel.from_energy(energies.pairwise(), {}, {"v": 2})
