"""Decide whether a model has a finite Z; with units of infinitely many states, not all parameters give one.

:mod:`symbolic.numeric.growth` finds the terms of the energy that decide; this module evaluates them.
Three things can go wrong. A unit alone may not be normalisable given the others, such as an exponential one whose rate
falls to zero in some state of its neighbours. Units of Gaussian kind, in one layer or several, may form a quadratic
form that is not positive in every direction in which they can run away. And other unbounded units may drive units of
lighter kind, counts and rates, to infinity: the coefficient of a product of their states, and of any product of three
unbounded states, must not be positive.

How far the answer goes:

* It is *complete* (except on the boundary itself, and up to rounding) where the deciding terms do not depend on the
  states of bounded units, or where bounded units are independent of each other given the unbounded ones and act on
  single units' own sums alone, or where the bounded units have at most 1024 states together, which are listed. Then
  their worst states are found: the ones that they take when that unit runs away.
* Otherwise the worst states are *searched for*: starting from the states that are worst for single units, the bounded
  units are drawn repeatedly, in turn, given unbounded ones far out in the direction in which the form is lowest. A
  model that is refused has no Z; a model that is accepted has one for certain only where a bound over all states shows
  it.
* `quadratic_forms` decides forms in which rectified units repel each other. A form that it leaves open is refused. So
  is a product of unbounded states with several terms as its coefficient, if the sum of their largest values would be
  positive.
* A model's inputs are tried at rest and in random states. Functions of unbounded states other than powers, pos, neg and
  nonzero are not examined.

A model without a Z that passes raises `DivergentError` later, in a kernel or when a draw is not finite.

Where the energy is linear in its parameters, the parameters with a finite Z form a convex set (ln Z is convex in them),
so training shortens a step that leaves the set until it stays inside. Towards a boundary at which Z grows beyond all
bounds, ln Z itself lowers the likelihood, so shortened steps lose nothing in the end. A boundary of the third kind,
where a weight must not be positive but may be zero, has no such barrier; there the weight is set to zero, the nearest
point of the set.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from pgm_rbm.errors import DivergentError
from pgm_rbm.machine.workers import workers
from pgm_rbm.model.domains import dimension, ends, is_bounded, is_finite, states_of
from pgm_rbm.model.draw import draw_layer, resting
from pgm_rbm.model.kernels import FloatArray, Parameters, layer_axes, parameter_shapes
from pgm_rbm.model.layout import Layout, States
from pgm_rbm.model.model import Model
from pgm_rbm.model.quadratic_forms import sign_on_cone
from symbolic import Energy, NotSeparableError, energies
from symbolic.derivation.separation import separate
from symbolic.numeric.growth import Barred, Couplings, couplings

__all__ = ["Convergence", "convergence_of", "starting_values"]

# How far out unbounded units are placed: its square times a weight is far above any bias, its fourth power is finite.
_FAR = 1e15
# Bounded states that are listed rather than searched: 1,024 rows go through a kernel in 1 ms.
_LISTED = 1024
# Random starts of the search for the worst bounded states, and sweeps of each. On the models of tests of this module
# 3 starts, or a single sweep, miss states that 4 starts of 3 sweeps find (2026-12); these are twice as many.
_STARTS = 8
_SWEEPS = 6
# The most values of an array made at a time: 32 MiB in float64.
_VALUES = 2**22


def convergence_of(layout: Layout, energy: Energy | None) -> Convergence | None:
    """Return the conditions under which a model has a Z; None where Z is finite for all parameters.

    Args:
        layout: the model's layers.
        energy: its energy; None for the pairwise one.

    Raises:
        DivergentError: no parameters give the energy a Z, or none that couple some of its layers.
    """
    layers = layout.kernels.layers
    if all(is_bounded(unit) for unit in layers.values()):
        return None
    if energy is None:
        energy = energies.pairwise(*layers.values())
    found = Convergence(layout, energy)
    signs: dict[str, int] = {}
    for barred in found.couplings.barred:
        opposed = barred.parameter is not None and signs.setdefault(barred.parameter, barred.sign) != barred.sign
        if barred.is_impossible or opposed:
            raise DivergentError(_impossible(layers, barred))
    return found if found.has_conditions else None


def _impossible(layers: Mapping[str, str], barred: Barred) -> str:
    units = " and ".join(dict.fromkeys(layers[layer] for layer in barred.layers))
    several = len({layers[layer] for layer in barred.layers}) > 1
    return (
        f"{units} units cannot be coupled{'' if several else ' to each other'}: Z is infinite for every weight but "
        f"zero in {barred.text}, since they grow faster with each other than their own energies hold them back. Choose "
        f"binary, spin or other bounded units on one side."
    )


@dataclass(frozen=True)
class Convergence:
    """The conditions under which a model has a Z.

    Attributes:
        layout: its layers.
        energy: its energy.
    """

    layout: Layout
    energy: Energy

    @cached_property
    def couplings(self) -> Couplings:
        """The terms of the energy that decide."""
        return couplings(self.energy)

    @property
    def has_conditions(self) -> bool:
        """Whether Z is infinite for some parameters."""
        found = self.couplings
        return bool(found.barred or found.conditional or not found.is_diagonal)

    @cached_property
    def _bounded(self) -> tuple[str, ...]:
        """The layers that Z sums over and whose states lie between two numbers."""
        layers = self.layout.kernels.layers
        return tuple(one for one, unit in layers.items() if is_bounded(unit) and one not in self.layout.given)

    def project(self, parameters: Mapping[str, FloatArray]) -> None:
        """Set weights of a forbidden sign to zero, in place."""
        for barred in self.couplings.barred:
            if barred.parameter is not None:
                bound = np.minimum if barred.sign < 0 else np.maximum
                bound(parameters[barred.parameter], 0, out=parameters[barred.parameter])

    def turn(self, parameters: Mapping[str, FloatArray]) -> None:
        """Give weights the sign that they must have, in place."""
        for barred in self.couplings.barred:
            if barred.parameter is not None:
                value = parameters[barred.parameter]
                np.multiply(np.abs(value), barred.sign, out=value)

    def problem(self, parameters: Parameters) -> str | None:
        """Return why Z is infinite, as the second half of a sentence; None where no reason was found.

        The head of the module says where this is complete and where it is a search.
        """
        raised = {name: np.asarray(value, dtype=np.float64) for name, value in parameters.items()}
        for name, value in raised.items():
            if not np.isfinite(value).all():
                return f"parameter {name} holds NaN or infinity"
        with workers(1):  # one result, whatever the number of threads
            return self._problem(raised)

    def _problem(self, parameters: Parameters) -> str | None:
        for barred in self.couplings.barred:
            if found := self._driven(barred, parameters):
                return found
        for layer in self.couplings.conditional:
            if self.couplings.are_normalisable(layer, parameters, self.layout.sizes):
                continue
            if found := self._alone(layer, parameters):
                return found
        return None if self.couplings.is_diagonal else self._together(parameters)

    def require(self, parameters: Parameters) -> None:
        """Raise unless the model has a Z.

        Raises:
            DivergentError: it has none; the message says why and what would help.
        """
        found = self.problem(parameters)
        if found:
            raise DivergentError(f"the model has no Z: {found}.")

    def _driven(self, barred: Barred, parameters: Parameters) -> str | None:
        """Return the problem with a product of unbounded states whose coefficient has the forbidden sign, if any."""
        excess = self.couplings.excess(barred, parameters, self.layout.sizes)
        if not (excess > 0).any():
            return None
        layers = self.layout.kernels.layers
        units = " and a ".join(layers[layer] for layer in barred.layers)
        if len(barred.layers) == 1:
            units = f"{units} unit and another"
        sign = "positive" if barred.sign <= 0 else "negative"
        name = barred.parameter
        if name is None or parameters[name].shape != excess.shape:
            where = f"the coefficient of {units} unit in {barred.text} comes to {float(excess.max()):.3g}"
            return f"{where} and makes them drive each other to infinity; it must not be positive"
        place = tuple(int(k) for k in np.argwhere(excess > 0)[0])
        shown = f"{name}[{', '.join(map(str, place))}] = {float(parameters[name][place]):.3g}"
        return f"{shown} makes a {units} unit drive each other to infinity; weights between them must not be {sign}"

    # The worst states of bounded units

    def _listed(self) -> States | None:
        """Return all states of the bounded units; None if there are more than `_LISTED`."""
        units = {layer: self.layout.kernels.layers[layer] for layer in self._bounded}
        if not all(is_finite(unit) for unit in units.values()):
            return None
        count = math.prod(len(states_of(unit)) ** self.layout.sizes[layer] for layer, unit in units.items())
        if count > _LISTED:
            return None
        found: States = {}
        columns = [states_of(unit) for layer, unit in units.items() for _ in range(self.layout.sizes[layer])]
        every = np.array(list(product(*columns))).reshape(count, len(columns))
        start = 0
        for layer in units:
            found[layer] = np.ascontiguousarray(every[:, start : start + self.layout.sizes[layer]])
            start += self.layout.sizes[layer]
        return found

    def _random(self, rows: int) -> States:
        """Return random extreme states of the bounded and the given layers; the first row has given ones at rest."""
        rng = np.random.default_rng(0)
        found: States = {}
        for layer in (*self._bounded, *self.layout.given):
            unit, size = self.layout.kernels.layers[layer], self.layout.sizes[layer]
            if dimension(unit) > 1:
                vectors = rng.normal(size=(rows, size, dimension(unit)))
                vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
                found[layer] = vectors.reshape(rows, -1)
            elif is_finite(unit):
                found[layer] = rng.choice(states_of(unit), size=(rows, size))
            elif is_bounded(unit):
                found[layer] = rng.choice(ends(unit), size=(rows, size))
            else:
                found[layer] = resting(self.layout, layer, rows, np.float64)
            if layer in self.layout.given:
                found[layer][0] = resting(self.layout, layer, 1, np.float64)
        return found

    def _worst(self, parameters: Parameters, open_states: States, sweeps: int) -> States:
        """Return states of all layers, in which bounded layers are drawn given the open states."""
        rows = len(next(iter(open_states.values())))
        held = {**open_states, **self._random(rows)}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for sweep in range(sweeps):
                for place, layer in enumerate(self._bounded):
                    key = sweep * len(self._bounded) + place
                    held[layer] = draw_layer(Model(self.layout, dict(parameters)), layer, held, key, 0)
        return held

    def _at_rest(self, rows: int) -> States:
        """Return the unbounded layers at rest."""
        layers = self.layout.kernels.layers
        return {
            one: resting(self.layout, one, rows, np.float64)
            for one, unit in layers.items()
            if not is_bounded(unit) and one not in self.layout.given
        }

    # Units alone

    def _alone(self, layer: str, parameters: Parameters) -> str | None:
        """Return why a unit of the layer is not normalisable given the others in their worst states for it, if so."""
        unit = self.layout.kernels.layers[layer]
        for held in self._around(layer, parameters):
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    self._mean(layer, held, parameters)
            except DivergentError as error:
                return f"the {unit} units of layer {layer} are not normalisable given the others ({error})"
        return None

    def _mean(self, layer: str, held: States, parameters: Parameters) -> FloatArray:
        kernels = self.layout.kernels
        own = kernels.methods.get(f"mean_of_{layer}") == "single-site"
        found: FloatArray = kernels.mean(layer, held if own else self.layout.around(layer, held), **parameters)
        return found

    def _around(self, layer: str, parameters: Parameters) -> Iterator[States]:
        """Yield the states to try: bounded layers at their worst for each unit, unbounded layers at rest."""
        if not self._bounded and not self.layout.given:
            yield self._at_rest(1)
            return
        if (every := self._listed()) is not None and not self.layout.given:
            yield {**self._at_rest(len(next(iter(every.values())))), **every}
            return
        size = self.layout.sizes[layer]
        signs = [
            sign for sign, end in zip((-1, 1), ends(self.layout.kernels.layers[layer]), strict=True) if np.isinf(end)
        ]
        starts = 1 if self._is_settled_at_once else _STARTS
        step = max(1, _VALUES // (self.layout.units * len(signs) * starts))
        for first in range(0, size, step):
            units = np.arange(first, min(first + step, size))
            rows = len(units) * len(signs) * starts
            far = self._at_rest(rows)
            for k, sign in enumerate(np.repeat(signs, starts)):
                far[layer][k * len(units) + np.arange(len(units)), units] = sign * _FAR
            held = self._worst(parameters, far, 1 if self._is_settled_at_once else _SWEEPS)
            yield {**held, **self._at_rest(rows)}

    @cached_property
    def _is_settled_at_once(self) -> bool:
        """Whether bounded units are independent of each other given the unbounded ones, so that one draw settles
        them."""
        if self.layout.given:
            return False
        layers = [self.energy.layers[layer] for layer in self._bounded]
        try:
            separate(self.energy.function, layers)
        except NotSeparableError:
            return False
        return True

    # Units of Gaussian kind together

    def _together(self, parameters: Parameters) -> str | None:
        """Return why the form of all units of Gaussian kind is not positive in the worst bounded states, if so."""
        found, sizes = self.couplings, self.layout.sizes
        rays, exclusive = found.rays(sizes), found.exclusive(sizes)
        if not found.varies:
            return self._refused(found.form(parameters, self._at_rest(1), sizes)[0], rays, exclusive)
        fixed, bound = found.fixed(parameters, sizes)
        if _is_far_inside(fixed, bound):
            return None
        if (every := self._listed()) is not None and not self.layout.given:
            rows = len(next(iter(every.values())))
            return self._of_rows({**self._at_rest(rows), **every}, parameters, rays, exclusive)[0]
        # The search begins at directions of single units and goes on with those in which the form is lowest.
        directions = np.eye(len(rays))[np.linspace(0, len(rays) - 1, _STARTS).astype(int)]
        for _ in range(_SWEEPS):
            held = self._worst(parameters, self._run(directions), 1 if self._is_settled_at_once else _SWEEPS)
            problem, directions = self._of_rows(held, parameters, rays, exclusive)
            if problem is not None:
                return problem
        return None

    def _run(self, directions: npt.NDArray[np.float64]) -> States:
        """Return the unbounded layers far out in these directions."""
        states = self._at_rest(len(directions))
        for coordinate, place in self.couplings.places(self.layout.sizes).items():
            far = _FAR * coordinate.sign * directions[:, place]
            name = coordinate.layer.name
            states[name] = states[name] + far if coordinate.side else far
        return states

    def _of_rows(
        self, states: States, parameters: Parameters, rays: npt.NDArray[np.bool_], exclusive: Any
    ) -> tuple[str | None, npt.NDArray[np.float64]]:
        """Return the first problem in rows of states, and for each row the direction in which the form is lowest."""
        rows, n = len(next(iter(states.values()))), len(rays)
        step = max(1, _VALUES // n**2)
        directions = np.zeros((rows, n))
        for first in range(0, rows, step):
            some = {name: value[first : first + step] for name, value in states.items()}
            forms = self.couplings.form(parameters, some, self.layout.sizes)
            if not _are_definite(forms):
                for form in forms:
                    if problem := self._refused(form, rays, exclusive):
                        return problem, directions
            directions[first : first + step] = np.linalg.eigh(forms)[1][:, :, 0]
        directions[:, rays] = np.abs(directions[:, rays])
        return None, directions

    def _refused(self, form: npt.NDArray[np.float64], rays: npt.NDArray[np.bool_], exclusive: Any) -> str | None:
        """Return the message about a form that is not positive or not shown to be; None where it is positive."""
        verdict = sign_on_cone(form, rays, exclusive)
        return None if verdict.positive else self._message(verdict.positive, verdict.value)

    def _message(self, positive: bool | None, value: float) -> str:
        layers = dict.fromkeys(coordinate.layer for coordinate in self.couplings.coordinates)
        names = [f"{layer.name} ({layer.unit})" for layer in layers]
        whose = f"layers {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"layer {names[0]}"
        smaller = "make the weights between them smaller" if len(names) > 1 else "make the weights within it smaller"
        shown = (
            "is not positive definite on their states"
            if positive is False
            else ("is not positive definite, and could not be shown to be so on their states")
        )
        return f"the quadratic form of {whose} {shown} (as low as {value:.3g} relative to the precisions); {smaller}"


def _are_definite(forms: npt.NDArray[np.float64]) -> bool:
    try:
        np.linalg.cholesky(forms)
    except np.linalg.LinAlgError:
        return False
    return True


def _is_far_inside(fixed: npt.NDArray[np.float64], bound: npt.NDArray[np.float64]) -> bool:
    """Return whether a form stays positive definite with any addition whose elements are at most ``bound``.

    It does if its lowest eigenvalue exceeds the bound's largest, both relative to the diagonal.
    """
    diagonal = np.diagonal(fixed)
    if not (diagonal > 0).all():
        return False
    scale = 1 / np.sqrt(diagonal)
    lowest, largest = (array * scale[:, None] * scale for array in (fixed, bound))
    return bool(np.linalg.eigvalsh(lowest)[0] > np.linalg.eigvalsh(largest)[-1])


def starting_values(layout: Layout, energy: Energy | None) -> dict[str, float]:
    """Return the value to start from, 0, 1 or −1, for every parameter with fewer than two axes.

    The values are the first combination for which the model has a Z when all other parameters are zero: 0 for a bias, 1
    for a deviation or a precision, −1 for the bias that makes a rate positive. If there is none, all are 0.
    """
    names = [name for name, axes in layout.kernels.parameters.items() if len(layer_axes(axes)) < 2]
    plain = dict.fromkeys(names, 0.0)
    kernels = layout.kernels.sized(**dict.fromkeys(layout.kernels.sizes, 2))
    small = Layout(kernels, dict.fromkeys(layout.sizes, 2))
    shapes = parameter_shapes(layout.kernels, small.sizes)
    conditions = convergence_of(small, energy)
    for values in product((0.0, 1.0, -1.0), repeat=min(len(names), 6)):
        chosen = plain | dict(zip(names, values, strict=False))
        parameters = {name: np.full(shape, chosen.get(name, 0.0)) for name, shape in shapes.items()}
        if _exists(small, parameters, conditions):
            return chosen
    return plain


def _exists(layout: Layout, parameters: dict[str, npt.NDArray[np.float64]], conditions: Convergence | None) -> bool:
    held = {layer: resting(layout, layer, 1, np.float64) for layer in layout.sizes}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if not np.isfinite(layout.kernels.energy(**held, **parameters)).all():
                return False
        except DivergentError:
            return False
        return conditions is None or conditions.problem(parameters) is None
