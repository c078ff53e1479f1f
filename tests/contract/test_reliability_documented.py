"""The page on reliability names a test for each fault; each of them exists, and there are as many as it says."""

from __future__ import annotations

import ast
import re

from tests.support.sources import ROOT

PAGE = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
ROWS = re.findall(r"(?m)^\| (\d+) \| .+ \|$", PAGE)
LEAST_ROWS = 60


def _functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_the_page_names_exists() -> None:
    there = {file: _functions(file) for file in {file for file, _ in NAMED} if (ROOT / file).exists()}
    assert [f"{file}::{name}" for file, name in NAMED if name not in there.get(file, set())] == []


def test_every_fault_has_a_number_and_a_test() -> None:
    assert [int(number) for number in ROWS] == list(range(1, len(ROWS) + 1))
    assert len(ROWS) >= LEAST_ROWS
    rows = [line for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [row for row in rows if "::test_" not in row and "`make chaos`" not in row] == []


def test_every_fault_that_chaos_strikes_is_on_the_page() -> None:
    from tests.chaos.faults import FAULTS

    assert [fault.name for fault in FAULTS if fault.name not in PAGE] == []
