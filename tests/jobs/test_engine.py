"""The engine in this process, on both databases: claimed, run beside each other, recorded in full."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jobs.capture import AttemptHandler
from jobs.drain import claim, drain
from jobs.engine import Engine
from jobs.registry import load_registry
from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.servers import wait_until
from tests.support.workers import PLUGIN
from webapp.live import EventChanged, RecordingPublisher
from webapp.queue import RecordingDoorbell
from webapp.runtime import Runtime
from webapp.services import record
from webapp.store import tables as t

NO_WAIT = {"max_attempts": 3, "base_s": 0, "cap_s": 0}


@pytest.fixture
def engine(rt: Runtime) -> Iterator[Engine]:
    engine = started(rt)
    yield engine
    engine.stop(0)


def started(rt: Runtime, owner: str = "worker-1", **settings: Any) -> Engine:
    rt.settings = replace(rt.settings, allow_private_addresses=True, **settings)
    engine = Engine(rt, load_registry([PLUGIN]), owner)
    engine.start()
    return engine


def deliver(rt: Runtime, handler: str, *, retry: Any = NO_WAIT, timeout_ms: int = 30_000, **payload: Any) -> str:
    subscription = make_subscription(rt, handler=handler, retry=retry, timeout_ms=timeout_ms)
    return make_delivery(rt, make_event(rt, payload=payload), subscription, handler=handler)


def settled(engine: Engine, delivery_id: str, *, lane: str = "default") -> Any:
    """Drain once and wait until everything that was claimed is recorded."""
    drain(engine, lane)
    assert engine.flights.wait_until_empty(15)
    return row_of(engine.rt, t.deliveries, delivery_id)


def attempts_of(rt: Runtime, delivery_id: str) -> list[Any]:
    return [row for row in rows_of(rt, t.attempts) if row.delivery_id == delivery_id]


def test_delivery_is_run_and_recorded_in_full(engine: Engine) -> None:
    delivery = deliver(engine.rt, "t.ok")
    row = settled(engine, delivery)
    assert (row.state, row.attempt, row.tries_used, row.lease_owner) == ("succeeded", 1, 1, None)
    [attempt] = attempts_of(engine.rt, delivery)
    assert (attempt.outcome, attempt.result, attempt.worker) == ("succeeded", '{"attempt":1}', "worker-1")
    event = row_of(engine.rt, t.events, row.event_uid)
    assert (event.status, event.open, event.succeeded) == ("succeeded", 0, 1)
    assert {row.measure for row in rows_of(engine.rt, t.counters)} >= {"succeeded", "wait", "run"}


def test_browsers_are_told_once_per_event_and_batch(engine: Engine) -> None:
    delivery = deliver(engine.rt, "t.ok")
    uid = settled(engine, delivery).event_uid
    assert isinstance(engine.rt.live, RecordingPublisher)
    assert [fact for fact in engine.rt.live.facts if fact == EventChanged(uid, fact.state)]


@pytest.mark.parametrize(
    ("end", "state", "reason", "outcome"),
    [
        ("done", "succeeded", None, "succeeded"),
        ("skip", "skipped", None, "skipped"),
        ("snooze", "waiting", None, "snoozed"),
        ("retry", "waiting", None, "failed"),
        ("permanent", "dead", "permanent", "discarded"),
        ("invalid", "dead", "permanent", "discarded"),
    ],
)
def test_outcome_decides_the_state(engine: Engine, end: str, state: str, reason: str | None, outcome: str) -> None:
    delivery = deliver(engine.rt, "t.chooses", end=end)
    row = settled(engine, delivery)
    assert (row.state, row.reason) == (state, reason)
    assert [attempt.outcome for attempt in attempts_of(engine.rt, delivery)] == [outcome]
    assert row.tries_used == (0 if end == "snooze" else 1)


def test_failing_delivery_is_tried_until_its_tries_are_used_up_and_people_are_told(engine: Engine) -> None:
    delivery = deliver(engine.rt, "t.raises")
    for _ in range(3):
        row = settled(engine, delivery)
    assert (row.state, row.reason, row.error_type) == ("dead", "exhausted", "RuntimeError")
    assert sorted(attempt.n for attempt in attempts_of(engine.rt, delivery)) == [1, 2, 3]
    [told] = wait_until(lambda: rows_of(engine.rt, t.notifications), 5)
    assert "failed for good in t.raises" in told.title
    assert "exhausted: it broke" in told.body


def test_handler_that_raises_system_exit_does_not_stop_the_engine(engine: Engine) -> None:
    assert settled(engine, deliver(engine.rt, "t.exits")).error_type == "SystemExit"
    assert settled(engine, deliver(engine.rt, "t.ok")).state == "succeeded"


def test_delivery_of_a_missing_handler_waits_for_it(engine: Engine) -> None:
    row = settled(engine, deliver(engine.rt, "not.installed"))
    assert (row.state, row.error_type) == ("waiting", "HandlerMissing")


def test_quick_delivery_overtakes_a_slow_one(engine: Engine) -> None:
    slow, quick = deliver(engine.rt, "t.slow", seconds=2), deliver(engine.rt, "t.ok")
    drain(engine, "default")
    wait_until(lambda: row_of(engine.rt, t.deliveries, quick).state == "succeeded", 5)
    assert row_of(engine.rt, t.deliveries, slow).state == "running"


def test_progress_and_lines_arrive_while_the_handler_runs(engine: Engine) -> None:
    delivery = deliver(engine.rt, "t.talks", pause=0.4)
    drain(engine, "default")
    wait_until(lambda: row_of(engine.rt, t.deliveries, delivery).progress_done == 1, 5, "the first step is seen")
    assert row_of(engine.rt, t.deliveries, delivery).state == "running"
    assert [line.text for line in rows_of(engine.rt, t.log_lines)] == ["step 1"]
    assert engine.flights.wait_until_empty(10)
    assert row_of(engine.rt, t.deliveries, delivery).progress_done == 4
    assert [line.text for line in rows_of(engine.rt, t.log_lines)] == [f"step {n}" for n in range(1, 5)]


def test_what_a_handler_logs_by_the_standard_library_is_on_its_page(engine: Engine) -> None:
    listener = AttemptHandler(logging.INFO)
    shop = logging.getLogger("shop")
    shop.addHandler(listener)
    shop.propagate = False
    try:
        settled(engine, deliver(engine.rt, "t.logs"))
    finally:
        shop.removeHandler(listener)
        shop.propagate = True
    said = [(line.level, line.text) for line in rows_of(engine.rt, t.log_lines)]
    assert said == [("warning", "stock of tea is low"), ("error", "from a thread")]


def test_cancelled_delivery_that_has_not_started_is_not_run(rt: Runtime, tmp_path: Path) -> None:
    engine = started(rt, concurrency=1)
    engine.flights.take(claim(engine, "default", 10) if deliver(rt, "t.slow", seconds=1) else [])
    wait_until(lambda: engine.flights.flights, 5)
    effects = tmp_path / "effects"
    waiting = deliver(rt, "t.slow", seconds=0, file=str(effects))
    engine.flights.take(claim(engine, "default", 10))
    with rt.db.write() as conn:
        conn.execute(t.deliveries.update().where(t.deliveries.c.id == waiting).values(state="cancelled"))
    engine.keeper.beat()
    assert engine.flights.wait_until_empty(10)
    engine.stop(0)
    assert not effects.exists()


def test_notification_of_the_handler_is_stored(engine: Engine) -> None:
    assert settled(engine, deliver(engine.rt, "notify")).state == "succeeded"
    [row] = rows_of(engine.rt, t.notifications)
    assert (row.title, row.severity) == ("order.created", "info")


def test_thousand_deliveries_are_recorded_once_each(engine: Engine) -> None:
    subscription = make_subscription(engine.rt, handler="t.ok")
    event = make_event(engine.rt)
    for n in range(1000):
        make_delivery(engine.rt, event, subscription, handler="t.ok", replay=n)
    drain(engine, "default")
    assert engine.flights.wait_until_empty(60)
    row = row_of(engine.rt, t.events, event)
    assert (row.open, row.succeeded, row.status) == (0, 1000, "succeeded")
    assert len(rows_of(engine.rt, t.attempts)) == 1000


def test_bell_is_answered_before_the_claim_and_rung_again_while_there_is_more(rt: Runtime) -> None:
    engine = started(rt, concurrency=2, claim_batch=2)
    said: list[str] = []

    class Bell(RecordingDoorbell):
        def answer(self, name: str) -> None:
            said.append(f"answer {name}")

        def ring(self, lane: str) -> bool:
            said.append(f"ring {lane}")
            return True

    rt.queue = Bell()
    for _ in range(5):
        deliver(rt, "t.ok")
    drain(engine, "default")
    assert engine.flights.wait_until_empty(10)
    engine.stop(0)
    assert said[:2] == ["answer default", "ring default"]


def test_no_more_handlers_run_than_allowed(rt: Runtime) -> None:
    engine = started(rt, concurrency=3)
    for _ in range(10):
        deliver(rt, "t.slow", seconds=0.3)
    rt.settings = replace(rt.settings, slice_s=1)
    most = 0
    end = time.monotonic() + 30
    draining = threading.Thread(target=lambda: [drain(engine, "default") for _ in range(4)])
    draining.start()
    while draining.is_alive() and time.monotonic() < end:
        most = max(most, len(engine.flights.flights))
        time.sleep(0.01)
    draining.join()
    assert engine.flights.wait_until_empty(10)
    engine.stop(0)
    assert most == 3
    assert {row.state for row in rows_of(rt, t.deliveries)} == {"succeeded"}


def test_stopped_engine_gives_back_without_using_up_a_try(rt: Runtime) -> None:
    engine = started(rt)
    delivery = deliver(rt, "t.slow", seconds=30)
    drain(engine, "default")
    wait_until(lambda: engine.flights.flights, 5)
    engine.stop(0)
    row = row_of(rt, t.deliveries, delivery)
    assert (row.state, row.tries_used, row.lease_owner) == ("pending", 0, None)
    assert [attempt.outcome for attempt in attempts_of(rt, delivery)] == ["interrupted"]


def test_row_that_cannot_be_recorded_does_not_take_the_batch_with_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = deliver(engine.rt, "t.ok"), deliver(engine.rt, "t.ok")
    real = record.record

    def refuse(rt: Runtime, rows: Any, owner: str) -> set[str]:
        if bad in {row.claimed.id for row in rows}:
            raise ValueError("this row is spoilt")
        return real(rt, rows, owner)

    monkeypatch.setattr("jobs.recorder.record.record", refuse)
    assert settled(engine, good).state == "succeeded"
    assert row_of(engine.rt, t.deliveries, bad).state == "running", "its lease will run out"
    assert "an outcome could not be recorded" in caplog.text


def test_outcome_waits_for_a_database_that_is_away(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from webapp.domain.errors import Unavailable

    real, failures = record.record, [1, 1]

    def flaky(*args: Any) -> set[str]:
        if failures:
            failures.pop()
            raise Unavailable("away")
        return real(*args)

    monkeypatch.setattr("jobs.recorder.record.record", flaky)
    assert settled(engine, deliver(engine.rt, "t.ok")).state == "succeeded"


def test_lost_delivery_is_stopped(engine: Engine) -> None:
    delivery = deliver(engine.rt, "t.slow", seconds=30)
    drain(engine, "default")
    wait_until(lambda: engine.flights.flights, 5)
    with engine.rt.db.write() as conn:
        conn.execute(t.deliveries.update().where(t.deliveries.c.id == delivery).values(lease_owner="somebody-else"))
    engine.keeper.beat()
    assert engine.flights.wait_until_empty(1)
    assert attempts_of(engine.rt, delivery) == []


def lease_of(rt: Runtime, delivery: str) -> Any:
    with rt.db.read() as conn:
        return conn.execute(select(t.deliveries.c.lease_until).where(t.deliveries.c.id == delivery)).scalar_one()


def test_lease_is_renewed(engine: Engine, clock: Any) -> None:
    delivery = deliver(engine.rt, "t.slow", seconds=30)
    drain(engine, "default")
    before = lease_of(engine.rt, delivery)
    clock.advance(seconds=5)
    engine.keeper.beat()
    assert (lease_of(engine.rt, delivery) - before).total_seconds() == 5


def test_what_is_claimed_while_the_engine_stops_is_given_back_at_once(rt: Runtime) -> None:
    engine = started(rt)
    delivery = deliver(rt, "t.ok")
    engine.stop(0)
    engine.take(claim(engine, "default", 10))  # the drain was in the middle of its claim
    row = row_of(rt, t.deliveries, delivery)
    assert (row.state, row.tries_used, row.lease_owner) == ("pending", 0, None)
    assert [attempt.outcome for attempt in attempts_of(rt, delivery)] == ["interrupted"]
