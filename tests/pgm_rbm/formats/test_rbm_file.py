from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pgm_rbm import RBM
from pgm_rbm.formats import model_file
from pgm_rbm.formats.model_file import ModelFileError

ARRAYS = {"one": np.arange(6.0).reshape(2, 3), "two": np.array([True, False])}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_what_is_written_is_read(path: Path) -> None:
    model_file.write(path, "rbm", {"seed": 2**64 - 1, "name": "naïve"}, ARRAYS)
    header, arrays = model_file.read(path, "rbm")
    assert header == {"version": model_file.VERSION, "kind": "rbm", "seed": 2**64 - 1, "name": "naïve"}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_arrays_in_another_memory_order_keep_their_values(path: Path) -> None:
    model_file.write(path, "rbm", {}, {"w": np.arange(6.0).reshape(2, 3).T})
    np.testing.assert_array_equal(model_file.read(path, "rbm")[1]["w"], np.arange(6.0).reshape(2, 3).T)


def test_nothing_is_left_of_a_write_that_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_file.write(path, "rbm", {"seed": 1}, ARRAYS)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=f"{path} cannot be written: disk full"):
        model_file.write(path, "rbm", {"seed": 2}, ARRAYS)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_header_that_json_cannot_hold_leaves_nothing(path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        model_file.write(path, "rbm", {"value": float("nan")}, ARRAYS)
    assert os.listdir(path.parent) == []


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing"):
        model_file.write(tmp_path / "missing" / "model", "rbm", {}, ARRAYS)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        model_file.write(tmp_path, "rbm", {}, ARRAYS)


def test_a_pipe_or_a_device_is_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="is a device or a pipe"):
        model_file.write(pipe, "rbm", {}, ARRAYS)
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_file_keeps_its_permissions_and_a_link_its_target(path: Path, tmp_path: Path) -> None:
    model_file.write(path, "rbm", {"seed": 1}, ARRAYS)
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    model_file.write(link, "rbm", {"seed": 2}, ARRAYS)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert model_file.read(path, "rbm")[0]["seed"] == 2


def test_a_new_file_has_the_permissions_of_any_new_file(path: Path) -> None:
    model_file.write(path, "rbm", {}, ARRAYS)
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        model_file.read(path, "rbm")


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 60, -1])
def test_a_truncated_file_is_refused(path: Path, kept: int) -> None:
    model_file.write(path, "rbm", {}, ARRAYS)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelFileError, match=r"model\.safetensors is damaged or not a model file"):
        model_file.read(path, "rbm")


def test_a_changed_byte_is_noticed(path: Path) -> None:
    model_file.write(path, "rbm", {}, ARRAYS)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="damaged: its arrays differ from those that were written"):
        model_file.read(path, "rbm")


@pytest.mark.parametrize("content", [b"\x80\x04\x95 pickle", b"PK\x03\x04" + bytes(100), b"\xff" * 64, b"hello" * 20])
def test_a_foreign_file_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a model file"):
        model_file.read(path, "rbm")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is a folder"):
        model_file.read(tmp_path, "rbm")


def test_arrays_of_another_program_are_refused(path: Path) -> None:
    save_file({"layer.weight": np.zeros((2, 2))}, path)
    with pytest.raises(ModelFileError, match=r"not a model of this library.*RBM\.from_parameters"):
        model_file.read(path, "rbm")


@pytest.mark.parametrize("version", [0, model_file.VERSION + 1, "2", None])
def test_another_version_is_refused(path: Path, version: object) -> None:
    save_file(ARRAYS, path, {"pgm_rbm": json.dumps({"version": version, "kind": "rbm"})})
    with pytest.raises(ModelFileError, match=rf"version {version!r}; this library reads versions 1 to"):
        model_file.read(path, "rbm")


def test_another_kind_is_refused(path: Path) -> None:
    model_file.write(path, "graph", {}, ARRAYS)
    with pytest.raises(ModelFileError, match="kind 'graph'; this reads 'rbm'"):
        model_file.read(path, "rbm")


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", '{"version": 1}'])
def test_a_broken_header_is_refused(path: Path, text: str) -> None:
    save_file(ARRAYS, path, {"pgm_rbm": text})
    with pytest.raises(ModelFileError, match="header cannot be read"):
        model_file.read(path, "rbm")


def test_a_model_comes_back_whole(path: Path) -> None:
    rbm = RBM(5, 3, seed=4, dtype=np.float32, target="numpy")
    rbm.fit(np.eye(5), epochs=2, optimizer="adam")
    rbm.save(path)
    back = RBM.load(path)
    assert repr(back) == repr(rbm)
    assert back.kernels is rbm.kernels
    assert back.history == rbm.history
    for name, value in rbm.parameters.items():
        np.testing.assert_array_equal(back.parameters[name], value)
        assert back.parameters[name].dtype == np.float32


def test_a_mask_comes_back(path: Path) -> None:
    mask = np.eye(4, dtype=bool)
    RBM.from_parameters(np.eye(4), np.zeros(4), np.zeros(4), mask=mask).save(path)
    np.testing.assert_array_equal(RBM.load(path).mask, mask)


@pytest.mark.parametrize(
    "change",
    [
        {"parameters.a": np.zeros(9)},
        {"parameters.w": np.full((5, 3), np.nan)},
        {"parameters.w": np.zeros(3)},
        {"parameters.w": np.zeros((5, 3), dtype=np.int64)},
        {"mask": np.zeros((2, 2), dtype=bool)},
    ],
)
def test_parts_that_do_not_fit_are_refused(path: Path, change: dict[str, np.ndarray]) -> None:
    RBM(5, 3, seed=4).save(path)
    header, arrays = model_file.read(path, "rbm")
    model_file.write(path, "rbm", header, arrays | change)
    with pytest.raises(ModelFileError, match="parts do not fit"):
        RBM.load(path)


def test_a_missing_part_is_refused(path: Path) -> None:
    RBM(5, 3, seed=4).save(path)
    header, arrays = model_file.read(path, "rbm")
    del arrays["parameters.b"]
    model_file.write(path, "rbm", header, arrays)
    with pytest.raises(ModelFileError, match="parts do not fit"):
        RBM.load(path)


def test_chains_that_do_not_fit_are_refused(path: Path) -> None:
    RBM(5, 3, seed=4).fit(np.eye(5), epochs=1).save(path)
    header, arrays = model_file.read(path, "rbm")
    arrays["training.chains.visible"] = np.zeros((2, 4))
    model_file.write(path, "rbm", header, arrays)
    with pytest.raises(ModelFileError, match="parts do not fit"):
        RBM.load(path)


def test_a_model_that_cannot_be_written_leaves_the_old_file(path: Path) -> None:
    rbm = RBM(5, 3, seed=4)
    rbm.save(path)
    before = path.read_bytes()
    rbm.weights[0, 0] = np.nan
    with pytest.raises(ValueError, match="w must be finite"):
        rbm.save(path)
    assert path.read_bytes() == before
