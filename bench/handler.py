"""A handler that does nothing: what is left is the cost of the hub itself."""

from __future__ import annotations

from jobs.handlers import Context, Done, Event, EventHandler

DONE = Done()


class Noop(EventHandler):
    """Nothing, at once."""

    name = "bench.noop"

    async def process(self, event: Event, ctx: Context) -> Done:
        return DONE
