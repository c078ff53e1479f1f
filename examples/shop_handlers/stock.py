"""Stock reservations: every outcome that a handler can choose."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from jobs.handlers import Context, Discard, Done, Event, EventHandler, Outcome, Retry, Skip, Snooze

_SHELF = {"tea": 12, "mug": 0}  # stands in for the warehouse's service


class ReserveStock(EventHandler):
    """Reserve what was ordered."""

    name = "shop.stock"
    description = "Reserves the ordered items in the warehouse."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {"restock_minutes": {"type": "integer", "minimum": 1, "default": 30}},
        "additionalProperties": False,
    }

    async def process(self, event: Event, ctx: Context) -> Outcome:
        item, count = event.payload.get("item"), event.payload.get("count", 1)
        if item is None:
            return Skip("a digital order: there is nothing to reserve")
        if item not in _SHELF:
            return Discard(f"the warehouse has never heard of {item!r}")
        if event.payload.get("inventory_running"):
            return Snooze(timedelta(minutes=int(self.options.get("restock_minutes", 30))), "inventory is running")
        if _SHELF[item] < count:
            return Retry(timedelta(minutes=5), reason=f"only {_SHELF[item]} of {item} on the shelf")
        return Done({"reserved": count, "item": item})
