"""The graph of a model: live on its arrays where they are those of a graph, else made anew from its energy."""

from __future__ import annotations

from pgm_rbm.errors import ModelError
from pgm_rbm.graph.bipartite import RBMGraph
from pgm_rbm.graph.model import GraphModel
from pgm_rbm.model.domains import is_finite, is_plain
from pgm_rbm.model.model import Model

__all__ = ["eliminable", "graph_of", "has_arrays_of_graph"]


def has_arrays_of_graph(model: Model) -> bool:
    """Whether its parameters are those of a graph: a weight for each pair of units and a bias for each unit."""
    if model.is_pairwise:
        return True
    if not all(is_plain(unit) or is_finite(unit) for unit in model.units.values()):  # vectors, angles
        return False
    from pgm_rbm.model.of_energy import is_pairwise_of_labels

    return is_pairwise_of_labels(model)


def graph_of(model: Model) -> GraphModel:
    """Return the model as a graph; see `RBM.graph`."""
    if has_arrays_of_graph(model):
        w, a, b = (model.parameters[name] for name in ("w", "a", "b"))
        return RBMGraph.from_arrays(w, a, b, model.units["v"], model.units["h"], model.mask)
    if model.layout.given:
        raise ModelError(
            f"the model is given {', '.join(model.layout.given)}. Call GraphModel.from_energy with their states."
        )
    from pgm_rbm.model.of_energy import symbolic_energy

    return GraphModel.from_energy(symbolic_energy(model), dict(model.parameters), dict(model.sizes))


def eliminable(model: Model) -> GraphModel | str:
    """Return the model's graph, or the reason why it has none on which variables can be summed out."""
    if model.layout.given:
        return f"the model is given {', '.join(model.layout.given)}"
    for layer, unit in model.units.items():
        if not is_finite(unit):
            return f"the values of layer {layer} ({unit}) cannot be listed"
    try:
        return graph_of(model)
    except ModelError as error:
        return str(error).rstrip(".")
