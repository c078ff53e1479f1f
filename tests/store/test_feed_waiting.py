"""Why a delivery has not started, its place in the row, and how long that takes."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of
from webapp.runtime import Runtime
from webapp.services import gatekeeper
from webapp.store import feed_waiting, tables
from webapp.store.counters import minute_of, raise_counts
from webapp.store.feed_waiting import Place, WaitingFor, Waits, is_blocking, waits_of


def arrive(rt: Runtime, subscription_id: str, order: str | None = None, limit: str | None = None, **fields: Any) -> str:
    keys = {"gated": True, "order_key": order, "limit_key": limit}
    made = make_delivery(rt, make_event(rt), subscription_id, **keys | fields)
    rt.clock.advance(milliseconds=1)  # type: ignore[attr-defined]  # ids of one millisecond have no order
    return made


def waits(rt: Runtime, delivery_id: str) -> Waits | None:
    with rt.db.read() as conn:
        return waits_of(conn, [delivery_id], rt.clock()).get(delivery_id)


def test_ordered_one_names_the_one_that_it_waits_for(rt: Runtime) -> None:
    subscription = make_subscription(rt, policies={"ordering": {"key": "{data.a}"}})
    first = arrive(rt, subscription, "a", state="dead", gated=False)
    arrive(rt, subscription, "a")
    last = arrive(rt, subscription, "a")
    event = row_of(rt, tables.deliveries, first).event_uid
    with rt.db.write() as conn:  # it moves, but not before somebody looks after the dead one
        raise_counts(conn, Counter({(minute_of(rt.clock()) - 1, subscription, "run", 3): 242}))
    assert waits(rt, last) == Waits(WaitingFor("order", first, event, "dead", key="a"), Place(1, False, None))
    with rt.db.read() as conn:
        assert is_blocking(conn, first)
        assert not is_blocking(conn, last)


def test_dead_one_blocks_nobody_who_goes_on_or_when_nobody_follows(rt: Runtime) -> None:
    goes_on = make_subscription(rt, policies={"ordering": {"key": "{data.a}", "on_dead": "continue"}})
    passed_by = arrive(rt, goes_on, "a", state="dead", gated=False)
    follower = arrive(rt, goes_on, "a")
    blocks = make_subscription(rt, policies={"ordering": {"key": "{data.a}"}})
    alone = arrive(rt, blocks, "a", state="dead", gated=False)
    assert waits(rt, follower) == Waits(WaitingFor("gate"), Place(0, False, None))
    with rt.db.read() as conn:
        assert not is_blocking(conn, passed_by)
        assert not is_blocking(conn, alone)


def test_full_subscription_says_how_many_are_under_way(rt: Runtime) -> None:
    subscription = make_subscription(rt, policies={"concurrency": {"limit": 2}})
    made = [arrive(rt, subscription, limit="") for _ in range(4)]
    gatekeeper.admit(rt)
    assert waits(rt, made[3]) == Waits(WaitingFor("slot", used=2, limit=2), Place(1, False, None))
    keyed = make_subscription(rt, policies={"concurrency": {"key": "{data.a}", "per_key": 1}})
    arrive(rt, keyed, limit="k")
    other = arrive(rt, keyed, limit="k")
    gatekeeper.admit(rt)
    found = waits(rt, other)
    assert found is not None
    assert found.waiting_for == WaitingFor("slot", used=1, limit=1, key="k")


def test_throttled_one_says_when_the_next_may_start(rt: Runtime, clock: Clock) -> None:
    subscription = make_subscription(rt, policies={"throttle": {"limit": 1, "period": "10s"}})
    arrive(rt, subscription, limit="")
    begun, late = clock(), arrive(rt, subscription, limit="")
    gatekeeper.admit(rt)
    opened = begun + timedelta(milliseconds=1, seconds=10)
    assert waits(rt, late) == Waits(WaitingFor("throttle", limit=1, until=opened), Place(0, False, None))


def test_due_one_has_a_place_in_its_lane_and_a_time_from_the_pace_of_late(rt: Runtime, clock: Clock) -> None:
    for priority in (0, 1, 2):
        make_delivery(rt, priority=priority)
    clock.advance(seconds=1)
    mine = make_delivery(rt)
    assert waits(rt, mine) == Waits(None, Place(2, False, None))
    with rt.db.write() as conn:
        raise_counts(conn, Counter({(minute_of(clock()) - 1, "sub", "run", 3): 242}))
    found = waits(rt, mine)
    assert found is not None
    assert found.place == Place(2, False, 1.5)  # third, at two a second


def test_places_are_counted_up_to_a_bound(rt: Runtime, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_waiting, "COUNT_CAP", 2)
    for _ in range(4):
        make_delivery(rt)
    clock.advance(seconds=1)
    assert waits(rt, make_delivery(rt)) == Waits(None, Place(2, True, None))


def test_what_is_not_due_or_has_started_does_not_wait(rt: Runtime, clock: Clock) -> None:
    assert waits(rt, make_delivery(rt, due_at=clock() + timedelta(seconds=1))) is None
    assert waits(rt, make_delivery(rt, state="running")) is None
