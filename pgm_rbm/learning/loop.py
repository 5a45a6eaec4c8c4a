"""Training: CD-k, PCD-k and exact maximum likelihood, all as Term A − Term B.

One step adds ∂ mean ln p / ∂θ, or an estimate of it, to the parameters. Term A is an average over the batch's rows;
one hidden layer is averaged exactly, and if there are others they are drawn given the row, by a short chain of their
own (Salakhutdinov and Larochelle 2010 start theirs from a mean field). Term B is an average over chains that start at
these rows (CD, Hinton 2002), over chains that go on from step to step (PCD, Tieleman 2008), or over all configurations
(exact). Each average is divided by its own number of rows.

The rows of a step are cut into blocks that depend on their number alone, workers take a block each, and partial sums
are added in the order of the blocks; every random key follows from the seed and the step. So the weights come out
the same, to the last bit, for any number of threads, and going on from a saved state is the same as never having
stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import DivergentError
from pgm_rbm.exact.enumeration import answers, fisher, multilayer
from pgm_rbm.learning.history import EpochRecord
from pgm_rbm.learning.monitor import Monitor
from pgm_rbm.learning.updates import SGD, Adam, NaturalGradient, Optimiser, optimiser_from
from pgm_rbm.machine.interrupts import HeldInterrupts
from pgm_rbm.machine.streams import Purpose, generator
from pgm_rbm.machine.workers import Workers, row_blocks, workers
from pgm_rbm.model.convergence import Existence
from pgm_rbm.model.draw import draw_hidden, draw_layer, layer_key
from pgm_rbm.model.kernels import FloatArray, Kernels, Phase, dtype_of, layer_axes
from pgm_rbm.model.layout import Layout, States
from pgm_rbm.sampling.gibbs import Chains, start_chains

__all__ = ["ALGORITHMS", "Settings", "StepProgress", "TrainingState", "train"]

ALGORITHMS = ("cd", "pcd", "exact")

StepProgress = Callable[[int, int, EpochRecord | None], None]
"""Called after every step with (steps done in this run, steps in all, the last epoch's record if there is one)."""

_PIECE = 2**16
_HALVINGS = 30


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        algorithm: ``"cd"``, ``"pcd"`` or ``"exact"``.
        k: Gibbs sweeps a step, for CD and PCD.
        batch_size: rows a step; the last batch of an epoch may be smaller.
        learning_rate: η, positive.
        optimiser: moves the parameters.
        weight_decay: λ of the term −λ/2 Σ w² added to the mean ln p; it acts on weights, not on biases.
        n_chains: persistent chains for PCD; by default as many as a batch has rows.
        data_sweeps: Gibbs sweeps over the hidden layers given each row, for CD and PCD where there are several.
        shuffle: whether each epoch goes through the rows in a new random order.
    """

    algorithm: str = "pcd"
    k: int = 1
    batch_size: int = 100
    learning_rate: float = 0.1
    optimiser: Optimiser = field(default_factory=SGD)
    weight_decay: float = 0.0
    n_chains: int | None = None
    data_sweeps: int = 10
    shuffle: bool = True

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            known = ", ".join(map(repr, ALGORITHMS))
            raise ValueError(f"algorithm must be one of {known}. Got {self.algorithm!r}.")
        if isinstance(self.optimiser, NaturalGradient) and self.algorithm != "exact":
            raise ValueError(
                f"optimizer='natural' goes with algorithm='exact', whose gradient it turns. Got algorithm="
                f"{self.algorithm!r}."
            )
        counts = {"k": self.k, "batch_size": self.batch_size, "data_sweeps": self.data_sweeps}
        if self.n_chains is not None:
            counts["n_chains"] = self.n_chains
        for name, value in counts.items():
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"{name} must be a positive whole number. Got {value!r}.")
        for name, number in (("learning_rate", self.learning_rate), ("weight_decay", self.weight_decay)):
            if isinstance(number, bool) or not isinstance(number, (int, float, np.integer, np.floating)):
                raise TypeError(f"{name} must be a number. Got {number!r}.")
        if not isinstance(self.shuffle, (bool, np.bool_)):
            raise TypeError(f"shuffle must be True or False. Got {self.shuffle!r}.")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be positive and finite. Got {self.learning_rate!r}.")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be finite and not negative. Got {self.weight_decay!r}.")

    def changed(
        self, *, optimizer: str | Optimiser | None = None, momentum: float | None = None, **changes: Any
    ) -> Settings:
        """These settings with the changes that are not None.

        Args:
            optimizer: ``"sgd"``, ``"adam"`` or one that is made already.
            momentum: of SGD, which it implies where no optimiser is named.
            changes: any other attribute.

        Raises:
            TypeError, ValueError: a setting is out of range.
        """
        if optimizer is not None or momentum is not None:
            own = {} if momentum is None else {"momentum": momentum}
            optimiser = changes["optimiser"] = optimiser_from("sgd" if optimizer is None else optimizer, **own)
            if isinstance(optimiser, Adam) and changes.get("learning_rate") is None:
                changes["learning_rate"] = 0.01  # Adam's steps are as long as the rate, whatever the gradient is
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


@dataclass
class TrainingState:
    """Where training stands; with the parameters and the data, enough to go on bit for bit.

    Attributes:
        settings: how it trains.
        seed: 64-bit seed of everything random.
        rows: number of training rows.
        epoch: epochs that are finished.
        batch: batches that are finished in the epoch under way.
        step: parameter updates so far.
        squares: sum of squared gradient norms over the finished batches of the epoch under way.
        slots: by parameter, what the optimiser remembers.
        chains: the persistent chains, for PCD.
    """

    settings: Settings
    seed: int
    rows: int
    epoch: int = 0
    batch: int = 0
    step: int = 0
    squares: float = 0.0
    slots: dict[str, dict[str, FloatArray]] = field(default_factory=dict)
    chains: Chains | None = None

    def go_on(self, settings: Settings, rows: int) -> None:
        """Take on these settings and this number of rows, and drop what no longer fits them: an epoch under way, what
        another optimiser remembers, chains of another number."""
        if rows != self.rows or settings.batch_size != self.settings.batch_size:
            self.batch, self.squares = 0, 0.0
        if settings.optimiser.slots != self.settings.optimiser.slots:
            self.slots = {}
        if settings.n_chains != self.settings.n_chains or settings.algorithm != "pcd":
            self.chains = None
        self.settings, self.rows = settings, rows


def train(
    kernels: Kernels,
    parameters: Mapping[str, FloatArray],
    x: npt.NDArray[Any],
    state: TrainingState,
    epochs: int,
    monitor: Monitor,
    *,
    masks: Mapping[str, npt.NDArray[np.bool_]] | None = None,
    existence: Existence | None = None,
    symmetric: Container[str] = (),
    limit: int | None = None,
    threads: int | None = None,
    progress: StepProgress | None = None,
    term_b: Callable[[], Phase] | None = None,
) -> Iterator[EpochRecord]:
    """Train for so many epochs, counting the one under way if there is one; yields each one's record as it ends.

    An interrupt (SIGINT) is held back until the step under way is done, so parameters, optimiser and chains belong
    together when `KeyboardInterrupt` is raised; a second one is not held back. While an exact gradient is found nothing
    has changed yet, so one that comes then ends the step as if it had not begun.

    Args:
        kernels: the model's kernels.
        parameters: its parameters, changed in place; C-contiguous.
        x: visible states, shape (rows, n_visible), any dtype.
        state: where to start from, changed in place.
        epochs: how many epochs.
        monitor: measures the model at the end of each epoch.
        masks: by parameter, which of its entries are trained; the others keep their values. All by default.
        existence: what must hold for the model to have a Z; a step that leaves these parameters is shortened.
        symmetric: parameters whose transpose stays the same.
        limit: the most configurations that an exact step enumerates.
        threads: how many threads to use; the result does not depend on it.
        progress: called after every step.
        term_b: finds the averages under the model for an exact step; by enumeration if left out.

    Raises:
        FloatingPointError: the gradient is no longer finite.
        DivergentError: no step in the direction of the gradient leaves the model a Z.
    """
    steps = _Steps(kernels, parameters, x, state, masks or {}, limit, threads, existence, symmetric, term_b)
    per_epoch = steps.batches
    total, done = epochs * per_epoch - state.batch, 0
    record: EpochRecord | None = None
    for _ in range(epochs):
        seconds = 0.0
        order = steps.order()
        with workers(threads) as pool, HeldInterrupts() as interrupts:
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
        kernels: Kernels,
        parameters: Mapping[str, FloatArray],
        x: npt.NDArray[Any],
        state: TrainingState,
        masks: Mapping[str, npt.NDArray[np.bool_]],
        limit: int | None,
        threads: int | None,
        existence: Existence | None = None,
        symmetric: Container[str] = (),
        term_b: Callable[[], Phase] | None = None,
    ):
        self._existence, self._term_b = existence, term_b
        self._symmetric = [name for name in parameters if name in symmetric]
        self._kernels, self._parameters, self._x, self._state = kernels, dict(parameters), x, state
        self._limit, self._threads = limit, threads
        self._dtype = dtype_of(self._parameters)
        self._batch_size = min(state.settings.batch_size, len(x))
        self.batches = -(-len(x) // self._batch_size)
        self._layout = Layout.of(kernels, self._parameters)
        self._weights = {name: len(layer_axes(axes)) > 1 for name, axes in kernels.parameters.items()}
        self._flat = {name: value.reshape(-1) for name, value in self._parameters.items()}
        self._masks = {name: mask.reshape(-1) for name, mask in masks.items()}
        for name, value in self._parameters.items():
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
        if state.settings.algorithm == "pcd" and state.chains is None:
            state.chains = self._first_chains()

    def _first_chains(self) -> Chains:
        n = self._state.settings.n_chains or self._batch_size
        rows = generator(self._state.seed, Purpose.START).integers(len(self._x), size=n)
        start = np.ascontiguousarray(self._x[rows], dtype=self._dtype)
        return start_chains(self._kernels, self._parameters, n, self._state.seed, visible=start, threads=self._threads)

    def order(self) -> npt.NDArray[np.intp]:
        """The order of the rows in the epoch under way."""
        if not self._state.settings.shuffle:
            return np.arange(len(self._x))
        return generator(self._state.seed, Purpose.SHUFFLE, self._state.epoch).permutation(len(self._x))

    def step(self, order: npt.NDArray[np.intp], pool: Workers, interrupts: HeldInterrupts) -> None:
        """One update of the parameters from the next batch."""
        state = self._state
        start = state.batch * self._batch_size
        rows = order[start : start + self._batch_size]
        match state.settings.algorithm:
            case "cd":
                parts = self._contrast(rows, pool)
            case "pcd":
                parts = self._persistent(rows, pool)
            case _:
                with interrupts.let_through():
                    parts = [self._exact(rows)]
        state.step += 1
        flat = [{name: np.ravel(value) for name, value in part.items()} for part in parts]
        before = None if self._existence is None else {name: value.copy() for name, value in self._parameters.items()}
        square = math.fsum(pool.map(lambda piece: self._update(*piece, flat), self._pieces))
        for name in self._symmetric:
            # Matrix products need not be symmetric in their last bit.
            below = np.tril_indices(len(self._parameters[name]), -1)
            self._parameters[name][below] = self._parameters[name].T[below]
        if not math.isfinite(square):
            raise FloatingPointError(
                f"the gradient of step {state.step} is not finite. Lower learning_rate (now "
                f"{state.settings.learning_rate}) and start from finite parameters."
            )
        if before is not None:
            self._stay_inside(before)
        state.squares += square
        state.batch += 1

    def _stay_inside(self, before: Mapping[str, FloatArray]) -> None:
        """Shorten the step that was made until the model has a Z, as it had before."""
        existence = self._existence
        assert existence is not None
        existence.project(self._parameters)
        steps = {name: value - before[name] for name, value in self._parameters.items()}
        for _ in range(_HALVINGS):
            problem = existence.problem(self._parameters)
            if problem is None:
                return
            for name, step in steps.items():
                step *= 0.5
                self._parameters[name][...] = before[name] + step
        for name, value in before.items():
            self._parameters[name][...] = value
        raise DivergentError(
            f"step {self._state.step} leads to a model without a Z: {problem}. Lower learning_rate (now "
            f"{self._state.settings.learning_rate})."
        )

    def _layer_key(self, layer: str, sweep: int, purpose: Purpose | None = None) -> int:
        return layer_key(self._layout, self._state.seed, layer, self._state.step, sweep, purpose=purpose)

    def _held(self, rows: npt.NDArray[np.intp]) -> States:
        return self._layout.data_states(np.ascontiguousarray(self._x[rows], dtype=self._dtype))

    def _given_data(self, held: States, share: FloatArray, lo: int, *, draw: bool) -> tuple[Phase, States]:
        """Term A over these rows, with every hidden layer but the averaged one drawn; and hidden states for a chain."""
        layout, parameters = self._layout, self._parameters
        if len(layout.hidden) > 1:
            held = draw_hidden(
                layout,
                parameters,
                held,
                lambda layer, sweep: self._layer_key(layer, sweep, Purpose.DATA_HIDDEN),
                lo,
                self._state.settings.data_sweeps,
            )
        key = self._layer_key(layout.hidden[-1], 0, Purpose.DATA_HIDDEN)
        return self._phase(held, share, lo, key if draw else None)

    def _phase(self, held: States, share: FloatArray, lo: int, key: int | None) -> tuple[Phase, States]:
        """⟨−∂E/∂θ⟩ with the averaged layer given all others; with a key, that layer's states from the same field."""
        layout, kernels, parameters = self._layout, self._layout.kernels, self._parameters
        averaged = layout.averaged
        assert averaged is not None
        states = layout.around(averaged, held)
        if key is None:
            return kernels.phase(states, of=layout.kept, row_weights=share, **parameters), held
        result, drawn = kernels.phase_and_sample(
            states, key, of=layout.kept, first_row=lo, row_weights=share, **parameters
        )
        return result, held | {averaged: drawn}

    def _sweep(self, held: States, sweep: int, lo: int, *, whole: bool) -> States:
        """The visible layers anew and then the hidden ones, up to the averaged one unless the sweep is whole."""
        layout = self._layout
        layers = (*layout.visible, *(layout.hidden if whole else layout.hidden[:-1]))
        for layer in layers:
            held[layer] = draw_layer(layout, self._parameters, layer, held, self._layer_key(layer, sweep), lo)
        return held

    def _contrast(self, rows: npt.NDArray[np.intp], pool: Workers) -> list[Phase]:
        """CD-k: chains of k sweeps from the batch's own rows."""
        k = self._state.settings.k

        def work(block: slice) -> Phase:
            lo = block.start
            share = np.full(block.stop - lo, 1 / len(rows), self._dtype)
            result, held = self._given_data(self._held(rows[block]), share, lo, draw=True)
            for sweep in range(k):
                held = self._sweep(held, sweep, lo, whole=sweep + 1 < k)
            return _added(result, self._phase(held, -share, lo, None)[0])

        return pool.map(work, row_blocks(len(rows), self._layout.units))

    def _persistent(self, rows: npt.NDArray[np.intp], pool: Workers) -> list[Phase]:
        """PCD-k: the persistent chains go on by k sweeps; data and chains may differ in number."""
        layout, k = self._layout, self._state.settings.k
        chains = self._state.chains
        assert chains is not None

        def work(blocks: tuple[slice | None, slice | None]) -> Phase:
            data, model = blocks
            result: Phase | None = None
            if data is not None:
                share = np.full(data.stop - data.start, 1 / len(rows), self._dtype)
                result, _ = self._given_data(self._held(rows[data]), share, data.start, draw=False)
            if model is None:
                assert result is not None
                return result
            lo = model.start
            held = layout.data_states(chains.visible[model]) | layout.hidden_states(chains.hidden[model])
            share = np.full(model.stop - lo, -1 / len(chains), self._dtype)
            for sweep in range(k):
                held = self._sweep(held, sweep, lo, whole=sweep + 1 < k)
            # The h that belongs to the last v is drawn from the very field that Term B averages over.
            phase, held = self._phase(held, share, lo, self._layer_key(layout.hidden[-1], k - 1))
            chains.visible[model], chains.hidden[model] = layout.data_array(held), layout.hidden_array(held)
            return phase if result is None else _added(result, phase)

        units = layout.units
        parts = pool.map(work, list(zip_longest(row_blocks(len(rows), units), row_blocks(len(chains), units))))
        self._state.chains = replace(chains, sweeps=chains.sweeps + k)
        return parts

    def _exact(self, rows: npt.NDArray[np.intp]) -> Phase:
        """Maximum likelihood: Term B over all configurations."""
        kernels, parameters, settings = self._kernels, self._parameters, self._state.settings
        x, limit, threads = self._x[rows], self._limit, self._threads
        if self._term_b is None:
            result = answers.gradient(kernels, parameters, x, limit=limit, threads=threads).difference
        else:
            data = multilayer.data_phase(kernels, parameters, x, threads=threads)
            result = answers.Gradient(data, self._term_b()).difference
        if isinstance(settings.optimiser, NaturalGradient):
            for name, parameter in parameters.items():
                if self._weights[name]:
                    result[name] = result[name] - settings.weight_decay * parameter
            information = fisher.fisher_information(kernels, parameters, limit=limit, threads=threads)
            masks = {name: mask.reshape(parameters[name].shape) for name, mask in self._masks.items()}
            result = information.natural(result, settings.optimiser.damping, masks)
        return {name: value.astype(self._dtype, copy=False) for name, value in result.items()}

    def _update(self, name: str, piece: slice, parts: list[Phase]) -> float:
        """Move one piece of one parameter; returns the sum of squares of its gradient."""
        settings = self._state.settings
        # What overflows here is reported once, by the step as a whole.
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


def _added(total: Phase, more: Phase) -> Phase:
    for name, value in more.items():
        total[name] += value
    return total
