"""The page on bad input has every row of the table, and each names tests that exist."""

from __future__ import annotations

import ast
import re

from tests.support.sources import ROOT

PAGE = (ROOT / "docs/bad-input.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
ROWS = re.findall(r"(?m)^\| (\d+) \| .+ \| .+ \| (.+) \|$", PAGE)


def _functions(file: str) -> set[str]:
    path = ROOT / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_the_page_names_exists() -> None:
    there = {file: _functions(file) for file in {file for file, _ in NAMED}}
    assert [f"{file}::{name}" for file, name in NAMED if name not in there[file]] == []


def test_every_row_is_there_and_names_a_test() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(1, 86))
    assert [number for number, tests in ROWS if "::test_" not in tests] == []
