"""The beat: one step that fails does not stop the others, and who slept does not judge."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from jobs.beat import Beat
from jobs.worker import introduce
from tests.support.clock import Clock
from tests.support.factories import make_delivery, row_of, rows_of
from tests.support.work import claim_all
from webapp.queue import RecordingDoorbell
from webapp.runtime import Runtime
from webapp.services import upkeep
from webapp.store import tables as t


class Ticks:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def beat(rt: Runtime, ticks: Ticks) -> Beat:
    return Beat(rt, introduce(rt, "beat"), ticks)


def test_due_work_is_rung_for(rt: Runtime, beat: Beat) -> None:
    make_delivery(rt)
    alone = make_delivery(rt, lane="isolated")
    beat.pulse()
    assert isinstance(rt.queue, RecordingDoorbell)
    assert set(rt.queue.rung) == {"default", alone}


def test_expired_lease_is_taken_back(rt: Runtime, beat: Beat, clock: Clock) -> None:
    delivery = make_delivery(rt)
    claim_all(rt)
    clock.advance(seconds=11)
    beat.pulse()
    assert row_of(rt, t.deliveries, delivery).state == "waiting"


def test_beat_that_slept_lets_the_living_renew_first(
    rt: Runtime, beat: Beat, ticks: Ticks, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = make_delivery(rt)
    claim_all(rt)
    clock.advance(seconds=60)
    ticks.now += 60
    beat.pulse()
    assert row_of(rt, t.deliveries, delivery).state == "running"
    assert "asleep for 60 s" in caplog.text
    ticks.now += 1
    beat.pulse()
    assert row_of(rt, t.deliveries, delivery).state == "running"
    for _ in range(5):
        ticks.now += 1
        beat.pulse()
    assert row_of(rt, t.deliveries, delivery).state == "waiting"


def test_step_that_fails_does_not_stop_the_others(
    rt: Runtime, beat: Beat, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Any) -> int:
        raise RuntimeError("no")

    monkeypatch.setattr(upkeep, "rescue", broken)
    make_delivery(rt)
    with caplog.at_level(logging.ERROR):
        beat.pulse()
    assert isinstance(rt.queue, RecordingDoorbell)
    assert rt.queue.rung == ["default"]
    assert "rescue failed" in caplog.text


def test_beat_is_among_the_workers(rt: Runtime, beat: Beat) -> None:
    beat.pulse()
    [row] = rows_of(rt, t.workers)
    assert (row.kind, row.state) == ("beat", "idle")


def test_two_beats_rescue_once(rt: Runtime, beat: Beat, ticks: Ticks, clock: Clock) -> None:
    make_delivery(rt)
    claim_all(rt)
    clock.advance(seconds=11)
    beat.pulse()
    Beat(rt, introduce(rt, "beat"), ticks).pulse()
    assert [row.outcome for row in rows_of(rt, t.attempts)] == ["crashed"]
