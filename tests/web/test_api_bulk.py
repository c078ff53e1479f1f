"""The JSON API of bulk operations."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.services.test_bulk import finish, make_many, states
from tests.support.clock import Clock
from tests.support.factories import make_subscription
from tests.support.people import Program, add_program
from tests.support.schemas import faults
from webapp.runtime import Runtime

DRAFT = {"kind": "retry", "selection": {"state": ["dead"]}, "reason": "The receiver was down"}


def test_look_start_and_follow(api: Program, sqlite_rt: Runtime, clock: Clock) -> None:
    make_many(sqlite_rt, clock, 12, state="dead")
    looked = api.post("/api/v1/bulk/preview", {"kind": "retry", "selection": {"state": "dead"}}).json
    assert looked is not None
    assert (looked["count"], looked["capped"], looked["by_state"]) == (12, False, {"dead": 12})
    assert len(looked["sample"]) == 10
    answer = api.post("/api/v1/bulk", DRAFT)
    assert answer.status_code == 202
    made = answer.json
    assert made is not None
    assert (made["state"], made["counting"], answer.headers["Location"]) == ("running", True, made["links"]["self"])
    finish(sqlite_rt, clock)
    row = api.get(made["links"]["self"]).json
    assert row is not None
    assert (row["state"], row["done"], row["total"], row["after"]) == ("done", 12, 12, {"pending": 12})
    assert [one["id"] for one in api.get("/api/v1/bulk").json["data"]] == [made["id"]]  # type: ignore[index]
    assert api.post(f"/api/v1/bulk/{made['id']}/pause").status_code == 409


def test_pause_resume_abort_and_errors(api: Program, sqlite_rt: Runtime, clock: Clock) -> None:
    make_many(sqlite_rt, clock, 3, make_subscription(sqlite_rt, deleted_at=clock()), state="dead")
    made = api.post("/api/v1/bulk", DRAFT).json["id"]  # type: ignore[index]
    for verb, state in (("pause", "paused"), ("resume", "running")):
        answer = api.post(f"/api/v1/bulk/{made}/{verb}").json
        assert answer is not None
        assert answer["state"] == state
    finish(sqlite_rt, clock)
    first = api.get(f"/api/v1/bulk/{made}/errors?limit=2").json
    assert first is not None
    rest = api.get(f"/api/v1/bulk/{made}/errors?limit=2&cursor={first['next_cursor']}").json
    assert rest is not None
    assert [len(first["data"]), len(rest["data"]), rest["has_more"]] == [2, 1, False]
    assert {one["message"] for one in first["data"]} == {"Its subscription was deleted."}
    assert api.post(f"/api/v1/bulk/{made}/abort").status_code == 409
    assert api.get("/api/v1/bulk/blk_nothing").status_code == 404


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"kind": "explode"}, {"/kind"}),
        ({"reason": " "}, {"/reason"}),
        ({"pace": 0, "abort_rate": 2}, {"/pace", "/abort_rate"}),
        ({"selection": {"state": ["asleep"], "since": "soon"}}, {"/selection/state/0", "/selection/since"}),
        ({"selection": {"event": {"field": "nope", "op": "eq", "value": 1}}}, {"/selection/event/field"}),
        ({"selection": {"since": "now", "until": "now-1h"}}, {"/selection/until"}),
        ({"selection": []}, {"/selection"}),
        ({"kind": "replay", "selection": {"state": ["dead"]}}, {"/selection/state"}),
        ({"kind": "replay", "selection": {"subscription": ["sub_x"]}}, {"/selection/subscription/0"}),
        ({"wait": True}, {"/wait"}),
    ],
)
def test_every_fault_has_its_pointer(api: Program, change: dict[str, Any], pointers: set[str]) -> None:
    answer = api.post("/api/v1/bulk", DRAFT | change)
    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json["errors"]} == pointers  # type: ignore[index]


def test_only_operators_may(app: Flask, sqlite_rt: Runtime, clock: Clock) -> None:
    make_many(sqlite_rt, clock, 1, state="dead")
    viewer = add_program(app, "viewer")
    assert viewer.post("/api/v1/bulk", DRAFT).status_code == 403
    assert viewer.post("/api/v1/bulk/preview", {"kind": "retry"}).status_code == 403
    assert viewer.get("/api/v1/bulk").status_code == 200
    assert states(sqlite_rt) == {"dead": 1}


def test_answers_are_as_described(api: Program, sqlite_rt: Runtime, clock: Clock) -> None:
    make_many(sqlite_rt, clock, 2, make_subscription(sqlite_rt, deleted_at=clock()), state="dead")
    description = api.get("/api/openapi.json").json
    assert description is not None
    schemas = description["components"]["schemas"]
    (example,) = schemas["BulkDraft"]["examples"]
    assert faults(example, schemas["BulkDraft"], description) == []
    made = api.post("/api/v1/bulk", example)
    assert made.status_code == 202
    started = api.post("/api/v1/bulk", DRAFT).json["id"]  # type: ignore[index]
    finish(sqlite_rt, clock)
    for name, answer in {
        "Bulk": made,
        "BulkPreview": api.post("/api/v1/bulk/preview", {"kind": "cancel"}),
        "BulkList": api.get("/api/v1/bulk"),
        "BulkErrorList": api.get(f"/api/v1/bulk/{started}/errors"),
    }.items():
        assert faults(answer.json, schemas[name], description) == [], name
