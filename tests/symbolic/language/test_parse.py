"""The text form: the same object as the Python form, and errors that point at the place."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest

from symbolic import Energy, EnergyError, EnergySyntaxError, Layer, Parameter, Sum
from symbolic.codegen.lower import LoweringError
from tests.symbolic.models import biased_energy

BINARY = {"visible": {"v": "binary"}, "hidden": {"h": "binary"}}


def test_text_and_python_give_the_same_object() -> None:
    text = "-sum(v[i]*w[i,j]*h[j], i, j) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)"
    assert Energy.parse(text, **BINARY) == biased_energy()
    nested = "-(sum(v[k]*(sum(w[k,l]*h[l], l) + a[k]), k) + sum(h[k]*b[k], k))"
    parsed = Energy.parse(nested, **BINARY)
    assert parsed.parameters.keys() == {"w", "a", "b"}
    assert str(parsed.log_likelihood_gradient("w").result) == "<h[j]*v[i]>_v - <h[j]*v[i]>_vh"


def test_an_index_name_may_be_used_again_in_another_sum() -> None:
    energy = Energy.parse("-sum(a[i]*v[i], i) - sum(b[i]*h[i], i)", **BINARY)
    assert energy.parameters["b"].layers == (Layer("h", "binary"),)


def test_numbers_powers_and_signs() -> None:
    v = Layer("v", "spin")
    i, c = v.index("i"), Parameter("c")
    parsed = Energy.parse("--1.5e-1*sum(v[i], i)^2 + c*v[0]/4", visible={"v": "spin"}, hidden={}, parameters={"c": ()})
    assert parsed == Energy(Sum(v[i], i) ** 2 * 3 / 20 + c[()] * v[0] / 4, visible=[v])


def test_printed_energies_can_be_read_again() -> None:
    energy = biased_energy()
    assert Energy.parse(str(energy.expression), **BINARY) == energy


def test_declared_axes_settle_what_the_text_leaves_open() -> None:
    energy = Energy.parse("-sum(w[i, j], i, j)", **BINARY, parameters={"w": ("v", "h")})
    assert [layer.name for layer in energy.parameters["w"].layers] == ["v", "h"]


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("", "empty", 1),
        ("v[i]", "index i is not bound", 3),
        ("sum(v[i], j)", "index j does not occur", 11),
        ("sum(v[i]*w[i,j], i)", "index j is not bound", 14),
        ("sum(v[i]*h[i], i)", "index i runs over layer v, but here an index of layer h is needed", 12),
        ("sum(v[i]*foo(h[j]), i, j)", "no function 'foo'", 10),
        ("v", "layer v needs an index", 1),
        ("sum(v[i, i], i)", "one index; it was given 2", 5),
        ("(sum(v[i], i)", "to close the parenthesis", 14),
        ("sum(v[i]^99, i)", "exponent", 10),
        ("sum(v[i]^0.5, i)", "exponent", 10),
        ("sum(v[i]*1e999, i)", "digits", 10),
        ("__import__('os')", "has no meaning", 12),
        ("v.__class__", "has no meaning", 2),
        ("sum(v[i], i) v", "does not continue", 14),
        ("sum(v[i]*i, i)", "index i is not a number", 10),
        ("sum(v[i], i, i)", "bound twice", 14),
        ("sum(v[i])", "names the indices", 1),
        ("sum(w[i]*v[i],i) + sum(w[i,j]*v[i]*h[j],i,j)", "1 axes elsewhere", 24),
        ("sum(w[i, j], i, j)", "nothing says which layer", 7),
        ("c*sum(v[i], i)", "unknown name 'c'", 1),
        ("sum(v[i] +, i)", "expected a number, a name", 11),
        ("(" * 100 + "1" + ")" * 100, "nested deeper", 61),
        ("((((9^16)^16)^16)^16)^16", "more than 300 digits", 15),
        ("(sum(a[i]*v[i], i)^9)^9", "powers of powers", 23),
        ("*".join(["9" * 30] * 20), "more than 300 digits", 1),
        ("-sum(ﬁ[i]*v[i], i)", "plain letters: 'fi' instead of 'ﬁ'", 6),
        ("-sum(µ[i]*v[i], i)", "plain letters: 'μ' instead of 'µ'", 6),
        ("-sum(x²[i]*v[i], i)", "plain letters: 'x2' instead of", 6),
        (f"-sum({'x' * 101}[i]*v[i], i)", "at most 100 characters. Got 101", 6),
        ("sum(v[i]*٣, i)", "has no meaning", 10),
        ("sum(exp(exp(v[i])), i)", "exp is taken of an exponential of states or numbers", 5),
        ("sum(v[i]*cos(exp(1000)), i)", "cos is taken of an exponential", 10),
        ("sum(softplus(2*softplus(v[i])), i)", "softplus is taken of an exponential", 5),
        ("sum(exp(10^9*ln(v[i])), i)", "logarithm times states, or times more than 16", 5),
        ("sum(exp(1e29*ln(2)/7)*v[i], i)", "logarithm times states, or times more than 16", 5),
        ("sum(exp(v[i]^9*(ln(2) + 1)), i)", "logarithm times states, or times more than 16", 5),
        ("sum(exp(9*ln(a[i]))^2*v[i], i)", "powers of powers", 21),
    ],
)
def test_errors_point_at_the_column(text: str, message: str, column: int) -> None:
    with pytest.raises(EnergySyntaxError, match=message) as caught:
        Energy.parse(text, **BINARY)
    assert caught.value.position + 1 == column
    assert f"column {column}:" in str(caught.value)


NESTED = 40


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "x" * 19_000,
        "-" * 10_000 + "1",
        "(" * 15_000,
        "1+" * 8_000 + "1",
        "sum(" + "exp(" * NESTED + "v[i]" + ")" * NESTED + ", i)",
        "exp(exp(exp(10^16)))",
    ],
)
def test_hostile_text_is_refused_quickly(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(EnergyError):
        Energy.parse(text, **BINARY)
    assert time.perf_counter() - start < 5  # a bound on the work, not a measurement: it takes milliseconds


def test_what_is_within_the_bounds_is_read() -> None:
    energy = Energy.parse(
        "-sum(softplus(exp(z[j])*h[j])*µ_2[j], j) - exp(-2)*sum(v[i], i) - sum(exp(-ln(2)/2)*v[i], i)".replace(
            "µ", "μ"
        ),
        **BINARY,
    )
    assert list(energy.parameters) == ["z", "\u03bc_2"]


def test_names_of_one_variable_are_one_name() -> None:
    """In generated code ﬁ and fi would be the same variable."""
    for kind, make in (("layer", lambda name: Layer(name, "binary")), ("parameter", Parameter)):
        with pytest.raises(EnergyError, match=f"name of a {kind} is spelled with plain letters: 'fi' instead of 'ﬁ'"):
            make("ﬁ")
        with pytest.raises(EnergyError, match=f"name of a {kind} has at most 100 characters. Got 10,000"):
            make("x" * 10_000)
        with pytest.raises(EnergyError, match="identifier such as") as caught:
            make("x " * 10_000)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("target", ["numpy", "numba", "array-api"])
@pytest.mark.parametrize("text", ["0", "3", "-5/2"])
def test_constant_energies_have_kernels(text: str, target: str) -> None:
    kernels = Energy.parse(text, visible={"v": "binary"}).compile(target)
    np.testing.assert_array_equal(kernels.energy(np.ones((3, 2))), [float(Fraction(text))] * 3)


@pytest.mark.parametrize("text", ["exp(10^16)", "sum(v[i]*exp(1000), i)"])
def test_numbers_beyond_floats_are_refused_in_code(text: str) -> None:
    with pytest.raises(LoweringError, match=r"the number exp\(10+\) is beyond what floating-point numbers hold"):
        Energy.parse(text, **BINARY).compile("numpy")


def test_layers_that_share_a_functions_name_are_refused() -> None:
    with pytest.raises(EnergyError, match="'exp' is a function"):
        Energy.parse("sum(exp[i], i)", visible={"exp": "binary"})


def test_energies_that_are_no_numbers_are_refused() -> None:
    for text in ("1/0", "sum(v[i], i)*ln(0)", "ln(-1)", "0^-1"):
        with pytest.raises(EnergyError, match="finite and real"):
            Energy.parse(text, **BINARY)


def test_layers_and_parameters_are_mappings() -> None:
    with pytest.raises(EnergyError, match="visible maps names"):
        Energy.parse("1", visible=["v"])  # type: ignore[arg-type]
    with pytest.raises(EnergyError, match="parameters maps names"):
        Energy.parse("1", **BINARY, parameters=["c"])  # type: ignore[arg-type]


def test_units_with_many_states_and_given_layers_are_read() -> None:
    energy = Energy.parse(
        "-sum(v[i]*x[k]*h[j]*w[i,k,j], i, k, j) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)",
        visible={"v": "{-1, 0, 1}"},
        hidden={"h": "binomial(4)"},
        given={"x": "gaussian"},
    )
    assert [layer.unit for layer in energy.layers.values()] == ["{-1, 0, 1}", "binomial(4)", "gaussian"]
    assert [layer.name for layer in energy.given] == ["x"]
    assert energy.conditional("h").verify()


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({"visible": {"v": "binomial(0)"}}, r"no unit called 'binomial\(0\)': expected a whole number from 1"),
        ({"visible": {"v": "binomial(99999)"}}, "expected a whole number from 1"),
        ({"visible": {"v": "gamma(-1)"}}, "expected a positive number"),
        ({"visible": {"v": "{1, 1}"}}, "two or more different numbers"),
        ({"visible": {"v": "{0, __import__('os')}"}}, "lists numbers"),
        ({"visible": {"v": "{0, 1e999999999}"}}, "lists numbers"),
        ({"visible": {"v": "purple"}}, "no unit called 'purple'; the units are: binary"),
        ({"visible": {"v": "binary"}, "given": {"v": "binary"}}, "layer v is listed twice"),
        ({"visible": {"v": "binary"}, "given": ["x"]}, "given maps names"),
        ({"visible": {"v": "binary"}, "symmetric": ["L"]}, "symmetric names the parameter 'L', which does not occur"),
        ({"visible": {"v": "binary"}, "parameters": {"w": ("q",)}}, r"parameters\['w'\] names the layer 'q'"),
    ],
)
def test_what_stands_beside_the_text_is_checked(sides: dict[str, object], message: str) -> None:
    with pytest.raises(EnergyError, match=message):
        Energy.parse("-sum(v[i], i)", **sides)  # type: ignore[arg-type]
