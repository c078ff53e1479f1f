"""The form that sends an event: nothing typed is lost, nothing is stored twice, everything wrong is told at its field."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import Tag

from tests.support.factories import make_event, make_subscription, rows_of
from tests.support.pages import soup, words
from tests.support.people import HTMX, Person
from webapp.runtime import Runtime
from webapp.store import tables

NASTY = "<img src=x onerror=alert(1)>\"'</script>"


def _form(**fields: Any) -> dict[str, Any]:
    return {
        "type": "order.paid",
        "source": "tests",
        "payload": "{}",
        "labels": "",
        "subject": "",
        "once": "web_1",
    } | fields


def test_form_sends_an_event_and_shows_what_became_of_it(as_operator: Person, sqlite_rt: Runtime) -> None:
    make_subscription(sqlite_rt, name="Receipt")
    answer = soup(as_operator.post("/events", _form(payload='{"amount": 5}', labels="tier=gold"), headers=HTMX))
    (event,) = rows_of(sqlite_rt, tables.events)
    assert (event.type, event.source, event.labels, event.payload) == (
        "order.paid",
        "tests",
        {"tier": "gold"},
        '{"amount":5}',
    )
    shown = answer.select_one("#events-answer")
    assert shown is not None
    assert shown["data-live-id"] == event.uid
    assert "Receipt Pending" in words(shown)


def test_form_leads_a_plain_browser_to_the_event(as_operator: Person, sqlite_rt: Runtime) -> None:
    answer = as_operator.post("/events", _form())
    (event,) = rows_of(sqlite_rt, tables.events)
    assert (answer.status_code, answer.location) == (303, f"/events/{event.uid}")


def test_form_that_is_sent_twice_stores_one_event(as_operator: Person, sqlite_rt: Runtime) -> None:
    as_operator.post("/events", _form(), headers=HTMX)
    again = soup(as_operator.post("/events", _form(), headers=HTMX))
    assert len(rows_of(sqlite_rt, tables.events)) == 1
    assert "Sent before, stored once" in words(again)
    assert again.select_one("[name=once]")["value"] != "web_1"  # type: ignore[index]


@pytest.mark.parametrize(
    ("fields", "name", "said"),
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
    as_operator: Person, sqlite_rt: Runtime, fields: dict[str, str], name: str, said: str
) -> None:
    sent = _form(**fields)
    answer = as_operator.post("/events", sent, headers=HTMX)
    page = soup(answer)
    field = page.find(id=f"f-{name}")
    assert answer.status_code == 422
    assert rows_of(sqlite_rt, tables.events) == []
    assert isinstance(field, Tag)
    assert field["aria-invalid"] == "true"
    assert f"f-{name}-error" in str(field["aria-describedby"])
    assert said in words(page.find(id=f"f-{name}-error"))
    for key in ("payload", "labels"):
        assert page.find(id=f"f-{key}").get_text().removeprefix("\n") == sent[key]  # type: ignore[union-attr]
    assert page.find(id="f-type")["value"] == sent["type"]  # type: ignore[index]


def test_form_tells_everything_that_is_wrong_at_once(as_operator: Person) -> None:
    sent = _form(type="Order Paid", payload="{", labels="gold", source="a b")
    page = soup(as_operator.post("/events", sent, headers=HTMX))
    assert {str(tag["id"]) for tag in page.select("[aria-invalid]")} == {"f-type", "f-payload", "f-labels", "f-source"}


def test_form_that_repeats_an_event_holds_what_it_held(as_operator: Person, sqlite_rt: Runtime) -> None:
    uid = make_event(sqlite_rt, type="order.paid", labels={"tier": NASTY})
    page = soup(as_operator.get(f"/events/new?from={uid}"))
    assert page.find(id="f-type")["value"] == "order.paid"  # type: ignore[index]
    assert NASTY in page.find(id="f-labels").get_text()  # type: ignore[union-attr]


def test_form_shows_a_command_that_a_shell_takes_as_one_word(as_operator: Person) -> None:
    page = soup(as_operator.post("/events", _form(type="it's", payload='{"a": "x\'; rm -rf / #"}'), headers=HTMX))
    assert "'\"'\"'" in page.find(id="events-curl").get_text()  # type: ignore[union-attr]


def test_form_is_not_for_viewers(as_viewer: Person) -> None:
    assert as_viewer.get("/events/new").status_code == 403
    assert as_viewer.post("/events", _form()).status_code == 403


def test_form_needs_its_token(as_operator: Person, sqlite_rt: Runtime) -> None:
    assert as_operator.post("/events", _form(csrf_token="")).status_code == 403
    assert rows_of(sqlite_rt, tables.events) == []
