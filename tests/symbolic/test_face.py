"""The face: every Energy, Derivation and Lecture has its verbs, and importing the package loads nothing."""

from __future__ import annotations

import ast
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from symbolic import verbs
from symbolic.energies import READY_MADE, pairwise

PACKAGE = Path(verbs.__file__).parent
STUB = ast.parse((PACKAGE / "verbs.pyi").read_text(encoding="utf-8"))
VERBS = [
    (one.name, verb.name, [name.arg for name in (*verb.args.args, *verb.args.kwonlyargs)])
    for one in STUB.body
    if isinstance(one, ast.ClassDef)
    for verb in one.body
    if isinstance(verb, ast.FunctionDef)
]


def printed(code: str) -> str:
    """What a new process prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(("kind", "verb", "arguments"), VERBS)
def test_a_verb_of_the_stub_is_attached_with_its_arguments(kind: str, verb: str, arguments: list[str]) -> None:
    found = inspect.getattr_static(getattr(verbs, kind), verb)
    function = getattr(found, "__func__", found)
    assert list(inspect.signature(function).parameters) == arguments
    assert function.__doc__ or verb.startswith("_")
    assert function.__qualname__ == f"{kind.removesuffix('Verbs')}.{verb}"


def test_the_stub_names_every_verb() -> None:
    attached = {(kind, verb) for kind in verbs.__all__ for verb, one in vars(getattr(verbs, kind)).items()
                if callable(getattr(one, "__func__", one)) and not verb.startswith("__")}  # fmt: skip
    assert attached == {(kind, verb) for kind, verb, _ in VERBS}


def test_an_energy_has_its_verbs_wherever_it_comes_from() -> None:
    assert printed("from symbolic.language.energy import Energy; print(Energy.free_energy.__name__)") == "free_energy"
    assert pickle.loads(pickle.dumps(pairwise())).log_partition().result == pairwise().log_partition().result


@pytest.mark.parametrize("name", READY_MADE)
def test_energies_are_pickled(name: str) -> None:
    energy = READY_MADE[name]()
    assert pickle.loads(pickle.dumps(energy)) == energy


def test_importing_the_package_loads_no_library() -> None:
    assert printed("import sys, symbolic; print({'sympy', 'numpy', 'numba'} & {*sys.modules} or None)") == "None"


def test_facts_of_units_load_no_sympy() -> None:
    code = """
import sys
from symbolic.units import TABLE, axis_length, is_own, known_units, lookup

for name in (*TABLE, "binomial(4)", "integer(6)", "gamma(5/2)", "potts(3)", "{-1, 0, 1/2}"):
    unit = lookup(name)
    hash(unit), unit.ends, unit.is_plain, unit.is_finite and unit.states, unit.sampler.name, is_own(name)
known_units(), axis_length("v.states", {"v": "potts(3)"})
print("sympy" in sys.modules)
"""
    assert printed(code) == "False"
