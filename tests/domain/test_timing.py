"""When an event is to be delivered: what is understood, what is refused and where the fault points."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webapp.domain.errors import Fault, Refused
from webapp.domain.events import Event, draft_of, parse_event
from webapp.domain.timing import deliver_at_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def asked(**document: Any) -> tuple[datetime | None, list[str]]:
    faults: list[Fault] = []
    return deliver_at_of(document, NOW, faults), [fault.pointer for fault in faults]


@pytest.mark.parametrize(
    ("document", "later"),
    [
        ({}, None),
        ({"deliver_at": None, "delay": None}, None),
        ({"deliver_at": "2026-11-23T13:30:00+01:00"}, timedelta(minutes=30)),
        ({"delay": "1h30m"}, timedelta(minutes=90)),
        ({"delay": 90}, timedelta(seconds=90)),
        ({"delay": "366d"}, timedelta(days=366)),
        ({"delay": "0s"}, None),
        ({"deliver_at": "2026-11-23T12:00:00Z"}, None),
    ],
)
def test_what_is_understood(document: dict[str, Any], later: timedelta | None) -> None:
    assert asked(**document) == (None if later is None else NOW + later, [])


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"deliver_at": "2026-11-23T11:59:59Z"}, "/deliver_at"),
        ({"deliver_at": "2027-11-25T12:00:00Z"}, "/deliver_at"),
        ({"deliver_at": "tomorrow"}, "/deliver_at"),
        ({"deliver_at": 1_800_000_000}, "/deliver_at"),
        ({"delay": "367d"}, "/delay"),
        ({"delay": "300000000"}, "/delay"),
        ({"delay": "-5m"}, "/delay"),
        ({"delay": True}, "/delay"),
        ({"delay": []}, "/delay"),
        ({"deliver_at": "2026-11-23T13:00:00Z", "delay": "1h"}, "/delay"),
    ],
)
def test_what_is_refused(document: dict[str, Any], pointer: str) -> None:
    _, pointers = asked(**document)
    assert pointers == [pointer]
    with pytest.raises(Refused) as refused:
        parse_event({"type": "order.paid", **document}, default_source="tests", now=NOW)
    assert refused.value.status == 422


def test_an_event_of_code_can_be_scheduled() -> None:
    draft = draft_of(Event(id="o-1", type="order.paid", payload={}), NOW, timing={"delay": "10m"})
    assert draft.deliver_at == NOW + timedelta(minutes=10)
