"""Recording outcomes: once, behind the fence, with the event's counts moving along."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import exc, func, select

from tests.support.clock import Clock
from tests.support.factories import make_attempt, make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.work import claim_all, finish_all
from webapp.domain.outcomes import Discard, Done, Retry, Skip, Snooze
from webapp.runtime import Runtime
from webapp.store import outcomes, tables

deliveries, attempts, events = tables.deliveries, tables.attempts, tables.events


def _no_delay(_: int) -> timedelta:
    return timedelta(0)


def _rescue(rt: Runtime) -> list[str]:
    with rt.db.write() as conn:
        rows = outcomes.rescue(conn, now=rt.clock(), limit=100, delay=_no_delay, new_id=rt.new_id)
    return [row.id for row in rows]


@pytest.mark.parametrize(
    ("outcome", "state", "reason", "status", "word"),
    [
        (Done({"ok": True}), "succeeded", None, "succeeded", "succeeded"),
        (Discard("not wanted"), "dead", "permanent", "failed", "discarded"),
        (Skip("not today"), "skipped", None, "succeeded", "skipped"),
        (Retry(reason="later"), "waiting", None, "processing", "failed"),
        (Snooze(timedelta(minutes=1)), "waiting", None, "processing", "snoozed"),
    ],
)
def test_finish_moves_delivery_event_and_attempt_together(
    rt: Runtime, outcome: object, state: str, reason: str | None, status: str, word: str
) -> None:
    delivery_id = make_delivery(rt)
    assert finish_all(rt, claim_all(rt), outcome) == {delivery_id}  # type: ignore[arg-type]
    delivery = row_of(rt, deliveries, delivery_id)
    (attempt,) = rows_of(rt, attempts)
    assert (delivery.state, delivery.reason, delivery.lease_owner) == (state, reason, None)
    assert row_of(rt, events, delivery.event_uid).status == status
    assert (attempt.delivery_id, attempt.n, attempt.outcome, attempt.worker) == (delivery_id, 1, word, "worker-1")


def test_event_is_partial_when_one_delivery_succeeds_and_one_dies(rt: Runtime) -> None:
    uid = make_event(rt)
    for _ in range(2):
        make_delivery(rt, uid, make_subscription(rt))
    first, second = claim_all(rt)
    finish_all(rt, [first], Done())
    assert row_of(rt, events, uid).status == "processing"
    finish_all(rt, [second], Discard("no"))
    assert row_of(rt, events, uid).status == "partial"


def test_snooze_uses_up_no_try_and_retry_does(rt: Runtime, clock: Clock) -> None:
    delivery_id = make_delivery(rt)
    finish_all(rt, claim_all(rt), Snooze(timedelta(seconds=1)))
    assert row_of(rt, deliveries, delivery_id).tries_used == 0
    clock.advance(seconds=1)
    finish_all(rt, claim_all(rt), Retry(reason="no", after=timedelta(seconds=1)))
    row = row_of(rt, deliveries, delivery_id)
    assert (row.tries_used, row.attempt, row.due_at) == (1, 2, clock() + timedelta(seconds=1))


def test_finish_changes_nothing_when_the_lease_went_to_another_worker(rt: Runtime, clock: Clock) -> None:
    delivery_id = make_delivery(rt)
    zombie = claim_all(rt, "zombie")
    clock.advance(seconds=11)
    assert _rescue(rt) == [delivery_id]
    claim_all(rt, "heir", lane="isolated")
    assert finish_all(rt, zombie, Done(), owner="zombie") == set()
    row = row_of(rt, deliveries, delivery_id)
    assert (row.state, row.lease_owner, row.attempt) == ("running", "heir", 2)
    assert [one.outcome for one in rows_of(rt, attempts)] == ["crashed"]


def test_finish_changes_nothing_when_the_same_worker_claimed_it_again(rt: Runtime, clock: Clock) -> None:
    delivery_id = make_delivery(rt)
    stale = claim_all(rt)
    clock.advance(seconds=11)
    _rescue(rt)
    fresh = claim_all(rt, lane="isolated")
    assert finish_all(rt, stale, Done()) == set()
    assert finish_all(rt, fresh, Done()) == {delivery_id}


def test_finish_records_a_result_once_when_told_twice(rt: Runtime) -> None:
    make_delivery(rt)
    claimed = claim_all(rt)
    assert finish_all(rt, claimed, Done())
    assert finish_all(rt, claimed, Done()) == set()
    assert len(rows_of(rt, attempts)) == 1


def test_database_refuses_a_second_success_of_a_delivery(rt: Runtime) -> None:
    delivery_id = make_delivery(rt)
    make_attempt(rt, delivery_id, n=1, outcome="succeeded", error_type=None)
    with pytest.raises(exc.IntegrityError):
        make_attempt(rt, delivery_id, n=2, outcome="succeeded", error_type=None)


def test_rescue_takes_back_only_what_lost_its_lease(rt: Runtime, clock: Clock) -> None:
    lost = make_delivery(rt)
    claim_all(rt, "silent")
    clock.advance(seconds=9)
    make_delivery(rt)
    claim_all(rt, "alive")
    assert _rescue(rt) == []
    clock.advance(seconds=2)
    assert _rescue(rt) == [lost]
    row = row_of(rt, deliveries, lost)
    assert (row.state, row.lane, row.crashes, row.error_type) == ("waiting", "isolated", 1, "WorkerLost")


def test_rescue_gives_up_when_a_delivery_took_three_workers_down(rt: Runtime, clock: Clock) -> None:
    delivery_id = make_delivery(rt)
    for lane in ("default", "isolated", "isolated"):
        assert len(claim_all(rt, lane=lane)) == 1
        clock.advance(seconds=11)
        assert _rescue(rt) == [delivery_id]
    delivery = row_of(rt, deliveries, delivery_id)
    assert (delivery.state, delivery.reason) == ("dead", "lost")
    assert row_of(rt, events, delivery.event_uid).status == "failed"
    assert [one.outcome for one in rows_of(rt, attempts)] == ["crashed"] * 3


def test_release_gives_work_back_without_using_up_a_try(rt: Runtime) -> None:
    delivery_id = make_delivery(rt)
    claim_all(rt)
    with rt.db.write() as conn:
        given = outcomes.release(conn, [delivery_id], owner="worker-1", at=rt.clock(), new_id=rt.new_id)
    row = row_of(rt, deliveries, delivery_id)
    assert given == {delivery_id}
    assert (row.state, row.tries_used, row.crashes) == ("pending", 0, 0)
    assert [one.outcome for one in rows_of(rt, attempts)] == ["interrupted"]


def test_waiting_delivery_is_held_when_its_subscription_was_paused_meanwhile(rt: Runtime) -> None:
    subscription_id = make_subscription(rt, paused_at=rt.clock())
    delivery_id = make_delivery(rt, None, subscription_id)
    finish_all(rt, claim_all(rt), Retry(reason="no"))
    assert row_of(rt, deliveries, delivery_id).state == "held"


def test_waiting_delivery_is_cancelled_when_its_subscription_was_deleted_meanwhile(rt: Runtime) -> None:
    subscription_id = make_subscription(rt, deleted_at=rt.clock())
    delivery_id = make_delivery(rt, None, subscription_id)
    finish_all(rt, claim_all(rt), Retry(reason="no"))
    delivery = row_of(rt, deliveries, delivery_id)
    assert delivery.state == "cancelled"
    assert row_of(rt, events, delivery.event_uid).open == 0


def test_progress_is_kept_only_for_the_attempt_that_runs(rt: Runtime) -> None:
    delivery_id = make_delivery(rt)
    claim_all(rt)
    step = {"id": delivery_id, "attempt": 1, "done": 3, "total": 10, "message": "third"}
    with rt.db.write() as conn:
        outcomes.save_progress(conn, [step], owner="worker-1")
        outcomes.save_progress(conn, [step | {"attempt": 2, "done": 9}], owner="worker-1")
        outcomes.save_progress(conn, [step | {"done": 8}], owner="zombie")
    row = row_of(rt, deliveries, delivery_id)
    assert (row.progress_done, row.progress_total, row.progress_message) == (3, 10, "third")


def test_counters_count_what_was_recorded(rt: Runtime, clock: Clock) -> None:
    subscription_id = make_subscription(rt)
    for _ in range(3):
        make_delivery(rt, make_event(rt), subscription_id, due_at=clock() - timedelta(seconds=2))
    first, second, third = claim_all(rt)
    finish_all(rt, [first, second], Done())
    finish_all(rt, [third], Discard("no"))
    c = tables.counters.c
    with rt.db.read() as conn:
        grouped = select(c.measure, func.sum(c.n)).where(c.subject == subscription_id).group_by(c.measure)
        counted = {measure: int(n) for measure, n in conn.execute(grouped)}
    assert counted == {"succeeded": 2, "dead": 1, "wait": 3, "run": 3}
