"""The events list and the event page, as a browser gets them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from sqlalchemy import insert
from werkzeug.exceptions import HTTPException

from tests.support.clock import Clock
from tests.support.factories import make_attempt, make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.pages import soup, words
from tests.support.people import HTMX, Person
from webapp.runtime import Runtime
from webapp.store import tables

NASTY = "<img src=x onerror=alert(1)>\"'</script>"


def _uids(page: BeautifulSoup) -> list[str]:
    return [str(row["data-live-id"]) for row in page.select("tr[data-live-id]")]


@pytest.fixture
def busy_event(sqlite_rt: Runtime, clock: Clock) -> str:
    """One event with a delivery in every state that the page tells apart."""
    rt = sqlite_rt
    with rt.db.write() as conn:
        conn.execute(insert(tables.handlers), [_handler(rt, name) for name in ("log", "webhook")])
    uid = make_event(
        rt, type="order.paid", payload={"amount": 129.5, "note": NASTY}, labels={"tier": NASTY}, subject=NASTY
    )
    rules = {
        name: make_subscription(rt, name=name, pattern="order.*", handler="webhook")
        for name in ("Receipt", "Warehouse", "Invoice", "Archive", NASTY)
    }
    make_subscription(rt, name="Fraud", pattern="order.*", condition={"field": "data.amount", "op": "gt", "value": 500})
    now = rt.clock()
    done = make_delivery(
        rt, uid, rules["Receipt"], state="succeeded", attempt=1, tries_used=1, started_at=now, finished_at=now
    )
    make_attempt(rt, done, outcome="succeeded", error_type=None, error_message=None, stack=None)
    failing = {"error_type": "UpstreamError", "error_message": NASTY, "tries_used": 2, "attempt": 2}
    waiting = make_delivery(rt, uid, rules["Warehouse"], state="waiting", due_at=now + timedelta(seconds=30), **failing)
    for n in (1, 2):
        make_attempt(rt, waiting, n=n, error_type="UpstreamError", error_message=NASTY, stack=NASTY)
    running = make_delivery(
        rt, uid, rules["Invoice"], state="running", attempt=1, started_at=now,
        progress_done=7, progress_total=11, progress_message=NASTY,
    )  # fmt: skip
    make_delivery(rt, uid, rules["Archive"], state="held")
    make_delivery(rt, uid, rules[NASTY], state="dead", reason="exhausted", **failing)
    line = {"delivery_id": running, "attempt": 1, "at": now, "level": "info", "text": NASTY}
    with rt.db.write() as conn:
        conn.execute(insert(tables.log_lines), line)
    clock.advance(seconds=12)
    return uid


def _handler(rt: Runtime, name: str) -> dict[str, Any]:
    return {
        "name": name, "description": "", "isolated": False, "options_schema": {}, "origin": "built-in", "seen_at": rt.clock(),
    }  # fmt: skip


# The event page


def test_event_page_shows_every_delivery_with_its_state(signed_in: Person, busy_event: str) -> None:
    page = soup(signed_in.get(f"/events/{busy_event}"))
    cards = page.select("#events-deliveries article")
    assert sorted(str(card.select_one("[data-state]")["data-state"]) for card in cards) == [  # type: ignore[index]
        "dead", "held", "running", "succeeded", "waiting",
    ]  # fmt: skip
    said = words(page.select_one("#events-deliveries"))
    assert "first try" in said
    assert "next try in 18 s" in said
    assert "all tries failed" in said
    assert page.select_one("progress")["value"] == "7.0"  # type: ignore[index]


def test_event_page_draws_tries_and_the_next_one_when_it_waits(signed_in: Person, busy_event: str) -> None:
    page = soup(signed_in.get(f"/events/{busy_event}"))
    said = words(page.select_one("#events-timeline"))
    assert "Attempt 1 ·" in said
    assert "Attempt 2 ·" in said
    assert "Attempt 3 due in 18 s" in said
    for bar in page.select("#events-timeline rect[width$='%']"):
        x, width = float(str(bar["x"])[:-1]), float(str(bar["width"])[:-1])
        assert 0 <= x <= 100
        assert 0 < width <= 100.01 - x


def test_event_page_says_why_a_subscription_did_not_match(signed_in: Person, busy_event: str) -> None:
    page = soup(signed_in.get(f"/events/{busy_event}"))
    assert "data.amount > 500 was 129.5" in words(page.find(id="events-why"))


def test_event_page_offers_the_buttons_that_fit_the_state(
    signed_in: Person, busy_event: str, sqlite_rt: Runtime
) -> None:
    page = soup(signed_in.get(f"/events/{busy_event}"))
    offered = {
        row_of(sqlite_rt, tables.deliveries, str(card["id"]).removeprefix("events-delivery-")).state: sorted(
            str(form["action"]).rsplit("/", 1)[1] for form in card.select("form")
        )
        for card in page.select("#events-deliveries article")
    }
    assert offered == {
        "succeeded": ["rerun"], "waiting": ["cancel", "retry"], "running": ["cancel"], "held": ["cancel"], "dead": ["retry"],
    }  # fmt: skip


def test_event_page_offers_nothing_to_a_viewer(as_viewer: Person, busy_event: str) -> None:
    page = soup(as_viewer.get(f"/events/{busy_event}"))
    assert [form["action"] for form in page.select("main form[method=post]")] == []
    assert page.find(string="Edit and re-run") is None


@pytest.mark.parametrize("path", ["/events/{uid}", "/events", "/", "/events/new?from={uid}", "/events/{uid}/live"])
def test_hostile_text_stays_text(signed_in: Person, busy_event: str, path: str) -> None:
    answer = signed_in.get(path.format(uid=busy_event))
    assert answer.status_code == 200
    assert "<img src=x" not in answer.text
    page = BeautifulSoup(answer.text, "html.parser")
    assert page.select("[onerror], [onload], [style]") == []
    assert [one for one in page.select("script") if not one.get("src")] == []


@pytest.mark.parametrize("path", ["/events/{uid}", "/events", "/", "/events/new", "/events/{uid}/live"])
def test_every_address_on_the_page_is_routed(signed_in: Person, app: Flask, busy_event: str, path: str) -> None:
    page = soup(signed_in.get(path.format(uid=busy_event)))
    adapter, unknown = app.url_map.bind("localhost"), []
    for attribute, method in (("href", "GET"), ("hx-get", "GET"), ("hx-post", "POST")):
        for tag in page.select(f"[{attribute}^='/']"):
            address = str(tag[attribute])
            try:
                adapter.match(re.split(r"[?#]", address)[0], method=method)
            except HTTPException:
                unknown.append(f"{method} {address}")
    assert unknown == []


def test_live_part_carries_each_panel_for_its_place(signed_in: Person, busy_event: str) -> None:
    page, part = soup(signed_in.get(f"/events/{busy_event}")), soup(signed_in.part(f"/events/{busy_event}/live"))
    moved = {str(tag["id"]) for tag in part.select("[hx-swap-oob]")}
    assert moved == {
        "events-status", "events-actions", "events-timeline", "events-failures", "events-deliveries",
    }  # fmt: skip
    assert all(page.find(id=name) for name in moved | {"events-live"})


def test_event_page_stops_asking_when_all_has_ended(signed_in: Person, sqlite_rt: Runtime) -> None:
    open_, over = make_delivery(sqlite_rt), make_delivery(sqlite_rt, state="succeeded")
    uids = [row_of(sqlite_rt, tables.deliveries, one).event_uid for one in (open_, over)]
    asked = ["every 2s" in str(soup(signed_in.get(f"/events/{uid}")).find(id="events-live")) for uid in uids]
    assert asked == [True, False]


@pytest.mark.parametrize(
    "path", ["/events/nope", "/events/nope/live", "/events/nope/row", "/events/nope/answer", "/events/new?from=nope"]
)
def test_missing_event_is_not_found(signed_in: Person, path: str) -> None:
    assert signed_in.get(path).status_code == 404
    assert signed_in.part(path).status_code == 404


def test_event_without_subscription_says_what_to_do(signed_in: Person, sqlite_rt: Runtime) -> None:
    page = soup(signed_in.get(f"/events/{make_event(sqlite_rt)}"))
    assert "No subscription listens for order.created" in words(page)
    assert page.select("a[href='/subscriptions/new?pattern=order.created']")


def test_rerun_runs_every_ended_delivery_again(as_operator: Person, sqlite_rt: Runtime) -> None:
    uid = make_event(sqlite_rt)
    for state in ("succeeded", "dead", "running"):
        make_delivery(sqlite_rt, uid, state=state)
    answer = as_operator.post(f"/events/{uid}/rerun", headers=HTMX)
    assert "Re-running 2 deliveries" in answer.headers["HX-Trigger"]
    assert sorted(row.replay for row in rows_of(sqlite_rt, tables.deliveries)) == [0, 0, 0, 1, 1]


def test_rerun_is_refused_to_a_viewer(as_viewer: Person, sqlite_rt: Runtime) -> None:
    assert as_viewer.post(f"/events/{make_event(sqlite_rt)}/rerun").status_code == 403


# The list


def _many(rt: Runtime, clock: Clock, count: int, **fields: Any) -> list[str]:
    uids = []
    for _ in range(count):
        clock.advance(seconds=1)
        uids.append(make_event(rt, **fields))
    return uids[::-1]


def test_list_pages_meet_without_gap_or_overlap(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    uids = _many(sqlite_rt, clock, 120)
    path, seen = "/events", []
    while path:
        page = soup(signed_in.get(path))
        seen += _uids(page)
        older = page.select_one("a[rel=next]")
        path = str(older["href"]) if older else ""
    assert seen == uids


def test_newer_leads_back_to_the_first_page(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    uids = _many(sqlite_rt, clock, 120)
    second = soup(signed_in.get(f"/events?before={uids[49]}"))
    back = soup(signed_in.get(str(second.select_one("a[rel=prev]")["href"])))  # type: ignore[index]
    assert _uids(back) == uids[:50]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("type=order.*", {"order.paid", "order.refunded"}),
        ("type=order", {"order.paid", "order.refunded"}),
        ("type=*.paid", {"order.paid"}),
        ("type=order.paid", {"order.paid"}),
        ("type=order_paid", set()),
        ("type=%25", set()),
        ("source=billing", {"stock.low"}),
        ("status=unrouted&type=stock", {"stock.low"}),
        ("status=failed", set()),
        ("status=nonsense", {"order.paid", "order.refunded", "stock.low"}),
        ("since=15m", {"stock.low"}),
        ("start=1999-01-01T00:00&end=2000-01-01T00:00", set()),
        ("start=garbage", {"order.paid", "order.refunded", "stock.low"}),
    ],
)
def test_list_is_filtered_by_the_address(
    signed_in: Person, sqlite_rt: Runtime, clock: Clock, query: str, found: set[str]
) -> None:
    make_event(sqlite_rt, type="order.paid")
    make_event(sqlite_rt, type="order.refunded")
    clock.advance(hours=3)
    make_event(sqlite_rt, type="stock.low", source="billing")
    page = soup(signed_in.get(f"/events?{query}"))
    assert {words(row.select_one(".key")) for row in page.select("tr[data-live-id]")} == found


def test_pager_keeps_the_filter(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    _many(sqlite_rt, clock, 60, type="order.paid")
    older = soup(signed_in.get("/events?type=order.*&since=7d")).select_one("a[rel=next]")
    assert older is not None
    assert str(older["href"]).startswith("/events?type=order.%2A&since=7d&")


def test_newer_part_counts_what_matches(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    (newest,) = _many(sqlite_rt, clock, 1)
    _many(sqlite_rt, clock, 2, type="order.paid")
    _many(sqlite_rt, clock, 3, type="stock.low")
    assert "2 newer" in signed_in.part(f"/events/newer?newest={newest}&type=order.paid").text
    assert "show" not in signed_in.part(f"/events/newer?newest={newest}&type=nothing").text


def test_row_part_is_the_row_of_the_list(signed_in: Person, sqlite_rt: Runtime) -> None:
    uid = make_event(sqlite_rt)
    row = " ".join(signed_in.part(f"/events/{uid}/row").text.split())
    assert row.startswith(f'<tr id="events-{uid}"')
    assert row in " ".join(signed_in.part("/events").text.split())


@pytest.mark.parametrize(
    "query", ["before=zzz", "after=zzz", "through=zzz", "before=%00", "type=" + "x" * 5000, "after='--"]
)
def test_list_survives_a_mistyped_address(signed_in: Person, sqlite_rt: Runtime, query: str) -> None:
    make_event(sqlite_rt)
    assert signed_in.get(f"/events?{query}").status_code in (200, 400, 422)
