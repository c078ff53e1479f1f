"""Schedules tick once, whoever beats; what people do with them is audited."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_subscription, row_of, rows_of
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Forbidden, NotFound
from webapp.domain.schedules import parse_schedule
from webapp.runtime import Runtime
from webapp.services import schedules
from webapp.services.accept import Acceptor
from webapp.store import tables
from webapp.store.schedules import due_schedules, get_schedule, move_on


def make(rt: Runtime, actor: Actor, **fields: object) -> str:
    document = {"name": "Hourly", "cron": "0 * * * *", "type": "report.due", "payload": {"n": 1}} | fields
    return schedules.create(rt, actor, parse_schedule(document, rt.clock()))


def test_tick_publishes_once_and_moves_on(rt: Runtime, operator: Actor, clock: Clock) -> None:
    make_subscription(rt, pattern="report.*")
    made, acceptor = make(rt, operator), Acceptor(rt)
    assert schedules.tick(rt, acceptor) == 0
    clock.advance(hours=1)
    assert schedules.tick(rt, acceptor) == 1
    assert schedules.tick(rt, acceptor) == 0
    (event,) = rows_of(rt, tables.events)
    assert (event.type, event.source, event.payload, event.labels) == (
        "report.due",
        "schedules",
        '{"n":1}',
        {"schedule": made},
    )
    assert event.timestamp.minute == event.timestamp.second == 0
    row = row_of(rt, tables.schedules, made)
    assert (row.last_event_uid, row.last_at) == (event.uid, event.timestamp)
    assert row.next_at == event.timestamp + timedelta(hours=1)
    assert len(rows_of(rt, tables.deliveries)) == 1


def test_many_beats_publish_a_tick_once(rt: Runtime, operator: Actor, clock: Clock) -> None:
    for n in range(3):
        make(rt, operator, name=f"s{n}")
    clock.advance(hours=1)
    with ThreadPoolExecutor(4) as pool:
        published = list(pool.map(lambda _: schedules.tick(rt, Acceptor(rt)), range(4)))
    assert sum(published) == 3
    assert len(rows_of(rt, tables.events)) == 3


def test_beat_that_died_between_publishing_and_moving_on_does_no_harm(
    rt: Runtime, operator: Actor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(rt, operator)
    clock.advance(hours=1)
    with monkeypatch.context() as dying:
        dying.setattr("webapp.services.schedules.schedules.move_on", lambda *_, **__: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            schedules.tick(rt, Acceptor(rt))
    assert schedules.tick(rt, Acceptor(rt)) == 0
    assert len(rows_of(rt, tables.events)) == 1
    assert schedules.tick(rt, Acceptor(rt)) == 0


def test_edit_in_between_wins_over_a_beat(rt: Runtime, operator: Actor, clock: Clock) -> None:
    made = make(rt, operator)
    clock.advance(hours=1)
    with rt.db.read() as conn:
        (due,) = due_schedules(conn, clock(), 10)
    schedules.update(rt, operator, made, parse_schedule({"name": "x", "cron": "@daily", "type": "a.b"}, clock()))
    with rt.db.write() as conn:
        assert not move_on(conn, due, next_at=None, last_at=clock(), uid=None)
        assert get_schedule(conn, made).next_at is not None


def test_paused_schedule_does_not_tick_nor_catch_up(rt: Runtime, operator: Actor, clock: Clock) -> None:
    made, acceptor = make(rt, operator, catch_up="all"), Acceptor(rt)
    schedules.pause(rt, operator, made)
    with pytest.raises(Conflict):
        schedules.pause(rt, operator, made)
    schedules.update(rt, operator, made, parse_schedule({"name": "x", "cron": "0 * * * *", "type": "a.b"}, clock()))
    clock.advance(hours=5)
    assert schedules.tick(rt, acceptor) == 0
    schedules.resume(rt, operator, made)
    assert schedules.tick(rt, acceptor) == 0
    clock.advance(hours=1)
    assert schedules.tick(rt, acceptor) == 1


def test_run_now_publishes_beside_the_ticks(rt: Runtime, operator: Actor) -> None:
    made = make(rt, operator)
    before = row_of(rt, tables.schedules, made).next_at
    uids = {schedules.run_now(rt, Acceptor(rt), operator, made) for _ in range(2)}
    assert {event.uid for event in rows_of(rt, tables.events)} == uids
    assert len(uids) == 2
    assert row_of(rt, tables.schedules, made).next_at == before


def test_what_people_do_is_audited_and_needs_the_right(rt: Runtime, operator: Actor, viewer: Actor) -> None:
    made = make(rt, operator)
    schedules.pause(rt, operator, made)
    schedules.resume(rt, operator, made)
    schedules.delete(rt, operator, made)
    said = [row.action for row in rows_of(rt, tables.audit) if row.target_id == made]
    assert sorted(said) == ["schedule.created", "schedule.deleted", "schedule.paused", "schedule.resumed"]
    with pytest.raises(NotFound):
        schedules.pause(rt, operator, made)
    with pytest.raises(Forbidden):
        make(rt, viewer)
