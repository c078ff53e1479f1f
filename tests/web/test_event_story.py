"""The page of an event as one story: its timeline in two forms, its payload as a tree, and what differs from another."""

from __future__ import annotations

from datetime import timedelta

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription
from tests.support.pages import soup
from tests.support.people import HTMX, Person
from webapp.runtime import Runtime

NASTY = "<img src=x onerror=alert(1)>\"'"


def test_payload_is_a_tree_in_which_hostile_keys_are_text(sqlite_rt: Runtime, as_viewer: Person) -> None:
    uid = make_event(sqlite_rt, type="order.paid", payload={NASTY: {"sku": NASTY}, "items": [{"sku": "a"}]})
    page = soup(as_viewer.get(f"/events/{uid}"))
    assert page.select("img") == []
    assert page.select_one("[data-copy-text='data.items[0].sku']") is not None
    found = soup(as_viewer.get(f"/events/{uid}/payload?find=onerror", headers=HTMX))
    assert len(found.select("li")) == 2
    assert as_viewer.get(f"/events/{uid}/payload?path=data.none").status_code == 404


def test_event_is_compared_with_the_previous_of_its_type_and_source(
    sqlite_rt: Runtime, clock: Clock, as_viewer: Person
) -> None:
    first = make_event(sqlite_rt, type="order.paid", payload={"amount": 1})
    clock.advance(seconds=1)
    second = make_event(sqlite_rt, type="order.paid", payload={"amount": 2})
    page = soup(as_viewer.get(f"/events/{second}"))
    link = page.select_one(f"a[href='/events/{second}?against={first}#h-diff']")
    assert link is not None
    row = soup(as_viewer.get(f"/events/{second}?against={first}")).select_one("#events-diff [data-change=changed]")
    assert row is not None
    assert "data.amount" in row.text


def test_timeline_as_a_list_tells_what_is_to_come(sqlite_rt: Runtime, as_viewer: Person) -> None:
    uid = make_event(sqlite_rt, type="order.paid")
    rule = make_subscription(sqlite_rt, name="Warehouse", pattern="order.*", handler="webhook")
    due = sqlite_rt.clock() + timedelta(hours=3)
    make_delivery(sqlite_rt, uid, rule, state="waiting", attempt=1, tries_used=1, due_at=due)
    bars = soup(as_viewer.get(f"/events/{uid}")).select_one("#events-timeline")
    assert bars is not None
    assert bars.select_one("line.ahead") is not None
    page = soup(as_viewer.get(f"/events/{uid}?timeline=list"))
    assert "Attempt 2 due" in page.select("#events-timeline li")[-1].text
    live = page.select_one("#events-live")
    assert live is not None
    assert live["hx-get"] == f"/events/{uid}/live?timeline=list"  # it stays a list when it moves
