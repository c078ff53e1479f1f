"""What stands around publishing: schemas, compressed bodies, repeated requests, limits, waiting for the end."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from tests.support import factories as make
from tests.support.clock import Clock
from tests.support.people import Person, Program, add_program
from tests.web.test_api_batch import declare, order, stored
from webapp.app import create_app
from webapp.domain.access import SYSTEM
from webapp.domain.errors import Unavailable
from webapp.runtime import Runtime
from webapp.services import idempotency, upkeep
from webapp.services.accounts import create_key
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.services.patience import Patience
from webapp.store import tables
from webapp.store.subscriptions import bump_routes
from webapp.web.context import get_hub

EVENTS = "/api/v1/events"


@pytest.fixture
def publisher(rt: Runtime) -> Program:
    return add_program(create_app(runtime=rt), "publisher")


def keyed(program: Program, key: str, document: Any, path: str = EVENTS) -> Any:
    return program.post(path, document, headers={"Idempotency-Key": key})


def bump(rt: Runtime) -> None:
    """What the catalog does with every change of a schema: acceptors look again."""
    with rt.db.write() as conn:
        bump_routes(conn)


# Schemas


def test_an_event_that_breaks_its_schema_is_kept_as_rejected_and_may_be_sent_mended(
    rt: Runtime, publisher: Program
) -> None:
    declare(rt)
    make.make_subscription(rt)
    answer = publisher.post(EVENTS, order(id="o-1", payload={"amount": -1}))
    problem: Any = answer.json
    assert (answer.status_code, problem["type"]) == (422, "/problems/schema-violation")
    assert problem["errors"][0]["pointer"] == "/payload/amount"
    (row,) = stored(rt)
    assert (row.uid, row.id, row.status, row.total) == (problem["event_id"], row.uid, "rejected", 0)
    assert "/payload/amount" in row.problem
    (fault,) = make.rows_of(rt, tables.event_faults)
    assert (fault.verdict, fault.sent_id, fault.schema_version, fault.total) == ("rejected", "o-1", 1, 1)
    assert make.rows_of(rt, tables.deliveries) == []
    assert [one.action for one in make.rows_of(rt, tables.audit) if one.target_kind == "event"] == ["event.rejected"]
    assert {one.measure: one.n for one in make.rows_of(rt, tables.counters)} == {"rejected": 1}
    mended = publisher.post(EVENTS, order(id="o-1"))
    assert (mended.status_code, mended.json["duplicate"]) == (202, False)  # type: ignore[index]
    assert publisher.post(EVENTS, order(id="o-1", payload={})).json["duplicate"] is True  # type: ignore[index]


def test_a_rejected_event_cannot_be_routed_again(rt: Runtime) -> None:
    declare(rt)
    api = add_program(create_app(runtime=rt), "admin")
    uid = api.post(EVENTS, order(payload={})).json["event_id"]  # type: ignore[index]
    answer = api.post(f"{EVENTS}/{uid}/reroute")
    assert answer.status_code == 409
    assert "rejected" in answer.json["detail"]  # type: ignore[index]
    assert api.get(f"{EVENTS}/{uid}").json["problem"]  # type: ignore[index]


def test_a_warning_is_told_and_kept_and_the_event_runs(rt: Runtime, publisher: Program) -> None:
    declare(rt, "warn", deprecated_at=rt.clock(), deprecation="Use order.settled.")
    make.make_subscription(rt)
    answer = publisher.post(EVENTS, order(payload={"amount": "much"}))
    document: Any = answer.json
    assert (answer.status_code, document["status"], len(document["deliveries"])) == (202, "processing", 1)
    assert [fault["pointer"] for fault in document["warnings"]] == ["/payload/amount"]
    assert document["deprecation"] == "Use order.settled."
    assert answer.headers["Deprecation"] == f"@{int(rt.clock().timestamp())}"
    (fault,) = make.rows_of(rt, tables.event_faults)
    assert (fault.verdict, fault.event_uid, fault.sent_id) == ("warned", document["uid"], None)
    assert "warnings" not in publisher.post(EVENTS, order()).json  # type: ignore[operator]


def test_a_schema_that_came_meanwhile_is_asked_in_the_transaction(rt: Runtime, publisher: Program) -> None:
    assert publisher.post(EVENTS, order(payload={})).status_code == 202
    declare(rt)
    bump(rt)
    assert publisher.post(EVENTS, order(payload={})).status_code == 422
    with rt.db.write() as conn:
        conn.execute(update(tables.event_types).values(validation="off"))
    bump(rt)
    assert publisher.post(EVENTS, order(payload={})).status_code == 202


# Compressed bodies


def test_a_compressed_body_is_inflated(as_publisher: Program, sqlite_rt: Runtime) -> None:
    plain = json.dumps(order()).encode()
    for body in (gzip.compress(plain), gzip.compress(plain[:9]) + gzip.compress(plain[9:])):
        answer = as_publisher.send("POST", EVENTS, data=body, headers={"Content-Encoding": "gzip"})
        assert answer.status_code == 202
    assert [row.payload for row in stored(sqlite_rt)] == ['{"amount":3}'] * 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (gzip.compress(b"0" * 3_000_000_0), 413),
        (gzip.compress(b'{"type":"order.paid"}')[:-9], 400),
        (b'{"type":"order.paid"}', 400),
        (gzip.compress(b"") * 100, 400),
        (b"", 400),
    ],
    ids=["bomb", "cut short", "not compressed", "many empty members", "nothing"],
)
def test_bombs_and_broken_gzip_are_refused(as_publisher: Program, body: bytes, status: int) -> None:
    answer = as_publisher.send("POST", EVENTS, data=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == status


def test_unknown_encodings_hear_which_one_is_taken(as_publisher: Program) -> None:
    answer = as_publisher.send("POST", EVENTS, data=b"x", headers={"Content-Encoding": "br"})
    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "gzip")


# Repeated requests


def test_a_repeated_request_is_answered_again_and_not_done_again(rt: Runtime, publisher: Program) -> None:
    first = keyed(publisher, '"8e03978e"', order())
    again = keyed(publisher, "8e03978e", order())
    assert (again.status_code, again.data, again.content_type) == (202, first.data, first.content_type)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(stored(rt)) == 1
    refused = [keyed(publisher, "bad", {"type": "NO"}) for _ in range(2)]
    assert refused[0].data == refused[1].data
    assert refused[1].headers["Content-Type"] == "application/problem+json"


def test_a_key_belongs_to_one_request_of_one_sender(rt: Runtime, publisher: Program) -> None:
    keyed(publisher, "k", order())
    other = keyed(publisher, "k", order(payload={"amount": 4}))
    assert (other.status_code, other.json["type"]) == (422, "/problems/idempotency-key-reused")
    assert keyed(publisher, "k", [order()], f"{EVENTS}/batch").status_code == 202
    assert keyed(publisher, "k", [order()], f"{EVENTS}/batch?atomic=true").status_code == 422
    neighbour = add_program(publisher.client.application, "publisher")
    assert "Idempotency-Replayed" not in keyed(neighbour, "k", order()).headers
    assert len(stored(rt)) == 3


def test_of_many_at_once_one_is_done_and_nobody_else_is_told_otherwise(rt: Runtime) -> None:
    app = create_app(runtime=rt)
    secret = add_program(app, "publisher").secret
    start = threading.Barrier(6)

    def send(_: int) -> Any:
        start.wait()
        return keyed(Program(app, secret), "same", order())

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert len(stored(rt)) == 1
    assert {one.status_code for one in answers} <= {202, 409}
    assert len({one.data for one in answers if one.status_code == 202}) == 1


def test_a_holder_that_died_does_not_block_for_ever(rt: Runtime, publisher: Program, clock: Clock) -> None:
    real = idempotency.finish
    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(idempotency, "finish", lambda *_: None)  # as if the process had ended before
        keyed(publisher, "k", order(id="o-1"))
    assert idempotency.finish is real
    waiting = keyed(publisher, "k", order(id="o-1"))
    assert (waiting.status_code, waiting.headers["Retry-After"]) == (409, "1")
    assert waiting.json["type"] == "/problems/idempotency-in-progress"
    clock.advance(seconds=61)
    assert keyed(publisher, "k", order(id="o-1")).json["duplicate"] is True
    assert keyed(publisher, "k", order(id="o-1")).headers["Idempotency-Replayed"] == "true"


def test_failures_of_the_hub_are_not_kept(publisher: Program, rt: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    with publisher.client.application.app_context():
        acceptor = get_hub().acceptor

    def fail(*_: Any) -> None:
        raise Unavailable("The database does not answer.")

    monkeypatch.setattr(acceptor, "accept", fail)
    assert keyed(publisher, "k", order()).status_code == 503
    monkeypatch.undo()
    again = keyed(publisher, "k", order())
    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (202, False)


def test_keys_are_forgotten_after_a_day(rt: Runtime, publisher: Program, clock: Clock) -> None:
    keyed(publisher, "k", order())
    clock.advance(hours=23)
    assert "Idempotency-Replayed" in keyed(publisher, "k", order()).headers
    assert idempotency.prune(rt) == 0
    clock.advance(hours=2)
    assert idempotency.prune(rt) == 1
    assert "Idempotency-Replayed" not in keyed(publisher, "k", order()).headers
    clock.advance(hours=25)  # not pruned yet, and worth nothing any more
    assert "Idempotency-Replayed" not in keyed(publisher, "k", order(payload={"amount": 9})).headers


@pytest.mark.parametrize("key", ["", '""', "a b", '"a', "a,b", '"a", "b"', "ä", "x" * 256, '"\t"'])
def test_keys_of_bad_form_are_refused(as_publisher: Program, key: str) -> None:
    answer = keyed(as_publisher, key, order())
    assert (answer.status_code, answer.json["type"]) == (400, "/problems/invalid-idempotency-key")


# Limits


@pytest.fixture
def limited(make_runtime: Any, sqlite_url: str, redis_url: str) -> Runtime:
    runtime: Runtime = make_runtime(sqlite_url, redis_url=redis_url)
    return runtime


def limited_program(rt: Runtime, limit: int | None) -> Program:
    return Program(create_app(runtime=rt), create_key(rt, SYSTEM, "limited", "publisher", limit)[1])


def test_a_key_with_a_limit_is_held_to_it(limited: Runtime) -> None:
    program = limited_program(limited, 3)
    answers = [program.post(EVENTS, order()) for _ in range(4)]
    assert [one.status_code for one in answers] == [202, 202, 202, 429]
    assert [one.headers["RateLimit"].split(";")[1] for one in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert answers[0].headers["RateLimit-Policy"] == '"requests";q=3;w=60'
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
    assert answers[3].json["type"] == "/problems/too-many-requests"  # type: ignore[index]
    assert len(stored(limited)) == 3
    other = Program(program.client.application, create_key(limited, SYSTEM, "free", "publisher")[1])
    free = other.post(EVENTS, order())
    assert (free.status_code, "RateLimit" in free.headers) == (202, False)


def test_the_setting_limits_keys_without_a_limit_of_their_own(
    make_runtime: Any, sqlite_url: str, redis_url: str
) -> None:
    rt = make_runtime(sqlite_url, redis_url=redis_url, rate_limit=1)
    default, own = limited_program(rt, None), limited_program(rt, 2)
    assert [default.post(EVENTS, order()).status_code for _ in range(2)] == [202, 429]
    assert [own.post(EVENTS, order()).status_code for _ in range(2)] == [202, 202]


def test_nobody_is_limited_while_redis_does_not_answer(make_runtime: Any, sqlite_url: str, caplog: Any) -> None:
    program = limited_program(make_runtime(sqlite_url, redis_url="unix:///nowhere/redis.sock"), 1)
    assert [program.post(EVENTS, order()).status_code for _ in range(3)] == [202] * 3
    assert [one.action for one in caplog.records if getattr(one, "action", "") == "limit_unknown"] == ["limit_unknown"]


# Waiting for the end


def test_an_event_that_has_ended_is_answered_with_its_status(rt: Runtime, publisher: Program) -> None:
    answer = publisher.post(EVENTS, order(), headers={"Prefer": "respond-async, Wait=7"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=7")
    assert list(answer.json) == ["event_id", "status", "handlers", "errors", "timestamp"]  # type: ignore[arg-type]
    assert answer.json["status"] == "unrouted"  # type: ignore[index]


def test_one_that_goes_on_is_accepted_when_the_time_is_over(app: Flask, sqlite_rt: Runtime) -> None:
    make.make_subscription(sqlite_rt)
    with app.app_context():
        hub = get_hub()
    looks: list[float] = []
    hub.patience = Patience(sqlite_rt, 1, sleep=looks.append)
    answer = add_program(app, "publisher").post(EVENTS, order(), headers={"Prefer": "wait=99"})
    assert (answer.status_code, answer.json["status"]) == (202, "processing")  # type: ignore[index]
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert sum(looks) == pytest.approx(30)
    assert len(looks) < 30 * 5


def test_who_waits_hears_of_the_end(rt: Runtime, operator: Any) -> None:
    uid = make.make_event(rt)
    delivery = make.make_delivery(rt, uid)

    def end(_: float) -> None:
        with rt.db.write() as conn:
            conn.execute(update(tables.events).where(tables.events.c.uid == uid).values(open=0, succeeded=1))

    assert delivery
    assert Patience(rt, 1, sleep=end).wait(uid, 5) is True


def test_waiting_uses_up_no_more_than_its_places(sqlite_rt: Runtime) -> None:
    patience = Patience(sqlite_rt, 1, sleep=lambda _: inside.append(patience.wait("evt_x", 1)))
    inside: list[bool | None] = []
    uid = make.make_event(sqlite_rt)
    make.make_delivery(sqlite_rt, uid)
    assert patience.wait(uid, 0.01) is False
    assert inside == [None]
    assert patience.wait(uid, 0) is False


@pytest.mark.parametrize("prefer", ["wait", "wait=", "wait=-1", "wait=x", "handling=lenient", ""])
def test_preferences_that_cannot_be_read_are_ignored(as_publisher: Program, prefer: str) -> None:
    answer = as_publisher.post(EVENTS, order(), headers={"Prefer": prefer})
    assert (answer.status_code, "Preference-Applied" in answer.headers) == (202, False)


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/api/v1/subscriptions", {"name": "All", "pattern": "*", "handler": "log", "options": {}}),
        ("/api/v1/schedules", {"name": "Nightly", "cron": "0 3 * * *", "type": "night.fell"}),
    ],
)
def test_other_things_are_created_once_too(api: Program, sqlite_rt: Runtime, path: str, document: Any) -> None:
    register_handlers(sqlite_rt, [HandlerInfo("log", "Writes a line.")])
    first, again = (keyed(api, "k", document, path) for _ in range(2))
    assert first.status_code == 201, first.text
    assert (again.data, again.headers["Location"]) == (first.data, first.headers["Location"])
    described: Any = api.get("/api/openapi.json").json["paths"][path]["post"]  # type: ignore[index]
    assert "Idempotency-Key" in [one["name"] for one in described["parameters"]]


def test_the_beat_forgets_keys_that_ran_out(rt: Runtime, publisher: Program, clock: Clock) -> None:
    keyed(publisher, "k", order())
    clock.advance(hours=25)
    upkeep.prune(rt)
    assert make.rows_of(rt, tables.idempotency_keys) == []


# Limits, by people


def test_the_limit_of_a_key_is_set_on_its_page(signed_in: Person, sqlite_rt: Runtime) -> None:
    signed_in.post("/settings/keys", {"name": "shop", "role": "publisher", "rate_limit": "120"})
    (key,) = make.rows_of(sqlite_rt, tables.api_keys)
    assert key.rate_limit == 120
    signed_in.post(f"/settings/keys/{key.id}/limit", {"rate_limit": "60"})
    assert make.row_of(sqlite_rt, tables.api_keys, key.id).rate_limit == 60
    assert 'value="60"' in signed_in.get("/settings/keys").text
    refused = signed_in.post(f"/settings/keys/{key.id}/limit", {"rate_limit": "0"})
    assert refused.status_code == 422
    signed_in.post(f"/settings/keys/{key.id}/limit", {"rate_limit": ""})
    assert make.row_of(sqlite_rt, tables.api_keys, key.id).rate_limit is None
    actions = [row.action for row in make.rows_of(sqlite_rt, tables.audit)]
    assert actions.count("api_key.limited") == 2
    again = signed_in.post("/settings/keys", {"name": "shop", "role": "publisher", "rate_limit": "many"})
    assert again.status_code == 422


def test_the_limit_of_a_key_is_set_from_the_command_line(app: Flask, sqlite_rt: Runtime) -> None:
    run = app.test_cli_runner().invoke
    run(args=["key", "create", "shop", "--rate-limit", "5"])
    (key,) = make.rows_of(sqlite_rt, tables.api_keys)
    assert key.rate_limit == 5
    assert run(args=["key", "limit", key.id, "7"]).output == "7 requests a minute\n"
    assert run(args=["key", "limit", key.id]).output == "as the setting says\n"
    assert make.row_of(sqlite_rt, tables.api_keys, key.id).rate_limit is None
