"""Publishing and looking at events over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from tests.support import factories as make
from tests.support.clock import Clock
from tests.support.people import Program, add_program
from webapp.app import create_app
from webapp.live import EventChanged, RecordingPublisher
from webapp.queue import RecordingDoorbell
from webapp.runtime import Runtime
from webapp.store import tables
from webapp.store.engine import Database

EVENTS = "/api/v1/events"


def uids(answer: Any) -> list[str]:
    return [event["uid"] for event in answer.json["data"]]


def test_publish_answers_with_deliveries_and_links(api: Program, sqlite_rt: Runtime) -> None:
    wanted = make.make_subscription(sqlite_rt, name="Orders", pattern="order.*")
    make.make_subscription(sqlite_rt, name="Sign-ups", pattern="user.*")
    answer = api.post(EVENTS, {"type": "order.paid", "payload": {"amount": 3}, "id": "o-1", "source": "shop"})
    assert answer.status_code == 202
    document = answer.json
    assert document is not None
    (delivery,) = document["deliveries"]
    assert document == {
        "id": "o-1",
        "uid": document["uid"],
        "duplicate": False,
        "status": "processing",
        "subscriptions": [{"id": wanted, "name": "Orders"}],
        "deliveries": [
            {
                "id": delivery["id"],
                "subscription_id": wanted,
                "state": "pending",
                "reason": None,
                "links": {"self": f"/api/v1/deliveries/{delivery['id']}", "page": f"/deliveries/{delivery['id']}"},
            }
        ],
        "links": {
            "self": f"{EVENTS}/{document['uid']}",
            "status": f"{EVENTS}/{document['uid']}/status",
            "page": f"/events/{document['uid']}",
        },
    }
    for link in (document["links"]["self"], document["links"]["status"], delivery["links"]["self"]):
        assert api.get(link).status_code == 200
    assert isinstance(sqlite_rt.queue, RecordingDoorbell)
    assert sqlite_rt.queue.rung == ["default"]
    assert isinstance(sqlite_rt.live, RecordingPublisher)
    assert sqlite_rt.live.facts == [EventChanged(document["uid"], "processing")]


def test_publish_names_the_key_as_source_when_none_is_sent(app: Flask, sqlite_rt: Runtime) -> None:
    from webapp.domain.access import SYSTEM
    from webapp.services.accounts import create_key

    _, secret = create_key(sqlite_rt, SYSTEM, "web shop €", "publisher")
    Program(app, secret).post(EVENTS, {"type": "order.paid"})
    (event,) = make.rows_of(sqlite_rt, tables.events)
    assert event.source == "web-shop-"


def test_publish_is_audited_with_the_key_and_the_request_id(as_publisher: Program, sqlite_rt: Runtime) -> None:
    answer = as_publisher.post(EVENTS, {"type": "order.paid"}, headers={"X-Request-Id": "from-the-sender"})
    assert answer.headers["X-Request-Id"] == "from-the-sender"
    (row,) = (row for row in make.rows_of(sqlite_rt, tables.audit) if row.action == "event.published")
    assert (row.actor_kind, row.request_id, row.ip) == ("key", "from-the-sender", "127.0.0.1")


def test_duplicate_answers_with_the_original(as_publisher: Program, sqlite_rt: Runtime) -> None:
    first = as_publisher.post(EVENTS, {"type": "order.paid", "id": "o-1", "source": "shop"}).json
    again = as_publisher.post(EVENTS, {"type": "order.changed", "id": "o-1", "source": "shop"})
    assert first is not None
    assert again.json is not None
    assert (again.status_code, again.json["duplicate"], again.json["uid"]) == (202, True, first["uid"])
    other = as_publisher.post(EVENTS, {"type": "order.paid", "id": "o-1", "source": "office"}).json
    assert other is not None
    assert not other["duplicate"]
    assert len(make.rows_of(sqlite_rt, tables.events)) == 2


def test_parallel_duplicates_are_stored_once(rt: Runtime) -> None:
    app = create_app(runtime=rt)
    make.make_subscription(rt)
    program = add_program(app, "publisher")
    body = {"type": "order.paid", "id": "o-1", "source": "shop"}

    def post(_: int) -> Any:
        return Program(app, program.secret).post(EVENTS, body).json

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(post, range(48)))
    assert sum(not answer["duplicate"] for answer in answers) == 1
    assert len({answer["uid"] for answer in answers}) == 1
    assert all(len(answer["deliveries"]) == 1 for answer in answers)
    assert len(make.rows_of(rt, tables.events)) == len(make.rows_of(rt, tables.deliveries)) == 1


def test_event_is_found_by_either_id_and_ambiguity_is_told(api: Program) -> None:
    found = {}
    for source in ("shop", "office"):
        found[source] = api.post(EVENTS, {"type": "order.paid", "id": "o-1", "source": source}).json["uid"]  # type: ignore[index]
    assert api.get(f"{EVENTS}/{found['shop']}").json["source"] == "shop"  # type: ignore[index]
    for path in (f"{EVENTS}/o-1", f"{EVENTS}/o-1/status"):
        answer = api.get(path)
        assert answer.status_code == 409
        assert answer.json is not None
        assert answer.json["type"] == "/problems/ambiguous-id"
    assert api.get(f"{EVENTS}/o-1?source=office").json["uid"] == found["office"]  # type: ignore[index]


@pytest.mark.parametrize("event_id", ["nothing", "..", "%2e%2e", "a%0ab", "x" * 3000, "%F0%9F%8E%89", "'--"])
def test_unknown_event_is_not_found(api: Program, event_id: str) -> None:
    answer = api.get(f"{EVENTS}/{event_id}")
    assert answer.status_code in (404, 308)


def test_nul_in_a_path_is_refused(api: Program) -> None:
    assert api.get(f"{EVENTS}/a%00b").status_code == 400


def test_status_is_exactly_the_promised_document(api: Program, sqlite_rt: Runtime, clock: Clock) -> None:
    event = make.make_event(sqlite_rt, id="o-1")
    subscription = make.make_subscription(sqlite_rt, name="Orders")
    dead = make.make_delivery(sqlite_rt, event, subscription, state="dead", reason="exhausted", attempt=1)
    make.make_attempt(sqlite_rt, dead)
    document = api.get(f"{EVENTS}/{event}/status").json
    assert document is not None
    assert list(document) == ["event_id", "status", "handlers", "errors", "timestamp"]
    assert (document["event_id"], document["status"]) == ("o-1", "failed")
    assert document["handlers"][0]["state"] == "dead"
    assert document["errors"] == [
        {
            "error": {
                "event_id": "o-1",
                "type": "ValueError",
                "message": "no such order",
                "stack": "Traceback (most recent call last):\nValueError: no such order\n",
                "timestamp": "2026-03-02T12:00:00.005Z",
            }
        }
    ]
    assert document["timestamp"] == "2026-03-02T12:00:00.000Z"
    assert api.get("/api/v1/errors").json["data"] == document["errors"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [3, 2, 1, 0]),
        ("?type=order.paid", [2, 0]),
        ("?type=order.*", [2, 1, 0]),
        ("?type=*.created", [3]),
        ("?type=*", [3, 2, 1, 0]),
        ("?type=order", []),
        ("?type=order.%25", []),
        ("?source=office", [3]),
        ("?status=unrouted&type=order.*", [2, 1, 0]),
        ("?status=failed", []),
        ("?since=2026-03-02T12:02:00Z", [3, 2]),
        ("?until=2026-03-02T12:02:00Z", [1, 0]),
        ("?since=2026-03-02T13:01:00%2B01:00&until=2026-03-02T12:03:00Z", [2, 1]),
    ],
)
def test_events_are_filtered(rt: Runtime, clock: Clock, query: str, expected: list[int]) -> None:
    api = add_program(create_app(runtime=rt), "viewer")
    kinds = [("order.paid", "shop"), ("order.late", "shop"), ("order.paid", "shop"), ("user.created", "office")]
    made = []
    for kind, source in kinds:
        made.append(make.make_event(rt, type=kind, source=source))
        clock.advance(minutes=1)
    assert uids(api.get(EVENTS + query)) == [made[n] for n in expected]


@pytest.mark.parametrize("query", ["", "&source=tests"])
def test_pages_lead_through_everything_and_back(rt: Runtime, clock: Clock, query: str) -> None:
    api = add_program(create_app(runtime=rt), "viewer")
    made = []
    for _ in range(7):
        made.append(make.make_event(rt))
        clock.advance(seconds=1)
    made.reverse()
    page, seen, previous = api.get(f"{EVENTS}?limit=3{query}"), [], []
    assert page.json["prev_cursor"] is None  # type: ignore[index]
    while True:
        document = page.json
        assert document is not None
        seen += uids(page)
        assert (
            document["has_more"]
            == (document["next_cursor"] is not None)
            == ('rel="next"' in page.headers.get("Link", ""))
        )
        if not document["has_more"]:
            break
        previous.append(uids(page))
        page = api.get(page.headers["Link"].split(">")[0].strip("<"))
    assert seen == made
    for expected in reversed(previous):
        page = api.get(f"{EVENTS}?limit=3{query}&cursor={page.json['prev_cursor']}")  # type: ignore[index]
        assert uids(page) == expected
    assert page.json["prev_cursor"] is None  # type: ignore[index]


def test_list_shows_no_payloads(api: Program) -> None:
    api.post(EVENTS, {"type": "order.paid", "payload": {"secret": "in the payload"}})
    assert "in the payload" not in api.get(EVENTS).text


def test_storage_that_does_not_answer_is_told_and_nothing_is_acknowledged(
    app: Flask, as_publisher: Program, sqlite_rt: Runtime, tmp_path: Any
) -> None:
    as_publisher.post(EVENTS, {"type": "order.paid"})
    sqlite_rt.db.dispose()
    sqlite_rt.db = Database(f"sqlite:///{tmp_path}/nothing/here.db")
    (tmp_path / "nothing" / "here.db").mkdir()
    answer = as_publisher.post(EVENTS, {"type": "order.paid"})
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["type"] == "/problems/storage-unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    ready = app.test_client().get("/readyz")
    assert ready.status_code == 503
    assert ready.json is not None
    assert ready.json["status"] == "failing"
    assert app.test_client().get("/healthz").status_code == 200
