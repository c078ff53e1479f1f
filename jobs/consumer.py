"""``python -m jobs.consumer [--slot N]``: consumes the sources that come from brokers, each over a connection of its own.

Which there are is looked up every two seconds; one that was changed is connected anew. Any number of these processes
may run: the brokers share the messages out among them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from jobs.consuming.feeds import Source
from jobs.consuming.line import Line
from jobs.dialing import GuardedLoop
from jobs.stopping import Stop, end_process
from jobs.worker import introduce
from webapp.domain.consumed import CONSUMED
from webapp.domain.errors import HubError, Unavailable
from webapp.logs import configure_logging
from webapp.runtime import Runtime, build_runtime
from webapp.services import presence
from webapp.services.accept import Acceptor
from webapp.services.notes import Refusals
from webapp.services.presence import Presence
from webapp.services.sources import secrets_of
from webapp.settings import load_settings
from webapp.store import source_connections, sources

log = logging.getLogger("jobs.consumer")  # it runs as __main__

LOOK_S = 2.0
SILENT = timedelta(hours=1)


class Consumer:
    """The lines of one process. Used on one event loop."""

    def __init__(self, rt: Runtime, me: Presence, slot: str) -> None:
        self._rt, self._me, self._slot = rt, me, slot
        self._acceptor, self._may_note = Acceptor(rt), Refusals().may_note
        self.lines: dict[str, Line] = {}
        self._told = "idle"

    async def look(self) -> None:
        """Start what is to be consumed and is not yet, stop what is not any more, and say how the rest is."""
        try:
            wanted = {source.id: source for source in await asyncio.to_thread(self._wanted)}
            gone = [id for id, line in self.lines.items() if _is_outdated(line, wanted.get(id))]
            await self._stop(gone)
            for id, source in wanted.items():
                if id not in self.lines:
                    self.lines[id] = Line(self._rt, self._acceptor, source, self._may_note)
            await asyncio.to_thread(self._tell, [id for id in gone if id not in self.lines])
        except Unavailable:
            log.warning("the database does not answer", extra={"action": "consumer_missed"})
        except Exception:
            log.exception("looking for sources failed", extra={"action": "consumer_failed"})

    async def stop(self) -> None:
        """Let what is being accepted be acknowledged, within the grace; take nothing more."""
        self._me.state = "stopping"
        await self._stop(list(self.lines))

    def sign_off(self) -> None:
        """This process is gone."""
        try:
            with self._rt.db.write() as conn:
                source_connections.drop_connections(conn, self._me.name)
            presence.leave(self._rt, self._me)
        except HubError as error:
            log.warning("could not sign off: %s", error)

    async def _stop(self, ids: Sequence[str]) -> None:
        stopping = [self.lines.pop(id) for id in ids]
        grace_s = max(0.5, self._rt.settings.shutdown_grace_s - 1.0)
        await asyncio.gather(*[line.stop(grace_s) for line in stopping])

    def _wanted(self) -> list[Source]:
        with self._rt.db.read() as conn:
            rows = sources.list_consumed(conn, tuple(CONSUMED))
        return [source for row in rows if (source := self._readable(row))]

    def _readable(self, row: Any) -> Source | None:
        try:
            return Source(row, next(iter(secrets_of(self._rt, row)), ""), self._slot)
        except HubError as error:  # sealed under a key that is not here
            log.warning("source %s: %s", row.name, error.detail, extra={"action": "source_failed"})
            return None

    def _tell(self, gone: Sequence[str]) -> None:
        now, lines = self._rt.clock(), self.lines
        self._me.running = sum(line.health.state == "connected" for line in lines.values())
        self._me.finished = max(self._me.finished, sum(line.health.taken for line in lines.values()))
        with self._rt.db.write() as conn:
            source_connections.drop_connections(conn, self._me.name, gone)
            source_connections.drop_silent(conn, now - SILENT)
            source_connections.save_connections(
                conn,
                [
                    {
                        "source_id": id,
                        "worker": self._me.name,
                        "state": line.health.state,
                        "error": line.health.error,
                        "error_at": line.health.error_at,
                        "taken": line.health.taken,
                        "since": line.health.since,
                        "seen_at": now,
                    }
                    for id, line in lines.items()
                ],
            )
        presence.give_sign(self._rt, self._me, self._told)
        self._told = self._me.state


def _is_outdated(line: Line, wanted: Source | None) -> bool:
    return wanted is None or wanted.row.revision != line.source.row.revision or wanted.password != line.source.password


async def consume(consumer: Consumer, stop: Stop) -> None:
    """Until asked to stop."""
    while not stop.asked.is_set():
        await consumer.look()
        for _ in range(int(LOOK_S / 0.1)):
            if stop.asked.is_set():
                break
            await asyncio.sleep(0.1)
    await consumer.stop()


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="jobs.consumer", description="Consumes the sources that come from brokers.")
    parser.add_argument("--slot", default="1", help="which of the consumers of this host it is")
    options = parser.parse_args(arguments)
    settings = load_settings()
    configure_logging(settings, "consumer")
    stop = Stop()
    rt = build_runtime(settings)
    me = introduce(rt, "consumer")
    consumer = Consumer(rt, me, f"{me.host}-{options.slot}")
    with asyncio.Runner(loop_factory=GuardedLoop) as runner:
        runner.run(consume(consumer, stop))
    consumer.sign_off()
    rt.close()
    return 0


if __name__ == "__main__":
    end_process(main())
