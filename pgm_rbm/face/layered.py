"""A model's layers, parameters and formulas, and samples of it, as a person meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import NotPairwiseError
from pgm_rbm.exact.enumeration import multilayer
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.progress import Progress
from pgm_rbm.machine.quantities import require_whole
from pgm_rbm.machine.streams import resolve_seed
from pgm_rbm.model import formulas, making
from pgm_rbm.model.kernels import FloatArray, Kernels
from pgm_rbm.model.model import Model
from pgm_rbm.model.states import States, by_layer, data_rows
from pgm_rbm.sampling import gibbs
from pgm_rbm.sampling.gibbs import Chains, Given

if TYPE_CHECKING:
    from symbolic import Energy

__all__ = ["Layered"]


class Layered:
    """What has a model: its layers, its parameters and its formulas."""

    _model: Model

    @property
    def model(self) -> Model:
        """What the functions of `exact`, `sampling` and `learning` take; its arrays are this model's own."""
        return self._model

    # Layers and parameters

    @property
    def n_visible(self) -> int:
        """Visible units, in all visible layers."""
        return sum(self.sizes[layer] for layer in self.kernels.visible)

    @property
    def n_hidden(self) -> int:
        """Hidden units, in all hidden layers."""
        return sum(self.sizes[layer] for layer in self.kernels.hidden)

    @property
    def sizes(self) -> dict[str, int]:
        """The number of units of every layer."""
        return dict(self._model.sizes)

    @property
    def units(self) -> dict[str, str]:
        """What the units of every layer are."""
        return dict(self._model.units)

    @property
    def visible_units(self) -> str:
        """What the visible units are, if there is one visible layer; `units` has every layer's."""
        return self._model.units[self._only("visible", self.kernels.visible)]

    @property
    def hidden_units(self) -> str:
        """What the hidden units are, if there is one hidden layer; `units` has every layer's."""
        return self._model.units[self._only("hidden", self.kernels.hidden)]

    @staticmethod
    def _only(side: str, layers: tuple[str, ...]) -> str:
        if len(layers) != 1:
            raise NotPairwiseError(f"the model has {len(layers)} {side} layers. Look them up in rbm.units.")
        return layers[0]

    @property
    def symbolic_energy(self) -> Energy:
        """The energy as a `symbolic.Energy`."""
        from pgm_rbm.model.of_energy import symbolic_energy

        return symbolic_energy(self._model)

    @property
    def is_pairwise(self) -> bool:
        """Whether E(v, h) = −Σ a_i v_i − Σ b_j h_j − Σ v_i w_ij h_j, to which graphs and `from_parameters` belong."""
        return self._model.is_pairwise

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the parameters and of the states that come out."""
        return self._model.dtype

    @property
    def kernels(self) -> Kernels:
        """The generated kernels; ``kernels.source`` is their text."""
        return self._model.kernels

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """The live arrays by the names the energy gives them: w, a and b for the pairwise one."""
        return dict(self._model.parameters)

    def set_parameters(self, **arrays: npt.ArrayLike) -> None:
        """Copy new values into the named parameters.

        Raises:
            ModelError: there is no such parameter, or it must be symmetric and is not.
            TypeError, ValueError: an array does not fit.
            DivergentError: the model would have no Z; nothing is changed.
        """
        making.assign(self._model, arrays)

    def _named(self, attribute: str) -> FloatArray:
        return self._model.parameters[making.named(self._model, attribute)]

    def _assign(self, attribute: str, value: npt.ArrayLike) -> None:
        making.assign_one(self._model, attribute, making.named(self._model, attribute), value)

    @property
    def weights(self) -> FloatArray:
        """w, shape (n_visible, n_hidden). The array is live; assigning copies into it."""
        return self._named("weights")

    @weights.setter
    def weights(self, value: npt.ArrayLike) -> None:
        self._assign("weights", value)

    @property
    def visible_bias(self) -> FloatArray:
        """a, shape (n_visible,). The array is live; assigning copies into it."""
        return self._named("visible_bias")

    @visible_bias.setter
    def visible_bias(self, value: npt.ArrayLike) -> None:
        self._assign("visible_bias", value)

    @property
    def hidden_bias(self) -> FloatArray:
        """b, shape (n_hidden,). The array is live; assigning copies into it."""
        return self._named("hidden_bias")

    @hidden_bias.setter
    def hidden_bias(self, value: npt.ArrayLike) -> None:
        self._assign("hidden_bias", value)

    @property
    def mask(self) -> npt.NDArray[np.bool_] | None:
        """Which weights exist, shape of ``weights``; None where all do."""
        return None if self._model.mask is None else self._model.mask.copy()

    def __repr__(self) -> str:
        return str(self._model)

    # Formulas

    def energy(self, *states: States, **named: States) -> FloatArray:
        """Return E of each row, shape (rows,).

        Args:
            states: states of every layer, shape (rows, units): v and h, visible layers first; or a dict by layer.
            named: layers by name.

        Raises:
            TypeError: an array does not hold real numbers, or a layer is missing.
            ValueError: a shape is wrong, or a value is not a state of its unit.
        """
        return formulas.energy(self._model, *states, **named)

    def free_energy(self, v: States) -> FloatArray:
        """Return F(v) = −ln Σ_h e^{−E(v, h)} of each row, all hidden layers summed out; shape (rows,).

        Raises:
            TypeError, ValueError: as `energy`.
            ModelError, EnumerationLimitError: the hidden layers but one have infinitely or too many configurations.
        """
        return multilayer.free_energy(self._model, data_rows(self._model, v, "v", self.dtype))

    def mean(self, layer: str, states: States) -> FloatArray:
        """Return the mean of every unit of a layer given all others, shape (rows, units).

        Args:
            layer: its name.
            states: of the other layer, or a dict of all other layers.

        Raises:
            ModelError: there is no such layer, or its units are tied together.
            TypeError, ValueError: as `energy`.
        """
        return formulas.mean(self._model, layer, states)

    def hidden_mean(self, v: States) -> FloatArray:
        """Return ⟨h⟩ given each row of v, shape (rows, n_hidden), for a single hidden layer. Raises as `mean` does."""
        return self.mean(self._only("hidden", self.kernels.hidden), v)

    def visible_mean(self, h: States) -> FloatArray:
        """Return ⟨v⟩ given each row of h, shape (rows, n_visible), for a single visible layer. Raises as `mean`."""
        return self.mean(self._only("visible", self.kernels.visible), h)

    def draw(self, layer: str, states: States, seed: int | None = None) -> FloatArray:
        """Return random states of a layer given all others, shape (rows, units). Arguments and errors as `mean`.

        Where the energy ties units of the layer together, ``states`` includes the layer itself, and each unit is drawn
        once, one after another, given all others.
        """
        return formulas.draw(self._model, layer, states, seed)

    # Samples

    def sample(
        self,
        n: int,
        steps: int = 1000,
        given: Given | None = None,
        seed: int | None = None,
        *,
        method: Literal["gibbs", "exact"] = "gibbs",
        limit: int | None = None,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> Any:
        """Return visible states drawn from the model, shape (n, n_visible); by layer, where there are several.

        Args:
            n: how many.
            steps: Gibbs sweeps that each one's chain makes.
            given: units that keep their values, such as ``{("v", 3): 1}``; a value is one state for all chains or an
                array of n states. The rest is drawn from its distribution given these.
            seed: of these draws; None for a fresh one.
            method: ``"gibbs"``, or ``"exact"`` for independent draws from p(v) itself, by enumeration, or where there
                are too many configurations by elimination on the graph.
            limit, threads, progress: of the exact method; see `Budget`. An explicit limit lifts the 1 GiB that exact
                draws may otherwise hold.

        Raises:
            ValueError: a count is not positive, a value is not a state of its unit, there is no such method, or
                ``given`` is used with the exact one.
            UnknownVariableError: ``given`` names a unit that the model does not have.
            EnumerationLimitError: the exact method is asked of a model too large for it, or for too many draws.
        """
        from pgm_rbm.exact import choice

        if method == "gibbs":
            return by_layer(self._model, self.run_chains(n, steps, given, seed, threads=threads).visible)
        if method != "exact":
            raise ValueError(f"method must be 'gibbs' or 'exact'. Got {method!r}.")
        require_whole("n", n)
        if given:
            raise ValueError("given must be left out with method='exact'. Use method='gibbs' to clamp units.")
        budget = Budget.of(limit=limit, threads=threads, progress=progress)
        return by_layer(self._model, choice.sample(self._model, n, resolve_seed(seed), budget))

    def run_chains(
        self,
        chains: int | Chains,
        steps: int = 1000,
        given: Given | None = None,
        seed: int | None = None,
        *,
        start: States | None = None,
        threads: int | None = None,
    ) -> Chains:
        """Return Gibbs chains after some sweeps; passing them in again goes on bit for bit.

        Args:
            chains: how many to start, or the ones to go on with.
            steps: sweeps to make, at least 0.
            given: as for `sample`; pass it each time.
            seed: of new chains; ones that go on keep theirs.
            start: visible states for new chains to start from, shape (chains, n_visible); by default every unit is
                drawn on its own, uniformly over its states.
            threads: how many threads to use; all by default. The result does not depend on it.

        Returns:
            `Chains` with ``visible`` and ``hidden``; the hidden states are drawn given the visible ones beside them.

        Raises:
            ValueError, UnknownVariableError: as for `sample`.
        """
        budget = Budget.of(threads=threads)
        return gibbs.chains_from(self._model, chains, steps, given, seed, start=start, budget=budget)
