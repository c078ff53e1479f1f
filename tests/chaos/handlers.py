"""The plug-in of a chaos run: handlers that fail now and then, are slow now and then, and keep a ledger.

The dice are thrown by delivery and attempt, so that a seed means the same run whoever executes it.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from typing import Any, ClassVar

from jobs.handlers import Context, Event, EventHandler
from tests.chaos import ledger

FAILS, SLOW, VERY_SLOW = 0.10, 0.25, 0.03  # shares of the attempts
SLOW_S, VERY_SLOW_S = 0.6, 5.0


class Work(EventHandler):
    name = "chaos.work"
    description = "Writes a line into the ledger that its options name."
    options_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {"ledger": {"type": "string"}},
        "required": ["ledger"],
    }

    async def process(self, event: Event, ctx: Context) -> Any:
        path, chance = str(self.options["ledger"]), dice(ctx.delivery_id, ctx.attempt)
        await asyncio.sleep(seconds_for(chance))
        if chance < FAILS:
            ledger.append(path, ctx.delivery_id, ctx.attempt, "fail")
            raise RuntimeError("the dice say no")
        ledger.append(path, ctx.delivery_id, ctx.attempt, "ok")
        return {"attempt": ctx.attempt}


class Alone(Work):
    name = "chaos.alone"
    isolated = True


def dice(delivery_id: str, attempt: int) -> float:
    """A number in [0, 1) that is always the same for an attempt."""
    return zlib.crc32(f"{delivery_id}/{attempt}".encode()) / 2**32


def seconds_for(chance: float) -> float:
    """How long an attempt takes: most are quick."""
    if chance > 1 - VERY_SLOW:
        return VERY_SLOW_S
    return SLOW_S if chance > 1 - VERY_SLOW - SLOW else 0.005
