from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import EnumerationLimitError, UnknownVariableError, ValueOutsideDomainError
from pgm_rbm.exact.enumeration import sums
from pgm_rbm.learning.cd_bias import contrastive_divergence_bias
from pgm_rbm.model.kernels import states_of
from tests.pgm_rbm import naive

UNITS = [("binary", "binary"), ("spin", "spin"), ("binary", "spin"), ("spin", "binary")]


@pytest.fixture(autouse=True)
def many_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "_BLOCK_VALUES", 1)


def model(
    units: tuple[str, str] = ("binary", "binary"),
    shape: tuple[int, int] = (6, 4),
    target: str = "numba",
    seed: int = 70,
) -> RBM:
    return RBM.from_parameters(*naive.random_parameters(*shape, seed=seed), *units, target=target)


def joint(rbm: RBM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All v, all h, and p(v, h), shape (all v, all h)."""
    layers = [
        np.array(list(itertools.product(states_of(unit), repeat=n)))
        for unit, n in ((rbm.visible_units, rbm.n_visible), (rbm.hidden_units, rbm.n_hidden))
    ]
    v, h = layers
    logs = v @ rbm.visible_bias[:, None] + h @ rbm.hidden_bias + v @ rbm.weights @ h.T
    p = np.exp(logs - logs.max())
    return v, h, p / p.sum()


def entropy(p: np.ndarray) -> float:
    return -math.fsum(q * math.log(q) for q in p.ravel() if q > 0)


@pytest.mark.parametrize("target", ["numba", "numpy"])
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("shape", [(6, 4), (3, 8)])
def test_entropies(units: tuple[str, str], shape: tuple[int, int], target: str) -> None:
    rbm = model(units, shape, target)
    _, _, p = joint(rbm)
    assert rbm.entropy() == pytest.approx(entropy(p), rel=1e-12)
    assert rbm.entropy("v") == pytest.approx(entropy(p.sum(axis=1)), rel=1e-12)
    assert rbm.entropy("h") == pytest.approx(entropy(p.sum(axis=0)), rel=1e-12)
    assert rbm.entropy("v", threads=1) == rbm.entropy("v", threads=3)


def test_entropy_of_the_uniform_and_of_a_certain_distribution() -> None:
    assert RBM.from_parameters(np.zeros((9, 7)), np.zeros(9), np.zeros(7)).entropy() == pytest.approx(16 * math.log(2))
    certain = RBM.from_parameters(np.zeros((3, 2)), np.full(3, 900.0), np.full(2, -900.0))
    assert 0 <= certain.entropy() < 1e-12
    assert certain.entropy("h") == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match=r"of must be 'joint', 'v' or 'h'\. Got 'x'"):
        certain.entropy("x")


def test_divergence_from_data() -> None:
    rbm = model()
    v, _, p = joint(rbm)
    x = v[np.random.default_rng(0).integers(0, 20, 50)]
    q = np.array([(x == one).all(axis=1).mean() for one in v])
    seen = q > 0
    expected = float(q[seen] @ np.log(q[seen] / p.sum(axis=1)[seen]))
    assert rbm.kl_divergence(x) == pytest.approx(expected, rel=1e-12)
    assert rbm.kl_divergence(x) == pytest.approx(-entropy(q) - rbm.log_likelihood(x), rel=1e-12)
    # A model of independent fair units, and data that hold every configuration once.
    uniform = RBM.from_parameters(np.zeros((6, 4)), np.zeros(6), np.ones(4))
    assert uniform.kl_divergence(v) == pytest.approx(0, abs=1e-13)


@pytest.mark.parametrize("target", ["numba", "numpy"])
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("shape", [(6, 4), (3, 8)])
def test_the_most_probable_configuration(units: tuple[str, str], shape: tuple[int, int], target: str) -> None:
    rbm = model(units, shape, target)
    v, h, p = joint(rbm)
    best = rbm.most_probable()
    i, j = np.unravel_index(p.argmax(), p.shape)
    np.testing.assert_array_equal(best.visible, v[i])
    np.testing.assert_array_equal(best.hidden, h[j])
    assert best.log_probability == pytest.approx(math.log(p[i, j]), rel=1e-12)
    alone = rbm.most_probable(of="v")
    assert alone.hidden is None
    np.testing.assert_array_equal(alone.visible, v[p.sum(axis=1).argmax()])
    assert alone.log_probability == pytest.approx(math.log(p.sum(axis=1).max()), rel=1e-12)
    np.testing.assert_array_equal(rbm.most_probable(of="h").hidden, h[p.sum(axis=0).argmax()])


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize(
    "given",
    [
        {("v", 1): 1},
        {("v", 0): 1, ("h", 2): 1, ("h", 0): 1},
        {("v", i): 1 for i in range(6)},
        {("h", j): 1 for j in range(4)},
        {("v", i): 1 for i in range(6)} | {("h", j): 1 for j in range(4)},
    ],
)
def test_the_most_probable_completion(units: tuple[str, str], given: dict[tuple[str, int], int]) -> None:
    rbm = model(units)
    v, h, p = joint(rbm)
    for (layer, unit), value in given.items():
        p = np.where((v[:, unit] == value)[:, None] if layer == "v" else h[:, unit] == value, p, 0)
    p = p / p.sum()
    best = rbm.most_probable(given)
    i, j = np.unravel_index(p.argmax(), p.shape)
    np.testing.assert_array_equal(best.visible, v[i])
    np.testing.assert_array_equal(best.hidden, h[j])
    assert best.log_probability == pytest.approx(math.log(p[i, j]), rel=1e-12, abs=1e-14)


def test_the_most_probable_configuration_of_more_units_than_the_lanes_span() -> None:
    rbm = model(shape=(14, 11), seed=3)
    v, h, p = joint(rbm)
    i, j = np.unravel_index(p.argmax(), p.shape)
    for threads in (1, 3):
        best = rbm.most_probable(threads=threads)
        np.testing.assert_array_equal(best.visible, v[i])
        np.testing.assert_array_equal(best.hidden, h[j])


@pytest.mark.parametrize("size", [1.0, 1e9, 1e13])
def test_lanes_that_stand_for_no_configuration_are_never_the_most_probable(size: float) -> None:
    # 27 and 81 configurations in 64 and 128 lanes.
    for n in (3, 4, 6):
        rbm = RBM.from_parameters(np.zeros((9, n)), np.full(9, size), np.full(n, -size), "binary", "{1, 2, 3}")
        best = rbm.most_probable()
        np.testing.assert_array_equal(best.hidden, np.ones(n))
        np.testing.assert_array_equal(best.visible, np.ones(9))


def test_of_equally_probable_ones_the_same_is_taken() -> None:
    rbm = RBM.from_parameters(np.zeros((9, 8)), np.zeros(9), np.zeros(8))
    one, two = rbm.most_probable(threads=1), rbm.most_probable(threads=2)
    np.testing.assert_array_equal(one.visible, two.visible)
    np.testing.assert_array_equal(one.hidden, two.hidden)
    assert one.log_probability == pytest.approx(-17 * math.log(2))


def test_impossible_questions_are_refused() -> None:
    rbm = model()
    with pytest.raises(UnknownVariableError):
        rbm.most_probable({("v", 6): 1})
    with pytest.raises(ValueOutsideDomainError):
        rbm.most_probable({("v", 0): 2})
    with pytest.raises(ValueError, match="given must be left out with of='v'"):
        rbm.most_probable({("v", 0): 1}, of="v")
    with pytest.raises(ValueError, match="of must be 'joint', 'v' or 'h'"):
        rbm.most_probable(of="both")
    for ask in (
        lambda: rbm.entropy("v", limit=63),
        lambda: rbm.most_probable(of="v", limit=63),
        lambda: rbm.log_partition("enumeration", limit=15),
    ):
        with pytest.raises(EnumerationLimitError):
            ask()


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("shape", [(6, 4), (3, 7), (9, 8)])
def test_exact_draws_follow_the_distribution(units: tuple[str, str], shape: tuple[int, int]) -> None:
    rbm = model(units, shape)
    v, _, p = joint(rbm)
    draws = 20_000
    found = rbm.sample(draws, method="exact", seed=1)
    np.testing.assert_array_equal(found, rbm.sample(draws, method="exact", seed=1, threads=1))
    place = {tuple(row): k for k, row in enumerate(v)}
    counts = np.bincount([place[tuple(row)] for row in found], minlength=len(v))
    expected = draws * p.sum(axis=1)
    often = expected >= 5
    pooled = np.append(expected[often], expected[~often].sum())
    seen = np.append(counts[often], counts[~often].sum())
    pooled, seen = pooled[pooled > 0], seen[pooled > 0]
    chi_square = float(((seen - pooled) ** 2 / pooled).sum())
    # χ² with d degrees of freedom exceeds d + 2√(d t) + 2t with a chance of at most e^{−t} (Laurent and Massart 2000,
    # lemma 1); t = ln 1e6.
    degrees, t = len(pooled) - 1, math.log(1e6)
    assert chi_square < degrees + 2 * math.sqrt(degrees * t) + 2 * t


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["w", "a", "b"])
def test_parameters_that_are_not_finite_are_refused(name: str, value: float) -> None:
    rbm = model()
    rbm.parameters[name].flat[0] = value
    whole_layer = {("v", i): 1 for i in range(6)}
    for given in ({}, whole_layer, whole_layer | {("h", j): 0 for j in range(4)}):
        with pytest.raises(ValueError, match=f"parameter {name} must be finite"):
            rbm.most_probable(given)
    for ask in (
        lambda: rbm.most_probable(of="v"),
        lambda: rbm.entropy(),
        lambda: rbm.sample(3, method="exact"),
        lambda: rbm.kl_divergence(naive.all_states(6)),
        lambda: rbm.fisher_information(),
    ):
        with pytest.raises(ValueError, match=f"parameter {name} must be finite"):
            ask()


def test_more_draws_than_memory_holds_are_refused_with_what_they_would_take() -> None:
    rbm = model(shape=(10, 10))
    with pytest.raises(
        EnumerationLimitError, match=r"10{12} exact draws would hold .*TiB.*1\.0 GiB.*Draw fewer"
    ) as caught:
        rbm.sample(10**12, method="exact")
    assert caught.value.memory > 10**12 * 8 * 20
    # What a limit lifts is said, and lifted.
    assert f"limit={caught.value.configurations} " in str(caught.value)
    assert len(rbm.sample(10**4, method="exact", limit=2**10)) == 10**4


def test_draws_hold_about_as_much_as_is_estimated() -> None:
    rbm = RBM(200, 10, seed=0)
    draws = 20_000
    rbm.sample(10, method="exact")
    tracemalloc.start()
    rbm.sample(draws, method="exact")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.2 * draws * 8 * (4 + 2 * 210)


def test_progress_is_told() -> None:
    rbm = model(shape=(9, 9))
    x = naive.all_states(9)[::50]
    for ask in (
        lambda show: rbm.sample(5, method="exact", progress=show),
        lambda show: rbm.kl_divergence(x, progress=show),
        lambda show: rbm.log_likelihood(x, progress=show),
        lambda show: contrastive_divergence_bias(rbm, x, progress=show),
        lambda show: rbm.entropy(progress=show),
        lambda show: rbm.entropy("h", progress=show),
        lambda show: rbm.most_probable(progress=show),
        lambda show: rbm.most_probable(of="v", progress=show),
    ):
        seen: list[tuple[int, int]] = []
        ask(lambda done, total, seen=seen: seen.append((done, total)))
        assert seen[-1][0] == seen[-1][1] == len(seen)
