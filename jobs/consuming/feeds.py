"""What a source is consumed through: messages in parcels, each settled when it is known what came of it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from jobs.connectors import INSTALL, is_installed
from jobs.connectors.servers import Server
from webapp.services.consumed import Message, Verdict

BATCH = 200  # messages that are accepted together
IDLE_S = 5.0  # nothing came for so long: look whether the connection is still what it was

_MODULES = {kind: kind for kind in ("rabbitmq", "kafka", "nats", "mqtt")} | {"redis": "redis_stream"}


@dataclass(frozen=True, slots=True, repr=False)
class Source:
    """A source as it is stored, and who consumes it. ``slot`` is the same each time this process is started."""

    row: Any
    password: str
    slot: str

    @property
    def id(self) -> str:
        return str(self.row.id)

    def option(self, name: str) -> str:
        return str(self.row.options.get(name) or "")

    def server(self, ports: Any) -> Server:
        return Server.parse(self.option("url"), ports, self.password)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message, and what its broker knows it by."""

    message: Message
    handle: Any


class Feed(Protocol):
    """An open connection to one source."""

    async def next(self) -> Sequence[Parcel]:
        """The next messages, at most ``BATCH``; none when nothing came for a while. Raises when the connection is lost."""

    async def settle(self, parcels: Sequence[Parcel], verdicts: Sequence[Verdict]) -> None:
        """Acknowledge those that are on disk; what was refused must not come again."""


class ClientMissing(Exception):
    """The client of that protocol is not installed here."""


def open_feed(source: Source) -> AbstractAsyncContextManager[Feed]:
    """Connect. Raises whatever the client raises."""
    name = _MODULES[source.row.kind]
    if not is_installed(name):
        raise ClientMissing(f"its client is not installed: {INSTALL}")
    module = importlib.import_module(f"jobs.consuming.{name}")
    feed: AbstractAsyncContextManager[Feed] = module.feed(source)
    return feed


async def gathered(queue: asyncio.Queue[Any], lost: asyncio.Future[Any]) -> list[Any]:
    """What is in the queue, waiting for the first of it. Raises ``ConnectionError`` once ``lost`` is done."""
    first = asyncio.ensure_future(queue.get())
    try:
        await asyncio.wait((first, lost), timeout=IDLE_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not first.done():
            first.cancel()
    if lost.done():
        raise ConnectionError("the connection was lost")
    if not first.done() or first.cancelled():
        return []
    found = [first.result()]
    while len(found) < BATCH and not queue.empty():
        found.append(queue.get_nowait())
    return found


def lowered(headers: Any) -> dict[str, str]:
    """Headers as they are looked up: names in lower case, texts."""
    return {str(name).lower(): _text(value) for name, value in dict(headers or {}).items()}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else str(value)
