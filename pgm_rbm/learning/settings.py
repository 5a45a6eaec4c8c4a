"""How a model is trained, and where training stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import numpy as np

from pgm_rbm.learning.history import EpochRecord, History
from pgm_rbm.learning.updates import SGD, Adam, NaturalGradient, Optimiser, optimiser_from
from pgm_rbm.machine.quantities import is_number, require_whole
from pgm_rbm.model.kernels import FloatArray
from pgm_rbm.sampling.gibbs import Chains

__all__ = ["Algorithm", "MonitorKind", "OptimizerName", "Run", "Settings", "StepProgress", "Training", "TrainingState"]

Algorithm = Literal["cd", "pcd", "exact"]
"""How the model phase (Term B) is estimated: chains from the data, persistent chains, or all configurations."""

OptimizerName = Literal["sgd", "adam", "natural"]
"""What moves the parameters."""

MonitorKind = Literal["auto", "exact", "pseudo", "none"]
"""What is measured each epoch."""

StepProgress = Callable[[int, int, EpochRecord | None], None]
"""Called after every step with (steps done in this run, steps in all, the last epoch's record if there is one)."""

# Adam's steps are about as long as the rate, whatever the gradient is.
_RATE_OF_ADAM = 0.01


@dataclass(frozen=True)
class Settings:
    """How to train. The command line's options are made from these fields.

    A field's metadata hold the option's ``help``; its names as ``options``, where they are not the field's own; the
    ``least`` value of a whole number; and, where a field is ``made_of`` arguments of `changed`, their types and help.

    Attributes:
        algorithm: see `Algorithm`.
        k: Gibbs sweeps per step, for CD and PCD.
        batch_size: rows per step; the last batch of an epoch may be smaller.
        learning_rate: η, positive.
        optimiser: moves the parameters.
        weight_decay: λ of the term −λ/2 Σ w² added to the mean ln p; it acts on weights, not on biases.
        n_chains: persistent chains for PCD; by default as many as a batch has rows.
        data_sweeps: Gibbs sweeps over the hidden layers given each row, for CD and PCD where there are several.
        shuffle: whether each epoch goes through the rows in a new random order.
    """

    algorithm: Algorithm = field(
        default="pcd",
        metadata={"help": "Persistent chains (pcd, by default), chains from the data (cd), or enumeration (exact)."},
    )
    k: int = field(default=1, metadata={"help": "Gibbs sweeps per step; 1.", "options": ("-k", "--sweeps"), "least": 1})
    batch_size: int = field(
        default=100, metadata={"help": "Rows per step; 100.", "options": ("--batch-size", "--batch"), "least": 1}
    )
    learning_rate: float = field(default=0.1, metadata={"help": "Step length; 0.1, or 0.01 with adam."})
    optimiser: Optimiser = field(
        default_factory=SGD,
        metadata={
            "made_of": {
                "optimizer": (OptimizerName, "sgd by default; natural goes with --algorithm exact and small models."),
                "momentum": (float, "Of sgd; 0."),
            }
        },
    )
    weight_decay: float = field(default=0.0, metadata={"help": "λ of the penalty λ/2 Σ w²; 0."})
    n_chains: int | None = field(
        default=None,
        metadata={
            "help": "Persistent chains; as many as a batch has rows.",
            "options": ("--chains", "--n-chains"),
            "least": 1,
        },
    )
    data_sweeps: int = field(
        default=10, metadata={"help": "Gibbs sweeps over several hidden layers given each row; 10.", "least": 1}
    )
    shuffle: bool = field(
        default=True, metadata={"help": "Take the rows in a new random order each epoch (by default), or as they are."}
    )

    def __post_init__(self) -> None:
        if self.algorithm not in get_args(Algorithm):
            known = ", ".join(map(repr, get_args(Algorithm)))
            raise ValueError(f"algorithm must be one of {known}. Got {self.algorithm!r}.")
        if isinstance(self.optimiser, NaturalGradient) and self.algorithm != "exact":
            raise ValueError(
                f"optimizer='natural' goes with algorithm='exact', whose gradient it turns. Got algorithm="
                f"{self.algorithm!r}."
            )
        for one in fields(self):
            value = getattr(self, one.name)
            if "least" in one.metadata and (value is not None or one.default is not None):
                require_whole(one.name, value, one.metadata["least"])
        for name, number in (("learning_rate", self.learning_rate), ("weight_decay", self.weight_decay)):
            if not is_number(number):
                raise TypeError(f"{name} must be a number. Got {number!r}.")
        if not isinstance(self.shuffle, (bool, np.bool_)):
            raise TypeError(f"shuffle must be True or False. Got {self.shuffle!r}.")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be positive and finite. Got {self.learning_rate!r}.")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be finite and not negative. Got {self.weight_decay!r}.")

    def changed(
        self,
        *,
        optimizer: OptimizerName | Optimiser | None = None,
        momentum: float | None = None,
        **changes: Any,
    ) -> Settings:
        """Return these settings with the changes that are not None.

        Args:
            optimizer: a name, or an optimiser that is made already.
            momentum: of SGD, which it implies where no optimiser is named.
            changes: any other attribute.

        Raises:
            TypeError, ValueError: a setting is out of range.
        """
        if optimizer is not None or momentum is not None:
            own = {} if momentum is None else {"momentum": momentum}
            optimiser = changes["optimiser"] = optimiser_from("sgd" if optimizer is None else optimizer, **own)
            if isinstance(optimiser, Adam) and changes.get("learning_rate") is None:
                changes["learning_rate"] = _RATE_OF_ADAM
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


@dataclass
class Training:
    """What a model keeps of its training.

    Attributes:
        state: where it stands; None before it has begun.
        history: a record per epoch.
    """

    state: TrainingState | None = None
    history: History = field(default_factory=History)


@dataclass(frozen=True)
class Run:
    """One run of training, as `RBM.fit` is asked for it.

    Attributes:
        epochs: passes over the rows.
        seed: of everything random; None for the model's own.
        resume: whether to go on from where training stands.
        monitor: what is measured each epoch.
        callbacks: called with each record; one that returns True ends the run.
        progress: True for a bar, or a function called after every step.
        save: called after each epoch, before the callbacks; writes the checkpoint.
    """

    epochs: int = 10
    seed: int | None = None
    resume: bool = False
    monitor: MonitorKind = field(
        default="auto",
        metadata={"help": "What is measured each epoch; auto (by default): the exact mean ln p where that is quick."},
    )
    callbacks: Callable[[EpochRecord], Any] | list[Callable[[EpochRecord], Any]] | None = None
    progress: bool | StepProgress = False
    save: Callable[[], None] | None = None
