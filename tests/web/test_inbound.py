"""Senders that speak their own dialect: verified, mapped, accepted once, and written down."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from base64 import b64encode
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from tests.support import factories as make
from tests.support.clock import Clock
from webapp.domain.access import SYSTEM
from webapp.domain.sources import parse_source
from webapp.runtime import Runtime
from webapp.services import sources as service
from webapp.store import tables
from webapp.store import tables_inbound as inbound

SECRET = "a-secret-of-theirs"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A sender: no cookie, no key."""
    return app.test_client()


def source(rt: Runtime, kind: str, **fields: Any) -> Any:
    document = {"name": f"Our {kind}", "kind": kind, "secret": SECRET, **fields}
    if kind in ("none", "publish"):
        document.pop("secret")
    made = service.create(rt, SYSTEM, parse_source(document))
    with rt.db.read() as conn:
        return conn.execute(select(inbound.sources).where(inbound.sources.c.id == made.id)).one()


def kept(rt: Runtime) -> list[Any]:
    return make.rows_of(rt, inbound.source_requests)


def events(rt: Runtime) -> list[Any]:
    return make.rows_of(rt, tables.events)


def post(client: FlaskClient, row: Any, body: bytes, kind: str = "application/json", **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/in/{row.token}", data=body, content_type=kind, headers=named)


def sha256(secret: str, content: bytes) -> str:
    return hmac.digest(secret.encode(), content, hashlib.sha256).hex()


def github(secret: str, body: bytes, delivery: str = "d-1", event: str = "pull_request") -> dict[str, str]:
    return {
        "X_Hub_Signature_256": "sha256=" + sha256(secret, body), "X_GitHub_Event": event, "X_GitHub_Delivery": delivery,
    }  # fmt: skip


def test_github_is_verified_mapped_and_taken_once(client: FlaskClient, sqlite_rt: Runtime) -> None:
    row = source(sqlite_rt, "github", event_source="github.com/acme")
    body = json.dumps({"action": "opened", "repository": {"full_name": "acme/shop"}}).encode()
    answer = post(client, row, body, **github(SECRET, body))
    assert answer.status_code == 202, answer.text
    (event,) = events(sqlite_rt)
    assert (event.type, event.id, event.subject, event.source) == (
        "github.pull_request.opened", "d-1", "acme/shop", "github.com/acme",
    )  # fmt: skip
    again = post(client, row, body, **github(SECRET, body))
    assert (again.status_code, again.json["duplicate"]) == (202, True)  # type: ignore[index]
    assert len(events(sqlite_rt)) == 1
    push = post(
        client, row, body.replace(b"opened", b""), **github(SECRET, body.replace(b"opened", b""), "d-2", "push")
    )
    assert push.status_code == 202
    assert events(sqlite_rt)[1].type == "github.push"
    assert [one.verdict for one in kept(sqlite_rt)] == ["accepted", "duplicate", "accepted"]
    assert kept(sqlite_rt)[0].event_uid == event.uid


def test_github_may_send_a_form(client: FlaskClient, sqlite_rt: Runtime) -> None:
    row = source(sqlite_rt, "github")
    body = b"payload=%7B%22action%22%3A%22created%22%7D"
    answer = post(client, row, body, "application/x-www-form-urlencoded", **github(SECRET, body, event="star"))
    assert answer.status_code == 202
    assert events(sqlite_rt)[0].type == "github.star.created"


def test_wrong_signature_is_refused_with_the_reason_kept(client: FlaskClient, sqlite_rt: Runtime) -> None:
    row = source(sqlite_rt, "github")
    answer = post(client, row, b"{}", **github("another", b"{}"), Authorization="Basic YQ==", X_Api_Key="k")
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert events(sqlite_rt) == []
    (request,) = kept(sqlite_rt)
    assert (request.verdict, request.status) == ("rejected", 401)
    assert "does not match" in request.reason
    hidden = {name for name, value in request.headers.items() if value == "(hidden)"}
    assert hidden == {"x-hub-signature-256", "authorization", "x-api-key"}
    assert request.headers["x-github-event"] == "pull_request"


def test_stripe_signs_its_time_and_an_old_one_is_refused(client: FlaskClient, sqlite_rt: Runtime, clock: Clock) -> None:
    row = source(sqlite_rt, "stripe")
    body = b'{"id":"evt_9","type":"charge.refunded","data":{"object":{"id":"ch_1"}}}'
    now = int(clock().timestamp())
    for at, status in ((now, 202), (now - 299, 202), (now - 301, 401), (now + 301, 401)):
        signature = f"t={at},v1={'0' * 64},v1={sha256(SECRET, f'{at}.'.encode() + body)}"
        assert post(client, row, body, Stripe_Signature=signature).status_code == status
    (event,) = events(sqlite_rt)
    assert (event.type, event.id, event.subject) == ("stripe.charge.refunded", "evt_9", "ch_1")
    assert "301 s are" not in kept(sqlite_rt)[2].reason
    assert "300 s are allowed" in kept(sqlite_rt)[2].reason


def slack(clock: Clock, body: bytes) -> dict[str, str]:
    at = str(int(clock().timestamp()))
    return {"X_Slack_Request_Timestamp": at, "X_Slack_Signature": "v0=" + sha256(SECRET, f"v0:{at}:".encode() + body)}


def test_slack_challenge_is_answered_and_is_no_event(client: FlaskClient, sqlite_rt: Runtime, clock: Clock) -> None:
    row = source(sqlite_rt, "slack")
    body = b'{"type":"url_verification","challenge":"3eZbrw1a"}'
    answer = post(client, row, body, **slack(clock, body))
    assert (answer.status_code, answer.text) == (200, "3eZbrw1a")
    assert post(client, row, body).status_code == 401
    assert events(sqlite_rt) == []
    assert [one.verdict for one in kept(sqlite_rt)] == ["ignored", "rejected"]


def test_slack_event_command_and_retry(client: FlaskClient, sqlite_rt: Runtime, clock: Clock) -> None:
    row = source(sqlite_rt, "slack")
    body = b'{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention","channel":"C1"}}'
    assert post(client, row, body, **slack(clock, body)).text == ""
    assert post(client, row, body, **slack(clock, body), X_Slack_Retry_Num="1").status_code == 200
    form = b"command=%2FDeploy&text=prod&trigger_id=13.7"
    assert post(client, row, form, "application/x-www-form-urlencoded", **slack(clock, form)).status_code == 200
    assert [(one.type, one.id) for one in events(sqlite_rt)] == [("slack.app_mention", "Ev1"), ("slack.deploy", "13.7")]


def test_standard_webhooks_of_the_reference_library(client: FlaskClient, sqlite_rt: Runtime, clock: Clock) -> None:
    secret = "whsec_" + b64encode(b"0123456789abcdef01234567").decode()
    row = source(sqlite_rt, "standard", secret=secret)
    body = '{"type":"Invoice.Paid","data":{"id":7}}'
    signature = Webhook(secret).sign("msg_1", clock(), body)
    headers = {"webhook_id": "msg_1", "webhook_timestamp": str(int(clock().timestamp()))}
    assert post(client, row, body.encode(), webhook_signature=f"v1,bad {signature}", **headers).status_code == 202
    assert post(client, row, body.encode() + b" ", webhook_signature=signature, **headers).status_code == 401
    (event,) = events(sqlite_rt)
    assert (event.type, event.id) == ("invoice.paid", "msg_1")


def test_secret_before_vouches_until_its_overlap_is_over(client: FlaskClient, sqlite_rt: Runtime, clock: Clock) -> None:
    from datetime import timedelta

    row = source(sqlite_rt, "github")
    service.rotate(sqlite_rt, SYSTEM, row.id, "the-new-secret", timedelta(hours=1))
    old, new = github(SECRET, b"{}"), github("the-new-secret", b"{}")
    assert [post(client, row, b"{}", **one).status_code for one in (old, new)] == [202, 202]
    clock.advance(hours=1)
    assert [post(client, row, b"{}", **one).status_code for one in (old, new)] == [401, 202]


def test_generic_signature_with_time_is_taken_once(client: FlaskClient, sqlite_rt: Runtime, clock: Clock) -> None:
    options = {
        "header": "X-Sig",
        "prefix": "v=",
        "encoding": "base64",
        "algorithm": "sha512",
        "timestamp_header": "X-At",
    }
    row = source(
        sqlite_rt, "hmac", options=options, mapping={"type": "erp.{body.kind}", "subject": "{body.items[0].no}"}
    )
    body, at = b'{"kind":"Shipped","items":[{"no":4}]}', str(int(clock().timestamp()))
    signature = "v=" + b64encode(hmac.digest(SECRET.encode(), at.encode() + b"." + body, hashlib.sha512)).decode()
    for duplicate in (False, True):
        answer = post(client, row, body, X_Sig=signature, X_At=at)
        assert (answer.status_code, answer.json["duplicate"]) == (202, duplicate)  # type: ignore[index]
    assert [(one.type, one.subject) for one in events(sqlite_rt)] == [("erp.shipped", "4")]


def test_basic_and_none(client: FlaskClient, sqlite_rt: Runtime) -> None:
    basic, none = source(sqlite_rt, "basic", options={"user": "erp"}), source(sqlite_rt, "none", name="ERP")
    good = "Basic " + b64encode(f"erp:{SECRET}".encode()).decode()
    bad = "Basic " + b64encode(b"erp:no").decode()
    assert post(client, basic, b"[1]", Authorization=good).status_code == 202
    assert post(client, basic, b"[1]", Authorization=bad).status_code == 401
    assert post(client, basic, b"[1]").status_code == 401
    assert post(client, none, "grün".encode(), "text/plain").status_code == 202
    assert post(client, none, b"a=1&a=2&b=", "application/x-www-form-urlencoded").status_code == 202
    payloads = [json.loads(one.payload) for one in events(sqlite_rt)]
    assert payloads == [{"data": [1]}, {"data": "grün"}, {"a": ["1", "2"], "b": ""}]
    assert events(sqlite_rt)[1].type == "erp"


def test_cloudevent_is_taken_as_one_and_its_handshake_answered(client: FlaskClient, sqlite_rt: Runtime) -> None:
    row = source(sqlite_rt, "none")
    headers = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/grid", "ce_type": "Microsoft.Storage.BlobCreated"}
    assert post(client, row, b'{"a":1}', **headers).status_code == 202
    structured = json.dumps({"specversion": "1.0", "id": "2", "source": "/grid", "type": "x.y"}).encode()
    assert post(client, row, structured, "application/cloudevents+json").status_code == 202
    assert [(one.type, one.source) for one in events(sqlite_rt)] == [
        ("microsoft.storage.blobcreated", "/grid"), ("x.y", "/grid"),
    ]  # fmt: skip
    answer = client.options(f"/in/{row.token}", headers={"WebHook-Request-Origin": "eventgrid.example"})
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.example"
    assert client.options("/in/nothing").status_code == 404


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"a":1,"a":2}', "application/json", 400),
        (b'{"type":"\xe6\x97\xa5"}', "application/json", 422),
        (b'{"type":"' + b"a" * 200 + b'"}', "application/json", 422),
        (b"a=%ff", "application/x-www-form-urlencoded", 400),
        (b"a=%00", "application/x-www-form-urlencoded", 422),
        (b"&".join(b"a=1" for _ in range(600)), "application/x-www-form-urlencoded", 400),
        (b" " * (1 << 20) + b"{}", "application/json", 413),
    ],
)
def test_hostile_body_is_refused_and_kept(
    client: FlaskClient, sqlite_rt: Runtime, body: bytes, kind: str, status: int
) -> None:
    row = source(sqlite_rt, "none")
    answer = post(client, row, body, kind)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert [one.status for one in kept(sqlite_rt)] == [status]
    assert events(sqlite_rt) == []


def test_unknown_disabled_and_deleted_addresses(client: FlaskClient, sqlite_rt: Runtime) -> None:
    row, publishing = source(sqlite_rt, "none"), source(sqlite_rt, "publish")
    assert client.post("/in/nothing").status_code == 404
    assert client.post(f"/in/{publishing.token}").status_code == 404
    assert client.get(f"/p/{row.token}/a").status_code == 404
    assert client.get(f"/in/{row.token}").status_code == 405
    service.disable(sqlite_rt, SYSTEM, row.id)
    assert post(client, row, b"{}").status_code == 403
    service.enable(sqlite_rt, SYSTEM, row.id)
    assert post(client, row, b"{}").status_code == 202
    service.delete(sqlite_rt, SYSTEM, row.id)
    assert post(client, row, b"{}").status_code == 404
    assert kept(sqlite_rt) == []


def test_flood_of_refused_requests_leaves_bounded_notes(client: FlaskClient, sqlite_rt: Runtime) -> None:
    row = source(sqlite_rt, "github")
    for _ in range(80):
        assert post(client, row, b"{}").status_code == 401
    assert 60 <= len(kept(sqlite_rt)) < 75


def test_newest_hundred_requests_are_kept(rt: Runtime) -> None:
    from webapp.store.sources import keep_request, last_requests, list_sources, traffic_of

    mine, other = source(rt, "none"), source(rt, "none", name="Another")
    for n in range(105):
        with rt.db.write() as conn:
            keep_request(conn, request_row(rt, mine.id, "accepted" if n % 2 else "rejected"))
    with rt.db.write() as conn:
        keep_request(conn, request_row(rt, other.id, "accepted"))
    with rt.db.read() as conn:
        assert len(last_requests(conn, mine.id)) == 100
        traffic = traffic_of(conn, [mine.id, other.id])
        first, following = list_sources(conn, "", 1)
        second, end = list_sources(conn, following or "", 1)
    assert [row.id for row in (*first, *second)] == [other.id, mine.id]
    assert end is None
    assert (traffic[mine.id].counts, traffic[other.id].total) == ({"accepted": 50, "rejected": 50}, 1)


def request_row(rt: Runtime, source_id: str, verdict: str) -> dict[str, Any]:
    return {
        "id": rt.new_id("req"), "source_id": source_id, "at": rt.clock(), "ip": "192.0.2.1", "verdict": verdict,
        "status": 202, "reason": None, "headers": {}, "body": "", "event_uid": None,
    }  # fmt: skip


def test_receiving_works_on_both_databases(rt: Runtime) -> None:
    from webapp.services.accept import Acceptor
    from webapp.services.inbound import Arrival, find_source, receive

    row = source(rt, "github")
    body = '{"action":"naïve \\ud83d\\ude00"}'.encode()
    headers = {name.replace("_", "-").lower(): value for name, value in github(SECRET, body).items()}
    arrival = Arrival({**headers, "content-type": "application/json"}, body, ip="192.0.2.1")
    found = find_source(rt, row.token, publish=False)
    acceptor = Acceptor(rt)
    answers = [receive(rt, acceptor, found, arrival, lambda _: True).accepted for _ in range(2)]
    assert [one.duplicate for one in answers if one] == [False, True]
    assert [one.verdict for one in kept(rt)] == ["accepted", "duplicate"]


def test_token_is_in_no_log(client: FlaskClient, sqlite_rt: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    row, publishing = source(sqlite_rt, "github"), source(sqlite_rt, "publish")
    with caplog.at_level(logging.DEBUG):
        post(client, row, b"{}")
        client.get(f"/p/{publishing.token}/a")
    seen = " ".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "/in/" in seen
    assert row.token not in seen
    assert publishing.token not in seen
    assert row.token not in str(make.rows_of(sqlite_rt, tables.audit))


# /p


def test_publish_from_a_shell(client: FlaskClient, sqlite_rt: Runtime) -> None:
    row = source(sqlite_rt, "publish", name="Cron jobs")
    url = f"/p/{row.token}/backup.done"
    form = "application/x-www-form-urlencoded"
    for send in (
        lambda: client.get(url),
        lambda: client.get(f"{url}?host=db1&disk=80&disk=81"),
        lambda: client.post(f"{url}?host=db1", data=b'{"size":5}', content_type=form),
        lambda: client.post(url, data=b"disk full", content_type=form),
        lambda: client.post(url, data=b"a=1", content_type=form),
    ):
        answer = send()
        assert (answer.status_code, answer.mimetype) == (202, "text/plain")
        assert answer.text.startswith("accepted evt_")
        assert answer.text.count("\n") == 1
    assert [json.loads(one.payload) for one in events(sqlite_rt)] == [
        {}, {"host": "db1", "disk": ["80", "81"]}, {"host": "db1", "size": 5}, {"data": "disk full"}, {"a": "1"},
    ]  # fmt: skip
    assert {(one.type, one.source) for one in events(sqlite_rt)} == {("backup.done", "cron-jobs")}


def test_looking_publishes_nothing(client: FlaskClient, sqlite_rt: Runtime) -> None:
    row = source(sqlite_rt, "publish")
    url = f"/p/{row.token}/backup.done"
    assert client.head(url).status_code == 200
    assert client.get(url, headers={"Sec-Purpose": "prefetch;prerender"}).status_code == 200
    assert client.options(url).status_code == 200
    assert events(sqlite_rt) == []


@pytest.mark.parametrize("wrong", ["Backup", "a b", "-", "a" * 129])
def test_wrong_type_is_one_line(client: FlaskClient, sqlite_rt: Runtime, wrong: str) -> None:
    row = source(sqlite_rt, "publish")
    answer = client.get(f"/p/{row.token}/{wrong}")
    assert (answer.status_code, answer.mimetype) == (422, "text/plain")
    assert answer.text.startswith("refused: A type is")
    assert answer.text.count("\n") == 1
