from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pgm_rbm.errors import ValueOutsideDomainError
from pgm_rbm.model.checks import checked_dtype, checked_parameters, checked_states
from pgm_rbm.model.kernels import (
    layer_sizes,
    pairwise_kernels,
    parameter_shapes,
    states_of,
)


def test_kernels_are_made_once() -> None:
    assert pairwise_kernels("binary", "binary", "numpy") is pairwise_kernels("binary", "binary", "numpy")


def test_an_unknown_unit_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(ValueError, match=r"'ternary'.*binary"):
        pairwise_kernels("ternary", "binary")


def test_states_come_from_the_table_of_units() -> None:
    assert states_of("binary") == (0.0, 1.0)


def test_shapes_and_sizes_are_each_other_s_inverse() -> None:
    kernels = pairwise_kernels(target="numpy")
    shapes = parameter_shapes(kernels, {"v": 5, "h": 3})
    assert shapes == {"a": (5,), "b": (3,), "w": (5, 3)}
    zeros = {name: np.zeros(shape) for name, shape in shapes.items()}
    assert layer_sizes(kernels, zeros) == {"v": 5, "h": 3}


@pytest.mark.parametrize("value", [np.eye(3, dtype=bool), np.eye(3, dtype=np.uint8), np.eye(3).tolist()])
def test_states_of_any_real_dtype_are_accepted(value: object) -> None:
    states = checked_states(value, "v", "binary", 3, np.float32)  # type: ignore[arg-type]
    assert states.dtype == np.float32
    assert states.flags.c_contiguous
    np.testing.assert_array_equal(states, np.eye(3))


def test_large_data_keep_their_small_dtype() -> None:
    assert checked_states(np.eye(3, dtype=np.uint8), "X", "binary", 3).dtype == np.uint8


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.full((2, 3), 0.5), ValueOutsideDomainError, r"v must hold only .*\{0, 1\}. Got 0.5 at row 0, column 0"),
        (np.array([[0, 1, 0], [0, 2, 0]]), ValueOutsideDomainError, "Got 2 at row 1, column 1"),
        (np.array([[0, 1, np.nan]]), ValueOutsideDomainError, "Got NaN at row 0, column 2"),
        (np.zeros((2, 4)), ValueError, r"v must have 3 columns.*Got shape \(2, 4\)"),
        (np.zeros(3), ValueError, r"v\[None, :\]"),
        (np.zeros((1, 2, 3)), ValueError, r"two axes.*Got an array of shape \(1, 2, 3\)"),
        (np.zeros((0, 3)), ValueError, "at least one row"),
        (np.array([["a", "b", "c"]]), TypeError, "real numbers"),
        (np.zeros((2, 3), complex), TypeError, "complex128"),
    ],
)
def test_bad_states_are_named(value: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        checked_states(value, "v", "binary", 3)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.zeros((2, 3)), ValueError, r"weights must have shape \(3, 2\). Got \(2, 3\)"),
        (np.array([[0, 1], [np.nan, 0], [0, 0]]), ValueError, r"Got nan at \(1, 0\)"),
        (np.array([[0, 1], [0, 0], [0, -np.inf]]), ValueError, r"Got -inf at \(2, 1\)"),
        (np.array([["x", "y"]] * 3), TypeError, "real numbers"),
    ],
)
def test_bad_parameters_are_named(value: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        checked_parameters(value, "weights", (3, 2))


@pytest.mark.parametrize("dtype", [np.float16, int, "nonsense", object])
def test_other_dtypes_are_refused(dtype: object) -> None:
    with pytest.raises(ValueError, match="dtype must be float32 or float64"):
        checked_dtype(dtype)  # type: ignore[arg-type]


def test_importing_the_package_and_the_model_loads_no_algebra_and_no_compiler() -> None:
    program = (
        "import sys, pgm_rbm; from pgm_rbm import RBM; "
        "print([name for name in ('sympy', 'numba', 'matplotlib', 'pgmpy', 'networkx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
