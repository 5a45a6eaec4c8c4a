"""Order, names and marks: what the lecture prints, and that no dummy index is captured."""

from __future__ import annotations

import re

import pytest
from sympy import Derivative, Rational, Symbol, besseli, exp, true

from symbolic import Energy, Layer, Parameter, Sum
from symbolic.errors import SymbolicError
from symbolic.language.binders import ConfigSum
from symbolic.language.functions import log2cosh, sigmoid, softplus
from symbolic.language.layers import Configuration
from symbolic.language.probability import LogPartition, Probability
from symbolic.notation import latex
from symbolic.notation.tree import Identifier, Marked, Script, Setting, walk
from symbolic.notation.typeset import typeset
from tests.symbolic.models import biased_energy, layers, lecture_energy

TERM_A = [
    r"\frac{\partial}{\partial w_{ij}} \ln \sum_{g} e^{-E(\mathbf{v}, \mathbf{h}^{g})}",
    r"\frac{1}{\sum_{g} e^{-E(\mathbf{v}, \mathbf{h}^{g})}} \cdot "
    r"\frac{\partial}{\partial w_{ij}} \sum_{g} e^{-E(\mathbf{v}, \mathbf{h}^{g})}",
    r"\frac{1}{\sum_{g} e^{-E(\mathbf{v}, \mathbf{h}^{g})}} \cdot "
    r"\sum_{g} \frac{\partial e^{-E(\mathbf{v}, \mathbf{h}^{g})}}{\partial w_{ij}}",
    r"\frac{1}{\sum_{g} e^{-E(\mathbf{v}, \mathbf{h}^{g})}} \cdot \sum_{g} e^{-E(\mathbf{v}, \mathbf{h}^{g})} \cdot "
    r"\frac{\partial (-E(\mathbf{v}, \mathbf{h}^{g}))}{\partial w_{ij}}",
    r"\frac{\sum_{g} e^{-E(\mathbf{v}, \mathbf{h}^{g})} v_{i} h_{j}^{g}}{\sum_{g} e^{-E(\mathbf{v}, \mathbf{h}^{g})}}",
    r"\sum_{g} p(\mathbf{h}^{g} \mid \mathbf{v}) v_{i} h_{j}^{g}",
    r"\langle v_{i} h_{j} \rangle_{\mathbf{v}}",
]
TERM_B = [
    r"\frac{\partial}{\partial w_{ij}} \ln \sum_{u, g} e^{-E(\mathbf{v}^{u}, \mathbf{h}^{g})}",
    r"\frac{1}{\sum_{u, g} e^{-E(\mathbf{v}^{u}, \mathbf{h}^{g})}} \cdot "
    r"\frac{\partial}{\partial w_{ij}} \sum_{u, g} e^{-E(\mathbf{v}^{u}, \mathbf{h}^{g})}",
    r"\frac{1}{\sum_{u, g} e^{-E(\mathbf{v}^{u}, \mathbf{h}^{g})}} \cdot "
    r"\sum_{u, g} \frac{\partial e^{-E(\mathbf{v}^{u}, \mathbf{h}^{g})}}{\partial w_{ij}}",
    r"\frac{1}{\sum_{u, g} e^{-E(\mathbf{v}^{u}, \mathbf{h}^{g})}} \cdot "
    r"\sum_{u, g} e^{-E(\mathbf{v}^{u}, \mathbf{h}^{g})} \cdot "
    r"\frac{\partial (-E(\mathbf{v}^{u}, \mathbf{h}^{g}))}{\partial w_{ij}}",
    r"\frac{\sum_{u, g} e^{-E(\mathbf{v}^{u}, \mathbf{h}^{g})} v_{i}^{u} h_{j}^{g}}"
    r"{\sum_{u, g} e^{-E(\mathbf{v}^{u}, \mathbf{h}^{g})}}",
    r"\sum_{u, g} p(\mathbf{v}^{u}, \mathbf{h}^{g}) v_{i}^{u} h_{j}^{g}",
    r"\langle v_{i} h_{j} \rangle_{\mathbf{v} \mathbf{h}}",
]


@pytest.mark.parametrize(("name", "expected"), [("Term A", TERM_A), ("Term B", TERM_B)])
@pytest.mark.parametrize("energy", [lecture_energy(), biased_energy()], ids=["lecture", "biased"])
def test_the_lecture_s_own_lines_stand_in_the_lecture_s_order(name: str, expected: list[str], energy: Energy) -> None:
    branch = energy.log_likelihood_gradient("w")[name]
    assert [latex.expression(line) for line in branch.lines] == expected


def test_the_energy_is_printed_with_dummies_other_than_the_weight_s_indices() -> None:
    assert lecture_energy().latex() == r"E(\mathbf{v}, \mathbf{h}) = -\sum_{k, l} v_{k} h_{l} w_{kl}"
    assert biased_energy().latex() == (
        r"E(\mathbf{v}, \mathbf{h}) = -\sum_{k, l} v_{k} h_{l} w_{kl} - \sum_{k} a_{k} v_{k} - \sum_{l} b_{l} h_{l}"
    )


def test_a_dummy_never_takes_a_name_that_is_free_or_bound_around_it() -> None:
    v, h = layers()
    w, b = Parameter("w", v, h), Parameter("b", h)
    k, i, j = v.index("k"), v.index("i"), h.index("j")
    field = b[j] + Sum(v[i] * w[i, j], i)
    assert latex.expression(v[k] * Sum(v[i] * w[i, j], i)) == r"v_{k} \sum_{r} v_{r} w_{rj}"
    nested = Sum(h[j] * exp(field), j)
    assert latex.expression(nested) == r"\sum_{l} e^{b_{l} + \sum_{k} v_{k} w_{kl}} h_{l}"
    pairs = Parameter("L", v, v, symmetric=True)
    assert latex.expression(Sum(pairs[i, k] * v[i] * v[k], i, k)) == r"\sum_{k, r} v_{k} v_{r} L_{kr}"


def test_a_parameter_s_name_is_no_dummy_s() -> None:
    v, h = layers()
    i, j, k = v.index("i"), h.index("j"), Parameter("k", v, h)
    assert latex.expression(Sum(v[i] * h[j] * k[i, j], i, j)) == r"\sum_{r, l} v_{r} h_{l} k_{rl}"


def test_factors_and_terms_are_in_reading_order() -> None:
    energy = lecture_energy()
    v, h = energy.visible[0], energy.hidden[0]
    i, j, w = v.index("i"), h.index("j"), energy.parameters["w"]
    g = Configuration(h, "g")
    p = Probability(energy.function, (g,), (Configuration(v),))
    shown = latex.expression(w[i, j] * h[j] * v[i] * exp(-energy.call) * p)
    assert shown == r"p(\mathbf{h}^{g} \mid \mathbf{v}) e^{-E(\mathbf{v}, \mathbf{h})} v_{i} h_{j} w_{ij}"
    assert latex.expression(1 - v[i]) == r"1 - v_{i}"
    assert latex.expression(-v[i] - h[j]) == r"-h_{j} - v_{i}"
    assert latex.expression(Rational(1, 2) * v[i]) == r"\frac{1}{2} v_{i}"
    assert latex.expression(v.size * v[i] ** 2) == r"n_{v} v_{i}^{2}"
    assert latex.expression(exp(-LogPartition(energy.function)) * exp(-energy.call)) == (
        r"\frac{1}{Z} e^{-E(\mathbf{v}, \mathbf{h})}"
    )


def test_a_sum_that_is_not_the_last_factor_is_fenced() -> None:
    energy = lecture_energy()
    v, h = energy.visible[0], energy.hidden[0]
    i, j = v.index("i"), h.index("j")
    product = Sum(v[i], i) * Sum(h[j], j)
    assert latex.expression(product) in (
        r"\left(\sum_{k} v_{k}\right) \sum_{l} h_{l}",
        r"\left(\sum_{l} h_{l}\right) \sum_{k} v_{k}",
    )
    difference = ConfigSum(v[i] - h[j], Configuration(v), Configuration(h))
    assert latex.expression(difference) == r"\sum_{v, h} (v_{i} - h_{j})"


def test_functions_read_as_on_a_slide() -> None:
    v, _ = layers()
    x = v[v.index("i")]
    assert latex.expression(softplus(x)) == r"\ln (1 + e^{v_{i}})"
    assert latex.expression(sigmoid(x)) == r"\sigma(v_{i})"
    assert latex.expression(log2cosh(x)) == r"\ln (2 \cosh (v_{i}))"


def test_names_may_be_greek_words_or_numbered() -> None:
    h = Layer("h1")
    j, theta = h.index("j"), Parameter("theta", h)
    assert latex.expression(h[j] * theta[j]) == r"\theta_{j} h_{1, j}"
    assert latex.expression(Parameter("weights", h)[j]) == r"\mathrm{weights}_{j}"
    assert latex.expression(Configuration(h, "g")) == r"\mathbf{h}_{1}^{g}"


def test_indices_can_be_shown_as_numbers() -> None:
    energy = lecture_energy()
    entry = energy.entry("w")
    i, j = entry.indices
    assert latex.expression(entry, names={i: "1", j: "2"}) == "w_{12}"
    assert latex.expression(entry, names={i: "1", j: "12"}) == "w_{1, 12}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-v[0]*c - sum(v[i]*w[i,j]*h[j], i, j)", r"-c v_{0} - \sum_{k, l} v_{k} h_{l} w_{kl}"),
        ("-v[0]*v[12]*h[3]*c", r"-c v_{0} v_{12} h_{3}"),
        ("-sum(v[i]*w[i,2]*h[2], i)", r"-h_{2} \sum_{k} v_{k} w_{k2}"),
    ],
)
def test_a_unit_that_is_named_by_its_number_has_it_for_an_index(text: str, shown: str) -> None:
    axes = {name: names for name, names in (("c", ()), ("w", ("v", "h"))) if name in text}
    energy = Energy.parse(text, visible={"v": "binary"}, hidden={"h": "binary"}, parameters=axes)
    assert energy.latex() == rf"E(\mathbf{{v}}, \mathbf{{h}}) = {shown}"
    assert energy._repr_latex_() == rf"$\displaystyle {energy.latex()}$"
    asked = [energy.free_energy(method="auto"), *(energy.conditional(layer, "single-site") for layer in "vh")]
    for form in (str, lambda derivation: derivation.text(ascii=True), lambda derivation: derivation.latex()):
        printed = " ".join(map(form, [*asked, energy.log_likelihood_gradient(next(iter(axes)))]))
        assert re.search("[₀₂]|_[02]|_{[02]", printed)


def test_labels_and_components_that_are_numbers_are_written_as_numbers() -> None:
    labels = Energy.parse("-sum(c[i]*indicator(v[i], 2), i)", visible={"v": "potts(3)"})
    assert labels.latex() == r"E(\mathbf{v}) = -\sum_{k} c_{k} [v_{k} = 2]"
    upright = Energy.parse("-sum(c[i]*v[i, 2], i)", visible={"v": "heisenberg"})
    assert upright.latex() == r"E(\mathbf{v}) = -\sum_{k} c_{k} v_{k2}"


def test_a_node_without_notation_is_refused_by_name() -> None:
    with pytest.raises(SymbolicError, match="no notation for BooleanTrue"):
        typeset(true)


def test_an_unknown_function_keeps_its_name() -> None:
    assert latex.expression(besseli(0, Symbol("x"))) == r"\operatorname{besseli} (0, x)"


# Marks


def _marked(layout: Setting, role: str) -> list[str]:
    return [latex.render(part.body) for part in walk(layout) if isinstance(part, Marked) and part.role == role]


def test_a_focus_that_is_a_node_is_marked_where_it_stands() -> None:
    step = biased_energy().log_likelihood_gradient("w")["Term A"].steps[1]
    layout = typeset(step.after, marks={step.focus_after: "new"})
    assert _marked(layout, "new") == [r"\sum_{g} \frac{\partial e^{-E(\mathbf{v}, \mathbf{h}^{g})}}{\partial w_{ij}}"]


def test_a_focus_that_was_merged_into_a_product_is_marked_factor_by_factor() -> None:
    step = biased_energy().log_likelihood_gradient("w")["Term A"].steps[3]
    layout = typeset(step.after, marks={step.focus_after: "new"})
    assert _marked(layout, "new") == [r"v_{i} h_{j}^{g}"]


def test_a_focus_that_does_not_occur_is_left_out() -> None:
    v, h = layers()
    layout = typeset(v[v.index("i")], marks={h[h.index("j")]: "new"})
    assert _marked(layout, "new") == []


def test_every_step_of_every_derivation_has_something_marked_or_is_new_as_a_whole() -> None:
    energy = biased_energy()
    for derivation in (energy.log_likelihood_gradient("w"), energy.free_energy(), energy.conditional("h")):
        for step in derivation.steps:
            whole = step.focus_after == step.after
            layout = typeset(step.after, marks={} if whole else {step.focus_after: "new"})
            assert whole or _marked(layout, "new"), step.rule


def test_marks_do_not_change_what_is_printed() -> None:
    for step in biased_energy().free_energy().steps:
        assert latex.expression(step.after, marks={step.focus_after: "new"}) == latex.expression(step.after)


def test_the_derivative_of_something_small_is_one_fraction() -> None:
    energy = lecture_energy()
    entry = energy.entry("w")
    layout = typeset(Derivative(-energy.call, entry, evaluate=False))
    assert latex.render(layout) == r"\frac{\partial (-E(\mathbf{v}, \mathbf{h}))}{\partial w_{ij}}"


def test_a_bound_unit_of_a_free_layer_is_primed() -> None:
    conditional = biased_energy().conditional("h")["one unit"].lines[1]
    primed = [part for part in walk(typeset(conditional)) if isinstance(part, Script) and part.above == Identifier("′")]
    assert primed
