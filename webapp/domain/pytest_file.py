"""A failed delivery as a test: a Python file that runs its handler against its event, with nothing of the hub around.

Everything that came from outside is written as a literal by ``repr``: a payload cannot become code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pprint import pformat
from typing import Any

from webapp.domain.events import Event

WIDTH = 110


@dataclass(frozen=True, slots=True)
class Case:
    """What the test needs to know. ``options`` are masked."""

    delivery_id: str
    handler: str
    event: Event
    options: Mapping[str, Any]
    transform: Any
    attempt: int
    error: str  # of the last attempt, "" when there was none


def pytest_of(case: Case) -> str:
    """The text of ``test_<delivery id>.py``."""
    event = {name: value for name, value in case.event.to_json().items() if value not in (None, {}, "")}
    parts = {"EVENT": {"payload": {}, **event}, "OPTIONS": dict(case.options)}
    given = ["options=OPTIONS", f"attempt={case.attempt}"]
    if case.transform is not None:
        parts["TRANSFORM"] = case.transform
        given.insert(1, "transform=TRANSFORM")
    hidden = "•••" in repr(case.options)
    lines = [
        f'"""Delivery {_word(case.delivery_id)} of a Signalbox, as a test. Run it with pytest where its handler can be imported."""',
        "",
        "from signalbox.testing import find, load, run",
        "",
        *(["# Sensitive options are hidden as •••: put in what the test needs."] if hidden else []),
        *(f"{name} = {pformat(value, width=WIDTH, sort_dicts=False)}" for name, value in parts.items()),
        f"ERROR = {case.error!r}  # of its last attempt" if case.error else "ERROR = None  # no attempt has failed",
        "",
        "",
        f"def test_{_word(case.delivery_id)}():",
        f"    result = run(find({case.handler!r}), load(EVENT), {', '.join(given)})",
        '    assert result.succeeded, f"{result.error_type}: {result.error}\\n{result.stack}"',
    ]
    return "\n".join(lines) + "\n"


def _word(text: str) -> str:
    return "".join(char for char in text if char.isascii() and (char.isalnum() or char == "_"))
