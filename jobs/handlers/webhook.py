"""``webhook``: POSTs the event as JSON to a URL, signed after the Standard Webhooks scheme when a secret is given.

The message id is the delivery id, the same on every try, so that the receiver can drop what it has seen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import ClassVar

from jobs.handlers import Context, Discard, Done, Event, EventHandler, Invalid, Outcome, Retry
from jobs.outbound import Answer, OutboundRefused, checked_headers, checked_url

SHOWN_BYTES = 2000  # of an answer's body are kept with the attempt
MAX_RETRY_AFTER = timedelta(days=30)  # what is read; the subscription's policy has the last word


class WebhookHandler(EventHandler):
    """Call a URL."""

    name = "webhook"
    description = "Sends the event as JSON to a URL (HTTP POST)."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "url": {"type": "string", "format": "uri", "maxLength": 2000},
            "secret": {"type": "string", "maxLength": 500, "description": "Signs each call (Standard Webhooks)"},
            "headers": {"type": "object", "description": "Further headers, name to value"},
        },
        "required": ["url"],
        "additionalProperties": False,
    }

    async def validate(self, event: Event, ctx: Context) -> None:
        try:
            checked_url(str(self.options.get("url", "")))
            checked_headers(self._extra_headers())
        except OutboundRefused as error:
            raise Invalid(str(error)) from None

    async def process(self, event: Event, ctx: Context) -> Outcome:
        url = str(self.options["url"])
        body = json.dumps(event.to_json(), ensure_ascii=False, separators=(",", ":")).encode()
        now = datetime.now(UTC)  # noqa: TID251  the receiver compares it with the wall clock
        headers = self._extra_headers() | self._message_headers(ctx.delivery_id, int(now.timestamp()), body)
        try:
            answer = await ctx.http.post(url, body, headers=headers)
        except OutboundRefused as error:
            return Discard(f"{checked_url(url).host}: {error}")
        ctx.log(f"{answer.status} from {checked_url(url).host}", "info" if answer.status < 300 else "warning")
        return judge(answer, checked_url(url).host or "", now)

    def _extra_headers(self) -> dict[str, str]:
        headers = self.options.get("headers") or {}
        if not isinstance(headers, Mapping):
            raise Invalid("headers must be an object")
        return {str(name): str(value) for name, value in headers.items()}

    def _message_headers(self, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
        }
        if secret := self.options.get("secret"):
            headers["webhook-signature"] = sign(str(secret), message_id, timestamp, body)
        return headers


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """``v1,<base64>``: HMAC-SHA256 over ``id.timestamp.body``, as Standard Webhooks says."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def judge(answer: Answer, host: str, now: datetime) -> Outcome:
    """What an answer means: 2xx is done, 410 says stop, everything else may be better next time.

    The status goes with a failure: the subscription's policy may rule out further tries for it.
    """
    if 200 <= answer.status < 300:
        return Done({"status": answer.status, "body": answer.text(SHOWN_BYTES), "truncated": answer.truncated})
    if answer.status == 410:
        return Discard(f"410 Gone from {host}: the receiver wants no more of this")
    reason = f"{answer.status} from {host}"
    if 300 <= answer.status < 400:
        reason += " (redirects are not followed)"
    asked = retry_after(answer.headers, now) if answer.status in (429, 503) else None
    return Retry(reason=reason, status=answer.status, retry_after=asked)


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The ``Retry-After`` of an answer, seconds or a date."""
    value = next((v for name, v in headers.items() if name.lower() == "retry-after"), "").strip()
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=int(value[:9])), MAX_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return max(timedelta(), min(wait, MAX_RETRY_AFTER))


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            return secret.encode()
    return secret.encode()
