"""``pgm-rbm lecture``: a page in a file."""

from __future__ import annotations

from pathlib import Path

from tests.pgm_rbm.cli.program import PAIR, left_over, refused, run


def test_lecture_writes_a_page(here: Path) -> None:
    assert run("lecture", "page.html").stdout == "page.html\n"
    assert "<math" in (here / "page.html").read_text("utf-8")
    assert "--force" in refused("lecture", "page.html")
    run("lecture", "page.html", "--by", "b", "--force")
    assert ".html" in refused("lecture", "page.doc")
    assert "'q'" in refused("lecture", "other.html", "--by", "q")
    run("lecture", "counts.html", PAIR, "--visible", "v:poisson", "--by", "w")
    assert "relative to it" in (here / "counts.html").read_text("utf-8")
    assert "no finite sum" in refused("lecture", "other.html", PAIR, "--visible", "v:gaussian")
    assert not (here / "other.html").exists()
    assert left_over(here) == []
