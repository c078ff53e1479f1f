"""``webhook``: sends the event to a URL, signed after the Standard Webhooks scheme when a secret is given.

The message id is the delivery id, the same on every try, so that the receiver can drop what it has seen.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from jobs import signing
from jobs.answers import MAX_RETRY_AFTER as MAX_RETRY_AFTER
from jobs.answers import judge as judge
from jobs.answers import retry_after as retry_after
from jobs.answers import shown
from jobs.handlers import Context, Discard, Event, EventHandler, Invalid, Outcome
from jobs.messages import FORMS, Message, batch_of, message_of, trace_headers
from jobs.outbound import OutboundRefused, checked_headers, checked_url
from jobs.signing import sign as sign
from jobs.tls import Tls
from webapp.domain.instants import parse_instant

METHODS = ("POST", "PUT", "PATCH")
_TEXT: dict[str, Any] = {"type": "string", "maxLength": 2000}
_SECRET: dict[str, Any] = {"type": "string", "maxLength": 500, "x-sensitive": True}
_PEM = "PEM, best as {secret.NAME}, or a file in the hub's folder of credentials"


class WebhookHandler(EventHandler):
    """Call a URL."""

    name = "webhook"
    description = "Sends the event to a URL over HTTP, signed if a secret is given."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "url": {"type": "string", "format": "uri", "maxLength": 2000},
            "method": {"type": "string", "enum": list(METHODS), "default": "POST"},
            "format": {
                "type": "string",
                "enum": list(FORMS),
                "default": "json",
                "description": "The event as the hub's JSON, as Standard Webhooks {type, timestamp, data}, or as a CloudEvent",
            },
            "secret": _SECRET | {"description": "Signs each call (Standard Webhooks): whsec_… or, Ed25519, whsk_…"},
            "secrets": {
                "type": "array",
                "items": _SECRET,
                "x-sensitive": True,
                "description": "Further secrets that sign too",
            },
            "previous_secret": _SECRET | {"description": "Signs too while it is being replaced"},
            "previous_secret_until": _TEXT | {"description": "Until then, such as 2026-03-02T12:00:00Z"},
            "headers": {"type": "object", "description": "Further headers, name to value"},
            "auth": {
                "type": "object",
                "description": "basic with username and password, or bearer with token",
                "properties": {
                    "type": {"type": "string", "enum": ["basic", "bearer"]},
                    "username": _TEXT,
                    "password": _TEXT | {"x-sensitive": True},
                    "token": {"type": "string", "maxLength": 8000, "x-sensitive": True},
                },
                "required": ["type"],
                "additionalProperties": False,
            },
            "tls": {
                "type": "object",
                "description": "A client certificate, and whom to trust",
                "properties": {
                    "certificate": {"type": "string", "description": _PEM},
                    "key": {"type": "string", "x-sensitive": True, "description": _PEM},
                    "ca": {"type": "string", "description": f"Instead of the system's: {_PEM}"},
                },
                "additionalProperties": False,
            },
            "http2": {"type": "string", "enum": ["off", "auto"], "default": "off"},
            "on_gone": {
                "type": "string",
                "enum": ["pause", "discard"],
                "default": "pause",
                "description": "410 Gone ends the delivery, and pauses the subscription",
            },
        },
        "required": ["url"],
        "additionalProperties": False,
    }

    async def validate(self, event: Event, ctx: Context) -> None:
        try:
            checked_url(str(self.options.get("url", "")))
            checked_headers(self._own_headers())
        except OutboundRefused as error:
            raise Invalid(str(error)) from None
        for secret in signing.secrets_of(self.options):
            signing.check(secret)
        if until := self.options.get("previous_secret_until"):
            parse_instant(str(until))
        if self._tls.certificate and not (self._tls.key or "PRIVATE KEY" in self._tls.certificate):
            raise Invalid("tls.certificate needs tls.key")

    async def process(self, event: Event, ctx: Context) -> Outcome:
        return await self._send(message_of(event, self._form), event, ctx)

    async def process_batch(self, events: Sequence[Event], ctx: Context) -> Outcome:
        return await self._send(batch_of(events, self._form), events[0], ctx)

    async def _send(self, message: Message, event: Event, ctx: Context) -> Outcome:
        url = checked_url(str(self.options["url"]))
        now = datetime.now(UTC)  # noqa: TID251  the receiver compares it with the wall clock
        ours = message.headers | self._message_headers(ctx.delivery_id, now, message.body)
        headers = _merged(self._own_headers(), ours | trace_headers(event, ctx.delivery_id, ctx.attempt))
        try:
            answer = await ctx.http.request(
                str(self.options.get("method", "POST")),
                str(url),
                body=message.body,
                headers=headers,
                tls=self._tls if self._tls != Tls() else None,
                http2=self.options.get("http2") == "auto",
            )
        except OutboundRefused as error:
            return Discard(f"{url.host}: {error}")
        ok = answer.status < 300
        ctx.log(f"{answer.status} from {url.host}", "info" if ok else "warning")
        if not ok:
            ctx.log(f"it answered {shown(answer)}", "warning")
        if answer.status == 410 and self.options.get("on_gone", "pause") == "pause":
            await ctx.pause_subscription(f"{url.host} answered 410 Gone: it wants no more of this")
        return judge(answer, url.host or "", now)

    @property
    def _form(self) -> str:
        return str(self.options.get("format", "json"))

    @property
    def _tls(self) -> Tls:
        given = self.options.get("tls") or {}
        return Tls(*(str(given.get(part, "")) for part in ("certificate", "key", "ca")))

    def _own_headers(self) -> dict[str, str]:
        """Those of the options, and what ``auth`` makes of itself."""
        given = self.options.get("headers") or {}
        if not isinstance(given, Mapping):
            raise Invalid("headers must be an object")
        headers = {str(name): str(value) for name, value in given.items()}
        if auth := self.options.get("auth"):
            if any(name.lower() == "authorization" for name in headers):
                raise Invalid("give either auth or the header Authorization")
            headers["Authorization"] = _authorization(auth)
        return headers

    def _message_headers(self, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
        timestamp = int(now.timestamp())
        headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
        if secrets := signing.secrets_of(self.options, now):
            headers["webhook-signature"] = signing.sign_all(secrets, message_id, timestamp, body)
        return headers


def _authorization(auth: Mapping[str, Any]) -> str:
    if auth.get("type") == "bearer":
        if not auth.get("token"):
            raise Invalid("auth of type bearer needs a token")
        return f"Bearer {auth['token']}"
    if not auth.get("username") or ":" in str(auth["username"]):
        raise Invalid("auth of type basic needs a username without colons")
    pair = f"{auth['username']}:{auth.get('password', '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _merged(own: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Ours win: a receiver must be able to rely on them."""
    taken = {name.lower() for name in ours}
    return {name: value for name, value in own.items() if name.lower() not in taken} | dict(ours)
