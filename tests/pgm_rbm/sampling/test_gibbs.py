from __future__ import annotations

import numpy as np
import pytest

from pgm_rbm.machine.budget import Budget
from pgm_rbm.model.kernels import Kernels, pairwise_kernels
from pgm_rbm.model.model import Model
from pgm_rbm.sampling import Chains, Clamp, Purpose, derive_key, generator, resolve_seed, run_chains, start_chains
from tests.pgm_rbm import naive

SEED = 20


@pytest.fixture(params=["numpy", "numba"])
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return pairwise_kernels(target=request.param)


@pytest.fixture
def parameters() -> dict[str, np.ndarray]:
    w, a, b = naive.random_parameters(7, 5, seed=SEED)
    return {"w": w, "a": a, "b": b}


@pytest.fixture
def model(kernels: Kernels, parameters: dict[str, np.ndarray]) -> Model:
    return Model.of(kernels, parameters)


def same(one: Chains, other: Chains) -> bool:
    return (
        np.array_equal(one.visible, other.visible)
        and np.array_equal(one.hidden, other.hidden)
        and (one.seed, one.sweeps) == (other.seed, other.sweeps)
    )


def test_keys_of_different_places_differ() -> None:
    keys = {
        derive_key(seed, purpose, step, sweep)
        for seed in (0, 1, 2**63)
        for purpose in Purpose
        for step in range(20)
        for sweep in range(20)
    }
    assert len(keys) == 3 * len(Purpose) * 400
    assert all(0 <= key < 2**64 for key in keys)


def test_bits_of_keys_are_balanced() -> None:
    keys = np.array([derive_key(0, Purpose.VISIBLE, step) for step in range(4096)], dtype=np.uint64)
    ones = [int((keys >> np.uint64(bit) & np.uint64(1)).sum()) for bit in range(64)]
    # A fair bit has 2048 ± 32 ones in 4096 keys; six deviations leave a chance below 1e-6 over all 64.
    assert max(abs(count - 2048) for count in ones) < 6 * 32


def test_a_key_means_the_same_in_every_version() -> None:
    # Saved runs go on by deriving the same keys again.
    assert derive_key(0, Purpose.VISIBLE, 1, 2) == derive_key(0, Purpose.VISIBLE, 1, 2)
    assert generator(5, Purpose.SHUFFLE, 3).random() == generator(5, Purpose.SHUFFLE, 3).random()


def test_seeds() -> None:
    assert resolve_seed(7) == 7
    assert resolve_seed(None) != resolve_seed(None)
    with pytest.raises(ValueError, match="between 0 and"):
        resolve_seed(-1)
    for wrong in (1.5, "1", True):
        with pytest.raises(TypeError, match="seed must be a whole number"):
            resolve_seed(wrong)  # type: ignore[arg-type]


def test_chains_in_two_goes_are_chains_in_one(model: Model) -> None:
    start = start_chains(model, 100, SEED)
    once = run_chains(model, start, 45)
    twice = run_chains(model, run_chains(model, start, 40), 5)
    assert same(once, twice)
    assert once.sweeps == 45


def test_the_number_of_threads_changes_no_bit(model: Model) -> None:
    results = [
        run_chains(
            model,
            start_chains(model, 20_000, SEED, budget=Budget(threads=n)),
            20,
            budget=Budget(threads=n),
        )
        for n in (1, 2, 5)
    ]
    assert same(results[0], results[1])
    assert same(results[0], results[2])


def test_chains_move_and_leave_what_was_passed_in(model: Model) -> None:
    start = start_chains(model, 50, SEED)
    before = start.visible.copy()
    after = run_chains(model, start, 1)
    np.testing.assert_array_equal(start.visible, before)
    assert (after.visible != before).any(axis=0).all()
    assert (run_chains(model, after, 1).visible != after.visible).any(axis=0).all()


def test_no_sweeps_is_where_the_chains_start(model: Model) -> None:
    start = start_chains(model, 10, SEED)
    assert same(run_chains(model, start, 0), start)


def test_chains_start_from_the_states_given(model: Model) -> None:
    visible = naive.all_states(7)
    start = start_chains(model, len(visible), SEED, visible=visible)
    np.testing.assert_array_equal(start.visible, visible)


def test_different_seeds_differ(model: Model) -> None:
    one, two = (start_chains(model, 50, seed) for seed in (1, 2))
    assert (one.visible != two.visible).any()


@pytest.mark.parametrize("sweeps", [0, 1, 3])
def test_hidden_states_belong_to_the_visible_states_beside_them(kernels: Kernels, sweeps: int) -> None:
    # With couplings this strong h is v, so a hidden state that was drawn before the last v would show.
    n = 6
    parameters = {"w": 200 * np.eye(n), "a": np.full(n, -100.0), "b": np.full(n, -100.0)}
    chains = run_chains(Model.of(kernels, parameters), start_chains(Model.of(kernels, parameters), 40, SEED), sweeps)
    np.testing.assert_array_equal(chains.hidden, chains.visible)
    # Weak couplings let v change in every sweep; then the last h must still be the draw given the last v.
    parameters = {"w": np.zeros((n, n)), "a": np.zeros(n), "b": np.zeros(n)}
    chains = run_chains(Model.of(kernels, parameters), start_chains(Model.of(kernels, parameters), 40, SEED), sweeps)
    expected = kernels.sample("h", chains.visible, derive_key(SEED, Purpose.HIDDEN, sweeps), first_row=0, **parameters)
    np.testing.assert_array_equal(chains.hidden, expected)


def test_clamped_units_keep_their_values(model: Model) -> None:
    n = 90
    each = np.arange(n)[:, None] % 2.0
    clamps = {
        "v": Clamp(np.array([2, 5]), np.hstack([each, np.ones((n, 1))])),
        "h": Clamp(np.array([4]), np.array([[0.0]])),
    }
    start = start_chains(model, n, SEED, clamps=clamps)
    for chains in (start, run_chains(model, start, 7, clamps=clamps)):
        np.testing.assert_array_equal(chains.visible[:, 2], each[:, 0])
        assert (chains.visible[:, 5] == 1).all()
        assert (chains.hidden[:, 4] == 0).all()
    assert (chains.visible[:, [0, 1, 3, 4, 6]].std(axis=0) > 0).all()


def test_single_precision_stays_single(kernels: Kernels, parameters: dict[str, np.ndarray]) -> None:
    single = {name: value.astype(np.float32) for name, value in parameters.items()}
    chains = run_chains(Model.of(kernels, single), start_chains(Model.of(kernels, single), 10, SEED), 2)
    assert chains.visible.dtype == chains.hidden.dtype == np.float32
