"""Exact answers by enumerating some layers and summing the others in closed form.

Of two layers the one with fewer configurations is enumerated, h say; of more, all those that `multilayer` names. Its
free energy F(h) has the other layer summed out, so

    ln Z = ln Σ_h e^{−F(h)},    ⟨f⟩ = Σ_h p(h) ⟨f⟩_h,    p(h) = e^{−F(h)} / Z,

with ⟨f⟩_h the exact average given h, and one pass gives ln Z and every average. Between units of finitely many states
the pass multiplies tables (`products`); otherwise, where single weights reach hundreds of nats, and with the kernels'
target ``"numpy"``, it asks the kernels for F(h) block by block. It is cut into shards that do not depend on the number
of threads and are joined in a fixed order, on this machine or on several (`shards`). All is done in float64, whatever
the dtype of the parameters, and weights of any size neither overflow nor vanish.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from pgm_rbm.exact.enumeration import multilayer
from pgm_rbm.exact.enumeration.plan import make_plan
from pgm_rbm.exact.enumeration.shards import run
from pgm_rbm.machine.budget import Budget
from pgm_rbm.model.kernels import FloatArray, Phase
from pgm_rbm.model.model import Model
from pgm_rbm.partition.result import LogPartition

__all__ = ["Expectations", "Gradient", "expectations", "gradient", "log_partition"]


@dataclass(frozen=True)
class Expectations:
    """Averages under the model.

    Attributes:
        log_partition: ln Z.
        phase: by parameter θ, the average of −∂E/∂θ under p(v, h), in the shape of θ.
    """

    log_partition: float
    phase: Phase


@dataclass(frozen=True)
class Gradient:
    """The gradient of the mean ln p(v) over the data, as Term A − Term B.

    Attributes:
        term_a: by parameter θ, the average of −∂E/∂θ with v from the data and h from p(h | v).
        term_b: by parameter θ, the average of −∂E/∂θ under the model's p(v, h).
        difference: ``term_a`` − ``term_b``, the gradient itself; ``gradient["w"]`` is ``difference["w"]``.
    """

    term_a: Phase
    term_b: Phase
    difference: Phase = field(init=False)

    def __post_init__(self) -> None:
        difference = {name: self.term_a[name] - self.term_b[name] for name in self.term_a}
        object.__setattr__(self, "difference", difference)

    def __getitem__(self, parameter: str) -> FloatArray:
        return self.difference[parameter]

    @property
    def weights(self) -> FloatArray:
        """The gradient by the weights, ``difference["w"]``."""
        return self.difference["w"]

    @property
    def visible_bias(self) -> FloatArray:
        """The gradient by the visible biases, ``difference["a"]``."""
        return self.difference["a"]

    @property
    def hidden_bias(self) -> FloatArray:
        """The gradient by the hidden biases, ``difference["b"]``."""
        return self.difference["b"]


def log_partition(model: Model, budget: Budget = Budget()) -> LogPartition:
    """Return ln Z, exact up to rounding in float64.

    Raises:
        EnumerationLimitError: it exceeds the budget.
        ValueError: a parameter is not finite, or energies overflow.
        NoFiniteDomainError, ModelError: see `plan.task_of`.
    """
    task = make_plan(model, budget).require()
    return LogPartition(run(task, budget, "ln Z").log, "enumeration")


def expectations(model: Model, budget: Budget = Budget()) -> Expectations:
    """Return ln Z and the average of every −∂E/∂θ under the model (Term B), in one pass. Raises as `log_partition`."""
    task = make_plan(model, budget, averages=True).require()
    part = run(task, budget, "averages")
    return Expectations(part.log, task.averages(part))


def gradient(model: Model, x: npt.NDArray[Any], budget: Budget = Budget()) -> Gradient:
    """Return the exact gradient of the mean ln p(v) over the rows of ``x``. Raises as `log_partition`."""
    under_model = expectations(model, budget)
    return Gradient(multilayer.data_phase(model, x, budget), under_model.phase)
