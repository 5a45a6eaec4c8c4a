"""The floors, the circles and the sizes of the house, so that its order cannot rot. `benchmarks.house` measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import house as measures
from benchmarks.house import Finding

ROOT = Path(__file__).parent.parent
HOUSE = measures.modules(ROOT)
INNER = {name: module for name, module in HOUSE.items() if not module.is_face}


def _above(limit: int, found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.size > limit]


def _circles() -> list[Finding]:
    return [
        Finding(HOUSE[name].path, 1, len(circle), f"stands in a circle with {', '.join(circle)}")
        for circle in measures.circles(measures.imports(HOUSE))
        for name in circle
    ]


LAWS = {
    "imports run down a floor": measures.misplaced(HOUSE),
    "imports never run in a circle": _circles(),
    "imports stand at the head of a file": [
        one
        for one in measures.lazy_imports(INNER)
        if one.text.split()[1] not in measures.LOADS_SYMPY + measures.LOADS_NUMBA
        and one.text.split()[1].split(".")[0] not in measures.OPTIONAL
    ],
    "a module has at most 600 lines": [
        one for one in _above(600, measures.module_sizes(HOUSE)) if not one.path.endswith("coefficients.py")
    ],
    "a class has at most 400 lines": _above(400, measures.class_sizes(HOUSE)),
    "a function has at most 60 lines": _above(60, measures.function_sizes(HOUSE)),
    "an inner function takes at most 8 arguments": _above(8, measures.arguments(INNER)),
    "a private name stays in its module": measures.crossing_names(HOUSE),
}


@pytest.mark.parametrize("law", LAWS)
def test_the_law_of_the_house(law: str) -> None:
    offenders = [str(one) for one in LAWS[law]]
    assert not offenders, "\n".join([f"the house says: {law}. Here this does not hold:", *offenders])
