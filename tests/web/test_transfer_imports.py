"""The form that imports a file: what it takes, what it refuses beside the field, and that no other form takes a file."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.services.test_imports import finish
from tests.support.clock import Clock
from tests.support.factories import rows_of
from tests.support.markup import soup, unsafe, words
from tests.support.people import Person, add_person
from webapp.app import create_app
from webapp.runtime import Runtime
from webapp.store import tables
from webapp.web.uploads import DRAINED

LINE = b'{"type": "order.paid", "payload": {"n": 1}}\n'


def send(person: Person, body: bytes = LINE, name: str = "events.ndjson", **fields: Any) -> TestResponse:
    return person.post("/transfers/import", {"file": (io.BytesIO(body), name), **fields})


def refusal(answer: TestResponse, status: int, field: str = "file") -> str:
    """What stands beside the field, which the summary leads to."""
    page = soup(answer, status)
    control, slot = page.select_one(f"#f-{field}"), page.select_one(f"#f-{field}-error")
    assert control is not None
    assert slot is not None
    assert control["aria-invalid"] == "true"
    assert page.select_one(f".error-summary a[href='#f-{field}']")
    return words(slot)


def test_a_file_comes_in_is_followed_and_all_that_was_refused_is_fetched(
    as_operator: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    assert [str(one["href"]) for one in soup(as_operator.get("/transfers")).select(".head-actions a")] == [
        "/transfers/import",
        "/transfers/new",
    ]
    bad = b'{"type": "=NO"}\n' * 250
    answer = send(as_operator, LINE + bad + b"\n" + LINE, name="C:\\till\\<b>today</b>.ndjson")
    assert answer.status_code == 303, answer.text
    there = answer.headers["Location"]
    assert soup(as_operator.get(there)).select("[data-state=running] progress")
    finish(sqlite_rt, clock)
    page = soup(as_operator.get(there))
    assert unsafe(page) == []
    assert "2 new, 0 known already, 250 refused" in words(page)
    assert "b>.ndjson" in words(page)
    assert "line 2" in words(page)
    assert "The first 50 of 250" in words(page)
    [link] = page.select("a[download]")
    file = as_operator.get(str(link["href"]))
    assert (file.mimetype, file.headers["Content-Disposition"].split(";")[0]) == ("text/csv", "attachment")
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [int(row["line"]) for row in rows] == list(range(2, 252))
    assert all("/type" in row["message"] for row in rows)
    events = rows_of(sqlite_rt, tables.events)
    assert {(row.source, row.received_by) for row in events} == {
        (f"web/{as_operator.name}", f"user:{as_operator.user_id}")
    }
    [started] = [row for row in rows_of(sqlite_rt, tables.audit) if row.action == "import.started"]
    assert (started.actor_id, started.target_id) == (as_operator.user_id, there.rpartition("/")[2])


@pytest.mark.parametrize("how", ["gzip", "pasted", "plain form"])
def test_the_same_lines_are_the_same_file_however_they_come(
    as_operator: Person, sqlite_rt: Runtime, clock: Clock, how: str
) -> None:
    send(as_operator, LINE * 3)
    text = (LINE * 3).decode().replace("\n", "\r\n")
    answer = {
        "gzip": lambda: send(as_operator, gzip.compress(LINE * 3), name="events.ndjson.gz"),
        "pasted": lambda: as_operator.post("/transfers/import", {"lines": text}, content_type="multipart/form-data"),
        "plain form": lambda: as_operator.post("/transfers/import", {"lines": text}),
    }[how]()
    assert answer.status_code == 303, answer.text
    finish(sqlite_rt, clock)
    first, again = sorted(rows_of(sqlite_rt, tables.transfers), key=lambda row: row.id)
    assert (first.digest, first.done, again.done, again.skipped) == (again.digest, 3, 0, 3)


def test_what_cannot_be_imported_is_told_beside_the_field(as_operator: Person, sqlite_rt: Runtime) -> None:
    assert "Choose a file" in refusal(as_operator.post("/transfers/import", {"lines": " \r\n"}), 422)
    assert "Choose a file" in refusal(send(as_operator, name=""), 422)  # what browsers send when none was chosen
    assert "no lines" in refusal(send(as_operator, b"\n\n"), 422)
    assert "gzip file is broken" in refusal(send(as_operator, gzip.compress(LINE * 9)[:-9]), 422)
    both = send(as_operator, lines="<textarea></textarea>{}")
    assert "not both" in refusal(both, 422)
    [box] = soup(both, 422).select("#f-lines")
    assert box.text.strip() == "<textarea></textarea>{}"
    assert rows_of(sqlite_rt, tables.transfers) == []


def test_what_is_too_large_is_refused_in_the_form_and_kept_nowhere(
    make_runtime: Callable[..., Runtime], sqlite_url: str
) -> None:
    rt = make_runtime(sqlite_url, max_batch_bytes=4_096)
    person = add_person(create_app(runtime=rt), "olga", "operator")
    bomb = gzip.compress(b" " * 200_000)
    assert len(bomb) < 4_096
    assert "Unpacked" in refusal(send(person, bomb), 413)
    assert "4.0 KiB" in refusal(send(person, b"x" * 5_000), 413)
    assert "4.0 KiB" in refusal(send(person, b"x" * 200_000), 413)
    assert "4.0 KiB" in refusal(person.post("/transfers/import", {"lines": "x" * 5_000}), 413, "lines")
    huge = {"CONTENT_LENGTH": str(DRAINED + 1)}
    kind = "multipart/form-data; boundary=b"
    answer = person.client.post("/transfers/import", data=b"--b", content_type=kind, environ_overrides=huge)
    assert "4.0 KiB" in refusal(answer, 413)
    assert send(person, LINE.ljust(4_096)).status_code == 303
    assert len(rows_of(rt, tables.transfers)) == 1


def test_only_who_may_publish_gets_in_with_a_token_and_no_other_form_takes_a_file(
    app: Flask, as_operator: Person, as_viewer: Person, sqlite_rt: Runtime
) -> None:
    assert not soup(as_viewer.get("/transfers")).select("a[href='/transfers/import']")
    assert (as_viewer.get("/transfers/import").status_code, send(as_viewer).status_code) == (403, 403)
    assert send(as_operator, csrf_token="x").status_code == 403
    elsewhere = as_operator.post("/transfers", {"what": "events", "file": (io.BytesIO(LINE), "x")})
    assert (elsewhere.status_code, "Unexpected file" in elsewhere.text) == (400, True)
    assert rows_of(sqlite_rt, tables.transfers) == []
    there = send(as_operator).headers["Location"]
    assert as_viewer.get(f"{there}/faults").text == "line,message\r\n"
    assert as_viewer.post(f"{there}/abort").status_code == 403
    begun = as_operator.post("/transfers", {"what": "events"}).headers["Location"]
    assert as_operator.get(f"{begun}/faults").status_code == 404


def test_who_has_enough_under_way_is_told_in_both_forms(as_operator: Person) -> None:
    for _ in range(5):
        assert send(as_operator).status_code == 303
    for answer in (send(as_operator), as_operator.post("/transfers", {"what": "events"})):
        assert "under way" in words(soup(answer, 409).select_one("form.form"))
