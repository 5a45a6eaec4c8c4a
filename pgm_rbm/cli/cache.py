"""``pgm-rbm cache``: show, clear or fill the folder in which generated code and all machine code are kept."""

from __future__ import annotations

from typing import Annotated

import typer

from pgm_rbm.cli.program import Failed, Quiet, counting, note, pairs, refusing

app = typer.Typer(
    help="Show, clear or fill the folder in which generated and compiled code is kept.", no_args_is_help=True
)
# What most models need: both layers binary, or data that are real numbers.
_USUAL = ("binary:binary", "gaussian:binary")


@app.command("info")
def info() -> None:
    """Show where generated modules and machine code lie, which there are and how large they are.

    \b
    Example:
      pgm-rbm cache info
    """
    from symbolic.codegen import cache

    kept = cache.contents()
    typer.echo(f"folder   {cache.cache_folder()}")
    typer.echo(f"modules  {len(kept.modules)}")
    machine_code = kept.loops + sum(module.machine_code for module in kept.modules)
    typer.echo(f"size     {readable(kept.size)}, {readable(machine_code)} of it machine code")
    typer.echo(f"loops    {readable(kept.loops)} of machine code that serves every model")
    for module in kept.modules:
        typer.echo(f"\n{module.path.name}")
        typer.echo(f"  {module.energy}")
        layers = ", ".join(f"{name}: {unit}" for name, unit in module.layers.items())
        typer.echo(f"  {module.target}; {layers}; {readable(module.size)} and {readable(module.machine_code)} compiled")


@app.command("clear")
def clear() -> None:
    """Remove the generated modules and all machine code, and nothing else; they are made again when needed.

    \b
    Example:
      pgm-rbm cache clear
    """
    from symbolic.codegen import cache

    removed, failed = cache.clear()
    for path, reason in failed:
        note(f"{path} stays: {reason}")
    size = readable(sum(size for _, size in removed))
    typer.echo(f"removed {len(removed)} files, {size}, from {cache.cache_folder()}")
    if failed:
        raise Failed(f"{len(failed)} files could not be removed.")


@app.command("warm")
def warm(
    units: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VISIBLE:HIDDEN]...", help="Units of the layers; binary:binary and gaussian:binary."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Compile what usual models need to be trained, sampled and evaluated, so that nothing waits for it later.

    \b
    Examples:
      pgm-rbm cache warm
      pgm-rbm cache warm spin:spin
    """
    from symbolic.codegen import cache

    cache.announce_compiling(lambda message: None)  # the bar says so
    # Checked before anything is compiled.
    named = pairs(units or _USUAL, "VISIBLE:HIDDEN", "binary:binary")
    with refusing():
        jobs = [
            (visible, hidden, dtype)
            for visible, hidden in ((units_of(one), units_of(other)) for one, other in named)
            for dtype in ("float64", "float32")
        ]
    with counting("compiling", quiet) as show:
        for number, (visible, hidden, dtype) in enumerate(jobs):
            if show:
                show(number, len(jobs))
            with refusing():
                _use(visible, hidden, dtype)
    typer.echo(f"compiled for {', '.join(':'.join(pair) for pair in named)}, in float32 and float64")


def units_of(name: str) -> str:
    """The unit of that name under its full name; the library refuses others."""
    from symbolic.units import lookup

    return lookup(name).name


def _use(visible: str, hidden: str, dtype: str) -> None:
    """Do once, with a tiny model, what models are made for."""
    from pgm_rbm import RBM

    rbm = RBM(3, 2, visible_units=visible, hidden_units=hidden, seed=0, dtype=dtype)
    rows = rbm.sample(8, steps=1, seed=0)
    for algorithm in ("pcd", "cd"):
        rbm.fit(rows, algorithm=algorithm, epochs=1, batch_size=4, seed=0)
    rbm.hidden_mean(rows)
    if rbm.tractability().feasible:
        rbm.log_likelihood(rows)
        rbm.gradient(rows)


def readable(size: int) -> str:
    """A number of bytes for people."""
    value = float(size)
    for unit in ("B", "kB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} MB"
