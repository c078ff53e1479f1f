"""Rescue, ringing and pruning: compare-and-set steps that any number of beats may run."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert, select

from tests.services.test_operate import end, publish, row_of, status_of, take
from tests.support.clock import Clock
from tests.support.factories import make_subscription, rows_of
from tests.support.work import claim_all
from webapp.domain.access import Actor
from webapp.domain.outcomes import Done
from webapp.runtime import Runtime
from webapp.services import upkeep
from webapp.store.deliveries import renew
from webapp.store.tables import attempts, audit, bulk_errors, bulk_operations, notifications, workers


def test_rescue_takes_back_what_a_silent_worker_held(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_subscription(rt)
    uid, delivery = publish(rt, operator)
    (claimed,) = take(rt)
    assert upkeep.rescue(rt) == 0
    clock.advance(seconds=11)
    assert upkeep.rescue(rt) == 1
    assert upkeep.rescue(rt) == 0
    row = row_of(rt, delivery)
    assert (row.state, row.lane, row.crashes, row.tries_used, row.error_type) == (
        "waiting", "isolated", 1, 1, "WorkerLost",
    )  # fmt: skip
    assert end(rt, claimed, Done()) == set(), "the worker came back from the dead and must not be heard"
    [again] = claim_all(rt, "w2", lane="isolated")
    assert end(rt, again, Done(), "w2") == {delivery}
    assert status_of(rt, uid)[0] == "succeeded"
    with rt.db.read() as conn:
        assert conn.execute(select(attempts.c.outcome).order_by(attempts.c.n)).scalars().all() == [
            "crashed", "succeeded",
        ]  # fmt: skip
        assert "delivery.rescued" in conn.execute(select(audit.c.action)).scalars().all()


def test_rescue_leaves_a_lease_that_was_renewed(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_subscription(rt)
    _, delivery = publish(rt, operator)
    take(rt)
    clock.advance(seconds=9)
    with rt.db.write() as conn:
        assert renew(conn, owner="w1", ids=[delivery], until=rt.clock() + timedelta(seconds=10)) == {delivery: False}
        assert renew(conn, owner="w2", ids=[delivery], until=rt.clock() + timedelta(seconds=10)) == {}
    clock.advance(seconds=9)
    assert upkeep.rescue(rt) == 0


def test_rescue_gives_up_after_three_crashes(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_subscription(rt)
    uid, delivery = publish(rt, operator)
    take(rt)
    for _ in range(3):
        clock.advance(seconds=60)
        assert upkeep.rescue(rt) == 1
        clock.advance(seconds=60)
        claim_all(rt, "w", lane="isolated")
    assert (row_of(rt, delivery).state, row_of(rt, delivery).reason) == ("dead", "lost")
    assert status_of(rt, uid) == ("failed", 1, 0, 0, 1)


def test_ring_due_rings_only_lanes_with_work(rt: Runtime, operator: Actor) -> None:
    upkeep.ring_due(rt)
    assert rt.queue.rung == []  # type: ignore[attr-defined]
    make_subscription(rt)
    publish(rt, operator)
    rt.queue.rung.clear()  # type: ignore[attr-defined]
    upkeep.ring_due(rt)
    assert rt.queue.rung == ["default"]  # type: ignore[attr-defined]


def test_prune_reports_a_worker_that_fell_silent_once(rt: Runtime, clock: Clock) -> None:
    row = {"name": "w1", "kind": "shared", "host": "h", "pid": 1, "state": "idle"}
    with rt.db.write() as conn:
        conn.execute(workers.insert(), row | {"started_at": rt.clock(), "seen_at": rt.clock()})
    upkeep.prune(rt)
    clock.advance(seconds=16)
    upkeep.prune(rt)
    upkeep.prune(rt)
    with rt.db.read() as conn:
        assert conn.execute(select(workers)).all() == []
        assert len(conn.execute(select(notifications)).all()) == 1


def test_bulk_operations_are_dropped_long_after_they_ended(rt: Runtime, clock: Clock) -> None:
    now = rt.clock()
    row = {"kind": "retry", "selection": {}, "reason": "x", "actor_kind": "user", "actor_id": "u", "actor_name": "ada"}
    row |= {"created_at": now, "updated_at": now}
    with rt.db.write() as conn:
        for id, state, ended in (
            ("blk_1", "done", now),
            ("blk_2", "running", None),
            ("blk_3", "done", now + timedelta(days=2)),
        ):
            conn.execute(insert(bulk_operations), row | {"id": id, "state": state, "finished_at": ended})
            conn.execute(insert(bulk_errors), {"operation_id": id, "target_id": "dlv_1", "message": "no", "at": now})
    upkeep.prune(rt)
    assert [one.id for one in rows_of(rt, bulk_operations)] == ["blk_1", "blk_2", "blk_3"]
    clock.advance(days=91)
    upkeep.prune(rt)
    assert [one.id for one in rows_of(rt, bulk_operations)] == ["blk_2", "blk_3"]
    assert [one.operation_id for one in rows_of(rt, bulk_errors)] == ["blk_2", "blk_3"]
