"""ln Z: the result that every way of finding it gives back."""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["LogPartition", "Method"]

Method = Literal["auto", "enumeration", "elimination"]
"""How ln Z is found."""


class LogPartition(float):
    """ln Z in nats: a number that knows how it was found.

    It is a float in everything: arithmetic, comparisons, formatting (``f"{ln_z:.3f}"``) and NumPy functions work on
    the value and give ordinary numbers. The difference of two is the logarithm of a ratio, such as the
    log-probability of evidence.

    Args:
        value: ln Z, in nats.
        method: the way it was found, such as ``"enumeration"``.
        standard_error: of ``value``, in nats; 0 where the method is exact.

    Raises:
        ValueError: the standard error is negative or NaN.

    Example:
        >>> found = LogPartition(1.5, "ais", standard_error=0.02)
        >>> print(found)
        ln Z = 1.5 ± 0.02, by ais
        >>> f"{found:.2f}", found - 1.0, found < 2
        ('1.50', 0.5, True)
    """

    __slots__ = ("_method", "_standard_error")

    _method: str
    _standard_error: float

    def __new__(cls, value: float, method: str, standard_error: float = 0.0) -> LogPartition:
        error = float(standard_error)
        if not error >= 0.0:
            raise ValueError(f"standard_error must be zero or positive. Got {standard_error!r}.")
        made = super().__new__(cls, value)
        made._method = str(method)
        made._standard_error = error
        return made

    @property
    def value(self) -> float:
        """ln Z, in nats, as an ordinary float."""
        return self.real

    @property
    def method(self) -> str:
        """The way it was found."""
        return self._method

    @property
    def standard_error(self) -> float:
        """Of the value, in nats; 0 where the method is exact."""
        return self._standard_error

    @property
    def exact(self) -> bool:
        """Whether the method is exact, up to rounding."""
        return self._standard_error == 0.0

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.value, self._method, self._standard_error

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)

    def __str__(self) -> str:
        error = " (exact)" if self.exact else f" ± {self._standard_error:.2g}"
        return f"ln Z = {self.value:.12g}{error}, by {self._method}"

    def __repr__(self) -> str:
        error = "" if self.exact else f", standard_error={self._standard_error!r}"
        return f"LogPartition({self.value!r}, {self._method!r}{error})"
