"""Which pairs of units have a Z, for every pair of the table; and a model of each kind through its whole life."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import DivergentError, NoFiniteDomainError
from pgm_rbm.model.convergence import convergence_of
from pgm_rbm.model.layout import Layout
from symbolic.units import FAMILIES, TABLE

FINITE = ("binary", "spin", "{-1, 0, 1}", "binomial(3)", "integer(2)", "potts(3)", "categorical(3)")
BOUNDED = (*FINITE, "uniform", "von_mises", "heisenberg")
COUNTS = ("poisson",)  # e^{field}: any field, but none that grows with another unit's state without end
RATED = ("geometric", "exponential", "gamma(2)")  # the rate has to stay positive
HALVES = ("relu",)  # states of one sign, which a negative weight holds back
WHOLES = ("gaussian", "drelu", "spike_and_slab")  # states of both signs: one of them always drives
UNITS = (*BOUNDED, *COUNTS, *RATED, *HALVES, *WHOLES)


def test_every_row_is_classified() -> None:
    families = {unit.partition("(")[0] for unit in UNITS}
    assert families >= {*TABLE, *FAMILIES}


@pytest.mark.parametrize("v", [unit for unit in UNITS if unit != "categorical(3)"])
def test_pairs_are_refused_bound_by_conditions_or_free(v: str) -> None:
    for h in UNITS:
        if h == "categorical(3)":
            continue  # another name of potts(3)
        layout = Layout(_Named({"v": v, "h": h}), {"v": 1, "h": 1})  # type: ignore[arg-type]
        if any(a in WHOLES and b in (*COUNTS, *RATED) for a, b in ((v, h), (h, v))):
            with pytest.raises(DivergentError, match=r"units cannot be coupled.*Choose binary, spin or other bounded"):
                convergence_of(layout, None)
            continue
        bound = convergence_of(layout, None) is not None
        assert bound == ({v, h} & {*RATED} != set() or not {v, h} & set(BOUNDED)), (v, h)


class _Named:
    """The units of the layers; what else kernels do is not needed to find the conditions."""

    def __init__(self, layers: dict[str, str]):
        self.layers = layers
        self.given = ()


LIVED = [
    *(("binary", unit) for unit in UNITS),
    *((unit, "potts(3)") for unit in ("drelu", "spike_and_slab", "von_mises", "heisenberg", "gamma(2)")),
    ("von_mises", "von_mises"),
    ("heisenberg", "von_mises"),
    ("heisenberg", "gaussian"),
    ("drelu", "spike_and_slab"),
    ("spike_and_slab", "drelu"),
    ("relu", "relu"),
    ("relu", "exponential"),
    ("gamma(2)", "poisson"),
    ("uniform", "von_mises"),
]
ALL = [
    pytest.param(v, h, marks=() if (v, h) in LIVED else pytest.mark.slow)
    for v, h in itertools.product(UNITS, repeat=2)
    if not any(a in WHOLES and b in (*COUNTS, *RATED) for a, b in ((v, h), (h, v)))
]


@pytest.mark.parametrize(("v", "h"), ALL)
def test_models_are_made_trained_drawn_from_and_asked(v: str, h: str) -> None:
    rbm = RBM(2, 2, visible_units=v, hidden_units=h, seed=1, target="numpy")
    data = rbm.sample(40, steps=3, seed=0)
    before = {name: value.copy() for name, value in rbm.parameters.items()}
    rbm.fit(data, epochs=2, batch_size=10, monitor="none")
    assert np.isfinite(rbm.free_energy(data)).all()
    assert np.isfinite(rbm.sample(10, steps=3, seed=0)).all()
    assert all(np.isfinite(value).all() for value in rbm.parameters.values())
    assert any((value != before[name]).any() for name, value in rbm.parameters.items())
    if {v, h} & set(FINITE):
        assert np.isfinite(rbm.log_partition().value)
    else:
        with pytest.raises(NoFiniteDomainError, match="Choose binary, spin or other finite units"):
            rbm.log_partition()


@pytest.mark.parametrize(("v", "h"), [("gaussian", "poisson"), ("gamma(2)", "drelu"), ("spike_and_slab", "geometric")])
def test_refusals_reach_whoever_makes_a_model(v: str, h: str) -> None:
    with pytest.raises(DivergentError, match=f"{v.replace('(2)', '.2.')} and {h} units cannot be coupled"):
        RBM(2, 2, visible_units=v, hidden_units=h, target="numpy")
