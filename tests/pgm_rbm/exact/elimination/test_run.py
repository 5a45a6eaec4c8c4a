"""Elimination as it runs: ties, seeds, progress and interrupts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pgm_rbm.graph.model import GraphModel
from tests.pgm_rbm import brute_force
from tests.pgm_rbm.exact.elimination.graphs import grid, spins


def test_equally_probable_configurations_give_the_first_values() -> None:
    model = GraphModel()
    for name in "abcd":
        model.add_variable(name, states=3)
    best = model.most_probable({"c": 2})
    assert best.assignment == {"a": 0, "b": 0, "c": 2, "d": 0}
    assert best.log_probability == pytest.approx(-3 * math.log(3), rel=1e-14)
    ring = spins(6, [(k, (k + 1) % 6) for k in range(6)], -1.0)
    assert all(ring.most_probable() == ring.most_probable() for _ in range(3))


def test_samples_depend_on_the_seed_alone() -> None:
    model = brute_force.random_model(1)
    few, many = model.sample(5, seed=9), model.sample(500, seed=9)
    np.testing.assert_array_equal(few, many[:5])
    assert few.dtype == np.int64
    assert (model.sample(500, seed=10) != many).any()
    assert model.sample(3).shape == (3, len(model))
    observed = model.sample(50, {"s": -1, "k": 2}, seed=9)
    names = list(model)
    assert (observed[:, names.index("s")] == -1).all()
    assert (observed[:, names.index("k")] == 2).all()
    assert np.isfinite(model.energy(observed)).all()


def test_progress_rises_to_the_end() -> None:
    model = grid(8, 8, 0.3, periodic=False)
    for ask in (
        model.log_partition,
        lambda progress: model.marginals(progress=progress),
        lambda progress: model.marginals(progress=progress, memory_limit=2**17),
        lambda progress: model.most_probable(progress=progress),
        lambda progress: model.most_probable(progress=progress, memory_limit=2**17),
        lambda progress: model.sample(2, seed=0, progress=progress),
        lambda progress: model.query((0, 0), progress=progress),
        lambda progress: model.entropy(progress=progress),
    ):
        seen: list[tuple[int, int]] = []
        ask(progress=lambda *at, seen=seen: seen.append(at))
        done, totals = zip(*seen, strict=True)
        assert len(set(totals)) == 1
        assert list(done) == sorted(done)
        assert done[-1] == totals[0]
        assert done[0] < totals[0] / 2


def test_an_interrupt_ends_the_work_and_nothing_else() -> None:
    model = grid(8, 8, 0.3, periodic=False)
    before = float(model.log_partition())

    def interrupt(done: float, total: float) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    for ask in (model.log_partition, model.marginals, model.most_probable, model.entropy):
        with pytest.raises(KeyboardInterrupt):
            ask(progress=interrupt)
    assert float(model.log_partition()) == before
