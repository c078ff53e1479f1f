"""Keeps what this process owns: renews leases and the worker's row, in a thread of its own.

It must not depend on Redis, on the handlers' loop or on the main thread: any of them may hang while the
work goes on. A delivery that is no longer ours is stopped and forgotten; one whose cancellation was asked for is told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from jobs.flights import FlightLoop
from webapp.domain.errors import Unavailable
from webapp.runtime import Runtime
from webapp.services import presence
from webapp.services.presence import Presence
from webapp.store import deliveries

log = logging.getLogger(__name__)


class Keeper:
    """A heartbeat every ``heartbeat_s``. ``me`` is absent in a forked child: its parent has the row."""

    def __init__(self, rt: Runtime, flights: FlightLoop, owner: str, me: Presence | None, turn: threading.Lock) -> None:
        self.thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self.me = me
        self.finished: Callable[[], int] = lambda: 0
        self._rt, self._flights, self._owner, self._turn = rt, flights, owner, turn
        self._stop = threading.Event()
        self._told = "idle"

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def stop(self) -> None:
        """No more heartbeats."""
        self._stop.set()
        self.thread.join(timeout=1)

    def beat(self) -> None:
        """One heartbeat."""
        self._renew()
        if self.me is not None:
            self.me.running = len(self._flights.flights)
            self.me.finished = self.finished()
            if self.me.state != "stopping":
                self.me.state = "busy" if self.me.running else "idle"
            presence.give_sign(self._rt, self.me, self._told)
            self._told = self.me.state

    def _run(self) -> None:
        while not self._stop.wait(self._rt.settings.heartbeat_s):
            try:
                self.beat()
            except Unavailable:
                log.warning("no heartbeat: the database does not answer", extra={"action": "heartbeat_missed"})
            except Exception:
                log.exception("heartbeat failed", extra={"action": "heartbeat_failed"})

    def _renew(self) -> None:
        ids = list(self._flights.owned)
        if not ids:
            return
        until = self._rt.clock() + timedelta(seconds=self._rt.settings.lease_s)
        with self._turn, self._rt.db.write() as conn:  # beside the recorder, the two could wait for each other's rows
            kept = deliveries.renew(conn, owner=self._owner, ids=ids, until=until)
        # An outcome may be recorded between the two looks; then it is not ours any more in good order.
        lost = sorted(self._flights.undone().intersection(ids) - kept.keys())
        if lost:
            log.warning(
                "%d deliveries were taken away and are stopped",
                len(lost),
                extra={"delivery_ids": lost[:20], "action": "lease_lost"},
            )
            self._flights.drop(lost)
        self._flights.cancel([id for id, is_asked in kept.items() if is_asked])
