"""Progress on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["counting"]


@contextmanager
def counting(what: str, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """A bar with the time left; what is yielded is called with (done, in all), or is None where none is wanted."""
    from rich.console import Console

    from pgm_rbm.machine.progress import showing

    with showing(not quiet and Console(stderr=True).is_terminal, what) as show:
        yield show
