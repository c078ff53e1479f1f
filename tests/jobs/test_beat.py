"""The beat: one step that fails does not stop the others, and who slept does not judge."""

from __future__ import annotations

import logging
from datetime import timedelta
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
from webapp.store.deliveries import renew


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


def live_through(seconds: int, beat: Beat, ticks: Ticks, clock: Clock) -> None:
    """Time passes, on both clocks, with a pulse every second."""
    for _ in range(seconds):
        ticks.now += 1
        clock.advance(seconds=1)
        beat.pulse()


def test_due_work_is_rung_for(rt: Runtime, beat: Beat) -> None:
    make_delivery(rt)
    make_delivery(rt, lane="isolated")
    beat.pulse()
    assert isinstance(rt.queue, RecordingDoorbell)
    assert set(rt.queue.rung) == {"default", "isolated"}


def test_expired_lease_is_taken_back(rt: Runtime, beat: Beat, ticks: Ticks, clock: Clock) -> None:
    delivery = make_delivery(rt)
    claim_all(rt)
    live_through(10, beat, ticks, clock)
    assert row_of(rt, t.deliveries, delivery).state == "running"
    live_through(1, beat, ticks, clock)
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
    other = Beat(rt, introduce(rt, "beat"), ticks)
    for _ in range(11):
        live_through(1, beat, ticks, clock)
        other.pulse()
    assert [row.outcome for row in rows_of(rt, t.attempts)] == ["crashed"]


# The clock of the machine is set, or stands still while the machine is suspended


def test_clock_that_jumps_ahead_expires_no_lease_of_the_living(
    rt: Runtime, beat: Beat, ticks: Ticks, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = make_delivery(rt)
    [claimed] = claim_all(rt)
    clock.advance(hours=1)
    live_through(2, beat, ticks, clock)
    assert "the clock moved by 3600 s" in caplog.text
    with rt.db.write() as conn:  # the worker's heartbeat, on the new time
        assert delivery in renew(conn, owner="worker-1", ids=[claimed.id], until=clock.now + timedelta(seconds=10))
    live_through(9, beat, ticks, clock)
    assert row_of(rt, t.deliveries, delivery).state == "running"


def test_dead_worker_is_found_soon_although_the_clock_was_set_back(
    rt: Runtime, beat: Beat, ticks: Ticks, clock: Clock
) -> None:
    delivery = make_delivery(rt)
    claim_all(rt)
    clock.advance(hours=-1)
    live_through(13, beat, ticks, clock)
    assert row_of(rt, t.deliveries, delivery).state == "waiting"


def test_living_worker_keeps_its_lease_although_the_clock_was_set_back(
    rt: Runtime, beat: Beat, ticks: Ticks, clock: Clock
) -> None:
    delivery = make_delivery(rt)
    claim_all(rt)
    clock.advance(hours=-1)
    for _ in range(8):
        live_through(3, beat, ticks, clock)
        with rt.db.write() as conn:
            renew(conn, owner="worker-1", ids=[delivery], until=clock.now + timedelta(seconds=10))
    assert row_of(rt, t.deliveries, delivery).state == "running"


def test_work_that_came_before_the_clock_was_set_back_is_due_at_once(
    rt: Runtime, beat: Beat, ticks: Ticks, clock: Clock
) -> None:
    fresh = make_delivery(rt)
    later = make_delivery(rt, state="waiting", due_at=clock.now + timedelta(hours=2))
    clock.advance(hours=-1)
    live_through(1, beat, ticks, clock)
    assert [one.id for one in claim_all(rt)] == [fresh]
    assert row_of(rt, t.deliveries, later).due_at == clock.now + timedelta(hours=3, seconds=-1)
