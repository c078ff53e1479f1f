"""The history of a subscription and what the transform in the form makes, as people see them."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.support import factories as make
from tests.support.markup import soup, words
from tests.support.people import Person, add_person
from webapp.domain.access import Actor
from webapp.domain.subscriptions import parse_subscription
from webapp.runtime import Runtime
from webapp.services import subscriptions as service
from webapp.services.catalog import HandlerInfo, known_handlers, register_handlers
from webapp.store import tables

ADA = Actor("user", "usr_9", "ada", "developer")
FORM = {
    "name": "Paid",
    "pattern": "order.*",
    "handler": "hook",
    "retry_mode": "exponential",
    "max_attempts": "8",
    "base": "5s",
    "factor": "2",
    "cap": "1h",
}


@pytest.fixture
def rule(sqlite_rt: Runtime) -> str:
    schema = {"type": "object", "properties": {"pin": {"type": "string", "x-sensitive": True}}}
    register_handlers(sqlite_rt, [HandlerInfo("hook", options_schema=schema)])
    made = service.create(sqlite_rt, ADA, _draft(sqlite_rt))
    changed = _draft(sqlite_rt, condition={"field": "data.n", "op": "gt", "value": 1}, options={"pin": "2222"})
    service.update(sqlite_rt, ADA, made, changed, note="<b>only large</b>")
    return made


def _draft(rt: Runtime, **fields: Any) -> Any:
    document = {"name": "Paid", "pattern": "order.*", "handler": "hook", "options": {"pin": "1111"}}
    return parse_subscription(document | fields, known_handlers(rt))


def test_history_says_who_changed_what_and_hides_what_is_sensitive(signed_in: Person, rule: str) -> None:
    page = signed_in.get(f"/subscriptions/{rule}/history")
    text = words(soup(page))
    assert "From version 1 to 2" in text
    assert "updated <b>only large</b>" in text
    assert '+ { + "field": "data.n",' in text
    assert "What differs is hidden." in text
    assert "1111" not in page.text
    assert "2222" not in page.text
    assert "They do not differ." in words(soup(signed_in.get(f"/subscriptions/{rule}/history?from=2&to=2")))
    assert "The first version" in words(soup(signed_in.get(f"/subscriptions/{rule}/history?to=1")))
    assert signed_in.get(f"/subscriptions/{rule}/history?from=7").status_code == 404
    assert "History" in words(soup(signed_in.get(f"/subscriptions/{rule}")))


def test_version_is_restored_unless_somebody_was_faster(
    signed_in: Person, app: Flask, sqlite_rt: Runtime, rule: str
) -> None:
    stale = signed_in.post(f"/subscriptions/{rule}/restore", {"version": "1", "revision": "1"})
    assert stale.status_code == 409
    assert signed_in.post(f"/subscriptions/{rule}/restore", {"version": "x"}).status_code == 404
    assert signed_in.post(f"/subscriptions/{rule}/restore", {"version": "1", "revision": "2"}).status_code == 303
    row = make.row_of(sqlite_rt, tables.subscriptions, rule)
    assert (row.condition, row.options, row.revision) == (None, {"pin": "1111"}, 3)
    viewer = add_person(app, "vera", "viewer")
    assert ">Restore<" not in viewer.get(f"/subscriptions/{rule}/history").text
    assert "shown to those who operate" in viewer.get(f"/subscriptions/{rule}/history").text
    assert viewer.post(f"/subscriptions/{rule}/restore", {"version": "1", "revision": "3"}).status_code == 403


def test_rule_without_versions_says_so(signed_in: Person, sqlite_rt: Runtime) -> None:
    old = make.make_subscription(sqlite_rt)
    assert "No versions are kept yet" in signed_in.get(f"/subscriptions/{old}/history").text
    assert signed_in.get("/subscriptions/sub_none/history").status_code == 404


def test_transform_is_saved_from_the_form_and_shown_as_a_step(signed_in: Person, sqlite_rt: Runtime, rule: str) -> None:
    shape = '{"payload": {"n": "{data.n}"}, "type": "x"}'
    form = FORM | {"transform": shape, "note": "smaller", "revision": "2", "options": "{}"}
    saved = signed_in.post(f"/subscriptions/{rule}", form)
    assert saved.status_code == 303, words(soup(saved).select_one(".error-summary"))
    row = make.row_of(sqlite_rt, tables.subscriptions, rule)
    assert row.transform == {"payload": {"n": "{data.n}"}, "type": "x"}
    assert "Transform makes the payload, type Handler hook" in words(soup(signed_in.get(f"/subscriptions/{rule}")))
    assert "{data.n}" in soup(signed_in.get(f"/subscriptions/{rule}/edit")).select_one("#f-transform").text  # type: ignore[union-attr]
    assert make.rows_of(sqlite_rt, tables.subscription_versions)[-1].note == "smaller"
    wrong = signed_in.post(f"/subscriptions/{rule}", form | {"transform": '{"payload": {"n": "{data.n"}}'})
    assert wrong.status_code == 422
    assert "At /payload/n: A brace is open" in wrong.text


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "The event as it came."),
        ({"transform": '{"payload": {"n": "{data.amount}"}}'}, '"n" : 900'),
        ({"transform": '{"payload": {"n": "{data.amount}"}}', "sample": '{"amount": 7}'}, '"n" : 7'),
        ({"transform": '{"payload": {"n": "{data.amount}"}}', "sample": "7"}, "A payload is an object."),
        ({"transform": '{"payload": {"n": "{data.none}"}}'}, "/payload/n: data.none is missing"),
        ({"transform": '{"payload": {"n": {"$jmespath": "["}}}'}, "/transform/payload/n/$jmespath"),
        ({"transform": "{"}, "The transform cannot be used"),
    ],
)
def test_preview_shows_what_the_handler_would_be_given(
    signed_in: Person, sqlite_rt: Runtime, fields: dict[str, str], shown: str
) -> None:
    make.make_event(sqlite_rt, payload={"amount": 900})
    assert shown in words(soup(signed_in.post("/subscriptions/transform", FORM | fields)))
