"""Whether a model has a Z: for units with infinitely many states, not all parameters do.

Three things can go wrong, and each is looked for with the generated kernels. A unit alone may not be normalisable given
the others, such as a Gaussian without a positive precision or an exponential one whose rate falls to zero in some
state of its neighbours. Two layers of Gaussian kind may form an indefinite quadratic form. And two units without upper
end may drive each other to infinity, as counts do that excite each other.

Where the energy is linear in its parameters, the parameters with a finite Z form a convex set (ln Z is convex in them),
so a step that leaves the set from within can be shortened until it does not; that is how training stays inside. Towards
a boundary at which Z grows beyond all bounds, ln Z itself holds the likelihood back, so shortened steps lose nothing in
the end. A boundary of the third kind, where a weight must not be positive and zero is allowed, has no such barrier;
there the weight is set to zero instead, the nearest point of the set.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from pgm_rbm.domains import dimension, ends, has_conditions, is_bounded, is_quadratic
from pgm_rbm.errors import DivergentError
from pgm_rbm.kernels import FloatArray, Parameters, layer_axes, pairwise_kernels, parameter_shapes
from pgm_rbm.layout import Layout, States
from pgm_rbm.sampling.layers import resting

__all__ = ["Existence", "existence_of", "starting_values"]

_CORNERS = 256
_VALUES = 2**22


def existence_of(layout: Layout, *, pairwise: bool) -> Existence | None:
    """What there is to check about a model; None where every unit's states lie between two numbers.

    Args:
        layout: the model's layers.
        pairwise: whether the energy is the pairwise one, with parameters w, a and b.

    Raises:
        DivergentError: the two unit types have a Z for no weights but zero.
    """
    layers = layout.kernels.layers
    if all(is_bounded(unit) for unit in layers.values()):
        return None
    found = Existence(layout, pairwise)
    if pairwise and found.uncoupled:
        v, h = layers.values()
        raise DivergentError(
            f"{v} and {h} units cannot be coupled: Z is infinite for every weight but zero, since one grows faster "
            f"with the other than its own energy holds it back. Choose binary, spin or other bounded units on one side."
        )
    return found


@dataclass(frozen=True)
class Existence:
    """The conditions under which a model has a Z.

    Attributes:
        layout: its layers.
        pairwise: whether the energy is the pairwise one.
    """

    layout: Layout
    pairwise: bool

    @property
    def _open(self) -> list[str]:
        """Layers whose units have states beyond all bounds."""
        return [layer for layer, unit in self.layout.kernels.layers.items() if not is_bounded(unit)]

    @property
    def uncoupled(self) -> bool:
        """Whether weights of either sign make Z infinite."""
        units = [self.layout.kernels.layers[layer] for layer in self._open]
        if len(units) < 2 or all(map(is_quadratic, units)):
            return False
        return any(np.isinf(ends(unit)).all() for unit in units)

    @property
    def signed(self) -> bool:
        """Whether weights must not be positive."""
        units = [self.layout.kernels.layers[layer] for layer in self._open]
        return self.pairwise and len(units) == 2 and not all(map(is_quadratic, units)) and not self.uncoupled

    def project(self, parameters: Mapping[str, FloatArray]) -> None:
        """Set weights that must not be positive and are to zero, in place."""
        if self.signed:
            np.minimum(parameters["w"], 0, out=parameters["w"])

    def problem(self, parameters: Parameters) -> str | None:
        """Why Z is infinite, as the second half of a sentence; None where nothing was found.

        For the pairwise energy the answer is complete. For others, each layer is tried with the others at rest and in
        corners of their domains, and what is met later is refused by the kernels.
        """
        raised = {name: np.asarray(value, dtype=np.float64) for name, value in parameters.items()}
        for name, value in raised.items():
            if not np.isfinite(value).all():
                return f"parameter {name} holds NaN or infinity"
        if self.signed and (raised["w"] > 0).any():
            i, j = (int(k) for k in np.argwhere(raised["w"] > 0)[0])
            v, h = self.layout.kernels.layers.values()
            return (
                f"w[{i}, {j}] = {raised['w'][i, j]:.3g} makes a {v} and a {h} unit drive each other to infinity; "
                f"weights between them must not be positive"
            )
        for layer in self._open:
            found = self._alone(layer, raised)
            if found:
                return found
        quadratic = [layer for layer in self._open if is_quadratic(self.layout.kernels.layers[layer])]
        if len(quadratic) == 2:
            return self._together(quadratic, raised)
        return None

    def require(self, parameters: Parameters) -> None:
        """Raise unless the model has a Z.

        Raises:
            DivergentError: it has none; the message says why and what would do.
        """
        found = self.problem(parameters)
        if found:
            raise DivergentError(f"the model has no Z: {found}.")

    def _alone(self, layer: str, parameters: Parameters) -> str | None:
        """A layer given all others, with these in the states that are worst for it."""
        unit = self.layout.kernels.layers[layer]
        if not has_conditions(unit) or self.layout.tied(layer):
            return None
        for held in self._around(layer, parameters):
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    mean = self.layout.kernels.mean(layer, held, **parameters)
            except DivergentError as error:
                return f"the {unit} units of layer {layer} are not normalisable given the others ({error})"
            if not np.isfinite(mean).all():
                place = int(np.argwhere(~np.isfinite(mean))[0][1])
                need = "precision" if is_quadratic(unit) else "rate"
                return f"{unit} unit {place} of layer {layer} has no positive {need} in some state of the others"
        return None

    def _around(self, layer: str, parameters: Parameters) -> list[States]:
        layout = self.layout
        others = [one for one in layout.kernels.layers if one != layer]
        tried = [{one: resting(layout, one, 1, np.float64) for one in others}]
        if self.pairwise:
            (other,) = others
            low, high = ends(layout.kernels.layers[other])
            if np.isfinite((low, high)).all() and not is_quadratic(layout.kernels.layers[layer]):
                # For each unit the corner in which its field is largest: the field is linear in the other layer.
                w = parameters["w"] if layer == layout.visible[0] else parameters["w"].T
                rows = max(1, _VALUES // w.shape[1])
                for start in range(0, len(w), rows):
                    corners = np.where(w[start : start + rows] > 0, high, low)
                    tried.append({other: np.ascontiguousarray(corners)})
            return tried
        for name, axes in layout.kernels.parameters.items():
            for other in others:
                places = next((axis for axis in axes if "." in axis), "")
                if axes not in ((other, places, layer), (layer, other, places)):
                    continue
                # For each unit the labels, or the directions, that raise its field most.
                weights = np.moveaxis(parameters[name], axes.index(layer), 0)
                corners = weights.argmax(axis=2) if places.endswith(".states") else _directions(weights)
                rest = {one: resting(layout, one, len(corners), np.float64) for one in others if one != other}
                tried.append(rest | {other: corners.astype(np.float64)})
        rng = np.random.default_rng(0)
        extreme: States = {}
        for one in others:
            bounds = ends(layout.kernels.layers[one])
            if dimension(layout.kernels.layers[one]) > 1:
                vectors = rng.normal(size=(_CORNERS, layout.sizes[one], dimension(layout.kernels.layers[one])))
                extreme[one] = _directions(vectors)
            elif np.isfinite(bounds).all():
                extreme[one] = rng.choice(np.array(bounds), size=(_CORNERS, layout.sizes[one]))
            else:
                extreme[one] = resting(layout, one, _CORNERS, np.float64)
        return [*tried, extreme] if extreme else tried

    def _together(self, layers: list[str], parameters: Parameters) -> str | None:
        """Two layers of Gaussian kind: the quadratic form of both must be positive definite.

        Given the one, the other's mean is linear, and there and back again is a linear map M of the smaller layer.
        With D its precisions, read off second differences of the energy, D^{-1/2} M D^{1/2} is symmetric, and the form
        is positive definite if and only if all its eigenvalues are below 1 (the Schur complement). It is also what
        makes Gibbs sampling of the two layers settle.
        """
        layout = self.layout
        kernels = layout.kernels
        if self.pairwise:
            # Rectified units and the like share the energy, and their means are not linear.
            kernels = pairwise_kernels("gaussian", "gaussian", kernels.target)
        one, other = sorted(layers, key=lambda layer: layout.sizes[layer])
        n = layout.sizes[one]
        rest = {layer: resting(layout, layer, n, np.float64) for layer in layout.kernels.layers}
        unit, zero = np.eye(n), {**rest, one: np.zeros((n, n)), other: np.zeros((n, layout.sizes[other]))}

        def mean(layer: str, held: States) -> FloatArray:
            around = {name: value for name, value in held.items() if name != layer}
            found: FloatArray = kernels.mean(layer, around, **parameters)
            return found

        there = mean(other, zero | {one: unit}) - mean(other, zero)
        back = mean(one, zero | {other: there}) - mean(one, zero)
        energies = [kernels.energy(**(zero | {one: states}), **parameters) for states in (unit, -unit, 0 * unit)]
        root = np.sqrt(energies[0] + energies[1] - 2 * energies[2])
        form = np.eye(n) - back / root[:, None] * root
        try:
            np.linalg.cholesky((form + form.T) / 2)
        except np.linalg.LinAlgError:
            lowest = float(np.linalg.eigvalsh((form + form.T) / 2)[0])
            names = " and ".join(f"{name} ({layout.kernels.layers[name]})" for name in layers)
            return (
                f"the quadratic form of layers {names} is not positive definite (lowest eigenvalue {lowest:.3g} "
                f"relative to the precisions); make the weights between them smaller"
            )
        return None


def _directions(vectors: FloatArray) -> FloatArray:
    """Vectors, shape (rows, units, components), made 1 long and laid side by side; (1, …, 1) for one of length 0."""
    vectors = np.where((vectors == 0).all(axis=2, keepdims=True), 1.0, vectors)
    found = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    return np.ascontiguousarray(found).reshape(len(found), -1)


def starting_values(layout: Layout, *, pairwise: bool) -> dict[str, float]:
    """For every parameter with fewer than two axes the value of 0, 1 and −1 to start from.

    It is the first combination with which the model exists when all other parameters are zero: 0 for a bias, 1 for a
    deviation or a precision, −1 for the bias that makes a rate positive. All are 0 where none does.
    """
    names = [name for name, axes in layout.kernels.parameters.items() if len(layer_axes(axes)) < 2]
    plain = dict.fromkeys(names, 0.0)
    kernels = layout.kernels.sized(**dict.fromkeys(layout.kernels.sizes, 2))
    small = Layout(kernels, dict.fromkeys(layout.sizes, 2))
    shapes = parameter_shapes(layout.kernels, small.sizes)
    for values in product((0.0, 1.0, -1.0), repeat=min(len(names), 6)):
        chosen = plain | dict(zip(names, values, strict=False))
        parameters = {name: np.full(shape, chosen.get(name, 0.0)) for name, shape in shapes.items()}
        if _exists(small, parameters, pairwise=pairwise):
            return chosen
    return plain


def _exists(layout: Layout, parameters: dict[str, npt.NDArray[np.float64]], *, pairwise: bool) -> bool:
    held = {layer: resting(layout, layer, 1, np.float64) for layer in layout.sizes}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if not np.isfinite(layout.kernels.energy(**held, **parameters)).all():
                return False
        except DivergentError:
            return False
        checks = Existence(layout, pairwise) if not all(map(is_bounded, layout.kernels.layers.values())) else None
        return checks is None or checks.problem(parameters) is None
