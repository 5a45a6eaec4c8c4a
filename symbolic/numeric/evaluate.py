"""Nodes computed at once, for whoever wants a few numbers and no module: NumPy, one array a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from symbolic.codegen.ir import Axis, Const, Contract, Equal, Load, Map, Node, OneHot, Reduce, Size
from symbolic.codegen.lower import CALLED
from symbolic.codegen.runtime import numpy, vectors

__all__ = ["evaluate", "magnitude"]

Array = npt.NDArray[Any]
_ARITHMETIC: dict[str, Callable[..., Array]] = {"mul": np.multiply, "add": np.add}
_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "neg": np.negative,
    "div": np.divide,
    "pow": np.power,
    **{name: getattr(np, name) for name in ("exp", "log", "sqrt", "tanh", "cos", "sin")},
    **{name: getattr(numpy, called) for name, called in CALLED.items() if hasattr(numpy, called)},
}


def evaluate(node: Node, arrays: Mapping[str, Array], sizes: Mapping[str, int]) -> Array:
    """The value of a node, with an axis for each of its own.

    Args:
        node: made of arguments, arithmetic and functions; no draw and no enumeration.
        arrays: the arguments by name; states of shape (rows, units), or (rows, units, components) of vectors.
        sizes: the number of units of each layer.
    """
    return _Evaluation(arrays, sizes).value(node)


def magnitude(node: Node, arrays: Mapping[str, Array], sizes: Mapping[str, int]) -> Array:
    """A bound of the absolute value of a node, whatever the signs of the states: sums of absolute values.

    ``arrays`` holds the largest absolute values of the states.
    """
    return _Magnitude(arrays, sizes).value(node)


class _Evaluation:
    def __init__(self, arrays: Mapping[str, Array], sizes: Mapping[str, int]):
        self.arrays, self.sizes = arrays, sizes
        self.known: dict[Node, Array] = {}
        self.axes: dict[Axis, int] = {}

    def value(self, node: Node) -> Array:
        if node not in self.known:
            self.known[node] = np.asarray(self.new(node))
        return self.known[node]

    def new(self, node: Node) -> Array:
        match node:
            case Load(name=name, index=index):
                array = self.arrays[name][tuple(slice(None) if isinstance(i, Axis) else i for i in index)]
                return np.einsum(array, [self._number(i) for i in index if isinstance(i, Axis)], self._numbers(node))
            case Const(value=value):
                return np.array(float(value))
            case Size(layer=layer):
                return np.array(float(self.sizes[layer]))
            case Contract(args=args):
                operands: list[Any] = [part for arg in args for part in (self.value(arg), self._numbers(arg))]
                return np.einsum(*operands, self._numbers(node), optimize=True)
            case Reduce(operation="sum", arg=arg, over=over):
                return self.value(arg).sum(axis=arg.axes.index(over))
            case Equal(layer=layer, index=index):
                places = [np.arange(self.sizes[layer]) if isinstance(i, Axis) else np.array([i]) for i in index]
                found = (places[0][:, None] == places[1]).astype(np.float64)
                return found[tuple(slice(None) if isinstance(i, Axis) else 0 for i in index)]
            case OneHot(states=states, labels=labels, label=label):
                found = vectors.one_hot(self.value(states), labels)
                return found if isinstance(label, Axis) else found[..., label]
            case Map(function=function, args=args):
                aligned = [self._aligned(self.value(arg), arg.axes, node.axes) for arg in args]
                if function == "copy":
                    shape = [
                        self.sizes.get(axis.layer, length)
                        for axis, length in zip(node.axes, aligned[0].shape, strict=True)
                    ]
                    return np.broadcast_to(aligned[0], shape)
                return self.mapped(function, aligned)
        raise AssertionError(node)

    def mapped(self, function: str, args: list[Array]) -> Array:
        if function in _ARITHMETIC:
            total = args[0]
            for arg in args[1:]:
                total = _ARITHMETIC[function](total, arg)
            return total
        return _FUNCTIONS[function](*args)

    def _number(self, axis: Axis) -> int:
        return self.axes.setdefault(axis, len(self.axes))

    def _numbers(self, node: Node) -> list[int]:
        return [self._number(axis) for axis in node.axes]

    @staticmethod
    def _aligned(array: Array, own: tuple[Axis, ...], axes: tuple[Axis, ...]) -> Array:
        order = sorted(range(len(own)), key=lambda place: axes.index(own[place]))
        return np.transpose(array, order)[tuple(slice(None) if axis in own else None for axis in axes)]


class _Magnitude(_Evaluation):
    """Sums of absolute values in the place of sums; what is neither a sum nor a product must not depend on states."""

    def __init__(self, arrays: Mapping[str, Array], sizes: Mapping[str, int]):
        super().__init__(arrays, sizes)
        self.exact = _Evaluation(arrays, sizes)

    def new(self, node: Node) -> Array:
        match node:
            case Contract() | Reduce() | Map(function="mul" | "add" | "copy"):
                return super().new(node)
            case Map(function="neg", args=(arg,)):
                return self.value(arg)
        return np.abs(self.exact.value(node))
