"""Circuit breakers: opened by failures, probed by the beat, closed by a success, and never by two at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.work import claim_all
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict, Forbidden
from webapp.domain.events import parse_event
from webapp.domain.lifecycle import settle
from webapp.domain.outcomes import Done, Outcome, Retry, Skip, Snooze
from webapp.live import RecordingPublisher, SubscriptionChanged
from webapp.runtime import Runtime
from webapp.services import breakers, flow_upkeep, subscriptions
from webapp.services.accept import Acceptor
from webapp.services.record import record
from webapp.store import tables as t
from webapp.store.deliveries import Claimed, Finished

BREAKER = {"failure_rate": 0.5, "min_tries": 4, "window": "1m", "open_for": "30s", "disable_after": "1h"}


def with_breaker(rt: Runtime, **policies: Any) -> str:
    return make_subscription(rt, name="Shop", policies={"breaker": BREAKER, **policies})


def deliver(rt: Runtime, subscription: str, count: int = 1) -> list[str]:
    event = make_event(rt)
    last = len(rows_of(rt, t.deliveries))
    return sorted(make_delivery(rt, event, subscription, replay=last + n) for n in range(count))


def end(rt: Runtime, claimed: list[Claimed], outcome: Outcome) -> None:
    now = rt.clock()
    rows = []
    for one in claimed:
        settled = settle(outcome, policy=one.policy, tries_used=one.tries_used, now=now, roll=0.5)
        error = {"error_type": "Retry", "error_message": "no"} if settled.outcome == "failed" else {}
        rows.append(Finished(one, settled, now, now, **error))
    record(rt, rows, "worker-1")


def fail(rt: Runtime, subscription: str, count: int = 4) -> list[str]:
    made = deliver(rt, subscription, count)
    end(rt, claim_all(rt), Retry())
    return made


def gate_of(rt: Runtime) -> Any:
    [gate] = rows_of(rt, t.gates)
    return gate


def states(rt: Runtime) -> list[tuple[str, str | None]]:
    return [(row.state, row.reason) for row in rows_of(rt, t.deliveries)]


def actions(rt: Runtime) -> list[str]:
    return [row.action for row in rows_of(rt, t.audit) if row.action.startswith(("breaker.", "subscription."))]


def probe(rt: Runtime) -> list[Claimed]:
    rt.clock.advance(seconds=30)  # type: ignore[attr-defined]
    flow_upkeep.tend(rt)
    return claim_all(rt)


def test_breaker_opens_at_its_rate_and_holds_what_is_due_without_burning_tries(rt: Runtime) -> None:
    subscription = with_breaker(rt)
    fail(rt, subscription, 3)
    assert rows_of(rt, t.gates) == []
    rt.clock.advance(seconds=1)  # type: ignore[attr-defined]
    waiting = deliver(rt, subscription, 2)
    end(rt, claim_all(rt, limit=1), Retry())
    assert (gate_of(rt).breaker, gate_of(rt).opened_at) == ("open", rt.clock())
    assert set(states(rt)) == {("held", "breaker")}
    assert row_of(rt, t.deliveries, waiting[1]).tries_used == 0
    assert claim_all(rt) == []
    [note] = rows_of(rt, t.notifications)
    assert (note.severity, note.title) == ("warning", "The breaker of Shop opened")
    [entry] = [row for row in rows_of(rt, t.audit) if row.action == "breaker.opened"]
    assert (entry.actor_kind, entry.target_id, entry.details) == ("system", subscription, {"tries": 4, "failed": 4})
    assert isinstance(rt.live, RecordingPublisher)
    assert SubscriptionChanged(subscription, "open") in rt.live.facts


def test_new_deliveries_of_an_open_breaker_are_held(rt: Runtime, operator: Actor) -> None:
    acceptor = Acceptor(rt)
    subscription = with_breaker(rt)
    draft = parse_event({"type": "order.created", "payload": {}}, default_source="tests", now=rt.clock())
    assert acceptor.accept(draft, operator).deliveries[0].state == "pending"
    breakers.open_now(rt, operator, subscription)
    held = acceptor.accept(draft, operator).deliveries[0]
    row = row_of(rt, t.deliveries, held.id)
    assert (held.state, row.state, row.reason) == ("held", "held", "breaker")


def test_successes_keep_it_closed_and_plain_subscriptions_have_no_gate(sqlite_rt: Runtime) -> None:
    subscription, plain = with_breaker(sqlite_rt), make_subscription(sqlite_rt)
    deliver(sqlite_rt, subscription, 5)
    end(sqlite_rt, claim_all(sqlite_rt), Done())
    fail(sqlite_rt, subscription, 4)
    fail(sqlite_rt, plain, 9)
    assert rows_of(sqlite_rt, t.gates) == []


def test_failures_before_the_window_are_forgotten(sqlite_rt: Runtime) -> None:
    subscription = with_breaker(sqlite_rt)
    fail(sqlite_rt, subscription, 3)
    sqlite_rt.clock.advance(minutes=5)  # type: ignore[attr-defined]
    end(sqlite_rt, claim_all(sqlite_rt), Done())
    fail(sqlite_rt, subscription, 2)
    assert rows_of(sqlite_rt, t.gates) == [], "two of five, not five of eight"


def test_exactly_one_held_delivery_is_the_probe_and_its_success_closes(rt: Runtime) -> None:
    subscription = with_breaker(rt)
    made = fail(rt, subscription)
    flow_upkeep.tend(rt)
    assert claim_all(rt) == [], "not before its time"
    rt.clock.advance(seconds=30)  # type: ignore[attr-defined]
    flow_upkeep.tend(rt)
    flow_upkeep.tend(rt)
    [claimed] = claim_all(rt)
    assert (claimed.id, gate_of(rt).breaker, gate_of(rt).probe_id) == (made[0], "half_open", made[0])
    end(rt, [claimed], Done())
    gate = gate_of(rt)
    assert (gate.breaker, gate.opened_at, gate.probe_id, gate.release_pace) == ("closed", None, None, 100)
    rt.clock.advance(seconds=1)  # type: ignore[attr-defined]
    flow_upkeep.tend(rt)
    assert {one.id for one in claim_all(rt)} == set(made[1:])
    assert gate_of(rt).release_pace is None
    assert [row.severity for row in rows_of(rt, t.notifications)] == ["warning", "success"]
    assert actions(rt) == ["breaker.opened", "breaker.closed"]


def test_failed_probe_opens_again_and_says_nothing_more(sqlite_rt: Runtime) -> None:
    subscription = with_breaker(sqlite_rt)
    fail(sqlite_rt, subscription)
    opened_at = gate_of(sqlite_rt).opened_at
    end(sqlite_rt, probe(sqlite_rt), Retry())
    gate = gate_of(sqlite_rt)
    assert (gate.breaker, gate.opened_at, gate.probe_at) == (
        "open",
        opened_at,
        sqlite_rt.clock() + timedelta(seconds=30),
    )
    assert set(states(sqlite_rt)) == {("held", "breaker")}
    assert len(probe(sqlite_rt)) == 1
    assert (len(rows_of(sqlite_rt, t.notifications)), actions(sqlite_rt)) == (1, ["breaker.opened"])


@pytest.mark.parametrize("outcome", [Snooze(timedelta(hours=1)), Skip()])
def test_probe_that_shows_nothing_makes_room_for_another_at_once(sqlite_rt: Runtime, outcome: Outcome) -> None:
    subscription = with_breaker(sqlite_rt)
    fail(sqlite_rt, subscription)
    first = probe(sqlite_rt)
    end(sqlite_rt, first, outcome)
    assert (gate_of(sqlite_rt).breaker, gate_of(sqlite_rt).probe_at) == ("open", sqlite_rt.clock())
    flow_upkeep.tend(sqlite_rt)
    assert [one.id for one in claim_all(sqlite_rt)] != []


def test_probe_that_was_cancelled_or_held_meanwhile_is_replaced_by_the_beat(rt: Runtime) -> None:
    subscription = with_breaker(rt)
    made = fail(rt, subscription)
    rt.clock.advance(seconds=30)  # type: ignore[attr-defined]
    flow_upkeep.tend(rt)
    with rt.db.write() as conn:
        conn.execute(update(t.deliveries).where(t.deliveries.c.id == made[0]).values(state="cancelled"))
    flow_upkeep.tend(rt)
    flow_upkeep.tend(rt)
    assert (gate_of(rt).breaker, gate_of(rt).probe_id) == ("half_open", made[1])


def test_result_of_a_probe_whose_recorder_died_is_seen_by_the_beat(
    sqlite_rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription = with_breaker(sqlite_rt)
    fail(sqlite_rt, subscription)
    claimed = probe(sqlite_rt)
    with monkeypatch.context() as patched:
        patched.setattr("webapp.services.record.breakers.review", lambda *_: None)
        end(sqlite_rt, claimed, Done())
    assert gate_of(sqlite_rt).breaker == "half_open"
    flow_upkeep.tend(sqlite_rt)
    assert gate_of(sqlite_rt).breaker == "closed"


def test_closed_breaker_does_not_count_the_failures_that_opened_it(sqlite_rt: Runtime) -> None:
    subscription = with_breaker(sqlite_rt)
    fail(sqlite_rt, subscription)
    end(sqlite_rt, probe(sqlite_rt), Done())
    sqlite_rt.clock.advance(seconds=1)  # type: ignore[attr-defined]
    flow_upkeep.tend(sqlite_rt)
    end(sqlite_rt, claim_all(sqlite_rt), Retry())
    assert gate_of(sqlite_rt).breaker == "closed", "three failures are less than min_tries"
    fail(sqlite_rt, subscription, 1)
    assert gate_of(sqlite_rt).breaker == "open"


def test_not_closed_for_too_long_pauses_the_subscription_and_tells_people(rt: Runtime) -> None:
    subscription = with_breaker(rt)
    fail(rt, subscription)
    end(rt, probe(rt), Retry())
    rt.clock.advance(hours=1)  # type: ignore[attr-defined]
    flow_upkeep.tend(rt)
    flow_upkeep.tend(rt)
    row = row_of(rt, t.subscriptions, subscription)
    assert (row.pause_reason, row.paused_at) == ("disabled after failing for 1h", rt.clock())
    assert set(states(rt)) == {("held", "paused")}
    [error] = [note for note in rows_of(rt, t.notifications) if note.severity == "error"]
    assert (error.title, error.link) == ("Shop is paused", f"/subscriptions/{subscription}")
    [entry] = [row for row in rows_of(rt, t.audit) if row.action == "subscription.paused"]
    assert entry.actor_kind == "system"
    rt.clock.advance(days=1)  # type: ignore[attr-defined]
    flow_upkeep.tend(rt)
    assert claim_all(rt) == [], "a paused subscription is not probed"


def test_resume_of_a_disabled_one_probes_at_once_and_counts_anew(sqlite_rt: Runtime, operator: Actor) -> None:
    subscription = with_breaker(sqlite_rt)
    fail(sqlite_rt, subscription)
    sqlite_rt.clock.advance(hours=1)  # type: ignore[attr-defined]
    flow_upkeep.tend(sqlite_rt)
    sqlite_rt.clock.advance(hours=1)  # type: ignore[attr-defined]
    assert subscriptions.resume(sqlite_rt, operator, subscription) == 0
    assert set(states(sqlite_rt)) == {("held", "breaker")}
    flow_upkeep.tend(sqlite_rt)
    assert (gate_of(sqlite_rt).breaker, row_of(sqlite_rt, t.subscriptions, subscription).paused_at) == (
        "half_open",
        None,
    )
    assert len(claim_all(sqlite_rt)) == 1


def test_pause_of_a_person_outlives_a_breaker_that_closes(rt: Runtime, operator: Actor, clock: Clock) -> None:
    subscription = with_breaker(rt)
    fail(rt, subscription)
    claimed = probe(rt)
    subscriptions.pause(rt, operator, subscription, "Moving")
    end(rt, claimed, Done())
    assert (gate_of(rt).breaker, gate_of(rt).release_pace) == ("closed", None)
    clock.advance(minutes=10)
    flow_upkeep.tend(rt)
    flow_upkeep.gather(rt)
    assert claim_all(rt) == []
    assert {state for state in states(rt) if state[0] != "succeeded"} == {("held", "paused")}
    assert subscriptions.resume(rt, operator, subscription) == 3
    assert len(claim_all(rt)) == 3


def test_breaker_that_opens_stops_a_release_and_its_pace_goes_on_afterwards(
    rt: Runtime, operator: Actor, clock: Clock
) -> None:
    subscription = with_breaker(rt)
    deliver(rt, subscription, 10)
    subscriptions.pause(rt, operator, subscription)
    subscriptions.resume(rt, operator, subscription, 4)
    clock.advance(seconds=1)
    flow_upkeep.tend(rt)
    end(rt, claim_all(rt), Retry())
    assert (gate_of(rt).breaker, gate_of(rt).release_pace) == ("open", 4)
    clock.advance(seconds=10)
    flow_upkeep.tend(rt)
    assert claim_all(rt) == []
    end(rt, probe(rt), Done())
    assert (gate_of(rt).breaker, gate_of(rt).release_pace) == ("closed", 4)
    clock.advance(seconds=1)
    flow_upkeep.tend(rt)
    assert len(claim_all(rt)) == 4


def test_operators_open_and_close_by_hand_and_it_is_audited(sqlite_rt: Runtime, operator: Actor, viewer: Actor) -> None:
    subscription = with_breaker(sqlite_rt)
    deliver(sqlite_rt, subscription, 2)
    with pytest.raises(Forbidden):
        breakers.open_now(sqlite_rt, viewer, subscription)
    breakers.open_now(sqlite_rt, operator, subscription)
    assert set(states(sqlite_rt)) == {("held", "breaker")}
    with pytest.raises(Conflict):
        breakers.open_now(sqlite_rt, operator, subscription)
    breakers.close_now(sqlite_rt, operator, subscription)
    with pytest.raises(Conflict):
        breakers.close_now(sqlite_rt, operator, subscription)
    entries = {(row.action, row.actor_name) for row in rows_of(sqlite_rt, t.audit)}
    assert entries == {("breaker.opened", "olga"), ("breaker.closed", "olga")}
    with pytest.raises(Conflict, match="no circuit breaker"):
        breakers.open_now(sqlite_rt, operator, make_subscription(sqlite_rt))


def test_breaker_whose_policy_was_taken_away_closes(sqlite_rt: Runtime, operator: Actor) -> None:
    subscription = with_breaker(sqlite_rt)
    breakers.open_now(sqlite_rt, operator, subscription)
    with sqlite_rt.db.write() as conn:
        conn.execute(update(t.subscriptions).values(policies={}))
    flow_upkeep.tend(sqlite_rt)
    assert gate_of(sqlite_rt).breaker == "closed"


def test_many_who_look_at_the_same_failures_open_it_once(rt: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    subscription = with_breaker(rt)
    with monkeypatch.context() as patched:
        patched.setattr("webapp.services.record.breakers.review", lambda *_: None)
        fail(rt, subscription)
    opened: list[bool] = []
    threads = [
        threading.Thread(target=lambda: opened.append(breakers.open_tripped(rt, subscription))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == [False, False, False, True]
    assert (actions(rt), len(rows_of(rt, t.notifications))) == (["breaker.opened"], 1)


def test_many_beats_let_one_probe_through(rt: Runtime) -> None:
    subscription = with_breaker(rt)
    fail(rt, subscription)
    rt.clock.advance(seconds=30)  # type: ignore[attr-defined]
    probes: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: probes.append(breakers.let_probe_through(rt, subscription))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in probes if one]) == 1
    with rt.db.read() as conn:
        assert len(conn.execute(select(t.deliveries.c.id).where(t.deliveries.c.state == "pending")).all()) == 1
