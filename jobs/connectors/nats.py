"""``nats``: publishes the event to a stream of NATS JetStream and waits until it is stored there.

The delivery id is the ``Nats-Msg-Id``: a stream drops what it has had within its window for duplicates.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from jobs.connectors.base import PASSWORD, URL, Connector, NotTaken
from jobs.connectors.envelopes import FORMAT, envelope_of
from jobs.connectors.servers import Server
from jobs.handlers import Context, Event, Invalid

if TYPE_CHECKING:
    from nats.aio.client import Client

PORTS = {"nats": (4222, False), "tls": (4222, True)}
PREFIX = "ce-"
ACK_S, CONNECT_S = 5.0, 5

_SUBJECT = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")


class NatsHandler(Connector):
    """Publish to NATS JetStream."""

    name = "nats"
    description = "Publishes the event to a JetStream subject of NATS and waits until its stream has it."
    ports = PORTS
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "url": URL | {"description": "nats://user@host:4222, or tls://; several hosts with commas"},
            "password": PASSWORD | {"description": "Without a user in the URL it is the token; best as {secret.NAME}"},
            "subject": {"type": "string", "maxLength": 255, "default": "{type}"},
            "stream": {"type": "string", "maxLength": 255, "description": "Fails unless this stream takes it"},
            "format": FORMAT,
        },
        "required": ["url"],
        "additionalProperties": False,
    }

    async def validate(self, event: Event, ctx: Context) -> None:
        await super().validate(event, ctx)
        if not _SUBJECT.fullmatch(self._subject(event)):
            raise Invalid(f"{self._subject(event)!r} is no subject that can be published to")

    async def open(self, server: Server) -> AsyncIterator[Client]:
        client = await connect(server)
        try:
            yield client
        finally:
            await client.close()

    def is_open(self, client: Client) -> bool:
        return client.is_connected

    async def send(self, client: Client, event: Event, ctx: Context) -> Mapping[str, Any]:
        from nats.errors import MaxPayloadError
        from nats.js.errors import APIError, NoStreamResponseError

        sent = envelope_of(event, str(self.options.get("format", "structured")))
        headers = {"Nats-Msg-Id": ctx.delivery_id, **sent.quoted(PREFIX)}
        if sent.content_type:
            headers["content-type"] = sent.content_type
        subject, stream = self._subject(event), str(self.options.get("stream") or "") or None
        try:
            ack = await client.jetstream().publish(subject, sent.body, timeout=ACK_S, stream=stream, headers=headers)
        except NoStreamResponseError:
            raise NotTaken(f"no stream takes the subject {subject!r}") from None
        except APIError as error:
            raise NotTaken(f"the stream refused it: {error.description}") from None
        except MaxPayloadError:
            raise Invalid(f"the event is larger than the server takes: {client.max_payload} bytes") from None
        return {"stream": ack.stream, "seq": ack.seq, "duplicate": bool(ack.duplicate)}

    def _subject(self, event: Event) -> str:
        return self.text("subject", event, "{type}")


async def connect(server: Server) -> Client:
    """A connection that ends when it breaks; whoever uses it makes another."""
    from nats.aio.client import Client

    client, trouble = Client(), []

    async def note(error: Exception) -> None:
        trouble.append(error)

    options: dict[str, Any] = {}
    if server.username:
        options = {"user": server.username, "password": server.password}
    elif server.password:
        options = {"token": server.password}
    servers = [f"{'tls' if server.is_tls else 'nats'}://{place}" for place in server.places]
    connecting = client.connect(
        servers, error_cb=note, allow_reconnect=False, connect_timeout=CONNECT_S, max_reconnect_attempts=1, reconnect_time_wait=0,
        tls=server.context(), name="signalbox", **options,
    )  # fmt: skip
    try:
        async with asyncio.timeout(CONNECT_S):
            await connecting
    except BaseException as error:
        await client.close()
        if trouble and isinstance(error, Exception):
            raise trouble[-1] from error  # what the server said, instead of "no servers available"
        raise
    return client
