"""Quantities in messages: how they are written, and the message about one that is out of range."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["format_bytes", "format_count", "format_seconds", "is_number", "is_whole", "require_whole"]


def is_whole(value: Any, least: int = 1) -> bool:
    """Return whether a value is a whole number, Python's or NumPy's, and at least ``least``; a bool is not."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= least)


def is_number(value: Any) -> bool:
    """Return whether a value is a real number, Python's or NumPy's; a bool is not."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def require_whole(name: str, value: Any, least: int = 1, of: str = "", otherwise: str = "") -> int:
    """Return ``value`` as an int.

    Args:
        name: of the argument, for the message.
        value: what the caller passed.
        least: the smallest valid value.
        of: what it counts, such as "configurations", for the message.
        otherwise: what else is valid, such as ", or None for all".

    Raises:
        ValueError: it is not a whole number, or it is below ``least``.
    """
    if not is_whole(value, least):
        counted = f" of {of}" if of else ""
        kind = f"a positive whole number{counted}" if least == 1 else f"a whole number{counted}, at least {least}"
        raise ValueError(f"{name} must be {kind}{otherwise}. Got {value!r}.")
    return int(value)


def format_count(count: int) -> str:
    """Return a count as people write it: ``format_count(2**20) == '1,048,576'``; large ones as a power of ten."""
    return f"{count:,}" if count < 10**9 else f"{count:.1e}" if count < 10**300 else f"about 1e{_digits(count) - 1}"


def _digits(count: int) -> int:
    return int(count.bit_length() * math.log10(2)) + 1


def format_bytes(count: int) -> str:
    """Return bytes as people write them: ``format_bytes(3 * 2**20) == '3.0 MiB'``."""
    if count < 1024:
        return f"{count} byte{'s' if count != 1 else ''}"
    for exponent, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), start=1):
        if count < 1024 ** (exponent + 1):
            return f"{count / 1024**exponent:.1f} {unit}"
    return f"about 1e{int(math.log10(count))} bytes"


def format_seconds(seconds: float) -> str:
    """Return a duration as people say it: ``format_seconds(7200) == '2 hours'``."""
    if seconds == math.inf or seconds >= 1e12 * 31557600.0:
        return "over 1e12 years"
    for size, unit in ((31557600.0, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{_rounded(seconds / size)} {unit}"
    return f"{_rounded(seconds)} s"


def _rounded(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:.0f}" if value < 1e6 else f"{value:.0e}"
