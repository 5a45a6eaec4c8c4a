"""A real Dask cluster on this machine: two worker processes, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pgm_rbm import RBM

pytestmark = [pytest.mark.slow, pytest.mark.peer]

distributed = pytest.importorskip("distributed")
Client = distributed.Client


@pytest.fixture
def client() -> Iterator[Any]:
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


def test_the_same_bits_as_in_one_process(client: Any, rbm: RBM) -> None:
    assert rbm.log_partition(executor=client.get_executor()) == rbm.log_partition()


def test_a_worker_killed_in_the_middle_changes_no_bit(client: Any, rbm: RBM) -> None:
    x = (np.random.default_rng(1).random((20, 784)) < 0.3).astype(np.float64)
    processes = client.run(os.getpid)
    assert len(set(processes.values())) == 2
    seen: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if done >= total // 4 > max(seen, default=0):
            os.kill(next(iter(processes.values())), signal.SIGKILL)
        seen.append(done)

    found = rbm.gradient(x, executor=client.get_executor(), progress=kill_one)
    assert set(client.run(os.getpid).values()) != set(processes.values())
    assert seen == sorted(set(seen))
    expected = rbm.gradient(x)
    for name, value in expected.difference.items():
        np.testing.assert_array_equal(found.difference[name], value)


def test_a_connection_that_is_closed_in_the_middle_loses_nothing(client: Any, rbm: RBM) -> None:
    seen: list[int] = []

    def close(done: int, total: int) -> None:
        if done >= total // 4 > max(seen, default=0):
            client.close()
        seen.append(done)

    with pytest.warns(RuntimeWarning, match="shards are computed in this process: the executor takes no more"):
        found = rbm.log_partition(executor=client.get_executor(), progress=close)
    assert found == rbm.log_partition()
    assert seen == sorted(set(seen))


def test_the_task_is_sent_to_the_workers_once(client: Any, rbm: RBM, monkeypatch: pytest.MonkeyPatch) -> None:
    pickled: list[int] = []
    real = Client.scatter

    def noting(self: Any, value: Any, **named: Any) -> Any:
        pickled.append(1)
        return real(self, value, **named)

    monkeypatch.setattr(Client, "scatter", noting)
    assert rbm.log_partition(executor=client.get_executor()) == rbm.log_partition()
    assert pickled == [1]
