"""The sums over all configurations of a layer, shard by shard, in either of two ways.

`ProductSum` multiplies tables (`products`) and serves pairwise energies between units of finitely many states.
`KernelSum` asks the generated kernels for the free energy of block after block of configurations and serves
whatever they serve: only the enumerated units must have finitely many states, and the others a closed form. What the
states are, and what each weighs of itself, is read from the table of units. Both are picklable, and give the same
answers in the same form.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import NoFiniteDomainError
from pgm_rbm.exact.products import LANES, Problem, require_digits, tables_of
from pgm_rbm.exact.reduction import Part
from pgm_rbm.kernels import FloatArray, Kernels, Parameters, Phase, layer_sizes, parameter_shapes
from pgm_rbm.workers import ROWS

if TYPE_CHECKING:
    from pgm_rbm.exact.products import Prepared

__all__ = ["Domain", "KernelSum", "LayerSum", "ProductSum", "domain_of", "lifted", "problem_of", "require_domain"]

Floats = npt.NDArray[np.float64]

_BLOCK_VALUES = 2**17
# A shard goes through at least so many terms, so that handing it out costs little beside it, and through at most so
# many, so that an interrupt is soon answered and a lost shard soon made good.
_LEAST_TERMS, _MOST_TERMS = 2**22, 2**32
_SHARDS, _MOST_SHARDS = 64, 2**18
_RUNS = 2**12
_MOST_RUN = 2**14
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
    from symbolic.units import lookup

    row = lookup(unit)
    if not row.is_finite:
        return None
    measure = [0.0 if row.base is None else float(row.log_base(state)) for state in row.states]
    return Domain(tuple(map(float, row.states)), tuple(measure))


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


class LayerSum(Protocol):
    """A layer that is enumerated, with the other one summed out.

    Attributes:
        layer: its name.
        with_averages: whether averages are wanted besides ln Z.
    """

    @property
    def layer(self) -> str: ...

    @property
    def with_averages(self) -> bool: ...

    @property
    def configurations(self) -> int:
        """How many configurations the layer has."""
        ...

    def shards(self) -> Sequence[range]:
        """Ranges that cover the enumeration; they depend on nothing but the model."""
        ...

    def __call__(self, shard: range) -> Part:
        """The sums over one shard."""
        ...

    def averages(self, part: Part) -> Phase:
        """By parameter θ, the average of −∂E/∂θ, from the sum of all shards' parts."""
        ...

    def runs(self) -> Sequence[range]:
        """Ranges that cover the enumeration, small enough to hold a number for each configuration."""
        ...

    def log_weights(self, run: range) -> Floats:
        """ln of the summand of every configuration of a run, in order."""
        ...

    def rows(self, run: range, places: npt.NDArray[np.integer]) -> Floats:
        """The configurations at these places of a run, one a row."""
        ...


def lifted(parameters: Parameters) -> dict[str, Floats]:
    """Copies of the parameters in float64."""
    return {name: np.array(value, dtype=np.float64, order="C") for name, value in parameters.items()}


@dataclass(frozen=True)
class KernelSum:
    """The layer's free energy block by block, from the generated kernels.

    Attributes:
        kernels, parameters: the model, its parameters in float64.
        layer, with_averages: see `LayerSum`.
    """

    kernels: Kernels
    parameters: dict[str, Floats]
    layer: str
    with_averages: bool = False

    @property
    def domain(self) -> Domain:
        """The states of one unit."""
        return require_domain(self.kernels, self.layer)

    @property
    def units(self) -> int:
        """How many units the layer has."""
        return layer_sizes(self.kernels, self.parameters)[self.layer]

    @property
    def configurations(self) -> int:
        return len(self.domain.states) ** self.units

    @property
    def block(self) -> int:
        """Configurations that are worked on at once."""
        sizes = layer_sizes(self.kernels, self.parameters)
        other = sum(size for one, size in sizes.items() if one != self.layer)
        return min(max(ROWS, 1 << max(_BLOCK_VALUES // other, 1).bit_length() - 1), 4096)

    def _cut(self, wanted: int) -> list[range]:
        blocks = -(-self.configurations // self.block)
        n = min(wanted, blocks)
        return [
            range(blocks * k // n * self.block, min(blocks * (k + 1) // n * self.block, self.configurations))
            for k in range(n)
        ]

    def shards(self) -> list[range]:
        terms = self.configurations * sum(layer_sizes(self.kernels, self.parameters).values())
        return self._cut(max(_SHARDS, min(terms // _MOST_TERMS, _MOST_SHARDS)))

    def runs(self) -> list[range]:
        return self._cut(-(-self.configurations // self.block))

    def _blocks(self, shard: range) -> Iterator[Floats]:
        for start in range(shard.start, shard.stop, self.block):
            yield self._rows(np.arange(start, min(start + self.block, shard.stop)))

    def _rows(self, numbers: npt.NDArray[np.integer]) -> Floats:
        """The configurations of these numbers; unit 0 is the digit that changes fastest."""
        states = np.asarray(self.domain.states)
        digits = np.empty((len(numbers), self.units), dtype=np.intp)
        for unit in range(self.units):
            numbers, digits[:, unit] = np.divmod(numbers, len(states))
        return states[digits]

    def log_measure(self, rows: Floats) -> Floats:
        """ln of what configurations weigh of themselves, shape (rows,)."""
        if self.domain.even:
            return np.zeros(len(rows))
        total: Floats = np.asarray(self.domain.log_measure)[np.searchsorted(self.domain.states, rows)].sum(axis=1)
        return total

    def _exponents(self, rows: Floats) -> Floats:
        """ln of the summands of Z."""
        logs: Floats = self.log_measure(rows)
        logs -= self.kernels.free_energy(rows, of=self.layer, **self.parameters)
        return logs

    def rows(self, run: range, places: npt.NDArray[np.integer]) -> Floats:
        return self._rows(run.start + places)

    def log_weights(self, run: range) -> Floats:
        return np.concatenate([self._exponents(rows) for rows in self._blocks(run)])

    def __call__(self, shard: range) -> Part:
        top, total, sums = -math.inf, 0.0, dict[str, FloatArray]()
        for rows in self._blocks(shard):
            exponents = self._exponents(rows)
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
                phase = self.kernels.phase(rows, of=self.layer, row_weights=weights, **self.parameters)
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
        layer, with_averages: see `LayerSum`.
        names: of the layer's biases, of the other layer's, and of the weights between them.
        transposed: whether the weights' first axis is the other layer's.
    """

    problem: Problem
    layer: str
    names: tuple[str, str, str]
    transposed: bool
    with_averages: bool = False

    @property
    def configurations(self) -> int:
        return self.problem.configurations

    def _cut(self, n: int) -> list[range]:
        outer = self.problem.layout.outer
        n = max(1, min(n, outer))
        return [range(outer * k // n, outer * (k + 1) // n) for k in range(n)]

    def shards(self) -> list[range]:
        layout = self.problem.layout
        terms = layout.outer * layout.lanes * (int((layout.finish == 0).sum()) + 8)
        # Averages take four times as long.
        most = _MOST_TERMS // 4 if self.with_averages else _MOST_TERMS
        return self._cut(max(min(_SHARDS, terms // _LEAST_TERMS), min(terms // most, _MOST_SHARDS)))

    def runs(self) -> list[range]:
        return self._cut(max(_RUNS, self.problem.layout.outer // _MOST_RUN))

    def _prepared(self) -> Prepared:
        return tables_of(self.problem)

    def rows(self, run: range, places: npt.NDArray[np.integer]) -> Floats:
        inside = len(self.problem.states) ** self.problem.layout.inner
        return self.problem.rows(run.start * inside + places)

    def log_weights(self, run: range) -> Floats:
        from pgm_rbm.exact import product_loops

        layout = self.problem.layout
        inside = len(self.problem.states) ** layout.inner
        mantissas = np.empty((len(run), layout.lanes))
        exponents = np.empty((len(run), layout.lanes), np.int64)
        product_loops.weights(self._prepared().tables, run.start, run.stop, mantissas, exponents)
        logs: Floats = np.log(mantissas[:, :inside]) + exponents[:, :inside] * math.log(2)
        return logs.ravel()

    def __call__(self, shard: range) -> Part:
        from pgm_rbm.exact import product_loops

        tables = self._prepared().tables
        if not self.with_averages:
            exponent, total = product_loops.total(tables, shard.start, shard.stop)
            return Part(int(exponent), float(total))
        negligible = _NEGLIGIBLE + self.configurations.bit_length()
        exponent, total, means, sums, pairs, lane_mass, shares = product_loops.moments(
            tables, shard.start, shard.stop, negligible
        )
        inner, inside = self.problem.layout.inner, int(tables.ends[0])
        pairs = pairs.reshape(len(means), len(sums))
        by_block = tables.lane_states.reshape(inner, -1, LANES)
        means[:inner] = tables.lane_states @ lane_mass
        by_row = shares.reshape(by_block.shape[1], inside, LANES)
        pairs[:inner, :inside] += np.einsum("jbs,brs->jr", by_block, by_row, optimize=True)
        return Part(int(exponent), float(total), {"means": means, "sums": sums, "pairs": pairs})

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
        own_name, other_name, coupling = self.names
        return {own_name: own, other_name: other, coupling: both if self.transposed else np.ascontiguousarray(both.T)}


_PAIRWISE: WeakKeyDictionary[Kernels, bool] = WeakKeyDictionary()


def problem_of(kernels: Kernels, parameters: Parameters, layer: str, with_averages: bool = False) -> ProductSum | None:
    """The enumeration of ``layer`` by products, or None where the energy is not pairwise or a unit's states not finite.

    Args:
        kernels, parameters: the model.
        layer: which layer to enumerate.
        with_averages: whether averages are wanted besides ln Z.
    """
    if kernels not in _PAIRWISE:
        _PAIRWISE[kernels] = all(_agrees(kernels, one) for one in kernels.layers)
    return _problem(kernels, parameters, layer, with_averages) if _PAIRWISE[kernels] else None


def _problem(kernels: Kernels, parameters: Parameters, layer: str, with_averages: bool) -> ProductSum | None:
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
    arrays = lifted({name: parameters[name] for name in names})
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
    made = _problem(kernels, parameters, layer, False)
    if made is None:
        return False
    digits = rng.integers(len(made.problem.states), size=(16, sizes[layer]))
    states = np.asarray(made.problem.states)[digits]
    found = np.asarray(made.problem.log_measure)[digits].sum(axis=1)
    found -= kernels.free_energy(states, of=layer, **parameters)
    return bool(np.allclose(found, made.problem.log_weights(states), rtol=1e-9, atol=1e-9))
