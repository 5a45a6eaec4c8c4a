"""The network of a model of any energy, or why there is none on which units can be summed out."""

from __future__ import annotations

from pgm_rbm.exact.elimination.network import Network
from pgm_rbm.exact.elimination.of_arrays import PairwiseArrays
from pgm_rbm.model.domains import is_finite
from pgm_rbm.model.model import Model

__all__ = ["arrays_of", "network_of", "no_network"]


def arrays_of(model: Model) -> PairwiseArrays | None:
    """Return the model's live arrays, where they are a weight per pair of units and a bias per unit."""
    if not model.has_graph_arrays:
        return None
    w, a, b = (model.parameters[name] for name in ("w", "a", "b"))
    return PairwiseArrays(w, a, b, model.units["v"], model.units["h"], model.mask)


def no_network(model: Model) -> str | None:
    """Return why no unit of the model can be summed out on a graph; None where all can."""
    if model.layout.given:
        return f"the model is given {', '.join(model.layout.given)}"
    for layer, unit in model.units.items():
        if not is_finite(unit):
            return f"the values of layer {layer} ({unit}) cannot be listed"
    if model.has_graph_arrays:
        return None
    # SymPy has been loaded by whoever made the energy; models of the pairwise one do without its 0.3 s.
    from pgm_rbm.exact.elimination.of_energy import hindrance

    assert model.energy is not None
    found = hindrance(model.energy, model.sizes)
    return None if found is None else found.rstrip(".")


def network_of(model: Model) -> Network:
    """Return the network of a model that has one, of its parameters as they stand.

    Raises:
        ModelError: a parameter is not finite.
    """
    arrays = arrays_of(model)
    if arrays is not None:
        return arrays.network()
    from pgm_rbm.exact.elimination.of_energy import read_energy  # as in no_network

    assert model.energy is not None
    return read_energy(model.energy, model.parameters, model.sizes, {}).network()
