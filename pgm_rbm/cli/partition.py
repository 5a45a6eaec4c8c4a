"""``pgm-rbm partition``: ln Z of a model or of a graph."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Annotated

import typer

from pgm_rbm.cli.files import load_model
from pgm_rbm.cli.graphs import Given, MemoryLimit, ModelOrGraph, TimeLimit, evidence, given_limits, load_graph
from pgm_rbm.cli.program import Limit, Quiet, RequestError, Threads, counting, refusing
from pgm_rbm.partition.result import Method


def partition(
    model: ModelOrGraph,
    method: Annotated[
        Method,
        typer.Option(metavar="METHOD", help="How to find it: auto, enumeration of the smaller layer, or elimination."),
    ] = "auto",
    given: Given = None,
    limit: Limit = None,
    memory_limit: MemoryLimit = None,
    time_limit: TimeLimit = None,
    threads: Threads = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Enumerate on the workers of the Dask cluster whose scheduler is at this address; the result is the "
            "same to the last bit.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Print ln Z of a model or of a graph, in nats, exactly.

    What would take too long or too much memory is refused before it starts; pgm-rbm tractability shows the ways.

    \b
    Examples:
      pgm-rbm partition model.safetensors
      pgm-rbm partition model.safetensors --limit 2**28 --json
      pgm-rbm partition model.safetensors --limit 2**36 --cluster tcp://10.0.0.1:8786
      pgm-rbm partition network.graphml --given a=1 --given b=-1
    """
    graph = load_graph(model)
    observed = evidence(given, graph)
    limits = given_limits(memory_limit, time_limit)
    with refusing(), counting("ln Z", quiet) as progress, ExitStack() as stack:
        if graph is not None:
            if limit is not None or cluster is not None:
                raise RequestError("--limit and --cluster are for model files. Use --memory-limit and --time-limit.")
            found = graph.log_partition(observed, method=method, threads=threads, progress=progress, **limits)
        else:
            rbm = load_model(model)
            executor = None
            if cluster is not None:
                from pgm_rbm.exact.enumeration.cluster import MissingDaskError, dask_executor

                try:
                    executor = stack.enter_context(dask_executor(cluster))
                except MissingDaskError as error:
                    raise RequestError(f"--cluster: {error}") from error
            found = rbm.log_partition(
                method, limit=limit, threads=threads, progress=progress, executor=executor, **limits
            )
    if as_json:
        typer.echo(
            json.dumps({"log_partition": found.value, "standard_error": found.standard_error, "method": found.method})
        )
    else:
        typer.echo(str(found))
