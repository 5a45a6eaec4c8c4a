"""The energies the tests of `symbolic` are about, and their brute-force truth, typed in here on purpose.

This is the one place where formulas of the binary model are written by hand: an independent answer to test against.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from symbolic import Energy, Layer, Parameter, Sum


def layers(visible: str = "binary", hidden: str = "binary") -> tuple[Layer, Layer]:
    return Layer("v", visible), Layer("h", hidden)


def lecture_energy(visible: str = "binary", hidden: str = "binary") -> Energy:
    """E = −Σ v_i h_j w_ij, the lecture's."""
    v, h = layers(visible, hidden)
    i, j, w = v.index("i"), h.index("j"), Parameter("w", v, h)
    return Energy(-Sum(v[i] * h[j] * w[i, j], i, j), visible=[v], hidden=[h])


def biased_energy(visible: str = "binary", hidden: str = "binary") -> Energy:
    """E = −Σ v_i h_j w_ij − Σ a_i v_i − Σ b_j h_j."""
    v, h = layers(visible, hidden)
    i, j = v.index("i"), h.index("j")
    w, a, b = Parameter("w", v, h), Parameter("a", v), Parameter("b", h)
    return Energy(
        -Sum(v[i] * h[j] * w[i, j], i, j) - Sum(a[i] * v[i], i) - Sum(b[j] * h[j], j), visible=[v], hidden=[h]
    )


class BruteForce:
    """Every quantity of a small pairwise model, by summing over all configurations."""

    def __init__(self, seed: int, n_v: int = 3, n_h: int = 2, states: tuple[Any, Any] = ((0, 1), (0, 1))):
        rng = np.random.default_rng(seed)
        self.w = rng.normal(size=(n_v, n_h))
        self.a = rng.normal(size=n_v)
        self.b = rng.normal(size=n_h)
        self.vs = np.array(list(itertools.product(states[0], repeat=n_v)), float)
        self.hs = np.array(list(itertools.product(states[1], repeat=n_h)), float)

    def weights(self) -> np.ndarray:
        """e^{−E} of every pair of configurations, (visible, hidden)."""
        return np.exp(self.vs @ self.w @ self.hs.T + (self.vs @ self.a)[:, None] + self.hs @ self.b)
