"""The generated functions of one energy behind one object that checks what it is given."""

from __future__ import annotations

import inspect
import pickle
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symbolic.codegen import cache

__all__ = ["Kernels"]

Array = npt.NDArray[Any]
_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


class Kernels:
    """Generated functions of an energy.

    All arrays of one call are C-contiguous and share one dtype, float32 or float64. States hold one
    configuration a row, as floats. Parameters are passed by name, every one of them in every call. Nothing is
    computed from anything but the arguments: a draw depends on its key, on ``first_row`` plus its row, and on
    its unit.

    Attributes:
        target: ``"numba"`` or ``"numpy"``.
        source: the generated module's text.
        path: of its file, which a person can open and read.
        layers: unit by layer, visible layers first.
        visible, hidden: names of the layers.
        parameters: for each parameter the layers of its axes.

    Raises:
        TypeError: an argument is not an array, or not of the common dtype.
        ValueError: a parameter is missing or unknown, or an array has the wrong shape or is not contiguous; or there is
            no such function, since the energy ties units of a layer together.
    """

    def __init__(self, module: types.ModuleType, path: Path, source: str):
        self._module = module
        self.path = path
        self.source = source
        self.target: str = module.TARGET
        self.layers: dict[str, str] = dict(module.LAYERS)
        self.visible: tuple[str, ...] = module.VISIBLE
        self.hidden: tuple[str, ...] = module.HIDDEN
        self.parameters: dict[str, tuple[str, ...]] = dict(module.PARAMETERS)
        self._refused: dict[str, str] = getattr(module, "REFUSED", {})
        self._arguments: dict[str, tuple[str, ...]] = {}

    def __repr__(self) -> str:
        layers = ", ".join(f"{name}: {unit}" for name, unit in self.layers.items())
        parameters = ", ".join(f"{name}[{', '.join(axes)}]" for name, axes in self.parameters.items())
        return f"Kernels(target={self.target!r}, layers: {layers}; parameters: {parameters}; {self.path})"

    def __reduce__(self) -> tuple[Any, ...]:
        from symbolic.codegen.build import kernels_from_source

        return kernels_from_source, (self.path.stem.rpartition("_")[0], self.source)

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
            raise TypeError(f"energy takes the states of layers {', '.join(self.layers)}. Got {len(states)} arrays.")
        for name in list(parameters):
            if name in self.layers:
                given[name] = parameters.pop(name)
        return self._call("energy", given, tuple(self.layers), parameters)

    def free_energy(
        self, x: Array | Mapping[str, Array], of: str | Sequence[str] | None = None, **parameters: Array
    ) -> Array:
        """F of each row: −ln Σ e^−E over the one layer that is not given.

        Args:
            x: states of the layer that is given, shape (rows, units); for several layers a dictionary of them.
            of: the layer (or layers) given; by default the visible ones.
            parameters: every parameter, by name.

        Returns:
            shape (rows,).
        """
        kept = self._kept(of)
        return self._call(f"free_energy_of_{'_'.join(kept)}", x, kept, parameters)

    def mean(self, layer: str, x: Array | Mapping[str, Array], **parameters: Array) -> Array:
        """The mean of every unit of ``layer`` given all other layers.

        Args:
            layer: whose units are averaged.
            x: states of the other layer, shape (rows, units); a dictionary if there are several.
            parameters: every parameter, by name.

        Returns:
            shape (rows, units of the layer).
        """
        given = self._others(layer)
        return self._call(f"mean_of_{layer}", x, given, parameters)

    def sample(
        self,
        layer: str,
        x: Array | Mapping[str, Array],
        rng: np.random.Generator | int,
        first_row: int = 0,
        **parameters: Array,
    ) -> Array:
        """Random states of ``layer`` given all other layers.

        Args:
            layer: whose units are drawn.
            x: states of the other layer, shape (rows, units); a dictionary if there are several.
            rng: a generator, from which one 64-bit key is taken, or such a key.
            first_row: the number of row 0. Rows drawn in several calls under one key, each with its own number, are
                what one call would have drawn.
            parameters: every parameter, by name.

        Returns:
            shape (rows, units of the layer), the unit's states as floats.
        """
        given = self._others(layer)
        return self._call(f"sample_of_{layer}", x, given, parameters, key=_key(rng), first_row=first_row)

    def phase(
        self,
        x: Array | Mapping[str, Array],
        of: str | Sequence[str] | None = None,
        row_weights: Array | None = None,
        **parameters: Array,
    ) -> dict[str, Array]:
        """Σ_t row_weights[t] ⟨−∂E/∂θ⟩ given row t, for every parameter θ, the layer that is not given averaged exactly.

        Args:
            x: states of the layer that is given, shape (rows, units); for several layers a dictionary of them.
            of: the layer (or layers) given; by default the visible ones.
            row_weights: shape (rows,); 1 each by default.
            parameters: every parameter, by name.

        Returns:
            by parameter, an array of its shape.
        """
        kept = self._kept(of)
        result = self._call(f"phase_of_{'_'.join(kept)}", x, kept, parameters, row_weights=row_weights)
        return _arrays(result)

    def phase_and_sample(
        self,
        x: Array | Mapping[str, Array],
        rng: np.random.Generator | int,
        of: str | Sequence[str] | None = None,
        first_row: int = 0,
        row_weights: Array | None = None,
        **parameters: Array,
    ) -> tuple[dict[str, Array], Array]:
        """:meth:`phase` and :meth:`sample` of the layer that is not given, from one computation of its field."""
        kept = self._kept(of)
        name = f"phase_and_sample_of_{'_'.join(kept)}"
        more = {"key": _key(rng), "first_row": first_row, "row_weights": row_weights}
        phase, states = self._call(name, x, kept, parameters, **more)
        return _arrays(phase), states

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
            raise ValueError(f"there is no parameter {parameter!r}; there are: {', '.join(self.parameters)}.")
        terms = []
        for name, rows in (("v", v), ("v_model", v_model)):
            one = next(iter(rows.values())) if isinstance(rows, Mapping) else rows
            if not isinstance(one, np.ndarray) or one.ndim != 2 or len(one) == 0:
                raise ValueError(f"{name} must be an array of shape (rows, units) with at least one row.")
            weights = np.full(len(one), 1 / len(one), one.dtype)
            terms.append(self.phase(rows, None, weights, **parameters)[parameter])
        return np.subtract(*terms)

    def log_partition(self, **parameters: Array) -> float:
        """ln Z, by enumerating configurations; for small models only.

        Raises:
            ValueError: there are too many configurations; the message says how many and what to do.
        """
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
        self._check(states, parameters)
        rows = len(next(iter(states.values()))) if states else 0
        if "first_row" in more:
            more["first_row"] = _row_number(more["first_row"], rows)
        if "row_weights" in more:
            dtype = next(iter(states.values())).dtype
            more["row_weights"] = _weights(more["row_weights"], rows, dtype)
        available = {**states, **parameters, **more}
        arguments = [available[argument] for argument in self._arguments[name]]
        try:
            return function(*arguments)
        except (pickle.UnpicklingError, EOFError):
            # Numba reads its machine code from disk without looking whether all of it is there.
            self._module = cache.load_afresh(self.path)
            return self._function(name)(*arguments)

    def _function(self, name: str) -> Any:
        function = getattr(self._module, name, None)
        if function is None:
            reason = self._refused.get(name, "the energy does not determine it")
            raise ValueError(f"there is no kernel {name}: {reason}")
        if name not in self._arguments:
            self._arguments[name] = tuple(inspect.signature(function).parameters)
        return function

    def _kept(self, of: str | Sequence[str] | None) -> tuple[str, ...]:
        kept = self.visible if of is None else (of,) if isinstance(of, str) else tuple(of)
        unknown = [name for name in kept if name not in self.layers]
        if unknown:
            raise ValueError(f"of names the layers given, out of {', '.join(self.layers)}. Got {unknown[0]!r}.")
        if len(kept) != len(self.layers) - 1:
            names = ", ".join(self.layers)
            raise ValueError(f"of names all layers but the one summed out, of {names}. Got {', '.join(kept)}.")
        return tuple(name for name in self.layers if name in kept)

    def _others(self, layer: str) -> tuple[str, ...]:
        if layer not in self.layers:
            raise ValueError(f"there is no layer {layer!r}; there are: {', '.join(self.layers)}.")
        return tuple(name for name in self.layers if name != layer)

    def _states(self, x: Array | Mapping[str, Array], layers: tuple[str, ...]) -> dict[str, Array]:
        states = dict(x) if isinstance(x, Mapping) else dict.fromkeys(layers[:1], x)
        if set(states) != set(layers):
            raise ValueError(
                f"states of {', '.join(layers)} are needed, as {{layer: array}}. Got {', '.join(states) or 'none'}."
            )
        return {name: states[name] for name in layers}

    def _check(self, states: dict[str, Array], parameters: dict[str, Array]) -> None:
        if parameters.keys() != self.parameters.keys():
            self._report_names(parameters)
        arrays = {**states, **parameters}
        first = next(iter(arrays.values()), None)
        dtype = getattr(first, "dtype", None)
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):
                raise TypeError(
                    f"{name} must be a NumPy array. Got {type(array).__name__}; use np.asarray({name}, np.float64)."
                )
            if array.dtype not in _DTYPES:
                raise TypeError(
                    f"{name} must hold float32 or float64. Got {array.dtype}; use {name}.astype(np.float64)."
                )
            if array.dtype != dtype:
                other = next(iter(arrays))
                raise TypeError(
                    f"all arrays of a call share one dtype, but {other} is {dtype} and {name} is {array.dtype}. "
                    f"Convert one: {name}.astype(np.{dtype})."
                )
            if not array.flags.c_contiguous:
                raise ValueError(
                    f"{name} must be C-contiguous. Got strides {array.strides} for shape {array.shape}; use "
                    f"np.ascontiguousarray({name})."
                )
        sizes: dict[str, int] = {}
        for name, layers in self.parameters.items():
            self._check_shape(name, parameters[name], layers, sizes)
        rows: int | None = None
        for name, array in states.items():
            if array.ndim != 2 or array.shape[1] != sizes.get(name, array.shape[1]):
                hint = f"; use {name}[None, :] for one configuration" if array.ndim == 1 else ""
                raise ValueError(
                    f"{name} must have shape (rows, {sizes.get(name, 'n_' + name)}){hint}. Got {array.shape}."
                )
            rows = len(array) if rows is None else rows
            if len(array) != rows:
                raise ValueError(f"{name} must have as many rows as {next(iter(states))}, {rows}. Got {len(array)}.")

    def _check_shape(self, name: str, array: Array, layers: tuple[str, ...], sizes: dict[str, int]) -> None:
        wanted = f"({', '.join(f'n_{layer}' for layer in layers)}{',' if len(layers) == 1 else ''})"
        if array.ndim != len(layers):
            raise ValueError(f"{name} must have {len(layers)} axes, {wanted}. Got shape {array.shape}.")
        for layer, size in zip(layers, array.shape, strict=True):
            if sizes.setdefault(layer, size) != size:
                raise ValueError(
                    f"{name} must have shape {wanted}, and n_{layer} is {sizes[layer]} by another parameter. "
                    f"Got shape {array.shape}."
                )

    def _report_names(self, parameters: dict[str, Array]) -> None:
        for name in parameters:
            if name not in self.parameters:
                raise ValueError(
                    f"there is no parameter {name!r}; this energy has: {', '.join(self.parameters) or 'none'}."
                )
        missing = next(name for name in self.parameters if name not in parameters)
        axes = ", ".join(f"n_{layer}" for layer in self.parameters[missing])
        raise ValueError(f"parameter {missing} is missing: pass {missing}=…, an array of shape ({axes}).")


def _arrays(phase: dict[str, Any]) -> dict[str, Array]:
    """The sum over rows for a parameter that is a single number comes as a NumPy scalar."""
    return {name: np.asarray(value) for name, value in phase.items()}


def _key(rng: np.random.Generator | int) -> int:
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(0, 2**64, dtype=np.uint64))
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        if not 0 <= rng < 2**64:
            raise ValueError(f"rng as a key must lie between 0 and 2**64 - 1. Got {rng}.")
        return int(rng)
    raise TypeError(f"rng must be a numpy.random.Generator or a 64-bit key. Got {type(rng).__name__}.")


def _row_number(first_row: int, rows: int) -> int:
    if isinstance(first_row, bool) or not isinstance(first_row, (int, np.integer)):
        raise TypeError(f"first_row must be a whole number. Got {first_row!r}.")
    if not 0 <= first_row <= 2**64 - 1 - rows:
        raise ValueError(f"first_row must lie between 0 and 2**64 - 1 - {rows}. Got {first_row}.")
    return int(first_row)


def _weights(row_weights: Array | None, rows: int, dtype: np.dtype[Any]) -> Array:
    if row_weights is None:
        return np.ones(rows, dtype)
    if not isinstance(row_weights, np.ndarray) or row_weights.dtype != dtype:
        got = getattr(row_weights, "dtype", type(row_weights).__name__)
        raise TypeError(f"row_weights must be an array of dtype {dtype}, like the states. Got {got}.")
    if row_weights.shape != (rows,):
        raise ValueError(f"row_weights must have shape ({rows},), one a row. Got {row_weights.shape}.")
    return np.ascontiguousarray(row_weights)
