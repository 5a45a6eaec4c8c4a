"""Exact answers about data under a model: ln p(v), its gradient, and KL(q ‖ p)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.exact import choice
from pgm_rbm.exact.enumeration import configurations, multilayer
from pgm_rbm.exact.enumeration.answers import Expectations, Gradient
from pgm_rbm.exact.enumeration.most_probable import MostProbable, most_probable_of_layer
from pgm_rbm.exact.enumeration.sums import require_domain
from pgm_rbm.machine.budget import Budget
from pgm_rbm.model.kernels import Kernels, Phase
from pgm_rbm.model.model import Model
from pgm_rbm.sampling.gibbs import Given, checked_given

__all__ = ["entropy", "expectations", "gradient", "kl_divergence", "log_probability", "most_probable"]

Floats = npt.NDArray[np.float64]


def log_probability(model: Model, rows: npt.NDArray[Any], budget: Budget) -> Floats:
    """Return ln p(v) = ln μ(v) − F(v) − ln Z of each row; of a model with inputs, given the row's input."""
    if not model.layout.given:
        log_z = choice.log_partition(model, "auto", budget).value
        return multilayer.log_probability(model, rows, log_z, budget)
    inputs = model.layout.data_states(rows.astype(np.float64))
    inputs = {layer: inputs[layer] for layer in model.layout.given}
    each = model.kernels.log_partition(inputs, **model.lifted().parameters)
    return multilayer.log_probability(model, rows, 0.0, budget) - each


def _existing(model: Model, phase: Phase) -> Phase:
    """The same with zero for parameters that do not exist: weights without an edge, diagonals that are zero."""
    return phase | {name: phase[name] * mask for name, mask in model.masks.items()}


def expectations(model: Model, budget: Budget) -> Expectations:
    """Return ln Z and the average of −∂E/∂θ under the model for every parameter that exists."""
    result = choice.expectations(model, budget, every_pair=model.mask is None)
    return Expectations(result.log_partition, _existing(model, result.phase))


def gradient(model: Model, rows: npt.NDArray[Any], budget: Budget) -> Gradient:
    """Return ∂/∂θ of the mean ln p(v) over the rows, as Term A − Term B."""
    under_model = expectations(model, budget).phase
    return Gradient(_existing(model, multilayer.data_phase(model, rows, budget)), under_model)


def kl_divergence(model: Model, rows: npt.NDArray[Any], budget: Budget) -> float:
    """Return KL(q ‖ p) = Σ_v q(v) ln (q(v) / p(v)), with q the distribution of the rows; see `RBM.kl_divergence`."""
    for layer in model.kernels.visible:
        require_domain(model.kernels, layer)
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    q = conditional = counts / counts.sum()
    if model.layout.given:
        columns = model.layout.data_columns
        inputs = np.concatenate([distinct[:, columns[one]] for one in model.layout.given], axis=1)
        _, place = np.unique(inputs, axis=0, return_inverse=True)
        conditional = q / np.bincount(place.ravel(), q)[place.ravel()]
    return float(q @ (np.log(conditional) - log_probability(model, distinct, budget)))


def entropy(model: Model, of: str, budget: Budget) -> float:
    """Return the entropy of p(v, h), p(v) or p(h) in nats; see `RBM.entropy`."""
    model.require_two_sides("the entropy")
    if of != "joint":
        return configurations.layer_entropy(model, _checked_layer(of), budget)

    def tempered() -> tuple[Kernels, str]:
        # Loading SymPy takes 0.3 s (2 cores, 2026-12), and energies linear in their parameters do without.
        from pgm_rbm.model.of_energy import symbolic_energy

        energy, beta = symbolic_energy(model).tempered()
        return energy.compile(model.kernels.target), beta.name

    return choice.joint_entropy(model, tempered, budget)


def most_probable(model: Model, given: Given | None, of: str, budget: Budget) -> MostProbable:
    """Return a configuration that none exceeds in probability; see `RBM.most_probable`."""
    model.require_two_sides("the most probable configuration")
    chosen = checked_given(given)
    if of == "joint":
        return choice.most_probable(model, chosen, budget)
    layer = _checked_layer(of)
    if chosen:
        raise ValueError(f"given must be left out with of={of!r}. Use of='joint' to fix units.")
    states, log_p = most_probable_of_layer(model, layer, budget)
    states = states.astype(model.dtype)
    return MostProbable(states if layer == "v" else None, states if layer == "h" else None, log_p)


def _checked_layer(of: str) -> str:
    if of not in ("v", "h"):
        raise ValueError(f"of must be 'joint', 'v' or 'h'. Got {of!r}.")
    return of
