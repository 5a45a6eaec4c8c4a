"""``pgm-rbm evaluate``: how probable data are under a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pgm_rbm.cli.data_files import ArrayName, DataFile, Threshold, read_rows, states
from pgm_rbm.cli.files import ARRAY_ENDINGS, load_model, new_output, require_one_visible_layer, write_array
from pgm_rbm.cli.graphs import MemoryLimit, TimeLimit, given_limits
from pgm_rbm.cli.program import Force, Limit, ModelFile, Quiet, Threads, counting, refusing


def evaluate(
    model: ModelFile,
    data: DataFile,
    array: ArrayName = None,
    threshold: Threshold = None,
    rows: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write ln p(v) of each row to this .npy or .csv file.")
    ] = None,
    limit: Limit = None,
    memory_limit: MemoryLimit = None,
    time_limit: TimeLimit = None,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Print the exact mean ln p(v) of data under a model, in nats.

    \b
    Examples:
      pgm-rbm evaluate model.safetensors test.npy
      pgm-rbm evaluate model.safetensors test.csv --rows log-p.csv
    """
    from pgm_rbm.exact.enumeration import multilayer
    from pgm_rbm.machine.budget import Budget

    if rows is not None:
        new_output(rows, force, ARRAY_ENDINGS)
    rbm = load_model(model)
    require_one_visible_layer(rbm)
    table = read_rows(data, array)
    values = states(table, rbm.visible_units, threshold=threshold, model=(str(model), rbm.n_visible, rbm.n_hidden))
    with refusing(), counting("ln Z", quiet) as progress:
        limits = given_limits(memory_limit, time_limit)
        log_z = rbm.log_partition(limit=limit, threads=threads, progress=progress, **limits).value
        log_p = multilayer.log_probability(rbm.model, values, log_z, Budget.of(threads=threads))
    if rows is not None:
        write_array(rows, log_p)
    result = {
        "mean_log_likelihood": float(log_p.mean()),
        "standard_deviation": float(log_p.std()),
        "lowest": float(log_p.min()),
        "highest": float(log_p.max()),
        "rows": len(log_p),
        "log_partition": log_z,
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(f"mean ln p  {result['mean_log_likelihood']:.6f} nats (exact)")
    typer.echo(f"over rows  {len(log_p)} rows from {log_p.min():.3f} to {log_p.max():.3f}, deviation {log_p.std():.3f}")
    typer.echo(f"ln Z       {log_z:.6f}")
