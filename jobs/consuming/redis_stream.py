"""Consuming a stream of Redis in a consumer group. What a process took and left is taken over by another after a minute."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from jobs.connectors.redis_stream import PORTS, client_of
from jobs.consuming.feeds import BATCH, Feed, Parcel, Source
from webapp.domain.cloudevents import STRUCTURED
from webapp.domain.jsontext import to_text
from webapp.services.consumed import Message, Verdict

BLOCK_MS = 2_000
LEFT_MS = 60_000  # unacknowledged for so long: whoever took it is gone
TIMEOUT_S = 10.0
BEGINNINGS = {"new": "$", "all": "0"}


class RedisFeed:
    """One consumer of a group."""

    def __init__(self, client: Redis, source: Source) -> None:
        self._client, self._slot = client, source.slot
        self._stream, self._group = source.option("stream"), source.option("group")
        self._unread = "0"  # first what this consumer took before it ended, then what is new

    async def begin(self, beginning: str) -> None:
        """Make the group unless it is there."""
        try:
            await self._client.xgroup_create(self._stream, self._group, beginning, mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def next(self) -> Sequence[Parcel]:
        entries = await self._read(self._unread)
        if not entries and self._unread == "0":
            self._unread = ">"
            entries = await self._read(">")
        return [Parcel(_message_of(id, fields), id) for id, fields in entries or await self._taken_over()]

    async def settle(self, parcels: Sequence[Parcel], verdicts: Sequence[Verdict]) -> None:
        if parcels:
            await self._client.xack(self._stream, self._group, *[parcel.handle for parcel in parcels])

    async def _read(self, after: str) -> list[tuple[bytes, Any]]:
        wanted: Any = {self._stream: after}
        read = self._client.xreadgroup(self._group, self._slot, wanted, count=BATCH, block=BLOCK_MS)
        found: Any = await read
        streams = list(found.values() if isinstance(found, dict) else (entries for _, entries in found or ()))
        return [entry for entries in streams for entry in _flat(entries)]

    async def _taken_over(self) -> list[tuple[bytes, Any]]:
        found: Any = await self._client.xautoclaim(self._stream, self._group, self._slot, LEFT_MS, count=BATCH)
        return _flat(found[1])


@asynccontextmanager
async def feed(source: Source) -> AsyncIterator[Feed]:
    """What is not acknowledged when this ends stays with this consumer until another takes it over."""
    client = client_of(source.server(PORTS), timeout_s=TIMEOUT_S)
    try:
        made = RedisFeed(client, source)
        await made.begin(BEGINNINGS[source.option("begin")])
        yield made
    finally:
        await client.aclose()


def _flat(entries: Any) -> list[tuple[bytes, Any]]:
    """One list of entries, in whichever shape the protocol of the server has them; deleted ones have no fields."""
    listed = entries if all(isinstance(one, tuple) for one in entries) else [one for part in entries for one in part]
    return [(id, fields) for id, fields in listed if id is not None]


def _message_of(entry: bytes, fields: Any) -> Message:
    """A CloudEvent in the field ``event``, as the hub writes it; else all the fields as one object."""
    texts = {_text(name): _text(value) for name, value in (fields or {}).items()}
    headers = {"message-id": entry.decode()}
    if "event" in texts:
        return Message(headers | {"content-type": STRUCTURED}, texts["event"].encode())
    return Message(headers | {"content-type": "application/json"}, to_text(texts).encode())


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
