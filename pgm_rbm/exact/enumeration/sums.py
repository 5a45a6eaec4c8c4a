"""The sums over all configurations of some layers, shard by shard, in either of two ways.

`ProductSum` multiplies tables (`products`) and serves pairwise energies between units of finitely many states.
`KernelSum` asks the generated kernels for the free energy of block after block of configurations and serves
whatever they serve, energies over any number of layers too: only the enumerated units must have finitely many states,
and the others a closed form. What the states are, and what each weighs of itself, is read from the table of units.
Both are picklable, and give the same answers in the same form.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import NoFiniteDomainError
from pgm_rbm.exact.enumeration.products import LANES, Problem, require_digits, tables_of
from pgm_rbm.exact.enumeration.reduction import Part
from pgm_rbm.exact.enumeration.shards import Cuts
from pgm_rbm.machine.workers import ROWS, check_cancelled
from pgm_rbm.model.domains import is_finite, log_measure, states_of
from pgm_rbm.model.kernels import FloatArray, Kernels, Parameters, Phase, parameter_shapes
from pgm_rbm.model.layout import States
from pgm_rbm.model.model import Model

if TYPE_CHECKING:
    from pgm_rbm.exact.enumeration.products import Prepared

__all__ = [
    "Domain",
    "KernelSum",
    "LayerSum",
    "ProductSum",
    "domain_of",
    "problem_of",
    "require_domain",
    "require_finite",
]

Floats = npt.NDArray[np.float64]

_BLOCK_VALUES, _MOST_BLOCK = 2**17, 2**12
# A shard goes through at least so many terms, so that handing it out costs little beside it, and through at most so
# many, so that an interrupt is soon answered and a lost shard soon made good: a quarter of a second of products, and
# some seconds of the kernels, which look for an interrupt between blocks.
_LEAST_TERMS, _MOST_TERMS = 2**22, 2**31
_MOST_KERNEL_TERMS = 2**28
_SHARDS = 64
# Runs are so many at least, so that a draw need not go through much to find its configuration again, and hold at most
# so many configurations.
_RUNS, _MOST_RUN = 2**12, 2**20
# What stays below 2^-_NEGLIGIBLE of the largest weight in all configurations together is left out of averages.
_NEGLIGIBLE = 70


class Domain(NamedTuple):
    """The states of a unit.

    Attributes:
        states: in increasing order.
        log_measure: ln of the weight that each has of itself, such as ln of a binomial coefficient; 0 for most units.
    """

    states: tuple[float, ...]
    log_measure: tuple[float, ...]

    @property
    def even(self) -> bool:
        """Whether all states weigh alike."""
        return not any(self.log_measure)


@cache
def domain_of(unit: str) -> Domain | None:
    """The states of a unit as in `symbolic.units`, or None where it has infinitely many."""
    if not is_finite(unit):
        return None
    states = states_of(unit)
    measure = log_measure(unit, np.array(states))
    return Domain(states, (0.0,) * len(states) if measure is None else tuple(measure.tolist()))


def require_domain(kernels: Kernels, layer: str) -> Domain:
    """The states of a layer's units.

    Raises:
        NoFiniteDomainError: there are infinitely many.
    """
    domain = domain_of(kernels.layers[layer])
    if domain is None:
        raise NoFiniteDomainError(
            f"only a layer whose units have finitely many states can be enumerated. Got {kernels.layers[layer]} units "
            f"in layer {layer}. Use sampling for approximate answers."
        )
    return domain


def require_finite(parameters: Parameters) -> None:
    """Raise if a parameter is NaN or infinite.

    Raises:
        ValueError: one is.
    """
    for name, value in parameters.items():
        if not np.isfinite(value).all():
            raise ValueError(f"parameter {name} must be finite. Got NaN or infinity in it.")


class LayerSum(Protocol):
    """Layers that are enumerated, with all others summed out.

    Attributes:
        with_averages: whether averages are wanted besides ln Z.
    """

    @property
    def with_averages(self) -> bool: ...

    @property
    def kept(self) -> tuple[str, ...]:
        """The names of the layers that are enumerated."""
        ...

    @property
    def layer(self) -> str:
        """These names as one."""
        ...

    @property
    def configurations(self) -> int:
        """How many configurations they have."""
        ...

    def shards(self) -> Cuts:
        """Ranges that cover the enumeration; they depend on nothing but the model."""
        ...

    def __call__(self, shard: range) -> Part:
        """The sums over one shard."""
        ...

    def averages(self, part: Part) -> Phase:
        """By parameter θ, the average of −∂E/∂θ, from the sum of all shards' parts."""
        ...

    def runs(self) -> Cuts:
        """Ranges that cover the enumeration, small enough to hold a number for each configuration."""
        ...

    def log_weights(self, run: range) -> Floats:
        """ln of the summand of every configuration of a run, in order."""
        ...

    def states(self, run: range, places: npt.NDArray[np.integer]) -> dict[str, Floats]:
        """The configurations at these places of a run by layer, one a row."""
        ...


@dataclass(frozen=True)
class KernelSum:
    """Some layers' free energy block by block, from the generated kernels.

    Attributes:
        model: in float64.
        kept: the layers that are enumerated. All others are summed out in closed form; where there are none, the
            summand is e^{−E}.
        with_averages: see `LayerSum`.
    """

    model: Model
    kept: tuple[str, ...]
    with_averages: bool = False

    @property
    def layer(self) -> str:
        return ", ".join(self.kept)

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many units each layer has."""
        return self.model.sizes

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """The states of a unit, by layer that is enumerated."""
        return {layer: require_domain(self.model.kernels, layer) for layer in self.kept}

    @cached_property
    def configurations(self) -> int:
        return math.prod(len(self.domains[layer].states) ** self.sizes[layer] for layer in self.kept)

    @cached_property
    def block(self) -> int:
        """Configurations that are worked on at once."""
        summed = sum(size for layer, size in self.sizes.items() if layer not in self.kept)
        each = summed or sum(self.sizes.values())
        return min(max(ROWS, 1 << max(_BLOCK_VALUES // each, 1).bit_length() - 1), _MOST_BLOCK)

    def _cut(self, least: int) -> Cuts:
        terms = self.configurations * sum(self.sizes.values())
        wanted = max(least, terms // _MOST_KERNEL_TERMS, self.configurations // _MOST_RUN)
        return Cuts.of(self.configurations, wanted, self.block)

    def shards(self) -> Cuts:
        return self._cut(_SHARDS)

    def runs(self) -> Cuts:
        return self._cut(_RUNS)

    def _blocks(self, shard: range) -> Iterator[States]:
        for start in range(shard.start, shard.stop, self.block):
            check_cancelled()
            yield self.numbered(np.arange(start, min(start + self.block, shard.stop)))

    def numbered(self, numbers: npt.NDArray[np.integer]) -> dict[str, Floats]:
        """The configurations of these numbers by layer; the first unit of the first layer changes fastest."""
        held = {}
        for layer in self.kept:
            states = np.asarray(self.domains[layer].states)
            digits = np.empty((len(numbers), self.sizes[layer]), dtype=np.intp)
            for unit in range(self.sizes[layer]):
                numbers, digits[:, unit] = np.divmod(numbers, len(states))
            held[layer] = states[digits]
        return held

    def log_measure(self, held: States) -> Floats:
        """ln of what configurations weigh of themselves, shape (rows,)."""
        total: Floats = np.zeros(len(next(iter(held.values()))))
        for layer, domain in self.domains.items():
            if not domain.even:
                total += np.asarray(domain.log_measure)[np.searchsorted(domain.states, held[layer])].sum(axis=1)
        return total

    def log_weights_of(self, held: States) -> Floats:
        """ln of the summands of Z of these configurations."""
        logs = self.log_measure(held)
        if len(self.kept) == len(self.sizes):
            logs -= self.model.kernels.energy(**held, **self.model.parameters)
        else:
            logs -= self.model.kernels.free_energy(held, of=self.kept, **self.model.parameters)
        return logs

    def states(self, run: range, places: npt.NDArray[np.integer]) -> dict[str, Floats]:
        return self.numbered(run.start + places)

    def log_weights(self, run: range) -> Floats:
        return np.concatenate([self.log_weights_of(held) for held in self._blocks(run)])

    def __call__(self, shard: range) -> Part:
        top, total, sums = -math.inf, 0.0, dict[str, FloatArray]()
        for held in self._blocks(shard):
            exponents = self.log_weights_of(held)
            highest = float(exponents.max())
            require_digits(highest)
            if highest > top:
                # Whole powers of two, so that parts can be brought to a common one without rounding.
                raised = float(math.floor(highest / math.log(2)))
                scale = math.ldexp(1.0, int(max(top - raised, -2000.0)))
                total *= scale
                for value in sums.values():
                    value *= scale
                top = raised
            weights = np.exp(exponents - top * math.log(2))
            total += float(weights.sum())
            if self.with_averages:
                phase = self.model.kernels.phase(held, of=self.kept, row_weights=weights, **self.model.parameters)
                for name, value in phase.items():
                    sums[name] = sums[name] + value if name in sums else value
        return Part(int(top), total, sums)

    def averages(self, part: Part) -> Phase:
        return {name: value / part.total for name, value in part.sums.items()}


@dataclass(frozen=True)
class ProductSum:
    """The layer by products of tables.

    Attributes:
        problem: the model.
        layer: the one that is enumerated.
        with_averages: see `LayerSum`.
        names: of the layer's biases, of the other layer's, and of the weights between them.
        transposed: whether the weights' first axis is the other layer's.
    """

    problem: Problem
    layer: str
    names: tuple[str, str, str]
    transposed: bool
    with_averages: bool = False

    @property
    def kept(self) -> tuple[str, ...]:
        return (self.layer,)

    @property
    def configurations(self) -> int:
        return self.problem.configurations

    def shards(self) -> Cuts:
        layout = self.problem.layout
        rows = int((layout.finish == 0).sum()) * (len(self.problem.other_states) - 1)
        terms = layout.outer * layout.lanes * (rows + 8)
        # Averages take four times as long, and a matrix of the weights' size besides for each shard.
        least, most = (2 * _LEAST_TERMS, _MOST_TERMS // 4) if self.with_averages else (_LEAST_TERMS, _MOST_TERMS)
        return Cuts.of(layout.outer, max(min(_SHARDS, terms // least), terms // most))

    def runs(self) -> Cuts:
        layout = self.problem.layout
        return Cuts.of(layout.outer, max(_RUNS, layout.outer * layout.lanes // _MOST_RUN))

    def _prepared(self) -> Prepared:
        return tables_of(self.problem, self.with_averages)

    def states(self, run: range, places: npt.NDArray[np.integer]) -> dict[str, Floats]:
        inside = len(self.problem.states) ** self.problem.layout.inner
        return {self.layer: self.problem.rows(run.start * inside + places)}

    def log_weights(self, run: range) -> Floats:
        from pgm_rbm.exact.enumeration.product_loops import weights

        layout = self.problem.layout
        inside = len(self.problem.states) ** layout.inner
        mantissas, exponents = weights(self._prepared().tables, run.start, run.stop)
        logs: Floats = np.log(mantissas[:, :inside]) + exponents[:, :inside] * math.log(2)
        return logs.ravel()

    def __call__(self, shard: range) -> Part:
        from pgm_rbm.exact.enumeration.product_loops import moments, total

        tables = self._prepared().tables
        if not self.with_averages:
            return Part(*total(tables, shard.start, shard.stop))
        negligible = _NEGLIGIBLE + self.configurations.bit_length()
        exponent, found = moments(tables, shard.start, shard.stop, negligible)
        inner, inside, rows = self.problem.layout.inner, int(tables.ends[0]), len(tables.start)
        pairs = found.pairs.reshape(-1, rows)
        means, sums = found.means[-len(pairs) :], found.sums[-rows:]
        by_block = tables.lane_states.reshape(inner, -1, LANES)
        means[:inner] = tables.lane_states @ found.lane_mass
        for block, by_row in enumerate(found.shares.reshape(by_block.shape[1], inside, LANES)):
            pairs[:inner, :inside] += by_block[:, block] @ by_row.T
        return Part(exponent, float(found.mass[-1]), {"means": means, "sums": sums, "pairs": pairs})

    def averages(self, part: Part) -> Phase:
        prepared, order = self._prepared(), list(self.problem.layout.order)
        n, m = self.problem.coupling.shape
        here = prepared.units >= 0
        units, steps = prepared.units[here], prepared.steps[here] / part.total
        own = np.empty(m)
        own[order] = part.sums["means"] / part.total
        other = prepared.offset.copy()
        np.add.at(other, units, steps * part.sums["sums"][here])
        both = np.zeros((n, m))
        by_digit = np.zeros((n, m))
        np.add.at(by_digit, units, steps[:, None] * part.sums["pairs"].T[here])
        both[:, order] = by_digit
        both += prepared.offset[:, None] * own
        # Shares of a total may add up to more than it in their last digit.
        ends, other_ends = self.problem.states[:: len(self.problem.states) - 1], self.problem.other_states
        products = [x * y for x in ends for y in (other_ends[0], other_ends[-1])]
        np.clip(own, *ends, out=own)
        np.clip(other, other_ends[0], other_ends[-1], out=other)
        np.clip(both, min(products), max(products), out=both)
        own_name, other_name, coupling = self.names
        return {own_name: own, other_name: other, coupling: both if self.transposed else np.ascontiguousarray(both.T)}


_PAIRWISE: WeakKeyDictionary[Kernels, bool] = WeakKeyDictionary()


def problem_of(model: Model, layer: str, with_averages: bool = False) -> ProductSum | None:
    """The enumeration of ``layer`` by products, or None where the energy is not pairwise or a unit's states not finite.

    Args:
        model: the model.
        layer: which layer to enumerate.
        with_averages: whether averages are wanted besides ln Z.
    """
    kernels = model.kernels
    if kernels not in _PAIRWISE:
        _PAIRWISE[kernels] = all(_agrees(kernels, one) for one in kernels.layers)
    return _problem(model, layer, with_averages) if _PAIRWISE[kernels] else None


def _problem(model: Model, layer: str, with_averages: bool) -> ProductSum | None:
    kernels = model.kernels
    by_layers = {layers: name for name, layers in kernels.parameters.items()}
    if any(axis not in kernels.layers for axes in by_layers for axis in axes):
        return None  # states are labels
    others = [one for one in kernels.layers if one != layer]
    if len(others) != 1 or len(by_layers) != len(kernels.parameters):
        return None
    other = others[0]
    couplings = [layers for layers in by_layers if len(layers) == 2 and set(layers) == {layer, other}]
    if len(couplings) != 1 or set(by_layers) != {(layer,), (other,), couplings[0]}:
        return None
    own, its = (domain_of(kernels.layers[one]) for one in (layer, other))
    if own is None or its is None:
        return None
    names = by_layers[(layer,)], by_layers[(other,)], by_layers[couplings[0]]
    transposed = couplings[0] == (other, layer)
    arrays = {name: np.array(model.parameters[name], dtype=np.float64, order="C") for name in names}
    coupling = arrays[names[2]] if transposed else np.ascontiguousarray(arrays[names[2]].T)
    problem = Problem(
        arrays[names[0]], arrays[names[1]], coupling, own.states, its.states, own.log_measure, its.log_measure
    )
    return ProductSum(problem, layer, names, transposed, with_averages)


def _agrees(kernels: Kernels, layer: str) -> bool:
    """Whether the products describe what the kernels compute, tried on a model of random numbers.

    Two energies may have parameters of the same names and shapes.
    """
    rng = np.random.default_rng(0)
    sizes = dict(zip(kernels.layers, (3, 2), strict=False))
    if len(sizes) != len(kernels.layers):
        return False
    shapes = parameter_shapes(kernels, sizes)
    parameters = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    made = _problem(Model.of(kernels, parameters), layer, False)
    if made is None:
        return False
    digits = rng.integers(len(made.problem.states), size=(16, sizes[layer]))
    states = np.asarray(made.problem.states)[digits]
    found = np.asarray(made.problem.log_measure)[digits].sum(axis=1)
    found -= kernels.free_energy(states, of=layer, **parameters)
    return bool(np.allclose(found, made.problem.log_weights(states), rtol=1e-9, atol=1e-9))
