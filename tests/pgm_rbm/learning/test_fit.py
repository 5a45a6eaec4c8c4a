from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.exact.enumeration import cost
from pgm_rbm.learning import cost as learning_cost
from pgm_rbm.learning import loop
from pgm_rbm.learning.history import EpochRecord, History
from pgm_rbm.learning.initialise import matching_visible_bias
from pgm_rbm.learning.monitor import pseudo_log_likelihood
from pgm_rbm.learning.settings import Settings
from pgm_rbm.learning.updates import SGD, Adam, NaturalGradient, optimiser_from, optimiser_settings
from pgm_rbm.machine import workers
from pgm_rbm.sampling import Purpose, derive_key, generator
from tests.pgm_rbm import naive

TARGETS = ["numpy", "numba"]


@pytest.fixture(autouse=True)
def many_small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the work of these small models into several blocks and pieces, as that of large ones is."""
    monkeypatch.setattr(workers, "_VALUES", 1)
    monkeypatch.setattr(loop, "_PIECE", 7)


def data(rows: int, columns: int = 8, seed: int = 0) -> np.ndarray:
    """Rows with structure to learn: two prototypes with a tenth of the units turned over."""
    rng = np.random.default_rng(seed)
    prototypes = rng.integers(0, 2, (2, columns))
    return prototypes[rng.integers(0, 2, rows)] ^ (rng.random((rows, columns)) < 0.1)


def model(target: str = "numpy", dtype: type = np.float64, columns: int = 8) -> RBM:
    return RBM(columns, 5, seed=3, dtype=dtype, target=target)


def assert_same(one: RBM, other: RBM) -> None:
    for name, value in one.parameters.items():
        np.testing.assert_array_equal(value, other.parameters[name])


def moved(before: dict[str, np.ndarray], rbm: RBM) -> dict[str, np.ndarray]:
    return {name: rbm.parameters[name] - before[name] for name in before}


def average(rbm: RBM, v: np.ndarray, parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """⟨−∂E/∂θ⟩ over the rows of v, h averaged exactly."""
    return {name: value / len(v) for name, value in rbm.kernels.phase(v, of="v", **parameters).items()}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("k", [1, 3])
def test_cd_with_a_ragged_last_batch(target: str, k: int) -> None:
    # Trained on 2 batches of 12 and 4 rows; each phase must be divided by its own number of rows.
    x = data(16).astype(np.float64)
    rbm = model(target)
    parameters = {name: value.copy() for name, value in rbm.parameters.items()}
    rbm.fit(x, "cd", k=k, epochs=1, batch_size=12, learning_rate=0.3, seed=9, shuffle=False, threads=1)
    kernels = rbm.kernels
    for step, rows in enumerate((x[:12], x[12:])):
        h = kernels.sample("h", rows, derive_key(9, Purpose.DATA_HIDDEN, step, 0), first_row=0, **parameters)
        for sweep in range(k):
            v = kernels.sample("v", h, derive_key(9, Purpose.VISIBLE, step, sweep), first_row=0, **parameters)
            h = kernels.sample("h", v, derive_key(9, Purpose.HIDDEN, step, sweep), first_row=0, **parameters)
        a, b = average(rbm, rows, parameters), average(rbm, v, parameters)
        parameters = {name: value + 0.3 * (a[name] - b[name]) for name, value in parameters.items()}
    for name, value in parameters.items():
        np.testing.assert_allclose(rbm.parameters[name], value, rtol=0, atol=1e-14)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("n_chains", [3, 7, 150])
@pytest.mark.parametrize("k", [1, 2])
def test_pcd_with_another_number_of_chains_than_rows(target: str, n_chains: int, k: int) -> None:
    x = data(16).astype(np.float64)
    rbm = model(target)
    parameters = {name: value.copy() for name, value in rbm.parameters.items()}
    kernels = rbm.kernels
    v = x[generator(9, Purpose.START).integers(16, size=n_chains)]
    h = kernels.sample("h", v, derive_key(9, Purpose.HIDDEN, 0), first_row=0, **parameters)
    rbm.fit(
        x,
        "pcd",
        k=k,
        epochs=1,
        batch_size=12,
        learning_rate=0.3,
        seed=9,
        n_chains=n_chains,
        shuffle=False,
        threads=1,
    )
    for step, rows in enumerate((x[:12], x[12:])):
        for sweep in range(k):
            v = kernels.sample("v", h, derive_key(9, Purpose.VISIBLE, step, sweep), first_row=0, **parameters)
            h = kernels.sample("h", v, derive_key(9, Purpose.HIDDEN, step, sweep), first_row=0, **parameters)
        a, b = average(rbm, rows, parameters), average(rbm, v, parameters)
        parameters = {name: value + 0.3 * (a[name] - b[name]) for name, value in parameters.items()}
    for name, value in parameters.items():
        np.testing.assert_allclose(rbm.parameters[name], value, rtol=0, atol=1e-14)
    chains = rbm._training.state.chains  # type: ignore[union-attr]
    np.testing.assert_array_equal(chains.visible, v)
    np.testing.assert_array_equal(chains.hidden, h)
    assert chains.sweeps == 2 * k


@pytest.mark.parametrize("target", TARGETS)
def test_an_exact_step_follows_the_exact_gradient(target: str) -> None:
    x = data(20)
    rbm = model(target)
    before = {name: value.copy() for name, value in rbm.parameters.items()}
    expected = rbm.gradient(x).difference
    rbm.fit(x, "exact", epochs=1, batch_size=20, learning_rate=0.25, shuffle=False)
    for name, change in moved(before, rbm).items():
        np.testing.assert_allclose(change, 0.25 * expected[name], rtol=0, atol=1e-15)
    norm = np.sqrt(sum(float((value**2).sum()) for value in expected.values()))
    assert rbm.history[0].gradient_norm == pytest.approx(norm, rel=1e-13)


@pytest.mark.parametrize("algorithm", ["cd", "pcd", "exact"])
def test_learning_raises_the_exact_likelihood(algorithm: str) -> None:
    x = data(200)
    rbm = model("numba")
    before = rbm.log_likelihood(x)
    rbm.fit(x, algorithm, epochs=40, batch_size=20, learning_rate=0.1)
    # Independent units at the data's own means are what biases alone can reach; structure lies beyond.
    p = x.mean(axis=0)
    independent = float((p * np.log(p) + (1 - p) * np.log(1 - p)).sum())
    assert rbm.log_likelihood(x) > independent + 0.5 > before


@pytest.mark.parametrize("algorithm", ["cd", "pcd", "exact"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", TARGETS)
def test_the_number_of_threads_changes_no_bit(algorithm: str, dtype: type, target: str) -> None:
    x = data(300)
    settings = {"algorithm": algorithm, "epochs": 2, "batch_size": 200, "n_chains": 130, "momentum": 0.5}
    one, two, four = (model(target, dtype).fit(x, threads=n, **settings) for n in (1, 2, 4))  # type: ignore[arg-type]
    assert_same(one, two)
    assert_same(one, four)


@pytest.mark.parametrize("algorithm", ["cd", "pcd", "exact"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("target", TARGETS)
def test_save_load_and_one_more_epoch_is_as_if_it_had_not_stopped(
    algorithm: str, optimizer: str, target: str, tmp_path: Path
) -> None:
    x = data(50)
    momentum = 0.9 if optimizer == "sgd" else None
    settings = {
        "algorithm": algorithm,
        "k": 2,
        "batch_size": 16,
        "optimizer": optimizer,
        "momentum": momentum,
        "weight_decay": 0.001,
        "n_chains": 10,
    }
    whole = model(target, np.float32).fit(x, epochs=4, **settings)  # type: ignore[arg-type]
    first = model(target, np.float32).fit(x, epochs=3, **settings)  # type: ignore[arg-type]
    first.save(tmp_path / "model")
    loaded = RBM.load(tmp_path / "model").fit(x, epochs=1, resume=True)
    first.fit(x, epochs=1, resume=True)
    assert_same(whole, loaded)
    assert_same(whole, first)
    assert [record.epoch for record in loaded.history] == [1, 2, 3, 4]
    assert [record.steps for record in loaded.history] == [4, 8, 12, 16]
    np.testing.assert_array_equal(loaded.history["log_likelihood"], whole.history["log_likelihood"])


def test_resuming_takes_what_is_changed_and_keeps_the_rest() -> None:
    x = data(50)
    rbm = model().fit(x, "cd", k=2, epochs=1, batch_size=16, learning_rate=0.2)
    rbm.fit(x, epochs=1, learning_rate=0.1, resume=True)
    settings = rbm._training.state.settings  # type: ignore[union-attr]
    assert (settings.algorithm, settings.k, settings.batch_size, settings.learning_rate) == ("cd", 2, 16, 0.1)
    rbm.fit(x, "pcd", epochs=1, optimizer="adam", n_chains=4, resume=True)
    rbm.fit(x[:20], epochs=1, n_chains=6, resume=True)
    assert len(rbm._training.state.chains) == 6  # type: ignore[union-attr, arg-type]
    assert len(rbm.history) == 4


def test_fitting_again_without_resume_starts_a_new_history() -> None:
    x = data(50)
    rbm = model().fit(x, epochs=2)
    weights = rbm.weights.copy()
    rbm.fit(x, epochs=1)
    assert [record.epoch for record in rbm.history] == [1]
    assert (rbm.weights != weights).any()


def test_persistent_chains_change_from_step_to_step() -> None:
    rbm = model().fit(data(50), "pcd", epochs=1, n_chains=20)
    first = rbm._training.state.chains.visible.copy()  # type: ignore[union-attr]
    rbm.fit(data(50), epochs=1, resume=True)
    assert (rbm._training.state.chains.visible != first).any(axis=0).all()  # type: ignore[union-attr]


@pytest.mark.parametrize("algorithm", ["cd", "pcd", "exact"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_weights_that_do_not_exist_stay_exactly_zero(algorithm: str, optimizer: str) -> None:
    mask = np.random.default_rng(1).random((8, 5)) < 0.4
    rbm = RBM.from_parameters(np.where(mask, 0.1, 0), np.zeros(8), np.zeros(5), mask=mask, target="numpy")
    rbm.fit(data(60), algorithm, epochs=3, optimizer=optimizer, weight_decay=0.01, learning_rate=0.1)
    assert (rbm.weights[~mask] == 0).all()
    assert (rbm.weights[mask] != 0.1).all()


def test_log_partition_follows_an_update() -> None:
    rbm = model()
    before = float(rbm.log_partition())
    rbm.fit(data(50), epochs=1, learning_rate=0.1)
    after = float(rbm.log_partition())
    assert after != before
    assert after == pytest.approx(naive.log_partition(rbm.weights, rbm.visible_bias, rbm.hidden_bias), rel=1e-13)
    rbm.weights[...] = 0
    rbm.visible_bias = rbm.visible_bias * 0
    rbm.hidden_bias = rbm.hidden_bias * 0
    assert float(rbm.log_partition()) == pytest.approx(13 * np.log(2), rel=1e-14)


@pytest.mark.parametrize("algorithm", ["cd", "pcd", "exact"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_constant_columns_and_idle_units_give_finite_weights(algorithm: str, optimizer: str) -> None:
    x = data(40)
    x[:, 0], x[:, 1] = 0, 1
    rbm = model()
    rbm.weights[:, 2] = 0
    rbm.initialise_visible_bias(x)
    rbm.fit(x, algorithm, epochs=5, optimizer=optimizer, learning_rate=0.5)
    assert all(np.isfinite(value).all() for value in rbm.parameters.values())


def test_weight_decay_pulls_weights_and_leaves_biases() -> None:
    x = naive.all_states(3)
    rbm = RBM.from_parameters(np.zeros((3, 2)), np.zeros(3), np.zeros(2), target="numpy")
    # All configurations once is what this model says itself, so the likelihood has no gradient, and the biases of the
    # second model are where its data would have them.
    rbm.weights = np.zeros((3, 2))
    rbm.fit(x, "exact", epochs=1, batch_size=8, weight_decay=0.5, learning_rate=0.1)
    np.testing.assert_allclose(rbm.weights, 0, atol=1e-16)
    heavy = RBM.from_parameters(np.ones((3, 2)), np.ones(3), np.ones(2), target="numpy")
    light = RBM.from_parameters(np.ones((3, 2)), np.ones(3), np.ones(2), target="numpy")
    heavy.fit(x, "exact", epochs=1, batch_size=8, weight_decay=0.5, learning_rate=0.1, seed=1)
    light.fit(x, "exact", epochs=1, batch_size=8, learning_rate=0.1, seed=1)
    np.testing.assert_allclose(light.weights - heavy.weights, 0.1 * 0.5, rtol=1e-12)
    np.testing.assert_array_equal(light.visible_bias, heavy.visible_bias)


def test_momentum_is_polyak_s() -> None:
    x = naive.all_states(3)[:5]
    rbm = RBM(3, 2, seed=1, target="numpy")
    g1 = rbm.gradient(x)["w"]
    start = rbm.weights.copy()
    rbm.fit(x, "exact", epochs=1, batch_size=5, learning_rate=0.1, momentum=0.9)
    g2 = rbm.gradient(x)["w"]
    rbm.fit(x, epochs=1, resume=True)
    np.testing.assert_allclose(rbm.weights - start, 0.1 * (g1 + 0.9 * g1 + g2), rtol=0, atol=1e-15)


def test_adam_is_kingma_and_ba_s() -> None:
    parameter, slots = np.zeros(4), {"mean": np.zeros(4), "square": np.zeros(4)}
    m = u = theta = np.zeros(4)
    adam = Adam()
    for step in range(1, 6):
        g = np.random.default_rng(step).standard_normal(4)
        adam.update(parameter, g.copy(), slots, 0.1, step)
        m, u = 0.9 * m + 0.1 * g, 0.999 * u + 0.001 * g**2
        theta = theta + 0.1 * (m / (1 - 0.9**step)) / (np.sqrt(u / (1 - 0.999**step)) + 1e-8)
    np.testing.assert_allclose(parameter, theta, rtol=1e-13)


def test_optimisers_are_made_from_what_is_written_of_them() -> None:
    for optimiser in (SGD(), SGD(momentum=0.5), Adam(beta1=0.8), NaturalGradient(0.5)):
        assert optimiser_from(**optimiser_settings(optimiser)) == optimiser
    with pytest.raises(ValueError, match=r"'sgd', 'adam', 'natural'\. Got 'rmsprop'"):
        optimiser_from("rmsprop")
    with pytest.raises(TypeError, match="'adam' takes no momentum"):
        optimiser_from("adam", momentum=0.9)
    with pytest.raises(TypeError, match="momentum must be set on the optimiser"):
        optimiser_from(SGD(), momentum=0.9)
    with pytest.raises(ValueError, match="momentum must be at least 0 and below 1"):
        SGD(momentum=1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "bp"}, "algorithm must be one of 'cd', 'pcd', 'exact'"),
        ({"k": 0}, "k must be a positive whole number. Got 0"),
        ({"batch_size": 1.5}, "batch_size must be a positive"),
        ({"n_chains": -1}, "n_chains must be a positive"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"weight_decay": -1.0}, "weight_decay must be finite"),
        ({"epochs": -1}, "epochs must be a whole number"),
        ({"monitor": "loss"}, "monitor must be one of 'auto'"),
        ({"threads": 0}, "threads must be a positive"),
        ({"resume": True}, "resume needs a model that has been trained"),
    ],
)
def test_settings_out_of_range_are_named_and_nothing_changes(settings: dict[str, object], message: str) -> None:
    rbm = model().fit(data(20), epochs=1) if "resume" not in settings else model()
    kept, history = {name: value.copy() for name, value in rbm.parameters.items()}, rbm.history
    with pytest.raises(ValueError, match=message):
        rbm.fit(data(20), **settings)  # type: ignore[arg-type]
    for name, value in kept.items():
        np.testing.assert_array_equal(rbm.parameters[name], value)
    assert rbm.history is history


def test_a_seed_cannot_change_on_the_way() -> None:
    rbm = model().fit(data(20), epochs=1)
    with pytest.raises(ValueError, match="seed cannot change"):
        rbm.fit(data(20), resume=True, seed=1)


def test_bad_data_are_refused() -> None:
    with pytest.raises(ValueError, match="X must hold only states"):
        model().fit(np.full((4, 8), 0.5))
    with pytest.raises(ValueError, match="X must have at least one row"):
        model().fit(np.zeros((0, 8)))
    with pytest.raises(ValueError, match="held_out must have 8 columns"):
        model().fit(data(20), held_out=data(20, 9))


def test_exact_learning_of_a_large_model_is_refused_before_it_starts() -> None:
    with pytest.raises(ValueError, match=r"2\*\*30"):
        RBM(40, 30, seed=1, target="numpy").fit(data(20, 40), "exact")
    with pytest.raises(ValueError, match=r"2\*\*30"):
        RBM(40, 30, seed=1, target="numpy").fit(data(20, 40), monitor="exact")


def test_exact_learning_that_takes_too_long_in_all_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_cost, "SURE", 0)
    monkeypatch.setattr(learning_cost, "estimate", lambda task, threads: cost.Estimate(1, 25.0, 1))
    x = data(50)
    fits = [
        {"algorithm": "exact", "epochs": 5, "batch_size": 10, "monitor": "none"},
        {"algorithm": "cd", "epochs": 25, "monitor": "exact"},
        {"algorithm": "exact", "epochs": 2, "batch_size": 4, "monitor": "exact"},
    ]
    for settings in fits:
        rbm = model()
        with pytest.raises(
            EnumerationLimitError, match=r"fit would take about .* stops at 10 minutes.*Pass limit=\d+"
        ) as caught:
            rbm.fit(x, **settings)  # type: ignore[arg-type]
        assert caught.value.seconds >= 25 * 22
        assert_same(rbm, model())
        most = caught.value.configurations
        assert f"limit={most} " in str(caught.value)
        # Who sets that limit has the time lifted; and a shorter run is within it.
        assert len(rbm.fit(x, **settings, limit=most).history) == settings["epochs"]  # type: ignore[arg-type]
        assert len(model().fit(x, **(settings | {"epochs": 1, "batch_size": 50})).history) == 1  # type: ignore[arg-type]
    # What is not asked for is not held against a run.
    assert len(model().fit(x, "cd", epochs=30).history) == 30


def test_natural_gradients_count_with_what_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    from pgm_rbm.exact.enumeration import fisher

    monkeypatch.setattr(fisher, "expected_seconds", lambda model, threads: 100.0)
    x = data(50)
    natural = {"algorithm": "exact", "optimizer": "natural", "batch_size": 50, "monitor": "none"}
    with pytest.raises(EnumerationLimitError, match="7 exact steps of about 100 s"):
        model().fit(x, epochs=7, **natural)  # type: ignore[arg-type]
    assert len(model().fit(x, epochs=5, **natural).history) == 5  # type: ignore[arg-type]
    assert len(model().fit(x, epochs=7, limit=2**8, **natural).history) == 7  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"algorithm": "exact"}, {"algorithm": "cd", "monitor": "exact"}])
def test_the_limit_of_exact_learning_can_be_set(settings: dict[str, str]) -> None:
    x = data(20)
    with pytest.raises(EnumerationLimitError, match=r"limit=31.*Pass limit="):
        model().fit(x, limit=31, **{**settings, "monitor": "exact"})  # type: ignore[arg-type]
    assert_same(model().fit(x, limit=2**8, seed=1, **settings), model().fit(x, seed=1, **settings))  # type: ignore[arg-type]
    for wrong in (0, 1.5, "x", True):
        with pytest.raises(ValueError, match="limit must be a positive whole number"):
            model().fit(x, limit=wrong, **settings)  # type: ignore[arg-type]
    # A measure that is taken where it is cheap is left out where the limit does not allow it.
    assert model().fit(x, "cd", epochs=1, limit=31).history[0].log_likelihood is None


def test_an_interrupt_by_signal_leaves_what_was_learnt_and_can_be_resumed() -> None:
    x = data(100)
    settings = {"algorithm": "pcd", "batch_size": 10, "optimizer": "adam"}
    whole = model().fit(x, epochs=2, **settings)  # type: ignore[arg-type]
    rbm = model()

    def interrupt(done: int, total: int, record: EpochRecord | None) -> None:
        if done == 14:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        rbm.fit(x, epochs=2, progress=interrupt, **settings)  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGINT) is handler
    state = rbm._training.state
    assert state is not None
    assert (state.epoch, state.batch, state.step) == (1, 4, 14)
    assert len(rbm.history) == 1
    assert np.isfinite(rbm.log_likelihood(x))
    rbm.fit(x, epochs=1, resume=True)
    assert_same(rbm, whole)
    assert rbm.history[1].gradient_norm == pytest.approx(whole.history[1].gradient_norm, rel=1e-13)


def test_an_interrupt_in_a_callback_leaves_what_was_learnt() -> None:
    def interrupt(record: EpochRecord) -> None:
        raise KeyboardInterrupt

    rbm = model()
    with pytest.raises(KeyboardInterrupt):
        rbm.fit(data(50), epochs=3, callbacks=interrupt)
    assert len(rbm.history) == 1
    rbm.fit(data(50), epochs=2, resume=True)
    assert_same(rbm, model().fit(data(50), epochs=3))


def test_training_runs_outside_the_main_thread() -> None:
    rbm = model()
    thread = threading.Thread(target=lambda: rbm.fit(data(50), epochs=2))
    thread.start()
    thread.join()
    assert_same(rbm, model().fit(data(50), epochs=2))


def test_callbacks_progress_and_checkpoints(tmp_path: Path) -> None:
    seen: list[EpochRecord] = []
    steps: list[tuple[int, int]] = []
    rbm = model().fit(
        data(50),
        epochs=5,
        batch_size=20,
        callbacks=[seen.append, lambda record: record.epoch == 3],
        progress=lambda done, total, _: steps.append((done, total)),
        checkpoint=tmp_path / "model",
    )
    assert [record.epoch for record in seen] == [1, 2, 3]
    assert list(rbm.history) == seen
    assert steps == [(k, 15) for k in range(1, 10)]
    assert_same(RBM.load(tmp_path / "model"), rbm)


def test_the_progress_bar_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    model().fit(data(50), epochs=2, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "training" in err


def test_small_models_are_monitored_by_the_exact_likelihood() -> None:
    x, held_out = data(50), data(30, seed=1)
    rbm = model().fit(x, epochs=2, held_out=held_out)
    assert rbm.history[-1].log_likelihood == pytest.approx(rbm.log_likelihood(x), rel=1e-13)
    assert rbm.history[-1].held_out_log_likelihood == pytest.approx(rbm.log_likelihood(held_out), rel=1e-13)
    assert rbm.history[-1].pseudo_log_likelihood is None


def test_large_models_are_monitored_by_the_pseudo_likelihood() -> None:
    rbm = RBM(40, 30, seed=1, target="numpy").fit(data(50, 40), epochs=1, held_out=data(20, 40, seed=1))
    record = rbm.history[0]
    assert record.log_likelihood is None
    assert record.pseudo_log_likelihood is not None
    assert record.held_out_pseudo_log_likelihood is not None
    none = RBM(40, 30, seed=1, target="numpy").fit(data(50, 40), epochs=1, monitor="none").history[0]
    assert none.pseudo_log_likelihood is None


def test_the_pseudo_likelihood_estimates_its_definition() -> None:
    rbm = RBM.from_parameters(*naive.random_parameters(4, 3, seed=5), target="numpy")
    w, a, b = rbm.weights, rbm.visible_bias, rbm.hidden_bias
    x = naive.all_states(4)[[1, 6, 13]]
    expected = []
    for v in x:
        for i in range(4):
            other = v.copy()
            other[i] = 1 - v[i]
            kept, changed = naive.log_unnormalised(v, w, a, b), naive.log_unnormalised(other, w, a, b)
            expected.append(kept - naive.log_sum_exp([kept, changed]))
    draws = 4000
    many = np.repeat(x, draws, axis=0)
    found = pseudo_log_likelihood(rbm.model, many, seed=1)
    # One random unit a row: an average of 12,000 values whose spread the twelve possible ones give.
    spread = 4 * float(np.std(expected)) / np.sqrt(len(many))
    assert abs(found - sum(expected) / 3) < 5 * spread
    assert pseudo_log_likelihood(rbm.model, many, 1) == found


def test_biases_from_the_data_s_means_are_log_odds() -> None:
    x = data(30)
    x[:, 0] = 0
    rbm = model()
    bias = matching_visible_bias(rbm.model, x, smoothing=2.0)
    mean = (x.sum(axis=0) + 1) / 32
    np.testing.assert_allclose(bias, np.log(mean / (1 - mean)), rtol=0, atol=1e-13)
    rbm.initialise_visible_bias(x, smoothing=2.0)
    np.testing.assert_array_equal(rbm.visible_bias, bias)
    with pytest.raises(ValueError, match="smoothing must be positive"):
        rbm.initialise_visible_bias(x, smoothing=0)


def test_history_gives_columns() -> None:
    history = History([EpochRecord(1, 5, 0.5, 0.1, log_likelihood=-3.0), EpochRecord(2, 10, 0.4, 0.1)])
    np.testing.assert_array_equal(history["epoch"], [1, 2])
    np.testing.assert_array_equal(history["log_likelihood"], [-3.0, np.nan])
    assert len(history[1:]) == 1
    assert History.from_data(history.as_data()) == history
    with pytest.raises(KeyError, match="the columns are: epoch, steps"):
        history["loss"]


def test_settings_have_the_documented_defaults() -> None:
    settings = Settings()
    assert (settings.algorithm, settings.k, settings.batch_size, settings.learning_rate) == ("pcd", 1, 100, 0.1)
    assert settings.changed(optimizer="adam").learning_rate == 0.01


def test_single_precision_data_of_any_dtype_train_alike() -> None:
    x = data(50)
    assert_same(
        model(dtype=np.float32).fit(x.astype(bool), epochs=2),
        model(dtype=np.float32).fit(x.astype(np.float64), epochs=2),
    )


def test_training_does_not_start_from_parameters_that_are_not_finite() -> None:
    rbm = model()
    rbm.hidden_bias[1] = np.nan
    with pytest.raises(ValueError, match="b must be finite"):
        rbm.fit(data(20), epochs=1)


def test_training_stops_where_the_parameters_overflow() -> None:
    rbm = model(dtype=np.float32)
    with pytest.raises(FloatingPointError, match="Lower learning_rate"):
        rbm.fit(data(50), "cd", epochs=5, batch_size=10, monitor="none", learning_rate=1e20, weight_decay=1.0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"learning_rate": "x"}, "learning_rate must be a number"),
        ({"weight_decay": "x"}, "weight_decay must be a number"),
        ({"momentum": "a"}, "momentum must be a number"),
        ({"optimizer": 3}, "optimizer must be a name"),
        ({"shuffle": "no"}, "shuffle must be True or False"),
        ({"callbacks": [3]}, "callbacks must be a function"),
        ({"progress": 3}, "progress must be True, False or a function"),
    ],
)
def test_settings_of_the_wrong_type_are_named(setting: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        model().fit(data(10), epochs=1, **setting)  # type: ignore[arg-type]


def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    rbm = model()
    with pytest.raises(FileNotFoundError, match="no folder"):
        rbm.fit(data(10), epochs=1, checkpoint=tmp_path / "missing" / "model")
    assert not rbm.history


def test_masked_data_are_refused() -> None:
    with pytest.raises(TypeError, match="masked"):
        model().fit(np.ma.masked_equal(data(10), 0), epochs=1)


def test_parameters_too_large_for_their_dtype_are_refused() -> None:
    with pytest.raises(ValueError, match="weights must fit float32"):
        RBM.from_parameters([[1e300]], [0], [0], dtype=np.float32)
