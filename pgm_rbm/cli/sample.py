"""``pgm-rbm sample``: draws from a model."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgm_rbm.cli.bars import counting
from pgm_rbm.cli.files import ARRAY_ENDINGS, as_csv, load_model, new_output, require_one_visible_layer, write_array
from pgm_rbm.cli.graphs import (
    MemoryLimit,
    ModelOrGraph,
    TimeLimit,
    evidence,
    given_limits,
    load_graph,
    once,
)
from pgm_rbm.cli.program import Force, Limit, Quiet, RequestError, Threads, note, pairs, refusing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pgm_rbm.rbm import RBM

_STAGES = 50


def sample(
    model: ModelOrGraph,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="A .npy or .csv file; by default, CSV on standard output."),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--rows", min=1, help="How many rows to draw.")] = 100,
    steps: Annotated[int, typer.Option(min=0, help="Gibbs sweeps that each row's own chain makes.")] = 1000,
    given: Annotated[
        list[str] | None,
        typer.Option(
            metavar="UNIT=VALUE",
            help="Hold a unit: 3=1 or v3=1 a visible one, h2=0 a hidden one, or a node of a graph.",
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="Independent draws from the distribution itself; for small models and sparse graphs."
        ),
    ] = False,
    limit: Limit = None,
    memory_limit: MemoryLimit = None,
    time_limit: TimeLimit = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The same seed draws the same rows; fresh by default.")
    ] = None,
    threads: Threads = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Draw visible states from a model, or the states of all nodes of a graph, a column each in their order.

    \b
    Examples:
      pgm-rbm sample model.safetensors -n 1000 --seed 1 --output samples.npy
      pgm-rbm sample model.safetensors --given 3=1 --given 7=0 > samples.csv
      pgm-rbm sample network.graphml --given a=1 --exact
    """
    import numpy as np

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
        observed = evidence(given, graph)
        ways: dict[str, Any] = {"method": "exact"} if exact else {"method": "gibbs", "steps": steps, "threads": threads}
        with refusing(), counting("sampling", quiet) as progress:
            drawn = graph.sample(n, observed, seed=chosen, progress=progress, **ways, **limits)
        what = f"{len(graph)} nodes"
    else:
        if limits:
            raise RequestError("--memory-limit and --time-limit are for graphs. Use --limit for a model file.")
        clamped: dict[Hashable, float] = once(
            [(_unit(name), _value(name, value)) for name, value in pairs(given or [], "--given", "3=1")]
        )
        if exact and clamped:
            raise RequestError("--given does not go with --exact. Leave one of them out.")
        rbm = load_model(model)
        require_one_visible_layer(rbm)
        _check_units(rbm, clamped)
        with refusing():
            drawn = (
                rbm.sample(n, method="exact", seed=chosen, limit=limit, threads=threads)
                if exact
                else _chains(rbm, n, steps, clamped, chosen, threads, quiet)
            )
        what = f"{rbm.n_visible} visible units"
    if seed is None:
        note(f"seed {chosen}")
    values = drawn.astype(np.int64) if np.array_equal(np.rint(drawn), drawn) else drawn
    if output is None:
        typer.echo(as_csv(values), nl=False)
    else:
        write_array(output, values)
        typer.echo(f"{output}: {n} rows of {what}")


def _chains(
    rbm: RBM, n: int, steps: int, given: Mapping[Hashable, float], seed: int, threads: int | None, quiet: bool
) -> npt.NDArray[np.floating]:
    """Chains in stages, so that a bar can move between them; the draws are those of one long run."""
    with counting("sampling", quiet) as progress:
        chains = rbm.run_chains(n, 0, given, seed, threads=threads)
        for stage in range(_STAGES):
            done, after = steps * stage // _STAGES, steps * (stage + 1) // _STAGES
            if after > done:
                chains = rbm.run_chains(chains, after - done, given, threads=threads)
                if progress is not None:
                    progress(after, steps)
    return chains.visible


def _unit(name: str) -> tuple[str, int]:
    found = re.fullmatch(r"([vh]?)(\d{1,9})", name)
    if not found:
        raise RequestError(f"--given must name a unit as 3 or v3 (visible) or h3 (hidden). Got {name!r}.")
    return found[1] or "v", int(found[2])


def _check_units(rbm: RBM, given: Mapping[Hashable, float]) -> None:
    """Whether ``--given`` fits the model, without drawing anything."""
    with refusing():
        rbm.run_chains(1, 0, given, 0)


def _value(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RequestError(f"--given {name} must be set to a number. Got {text!r}.") from None
