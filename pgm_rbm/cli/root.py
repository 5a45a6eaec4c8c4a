"""The program: its commands in the order in which ``--help`` lists them."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from pgm_rbm.cli import cache
from pgm_rbm.cli.compose import compose
from pgm_rbm.cli.convert import convert
from pgm_rbm.cli.demo import demo
from pgm_rbm.cli.derive import derive
from pgm_rbm.cli.evaluate import evaluate
from pgm_rbm.cli.learning_options import LearningCommand
from pgm_rbm.cli.lecture import lecture
from pgm_rbm.cli.partition import partition
from pgm_rbm.cli.program import EnergyCommand, Program, note
from pgm_rbm.cli.sample import sample
from pgm_rbm.cli.tractability import tractability
from pgm_rbm.cli.train import train

__all__ = ["app", "main"]

app = typer.Typer(
    name="pgm-rbm",
    cls=Program,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import pgm_rbm

        typer.echo(f"pgm-rbm {pgm_rbm.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Restricted Boltzmann machines: from an energy to its derivation, its kernels and a trained model.

    Start with: pgm-rbm demo
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        return
    from symbolic.codegen.cache import announce_compiling

    announce_compiling(note)


app.command("derive", cls=EnergyCommand)(derive)
app.command("lecture", cls=EnergyCommand)(lecture)
app.command("train", cls=LearningCommand)(train)
app.command("evaluate")(evaluate)
app.command("sample")(sample)
app.command("partition")(partition)
app.command("tractability")(tractability)
app.command("compose")(compose)
app.command("convert")(convert)
app.add_typer(cache.app, name="cache")
app.command("demo")(demo)


def main() -> None:
    """Run the program for the console script; end the process with the exit status."""
    for stream in (sys.stdout, sys.stderr):
        # Formulas hold signs that some terminals cannot show; a question mark is better than no line at all.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app(prog_name="pgm-rbm")
