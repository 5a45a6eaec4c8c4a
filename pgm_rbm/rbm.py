"""The restricted Boltzmann machine as a person meets it.

`RBM` is a model of an energy: the pairwise one of two layers, or any other. It has a `Model`, which holds layers,
kernels and parameters, and hands it to the functions that do the work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from pgm_rbm.face.exact import ExactAnswers, Moments
from pgm_rbm.learning.history import EpochRecord, History
from pgm_rbm.learning.settings import Algorithm, MonitorKind, OptimizerName, Run, StepProgress, Training
from pgm_rbm.machine.budget import Budget
from pgm_rbm.model.kernels import Target
from pgm_rbm.model.model import Model
from pgm_rbm.model.pairwise import from_arrays, pairwise
from pgm_rbm.model.states import States, data_rows

if TYPE_CHECKING:
    import networkx as nx

    from pgm_rbm.graph.model import GraphModel
    from pgm_rbm.learning.updates import Optimiser
    from symbolic import Derivation, Energy

__all__ = ["RBM", "Moments"]


class RBM(ExactAnswers):
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
        target: Target = "numba",
    ):
        self._model = pairwise(n_visible, n_hidden, (visible_units, hidden_units), seed, dtype, target)
        self._training = Training()

    @classmethod
    def _of(cls, model: Model, training: Training | None = None) -> Self:
        """The face of a model that is made already."""
        rbm = cls.__new__(cls)
        rbm._model, rbm._training = model, training or Training()
        return rbm

    def __getstate__(self) -> dict[str, Any]:
        from symbolic.language.as_data import energy_to_data

        energy = None if self._model.energy is None else energy_to_data(self._model.energy)
        bare = replace(self._model, energy=None, conditions=None)
        return {**vars(self), "_model": bare, "_energy": energy}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from pgm_rbm.model.making import conditions_of
        from symbolic.language.as_data import energy_from_data

        data = state.pop("_energy")
        vars(self).update(state)
        energy = None if data is None else energy_from_data(data)
        conditions = conditions_of(self._model.layout, energy)
        self._model = replace(self._model, energy=energy, conditions=conditions)

    @classmethod
    def from_energy(
        cls,
        energy: Energy,
        sizes: Mapping[str, int] | None = None,
        parameters: Mapping[str, npt.ArrayLike] | None = None,
        seed: int | None = None,
        *,
        dtype: npt.DTypeLike | None = None,
        target: Target = "numba",
    ) -> Self:
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
        from pgm_rbm.model.of_energy import of_energy

        return cls._of(of_energy(energy, sizes, parameters, seed, dtype, target))

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
        target: Target = "numba",
    ) -> Self:
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
        units = visible_units, hidden_units
        return cls._of(from_arrays(weights, visible_bias, hidden_bias, units, seed, mask, dtype, target))

    @classmethod
    def from_graph(
        cls, graph: nx.Graph, seed: int | None = None, *, dtype: npt.DTypeLike = np.float64, target: Target = "numba"
    ) -> Self:
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

        found = arrays_from_graph(graph)
        arrays = found.weights, found.visible_bias, found.hidden_bias
        return cls._of(from_arrays(*arrays, found.units, seed, found.mask, dtype, target))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the model that `save` wrote; ``fit(..., resume=True)`` goes on from where it stood.

        Raises:
            FileNotFoundError: there is no such file.
            ModelFileError: it is damaged, something else, or of a later version; the message says which.
        """
        from pgm_rbm.formats import rbm_file

        return cls._of(*rbm_file.read(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file: parameters, mask, history, and where training stands. Nothing is pickled.

        The file appears whole or not at all.

        Raises:
            OSError: it cannot be written.
            ValueError: a parameter is not finite.
            TypeError: it was trained with an optimiser that is not one of this library's.
        """
        from pgm_rbm.formats import rbm_file

        rbm_file.write(path, self._model, self._training)

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
        from pgm_rbm.graph.from_model import graph_of

        return graph_of(self._model)

    def derivation(self, parameter: str = "w") -> Derivation:
        """Return the derivation of ∂ ln p(v) / ∂θ for this model's energy, as Term A − Term B.

        Args:
            parameter: its name; by default ``"w"``.
        """
        return self.symbolic_energy.log_likelihood_gradient(parameter)

    # Learning

    @property
    def history(self) -> History:
        """What training recorded, an `EpochRecord` per epoch; ``history["log_likelihood"]`` is a column."""
        return self._training.history

    def initialise_visible_bias(self, X: States, smoothing: float = 1.0) -> None:
        """Set the visible biases so that, were all weights zero, each unit's mean is its smoothed mean in X.

        Args:
            X: visible states, shape (rows, n_visible).
            smoothing: how many rows at a free unit's mean are added to X; positive, so that constant columns get finite
                biases.

        Raises:
            TypeError, ValueError: X is not an array of states, or ``smoothing`` is not positive.
        """
        from pgm_rbm.learning.initialise import matching_visible_bias

        self.set_parameters(a=matching_visible_bias(self._model, data_rows(self._model, X, "X"), smoothing))

    def fit(
        self,
        X: States,
        algorithm: Algorithm | None = None,
        k: int | None = None,
        epochs: int = 10,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        seed: int | None = None,
        *,
        optimizer: OptimizerName | Optimiser | None = None,
        momentum: float | None = None,
        weight_decay: float | None = None,
        n_chains: int | None = None,
        data_sweeps: int | None = None,
        shuffle: bool | None = None,
        resume: bool = False,
        held_out: States | None = None,
        monitor: MonitorKind = "auto",
        callbacks: Callable[[EpochRecord], Any] | list[Callable[[EpochRecord], Any]] | None = None,
        progress: bool | StepProgress = False,
        checkpoint: str | os.PathLike[str] | None = None,
        limit: int | None = None,
        threads: int | None = None,
    ) -> Self:
        """Train on the rows of X, starting from the parameters as they are.

        What is left at None has the default given below, or, when training is resumed, the value it had.

        Args:
            X: visible states, shape (rows, n_visible), of any real dtype.
            algorithm: ``"pcd"`` (default), ``"cd"``, or ``"exact"``, which enumerates the smaller layer every step.
            k: Gibbs sweeps per step, for PCD and CD; 1.
            epochs: passes over X.
            batch_size: rows per step; 100.
            learning_rate: 0.1, or 0.01 with Adam.
            seed: of everything random in training; by default the model's own.
            optimizer: ``"sgd"`` (default), ``"adam"``, ``"natural"`` for the natural gradient of small models with the
                exact algorithm, or one made in `learning.updates`.
            momentum: of ``"sgd"``; 0.
            weight_decay: λ of the penalty λ/2 Σ w² on the mean ln p; 0. Biases are not penalised.
            n_chains: persistent chains, for PCD; as many as a batch has rows.
            data_sweeps: Gibbs sweeps over several hidden layers given each row of data, for PCD and CD; 10.
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
            limit: the most configurations that an exact step or measure enumerates. By default 2^24, and all of them
                together may be expected to take 10 minutes; an explicit limit replaces both.
            threads: how many threads to use; all by default. The result does not depend on it.

        Returns:
            The model itself. `KeyboardInterrupt` passes through after the step under way, or at once while an exact
            gradient is found; what was learnt stays.

        Raises:
            TypeError, ValueError: X is not an array of states, or a setting is out of range.
            EnumerationLimitError: an exact method is asked of a model too large for it, or for too many steps; nothing
                has begun.
            FloatingPointError: the parameters are no longer finite.
        """
        from pgm_rbm.learning.fit import fit
        from pgm_rbm.machine.files import require_place

        rows = data_rows(self._model, X, "X")
        measured = None if held_out is None else data_rows(self._model, held_out, "held_out")
        changes = {
            "algorithm": algorithm,
            "k": k,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "optimizer": optimizer,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "n_chains": n_chains,
            "data_sweeps": data_sweeps,
            "shuffle": shuffle,
        }
        if checkpoint is not None:
            require_place(checkpoint)

        def save() -> None:
            if checkpoint is not None:
                self.save(checkpoint)

        run = Run(epochs, seed, resume, monitor, callbacks, progress, save)
        fit(self._model, self._training, rows, measured, changes, run, Budget.of(limit=limit, threads=threads))
        return self
