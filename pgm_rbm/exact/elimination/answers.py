"""Answers about a network by elimination: each plans an order, is refused or runs, and is read off.

ln Z alone is `Elimination.log_partition`, since its order is known when it is chosen among the ways.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pgm_rbm.exact.elimination import run
from pgm_rbm.exact.elimination.cost import Elimination
from pgm_rbm.exact.elimination.network import Network
from pgm_rbm.exact.elimination.tables import Contradiction, FloatArray
from pgm_rbm.machine.budget import Budget
from pgm_rbm.machine.progress import Progress
from pgm_rbm.machine.streams import Purpose, generator

__all__ = ["entropy", "joint_marginal", "marginals", "most_probable", "sample"]


def joint_marginal(network: Network, keep: Sequence[Hashable], budget: Budget) -> FloatArray:
    """Return p(x_keep | evidence), an axis for each free variable of ``keep`` in their order.

    Raises:
        IntractableError: the elimination exceeds the budget.
        ImpossibleEvidenceError: every assignment has potential zero.
    """
    planned = Elimination.of(network, "ln Z", budget, keep=keep).require()
    with budget.showing("marginals") as shown, network.possible():
        logs = run.log_marginal(network.tables, network.cardinalities, keep, planned.plan, progress=shown)
        top = logs.max()
        if top == -math.inf:
            raise Contradiction
    table = np.exp(logs - top)
    return np.asarray(table / table.sum())


def marginals(
    network: Network, wanted: Sequence[tuple[Hashable, ...]], budget: Budget, what: str = "marginals"
) -> tuple[float, dict[tuple[Hashable, ...], FloatArray]]:
    """Return ln Z and the marginals p(x_s | evidence) over many scopes s, by one way forward and one back.

    Args:
        network: the model and its evidence.
        wanted: scopes of free variables.
        budget: what it may take.
        what: the name of the progress bar.

    Raises:
        IntractableError: the elimination exceeds the budget.
        ImpossibleEvidenceError: every assignment has potential zero.
    """
    linked = [scope for scope in wanted if len(scope) > 1]
    planned = Elimination.of(network, "marginals", budget, linked=linked).require()
    # a pair that stands in no table is given one, so that there is a step at which it meets
    met = {frozenset(pair) for scope, _ in network.tables for pair in combinations(scope, 2)}
    blank = [
        (scope, np.zeros([network.cardinalities[name] for name in scope]))
        for scope in linked
        if any(frozenset(pair) not in met for pair in combinations(scope, 2))
    ]
    tables = [*network.tables, *blank]
    with budget.showing(what) as shown, network.possible():
        return run.marginals(tables, network.cardinalities, wanted, planned.plan, planned.segment, progress=shown)


def entropy(network: Network, budget: Budget) -> float:
    """Return − Σ_x p(x) ln p(x) = ln Z + ⟨E⟩ − ⟨ln μ⟩ of the free variables given the evidence, in nats.

    Raises:
        IntractableError: the elimination exceeds the budget.
        ImpossibleEvidenceError: every assignment has potential zero.
    """
    planned = Elimination.of(network, "marginals", budget).require()
    tables = network.tables
    wanted = list(dict.fromkeys(scope for scope, _ in tables if scope))
    with budget.showing("entropy") as shown, network.possible():
        log_z, found = run.marginals(
            tables, network.cardinalities, wanted, planned.plan, planned.segment, progress=shown
        )
    terms = [log_z]
    for scope, logs in tables:
        belief = found[scope] if scope else np.ones(())
        terms.append(-float((belief * np.where(belief > 0.0, logs, 0.0)).sum()))
    return max(0.0, math.fsum(terms))


def most_probable(network: Network, budget: Budget) -> tuple[dict[Hashable, int], float, float]:
    """Return argmax_x p(x | evidence), ln p of it given the evidence, and its energy.

    Returns:
        Variable -> index of its value, the observed ones included; and the two numbers.

    Raises:
        IntractableError: the elimination exceeds the budget.
        ImpossibleEvidenceError: every assignment has potential zero.
    """
    planned = Elimination.of(network, "most probable", budget).require()
    plan, search = planned.plan, planned.operations - planned.plan.operations
    tables, cardinalities = network.tables, network.cardinalities
    with budget.showing("most probable") as shown, network.possible():
        log_z = run.log_partition(tables, cardinalities, plan, progress=_stretch(shown, 0, search))
        if log_z == -math.inf:
            raise Contradiction
        states = run.most_probable(
            tables, cardinalities, plan, planned.segment, progress=_stretch(shown, plan.operations, 0)
        )
    states |= network.observed
    energy = float(network.energy([np.asarray(states[name], np.intp) for name in network.names]))
    log_weight = network.log_measure(states) - energy
    return states, min(0.0, log_weight - log_z), energy


def sample(network: Network, n: int, seed: int, budget: Budget) -> dict[Hashable, NDArray[np.intp]]:
    """Return n independent draws from p(x | evidence): free variable -> indices of its values, shape (n,).

    Row t depends on the network, the seed of 64 bits and t alone.

    Raises:
        IntractableError: the elimination exceeds the budget.
        ImpossibleEvidenceError: every assignment has potential zero.
    """
    planned = Elimination.of(network, "samples", budget, draws=n).require()
    column = {name: place for place, name in enumerate(network.names)}

    def uniforms(name: Hashable) -> FloatArray:
        return generator(seed, Purpose.EXACT, column[name]).random(n)

    with budget.showing("samples") as shown, network.possible():
        return run.sample(
            network.tables, network.cardinalities, n, uniforms, planned.plan, planned.segment, progress=shown
        )


def _stretch(progress: Progress | None, before: int, after: int) -> Progress | None:
    """Return a function that reports the progress of one piece of work as that of a longer one."""
    if progress is None:
        return None
    return lambda done, total: progress(before + done, before + total + after)
