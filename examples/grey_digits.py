"""Handwritten digits as grey levels, with three kinds of visible units and exact likelihoods.

Given the hidden units, pixels are Gaussian with unit variance, Gaussian with variances that are learnt, or restricted
to [0, 1]. The hidden layer is small enough to be enumerated, so every ln p is exact: a density in the 64 grey levels,
in nats, and comparable between the models. Grey levels come in steps, so the data get uniform noise within a step
(Uria, Murray and Larochelle, NIPS 2013); otherwise a density does best by spikes at the seventeen levels.

    python examples/grey_digits.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pgm_rbm import RBM
from pgm_rbm.data import load_digits
from symbolic import Energy

LEARNT_VARIANCE = "sum(exp(-z[i])*(v[i] - a[i])^2, i)/2 - sum(exp(-z[i])*v[i]*w[i,j]*h[j], i, j) - sum(b[j]*h[j], j)"
"""v_i given h has mean a_i + Σ_j w_ij h_j and variance e^{z_i}, which is positive for every z_i (Cho, Ilin and Raiko,
"Improved learning of Gaussian-Bernoulli restricted Boltzmann machines", ICANN 2011)."""


@dataclass(frozen=True)
class Result:
    """Exact mean ln p of the held-out images, in nats, and statistics of the model's draws.

    Attributes:
        before, after: with each pixel matched to the data on its own, and after training.
        means: mean of each pixel over the training images, and over exact draws from the model; shape (2, 64).
    """

    before: float
    after: float
    means: np.ndarray


def grey_levels(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return training and held-out images in [0, 1], with noise within a step."""
    digits, rng = load_digits(), np.random.default_rng(seed)
    return (
        (digits.train.grey * 16 + rng.random(digits.train.grey.shape)) / 17,
        (digits.held_out.grey * 16 + rng.random(digits.held_out.grey.shape)) / 17,
    )


def unit_variance(hidden: int, train: np.ndarray) -> tuple[RBM, float]:
    rbm = RBM(64, hidden, visible_units="gaussian", seed=0)
    rbm.initialise_visible_bias(train)
    return rbm, 0.01


def learnt_variance(hidden: int, train: np.ndarray) -> tuple[RBM, float]:
    energy = Energy.parse(LEARNT_VARIANCE, visible={"v": "gaussian"}, hidden={"h": "binary"})
    rbm = RBM.from_energy(energy, sizes={"v": 64, "h": hidden}, seed=0)
    small = 10 * rbm.weights * train.std(axis=0)[:, None]
    rbm.set_parameters(a=train.mean(axis=0), z=2 * np.log(train.std(axis=0)), w=small)
    return rbm, 0.003


def unit_interval(hidden: int, train: np.ndarray) -> tuple[RBM, float]:
    rbm = RBM(64, hidden, visible_units="uniform", seed=0)
    rbm.initialise_visible_bias(train)
    return rbm, 0.03


def learn(rbm: RBM, rate: float, train: np.ndarray, held_out: np.ndarray, epochs: int) -> Result:
    """Maximise the likelihood by the exact gradient; return what came out."""
    before = rbm.log_likelihood(held_out)
    rbm.fit(train, "exact", epochs=epochs, batch_size=100, optimizer="adam", learning_rate=rate, monitor="none")
    drawn = rbm.sample(4000, method="exact", seed=0)
    return Result(before, rbm.log_likelihood(held_out), np.array([train.mean(axis=0), drawn.mean(axis=0)]))


def main(hidden: int = 10, epochs: int = 40) -> dict[str, Result]:
    train, held_out = grey_levels()
    # A Gaussian unit has variance 1 given the hidden ones. A density in x / s is s times that in x.
    scale = train.std(axis=0).mean()
    results = {
        "Gaussian, unit variance": learn(
            *unit_variance(hidden, train / scale), train / scale, held_out / scale, epochs
        ),
        "Gaussian, learnt variance": learn(*learnt_variance(hidden, train), train, held_out, epochs),
        "on [0, 1]": learn(*unit_interval(hidden, train), train, held_out, epochs),
    }
    for name, result in results.items():
        shift = -64 * np.log(scale) if "unit variance" in name else 0.0
        print(
            f"{name:<26} mean ln p of held-out images {result.before + shift:8.2f} -> {result.after + shift:8.2f} "
            f"nats; pixel means off by at most {np.abs(np.diff(result.means, axis=0)).max():.3f}"
        )
    return results


if __name__ == "__main__":
    main()
