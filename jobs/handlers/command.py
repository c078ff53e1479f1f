"""``command``: runs a program that the operator of the worker has allowed, with the event on its standard input.

Only programs named in ``SIGNALBOX_COMMANDS`` run, by that name; there is no shell, so nothing that an event says becomes
part of a command line unless an argument quotes it, and then as one argument. It runs in a forked process of its own
with an empty environment but for the event's ids, in a directory of its own, and dies with its time limit, children too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from typing import Any, ClassVar

from jobs.handlers import Context, Discard, Done, Event, EventHandler, Invalid, Outcome, Retry
from jobs.quoting import fill

KEPT_BYTES = 16 * 1024  # of each output are kept with the attempt
READ_BYTES = 8 * 1024
CONFIG = 78  # EX_CONFIG of sysexits.h: no other try can help
MAX_ARGUMENTS = 50


class CommandHandler(EventHandler):
    """Run an allowed program."""

    name = "command"
    description = "Runs a program that the worker's settings allow, with the event on its standard input."
    isolated = True
    options_schema: ClassVar = {
        "type": "object",
        "properties": {
            "command": {"type": "string", "maxLength": 64, "description": "A name from SIGNALBOX_COMMANDS"},
            "arguments": {"type": "array", "items": {"type": "string", "maxLength": 2000}, "description": "May quote: {data.id}"},
        },
        "required": ["command"],
        "additionalProperties": False,
    }  # fmt: skip

    async def validate(self, event: Event, ctx: Context) -> None:
        if self.options["command"] not in ctx.commands:
            known = ", ".join(sorted(ctx.commands)) or "none"
            raise Invalid(f"the worker allows no command {self.options['command']!r}; allowed: {known}")
        if len(self.options.get("arguments") or ()) > MAX_ARGUMENTS:
            raise Invalid(f"at most {MAX_ARGUMENTS} arguments")

    async def process(self, event: Event, ctx: Context) -> Outcome:
        arguments = [_argument(fill(str(one), event)) for one in self.options.get("arguments") or ()]
        with tempfile.TemporaryDirectory(prefix="signalbox-") as folder:
            process = await asyncio.create_subprocess_exec(
                ctx.commands[str(self.options["command"])], *arguments,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                cwd=folder, env=_environment(event, ctx, folder), start_new_session=True,
            )  # fmt: skip
            try:
                said, complained = await _talk(process, json.dumps(event.to_json(), ensure_ascii=False).encode(), ctx)
            finally:
                _end(process)
                await process.wait()  # at once, after that
        return _judge(process.returncode or 0, said, complained)


async def _talk(process: asyncio.subprocess.Process, event: bytes, ctx: Context) -> tuple[str, str]:
    """Give it the event; answers the end of what it wrote to standard output and standard error."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    _, said, complained = await asyncio.gather(
        _feed(process.stdin, event), _drain(process.stdout), _drain(process.stderr)
    )
    await process.wait()
    for line in complained.splitlines()[-20:]:
        ctx.log(line, "warning" if process.returncode else "info")
    return said, complained


async def _feed(pipe: asyncio.StreamWriter, event: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read it
        pipe.write(event)
        await pipe.drain()
    pipe.close()


async def _drain(pipe: asyncio.StreamReader) -> str:
    """Everything, so that it never blocks on a full pipe; the end of it is kept, where programs say what went wrong."""
    kept = b""
    while chunk := await pipe.read(READ_BYTES):
        kept = (kept + chunk)[-KEPT_BYTES:]
    return kept.decode("utf-8", "replace")


def _end(process: asyncio.subprocess.Process) -> None:
    """It and all that it started: they are one process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment(event: Event, ctx: Context, folder: str) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": folder,
        "SIGNALBOX_DELIVERY_ID": ctx.delivery_id,
        "SIGNALBOX_EVENT_ID": event.uid,
        "SIGNALBOX_EVENT_TYPE": event.type,
        "SIGNALBOX_ATTEMPT": str(ctx.attempt),
    }


def _argument(text: str) -> str:
    return text.replace("\x00", "\ufffd")


def _judge(code: int, said: str, complained: str) -> Outcome:
    """0 is done, 78 is dead at once; everything else, signals too, is tried again by the policy."""
    if code == 0:
        return Done({"output": said} if said else None)
    last: Any = next((line for line in reversed(complained.splitlines()) if line.strip()), "")
    how = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    reason = f"{how}: {last[:300]}" if last else how
    if code == CONFIG:
        return Discard(reason)
    return Retry(reason=reason)
