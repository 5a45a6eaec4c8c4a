"""``pgm-rbm convert``: models between model files, plain arrays and graphs."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgm_rbm.cli.files import load_model, new_output, unreadable
from pgm_rbm.cli.graphs import read_graphml
from pgm_rbm.cli.program import Force, RequestError, refusing
from pgm_rbm.errors import ModelError
from pgm_rbm.machine.files import replacing

if TYPE_CHECKING:
    from pgm_rbm.rbm import RBM

_ARRAYS = ("weights", "visible_bias", "hidden_bias")
_FORMATS = (".safetensors", ".npz", ".graphml")


def convert(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="A .safetensors, .npz or .graphml file.")],
    output: Annotated[Path, typer.Argument(metavar="TO", help="The file to write; its ending says how.")],
    force: Force = False,
) -> None:
    """Turn a model into another kind of file.

    \b
    .safetensors  a model file, as train writes it
    .npz          arrays of binary units: weights (visible × hidden), visible_bias, hidden_bias
    .graphml      a graph: nodes with units and bias, edges with weight

    \b
    Examples:
      pgm-rbm convert model.safetensors arrays.npz
      pgm-rbm convert network.graphml model.safetensors
    """
    new_output(output, force, _FORMATS)
    ending = source.suffix.lower()
    if not source.exists():
        raise RequestError(f"there is no file {source}.")
    if ending == ".npz":
        rbm = _from_arrays(source)
    elif ending == ".graphml":
        rbm = _from_graphml(source)
    else:
        rbm = load_model(source)
    match output.suffix.lower():
        case ".npz":
            _to_arrays(rbm, output)
        case ".graphml":
            _to_graphml(rbm, output)
        case _:
            rbm.save(output)
    typer.echo(f"{output}: {rbm.n_visible} visible × {rbm.n_hidden} hidden units")


def _from_arrays(source: Path) -> RBM:
    import numpy as np

    from pgm_rbm import RBM

    try:
        with np.load(source, allow_pickle=False) as archive:
            missing = [name for name in _ARRAYS if name not in archive.files]
            if missing:
                raise RequestError(
                    f"{source} has no array {missing[0]!r}; it holds: {', '.join(archive.files) or 'none'}. Name the "
                    f"arrays {', '.join(_ARRAYS)}."
                )
            arrays = [archive[name] for name in _ARRAYS]
            mask = archive["mask"] if "mask" in archive.files else None
    except (ValueError, EOFError, OSError, AttributeError, zipfile.BadZipFile) as error:
        raise unreadable(source, error) from error
    with refusing(str(source)):
        try:
            return RBM.from_parameters(*arrays, mask=mask)
        except TypeError as error:
            raise ValueError(str(error)) from error


def _to_arrays(rbm: RBM, output: Path) -> None:
    import numpy as np

    with refusing(str(output)):
        if set(rbm.units.values()) != {"binary"} or not rbm.is_pairwise:
            raise ModelError(
                f"a {output.suffix} file can hold weights and biases of binary units, and nothing else. Keep the "
                "model file, or take rbm.parameters in Python."
            )
    arrays: dict[str, Any] = {name: getattr(rbm, name) for name in _ARRAYS}
    if rbm.mask is not None:
        arrays["mask"] = rbm.mask
    with replacing(output) as whole:
        np.savez(whole, allow_pickle=False, **arrays)


def _from_graphml(source: Path) -> RBM:
    from pgm_rbm import RBM

    graph = read_graphml(source)
    with refusing(str(source)):
        return RBM.from_graph(graph)


def _to_graphml(rbm: RBM, output: Path) -> None:
    import networkx as nx

    from pgm_rbm.model.variables import has_labels

    with refusing(str(output)):
        graph = rbm.graph
        if graph.factors or any(has_labels(node, graph.nodes[node]) for node in graph):
            raise ModelError(
                "a .graphml file holds a bias for each unit and a weight for each pair, and this model's terms need "
                "tables. Keep the model file, whose partition, tractability and sample work as well."
            )
    plain = nx.relabel_nodes(nx.Graph(graph), {node: f"{node[0]}{node[1]}" for node in graph})
    with replacing(output) as whole:
        nx.write_graphml(plain, whole)
