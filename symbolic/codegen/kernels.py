"""The generated functions of one energy behind one object that checks what it is given."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from symbolic.codegen import cache
from symbolic.codegen.arrays import ForeignArrays, NumpyArrays
from symbolic.codegen.shapes import Shapes
from symbolic.errors import ArgumentError, NotSeparableError

__all__ = ["Kernels", "kernels_from_source"]

Array = npt.NDArray[Any]


# Rows that an enumeration is carried out for at a time: each makes an array over all configurations of a block.
_ROWS_ENUMERATED = 4


def _is_damage(error: BaseException) -> bool:
    """Whether an exception comes out of Numba's reading of its own files, where cut-off or foreign bytes end up."""
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__") == "numba.core.caching":
            return True
        traceback = traceback.tb_next
    return False


def _with_sizes(label: str, source: str, sizes: dict[str, int]) -> Kernels:
    return kernels_from_source(label, source).sized(**sizes)


class Kernels:
    """Generated functions of an energy.

    All arrays of one call are C-contiguous and share one dtype, float32 or float64. States hold one
    configuration a row, as floats. Parameters are passed by name, every one of them in every call. Nothing is
    computed from anything but the arguments: a draw depends on its key, on ``first_row`` plus its row, and on
    its unit.

    The target ``"array-api"`` takes and returns arrays of any one library that follows the array API standard, in any
    layout, all on one device. There ``rng`` may also be an array of uniform numbers of the states' shape; made from a
    key, they are those of the other targets, moved to the states' device.

    States of units that are vectors lie side by side: unit i of a layer of Heisenberg units has columns 3i, 3i + 1 and
    3i + 2, in the arrays passed and in those returned.

    Attributes:
        target: ``"numba"``, ``"numpy"`` or ``"array-api"``.
        source: the generated module's text.
        path: of its file, which a person can open and read.
        layers: unit by layer, visible layers first, those that are given last.
        visible, hidden, given: names of the layers. Those given are clamped in every call: their states are passed with
            the others', and nothing sums over them or draws them.
        parameters: for each parameter the layers of its axes.
        methods: for each function how its sums are done: ``"closed form"``, ``"single-site"`` (one unit given all
            others) or ``"enumeration"``.
        sizes: numbers of units of layers, where they were said by :meth:`sized`.
        least: for layers of which the energy names single units, such as v[5], how many units that takes.

    Raises:
        ArgumentError: a parameter is missing or unknown; there is no such layer; an argument is not an array, or not of
            the common dtype, or has the wrong shape or is not contiguous.
        NotSeparableError: there is no such function, and the message says why, such as that the energy ties units of a
            layer together.
        DivergentError: a unit's weights have no finite sum with these parameters (a precision or a rate is not
            positive), so the model does not exist.
    """

    def __init__(self, module: types.ModuleType, path: Path, source: str):
        self._module = module
        self.path = path
        self.source = source
        self.target: str = module.TARGET
        self.layers: dict[str, str] = dict(module.LAYERS)
        self.visible: tuple[str, ...] = module.VISIBLE
        self.hidden: tuple[str, ...] = module.HIDDEN
        self.given: tuple[str, ...] = getattr(module, "GIVEN", ())
        self.least: dict[str, int] = getattr(module, "LEAST", {})
        self.parameters: dict[str, tuple[str, ...]] = dict(module.PARAMETERS)
        self._refused: dict[str, str] = getattr(module, "REFUSED", {})
        methods: dict[str, str] = getattr(module, "METHODS", {})
        summing = ("free_energy_of_", "mean_of_", "sample_of_", "phase_of_", "phase_and_sample_of_", "log_partition")
        self.methods = {name: methods.get(name, "closed form") for name in vars(module) if name.startswith(summing)}
        self._arguments: dict[str, tuple[str, ...]] = {}
        self.sizes: dict[str, int] = {}
        self._arrays: NumpyArrays | ForeignArrays = ForeignArrays() if self.target == "array-api" else NumpyArrays()
        self._shapes = Shapes(self.layers, self.parameters, self.least, self._arrays)

    def __repr__(self) -> str:
        layers = ", ".join(f"{name}: {unit}" for name, unit in self.layers.items())
        parameters = ", ".join(f"{name}[{', '.join(axes)}]" for name, axes in self.parameters.items())
        return f"Kernels(target={self.target!r}, layers: {layers}; parameters: {parameters}; {self.path})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _with_sizes, (self.path.stem.rpartition("_")[0], self.source, self.sizes)

    def sized(self, **sizes: int) -> Kernels:
        """Return these kernels for layers of given sizes, which are needed where no parameter's axis tells them.

        Args:
            sizes: by layer, the number of its units.

        Raises:
            ArgumentError: there is no such layer, or the number is no whole one from 1.
        """
        for layer, size in sizes.items():
            if layer not in self.layers:
                raise ArgumentError(f"there is no layer {layer!r}; there are: {', '.join(self.layers)}.")
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
                raise ArgumentError(f"the number of units of layer {layer} is a whole number from 1. Got {size!r}.")
        if not sizes:
            return self
        other = Kernels(self._module, self.path, self.source)
        other.sizes = self.sizes | {layer: int(size) for layer, size in sizes.items()}
        return other

    def energy(self, *states: Array, **parameters: Array) -> Array:
        """E of each row.

        Args:
            states: one array of shape (rows, units) for each layer, in the order of ``layers`` (or by name).
            parameters: every parameter, by name.

        Returns:
            shape (rows,).
        """
        given = dict(zip(self.layers, states, strict=False))
        if len(states) > len(self.layers):
            raise ArgumentError(
                f"energy takes the states of layers {', '.join(self.layers)}. Got {len(states)} arrays."
            )
        for name in list(parameters):
            if name in self.layers:
                given[name] = parameters.pop(name)
        return self._call("energy", given, tuple(self.layers), parameters)

    def free_energy(
        self, x: Array | Mapping[str, Array], of: str | Sequence[str] | None = None, **parameters: Array
    ) -> Array:
        """F of each row: −ln Σ e^−E over all layers that are not kept.

        Args:
            x: states of the layer that is kept, shape (rows, units); for several layers a dictionary of them.
            of: the layer (or layers) kept; by default the visible ones.
            parameters: every parameter, by name.

        Returns:
            shape (rows,).
        """
        kept = self._kept("free_energy_of", of)
        name = f"free_energy_of_{'_'.join(kept)}"
        if self.methods.get(name) == "enumeration":
            return self._row_by_row(name, x, (*kept, *self.given), parameters)
        return self._call(name, x, (*kept, *self.given), parameters)

    def mean(self, layer: str, x: Array | Mapping[str, Array], **parameters: Array) -> Array:
        """The mean of every unit of ``layer`` given all other layers, and where they are not independent, given all
        other units of the layer too (``methods`` says which).

        Args:
            layer: whose units are averaged.
            x: states of the other layer, shape (rows, units); a dictionary if there are several. It holds the layer's
                own states too where its units are not independent.
            parameters: every parameter, by name.

        Returns:
            shape (rows, units of the layer).
        """
        mean = self._call(f"mean_of_{layer}", x, self._needed(f"mean_of_{layer}", layer), parameters)
        return self._side_by_side(layer, mean)

    def sample(
        self,
        layer: str,
        x: Array | Mapping[str, Array],
        rng: np.random.Generator | int,
        first_row: int = 0,
        **parameters: Array,
    ) -> Array:
        """Random states of ``layer`` given all other layers.

        Where its units are not independent they are drawn one after the other, each given all others as they are by
        then: one sweep of Gibbs sampling over the layer, from the states in ``x``.

        Args:
            layer: whose units are drawn.
            x: states of the other layer, shape (rows, units); a dictionary if there are several. It holds the layer's
                own states too where its units are not independent.
            rng: a generator, from which one 64-bit key is taken, or such a key.
            first_row: the number of row 0. Rows drawn in several calls under one key, each with its own number, are
                what one call would have drawn.
            parameters: every parameter, by name.

        Returns:
            shape (rows, units of the layer), the unit's states as floats.
        """
        given = self._needed(f"sample_of_{layer}", layer)
        states = self._call(f"sample_of_{layer}", x, given, parameters, drawn=layer, rng=rng, first_row=first_row)
        return self._side_by_side(layer, states)

    def phase(
        self,
        x: Array | Mapping[str, Array],
        of: str | Sequence[str] | None = None,
        row_weights: Array | None = None,
        **parameters: Array,
    ) -> dict[str, Array]:
        """Σ_t row_weights[t] ⟨−∂E/∂θ⟩ given row t, for every parameter θ, all layers not kept averaged exactly.

        Args:
            x: states of the layer that is kept, shape (rows, units); for several layers a dictionary of them.
            of: the layer (or layers) kept; by default the visible ones.
            row_weights: shape (rows,); 1 each by default.
            parameters: every parameter, by name.

        Returns:
            by parameter, an array of its shape.
        """
        kept = self._kept("phase_of", of)
        given = (*kept, *self.given)
        result = self._call(f"phase_of_{'_'.join(kept)}", x, given, parameters, row_weights=row_weights)
        return self._phases(result)

    def phase_and_sample(
        self,
        x: Array | Mapping[str, Array],
        rng: np.random.Generator | int,
        of: str | Sequence[str] | None = None,
        first_row: int = 0,
        row_weights: Array | None = None,
        **parameters: Array,
    ) -> tuple[dict[str, Array], Array]:
        """:meth:`phase` and :meth:`sample` of the one layer that is not kept, from one computation of its field."""
        kept = self._kept("phase_and_sample_of", of)
        name = f"phase_and_sample_of_{'_'.join(kept)}"
        drawn = next(layer for layer in self.layers if layer not in (*kept, *self.given))
        more = {"drawn": drawn, "rng": rng, "first_row": first_row, "row_weights": row_weights}
        found = self._call(name, x, (*kept, *self.given), parameters, **more)
        phase, states = found if self.parameters else ({}, found)
        return self._phases(phase), self._side_by_side(drawn, states)

    def gradient(
        self,
        parameter: str,
        v: Array | Mapping[str, Array],
        v_model: Array | Mapping[str, Array],
        **parameters: Array,
    ) -> Array:
        """Term A − Term B for one parameter: the mean phase over rows of data minus that over samples of the model.

        Args:
            parameter: its name.
            v: data, shape (rows, units).
            v_model: samples of the model, with any number of rows.
            parameters: every parameter, by name.

        Returns:
            an array of the parameter's shape.
        """
        if parameter not in self.parameters:
            raise ArgumentError(f"there is no parameter {parameter!r}; there are: {', '.join(self.parameters)}.")
        terms = []
        for name, rows in (("v", v), ("v_model", v_model)):
            one = next(iter(rows.values())) if isinstance(rows, Mapping) else rows
            shape: tuple[int, ...] = getattr(one, "shape", ())
            if len(shape) != 2 or shape[0] == 0:
                raise ArgumentError(f"{name} must be an array of shape (rows, units) with at least one row.")
            self._arrays.check({name: one})
            weights = self._arrays.filled(shape[0], 1 / shape[0], one)
            terms.append(self.phase(rows, None, weights, **parameters)[parameter])
        difference: Array = terms[0] - terms[1]
        return difference

    @overload
    def log_partition(self, x: None = None, **parameters: Array) -> float: ...

    @overload
    def log_partition(self, x: Array | Mapping[str, Array], **parameters: Array) -> Array: ...

    def log_partition(self, x: Array | Mapping[str, Array] | None = None, **parameters: Array) -> float | Array:
        """ln Z, with as many layers in closed form as can be, by enumerating the others; for small models only.

        Args:
            x: states of the layers that are given, for a conditional model.
            parameters: every parameter, by name.

        Returns:
            a number; for a conditional model one per row, shape (rows,).

        Raises:
            ValueError: there are too many configurations, or no list of them; the message says what to do.
        """
        if self.given:
            return self._row_by_row("log_partition", {} if x is None else x, self.given, parameters)
        if x is not None:
            raise ArgumentError("log_partition takes parameters alone: the model has no layers that are given.")
        return float(self._call("log_partition", {}, (), parameters))

    # What stands in front of every call.

    def _call(
        self,
        name: str,
        x: Array | Mapping[str, Array],
        layers: tuple[str, ...],
        parameters: dict[str, Array],
        **more: Any,
    ) -> Any:
        function = self._function(name)
        states = self._states(x, layers)
        sizes = self._shapes.checked(states, parameters, self.sizes)
        one = next(iter(states.values()), None)
        rows = 0 if one is None else one.shape[0]
        if "drawn" in more:
            units = sizes.get(more.pop("drawn"), 0)
            way = ("fine_" if "fine_uniform" in self._arguments[name] else "", self.methods[name] == "single-site")
            more |= self._arrays.bits(more.pop("rng"), more.pop("first_row"), rows, units, one, *way)
        if "row_weights" in more:
            given = more["row_weights"]
            more["row_weights"] = (
                self._arrays.filled(rows, 1, one) if given is None else self._arrays.weights(given, rows, one)
            )
        for layer, array in states.items():
            if self._shapes.dimensions[layer] > 1:
                states[layer] = self._arrays.reshaped(
                    array, (rows, array.shape[1] // self._shapes.dimensions[layer], -1)
                )
        available = {**states, **parameters, **more, **{f"n_{layer}": size for layer, size in sizes.items()}}
        unsaid = [argument for argument in self._arguments[name] if argument not in available]
        if unsaid:
            layer = unsaid[0].removeprefix("n_")
            raise ArgumentError(
                f"no array of this call tells how many units layer {layer} has; say it by sized({layer}=...), which "
                "gives kernels for that many."
            )
        arguments = [available[argument] for argument in self._arguments[name]]
        try:
            return function(*arguments)
        except Exception as error:
            if not _is_damage(error):
                raise
            # Numba unpickles its machine code from disk without looking whether all of it is there and is its own.
            self._module = cache.load_afresh(self.path)
            return self._function(name)(*arguments)

    def _side_by_side(self, layer: str, array: Array) -> Array:
        """Vectors in one row for each configuration."""
        if self._shapes.dimensions[layer] == 1:
            return array
        return self._arrays.reshaped(array, (array.shape[0], array.shape[1] * array.shape[2]))

    def _function(self, name: str) -> Any:
        function = getattr(self._module, name, None)
        if function is None:
            reason = self._refused.get(name, "the energy does not determine it")
            raise NotSeparableError(f"there is no kernel {name}: {reason}")
        if name not in self._arguments:
            self._arguments[name] = tuple(inspect.signature(function).parameters)
        return function

    def _row_by_row(
        self, name: str, x: Array | Mapping[str, Array], layers: tuple[str, ...], parameters: dict[str, Array]
    ) -> Array:
        """What enumerates configurations for every row, for a few rows at a time."""
        states = self._states(x, layers)
        self._shapes.checked(states, parameters, self.sizes)
        rows = len(next(iter(states.values())))
        if rows <= _ROWS_ENUMERATED:
            return self._call(name, states, layers, parameters)
        parts = [
            self._call(name, {key: s[row : row + _ROWS_ENUMERATED, :] for key, s in states.items()}, layers, parameters)
            for row in range(0, rows, _ROWS_ENUMERATED)
        ]
        return self._arrays.joined(parts)

    def _kept(self, what: str, of: str | Sequence[str] | None) -> tuple[str, ...]:
        named = self.visible if of is None else (of,) if isinstance(of, str) else tuple(of)
        summable = self.visible + self.hidden
        unknown = [name for name in named if name not in summable]
        if unknown:
            raise ArgumentError(f"of names the layers kept, out of {', '.join(summable)}. Got {unknown[0]!r}.")
        kept = tuple(name for name in summable if name in named)
        name = f"{what}_{'_'.join(kept)}"
        if name not in self.methods and name not in self._refused:
            others = [n.removeprefix(f"{what}_") for n in self.methods if n.startswith(f"{what}_")]
            raise ArgumentError(
                f"of names layers given which all others can be summed out, one of: {'; '.join(others) or 'none'}. Got "
                f"{', '.join(kept)}."
            )
        return kept

    def _needed(self, name: str, layer: str) -> tuple[str, ...]:
        """The layers whose states are passed for ``layer``: all others, and its own where single units are meant."""
        if layer not in self.layers:
            raise ArgumentError(f"there is no layer {layer!r}; there are: {', '.join(self.layers)}.")
        if layer in self.given:
            raise ArgumentError(f"layer {layer} is given; its units have no distribution in this model.")
        alone = len(self.layers) == 1
        return tuple(n for n in self.layers if n != layer or alone or self.methods.get(name) == "single-site")

    def _states(self, x: Array | Mapping[str, Array], layers: tuple[str, ...]) -> dict[str, Array]:
        states = dict(x) if isinstance(x, Mapping) else dict.fromkeys(layers[:1], x)
        if set(states) != set(layers):
            raise ArgumentError(
                f"states of {', '.join(layers)} are needed, as {{layer: array}}. Got {', '.join(states) or 'none'}."
            )
        return {name: states[name] for name in layers}

    def _phases(self, phase: dict[str, Any] | None) -> dict[str, Array]:
        # The functions of an energy without parameters return no phase at all.
        return {name: self._arrays.result(value) for name, value in (phase or {}).items()}


def kernels_from_source(label: str, source: str) -> Kernels:
    """Return the kernels in a generated module's source, kept in the cache under a name that begins with ``label``."""
    path = cache.keep(label, source)
    return Kernels(cache.load(path), path, source)
