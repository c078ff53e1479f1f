"""Explaining over HTTP: an event that is only imagined, and one that was stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, rows_of
from tests.support.people import Program, add_program
from tests.support.schemas import faults
from webapp.runtime import Runtime
from webapp.store import tables

EXPLAIN = "/api/v1/explain"
BIG: dict[str, Any] = {"field": "data.amount", "op": "gt", "value": 500}


def _one(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    (only,) = answer.json["candidates"]
    return only


def test_imagined_event_is_explained_and_not_stored(api: Program, sqlite_rt: Runtime) -> None:
    big = make_subscription(sqlite_rt, name="Big", pattern="order.*", condition=BIG)
    make_subscription(sqlite_rt, name="Users", pattern="user.*")
    answer = api.post(EXPLAIN, {"type": "order.paid", "payload": {"amount": 129.5}})
    one = _one(answer)
    assert (one["subscription"]["id"], one["pattern"], one["matched"], one["would"]) == (big, "order.*", False, "skip")
    assert one["failed"]["message"] == "data.amount > 500 was 129.5"
    assert [clause["actual"] for clause in one["clauses"]] == [129.5]
    assert one["happened"] is None
    document = answer.json
    assert document is not None
    assert (document["total"], document["matched"]) == (1, 0)
    assert (document["event"]["uid"], document["event"]["source"]) == (None, "tests-admin")
    assert rows_of(sqlite_rt, tables.events) == rows_of(sqlite_rt, tables.deliveries) == []


def test_subscription_that_does_not_listen_can_be_asked_for(api: Program, sqlite_rt: Runtime) -> None:
    users, uid = make_subscription(sqlite_rt, pattern="user.*"), make_event(sqlite_rt, type="order.paid")
    for answer in (
        api.post(f"{EXPLAIN}?subscription={users}", {"type": "order.paid"}),
        api.get(f"/api/v1/events/{uid}/explain?subscription={users}"),
    ):
        one = _one(answer)
        assert (one["pattern_fits"], one["would"], one["failed"]["reason"]) == (False, "skip", "pattern")
    assert api.post(f"{EXPLAIN}?subscription=sub_no", {"type": "order.paid"}).status_code == 404


def test_stored_event_tells_what_happened_and_what_would(api: Program, sqlite_rt: Runtime, clock: Clock) -> None:
    uid, ran = make_event(sqlite_rt, id="o-1", payload={"amount": 1}), make_subscription(sqlite_rt, name="Ran")
    delivery = make_delivery(sqlite_rt, uid, ran, state="succeeded")
    clock.advance(hours=1)
    make_subscription(sqlite_rt, name="Late", paused_at=clock())
    answer = api.get("/api/v1/events/o-1/explain?source=tests")
    assert answer.status_code == 200
    ran_there, late = answer.json["candidates"]  # type: ignore[index]
    assert ran_there["happened"]["delivery_id"] == delivery
    assert (late["would"], late["note"]) == (
        "held", "did not exist yet; today it would be held, because it is paused",
    )  # fmt: skip
    assert api.get("/api/v1/events/nothing/explain").status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b'{"type": "Order Paid"}', 422, "/type"),
        (b'{"type": "a", "payload": []}', 422, "/payload"),
        (b'{"type": "a", "colour": 1}', 422, "/colour"),
        (b'{"type": "a", "payload": {"n": 9007199254740993}}', 422, "/payload/n"),
        (b"[]", 422, ""),
        (b'{"type": "a", "type": "b"}', 400, "/type"),
        (b"{", 400, ""),
    ],
)
def test_bad_input_is_refused_exactly_as_when_it_is_published(
    api: Program, sqlite_rt: Runtime, body: bytes, status: int, pointer: str
) -> None:
    refused, as_published = (api.send("POST", path, data=body) for path in (EXPLAIN, "/api/v1/events"))
    assert (refused.status_code, refused.mimetype) == (status, "application/problem+json")
    assert refused.json["errors"][0]["pointer"] == pointer  # type: ignore[index]
    changing = ("instance", "request_id", "trace_id")
    bare = [{k: v for k, v in json.loads(one.text).items() if k not in changing} for one in (refused, as_published)]
    assert bare[0] == bare[1]


def test_refused_explanations_leave_no_trace(api: Program, sqlite_rt: Runtime) -> None:
    api.send("POST", EXPLAIN, data=b"{")
    assert "event.refused" not in {row.action for row in rows_of(sqlite_rt, tables.audit)}


def test_explaining_needs_the_right_to_read(app: Flask, as_publisher: Program) -> None:
    assert as_publisher.post(EXPLAIN, {"type": "order.paid"}).status_code == 403
    assert add_program(app, "viewer").post(EXPLAIN, {"type": "order.paid"}).status_code == 200


def test_answers_are_as_described(api: Program, sqlite_rt: Runtime) -> None:
    tree = {
        "all": [
            BIG,
            {"field": "data.tags[*]", "op": "in", "value": ["a", "b"]},
            {"not": {"field": "subject", "op": "missing"}},
        ]
    }
    make_subscription(sqlite_rt, condition=tree)
    uid = make_event(sqlite_rt)
    make_delivery(sqlite_rt, uid)
    description = api.get("/api/openapi.json").json
    assert description is not None
    for method, template, body in (
        ("post", EXPLAIN, {"type": "a.b"}),
        ("get", "/api/v1/events/{event_id}/explain", None),
    ):
        answer = api.send(method.upper(), template.format(event_id=uid), body)
        schema = description["paths"][template][method]["responses"]["200"]["content"]["application/json"]["schema"]
        assert faults(answer.json, schema, description) == []
