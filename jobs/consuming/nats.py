"""Consuming a stream of NATS JetStream through a durable pull consumer, which all processes share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from nats.errors import TimeoutError as NothingCame
from nats.js.api import ConsumerConfig, DeliverPolicy

from jobs.connectors.nats import PORTS, connect
from jobs.consuming.feeds import BATCH, IDLE_S, Feed, Parcel, Source, lowered
from webapp.services.consumed import Message, Verdict

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext

BEGINNINGS = {"new": DeliverPolicy.NEW, "all": DeliverPolicy.ALL}
ACK_WAIT_S = 60.0  # what was not acknowledged by then comes again


class NatsFeed:
    """One subscription of the durable consumer."""

    def __init__(self, client: Client, subscription: JetStreamContext.PullSubscription) -> None:
        self._client, self._subscription = client, subscription

    async def next(self) -> Sequence[Parcel]:
        try:
            found = await self._subscription.fetch(BATCH, timeout=IDLE_S)
        except NothingCame:
            found = []
        if not self._client.is_connected:
            raise ConnectionError("the connection was lost")
        if not found:
            await self._subscription.consumer_info()  # raises when it was deleted
        return [Parcel(_message_of(one), one) for one in found]

    async def settle(self, parcels: Sequence[Parcel], verdicts: Sequence[Verdict]) -> None:
        for parcel, verdict in zip(parcels, verdicts, strict=True):
            await (parcel.handle.term() if verdict.name == "rejected" else parcel.handle.ack())
        await self._client.flush()


@asynccontextmanager
async def feed(source: Source) -> AsyncIterator[Feed]:
    """What is not acknowledged when this ends comes again, to any process."""
    client = await connect(source.server(PORTS))
    try:
        config = ConsumerConfig(
            ack_wait=ACK_WAIT_S, max_ack_pending=2 * BATCH, deliver_policy=BEGINNINGS[source.option("begin")]
        )
        subscription = await client.jetstream().pull_subscribe(
            source.option("filter"), durable=source.option("group"), stream=source.option("stream"), config=config
        )
        yield NatsFeed(client, subscription)
    finally:
        await client.close()


def _message_of(one: Msg) -> Message:
    """Stream and sequence name it: they are the same when it comes again."""
    headers: dict[str, Any] = lowered(one.headers)
    known = one.metadata
    headers |= {"message-id": f"{known.stream}-{known.sequence.stream}", "subject": one.subject}
    return Message(headers, one.data)
