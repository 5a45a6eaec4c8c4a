"""The restricted Boltzmann machine as a person meets it.

`RBM` is a model of an energy: the pairwise one of two layers, or any other. It holds the parameters, checks what comes
in, and hands the work on: formulas to the generated kernels, exact answers to `exact`, chains to `sampling`, training
to `learning`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import EnumerationLimitError, ModelError, NotPairwiseError
from pgm_rbm.exact.enumeration import answers, configurations, multilayer
from pgm_rbm.exact.enumeration.answers import Expectations, Gradient
from pgm_rbm.exact.enumeration.configurations import MostProbable
from pgm_rbm.exact.enumeration.shards import Executors, Progress
from pgm_rbm.exact.enumeration.sums import lifted, require_domain
from pgm_rbm.learning.fit import LearningModel
from pgm_rbm.machine.budget import Budget
from pgm_rbm.model.domains import is_finite, is_plain
from pgm_rbm.model.draw import require_drawable
from pgm_rbm.model.kernels import FloatArray, Kernels, Phase, checked_parameters, pairwise_kernels
from pgm_rbm.model.model import States
from pgm_rbm.model.parameters import checked_sizes, loose_sizes
from pgm_rbm.partition.result import LogPartition
from pgm_rbm.sampling.gibbs import Given, clamps_from
from pgm_rbm.sampling.sampler import checked_given

if TYPE_CHECKING:
    import networkx as nx

    from pgm_rbm.exact.enumeration.fisher import FisherInformation
    from pgm_rbm.exact.tractability import Tractability
    from pgm_rbm.graph.live import RBMGraph
    from pgm_rbm.graph.model import GraphModel
    from symbolic.derivation.trace import Derivation
    from symbolic.language.energy import Energy

__all__ = ["RBM", "Moments"]

# How a limit of an elimination is raised by who calls what takes none.
_RAISED = "Ask rbm.graph, whose methods take a larger {}, for that."


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


class RBM(LearningModel):
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
        for name, size in (("n_visible", n_visible), ("n_hidden", n_hidden)):
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
                raise ValueError(f"{name} must be a positive whole number of units. Got {size!r}.")
        kernels = pairwise_kernels(visible_units, hidden_units, target)
        energy: Energy | None = None
        if not (is_plain(visible_units) and is_plain(hidden_units)):
            from symbolic import energies

            # There is more than a weight a pair and a bias a unit, so that graphs and the like do not fit.
            energy = energies.pairwise(visible_units, hidden_units)
        self._set_up(kernels, {"v": int(n_visible), "h": int(n_hidden)}, energy, seed, dtype)
        require_drawable(self._layout)

    @classmethod
    def from_energy(
        cls,
        energy: Energy,
        sizes: Mapping[str, int] | None = None,
        parameters: Mapping[str, npt.ArrayLike] | None = None,
        seed: int | None = None,
        *,
        dtype: npt.DTypeLike | None = None,
        target: str = "numba",
    ) -> RBM:
        """The model of any energy that `symbolic` compiles.

        Data of one visible layer are an array; data of several, or with layers that the energy is given, are a dict of
        arrays by layer.

        Args:
            energy: such as ``Energy.parse(...)`` or one of `symbolic.energies`.
            sizes: the number of units of every layer, such as ``{"v": 784, "h": 500}``; read off ``parameters`` by
                default, where each layer is an axis of one.
            parameters: every parameter's array by name, which are copied; new ones to train from by default: small
                normal weights, biases at zero, deviations and precisions at one.
            seed: as for `RBM`.
            dtype: float32 where all ``parameters`` are and nothing is said here, else float64.
            target: as for `RBM`.

        Raises:
            ModelError: sizes or parameters lack a name or have one too many, a shape does not fit, or a symmetric
                parameter is not symmetric.
            TypeError: ``energy`` is none, or an array holds no real numbers.
            DivergentError: the model has no Z with these parameters.
            LoweringError: there is no generated code for a piece of the energy.

        Example:
            >>> from symbolic import Energy
            >>> deep = Energy.parse(
            ...     "-sum(v[i]*w[i,j]*h[j], i, j) - sum(h[j]*u[j,k]*g[k], j, k)",
            ...     visible={"v": "spin"}, hidden={"h": "binary", "g": "binary"},
            ... )
            >>> RBM.from_energy(deep, sizes={"v": 6, "h": 4, "g": 2}, seed=0, target="numpy")
            RBM(v: 6 spin; h: 4 binary, g: 2 binary; float64)
        """
        from symbolic import energies
        from symbolic.language.energy import Energy as AnyEnergy

        if not isinstance(energy, AnyEnergy):
            raise TypeError(f"energy must be a symbolic.Energy; Energy.parse makes one of text. Got {energy!r}.")
        kernels = energy.compile(target)
        if parameters is not None and not isinstance(parameters, Mapping):
            raise TypeError(f"parameters must be a dict from names to arrays. Got {type(parameters).__name__}.")
        sizes = checked_sizes(kernels, sizes, parameters)
        if dtype is None:
            arrays = [np.asarray(value) for value in (parameters or {}).values()]
            dtype = np.float32 if arrays and all(one.dtype == np.float32 for one in arrays) else np.float64
        own: Energy | None = energy
        if tuple(energy.layers) == ("v", "h"):
            units = [layer.unit for layer in energy.layers.values()]
            if all(map(is_plain, units)) and energy == energies.pairwise(*units):
                kernels, own = pairwise_kernels(*units, target), None
        kernels = kernels.sized(**loose_sizes(kernels, sizes))
        rbm = cls.__new__(cls)
        rbm._set_up(kernels, sizes, own, seed, dtype, parameters)
        require_drawable(rbm._layout)
        return rbm

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

    # The pairwise energy ----------------------------------------------------------------------------------------

    def _parameter(self, attribute: str, layers: tuple[str, ...], usual: str) -> str:
        """The parameter that is meant by ``weights`` and the like: the only one with these axes, or the usual name."""
        if len(self._kernels.layers) == 2 and len(self._kernels.visible) == len(self._kernels.hidden) == 1:
            names = [name for name, axes in self._kernels.parameters.items() if axes == layers]
            if len(names) == 1 or usual in names:
                return usual if usual in names else names[0]
        raise NotPairwiseError(
            f"this energy has no {attribute}; its parameters are {', '.join(self._parameters)}. Use "
            f"rbm.parameters[name] and rbm.set_parameters(name=array)."
        )

    @property
    def _sides(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._kernels.visible[:1], self._kernels.hidden[:1]

    @property
    def weights(self) -> FloatArray:
        """w, shape (n_visible, n_hidden). The array is live; assigning copies into it."""
        return self._parameters[self._parameter("weights", sum(self._sides, ()), "w")]

    @weights.setter
    def weights(self, value: npt.ArrayLike) -> None:
        array = checked_parameters(value, "weights", self.weights.shape, self.dtype)
        if self._mask is not None and array[~self._mask].any():
            i, j = (int(k) for k in np.argwhere((array != 0) & ~self._mask)[0])
            raise ValueError(
                f"weights must be zero where the model has no edge. Got {array[i, j]} at ({i}, {j}); make a model "
                f"with that edge instead."
            )
        self.set_parameters(**{self._parameter("weights", sum(self._sides, ()), "w"): array})

    @property
    def visible_bias(self) -> FloatArray:
        """a, shape (n_visible,). The array is live; assigning copies into it."""
        return self._parameters[self._parameter("visible_bias", self._sides[0], "a")]

    @visible_bias.setter
    def visible_bias(self, value: npt.ArrayLike) -> None:
        array = checked_parameters(value, "visible_bias", self.visible_bias.shape, self.dtype)
        self.set_parameters(**{self._parameter("visible_bias", self._sides[0], "a"): array})

    @property
    def hidden_bias(self) -> FloatArray:
        """b, shape (n_hidden,). The array is live; assigning copies into it."""
        return self._parameters[self._parameter("hidden_bias", self._sides[1], "b")]

    @hidden_bias.setter
    def hidden_bias(self, value: npt.ArrayLike) -> None:
        array = checked_parameters(value, "hidden_bias", self.hidden_bias.shape, self.dtype)
        self.set_parameters(**{self._parameter("hidden_bias", self._sides[1], "b"): array})

    def hidden_mean(self, v: States) -> FloatArray:
        """⟨h⟩ given each row of v, shape (rows, n_hidden), for a single hidden layer. Raises as `mean` does."""
        self._only("hidden", self._kernels.hidden)
        return self.mean(self._kernels.hidden[0], v)

    def visible_mean(self, h: States) -> FloatArray:
        """⟨v⟩ given each row of h, shape (rows, n_visible), for a single visible layer. Raises as `mean` does."""
        self._only("visible", self._kernels.visible)
        return self.mean(self._kernels.visible[0], h)

    # Exact answers ----------------------------------------------------------------------------------------------

    def log_partition(
        self,
        method: str = "auto",
        *,
        limit: int | None = None,
        memory_limit: float | None = None,
        time_limit: float | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
        executor: Executors | None = None,
    ) -> LogPartition:
        """ln Z, in nats.

        Args:
            method: ``"enumeration"`` of the smaller layer; ``"elimination"`` on the graph, for models where few pairs
                of units have a weight; or ``"auto"``, which takes what `tractability` says: of the ways within the
                limits, enumeration or else elimination if it takes a second at most, and else the quicker one.
            limit: the most configurations to enumerate; 2^24 by default.
            memory_limit, time_limit: bytes and seconds that an elimination may take; 2^30 and 600 by default.
            threads: how many threads an enumeration uses, all by default; an elimination runs on one. The result does
                not depend on it.
            progress: called with (work done, work in all) as it goes on, or True for a bar with the time left on
                standard error.
            executor: where an enumeration computes its parts instead of on threads: any
                `concurrent.futures.Executor`, or a function that makes one and is called anew if one breaks. The
                result does not depend on it.

        Raises:
            ValueError: there is no such method, a limit is no positive number or belongs to the other method, or a
                parameter is not finite.
            EnumerationLimitError: the smaller layer has more configurations than ``limit``, and the graph is too dense.
            IntractableError: elimination was asked for, and the graph is too dense.
            ModelError: the model has no ln Z that can be found in this way; the message says why.
        """
        from pgm_rbm.exact import choice
        from pgm_rbm.machine.budget import Budget

        if method not in ("auto", "enumeration", "elimination"):
            raise ValueError(f"method must be 'auto', 'enumeration' or 'elimination'. Got {method!r}.")
        for name, value, other in (
            ("limit", limit, "elimination"),
            ("executor", executor, "elimination"),
            ("memory_limit", memory_limit, "enumeration"),
            ("time_limit", time_limit, "enumeration"),
        ):
            if value is not None and method == other:
                raise ValueError(f"{name} has no meaning with method={other!r}: leave it out. Got {value!r}.")
        limits = Budget.of(memory_limit=memory_limit, time_limit=time_limit)
        if method == "auto":
            way = choice.taken(self, "ln Z", limits=limits, limit=limit, threads=threads)
            method = "enumeration" if isinstance(way, choice.Enumerated) else "elimination"
        if method == "elimination":
            return choice.eliminated_log_partition(self, limits, progress)
        return answers.log_partition(
            self._kernels,
            self._parameters,
            limit=limit,
            threads=threads,
            progress=progress,
            executor=executor,
        )

    def log_probability(
        self,
        v: States,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> npt.NDArray[np.float64]:
        """ln p(v) of each row, in nats, shape (rows,), exact; of a model with inputs, given the row's input.

        It is a density where units are continuous. Arguments and errors as `log_partition` and `energy`.
        """
        rows = self._data(v, "v")
        if self._layout.given:
            inputs = self._layout.data_states(rows.astype(np.float64))
            inputs = {layer: inputs[layer] for layer in self._layout.given}
            each = self._kernels.log_partition(inputs, **lifted(self._parameters))
            return multilayer.log_probability(self._kernels, self._parameters, rows, 0.0, threads=threads) - each
        log_z = self.log_partition(limit=limit, threads=threads, progress=progress).value
        return multilayer.log_probability(self._kernels, self._parameters, rows, log_z, threads=threads)

    def log_likelihood(
        self,
        X: States,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> float:
        """The mean of ln p(v) over the rows of X, in nats, exact. Arguments and errors as `log_probability`."""
        return float(self.log_probability(X, limit=limit, threads=threads, progress=progress).mean())

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
        rows = self._data(X, "X")
        model = self.expectations(limit=limit, threads=threads, progress=progress, executor=executor).phase
        data = multilayer.data_phase(self._kernels, self._parameters, rows, threads=threads)
        return Gradient(self._existing(data), model)

    def _existing(self, phase: Phase) -> Phase:
        """The same with zero for parameters that do not exist: weights without an edge, diagonals that are zero."""
        return phase | {name: phase[name] * mask for name, mask in self._masks().items()}

    def expectations(
        self,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
        executor: Executors | None = None,
    ) -> Expectations:
        """The average of −∂E/∂θ under the model for every parameter θ, in ``phase``, and ln Z; exact.

        A weight that does not exist, by the model's mask, has the average 0. Arguments and errors as `log_partition`.
        """
        result = self._averages(limit, threads, progress, executor, every_pair=self._mask is None)
        return Expectations(result.log_partition, self._existing(result.phase))

    def _averages(
        self,
        limit: int | None,
        threads: int | None,
        progress: bool | Progress | None,
        executor: Executors | None,
        *,
        every_pair: bool,
    ) -> Expectations:
        """Averages, with those of pairs of units that have no edge if ``every_pair``."""
        from pgm_rbm.exact import choice

        way = choice.taken(self, "marginals", limit=limit, threads=threads, raised=_RAISED)
        if isinstance(way, choice.Enumerated):
            return answers.expectations(
                self._kernels,
                self._parameters,
                limit=limit,
                threads=threads,
                progress=progress,
                executor=executor,
            )
        from pgm_rbm.exact.elimination import sparse

        arrays = cast("RBMGraph", self.graph).arrays
        assert arrays is not None
        return sparse.expectations(arrays, Budget.of(progress=progress), every_pair=every_pair)

    def moments(
        self,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
        executor: Executors | None = None,
    ) -> Moments:
        """⟨v⟩, ⟨h⟩ and ⟨v hᵀ⟩ of all pairs of units under the model of the pairwise energy, exact.

        On a graph that is eliminated, pairs without an edge take an elimination for each state of each unit of one
        side. Arguments and errors as `log_partition`, and IntractableError where those would take too long.
        """
        if not self.is_pairwise:
            raise NotPairwiseError(
                "moments belong to the pairwise energy. Ask for expectations(), the average of every -dE/dtheta."
            )
        phase = self._averages(limit, threads, progress, executor, every_pair=True).phase
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
            of: ``"joint"`` for p(v, h), by enumerating the smaller layer or by elimination on the graph; ``"v"`` or
                ``"h"`` for one layer's own distribution, by enumerating that layer.
            limit, threads, progress: as for `log_partition`.

        Raises:
            ValueError: ``of`` is something else, or a parameter is not finite.
            NoFiniteDomainError: the layer has infinitely many states, or for the joint entropy both have, or one whose
                states weigh of themselves, such as Poisson units.
            EnumerationLimitError: the layer to be enumerated has more configurations than ``limit``.
        """
        from pgm_rbm.exact import choice

        self._require_two_sides("the entropy")
        if of == "joint":
            way = choice.taken(self, "marginals", limit=limit, threads=threads, raised=_RAISED)
            if not isinstance(way, choice.Enumerated):
                return self.graph.entropy(progress=progress)
            return configurations.joint_entropy(
                self._kernels, self._parameters, self._tempered, limit=limit, threads=threads, progress=progress
            )
        return configurations.layer_entropy(
            self._kernels, self._parameters, _checked_layer(of), limit=limit, threads=threads, progress=progress
        )

    def _tempered(self) -> tuple[Kernels, str]:
        """The kernels of β E, and the name of the parameter β."""
        energy, beta = self.symbolic_energy.tempered()
        return energy.compile(self._kernels.target), beta.name

    def kl_divergence(
        self,
        X: States,
        *,
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> float:
        """KL(q ‖ p) in nats, exact, from the distribution q of the rows of X to the model's p(v); of a model with
        inputs, that of q(v) to p(v) given the input, averaged over the rows.

        It is −H(q) minus `log_likelihood`, so it has the same gradient but for the sign, and is 0 where every row is as
        probable as it is frequent. Arguments and errors as `log_probability`.

        Raises:
            NoFiniteDomainError: the visible units have infinitely many states, and no data q is absolutely continuous.
        """
        for layer in self._kernels.visible:
            require_domain(self._kernels, layer)
        distinct, counts = np.unique(self._data(X, "X"), axis=0, return_counts=True)
        q = conditional = counts / counts.sum()
        if self._layout.given:
            inputs = np.concatenate([distinct[:, self._layout.data_columns[one]] for one in self._layout.given], axis=1)
            _, place = np.unique(inputs, axis=0, return_inverse=True)
            conditional = q / np.bincount(place.ravel(), q)[place.ravel()]
        log_p = self.log_probability(self._by_layer(distinct), limit=limit, threads=threads, progress=progress)
        return float(q @ (np.log(conditional) - log_p))

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
            of: ``"joint"`` for the pair (v, h) of the largest p(v, h), by enumerating the smaller layer or else by
                elimination on the graph; ``"v"`` or ``"h"`` for one layer with the other one summed out, by enumerating
                that layer.
            limit, threads, progress: as for `log_partition`.

        Returns:
            `MostProbable` with ``visible``, ``hidden`` and ``log_probability``.

        Raises:
            ValueError: ``of`` is something else, ``given`` is used with one layer, or the most probable pair is asked
                of units that are labels.
            UnknownVariableError, ValueOutsideDomainError: ``given`` does not fit the model.
            NoFiniteDomainError: units have infinitely many states; with ``of="joint"`` those of either layer.
            EnumerationLimitError: the layer to be enumerated has more configurations than ``limit``.
        """
        self._require_two_sides("the most probable configuration")
        chosen = checked_given(given)
        if of == "joint":
            clamps = clamps_from(chosen, self._kernels, self._parameters, 1)
            try:
                return configurations.most_probable(
                    self._kernels, self._parameters, clamps, limit=limit, threads=threads, progress=progress
                )
            except EnumerationLimitError as refused:
                from pgm_rbm.exact import choice

                choice.require_elimination(self, "most probable", refused, _RAISED)
            best = self.graph.most_probable(chosen, progress=progress)
            states = np.array([best[node] for node in self.graph], dtype=self.dtype)
            return MostProbable(states[: self.n_visible], states[self.n_visible :], best.log_probability)
        layer = _checked_layer(of)
        if chosen:
            raise ValueError(f"given must be left out with of={of!r}. Use of='joint' to fix units.")
        states, log_p = configurations.most_probable_of_layer(
            self._kernels, self._parameters, layer, limit=limit, threads=threads, progress=progress
        )
        states = states.astype(self.dtype)
        return MostProbable(states if layer == "v" else None, states if layer == "h" else None, log_p)

    def _exact_draws(
        self, n: int, seed: int, limit: int | None, threads: int | None, progress: bool | Progress | None
    ) -> Any:
        try:
            return super()._exact_draws(n, seed, limit, threads, progress)
        except EnumerationLimitError as refused:
            from pgm_rbm.exact import choice

            choice.require_elimination(self, "samples", refused, _RAISED, n)
        drawn = self.graph.sample(n, seed=seed, progress=progress)
        return drawn[:, : self.n_visible].astype(self.dtype)

    def _term_b(self, steps: int, limit: int | None, threads: int | None) -> Callable[[], Phase] | None:
        try:
            return super()._term_b(steps, limit, threads)
        except EnumerationLimitError as refused:
            from pgm_rbm.exact import choice

            return choice.eliminated_term_b(self, steps, limit, refused, _RAISED)

    def fisher_information(
        self,
        *,
        limit: int | None = None,
        memory_limit: float | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> FisherInformation:
        """The Fisher information of p(v) in all parameters, exact, by enumerating the visible layer.

        Args:
            limit: the most visible configurations to enumerate. By default 2^24, and no more than are expected to take
                10 minutes and 1 GiB; who sets a limit has these lifted.
            memory_limit: bytes it may hold, whatever the limit. The matrix alone takes 8 p² for p parameters.
            threads, progress: as for `log_partition`.

        Returns:
            `FisherInformation` with ``matrix``; its ``natural(gradient.difference, damping)`` is the natural gradient.

        Raises:
            EnumerationLimitError: more configurations, memory or time than allowed; nothing has been computed.
            ValueError: a parameter is not finite, or a limit not positive.
        """
        from pgm_rbm.exact.enumeration.fisher import fisher_information

        self._require_two_sides("the Fisher information")
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
            ``"sampling"`` where it refuses; its notes say why a way is missing.

        Raises:
            ValueError: a limit is no positive number, or a parameter is not finite.
        """
        from pgm_rbm.exact import choice

        return choice.tractability(self, limit=limit, memory_limit=memory_limit, time_limit=time_limit)

    # Files, graph and derivation ---------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RBM:
        """The model that `save` wrote; ``fit(..., resume=True)`` goes on from where it stood.

        Raises:
            FileNotFoundError: there is no such file.
            ModelFileError: it is damaged, something else, or of a later version; the message says which.
        """
        from pgm_rbm.formats import rbm_file

        return rbm_file.read(path, cls)

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
        from pgm_rbm.graph.arrays import arrays_from_graph

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
    def graph(self) -> GraphModel:
        """The model as a `networkx.Graph` with nodes ("v", i) and ("h", j).

        Of the pairwise energy it is an `RBMGraph`, which reads the live arrays: edges with weight, or where the units
        of a layer are labels, factors. Of any other energy it is made anew each time, by `GraphModel.from_energy`, and
        has factors for what no bias and no weight says.

        Raises:
            ModelError: the units are vectors or their values cannot be listed, or an energy other than the pairwise one
                has layers that are given or more terms than a graph can hold.
        """
        from pgm_rbm.graph.live import RBMGraph
        from pgm_rbm.graph.model import GraphModel

        if self._has_arrays_of_graph:
            w, a, b = (self._parameters[name] for name in ("w", "a", "b"))
            return RBMGraph.from_arrays(w, a, b, self.visible_units, self.hidden_units, self._mask)
        if self._layout.given:
            raise ModelError(
                f"the model is given {', '.join(self._layout.given)}. Call GraphModel.from_energy with their states."
            )
        return GraphModel.from_energy(self.symbolic_energy, self.parameters, self.sizes)

    @property
    def _has_arrays_of_graph(self) -> bool:
        """Whether its parameters are those of a graph: a weight for each pair of units and a bias for each unit."""
        if self.is_pairwise:
            return True
        units = list(self.units.values())
        if tuple(self.units) != ("v", "h") or self._layout.given:
            return False
        if not all(is_plain(unit) or is_finite(unit) for unit in units):  # vectors, angles
            return False
        from symbolic import energies

        return not all(map(is_plain, units)) and self.symbolic_energy == energies.pairwise(*units)

    def derivation(self, parameter: str = "w") -> Derivation:
        """The derivation of ∂ ln p(v) / ∂θ for this model's energy, as Term A − Term B.

        Args:
            parameter: its name; by default ``"w"``.
        """
        return self.symbolic_energy.log_likelihood_gradient(parameter)


def _checked_layer(of: str) -> str:
    if of not in ("v", "h"):
        raise ValueError(f"of must be 'joint', 'v' or 'h'. Got {of!r}.")
    return of
