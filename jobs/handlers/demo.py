"""``demo.*``: handlers of the demonstration. They behave like real work: quick, slow with progress, and unlucky.

Their luck is drawn from the event, not from dice: the same event behaves the same way everywhere.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from typing import ClassVar

from jobs.handlers import Context, Discard, Done, Event, EventHandler, Invalid, Outcome, Retry

FRAME_S = 0.35


class Receipt(EventHandler):
    """Confirm an order: quick, and strict about amounts."""

    name = "demo.receipt"
    description = "Demo: confirms an order in a fraction of a second; refuses orders without an amount."

    async def validate(self, event: Event, ctx: Context) -> None:
        amount = event.payload.get("amount")
        if isinstance(amount, bool) or not isinstance(amount, int | float) or amount < 0:
            raise Invalid("an order needs an amount that is not negative")

    async def process(self, event: Event, ctx: Context) -> Done:
        await asyncio.sleep(0.05 + _luck(event) * 0.2)
        return Done({"receipt": self._write(event, ctx)})

    async def process_batch(self, events: Sequence[Event], ctx: Context) -> Done:
        await asyncio.sleep(0.05 + _luck(events[0]) * 0.2)  # one call of the printer, however many there are
        for done, event in enumerate(events, start=1):
            self._write(event, ctx)
            ctx.progress(done, len(events), "receipts")
        return Done({"receipts": len(events)})

    def _write(self, event: Event, ctx: Context) -> str:
        number = f"R-{zlib.crc32(event.uid.encode()) % 1_000_000:06d}"
        ctx.log(f"receipt {number} over {event.payload['amount']} {event.payload.get('currency', 'EUR')}")
        return number


class Render(EventHandler):
    """Render a report: slow, step by step, with progress and a log."""

    name = "demo.render"
    description = "Demo: works for some seconds and reports progress and log lines."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {"steps": {"type": "integer", "minimum": 1, "maximum": 200, "default": 20}},
        "additionalProperties": False,
    }

    async def process(self, event: Event, ctx: Context) -> Done:
        steps = int(self.options.get("steps", 20))
        for step in range(1, steps + 1):
            await asyncio.sleep(FRAME_S)
            ctx.progress(step, steps, f"page {step} of {steps}")
            if step == 1 or step % 5 == 0:
                ctx.log(f"rendered page {step}")
        return Done({"pages": steps})

    async def cleanup(self, event: Event, ctx: Context) -> None:
        ctx.log("scratch files removed", "debug")


class Deploy(EventHandler):
    """Watch a deployment: it may need a second look, and some are rolled back."""

    name = "demo.deploy"
    description = "Demo: checks a deployment; some need several tries, a few are given up."

    async def process(self, event: Event, ctx: Context) -> Outcome:
        checks = ("image pulled", "migrations ran", "health check answered")
        for done, check in enumerate(checks, start=1):
            await asyncio.sleep(0.4)
            ctx.progress(done, len(checks), check)
            ctx.log(check)
        if event.payload.get("broken"):
            return Discard("health check failed; rolled back")
        return Done({"environment": event.payload.get("environment", "production")})


class Flaky(EventHandler):
    """Fail as remote services do: now and then, and better on the next try."""

    name = "demo.flaky"
    description = "Demo: fails on some tries with time-outs and refused connections, then succeeds."
    options_schema: ClassVar = {
        "type": "object",
        "properties": {"failures": {"type": "integer", "minimum": 0, "maximum": 100}},
        "additionalProperties": False,
    }

    async def process(self, event: Event, ctx: Context) -> Outcome:
        await asyncio.sleep(0.1 + _luck(event) * 0.3)
        failures = int(self.options.get("failures", int(_luck(event) * 4)))
        if ctx.attempt > failures:
            return Done({"tries": ctx.attempt})
        ctx.log(f"try {ctx.attempt}: the mail service is busy", "warning")
        if ctx.attempt % 2:
            raise ConnectionRefusedError("mail.example.com:587 refused the connection")
        return Retry(reason="mail.example.com answered 451, try again later")


def _luck(event: Event) -> float:
    """A number in [0, 1) that belongs to the event."""
    return (zlib.crc32(event.uid.encode()) % 1000) / 1000
