"""Exact answers by enumerating some layers and summing the others in closed form.

Of two layers the one with fewer configurations is enumerated, h say; of more, all those that `joint` names. Its free
energy F(h) has the other layer summed out, so

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

from pgm_rbm.errors import EnumerationLimitError, NoFiniteDomainError
from pgm_rbm.exact.enumeration import cost, multilayer
from pgm_rbm.exact.enumeration.shards import Executors, Progress, run, showing
from pgm_rbm.exact.enumeration.sums import (
    KernelSum,
    LayerSum,
    domain_of,
    lifted,
    problem_of,
    require_domain,
    require_finite,
)
from pgm_rbm.model.kernels import FloatArray, Kernels, Parameters, Phase, layer_sizes
from pgm_rbm.model.layout import Layout
from pgm_rbm.partition.result import LogPartition

__all__ = [
    "EnumerationLimitError",
    "Expectations",
    "Gradient",
    "Progress",
    "expectations",
    "gradient",
    "layer_sum",
    "log_partition",
    "make_plan",
]


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


def layer_sum(kernels: Kernels, parameters: Parameters, layer: str | None = None, averages: bool = False) -> LayerSum:
    """What is to be enumerated, whatever it would cost.

    Args:
        kernels, parameters: the model.
        layer: which layer, where there is one on each side. By default the one with fewer configurations; of an energy
            over any number of layers the smallest set of them that leaves the others a closed form.
        averages: whether averages are wanted besides ln Z.

    Raises:
        ValueError: a parameter is NaN or infinite.
        NoFiniteDomainError: the units of the layer, or of every layer, have infinitely many states.
        ModelError: see `joint.kept_layers`.
    """
    require_finite(parameters)
    layout = Layout.of(kernels, parameters)
    if not layout.two_sided:
        return KernelSum(kernels, lifted(parameters), multilayer.kept_layers(layout, averages), averages)
    sizes = layout.sizes
    able = [one for one in sizes if domain_of(kernels.layers[one]) is not None]
    if layer is None and not able:
        units = " and ".join(f"{one} ({kernels.layers[one]})" for one in sizes)
        raise NoFiniteDomainError(
            f"exact answers go through all states of one layer, which takes units of finitely many states on one side. "
            f"Got {units}. Choose binary, spin or other finite units in one layer, or use what needs no ln Z: Gibbs "
            f"samples, and training by CD or PCD with monitor='none'."
        )
    asked = [layer] if layer else able
    count = {one: len(require_domain(kernels, one).states) ** sizes[one] for one in asked}
    chosen = min(count, key=lambda one: count[one])
    if kernels.target == "numba":
        products = problem_of(kernels, parameters, chosen, averages)
        if products is not None and products.problem.in_range:
            return products
    return KernelSum(kernels, lifted(parameters), (chosen,), averages)


def make_plan(
    kernels: Kernels,
    parameters: Parameters,
    limit: int | None = None,
    threads: int | None = None,
    *,
    layer: str | None = None,
    averages: bool = False,
) -> LayerSum:
    """What is to be enumerated, if that is within the limits.

    Args:
        kernels, parameters: the model.
        limit: the most configurations to enumerate. By default 2^24, and no more than are expected to take 10 minutes
            and 1 GiB; who sets a limit has these lifted.
        threads: how many threads there will be, for the estimate of time.
        layer, averages: see `layer_sum`.

    Raises:
        EnumerationLimitError: it exceeds that; nothing has been enumerated.
        ValueError: a parameter is NaN or infinite, or ``limit`` is not a positive whole number.
        NoFiniteDomainError, ModelError: see `layer_sum`.
    """
    cost.allowed_configurations(limit)
    task = layer_sum(kernels, parameters, layer, averages)
    cost.require_within(task, kernels, layer_sizes(kernels, parameters), limit, threads)
    return task


def log_partition(
    kernels: Kernels,
    parameters: Parameters,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
    executor: Executors | None = None,
) -> LogPartition:
    """ln Z, exact up to rounding in float64.

    Args:
        kernels, parameters: the model.
        limit: the most configurations to enumerate; 2^24 by default.
        threads: how many threads to use; the result does not depend on it.
        progress: called with (shards done, shards in all), or True for a bar with the time left on standard error.
        executor: where to compute the shards instead of on threads: a `concurrent.futures.Executor`, or a function
            that makes one and is called anew if one breaks. The result does not depend on it.

    Raises:
        EnumerationLimitError: there are more configurations than ``limit``.
        ValueError: a parameter is not finite, or energies overflow.
        NoFiniteDomainError, ModelError: see `layer_sum`.
    """
    task = make_plan(kernels, parameters, limit, threads)
    with showing(progress, "ln Z") as shown:
        return LogPartition(run(task, threads=threads, executor=executor, progress=shown).log, "enumeration")


def expectations(
    kernels: Kernels,
    parameters: Parameters,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
    executor: Executors | None = None,
) -> Expectations:
    """ln Z and the average of every −∂E/∂θ under the model (Term B), in one pass. Arguments as `log_partition`."""
    task = make_plan(kernels, parameters, limit, threads, averages=True)
    with showing(progress, "averages") as shown:
        part = run(task, threads=threads, executor=executor, progress=shown)
    return Expectations(part.log, task.averages(part))


def gradient(
    kernels: Kernels,
    parameters: Parameters,
    x: npt.NDArray[Any],
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
    executor: Executors | None = None,
) -> Gradient:
    """The exact gradient of the mean ln p(v) over the rows of ``x``. Arguments as `log_partition`."""
    model = expectations(kernels, parameters, limit=limit, threads=threads, progress=progress, executor=executor)
    return Gradient(multilayer.data_phase(kernels, parameters, x, threads=threads), model.phase)
