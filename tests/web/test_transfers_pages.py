"""The pages and the API of exports: from a list to its file."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.services.test_exports import finish
from tests.services.test_imports import finish as imports_finish
from tests.support.clock import Clock
from tests.support.factories import make_event
from tests.support.markup import by_id, soup, without_tokens, words
from tests.support.people import HTMX, Person, Program, add_person, add_program
from webapp.runtime import Runtime
from webapp.services import export_work


def begin(person: Person, **fields: str) -> str:
    answer = person.post("/transfers", {"what": "events", "format": "ndjson"} | fields)
    assert answer.status_code == 303, answer.text[:300]
    return answer.headers["Location"]


@pytest.mark.parametrize(
    ("here", "filter"),
    [
        ("/events?type=order.*&since=24h", {"type": "order.*", "since": "now-24h"}),
        ("/events?start=2026-01-01T00:00", {"since": "2026-01-01T00:00:00Z"}),
        ("/audit?action=export.", {"action": "export."}),
    ],
)
def test_a_list_leads_to_an_export_of_all_that_it_shows(
    here: str, filter: dict[str, str], as_operator: Person, sqlite_rt: Runtime
) -> None:
    make_event(sqlite_rt, type="order.paid")
    begin(as_operator)
    [link] = soup(as_operator.get(here)).select(".export-line a")
    form = by_id(soup(as_operator.get(str(link["href"]))), "transfer-form")
    sent = {str(one["name"]): str(one["value"]) for one in form.select("input[type=hidden]")}
    del sent["csrf_token"]
    assert sent.pop("what") == here[1:].partition("?")[0]
    assert sent == filter
    begin(as_operator, what="audit" if "audit" in here else "events", **filter)


def test_from_the_form_to_the_file(as_operator: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    for _ in range(150):
        make_event(sqlite_rt, type="order.paid")
    there = begin(as_operator, type="order.*", payloads="yes")
    assert "Counting: 0 so far" in words(soup(as_operator.get(there)))
    for _ in range(2):
        clock.advance(seconds=2)
        export_work.advance(sqlite_rt, "beat-1", 0.0)
    page = soup(as_operator.get(there))
    work = page.select_one("[data-work]")
    assert work is not None
    assert (work["data-percent"], work["data-state"]) == ("66", "running")
    assert "66 % 100 of 150 events 50 a second less than 10 s left" in words(page)
    part = soup(as_operator.part(there))
    assert without_tokens(by_id(part, "transfer-body")) == without_tokens(by_id(page, "transfer-body"))
    finish(sqlite_rt, clock)
    page = soup(as_operator.get(there))
    assert "150 of 150 events" in words(page)
    [link] = page.select("a[download]")
    file = as_operator.get(str(link["href"]))
    assert file.headers["Content-Disposition"].startswith('attachment; filename="signalbox-events-')
    assert file.headers["Content-Type"] == "application/x-ndjson"
    assert len(file.text.splitlines()) == 150
    assert "150 of 150 events" in words(soup(as_operator.get("/transfers")))
    assert as_operator.post(f"{there}/discard").status_code == 303
    assert as_operator.get(f"{there}/file").status_code == 409


def test_others_see_it_and_get_nothing(
    as_operator: Person, as_viewer: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    there = begin(as_operator)
    finish(sqlite_rt, clock)
    page = soup(as_viewer.get(there))
    assert page.select(f"form[action^='{there}'], a[download]") == []
    assert as_viewer.get(f"{there}/file").status_code == 403
    assert as_viewer.post(f"{there}/discard", headers=HTMX).status_code == 403


def test_the_form_names_what_is_wrong(as_operator: Person) -> None:
    answer = as_operator.post("/transfers", {"what": "events", "status": "good"})
    assert answer.status_code == 422
    assert "Choose one of" in words(soup(answer, 422))


def test_the_api_begins_follows_and_fetches(app: Flask, api: Program, sqlite_rt: Runtime, clock: Clock) -> None:
    make_event(sqlite_rt, subject="=1+1")
    answer = api.post("/api/v1/exports", {"what": "events", "filter": {"type": "order.*"}})
    assert answer.status_code == 202
    made = answer.json
    assert made is not None
    assert (made["state"], made["counting"], made["progress"]["percent"]) == ("running", True, None)
    there = answer.headers["Location"]
    assert api.get(f"{there}/file").status_code == 409
    assert [api.post(f"{there}/{verb}").json["state"] for verb in ("pause", "resume")] == ["paused", "running"]  # type: ignore[index]
    finish(sqlite_rt, clock)
    row = api.get(there).json
    assert row is not None
    assert (row["state"], row["done"], row["progress"]["percent"]) == ("done", 1, 100)
    file = api.get(row["links"]["file"])
    assert (file.mimetype, "'=1+1" in file.text, len(file.data)) == ("text/csv", True, row["bytes"])
    other = add_program(app, "viewer")
    assert other.get(row["links"]["file"]).status_code == 403
    assert [one["id"] for one in api.get("/api/v1/exports").json["data"]] == [row["id"]]  # type: ignore[index]
    assert api.send("DELETE", row["links"]["file"]).status_code == 204
    assert api.post(f"{there}/abort").status_code == 409
    assert api.get("/api/v1/exports/exp_none").status_code == 404


def test_the_api_imports_a_file_and_tells_what_is_wrong(
    app: Flask, api: Program, sqlite_rt: Runtime, clock: Clock
) -> None:
    body = b'{"type": "order.paid"}\nnot json\n'
    answer = api.send("POST", "/api/v1/imports", data=body, content_type="application/x-ndjson")
    assert answer.status_code == 202, answer.text
    there = answer.headers["Location"]
    assert [api.post(f"{there}/{verb}").json["state"] for verb in ("pause", "resume")] == ["paused", "running"]  # type: ignore[index]
    imports_finish(sqlite_rt, clock)
    row = api.get(there).json
    assert row is not None
    assert (row["state"], row["done"], row["failed"], row["progress"]["percent"]) == ("done", 1, 1, 100)
    assert [one["line"] for one in api.get(row["links"]["faults"]).json["data"]] == [2]  # type: ignore[index]
    assert [one["id"] for one in api.get("/api/v1/imports").json["data"]] == [row["id"]]  # type: ignore[index]
    assert api.get(f"/api/v1/exports/{row['id']}").status_code == 404
    assert api.post(f"{there}/abort").status_code == 409
    assert api.send("POST", "/api/v1/imports", data=b"\n", content_type="application/x-ndjson").status_code == 422
    assert add_program(app, "viewer").send("POST", "/api/v1/imports", data=body).status_code == 403
    page = soup(add_person(app, "vera", "viewer").get(row["links"]["page"]))
    assert "1 new, 0 known already, 1 refused" in words(page)
    assert "line 2" in words(page)
