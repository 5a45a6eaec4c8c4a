from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from pgm_rbm import RBM, plots
from pgm_rbm.data import load_digits
from pgm_rbm.learning.cd_bias import contrastive_divergence_bias
from tests.pgm_rbm import naive

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def trained() -> RBM:
    rbm = RBM(64, 5, seed=0)
    rows = load_digits().train.pixels[:100]
    return rbm.fit(rows, epochs=3, held_out=rows[:10], learning_rate=0.1)


def drawn(figure: Figure) -> np.ndarray:
    """The pixels of a figure as red, green and blue from 0 to 255."""
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def only_image(figure: Figure) -> np.ndarray:
    (image,) = (image for axes in figure.axes for image in axes.images)
    return np.ma.filled(image.get_array(), np.nan)


def test_each_hidden_unit_is_an_image_of_its_weights(trained: RBM) -> None:
    figure = plots.weight_images(trained, columns=3)
    mosaic = only_image(figure)
    assert mosaic.shape == (2 * 9 + 1, 3 * 9 + 1)
    np.testing.assert_array_equal(mosaic[1:9, 1:9], trained.weights[:, 0].reshape(8, 8))
    np.testing.assert_array_equal(mosaic[10:18, 10:18], trained.weights[:, 4].reshape(8, 8))
    assert np.isnan(mosaic[10:18, 19:27]).all()


def test_the_scale_of_the_weights_is_symmetric_and_monotone_in_grey(trained: RBM) -> None:
    (image,) = (image for axes in plots.weight_images(trained).axes for image in axes.images)
    low, high = image.get_clim()
    assert low == -high
    colours = image.get_cmap()(np.linspace(0, 1, 64))[:, :3]
    # Rec. 709 luma: how light a colour prints in grey.
    assert (np.diff(colours @ [0.2126, 0.7152, 0.0722]) > 0).all()


def test_images_stand_in_reading_order_and_need_not_be_square() -> None:
    rows = np.arange(12).reshape(2, 6) % 2
    mosaic = only_image(plots.image_grid(rows, shape=(2, 3), columns=1, title="two"))
    assert mosaic.shape == (2 * 3 + 1, 4 + 1)
    np.testing.assert_array_equal(mosaic[1:3, 1:4], rows[0].reshape(2, 3))
    np.testing.assert_array_equal(mosaic[4:6, 1:4], rows[1].reshape(2, 3))


def test_ones_are_drawn_dark() -> None:
    pixels = drawn(plots.image_grid([[1, 0, 0, 0]], columns=1))
    assert pixels.min() < 10
    blank = drawn(plots.image_grid([[0, 0, 0, 0]], columns=1, title=""))
    # With nothing on, all that is left is white and the light gap between images.
    assert blank.min() > 200


def test_the_curve_shows_what_was_measured(trained: RBM) -> None:
    (axes,) = plots.training_curve(trained.history).axes
    lines = {
        str(line.get_label()).split(",")[0]: line for line in axes.lines if not str(line.get_label()).startswith("_")
    }
    np.testing.assert_array_equal(lines["training rows"].get_ydata(), trained.history["log_likelihood"])
    np.testing.assert_array_equal(lines["held-out rows"].get_ydata(), trained.history["held_out_log_likelihood"])
    assert "exact" in axes.get_title(loc="left")
    assert lines["training rows"].get_linestyle() != lines["held-out rows"].get_linestyle()


def test_the_curve_of_a_pseudo_likelihood_says_so() -> None:
    rbm = RBM(4, 2, seed=0).fit(np.eye(4), epochs=2, monitor="pseudo")
    (axes,) = plots.training_curve(rbm.history).axes
    assert "estimate" in axes.get_title(loc="left")


def test_the_bias_of_cd_is_drawn_parameter_by_parameter() -> None:
    rbm = RBM.from_parameters(*naive.random_parameters(4, 3, seed=1))
    x = np.eye(4)
    biases = [contrastive_divergence_bias(rbm, x, k) for k in (10, 1, 3)]
    updates, decay = plots.cd_bias(biases).axes
    points = {one.get_label(): one.get_offsets() for one in updates.collections}
    one = biases[1]
    for label, name in (("weights", "w"), ("visible biases", "a"), ("hidden biases", "b")):
        np.testing.assert_array_equal(points[label][:, 0], one.gradient[name].ravel())
        np.testing.assert_array_equal(points[label][:, 1], one.expected_update[name].ravel())
    assert "CD-1" in updates.get_title(loc="left")
    size, angle = decay.lines
    np.testing.assert_array_equal(size.get_xdata(), [1, 3, 10])
    np.testing.assert_array_equal(size.get_ydata(), [biases[k].relative_size for k in (1, 2, 0)])
    np.testing.assert_array_equal(angle.get_ydata(), [biases[k].angle for k in (1, 2, 0)])
    for wrong in ([], [one, one]):
        with pytest.raises(ValueError, match="different k"):
            plots.cd_bias(wrong)
    for wrong, got in ((None, "a NoneType"), (one, "a CDBias"), ([one, 3], "a list of CDBias and int")):
        with pytest.raises(TypeError, match=rf"biases must be a list of results of .* Got {got}\.$"):
            plots.cd_bias(wrong)


def test_a_history_without_measures_is_refused() -> None:
    rbm = RBM(4, 2, seed=0)
    for history in (rbm.history, rbm.fit(np.eye(4), epochs=1, monitor="none").history):
        with pytest.raises(ValueError, match="history holds no measure"):
            plots.training_curve(history)


def test_the_overview_starts_the_curve_before_training(trained: RBM) -> None:
    rows = load_digits().train.pixels[:20]
    figure = plots.overview(trained, rows, rows, title="all", start=(-44.0, -43.0))
    (line,) = (line for axes in figure.axes for line in axes.lines if str(line.get_label()).startswith("training rows"))
    assert line.get_xdata()[0] == 0
    assert line.get_ydata()[0] == -44.0
    assert sum(len(axes.images) for axes in figure.axes) == 3


@pytest.mark.parametrize(("shape", "words"), [((3, 5), "64 units"), ((8, 0), "64 units"), ((-8, -8), "64 units")])
def test_shapes_that_do_not_fit_are_refused(trained: RBM, shape: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plots.weight_images(trained, shape=shape)


def test_layers_that_make_no_square_ask_for_a_shape() -> None:
    with pytest.raises(ValueError, match=r"shape=\(height, width\)"):
        plots.weight_images(RBM(6, 2, seed=0))


@pytest.mark.parametrize("rows", [np.zeros(4), np.zeros((0, 4)), np.zeros((4, 0))])
def test_rows_that_are_no_table_are_refused(rows: Any) -> None:
    with pytest.raises(ValueError, match="rows must have two axes"):
        plots.image_grid(rows)


def test_write_is_whole_or_nothing(trained: RBM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = plots.weight_images(trained)
    plots.write(figure, tmp_path / "weights.png", dpi=40)
    assert (tmp_path / "weights.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"\.png"):
        plots.write(figure, tmp_path / "weights.word")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="full"):
        plots.write(figure, tmp_path / "other.png")
    assert [one.name for one in tmp_path.iterdir()] == ["weights.png"]


def test_no_window_and_no_global_state(trained: RBM) -> None:
    plots.weight_images(trained)
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_without_matplotlib_the_message_says_what_to_install(trained: RBM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(plots.MissingMatplotlibError, match=r"pip install 'pgm-rbm\[plot\]'"):
        plots.weight_images(trained)
