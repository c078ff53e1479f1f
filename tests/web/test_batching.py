"""Batches as people and programs see them: asked for, refused, waited for, shown and retried as one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.factories import rows_of
from tests.support.pages import soup, words
from tests.support.people import HTMX, Person, Program
from tests.support.work import claim_all, finish_all
from webapp.domain.outcomes import Discard
from webapp.runtime import Runtime
from webapp.services import gatekeeper
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.store import tables as t

BATCH = {"size": 2, "wait": "10m", "key": "{data.customer}"}
RULE = {"name": "Receipts", "pattern": "order.*", "handler": "shop.lists", "policies": {"batch": BATCH}}

RETRY = {"retry_mode": "exponential", "max_attempts": "3", "base": "1s", "factor": "2", "cap": "1m"}


@pytest.fixture(autouse=True)
def handlers(sqlite_rt: Runtime) -> None:
    register_handlers(sqlite_rt, [HandlerInfo("shop.lists", batches=True), HandlerInfo("shop.one")])


def order(api: Program, customer: str = "ada") -> Any:
    answer = api.post("/api/v1/events", {"type": "order.paid", "source": "shop", "payload": {"customer": customer}})
    assert answer.status_code == 202, answer.json
    return answer.json["deliveries"][0]["id"]


def test_batch_is_refused_for_a_handler_that_takes_no_lists(api: Program) -> None:
    answer = api.post("/api/v1/subscriptions", RULE | {"handler": "shop.one"})
    assert answer.status_code == 422
    [error] = answer.json["errors"]
    assert error["pointer"] == "/policies/batch"
    assert "shop.lists" in error["message"]


def test_events_are_collected_by_key_and_the_answer_says_so(api: Program, sqlite_rt: Runtime) -> None:
    assert api.post("/api/v1/subscriptions", RULE).status_code == 201
    first = order(api)
    other = order(api, "ben")
    waits = api.get(f"/api/v1/deliveries/{first}").json["waiting_for"]
    assert (waits["kind"], waits["used"], waits["limit"], waits["key"]) == ("batch", 1, 2, "ada")
    assert waits["until"].startswith("2026-03-02T12:10")
    second = order(api)
    gatekeeper.admit(sqlite_rt)
    found = api.get(f"/api/v1/deliveries/{second}").json
    assert [one["id"] for one in found["batch"]] == [first, second]
    assert found["batch_id"] == first
    assert api.get(f"/api/v1/deliveries/{other}").json["batch"] == []


def test_retry_answers_with_the_whole_batch(api: Program, sqlite_rt: Runtime) -> None:
    api.post("/api/v1/subscriptions", RULE)
    ids = _dead(api, sqlite_rt)
    answer = api.post(f"/api/v1/deliveries/{ids[1]}/retry").json
    assert [(one["id"], one["state"]) for one in answer["batch"]] == [(id, "pending") for id in ids]


def _dead(api: Program, rt: Runtime) -> list[str]:
    ids = [order(api), order(api)]
    gatekeeper.admit(rt)
    [call] = claim_all(rt)
    finish_all(rt, list(call.members), Discard("no"))
    return ids


def test_page_shows_the_batch_and_says_what_retry_does(api: Program, as_operator: Person, sqlite_rt: Runtime) -> None:
    api.post("/api/v1/subscriptions", RULE)
    ids = _dead(api, sqlite_rt)
    page = soup(as_operator.get(f"/deliveries/{ids[0]}"))
    assert "Batch of 2" in words(page)
    assert [link["href"] for link in page.select(".batch-members a")] == [f"/deliveries/{ids[1]}"]
    said = as_operator.post(f"/deliveries/{ids[0]}/retry", {}, headers=HTMX)
    assert "2 deliveries" in said.headers["HX-Trigger"] + said.get_data(as_text=True)
    assert {row.state for row in rows_of(sqlite_rt, t.deliveries)} == {"pending"}


def test_page_of_one_that_waits_says_for_how_many_and_how_long(
    api: Program, signed_in: Person, sqlite_rt: Runtime
) -> None:
    api.post("/api/v1/subscriptions", RULE)
    page = words(soup(signed_in.get(f"/deliveries/{order(api)}")))
    assert "waits for a batch: 1 of 2 for ada , until 12:10:00" in page


def test_form_keeps_a_batch_and_the_page_says_it_in_words(as_operator: Person, sqlite_rt: Runtime) -> None:
    form = {"name": "Receipts", "pattern": "order.*", "handler": "shop.lists", "timeout": "30s"} | RETRY
    fields = {"p.batch.size": "5", "p.batch.wait": "30s", "p.batch.key": "{data.customer}"}
    wrong = soup(as_operator.post("/subscriptions", form | fields | {"handler": "shop.one"}, headers=HTMX))
    assert "takes one event at a time" in words(wrong)
    as_operator.post("/subscriptions", form | fields, headers=HTMX)
    [row] = rows_of(sqlite_rt, t.subscriptions)
    assert row.policies == {"batch": {"size": 5, "wait": "30s", "key": "{data.customer}"}}
    page = words(soup(as_operator.get(f"/subscriptions/{row.id}")))
    assert "up to 5 events per {data.customer} in one call" in page
    edit = soup(as_operator.get(f"/subscriptions/{row.id}/edit"))
    assert edit.select_one("[name='p.batch.size']")["value"] == "5"  # type: ignore[index]
