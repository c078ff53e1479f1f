"""``rabbitmq``: publishes the event to an exchange (AMQP 0-9-1) and waits for the broker's confirmation.

What no queue takes is returned by the broker (mandatory) and has failed: an event that vanishes is worse than a retry.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from jobs.connectors.base import PASSWORD, URL, Connector, NotTaken
from jobs.connectors.envelopes import FORMAT, envelope_of
from jobs.connectors.servers import Server
from jobs.handlers import Context, Event

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractConnection

PORTS = {"amqp": (5672, False), "amqps": (5671, True)}
PREFIX = "cloudEvents:"  # of headers, as the AMQP binding of CloudEvents has it
CONNECT_S = 5.0


class RabbitmqHandler(Connector):
    """Publish to RabbitMQ."""

    name = "rabbitmq"
    description = "Publishes the event to an exchange of RabbitMQ and waits for its confirmation."
    ports = PORTS
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "url": URL | {"description": "amqp://user@host:5672/vhost, or amqps:// for TLS"},
            "password": PASSWORD,
            "exchange": {
                "type": "string",
                "maxLength": 255,
                "default": "",
                "description": "Left empty: the routing key names a queue",
            },
            "routing_key": {"type": "string", "maxLength": 255, "default": "{type}"},
            "format": FORMAT,
            "persistent": {"type": "boolean", "default": True},
            "mandatory": {
                "type": "boolean",
                "default": True,
                "description": "An event that no queue takes has failed",
            },
        },
        "required": ["url"],
        "additionalProperties": False,
    }

    async def open(self, server: Server) -> AsyncIterator[AbstractChannel]:
        connection = await connect(server)
        try:
            yield await connection.channel(publisher_confirms=True, on_return_raises=True)
        finally:
            await connection.close()

    def is_open(self, client: AbstractChannel) -> bool:
        return not client.is_closed

    async def send(self, client: AbstractChannel, event: Event, ctx: Context) -> Mapping[str, Any]:
        import aio_pika

        sent = envelope_of(event, str(self.options.get("format", "structured")))
        kept = aio_pika.DeliveryMode.PERSISTENT if self.options.get("persistent", True) else None
        message = aio_pika.Message(
            sent.body,
            headers=dict(sent.prefixed(PREFIX)),
            content_type=sent.content_type or None,
            message_id=ctx.delivery_id,
            delivery_mode=kept or aio_pika.DeliveryMode.NOT_PERSISTENT,
            timestamp=event.timestamp,
            app_id="signalbox",
        )
        exchange = str(self.options.get("exchange") or "")
        key = self.text("routing_key", event, "{type}")[:255]
        target = await client.get_exchange(exchange, ensure=False) if exchange else client.default_exchange
        try:
            await target.publish(message, key, mandatory=bool(self.options.get("mandatory", True)))
        except aio_pika.exceptions.DeliveryError as error:
            raise NotTaken(_why(error, exchange, key)) from None
        return {"exchange": exchange, "routing_key": key, "message_id": ctx.delivery_id}


async def connect(server: Server) -> AbstractConnection:
    """A connection that ends when it breaks; whoever uses it makes another."""
    import aio_pika

    return await aio_pika.connect(
        host=server.host,
        port=server.hosts[0][1],
        login=server.username or "guest",
        password=server.password or "guest",
        virtualhost=server.path or "/",
        ssl=server.is_tls,
        ssl_context=server.context(),
        timeout=CONNECT_S,
        client_properties={"connection_name": "signalbox"},
    )


def _why(error: Any, exchange: str, key: str) -> str:
    if type(error).__name__ == "PublishError":
        return f"no queue takes the routing key {key!r} from the exchange {exchange!r}"
    return "the broker refused the message (basic.nack): a queue is full, or it cannot keep it"
