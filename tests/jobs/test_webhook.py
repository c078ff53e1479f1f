"""The webhook handler against a real receiver, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web

from jobs.handlers import Discard, Done, Outcome, Retry
from jobs.handlers.base import Invalid
from jobs.handlers.webhook import MAX_RETRY_AFTER, WebhookHandler, judge, retry_after, sign
from jobs.outbound import Answer
from jobs.runner import conclude, returned_ending
from tests.support.attempts import EVENT, Notes, claimed
from tests.support.clock import NOON
from webapp.domain.retry import RetryPolicy


def deliver(
    options: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    private: bool = True,
) -> tuple[Outcome, list[Any]]:
    """Send the event to a receiver that answers so; gives the outcome and the requests that came."""
    seen: list[Any] = []

    async def receive(request: web.Request) -> web.Response:
        seen.append((request.method, dict(request.headers), await request.read()))
        return web.Response(status=status, text="thanks", headers=headers)

    async def run() -> Outcome:
        app = web.Application()
        app.router.add_route("*", "/hook", receive)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        notes = Notes(allow_private=private)
        try:
            handler = WebhookHandler({"url": f"http://127.0.0.1:{port}/hook", **(options or {})})
            return await handler.handle(EVENT, notes.context())
        finally:
            await notes.http.close()
            await runner.cleanup()

    return asyncio.run(run()), seen


def test_event_is_posted_as_json_with_the_delivery_id() -> None:
    outcome, [(method, headers, body)] = deliver({"headers": {"X-Team": "shop"}})
    assert isinstance(outcome, Done)
    assert {name: outcome.result[name] for name in ("status", "body", "truncated")} == {
        "status": 200,
        "body": "thanks",
        "truncated": False,
    }
    assert outcome.result["headers"]["Content-Type"].startswith("text/plain")
    assert (method, headers["Content-Type"], headers["webhook-id"], headers["X-Team"]) == (
        "POST",
        "application/json",
        "dlv_1",
        "shop",
    )
    assert json.loads(body) == EVENT.to_json()
    assert "webhook-signature" not in headers


@pytest.mark.parametrize("secret", ["plain secret", "whsec_" + base64.b64encode(b"k" * 24).decode()])
def test_call_is_signed_when_a_secret_is_given(secret: str) -> None:
    _, [(_, headers, body)] = deliver({"secret": secret})
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    signed = f"dlv_1.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_signature_is_that_of_the_standard() -> None:
    secret, message = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert (
        sign(secret, message, 1614265330, b'{"test": 2432232314}') == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_private_address_is_discarded_with_the_reason() -> None:
    outcome, seen = deliver(private=False)
    assert isinstance(outcome, Discard)
    assert "not a public address" in outcome.reason
    assert seen == []


@pytest.mark.parametrize(
    "options", [{"url": "ftp://x/"}, {"url": ""}, {"headers": {"Host": "x"}}, {"headers": {"A": "b\r\nc"}}]
)
def test_options_that_cannot_work_are_permanent(options: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        deliver(options)


@pytest.mark.parametrize("status", [300, 301, 400, 401, 404, 429, 500, 503])
def test_other_answers_are_tried_again(status: int) -> None:
    outcome, _ = deliver(status=status, headers={"Location": "/elsewhere"})
    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith(f"{status} from 127.0.0.1")


def test_gone_is_not_tried_again() -> None:
    outcome, _ = deliver(status=410)
    assert isinstance(outcome, Discard)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", timedelta(seconds=7)),
        ("0", timedelta()),
        ("999999999999", MAX_RETRY_AFTER),
        ("Sat, 01 Jan 2000 00:00:00 GMT", timedelta()),
        ("Fri, 01 Jan 2100 00:00:00 GMT", MAX_RETRY_AFTER),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
    ],
)
def test_retry_after_is_honoured_within_bounds(header: str, wait: timedelta | None) -> None:
    assert retry_after({"retry-after": header}, NOON) == wait


@pytest.mark.parametrize("value", ["7", format_datetime(NOON + timedelta(seconds=7), usegmt=True)])
def test_retry_after_counts_only_where_it_belongs(value: str) -> None:
    for status, wait in ((429, timedelta(seconds=7)), (503, timedelta(seconds=7)), (500, None), (404, None)):
        outcome = judge(Answer(status, {"Retry-After": value}, b"", False), "h", NOON)
        assert isinstance(outcome, Retry)
        assert (outcome.after, outcome.retry_after, outcome.status) == (None, wait, status)


@pytest.mark.parametrize(
    ("status", "never", "state", "seconds"),
    [
        (503, (), "waiting", 120),
        (503, ("5xx",), "dead", None),
        (404, ("4xx",), "dead", None),
        (404, (410, 429), "waiting", 5),
    ],
)
def test_status_of_an_answer_meets_the_policy(
    status: int, never: tuple[int | str, ...], state: str, seconds: int | None
) -> None:
    outcome, _ = deliver(status=status, headers={"Retry-After": "120"})
    policy = RetryPolicy(base_s=5, jitter=False, never_retry_statuses=never)
    finished = conclude(claimed("webhook", policy=policy), returned_ending(outcome), NOON, NOON, 0.5)
    assert (finished.settlement.state, finished.settlement.due_at) == (
        state,
        None if seconds is None else NOON + timedelta(seconds=seconds),
    )
    if state == "dead":
        assert finished.settlement.reason == "permanent"
        assert str(finished.error_message).endswith(f"the retry policy rules it out for HTTP status {never[0]})")
