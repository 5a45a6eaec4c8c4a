"""Samples of a graph model: its own, by elimination, or nearly so, by Gibbs chains."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgm_rbm.errors import ModelError
from pgm_rbm.exact.elimination import answers
from pgm_rbm.exact.elimination.network import Network
from pgm_rbm.graph import gibbs
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.quantities import require_whole
from pgm_rbm.machine.streams import resolve_seed

__all__ = ["sample"]

# Sweeps of a Gibbs chain where the caller names no number: 1,000 chains of 256 spins then take a core 17 s (2026-12).
_SWEEPS = 1000


def sample(network: Network, n: int, method: str, steps: int | None, seed: int | None, budget: Budget) -> NDArray[Any]:
    """Return samples given the evidence; arguments and errors as for `GraphModel.sample`."""
    if method not in ("exact", "gibbs"):
        raise ValueError(f"method must be 'exact' or 'gibbs'. Got {method!r}.")
    count, key = require_whole("n", n, of="samples"), resolve_seed(seed)
    if method == "exact":
        if steps is not None:
            raise ValueError(f"steps are made by Gibbs chains: leave them out, or use method='gibbs'. Got {steps!r}.")
        states = answers.sample(network, count, key, budget)
    else:
        sweeps = require_whole("steps", _SWEEPS if steps is None else steps, 0, of="sweeps")
        states = _chains(network, count, sweeps, key, budget)
    domains = [variable.kind.domain for variable in network.variables.values()]
    drawn = np.empty((count, len(domains)), dtype=np.result_type(np.int64, *domains))
    for place, (name, domain) in enumerate(zip(network.names, domains, strict=True)):
        drawn[:, place] = domain[network.observed[name] if name in network.observed else states.pop(name)]
    return drawn


def _chains(network: Network, n: int, sweeps: int, seed: int, budget: Budget) -> dict[Hashable, NDArray[np.intp]]:
    zero = network.zero()
    if zero is not None:
        raise ModelError(
            f"Gibbs chains may never get past the zeros of factor {zero.name!r}. Use method='exact', or give its "
            "zeros a small potential."
        )
    return gibbs.sample(network.tables, network.cardinalities, n, sweeps, seed, budget)
