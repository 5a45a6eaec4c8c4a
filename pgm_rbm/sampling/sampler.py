"""Samples of a model, by Gibbs chains or exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgm_rbm.exact.enumeration import configurations
from pgm_rbm.exact.enumeration.shards import Progress
from pgm_rbm.machine.streams import resolve_seed
from pgm_rbm.model.model import EnergyModel, States, checked_count
from pgm_rbm.sampling.gibbs import Chains, Given, clamps_from, run_chains, start_chains

__all__ = ["SamplingModel", "checked_given"]


class SamplingModel(EnergyModel):
    """A model that can be sampled."""

    def sample(
        self,
        n: int,
        steps: int = 1000,
        given: Given | None = None,
        seed: int | None = None,
        *,
        method: str = "gibbs",
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> Any:
        """Visible states drawn from the model, shape (n, n_visible); by layer, where there are several visible ones.

        Args:
            n: how many.
            steps: Gibbs sweeps that each one's chain makes.
            given: units that keep their values, such as ``{("v", 3): 1}``; a value is one state for all chains or an
                array of n states. The rest is drawn from its distribution given these.
            seed: of these draws; None for a fresh one.
            method: ``"gibbs"``, or ``"exact"`` for independent draws from p(v) itself, by enumeration, or where there
                are too many configurations by elimination on the graph.
            limit: the most configurations that the exact method may enumerate; 2^24 by default, and draws may then
                hold 1 GiB.
            threads: how many threads to use; all by default. The result does not depend on it.
            progress: called with (parts done, parts in all) as the exact method enumerates, or True for a bar.

        Raises:
            ValueError: a count is not positive, a value is no state of its unit, there is no such method, or
                ``given`` is used with the exact one.
            UnknownVariableError: ``given`` names a unit that the model does not have.
            EnumerationLimitError: the exact method is asked of a model too large for it, or for too many draws.
        """
        if method == "exact":
            checked_count("n", n, 1)
            if given:
                raise ValueError("given must be left out with method='exact'. Use method='gibbs' to clamp units.")
            return self._by_layer(self._exact_draws(n, resolve_seed(seed), limit, threads, progress))
        if method != "gibbs":
            raise ValueError(f"method must be 'gibbs' or 'exact'. Got {method!r}.")
        return self._by_layer(self.run_chains(n, steps, given, seed, threads=threads).visible)

    def _exact_draws(
        self, n: int, seed: int, limit: int | None, threads: int | None, progress: bool | Progress | None
    ) -> Any:
        """Independent draws of the visible states, shape (n, n_visible)."""
        return configurations.sample(
            self._kernels, self._parameters, n, seed, limit=limit, threads=threads, progress=progress
        )[0]

    def run_chains(
        self,
        chains: int | Chains,
        steps: int = 1000,
        given: Given | None = None,
        seed: int | None = None,
        *,
        start: States | None = None,
        threads: int | None = None,
    ) -> Chains:
        """Gibbs chains after some sweeps; passing them in again goes on bit for bit.

        Args:
            chains: how many to start, or the ones to go on with.
            steps: sweeps to make, at least 0.
            given: as for `sample`; pass it each time.
            seed: of new chains; ones that go on keep theirs.
            start: visible states for new chains to start from, shape (chains, n_visible); by default every unit is
                drawn on its own, uniformly over its states.
            threads: how many threads to use; all by default. The result does not depend on it.

        Returns:
            `Chains` with ``visible`` and ``hidden``; the hidden states are drawn given the visible ones beside them.

        Raises:
            ValueError, UnknownVariableError: as for `sample`.
        """
        checked_count("steps", steps, 0)
        if isinstance(chains, Chains):
            if seed is not None or start is not None:
                raise ValueError("seed and start are for new chains. Got chains to go on with.")
            clamps = clamps_from(checked_given(given), self._kernels, self._parameters, len(chains))
        else:
            checked_count("n", chains, 1)
            clamps = clamps_from(checked_given(given), self._kernels, self._parameters, chains)
            first = None if start is None else self._data(start, "start", self.dtype)
            if first is None and self._layout.given:
                raise ValueError(
                    f"the model is given {', '.join(self._layout.given)}: pass states to start from with start=…."
                )
            if first is not None and len(first) != chains:
                raise ValueError(f"start must have a row for each of the {chains} chains. Got {len(first)}.")
            chains = start_chains(
                self._kernels,
                self._parameters,
                chains,
                resolve_seed(seed),
                visible=first,
                clamps=clamps,
                threads=threads,
            )
        return run_chains(self._kernels, self._parameters, chains, steps, clamps=clamps, threads=threads)


def checked_given(given: Given | None) -> Given:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"given must be a dict from units to values, such as {{('v', 3): 1}}. Got {given!r}.")
    return given
