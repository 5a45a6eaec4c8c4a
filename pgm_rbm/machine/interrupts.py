"""Hold interrupts (SIGINT, Ctrl-C) back until a place where nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

__all__ = ["HeldInterrupts"]


class HeldInterrupts:
    """Hold SIGINT back inside its block; a second one passes at once.

    Blocks may be nested: an interrupt that the inner one releases reaches the outer one.
    """

    def __init__(self) -> None:
        self._previous = signal.getsignal(signal.SIGINT)
        self._came = False
        # Python runs handlers in the main thread only; a handler that ignores, or was set outside Python, stays.
        in_main = threading.current_thread() is threading.main_thread()
        self._ours = in_main and self._previous not in (None, signal.SIG_IGN)

    @property
    def came(self) -> bool:
        """Whether an interrupt has come and is held back."""
        return self._came

    def _hold(self, number: int, frame: Any) -> None:
        second, self._came = self._came, True
        signal.signal(signal.SIGINT, self._previous)
        if second:
            signal.raise_signal(signal.SIGINT)

    def __enter__(self) -> Self:
        if self._ours:
            signal.signal(signal.SIGINT, self._hold)
        return self

    def __exit__(self, *_: object) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, self._previous)

    def release(self) -> None:
        """Pass an interrupt that came on to the previous handler."""
        if self._came:
            self._came = False
            signal.raise_signal(signal.SIGINT)
            signal.signal(signal.SIGINT, self._hold)

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Hold no interrupt back in this block, which changes nothing that one could leave half done."""
        self.release()
        if self._ours:
            signal.signal(signal.SIGINT, self._previous)
        try:
            yield
        finally:
            if self._ours:
                signal.signal(signal.SIGINT, self._hold)
