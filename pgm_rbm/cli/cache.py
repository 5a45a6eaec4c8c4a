"""``pgm-rbm cache``: where generated code is kept, what is there, and away with it."""

from __future__ import annotations

import typer

from pgm_rbm.cli.program import Failed, note

app = typer.Typer(help="Show or clear the folder in which generated code is kept.", no_args_is_help=True)


@app.command("info")
def info() -> None:
    """Show where generated modules lie, which there are and how large they are.

    \b
    Example:
      pgm-rbm cache info
    """
    from symbolic.codegen import cache

    kept = cache.contents()
    typer.echo(f"folder   {cache.cache_folder()}")
    typer.echo(f"modules  {len(kept.modules)}")
    typer.echo(
        f"size     {readable(kept.size)}, {readable(sum(m.machine_code for m in kept.modules))} of it machine code"
    )
    for module in kept.modules:
        typer.echo(f"\n{module.path.name}")
        typer.echo(f"  {module.energy}")
        layers = ", ".join(f"{name}: {unit}" for name, unit in module.layers.items())
        typer.echo(f"  {module.target}; {layers}; {readable(module.size)} and {readable(module.machine_code)} compiled")


@app.command("clear")
def clear() -> None:
    """Remove the generated modules and their machine code, and nothing else; they are made again when needed.

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


def readable(size: int) -> str:
    """A number of bytes for people."""
    value = float(size)
    for unit in ("B", "kB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} MB"
