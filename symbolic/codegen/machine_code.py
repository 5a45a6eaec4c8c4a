"""Where Numba keeps the machine code of loops written by hand: in the cache folder, with that of generated modules.

Left to itself it would lie beside the packages or wherever ``NUMBA_CACHE_DIR`` says, where nobody who looks for it, or
clears it, finds it. This module also says when something of ours is compiled, since a person waits for that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import config, njit
from numba.core import event

from symbolic.codegen.cache import OWN_LOOPS, cache_folder, say_that_it_compiles

__all__ = ["compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])
_lock = threading.Lock()
# The source folders of both packages, which stand side by side.
_ROOTS = tuple(str(Path(__file__).parents[2] / package) for package in ("symbolic", "pgm_rbm"))


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Return a decorator like ``numba.njit(**options)`` whose machine code is kept in the cache folder.

    If that folder cannot be written to, Numba looks for another place.
    """

    def decorate(function: Function) -> Function:
        # Numba reads the setting once, as it decorates.
        with _lock:
            before, config.CACHE_DIR = config.CACHE_DIR, str(cache_folder() / OWN_LOOPS)
            try:
                dispatcher: Function = njit(cache=True, **options)(function)
            finally:
                config.CACHE_DIR = before
        return dispatcher

    return decorate


class _Watch(event.Listener):
    """Numba reports every compilation, and none where machine code is loaded."""

    def on_start(self, event: Any) -> None:
        file = event.data["dispatcher"].py_func.__code__.co_filename
        if file.startswith((str(cache_folder()), *_ROOTS)):
            say_that_it_compiles()

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Watch())
