"""ln Z: the result that every way of finding it gives back."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LogPartition"]


@dataclass(frozen=True)
class LogPartition:
    """ln Z and how it was found.

    Attributes:
        value: ln Z, in nats.
        method: the way it was found, such as ``"enumeration"``.
        standard_error: of ``value``, in nats; 0 where the method is exact.
    """

    value: float
    method: str
    standard_error: float = 0.0

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        error = f" ± {self.standard_error:.2g}" if self.standard_error else " (exact)"
        return f"ln Z = {self.value:.12g}{error}, by {self.method}"
