"""Every Python and bash block of the README and of docs/ runs, in order, one page after another in a folder of its own.

A block's expected output stands in a ``text`` block right after it and is compared line by line, "..." matching
anything. A page whose first line is an HTML comment naming an extra is skipped where the extra is not installed.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(text: str) -> list[tuple[str, str, int]]:
    return [(m[1], m[2], text.count("\n", 0, m.start()) + 2) for m in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text(encoding="utf-8")
    needed = re.match(r"<!-- needs: (\w+) -->", text)
    if needed:
        pytest.importorskip(needed[1])
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    output: str | None = None
    checker = doctest.OutputChecker()
    for language, code, line in _blocks(text):
        if language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)
            output = printed.getvalue()
        elif language == "bash":
            path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
            run = subprocess.run(
                ["bash", "-e", "-c", code],
                env={**os.environ, "PATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
            assert run.returncode == 0, f"{page.name}:{line}: status {run.returncode}\n{run.stderr}"
            output = run.stdout
        elif language == "text" and output is not None:
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert checker.check_output(code, output, flags), f"{page.name}:{line}: got\n{output}"
            output = None
        else:
            output = None


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in readme]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
