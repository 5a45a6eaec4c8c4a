"""``python -m benchmarks.house [CHECKOUT]``: measures of the code itself, and where each is above its limit.

The script reads source text and imports nothing of it, so that it also measures another checkout, older or newer.
`tests/test_house.py` holds these measures to their limits.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGES = ("symbolic", "pgm_rbm")
# The rooms of each package from the ground up: a room imports rooms of lower floors and none of its own.
FLOORS = (
    ("symbolic.errors", "symbolic.files", "symbolic.verbs"),
    ("symbolic.language", "symbolic.units"),
    ("symbolic.derivation", "symbolic.energies"),
    ("symbolic.check", "symbolic.notation", "symbolic.codegen"),
    ("symbolic.lecture", "symbolic.numeric", "symbolic.testing"),
    ("symbolic.face",),
    ("symbolic",),
    ("pgm_rbm.errors",),
    ("pgm_rbm.machine",),
    ("pgm_rbm.model",),
    ("pgm_rbm.sampling",),
    ("pgm_rbm.partition",),
    ("pgm_rbm.exact",),
    ("pgm_rbm.learning", "pgm_rbm.graph"),
    ("pgm_rbm.formats", "pgm_rbm.data"),
    ("pgm_rbm.face",),
    ("pgm_rbm.rbm",),
    ("pgm_rbm",),
    ("pgm_rbm.interop", "pgm_rbm.compositions", "pgm_rbm.plots", "pgm_rbm.testing"),
    ("pgm_rbm.demo",),
    ("pgm_rbm.cli",),
)
# Two rooms of a floor that lean on each other: a layer has a unit, whose mathematics is written in the language.
NEIGHBOURS = {frozenset({"symbolic.language", "symbolic.units"})}
# What would be downstairs and is kept apart all the same: drivers know arrays and kernels, and nothing of SymPy.
APART = {
    ("symbolic.lecture", "symbolic.codegen"): "lectures print derivations, and never code",
    **{
        (f"pgm_rbm.{driver}", f"symbolic.{room}"): "drivers know arrays and kernels, and nothing of SymPy"
        for driver in ("machine", "sampling", "partition", "exact", "learning")
        for room in ("language", "derivation", "check", "notation", "lecture", "face")
    },
}
# Where a person meets the packages: methods of many keywords and long docstrings, imports when they are needed.
FACES = (
    "symbolic/face.py",
    "symbolic/codegen/kernels.py",
    "pgm_rbm/face/",
    "pgm_rbm/rbm.py",
    "pgm_rbm/graph/model.py",
    "pgm_rbm/cli/",
)
# Packages that a person may not have; and two that cost those who do not need them 45 and 110 ms of processor time
# (2-core Xeon, 2026-12): rich, for those who watch a bar, and networkx, for those who ask a graph. Everything else is
# imported at the head of a file.
OPTIONAL = (
    "rich",
    "networkx",
    "matplotlib",
    "pgmpy",
    "dimod",
    "sklearn",
    "distributed",
    "torch",
    "thrml",
    "typst",
    "nbformat",
)
# What loads SymPy, which takes 0.3 s (2 cores, 2026-12): a model of the pairwise energy does without.
LOADS_SYMPY = (
    "pgm_rbm.model.of_energy",
    "pgm_rbm.model.convergence",
    "pgm_rbm.exact.elimination.of_energy",
    "symbolic.language.as_data",
)
# What loads Numba, 0.15 s beside NumPy (2 cores, 2026-12), and has it compile for a second: kernels of target "numpy",
# and answers found without products, do without.
LOADS_NUMBA = ("pgm_rbm.exact.enumeration.product_loops",)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Finding:
    """A place in the code, how large what stands there is, and what it is."""

    path: str
    line: int
    size: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Import:
    """An import of one module by another: its line, and whether it stands in a function or for type checkers only."""

    by: str
    of: str
    line: int
    lazy: bool
    typing: bool


@dataclass(frozen=True)
class Module:
    """A file: its dotted name, its path from the root of the checkout and its text."""

    name: str
    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def is_package(self) -> bool:
        return self.path.endswith("__init__.py")

    @cached_property
    def nodes(self) -> Sequence[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def is_face(self) -> bool:
        return self.path.startswith(FACES) or self.is_package

    @property
    def functions(self) -> Iterator[Function]:
        return (node for node in self.nodes if isinstance(node, Function))


def modules(root: Path, packages: Sequence[str] = PACKAGES) -> dict[str, Module]:
    """Return the modules of the packages below ``root``, by dotted name."""
    found = {}
    for package in packages:
        for file in sorted((root / package).rglob("*.py")):
            path = file.relative_to(root)
            parts = path.parent.parts if path.name == "__init__.py" else (*path.parent.parts, path.stem)
            found[".".join(parts)] = Module(".".join(parts), path.as_posix(), file.read_text(encoding="utf-8"))
    return found


# -- Imports and circles -----------------------------------------------------------------------------------------------


def imports(house: dict[str, Module]) -> list[Import]:
    """Return every import of a module of the house by another, those in functions and for types included."""
    return [one for module in house.values() for one in _imports_of(module, module.tree, house, False, False)]


def _imports_of(module: Module, node: ast.AST, house: dict[str, Module], lazy: bool, typing: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            for name in dict.fromkeys(_imported(module, child, house)):
                if name != module.name:
                    yield Import(module.name, name, child.lineno, lazy, typing)
            continue
        types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from _imports_of(module, child, house, lazy or isinstance(child, Function), typing or types)


def _imported(module: Module, node: ast.Import | ast.ImportFrom, house: dict[str, Module]) -> Iterator[str]:
    """Return the modules that a statement names; ``from a import b`` names a.b where that is a module, and else a."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in house)
        return
    base = node.module or ""
    if node.level:
        parts = module.name.split(".")
        above = parts[: len(parts) - node.level + module.is_package]
        base = ".".join([*above, *filter(None, [node.module])])
    for alias in node.names:
        full = f"{base}.{alias.name}"
        if full in house:
            yield full
        elif base in house:
            yield base


def room(name: str) -> str:
    """Return the room that a module belongs to, the longest of `FLOORS` that its name begins with."""
    parts = name.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((one for one in names if one in _FLOOR_OF and (one not in PACKAGES or one == name)), "")


_FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}


def misplaced(house: dict[str, Module]) -> list[Finding]:
    """Return the imports that run up or along a floor, and those between rooms that are kept apart."""
    return [
        Finding(house[one.by].path, one.line, 1, f"{one.by} imports {one.of}: {why}")
        for one in imports(house)
        for why in [_misplaced(room(one.by), room(one.of), one)]
        if why
    ]


def _misplaced(by: str, of: str, one: Import) -> str:
    for name, found in ((one.by, by), (one.of, of)):
        if not found:
            return f"{name} stands on no floor of FLOORS"
    if by == of or {by, of} in NEIGHBOURS:
        return ""
    if _FLOOR_OF[by] > _FLOOR_OF[of]:
        return APART.get((by, of), "")
    return f"{by} stands on floor {_FLOOR_OF[by]} and {of} on floor {_FLOOR_OF[of]}"


def circles(found: Sequence[Import]) -> list[list[str]]:
    """Return the sets of modules that import each other, directly or not, the largest first (Tarjan 1972)."""
    below: dict[str, list[str]] = {}
    for one in found:
        below.setdefault(one.by, []).append(one.of)
        below.setdefault(one.of, [])
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    closed: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in below[name]:
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            start = stack.index(name)
            closed.append(sorted(stack[start:]))
            del stack[start:]

    for name in sorted(below):
        if name not in order:
            visit(name)
    return sorted((circle for circle in closed if len(circle) > 1), key=len, reverse=True)


def lazy_imports(house: dict[str, Module]) -> list[Finding]:
    """Return the import statements inside functions, of whatever they import."""
    return [
        Finding(module.path, line, 1, text)
        for module in house.values()
        for line, text in sorted(
            {
                (node.lineno, ast.unparse(node))
                for function in module.functions
                for node in ast.walk(function)
                if isinstance(node, (ast.Import, ast.ImportFrom))
            }
        )
    ]


# -- Sizes -------------------------------------------------------------------------------------------------------------


def module_sizes(house: dict[str, Module]) -> list[Finding]:
    """Return the lines of each module."""
    return [Finding(one.path, 1, one.lines, f"{one.lines} lines") for one in house.values()]


def class_sizes(house: dict[str, Module]) -> list[Finding]:
    """Return the lines of each class."""
    return [
        Finding(module.path, node.lineno, size, f"class {node.name} has {size} lines")
        for module in house.values()
        for node in module.nodes
        if isinstance(node, ast.ClassDef) and (size := _lines(node))
    ]


def function_sizes(house: dict[str, Module]) -> list[Finding]:
    """Return the lines of each function, without its docstring."""
    return [
        Finding(module.path, node.lineno, size, f"{node.name} has {size} lines")
        for module in house.values()
        for node in module.functions
        for size in [_lines(node) - (_lines(node.body[0]) if ast.get_docstring(node, clean=False) else 0)]
    ]


def arguments(house: dict[str, Module]) -> list[Finding]:
    """Return the number of arguments of each function, self and cls not counted."""
    return [
        Finding(module.path, node.lineno, size, f"{node.name} takes {size} arguments")
        for module in house.values()
        for node in module.functions
        for size in [_argument_count(node)]
    ]


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _argument_count(node: Function) -> int:
    given = node.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if one]
    return len(names) - (names[:1] in (["self"], ["cls"]))


# -- Names and comments ------------------------------------------------------------------------------------------------


def crossing_names(house: dict[str, Module]) -> list[Finding]:
    """Return the uses of a name with a leading underscore that only other modules of the house define.

    A class may use what the class it extends keeps for itself, through ``self``.
    """
    own = {name: set(_defined(module)) for name, module in house.items()}
    return [
        Finding(module.path, line, 1, f"{text} is private to {home}")
        for module in house.values()
        for line, name, text in _private_uses(module, house)
        if name not in own[module.name] and name not in _HOOKS
        for home in [next((house[other].path for other, names in own.items() if name in names), None)]
        if home
    ]


# SymPy's printers have nodes call these on them.
_HOOKS = {"_print"}


def _defined(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__":
            yield from (str(one.value) for one in ast.walk(node.value) if isinstance(one, ast.Constant))


def _private_uses(module: Module, house: dict[str, Module]) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the name and the text of each use of a private name that is not one of ``self``."""
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and any(_imported(module, node, house)):
            yield from ((node.lineno, one.name, one.name) for one in node.names if _is_private(one.name))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and _is_private(node.attr):
            text = ast.unparse(node)
            if text.split("._")[0] not in ("self", "cls"):
                yield node.lineno, node.attr, text


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")


def comment_share(house: dict[str, Module]) -> tuple[int, int]:
    """Return the lines that are comments and the lines of code, docstrings and blank lines not counted."""
    comments = code = 0
    skipped = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING)
    for module in house.values():
        docstrings = {
            line
            for node in module.nodes
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
            for line in range(node.lineno, (node.end_lineno or 0) + 1)
        }
        with_code: set[int] = set()
        with_comment: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            if token.type == tokenize.COMMENT:
                with_comment.add(token.start[0])
            elif token.type not in skipped:
                with_code.update(range(token.start[0], token.end[0] + 1))
        code += len(with_code - docstrings)
        comments += len(with_comment - with_code)
    return comments, code


# -- The table ---------------------------------------------------------------------------------------------------------

MEASURES: Sequence[tuple[str, Callable[[dict[str, Module]], list[Finding]], int]] = (
    ("modules above 500 lines", module_sizes, 500),
    ("modules above 600 lines", module_sizes, 600),
    ("classes above 300 lines", class_sizes, 300),
    ("classes above 400 lines", class_sizes, 400),
    ("functions above 60 lines", function_sizes, 60),
    ("functions of more than 8 arguments", arguments, 8),
    ("imports inside functions", lazy_imports, 0),
    ("imports up, along or apart", misplaced, 0),
    ("uses of another module's private name", crossing_names, 0),
)


def table(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each measure of the checkout at ``root``."""
    house = modules(root)
    for package in PACKAGES:
        inside = [one for one in house.values() if one.name.split(".")[0] == package]
        yield f"lines of {package}", f"{sum(one.lines for one in inside):,} in {len(inside)} files"
    yield "lines of both", f"{sum(one.lines for one in house.values()):,}"
    sizes = [one.size for one in function_sizes(house)]
    yield "functions", f"{len(sizes):,}, median {statistics.median(sizes):g} lines"
    for name, measure, limit in MEASURES:
        above = sorted((one for one in measure(house) if one.size > limit), key=lambda one: -one.size)
        files = len({one.path for one in above})
        largest = f"; {', '.join(str(one.size) for one in above[:6])}" if limit and above else ""
        yield name, f"{len(above)} in {files} files{largest}"
    found = circles(imports(house))
    yield "import circles", f"{len(found)}, of {', '.join(str(len(one)) for one in found)} files" if found else "0"
    comments, code = comment_share(house)
    yield "comment lines", f"{comments:,} beside {code:,} lines of code, {100 * comments / code:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.house", description=__doc__.split("\n")[0])
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(), help="its root; here by default")
    parser.add_argument("--where", action="store_true", help="list the places behind each number as well")
    chosen = parser.parse_args()
    for name, value in table(chosen.checkout):
        print(f"{name:40} {value}")
    if chosen.where:
        house = modules(chosen.checkout)
        for name, measure, limit in MEASURES:
            print(f"\n{name}")
            print(*(f"  {one}" for one in measure(house) if one.size > limit), sep="\n")
        print("\nimport circles")
        print(*(f"  {' '.join(circle)}" for circle in circles(imports(house))), sep="\n")


if __name__ == "__main__":
    main()
