"""A plug-in of handlers that do what handlers do in the worst hours of production."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import re
import resource
import signal
import time
from pathlib import Path
from typing import Any

from jobs.handlers import Context, Done, Event, EventHandler, Invalid, Permanent, Retry, Skip, Snooze


class Ok(EventHandler):
    name = "t.ok"

    async def process(self, event: Event, ctx: Context) -> Any:
        return {"attempt": ctx.attempt}


class Slow(EventHandler):
    """Leaves a mark when it starts and one when it ends, so that effects can be counted."""

    name = "t.slow"

    async def process(self, event: Event, ctx: Context) -> Any:
        mark(event, f"start {ctx.attempt} {os.getpid()}")
        await asyncio.sleep(float(event.payload.get("seconds", 1)))
        mark(event, f"end {ctx.attempt}")
        return Done({"attempt": ctx.attempt})


class SlowOnce(Slow):
    """Is slow the first time only, so that a worker can be killed under it."""

    name = "t.slow-once"

    async def process(self, event: Event, ctx: Context) -> Any:
        if ctx.attempt == 1:
            await asyncio.sleep(60)
        mark(event, f"again {os.getpid()}")


class SlowAlone(Slow):
    name = "t.slow-alone"
    isolated = True


class Talks(EventHandler):
    name = "t.talks"

    async def process(self, event: Event, ctx: Context) -> Any:
        for step in range(1, 5):
            ctx.log(f"step {step}")
            ctx.progress(step, 4, f"step {step}")
            await asyncio.sleep(float(event.payload.get("pause", 0.3)))


class Logs(EventHandler):
    """Uses the standard library's logging, here and in a thread."""

    name = "t.logs"

    async def process(self, event: Event, ctx: Context) -> Any:
        logging.getLogger("shop").warning("stock of %s is low", "tea")
        await asyncio.to_thread(logging.getLogger("shop").error, "from a thread")
        logging.getLogger("shop").info("does not fit", 1)


class Raises(EventHandler):
    name = "t.raises"

    async def process(self, event: Event, ctx: Context) -> Any:
        raise RuntimeError("it broke")


class Exits(EventHandler):
    name = "t.exits"

    async def process(self, event: Event, ctx: Context) -> Any:
        raise SystemExit(3)


class Gone(EventHandler):
    """Takes its process with it, the way a crash in C does."""

    name = "t.gone"

    async def process(self, event: Event, ctx: Context) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


class GoneOnce(EventHandler):
    name = "t.gone-once"

    async def process(self, event: Event, ctx: Context) -> Any:
        if ctx.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return Done({"attempt": ctx.attempt})


class LeavesQuietly(EventHandler):
    name = "t.leaves-quietly"
    isolated = True

    async def process(self, event: Event, ctx: Context) -> Any:
        os._exit(0)


class Segfaults(EventHandler):
    name = "t.segfaults"
    isolated = True

    async def process(self, event: Event, ctx: Context) -> Any:
        ctypes.string_at(0)


class Aborts(EventHandler):
    name = "t.aborts"
    isolated = True

    async def process(self, event: Event, ctx: Context) -> Any:
        os.abort()


class Hoards(EventHandler):
    """Takes memory until there is none: its process may have 300 MB more, as in a small container."""

    name = "t.hoards"
    isolated = True

    async def process(self, event: Event, ctx: Context) -> Any:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000,) * 2)
        hoard = []
        while True:
            hoard.append(bytearray(10_000_000))


class LeavesOthers(EventHandler):
    """Its child goes on when it is done itself."""

    name = "t.leaves-others"
    isolated = True

    async def process(self, event: Event, ctx: Context) -> Any:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        mark(event, f"forked {child}")


class Answers(EventHandler):
    """Gives back, says or raises what no database and no log wants to keep."""

    name = "t.answers"

    async def process(self, event: Event, ctx: Context) -> Any:
        match event.payload["what"]:
            case "nul":
                return {"text": "a\x00b", "\x00": 1}
            case "object":
                return object()
            case "nan":
                return float("nan")
            case "surrogate":
                return "\ud800"
            case "huge":
                return "x" * 5_000_000
            case "long error":
                raise RuntimeError("y" * 5_000_000 + "\x00")
            case "flood":
                for n in range(20_000):
                    ctx.log(f"line {n}\x00\ud800")
                    print("z" * 500)
        return None


class Blocks(EventHandler):
    """Sleeps without awaiting: the loop stands still."""

    name = "t.blocks"

    async def process(self, event: Event, ctx: Context) -> Any:
        time.sleep(float(event.payload.get("seconds", 60)))


class BlocksAlone(Blocks):
    name = "t.blocks-alone"
    isolated = True


class Stubborn(EventHandler):
    """Swallows whatever is thrown at it."""

    name = "t.stubborn"

    async def process(self, event: Event, ctx: Context) -> Any:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                await asyncio.sleep(0.05)
            except BaseException:
                ctx.log("ignored")


class Heeds(EventHandler):
    """Says that it was told to stop; then it stops, or finishes first if the event says so."""

    name = "t.heeds"

    async def process(self, event: Event, ctx: Context) -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ctx.log(f"told to stop: {ctx.cancelled}")
            if event.payload.get("finish"):
                return Done("finished all the same")
            raise


class StubbornAlone(EventHandler):
    name = "t.stubborn-alone"
    isolated = True

    async def process(self, event: Event, ctx: Context) -> Any:
        while True:
            try:
                time.sleep(0.05)
            except BaseException:
                ctx.log("ignored")


class HoldsInterpreter(EventHandler):
    """In C, without giving the interpreter back: no Python code of the process runs meanwhile."""

    name = "t.holds"
    isolated = True

    async def process(self, event: Event, ctx: Context) -> Any:
        ctypes.PyDLL(None).sleep(60)


class HoldsExtended(EventHandler):
    """Asks for more time before it holds the interpreter."""

    name = "t.holds-extended"
    isolated = True

    async def process(self, event: Event, ctx: Context) -> Any:
        ctx.extend(30)
        ctypes.PyDLL(None).sleep(7)


class Backtracks(EventHandler):
    name = "t.backtracks"
    isolated = True

    async def process(self, event: Event, ctx: Context) -> Any:
        re.match(r"(a+)+$", "a" * 40 + "!")


class Chooses(EventHandler):
    """Ends as the event says."""

    name = "t.chooses"

    async def validate(self, event: Event, ctx: Context) -> None:
        if event.payload.get("end") == "invalid":
            raise Invalid("no such thing")

    async def process(self, event: Event, ctx: Context) -> Any:
        from datetime import timedelta

        match event.payload.get("end"):
            case "skip":
                return Skip("not for us")
            case "snooze":
                return Snooze(timedelta(hours=1), "later") if ctx.attempt == 1 else Done()
            case "retry":
                return Retry(timedelta(minutes=2), "busy")
            case "permanent":
                raise Permanent("never")
            case _:
                return Done()


def mark(event: Event, text: str) -> None:
    """Write into the file that the event names: the outside effect of a handler."""
    if path := event.payload.get("file"):
        with Path(path).open("a") as file:
            file.write(f"{text}\n")
