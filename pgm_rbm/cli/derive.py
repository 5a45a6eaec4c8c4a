"""``pgm-rbm derive``: a derivation, printed and checked, or the code generated from it."""

from __future__ import annotations

from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Literal

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


Quantity = Literal["gradient", "free-energy", "conditional", "phase", "log-partition"]
Method = Literal["closed-form", "single-site", "enumeration", "auto"]
Format = Literal["terminal", "latex", "json", "python"]
Target = Literal["numba", "numpy", "array-api"]

# The options that each quantity takes.
_TAKES: dict[Quantity, tuple[str, ...]] = {
    "gradient": ("--by",),
    "free-energy": ("--of", "--method"),
    "conditional": ("--of", "--method"),
    "phase": ("--by", "--of"),
    "log-partition": ("--method",),
}

ChosenQuantity = Annotated[
    Quantity,
    typer.Option(
        help="gradient: ∂ ln p(v)/∂θ as Term A − Term B; free-energy: F(v); conditional: p(h_j | v) and its mean; "
        "phase: ⟨−∂E/∂θ⟩ given v, in closed form; log-partition: ln Z."
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        metavar="PARAMETER",
        help="The parameter of a gradient or a phase; w by default, or the parameter over most layers.",
    ),
]
Of = Annotated[
    str | None,
    typer.Option(
        metavar="LAYER",
        help="The layer of a conditional (the hidden one by default), or the layers, with commas between them, that a "
        "free energy or a phase is a function of (the visible ones by default).",
    ),
]
ChosenMethod = Annotated[
    Method | None,
    typer.Option(
        help="How layers are summed out in a free-energy, a conditional or ln Z: closed-form, the default but for "
        "ln Z; single-site: a conditional given all other units; enumeration: the sum as it is; auto: the first "
        "that serves.",
    ),
]
Check = Annotated[
    bool, typer.Option("--check", help="Check every line; status 1 if one is wrong or cannot be checked.")
]
ChosenFormat = Annotated[
    Format, typer.Option("--format", help="How to print it; python: the kernels generated from it.")
]
ChosenTarget = Annotated[
    Target | None,
    typer.Option(help="With --format python, what the code runs on: numba by default; array-api: any array library."),
]
Width = Annotated[int | None, typer.Option(min=40, help="Columns to use on a terminal; its own width by default.")]
Ascii = Annotated[bool, typer.Option("--ascii", help="Use no character beyond ASCII.")]


def derive(
    energy: EnergyText = None,
    quantity: ChosenQuantity = "gradient",
    by: By = None,
    of: Of = None,
    method: ChosenMethod = None,
    visible: VisibleLayers = None,
    hidden: HiddenLayers = None,
    given: GivenLayers = None,
    parameter: ParameterAxes = None,
    symmetric: SymmetricParameters = None,
    check: Check = False,
    output: ChosenFormat = "terminal",
    target: ChosenTarget = None,
    width: Width = None,
    ascii: Ascii = False,
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
    if target is not None and output != "python":
        raise RequestError("--target is for --format python. Leave it out, or add that.")
    if output == "python" and not check and (by, of, method, quantity) != (None, None, None, "gradient"):
        raise RequestError(
            "the module holds all kernels; --quantity, --by, --of and --method choose what --check checks. Leave them "
            "out."
        )
    asked = energy_from(energy, visible, hidden, given, parameter, symmetric)
    if output == "python":
        typer.echo(_kernels(asked, target or "numba"), nl=False)
        if not check:
            return
    found = _derivation(asked, quantity, by, of, method)
    match output:
        case "latex":
            typer.echo(found.latex())
        case "json":
            typer.echo(found.to_json())
        case "terminal":
            columns = width or min(get_terminal_size((100, 24)).columns, 120)
            typer.echo(found.text(ascii=ascii, width=columns))
    if check:
        _check(found, output)


def _kernels(energy: Energy, target: Target) -> str:
    from symbolic.codegen.build import generate

    with asking():
        return generate(energy, target)


def _derivation(
    energy: Energy, quantity: Quantity, by: str | None, of: str | None, method: Method | None
) -> Derivation:
    for option, value in (("--by", by), ("--of", of), ("--method", method)):
        if value is not None and option not in _TAKES[quantity]:
            able = " or ".join(other for other, options in _TAKES.items() if option in options)
            raise RequestError(f"{option} is for --quantity {able}. Leave it out.")
    chosen = {} if method is None else {"method": method.replace("-form", " form")}
    with asking():
        energy.log_partition("enumeration")  # refuses an energy that has no Z for any parameters
        layers = None if of is None else [name.strip() for name in of.split(",")]
        match quantity:
            case "conditional":
                if of is None and not energy.hidden:
                    raise RequestError("the energy has no hidden layer. Say of which layer with --of.")
                return energy.conditional(of or energy.hidden[0], **chosen)
            case "free-energy":
                return energy.free_energy(layers, **chosen)
            case "log-partition":
                return energy.log_partition(**chosen)
            case "phase":
                return energy.phase(by or _widest(energy), layers)
            case "gradient":
                return energy.log_likelihood_gradient(by or _widest(energy))


def _widest(energy: Energy) -> str:
    """Return the name w where there is such a parameter, else that of the parameter over most layers."""
    if not energy.parameters:
        raise RequestError("the energy has no parameters to take a gradient by. Ask for another --quantity.")
    names = sorted(energy.parameters, key=lambda name: (-len(energy.parameters[name].layers), name))
    return "w" if "w" in energy.parameters else names[0]


def _check(derivation: Derivation, output: Format) -> None:
    note("checking …")
    verification = derivation.verify()
    say = typer.echo if output == "terminal" else note
    if output == "terminal":
        typer.echo()
    say(str(verification))
    if verification.failures:
        raise Failed("the derivation is wrong.")
    if not verification:
        raise Failed("not every line could be checked.")
