"""Handlers that remember: what they do with ``ctx.state`` is in the payload."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

from jobs.handlers import Context, Event, EventHandler, Retry, Snooze

PLUGIN = "tests.support.remembering"
MEETING: dict[str, threading.Event] = {}  # what handlers wait for, by name
ARRIVED: list[str] = []  # those that wait


class Remember(EventHandler):
    """Runs ``do``: a list of ``[verb, arguments…]``; answers what the ``get`` among them gave."""

    name = "t.remember"

    async def process(self, event: Event, ctx: Context) -> Any:
        got = []
        for verb, *rest in event.payload["do"]:
            match verb:
                case "fail":
                    raise ValueError("after all")
                case "retry":
                    return Retry(reason="after all")
                case "snooze":
                    return Snooze(timedelta(hours=1))
                case "wait":
                    ARRIVED.append(ctx.delivery_id)
                    await asyncio.to_thread(MEETING[rest[0]].wait, 10)
                case _:
                    got.append(await getattr(ctx.state, verb)(*rest))
        return got


class RememberAlone(Remember):
    """The same in a process of its own."""

    name = "t.remember_alone"
    isolated = True
