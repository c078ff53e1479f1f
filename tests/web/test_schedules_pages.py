"""Schedules over their two surfaces: the pages and the API."""

from __future__ import annotations

from typing import Any

from tests.support.factories import row_of, rows_of
from tests.support.markup import by_id, soup, words
from tests.support.people import Person, Program
from webapp.runtime import Runtime
from webapp.store import tables

FORM = {
    "name": "Nightly report", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "type": "report.due",
    "source": "clock", "payload": '{"kind": "full"}', "labels": "team=ops", "catch_up": "skip", "revision": "",
}  # fmt: skip


def test_create_edit_pause_run_and_delete_in_the_pages(as_operator: Person, sqlite_rt: Runtime) -> None:
    answer = as_operator.post("/schedules", FORM)
    (row,) = rows_of(sqlite_rt, tables.schedules)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/schedules/{row.id}")
    assert (row.time_zone, row.payload, row.labels, row.catch_up) == (
        "Europe/Berlin", '{"kind":"full"}', {"team": "ops"}, "skip",
    )  # fmt: skip
    page = soup(as_operator.get(f"/schedules/{row.id}"))
    assert len(by_id(page, "schedules-ticks").select("li")) == 5
    assert "02:30" in words(by_id(page, "schedules-ticks"))
    form = soup(as_operator.get(f"/schedules/{row.id}/edit"))
    assert by_id(form, "f-cron")["value"] == "30 2 * * *"
    as_operator.post(f"/schedules/{row.id}", FORM | {"name": "Renamed", "revision": "1"})
    assert row_of(sqlite_rt, tables.schedules, row.id).name == "Renamed"
    assert as_operator.post(f"/schedules/{row.id}", FORM | {"revision": "1"}).status_code == 409
    as_operator.post(f"/schedules/{row.id}/pause", {})
    assert "it does not tick" in words(soup(as_operator.get(f"/schedules/{row.id}")))
    as_operator.post(f"/schedules/{row.id}/resume", {})
    there = as_operator.post(f"/schedules/{row.id}/run", {}).headers["Location"]
    (event,) = rows_of(sqlite_rt, tables.events)
    assert there == f"/events/{event.uid}"
    assert "Renamed" in words(by_id(soup(as_operator.get("/schedules")), f"schedule-{row.id}"))
    as_operator.post(f"/schedules/{row.id}/delete", {})
    assert as_operator.get(f"/schedules/{row.id}").status_code == 404


def test_form_comes_back_with_its_faults(as_operator: Person, sqlite_rt: Runtime) -> None:
    broken = FORM | {"name": "", "cron": "every day", "time_zone": "Mars", "payload": "{", "labels": "x"}
    page = soup(as_operator.post("/schedules", broken), 422)
    marked = {tag["name"] for tag in page.select("[aria-invalid]")}
    assert marked == {"name", "cron", "time_zone", "payload", "labels"}
    assert rows_of(sqlite_rt, tables.schedules) == []


def test_preview_tells_when_it_would_tick_or_why_not(as_operator: Person) -> None:
    good = soup(as_operator.get("/schedules/ticks?cron=0+8+*+*+1&time_zone=Asia/Tokyo"))
    assert [words(tag)[:3] for tag in good.select("li > time:first-of-type")] == ["Mon"] * 5
    assert "Mon" not in words(soup(as_operator.get("/schedules/ticks?cron=0+8+*&time_zone=UTC")))
    hostile = as_operator.get("/schedules/ticks?cron=<script>&time_zone=<b>").text
    assert "<script>" not in hostile


def test_viewer_sees_schedules_but_does_not_change_them(as_viewer: Person) -> None:
    assert "No schedules yet" in words(soup(as_viewer.get("/schedules")))
    assert as_viewer.get("/schedules/new").status_code == 403
    assert as_viewer.post("/schedules", FORM).status_code == 403


def test_api_creates_replaces_runs_and_deletes(api: Program, sqlite_rt: Runtime) -> None:
    draft: dict[str, Any] = {"name": "Nightly", "cron": "@daily", "type": "report.due", "payload": {"a": 1}}
    made = api.post("/api/v1/schedules", draft)
    assert made.status_code == 201
    schedule = made.json
    assert (schedule["time_zone"], schedule["state"], len(schedule["next"])) == ("UTC", "active", 5)
    url = schedule["links"]["self"]
    changed = api.send("PUT", url, draft | {"cron": "@hourly"}, headers={"If-Match": made.headers["ETag"]})
    assert changed.json["cron"] == "@hourly"
    stale = api.send("PUT", url, draft, headers={"If-Match": made.headers["ETag"]})
    assert (stale.status_code, stale.content_type) == (412, "application/problem+json")
    assert api.post(f"{url}/pause").json["next"] == []
    assert api.post(f"{url}/pause").status_code == 409
    assert api.post(f"{url}/resume").json["state"] == "active"
    ran = api.post(f"{url}/run")
    assert (ran.status_code, ran.json["event"]) == (202, rows_of(sqlite_rt, tables.events)[0].uid)
    assert [one["id"] for one in api.get("/api/v1/schedules").json["data"]] == [schedule["id"]]
    assert api.send("DELETE", url).status_code == 204
    assert api.get(url).status_code == 404


def test_api_names_every_fault(api: Program) -> None:
    answer = api.post("/api/v1/schedules", {"cron": "x", "what": 1})
    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json["errors"]} == {"/what", "/name", "/cron", "/type"}
