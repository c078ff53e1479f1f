"""Deliveries that are not started in time are dead: swept by the beat, and never claimed before it comes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.work import claim_all
from webapp.domain.access import Actor
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.services import operate, upkeep
from webapp.store import flow as flows
from webapp.store.breakers import recent_tries
from webapp.store.tables import attempts, audit, counters, deliveries, events, quotas


def late(rt: Runtime, **fields: Any) -> str:
    return make_delivery(rt, expires_at=rt.clock() + timedelta(minutes=1), **fields)


@pytest.mark.parametrize("state", ["pending", "waiting", "held"])
def test_what_was_not_started_in_time_is_dead(rt: Runtime, state: str) -> None:
    event = make_event(rt)
    delivery, other = late(rt, event_uid=event, state=state), make_delivery(rt, event, state=state)
    rt.clock.advance(minutes=1)  # type: ignore[attr-defined]
    assert upkeep.expire(rt) == 0  # at that very moment it may still be started
    rt.clock.advance(seconds=1)  # type: ignore[attr-defined]
    assert upkeep.expire(rt) == 1
    row = row_of(rt, deliveries, delivery)
    assert (row.state, row.reason, row.finished_at) == ("dead", "expired", rt.clock())
    counts = row_of(rt, events, event)
    assert (counts.total, counts.open, counts.failed) == (2, 1, 1)
    assert row_of(rt, deliveries, other).state != "dead"
    with rt.db.read() as conn:
        entry = conn.execute(select(audit).where(audit.c.action == "delivery.expired")).one()
        assert (entry.target_id, entry.actor_kind) == (delivery, "system")
        assert conn.execute(select(counters.c.n).where(counters.c.measure == "dead")).scalar() == 1
    assert rows_of(rt, attempts) == []
    assert EventChanged(event, "") in rt.live.facts  # type: ignore[attr-defined]
    assert upkeep.expire(rt) == 0


def test_what_came_too_late_is_not_claimed_before_the_beat_comes(rt: Runtime) -> None:
    late(rt)
    rt.clock.advance(minutes=2)  # type: ignore[attr-defined]
    assert claim_all(rt) == []


def test_what_runs_and_what_has_ended_does_not_expire(rt: Runtime) -> None:
    late(rt)
    assert len(claim_all(rt)) == 1
    late(rt, state="succeeded")
    rt.clock.advance(minutes=2)  # type: ignore[attr-defined]
    assert upkeep.expire(rt) == 0


def test_an_expired_delivery_that_a_person_retries_runs(rt: Runtime, operator: Actor) -> None:
    delivery = late(rt)
    rt.clock.advance(minutes=2)  # type: ignore[attr-defined]
    upkeep.expire(rt)
    operate.retry(rt, operator, delivery)
    assert upkeep.expire(rt) == 0
    assert [one.id for one in claim_all(rt)] == [delivery]


def test_what_expired_says_nothing_about_the_handler(rt: Runtime) -> None:
    subscription = make_subscription(rt, policies={"breaker": {"min_tries": 1}})
    late(rt, subscription_id=subscription)
    rt.clock.advance(minutes=2)  # type: ignore[attr-defined]
    assert upkeep.expire(rt) == 1
    with rt.db.read() as conn:
        flow = flows.find(conn, subscription)
        assert flow is not None
        assert recent_tries(conn, flow, timedelta(minutes=5), rt.clock()).total == 0


def test_quotas_are_dropped_when_their_window_is_over(rt: Runtime) -> None:
    subscription, now = make_subscription(rt), rt.clock()
    row = {"subscription_id": subscription, "kind": "dedupe", "at": now, "n": 0, "delivery_id": "dlv_1"}
    with rt.db.write() as conn:
        for key, minutes in (("old", 1), ("new", 3)):
            conn.execute(insert(quotas), row | {"key": key, "until": now + timedelta(minutes=minutes)})
    rt.clock.advance(minutes=2)  # type: ignore[attr-defined]
    upkeep.prune(rt)
    assert [one.key for one in rows_of(rt, quotas)] == ["new"]
