"""Answers that look at every configuration on its own: independent draws, and entropies.

They go through the enumeration run by run, a run being small enough to hold a number for each of its configurations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import EnumerationLimitError, NoFiniteDomainError
from pgm_rbm.exact.enumeration.answers import expectations
from pgm_rbm.exact.enumeration.plan import Plan, make_plan
from pgm_rbm.exact.enumeration.shards import each
from pgm_rbm.exact.enumeration.sums import KernelSum, LayerSum, domain_of, problem_of
from pgm_rbm.machine.budget import CONFIGURATIONS, MEMORY, Budget
from pgm_rbm.machine.quantities import format_bytes
from pgm_rbm.machine.streams import Purpose, derive_key, generator
from pgm_rbm.machine.workers import workers
from pgm_rbm.model.domains import dimension, has_measure, is_continuous, is_finite, states_of
from pgm_rbm.model.draw import draw_layer, resting
from pgm_rbm.model.kernels import FloatArray, Kernels, parameter_shapes
from pgm_rbm.model.layout import States
from pgm_rbm.model.model import Model

__all__ = ["joint_entropy", "layer_entropy", "no_room", "sample"]

Floats = npt.NDArray[np.float64]
_OUTER = 256
# Numbers held at once.
_VALUES = 2**18


def sample(
    model: Model,
    n: int,
    seed: int,
    budget: Budget = Budget(),
) -> tuple[FloatArray, FloatArray]:
    """Independent draws (v, h) from the model itself: the enumerated layers from their exact distribution, then the
    others given them.

    Args:
        model: the model.
        n: how many draws.
        seed: 64-bit seed.
        budget: what the enumeration may take.

    Returns:
        States of shape (n, n_visible) and (n, n_hidden), in the dtype of the parameters.

    Raises:
        EnumerationLimitError, ValueError: as for `answers.log_partition`.
    """
    plan, layout = make_plan(model, budget), model.layout
    task, refused = plan.require(), no_room(plan, n)
    if refused is not None:
        raise refused
    runs = task.runs()
    uniforms = generator(seed, Purpose.EXACT).random((2, n))
    masses = np.empty(len(runs))
    for k, mass in each(lambda one: _log_sum(task.log_weights(one)), runs, budget, "exact draws"):
        masses[k] = mass
    chosen = _draw(masses, uniforms[0])
    dtype = model.dtype
    held: States = {layer: np.empty((n, layout.sizes[layer]), dtype) for layer in task.kept}

    def draw(k: int) -> None:
        draws = np.flatnonzero(chosen == k)
        drawn = task.states(runs[k], _draw(task.log_weights(runs[k]), uniforms[1, draws]))
        for layer, states in drawn.items():
            held[layer][draws] = states

    with workers(budget.threads) as pool:
        for _ in pool.unordered(draw, np.unique(chosen).tolist()):
            pass
    rest = [layer for layer in model.units if layer not in held]
    for layer in rest:
        # Independent of each other given what is held, so that the others of them may rest meanwhile.
        around = held | {one: resting(layout, one, n, dtype) for one in rest}
        key = derive_key(seed, Purpose.EXACT, 1 + rest.index(layer))
        held[layer] = draw_layer(model, layer, around, key, 0)
    return layout.data_array(held), layout.hidden_array(held)


def no_room(plan: Plan, n: int) -> EnumerationLimitError | None:
    """Return the refusal of ``n`` draws that take more memory than is held where no limit is given, else None."""
    item = np.dtype(np.float64).itemsize
    # Uniform numbers and the places they choose, all states, and the fields that those not enumerated are drawn in.
    memory = n * item * (4 + 2 * sum(plan.model.layout.widths.values()))
    if plan.budget.configurations is not None or memory <= MEMORY:
        return None
    return EnumerationLimitError(
        f"{n} exact draws would hold {format_bytes(memory)}, and no more than {format_bytes(MEMORY)} are "
        f"held where no limit is given. Draw fewer at a time, each time with another seed, or pass "
        f"limit={plan.task.configurations} to hold them all the same.",
        configurations=plan.task.configurations,
        limit=CONFIGURATIONS,
        seconds=math.nan,
        memory=memory,
    )


def _log_sum(logs: Floats) -> float:
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).sum()))


def _draw(logs: Floats, uniforms: Floats) -> npt.NDArray[np.intp]:
    """Places drawn with probabilities proportional to e^{logs}, by inverting the distribution function."""
    cumulative = np.cumsum(np.exp(logs - logs.max()))
    return np.minimum(np.searchsorted(cumulative, uniforms * cumulative[-1], side="right"), len(cumulative) - 1)


def joint_entropy(
    model: Model,
    tempered: Callable[[], tuple[Kernels, str]],
    budget: Budget = Budget(),
) -> float:
    """The entropy of p(v, h) in nats, of a density where units are continuous: ln Z + ⟨E⟩ − ⟨ln μ⟩, with μ what states
    weigh of themselves.

    Where E is linear in its parameters θ, ⟨E⟩ = Σ θ ⟨∂E/∂θ⟩. Else it is the derivative −∂ ln Z(β)/∂β of the energy β E
    at β = 1.

    Args:
        model: the model.
        tempered: makes the kernels of β E, and says what the parameter β is called; asked where E is not linear.
        budget: as for `sample`.

    Raises:
        EnumerationLimitError: too many configurations.
        NoFiniteDomainError: both layers have infinitely many states, or one that weigh of themselves.
    """
    for layer, unit in model.units.items():
        if domain_of(unit) is None and has_measure(unit):
            raise NoFiniteDomainError(
                f"the joint entropy holds the average of ln μ(s), what states weigh of themselves, and there is no "
                f"closed form of it for units of infinitely many states. Got {unit} units in layer {layer}; ask for "
                f"one layer (of='v' or of='h') where its units have finitely many states."
            )
    if _is_linear(model.kernels):
        found = expectations(model, budget)
        energy = -math.fsum(
            float(np.vdot(np.asarray(model.parameters[name], dtype=np.float64), value))
            for name, value in found.phase.items()
        )
    else:
        heated, beta = tempered()
        at_one = {**model.parameters, beta: np.ones((), model.dtype)}
        found = expectations(Model.of(heated, at_one), budget)
        energy = -float(found.phase[beta])
    weighing = [layer for layer, unit in model.units.items() if (domain := domain_of(unit)) and not domain.even]
    result = found.log_partition + energy
    if weighing:
        result -= _mean_log_measure(model, weighing, found.log_partition, replace(budget, progress=None))
    return result if any(map(is_continuous, model.units.values())) else max(result, 0.0)


_LINEAR: WeakKeyDictionary[Kernels, bool] = WeakKeyDictionary()


def _is_linear(kernels: Kernels) -> bool:
    """Whether E = Σ θ ∂E/∂θ, which is whether E grows in proportion with all parameters (Euler); tried on random
    ones."""
    if kernels not in _LINEAR:
        rng = np.random.default_rng(0)
        sizes = dict.fromkeys(kernels.layers, 2)
        parameters = {name: rng.normal(size=shape) for name, shape in parameter_shapes(kernels, sizes).items()}
        held = {
            layer: rng.choice(states_of(unit), size=(4, 2)) if is_finite(unit) else np.ones((4, 2 * dimension(unit)))
            for layer, unit in kernels.layers.items()
        }
        small = kernels.sized(**dict.fromkeys(kernels.sizes, 2))
        energies = small.energy(**held, **parameters)
        grown = small.energy(**held, **{name: 1.5 * value for name, value in parameters.items()})
        _LINEAR[kernels] = bool(np.allclose(grown, 1.5 * energies, rtol=1e-9, atol=1e-9))
    return _LINEAR[kernels]


def _mean_log_measure(model: Model, weighing: Sequence[str], log_z: float, budget: Budget) -> float:
    """⟨ln μ⟩ under the model, summed over the layers in which states weigh of themselves."""
    task = make_plan(model, budget).require()
    whole = problem_of(model, task.kept[0])
    if whole is not None:
        problem = whole.problem
        rows = max(1, _VALUES // (len(problem.other_bias) * len(problem.other_states)))
        return _average(task, problem.mean_log_measure, rows, log_z, budget)
    total = 0.0
    for layer in weighing:
        alone = KernelSum(model, (layer,))
        task = make_plan(model, budget, layer=layer).require()

        def measure(rows: Floats, alone: KernelSum = alone) -> Floats:
            return alone.log_measure({alone.kept[0]: rows})

        total += _average(task, measure, _VALUES // alone.sizes[layer] + 1, log_z, budget)
    return total


def _average(task: LayerSum, function: Callable[[Floats], Floats], most: int, log_z: float, budget: Budget) -> float:
    """The average of a function of the enumerated layer, ``most`` rows at a time."""
    (layer,), runs = task.kept, task.runs()

    def work(run: range) -> float:
        p = np.exp(task.log_weights(run) - log_z)
        places = (np.arange(k, min(k + most, len(p))) for k in range(0, len(p), most))
        return math.fsum(float(p[one] @ function(task.states(run, one)[layer])) for one in places)

    parts = np.empty(len(runs))
    for k, part in each(work, runs, budget):
        parts[k] = part
    return math.fsum(parts)


def layer_entropy(
    model: Model,
    layer: str,
    budget: Budget = Budget(),
) -> float:
    """The entropy of one layer's own distribution in nats, by enumerating that layer. Arguments as `sample`."""
    task = make_plan(model, budget, layer=layer).require()
    runs = task.runs()

    def work(one: range) -> tuple[float, float]:
        """ln of the run's mass, and the entropy within it."""
        logs = task.log_weights(one)
        mass = _log_sum(logs)
        relative = logs - mass
        return mass, -float(np.exp(relative) @ relative)

    masses, within = np.empty(len(runs)), np.empty(len(runs))
    for k, (mass, part) in each(work, runs, budget, "entropy"):
        masses[k], within[k] = mass, part
    relative = masses - _log_sum(masses)
    return float(np.exp(relative) @ (within - relative))
