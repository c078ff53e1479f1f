"""What a handler publishes names the event that it was handling; a handler that feeds itself is stopped."""

from __future__ import annotations

import asyncio
from typing import Any

from jobs.context import Context
from jobs.drain import drain
from jobs.engine import Engine
from jobs.handlers.base import EventHandler
from jobs.registry import load_registry
from tests.support.factories import make_subscription, rows_of
from webapp.broker import Broker
from webapp.domain.events import Event
from webapp.runtime import Runtime
from webapp.store import tables as t


def test_a_handler_that_feeds_itself_is_stopped(sqlite_rt: Runtime) -> None:
    rt = sqlite_rt
    broker = Broker(rt)

    class Echo(EventHandler):
        name = "log"

        async def process(self, event: Event, ctx: Context) -> Any:
            await broker.publish({"type": "order.echo", "payload": event.payload})

    make_subscription(rt)
    engine = Engine(rt, load_registry([]), "worker-1")
    engine.flights._find = lambda name: Echo
    engine.start()
    try:
        asyncio.run(broker.publish({"type": "order.created"}))
        most = rt.settings.max_causation_depth
        for _ in range(most + 3):
            drain(engine, "default")
            assert engine.flights.wait_until_empty(15)
    finally:
        engine.stop(0)
    stored = {row.depth: row for row in rows_of(rt, t.events)}
    assert sorted(stored) == list(range(most + 2))
    assert all(stored[n].causation_id == stored[n - 1].uid for n in range(1, most + 2))
    held = [row for row in rows_of(rt, t.deliveries) if row.state == "held"]
    assert [(row.event_uid, row.reason) for row in held] == [(stored[most + 1].uid, "loop")]
