"""``pgm-rbm compose``: the product of models over the same visible units."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgm_rbm.cli.files import load_model, new_output
from pgm_rbm.cli.program import Force, ModelFile, RequestError, refusing


def compose(
    first: ModelFile,
    second: ModelFile,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL", help="The model file to write.")],
    share_hidden: Annotated[
        bool,
        typer.Option(
            "--share-hidden",
            help="Share hidden units that have the same number, so that their weights add; by default each model keeps "
            "its own.",
        ),
    ] = False,
    force: Force = False,
) -> None:
    """Multiply two models over the same visible units: a product of experts, which is again an RBM.

    Potentials multiply, so energies add: the visible biases are summed and the hidden layers stand side by side.

    \b
    Example:
      pgm-rbm compose shapes.safetensors strokes.safetensors --output both.safetensors
    """
    import networkx as nx

    from pgm_rbm import RBM
    from pgm_rbm import compose as product

    new_output(output, force)
    one, other = load_model(first), load_model(second)
    if one.n_visible != other.n_visible:
        raise RequestError(
            f"{first} has {one.n_visible} visible units and {second} has {other.n_visible}. They must be the same."
        )
    graph = other.graph
    if not share_hidden:
        apart = {("h", j): ("h", one.n_hidden + j) for j in range(other.n_hidden)}
        graph = nx.relabel_nodes(nx.Graph(graph), apart)
    with refusing():
        joint = RBM.from_graph(product(one.graph, graph), dtype=one.dtype, target=one.model.target)
        joint.save(output)
    typer.echo(f"{output}: {joint.n_visible} visible × {joint.n_hidden} hidden units")
