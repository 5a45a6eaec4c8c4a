"""States as people pass them in: checked against a model's layers, and handed out again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import ModelError
from pgm_rbm.model.checks import checked_states
from pgm_rbm.model.kernels import FloatArray
from pgm_rbm.model.layout import States as LayerStates
from pgm_rbm.model.model import Model

__all__ = ["States", "by_layer", "data_rows", "layer_states", "states_around", "states_of_all"]

States = npt.ArrayLike | Mapping[str, npt.ArrayLike]
"""An array of shape (rows, units), or several by layer."""


def layer_states(model: Model, states: States, layers: tuple[str, ...], prefix: str = "") -> LayerStates:
    """Return the states of these layers by layer, checked, with as many rows each.

    Raises:
        TypeError: ``states`` is not a dict of these layers, or an array does not hold real numbers.
        ValueError: a shape is wrong, or a value is not a state of its unit.
    """
    if not isinstance(states, Mapping) or set(states) != set(layers):
        got = ", ".join(map(str, states)) if isinstance(states, Mapping) else type(states).__name__
        raise TypeError(f"states of {', '.join(layers)} are needed, as {{layer: array}}. Got {got}.")
    held = {
        one: checked_states(states[one], f"{prefix}{one}", model.units[one], model.sizes[one], model.dtype)
        for one in layers
    }
    rows = {one: len(value) for one, value in held.items()}
    if len(set(rows.values())) > 1:
        names = " and ".join(f"{prefix}{one}" for one in rows)
        raise ValueError(f"{names} must have as many rows. Got {' and '.join(map(str, rows.values()))}.")
    return held


def states_of_all(model: Model, states: tuple[States, ...], named: Mapping[str, States]) -> LayerStates:
    """Return the states of every layer, from positional arrays in the order of the layers, a dict, or keywords.

    Raises:
        TypeError, ValueError: as `layer_states`, or a layer is missing or given twice.
    """
    if len(states) == 1 and isinstance(states[0], Mapping):
        named, states = {**states[0], **named}, ()
    layers = tuple(model.units)
    held = {**dict(zip(layers, states, strict=False)), **named}
    if len(states) > len(layers) or set(held) != set(layers) or len(held) != len(states) + len(named):
        raise TypeError(f"energy takes the states of layers {', '.join(layers)}, each once. Got {', '.join(held)}.")
    return layer_states(model, held, layers)  # type: ignore[arg-type]


def states_around(model: Model, layer: str, states: States) -> LayerStates:
    """Return the states of all layers but one; where one other layer is left, ``states`` may be its array.

    Raises:
        ModelError: there is no such layer.
        TypeError, ValueError: as `layer_states`.
    """
    if layer not in model.units:
        raise ModelError(f"there is no layer {layer!r}; there are: {', '.join(model.units)}.")
    others = tuple(one for one in model.units if one != layer)
    if not isinstance(states, Mapping) and len(others) == 1:
        states = {others[0]: states}
    return layer_states(model, states, others)


def data_rows(model: Model, x: States, name: str, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    """Return data, checked, as one array with the visible layers and the given ones side by side.

    Args:
        model: the model that they are data of.
        x: an array for one layer; for several, a dict of arrays by layer.
        name: of the argument, for messages.
        dtype: of the result; by default that of an array, so that large data keep a small dtype.

    Raises:
        TypeError, ValueError: as `layer_states`.
    """
    columns = model.layout.data_columns
    if len(columns) == 1:
        (layer,) = columns
        if isinstance(x, Mapping) and set(x) == {layer}:
            x = x[layer]
        return checked_states(np.asanyarray(x), name, model.units[layer], model.sizes[layer], dtype)
    if not isinstance(x, Mapping):
        wanted = ", ".join(f"{one!r}: array" for one in columns)
        raise TypeError(f"{name} must be a dict {{{wanted}}}, one array per layer. Got {type(x).__name__}.")
    return model.layout.data_array(layer_states(model, x, tuple(columns), f"{name}."))


def by_layer(model: Model, x: FloatArray) -> FloatArray | LayerStates:
    """Return visible states as they are handed out: an array, or by layer where there are several."""
    return x if len(model.layout.data_columns) == 1 else model.layout.data_states(x)
