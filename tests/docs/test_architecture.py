"""The picture of the house is the one that the code draws."""

from __future__ import annotations

from benchmarks.house import modules
from docs.draw_architecture import PICTURE, ROOT, drawing


def test_the_picture_shows_the_imports_as_they_are() -> None:
    assert PICTURE.read_text(encoding="utf-8") == drawing(modules(ROOT)), (
        "files or imports have changed since docs/architecture.svg was drawn. Run python -m docs.draw_architecture."
    )
