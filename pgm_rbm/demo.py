"""The whole way, once: from an energy to a checked derivation, generated kernels, a trained model and a lecture.

`run` is what ``pgm-rbm demo`` does. It prints to standard output, shows progress on standard error, and returns the
numbers it printed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console

from pgm_rbm import RBM, plots
from pgm_rbm.data import Digits, load_digits
from pgm_rbm.learning.history import EpochRecord
from pgm_rbm.learning.progress import progress_bar
from symbolic import energies
from symbolic.notation import text

__all__ = ["Comparison", "DemoError", "Report", "Settings", "run"]

TOLERANCE = 1e-8
"""The most that the generated gradient may differ from finite differences of ln p. They differ by 1.1e-11
(2026-12), so a wrong term shows and rounding does not."""


class DemoError(RuntimeError):
    """A check of the demo failed."""


@dataclass(frozen=True)
class Settings:
    """How the demo trains: in 6 s to a mean ln p of −18.31 on held-out rows (20 hidden units: in 8 s to −17.90; 2
    cores, 2026-12).

    Attributes:
        hidden: hidden units, few enough to enumerate: ln Z takes 4.5 ms (2 cores, 2026-12).
        stages: epochs and learning rate of each stage of training; the last one is slow, so that the weights settle.
        batch_size, k, chains: of PCD.
        rows: how many training rows to use; None for all.
        seed: of everything random.
        entries: gradient entries that are compared with finite differences.
    """

    hidden: int = 16
    stages: tuple[tuple[int, float], ...] = ((100, 0.3), (40, 0.05))
    batch_size: int = 100
    k: int = 5
    chains: int = 500
    rows: int | None = None
    seed: int = 0
    entries: int = 8


@dataclass(frozen=True)
class Comparison:
    """One entry of the gradient of the mean ln p, computed in two ways.

    Attributes:
        parameter: ``"w"``, ``"a"`` or ``"b"``.
        place: which entry of it.
        term_a, term_b: from the generated kernels.
        difference: of the exact mean ln p, as a finite difference.
    """

    parameter: str
    place: tuple[int, ...]
    term_a: float
    term_b: float
    difference: float

    @property
    def error(self) -> float:
        """Return by how much the two ways differ."""
        return abs(self.term_a - self.term_b - self.difference)


@dataclass(frozen=True)
class Report:
    """What the demo found.

    Attributes:
        before, after: exact mean ln p on (training rows, held-out rows), in nats.
        comparisons: gradient entries, generated and by finite differences.
        files: the files that were written, by what they hold.
        seconds: how long the demo took.
    """

    before: tuple[float, float]
    after: tuple[float, float]
    comparisons: tuple[Comparison, ...]
    files: dict[str, Path]
    seconds: float

    @property
    def largest_error(self) -> float:
        """Return the largest difference between a generated gradient entry and its finite difference."""
        return max(one.error for one in self.comparisons)


def run(output: Path, settings: Settings | None = None) -> Report:
    """Go the whole way and write the lecture, a picture and the model into a folder.

    Files of an earlier run are replaced. Without matplotlib the picture is left out, with a message.

    Args:
        output: a folder that exists.
        settings: what to train; the demo's own by default.

    Raises:
        DemoError: a check failed.
        OSError: a file cannot be written.
    """
    settings = settings or Settings()
    begin = time.perf_counter()
    show = _Show(Console(highlight=False), Console(stderr=True, highlight=False))
    show.line("From one energy to a derivation, a lecture, kernels and a trained model.")
    files: dict[str, Path] = {}
    files["lecture"] = _derive(show, output)
    digits = load_digits()
    rbm, train, held_out = _model(show, digits, settings)
    before = (rbm.log_likelihood(train), rbm.log_likelihood(held_out))
    _train(show, rbm, train, held_out, settings)
    after = (rbm.log_likelihood(train), rbm.log_likelihood(held_out))
    _say_how_well(show, rbm, len(train), len(held_out), before, after)
    comparisons = _compare(show, rbm, train, settings)
    show.heading("Files")
    show.line()
    files["model"] = output / "digits.safetensors"
    rbm.save(files["model"])
    picture = _draw(show, rbm, digits, before, output, settings)
    if picture is not None:
        files["picture"] = picture
    for what, words in (
        ("lecture", "the derivation as a page for the browser"),
        ("picture", "weights, training curve, data and samples"),
        ("model", "to go on with: pgm-rbm sample, evaluate, partition"),
    ):
        if what in files:
            show.line(f"  {files[what]!s:<34}  {words}")
    seconds = time.perf_counter() - begin
    show.line(f"\nDone in {seconds:.0f} s.")
    return Report(before, after, comparisons, files, seconds)


class _Show:
    """Shows results on standard output, and on standard error what is under way."""

    def __init__(self, out: Console, err: Console):
        self.out, self.err = out, err
        self.width = min(out.width, 110)
        self._headings = 0

    def line(self, text: str = "") -> None:
        self.out.print(text, markup=False, soft_wrap=True)

    def heading(self, text: str) -> None:
        self._headings += 1
        title = f"{self._headings}  {text} "
        self.out.print()
        self.out.print(title + "━" * (self.width - len(title)), style="bold", markup=False, soft_wrap=True)

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Say what is under way while the block runs, where standard error is a terminal."""
        if not self.err.is_terminal:
            yield
            return
        with self.err.status(text):
            yield


def _derive(show: _Show, output: Path) -> Path:
    show.heading("The gradient of ln p(v), derived and checked")
    energy = energies.pairwise()
    show.line(f"\nThe energy, written once:\n\n{text.equation(energy.call, energy.expression)}\n")
    derivation = energy.log_likelihood_gradient("w")
    show.line(derivation.text(width=show.width))
    verification = derivation.verify()
    show.line(f"\nchecked  {verification}")
    if not verification:
        raise DemoError("a line of the derivation did not pass its check.")
    lecture = output / "lecture.html"
    with show.busy("writing the lecture"):
        energy.lecture().write(lecture)
    return lecture


def _model(
    show: _Show, digits: Digits, settings: Settings
) -> tuple[RBM, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    show.heading("The kernels, generated from the same expressions")
    train, held_out = digits.train.pixels[: settings.rows], digits.held_out.pixels
    rbm = RBM(train.shape[1], settings.hidden, seed=settings.seed)
    begin = time.perf_counter()
    with show.busy("compiling the generated kernels (once; they are cached)"):
        rbm.initialise_visible_bias(train)
        rbm.fit(train[:2], epochs=0, monitor="none")
        rbm.log_likelihood(train[:2])
    kernels = rbm.kernels
    show.line(f"\nsource   {kernels.path}")
    show.line(
        f"         {len(kernels.source.splitlines())} lines of Python for {kernels.target}, loaded and compiled in "
        f"{time.perf_counter() - begin:.1f} s"
    )
    return rbm, train, held_out


def _train(
    show: _Show,
    rbm: RBM,
    train: npt.NDArray[np.float64],
    held_out: npt.NDArray[np.float64],
    settings: Settings,
) -> None:
    show.heading("Training on handwritten digits")
    show.line(f"\ndata     {len(train)} images of 8×8 binary pixels, and {len(held_out)} held out")
    show.line("         (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998; CC BY 4.0)")
    show.line(f"model    {rbm.n_visible} visible and {rbm.n_hidden} hidden binary units")
    show.line(f"learning PCD-{settings.k} with {settings.chains} chains, {settings.batch_size} images per step")
    epochs = sum(count for count, _ in settings.stages)
    batches = -(-len(train) // settings.batch_size)

    def told(record: EpochRecord) -> None:
        if not show.err.is_terminal and record.epoch % 20 == 0:
            show.err.print(f"epoch {record.epoch}/{epochs}: mean ln p {record.log_likelihood:.3f}".replace("-", "−"))

    with progress_bar() if show.err.is_terminal else nullcontext(None) as bar:
        for stage, (count, learning_rate) in enumerate(settings.stages):
            before = rbm.history[-1].steps if stage else 0

            def progress(done: int, total: int, record: EpochRecord | None, before: int = before) -> None:
                if bar is not None:
                    bar(before + done, epochs * batches, record)

            rbm.fit(
                train,
                algorithm="pcd",
                k=settings.k,
                epochs=count,
                batch_size=settings.batch_size,
                learning_rate=learning_rate,
                n_chains=settings.chains,
                resume=stage > 0,
                held_out=held_out,
                monitor="exact",
                callbacks=told,
                progress=progress,
            )


def _say_how_well(
    show: _Show, rbm: RBM, train: int, held_out: int, before: tuple[float, float], after: tuple[float, float]
) -> None:
    show.line(f"\nThe exact mean ln p in nats; ln Z is a sum over all 2^{rbm.n_hidden} hidden configurations.\n")
    show.line(f"  {'':<24}{'before':>10}{'after':>10}{'gain':>10}")
    for name, k in ((f"{train} training rows", 0), (f"{held_out} held-out rows", 1)):
        show.line(
            f"  {name:<24}{_signed(before[k], 3):>10}{_signed(after[k], 3):>10}{_signed(after[k] - before[k], 3):>10}"
        )
    show.line("\nBefore training, every pixel is on with its own frequency and independent of the others.")


def _compare(show: _Show, rbm: RBM, train: npt.NDArray[np.float64], settings: Settings) -> tuple[Comparison, ...]:
    show.heading("The generated gradient against finite differences of ln p")
    with show.busy("comparing"):
        found = tuple(_comparisons(rbm, train, settings))
    show.line(f"\n  {'entry':<12}{'Term A':>11}{'Term B':>11}{'A − B':>16}{'difference':>16}{'error':>12}")
    for one in found:
        show.line(
            f"  {_entry(one):<12}{_signed(one.term_a, 6):>11}{_signed(one.term_b, 6):>11}"
            f"{_signed(one.term_a - one.term_b, 10):>16}{_signed(one.difference, 10):>16}{one.error:>12.1e}"
        )
    largest = max(one.error for one in found)
    show.line(f"\nThe largest error is {largest:.1e}.")
    if largest > TOLERANCE:
        raise DemoError(f"the gradient and its finite difference are {largest:.1e} apart; {TOLERANCE:.0e} is allowed.")
    return found


def _comparisons(rbm: RBM, rows: npt.NDArray[np.float64], settings: Settings) -> Iterator[Comparison]:
    gradient = rbm.gradient(rows)
    rng = np.random.default_rng(settings.seed)
    # A pixel that is never on has a gradient of about zero, which would show little; 39 of the
    # 64 pixels have a deviation above 0.3.
    lively = np.flatnonzero(rows.std(axis=0) > 0.3)
    for number in range(settings.entries):
        name = ("w", "w", "a", "b")[number % 4]
        i, j = int(rng.choice(lively)), int(rng.integers(rbm.n_hidden))
        place = {"w": (i, j), "a": (i,), "b": (j,)}[name]
        yield Comparison(
            name,
            place,
            float(gradient.term_a[name][place]),
            float(gradient.term_b[name][place]),
            _finite_difference(rbm, rows, name, place),
        )


def _finite_difference(rbm: RBM, rows: npt.NDArray[np.float64], name: str, place: tuple[int, ...]) -> float:
    """Return ∂ mean ln p / ∂θ by the five-point rule, whose error is of fourth order in the step (Abramowitz and
    Stegun 1964, 25.3.6)."""
    # Wider steps add to the fourth-order error and narrower ones to rounding: on the trained model, steps of 1e-2,
    # 1e-3, 1e-4 and 1e-5 are off by at most 4e-11, 1e-11, 3e-11 and 1e-9 (2026-12).
    step, array = 1e-3, rbm.parameters[name]
    kept = array[place]
    values = []
    try:
        for multiple in (-2, -1, 1, 2):
            array[place] = kept + multiple * step
            values.append(rbm.log_likelihood(rows))
    finally:
        array[place] = kept
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


def _draw(
    show: _Show,
    rbm: RBM,
    digits: Digits,
    before: tuple[float, float],
    output: Path,
    settings: Settings,
) -> Path | None:
    each = 5
    labels = digits.train.labels
    # One column a digit: the first few images of each.
    chosen = np.stack([np.flatnonzero(labels == digit)[:each] for digit in range(10)], axis=1).ravel()
    samples = rbm.sample(10 * each, method="exact", seed=settings.seed)
    picture = output / "digits.png"
    try:
        with show.busy("drawing"):
            figure = plots.overview(
                rbm,
                digits.train.pixels[chosen],
                samples,
                title=f"A restricted Boltzmann machine of {rbm.n_hidden} hidden units trained on handwritten digits",
                start=before,
            )
            plots.write(figure, picture)
    except plots.MissingMatplotlibError as error:
        show.err.print(f"no picture: {error}", markup=False, soft_wrap=True)
        return None
    return picture


def _entry(one: Comparison) -> str:
    return f"{one.parameter}[{', '.join(map(str, one.place))}]"


def _signed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")
