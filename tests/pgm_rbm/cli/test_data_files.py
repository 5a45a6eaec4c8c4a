"""Data files as people bring them, wrong ones, and outputs that cannot be written."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pgm_rbm.cli.program import left_over, refused, run, text


def trained_on(name: str, *more: Any) -> Any:
    """The number of rows that training saw."""
    return json.loads(run("train", name, "-o", "new", "--hidden", 2, "--epochs", 1, "--force", "--json", *more).stdout)[
        "rows"
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
@pytest.mark.parametrize("header", ["", "{0}p{0}", "numbers"])
def test_csv_files(here: Path, rows: np.ndarray, delimiter: str, header: str) -> None:
    head = delimiter.join(str(k) if header == "numbers" else header.format(k) for k in range(6)) if header else ""
    np.savetxt("data.csv", rows, fmt="%d", delimiter=delimiter, header=head, comments="")
    assert trained_on("data.csv") == 60


def test_csv_files_with_quotes_blank_lines_and_a_byte_order_mark(here: Path, rows: np.ndarray) -> None:
    with open("data.csv", "w", encoding="utf-8-sig", newline="") as stream:
        stream.write("\n")
        csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["one", "two", "three"], *rows[:, :3].tolist()])
        stream.write("\n\n")
    assert trained_on("data.csv") == 60


def test_npz_files(here: Path, rows: np.ndarray) -> None:
    np.savez("one.npz", rows)
    np.savez("two.npz", train=rows, test=rows[:9])
    assert trained_on("one.npz") == 60
    assert trained_on("two.npz", "--array", "test") == 9
    assert "train, test" in refused("train", "two.npz", "-o", "other")
    assert "train, test" in refused("train", "two.npz", "-o", "other", "--array", "rows")


def test_grey_levels_with_a_threshold(here: Path) -> None:
    np.save("grey.npy", np.random.default_rng(0).random((20, 6)))
    assert "--threshold" in refused("train", "grey.npy", "-o", "other")
    assert trained_on("grey.npy", "--threshold", 0.5) == 20


def wrong_value(value: float) -> None:
    array = np.zeros((5, 6))
    array[3, 2] = value
    np.save("bad.npy", array)


def half_a_file() -> None:
    np.save("bad.npy", np.zeros((50, 6)))
    with open("bad.npy", "r+b") as stream:
        stream.truncate(200)


def larger_than_any_memory() -> None:
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**15, 6)}
    with open("bad.npy", "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)


PLACE = "bad.npy, row 3, column 2 (counted from 0)"


BAD_FILES = {
    "no file": (lambda: None, "there is no file bad.npy"),
    "no state": (lambda: wrong_value(5), f"{PLACE}: a binary unit is 0 or 1. Got 5"),
    "NaN": (lambda: wrong_value(np.nan), f"{PLACE}: the value is NaN"),
    "infinity": (lambda: wrong_value(np.inf), "Got inf"),
    "no rows": (lambda: np.save("bad.npy", np.zeros((0, 6))), "(0, 6)"),
    "no columns": (lambda: np.save("bad.npy", np.zeros((6, 0))), "(6, 0)"),
    "one axis": (lambda: np.save("bad.npy", np.zeros(6)), "(6,)"),
    "words": (lambda: np.save("bad.npy", np.array([["a", "b"]])), "<U1"),
    "complex numbers": (lambda: np.save("bad.npy", np.zeros((2, 6), complex)), "complex"),
    "objects": (lambda: np.save("bad.npy", np.array([[{}]]), allow_pickle=True), "never loaded"),
    "no array": (lambda: text("bad.npy", "0,1\n"), "never loaded"),
    "nothing": (lambda: text("bad.npy", ""), "bad.npy"),
    "half a file": (half_a_file, "damaged"),
    "too much": (larger_than_any_memory, "larger than the memory"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_arrays(here: Path, case: Any) -> None:
    make, words = BAD_FILES[case]
    make()
    assert words in refused("train", "bad.npy", "-o", "new")
    assert not (here / "new").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("a,b,c\n", "no rows"),
        ("a,b\n0,1\n0,x\n", "line 3, column 2: expected a number. Got 'x'"),
        ("a,b\n0,1\n\n0,\n", "line 4, column 2: expected a number. Got nothing"),
        ("0,1\n0,1,1\n", "line 2: expected 2 columns. Got 3"),
        ("0,x\n0,1\n", "line 1, column 2"),
        ("a,b\n0,1\n\n1,2\n", "line 4, column 2: a binary unit is 0 or 1. Got 2"),
        ("a,b\n0,1\n1,nan\n", "line 3, column 2: the value is NaN"),
    ],
)
def test_bad_text(here: Path, content: str, words: str) -> None:
    text("bad.csv", content)
    assert words in refused("train", "bad.csv", "-o", "new")


def test_text_in_another_encoding(here: Path) -> None:
    (here / "bad.csv").write_bytes(b"a,b\n\xe9,1\n")
    assert "UTF-8" in refused("train", "bad.csv", "-o", "new")


def test_an_ending_that_says_nothing(here: Path) -> None:
    text("data.xyz", "0 1")
    assert ".npy, .npz or .csv" in refused("train", "data.xyz", "-o", "new")


def test_an_archive_that_is_none(here: Path) -> None:
    text("bad.npz", "PK")
    assert "bad.npz" in refused("train", "bad.npz", "-o", "new")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs permissions that can be taken away")
def test_a_folder_that_cannot_be_written_is_refused_before_work(here: Path) -> None:
    locked = here / "locked"
    locked.mkdir(mode=0o500)
    assert "locked" in refused("train", "data.npy", "-o", "locked/new")


def test_a_disk_that_is_full_is_a_failure(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    message = run("sample", "model.safetensors", "-n", 2, "-o", "s.npy", status=1).stderr
    assert "No space left" in message
    assert not (here / "s.npy").exists()
    assert left_over(here) == []
