"""Show the progress of long work: by the caller's function, or by a bar on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress", "is_watched", "progress_bar", "showing"]

Progress = Callable[[int, int], None]
"""Called with (parts done, parts in all) as work goes on; all parts take about equally long."""


def is_watched() -> bool:
    """Return whether standard error is a terminal, where a person sees a bar move."""
    return sys.stderr.isatty()


@contextmanager
def showing(progress: bool | Progress | None, what: str) -> Iterator[Progress | None]:
    """Yield the function to call as work goes on: ``progress`` itself, a bar's for True, None for False or None.

    Raises:
        TypeError: ``progress`` is something else.
    """
    if progress is None or progress is False:
        yield None
    elif progress is True:
        with progress_bar(what) as show:
            yield lambda done, total: show(done, total, "")
    elif callable(progress):
        yield progress
    else:
        raise TypeError(f"progress must be True, False or a function. Got {progress!r}.")


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar with the time left on standard error; yield a function of (done, in all, note) that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Bar(TextColumn(what), *columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, note: bar.update(task, completed=done, total=total, description=note)
