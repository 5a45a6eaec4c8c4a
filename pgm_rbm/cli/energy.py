"""The options that describe an energy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pgm_rbm.cli.program import RequestError, pairs, refusing

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = ["EnergyText", "HiddenLayers", "VisibleLayers", "energy_from"]

EnergyText = Annotated[
    str | None,
    typer.Argument(
        metavar="ENERGY",
        help="The energy as text, or - to read it from standard input. The RBM with biases by default.",
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
        RequestError: the text or a layer cannot be read, or layers are named and no text uses them.
    """
    from symbolic import Energy, energies

    layers = [
        dict(pairs(given or [default], option, default))
        for given, option, default in ((visible, "--visible", "v:binary"), (hidden, "--hidden", "h:binary"))
    ]
    with refusing():
        if text is not None:
            text = sys.stdin.read() if text == "-" else text
            return Energy.parse(text, visible=layers[0], hidden=layers[1])
        if [list(layer) for layer in layers] != [["v"], ["h"]]:
            raise RequestError("layers other than v and h need an ENERGY that uses them. Give its text too.")
        return energies.pairwise(layers[0]["v"], layers[1]["h"])
