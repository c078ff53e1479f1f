"""Consuming topics over MQTT 5 with a session that the broker keeps; with a group, processes share the subscription."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode

from jobs.connectors.envelopes import SAFE
from jobs.connectors.mqtt import PORTS
from jobs.connectors.mqtt_client import MqttClient, client_of
from jobs.consuming.feeds import Feed, Parcel, Source, gathered
from webapp.services.consumed import Message, Verdict


class MqttFeed:
    """One client."""

    def __init__(self, client: MqttClient) -> None:
        self._client = client
        self._came: asyncio.Queue[aiomqtt.Message] = client.queue

    async def next(self) -> Sequence[Parcel]:
        return [Parcel(_message_of(one), one) for one in await gathered(self._came, self._client.lost)]

    async def settle(self, parcels: Sequence[Parcel], verdicts: Sequence[Verdict]) -> None:
        for parcel in parcels:
            self._client.acknowledge(parcel.handle)


@asynccontextmanager
async def feed(source: Source) -> AsyncIterator[Feed]:
    """What is not acknowledged when this ends comes again, when this client is back."""
    identifier = f"signalbox-{source.id}-{source.slot}"
    topic, group = source.option("topic"), source.option("group")
    async with client_of(source.server(PORTS), identifier=identifier, by_hand=True) as client:
        granted = await client.subscribe(f"$share/{group}/{topic}" if group else topic, qos=1)
        refused = [code for code in granted if isinstance(code, ReasonCode) and code.is_failure]
        if refused:
            raise ConnectionError(f"the broker refused the subscription: {refused[0]}")
        yield MqttFeed(client)


def _message_of(one: aiomqtt.Message) -> Message:
    properties: Any = one.properties
    told = [(str(name), str(value)) for name, value in getattr(properties, "UserProperty", ())]
    is_event = any(name == "specversion" for name, _ in told)  # binary form: attributes have no prefix
    headers: dict[str, str] = {}
    for name, value in told:
        if is_event and name != "message-id":
            headers[f"ce-{name.lower()}"] = quote(value, safe=SAFE)
        else:
            headers[name.lower()] = value
    headers["topic"] = str(one.topic)
    if content_type := getattr(properties, "ContentType", ""):
        headers["content-type"] = content_type
    return Message(headers, one.payload)
