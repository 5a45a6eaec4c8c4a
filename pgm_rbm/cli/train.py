"""``pgm-rbm train``: a model from a person's own data."""

from __future__ import annotations

import json
import time
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pgm_rbm.cli.data_files import ArrayName, DataFile, Table, Threshold, read_rows, states
from pgm_rbm.cli.files import load_model, new_output
from pgm_rbm.cli.learning_options import with_options_named
from pgm_rbm.cli.program import Failed, Force, Quiet, RequestError, Threads, note, number, refusing
from pgm_rbm.machine.interrupts import HeldInterrupts
from pgm_rbm.machine.progress import is_watched

if TYPE_CHECKING:
    import numpy.typing as npt

    from pgm_rbm.learning.history import EpochRecord
    from pgm_rbm.rbm import RBM

# Seconds of training that a crash may cost. Saving a model of 784 × 500 units takes 0.02 s (2 cores, 2026-12).
_SAVE_EVERY = 10.0

_MODEL, _LEARNING, _RUN = "Model", "Learning", "Running"

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="MODEL", help="The model file to write; with --resume, that same file."),
]
Hidden = Annotated[int | None, typer.Option(min=1, help="Hidden units; 64 by default.", rich_help_panel=_MODEL)]
VisibleUnits = Annotated[
    str | None,
    typer.Option(
        metavar="UNIT",
        help="What the data are: binary (by default), spin, gaussian, uniform, poisson, 'binomial(N)', and so on.",
        rich_help_panel=_MODEL,
    ),
]
HiddenUnits = Annotated[
    str | None,
    typer.Option(metavar="UNIT", help="Of the hidden layer; binary by default.", rich_help_panel=_MODEL),
]
Precision = Annotated[
    Literal["float64", "float32"] | None,
    typer.Option(help="Of the parameters; float64 by default.", rich_help_panel=_MODEL),
]
Target = Annotated[
    Literal["numba", "numpy"] | None,
    typer.Option(
        help="Which generated kernels run: numba (by default), or numpy, which compiles nothing.",
        rich_help_panel=_MODEL,
    ),
]
ZeroBias = Annotated[
    bool,
    typer.Option(
        "--zero-bias", help="Start visible biases at zero rather than at each column's mean.", rich_help_panel=_MODEL
    ),
]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the data.", rich_help_panel=_LEARNING)]
Seed = Annotated[
    int | None,
    typer.Option(min=0, help="The same seed trains the same model; 0 by default.", rich_help_panel=_LEARNING),
]
HeldOut = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE|FILE",
        help="Rows to measure and not to train on: a share such as 0.1 (always the same rows) or a file.",
        rich_help_panel=_RUN,
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="Go on from this file as if training had never stopped; settings that are not given keep their values.",
        rich_help_panel=_RUN,
    ),
]


def train(
    context: typer.Context,
    data: DataFile,
    output: Output = None,
    hidden: Hidden = None,
    visible_units: VisibleUnits = None,
    hidden_units: HiddenUnits = None,
    dtype: Precision = None,
    target: Target = None,
    zero_bias: ZeroBias = False,
    epochs: Epochs = 30,
    seed: Seed = None,
    held_out: HeldOut = None,
    resume: Resume = None,
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
    settings: dict[str, Any] = {name: value for name, value in context.obj.items() if value is not None}
    if "momentum" in settings and settings.get("optimizer", "sgd") != "sgd":
        raise RequestError("--momentum is for --optimizer sgd. Leave one of them out.")
    new = _NewModel(hidden, visible_units, hidden_units, dtype, target, seed, zero_bias)
    path = _checked_output(output, resume, new, force)
    rbm = None if resume is None else load_model(resume)
    with refusing():
        units = _checked_units(visible_units or "binary", hidden_units or "binary")
        unit = units[0] if rbm is None else rbm.visible_units
    shape = None if rbm is None else (str(resume), rbm.n_visible, rbm.n_hidden)
    table = read_rows(data, array)
    rows = states(table, unit, threshold=threshold, model=shape)
    rows, measured = _split(rows, held_out, unit, array, threshold, table)
    if rbm is None:
        rbm = new.made_for(rows, units)
    run = {**settings, "epochs": epochs, "resume": resume is not None, "held_out": measured, "threads": threads}
    _fit(rbm, rows, run, path, quiet)
    _report(rbm, path, len(rows), 0 if measured is None else len(measured), as_json)


@dataclass(frozen=True)
class _NewModel:
    """The options that describe a new model; None where an option was not given."""

    hidden: int | None
    visible_units: str | None
    hidden_units: str | None
    dtype: Literal["float64", "float32"] | None
    target: Literal["numba", "numpy"] | None
    seed: int | None
    zero_bias: bool

    def require_nothing(self) -> None:
        """Check that no option describes a new model.

        Raises:
            RequestError: one does.
        """
        for name, value in vars(self).items():
            if value is not None and value is not False:
                raise RequestError(f"--{name.replace('_', '-')} is for new models. Leave it out with --resume.")

    def made_for(self, rows: npt.NDArray[Any], units: tuple[str, str]) -> RBM:
        """Return the model, its visible biases matched to the rows unless they are to start at zero.

        Raises:
            RequestError: such units cannot be coupled, or the rows fix no bias.
        """
        from pgm_rbm import RBM

        with refusing():
            rbm = RBM(
                rows.shape[1],
                self.hidden or 64,
                *units,
                seed=self.seed or 0,
                dtype=self.dtype or "float64",
                target=self.target or "numba",
            )
            if not self.zero_bias:
                rbm.initialise_visible_bias(rows)
        return rbm


def _checked_output(output: Path | None, resume: Path | None, new: _NewModel, force: bool) -> Path:
    """Return where the model goes: a resumed one to the file that it came from, unless --output names another.

    Raises:
        RequestError: no file is named, it cannot be written, or ``--resume`` comes with options for a new model.
    """
    if resume is None:
        if output is None:
            raise RequestError("--output says where the model goes. Add, for instance, --output model.safetensors.")
        return new_output(output, force)
    new.require_nothing()
    return new_output(output or resume, force or output is None)


def _checked_units(visible: str, hidden: str) -> tuple[str, str]:
    """Return the names of two units, as the table of units writes them.

    Raises:
        ValueError: there is no such unit; the message lists the known ones.
    """
    from symbolic.units import lookup

    return lookup(visible).name, lookup(hidden).name


def _split(
    rows: npt.NDArray[Any],
    held_out: str | None,
    unit: str,
    array: str | None,
    threshold: float | None,
    table: Table,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Return the rows to train on and the rows that are held out, as ``--held-out`` asks."""
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


class _Saving:
    """Saves a model as its training goes on, every `_SAVE_EVERY` seconds, and says how each epoch went."""

    def __init__(self, rbm: RBM, output: Path, tell: bool) -> None:
        self.rbm, self.output, self.tell = rbm, output, tell
        self.begun = self.saved = False
        self._last = time.monotonic()

    def after_epoch(self, record: EpochRecord) -> None:
        from pgm_rbm.learning.progress import describe

        if self.tell:
            note(describe(record))
        if time.monotonic() - self._last > _SAVE_EVERY:
            self.rbm.save(self.output)
            self._last, self.saved = time.monotonic(), True


def _fit(rbm: RBM, rows: npt.NDArray[Any], run: dict[str, Any], output: Path, quiet: bool) -> None:
    """Train a model and save it.

    Args:
        rbm: the model, changed in place.
        rows: what to train on.
        run: keywords of `RBM.fit`.
        output: the file.
        quiet: whether to show no progress.

    Raises:
        RequestError: a setting is out of range; training has not begun.
        Failed: the parameters are no longer finite.
        typer.Exit: an interrupt ended training; what was learnt is saved.
    """
    from pgm_rbm.learning.progress import progress_bar

    watched = is_watched() and not quiet
    saving = _Saving(rbm, output, tell=not quiet and not watched)
    try:
        with (
            progress_bar() if watched else nullcontext(None) as bar,
            HeldInterrupts() as interrupts,
            warnings.catch_warnings(),
        ):
            # Where training diverges, the error at its end says so better than warnings on the way.
            warnings.simplefilter("ignore", RuntimeWarning)

            def progress(done: int, total: int, record: EpochRecord | None) -> None:
                saving.begun = True
                if bar is not None:
                    bar(done, total, record)
                if interrupts.came:
                    raise KeyboardInterrupt

            rbm.fit(rows, callbacks=saving.after_epoch, progress=progress, **run)
            rbm.save(output)
    except KeyboardInterrupt:
        rbm.save(output)
        note(f"stopped; what was learnt is in {output}. To go on, add: --resume {output}")
        raise typer.Exit(130) from None
    except (FloatingPointError, ValueError) as error:
        if not saving.begun:
            raise RequestError(with_options_named(str(error))) from error
        kept = f"{output} holds an earlier epoch." if saving.saved else "Nothing was written."
        raise Failed(f"training did not succeed: {error} A lower --learning-rate may help. {kept}") from error


def _report(rbm: RBM, output: Path, rows: int, held_out: int, as_json: bool) -> None:
    history = rbm.history
    record = history[-1]
    if as_json:
        typer.echo(json.dumps(_as_data(rbm, output, record, rows, held_out)))
        return
    seconds = float(history["seconds"].sum())
    typer.echo(f"model       {output} ({rbm.n_visible} visible × {rbm.n_hidden} hidden units, {rbm.dtype})")
    typer.echo(f"trained     {record.epoch} epochs, {record.steps} steps, {seconds:.1f} s, on {rows} rows")
    for name, kind, value, other in (
        ("mean ln p", "exact", record.log_likelihood, record.held_out_log_likelihood),
        ("pseudo", "an estimate", record.pseudo_log_likelihood, record.held_out_pseudo_log_likelihood),
    ):
        if value is not None:
            beside = "" if other is None else f", {number(other)} on {held_out} held-out rows"
            typer.echo(f"{name:<11} {number(value)} on training rows{beside} (nats, {kind})")


def _as_data(rbm: RBM, output: Path, record: EpochRecord, rows: int, held_out: int) -> dict[str, Any]:
    return {
        "model": str(output),
        "n_visible": rbm.n_visible,
        "n_hidden": rbm.n_hidden,
        "epochs": record.epoch,
        "steps": record.steps,
        "rows": rows,
        "held_out_rows": held_out,
        "mean_log_likelihood": record.log_likelihood,
        "held_out_mean_log_likelihood": record.held_out_log_likelihood,
        "pseudo_log_likelihood": record.pseudo_log_likelihood,
        "held_out_pseudo_log_likelihood": record.held_out_pseudo_log_likelihood,
    }
