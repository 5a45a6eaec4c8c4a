"""The restricted Boltzmann machine as a person meets it.

`RBM` holds the parameters, checks what comes in, and hands the work on: formulas to the generated kernels, exact
answers to `exact`, chains to `sampling`, training to `learning`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import IntractableError
from pgm_rbm.exact import configurations, enumeration
from pgm_rbm.exact.configurations import MostProbable
from pgm_rbm.exact.enumeration import Gradient
from pgm_rbm.exact.shards import Executors, Progress
from pgm_rbm.exact.sums import require_domain
from pgm_rbm.kernels import (
    FloatArray,
    Kernels,
    checked_dtype,
    checked_parameters,
    checked_states,
    pairwise_kernels,
    parameter_shapes,
)
from pgm_rbm.learning.history import EpochRecord, History
from pgm_rbm.partition import LogPartition
from pgm_rbm.sampling.gibbs import Chains, Given, clamps_from, run_chains, start_chains
from pgm_rbm.sampling.streams import resolve_seed
from pgm_rbm.workers import thread_count

if TYPE_CHECKING:
    import networkx as nx

    from pgm_rbm.exact.fisher import FisherInformation
    from pgm_rbm.graph.bipartite import RBMGraph
    from pgm_rbm.graph.structure import Tractability
    from pgm_rbm.learning.optimisers import Optimiser
    from pgm_rbm.learning.trainer import StepProgress, TrainingState
    from symbolic.derivation.trace import Derivation

__all__ = ["RBM", "Moments"]

States = npt.ArrayLike


@dataclass(frozen=True)
class Moments:
    """Exact averages under the model.

    Attributes:
        v: ⟨v_i⟩, shape (n_visible,).
        h: ⟨h_j⟩, shape (n_hidden,).
        vh: ⟨v_i h_j⟩, shape (n_visible, n_hidden).
    """

    v: FloatArray
    h: FloatArray
    vh: FloatArray


class RBM:
    """A restricted Boltzmann machine with E(v, h) = −Σ a_i v_i − Σ b_j h_j − Σ v_i w_ij h_j.

    Weights start as small normal numbers, biases at zero. States go in and come out as arrays with one configuration a
    row.

    Args:
        n_visible, n_hidden: how many units each layer has.
        visible_units, hidden_units: what they are, by the names in `symbolic.units`.
        seed: of the first weights, and of training where it is given none; None for a fresh one.
        dtype: float64, or float32 for speed; exact answers are computed in float64 either way.
        target: which generated kernels run: ``"numba"``, or ``"numpy"``, which needs no compilation.

    Raises:
        ValueError: a size is no positive whole number, or a unit, dtype or target is unknown.

    Example:
        >>> import numpy as np
        >>> patterns = np.array([[1, 1, 0, 0], [0, 0, 1, 1]] * 50)
        >>> rbm = RBM(4, 2, seed=0).fit(patterns, "exact", epochs=200, learning_rate=0.5)
        >>> bool(rbm.log_likelihood(patterns) > -0.8)  # two patterns, equally often: at most −ln 2 = −0.693
        True
    """

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        visible_units: str = "binary",
        hidden_units: str = "binary",
        seed: int | None = None,
        *,
        dtype: npt.DTypeLike = np.float64,
        target: str = "numba",
    ):
        from pgm_rbm.learning.initialise import small_weights

        for name, size in (("n_visible", n_visible), ("n_hidden", n_hidden)):
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
                raise ValueError(f"{name} must be a positive whole number of units. Got {size!r}.")
        self._kernels: Kernels = pairwise_kernels(visible_units, hidden_units, target)
        self._seed = resolve_seed(seed)
        shapes = parameter_shapes(self._kernels, {"v": int(n_visible), "h": int(n_hidden)})
        self._parameters = {name: np.zeros(shape, checked_dtype(dtype)) for name, shape in shapes.items()}
        self._parameters["w"][...] = small_weights((n_visible, n_hidden), self._seed, dtype)
        self._mask: npt.NDArray[np.bool_] | None = None
        self._training: TrainingState | None = None
        self._history = History()

    @classmethod
    def from_parameters(
        cls,
        weights: npt.ArrayLike,
        visible_bias: npt.ArrayLike,
        hidden_bias: npt.ArrayLike,
        visible_units: str = "binary",
        hidden_units: str = "binary",
        seed: int | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        dtype: npt.DTypeLike | None = None,
        target: str = "numba",
    ) -> RBM:
        """A model with these parameters, which are copied.

        Args:
            weights: w, shape (n_visible, n_hidden).
            visible_bias: a, shape (n_visible,).
            hidden_bias: b, shape (n_hidden,).
            mask: which weights exist, shape of ``weights``; the others are zero and stay so in training. All by
                default.
            dtype: float32 where ``weights`` is float32 and nothing is said here, else float64.
            visible_units, hidden_units, seed, target: as for `RBM`.

        Raises:
            TypeError: an array holds no real numbers.
            ValueError: a shape is wrong, a value is not finite, or a weight that does not exist is not zero.
        """
        array = np.asarray(weights)
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(
                f"weights must have two axes, (n_visible, n_hidden), neither empty. Got shape {array.shape}."
            )
        if dtype is None:
            dtype = np.float32 if array.dtype == np.float32 else np.float64
        rbm = cls(array.shape[0], array.shape[1], visible_units, hidden_units, seed, dtype=dtype, target=target)
        if mask is not None:
            chosen = np.asarray(mask)
            if chosen.shape != array.shape or chosen.dtype != bool:
                raise ValueError(
                    f"mask must be a bool array of shape {array.shape}. Got {chosen.dtype} of shape {chosen.shape}."
                )
            rbm._mask = chosen.copy()
        rbm.weights = array
        rbm.visible_bias = visible_bias
        rbm.hidden_bias = hidden_bias
        return rbm

    # The arrays -------------------------------------------------------------------------------------------------

    @property
    def n_visible(self) -> int:
        """Units of the visible layer."""
        return self._parameters["w"].shape[0]

    @property
    def n_hidden(self) -> int:
        """Units of the hidden layer."""
        return self._parameters["w"].shape[1]

    @property
    def visible_units(self) -> str:
        """What the visible units are."""
        return self._kernels.layers["v"]

    @property
    def hidden_units(self) -> str:
        """What the hidden units are."""
        return self._kernels.layers["h"]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the parameters and of the states that come out."""
        return self._parameters["w"].dtype

    @property
    def kernels(self) -> Kernels:
        """The generated kernels; ``kernels.source`` is their text."""
        return self._kernels

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """The live arrays by the names the energy gives them: w, a and b."""
        return dict(self._parameters)

    @property
    def weights(self) -> FloatArray:
        """w, shape (n_visible, n_hidden). The array is live; assigning copies into it."""
        return self._parameters["w"]

    @weights.setter
    def weights(self, value: npt.ArrayLike) -> None:
        array = checked_parameters(value, "weights", self.weights.shape, self.dtype)
        if self._mask is not None and array[~self._mask].any():
            i, j = (int(k) for k in np.argwhere((array != 0) & ~self._mask)[0])
            raise ValueError(
                f"weights must be zero where the model has no edge. Got {array[i, j]} at ({i}, {j}); make a model "
                f"with that edge instead."
            )
        self._parameters["w"][...] = array

    @property
    def visible_bias(self) -> FloatArray:
        """a, shape (n_visible,). The array is live; assigning copies into it."""
        return self._parameters["a"]

    @visible_bias.setter
    def visible_bias(self, value: npt.ArrayLike) -> None:
        self._parameters["a"][...] = checked_parameters(value, "visible_bias", (self.n_visible,), self.dtype)

    @property
    def hidden_bias(self) -> FloatArray:
        """b, shape (n_hidden,). The array is live; assigning copies into it."""
        return self._parameters["b"]

    @hidden_bias.setter
    def hidden_bias(self, value: npt.ArrayLike) -> None:
        self._parameters["b"][...] = checked_parameters(value, "hidden_bias", (self.n_hidden,), self.dtype)

    @property
    def mask(self) -> npt.NDArray[np.bool_] | None:
        """Which weights exist, shape of ``weights``; None where all do."""
        return None if self._mask is None else self._mask.copy()

    def __repr__(self) -> str:
        edges = "" if self._mask is None else f", {int(self._mask.sum())} weights"
        return (
            f"RBM({self.n_visible} visible {self.visible_units}, {self.n_hidden} hidden {self.hidden_units}{edges}, "
            f"{self.dtype})"
        )

    # Formulas ---------------------------------------------------------------------------------------------------

    def energy(self, v: States, h: States) -> FloatArray:
        """E(v, h) of each pair of rows, shape (rows,).

        Args:
            v: visible states, shape (rows, n_visible).
            h: hidden states, shape (rows, n_hidden).

        Raises:
            TypeError: one of them does not hold real numbers.
            ValueError: a shape is wrong, or a value is no state of its unit.
        """
        visible, hidden = self._visible(v), self._hidden(h)
        if len(visible) != len(hidden):
            raise ValueError(f"v and h must have as many rows. Got {len(visible)} and {len(hidden)}.")
        return self._kernels.energy(visible, hidden, **self._parameters)

    def free_energy(self, v: States) -> FloatArray:
        """F(v) = −ln Σ_h e^{−E(v, h)} of each row, shape (rows,). Raises as `energy` does."""
        return self._kernels.free_energy(self._visible(v), of="v", **self._parameters)

    def hidden_mean(self, v: States) -> FloatArray:
        """⟨h⟩ given each row of v, shape (rows, n_hidden). Raises as `energy` does."""
        return self._kernels.mean("h", self._visible(v), **self._parameters)

    def visible_mean(self, h: States) -> FloatArray:
        """⟨v⟩ given each row of h, shape (rows, n_visible). Raises as `energy` does."""
        return self._kernels.mean("v", self._hidden(h), **self._parameters)

    # Exact answers ----------------------------------------------------------------------------------------------

    def log_partition(
        self,
        method: str = "auto",
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
        executor: Executors | None = None,
    ) -> LogPartition:
        """ln Z, in nats.

        Args:
            method: ``"enumeration"`` of the smaller layer; ``"elimination"`` on the graph, for models where few pairs
                of units have a weight; or ``"auto"``: enumeration within ``limit``, else elimination where the model
                has a mask.
            limit: the most configurations to enumerate; 2^24 by default.
            threads: how many threads to use; all by default. The result does not depend on it.
            progress: called with (parts done, parts in all) as an enumeration goes on, or True for a bar with the time
                left on standard error.
            executor: where an enumeration computes its parts instead of on threads: any
                `concurrent.futures.Executor`, or a function that makes one and is called anew if one breaks. The
                result does not depend on it.

        Raises:
            ValueError: there is no such method, or a parameter is not finite.
            EnumerationLimitError: the smaller layer has more configurations than ``limit``.
            IntractableError: the graph is too dense to be eliminated.
        """
        if method not in ("auto", "enumeration", "elimination"):
            raise ValueError(f"method must be 'auto', 'enumeration' or 'elimination'. Got {method!r}.")
        if method == "elimination":
            return self.graph.log_partition(method="elimination")
        try:
            return enumeration.log_partition(
                self._kernels,
                self._parameters,
                limit=limit,
                threads=threads,
                progress=progress,
                executor=executor,
            )
        except enumeration.EnumerationLimitError as refused:
            if method == "enumeration" or self._mask is None:
                raise
            try:
                return self.graph.log_partition(method="elimination")
            except IntractableError:
                raise refused from None

    def log_probability(
        self, v: States, *, limit: int | None = None, threads: int | None = None
    ) -> npt.NDArray[np.float64]:
        """ln p(v) of each row, in nats, shape (rows,), exact. Arguments and errors as `log_partition` and `energy`."""
        rows = checked_states(v, "v", self.visible_units, self.n_visible)
        log_z = self.log_partition(limit=limit, threads=threads).value
        return enumeration.log_probability(self._kernels, self._parameters, rows, log_z, threads=threads)

    def log_likelihood(self, X: States, *, limit: int | None = None, threads: int | None = None) -> float:
        """The mean of ln p(v) over the rows of X, in nats, exact. Arguments and errors as `log_probability`."""
        return float(self.log_probability(X, limit=limit, threads=threads).mean())

    def gradient(
        self,
        X: States,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
        executor: Executors | None = None,
    ) -> Gradient:
        """The exact gradient of `log_likelihood`, as Term A − Term B.

        Its ``term_a``, ``term_b`` and ``difference`` map parameters, ``"w"``, ``"a"`` and ``"b"``, to float64 arrays.
        Arguments and errors as `log_partition` and `energy`.
        """
        rows = checked_states(X, "X", self.visible_units, self.n_visible)
        return enumeration.gradient(
            self._kernels,
            self._parameters,
            rows,
            limit=limit,
            threads=threads,
            progress=progress,
            executor=executor,
        )

    def moments(
        self,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
        executor: Executors | None = None,
    ) -> Moments:
        """⟨v⟩, ⟨h⟩ and ⟨v hᵀ⟩ under the model, exact. Arguments and errors as `log_partition`."""
        phase = enumeration.expectations(
            self._kernels,
            self._parameters,
            limit=limit,
            threads=threads,
            progress=progress,
            executor=executor,
        ).phase
        return Moments(v=phase["a"], h=phase["b"], vh=phase["w"])

    def entropy(
        self,
        of: str = "joint",
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> float:
        """The entropy in nats, exact.

        Args:
            of: ``"joint"`` for p(v, h), by enumerating the smaller layer; ``"v"`` or ``"h"`` for one layer's own
                distribution, by enumerating that layer.
            limit, threads, progress: as for `log_partition`.

        Raises:
            ValueError: ``of`` is something else, or a parameter is not finite.
            EnumerationLimitError: the layer to be enumerated has more configurations than ``limit``.
        """
        if of == "joint":
            return configurations.joint_entropy(
                self._kernels, self._parameters, limit=limit, threads=threads, progress=progress
            )
        return configurations.layer_entropy(
            self._kernels, self._parameters, _checked_layer(of), limit=limit, threads=threads, progress=progress
        )

    def kl_divergence(self, X: States, *, limit: int | None = None, threads: int | None = None) -> float:
        """KL(q ‖ p) in nats, exact, from the distribution q of the rows of X to the model's p(v).

        It is −H(q) minus `log_likelihood`, so it has the same gradient but for the sign, and is 0 where every row is as
        probable as it is frequent. Arguments and errors as `log_probability`.

        Raises:
            NoFiniteDomainError: the visible units have infinitely many states, and no data q is absolutely continuous.
        """
        domain = require_domain(self._kernels, "v")
        rows = checked_states(X, "X", self.visible_units, self.n_visible)
        distinct, counts = np.unique(rows, axis=0, return_counts=True)
        q = counts / counts.sum()
        own = np.asarray(domain.log_measure)[np.searchsorted(domain.states, distinct)].sum(axis=1)
        return float(q @ (np.log(q) - own - self.log_probability(distinct, limit=limit, threads=threads)))

    def most_probable(
        self,
        given: Given | None = None,
        of: str = "joint",
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> MostProbable:
        """A configuration that none exceeds in probability, exact.

        Args:
            given: units whose values are known, such as ``{("v", 3): 1}``; the most probable values of all others are
                sought.
            of: ``"joint"`` for the pair (v, h) of the largest p(v, h); ``"v"`` or ``"h"`` for one layer with the other
                one summed out, by enumerating that layer.
            limit, threads, progress: as for `log_partition`.

        Returns:
            `MostProbable` with ``visible``, ``hidden`` and ``log_probability``.

        Raises:
            ValueError: ``of`` is something else, or ``given`` is used with one layer.
            UnknownVariableError, ValueOutsideDomainError: ``given`` does not fit the model.
            EnumerationLimitError: the layer to be enumerated has more configurations than ``limit``.
        """
        chosen = _checked_given(given)
        if of == "joint":
            clamps = clamps_from(chosen, self._kernels, self._parameters, 1)
            return configurations.most_probable(
                self._kernels, self._parameters, clamps, limit=limit, threads=threads, progress=progress
            )
        layer = _checked_layer(of)
        if chosen:
            raise ValueError(f"given must be left out with of={of!r}. Use of='joint' to fix units.")
        states, log_p = configurations.most_probable_of_layer(
            self._kernels, self._parameters, layer, limit=limit, threads=threads, progress=progress
        )
        states = states.astype(self.dtype)
        return MostProbable(states if layer == "v" else None, states if layer == "h" else None, log_p)

    def fisher_information(
        self,
        *,
        limit: int | None = None,
        memory_limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> FisherInformation:
        """The Fisher information of p(v) in all parameters, exact, by enumerating the visible layer.

        Args:
            limit: the most visible configurations to enumerate; 2^24 by default.
            memory_limit: bytes it may hold; 2^30 by default. The matrix alone takes 8 p² for p parameters.
            threads, progress: as for `log_partition`.

        Returns:
            `FisherInformation` with ``matrix``; its ``natural(gradient.difference, damping)`` is the natural gradient.

        Raises:
            EnumerationLimitError: more configurations, memory or time than allowed; nothing has been computed.
            ValueError: a parameter is not finite.
        """
        from pgm_rbm.exact.fisher import fisher_information

        return fisher_information(
            self._kernels,
            self._parameters,
            limit=limit,
            memory_limit=memory_limit,
            threads=threads,
            progress=progress,
        )

    def tractability(
        self, *, limit: int | None = None, memory_limit: int | None = None, time_limit: float | None = None
    ) -> Tractability:
        """The ways to exact answers, with operations, memory and seconds on this machine; nothing else is computed.

        Args:
            limit: configurations that enumeration may visit; 2^24 by default.
            memory_limit, time_limit: bytes and seconds that elimination may take; 2^30 and 600 by default.

        Returns:
            A report to print, whose ``method`` is the way to ln Z that `log_partition` takes by default, or
            ``"sampling"`` where it refuses.
        """
        from pgm_rbm.exact.report import tractability

        return tractability(self, limit=limit, memory_limit=memory_limit, time_limit=time_limit)

    # Sampling ---------------------------------------------------------------------------------------------------

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
    ) -> FloatArray:
        """Visible states drawn from the model, shape (n, n_visible).

        Args:
            n: how many.
            steps: Gibbs sweeps that each one's chain makes.
            given: units that keep their values, such as ``{("v", 3): 1}``; a value is one state for all chains or an
                array of n states. The rest is drawn from its distribution given these.
            seed: of these draws; None for a fresh one.
            method: ``"gibbs"``, or ``"exact"`` for independent draws from p(v) itself, by enumeration.
            limit: the most configurations that the exact method may enumerate; 2^24 by default.
            threads: how many threads to use; all by default. The result does not depend on it.

        Raises:
            ValueError: a count is not positive, a value is no state of its unit, there is no such method, or
                ``given`` is used with the exact one.
            UnknownVariableError: ``given`` names a unit that the model does not have.
            EnumerationLimitError: the exact method is asked of a model too large for it.
        """
        if method == "exact":
            _checked_count("n", n, 1)
            if given:
                raise ValueError("given must be left out with method='exact'. Use method='gibbs' to clamp units.")
            drawn, _ = configurations.sample(
                self._kernels, self._parameters, n, resolve_seed(seed), limit=limit, threads=threads
            )
            return drawn
        if method != "gibbs":
            raise ValueError(f"method must be 'gibbs' or 'exact'. Got {method!r}.")
        return self.run_chains(n, steps, given, seed, threads=threads).visible

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
        _checked_count("steps", steps, 0)
        if isinstance(chains, Chains):
            if seed is not None or start is not None:
                raise ValueError("seed and start are for new chains. Got chains to go on with.")
            clamps = clamps_from(_checked_given(given), self._kernels, self._parameters, len(chains))
        else:
            _checked_count("n", chains, 1)
            clamps = clamps_from(_checked_given(given), self._kernels, self._parameters, chains)
            first = None if start is None else self._visible(start, "start")
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

    # Learning ---------------------------------------------------------------------------------------------------

    @property
    def history(self) -> History:
        """What training recorded, an `EpochRecord` an epoch; ``history["log_likelihood"]`` is a column."""
        return self._history

    def initialise_visible_bias(self, X: States, smoothing: float = 1.0) -> None:
        """Set the visible biases so that, were all weights zero, each unit's mean is its smoothed mean in X.

        Args:
            X: visible states, shape (rows, n_visible).
            smoothing: how many rows at a free unit's mean are added to X; positive, so that constant columns get finite
                biases.

        Raises:
            TypeError, ValueError: X is no array of states, or ``smoothing`` is not positive.
        """
        from pgm_rbm.learning.initialise import matching_visible_bias

        rows = checked_states(X, "X", self.visible_units, self.n_visible)
        self.visible_bias = matching_visible_bias(self._kernels, self._parameters, rows, smoothing)

    def fit(
        self,
        X: States,
        algorithm: str | None = None,
        k: int | None = None,
        epochs: int = 10,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        seed: int | None = None,
        *,
        optimizer: str | Optimiser | None = None,
        momentum: float | None = None,
        weight_decay: float | None = None,
        n_chains: int | None = None,
        shuffle: bool | None = None,
        resume: bool = False,
        held_out: States | None = None,
        monitor: str = "auto",
        callbacks: Callable[[EpochRecord], Any] | list[Callable[[EpochRecord], Any]] | None = None,
        progress: bool | StepProgress = False,
        checkpoint: str | os.PathLike[str] | None = None,
        threads: int | None = None,
    ) -> RBM:
        """Train on the rows of X, starting from the parameters as they are.

        What is left at None has the default given below, or, when training is resumed, the value it had.

        Args:
            X: visible states, shape (rows, n_visible), of any real dtype.
            algorithm: ``"pcd"`` (default), ``"cd"``, or ``"exact"``, which enumerates the smaller layer every step.
            k: Gibbs sweeps a step, for PCD and CD; 1.
            epochs: passes over X.
            batch_size: rows a step; 100.
            learning_rate: 0.1, or 0.01 with Adam.
            seed: of everything random in training; by default the model's own.
            optimizer: ``"sgd"`` (default), ``"adam"``, ``"natural"`` for the natural gradient of small models with the
                exact algorithm, or one made in `learning.optimisers`.
            momentum: of ``"sgd"``; 0.
            weight_decay: λ of the penalty λ/2 Σ w² on the mean ln p; 0. Biases are not penalised.
            n_chains: persistent chains, for PCD; as many as a batch has rows.
            shuffle: whether each epoch takes the rows in a new random order; True.
            resume: go on from where the last `fit`, or the loaded file, stopped: optimiser, chains, random numbers
                and, after an interrupt, the epoch under way. The weights come out as if it had never stopped.
            held_out: rows that are measured and not trained on.
            monitor: what is measured each epoch: ``"exact"`` mean ln p, ``"pseudo"``-likelihood, ``"none"``, or
                ``"auto"``: exact where that takes about a second at most, else the pseudo-likelihood.
            callbacks: called with each `EpochRecord`; one that returns True ends training.
            progress: True for a bar on standard error, or a function called with (steps done, steps in all, last
                record).
            checkpoint: a file that the model is saved to after each epoch.
            threads: how many threads to use; all by default. The result does not depend on it.

        Returns:
            The model itself. `KeyboardInterrupt` passes through after the step under way; what was learnt stays.

        Raises:
            TypeError, ValueError: X is no array of states or a setting is out of range.
            EnumerationLimitError: an exact method is asked of a model too large for it.
            FloatingPointError: the parameters are no longer finite.
        """
        from pgm_rbm.formats.whole_file import require_place
        from pgm_rbm.learning.monitor import Monitor
        from pgm_rbm.learning.optimisers import NaturalGradient
        from pgm_rbm.learning.progress import progress_bar
        from pgm_rbm.learning.trainer import Settings, TrainingState, train

        rows = checked_states(X, "X", self.visible_units, self.n_visible)
        measured = None
        if held_out is not None:
            measured = checked_states(held_out, "held_out", self.visible_units, self.n_visible)
        _checked_count("epochs", epochs, 0)
        thread_count(threads)
        heard = [callbacks] if callable(callbacks) else callbacks or []
        if not isinstance(heard, (list, tuple)) or not all(map(callable, heard)):
            raise TypeError(f"callbacks must be a function or a list of them. Got {callbacks!r}.")
        if not (isinstance(progress, (bool, np.bool_)) or callable(progress)):
            raise TypeError(f"progress must be True, False or a function. Got {progress!r}.")
        if checkpoint is not None:
            require_place(checkpoint)
        if resume and self._training is None:
            raise ValueError("resume needs a model that has been trained. Call fit without resume first.")
        if resume and seed is not None:
            raise ValueError("seed cannot change when training is resumed. Leave it out.")
        settings = (self._training.settings if resume and self._training else Settings()).changed(
            optimizer=optimizer,
            momentum=momentum,
            algorithm=algorithm,
            k=k,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            n_chains=n_chains,
            shuffle=shuffle,
        )
        for name, value in self._parameters.items():
            checked_parameters(value, name, value.shape)
        if settings.algorithm == "exact":
            enumeration.make_plan(self._kernels, self._parameters, threads=threads)
        if isinstance(settings.optimiser, NaturalGradient):
            from pgm_rbm.exact.fisher import require_within_limits

            require_within_limits(self._kernels, self._parameters, threads=threads)
        judge = Monitor(
            self._kernels,
            self._parameters,
            rows,
            measured,
            kind=monitor,
            seed=self._seed,
            threads=threads,
        )
        if not resume or self._training is None:
            self._training = TrainingState(settings, self._seed if seed is None else resolve_seed(seed), len(rows))
            self._history = History()
        self._training.go_on(settings, len(rows))
        with ExitStack() as stack:
            if progress is True:
                progress = stack.enter_context(progress_bar())
            records = train(
                self._kernels,
                self._parameters,
                rows,
                self._training,
                epochs,
                judge,
                masks=None if self._mask is None else {"w": self._mask},
                threads=threads,
                progress=progress or None,
            )
            for record in records:
                self._history.append(record)
                if checkpoint is not None:
                    self.save(checkpoint)
                answers = [callback(record) for callback in heard]
                if any(answer is True for answer in answers):
                    break
        return self

    # Files, graph and derivation ---------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file: parameters, mask, history, and where training stands. Nothing is pickled.

        The file appears whole or not at all.

        Raises:
            OSError: it cannot be written.
            ValueError: a parameter is not finite.
            TypeError: it was trained with an optimiser that is not one of this library's.
        """
        from pgm_rbm.formats import model_file
        from pgm_rbm.learning.checkpoint import pack

        header: dict[str, Any] = {
            "layers": dict(self._kernels.layers),
            "target": self._kernels.target,
            "seed": self._seed,
            "history": self._history.as_data(),
        }
        arrays: dict[str, npt.NDArray[Any]] = {
            f"parameters.{name}": checked_parameters(value, name, value.shape)
            for name, value in self._parameters.items()
        }
        if self._mask is not None:
            arrays["mask"] = self._mask
        if self._training is not None:
            header["training"], held = pack(self._training)
            arrays |= {f"training.{name}": value for name, value in held.items()}
        model_file.write(path, "rbm", header, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RBM:
        """The model that `save` wrote; ``fit(..., resume=True)`` goes on from where it stood.

        Raises:
            FileNotFoundError: there is no such file.
            ModelFileError: it is damaged, something else, or of a later version; the message says which.
        """
        from pgm_rbm.formats import model_file
        from pgm_rbm.learning.checkpoint import unpack

        header, arrays = model_file.read(path, "rbm")
        try:
            weights = arrays["parameters.w"]
            rbm = cls.from_parameters(
                weights,
                arrays["parameters.a"],
                arrays["parameters.b"],
                header["layers"]["v"],
                header["layers"]["h"],
                header["seed"],
                mask=arrays.get("mask"),
                dtype=weights.dtype,
                target=header["target"],
            )
            rbm._history = History.from_data(header["history"])
            if "training" in header:
                prefix = "training."
                held = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
                rbm._training = unpack(header["training"], held, rbm._parameters, rbm._kernels)
        except (KeyError, TypeError, ValueError) as error:
            raise model_file.ModelFileError(f"{path} is damaged: its parts do not fit ({error}).") from error
        return rbm

    @classmethod
    def from_graph(
        cls,
        graph: nx.Graph,
        seed: int | None = None,
        *,
        dtype: npt.DTypeLike = np.float64,
        target: str = "numba",
    ) -> RBM:
        """The model of a bipartite graph: nodes with ``units`` and ``bias``, edges with ``weight``.

        A pair of units without an edge has no weight: it is zero, and training leaves it so. Rows and columns of the
        weights are in the order of `graph.bipartite.bipartition`.

        Args:
            graph: any bipartite `networkx.Graph`.
            seed, dtype, target: as for `RBM`.

        Raises:
            NotBipartiteError: the graph has an odd cycle; the message shows it.
            ModelError: a node's or an edge's attributes make no model.
        """
        from pgm_rbm.graph.bipartite import arrays_from_graph

        arrays = arrays_from_graph(graph)
        return cls.from_parameters(
            arrays.weights,
            arrays.visible_bias,
            arrays.hidden_bias,
            *arrays.units,
            seed,
            mask=arrays.mask,
            dtype=dtype,
            target=target,
        )

    @property
    def graph(self) -> RBMGraph:
        """The model as a `networkx.Graph` that reads the live arrays: nodes ("v", i) and ("h", j), edges with
        weight."""
        from pgm_rbm.graph.bipartite import RBMGraph

        return RBMGraph.from_arrays(
            self.weights,
            self.visible_bias,
            self.hidden_bias,
            self.visible_units,
            self.hidden_units,
            mask=self._mask,
        )

    def derivation(self, parameter: str = "w") -> Derivation:
        """The derivation of ∂ ln p(v) / ∂θ for this model's energy, as Term A − Term B.

        Args:
            parameter: ``"w"``, ``"a"`` or ``"b"``.
        """
        from symbolic import energies

        energy = energies.pairwise(visible=self.visible_units, hidden=self.hidden_units)
        return energy.log_likelihood_gradient(parameter)

    # What comes in ----------------------------------------------------------------------------------------------

    def _visible(self, v: States, name: str = "v") -> FloatArray:
        return checked_states(v, name, self.visible_units, self.n_visible, self.dtype)

    def _hidden(self, h: States) -> FloatArray:
        return checked_states(h, "h", self.hidden_units, self.n_hidden, self.dtype)


def _checked_given(given: Given | None) -> Given:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"given must be a dict from units to values, such as {{('v', 3): 1}}. Got {given!r}.")
    return given


def _checked_layer(of: str) -> str:
    if of not in ("v", "h"):
        raise ValueError(f"of must be 'joint', 'v' or 'h'. Got {of!r}.")
    return of


def _checked_count(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}. Got {value!r}.")
