"""What the feature table points at is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FOLDERS = ("webapp/", "jobs/", "tests/", "templates/", "static/", "docs/", "examples/", "bench/")


def _paths(text: str) -> set[str]:
    named = re.findall(r"`([a-z_]+/[A-Za-z0-9_./-]*)(?::[^`]*)?`", text) + re.findall(r"\]\(([a-z_]+/[^)#:]*)\)", text)
    return {path for path in named if path.startswith(FOLDERS)}


def test_docs_name_only_what_exists() -> None:
    gone = {
        f"{page.relative_to(ROOT)}: {path}"
        for page in DOCS
        for path in _paths(page.read_text())
        if not (ROOT / path).exists() and not (page.parent / path).exists()
    }
    assert gone == set()
