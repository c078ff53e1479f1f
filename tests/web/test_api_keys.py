"""Keys over the API, and what a limited key is told when it publishes."""

from __future__ import annotations

from typing import Any

from flask import Flask

from tests.support.factories import rows_of
from tests.support.people import Program
from webapp.domain.access import SYSTEM
from webapp.domain.key_limits import KeyLimits
from webapp.runtime import Runtime
from webapp.services.keys import create_key
from webapp.store import tables

LIMITS = KeyLimits(event_types=("order.*",), sources=("shop",))


def limited(app: Flask, rt: Runtime) -> Program:
    return Program(app, create_key(rt, SYSTEM, "shop", "publisher", limits=LIMITS)[1])


def event(type: str = "order.paid", source: str = "shop") -> dict[str, Any]:
    return {"type": type, "source": source}


def test_key_is_made_rotated_and_revoked(api: Program, app: Flask) -> None:
    description: Any = api.get("/api/openapi.json").json
    made = api.post("/api/v1/keys", {"name": "shop", "role": "publisher", "event_types": ["order.*"]})
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")
    document: Any = made.json
    assert set(document) == set(description["components"]["schemas"]["NewKey"]["properties"])
    path = f"/api/v1/keys/{document['id']}"
    rotated: Any = api.post(f"{path}/rotate", {"overlap": "1h"}).json
    assert rotated["secret"] != document["secret"]
    assert rotated["old_secret_until"] is not None
    for secret in (document["secret"], rotated["secret"]):
        assert Program(app, secret).post("/api/v1/events", event()).status_code == 202
    shown: Any = api.get(path).json
    assert "secret" not in shown
    assert [row["id"] for row in api.get("/api/v1/keys?limit=1").json["data"]] == [document["id"]]  # type: ignore[index]
    assert api.send("DELETE", path).status_code == 204
    assert api.send("DELETE", path).status_code == 409


def test_faults_of_a_key_are_told_at_their_fields(api: Program) -> None:
    for sent, pointer in (
        ({"name": "x", "colour": "red"}, "/colour"),
        ({"name": "x", "scopes": "read"}, "/scopes"),
        ({"name": "x", "role": "viewer", "scopes": ["publish"]}, "/scopes"),
        ({"name": "x", "expires_at": "soon"}, "/expires_at"),
        ({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}, "/expires_at"),
    ):
        answer = api.post("/api/v1/keys", sent)
        assert answer.status_code == 422, sent
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]  # type: ignore[index]


def test_limited_key_publishes_only_its_types_and_sources(app: Flask, sqlite_rt: Runtime) -> None:
    program = limited(app, sqlite_rt)
    assert program.post("/api/v1/events", event()).status_code == 202
    for sent, word in ((event("user.made"), "user.made"), (event(source="billing"), "billing")):
        answer = program.post("/api/v1/events", sent)
        assert answer.status_code == 403
        assert word in answer.json["detail"]  # type: ignore[index]
    assert len(rows_of(sqlite_rt, tables.events)) == 1


def test_limited_key_is_told_item_by_item(app: Flask, sqlite_rt: Runtime) -> None:
    program = limited(app, sqlite_rt)
    batch = [event("user.made"), event(), event(source="billing")]
    answer: Any = program.post("/api/v1/events/batch", batch)
    assert answer.status_code == 207
    assert [item["status"] for item in answer.json["items"]] == [403, 202, 403]
    answer = program.post("/api/v1/events/batch?atomic=true", batch)
    assert answer.status_code == 422
    assert [item["index"] for item in answer.json["items"]] == [0, 2]
    assert len(rows_of(sqlite_rt, tables.events)) == 1


def test_limits_hold_for_cloudevents(app: Flask, sqlite_rt: Runtime) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "shop", "ce-type": "user.made"}
    answer = limited(app, sqlite_rt).send("POST", "/api/v1/cloudevents", data=b"{}", headers=headers)
    assert answer.status_code == 403
    assert rows_of(sqlite_rt, tables.events) == []
