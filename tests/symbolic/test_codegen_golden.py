"""The generated source as it stands, so that a change of it is seen in review.

``pytest tests/symbolic/test_codegen_golden.py --update-golden`` writes the files anew.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from symbolic.codegen.build import generate
from symbolic.energies import lecture, pairwise

GOLDEN = Path(__file__).parent / "golden"
ENERGIES = {
    "pairwise-binary-binary": lambda: pairwise("binary", "binary"),
    "pairwise-spin-binary": lambda: pairwise("spin", "binary"),
    "lecture": lecture,
}


@pytest.mark.parametrize("target", ["numpy", "numba"])
@pytest.mark.parametrize("name", ENERGIES)
def test_source_is_the_golden_one(name: str, target: str, update_golden: bool) -> None:
    source = generate(ENERGIES[name](), target)
    path = GOLDEN / f"{name}.{target}.txt"
    if update_golden:
        path.write_text(source, encoding="utf-8")
    assert source == path.read_text(encoding="utf-8"), (
        f"the source generated for {name} has changed. If that is meant, run pytest {__file__} --update-golden."
    )


@pytest.mark.parametrize("target", ["numpy", "numba"])
@pytest.mark.parametrize("name", ENERGIES)
def test_source_is_documented_python_without_sympy(name: str, target: str) -> None:
    source = generate(ENERGIES[name](), target)
    module = ast.parse(source)
    assert "sympy" not in source.lower()
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    assert all(ast.get_docstring(function) for function in functions)
    assert all(len(line) <= 120 for line in source.splitlines())
    compile(source, name, "exec")


def test_the_formula_in_the_docstring_is_the_derived_one() -> None:
    energy = pairwise()
    module = ast.parse(generate(energy, "numba"))
    text = {
        f.name: " ".join((ast.get_docstring(f) or "").split()) for f in module.body if isinstance(f, ast.FunctionDef)
    }
    assert f"F(v) = {energy.free_energy().result}" in text["free_energy_of_v"]
    assert str(energy.conditional("h").mean) in text["mean_of_h"]
    assert f"= {energy.phase('w').result}" in text["phase_of_v"]
