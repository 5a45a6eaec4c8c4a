"""``pgm-rbm derive``: derivations printed, checked and turned into code, of any energy."""

from __future__ import annotations

import re
from typing import Any

import pytest

from symbolic import Derivation, energies
from tests.pgm_rbm.cli.program import PAIR, refused, run


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
    monkeypatch.setattr(Derivation, "verify", lambda self: Verification((unknown,), ({"v": 2},), 1))
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

    failed = Verification(
        (Check("Term A", 0, "exp_chain", False, "the two sides differ in a model with v: 2 units"),), ({"v": 2},), 1
    )
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
        (["--given", "x:binary"], "your own ENERGY"),
        (["--parameter", "c"], "your own ENERGY"),
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
