"""Cron schedules: what is refused, when they tick, also when the clocks change, and what is caught up on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webapp.domain.errors import Refused
from webapp.domain.schedules import MAX_CATCH_UP, due_ticks, next_ticks, parse_schedule

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def document(**fields: Any) -> dict[str, Any]:
    return {"name": "Report", "cron": "30 8 * * mon-fri", "type": "report.due"} | fields


def test_schedule_is_read_with_its_defaults() -> None:
    draft = parse_schedule(document(), NOW)
    assert (draft.time_zone, draft.source, draft.payload_text, draft.catch_up) == ("UTC", "schedules", "{}", "latest")


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"name": ""}, ["/name"]),
        ({"name": "a\nb"}, ["/name"]),
        ({"cron": None}, ["/cron"]),
        ({"cron": "* * * *"}, ["/cron"]),
        ({"cron": "* * * * * *"}, ["/cron"]),
        ({"cron": "61 * * * *"}, ["/cron"]),
        ({"cron": "1--100000000 * * * *"}, ["/cron"]),
        ({"cron": "0-59/0 * * * *"}, ["/cron"]),
        ({"cron": "0 0 31 2 *"}, ["/cron"]),
        ({"cron": "@reboot"}, ["/cron"]),
        ({"cron": "H * * * *"}, ["/cron"]),
        ({"cron": "0 " * 200}, ["/cron"]),
        ({"cron": ["*"]}, ["/cron"]),
        ({"time_zone": "Mars/Olympus"}, ["/time_zone"]),
        ({"time_zone": "../../etc/passwd"}, ["/time_zone"]),
        ({"time_zone": 1}, ["/time_zone"]),
        ({"catch_up": "some"}, ["/catch_up"]),
        ({"type": "Not A Type"}, ["/type"]),
        ({"payload": []}, ["/payload"]),
        ({"when": 1}, ["/when"]),
        ({"name": "", "cron": "x", "type": "X"}, ["/name", "/cron", "/type"]),
    ],
)
def test_faults_are_named_all_at_once(fields: dict[str, Any], places: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        parse_schedule(document(**fields), NOW)
    assert [fault.pointer for fault in refused.value.faults] == places


def test_something_else_than_an_object_is_refused() -> None:
    with pytest.raises(Refused):
        parse_schedule(["x"], NOW)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("30 8 * * mon-fri", "UTC", "2026-11-20T09:00", ["2026-11-23T08:30", "2026-11-24T08:30"]),
        ("30 8 * * *", BERLIN, "2026-11-23T00:00", ["2026-11-23T07:30", "2026-11-24T07:30"]),
        ("@daily", "UTC", "2026-11-23T00:00", ["2026-11-24T00:00", "2026-11-25T00:00"]),
        # clocks go forward at 01:00 UTC: 02:30 does not exist, so it ticks at the first moment after the gap
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        # clocks go back at 01:00 UTC: 02:30 happens twice, a fixed hour ticks once
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        # and every half hour stays every half hour
        ("*/30 * * * *", BERLIN, "2026-10-25T00:00", ["2026-10-25T00:30", "2026-10-25T01:00"]),
    ],
)
def test_ticks_follow_the_clock_of_the_time_zone(cron: str, zone: str, after: str, expected: list[str]) -> None:
    assert next_ticks(cron, zone, at(after), 2) == [at(text) for text in expected]


def test_last_tick_of_all_ends_the_list() -> None:
    assert next_ticks("0 0 31 2 *", "UTC", NOW, 5) == []


@pytest.mark.parametrize(
    ("catch_up", "late_minutes", "expected"),
    [
        ("skip", 0, 1), ("skip", 30, 0), ("latest", 0, 1), ("latest", 179, 1), ("all", 0, 1), ("all", 179, 3),
        ("all", 60 * 24 * 30, MAX_CATCH_UP),
    ],
)  # fmt: skip
def test_missed_ticks_are_caught_up_on_as_asked(catch_up: str, late_minutes: int, expected: int) -> None:
    next_at = at("2026-11-01T00:00")
    now = next_at + timedelta(minutes=late_minutes, seconds=2)
    due = due_ticks("0 * * * *", "UTC", catch_up, next_at, now)
    assert len(due) == expected
    assert due == sorted(due)
    if due:
        assert now - due[-1] < timedelta(hours=1), "the newest is always among them"


def test_nothing_is_due_before_its_time() -> None:
    assert due_ticks("0 * * * *", "UTC", "all", NOW + timedelta(seconds=1), NOW) == []
