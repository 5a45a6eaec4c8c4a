from __future__ import annotations

import copy
import itertools
import pickle

import networkx as nx
import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import (
    EnumerationLimitError,
    NoFiniteDomainError,
    NotBipartiteError,
    UnknownVariableError,
    ValueOutsideDomainError,
)
from pgm_rbm.model.kernels import states_of
from tests.pgm_rbm import naive

W, A, B = naive.random_parameters(4, 3, seed=40)


@pytest.fixture(params=["numpy", "numba"])
def rbm(request: pytest.FixtureRequest) -> RBM:
    return RBM.from_parameters(W, A, B, target=request.param)


def test_a_new_model_has_small_weights_from_its_seed() -> None:
    rbm = RBM(100, 50, seed=1)
    assert rbm.weights.shape == (100, 50)
    assert rbm.dtype == np.float64
    # 5,000 normal numbers of deviation 0.01: their mean and deviation within six standard errors.
    assert abs(rbm.weights.mean()) < 6 * 0.01 / np.sqrt(5000)
    assert abs(rbm.weights.std() / 0.01 - 1) < 6 / np.sqrt(2 * 5000)
    assert not rbm.visible_bias.any()
    assert not rbm.hidden_bias.any()
    np.testing.assert_array_equal(RBM(100, 50, seed=1).weights, rbm.weights)
    assert (RBM(100, 50, seed=2).weights != rbm.weights).any()
    assert (RBM(100, 50).weights != RBM(100, 50).weights).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "n_visible must be a positive whole number of units. Got 0"),
        ((3, -1), "n_hidden must be"),
        ((2.5, 3), "n_visible must be"),
        ((3, 3, "ternary"), "'ternary'"),
        ((3, 3, "binary", "ternary"), "'ternary'"),
    ],
)
def test_impossible_sizes_and_units_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RBM(*arguments)  # type: ignore[arg-type]


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ValueError, match="target"):
        RBM(3, 3, target="fortran")


def test_it_says_what_it_is() -> None:
    assert repr(RBM(784, 500, dtype=np.float32)) == "RBM(784 visible binary, 500 hidden binary, float32)"
    masked = RBM.from_parameters(np.eye(3), np.zeros(3), np.zeros(3), mask=np.eye(3, dtype=bool))
    assert repr(masked) == "RBM(3 visible binary, 3 hidden binary, 3 weights, float64)"


def test_formulas_against_the_definition(rbm: RBM) -> None:
    v, h, _ = naive.joint(W, A, B)
    expected = [-naive.log_weight(one, other, W, A, B) for one, other in zip(v, h, strict=True)]
    np.testing.assert_allclose(rbm.energy(v, h), expected, rtol=0, atol=1e-14)
    every = naive.all_states(4)
    free = [-naive.log_unnormalised(one, W, A, B) for one in every]
    np.testing.assert_allclose(rbm.free_energy(every), free, rtol=0, atol=1e-14)


def test_means_against_the_definition(rbm: RBM) -> None:
    v, h, p = naive.joint(W, A, B)
    for one in naive.all_states(4):
        here = (v == one).all(axis=1)
        expected = p[here] @ h[here] / p[here].sum()
        np.testing.assert_allclose(rbm.hidden_mean(one[None])[0], expected, rtol=0, atol=1e-14)
    for one in naive.all_states(3):
        here = (h == one).all(axis=1)
        expected = p[here] @ v[here] / p[here].sum()
        np.testing.assert_allclose(rbm.visible_mean(one[None])[0], expected, rtol=0, atol=1e-14)


def test_exact_answers_against_the_definition(rbm: RBM) -> None:
    v, h, p = naive.joint(W, A, B)
    result = rbm.log_partition()
    assert float(result) == result.value == pytest.approx(naive.log_partition(W, A, B), rel=1e-14)
    assert (result.standard_error, result.method) == (0.0, "enumeration")
    assert "exact" in str(result)
    x = naive.all_states(4)
    probability = np.exp(rbm.log_probability(x))
    for one, found in zip(x, probability, strict=True):
        assert found == pytest.approx(p[(v == one).all(axis=1)].sum(), rel=1e-13)
    assert probability.sum() == pytest.approx(1, abs=1e-14)
    assert rbm.log_likelihood(x[:5]) == pytest.approx(naive.mean_log_probability(x[:5], W, A, B), rel=1e-13)
    moments = rbm.moments()
    np.testing.assert_allclose(moments.v, p @ v, rtol=0, atol=1e-14)
    np.testing.assert_allclose(moments.h, p @ h, rtol=0, atol=1e-14)
    np.testing.assert_allclose(moments.vh, (v * p[:, None]).T @ h, rtol=0, atol=1e-14)
    gradient = rbm.gradient(x[:5])
    np.testing.assert_array_equal(gradient.term_b["w"], moments.vh)
    np.testing.assert_array_equal(gradient["w"], gradient.term_a["w"] - gradient.term_b["w"])


def test_a_method_that_does_not_exist_is_refused(rbm: RBM) -> None:
    with pytest.raises(ValueError, match="method must be 'auto', 'enumeration' or 'elimination'"):
        rbm.log_partition("magic")
    with pytest.raises(ValueError, match="method must be 'gibbs' or 'exact'"):
        rbm.sample(3, method="magic")


def test_single_precision_models_give_double_precision_likelihoods() -> None:
    single = RBM.from_parameters(*(array.astype(np.float32) for array in (W, A, B)))
    assert single.dtype == np.float32
    assert single.free_energy(naive.all_states(4)).dtype == np.float32
    lifted = RBM.from_parameters(single.weights, single.visible_bias, single.hidden_bias, dtype=np.float64)
    x = naive.all_states(4)
    np.testing.assert_array_equal(single.log_probability(x), lifted.log_probability(x))


def test_parameters_are_copied_in_and_live_after() -> None:
    w = W.copy()
    rbm = RBM.from_parameters(w, A, B)
    w[0, 0] = 100
    assert rbm.weights[0, 0] == W[0, 0]
    live = rbm.weights
    rbm.weights = np.ones((4, 3))
    assert (live == 1).all()
    assert rbm.parameters["w"] is live


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights", np.zeros((3, 4)), r"weights must have shape \(4, 3\). Got \(3, 4\)"),
        ("visible_bias", np.zeros(3), r"visible_bias must have shape \(4,\)"),
        ("hidden_bias", [0.0, np.nan, 0.0], r"hidden_bias must be finite. Got nan at \(1,\)"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(rbm: RBM, name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        setattr(rbm, name, value)
    np.testing.assert_array_equal(rbm.weights, W)


def test_from_parameters_checks_shapes() -> None:
    with pytest.raises(ValueError, match=r"weights must have two axes.*Got shape \(3,\)"):
        RBM.from_parameters(np.zeros(3), np.zeros(3), np.zeros(1))
    with pytest.raises(ValueError, match="neither empty"):
        RBM.from_parameters(np.zeros((3, 0)), np.zeros(3), np.zeros(0))
    with pytest.raises(ValueError, match=r"visible_bias must have shape \(4,\)"):
        RBM.from_parameters(W, np.zeros(3), B)
    with pytest.raises(ValueError, match=r"mask must be a bool array of shape \(4, 3\)"):
        RBM.from_parameters(W, A, B, mask=np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"weights must be zero where the model has no edge.*at \(0, 0\)"):
        RBM.from_parameters(W, A, B, mask=np.zeros((4, 3), dtype=bool))


def test_states_that_do_not_fit_are_refused(rbm: RBM) -> None:
    with pytest.raises(ValueOutsideDomainError, match="v must hold only states"):
        rbm.free_energy(np.full((2, 4), 0.5))
    with pytest.raises(ValueError, match="h must have 3 columns"):
        rbm.visible_mean(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"v and h must have as many rows\. Got 2 and 1"):
        rbm.energy(np.zeros((2, 4)), np.zeros((1, 3)))
    with pytest.raises(ValueOutsideDomainError, match=r"X must hold only states.*NaN"):
        rbm.gradient(np.full((2, 4), np.nan))
    with pytest.raises(ValueError, match="at least one row"):
        rbm.log_likelihood(np.zeros((0, 4)))


def test_samples_follow_their_seed(rbm: RBM) -> None:
    one = rbm.sample(70, steps=5, seed=1)
    assert one.shape == (70, 4)
    assert set(np.unique(one)) == {0.0, 1.0}
    np.testing.assert_array_equal(one, rbm.sample(70, steps=5, seed=1, threads=1))
    assert (one != rbm.sample(70, steps=5, seed=2)).any()
    exact = rbm.sample(70, method="exact", seed=1)
    np.testing.assert_array_equal(exact, rbm.sample(70, method="exact", seed=1))


def test_given_units_keep_their_values(rbm: RBM) -> None:
    v = rbm.sample(40, steps=3, given={("v", 3): 1, ("v", 0): np.arange(40) % 2, ("h", 1): 0}, seed=1)
    assert (v[:, 3] == 1).all()
    np.testing.assert_array_equal(v[:, 0], np.arange(40) % 2)
    assert 0 < v[:, 1].mean() < 1


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({("v", 4): 1}, UnknownVariableError, r"Got \('v', 4\); the units are \('v', 0\) to \('v', 3\)"),
        ({("u", 0): 1}, UnknownVariableError, "Got"),
        ({3: 1}, UnknownVariableError, "Got 3"),
        ({("v", -1): 1}, UnknownVariableError, "Got"),
        ({("v", 0): 2}, ValueOutsideDomainError, r"given\[\('v', 0\)\] must be one of 0, 1. Got 2"),
        ({("v", 0): np.nan}, ValueOutsideDomainError, "must be one of"),
        ({("v", 0): [0, 1]}, ValueError, "one state or 5 of them"),
    ],
)
def test_given_units_that_do_not_fit_are_refused(
    rbm: RBM, given: dict[object, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rbm.sample(5, given=given, seed=1)  # type: ignore[arg-type]


def test_counts_are_checked(rbm: RBM) -> None:
    for call in (lambda: rbm.sample(0), lambda: rbm.sample(0, method="exact")):
        with pytest.raises(ValueError, match="n must be a positive whole number"):
            call()
    with pytest.raises(ValueError, match="steps must be a whole number, at least 0"):
        rbm.sample(3, steps=-1)
    with pytest.raises(ValueError, match="given must be left out"):
        rbm.sample(3, given={("v", 0): 1}, method="exact")


def test_chains_go_on_bit_for_bit(rbm: RBM) -> None:
    start = naive.all_states(4)
    whole = rbm.run_chains(16, 7, seed=3, start=start)
    parts = rbm.run_chains(rbm.run_chains(16, 3, seed=3, start=start), 4)
    np.testing.assert_array_equal(whole.visible, parts.visible)
    np.testing.assert_array_equal(whole.hidden, parts.hidden)
    with pytest.raises(ValueError, match="seed and start are for new chains"):
        rbm.run_chains(parts, 1, seed=1)
    with pytest.raises(ValueError, match=r"a row for each of the 5 chains\. Got 16"):
        rbm.run_chains(5, 1, start=start)


def test_copies_are_independent_and_can_go_to_another_process() -> None:
    rbm = RBM(4, 3, seed=1).fit(naive.all_states(4), "pcd", epochs=1)
    for other in (copy.deepcopy(rbm), pickle.loads(pickle.dumps(rbm))):
        other.fit(naive.all_states(4), epochs=1, resume=True)
        assert (other.weights != rbm.weights).any()
        assert len(rbm.history) == 1


def test_the_graph_reads_the_live_arrays() -> None:
    rbm = RBM.from_parameters(W, A, B)
    graph = rbm.graph
    assert isinstance(graph, nx.Graph)
    assert graph.edges[("v", 1), ("h", 2)]["weight"] == W[1, 2]
    rbm.weights[1, 2] = 7
    assert graph.edges[("v", 1), ("h", 2)]["weight"] == 7
    assert graph.nodes[("v", 0)] == {"bipartite": 0, "role": "visible", "units": "binary", "bias": A[0]}


def test_a_graph_and_back() -> None:
    back = RBM.from_graph(RBM.from_parameters(W, A, B).graph)
    np.testing.assert_array_equal(back.weights, W)
    np.testing.assert_array_equal(back.visible_bias, A)
    np.testing.assert_array_equal(back.hidden_bias, B)
    assert back.mask is None


def test_a_sparse_graph_keeps_its_zeros() -> None:
    graph = nx.Graph()
    for i in range(4):
        graph.add_node(("v", i), role="visible", bias=0.1 * i)
    for j in range(4):
        graph.add_edge(("v", j), ("h", j), weight=0.5)
        graph.add_edge(("v", (j + 1) % 4), ("h", j), weight=-0.5)
    rbm = RBM.from_graph(graph, seed=1)
    assert rbm.mask is not None
    assert rbm.mask.sum() == 8
    rbm.fit(naive.all_states(4)[:9], "cd", epochs=3, learning_rate=0.1)
    assert (rbm.weights[~rbm.mask] == 0).all()
    assert (np.abs(rbm.weights[rbm.mask]) != 0.5).all()
    assert rbm.graph.number_of_edges() == 8


def test_an_odd_cycle_is_refused() -> None:
    with pytest.raises(NotBipartiteError, match="odd cycle"):
        RBM.from_graph(nx.cycle_graph(3))


@pytest.mark.parametrize(
    "units",
    [("{-1, 0, 1}", "binary"), ("binomial(3)", "spin"), ("potts(3)", "integer(2)"), ("binary", "potts(4)")],
)
def test_any_finite_units_are_eliminated(units: tuple[str, str]) -> None:
    rbm = RBM(4, 3, *units, seed=0)
    rng = np.random.default_rng(0)
    rbm.set_parameters(**{name: rng.normal(size=value.shape) for name, value in rbm.parameters.items()})
    exact = rbm.log_partition("enumeration").value
    assert rbm.log_partition("elimination").value == pytest.approx(exact, rel=1e-13)
    states = rbm.run_chains(5, 2, seed=0)
    both = np.hstack([states.visible, states.hidden])
    np.testing.assert_allclose(rbm.graph.energy(both), rbm.energy(states.visible, states.hidden), rtol=1e-12)


def test_vectors_have_no_graph() -> None:
    with pytest.raises(NoFiniteDomainError, match=r"layer v \(heisenberg units\) cannot be listed"):
        _ = RBM(3, 2, "heisenberg", seed=0).graph


def test_enumeration_and_elimination_agree() -> None:
    rbm = RBM.from_parameters(W, A, B)
    eliminated = rbm.log_partition("elimination")
    assert eliminated.method == "elimination"
    assert eliminated.value == pytest.approx(rbm.log_partition("enumeration").value, rel=1e-13)


def test_a_sparse_model_past_the_limit_is_eliminated() -> None:
    n = 60
    mask = np.eye(n, dtype=bool) | np.eye(n, k=1, dtype=bool)
    w, a, b = naive.random_parameters(n, n, seed=41)
    chain = RBM.from_parameters(np.where(mask, w, 0), a, b, mask=mask, target="numpy")
    # The units form one chain h0 v0 h1 v1 ...: sum from its end, one 2 × 2 table after another.
    states = np.arange(2.0)
    tables = np.outer(states, states)
    log_sums = np.zeros(2)
    for i in reversed(range(n)):
        log_sums = np.logaddexp.reduce(a[i] * states + w[i, i] * tables + log_sums, axis=1)
        before = w[i - 1, i] if i else 0.0
        log_sums = np.logaddexp.reduce(b[i] * states + before * tables + log_sums, axis=1)
    assert chain.log_partition().value == pytest.approx(float(log_sums[0]), rel=1e-13)
    assert chain.log_partition().method == "elimination"
    with pytest.raises(EnumerationLimitError, match="eliminate on the graph"):
        chain.log_partition("enumeration")
    dense = RBM.from_parameters(w, a, b, mask=np.ones((n, n), dtype=bool), target="numpy")
    with pytest.raises(EnumerationLimitError):
        dense.log_partition()


def test_its_own_derivation() -> None:
    derivation = RBM(3, 2, seed=1).derivation()
    assert derivation.verify()
    assert derivation.result == derivation.term_a - derivation.term_b


@pytest.mark.parametrize("target", ["numpy", "numba"])
@pytest.mark.parametrize("units", [("spin", "spin"), ("binary", "spin"), ("spin", "binary")])
def test_other_units_of_two_states(units: tuple[str, str], target: str) -> None:
    states = [
        np.array(list(itertools.product(states_of(unit), repeat=n))) for unit, n in zip(units, (4, 3), strict=True)
    ]
    logs = np.array([[naive.log_weight(v, h, W, A, B) for h in states[1]] for v in states[0]])
    log_z = naive.log_sum_exp(list(logs.ravel()))
    rbm = RBM.from_parameters(W, A, B, *units, target=target)
    assert float(rbm.log_partition()) == pytest.approx(log_z, rel=1e-13)
    expected = np.exp(logs - log_z).sum(axis=1)
    np.testing.assert_allclose(np.exp(rbm.log_probability(states[0])), expected, rtol=1e-12)
    assert set(np.unique(rbm.sample(50, steps=2, seed=1))) == set(states_of(units[0]))
    x = states[0][[0, 3, 5, 9]]
    before = rbm.log_likelihood(x)
    assert rbm.fit(x, "exact", epochs=20, learning_rate=0.2).log_likelihood(x) > before
    with pytest.raises(ValueOutsideDomainError, match=units[0]):
        rbm.free_energy(np.full((1, 4), 2.0))
