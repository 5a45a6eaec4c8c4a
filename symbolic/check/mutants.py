"""Wrong lines, made on purpose: the mistakes people make when they derive by hand.

They test the checker (each must be refused) and are what the exercise "find the wrong line" is made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sympy import Add, Expr, Integer, Mul, Pow, exp, log

from symbolic.derivation.trace import Branch, Derivation, Step
from symbolic.language.binders import ConfigSum, IndexBinder, UnitSum
from symbolic.language.layers import Configuration, Index, State
from symbolic.language.parameters import Entry
from symbolic.language.probability import EnergyCall, Expectation, Probability

__all__ = ["Mutant", "mutants", "mutations"]


@dataclass(frozen=True)
class Mutant:
    """A derivation with one wrong line.

    Attributes:
        mistake: what was done, such as ``"a sign dropped"``.
        branch, position: where.
        derivation: the whole derivation, its later lines following from the wrong one as they were.
    """

    mistake: str
    branch: str
    position: int
    derivation: Derivation


def mutants(derivation: Derivation) -> Iterator[Mutant]:
    """Yield every derivation that differs from this one by one mistake in one line."""
    for branch in derivation.branches:
        for position, step in enumerate(branch.steps):
            for mistake, line in mutations(step.after):
                if line != step.after:
                    yield Mutant(mistake, branch.name, position, _with_line(derivation, branch, position, line))
            if step.rule == "define_log_partition":
                continue  # whether Z is finite is no property of the line, and not seen in sums over stand-ins
            stated = {condition for earlier in branch.steps[:position] for condition in earlier.conditions}
            for condition in step.conditions:
                if condition not in stated:
                    conditions = tuple(-other if other == condition else other for other in step.conditions)
                    changed = _with_steps(derivation, branch, {position: replace(step, conditions=conditions)})
                    yield Mutant("a condition with the wrong sign", branch.name, position, changed)


def _with_line(derivation: Derivation, branch: Branch, position: int, line: Expr) -> Derivation:
    steps = {position: replace(branch.steps[position], after=line, focus_after=line)}
    if position + 1 < len(branch.steps):
        steps[position + 1] = replace(branch.steps[position + 1], before=line, focus_before=line)
    return _with_steps(derivation, branch, steps)


def _with_steps(derivation: Derivation, branch: Branch, others: Mapping[int, Step]) -> Derivation:
    steps = [others.get(position, step) for position, step in enumerate(branch.steps)]
    changed = replace(branch, steps=tuple(steps))
    return replace(derivation, branches=tuple(changed if b is branch else b for b in derivation.branches))


def mutations(line: Expr) -> Iterator[tuple[str, Expr]]:
    """Yield the line with one mistake, after the mistake's name; every kind at every place where it can be made."""
    yield "a sign flipped", -line
    yield "a constant added", line + log(Integer(2))
    yield "a factor 2 too much", 2 * line
    yield from _everywhere(line)


def _everywhere(line: Expr) -> Iterator[tuple[str, Expr]]:
    seen: set[tuple[str, Expr]] = set()
    for mistake, line_with_it in _at_each_node(line):
        if (mistake, line_with_it) not in seen:
            seen.add((mistake, line_with_it))
            yield mistake, line_with_it


def _at_each_node(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Expr):
        yield from _here(node)
    if isinstance(node, IndexBinder):
        body, fresh = node.open()
        for mistake, changed in _at_each_node(body):
            yield mistake, type(node)(changed, *fresh)
        return
    if isinstance(node, (EnergyCall, Probability, Expectation, State, Entry)):
        return
    for position, argument in enumerate(node.args):
        for mistake, changed in _at_each_node(argument):
            yield mistake, node.func(*node.args[:position], changed, *node.args[position + 1 :])


def _here(node: Expr) -> Iterator[tuple[str, Expr]]:
    if isinstance(node, exp):
        yield "a sign dropped in the exponent", exp(-node.args[0])
    elif isinstance(node, Pow) and node.exp == -1:
        yield "a normaliser forgotten", Integer(1)
        yield "a normaliser upside down", node.base
        yield "a normaliser shifted", 1 / (node.base + 1)
    elif isinstance(node, Add):
        for term in node.args:
            yield "a term dropped", node - term
            yield "a term with the wrong sign", node - 2 * term
    elif isinstance(node, Mul):
        for factor in node.args:
            if isinstance(factor, (State, Entry)):
                yield "a factor dropped", Mul(*(f for f in node.args if f is not factor))
    elif isinstance(node, ConfigSum):
        if len(node.configurations) > 1:
            for forgotten in node.configurations:
                kept = tuple(c for c in node.configurations if c != forgotten)
                yield "a sum forgotten, its label left unbound", ConfigSum(node.body, *kept)
        else:
            yield "a sum forgotten, its label left unbound", node.body
        for summed in node.configurations:
            for other in sorted(node.free_symbols, key=str):
                if isinstance(other, Configuration) and not other.label and other.layer != summed.layer:
                    swap = {summed: Configuration(summed.layer), other: Configuration(other.layer, summed.label)}
                    over = (swap[other] if c == summed else c for c in node.configurations)
                    yield "a sum over the wrong layer", ConfigSum(node.body.xreplace(swap), *over)
    elif isinstance(node, UnitSum):
        yield "a sum over states forgotten", node.body
    elif isinstance(node, State):
        other = _other(node.index)
        if other is not None:
            yield "an index swapped", State(node.configuration, other)
        if node.configuration.label:
            yield "a label dropped", State(Configuration(node.layer), node.index)
        else:
            yield "an unbound label", State(Configuration(node.layer, "z"), node.index)
    elif isinstance(node, Entry):
        for axis, index in enumerate(node.indices):
            other = _other(index)
            if other is not None:
                indices = (*node.indices[:axis], other, *node.indices[axis + 1 :])
                yield "an index of a parameter swapped", Entry(node.parameter, *indices)
    elif isinstance(node, Expectation):
        probability = node.probability
        function = probability.function
        bound = {c: function.bound(c.layer) for c in probability.given if c.layer not in function.given}
        if bound:
            inputs = tuple(c for c in probability.given if c not in bound)
            free = Probability(function, (*probability.subject, *bound.values()), inputs)
            yield "clamped and free averages confused", Expectation(node.statistic.xreplace(bound), free)
        for mistake, statistic in _here(node.statistic):
            if mistake not in _LABEL_MISTAKES:
                yield mistake, Expectation(statistic, probability)


# Between the brackets of ⟨·⟩ no labels are shown, so nobody can get them wrong there.
_LABEL_MISTAKES = ("a label dropped", "an unbound label")


def _other(index: Expr) -> Index | None:
    """Return another free index over the same layer, if this one is free; a bound one is a dummy."""
    return Index(index.name + "′", index.layer) if isinstance(index, Index) and index.name.isidentifier() else None
