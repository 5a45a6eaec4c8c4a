"""Verifying a derivation: every step evaluated before and after, and every joint between branches looked at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sympy import Expr

from symbolic.check.finite_field import World
from symbolic.errors import CheckError, SymbolicError
from symbolic.language.layers import Layer
from symbolic.units import lookup

if TYPE_CHECKING:
    from symbolic.derivation.trace import Branch, Derivation
    from symbolic.language.energy import Energy

__all__ = ["Check", "Verification", "default_sizes", "difference", "verify", "worlds"]

# Configurations of a model that lines are checked in, as a power of two.
MOST_BITS = 14


@dataclass(frozen=True)
class Check:
    """The verdict on one step, or on one joint between lines.

    Attributes:
        branch: the branch it belongs to.
        position: of the step in its branch, from 0; None for a joint.
        rule: the step's rule id, or what the joint is.
        passed: whether both sides agree at every point.
        detail: what was found, in words, when they do not.
    """

    branch: str
    position: int | None
    rule: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class Verification:
    """What was checked and how it went; truthy when everything passed.

    Attributes:
        checks: one for each step and joint.
        sizes: units per layer of the model in which the steps were evaluated.
        points: the number of random points.
    """

    checks: tuple[Check, ...]
    sizes: Mapping[str, int]
    points: int

    def __bool__(self) -> bool:
        return bool(self.checks) and not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)

    def passed(self, branch: str, position: int) -> bool:
        """Whether the step at this place passed."""
        return any(c.passed for c in self.checks if c.branch == branch and c.position == position)

    def __str__(self) -> str:
        sizes = ", ".join(f"{name}: {size}" for name, size in self.sizes.items())
        how = f"exactly, in a finite field, at {self.points} random points of a model with {sizes} units"
        if self:
            return f"all {len(self.checks)} checks passed ({how})"
        lines = [f"{len(self.failures)} of {len(self.checks)} checks failed ({how})"]
        for check in self.failures:
            place = check.branch if check.position is None else f"{check.branch}, line {check.position + 1}"
            lines.append(f"  {place}, {check.rule}: {check.detail}")
        return "\n".join(lines)


def default_sizes(energy: Energy) -> dict[str, int]:
    """Small sizes that differ from each layer to the next, so that no two axes can be mistaken for each other."""
    return {name: 2 + position % 2 for position, name in enumerate(energy.layers)}


def _layer_sizes(energy: Energy, sizes: Mapping[str, int] | None) -> dict[Layer, int]:
    if sizes is not None and not isinstance(sizes, Mapping):
        raise SymbolicError(f"sizes maps layers to numbers of units, as in {default_sizes(energy)}. Got {sizes!r}.")
    chosen = default_sizes(energy) if sizes is None else dict(sizes)
    unknown = sorted(set(chosen) - set(energy.layers))
    missing = sorted(set(energy.layers) - set(chosen))
    if unknown or missing:
        raise SymbolicError(
            f"sizes name every layer of the energy once ({', '.join(energy.layers)}). "
            f"Got {', '.join(chosen) or 'none'}."
        )
    wrong = [name for name, size in chosen.items() if not isinstance(size, int) or size < 1]
    if wrong:
        raise SymbolicError(f"the size of layer {wrong[0]} is a whole number from 1. Got {chosen[wrong[0]]!r}.")
    bits = sum(size * math.log2(len(lookup(energy.layers[name].unit).states)) for name, size in chosen.items())
    if bits > MOST_BITS:
        raise SymbolicError(
            f"a check sums over all configurations, and layers of these sizes have 2^{bits:.0f}; 2^{MOST_BITS} is the "
            f"most, and takes minutes. Choose smaller sizes: {default_sizes(energy)} tells two axes apart already."
        )
    return {energy.layers[name]: chosen[name] for name in energy.layers}


def worlds(sizes: Mapping[Layer, int], *, points: int = 4, seed: int = 0) -> tuple[World, ...]:
    """The random points at which expressions are compared. One set serves all steps: equal parts are evaluated once."""
    return tuple(World(sizes, seed, point) for point in range(points))


def difference(before: Expr, after: Expr, points: Iterable[World]) -> str:
    """Evaluate both expressions at every point; the empty string if they agree, else what was found."""
    for number, world in enumerate(points, 1):
        try:
            world.place(before, after)
            left, right = world.evaluate(before), world.evaluate(after)
        except CheckError as error:
            return str(error)
        if left != right:
            return f"the two sides differ at point {number}"
    return ""


def verify(
    derivation: Derivation, *, sizes: Mapping[str, int] | None = None, points: int = 4, seed: int = 0
) -> Verification:
    """Check a derivation: each step's two lines, the joints between them, and that the result is what was asked.

    Raises:
        SymbolicError: ``sizes`` does not fit the energy or makes a model too large to sum over, or ``points`` is no
            whole number from 1.
    """
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise SymbolicError(f"points is a whole number from 1. Got {points!r}.")
    layers = _layer_sizes(derivation.energy, sizes)
    at = worlds(layers, points=points, seed=seed)
    checks: list[Check] = []
    for branch in derivation.branches:
        checks += _joints(branch)
        for position, step in enumerate(branch.steps):
            detail = difference(step.before, step.after, at)
            checks.append(Check(branch.name, position, step.rule, not detail, detail))
    if derivation.kind == "gradient" or any(branch.name == "Term A" for branch in derivation.branches):
        checks += _tree(derivation)
    return Verification(tuple(checks), {layer.name: n for layer, n in layers.items()}, points)


def _joints(branch: Branch) -> list[Check]:
    """Each line is where the next step starts."""
    checks = []
    line = branch.subject
    for position, step in enumerate(branch.steps):
        if step.before != line:
            detail = f"line {position + 1} does not start where the line before it ended"
            checks.append(Check(branch.name, None, "joint", False, detail))
        line = step.after
    return checks or [Check(branch.name, None, "joint", True)]


def _tree(derivation: Derivation) -> list[Check]:
    """The terms are what the logarithm split into, and the result is their difference."""
    a, b = derivation["Term A"], derivation["Term B"]
    joints = {
        "split into terms": derivation["ln p(v)"].result == a.subject - b.subject,
        "difference of the terms": derivation.result == a.result - b.result,
        "the question": derivation["ln p(v)"].subject == derivation.subject,
    }
    return [
        Check(derivation.conclusion, None, rule, passed, "" if passed else f"{rule}: the branches do not fit together")
        for rule, passed in joints.items()
    ]
