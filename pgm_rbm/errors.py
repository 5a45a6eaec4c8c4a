"""Exceptions that a caller may want to tell apart: each is a ``ValueError``, the type of all bad input, or an
``ImportError`` where an optional package is missing."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from symbolic.errors import DivergentError

__all__ = [
    "CostLimitError",
    "DivergentError",
    "EnumerationLimitError",
    "ImpossibleEvidenceError",
    "IntractableError",
    "MissingDaskError",
    "MissingMatplotlibError",
    "ModelError",
    "NoFiniteDomainError",
    "NotBipartiteError",
    "NotPairwiseError",
    "UnknownVariableError",
    "ValueOutsideDomainError",
    "VariableConflictError",
]


class ModelError(ValueError):
    """A model, or a piece being added to one, is not well formed."""


class NotBipartiteError(ModelError):
    """A graph cannot be divided into two layers.

    Attributes:
        cycle: the nodes of one odd cycle, in order; each is joined to the next and the last to the first.
    """

    def __init__(self, cycle: Sequence[Hashable]) -> None:
        self.cycle = tuple(cycle)
        closed = " - ".join(repr(node) for node in (*self.cycle, self.cycle[0]))
        super().__init__(
            f"The graph is not bipartite: it holds the odd cycle {closed} (length {len(self.cycle)}). "
            "Remove an edge of this cycle, or keep the model as a GraphModel."
        )


class NotPairwiseError(ModelError, AttributeError):
    """A model lacks an attribute of pairwise energies with one layer on each side."""


class VariableConflictError(ModelError):
    """Two models that are put together disagree on what a shared variable is."""


class UnknownVariableError(ValueError):
    """A name is not a variable of the model."""


class ValueOutsideDomainError(ValueError):
    """A variable cannot take this value."""


class NoFiniteDomainError(ModelError):
    """The answer would need all states of units that have infinitely many."""


class ImpossibleEvidenceError(ValueError):
    """The evidence has probability zero, so nothing can be conditioned on it."""


class CostLimitError(ValueError):
    """An exact method would cost more than its limit; it has not begun.

    Attributes:
        memory: bytes the method would hold at its peak.
    """

    def __init__(self, message: str, *, memory: int) -> None:
        super().__init__(message)
        self.memory = memory

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickling calls an exception with its message alone, without the keywords that it requires.
        return _made_again, (type(self), self.args, vars(self))


def _made_again(kind: type[CostLimitError], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> CostLimitError:
    error = kind.__new__(kind, *arguments)
    vars(error).update(attributes)
    return error


class EnumerationLimitError(CostLimitError):
    """Exact enumeration would visit more configurations, or hold more memory, than its limit allows.

    Attributes:
        configurations: how many there are.
        limit: how many may be visited.
        seconds: how long the work would take, extrapolated from a trial on this machine.
        memory: bytes it would hold at its peak.
    """

    def __init__(self, message: str, *, configurations: int, limit: int, seconds: float, memory: int) -> None:
        super().__init__(message, memory=memory)
        self.configurations = configurations
        self.limit = limit
        self.seconds = seconds


class IntractableError(CostLimitError):
    """Elimination would take more memory or time than its limits allow; it has not begun.

    Attributes:
        induced_width: the most neighbours that a variable has when it is summed out.
        memory: bytes it would hold at its peak.
        memory_limit: bytes that it may hold.
        seconds: how long it would take on this machine, by a short calibration; infinite where no estimate exists.
        time_limit: seconds that it may take.
    """

    def __init__(
        self, message: str, *, induced_width: int, memory: int, memory_limit: float, seconds: float, time_limit: float
    ) -> None:
        super().__init__(message, memory=memory)
        self.induced_width = induced_width
        self.memory_limit = memory_limit
        self.seconds = seconds
        self.time_limit = time_limit


class MissingDaskError(ImportError):
    """Dask is not installed; the message says how to get it."""


class MissingMatplotlibError(ImportError):
    """Matplotlib is not installed; the message says how to get it."""
