from __future__ import annotations

import math

import numpy as np
import pytest

from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.exact.enumeration import answers, configurations, multilayer, sums
from pgm_rbm.machine.budget import Budget
from pgm_rbm.model.kernels import Kernels, pairwise_kernels
from pgm_rbm.model.model import Model
from tests.pgm_rbm import naive

Parameters = dict[str, np.ndarray]


@pytest.fixture(params=["numpy", "numba"])
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return pairwise_kernels(target=request.param)


def named(w: np.ndarray, a: np.ndarray, b: np.ndarray) -> Parameters:
    return {"w": w, "a": a, "b": b}


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(5, 3), (3, 5), (4, 4), (1, 1)])
def test_log_partition_and_averages_against_the_definition(kernels: Kernels, n_visible: int, n_hidden: int) -> None:
    w, a, b = naive.random_parameters(n_visible, n_hidden, seed=1)
    v, h, p = naive.joint(w, a, b)
    result = answers.expectations(Model.of(kernels, named(w, a, b)))
    assert result.log_partition == pytest.approx(naive.log_partition(w, a, b), rel=1e-13)
    # A few hundred additions of numbers of size one round at 1e-16 each.
    np.testing.assert_allclose(result.phase["a"], p @ v, rtol=0, atol=1e-13)
    np.testing.assert_allclose(result.phase["b"], p @ h, rtol=0, atol=1e-13)
    np.testing.assert_allclose(result.phase["w"], (v * p[:, None]).T @ h, rtol=0, atol=1e-13)


def test_zero_weights_have_a_closed_form(kernels: Kernels) -> None:
    _, a, b = naive.random_parameters(9, 6, seed=2, scale=3.0)
    result = answers.log_partition(Model.of(kernels, named(np.zeros((9, 6)), a, b)))
    expected = math.fsum(math.log1p(math.exp(x)) for x in (*a, *b))
    assert result.value == pytest.approx(expected, rel=1e-14)
    assert result.standard_error == 0
    assert result.method == "enumeration"


@pytest.mark.parametrize(
    ("coupling", "log_z"),
    [(0.2, 11.771470358541581), (math.log(1 + math.sqrt(2)) / 2, 15.521915458755284), (0.6, 20.056532884346808)],
)
def test_ising_torus(coupling: float, log_z: float) -> None:
    # The 4×4 torus (Kaufman 1949), one hidden unit an edge: e^{Kss'} = e^{−K}/2 Σ_t e^{Jt(s+s')} with
    # J = ½ arccosh e^{2K}, and s = 2x − 1, t = 2y − 1 for the binary x and y.
    sites = [(r, c) for r in range(4) for c in range(4)]
    edges = [((r, c), other) for r, c in sites for other in (((r + 1) % 4, c), (r, (c + 1) % 4))]
    j = math.acosh(math.exp(2 * coupling)) / 2
    w, a, b = np.zeros((16, len(edges))), np.zeros(16), np.full(len(edges), -4 * j)
    for column, edge in enumerate(edges):
        for site in edge:
            w[sites.index(site), column] += 4 * j
            a[sites.index(site)] -= 2 * j
    result = answers.log_partition(Model.of(pairwise_kernels(), named(w, a, b)))
    constant = len(edges) * (2 * j - coupling - math.log(2))
    # ln Z here is a difference of numbers near 100, and the table gives 17 digits of a number near 15.
    assert result.value + constant == pytest.approx(log_z, abs=1e-12)


@pytest.mark.parametrize("size", [1e3, 1e6, -1e6])
def test_weights_of_any_size(kernels: Kernels, size: float) -> None:
    w, a, b = naive.random_parameters(4, 3, seed=3)
    w, a = w * size, a * size
    result = answers.expectations(Model.of(kernels, named(w, a, b)))
    assert abs(result.log_partition) > 709
    assert result.log_partition == pytest.approx(naive.log_partition(w, a, b), rel=1e-14)
    assert np.isfinite(result.phase["w"]).all()


def test_a_very_negative_log_partition(kernels: Kernels) -> None:
    # Every term but the empty configuration's vanishes beside it, so ln Z = ln 1.
    result = answers.log_partition(Model.of(kernels, named(np.full((4, 3), -1e5), np.full(4, -1e5), np.full(3, -1e5))))
    assert result.value == pytest.approx(0.0, abs=1e-15)


def test_parts_are_joined_whatever_the_order_of_their_sizes(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    w, a, b = naive.random_parameters(9, 9, seed=4, scale=4.0)
    whole = answers.expectations(Model.of(kernels, named(w, a, b)))
    monkeypatch.setattr(sums, "_BLOCK_VALUES", 1)
    for sign in (1, -1):
        # Reversing the units reverses the order of the configurations, and with it where the largest one comes.
        parts = answers.expectations(Model.of(kernels, named(w[::sign, ::sign], a[::sign], b[::sign])))
        assert parts.log_partition == pytest.approx(whole.log_partition, rel=1e-14)
        np.testing.assert_allclose(parts.phase["w"][::sign, ::sign], whole.phase["w"], rtol=1e-12, atol=1e-15)


def test_the_number_of_threads_changes_no_bit(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "_BLOCK_VALUES", 1)
    w, a, b = naive.random_parameters(12, 10, seed=5)
    x = (np.random.default_rng(0).random((1500, 12)) < 0.5).astype(np.float64)
    one, two, three = (
        answers.gradient(Model.of(kernels, named(w, a, b)), x, budget=Budget(threads=n)) for n in (1, 2, 3)
    )
    for name in ("w", "a", "b"):
        np.testing.assert_array_equal(one.difference[name], two.difference[name])
        np.testing.assert_array_equal(one.difference[name], three.difference[name])


def test_probabilities_of_all_configurations_sum_to_one(kernels: Kernels) -> None:
    parameters = named(*naive.random_parameters(8, 5, seed=6))
    log_z = answers.log_partition(Model.of(kernels, parameters)).value
    p = np.exp(multilayer.log_probability(Model.of(kernels, parameters), naive.all_states(8), log_z))
    assert p.sum() == pytest.approx(1.0, abs=1e-13)


def test_single_precision_parameters_are_lifted(kernels: Kernels) -> None:
    w, a, b = (array.astype(np.float32) for array in naive.random_parameters(6, 4, seed=7))
    low = answers.expectations(Model.of(kernels, named(w, a, b)))
    high = answers.expectations(Model.of(kernels, named(*(array.astype(np.float64) for array in (w, a, b)))))
    assert low.log_partition == high.log_partition
    assert low.phase["w"].dtype == np.float64
    np.testing.assert_array_equal(low.phase["w"], high.phase["w"])


def test_gradient_against_finite_differences_of_the_definition(kernels: Kernels) -> None:
    w, a, b = naive.random_parameters(4, 3, seed=8, scale=0.7)
    x = (np.random.default_rng(8).random((7, 4)) < 0.5).astype(np.float64)
    result = answers.gradient(Model.of(kernels, named(w, a, b)), x)
    step = 1e-5
    for name, array in named(w, a, b).items():
        numeric = np.empty_like(array)
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + step
            up = naive.mean_log_probability(x, w, a, b)
            array[place] = kept - step
            down = naive.mean_log_probability(x, w, a, b)
            array[place] = kept
            numeric[place] = (up - down) / (2 * step)
        # The central difference errs by step²/6 times a third derivative, at most about 1e-10 here, and by the
        # rounding of ln p, 1e-15 over the step.
        np.testing.assert_allclose(result.difference[name], numeric, rtol=0, atol=1e-9)
        np.testing.assert_allclose(result[name], result.term_a[name] - result.term_b[name])
    assert result.weights is result["w"]
    assert result.visible_bias is result["a"]
    assert result.hidden_bias is result["b"]


def test_the_gradient_vanishes_where_data_and_model_agree(kernels: Kernels) -> None:
    # With zero weights p(v) is uniform, and so is the set of all configurations.
    parameters = named(np.zeros((5, 3)), np.zeros(5), np.zeros(3))
    result = answers.gradient(Model.of(kernels, parameters), naive.all_states(5))
    for value in result.difference.values():
        np.testing.assert_allclose(value, 0, atol=1e-15)


def test_too_many_configurations_are_refused_before_the_work_begins() -> None:
    kernels = pairwise_kernels(target="numpy")
    parameters = named(np.zeros((60, 40)), np.zeros(60), np.zeros(40))
    with pytest.raises(EnumerationLimitError, match=r"hidden, 40 binary.*2\*\*40.*limit=16777216") as caught:
        answers.log_partition(Model.of(kernels, parameters))
    assert caught.value.configurations == 2**40
    assert caught.value.limit == 2**24
    assert caught.value.seconds > 60
    assert caught.value.memory > 0


def test_a_hopeless_size_is_refused_too() -> None:
    kernels = pairwise_kernels(target="numpy")
    parameters = named(np.zeros((1200, 1100)), np.zeros(1200), np.zeros(1100))
    with pytest.raises(EnumerationLimitError, match=r"2\*\*1100"):
        answers.expectations(Model.of(kernels, parameters))


def test_the_limit_can_be_set(kernels: Kernels) -> None:
    parameters = named(*naive.random_parameters(6, 6, seed=9))
    with pytest.raises(EnumerationLimitError):
        answers.log_partition(Model.of(kernels, parameters), budget=Budget(configurations=63))
    assert answers.log_partition(Model.of(kernels, parameters), budget=Budget(configurations=64)).value > 0
    with pytest.raises(ValueError, match="limit must be a positive whole number"):
        Budget.of(limit=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_refused(value: float) -> None:
    parameters = named(*naive.random_parameters(3, 2, seed=10))
    parameters["a"][1] = value
    with pytest.raises(ValueError, match="parameter a must be finite"):
        answers.log_partition(Model.of(pairwise_kernels(target="numpy"), parameters))


def test_progress_counts_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "_BLOCK_VALUES", 1)
    seen: list[tuple[int, int]] = []
    model = Model.of(pairwise_kernels(target="numpy"), named(*naive.random_parameters(9, 9, seed=11)))
    answers.log_partition(model, Budget(progress=lambda done, total: seen.append((done, total))))
    assert seen == [(k, 8) for k in range(1, 9)]


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(6, 3), (3, 6)])
def test_exact_draws_are_states_and_follow_the_seed(kernels: Kernels, n_visible: int, n_hidden: int) -> None:
    parameters = named(*naive.random_parameters(n_visible, n_hidden, seed=12))
    v, h = configurations.sample(Model.of(kernels, parameters), 50, seed=1)
    assert v.shape == (50, n_visible)
    assert h.shape == (50, n_hidden)
    assert set(np.unique(v)) == set(np.unique(h)) == {0.0, 1.0}
    again = configurations.sample(Model.of(kernels, parameters), 50, seed=1, budget=Budget(threads=1))
    np.testing.assert_array_equal(v, again[0])
    np.testing.assert_array_equal(h, again[1])
    assert (v != configurations.sample(Model.of(kernels, parameters), 50, seed=2)[0]).any()


def test_constant_units_give_finite_answers(kernels: Kernels) -> None:
    # A unit without weights and data whose column never changes are where a division by a norm would give NaN.
    w, a, b = naive.random_parameters(4, 3, seed=13)
    w[2], w[:, 1] = 0, 0
    x = np.array([[0.0, 1.0, 0.0, 1.0]] * 3)
    result = answers.gradient(Model.of(kernels, named(w, a, b)), x)
    assert all(np.isfinite(value).all() for value in result.difference.values())
