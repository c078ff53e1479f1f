"""Retry, re-run and cancel, and what pausing or deleting a subscription does to its deliveries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.support.factories import make_subscription
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Forbidden, NotFound
from webapp.domain.events import parse_event
from webapp.domain.lifecycle import settle
from webapp.domain.outcomes import Discard, Done, Outcome, Retry
from webapp.runtime import Runtime
from webapp.services import operate, subscriptions
from webapp.services.accept import Acceptor
from webapp.services.record import record, release
from webapp.store.deliveries import Claimed, Finished, claim
from webapp.store.tables import attempts, audit, deliveries, events

LEASE = timedelta(seconds=10)


def publish(rt: Runtime, actor: Actor) -> tuple[str, str]:
    draft = parse_event({"type": "order.created", "payload": {}}, default_source="tests", now=rt.clock())
    answer = Acceptor(rt).accept(draft, actor)
    return answer.uid, answer.deliveries[0].id


def take(rt: Runtime, owner: str = "w1") -> list[Claimed]:
    with rt.db.write() as conn:
        return claim(conn, lane="default", owner=owner, limit=10, now=rt.clock(), lease=LEASE)


def end(rt: Runtime, claimed: Claimed, outcome: Outcome, owner: str = "w1") -> set[str]:
    now = rt.clock()
    settled = settle(outcome, policy=claimed.policy, tries_used=claimed.tries_used, now=now, roll=0.5)
    failed = isinstance(outcome, Retry | Discard)
    error = ("ValueError", "no stock", "Traceback") if failed else (None, None, None)
    return record(rt, [Finished(claimed, settled, now, now, *error)], owner)


def row_of(rt: Runtime, delivery_id: str) -> Any:
    with rt.db.read() as conn:
        return conn.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one()


def status_of(rt: Runtime, uid: str) -> tuple[str, int, int, int, int]:
    with rt.db.read() as conn:
        row = conn.execute(select(events).where(events.c.uid == uid)).one()
    return row.status, row.total, row.open, row.succeeded, row.failed


def test_finish_records_a_success_once_and_moves_the_event(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    uid, delivery = publish(rt, operator)
    (claimed,) = take(rt)
    assert (claimed.attempt, claimed.event.payload, claimed.event.uid) == (1, {}, uid)
    assert end(rt, claimed, Done()) == {delivery}
    assert end(rt, claimed, Done()) == set()
    assert status_of(rt, uid) == ("succeeded", 1, 0, 1, 0)
    with rt.db.read() as conn:
        assert conn.execute(select(attempts.c.outcome)).scalars().all() == ["succeeded"]


def test_finish_records_nothing_when_the_lease_is_somebody_elses(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    uid, _ = publish(rt, operator)
    (claimed,) = take(rt)
    assert end(rt, claimed, Done(), owner="zombie") == set()
    assert status_of(rt, uid)[0] == "processing"


def test_retry_makes_a_waiting_delivery_due_now(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    _, delivery = publish(rt, operator)
    end(rt, take(rt)[0], Retry())
    assert row_of(rt, delivery).state == "waiting"
    assert row_of(rt, delivery).error_message == "no stock"
    assert take(rt) == []
    operate.retry(rt, operator, delivery)
    assert [one.attempt for one in take(rt)] == [2]


def test_retry_gives_a_dead_delivery_all_its_tries_again(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    uid, delivery = publish(rt, operator)
    end(rt, take(rt)[0], Discard("bad address"))
    assert status_of(rt, uid) == ("failed", 1, 0, 0, 1)
    operate.retry(rt, operator, delivery)
    assert status_of(rt, uid) == ("processing", 1, 1, 0, 0)
    (claimed,) = take(rt)
    assert (claimed.attempt, claimed.tries_used) == (2, 0)
    end(rt, claimed, Done())
    assert status_of(rt, uid) == ("succeeded", 1, 0, 1, 0)
    with rt.db.read() as conn:
        actions = conn.execute(select(audit.c.action, audit.c.actor_name).order_by(audit.c.id)).all()
    assert ("delivery.retried", "olga") in [tuple(one) for one in actions]


def test_retry_refuses_what_has_succeeded_or_is_not_there(rt: Runtime, operator: Actor, viewer: Actor) -> None:
    make_subscription(rt)
    _, delivery = publish(rt, operator)
    end(rt, take(rt)[0], Done())
    with pytest.raises(Conflict):
        operate.retry(rt, operator, delivery)
    with pytest.raises(NotFound):
        operate.retry(rt, operator, "dlv_nothing")
    with pytest.raises(Forbidden):
        operate.retry(rt, viewer, delivery)


def test_rerun_adds_a_delivery_and_leaves_the_old_one(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    uid, delivery = publish(rt, operator)
    with pytest.raises(Conflict):
        operate.rerun(rt, operator, delivery)
    end(rt, take(rt)[0], Done())
    before = row_of(rt, delivery)
    again = operate.rerun(rt, operator, delivery)
    assert row_of(rt, delivery) == before
    assert (row_of(rt, again).replay, row_of(rt, again).replay_of) == (1, delivery)
    assert status_of(rt, uid) == ("processing", 2, 1, 1, 0)
    operate.cancel(rt, operator, again)
    assert status_of(rt, uid) == ("partial", 2, 0, 1, 1)
    assert row_of(rt, operate.rerun(rt, operator, again)).replay == 2


def test_release_gives_the_try_back(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    _, delivery = publish(rt, operator)
    take(rt)
    assert release(rt, [delivery], "w1") == {delivery}
    (claimed,) = take(rt, "w2")
    assert (claimed.attempt, claimed.tries_used, claimed.crashes) == (2, 0, 0)


def test_pause_holds_due_deliveries_and_those_that_fall_back(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt)
    _, running = publish(rt, operator)
    (claimed,) = take(rt)
    _, due = publish(rt, operator)
    assert subscriptions.pause(rt, operator, subscription, "maintenance") == 1
    assert row_of(rt, due).state == "held"
    end(rt, claimed, Retry())
    assert row_of(rt, running).state == "held"
    with pytest.raises(Conflict):
        subscriptions.pause(rt, operator, subscription)
    assert subscriptions.resume(rt, operator, subscription) == 2
    assert {one.id for one in take(rt)} == {running, due}


def test_delete_cancels_what_has_not_ended(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt)
    first, running = publish(rt, operator)
    (claimed,) = take(rt)
    second, due = publish(rt, operator)
    assert subscriptions.delete(rt, operator, subscription) == 2
    assert (row_of(rt, due).state, row_of(rt, due).cancel_requested_by) == ("cancelled", "olga")
    assert (row_of(rt, running).state, row_of(rt, running).cancel_requested_by) == ("running", "olga")
    assert end(rt, claimed, Retry()) == {running}
    assert row_of(rt, running).state == "cancelled"
    assert {status_of(rt, first)[0], status_of(rt, second)[0]} == {"failed"}
