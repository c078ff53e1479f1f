"""Bulk operations: what they select, that every item is done once whatever dies, and when one ends itself."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.work import claim_all, finish_all
from webapp.domain.access import Actor
from webapp.domain.bulk import parse_bulk
from webapp.domain.errors import Conflict, Forbidden, Refused
from webapp.domain.lifecycle import OPEN
from webapp.domain.outcomes import Discard, Done
from webapp.live import BulkChanged, RecordingPublisher
from webapp.runtime import Runtime
from webapp.services import bulk, bulk_work
from webapp.store import bulk_operations, tables


def start(rt: Runtime, actor: Actor, kind: str, selection: Any = None, **more: Any) -> str:
    document = {"kind": kind, "selection": selection or {}, "reason": "The receiver was down", **more}
    return bulk.start(rt, actor, parse_bulk(document, rt.clock()))


def finish(rt: Runtime, clock: Clock, owner: str = "beat-1") -> None:
    """Let a beat work until there is nothing to do at once."""
    while bulk_work.advance(rt, owner, 0.0):
        clock.advance(milliseconds=1)


def operation(rt: Runtime, operation_id: str) -> Any:
    return row_of(rt, tables.bulk_operations, operation_id)


def states(rt: Runtime) -> Counter[str]:
    return Counter(row.state for row in rows_of(rt, tables.deliveries))


def make_many(rt: Runtime, clock: Clock, count: int, subscription: str | None = None, **fields: Any) -> list[str]:
    """Events with one delivery each, in one transaction; a second later nothing is new any more."""
    subscription, state = subscription or make_subscription(rt), fields["state"]
    first = row_of(rt, tables.events, make_event(rt))._asdict()
    del first["status"]
    uids, now = [rt.new_id("evt") for _ in range(count)], rt.clock()
    counts = {
        "total": 1,
        "open": int(state in OPEN),
        "failed": int(state == "dead"),
        "succeeded": int(state == "succeeded"),
    }
    made = [
        {"id": rt.new_id("dlv"), "event_uid": uid, "subscription_id": subscription, "handler": "log", "lane": "default",
         "due_at": now, "created_at": now, **fields}
        for uid in uids
    ]  # fmt: skip
    with rt.db.write() as conn:
        conn.execute(insert(tables.events), [first | counts | {"uid": uid, "id": uid} for uid in uids])
        conn.execute(insert(tables.deliveries), made)
    clock.advance(seconds=1)
    return sorted(row["id"] for row in made)


def test_retry_sets_every_dead_delivery_going_and_nothing_else(rt: Runtime, clock: Clock, operator: Actor) -> None:
    subscription = make_subscription(rt)
    dead = make_many(rt, clock, 60, subscription, state="dead", reason="exhausted")
    make_many(rt, clock, 3, subscription, state="succeeded")
    made = start(rt, operator, "retry", {"state": "dead"})
    late = make_many(rt, clock, 1, subscription, state="dead")  # after the operation was asked for
    finish(rt, clock)
    row = operation(rt, made)
    assert (row.state, row.total, row.done, row.failed, row.skipped) == ("done", 60, 60, 0, 0)
    assert (row.before, row.after) == ({"dead": 60}, {"pending": 60})
    assert states(rt) == {"pending": 60, "succeeded": 3, "dead": 1}
    assert row_of(rt, tables.deliveries, late[0]).state == "dead"
    event = row_of(rt, tables.events, row_of(rt, tables.deliveries, dead[0]).event_uid)
    assert (event.open, event.failed) == (1, 0)
    audited = [row for row in rows_of(rt, tables.audit) if row.action == "delivery.retried"]
    assert {row.target_id for row in audited} == set(dead)
    assert {(row.actor_name, row.details["bulk"]) for row in audited} == {(operator.name, made)}
    assert "default" in rt.queue.rung  # type: ignore[attr-defined]


def test_a_beat_that_dies_leaves_its_progress_to_the_next_and_no_item_is_done_twice(
    rt: Runtime, clock: Clock, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(rt, clock, 120, state="succeeded")
    made = start(rt, operator, "rerun")
    bulk_work.advance(rt, "beat-1", 0.0)  # counts
    bulk_work.advance(rt, "beat-1", 0.0)
    done = operation(rt, made).done
    assert 0 < done < 120

    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(bulk_operations, "save", dies)  # after the items were made, before the commit
        with pytest.raises(KeyboardInterrupt):
            bulk_work.advance(rt, "beat-1", 0.0)
    assert not bulk_work.advance(rt, "beat-2", 0.0), "the lease of the dead beat is still in force"
    clock.advance(seconds=11)
    finish(rt, clock, "beat-2")
    row = operation(rt, made)
    assert (row.state, row.done, row.skipped) == ("done", 120, 0)
    copies = Counter(row.replay_of for row in rows_of(rt, tables.deliveries) if row.replay_of)
    assert len(copies) == 120
    assert set(copies.values()) == {1}


def test_two_beats_at_once_do_every_item_once(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_many(rt, clock, 150, state="succeeded")
    made = start(rt, operator, "rerun")
    at_once = threading.Barrier(2)

    def work(owner: str) -> None:
        at_once.wait()
        for _ in range(40):
            bulk_work.advance(rt, owner, 0.05)
            if operation(rt, made).state == "done":
                return

    beats = [threading.Thread(target=work, args=(name,)) for name in ("beat-1", "beat-2")]
    for beat in beats:
        beat.start()
    for beat in beats:
        beat.join()
    assert (operation(rt, made).state, operation(rt, made).done) == ("done", 150)
    assert states(rt) == {"succeeded": 150, "pending": 150}


def test_it_aborts_itself_when_too_many_items_fail(rt: Runtime, clock: Clock, operator: Actor) -> None:
    gone, alive = make_subscription(rt, deleted_at=rt.clock()), make_subscription(rt)
    failing = make_many(rt, clock, 60, gone, state="dead")
    make_many(rt, clock, 60, alive, state="dead")
    made = start(rt, operator, "retry")
    finish(rt, clock)
    row = operation(rt, made)
    assert (row.state, row.done, row.failed, row.state_reason) == ("aborted", 0, 50, "50 of 50 items failed")
    with rt.db.read() as conn:
        errors = bulk_operations.errors_of(conn, made).rows
    assert {one.target_id for one in errors} <= set(failing)
    assert {one.message for one in errors} == {"Its subscription was deleted."}
    assert states(rt) == {"dead": 120}
    (told,) = rows_of(rt, tables.notifications)
    assert (told.severity, told.link) == ("warning", f"/bulk/{made}")
    assert "bulk.aborted" in [row.action for row in rows_of(rt, tables.audit)]


def test_it_aborts_itself_when_what_it_set_going_dies_again(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_many(rt, clock, 120, state="dead")
    made = start(rt, operator, "retry")
    bulk_work.advance(rt, "beat-1", 0.0)
    bulk_work.advance(rt, "beat-1", 0.0)
    finish_all(rt, claim_all(rt), Discard("still down"))
    finish(rt, clock)
    row = operation(rt, made)
    assert (row.state, row.done, row.state_reason) == ("aborted", 100, "50 of 50 deliveries that ended are dead")


def test_pause_resume_and_abort_by_a_person(rt: Runtime, clock: Clock, operator: Actor, viewer: Actor) -> None:
    make_many(rt, clock, 120, state="waiting")
    made = start(rt, operator, "cancel")
    with pytest.raises(Forbidden):
        bulk.step(rt, viewer, made, "pause")
    bulk_work.advance(rt, "beat-1", 0.0)
    bulk_work.advance(rt, "beat-1", 0.0)
    bulk.step(rt, operator, made, "pause")
    finish(rt, clock)
    assert (operation(rt, made).state, operation(rt, made).done) == ("paused", 50)
    bulk.step(rt, operator, made, "resume")
    bulk_work.advance(rt, "beat-2", 0.0)
    bulk.step(rt, operator, made, "abort", "enough")
    finish(rt, clock)
    row = operation(rt, made)
    assert (row.state, row.done, row.state_reason) == ("aborted", 100, f"aborted by {operator.name}: enough")
    assert states(rt) == {"cancelled": 100, "waiting": 20}
    with pytest.raises(Conflict):
        bulk.step(rt, operator, made, "resume")
    actions = [row.action for row in rows_of(rt, tables.audit) if row.target_id == made]
    assert sorted(actions) == ["bulk.aborted", "bulk.paused", "bulk.resumed", "bulk.started"]


def test_what_changed_before_its_turn_is_skipped(rt: Runtime, clock: Clock, operator: Actor) -> None:
    ids = make_many(rt, clock, 3, state="dead")
    made = start(rt, operator, "retry")
    bulk_work.advance(rt, "beat-1", 0.0)
    with rt.db.write() as conn:
        conn.execute(update(tables.deliveries).where(tables.deliveries.c.id == ids[1]).values(state="cancelled"))
    finish(rt, clock)
    row = operation(rt, made)
    assert (row.total, row.done, row.skipped) == (3, 2, 1)


def test_pace_holds_over_time(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_many(rt, clock, 10, state="dead")
    made = start(rt, operator, "retry", pace=2)
    finish(rt, clock)
    assert operation(rt, made).done == 0
    for seconds in (1.5, 1.5):
        clock.advance(seconds=seconds)
        bulk_work.advance(rt, "beat-1", 0.0)
    assert operation(rt, made).done == 6
    clock.advance(seconds=60)
    finish(rt, clock)
    assert (operation(rt, made).state, operation(rt, made).done) == ("done", 10)


def test_replay_runs_events_again_for_all_that_they_went_to(rt: Runtime, clock: Clock, operator: Actor) -> None:
    first, second = make_subscription(rt), make_subscription(rt, deleted_at=rt.clock())
    uid = make_event(rt)
    make_delivery(rt, uid, first, state="dead")
    make_delivery(rt, uid, second, state="succeeded")
    still_open = make_event(rt)
    make_delivery(rt, still_open, first, state="waiting")
    clock.advance(seconds=1)
    made = start(rt, operator, "replay", {"since": "now-1h"})
    finish(rt, clock)
    row = operation(rt, made)
    assert (row.total, row.done, row.skipped) == (2, 1, 1)
    assert row.before == {"dead": 1, "succeeded": 1, "waiting": 1}
    fresh = [row for row in rows_of(rt, tables.deliveries) if row.operation_id == made]
    assert [(row.event_uid, row.subscription_id, row.replay) for row in fresh] == [(uid, first, 1)]
    finish_all(rt, claim_all(rt), Done())
    bulk_work.settle(rt)
    assert operation(rt, made).after == {"succeeded": 1}
    assert row_of(rt, tables.events, uid).total == 3


def test_replay_brings_old_events_to_a_new_subscription_where_its_rule_fits(
    rt: Runtime, clock: Clock, operator: Actor
) -> None:
    wanted = [make_event(rt, payload={"amount": amount}) for amount in (5, 50, 500)]
    make_event(rt, type="ping")
    clock.advance(seconds=1)
    rule = {"field": "data.amount", "op": "gt", "value": 10}
    new = make_subscription(rt, pattern="order.*", condition=rule)
    made = start(
        rt, operator, "replay", {"subscription": [new], "event": {"field": "type", "op": "prefix", "value": "o"}}
    )
    finish(rt, clock)
    assert {row.event_uid for row in rows_of(rt, tables.deliveries)} == set(wanted[1:])
    assert (operation(rt, made).done, operation(rt, made).skipped) == (2, 1)
    assert row_of(rt, tables.events, wanted[2]).status == "processing"
    with pytest.raises(Refused):
        start(rt, operator, "replay", {"subscription": ["sub_gone"]})


def test_held_subscriptions_hold_what_is_retried(rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_many(rt, clock, 2, make_subscription(rt, paused_at=rt.clock()), state="dead")
    start(rt, operator, "retry")
    finish(rt, clock)
    assert states(rt) == {"held": 2}


SELECTED = [
    ({"state": "dead"}, {"dead", "again"}),
    ({"state": "action"}, {"dead"}),
    ({"state": ["action", "waiting"]}, {"dead", "waiting"}),
    ({"reason": "exhausted"}, {"dead"}),
    ({"error": "TimeoutError"}, {"dead"}),
    ({"error": "took too"}, {"dead"}),
    ({"handler": ["mail"]}, {"waiting"}),
    ({"min_attempts": 3}, {"dead"}),
    ({"until": "now-30m"}, {"again"}),
    ({"finished_since": "now-30m"}, {"dead"}),
    ({"event": {"field": "data.amount", "op": "gt", "value": 100}}, {"dead"}),
    ({"event": {"field": "data.due", "op": "before", "value": "now"}}, {"waiting"}),
    ({"event": {"not": {"field": "data.due", "op": "before", "value": "now"}}}, {"dead", "again"}),
]


def test_selections(rt: Runtime, clock: Clock, operator: Actor) -> None:
    subscription = make_subscription(rt)
    old = make_event(rt)
    ids = {"again": make_delivery(rt, old, subscription, state="dead", reason="permanent")}
    make_delivery(rt, old, subscription, state="succeeded", replay=1)
    now = clock.advance(hours=1)
    error = {"error_type": "TimeoutError", "error_message": "it took too long"}
    ids["dead"] = make_delivery(
        rt, make_event(rt, payload={"amount": 500, "due": "2099-01-01"}), subscription, state="dead",
        reason="exhausted", finished_at=now, attempt=3, **error,
    )  # fmt: skip
    ids["waiting"] = make_delivery(
        rt, make_event(rt, payload={"amount": 1, "due": "2020-01-01"}), subscription, state="waiting", handler="mail",
        due_at=now + timedelta(hours=1),
    )  # fmt: skip
    clock.advance(seconds=1)
    for selection, names in SELECTED:
        draft = parse_bulk({"kind": "retry", "selection": selection}, clock(), with_reason=False)
        found = bulk.preview(rt, operator, draft)
        assert {row.target for row in found.sample} == {ids[name] for name in names}, selection
        assert (found.count, found.is_capped) == (len(names), False)


def test_a_preview_says_when_there_is_more_than_it_counted(
    sqlite_rt: Runtime, clock: Clock, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(sqlite_rt, clock, 15, state="dead")
    monkeypatch.setattr(bulk, "COUNT_CAP", 5)
    monkeypatch.setattr(bulk.selection_sql.walk, "__defaults__", (4,))
    found = bulk.preview(sqlite_rt, operator, parse_bulk({"kind": "retry"}, clock(), with_reason=False))
    assert (found.count, found.is_capped, len(found.sample)) == (8, True, 8)


def test_browsers_are_told(sqlite_rt: Runtime, clock: Clock, operator: Actor) -> None:
    make_many(sqlite_rt, clock, 1, state="dead")
    made = start(sqlite_rt, operator, "retry")
    finish(sqlite_rt, clock)
    live = sqlite_rt.live
    assert isinstance(live, RecordingPublisher)
    told = [fact for fact in live.facts if isinstance(fact, BulkChanged)]
    assert (told[0], told[-1]) == (BulkChanged(made, "running"), BulkChanged(made, "done"))
