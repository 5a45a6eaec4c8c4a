"""The disk cache of generated modules: readable files, each named after the hash of what it holds.

A module's file name carries the hash of its source, of the runtimes that it calls (Numba builds their functions and
constants into its machine code) and of the versions of NumPy and Numba, so a file that is damaged, or was made for
other versions, is never taken for the one asked for. Files are written under another
name and moved into place: a process sees all of a file or none of it, and several may start at once. A small
*recipe* file beside the modules says which module an energy given by name leads to; its own name carries the
hash of all sources of this package, and with it the module can be loaded without deriving anything.

Numba keeps its machine code in ``__pycache__`` beside the modules; where that is damaged, it is compiled again. The
machine code of loops that are written by hand lies in the folder ``loops``
(:mod:`~symbolic.codegen.machine_code`).

The folder is, in this order: what the environment variable ``PGM_RBM_CACHE`` says; ``$XDG_CACHE_HOME/pgm-rbm``
or ``~/.cache/pgm-rbm``; on macOS ``~/Library/Caches/pgm-rbm``; on Windows ``%LOCALAPPDATA%\\pgm-rbm\\cache``.
If it cannot be written to, a temporary folder serves for the life of the process, and a warning says so.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import hashlib
import importlib
import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from symbolic.files import replacing

__all__ = [
    "OWN_LOOPS",
    "Contents",
    "Module",
    "announce_compiling",
    "cache_folder",
    "clear",
    "contents",
    "find",
    "find_recipe",
    "keep",
    "keep_recipe",
    "load",
    "load_afresh",
    "say_that_it_compiles",
]

OWN_LOOPS = "loops"
"""The folder, inside the cache folder, of the machine code of loops that are written by hand."""
_LENGTH = 20
_lock = threading.RLock()
_temporary: list[Path] = []


def cache_folder() -> Path:
    """The folder that generated modules are kept in, whether or not it exists yet."""
    if chosen := os.environ.get("PGM_RBM_CACHE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "pgm-rbm" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pgm-rbm"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache") / "pgm-rbm"


def find(name: str) -> Path | None:
    """The undamaged module of that file name, if there is one."""
    for folder in _folders():
        path = folder / name
        source = _read(path)
        if source is not None and path.stem.endswith(_fingerprint(source)):
            return path
    return None


def keep(label: str, source: str) -> Path:
    """Write a module, unless it is there already, and say where it is.

    Args:
        label: what the file name begins with; an identifier.
        source: of the module.
    """
    name = f"{label}_{_fingerprint(source)}.py"
    return find(name) or _write(name, source)


def load(path: Path) -> types.ModuleType:
    """The module in a file of this cache, imported once a process."""
    with _lock:
        known = sys.modules.get(path.stem)
        if known is not None and known.__file__ == str(path):
            return known
        module = types.ModuleType(path.stem)
        module.__file__ = str(path)
        # Compiled from the text that was verified, not from bytecode that may lie about.
        text = path.read_text(encoding="utf-8")
        code = compile(text, str(path), "exec")
        # Numba looks modules up by name when it loads machine code.
        sys.modules[path.stem] = module
        try:
            with _machine_code_beside(text):
                exec(code, module.__dict__)
        except BaseException:
            del sys.modules[path.stem]
            raise
        return module


@contextlib.contextmanager
def _machine_code_beside(text: str) -> Iterator[None]:
    """Have Numba keep the machine code of a module beside it, whatever ``NUMBA_CACHE_DIR`` says."""
    if "from numba import" not in text:
        yield
        return
    config = importlib.import_module("numba").config  # Numba takes 0.3 s to import, and the module does so anyway.
    before, config.CACHE_DIR = config.CACHE_DIR, ""
    try:
        yield
    finally:
        config.CACHE_DIR = before


def load_afresh(path: Path) -> types.ModuleType:
    """The module imported anew, the machine code that Numba keeps for it thrown away."""
    with _lock:
        for machine_code in (path.parent / "__pycache__").glob(f"{path.stem}.*.nb[ic]"):
            machine_code.unlink(missing_ok=True)
        sys.modules.pop(path.stem, None)
        return load(path)


def find_recipe(recipe: str) -> Path | None:
    """The module that a recipe led to with the sources this package now has, if it is still there and undamaged."""
    name = _recipe_name(recipe)
    for folder in _folders():
        module = _read(folder / name)
        if module is not None and Path(module.strip()).name == module.strip():
            return find(module.strip())
    return None


def keep_recipe(recipe: str, path: Path) -> None:
    """Remember that ``recipe`` leads to the module at ``path``."""
    _write(_recipe_name(recipe), path.name + "\n")


# A person who waits for a compilation is told so


def _tell_a_terminal(message: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(message + "\n")


_tell: Callable[[str], None] = _tell_a_terminal
_has_told = False


def announce_compiling(tell: Callable[[str], None]) -> None:
    """Choose who is told, in one sentence, when this process compiles for the first time.

    Unless somebody is chosen, the sentence goes to standard error if that is a terminal, and nowhere else, so that
    neither logs nor tests are disturbed. The command line always says it.
    """
    global _tell
    _tell = tell


def say_that_it_compiles() -> None:
    """Say once per process that machine code is being compiled; called when that begins."""
    global _has_told
    if not _has_told:
        _has_told = True
        _tell(f"compiling machine code (once; it is kept in {cache_folder()}) ...")


# What lies in the folder, for people


@dataclass(frozen=True)
class Module:
    """One generated module that is kept.

    Attributes:
        path: of the file.
        energy, target, layers: as the module says itself; layers with their units.
        size: of the file, in bytes.
        machine_code: size of what Numba keeps for it, in bytes.
    """

    path: Path
    energy: str
    target: str
    layers: dict[str, str]
    size: int
    machine_code: int


@dataclass(frozen=True)
class Contents:
    """What the folder holds.

    Attributes:
        modules: the generated modules.
        loops: the size of the machine code of loops written by hand, in bytes.
        size: of all files that are this package's own, in bytes.
    """

    modules: tuple[Module, ...]
    loops: int
    size: int


def contents() -> Contents:
    """The modules in the cache folder, by name, with what they say of themselves; none of them is run."""
    files = _own_files()
    sizes = {path: path.stat().st_size for path in files}
    modules = []
    for path in sorted(path for path in files if path.suffix == ".py"):
        said = _said(path)
        compiled = sum(size for other, size in sizes.items() if other.name.startswith(f"{path.stem}."))
        modules.append(
            Module(
                path,
                str(said.get("ENERGY", "")),
                str(said.get("TARGET", "")),
                dict(said.get("LAYERS", {})),
                sizes[path],
                compiled - sizes[path],
            )
        )
    loops = sum(size for path, size in sizes.items() if _OWN_LOOP.fullmatch(path.name))
    return Contents(tuple(modules), loops, sum(sizes.values()))


def clear() -> tuple[list[tuple[Path, int]], list[tuple[Path, str]]]:
    """Remove this package's own files from the cache folder, and the folder if nothing else is in it.

    Returns:
        the files removed with their sizes in bytes, and those that could not be, with the reason.
    """
    removed, failed = [], []
    for path in _own_files():
        try:
            size = path.stat().st_size
            path.unlink()
            removed.append((path, size))
        except OSError as error:
            failed.append((path, error.strerror or str(error)))
    for folder in (*_loop_folders(), cache_folder() / OWN_LOOPS, cache_folder() / "__pycache__", cache_folder()):
        with contextlib.suppress(OSError):  # it is not there, or not empty
            folder.rmdir()
    return removed, failed


# <label>_<hash>.py or .recipe, and Numba's <module>.<function>-<line>.py<version>.nbi or .nbc.
_MODULE = re.compile(rf"\w+_[0-9a-f]{{{_LENGTH}}}\.(py|recipe)")
_MACHINE_CODE = re.compile(rf"\w+_[0-9a-f]{{{_LENGTH}}}\.\w+-\d+\.py\d+\w*(\.\d+)?\.nb[ic]")
# And those of loops written by hand, of which the module's name carries no hash.
_OWN_LOOP = re.compile(r"[a-z_]+\.\w+-\d+\.py\d+\w*(\.\d+)?\.nb[ic]")


def _loop_folders() -> list[Path]:
    """The folders that Numba makes for the loops of each folder of sources."""
    try:
        return sorted(path for path in (cache_folder() / OWN_LOOPS).iterdir() if path.is_dir())
    except OSError:
        return []


def _own_files() -> list[Path]:
    """The files in the folder that this package wrote, going by their names."""
    folder = cache_folder()
    found = []
    places = [(folder, _MODULE), (folder / "__pycache__", _MACHINE_CODE)]
    for place, pattern in (*places, *((place, _OWN_LOOP) for place in _loop_folders())):
        try:
            paths = sorted(place.iterdir())
        except OSError:
            continue
        found += [path for path in paths if pattern.fullmatch(path.name) and path.is_file()]
    return found


def _said(path: Path) -> dict[str, Any]:
    """The constants that a module assigns, read and not run."""
    try:
        tree = ast.parse(_read(path) or "")
    except (SyntaxError, ValueError):
        return {}
    said = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.isupper():
                with contextlib.suppress(ValueError):
                    said[name] = ast.literal_eval(value)
    return said


def _recipe_name(recipe: str) -> str:
    digest = hashlib.sha256("\0".join((recipe, _versions(), _own_sources())).encode())
    return f"{recipe}_{digest.hexdigest()[:_LENGTH]}.recipe"


def _fingerprint(source: str) -> str:
    return hashlib.sha256("\0".join((source, _versions(), _runtimes())).encode()).hexdigest()[:_LENGTH]


@cache
def _versions() -> str:
    return " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "numba"))


@cache
def _own_sources() -> str:
    """The hash of every source file of the package ``symbolic``."""
    root = Path(__file__).resolve().parent.parent
    return _hash_of_files(root, root.rglob("*.py"))


@cache
def _runtimes() -> str:
    """The hash of the modules that generated ones import from."""
    root = Path(__file__).resolve().parent
    return _hash_of_files(root, (root / "runtime").glob("*.py"))


def _hash_of_files(root: Path, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _folders() -> list[Path]:
    return [cache_folder(), *_temporary]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _write(name: str, text: str) -> Path:
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _write_whole(folder / name, text)
    except OSError as error:
        return _write_whole(_temporary_folder(folder, error) / name, text)


def _write_whole(path: Path, text: str) -> Path:
    try:
        with replacing(path) as whole:
            whole.write_bytes(text.encode())
    except PermissionError:
        # Windows refuses to replace a file that another process has open; it holds the same text.
        if _read(path) != text:
            raise
    return path


def _temporary_folder(wanted: Path, error: OSError) -> Path:
    with _lock:
        if not _temporary:
            folder = Path(tempfile.mkdtemp(prefix="pgm-rbm-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            _temporary.append(folder)
            warnings.warn(
                f"the cache folder {wanted} cannot be written to ({error.strerror or error}), so generated modules "
                f"live in {folder} until this process ends and are compiled anew each time. Set PGM_RBM_CACHE to a "
                "folder you can write to.",
                stacklevel=2,
            )
        return _temporary[0]
