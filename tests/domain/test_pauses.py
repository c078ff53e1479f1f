"""What may be asked for when a subscription is paused or resumed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.clock import NOON
from webapp.domain.errors import Refused
from webapp.domain.pauses import Pause, parse_pause, parse_resume


@pytest.mark.parametrize(
    ("document", "pause"),
    [
        ({}, Pause()),
        ({"reason": " Moving "}, Pause("Moving")),
        ({"for": "2h"}, Pause("", NOON + timedelta(hours=2))),
        ({"for": 90}, Pause("", NOON + timedelta(seconds=90))),
        ({"reason": None, "until": "2026-03-02T15:00:00+01:00"}, Pause("", NOON + timedelta(hours=2))),
    ],
)
def test_pause_is_read(document: Any, pause: Pause) -> None:
    assert parse_pause(document, NOON) == pause


@pytest.mark.parametrize(
    ("document", "pointers"),
    [
        ([], {""}),
        ({"why": "x"}, {"/why"}),
        ({"reason": 7}, {"/reason"}),
        ({"reason": "x" * 501}, {"/reason"}),
        ({"reason": "a\x00b"}, {"/reason"}),
        ({"for": "soon"}, {"/for"}),
        ({"for": True}, {"/for"}),
        ({"for": "0s"}, {"/for"}),
        ({"for": "367d"}, {"/for"}),
        ({"for": "999999d"}, {"/for"}),
        ({"until": "2026-03-02T11:59:59Z"}, {"/until"}),
        ({"until": "tomorrow"}, {"/until"}),
        ({"until": 5}, {"/until"}),
        ({"for": "1h", "until": "2026-03-02T15:00:00Z"}, {"/until"}),
        ({"reason": 7, "for": "x", "y": 1}, {"/reason", "/for", "/y"}),
    ],
)
def test_every_fault_of_a_pause_is_named(document: Any, pointers: set[str]) -> None:
    with pytest.raises(Refused) as caught:
        parse_pause(document, NOON)
    assert {fault.pointer for fault in caught.value.faults} == pointers


@pytest.mark.parametrize(
    ("document", "pace"), [({}, None), ({"pace": None}, None), ({"pace": 10}, 10), ({"pace": 0.5}, 0.5)]
)
def test_pace_is_read(document: Any, pace: float | None) -> None:
    assert parse_resume(document) == pace


@pytest.mark.parametrize("pace", [0, -1, True, "10", 10_001, float("nan"), float("inf")])
def test_pace_that_cannot_be_is_refused(pace: Any) -> None:
    with pytest.raises(Refused) as caught:
        parse_resume({"pace": pace})
    assert [fault.pointer for fault in caught.value.faults] == ["/pace"]
