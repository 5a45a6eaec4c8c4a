"""The disk cache: found without SymPy, safe when several start at once, rebuilt when damaged."""

from __future__ import annotations

import hashlib
import os
import re
import string
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from symbolic.codegen import build, cache

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.txt"))
PROGRAM = """
import sys
import numpy as np
from symbolic.codegen.build import ready_made
kernels = ready_made("pairwise", target=sys.argv[1])
mean = kernels.mean("h", np.ones((2, 3)), a=np.zeros(3), b=np.zeros(2), w=np.arange(6.0).reshape(3, 2))
print("sympy" in sys.modules, "numba" in sys.modules, kernels.path, mean.tolist())
"""


def start(folder: Path, target: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, target],
        env={**os.environ, "PGM_RBM_CACHE": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and a builder that remembers nothing."""
    monkeypatch.setenv("PGM_RBM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "_built", {})
    return tmp_path / "cache"


def test_two_processes_at_once_and_then_one_without_sympy(tmp_path: Path) -> None:
    first = [start(tmp_path, "numba"), start(tmp_path, "numba")]
    answers = [finish(process) for process in first]
    assert answers[0] == answers[1]
    assert answers[0].startswith("True True")
    assert len(list(tmp_path.glob("*.py"))) == 1
    assert not list(tmp_path.glob(".*"))  # no half-written file is left
    again = finish(start(tmp_path, "numba"))
    assert again == answers[0].replace("True True", "False True", 1)


def test_numpy_kernels_need_neither_sympy_nor_numba(fresh: Path) -> None:
    build.ready_made("pairwise", target="numpy")
    assert finish(start(fresh, "numpy")).startswith("False False")


def test_a_damaged_module_is_rebuilt(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build.ready_made("pairwise", target="numpy").path
    source = path.read_text(encoding="utf-8")
    for damage in (source[:100], source.replace("+ b", "- b"), ""):
        path.write_text(damage, encoding="utf-8")
        monkeypatch.setattr(build, "_built", {})
        kernels = build.ready_made("pairwise", target="numpy")
        assert kernels.path == path
        assert kernels.source == path.read_text(encoding="utf-8") == source


def test_damaged_machine_code_is_compiled_again(tmp_path: Path) -> None:
    first = finish(start(tmp_path, "numba"))
    for ending in ("nbi", "nbc"):
        for path in (tmp_path / "__pycache__").glob(f"*.{ending}"):
            path.write_bytes(path.read_bytes()[:50])
        again = finish(start(tmp_path, "numba"))
        assert again.split(" ", 1)[1] == first.split(" ", 1)[1]


@pytest.mark.parametrize("error", [MemoryError, KeyError, IndexError])
def test_errors_of_a_computation_are_not_taken_for_damage(error: type[Exception], fresh: Path) -> None:
    kernels = build.ready_made("pairwise", target="numpy")
    calls = []

    def failing(v: np.ndarray, b: np.ndarray, w: np.ndarray) -> None:
        calls.append(v)
        raise error("no room")

    vars(kernels._module)["mean_of_h"] = failing
    with pytest.raises(error, match="no room"):
        kernels.mean("h", np.ones((1, 3)), a=np.zeros(3), b=np.zeros(2), w=np.zeros((3, 2)))
    assert len(calls) == 1


def test_a_damaged_recipe_is_rebuilt(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = build.ready_made("pairwise", target="numpy")
    (recipe,) = fresh.glob("*.recipe")
    for damage in (b"", b"../../elsewhere.py", b"\xff\xfe", b"nowhere.py"):
        recipe.write_bytes(damage)
        monkeypatch.setattr(build, "_built", {})
        assert build.ready_made("pairwise", target="numpy").path == kernels.path
        assert recipe.read_text(encoding="utf-8").strip() == kernels.path.name


def test_other_versions_and_other_sources_make_other_files(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cache.keep("some", "x = 1\n")
    assert cache.find(path.name) == path
    assert cache.keep("some", "x = 2\n") != path
    cache.keep_recipe("recipe", path)
    assert cache.find_recipe("recipe") == path
    monkeypatch.setattr(cache, "_own_sources", lambda: "changed")
    assert cache.find_recipe("recipe") is None
    monkeypatch.setattr(cache, "_runtimes", lambda: "a constant changed")  # Numba has built it into machine code
    assert cache.find(path.name) is None
    later = cache.keep("some", "x = 1\n")
    assert later != path
    monkeypatch.setattr(cache, "_versions", lambda: "numpy 99 numba 99")
    assert cache.find(later.name) is None
    assert cache.keep("some", "x = 1\n") not in (path, later)


def test_every_module_that_generated_ones_import_from_is_part_of_their_names() -> None:
    imported = set(re.findall(r"from symbolic\.codegen\.(\S+) import", "".join(map(Path.read_text, GOLDEN))))
    assert imported >= {"runtime.streams", "runtime.numba", "runtime.numpy"}
    root = Path(cache.__file__).parent
    pieces = sorted((root / "runtime").glob("*.py"))
    assert imported <= {f"runtime.{path.stem}" for path in pieces}
    digest = hashlib.sha256()
    for path in pieces:
        digest.update(f"runtime/{path.name}".encode() + path.read_bytes())
    assert cache._runtimes() == digest.hexdigest()


UNIT = """
from symbolic.language.functions import Logsumexp
from symbolic.units import Finite, Unit
mine = Unit("mine", Finite({states}), lambda phi: Logsumexp(*map(phi, {states})), "one of two numbers")
"""
THEIRS = """
import numpy as np
from symbolic import energies
from symbolic.codegen.build import ready_made
given = dict(a=np.zeros(1), b=np.zeros(1), w=np.zeros((1, 1)))
by_name = ready_made("pairwise", hidden="mine", target="numpy")
for kernels in (by_name, energies.pairwise("binary", "mine").compile("numpy")):
    print(kernels.mean("h", np.zeros((1, 1)), **given).tolist())
"""


def test_kernels_follow_a_unit_of_another_package(tmp_path: Path) -> None:
    info = tmp_path / "their_units-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-units\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pgm_rbm.units]\nmine = their_units:mine\n")
    path = os.pathsep.join([str(tmp_path), str(Path(cache.__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path, "PGM_RBM_CACHE": str(tmp_path / "cache")}
    for states, mean in (((1, 3), 2.0), ((1, 4), 2.5)):
        (tmp_path / "their_units.py").write_text(UNIT.format(states=states))
        command = [sys.executable, "-B", "-c", THEIRS]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert run.stdout.split() == 2 * [f"[[{mean}]]"], run.stderr


def test_a_folder_that_cannot_be_written_to_is_replaced_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PGM_RBM_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(build, "_built", {})
    monkeypatch.setattr(cache, "_temporary", [])
    with pytest.warns(UserWarning, match=r"cannot be written to .* Set PGM_RBM_CACHE"):
        kernels = build.ready_made("pairwise", target="numpy")
    assert kernels.path.exists()
    assert kernels.path.parent != tmp_path
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough
        build.ready_made("pairwise", visible="spin", target="numpy")
    v = np.ones((1, 3))
    assert kernels.mean("h", v, a=np.zeros(3), b=np.zeros(2), w=np.zeros((3, 2))).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/pgm-rbm"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "~/.cache/pgm-rbm"),
        ("linux", {}, "~/.cache/pgm-rbm"),
        ("darwin", {}, "~/Library/Caches/pgm-rbm"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/pgm-rbm/cache"),
        ("linux", {"PGM_RBM_CACHE": "~/own"}, "~/own"),
    ],
)
def test_the_folder_follows_the_platform(
    platform: str, environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CACHE_HOME", "PGM_RBM_CACHE", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache.cache_folder() == Path(expected).expanduser()


@pytest.mark.parametrize("unit", ["{-1, 0, 1}", "gamma(5/2)", "{1/2, 3}"])
def test_units_whose_names_are_no_file_names(unit: str) -> None:
    kernels = build.ready_made("pairwise", visible="binary", hidden=unit)
    parameters = {"a": np.zeros(2), "b": np.full(3, -1.0), "w": np.zeros((2, 3))}
    drawn = kernels.sample("h", np.zeros((4, 2)), 0, **parameters)  # compiled code is cached under the module's name
    assert drawn.shape == (4, 3)
    assert set(kernels.path.name) <= set(string.ascii_letters + string.digits + "-_.")


LOOP = """
import sys
from symbolic.codegen.machine_code import compiled
from symbolic.codegen import cache

@compiled(nogil=True)
def loop(n):
    return n + 1

if len(sys.argv) > 1:
    cache.announce_compiling(print)
cache.say_that_it_compiles()
cache.say_that_it_compiles()
print(loop(1), cache.contents().loops > 0, len(cache.clear()[0]), cache.contents().size)
"""


def test_machine_code_of_loops_written_by_hand_lies_in_the_cache_and_is_cleared(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(LOOP)
    path = str(Path(cache.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": path, "PGM_RBM_CACHE": str(tmp_path / "cache"), "NUMBA_CACHE_DIR": "no"}
    run = subprocess.run([sys.executable, program, "x"], env=environment, capture_output=True, text=True, check=True)
    said, answer = run.stdout.splitlines()  # said once
    assert said.startswith("compiling machine code (once; it is kept in ")
    assert answer == "2 True 2 0"
    assert not (tmp_path / "cache").exists()
    quiet = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=True)
    assert quiet.stdout.splitlines() == [answer]
    assert quiet.stderr == ""  # it is not a terminal
