"""What the beat does beside its pulse, because it may take long: bulk operations, exports, imports, and a look for unknown event types.

A thread, so that the pulse is never late.

Between two steps it rests as long as a step may take: on SQLite whoever accepts events must get the pen too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from webapp.domain.errors import Unavailable
from webapp.runtime import Runtime
from webapp.services import bulk_work, discovery, export_work, imports
from webapp.services.accept import Acceptor

log = logging.getLogger(__name__)

BUSY_S = 0.1  # of work, and of rest while there is more
IDLE_S = 1.0
DISCOVER_S = 5.0


class Errands:
    """Runs from ``start`` to ``stop``."""

    def __init__(self, rt: Runtime, owner: str) -> None:
        self._rt, self._owner = rt, owner
        self._acceptor = Acceptor(rt)
        self._stop = threading.Event()
        self._discovered = float("-inf")
        self._thread = threading.Thread(target=self._run, name="errands", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step that is under way."""
        self._stop.set()
        self._thread.join(timeout=5)

    def round(self) -> bool:
        """One round; answers whether more is to be done at once. What fails is tried again in the next."""
        acts = (("bulk", self._bulk), ("exports", self._exports), ("imports", self._imports))
        more = [self._attempt(what, act) for what, act in acts]
        return any(more)

    def _bulk(self) -> bool:
        more = bulk_work.advance(self._rt, self._owner, BUSY_S)
        if not more:
            bulk_work.settle(self._rt)
        return more

    def _exports(self) -> bool:
        return export_work.advance(self._rt, self._owner, BUSY_S)

    def _imports(self) -> bool:
        return imports.advance(self._rt, self._acceptor, self._owner, BUSY_S)

    def _attempt(self, what: str, act: Callable[[], bool]) -> bool:
        try:
            return act()
        except Unavailable:
            log.warning("%s: the database does not answer", what, extra={"action": "errand_missed"})
        except Exception:
            log.exception("%s failed", what, extra={"action": "errand_failed"})
        return False

    def discover(self) -> None:
        """Look at the newest events, every few seconds."""
        if time.monotonic() - self._discovered < DISCOVER_S:
            return
        self._discovered = time.monotonic()
        try:
            discovery.look(self._rt)
        except Unavailable:
            log.warning("discovery: the database does not answer", extra={"action": "discovery_missed"})
        except Exception:
            log.exception("discovery failed", extra={"action": "discovery_failed"})

    def _run(self) -> None:
        while not self._stop.is_set():
            self.discover()
            self._stop.wait(BUSY_S if self.round() else IDLE_S)
