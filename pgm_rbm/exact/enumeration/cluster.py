"""Executors of a Dask cluster, for enumerations that are too large for one machine.

Dask comes with the extra ``distributed`` and is imported with the first cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, cast

from pgm_rbm.errors import MissingDaskError

__all__ = ["MissingDaskError", "dask_executor", "own_executor", "sent_once"]


@contextmanager
def dask_executor(address: str, timeout: float = 30.0) -> Iterator[Executor]:
    """Yield an executor on the workers of a running Dask cluster, and close the connection at the end of the block.

    Args:
        address: the scheduler's, such as ``"tcp://10.0.0.1:8786"``.
        timeout: seconds to wait for the scheduler.

    Raises:
        MissingDaskError: Dask is not installed.
        OSError: nothing answers at the address.
        ValueError: it is not an address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDaskError(
            "clusters need Dask, which is not installed. Run: pip install 'pgm-rbm[distributed]'"
        ) from error
    with Client(address, timeout=timeout) as client:
        yield cast(Executor, client.get_executor())


def own_executor(executor: Executor) -> tuple[Executor, bool]:
    """Return the executor to use for one run, and whether it belongs to that run alone.

    It is the one passed in. In place of one of Dask's it is another one with the same client and settings, so that all
    calls of the run can be cancelled at once; one by one takes milliseconds each.
    """
    client = _client(executor)
    if client is None:
        return executor, False
    return client.get_executor(**{**getattr(executor, "_kwargs", {}), "pure": False}), True


def sent_once(executor: Executor, value: Any) -> Any:
    """Return what stands for a value in an executor's calls: the value, or a handle for an executor of Dask's.

    Dask would send and hash the value with every call, milliseconds each; so its workers are sent it now.
    """
    client = _client(executor)
    if client is None:
        return value
    try:
        return client.scatter(value, broadcast=True, hash=False)
    except Exception:
        # There is no worker yet, or the connection is lost; the calls will tell.
        return value


def _client(executor: Executor) -> Any:
    """Return Dask's client, or None where the executor is not one of Dask's."""
    return getattr(executor, "_client", None) if type(executor).__module__.startswith("distributed.") else None
