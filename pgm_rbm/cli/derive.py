"""``pgm-rbm derive``: a derivation, printed and checked, or the code generated from it."""

from __future__ import annotations

from enum import StrEnum
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from pgm_rbm.cli.energy import (
    EnergyText,
    GivenLayers,
    HiddenLayers,
    ParameterAxes,
    SymmetricParameters,
    VisibleLayers,
    asking,
    energy_from,
)
from pgm_rbm.cli.program import Failed, RequestError, note

if TYPE_CHECKING:
    from symbolic.derivation.trace import Derivation
    from symbolic.language.energy import Energy


class Quantity(StrEnum):
    """What is derived."""

    gradient = "gradient"
    free_energy = "free-energy"
    conditional = "conditional"
    phase = "phase"
    log_partition = "log-partition"


class Method(StrEnum):
    """How layers are summed out."""

    closed_form = "closed-form"
    single_site = "single-site"
    enumeration = "enumeration"
    auto = "auto"


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
            help="gradient: ∂ ln p(v)/∂θ as Term A − Term B; free-energy: F(v); conditional: p(h_j | v) and its mean; "
            "phase: ⟨−∂E/∂θ⟩ given v, in closed form; log-partition: ln Z."
        ),
    ] = Quantity.gradient,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="PARAMETER",
            help="What a gradient or a phase is taken by; w by default, or the parameter over most layers.",
        ),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER",
            help="The layer a conditional is of (the hidden one by default), or the layers, with commas between them, "
            "that a free energy or a phase is a function of (the visible ones).",
        ),
    ] = None,
    method: Annotated[
        Method | None,
        typer.Option(
            help="How layers are summed out in a free-energy, a conditional or ln Z: closed-form, the default but for "
            "ln Z; single-site: a conditional given all other units; enumeration: the sum as it is; auto: the first "
            "that serves.",
        ),
    ] = None,
    visible: VisibleLayers = None,
    hidden: HiddenLayers = None,
    given: GivenLayers = None,
    parameter: ParameterAxes = None,
    symmetric: SymmetricParameters = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check every line; status 1 if one is wrong or cannot be checked.")
    ] = False,
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
    """Derive a gradient, a free energy, a conditional or ln Z, line by line.

    \b
    Examples:
      pgm-rbm derive --check
      pgm-rbm derive --quantity conditional
      pgm-rbm derive --by b --format latex
      pgm-rbm derive "-sum(v\\[i]*w\\[i,j]*h\\[j], i, j)" --by w --check
      pgm-rbm derive --visible v:poisson --quantity log-partition --check
      pgm-rbm derive --hidden h:spin --format python --target numpy
    """
    if target is not None and output is not Format.python:
        raise RequestError("--target is for --format python. Leave it out, or add that.")
    if output is Format.python and not check and (by, of, method, quantity) != (None, None, None, Quantity.gradient):
        raise RequestError(
            "the module holds all kernels; --quantity, --by, --of and --method choose what --check checks. Leave them "
            "out."
        )
    asked = energy_from(energy, visible, hidden, given, parameter, symmetric)
    if output is Format.python:
        typer.echo(_kernels(asked, target or Target.numba), nl=False)
        if not check:
            return
    found = _derivation(asked, quantity, by, of, method)
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

    with asking():
        return generate(energy, target.value)


# Which options each quantity takes.
_TAKES = {
    Quantity.gradient: ("--by",),
    Quantity.free_energy: ("--of", "--method"),
    Quantity.conditional: ("--of", "--method"),
    Quantity.phase: ("--by", "--of"),
    Quantity.log_partition: ("--method",),
}


def _derivation(
    energy: Energy, quantity: Quantity, by: str | None, of: str | None, method: Method | None
) -> Derivation:
    for option, value in (("--by", by), ("--of", of), ("--method", method)):
        if value is not None and option not in _TAKES[quantity]:
            able = " or ".join(other.value for other, options in _TAKES.items() if option in options)
            raise RequestError(f"{option} is for --quantity {able}. Leave it out.")
    chosen = {} if method is None else {"method": method.value.replace("-form", " form")}
    with asking():
        energy.log_partition("enumeration")  # refuses a model that has no Z, whatever the parameters
        layers = None if of is None else [name.strip() for name in of.split(",")]
        match quantity:
            case Quantity.conditional:
                if of is None and not energy.hidden:
                    raise RequestError("the energy has no hidden layer. Say of which layer with --of.")
                return energy.conditional(of or energy.hidden[0], **chosen)
            case Quantity.free_energy:
                return energy.free_energy(layers, **chosen)
            case Quantity.log_partition:
                return energy.log_partition(**chosen)
            case Quantity.phase:
                return energy.phase(by or _widest(energy), layers)
            case Quantity.gradient:
                return energy.log_likelihood_gradient(by or _widest(energy))


def _widest(energy: Energy) -> str:
    """w where there is one, else the parameter over most layers."""
    if not energy.parameters:
        raise RequestError("the energy has no parameters to take a gradient by. Ask for another --quantity.")
    names = sorted(energy.parameters, key=lambda name: (-len(energy.parameters[name].layers), name))
    return "w" if "w" in energy.parameters else names[0]


def _check(derivation: Derivation, output: Format) -> None:
    note("checking …")
    verification = derivation.verify()
    say = typer.echo if output is Format.terminal else note
    if output is Format.terminal:
        typer.echo()
    say(str(verification))
    if verification.failures:
        raise Failed("the derivation is wrong.")
    if not verification:
        raise Failed("not every line could be checked.")
