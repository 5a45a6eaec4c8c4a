"""Exceptions that a caller may want to tell apart; each is a ``ValueError``, as other bad input is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

__all__ = [
    "ImpossibleEvidenceError",
    "IntractableError",
    "ModelError",
    "NotBipartiteError",
    "UnknownVariableError",
    "ValueOutsideDomainError",
    "VariableConflictError",
]


class ModelError(ValueError):
    """A model, or a piece being added to one, is not well formed."""


class NotBipartiteError(ModelError):
    """A graph has no division into two layers.

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


class VariableConflictError(ModelError):
    """Two models that are put together disagree on what a shared variable is."""


class UnknownVariableError(ValueError):
    """A name is not a variable of the model."""


class ValueOutsideDomainError(ValueError):
    """A value is not one that its variable can take."""


class ImpossibleEvidenceError(ValueError):
    """The evidence has probability zero, so nothing can be conditioned on it."""


class IntractableError(ValueError):
    """An exact method would need more than the limit it was given.

    Attributes:
        induced_width: the most neighbours that a variable has when it is summed out.
        memory: bytes the method would hold at its peak.
        memory_limit: bytes it was allowed.
    """

    def __init__(self, message: str, *, induced_width: int, memory: int, memory_limit: int) -> None:
        super().__init__(message)
        self.induced_width = induced_width
        self.memory = memory
        self.memory_limit = memory_limit
