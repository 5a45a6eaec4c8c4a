"""Parameters of an energy: arrays with an axis per layer, and their entries."""

from __future__ import annotations

from typing import Any

from sympy import Expr, S
from sympy.core.basic import Atom, Basic

from symbolic.errors import EnergyError
from symbolic.language.expressions import Delta, Unassuming
from symbolic.language.layers import Layer, checked_index, checked_name

__all__ = ["Entry", "Parameter"]


class Parameter(Atom):
    """An array of parameters with one axis per layer named: ``Parameter("w", v, h)`` holds w_ij.

    ``symmetric=True`` (two axes over the same layer) makes w_ij and w_ji one parameter, with no diagonal.
    """

    __slots__ = ("layers", "name", "symmetric")
    name: str
    layers: tuple[Layer, ...]
    symmetric: bool

    def __new__(cls, name: str, *layers: Layer, symmetric: bool = False) -> Parameter:
        for layer in layers:
            if not isinstance(layer, Layer):
                raise EnergyError(f"parameter {name} is indexed by layers. Got {layer!r}.")
        if symmetric and (len(layers) != 2 or layers[0] != layers[1]):
            raise EnergyError(f"parameter {name} can be symmetric only with two axes over one layer.")
        self = Basic.__new__(cls)
        self.name = checked_name("parameter", name)
        self.layers = layers
        self.symmetric = symmetric
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.name, *self.layers

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild_parameter, (self.name, self.layers, self.symmetric)

    def _hashable_content(self) -> tuple[Any, ...]:
        return self.name, self.layers, self.symmetric

    @property
    def free_symbols(self) -> set[Basic]:
        return {self}

    def __getitem__(self, indices: Any) -> Entry:
        return Entry(self, *(indices if isinstance(indices, tuple) else (indices,)))

    def __iter__(self) -> Any:
        raise TypeError(f"parameter {self.name} has a symbolic size; sum over an index instead.")

    def _sympystr(self, printer: Any) -> str:
        return self.name


def _rebuild_parameter(name: str, layers: tuple[Layer, ...], symmetric: bool) -> Parameter:
    return Parameter(name, *layers, symmetric=symmetric)


class Entry(Unassuming):
    """One entry of a parameter, w_ij; what a derivative is taken with respect to."""

    is_symbol = True  # SymPy then differentiates by it directly, instead of replacing it by a dummy first
    _diff_wrt = True

    def __new__(cls, parameter: Parameter, *indices: Any) -> Expr:
        if len(indices) != len(parameter.layers):
            axes = ", ".join(layer.name for layer in parameter.layers) or "none"
            raise EnergyError(
                f"parameter {parameter.name} has {len(parameter.layers)} axes ({axes}); it was given "
                f"{len(indices)} indices."
            )
        checked = [
            checked_index(i, layer, parameter.name, axis)
            for axis, (i, layer) in enumerate(zip(indices, parameter.layers, strict=True), 1)
        ]
        if parameter.symmetric:
            if checked[0] == checked[1]:
                return S.Zero
            checked.sort(key=lambda i: i.sort_key())
        return Expr.__new__(cls, parameter, *checked)

    parameter = property(lambda self: self.args[0])
    indices = property(lambda self: self.args[1:])

    @property
    def free_symbols(self) -> set[Basic]:
        # The parameter has to be among the free symbols: SymPy's diff answers 0 without looking otherwise.
        return {self.parameter}.union(*(i.free_symbols for i in self.indices))

    def _eval_derivative(self, by: Expr) -> Expr:
        if not isinstance(by, Entry) or by.parameter != self.parameter:
            return S.Zero
        result = _delta_product(self.indices, by.indices)
        if self.parameter.symmetric:
            result += _delta_product(self.indices, by.indices[::-1])
        return result

    def _sympystr(self, printer: Any) -> str:
        indices = ", ".join(map(printer._print, self.indices))
        return f"{self.parameter.name}[{indices}]" if indices else self.parameter.name


def _delta_product(left: tuple[Expr, ...], right: tuple[Expr, ...]) -> Expr:
    result: Expr = S.One
    for a, b in zip(left, right, strict=True):
        result *= Delta(a, b)
    return result
