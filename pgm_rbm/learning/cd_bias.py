"""The bias of contrastive divergence, computed and not sampled.

CD-k (Hinton 2002) replaces Term B, an average under the model, by one under chains of k Gibbs sweeps from the data. The
expected update is therefore Term A minus the average after exactly k sweeps, and its difference from the gradient is
what CD gets wrong however many chains it runs (Carreira-Perpiñán and Hinton 2005). For small models the chains'
distribution is carried along exactly: a sweep takes a distribution of h to one of v by p(v | h) and back by p(h | v),
and what is kept between sweeps is the distribution of h, averaged over the rows of data.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.exact import enumeration
from pgm_rbm.exact.enumeration import Gradient
from pgm_rbm.exact.sums import KernelSum, lifted
from pgm_rbm.kernels import FloatArray, Kernels, Phase, checked_states, layer_sizes
from pgm_rbm.workers import workers

if TYPE_CHECKING:
    from pgm_rbm.rbm import RBM

__all__ = ["DEFAULT_LIMIT", "CDBias", "contrastive_divergence_bias"]

DEFAULT_LIMIT = 2**22
"""Pairs (v, h) that are gone through without asking; 16 bytes are held for each."""

Floats = npt.NDArray[np.float64]
_PAIRS = 2**18
_TRIAL = 1024


@dataclass(frozen=True)
class CDBias:
    """The expected update of CD-k beside the gradient that it stands for.

    Attributes:
        k: Gibbs sweeps of a chain.
        gradient: the exact gradient of the mean ln p(v), as Term A − Term B.
        expected_update: by parameter, Term A minus the average of −∂E/∂θ after k sweeps from the data, h averaged
            given the last v: what CD-k's update is on average, in units of the learning rate.
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
        """Between the expected update and the gradient, all parameters together, in radians; NaN if either is zero."""
        update, gradient = self._flat(self.expected_update), self._flat(self.gradient.difference)
        lengths = float(np.linalg.norm(update)), float(np.linalg.norm(gradient))
        if 0.0 in lengths:
            return math.nan
        # Of unit vectors, by a form that keeps its digits where the angle is small (Kahan 2006).
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
    rbm: RBM, X: npt.ArrayLike, k: int = 1, *, limit: int | None = None, threads: int | None = None
) -> CDBias:
    """The exact expected update of CD-k on the rows of X, and the exact gradient.

    Args:
        rbm: a small model: all pairs (v, h) are gone through.
        X: visible states, shape (rows, n_visible): the batch.
        k: Gibbs sweeps of a chain.
        limit: the most pairs (v, h); 2^22 by default.
        threads: how many threads to use for the gradient; the result does not depend on it.

    Raises:
        TypeError, ValueError: X is no array of states, or ``k`` or ``limit`` is no positive whole number.
        NoFiniteDomainError: the units of a layer have infinitely many states.
        EnumerationLimitError: there are more pairs than ``limit``.
    """
    rows = checked_states(X, "X", rbm.visible_units, rbm.n_visible)
    for name, value in (("k", k), ("limit", DEFAULT_LIMIT if limit is None else limit)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} must be a positive whole number. Got {value!r}.")
    kernels, parameters = rbm.kernels, lifted(rbm.parameters)
    (v,), (h,) = kernels.visible, kernels.hidden
    layers = [KernelSum(kernels, parameters, layer) for layer in (v, h)]
    pairs = layers[0].configurations * layers[1].configurations
    allowed = DEFAULT_LIMIT if limit is None else int(limit)
    if pairs > allowed:
        raise EnumerationLimitError(
            f"CD's expected update goes through all pairs (v, h), {layers[0].configurations} times "
            f"{layers[1].configurations} of them, and stops at limit={allowed}. Pass a larger limit (16 bytes are held "
            f"for each pair), take a smaller model, or average many updates of fit(X, 'cd') from the same parameters.",
            configurations=pairs,
            limit=allowed,
            seconds=_seconds(kernels, parameters, pairs),
            memory=16 * pairs,
        )
    gradient = enumeration.gradient(kernels, rbm.parameters, rows, limit=allowed, threads=threads)
    every_v, every_h = (
        np.concatenate([layer.rows(run, np.arange(len(run))) for run in layer.runs()]) for layer in layers
    )
    with workers(1):
        own_v, own_h = layers[0].log_measure(every_v), layers[1].log_measure(every_h)
        logs = _log_weights(kernels, parameters, every_v, every_h)
        # ln p(h | v) and ln p(v | h) are −E less its logarithmic sum over the layer that varies.
        given_v = np.exp(logs + kernels.free_energy(every_v, of=v, **parameters)[:, None] + own_h)
        logs += kernels.free_energy(every_h, of=h, **parameters) + own_v[:, None]
        given_h = np.exp(logs, out=logs)
        data, share = np.unique(rows, axis=0, return_counts=True)
        first = np.zeros(len(every_v))
        first[_places(layers[0], data)] = share / len(rows)
        chain_h = first @ given_v
        for sweep in range(k):
            chain_v = given_h @ chain_h
            if sweep + 1 < k:
                chain_h = chain_v @ given_v
        after = kernels.phase(every_v, of=v, row_weights=chain_v, **parameters)
    update = {name: gradient.term_a[name] - value for name, value in after.items()}
    return CDBias(int(k), gradient, update)


def _seconds(kernels: Kernels, parameters: dict[str, Floats], pairs: int) -> float:
    """How long it would take to find −E of so many pairs, which is most of the time."""
    if pairs > 2**1000:
        return math.inf
    sizes = layer_sizes(kernels, parameters)
    zeros = [np.zeros((_TRIAL, sizes[layer])) for layer in kernels.layers]
    kernels.energy(*zeros, **parameters)
    begin = time.perf_counter()
    kernels.energy(*zeros, **parameters)
    return (time.perf_counter() - begin) * (pairs / _TRIAL)


def _log_weights(kernels: Kernels, parameters: dict[str, Floats], v: FloatArray, h: FloatArray) -> Floats:
    """−E of every pair, shape (rows of v, rows of h)."""
    out = np.empty((len(v), len(h)))
    step = max(1, _PAIRS // len(h))
    for start in range(0, len(v), step):
        block = v[start : start + step]
        pairs_v, pairs_h = np.repeat(block, len(h), axis=0), np.tile(h, (len(block), 1))
        out[start : start + step] = -kernels.energy(pairs_v, pairs_h, **parameters).reshape(len(block), len(h))
    return out


def _places(layer: KernelSum, rows: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """The number of each configuration in the order in which `KernelSum` gives them."""
    states = layer.domain.states
    return np.searchsorted(states, rows) @ (len(states) ** np.arange(layer.units, dtype=np.int64))
