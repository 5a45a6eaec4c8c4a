"""``pgm-rbm derive``: a derivation, printed and checked, or the code generated from it."""

from __future__ import annotations

from enum import StrEnum
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from pgm_rbm.cli.energy import EnergyText, HiddenLayers, VisibleLayers, energy_from
from pgm_rbm.cli.program import Failed, RequestError, note, refusing

if TYPE_CHECKING:
    from symbolic.derivation.trace import Derivation
    from symbolic.language.energy import Energy


class Quantity(StrEnum):
    """What is derived."""

    gradient = "gradient"
    free_energy = "free-energy"
    conditional = "conditional"


class Format(StrEnum):
    """How it is printed."""

    terminal = "terminal"
    latex = "latex"
    json = "json"
    python = "python"


class Target(StrEnum):
    """What generated code runs on."""

    numba = "numba"
    numpy = "numpy"
    array_api = "array-api"


def derive(
    energy: EnergyText = None,
    quantity: Annotated[
        Quantity,
        typer.Option(
            help="gradient: ∂ ln p(v)/∂θ as Term A − Term B; free-energy: F(v); conditional: p(h_j | v) and its mean."
        ),
    ] = Quantity.gradient,
    by: Annotated[
        str | None,
        typer.Option(metavar="PARAMETER", help="What the gradient is taken by; w, or the only parameter, by default."),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER",
            help="The layer a conditional is of (the hidden one by default), or that a free energy is a function of "
            "(the visible one).",
        ),
    ] = None,
    visible: VisibleLayers = None,
    hidden: HiddenLayers = None,
    check: Annotated[bool, typer.Option("--check", help="Check every line exactly; status 1 if one is wrong.")] = False,
    output: Annotated[
        Format, typer.Option("--format", help="How to print it; python: the kernels generated from it.")
    ] = (Format.terminal),
    target: Annotated[
        Target | None,
        typer.Option(
            help="With --format python, what the code runs on: numba by default; array-api: any array library."
        ),
    ] = None,
    width: Annotated[
        int | None, typer.Option(min=40, help="Columns to use on a terminal; its own width by default.")
    ] = None,
    ascii: Annotated[bool, typer.Option("--ascii", help="Use no character beyond ASCII.")] = False,
) -> None:
    """Derive a gradient, a free energy or a conditional, line by line.

    \b
    Examples:
      pgm-rbm derive --check
      pgm-rbm derive --quantity conditional
      pgm-rbm derive --by b --format latex
      pgm-rbm derive "-sum(v\\[i]*w\\[i,j]*h\\[j], i, j)" --by w --check
      pgm-rbm derive --hidden h:spin --format python --target numpy
    """
    if target is not None and output is not Format.python:
        raise RequestError("--target is for --format python. Leave it out, or add that.")
    if output is Format.python and not check and (by, of, quantity) != (None, None, Quantity.gradient):
        raise RequestError(
            "the module holds all kernels; --quantity, --by and --of choose what --check checks. Leave them out."
        )
    asked = energy_from(energy, visible, hidden)
    if output is Format.python:
        typer.echo(_kernels(asked, target or Target.numba), nl=False)
        if not check:
            return
    found = _derivation(asked, quantity, by, of)
    match output:
        case Format.latex:
            typer.echo(found.latex())
        case Format.json:
            typer.echo(found.to_json())
        case Format.terminal:
            columns = width or min(get_terminal_size((100, 24)).columns, 120)
            typer.echo(found.text(ascii=ascii, width=columns))
    if check:
        _check(found, output)


def _kernels(energy: Energy, target: Target) -> str:
    from symbolic.codegen.build import generate

    with refusing():
        return generate(energy, target.value)


def _derivation(energy: Energy, quantity: Quantity, by: str | None, of: str | None) -> Derivation:
    if by is not None and quantity is not Quantity.gradient:
        raise RequestError("--by is for --quantity gradient. Leave it out.")
    if of is not None and quantity is Quantity.gradient:
        raise RequestError("--of is for --quantity conditional or free-energy. Leave it out.")
    with refusing():
        if quantity is Quantity.conditional:
            return energy.conditional(of or energy.hidden[0])
        if quantity is Quantity.free_energy:
            return energy.free_energy(of)
        names = list(energy.parameters)
        if by is None:
            by = names[0] if len(names) == 1 else "w"
        return energy.log_likelihood_gradient(by)


def _check(derivation: Derivation, output: Format) -> None:
    verification = derivation.verify()
    say = typer.echo if output is Format.terminal else note
    if output is Format.terminal:
        typer.echo()
    say(str(verification))
    if not verification:
        raise Failed("the derivation is wrong.")
