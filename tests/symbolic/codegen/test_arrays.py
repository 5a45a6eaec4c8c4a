"""The checks before a kernel runs: a wrong argument gets an error that names it, what it was and what is right."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from symbolic import ArgumentError, SymbolicError
from symbolic.codegen.build import compile_energy, ready_made
from symbolic.energies import pairwise

KERNELS = ready_made("pairwise", target="numpy")
V = np.ones((5, 4))
H = np.ones((5, 3))


def parameters(**changed: Any) -> dict[str, Any]:
    return {"a": np.zeros(4), "b": np.zeros(3), "w": np.zeros((4, 3)), **changed}


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"w": np.zeros((3, 4))}, ArgumentError, r"w must have shape \(n_v, n_h\), and n_v is 4 .*Got shape \(3, 4\)"),
        ({"a": np.zeros((4, 1))}, ArgumentError, r"a must have 1 axes, \(n_v,\)\. Got shape \(4, 1\)"),
        ({"a": [0.0] * 4}, ArgumentError, r"a must be a NumPy array\. Got list; use np\.asarray"),
        ({"b": np.zeros(3, np.float32)}, ArgumentError, r"v is float64 and b is float32.*b\.astype\(np\.float64\)"),
        ({"b": np.zeros(3, int)}, ArgumentError, r"b must hold float32 or float64\. Got int64"),
        (
            {"w": np.zeros((3, 4)).T},
            ArgumentError,
            r"w must be C-contiguous\. Got strides .*np\.ascontiguousarray\(w\)",
        ),
        ({"c": np.zeros(3)}, ArgumentError, r"there is no parameter 'c'; this energy has: a, b, w"),
    ],
)
def test_wrong_parameters(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        KERNELS.mean("h", V, **parameters(**changed))


def test_a_missing_parameter() -> None:
    given = parameters()
    del given["w"]
    with pytest.raises(ArgumentError, match=r"parameter w is missing: pass w=…, an array of shape \(n_v, n_h\)"):
        KERNELS.free_energy(V, **given)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((5, 3)), ArgumentError, r"v must have shape \(rows, 4\)\. Got \(5, 3\)"),
        (np.ones(4), ArgumentError, r"v must have shape \(rows, 4\); use v\[None, :\] for one configuration"),
        (V.astype(bool), ArgumentError, r"v must hold float32 or float64\. Got bool; use v\.astype"),
        (np.ones((10, 4))[::2], ArgumentError, r"v must be C-contiguous"),
        ([[1.0] * 4], ArgumentError, r"v must be a NumPy array\. Got list"),
        ({"h": H}, ArgumentError, r"states of v are needed, as \{layer: array\}\. Got h"),
    ],
)
def test_wrong_states(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        KERNELS.free_energy(x, **parameters())


def test_wrong_rows_and_layers() -> None:
    with pytest.raises(ArgumentError, match=r"h must have as many rows as v, 5\. Got 4"):
        KERNELS.energy(V, H[:4], **parameters())
    with pytest.raises(ArgumentError, match=r"states of v, h are needed.*Got v"):
        KERNELS.energy(V, **parameters())
    with pytest.raises(ArgumentError, match=r"layers v, h\. Got 3 arrays"):
        KERNELS.energy(V, H, H, **parameters())
    with pytest.raises(ArgumentError, match=r"there is no layer 'x'; there are: v, h"):
        KERNELS.mean("x", V, **parameters())
    with pytest.raises(ArgumentError, match=r"of names the layers kept, out of v, h\. Got 'x'"):
        KERNELS.free_energy(V, of="x", **parameters())
    with pytest.raises(ArgumentError, match=r"given which all others can be summed out, one of: h; v\. Got v, h"):
        KERNELS.free_energy({"v": V, "h": H}, of=("v", "h"), **parameters())


def test_layers_are_accepted_by_name() -> None:
    np.testing.assert_array_equal(
        KERNELS.energy(h=H, v=V, **parameters(b=np.arange(3.0))), KERNELS.energy(V, H, **parameters(b=np.arange(3.0)))
    )


def test_wrong_keys_rows_and_weights() -> None:
    with pytest.raises(ArgumentError, match=r"rng as a key must lie between 0 and 2\*\*64 - 1\. Got -1"):
        KERNELS.sample("h", V, -1, **parameters())
    with pytest.raises(ArgumentError, match=r"rng must be a numpy\.random\.Generator or a 64-bit key\. Got str"):
        KERNELS.sample("h", V, "seed", **parameters())  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="first_row must lie between 0"):
        KERNELS.sample("h", V, 1, first_row=2**64 - 2, **parameters())
    with pytest.raises(ArgumentError, match=r"first_row must be a whole number\. Got 0\.5"):
        KERNELS.sample("h", V, 1, first_row=0.5, **parameters())  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"row_weights must have shape \(5,\), one per row\. Got \(4,\)"):
        KERNELS.phase(V, row_weights=np.ones(4), **parameters())
    with pytest.raises(ArgumentError, match=r"row_weights must be an array of dtype float64.*Got float32"):
        KERNELS.phase(V, row_weights=np.ones(5, np.float32), **parameters())


def test_wrong_gradients() -> None:
    with pytest.raises(ArgumentError, match="there is no parameter 'x'; there are: a, b, w"):
        KERNELS.gradient("x", V, V, **parameters())
    with pytest.raises(ArgumentError, match=r"v_model must be an array .* with at least one row"):
        KERNELS.gradient("w", V, V[:0], **parameters())


def test_a_large_ln_z_is_refused() -> None:
    big = {"a": np.zeros(40), "b": np.zeros(3), "w": np.zeros((40, 3))}
    with pytest.raises(SymbolicError, match=r"2\^40 configurations.*smaller layer"):
        KERNELS.log_partition(**big)


def test_unknown_energies_units_and_targets() -> None:
    with pytest.raises(SymbolicError, match="no ready-made energy 'gated'; there are: pairwise, lecture"):
        ready_made("gated")
    with pytest.raises(SymbolicError, match="no unit called 'ternary'"):
        ready_made("pairwise", visible="ternary")
    with pytest.raises(SymbolicError, match="'lecture' has fixed units; leave out hidden='spin'"):
        ready_made("lecture", hidden="spin")
    for build in (lambda: ready_made("pairwise", target="cuda"), lambda: compile_energy(pairwise(), "cuda")):
        with pytest.raises(SymbolicError, match="no target 'cuda'; there are: numba, numpy"):
            build()


def test_kernels_are_made_once_and_pickle() -> None:
    energy = pairwise()
    kernels = compile_energy(energy, "numpy")
    assert compile_energy(pairwise(), "numpy") is kernels
    copy = pickle.loads(pickle.dumps(kernels))
    np.testing.assert_array_equal(copy.mean("h", V, **parameters()), kernels.mean("h", V, **parameters()))
    assert copy.source == kernels.source
    assert copy.path == kernels.path
