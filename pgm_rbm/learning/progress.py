"""Show a progress bar for training on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pgm_rbm.learning.history import EpochRecord
from pgm_rbm.learning.settings import StepProgress
from pgm_rbm.machine import progress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar() -> Iterator[StepProgress]:
    """Show a bar with steps, time left and the last epoch's measure; yield the function to call after each step."""
    with progress.progress_bar("training") as show:
        yield lambda done, total, record: show(done, total, describe(record))


def describe(record: EpochRecord | None) -> str:
    """Return the epoch and the measure of a record, on one line."""
    if record is None:
        return ""
    if record.log_likelihood is not None:
        return f"epoch {record.epoch}: mean ln p {record.log_likelihood:.3f}"
    if record.pseudo_log_likelihood is not None:
        return f"epoch {record.epoch}: pseudo-likelihood {record.pseudo_log_likelihood:.2f}"
    return f"epoch {record.epoch}"
