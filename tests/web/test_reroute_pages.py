"""Re-routing from the page and the API, and an event made from another, with both in its lineage."""

from __future__ import annotations

import json

from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.markup import soup, words
from tests.support.people import HTMX, Person, Program
from webapp.runtime import Runtime
from webapp.store import tables


def test_page_shows_who_would_get_it_before_the_button(as_operator: Person, sqlite_rt: Runtime) -> None:
    event = make_event(sqlite_rt)
    make_delivery(sqlite_rt, event, make_subscription(sqlite_rt, name="Old one"), state="succeeded")
    make_subscription(sqlite_rt, name="New one")
    make_subscription(sqlite_rt, name="Elsewhere", pattern="customer.*")
    assert soup(as_operator.get(f"/events/{event}")).select(f"a[href='/events/{event}/reroute']")
    page = soup(as_operator.get(f"/events/{event}/reroute"))
    text = words(page.find(id="events-reroute"))
    assert "Old one" in text
    assert "has had it" in text
    assert "1 new delivery, 1 skipped" in text
    assert "Elsewhere" not in text
    answer = as_operator.post(f"/events/{event}/reroute", headers=HTMX)
    assert answer.headers["HX-Redirect"] == f"/events/{event}"
    assert len(rows_of(sqlite_rt, tables.deliveries)) == 2
    as_operator.post(f"/events/{event}/reroute", {"again": "on"})
    assert len(rows_of(sqlite_rt, tables.deliveries)) == 4


def test_page_without_a_match_says_what_to_do_and_viewers_may_look(as_viewer: Person, sqlite_rt: Runtime) -> None:
    event = make_event(sqlite_rt)
    assert "No subscription matches this event now" in as_viewer.get(f"/events/{event}/reroute").text
    make_subscription(sqlite_rt)
    assert soup(as_viewer.get(f"/events/{event}/reroute")).select("main form[method=post]") == []
    assert as_viewer.post(f"/events/{event}/reroute").status_code == 403
    assert as_viewer.get("/events/evt_nope/reroute").status_code == 404


def test_api_reroutes_by_the_senders_id_too(api: Program, sqlite_rt: Runtime) -> None:
    event = make_event(sqlite_rt, id="o-1")
    rule = make_subscription(sqlite_rt, name="All")
    first = api.post("/api/v1/events/o-1/reroute").json
    assert first is not None
    assert (first["event_uid"], len(first["deliveries"]), first["skipped"]) == (event, 1, [])
    second = api.post(f"/api/v1/events/{event}/reroute").json
    assert second is not None
    assert (second["deliveries"], second["skipped"]) == ([], [{"subscription_id": rule, "subscription": "All"}])
    third = api.post(f"/api/v1/events/{event}/reroute?again=true").json
    assert third is not None
    assert len(third["deliveries"]) == 1
    assert api.post(f"/api/v1/events/{event}/reroute?again=perhaps").status_code == 400
    assert api.post("/api/v1/events/nothing/reroute").status_code == 404


def test_edited_event_names_its_cause_and_keeps_what_it_belongs_to(as_operator: Person, sqlite_rt: Runtime) -> None:
    original = make_event(sqlite_rt, type="order.paid", correlation_id="cart-7", version=3, payload={"amount": 1})
    form = soup(as_operator.get(f"/events/new?from={original}")).select_one("form[action='/events']")
    assert form is not None
    sent = {str(tag["name"]): str(tag.get("value", "")) for tag in form.select("input[name]")}
    sent |= {"payload": '{"amount": 2}', "labels": ""}
    sent.pop("csrf_token")
    answer = as_operator.post("/events", sent)
    derived = str(answer.headers["Location"]).rpartition("/")[2]
    row = row_of(sqlite_rt, tables.events, derived)
    assert (row.type, row.causation_id, row.correlation_id, row.version) == ("order.paid", original, "cart-7", 3)
    assert json.loads(row.payload) == {"amount": 2}
    up = soup(as_operator.get(f"/events/{derived}"))
    down = soup(as_operator.get(f"/events/{original}"))
    assert up.select(f"section[aria-labelledby=h-lineage] a[href='/events/{original}']")
    assert down.select(f"section[aria-labelledby=h-lineage] a[href='/events/{derived}']")


def test_lineage_is_bounded_and_foreign_causes_are_no_parents(signed_in: Person, sqlite_rt: Runtime) -> None:
    cause = make_event(sqlite_rt, causation_id="somebody-elses-id")
    assert signed_in.get(f"/events/{cause}").text.count("h-lineage") == 0
    for _ in range(22):
        make_event(sqlite_rt, causation_id=cause)
    section = soup(signed_in.get(f"/events/{cause}")).select_one("section[aria-labelledby=h-lineage]")
    assert section is not None
    assert len(section.select("a")) == 20
    assert "and earlier ones" in words(section)
