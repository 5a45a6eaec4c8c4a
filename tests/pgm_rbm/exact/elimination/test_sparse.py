"""RBMs whose layers are too large to enumerate but whose graph is sparse: every exact answer, by elimination.

On small models a limit of one configuration leaves elimination alone, and enumeration says what is right.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import EnumerationLimitError, IntractableError, ModelError, NoFiniteDomainError
from pgm_rbm.exact import choice
from pgm_rbm.exact.elimination import sparse
from pgm_rbm.exact.elimination.cost import Elimination
from pgm_rbm.machine.budget import Budget
from symbolic import Energy, energies

# Sums of some hundred terms in float64, taken in another order.
CLOSE = {"rtol": 1e-11, "atol": 1e-13}


def band(n: int, width: int) -> npt.NDArray[np.bool_]:
    """A mask of n × n units in which i and j have an edge for i ≤ j < i + width: of treewidth about ``width``."""
    offset = np.arange(n)[None, :] - np.arange(n)[:, None]
    return (offset >= 0) & (offset < width)


def model(mask: npt.NDArray[np.bool_], units: tuple[str, str], seed: int = 0, scale: float = 0.7) -> RBM:
    rng = np.random.default_rng(seed)
    return RBM.from_parameters(
        np.where(mask, scale * rng.normal(size=mask.shape), 0.0),
        scale * rng.normal(size=len(mask)),
        scale * rng.normal(size=mask.shape[1]),
        *units,
        mask=mask,
    )


UNITS = [("binary", "binary"), ("spin", "{-1, 0, 1}"), ("binomial(3)", "binary"), ("integer(2)", "spin")]
MASKS = {
    "chain": band(5, 2),
    "parts": np.kron(np.eye(2, dtype=bool), np.ones((2, 3), bool)),
    "lone units": np.pad(band(3, 2), ((0, 2), (0, 1))),
    "tree": np.array([[1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], dtype=bool),
}


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("name", MASKS)
def test_every_answer_is_that_of_enumeration(name: str, units: tuple[str, str]) -> None:
    rbm = model(MASKS[name], units)
    states = rbm.run_chains(7, 5, seed=0).visible
    assert isinstance(choice.taken(rbm.model, "marginals", Budget()), choice.Enumeration)
    assert isinstance(choice.taken(rbm.model, "marginals", Budget(configurations=1)), Elimination)
    enumerated, eliminated = rbm.moments(), rbm.moments(limit=1)
    for which in ("v", "h", "vh"):
        np.testing.assert_allclose(getattr(eliminated, which), getattr(enumerated, which), **CLOSE)
    right, found = rbm.expectations(), rbm.expectations(limit=1)
    assert found.log_partition == pytest.approx(right.log_partition, rel=1e-13)
    for parameter in "abw":
        np.testing.assert_allclose(found.phase[parameter], right.phase[parameter], **CLOSE)
    assert not right.phase["w"][~MASKS[name]].any()
    gradients = rbm.gradient(states), rbm.gradient(states, limit=1)
    for parameter in "abw":
        np.testing.assert_allclose(gradients[1][parameter], gradients[0][parameter], **CLOSE)
    assert rbm.entropy(limit=1) == pytest.approx(rbm.entropy(), rel=1e-11)
    np.testing.assert_allclose(rbm.log_probability(states, limit=1), rbm.log_probability(states), rtol=1e-12)
    assert rbm.kl_divergence(states, limit=1) == pytest.approx(rbm.kl_divergence(states), rel=1e-11)
    given = {("v", 0): states[0, 0]}
    for known in (None, given):
        best, other = rbm.most_probable(known), rbm.most_probable(known, limit=1)
        np.testing.assert_array_equal(other.visible, best.visible)
        np.testing.assert_array_equal(other.hidden, best.hidden)
        assert other.log_probability == pytest.approx(best.log_probability, rel=1e-11)
    assert other.visible.dtype == best.visible.dtype


def test_the_gradient_is_that_of_the_likelihood() -> None:
    rbm = model(band(30, 3), ("binary", "spin"))
    x = rbm.run_chains(5, 3, seed=1).visible
    gradient = rbm.gradient(x)
    step = 1e-5
    for name, place in (("a", (4,)), ("b", (17,)), ("w", (10, 11)), ("w", (29, 29))):
        values = []
        for sign in (-1, 1):
            array = rbm.parameters[name].copy()
            array[place] += sign * step
            moved = RBM.from_parameters(
                **{"weights": rbm.weights, "visible_bias": rbm.visible_bias, "hidden_bias": rbm.hidden_bias}
                | {{"a": "visible_bias", "b": "hidden_bias", "w": "weights"}[name]: array},
                visible_units="binary",
                hidden_units="spin",
                mask=rbm.mask,
            )
            values.append(moved.log_likelihood(x))
        # central differences: 1e-10 of truncation and 1e-16 · 50 / 1e-5 of rounding
        assert gradient[name][place] == pytest.approx((values[1] - values[0]) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("width", [1, 2, 5, 10])
def test_layers_of_forty_units(width: int) -> None:
    rbm = model(band(40, width), ("binary", "binary"), scale=0.5)
    found = rbm.tractability()
    assert found.method == rbm.log_partition().method == "elimination"
    assert all(way.taken == (way.name == "elimination") for way in found.ways if way.question == "gradient, moments")
    phase = rbm.expectations().phase
    singles, pairs = rbm.graph.marginals(), rbm.graph.pair_marginals()
    np.testing.assert_allclose(phase["a"], [singles["v", i][1] for i in range(40)], **CLOSE)
    np.testing.assert_allclose(phase["b"], [singles["h", j][1] for j in range(40)], **CLOSE)
    for (u, v), table in pairs.items():
        assert phase["w"][u[1], v[1]] == pytest.approx(table[1, 1], rel=1e-11)
    best, draws = rbm.most_probable(), rbm.sample(500, method="exact", seed=0)
    assert best.log_probability == pytest.approx(
        -rbm.energy(best.visible[None], best.hidden[None])[0] - rbm.log_partition(), rel=1e-11
    )
    assert draws.shape == (500, 40)
    # 40 means within 5 standard errors: by chance one seed in 40,000 has one outside
    error = np.sqrt(phase["a"] * (1 - phase["a"]) / 500)
    assert (np.abs(draws.mean(axis=0) - phase["a"]) < 5 * error).all()
    assert rbm.entropy() == pytest.approx(rbm.graph.entropy(), rel=1e-12)


def test_pairs_without_an_edge_are_found_by_conditioning() -> None:
    rbm = model(band(12, 2), ("spin", "spin"))
    exact = rbm.moments().vh
    by_hand = sparse.expectations(rbm.graph.arrays, Budget(), every_pair=True)
    np.testing.assert_allclose(by_hand.phase["w"], exact, **CLOSE)
    pairs = rbm.graph.pair_marginals([(("v", 0), ("h", 9)), (("v", 11), ("h", 3))])
    for (u, v), table in pairs.items():
        assert by_hand.phase["w"][u[1], v[1]] == pytest.approx(table[0, 0] + table[1, 1] - table[0, 1] - table[1, 0])
    seen: list[tuple[int, int]] = []
    rbm.moments(limit=1, progress=lambda *at: seen.append(at))
    assert seen == sorted(seen)
    assert len({total for _, total in seen}) == 1
    assert seen[-1][0] == seen[-1][1]


def test_zeros_without_a_mask_are_parameters() -> None:
    mask = band(6, 2)
    rng = np.random.default_rng(3)
    rbm = RBM.from_parameters(np.where(mask, rng.normal(size=(6, 6)), 0.0), rng.normal(size=6), rng.normal(size=6))
    for name, found in rbm.expectations(limit=1).phase.items():
        np.testing.assert_allclose(found, rbm.expectations().phase[name], **CLOSE)


@pytest.mark.parametrize("units", [("potts(3)", "binary"), ("{-1, 0, 1}", "potts(2)"), ("potts(2)", "potts(3)")])
def test_labels(units: tuple[str, str]) -> None:
    rbm = RBM(4, 3, *units, seed=0)
    rng = np.random.default_rng(0)
    rbm.set_parameters(**{name: rng.normal(size=value.shape) for name, value in rbm.parameters.items()})
    x = rbm.run_chains(6, 3, seed=0).visible
    for name, found in rbm.gradient(x, limit=1).difference.items():
        np.testing.assert_allclose(found, rbm.gradient(x)[name], **CLOSE)
    assert rbm.entropy(limit=1) == pytest.approx(rbm.entropy(), rel=1e-11)
    assert rbm.log_partition(limit=1).method == "elimination"


def test_what_neither_way_can_do_says_what_both_would_take() -> None:
    rbm = RBM(300, 40, seed=0)
    with pytest.raises(EnumerationLimitError, match=r"2\*\*40 config.*Elimination on the graph would need"):
        rbm.log_partition()
    with pytest.raises(EnumerationLimitError, match=r"allows 1.0 TiB. Pass a larger memory_limit for that"):
        rbm.log_partition(memory_limit=2**40)
    for ask in (rbm.moments, rbm.entropy, rbm.most_probable, lambda: rbm.sample(2, method="exact")):
        with pytest.raises(
            EnumerationLimitError, match=r"Ask rbm.graph, whose methods take a larger memory_limit, for"
        ):
            ask()
    with pytest.raises(IntractableError, match=r"memory_limit allows 1.0 GiB. Pass a larger memory_limit, or use what"):
        rbm.log_partition("elimination")
    with pytest.raises(IntractableError, match=r"at least .*no order was found .*\. Use what needs no ln Z: Gibbs"):
        RBM(300, 60, seed=0).log_partition("elimination", memory_limit=2**60)


def test_arguments_of_the_other_method_are_refused() -> None:
    rbm = RBM(4, 3, seed=0)
    for method, arguments in (
        ("elimination", {"limit": 8}),
        ("elimination", {"executor": lambda: None}),
        ("enumeration", {"memory_limit": 2**20}),
        ("enumeration", {"time_limit": 3.0}),
    ):
        with pytest.raises(ValueError, match=f"{next(iter(arguments))} has no meaning with method='{method}'"):
            rbm.log_partition(method, **arguments)  # type: ignore[arg-type]
    seen: list[tuple[int, int]] = []
    rbm.log_partition("elimination", progress=lambda *at: seen.append(at))
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize("value", [0, -1, math.nan, "x", True, [3]])
@pytest.mark.parametrize("name", ["memory_limit", "time_limit"])
def test_limits_are_positive_numbers(name: str, value: object) -> None:
    rbm = RBM(4, 3, seed=0)
    graph = rbm.graph
    for ask in (rbm.log_partition, rbm.tractability, graph.log_partition, graph.marginals, graph.tractability):
        with pytest.raises(ValueError, match=f"{name} must be a positive number"):
            ask(**{name: value})  # type: ignore[operator]
    for fine in (None, math.inf, np.float64(1e9), np.int64(2**40)):
        assert rbm.graph.log_partition(**{name: fine}).exact  # type: ignore[arg-type]


def ways(rbm: RBM) -> dict[tuple[str, str], bool]:
    found = rbm.tractability()
    for way in found.ways:
        assert way.operations > 0
        assert way.memory > 0
        assert 0.0 <= way.seconds < math.inf
    if found.feasible:
        assert rbm.log_partition().method == found.method
    assert str(found)
    return {(way.name, way.question): way.taken for way in found.ways}


def test_every_model_has_a_report() -> None:
    asked = ("ln Z", "gradient, moments")
    both = {("enumeration", question) for question in asked} | {("elimination", question) for question in asked}
    for units in (("{-1, 0, 1}", "binomial(2)"), ("potts(3)", "spin"), ("integer(3)", "binary")):
        assert both <= set(ways(RBM(5, 4, *units, seed=0)))
    for rbm, reason in (
        (RBM(5, 4, "gaussian", seed=0), r"the values of layer v \(gaussian\) cannot be listed"),
        (RBM(5, 4, "heisenberg", seed=0), r"the values of layer v \(heisenberg\) cannot be listed"),
    ):
        assert set(ways(rbm)) == {("enumeration", question) for question in asked}
        assert any(reason.replace("\\", "") in note for note in rbm.tractability().notes)
    deep = RBM.from_energy(energies.deep(), sizes={"v": 6, "h1": 4, "h2": 2}, seed=0)
    assert {"ln Z", "most probable"} <= {question for way, question in ways(deep) if way == "elimination"}
    assert ("elimination", "gradient, moments") not in ways(deep)  # of the pairwise energy only
    conditional = RBM.from_energy(energies.conditional(), sizes={"v": 3, "h": 2, "x": 2}, seed=0)
    report_of = conditional.tractability()
    assert (report_of.method, report_of.ways, report_of.seconds) == ("sampling", (), math.inf)
    assert "There is no exact way to ln Z" in str(report_of)
    assert any("Z depends on the input x" in note for note in report_of.notes)


def test_what_has_no_graph_says_so() -> None:
    with pytest.raises(ModelError, match=r"no graph to eliminate on: the values of layer v \(gaussian\)"):
        RBM(3, 2, "gaussian", seed=0).log_partition("elimination")
    squared = Energy.parse(
        "-exp(sum(v[i]*w[i], i)) - sum(b[j]*h[j], j)", visible={"v": "binary"}, hidden={"h": "binary"}
    )
    with pytest.raises(ModelError, match=r"no graph to eliminate on: .* takes a function of a sum over units"):
        RBM.from_energy(squared, sizes={"v": 4, "h": 3}, seed=0).log_partition("elimination")
    assert issubclass(NoFiniteDomainError, ModelError)


# Learning


def banded(n: int, weight: float, seed: int = 1) -> RBM:
    offset = np.arange(n)[None, :] - np.arange(n)[:, None]
    mask = (offset >= 0) & (offset < 3)
    return RBM.from_parameters(np.where(mask, weight, 0.0), np.zeros(n), np.zeros(n), mask=mask, seed=seed)


def test_exact_learning_by_elimination_takes_the_steps_of_enumeration() -> None:
    x = banded(8, 1.0).sample(60, method="exact", seed=0)
    one, other = banded(8, 0.01), banded(8, 0.01)
    one.fit(x, epochs=2, algorithm="exact", batch_size=20)
    other.fit(x, epochs=2, algorithm="exact", batch_size=20, limit=2**4)  # fewer than either layer has
    for name, value in one.parameters.items():
        np.testing.assert_allclose(other.parameters[name], value, rtol=1e-12, atol=1e-14)
    assert not other.parameters["w"][~banded(8, 1.0).mask].any()


def test_a_machine_too_large_to_enumerate_learns_exactly() -> None:
    x = banded(30, 1.0).sample(100, method="exact", seed=0)
    rbm = banded(30, 0.01)
    before = rbm.log_likelihood(x)
    rbm.fit(x, epochs=1, algorithm="exact", batch_size=50, learning_rate=0.3)
    assert rbm.log_likelihood(x) > before + 1  # nats a row, of two steps up the exact gradient
    with pytest.raises(EnumerationLimitError, match=r"100000000 exact steps .* by elimination.*Pass a limit="):
        rbm.fit(x, epochs=50_000_000, algorithm="exact", batch_size=50)


def test_weights_that_learning_makes_dense_are_refused() -> None:
    """Without a mask every weight is trained, and after a step none is zero."""
    weights = np.zeros((30, 28))
    weights[0, 0] = 1.3
    rbm = RBM.from_parameters(weights, np.ones(30), np.zeros(28), target="numpy")
    with pytest.raises(EnumerationLimitError, match="Elimination on the graph would need an induced width of 28"):
        rbm.fit(rbm.run_chains(10, 2, seed=1).visible, "exact", epochs=2, seed=5)
