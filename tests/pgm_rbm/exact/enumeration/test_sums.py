"""Which layers can be enumerated: the drivers ask the table of units for states and weights, and never for a name."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from pgm_rbm.errors import EnumerationLimitError, NoFiniteDomainError
from pgm_rbm.exact.enumeration import answers, configurations, most_probable
from pgm_rbm.exact.enumeration.plan import make_plan, task_of
from pgm_rbm.exact.enumeration.sums import KernelSum, domain_of
from pgm_rbm.machine.budget import Budget
from pgm_rbm.model.model import Model

RNG = np.random.default_rng(0)
PARAMETERS = {"w": RNG.normal(0, 0.5, (3, 2)), "a": RNG.normal(size=3), "b": RNG.normal(size=2)}


def test_domains_come_from_the_table() -> None:
    binary, spin = domain_of("binary"), domain_of("spin")
    assert (binary, spin) == (((0.0, 1.0), (0.0, 0.0)), ((-1.0, 1.0), (0.0, 0.0)))
    assert binary is not None
    assert binary.even
    counts = domain_of("binomial(3)")
    assert counts is not None
    assert counts.states == (0.0, 1.0, 2.0, 3.0)
    np.testing.assert_allclose(np.exp(counts.log_measure), [1, 3, 3, 1], rtol=1e-15)
    assert not counts.even
    assert domain_of("{-1, 0, 2}") == ((-1.0, 0.0, 2.0), (0.0, 0.0, 0.0))
    assert domain_of("gaussian") is None
    assert domain_of("poisson") is None


@dataclass(eq=False)
class GaussianKernels:
    """E(v, h) = Σ v²/2 − a·v − b·h − v·w·h with real v, what generated kernels compute of it written by hand."""

    hidden_units: str = "binomial(3)"
    target: str = "numba"
    visible: tuple[str, ...] = ("v",)
    hidden: tuple[str, ...] = ("h",)
    parameters: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"w": ("v", "h"), "a": ("v",), "b": ("h",)})
    sizes: dict[str, int] = field(default_factory=dict)

    given: tuple[str, ...] = ()
    methods: dict[str, str] = field(
        default_factory=lambda: {
            f"{what}_of_{one}": "closed form" for what in ("free_energy", "sample") for one in "vh"
        }
    )

    @property
    def layers(self) -> dict[str, str]:
        return {"v": "gaussian", "h": self.hidden_units}

    def free_energy(self, x: Any, of: Any, w: Any, a: Any, b: Any) -> np.ndarray:
        assert of == ("h",)
        x = x["h"]
        mean = a + x @ w.T
        return -x @ b - (mean**2 / 2 + math.log(2 * math.pi) / 2).sum(axis=1)

    def phase(self, x: Any, of: Any, row_weights: Any, w: Any, a: Any, b: Any) -> dict[str, np.ndarray]:
        assert of == ("h",)
        x = x["h"]
        mean = a + x @ w.T
        return {"w": (mean * row_weights[:, None]).T @ x, "a": row_weights @ mean, "b": row_weights @ x}

    def sample(self, layer: Any, x: Any, key: Any, first_row: Any, w: Any, a: Any, b: Any) -> np.ndarray:
        assert layer == "v"
        x = x["h"]
        return a + x @ w.T + np.random.default_rng(key).normal(size=(len(x), len(a)))


def test_finite_units_beside_units_with_a_closed_form() -> None:
    kernels = GaussianKernels()
    h = np.array(list(itertools.product(range(4), repeat=2)), dtype=float)
    mean = PARAMETERS["a"] + h @ PARAMETERS["w"].T
    logs = np.log([math.comb(3, int(i)) * math.comb(3, int(j)) for i, j in h]) + h @ PARAMETERS["b"]
    logs += (mean**2).sum(axis=1) / 2 + 1.5 * math.log(2 * math.pi)
    log_z = np.logaddexp.reduce(logs)
    p = np.exp(logs - log_z)
    assert isinstance(task_of(Model.of(kernels, PARAMETERS)), KernelSum)
    found = answers.expectations(Model.of(kernels, PARAMETERS))
    assert found.log_partition == pytest.approx(log_z, rel=1e-13)
    np.testing.assert_allclose(found.phase["b"], p @ h, atol=1e-13)
    np.testing.assert_allclose(found.phase["a"], p @ mean, atol=1e-13)
    np.testing.assert_allclose(found.phase["w"], (mean * p[:, None]).T @ h, atol=1e-13)
    assert configurations.layer_entropy(Model.of(kernels, PARAMETERS), "h") == pytest.approx(
        -(p @ np.log(p)), rel=1e-12
    )
    best, log_p = most_probable.most_probable_of_layer(Model.of(kernels, PARAMETERS), "h")
    np.testing.assert_array_equal(best, h[p.argmax()])
    assert log_p == pytest.approx(math.log(p.max()), rel=1e-12)
    draws = 20_000
    v, drawn = configurations.sample(Model.of(kernels, PARAMETERS), draws, seed=3)
    counts = np.bincount((drawn @ [4, 1]).astype(int), minlength=16)
    often = draws * p >= 5
    chi_square = ((counts - draws * p)[often] ** 2 / (draws * p)[often]).sum()
    # As in test_exact_configurations: exceeded with a chance of at most 1e-6.
    degrees, t = int(often.sum()), math.log(1e6)
    assert chi_square < degrees + 2 * math.sqrt(degrees * t) + 2 * t
    # Each mean of 20,000 draws errs by a normal number of this deviation; six of them are exceeded once in 10^8.
    deviation = np.sqrt((1 + p @ mean**2 - (p @ mean) ** 2) / draws)
    assert (np.abs(v.mean(axis=0) - p @ mean) < 6 * deviation).all()


def test_infinite_domains_are_refused_by_type() -> None:
    kernels = GaussianKernels()
    found = r"finitely many states.*Got (gaussian units in layer v|v \(gaussian\))"
    for ask in (
        lambda: make_plan(Model.of(kernels, PARAMETERS), layer="v").require(),
        lambda: configurations.layer_entropy(Model.of(kernels, PARAMETERS), "v"),
        lambda: most_probable.most_probable_of_layer(Model.of(kernels, PARAMETERS), "v"),
        lambda: answers.log_partition(Model.of(GaussianKernels("gaussian"), PARAMETERS)),
    ):
        with pytest.raises(NoFiniteDomainError, match=found):
            ask()
    with pytest.raises(NoFiniteDomainError, match=r"finitely many numbers\. Got gaussian and binomial\(3\) units"):
        most_probable.most_probable(Model.of(kernels, PARAMETERS), {})


def test_many_states_count_towards_the_limit() -> None:
    with pytest.raises(EnumerationLimitError, match=r"hidden, 2 integer\(99\) units.*100\*\*2 configurations"):
        make_plan(Model.of(GaussianKernels("integer(99)"), PARAMETERS), budget=Budget(configurations=9999)).require()
