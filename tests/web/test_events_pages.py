"""The overview, the events list, the event page and the form, as a browser gets them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from sqlalchemy import insert
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from tests.support.clock import Clock
from tests.support.factories import make_attempt, make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.people import HTMX, Person
from webapp.runtime import Runtime
from webapp.store import tables

NASTY = "<img src=x onerror=alert(1)>\"'</script>"


def _soup(answer: TestResponse) -> BeautifulSoup:
    assert answer.status_code in (200, 422), answer.text[:500]
    return BeautifulSoup(answer.text, "html.parser")


def _words(found: Tag | BeautifulSoup | None) -> str:
    assert found is not None
    return " ".join(found.get_text(" ").split())


def _uids(page: BeautifulSoup) -> list[str]:
    return [str(row["data-live-id"]) for row in page.select("tr[data-live-id]")]


def _form(**fields: Any) -> dict[str, Any]:
    return {
        "type": "order.paid",
        "source": "tests",
        "payload": "{}",
        "labels": "",
        "subject": "",
        "once": "web_1",
    } | fields


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
    page = _soup(signed_in.get(f"/events/{busy_event}"))
    cards = page.select("#events-deliveries article")
    assert sorted(str(card.select_one("[data-state]")["data-state"]) for card in cards) == [  # type: ignore[index]
        "dead", "held", "running", "succeeded", "waiting",
    ]  # fmt: skip
    words = _words(page.select_one("#events-deliveries"))
    assert "first try" in words
    assert "next try in 18 s" in words
    assert "no tries left" in words
    assert page.select_one("progress")["value"] == "7.0"  # type: ignore[index]


def test_event_page_draws_tries_and_the_next_one_when_it_waits(signed_in: Person, busy_event: str) -> None:
    page = _soup(signed_in.get(f"/events/{busy_event}"))
    words = _words(page.select_one("#events-timeline"))
    assert "Attempt 1 ·" in words
    assert "Attempt 2 ·" in words
    assert "Attempt 3 due in 18 s" in words
    for bar in page.select("#events-timeline rect[width$='%']"):
        x, width = float(str(bar["x"])[:-1]), float(str(bar["width"])[:-1])
        assert 0 <= x <= 100 and 0 < width <= 100 and x + width <= 100.01


def test_event_page_says_why_a_subscription_did_not_match(signed_in: Person, busy_event: str) -> None:
    page = _soup(signed_in.get(f"/events/{busy_event}"))
    section = page.find(id="h-why").parent  # type: ignore[union-attr]
    assert "data.amount > 500 was 129.5" in _words(section)  # type: ignore[arg-type]


def test_event_page_offers_the_buttons_that_fit_the_state(
    signed_in: Person, busy_event: str, sqlite_rt: Runtime
) -> None:
    page = _soup(signed_in.get(f"/events/{busy_event}"))
    offered = {
        row_of(sqlite_rt, tables.deliveries, str(card["id"]).removeprefix("events-delivery-")).state: sorted(
            str(form["action"]).rsplit("/", 1)[1] for form in card.select("form")
        )
        for card in page.select("#events-deliveries article")
    }
    assert offered == {
        "succeeded": ["replay"], "waiting": ["cancel", "retry"], "running": ["cancel"], "held": ["cancel"], "dead": ["retry"],
    }  # fmt: skip


def test_event_page_offers_nothing_to_a_viewer(as_viewer: Person, busy_event: str) -> None:
    page = _soup(as_viewer.get(f"/events/{busy_event}"))
    assert [form["action"] for form in page.select("main form")] == []
    assert page.find(string="Submit again") is None


@pytest.mark.parametrize("path", ["/events/{uid}", "/events", "/", "/events/new?again={uid}", "/events/{uid}/live"])
def test_hostile_text_stays_text(signed_in: Person, busy_event: str, path: str) -> None:
    answer = signed_in.get(path.format(uid=busy_event))
    assert answer.status_code == 200
    assert "<img src=x" not in answer.text
    page = BeautifulSoup(answer.text, "html.parser")
    assert page.select("[onerror], [onload], [style]") == []
    assert [one for one in page.select("script") if not one.get("src")] == []


@pytest.mark.parametrize("path", ["/events/{uid}", "/events", "/", "/events/new", "/events/{uid}/live"])
def test_every_address_on_the_page_is_routed(signed_in: Person, app: Flask, busy_event: str, path: str) -> None:
    page = _soup(signed_in.get(path.format(uid=busy_event)))
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
    page, part = _soup(signed_in.get(f"/events/{busy_event}")), _soup(signed_in.part(f"/events/{busy_event}/live"))
    moved = {str(tag["id"]) for tag in part.select("[hx-swap-oob]")}
    assert moved == {
        "events-status", "events-actions", "events-timeline", "events-failures", "events-deliveries", "events-log",
    }  # fmt: skip
    assert all(page.find(id=name) for name in moved | {"events-live"})


def test_event_page_stops_asking_when_all_has_ended(signed_in: Person, sqlite_rt: Runtime) -> None:
    open_, over = make_delivery(sqlite_rt), make_delivery(sqlite_rt, state="succeeded")
    uids = [row_of(sqlite_rt, tables.deliveries, one).event_uid for one in (open_, over)]
    asked = ["every 2s" in str(_soup(signed_in.get(f"/events/{uid}")).find(id="events-live")) for uid in uids]
    assert asked == [True, False]


@pytest.mark.parametrize(
    "path", ["/events/nope", "/events/nope/live", "/events/nope/row", "/events/nope/answer", "/events/new?again=nope"]
)
def test_missing_event_is_not_found(signed_in: Person, path: str) -> None:
    assert signed_in.get(path).status_code == 404
    assert signed_in.part(path).status_code == 404


def test_event_without_subscription_says_what_to_do(signed_in: Person, sqlite_rt: Runtime) -> None:
    page = _soup(signed_in.get(f"/events/{make_event(sqlite_rt)}"))
    assert "No subscription listens for order.created" in _words(page)
    assert page.select("a[href='/subscriptions/new?pattern=order.created']")


def test_replay_runs_every_ended_delivery_again(as_operator: Person, sqlite_rt: Runtime) -> None:
    uid = make_event(sqlite_rt)
    for state in ("succeeded", "dead", "running"):
        make_delivery(sqlite_rt, uid, state=state)
    answer = as_operator.post(f"/events/{uid}/replay", headers=HTMX)
    assert "Replaying 2 deliveries" in answer.headers["HX-Trigger"]
    assert sorted(row.replay for row in rows_of(sqlite_rt, tables.deliveries)) == [0, 0, 0, 1, 1]


def test_replay_is_refused_to_a_viewer(as_viewer: Person, sqlite_rt: Runtime) -> None:
    assert as_viewer.post(f"/events/{make_event(sqlite_rt)}/replay").status_code == 403


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
        page = _soup(signed_in.get(path))
        seen += _uids(page)
        older = page.select_one("a[rel=next]")
        path = str(older["href"]) if older else ""
    assert seen == uids


def test_newer_leads_back_to_the_first_page(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    uids = _many(sqlite_rt, clock, 120)
    second = _soup(signed_in.get(f"/events?before={uids[49]}"))
    back = _soup(signed_in.get(str(second.select_one("a[rel=prev]")["href"])))  # type: ignore[index]
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
    page = _soup(signed_in.get(f"/events?{query}"))
    assert {_words(row.select_one(".key")) for row in page.select("tr[data-live-id]")} == found


def test_pager_keeps_the_filter(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    _many(sqlite_rt, clock, 60, type="order.paid")
    older = _soup(signed_in.get("/events?type=order.*&since=7d")).select_one("a[rel=next]")
    assert older is not None
    assert "type=order.%2A" in str(older["href"]) and "since=7d" in str(older["href"])


def test_newer_part_counts_what_matches(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    (newest,) = _many(sqlite_rt, clock, 1)
    _many(sqlite_rt, clock, 2, type="order.paid")
    _many(sqlite_rt, clock, 3, type="stock.low")
    assert "2 new, show" in signed_in.part(f"/events/newer?newest={newest}&type=order.paid").text
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


# The form


def test_form_sends_an_event_and_shows_what_became_of_it(as_operator: Person, sqlite_rt: Runtime) -> None:
    make_subscription(sqlite_rt, name="Receipt")
    answer = _soup(as_operator.post("/events", _form(payload='{"amount": 5}', labels="tier=gold"), headers=HTMX))
    (event,) = rows_of(sqlite_rt, tables.events)
    assert (event.type, event.source, event.labels, event.payload) == (
        "order.paid",
        "tests",
        {"tier": "gold"},
        '{"amount":5}',
    )
    shown = answer.select_one("#events-answer")
    assert shown is not None and shown["data-live-id"] == event.uid
    assert "Receipt Pending" in _words(shown)


def test_form_leads_a_plain_browser_to_the_event(as_operator: Person, sqlite_rt: Runtime) -> None:
    answer = as_operator.post("/events", _form())
    (event,) = rows_of(sqlite_rt, tables.events)
    assert (answer.status_code, answer.location) == (303, f"/events/{event.uid}")


def test_form_that_is_sent_twice_stores_one_event(as_operator: Person, sqlite_rt: Runtime) -> None:
    as_operator.post("/events", _form(), headers=HTMX)
    again = _soup(as_operator.post("/events", _form(), headers=HTMX))
    assert len(rows_of(sqlite_rt, tables.events)) == 1
    assert "Sent before, stored once" in _words(again)
    assert again.select_one("[name=once]")["value"] != "web_1"  # type: ignore[index]


@pytest.mark.parametrize(
    ("fields", "name", "words"),
    [
        ({"type": "Order Paid"}, "type", "A type is"),
        ({"type": ""}, "type", "A type is"),
        ({"payload": '{"a": }'}, "payload", "This is not JSON"),
        ({"payload": ""}, "payload", "empty"),
        ({"payload": "[1]"}, "payload", "JSON object"),
        ({"payload": '{"a": NaN}'}, "payload", "JSON"),
        ({"payload": '{"a": {"b": 99999999999999999999}}'}, "payload", "/a/b"),
        ({"payload": '{"a": 1, "a": 2}'}, "payload", "twice"),
        ({"labels": "gold"}, "labels", "Line 1: write a label as key=value."),
        ({"labels": "a=1\n\na=2"}, "labels", "Line 3"),
        ({"source": "a b"}, "source", "no spaces"),
        ({"subject": "x" * 5000}, "subject", "characters"),
    ],
)
def test_form_marks_the_field_and_keeps_what_was_typed(
    as_operator: Person, sqlite_rt: Runtime, fields: dict[str, str], name: str, words: str
) -> None:
    sent = _form(**fields)
    answer = as_operator.post("/events", sent, headers=HTMX)
    page = _soup(answer)
    field = page.find(id=f"f-{name}")
    assert answer.status_code == 422
    assert rows_of(sqlite_rt, tables.events) == []
    assert isinstance(field, Tag) and field["aria-invalid"] == "true"
    assert f"f-{name}-error" in str(field["aria-describedby"])
    assert words in _words(page.find(id=f"f-{name}-error"))  # type: ignore[arg-type]
    for key in ("payload", "labels"):
        assert page.find(id=f"f-{key}").get_text().removeprefix("\n") == sent[key]  # type: ignore[union-attr]
    assert page.find(id="f-type")["value"] == sent["type"]  # type: ignore[index]


def test_form_that_repeats_an_event_holds_what_it_held(as_operator: Person, busy_event: str) -> None:
    page = _soup(as_operator.get(f"/events/new?again={busy_event}"))
    assert page.find(id="f-type")["value"] == "order.paid"  # type: ignore[index]
    assert NASTY in page.find(id="f-labels").get_text()  # type: ignore[union-attr]


def test_form_shows_a_command_that_a_shell_takes_as_one_word(as_operator: Person) -> None:
    page = _soup(as_operator.post("/events", _form(type="it's", payload='{"a": "x\'; rm -rf / #"}'), headers=HTMX))
    assert "'\"'\"'" in page.find(id="events-curl").get_text()  # type: ignore[union-attr]


def test_form_is_not_for_viewers(as_viewer: Person) -> None:
    assert as_viewer.get("/events/new").status_code == 403
    assert as_viewer.post("/events", _form()).status_code == 403


def test_form_needs_its_token(as_operator: Person, sqlite_rt: Runtime) -> None:
    assert as_operator.post("/events", _form(csrf_token="")).status_code == 403
    assert rows_of(sqlite_rt, tables.events) == []


# The overview


def test_overview_of_a_new_hub_says_how_to_begin(signed_in: Person) -> None:
    page = _soup(signed_in.get("/"))
    assert page.select("form[action='/demo']")
    assert "No worker is running" in _words(page)


def test_overview_groups_dead_deliveries_by_subscription_and_reason(signed_in: Person, sqlite_rt: Runtime) -> None:
    warehouse, receipt = (make_subscription(sqlite_rt, name=name) for name in ("Warehouse", "Receipt"))
    for _ in range(3):
        make_delivery(sqlite_rt, subscription_id=warehouse, state="dead", reason="exhausted", error_message="503")
    make_delivery(sqlite_rt, subscription_id=receipt, state="dead", reason="permanent")
    words = _words(_soup(signed_in.get("/")).find(id="overview-body"))  # type: ignore[arg-type]
    assert "3 deliveries of Warehouse ran out of tries" in words
    assert "1 delivery of Receipt was given up by the handler" in words


def test_overview_forgets_dead_deliveries_that_were_replayed(signed_in: Person, sqlite_rt: Runtime) -> None:
    rule, uid = make_subscription(sqlite_rt, name="Warehouse"), make_event(sqlite_rt)
    old = make_delivery(sqlite_rt, uid, rule, state="dead", reason="exhausted")
    make_delivery(sqlite_rt, uid, rule, state="succeeded", replay=1, replay_of=old)
    page = _soup(signed_in.get("/"))
    assert "ran out of tries" not in _words(page)
    assert _words(page.find(id="nav-count-deliveries")) == ""  # type: ignore[arg-type]


def test_nav_counts_say_what_needs_action(signed_in: Person, sqlite_rt: Runtime) -> None:
    make_delivery(sqlite_rt, state="dead", reason="exhausted")
    part = _soup(signed_in.part("/nav/counts"))
    assert _words(part.find(id="nav-count-deliveries")) == "1 needs action"  # type: ignore[arg-type]
    assert all(tag["hx-swap-oob"] == "true" for tag in part.find_all("span"))


@pytest.mark.parametrize("path", ["/", "/events", "/events/new", "/nav/counts", "/events/newer"])
def test_pages_are_for_people_who_signed_in(stranger: Person, path: str) -> None:
    answer = stranger.get(path)
    assert (answer.status_code, answer.location.partition("?")[0]) == (302, "/sign-in")
