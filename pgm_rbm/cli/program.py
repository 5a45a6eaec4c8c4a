"""What every command shares: how errors end the program, and the options that several commands take."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from pgm_rbm.machine.progress import Progress, is_watched, showing
from symbolic.errors import SymbolicError

__all__ = [
    "EnergyCommand",
    "Failed",
    "Force",
    "Limit",
    "ModelFile",
    "Program",
    "Quiet",
    "RequestError",
    "Threads",
    "as_options",
    "counting",
    "note",
    "number",
    "pairs",
    "refusing",
    "whole_number",
]


class RequestError(Exception):
    """The request was wrong; the message says how to put it right. Exit status 2."""


class Failed(Exception):
    """The request was right and the work did not succeed. Exit status 1."""


def note(message: str) -> None:
    """Print a line that is not a result, on standard error."""
    typer.echo(message, err=True)


def number(value: float) -> str:
    """Return a measure for people to read: with four decimals, or with six digits where it is large."""
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.6g}"


def counting(what: str, quiet: bool = False) -> AbstractContextManager[Progress | None]:
    """Return a context that yields the function to call with (done, in all), for a bar; None where nobody watches."""
    return showing(is_watched() and not quiet, what)


@contextmanager
def refusing(argument: str = "") -> Iterator[None]:
    """Raise the library's refusals of bad input as `RequestError`.

    Args:
        argument: the option or file that is refused; it begins the message.
    """
    try:
        yield
    except (ValueError, FileNotFoundError, IsADirectoryError, PermissionError) as error:
        message = as_options(str(error))
        raise RequestError(f"{argument}: {message}" if argument else message) from error


# Arguments and advice of the library's messages, and the options of the same meaning.
_SPOKEN = (
    (r", or None for [^.]*(?=\. Got)", ""),
    (r"\bsample\(n, method=.gibbs.\)", "pgm-rbm sample"),
    (r"Ask rbm\.graph, whose methods take", "Turn it into a .graphml file by pgm-rbm convert and pass"),
    (r"\(evidence=\.\.\.\)", "(--given)"),
    (r"\b(memory_limit|time_limit)\b", lambda match: "--" + match[1].replace("_", "-")),
    (r"\b(limit|method)=(['\"]?)([\w*]+)\2", r"--\1 \3"),
    (r"^(limit|method|executor)\b(?= (?:must|has))", lambda match: "--" + match[1].replace("executor", "cluster")),
)


def as_options(message: str) -> str:
    """Return a message of the library with options in place of the arguments that it names."""
    for pattern, spoken in _SPOKEN:
        message = re.sub(pattern, spoken, message)
    return message


class Program(TyperGroup):
    """The program as a whole; a mistake of the user ends it with one line that begins with ``error:``."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Some versions of Typer end the program without a word.
            raise typer.Abort from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        try:
            status = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except (Exception, KeyboardInterrupt) as error:
            status = _status_of(error) if standalone_mode else None
            if status is None:
                raise
        if standalone_mode:
            sys.exit(status if isinstance(status, int) else 0)
        return status


def _status_of(error: BaseException) -> int | None:
    """Print what went wrong and return the exit status; None for an error that nobody foresaw."""
    match error:
        case RequestError():
            return _fail(str(error), 2)
        case Failed():
            return _fail(str(error), 1)
        case typer.Abort() | KeyboardInterrupt():
            return _fail("stopped.", 130)
        case SymbolicError():
            return _fail(str(error), 1)
        case RecursionError():
            return _fail("an expression is nested too deeply for this.", 1)
        case MemoryError():
            return _fail("there is not enough memory for this.", 1)
        case OSError():
            return _fail(str(error), 1)
    # Typer's own errors share no public base class, but all of them have these two.
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        return _fail(_with_hint(error), 2)
    return None


def _fail(message: str, status: int) -> int:
    typer.secho("error: ", err=True, nl=False, fg=typer.colors.RED, bold=True)
    typer.echo(message, err=True)
    return status


def _with_hint(error: Any) -> str:
    context = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split()).replace("Value error, ", "")
    if not message.endswith((".", ")")):
        message += "."
    return f"{message} See {context.command_path} --help." if context is not None else message


class EnergyCommand(TyperCommand):
    """A command that takes the text of an energy, which may start with a minus sign, as options do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        energies = [one for one in args if one.startswith("-") and any(sign in one for sign in "([* ")]
        if energies and "--" not in args:
            args = [one for one in args if one not in energies] + ["--", *energies]
        return super().parse_args(ctx, args)


def whole_number(text: str) -> int:
    """Return a whole number, which may be written as a power such as 2**28.

    Raises:
        typer.BadParameter: the text is not a whole number.
    """
    base, power, exponent = text.partition("**")
    try:
        # A larger power would be no limit at all, and might take long to compute.
        if power and 0 <= int(exponent) <= 4096:
            return int(base) ** int(exponent)
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a whole number.") from None


def pairs(texts: Sequence[str], option: str, form: str) -> list[tuple[str, str]]:
    """Return ``name=value`` texts as pairs.

    Args:
        texts: the values of the option.
        option: the option's name, for the message.
        form: an example of the right form, for the message.

    Raises:
        RequestError: one of them has another form.
    """
    separator = "=" if "=" in form else ":"
    result = []
    for text in texts:
        name, found, value = text.partition(separator)
        if not found or not name.strip() or not value.strip():
            raise RequestError(f"{option} must look like {form}. Got {text!r}.")
        result.append((name.strip(), value.strip()))
    return result


ModelFile = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, as train writes it.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the output if it exists.")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads to use; all by default. The result is the same for any number.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Limit = Annotated[
    int | None,
    typer.Option(
        parser=whole_number,
        metavar="N",
        help="The most configurations to enumerate for an exact result; 2**24 by default.",
    ),
]
