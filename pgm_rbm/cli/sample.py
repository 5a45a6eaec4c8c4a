"""``pgm-rbm sample``: draws from a model."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgm_rbm.cli.files import ARRAY_ENDINGS, as_csv, load_model, new_output, require_one_visible_layer, write_array
from pgm_rbm.cli.graphs import MemoryLimit, ModelOrGraph, TimeLimit, evidence, given_limits, load_graph, once
from pgm_rbm.cli.program import Force, Limit, Quiet, RequestError, Threads, counting, note, pairs, refusing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pgm_rbm.graph.model import GraphModel
    from pgm_rbm.rbm import RBM

# How often the bar moves while chains run: 1,000 sweeps of 100 chains of 64 × 16 units take 0.20 s at once and 0.21 s
# in 50 stages (2 cores, 2026-12).
_STAGES = 50

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="A .npy or .csv file; by default, CSV on standard output."),
]
Rows = Annotated[int, typer.Option("-n", "--rows", min=1, help="How many rows to draw.")]
Steps = Annotated[int, typer.Option(min=0, help="Gibbs sweeps that each row's own chain makes.")]
GivenUnits = Annotated[
    list[str] | None,
    typer.Option(
        metavar="UNIT=VALUE", help="Hold a unit: 3=1 or v3=1 a visible one, h2=0 a hidden one, or a node of a graph."
    ),
]
Exact = Annotated[
    bool,
    typer.Option("--exact", help="Independent draws from the distribution itself; for small models and sparse graphs."),
]
Seed = Annotated[int | None, typer.Option(min=0, help="The same seed draws the same rows; fresh by default.")]


def sample(
    model: ModelOrGraph,
    output: Output = None,
    n: Rows = 100,
    steps: Steps = 1000,
    given: GivenUnits = None,
    exact: Exact = False,
    limit: Limit = None,
    memory_limit: MemoryLimit = None,
    time_limit: TimeLimit = None,
    seed: Seed = None,
    threads: Threads = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Draw visible states from a model, or the states of all nodes of a graph, one node per column in their order.

    \b
    Examples:
      pgm-rbm sample model.safetensors -n 1000 --seed 1 --output samples.npy
      pgm-rbm sample model.safetensors --given 3=1 --given 7=0 > samples.csv
      pgm-rbm sample network.graphml --given a=1 --exact
    """
    from pgm_rbm.machine.streams import resolve_seed

    if output is not None:
        new_output(output, force, ARRAY_ENDINGS)
    with refusing():
        chosen = resolve_seed(seed)
    limits = given_limits(memory_limit, time_limit)
    if not exact and (limit is not None or limits):
        raise RequestError("--limit, --memory-limit and --time-limit are for --exact. Leave them out.")
    graph = load_graph(model)
    if graph is not None:
        if limit is not None:
            raise RequestError("--limit is for model files. Use --memory-limit and --time-limit.")
        how: dict[str, Any] = (
            {"method": "exact", **limits} if exact else {"method": "gibbs", "steps": steps, "threads": threads}
        )
        drawn, what = _of_graph(graph, n, given, {**how, "seed": chosen}, quiet), f"{len(graph)} nodes"
    else:
        if limits:
            raise RequestError("--memory-limit and --time-limit are for graphs. Use --limit for a model file.")
        how = {"method": "exact", "limit": limit} if exact else {"steps": steps}
        rbm, drawn = _of_model(model, n, given, {**how, "seed": chosen, "threads": threads}, quiet)
        what = f"{rbm.n_visible} visible units"
    if seed is None:
        note(f"seed {chosen}")
    _write(drawn, output, what)


def _of_graph(graph: GraphModel, n: int, given: list[str] | None, how: dict[str, Any], quiet: bool) -> npt.NDArray[Any]:
    """Return n states of all nodes; ``how`` holds keywords of `GraphModel.sample`."""
    observed = evidence(given, graph)
    with refusing(), counting("sampling", quiet) as progress:
        return graph.sample(n, observed, progress=progress, **how)


def _of_model(
    path: Path, n: int, given: list[str] | None, how: dict[str, Any], quiet: bool
) -> tuple[RBM, npt.NDArray[Any]]:
    """Return the model in a file and n states of its visible units; ``how`` holds keywords of `RBM.sample`."""
    clamped: dict[Hashable, float] = once(
        [(_unit(name), _value(name, value)) for name, value in pairs(given or [], "--given", "3=1")]
    )
    exact = how.get("method") == "exact"
    if exact and clamped:
        raise RequestError("--given does not go with --exact. Leave one of them out.")
    rbm = load_model(path)
    require_one_visible_layer(rbm)
    _check_units(rbm, clamped)
    with refusing():
        return rbm, rbm.sample(n, **how) if exact else _chains(rbm, n, clamped, how, quiet)


def _chains(
    rbm: RBM, n: int, given: Mapping[Hashable, float], how: dict[str, Any], quiet: bool
) -> npt.NDArray[np.floating]:
    """Run chains in stages, so that a bar can move between them; the draws are those of one long run."""
    steps, threads = how["steps"], how["threads"]
    with counting("sampling", quiet) as progress:
        chains = rbm.run_chains(n, 0, given, how["seed"], threads=threads)
        for stage in range(_STAGES):
            done, after = steps * stage // _STAGES, steps * (stage + 1) // _STAGES
            if after > done:
                chains = rbm.run_chains(chains, after - done, given, threads=threads)
                if progress is not None:
                    progress(after, steps)
    return chains.visible


def _write(drawn: npt.NDArray[Any], output: Path | None, what: str) -> None:
    """Write states as whole numbers where they are whole, to a file or to standard output."""
    import numpy as np

    values = drawn.astype(np.int64) if np.array_equal(np.rint(drawn), drawn) else drawn
    if output is None:
        typer.echo(as_csv(values), nl=False)
    else:
        write_array(output, values)
        typer.echo(f"{output}: {len(values)} rows of {what}")


def _unit(name: str) -> tuple[str, int]:
    found = re.fullmatch(r"([vh]?)(\d{1,9})", name)
    if not found:
        raise RequestError(f"--given must name a unit as 3 or v3 (visible) or h3 (hidden). Got {name!r}.")
    return found[1] or "v", int(found[2])


def _check_units(rbm: RBM, given: Mapping[Hashable, float]) -> None:
    """Check that ``--given`` fits the model, without drawing anything.

    Raises:
        RequestError: there is no such unit, or it cannot take the value.
    """
    with refusing():
        rbm.run_chains(1, 0, given, 0)


def _value(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RequestError(f"--given {name} must be set to a number. Got {text!r}.") from None
