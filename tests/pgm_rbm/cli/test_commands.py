from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import typer.main
from typer.testing import CliRunner

from pgm_rbm import RBM, cli
from symbolic import Derivation, energies

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


@pytest.fixture
def rows() -> np.ndarray:
    # Two patterns and their noisy copies: enough for something to be learnt.
    rng = np.random.default_rng(3)
    patterns = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 1]], dtype=np.int8)
    return np.where(
        rng.random((60, 6)) < 0.1, 1 - patterns[rng.integers(2, size=60)], patterns[rng.integers(2, size=60)]
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: np.ndarray) -> Path:
    """A folder with data and a model in it, as the working directory."""
    monkeypatch.chdir(tmp_path)
    np.save("data.npy", rows)
    rbm = RBM(6, 3, seed=1)
    rbm.weights = np.random.default_rng(1).normal(size=(6, 3))
    rbm.save("model.safetensors")
    return tmp_path


def left_over(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir() if one.name.startswith(".")]


# The cache of generated code --------------------------------------------------------------------------------------


def test_the_cache_can_be_looked_at_and_cleared(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGM_RBM_CACHE", str(here / "kept"))
    program = [sys.executable, "-c", "from pgm_rbm.cli import main; main()"]

    def call(*arguments: str) -> str:
        found = subprocess.run([*program, *arguments], capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        return found.stdout

    assert "modules  0" in call("cache", "info")
    call("partition", "model.safetensors")
    (here / "kept" / "notes.txt").write_text("somebody else's")
    shown = call("cache", "info")
    assert "modules  1" in shown
    assert "E(v, h) = " in shown
    assert "numba" in shown
    assert "removed" in call("cache", "clear")
    assert call("cache", "warm", "spin:binary", "--quiet") == "compiled for spin:binary, in float32 and float64\n"
    assert "modules  1" in call("cache", "info")
    assert "removed" in call("cache", "clear")
    assert [one.name for one in (here / "kept").iterdir()] == ["notes.txt"]
    assert "modules  0" in call("cache", "info")


# Help and start --------------------------------------------------------------------------------------------------


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
        for text in [command.help, *(getattr(one, "help", None) for one in command.params)]:
            assert not re.search(r"(?<!\\)\[", text or ""), (name, text)
    for command in ("derive", "lecture"):
        shown = run(command, "--help", env={"COLUMNS": "200"}).stdout
        assert "A parameter with L[i,k] = L[k,i] and no diagonal" in shown
        assert '"-sum(v[i]*w[i,j]*h[j], i, j)"' in shown


def test_without_a_command_the_help_is_shown() -> None:
    shown = run().stdout
    assert all(command in shown for command in COMMANDS)


def test_starting_loads_nothing_heavy() -> None:
    heavy = ("numpy", "sympy", "numba", "networkx", "matplotlib", "symbolic.language")
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "import pgm_rbm.cli\n"
        "assert CliRunner().invoke(pgm_rbm.cli.app, ['train', '--help']).exit_code == 0\n"
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


# derive and lecture ----------------------------------------------------------------------------------------------


def test_derive_prints_and_checks_the_gradient() -> None:
    shown = run("derive", "--check").stdout
    assert "⟨vᵢ hⱼ⟩ᵥ − ⟨vᵢ hⱼ⟩ᵥₕ" in shown
    assert "checks passed" in shown


def test_derive_takes_an_energy_that_starts_with_a_minus() -> None:
    shown = run("derive", "-sum(v[i]*w[i,j]*h[j], i, j)", "--format", "latex").stdout
    assert "w_{ij}" in shown
    assert "a_{i}" not in shown
    other = run("derive", "--visible", "x:binary", "--hidden", "y:binary", "--by", "c", "-sum(x[i]*c[i,j]*y[j], i, j)")
    assert "cᵢⱼ" in other.stdout


def test_derive_reads_an_energy_from_standard_input() -> None:
    shown = run("derive", "-", "--by", "b", input="-sum(v[i]*w[i,j]*h[j], i, j) - sum(b[j]*h[j], j)").stdout
    assert "⟨hⱼ⟩" in shown


def test_derive_quantities() -> None:
    assert "p(hⱼ ∣ v)" in run("derive", "--quantity", "conditional").stdout
    assert "p(vᵢ ∣ h)" in run("derive", "--quantity", "conditional", "--of", "v").stdout
    assert "F(v)" in run("derive", "--quantity", "free-energy").stdout


def test_derive_as_json_comes_back_as_the_same_derivation() -> None:
    result = run("derive", "--by", "a", "--format", "json", "--check")
    assert "checks passed" in result.stderr
    assert Derivation.from_json(result.stdout).verify()


@pytest.mark.parametrize("target", ["numba", "numpy", "array-api"])
def test_derive_prints_the_generated_module(target: str) -> None:
    energy = "-sum(x[k]*G[k,i,j]*v[i]*h[j], k, i, j)"
    layers = ("--visible", "x:binary", "--visible", "v:spin", "--hidden", "h:binary")
    shown = run("derive", energy, *layers, "--format", "python", "--target", target).stdout
    compile(shown, "module", "exec")
    assert f'TARGET = "{target}"' in shown
    assert "def sample_of_h(" in shown


def test_derive_prints_the_module_alone_and_what_was_checked_beside_it() -> None:
    result = run("derive", "--format", "python", "--check", "--by", "a")
    assert 'TARGET = "numba"' in result.stdout
    assert "checks passed" in result.stderr


PAIR = "-sum(v[i]*w[i,j]*h[j], i, j)"
ALONE = ("-sum(v[i]*L[i,k]*v[k], i, k)/2", "--hidden", "none", "--symmetric", "L")
TIED = (PAIR + " - sum(h[j]*L[j,k]*h[k], j, k)/2", "--symmetric", "L")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--visible", "v:poisson", "--quantity", "log-partition"], "ln Z"),
        (["--hidden", "h:{-1, 0, 1}", "--quantity", "conditional"], "⟨hⱼ⟩"),
        (["--visible", "v:binomial(4)", "--by", "a"], "⟨vᵢ⟩"),
        (["--quantity", "phase", "--by", "b"], "⟨hⱼ⟩"),
        ([PAIR + " + sum(h[j]^2, j)/2", "--hidden", "h:gaussian", "--quantity", "free-energy"], "⌠"),
        ([PAIR + " - c*sum(v[i], i)", "--parameter", "c:", "--by", "c"], "∂c"),
        ([PAIR + " - sum(t[k], k)*sum(v[i], i)", "--parameter", "t:h", "--by", "t"], "∂tⱼ"),
        ([PAIR + " - sum(x[k]*u[k,j]*h[j], k, j)", "--given", "x:gaussian", "--by", "u"], "∂u"),
        ([*ALONE], "∂Lᵢₘ"),
        (
            [*ALONE, "--quantity", "conditional", "--of", "v", "--method", "single-site"],
            "v∖ᵢ",
        ),
        (
            [*TIED, "--quantity", "conditional", "--method", "single-site"],
            "method: single-site",
        ),
        (
            [*TIED, "--quantity", "free-energy", "--method", "auto"],
            "method: enumeration",
        ),
    ],
)
def test_derive_any_energy_and_check_it(arguments: Any, shown: str) -> None:
    result = run("derive", *arguments, "--check")
    assert shown in " ".join(result.stdout.split())  # lines are folded to the width of the terminal
    assert "checks passed" in result.stdout
    assert "checking" in result.stderr


def _text_form(made: Any) -> str:
    """The energy's text in the docstring of the function that makes it, for the arguments it has by default."""
    blocks = [" ".join(block.split()) for block in re.findall(r"::\n\n((?: {8}.*\n)+)", made.__doc__)]
    if made is energies.gaussian:
        return next(block for block in blocks if "z[i]" in block)
    squares = " + sum(v[i]^2, i)/2" if made is energies.covariance else ""  # for Gaussian units, as it says below
    return (blocks or re.findall(r"``(-sum.*?)``", made.__doc__))[0] + squares


@pytest.mark.parametrize("name", energies.READY_MADE)
def test_derive_ready_made_energies_from_their_text_by_every_parameter(name: Any) -> None:
    made = energies.READY_MADE[name]
    energy = made()
    sides = {"--visible": energy.visible, "--hidden": energy.hidden, "--given": energy.given}
    options = [part for side, layers in sides.items() for x in layers for part in (side, f"{x.name}:{x.unit}")]
    options += [part for p in energy.parameters.values() if p.symmetric for part in ("--symmetric", p.name)]
    for parameter in energy.parameters:
        result = run("derive", _text_form(made), *options, "--by", parameter, "--check", "--format", "json")
        assert Derivation.from_json(result.stdout) == energy.log_likelihood_gradient(parameter)
    assert "checks passed" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["-v[0]*c " + PAIR, "--parameter", "c:", "--by", "c"], "⟨v₀⟩ᵥₕ"),
        (["-v[5]*c " + PAIR, "--parameter", "c:", "--by", "c"], "⟨v₅⟩ᵥₕ"),
        (["-v[0]*c " + PAIR, "--parameter", "c:", "--quantity", "free-energy"], "c v₀"),
        ([PAIR + " - w[0,1]*v[0]*h[1]"], "v₀ h₁ δ₀ᵢ δ₁ⱼ"),
        (["3", "--quantity", "log-partition"], "E(vᵘ, hᵍ)"),
        (["exp(1000) " + PAIR], "⟨vᵢ hⱼ⟩ᵥₕ"),
        (["-sum(v[i]*w[i,j]*exp(h[j]), i, j)", "--quantity", "conditional"], "e ⎳ vₖ wₖⱼ"),
        (["-sum(v[i]*w[i,j]*ln(1 + h[j]), i, j)", "--hidden", "h:{0, 2}", "--quantity", "free-energy"], "ln 3"),
        (["-sum(v[i]*exp(w[i,j])*h[j], i, j)"], "e"),
        (["-sum(v[i]*w[i,j]*h[j], i, j)/n_v"], "n"),
    ],
)
def test_derive_unusual_energies_in_every_form(arguments: Any, shown: str) -> None:
    result = run("derive", *arguments, "--check", "--width", "110")
    assert shown in " ".join(result.stdout.split())
    for form in ("latex", "json"):
        assert run("derive", *arguments, "--format", form).stdout


def test_derive_prints_the_module_of_a_constant() -> None:
    compile(run("derive", "3", "--format", "python", "--target", "numpy").stdout, "module", "exec")


def test_what_cannot_be_checked_is_said_once() -> None:
    result = run("derive", "-v[40]*c " + PAIR, "--parameter", "c:", "--by", "c", "--check", status=1)
    assert result.stdout.count("configurations to sum over") == 1
    assert "(and 16 more lines): the smallest model for it has 2^42 configurations" in result.stdout
    assert result.stderr.endswith("error: not every line could be checked.\n")


def test_what_cannot_be_printed_is_a_failure_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from symbolic import SymbolicError

    def unknown(self: Any) -> None:
        raise SymbolicError("there is no notation for Surprise.")

    monkeypatch.setattr(Derivation, "latex", unknown)
    assert refused("derive", "--format", "latex", status=1) == "error: there is no notation for Surprise.\n"


def test_derive_takes_by_default_the_parameter_over_most_layers() -> None:
    assert "∂uᵢⱼ" in run("derive", "-sum(v[i]*u[i,j]*h[j], i, j) - sum(b[j]*h[j], j)").stdout


def test_derive_says_where_a_line_could_not_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    from symbolic import Check, Verification

    unknown = Check("Term A", 0, "exp_chain", False, "no parameters were found", "not checkable")
    monkeypatch.setattr(Derivation, "verify", lambda self: Verification((unknown,), {"v": 2}, 1))
    result = run("derive", "--check", status=1)
    assert "no parameters were found" in result.stdout
    assert "could be checked" in result.stderr
    assert "wrong" not in result.stderr


def test_advice_names_options_that_there_are() -> None:
    for arguments in (
        [PAIR + " - c*sum(v[i], i)"],
        [PAIR + " - sum(t[k], k)"],
        [*TIED, "--quantity", "free-energy"],
        [*TIED, "--quantity", "conditional"],
        [*TIED, "--quantity", "phase"],
    ):
        said = refused("derive", *arguments)
        assert "--parameter" in said or "--method" in said
        assert not re.search(r"parameters=|method=|conditional\(", said)


def test_derive_in_ascii() -> None:
    assert run("derive", "--ascii").stdout.isascii()


def test_a_failed_check_ends_with_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    from symbolic import Check, Verification

    failed = Verification((Check("Term A", 0, "exp_chain", False, "the two sides differ at point 1"),), {"v": 2}, 1)
    monkeypatch.setattr(Derivation, "verify", lambda self: failed)
    assert "error: " in run("derive", "--check", status=1).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-sum(v[i]*w[i,j]*h[k], i, j)"], "index k"),
        (["-sum(v[i]*w[i,j]*h[j], i, j"], "line 1, column"),
        (["__import__('os')"], "column"),
        (["--by", "zeta"], "'zeta'"),
        (["--visible", "v"], "v:binary"),
        (["--visible", "x:binary"], "ENERGY"),
        (["--visible", "v:trinary"], "trinary"),
        (["--of", "h"], "--of"),
        (["--quantity", "conditional", "--of", "x"], "'x'"),
        (["--quantity", "free-energy", "--by", "w"], "--by"),
        (["--target", "numpy"], "--target is for --format python"),
        ([PAIR, "--visible", "v:gaussian"], "no finite sum"),
        (["--visible", "v:binary", "--visible", "v:spin"], "twice"),
        (["--given", "x:binary"], "ENERGY of your own"),
        (["--parameter", "c"], "ENERGY of your own"),
        ([PAIR, "--parameter", "c"], "--parameter must look like"),
        ([PAIR, "--symmetric", "L"], "'L'"),
        (["--method", "auto"], "--method is for --quantity free-energy or conditional"),
        (["--quantity", "conditional", "--method", "enumeration"], "single-site"),
        (["--quantity", "conditional", "--hidden", "none", "-sum(v[i]*a[i], i)"], "--of"),
        (["--hidden", "none", "-sum(v[i], i)"], "no parameters"),
        (["3"], "no parameters"),
        (["3", "--quantity", "free-energy"], "no term of −E holds a unit of layer h"),
        (["exp(1000) " + PAIR, "--format", "python"], "exp(1000) is beyond what floating-point numbers hold"),
        ([PAIR + " - sum(v[i], i)/0"], "an infinite number"),
        ([PAIR + " - ln(-1)*sum(v[i], i)"], "an imaginary number"),
        (["-sum(v[i]*w[i,j]/h[j], i, j)"], "in 1/h[l] it divides by zero with units of layer h in the state 0"),
        (["--format", "python", "--by", "w"], "the module holds all kernels"),
    ],
)
def test_derive_refuses(arguments: Any, words: str) -> None:
    assert words in refused("derive", *arguments)


def test_lecture_writes_a_page(here: Path) -> None:
    assert run("lecture", "page.html").stdout == "page.html\n"
    assert "<math" in (here / "page.html").read_text("utf-8")
    assert "--force" in refused("lecture", "page.html")
    run("lecture", "page.html", "--by", "b", "--force")
    assert ".html" in refused("lecture", "page.doc")
    assert "'q'" in refused("lecture", "other.html", "--by", "q")
    run("lecture", "counts.html", PAIR, "--visible", "v:poisson", "--by", "w")
    assert "relative to it" in (here / "counts.html").read_text("utf-8")
    assert "no finite sum" in refused("lecture", "other.html", PAIR, "--visible", "v:gaussian")
    assert not (here / "other.html").exists()
    assert left_over(here) == []


# train -----------------------------------------------------------------------------------------------------------


def test_train_writes_a_model_that_has_learnt(here: Path, rows: np.ndarray) -> None:
    settings = ["--hidden", 4, "--epochs", 100, "--batch-size", 10, "--held-out", 0.2]
    result = run("train", "data.npy", "-o", "new.safetensors", *settings)
    assert "exact" in result.stdout
    assert "epoch 100" in result.stderr
    rbm = RBM.load("new.safetensors")
    assert (rbm.n_visible, rbm.n_hidden) == (6, 4)
    start = RBM(6, 4, seed=0)
    start.initialise_visible_bias(rows)
    # Independent units cannot tell the two patterns apart; a model that can gains a good part of ln 2.
    assert rbm.log_likelihood(rows) > start.log_likelihood(rows) + 0.2
    assert left_over(here) == []


def test_train_reports_as_json(here: Path) -> None:
    result = json.loads(
        run("train", "data.npy", "-o", "new.safetensors", "--hidden", 2, "--epochs", 2, "--json").stdout
    )
    assert result["rows"] == 60
    assert result["epochs"] == 2
    rbm = RBM.load("new.safetensors")
    assert result["mean_log_likelihood"] == rbm.log_likelihood(np.load("data.npy"))


def test_train_is_the_same_for_the_same_seed_and_any_number_of_threads(here: Path) -> None:
    for name, more in (("a", []), ("b", ["--threads", 1]), ("c", ["--seed", 1])):
        run("train", "data.npy", "-o", name, "--hidden", 3, "--epochs", 3, *more)
    one, same, other = (RBM.load(name).weights for name in "abc")
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_resumed_training_is_as_if_it_had_never_stopped(here: Path) -> None:
    settings = ["--hidden", 3, "--batch-size", 20, "--momentum", 0.5, "-q"]
    run("train", "data.npy", "-o", "whole", *settings, "--epochs", 5)
    run("train", "data.npy", "-o", "part", *settings, "--epochs", 2)
    run("train", "data.npy", "--resume", "part", "--epochs", 3)
    np.testing.assert_array_equal(RBM.load("whole").weights, RBM.load("part").weights)
    assert len(RBM.load("part").history) == 5


def test_an_interrupt_keeps_what_was_learnt(here: Path) -> None:
    program = [sys.executable, "-c", "from pgm_rbm.cli import main; main()", "train", "data.npy", "-o", "new"]
    process = subprocess.Popen(
        [*program, "--epochs", "10000000", "--hidden", "3"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        # The first epoch's line says that training is under way.
        assert process.stderr.readline().startswith("epoch 1")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "--resume new" in errors
    assert "Traceback" not in errors
    run("train", "data.npy", "--resume", "new", "--epochs", 1)


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX")
def test_an_interrupt_at_a_terminal_ends_an_enumeration_with_one_line(here: Path) -> None:
    import pty

    RBM(784, 30, seed=0).save("large")
    main_end, terminal = pty.openpty()
    program = [sys.executable, "-c", "from pgm_rbm.cli import main; main()", "partition", "large", "--limit", "2**30"]
    process = subprocess.Popen(
        program, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True, close_fds=True
    )
    os.close(terminal)
    shown = b""
    try:
        # The bar says that the enumeration is under way, which takes minutes.
        while b"ln Z" not in shown:
            shown += os.read(main_end, 4096)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(main_end, 4096):
                shown += part
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
        process.wait()
        os.close(main_end)
    text = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", shown.decode())
    assert text.count("error: stopped.") == 1
    assert "Traceback" not in text
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nothing of its session is left


def test_held_out_rows_can_be_a_file(here: Path, rows: np.ndarray) -> None:
    np.save("other.npy", rows[:7])
    result = run("train", "data.npy", "-o", "new", "--hidden", 2, "--epochs", 1, "--held-out", "other.npy", "--json")
    found = json.loads(result.stdout)
    assert found["rows"] == 60
    assert found["held_out_rows"] == 7
    assert found["held_out_mean_log_likelihood"] == RBM.load("new").log_likelihood(rows[:7])


@pytest.mark.parametrize("monitor", ["exact", "none"])
def test_divergence_is_a_failure_and_leaves_nothing(here: Path, monitor: str) -> None:
    settings = ["--learning-rate", 1e307, "--momentum", 0.99, "--monitor", monitor]
    message = run("train", "data.npy", "-o", "new", *settings, status=1).stderr
    assert "error: " in message
    assert "--learning-rate" in message
    assert "Warning" not in message
    assert not (here / "new").exists()
    assert left_over(here) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--output"),
        (["-o", "model.safetensors"], "--force"),
        (["-o", "none/new"], "there is no folder none"),
        (["-o", "."], "is a folder"),
        (["-o", "new", "--hidden", 0], "--hidden"),
        (["-o", "new", "--learning-rate", -1], "learning_rate"),
        (["-o", "new", "--learning-rate", "nan"], "learning_rate"),
        (["-o", "new", "--momentum", 1.5], "momentum"),
        (["-o", "new", "--optimizer", "adam", "--momentum", 0.5], "--momentum"),
        (["-o", "new", "--held-out", 1.5], "--held-out"),
        (["-o", "new", "--held-out", 0.001], "--held-out"),
        (["-o", "new", "--held-out", "none.npy"], "none.npy"),
        (["-o", "new", "--array", "x"], "--array"),
        (["--resume", "none"], "none"),
        (["--resume", "data.npy"], "data.npy is damaged or no model file"),
        (["--resume", "model.safetensors"], "resume"),
        (["--resume", "model.safetensors", "--hidden", 3], "--hidden"),
        (["--resume", "model.safetensors", "--seed", 3], "--seed"),
    ],
)
def test_train_refuses(here: Path, arguments: list[Any], words: str) -> None:
    before = (here / "model.safetensors").read_bytes()
    assert words in refused("train", "data.npy", *arguments)
    assert not (here / "new").exists()
    assert (here / "model.safetensors").read_bytes() == before
    assert left_over(here) == []


def test_exact_training_of_a_large_model_is_refused_with_the_cost(here: Path) -> None:
    np.save("wide.npy", np.eye(40))
    message = refused("train", "wide.npy", "-o", "new", "--hidden", 40, "--algorithm", "exact")
    assert "2**40 configurations" in message


# Data files ------------------------------------------------------------------------------------------------------


def trained_on(name: str, *more: Any) -> Any:
    """The number of rows that training saw."""
    return json.loads(run("train", name, "-o", "new", "--hidden", 2, "--epochs", 1, "--force", "--json", *more).stdout)[
        "rows"
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
@pytest.mark.parametrize("header", ["", "{0}p{0}", "numbers"])
def test_csv_files(here: Path, rows: np.ndarray, delimiter: str, header: str) -> None:
    head = delimiter.join(str(k) if header == "numbers" else header.format(k) for k in range(6)) if header else ""
    np.savetxt("data.csv", rows, fmt="%d", delimiter=delimiter, header=head, comments="")
    assert trained_on("data.csv") == 60


def test_csv_files_with_quotes_blank_lines_and_a_byte_order_mark(here: Path, rows: np.ndarray) -> None:
    with open("data.csv", "w", encoding="utf-8-sig", newline="") as stream:
        stream.write("\n")
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["one", "two", "three"], *rows[:, :3].tolist()])
        stream.write("\n\n")
    assert trained_on("data.csv") == 60


def test_npz_files(here: Path, rows: np.ndarray) -> None:
    np.savez("one.npz", rows)
    np.savez("two.npz", train=rows, test=rows[:9])
    assert trained_on("one.npz") == 60
    assert trained_on("two.npz", "--array", "test") == 9
    assert "train, test" in refused("train", "two.npz", "-o", "other")
    assert "train, test" in refused("train", "two.npz", "-o", "other", "--array", "rows")


def test_grey_levels_with_a_threshold(here: Path) -> None:
    np.save("grey.npy", np.random.default_rng(0).random((20, 6)))
    assert "--threshold" in refused("train", "grey.npy", "-o", "other")
    assert trained_on("grey.npy", "--threshold", 0.5) == 20


def text(name: str, content: str) -> None:
    with open(name, "w", encoding="utf-8") as stream:
        stream.write(content)


def wrong_value(value: float) -> None:
    array = np.zeros((5, 6))
    array[3, 2] = value
    np.save("bad.npy", array)


def half_a_file() -> None:
    np.save("bad.npy", np.zeros((50, 6)))
    with open("bad.npy", "r+b") as stream:
        stream.truncate(200)


def larger_than_any_memory() -> None:
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**15, 6)}
    with open("bad.npy", "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)


PLACE = "bad.npy, row 3, column 2 (counted from 0)"

BAD_FILES = {
    "no file": (lambda: None, "there is no file bad.npy"),
    "no state": (lambda: wrong_value(5), f"{PLACE}: a binary unit is 0 or 1. Got 5"),
    "NaN": (lambda: wrong_value(np.nan), f"{PLACE}: the value is NaN"),
    "infinity": (lambda: wrong_value(np.inf), "Got inf"),
    "no rows": (lambda: np.save("bad.npy", np.zeros((0, 6))), "(0, 6)"),
    "no columns": (lambda: np.save("bad.npy", np.zeros((6, 0))), "(6, 0)"),
    "one axis": (lambda: np.save("bad.npy", np.zeros(6)), "(6,)"),
    "words": (lambda: np.save("bad.npy", np.array([["a", "b"]])), "<U1"),
    "complex numbers": (lambda: np.save("bad.npy", np.zeros((2, 6), complex)), "complex"),
    "objects": (lambda: np.save("bad.npy", np.array([[{}]]), allow_pickle=True), "never loaded"),
    "no array": (lambda: text("bad.npy", "0,1\n"), "never loaded"),
    "nothing": (lambda: text("bad.npy", ""), "bad.npy"),
    "half a file": (half_a_file, "damaged"),
    "too much": (larger_than_any_memory, "larger than the memory"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_arrays(here: Path, case: Any) -> None:
    make, words = BAD_FILES[case]
    make()
    assert words in refused("train", "bad.npy", "-o", "new")
    assert not (here / "new").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("a,b,c\n", "no rows"),
        ("a,b\n0,1\n0,x\n", "line 3, column 2: expected a number. Got 'x'"),
        ("a,b\n0,1\n\n0,\n", "line 4, column 2: expected a number. Got nothing"),
        ("0,1\n0,1,1\n", "line 2: expected 2 columns. Got 3"),
        ("0,x\n0,1\n", "line 1, column 2"),
        ("a,b\n0,1\n\n1,2\n", "line 4, column 2: a binary unit is 0 or 1. Got 2"),
        ("a,b\n0,1\n1,nan\n", "line 3, column 2: the value is NaN"),
    ],
)
def test_bad_text(here: Path, content: str, words: str) -> None:
    text("bad.csv", content)
    assert words in refused("train", "bad.csv", "-o", "new")


def test_text_in_another_encoding(here: Path) -> None:
    (here / "bad.csv").write_bytes(b"a,b\n\xe9,1\n")
    assert "UTF-8" in refused("train", "bad.csv", "-o", "new")


def test_an_ending_that_says_nothing(here: Path) -> None:
    text("data.xyz", "0 1")
    assert ".npy, .npz or .csv" in refused("train", "data.xyz", "-o", "new")


def test_an_archive_that_is_none(here: Path) -> None:
    text("bad.npz", "PK")
    assert "bad.npz" in refused("train", "bad.npz", "-o", "new")


# evaluate and partition ------------------------------------------------------------------------------------------


def test_evaluate_gives_the_exact_mean(here: Path, rows: np.ndarray) -> None:
    found = json.loads(run("evaluate", "model.safetensors", "data.npy", "--json", "--rows", "rows.csv").stdout)
    rbm = RBM.load("model.safetensors")
    assert found["mean_log_likelihood"] == pytest.approx(rbm.log_likelihood(rows), rel=1e-14)
    assert found["rows"] == 60
    # The text form of a float64 gives the same float64 back.
    np.testing.assert_array_equal(np.loadtxt("rows.csv"), rbm.log_probability(rows))
    assert f"{found['mean_log_likelihood']:.6f}" in run("evaluate", "model.safetensors", "data.npy").stdout
    assert "--force" in refused("evaluate", "model.safetensors", "data.npy", "--rows", "rows.csv")
    assert left_over(here) == []


def test_a_wrong_width_names_both_shapes(here: Path, rows: np.ndarray) -> None:
    np.save("narrow.npy", rows[:, :4])
    message = refused("evaluate", "model.safetensors", "narrow.npy")
    assert "(60, 4)" in message
    assert "(6, 3)" in message


def test_partition(here: Path) -> None:
    rbm = RBM.load("model.safetensors")
    found = json.loads(run("partition", "model.safetensors", "--json").stdout)
    assert found == {"log_partition": rbm.log_partition().value, "standard_error": 0.0, "method": "enumeration"}
    assert "exact" in run("partition", "model.safetensors", "--limit", "2**3").stdout
    # what is too much to enumerate is eliminated
    few = json.loads(run("partition", "model.safetensors", "--limit", "2**2", "--json").stdout)
    assert few["method"] == "elimination"
    assert few["log_partition"] == pytest.approx(found["log_partition"], rel=1e-13)
    refusal = refused("partition", "model.safetensors", "--limit", "2**2", "--method", "enumeration")
    assert "--limit 4" in refusal
    assert "limit=" not in refusal
    assert "method" in refused("partition", "model.safetensors", "--method", "guessing")
    assert "data.npy" in refused("partition", "data.npy")
    assert "folder" in refused("partition", ".")
    eliminated = json.loads(run("partition", "model.safetensors", "--method", "elimination", "--json").stdout)
    assert eliminated["method"] == "elimination"
    assert eliminated["log_partition"] == pytest.approx(found["log_partition"], rel=1e-13)


@pytest.fixture
def ring(here: Path) -> tuple[float, float]:
    """A graph file: five spins in a ring, with their coupling and field."""
    graph = nx.cycle_graph(["a", "b", "c", "d", "e"])
    nx.set_node_attributes(graph, "spin", "units")
    nx.set_node_attributes(graph, 0.2, "bias")
    nx.set_edge_attributes(graph, 0.7, "weight")
    nx.write_graphml(graph, "ring.graphml")
    return 0.7, 0.2


def test_partition_of_a_graph(ring: tuple[float, float]) -> None:
    coupling, field = ring
    # The transfer matrix of the ring; Z is the trace of its fifth power.
    transfer = np.array([[np.exp(coupling * s * t + field * (s + t) / 2) for t in (-1, 1)] for s in (-1, 1)])
    power = np.linalg.matrix_power(transfer, 5)
    found = json.loads(run("partition", "ring.graphml", "--json").stdout)
    assert found["log_partition"] == pytest.approx(np.log(np.trace(power)), rel=1e-13)
    assert found["method"] == "elimination"
    given = json.loads(run("partition", "ring.graphml", "--given", "a=1", "--json").stdout)
    assert given["log_partition"] == pytest.approx(np.log(power[1, 1]), rel=1e-13)
    assert "exact" in run("partition", "ring.graphml", "--method", "enumeration").stdout


def test_partition_refuses_what_does_not_fit(ring: tuple[float, float]) -> None:
    assert "no variable 'z'" in refused("partition", "ring.graphml", "--given", "z=1")
    assert "[-1, 1]" in refused("partition", "ring.graphml", "--given", "a=0")
    assert "--given" in refused("partition", "ring.graphml", "--given", "a")
    assert "--given is for graphs" in refused("partition", "model.safetensors", "--given", "v0=1")
    assert "--limit" in refused("partition", "ring.graphml", "--limit", "8")
    message = refused("partition", "ring.graphml", "--memory-limit", "8", "--method", "elimination")
    for part in ("--memory-limit allows 8 bytes", "a larger --memory-limit", "(--given)", "with pgm-rbm sample"):
        assert part in message
    assert "--given contradicts itself: a is 1 and -1" in refused(
        "partition", "ring.graphml", "--given", "a=1", "--given", "a=-1"
    )
    assert "exact" in run("partition", "ring.graphml", "--given", "a=1", "--given", "a=1").stdout
    assert "--limit has no meaning" in refused(
        "partition", "model.safetensors", "--limit", "8", "--method", "elimination"
    )
    assert "exact" in run("partition", "ring.graphml", "--threads", "2", "--method", "enumeration").stdout


@pytest.mark.parametrize("file", ["model.safetensors", "ring.graphml"])
@pytest.mark.parametrize("command", ["partition", "tractability"])
def test_limits_of_eliminations(ring: tuple[float, float], command: str, file: str) -> None:
    for option, value, of in (
        ("--memory-limit", "-1", "bytes"),
        ("--memory-limit", "0", "bytes"),
        ("--time-limit", "nan", "seconds"),
        ("--time-limit", "-1", "seconds"),
    ):
        message = refused(command, file, option, value)
        assert f"{option} must be a positive number of {of}. Got" in message
    run(command, file, "--memory-limit", "2**20", "--time-limit", "60")


def test_a_refusal_names_options(here: Path) -> None:
    RBM(60, 50, seed=0).save("large.safetensors")
    for arguments in (
        ("partition", "large.safetensors"),
        ("partition", "large.safetensors", "--method", "elimination"),
        ("evaluate", "large.safetensors", "large.npy"),
        ("sample", "large.safetensors", "--exact"),
    ):
        np.save("large.npy", np.zeros((2, 60)))
        message = refused(*arguments)
        for argument in ("memory_limit", "time_limit", "limit=", "method=", "evidence=", "rbm."):
            assert argument not in message
    assert "no.graphml" in refused("partition", "no.graphml")
    Path("half.graphml").write_text("<graphml")
    assert "half.graphml" in refused("partition", "half.graphml")


def test_a_cluster_without_dask_names_the_extra(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    message = refused("partition", "model.safetensors", "--cluster", "tcp://127.0.0.1:1")
    assert "pgm-rbm[distributed]" in message


def test_tractability(ring: tuple[float, float]) -> None:
    RBM(6, 3, seed=1).save("model.safetensors")
    for file, way in (("model.safetensors", "enumeration"), ("ring.graphml", "elimination")):
        report = json.loads(run("tractability", file, "--json").stdout)
        assert report["method"] == way == report["ways"][0]["name"]
        assert {"elimination", "enumeration"} == {one["name"] for one in report["ways"]}
        assert all(one["seconds"] > 0 for one in report["ways"])
        assert f'"auto" takes {way}' in run("tractability", file).stdout
    observed = json.loads(run("tractability", "ring.graphml", "--given", "a=1", "--json").stdout)
    assert (observed["variables"], observed["induced_width"]) == (4, 1)
    assert (
        json.loads(run("tractability", "ring.graphml", "--memory-limit", "8", "--json").stdout)["method"] == "sampling"
    )
    RBM(300, 200, seed=0).save("large.safetensors")
    assert '"auto" takes' not in run("tractability", "large.safetensors").stdout
    assert "up to --limit 16777216 configurations" in run("tractability", "large.safetensors").stdout
    for name, units in (("gaussian", "gaussian"), ("labels", "potts(3)"), ("ternary", "{-1, 0, 1}")):
        RBM(4, 3, units, seed=0).save(f"{name}.safetensors")
        found = json.loads(run("tractability", f"{name}.safetensors", "--json").stdout)
        assert found["method"] == "enumeration"
        assert (found["induced_width"] is None) == (name == "gaussian")
        assert {way["name"] for way in found["ways"]} == {"enumeration"} | (
            {"elimination"} if name != "gaussian" else set()
        )
    assert "--limit is for model files" in refused("tractability", "ring.graphml", "--limit", "8")


def test_a_damaged_model_file_is_refused(here: Path) -> None:
    content = bytearray((here / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (here / "bad.safetensors").write_bytes(content)
    assert "damaged" in refused("partition", "bad.safetensors")


def test_a_model_too_large_for_exact_answers_is_refused(here: Path) -> None:
    RBM(50, 60, seed=0).save("large.safetensors")
    for arguments in (["partition"], ["sample", "--exact"]):
        assert "2**50 configurations" in refused(arguments[0], "large.safetensors", *arguments[1:])


# sample ----------------------------------------------------------------------------------------------------------


def test_samples_are_those_of_the_library(here: Path) -> None:
    run("sample", "model.safetensors", "-n", 5, "--steps", 120, "--seed", 7, "-o", "s.npy")
    drawn = np.load("s.npy")
    np.testing.assert_array_equal(drawn, RBM.load("model.safetensors").sample(5, steps=120, seed=7))
    shown = run("sample", "model.safetensors", "-n", 5, "--steps", 120, "--seed", 7).stdout
    np.testing.assert_array_equal(np.array([row.split(",") for row in shown.splitlines()], int), drawn)
    run("sample", "model.safetensors", "-n", 5, "--steps", 120, "--seed", 7, "-o", "s.csv")
    assert (here / "s.csv").read_text() == shown
    assert left_over(here) == []


def test_samples_given_units(here: Path) -> None:
    shown = run("sample", "model.safetensors", "-n", 20, "--given", "3=1", "--given", "v0=0", "--given", "h1=1").stdout
    assert {(row.split(",")[3], row.split(",")[0]) for row in shown.splitlines()} == {("1", "0")}


def test_a_fresh_seed_is_told(here: Path) -> None:
    first = run("sample", "model.safetensors", "-n", 30)
    seed = first.stderr.split()[-1]
    assert run("sample", "model.safetensors", "-n", 30, "--seed", seed).stdout == first.stdout


def test_samples_of_a_graph(ring: tuple[float, float]) -> None:
    import networkx as nx

    from pgm_rbm.graph.model import GraphModel

    model = GraphModel(nx.read_graphml("ring.graphml"))
    for arguments, settings in ((("--exact",), {}), (("--steps", 50), {"method": "gibbs", "steps": 50})):
        run("sample", "ring.graphml", "-n", 6, "--seed", 3, *arguments, "--given", "b=-1", "-o", "s.npy", "--force")
        np.testing.assert_array_equal(np.load("s.npy"), model.sample(6, {"b": -1}, seed=3, **settings))
    assert "--given contradicts itself" in refused("sample", "ring.graphml", "--given", "b=1", "--given", "b=-1")
    assert "--given contradicts itself" in refused("sample", "model.safetensors", "--given", "3=1", "--given", "v3=0")
    assert "are for --exact" in refused("sample", "ring.graphml", "--memory-limit", "8")
    assert "--memory-limit allows 8 bytes" in refused("sample", "ring.graphml", "--exact", "--memory-limit", "8")


def test_exact_samples(here: Path) -> None:
    shown = run("sample", "model.safetensors", "-n", 4, "--exact", "--seed", 2).stdout
    expected = RBM.load("model.safetensors").sample(4, method="exact", seed=2)
    np.testing.assert_array_equal(np.array([row.split(",") for row in shown.splitlines()], int), expected)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--given", "6=1"], "('v', 5)"),
        (["--given", "h3=1"], "('h', 2)"),
        (["--given", "0=2"], "one of 0, 1"),
        (["--given", "0"], "3=1"),
        (["--given", "x=1"], "'x'"),
        (["--given", "0=one"], "'one'"),
        (["--exact", "--given", "0=1"], "--given"),
        (["-o", "s.txt"], ".npy or .csv"),
        (["-o", "none/s.npy"], "none"),
        (["--seed", str(2**70)], "seed"),
    ],
)
def test_sample_refuses(here: Path, arguments: Any, words: str) -> None:
    assert words in refused("sample", "model.safetensors", *arguments)


# compose and convert ---------------------------------------------------------------------------------------------


def other_model(name: str, visible: int, hidden: int) -> RBM:
    rbm = RBM(visible, hidden, seed=2)
    rng = np.random.default_rng(2)
    rbm.weights, rbm.visible_bias = rng.normal(size=(visible, hidden)), rng.normal(size=visible)
    rbm.save(name)
    return rbm


def test_compose_is_a_product_of_experts(here: Path) -> None:
    one, other = RBM.load("model.safetensors"), other_model("other.safetensors", 6, 2)
    run("compose", "model.safetensors", "other.safetensors", "-o", "both.safetensors")
    both = RBM.load("both.safetensors")
    assert (both.n_visible, both.n_hidden) == (6, 5)
    rows = np.load("data.npy")
    # Potentials multiply, so free energies add; rounding alone separates the two sides.
    np.testing.assert_allclose(both.free_energy(rows), one.free_energy(rows) + other.free_energy(rows), rtol=1e-13)
    assert left_over(here) == []


def test_compose_with_shared_hidden_units(here: Path) -> None:
    one, other = RBM.load("model.safetensors"), other_model("other.safetensors", 6, 3)
    run("compose", "model.safetensors", "other.safetensors", "-o", "sum.safetensors", "--share-hidden")
    np.testing.assert_allclose(RBM.load("sum.safetensors").weights, one.weights + other.weights, rtol=1e-15)


def test_compose_refuses_other_visible_units(here: Path) -> None:
    other_model("other.safetensors", 5, 2)
    assert "6 visible units" in refused("compose", "model.safetensors", "other.safetensors", "-o", "both")


@pytest.mark.parametrize("ending", ["npz", "graphml", "safetensors"])
def test_convert_there_and_back(here: Path, ending: str) -> None:
    run("convert", "model.safetensors", f"there.{ending}")
    run("convert", f"there.{ending}", "back.safetensors")
    one, other = RBM.load("model.safetensors"), RBM.load("back.safetensors")
    for name, value in one.parameters.items():
        np.testing.assert_array_equal(value, other.parameters[name])
    assert left_over(here) == []


def test_convert_a_sparse_graph_keeps_its_zeros(here: Path) -> None:
    import networkx as nx

    graph = nx.Graph()
    for node, role in (("x", "visible"), ("y", "visible"), ("z", "hidden")):
        graph.add_node(node, role=role, units="binary", bias=0.25)
    graph.add_edge("x", "z", weight=1.5)
    nx.write_graphml(graph, "sparse.graphml")
    run("convert", "sparse.graphml", "sparse.safetensors")
    rbm = RBM.load("sparse.safetensors")
    assert rbm.weights.tolist() == [[1.5], [0.0]]
    assert rbm.mask is not None


def test_convert_refuses(here: Path) -> None:
    np.savez("wrong.npz", x=np.zeros(3))
    np.savez("bad.npz", weights=np.zeros((2, 2)), visible_bias=np.zeros(3), hidden_bias=np.zeros(2))
    text("triangle.graphml", "<graphml")
    assert "weights" in refused("convert", "wrong.npz", "new.safetensors")
    assert "visible_bias" in refused("convert", "bad.npz", "new.safetensors")
    assert "triangle.graphml" in refused("convert", "triangle.graphml", "new.safetensors")
    assert "none.npz" in refused("convert", "none.npz", "new.safetensors")
    assert ".graphml" in refused("convert", "model.safetensors", "new.pdf")
    assert "--force" in refused("convert", "model.safetensors", "model.safetensors")


def test_convert_refuses_to_lose_what_a_file_cannot_hold(here: Path) -> None:
    from symbolic import energies

    RBM(3, 2, "potts(3)", seed=0).save("labels.safetensors")
    RBM(3, 2, "spin", seed=0).save("spins.safetensors")
    RBM.from_energy(energies.third_order(), {"v": 3, "h": 2, "x": 2}, seed=0).save("third.safetensors")
    for name in ("labels", "third"):
        assert "this model's terms need tables" in refused("convert", f"{name}.safetensors", "new.graphml")
        assert "weights and biases of binary units" in refused("convert", f"{name}.safetensors", "new.npz")
    assert "weights and biases of binary units" in refused("convert", "spins.safetensors", "new.npz")
    assert left_over(here) == []
    assert not list(here.glob("new.*"))


def test_an_odd_cycle_is_named(here: Path) -> None:
    import networkx as nx

    nx.write_graphml(nx.cycle_graph(3), "triangle.graphml")
    message = refused("convert", "triangle.graphml", "new.safetensors")
    assert "odd cycle" in message
    assert not (here / "new.safetensors").exists()


# Outputs ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs permissions that can be taken away")
def test_a_folder_that_cannot_be_written_is_refused_before_work(here: Path) -> None:
    locked = here / "locked"
    locked.mkdir(mode=0o500)
    assert "locked" in refused("train", "data.npy", "-o", "locked/new")


def test_a_disk_that_is_full_is_a_failure(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    message = run("sample", "model.safetensors", "-n", 2, "-o", "s.npy", status=1).stderr
    assert "No space left" in message
    assert not (here / "s.npy").exists()
    assert left_over(here) == []


# Units other than binary ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "hidden"), [("gaussian", "binary"), ("spin", "spin"), ("poisson", "binary")])
def test_models_of_other_units_are_trained_evaluated_and_sampled(here: Path, unit: str, hidden: str) -> None:
    rng = np.random.default_rng(2)
    data = {
        "gaussian": rng.normal(size=(40, 3)),
        "spin": rng.choice([-1, 1], (40, 3)),
        "poisson": rng.poisson(2, (40, 3)),
    }
    np.save("units.npy", data[unit])
    options = ["--visible-units", unit, "--hidden-units", hidden, "--hidden", 2, "--target", "numpy", "--epochs", 2]
    run("train", "units.npy", "-o", "units.safetensors", *options, "--learning-rate", 0.01, "--quiet")
    rbm = RBM.load("units.safetensors")
    assert (rbm.visible_units, rbm.hidden_units) == (unit, hidden)
    result = json.loads(run("evaluate", "units.safetensors", "units.npy", "--json").stdout)
    assert result["mean_log_likelihood"] == pytest.approx(rbm.log_likelihood(data[unit]), abs=1e-12)
    run("sample", "units.safetensors", "-n", 5, "--steps", 3, "--seed", 1, "--output", "drawn.npy", "--quiet")
    drawn = np.load("drawn.npy")
    np.testing.assert_array_equal(drawn, rbm.sample(5, 3, seed=1))
    assert drawn.dtype == (np.float64 if unit == "gaussian" else np.int64)
    run("train", "units.npy", "--resume", "units.safetensors", "--epochs", 1, "--quiet")
    assert len(RBM.load("units.safetensors").history) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--visible-units", "ternary"], "there is no unit called 'ternary'"),
        (["--hidden-units", "ternary"], "there is no unit called 'ternary'"),
        (["--visible-units", "spin"], "a spin unit is -1 or 1. Got 0"),
        (
            ["--visible-units", "spin", "--threshold", 0.5],
            "--threshold makes binary values, and the visible units are spin",
        ),
        (["--visible-units", "gaussian", "--hidden-units", "poisson"], "cannot be coupled"),
    ],
)
def test_units_that_do_not_serve_are_refused(here: Path, options: list[Any], message: str) -> None:
    assert message in refused("train", "data.npy", "-o", "new.safetensors", *options)
    assert not Path("new.safetensors").exists()


def test_units_belong_to_new_models(here: Path) -> None:
    assert "--visible-units is for new models" in refused(
        "train", "data.npy", "--resume", "model.safetensors", "--visible-units", "spin"
    )
