"""What `symbolic` raises when a request cannot be served; every message names the thing and the remedy."""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "CheckError",
    "DivergentError",
    "EnergyError",
    "EnergySyntaxError",
    "NotSeparableError",
    "SymbolicError",
    "UnboundError",
]


class SymbolicError(ValueError):
    """The common base: something that was asked of `symbolic` makes no sense or cannot be done."""


class EnergyError(SymbolicError):
    """An energy, or a piece of one, is not well formed: a wrong index, rank, name or unit."""


class EnergySyntaxError(EnergyError):
    """The text of an energy cannot be read. ``position`` counts characters from 0; the message shows the place."""

    def __init__(self, message: str, text: str, position: int):
        self.text = text
        self.position = position
        super().__init__(f"{message}\n{excerpt(text, position)}")


class NotSeparableError(SymbolicError):
    """A layer cannot be summed out in closed form, since a term ties two of its units together."""


class DivergentError(SymbolicError):
    """A sum over a layer's states is infinite for all parameters: the distribution does not exist."""


class ArgumentError(SymbolicError, TypeError):
    """A generated function is called with something else than its energy says: a parameter that is missing, unknown or
    of the wrong rank, states of the wrong layer, an array of the wrong shape, type or library. It is also a
    ``TypeError``, as Python's own errors of calls are."""


class CheckError(SymbolicError):
    """An expression cannot be evaluated by the checker, for the reason given."""


class UnboundError(CheckError):
    """An expression names a label or an index that nothing binds: it means nothing, whatever the parameters."""


def excerpt(text: str, position: int, width: int = 72) -> str:
    """Return the line of ``text`` around ``position`` with a caret under it, and its line and column."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : len(text) if end < 0 else end]
    column = position - start
    left = max(0, column - width // 2)
    shown = line[left : left + width]
    row = text.count("\n", 0, position) + 1
    return f"  line {row}, column {column + 1}:\n  {shown}\n  {' ' * (column - left)}^"
