"""The intermediate representation, the passes over it, and what lowers to what."""

from __future__ import annotations

import math

import pytest
from sympy import exp, log

from symbolic import Energy, Layer, Parameter, Sum, sigmoid, softplus
from symbolic.codegen.ir import Axis, Const, Contract, Draw, Load, Map, Node, Reduce, walk
from symbolic.codegen.lower import ROW, Lowering, LoweringError
from symbolic.codegen.passes import as_matmul, optimise
from symbolic.codegen.program import program
from symbolic.energies import lecture, pairwise

V, H = Axis("i", "v"), Axis("j", "h")


def state(name: str, axis: Axis) -> Load:
    return Load((ROW, axis), name, "state", (ROW, axis))


W = Load((V, H), "w", "parameter", (V, H))


def test_equal_nodes_are_one_object() -> None:
    assert Load((V, H), "w", "parameter", (V, H)) is W
    assert Map((ROW, V), "exp", (state("v", V),)) is Map((ROW, V), "exp", (state("v", V),))
    assert Map((ROW, V), "exp", (state("v", V),)) is not Map((ROW, V), "tanh", (state("v", V),))


def test_defaults_and_keywords_make_no_difference() -> None:
    assert Axis("t") is Axis("t", "") is Axis(name="t") is ROW
    assert Const(axes=(), value=2.0) is Const((), 2.0)


def test_walk_gives_each_node_once_and_arguments_first() -> None:
    x = state("v", V)
    root = Map((ROW, V), "mul", (Map((ROW, V), "exp", (x,)), x))
    assert list(walk(root)) == [x, root.args[0], root]


def test_a_sum_over_units_has_one_node_whatever_its_dummies_are_called() -> None:
    v, h = Layer("v"), Layer("h")
    w = Parameter("w", v, h)
    energy = lecture()
    i, j, k = v.index("i"), h.index("j"), v.index("k")
    lowering = Lowering(energy)
    free = {j: lowering.axis(h)}
    # i is in use around the second sum and not around the first one.
    alone = lowering.lower(Sum(v[k] * w[k, j], k), free)
    inside = lowering.lower(v[i] * sigmoid(Sum(v[k] * w[k, j], k)), {**free, i: lowering.axis(v)})
    assert alone in set(walk(inside))


def test_three_factors_become_a_matrix_product_and_a_sum() -> None:
    product = Contract((ROW,), (state("h", H), W, state("v", V)))
    (node,) = optimise((product,))
    match node:
        case Reduce(operation="sum", over=axis, arg=Map(function="mul", args=args)):
            assert axis is H
            (field,) = set(args) - {state("h", H)}
            assert isinstance(field, Contract)
            assert [arg.name for arg in field.args if isinstance(arg, Load)] == ["v", "w"]
            assert as_matmul(field) is not None
        case _:
            pytest.fail(f"got {node}")


@pytest.mark.parametrize(
    ("left", "right", "out", "transposed"),
    [
        (state("v", V), W, (ROW, H), (False, False)),
        (state("h", H), W, (ROW, V), (False, True)),
        (state("v", V), state("h", H), (V, H), (True, False)),
        (Load((ROW,), "row_weights", "weight", (ROW,)), state("v", V), (V,), (False, False)),
    ],
)
def test_matrix_products_are_recognised(
    left: Node, right: Node, out: tuple[Axis, ...], transposed: tuple[bool, bool]
) -> None:
    product = as_matmul(Contract(out, (left, right)))
    assert product is not None
    assert (product.left_as.transpose, product.right_as.transpose) == transposed
    assert (product.left_as.axes, product.right_as.axes) == (product.left.axes, product.right.axes)


def test_axes_are_laid_together_to_make_a_matrix() -> None:
    x = Axis("k", "x")
    coupling = Load((V, H, x), "W", "parameter", (V, H, x))
    spread = as_matmul(Contract((ROW, H, x), (state("v", V), coupling)))
    assert spread is not None
    assert (spread.right_as.axes, spread.right_as.rows) == ((V, H, x), 1)
    pairs = Map((ROW, V, x), "mul", (state("v", V), state("x", x)))
    gathered = as_matmul(Contract((ROW, H), (pairs, coupling)))
    assert gathered is not None
    assert (gathered.left_as.axes, gathered.left_as.rows) == ((ROW, V, x), 1)
    assert (gathered.right_as.axes, gathered.right_as.rows) == ((V, x, H), 2)  # has to be permuted


def test_what_is_no_matrix_product_is_not_taken_for_one() -> None:
    assert as_matmul(Contract((ROW,), (state("v", V), state("v", V)))) is None
    assert as_matmul(Contract((ROW, V, H), (state("v", V), W))) is None
    assert as_matmul(Contract((V, ROW), (state("v", V), W))) is None


def test_a_third_order_field_is_one_product_with_pairs() -> None:
    x = Axis("k", "x")
    coupling = Load((x, V, H), "G", "parameter", (x, V, H))
    (node,) = optimise((Contract((ROW, H), (coupling, state("v", V), state("x", x))),))
    pairs = Map((ROW, x, V), "mul", (state("x", x), state("v", V)))
    assert isinstance(node, Contract)
    assert {arg.axes for arg in node.args} == {pairs.axes, coupling.axes}
    assert isinstance(node.args[0], Map) or isinstance(node.args[1], Map)


def test_the_two_factors_of_a_square_are_one_product() -> None:
    v, h = Layer("v"), Layer("h")
    i, k, j, w = v.index("i"), v.index("k"), h.index("j"), Parameter("w", v, h)
    energy = Energy(-Sum(h[j] * Sum(w[i, j] * v[i], i) ** 2, j), visible=[v], hidden=[h])
    lowering = Lowering(energy)
    squared = Sum(w[i, j] * v[i] * w[k, j] * v[k], i, k)
    (node,) = optimise((lowering.lower(squared, {j: lowering.axis(h)}),))
    assert isinstance(node, Map)
    assert node.function == "mul"
    assert node.args[0] is node.args[1]


def test_numbers_are_computed_beforehand() -> None:
    two = Const((), 2.0)
    (node,) = optimise((Map((ROW, V), "mul", (Map((), "log", (two,)), state("v", V))),))
    assert isinstance(node, Map)
    assert node.args[0] is Const((), math.log(2))


def test_unstable_forms_are_replaced() -> None:
    v, h = Layer("v"), Layer("h")
    a, i = Parameter("a", v), v.index("i")
    lowering = Lowering(Energy(-Sum(a[i] * v[i], i), visible=[v], hidden=[h]))
    free = {i: lowering.axis(v)}
    x = a[i]
    cases = {
        "softplus": log(1 + exp(x)),
        "sigmoid": exp(x) / (1 + exp(x)),
        "log2cosh": log(exp(x) + exp(-x)),
    }
    for function, expression in cases.items():
        (node,) = optimise((lowering.lower(expression, free),))
        assert node is Map((V,), function, (lowering.lower(x, free),)), expression
    (node,) = optimise((lowering.lower(1 / (1 + exp(-x)), free),))
    assert node is Map((V,), "sigmoid", (lowering.lower(x, free),))


def test_the_phase_and_the_sample_share_one_mean() -> None:
    functions = {f.name: f for f in program(pairwise("spin", "binary")).functions}
    nodes = list(walk(*(node for _, node in functions["phase_and_sample_of_v"].outputs)))
    means = [node for node in nodes if isinstance(node, Map) and node.function == "sigmoid"]
    assert len(means) == 1
    assert [node.mean for node in nodes if isinstance(node, Draw)] == means


def test_integers_powers_and_quotients_lower() -> None:
    v = Layer("v", "spin")
    c, i = Parameter("c", v), v.index("i")
    lowering = Lowering(Energy(-Sum(c[i] * v[i], i), visible=[v]))
    free = {i: lowering.axis(v)}
    load = lowering.lower(c[i], free)
    assert lowering.lower(c[i] ** 3, free) is Map((V,), "mul", (load, load, load))
    assert lowering.lower(1 / c[i], free) is Map((V,), "div", (Const((), 1.0), load))
    assert lowering.lower(-softplus(c[i]), free) is Map((V,), "neg", (Map((V,), "softplus", (load,)),))


def test_what_has_no_counterpart_is_named() -> None:
    energy = pairwise()
    with pytest.raises(LoweringError, match=r"Expectation <.*derive a closed form"):
        Lowering(energy).lower(energy.log_likelihood_gradient("w").term_b)


def test_names_that_generated_code_uses_itself_are_refused() -> None:
    v = Layer("v")
    i = v.index("i")
    for name in ("rng", "lambda"):
        parameter = Parameter(name, v)
        with pytest.raises(LoweringError, match=f"the name {name} has a meaning of its own"):
            program(Energy(-Sum(parameter[i] * v[i], i), visible=[v]))


def test_a_layer_that_cannot_be_summed_out_is_left_out_with_the_reason() -> None:
    v = Layer("v", "spin")
    i, k = v.index("i"), v.index("k")
    coupling = Parameter("J", v, v, symmetric=True)
    made = program(Energy(-Sum(coupling[i, k] * v[i] * v[k], i, k), visible=[v]))
    assert [function.name for function in made.functions] == ["energy", "mean_of_v", "sample_of_v", "log_partition"]
    assert made.methods == dict.fromkeys(("mean_of_v", "sample_of_v"), "single-site") | {"log_partition": "enumeration"}
    v, h = Layer("v", "spin"), Layer("h")
    pairs = Parameter("w", v, h)
    tied = -Sum(coupling[i, k] * v[i] * v[k], i, k) - Sum(
        pairs[i, h.index("j")] * v[i] * h[h.index("j")], i, h.index("j")
    )
    refused = program(Energy(tied, visible=[v], hidden=[h])).refused
    assert "ties two units of layer v together" in refused["free_energy_of_h"]
