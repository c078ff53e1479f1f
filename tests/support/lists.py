"""Handlers that take lists. What they were called with is kept in ``CALLS``; what they do is in the first payload."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.handlers import Context, Event, EventHandler, Retry

PLUGIN = "tests.support.lists"
CALLS: list[tuple[str, list[Any]]] = []  # the name of the call, and the ``n`` of its events


class Lists(EventHandler):
    """Takes lists only."""

    name = "t.lists"

    async def validate(self, event: Event, ctx: Context) -> None:
        if event.payload.get("broken"):
            raise ValueError("broken")

    async def process_batch(self, events: Sequence[Event], ctx: Context) -> Any:
        CALLS.append((ctx.delivery_id, [event.payload.get("n") for event in events]))
        ctx.log(f"{len(events)} events")
        do = events[0].payload.get("do", "")
        if do == "fail" and ctx.attempt == 1:
            raise ConnectionError("no answer")
        if do == "retry":
            return Retry(reason="never")
        if do == "state":
            await ctx.state.get("seen")
            if ctx.attempt == 1:
                await asyncio.to_thread(MEDDLE[0])
            await ctx.state.set("seen", ctx.attempt)
        if do == "wait":
            await asyncio.sleep(60)
        return {"taken": len(events)}


class Deadly(EventHandler):
    """Takes its worker down, once per file."""

    name = "t.lists_deadly"

    async def process_batch(self, events: Sequence[Event], ctx: Context) -> Any:
        mark = Path(events[0].payload["path"])
        with mark.open("a") as file:
            file.write(f"{ctx.delivery_id} {len(events)}\n")
        if len(mark.read_text().splitlines()) == 1:
            os.kill(os.getpid(), 9)
            time.sleep(60)
        return len(events)


MEDDLE: list[Any] = []
