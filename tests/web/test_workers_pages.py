"""The workers page: who is there and on what, who is lost, and which lane waits for nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription
from tests.support.markup import soup, words
from tests.support.people import Person
from webapp.runtime import Runtime
from webapp.store import tables
from webapp.store.feed_workers import list_lanes, list_workers


def _worker(rt: Runtime, name: str, **fields: Any) -> None:
    now = rt.clock()
    row = {
        "name": name, "kind": "shared", "host": "hub-3", "pid": 4411, "state": "busy", "running": 1, "finished": 1234,
        "started_at": now - timedelta(hours=2), "seen_at": now,
    } | fields  # fmt: skip
    with rt.db.write() as conn:
        conn.execute(tables.workers.insert(), row)


def test_worker_is_shown_with_its_present_work(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    _worker(sqlite_rt, "worker-1")
    event, receipts = make_event(sqlite_rt, type="order.paid"), make_subscription(sqlite_rt, name="Receipts")
    made = make_delivery(
        sqlite_rt,
        event,
        receipts,
        state="running",
        attempt=2,
        lease_owner="worker-1",
        started_at=clock() - timedelta(seconds=7),
    )
    page = soup(signed_in.get("/workers"))
    text = words(page)
    for expected in ("Busy", "worker-1", "hub-3, process 4411", "1,234", "order.paid → Receipts, try 2", "7 s"):
        assert expected in text
    assert page.select(f"a[href='/deliveries/{made}']")


def test_silent_worker_is_lost(rt: Runtime, clock: Clock) -> None:
    _worker(rt, "here")
    _worker(rt, "gone", seen_at=clock() - timedelta(minutes=1))
    with rt.db.read() as conn:
        found = {worker.name: worker.state for worker in list_workers(conn, clock())}
    assert found == {"here": "busy", "gone": "lost"}


def test_banner_says_that_a_lane_has_work_and_no_worker(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    _worker(sqlite_rt, "worker-1")
    make_delivery(sqlite_rt, lane="isolated", due_at=clock() - timedelta(minutes=5))
    make_delivery(sqlite_rt)
    alerts = [words(one) for one in soup(signed_in.get("/workers")).select("[role=alert]")]
    assert len(alerts) == 1
    assert "1 delivery waits in the isolated lane and no worker serves it" in alerts[0]
    assert "due for 5 min" in alerts[0]


def test_lanes_count_only_what_is_due(rt: Runtime, clock: Clock) -> None:
    oldest = clock() - timedelta(seconds=30)
    make_delivery(rt, due_at=oldest)
    make_delivery(rt, state="waiting")
    make_delivery(rt, state="waiting", due_at=clock() + timedelta(seconds=1))
    make_delivery(rt, state="held")
    make_delivery(rt, state="succeeded")
    with rt.db.read() as conn:
        default, isolated = list_lanes(conn, (), clock())
    assert (default.due, default.oldest_due_at, default.is_stuck) == (2, oldest, True)
    assert (isolated.due, isolated.is_stuck) == (0, False)


def test_page_without_workers_says_how_to_start_one(signed_in: Person) -> None:
    assert "No worker has ever started" in signed_in.get("/workers").text
