"""Categorical units: labels that energies compare, as in a Potts model."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from sympy import Integer

from symbolic import Energy, EnergyError, EnergySyntaxError, Indicator, Layer, Parameter, Sum
from symbolic.check.mutants import mutants
from symbolic.derivation.trace import Derivation
from symbolic.energies import pairwise
from symbolic.language.expressions import Delta

TEXT = "-sum(w[i,s,j]*indicator(v[i],s)*h[j], i, s, j) - sum(a[i,s]*indicator(v[i],s), i, s) - sum(b[j]*h[j], j)"


def potts(q: int = 3, hidden: str = "binary") -> Energy:
    v, h = Layer("v", f"potts({q})"), Layer("h", hidden)
    i, s, j = v.index("i"), v.states.index("s"), h.index("j")
    w, a, b = Parameter("w", v, v.states, h), Parameter("a", v, v.states), Parameter("b", h)
    here = Indicator(v[i], s)
    expression = -Sum(w[i, s, j] * here * h[j], i, s, j) - Sum(a[i, s] * here, i, s) - Sum(b[j] * h[j], j)
    return Energy(expression, visible=[v], hidden=[h])


def lateral() -> Energy:
    return Energy.parse(
        "-sum(w[i,s,j,r]*indicator(v[i],s)*indicator(h[j],r), i, s, j, r)"
        " - sum(J[s,r]*indicator(v[i],s)*indicator(v[k],r), i, k, s, r)/2",
        visible={"v": "potts(3)"},
        hidden={"h": "potts(4)"},
        symmetric=["J"],
    )


@pytest.mark.parametrize("q", [2, 3, 5])
def test_text_and_objects_are_one_energy(q: int) -> None:
    assert Energy.parse(TEXT, visible={"v": f"potts({q})"}, hidden={"h": "binary"}) == potts(q)
    assert Energy.parse(TEXT, visible={"v": f"categorical({q})"}, hidden={"h": "binary"}) == potts(q)


def test_the_ready_made_energy_has_a_weight_for_each_label() -> None:
    assert pairwise("potts(3)", "binary") == potts()
    both = pairwise("potts(3)", "potts(2)")
    assert [axis.name for axis in both.parameters["w"].layers] == ["v", "v.states", "h", "h.states"]
    assert both.conditional("h").verify()


def test_the_gradient_compares_labels() -> None:
    d = potts().log_likelihood_gradient("w")
    assert str(d.term_a) == "<indicator(v[i], s)*h[j]>_v"
    assert str(d.term_b) == "<indicator(v[i], s)*h[j]>_vh"


@pytest.mark.parametrize("energy", [potts(3), potts(5), potts(4, "spin"), lateral()], ids=str)
def test_every_derivation_is_checked_and_survives_json(energy: Energy) -> None:
    derivations = [energy.log_likelihood_gradient(name) for name in energy.parameters]
    derivations += [energy.conditional(layer, method="auto") for layer in energy.layers]
    if "J" not in energy.parameters:
        derivations += [energy.free_energy(of) for of in energy.layers]
        derivations += [energy.phase(name, of) for name in energy.parameters for of in energy.layers]
        derivations.append(energy.log_partition())
    for derivation in derivations:
        assert derivation.verify(), str(derivation.verify())
        assert Derivation.from_json(derivation.to_json()) == derivation


def test_mistakes_in_the_gradient_are_refused() -> None:
    # Mistakes in the lines that compare labels; every kind at every place is a slow test.
    derivation = potts().log_likelihood_gradient("a")
    wrong = [m for m in mutants(derivation) if m.branch == "Term A" and m.position >= 3]
    assert len(wrong) > 20
    assert not [m.mistake for m in wrong if m.derivation.verify()]


@pytest.mark.slow
@pytest.mark.parametrize("question", ["gradient", "free energy", "conditional"])
def test_every_mutant_is_refused(question: str) -> None:
    asked = {
        "gradient": lambda: potts().log_likelihood_gradient("w"),
        "free energy": lambda: potts().free_energy("h"),
        "conditional": lambda: potts().conditional("v"),
    }
    wrong = list(mutants(asked[question]()))
    assert wrong
    assert not [m.mistake for m in wrong if m.derivation.verify()]


def test_the_closed_forms_against_sums_over_all_labels() -> None:
    """F(h) = −ln Σ_v e^−E and p(v_i = s | h), by brute force at random parameters."""
    q, n, m = 3, 2, 2
    energy = potts(q)
    draw = random.Random(0)
    w = {(i, s, j): draw.gauss(0, 1) for i in range(n) for s in range(q) for j in range(m)}
    a = {(i, s): draw.gauss(0, 1) for i in range(n) for s in range(q)}
    b = {j: draw.gauss(0, 1) for j in range(m)}

    def weight(v: tuple[int, ...], h: tuple[int, ...]) -> float:
        total = sum(b[j] * h[j] for j in range(m)) + sum(a[i, v[i]] for i in range(n))
        return math.exp(total + sum(w[i, v[i], j] * h[j] for i in range(n) for j in range(m)))

    # The derived forms say the same with sums over labels written out.
    assert str(energy.free_energy("h").result) == (
        "-sum(b[k]*h[k], k) - sum(log(sum(exp(a[r, l] + sum(w[r, l, k]*h[k], k)), l)), r)"
    )
    for h in itertools.product((0, 1), repeat=m):
        brute = math.fsum(weight(v, h) for v in itertools.product(range(q), repeat=n))
        field = {(i, s): a[i, s] + sum(w[i, s, j] * h[j] for j in range(m)) for i in range(n) for s in range(q)}
        closed = sum(b[j] * h[j] for j in range(m)) + sum(
            math.log(sum(math.exp(field[i, s]) for s in range(q))) for i in range(n)
        )
        assert closed == pytest.approx(math.log(brute), rel=1e-13)


def test_a_bracket_of_two_labels_is_a_delta() -> None:
    v = Layer("v", "potts(3)")
    s = v.states.index("s")
    assert Indicator(Integer(1), s) == Delta(1, s)
    assert Indicator(2, 2) == 1
    assert v.states.size == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-sum(indicator(h[i],s)*a[i,s], i, s)", "layer h has binary units, whose states are numbers"),
        ("-sum(indicator(v[i],7)*a[i], i)", "the labels of layer v are 0 to 2"),
        ("-sum(indicator(a[i],s), i, s)", "compares the state of a unit with a label"),
        ("-sum(indicator(v[i]), i)", "expected ',' between the unit and the label"),
        ("-sum(indicator(v[i],s)*h[s], i, s)", "index s runs over layer"),
    ],
)
def test_a_wrong_bracket_is_pointed_at(text: str, message: str) -> None:
    with pytest.raises(EnergySyntaxError, match=message) as caught:
        Energy.parse(text, visible={"v": "potts(3)"}, hidden={"h": "binary"})
    assert "^" in str(caught.value)


def test_labels_are_not_calculated_with() -> None:
    v = Layer("v", "potts(3)")
    i, a = v.index("i"), Parameter("a", v)
    with pytest.raises(EnergyError, match=r"calculates with the states of layer v.* indicator\(v\[i\], s\)"):
        Energy(-Sum(a[i] * v[i], i), visible=[v])
    with pytest.raises(EnergySyntaxError, match=r"labels, which are compared and not calculated with.*\n.*column 6:"):
        Energy.parse("-sum(v[i]*a[i], i)", visible={"v": "potts(3)"})


def test_only_categorical_layers_have_an_axis_of_labels() -> None:
    with pytest.raises(EnergyError, match="are numbers and stand in an energy as h"):
        _ = Layer("h", "spin").states
    with pytest.raises(EnergyError, match="compares one with a unit"):
        Layer("v", "potts(3)").states[0]
    with pytest.raises(EnergyError, match="labels of layer v are 0 to 2"):
        Parameter("a", Layer("v", "potts(3)").states)[3]
