"""Pictures of a model: its weights, data and samples as images, the course of its training, and the bias of CD.

Every function returns a `matplotlib.figure.Figure` that belongs to no window and to no global state; `write` puts one
in a file. Matplotlib comes with the extra ``plot`` and is imported when a picture is asked for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import MissingMatplotlibError
from pgm_rbm.learning.cd_bias import CDBias
from pgm_rbm.machine.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pgm_rbm.learning.history import History
    from pgm_rbm.rbm import RBM

__all__ = [
    "MissingMatplotlibError",
    "cd_bias",
    "image_grid",
    "overview",
    "training_curve",
    "weight_images",
    "write",
]

Shape = tuple[int, int]
_Column = npt.NDArray[np.float64]

# Lightness rises from one end of this map to the other, so signs can be told apart in print without colour.
_WEIGHTS = "cividis"
_INK = "gray_r"
_TRAIN, _HELD_OUT = "#1A5A96", "#A8361F"
_MEASURES = {
    "log_likelihood": ("held_out_log_likelihood", "mean ln p(v), nats (exact)"),
    "pseudo_log_likelihood": ("held_out_pseudo_log_likelihood", "pseudo-likelihood, nats (estimate)"),
}


def weight_images(rbm: RBM, shape: Shape | None = None, columns: int | None = None) -> Figure:
    """Draw the weights of each hidden unit as an image of the visible layer, all on one scale around zero.

    Args:
        rbm: the model.
        shape: (height, width) of the visible layer as an image; square by default.
        columns: images per row; by default, as many as make the grid about square.

    Raises:
        MissingMatplotlibError: matplotlib is not installed.
        ValueError: the visible layer cannot be such an image.
    """
    figure = _figure(6.4, 6.0)
    _draw_weights(figure, figure.add_subplot(), rbm, shape, columns)
    return figure


def image_grid(rows: npt.ArrayLike, shape: Shape | None = None, columns: int | None = None, title: str = "") -> Figure:
    """Draw visible states as images in a grid, 0 white and 1 black.

    Args:
        rows: states, shape (n, n_visible).
        shape: (height, width) of one image; square by default.
        columns: images per row; by default, as many as make the grid about square.
        title: set above the grid.

    Raises:
        MissingMatplotlibError: matplotlib is not installed.
        ValueError: ``rows`` does not have two axes or holds no rows, or its rows cannot be such images.
    """
    figure = _figure(6.0, 6.0)
    _draw_images(figure.add_subplot(), rows, shape, columns, title)
    return figure


def training_curve(history: History) -> Figure:
    """Draw the measures of each epoch of training, on training and held-out rows.

    Args:
        history: of a model that has been trained, `RBM.history`.

    Raises:
        MissingMatplotlibError: matplotlib is not installed.
        ValueError: nothing was measured.
    """
    figure = _figure(6.4, 4.0)
    _draw_curve(figure.add_subplot(), history, None)
    return figure


def cd_bias(biases: Sequence[CDBias]) -> Figure:
    """Draw the expected update of CD-k against the exact gradient, parameter by parameter, and its bias as k grows.

    Args:
        biases: results of `learning.cd_bias.contrastive_divergence_bias` for one model and one batch, at several k.

    Raises:
        MissingMatplotlibError: matplotlib is not installed.
        TypeError: ``biases`` is not a list of these.
        ValueError: the list is empty, or two results have the same k.
    """
    if not isinstance(biases, Sequence) or not all(isinstance(one, CDBias) for one in biases):
        others = f"a {type(biases).__name__}"
        if isinstance(biases, Sequence):
            others += " of " + " and ".join(sorted({type(one).__name__ for one in biases}))
        raise TypeError(
            f"biases must be a list of results of contrastive_divergence_bias, one for each k. Got {others}."
        )
    found = sorted(biases, key=lambda one: one.k)
    sweeps = [one.k for one in found]
    if not found or len(set(sweeps)) < len(sweeps):
        raise ValueError(f"biases must have one or more different k. Got {sweeps}.")
    figure = _figure(10.0, 4.6)
    left, right = figure.subplots(1, 2)
    _draw_updates(left, found[0])
    _draw_decay(right, found)
    return figure


def overview(
    rbm: RBM,
    data: npt.ArrayLike,
    samples: npt.ArrayLike,
    shape: Shape | None = None,
    columns: int = 10,
    title: str = "",
    start: tuple[float, float] | None = None,
) -> Figure:
    """Draw one page on a trained model: its weights, its training curve, and its samples beside the data.

    Args:
        rbm: a model that has been trained.
        data: some rows it was trained on, shape (n, n_visible).
        samples: as many rows drawn from it.
        shape: (height, width) of the visible layer as an image; square by default.
        columns: images per row of data or samples.
        title: set above all of it.
        start: the measure before training on (training rows, held-out rows), drawn as epoch 0.

    Raises:
        MissingMatplotlibError: matplotlib is not installed.
        ValueError: nothing was measured in training, or rows cannot be such images.
    """
    figure = _figure(10.0, 8.4)
    if title:
        figure.suptitle(title, fontsize=13, fontweight="bold")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.9, 1.0))
    _draw_weights(figure, figure.add_subplot(grid[0, 0]), rbm, shape, None)
    _draw_curve(figure.add_subplot(grid[0, 1]), rbm.history, start)
    _draw_images(figure.add_subplot(grid[1, 0]), data, shape, columns, "data")
    _draw_images(figure.add_subplot(grid[1, 1]), samples, shape, columns, "samples from the model")
    return figure


def write(figure: Figure, path: str | os.PathLike[str], dpi: int = 150) -> None:
    """Write a figure to a file, whole or not at all, in the format that the ending names (.png, .pdf, .svg).

    Raises:
        ValueError: matplotlib does not know the ending.
        OSError: the file cannot be written; the message names it.
    """
    path = Path(path)
    kind = path.suffix.removeprefix(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise ValueError(f"path must end in one of {', '.join(f'.{one}' for one in sorted(known))}. Got {path.name!r}.")
    with replacing(path) as whole:
        figure.savefig(whole, dpi=dpi, format=kind)


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise MissingMatplotlibError(
            "pictures need matplotlib, which is not installed. Run: pip install 'pgm-rbm[plot]'"
        ) from error
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
    FigureCanvasAgg(figure)
    return figure


def _image_shape(units: int, shape: Shape | None) -> Shape:
    if shape is None:
        side = math.isqrt(units)
        if side * side != units:
            raise ValueError(f"{units} units do not make a square image. Pass shape=(height, width).")
        return side, side
    height, width = shape
    if height < 1 or width < 1 or height * width != units:
        raise ValueError(f"shape must be (height, width) with height × width = {units} units. Got {shape}.")
    return height, width


def _mosaic(images: npt.NDArray[Any], shape: Shape, columns: int | None) -> npt.NDArray[np.float64]:
    """Return images side by side with gaps of one pixel, NaN in the gaps and where the last row has no image."""
    height, width = shape
    count = len(images)
    across = min(columns or math.ceil(math.sqrt(count)), count)
    down = -(-count // across)
    canvas = np.full((down * (height + 1) + 1, across * (width + 1) + 1), np.nan)
    for place, image in enumerate(images.reshape(-1, height, width)):
        top, left = 1 + place // across * (height + 1), 1 + place % across * (width + 1)
        canvas[top : top + height, left : left + width] = image
    return canvas


def _colours(name: str, gap: str) -> Any:
    from matplotlib import colormaps

    return colormaps[name].with_extremes(bad=gap)


def _bare(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def _draw_weights(figure: Figure, axes: Axes, rbm: RBM, shape: Shape | None, columns: int | None) -> None:
    canvas = _mosaic(rbm.weights.T, _image_shape(rbm.n_visible, shape), columns)
    # A few large weights would leave all others grey, so the scale ends where one in a hundred lies beyond it.
    bound = float(np.quantile(np.abs(rbm.weights), 0.99)) or 1.0
    drawn = axes.imshow(
        canvas, cmap=_colours(_WEIGHTS, "white"), vmin=-bound, vmax=bound, interpolation="nearest", aspect="equal"
    )
    _bare(axes, f"weights of each of the {rbm.n_hidden} hidden units")
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.8, pad=0.01, aspect=40, extend="both")
    bar.set_label("weight (dark: below zero, light: above)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)


def _draw_images(axes: Axes, rows: npt.ArrayLike, shape: Shape | None, columns: int | None, title: str) -> None:
    states = np.asarray(rows, dtype=np.float64)
    if states.ndim != 2 or 0 in states.shape:
        raise ValueError(f"rows must have two axes, (rows, units), neither empty. Got shape {states.shape}.")
    low, high = float(states.min()), float(states.max())
    axes.imshow(
        _mosaic(states, _image_shape(states.shape[1], shape), columns),
        cmap=_colours(_INK, "#D9D9D9"),
        vmin=low,
        vmax=high if high > low else low + 1,
        interpolation="nearest",
        aspect="equal",
    )
    _bare(axes, title)


def _draw_curve(axes: Axes, history: History, start: tuple[float, float] | None) -> None:
    name = next((one for one in _MEASURES if np.isfinite(history[one]).any()), None)
    if name is None:
        raise ValueError("history holds no measure to draw. Train with monitor='exact' or 'pseudo'.")
    other, label = _MEASURES[name]
    train = history[name]
    held_out = history[other]
    epochs = history["epoch"]
    if start is not None:
        epochs = np.concatenate([[0.0], epochs])
        train, held_out = np.concatenate([[start[0]], train]), np.concatenate([[start[1]], held_out])
    _draw_line(axes, epochs, train, "training rows", _TRAIN, "-")
    if np.isfinite(held_out).any():
        _draw_line(axes, epochs, held_out, "held-out rows", _HELD_OUT, "--")
    _plain_axes(axes, label, "epoch")
    axes.legend(loc="lower right", fontsize=9, frameon=False)


def _draw_updates(axes: Axes, one: CDBias) -> None:
    """Draw each parameter as a point: its gradient along x, its expected update along y."""
    low, high = math.inf, -math.inf
    styles = {"w": ("weights", _TRAIN, "o", 14), "a": ("visible biases", _HELD_OUT, "s", 22)}
    for name, update in one.expected_update.items():
        label, colour, marker, size = styles.get(name, ("hidden biases", "#3B7A3B", "^", 30))
        x, y = np.ravel(one.gradient[name]), np.ravel(update)
        axes.scatter(x, y, s=size, marker=marker, color=colour, alpha=0.7, linewidths=0, label=label)
        low, high = min(low, x.min(), y.min()), max(high, x.max(), y.max())
    margin = 0.05 * (high - low) or 1.0
    ends = low - margin, high + margin
    axes.plot(ends, ends, color="#7A7A7A", linewidth=1, zorder=0)
    axes.annotate(
        "no bias", (ends[1], ends[1]), (-4, -40), textcoords="offset points", fontsize=8, color="#5A5A5A", ha="right"
    )
    axes.set_xlim(ends)
    axes.set_ylim(ends)
    axes.set_aspect("equal")
    axes.locator_params(nbins=5)
    _plain_axes(axes, f"CD-{one.k}: expected update of each parameter", "exact gradient")
    axes.set_ylabel("expected update", fontsize=9)
    axes.legend(loc="upper left", fontsize=9, frameon=False)


def _draw_decay(axes: Axes, found: Sequence[CDBias]) -> None:
    sweeps, sizes, angles = ([getattr(one, name) for one in found] for name in ("k", "relative_size", "angle"))
    axes.plot(sweeps, sizes, "o-", color=_TRAIN, label="length of the bias ÷ gradient")
    axes.plot(sweeps, angles, "s--", color=_HELD_OUT, label="angle to the gradient, radians")
    axes.set_xscale("log")
    axes.set_xticks(sweeps, [str(k) for k in sweeps])
    axes.minorticks_off()
    # Over more than one and a half decades, a logarithmic axis shows the small values too.
    if max(sizes) > 30 * min(sizes) > 0:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    _plain_axes(axes, "what more sweeps buy", "k, Gibbs sweeps from the data")
    axes.legend(loc="lower left", fontsize=9, frameon=False)


def _plain_axes(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel(label, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_line(axes: Axes, epochs: _Column, values: _Column, name: str, colour: str, dash: str) -> None:
    last = f"{abs(values[-1]):.2f}"
    shown = f"{name}, at the end {'−' if values[-1] < 0 else ''}{last}" if np.isfinite(values[-1]) else name
    axes.plot(epochs, values, dash, color=colour, linewidth=1.8, label=shown)
    axes.plot(epochs[-1:], values[-1:], "o" if dash == "-" else "s", color=colour, markersize=5)
