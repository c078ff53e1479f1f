"""``kafka``: produces the event to a topic, idempotently, and waits until all in-sync replicas have it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from jobs.connectors.base import PASSWORD, URL, Connector, NotTaken
from jobs.connectors.envelopes import FORMAT, envelope_of
from jobs.connectors.servers import Server
from jobs.handlers import Context, Event, Invalid, Outcome

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

PORTS = {"kafka": (9092, False), "kafkas": (9093, True)}
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PREFIX = "ce_"  # of headers, as the Kafka binding of CloudEvents has it
REQUEST_MS = 8_000

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


class KafkaHandler(Connector):
    """Produce to Kafka."""

    name = "kafka"
    description = "Produces the event to a topic of Kafka, idempotently, and waits for its replicas."
    ports = PORTS
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "url": URL | {"description": "kafka://user@broker1:9092,broker2:9092, or kafkas:// for TLS"},
            "password": PASSWORD,
            "mechanism": {"type": "string", "enum": list(MECHANISMS), "default": "PLAIN"},
            "topic": {"type": "string", "maxLength": 249, "default": "{type}"},
            "key": {
                "type": "string",
                "maxLength": 500,
                "default": "",
                "description": "Events of one key keep their order, such as {data.order}; empty: any partition",
            },
            "format": FORMAT,
        },
        "required": ["url"],
        "additionalProperties": False,
    }

    async def validate(self, event: Event, ctx: Context) -> None:
        await super().validate(event, ctx)
        topic = self._topic(event)
        if not _TOPIC.fullmatch(topic) or topic in (".", ".."):
            raise Invalid(f"{topic!r} is no name of a topic")

    async def open(self, server: Server) -> AsyncIterator[AIOKafkaProducer]:
        from aiokafka import AIOKafkaProducer

        mechanism = str(self.options.get("mechanism", "PLAIN"))
        producer = AIOKafkaProducer(enable_idempotence=True, acks="all", **client_options(server, mechanism))
        try:
            await producer.start()
            yield producer
        finally:
            await producer.stop()

    def key(self, server: Server) -> tuple[str, ...]:
        return (*super().key(server), str(self.options.get("mechanism", "PLAIN")))

    async def process_batch(self, events: Sequence[Event], ctx: Context) -> Outcome:
        return await self.over(ctx, lambda client: self._send_all(client, events, ctx))

    async def send(self, client: AIOKafkaProducer, event: Event, ctx: Context) -> Mapping[str, Any]:
        done = await (await self._hand_over(client, event, ctx))
        return {"topic": done.topic, "partition": done.partition, "offset": done.offset}

    async def _send_all(self, client: AIOKafkaProducer, events: Sequence[Event], ctx: Context) -> Mapping[str, Any]:
        """In their order; what was taken before one failed is sent again with the next try of the batch."""
        under_way = [await self._hand_over(client, event, ctx) for event in events]
        await asyncio.gather(*under_way)
        return {"messages": len(events)}

    async def _hand_over(self, client: AIOKafkaProducer, event: Event, ctx: Context) -> Any:
        from aiokafka.errors import MessageSizeTooLargeError, UnknownTopicOrPartitionError

        message = message_of(event, ctx.delivery_id, str(self.options.get("format", "structured")))
        topic, key = self._topic(event), self.text("key", event)
        try:
            return await client.send(topic, key=key.encode() if key else None, **message)
        except MessageSizeTooLargeError as error:
            raise Invalid(str(error)) from None
        except UnknownTopicOrPartitionError:
            raise NotTaken(f"there is no topic {topic!r}") from None

    def _topic(self, event: Event) -> str:
        return self.text("topic", event, "{type}")


def message_of(event: Event, delivery_id: str, form: str) -> dict[str, Any]:
    """Value and headers of the message (Kafka binding of CloudEvents)."""
    sent = envelope_of(event, form)
    headers = {"delivery-id": delivery_id, **sent.prefixed(PREFIX)}
    if sent.content_type:
        headers["content-type"] = sent.content_type
    return {"value": sent.body, "headers": [(name, text.encode()) for name, text in headers.items()]}


def client_options(server: Server, mechanism: str) -> dict[str, Any]:
    """What producers and consumers are made with."""
    options: dict[str, Any] = {
        "bootstrap_servers": server.places,
        "client_id": "signalbox",
        "request_timeout_ms": REQUEST_MS,
        "security_protocol": ("SASL_" if server.username else "") + ("SSL" if server.is_tls else "PLAINTEXT"),
        "ssl_context": server.context(),
    }
    if server.username:
        options |= {
            "sasl_mechanism": mechanism,
            "sasl_plain_username": server.username,
            "sasl_plain_password": server.password,
        }
    return options
