"""The loop of handlers: who is over its deadline is cut off first and left behind only if it does not heed that."""

from __future__ import annotations

import asyncio
import time

from jobs.flights import GRACE_S
from jobs.handlers import Context
from tests.support.air import Air


def test_attempt_whose_deadline_passed_while_another_blocked_the_loop_is_told_to_stop() -> None:
    said: list[str] = []

    async def waits(ctx: Context) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            said.append("told to stop")
            raise

    async def blocks(ctx: Context) -> None:
        await asyncio.sleep(0)  # the other one starts first
        time.sleep(GRACE_S + 0.5)

    air = Air(concurrency=2)
    air.start(waits, timeout_s=0.1)
    air.start(blocks)
    outcomes = {air.landing().finished.settlement.outcome for _ in range(2)}
    at_once = list(said)  # when the loop stops, everything is told
    air.loop.stop()
    assert outcomes == {"succeeded", "timed_out"}
    assert at_once == ["told to stop"]
