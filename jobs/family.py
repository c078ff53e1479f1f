"""The children of one hub and the single-threaded loop that reads their output, notices their end and starts them again.

Single-threaded on purpose: a child is bound to the thread that forked it, and must only die with the process.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from jobs.console import Console
from jobs.guard import Guard
from jobs.processes import Child, kill_session

_CHUNK = 65_536
_LONGEST_LINE = 65_536  # a child that never ends its line must not fill our memory


class Family:
    """Starts children, pumps their output line by line, restarts those that end by themselves."""

    def __init__(self, console: Console, guard: Guard) -> None:
        self._console = console
        self._guard = guard
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._partial: dict[int, bytes] = {}
        self._waker = _wake_on_signals(self._selector)

    def add(self, child: Child) -> None:
        """Start a child that is to be kept running."""
        self._children.append(child)
        self._start(child)

    def follow(self, output: int, name: str) -> None:
        """Show what comes from that pipe under that name until its writers are gone, then close it."""
        self._selector.register(output, selectors.EVENT_READ, name)

    def __getitem__(self, prefix: str) -> list[Child]:
        """The children whose name starts so."""
        return [child for child in self._children if child.name.startswith(prefix)]

    def turn(self, timeout_s: float = 0.5) -> None:
        """Wait for something to happen, at most that long, and deal with it."""
        due = [child.restart_at for child in self._children if child.restart_at is not None]
        now = time.monotonic()
        for key, _ in self._selector.select(max(0.0, min([timeout_s, *(at - now for at in due)]))):
            if key.data is None:
                self._drain_wakes()
            else:
                self._read(key.fd, str(key.data))
        self._look_after()

    def wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Turn until ``done()`` or the time is over."""
        deadline = time.monotonic() + timeout_s
        while not (finished := done()) and (left := deadline - time.monotonic()) > 0:
            self.turn(min(left, 0.05))
        return finished

    def stop(self, children: Iterable[Child], timeout_s: float, is_hurried: Callable[[], bool]) -> None:
        """Stop these and leave nothing of them; what is not gone in time, or when hurried, is killed."""
        stopping = list(children)
        self._children = [child for child in self._children if child not in stopping]
        for child in stopping:
            child.terminate()
        self.wait(lambda: is_hurried() or not any(child.is_running() for child in stopping), timeout_s)
        for child in stopping:
            if child.is_running() and not is_hurried():
                self._console.say(f"{child.name} did not stop in {timeout_s:g} s and was killed", level="warning")
            self._bury(child)
        self.turn(0)  # their last lines

    def close(self) -> None:
        """Kill whatever is left and give up the loop."""
        for child in self._children:
            self._bury(child)
        self._children.clear()
        self._guard.release()
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for descriptor in self._waker:
            os.close(descriptor)

    def _start(self, child: Child) -> None:
        output = child.start()
        self._guard.remember(child.sid)
        self.follow(output, child.name)

    def _bury(self, child: Child) -> None:
        child.kill()
        if child.sid:
            self._guard.forget(child.sid)

    def _look_after(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.restart_at is not None:
                if now >= child.restart_at:
                    self._start(child)
            elif not child.is_running():
                kill_session(child.sid)  # what it forked must not hold its port or its work
                self._guard.forget(child.sid)
                expected, delay = child.is_renewing, child.plan_restart(now)
                if expected:
                    continue
                reason = f"{child.name} ended ({child.how_it_ended()}); starting it again in {delay:g} s"
                self._console.say(reason, level="warning")

    def _read(self, descriptor: int, name: str) -> None:
        chunk = b""
        with suppress(BlockingIOError):
            chunk = os.read(descriptor, _CHUNK)
            if not chunk:  # the last writer is gone
                self._end_of_output(descriptor, name)
                return
        *lines, rest = (self._partial.pop(descriptor, b"") + chunk).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            self._console.relay(name, line.decode("utf-8", "replace").rstrip("\r"))
        if rest:
            self._partial[descriptor] = rest

    def _end_of_output(self, descriptor: int, name: str) -> None:
        self._selector.unregister(descriptor)
        os.close(descriptor)
        if rest := self._partial.pop(descriptor, b""):
            self._console.relay(name, rest.decode("utf-8", "replace"))

    def _drain_wakes(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._waker[0], 4096):
                pass


def _wake_on_signals(selector: selectors.BaseSelector) -> tuple[int, int]:
    """A pipe that gets a byte with every signal, so that ``select`` returns when a child ends."""
    read_end, write_end = os.pipe()
    for descriptor in (read_end, write_end):
        os.set_blocking(descriptor, False)
    selector.register(read_end, selectors.EVENT_READ, None)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    return read_end, write_end
