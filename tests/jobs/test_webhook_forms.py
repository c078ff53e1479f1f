"""What a webhook sends, checked with the libraries that receivers use."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook, WebhookVerificationError

from jobs.handlers import Context, Done, Outcome, Retry
from jobs.handlers.base import Invalid
from jobs.handlers.webhook import WebhookHandler
from jobs.signing import secrets_of
from tests.support.attempts import EVENT, Notes
from tests.support.receivers import receiver
from tests.support.sources import ROOT
from webapp.domain.instants import iso

OLD = "whsec_" + base64.b64encode(b"o" * 24).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
LATER, EARLIER = (iso(datetime.now(UTC) + timedelta(days=days)) for days in (1, -1))
Seen = tuple[str, dict[str, str], bytes]


def deliver(
    options: Mapping[str, Any], *, event: Any = EVENT, batch: Sequence[Any] = (), attempt: int = 1, status: int = 200
) -> tuple[Outcome, list[Seen], Notes, Context]:
    notes = Notes()
    ctx = notes.context(attempt)

    async def run() -> tuple[Outcome, list[Seen]]:
        async with receiver(status=status, headers={"Retry-After": "7", "Set-Cookie": "id=1"}) as there:
            handler = WebhookHandler({"url": there.url} | dict(options))
            try:
                await handler.check(event, ctx)
                act = handler.handle_batch(batch, ctx) if batch else handler.handle(event, ctx)
                return await act, there.seen
            finally:
                await notes.http.close()

    outcome, seen = asyncio.run(run())
    return outcome, seen, notes, ctx


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({"secret": NEW}, {NEW}),
        ({"secret": NEW, "previous_secret": OLD}, {NEW, OLD}),
        ({"secret": NEW, "previous_secret": OLD, "previous_secret_until": LATER}, {NEW, OLD}),
        ({"secret": NEW, "previous_secret": OLD, "previous_secret_until": EARLIER}, {NEW}),
        ({"secrets": [NEW, OLD]}, {NEW, OLD}),
    ],
)
def test_receiver_verifies_a_call_with_each_secret_that_signs(options: dict[str, Any], fits: set[str]) -> None:
    _, [(_, headers, body)], _, _ = deliver(options | {"format": "standard"})
    for secret in (NEW, OLD):
        if secret in fits:
            assert Webhook(secret).verify(body, headers)["type"] == "order.paid"
        else:
            with pytest.raises(WebhookVerificationError):
                Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(body + b" ", headers)


def test_code_in_the_docs_verifies_a_call() -> None:
    page = (ROOT / "docs/webhooks.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], names)  # our own documentation
    _, [(_, headers, body)], _, _ = deliver({"secret": NEW, "previous_secret": OLD})
    assert names["verify"](NEW, headers, body)
    assert names["verify"](OLD, headers, body)
    assert not names["verify"](NEW, headers, body + b" ")
    assert not names["verify"](NEW, headers | {"webhook-timestamp": "1600000000"}, body)


def test_receiver_verifies_an_asymmetric_signature() -> None:
    key = Ed25519PrivateKey.generate()
    seed = key.private_bytes_raw()
    for secret in (seed, seed + key.public_key().public_bytes_raw()):
        _, [(_, headers, body)], _, _ = deliver({"secret": "whsk_" + base64.b64encode(secret).decode()})
        kind, _, signature = headers["webhook-signature"].partition(",")
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        assert kind == "v1a"
        key.public_key().verify(base64.b64decode(signature), signed)  # raises unless it fits


def test_kinds_of_signatures_go_together() -> None:
    key = "whsk_" + base64.b64encode(b"s" * 32).decode()
    _, [(_, headers, _)], _, _ = deliver({"secret": NEW, "secrets": [key]})
    assert [one.partition(",")[0] for one in headers["webhook-signature"].split()] == ["v1", "v1a"]


def test_previous_secret_ends_at_its_time() -> None:
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    options = {"secret": "a", "previous_secret": "b", "previous_secret_until": "2026-03-02T12:00:00Z"}
    assert secrets_of(options, at - timedelta(seconds=1)) == ["a", "b"]
    assert secrets_of(options, at) == ["a"]


def test_forms_of_one_event() -> None:
    bodies = {}
    for form in ("json", "standard", "cloudevents", "cloudevents-binary"):
        _, [(_, headers, body)], _, _ = deliver({"format": form})
        bodies[form] = (headers["Content-Type"], body, headers)
    assert json.loads(bodies["json"][1]) == EVENT.to_json()
    assert json.loads(bodies["standard"][1]) == {
        "type": "order.paid", "timestamp": iso(EVENT.timestamp), "data": EVENT.payload,
    }  # fmt: skip
    for form in ("cloudevents", "cloudevents-binary"):
        kind, body, headers = bodies[form]
        read = from_http(HTTPMessage(headers, body), JSONFormat(), CloudEvent)
        assert (read.get_id(), read.get_type(), read.get_data()) == ("o-1", "order.paid", EVENT.payload)
        assert kind == ("application/cloudevents+json" if form == "cloudevents" else "application/json")


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("json", "application/json"),
        ("standard", "application/json"),
        ("cloudevents", "application/cloudevents-batch+json"),
        ("cloudevents-binary", "application/cloudevents-batch+json"),
    ],
)
def test_batch_is_one_call_with_an_array(form: str, kind: str) -> None:
    events = [EVENT, replace(EVENT, id="o-2", uid="evt_2")]
    _, [(_, headers, body)], _, _ = deliver({"format": form, "secret": NEW}, batch=events)
    assert headers["Content-Type"] == kind
    assert len(json.loads(body)) == 2
    assert Webhook(NEW).verify(body, headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_method_is_chosen(method: str) -> None:
    assert deliver({"method": method})[1][0][0] == method


@pytest.mark.parametrize(
    ("auth", "sent"),
    [
        ({"type": "bearer", "token": "t"}, "Bearer t"),
        ({"type": "basic", "username": "u", "password": "p"}, "Basic " + base64.b64encode(b"u:p").decode()),
    ],
)
def test_auth_becomes_a_header(auth: dict[str, str], sent: str) -> None:
    assert deliver({"auth": auth})[1][0][1]["Authorization"] == sent


@pytest.mark.parametrize(
    "options",
    [
        {"auth": {"type": "bearer"}},
        {"auth": {"type": "basic", "username": "a:b"}},
        {"auth": {"type": "bearer", "token": "t"}, "headers": {"authorization": "x"}},
        {"secret": "whpk_AAAA"},
        {"secret": "whsk_AAAA"},
        {"secret": "whsk_not base64"},
        {"previous_secret": "x", "previous_secret_until": "soon"},
        {"tls": {"certificate": "a.pem"}},
        {"url": "http://user:password@example.com/"},
        {"url": "http://example.com:25/"},
    ],
)
def test_options_that_cannot_work_are_told_before_anything_is_sent(options: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        deliver(options)
    assert "password" not in str(caught.value).replace("a user or password", "")


def test_headers_of_the_message_cannot_be_replaced() -> None:
    _, [(_, headers, _)], _, _ = deliver({"headers": {"Webhook-Id": "x", "content-type": "text/plain", "X-A": "b"}})
    assert (headers["webhook-id"], headers["Content-Type"], headers["X-A"]) == ("dlv_1", "application/json", "b")


def test_trace_goes_on_with_a_span_for_each_try() -> None:
    traced = replace(EVENT, trace_id="0af7651916cd43dd8448eb211c80319c", labels={"tracestate": "a=b"})
    sent = [deliver({}, event=traced, attempt=n)[1][0][1] for n in (1, 2)]
    parts = [headers["traceparent"].split("-") for headers in sent]
    assert [(version, trace, len(span), flags) for version, trace, span, flags in parts] == [
        ("00", "0af7651916cd43dd8448eb211c80319c", 16, "01")
    ] * 2
    assert parts[0][2] != parts[1][2]
    assert sent[0]["tracestate"] == "a=b"
    assert "traceparent" not in deliver({})[1][0][1]


def test_gone_pauses_the_subscription_unless_told_otherwise() -> None:
    _, _, notes, _ = deliver({}, status=410)
    ((subscription, reason),) = notes.paused
    assert (subscription, "410 Gone" in reason) == ("sub_1", True)
    assert deliver({"on_gone": "discard"}, status=410)[2].paused == []
    assert deliver({}, status=404)[2].paused == []


@pytest.mark.parametrize(("status", "wait"), [(429, 7), (502, 7), (503, 7), (504, 7), (500, None)])
def test_receiver_that_has_too_much_to_do_says_how_long_to_wait(status: int, wait: int | None) -> None:
    outcome = deliver({}, status=status)[0]
    assert isinstance(outcome, Retry)
    assert outcome.retry_after == (None if wait is None else timedelta(seconds=wait))


def test_head_of_the_answer_is_kept_without_cookies() -> None:
    outcome, _, _, _ = deliver({})
    assert isinstance(outcome, Done)
    assert (outcome.result["headers"]["Retry-After"], outcome.result["headers"]["Set-Cookie"]) == ("7", "•••")
    lines = [text for _, _, text in deliver({}, status=500)[3].close()[0]]
    assert lines[0] == "500 from 127.0.0.1"
    assert "thanks" in lines[1]
    assert "id=1" not in lines[1]
