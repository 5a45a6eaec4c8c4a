"""The derivation: the lecture's lines in the lecture's order, and closed forms that agree with brute force."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import pytest
from sympy import Derivative, exp, log

from symbolic import Derivation, Energy, Layer, NotSeparableError, Parameter, Sum, SymbolicError, energies
from symbolic.derivation.separation import independent_layers, separate
from symbolic.derivation.serialise import MAX_DEPTH
from symbolic.language.binders import ConfigSum, UnitSum
from symbolic.language.layers import Configuration
from symbolic.language.probability import Expectation, Probability
from tests.symbolic.models import biased_energy, lecture_energy

LECTURE_ORDER = [
    "log_derivative",
    "interchange",
    "exp_chain",
    "differentiate_energy",
    "recognise_probability",
    "name_expectation",
]
ENERGIES = {"lecture": lecture_energy, "biased": biased_energy}
UNITS = [("binary", "binary"), ("spin", "binary"), ("binary", "spin"), ("spin", "spin")]


def test_the_lines_of_the_lecture() -> None:
    """RBM Mathematics, module 11.2: "Looking at Term A", line by line."""
    energy = lecture_energy()
    v, h = energy.layers["v"], energy.layers["h"]
    w_ij = energy.entry("w")
    v_i, function = v[v.index("i")], energy.function
    g = Configuration(h, "g")
    h_j = g[h.index("j")]
    call = function(g)
    total = ConfigSum(exp(-call), g)
    p = Probability(function, (g,), (Configuration(v),))

    def d(x: object) -> Derivative:
        return Derivative(x, w_ij, evaluate=False)

    assert energy.log_likelihood_gradient("w")["Term A"].lines == (
        d(log(total)),
        d(total) / total,
        ConfigSum(d(exp(-call)), g) / total,
        ConfigSum(exp(-call) * d(-call), g) / total,
        ConfigSum(exp(-call) * v_i * h_j, g) / total,
        ConfigSum(p * v_i * h_j, g),
        Expectation(v_i * h_j, p),
    )


def test_term_b_runs_over_both_layers() -> None:
    derivation = lecture_energy().log_likelihood_gradient("w")
    lines = derivation["Term B"].lines
    assert [c.label for c in next(iter(lines[0].atoms(ConfigSum))).configurations] == ["u", "g"]
    assert str(lines[-1]) == "<h[j]*v[i]>_vh"
    # The lecture leaves a derivative outside the sum over u and g in two of its lines; here no label is ever unbound.
    for line in lines:
        assert not any(isinstance(s, Configuration) and s.label for s in line.free_symbols)


@pytest.mark.parametrize("make", ENERGIES.values(), ids=ENERGIES)
@pytest.mark.parametrize("name", ["w", "a", "b"])
def test_gradient_is_term_a_minus_term_b(make: object, name: str) -> None:
    energy = make()  # type: ignore[operator]
    if name not in energy.parameters:
        pytest.skip("the lecture's energy has no biases")
    d = energy.log_likelihood_gradient(name)
    assert d.result == d.term_a - d.term_b
    assert [s.rule for s in d["Term A"].steps][:6] == LECTURE_ORDER
    assert [s.rule for s in d["Term B"].steps] == LECTURE_ORDER
    assert [s.rule for s in d["ln p(v)"].steps] == ["definition", "log_quotient", "linearity"]
    assert [b.name for b in d.branches] == ["ln p(v)", "Term A", "Term B", "Result"]
    assert {b.name: str(d[b.name].result) for b in d.branches[1:3]} == {
        "w": {"Term A": "<h[j]*v[i]>_v", "Term B": "<h[j]*v[i]>_vh"},
        "a": {"Term A": "v[i]", "Term B": "<v[i]>_vh"},
        "b": {"Term A": "<h[j]>_v", "Term B": "<h[j]>_vh"},
    }[name]


def test_a_parameter_may_be_given_as_entry_parameter_or_name() -> None:
    energy = biased_energy()
    w = energy.parameters["w"]
    v, h = w.layers
    expected = energy.log_likelihood_gradient("w")
    assert energy.log_likelihood_gradient(w) == expected
    assert energy.log_likelihood_gradient(w[v.index("i"), h.index("j")]) == expected
    assert str(energy.log_likelihood_gradient(w[0, 1]).result) == "<h[1]*v[0]>_v - <h[1]*v[0]>_vh"


def test_closed_forms_of_the_binary_model() -> None:
    energy = biased_energy()
    assert str(energy.free_energy().result) == "-sum(a[k]*v[k], k) - sum(softplus(b[l] + sum(w[k, l]*v[k], k)), l)"
    assert str(energy.conditional("h").mean) == "sigmoid(b[j] + sum(w[k, j]*v[k], k))"
    assert str(energy.conditional("v").mean) == "sigmoid(a[i] + sum(w[i, k]*h[k], k))"
    assert str(energy.phase("w").result) == "sigmoid(b[j] + sum(w[k, j]*v[k], k))*v[i]"
    assert str(energy.phase("w", of="h").result) == "sigmoid(a[i] + sum(w[i, k]*h[k], k))*h[j]"


def test_the_mean_is_derived_from_the_log_partition() -> None:
    assert str(biased_energy("spin", "spin").conditional("h").mean) == "tanh(b[j] + sum(w[k, j]*v[k], k))"


def test_a_layer_whose_units_are_tied_is_refused_by_name() -> None:
    v, h = Layer("v"), Layer("h")
    i, j, k = v.index("i"), h.index("j"), h.index("k")
    w, lateral = Parameter("w", v, h), Parameter("L", h, h)
    energy = Energy(-Sum(v[i] * w[i, j] * h[j], i, j) - Sum(lateral[j, k] * h[j] * h[k], j, k), visible=[v], hidden=[h])
    with pytest.raises(NotSeparableError, match=r"L\[k, l\].* ties two units of layer h together"):
        energy.free_energy()
    assert energy.free_energy(of="h").verify()  # the visible layer still falls apart
    assert energy.log_likelihood_gradient("L").verify()  # and the gradient needs no closed form


def test_two_tied_layers_cannot_be_summed_at_once() -> None:
    v, h, g = Layer("v"), Layer("h"), Layer("g")
    energy = Energy(Sum(v[v.index("i")], v.index("i")) + Sum(h[0] * g[0], v.index("i")), visible=[v], hidden=[h, g])
    with pytest.raises(
        NotSeparableError, match=r"ties the layers h and g together, so they cannot be summed out unit by unit"
    ):
        energy.free_energy()


def _coupled_at_random(dice: random.Random) -> Energy:
    layers = [Layer(f"l{number}", "binary") for number in range(dice.randint(2, 5))]
    total = 0
    for layer in layers:
        i = layer.index("i")
        total -= Sum(Parameter(f"bias{layer.name}", layer)[i] * layer[i], i)
    for one, other in itertools.combinations_with_replacement(layers, 2):
        if dice.random() < 0.35:
            i, j = one.index("i"), other.index("j")
            weights = Parameter(f"{one.name}{other.name}", one, other, symmetric=one is other)
            total -= Sum(weights[i, j] * one[i] * other[j], i, j)
    visible = dice.randint(1, len(layers))
    return Energy(total, visible=layers[:visible], hidden=layers[visible:])


def test_the_most_layers_that_are_independent_are_found() -> None:
    dice = random.Random(1)
    for _ in range(40):
        energy = _coupled_at_random(dice)
        layers = energy.visible + energy.hidden
        required = set(dice.sample(layers, dice.choice([0, 0, 1, 2])))
        worth = None if required else (0, 0)
        for size in range(1, len(layers) + 1):
            for some in itertools.combinations(layers, size):
                if required <= set(some):
                    try:
                        separate(energy.function, some)
                    except NotSeparableError:
                        continue
                    found = size, sum(layer in energy.hidden for layer in some)
                    worth = max(worth or found, found)
        chosen = independent_layers(energy.function, layers, required, energy.hidden)
        if worth is None:
            assert chosen is None
        else:
            assert chosen is not None
            assert required <= set(chosen)
            assert (len(chosen), sum(layer in energy.hidden for layer in chosen)) == worth
            if chosen:
                separate(energy.function, chosen)


def test_independent_layers_of_a_deep_machine_are_every_other_one() -> None:
    energy = energies.deep(depth=16)  # 2^17 sets of layers: not tried one by one
    chosen = independent_layers(energy.function, energy.visible + energy.hidden, preferred=energy.hidden)
    assert [layer.name for layer in chosen or ()] == ["v", *(f"h{number}" for number in range(2, 17, 2))]


def test_semi_restricted_gradient() -> None:
    v, h = Layer("v", "spin"), Layer("h")
    i, k, j = v.index("i"), v.index("k"), h.index("j")
    lateral, w = Parameter("L", v, v, symmetric=True), Parameter("w", v, h)
    half = Sum(lateral[i, k] * v[i] * v[k], i, k) * Fraction(1, 2)
    energy = Energy(-half - Sum(v[i] * w[i, j] * h[j], i, j), visible=[v], hidden=[h])
    d = energy.log_likelihood_gradient("L")
    assert (str(d.term_a), str(d.term_b)) == ("v[i]*v[m]", "<v[i]*v[m]>_vh")
    assert d.verify({"v": 3, "h": 2})


def test_conditional_where_much_is_constant() -> None:
    """Two terms without the layer: e^(A + B) stands above and below and cancels."""
    energy = Energy.parse(
        "-sum(v[i]*x[k]*h[j]*w[i,k,j], i, k, j) - sum(a[i]*v[i], i) - sum(c[k]*x[k], k)",
        visible={"v": "binary", "x": "spin"},
        hidden={"h": "binary"},
    )
    derivation = energy.conditional("h")
    assert str(derivation.mean) == "sigmoid(sum(w[l, k, j]*v[l]*x[k], k, l))"
    assert derivation.verify()


def test_gradient_without_hidden_units() -> None:
    """A fully visible Boltzmann machine: Term A is the statistic of the data itself."""
    energy = Energy.parse("-sum(L[i,k]*v[i]*v[k], i, k) - sum(a[i]*v[i], i)", visible={"v": "spin"})
    d = energy.log_likelihood_gradient("L")
    assert (str(d.term_a), str(d.term_b)) == ("v[i]*v[m]", "<v[i]*v[m]>_v")
    assert d.verify({"v": 3})


def test_gradient_of_a_deep_machine() -> None:
    energy = Energy.parse(
        "-sum(v[i]*w[i,j]*h[j], i, j) - sum(h[j]*u[j,k]*g[k], j, k)",
        visible={"v": "binary"},
        hidden={"h": "binary", "g": "binary"},
    )
    d = energy.log_likelihood_gradient("u")
    assert (str(d.term_a), str(d.term_b)) == ("<g[n]*h[j]>_v", "<g[n]*h[j]>_vhg")
    assert d.verify()
    assert energy.conditional("h").verify()  # given both neighbours, the units of h are independent


ALL_QUESTIONS = {
    "gradient w": lambda e: e.log_likelihood_gradient("w"),
    "gradient a": lambda e: e.log_likelihood_gradient("a"),
    "gradient b": lambda e: e.log_likelihood_gradient("b"),
    "free energy of v": lambda e: e.free_energy(),
    "free energy of h": lambda e: e.free_energy(of="h"),
    "conditional of h": lambda e: e.conditional("h"),
    "conditional of v": lambda e: e.conditional("v"),
    "phase w": lambda e: e.phase("w"),
    "phase a": lambda e: e.phase("a", of="h"),
    "phase b": lambda e: e.phase("b"),
    "log partition": lambda e: e.log_partition(),
}


@pytest.mark.parametrize("units", UNITS, ids="-".join)
@pytest.mark.parametrize("question", ALL_QUESTIONS.values(), ids=ALL_QUESTIONS)
def test_every_step_passes_the_oracle(units: tuple[str, str], question: object) -> None:
    derivation = question(biased_energy(*units))  # type: ignore[operator]
    for sizes in ({"v": 2, "h": 3}, {"v": 3, "h": 2}):
        verification = derivation.verify(sizes)
        assert verification, str(verification)


@pytest.mark.parametrize("question", ALL_QUESTIONS.values(), ids=ALL_QUESTIONS)
def test_json_there_and_back(question: object) -> None:
    derivation = question(biased_energy())  # type: ignore[operator]
    again = Derivation.from_json(derivation.to_json())
    assert again == derivation
    assert again.verify()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t[:-20], "not a derivation"),
        (lambda t: "[]", "format"),
        (lambda t: t.replace('"version": 1', '"version": 99'), "version 99; this version reads 1"),
        (lambda t: t.replace('"log_derivative"', '"magic"'), "no rule 'magic'"),
        (lambda t: t.replace('"configsum"', '"eval"'), "not an expression"),
        (lambda t: t.replace('"binary"', '"purple"'), "no unit called"),
        (lambda t: t.replace('"conclusion": "Result"', '"conclusion": "End"'), "no such branch"),
        (lambda t: t.replace('"expression": ', '"expression": ' + "[" * 2000, 1), "not a derivation|nested"),
    ],
)
def test_files_that_are_no_derivation(damage: object, message: str) -> None:
    text = lecture_energy().log_likelihood_gradient("w").to_json()
    with pytest.raises(SymbolicError, match=message):
        Derivation.from_json(damage(text))  # type: ignore[operator]


def test_depth_of_a_file_is_bounded() -> None:
    deep = '["exp",' * (MAX_DEPTH + 50) + '["number","1","1"]' + "]" * (MAX_DEPTH + 50)
    text = lecture_energy().log_likelihood_gradient("w").to_json()
    start = text.index('"subject": ') + len('"subject": ')
    end = text.index('"steps"', start)
    with pytest.raises(SymbolicError, match="nested"):
        Derivation.from_json(text[:start] + deep + ",\n" + text[end:])


def test_an_unknown_branch_is_named() -> None:
    with pytest.raises(SymbolicError, match="no branch 'Term C'; it has: ln p"):
        lecture_energy().log_likelihood_gradient("w")["Term C"]


def test_the_mean_of_a_single_unit_recalls_one_weight_over_their_sum() -> None:
    """Weights that cancel are not shown: one for a unit with a square was e^φ · e^φ″ · e^−φ."""
    recalled = energies.covariance().conditional("v", "single-site")["mean"].steps[0].after
    assert isinstance(recalled, UnitSum)
    assert sum(isinstance(factor, exp) for factor in recalled.body.args) == 1
