"""Consuming a queue of RabbitMQ. Processes share it as any consumers do; what is refused goes to its dead-letter exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from jobs.connectors.envelopes import SAFE
from jobs.connectors.rabbitmq import PORTS, connect
from jobs.consuming.feeds import BATCH, Feed, Parcel, Source, gathered, lowered
from webapp.services.consumed import Message, Verdict

PREFIXES = ("cloudevents:", "cloudevents_")  # both are in use


class RabbitmqFeed:
    """One channel that consumes one queue."""

    def __init__(self, channel: AbstractChannel, queue: str) -> None:
        self._channel, self._name = channel, queue
        self._came: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def begin(self) -> None:
        """Let messages come. Raises when there is no such queue."""
        self._channel.close_callbacks.add(self._on_close)
        await self._channel.set_qos(prefetch_count=BATCH)
        queue = await self._channel.get_queue(self._name)
        await queue.consume(self._came.put)

    async def next(self) -> Sequence[Parcel]:
        found = await gathered(self._came, self._lost)
        if not found:
            await self._channel.get_queue(self._name)  # raises when it was deleted, which nobody tells
        return [Parcel(_message_of(one), one) for one in found]

    async def settle(self, parcels: Sequence[Parcel], verdicts: Sequence[Verdict]) -> None:
        for parcel, verdict in zip(parcels, verdicts, strict=True):
            if verdict.name == "rejected":
                await parcel.handle.reject(requeue=False)
            else:
                await parcel.handle.ack()

    def _on_close(self, *_: Any) -> None:
        if not self._lost.done():
            self._lost.set_result(None)


@asynccontextmanager
async def feed(source: Source) -> AsyncIterator[Feed]:
    """What is not settled when this ends, RabbitMQ gives to another consumer."""
    connection = await connect(source.server(PORTS))
    try:
        made = RabbitmqFeed(await connection.channel(), source.option("queue"))
        await made.begin()
        yield made
    finally:
        await connection.close()


def _message_of(one: AbstractIncomingMessage) -> Message:
    headers = lowered(one.headers)
    for name in list(headers):
        for prefix in PREFIXES:
            if name.startswith(prefix):
                headers[f"ce-{name.removeprefix(prefix)}"] = quote(headers.pop(name), safe=SAFE)
    said = {"message-id": one.message_id, "type": one.type, "routing-key": one.routing_key, "exchange": one.exchange}
    headers |= {name: str(value) for name, value in said.items() if value}
    if one.content_type:
        headers["content-type"] = one.content_type
    return Message(headers, one.body)
