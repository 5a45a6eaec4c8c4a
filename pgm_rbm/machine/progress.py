"""Progress of long work: a function of the caller's, or a bar on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress", "is_watched", "progress_bar", "showing"]

Progress = Callable[[int, int], None]
"""Called with (parts done, parts in all) as work goes on; parts take about as long as each other."""


def is_watched() -> bool:
    """Return whether standard error is a terminal, where a person sees a bar move."""
    return sys.stderr.isatty()


@contextmanager
def showing(progress: bool | Progress | None, what: str) -> Iterator[Progress | None]:
    """What to call as work goes on: the function passed in, a bar with the time left for True, nothing for False.

    Raises:
        TypeError: it is neither.
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
    """A bar with the time left, on standard error; what is yielded is called with (done, in all, what to say of it)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Bar(TextColumn(what), *columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, note: bar.update(task, completed=done, total=total, description=note)
