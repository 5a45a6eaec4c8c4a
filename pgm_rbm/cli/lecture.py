"""``pgm-rbm lecture``: a lesson in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
from pgm_rbm.cli.files import new_output
from pgm_rbm.cli.program import Force, note


def lecture(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The page to write, such as rbm.html.")],
    energy: EnergyText = None,
    by: Annotated[
        str | None,
        typer.Option(metavar="PARAMETER", help="Write only the gradient by this; the whole lesson by default."),
    ] = None,
    visible: VisibleLayers = None,
    hidden: HiddenLayers = None,
    given: GivenLayers = None,
    parameter: ParameterAxes = None,
    symmetric: SymmetricParameters = None,
    force: Force = False,
) -> None:
    """Write the lecture on an energy as one HTML page that needs no network.

    \b
    Examples:
      pgm-rbm lecture rbm.html
      pgm-rbm lecture bias.html --by b
      pgm-rbm lecture counts.html --visible v:poisson
      pgm-rbm lecture plain.html "-sum(v\\[i]*w\\[i,j]*h\\[j], i, j)"
    """
    new_output(output, force, (".html",))
    asked = energy_from(energy, visible, hidden, given, parameter, symmetric)
    with asking():
        derivation = None if by is None else asked.log_likelihood_gradient(by)
        note("checking and typesetting …")
        (asked if derivation is None else derivation).lecture().write(output)
    typer.echo(str(output))
