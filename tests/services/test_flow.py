"""Pausing for a while, resuming at a pace, and what slips in between; in batches, each in its own transaction."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.work import claim_all, finish_all
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict
from webapp.domain.events import parse_event
from webapp.domain.outcomes import Retry
from webapp.live import RecordingPublisher, SubscriptionChanged
from webapp.runtime import Runtime
from webapp.services import flow, flow_upkeep, operate, subscriptions
from webapp.services.accept import Acceptor
from webapp.store import flow as flows
from webapp.store import tables as t


def deliver(rt: Runtime, subscription: str, count: int = 1, **fields: Any) -> list[str]:
    event = make_event(rt)
    return sorted(make_delivery(rt, event, subscription, replay=n, **fields) for n in range(count))


def reasons(rt: Runtime) -> set[tuple[str, str | None]]:
    return {(row.state, row.reason) for row in rows_of(rt, t.deliveries)}


def publish(rt: Runtime, actor: Actor) -> str:
    draft = parse_event({"type": "order.created", "payload": {}}, default_source="tests", now=rt.clock())
    return Acceptor(rt).accept(draft, actor).deliveries[0].id


def test_pause_with_an_end_is_resumed_by_the_beat_as_the_system(rt: Runtime, operator: Actor, clock: Clock) -> None:
    subscription = make_subscription(rt)
    deliver(rt, subscription, 2)
    until = clock() + timedelta(hours=2)
    assert subscriptions.pause(rt, operator, subscription, "Moving", until) == 2
    assert reasons(rt) == {("held", "paused")}
    clock.advance(hours=1, minutes=59)
    flow_upkeep.tend(rt)
    assert row_of(rt, t.subscriptions, subscription).resume_at == until
    clock.advance(minutes=1)
    flow_upkeep.tend(rt)
    flow_upkeep.tend(rt)
    row = row_of(rt, t.subscriptions, subscription)
    assert (row.paused_at, row.pause_reason, row.resume_at) == (None, None, None)
    assert reasons(rt) == {("pending", None)}
    paused, resumed = rows_of(rt, t.audit)
    assert paused.details["resume_at"] == "2026-03-02T14:00:00.000Z"
    assert (resumed.action, resumed.actor_kind, resumed.details) == ("subscription.resumed", "system", {"released": 2})


def test_release_follows_its_pace_oldest_first_and_ends(rt: Runtime, operator: Actor, clock: Clock) -> None:
    subscription = make_subscription(rt)
    made = deliver(rt, subscription, 5)
    subscriptions.pause(rt, operator, subscription)
    assert subscriptions.resume(rt, operator, subscription, 2) == 5
    assert reasons(rt) == {("held", "releasing")}
    clock.advance(seconds=1.4)
    flow_upkeep.tend(rt)
    assert {one.id for one in claim_all(rt)} == set(made[:2])
    clock.advance(seconds=0.2)
    flow_upkeep.tend(rt)
    assert [one.id for one in claim_all(rt)] == [made[2]], "the fraction of before counts"
    clock.advance(minutes=5)
    flow_upkeep.tend(rt)
    assert {one.id for one in claim_all(rt)} == set(made[3:])
    [gate] = rows_of(rt, t.gates)
    assert (gate.release_pace, gate.released_at) == (None, None)
    assert isinstance(rt.live, RecordingPublisher)
    assert rt.live.facts[-1] == SubscriptionChanged(subscription, "active")


def test_two_beats_at_once_do_not_double_the_pace(rt: Runtime, operator: Actor, clock: Clock) -> None:
    subscription = make_subscription(rt)
    deliver(rt, subscription, 12)
    subscriptions.pause(rt, operator, subscription)
    subscriptions.resume(rt, operator, subscription, 3)
    clock.advance(seconds=1)
    threads = [threading.Thread(target=lambda: flow_upkeep.tend(rt)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claim_all(rt)) == 3


def test_new_deliveries_run_beside_a_release_but_wait_behind_it_under_an_order(
    rt: Runtime, operator: Actor, clock: Clock
) -> None:
    plain = make_subscription(rt, pattern="order.created")
    deliver(rt, plain, 2)
    subscriptions.pause(rt, operator, plain)
    subscriptions.resume(rt, operator, plain, 1)
    assert row_of(rt, t.deliveries, publish(rt, operator)).state == "pending"
    with rt.db.write() as conn:
        conn.execute(update(t.subscriptions).values(policies={"ordering": {"key": "{data.id}"}}))
    subscriptions.pause(rt, operator, plain)
    subscriptions.resume(rt, operator, plain, 1)
    behind = row_of(rt, t.deliveries, publish(rt, operator))
    assert (behind.state, behind.reason) == ("held", "releasing")
    clock.advance(minutes=1)
    flow_upkeep.tend(rt)
    assert {state for state, _ in reasons(rt)} == {"pending"}
    assert row_of(rt, t.deliveries, publish(rt, operator)).state == "pending", "the release is over"


def test_pause_in_the_middle_of_a_release_ends_it(sqlite_rt: Runtime, operator: Actor, clock: Clock) -> None:
    rt = sqlite_rt
    subscription = make_subscription(rt)
    deliver(rt, subscription, 5)
    subscriptions.pause(rt, operator, subscription)
    subscriptions.resume(rt, operator, subscription, 1)
    clock.advance(seconds=2)
    flow_upkeep.tend(rt)
    assert subscriptions.pause(rt, operator, subscription, "again") == 2
    clock.advance(minutes=5)
    flow_upkeep.tend(rt)
    flow_upkeep.gather(rt)
    assert reasons(rt) == {("held", "paused")}


def test_pace_of_a_release_under_way_can_be_changed(sqlite_rt: Runtime, operator: Actor, clock: Clock) -> None:
    rt = sqlite_rt
    subscription = make_subscription(rt)
    deliver(rt, subscription, 5)
    with pytest.raises(Conflict):
        subscriptions.resume(rt, operator, subscription)
    subscriptions.pause(rt, operator, subscription)
    subscriptions.resume(rt, operator, subscription, 0.001)
    assert subscriptions.resume(rt, operator, subscription) == 5
    assert reasons(rt) == {("pending", None)}
    with pytest.raises(Conflict):
        subscriptions.resume(rt, operator, subscription)


def test_large_pauses_and_releases_go_in_batches_and_the_beat_does_the_rest(
    rt: Runtime, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = make_subscription(rt)
    deliver(rt, subscription, 9)
    for module in (flow, flows):
        monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(flows.hold_due, "__defaults__", (2,))
    monkeypatch.setattr(flow.hold, "__defaults__", (2,))
    monkeypatch.setattr(flow.release, "__defaults__", (2,))
    assert subscriptions.pause(rt, operator, subscription) == 9
    assert len(claim_all(rt, "thief", limit=1)) == 1, "five are not held yet"
    flow_upkeep.gather(rt)
    flow_upkeep.gather(rt)
    assert claim_all(rt) == []
    assert subscriptions.resume(rt, operator, subscription) == 8
    assert len(claim_all(rt)) == 4
    flow_upkeep.tend(rt)
    assert len(claim_all(rt)) == 4
    flow_upkeep.tend(rt)
    assert [row.release_pace for row in rows_of(rt, t.gates)] == [None]


def test_what_slipped_through_is_gathered(rt: Runtime, operator: Actor) -> None:
    paused, active = make_subscription(rt), make_subscription(rt)
    subscriptions.pause(rt, operator, paused)
    deliver(rt, paused)
    deliver(rt, active, state="held", reason="paused")
    flow_upkeep.gather(rt)
    flow_upkeep.tend(rt)
    rows = {row.subscription_id: (row.state, row.reason) for row in rows_of(rt, t.deliveries)}
    assert rows == {paused: ("held", "paused"), active: ("pending", None)}


def test_what_the_loop_guard_holds_is_not_released(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt)
    [looping] = deliver(rt, subscription, state="held", reason="loop")
    subscriptions.pause(rt, operator, subscription)
    assert subscriptions.resume(rt, operator, subscription) == 0
    flow_upkeep.gather(rt)
    assert row_of(rt, t.deliveries, looping).reason == "loop"


def test_release_keeps_the_time_of_scheduled_deliveries(rt: Runtime, operator: Actor, clock: Clock) -> None:
    subscription = make_subscription(rt)
    later = clock() + timedelta(hours=1)
    [scheduled] = deliver(rt, subscription, due_at=later)
    finish_all(rt, claim_all(rt), Retry())
    subscriptions.pause(rt, operator, subscription)
    subscriptions.resume(rt, operator, subscription)
    assert (row_of(rt, t.deliveries, scheduled).state, row_of(rt, t.deliveries, scheduled).due_at) == ("pending", later)


def test_gated_deliveries_are_held_and_pass_the_gate_again(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt, policies={"concurrency": {"limit": 1}})
    [before] = deliver(rt, subscription, gated=True, limit_key="")
    event = make_event(rt)
    passed = make_delivery(rt, event, subscription, limit_key="")
    assert subscriptions.pause(rt, operator, subscription) == 2
    subscriptions.resume(rt, operator, subscription)
    for delivery in (before, passed):
        row = row_of(rt, t.deliveries, delivery)
        assert (row.state, row.gated) == ("pending", True)


def test_person_who_retries_under_a_pause_does_not_get_around_it(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt)
    [dead] = deliver(rt, subscription, state="dead", reason="exhausted")
    subscriptions.pause(rt, operator, subscription)
    again = operate.rerun(rt, operator, dead)
    operate.retry(rt, operator, dead)
    for delivery in (dead, again):
        assert (row_of(rt, t.deliveries, delivery).state, row_of(rt, t.deliveries, delivery).reason) == (
            "held",
            "paused",
        )
