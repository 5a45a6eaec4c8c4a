"""The record of training: one entry per epoch, and its columns to plot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, overload

import numpy as np
import numpy.typing as npt

__all__ = ["EpochRecord", "History"]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch. A measure that was not taken is None.

    Attributes:
        epoch: number of the epoch, from 1.
        steps: parameter updates so far.
        gradient_norm: root mean square, over the epoch's steps, of the Euclidean norm of the gradient estimate.
        seconds: time that the epoch's steps took, without measuring.
        log_likelihood: exact mean ln p over the training rows, in nats.
        held_out_log_likelihood: the same over the held-out rows.
        pseudo_log_likelihood: mean over training rows of an estimate of Σ_i ln p(v_i | the other units), in nats:
            a substitute where ln Z is out of reach, and no bound on ln p.
        held_out_pseudo_log_likelihood: the same over the held-out rows.
    """

    epoch: int
    steps: int
    gradient_norm: float
    seconds: float
    log_likelihood: float | None = None
    held_out_log_likelihood: float | None = None
    pseudo_log_likelihood: float | None = None
    held_out_pseudo_log_likelihood: float | None = None


_COLUMNS = tuple(column.name for column in fields(EpochRecord))


class History(Sequence[EpochRecord]):
    """The records in order. ``history["log_likelihood"]`` is a column as an array, with NaN where it is None."""

    def __init__(self, records: Iterable[EpochRecord] = ()):
        self._records = list(records)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[EpochRecord]:
        return iter(self._records)

    @overload
    def __getitem__(self, key: int) -> EpochRecord: ...
    @overload
    def __getitem__(self, key: slice) -> History: ...
    @overload
    def __getitem__(self, key: str) -> npt.NDArray[np.float64]: ...

    def __getitem__(self, key: int | slice | str) -> EpochRecord | History | npt.NDArray[np.float64]:
        if isinstance(key, str):
            if key not in _COLUMNS:
                raise KeyError(f"there is no column {key!r}; the columns are: {', '.join(_COLUMNS)}")
            return np.array([getattr(record, key) for record in self._records], dtype=np.float64)
        return History(self._records[key]) if isinstance(key, slice) else self._records[key]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self._records == other._records

    def __repr__(self) -> str:
        return f"History({len(self)} epochs)"

    def append(self, record: EpochRecord) -> None:
        """Add the record of one more epoch."""
        self._records.append(record)

    def as_data(self) -> list[dict[str, Any]]:
        """Return plain data, as a model file holds it."""
        return [asdict(record) for record in self._records]

    @classmethod
    def from_data(cls, data: Iterable[dict[str, Any]]) -> History:
        """Return the history that `as_data` wrote."""
        return cls(EpochRecord(**record) for record in data)
