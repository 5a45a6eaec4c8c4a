"""``pgm-rbm partition``: ln Z of a model."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pgm_rbm.cli.bars import counting
from pgm_rbm.cli.files import load_model
from pgm_rbm.cli.program import Limit, ModelFile, Quiet, Threads, refusing


def partition(
    model: ModelFile,
    method: Annotated[
        str, typer.Option(metavar="METHOD", help="How to find it: auto, or enumeration of the smaller layer.")
    ] = "auto",
    limit: Limit = None,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Print ln Z of a model, in nats.

    \b
    Examples:
      pgm-rbm partition model.safetensors
      pgm-rbm partition model.safetensors --limit 2**28 --json
    """
    rbm = load_model(model)
    with refusing(), counting("ln Z", quiet) as progress:
        found = rbm.log_partition(method, limit=limit, threads=threads, progress=progress)
    if as_json:
        typer.echo(
            json.dumps({"log_partition": found.value, "standard_error": found.standard_error, "method": found.method})
        )
    else:
        typer.echo(str(found))
