"""Claiming: each due delivery goes to one worker, oldest first, and to nobody before its time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of
from tests.support.work import LEASE, claim_all
from webapp.runtime import Runtime
from webapp.store import tables
from webapp.store.deliveries import claim, due_lanes, renew, renew_all

deliveries = tables.deliveries


def test_claim_takes_a_due_delivery_under_a_lease(rt: Runtime) -> None:
    delivery_id = make_delivery(rt)
    (claimed,) = claim_all(rt)
    row = row_of(rt, deliveries, delivery_id)
    assert (claimed.id, claimed.attempt, claimed.tries_used) == (delivery_id, 1, 0)
    assert (row.state, row.attempt, row.lease_owner) == ("running", 1, "worker-1")
    assert (row.lease_until, row.started_at, row.v) == (rt.clock() + LEASE, rt.clock(), 1)


def test_claim_brings_all_that_the_handler_needs(rt: Runtime) -> None:
    uid = make_event(rt, type="order.paid", payload={"amount": 5}, labels={"team": "shop"})
    subscription_id = make_subscription(rt, handler="notify", options={"title": "Paid"}, timeout_ms=1500)
    make_delivery(rt, uid, subscription_id, handler="notify")
    (claimed,) = claim_all(rt)
    assert (claimed.event.uid, claimed.event.type, claimed.event.payload) == (uid, "order.paid", {"amount": 5})
    assert (claimed.options, claimed.timeout) == ({"title": "Paid"}, timedelta(seconds=1.5))
    assert claimed.policy.max_attempts == 8


def test_claim_takes_the_oldest_first_when_limited(rt: Runtime, clock: Clock) -> None:
    uid = make_event(rt)
    subscriptions = [make_subscription(rt) for _ in range(3)]
    late, early, middle = (
        make_delivery(rt, uid, subscription, due_at=clock() - timedelta(seconds=age))
        for subscription, age in zip(subscriptions, (1, 9, 5), strict=True)
    )
    assert [one.id for one in claim_all(rt, limit=2)] == [early, middle]
    assert [one.id for one in claim_all(rt, limit=2)] == [late]


@pytest.mark.parametrize("state", ["running", "held", "succeeded", "dead", "cancelled", "skipped"])
def test_claim_leaves_a_delivery_alone_when_it_is(rt: Runtime, state: str) -> None:
    make_delivery(rt, state=state, lease_owner="other", lease_until=rt.clock() + LEASE)
    assert claim_all(rt) == []


def test_claim_leaves_a_delivery_alone_before_it_is_due(rt: Runtime, clock: Clock) -> None:
    make_delivery(rt, state="waiting", due_at=clock() + timedelta(seconds=5))
    assert claim_all(rt) == []
    clock.advance(seconds=5)
    assert len(claim_all(rt)) == 1


def test_claim_stays_in_its_lane(rt: Runtime) -> None:
    delivery_id = make_delivery(rt, lane="isolated")
    assert claim_all(rt) == []
    assert [one.id for one in claim_all(rt, lane="isolated")] == [delivery_id]


def test_claim_gives_each_delivery_to_one_worker_when_many_race(rt: Runtime) -> None:
    uid = make_event(rt)
    made = {make_delivery(rt, uid, make_subscription(rt)) for _ in range(40)}
    start = threading.Barrier(8)

    def race(worker: int) -> list[str]:
        start.wait()
        taken: list[str] = []
        while batch := claim_all(rt, f"worker-{worker}", limit=3):
            taken += [one.id for one in batch]
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [one for batch in pool.map(race, range(8)) for one in batch]
    assert sorted(taken) == sorted(made)


@pytest.mark.postgres
def test_claim_passes_by_rows_that_an_open_transaction_is_taking(make_runtime, postgres_url: str) -> None:
    rt = make_runtime(postgres_url)
    uid = make_event(rt)
    for _ in range(2):
        make_delivery(rt, uid, make_subscription(rt))
    with rt.db.write() as first, rt.db.write() as second:
        mine = claim(first, lane="default", owner="a", limit=1, now=rt.clock(), lease=LEASE)
        theirs = claim(second, lane="default", owner="b", limit=2, now=rt.clock(), lease=LEASE)
    assert len(mine) == len(theirs) == 1
    assert mine[0].id != theirs[0].id


def test_claim_of_one_answers_nothing_when_the_bell_rang_twice(rt: Runtime) -> None:
    make_delivery(rt, lane="isolated")
    assert [len(claim_all(rt, owner, lane="isolated", limit=1)) for owner in ("a", "b")] == [1, 0]


def test_whatever_an_owner_runs_is_prolonged_or_ended_at_once(rt: Runtime, clock: Clock) -> None:
    mine, other = (make_delivery(rt, due_at=clock() - timedelta(seconds=age)) for age in (2, 1))
    claim_all(rt, "horse-1", limit=1)
    claim_all(rt, "horse-2", limit=1)
    with rt.db.write() as conn:
        renew_all(conn, owner="horse-1", until=clock() + 2 * LEASE)
    assert row_of(rt, deliveries, mine).lease_until == clock() + 2 * LEASE
    assert row_of(rt, deliveries, other).lease_until == clock() + LEASE


def test_renew_prolongs_only_what_is_still_ours(rt: Runtime, clock: Clock) -> None:
    mine, other = (make_delivery(rt, due_at=clock() - timedelta(seconds=age)) for age in (2, 1))
    claim_all(rt, "worker-1", limit=1)
    claim_all(rt, "worker-2", limit=1)
    until = clock.advance(seconds=3) + LEASE
    with rt.db.write() as conn:
        assert renew(conn, owner="worker-1", ids=[mine, other], until=until) == {mine: False}
    assert row_of(rt, deliveries, mine).lease_until == until
    assert row_of(rt, deliveries, other).lease_until < until


def test_due_work_is_found_by_lane(rt: Runtime, clock: Clock) -> None:
    with rt.db.read() as conn:
        assert due_lanes(conn, clock()) == []
    make_delivery(rt)
    make_delivery(rt, lane="isolated", due_at=clock() + timedelta(hours=1))
    with rt.db.read() as conn:
        assert due_lanes(conn, clock()) == ["default"]
    make_delivery(rt, lane="isolated")
    with rt.db.read() as conn:
        assert due_lanes(conn, clock()) == ["default", "isolated"]
