"""The 8×8 handwritten digits, grey and binary, in a fixed split; the package's docstring states source and licence."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["DARKEST", "HELD_OUT", "SIDE", "THRESHOLD", "DigitSet", "Digits", "load_digits", "pack"]

SIDE = 8
"""Pixels along each side of an image."""

THRESHOLD = 7
"""A pixel is 1 where its grey level, 0 to 16, is above this."""

DARKEST = 16
"""The highest grey level."""

HELD_OUT = 297
"""How many of the last rows, in the order of the source, are the held-out set."""


@dataclass(frozen=True)
class DigitSet:
    """A part of the digits.

    Attributes:
        grey: grey levels from 0.0 to 1.0 in steps of 1/16, in the order of ``pixels``; shape (n, 64), float64.
        pixels: 0.0 or 1.0, row by row from the top left of each image; shape (n, 64), float64.
        labels: the digit that each image shows, 0 to 9; shape (n,), int64.
    """

    grey: npt.NDArray[np.float64]
    pixels: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> npt.NDArray[np.float64]:
        """Return the pixels as images, shape (n, 8, 8); a view."""
        return self.pixels.reshape(-1, SIDE, SIDE)


@dataclass(frozen=True)
class Digits:
    """The digits in their fixed split.

    Attributes:
        train: the first 1500 rows of the source.
        held_out: its last 297 rows.
    """

    train: DigitSet
    held_out: DigitSet


def load_digits() -> Digits:
    """Return the handwritten digits that ship with the package, in new arrays that the caller may change.

    >>> digits = load_digits()
    >>> digits.train.pixels.shape, digits.held_out.pixels.shape
    ((1500, 64), (297, 64))
    """
    with (
        files("pgm_rbm.data").joinpath("digits.npz").open("rb") as stream,
        np.load(stream, allow_pickle=False) as packed,
    ):
        levels, labels = packed["grey"], packed["labels"].astype(np.int64)
    start = len(labels) - HELD_OUT
    parts = [
        DigitSet(levels[rows] / DARKEST, (levels[rows] > THRESHOLD).astype(np.float64), labels[rows].copy())
        for rows in (slice(0, start), slice(start, None))
    ]
    return Digits(*parts)


def pack(grey: npt.NDArray[Any], labels: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.uint8]]:
    """Return the arrays of the packed file, from grey levels and labels as ``sklearn.datasets.load_digits`` gives them.

    ``np.savez_compressed("digits.npz", **pack(source.data, source.target))`` writes the file anew.

    Args:
        grey: levels 0 to 16, shape (n, 64).
        labels: digits, shape (n,).
    """
    return {"grey": grey.astype(np.uint8), "labels": labels.astype(np.uint8)}
