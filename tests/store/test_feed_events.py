"""What the overview and the event pages read, on both databases: bounded, newest first, without gap or overlap."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_attempt, make_delivery, make_event, make_subscription
from webapp.runtime import Runtime
from webapp.store import feed_events as feed
from webapp.store import feed_overview as overview
from webapp.store.feed_events import EventFilter

ALL = EventFilter()


def _many(rt: Runtime, clock: Clock, count: int, **fields: str) -> list[str]:
    """Events a second apart, newest first."""
    uids = []
    for _ in range(count):
        clock.advance(seconds=1)
        uids.append(make_event(rt, **fields))
    return uids[::-1]


def test_pages_forth_and_back_show_the_same_rows(rt: Runtime, clock: Clock) -> None:
    uids = _many(rt, clock, 25)
    with rt.db.read() as conn:
        first = feed.list_events(conn, ALL, limit=10)
        second = feed.list_events(conn, ALL, before=first.older or "", limit=10)
        third = feed.list_events(conn, ALL, before=second.older or "", limit=10)
        back = feed.list_events(conn, ALL, after=third.newest, limit=10)
        top = feed.list_events(conn, ALL, after=back.newest, limit=10)
    assert [row.uid for page in (first, second, third) for row in page.rows] == uids
    assert third.older is None
    assert (back.rows, top.rows) == (second.rows, first.rows)
    assert (first.newer, second.newer, top.newer) == (False, True, False)


def test_page_holds_still_through_its_first_row(rt: Runtime, clock: Clock) -> None:
    uids = _many(rt, clock, 5)
    with rt.db.read() as conn:
        page = feed.list_events(conn, ALL, through=uids[2], limit=2)
    assert [row.uid for row in page.rows] == uids[2:4]


@pytest.mark.parametrize(
    ("pattern", "types"),
    [
        ("order", {"order.paid", "order.refunded", "order_x.y"}),
        ("order.*", {"order.paid", "order.refunded"}),
        ("order_", {"order_x.y"}),
        ("*.paid", {"order.paid"}),
        ("o*d", {"order.paid", "order.refunded"}),
        ("%", set()),
        ("\\", set()),
        ("*", {"order.paid", "order.refunded", "order_x.y", "stock.low"}),
    ],
)
def test_pattern_takes_only_stars_for_wildcards(rt: Runtime, pattern: str, types: set[str]) -> None:
    for type_ in ("order.paid", "order.refunded", "order_x.y", "stock.low"):
        make_event(rt, type=type_)
    with rt.db.read() as conn:
        assert {row.type for row in feed.list_events(conn, EventFilter(pattern)).rows} == types


def test_filters_narrow_together(rt: Runtime, clock: Clock) -> None:
    make_event(rt, type="order.paid", source="shop")
    clock.advance(hours=2)
    wanted = make_event(rt, type="order.paid", source="shop")
    make_event(rt, type="order.paid", source="till")
    make_delivery(rt, make_event(rt, type="order.paid", source="shop"), state="dead")
    since = clock() - timedelta(hours=1)
    with rt.db.read() as conn:
        page = feed.list_events(conn, EventFilter("order.*", "unrouted", "shop", since, clock() + timedelta(hours=1)))
        assert [row.uid for row in page.rows] == [wanted]
        assert feed.list_events(conn, EventFilter(until=since)).rows[0].source == "shop"


def test_search_stops_and_hands_on_a_cursor(rt: Runtime, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "SCAN", 10)
    old = _many(rt, clock, 1, source="rare")
    _many(rt, clock, 24)
    found, before, rounds = [], "", 0
    with rt.db.read() as conn:
        while True:
            page = feed.list_events(conn, EventFilter(source="rare"), before=before)
            found += [row.uid for row in page.rows]
            rounds += 1
            if page.older is None:
                break
            assert page.scanned_out
            before = page.older
    assert (found, rounds) == (old, 3)


def test_newer_events_are_counted_up_to_the_cap(rt: Runtime, clock: Clock) -> None:
    uids = _many(rt, clock, 103, type="order.paid")
    with rt.db.read() as conn:
        assert feed.count_newer(conn, ALL, uids[3]) == 3
        assert feed.count_newer(conn, EventFilter("stock"), uids[3]) == 0
        assert feed.count_newer(conn, ALL, uids[-1]) == 100


def test_progress_of_an_event_is_its_own_and_in_order(rt: Runtime, clock: Clock) -> None:
    uid, rule = make_event(rt), make_subscription(rt, name="Mine")
    mine, other = make_delivery(rt, uid, rule), make_delivery(rt)
    for n in (1, 2, 3):
        clock.advance(seconds=1)
        make_attempt(rt, mine, n=n)
    make_attempt(rt, other)
    with rt.db.read() as conn:
        progress = feed.progress_of(conn, uid)
    assert [one.id for one in progress.deliveries] == [mine]
    assert [one.attempt.n for one in progress.attempts] == [1, 2, 3]


def test_nav_counts_count_what_needs_somebody(rt: Runtime) -> None:
    rule, uid = make_subscription(rt), make_event(rt)
    dead = make_delivery(rt, uid, rule, state="dead", reason="exhausted")
    make_attempt(rt, dead)
    make_delivery(rt, state="dead", reason="lost")
    with rt.db.read() as conn:
        before = feed.nav_counts(conn, user_id="usr_x", now=rt.clock())
    make_delivery(rt, uid, rule, state="succeeded", replay=1, replay_of=dead)
    with rt.db.read() as conn:
        after = feed.nav_counts(conn, user_id="usr_x", now=rt.clock())
    assert (before.deliveries, after.deliveries) == (2, 1)
    assert (after.events, after.errors, after.subscriptions, after.workers, after.notifications) == (2, 1, 2, 0, 0)


# The overview


def test_paused_subscriptions_count_only_when_something_is_held(rt: Runtime) -> None:
    idle = make_subscription(rt, name="Idle", paused_at=rt.clock())
    busy = make_subscription(rt, name="Busy", paused_at=rt.clock(), pause_reason="migration")
    make_delivery(rt, subscription_id=busy, state="held")
    make_delivery(rt, subscription_id=idle, state="succeeded")
    with rt.db.read() as conn:
        assert [(row.name, row.held) for row in overview.paused_subscriptions(conn)] == [("Busy", 1)]
        assert overview.is_empty(conn) is False
