"""Cancelling is honest: what runs is asked to end, the end says how it came, and what succeeded has succeeded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_delivery, row_of, rows_of
from tests.support.work import claim_all, finish_all
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict
from webapp.domain.lifecycle import CancelEnd, stopped
from webapp.domain.outcomes import Discard, Done, Outcome, Retry, Skip
from webapp.runtime import Runtime
from webapp.services import operate, record, upkeep
from webapp.store import tables as t
from webapp.store.deliveries import Claimed, Finished, renew
from webapp.store.outcomes import finish


def running(rt: Runtime) -> tuple[str, list[Claimed]]:
    delivery = make_delivery(rt)
    return delivery, claim_all(rt)


def at(rt: Runtime, delivery: str) -> tuple[str, str | None, str | None]:
    row = row_of(rt, t.deliveries, delivery)
    return row.state, row.reason, row.cancel_requested_by


def event_of(rt: Runtime, delivery: str) -> Any:
    return row_of(rt, t.events, row_of(rt, t.deliveries, delivery).event_uid)


def actions(rt: Runtime) -> list[tuple[str, str]]:
    return [(row.action, row.actor_name) for row in rows_of(rt, t.audit)]


@pytest.mark.parametrize("state", ["pending", "waiting", "held"])
def test_what_does_not_run_ends_at_once(rt: Runtime, operator: Actor, state: str) -> None:
    delivery = make_delivery(rt, state=state)
    assert operate.cancel(rt, operator, delivery)
    assert at(rt, delivery) == ("cancelled", "before_start", "olga")
    assert (event_of(rt, delivery).status, event_of(rt, delivery).open) == ("failed", 0)
    assert actions(rt) == [("delivery.cancelled", "olga")]


def test_of_what_runs_the_end_is_asked_for_once(rt: Runtime, operator: Actor) -> None:
    delivery, _ = running(rt)
    assert not operate.cancel(rt, operator, delivery)
    assert at(rt, delivery) == ("running", None, "olga")
    assert row_of(rt, t.deliveries, delivery).cancel_requested_at == rt.clock()
    assert event_of(rt, delivery).status == "processing"
    assert actions(rt) == [("delivery.cancel_requested", "olga")]
    with pytest.raises(Conflict, match="olga has asked for this already"):
        operate.cancel(rt, operator, delivery)


def test_worker_is_told_when_it_renews_its_lease(rt: Runtime, operator: Actor) -> None:
    delivery, _ = running(rt)
    other, _ = running(rt)
    operate.cancel(rt, operator, delivery)
    with rt.db.write() as conn:
        kept = renew(conn, owner="worker-1", ids=[delivery, other], until=rt.clock())
    assert kept == {delivery: True, other: False}


def test_success_in_spite_of_the_request_is_a_success(rt: Runtime, operator: Actor) -> None:
    delivery, claimed = running(rt)
    operate.cancel(rt, operator, delivery)
    assert finish_all(rt, claimed, Done()) == {delivery}
    assert at(rt, delivery) == ("succeeded", None, "olga")
    assert event_of(rt, delivery).status == "succeeded"


@pytest.mark.parametrize(
    ("outcome", "state"), [(Retry(reason="no"), "cancelled"), (Discard("no"), "cancelled"), (Skip(), "skipped")]
)
def test_request_takes_the_place_of_another_try_and_of_a_failure(
    rt: Runtime, operator: Actor, outcome: Outcome, state: str
) -> None:
    delivery, claimed = running(rt)
    bystander, others = running(rt)
    operate.cancel(rt, operator, delivery)
    finish_all(rt, claimed + others, outcome)
    assert at(rt, delivery)[0] == state
    assert at(rt, bystander)[0] != "cancelled"
    assert event_of(rt, delivery).open == 0


def test_end_of_a_stopped_attempt_says_how(rt: Runtime, operator: Actor) -> None:
    delivery, [claimed] = running(rt)
    operate.cancel(rt, operator, delivery)
    now = rt.clock()
    with rt.db.write() as conn:
        row = Finished(claimed, stopped(CancelEnd.KILLED), now, now)
        assert finish(conn, [row], owner="worker-1", new_id=rt.new_id) == {delivery}
    assert at(rt, delivery)[:2] == ("cancelled", "killed")
    [attempt] = rows_of(rt, t.attempts)
    assert (attempt.outcome, attempt.error_type) == ("cancelled", None)
    assert (event_of(rt, delivery).status, event_of(rt, delivery).failed) == ("failed", 1)
    assert row_of(rt, t.deliveries, delivery).tries_used == 0


def test_rescue_finishes_the_cancellation_when_the_worker_is_dead(rt: Runtime, operator: Actor, clock: Clock) -> None:
    delivery, claimed = running(rt)
    operate.cancel(rt, operator, delivery)
    clock.advance(seconds=11)
    assert upkeep.rescue(rt) == 1
    assert at(rt, delivery)[:2] == ("cancelled", "lost")
    assert [row.outcome for row in rows_of(rt, t.attempts)] == ["cancelled"]
    assert actions(rt)[-1][0] == "delivery.cancelled"
    assert finish_all(rt, claimed, Done()) == set()


def test_worker_that_stops_takes_a_cancelled_handler_with_it(rt: Runtime, operator: Actor) -> None:
    asked, _ = running(rt)
    other, _ = running(rt)
    operate.cancel(rt, operator, asked)
    assert record.release(rt, [asked, other], "worker-1") == {asked, other}
    assert at(rt, asked)[:2] == ("cancelled", "killed")
    assert at(rt, other)[0] == "pending"
    assert event_of(rt, asked).open == 0


def test_retry_forgets_a_cancellation_that_came_too_late(rt: Runtime, operator: Actor) -> None:
    delivery = make_delivery(rt, state="dead", cancel_requested_at=rt.clock(), cancel_requested_by="vera")
    operate.retry(rt, operator, delivery)
    assert at(rt, delivery) == ("pending", None, None)
