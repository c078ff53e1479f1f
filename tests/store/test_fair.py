"""Fair claims: by priority, with nobody starved, no flood at another's cost, and each look bounded by an index."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_subscription
from tests.support.work import LEASE, claim_all
from webapp.runtime import Runtime
from webapp.store import fair, gates, tables
from webapp.store.deliveries import Claimed, claim, due_lanes


def fill(rt: Runtime, subscription_id: str, n: int, **fields: Any) -> None:
    """That many due deliveries of a subscription, a second apart, the last one due now."""
    now = rt.clock()
    uids = [rt.new_id("evt") for _ in range(n)]
    events = [
        {"uid": uid, "id": uid, "source": "tests", "type": "order.created", "version": 1, "timestamp": now,
         "received_at": now, "payload": "{}", "labels": {}, "received_by": "tests", "total": 1, "open": 1}
        for uid in uids
    ]  # fmt: skip
    rows = [
        {"id": rt.new_id("dlv"), "event_uid": uid, "subscription_id": subscription_id, "handler": "log",
         "lane": "default", "state": "pending", "due_at": now - timedelta(seconds=n - 1 - at), "created_at": now}
        | fields
        for at, uid in enumerate(uids)
    ]  # fmt: skip
    with rt.db.write() as conn:
        conn.execute(insert(tables.events), events)
        conn.execute(insert(tables.deliveries), rows)


def take(rt: Runtime, limit: int, roll: float = 0.99) -> list[Claimed]:
    with rt.db.write() as conn:
        return claim(conn, lane="default", owner="w", limit=limit, now=rt.clock(), lease=LEASE, roll=roll)


def test_high_goes_before_normal_before_low(rt: Runtime, clock: Clock) -> None:
    low, normal, high = (make_subscription(rt) for _ in range(3))
    fill(rt, low, 2, priority=2, due_at=clock() - timedelta(hours=1))
    fill(rt, normal, 2)
    fill(rt, high, 2, priority=0)
    assert [one.subscription_id for one in take(rt, 100)] == [high, high, normal, normal, low, low]


def test_high_comes_first_when_more_is_due_than_can_be_taken(rt: Runtime) -> None:
    normal, high = make_subscription(rt), make_subscription(rt)
    fill(rt, normal, 30)
    fill(rt, high, 30, priority=0)
    assert Counter(one.subscription_id for one in take(rt, 20)) == {high: 18, normal: 2}


def test_low_is_given_a_tenth_however_much_else_is_due(rt: Runtime) -> None:
    subscriptions = [make_subscription(rt) for _ in range(3)]
    for priority, subscription in enumerate(subscriptions):
        fill(rt, subscription, 40, priority=priority)
    taken = Counter(one.priority for one in take(rt, 30))
    assert taken == {0: 24, 1: 3, 2: 3}


@pytest.mark.parametrize(("roll", "kept"), [(0.0, 1), (0.39, 1), (0.41, 0)])
def test_share_of_the_low_holds_for_small_claims_over_time(rt: Runtime, roll: float, kept: int) -> None:
    low, high = make_subscription(rt), make_subscription(rt)
    fill(rt, high, 10, priority=0)
    fill(rt, low, 10, priority=2)
    assert Counter(one.priority for one in take(rt, 4, roll))[2] == kept


def test_one_at_a_time_is_drawn_from_all_subscriptions_whoever_is_oldest(rt: Runtime, clock: Clock) -> None:
    flood, trickle = make_subscription(rt), make_subscription(rt)
    fill(rt, flood, 50, due_at=clock() - timedelta(hours=1))
    fill(rt, trickle, 20)
    taken = Counter(take(rt, 1, roll / 40)[0].subscription_id for roll in range(4, 24))
    assert taken == {flood: 10, trickle: 10}


def test_one_at_a_time_is_of_a_lower_priority_a_tenth_of_the_time(rt: Runtime) -> None:
    for priority in (0, 1, 2):
        fill(rt, make_subscription(rt), 40, priority=priority)
    assert Counter(take(rt, 1, roll / 40)[0].priority for roll in range(40)) == {0: 36, 1: 2, 2: 2}


def test_flood_of_one_subscription_does_not_delay_the_other(rt: Runtime) -> None:
    flood, trickle = make_subscription(rt), make_subscription(rt)
    fill(rt, flood, 200)
    fill(rt, trickle, 1)  # the youngest of all
    taken = take(rt, 20)
    assert Counter(one.subscription_id for one in taken) == {flood: 19, trickle: 1}


def test_two_floods_share_a_claim_evenly_whichever_is_older(rt: Runtime, clock: Clock) -> None:
    older, younger = make_subscription(rt), make_subscription(rt)
    fill(rt, older, 50, due_at=clock() - timedelta(hours=1))
    fill(rt, younger, 50)
    assert Counter(one.subscription_id for one in take(rt, 20)) == {older: 10, younger: 10}


def test_everything_is_claimed_once_in_the_end(rt: Runtime) -> None:
    for n in range(5):
        fill(rt, make_subscription(rt), 3 + n, priority=n % 3)
    taken: list[str] = []
    while batch := take(rt, 4):
        taken += [one.id for one in batch]
    assert len(taken) == len(set(taken)) == 25


def test_with_more_subscriptions_than_share_a_claim_nobody_is_left_out(
    rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fair, "MAX_SUBSCRIPTIONS", 3)
    monkeypatch.setattr(fair, "MAX_STEPS", 4)
    subscriptions = [make_subscription(rt) for _ in range(9)]
    fill(rt, subscriptions[0], 60, due_at=rt.clock() - timedelta(hours=1))
    for subscription in subscriptions[1:]:
        fill(rt, subscription, 2)
    seen: set[str] = set()
    for turn in range(9):
        seen |= {one.subscription_id for one in take(rt, 6, roll=turn / 9)}
    assert seen == set(subscriptions)


def test_expired_and_gated_are_not_claimed(rt: Runtime, clock: Clock) -> None:
    make_delivery(rt, expires_at=clock() - timedelta(microseconds=1))
    make_delivery(rt, gated=True)
    in_time = make_delivery(rt, expires_at=clock())
    assert [one.id for one in claim_all(rt)] == [in_time]


def test_lane_with_nothing_but_gated_or_expired_work_is_not_rung(rt: Runtime, clock: Clock) -> None:
    make_delivery(rt, gated=True)
    make_delivery(rt, expires_at=clock() - timedelta(seconds=1))
    with rt.db.read() as conn:
        assert due_lanes(conn, clock()) == []


# Plans: what runs many times a second must not read what is not its turn.


@pytest.fixture
def crowded(rt: Runtime, clock: Clock) -> Runtime:
    """Ended, future, gated and due deliveries of several subscriptions, and statistics that know of them."""
    for _ in range(4):
        subscription = make_subscription(rt)
        fill(rt, subscription, 300, state="succeeded")
        fill(rt, subscription, 100, state="waiting", due_at=clock() + timedelta(hours=1))
        fill(rt, subscription, 100, gated=True, order_key="k", limit_key="k")
        fill(rt, subscription, 100)
    with rt.db.write() as conn:
        conn.execute(text("ANALYZE"))
    return rt


def plan_of(conn: Any, statement: Any, given: Any = None) -> list[str]:
    """What the database would do, line by line."""
    compiled = statement.compile(dialect=conn.dialect, compile_kwargs={"render_postcompile": True})
    verb = "EXPLAIN QUERY PLAN" if conn.dialect.name == "sqlite" else "EXPLAIN (COSTS OFF)"
    known = compiled.construct_params(given)
    processors = compiled._bind_processors
    values = {name: processors[name](value) if name in processors else value for name, value in known.items()}
    args = tuple(values[name] for name in compiled.positiontup) if compiled.positional else values
    return [str(row[-1]) for row in conn.exec_driver_sql(f"{verb} {compiled}", args)]


def assert_bounded(conn: Any, statement: Any, index: str, given: Any = None) -> list[str]:
    plan = plan_of(conn, statement, given)
    told = "\n".join(plan)
    assert index in told, told
    scanned = [line for line in plan if "Seq Scan on deliveries" in line or line.startswith("SCAN deliveries")]
    assert scanned == [], told
    return plan


def test_looks_of_a_claim_are_carried_by_their_indexes(crowded: Runtime, clock: Clock) -> None:
    with crowded.db.read() as conn:
        given = fair.due_params("default", 20, clock())
        told = "\n".join(assert_bounded(conn, fair.oldest_due(lock=False), "ix_deliveries_due", given))
        assert "Sort" not in told, told
        assert "TEMP B-TREE" not in told, told
        assert_bounded(conn, fair.first_of_subscriptions(64, False), "ix_deliveries_due_fair", given)
        ids = [row.subscription_id for row in fair._with_due_work(conn, "default", clock(), None)[0]]
        where = fair._due_in("default", clock())
        some = fair.some_of_these(conn, "subscription_id", ids, fair.OLDEST, where, 5, lock=False)
        assert_bounded(conn, some, "ix_deliveries_due_fair")


def test_looks_of_the_gate_are_carried_by_their_indexes(crowded: Runtime, clock: Clock) -> None:
    with crowded.db.read() as conn:
        [subscription, *_] = gates.waiting_subscriptions(conn, clock())
        mine = {"mine": subscription}
        assert_bounded(conn, gates._first_of_each_key(False, False), "ix_deliveries_order", mine)
        these = gates.first_of_these(conn, "order_key", ["k"], "id", gates._in_order(skip_dead=False), gates.HEAD)
        assert_bounded(conn, these, "ix_deliveries_order", mine)
        assert_bounded(conn, gates.first_waiting(), "ix_deliveries_gated")
