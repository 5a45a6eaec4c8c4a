"""Layers, binders and the energy: equality up to dummies, no capture, derivatives, errors that name the thing."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from sympy import Expr, Integer, Mul, exp, log

from symbolic import Energy, EnergyError, Layer, Parameter, Sum, sigmoid, softplus
from symbolic.language.binders import ConfigSum, IndexProduct, contract, rename
from symbolic.language.expressions import Delta
from symbolic.language.layers import Configuration, Index
from symbolic.language.probability import Expectation, Probability
from tests.symbolic.models import biased_energy, layers

v, h = layers()
i, k, j = v.index("i"), v.index("k"), h.index("j")
w, a = Parameter("w", v, h), Parameter("a", v)


def test_sums_that_differ_in_dummies_are_one_object() -> None:
    assert Sum(a[i] * v[i], i) == Sum(a[k] * v[k], k)
    assert Sum(v[i] * w[i, j] * h[j], i, j) == Sum(v[k] * w[k, j] * h[j], j, k)
    assert Sum(v[i] * Sum(w[i, j] * h[j], j), i) == Sum(v[i] * w[i, j] * h[j], i, j)


def test_indices_of_one_layer_may_stand_for_each_other() -> None:
    coupling = Parameter("L", v, v)
    assert Sum(coupling[i, k] * v[i] * v[k], i, k) == Sum(coupling[k, i] * v[k] * v[i], i, k)


def _written_with(state: Configuration, unit: Index) -> list[Expr]:
    """Expressions of every kind in which the configuration and the index can be called something else."""
    coupling, b = Parameter("L", v, v, symmetric=True), Parameter("b", h)
    field = b[unit] + Sum(w[i, unit] * state[i], i)
    return [
        3 * field**2 - h[unit] * state[0] / 2,
        softplus(field) + Sum(w[i, unit] * sigmoid(field), i) / (1 + b[unit]),
        exp(-2 * field) * Sum(coupling[i, k] * state[i] * state[k] * w[i, unit], i, k),
        log(1 + exp(field)) ** 3 * IndexProduct(exp(state[i] * w[i, unit]), i),
    ]


def test_renaming_gives_what_is_written_with_the_new_names() -> None:
    free, bound = Configuration(v), Configuration(v, "u")
    for unit in (Index.fresh(h), h.index("a"), h.index("z")):  # before and after j in SymPy's order
        names = {free: bound, j: unit}
        for old, new in zip(_written_with(free, j), _written_with(bound, unit), strict=True):
            assert rename(old, names) == new
            assert old.xreplace(names) == new
            assert rename(new, {bound: free, unit: j}) == old
            assert rename(old, {h.index("absent"): unit}) is old


def test_a_sum_pulls_out_what_it_does_not_bind() -> None:
    assert Sum(3 * a[k] * v[i], i) == 3 * a[k] * Sum(v[i], i)
    assert Sum(Integer(1), i) == v.size
    assert Sum(a[i], i, j) == h.size * Sum(a[i], i)


def test_derivative_contracts_the_delta_without_capture() -> None:
    energy = Sum(v[i] * w[i, j] * h[j], i, j)
    assert energy.diff(w[i, j]) == v[i] * h[j]  # SymPy's own Sum answers Sum(h_j v_i) here
    assert energy.diff(w[k, j]) == v[k] * h[j]
    assert Sum(a[i] ** 2, i).diff(a[k]) == 2 * a[k]
    assert Sum(exp(a[i] * v[i]), i).diff(a[i]) == v[i] * exp(a[i] * v[i])


def test_substitution_does_not_capture() -> None:
    inner = Sum(w[i, j] * v[i], i)
    assert inner.xreplace({j: h.index("i")}) == Sum(w[k, h.index("i")] * v[k], k)
    outer = IndexProduct(exp(h[j] * inner), j)
    replaced = outer.xreplace({Configuration(h): Configuration(h, "g")})
    assert replaced == IndexProduct(exp(Configuration(h, "g")[j] * inner), j)


def test_symmetric_parameters_count_each_pair_twice() -> None:
    symmetric = Parameter("L", v, v, symmetric=True)
    assert symmetric[i, k] == symmetric[k, i]
    half = Sum(symmetric[i, k] * v[i] * v[k], i, k) / 2
    assert half.diff(symmetric[i, k]) == v[i] * v[k]


def test_delta_contracts_only_bound_indices() -> None:
    assert contract(Delta(i, k) * a[i], i) == a[k]
    assert contract(Delta(i, k) ** 2 * a[i], i) == a[k]
    assert contract(Delta(j, h.index("n")) * a[i], i) == Delta(j, h.index("n")) * Sum(a[i], i)


def test_configuration_sums_hide_their_label() -> None:
    g = Configuration(h, "g")
    total = ConfigSum(exp(g[j]), g)
    assert g not in total.free_symbols
    assert total.diff(g[j]) == 0


def test_a_probability_knows_its_definition() -> None:
    function = biased_energy().function
    p = Probability(function, (function.bound(h),), (Configuration(v),))
    assert p.definition() == p.numerator() / p.normaliser()
    assert Probability(function, (Configuration(v),)).numerator().configurations == (function.bound(h),)


def test_an_average_refuses_a_second_configuration_of_its_layer() -> None:
    function = biased_energy().function
    both = Probability(function, (function.bound(v), function.bound(h)))
    with pytest.raises(EnergyError, match="cannot hold v as a constant"):
        Expectation(v[i], both)


def test_derivative_of_an_average_is_a_covariance() -> None:
    function = biased_energy().function
    g = function.bound(h)
    average = Expectation(g[j], Probability(function, (g,), (Configuration(v),)))
    derivative = average.diff(Parameter("b", h)[j])
    squared = Expectation(g[j] ** 2, average.probability)
    assert derivative == squared - average**2


@pytest.mark.parametrize("thing", [v, i, v[i], w, w[i, j], Sum(a[i] * v[i], i), biased_energy().function])
def test_pickles(thing: object) -> None:
    assert pickle.loads(pickle.dumps(thing)) == thing


def test_energy_knows_its_parts() -> None:
    energy = biased_energy()
    assert set(energy.parameters) == {"w", "a", "b"}
    assert energy.layers["v"] == v
    assert energy.entry("w") == w[i, j]
    assert energy == biased_energy()
    assert hash(energy) == hash(biased_energy())


u = Layer("u", "binary")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Layer("v", "purple"), "no unit called 'purple'; the units are: binary"),
        (lambda: Layer("2v"), "identifier"),
        (lambda: w[j, i], "index j runs over layer h, but axis 1 of w takes an index of layer v"),
        (lambda: w[i], "parameter w has 2 axes"),
        (lambda: v[-1], "takes an index of layer v"),
        (lambda: Sum(v[i], "i"), "layer.index"),
        (lambda: Sum(v[i], i, i), "binds each index once"),
        (lambda: Parameter("L", v, h, symmetric=True), "symmetric"),
        (lambda: Energy(v[i], visible=[v]), "index i is not bound"),
        (lambda: Energy(Sum(v[i], i), visible=[v, v]), "listed twice"),
        (lambda: Energy(Sum(v[i], i), visible=[]), "at least one visible"),
        (lambda: Energy(Sum(h[j], j), visible=[v]), "layer h occurs in the energy"),
        (lambda: Energy(Sum(v[i] * Parameter("u", v)[i], i), visible=[v, u]), "names a layer and a parameter"),
        (lambda: Energy(Sum(v[i] * w[i, 0], i), visible=[v]), "axis over layer h"),
        (lambda: Energy(log(v[0]), visible=[v]), "the logarithm of zero or of a negative number with units of layer v"),
        (lambda: Energy(log(1 + v[0]) * exp(Layer("q").size), visible=[v]), "n_q is a plain symbol"),
        (lambda: biased_energy().entry("q"), "no parameter 'q'; it has: a, b, w"),
        (lambda: biased_energy().conditional("q"), "no layer 'q'; it has: v, h"),
        (lambda: iter(v), "symbolic number of units"),
        (lambda: Energy(None, visible=[v]), "made of unit states, parameters and numbers"),
        (lambda: Energy(Sum(v[i], i), visible=v), r"visible is a list of Layers, as in visible=\[v\]"),
        (
            lambda: Energy(Sum(v[i], i) / Integer(0), visible=[v]),
            "finite and real, and this one holds an infinite number",
        ),
        (
            lambda: Energy(log(Integer(-1)) * Sum(v[i], i), visible=[v]),
            "finite and real, and this one holds an imaginary number",
        ),
        (lambda: biased_energy().entry(Parameter("w", h, v)), "parameter w is not the one given"),
        (lambda: biased_energy().layer(Layer("h", "spin")), "layer h has binary units. Got one with spin units"),
        (
            lambda: Sum(Mul(*(v[v.index(f"i{n}")] for n in range(7))), *(v.index(f"i{n}") for n in range(7))),
            "at most 6",
        ),
    ],
)
def test_errors_name_the_thing(make: object, message: str) -> None:
    with pytest.raises((EnergyError, TypeError), match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    "use",
    [
        lambda text: Energy(text, visible=[v]),
        lambda text: Sum(text, i),
        lambda text: v[text],
        lambda text: w[text, j],
        lambda text: Delta(text, i),
        lambda text: ConfigSum(text, Configuration(v)),
    ],
)
def test_text_is_never_evaluated_where_an_expression_belongs(use: object, tmp_path: Path) -> None:
    trace = tmp_path / "evaluated"
    with pytest.raises(EnergyError):
        use(f"__import__('pathlib').Path({str(trace)!r}).touch()")  # type: ignore[operator]
    assert not trace.exists()
