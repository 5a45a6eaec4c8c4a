"""Training a model: what `RBM.fit` takes and checks before the first step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import ModelError
from pgm_rbm.exact import choice
from pgm_rbm.exact.enumeration.fisher import require_within_limits
from pgm_rbm.learning.cost import require_time
from pgm_rbm.learning.history import EpochRecord, History
from pgm_rbm.learning.loop import train
from pgm_rbm.learning.monitor import Monitor
from pgm_rbm.learning.progress import progress_bar
from pgm_rbm.learning.settings import Run, Settings, Training, TrainingState
from pgm_rbm.learning.updates import NaturalGradient
from pgm_rbm.machine.budget import MOST_CONFIGURATIONS, Budget
from pgm_rbm.machine.quantities import require_whole
from pgm_rbm.machine.streams import resolve_seed
from pgm_rbm.model.checks import checked_parameters
from pgm_rbm.model.kernels import Phase
from pgm_rbm.model.layout import NO_AVERAGE
from pgm_rbm.model.model import Model

__all__ = ["fit"]


def fit(
    model: Model,
    training: Training,
    rows: npt.NDArray[Any],
    held_out: npt.NDArray[Any] | None,
    changes: dict[str, Any],
    run: Run,
    budget: Budget,
) -> None:
    """Train a model in place; arguments and errors as `RBM.fit`, all of which are checked before the first step.

    Args:
        model: whose parameters are changed.
        training: where it stands; changed along.
        rows, held_out: what to train on, and what to measure only, as `states.data_rows` makes them.
        changes: settings by name, None for those that keep their values.
        run: what else was asked for.
        budget: what exact methods may take.
    """
    heard = _checked_run(run, training)
    settings = (training.state.settings if run.resume and training.state else Settings()).changed(**changes)
    _require_trainable(model, settings)
    averages, judge = _checked_cost(model, rows, held_out, settings, run, budget)
    if not run.resume or training.state is None:
        seed = model.seed if run.seed is None else resolve_seed(run.seed)
        training.state = TrainingState(settings, seed, len(rows))
        training.history = History()
    training.state.go_on(settings, len(rows))
    with ExitStack() as stack:
        progress = stack.enter_context(progress_bar()) if run.progress is True else run.progress or None
        records = train(
            model,
            rows,
            training.state,
            run.epochs,
            judge,
            expectations=averages,
            budget=_without_limit(budget),
            progress=progress,
        )
        for record in records:
            training.history.append(record)
            if run.save is not None:
                run.save()
            answers = [callback(record) for callback in heard]
            if any(answer is True for answer in answers):
                break


def _checked_cost(
    model: Model,
    rows: npt.NDArray[Any],
    held_out: npt.NDArray[Any] | None,
    settings: Settings,
    run: Run,
    budget: Budget,
) -> tuple[Callable[[], Phase], Monitor]:
    """What finds the averages under the model in an exact step, and the monitor; all within the budget.

    Raises:
        EnumerationLimitError: an exact method is asked of a model too large for it, or for too many steps.
        DivergentError: the model has no Z.
    """
    exact, natural = settings.algorithm == "exact", isinstance(settings.optimiser, NaturalGradient)
    steps = run.epochs * -(-len(rows) // min(settings.batch_size, len(rows))) if exact else 0
    way = choice.way_to_averages(model, steps, budget) if exact else None
    model.require_z()
    if natural:
        model.require_two_sides("the natural gradient")
        require_within_limits(model, budget)
    judge = Monitor(model, rows, held_out, kind=run.monitor, seed=model.seed, budget=budget)
    if budget.configurations is None:
        measured_exactly = judge.kind == "exact" and (exact or run.monitor == "exact")
        require_time(
            model,
            steps=steps if isinstance(way, choice.Enumeration) else 0,
            measures=run.epochs if measured_exactly else 0,
            natural=natural,
            budget=budget,
        )

    def averages() -> Phase:
        if isinstance(way, choice.Enumeration):
            return way.expectations(_without_limit(budget)).phase
        # Chosen anew at each step, as weights that were zero may not stay so.
        return choice.expectations(model, replace(budget, progress=None), every_pair=model.mask is None).phase

    return averages, judge


def _without_limit(budget: Budget) -> Budget:
    """The budget of steps that have been found to be within ``budget``, all together."""
    return replace(budget, configurations=MOST_CONFIGURATIONS, progress=None)


def _checked_run(run: Run, training: Training) -> list[Callable[[EpochRecord], Any]]:
    """Check what a run asks for; return its callbacks as a list.

    Raises:
        TypeError, ValueError: something is out of range.
    """
    require_whole("epochs", run.epochs, 0)
    heard = [run.callbacks] if callable(run.callbacks) else run.callbacks or []
    if not isinstance(heard, (list, tuple)) or not all(map(callable, heard)):
        raise TypeError(f"callbacks must be a function or a list of them. Got {run.callbacks!r}.")
    if not (isinstance(run.progress, (bool, np.bool_)) or callable(run.progress)):
        raise TypeError(f"progress must be True, False or a function. Got {run.progress!r}.")
    if run.resume and training.state is None:
        raise ValueError("resume needs a model that has been trained. Call fit without resume first.")
    if run.resume and run.seed is not None:
        raise ValueError("seed cannot change when training is resumed. Leave it out.")
    return list(heard)


def _require_trainable(model: Model, settings: Settings) -> None:
    """Check that the model can be trained in this way.

    Raises:
        ModelError: the energy has nothing to learn, or not by this algorithm.
        TypeError, ValueError: a parameter is not finite.
    """
    if not model.parameters:
        raise ModelError("the energy has no parameters, so there is nothing to learn. Name some, such as a[i].")
    if model.layout.averaged is None:
        raise ModelError(NO_AVERAGE)
    if model.layout.given and settings.algorithm != "cd":
        raise ModelError(
            f"a model that is given {model.layout.given[0]} has another Z for every input, so persistent chains "
            f"and exact sums do not serve. Use algorithm='cd'."
        )
    for name, value in model.parameters.items():
        checked_parameters(value, name, value.shape)
