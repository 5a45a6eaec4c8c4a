"""Energies made up at random: derived, lowered, compiled for every target and run, against sums by hand."""

from __future__ import annotations

import ast
import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symbolic import Energy
from symbolic.codegen.build import Kernels
from symbolic.units import lookup

UNITS = ("binary", "spin", "{-1, 0, 2}", "binomial(3)", "integer(2)")
SIZES = {"v": 3, "h": 2}
ROWS, DRAWS = 3, 3000
Arrays = dict[str, np.ndarray]


def settings_for(examples: int) -> Any:
    return settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
    )


@st.composite
def made_up(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """The text of an energy over layers v and h with biases, and their units.

    Terms couple up to three units, within a layer too; their parameters may lack axes, be shared by terms, or stand in
    functions; sums are squared, multiplied and divided by others.
    """
    units = {name: draw(st.sampled_from(UNITS)) for name in SIZES}
    names = {"v": "ikm", "h": "jln"}
    number = itertools.count()

    def factor(indices: list[str]) -> str:
        axes = [index for index in indices if draw(st.booleans())]
        entry = f"w{next(number)}[{','.join(axes)}]" if axes else f"w{next(number)}"
        return draw(st.sampled_from([entry] * 4 + [f"exp({entry})", f"{entry}^2", f"softplus({entry})"]))

    def total() -> str:
        layers = sorted(draw(st.lists(st.sampled_from("vh"), min_size=1, max_size=3)), reverse=True)
        indices = [names[layer][layers[:place].count(layer)] for place, layer in enumerate(layers)]
        states = [f"{layer}[{index}]" for layer, index in zip(layers, indices, strict=True)]
        if draw(st.integers(0, 7)) == 0:
            states.append(f"v[{draw(st.integers(0, 2))}]")
        return f"sum({'*'.join([*states, factor(indices)])}, {', '.join(indices)})"

    terms = []
    for _ in range(draw(st.integers(1, 3))):
        form = draw(st.sampled_from(["{0}"] * 5 + ["({0})^2", "{0}*sum(v[i]*{1}, i)", "{0}/(2 + sum(exp(a[i]), i))"]))
        terms.append(form.format(total(), factor(["i"])))
    return " - ".join(["0", *terms, "sum(a[i]*v[i], i)", "sum(b[j]*h[j], j)"]), units


class ByHand:
    """E of a text by Python's own reading of it, and sums over all configurations."""

    def __init__(self, text: str, units: dict[str, str], parameters: Arrays):
        self.tree = ast.parse(text.replace("^", "**"), mode="eval").body
        self.parameters = parameters
        self.spaces = {}
        for name, unit in units.items():
            states = [float(s) for s in lookup(unit).states]
            logs = [math.log(math.comb(3, round(s))) if unit == "binomial(3)" else 0.0 for s in states]
            self.spaces[name] = (
                np.array([*itertools.product(states, repeat=SIZES[name])]),
                np.array([sum(row) for row in itertools.product(logs, repeat=SIZES[name])]),
            )

    def energy(self, v: np.ndarray, h: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._value(self.tree, {"v": v, "h": h}, {}) + np.zeros(len(v))
        return found

    def _value(self, node: Any, states: Arrays, env: dict[str, int]) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.UnaryOp(operand=operand):
                return -self._value(operand, states, env)
            case ast.BinOp(left=left, op=op, right=right):
                a, b = self._value(left, states, env), self._value(right, states, env)
                return {
                    ast.Add: lambda: a + b,
                    ast.Sub: lambda: a - b,
                    ast.Mult: lambda: a * b,
                    ast.Div: lambda: a / b,
                    ast.Pow: lambda: a**b,
                }[type(op)]()
            case ast.Name(id=name):
                return self.parameters[name]
            case ast.Subscript(value=ast.Name(id=name), slice=place):
                parts = place.elts if isinstance(place, ast.Tuple) else [place]
                at = tuple(p.value if isinstance(p, ast.Constant) else env[p.id] for p in parts)  # type: ignore[attr-defined]
                return states[name][:, at[0]] if name in states else self.parameters[name][at]
            case ast.Call(func=ast.Name(id="sum"), args=[body, *bound]):
                indices = [index.id for index in bound]  # type: ignore[attr-defined]
                ranges = (range(SIZES["v" if index in "ikm" else "h"]) for index in indices)
                chosen = itertools.product(*ranges)
                return sum(self._value(body, states, env | dict(zip(indices, c, strict=True))) for c in chosen)
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                function = {"exp": np.exp, "softplus": lambda x: np.logaddexp(0, x)}[name]
                return function(self._value(argument, states, env))
        raise TypeError(ast.dump(node))

    def log_weights(self, v: np.ndarray | None = None) -> np.ndarray:
        """ln μ(h) − E, of every h (and every v, whose ln μ counts then), shape (rows of v, configurations of h)."""
        rows, own = self.spaces["v"] if v is None else (v, np.zeros(len(v)))
        h, logs = self.spaces["h"]
        pairs = np.repeat(rows, len(h), axis=0), np.tile(h, (len(rows), 1))
        return (-self.energy(*pairs)).reshape(len(rows), len(h)) + logs + own[:, None]

    def free_energy(self, v: np.ndarray) -> np.ndarray:
        found: np.ndarray = -np.logaddexp.reduce(self.log_weights(v), axis=1)
        return found

    def site(self, layer: str, unit: int, states: Arrays) -> np.ndarray:
        """The distribution of one unit given all others, a row for each of theirs."""
        values = np.unique(self.spaces[layer][0])
        measure = np.array([self._measure(layer, value) for value in values])
        weights = []
        for value in values:
            moved = {name: rows.copy() for name, rows in states.items()}
            moved[layer][:, unit] = value
            weights.append(-self.energy(**moved))
        logs = np.stack(weights, axis=1) + measure
        return np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None])

    def _measure(self, layer: str, value: float) -> float:
        space, logs = self.spaces[layer]
        return float(logs[(space == value).all(axis=1)][0]) / SIZES[layer]


def parameters_of(energy: Energy) -> Arrays:
    rng = np.random.default_rng(3)
    return {
        name: np.asarray(0.3 * rng.normal(size=[SIZES[layer.name] for layer in parameter.layers]))
        for name, parameter in energy.parameters.items()
    }


def some_states(by_hand: ByHand, rows: int) -> Arrays:
    rng = np.random.default_rng(4)
    return {name: space[rng.integers(len(space), size=rows)] for name, (space, _) in by_hand.spaces.items()}


def check(text: str, units: dict[str, str], target: str) -> None:
    declared = {f"w{n}": () for n in range(20) if f"w{n}" in text and f"w{n}[" not in text}
    energy = Energy.parse(text, visible={"v": units["v"]}, hidden={"h": units["h"]}, parameters=declared)
    kernels = energy.compile(target).sized(**SIZES)
    p = parameters_of(energy)
    by_hand = ByHand(text, units, p)
    states = some_states(by_hand, ROWS)
    close = {"rtol": 1e-10, "atol": 1e-10}
    np.testing.assert_allclose(kernels.energy(**states, **p), by_hand.energy(**states), **close)
    np.testing.assert_allclose(kernels.free_energy(states["v"], **p), by_hand.free_energy(states["v"]), **close)
    assert kernels.log_partition(**p) == pytest.approx(np.logaddexp.reduce(by_hand.log_weights().ravel()), rel=1e-10)
    if "phase_of_v" in kernels.methods:
        _check_phase(kernels, by_hand, p, states["v"])
    for layer in SIZES:
        _check_units(kernels, by_hand, layer, states, p)
    _check_loops(kernels.source)


def _check_phase(kernels: Kernels, by_hand: ByHand, p: Arrays, v: np.ndarray) -> None:
    """Against central differences of sums by hand, which are good to 1e-8 of numbers of order one."""
    weights = np.array([1.0, -0.5, 2.0])
    phase = kernels.phase(v, row_weights=weights, **p)
    for name, array in p.items():
        for place in np.ndindex(array.shape):
            values = []
            for step in (1e-5, -1e-5):
                by_hand.parameters = {**p, name: array.copy()}
                by_hand.parameters[name][place] += step
                values.append(weights @ by_hand.free_energy(v))
            by_hand.parameters = p
            slope = -(values[0] - values[1]) / 2e-5
            assert phase[name][place] == pytest.approx(slope, rel=1e-6, abs=1e-6 * max(1, np.abs(values).max())), name


def _check_units(kernels: Kernels, by_hand: ByHand, layer: str, states: Arrays, p: Arrays) -> None:
    values = np.unique(by_hand.spaces[layer][0])
    tied = kernels.methods.get(f"sample_of_{layer}") == "single-site"
    around = states if tied else {name: rows for name, rows in states.items() if name != layer}
    if f"mean_of_{layer}" in kernels.methods:
        mean = np.stack([by_hand.site(layer, k, states) @ values for k in range(SIZES[layer])], axis=1)
        np.testing.assert_allclose(kernels.mean(layer, around, **p), mean, rtol=1e-9, atol=1e-9)
    if f"sample_of_{layer}" not in kernels.methods:
        return
    # One sweep from one row: the chance of every outcome is the product of the units' chances, one after the other.
    start = {name: np.repeat(rows[:1], DRAWS, axis=0) for name, rows in states.items()}
    drawn = kernels.sample(layer, start if tied else {n: r for n, r in start.items() if n != layer}, 5, **p)
    outcomes = by_hand.spaces[layer][0]
    chance = np.ones(len(outcomes))
    here = {name: np.repeat(rows[:1], len(outcomes), axis=0) for name, rows in states.items()}
    for unit in range(SIZES[layer]):
        at = by_hand.site(layer, unit, here)
        chance *= at[np.arange(len(outcomes)), np.searchsorted(values, outcomes[:, unit])]
        here[layer][:, unit] = outcomes[:, unit]
    counts = (drawn[:, None, :] == outcomes).all(axis=2).sum(axis=0)
    assert counts.sum() == DRAWS
    # Five standard errors of a count, and three more for those that are rare: by chance less than once in 10⁵ times.
    assert (np.abs(counts - DRAWS * chance) <= 5 * np.sqrt(DRAWS * chance * (1 - chance)) + 3).all()


def _check_loops(source: str) -> None:
    """No loop runs over a name that a loop around it runs over."""

    def visit(node: ast.AST, open_: frozenset[str]) -> None:
        for child in ast.iter_child_nodes(node):
            inside = open_
            if isinstance(child, ast.For) and isinstance(child.target, ast.Name):
                assert child.target.id not in open_, child.target.id
                inside = open_ | {child.target.id}
            visit(child, inside)

    visit(ast.parse(source), frozenset())


@pytest.mark.parametrize("target", ["numpy", "array-api"])
@settings_for(20)
@given(made_up())
def test_kernels_of_any_energy_agree_with_sums_by_hand(target: str, case: tuple[str, dict[str, str]]) -> None:
    check(*case, target)


@settings_for(4)
@given(made_up())
def test_compiled_kernels_of_any_energy_agree_with_sums_by_hand(case: tuple[str, dict[str, str]]) -> None:
    check(*case, "numba")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["numpy", "numba", "array-api"])
@settings_for(40)
@given(made_up())
def test_kernels_of_many_energies_agree_with_sums_by_hand(target: str, case: tuple[str, dict[str, str]]) -> None:
    check(*case, target)


BIASES = " - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)"
TIED = {
    "the square of a sum": "0 - w0*sum(v[i], i)^2",
    "a sum of functions, squared": "0 - sum(v[i]*exp(w0[i]), i)^2",
    "three units of one layer": "0 - sum(v[i]*v[k]*v[m]*w0[i]*w1[k], i, k, m)",
    "shares of weights": "0 - sum(v[i]*h[j]*exp(w0[i,j])/sum(exp(w0[k,j]), k), i, j)",
    "a diagonal": "0 - sum(v[i]*v[k]*h[j]*w0[i,k,j], i, k, j) - sum(w1[i,i]*v[i], i)",
    "one number for all pairs": "0 - w0*sum(v[i]*h[j], i, j)",
    "single units": "0 - v[0]*h[1]*w0 - v[2]*sum(w1[j]*h[j], j)",
}


@pytest.mark.parametrize("target", ["numpy", "numba", "array-api"])
@pytest.mark.parametrize("text", TIED.values(), ids=TIED)
def test_sums_that_run_over_the_unit_that_is_drawn(text: str, target: str) -> None:
    """Sums over a layer inside of loops over it: each once gave the states or the slopes of another model."""
    check(text + BIASES, {"v": "spin", "h": "binary"}, target)
