"""``log``: writes the event down, on its page and in the hub's own log. The handler to try things with."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import ClassVar

from jobs.handlers import Context, Done, Event, EventHandler

log = logging.getLogger("signalbox.events")

MAX_SHOWN = 2000


class LogHandler(EventHandler):
    """Log the event."""

    name = "log"
    description = "Writes the event to its page and to the hub's log; of a batch, every event."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "level": {"type": "string", "enum": ["debug", "info", "warning", "error"], "default": "info"},
            "payload": {"type": "boolean", "default": True, "description": "Show the payload too"},
        },
        "additionalProperties": False,
    }

    async def process(self, event: Event, ctx: Context) -> Done:
        self._write(event, ctx)
        return Done({"logged": event.type})

    async def process_batch(self, events: Sequence[Event], ctx: Context) -> Done:
        for event in events:
            self._write(event, ctx)
        return Done({"logged": len(events)})

    def _write(self, event: Event, ctx: Context) -> None:
        level = str(self.options.get("level", "info"))
        text = f"{event.type} from {event.source}"
        if self.options.get("payload", True):
            text += " " + json.dumps(event.payload, ensure_ascii=False)[:MAX_SHOWN]
        ctx.log(text, level)
        log.log(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO),
            "event %s",
            event.type,
            extra={"event_id": event.uid, "delivery_id": ctx.delivery_id, "source": event.source},
        )
