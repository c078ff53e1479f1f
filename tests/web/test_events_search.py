"""The search of the events list: a condition in its text form, in the URL, on both databases."""

from __future__ import annotations

from tests.support.factories import make_event
from tests.support.markup import by_id, soup, words
from tests.support.people import Person
from webapp.domain.condition_text import parse_condition_text
from webapp.runtime import Runtime
from webapp.store import feed_events as feed
from webapp.store.feed_events import EventFilter


def _found(rt: Runtime, text: str, limit: int = 50) -> list[str]:
    wanted, uids, before = EventFilter(condition=parse_condition_text(text), now=rt.clock()), list[str](), ""
    with rt.db.read() as conn:
        while True:
            page = feed.list_events(conn, wanted, before=before, limit=limit)
            uids += [row.uid for row in page.rows]
            if page.older is None:
                return uids
            before = page.older


def test_search_says_what_the_evaluator_says_and_pages(rt: Runtime) -> None:
    uids = [
        make_event(rt, payload={"amount": n, "due": f"2026-03-0{n}T00:00:00Z", "ip": f"10.0.0.{n}"})
        for n in range(1, 6)
    ]
    assert _found(rt, "data.amount>=2 data.amount<5", 2) == uids[3:0:-1]
    assert _found(rt, "data.due before 2026-03-04", 2) == uids[2::-1]  # SQL lets more through
    assert _found(rt, "data.ip cidr 10.0.0.4/31", 1) == [uids[4], uids[3]]
    wanted = EventFilter(condition=parse_condition_text("data.due before 2026-03-04"), now=rt.clock())
    with rt.db.read() as conn:
        assert feed.count_newer(conn, wanted, uids[0]) == 2
        page = feed.list_events(conn, wanted, after=uids[0], limit=1)
    assert [row.uid for row in page.rows] == [uids[1]]


def test_search_that_reads_events_stops_and_goes_on(rt: Runtime, monkeypatch: object) -> None:
    uids = [make_event(rt, payload={"ip": "10.0.0.1" if n == 0 else "10.9.9.9"}) for n in range(7)]
    monkeypatch.setattr(feed, "CHUNK", 2)  # type: ignore[attr-defined]
    monkeypatch.setattr(feed, "JUDGED", 4)  # type: ignore[attr-defined]
    wanted = EventFilter(condition=parse_condition_text("data.ip cidr 10.0.0.0/24"), now=rt.clock())
    with rt.db.read() as conn:
        page = feed.list_events(conn, wanted)
    assert (page.rows, page.older, page.scanned_out) == ((), uids[3], True)
    assert _found(rt, "data.ip cidr 10.0.0.0/24") == [uids[0]]


def test_fault_is_shown_below_the_box_and_the_url_is_the_state(signed_in: Person, sqlite_rt: Runtime) -> None:
    make_event(sqlite_rt, type="order.paid", payload={"amount": 5})
    make_event(sqlite_rt, type="order.made", payload={"amount": 500})
    page = soup(signed_in.get("/events?q=data.amount>100+source:tests&type=order"))
    assert by_id(page, "f-q")["value"] == "data.amount>100 source:tests"
    assert "order.made" in words(by_id(page, "events-table"))
    assert "order.paid" not in words(by_id(page, "events-table"))
    assert "q=data.amount" in str(by_id(page, "events-table")["hx-get"])
    page = soup(signed_in.get("/events?q=status:dead"))
    assert "At character 1" in words(by_id(page, "f-q-error"))
    assert "order.made" not in words(by_id(page, "events-table"))
