"""Pages hold still: whoever leafs through a list sees each row once, whatever arrives meanwhile."""

from __future__ import annotations

import threading

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.work import claim_all
from webapp.domain.access import Actor
from webapp.runtime import Runtime
from webapp.services import operate, subscriptions
from webapp.store import tables
from webapp.store.feed_deliveries import DeliveryFilter, list_deliveries
from webapp.store.feed_events import EventFilter, list_events


def test_leafing_through_events_shows_each_once_when_new_ones_arrive(rt: Runtime, clock: Clock) -> None:
    made = []
    for _ in range(23):
        made.append(make_event(rt))
        clock.advance(milliseconds=1)
    seen: list[str] = []
    before = ""
    while True:
        with rt.db.read() as conn:
            page = list_events(conn, EventFilter(), before=before, limit=5)
        seen += [row.uid for row in page.rows]
        make_event(rt)
        clock.advance(milliseconds=1)
        if page.older is None:
            break
        before = page.older
    assert seen == made[::-1]


def test_leafing_through_deliveries_shows_each_once_within_one_instant(rt: Runtime) -> None:
    subscription_id = make_subscription(rt)
    made = {make_delivery(rt, make_event(rt), subscription_id) for _ in range(12)}
    seen: list[str] = []
    before = ""
    while True:
        with rt.db.read() as conn:
            page = list_deliveries(conn, DeliveryFilter(), before=before, limit=5)
        seen += [row.id for row in page.rows]
        if page.next is None:
            break
        before = page.next
    assert sorted(seen) == sorted(made)
    assert seen == sorted(seen, reverse=True)


def test_pause_holds_what_is_due_and_resume_makes_it_due_again(rt: Runtime, operator: Actor) -> None:
    subscription_id = make_subscription(rt)
    running = make_delivery(rt, None, subscription_id)
    claim_all(rt)
    pending = make_delivery(rt, None, subscription_id)
    waiting = make_delivery(rt, None, subscription_id, state="waiting")
    done = make_delivery(rt, None, subscription_id, state="succeeded")

    def states() -> list[str]:
        return [row_of(rt, tables.deliveries, one).state for one in (running, pending, waiting, done)]

    assert subscriptions.pause(rt, operator, subscription_id, "inventory") == 2
    assert states() == ["running", "held", "held", "succeeded"]
    assert claim_all(rt) == []
    assert subscriptions.resume(rt, operator, subscription_id) == 2
    assert states() == ["running", "pending", "pending", "succeeded"]


def test_reruns_of_one_delivery_are_numbered_when_many_ask_at_once(rt: Runtime, operator: Actor) -> None:
    delivery_id = make_delivery(rt, state="succeeded")
    start = threading.Barrier(4)

    def ask() -> None:
        start.wait()
        for _ in range(3):
            operate.rerun(rt, operator, delivery_id)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = rows_of(rt, tables.deliveries)
    numbers = sorted(row.replay for row in rows)
    event = row_of(rt, tables.events, rows[0].event_uid)
    assert numbers == list(range(len(rows)))
    assert (event.total, event.open) == (len(rows), len(rows) - 1)


@pytest.mark.parametrize("verb", [operate.retry, operate.cancel])
def test_operator_wins_once_when_two_press_the_same_button(rt: Runtime, operator: Actor, verb: object) -> None:
    from webapp.domain.errors import Conflict

    delivery_id = make_delivery(rt, state="waiting")
    verb(rt, operator, delivery_id)  # type: ignore[operator]
    with pytest.raises(Conflict):
        verb(rt, operator, delivery_id)  # type: ignore[operator]
