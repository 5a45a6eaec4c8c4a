"""From an energy to its kernels: derive, lower, print, keep on disk, import.

:func:`compile_energy` does all of it for an energy at hand. :func:`ready_made` serves the energies that have a
name: once such a module is in the cache, neither SymPy nor a derivation is needed to load it.
:mod:`~symbolic.codegen.cache` says where modules are kept and when they are made anew.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import threading
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import TYPE_CHECKING

from symbolic import units
from symbolic.codegen import cache
from symbolic.codegen.kernels import Kernels, kernels_from_source
from symbolic.errors import SymbolicError

if TYPE_CHECKING:
    from symbolic.language.energy import Energy

__all__ = ["TARGETS", "Kernels", "compile_energy", "generate", "kernels_from_source", "ready_made"]

# Each target's module has a function ``emit`` from a program to source.
_EMITTERS = {
    "numba": "codegen.targets.numba",
    "numpy": "codegen.targets.numpy",
    "array-api": "codegen.targets.array_api",
}
TARGETS = tuple(_EMITTERS)

# Names of the functions of symbolic.energies, with the default unit of each layer they take one for.
_READY_MADE: dict[str, dict[str, str]] = {
    "pairwise": {"visible": "binary", "hidden": "binary"},
    "lecture": {},
}

_lock = threading.RLock()
_built: dict[object, Kernels] = {}


def generate(energy: Energy, target: str = "numba") -> str:
    """The source of the module with all functions of an energy.

    Args:
        energy: what to generate for.
        target: ``"numba"``, ``"numpy"`` or ``"array-api"`` (arrays of any library that follows that standard).

    Raises:
        LoweringError: a derived expression has no counterpart in generated code.
        SymbolicError: there is no such target.
    """
    _checked_target(target)
    program = _with_sympy("codegen.program").program(energy)
    source: str = _with_sympy(_EMITTERS[target]).emit(program)
    return source


def _with_sympy(module: str) -> ModuleType:
    """A module of this package that is not imported before a module has to be generated: SymPy and the derivation take
    0.3 s to load (2 cores, 2026-12), and kernels that are kept need neither."""
    return importlib.import_module(f"symbolic.{module}")


def compile_energy(energy: Energy, target: str = "numba") -> Kernels:
    """The kernels of an energy. Numba compiles each function when it is first called, unless the disk has it.

    Args:
        energy: what to generate for.
        target: ``"numba"``, ``"numpy"`` or ``"array-api"`` (arrays of any library that follows that standard).

    Raises:
        LoweringError: a derived expression has no counterpart in generated code.
        SymbolicError: there is no such target.
    """
    _checked_target(target)
    with _lock:
        kinds = [layer.unit for layer in energy.layers.values()]
        key = (energy, target, *map(units.lookup, kinds))
        if key not in _built:
            described = hashlib.sha256(_description(energy).encode()).hexdigest()[:12]
            recipe = f"energy_{described}_{target.replace('-', '_')}"
            _built[key] = _kept(recipe, kinds, lambda: generate(energy, target))
        return _built[key]


def _description(energy: Energy) -> str:
    """All that tells an energy from another one: its text, and what the text is read with."""
    roles = [[(layer.name, layer.unit) for layer in side] for side in (energy.visible, energy.hidden, energy.given)]
    parameters = [(p.name, [axis.name for axis in p.layers], p.symmetric) for p in energy.parameters.values()]
    return repr((str(energy.expression), roles, parameters))


def _kept(recipe: str, kinds: Iterable[str], make: Callable[[], str]) -> Kernels:
    """The kernels that a recipe has led to before, or that are made now; what is made is remembered by its recipe.

    With units of another package they are derived in every process: their rows may have changed since.
    """
    lasting = all(map(units.is_own, kinds))
    path = cache.find_recipe(recipe) if lasting else None
    if path is None:
        path = cache.keep(recipe, make())
        if lasting:
            cache.keep_recipe(recipe, path)
    return Kernels(cache.load(path), path, path.read_text(encoding="utf-8"))


def ready_made(name: str, *, visible: str | None = None, hidden: str | None = None, target: str = "numba") -> Kernels:
    """The kernels of an energy of :mod:`symbolic.energies`, from the cache if it is there.

    Args:
        name: of the function that makes the energy, such as ``"pairwise"``.
        visible, hidden: units of the layers, for energies that leave them open; binary by default.
        target: ``"numba"``, ``"numpy"`` or ``"array-api"`` (arrays of any library that follows that standard).

    Raises:
        SymbolicError: there is no such energy, unit or target; the message lists those there are.
    """
    _checked_target(target)
    if name not in _READY_MADE:
        raise SymbolicError(f"there is no ready-made energy {name!r}; there are: {', '.join(_READY_MADE)}.")
    chosen = dict(_READY_MADE[name])
    for side, unit in (("visible", visible), ("hidden", hidden)):
        if unit is None:
            continue
        if side not in chosen:
            raise SymbolicError(f"the energy {name!r} has fixed units; leave out {side}={unit!r}.")
        chosen[side] = units.lookup(unit).name
    recipe = "_".join((name, *map(_in_file_names, chosen.values()), target.replace("-", "_")))

    def make() -> str:
        return generate(getattr(_with_sympy("energies"), name)(**chosen), target)

    with _lock:
        key = (recipe, *map(units.lookup, chosen.values()))
        if key not in _built:
            _built[key] = _kept(recipe, chosen.values(), make)
        return _built[key]


def _in_file_names(unit: str) -> str:
    """A unit's name as part of a file's: no signs that a file system, or Numba's patterns, take for their own."""
    if unit.isidentifier():
        return unit
    plain = re.sub(r"\W+", "-", unit).strip("-")
    return f"{plain}-{hashlib.sha256(unit.encode()).hexdigest()[:8]}"


def _checked_target(target: str) -> None:
    if target not in TARGETS:
        raise SymbolicError(f"there is no target {target!r}; there are: {', '.join(TARGETS)}.")
