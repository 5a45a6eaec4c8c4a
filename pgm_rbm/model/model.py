"""What any energy gives a model: parameters that belong to its layers, the generated kernels, and checks before
them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import ModelError, NotPairwiseError
from pgm_rbm.exact.enumeration import multilayer
from pgm_rbm.machine.streams import resolve_seed
from pgm_rbm.model.convergence import existence_of
from pgm_rbm.model.draw import draw_layer, layer_key
from pgm_rbm.model.kernels import FloatArray, Kernels, checked_dtype, checked_states, dtype_of
from pgm_rbm.model.layout import Layout
from pgm_rbm.model.layout import States as LayerStates
from pgm_rbm.model.parameters import checked_arrays, first_parameters, symmetric_parameters

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = ["EnergyModel", "States", "checked_count"]

States = npt.ArrayLike | Mapping[str, npt.ArrayLike]
"""An array of shape (rows, units), or several by layer."""


class EnergyModel:
    """Layers, parameters and kernels of one energy. `RBM` is the class to make one of."""

    def _set_up(
        self,
        kernels: Kernels,
        sizes: Mapping[str, int],
        energy: Energy | None,
        seed: int | None,
        dtype: npt.DTypeLike,
        parameters: Mapping[str, npt.ArrayLike] | None = None,
    ) -> None:
        """Take on an energy, None for the pairwise one, and parameters, None for new ones."""
        self._kernels, self._energy = kernels, energy
        self._layout = Layout(kernels, sizes)
        self._symmetric = frozenset() if energy is None else symmetric_parameters(energy)
        self._existence = existence_of(self._layout, energy)
        self._seed = resolve_seed(seed)
        dtype = checked_dtype(dtype)
        if parameters is None:
            self._parameters = first_parameters(self._layout, self._seed, dtype, energy, self._existence)
        else:
            self._parameters = checked_arrays(kernels, sizes, parameters, dtype, self._symmetric)
            self._require_existence()
        self._mask: npt.NDArray[np.bool_] | None = None

    def __getstate__(self) -> dict[str, Any]:
        energy = None
        if self._energy is not None:
            from symbolic.language.as_data import energy_to_data

            energy = energy_to_data(self._energy)
        return {name: value for name, value in vars(self).items() if name != "_existence"} | {"_energy": energy}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self._energy is not None:
            from symbolic.language.as_data import energy_from_data

            self._energy = energy_from_data(state["_energy"])
        self._existence = existence_of(self._layout, self._energy)

    @property
    def n_visible(self) -> int:
        """Visible units, in all visible layers."""
        return sum(self.sizes[layer] for layer in self._kernels.visible)

    @property
    def n_hidden(self) -> int:
        """Hidden units, in all hidden layers."""
        return sum(self.sizes[layer] for layer in self._kernels.hidden)

    @property
    def sizes(self) -> dict[str, int]:
        """The number of units of every layer."""
        return dict(self._layout.sizes)

    @property
    def units(self) -> dict[str, str]:
        """What the units of every layer are."""
        return dict(self._kernels.layers)

    @property
    def visible_units(self) -> str:
        """What the visible units are, if there is one visible layer; `units` has every layer's."""
        return self._only("visible", self._kernels.visible)

    @property
    def hidden_units(self) -> str:
        """What the hidden units are, if there is one hidden layer; `units` has every layer's."""
        return self._only("hidden", self._kernels.hidden)

    def _only(self, side: str, layers: tuple[str, ...]) -> str:
        if len(layers) != 1:
            raise NotPairwiseError(f"the model has {len(layers)} {side} layers. Look them up in rbm.units.")
        return self._kernels.layers[layers[0]]

    @property
    def symbolic_energy(self) -> Energy:
        """The energy as a `symbolic.Energy`."""
        from symbolic import energies

        if self._energy is None:
            return energies.pairwise(visible=self.visible_units, hidden=self.hidden_units)
        return self._energy

    @property
    def is_pairwise(self) -> bool:
        """Whether E(v, h) = −Σ a_i v_i − Σ b_j h_j − Σ v_i w_ij h_j, to which graphs and `from_parameters` belong."""
        return self._energy is None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the parameters and of the states that come out."""
        return dtype_of(self._parameters)

    @property
    def kernels(self) -> Kernels:
        """The generated kernels; ``kernels.source`` is their text."""
        return self._kernels

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """The live arrays by the names the energy gives them: w, a and b for the pairwise one."""
        return dict(self._parameters)

    def set_parameters(self, **arrays: npt.ArrayLike) -> None:
        """Copy new values into the named parameters.

        Raises:
            ModelError: there is no such parameter, or it must be symmetric and is not.
            TypeError, ValueError: an array does not fit.
            DivergentError: the model would have no Z; nothing is changed.
        """
        whole = self._parameters | arrays
        checked = checked_arrays(self._kernels, self._layout.sizes, whole, self.dtype, self._symmetric)
        if self._existence is not None:
            self._existence.require(checked)
        for name in arrays:
            self._parameters[name][...] = checked[name]

    def _require_existence(self) -> None:
        if self._existence is not None:
            self._existence.require(self._parameters)

    @property
    def mask(self) -> npt.NDArray[np.bool_] | None:
        """Which weights exist, shape of ``weights``; None where all do."""
        return None if self._mask is None else self._mask.copy()

    def __repr__(self) -> str:
        if not self.is_pairwise:
            sides = [
                ", ".join(f"{one}: {self.sizes[one]} {self.units[one]}" for one in side)
                for side in (self._kernels.visible, self._kernels.hidden, self._layout.given)
                if side
            ]
            return f"RBM({'; '.join(sides)}; {self.dtype})"
        edges = "" if self._mask is None else f", {int(self._mask.sum())} weights"
        return (
            f"RBM({self.n_visible} visible {self.visible_units}, {self.n_hidden} hidden {self.hidden_units}{edges}, "
            f"{self.dtype})"
        )

    # Formulas ---------------------------------------------------------------------------------------------------

    def energy(self, *states: States, **named: States) -> FloatArray:
        """E of each row, shape (rows,).

        Args:
            states: states of every layer, shape (rows, units): v and h, visible layers first; or a dict by layer.
            named: layers by name.

        Raises:
            TypeError: an array does not hold real numbers, or a layer is missing.
            ValueError: a shape is wrong, or a value is no state of its unit.
        """
        if len(states) == 1 and isinstance(states[0], Mapping):
            named, states = {**states[0], **named}, ()
        layers = self._kernels.layers
        held = {**dict(zip(layers, states, strict=False)), **named}
        if len(states) > len(layers) or set(held) != set(layers) or len(held) != len(states) + len(named):
            raise TypeError(f"energy takes the states of layers {', '.join(layers)}, each once. Got {', '.join(held)}.")
        return self._kernels.energy(**self._states(held, tuple(layers)), **self._parameters)

    def free_energy(self, v: States) -> FloatArray:
        """F(v) = −ln Σ_h e^{−E(v, h)} of each row, all hidden layers summed out; shape (rows,).

        Raises:
            TypeError, ValueError: as `energy`.
            ModelError, EnumerationLimitError: the hidden layers but one have infinitely or too many configurations.
        """
        return multilayer.free_energy(self._kernels, self._parameters, self._data(v, "v", self.dtype))

    def mean(self, layer: str, states: States) -> FloatArray:
        """The mean of every unit of a layer given all others, shape (rows, units).

        Args:
            layer: its name.
            states: of the other layer, or a dict of all other layers.

        Raises:
            ModelError: there is no such layer, or its units are tied together.
            TypeError, ValueError: as `energy`.
        """
        held = self._given_for(layer, states)
        if not self._layout.in_closed_form(f"mean_of_{layer}"):
            raise ModelError(
                f"the energy ties units of layer {layer} together, so their means are not known in closed form. Sample "
                f"them instead."
            )
        return self._kernels.mean(layer, held, **self._parameters)

    def draw(self, layer: str, states: States, seed: int | None = None) -> FloatArray:
        """Random states of a layer given all others, shape (rows, units). Arguments and errors as `mean`.

        Where the energy ties units of the layer together, ``states`` includes the layer itself, and each unit is drawn
        once, one after another, given all others.
        """
        tied = layer in self._kernels.layers and self._layout.tied(layer)
        held = self._states(dict(states), tuple(self.units)) if tied else self._given_for(layer, states)  # type: ignore[arg-type]
        key = layer_key(self._layout, resolve_seed(seed), layer)
        return draw_layer(self._layout, self._parameters, layer, held, key, 0)

    def _require_two_sides(self, question: str) -> None:
        if not self._layout.two_sided:
            raise NotPairwiseError(
                f"{question} is known for one layer on each side, either of which can be summed out. Got {self!r}; "
                f"ask for log_partition, log_probability and expectations instead."
            )

    # What comes in ----------------------------------------------------------------------------------------------

    def _states(self, states: Mapping[str, Any], layers: tuple[str, ...], prefix: str = "") -> LayerStates:
        """States of these layers, checked, with as many rows each."""
        if not isinstance(states, Mapping) or set(states) != set(layers):
            got = ", ".join(map(str, states)) if isinstance(states, Mapping) else type(states).__name__
            raise TypeError(f"states of {', '.join(layers)} are needed, as {{layer: array}}. Got {got}.")
        held = {
            one: checked_states(states[one], f"{prefix}{one}", self.units[one], self.sizes[one], self.dtype)
            for one in layers
        }
        rows = {one: len(value) for one, value in held.items()}
        if len(set(rows.values())) > 1:
            names = " and ".join(f"{prefix}{one}" for one in rows)
            raise ValueError(f"{names} must have as many rows. Got {' and '.join(map(str, rows.values()))}.")
        return held

    def _given_for(self, layer: str, states: States) -> LayerStates:
        if layer not in self._kernels.layers:
            raise ModelError(f"there is no layer {layer!r}; there are: {', '.join(self._kernels.layers)}.")
        others = tuple(one for one in self._kernels.layers if one != layer)
        if not isinstance(states, Mapping) and len(others) == 1:
            states = {others[0]: states}
        return self._states(states, others)  # type: ignore[arg-type]

    def _data(self, x: States, name: str, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        """Data, checked, as one array with the visible layers and the given ones side by side."""
        columns = self._layout.data_columns
        if len(columns) == 1:
            (layer,) = columns
            if isinstance(x, Mapping) and set(x) == {layer}:
                x = x[layer]
            return checked_states(np.asanyarray(x), name, self.units[layer], self.sizes[layer], dtype)
        if not isinstance(x, Mapping):
            wanted = ", ".join(f"{one!r}: array" for one in columns)
            raise TypeError(f"{name} must be a dict {{{wanted}}}, one array a layer. Got {type(x).__name__}.")
        return self._layout.data_array(self._states(x, tuple(columns), f"{name}."))

    def _by_layer(self, x: FloatArray) -> FloatArray | LayerStates:
        """Visible states as they are handed out: an array, or by layer where there are several."""
        return x if len(self._layout.data_columns) == 1 else self._layout.data_states(x)


def checked_count(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}. Got {value!r}.")
