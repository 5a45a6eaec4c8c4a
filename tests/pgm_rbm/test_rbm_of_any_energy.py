"""RBM over energies of several layers, of third order and with ties, against sums over all configurations."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from pgm_rbm import RBM
from pgm_rbm.errors import EnumerationLimitError, ModelError, NotPairwiseError, ValueOutsideDomainError
from pgm_rbm.formats import model_file
from pgm_rbm.formats.model_file import ModelFileError
from symbolic import Energy, energies

STATES = {"binary": (0.0, 1.0), "spin": (-1.0, 1.0)}
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """An energy as text, and by its definition for one configuration."""

    text: str
    visible: dict[str, str]
    hidden: dict[str, str]
    sizes: dict[str, int]
    definition: Callable[[Arrays, Arrays], float]
    symmetric: tuple[str, ...] = ()
    shapes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def energy(self) -> Energy:
        return Energy.parse(
            self.text,
            visible=self.visible,
            hidden=self.hidden,
            symmetric=self.symmetric,
            parameters={name: axes for name, axes in self.shapes.items() if not axes},
        )

    def parameters(self, scale: float = 0.7) -> Arrays:
        rng = np.random.default_rng(5)
        found = {}
        for name, axes in self.shapes.items():
            array = np.asarray(scale * rng.normal(size=tuple(self.sizes[axis] for axis in axes)))
            if name in self.symmetric:
                array = np.triu(array, 1) + np.triu(array, 1).T
            found[name] = array
        return found

    def model(self, target: str = "numpy", **settings: object) -> RBM:
        return RBM.from_energy(self.energy, self.sizes, self.parameters(), seed=3, target=target, **settings)  # type: ignore[arg-type]

    def joint(self, parameters: Arrays) -> tuple[list[Arrays], np.ndarray]:
        """Every configuration, and its −E."""
        units = self.visible | self.hidden
        ranges = [list(itertools.product(STATES[units[one]], repeat=self.sizes[one])) for one in units]
        every = [dict(zip(units, map(np.array, states), strict=True)) for states in itertools.product(*ranges)]
        return every, np.array([-self.definition(states, parameters) for states in every])


CASES = {
    "deep": Case(
        "-sum(v[i]*w[i,j]*h[j], i, j) - sum(h[j]*u[j,k]*g[k], j, k) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j) "
        "- sum(c[k]*g[k], k)",
        {"v": "spin"},
        {"h": "binary", "g": "spin"},
        {"v": 4, "h": 3, "g": 2},
        lambda s, p: float(
            -(s["v"] @ p["w"] @ s["h"] + s["h"] @ p["u"] @ s["g"] + p["a"] @ s["v"] + p["b"] @ s["h"] + p["c"] @ s["g"])
        ),
        shapes={"w": ("v", "h"), "u": ("h", "g"), "a": ("v",), "b": ("h",), "c": ("g",)},
    ),
    "third order": Case(
        "-sum(v[i]*w[i,j,k]*h[j]*c[k], i, j, k) - sum(a[i]*v[i], i) - sum(b[j]*h[j], j)",
        {"v": "binary", "c": "spin"},
        {"h": "binary"},
        {"v": 3, "c": 2, "h": 3},
        lambda s, p: float(
            -(np.einsum("i,ijk,j,k->", s["v"], p["w"], s["h"], s["c"]) + p["a"] @ s["v"] + p["b"] @ s["h"])
        ),
        shapes={"w": ("v", "h", "c"), "a": ("v",), "b": ("h",)},
    ),
    "semi-restricted": Case(
        "-sum(v[i]*w[i,j]*h[j], i, j) - sum(v[i]*L[i,k]*v[k], i, k)/2 - sum(a[i]*v[i], i)",
        {"v": "binary"},
        {"h": "spin"},
        {"v": 4, "h": 3},
        lambda s, p: float(-(s["v"] @ p["w"] @ s["h"] + s["v"] @ p["L"] @ s["v"] / 2 + p["a"] @ s["v"])),
        symmetric=("L",),
        shapes={"w": ("v", "h"), "L": ("v", "v"), "a": ("v",)},
    ),
    "other names, one number": Case(
        "-k*sum(x[i]*m[i,j]*y[j], i, j) - sum(d[i]*x[i], i)",
        {"x": "spin"},
        {"y": "binary"},
        {"x": 4, "y": 2},
        lambda s, p: float(-(p["k"] * (s["x"] @ p["m"] @ s["y"]) + p["d"] @ s["x"])),
        shapes={"k": (), "m": ("x", "y"), "d": ("x",)},
    ),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def data_of(case: Case, every: list[Arrays]) -> tuple[np.ndarray | Arrays, np.ndarray]:
    """The distinct visible states as a model takes them, and the number of each configuration's."""
    columns = np.array([np.concatenate([one[name] for name in case.visible]) for one in every])
    distinct, places = np.unique(columns, axis=0, return_inverse=True)
    if len(case.visible) == 1:
        return distinct, places.ravel()
    ends = np.cumsum([case.sizes[name] for name in case.visible])[:-1]
    return dict(zip(case.visible, np.split(distinct, ends, axis=1), strict=True)), places.ravel()


def rows_of(x: np.ndarray | Arrays, places: np.ndarray) -> np.ndarray | Arrays:
    return {name: value[places] for name, value in x.items()} if isinstance(x, dict) else x[places]


@pytest.mark.parametrize("target", ["numpy", "numba"])
def test_exact_answers_against_the_definition(case: Case, target: str) -> None:
    rbm, parameters = case.model(target), case.parameters()
    every, logs = case.joint(parameters)
    stacked = {name: np.array([one[name] for one in every]) for name in every[0]}
    # Sums of a few hundred numbers of size one: 1e-12 leaves a factor of a thousand.
    np.testing.assert_allclose(rbm.energy(stacked), -logs, rtol=0, atol=1e-12)
    log_z = np.logaddexp.reduce(logs)
    assert float(rbm.log_partition()) == pytest.approx(log_z, abs=1e-12)
    x, places = data_of(case, every)
    log_p = np.full(places.max() + 1, -np.inf)
    np.logaddexp.at(log_p, places, logs - log_z)
    np.testing.assert_allclose(rbm.log_probability(x), log_p, rtol=0, atol=1e-12)
    np.testing.assert_allclose(rbm.free_energy(x), -(log_p + log_z), rtol=0, atol=1e-12)


def test_the_gradient_is_the_derivative_of_the_likelihood(case: Case) -> None:
    rbm, parameters = case.model(), case.parameters()
    x, places = data_of(case, case.joint(parameters)[0])
    chosen = rows_of(x, np.array([0, 0, 1, places.max()]))
    found = rbm.gradient(chosen)
    step = 1e-5
    for name, value in parameters.items():
        numeric = np.zeros(value.shape)
        for place in np.ndindex(value.shape):
            if name in case.symmetric and place[0] >= place[1]:
                continue
            sides = []
            for sign in (1, -1):
                moved = np.array(value)
                moved[place] += sign * step
                if name in case.symmetric:
                    moved[place[::-1]] += sign * step
                rbm.set_parameters(**{name: moved})
                sides.append(rbm.log_likelihood(chosen))
            numeric[place] = (sides[0] - sides[1]) / (2 * step)
            if name in case.symmetric:
                numeric[place[::-1]] = numeric[place]
            rbm.set_parameters(**{name: value})
        # Central differences are good to step² times a third derivative, and to rounding over step: about 1e-9.
        np.testing.assert_allclose(found[name], numeric, rtol=0, atol=1e-8)


def test_conditionals_against_the_definition(case: Case) -> None:
    rbm, parameters = case.model(), case.parameters()
    every, logs = case.joint(parameters)
    for layer in case.sizes:
        others = [name for name in every[0] if name != layer]
        given = {name: every[len(every) // 3][name] for name in others}
        here = [all((one[name] == given[name]).all() for name in others) for one in every]
        weights = np.exp(logs[here])
        expected = weights @ np.array([one[layer] for one, kept in zip(every, here, strict=True) if kept])
        stacked = {name: value[None] for name, value in given.items()}
        if layer == "v" and case.symmetric:
            with pytest.raises(ModelError, match="ties units of layer v together"):
                rbm.mean(layer, stacked)
            continue
        np.testing.assert_allclose(rbm.mean(layer, stacked)[0], expected / weights.sum(), rtol=0, atol=1e-13)
        n = 4000
        drawn = rbm.draw(layer, {name: np.repeat(value, n, axis=0) for name, value in stacked.items()}, seed=1)
        # A state's deviation is at most 1; five standard errors.
        np.testing.assert_allclose(drawn.mean(axis=0), expected / weights.sum(), rtol=0, atol=5 / np.sqrt(n))


@pytest.mark.parametrize("method", ["gibbs", "exact"])
def test_samples_follow_the_model(case: Case, method: str) -> None:
    rbm, parameters = case.model(), case.parameters()
    every, logs = case.joint(parameters)
    x, places = data_of(case, every)
    p = np.zeros(places.max() + 1)
    np.add.at(p, places, np.exp(logs - np.logaddexp.reduce(logs)))
    n = 6000
    drawn = rbm.sample(n, steps=40, seed=4, method=method)
    if isinstance(x, dict):
        x, drawn = (np.concatenate([part[name] for name in x], axis=1) for part in (x, drawn))
    numbers = {tuple(row): k for k, row in enumerate(x)}
    counts = np.bincount([numbers[tuple(row)] for row in drawn], minlength=len(p))
    likely = p * n > 5
    squares = (((counts - p * n) ** 2) / (p * n))[likely].sum()
    # χ² with as many degrees of freedom as there are likely states: mean d, deviation √(2d); five deviations.
    assert squares < likely.sum() + 5 * np.sqrt(2 * likely.sum())


@pytest.mark.parametrize("algorithm", ["cd", "pcd", "exact"])
def test_training_raises_the_exact_likelihood(case: Case, algorithm: str) -> None:
    x = case.model().sample(300, seed=1, method="exact")
    rbm = RBM.from_energy(case.energy, case.sizes, seed=2, target="numpy")
    if "k" in rbm.parameters:
        rbm.set_parameters(k=np.array(1.0))  # at zero the gradient by the couplings is zero
    before = rbm.log_likelihood(x)
    rbm.fit(x, algorithm, epochs=15, batch_size=50, learning_rate=0.1, k=2, seed=1)
    assert rbm.history["log_likelihood"][-1] > before + 0.02
    assert rbm.history["log_likelihood"][-1] == pytest.approx(rbm.log_likelihood(x), abs=1e-12)
    for name in case.symmetric:
        np.testing.assert_array_equal(rbm.parameters[name], rbm.parameters[name].T)
        assert not np.diagonal(rbm.parameters[name]).any()


@pytest.mark.parametrize("algorithm", ["cd", "pcd", "exact"])
def test_the_number_of_threads_and_a_pause_change_no_bit(case: Case, algorithm: str, tmp_path: Path) -> None:
    x = case.model().sample(200, seed=1, method="exact")

    def trained(threads: int, epochs: int) -> RBM:
        rbm = RBM.from_energy(case.energy, case.sizes, seed=2, target="numpy")
        return rbm.fit(x, algorithm, epochs=epochs, learning_rate=0.1, seed=1, threads=threads, monitor="none")

    one, other, part = trained(1, 3), trained(3, 3), trained(2, 1)
    part.save(tmp_path / "part.safetensors")
    on = RBM.load(tmp_path / "part.safetensors").fit(x, epochs=2, resume=True, monitor="none")
    for name, value in one.parameters.items():
        np.testing.assert_array_equal(value, other.parameters[name])
        np.testing.assert_array_equal(value, on.parameters[name])


def test_chains_go_on_bit_for_bit_and_keep_what_is_clamped(case: Case) -> None:
    rbm = case.model()
    given = {(layer, 1): STATES[unit][1] for layer, unit in (case.visible | case.hidden).items()}
    whole = rbm.run_chains(70, 6, given, seed=3, threads=2)
    parts = rbm.run_chains(rbm.run_chains(70, 2, given, seed=3, threads=1), 4, given)
    np.testing.assert_array_equal(whole.visible, parts.visible)
    np.testing.assert_array_equal(whole.hidden, parts.hidden)
    assert (whole.visible[:, 1] == 1).all()
    assert (whole.hidden[:, 1] == 1).all()
    assert whole.visible.shape == (70, rbm.n_visible)
    assert whole.hidden.shape == (70, rbm.n_hidden)


def test_clamped_chains_follow_the_conditional_where_units_are_tied() -> None:
    case = CASES["semi-restricted"]
    every, logs = case.joint(case.parameters())
    kept = np.array([one["v"][2] == 1 for one in every])
    weights = np.exp(logs[kept] - np.logaddexp.reduce(logs[kept]))
    expected = weights @ np.array([one["v"] for one in every])[kept]
    drawn = case.model().sample(6000, steps=30, given={("v", 2): 1}, seed=6)
    # Five standard errors of the mean of numbers between 0 and 1.
    np.testing.assert_allclose(drawn.mean(axis=0), expected, rtol=0, atol=5 * 0.5 / np.sqrt(6000))


def test_models_come_back_from_files_copies_and_pickles(case: Case, tmp_path: Path) -> None:
    rbm = case.model("numba")
    rbm.save(tmp_path / "model.safetensors")
    for other in (RBM.load(tmp_path / "model.safetensors"), copy.deepcopy(rbm), pickle.loads(pickle.dumps(rbm))):
        assert repr(other) == repr(rbm)
        assert other.symbolic_energy == case.energy
        for name, value in rbm.parameters.items():
            np.testing.assert_array_equal(other.parameters[name], value)


def test_damaged_energies_in_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    CASES["deep"].model().save(path)
    header, arrays = model_file.read(path, "rbm")
    changes = [
        {"text": "sum(v[i]*w[i,j"},
        {"text": "__import__('os').system('true')"},
        {"text": 7},
        {"visible": {"v": "ternary"}},
        {"visible": ["v"]},
        {"parameters": {"w": ["v"]}},
        {"hidden": {}},
    ]
    for change in changes:
        model_file.write(path, "rbm", header | {"energy": header["energy"] | change}, arrays)
        with pytest.raises(ModelFileError, match=r"model\.safetensors is damaged: its parts do not fit"):
            RBM.load(path)
    model_file.write(path, "rbm", header | {"energy": None}, arrays)
    with pytest.raises(ModelFileError, match="parts do not fit"):
        RBM.load(path)
    for name in ("parameters.w", "parameters.c"):
        model_file.write(path, "rbm", header, {key: value for key, value in arrays.items() if key != name})
        with pytest.raises(ModelFileError, match="parts do not fit"):
            RBM.load(path)


def test_what_it_says_of_itself() -> None:
    deep = CASES["deep"].model()
    assert repr(deep) == "RBM(v: 4 spin; h: 3 binary, g: 2 spin; float64)"
    assert (deep.n_visible, deep.n_hidden) == (4, 5)
    assert deep.sizes == {"v": 4, "h": 3, "g": 2}
    assert deep.units == {"v": "spin", "h": "binary", "g": "spin"}
    assert not deep.is_pairwise
    assert deep.derivation("u").verify()
    phase = deep.expectations().phase
    assert {name: value.shape for name, value in phase.items()} == {
        name: value.shape for name, value in deep.parameters.items()
    }


def test_names_of_the_pairwise_energy() -> None:
    renamed = CASES["other names, one number"].model()
    assert renamed.weights is renamed.parameters["m"]
    assert renamed.visible_bias is renamed.parameters["d"]
    with pytest.raises(NotPairwiseError, match=r"no hidden_bias; its parameters are d, k, m\. Use rbm\.parameters"):
        _ = renamed.hidden_bias
    deep = CASES["deep"].model()
    for name in ("weights", "visible_bias", "hidden_bias"):
        assert not hasattr(deep, name)
        with pytest.raises(NotPairwiseError, match=f"no {name}"):
            getattr(deep, name)
    for call in (
        lambda: deep.moments(),
        lambda: deep.entropy(),
        lambda: deep.most_probable(),
        lambda: deep.fisher_information(),
        lambda: deep.hidden_units,
        lambda: deep.initialise_visible_bias(np.ones((2, 4))),
    ):
        with pytest.raises(NotPairwiseError):
            call()


def test_the_pairwise_energy_by_either_door() -> None:
    from symbolic import energies

    w, a, b = (np.random.default_rng(1).normal(size=shape) for shape in ((3, 2), 3, 2))
    one = RBM.from_energy(energies.pairwise("spin", "binary"), parameters={"w": w, "a": a, "b": b})
    other = RBM.from_parameters(w, a, b, "spin", "binary")
    assert one.is_pairwise
    assert one.kernels is other.kernels
    assert repr(one) == repr(other)
    assert one.log_partition().value == other.log_partition().value
    assert one.graph.number_of_edges() == 6


DEEP = CASES["deep"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"sizes": None, "parameters": None}, ModelError, "sizes is missing: give every layer's number of units"),
        ({"sizes": {"v": 4, "h": 3}}, ModelError, "sizes lacks the layer 'g'"),
        ({"sizes": {"v": 4, "h": 3, "g": 2, "z": 1}}, ModelError, "sizes names a layer 'z'"),
        ({"sizes": {"v": 4, "h": 3, "g": 0}}, ModelError, r"sizes\['g'\] must be a positive whole number"),
        ({"sizes": {"v": 4, "h": 3, "g": 2.0}}, ModelError, r"sizes\['g'\] must be a positive whole number"),
        ({"sizes": [4, 3, 2]}, TypeError, "sizes must be a dict"),
        ({"parameters": {"w": np.zeros((4, 3))}}, ModelError, r"parameters lacks 'a'\. Add an array of shape \(n_v\)"),
        ({"parameters": DEEP.parameters() | {"z": np.zeros(1)}}, ModelError, "parameters holds 'z', which the energy"),
        ({"parameters": DEEP.parameters() | {"a": np.zeros(5)}}, ValueError, r"a must have shape \(4,\)\. Got \(5,\)"),
        ({"parameters": DEEP.parameters() | {"w": np.zeros(4)}}, ValueError, r"w must have shape \(4, 3\)"),
        ({"parameters": DEEP.parameters() | {"a": list("abcd")}}, TypeError, "a must hold real numbers"),
        ({"parameters": DEEP.parameters() | {"a": np.full(4, np.nan)}}, ValueError, "a must be finite"),
        ({"parameters": [1, 2]}, TypeError, "parameters must be a dict"),
        ({"sizes": None, "parameters": DEEP.parameters() | {"a": np.zeros(5)}}, ModelError, "another parameter has"),
        ({"sizes": None, "parameters": DEEP.parameters() | {"w": np.zeros(4)}}, ModelError, "w must have 2 axes"),
        ({"dtype": "int8"}, ValueError, "dtype must be float32 or float64"),
        ({"target": "fortran"}, ValueError, "there is no target 'fortran'"),
        ({"energy": DEEP.text}, TypeError, r"energy must be a symbolic\.Energy; Energy\.parse makes one"),
    ],
)
def test_what_does_not_fit_the_energy_is_refused(
    change: dict[str, object], error: type[Exception], message: str
) -> None:
    arguments = {"energy": DEEP.energy, "sizes": DEEP.sizes, "parameters": DEEP.parameters(), "target": "numpy"}
    with pytest.raises(error, match=message):
        RBM.from_energy(**(arguments | change))  # type: ignore[arg-type]


def test_a_symmetric_parameter_stays_so() -> None:
    case = CASES["semi-restricted"]
    rbm = case.model()
    crooked = case.parameters()["L"].copy()
    crooked[0, 1] += 1
    with pytest.raises(ModelError, match=r"parameter L must be symmetric\. Got .* at \(0, 1\)"):
        rbm.set_parameters(L=crooked)
    with pytest.raises(ModelError, match="zeros on its diagonal"):
        rbm.set_parameters(L=np.eye(4))
    np.testing.assert_array_equal(rbm.parameters["L"], case.parameters()["L"])
    with pytest.raises(ModelError, match="parameters holds 'Q'"):
        rbm.set_parameters(Q=1)


def test_states_are_checked_by_layer() -> None:
    gated, deep = CASES["third order"].model(), CASES["deep"].model()
    good = {"v": np.zeros((2, 3)), "c": np.ones((2, 2))}
    assert gated.free_energy(good).shape == (2,)
    for wrong, error, message in [
        (np.zeros((2, 5)), TypeError, r"v must be a dict \{'v': array, 'c': array\}"),
        ({"v": np.zeros((2, 3))}, TypeError, "states of v, c are needed"),
        (good | {"h": np.zeros((2, 3))}, TypeError, "states of v, c are needed"),
        (good | {"c": np.ones((3, 2))}, ValueError, r"v\.v and v\.c must have as many rows\. Got 2 and 3"),
        (good | {"c": np.zeros((2, 2))}, ValueOutsideDomainError, r"v\.c must hold only states of a spin unit"),
        (good | {"v": np.zeros((2, 4))}, ValueError, r"v\.v must have 3 columns"),
    ]:
        with pytest.raises(error, match=message):
            gated.free_energy(wrong)
    with pytest.raises(ModelError, match="there is no layer 'q'; there are: v, h, g"):
        deep.mean("q", {})
    with pytest.raises(TypeError, match="states of v, g are needed"):
        deep.mean("h", np.ones((1, 4)))
    with pytest.raises(TypeError, match="energy takes the states of layers v, h, g, each once"):
        deep.energy(np.ones((1, 4)), np.ones((1, 3)))


def test_divergence_from_data_of_any_layers(case: Case) -> None:
    rbm = case.model()
    every, minus_energy = case.joint(case.parameters())
    x, places = data_of(case, every)
    log_p = np.logaddexp.reduce(minus_energy) * np.ones(places.max() + 1)
    for k in range(len(log_p)):
        log_p[k] = np.logaddexp.reduce(minus_energy[places == k]) - log_p[k]
    rows = np.random.default_rng(3).integers(len(log_p), size=20)
    q = np.bincount(rows, minlength=len(log_p)) / 20
    seen = q > 0
    expected = float(q[seen] @ (np.log(q[seen]) - log_p[seen]))
    assert rbm.kl_divergence(rows_of(x, rows)) == pytest.approx(expected, rel=1e-12)


def test_divergence_given_inputs_is_between_conditionals() -> None:
    rng = np.random.default_rng(4)
    rbm = RBM.from_energy(energies.conditional(), {"v": 3, "h": 2, "x": 2}, seed=1, target="numpy")
    rbm.set_parameters(**{name: rng.normal(size=value.shape) for name, value in rbm.parameters.items()})
    v = rng.integers(0, 2, (30, 3)).astype(float)
    x = rng.integers(0, 2, (30, 2)).astype(float)
    expected = 0.0
    for one, given in zip(v, x, strict=True):
        same_input = (x == given).all(axis=1)
        frequency = (v[same_input] == one).all(axis=1).mean()
        expected += (math.log(frequency) - float(rbm.log_probability({"v": one[None], "x": given[None]})[0])) / 30
    assert rbm.kl_divergence({"v": v, "x": x}) == pytest.approx(expected, rel=1e-12)


def test_models_too_large_are_refused_before_they_start() -> None:
    case = CASES["deep"]
    large = RBM.from_energy(case.energy, {"v": 40, "h": 30, "g": 30}, seed=1, target="numpy")
    with pytest.raises(
        EnumerationLimitError,
        match=r"\(h, 30 binary units\) has 2\*\*30 configurations, and enumeration stops at limit=16777216.*"
        r"about .*iB\. Pass limit=2\*\*30 to run it all the same; or use what",
    ):
        large.log_partition()
    several = RBM.from_energy(case.energy, {"v": 20, "h": 90, "g": 30}, seed=1, target="numpy")
    with pytest.raises(EnumerationLimitError, match=r"layers .*\(v, 20 spin units; g, 30 spin units\) have 2\*\*50 "):
        several.expectations()
    with pytest.raises(EnumerationLimitError, match="for each row, and at most"):
        large.free_energy(np.ones((1, 40)))
    with pytest.raises(EnumerationLimitError):
        large.fit(np.ones((3, 40)), "exact")
    assert large.fit(np.ones((3, 40)), "cd", epochs=1).history[0].log_likelihood is None


def test_an_energy_without_a_hidden_layer_has_exact_answers_and_cannot_be_trained() -> None:
    energy = Energy.parse("-sum(v[i]*L[i,k]*v[k], i, k)/2 - sum(a[i]*v[i], i)", visible={"v": "spin"}, symmetric=["L"])
    rng = np.random.default_rng(2)
    upper = np.triu(rng.normal(size=(4, 4)), 1)
    rbm = RBM.from_energy(energy, parameters={"L": upper + upper.T, "a": rng.normal(size=4)}, target="numpy")
    every = np.array(list(itertools.product((-1.0, 1.0), repeat=4)))
    assert np.exp(rbm.log_probability(every)).sum() == pytest.approx(1, abs=1e-13)
    assert set(np.unique(rbm.sample(20, steps=2, seed=1))) == {-1.0, 1.0}
    with pytest.raises(ModelError, match="no hidden layer that can be averaged in closed form"):
        rbm.fit(every, "cd")


def test_a_model_with_inputs_is_conditional_on_them() -> None:
    energy = Energy.parse(
        "-sum(v[i]*w[i,j]*h[j], i, j) - sum(x[c]*u[c,j]*h[j], c, j) - sum(x[c]*m[c,i]*v[i], c, i) - sum(b[j]*h[j], j)",
        visible={"v": "binary"},
        hidden={"h": "binary"},
        given={"x": "spin"},
    )
    sizes = {"v": 3, "h": 2, "x": 2}
    rng = np.random.default_rng(4)
    truth = RBM.from_energy(energy, sizes, seed=1, target="numpy")
    truth.set_parameters(**{name: rng.normal(size=value.shape) for name, value in truth.parameters.items()})
    every = [np.array(list(itertools.product(STATES[unit], repeat=n))) for unit, n in (("binary", 3), ("binary", 2))]
    for x in itertools.product((-1.0, 1.0), repeat=2):
        data = {"v": every[0], "x": np.tile(x, (8, 1))}
        logs = np.array([-truth.energy(v=np.tile(v, (4, 1)), h=every[1], x=np.tile(x, (4, 1))) for v in every[0]])
        expected = np.logaddexp.reduce(logs, axis=1) - np.logaddexp.reduce(logs.ravel())
        # Sums of 32 numbers of size one.
        np.testing.assert_allclose(truth.log_probability(data), expected, rtol=0, atol=1e-12)
    inputs = rng.choice([-1.0, 1.0], size=(400, 2))
    start = {"v": rng.integers(0, 2, (400, 3)), "x": inputs}
    drawn = truth.run_chains(400, 30, seed=2, start=start).visible
    data = {"v": drawn[:, :3], "x": drawn[:, 3:]}
    np.testing.assert_array_equal(data["x"], inputs)
    rbm = RBM.from_energy(energy, sizes, seed=1, target="numpy")
    before = rbm.log_likelihood(data)
    rbm.fit(data, "cd", k=3, epochs=30, batch_size=50, learning_rate=0.1, seed=1)
    assert before + 0.1 < rbm.log_likelihood(data) < truth.log_likelihood(data) + 0.1
    for algorithm in ("pcd", "exact"):
        with pytest.raises(ModelError, match=r"another Z for every input.*Use algorithm='cd'"):
            rbm.fit(data, algorithm)
    with pytest.raises(ModelError, match="Z depends on the input x"):
        rbm.log_partition()
    with pytest.raises(ValueError, match=r"the model is given x: pass states to start from"):
        rbm.sample(3)


def test_categorical_units_against_the_definition(tmp_path: Path) -> None:
    energy = Energy.parse(
        "-sum(w[i,s,j]*indicator(v[i],s)*h[j], i, s, j) - sum(a[i,s]*indicator(v[i],s), i, s) - sum(b[j]*h[j], j)",
        visible={"v": "potts(3)"},
        hidden={"h": "binary"},
    )
    truth = RBM.from_energy(energy, {"v": 3, "h": 2}, seed=1, target="numpy")
    rng = np.random.default_rng(6)
    p = {name: rng.normal(size=value.shape) for name, value in truth.parameters.items()}
    assert {name: value.shape for name, value in p.items()} == {"a": (3, 3), "b": (2,), "w": (3, 3, 2)}
    truth.set_parameters(**p)
    every_v = np.array(list(itertools.product(range(3), repeat=3)), dtype=float)
    every_h = np.array(list(itertools.product((0.0, 1.0), repeat=2)))
    picked = np.eye(3)[every_v.astype(int)]
    logs = np.einsum("nis,isj,mj->nm", picked, p["w"], every_h) + every_h @ p["b"]
    logs += np.einsum("nis,is->n", picked, p["a"])[:, None]
    log_p = np.logaddexp.reduce(logs, axis=1) - np.logaddexp.reduce(logs.ravel())
    # Sums of a hundred numbers of size one.
    np.testing.assert_allclose(truth.log_probability(every_v), log_p, rtol=0, atol=1e-12)
    given_h = np.exp(logs - np.logaddexp.reduce(logs, axis=0))
    np.testing.assert_allclose(truth.mean("v", every_h), np.einsum("nm,nis->mis", given_h, picked), rtol=0, atol=1e-12)
    n = 5000
    for drawn in (truth.sample(n, steps=40, seed=1), truth.sample(n, method="exact", seed=1)):
        counts = np.bincount((drawn @ [9, 3, 1]).astype(int), minlength=27)
        expected = n * np.exp(log_p)
        # χ² of 27 cells: mean 26, deviation √52; five deviations.
        assert ((counts - expected) ** 2 / expected).sum() < 26 + 5 * np.sqrt(52)
    x = truth.sample(500, method="exact", seed=2)
    for algorithm in ("cd", "pcd", "exact"):
        rbm = RBM.from_energy(energy, {"v": 3, "h": 2}, seed=1, target="numpy")
        before = rbm.log_likelihood(x)
        rbm.fit(x, algorithm, epochs=10, learning_rate=0.1, seed=1)
        assert rbm.log_likelihood(x) > before + 0.1
    rbm.save(tmp_path / "labels.safetensors")
    np.testing.assert_array_equal(RBM.load(tmp_path / "labels.safetensors").parameters["w"], rbm.parameters["w"])
    with pytest.raises(ModelError, match=r"a must have 3 labels on its axis v\.states\. Got 4"):
        RBM.from_energy(energy, parameters=p | {"a": np.zeros((3, 4))}, target="numpy")
    with pytest.raises(ValueOutsideDomainError, match="potts"):
        rbm.free_energy(np.full((1, 3), 3))


def test_two_layers_with_categorical_units(tmp_path: Path) -> None:
    rbm = RBM(3, 2, "potts(3)", "binary", seed=1, target="numpy")
    assert {name: value.shape for name, value in rbm.parameters.items()} == {"a": (3, 3), "b": (2,), "w": (3, 3, 2)}
    every = np.array(list(itertools.product(range(3), repeat=3)))
    assert np.exp(rbm.log_probability(every)).sum() == pytest.approx(1, abs=1e-12)
    assert rbm.fit(every[:5], "exact", epochs=20).log_likelihood(every[:5]) > -3
    rbm.save(tmp_path / "labels.safetensors")
    np.testing.assert_array_equal(RBM.load(tmp_path / "labels.safetensors").parameters["w"], rbm.parameters["w"])
    with pytest.raises(NotPairwiseError, match="no weights"):
        _ = rbm.weights


def test_units_that_a_linear_field_does_not_serve_are_refused_with_the_reason() -> None:
    energy = Energy.parse("-sum(v[i]*w[i,j]*h[j], i, j)", visible={"v": "von_mises"}, hidden={"h": "binary"})
    with pytest.raises(
        ModelError, match=r"von_mises units of layer v cannot be drawn: .* those are 1, cos\(s\), sin\(s\)"
    ):
        RBM.from_energy(energy, {"v": 3, "h": 2}, target="numpy")


@pytest.mark.parametrize("target", ["numpy", "numba", "array-api"])
def test_a_model_without_parameters_answers_and_has_nothing_to_learn(target: str, tmp_path: Path) -> None:
    energy = Energy.parse("-sum(v[i]*h[j], i, j)/2", visible={"v": "binary"}, hidden={"h": "binary"})
    rbm = RBM.from_energy(energy, {"v": 2, "h": 2}, target=target)
    v = np.array([[1.0, 1.0], [0.0, 1.0]])
    np.testing.assert_allclose(rbm.free_energy(v), [-2 * np.log1p(np.e), -2 * np.log1p(np.exp(0.5))])
    by_hand = np.log(4 + 2 * (1 + np.exp(0.5)) ** 2 + (1 + np.e) ** 2)
    assert rbm.log_partition().value == pytest.approx(by_hand, rel=1e-12)
    assert set(np.unique(rbm.sample(20, 5, seed=0))) == {0.0, 1.0}
    assert rbm.gradient(v).difference == {}
    phase, drawn = rbm.kernels.sized(v=2, h=2).phase_and_sample(v, 0)
    assert phase == {}
    assert drawn.shape == (2, 2)
    with pytest.raises(ModelError, match="the energy has no parameters, so there is nothing to learn"):
        rbm.fit(v)
    rbm.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(RBM.load(tmp_path / "model.npz").free_energy(v), rbm.free_energy(v))
