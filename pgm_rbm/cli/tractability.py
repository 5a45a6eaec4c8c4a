"""``pgm-rbm tractability``: what exact answers about a model would cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from pgm_rbm.cli.files import load_model
from pgm_rbm.cli.graphs import Given, MemoryLimit, ModelOrGraph, TimeLimit, evidence, given_limits, load_graph
from pgm_rbm.cli.program import Limit, RequestError, as_options, refusing


def tractability(
    model: ModelOrGraph,
    given: Given = None,
    limit: Limit = None,
    memory_limit: MemoryLimit = None,
    time_limit: TimeLimit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Print what each way to exact answers would cost: operations, memory and time on this machine.

    Nothing is computed but an elimination order and trials of some tenths of a second.

    \b
    Examples:
      pgm-rbm tractability model.safetensors
      pgm-rbm tractability network.graphml --given a=1
    """
    graph = load_graph(model)
    observed = evidence(given, graph)
    limits = given_limits(memory_limit, time_limit)
    with refusing():
        if graph is not None:
            if limit is not None:
                raise RequestError("--limit is for model files. Use --memory-limit and --time-limit.")
            report = graph.tractability(observed, **limits)
        else:
            rbm = load_model(model)
            report = rbm.tractability(limit=limit, **limits)
    if not as_json:
        typer.echo(as_options(str(report)))
        return
    ways = [asdict(way) for way in report.ways]
    for way in ways:
        # JSON has no infinity.
        way["seconds"] = way["seconds"] if way["seconds"] < float("inf") else None
    typer.echo(
        json.dumps(
            {
                "method": report.method,
                "variables": report.variables,
                "parts": report.parts,
                "induced_width": report.induced_width,
                "ways": ways,
                "notes": report.notes,
            }
        )
    )
