"""Ends what no time limit can reach: a handler that blocks the loop, or one that holds the interpreter itself.

A blocked loop is seen from a thread; the overdue delivery is recorded, the others are given back, and the
process ends (its supervisor starts another). A held interpreter stops this thread too: for that there is
a timer in C. Never leave a process alive whose loop will not come back.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from jobs.flights import Flight, FlightLoop, Landing
from jobs.runner import STOPPED, frames_of_thread, timed_out_ending
from webapp.domain.lifecycle import CancelEnd
from webapp.runtime import Runtime

log = logging.getLogger(__name__)

TICK_S = 0.2
STALLED_S = 1.0  # the loop did not come round for this long: say so
UNKNOWN_STALL_S = 60.0  # nobody can be blamed: give up after this long
REARM_S = 1.0
EXIT_CODE = 70


class Watchdog:
    """``land`` records an ending, ``give_back`` releases whatever else is owned and flushes."""

    def __init__(
        self, rt: Runtime, flights: FlightLoop, land: Callable[[Landing], None], give_back: Callable[[], None]
    ) -> None:
        self.thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._rt, self._flights, self._land, self._give_back = rt, flights, land, give_back
        self._held_limit_s = 0.0  # no limit
        self._stop = threading.Event()
        self._warned: Flight | None = None
        self._arm_at = 0.0
        self._rearm_s = REARM_S

    def allow_held(self, seconds: float) -> None:
        """How long the interpreter may be held by code in C, at any time."""
        self._held_limit_s = seconds

    def allow_held_once(self, seconds: float) -> None:
        """The same for a process with one delivery at a time: counted from now, until told anew. From any thread."""
        self._held_limit_s, self._rearm_s = seconds, float("inf")
        self._arm_at = 0.0
        self._arm()

    def start(self) -> None:
        """Start the thread and the timer in C."""
        self._arm()
        self.thread.start()

    def stop(self) -> None:
        """Stand down."""
        self._stop.set()
        if self._held_limit_s:
            faulthandler.cancel_dump_traceback_later()

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            self._arm()
            stalled = time.monotonic() - self._flights.ticked
            if stalled > STALLED_S:
                self._look(stalled)
            else:
                self._warned = None

    def _arm(self) -> None:
        """If no Python code can run for that long, not even this, the timer dumps the stacks and exits."""
        now = time.monotonic()
        if self._held_limit_s and now >= self._arm_at and not self._stop.is_set():
            self._arm_at = now + self._rearm_s
            faulthandler.dump_traceback_later(self._held_limit_s, exit=True, file=sys.__stderr__ or 2)

    def _look(self, stalled: float) -> None:
        flight = self._flights.current()
        if flight is None:
            if stalled > UNKNOWN_STALL_S:
                log.critical("the handlers' loop is stuck for %.0f s, nobody knows why", stalled)
                os._exit(EXIT_CODE)  # leases run out; from then on these deliveries run one by one
            return
        if self._warned is not flight:
            self._warned = flight
            log.warning(
                "handler %s blocks the loop: nothing else runs beside it. Use await, asyncio.to_thread or isolated",
                flight.claimed.handler,
                extra={"delivery_id": flight.claimed.id, "action": "loop_blocked"},
            )
        if time.monotonic() > flight.patience_ends:
            self._end_process(flight)

    def _end_process(self, flight: Flight) -> None:
        """The loop is lost with this handler in it. Record it, give the others back, and go."""
        log.critical(
            "handler %s is over its time limit (or cancelled) and blocks the loop; this worker restarts",
            flight.claimed.handler,
            extra={"delivery_id": flight.claimed.id, "action": "worker_restarts"},
        )
        threading.Timer(5.0, os._exit, (EXIT_CODE,)).start()  # whatever happens below
        frame = sys._current_frames().get(self._flights.thread.ident or 0)
        stack = frames_of_thread(frame) if frame else None
        ending = timed_out_ending(flight.limit, "; it blocked the event loop", stack) if flight.is_overdue else STOPPED
        rows = flight.conclude(ending, self._rt.clock(), self._rt.roll(), CancelEnd.KILLED)
        self._land(Landing(rows, flight.ctx))
        self._flights.forget([one.id for one in flight.claimed.members])
        self._give_back()
        os._exit(EXIT_CODE)
