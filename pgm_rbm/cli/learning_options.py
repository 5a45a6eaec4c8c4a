"""The options of ``pgm-rbm train`` that are made from the fields of the learning settings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

__all__ = ["LearningCommand", "learning_options", "with_options_named"]


class LearningCommand(TyperCommand):
    """A command with an option for each learning setting; the context's ``obj`` holds the values, None by default.

    The options are made once a person asks for this command, so that no other waits for NumPy: the help of ``train``
    takes 0.48 s, that of the others 0.3 s (2 cores, 2026-12).
    """

    def get_params(self, ctx: Any) -> list[Any]:
        return [*super().get_params(ctx), *learning_options()]

    def invoke(self, ctx: Any) -> Any:
        ctx.obj = {option.name: ctx.params.pop(option.name) for option in learning_options()}
        return super().invoke(ctx)


@cache
def learning_options() -> list[Any]:
    """Return an option for each field of `learning.settings.Settings`, and of `Run` where it has a help text."""
    from pgm_rbm.learning.settings import Run, Settings

    def made(**_: Any) -> None: ...

    given = [*_parameters(Settings, "Learning"), *_parameters(Run, "Running")]
    # Typer makes options from the signature of a function.
    vars(made)["__signature__"] = inspect.Signature(given)
    made.__annotations__ = {one.name: one.annotation for one in given}
    program = typer.Typer(add_completion=False)
    program.command()(made)
    return typer.main.get_command(program).params


def _parameters(settings: Any, panel: str) -> Iterator[inspect.Parameter]:
    """Yield the parameter that Typer makes an option from, for each field that has a help text."""
    types = get_type_hints(settings)
    for name, field in settings.__dataclass_fields__.items():
        of = field.metadata.get("made_of", {name: (types[name], field.metadata.get("help"))})
        for argument, (kind, text) in of.items():
            if text is not None:
                names = field.metadata.get("options", ())
                option = typer.Option(*names, help=text, min=field.metadata.get("least"), rich_help_panel=panel)
                annotation: Any = Annotated[kind | None, option]
                yield inspect.Parameter(argument, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def with_options_named(message: str) -> str:
    """Return a message of the library with options in place of settings, such as --batch-size for batch_size."""
    for option in learning_options():
        flag = max(option.opts, key=len)
        message = re.sub(rf"\b{option.name}=(['\"]?)([\w.]*\w)\1", rf"{flag} \2", message)
        message = re.sub(rf"\b{option.name}\b(?= must)", flag, message)
    return message
