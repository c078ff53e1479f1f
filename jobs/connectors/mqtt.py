"""``mqtt``: publishes the event to a topic (MQTT 5, at least once) and waits until the broker has acknowledged it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from jobs.connectors.base import PASSWORD, URL, Connector
from jobs.connectors.envelopes import FORMAT, Envelope, envelope_of
from jobs.connectors.servers import Server
from jobs.handlers import Context, Event, Invalid

if TYPE_CHECKING:
    from jobs.connectors.mqtt_client import MqttClient

PORTS = {"mqtt": (1883, False), "mqtts": (8883, True)}
TOPIC_BYTES = 65_535


class MqttHandler(Connector):
    """Publish over MQTT."""

    name = "mqtt"
    description = "Publishes the event to an MQTT topic and waits for the broker's acknowledgement."
    ports = PORTS
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "url": URL | {"description": "mqtt://user@host:1883, or mqtts:// for TLS"},
            "password": PASSWORD,
            "topic": {"type": "string", "maxLength": 500, "default": "signalbox/{type}"},
            "qos": {"type": "integer", "enum": [1, 2], "default": 1},
            "retain": {"type": "boolean", "default": False},
            "format": FORMAT,
        },
        "required": ["url"],
        "additionalProperties": False,
    }

    async def validate(self, event: Event, ctx: Context) -> None:
        await super().validate(event, ctx)
        topic = self._topic(event)
        if not topic or any(char in topic for char in "+#\0") or topic.startswith("$"):
            raise Invalid(f"{topic!r} is no topic that can be published to")

    async def open(self, server: Server) -> AsyncIterator[MqttClient]:
        from jobs.connectors.mqtt_client import client_of

        async with client_of(server) as client:
            yield client

    def is_open(self, client: MqttClient) -> bool:
        return client.is_connected

    async def send(self, client: MqttClient, event: Event, ctx: Context) -> Mapping[str, Any]:
        sent = envelope_of(event, str(self.options.get("format", "structured")))
        topic, qos = self._topic(event), int(self.options.get("qos", 1))
        retain = bool(self.options.get("retain"))
        await client.publish(topic, sent.body, qos, retain, _properties(sent, ctx.delivery_id))
        return {"topic": topic, "qos": qos}

    def _topic(self, event: Event) -> str:
        return self.text("topic", event, "signalbox/{type}")


def _properties(sent: Envelope, delivery_id: str) -> Any:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = [("message-id", delivery_id), *sent.attributes.items()]
    if sent.content_type:
        properties.ContentType = sent.content_type
    return properties
