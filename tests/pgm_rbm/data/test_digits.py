from __future__ import annotations

import zipfile
from importlib.resources import files

import numpy as np
import pytest

from pgm_rbm.data import load_digits
from pgm_rbm.data.digits import HELD_OUT, THRESHOLD, pack


def test_the_split_is_fixed_and_covers_all_rows() -> None:
    digits = load_digits()
    assert digits.train.pixels.shape == (1500, 64)
    assert digits.held_out.pixels.shape == (HELD_OUT, 64)
    assert len(digits.train) + len(digits.held_out) == 1797
    for part in (digits.train, digits.held_out):
        assert part.pixels.dtype == np.float64
        assert part.labels.dtype == np.int64
        assert set(np.unique(part.pixels)) == {0.0, 1.0}
        assert set(np.unique(part.labels)) == set(range(10))
        assert part.grey.shape == part.pixels.shape
        assert set(np.unique(part.grey * 16)) == set(range(17))
        np.testing.assert_array_equal(part.pixels, part.grey * 16 > THRESHOLD)
        assert part.images.shape == (len(part), 8, 8)


def test_the_first_image_is_a_zero() -> None:
    first = load_digits().train
    drawn = "\n".join("".join("#" if pixel else "." for pixel in row) for row in first.images[0])
    assert first.labels[0] == 0
    assert drawn.splitlines() == [
        "...##...",
        "..####..",
        "..#..##.",
        "..#..##.",
        "..#..##.",
        "..#..#..",
        "..#.##..",
        "...##...",
    ]


def test_arrays_are_new_each_time() -> None:
    load_digits().train.pixels[:] = 7.0
    assert load_digits().train.pixels.max() == 1.0


def test_nothing_in_the_file_is_pickled() -> None:
    with files("pgm_rbm.data").joinpath("digits.npz").open("rb") as stream, zipfile.ZipFile(stream) as archive:
        for member in archive.namelist():
            with archive.open(member) as array:
                assert np.lib.format.read_magic(array) == (1, 0)
                _, _, dtype = np.lib.format.read_array_header_1_0(array)
                assert not dtype.hasobject


def test_the_licence_names_source_and_changes() -> None:
    text = files("pgm_rbm.data").joinpath("LICENSE-digits.txt").read_text("utf-8")
    for words in ("Alpaydin", "Kaynak", "CC BY 4.0", "scikit-learn", f"above {THRESHOLD}"):
        assert words in text


@pytest.mark.peer
def test_the_file_is_what_its_source_packs_to() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    source = datasets.load_digits()
    with files("pgm_rbm.data").joinpath("digits.npz").open("rb") as stream, np.load(stream) as stored:
        for name, array in pack(source.data, source.target).items():
            np.testing.assert_array_equal(stored[name], array)
