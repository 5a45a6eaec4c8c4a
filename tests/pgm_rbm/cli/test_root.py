"""The program as a whole: its help, what starting loads, and how a wrong request ends."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

from pgm_rbm import cli
from tests.pgm_rbm.cli.program import COMMANDS, refused, run


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: Any) -> None:
    shown = run(command, "--help", env={"COLUMNS": "120"}).stdout
    assert f"pgm-rbm {command} " in shown
    assert "Example" in shown


def test_help_keeps_its_brackets() -> None:
    """Rich takes what stands in square brackets for markup, unless a backslash says that it is none."""
    program: Any = typer.main.get_command(cli.app)
    commands = {name: program.get_command(None, name) for name in program.list_commands(None)}
    commands |= {
        name: part for group in list(commands.values()) for name, part in getattr(group, "commands", {}).items()
    }
    assert set(COMMANDS) < set(commands)
    for name, command in commands.items():
        options = command.get_params(typer.Context(command))
        for text in [command.help, *(getattr(one, "help", None) for one in options)]:
            assert not re.search(r"(?<!\\)\[", text or ""), (name, text)
    for command in ("derive", "lecture"):
        shown = run(command, "--help", env={"COLUMNS": "200"}).stdout
        assert "A parameter with L[i,k] = L[k,i] and no diagonal" in shown
        assert '"-sum(v[i]*w[i,j]*h[j], i, j)"' in shown


def test_without_a_command_the_help_is_shown() -> None:
    shown = run().stdout
    assert all(command in shown for command in COMMANDS)


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        ("sample", ("numpy", "sympy", "numba", "networkx", "matplotlib", "symbolic.language")),
        # The options are made from the settings, which lie beside optimisers that move arrays.
        ("train", ("sympy", "numba", "networkx", "matplotlib")),
    ],
)
def test_starting_loads_nothing_heavy(command: str, heavy: tuple[str, ...]) -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "import pgm_rbm.cli\n"
        f"assert CliRunner().invoke(pgm_rbm.cli.app, [{command!r}, '--help']).exit_code == 0\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "nothing"),
        (["train", "--nothing"], "--nothing"),
        (["train"], "DATA"),
        (["derive", "--format", "word"], "--format"),
        (["derive", "--format", "python", "--target", "cuda"], "--target"),
        (["partition", "m", "--limit", "many"], "many"),
        (["sample", "m", "-n", "0"], "-n"),
    ],
)
def test_a_wrong_request_is_one_line(arguments: list[Any], words: str) -> None:
    message = refused(*arguments)
    assert words in message
    assert "--help" in message
    assert len(message.splitlines()) == 1


def test_the_console_script_ends_with_the_status_and_without_traceback(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from pgm_rbm.cli import main; main()"]
    found = subprocess.run([*program, "partition", "none"], capture_output=True, text=True, cwd=tmp_path)
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr == "error: there is no model file none.\n"
