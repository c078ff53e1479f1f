"""A delivery as a test: the file runs, and nothing in it is more than a value."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.sources import ROOT
from webapp.domain.events import Event
from webapp.domain.pytest_file import Case, pytest_of

EVIL = "'''\n\"\"\"\nimport os; os.system('x')\n# \\' \u2028 \x00 🎉 {x}"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=20,
)


def case(payload: dict[str, Any], **more: Any) -> Case:
    event = Event(id="o-1", type="order.paid", payload=payload, source="shop", uid="evt_1")
    values: dict[str, Any] = {
        "options": {},
        "transform": None,
        "attempt": 1,
        "error": "",
        "handler": "log",
        "event": event,
    }
    return Case(delivery_id="dlv_1", **values | more)


def constants(text: str) -> dict[str, Any]:
    """The values that the file sets, and the proof that it holds nothing but an import, values and one function."""
    body = ast.parse(text).body
    assert [type(node).__name__ for node in body[:2]] == ["Expr", "ImportFrom"]
    assert isinstance(body[-1], ast.FunctionDef)
    assigned = [node for node in body[2:-1] if isinstance(node, ast.Assign)]
    assert len(assigned) == len(body) - 3
    return {node.targets[0].id: ast.literal_eval(node.value) for node in assigned}  # type: ignore[attr-defined]


@given(st.dictionaries(st.text(), json_values, max_size=5), st.text())
def test_values_come_back_as_they_were(payload: dict[str, Any], text: str) -> None:
    found = constants(pytest_of(case(payload, error=text, options={"x": text}, handler=text)))
    assert found["EVENT"]["payload"] == payload
    assert found["OPTIONS"] == {"x": text}
    assert found["ERROR"] == (text or None)


def test_file_runs_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "test_dlv_1.py"
    file.write_text(pytest_of(case({"x": EVIL}, error=EVIL, transform={"payload": {"y": "{data.x}"}})))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(file)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout
