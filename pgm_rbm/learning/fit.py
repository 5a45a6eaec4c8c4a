"""Training a model: what `fit` takes and checks, and what it leaves behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import ModelError, NotPairwiseError
from pgm_rbm.learning.history import EpochRecord, History
from pgm_rbm.machine.streams import resolve_seed
from pgm_rbm.machine.workers import thread_count
from pgm_rbm.model.kernels import Phase, checked_parameters
from pgm_rbm.model.layout import NO_AVERAGE
from pgm_rbm.model.model import States, checked_count
from pgm_rbm.sampling.sampler import SamplingModel

if TYPE_CHECKING:
    from pgm_rbm.learning.loop import StepProgress, TrainingState
    from pgm_rbm.learning.updates import Optimiser

__all__ = ["LearningModel"]


class LearningModel(SamplingModel):
    """A model that can be trained."""

    def _set_up(self, *arguments: Any, **named: Any) -> None:
        super()._set_up(*arguments, **named)
        self._training: TrainingState | None = None
        self._history = History()

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

        if not self.is_pairwise:
            raise NotPairwiseError(
                "visible biases are matched for the pairwise energy. Pass parameters to from_energy, or set_parameters."
            )
        rows = self._data(X, "X")
        self.set_parameters(a=matching_visible_bias(self._kernels, self._parameters, rows, smoothing))

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
        data_sweeps: int | None = None,
        shuffle: bool | None = None,
        resume: bool = False,
        held_out: States | None = None,
        monitor: str = "auto",
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
                together may be expected to take 10 minutes; who sets a limit has the time lifted.
            threads: how many threads to use; all by default. The result does not depend on it.

        Returns:
            The model itself. `KeyboardInterrupt` passes through after the step under way, or at once while an exact
            gradient is found; what was learnt stays.

        Raises:
            TypeError, ValueError: X is no array of states or a setting is out of range.
            EnumerationLimitError: an exact method is asked of a model too large for it, or for too many steps; nothing
                has begun.
            FloatingPointError: the parameters are no longer finite.
        """
        from pgm_rbm.exact.enumeration.cost import allowed_configurations
        from pgm_rbm.learning.cost import require_time
        from pgm_rbm.learning.loop import Settings, TrainingState, train
        from pgm_rbm.learning.monitor import Monitor
        from pgm_rbm.learning.progress import progress_bar
        from pgm_rbm.learning.updates import NaturalGradient
        from pgm_rbm.machine.budget import MOST_CONFIGURATIONS
        from pgm_rbm.machine.files import require_place

        rows = self._data(X, "X")
        measured = None
        if held_out is not None:
            measured = self._data(held_out, "held_out")
        checked_count("epochs", epochs, 0)
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
            data_sweeps=data_sweeps,
            shuffle=shuffle,
        )
        if not self._parameters:
            raise ModelError("the energy has no parameters, so there is nothing to learn. Name some, such as a[i].")
        if self._layout.averaged is None:
            raise ModelError(NO_AVERAGE)
        if self._layout.given and settings.algorithm != "cd":
            raise ModelError(
                f"a model that is given {self._layout.given[0]} has another Z for every input, so persistent chains "
                f"and exact sums do not serve. Use algorithm='cd'."
            )
        for name, value in self._parameters.items():
            checked_parameters(value, name, value.shape)
        exact, natural = settings.algorithm == "exact", isinstance(settings.optimiser, NaturalGradient)
        allowed_configurations(limit)
        steps = epochs * -(-len(rows) // min(settings.batch_size, len(rows))) if exact else 0
        term_b = self._term_b(steps, limit, threads) if exact else None
        self._require_existence()
        if natural:
            self._require_two_sides("the natural gradient")
            from pgm_rbm.exact.enumeration.fisher import require_within_limits

            require_within_limits(self._kernels, self._parameters, limit=limit, threads=threads)
        judge = Monitor(
            self._kernels,
            self._parameters,
            rows,
            measured,
            kind=monitor,
            seed=self._seed,
            limit=limit,
            threads=threads,
        )
        if limit is None:
            measured_exactly = judge.kind == "exact" and (exact or monitor == "exact")
            require_time(
                self._kernels,
                self._parameters,
                steps=0 if term_b else steps,
                measures=epochs if measured_exactly else 0,
                natural=natural,
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
                masks=self._masks(),
                existence=self._existence,
                symmetric=self._symmetric,
                limit=MOST_CONFIGURATIONS,
                threads=threads,
                progress=progress or None,
                term_b=term_b,
            )
            for record in records:
                self._history.append(record)
                if checkpoint is not None:
                    self.save(checkpoint)
                answers = [callback(record) for callback in heard]
                if any(answer is True for answer in answers):
                    break
        return self

    def _term_b(self, steps: int, limit: int | None, threads: int | None) -> Callable[[], Phase] | None:
        """What finds Term B in so many exact steps where the trainer's enumeration is not to.

        Raises:
            EnumerationLimitError: it would cost more than allowed, or the enumeration would.
        """
        from pgm_rbm.exact.enumeration import answers

        answers.make_plan(self._kernels, self._parameters, limit, threads, averages=True)
        return None

    def _masks(self) -> dict[str, npt.NDArray[np.bool_]]:
        """By parameter, the entries that are trained, where not all are."""
        masks = {name: ~np.eye(len(self._parameters[name]), dtype=bool) for name in self._symmetric}
        return masks if self._mask is None else masks | {"w": self._mask}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file: parameters, mask, history, and where training stands. Nothing is pickled.

        The file appears whole or not at all.

        Raises:
            OSError: it cannot be written.
            ValueError: a parameter is not finite.
            TypeError: it was trained with an optimiser that is not one of this library's.
        """
        from pgm_rbm.formats import rbm_file

        rbm_file.write(path, self)
