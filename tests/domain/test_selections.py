"""Selections: what they say is what is read back, and moments are fixed when they are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webapp.domain.bulk import parse_bulk, share_too_high
from webapp.domain.errors import Refused
from webapp.domain.selections import Selection, parse_selection

NOW = datetime(2026, 11, 23, 13, 30, tzinfo=UTC)
WHOLE: dict[str, Any] = {
    "event": {"field": "data.amount", "op": "gt", "value": 500},
    "state": ["dead", "action"],
    "reason": ["exhausted"],
    "subscription": ["sub_1"],
    "handler": ["mail"],
    "error": "TimeoutError",
    "since": "2026-11-22T13:30:00.000Z",
    "until": "2026-11-23T13:00:00.000Z",
    "finished_since": "2026-11-22T14:00:00.000Z",
    "finished_until": "2026-11-23T13:00:00.000Z",
    "min_attempts": 1,
    "max_attempts": 8,
}


def test_a_selection_is_read_back_as_it_was_written() -> None:
    selection = parse_selection(WHOLE, NOW)
    assert selection.to_json() == WHOLE
    assert parse_selection(selection.to_json(), NOW + timedelta(days=1)).to_json() == WHOLE
    assert parse_selection({}, NOW) == Selection()
    assert Selection().to_json() == {}


def test_relative_moments_are_fixed_when_they_are_read() -> None:
    assert parse_selection({"since": "now-24h"}, NOW).since == NOW - timedelta(hours=24)


@pytest.mark.parametrize(
    ("document", "pointers"),
    [
        ("dead", {"/at"}),
        ({"state": ["dead", "asleep"]}, {"/at/state/1"}),
        ({"state": ["dead"] * 51}, {"/at/state"}),
        ({"handler": [1]}, {"/at/handler/0"}),
        ({"error": "a\x00b"}, {"/at/error"}),
        ({"min_attempts": True, "max_attempts": -1}, {"/at/min_attempts", "/at/max_attempts"}),
        ({"min_attempts": 5, "max_attempts": 1}, {"/at/max_attempts"}),
        ({"since": 5, "event": {"all": []}}, {"/at/since", "/at/event/all"}),
        ({"limit": 5}, {"/at/limit"}),
    ],
)
def test_every_fault_has_its_pointer(document: Any, pointers: set[str]) -> None:
    with pytest.raises(Refused) as refused:
        parse_selection(document, NOW, "/at")
    assert {fault.pointer for fault in refused.value.faults} == pointers


def test_a_bulk_operation_has_a_rate_at_which_it_aborts_unless_it_says_never() -> None:
    asked = {"kind": "retry", "reason": "why"}
    assert parse_bulk(asked, NOW).abort_rate == 0.2
    assert parse_bulk(asked | {"abort_rate": None}, NOW).abort_rate is None


@pytest.mark.parametrize(
    ("failed", "judged", "most", "too_high"),
    [(19, 19, 0.2, False), (5, 20, 0.2, True), (4, 20, 0.2, False), (20, 20, None, False), (1, 1000, 0.0, True)],
)
def test_failures_are_judged_from_twenty_on(failed: int, judged: int, most: float | None, too_high: bool) -> None:
    assert share_too_high(failed, judged, most) is too_high
