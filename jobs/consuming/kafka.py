"""Consuming a topic of Kafka in a consumer group. Offsets are committed when what came before them is on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from aiokafka import AIOKafkaConsumer, TopicPartition

from jobs.connectors.envelopes import SAFE
from jobs.connectors.kafka import PORTS, client_options
from jobs.consuming.feeds import BATCH, IDLE_S, Feed, Parcel, Source, lowered
from webapp.services.consumed import Message, Verdict

OFFSETS = {"new": "latest", "all": "earliest"}


class KafkaFeed:
    """One member of a group."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def next(self) -> Sequence[Parcel]:
        found = await self._consumer.getmany(timeout_ms=int(IDLE_S * 1000), max_records=BATCH)
        return [Parcel(message_of(one), one) for records in found.values() for one in records]

    async def settle(self, parcels: Sequence[Parcel], verdicts: Sequence[Verdict]) -> None:
        if parcels:
            await self._consumer.commit(offsets_after([parcel.handle for parcel in parcels]))


@asynccontextmanager
async def feed(source: Source) -> AsyncIterator[Feed]:
    """What is not committed when this ends comes again, to whoever gets the partition."""
    consumer = AIOKafkaConsumer(
        source.option("topic"),
        group_id=source.option("group"),
        enable_auto_commit=False,
        auto_offset_reset=OFFSETS[source.option("begin")],
        **client_options(source.server(PORTS), source.option("mechanism")),
    )
    try:
        await consumer.start()
        yield KafkaFeed(consumer)
    finally:
        await consumer.stop()


def offsets_after(records: Sequence[Any]) -> dict[TopicPartition, int]:
    """For each partition, the offset behind the last of these."""
    behind: dict[TopicPartition, int] = {}
    for one in records:
        partition = TopicPartition(one.topic, one.partition)
        behind[partition] = max(behind.get(partition, 0), one.offset + 1)
    return behind


def message_of(one: Any) -> Message:
    """Topic, partition and offset name it: they are the same when it comes again."""
    headers = lowered(one.headers)
    for name in list(headers):
        if name.startswith("ce_"):
            headers[f"ce-{name.removeprefix('ce_')}"] = quote(headers.pop(name), safe=SAFE)
    headers |= {"message-id": f"{one.topic}-{one.partition}-{one.offset}", "topic": one.topic}
    if one.key:
        headers["key"] = one.key.decode("utf-8", "replace")
    return Message(headers, one.value or b"")
