"""One source being consumed: connect, take what comes, acknowledge what is on disk; and all over again when that breaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.connectors import kafka, mqtt, nats, rabbitmq, redis_stream
from jobs.connectors.base import in_words
from jobs.consuming.feeds import Feed, Parcel, Source, open_feed
from jobs.dialing import check, forbid_private
from webapp.runtime import Runtime
from webapp.services import consumed
from webapp.services.accept import Acceptor
from webapp.services.consumed import Verdict
from webapp.services.inbound import MayNote

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
STORAGE_WAIT_S = 1.0  # nothing could be stored: the same messages are offered again after this
ERROR_CHARS = 500
PORTS = {
    "rabbitmq": rabbitmq.PORTS,
    "kafka": kafka.PORTS,
    "nats": nats.PORTS,
    "mqtt": mqtt.PORTS,
    "redis": redis_stream.PORTS,
}


@dataclass(slots=True)
class Health:
    """How a connection is, for people."""

    since: datetime
    state: str = "connecting"  # connecting connected waiting
    error: str | None = None
    error_at: datetime | None = None
    taken: int = 0


class Line:
    """Runs as one task. ``stop`` lets what is being accepted be acknowledged, and takes nothing more."""

    def __init__(self, rt: Runtime, acceptor: Acceptor, source: Source, may_note: MayNote) -> None:
        self.source, self.health = source, Health(rt.clock())
        self._rt, self._acceptor, self._may_note = rt, acceptor, may_note
        self._stopping = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self, grace_s: float) -> None:
        """Returns when its connection is closed, after the grace in any case."""
        self._stopping.set()
        _, late = await asyncio.wait((self._task,), timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.wait((self._task,), timeout=1)

    async def _run(self) -> None:
        if not self._rt.settings.allow_private_addresses:
            forbid_private()
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            taken = self.health.taken
            try:
                await self._reach()
                async with open_feed(self.source) as feed:
                    self._is("connected")
                    await self._consume(feed)
            except Exception as error:  # noqa: BLE001  every client has errors of its own; all of them mean: once more
                wait_s = FIRST_WAIT_S if self.health.taken > taken else min(2 * wait_s, LONGEST_WAIT_S)
                self._failed(in_words(error))
                await self._or_stopping(asyncio.sleep(wait_s * (0.5 + self._rt.roll() / 2)))

    async def _reach(self) -> None:
        server = self.source.server(PORTS[self.source.row.kind])
        for host, port in server.hosts:
            await check(host, port, allow_private=self._rt.settings.allow_private_addresses)

    async def _consume(self, feed: Feed) -> None:
        while not self._stopping.is_set():
            parcels = await self._or_stopping(feed.next())
            if parcels:
                await self._take(feed, parcels)

    async def _take(self, feed: Feed, parcels: Sequence[Parcel]) -> None:
        """Until each is stored or refused. What is not stored when the process stops is not acknowledged."""
        where, left = self.source.server(PORTS[self.source.row.kind]).host, list(parcels)
        verdicts: dict[int, Verdict] = {}
        while left:
            messages = [parcel.message for parcel in left]
            answers = await asyncio.to_thread(
                consumed.take, self._rt, self._acceptor, self.source.row, messages, where, self._may_note
            )
            verdicts |= {id(one): answer for one, answer in zip(left, answers, strict=True) if answer.is_settled}
            left = [one for one in left if id(one) not in verdicts]
            if left and self._stopping.is_set():
                break
            if left:
                await self._or_stopping(asyncio.sleep(STORAGE_WAIT_S))
        settled = [one for one in parcels if id(one) in verdicts]
        if self.source.row.kind == "kafka" and len(settled) < len(parcels):
            return  # an offset stands for all before it: none of these may be passed over
        if settled:
            await feed.settle(settled, [verdicts[id(one)] for one in settled])
        self.health.taken += len(settled)

    async def _or_stopping(self, waiting: Awaitable[Any]) -> Any:
        """What it answers, or None when the line is to stop before that."""
        work = asyncio.ensure_future(waiting)
        asked = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((work, asked), return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else None
        finally:
            asked.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait((work,), timeout=1)

    def _is(self, state: str) -> None:
        if self.health.state != state:
            self.health.state, self.health.since = state, self._rt.clock()

    def _failed(self, words: str) -> None:
        if words[:ERROR_CHARS] != self.health.error:
            extra = {"action": "source_failed", "source_id": self.source.id}
            log.warning("source %s: %s", self.source.row.name, words, extra=extra)
        self.health.error, self.health.error_at = words[:ERROR_CHARS], self._rt.clock()
        self._is("waiting")
