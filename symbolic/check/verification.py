"""Verifying a derivation: every step evaluated before and after, and every joint between branches looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from sympy import Expr

from symbolic.check.environment import is_about_places
from symbolic.check.evaluator import Evaluator
from symbolic.check.finite_field import FIELDS
from symbolic.check.reals import REALS
from symbolic.check.sizes import MOST_BITS, bits, checked_sizes, default_sizes, other_sizes
from symbolic.check.small_model import MOST_POINTS, RealModel, SmallModel, shown_state, stand_ins
from symbolic.errors import CheckError, SymbolicError, UnboundError
from symbolic.language.binders import UnitSum
from symbolic.language.layers import Layer
from symbolic.units import StateValue, lookup

if TYPE_CHECKING:
    from symbolic.derivation.trace import Branch, Derivation

__all__ = ["Check", "Checker", "Verification", "difference", "models", "verify"]


EXACT, QUADRATURE, NOT_CHECKABLE = "exact", "quadrature", "not checkable"


# Functions that a checker keeps for the next derivation of its energy. The ten derivations of an RBM take 700, each a
# few kB with the values it remembers (2026-12).
MOST_REMEMBERED = 20_000


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

    A check that passed says that both lines had the same value in small models with random parameters, wherever they
    were compared. Lines that differ as functions of parameters, or of states off the domain, agree by chance with a
    probability of about their degree / 2^58. Of lines that are compared in single states, since they hold on the
    domain only, one that is wrong in a share f of the points passes a model with a probability of (1 − f)^points if not
    all points were gone through, and never if they were. For models of other sizes a check says nothing.

    Attributes:
        checks: one for each step and joint.
        models: units per layer of each model in which the steps were evaluated.
        points: at how many points per model lines are compared at most.
        stand_ins: for each layer with many or infinitely many states, the sets of states that stood in for them.
    """

    checks: tuple[Check, ...]
    models: tuple[Mapping[str, int], ...]
    points: int
    stand_ins: Mapping[str, tuple[tuple[StateValue, ...], ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Units per layer of the first model."""
        return self.models[0]

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
        sizes = " and ".join(", ".join(f"{name}: {size}" for name, size in one.items()) for one in self.models)
        how = f"exactly, in a finite field, in models with {sizes} units"
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


def models(
    *sizes: Mapping[Layer, int], points: int = MOST_POINTS, seed: int = 0, true_units: bool = False
) -> tuple[SmallModel, ...]:
    """Return a model of each of the sizes given, in which expressions are compared. Equal parts are evaluated once."""
    evaluator = Evaluator(FIELDS, true_units)
    return tuple(SmallModel(evaluator, one, seed, number, points) for number, one in enumerate(sizes))


def difference(before: Expr, after: Expr, models: Iterable[SmallModel]) -> str:
    """Compare both expressions in every model; return the empty string if they agree, else what was found."""
    return _compared(before, after, models)[1]


def _compared(
    before: Expr, after: Expr, models: Iterable[SmallModel], conditions: tuple[Expr, ...] = ()
) -> tuple[bool | None, str]:
    """Return whether both agree in all models, None if that could not be found out; and what was found otherwise."""
    for model in models:
        try:
            agree = model.agree(before, after, conditions)
        except UnboundError as error:
            return False, str(error)
        except CheckError as error:
            return None, str(error)
        if not agree:
            sizes = ", ".join(f"{layer.name}: {size}" for layer, size in model.sizes.items())
            return False, f"the two sides differ in a model with {sizes} units" if sizes else "the two sides differ"
    return True, ""


class Checker:
    """Compares two lines: exactly; with each unit's own states, where these are more than a few; and in real numbers.

    A line that holds whatever the states passes with the few that stand in for them, exactly, or in real numbers where
    it has no exact value. One that names the sum over a unit's states needs the unit's own. What agrees in none is
    wrong, unless it could not be evaluated.

    Args:
        sizes: units per layer, for each model.
        points: at how many points per model lines are compared at most.
        seed: of the random numbers.
    """

    def __init__(self, *sizes: Mapping[Layer, int], points: int = MOST_POINTS, seed: int = 0):
        self.sizes = sizes
        self.seed = seed
        self.lock = Lock()
        self.exact = models(*sizes, points=points, seed=seed)
        self.many = [layer for layer in sizes[0] if not lookup(layer.unit).has_few_states]
        self._listed = models(*sizes, points=points, seed=seed, true_units=True) if self.many else ()
        self._real: dict[tuple[tuple[Expr, ...], bool], tuple[SmallModel, ...] | CheckError] = {}

    @property
    def is_full(self) -> bool:
        """Whether so much is remembered that a new checker should take over."""
        return self.exact[0].evaluator.made > MOST_REMEMBERED

    def compare(self, before: Expr, after: Expr, conditions: tuple[Expr, ...] = ()) -> tuple[str, str]:
        """(kind, what was found): the second is empty if both agree, and the reason if the first is "not checkable"."""
        places = tuple(condition for condition in conditions if is_about_places(condition))
        conditions = tuple(condition for condition in conditions if condition not in places)
        agreed, found = _compared(before, after, self.exact, places)
        if agreed is True:
            return EXACT, ""
        of_units = self._sums_over_many(before, after)
        if agreed is False and not of_units:
            return EXACT, found
        if self._listed and _compared(before, after, self._listed, places)[0]:
            return EXACT, ""
        try:
            if agreed is None:
                numerically, found = _compared(before, after, self._reals(conditions, true_units=False), places)
                if numerically is True:
                    return QUADRATURE, ""
                if not of_units:
                    return (NOT_CHECKABLE if numerically is None else QUADRATURE), found
            numerically, found = _compared(before, after, self._reals(conditions, true_units=True), places)
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
            # Two models of each of the sizes, which differ in every place and state.
            sizes = [one for one in self.sizes for _ in range(2)]
            try:
                self._real[key] = tuple(
                    RealModel(evaluator, one, self.seed, number, conditions) for number, one in enumerate(sizes)
                )
            except CheckError as error:
                self._real[key] = error
        made = self._real[key]
        if isinstance(made, CheckError):
            raise made
        return made


@lru_cache(maxsize=4)
def _shared(sizes: tuple[tuple[tuple[Layer, int], ...], ...], points: int, seed: int) -> Checker:
    return Checker(*map(dict, sizes), points=points, seed=seed)


def _checker(sizes: tuple[tuple[tuple[Layer, int], ...], ...], points: int, seed: int) -> Checker:
    """Return the checker for models of these sizes. Derivations of one energy share it, and the sums they share."""
    checker = _shared(sizes, points, seed)
    if checker.is_full:
        _shared.cache_clear()
        checker = _shared(sizes, points, seed)
    return checker


def verify(
    derivation: Derivation, *, sizes: Mapping[str, int] | None = None, points: int = MOST_POINTS, seed: int = 0
) -> Verification:
    """Check a derivation: each step's two lines, the joints between them, and that the result is what was asked.

    Raises:
        SymbolicError: ``sizes`` does not fit the energy or makes a model too large to sum over, or ``points`` is no
            whole number from 1.
    """
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise SymbolicError(f"points is a whole number from 1. Got {points!r}.")
    energy = derivation.energy
    asked = tuple(branch.subject for branch in derivation.branches)
    sized = default_sizes(energy, *asked) if sizes is None else checked_sizes(energy, sizes, asked)
    other = other_sizes(energy, sized, asked)
    every = [sized] if other is None else [sized, other]
    checker = _checker(tuple(tuple((energy.layers[n], k) for n, k in one.items()) for one in every), points, seed)
    power = bits(energy, sized)
    too_many = f"the smallest model for it has 2^{power:.0f} configurations to sum over; 2^{MOST_BITS} is the most."
    checks: list[Check] = []
    with checker.lock:
        for branch in derivation.branches:
            checks += _joints(branch) + _steps(branch, checker, "" if power <= MOST_BITS else too_many)
    if derivation.kind == "gradient" or any(branch.name == "Term A" for branch in derivation.branches):
        checks += _tree(derivation)
    return Verification(
        tuple(checks),
        tuple(every),
        points,
        {layer.name: stand_ins(layer) for layer in checker.many},
    )


def _steps(branch: Branch, checker: Checker, too_many: str) -> list[Check]:
    """Return the checks of a branch's steps, or say why there are none."""
    checks = []
    # A line holds under its own condition and those of the lines above it; a forgotten one leaves it without value.
    conditions: tuple[Expr, ...] = ()
    for position, step in enumerate(branch.steps):
        conditions = tuple(dict.fromkeys((*conditions, *step.conditions)))
        kind, detail = NOT_CHECKABLE, too_many
        if not too_many:
            kind, detail = checker.compare(step.before, step.after, conditions)
        checks.append(Check(branch.name, position, step.rule, not detail, detail, kind))
    return checks


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
