"""The program run in this process, and what must hold of a request that is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from pgm_rbm import cli

RUNNER = CliRunner()


COMMANDS = (
    "derive",
    "lecture",
    "train",
    "evaluate",
    "sample",
    "partition",
    "tractability",
    "compose",
    "convert",
    "demo",
)


def run(*arguments: Any, status: int = 0, **settings: Any) -> Any:
    """Run the program in this process; a traceback that gets out fails the test."""
    result = RUNNER.invoke(cli.app, [str(one) for one in arguments], catch_exceptions=False, **settings)
    assert result.exit_code == status, result.output
    return result


def refused(*arguments: Any, status: int = 2, **settings: Any) -> str:
    """Run what must be refused, and give the message back."""
    result = run(*arguments, status=status, **settings)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    return result.stderr


def left_over(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir() if one.name.startswith(".")]


PAIR = "-sum(v[i]*w[i,j]*h[j], i, j)"


def text(name: str, content: str) -> None:
    with open(name, "w", encoding="utf-8") as stream:
        stream.write(content)
