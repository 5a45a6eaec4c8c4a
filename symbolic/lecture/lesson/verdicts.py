"""What the checker found, in the words of a lecture."""

from __future__ import annotations

from collections.abc import Iterable

from symbolic.check.small_model import shown_state
from symbolic.check.verification import NOT_CHECKABLE, QUADRATURE, Check, Verification
from symbolic.derivation.rules import CATALOGUE
from symbolic.lecture.document import Outcome, Verdict
from symbolic.units import StateValue

__all__ = ["outcome", "verdict", "worst"]


def outcome(check: Check | None) -> Outcome:
    """Say how one check went."""
    if check is None:
        return ""
    if check.kind == NOT_CHECKABLE:
        return "unchecked"
    return "failed" if not check.passed else "numeric" if check.kind == QUADRATURE else "exact"


def worst(checks: Iterable[Check]) -> Outcome:
    """Return the worst outcome of several checks."""
    found = {outcome(check) for check in checks}
    order: tuple[Outcome, ...] = ("failed", "unchecked", "numeric", "exact")
    return next((kind for kind in order if kind in found), "")


def verdict(verifications: Iterable[Verification], branch: str | None = None) -> Verdict | None:
    """Sum up the checks of one branch, or of everything; None if there were none."""
    verifications = list(verifications)
    checks = [c for v in verifications for c in v.checks if branch is None or c.branch == branch]
    if not checks:
        return None
    lines = [c for c in checks if c.position is not None]
    first = verifications[0]
    return Verdict(
        sum(c.passed for c in lines),
        len(lines),
        tuple(tuple(sizes.items()) for sizes in first.models),
        tuple(_located(c) for c in checks if outcome(c) == "failed"),
        numeric=sum(outcome(c) == "numeric" for c in lines),
        unchecked=tuple(_located(c) for c in lines if outcome(c) == "unchecked"),
        stand_ins=tuple((name, tuple(map(_set, sets))) for name, sets in first.stand_ins.items()),
    )


def _located(check: Check) -> str:
    name = CATALOGUE[check.rule].name if check.rule in CATALOGUE else check.rule
    return f"{check.branch}, {name}: {check.detail}"


def _set(states: Iterable[StateValue]) -> str:
    return "{" + ", ".join(map(shown_state, states)) + "}"
