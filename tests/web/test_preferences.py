"""What a person chose about pages: kept with the account, in the first byte of the page, and never anybody else's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from bs4 import Tag
from flask import Flask

from tests.support.factories import make_event, row_of
from tests.support.markup import soup
from tests.support.people import HTMX, Person
from webapp.runtime import Runtime
from webapp.store import tables
from webapp.web import filters

AT = datetime(2026, 7, 1, 22, 30, 5, 412_000, tzinfo=UTC)


def _root(person: Person) -> Tag:
    found = soup(person.get("/events")).html
    assert found is not None
    return found


def test_choice_is_in_the_html_and_with_the_account(app: Flask, sqlite_rt: Runtime, signed_in: Person) -> None:
    assert "data-theme" not in _root(signed_in).attrs
    assert signed_in.post("/preferences", {"theme": "dark", "density": "compact"}, headers=HTMX).status_code == 204
    assert (_root(signed_in)["data-theme"], _root(signed_in)["data-density"]) == ("dark", "compact")
    assert row_of(sqlite_rt, tables.users, signed_in.user_id).preferences == {"theme": "dark", "density": "compact"}
    assert _root(Person(app, signed_in.user_id))["data-theme"] == "dark"  # another browser of theirs


def test_choice_of_one_is_not_that_of_the_next_in_the_same_browser(signed_in: Person, as_viewer: Person) -> None:
    signed_in.post("/preferences", {"theme": "dark"})
    left = signed_in.client.get_cookie("signalbox-view")
    assert left is not None
    as_viewer.client.set_cookie("signalbox-view", left.value)
    assert "data-theme" not in _root(as_viewer).attrs


def test_what_is_not_sent_stays(signed_in: Person) -> None:
    signed_in.post("/preferences", {"theme": "light"})
    signed_in.post("/preferences", {"density": "compact"})
    assert (_root(signed_in)["data-theme"], _root(signed_in)["data-density"]) == ("light", "compact")


@pytest.mark.parametrize(
    "sent", [{"theme": "pink"}, {"zone": "../etc/passwd"}, {"zone": "Mars/Olympus"}, {"times": "<b>"}]
)
def test_unknown_choice_is_refused(signed_in: Person, sent: dict[str, str]) -> None:
    assert signed_in.post("/preferences", sent, headers=HTMX).status_code == 422


@pytest.mark.parametrize("cookie", ["theme=%22%3E%3Cscript%3E", "zone=../../x&times=9", "&&&==", "theme=dark" * 200])
def test_forged_cookie_does_no_harm(stranger: Person, cookie: str) -> None:
    stranger.client.set_cookie("signalbox-view", cookie)
    page = stranger.get("/sign-in")
    assert page.status_code == 200
    assert "<script>" not in page.text


def test_times_are_told_as_chosen(sqlite_rt: Runtime, signed_in: Person) -> None:
    make_event(sqlite_rt, received_at=AT)
    times = "main tbody time"
    assert "data-ago" in soup(signed_in.get("/events")).select(times)[0].attrs
    answer = signed_in.post("/preferences", {"times": "local", "zone": "Europe/Berlin"}, headers=HTMX)
    assert answer.headers["HX-Refresh"] == "true"
    shown = soup(signed_in.get("/events")).select(times)[0]
    assert shown["title"] == "2026-07-02 00:30:05.412 CEST"
    assert ("data-ago" in shown.attrs, "00:30:05" in shown.text) == (False, True)
    signed_in.post("/preferences", {"times": "utc"})
    assert soup(signed_in.get("/events")).select(times)[0]["title"] == "2026-07-01 22:30:05.412 UTC"


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        (datetime(2026, 7, 2, 9, tzinfo=UTC), "00:30:05"),
        (datetime(2026, 7, 3, 9, tzinfo=UTC), "2 Jul, 00:30:05"),
        (datetime(2027, 7, 2, 9, tzinfo=UTC), "2 Jul 2026, 00:30:05"),
    ],
)
def test_stamp_says_as_little_as_is_needed(now: datetime, shown: str) -> None:
    assert filters.stamp(AT, now, "Europe/Berlin") == shown
