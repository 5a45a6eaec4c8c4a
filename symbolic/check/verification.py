"""Verifying a derivation: every step evaluated before and after, and every joint between branches looked at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sympy import Expr

from symbolic.check.environment import numbered_units
from symbolic.check.evaluator import Evaluator
from symbolic.check.finite_field import FIELDS
from symbolic.check.reals import REALS
from symbolic.check.small_model import RealModel, SmallModel, shown_state, stand_ins
from symbolic.errors import CheckError, SymbolicError, UnboundError
from symbolic.language.binders import UnitSum
from symbolic.language.layers import KnownAxis, Layer
from symbolic.units import StateValue, lookup

if TYPE_CHECKING:
    from symbolic.derivation.trace import Branch, Derivation
    from symbolic.language.energy import Energy

__all__ = ["Check", "Checker", "Verification", "default_sizes", "difference", "models", "verify"]


EXACT, QUADRATURE, NOT_CHECKABLE = "exact", "quadrature", "not checkable"

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
        detail: what was found, in words, when they do not; or why the step could not be evaluated.
        kind: how: ``"exact"``, ``"quadrature"``, or ``"not checkable"``, which is neither passed nor failed.
    """

    branch: str
    position: int | None
    rule: str
    passed: bool
    detail: str = ""
    kind: str = EXACT


@dataclass(frozen=True)
class Verification:
    """What was checked and how it went; truthy when everything passed.

    Attributes:
        checks: one for each step and joint.
        sizes: units per layer of the model in which the steps were evaluated.
        points: the number of random points.
        stand_ins: for each layer with many or infinitely many states, the sets of states that stood in for them.
    """

    checks: tuple[Check, ...]
    sizes: Mapping[str, int]
    points: int
    stand_ins: Mapping[str, tuple[tuple[StateValue, ...], ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that found a difference."""
        return tuple(c for c in self.checks if not c.passed and c.kind != NOT_CHECKABLE)

    @property
    def not_checkable(self) -> tuple[Check, ...]:
        """The steps that could not be evaluated; each check's detail says why."""
        return tuple(check for check in self.checks if check.kind == NOT_CHECKABLE)

    def passed(self, branch: str, position: int) -> bool:
        """Whether the step at this place passed."""
        return any(c.passed for c in self.checks if c.branch == branch and c.position == position)

    def check(self, branch: str, position: int) -> Check | None:
        """The check of the step at this place."""
        return next((c for c in self.checks if c.branch == branch and c.position == position), None)

    def __str__(self) -> str:
        lines = [self._summary()]
        found = [(check, 0) for check in self.failures]
        for reason in dict.fromkeys(check.detail for check in self.not_checkable):
            first, *others = (check for check in self.not_checkable if check.detail == reason)
            found.append((first, len(others)))
        for check, more in found:
            place = check.branch if check.position is None else f"{check.branch}, line {check.position + 1}"
            same = f" (and {more} more line{'s' * (more > 1)})" if more else ""
            lines.append(f"  {place}, {check.rule}{same}: {check.detail}")
        return "\n".join(lines)

    def _summary(self) -> str:
        sizes = ", ".join(f"{name}: {size}" for name, size in self.sizes.items())
        how = f"exactly, in a finite field, at {self.points} random points of a model with {sizes} units"
        numeric = sum(check.kind == QUADRATURE for check in self.checks)
        if numeric:
            how += f"; {numeric} of them in real numbers of 30 digits, sums and integrals carried out"
        for name, sets in self.stand_ins.items():
            states = " and ".join("{" + ", ".join(map(shown_state, states)) + "}" for states in sets)
            how += f"; in sums over the whole layer {name} the states {states} stand in for its units' own"
        total, failed, unknown = len(self.checks), len(self.failures), len(self.not_checkable)
        if self:
            return f"all {total} checks passed ({how})"
        counts = [f"{failed} of {total} checks failed"] * bool(failed)
        counts += [f"{unknown} of {total} could not be checked"] * bool(unknown)
        return f"{' and '.join(counts) or 'nothing was checked'} ({how})"


def default_sizes(energy: Energy, *lines: Expr) -> dict[str, int]:
    """Small sizes that differ from each layer to the next, so that no two axes can be mistaken for each other.

    A layer has every unit that the energy, or a line of a derivation, names by its number, and one more than the axes
    that a parameter has over it, so that a wrong index finds a unit of its own. Where there would be too many
    configurations to sum over, sizes are smaller, and some may be equal.
    """
    least = dict.fromkeys(energy.layers, 1)
    doubled = {
        layer.name: 1 + parameter.layers.count(layer)
        for parameter in energy.parameters.values()
        for layer in parameter.layers
        if parameter.layers.count(layer) > 1 and not isinstance(layer, KnownAxis)
    }
    for layer, number in numbered_units(energy.expression, *lines):
        least[layer.name] = max(least.get(layer.name, 1), number + 1)
    sizes: dict[str, int] = {}
    for usual, differ in (((2, 3), True), ((2, 3), False), ((2, 2), False), ((1, 2), False), ((1, 1), False)):
        sizes, before = {}, 0
        for position, name in enumerate(energy.layers):
            size = max(least[name], usual[position % 2], doubled.get(name, 1) if differ else 1)
            before = sizes[name] = size + (differ and size == before)
        if _bits(energy, sizes) <= MOST_BITS:
            break
    return sizes


def _bits(energy: Energy, sizes: Mapping[str, int]) -> float:
    """The number of configurations that are summed over in a check, as a power of two."""
    # Of units with many states a few are summed over, those that stand in for them; given layers are not summed.
    most = {layer: max(map(len, stand_ins(layer))) for layer in energy.visible + energy.hidden}
    return sum(sizes[layer.name] * math.log2(states) for layer, states in most.items())


def _checked_sizes(energy: Energy, sizes: Mapping[str, int]) -> dict[str, int]:
    example = default_sizes(energy)
    if not isinstance(sizes, Mapping):
        raise SymbolicError(f"sizes maps layers to numbers of units, as in {example}. Got {sizes!r}.")
    if set(sizes) != set(energy.layers):
        raise SymbolicError(
            f"sizes name every layer of the energy once ({', '.join(energy.layers)}). Got {', '.join(sizes) or 'none'}."
        )
    wrong = [name for name, size in sizes.items() if not isinstance(size, int) or size < 1]
    if wrong:
        raise SymbolicError(f"the size of layer {wrong[0]} is a whole number from 1. Got {sizes[wrong[0]]!r}.")
    bits = _bits(energy, sizes)
    if bits > MOST_BITS:
        raise SymbolicError(
            f"a check sums over all configurations, and layers of these sizes have 2^{bits:.0f}; 2^{MOST_BITS} is the "
            f"most, and takes minutes. Choose smaller sizes, such as {example}."
        )
    return {name: sizes[name] for name in energy.layers}


def models(
    sizes: Mapping[Layer, int], *, points: int = 4, seed: int = 0, true_units: bool = False
) -> tuple[SmallModel, ...]:
    """The random points at which expressions are compared. One set serves all steps: equal parts are evaluated once."""
    evaluator = Evaluator(FIELDS, true_units)
    return tuple(SmallModel(evaluator, sizes, seed, point) for point in range(points))


def difference(before: Expr, after: Expr, points: Iterable[SmallModel]) -> str:
    """Evaluate both expressions at every point; the empty string if they agree, else what was found."""
    return _compared(before, after, points)[1]


def _compared(before: Expr, after: Expr, points: Iterable[SmallModel]) -> tuple[bool | None, str]:
    """Whether both agree at all points, None if that could not be found out; and what was found if they do not."""
    for number, model in enumerate(points, 1):
        try:
            agree = model.agree(before, after)
        except UnboundError as error:
            return False, str(error)
        except CheckError as error:
            return None, str(error)
        if not agree:
            return False, f"the two sides differ at point {number}"
    return True, ""


class Checker:
    """Compares two lines: exactly; with each unit's own states, where these are more than a few; and in real numbers.

    A line that holds whatever the states passes with the few that stand in for them, exactly, or in real numbers where
    it has no exact value. One that names the sum over a unit's states needs the unit's own. What agrees in none is
    wrong, unless it could not be evaluated.

    Args:
        sizes: units per layer.
        points: at how many random points.
        seed: of those points.
    """

    # The fewest at which no product of states can lack a factor unseen.
    numeric_points = (0, 1, 2, 3)

    def __init__(self, sizes: Mapping[Layer, int], points: int = 4, seed: int = 0):
        self.sizes = dict(sizes)
        self.seed = seed
        self.exact = models(sizes, points=points, seed=seed)
        self.many = [layer for layer in sizes if not lookup(layer.unit).has_few_states]
        self._listed = models(sizes, points=points, seed=seed, true_units=True) if self.many else ()
        self._real: dict[tuple[tuple[Expr, ...], bool], tuple[SmallModel, ...] | CheckError] = {}

    def compare(self, before: Expr, after: Expr, conditions: tuple[Expr, ...] = ()) -> tuple[str, str]:
        """(kind, what was found): the second is empty if both agree, and the reason if the first is "not checkable"."""
        agreed, found = _compared(before, after, self.exact)
        if agreed is True:
            return EXACT, ""
        of_units = self._sums_over_many(before, after)
        if agreed is False and not of_units:
            return EXACT, found
        if self._listed and _compared(before, after, self._listed)[0]:
            return EXACT, ""
        try:
            if agreed is None:
                numerically, found = _compared(before, after, self._reals(conditions, true_units=False))
                if numerically is True:
                    return QUADRATURE, ""
                if not of_units:
                    return (NOT_CHECKABLE if numerically is None else QUADRATURE), found
            numerically, found = _compared(before, after, self._reals(conditions, true_units=True))
        except CheckError as error:
            return NOT_CHECKABLE, str(error)
        return (NOT_CHECKABLE if numerically is None else QUADRATURE), found

    def _sums_over_many(self, *lines: Expr) -> bool:
        if not self.many:
            return False
        return any(total.state.layer in self.many for line in lines for total in line.atoms(UnitSum))

    def _reals(self, conditions: tuple[Expr, ...], true_units: bool) -> tuple[SmallModel, ...]:
        key = conditions, true_units
        if key not in self._real:
            evaluator = Evaluator((REALS,), true_units)
            try:
                self._real[key] = tuple(
                    RealModel(evaluator, self.sizes, self.seed, point, conditions) for point in self.numeric_points
                )
            except CheckError as error:
                self._real[key] = error
        made = self._real[key]
        if isinstance(made, CheckError):
            raise made
        return made


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
    energy = derivation.energy
    asked = (branch.subject for branch in derivation.branches)
    sized = default_sizes(energy, *asked) if sizes is None else _checked_sizes(energy, sizes)
    checker = Checker({energy.layers[name]: size for name, size in sized.items()}, points, seed)
    bits = _bits(energy, sized)
    too_many = f"the smallest model for it has 2^{bits:.0f} configurations to sum over; 2^{MOST_BITS} is the most."
    checks: list[Check] = []
    for branch in derivation.branches:
        checks += _joints(branch)
        # A line holds under its own condition and those of the lines above it; a forgotten one leaves it without value.
        conditions: tuple[Expr, ...] = ()
        for position, step in enumerate(branch.steps):
            conditions = tuple(dict.fromkeys((*conditions, *step.conditions)))
            kind, detail = NOT_CHECKABLE, too_many
            if bits <= MOST_BITS:
                kind, detail = checker.compare(step.before, step.after, conditions)
            checks.append(Check(branch.name, position, step.rule, not detail, detail, kind))
    if derivation.kind == "gradient" or any(branch.name == "Term A" for branch in derivation.branches):
        checks += _tree(derivation)
    return Verification(
        tuple(checks),
        sized,
        points,
        {layer.name: stand_ins(layer) for layer in checker.many},
    )


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
