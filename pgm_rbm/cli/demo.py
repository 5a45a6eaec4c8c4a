"""``pgm-rbm demo``: the whole way, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgm_rbm.cli.program import Failed, RequestError, refusing


def demo(
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Where its files go; files of an earlier demo are replaced."
        ),
    ] = Path("demo-output"),
) -> None:
    """Derive, check, generate, train and show: the whole way in under a minute.

    Derives and checks the gradient, trains on real handwritten digits with the generated kernels, compares their
    gradient with finite differences of the exact ln p, and writes the lecture, a picture and the model.

    \b
    Example:
      pgm-rbm demo --output demo-output
    """
    from pgm_rbm.demo import DemoError, run

    if output.exists() and not output.is_dir():
        raise RequestError(f"{output} is a file. Name a folder for --output.")
    with refusing("--output"):
        output.mkdir(parents=True, exist_ok=True)
    try:
        run(output)
    except DemoError as error:
        raise Failed(str(error)) from error
