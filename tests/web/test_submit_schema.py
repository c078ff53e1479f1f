"""The form made of a schema, its links and samples: what is typed arrives with its type, and nothing is lost or sent by itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.factories import make_event, rows_of
from tests.support.pages import soup, words
from tests.support.people import HTMX, Person, Program
from webapp.domain.access import SYSTEM
from webapp.domain.event_types import parse_type, parse_version
from webapp.runtime import Runtime
from webapp.services import event_types
from webapp.store import tables

NASTY = "\"><img src=x onerror=alert(1)>'"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["amount"],
    "properties": {
        "amount": {"type": "number", "minimum": 0, "title": "Amount"},
        "note": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        NASTY: {"type": "string", "description": NASTY},
        "open": {"type": "boolean", "default": False},
    },
}


@pytest.fixture
def kind(sqlite_rt: Runtime) -> str:
    """A declared type, deprecated, that rejects what does not fit."""
    said = {"validation": "reject", "description": "An order.", "deprecated": True, "deprecation": "use order.settled"}
    event_types.put(sqlite_rt, SYSTEM, "order.paid", parse_type(said))
    event_types.add_version(sqlite_rt, SYSTEM, "order.paid", parse_version({"schema": SCHEMA}))
    event_types.add_version(sqlite_rt, SYSTEM, "order.paid", parse_version({"schema": {**SCHEMA, "title": "Two"}}))
    return "order.paid"


def drawn(person: Person, path: str) -> dict[str, str]:
    """What the form would send as it was drawn."""
    form = soup(person.get(path)).select_one("#event-form")
    assert form is not None
    sent = {}
    for tag in form.select("input[name], select[name], textarea[name]"):
        if tag.get("type") in ("radio", "checkbox") and not tag.has_attr("checked"):
            continue
        chosen = tag.select_one("option[selected]") if tag.name == "select" else None
        text = tag.get_text().removeprefix("\n") if tag.name == "textarea" else str(tag.get("value", ""))
        sent[str(tag["name"])] = str(chosen["value"]) if chosen else text
    sent.pop("csrf_token")
    return sent


def test_types_form_sends_typed_values(as_operator: Person, sqlite_rt: Runtime, kind: str) -> None:
    sent = drawn(as_operator, f"/events/new?type={kind}")
    assert (sent["mode"], sent["version"], sent["p-4"]) == ("form", "2", "false")
    answer = as_operator.post(
        "/events", sent | {"p-0": "12.50", "p-2.n": "1", "p-2-0": "12", "p-x.json": '{"more": [1]}'}
    )
    assert answer.status_code == 303, words(soup(answer))
    (event,) = rows_of(sqlite_rt, tables.events)
    assert event.payload == '{"amount":12.5,"tags":["12"],"open":false,"more":[1]}'
    assert event.version == 2


def test_faults_of_the_api_stand_at_the_fields_of_either_form(as_operator: Person, kind: str) -> None:
    sent = drawn(as_operator, f"/events/new?type={kind}")
    page = soup(as_operator.post("/events", sent | {"p-0": "-1", "p-1": "kept", "source": "a b"}, headers=HTMX))
    page = soup(as_operator.post("/events", sent | {"p-0": "-1", "p-1": "kept"}, headers=HTMX))
    assert words(page.find(id="f-p-0-error")) == "Must be at least 0."
    assert page.find(id="f-p-0")["aria-invalid"] == "true"  # type: ignore[index]
    assert page.find(id="f-p-1")["value"] == "kept"  # type: ignore[index]
    assert "Amount: Must be at least 0." in words(page.select_one("[role=alert]"))
    sent |= {"mode": "json", "payload": '{"amount": -1}'}
    page = soup(as_operator.post("/events", sent, headers=HTMX))
    assert words(page.find(id="f-payload-error")) == "/amount: Must be at least 0."


def test_forms_of_a_payload_carry_each_other_over(as_operator: Person, kind: str) -> None:
    sent = drawn(as_operator, f"/events/new?type={kind}") | {"p-0": "7", "p-1": NASTY}
    part = soup(as_operator.post("/events/form", sent | {"do": "mode", "to": "json"}, headers=HTMX))
    text = part.find(id="f-payload").get_text()  # type: ignore[union-attr]
    assert '"amount": 7' in text
    back = sent | {"mode": "json", "payload": text, "do": "mode", "to": "form"}
    part = soup(as_operator.post("/events/form", back, headers=HTMX))
    assert (part.find(id="f-p-0")["value"], part.find(id="f-p-1")["value"]) == ("7", NASTY)  # type: ignore[index]
    part = soup(as_operator.post("/events/form", back | {"payload": "{"}, headers=HTMX))
    assert part.find(id="f-payload").get_text().strip() == "{"  # type: ignore[union-attr]
    assert words(part.find(id="f-payload-error"))
    part = soup(as_operator.post("/events/form", sent | {"do": "add:p-2"}, headers=HTMX))
    assert part.find(id="f-p-2-0") is not None
    assert part.find(id="f-p-1")["value"] == NASTY  # type: ignore[index]


def test_naming_a_type_shows_its_form_and_what_the_catalog_says(as_operator: Person, kind: str) -> None:
    sent = drawn(as_operator, "/events/new") | {"type": kind, "do": "type"}
    part = soup(as_operator.post("/events/form", sent, headers=HTMX))
    assert part.find(id="f-p-0")["value"] == ""  # type: ignore[index]  # the example gave way
    assert "deprecated: use order.settled" in words(part.find(id="events-type-note"))
    part = soup(as_operator.post("/events/form", sent | {"payload": '{"amount": 3}'}, headers=HTMX))
    assert part.find(id="f-p-0")["value"] == "3"  # type: ignore[index]
    other = as_operator.post("/events/form", sent | {"type": "nobody.knows"}, headers=HTMX)
    assert other.headers["HX-Reswap"] == "none"  # what is typed meanwhile stays
    page = soup(as_operator.post("/events/form", sent))  # without JavaScript
    assert page.find(id="f-p-0") is not None
    assert page.find("html") is not None


def test_check_tells_what_is_wrong_and_waits_with_what_is_missing(as_operator: Person, kind: str) -> None:
    sent = drawn(as_operator, f"/events/new?type={kind}")
    assert as_operator.post("/events/check", sent, headers=HTMX).status_code == 200
    assert as_operator.post("/events/check", sent | {"told": "1"}, headers=HTMX).status_code == 422
    answer = as_operator.post("/events/check", sent | {"p-0": "x"}, headers=HTMX)
    assert "Write a number" in words(soup(answer).find(id="f-p-0-error"))
    assert answer.status_code == 422


def test_link_fills_in_and_sends_nothing(as_operator: Person, sqlite_rt: Runtime, kind: str) -> None:
    path = f"/events/new?type={kind}&payload.amount=12&payload.note=12&subject={quote('a/b')}&label.tier=gold"
    sent = drawn(as_operator, path)
    assert (sent["p-0"], sent["p-1"], sent["subject"], sent["labels"]) == ("12", "12", "a/b", "tier=gold")
    assert rows_of(sqlite_rt, tables.events) == []
    button = soup(as_operator.get(path)).select_one("[data-copy-text*='/events/new?']")
    assert button is not None
    again = drawn(as_operator, "/" + str(button["data-copy-text"]).split("/", 3)[3])
    assert {key: text for key, text in again.items() if key != "once"} == {k: t for k, t in sent.items() if k != "once"}
    long = drawn(as_operator, path) | {"p-1": "x" * 3000}
    shown = soup(as_operator.post("/events/code", long, headers=HTMX))
    assert shown.select("[data-copy-text*='/events/new?']") == []
    broken = as_operator.get(f"/events/new?type={kind}&payload.amount.5=1&payload.amount=2")
    assert broken.status_code == 422
    assert "The link cannot be read." in words(soup(broken))


def test_programs_shown_are_safe_to_paste_and_run(as_operator: Person, kind: str) -> None:
    evil = "'; rm -rf / #\u202e\"\n"
    sent = drawn(as_operator, f"/events/new?type={kind}") | {"p-0": "5", "p-1": evil, "labels": "a=b"}
    shown = soup(as_operator.post("/events/code", sent, headers=HTMX))
    program = shown.find(id="events-python").get_text()  # type: ignore[union-attr]
    assert "\u202e" not in shown.get_text()
    said: list[Any] = []
    calls = {
        "publish": lambda self, *given, **more: said.append((given, more)) or type("R", (), {"uid": "", "status": ""})
    }
    ends = {"__enter__": lambda self: self, "__exit__": lambda self, *a: None, "__init__": lambda self, *a, **k: None}
    exec(program.replace("from signalbox import Client", ""), {"Client": type("Client", (), calls | ends)})
    ((given, more),) = said
    assert given == ("order.paid", {"amount": 5, "note": evil, "open": False})
    assert more == {"source": f"web/{as_operator.name}", "version": 2, "labels": {"a": "b"}}


def test_submit_again_makes_an_unrelated_event_and_edit_names_its_cause(
    as_operator: Person, sqlite_rt: Runtime
) -> None:
    uid = make_event(sqlite_rt, type="plain.one", correlation_id="c", payload={"a": 1})
    page = soup(as_operator.get(f"/events/{uid}"))
    assert page.select(f"a[href='/events/new?like={uid}']")
    assert page.select(f"a[href='/events/new?from={uid}']")
    again, edited = drawn(as_operator, f"/events/new?like={uid}"), drawn(as_operator, f"/events/new?from={uid}")
    assert ("cause" in again, edited["cause"]) == (False, uid)
    as_operator.post("/events", again)
    row = next(one for one in rows_of(sqlite_rt, tables.events) if one.uid != uid)
    assert (row.type, row.payload, row.causation_id, row.correlation_id) == ("plain.one", '{"a":1}', None, None)


# Samples


def test_samples_are_kept_found_renamed_and_deleted(as_operator: Person, sqlite_rt: Runtime, kind: str) -> None:
    sent = drawn(as_operator, f"/events/new?type={kind}") | {"p-0": "9"}
    part = soup(as_operator.post("/samples/-/form", sent | {"sample_name": f"Big {NASTY}"}, headers=HTMX))
    assert f"Big {NASTY}" in words(part)
    again = as_operator.post("/samples/-/form", sent | {"sample_name": f"Big {NASTY}"}, headers=HTMX)
    assert again.status_code == 422
    (row,) = rows_of(sqlite_rt, tables.samples)
    assert row.event == {"type": kind, "payload": {"amount": 9, "open": False}, "source": sent["source"], "version": 2}
    assert drawn(as_operator, f"/events/new?sample={row.id}")["p-0"] == "9"
    assert "9" in soup(as_operator.get(f"/explain?sample={row.id}")).find(id="f-payload").get_text()  # type: ignore[union-attr]
    assert row.name in words(soup(as_operator.get("/samples?q=BIG")))
    assert row.id in as_operator.get("/samples/-/options").text
    assert as_operator.post(f"/samples/{row.id}/rename", {"name": "Small"}).status_code == 303
    assert "Small" in words(soup(as_operator.get(f"/samples?type={kind}")))
    assert as_operator.post(f"/samples/{row.id}/delete").status_code == 303
    assert "No samples yet" in words(soup(as_operator.get("/samples")))
    actions = [one.action for one in rows_of(sqlite_rt, tables.audit) if one.target_kind == "sample"]
    assert actions == ["sample.saved", "sample.renamed", "sample.deleted"]


def test_event_is_kept_as_a_sample(as_operator: Person, sqlite_rt: Runtime) -> None:
    uid = make_event(sqlite_rt, type="plain.one", payload={"a": 1}, labels={"x": "y"})
    assert as_operator.post(f"/samples/-/event/{uid}").status_code == 303
    (row,) = rows_of(sqlite_rt, tables.samples)
    assert (row.type, row.event["payload"], row.event["labels"]) == ("plain.one", {"a": 1}, {"x": "y"})


def test_samples_of_the_api(api: Program, as_publisher: Program, as_viewer: Person) -> None:
    draft = {"name": "One", "event": {"type": "order.paid", "payload": {"amount": 1}}}
    made = as_publisher.post("/api/v1/samples", draft)
    assert made.status_code == 201
    path = made.headers["Location"]
    assert api.get(path).json["event"] == draft["event"]  # type: ignore[index]
    assert [one["name"] for one in api.get("/api/v1/samples?type=order.paid&q=ONE").json["data"]] == ["One"]  # type: ignore[index]
    assert api.post("/api/v1/samples", draft).status_code == 422
    wrong = api.post("/api/v1/samples", {"name": "\n", "event": {"type": "X", "payload": [], "id": "1"}, "z": 1}).json
    assert wrong is not None
    assert {one["pointer"] for one in wrong["errors"]} == {"/name", "/event/type", "/event/payload", "/event/id", "/z"}
    assert as_publisher.send("DELETE", path).status_code == 403
    assert api.send("DELETE", path).status_code == 204
    assert api.get(path).status_code == 404
    assert as_viewer.post("/samples/-/form", {"sample_name": "x"}).status_code == 403
