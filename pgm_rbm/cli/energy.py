"""The options that describe an energy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pgm_rbm.cli.program import pairs, refusing

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = ["BINARY", "EnergyText", "HiddenLayers", "VisibleLayers", "energy_from"]

BINARY = "-sum(v[i]*w[i,j]*h[j], i, j) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)"
"""The binary RBM with biases, in the text form."""

EnergyText = Annotated[
    str | None,
    typer.Argument(
        metavar="ENERGY", help="The energy as text, or - to read it from standard input. The binary RBM by default."
    ),
]
VisibleLayers = Annotated[
    list[str] | None,
    typer.Option("--visible", metavar="NAME:UNIT", help="A visible layer; may be repeated. v:binary by default."),
]
HiddenLayers = Annotated[
    list[str] | None,
    typer.Option("--hidden", metavar="NAME:UNIT", help="A hidden layer; may be repeated. h:binary by default."),
]


def energy_from(text: str | None, visible: list[str] | None, hidden: list[str] | None) -> Energy:
    """The energy that the options describe.

    Raises:
        RequestError: the text or a layer cannot be read.
    """
    from symbolic import Energy

    if text is None:
        text = BINARY
    elif text == "-":
        text = sys.stdin.read()
    layers = [
        dict(pairs(given or [default], option, default))
        for given, option, default in ((visible, "--visible", "v:binary"), (hidden, "--hidden", "h:binary"))
    ]
    with refusing():
        return Energy.parse(text, visible=layers[0], hidden=layers[1])
