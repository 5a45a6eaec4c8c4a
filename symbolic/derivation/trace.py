"""A derivation as data: steps in branches, each step one named rewriting of one line into the next."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

from sympy import Expr, exp
from sympy.core.basic import Basic

from symbolic.derivation.rules import CATALOGUE, Context, Rule
from symbolic.errors import SymbolicError
from symbolic.language.binders import IndexBinder
from symbolic.language.energy import Energy
from symbolic.language.expressions import exponential
from symbolic.verbs import DerivationVerbs

__all__ = ["Branch", "Derivation", "Step", "Trace"]


@dataclass(frozen=True)
class Step:
    """One line of a derivation: ``before`` equals ``after`` by the rule named.

    Attributes:
        rule: key into :data:`symbolic.derivation.rules.CATALOGUE`.
        before, after: the whole expressions, as they are printed and as they are checked.
        focus_before, focus_after: the part that was rewritten and what it became, as they stand in the two lines.
        conditions: expressions that must be positive for the step to hold, in the free index of each unit they speak
            of, such as the precision q_j; they are meant for every j.
    """

    rule: str
    before: Expr
    after: Expr
    focus_before: Expr
    focus_after: Expr
    conditions: tuple[Expr, ...] = ()

    @property
    def name(self) -> str:
        """The rule's name for people."""
        return CATALOGUE[self.rule].name

    @property
    def hint(self) -> str:
        """The rule in one short line."""
        return CATALOGUE[self.rule].hint


@dataclass(frozen=True)
class Branch:
    """A chain of equalities that starts at ``subject``; "Term A" and "Term B" are two of them."""

    name: str
    subject: Expr
    steps: tuple[Step, ...]

    @property
    def result(self) -> Expr:
        return self.steps[-1].after if self.steps else self.subject

    @property
    def lines(self) -> tuple[Expr, ...]:
        """The subject and what it is shown to equal, line by line."""
        return (self.subject, *(step.after for step in self.steps))


@dataclass(frozen=True)
class Derivation(DerivationVerbs):
    """The answer to a question asked of an energy, with the steps that lead to it.

    Attributes:
        energy: the energy asked.
        kind: ``"gradient"``, ``"free energy"``, ``"conditional"``, ``"phase"`` or ``"log partition"``.
        branches: the chains of equalities in reading order; together they are a tree: the branches "Term A" and "Term
            B" grow out of the last line of "ln p(v)" and meet in "Result".
        conclusion: the name of the branch whose last line is the result.
        method: how the sums were done where there is a choice: ``"closed form"``, ``"single-site"`` or
            ``"enumeration"``.
    """

    energy: Energy
    kind: str
    branches: tuple[Branch, ...]
    conclusion: str
    method: str = ""

    def __getitem__(self, name: str) -> Branch:
        for branch in self.branches:
            if branch.name == name:
                return branch
        raise SymbolicError(
            f"this derivation has no branch {name!r}; it has: {', '.join(b.name for b in self.branches)}."
        )

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in reading order."""
        return tuple(step for branch in self.branches for step in branch.steps)

    @property
    def conditions(self) -> tuple[Expr, ...]:
        """What must be positive for the result to hold, from all steps."""
        return tuple(dict.fromkeys(condition for step in self.steps for condition in step.conditions))

    @property
    def subject(self) -> Expr:
        return self[self.conclusion].subject

    @property
    def result(self) -> Expr:
        return self[self.conclusion].result

    @property
    def term_a(self) -> Expr:
        """The data term, ⟨−∂E/∂θ⟩ with the visible units clamped. Only a gradient has it."""
        return self["Term A"].result

    @property
    def term_b(self) -> Expr:
        """The model term, ⟨−∂E/∂θ⟩ over all configurations. Only a gradient has it."""
        return self["Term B"].result

    @property
    def mean(self) -> Expr:
        """The mean of one unit. Only a conditional has it."""
        return self["mean"].result

    def __str__(self) -> str:
        return self.text()


class Trace:
    """Builds one branch: apply rules in turn, and each records the step it made."""

    def __init__(self, name: str, subject: Expr, context: Context):
        self.name = name
        self.subject = subject
        self.context = context
        self.line = subject
        self.steps: list[Step] = []

    def apply(
        self, *rules: Rule, everywhere: bool = False, optional: bool = False, conditions: tuple[Expr, ...] = ()
    ) -> Trace:
        """Rewrite the first place (or every place) that each rule matches, which holds under the conditions.

        Raises:
            SymbolicError: a rule that is not optional matches nowhere.
        """
        for rule in rules:
            found: list[tuple[Expr, Expr]] = []
            after = _rewrite(self.line, rule, self.context, found, everywhere)
            if found:
                self.steps.append(Step(rule.id, self.line, after, *found[0], conditions))
                self.line = after
            elif not optional:
                raise SymbolicError(f"the rule {rule.name!r} does not apply to {self.line}.")
        return self

    def repeat(self, step: Step) -> Trace:
        """Return a step that was made elsewhere, where its line stands in this one."""
        after = _replaced(self.line, step.before, step.after)
        made = Step(step.rule, self.line, after, step.focus_before, step.focus_after, step.conditions)
        self.steps.append(made)
        self.line = after
        return self

    def branch(self) -> Branch:
        return Branch(self.name, self.subject, tuple(self.steps))


def _replaced(node: Any, old: Expr, new: Expr) -> Any:
    if node == old:
        return new
    arguments = [_replaced(argument, old, new) for argument in node.args]
    if all(map(operator.is_, arguments, node.args)):
        return node
    return exponential(*arguments) if type(node) is exp else node.func(*arguments)


def _rewrite(node: Any, rule: Rule, context: Context, found: list[tuple[Expr, Expr]], everywhere: bool) -> Any:
    if found and not everywhere:
        return node
    new = rule.match(node, context) if isinstance(node, Expr) else None
    if new is not None:
        found.append((node, new))
        return new
    if not node.args:
        return node
    if isinstance(node, IndexBinder):
        return _rewrite_under_binder(node, rule, context, found, everywhere)
    arguments = [_rewrite(argument, rule, context, found, everywhere) for argument in node.args]
    if all(new is old for new, old in zip(arguments, node.args, strict=True)):
        return node
    return exponential(*arguments) if type(node) is exp else node.func(*arguments)


def _rewrite_under_binder(
    node: IndexBinder, rule: Rule, context: Context, found: list[tuple[Expr, Expr]], everywhere: bool
) -> Any:
    body, fresh = node.open()
    start = len(found)
    after = _rewrite(body, rule, context, found, everywhere)
    if len(found) == start:
        return node
    closed = type(node)(after, *fresh)
    names = dict(zip(fresh, node.indices, strict=True))
    new_names = (
        dict(zip(_in_order_of(closed, after, fresh), closed.indices, strict=True))
        if isinstance(closed, IndexBinder) and len(closed.indices) == len(fresh)
        else names
    )
    found[start:] = [(old.xreplace(names), new.xreplace(new_names)) for old, new in found[start:]]
    return closed


def _in_order_of(closed: IndexBinder, body: Basic, fresh: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the fresh indices in the order in which ``closed`` names them: by layer, as canonical binders do."""
    return tuple(sorted(fresh, key=lambda index: [i.layer for i in closed.indices].index(index.layer)))
