"""The supervisor's executor: a tiny forked process that outlives ``kill -9`` of the supervisor and clears up behind it.

It does nothing while the supervisor lives. It must never load anything: it is there for the whole life of the hub.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from jobs.processes import kill_session, members

GRACE_S = 3.0  # for children to stop by themselves: the kernel has already sent them SIGTERM


class Guard:
    """Fork it before the first child, tell it of every session, release it after the last one is gone."""

    def __init__(self) -> None:
        read_end, self._pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._pipe)
            _watch(read_end)
        os.close(read_end)

    def remember(self, sid: int) -> None:
        """This session is to be ended if the supervisor cannot do it."""
        self._tell(f"+{sid}\n")

    def forget(self, sid: int) -> None:
        """This session is gone."""
        self._tell(f"-{sid}\n")

    def release(self) -> None:
        """Let it go, after everything it was told of is gone."""
        os.close(self._pipe)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # somebody killed the guard: the hub is none the worse while the supervisor lives
            os.write(self._pipe, line.encode())


def _watch(pipe: int) -> None:
    """Everything the guard ever does; never returns."""
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        _clear_up(_sessions_at_end(pipe))
    finally:
        os._exit(0)


def _sessions_at_end(pipe: int) -> set[int]:
    """Follow what the supervisor tells until it is gone; answers the sessions that it left behind."""
    sessions: set[int] = set()
    with os.fdopen(pipe, encoding="ascii") as lines:
        for line in lines:
            sid = int(line[1:])
            (sessions.add if line.startswith("+") else sessions.discard)(sid)
    return sessions


def _clear_up(sessions: set[int]) -> None:
    for sid in sessions:
        with suppress(ProcessLookupError):
            os.kill(sid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while sessions and time.monotonic() < deadline:
        time.sleep(0.1)
        sessions = {sid for sid in sessions if members(sid)}
    for sid in sessions:
        kill_session(sid)
