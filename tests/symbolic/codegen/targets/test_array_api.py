"""The target ``array-api``: the same kernels on NumPy, PyTorch and strictly standard arrays, none converted."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from symbolic import ArgumentError, Energy
from symbolic.codegen.build import Kernels, compile_energy, ready_made
from symbolic.codegen.runtime import array_api, numpy, streams
from symbolic.energies import pairwise

LIBRARIES = [
    pytest.param("numpy", id="numpy"),
    pytest.param("array_api_strict", id="strict", marks=pytest.mark.peer),
    pytest.param("torch", id="torch", marks=pytest.mark.peer),
    pytest.param("cuda", id="torch on a GPU", marks=pytest.mark.peer),
    pytest.param("cupy", id="cupy", marks=pytest.mark.peer),
]
SIZES = {"x": 2, "v": 4, "h": 3, "g": 2}
ENERGIES: dict[str, Callable[[], Energy]] = {
    "pairwise": lambda: pairwise("spin", "binary"),
    "third order": lambda: Energy.parse(
        "-sum(G[k,i,j]*x[k]*v[i]*h[j], k, i, j) - sum(b[j]*h[j], j)",
        visible={"x": "binary", "v": "spin"},
        hidden={"h": "binary"},
    ),
    "squared": lambda: Energy.parse(
        "sum(h[j]*sum(w[i,j]*v[i], i)**2, j)/2 - sum(b[j]*h[j], j)", visible={"v": "spin"}, hidden={"h": "binary"}
    ),
    "deep": lambda: Energy.parse(
        "-sum(v[i]*w[i,j]*h[j], i, j) - s*sum(h[j]*u[j,l]*g[l], j, l) - v[0]*exp(s)",
        visible={"v": "binary"},
        hidden={"h": "binary", "g": "spin"},
        parameters={"s": ()},
    ),
    "diagonal": lambda: Energy.parse(
        "-sum(J[i,i]*v[i], i) - sum(v[i]*w[i,j]*h[j], i, j)",
        visible={"v": "binary"},
        hidden={"h": "binary"},
        parameters={"J": ("v", "v"), "w": ("v", "h")},
    ),
}


def library(name: str) -> Any:
    """What has the ``asarray`` of a library, on the device wanted; the test is skipped where there is none."""
    if name != "cuda":
        return pytest.importorskip(name)
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU")
    return SimpleNamespace(asarray=partial(torch.asarray, device="cuda"))


def to_numpy(array: Any) -> np.ndarray:
    if hasattr(array, "detach"):
        return array.detach().cpu().numpy()
    return array.get() if type(array).__module__.startswith("cupy") else np.asarray(array)


def data(kernels: Kernels, dtype: type, rows: int = 5) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """States and parameters."""
    rng = np.random.default_rng(3)
    states = {
        name: rng.choice({"binary": (0, 1), "spin": (-1, 1)}[unit], (rows, SIZES[name])).astype(dtype)
        for name, unit in kernels.layers.items()
    }
    parameters = {
        name: np.asarray(rng.normal(size=tuple(SIZES[layer] for layer in layers)), dtype)
        for name, layers in kernels.parameters.items()
    }
    return states, parameters


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("energy", ENERGIES)
@pytest.mark.parametrize("name", LIBRARIES)
def test_all_libraries_agree_with_the_numpy_target(name: str, energy: str, dtype: type) -> None:
    xp = library(name)
    reference, kernels = (compile_energy(ENERGIES[energy](), target) for target in ("numpy", "array-api"))
    states, parameters = data(reference, dtype)
    foreign, theirs = ({key: xp.asarray(x) for key, x in group.items()} for group in (states, parameters))
    kind = type(next(iter(theirs.values())))
    # The libraries round exp and sums in other ways: some units in the last place of numbers below 100.
    close: dict[str, Any] = {"rtol": 50 * np.finfo(dtype).eps, "atol": 200 * np.finfo(dtype).eps}

    def compare(actual: Any, expected: Any) -> None:
        # NumPy's own sums over all axes are scalars, which behave as arrays do.
        assert isinstance(actual, kind) or (xp is np and isinstance(actual, np.generic))
        assert to_numpy(actual).dtype == dtype
        np.testing.assert_allclose(to_numpy(actual), expected, **close)

    compare(kernels.energy(**foreign, **theirs), reference.energy(**states, **parameters))
    assert kernels.log_partition(**theirs) == pytest.approx(reference.log_partition(**parameters), rel=1e-6)
    sources = reference.source, kernels.source
    assert all(f"def {line.split('(')[0]}(" in sources[1] for line in sources[0].split("\ndef ")[1:])
    summable = [layer for layer in reference.layers if reference.methods.get(f"mean_of_{layer}") == "closed form"]
    for tied in set(reference.layers) - set(summable):
        compare(kernels.mean(tied, foreign, **theirs), reference.mean(tied, states, **parameters))
        drawn = reference.sample(tied, states, 7, first_row=3, **parameters)
        compare(kernels.sample(tied, foreign, 7, first_row=3, **theirs), drawn)
    for summed in summable:
        given = tuple(layer for layer in reference.layers if layer != summed)
        x, y = ({layer: group[layer] for layer in given} for group in (states, foreign))
        if f"free_energy_of_{'_'.join(given)}" in reference.methods:
            compare(kernels.free_energy(y, of=given, **theirs), reference.free_energy(x, of=given, **parameters))
        compare(kernels.mean(summed, y, **theirs), reference.mean(summed, x, **parameters))
        drawn = kernels.sample(summed, y, 7, first_row=3, **theirs)
        compare(drawn, reference.sample(summed, x, 7, first_row=3, **parameters))
        if f"def phase_of_{'_'.join(given)}(" not in sources[0]:
            continue
        weights = np.linspace(-1, 1, 5).astype(dtype)
        phase, both = kernels.phase_and_sample(y, 7, of=given, first_row=3, row_weights=xp.asarray(weights), **theirs)
        np.testing.assert_array_equal(to_numpy(both), to_numpy(drawn))
        expected = reference.phase(x, of=given, row_weights=weights, **parameters)
        alone = kernels.phase(y, of=given, row_weights=xp.asarray(weights), **theirs)
        for parameter, value in expected.items():
            compare(phase[parameter], value)
            compare(alone[parameter], value)
        if given == reference.visible:
            for parameter in parameters:
                compare(
                    kernels.gradient(parameter, y, {key: rows[:2, :] for key, rows in y.items()}, **theirs),
                    reference.gradient(parameter, x, {key: rows[:2] for key, rows in x.items()}, **parameters),
                )


@pytest.mark.parametrize("name", LIBRARIES)
def test_draws_are_those_of_the_numpy_target_or_of_given_numbers(name: str) -> None:
    xp = library(name)
    reference, kernels = (ready_made("pairwise", hidden="spin", target=target) for target in ("numpy", "array-api"))
    rng = np.random.default_rng(0)
    parameters = {"a": np.zeros(4), "b": rng.normal(size=60), "w": rng.normal(size=(4, 60))}
    v = rng.integers(0, 2, (300, 4)).astype(float)
    theirs = {key: xp.asarray(value) for key, value in parameters.items()}
    drawn = kernels.sample("h", xp.asarray(v), np.random.default_rng(5), **theirs)
    expected = reference.sample("h", v, np.random.default_rng(5), **parameters)
    # The bits are the same; means may differ in the last bit, which decides one state in 10^15.
    np.testing.assert_array_equal(to_numpy(drawn), expected)
    numbers = rng.random((300, 60))
    mean = reference.mean("h", v, **parameters)
    given = kernels.sample("h", xp.asarray(v), xp.asarray(numbers), **theirs)
    np.testing.assert_array_equal(to_numpy(given), np.where(2 * numbers - 1 < mean, 1, -1))


@pytest.mark.peer
def test_pytorch_differentiates_the_free_energy_into_the_phase() -> None:
    torch = library("torch")
    kernels = ready_made("pairwise", visible="spin", target="array-api")
    states, parameters = data(kernels, np.float64)
    tensors = {name: torch.asarray(value).requires_grad_() for name, value in parameters.items()}
    v = torch.asarray(states["v"])
    kernels.free_energy(v, **tensors).sum().backward()
    phase: dict[str, Any] = kernels.phase(v, **tensors)
    for name, value in phase.items():
        # −∂F/∂θ = ⟨−∂E/∂θ⟩, by two ways of differentiating.
        np.testing.assert_allclose(-tensors[name].grad.numpy(), value.detach().numpy(), rtol=1e-13, atol=1e-13)


@pytest.mark.peer
def test_any_layout_in_memory_will_do() -> None:
    torch = library("torch")
    kernels = ready_made("pairwise", target="array-api")
    states, parameters = data(kernels, np.float64)
    w = torch.asarray(parameters["w"].T.copy()).T
    assert not w.is_contiguous()
    tensors = {name: torch.asarray(value) for name, value in parameters.items()}
    one = kernels.mean("h", torch.asarray(states["v"]), **tensors)
    assert torch.equal(kernels.mean("h", torch.asarray(states["v"]), **{**tensors, "w": w}), one)


# Refusals


def test_arrays_of_nothing_and_of_other_dtypes_are_refused() -> None:
    kernels = ready_made("pairwise", target="array-api")
    v = np.ones((2, 4))
    zeros = {"a": np.zeros(4), "b": np.zeros(3), "w": np.zeros((4, 3))}
    with pytest.raises(ArgumentError, match=r"a: arguments must be arrays of a library .* Got list"):
        kernels.mean("h", v, **{**zeros, "a": [0.0] * 4})  # type: ignore[dict-item]
    with pytest.raises(ArgumentError, match=r"b must hold float32 or float64\. Got int64"):
        kernels.mean("h", v, **{**zeros, "b": np.zeros(3, int)})
    with pytest.raises(ArgumentError, match="v is float64 and w is float32"):
        kernels.mean("h", v, **{**zeros, "w": np.zeros((4, 3), np.float32)})
    with pytest.raises(ArgumentError, match=r"w must have shape \(n_v, n_h\), and n_v is 4"):
        kernels.mean("h", v, **{**zeros, "w": np.zeros((5, 3))})
    with pytest.raises(ArgumentError, match=r"rng must have shape \(2, 3\), one number per unit. Got \(2, 4\)"):
        kernels.sample("h", v, np.ones((2, 4)), **zeros)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"the states is float64 and row_weights is float32"):
        kernels.phase(v, row_weights=np.ones(2, np.float32), **zeros)
    with pytest.raises(ArgumentError, match=r"rng must be a numpy.random.Generator or a 64-bit key"):
        kernels.sample("h", v, "seed", **zeros)  # type: ignore[arg-type]


@pytest.mark.peer
def test_libraries_and_devices_are_not_mixed() -> None:
    torch = library("torch")
    kernels = ready_made("pairwise", target="array-api")
    v = torch.ones((2, 4), dtype=torch.float64)
    zeros = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in {"a": 4, "b": 3, "w": (4, 3)}.items()}
    with pytest.raises(ArgumentError, match=r"v is a torch.Tensor and b a numpy.ndarray. Convert one"):
        kernels.mean("h", v, **{**zeros, "b": np.zeros(3)})
    with pytest.raises(ArgumentError, match=r"v is on cpu and w on meta\. Move one"):
        kernels.mean("h", v, **{**zeros, "w": zeros["w"].to("meta")})
    with pytest.raises(ArgumentError, match=r"must be a NumPy array. Got Tensor; .*\"array-api\""):
        ready_made("pairwise", target="numpy").mean("h", v, **zeros)


# What generated modules call


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize(
    "subscripts", ["ab,bc->ac", "ab,acd->bcd", "abc,dab->dc", "ab,ab->a", "abc,b->a", "ab,cd->acbd", "abc,abd->acd"]
)
def test_einsum(name: str, subscripts: str) -> None:
    xp = library(name)
    size = dict(zip("abcd", (2, 3, 4, 5), strict=True))
    rng = np.random.default_rng(1)
    left, right = (rng.normal(size=[size[letter] for letter in part]) for part in subscripts.split("->")[0].split(","))
    result = array_api.einsum(subscripts, xp.asarray(left), xp.asarray(right))
    np.testing.assert_allclose(to_numpy(result), np.einsum(subscripts, left, right), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LIBRARIES)
def test_stable_functions_are_those_of_numpy(name: str, dtype: type) -> None:
    xp = library(name)
    x = np.array([-np.inf, -4e7, -90, -1, -1e-9, 0, 1e-9, 1, 90, 4e7, np.inf, np.nan], dtype)
    for function in ("softplus", "sigmoid", "log2cosh"):
        value = to_numpy(getattr(array_api, function)(xp.asarray(x)))
        expected = getattr(numpy, function)(x)
        assert value.dtype == dtype
        # Another library's exp and log1p may differ by some units in the last place.
        np.testing.assert_allclose(value, expected, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize("name", LIBRARIES)
def test_log_sum_exp_over_blocks(name: str) -> None:
    xp = library(name)
    x = np.random.default_rng(1).normal(size=1000) * 300 + 5000
    ours, theirs = streams.LogSumExp(), array_api.LogSumExp()
    for piece in np.array_split(x, 7):
        ours.add(piece)
        theirs.add(xp.asarray(piece))
    assert theirs.value == pytest.approx(ours.value, rel=1e-14)
    empty = array_api.LogSumExp()
    empty.add(xp.asarray(np.array([-math.inf])))
    assert empty.value == -math.inf


def test_the_generated_module_imports_no_array_library() -> None:
    source = ready_made("pairwise", target="array-api").source
    assert "numpy" not in source.lower()
    assert "xp = namespace(" in source
    assert importlib.import_module("symbolic.codegen.runtime.array_api").namespace(np.zeros(1)).sum is np.sum
