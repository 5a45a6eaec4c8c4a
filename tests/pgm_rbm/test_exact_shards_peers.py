"""A real Dask cluster on this machine: two worker processes, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from pgm_rbm import RBM

pytestmark = [pytest.mark.slow, pytest.mark.peer]

distributed = pytest.importorskip("distributed")


@pytest.fixture
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        yield client


@pytest.fixture(scope="module")
def rbm() -> RBM:
    rng = np.random.default_rng(0)
    return RBM.from_parameters(rng.normal(0, 0.1, (784, 21)), rng.normal(-1, 0.5, 784), rng.normal(0, 0.5, 21))


def test_the_same_bits_as_in_one_process(client, rbm: RBM) -> None:
    assert rbm.log_partition(executor=client.get_executor()) == rbm.log_partition()


def test_a_worker_killed_in_the_middle_changes_no_bit(client, rbm: RBM) -> None:
    x = (np.random.default_rng(1).random((20, 784)) < 0.3).astype(np.float64)
    processes = client.run(os.getpid)
    assert len(set(processes.values())) == 2
    seen: list[int] = []

    def kill_one(done: int, total: int) -> None:
        seen.append(done)
        if done == total // 4:
            os.kill(next(iter(processes.values())), signal.SIGKILL)

    found = rbm.gradient(x, executor=client.get_executor(), progress=kill_one)
    assert set(client.run(os.getpid).values()) != set(processes.values())
    assert seen == list(range(1, len(seen) + 1))
    expected = rbm.gradient(x)
    for name, value in expected.difference.items():
        np.testing.assert_array_equal(found.difference[name], value)
