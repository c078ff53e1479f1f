"""The page of an event as one story: its timeline in two forms, its payload as a tree, and what differs from another."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription
from tests.support.pages import soup
from tests.support.people import HTMX, Person
from webapp.domain.access import SYSTEM
from webapp.runtime import Runtime
from webapp.store import tables, versions
from webapp.store.outcomes import add_log_lines
from webapp.web import why

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


def test_part_that_moves_asks_no_subscription_again(sqlite_rt: Runtime, as_viewer: Person, monkeypatch: Any) -> None:
    asked, explain = list[str](), why.explain_event
    monkeypatch.setattr(why, "explain_event", lambda *args, **options: asked.append("") or explain(*args, **options))
    uid = make_event(sqlite_rt)
    make_delivery(sqlite_rt, uid, make_subscription(sqlite_rt), state="running")
    page = soup(as_viewer.get(f"/events/{uid}"))
    assert len(asked) == 1
    assert "1 subscription considered" in page.select_one("#events-rules").text  # type: ignore[union-attr]
    kept = soup(as_viewer.part(f"/events/{uid}/live")).select_one("#events-rules")
    assert as_viewer.part(f"/events/{uid}/answer").status_code == 200
    assert len(asked) == 1
    assert kept is not None
    assert kept.has_attr("hx-preserve"), "htmx puts what the page has in its place"


def test_event_leads_to_the_version_that_ran_its_request_and_its_audit_entries(
    sqlite_rt: Runtime, clock: Clock, as_viewer: Person
) -> None:
    rule, source, now = make_subscription(sqlite_rt), "src_1", clock()
    uid = make_event(sqlite_rt, received_by=f"source:{source}")
    with sqlite_rt.db.write() as conn:
        for revision, minutes in ((1, -5), (2, 5)):
            at = now + timedelta(minutes=minutes)
            versions.add(conn, rule, revision, {}, at=at, actor=SYSTEM, action="updated")
        about = {"id": source, "name": "Shop", "token": "t", "kind": "publish", "event_source": "shop"}
        conn.execute(insert(tables.sources), about | {"created_at": now, "updated_at": now})
        row = {"id": (asked := sqlite_rt.new_id("req")), "source_id": source, "at": now, "event_uid": uid}
        told = {"ip": "", "verdict": "accepted", "status": 202, "headers": {}, "body": ""}
        conn.execute(insert(tables.source_requests), row | told)
    ran = make_delivery(sqlite_rt, uid, rule, state="succeeded", started_at=now)
    page = soup(as_viewer.get(f"/events/{uid}"))
    links = {str(link["href"]) for link in page.select("main a[href]")}
    there = f"/subscriptions/{rule}/history?to=1&ran={ran}"
    assert {there, f"/sources/{source}/requests/{asked}", f"/audit?target={uid}"} <= links
    history = soup(as_viewer.get(there))
    assert "was in force when this delivery ran" in " ".join(history.text.split())
    assert [cell.text for cell in history.select("tr[aria-current] > td:first-child")] == ["1 Ran"]
    assert "was in force" not in as_viewer.get(there.replace(ran, "dlv_none")).text


def test_log_hands_out_what_came_to_those_who_may_view_payloads(sqlite_rt: Runtime, as_viewer: Person) -> None:
    uid = make_event(sqlite_rt)
    one = make_delivery(sqlite_rt, uid, make_subscription(sqlite_rt, name="Prints"), state="running")
    two = make_delivery(sqlite_rt, uid, make_subscription(sqlite_rt, name="Mails"), state="running")
    row = {"attempt": 1, "at": sqlite_rt.clock(), "level": "info"}
    with sqlite_rt.db.write() as conn:
        add_log_lines(conn, [row | {"delivery_id": of, "text": text} for of, text in ((one, NASTY), (two, "sent"))])
    first = soup(as_viewer.get(f"/events/{uid}")).select("#log li")
    assert [("Prints" in first[0].text, NASTY in first[0].text), "Mails" in first[1].text] == [(True, True), True]
    came = soup(as_viewer.part(f"/events/{uid}/log?after={first[0]['data-seq']}"))
    assert [line["data-seq"] for line in came.select("li")] == [first[1]["data-seq"]]
    alone = soup(as_viewer.part(f"/deliveries/{one}/log"))
    assert [("Prints" in line.text, NASTY in line.text) for line in alone.select("li")] == [(False, True)]
    assert as_viewer.part(f"/events/{uid}/log?after=-{'9' * 30}").status_code == 200
    users = tables.users
    with sqlite_rt.db.write() as conn:
        conn.execute(users.update().where(users.c.id == as_viewer.user_id).values(sees_payloads=False))
    assert as_viewer.part(f"/events/{uid}/log").status_code == 403
    assert "sent" not in soup(as_viewer.get(f"/events/{uid}")).select_one("#log").text  # type: ignore[union-attr]
