"""Child processes of the supervisor: each leads a session of its own, so that all it ever started can be found and ended.

A child must never outlive the supervisor: the kernel tells it when its parent is gone.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

BACKOFF_FIRST_S, BACKOFF_LAST_S = 0.2, 5.0
STEADY_S = 10.0  # a child that lived this long starts again without delay

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: between fork and exec is too late


@dataclass(slots=True, eq=False)
class Child:
    """One process that is kept running. ``sid`` names its session, which may outlive it."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float | None = None
    backoff_s: float = field(default=BACKOFF_FIRST_S)
    is_renewing: bool = False  # it was asked to end, so that it starts again

    def start(self) -> int:
        """Start it; answers the file descriptor that its output comes from, which the caller closes."""
        self.process, output = spawn(self.command, self.env, self.cwd)
        self.started_at = time.monotonic()
        self.restart_at = None
        self.is_renewing = False
        return output

    @property
    def sid(self) -> int:
        return self.process.pid if self.process else 0

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def plan_restart(self, now: float) -> float:
        """Say when it starts again: soon, later each time it ends early. Answers the delay in seconds."""
        if self.is_renewing:
            self.restart_at = now
            return 0.0
        if now - self.started_at >= STEADY_S:
            self.backoff_s = BACKOFF_FIRST_S
        delay, self.backoff_s = self.backoff_s, min(self.backoff_s * 2, BACKOFF_LAST_S)
        self.restart_at = now + delay
        return delay

    def terminate(self) -> None:
        """Ask the leader to stop; it stops what it started."""
        if self.is_running() and self.process:
            with suppress(ProcessLookupError):
                self.process.terminate()

    def renew(self) -> None:
        """Ask it to stop; it is started again at once."""
        self.is_renewing = True
        self.terminate()

    def kill(self) -> None:
        """End it and everything it started, now."""
        if self.process:
            kill_session(self.process.pid)
            self.process.wait()

    def how_it_ended(self) -> str:
        """``exit code 3`` or ``killed by SIGKILL``."""
        code = self.process.returncode if self.process else None
        if code is None or code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"


def spawn(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, *, stdout: int | None = None
) -> tuple[subprocess.Popen[bytes], int]:
    """A process in a session of its own, and the pipe of what it prints (on stderr only, when ``stdout`` goes elsewhere)."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    try:
        process = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=write_end if stdout is None else stdout,
            stderr=write_end,
            start_new_session=True,  # Ctrl-C in the terminal reaches the supervisor alone, which stops the rest in order
            preexec_fn=_die_with(os.getpid()),
        )
    finally:
        os.close(write_end)
    return process, read_end


def _die_with(parent: int) -> Callable[[], None]:
    """What a new child does first: ask for SIGTERM when ``parent`` dies, and leave if that has happened already."""

    def ask() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def members(sid: int) -> list[int]:
    """Living processes of a session. Workers move what they fork to other process groups, never to other sessions."""
    if _libc is None:  # no /proc to look into: at least the group of the leader
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(sid, 0)
            return [sid]
        return []
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == sid and state not in "ZX":
                found.append(int(folder.name))
    return found


def kill_session(sid: int) -> None:
    """SIGKILL to all of a session; a second round catches what was forked meanwhile."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(sid, signal.SIGKILL)
    for _ in range(3):
        alive = members(sid)
        for pid in alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not alive:
            return
