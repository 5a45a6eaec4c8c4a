"""What cannot be done is refused by name, with the place and the remedy, and without names nobody wrote."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from symbolic import DivergentError, Energy, EnergyError, NotSeparableError, SymbolicError, energies


def _energy(text: str, unit: str = "binary", **more: object) -> Energy:
    return Energy.parse(text, visible={"v": "binary"}, hidden={"h": unit}, **more)  # type: ignore[arg-type]


LINEAR = "-sum(v[i]*w[i,j]*h[j], i, j)"
CUBIC = "-sum(v[i]*w[i,j]*h[j]^3, i, j)"
LATERAL = LINEAR + " - sum(L[j,k]*h[j]*h[k], j, k)"


@pytest.mark.parametrize(
    ("ask", "kind", "message"),
    [
        (_energy(LINEAR, "gaussian").free_energy, DivergentError, r"layer h \(gaussian units\).*sum\(h\[i\]\^2, i\)/2"),
        (_energy(LINEAR, "gaussian").log_partition, DivergentError, r"layer h \(gaussian units\)"),
        (lambda: _energy(LINEAR, "relu").conditional("h"), DivergentError, r"layer h \(relu units\).*quadratic term"),
        (_energy("-sum(h[j], j) - sum(v[i], i)", "exponential").free_energy, DivergentError, "-1 is not positive"),
        (_energy("sum(v[i], i)", "geometric").log_partition, DivergentError, r"layer h \(geometric units\)"),
        (_energy("-sum(h[j], j) - sum(v[i], i)", "gamma(2)").log_partition, DivergentError, "rates r"),
        (_energy(LATERAL).free_energy, NotSeparableError, r"L\[k, l\].* ties two units of layer h.* conditional\("),
        (lambda: _energy(LATERAL).conditional("h"), NotSeparableError, 'method="single-site"'),
        (lambda: _energy(LATERAL).phase("w"), NotSeparableError, "ties two units of layer h"),
        (_energy("sum(v[i], i)").free_energy, NotSeparableError, "no term of −E holds a unit of layer h"),
        (energies.deep().free_energy, NotSeparableError, "ties the layers h1 and h2 together"),
        (lambda: energies.covariance().free_energy(of="h"), NotSeparableError, "ties two units of layer v"),
        (_energy("-exp(sum(h[j], j))").free_energy, NotSeparableError, "function of a sum over layer h"),
        (_energy("-v[0]*h[0]").free_energy, NotSeparableError, "singles out unit 0 of layer h"),
        *((_energy(CUBIC, u).free_energy, NotSeparableError, r"h\[l\]\*\*3.* of −E is not linear")
          for u in ("binomial(64)", "poisson", "integer(64)", "uniform")),
        (_energy(CUBIC, "gaussian").free_energy, NotSeparableError, "not at most quadratic"),
        (lambda: _energy(CUBIC, "uniform").conditional("h", "single-site"), EnergyError, r"h\[l\]\*\*3.* of −E is not"),
        (
            lambda: _energy("-exp(sum(h[j], j))").conditional("h", "single-site"),
            EnergyError,
            r"exp\(sum\(h\[k\], k\)\) of −E is not a sum of products of functions of single units of layer h",
        ),
        (lambda: _energy(LINEAR).conditional("h", "exact"), SymbolicError, "'single-site', 'auto'. Got 'exact'"),
        (lambda: _energy(LINEAR).free_energy(method="single-site"), SymbolicError, "Got 'single-site'"),
        (lambda: _energy(LINEAR).log_partition("elimination"), SymbolicError, "Got 'elimination'"),
        (lambda: energies.gated().conditional("x"), EnergyError, "layer x is given; its units have no distribution"),
        (lambda: energies.gated().free_energy(of="x"), EnergyError, "layer x is given"),
        (lambda: energies.gated().free_energy(of=["v", "h"]), NotSeparableError, "leaves no layer to sum out"),
        (lambda: energies.pairwise().conditional("q"), EnergyError, "no layer 'q'; it has: v, h"),
        (lambda: energies.pairwise().phase("q"), EnergyError, "no parameter 'q'; it has: a, b, w"),
    ],
)  # fmt: skip
def test_refusals_name_the_thing(ask: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        ask()
    assert "~" not in str(caught.value)  # what a binder is opened with
    assert "·" not in str(caught.value)


def test_what_has_no_closed_form_is_enumerated_when_asked_for_whatever_serves() -> None:
    assert _energy(CUBIC, "integer(64)").free_energy(method="auto").method == "enumeration"
    assert _energy(CUBIC, "integer(63)").free_energy(method="auto").method == "closed form"  # 64 states are listed
    assert _energy(LATERAL).free_energy(method="auto").method == "enumeration"
    assert _energy(LATERAL).conditional("h", "auto").method == "single-site"
    assert _energy(LINEAR).conditional("h", "auto").method == "closed form"
    assert _energy(CUBIC, "integer(3)").log_partition().verify()


def test_one_entry_of_a_parameter_may_be_asked_about() -> None:
    energy = _energy(LINEAR + " - sum(L[i,k]*v[i]*v[k], i, k)")
    w, lateral = energy.parameters["w"], energy.parameters["L"]
    i = energy.layers["v"].index("i")
    for entry in (w[0, 1], w[i, 0], lateral[i, i], lateral[0, 0]):
        assert energy.phase(entry).verify()
        assert energy.log_likelihood_gradient(entry).verify()
    assert str(energy.phase(w[0, 1]).result) == "sigmoid(sum(w[k, 1]*v[k], k))*v[0]"
    assert str(energy.log_likelihood_gradient(lateral[i, i]).term_b) == "<v[i]**2>_vh"
