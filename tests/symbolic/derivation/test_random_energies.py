"""Energies made up at random: derived, checked, and held against brute force in floating point."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symbolic import Energy, EnergyError, NotSeparableError
from symbolic.language.layers import Configuration
from symbolic.units import lookup
from tests.symbolic.plain import Plain, nodes

UNITS = ("binary", "spin", "{-1, 0, 2}", "binomial(3)", "integer(3)")
SETTINGS = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def made_up(draw: st.DrawFn) -> Energy:
    """One or two visible layers, one or two hidden ones, perhaps a given one; biases, and couplings of two or three."""
    sides = {
        "visible": dict.fromkeys("vx"[: draw(st.integers(1, 2))], ""),
        "hidden": dict.fromkeys("hg"[: draw(st.integers(1, 2))], ""),
        "given": dict.fromkeys("y"[: draw(st.integers(0, 1))], ""),
    }
    for side in sides.values():
        for name in side:
            side[name] = draw(st.sampled_from(UNITS))
    names = [name for side in sides.values() for name in side]
    indices = {name: f"{name}0" for name in names}
    pairs = [pair for size in (2, 3) for pair in itertools.combinations_with_replacement(names, size)]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=3, unique=True))
    terms = [f"b{name}[k]*{name}[k], k" for name in names if name not in sides["given"]]
    for number, scope in enumerate(chosen):
        places = [f"{indices[name]}{place}" for place, name in enumerate(scope)]
        states = "*".join(f"{name}[{place}]" for name, place in zip(scope, places, strict=True))
        terms.append(f"w{number}[{','.join(places)}]*{states}, {', '.join(places)}")
    return Energy.parse(" - ".join(["0", *(f"sum({term})" for term in terms)]), **sides)


class Numbers:
    """Random parameters and states of a small model, and E at them by the energy's own expression."""

    def __init__(self, energy: Energy):
        rng = np.random.default_rng(7)
        self.energy = energy
        self.sizes = {name: 2 if position < 2 else 1 for position, name in enumerate(energy.layers)}
        self.parameters = {
            name: rng.normal(size=[self.sizes[layer.name] for layer in parameter.layers]) / 3
            for name, parameter in energy.parameters.items()
        }
        self.states = {
            name: [float(rng.choice(nodes(layer.unit)[0])) for _ in range(self.sizes[name])]
            for name, layer in energy.layers.items()
        }

    def plain(self, states: dict[str, Any] | None = None) -> Plain:
        return Plain(self.energy, self.sizes, self.parameters, {**self.states, **(states or {})})

    def log_sum(self, summed: tuple[str, ...]) -> float:
        total = 0.0
        units = [name for name in summed for _ in range(self.sizes[name])]
        spaces = [list(zip(*nodes(self.energy.layers[name].unit), strict=True)) for name in units]
        for chosen in itertools.product(*spaces):
            states: dict[str, list[float]] = {name: [] for name in summed}
            for name, (state, _) in zip(units, chosen, strict=True):
                states[name].append(state)
            weight = math.prod(weight for _, weight in chosen)
            total += weight * math.exp(-self.plain(states)(self.energy.expression))
        return math.log(total)


@SETTINGS
@given(made_up(), st.data())
def test_gradients_of_any_energy_pass_every_check(energy: Energy, data: st.DataObject) -> None:
    sizes = {name: 1 + position % 2 for position, name in enumerate(energy.layers)}
    name = data.draw(st.sampled_from(sorted(energy.parameters)))
    verification = energy.log_likelihood_gradient(name).verify(sizes, points=2)
    assert verification, str(verification)


@SETTINGS
@given(made_up())
def test_free_energies_and_phases_of_any_energy_agree_with_brute_force(energy: Energy) -> None:
    numbers = Numbers(energy)
    hidden = tuple(layer.name for layer in energy.hidden)
    derivation = energy.free_energy(method="auto")
    assert derivation.verify(numbers.sizes, points=2)
    # Sums of fewer than a thousand terms of order one, in double precision.
    assert numbers.plain()(derivation.result) == pytest.approx(-numbers.log_sum(hidden), rel=1e-10, abs=1e-10)
    for name in energy.parameters:
        try:
            phase = energy.phase(name)
        except NotSeparableError:
            assert derivation.method == "enumeration"
            continue
        assert phase.verify(numbers.sizes, points=2)
        assert len(phase.subject.free_symbols & set(map(Configuration, energy.hidden))) == 0


@SETTINGS
@given(made_up())
def test_conditionals_of_any_energy_agree_with_brute_force(energy: Energy) -> None:
    numbers = Numbers(energy)
    for layer in energy.visible + energy.hidden:
        try:
            derivation = energy.conditional(layer, "auto")
        except EnergyError:  # couplings of a layer to itself make squares, for which few units have a closed form
            assert lookup(layer.unit).degree == 1
            continue
        verification = derivation.verify(numbers.sizes, points=2)
        assert verification, str(verification)
        row = numbers.states[layer.name]
        states, base = nodes(layer.unit)
        at = [numbers.plain({layer.name: [state, *row[1:]]}) for state in states]
        weights = [w * math.exp(-plain(energy.expression)) for plain, w in zip(at, base, strict=True)]
        mean = sum(s * w for s, w in zip(states, weights, strict=True)) / sum(weights)
        assert numbers.plain()(derivation.mean) == pytest.approx(mean, rel=1e-10, abs=1e-10)
        for plain, weight, measure in zip(at, weights, base, strict=True):
            assert plain(derivation.result) == pytest.approx(weight / measure / sum(weights), rel=1e-10)


@SETTINGS
@given(made_up())
def test_the_printed_text_is_read_again(energy: Energy) -> None:
    sides = {
        role: {layer.name: layer.unit for layer in getattr(energy, role)} for role in ("visible", "hidden", "given")
    }
    axes = {name: tuple(layer.name for layer in p.layers) for name, p in energy.parameters.items()}
    assert Energy.parse(str(energy.expression), **sides, parameters=axes) == energy
