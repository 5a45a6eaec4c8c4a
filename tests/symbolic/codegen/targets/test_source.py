"""The generated source as it stands, so that a change of it is seen in review.

``pytest --update-golden`` writes the files anew.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from symbolic import Energy
from symbolic.codegen.build import TARGETS, generate
from symbolic.energies import lecture, pairwise

GOLDEN = Path(__file__).parents[2] / "golden"
ENERGIES = {
    "pairwise-binary-binary": lambda: pairwise("binary", "binary"),
    "pairwise-spin-binary": lambda: pairwise("spin", "binary"),
    "lecture": lecture,
    "third-order": lambda: Energy.parse(
        "-sum(G[k,i,j]*x[k]*v[i]*h[j], k, i, j) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)",
        visible={"x": "binary", "v": "spin"},
        hidden={"h": "binary"},
    ),
    "squared": lambda: Energy.parse(
        "sum(h[j]*sum(w[i,j]*v[i], i)**2, j)/2 - sum(b[j]*h[j], j)", visible={"v": "spin"}, hidden={"h": "binary"}
    ),
    "deep": lambda: Energy.parse(
        "-sum(v[i]*w[i,j]*h[j], i, j) - sum(h[j]*u[j,l]*g[l], j, l) - sum(b[j]*h[j], j)",
        visible={"v": "binary"},
        hidden={"h": "binary", "g": "binary"},
    ),
    "categorical": lambda: Energy.parse(
        "-sum(w[i,s,j]*indicator(v[i],s)*h[j], i, s, j) - sum(a[i,s]*indicator(v[i],s), i, s) - sum(b[j]*h[j], j)",
        visible={"v": "potts(3)"},
        hidden={"h": "binary"},
    ),
    "gaussian-binary": lambda: Energy.parse(
        "sum((v[i]-a[i])^2/(2*s[i]^2), i) - sum(v[i]/s[i]^2*w[i,j]*h[j], i, j) - sum(b[j]*h[j], j)",
        visible={"v": "gaussian"},
        hidden={"h": "binary"},
    ),
    "semi-restricted-conditional": lambda: Energy.parse(
        "-sum(v[i]*w[i,j]*h[j], i, j) - sum(L[i,k]*v[i]*v[k], i, k)/2 - sum(x[d]*A[d,i]*v[i], d, i)",
        visible={"v": "binary"},
        hidden={"h": "exponential"},
        given={"x": "gaussian"},
        symmetric=["L"],
    ),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ENERGIES)
def test_source_is_the_golden_one(name: str, target: str, update_golden: bool) -> None:
    source = generate(ENERGIES[name](), target)
    path = GOLDEN / f"{name}.{target}.txt"
    if update_golden:
        path.write_text(source, encoding="utf-8")
    assert source == path.read_text(encoding="utf-8"), (
        f"the source generated for {name} has changed. If that is meant, run pytest --update-golden."
    )


@pytest.mark.parametrize("target", TARGETS)
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
