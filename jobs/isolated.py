"""The inside of a forked horse: one delivery after the other, never two, in a process that dies with its parent.

When the process dies, the delivery that it held is known and no other is touched. It is used again only as long as
what it ran ended in good order: after a time-out, a cancellation or want of memory the next one gets a new process.

Nothing that the parent opened may be used here: settings and handlers come over the fork, connections do not.
What this process cannot end by itself (it is killed, or exits in mid-handler) its lease ends for it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass

from jobs import drain as draining
from jobs.engine import Engine
from jobs.flights import GRACE_S, Flight, Landing
from jobs.horselimit import HorseLimit
from jobs.registry import Registry
from webapp.domain.errors import Unavailable
from webapp.queue import ISOLATED
from webapp.runtime import Runtime, build_runtime
from webapp.settings import Settings
from webapp.store.deliveries import Claimed, due_lanes

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
HELD_MARGIN_S = 4.0  # beyond time limit and grace: then not even our watchdog runs, and a timer in C ends it
BETWEEN_S = 60.0  # between two deliveries: recording and claiming, with a database that may be away for a while
SLICE_S = 10.0  # the next delivery gets a new process after this: handlers that leak do not leak for long
JOIN_S = 0.5  # other isolated workers are called this often while more is due
SPOILS = frozenset({"timed_out", "cancelled"})  # the process may still be busy with it
WANTS = frozenset({"MemoryError", "SystemExit", "KeyboardInterrupt", "GeneratorExit"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What the parent knows before it forks."""

    settings: Settings
    registry: Registry
    owner: str
    parent_pid: int
    limit: HorseLimit


_plan: Plan | None = None
_interrupted = threading.Event()


def prepare(plan: Plan) -> None:
    """In the parent: what the horses to come will need."""
    global _plan
    _plan = plan


def interrupt() -> None:
    """In the horse: the worker is stopping; give the delivery back."""
    _interrupted.set()


def run() -> int:
    """Claim and run what is due, one after the other; answers how many. None is no fault: the bell rang twice."""
    if _plan is None:
        raise RuntimeError("run_isolated runs in a worker started by jobs.worker --isolated")
    die_with_parent(_plan.parent_pid)
    rt = build_runtime(_plan.settings)
    try:
        return Horse(rt, _plan).run()
    finally:
        rt.close()


class Horse(Engine):
    """An engine that holds one delivery at a time."""

    def __init__(self, rt: Runtime, plan: Plan) -> None:
        super().__init__(rt, plan.registry, plan.owner, concurrency=1)
        self._limit = plan.limit
        self._is_spoilt = False
        self._called_at = 0.0
        self._allow(BETWEEN_S)
        self.flights.on_extended = self._follow

    def run(self) -> int:
        """Until nothing is due, the slice is over, the process is spoilt or the worker stops; answers how many."""
        self.start()
        end, ended = time.monotonic() + SLICE_S, 0
        while batch := draining.claim(self, ISOLATED, 1):
            self._call_others()
            self._carry(batch)
            ended += 1
            self._limit.count(ended)
            if self._is_spoilt or self._is_over() or time.monotonic() > end:
                self.rt.queue.ring(ISOLATED)
                break
        self.stop(grace_s=0)
        return ended

    def _is_over(self) -> bool:
        return _interrupted.is_set() or self._limit.is_closing()

    def _carry(self, batch: list[Claimed]) -> None:
        """Run it to its end, or until the worker has waited long enough."""
        limit_s = batch[0].timeout.total_seconds()
        self._is_spoilt = True  # until it has landed: it may be taken away from us and still be busy here
        self._limit.move(time.monotonic() + limit_s)
        self._allow(limit_s + GRACE_S + HELD_MARGIN_S)
        self.take(batch)
        while not self.flights.wait_until_empty(0.2) and not _interrupted.is_set():
            pass

    def _call_others(self) -> None:
        """More is due, and this one may take long: other workers may join."""
        now = time.monotonic()
        if now - self._called_at < JOIN_S:
            return
        self._called_at = now
        try:
            with self.rt.db.read() as conn:
                is_more = ISOLATED in due_lanes(conn, self.rt.clock())
        except Unavailable:
            return
        if is_more:
            self.rt.queue.ring(ISOLATED)

    def _land(self, landing: Landing) -> None:
        finished = landing.finished
        self._is_spoilt = finished.settlement.outcome in SPOILS or finished.error_type in WANTS
        self._limit.move(time.monotonic() + BETWEEN_S)
        self._allow(BETWEEN_S)
        super()._land(landing)

    def _follow(self, flight: Flight) -> None:
        """A later deadline: what would end this process beyond the old one waits for the new one."""
        left = max(0.0, flight.deadline - time.monotonic())
        self._allow(left + GRACE_S + HELD_MARGIN_S)
        self._limit.move(flight.deadline)

    def _allow(self, seconds: float) -> None:
        self.watchdog.allow_held_once(seconds)


def die_with_parent(parent_pid: int) -> None:
    """SIGKILL for us when the parent is gone; at once if it went before we asked. Linux only, elsewhere leases do it."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent_pid:
        os._exit(1)
