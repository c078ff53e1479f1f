"""A report that computes for long without awaiting anything: it must not share the event loop."""

from __future__ import annotations

import math

from jobs.handlers import Context, Done, Event, EventHandler


class DailyReport(EventHandler):
    """Add up a day. ``isolated``: each runs alone in a forked process, which may take all of a processor."""

    name = "shop.report"
    description = "Computes the report of a day."
    isolated = True

    async def process(self, event: Event, ctx: Context) -> Done:
        months, total = 12, 0.0
        for month in range(1, months + 1):
            total += sum(math.sqrt(day * month) for day in range(200_000))
            ctx.progress(month, months, f"month {month}")
        return Done({"total": round(total, 2)})
