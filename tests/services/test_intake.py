"""Policies at the door: shadow, rate limit, dedupe, debounce, scheduled events, loops; also with two processes at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.work import claim_all
from webapp.domain.access import Actor
from webapp.domain.errors import Conflict
from webapp.domain.events import EventDraft, parse_event
from webapp.live import EventChanged
from webapp.runtime import Runtime
from webapp.services import operate, subscriptions
from webapp.services.accept import Accepted, Acceptor
from webapp.store.tables import audit, counters, deliveries, events, notifications, quotas
from webapp.store.tables import subscriptions as rules

KEY = "{data.customer}"


def draft_of(rt: Runtime, customer: str | None = "anna", **fields: Any) -> EventDraft:
    payload = {} if customer is None else {"customer": customer}
    document = {"type": "order.created", "payload": payload} | fields
    return parse_event(document, default_source="tests", now=rt.clock())


def send(rt: Runtime, actor: Actor, customer: str | None = "anna", **fields: Any) -> Accepted:
    return Acceptor(rt).accept(draft_of(rt, customer, **fields), actor)


def states(rt: Runtime) -> list[tuple[str, str | None]]:
    return [(row.state, row.reason) for row in rows_of(rt, deliveries)]


def counted(rt: Runtime, measure: str) -> int:
    with rt.db.read() as conn:
        return conn.execute(
            select(func.coalesce(func.sum(counters.c.n), 0)).where(counters.c.measure == measure)
        ).scalar_one()


def test_policies_fill_the_columns_of_a_delivery(rt: Runtime, operator: Actor) -> None:
    plain = make_subscription(rt)
    steered = make_subscription(
        rt,
        policies={
            "priority": "high",
            "expires": "10m",
            "ordering": {"key": "{data.customer}"},
            "concurrency": {"limit": 2},
            "throttle": {"limit": 5, "period": "1s", "key": "{type}"},
        },
    )
    send(rt, operator)
    found = {row.subscription_id: row for row in rows_of(rt, deliveries)}
    one, other = found[steered], found[plain]
    assert (one.priority, one.gated, one.order_key, one.limit_key) == (0, True, "anna", "order.created")
    assert one.expires_at == rt.clock() + timedelta(minutes=10)
    assert (other.priority, other.gated, other.order_key, other.limit_key, other.expires_at) == (
        1,
        False,
        None,
        None,
        None,
    )
    assert (one.state, other.state) == ("pending", "pending")


def test_a_limit_without_a_key_is_one_limit_for_all(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, policies={"concurrency": {"limit": 2}})
    send(rt, operator)
    assert rows_of(rt, deliveries)[0].limit_key == ""


def test_a_shadow_is_recorded_and_does_not_run(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, mode="shadow", policies={"rate_limit": {"limit": 1, "period": "1h"}})
    answers = [send(rt, operator), send(rt, operator)]
    assert [(one.status, one.deliveries[0].state, one.deliveries[0].reason) for one in answers] == [
        ("succeeded", "skipped", "shadow")
    ] * 2
    event = row_of(rt, events, answers[0].uid)
    assert (event.status, event.total, event.open, event.succeeded, event.failed) == ("succeeded", 1, 0, 0, 0)
    assert counted(rt, "skipped") == 2
    assert claim_all(rt) == []
    assert rt.queue.rung == []  # type: ignore[attr-defined]
    assert rows_of(rt, quotas) == []


def test_a_shadow_is_run_again_once_its_subscription_is_live(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt, mode="shadow")
    shadow = send(rt, operator).deliveries[0].id
    with pytest.raises(Conflict, match="shadow"):
        operate.rerun(rt, operator, shadow)
    with rt.db.write() as conn:
        conn.execute(update(rules).where(rules.c.id == subscription).values(mode="live"))
    fresh = operate.rerun(rt, operator, shadow)
    assert [one.id for one in claim_all(rt)] == [fresh]


def test_a_shadow_beside_a_live_one_does_not_keep_the_event_open(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, mode="shadow")
    make_subscription(rt)
    answer = send(rt, operator)
    event = row_of(rt, events, answer.uid)
    assert (answer.status, event.status, event.total, event.open) == ("processing", "processing", 2, 1)


def test_rate_limit_skips_what_is_over_it_until_the_window_is_over(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, policies={"rate_limit": {"limit": 2, "period": "1m", "key": KEY}})
    answers = [send(rt, operator, customer) for customer in ("anna", "anna", "anna", "bob")]
    assert [one.deliveries[0].reason for one in answers] == [None, None, "rate_limited", None]
    assert sorted(states(rt), key=str) == [("pending", None)] * 3 + [("skipped", "rate_limited")]
    rt.clock.advance(seconds=59)  # type: ignore[attr-defined]
    assert send(rt, operator).deliveries[0].reason == "rate_limited"
    rt.clock.advance(seconds=1)  # type: ignore[attr-defined]
    assert send(rt, operator).deliveries[0].state == "pending"


def test_dedupe_skips_the_second_with_the_same_key_within_the_window(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, policies={"dedupe": {"key": KEY, "window": "1m"}})
    first = send(rt, operator).deliveries[0]
    rt.clock.advance(seconds=59)  # type: ignore[attr-defined]
    second = send(rt, operator)
    assert (second.status, second.deliveries[0].state, second.deliveries[0].reason) == (
        "succeeded",
        "skipped",
        "duplicate",
    )
    assert row_of(rt, deliveries, second.deliveries[0].id).superseded_by == first.id
    assert send(rt, operator, "bob").deliveries[0].state == "pending"
    rt.clock.advance(seconds=1)  # type: ignore[attr-defined]
    assert send(rt, operator).deliveries[0].state == "pending"


def test_events_without_the_key_are_not_each_others_duplicates(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, policies={"dedupe": {"key": KEY, "window": "1m"}})
    assert [send(rt, operator, None).deliveries[0].state for _ in range(2)] == ["pending", "pending"]


def test_an_event_that_is_sent_again_asks_no_quota(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, policies={"rate_limit": {"limit": 2, "period": "1m"}})
    for _ in range(5):
        send(rt, operator, id="same")
    assert send(rt, operator).deliveries[0].state == "pending"


@pytest.mark.parametrize(
    ("policies", "reason"),
    [
        ({"rate_limit": {"limit": 3, "period": "1h"}}, "rate_limited"),
        ({"dedupe": {"key": "{type}", "window": "1h"}}, "duplicate"),
    ],
)
def test_quotas_hold_when_two_processes_accept_at_once(
    rt: Runtime, operator: Actor, policies: dict[str, Any], reason: str
) -> None:
    make_subscription(rt, policies=policies)
    acceptors, start = [Acceptor(rt), Acceptor(rt)], threading.Barrier(12)

    def go(n: int) -> None:
        start.wait()
        acceptors[n % 2].accept(draft_of(rt, id=f"e-{n}"), operator)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(go, range(12)))
    passed = 3 if reason == "rate_limited" else 1
    assert sorted(states(rt), key=str) == [("pending", None)] * passed + [("skipped", reason)] * (12 - passed)
    assert counted(rt, "skipped") == 12 - passed


def test_debounce_keeps_the_last_event_of_a_key(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, policies={"debounce": {"period": "10s", "key": KEY}})
    first = send(rt, operator)
    other = send(rt, operator, "bob")
    rt.clock.advance(seconds=6)  # type: ignore[attr-defined]
    rt.live.facts.clear()  # type: ignore[attr-defined]
    last = send(rt, operator)
    old = row_of(rt, deliveries, first.deliveries[0].id)
    assert (old.state, old.reason, old.superseded_by) == ("skipped", "superseded", last.deliveries[0].id)
    assert (row_of(rt, events, first.uid).open, row_of(rt, events, first.uid).status) == (0, "succeeded")
    assert EventChanged(first.uid, "") in rt.live.facts  # type: ignore[attr-defined]
    assert counted(rt, "skipped") == 1
    rt.clock.advance(seconds=9)  # type: ignore[attr-defined]
    assert [one.event_uid for one in claim_all(rt)] == [other.uid]
    rt.clock.advance(seconds=1)  # type: ignore[attr-defined]
    assert [one.event_uid for one in claim_all(rt)] == [last.uid]


def test_debounce_waits_no_longer_than_it_may(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, policies={"debounce": {"period": "10s", "max_wait": "25s"}})
    began = rt.clock()
    for _ in range(3):
        last = send(rt, operator)
        rt.clock.advance(seconds=9)  # type: ignore[attr-defined]
    assert row_of(rt, deliveries, last.deliveries[0].id).due_at == began + timedelta(seconds=25)
    after = send(rt, operator)  # at 27 s the third is due: it stays, and a new chain begins
    assert [state for state, _ in states(rt)] == ["skipped", "skipped", "pending", "pending"]
    assert row_of(rt, deliveries, after.deliveries[0].id).due_at == rt.clock() + timedelta(seconds=10)


def test_debounce_leaves_a_running_delivery_alone(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, policies={"debounce": {"period": "10s"}})
    first = send(rt, operator)
    rt.clock.advance(seconds=10)  # type: ignore[attr-defined]
    assert len(claim_all(rt)) == 1
    send(rt, operator)
    assert row_of(rt, deliveries, first.deliveries[0].id).state == "running"
    assert states(rt)[1] == ("pending", None)


def test_debounce_keeps_one_while_its_subscription_is_paused(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt, policies={"debounce": {"period": "1s"}})
    subscriptions.pause(rt, operator, subscription)
    for _ in range(3):
        last = send(rt, operator)
        rt.clock.advance(seconds=5)  # type: ignore[attr-defined]
    assert [state for state, _ in states(rt)] == ["skipped", "skipped", "held"]
    assert row_of(rt, deliveries, last.deliveries[0].id).state == "held"


def test_debounce_keeps_exactly_one_of_many_that_come_at_once(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt, policies={"debounce": {"period": "10s"}})
    acceptors, start = [Acceptor(rt), Acceptor(rt)], threading.Barrier(12)

    def go(n: int) -> None:
        start.wait()
        acceptors[n % 2].accept(draft_of(rt), operator)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(go, range(12)))
    assert sorted(states(rt), key=str) == [("pending", None)] + [("skipped", "superseded")] * 11
    with rt.db.read() as conn:
        assert conn.execute(select(func.sum(events.c.open))).scalar() == 1
        kept = conn.execute(select(quotas.c.delivery_id)).scalar()
    assert row_of(rt, deliveries, str(kept)).state == "pending"


def test_a_scheduled_event_is_routed_now_and_runs_then(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    make_subscription(rt, policies={"expires": "5m", "debounce": {"period": "10s"}})
    then = rt.clock() + timedelta(minutes=10)
    answer = send(rt, operator, delay="10m")
    assert row_of(rt, events, answer.uid).deliver_at == then
    rows = rows_of(rt, deliveries)
    assert [(row.state, row.due_at) for row in rows] == [("pending", then)] * 2
    assert {row.expires_at for row in rows} == {None, then + timedelta(minutes=5)}
    assert rt.queue.rung == []  # type: ignore[attr-defined]
    assert claim_all(rt) == []
    send(rt, operator)  # neither pushes the scheduled one aside nor is pushed
    assert [row.state for row in rows_of(rt, deliveries)] == ["pending"] * 4
    rt.clock.advance(minutes=10)  # type: ignore[attr-defined]
    assert answer.uid in {one.event_uid for one in claim_all(rt)}


def test_plain_and_scheduled_events_share_a_commit(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    acceptor = Acceptor(rt)
    acceptor._crowd = 10  # the leader waits for the others
    cause = make_event(rt)
    wishes: list[dict[str, Any]] = [{}, {"delay": "1h"}, {"causation_id": cause}] * 3
    with ThreadPoolExecutor(9) as pool:
        list(pool.map(lambda wish: acceptor.accept(draft_of(rt, **wish), operator), wishes))
    stored = [row for row in rows_of(rt, events) if row.uid != cause]
    assert sorted(row.depth for row in stored) == [0] * 6 + [1] * 3
    assert sum(row.deliver_at is not None for row in stored) == 3


def test_a_loop_is_held_told_and_can_be_released(rt: Runtime, operator: Actor) -> None:
    subscription = make_subscription(rt, policies={"rate_limit": {"limit": 100, "period": "1h"}})
    rt.clock.advance(seconds=1)  # type: ignore[attr-defined]  so that the rules are in this order
    make_subscription(rt, mode="shadow")
    cause = make_event(rt, depth=rt.settings.max_causation_depth - 1, id="sender-1")
    allowed = send(rt, operator, causation_id="sender-1")  # by the sender's id
    assert allowed.deliveries[0].state == "pending"
    looping = send(rt, operator, causation_id=allowed.uid)
    assert [(one.state, one.reason) for one in looping.deliveries] == [("held", "loop"), ("skipped", "shadow")]
    assert row_of(rt, events, looping.uid).depth == rt.settings.max_causation_depth + 1
    assert [row.n for row in rows_of(rt, quotas)] == [1]  # the held one was not counted
    [told] = rows_of(rt, notifications)
    assert (told.severity, told.event_uid) == ("warning", looping.uid)
    with rt.db.read() as conn:
        held = conn.execute(select(audit).where(audit.c.action == "event.held")).one()
    assert (held.target_id, held.actor_kind) == (looping.uid, "system")
    subscriptions.pause(rt, operator, subscription)
    subscriptions.resume(rt, operator, subscription)
    delivery = looping.deliveries[0].id
    assert row_of(rt, deliveries, delivery).state == "held"  # resuming is not the same as releasing
    operate.retry(rt, operator, delivery)
    assert (row_of(rt, deliveries, delivery).state, row_of(rt, deliveries, delivery).reason) == ("pending", None)
    assert row_of(rt, events, cause).depth == 9


def test_an_unknown_cause_counts_for_nothing(rt: Runtime, operator: Actor) -> None:
    make_subscription(rt)
    answer = send(rt, operator, causation_id="from-elsewhere")
    assert (answer.deliveries[0].state, row_of(rt, events, answer.uid).depth) == ("pending", 0)


def test_retry_does_not_release_what_a_pause_holds(rt: Runtime, operator: Actor) -> None:
    delivery = make_delivery(rt, state="held")
    with pytest.raises(Conflict):
        operate.retry(rt, operator, delivery)
