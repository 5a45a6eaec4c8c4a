"""The graph of a model: live on its arrays where they are those of a graph, else made anew from its energy."""

from __future__ import annotations

from pgm_rbm.errors import ModelError
from pgm_rbm.exact.elimination.of_model import arrays_of
from pgm_rbm.graph.live import RBMGraph
from pgm_rbm.graph.model import GraphModel
from pgm_rbm.model.model import Model

__all__ = ["graph_of"]


def graph_of(model: Model) -> GraphModel:
    """Return the model as a graph; see `RBM.graph`."""
    arrays = arrays_of(model)
    if arrays is not None:
        biases = arrays.visible_bias, arrays.hidden_bias
        return RBMGraph.from_arrays(arrays.weights, *biases, arrays.visible_units, arrays.hidden_units, arrays.mask)
    if model.layout.given:
        raise ModelError(
            f"the model is given {', '.join(model.layout.given)}. Call GraphModel.from_energy with their states."
        )
    assert model.energy is not None
    return GraphModel.from_energy(model.energy, model.parameters, model.sizes)
