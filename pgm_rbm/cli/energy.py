"""The options that describe an energy, and the library's advice in the words of the command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from pgm_rbm.cli.program import RequestError, pairs

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = [
    "EnergyText",
    "GivenLayers",
    "HiddenLayers",
    "ParameterAxes",
    "SymmetricParameters",
    "VisibleLayers",
    "asking",
    "energy_from",
]

EnergyText = Annotated[
    str | None,
    typer.Argument(
        metavar="ENERGY",
        help="The energy as text, or - to read it from standard input. The RBM with biases by default.",
    ),
]
VisibleLayers = Annotated[
    list[str] | None,
    typer.Option(
        "--visible",
        metavar="NAME:UNIT",
        help="A visible layer, such as v:spin or 'v:binomial(4)'; may be repeated. v:binary by default.",
    ),
]
HiddenLayers = Annotated[
    list[str] | None,
    typer.Option(
        "--hidden",
        metavar="NAME:UNIT",
        help="A hidden layer, such as h:gaussian or 'h:{-1, 0, 1}'; may be repeated. h:binary by default; none: no "
        "hidden layer.",
    ),
]
GivenLayers = Annotated[
    list[str] | None,
    typer.Option("--given", metavar="NAME:UNIT", help="A layer that is always clamped; may be repeated."),
]
ParameterAxes = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        metavar="NAME:LAYERS",
        help="The layers of a parameter's axes where the text leaves them open, such as u:v,h, or c: for a single "
        "number; may be repeated.",
    ),
]
SymmetricParameters = Annotated[
    list[str] | None,
    typer.Option(
        "--symmetric", metavar="NAME", help="A parameter with L\\[i,k] = L\\[k,i] and no diagonal; may be repeated."
    ),
]

# Arguments, as the library's advice writes them, and the options of the same meaning.
_OPTIONS = (
    (re.compile(r"parameters=\{'(\w+)': \(\)\}"), r"--parameter \1:"),
    (re.compile(r"parameters=\{'(\w+)': \(\.\.\.\)\}"), r"--parameter \1:LAYER,LAYER"),
    (re.compile(r"parameters="), "--parameter NAME:LAYER,LAYER"),
    (re.compile(r'conditional\(\.\.\., method="single-site"\)'), "--quantity conditional --method single-site"),
    (re.compile(r'method="closed form"'), "--method closed-form"),
    (re.compile(r'method="([\w-]+)"'), r"--method \1"),
    (re.compile(r"visible=\[(\w+)\]"), r"--visible \1:binary"),
)


@contextmanager
def asking() -> Iterator[None]:
    """Raise the library's refusals as `RequestError`, with options in place of the arguments they name."""
    try:
        yield
    except ValueError as error:
        said = str(error)
        for pattern, option in _OPTIONS:
            said = pattern.sub(option, said)
        raise RequestError(said) from error


def energy_from(
    text: str | None,
    visible: list[str] | None,
    hidden: list[str] | None,
    given: list[str] | None = None,
    parameters: list[str] | None = None,
    symmetric: list[str] | None = None,
) -> Energy:
    """Return the energy that the options describe.

    Raises:
        RequestError: the text, a layer or a parameter's axes cannot be read, or layers are named that no text uses.
    """
    from symbolic import Energy, energies

    hidden = [] if hidden == ["none"] else hidden or ["h:binary"]
    layers = [
        _named(texts, option, example)
        for texts, option, example in (
            (visible or ["v:binary"], "--visible", "v:binary"),
            (hidden, "--hidden", "h:binary"),
            (given or [], "--given", "x:binary"),
        )
    ]
    with asking():
        if text is not None:
            text = sys.stdin.read() if text == "-" else text
            return Energy.parse(
                text,
                visible=layers[0],
                hidden=layers[1],
                given=layers[2],
                parameters=_axes(parameters or []),
                symmetric=symmetric or [],
            )
        if given or parameters or symmetric:
            raise RequestError("--given, --parameter and --symmetric are for your own ENERGY. Give its text too.")
        if [list(layer) for layer in layers[:2]] != [["v"], ["h"]]:
            raise RequestError("layers other than v and h need an ENERGY that uses them. Give its text too.")
        return energies.pairwise(layers[0]["v"], layers[1]["h"])


def _named(texts: list[str], option: str, example: str) -> dict[str, str]:
    found = pairs(texts, option, example)
    names = [name for name, _ in found]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise RequestError(f"{option} names the layer {doubled} twice. Name it once.")
    return dict(found)


def _axes(texts: list[str]) -> dict[str, tuple[str, ...]]:
    axes = {}
    for text in texts:
        name, found, layers = text.partition(":")
        if not found or not name.strip():
            raise RequestError(f"--parameter must look like u:v,h, or c: for a single number. Got {text!r}.")
        axes[name.strip()] = tuple(layer.strip() for layer in layers.split(",")) if layers.strip() else ()
    return axes
