from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import EnumerationLimitError
from pgm_rbm.exact.enumeration import fisher
from symbolic import energies
from tests.pgm_rbm import naive
from tests.pgm_rbm.exact.enumeration.test_configurations import joint


def model(target: str = "numba", units: tuple[str, str] = ("binary", "binary")) -> RBM:
    return RBM.from_parameters(*naive.random_parameters(5, 3, seed=80), *units, target=target)


@pytest.mark.parametrize("target", ["numba", "numpy"])
@pytest.mark.parametrize("units", [("binary", "binary"), ("spin", "spin"), ("spin", "binary")])
def test_it_is_the_covariance_of_the_score(units: tuple[str, str], target: str) -> None:
    rbm = model(target, units)
    v, _, p = joint(rbm)
    information = rbm.fisher_information()
    # The score of each v by the kernels, one configuration at a time.
    phases = [rbm.kernels.phase(one[None], of="v", **rbm.parameters) for one in v]
    scores = np.array([information.flat(phase) for phase in phases])
    p = p.sum(axis=1)
    centred = scores - p @ scores
    np.testing.assert_allclose(information.matrix, (centred * p[:, None]).T @ centred, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(information.matrix, rbm.fisher_information(threads=1).matrix)
    assert np.linalg.eigvalsh(information.matrix).min() > -1e-14


def test_it_is_the_curvature_of_the_divergence() -> None:
    # KL(p_θ ‖ p_{θ+δ}) = ½ δᵀ F δ + O(δ³).
    rbm = model()
    information = rbm.fisher_information()
    _, _, p = joint(rbm)
    before = np.log(p.sum(axis=1))
    rng = np.random.default_rng(1)
    for _ in range(5):
        step = 1e-3 * rng.normal(size=len(information.matrix))
        values = []
        for sign in (1, -1):
            moved = information.by_parameter(information.flat(rbm.parameters) + sign * step)
            _, _, q = joint(RBM.from_parameters(moved["w"], moved["a"], moved["b"]))
            values.append(float(np.exp(before) @ (before - np.log(q.sum(axis=1)))))
        # The odd orders cancel, and the fourth is about 1e-12 beside 1e-5 here; rounding of ln p adds 1e-15.
        assert np.mean(values) == pytest.approx(step @ information.matrix @ step / 2, rel=1e-4)


def test_a_vector_and_back() -> None:
    information = model().fisher_information()
    values = {"w": np.arange(15.0).reshape(5, 3), "a": np.arange(5.0), "b": np.arange(3.0)}
    back = information.by_parameter(information.flat(values))
    for name, value in values.items():
        np.testing.assert_array_equal(back[name], value)


def test_the_natural_gradient_solves_the_damped_system() -> None:
    rbm = model()
    gradient = rbm.gradient(naive.all_states(5)[::3]).difference
    information = rbm.fisher_information()
    natural = information.flat(information.natural(gradient, damping=0.1))
    damped = information.matrix + 0.1 * np.eye(len(natural))
    np.testing.assert_allclose(damped @ natural, information.flat(gradient), rtol=0, atol=1e-14)
    mask = {"w": np.tri(5, 3, dtype=bool)}
    held = information.natural(gradient, damping=0.1, masks=mask)
    assert not held["w"][~mask["w"]].any()
    assert held["w"][mask["w"]].all()


def test_too_much_is_refused_before_it_starts() -> None:
    with pytest.raises(EnumerationLimitError, match=r"visible, 40 binary units"):
        RBM(40, 3, seed=0).fisher_information()
    with pytest.raises(EnumerationLimitError, match=r"11 parameters over 8 visible configurations.*memory_limit"):
        RBM(3, 2, seed=0).fisher_information(memory_limit=1000)
    with pytest.raises(
        EnumerationLimitError, match=r"about .* stops at 10 minutes where no limit is given\. Pass limit=16777216"
    ) as caught:
        RBM(24, 200, seed=0).fisher_information(memory_limit=2**40)
    assert caught.value.seconds > 600
    with pytest.raises(
        EnumerationLimitError, match=r"take \d.\d GiB, and it stops at 10 minutes and 1\.0 GiB where no"
    ):
        RBM(12, 400, seed=0).fisher_information()
    rbm = model()
    for wrong in (0, -1, math.nan, "x", True):
        with pytest.raises(ValueError, match="memory_limit must be a positive number of bytes"):
            rbm.fisher_information(memory_limit=wrong)  # type: ignore[arg-type]


def test_who_sets_a_limit_has_time_and_memory_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    rbm = model()
    whole = rbm.fisher_information().matrix
    for name in ("SECONDS", "MEMORY"):
        with monkeypatch.context() as patch:
            patch.setattr(fisher, name, 0)
            with pytest.raises(EnumerationLimitError, match="Pass limit=32 to run it all the same"):
                rbm.fisher_information()
            np.testing.assert_array_equal(rbm.fisher_information(limit=32).matrix, whole)
    with pytest.raises(EnumerationLimitError, match=r"stops at memory_limit=1000\. Pass a larger memory_limit"):
        rbm.fisher_information(limit=32, memory_limit=1000)


def test_weights_that_units_share_are_refused_by_name() -> None:
    rbm = RBM.from_energy(energies.replicated_softmax(categories=3), {"v": 4, "h": 2}, seed=0, target="numpy")
    with pytest.raises(ValueError, match="multiplies a product of units, a unit per axis"):
        rbm.fisher_information()


def test_the_natural_gradient_checks_what_it_is_given() -> None:
    rbm = model()
    information, gradient = rbm.fisher_information(), rbm.gradient(naive.all_states(5)[::3]).difference
    for damping in (0, -1.0, math.nan, math.inf, "x", None):
        with pytest.raises(ValueError, match="damping must be positive and finite"):
            information.natural(gradient, damping)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"shape \(3,\) is needed for parameter b\. Got w, a"):
        information.natural({"w": gradient["w"], "a": gradient["a"]}, 0.1)
    with pytest.raises(ValueError, match=r"shape \(5, 3\) is needed for parameter w\. Got shape \(3, 5\)"):
        information.natural({**gradient, "w": gradient["w"].T}, 0.1)
    with pytest.raises(ValueError, match="masks must be by parameter"):
        information.natural(gradient, 0.1, {"w": np.ones(3, dtype=bool)})


def test_work_is_cut_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rbm = RBM.from_parameters(*naive.random_parameters(9, 3, seed=81))
    whole = rbm.fisher_information().matrix
    monkeypatch.setattr(fisher, "_VALUES", 1)
    monkeypatch.setattr(fisher, "_PIECES", 3)
    np.testing.assert_allclose(rbm.fisher_information().matrix, whole, rtol=0, atol=1e-15)


def test_training_along_the_natural_gradient() -> None:
    x = naive.all_states(6)[np.random.default_rng(2).integers(0, 9, 60)]
    start = RBM.from_parameters(*naive.random_parameters(6, 3, seed=82, scale=0.1))
    reached = {}
    for optimizer in ("sgd", "natural"):
        rbm = RBM.from_parameters(start.weights, start.visible_bias, start.hidden_bias)
        rbm.fit(x, "exact", epochs=40, batch_size=60, learning_rate=0.2, optimizer=optimizer)
        reached[optimizer] = rbm.log_likelihood(x)
    assert reached["natural"] > reached["sgd"] + 0.1


def test_one_natural_step_by_hand() -> None:
    x = naive.all_states(5)[::4]
    mask = np.ones((5, 3), dtype=bool)
    mask[0, 0] = mask[2, 1] = False
    w, a, b = naive.random_parameters(5, 3, seed=83)
    w[~mask] = 0
    rbm = RBM.from_parameters(w, a, b, mask=mask)
    gradient = dict(rbm.gradient(x).difference)
    gradient["w"] = gradient["w"] - 0.03 * w
    step = rbm.fisher_information().natural(gradient, 0.01, {"w": mask})
    rbm.fit(x, "exact", epochs=1, batch_size=8, learning_rate=0.5, optimizer="natural", weight_decay=0.03, seed=1)
    np.testing.assert_allclose(rbm.weights, w + 0.5 * step["w"], rtol=0, atol=1e-13)
    np.testing.assert_allclose(rbm.visible_bias, a + 0.5 * step["a"], rtol=0, atol=1e-13)
    np.testing.assert_allclose(rbm.hidden_bias, b + 0.5 * step["b"], rtol=0, atol=1e-13)


def test_natural_training_goes_on_from_a_file(tmp_path: Path) -> None:
    x = naive.all_states(5)[::3]
    whole, halves = RBM(5, 3, seed=4), RBM(5, 3, seed=4)
    settings = {"optimizer": "natural", "batch_size": 4, "seed": 5}
    whole.fit(x, "exact", epochs=4, **settings)
    halves.fit(x, "exact", epochs=2, **settings).save(tmp_path / "model.safetensors")
    rest = RBM.load(tmp_path / "model.safetensors").fit(x, epochs=2, resume=True)
    np.testing.assert_array_equal(rest.weights, whole.weights)


def test_what_does_not_go_with_the_natural_gradient_is_refused() -> None:
    x = naive.all_states(5)
    with pytest.raises(ValueError, match="optimizer='natural' goes with algorithm='exact'"):
        RBM(5, 3, seed=1).fit(x, "cd", optimizer="natural")
    with pytest.raises(EnumerationLimitError):
        RBM(30, 3, seed=1).fit(np.zeros((4, 30)), "exact", optimizer="natural")
    from pgm_rbm.learning.updates import NaturalGradient

    with pytest.raises(ValueError, match="damping must be positive"):
        NaturalGradient(0.0)
