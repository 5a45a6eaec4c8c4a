"""The loop of training: steps along Term A − Term B, epoch by epoch.

One step adds ∂ mean ln p / ∂θ, or an estimate of it, to the parameters; `phases` says how each learner finds the two
terms. The rows of a step are cut into blocks that depend on their number alone, each worker takes one block at a time,
and partial sums are added in the order of the blocks; every random key follows from the seed and the step. So the
weights are the same, to the last bit, for any number of threads, and a resumed run equals one that never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import DivergentError
from pgm_rbm.exact.enumeration import fisher
from pgm_rbm.learning.history import EpochRecord
from pgm_rbm.learning.monitor import Monitor
from pgm_rbm.learning.phases import LEARNERS, Average, Step
from pgm_rbm.learning.settings import StepProgress, TrainingState
from pgm_rbm.learning.updates import NaturalGradient
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.interrupts import HeldInterrupts
from pgm_rbm.machine.streams import Purpose, generator
from pgm_rbm.machine.workers import Workers, row_blocks, workers
from pgm_rbm.model.kernels import FloatArray, Phase, layer_axes
from pgm_rbm.model.model import Model
from pgm_rbm.sampling.gibbs import Chains, start_chains

__all__ = ["train"]

# The most entries of a parameter that a worker updates at once, 17 µs of plain SGD in float32 (2-core Xeon, 2026-12):
# the piece and its gradient, 512 KiB, stay in a core's cache.
_PIECE = 2**16
# The most times that a step is halved to keep Z finite: 2^-30 of it is below its rounding.
_HALVINGS = 30


def train(
    model: Model,
    x: npt.NDArray[Any],
    state: TrainingState,
    epochs: int,
    monitor: Monitor,
    *,
    expectations: Callable[[], Phase],
    budget: Budget = Budget(),
    progress: StepProgress | None = None,
) -> Iterator[EpochRecord]:
    """Train for ``epochs`` epochs, the one under way included, and yield the record of each as it ends.

    An interrupt (SIGINT) waits until the step under way is done, so parameters, optimiser and chains belong together
    when `KeyboardInterrupt` is raised; a second one passes at once. While an exact gradient is computed nothing has
    changed yet, so an interrupt then ends the step as if it had not begun.

    Args:
        model: its parameters are changed in place.
        x: visible states, shape (rows, n_visible), any dtype.
        state: where to start from; changed in place.
        epochs: how many epochs.
        monitor: measures the model at the end of each epoch.
        expectations: returns the averages under the model for an exact step.
        budget: its threads are used, and exact steps are within it.
        progress: called after every step.

    Raises:
        FloatingPointError: the gradient is no longer finite.
        DivergentError: no step in the direction of the gradient leaves the model a Z.
    """
    steps = _Steps(model, x, state, expectations, budget)
    per_epoch = steps.batches
    total, done = epochs * per_epoch - state.batch, 0
    record: EpochRecord | None = None
    for _ in range(epochs):
        seconds = 0.0
        order = steps.order()
        with workers(budget.threads) as pool, HeldInterrupts() as interrupts:
            while state.batch < per_epoch:
                begin = time.perf_counter()
                steps.step(order, pool, interrupts)
                seconds += time.perf_counter() - begin
                done += 1
                if progress is not None:
                    progress(done, total, record)
                interrupts.release()
        norm = math.sqrt(state.squares / per_epoch)
        state.epoch, state.batch, state.squares = state.epoch + 1, 0, 0.0
        record = EpochRecord(state.epoch, state.step, norm, seconds, **monitor.measure())
        yield record


class _Steps:
    """One run of training over one set of rows."""

    def __init__(
        self,
        model: Model,
        x: npt.NDArray[Any],
        state: TrainingState,
        expectations: Callable[[], Phase],
        budget: Budget,
    ):
        self._model, self._x, self._state = model, x, state
        self._expectations, self._budget = expectations, budget
        self._learner = LEARNERS[state.settings.algorithm]
        self._batch_size = min(state.settings.batch_size, len(x))
        self.batches = -(-len(x) // self._batch_size)
        self._symmetric = [name for name in model.parameters if name in model.symmetric]
        self._weights = {name: len(layer_axes(axes)) > 1 for name, axes in model.kernels.parameters.items()}
        self._flat = {name: value.reshape(-1) for name, value in model.parameters.items()}
        self._masks = {name: mask.reshape(-1) for name, mask in model.masks.items()}
        for name, value in model.parameters.items():
            held = state.slots.setdefault(name, {})
            for slot in state.settings.optimiser.slots:
                held.setdefault(slot, np.zeros_like(value))
        self._slots = {
            name: {slot: array.reshape(-1) for slot, array in state.slots[name].items()} for name in self._flat
        }
        self._pieces = [
            (name, slice(start, min(start + _PIECE, flat.size)))
            for name, flat in self._flat.items()
            for start in range(0, flat.size, _PIECE)
        ]
        if self._learner.persistent and state.chains is None:
            state.chains = self._first_chains()

    def _first_chains(self) -> Chains:
        n = self._state.settings.n_chains or self._batch_size
        rows = generator(self._state.seed, Purpose.START).integers(len(self._x), size=n)
        start = np.ascontiguousarray(self._x[rows], dtype=self._model.dtype)
        return start_chains(self._model, n, self._state.seed, visible=start, budget=self._budget)

    def order(self) -> npt.NDArray[np.intp]:
        """Return the order of the rows in the epoch under way."""
        if not self._state.settings.shuffle:
            return np.arange(len(self._x))
        return generator(self._state.seed, Purpose.SHUFFLE, self._state.epoch).permutation(len(self._x))

    def step(self, order: npt.NDArray[np.intp], pool: Workers, interrupts: HeldInterrupts) -> None:
        """Update the parameters once, from the next batch."""
        state = self._state
        start = state.batch * self._batch_size
        rows = order[start : start + self._batch_size]
        if self._learner.exact:
            with interrupts.let_through():
                gradient = [self._turned(self._gradient(rows, pool)[0])]
        else:
            gradient = self._gradient(rows, pool)
        state.step += 1
        flat = [{name: np.ravel(value) for name, value in part.items()} for part in gradient]
        conditions = self._model.conditions
        before = {} if conditions is None else {name: value.copy() for name, value in self._model.parameters.items()}
        square = math.fsum(pool.map(lambda piece: self._update(*piece, flat), self._pieces))
        for name in self._symmetric:
            # Matrix products need not be symmetric in their last bit.
            value = self._model.parameters[name]
            below = np.tril_indices(len(value), -1)
            value[below] = value.T[below]
        if not math.isfinite(square):
            raise FloatingPointError(
                f"the gradient of step {state.step} is not finite. Lower learning_rate (now "
                f"{state.settings.learning_rate}) and start from finite parameters."
            )
        if conditions is not None:
            self._stay_inside(before)
        state.squares += square
        state.batch += 1

    def _gradient(self, rows: npt.NDArray[np.intp], pool: Workers) -> list[Average]:
        """Return Term A − Term B of this batch, block by block, and move the persistent chains on."""
        state, layout, learner = self._state, self._model.layout, self._learner
        chains = state.chains if learner.persistent else None
        step = Step(
            self._model,
            state.settings,
            state.seed,
            state.step,
            self._x[rows],
            chains,
            self._expectations,
            self._budget,
        )

        def work(blocks: tuple[slice | None, slice | None]) -> Average:
            of_data, of_chains = blocks
            data, fantasy = None, None
            if of_data is not None:
                data, held = learner.data_phase(step, of_data)
                if chains is None:
                    fantasy, _ = learner.model_phase(step, of_data, held)
            if of_chains is not None and chains is not None:
                fantasy, held = learner.model_phase(step, of_chains, chains.states(layout, of_chains))
                chains.write(layout, of_chains, held)
            # There may be more blocks of one kind than of the other.
            if fantasy is None:
                assert data is not None
                return data
            return -fantasy if data is None else data - fantasy

        units = layout.units
        of_data = [slice(0, len(rows))] if learner.exact else row_blocks(len(rows), units)
        of_chains = [] if chains is None else row_blocks(len(chains), units)
        parts = pool.map(work, list(zip_longest(of_data, of_chains)))
        if chains is not None:
            state.chains = replace(chains, sweeps=chains.sweeps + state.settings.k)
        return parts

    def _turned(self, gradient: Phase) -> Average:
        """Return the exact gradient in the dtype of the parameters; for natural steps, (F + λ 1)⁻¹ times it."""
        model, settings = self._model, self._state.settings
        if isinstance(settings.optimiser, NaturalGradient):
            for name, parameter in model.parameters.items():
                if self._weights[name]:
                    gradient[name] = gradient[name] - settings.weight_decay * parameter
            information = fisher.fisher_information(model, self._budget)
            gradient = information.natural(gradient, settings.optimiser.damping, model.masks)
        return Average({name: value.astype(model.dtype, copy=False) for name, value in gradient.items()})

    def _stay_inside(self, before: Mapping[str, FloatArray]) -> None:
        """Shorten the last step until the model has a Z, as it had before."""
        conditions, parameters = self._model.conditions, self._model.parameters
        assert conditions is not None
        conditions.project(parameters)
        steps = {name: value - before[name] for name, value in parameters.items()}
        for _ in range(_HALVINGS):
            problem = conditions.problem(parameters)
            if problem is None:
                return
            for name, step in steps.items():
                step *= 0.5
                parameters[name][...] = before[name] + step
        for name, value in before.items():
            parameters[name][...] = value
        raise DivergentError(
            f"step {self._state.step} leads to a model without a Z: {problem}. Lower learning_rate (now "
            f"{self._state.settings.learning_rate})."
        )

    def _update(self, name: str, piece: slice, parts: list[dict[str, FloatArray]]) -> float:
        """Move one piece of one parameter and return the sum of squares of its gradient."""
        settings = self._state.settings
        # The step as a whole reports an overflow, once.
        with np.errstate(over="ignore", invalid="ignore"):
            gradient = parts[0][name][piece]
            for part in parts[1:]:
                gradient += part[name][piece]
            parameter = self._flat[name][piece]
            decays = settings.weight_decay and not isinstance(settings.optimiser, NaturalGradient)
            if decays and self._weights[name]:
                gradient -= settings.weight_decay * parameter
            if name in self._masks:
                gradient *= self._masks[name][piece]
            square = float(np.dot(gradient, gradient))
            settings.optimiser.update(
                parameter,
                gradient,
                {slot: array[piece] for slot, array in self._slots[name].items()},
                settings.learning_rate,
                self._state.step,
            )
        return square
