"""``pgm-rbm train``: a model from a person's own data."""

from __future__ import annotations

import json
import time
import warnings
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgm_rbm.cli.files import ArrayName, DataFile, Table, Threshold, load_model, new_output, read_rows, states
from pgm_rbm.cli.program import Failed, Force, Quiet, RequestError, Threads, note, number, refusing

if TYPE_CHECKING:
    import numpy.typing as npt

    from pgm_rbm.learning.history import EpochRecord
    from pgm_rbm.rbm import RBM

_SAVE_EVERY = 10.0
"""Seconds of training that a crash may cost."""


class Algorithm(StrEnum):
    """How Term B is had."""

    pcd = "pcd"
    cd = "cd"
    exact = "exact"


class Optimizer(StrEnum):
    """What moves the parameters."""

    sgd = "sgd"
    adam = "adam"


class Monitor(StrEnum):
    """What is measured each epoch."""

    auto = "auto"
    exact = "exact"
    pseudo = "pseudo"
    none = "none"


class Precision(StrEnum):
    """Of the parameters."""

    float64 = "float64"
    float32 = "float32"


class Target(StrEnum):
    """What runs the kernels."""

    numba = "numba"
    numpy = "numpy"


_MODEL, _LEARNING, _RUN = "Model", "Learning", "Running"


def train(
    data: DataFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="MODEL", help="The model file to write; with --resume, that same file."),
    ] = None,
    hidden: Annotated[
        int | None, typer.Option(min=1, help="Hidden units; 64 by default.", rich_help_panel=_MODEL)
    ] = None,
    visible_units: Annotated[
        str | None,
        typer.Option(
            "--visible-units",
            metavar="UNIT",
            help="What the data are: binary (by default), spin, gaussian, uniform, poisson, 'binomial(N)', and so on.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    hidden_units: Annotated[
        str | None,
        typer.Option(
            "--hidden-units", metavar="UNIT", help="Likewise the hidden ones; binary.", rich_help_panel=_MODEL
        ),
    ] = None,
    dtype: Annotated[
        Precision | None,
        typer.Option(help="Of the parameters; float64 by default.", rich_help_panel=_MODEL),
    ] = None,
    target: Annotated[
        Target | None,
        typer.Option(
            help="Which generated kernels run: numba (by default), or numpy, which compiles nothing.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    zero_bias: Annotated[
        bool,
        typer.Option(
            "--zero-bias",
            help="Start visible biases at zero rather than at each column's mean.",
            rich_help_panel=_MODEL,
        ),
    ] = False,
    algorithm: Annotated[
        Algorithm | None,
        typer.Option(
            help="Persistent chains (pcd, by default), chains from the data (cd), or enumeration (exact).",
            rich_help_panel=_LEARNING,
        ),
    ] = None,
    k: Annotated[
        int | None, typer.Option("-k", "--sweeps", min=1, help="Gibbs sweeps a step; 1.", rich_help_panel=_LEARNING)
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the data.", rich_help_panel=_LEARNING)] = 30,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", "--batch", min=1, help="Rows a step; 100.", rich_help_panel=_LEARNING)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Step length; 0.1, or 0.01 with adam.", rich_help_panel=_LEARNING)
    ] = None,
    optimizer: Annotated[Optimizer | None, typer.Option(help="sgd by default.", rich_help_panel=_LEARNING)] = None,
    momentum: Annotated[float | None, typer.Option(help="Of sgd; 0.", rich_help_panel=_LEARNING)] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="λ of the penalty λ/2 Σ w²; 0.", rich_help_panel=_LEARNING)
    ] = None,
    chains: Annotated[
        int | None,
        typer.Option(min=1, help="Persistent chains; as many as a batch has rows.", rich_help_panel=_LEARNING),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="The same seed trains the same model; 0 by default.", rich_help_panel=_LEARNING),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option(
            "--held-out",
            metavar="SHARE|FILE",
            help="Rows to measure and not to train on: a share such as 0.1 (always the same rows) or a file.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    monitor: Annotated[
        Monitor,
        typer.Option(
            help="What is measured each epoch; auto takes the exact mean ln p where that is quick.",
            rich_help_panel=_RUN,
        ),
    ] = Monitor.auto,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Go on from this file as if training had never stopped; settings not given stay as they were.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    array: ArrayName = None,
    threshold: Threshold = None,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Train a model on your own data and write it to a file.

    An interrupt (Ctrl-C) keeps what was learnt; --resume goes on from there.

    \b
    Examples:
      pgm-rbm train data.npy --output model.safetensors
      pgm-rbm train data.csv -o model.safetensors --hidden 100 --held-out 0.1
      pgm-rbm train heights.csv -o model.safetensors --visible-units gaussian --learning-rate 0.01
      pgm-rbm train data.npy --resume model.safetensors --epochs 20
    """
    if momentum is not None and optimizer is Optimizer.adam:
        raise RequestError("--momentum is for --optimizer sgd. Leave one of them out.")
    if resume is None:
        if output is None:
            raise RequestError("--output says where the model goes. Add, for instance, --output model.safetensors.")
        new_output(output, force)
    else:
        _only_new(
            hidden=hidden,
            dtype=dtype,
            target=target,
            seed=seed,
            zero_bias=zero_bias or None,
            visible_units=visible_units,
            hidden_units=hidden_units,
        )
        output = new_output(output or resume, force or output is None)
    rbm = None if resume is None else load_model(resume)
    with refusing():
        units = _checked_units(visible_units or "binary", hidden_units or "binary")
        unit = units[0] if rbm is None else rbm.visible_units
    shape = None if rbm is None else (str(resume), rbm.n_visible, rbm.n_hidden)
    table = read_rows(data, array)
    rows = states(table, unit, threshold=threshold, model=shape)
    rows, measured = _split(rows, held_out, unit, array, threshold, table)
    if rbm is None:
        rbm = _new_model(
            rows, hidden or 64, units, dtype or Precision.float64, target or Target.numba, seed or 0, zero_bias
        )
        if learning_rate is None:
            learning_rate = 0.01 if optimizer is Optimizer.adam else 0.1
    settings: dict[str, Any] = {
        "algorithm": None if algorithm is None else algorithm.value,
        "k": k,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "optimizer": None if optimizer is None else optimizer.value,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "n_chains": chains,
        "held_out": measured,
        "monitor": monitor.value,
        "threads": threads,
    }
    _fit(rbm, rows, epochs, settings, output, resume is not None, quiet)
    _report(rbm, output, len(rows), None if measured is None else len(measured), as_json)


def _checked_units(visible: str, hidden: str) -> tuple[str, str]:
    """The names of two units of the table.

    Raises:
        ValueError: there is no such unit; the message lists those there are.
    """
    from symbolic.units import lookup

    return lookup(visible).name, lookup(hidden).name


def _only_new(**options: Any) -> None:
    for name, value in options.items():
        if value is not None:
            raise RequestError(f"--{name.replace('_', '-')} is for new models. Leave it out with --resume.")


def _new_model(
    rows: npt.NDArray[Any],
    hidden: int,
    units: tuple[str, str],
    dtype: Precision,
    target: Target,
    seed: int,
    zero_bias: bool,
) -> RBM:
    from pgm_rbm import RBM

    with refusing():
        rbm = RBM(rows.shape[1], hidden, *units, seed=seed, dtype=dtype.value, target=target.value)
        if not zero_bias:
            rbm.initialise_visible_bias(rows)
    return rbm


def _split(
    rows: npt.NDArray[Any],
    held_out: str | None,
    unit: str,
    array: str | None,
    threshold: float | None,
    table: Table,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """The rows to train on and the rows that are held out, as ``--held-out`` asks."""
    import numpy as np

    if held_out is None:
        return rows, None
    try:
        share = float(held_out)
    except ValueError:
        path = Path(held_out)
        other = read_rows(path, array if path.suffix.lower() == ".npz" else None)
        measured = states(other, unit, threshold=threshold)
        if measured.shape[1] != rows.shape[1]:
            raise RequestError(
                f"{other.source} has {measured.shape[1]} columns and {table.source} has {rows.shape[1]}. They must be "
                f"the same."
            ) from None
        return rows, measured
    count = round(share * len(rows)) if 0 < share < 1 else 0
    if not 0 < count < len(rows):
        raise RequestError(
            f"--held-out must be a file, or a share between 0 and 1 that leaves rows on both sides. Got {held_out} "
            f"of {len(rows)} rows."
        )
    # A fixed permutation: a resumed run holds out the same rows, and sorted data are mixed.
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[np.sort(order[count:])], rows[np.sort(order[:count])]


def _fit(
    rbm: RBM,
    rows: npt.NDArray[Any],
    epochs: int,
    settings: dict[str, Any],
    output: Path,
    resume: bool,
    quiet: bool,
) -> None:
    from rich.console import Console

    from pgm_rbm.learning.progress import describe, progress_bar
    from pgm_rbm.machine.interrupts import HeldInterrupts

    last, saved, begun = time.monotonic(), False, False
    watched = not quiet and Console(stderr=True).is_terminal

    def heard(record: EpochRecord) -> None:
        nonlocal last, saved
        if not quiet and not watched:
            note(describe(record))
        if time.monotonic() - last > _SAVE_EVERY:
            rbm.save(output)
            last, saved = time.monotonic(), True

    try:
        with (
            progress_bar() if watched else nullcontext(None) as bar,
            HeldInterrupts() as interrupts,
            warnings.catch_warnings(),
        ):
            # Where training diverges, the error at its end says so better than warnings on the way.
            warnings.simplefilter("ignore", RuntimeWarning)

            def progress(done: int, total: int, record: EpochRecord | None) -> None:
                nonlocal begun
                begun = True
                if bar is not None:
                    bar(done, total, record)
                if interrupts.came:
                    raise KeyboardInterrupt

            rbm.fit(rows, epochs=epochs, resume=resume, callbacks=heard, progress=progress, **settings)
            rbm.save(output)
    except KeyboardInterrupt:
        rbm.save(output)
        note(f"stopped; what was learnt is in {output}. To go on, add: --resume {output}")
        raise typer.Exit(130) from None
    except (FloatingPointError, ValueError) as error:
        if not begun:
            raise RequestError(str(error)) from error
        kept = f"{output} holds an earlier epoch." if saved else "Nothing was written."
        raise Failed(f"training did not succeed: {error} A lower --learning-rate may help. {kept}") from error


def _report(rbm: RBM, output: Path, rows: int, held_out: int | None, as_json: bool) -> None:
    history = rbm.history
    record = history[-1]
    result = {
        "model": str(output),
        "n_visible": rbm.n_visible,
        "n_hidden": rbm.n_hidden,
        "epochs": record.epoch,
        "steps": record.steps,
        "rows": rows,
        "held_out_rows": held_out or 0,
        "mean_log_likelihood": record.log_likelihood,
        "held_out_mean_log_likelihood": record.held_out_log_likelihood,
        "pseudo_log_likelihood": record.pseudo_log_likelihood,
        "held_out_pseudo_log_likelihood": record.held_out_pseudo_log_likelihood,
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    seconds = float(history["seconds"].sum())
    typer.echo(f"model       {output} ({rbm.n_visible} visible × {rbm.n_hidden} hidden units, {rbm.dtype})")
    typer.echo(f"trained     {record.epoch} epochs, {record.steps} steps, {seconds:.1f} s, on {rows} rows")
    for name, train_value, other in (
        ("mean ln p", record.log_likelihood, record.held_out_log_likelihood),
        ("pseudo", record.pseudo_log_likelihood, record.held_out_pseudo_log_likelihood),
    ):
        if train_value is not None:
            kind = "exact" if name == "mean ln p" else "an estimate"
            beside = "" if other is None else f", {number(other)} on {held_out} held-out rows"
            typer.echo(f"{name:<11} {number(train_value)} on training rows{beside} (nats, {kind})")
