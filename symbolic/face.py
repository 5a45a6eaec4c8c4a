"""Energy, Derivation and Lecture as a person meets them: what can be asked of each, in one line.

Nobody makes objects of the classes below: their methods are attached to :class:`symbolic.language.energy.Energy`,
:class:`symbolic.derivation.trace.Derivation` and :class:`symbolic.lecture.document.Lecture`, which are data
(:mod:`symbolic.verbs` says how). Each method imports what answers it, so that `symbolic` is imported in 5 ms (2 cores,
2026-12) and a parsed energy has loaded neither the checker nor a code generator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symbolic.verbs import DerivationVerbs, EnergyVerbs, LectureVerbs

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from symbolic.check.verification import Verification
    from symbolic.codegen.kernels import Kernels
    from symbolic.derivation import trace
    from symbolic.derivation.trace import Derivation as _Derivation
    from symbolic.language import energy
    from symbolic.language.energy import Energy as _Energy
    from symbolic.language.layers import Layer
    from symbolic.language.parameters import Entry, Parameter
    from symbolic.lecture import document
    from symbolic.lecture.document import Lecture as _Lecture
else:
    _Energy = _Derivation = _Lecture = object

__all__: list[str] = []


class Energy(_Energy):
    """What can be asked of an energy. Most answers are Derivations: results with the checked steps that lead there."""

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        visible: Mapping[str, str],
        hidden: Mapping[str, str] | None = None,
        given: Mapping[str, str] | None = None,
        parameters: Mapping[str, Iterable[str]] | None = None,
        symmetric: Iterable[str] = (),
    ) -> energy.Energy:
        """Return the energy written in ``text``; a parser reads the text, and nothing evaluates it as code.

        Args:
            text: such as ``"-sum(v[i]*w[i,j]*h[j], i, j) - sum(a[i]*v[i], i)"``; docs/derivations.md
                has the grammar.
            visible: the visible layers' names and units, such as ``{"v": "binary"}``.
            hidden, given: likewise the hidden layers and those that are always clamped.
            parameters: the layers of a parameter's axes, where the text alone leaves them open.
            symmetric: the parameters with L[i,k] = L[k,i] and no diagonal.

        Raises:
            EnergySyntaxError: the text cannot be read; the message points at the place.
        """
        from symbolic.language.parse import parse_energy

        return parse_energy(
            text, visible=visible, hidden=hidden, given=given, parameters=parameters, symmetric=symmetric
        )

    def latex(self) -> str:
        """Return E(v, h) = … in the lecture's notation."""
        from symbolic.notation import latex

        return latex.equation(self.call, self.expression)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def log_likelihood_gradient(self, parameter: Parameter | Entry | str) -> trace.Derivation:
        """Derive ∂ ln p(v) / ∂θ as Term A − Term B, in the order of the lecture RBM Mathematics.

        Args:
            parameter: ``w[i, j]``, the parameter ``w``, or its name.
        """
        from symbolic.derivation.gradient import log_likelihood_gradient

        return log_likelihood_gradient(self, self.entry(parameter))

    def free_energy(
        self, of: Layer | str | Iterable[Layer | str] | None = None, method: str = "closed form"
    ) -> trace.Derivation:
        """Derive F(v) = −ln Σ_h e^{−E(v, h)}.

        Args:
            of: the layer or layers that are kept (by default the visible ones); all others are summed out, in closed
                form if they are independent given these.
            method: ``"closed form"``; ``"enumeration"``, the sum over all configurations as it is; or ``"auto"``, the
                first that serves. The derivation's ``method`` says which it was.

        Raises:
            NotSeparableError: there is no closed form; the message names the term and the layers.
            DivergentError: the sum is infinite whatever the parameters.
        """
        from symbolic.derivation.marginal import free_energy

        return free_energy(self, self.kept(of), method)

    def conditional(self, layer: Layer | str, method: str = "closed form") -> trace.Derivation:
        """Derive p(h_j | v), the distribution of one unit of ``layer`` given all other layers, with ``.mean``.

        Args:
            layer: whose unit it is.
            method: ``"closed form"``, for layers whose units are independent given the rest; ``"single-site"``, given
                all other units, those of its layer too; or ``"auto"``, the first that serves. The derivation's
                ``method`` says which it was.

        Raises:
            NotSeparableError: the units are not independent; the message names the term and the layer.
            DivergentError: the sum over the unit's states is infinite whatever the parameters.
        """
        from symbolic.derivation.marginal import conditional

        return conditional(self, self.summable(layer), method)

    def phase(
        self, parameter: Parameter | Entry | str, of: Layer | str | Iterable[Layer | str] | None = None
    ) -> trace.Derivation:
        """Derive ⟨−∂E/∂θ⟩ given the kept layers, in closed form: what both phases of learning average."""
        from symbolic.derivation.marginal import phase

        return phase(self, self.entry(parameter), self.kept(of))

    def log_partition(self, method: str = "auto") -> trace.Derivation:
        """Derive ln Z as an exact sum that can be lowered to code.

        Args:
            method: ``"closed form"``, the hidden layers in closed form and the sum over the visible ones as it is;
                ``"enumeration"``, the sum over all configurations as it is; or ``"auto"``, as many layers in closed
                form as are independent given the rest, hidden ones first. The derivation's ``method`` says which it
                was.
        """
        from symbolic.derivation.marginal import log_partition

        return log_partition(self, method)

    def compile(self, target: str = "numba") -> Kernels:
        """Return generated functions for this energy, which are cached on disk.

        Args:
            target: ``"numba"``; ``"numpy"``; or ``"array-api"``, plain functions of the arrays of any one library that
                follows the array API standard, such as PyTorch's.

        Raises:
            SymbolicError: there is no such target.
        """
        from symbolic.codegen.build import compile_energy

        return compile_energy(self, target)

    def lecture(self) -> document.Lecture:
        """Return the whole lesson: the energy, the gradient as Term A − Term B, closed forms and a worked example."""
        from symbolic.lecture.lesson.lesson import lecture_of_energy

        return lecture_of_energy(self)


class Derivation(_Derivation):
    """What is done with a derivation."""

    def verify(self, sizes: Mapping[str, int] | None = None, points: int = 32, seed: int = 0) -> Verification:
        """Check every step exactly, on the expressions that are printed, in two small models.

        Args:
            sizes: units per layer of the first model, such as ``{"v": 2, "h": 3}``; by default small and different for
                every layer. In a second model each size is odd where it was even, and even where it was odd.
            points: the most points per model at which lines are compared. Points are places of indices and states of
                free layers; the check goes through all of them where there are no more, and else draws them at random.
            seed: of the random parameters and points.

        Raises:
            SymbolicError: ``sizes`` does not fit the energy or makes a model too large to sum over, or ``points`` is
                not a whole number from 1.
        """
        from symbolic.check.verification import verify

        return verify(self, sizes=sizes, points=points, seed=seed)

    def to_json(self) -> str:
        """Return the derivation as JSON text; :meth:`from_json` reads it back."""
        from symbolic.derivation.serialise import derivation_to_json

        return derivation_to_json(self)

    @staticmethod
    def from_json(text: str) -> trace.Derivation:
        """Return the derivation in ``text``, which is data and never evaluated.

        Raises:
            SymbolicError: the text is not a derivation this version can read.
        """
        from symbolic.derivation.serialise import derivation_from_json

        return derivation_from_json(text)

    def latex(self) -> str:
        """Return the derivation as aligned LaTeX, in the lecture's notation."""
        from symbolic.notation import latex

        return latex.derivation(self)

    def _repr_latex_(self) -> str:
        return self.latex()

    def text(self, *, ascii: bool = False, width: int = 100) -> str:
        """Return the derivation for a terminal, in two-dimensional characters."""
        from symbolic.notation import text

        return text.derivation(self, ascii=ascii, width=width)

    def lecture(self) -> document.Lecture:
        """Return this derivation as a lecture, ready to be written."""
        from symbolic.lecture.lesson.lesson import lecture_of_derivation

        return lecture_of_derivation(self)


class Lecture(_Lecture):
    """What is done with a lecture."""

    def write(self, path: str | os.PathLike[str], format: str | None = None) -> Path:
        """Write the lecture to a file, which appears complete or not at all, and return its path.

        Args:
            path: the file; its ending picks the format, such as ``"rbm.html"``.
            format: the format, whatever the ending: ``"html"``.

        Raises:
            SymbolicError: no writer for the format, or no file can be there; the message says what there is.
            OSError: the file cannot be written.
        """
        from symbolic.lecture.writers import write_file

        return write_file(self, path, format)

    def to_html(self) -> str:
        """Return the page as text, for embedding; :meth:`write` makes a file of it."""
        from symbolic.lecture.writers import html

        return html.write(self).decode("utf-8")


for face, data in ((Energy, EnergyVerbs), (Derivation, DerivationVerbs), (Lecture, LectureVerbs)):
    for name, verb in vars(face).items():
        if not name.startswith("__"):
            setattr(data, name, verb)
