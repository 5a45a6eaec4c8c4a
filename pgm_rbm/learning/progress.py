"""A progress bar for training, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pgm_rbm.learning.history import EpochRecord
from pgm_rbm.learning.trainer import StepProgress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar() -> Iterator[StepProgress]:
    """A bar that shows steps, time left and the last epoch's measure; what is yielded is called after each step."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, total: int, record: EpochRecord | None) -> None:
            bar.update(task, completed=done, total=total, description=describe(record))

        yield show


def describe(record: EpochRecord | None) -> str:
    """The epoch and the measure of a record, on one line."""
    if record is None:
        return ""
    if record.log_likelihood is not None:
        return f"epoch {record.epoch}: mean ln p {record.log_likelihood:.3f}"
    if record.pseudo_log_likelihood is not None:
        return f"epoch {record.epoch}: pseudo-likelihood {record.pseudo_log_likelihood:.2f}"
    return f"epoch {record.epoch}"
