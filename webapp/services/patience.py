"""Waiting until an event has ended, for senders who want to hear what became of it. A few may wait at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from webapp.runtime import Runtime
from webapp.store.events import is_open

FIRST_LOOK_S = 0.02  # what is quick is over by then
LOOK_EVERY_S = 0.25


class Patience:
    """The waiters of one process: they hold threads, so there are only so many places."""

    def __init__(self, rt: Runtime, places: int, sleep: Callable[[float], None] = time.sleep) -> None:
        self._rt = rt
        self._places = threading.BoundedSemaphore(places)
        self._sleep = sleep

    def wait(self, uid: str, seconds: float) -> bool | None:
        """Whether the event has ended by then; None, at once, when all places are taken."""
        if not self._places.acquire(blocking=False):
            return None
        try:
            return self._has_ended(uid, seconds)
        finally:
            self._places.release()

    def _has_ended(self, uid: str, seconds: float) -> bool:
        left, pause = seconds, FIRST_LOOK_S
        while True:
            with self._rt.db.read() as conn:
                if not is_open(conn, uid):
                    return True
            if left <= 0:
                return False
            pause = min(pause, left)
            self._sleep(pause)
            left -= pause
            pause = min(2 * pause, LOOK_EVERY_S)
