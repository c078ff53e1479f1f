"""Deliveries over HTTP: found, shown with their attempts, retried, re-run, cancelled."""

from __future__ import annotations

import pytest

from tests.support import factories as make
from tests.support.clock import Clock
from tests.support.people import Program, add_program
from webapp.app import create_app
from webapp.runtime import Runtime
from webapp.store import tables

DELIVERIES = "/api/v1/deliveries"


def test_delivery_is_shown_with_its_attempts(api: Program, sqlite_rt: Runtime) -> None:
    event = make.make_event(sqlite_rt, id="o-1", type="order.paid")
    delivery = make.make_delivery(
        sqlite_rt, event, state="waiting", attempt=2, error_type="ValueError", error_message="no"
    )
    make.make_attempt(sqlite_rt, delivery)
    make.make_attempt(
        sqlite_rt,
        delivery,
        n=2,
        outcome="succeeded",
        error_type=None,
        error_message=None,
        stack=None,
        result='{"ok":[1]}',
    )
    document = api.get(f"{DELIVERIES}/{delivery}").json
    assert document is not None
    assert (document["event_id"], document["event_type"], document["state"]) == ("o-1", "order.paid", "waiting")
    assert document["error"] == {"type": "ValueError", "message": "no"}
    assert [(one["n"], one["outcome"], one["duration_ms"]) for one in document["attempts"]] == [
        (1, "failed", 5.0), (2, "succeeded", 5.0),
    ]  # fmt: skip
    assert document["attempts"][0]["error"]["stack"].startswith("Traceback")
    assert document["attempts"][1]["result"] == {"ok": [1]}


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", [2, 1, 0]), ("?state=dead", [1]), ("?state=cancelled", []), ("?since=2026-03-02T12:02:00Z", [2]),
     ("?until=2026-03-02T12:01:00Z", [0])],
)  # fmt: skip
def test_deliveries_are_filtered(rt: Runtime, clock: Clock, query: str, expected: list[int]) -> None:
    api = add_program(create_app(runtime=rt), "viewer")
    made = []
    for state in ("pending", "dead", "pending"):
        made.append(make.make_delivery(rt, state=state))
        clock.advance(minutes=1)
    found = api.get(DELIVERIES + query).json
    assert found is not None
    assert [one["id"] for one in found["data"]] == [made[n] for n in expected]
    one = found["data"][0]["id"] if found["data"] else made[0]
    row = make.row_of(rt, tables.deliveries, one)
    for narrow in (f"?event={row.event_uid}", f"?subscription_id={row.subscription_id}"):
        assert [each["id"] for each in api.get(DELIVERIES + narrow).json["data"]] == [one]  # type: ignore[index]


def test_errors_are_paged_newest_first(rt: Runtime, clock: Clock) -> None:
    api = add_program(create_app(runtime=rt), "viewer")
    for n in range(5):
        make.make_attempt(rt, make.make_delivery(rt), error_message=f"e{n}", error_type="Odd" if n % 2 else "Even")
        clock.advance(seconds=1)
    first = api.get("/api/v1/errors?limit=2").json
    assert first is not None
    assert [one["error"]["message"] for one in first["data"]] == ["e4", "e3"]
    second = api.get(f"/api/v1/errors?limit=2&cursor={first['next_cursor']}").json
    assert second is not None
    assert [one["error"]["message"] for one in second["data"]] == ["e2", "e1"]
    odd = api.get("/api/v1/errors?type=Odd").json
    assert odd is not None
    assert [one["error"]["message"] for one in odd["data"]] == ["e3", "e1"]


def test_retry_rerun_and_cancel_do_what_they_say(api: Program, sqlite_rt: Runtime) -> None:
    dead = make.make_delivery(sqlite_rt, state="dead", reason="exhausted")
    assert api.post(f"{DELIVERIES}/{dead}/retry").json["state"] == "pending"  # type: ignore[index]
    assert api.post(f"{DELIVERIES}/{dead}/rerun").status_code == 409
    assert api.post(f"{DELIVERIES}/{dead}/cancel").json["state"] == "cancelled"  # type: ignore[index]
    assert api.post(f"{DELIVERIES}/{dead}/cancel").status_code == 409
    answer = api.post(f"{DELIVERIES}/{dead}/rerun")
    assert answer.status_code == 201
    assert answer.json is not None
    assert answer.json["rerun_of"] == dead
    assert answer.headers["Location"] == f"{DELIVERIES}/{answer.json['id']}"
    told = {row.action for row in make.rows_of(sqlite_rt, tables.audit)}
    assert {"delivery.retried", "delivery.cancelled", "delivery.rerun"} <= told


def test_cancellation_says_who_asked_and_how_it_ended(api: Program, sqlite_rt: Runtime) -> None:
    running = make.make_delivery(sqlite_rt, state="running")
    assert api.get(f"{DELIVERIES}/{running}").json["cancel"] is None  # type: ignore[index]
    asked = api.post(f"{DELIVERIES}/{running}/cancel").json
    assert asked is not None
    assert asked["state"] == "running"
    assert asked["cancel"] == {"requested_at": asked["created_at"], "requested_by": "tests admin", "how": None}
    assert api.post(f"{DELIVERIES}/{running}/cancel").status_code == 409
    times = {"cancel_requested_at": sqlite_rt.clock(), "cancel_requested_by": "olga"}
    for fields, how in (
        ({"state": "cancelled", "reason": "cooperative"}, "cooperative"), ({"state": "succeeded"}, "too_late"),
    ):  # fmt: skip
        one = make.make_delivery(sqlite_rt, **times, **fields)
        assert api.get(f"{DELIVERIES}/{one}").json["cancel"]["how"] == how  # type: ignore[index]


@pytest.mark.parametrize("verb", ["", "/retry", "/rerun", "/cancel"])
def test_unknown_delivery_is_not_found(api: Program, verb: str) -> None:
    method = "POST" if verb else "GET"
    answer = api.send(method, f"{DELIVERIES}/nothing{verb}")
    assert answer.status_code == 404
    assert answer.json["type"] == "/problems/not-found"  # type: ignore[index]
