"""Many events in one request: what each hears, and that all of them share one transaction."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from tests.support import factories as make
from tests.support.people import Program, add_program
from tests.support.schemas import faults
from webapp.app import create_app
from webapp.runtime import Runtime
from webapp.store import tables

BATCH = "/api/v1/events/batch"
SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number", "minimum": 0}}}


def order(**fields: Any) -> dict[str, Any]:
    return {"type": "order.paid", "source": "shop", "payload": {"amount": 3}} | fields


def lines(*documents: Any) -> bytes:
    return b"\n".join(json.dumps(one).encode() for one in documents) + b"\n"


def declare(rt: Runtime, validation: str = "reject", **fields: Any) -> None:
    """``order.paid`` with a schema; the next event is judged by it."""
    now = rt.clock()
    row = {"name": "order.paid", "state": "declared", "owner": "", "description": "", "validation": validation}
    version = {"type": "order.paid", "version": 1, "schema": json.dumps(SCHEMA), "examples": [], "note": ""}
    with rt.db.write() as conn:
        conn.execute(insert(tables.event_types), row | {"created_at": now, "updated_at": now} | fields)
        conn.execute(insert(tables.event_type_versions), version | {"created_at": now, "created_by": "tests"})


def stored(rt: Runtime) -> list[Any]:
    return make.rows_of(rt, tables.events)


@pytest.fixture
def publisher(rt: Runtime) -> Program:
    return add_program(create_app(runtime=rt), "publisher")


def test_every_event_of_an_array_is_stored_routed_and_answered_in_order(rt: Runtime, publisher: Program) -> None:
    make.make_subscription(rt, pattern="order.*")
    answer = publisher.post(BATCH, [order(id=f"o-{n}") for n in range(3)] + [order(type="user.created")])
    assert answer.status_code == 202
    document: Any = answer.json
    assert {name: document[name] for name in ("accepted", "refused", "duplicates")} == {
        "accepted": 4,
        "refused": 0,
        "duplicates": 0,
    }
    assert [item["index"] for item in document["items"]] == [0, 1, 2, 3]
    assert [item["id"] for item in document["items"][:3]] == ["o-0", "o-1", "o-2"]
    assert [item["deliveries"] for item in document["items"]] == [1, 1, 1, 0]
    assert [row.uid for row in stored(rt)] == [item["uid"] for item in document["items"]]
    assert len(make.rows_of(rt, tables.deliveries)) == 3
    audited = [row.action for row in make.rows_of(rt, tables.audit)]
    assert audited.count("event.published") == 4


def test_lines_are_read_one_by_one_and_a_bad_one_is_its_own_fault(rt: Runtime, publisher: Program) -> None:
    body = lines(order(id="a")) + b'{"type": "order.paid", \n\n' + lines(order(id="b")) + b'{"type":"x","type":"y"}'
    answer = publisher.send("POST", BATCH, data=body, content_type="application/x-ndjson")
    assert answer.status_code == 207
    document: Any = answer.json
    assert [item["status"] for item in document["items"]] == [202, 400, 202, 400]
    assert document["items"][1]["problem"]["type"] == "/problems/malformed-json"
    assert document["items"][3]["problem"]["errors"][0]["pointer"] == "/type"
    assert [row.id for row in stored(rt)] == ["a", "b"]


def test_an_event_that_is_refused_does_not_spoil_the_others(rt: Runtime, publisher: Program) -> None:
    declare(rt)
    bad = [order(type="NO"), 7, order(id="x", payload={"amount": "much"})]
    answer = publisher.post(BATCH, [order(), *bad, order()])
    assert answer.status_code == 207
    document: Any = answer.json
    assert [item["status"] for item in document["items"]] == [202, 422, 422, 422, 202]
    pointers = [item["problem"]["errors"][0]["pointer"] for item in document["items"][1:4]]
    assert pointers == ["/type", "", "/payload/amount"]
    kept = document["items"][3]["problem"]["event_id"]
    assert [(row.uid, row.status, row.id) for row in stored(rt) if row.status == "rejected"] == [
        (kept, "rejected", kept)
    ]
    assert (document["accepted"], document["refused"]) == (2, 3)


def test_an_atomic_batch_is_stored_whole_or_not_at_all(rt: Runtime, publisher: Program) -> None:
    declare(rt)
    for bad in (order(type="NO"), order(payload={})):
        answer = publisher.post(f"{BATCH}?atomic=true", [order(), bad, order()])
        assert answer.status_code == 422
        document: Any = answer.json
        assert document["type"] == "/problems/batch-refused"
        assert [item["index"] for item in document["items"]] == [1]
        assert document["errors"][0]["pointer"].startswith("/1/")
        assert stored(rt) == []
    answer = publisher.post(f"{BATCH}?atomic=true", [order(), order()])
    assert (answer.status_code, len(stored(rt))) == (202, 2)


def test_duplicates_inside_a_batch_and_of_stored_events_are_duplicates(rt: Runtime, publisher: Program) -> None:
    first: Any = publisher.post(BATCH, [order(id="a"), order(id="b"), order(id="a", payload={"amount": 9})]).json
    assert [item["duplicate"] for item in first["items"]] == [False, False, True]
    assert first["items"][2]["uid"] == first["items"][0]["uid"]
    again: Any = publisher.post(BATCH, [order(id="b"), order(id="c")]).json
    assert [item["duplicate"] for item in again["items"]] == [True, False]
    assert [row.duplicates for row in stored(rt)] == [1, 1, 0]


def test_a_thousand_duplicates_are_found(rt: Runtime, publisher: Program) -> None:
    events = [order(id=f"o-{n}") for n in range(1000)]
    assert publisher.post(BATCH, events).json["accepted"] == 1000  # type: ignore[index]
    assert publisher.post(BATCH, events).json["duplicates"] == 1000  # type: ignore[index]
    assert len(stored(rt)) == 1000


@pytest.mark.parametrize(
    ("body", "kind", "status", "slug"),
    [
        (b'{"type": "order.paid"}', "application/json", 422, "invalid-batch"),
        (b"[", "application/json", 400, "malformed-json"),
        (b"[]" * 2, "application/json", 400, "malformed-json"),
        (b"[" + b"0," * 1000 + b"0]", "application/json", 413, "batch-too-large"),
        (b"0\n" * 1001, "application/x-ndjson", 413, "batch-too-large"),
        (b"[]", "text/plain", 415, "unsupported-media-type"),
    ],
)
def test_a_body_that_is_no_batch_is_refused(
    as_publisher: Program, body: bytes, kind: str, status: int, slug: str
) -> None:
    answer = as_publisher.send("POST", BATCH, data=body, content_type=kind)
    assert (answer.status_code, answer.json["type"]) == (status, f"/problems/{slug}")  # type: ignore[index]


def test_limits_of_a_single_event_hold_in_a_batch(make_runtime: Any, sqlite_url: str) -> None:
    rt = make_runtime(sqlite_url, max_body_bytes=2000, max_batch_bytes=9000)
    program = add_program(create_app(runtime=rt), "publisher")
    deep: Any = {}
    for _ in range(40):
        deep = {"a": deep}
    sent = [order(), order(payload={"text": "x" * 2100}), order(payload=deep), order()]
    for body, kind in ((json.dumps(sent).encode(), "application/json"), (lines(*sent), "application/x-ndjson")):
        answer: Any = program.send("POST", BATCH, data=body, content_type=kind).json
        assert [item["status"] for item in answer["items"]] == [202, 413, 400, 202]
    large = program.post(BATCH, [order(payload={"text": "x" * 1500})] * 7)
    assert large.status_code == 413


def test_an_empty_batch_is_accepted_and_stores_nothing(as_publisher: Program, sqlite_rt: Runtime) -> None:
    assert as_publisher.post(BATCH, []).json == {"accepted": 0, "refused": 0, "duplicates": 0, "items": []}
    assert stored(sqlite_rt) == []


def test_answers_are_as_described(api: Program, sqlite_rt: Runtime) -> None:
    description: Any = api.get("/api/openapi.json").json
    declare(sqlite_rt, "warn", deprecated_at=sqlite_rt.clock(), deprecation="Use order.settled.")
    described = description["paths"][BATCH]["post"]["responses"]
    for status, sent in ((202, [order(payload={})]), (207, [order(), order(type="NO")])):
        answer = api.post(BATCH, sent)
        schema = described[str(status)]["content"]["application/json"]["schema"]
        assert (answer.status_code, faults(answer.json, schema, description)) == (status, [])
        assert answer.headers["Deprecation"] == f"@{int(sqlite_rt.clock().timestamp())}"
        assert answer.json["items"][0]["deprecation"] == "Use order.settled."  # type: ignore[index]


def test_a_refused_batch_leaves_one_trace(as_publisher: Program, sqlite_rt: Runtime) -> None:
    as_publisher.post(BATCH, [order(type="NO")] * 30)
    actions = [row.action for row in make.rows_of(sqlite_rt, tables.audit)]
    assert actions.count("event.refused") == 1
    counted = [row.n for row in make.rows_of(sqlite_rt, tables.counters) if row.measure == "rejected"]
    assert counted == [30]


def test_reading_needs_the_right_to_publish(app: Flask) -> None:
    assert add_program(app, "viewer").post(BATCH, [order()]).status_code == 403
