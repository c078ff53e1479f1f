"""The project's own files, as the contract tests read them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that belongs to the project: what git tracks, or what lies here when there is no git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        names = listed.stdout.split("\0")
        return tuple(ROOT / name for name in names if name and (ROOT / name).is_file())
    hidden = {"var", ".venv", ".git", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
    return tuple(p for p in ROOT.rglob("*") if p.is_file() and not hidden & set(p.relative_to(ROOT).parts))


def files(*suffixes: str, under: tuple[str, ...] = ()) -> list[Path]:
    """Tracked files with one of these suffixes, below one of these folders."""
    return [
        path
        for path in tracked_files()
        if path.suffix in suffixes and (not under or path.relative_to(ROOT).parts[0] in under)
    ]


def name_of(path: Path) -> str:
    """The path as people write it."""
    return str(path.relative_to(ROOT))
