"""Compute the bias of contrastive divergence, without sampling.

CD-k (Hinton 2002) replaces Term B, an average under the model, by one under chains of k Gibbs sweeps from the data. The
expected update is therefore Term A minus the average after exactly k sweeps, and its difference from the gradient is
what CD gets wrong with any number of chains (Carreira-Perpiñán and Hinton 2005). For small models this module follows
the chains' distribution exactly: a sweep takes a distribution of h to one of v by p(v | h) and back by p(h | v), and
the distribution of h, averaged over the rows of data, is kept between sweeps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.exact.enumeration import answers, cost
from pgm_rbm.exact.enumeration.answers import Gradient
from pgm_rbm.exact.enumeration.shards import Cuts, each
from pgm_rbm.exact.enumeration.sums import KernelSum
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.progress import Progress
from pgm_rbm.machine.quantities import format_bytes, format_seconds, require_whole
from pgm_rbm.machine.workers import workers
from pgm_rbm.model.kernels import Phase
from pgm_rbm.model.model import HasModel, Model
from pgm_rbm.model.states import data_rows

__all__ = ["DEFAULT_LIMIT", "CDBias", "contrastive_divergence_bias"]

DEFAULT_LIMIT = 2**22
"""The most pairs (v, h) by default: 0.25 s on one core (12×10 units, 2026-12)."""

Floats = npt.NDArray[np.float64]
# Pairs whose energies are computed at once: 6 MB of states at 12×10 units, which stay in a cache.
_PAIRS = 2**15
# Pairs of a trial: 0.1 ms of energies, a thousand times what a clock resolves.
_TRIAL = 1024
# The probabilities of h given v and of v given h.
_BYTES_PER_PAIR = 16


@dataclass(frozen=True)
class CDBias:
    """The expected update of CD-k beside the gradient that it approximates.

    Attributes:
        k: Gibbs sweeps of a chain.
        gradient: the exact gradient of the mean ln p(v), as Term A − Term B.
        expected_update: by parameter, Term A minus the average of −∂E/∂θ after k sweeps from the data, h averaged
            given the last v. This is CD-k's mean update, in units of the learning rate.
    """

    k: int
    gradient: Gradient
    expected_update: Phase

    @property
    def bias(self) -> Phase:
        """By parameter, the expected update minus the gradient."""
        return {name: value - self.gradient[name] for name, value in self.expected_update.items()}

    @property
    def angle(self) -> float:
        """The angle between expected update and gradient, over all parameters, in radians; NaN if either is zero."""
        update, gradient = self._flat(self.expected_update), self._flat(self.gradient.difference)
        lengths = float(np.linalg.norm(update)), float(np.linalg.norm(gradient))
        if 0.0 in lengths:
            return math.nan
        # For unit vectors this form keeps its digits where the angle is small (Kahan 2006).
        one, other = update / lengths[0], gradient / lengths[1]
        return 2 * math.atan2(float(np.linalg.norm(one - other)), float(np.linalg.norm(one + other)))

    @property
    def relative_size(self) -> float:
        """The Euclidean norm of the bias over that of the gradient; infinite where the gradient is zero."""
        size = float(np.linalg.norm(self._flat(self.gradient.difference)))
        return float(np.linalg.norm(self._flat(self.bias))) / size if size else math.inf

    def _flat(self, values: Phase) -> Floats:
        return np.concatenate([np.ravel(values[name]) for name in self.expected_update])

    def __str__(self) -> str:
        return (
            f"CD-{self.k}: the expected update is {math.degrees(self.angle):.2g}° off the gradient, and the bias "
            f"{self.relative_size:.2g} times as long as it"
        )


def contrastive_divergence_bias(
    rbm: HasModel,
    X: npt.ArrayLike,
    k: int = 1,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> CDBias:
    """Return the exact expected update of CD-k on the rows of X, and the exact gradient.

    Args:
        rbm: a small model, of which all pairs (v, h) are enumerated.
        X: visible states, shape (rows, n_visible): the batch.
        k: Gibbs sweeps of a chain.
        limit: the most pairs (v, h), at 16 bytes per pair; 2^22 by default.
        threads: how many threads to use; the result does not depend on it.
        progress: called with (parts done, parts in all), or True for a bar.

    Raises:
        TypeError, ValueError: X is not an array of states, or ``k`` or ``limit`` is not a positive whole number.
        NotPairwiseError: the model has several visible or hidden layers, or inputs.
        NoFiniteDomainError: the units of a layer have infinitely many states.
        EnumerationLimitError: there are more pairs than ``limit``.
    """
    model = rbm.model
    model.require_two_sides("the bias of contrastive divergence")
    rows = data_rows(model, X, "X")
    require_whole("k", k)
    allowed = DEFAULT_LIMIT if limit is None else require_whole("limit", limit)
    budget = Budget.of(limit=allowed, threads=threads, progress=progress)
    raised = model.lifted()
    kernels, parameters = raised.kernels, raised.parameters
    (v,), (h,) = kernels.visible, kernels.hidden
    visible, hidden = (KernelSum(raised, (layer,)) for layer in (v, h))
    pairs = visible.configurations * hidden.configurations
    if pairs > allowed:
        seconds, memory = _seconds(raised, pairs, budget.thread_count), _BYTES_PER_PAIR * pairs
        raise EnumerationLimitError(
            f"CD's expected update goes through all pairs (v, h), {visible.configurations} times "
            f"{hidden.configurations} of them, and stops at limit={allowed}. This would take about "
            f"{format_seconds(seconds)} and {format_bytes(memory)}. Pass a larger limit, take a smaller model, or "
            f"average many updates of fit(X, 'cd') from the same parameters.",
            configurations=pairs,
            limit=allowed,
            seconds=seconds,
            memory=memory,
        )
    gradient = answers.gradient(model, rows, replace(budget, progress=None))
    every_v, every_h = (
        visible.numbered(np.arange(visible.configurations)),
        hidden.numbered(np.arange(hidden.configurations)),
    )
    given_v = _log_weights(raised, every_v[v], every_h[h], budget)
    with workers(1):
        # ln p(h | v) and ln p(v | h) are −E less its logarithmic sum over the layer that varies.
        given_h = given_v + kernels.free_energy(every_h, of=(h,), **parameters)
        given_h += visible.log_measure(every_v)[:, None]
        np.exp(given_h, out=given_h)
        given_v += kernels.free_energy(every_v, of=(v,), **parameters)[:, None]
        given_v += hidden.log_measure(every_h)
        np.exp(given_v, out=given_v)
        data, share = np.unique(rows, axis=0, return_counts=True)
        first = np.zeros(len(given_v))
        first[_places(visible, data)] = share / len(rows)
        chain_h = first @ given_v
        for sweep in range(k):
            chain_v = given_h @ chain_h
            if sweep + 1 < k:
                chain_h = chain_v @ given_v
        after = kernels.phase(every_v, of=(v,), row_weights=chain_v, **parameters)
    update = {name: gradient.term_a[name] - value for name, value in after.items()}
    return CDBias(int(k), gradient, update)


def _seconds(model: Model, pairs: int, threads: int) -> float:
    """Return the expected seconds for −E of this many pairs, which take most of the time."""
    kernels, parameters = model.kernels, model.parameters
    zeros = [np.zeros((_TRIAL, size)) for size in model.sizes.values()]
    kernels.energy(*zeros, **parameters)
    taken = cost.quickest(lambda: kernels.energy(*zeros, **parameters), threads)
    return cost.extended(taken, pairs, _TRIAL * threads)


def _log_weights(model: Model, v: Floats, h: Floats, budget: Budget) -> Floats:
    """Return −E of every pair, shape (rows of v, rows of h)."""
    kernels, parameters = model.kernels, model.parameters
    out = np.empty((len(v), len(h)))

    def work(block: range) -> None:
        rows = v[block.start : block.stop]
        pairs_v, pairs_h = np.repeat(rows, len(h), axis=0), np.tile(h, (len(rows), 1))
        out[block.start : block.stop] = -kernels.energy(pairs_v, pairs_h, **parameters).reshape(len(rows), len(h))

    step = max(1, _PAIRS // len(h))
    for _ in each(work, Cuts.of(len(v), -(-len(v) // step), step), budget, "pairs"):
        pass
    return out


def _places(layer: KernelSum, rows: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Return the number of each configuration in the order of `KernelSum`."""
    ((name, domain),) = layer.domains.items()
    return np.searchsorted(domain.states, rows) @ (len(domain.states) ** np.arange(layer.sizes[name], dtype=np.int64))
