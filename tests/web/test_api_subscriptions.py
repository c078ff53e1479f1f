"""Routing rules over HTTP: created, read, replaced with compare-and-set, paused, resumed, deleted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import factories as make
from tests.support.people import Person, Program, add_program
from webapp.domain.retryschema import PRESETS
from webapp.live import RecordingPublisher, SubscriptionChanged
from webapp.runtime import Runtime
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.store import tables

RULES = "/api/v1/subscriptions"
DRAFT: dict[str, Any] = {
    "name": "Large orders",
    "pattern": "order.*",
    "condition": {"field": "data.amount", "op": "gte", "value": 100},
    "handler": "log",
    "options": {"secret": "s3cret"},
    "retry": {"max_attempts": 3},
    "timeout": "1m30s",
}


@pytest.fixture(autouse=True)
def handlers(sqlite_rt: Runtime) -> None:
    register_handlers(sqlite_rt, [HandlerInfo("log", "Writes a line."), HandlerInfo("crunch", isolated=True)])


def test_subscription_is_created_and_routes_from_then_on(api: Program, sqlite_rt: Runtime) -> None:
    answer = api.post(RULES, DRAFT)
    assert answer.status_code == 201
    document = answer.json
    assert document is not None
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Location"] == f"{RULES}/{document['id']}"
    assert {name: document[name] for name in ("name", "pattern", "condition", "options", "timeout", "state", "revision")} == {
        "name": "Large orders", "pattern": "order.*", "condition": DRAFT["condition"], "options": {"secret": "•••"},
        "timeout": "1m30s", "state": "active", "revision": 1,
    }  # fmt: skip
    assert document["retry"]["max_attempts"] == 3
    for amount, n in ((99, 0), (100, 1)):
        posted = api.post("/api/v1/events", {"type": "order.paid", "payload": {"amount": amount}})
        assert len(posted.json["subscriptions"]) == n  # type: ignore[index]
    assert isinstance(sqlite_rt.live, RecordingPublisher)
    assert SubscriptionChanged(document["id"], "active") in sqlite_rt.live.facts


def test_retry_policy_is_answered_written_out_and_can_be_sent_back(api: Program) -> None:
    limits = {"max_age_s": 172800, "never_retry": ["ValueError"], "never_retry_statuses": [410, "5xx"]}
    document = api.post(RULES, DRAFT | {"retry": {"preset": "patient", "retry_after_cap_s": 60, **limits}}).json
    assert document is not None
    assert document["retry"] == {**PRESETS["patient"], "retry_after_cap_s": 60, **limits}
    again = api.post(RULES, DRAFT | {"retry": document["retry"]}).json
    assert again is not None
    assert again["retry"] == document["retry"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"pattern": "Order.*"}, "/pattern"),
        ({"pattern": 5}, "/pattern"),
        ({"condition": {"all": [{"field": "type", "op": "like", "value": "x"}]}}, "/condition/all/0/op"),
        ({"condition": {"field": "type", "op": "matches", "value": "(a+)+$"}}, "/condition/op"),
        ({"condition": []}, "/condition"),
        ({"handler": "os.system"}, "/handler"),
        ({"handler": None}, "/handler"),
        ({"options": []}, "/options"),
        ({"retry": {"max_attempts": 0}}, "/retry/max_attempts"),
        ({"retry": {"delays_s": [-1]}}, "/retry/delays_s/0"),
        ({"retry": {"preset": "eager"}}, "/retry/preset"),
        ({"retry": {"preset": "quick", "base_s": 1}}, "/retry/base_s"),
        ({"retry": {"never_retry_statuses": [99]}}, "/retry/never_retry_statuses/0"),
        ({"timeout": "soon"}, "/timeout"),
        ({"timeout": 0}, "/timeout"),
        ({"id": "sub_mine"}, "/id"),
        ({"paused_at": None}, "/paused_at"),
    ],
)
def test_faulty_subscription_is_refused_with_a_pointer(
    api: Program, sqlite_rt: Runtime, change: dict[str, Any], pointer: str
) -> None:
    answer = api.post(RULES, DRAFT | change)
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["errors"][0]["pointer"] == pointer
    assert make.rows_of(sqlite_rt, tables.subscriptions) == []


def test_every_fault_is_named_at_once(api: Program) -> None:
    answer = api.post(RULES, {"name": "", "pattern": "!", "handler": "none", "timeout": "x"})
    assert {fault["pointer"] for fault in answer.json["errors"]} == {"/name", "/pattern", "/handler", "/timeout"}  # type: ignore[index]


def test_replace_needs_the_present_revision_when_one_is_named(api: Program) -> None:
    path = api.post(RULES, DRAFT).headers["Location"]
    first = api.send("PUT", path, DRAFT | {"name": "One"}, headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["ETag"]) == (200, '"2"')
    for stale in ('"1"', "1", '"x"', '"1", "2"'):
        late = api.send("PUT", path, DRAFT | {"name": "Two"}, headers={"If-Match": stale})
        assert late.status_code == 412
        assert late.json["type"] == "/problems/stale-revision"  # type: ignore[index]
    assert api.get(path).json["name"] == "One"  # type: ignore[index]
    assert api.send("PUT", path, DRAFT | {"name": "Three"}).json["revision"] == 3  # type: ignore[index]


def test_pause_holds_and_resume_releases(api: Program) -> None:
    path = api.post(RULES, DRAFT | {"condition": None}).headers["Location"]
    paused = api.post(f"{path}/pause", {"reason": "maintenance"})
    assert (paused.json["state"], paused.json["pause_reason"]) == ("paused", "maintenance")  # type: ignore[index]
    assert api.post(f"{path}/pause").status_code == 409
    posted = api.post("/api/v1/events", {"type": "order.paid"}).json
    assert posted is not None
    assert posted["deliveries"][0]["state"] == "held"
    assert api.post(f"{path}/resume").json["state"] == "active"  # type: ignore[index]
    assert api.post(f"{path}/resume").status_code == 409
    assert api.get(posted["deliveries"][0]["links"]["self"]).json["state"] == "pending"  # type: ignore[index]


@pytest.mark.parametrize("body", [b'{"reason": 5}', b'{"why": "x"}', b"[]", b'"x"'])
def test_pause_with_an_odd_body_is_refused(api: Program, body: bytes) -> None:
    path = api.post(RULES, DRAFT).headers["Location"]
    assert api.send("POST", f"{path}/pause", data=body).status_code == 422
    assert api.get(path).json["state"] == "active"  # type: ignore[index]


def test_delete_cancels_and_the_rule_is_gone(api: Program) -> None:
    path = api.post(RULES, DRAFT | {"condition": None}).headers["Location"]
    posted = api.post("/api/v1/events", {"type": "order.paid"}).json
    assert posted is not None
    assert api.send("DELETE", path).status_code == 204
    for method in ("GET", "DELETE"):
        assert api.send(method, path).status_code == 404
    assert api.get(posted["deliveries"][0]["links"]["self"]).json["state"] == "cancelled"  # type: ignore[index]
    assert api.get(RULES).json["data"] == []  # type: ignore[index]


def test_options_are_hidden_from_those_who_only_look(app: Any, api: Program, as_viewer: Person) -> None:
    path = api.post(RULES, DRAFT).headers["Location"]
    for reader in (as_viewer, add_program(app, "viewer")):
        assert reader.get(path).json["options"] is None  # type: ignore[index]
        assert "s3cret" not in reader.get(RULES).text


def test_handlers_are_listed_with_their_schemas(api: Program) -> None:
    assert [(one["name"], one["isolated"]) for one in api.get("/api/v1/handlers").json["data"]] == [  # type: ignore[index]
        ("crunch", True), ("log", False),
    ]  # fmt: skip


def test_pause_takes_a_reason_and_an_end(api: Program) -> None:
    path = api.post(RULES, DRAFT).headers["Location"]
    document = api.post(f"{path}/pause", {"reason": "Moving", "for": "2h"}).json
    assert document is not None
    assert {key: document[key] for key in ("state", "pause_reason", "resume_at", "breaker", "release")} == {
        "state": "paused", "pause_reason": "Moving", "resume_at": "2026-03-02T14:00:00.000Z", "breaker": None, "release": None,
    }  # fmt: skip
    assert api.post(f"{path}/resume").json["resume_at"] is None  # type: ignore[index]
    assert api.post(f"{path}/pause", {"until": "2026-03-03T00:00:00Z"}).status_code == 200


@pytest.mark.parametrize(
    ("verb", "document", "pointer"),
    [
        ("pause", {"for": "2h", "until": "2026-03-03T00:00:00Z"}, "/until"),
        ("pause", {"until": "2026-03-01T00:00:00Z"}, "/until"),
        ("pause", {"reason": 5}, "/reason"),
        ("resume", {"pace": 0}, "/pace"),
        ("resume", {"speed": 1}, "/speed"),
        ("breaker", {"state": "half_open"}, "/state"),
        ("breaker", {}, "/state"),
    ],
)
def test_order_that_cannot_be_is_refused_with_a_pointer(
    api: Program, verb: str, document: dict[str, Any], pointer: str
) -> None:
    path = api.post(RULES, DRAFT).headers["Location"]
    answer = api.post(f"{path}/{verb}", document)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)  # type: ignore[index]


def test_release_shows_its_pace_and_what_is_left(api: Program, sqlite_rt: Runtime) -> None:
    path = api.post(RULES, DRAFT).headers["Location"]
    subscription = path.rpartition("/")[2]
    event = make.make_event(sqlite_rt)
    for n in range(3):
        make.make_delivery(sqlite_rt, event, subscription, replay=n)
    api.post(f"{path}/pause")
    assert api.post(f"{path}/resume", {"pace": 0.5}).json["release"] == {"pace": 0.5, "held": 3}  # type: ignore[index]
    assert api.get(RULES).json["data"][0]["release"] == {"pace": 0.5, "held": 3}  # type: ignore[index]
    assert api.post(f"{path}/resume").json["release"] is None  # type: ignore[index]


def test_breaker_is_shown_and_obeys(api: Program) -> None:
    path = api.post(RULES, DRAFT | {"policies": {"breaker": {"open_for": "30s"}}}).headers["Location"]
    assert api.get(path).json["breaker"] == {"state": "closed", "opened_at": None, "probe_at": None}  # type: ignore[index]
    opened = api.post(f"{path}/breaker", {"state": "open"}).json["breaker"]  # type: ignore[index]
    assert opened == {"state": "open", "opened_at": "2026-03-02T12:00:00.000Z", "probe_at": "2026-03-02T12:00:30.000Z"}
    assert api.post(f"{path}/breaker", {"state": "open"}).status_code == 409
    assert api.post(f"{path}/breaker", {"state": "closed"}).json["breaker"]["state"] == "closed"  # type: ignore[index]
    plain = api.post(RULES, DRAFT).headers["Location"]
    assert api.post(f"{plain}/breaker", {"state": "open"}).status_code == 409
